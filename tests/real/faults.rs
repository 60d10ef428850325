//! Faults, really injected: nothing is lost, nothing is made up, the order holds.

mod backlog;
mod machine;
mod operated;
mod published;
mod pulled;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::postgres::{Circumstances, Server};
use lshookd_testbed::proxy::Proxy;
use lshookd_testbed::receiver::{Received, Reply};

use crate::ledger::{self, if_long};
use crate::test_env::{TestEnv, version};

#[tokio::test(flavor = "multi_thread")]
async fn work_done_while_the_daemon_is_away_arrives_after_its_start() -> Result<()> {
    let env = TestEnv::new("away").await?;
    env.webhook("/project", "{}").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 3)"#).await?;
    env.run("update project set title = 'Fish'").await?;
    env.run("delete from task where id = 3").await?;
    let _daemon = env.lshookd.run().await?;
    let events: Vec<String> =
        env.receiver.expect(3).await?.iter().map(lshookd_testbed::receiver::Received::summary).collect();
    assert_eq!(
        events,
        ["TASKS_CREATED tasks 1,2,3 project 1", "PROJECT_UPDATED project 1", "TASKS_DELETED tasks 3 project 1"]
    );
    Ok(())
}

/// An import leaves the queue event by event: what is left of it when the daemon is killed is planned by the next, as it
/// would have been.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_interrupted_is_announced_once() -> Result<()> {
    let env = TestEnv::new("interrupted").await?;
    env.webhook("/project", "{}").await?;
    let statement = r#"select fixture.rows('task', '{"project_id": 1}', 1000);"#;
    env.run(&format!("begin; {} commit", statement.repeat(30))).await?;
    let mut interrupted = 0;
    for round in 1..=3 {
        let daemon = env.lshookd.run().await?;
        let planned = async || Ok((env.number("select count(*) from lshookd.event").await? >= round).then_some(()));
        eventually("a part is planned", Duration::from_secs(30), planned).await?;
        daemon.kill().await?;
        interrupted += i64::from(env.number("select count(*) from lshookd.change").await? > 0);
    }
    ensure!(interrupted > 0, "it was planned at once");
    let _daemon = env.lshookd.run().await?;
    let left = "select count(*) from lshookd.delivery where state = 'pending'";
    let delivered = async || {
        let all = env.number("select count(*) from lshookd.event").await? == 6 && env.number(left).await? == 0;
        Ok(all.then_some(()))
    };
    eventually("all is delivered", Duration::from_secs(30), delivered).await?;
    let mut announced = BTreeMap::new();
    for event in env.receiver.received() {
        announced.insert(event.header("webhook-id").to_owned(), event.ids("tasks"));
    }
    let of_each: Vec<usize> = announced.values().map(Vec::len).collect();
    ensure!(of_each == [5000; 6], "{of_each:?}");
    let mut ids = announced.into_values().collect::<Vec<_>>().concat();
    ids.sort_unstable();
    ensure!(ids == (1..=30_000).collect::<Vec<i64>>(), "not each task once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_before_it_could_be_announced_is_announced_as_it_last_was() -> Result<()> {
    let env = TestEnv::new("tombstone").await?;
    env.webhook("/project", "{}").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "owl"}}')"#).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": [{"a": 1}]}')"#)
        .await?;
    env.run("delete from task_completion").await?;
    env.run("delete from task").await?;
    let _daemon = env.lshookd.run().await?;
    let events = env.receiver.expect(3).await?;
    let actions: Vec<&str> = events.iter().map(|event| event.action()).collect();
    assert_eq!(actions, ["TASKS_CREATED", "ANNOTATION_CREATED", "TASKS_DELETED"]);
    assert_eq!(events[0].body["tasks"][0]["data"]["text"], "owl");
    assert_eq!(events[1].body["annotation"]["result"][0]["a"], 1);
    assert_eq!(events[1].body["task"]["data"]["text"], "owl");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_comes_back_gets_everything_in_order() -> Result<()> {
    let (mut env, _daemon) = TestEnv::running("endpoint").await?;
    env.receiver.take_down().await;
    for number in 0..20 {
        env.run(&format!("update project set title = '{number}'")).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    env.receiver.bring_up().await?;
    let titles: Vec<String> =
        env.receiver.expect(20).await?.iter().map(|event| event.body["project"]["title"].to_string()).collect();
    assert_eq!(titles.len(), 20);
    Ok(())
}

async fn seconds(number: f64) {
    tokio::time::sleep(Duration::from_secs_f64(number)).await;
}

/// Nobody who writes may wait for a fault on our side.
const NOT_AT_ALL: Duration = Duration::ZERO;

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_is_killed_again_and_again() -> Result<()> {
    let (env, daemon) = TestEnv::running("kill").await?;
    let mut daemon = Some(daemon);
    ledger::balance("the daemon is killed again and again (kill -9)", &env, NOT_AT_ALL, async || {
        for round in 0..if_long(50, 6) {
            // At another moment of its work each time.
            seconds(0.05 + (round * 37 % 50) as f64 / 100.0).await;
            if let Some(daemon) = daemon.take() {
                daemon.kill().await?;
            }
            daemon = Some(env.lshookd.run().await?);
        }
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_is_stopped_and_started_again() -> Result<()> {
    let (env, daemon) = TestEnv::running("term").await?;
    let mut daemon = Some(daemon);
    let account = ledger::balance("the daemon is stopped and started again (SIGTERM)", &env, NOT_AT_ALL, async || {
        for _ in 0..if_long(50, 3) {
            seconds(0.3).await;
            if let Some(daemon) = daemon.take() {
                assert_eq!(daemon.stop().await?, Some(0));
            }
            daemon = Some(env.lshookd.run().await?);
        }
        Ok(())
    })
    .await?;
    assert_eq!(account.duplicated, 0, "what was answered was recorded before it ended");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_daemons_is_killed_and_the_next_takes_over() -> Result<()> {
    let (env, first) = TestEnv::running("three").await?;
    let second = env.lshookd.start().await?;
    let third = env.lshookd.start().await?;
    let mut daemons = std::collections::VecDeque::from([first, second, third]);
    ledger::balance("three daemons, the active one is killed in turn", &env, NOT_AT_ALL, async || {
        for _ in 0..if_long(10, 4) {
            seconds(1.5).await;
            if let Some(daemon) = daemons.pop_front() {
                daemon.kill().await?;
            }
            daemons.push_back(env.lshookd.start().await?);
        }
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_ends_our_sessions() -> Result<()> {
    let (env, _daemon) = TestEnv::running("terminate").await?;
    ledger::balance("PostgreSQL ends our sessions (pg_terminate_backend)", &env, NOT_AT_ALL, async || {
        for _ in 0..if_long(50, 6) {
            seconds(0.3).await;
            end_sessions(&env, "application_name = 'lshookd'").await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

async fn end_sessions(env: &TestEnv, which: &str) -> Result<()> {
    env.run(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where {which} and datname = current_database() and pid <> pg_backend_pid()"
    ))
    .await
}

/// A env on a server of its own, which may be stopped and frozen; `None` without binaries.
pub async fn env_on_own_server(label: &str, circumstances: Circumstances) -> Result<Option<(Server, TestEnv)>> {
    let Some(server) = Server::start_own_in(circumstances).await? else {
        return Ok(None);
    };
    let template = Installation::find(&version())?.template(&server).await?;
    let env = TestEnv::new_in(server.create(label, Some(&template.name)).await?).await?;
    Ok(Some((server, env)))
}

/// The same with an active daemon.
async fn own_server(label: &str) -> Result<Option<(Server, TestEnv, Daemon)>> {
    let Some((server, env)) = env_on_own_server(label, Circumstances::default()).await? else {
        return Ok(None);
    };
    env.webhook("/project", "{}").await?;
    let daemon = env.lshookd.run().await?;
    Ok(Some((server, env, daemon)))
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_restarted() -> Result<()> {
    for mode in ["fast", "immediate"] {
        let Some((server, env, _daemon)) = own_server("restart").await? else {
            return Ok(());
        };
        let name = format!("PostgreSQL is restarted ({mode})");
        ledger::balance(&name, &env, Duration::from_secs(5), async || {
            for _ in 0..if_long(5, 2) {
                seconds(1.0).await;
                server.restart(mode).await?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_freezes() -> Result<()> {
    let Some((server, env, _daemon)) = own_server("freeze").await? else {
        return Ok(());
    };
    let time = Duration::from_secs(if_long(30, 3));
    let name = format!("PostgreSQL freezes for {} s", time.as_secs());
    ledger::balance(&name, &env, time, async || server.freeze(time).await).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_fails_over_to_its_standby() -> Result<()> {
    let Some(primary) = Server::start_own().await? else {
        return Ok(());
    };
    let template = Installation::find(&version())?.template(&primary).await?;
    let database = primary.create("failover", Some(&template.name)).await?;
    let proxy = Proxy::start(database.port()).await?;
    let env = TestEnv::new_in(database.behind(proxy.port)).await?;
    env.webhook("/project", "{}").await?;
    let standby = primary.standby().await?;
    let _daemon = env.lshookd.run().await?;
    ledger::balance("PostgreSQL fails over to its standby", &env, Duration::from_secs(5), async || {
        seconds(1.0).await;
        primary.crash().await?;
        standby.promote().await?;
        proxy.turn_to(standby.port()).await;
        seconds(1.0).await;
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_to_postgresql_fails() -> Result<()> {
    for silent in [false, true] {
        let mut env = TestEnv::new("network").await?;
        env.webhook("/project", "{}").await?;
        let proxy = Proxy::start(env.database.port()).await?;
        env = env.with("POSTGRE_PORT", &proxy.port.to_string());
        let _daemon = env.lshookd.run().await?;
        let name = if silent { "the network to PostgreSQL falls silent" } else { "the network to PostgreSQL is cut" };
        ledger::balance(name, &env, NOT_AT_ALL, async || {
            for _ in 0..if_long(10, 3) {
                seconds(0.4).await;
                match silent {
                    true => proxy.silence(Duration::from_secs(2)).await,
                    false => proxy.cut(Duration::from_millis(300)).await,
                }
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_of_ours_stays_open_for_longer_than_five_seconds() -> Result<()> {
    let (env, daemon) = TestEnv::running("short").await?;
    let locker = env.database.connect().await?;
    let oldest = "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::float8
                  from pg_stat_activity where application_name = 'lshookd'";
    let mut longest = 0.0f64;
    // A payload is made of all of the project's tasks, and these cannot be read.
    locker.batch_execute("begin; lock table task").await?;
    env.run("update project set title = 'Owls'").await?;
    for _ in 0..45 {
        seconds(0.2).await;
        longest = longest.max(env.sql.query_one(oldest, &[]).await?.get(0));
    }
    assert!(longest > 1.0, "the planner did not wait for the table: {longest} s");
    locker.batch_execute("rollback").await?;
    env.receiver.expect(1).await?;
    // A daemon that freezes is not waited for.
    for round in 0..if_long(50, 10) {
        env.run(&format!("update project set title = '{round}'")).await?;
        seconds(0.055 + 0.0005 * f64::from(round)).await;
        daemon.signal("STOP")?;
        let open: f64 = env.sql.query_one(oldest, &[]).await?.get(0);
        if open > 0.0 {
            seconds(6.0).await;
            longest = longest.max(env.sql.query_one(oldest, &[]).await?.get(0));
        }
        daemon.signal("CONT")?;
    }
    assert!(longest < 5.5, "{longest} s");
    env.receiver.expect(1 + if_long(50, 10)).await?;
    Ok(())
}

/// Writers notify a planner that sleeps, one after the other; one that does not wake they would notify for ever.
#[tokio::test(flavor = "multi_thread")]
async fn writers_do_not_go_on_notifying_a_frozen_daemon() -> Result<()> {
    let (env, daemon) = TestEnv::running("frozen").await?;
    // PostgreSQL 13 does not end idle sessions.
    let is_ended = env.number("select current_setting('server_version_num')::bigint / 10000").await? >= 14;
    let asleep = "select count(*) from pg_locks where locktype = 'advisory' and objid = 0 and mode = 'ExclusiveLock'
                  and database = (select oid from pg_database where datname = current_database())";
    let freezes = async || {
        daemon.signal("STOP")?;
        let is_asleep = env.number(asleep).await? == 1;
        if !is_asleep {
            daemon.signal("CONT")?;
        }
        Ok(is_asleep.then_some(()))
    };
    eventually("the daemon freezes while it sleeps", Duration::from_secs(10), freezes).await?;
    let over = Instant::now();
    while over.elapsed() < Duration::from_secs(30) && env.number(asleep).await? == 1 {
        env.run("update project set title = clock_timestamp()::text").await?;
        seconds(0.01).await;
    }
    ensure!(is_ended == (env.number(asleep).await? == 0), "after {:?}", over.elapsed());
    daemon.signal("CONT")?;
    let last: String = env.sql.query_one("select title from project", &[]).await?.get(0);
    let arrived = async || {
        let is_last = |event: &Received| event.body["project"]["title"] == last.as_str();
        Ok(env.receiver.accepted().iter().any(is_last).then_some(()))
    };
    eventually("the last update arrives", Duration::from_secs(30), arrived).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_label_studios_is_locked() -> Result<()> {
    let (env, _daemon) = TestEnv::running("lock").await?;
    let locker = env.database.connect().await?;
    ledger::balance("a table of Label Studio's is locked for 3 s", &env, Duration::from_secs(3), async || {
        locker.batch_execute("begin; lock table task_completion").await?;
        seconds(3.0).await;
        Ok(locker.batch_execute("rollback").await?)
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dba_sets_short_time_outs() -> Result<()> {
    let (env, daemon) = TestEnv::running("timeouts").await?;
    let database = &env.database.name;
    ledger::balance("statement_timeout and idle_in_transaction_… of 100 ms", &env, NOT_AT_ALL, async || {
        env.run(&format!(
            "alter database {database} set statement_timeout = '100ms';
             alter database {database} set idle_in_transaction_session_timeout = '100ms'"
        ))
        .await?;
        let newer = "select name from pg_settings where name in ('idle_session_timeout', 'transaction_timeout')";
        for row in env.sql.query(newer, &[]).await? {
            env.run(&format!("alter database {database} set {} = '100ms'", row.get::<_, String>(0))).await?;
        }
        end_sessions(&env, "application_name = 'lshookd'").await?;
        seconds(2.0).await;
        Ok(())
    })
    .await?;
    ensure!(!daemon.log().contains("timeout\""), "a session was ended: {}", daemon.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_read_only_for_a_while() -> Result<()> {
    let (env, _daemon) = TestEnv::running("readonly").await?;
    let database = &env.database.name;
    ledger::balance("the database is read-only for 3 s", &env, Duration::from_secs(3), async || {
        env.run(&format!("alter database {database} set default_transaction_read_only = on")).await?;
        end_sessions(&env, "true").await?;
        seconds(3.0).await;
        env.run(&format!("alter database {database} set default_transaction_read_only = off")).await?;
        end_sessions(&env, "true").await
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_fail_in_every_way() -> Result<()> {
    let (env, _daemon) = TestEnv::running("endpoints").await?;
    let answers = [
        Reply::status(500),
        Reply { headers: vec![("retry-after", "1".to_owned())], ..Reply::status(429) },
        Reply { headers: vec![("location", "/second".to_owned())], ..Reply::status(308) },
        Reply::status(404),
        Reply { delay: Duration::from_millis(500), ..Reply::status(503) },
    ];
    ledger::balance("endpoints answer 500, 429, 308 in a loop, 404, late", &env, NOT_AT_ALL, async || {
        for answer in answers {
            env.receiver.answer("/second", answer);
            seconds(1.0).await;
        }
        env.receiver.answer("/second", Reply::status(200));
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_deliver_as_one_and_one_takes_over_from_the_other() -> Result<()> {
    let (env, first) = TestEnv::running("two").await?;
    let second = env.lshookd.run();
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    assert_eq!(env.receiver.expect(1).await?.len(), 1);
    // The second says "active" only when the first is gone.
    let (second, killed) = tokio::join!(second, async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        first.kill().await
    });
    killed?;
    let _second = second?;
    env.run("update project set title = 'Fish'").await?;
    assert_eq!(env.receiver.expect(2).await?.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_within_ten_seconds_and_lets_requests_end() -> Result<()> {
    let (env, daemon) = TestEnv::running("stop").await?;
    env.receiver.answer(
        "/project",
        lshookd_testbed::receiver::Reply {
            delay: Duration::from_secs(2),
            ..lshookd_testbed::receiver::Reply::status(200)
        },
    );
    env.run("update project set title = 'Fish'").await?;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let start = std::time::Instant::now();
    assert_eq!(daemon.stop().await?, Some(0));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(env.number("select count(*) from lshookd.delivery where state = 'delivered'").await?, 1);
    Ok(())
}
