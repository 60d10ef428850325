//! How fast one consumer pulls a backlog, in batches that it acknowledges.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lshookd_testbed::{eventually, free_port, listens};
use serde::Deserialize;
use serde_json::Value;

use crate::Ground;
use crate::report::Report;

/// Runs.
const ROUNDS: usize = 3;
const EVENTS: u64 = 40_000;
/// Of one answer, about the eight megabytes that one has at most.
const LIMIT: u64 = 2_500;

/// What a consumer must read of an answer; what it does with the bodies is its own work.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    id: &'a str,
}

/// Events of 3 kB per second, of one lane, until the last is acknowledged; and the daemon's memory.
pub async fn measure(ground: &Ground, report: &mut Report) -> Result<()> {
    let mut rates = Vec::new();
    let mut memory = 0;
    for _ in 0..ROUNDS {
        let database = ground.database("pull").await?;
        let sql = database.connect().await?;
        sql.batch_execute(include_str!("../sql/backlog.sql")).await?;
        let port = free_port()?;
        let lshookd = ground.lshookd(&database).await?.with("LSHOOKD_PULL_LISTEN", &format!("127.0.0.1:{port}"));
        let created = lshookd.succeed(&["webhook", "create", "pull:", "--project", "1", "--json"]).await?;
        let created: Value = serde_json::from_str(&created)?;
        let daemon = lshookd.run().await?;
        listens("the listener of consumers", port).await?;
        sql.batch_execute(&format!("call backlog({EVENTS})")).await?;
        let planned = async || {
            let row = sql.query_one("select count(*) from lshookd.delivery where state = 'pending'", &[]).await?;
            Ok((row.get::<_, i64>(0).unsigned_abs() == EVENTS).then_some(()))
        };
        eventually("the backlog is planned", Duration::from_secs(120), planned).await?;
        sql.batch_execute("vacuum analyze").await?;
        sql.batch_execute("checkpoint").await?;

        let client = reqwest::Client::builder().no_proxy().build()?;
        let base = format!("http://127.0.0.1:{port}/v1/webhooks/{}", created["id"]);
        let token = created["token"].as_str().context("no token")?;
        let started = Instant::now();
        let mut pulled = 0;
        while pulled < EVENTS {
            let request = client.get(format!("{base}/events?limit={LIMIT}&wait=10s")).bearer_auth(token);
            let answer = request.send().await?.error_for_status()?.bytes().await?;
            let answer: Answer<'_> = serde_json::from_slice(&answer)?;
            let last = answer.events.last().with_context(|| format!("after {pulled} events nothing comes any more"))?;
            pulled += answer.events.len() as u64;
            let last = serde_json::json!({ "up_to": last.id });
            client
                .post(format!("{base}/ack"))
                .bearer_auth(token)
                .body(last.to_string())
                .send()
                .await?
                .error_for_status()?;
        }
        rates.push(EVENTS as f64 / started.elapsed().as_secs_f64());
        memory = memory.max(daemon.peak_kilobytes()? / 1000);
        daemon.stop().await?;
    }
    rates.sort_by(f64::total_cmp);
    report.alone("pulled by one consumer, 3 kB", format!("{:.0} /s", rates[ROUNDS / 2]), "≥ 20000 /s");
    report.alone("pulled by one consumer: memory", format!("{memory} MB"), "≤ 128 MB");
    Ok(())
}
