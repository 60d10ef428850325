//! The Python package: as it is built, with a real Label Studio, and from where no request reaches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lshookd_scenarios::scenario_run::{ScenarioRun, choice};
use lshookd_testbed::child_guard::ChildGuard;
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::label_studio::{Installation, Surroundings};
use lshookd_testbed::network::Machine;
use lshookd_testbed::postgres::{Circumstances, Server};
use lshookd_testbed::receiver::Receiver;
use lshookd_testbed::{cache, eventually, free_port, listens};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use crate::pull::Pulled;
use crate::test_env::{TestEnv, installed, version};

/// Python in an environment that has the wheel, and what the parts have; built and tested once.
pub async fn python() -> Result<&'static Path> {
    static PYTHON: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/client");
        let parts = cache().join("client-parts");
        let test =
            Command::new(root.join("clients/python/test.sh")).arg(&parts).arg(folder.join("dist")).output().await?;
        let said = String::from_utf8_lossy(&test.stdout).into_owned();
        ensure!(test.status.success(), "{said}{}", String::from_utf8_lossy(&test.stderr));
        let wheel = said.lines().last().context("no wheel")?.to_owned();
        let script = r#"set -e
            rm -rf "$1/venv" && python3 -m venv "$1/venv"
            "$1/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-index "$3"
            "$2/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
                >"$("$1/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/parts.pth""#;
        let made =
            Command::new("sh").args(["-c", script, "venv"]).arg(&folder).arg(&parts).arg(&wheel).output().await?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        anyhow::Ok(folder.join("venv/bin/python"))
    };
    Ok(PYTHON.get_or_try_init(build).await?)
}

fn program(name: &str) -> String {
    format!("{}/tests/real/python_client/{name}.py", env!("CARGO_MANIFEST_DIR"))
}

/// Built, installed from its wheel into a fresh environment, typed, and true to what it says.
#[tokio::test(flavor = "multi_thread")]
async fn the_package_passes_its_own_tests_from_its_wheel() -> Result<()> {
    ensure!(python().await?.exists());
    Ok(())
}

