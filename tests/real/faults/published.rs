//! The faults of a NATS JetStream server. In all other rows of the table a stream is beside the endpoints, too.

use std::time::Duration;

use anyhow::Result;

use super::{NOT_AT_ALL, seconds};
use crate::ledger::{self, if_long};
use crate::published::kept;
use crate::test_env::TestEnv;

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_and_the_stream_are_killed_in_turn() -> Result<()> {
    let (env, daemon) = TestEnv::running("nats").await?;
    let mut daemon = Some(daemon);
    let stream = env.stream().await?;
    ledger::balance("NATS and the daemon are killed in turn", &env, NOT_AT_ALL, async || {
        for _ in 0..if_long(20, 3) {
            seconds(0.3).await;
            if let Some(daemon) = daemon.take() {
                daemon.kill().await?;
            }
            daemon = Some(env.lshookd.run().await?);
            seconds(0.3).await;
            stream.take_down();
            seconds(0.5).await;
            stream.put_up().await?;
        }
        Ok(())
    })
    .await?;
    let kept = kept(stream).await?;
    assert!(kept.iter().all(|(subject, id, _)| subject == "label-studio.events.1" && id.len() == 36));
    let log = daemon.as_ref().expect("a daemon").log();
    assert!(!log.contains("feathers"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_freezes() -> Result<()> {
    // What it does not acknowledge within this is published again.
    let env = TestEnv::new("frozen").await?.with("WEBHOOK_TIMEOUT", "1");
    env.webhook("/project", "{}").await?;
    let _daemon = env.lshookd.run().await?;
    let stream = env.stream().await?;
    ledger::balance("NATS freezes for 3 s", &env, NOT_AT_ALL, async || {
        for _ in 0..if_long(10, 2) {
            seconds(0.5).await;
            stream.freeze(Duration::from_secs(3)).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}
