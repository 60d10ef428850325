//! How often a rule lets events through: what it remembers of each project, across restarts (`lshookd.rule_state`).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio_postgres::GenericClient;

use super::{Passed, Rule};
use crate::database::Prepared;
use crate::event::Event;

/// What a rule remembers of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct State {
    /// Whether its condition was true.
    pub was_true: bool,
    /// Objects since it let an event through.
    pub counted: i64,
    /// When it did.
    pub let_through_at: Option<SystemTime>,
}

/// What becomes of an event, and what is remembered then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Nothing is sent.
    Keep(State),
    /// It waits until `at_most_every` has passed, unless a later one takes its place.
    Hold(State),
    /// It is sent.
    LetThrough(State),
}

impl Step {
    fn state(&self) -> &State {
        match self {
            Step::Keep(state) | Step::Hold(state) | Step::LetThrough(state) => state,
        }
    }
}

impl State {
    /// What becomes of an event about so many objects, of which the condition holds or does not.
    pub fn step(self, rule: &Rule, holds: bool, objects: usize, now: SystemTime) -> Step {
        let mut state = State { was_true: holds, ..self };
        if !holds || (rule.once && self.was_true) {
            return Step::Keep(state);
        }
        if let Some(after) = rule.after {
            let after = i64::from(after.max(1));
            state.counted += i64::try_from(objects).unwrap_or(i64::MAX / 2);
            if state.counted < after {
                return Step::Keep(state);
            }
            state.counted %= after;
        }
        let waited = self.let_through_at.map(|at| now.duration_since(at).unwrap_or(Duration::MAX));
        let every = rule.at_most_every.map_or(Duration::ZERO, |every| every.unsigned_abs());
        if waited.is_some_and(|waited| waited < every) {
            return Step::Hold(state);
        }
        Step::LetThrough(State { let_through_at: Some(now), ..state })
    }
}

/// What rules remember of a project.
pub async fn read(
    client: &Prepared<'_, impl GenericClient>,
    rules: &[&str],
    project: i64,
) -> Result<BTreeMap<String, State>> {
    let rows = client.query(include_str!("../../sql/rule/rule_states.sql"), &[&rules, &project]).await;
    let rows = rows.context("reading lshookd.rule_state")?;
    let state = |row: &tokio_postgres::Row| State {
        was_true: row.get("was_true"),
        counted: row.get("counted"),
        let_through_at: row.get("let_through_at"),
    };
    Ok(rows.iter().map(|row| (row.get("rule"), state(row))).collect())
}

/// Remembers a step, and what it holds back.
pub async fn note(
    client: &Prepared<'_, impl GenericClient>,
    rule: &Rule,
    event: &Event,
    step: &Step,
    written: Option<&Passed>,
) -> Result<()> {
    let state = step.state();
    let held = written.filter(|_| matches!(step, Step::Hold(_)));
    let objects = i32::try_from(event.objects.len()).unwrap_or(i32::MAX);
    let noted = client
        .execute(
            include_str!("../../sql/rule/note_rule_state.sql"),
            &[
                &rule.name,
                &event.project,
                &state.was_true,
                &state.counted,
                &state.let_through_at,
                &held.map(|held| &held.action),
                &held.map(|held| &held.body),
                &held.map(|_| event.occurred_at),
                &held.map(|_| objects),
                // What was held is kept, unless this goes out in its place.
                &!matches!(step, Step::LetThrough(_)),
            ],
        )
        .await;
    noted.context("writing lshookd.rule_state")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::tests::rule;
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
                Step::Keep(_) => '.',
                Step::Hold(_) => 'h',
                Step::LetThrough(_) => 'S',
            }
        };
        events.iter().enumerate().map(step).collect()
    }

    #[test]
    fn one_event_for_so_many_objects() {
        assert_eq!(steps(&rule("after = 3"), &[(true, 1); 7]), "..S..S.");
        assert_eq!(steps(&rule("after = 3"), &[(true, 1), (false, 9), (true, 7), (true, 1)]), "..SS");
    }

    #[test]
    fn once_is_when_it_becomes_true() {
        let events = [(false, 1), (true, 1), (true, 1), (false, 1), (true, 1)];
        assert_eq!(steps(&rule("once = true\ncondition = \"true\""), &events), ".S..S");
    }

    #[test]
    fn at_most_every_so_often_and_then_the_latest() {
        assert_eq!(steps(&rule("at_most_every = \"3s\""), &[(true, 1); 7]), "ShhShhS");
    }

    proptest! {
        #[test]
        fn as_many_are_sent_as_were_counted(after in 1..20i32, sizes in prop::collection::vec(1..50usize, 0..50)) {
            let rule = Rule { after: Some(after), ..rule("") };
            let events: Vec<(bool, usize)> = sizes.iter().map(|size| (true, *size)).collect();
            let sent = steps(&rule, &events).matches('S').count();
            let total: usize = sizes.iter().sum();
            prop_assert!(sent <= total / after as usize);
            if sizes.iter().all(|size| *size == 1) {
                prop_assert_eq!(sent, total / after as usize);
            }
        }
    }
}
