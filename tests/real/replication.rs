//! Label Studio's database is replicated, and what is copied in bulk.

use std::time::Duration;

use anyhow::Result;
use futures_util::{SinkExt, StreamExt};
use lshookd_testbed::eventually;
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::postgres::Server;

use crate::test_env::{TestEnv, version};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_copied_in_is_one_event() -> Result<()> {
    let (env, _daemon) = TestEnv::running("copy").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    env.receiver.expect(1).await?;
    env.run("create table spare as select * from task; update spare set id = id + 1").await?;
    let mut rows = Box::pin(env.sql.copy_out("copy spare to stdout (format binary)").await?);
    let mut sink = Box::pin(env.sql.copy_in("copy task from stdin (format binary)").await?);
    while let Some(part) = rows.next().await {
        sink.send(part?).await?;
    }
    sink.as_mut().finish().await?;
    assert_eq!(env.receiver.expect(2).await?[1].summary(), "TASKS_CREATED tasks 2 project 1");
    Ok(())
}

/// A publication of all tables holds ours, too, and refuses to delete rows that it cannot name.
#[tokio::test(flavor = "multi_thread")]
async fn label_studios_tables_are_published_and_subscribed_to() -> Result<()> {
    let (Some(publisher), Some(subscriber)) = (Server::start_own().await?, Server::start_own().await?) else {
        return Ok(());
    };
    publisher.admin().await?.batch_execute("alter system set wal_level = logical").await?;
    publisher.restart("fast").await?;
    let installation = Installation::find(&version())?;
    let template = installation.template(&publisher).await?;
    let env = TestEnv::new_in(publisher.create("published", Some(&template.name)).await?).await?;
    env.webhook("/project", "{}").await?;
    let copy = subscriber.create("subscribed", Some(&installation.template(&subscriber).await?.name)).await?;
    let copy = copy.connect().await?;
    env.run("create publication everything for all tables; create publication theirs for table task").await?;
    let (port, name) = (env.database.port(), &env.database.name);
    copy.batch_execute(&format!(
        "create subscription theirs connection 'host=127.0.0.1 port={port} user=postgres dbname={name}' publication theirs"
    ))
    .await?;

    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 2)"#).await?;
    env.run("update task set data = '{}'; delete from task where id = 1").await?;
    let daemon = env.lshookd.run().await?;
    let events = env.receiver.expect(2).await?;
    let seen: Vec<String> = events.iter().map(lshookd_testbed::receiver::Received::summary).collect();
    assert_eq!(seen, ["TASKS_CREATED tasks 1,2 project 1", "TASKS_DELETED tasks 1 project 1"]);
    let forgotten = async || Ok((env.number("select count(*) from lshookd.deleted_row").await? == 0).then_some(()));
    eventually("images are forgotten", Duration::from_secs(10), forgotten).await?;
    assert!(!daemon.log().contains("session lost"), "{}", daemon.log());
    // Whatever of ours rows are deleted from can name them.
    let nameless = env
        .number(
            "select count(*) from pg_class
             where relnamespace = 'lshookd'::regnamespace and relkind = 'r' and relreplident = 'd'
               and not exists (select from pg_index where indrelid = pg_class.oid and indisprimary)",
        )
        .await?;
    assert_eq!(nameless, 0);
    let arrived = async || Ok(copy.query_opt("select from task where id = 2", &[]).await?.map(drop));
    eventually("the subscriber has the task", Duration::from_secs(30), arrived).await
}
