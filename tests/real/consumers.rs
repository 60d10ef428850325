//! What people really attach: a model that trains on annotations, by label-studio-ml, and a
//! receiver after Label Studio's documentation.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lshookd_scenarios::scenario_run::{CHOICES, PROJECT, ScenarioRun, choice};
use lshookd_scenarios::scenarios::tables;
use lshookd_testbed::child_guard::ChildGuard;
use lshookd_testbed::daemon::Lshookd;
use lshookd_testbed::label_studio::{Installation, Surroundings, TOKEN};
use lshookd_testbed::receiver::{Received, Receiver};
use lshookd_testbed::{cache, eventually, free_port, listens};
use serde_json::{Value, json};

use crate::python_client::python;
use crate::test_env::{installed, label_studio_database, run, version};

/// A program in Python, with what `tests/testbed/setup.sh` installed for it.
struct Consumer {
    base: String,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
    _guard: ChildGuard,
}

impl Consumer {
    /// Starts a program with a port, a folder of its own, and what else it wants to know.
    async fn start(name: &str, arguments: &[&str]) -> Result<Consumer> {
        Consumer::start_on(free_port()?, name, arguments).await
    }

    async fn start_on(port: u16, name: &str, arguments: &[&str]) -> Result<Consumer> {
        let folder = tempfile::tempdir()?;
        let python = cache().join("python-parts/bin/python").display().to_string();
        let program = format!("{}/tests/real/consumers/{name}.py", env!("CARGO_MANIFEST_DIR"));
        let mut command = vec![python, program, port.to_string(), folder.path().display().to_string()];
        command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let guard = ChildGuard::start(&command, &[], Path::new("/dev/null"), "").await?;
        listens(name, port).await?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Consumer { base: format!("http://127.0.0.1:{port}"), client, _folder: folder, _guard: guard })
    }

    async fn ask(&self, path: &str, body: Value) -> Result<Value> {
        let request = match body {
            Value::Null => self.client.get(format!("{}{path}", self.base)),
            body => self.client.post(format!("{}{path}", self.base)).json(&body),
        };
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// What the model says of a call, and the title of the project as it knows it.
    async fn guess(&self, text: &str) -> Result<(String, String)> {
        self.ask("/setup", json!({"project": "1.1", "schema": CHOICES})).await?;
        let answer = self.ask("/predict", json!({"tasks": [{"data": {"text": text}}], "project": "1.1"})).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let guess = &answer["results"][0];
        Ok((text(&guess["result"][0]["value"]["choices"][0]), text(&guess["model_version"])))
    }

    /// Waits until the model has learned to say so.
    async fn learns(&self, call: &str, bird: &str, title: &str) -> Result<()> {
        let known = async || Ok((self.guess(call).await? == (bird.to_owned(), title.to_owned())).then_some(()));
        let what = format!("the model takes {call:?} for a {bird} in project {title:?}");
        eventually(&what, Duration::from_secs(60), known).await
    }
}

