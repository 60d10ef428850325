//! When the changes of a connection can be planned: when it has done what it was about.
//!
//! | the connection | is done when it |
//! | --- | --- |
//! | is closed | – |
//! | is expected to close ([`Habit`]) | has been idle for six times `limit`; `limit` where it is only presumed |
//! | lives on | has been idle for `settle`, or has been quiet for a while and only runs short statements |
//!
//! With a `settle` of 0 every connection is done at once. And however busy it is, its changes wait no longer than a
//! limit: `import_limit` where it is expected to close or moves tasks, `limit` otherwise.

use std::collections::HashMap;
use std::time::Duration;

use super::activity::{Activity, Storage, Writer};
use super::client::{Habit, State};
use crate::config::GatherLimits;
use crate::model::End;
use crate::queue::change::Connection;

/// A request may wait for a slow storage, or compute, for so many times the limit before it goes on.
const REQUEST: u32 = 6;

/// On a connection that is shared and never rests, an action is over when nothing was captured for so many times
/// `settle`.
const QUIET: u32 = 6;

/// A statement that has been running for so long is part of something large; a connection
/// that is shared runs many short ones.
const LONG_STATEMENT: Duration = Duration::from_secs(1);

/// How long a change waits for another connection, which changed the same object before and is not done.
pub fn order_limit(limits: &GatherLimits) -> Duration {
    limits.limit * REQUEST
}

/// The connections that are done, or whose changes cannot wait. Where more wait than can be looked at (`crowded`) and
/// none is done, all of them.
pub fn ready_connections(activity: &Activity, limits: &GatherLimits, crowded: bool) -> HashMap<Connection, End> {
    if limits.settle.is_zero() {
        // Nobody waits for anything, also not for a connection that is in its next transaction.
        return activity.writers.keys().map(|connection| (*connection, End::None)).collect();
    }
    let ready: HashMap<Connection, End> = activity
        .writers
        .iter()
        .filter_map(|(connection, writer)| Some((*connection, end(activity, writer, limits)?)))
        .collect();
    // More wait than one look sees, and those that it sees hide those that are done: without this nothing would ever
    // move again.
    match crowded && ready.is_empty() {
        true => activity.writers.keys().map(|connection| (*connection, End::Limit)).collect(),
        false => ready,
    }
}

fn end(activity: &Activity, writer: &Writer, limits: &GatherLimits) -> Option<End> {
    let (oldest, newest) = (activity.age(writer.waiting.oldest), activity.age(writer.waiting.newest));
    // The best sign that there is, before any limit: nothing comes after it.
    if writer.state == State::Gone {
        return Some(End::Closed);
    }
    // A request may run for minutes, and so may an import; on other connections events shall not be late.
    let limit = match writer.habit {
        Habit::Closes | Habit::ClosesLate => limits.import_limit,
        _ if writer.waiting.moves_tasks => limits.import_limit,
        Habit::MayClose | Habit::LivesOn => limits.limit,
    };
    if oldest >= limit {
        return Some(End::Limit);
    }
    // Its connection is at it, whatever it does between two tasks.
    if writer.storage == Storage::Synchronizing {
        return None;
    }
    let enough = match writer.habit {
        Habit::Closes => limits.limit * REQUEST,
        Habit::ClosesLate | Habit::MayClose => limits.limit,
        Habit::LivesOn => limits.settle,
    };
    match writer.state {
        State::Idle(idle) if idle >= enough => Some(End::Idle),
        // Nothing is seen but the changes themselves.
        State::Hidden if newest >= limits.settle => Some(End::Idle),
        // Seen busy in each look, by statements that are too short to be one action: a pooled connection under load.
        State::Idle(_) | State::Busy(_) if newest >= quiet(writer, limits)? => Some(End::Limit),
        _ => None,
    }
}

