//! What kept the planner from its work: noted where it fails, told of when it has worked again for a while.
//!
//! Promises: an interruption that goes on while the planner begins again and fails again is one. Relies on being
//! forgotten where another daemon plans meanwhile. It is in memory alone: where it is noted, nothing can be stored.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::error::SqlState;

/// One that is shorter is told of only where PostgreSQL had no disk space: servers are restarted now and then.
const WORTH_TELLING: Duration = Duration::from_secs(60);

/// Told of when the planner has worked for so long again: one that has begun just now may fail again.
const OVER: Duration = Duration::from_secs(10);

/// Those that follow each other more closely are told of together.
const PACE: Duration = Duration::from_secs(600);

/// The planner's last interruption, until it is told.
#[derive(Debug, Clone, Default)]
pub struct Interruption(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    noted: Option<Noted>,
    told_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Noted {
    since: Timestamp,
    /// `None` while the planner does not work.
    until: Option<Timestamp>,
    /// The last error.
    reason: String,
    lacked_space: bool,
}

/// What is told of one.
#[derive(Debug, PartialEq)]
pub struct Told {
    /// Of what kind it was.
    pub kind: &'static str,
    /// When it began.
    pub since: Timestamp,
    /// Its last error.
    pub reason: String,
}

impl Interruption {
    /// The planner failed.
    pub fn begins(&self, error: &anyhow::Error, now: Timestamp) {
        let lacks_space = lacks_space(error);
        let mut state = self.state();
        let noted = state.noted.get_or_insert_with(|| Noted {
            since: now,
            until: None,
            reason: String::new(),
            lacked_space: lacks_space,
        });
        noted.until = None;
        // Once there was no space, other errors follow from that: PostgreSQL recovers, say.
        if lacks_space || !noted.lacked_space {
            noted.reason = format!("{error:#}");
            noted.lacked_space = lacks_space;
        }
    }

    /// The planner works.
    pub fn ends(&self, now: Timestamp) {
        if let Some(noted) = &mut self.state().noted {
            noted.until.get_or_insert(now);
        }
    }

    /// What is to be told of it now, if there was one.
    pub fn to_tell(&self, now: Timestamp) -> Option<Told> {
        let mut state = self.state();
        let noted = state.noted.as_ref()?;
        let until = noted.until?;
        if now.duration_since(until).unsigned_abs() < OVER {
            return None;
        }
        let lasted = until.duration_since(noted.since).unsigned_abs();
        if !noted.lacked_space && lasted < WORTH_TELLING {
            state.noted = None;
            return None;
        }
        let is_early = state.told_at.is_some_and(|at| now.duration_since(at).unsigned_abs() < PACE);
        let kind = if noted.lacked_space { "disk-full" } else { "interrupted" };
        (!is_early).then(|| Told { kind, since: noted.since, reason: noted.reason.clone() })
    }

    /// It was told.
    pub fn is_told(&self, now: Timestamp) {
        *self.state() = State { noted: None, told_at: Some(now) };
    }

    /// Another daemon plans.
    pub fn forget(&self) {
        self.state().noted = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lacks_space(error: &anyhow::Error) -> bool {
    let code = error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()?.code());
    code == Some(&SqlState::DISK_FULL)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn failures_in_a_row_are_one_interruption() {
        let interruption = Interruption::default();
        interruption.begins(&anyhow!("refused"), at(0));
        assert_eq!(interruption.to_tell(at(4)), None, "it goes on");
        interruption.ends(at(5));
        interruption.begins(&anyhow!("starting up"), at(6));
        interruption.ends(at(70));
        let told = Told { kind: "interrupted", since: at(0), reason: "starting up".to_owned() };
        assert_eq!(interruption.to_tell(at(80)), Some(told));
        interruption.is_told(at(80));
        assert_eq!(interruption.to_tell(at(90)), None);
    }

    #[test]
    fn those_that_follow_closely_are_told_of_together_later() {
        let interruption = Interruption::default();
        interruption.is_told(at(0));
        for second in [100, 300] {
            interruption.begins(&anyhow!("refused"), at(second));
            interruption.ends(at(second + 70));
            assert_eq!(interruption.to_tell(at(second + 80)), None);
        }
        assert_eq!(interruption.to_tell(at(601)).map(|told| told.since), Some(at(100)));
    }

    #[test]
    fn a_short_one_is_not_worth_telling_and_one_that_another_daemon_bridged_is_none() {
        let interruption = Interruption::default();
        interruption.begins(&anyhow!("restarted"), at(0));
        interruption.ends(at(5));
        assert_eq!(interruption.to_tell(at(20)), None);
        interruption.begins(&anyhow!("restarted"), at(100));
        interruption.forget();
        interruption.ends(at(1000));
        assert_eq!(interruption.to_tell(at(1010)), None);
    }
}
