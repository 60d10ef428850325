//! Values that bite: what the two serializers might write differently.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scenario::Claim::{Differs, Same, SameOrNeither};
use crate::scenario::{Scenario, scenario};
use crate::scenario_run::choice;

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!("import text of every kind", ["TASKS_CREATED"], Same, |run| {
            run.import(json!([
                {"text": "Grüße, 世界, 🦉, e\u{301}, \u{202e}turned\u{202c}"},
                {"text": "quotes \" ' \\ / and \t tabs \n lines \r returns"},
                {"text": "control \u{1}\u{1f}\u{7f}\u{85}\u{2028}\u{2029}\u{feff}"},
                {"text": "</script><!-- & &amp; %s {} $1 \\u0041 \\x00"},
                {"text": "", "empty": "", "null": null, "list": [], "object": {}},
            ]))
            .await
        }),
        scenario!("import numbers of every kind", ["TASKS_CREATED"], Same, |run| {
            run.import(json!([
                {"text": "n", "numbers": [0, -0.0, 1, -1, 1.0, 1.5, 0.1, 1e-7, 1e22, 1.7976931348623157e308, 5e-324]},
                {"text": "n", "numbers": [2147483648u64, 9007199254740993u64, -9223372036854775808i64, 18446744073709551615u64]},
                {"text": "n", "flags": [true, false, null], "deep": {"a": {"b": [{"c": [1, {"d": "e"}]}]}}},
            ])).await
        }),
        scenario!("import keys of every kind", ["TASKS_CREATED"], Same, |run| {
            run.import(json!([
                {"text": "k", "id": 7, "project_id": 8, "created_at": "2020-01-01", "z": 1, "a": 2, "Ä": 3, "": 4, "a b": 5},
                {"data": {"text": "k"}, "meta": {"created_at": "2020-01-01T00:00:00Z", "x_id": 3}},
            ])).await
        }),
        scenario!(
            "import the character that PostgreSQL cannot store",
            ["TASKS_CREATED"],
            SameOrNeither("PostgreSQL's jsonb refuses U+0000"),
            |run| {
                let path = format!("/api/projects/{}/import", run.project);
                run.attempt(Method::POST, &path, json!([{"text": "nul \u{0} nul"}])).await
            }
        ),
        scenario!("import a task of five megabytes", ["TASKS_CREATED"], Same, |run| {
            run.import(json!([{"text": "hu ".repeat(1_700_000)}])).await
        }),
        scenario!("submit ten thousand regions", ["ANNOTATION_CREATED"], Same, |run| {
            let region = |number: usize| {
                json!({"id": format!("r{number}"), "from_name": "kind", "to_name": "text", "type": "choices",
                    "value": {"choices": ["owl"], "start": number, "end": number as f64 + 0.25}})
            };
            run.annotate(0, json!({"result": (0..10_000).map(region).collect::<Value>(), "lead_time": 0.1})).await
        }),
        scenario!("edit them", ["ANNOTATION_UPDATED"], Same, |run| {
            run.edit(json!({"result": choice("wren"), "lead_time": 86400.000001})).await
        }),
        scenario!(
            "submit a lead time that is no number",
            ["ANNOTATION_CREATED"],
            Differs(&[], "it keeps the annotation, answers 500, and cannot write the number as JSON"),
            |run| {
                let path = format!("/api/tasks/{}/annotations/", run.tasks[0]);
                run.attempt(Method::POST, &path, json!({"result": choice("owl"), "lead_time": "NaN"})).await
            }
        ),
        scenario!("set a title of every kind", ["PROJECT_UPDATED"], Same, |run| {
            run.set_project(json!({"title": "Grüße \"世界\" \\ 🦉", "description": "", "color": "#ffffff",
                "expert_instruction": "a\nb\u{2028}c"}))
                .await
        }),
        scenario!(
            "set moments of every kind by SQL, then save",
            ["PROJECT_UPDATED", "PROJECT_UPDATED"],
            Differs(&["PROJECT_UPDATED"], "it does not see SQL"),
            |run| {
                run.run(&format!(
                    "update project set created_at = '2020-01-01 00:00:00+00', pinned_at = '1700-03-01 12:30:00.5+00' where id = {}",
                    run.project
                )).await?;
                run.settle().await?;
                run.set_project(json!({"title": "Old"})).await
            }
        ),
        scenario!("save a project of old moments", ["PROJECT_UPDATED"], Same, |run| run
            .set_project(json!({"title": "Old"}))
            .await),
        scenario!("label tasks of a deleted user", ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"], Same, |run| {
            run.annotate(1, json!({"result": choice("owl")})).await?;
            run.settle().await?;
            run.run(&format!(
                "alter table task_completion disable trigger all;
                 update task_completion set completed_by_id = null, updated_by_id = null where id = {};
                 alter table task_completion enable trigger all",
                run.annotation
            ))
            .await?;
            run.edit(json!({"result": choice("wren")})).await
        }),
        scenario!("import plain text into a project that names its field", ["TASKS_CREATED"], Same, |run| {
            run.studio.upload(run.project, "calls.txt", "plain\n\"quoted\"\n").await
        }),
        scenario!("label a task of plain text", ["ANNOTATION_CREATED"], Same, |run| {
            run.note_tasks().await?;
            let last = run.tasks.len() - 1;
            run.annotate(last, json!({"result": choice("owl")})).await
        }),
        scenario!("delete every task", ["TASKS_DELETED"], Same, |run| run.act("delete_tasks", None, json!({})).await),
        scenario!("save a project of no tasks", ["PROJECT_UPDATED"], Same, |run| run
            .set_project(json!({"title": "Empty"}))
            .await),
    ]
}
