//! Labels and their links to projects.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;

use crate::scenario::Claim::{Differs, Nothing, Same, SameOrNeither};
use crate::scenario::{Scenario, scenario};
use crate::scenario_run::{ScenarioRun, choice};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(
            "create labels by the API",
            ["LABEL_LINK_CREATED"],
            SameOrNeither("while a webhook listens, the labels API answers 500 and undoes the labels"),
            |run| {
                let label =
                    |name: &str| json!({"project": run.project, "from_name": "kind", "title": name, "value": [name]});
                run.attempt(Method::POST, "/api/labels/", json!([label("owl"), label("wren")])).await
            }
        ),
        scenario!("link two labels by SQL", ["LABEL_LINK_CREATED"], Differs(&[], "it does not see SQL"), |run| {
            run.run(&format!(
                r#"begin;
                   select fixture.rows('labels_manager_label', '{{"title": "night owl", "value": ["owl"], "organization_id": 1, "created_by_id": 1}}');
                   select fixture.rows('labels_manager_label', '{{"title": "night wren", "value": ["wren"], "organization_id": 1, "created_by_id": 1}}');
                   select fixture.rows('labels_manager_labellink', jsonb_build_object('project_id', {}, 'label_id', id, 'from_name', 'kind'))
                   from labels_manager_label where title like 'night%';
                   commit"#,
                run.project
            )).await
        }),
        scenario!("edit a label", [], Nothing("there is no action for it"), |run| {
            let label = label(run).await?;
            run.studio.patch(&format!("/api/labels/{label}/"), json!({"title": "night wren, again"})).await
        }),
        scenario!("change a link", ["LABEL_LINK_UPDATED"], Same, |run| {
            let link = run.newest("labels_manager_labellink").await?;
            run.studio.patch(&format!("/api/label_links/{link}/"), json!({"from_name": "species"})).await
        }),
        scenario!("change it back", ["LABEL_LINK_UPDATED"], Same, |run| {
            let link = run.newest("labels_manager_labellink").await?;
            run.studio.patch(&format!("/api/label_links/{link}/"), json!({"from_name": "kind"})).await
        }),
        scenario!("label a task", ["ANNOTATION_CREATED"], Same, |run| run
            .annotate(0, json!({"result": choice("owl")}))
            .await),
        scenario!(
            "rewrite a label in all results",
            ["ANNOTATION_UPDATED"],
            Differs(&[], "its action has no webhook"),
            |run| {
                let labels = json!({"project": run.project, "from_name": "kind", "old_label": ["owl"], "new_label": ["eagle owl"]});
                run.studio.post("/api/labels/bulk", labels).await
            }
        ),
        scenario!("delete a link", ["LABEL_LINK_DELETED"], Same, |run| {
            let link = run.newest("labels_manager_labellink").await?;
            run.studio.delete(&format!("/api/label_links/{link}/")).await
        }),
        scenario!(
            "delete a label that is linked",
            ["LABEL_LINK_DELETED"],
            Differs(&[], "it does not say that the link goes with the label"),
            |run| {
                let linked: i64 = run
                    .sql
                    .query_one(
                        "select label_id::bigint from labels_manager_labellink where project_id = $1::bigint limit 1",
                        &[&run.project],
                    )
                    .await?
                    .get(0);
                run.studio.delete(&format!("/api/labels/{linked}/")).await
            }
        ),
    ]
}

async fn label(run: &ScenarioRun) -> Result<i64> {
    Ok(run.sql.query_one("select max(id)::bigint from labels_manager_label", &[]).await?.get(0))
}
