//! The run: Label Studio, its database, lshookd beside it, and the endpoint of both.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::LabelStudio;
use lshookd_testbed::postgres::Database;
use lshookd_testbed::receiver::{Received, Receiver};
use lshookd_testbed::redis::Redis;
use lshookd_testbed::s3::S3;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::compare::differences;
use crate::scenario::{Claim, ORDER, Scenario};
use crate::schema;

/// Path of the organization's webhook for all actions.
pub const ORGANIZATION: &str = "/organization";
/// Path of the project's webhook for all actions.
pub const PROJECT: &str = "/project";

/// A labeling interface with one text and one choice.
pub const CHOICES: &str = r#"<View><Text name="text" value="$text"/><Choices name="kind" toName="text"><Choice value="owl"/><Choice value="wren"/></Choices></View>"#;

/// The result of an annotation of it.
pub fn choice(value: &str) -> Value {
    json!([{"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": [value]}}])
}

/// Where the scenarios are played.
pub struct ScenarioRun {
    /// Label Studio.
    pub studio: LabelStudio,
    /// Its database.
    pub sql: Client,
    /// The same, to look on: a connection that is used all the time never settles.
    watch: Client,
    /// The endpoint.
    pub receiver: Receiver,
    /// The project that is played with; 0 before there is one.
    pub project: i64,
    /// Its tasks, as noted by [`note_tasks`](ScenarioRun::note_tasks).
    pub tasks: Vec<i64>,
    /// The annotation that was made last by [`annotate`](ScenarioRun::annotate).
    pub annotation: i64,
    /// Kind and id of the storage that was connected last.
    pub storage: (&'static str, i64),
    /// Where tasks are stored, and where Label Studio's workers find their jobs.
    pub redis: Option<Redis>,
    /// Where tasks are stored.
    pub store: Option<S3>,
}

/// What came of a scenario.
pub struct Outcome {
    /// What Label Studio sent, as summaries by path.
    pub theirs: Vec<String>,
    /// What lshookd sent.
    pub ours: Vec<String>,
    /// Why the claim does not hold; empty where it does.
    pub faults: Vec<String>,
}

/// The id of an object that Label Studio answered with.
pub fn id(object: &Value) -> Result<i64> {
    object["id"].as_i64().with_context(|| format!("Label Studio answered without an id: {object}"))
}

/// What people do, in a line each.
impl ScenarioRun {
    /// `POST` on a path below the project's.
    pub async fn in_project(&self, path: &str, body: Value) -> Result<Value> {
        self.studio.post(&format!("/api/projects/{}/{path}", self.project), body).await
    }

    /// Changes settings of the project.
    pub async fn set_project(&self, settings: Value) -> Result<Value> {
        self.studio.patch(&format!("/api/projects/{}/", self.project), settings).await
    }

    /// Imports tasks as JSON.
    pub async fn import(&self, tasks: Value) -> Result<Value> {
        self.in_project("import", tasks).await
    }

    /// Notes the ids of the project's tasks.
    pub async fn note_tasks(&mut self) -> Result<()> {
        self.tasks = self.ids("task").await?;
        Ok(())
    }

    /// Submits an annotation of the n-th task noted.
    pub async fn annotate(&mut self, task: usize, annotation: Value) -> Result<()> {
        let made = self.studio.post(&format!("/api/tasks/{}/annotations/", self.tasks[task]), annotation).await?;
        self.annotation = id(&made)?;
        Ok(())
    }

    /// Edits the annotation that was made last.
    pub async fn edit(&self, changes: Value) -> Result<Value> {
        self.studio.patch(&format!("/api/annotations/{}/", self.annotation), changes).await
    }

    /// Runs an action of the data manager, on all tasks or on the n-th ones noted.
    pub async fn act(&self, action: &str, tasks: Option<&[usize]>, more: Value) -> Result<Value> {
        let chosen = tasks.map(|tasks| tasks.iter().map(|index| self.tasks[*index]).collect::<Vec<_>>());
        self.studio.data_manager(action, self.project, chosen.as_deref(), more).await
    }

    /// Calls the API; any answer will do, for versions differ.
    pub async fn attempt(&self, method: Method, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        self.studio.attempt(method, path, body).await
    }

    /// Runs SQL.
    pub async fn run(&self, sql: &str) -> Result<()> {
        Ok(self.sql.batch_execute(sql).await?)
    }

