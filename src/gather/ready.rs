//! Ready: when a backend has done what it was about, so that its changes can be planned.
//!
//! Label Studio closes its connection when a request is done, and that is the surest sign.
//! Where connections live on (a pooler, a worker, somebody's psql) it is a pause; and where a
//! connection is so busy that there is none, the age of its changes.

use std::collections::HashSet;
use std::time::Duration;

use super::activity::{Activity, State, Writer};
use crate::change::Backend;
use crate::settings::GatherLimits;

/// The connection of a request is expected to close: a pause must be as many times longer to
/// count, for Label Studio may compute between two statements, and under load for long.
const REQUEST: u32 = 20;

/// And longer by as much for each object: it computes something about each.
const EACH_OBJECT: Duration = Duration::from_millis(1);

/// A request that moved tasks may change nothing that is captured for as many times the limit:
/// Label Studio may be deleting what belonged to thousands, on a machine with much else to do.
const REQUEST_LIMIT: u32 = 6;

/// A statement that has been running for so long is part of something large; a connection
/// that is shared runs many short ones.
const LONG_STATEMENT: Duration = Duration::from_secs(1);

/// What is so far in the future was before PostgreSQL's clock was set back, nobody knows how long.
const CLOCK_SET_BACK: Duration = Duration::from_secs(10);

/// The backends that are done, or whose changes cannot wait; all of them where they are `crowded`.
pub fn backends(activity: &Activity, limits: &GatherLimits, crowded: bool) -> HashSet<Backend> {
    let is_ready = |writer: &Writer| {
        let since = |moment| match activity.now.duration_since(moment) {
            Ok(since) => since,
            Err(ahead) if ahead.duration() < CLOCK_SET_BACK => Duration::ZERO,
            Err(_) => Duration::MAX,
        };
        let (oldest, newest) = (since(writer.waiting.oldest), since(writer.waiting.newest));
        settled(writer, newest, limits) || overdue(writer, oldest, newest, limits)
    };
    let ready = activity.writers.iter().filter(|(_, writer)| crowded || is_ready(writer));
    ready.map(|(backend, _)| *backend).collect()
}

fn settled(writer: &Writer, newest: Duration, limits: &GatherLimits) -> bool {
    let patience = match writer.request {
        false => limits.settle,
        true => limits.settle * REQUEST + EACH_OBJECT * u32::try_from(writer.waiting.objects).unwrap_or(u32::MAX),
    };
    match writer.state {
        State::Gone => true,
        _ if writer.storage == Some(true) => false,
        State::Busy(_) => false,
        State::Idle(idle) => idle >= patience.min(quiet(writer, limits)),
        State::Hidden => newest >= limits.settle,
    }
}

fn overdue(writer: &Writer, oldest: Duration, newest: Duration, limits: &GatherLimits) -> bool {
    if !writer.waiting.moves_tasks {
        return oldest >= limits.limit;
    }
    let at_work = writer.storage == Some(true) || matches!(writer.state, State::Busy(time) if time >= LONG_STATEMENT);
    oldest >= limits.import_limit || (newest >= quiet(writer, limits) && !at_work)
}

/// How long nothing may happen to tasks that come or go until they are planned all the same.
fn quiet(writer: &Writer, limits: &GatherLimits) -> Duration {
    if writer.request { limits.limit * REQUEST_LIMIT } else { limits.limit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Change, Operation, Relation};
    use crate::gather::tests::{LIMITS, change, look, waiting};

    use Operation::{Delete, Insert, Update};
    use Relation::{Annotation, Task};
    use State::{Busy, Gone, Hidden, Idle};

    /// Whether the changes of backend 7 are ready at `now`, in milliseconds.
    fn ready(changes: &[Change], now: u64, writer: Writer) -> bool {
        let mut activity = look(now, changes, &[]);
        activity.writers.insert(7, Writer { waiting: waiting(changes), ..writer });
        backends(&activity, &LIMITS, false).contains(&7)
    }

    fn old(state: State) -> Writer {
        Writer { state, request: false, storage: None, waiting: waiting(&[change(1, 1, 7, Task, Insert, &[1])]) }
    }

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_connection_that_is_closed_is_done() {
        assert!(ready(&[change(1, 1, 7, Task, Insert, &[1])], 1, old(Gone)));
    }

    #[test]
    fn an_idle_connection_is_done_after_the_settle_time() {
        let changes = [change(1, 1, 7, Task, Insert, &[1])];
        assert!(!ready(&changes, 60, old(Idle(milliseconds(49)))));
        assert!(ready(&changes, 60, old(Idle(milliseconds(50)))));
        assert!(ready(&changes, 60, old(Hidden)));
    }

    #[test]
    fn the_connection_of_a_request_is_given_more_time_to_close() {
        let request = |state| Writer { request: true, ..old(state) };
        let changes = [change(1, 1, 7, Annotation, Insert, &[1])];
        assert!(!ready(&changes, 1000, request(Idle(milliseconds(1000)))));
        assert!(ready(&changes, 1000, request(Idle(milliseconds(1001)))));
        let many: Vec<i64> = (0..2000).collect();
        assert!(!ready(&[change(1, 1, 7, Task, Delete, &many)], 3000, request(Idle(milliseconds(2999)))));
        assert!(ready(&[change(1, 1, 7, Task, Delete, &many)], 3000, request(Idle(milliseconds(3000)))));
    }

    #[test]
    fn a_busy_connection_is_planned_when_its_changes_are_old() {
        let changes = [change(1, 1, 7, Annotation, Update, &[1])];
        assert!(!ready(&changes, 5000, old(Busy(milliseconds(1)))));
        assert!(ready(&changes, 5001, old(Busy(milliseconds(1)))));
    }

    #[test]
    fn tasks_that_come_and_go_are_planned_when_nothing_more_happens_to_them() {
        let import = [change(1, 1, 7, Task, Insert, &[1]), change(4000, 1, 7, Annotation, Insert, &[1])];
        assert!(!ready(&import, 8999, old(Busy(milliseconds(1)))));
        assert!(ready(&import, 9000, old(Busy(milliseconds(1)))));
        // Its counters are being brought up to date.
        assert!(!ready(&import, 9000, old(Busy(milliseconds(1000)))));
        assert!(ready(&import, 300_001, old(Busy(milliseconds(1000)))));
    }

    #[test]
    fn a_request_that_moved_tasks_is_given_time_to_finish() {
        let request = |state| Writer { request: true, ..old(state) };
        let deletion = [change(1, 1, 7, Task, Delete, &[1])];
        assert!(!ready(&deletion, 30_000, request(Busy(milliseconds(1)))));
        assert!(ready(&deletion, 30_001, request(Busy(milliseconds(1)))));
    }

    #[test]
    fn a_synchronization_is_planned_when_it_is_over() {
        let syncing = |in_progress| Writer { storage: Some(in_progress), ..old(Idle(milliseconds(2000))) };
        let changes = [change(1, 1, 7, Task, Insert, &[1]), change(2, 2, 7, Task, Insert, &[2])];
        assert!(!ready(&changes, 9000, syncing(true)));
        assert!(ready(&changes, 9000, syncing(false)));
        assert!(ready(&changes, 300_001, syncing(true)));
        assert!(ready(&changes, 9000, Writer { state: Gone, ..syncing(true) }));
    }
}
