//! Endpoints that are away for long: what waits grows, and nobody else notices.

use std::time::{Duration, Instant};

use anyhow::Result;
use lshookd_testbed::eventually;
use lshookd_testbed::receiver::Reply;

use super::seconds;
use crate::ledger::if_long;
use crate::test_env::TestEnv;

/// Events that wait while the endpoint is away.
fn size() -> i64 {
    if_long(1_000_000, 3_000)
}

/// Writes annotations of one task, a transaction each, as fast as it goes; how many a second.
async fn write(env: &TestEnv, quantity: i64) -> Result<f64> {
    let started = Instant::now();
    env.run(&format!("call fixture.annotate({quantity})")).await?;
    #[allow(clippy::cast_precision_loss)]
    Ok(quantity as f64 / started.elapsed().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_backlog_is_kept_and_drained_in_order() -> Result<()> {
    let mut env = TestEnv::new("backlog").await?;
    env.webhook("/project", "{}").await?;
    // None of them is dead while the endpoint is away.
    env.lshookd = env.lshookd.with("LSHOOKD_RETRY_SCHEDULE", &vec!["1s"; 7200].join(","));
    let daemon = env.lshookd.run().await?;
    env.run(include_str!("../../sql/annotate.sql")).await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.receiver.expect(1).await?;
    env.receiver.clear();
    env.receiver.keep_only_ids_of("annotation");
    env.receiver.take_down().await;
    let tenth = size() / 10;
    let first = write(&env, tenth).await?;
    write(&env, size() - 2 * tenth).await?;
    let last = write(&env, tenth).await?;
    let hours = Duration::from_secs(if_long(7200, 120));
    let planned = async || Ok((env.number("select count(*) from lshookd.change").await? == 0).then_some(()));
    eventually("all is planned", hours, planned).await?;
    let waiting = daemon.resident_kilobytes()?;

    env.receiver.bring_up().await?;
    let started = Instant::now();
    let quantity = usize::try_from(size())?;
    eventually("all of it arrives", hours, async || Ok((env.receiver.count() >= quantity).then_some(()))).await?;
    let ids: Vec<i64> = env.receiver.received().iter().flat_map(|request| request.ids("annotation")).collect();
    let drained = quantity as f64 / started.elapsed().as_secs_f64();
    let most = daemon.peak_kilobytes()?;
    println!(
        "backlog of {quantity}: written {first:.0}/s at first and {last:.0}/s at last, memory {waiting} kB, at most \
         {most} kB, drained {drained:.0}/s"
    );
    assert_eq!(ids.len(), quantity);
    assert!(ids.is_sorted(), "in the order of the commits");
    assert!(most < 100_000, "{most} kB");
    assert!(last > first / 2.0, "who writes was slowed down: {first:.0}/s, then {last:.0}/s");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_endpoint_fails_for_long_beside_two_hundred_that_do_not() -> Result<()> {
    let env = TestEnv::new("beside").await?;
    for number in 0..200 {
        env.webhook(&format!("/healthy/{number}"), "{}").await?;
    }
    let failing = env.webhook("/failing", "{}").await?;
    env.receiver.answer("/failing", Reply::status(500));
    let _daemon = env.lshookd.run().await?;
    let started = Instant::now();
    let latency = async || {
        env.receiver.clear();
        env.run("update project set title = clock_timestamp()::text").await?;
        let written = Instant::now();
        let all = async || {
            let accepted = env.receiver.accepted();
            let healthy = accepted.iter().filter(|request| request.path.starts_with("/healthy")).count();
            Ok((healthy == 200).then_some(()))
        };
        eventually("the healthy have it", Duration::from_secs(20), all).await?;
        anyhow::Ok(written.elapsed())
    };
    let first = latency().await?;
    let mut worst = first;
    while started.elapsed() < Duration::from_secs(if_long(600, 6)) {
        seconds(0.5).await;
        worst = worst.max(latency().await?);
    }
    println!("200 beside one that fails: the healthy have it after {first:?} at first, {worst:?} at worst");
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    let held = format!("select count(*) from lshookd.delivery where webhook_id = {failing} and state = 'delivered'");
    assert_eq!(env.number(&held).await?, 0);
    Ok(())
}
