//! What people do in Label Studio, and how what lshookd sends then compares with what Label
//! Studio sends: the table that the tests check and the demonstration shows.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::compare::{differences, summary};
use crate::label_studio::LabelStudio;
use crate::receiver::{Received, Receiver};

/// Path of the organization's webhook.
pub const ORGANIZATION: &str = "/organization";
/// Path of the project's webhook.
pub const PROJECT: &str = "/project";

/// How the two senders compare.
#[derive(Debug, Clone, Copy)]
pub enum Claim {
    /// Event for event, value for value.
    Same,
    /// The same events; these values differ, for Label Studio reads them before its own last
    /// writes and lshookd after.
    ReadEarly(&'static [&'static str]),
    /// Label Studio sends nothing, or less; why.
    Less(&'static str),
    /// Neither sends anything; why.
    Nothing(&'static str),
    /// Some versions of Label Studio fail and undo it, so that neither sends anything; others
    /// do it, and both send the same.
    Undone(&'static str),
}

type Act = for<'a> fn(&'a mut Stage) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// One thing that people do.
pub struct Scenario {
    /// In the imperative.
    pub what: &'static str,
    /// What lshookd sends to the project's webhook, in order (to the organization's, where it
    /// is about the project itself).
    pub actions: &'static [&'static str],
    /// How that compares.
    pub claim: Claim,
    act: Act,
}

/// Label Studio, its database, and the endpoint of its webhooks.
pub struct Stage {
    /// Label Studio.
    pub studio: LabelStudio,
    /// Its database.
    pub sql: Client,
    /// The endpoint.
    pub receiver: Receiver,
    /// The project that is played with; 0 before there is one.
    pub project: i64,
    tasks: Vec<i64>,
    annotation: i64,
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

const LABELS: &str = r#"<View><Text name="text" value="$text"/><Choices name="kind" toName="text"><Choice value="owl"/><Choice value="wren"/></Choices></View>"#;

fn choice(value: &str) -> Value {
    json!([{"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": [value]}}])
}

macro_rules! scenario {
    ($what:literal, [$($action:literal),*], $claim:expr, |$stage:ident| $body:block) => {
        Scenario { what: $what, actions: &[$($action),*], claim: $claim, act: |$stage| Box::pin(async move { $body; Ok(()) }) }
    };
}