    /// The ids of the project's rows in a table.
    pub async fn ids(&self, table: &str) -> Result<Vec<i64>> {
        let query = format!(
            "select coalesce(array_agg(id::bigint order by id), '{{}}') from {table} where project_id = $1::bigint"
        );
        Ok(self.sql.query_one(&query, &[&self.project]).await?.get(0))
    }

    /// The id of the project's newest row in a table.
    pub async fn newest(&self, table: &str) -> Result<i64> {
        self.ids(table).await?.last().copied().with_context(|| format!("the project has nothing in {table}"))
    }

    /// Adds a webhook by SQL, as older versions of Label Studio did for organizations.
    pub async fn webhook(&self, path: &str, more: Value) -> Result<i64> {
        let mut given = json!({"url": self.receiver.url(path), "organization_id": 1, "project_id": null,
            "is_active": true, "send_payload": true, "send_for_all_actions": true, "headers": {}});
        if let (Value::Object(given), Value::Object(more)) = (&mut given, more) {
            given.extend(more);
        }
        let query = "select (fixture.rows('webhook', $1::text::jsonb))[1]";
        Ok(self.sql.query_one(query, &[&given.to_string()]).await?.get(0))
    }

    /// Lets a webhook receive these actions.
    async fn choose(&self, webhook: i64, actions: &[&str]) -> Result<()> {
        for action in actions {
            let given = json!({"webhook_id": webhook, "action": action}).to_string();
            self.sql.execute("select fixture.rows('webhook_action', $1::text::jsonb)", &[&given]).await?;
        }
        Ok(())
    }
}

impl ScenarioRun {
    /// Sets the run: an organization's webhook for all actions.
    pub async fn start(studio: LabelStudio, database: &Database, receiver: Receiver) -> Result<ScenarioRun> {
        let (sql, watch) = (database.connect().await?, database.connect().await?);
        sql.batch_execute(lshookd_testbed::FIXTURE).await?;
        let run = ScenarioRun {
            studio,
            sql,
            watch,
            receiver,
            project: 0,
            tasks: Vec::new(),
            annotation: 0,
            storage: ("", 0),
            redis: None,
            store: None,
        };
        run.webhook(ORGANIZATION, json!({})).await?;
        Ok(run)
    }

    /// Plays some scenarios; the faults of all.
    pub async fn play_all(&mut self, scenarios: &[Scenario]) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        for scenario in scenarios {
            let outcome = self.play(scenario).await?;
            println!("{}: {:?} / {:?}", scenario.what, outcome.theirs, outcome.ours);
            faults.extend(outcome.faults.iter().map(|fault| format!("{}: {fault}", scenario.what)));
        }
        Ok(faults)
    }

    /// Furnishes it: a project with four tasks, and webhooks of every kind.
    pub async fn furnish(&mut self) -> Result<()> {
        let project = self.studio.post("/api/projects", json!({"title": "Birds", "label_config": CHOICES})).await?;
        self.project = id(&project)?;
        let subscribe = async |path: &str, more: Value| -> Result<()> {
            let mut webhook = json!({"url": self.receiver.url(path), "project": self.project,
                "send_for_all_actions": true, "send_payload": true, "headers": {"X-Aviary": path}});
            if let (Value::Object(webhook), Value::Object(more)) = (&mut webhook, more) {
                webhook.extend(more);
            }
            self.studio.post("/api/webhooks/", webhook).await?;
            Ok(())
        };
        subscribe(PROJECT, json!({})).await?;
        subscribe("/project-bare", json!({"send_payload": false})).await?;
        subscribe("/project-inactive", json!({"is_active": false})).await?;
        let chosen = ["TASKS_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED", "PROJECT_UPDATED"];
        subscribe("/project-chosen", json!({"send_for_all_actions": false, "actions": chosen})).await?;
        let chosen = self.webhook("/organization-chosen", json!({"send_for_all_actions": false})).await?;
        self.choose(chosen, &["TASKS_DELETED", "ANNOTATION_CREATED", "PROJECT_CREATED", "PROJECT_DELETED"]).await?;
        self.webhook("/organization-bare", json!({"send_payload": false})).await?;
        self.import(json!([{"text": "tuwit"}, {"text": "tuwu"}, {"text": "zilp"}, {"text": "zalp"}])).await?;
        self.settle().await?;
        self.note_tasks().await
    }

    /// Waits until Label Studio's workers have nothing to do and lshookd nothing to send.
    pub async fn settle(&self) -> Result<()> {
        self.finish_jobs().await?;
        const OWED: &str =
            "select (select count(*) from lshookd.change) + count(*) from lshookd.delivery where state = 'pending'";
        let done = async || Ok((self.watch.query_one(OWED, &[]).await?.get::<_, i64>(0) == 0).then_some(()));
        eventually("lshookd has sent everything", Duration::from_secs(60), done).await
    }

