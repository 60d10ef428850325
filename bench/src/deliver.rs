//! How fast deliveries go out, and how soon.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use futures_util::stream::{self, StreamExt};
use lshookd_testbed::daemon::{Daemon, Lshookd};
use lshookd_testbed::eventually;
use lshookd_testbed::postgres::Database;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::Ground;
use crate::capture::{self, Length};
use crate::endpoint::Endpoint;
use crate::report::{Report, percentile};
use crate::stripped::Stripped;

/// Runs of each.
const PAIRS: usize = 3;

/// Deliveries per second out of a backlog of so many events to so many webhooks, beside reqwest alone
/// posting as many bodies of the same size with as many in flight.
pub async fn drain(ground: &Ground, report: &mut Report, webhooks: usize, events: usize) -> Result<()> {
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let backlog = Backlog::of(ground, webhooks, events).await?;
        let ours = backlog.drain().await?;
        let Backlog { endpoint, daemon, body, total, .. } = backlog;
        daemon.stop().await?;
        ensure!(endpoint.count().await? == total, "not all of it arrived");
        pairs.push((ours, by_reqwest(&endpoint, body, total.min(50_000), webhooks).await?));
    }
    let what = match webhooks {
        1 => "one ordered lane".to_owned(),
        webhooks => format!("drain of {} thousand, {webhooks} lanes", webhooks * events / 1000),
    };
    report.pairs(&what, "/s", &pairs, if webhooks == 1 { "≥ 0.50" } else { "≥ 0.45" });
    Ok(())
}

/// What is planned and waits, paused.
pub struct Backlog {
    /// Where it waits.
    pub database: Database,
    /// Who hears of it.
    pub endpoint: Endpoint,
    lshookd: Lshookd,
    /// Pauses.
    pub daemon: Daemon,
    /// Of the first event.
    pub body: String,
    /// Deliveries.
    pub total: u64,
}

impl Backlog {
    /// So many events, each to so many webhooks.
    pub async fn of(ground: &Ground, webhooks: usize, events: usize) -> Result<Backlog> {
        let database = ground.database("drain").await?;
        let endpoint = Endpoint::start().await?;
        endpoint.subscribe(&database, webhooks).await?;
        let sql = database.connect().await?;
        sql.batch_execute(include_str!("../sql/backlog.sql")).await?;
        let lshookd = ground.lshookd(&database).await?;
        lshookd.succeed(&["webhook", "pause", "--all"]).await?;
        let daemon = lshookd.run().await?;
        sql.batch_execute(&format!("call backlog({events})")).await?;
        let total = (webhooks * events) as u64;
        let waiting = async || {
            let row = sql.query_one("select count(*) from lshookd.delivery where state = 'pending'", &[]).await?;
            Ok((row.get::<_, i64>(0).unsigned_abs() == total).then_some(()))
        };
        eventually("the backlog is planned", Duration::from_secs(120), waiting).await?;
        let body = first_body(&sql).await?;
        sql.batch_execute("vacuum analyze").await?;
        sql.batch_execute("checkpoint").await?;
        Ok(Backlog { database, endpoint, lshookd, daemon, body, total })
    }

    /// Deliveries per second from now until all of them are recorded.
    pub async fn drain(&self) -> Result<f64> {
        let sql = self.database.connect().await?;
        let started = Instant::now();
        self.lshookd.succeed(&["webhook", "resume", "--all"]).await?;
        let recorded = async || {
            let row =
                sql.query_one("select exists (select from lshookd.delivery where state = 'pending')", &[]).await?;
            Ok((!row.get::<_, bool>(0)).then_some(()))
        };
        eventually("all is recorded", Duration::from_secs(60), recorded).await?;
        Ok(self.total as f64 / started.elapsed().as_secs_f64())
    }
}

/// The body of the first event.
pub async fn first_body(sql: &tokio_postgres::Client) -> Result<String> {
    Ok(sql.query_one("select body from lshookd.event order by id limit 1", &[]).await?.get(0))
}

/// Requests per second of reqwest alone, posting a body to the endpoint with so many in flight.
pub async fn by_reqwest(endpoint: &Endpoint, body: String, count: u64, in_flight: usize) -> Result<f64> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let body = Bytes::from(body);
    let started = Instant::now();
    stream::iter(0..count)
        .map(|number| {
            let request = client.post(endpoint.url(number as usize % in_flight)).body(body.clone());
            async move { request.send().await?.error_for_status()?.bytes().await }
        })
        .buffer_unordered(in_flight)
        .for_each(|answer| async move { drop(answer) })
        .await;
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

