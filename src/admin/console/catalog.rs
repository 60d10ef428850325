//! The catalog of events: every action with its schema, an example, and who receives it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use include_dir::{Dir, include_dir};
use maud::{Markup, html};

use super::{Failure, Here, failed, page, seen_url};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::admin::board::{Board, ShownWebhook};
use crate::model::Action;

/// The schemas of the documentation, and an example beside each.
static SCHEMAS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/docs/schemas");

/// Webhooks that are listed of an action.
const LISTED: usize = 100;

/// All actions.
pub async fn show(State(admin): State<Arc<Admin>>, Extension(viewer): Extension<Viewer>) -> Result<Response, Failure> {
    let board = admin.board().await?;
    let main = html! {
        h1 { "Events" }
        (list(&board, "Label Studio's actions", true))
        (list(&board, "Additional actions", false))
    };
    Ok(page(&admin, &viewer, Here::Events, "Events", &main))
}

fn list(board: &Board, title: &str, label_studios: bool) -> Markup {
    html! {
        h2 { (title) }
        table class="cards" {
            caption class="hidden" { (title) }
            thead { tr { th scope="col" { "action" } th scope="col" { "about" } th scope="col" { "recipients" } th scope="col" class="number" { "webhooks" } } }
            tbody {
                @for action in Action::ALL.iter().filter(|action| action.is_label_studios() == label_studios) {
                    tr {
                        td data-label="action" { a href=(format!("/events/{action}")) { (action) } }
                        td data-label="about" { (action.kind().name().replace('_', " ")) @if action.is_about_several() { ", several at once" } }
                        td data-label="recipients" { @if action.organization_only() { "webhooks of the organization" } @else { "webhooks of the project and of the organization" } }
                        td data-label="webhooks" class="number" { (receivers(board, *action).len()) }
                    }
                }
            }
        }
    }
}

/// Webhooks that name an action, or all.
fn receivers(board: &Board, action: Action) -> Vec<&ShownWebhook> {
    let receives = |shown: &&ShownWebhook| {
        let summary = &shown.summary;
        let listed = |list: &[String]| list.iter().any(|listed| listed == action.name());
        match action.is_label_studios() {
            true => {
                summary.actions.as_deref().is_none_or(listed)
                    && !(action.organization_only() && summary.project_id.is_some())
            }
            false => listed(&summary.additional_actions),
        }
    };
    board.webhooks.iter().filter(receives).collect()
}

/// One action.
pub async fn event(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let Ok(action) = name.parse::<Action>() else {
        return Ok(failed(StatusCode::NOT_FOUND, "No event", "There is no such action."));
    };
    let board = admin.board().await?;
    let receivers = receivers(&board, action);
    let file = |path: String| SCHEMAS.get_file(path).and_then(|file| file.contents_utf8());
    let main = html! {
        h1 { (action) }
        p { a href=(format!("/deliveries?action={action}")) { "Deliveries of this action" } }
        h2 { "Webhooks" }
        @if receivers.is_empty() { p { "None." } }
        ul {
            @for shown in receivers.iter().take(LISTED) {
                li { a href=(format!("/webhooks/{}", shown.summary.id)) { "#" (shown.summary.id) " " (seen_url(&viewer, &shown.summary.url)) } " " span class="soft" { (shown.summary.scope()) } }
            }
        }
        @if receivers.len() > LISTED { p { "and " (receivers.len() - LISTED) " more" } }
        @if let Some(example) = file(format!("examples/{action}.json")) {
            h2 { "Example" }
            pre tabindex="0" { (example) }
        }
        @if let Some(schema) = file(format!("{action}.json")) {
            h2 { "JSON Schema" }
            pre tabindex="0" { (schema) }
        }
    };
    Ok(page(&admin, &viewer, Here::Events, action.name(), &main))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_schema_and_an_example() {
        for action in Action::ALL {
            assert!(SCHEMAS.get_file(format!("{action}.json")).is_some(), "{action}");
            assert!(SCHEMAS.get_file(format!("examples/{action}.json")).is_some(), "{action}");
        }
    }
}