    /// Waits until Label Studio's workers have nothing to do.
    pub async fn finish_jobs(&self) -> Result<()> {
        let Some(redis) = &self.redis else {
            return Ok(());
        };
        let idle = async || Ok((redis.jobs().await? == 0).then_some(()));
        eventually("the workers are done", Duration::from_secs(60), idle).await
    }

    /// Plays a scenario, and holds its claim against what both sent.
    pub async fn play(&mut self, scenario: &Scenario) -> Result<Outcome> {
        self.receiver.clear();
        (scenario.act)(self).await.with_context(|| scenario.what.to_owned())?;
        self.settle().await.with_context(|| scenario.what.to_owned())?;
        let (ours, theirs): (Vec<Received>, Vec<Received>) =
            self.receiver.received().into_iter().partition(Received::is_ours);
        let mut faults = judge(scenario, &theirs, &ours);
        faults.extend(schema::faults(&ours));
        let summaries =
            |all: &[Received]| all.iter().map(|request| format!("{} {}", request.path, request.summary())).collect();
        Ok(Outcome { theirs: summaries(&theirs), ours: summaries(&ours), faults })
    }
}

fn at<'a>(all: &'a [Received], path: &str) -> Vec<&'a Received> {
    all.iter().filter(|request| request.path == path).collect()
}

fn actions<'a>(requests: &[&'a Received]) -> Vec<&'a str> {
    requests.iter().map(|request| request.action()).collect()
}

/// Why a scenario's claim does not hold.
fn judge(scenario: &Scenario, theirs: &[Received], ours: &[Received]) -> Vec<String> {
    let mut faults = Vec::new();
    let neither = matches!(scenario.claim, Claim::SameOrNeither(_)) && ours.is_empty();
    let organization_only = ["PROJECT_CREATED", "PROJECT_DELETED"];
    for path in [ORGANIZATION, PROJECT] {
        let wanted: Vec<&str> = match path {
            _ if neither => Vec::new(),
            PROJECT => scenario.actions.iter().copied().filter(|name| !organization_only.contains(name)).collect(),
            _ => scenario.actions.to_vec(),
        };
        let sent = actions(&at(ours, path));
        if sent != wanted {
            faults.push(format!("{path}: lshookd sent {sent:?}, expected {wanted:?}"));
        }
    }
    if let Claim::Differs(expected, _) = scenario.claim {
        let sent = actions(&at(theirs, PROJECT));
        if sent != expected {
            faults.push(format!("{PROJECT}: Label Studio sent {sent:?}, expected {expected:?}"));
        }
        return faults;
    }
    let early: &[&str] = match scenario.claim {
        Claim::ReadEarly(fields) => fields,
        _ => &[],
    };
    let paths: BTreeSet<&str> = theirs.iter().chain(ours).map(|request| request.path.as_str()).collect();
    for path in paths {
        let differ = compare(&at(theirs, path), &at(ours, path), early);
        faults.extend(differ.into_iter().map(|difference| format!("{path}: {difference}")));
    }
    faults
}

/// Where the requests of the two senders to one webhook differ, beside the fields read early.
fn compare(theirs: &[&Received], ours: &[&Received], early: &[&str]) -> Vec<String> {
    if actions(theirs) != actions(ours) {
        return vec![format!("Label Studio sent {:?}, lshookd {:?}", actions(theirs), actions(ours))];
    }
    let mut faults = Vec::new();
    for (theirs, ours) in theirs.iter().zip(ours) {
        let field = |difference: &str| {
            difference.split(':').next().and_then(|path| path.rsplit('.').next()).unwrap_or_default().to_owned()
        };
        let mut theirs_body = theirs.body.clone();
        let tasks = theirs_body.get_mut("tasks").and_then(Value::as_array_mut);
        if let Some(tasks) = tasks.filter(|_| early.contains(&ORDER)) {
            tasks.sort_by_key(|task| task["id"].as_i64());
        }
        let differ = differences(&theirs_body, &ours.body);
        faults.extend(differ.into_iter().filter(|difference| !early.contains(&field(difference).as_str())));
        for (name, value) in
            theirs.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-") || *name == "content-type")
        {
            if ours.headers.get(name) != Some(value) {
                faults.push(format!("header {name} differs"));
            }
        }
    }
    faults
}
