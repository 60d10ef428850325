//! Thresholds and throttles of rules: what it remembers of each project, across restarts (`lshookd.rule_state`).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio_postgres::GenericClient;

use super::{Rule, RuleOutput};
use crate::model::{Event, Scope};
use crate::pg::Prepared;

/// What a rule remembers of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct State {
    /// Whether its condition was true.
    pub was_true: bool,
    /// Objects since an event passed it.
    pub counted: i64,
    /// When that was.
    pub passed_at: Option<SystemTime>,
}

/// What becomes of an event, and what is remembered then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// It is dropped.
    Drop(State),
    /// It waits until `throttle` has passed, unless a later one takes its place.
    Throttle(State),
    /// It passes.
    Pass(State),
}

impl Step {
    fn state(&self) -> &State {
        match self {
            Step::Drop(state) | Step::Throttle(state) | Step::Pass(state) => state,
        }
    }
}

impl State {
    /// What becomes of an event about so many objects, of which the condition holds or does not.
    pub fn step(self, rule: &Rule, holds: bool, objects: usize, now: SystemTime) -> Step {
        let mut state = State { was_true: holds, ..self };
        if !holds || (rule.on_transition && self.was_true) {
            return Step::Drop(state);
        }
        if let Some(threshold) = rule.threshold {
            let threshold = i64::from(threshold.max(1));
            state.counted += i64::try_from(objects).unwrap_or(i64::MAX / 2);
            if state.counted < threshold {
                return Step::Drop(state);
            }
            state.counted %= threshold;
        }
        let waited = self.passed_at.map(|at| now.duration_since(at).unwrap_or(Duration::MAX));
        let every = rule.throttle.map_or(Duration::ZERO, |every| every.unsigned_abs());
        if waited.is_some_and(|waited| waited < every) {
            return Step::Throttle(state);
        }
        Step::Pass(State { passed_at: Some(now), ..state })
    }
}

/// What rules remember of a project.
pub async fn read(
    client: &Prepared<'_, impl GenericClient>,
    rules: &[&str],
    scope: Scope,
) -> Result<BTreeMap<String, State>> {
    let rows = client.query(include_str!("../../../sql/rule/rule_states.sql"), &[&rules, &scope]).await;
    let rows = rows.context("reading lshookd.rule_state")?;
    let state = |row: &tokio_postgres::Row| State {
        was_true: row.get("was_true"),
        counted: row.get("counted"),
        passed_at: row.get("passed_at"),
    };
    Ok(rows.iter().map(|row| (row.get("rule"), state(row))).collect())
}

/// Remembers a step, and the event that it throttles.
pub async fn note(
    client: &Prepared<'_, impl GenericClient>,
    rule: &Rule,
    event: &Event,
    step: &Step,
    written: Option<&RuleOutput>,
) -> Result<()> {
    let state = step.state();
    let throttled = written.filter(|_| matches!(step, Step::Throttle(_)));
    let objects = i32::try_from(event.objects.len()).unwrap_or(i32::MAX);
    let noted = client
        .execute(
            include_str!("../../../sql/rule/note_rule_state.sql"),
            &[
                &rule.name,
                &event.scope,
                &state.was_true,
                &state.counted,
                &state.passed_at,
                &throttled.map(|throttled| &throttled.action),
                &throttled.map(|throttled| &throttled.body),
                &throttled.map(|_| event.occurred_at),
                &throttled.map(|_| objects),
                // What was throttled is kept, unless this goes out in its place.
                &!matches!(step, Step::Pass(_)),
            ],
        )
        .await;
    noted.context("writing lshookd.rule_state")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::rule::tests::rule;
    use proptest::prelude::*;

    /// Of events one second apart, each about so many objects and matching or not: which are sent,
    /// and which wait.
    fn steps(rule: &Rule, events: &[(bool, usize)]) -> String {
        let mut state = State::default();
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let step = |(second, (holds, objects)): (usize, &(bool, usize))| {
            let step = state.step(rule, *holds, *objects, start + Duration::from_secs(second as u64));
            state = *step.state();
            match step {
                Step::Drop(_) => '.',
                Step::Throttle(_) => 'h',
                Step::Pass(_) => 'S',
            }
        };
        events.iter().enumerate().map(step).collect()
    }

    #[test]
    fn one_event_for_so_many_objects() {
        assert_eq!(steps(&rule("threshold = 3"), &[(true, 1); 7]), "..S..S.");
        assert_eq!(steps(&rule("threshold = 3"), &[(true, 1), (false, 9), (true, 7), (true, 1)]), "..SS");
    }

    #[test]
    fn a_transition_is_when_it_becomes_true() {
        let events = [(false, 1), (true, 1), (true, 1), (false, 1), (true, 1)];
        assert_eq!(steps(&rule("on_transition = true\ncondition = \"true\""), &events), ".S..S");
    }

    #[test]
    fn throttled_events_are_followed_by_the_latest() {
        assert_eq!(steps(&rule("throttle = \"3s\""), &[(true, 1); 7]), "ShhShhS");
    }

    proptest! {
        #[test]
        fn as_many_are_sent_as_were_counted(threshold in 1..20i32, sizes in prop::collection::vec(1..50usize, 0..50)) {
            let rule = Rule { threshold: Some(threshold), ..rule("") };
            let events: Vec<(bool, usize)> = sizes.iter().map(|size| (true, *size)).collect();
            let sent = steps(&rule, &events).matches('S').count();
            let total: usize = sizes.iter().sum();
            prop_assert!(sent <= total / threshold as usize);
            if sizes.iter().all(|size| *size == 1) {
                prop_assert_eq!(sent, total / threshold as usize);
            }
        }
    }
}