/// It learns from annotations and from their correction, and other endpoints do not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_trains_on_annotations_as_they_come() -> Result<()> {
    let (mut run, _daemon) = run(&label_studio_database("model").await?, Surroundings::default()).await?;
    run.furnish().await?;
    let model = Consumer::start("bird_model", &[]).await?;
    let webhook = json!({"url": format!("{}/webhook", model.base), "project": run.project, "send_payload": true,
        "send_for_all_actions": false, "actions": ["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "PROJECT_UPDATED"]});
    run.studio.post("/api/webhooks/", webhook).await?;
    run.import(json!([{"text": "hu hu hu"}, {"text": "zirp zirp"}, {"text": "hu schuhu"}, {"text": "trrr"}])).await?;
    run.settle().await?;
    run.note_tasks().await?;
    run.receiver.clear();

    let first = run.tasks.len() - 4;
    for (task, bird) in ["owl", "wren", "owl"].into_iter().enumerate() {
        run.annotate(first + task, json!({"result": choice(bird)})).await?;
    }
    let elsewhere = async || {
        let ours = |request: &Received| request.is_ours() && request.path == PROJECT;
        Ok((run.receiver.received().into_iter().filter(ours).count() == 3).then_some(()))
    };
    eventually("the other endpoint has everything", Duration::from_secs(20), elsewhere).await?;
    ensure!(model.guess("hu schuhu zirp").await?.0 != "owl", "the model cannot have learned all of it yet");

    model.learns("hu schuhu zirp", "owl", "Birds").await?;
    model.learns("zirp", "wren", "Birds").await?;
    run.edit(json!({"result": choice("wren")})).await?; // "hu schuhu" was no owl.
    model.learns("schuhu", "wren", "Birds").await?;
    run.set_project(json!({"title": "Night birds"})).await?;
    model.learns("schuhu", "wren", "Night birds").await?;
    run.settle().await
}

/// A backend that trains for longer than any other endpoint may take, connected in Label Studio: it trains once an
/// event, one after the other, and nobody else waits. Killed while it trains, it gets the event again.
#[tokio::test(flavor = "multi_thread")]
async fn an_ml_backend_may_train_before_it_answers() -> Result<()> {
    let database = label_studio_database("mlbackend").await?;
    let (mut run, _daemon) = run(&database, Surroundings::default()).await?;
    run.furnish().await?;
    let lshookd = crate::test_env::lshookd(&database);
    let port = free_port()?;
    let model = Consumer::start_on(port, "bird_model", &["17"]).await?;
    run.studio.post("/api/ml", json!({"url": model.base, "project": run.project, "title": "birds"})).await?;
    let connected = format!("select id::bigint from webhook where url = '{}/webhook'", model.base);
    let webhook: i64 = run.sql.query_one(&connected, &[]).await?.get(0);
    lshookd.succeed(&["webhook", "adopt", &webhook.to_string()]).await?;
    let listed: Value = serde_json::from_str(&lshookd.succeed(&["webhook", "list", "--json"]).await?)?;
    let of_backend = |webhook: &&Value| webhook["is_ml_backend"] == true;
    let of_backends: Vec<&Value> = listed.as_array().into_iter().flatten().filter(of_backend).collect();
    ensure!(of_backends.len() == 1 && of_backends[0]["id"] == webhook, "{listed}");
    lshookd.succeed(&["delivery", "skip", "--webhook", &webhook.to_string()]).await?;
    run.receiver.clear();

    run.annotate(0, json!({"result": choice("owl")})).await?;
    run.annotate(1, json!({"result": choice("wren")})).await?;
    let elsewhere = async || {
        let ours = |request: &Received| request.is_ours() && request.path == PROJECT;
        Ok((run.receiver.received().into_iter().filter(ours).count() >= 2).then_some(()))
    };
    eventually("the other endpoint has everything", Duration::from_secs(10), elsewhere).await?;
    let attempts = format!(
        "select attempt.number, attempt.error, attempt.duration_ms, attempt.started_at
         from lshookd.attempt join lshookd.delivery on delivery.id = attempt.delivery_id
         join lshookd.event on event.id = delivery.event_id
         where delivery.webhook_id = {webhook} and event.action = 'ANNOTATION_CREATED' order by attempt.started_at"
    );
    let trained = async || Ok((run.sql.query(&attempts, &[]).await?.len() >= 2).then_some(()));
    eventually("it has trained twice", Duration::from_secs(90), trained).await?;
    let rows = run.sql.query(&attempts, &[]).await?;
    for row in &rows {
        let (number, error, duration): (i32, Option<String>, i32) = (row.get(0), row.get(1), row.get(2));
        ensure!(number == 1 && error.is_none() && duration >= 17_000, "{number} {error:?} {duration}");
    }
    let began = |place: usize| rows[place].get::<_, std::time::SystemTime>(3);
    ensure!(began(1).duration_since(began(0))? >= Duration::from_secs(17), "one after the other");

    run.annotate(2, json!({"result": choice("owl")})).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    drop(model);
    let failed = async || Ok((run.sql.query(&attempts, &[]).await?.len() >= 3).then_some(()));
    eventually("the attempt has failed", Duration::from_secs(10), failed).await?;
    let model = Consumer::start_on(port, "bird_model", &["1.2"]).await?;
    eventually("it has trained", Duration::from_secs(60), async || {
        let last = run.sql.query(&attempts, &[]).await?.pop().context("no attempt")?;
        Ok((last.get::<_, i32>(0) >= 2 && last.get::<_, Option<String>>(1).is_none()).then_some(()))
    })
    .await?;
    drop(model);
    Ok(())
}

/// Everything that the reference promises of each action is there, and every request is signed:
/// by a secret that the receiver knows, also while it is being rotated.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_after_the_documentation_understands_every_action() -> Result<()> {
    let (mut run, _daemon) = run(&label_studio_database("reference").await?, Surroundings::default()).await?;
    let webhook = run.webhook("/", json!({})).await?;
    let secret: String = run.sql.query_one("select lshookd.rotate_secret($1)", &[&webhook]).await?.get(0);
    let receiver = Consumer::start("receiver", &[&secret]).await?;
    run.sql
        .execute("update webhook set url = $1::text where id::bigint = $2", &[&format!("{}/", receiver.base), &webhook])
        .await?;
    let tour = tables().into_iter().find(|table| table.name == "the tour").context("no tour")?;
    let (first, last) = tour.scenarios.split_at(tour.scenarios.len() / 2);
    run.play_all(first).await?;
    run.sql.execute("select lshookd.rotate_secret($1)", &[&webhook]).await?;
    run.play_all(last).await?;
    run.settle().await?;
    let seen = receiver.ask("/seen", Value::Null).await?;
    let actions = [
        "PROJECT_CREATED",
        "PROJECT_UPDATED",
        "PROJECT_DELETED",
        "TASKS_CREATED",
        "TASKS_DELETED",
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATIONS_CREATED",
        "ANNOTATIONS_DELETED",
        "LABEL_LINK_CREATED",
        "LABEL_LINK_UPDATED",
        "LABEL_LINK_DELETED",
    ];
    for action in actions {
        ensure!(seen[action].as_i64().is_some_and(|count| count > 0), "{action} did not come: {seen}");
    }
    let refused = "select count(*) from lshookd.attempt where status is distinct from 200";
    let refused: i64 = run.sql.query_one(refused, &[]).await?.get(0);
    ensure!(refused == 0, "{refused} requests were refused");
    Ok(())
}

/// A recipe of the documentation, subscribed to by the operator's command and started as it says.
struct Recipe {
    folder: tempfile::TempDir,
    _guard: ChildGuard,
}

impl Recipe {
    /// One that pulls.
    async fn pull(
        lshookd: &Lshookd,
        run: &ScenarioRun,
        port: u16,
        program: &str,
        (actions, arguments): (&str, &[&str]),
    ) -> Result<Recipe> {
        let made = lshookd.succeed(&["webhook", "create", "pull:", "--actions", actions, "--json"]).await?;
        let made: Value = serde_json::from_str(&made)?;
        let url = format!("http://127.0.0.1:{port}/v1/webhooks/{}", made["id"]);
        let token = made["token"].as_str().context("no token")?;
        let environment = [
            ("PULL_URL", url.as_str()),
            ("PULL_TOKEN", token),
            ("LABEL_STUDIO_URL", &run.studio.base),
            ("LABEL_STUDIO_TOKEN", TOKEN),
        ];
        let path = path_of(program);
        Recipe::start(&[&[path.as_str()], arguments].concat(), &environment).await
    }

    /// One that receives.
    async fn receive(lshookd: &Lshookd, program: &str, actions: &str, notify: &str) -> Result<Recipe> {
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}/");
        let made = lshookd.succeed(&["webhook", "create", &url, "--actions", actions, "--json"]).await?;
        let id = serde_json::from_str::<Value>(&made)?["id"].to_string();
        let secrets: Value = serde_json::from_str(&lshookd.succeed(&["webhook", "secret", &id, "--json"]).await?)?;
        let secret = secrets[0]["secret"].as_str().context("no secret")?;
        let environment = [("WEBHOOK_SECRET", secret), ("NOTIFY", notify)];
        let arguments = ["-m", "lshookd", "receive", &path_of(program), "--port", &port.to_string()];
        let recipe = Recipe::start(&arguments, &environment).await?;
        listens(program, port).await?;
        Ok(recipe)
    }

    async fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Recipe> {
        let folder = tempfile::tempdir()?;
        let python = python().await?.display().to_string();
        let mut command = vec!["env".to_owned(), format!("--chdir={}", folder.path().display()), python];
        command
            .extend(arguments.iter().map(|argument| argument.replace("FOLDER", &folder.path().display().to_string())));
        let mut environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        environment.push(("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned()));
        let guard = ChildGuard::start(&command, &environment, &folder.path().join("log"), "").await?;
        Ok(Recipe { folder, _guard: guard })
    }

    /// Waits until a file of its folder says so.
    async fn says(&self, file: &str, expected: &str) -> Result<()> {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let said = async || Ok((read(file) == expected).then_some(()));
        let outcome = eventually(&format!("{file} says {expected:?}"), Duration::from_secs(30), said).await;
        outcome.with_context(|| format!("it says {:?}; the log: {}", read(file), read("log")))
    }
}

fn path_of(recipe: &str) -> String {
    format!("{}/docs/recipes/{recipe}.py", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipes_of_the_documentation_work() -> Result<()> {
    let database = label_studio_database("recipes").await?;
    let port = free_port()?;
    let studio = Installation::find(&version())?.start(&database).await?;
    let lshookd = installed(&database).await?.with("LSHOOKD_PULL_LISTEN", &format!("127.0.0.1:{port}"));
    let _daemon = lshookd.run().await?;
    let mut run = ScenarioRun::start(studio, &database, Receiver::start().await?).await?;
    let training = ("ANNOTATION_CREATED,ANNOTATIONS_CREATED", &["3", "sh", "-c", "echo $0 $1 >>trained"][..]);
    let train = Recipe::pull(&lshookd, &run, port, "train_after", training).await?;
    let learning = ("ANNOTATION_CREATED,ANNOTATIONS_CREATED,ANNOTATION_UPDATED", &[][..]);
    let learn = Recipe::pull(&lshookd, &run, port, "active_learning", learning).await?;
    let tell = Recipe::receive(&lshookd, "notify_annotators", "PROJECT_CREATED,PROJECT_UPDATED", "cat >>told").await?;
    let keeping =
        "ANNOTATION_CREATED,ANNOTATIONS_CREATED,ANNOTATION_UPDATED,ANNOTATIONS_DELETED,TASKS_CREATED,TASKS_DELETED";
    let keep = Recipe::pull(&lshookd, &run, port, "dataset_version", (keeping, &["FOLDER/repository", "1"])).await?;
    let repository = keep.folder.path().join("repository");
    for arguments in [&["init", "--quiet"][..], &["config", "user.name", "t"], &["config", "user.email", "t@localhost"]]
    {
        std::fs::create_dir_all(&repository)?;
        ensure!(std::process::Command::new("git").arg("-C").arg(&repository).args(arguments).status()?.success());
    }

    run.furnish().await?;
    tell.says("told", "There is a new project: Birds\n").await?;
    for (task, bird) in [(0, "owl"), (1, "owl"), (2, "wren")] {
        run.annotate(task, json!({"result": choice(bird)})).await?;
    }
    train.says("trained", &format!("{} 3\n", run.project)).await?;
    let predicted = async || {
        let row = run.sql.query_one("select count(*) from prediction where model_version = 'words'", &[]).await?;
        Ok((row.get::<_, i64>(0) > 0).then_some(()))
    };
    let outcome = eventually("there are predictions", Duration::from_secs(30), predicted).await;
    outcome.with_context(|| std::fs::read_to_string(learn.folder.path().join("log")).unwrap_or_default())?;
    run.set_project(json!({"label_config": CHOICES.replace("wren", "wren\"/><Choice value=\"tit")})).await?;
    tell.says("told", "There is a new project: Birds\nThe labeling interface of Birds has changed\n").await?;
    let committed = async || {
        let log = std::process::Command::new("git").arg("-C").arg(&repository).args(["log", "--format=%s"]).output()?;
        Ok(String::from_utf8(log.stdout)?.contains("Birds: annotations").then_some(()))
    };
    let outcome = eventually("the dataset is committed", Duration::from_secs(30), committed).await;
    outcome.with_context(|| std::fs::read_to_string(keep.folder.path().join("log")).unwrap_or_default())?;

    // Whatever else comes by the actions that they ask for: skipped, empty, in bulk, edited, deleted.
    run.annotate(0, json!({"result": [], "was_cancelled": true})).await?;
    run.annotate(1, json!({"result": []})).await?;
    run.edit(json!({"result": choice("owl")})).await?;
    run.act("predictions_to_annotations", Some(&[3]), json!({})).await?;
    run.act("delete_tasks_annotations", Some(&[2]), json!({})).await?;
    run.import(json!([{"text": "tuwit"}])).await?;
    run.act("delete_tasks", Some(&[2]), json!({})).await?;
    run.settle().await?;
    for (name, recipe) in [("train_after", &train), ("active_learning", &learn), ("notify", &tell), ("dataset", &keep)]
    {
        let log = std::fs::read_to_string(recipe.folder.path().join("log")).unwrap_or_default();
        ensure!(!log.contains("Traceback"), "{name}: {log}");
    }
    let failed = "select count(*) from lshookd.delivery where state <> 'delivered' or attempts > 1";
    let failed: i64 = run.sql.query_one(failed, &[]).await?.get(0);
    ensure!(failed == 0, "{failed} events were not handled at once");
    let kinds = "select array_agg(distinct action order by action) from lshookd.event";
    let kinds: Vec<String> = run.sql.query_one(kinds, &[]).await?.get(0);
    for kind in ["ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED", "ANNOTATION_UPDATED", "TASKS_DELETED"] {
        ensure!(kinds.iter().any(|action| action == kind), "no {kind} came");
    }
    Ok(())
}