/// All scenarios, in the order in which they build on each other.
pub fn scenarios() -> Vec<Scenario> {
    use Claim::{Less, Nothing, ReadEarly, Same, Undone};
    vec![
        scenario!("create a project", ["PROJECT_CREATED"], Same, |stage| {
            let project = stage.studio.post("/api/projects", json!({"title": "Birds", "label_config": LABELS})).await?;
            stage.project = id(&project)?;
        }),
        scenario!("subscribe a webhook to it", [], Nothing("subscribing is no event"), |stage| {
            let webhook = json!({"url": stage.receiver.url(PROJECT), "project": stage.project, "send_for_all_actions": true,
                                 "send_payload": true, "headers": {"X-Aviary": "7"}});
            stage.studio.post("/api/webhooks/", webhook).await?
        }),
        scenario!("import tasks with predictions and annotations", ["TASKS_CREATED"], Same, |stage| {
            let task = |number: i32| {
                let annotations = if number == 0 { json!([{"result": choice("owl")}]) } else { json!([]) };
                json!({"data": {"text": format!("call {number} — «hu-hu»")}, "annotations": annotations,
                       "predictions": [{"result": choice("owl"), "model_version": "v1", "score": 0.5}]})
            };
            stage
                .studio
                .post(&format!("/api/projects/{}/import", stage.project), Value::Array((0..4).map(task).collect()))
                .await?;
            stage.tasks = stage.ids("task").await?;
        }),
        scenario!("create one task", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.post("/api/tasks/", json!({"project": stage.project, "data": {"text": "one more"}})).await?
        }),
        scenario!("label a task", ["ANNOTATION_CREATED"], Same, |stage| {
            let annotation = json!({"result": choice("owl"), "lead_time": 1.5});
            let made = stage.studio.post(&format!("/api/tasks/{}/annotations/", stage.tasks[1]), annotation).await?;
            stage.annotation = id(&made)?;
        }),
        scenario!("re-label it", ["ANNOTATION_UPDATED"], Same, |stage| {
            stage
                .studio
                .patch(
                    &format!("/api/annotations/{}/", stage.annotation),
                    json!({"result": choice("wren"), "lead_time": 3}),
                )
                .await?
        }),
        scenario!("make it ground truth", ["ANNOTATION_UPDATED"], Same, |stage| {
            stage
                .studio
                .patch(&format!("/api/annotations/{}/", stage.annotation), json!({"ground_truth": true}))
                .await?
        }),
        scenario!("skip a task", ["ANNOTATION_CREATED"], Same, |stage| {
            let path = format!("/api/tasks/{}/annotations/?was_cancelled=1", stage.tasks[2]);
            stage.studio.post(&path, json!({"result": []})).await?
        }),
        scenario!("un-skip it", ["ANNOTATION_UPDATED"], Same, |stage| {
            let skipped = *stage.ids("task_completion").await?.last().context("no annotation")?;
            let path = format!("/api/annotations/{skipped}/?was_cancelled=0");
            stage.studio.patch(&path, json!({"result": choice("owl"), "was_cancelled": false})).await?
        }),
        scenario!("save a draft and submit it", ["ANNOTATION_CREATED"], Same, |stage| {
            let draft = stage
                .studio
                .post(
                    &format!("/api/tasks/{}/drafts", stage.tasks[3]),
                    json!({"result": choice("owl"), "lead_time": 1}),
                )
                .await?;
            let annotation = json!({"result": choice("owl"), "draft_id": id(&draft)?});
            stage.studio.post(&format!("/api/tasks/{}/annotations/", stage.tasks[3]), annotation).await?
        }),
        scenario!(
            "convert an annotation to a draft",
            ["ANNOTATIONS_DELETED"],
            Less("Label Studio looks the deleted row up, and finds nothing to send"),
            |stage| {
                let last = *stage.ids("task_completion").await?.last().context("no annotation")?;
                // Label Studio 1.13.1 does it and answers 500.
                stage
                    .studio
                    .attempt(Method::POST, &format!("/api/annotations/{last}/convert-to-draft"), Value::Null)
                    .await?
            }
        ),
        scenario!("delete an annotation", ["ANNOTATIONS_DELETED"], Same, |stage| {
            stage.studio.delete(&format!("/api/annotations/{}/", stage.annotation)).await?
        }),
        scenario!(
            "turn predictions into annotations",
            ["ANNOTATIONS_CREATED"],
            ReadEarly(&["total_annotations", "is_labeled", "finished_task_number"]),
            |stage| { stage.studio.data_manager("predictions_to_annotations", stage.project, None, json!({})).await? }
        ),
        scenario!(
            "propagate an annotation",
            ["ANNOTATIONS_CREATED"],
            Less("Label Studio announces no propagation"),
            |stage| {
                let source = *stage.ids("task_completion").await?.first().context("no annotation")?;
                let tasks = [stage.tasks[1]];
                stage
                    .studio
                    .data_manager(
                        "propagate_annotations",
                        stage.project,
                        Some(&tasks),
                        json!({"source_annotation_id": source}),
                    )
                    .await?
            }
        ),
        scenario!("change the project's title", ["PROJECT_UPDATED"], Same, |stage| {
            stage.studio.patch(&format!("/api/projects/{}/", stage.project), json!({"title": "Night birds"})).await?
        }),
        scenario!("save the project unchanged", ["PROJECT_UPDATED"], Same, |stage| {
            stage.studio.patch(&format!("/api/projects/{}/", stage.project), json!({"title": "Night birds"})).await?
        }),
        scenario!("change the labelling interface", ["PROJECT_UPDATED"], Same, |stage| {
            let labels = LABELS.replace("</Choices>", r#"<Choice value="bat"/></Choices>"#);
            stage.studio.patch(&format!("/api/projects/{}/", stage.project), json!({"label_config": labels})).await?
        }),
        scenario!("edit a task's data", [], Nothing("Label Studio has no action for it"), |stage| {
            stage.studio.patch(&format!("/api/tasks/{}/", stage.tasks[0]), json!({"data": {"text": "edited"}})).await?
        }),
        scenario!("import predictions", [], Nothing("Label Studio has no action for it"), |stage| {
            let prediction = json!({"task": stage.tasks[0], "result": choice("wren"), "model_version": "v2"});
            stage.studio.post("/api/predictions/", prediction).await?
        }),
        scenario!(
            "synchronize a local storage",
            ["TASKS_CREATED"],
            ReadEarly(&["overlap", "finished_task_number"]),
            |stage| {
                let folder = stage.studio.files.join("calls");
                std::fs::create_dir_all(&folder)?;
                for number in 0..5 {
                    std::fs::write(
                        folder.join(format!("{number}.json")),
                        json!({"text": format!("stored {number}")}).to_string(),
                    )?;
                }
                let storage = json!({"project": stage.project, "path": folder, "regex_filter": ".*json", "use_blob_urls": false, "title": "calls"});
                let storage = stage.studio.post("/api/storages/localfiles", storage).await?;
                stage.studio.post(&format!("/api/storages/localfiles/{}/sync", id(&storage)?), Value::Null).await?
            }
        ),
        scenario!("upload a CSV file", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.upload(stage.project, "calls.csv", "text\nkiwitt\nschuhu\n").await?
        }),
        scenario!(
            "re-import it",
            ["TASKS_DELETED", "TASKS_CREATED"],
            Less("Label Studio does not say that the tasks of the first import went"),
            |stage| {
                let row = stage.sql.query_one("select array_agg(id::bigint) from data_import_fileupload", &[]).await?;
                let uploads = json!({"file_upload_ids": row.get::<_, Vec<i64>>(0), "files_as_tasks_list": false});
                stage.studio.post(&format!("/api/projects/{}/reimport", stage.project), uploads).await?
            }
        ),
        scenario!("import a plain text file", ["TASKS_CREATED"], Same, |stage| {
            stage.studio.upload(stage.project, "calls.txt", "tschilp\n").await?
        }),
        scenario!("delete one task", ["TASKS_DELETED"], Same, |stage| {
            stage.studio.delete(&format!("/api/tasks/{}/", stage.tasks[3])).await?
        }),
        scenario!(
            "delete the annotations of all tasks",
            ["ANNOTATIONS_DELETED"],
            ReadEarly(&["finished_task_number"]),
            |stage| { stage.studio.data_manager("delete_tasks_annotations", stage.project, None, json!({})).await? }
        ),
        scenario!("delete two tasks", ["TASKS_DELETED"], Same, |stage| {
            let tasks = [stage.tasks[0], stage.tasks[1]];
            stage.studio.data_manager("delete_tasks", stage.project, Some(&tasks), json!({})).await?
        }),
        scenario!(
            "delete all tasks by the API",
            ["TASKS_DELETED"],
            Less("Label Studio tells the organization's webhooks alone, and not of which project"),
            |stage| { stage.studio.delete(&format!("/api/projects/{}/tasks/", stage.project)).await? }
        ),
        scenario!("insert tasks by SQL", ["TASKS_CREATED"], Less("Label Studio does not see SQL"), |stage| {
            stage
                .sql
                .batch_execute(&format!(
                    r#"begin; select fixture.rows('task', '{{"project_id": {0}, "data": {{"text": "by SQL"}}, "overlap": 1}}', 3);
                       select fixture.rows('task', '{{"project_id": {0}, "data": {{"text": "by SQL"}}, "overlap": 1}}', 2); commit"#,
                    stage.project
                ))
                .await?
        }),
        scenario!("insert tasks and roll back", [], Nothing("nothing happened"), |stage| {
            stage
                .sql
                .batch_execute(&format!(
                    r#"begin; select fixture.rows('task', '{{"project_id": {}}}'); rollback"#,
                    stage.project
                ))
                .await?
        }),
        scenario!(
            "create a label by the API",
            ["LABEL_LINK_CREATED"],
            Undone("while a webhook listens, Label Studio's labels API answers 500 and undoes the label"),
            |stage| {
                let label = json!([{"project": stage.project, "from_name": "kind", "title": "owl", "value": ["owl"]}]);
                stage.studio.attempt(Method::POST, "/api/labels/", label).await?
            }
        ),
        scenario!("link a label by SQL", ["LABEL_LINK_CREATED"], Less("Label Studio does not see SQL"), |stage| {
            stage
                .sql
                .batch_execute(&format!(
                    r#"begin;
                       select fixture.rows('labels_manager_label', '{{"title": "wren", "value": ["wren"], "organization_id": 1, "created_by_id": 1}}');
                       select fixture.rows('labels_manager_labellink', jsonb_build_object('project_id', {}, 'label_id', max(id), 'from_name', 'kind'))
                       from labels_manager_label;
                       commit"#,
                    stage.project
                ))
                .await?
        }),
        scenario!("change the label's link", ["LABEL_LINK_UPDATED"], Same, |stage| {
            let link = *stage.ids("labels_manager_labellink").await?.last().context("no link")?;
            stage.studio.patch(&format!("/api/label_links/{link}/"), json!({"from_name": "species"})).await?
        }),
        scenario!("delete the label's link", ["LABEL_LINK_DELETED"], Same, |stage| {
            let link = *stage.ids("labels_manager_labellink").await?.last().context("no link")?;
            stage.studio.delete(&format!("/api/label_links/{link}/")).await?
        }),
        scenario!("delete the project", ["PROJECT_DELETED"], Same, |stage| {
            stage.studio.delete(&format!("/api/projects/{}/", stage.project)).await?
        }),
    ]
}

