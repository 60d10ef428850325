//! Options of webhooks that Label Studio does not have: how their events are shown, and how their requests are made.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, GenericClient};

use super::{explain_write, rows};
use crate::config::{DIRECT, Proxy};
use crate::deliver::TRAINING;
use crate::model::WebhookId;

/// How requests to a webhook are made; shown where it is not as the settings say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manner {
    /// In how many seconds it must be connected to, where that is its own.
    pub connect_timeout_seconds: Option<f64>,
    /// In how many seconds it must answer, where that is its own.
    pub answer_timeout_seconds: Option<f64>,
    /// Whether a request that was wholly sent must be answered to count as delivered.
    pub await_answer: bool,
    /// Its pauses between attempts, where they are its own.
    pub retry_schedule_seconds: Option<Vec<f64>>,
    /// What is older is dead without an attempt.
    pub maximum_age_seconds: Option<f64>,
    /// Requests in a second, where they are limited.
    pub rate_limit: Option<f64>,
    /// Requests in flight, where they are limited by its own option.
    pub concurrency: Option<i32>,
    /// Its own proxy without its credentials, or `direct` for none.
    pub proxy: Option<String>,
    /// When it has only failed for so long it is paused, where that is its own; 0: never.
    pub pause_after_seconds: Option<f64>,
    /// Whether it is that of an ML backend, to which one request at a time is made.
    pub is_ml_backend: bool,
}

impl Default for Manner {
    /// As the settings say.
    fn default() -> Manner {
        Manner {
            connect_timeout_seconds: None,
            answer_timeout_seconds: None,
            await_answer: true,
            retry_schedule_seconds: None,
            maximum_age_seconds: None,
            rate_limit: None,
            concurrency: None,
            proxy: None,
            pause_after_seconds: None,
            is_ml_backend: false,
        }
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |seconds: f64| humantime::format_duration(Duration::from_secs_f64(seconds)).to_string();
        let training = Some(TRAINING.as_secs_f64()).filter(|_| self.is_ml_backend);
        let parts = [
            self.is_ml_backend.then(|| "an ML backend: one request at a time".to_owned()),
            self.connect_timeout_seconds.map(|timeout| format!("{} to connect", shown(timeout))),
            self.answer_timeout_seconds.or(training).map(|timeout| format!("{} to answer", shown(timeout))),
            (!self.await_answer).then(|| "the answer is not awaited".to_owned()),
            self.retry_schedule_seconds.as_ref().map(|pauses| {
                let pauses: Vec<String> = pauses.iter().map(|pause| shown(*pause)).collect();
                format!("retried after {}", pauses.join(", "))
            }),
            self.maximum_age_seconds.map(|age| format!("dead when older than {}", shown(age))),
            self.rate_limit.map(|rate| format!("{} at most", rate_text(rate))),
            self.concurrency.map(|most| format!("{most} at once at most")),
            self.proxy.as_ref().map(|proxy| match proxy.as_str() {
                DIRECT => "through no proxy".to_owned(),
                proxy => format!("through {proxy}"),
            }),
            self.pause_after_seconds.map(|after| match after {
                0.0 => "never paused automatically".to_owned(),
                after => format!("paused after failing for {}", shown(after)),
            }),
        ];
        formatter.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// Requests in a time, as people write it.
pub fn rate_text(rate: f64) -> String {
    match rate {
        rate if rate >= 1.0 => format!("{rate}/s"),
        rate if rate * 60.0 >= 1.0 => format!("{}/m", rate * 60.0),
        rate => format!("{}/h", rate * 3600.0),
    }
}

/// Requests in a second of a text such as `20/s`, `5/m` or `1/h`; `0`: not limited.
///
/// # Errors
/// What is wrong with it.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let wrong = || "expected a rate such as 20/s, 5/m or 1/h, or 0".to_owned();
    if text == "0" {
        return Ok(0.0);
    }
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().ok().filter(|number| (0.001..=1e6).contains(number)).ok_or_else(wrong)?;
    Ok(number / seconds)
}

/// A webhook, and how its requests are made.
#[derive(Debug, Deserialize)]
pub struct WebhookManner {
    /// `webhook.id`
    pub id: WebhookId,
    /// How.
    #[serde(flatten)]
    pub manner: Manner,
}

/// The webhooks of ML backends, and those whose requests are made in another manner than others'.
///
/// # Errors
/// When the database cannot be asked.
pub async fn unusual_manners(client: &Client) -> Result<Vec<WebhookManner>> {
    rows(client, include_str!("../../sql/ops/unusual_manners.sql"), &[]).await
}

/// How a webhook wants its events beyond what Label Studio shows; `None` leaves an option as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PayloadChoice {
    /// Deletions with the objects as they last were.
    pub enrich_deletions: Option<bool>,
    /// Updates with the objects as they were before.
    pub previous: Option<bool>,
    /// CloudEvents: `binary`, `structured` or `off`.
    pub cloudevents: Option<String>,
}

impl PayloadChoice {
    /// Whether it leaves all as it is.
    pub fn is_empty(&self) -> bool {
        *self == PayloadChoice::default()
    }
}

