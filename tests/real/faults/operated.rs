//! Operators at work while much happens: what they hold back, hurry and change loses nothing.

use anyhow::Result;

use super::{NOT_AT_ALL, seconds};
use crate::console::Console;
use crate::ledger::{self, if_long};
use crate::test_env::TestEnv;

#[tokio::test(flavor = "multi_thread")]
async fn people_work_in_the_console_and_postgresql_ends_our_sessions() -> Result<()> {
    let env = TestEnv::new("operated").await?;
    env.webhook("/project", "{}").await?;
    let console = Console::of(env, &[]).await?;
    let as_now = [("every_action", "yes"), ("send_payload", "yes"), ("await_answer", "yes"), ("cloudevents", "off")];
    ledger::balance("people work in the console, our sessions end", &console.env, NOT_AT_ALL, async || {
        for round in 0..if_long(30, 4) {
            console.succeed("/webhooks/1/pause", &[]).await?;
            seconds(0.3).await;
            // Each time by other options, of which none may lose or reorder anything.
            let own: [&[(&str, &str)]; 4] = [
                &[("rate_limit", "500/s")],
                &[("concurrency", "1")],
                &[("answer_timeout", "5s"), ("connect_timeout", "1s")],
                &[("pause_after", "1h"), ("proxy", "direct")],
            ];
            console.succeed("/webhooks/1/update", &[as_now.as_slice(), own[round % 4]].concat()).await?;
            if round % 2 == 1 {
                let end = "select pg_terminate_backend(pid) from pg_stat_activity
                           where application_name = 'lshookd' and datname = current_database()";
                console.env.run(end).await?;
                seconds(0.5).await;
            }
            console.succeed("/webhooks/1/resume", &[]).await?;
            console.succeed("/webhooks/1/retry", &[]).await?;
            for path in ["/", "/webhooks/1", "/deliveries", "/dead-letters"] {
                console.get(path).await?;
            }
            seconds(0.5).await;
        }
        Ok(())
    })
    .await?;
    Ok(())
}
