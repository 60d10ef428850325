//! Thousands of webhooks and projects: what is asked of each does not grow with how many there are.

use std::time::{Duration, Instant};

use anyhow::Result;
use lshookd_testbed::eventually;

use crate::test_env::TestEnv;

const MANY: i64 = 4_000;

/// A webhook of each of many projects; a change in each of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_among_thousands_costs_what_one_alone_does() -> Result<()> {
    let env = TestEnv::new("breadth").await?;
    env.run(&format!(r#"select fixture.rows('project', '{{"organization_id": 1}}', {MANY})"#)).await?;
    let webhooks = format!(
        r#"select fixture.rows('webhook', '{{"url": "{}", "organization_id": 1, "is_active": true, "send_payload": true,
            "send_for_all_actions": true, "headers": {{}}}}', {MANY})"#,
        env.receiver.url("/each")
    );
    env.run(&webhooks).await?;
    env.run("update webhook set project_id = 1 + id - (select min(id) from webhook)").await?;
    env.run("analyze").await?;
    let _daemon = env.lshookd.run().await?;
    env.run("update project set title = title || '!', updated_at = clock_timestamp()").await?;
    let began = Instant::now();
    let planned = async || Ok((env.number("select count(*) from lshookd.delivery").await? >= MANY).then_some(()));
    eventually("all are planned", Duration::from_secs(60), planned).await?;
    let took = began.elapsed();
    let ended = async || {
        let pending = env.number("select count(*) from lshookd.delivery where state = 'pending'").await?;
        Ok((pending == 0).then_some(()))
    };
    eventually("all are delivered", Duration::from_secs(120), ended).await?;
    // Statistics come a moment later.
    let read = async || {
        env.number("select coalesce(seq_tup_read, 0) from pg_stat_user_tables where relname = 'webhook'").await
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rows = read().await?;
    assert!(rows < 100 * MANY, "{rows} rows of the webhook table were read without its index, for {MANY} deliveries");
    assert!(took < Duration::from_secs(20), "planning took {took:?}");
    Ok(())
}
