//! How requests to a webhook are made, where it is not as the settings say: `lshookd.delivery_option`, and what Label
//! Studio's ML backends need, which train before they answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio_postgres::Client;

use crate::model::WebhookId;
use crate::pg::Prepared;

/// Options are read again after this time.
const AGE: Duration = Duration::from_secs(5);

/// An ML backend may train for so long before it answers.
pub const TRAINING: Duration = Duration::from_secs(30 * 60);

/// How requests to one webhook are made.
#[derive(Debug, Clone)]
pub struct DeliveryOptions {
    /// In place of the setting `connect_timeout`.
    pub connect_timeout: Option<Duration>,
    /// In place of the setting `answer_timeout`.
    pub answer_timeout: Option<Duration>,
    /// Whether a request that was wholly sent must be answered to count as delivered.
    pub await_answer: bool,
    /// Where set, one request at a time is made to this endpoint, over all lanes of all webhooks that it has.
    pub turns: Option<Arc<Semaphore>>,
}

impl Default for DeliveryOptions {
    fn default() -> DeliveryOptions {
        DeliveryOptions { connect_timeout: None, answer_timeout: None, await_answer: true, turns: None }
    }
}

#[derive(Clone)]
struct Known {
    read_at: Instant,
    options: DeliveryOptions,
    is_ml_backend: bool,
}

/// What is known of the options of webhooks, for a few seconds.
#[derive(Default)]
pub struct OptionCache {
    known: Mutex<HashMap<WebhookId, Known>>,
    /// By URL.
    turns: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl OptionCache {
    /// The options of a webhook that has this URL.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn of(&self, database: &Prepared<'_, Client>, webhook: WebhookId, url: &str) -> Result<DeliveryOptions> {
        let recent = self.lock().get(&webhook).filter(|known| known.read_at.elapsed() < AGE).cloned();
        let Known { mut options, is_ml_backend, .. } = match recent {
            Some(known) => known,
            None => self.read(database, webhook).await?,
        };
        if is_ml_backend {
            options.answer_timeout = options.answer_timeout.or(Some(TRAINING));
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody has a turn there or waits for one.
            turns.retain(|_, turns| Arc::strong_count(turns) > 1);
            let own = turns.entry(url.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1)));
            options.turns = Some(Arc::clone(own));
        }
        Ok(options)
    }

    async fn read(&self, database: &Prepared<'_, Client>, webhook: WebhookId) -> Result<Known> {
        let row = database.query_one(include_str!("../../sql/deliver/delivery_options.sql"), &[&webhook]).await;
        let row = row.context("reading lshookd.delivery_option")?;
        let seconds =
            |name| row.get::<_, Option<f64>>(name).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let known = Known {
            read_at: Instant::now(),
            options: DeliveryOptions {
                connect_timeout: seconds("connect_timeout"),
                answer_timeout: seconds("answer_timeout"),
                await_answer: row.get("await_answer"),
                turns: None,
            },
            is_ml_backend: row.get("is_ml_backend"),
        };
        let mut all = self.lock();
        // Webhooks that are gone, or have had nothing for long, are forgotten.
        if all.len() > 10_000 {
            all.retain(|_, known| known.read_at.elapsed() < AGE);
        }
        all.insert(webhook, known.clone());
        Ok(known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<WebhookId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
