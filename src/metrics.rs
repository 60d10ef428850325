//! Metrics: what this daemon has counted since it started, for Prometheus.
//!
//! Labels are bounded: no webhook, project or host is ever one. What the database knows (backlog,
//! dead deliveries) is asked when somebody looks.

use std::time::Duration;

use crate::model::End;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of seconds, from a quick answer to an endpoint that was away for a day.
const SECONDS: [f64; 14] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0, 3600.0, 86400.0];

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The endpoint took it.
    Delivered,
    /// It will be retried.
    Retried,
    /// It is dead.
    Dead,
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let name = match self {
            Outcome::Delivered => "delivered",
            Outcome::Retried => "retried",
            Outcome::Dead => "dead",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnd {
    end: &'static str,
}

/// A trace as an example of what is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Exemplar {
    trace_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRole {
    role: &'static str,
}

/// The counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    attempts: Family<ByOutcome, Counter>,
    answer_time: HistogramWithExemplars<Exemplar>,
    lag: HistogramWithExemplars<Exemplar>,
    changes: Counter,
    events: Counter,
    ends: Family<ByEnd, Counter>,
    set_aside: Counter,
    triggers_missing: Gauge,
    interruptions: Family<ByRole, Counter>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            attempts: Family::default(),
            answer_time: HistogramWithExemplars::new(SECONDS.into_iter()),
            lag: HistogramWithExemplars::new(SECONDS.into_iter()),
            changes: Counter::default(),
            events: Counter::default(),
            ends: Family::default(),
            set_aside: Counter::default(),
            triggers_missing: Gauge::default(),
            interruptions: Family::default(),
        }
    }
}

impl Metrics {
    /// An attempt ended, after so long; `lag` is the time since its event occurred, unless it is replayed. What is traced
    /// is shown as an example.
    pub fn attempted(&self, outcome: Outcome, answer_time: Duration, lag: Option<Duration>, trace_id: Option<String>) {
        let exemplar = trace_id.map(|trace_id| Exemplar { trace_id });
        if let Some(lag) = lag.filter(|_| outcome == Outcome::Delivered) {
            self.lag.observe(lag.as_secs_f64(), exemplar.clone(), None);
        }
        self.answer_time.observe(answer_time.as_secs_f64(), exemplar, None);
        self.attempts.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// So many events that consumers were given ended in this way.
    pub fn pulled(&self, outcome: Outcome, events: u64) {
        self.attempts.get_or_create(&ByOutcome { outcome }).inc_by(events);
    }

    /// So many changes became so many events.
    pub fn planned(&self, changes: usize, events: usize) {
        self.changes.inc_by(changes as u64);
        self.events.inc_by(events as u64);
    }

    /// An action was gathered, whose end was known in this way.
    pub fn gathered(&self, end: End) {
        self.ends.get_or_create(&ByEnd { end: end.name() }).inc();
    }

    /// So many changes were set aside.
    pub fn set_aside(&self, changes: usize) {
        self.set_aside.inc_by(changes as u64);
    }

    /// So many triggers are missing or disabled now.
    pub fn triggers_missing(&self, triggers: usize) {
        self.triggers_missing.set(i64::try_from(triggers).unwrap_or(i64::MAX));
    }

    /// A role lost its session, or its work failed.
    pub fn interrupted(&self, role: &'static str) {
        self.interruptions.get_or_create(&ByRole { role }).inc();
    }

    /// A registry that shows them.
    pub fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("lshookd");
        registry.register("attempts", "Requests that ended, by what came of them", self.attempts.clone());
        registry.register_with_unit(
            "answer_time",
            "Time from the beginning of a request to its answer",
            Unit::Seconds,
            self.answer_time.clone(),
        );
        registry.register_with_unit(
            "delivery_lag",
            "Time from the commit of a change to its delivery",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register("changes_planned", "Changes that were planned", self.changes.clone());
        registry.register("events_planned", "Events that were stored", self.events.clone());
        registry.register(
            "actions_gathered",
            "Actions that were planned, by how their end was known: the connection was closed or idle, or a limit was reached",
            self.ends.clone(),
        );
        registry.register(
            "set_aside",
            "Changes that were set aside, for they cannot be planned",
            self.set_aside.clone(),
        );
        registry.register(
            "triggers_missing",
            "Triggers on Label Studio's tables that are missing or disabled, as the daemon that plans sees it",
            self.triggers_missing.clone(),
        );
        registry.register("interruptions", "Times that a role lost its session or failed", self.interruptions.clone());
        registry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown_in_prometheus_conventions() {
        let metrics = Metrics::default();
        metrics.attempted(Outcome::Delivered, Duration::from_millis(30), Some(Duration::from_secs(3)), None);
        metrics.attempted(Outcome::Dead, Duration::from_millis(30), Some(Duration::from_secs(3)), None);
        metrics.interrupted("planner");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics.registry()).unwrap();
        for line in [
            "lshookd_attempts_total{outcome=\"delivered\"} 1",
            "lshookd_answer_time_seconds_bucket{le=\"0.05\"} 2",
            "lshookd_delivery_lag_seconds_count 1",
            "lshookd_interruptions_total{role=\"planner\"} 1",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