/// How requests to a webhook are made; `None` leaves an option as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliveryChoice {
    /// In place of the setting `connect_timeout`; zero: that of the setting.
    pub connect_timeout: Option<Duration>,
    /// In place of the setting `answer_timeout`; zero: that of the setting.
    pub answer_timeout: Option<Duration>,
    /// Whether a request that was wholly sent must be answered to count as delivered.
    pub await_answer: Option<bool>,
    /// In place of the setting `retry_schedule`; none: that of the setting.
    pub retry_schedule: Option<Vec<Duration>>,
    /// What is older is dead without an attempt; zero: nothing is too old.
    pub maximum_age: Option<Duration>,
    /// Requests in a second; zero: as many as come.
    pub rate_limit: Option<f64>,
    /// Requests in flight; zero: as the setting says.
    pub concurrency: Option<i32>,
    /// `http://HOST:PORT` of a proxy, `direct` for none, or `default` for that of the settings.
    pub proxy: Option<String>,
    /// In place of the setting `pause_after`.
    pub pause_after: Option<PauseAfter>,
}

/// When a webhook that only fails is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseAfter {
    /// As the setting `pause_after` says.
    AsSet,
    /// Never.
    Never,
    /// When it has only failed for so long.
    Time(Duration),
}

impl PauseAfter {
    /// As `lshookd.delivery_option.pause_after` has it in seconds, and -1 for the setting.
    fn seconds(self) -> f64 {
        match self {
            PauseAfter::AsSet => -1.0,
            PauseAfter::Never => 0.0,
            PauseAfter::Time(time) => time.as_secs_f64(),
        }
    }
}

impl FromStr for PauseAfter {
    type Err = String;

    /// ```
    /// use std::time::Duration;
    ///
    /// use lshookd::ops::webhook_option::PauseAfter;
    ///
    /// assert_eq!("off".parse(), Ok(PauseAfter::Never));
    /// assert_eq!("2h".parse(), Ok(PauseAfter::Time(Duration::from_secs(7200))));
    /// ```
    fn from_str(text: &str) -> Result<PauseAfter, String> {
        match text.trim() {
            "default" => Ok(PauseAfter::AsSet),
            "off" => Ok(PauseAfter::Never),
            text => match humantime::parse_duration(text) {
                Ok(time) if !time.is_zero() => Ok(PauseAfter::Time(time)),
                _ => Err("expected a time such as 5d, off or default".to_owned()),
            },
        }
    }
}

impl DeliveryChoice {
    /// Whether it leaves all as it is.
    pub fn is_empty(&self) -> bool {
        *self == DeliveryChoice::default()
    }
}

/// Writes what is chosen.
///
/// # Errors
/// When the database refuses.
pub async fn set_payload_options(client: &impl GenericClient, id: WebhookId, payload: &PayloadChoice) -> Result<()> {
    if payload.is_empty() {
        return Ok(());
    }
    let PayloadChoice { enrich_deletions, previous, cloudevents } = payload;
    let query = include_str!("../../sql/ops/set_payload_options.sql");
    client.execute(query, &[&id, enrich_deletions, previous, cloudevents]).await.map_err(explain_write)?;
    Ok(())
}

/// Writes what is chosen.
///
/// # Errors
/// When the proxy cannot be one, or the database refuses.
pub async fn set_delivery_options(client: &impl GenericClient, id: WebhookId, delivery: &DeliveryChoice) -> Result<()> {
    if delivery.is_empty() {
        return Ok(());
    }
    // Not by the command line, which repeats what it is given: there may be a password in it.
    if let Some(proxy) = delivery.proxy.as_deref().filter(|proxy| *proxy != "default")
        && let Err(error) = Proxy::of_webhook(proxy)
    {
        fail!(Choice, "--through: {error}, or default");
    }
    let pauses: Option<Vec<f64>> =
        delivery.retry_schedule.as_ref().map(|pauses| pauses.iter().map(Duration::as_secs_f64).collect());
    let seconds = |timeout: &Option<Duration>| timeout.map(|timeout| timeout.as_secs_f64());
    let query = include_str!("../../sql/ops/set_delivery_options.sql");
    client
        .execute(
            query,
            &[
                &id,
                &seconds(&delivery.connect_timeout),
                &seconds(&delivery.answer_timeout),
                &delivery.await_answer,
                &pauses,
                &seconds(&delivery.maximum_age),
                &delivery.rate_limit,
                &delivery.concurrency,
                &delivery.proxy,
                &delivery.pause_after.map(PauseAfter::seconds),
            ],
        )
        .await
        .map_err(explain_write)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for (text, rate) in [("20/s", 20.0), ("5/m", 5.0 / 60.0), ("1/h", 1.0 / 3600.0), ("0.5/m", 0.5 / 60.0)] {
            assert_eq!(parse_rate(text).unwrap(), rate);
        }
        assert_eq!(rate_text(parse_rate("20/s").unwrap()), "20/s");
        assert_eq!(rate_text(parse_rate("6/m").unwrap()), "6/m");
        assert_eq!(parse_rate("0").unwrap(), 0.0);
        for wrong in ["", "20", "20/d", "-1/s", "0/s", "many/s", "NaN/s", "inf/s"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }
}