fn id(object: &Value) -> Result<i64> {
    object["id"].as_i64().with_context(|| format!("Label Studio answered without an id: {object}"))
}

impl Stage {
    /// Sets the stage: an organization's webhook for every action.
    pub async fn set(studio: LabelStudio, sql: Client, receiver: Receiver) -> Result<Stage> {
        let given = json!({"url": receiver.url(ORGANIZATION), "organization_id": 1, "project_id": null, "is_active": true,
                           "send_payload": true, "send_for_all_actions": true, "headers": {}});
        sql.execute("select fixture.rows('webhook', $1::text::jsonb)", &[&given.to_string()]).await?;
        Ok(Stage { studio, sql, receiver, project: 0, tasks: Vec::new(), annotation: 0 })
    }

    async fn ids(&self, table: &str) -> Result<Vec<i64>> {
        let query = format!(
            "select coalesce(array_agg(id::bigint order by id), '{{}}') from {table} where project_id = $1::bigint"
        );
        Ok(self.sql.query_one(&query, &[&self.project]).await?.get(0))
    }

    /// Plays a scenario, and holds its claim against what both sent.
    pub async fn play(&mut self, scenario: &Scenario) -> Result<Outcome> {
        self.receiver.clear();
        (scenario.act)(self).await.with_context(|| scenario.what.to_owned())?;
        let expected = self.expected(scenario);
        let total: usize = expected.values().map(Vec::len).sum();
        // One too few shows as a fault below.
        let patience = Duration::from_secs(if matches!(scenario.claim, Claim::Undone(_)) { 3 } else { 15 });
        let _ = tokio::time::timeout(patience, self.receiver.expect(total)).await;
        let (ours, theirs): (Vec<Received>, Vec<Received>) =
            self.receiver.received().into_iter().partition(Received::is_ours);
        let mut faults = Vec::new();
        for path in [ORGANIZATION, PROJECT] {
            let at = |all: &[Received]| -> Vec<Received> {
                all.iter().filter(|request| request.path == path).cloned().collect()
            };
            let actions: Vec<String> = at(&ours).iter().map(|request| request.action().to_owned()).collect();
            let wanted = expected.get(path).cloned().unwrap_or_default();
            let undone = matches!(scenario.claim, Claim::Undone(_)) && ours.is_empty();
            if actions != wanted && !undone {
                faults.push(format!("{path}: lshookd sent {actions:?}, expected {wanted:?}"));
            }
            faults.extend(judge(scenario.claim, &at(&theirs), &at(&ours)));
        }
        if matches!(scenario.claim, Claim::Less(_)) && theirs.len() >= ours.len() {
            faults.push(format!("Label Studio sent {} events, no fewer than lshookd", theirs.len()));
        }
        let summaries =
            |all: &[Received]| all.iter().map(|request| format!("{} {}", request.path, summary(request))).collect();
        Ok(Outcome { theirs: summaries(&theirs), ours: summaries(&ours), faults })
    }

