//! What every test starts from: a database with Label Studio's tables, lshookd installed.

use anyhow::Result;
use lshookd_scenarios::scenario_run::{ScenarioRun, id};
use lshookd_testbed::daemon::{Daemon, Lshookd};
use lshookd_testbed::label_studio::{Installation, Surroundings};
use lshookd_testbed::nats::Nats;
use lshookd_testbed::postgres::{Database, Server};
use lshookd_testbed::receiver::Receiver;
use tokio::sync::OnceCell;
use tokio_postgres::Client;

use crate::published;
use crate::pull::Consumers;

/// The version of Label Studio that the tests run on.
pub fn version() -> String {
    std::env::var("LSHOOKD_TEST_LABEL_STUDIO").unwrap_or_else(|_| "1.23.2".to_owned())
}

/// The server, and the name of the migrated template; once for all tests.
pub async fn server() -> Result<(&'static Server, &'static str)> {
    static SERVER: OnceCell<(Server, Database)> = OnceCell::const_new();
    let start = async || {
        let server = Server::obtain().await?;
        eprintln!("PostgreSQL: {}", server.origin);
        let template = Installation::find(&version())?.template(&server).await?;
        anyhow::Ok((server, template))
    };
    let (server, template) = SERVER.get_or_try_init(start).await?;
    Ok((server, &template.name))
}

/// A fresh database with Label Studio's tables in it.
pub async fn label_studio_database(label: &str) -> Result<Database> {
    let (server, template) = server().await?;
    server.create(label, Some(template)).await
}

/// lshookd in a database, installed as an owner and run as a daemon of few rights.
pub async fn installed(database: &Database) -> Result<Lshookd> {
    let lshookd = lshookd(database).with_roles(database).await?;
    lshookd.succeed(&["install"]).await?;
    Ok(lshookd)
}

/// Label Studio in a database, started in these surroundings, and lshookd active beside it.
pub async fn run(database: &Database, surroundings: Surroundings<'_>) -> Result<(ScenarioRun, Daemon)> {
    let studio = Installation::find(&version())?.start_in(database, surroundings).await?;
    let daemon = installed(database).await?.run().await?;
    Ok((ScenarioRun::start(studio, database, Receiver::start().await?).await?, daemon))
}

/// lshookd for a database, as the superuser.
pub fn lshookd(database: &Database) -> Lshookd {
    Lshookd::new(env!("CARGO_BIN_EXE_lshookd"), database)
}

/// A database with one project and nobody but SQL to write to it, a receiver, and a webhook of
/// the organization and of the project on it.
pub struct TestEnv {
    /// The database.
    pub database: Database,
    /// A connection to it.
    pub sql: Client,
    /// lshookd, installed.
    pub lshookd: Lshookd,
    /// The endpoint of the webhooks.
    pub receiver: Receiver,
    stream: OnceCell<Nats>,
    /// Consumers that pull, where there are any.
    pub consumers: OnceCell<Consumers>,
}

impl TestEnv {
    /// A new one.
    pub async fn new(label: &str) -> Result<TestEnv> {
        TestEnv::new_in(label_studio_database(label).await?).await
    }

    /// The same in a database of Label Studio's.
    pub async fn new_in(database: Database) -> Result<TestEnv> {
        let env = TestEnv::furnish(database).await?;
        env.lshookd.succeed(&["install"]).await?;
        // The connection of the test lives on, as the daemon would have learned before.
        let known = "insert into lshookd.client (role, address, application, lived_on)
                     select current_user, coalesce(host(inet_client_addr()), ''), current_setting('application_name'), 4";
        env.sql.batch_execute(known).await?;
        Ok(env)
    }

    /// The same without installing anything.
    pub async fn furnish(database: Database) -> Result<TestEnv> {
        let sql = database.connect().await?;
        sql.batch_execute(lshookd_testbed::FIXTURE).await?;
        sql.batch_execute(include_str!("../sql/fixture.sql")).await?;
        let lshookd = lshookd(&database).with_roles(&database).await?;
        let receiver = Receiver::start().await?;
        Ok(TestEnv { database, sql, lshookd, receiver, stream: OnceCell::new(), consumers: OnceCell::new() })
    }

    /// With a setting of lshookd's.
    pub fn with(self, name: &str, value: &str) -> TestEnv {
        TestEnv { lshookd: self.lshookd.with(name, value), ..self }
    }

    /// Stores deliveries of a webhook, as the planner would have, in so many lanes that are not opened.
    pub async fn store_deliveries(&self, webhook: i64, quantity: usize, lanes: usize) -> Result<()> {
        let stored = format!(
            "with stored as (
                 insert into lshookd.event (action, project_id, object_count, occurred_at, body)
                 select 'ANNOTATION_UPDATED', 1, 1, now(), '{{}}' from generate_series(1, {quantity})
                 returning id
             )
             insert into lshookd.delivery (event_id, webhook_id, project_id)
             select id, {webhook}, 1 + id % {lanes} from stored"
        );
        self.run(&stored).await
    }

    /// Lets PostgreSQL's statistics say of lshookd's tables that they are empty, for good.
    pub async fn forget_statistics(&self) -> Result<()> {
        let ours = "where relnamespace = 'lshookd'::regnamespace and relkind = 'r'";
        for row in self.sql.query(&format!("select oid::regclass::text as name from pg_class {ours}"), &[]).await? {
            let table: &str = row.get("name");
            self.run(&format!("alter table {table} set (autovacuum_enabled = false)")).await?;
        }
        self.run(&format!("update pg_class set reltuples = 0, relpages = 1 {ours}")).await
    }

    /// The same with an active daemon, and a webhook of project 1 on the path `/project`.
    pub async fn running(label: &str) -> Result<(TestEnv, Daemon)> {
        let env = TestEnv::new(label).await?;
        env.webhook("/project", "{}").await?;
        let daemon = env.lshookd.run().await?;
        Ok((env, daemon))
    }

    /// Adds a webhook of project 1, for all actions unless `more` says otherwise. Its id.
    pub async fn webhook(&self, path: &str, more: &str) -> Result<i64> {
        let given = format!(
            r#"{{"url": "{}", "organization_id": 1, "project_id": 1, "is_active": true, "send_payload": true,
                "send_for_all_actions": true, "headers": {{}}}}"#,
            self.receiver.url(path)
        );
        let row = self
            .sql
            .query_one("select (fixture.rows('webhook', $1::text::jsonb || $2::text::jsonb))[1]", &[&given, &more])
            .await?;
        Ok(row.get(0))
    }

    /// A stream of all that happens in project 1, as accessible as the receiver; begins when it is first asked for.
    pub async fn stream(&self) -> Result<&Nats> {
        let begin = async || {
            let nats = Nats::start_on(self.receiver.host()).await?;
            published::keep(&nats).await?;
            self.create_webhook(&nats.url(published::SUBJECT), &["--project", "1"]).await?;
            Ok(nats)
        };
        self.stream.get_or_try_init(begin).await
    }

    /// Creates a webhook by the command. The webhook's id.
    pub async fn create_webhook(&self, url: &str, more: &[&str]) -> Result<i64> {
        let said = self.lshookd.succeed(&[&["webhook", "create", url, "--json"], more].concat()).await?;
        id(&serde_json::from_str(&said)?)
    }

    /// Runs SQL.
    pub async fn run(&self, sql: &str) -> Result<()> {
        Ok(self.sql.batch_execute(sql).await?)
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> Result<i64> {
        Ok(self.sql.query_one(sql, &[]).await?.get(0))
    }
}