/// Projects in which something changed while no daemon ran, each with a webhook.
pub const PROJECTS: usize = 32;

/// What waits for a daemon.
pub struct Outage {
    /// Where it waits.
    pub database: Database,
    /// Who hears of it.
    pub endpoint: Endpoint,
    /// To be run.
    pub lshookd: Lshookd,
}

impl Outage {
    /// So many one-row transactions, captured.
    pub async fn of(ground: &Ground, changes: usize) -> Result<Outage> {
        let (database, endpoint) = (ground.database("catch_up").await?, Endpoint::start().await?);
        let sql = database.connect().await?;
        sql.batch_execute(include_str!("../sql/catch_up_projects.sql")).await?;
        endpoint.subscribe(&database, PROJECTS).await?;
        sql.batch_execute("update webhook set project_id = id").await?;
        let lshookd = ground.lshookd(&database).await?;
        capture::run(&database, "catch_up", 8, Length::Transactions(changes), None).await?;
        sql.batch_execute("analyze").await?;
        sql.batch_execute("checkpoint").await?;
        Ok(Outage { database, endpoint, lshookd })
    }
}

/// From changes to deliveries, per second: one-row transactions in 32 projects that were captured while no daemon ran,
/// from the start of one until all is recorded, beside reqwest posting the same bytes with 32 in flight.
pub async fn catch_up(ground: &Ground, report: &mut Report) -> Result<()> {
    const CHANGES: usize = 40_000;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let Outage { database, endpoint, lshookd } = Outage::of(ground, CHANGES).await?;
        let sql = database.connect().await?;
        let started = Instant::now();
        let daemon = lshookd.run().await?;
        endpoint.reaches(CHANGES as u64).await?;
        capture::settled(&database).await?;
        let ours = CHANGES as f64 / started.elapsed().as_secs_f64();
        daemon.stop().await?;
        let body = first_body(&sql).await?;
        pairs.push((ours, by_reqwest(&endpoint, body, CHANGES as u64, PROJECTS).await?));
    }
    report.pairs("catch-up of 40 thousand changes in 32 projects", "/s", &pairs, "≥ 0.34");
    Ok(())
}

/// What goes on beside the events whose latency is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Nothing: each comes 10 ms after the last was delivered.
    Idle,
    /// Nothing for three seconds before each, as in an office of one annotator.
    Rested,
    /// Others annotate another project.
    Half,
}

impl Load {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Load::Idle => "idle",
            Load::Rested => "after three seconds of rest",
            Load::Half => "at half load",
        }
    }

    /// How many times as long as the bare program half of all events may take.
    fn goal(self) -> &'static str {
        match self {
            Load::Idle => "≤ 3",
            Load::Half => "≤ 4",
            Load::Rested => "",
        }
    }

    /// How many events, of which so many warm up, and the pause between them.
    fn events(self) -> (usize, usize, Duration) {
        match self {
            Load::Rested => (16, 4, Duration::from_secs(3)),
            Load::Idle | Load::Half => (250, 50, Duration::from_millis(10)),
        }
    }
}

/// From the moment that a writer says "commit" to the request, beside a program that listens to a notification of
/// the writer's and posts.
pub async fn latency(ground: &Ground, report: &mut Report, load: Load) -> Result<()> {
    let mut rounds = Vec::new();
    for _ in 0..if load == Load::Rested { 1 } else { PAIRS } {
        let ours = commit_to_request(ground, Program::Lshookd, load).await?;
        rounds.push((ours, commit_to_request(ground, Program::Bare, load).await?));
    }
    for (percent, goal) in [(50, load.goal()), (99, "≤ 12")] {
        let at = |sorted: &[f64]| percentile(sorted, percent);
        let pairs: Vec<(f64, f64)> = rounds.iter().map(|(ours, bare)| (at(ours), at(bare))).collect();
        report.pairs(&format!("commit to request, {}, {percent} %", load.name()), "ms", &pairs, goal);
    }
    Ok(())
}

/// What posts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// As it is.
    Lshookd,
    /// Keeps nothing.
    Bare,
    /// Stores each event before it is sent, and records it.
    Stripped,
}

