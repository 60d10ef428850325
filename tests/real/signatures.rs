//! The examples of `docs/signatures.md`, each run on a request that was really sent.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lshookd_testbed::cache;
use tokio::process::Command;

use crate::test_env::TestEnv;

/// The examples in their order: the program that each is put into, and how that is run.
const PROGRAMS: [(&str, &str, &str, &str); 4] = [
    ("python", "library.py", include_str!("signatures/library.py"), "python"),
    ("js", "library.mjs", include_str!("signatures/library.mjs"), "node"),
    ("go", "plain.go", include_str!("signatures/plain.go"), "go run"),
    ("python", "plain.py", include_str!("signatures/plain.py"), "python"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_examples_tell_what_is_genuine_from_what_is_not() -> Result<()> {
    let (env, _daemon) = TestEnv::running("signatures").await?;
    env.run("update webhook set send_payload = false").await?;
    env.run("update project set title = 'Owls'").await?;
    let requests = env.receiver.expect(1).await?;
    let request = requests.first().context("a request")?;
    let shown: serde_json::Value =
        serde_json::from_str(&env.lshookd.succeed(&["webhook", "secret", "1", "--json"]).await?)?;
    let secret = shown.to_string().split('"').find(|word| word.starts_with("whsec_")).context("a secret")?.to_owned();
    let signed = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| request.header(name).to_owned());

    let folder = tempfile::tempdir()?;
    std::os::unix::fs::symlink(
        std::fs::canonicalize(cache().join("node-parts/node_modules"))?,
        folder.path().join("node_modules"),
    )?;
    let examples = examples(include_str!("../../docs/signatures.md"));
    ensure!(examples.len() == PROGRAMS.len(), "{} examples", examples.len());
    for ((language, example), (of, name, program, runner)) in examples.iter().zip(PROGRAMS) {
        assert_eq!(*language, of);
        let path = folder.path().join(name);
        std::fs::write(&path, program.replace("SNIPPET", example))?;
        for (body, genuine) in [(r#"{"action":"PROJECT_UPDATED"}"#, true), (r#"{"action":"PROJECT_DELETED"}"#, false)] {
            let outcome =
                run(runner, &path, &[std::slice::from_ref(&secret), signed.as_slice(), &[body.to_owned()]].concat())
                    .await?;
            assert_eq!(outcome.0, genuine, "{name}: {}", outcome.1);
        }
    }
    Ok(())
}

/// The blocks of code of a document, each with its language.
fn examples(document: &str) -> Vec<(&str, &str)> {
    document.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

/// Whether a program ends well, and what it says.
async fn run(runner: &str, program: &Path, arguments: &[String]) -> Result<(bool, String)> {
    let python = cache().join("python-parts/bin/python").display().to_string();
    let mut words = runner.split(' ');
    let first = words.next().map(|word| if word == "python" { python.as_str() } else { word }).context("a runner")?;
    let folder = program.parent().context("a folder")?;
    let output = Command::new(first)
        .args(words)
        .arg(program)
        .args(arguments)
        .env("GOCACHE", folder.join("go"))
        .output()
        .await
        .with_context(|| first.to_owned())?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}
