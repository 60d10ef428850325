//! The documented schemas of events, against events that were sent.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jsonschema::Validator;
use lshookd_testbed::receiver::Received;
use serde_json::{Value, json};

/// Why events are not as `docs/schemas` says; nothing where they are.
pub fn faults<'a>(events: impl IntoIterator<Item = &'a Received>) -> Vec<String> {
    let mut faults = Vec::new();
    for event in events {
        // A webhook without payload.
        if event.body == json!({"action": event.action()}) {
            continue;
        }
        record(event);
        match schemas().get(event.action()) {
            None => faults.push(format!("{} has no schema", event.action())),
            Some(schema) => {
                let errors = schema.iter_errors(&event.body);
                faults.extend(errors.map(|error| format!("{}: {} {error}", event.action(), error.instance_path())));
            }
        }
    }
    faults
}

/// With `LSHOOKD_TEST_UPDATE` set, keeps the first event of each action of which there is no example yet.
fn record(event: &Received) {
    let path = folder().join(format!("examples/{}.json", event.action()));
    if std::env::var_os("LSHOOKD_TEST_UPDATE").is_some() && schemas().contains_key(event.action()) && !path.exists() {
        let mut body = event.body.clone();
        // Of a project that is gone; whoever looks for secrets need not stumble over it.
        if let Some(token) = body.pointer_mut("/project/token").filter(|token| token.is_string()) {
            *token = json!("of the project");
        }
        let text = serde_json::to_string_pretty(&body).expect("an event is JSON");
        std::fs::write(path, text + "\n").expect("the folder of examples can be written");
    }
}

/// The examples, by action.
pub fn examples() -> HashMap<String, Value> {
    let entries = std::fs::read_dir(folder().join("examples")).expect("the folder of examples");
    let paths = entries.map(|entry| entry.expect("an entry of the folder").path());
    paths.map(|path| (name(&path), parse(&read(&path)))).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas")
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a document that can be read")
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("a document that is JSON")
}

/// The schemas, by action.
pub fn schemas() -> &'static HashMap<String, Validator> {
    static SCHEMAS: OnceLock<HashMap<String, Validator>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let objects = parse(&read(&folder().join("objects.json")));
        let entries = std::fs::read_dir(folder()).expect("the folder of schemas");
        let paths = entries.map(|entry| entry.expect("an entry of the folder").path());
        paths
            .filter(|path| path.is_file() && !path.ends_with("objects.json"))
            .map(|path| {
                let mut schema = parse(&read(&path).replace("objects.json#", "#"));
                schema["$defs"] = objects["$defs"].clone();
                (name(&path), jsonschema::validator_for(&schema).expect("a valid schema"))
            })
            .collect()
    })
}
