//! The documented schemas of events, against events that were sent.

use std::collections::HashMap;
use std::path::Path;
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

/// The schemas, by action.
pub fn schemas() -> &'static HashMap<String, Validator> {
    static SCHEMAS: OnceLock<HashMap<String, Validator>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
        let read = |path: &Path| std::fs::read_to_string(path).expect("a schema that can be read");
        let parse = |text: &str| serde_json::from_str::<Value>(text).expect("a schema that is JSON");
        let objects = parse(&read(&folder.join("objects.json")));
        let entries = std::fs::read_dir(&folder).expect("the folder of schemas");
        let paths = entries.map(|entry| entry.expect("an entry of the folder").path());
        paths
            .filter(|path| !path.ends_with("objects.json"))
            .map(|path| {
                let mut schema = parse(&read(&path).replace("objects.json#", "#"));
                schema["$defs"] = objects["$defs"].clone();
                let action = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                (action, jsonschema::validator_for(&schema).expect("a valid schema"))
            })
            .collect()
    })
}
