//! Consumers that pull, and what befalls them.

use anyhow::Result;
use lshookd_testbed::free_port;

use super::{NOT_AT_ALL, seconds};
use crate::ledger::{self, if_long};
use crate::pull::{Consumers, Pulled};
use crate::test_env::TestEnv;

/// Three consumers of one webhook in turn, and the daemon that serves them. What a consumer that is killed has been given
/// comes again when its lease ends.
#[tokio::test(flavor = "multi_thread")]
async fn consumers_and_the_daemon_are_killed_at_random() -> Result<()> {
    let port = free_port()?;
    let env = TestEnv::new("pulled")
        .await?
        .with("LSHOOKD_PULL_LISTEN", &format!("127.0.0.1:{port}"))
        .with("LSHOOKD_PULL_LEASE", "500ms")
        .with("LSHOOKD_PULL_ATTEMPTS", "1000");
    env.webhook("/project", "{}").await?;
    let pulled = Pulled::create(&env, port, &["--project", "1"]).await?;
    let consumers = env.consumers.get_or_init(async || Consumers::start(pulled, 3)).await;
    let mut daemon = Some(env.lshookd.run().await?);
    ledger::balance("consumers that pull and the daemon are killed in turn", &env, NOT_AT_ALL, async || {
        for round in 0..if_long(40, 6) {
            seconds(0.3).await;
            consumers.kill_one();
            if round % 3 == 0
                && let Some(killed) = daemon.take()
            {
                killed.kill().await?;
                daemon = Some(env.lshookd.run().await?);
            }
        }
        Ok(())
    })
    .await?;
    Ok(())
}