/// For how long nothing may be captured of a connection that is never idle; `None` where one waits for more.
fn quiet(writer: &Writer, limits: &GatherLimits) -> Option<Duration> {
    let running = match writer.state {
        State::Busy(running) => running,
        _ => Duration::ZERO,
    };
    match writer.habit {
        // Its end will be seen.
        Habit::Closes | Habit::ClosesLate => None,
        Habit::MayClose => (running < LONG_STATEMENT).then_some(limits.limit * REQUEST),
        // Label Studio computes between the statements of an import.
        Habit::LivesOn if writer.waiting.moves_tasks => (running < LONG_STATEMENT).then_some(limits.limit),
        Habit::LivesOn => (running < limits.settle).then_some(limits.settle * QUIET),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::gather::tests::{LIMITS, change, look, waiting};
    use crate::queue::change::{Change, Operation, Relation};

    use Habit::{Closes, LivesOn, MayClose};
    use Operation::{Delete, Insert, Update};
    use Relation::{Annotation, Task};
    use State::{Busy, Gone, Hidden, Idle};

    /// How the action of connection 7 ended at `now`, in milliseconds, if it did.
    fn ended(changes: &[Change], now: u64, writer: Writer) -> Option<End> {
        let mut activity = look(now, changes, &[]);
        activity.writers.insert(7, Writer { waiting: waiting(changes), ..writer });
        ready_connections(&activity, &LIMITS, false).get(&7).copied()
    }

    fn writer(habit: Habit, state: State) -> Writer {
        Writer { state, habit, storage: Storage::None, waiting: waiting(&[change(1, 1, 7, Task, Insert, &[1])]) }
    }

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_connection_that_is_closed_is_done() {
        let changes = [change(1, 1, 7, Task, Insert, &[1])];
        assert_eq!(ended(&changes, 1, writer(Closes, Gone)), Some(End::Closed));
    }

    #[test]
    fn without_a_settle_time_every_connection_is_done_at_once() {
        let changes = [change(1, 1, 7, Task, Insert, &[1])];
        let mut activity = look(1, &changes, &[]);
        activity.writers.insert(7, Writer { waiting: waiting(&changes), ..writer(Closes, Busy(milliseconds(1))) });
        let limits = GatherLimits { settle: Duration::ZERO, ..LIMITS };
        assert_eq!(ready_connections(&activity, &limits, false), [(7, End::None)].into());
    }

    #[test]
    fn an_idle_connection_that_lives_on_is_done_after_the_settle_time() {
        let changes = [change(1, 1, 7, Task, Insert, &[1])];
        assert_eq!(ended(&changes, 60, writer(LivesOn, Idle(milliseconds(49)))), None);
        assert_eq!(ended(&changes, 60, writer(LivesOn, Idle(milliseconds(50)))), Some(End::Idle));
        assert_eq!(ended(&changes, 60, writer(LivesOn, Hidden)), Some(End::Idle));
    }

    #[test]
    fn a_connection_that_will_be_closed_is_waited_for() {
        let changes = [change(1, 1, 7, Annotation, Insert, &[1])];
        // A storage that answers after ten seconds, a request of a minute.
        assert_eq!(ended(&changes, 10_000, writer(Closes, Idle(milliseconds(9_900)))), None);
        assert_eq!(ended(&changes, 60_000, writer(Closes, Busy(milliseconds(1)))), None);
        assert_eq!(ended(&changes, 31_000, writer(Closes, Idle(milliseconds(30_000)))), Some(End::Idle));
        assert_eq!(ended(&changes, 300_001, writer(Closes, Busy(milliseconds(1)))), Some(End::Limit));
    }

    #[test]
    fn one_that_may_be_closed_is_waited_for_a_while() {
        let changes = [change(1, 1, 7, Annotation, Insert, &[1])];
        assert_eq!(ended(&changes, 4_000, writer(MayClose, Idle(milliseconds(3_900)))), None);
        assert_eq!(ended(&changes, 5_001, writer(MayClose, Idle(milliseconds(4_900)))), Some(End::Limit));
    }

    #[test]
    fn a_shared_connection_that_never_rests_holds_nothing_up() {
        let changes = [change(1, 1, 7, Annotation, Update, &[1])];
        assert_eq!(ended(&changes, 300, writer(LivesOn, Busy(milliseconds(1)))), None);
        assert_eq!(ended(&changes, 301, writer(LivesOn, Busy(milliseconds(1)))), Some(End::Limit));
        assert_eq!(ended(&changes, 301, writer(LivesOn, Idle(milliseconds(10)))), Some(End::Limit));
        // A statement that lasts may be of the same action.
        assert_eq!(ended(&changes, 301, writer(LivesOn, Busy(milliseconds(60)))), None);
        assert_eq!(ended(&changes, 5_001, writer(LivesOn, Busy(milliseconds(60)))), Some(End::Limit));
    }

    #[test]
    fn annotations_alone_are_no_import() {
        let several = [change(1, 1, 7, Annotation, Insert, &[1]), change(5_000, 2, 7, Annotation, Insert, &[2])];
        assert_eq!(ended(&several, 5_001, writer(LivesOn, Busy(milliseconds(1)))), Some(End::Limit));
    }

    #[test]
    fn tasks_that_come_and_go_are_planned_when_nothing_more_happens_to_them() {
        let import = [change(1, 1, 7, Task, Insert, &[1]), change(4000, 1, 7, Annotation, Insert, &[1])];
        assert_eq!(ended(&import, 8999, writer(LivesOn, Busy(milliseconds(1)))), None);
        assert_eq!(ended(&import, 9000, writer(LivesOn, Busy(milliseconds(1)))), Some(End::Limit));
        // Its counters are being brought up to date.
        assert_eq!(ended(&import, 9000, writer(LivesOn, Busy(milliseconds(1000)))), None);
        assert_eq!(ended(&import, 300_001, writer(LivesOn, Busy(milliseconds(1000)))), Some(End::Limit));
        let deletion = [change(1, 1, 7, Task, Delete, &[1])];
        assert_eq!(ended(&deletion, 30_000, writer(MayClose, Busy(milliseconds(1)))), None);
        assert_eq!(ended(&deletion, 30_001, writer(MayClose, Busy(milliseconds(1)))), Some(End::Limit));
    }

    #[test]
    fn a_synchronization_is_planned_when_it_is_over() {
        let syncing = |habit, storage| Writer { storage, ..writer(habit, Idle(milliseconds(2000))) };
        let changes = [change(1, 1, 7, Task, Insert, &[1]), change(2, 2, 7, Task, Insert, &[2])];
        assert_eq!(ended(&changes, 9000, syncing(LivesOn, Storage::Synchronizing)), None);
        assert_eq!(ended(&changes, 9000, syncing(LivesOn, Storage::Ended)), Some(End::Idle));
        // It counts as failed and goes on: its connection decides.
        assert_eq!(ended(&changes, 9000, syncing(Closes, Storage::Ended)), None);
        assert_eq!(ended(&changes, 300_001, syncing(LivesOn, Storage::Synchronizing)), Some(End::Limit));
        let gone = Writer { state: Gone, ..syncing(LivesOn, Storage::Synchronizing) };
        assert_eq!(ended(&changes, 9000, gone), Some(End::Closed));
    }

    #[test]
    fn what_is_not_done_waits_even_where_much_else_does() {
        let changes = [change(1, 1, 7, Annotation, Insert, &[1]), change(2, 2, 8, Annotation, Insert, &[2])];
        let mut activity = look(3, &changes, &[(7, Gone), (8, Busy(Duration::ZERO))]);
        assert_eq!(ready_connections(&activity, &LIMITS, true), [(7, End::Closed)].into());
        activity.writers.remove(&7);
        assert_eq!(ready_connections(&activity, &LIMITS, true), [(8, End::Limit)].into());
    }
}