/// Milliseconds of each event, in ascending order.
pub async fn commit_to_request(ground: &Ground, program: Program, load: Load) -> Result<Vec<f64>> {
    let (events, warm_up, pause) = load.events();
    let database = ground.database("latency").await?;
    let sql = database.connect().await?;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let take = async move |uri: Uri, _body: Bytes| {
        if uri.path() == "/1" {
            // Nobody waits for requests after the last one.
            let _ = arrived.send(Instant::now());
        }
    };
    let serving = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    sql.batch_execute(r#"select fixture.rows('project', '{"title": "Fish", "organization_id": 1}')"#).await?;
    sql.batch_execute(r#"select fixture.rows('task', '{"project_id": 2}')"#).await?;
    let mut daemon = None;
    if program != Program::Bare {
        for project in [1, 2] {
            let row = format!(
                r#"{{"url": "{url}{project}", "organization_id": 1, "project_id": {project}, "is_active": true,
                    "send_payload": true, "send_for_all_actions": true}}"#
            );
            sql.execute("select fixture.rows('webhook', $1::text::jsonb)", &[&row]).await?;
        }
    }
    let lshookd = if program == Program::Bare { None } else { Some(ground.lshookd(&database).await?) };
    match (program, lshookd) {
        (Program::Lshookd, Some(lshookd)) => daemon = Some(lshookd.with("LSHOOKD_SETTLE", "0").run().await?),
        _ => {
            sql.batch_execute(include_str!("../sql/notify.sql")).await?;
            let stripped = match program {
                Program::Stripped => Some(Stripped::start(&database, &url, 2).await?),
                _ => None,
            };
            bare_program(&database.environment(), &database.name, url, stripped).await?;
        }
    }
    let others = match load {
        Load::Half => Some(tokio::spawn(annotate_elsewhere(database.connect().await?))),
        Load::Idle | Load::Rested => None,
    };
    let insert = sql.prepare(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}')"#).await?;
    let mut milliseconds = Vec::new();
    for number in 0..events {
        sql.batch_execute("begin").await?;
        sql.execute(&insert, &[]).await?;
        // Before, for what follows may be faster than PostgreSQL's answer to who committed.
        let committed = Instant::now();
        sql.batch_execute("commit").await?;
        let arrived = tokio::time::timeout(Duration::from_secs(10), arrivals.recv()).await;
        let arrived = arrived.context("a request never came")?.context("the endpoint ended")?;
        // The first ones warm both up.
        if number >= warm_up {
            milliseconds.push(arrived.saturating_duration_since(committed).as_secs_f64() * 1000.0);
        }
        tokio::time::sleep(pause).await;
    }
    if let Some(daemon) = daemon {
        daemon.stop().await?;
    }
    others.inspect(|others| others.abort());
    serving.abort();
    milliseconds.sort_by(f64::total_cmp);
    Ok(milliseconds)
}

/// Annotates project 2 about three hundred times a second.
async fn annotate_elsewhere(client: tokio_postgres::Client) -> Result<()> {
    let insert = r#"select fixture.rows('task_completion', '{"project_id": 2, "task_id": 1001}')"#;
    let insert = client.prepare(insert).await?;
    loop {
        client.execute(&insert, &[]).await?;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// LISTENs, and POSTs what it hears; or has it planned and sent.
async fn bare_program(
    environment: &[(String, String)],
    database: &str,
    url: String,
    stripped: Option<Stripped>,
) -> Result<()> {
    let port = environment.iter().find(|(name, _)| name == "POSTGRE_PORT").map(|(_, port)| port.as_str());
    let config = format!("host=127.0.0.1 user=postgres port={} dbname={database}", port.unwrap_or("5432"));
    let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await?;
    let client = Arc::new(client);
    let held = Arc::clone(&client);
    let poster = reqwest::Client::builder().no_proxy().build()?;
    tokio::spawn(async move {
        let _held = held;
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            let AsyncMessage::Notification(heard) = message else {
                continue;
            };
            if let Some(stripped) = &stripped {
                // What fails shows as a request that never comes.
                let _ = stripped.catch_up().await;
            } else {
                let project = heard.payload().split(' ').next().unwrap_or_default();
                let request = poster.post(format!("{url}{project}")).body(heard.payload().to_owned());
                tokio::spawn(request.send());
            }
        }
    });
    client.batch_execute("listen bare").await?;
    Ok(())
}
