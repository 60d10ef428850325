//! The board: what the console shows of the whole and of every webhook. Taken for all who look at once, in questions that
//! each take PostgreSQL some milliseconds however many webhooks and deliveries there are.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::Client;

use crate::model::WebhookId;
use crate::ops::status::{self, ActiveRole};
use crate::ops::webhook::{self, WebhookSummary};

/// Nothing is counted beyond this.
pub const BOUND: i64 = 10_000;

/// A question about webhooks is to take about so long; it is asked of more or fewer of them at once.
const QUESTION: Duration = Duration::from_millis(10);
const MAXIMUM_CHUNK: usize = 1000;

/// What is shown of an hour: parts of five minutes.
const PART_SECONDS: i64 = 300;
const PARTS: usize = 12;

/// What ended in the last moment may not be committed yet.
const SETTLED: Duration = Duration::from_secs(1);

/// Minutes that the charts show.
const MINUTES: usize = 3 * 60;

/// What the whole looks like.
#[derive(Debug, Clone, Deserialize)]
pub struct Whole {
    /// Unplanned changes, at most one beyond the bound.
    pub changes_unplanned: i64,
    /// Age of the oldest of them.
    pub oldest_change_seconds: f64,
    /// Changes that cannot be planned.
    pub changes_set_aside: i64,
    /// Changes that could not be captured.
    pub capture_errors: i64,
    /// Whether all deliveries are paused.
    pub all_paused: bool,
    /// In which roles some daemon is active.
    #[serde(default)]
    pub active_roles: Vec<ActiveRole>,
    /// What of daemons does not work.
    pub faults: Vec<String>,
}

/// Attempts of the last hour of a webhook.
#[derive(Debug, Clone, Default)]
pub struct Attempts {
    /// The part that is last here, counted since 1970.
    newest: i64,
    /// Delivered and failed in each part, the newest last.
    parts: [(i64, i64); PARTS],
}

impl Attempts {
    /// Delivered and failed in each part, the newest last.
    pub fn parts(&self) -> &[(i64, i64); PARTS] {
        &self.parts
    }

    /// Delivered and failed in the hour.
    pub fn sum(&self) -> (i64, i64) {
        self.parts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }

    fn move_to(&mut self, part: i64) {
        let steps = usize::try_from(part - self.newest).unwrap_or(0).min(PARTS);
        self.parts.rotate_left(steps);
        self.parts[PARTS - steps..].fill((0, 0));
        self.newest = self.newest.max(part);
    }

    fn add(&mut self, part: i64, delivered: i64, failed: i64) {
        let back = usize::try_from(self.newest - part).unwrap_or(PARTS);
        if let Some(place) = (PARTS - 1).checked_sub(back) {
            self.parts[place].0 += delivered;
            self.parts[place].1 += failed;
        }
    }
}

/// A webhook on the board.
#[derive(Debug, Clone)]
pub struct ShownWebhook {
    /// What a list of webhooks shows, counted up to the bound.
    pub summary: WebhookSummary,
    /// Its attempts of the last hour.
    pub attempts: Attempts,
}

impl ShownWebhook {
    /// Its host, in lower case. Paths are secrets, too, and are not searched.
    pub fn host(&self) -> String {
        match url::Url::parse(&self.summary.url) {
            Ok(url) => url[..url::Position::AfterPort].to_lowercase(),
            Err(_) => String::new(),
        }
    }

    /// Whether its host or its project's title has a text in it, which is in lower case.
    pub fn is_named(&self, text: &str) -> bool {
        self.host().contains(text)
            || self.summary.project.as_ref().is_some_and(|title| title.to_lowercase().contains(text))
    }
}

/// A minute of the whole.
#[derive(Debug, Clone, Copy)]
pub struct Minute {
    /// When it was noted.
    pub at: Timestamp,
    /// Pending deliveries then.
    pub pending: i64,
    /// Delivered since the minute before.
    pub delivered: i64,
    /// Failed attempts since the minute before.
    pub failed: i64,
}

