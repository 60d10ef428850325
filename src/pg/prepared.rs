//! Statements that are prepared once for a connection: parsing and planning them anew takes longer
//! than most of them run.
//!
//! Those that are sent together, by joining their futures, reach PostgreSQL in the order in which they are
//! polled first, if they were [prepared](Prepared::prepare) before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, GenericClient, Row, RowStream, Statement};

/// The statements of one connection, by their text.
#[derive(Clone, Default)]
pub struct Statements(Arc<Mutex<HashMap<&'static str, Statement>>>);

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

    /// Plans for the queues as they are from now on (`sql/pg/steady_plans.sql`).
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn discard_plans(&self) -> Result<(), Error> {
        self.client.batch_execute("discard plans").await
    }

    async fn statement(&self, sql: &'static str) -> Result<Statement, Error> {
        let known = self.statements.0.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.0.lock().unwrap_or_else(PoisonError::into_inner).insert(sql, statement.clone());
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
