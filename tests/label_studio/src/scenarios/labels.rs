//! Labels and their links to projects.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;

use crate::scenario::Claim::{Differs, Nothing, Same, SameOrNeither};
use crate::scenario::{Scenario, scenario};
use crate::stage::{Stage, choice};

pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario!(
            "create labels by the API",
            ["LABEL_LINK_CREATED"],
            SameOrNeither("while a webhook listens, the labels API answers 500 and undoes the labels"),
            |stage| {
                let label =
                    |name: &str| json!({"project": stage.project, "from_name": "kind", "title": name, "value": [name]});
                stage.attempt(Method::POST, "/api/labels/", json!([label("owl"), label("wren")])).await
            }
        ),
        scenario!("link two labels by SQL", ["LABEL_LINK_CREATED"], Differs(&[], "it does not see SQL"), |stage| {
            stage.run(&format!(
                r#"begin;
                   select fixture.rows('labels_manager_label', '{{"title": "night owl", "value": ["owl"], "organization_id": 1, "created_by_id": 1}}');
                   select fixture.rows('labels_manager_label', '{{"title": "night wren", "value": ["wren"], "organization_id": 1, "created_by_id": 1}}');
                   select fixture.rows('labels_manager_labellink', jsonb_build_object('project_id', {}, 'label_id', id, 'from_name', 'kind'))
                   from labels_manager_label where title like 'night%';
                   commit"#,
                stage.project
            )).await
        }),
        scenario!("edit a label", [], Nothing("there is no action for it"), |stage| {
            let label = label(stage).await?;
            stage.studio.patch(&format!("/api/labels/{label}/"), json!({"title": "night wren, again"})).await
        }),
        scenario!("change a link", ["LABEL_LINK_UPDATED"], Same, |stage| {
            let link = stage.newest("labels_manager_labellink").await?;
            stage.studio.patch(&format!("/api/label_links/{link}/"), json!({"from_name": "species"})).await
        }),
        scenario!("change it back", ["LABEL_LINK_UPDATED"], Same, |stage| {
            let link = stage.newest("labels_manager_labellink").await?;
            stage.studio.patch(&format!("/api/label_links/{link}/"), json!({"from_name": "kind"})).await
        }),
        scenario!("label a task", ["ANNOTATION_CREATED"], Same, |stage| stage
            .annotate(0, json!({"result": choice("owl")}))
            .await),
        scenario!(
            "rewrite a label in all results",
            ["ANNOTATION_UPDATED"],
            Differs(&[], "its action has no webhook"),
            |stage| {
                let labels = json!({"project": stage.project, "from_name": "kind", "old_label": ["owl"], "new_label": ["eagle owl"]});
                stage.studio.post("/api/labels/bulk", labels).await
            }
        ),
        scenario!("delete a link", ["LABEL_LINK_DELETED"], Same, |stage| {
            let link = stage.newest("labels_manager_labellink").await?;
            stage.studio.delete(&format!("/api/label_links/{link}/")).await
        }),
        scenario!(
            "delete a label that is linked",
            ["LABEL_LINK_DELETED"],
            Differs(&[], "it does not say that the link goes with the label"),
            |stage| {
                let linked: i64 = stage
                    .sql
                    .query_one(
                        "select label_id::bigint from labels_manager_labellink where project_id = $1::bigint limit 1",
                        &[&stage.project],
                    )
                    .await?
                    .get(0);
                stage.studio.delete(&format!("/api/labels/{linked}/")).await
            }
        ),
    ]
}

async fn label(stage: &Stage) -> Result<i64> {
    Ok(stage.sql.query_one("select max(id)::bigint from labels_manager_label", &[]).await?.get(0))
}