/// What everybody who looks is shown.
#[derive(Debug, Clone)]
pub struct Board {
    /// When it was taken, by the clock and by the watch, and how long that took.
    pub taken_at: Timestamp,
    taken: Instant,
    pub took: Duration,
    /// The whole.
    pub whole: Whole,
    /// All webhooks, by number.
    pub webhooks: Vec<ShownWebhook>,
    /// Minute by minute, the latest last.
    pub minutes: Vec<Minute>,
}

impl Board {
    /// How old it is.
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }

    /// The same with what a webhook is now, or without it where it is no more.
    pub fn with(&self, id: WebhookId, summary: Option<WebhookSummary>) -> Board {
        let mut board = self.clone();
        match (board.place(id), summary) {
            (Ok(place), Some(summary)) => board.webhooks[place].summary = summary,
            (Ok(place), None) => drop(board.webhooks.remove(place)),
            (Err(place), Some(summary)) => {
                board.webhooks.insert(place, ShownWebhook { attempts: Attempts::default(), summary });
            }
            (Err(_), None) => {}
        }
        board
    }

    /// A webhook.
    pub fn webhook(&self, id: WebhookId) -> Option<&ShownWebhook> {
        self.place(id).ok().map(|place| &self.webhooks[place])
    }

    /// Where a webhook is among all, or would be.
    fn place(&self, id: WebhookId) -> Result<usize, usize> {
        self.webhooks.binary_search_by_key(&id, |shown| shown.summary.id)
    }

    /// Webhooks that have a text in their host or their project's title.
    pub fn named(&self, text: &str) -> Vec<WebhookId> {
        let text = text.trim().to_lowercase();
        self.webhooks.iter().filter(|shown| shown.is_named(&text)).map(|shown| shown.summary.id).collect()
    }

    /// A sum over all webhooks, and whether one of them was counted up to the bound.
    pub fn sum(&self, of: impl Fn(&WebhookSummary) -> i64) -> (i64, bool) {
        self.webhooks
            .iter()
            .map(|shown| of(&shown.summary))
            .fold((0, false), |(sum, is_bounded), quantity| (sum + quantity.min(BOUND), is_bounded || quantity > BOUND))
    }

    /// How long the oldest pending delivery is pending already that is not paused.
    pub fn oldest_pending(&self) -> Option<Timestamp> {
        let waiting = self.webhooks.iter().filter(|shown| !shown.summary.paused);
        waiting.filter_map(|shown| shown.summary.oldest_pending_at).min()
    }
}

/// Takes boards, each with what was counted for those before.
pub struct Sampler {
    chunk: usize,
    /// Attempts are counted up to here.
    counted_until: Option<Timestamp>,
    attempts: HashMap<WebhookId, Attempts>,
    minutes: Vec<Minute>,
    /// Of the minute that goes on: delivered and failed.
    going_on: (i64, i64),
}

impl Default for Sampler {
    fn default() -> Sampler {
        Sampler { chunk: 50, counted_until: None, attempts: HashMap::new(), minutes: Vec::new(), going_on: (0, 0) }
    }
}