    /// The actions that lshookd sends, by path.
    fn expected(&self, scenario: &Scenario) -> BTreeMap<&'static str, Vec<String>> {
        let actions: Vec<String> = scenario.actions.iter().map(|action| (*action).to_owned()).collect();
        let organization_only = actions.iter().any(|action| action == "PROJECT_CREATED" || action == "PROJECT_DELETED");
        let project = if organization_only { Vec::new() } else { actions.clone() };
        [(ORGANIZATION, actions), (PROJECT, project)].into()
    }
}

/// Why a claim does not hold for what the two sent to one path.
fn judge(claim: Claim, theirs: &[Received], ours: &[Received]) -> Vec<String> {
    let early: &[&str] = match claim {
        Claim::Less(_) => return Vec::new(), // Judged over all paths.
        Claim::Nothing(_) if theirs.is_empty() && ours.is_empty() => return Vec::new(),
        Claim::Nothing(_) => return vec!["something was sent".to_owned()],
        Claim::Same | Claim::Undone(_) => &[],
        Claim::ReadEarly(fields) => fields,
    };
    if theirs.len() != ours.len() {
        return vec![format!("Label Studio sent {} events, lshookd {}", theirs.len(), ours.len())];
    }
    let mut faults = Vec::new();
    for (theirs, ours) in theirs.iter().zip(ours) {
        let differ = differences(&theirs.body, &ours.body);
        let field = |difference: &String| {
            difference.split(':').next().and_then(|path| path.rsplit('.').next()).unwrap_or_default().to_owned()
        };
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
