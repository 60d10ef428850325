//! How requests to a webhook are made, where it is not as the settings say: `lshookd.delivery_option`, and what Label
//! Studio's ML backends need, which train before they answer.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio_postgres::{Client, Row};

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
    /// In place of the setting `retry_schedule`.
    pub retry_schedule: Option<Vec<Duration>>,
    /// What is older is dead without an attempt.
    pub maximum_age: Option<Duration>,
    /// In place of the setting `proxy`: its URL, or `direct`.
    pub proxy: Option<Arc<str>>,
    /// Where set, one request at a time is made to this endpoint, over all lanes of all webhooks that it has.
    pub turns: Option<Arc<Semaphore>>,
}

impl Default for DeliveryOptions {
    fn default() -> DeliveryOptions {
        DeliveryOptions {
            connect_timeout: None,
            answer_timeout: None,
            await_answer: true,
            retry_schedule: None,
            maximum_age: None,
            proxy: None,
            turns: None,
        }
    }
}

#[derive(Clone)]
struct Known {
    read_at: Instant,
    options: DeliveryOptions,
    pace: Option<Arc<Pace>>,
    concurrency: Option<usize>,
    is_ml_backend: bool,
}

/// The requests of a webhook whose rate is limited, one in each period. The first comes a period after lshookd has
/// learned of the limit, so that no restart sends more than it allows.
struct Pace {
    period: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    fn new(period: Duration) -> Pace {
        Pace { period, next: Mutex::new(Instant::now() + period) }
    }

    /// How long until the turn that is taken by this.
    fn take_turn(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = now.max(*next);
        *next = turn + self.period;
        turn - now
    }
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
        let Known { mut options, is_ml_backend, .. } = self.known(database, webhook).await?;
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

    /// How long a request to a webhook must wait, if its rate is limited; the turn is taken then.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn take_turn(&self, database: &Prepared<'_, Client>, webhook: WebhookId) -> Result<Option<Duration>> {
        Ok(self.known(database, webhook).await?.pace.map(|pace| pace.take_turn(Instant::now())))
    }

    /// How many requests to a webhook may be in flight, where that is not as the settings say.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn concurrency(&self, database: &Prepared<'_, Client>, webhook: WebhookId) -> Result<Option<usize>> {
        Ok(self.known(database, webhook).await?.concurrency)
    }

    /// Reads those of many webhooks together that will soon be asked for one by one.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn read_ahead(
        &self,
        database: &Prepared<'_, Client>,
        webhooks: impl Iterator<Item = WebhookId>,
    ) -> Result<()> {
        let unknown: BTreeSet<WebhookId> = webhooks.filter(|webhook| self.recent(*webhook).is_none()).collect();
        if !unknown.is_empty() {
            self.read(database, &Vec::from_iter(unknown)).await?;
        }
        Ok(())
    }

    async fn known(&self, database: &Prepared<'_, Client>, webhook: WebhookId) -> Result<Known> {
        if let Some(known) = self.recent(webhook) {
            return Ok(known);
        }
        self.read(database, &[webhook]).await?;
        self.lock().get(&webhook).cloned().context("reading lshookd.delivery_option")
    }

    fn recent(&self, webhook: WebhookId) -> Option<Known> {
        self.lock().get(&webhook).filter(|known| known.read_at.elapsed() < AGE).cloned()
    }

    /// The pace that the webhook has already, unless it is another now.
    fn pace_of(&self, webhook: WebhookId, period: Duration) -> Arc<Pace> {
        let before = self.lock().get(&webhook).and_then(|known| known.pace.clone());
        before.filter(|pace| pace.period == period).unwrap_or_else(|| Arc::new(Pace::new(period)))
    }

    async fn read(&self, database: &Prepared<'_, Client>, webhooks: &[WebhookId]) -> Result<()> {
        let rows = database.query(include_str!("../../sql/deliver/delivery_options.sql"), &[&webhooks]).await;
        let rows = rows.context("reading lshookd.delivery_option")?;
        let read: Vec<(WebhookId, Known)> = rows.iter().map(|row| self.known_from(row)).collect();
        let mut all = self.lock();
        // Webhooks that are gone, or have had nothing for long, are forgotten.
        if all.len() > 10_000 {
            all.retain(|_, known| known.read_at.elapsed() < AGE);
        }
        all.extend(read);
        Ok(())
    }

    fn known_from(&self, row: &Row) -> (WebhookId, Known) {
        let webhook: WebhookId = row.get("webhook_id");
        let seconds =
            |name| row.get::<_, Option<f64>>(name).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let known = Known {
            read_at: Instant::now(),
            options: DeliveryOptions {
                connect_timeout: seconds("connect_timeout"),
                answer_timeout: seconds("answer_timeout"),
                await_answer: row.get("await_answer"),
                retry_schedule: row
                    .get::<_, Option<Vec<f64>>>("retry_schedule")
                    .map(|pauses| pauses.iter().filter_map(|pause| Duration::try_from_secs_f64(*pause).ok()).collect()),
                maximum_age: seconds("maximum_age"),
                proxy: row.get::<_, Option<&str>>("proxy").map(Arc::from),
                turns: None,
            },
            pace: row
                .get::<_, Option<f64>>("rate_limit")
                .and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok())
                .map(|period| self.pace_of(webhook, period)),
            concurrency: row.get::<_, Option<i32>>("concurrency").and_then(|most| most.try_into().ok()),
            is_ml_backend: row.get("is_ml_backend"),
        };
        (webhook, known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<WebhookId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_one_in_each_period_and_none_before_the_first() {
        let pace = Pace::new(Duration::from_millis(100));
        let start = *pace.next.lock().unwrap() - pace.period;
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let turns: Vec<u128> =
            [0, 0, 10, 500, 510].map(|now| (pace.take_turn(at(now)) + (at(now) - start)).as_millis()).to_vec();
        assert_eq!(turns, [100, 200, 300, 500, 600]);
    }
}
