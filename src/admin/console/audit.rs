//! The audit log: who changed what, and when.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::html;
use serde::Deserialize;

use super::shown::ago;
use super::{Failure, Here, page};
use crate::admin::Admin;
use crate::admin::access::Viewer;
use crate::ops::audit::{self, Way};

/// Entries on one page.
const PAGE: i64 = 100;

/// Which of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    before: Option<i64>,
}

/// The log, the newest first.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    Extension(viewer): Extension<Viewer>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let entries = admin.ask(async |client| audit::entries(client, wanted.before, PAGE).await).await?;
    let older = entries.last().filter(|_| entries.len() as i64 == PAGE).map(|last| last.id);
    let main = html! {
        h1 { "Audit log" }
        p class="soft" { "What was changed by this console and by commands. Entries are kept for a year." }
        @if entries.is_empty() { p { "Nothing was changed yet." } }
        @else {
            table class="cards" {
                caption class="hidden" { "Changes, the newest first" }
                thead { tr { th scope="col" { "when" } th scope="col" { "who" } th scope="col" { "what" } th scope="col" { "of what" } th scope="col" { "how" } th scope="col" { "outcome" } } }
                tbody {
                    @for entry in &entries {
                        tr {
                            td data-label="when" { (ago(entry.at)) }
                            td data-label="who" { (entry.who) @if entry.way == Way::Command { " (command)" } }
                            td data-label="what" { (entry.what) }
                            td data-label="of what" { (entry.subject) }
                            td data-label="how" { (entry.detail.as_deref().unwrap_or_default()) }
                            td data-label="outcome" { @match &entry.failure { Some(why) => span class="bad" { (why) }, None => span class="good" { "done" } } }
                        }
                    }
                }
            }
        }
        nav class="pages" aria-label="Pages of the log" {
            @if wanted.before.is_some() { a href="/audit" rel="prev" { "newest" } }
            @if let Some(older) = older { a href=(format!("/audit?before={older}")) rel="next" { "older" } }
        }
    };
    Ok(page(&admin, &viewer, Here::Audit, "Audit log", &main))
}
