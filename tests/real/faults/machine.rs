//! The machine's own faults: files, memory, disk, clock and network.

use std::time::Duration;

use anyhow::Result;
use lshookd_testbed::clock::Clock;
use lshookd_testbed::eventually;
use lshookd_testbed::network::Machine;
use lshookd_testbed::postgres::Circumstances;
use lshookd_testbed::proxy::Proxy;
use lshookd_testbed::receiver::Reply;

use super::{NOT_AT_ALL, env_on_own_server, seconds};
use crate::ledger::{self, if_long};
use crate::test_env::TestEnv;

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_may_open_no_more_files() -> Result<()> {
    let (env, daemon) = TestEnv::running("files").await?;
    ledger::balance("the daemon may open no more files", &env, NOT_AT_ALL, async || {
        for _ in 0..if_long(10, 2) {
            // Those that are open stay so until what they lead to goes.
            daemon.limit_files(daemon.open_files()?)?;
            super::end_sessions(&env, "application_name = 'lshookd'").await?;
            env.receiver.answer("/second", Reply::status(500));
            seconds(1.0).await;
            daemon.limit_files(5)?;
            super::end_sessions(&env, "application_name = 'lshookd'").await?;
            seconds(1.0).await;
            daemon.limit_files(1024)?;
            env.receiver.answer("/second", Reply::status(200));
        }
        Ok(())
    })
    .await?;
    Ok(())
}

/// Adds tasks whose payloads have so many megabytes to a project, and a webhook for each.
async fn large_tasks(env: &TestEnv, project: i64, megabytes: usize, webhooks: usize) -> Result<()> {
    env.run(&format!(r#"select fixture.rows('project', '{{"id": {project}, "organization_id": 1}}')"#)).await?;
    for number in 0..webhooks {
        env.webhook(&format!("/large/{number}"), &format!(r#"{{"project_id": {project}}}"#)).await?;
    }
    env.run(&format!(
        "select fixture.rows('task', jsonb_build_object(
             'project_id', {project}, 'data', jsonb_build_object('text', repeat('x', {megabytes} * 1000000))))"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_are_larger_than_the_memory() -> Result<()> {
    let env = TestEnv::new("memory").await?;
    env.webhook("/project", "{}").await?;
    // Else each thread may reserve an arena of its own, and what a daemon takes to start with is anybody's guess.
    let lshookd = env.lshookd.clone().with("MALLOC_ARENA_MAX", "1");
    let idle = lshookd.run().await?;
    // Enough to start with, whatever the binary and its threads take, and not enough for one payload.
    let limit = format!("--as={}", (idle.address_space_kilobytes()? + 30_000) * 1024);
    let mut daemon = Some(idle);
    ledger::balance("payloads are larger than the memory", &env, NOT_AT_ALL, async || {
        large_tasks(&env, 2, if_long(100, 40), 8).await?;
        let confined = lshookd.clone().under(&["prlimit", &limit]);
        for _ in 0..if_long(10, 3) {
            if let Some(daemon) = daemon.take() {
                daemon.kill().await?;
            }
            let confined = confined.run().await?;
            let ended = async || Ok((!confined.is_running()).then_some(()));
            eventually("it is ended by its want of memory", Duration::from_secs(20), ended).await?;
        }
        daemon = Some(env.lshookd.run().await?);
        Ok(())
    })
    .await?;
    let arrived = async || {
        let all = env.receiver.accepted();
        Ok((all.iter().filter(|request| request.path.starts_with("/large")).count() >= 8).then_some(()))
    };
    eventually("the large ones arrive", Duration::from_secs(60), arrived).await?;
    let peak = daemon.as_ref().expect("a daemon").peak_kilobytes()?;
    assert!(peak < 900_000, "eight of them at once took {peak} kB");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_set_forward_and_back() -> Result<()> {
    let Some(clock) = Clock::new()? else {
        return Ok(());
    };
    let environment = clock.environment();
    let Some((_server, mut env)) =
        env_on_own_server("clock", Circumstances { environment, ..Circumstances::default() }).await?
    else {
        return Ok(());
    };
    env.webhook("/project", "{}").await?;
    for (name, value) in clock.environment() {
        env = env.with(&name, &value);
    }
    env = env.with("LSHOOKD_RETENTION", "0");
    let _daemon = env.lshookd.run().await?;
    ledger::balance("the clock is set a day forward and an hour back", &env, Duration::from_secs(2), async || {
        for _ in 0..if_long(10, 2) {
            for offset in [24 * 3600, -3600, 0] {
                env.receiver.answer("/second", Reply::status(500));
                seconds(0.5).await;
                clock.set(offset)?;
                env.receiver.answer("/second", Reply::status(200));
                seconds(1.0).await;
            }
        }
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresqls_disk_is_full() -> Result<()> {
    let circumstances = Circumstances { disk: Some(700), ..Circumstances::default() };
    let Some((server, env)) = env_on_own_server("disk", circumstances).await? else {
        return Ok(());
    };
    env.webhook("/project", "{}").await?;
    env.create_webhook(&env.receiver.url("/operators"), &["--actions", "OPERATIONAL_EVENT"]).await?;
    let _daemon = env.lshookd.run().await?;
    // PostgreSQL refuses, or crashes and recovers, until there is room.
    ledger::balance("PostgreSQL's disk is full for 2 s", &env, Duration::from_secs(10), async || {
        for _ in 0..if_long(5, 1) {
            seconds(1.0).await;
            server.fill_disk(seconds(2.0)).await?;
        }
        Ok(())
    })
    .await?;
    let told = async || {
        let accepted = env.receiver.accepted();
        let mut operations = accepted.iter().filter(|request| request.path == "/operators");
        Ok(operations.any(|request| request.body["operation"]["kind"] == "disk-full").then_some(()))
    };
    eventually("operators hear of it afterwards", Duration::from_secs(30), told).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_to_postgresql_get_lost_and_another_daemon_takes_over() -> Result<()> {
    let Some(machine) = Machine::start().await? else {
        eprintln!("not tried: network namespaces take root");
        return Ok(());
    };
    let circumstances = Circumstances { address: Some(machine.switched.into()), ..Circumstances::default() };
    let Some((_server, mut env)) = env_on_own_server("packets", circumstances).await? else {
        return Ok(());
    };
    // The endpoints stay within reach of the daemon that has lost PostgreSQL.
    let endpoints = Proxy::start_on(machine.direct, env.receiver.port()).await?;
    env.receiver.behind((machine.direct, endpoints.port));
    env.webhook("/project", "{}").await?;
    let there = env.lshookd.clone().with("POSTGRE_HOST", &machine.switched.to_string()).under(&machine.command());
    let far = there.run().await?;
    let near = env.lshookd.start().await?;
    let account = ledger::balance("packets to PostgreSQL get lost, another takes over", &env, NOT_AT_ALL, async || {
        seconds(2.0).await;
        machine.lose_packets()?;
        // Before PostgreSQL ends its session, with which its lanes go. Its planner's may end before, if that was asleep.
        let given_up = async || Ok(far.log().contains("PostgreSQL is silent").then_some(()));
        eventually("the first daemon gives up", Duration::from_secs(19), given_up).await?;
        let taken = async || Ok(near.log().contains("active role=Planner").then_some(()));
        eventually("the other daemon is active", Duration::from_secs(40), taken).await?;
        machine.pass_packets()
    })
    .await?;
    // What two lanes take in their turn of a second, at some 200 annotations/s; in the seconds that the first daemon
    // takes to give up it would be thousands.
    assert!(account.duplicated <= 400, "{account:?}");
    Ok(())
}
