//! NATS JetStream in place of an endpoint: the same promises, and because of its message ids not even a duplicate.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use lshookd_testbed::eventually;
use lshookd_testbed::nats::Nats;

use crate::bed::Bed;
use crate::ledger::if_long;
use crate::published::{SUBJECT, keep, kept};

/// The daemon and the server are killed in turn while annotations are committed and rolled back: each that was
/// committed is in the stream once, in order, and none that was rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_and_the_stream_are_killed_in_turn() -> Result<()> {
    let mut nats = Nats::start().await?;
    keep(&nats).await?;
    let mut bed = Bed::lay("nats").await?;
    bed.lshookd = bed.lshookd.with("LSHOOKD_RETRY_SCHEDULE", "200ms,200ms,500ms,1s,1s,1s,1s,1s,1s,1s");
    bed.subscribe(&nats.url(SUBJECT), &["--project", "1"]).await?;
    bed.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    let annotate = r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1, "updated_by_id": 1}')"#;
    let mut daemon = bed.lshookd.run().await?;
    let mut longest = Duration::ZERO;
    for round in 0..if_long(20, 6) {
        for number in 0..if_long(500, 50) {
            let started = Instant::now();
            bed.run(annotate).await?;
            longest = longest.max(started.elapsed());
            if number % 10 == 0 {
                bed.run(&format!("begin; {annotate}; rollback")).await?;
            }
        }
        if round % 2 == 0 {
            daemon.kill().await?;
            daemon = bed.lshookd.run().await?;
        } else {
            nats.take_down();
            bed.run(annotate).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            nats.put_up().await?;
        }
    }
    eventually("everything is acknowledged", Duration::from_secs(60), async || {
        let waiting =
            "select (select count(*) from lshookd.change) + count(*) from lshookd.delivery where state = 'pending'";
        Ok((bed.number(waiting).await? == 0).then_some(()))
    })
    .await?;
    let kept = kept(&nats).await?;
    let row = bed.sql.query_one("select array_agg(id::bigint order by id) from task_completion", &[]).await?;
    let committed: Vec<i64> = row.get(0);
    let arrived: Vec<i64> = kept.iter().filter_map(|(_, _, body)| body["annotation"]["id"].as_i64()).collect();
    let (were, are): (HashSet<i64>, HashSet<i64>) =
        (committed.iter().copied().collect(), arrived.iter().copied().collect());
    println!(
        "{:<58} {:>9} {:>9} {:>6} {:>7} {:>10} {:>12} {:>11.3} s",
        "NATS and the daemon are killed in turn",
        committed.len(),
        arrived.len(),
        were.difference(&are).count(),
        are.difference(&were).count(),
        arrived.len() - are.len(),
        arrived.windows(2).filter(|pair| pair[0] > pair[1]).count(),
        longest.as_secs_f64()
    );
    assert_eq!(arrived, committed);
    assert!(kept.iter().all(|(subject, id, _)| subject == "label-studio.events.1" && id.len() == 36));
    assert!(!daemon.log().contains("feathers"), "{}", daemon.log());
    Ok(())
}
