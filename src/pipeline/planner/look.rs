//! Looking at the queue: what waits there, and when to look again.
//!
//! Relies on looks that find nothing complete being the rule: what they cost says how often they are made.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use tokio_postgres::Client;

use crate::config::GatherLimits;
use crate::model::End;
use crate::pg::Prepared;
use crate::pipeline::gather::{self, Activity, Clients};
use crate::queue::change::{self, Connection, Pending};

/// Maximum changes that are looked at together.
const WINDOW: usize = 10_000;

/// Bounds of the pause before the next look where nothing that waits is complete: a part of the time that the latest action
/// has lasted, so that the end of a short one is seen soon, and a long one is not looked at too often.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
const PART_OF_ACTION: u32 = 10;

/// And so many times as long as looks take, within the bounds: the pause may be as much longer for each change that waits.
/// One that takes longer than twice as long as the one before, and than this, had to wait for the processor.
const PAUSE_PER_LOOK: u32 = 9;
const PAUSE_PER_CHANGE: Duration = Duration::from_micros(20);
const QUICK_LOOK: Duration = Duration::from_micros(200);

/// What a look at the queue finds.
pub enum Look {
    /// What is unplanned is of connections that are all still busy.
    NothingReady { activity: Activity },
    /// More than is looked through now.
    TooMuch,
    /// The changes that wait, if any, and the connections of which they are complete.
    Ready { activity: Activity, ready: HashMap<Connection, End>, pending: Pending },
}

/// Looks at the queue, but for the changes that are in hand, and through no more of them than `most`, if that is given.
///
/// # Errors
/// When the connection is lost.
pub async fn look(
    database: &Prepared<'_, Client>,
    clients: &mut Clients,
    limits: &GatherLimits,
    most: Option<usize>,
    in_hand: &[i64],
) -> Result<Look> {
    // The backends are looked at before the changes are read: of a backend that has ended or is idle now, all
    // that it has committed is then among the changes.
    let activity = gather::activity(database, clients, limits, WINDOW).await?;
    let waiting = activity.changes();
    let ready = gather::ready_connections(&activity, limits, waiting >= WINDOW);
    if ready.is_empty() && waiting > 0 && !activity.urgent {
        return Ok(Look::NothingReady { activity });
    }
    let pending = change::pending(database, most.map_or(WINDOW, |most| most + 1), in_hand).await?;
    Ok(match most {
        Some(most) if pending.changes.len() > most => Look::TooMuch,
        _ => Look::Ready { activity, ready, pending },
    })
}

/// How long looks take, after one that took so long.
pub fn usual(before: Duration, took: Duration) -> Duration {
    took.min(QUICK_LOOK.max(before.saturating_mul(2)))
}

/// How long to wait where looks take so long and the last has found nothing complete among so many changes.
pub fn pause(took: Duration, youngest: Duration, changes: usize) -> Duration {
    let more = PAUSE_PER_CHANGE.saturating_mul(u32::try_from(changes).unwrap_or(u32::MAX));
    let longest = LONGEST_PAUSE.saturating_add(more);
    let soon = (youngest / PART_OF_ACTION).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    soon.max(took.saturating_mul(PAUSE_PER_LOOK)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_short_action_is_seen_soon() {
        let milliseconds = Duration::from_millis;
        let quick = Duration::from_micros(200);
        assert_eq!(pause(quick, milliseconds(5), 1), SHORTEST_PAUSE);
        assert_eq!(pause(quick, milliseconds(60), 1), milliseconds(6));
        assert_eq!(pause(quick, milliseconds(60_000), 1), LONGEST_PAUSE);
    }

    #[test]
    fn looks_that_take_long_are_rarer_where_there_is_much_to_look_through() {
        let milliseconds = Duration::from_millis;
        assert_eq!(pause(milliseconds(1), milliseconds(5), 10), milliseconds(9));
        assert_eq!(pause(milliseconds(50), milliseconds(5), 0), LONGEST_PAUSE);
        assert_eq!(pause(milliseconds(50), milliseconds(5), WINDOW), milliseconds(220));
        assert_eq!(pause(Duration::MAX, Duration::MAX, 0), LONGEST_PAUSE);
    }

    #[test]
    fn a_look_that_had_to_wait_for_the_processor_is_no_measure() {
        let microseconds = Duration::from_micros;
        assert_eq!(usual(microseconds(300), microseconds(5_000)), microseconds(600));
        assert_eq!(usual(microseconds(600), microseconds(5_000)), microseconds(1_200), "more of them are");
        assert_eq!(usual(microseconds(1_200), microseconds(300)), microseconds(300));
        assert_eq!(usual(Duration::ZERO, microseconds(5_000)), QUICK_LOOK);
        assert_eq!(usual(Duration::MAX, Duration::MAX), Duration::MAX);
    }
}
