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
        p class="soft" { "Changes by the console and by commands. Entries are kept for one year." }
        @if entries.is_empty() { p { "No changes yet." } }
        @else {
            table class="cards" {
                caption class="hidden" { "Changes, the newest first" }
                thead { tr { th scope="col" { "when" } th scope="col" { "who" } th scope="col" { "change" } th scope="col" { "subject" } th scope="col" { "detail" } th scope="col" { "outcome" } } }
                tbody {
                    @for entry in &entries {
                        tr {
                            td data-label="when" { (ago(entry.at)) }
                            td data-label="who" { (entry.who) @if entry.way == Way::Command { " (command)" } }
                            td data-label="change" { (entry.what) }
                            td data-label="subject" { (entry.subject) }
                            td data-label="detail" { (entry.detail.as_deref().unwrap_or_default()) }
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
