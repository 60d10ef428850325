//! What a healthy endpoint feels of webhooks whose endpoints hang.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use lshookd_testbed::{eventually, free_port};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Ground;
use crate::report::{Report, percentile};

const PAIRS: usize = 2;
const EVENTS: usize = 60;

/// The median and the worst but a few of the time from commit to request, beside so many hanging webhooks on so many
/// hosts each, against alone.
pub async fn measure(ground: &Ground, report: &mut Report, circumstances: &[(usize, usize)]) -> Result<()> {
    // Each that hangs holds a connection here.
    rlimit::increase_nofile_limit(16 * 1024)?;
    let mut alone = Vec::new();
    let mut beside = vec![Vec::new(); circumstances.len()];
    for _ in 0..PAIRS {
        alone.push(commit_to_request(ground, 0, 1).await?);
        for ((webhooks, hosts), all) in circumstances.iter().zip(&mut beside) {
            all.push(commit_to_request(ground, *webhooks, *hosts).await?);
        }
    }
    for ((webhooks, hosts), all) in circumstances.iter().zip(&beside) {
        for percent in [50, 95] {
            let at = |sorted: &[f64]| percentile(sorted, percent);
            let pairs: Vec<(f64, f64)> = all.iter().zip(&alone).map(|(ours, alone)| (at(ours), at(alone))).collect();
            let what = format!("beside {webhooks} that hang on {hosts} hosts, {percent} %");
            report.pairs(&what, "ms", &pairs, if percent == 50 { "≤ 2" } else { "" });
        }
    }
    Ok(())
}

/// Milliseconds of each event, in ascending order.
async fn commit_to_request(ground: &Ground, webhooks: usize, hosts: usize) -> Result<Vec<f64>> {
    let database = ground.database("neighbors").await?;
    let sql = database.connect().await?;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let take = async move || {
        // Nobody waits for requests after the last one.
        let _ = arrived.send(Instant::now());
    };
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });

    let port = free_port()?;
    for host in 0..hosts {
        let listener = TcpListener::bind(format!("127.0.1.{}:{port}", host + 1)).await?;
        serving.spawn(async move {
            let mut held = Vec::new();
            loop {
                held.push(listener.accept().await?);
            }
        });
    }
    sql.batch_execute(r#"select fixture.rows('project', '{"organization_id": 1, "created_by_id": 1}')"#).await?;
    let row = |url: &str, project: i32| {
        format!(
            r#"{{"url": "{url}", "organization_id": 1, "project_id": {project}, "is_active": true,
                "send_payload": true, "send_for_all_actions": true}}"#
        )
    };
    let make = "select fixture.rows('webhook', $1::text::jsonb)";
    sql.execute(make, &[&row(&url, 1)]).await?;
    for number in 0..webhooks {
        sql.execute(make, &[&row(&format!("http://127.0.1.{}:{port}/", number % hosts + 1), 2)]).await?;
    }
    let daemon = ground.lshookd(&database).await?.with("LSHOOKD_SETTLE", "0").with("LSHOOKD_ALLOW", "127.0.0.0/8");
    let daemon = daemon.run().await?;
    for number in 0..3 {
        sql.batch_execute(&format!("update project set title = '{number}' where id = 2")).await?;
    }
    let tried = "select count(distinct webhook_id) from lshookd.delivery where state = 'pending'";
    let planned = async || {
        let waiting: i64 = sql.query_one(tried, &[]).await?.get(0);
        Ok((waiting.unsigned_abs() as usize == webhooks).then_some(()))
    };
    eventually("those that hang have something to do", Duration::from_secs(60), planned).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut all = Vec::new();
    for number in 0..EVENTS {
        let started = Instant::now();
        sql.batch_execute(&format!("update project set title = '{number}' where id = 1")).await?;
        let arrival = tokio::time::timeout(Duration::from_secs(60), arrivals.recv()).await?.context("a request")?;
        all.push(1000.0 * (arrival - started).as_secs_f64());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    daemon.kill().await?;
    all.sort_by(f64::total_cmp);
    Ok(all)
}
