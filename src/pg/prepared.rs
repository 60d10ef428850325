//! Statements that are prepared once for a connection: parsing and planning them anew takes longer
//! than most of them run.
//!
//! Those that are sent together, by joining their futures, reach PostgreSQL in the order in which they are
//! polled first, if they were [prepared](Prepared::prepare) before.
//!
//! Relies on whoever has asked to take the answer: answers come in turn, and one that nobody takes holds up all behind it. A
//! future of a statement is awaited, joined with others, or dropped, and never kept aside while its task awaits another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, GenericClient, Row, RowStream, Statement};

/// Plans are made anew when so many rows were written since, which may make other plans the better ones, and when they are
/// this old at least; and in any case when they are that old. To plan them takes longer than an event on its way.
const MANY_ROWS: usize = 1_000;
const MINIMUM_AGE: Duration = Duration::from_secs(2);
const MAXIMUM_AGE: Duration = Duration::from_secs(600);

/// The statements of one connection.
#[derive(Clone, Default)]
pub struct Statements(Arc<Mutex<Known>>);

struct Known {
    /// By their text.
    statements: HashMap<&'static str, Statement>,
    planned_at: Instant,
    /// Rows that were written since.
    rows: usize,
}

impl Default for Known {
    fn default() -> Known {
        Known { statements: HashMap::new(), planned_at: Instant::now(), rows: 0 }
    }
}

impl Known {
    /// Whether plans are to be made anew; they count as new from then on.
    fn renews_plans(&mut self) -> bool {
        let age = self.planned_at.elapsed();
        let are_old = self.rows >= MANY_ROWS && age >= MINIMUM_AGE || self.rows > 0 && age >= MAXIMUM_AGE;
        if are_old {
            (self.planned_at, self.rows) = (Instant::now(), 0);
        }
        are_old
    }
}

/// A client or a transaction of that connection that uses them.
pub struct Prepared<'a, C> {
    client: &'a C,
    statements: Statements,
}

impl Statements {
    /// Uses them on a client or a transaction of their connection.
    pub fn on<'a, C: GenericClient>(&self, client: &'a C) -> Prepared<'a, C> {
        Prepared { client, statements: self.clone() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: GenericClient> Prepared<'_, C> {
    /// The client itself.
    pub fn client(&self) -> &C {
        self.client
    }

    /// Prepares statements that are not yet, so that they can be sent without waiting.
    ///
    /// # Errors
    /// When PostgreSQL refuses one, or is gone.
    pub async fn prepare(&self, statements: &[&'static str]) -> Result<(), Error> {
        for sql in statements {
            self.statement(sql).await?;
        }
        Ok(())
    }

    /// Takes note that so many rows were written to the queues.
    pub fn wrote(&self, rows: usize) {
        let mut known = self.statements.known();
        known.rows = known.rows.saturating_add(rows);
    }

    /// Lets PostgreSQL plan for the queues as they are from now on, where they have changed much since it did
    /// (`sql/pg/steady_plans.sql`). Whether they have.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn renew_plans(&self) -> Result<bool, Error> {
        let are_old = self.statements.known().renews_plans();
        if are_old {
            self.client.batch_execute("discard plans").await?;
        }
        Ok(are_old)
    }

    async fn statement(&self, sql: &'static str) -> Result<Statement, Error> {
        let known = self.statements.known().statements.get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.known().statements.insert(sql, statement.clone());
        Ok(statement)
    }

    /// As [`GenericClient::query`].
    pub async fn query(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        self.client.query(&self.statement(sql).await?, parameters).await
    }

    /// As [`GenericClient::query_raw`]: rows as they arrive, so that work on them goes on while PostgreSQL sends more.
    pub async fn query_raw(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<RowStream, Error> {
        self.client.query_raw(&self.statement(sql).await?, parameters.iter().copied()).await
    }

    /// As [`GenericClient::query_one`].
    pub async fn query_one(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        self.client.query_one(&self.statement(sql).await?, parameters).await
    }

    /// As [`GenericClient::execute`].
    pub async fn execute(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.client.execute(&self.statement(sql).await?, parameters).await
    }
}