/// Annotates by the calls of Label Studio's pages until each has succeeded.
async fn annotate(run: &mut ScenarioRun, quantity: usize) -> Result<()> {
    for number in 0..quantity {
        while run.annotate(number % 4, json!({"result": choice("owl")})).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// Label Studio, lshookd and a receiver of ten lines; each is killed meanwhile, and PostgreSQL, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_runs_once_for_each_event_whatever_is_killed() -> Result<()> {
    let python = python().await?.display().to_string();
    let Some(server) = Server::start_own_in(Circumstances::default()).await? else {
        return Ok(());
    };
    let installation = Installation::find(&version())?;
    let template = installation.template(&server).await?;
    let database = server.create("handlers", Some(&template.name)).await?;
    let studio = installation.start_in(&database, Surroundings::default()).await?;
    let lshookd = installed(&database).await?;
    let mut daemon: Option<Daemon> = Some(lshookd.run().await?);
    let mut run = ScenarioRun::start(studio, &database, Receiver::start().await?).await?;
    run.furnish().await?;
    let folder = tempfile::tempdir()?;
    let work = folder.path().join("work.db");
    let port = free_port()?;
    let project = run.project.to_string();
    let created = lshookd
        .succeed(&["webhook", "create", &format!("http://127.0.0.1:{port}/"), "--project", &project, "--json"])
        .await?;
    let webhook = serde_json::from_str::<serde_json::Value>(&created)?["id"].to_string();
    let secrets = lshookd.succeed(&["webhook", "secret", &webhook, "--json"]).await?;
    let secret =
        serde_json::from_str::<serde_json::Value>(&secrets)?[0]["secret"].as_str().context("no secret")?.to_owned();
    let environment = [("WORK", work.display().to_string()), ("WEBHOOK_SECRET", secret), ("PROJECT", project.clone())]
        .map(|(name, value)| (name.to_owned(), value));
    let receive = async || -> Result<ChildGuard> {
        let handlers = program("handlers");
        let port = port.to_string();
        let command = [&*python, "-m", "lshookd", "receive", &*handlers, "--port", &*port];
        ChildGuard::start(&command, &environment, &folder.path().join("log"), "").await
    };
    let mut receiver = Some(receive().await?);
    listens("the receiver", port).await?;
    for round in 0..3 {
        annotate(&mut run, 4).await?;
        match round {
            0 => {
                drop(receiver.take().inspect(|receiver| drop(receiver.signal("KILL"))));
                annotate(&mut run, 3).await?;
                receiver = Some(receive().await?);
            }
            1 => {
                if let Some(killed) = daemon.take() {
                    killed.kill().await?;
                }
                annotate(&mut run, 3).await?;
                daemon = Some(lshookd.run().await?);
            }
            _ => {
                let (restarted, annotated) = tokio::join!(server.restart("immediate"), annotate(&mut run, 3));
                restarted.and(annotated)?;
            }
        }
    }
    let sql = database.connect().await?;
    let query = "select id::bigint from task_completion where project_id = $1::text::integer order by id";
    let committed: Vec<i64> = sql.query(query, &[&project]).await?.iter().map(|row| row.get(0)).collect();
    ensure!(committed.len() >= 21, "{committed:?}");
    let query = "import sqlite3, sys; print(*[f'{id} {count}' for id, count in sqlite3.connect(sys.argv[1], timeout=60).execute('select annotation, count(*) from work group by 1 order by 1')], sep='\\n')";
    let handled = async || {
        let output = Command::new(&python).args(["-c", query]).arg(&work).output().await?;
        let counts: BTreeMap<i64, i64> = String::from_utf8(output.stdout)?
            .lines()
            .filter_map(|line| {
                let (id, count) = line.split_once(' ')?;
                Some((id.parse().ok()?, count.parse().ok()?))
            })
            .collect();
        Ok((committed.iter().all(|id| counts.contains_key(id))).then_some(counts))
    };
    let counts = eventually("every annotation is handled", Duration::from_secs(90), handled).await;
    let counts = counts.with_context(|| std::fs::read_to_string(folder.path().join("log")).unwrap_or_default())?;
    assert_eq!(counts, committed.into_iter().map(|id| (id, 1)).collect());
    drop((receiver, daemon));
    Ok(())
}

/// In a network of its own, with connections to the outside alone: it is killed in the middle, and goes on after a day.
#[tokio::test(flavor = "multi_thread")]
async fn a_notebook_that_no_request_reaches_trains_and_goes_on_after_a_day() -> Result<()> {
    let python = python().await?.display().to_string();
    let Some(machine) = Machine::start().await? else {
        return Ok(());
    };
    let port = free_port()?;
    let env = TestEnv::new("notebook")
        .await?
        .with("LSHOOKD_PULL_LISTEN", &format!("{}:{port}", machine.direct))
        .with("LSHOOKD_PULL_LEASE", "1s");
    let pulled = Pulled::create(&env, port, &["--project", "1"]).await?;
    let url = pulled.url.replace("127.0.0.1", &machine.direct.to_string());
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    let daemon = env.lshookd.run().await?;
    let annotate = async |quantity: i64| -> Result<()> {
        let before = env.number("select count(*) from lshookd.event where action = 'ANNOTATION_CREATED'").await?;
        for _ in 0..quantity {
            env.run(
                r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "was_cancelled": false,
                    "result": [{"value": {"choices": ["owl"]}}]}')"#,
            )
            .await?;
        }
        let planned = async || {
            let now = env.number("select count(*) from lshookd.event where action = 'ANNOTATION_CREATED'").await?;
            Ok((now == before + quantity).then_some(()))
        };
        eventually("they are planned", Duration::from_secs(20), planned).await
    };
    let train = async |most: &str| -> Result<Vec<String>> {
        let output = Command::new(machine.command()[0])
            .args(&machine.command()[1..])
            .args([&python, &program("notebook"), &format!("{url}/events"), &pulled.token, most])
            .output()
            .await?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(said.lines().map(str::to_owned).collect())
    };
    annotate(25).await?;
    let first = train("13").await?;
    // Thirteen events; the first is the import of the task.
    assert_eq!(first.len(), 12, "{first:?}");
    drop(daemon);
    // A day goes by, in which people annotate and nobody pulls.
    let _daemon = env.lshookd.run().await?;
    annotate(5).await?;
    env.run(
        "update lshookd.event set occurred_at = occurred_at - interval '1 day', planned_at = planned_at - interval '1 day';
         update lshookd.lease set leased_at = leased_at - interval '1 day', leased_until = leased_until - interval '1 day'",
    )
    .await?;
    let second = train("0").await?;
    assert!(second.last().is_some_and(|line| line.starts_with("choices {'owl':")), "{second:?}");
    let trained = |lines: &[String]| -> Vec<i64> {
        lines.iter().filter_map(|line| line.strip_prefix("trained on ")?.split(' ').next()?.parse().ok()).collect()
    };
    let (before, after) = (trained(&first), trained(&second));
    let rows = env.sql.query("select id::bigint from task_completion order by id", &[]).await?;
    let committed: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let mut all = [before.clone(), after.clone()].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, committed, "nothing is lost");
    assert!(before.is_sorted() && after.is_sorted(), "and all is in order: {before:?}, {after:?}");
    assert!(train("0").await? == ["choices {}"], "and nothing comes again");
    Ok(())
}

/// The document of the API, by schemathesis against the real listener.
#[tokio::test(flavor = "multi_thread")]
async fn the_listener_is_what_its_document_says() -> Result<()> {
    let port = free_port()?;
    let env = TestEnv::new("openapi").await?.with("LSHOOKD_PULL_LISTEN", &format!("127.0.0.1:{port}"));
    let pulled = Pulled::create(&env, port, &["--project", "1"]).await?;
    let _daemon = env.lshookd.run().await?;
    listens("the listener of consumers", port).await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 3)"#).await?;
    let folder = tempfile::tempdir()?;
    // Most requests are to be about the webhook that there is.
    let document = include_str!("../../docs/pull-api.yaml");
    let there = format!("schema: {{type: integer, enum: [{}, 999999]}}", pulled.id);
    let document = document.replace("schema: {type: integer, minimum: 1}", &there);
    ensure!(document.contains(&there));
    // A stream has no end that one could wait for; `pull::a_stream_keeps_its_lease…` is about it.
    let path = folder.path().join("pull-api.yaml");
    std::fs::write(&path, document)?;
    let tested = Command::new(cache().join("client-parts/bin/schemathesis"))
        .arg("run")
        .arg(&path)
        .args(["--url", &format!("http://127.0.0.1:{port}"), "--header", &format!("Authorization: Bearer {}", pulled.token)])
        .args(["--max-examples", "40", "--exclude-path-regex", "stream$", "--request-timeout", "70", "--seed", "1"])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth"])
        .current_dir(folder.path())
        .output()
        .await?;
    ensure!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
    Ok(())
}