impl Sampler {
    /// Takes one.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn take(&mut self, client: &Client) -> Result<Board> {
        let (taken_at, began) = (Timestamp::now(), Instant::now());
        let row = client.query_one(include_str!("../../sql/admin/board.sql"), &[&(BOUND + 1)]).await;
        let mut whole: Whole = serde_json::from_value(row?.get::<_, Value>("row")).context("reading the state")?;
        whole.active_roles = status::active_roles(client).await?;
        let ids = webhook::ids(client).await?;
        let mut summaries = Vec::with_capacity(ids.len());
        let mut rest = ids.as_slice();
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(self.chunk.min(rest.len()));
            let asked = Instant::now();
            summaries.extend(webhook::list(client, Some(chunk), Some(BOUND + 1)).await?);
            self.adapt(asked.elapsed());
            rest = later;
        }
        self.count_attempts(client, &ids, taken_at).await?;
        let webhooks: Vec<ShownWebhook> = summaries
            .into_iter()
            .map(|summary| ShownWebhook {
                attempts: self.attempts.get(&summary.id).cloned().unwrap_or_default(),
                summary,
            })
            .collect();
        let (taken, took) = (Instant::now(), began.elapsed());
        let mut board = Board { taken_at, taken, took, whole, webhooks, minutes: Vec::new() };
        board.minutes = self.minutes_until(&board);
        Ok(board)
    }

    fn adapt(&mut self, took: Duration) {
        if took > QUESTION {
            self.chunk = (self.chunk / 2).max(1);
        } else if took < QUESTION / 3 {
            self.chunk = (self.chunk * 2).min(MAXIMUM_CHUNK);
        }
    }

    /// Counts what was attempted since it was counted before, at first that of the last hour.
    async fn count_attempts(&mut self, client: &Client, ids: &[WebhookId], now: Timestamp) -> Result<()> {
        let until = now - SETTLED;
        let hour = PART_SECONDS * PARTS as i64;
        let begin = now - Duration::from_secs(hour as u64);
        let since = self.counted_until.map_or(begin, |counted| counted.max(begin));
        self.attempts.retain(|id, _| ids.binary_search(id).is_ok());
        let newest = part_of(now);
        for id in ids {
            self.attempts.entry(*id).or_default().move_to(newest);
        }
        let mut from = since;
        while from < until {
            let part = part_of(from);
            let end = Timestamp::from_second((part + 1) * PART_SECONDS).unwrap_or(until).min(until);
            let rows = client.query(include_str!("../../sql/admin/failed_between.sql"), &[&from, &end]).await?;
            for row in rows {
                self.add(row.get("webhook_id"), part, 0, row.get("quantity"));
            }
            for chunk in ids.chunks(MAXIMUM_CHUNK) {
                let query = include_str!("../../sql/admin/delivered_between.sql");
                for row in client.query(query, &[&chunk, &from, &end]).await? {
                    self.add(row.get("webhook_id"), part, row.get("quantity"), 0);
                }
            }
            from = end;
        }
        self.counted_until = Some(until.max(since));
        Ok(())
    }

    fn add(&mut self, webhook: WebhookId, part: i64, delivered: i64, failed: i64) {
        if let Some(attempts) = self.attempts.get_mut(&webhook) {
            attempts.add(part, delivered, failed);
        }
        if self.counted_until.is_some() {
            self.going_on.0 += delivered;
            self.going_on.1 += failed;
        }
    }

    /// The minutes with the one that goes on, which is kept once it is over.
    fn minutes_until(&mut self, board: &Board) -> Vec<Minute> {
        let (pending, _) = board.sum(|summary| summary.pending);
        let (delivered, failed) = self.going_on;
        let now = Minute { at: board.taken_at, pending, delivered, failed };
        let is_over = |last: &Minute| now.at.duration_since(last.at) >= SignedDuration::from_mins(1);
        if self.minutes.last().is_none_or(is_over) {
            self.going_on = (0, 0);
            self.minutes.push(now);
            let old = self.minutes.len().saturating_sub(MINUTES);
            self.minutes.drain(..old);
            return self.minutes.clone();
        }
        let mut minutes = self.minutes.clone();
        minutes.push(now);
        minutes
    }
}

fn part_of(moment: Timestamp) -> i64 {
    moment.as_second().div_euclid(PART_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_goes_by_in_parts() {
        let mut attempts = Attempts::default();
        attempts.move_to(1000);
        attempts.add(1000, 5, 1);
        attempts.add(989, 2, 0);
        attempts.add(988, 9, 9);
        assert_eq!(attempts.sum(), (7, 1));
        attempts.move_to(1001);
        assert_eq!(attempts.sum(), (5, 1), "the oldest part is gone");
        assert_eq!(attempts.parts()[PARTS - 2], (5, 1));
        attempts.move_to(900);
        attempts.add(1001, 1, 0);
        assert_eq!(attempts.sum(), (6, 1), "a clock that goes back forgets nothing");
        attempts.move_to(5000);
        assert_eq!(attempts.sum(), (0, 0));
    }

    #[test]
    fn slow_questions_are_asked_of_fewer() {
        let mut sampler = Sampler::default();
        sampler.adapt(Duration::from_millis(100));
        assert_eq!(sampler.chunk, 25);
        for _ in 0..20 {
            sampler.adapt(Duration::from_millis(1));
        }
        assert_eq!(sampler.chunk, MAXIMUM_CHUNK);
        for _ in 0..20 {
            sampler.adapt(Duration::from_secs(1));
        }
        assert_eq!(sampler.chunk, 1);
    }
}
