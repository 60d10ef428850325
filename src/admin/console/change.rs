//! How the console changes something: for somebody who may write, noted in the audit log, on a session of its own, and to
//! its end where somebody does not wait for it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::response::Response;
use maud::html;
use serde::Deserialize;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::{Failure, Here, page, token};
use crate::admin::access::Viewer;
use crate::admin::{Admin, QUERY_TIMEOUT};
use crate::model::WebhookId;
use crate::ops::audit::{self, Change, Way};
use crate::ops::connect;
use crate::pg;

/// Somebody waits for so long.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is about to be changed.
pub struct Doing {
    /// As a command names it.
    pub what: &'static str,
    /// Of what.
    pub subject: String,
    /// How, without secrets.
    pub detail: Option<String>,
}

impl Doing {
    /// Something that is done to a webhook.
    pub fn webhook(what: &'static str, id: WebhookId) -> Doing {
        Doing { what, subject: format!("webhook {id}"), detail: None }
    }
}

/// Changes something for somebody.
///
/// # Errors
/// As the change has, or when it takes long; then it goes on.
pub async fn change<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
    admin: &Arc<Admin>,
    viewer: &Viewer,
    Doing { what, subject, detail }: Doing,
    doing: impl FnOnce(Client) -> F + Send + 'static,
) -> Result<T, Failure> {
    let (own, who) = (Arc::clone(admin), viewer.name.clone());
    let task = tokio::spawn(async move {
        let client = pg::within(QUERY_TIMEOUT, connect(&own.settings)).await?;
        let change = Change { who: &who, way: Way::Console, what, subject: &subject, detail: detail.as_deref() };
        let id = own.ask(async |client| audit::begin(client, &change).await).await?;
        let done = doing(client).await;
        let failure = audit::failure(&done);
        let noted = own.ask(async |client| audit::end(client, id, failure).await).await;
        audit::outcome(done, noted)
    });
    match timeout(TIMEOUT, task).await {
        Err(_) => Err(Failure::GoesOn),
        Ok(ended) => ended?.map_err(Failure::Undone),
    }
}

/// What was done before a page was loaded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Said {
    done: String,
}

impl Said {
    /// In words; only what a page may say.
    pub fn words(&self) -> Option<&'static str> {
        done(&self.done)
    }
}

fn done(key: &str) -> Option<&'static str> {
    Some(match key {
        "created" => "The webhook is created.",
        "pause" => "The webhook is paused. Events are still recorded.",
        "resume" => "The webhook is resumed.",
        "resume-discarding" => "The webhook is resumed. Pending deliveries were skipped.",
        "retry" => "Pending deliveries are attempted now.",
        "enable" => "The webhook is enabled and delivered by lshookd.",
        "disable" => "The webhook is disabled.",
        "adopt" => "The webhook is adopted: lshookd alone delivers. Label Studio shows the webhook as inactive.",
        "release" => "The webhook is released: Label Studio delivers.",
        "update" => "Settings saved. Options of requests apply within five seconds.",
        "same" => "Nothing to change.",
        "replay" => "The deliveries are pending again.",
        "skip" => "The delivery is skipped.",
        _ => return None,
    })
}

/// Asks whether something shall be done.
pub fn confirm(admin: &Admin, viewer: &Viewer, what: &str, action: &str, fields: &[(&str, String)]) -> Response {
    let main = html! {
        h1 { (what) "?" }
        form class="buttons" method="post" action=(action) {
            (token(&viewer.token))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            input type="hidden" name="confirmed" value="yes";
            button class="main" { "Confirm" }
            a href="/deliveries" { "Cancel" }
        }
    };
    page(admin, viewer, Here::Deliveries, "Confirm", &main)
}
