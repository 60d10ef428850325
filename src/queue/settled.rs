//! Which rows of a queue are settled: there, or never to come.
//!
//! Rows are numbered before they are committed, so that one may still come that is lower than others that are gone. A
//! number is settled when every transaction has ended that had written to the table after it was given; the next look has
//! then seen all that is below it.

use std::collections::HashSet;

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::pg::Prepared;

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More is settled than before.
    More,
    /// No more is.
    Same,
    /// Numbers begin anew: somebody has emptied the table and restarted its sequence.
    Restarted,
}

/// A queue, as far as it is settled.
pub struct Settled {
    sequence: &'static str,
    table: &'static str,
    up_to: i64,
    /// The newest number of the last look.
    newest: Option<i64>,
    /// A number, and the transactions that had written after it was given and have not ended since.
    awaited: Option<(i64, HashSet<String>)>,
}

impl Settled {
    /// Of a table whose rows a sequence numbers.
    pub fn of(table: &'static str, sequence: &'static str) -> Settled {
        Settled { sequence, table, up_to: 0, newest: None, awaited: None }
    }

    /// Up to which number it was at the last look.
    pub fn up_to(&self) -> i64 {
        self.up_to
    }

    /// Looks who writes.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn look(&mut self, database: &Prepared<'_, Client>) -> Result<Progress> {
        let query = include_str!("../../sql/queue/numbering.sql");
        let row = database.query_one(query, &[&self.sequence, &self.table]).await;
        let row = row.with_context(|| format!("reading who writes {}", self.table))?;
        Ok(self.see(row.get("newest"), row.get::<_, Vec<String>>("writers").into_iter().collect()))
    }

    /// The newest number and the writers are of now.
    fn see(&mut self, newest: i64, writers: HashSet<String>) -> Progress {
        if self.newest.is_some_and(|before| newest < before) {
            *self = Settled::of(self.table, self.sequence);
            return Progress::Restarted;
        }
        // The number must be older than the look at who writes.
        let before = self.newest.replace(newest);
        let (number, awaited) = match (self.awaited.take(), before) {
            (Some((number, awaited)), _) => (number, awaited.intersection(&writers).cloned().collect()),
            (None, Some(number)) if number > self.up_to => (number, writers),
            (None, _) => return Progress::Same,
        };
        if awaited.is_empty() {
            self.up_to = number;
            return Progress::More;
        }
        self.awaited = Some((number, awaited));
        Progress::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_settled_when_those_have_ended_that_wrote_after_it_was_given() {
        let mut settled = Settled::of("queue", "queue_seq");
        let mut see = |newest, writers: &[&str]| {
            let progress = settled.see(newest, writers.iter().map(|name| (*name).to_owned()).collect());
            (progress, settled.up_to())
        };
        assert_eq!(see(10, &["1/1"]), (Progress::Same, 0), "one that writes may have a number up to 10");
        assert_eq!(see(20, &["1/1", "2/7"]), (Progress::Same, 0));
        assert_eq!(see(30, &["2/7", "3/1"]), (Progress::Same, 0), "2/7 may have had its number before");
        assert_eq!(see(40, &["3/1"]), (Progress::More, 10));
        assert_eq!(see(50, &[]), (Progress::More, 40));
        assert_eq!(see(50, &[]), (Progress::More, 50));
        assert_eq!(see(50, &[]), (Progress::Same, 50), "nothing came");
        assert_eq!(see(3, &[]), (Progress::Restarted, 0), "somebody restarted the sequence");
        assert_eq!(see(4, &[]), (Progress::Same, 0));
        assert_eq!(see(4, &[]), (Progress::More, 4));
    }
}
