//! `make bench`: every figure beside a bare reference, in the same run, in pairs; `make bench-full` (`lshookd-bench full`)
//! takes what needs minutes to set up as well.
//!
//! Prints a table and writes `bench/results.md`. Ratios are medians of paired runs, with the
//! smallest and the largest beside them.

mod annotators;
mod api;
mod capture;
mod control_group;
mod cost;
mod deliver;
mod endpoint;
mod flames;
mod floors;
mod load;
mod neighbors;
mod publish;
mod pull;
mod report;
mod rest;
mod scale;
mod stripped;
mod years;

use anyhow::Result;
use deliver::Load;
use lshookd_testbed::daemon::Lshookd;
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::postgres::{Circumstances, Database, Server};
use report::Report;

/// A PostgreSQL that keeps what it commits, and a database with Label Studio's tables to copy.
pub struct Ground {
    server: Server,
    template: Database,
    binary: String,
}

impl Ground {
    async fn prepare() -> Result<Ground> {
        // Settings of a small server that was set up for its work, the same for both sides.
        let settings = ["fsync=on", "shared_buffers=512MB", "max_wal_size=4GB", "wal_compression=on"];
        let circumstances =
            Circumstances { settings: settings.map(str::to_owned).to_vec(), ..Circumstances::default() };
        let server = Server::start_own_in(circumstances).await?.expect("PostgreSQL's programs are on this machine");
        let template = Installation::find(&version())?.template(&server).await?;
        let binary = std::env::var("LSHOOKD").unwrap_or_else(|_| "target/release/lshookd".to_owned());
        Ok(Ground { server, template, binary })
    }

    /// The versions of what lshookd is measured with.
    async fn versions(&self) -> Result<String> {
        let row = self.template.connect().await?.query_one("show server_version", &[]).await?;
        let postgres: String = row.get(0);
        Ok(format!("Label Studio {} and PostgreSQL {postgres}", version()))
    }

    /// A database with Label Studio's tables and nothing in them.
    pub async fn empty_database(&self, label: &str) -> Result<Database> {
        self.server.create(label, Some(&self.template.name)).await
    }

    /// A database with a user, an organization, project 1 and a thousand tasks.
    pub async fn database(&self, label: &str) -> Result<Database> {
        let database = self.empty_database(label).await?;
        let client = database.connect().await?;
        client.batch_execute(lshookd_testbed::FIXTURE).await?;
        client.batch_execute(include_str!("../../tests/sql/fixture.sql")).await?;
        client.batch_execute(r#"select fixture.rows('task', '{"project_id": 1}', 1000)"#).await?;
        client.batch_execute("analyze").await?;
        Ok(database)
    }

    /// lshookd in it, installed, by its default settings but for where it may post.
    pub async fn lshookd(&self, database: &Database) -> Result<Lshookd> {
        let lshookd = Lshookd::new(&self.binary, database)
            .with("LSHOOKD_LOG_LEVEL", "lshookd=info,lshookd::daemon=debug,lshookd::daemon::planner=info")
            .with("LSHOOKD_POLL", "5s")
            .with("LSHOOKD_RETRY_SCHEDULE", "5s,30s,2m");
        lshookd.succeed(&["install"]).await?;
        Ok(lshookd)
    }
}

/// The version of Label Studio.
fn version() -> String {
    std::env::var("LSHOOKD_TEST_LABEL_STUDIO").unwrap_or_else(|_| "1.23.2".to_owned())
}

#[tokio::main]
async fn main() -> Result<()> {
    // Fails where it was done before, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [part, port, secure_port, certificate] = arguments.as_slice()
        && part == "endpoint"
    {
        return endpoint::serve(port.parse()?, secure_port.parse()?, certificate).await;
    }
    let ground = Ground::prepare().await?;
    // Named on the command line, one part alone.
    let named = arguments.into_iter().next();
    if named.as_deref() == Some("flames") {
        return flames::draw(&ground).await;
    }
    let mut report = Report::begin();
    let is_full = named.as_deref() == Some("full");
    let wanted = named.filter(|_| !is_full);
    let is_wanted = |part: &str| wanted.as_deref().is_none_or(|wanted| wanted == part);
    // What takes minutes more, and seldom changes.
    let is_wanted_in_full = |part: &str| is_full || wanted.as_deref() == Some(part);
    // First, while PostgreSQL has nothing else to tidy up.
    if is_wanted("idle") {
        rest::measure(&ground, &mut report).await?;
    }
    if is_wanted("capture") {
        capture::measure(&ground, &mut report).await?;
    }
    if is_wanted("latency") {
        for load in [Load::Idle, Load::Half] {
            deliver::latency(&ground, &mut report, load).await?;
        }
    }
    if is_wanted_in_full("latency-rested") {
        deliver::latency(&ground, &mut report, Load::Rested).await?;
    }
    if is_wanted("drain") {
        deliver::drain(&ground, &mut report, 32, 1_000).await?;
        deliver::drain(&ground, &mut report, 1, 10_000).await?;
    }
    if is_wanted_in_full("pull") {
        pull::measure(&ground, &mut report).await?;
    }
    if is_wanted_in_full("publish") {
        publish::measure(&ground, &mut report).await?;
    }
    if is_wanted("catch-up") {
        deliver::catch_up(&ground, &mut report).await?;
    }
    if is_wanted("api") {
        api::measure(&ground, &mut report).await?;
    }
    if is_wanted("annotators") {
        annotators::measure(&ground, &mut report).await?;
    }
    if is_wanted("sustained") {
        load::sustained(&ground, &mut report, 1).await?;
        load::sustained(&ground, &mut report, 50).await?;
    }
    if is_wanted("large") {
        load::large_project(&ground, &mut report).await?;
    }
    if is_wanted("neighbors") {
        neighbors::measure(&ground, &mut report, &[(200, 1), (2000, 200)]).await?;
    }
    if is_wanted_in_full("neighbors-of-one-host") {
        neighbors::measure(&ground, &mut report, &[(2000, 1)]).await?;
    }
    if is_wanted("import") {
        scale::import(&ground, &mut report, 100_000, 1_000).await?;
        scale::import(&ground, &mut report, 10_000, 50_000).await?;
    }
    if is_wanted("breadth") {
        scale::breadth(&ground, &mut report).await?;
    }
    if is_wanted("daemons") {
        scale::daemons(&ground, &mut report, 0.5, "half a core").await?;
    }
    if is_wanted_in_full("daemons-of-tenths") {
        scale::daemons(&ground, &mut report, 0.1, "a tenth of a core").await?;
    }
    if is_wanted_in_full("capture-floors") {
        capture::floors(&ground, &mut report).await?;
    }
    if is_wanted_in_full("floors") {
        floors::measure(&ground, &mut report).await?;
    }
    if is_wanted_in_full("daemons-unlimited") {
        scale::daemons_unlimited(&ground, &mut report).await?;
    }
    if is_wanted_in_full("held") {
        load::held(&ground, &mut report).await?;
    }
    if is_wanted_in_full("backlogs") {
        scale::backlogs(&ground, &mut report).await?;
    }
    if is_wanted_in_full("years") {
        years::measure(&ground, &mut report).await?;
    }
    // Hours, by its name alone.
    if wanted.as_deref() == Some("soak") {
        load::soak(&ground, &mut report).await?;
    }
    if wanted.is_some() {
        return Ok(());
    }
    report.end(&ground.versions().await?)
}
