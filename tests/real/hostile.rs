//! Rows are the public's text: whatever a user of Label Studio writes, it is data.

use std::time::Duration;

use anyhow::Result;
use lshookd_testbed::eventually;
use serde_json::{Value, json};

use crate::test_env::TestEnv;

/// What people who mean ill put where they may write.
const EVIL: [&str; 7] = [
    "'; drop table task; --",
    "x\r\nX-Injected: 1",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "line one\nline two level=ERROR",
    "$undefined$ {{7*7}} ${jndi:ldap://127.0.0.1/} %s%n",
    "\u{202e}\u{feff}\u{2028}",
    "\"}],\"action\":\"PROJECT_DELETED",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_people_write_is_data() -> Result<()> {
    let env = TestEnv::new("hostile").await?;
    env.webhook("/healthy", "{}").await?;
    for evil in EVIL {
        for row in [
            json!({"url": evil}),
            json!({"url": format!("http://{evil}/")}),
            json!({"url": env.receiver.url(&format!("/{evil}"))}),
            json!({"headers": {"X-Evil": evil}}),
            json!({"headers": {evil: "x"}}),
        ] {
            env.webhook("/evil", &row.to_string()).await?;
        }
    }
    for headers in [json!([]), json!("text"), json!({"A": {"b": []}}), json!({"Host": "127.0.0.1:1"})] {
        env.webhook("/odd", &json!({ "headers": headers }).to_string()).await?;
    }
    let daemon = env.lshookd.run().await?;
    let healthy = async |count: usize| {
        let arrived = async || {
            let accepted = env.receiver.accepted();
            let healthy: Vec<_> = accepted.into_iter().filter(|request| request.path == "/healthy").collect();
            Ok((healthy.len() >= count).then_some(healthy))
        };
        eventually("the healthy endpoint has it", Duration::from_secs(30), arrived).await
    };
    for (place, evil) in EVIL.into_iter().enumerate() {
        let data = json!({"text": evil, evil: 1});
        let rows = "select fixture.rows('task', $1::text::jsonb)";
        env.sql.execute(rows, &[&json!({"project_id": 1, "data": data}).to_string()]).await?;
        // One client's tasks in quick succession would be one event.
        healthy(2 * place + 1).await?;
        env.sql.execute("update project set title = $1", &[&evil]).await?;
        healthy(2 * place + 2).await?;
    }
    // Each channel's payload is anybody's to choose.
    for channel in ["lshookd", "lshookd_lane"] {
        for evil in EVIL {
            env.sql.execute("select pg_notify($1, $2)", &[&channel, &evil]).await?;
        }
    }
    let received = healthy(2 * EVIL.len()).await?;
    let mut created = received.iter().filter(|request| request.action() == "TASKS_CREATED");
    for evil in EVIL {
        let Some(request) = created.next() else { panic!("{evil:?} did not arrive") };
        let data = &request.body["tasks"][0]["data"];
        assert_eq!((&data["text"], &data[evil]), (&Value::from(evil), &Value::from(1)));
    }
    for request in env.receiver.received() {
        assert_eq!(request.header("x-injected"), "");
    }
    let every_row_was_tried = async || {
        let untried = "select count(*) from webhook where not exists (
                           select from lshookd.delivery join lshookd.attempt on delivery_id = delivery.id
                           where webhook_id = webhook.id)";
        Ok((env.number(untried).await? == 0).then_some(()))
    };
    eventually("every row of webhook was tried", Duration::from_secs(20), every_row_was_tried).await?;
    let log = daemon.log();
    assert!(!log.contains("session lost"), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains('\u{7}'), "{log:?}");
    assert!(log.lines().all(|line| line.starts_with("20")), "a line of the log is not ours");
    assert_eq!(env.number("select count(*) from lshookd.capture_error").await?, 0);
    assert_eq!(env.number("select count(*) from task").await?, 7);
    Ok(())
}

/// What cannot be made into an event is set aside with its reason, and holds nobody up.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_planned_is_set_aside_and_planned_again() -> Result<()> {
    let (env, daemon) = TestEnv::running("aside").await?;
    // As PostgreSQL refuses a value that it cannot hold.
    env.run(
        "create function fixture.refuse() returns trigger language plpgsql as $$
         begin
             if new.body like '%poison%' then
                 raise exception 'too much of it' using errcode = 'program_limit_exceeded';
             end if;
             return new;
         end $$;
         create trigger refuse before insert on lshookd.event for each row execute function fixture.refuse()",
    )
    .await?;
    let task =
        |text: &str| format!(r#"select fixture.rows('task', '{{"project_id": 1, "data": {{"text": "{text}"}}}}')"#);
    // With a pause between: without, one client's tasks are one event.
    for text in ["before", "poison", "after"] {
        env.run(&task(text)).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let received = env.receiver.expect(2).await?;
    let texts: Vec<&Value> = received.iter().map(|request| &request.body["tasks"][0]["data"]["text"]).collect();
    assert_eq!(texts, ["before", "after"]);
    assert!(daemon.log().contains("lshookd.change_set_aside"), "{}", daemon.log());
    let query = "select reason from lshookd.change_set_aside";
    let reason: String = env.sql.query_one(query, &[]).await?.get(0);
    assert!(reason.contains("too much of it"), "{reason}");

    env.run("drop trigger refuse on lshookd.event").await?;
    assert_eq!(env.number("select lshookd.requeue_set_aside()").await?, 1);
    assert_eq!(env.receiver.expect(3).await?[2].body["tasks"][0]["data"]["text"], "poison");
    Ok(())
}
