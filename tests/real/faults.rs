//! Faults, really injected: nothing is lost, nothing is made up, the order holds.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use lshookd_testbed::eventually;

use crate::bed::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn work_done_while_the_daemon_is_away_arrives_after_its_start() -> Result<()> {
    let bed = Bed::lay("away").await?;
    bed.webhook("/project", "{}").await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}', 3)"#).await?;
    bed.run("update project set title = 'Fish'").await?;
    bed.run("delete from task where id = 3").await?;
    let _daemon = bed.lshookd.run().await?;
    let events: Vec<String> =
        bed.receiver.expect(3).await?.iter().map(lshookd_testbed::receiver::Received::summary).collect();
    assert_eq!(
        events,
        ["TASKS_CREATED tasks 1,2,3 project 1", "PROJECT_UPDATED project 1", "TASKS_DELETED tasks 3 project 1"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_before_it_could_be_announced_is_announced_as_it_last_was() -> Result<()> {
    let bed = Bed::lay("tombstone").await?;
    bed.webhook("/project", "{}").await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1, "data": {"text": "owl"}}')"#).await?;
    bed.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "result": [{"a": 1}]}')"#)
        .await?;
    bed.run("delete from task_completion").await?;
    bed.run("delete from task").await?;
    let _daemon = bed.lshookd.run().await?;
    let events = bed.receiver.expect(3).await?;
    let actions: Vec<&str> = events.iter().map(|event| event.action()).collect();
    assert_eq!(actions, ["TASKS_CREATED", "ANNOTATION_CREATED", "TASKS_DELETED"]);
    assert_eq!(events[0].body["tasks"][0]["data"]["text"], "owl");
    assert_eq!(events[1].body["annotation"]["result"][0]["a"], 1);
    assert_eq!(events[1].body["task"]["data"]["text"], "owl");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_comes_back_gets_everything_in_order() -> Result<()> {
    let (mut bed, _daemon) = Bed::running("endpoint").await?;
    bed.receiver.take_down().await;
    for number in 0..20 {
        bed.run(&format!("update project set title = '{number}'")).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    bed.receiver.bring_up().await?;
    let titles: Vec<String> =
        bed.receiver.expect(20).await?.iter().map(|event| event.body["project"]["title"].to_string()).collect();
    assert_eq!(titles.len(), 20);
    Ok(())
}

/// The numbers that a writer commits while `disturb` goes on, and what arrives of them.
async fn ledger(bed: &Bed, disturb: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let database = bed.database.connect().await?;
    let writer = async {
        let mut committed = Vec::new();
        for number in 0..300 {
            let row = database
                .query_one(r#"select (fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "updated_by_id": 1}'))[1]"#, &[])
                .await?;
            committed.push(row.get::<_, i64>(0));
            if number % 3 == 0 {
                database
                    .batch_execute(
                        r#"begin; select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}'); rollback"#,
                    )
                    .await?;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(committed)
    };
    let (committed, disturbed) = tokio::join!(writer, disturb());
    disturbed?;
    let committed = committed?;
    let all = async || {
        let ids: HashSet<i64> = bed.receiver.accepted().iter().flat_map(|event| event.ids("annotation")).collect();
        Ok((ids.len() >= committed.len()).then_some(()))
    };
    eventually("everything committed arrives", Duration::from_secs(60), all).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let events = bed.receiver.accepted();
    let mut seen = HashSet::new();
    let firsts: Vec<i64> = events
        .iter()
        .filter(|event| seen.insert(event.header("webhook-id").to_owned()))
        .flat_map(|event| event.ids("annotation"))
        .collect();
    assert_eq!(firsts, committed, "lost, made up, or out of order");
    println!("committed {}, duplicates {}", committed.len(), events.len() - firsts.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_daemon_is_killed_again_and_again() -> Result<()> {
    let (bed, daemon) = Bed::running("kill").await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    bed.receiver.expect(1).await?;
    bed.receiver.clear();
    ledger(&bed, async || {
        let mut daemon = daemon;
        for round in 0..8u64 {
            tokio::time::sleep(Duration::from_millis(150 + 53 * round)).await;
            daemon.kill().await?;
            daemon = bed.lshookd.run().await?;
        }
        std::mem::forget(daemon); // Works on until its leash is let go with this process.
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_postgresql_ends_its_sessions() -> Result<()> {
    let (bed, _daemon) = Bed::running("terminate").await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    bed.receiver.expect(1).await?;
    bed.receiver.clear();
    ledger(&bed, async || {
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            bed.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lshookd' and datname = current_database()").await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_deliver_as_one_and_one_takes_over_from_the_other() -> Result<()> {
    let (bed, first) = Bed::running("two").await?;
    let second = bed.lshookd.run();
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    assert_eq!(bed.receiver.expect(1).await?.len(), 1);
    // The second says "at work" only when the first is gone.
    let (second, killed) = tokio::join!(second, async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        first.kill().await
    });
    killed?;
    let _second = second?;
    bed.run("update project set title = 'Fish'").await?;
    assert_eq!(bed.receiver.expect(2).await?.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_within_ten_seconds_and_lets_requests_end() -> Result<()> {
    let (bed, daemon) = Bed::running("stop").await?;
    bed.receiver.answer(
        "/project",
        lshookd_testbed::receiver::Reply {
            delay: Duration::from_secs(2),
            ..lshookd_testbed::receiver::Reply::status(200)
        },
    );
    bed.run("update project set title = 'Fish'").await?;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let start = std::time::Instant::now();
    assert_eq!(daemon.stop().await?, Some(0));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(bed.number("select count(*) from lshookd.delivery where state = 'delivered'").await?, 1);
    Ok(())
}
