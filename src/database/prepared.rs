//! Statements that are prepared once for a connection: parsing and describing them anew takes longer
//! than most of them run. PostgreSQL still plans them for their values, since queues are empty at one
//! moment and long at the next (`plan_cache_mode` in `sql/session.sql`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, GenericClient, Row, Statement};

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

    /// As [`GenericClient::query_one`].
    pub async fn query_one(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        self.client.query_one(&self.statement(sql).await?, parameters).await
    }

    /// As [`GenericClient::execute`].
    pub async fn execute(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        self.client.execute(&self.statement(sql).await?, parameters).await
    }
}
