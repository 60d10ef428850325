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
    let daemon = env.lshookd.run().await?;
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
    assert!(!daemon.log().contains("session lost"), "{}", daemon.log());
    // Statistics come a moment later.
    let read = async || {
        env.number("select coalesce(seq_tup_read, 0) from pg_stat_user_tables where relname = 'webhook'").await
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let rows = read().await?;
    assert!(rows < 100 * MANY, "{rows} rows of the webhook table were read without its index, for {MANY} deliveries");
    assert!(took < Duration::from_secs(20), "planning took {took:?}");
    // All of them are delivered by Label Studio, too, and none may be reached by these settings.
    let refused = env.lshookd.clone().with("SSRF_PROTECTION_ENABLED", "true");
    let said = refused.command(&["check"]).await?.stdout;
    assert!(said.len() < 50_000, "{} bytes for an operator to read", said.len());
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.contains(&format!("{} more of these; `lshookd check --json` lists them", MANY - 20)), "{said}");
    assert!(said.contains(&format!("and {} others", MANY - 20)), "{said}");
    Ok(())
}

/// Thousands of lanes in which nothing waits are closed by the hundred, while others are looked for all the time: PostgreSQL
/// answers in turn, and nobody waits for an answer behind one that somebody else does not take.
#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_close_by_the_hundred_hold_nobody_up() -> Result<()> {
    let (env, daemon) = TestEnv::running("closing").await?;
    let webhook = env.number("select min(id)::bigint from webhook").await?;
    let notifier = env.database.connect().await?;
    let news = tokio::spawn(async move { while notifier.batch_execute("notify lshookd_lane").await.is_ok() {} });
    env.run(&format!(
        "insert into lshookd.lane (webhook_id, project_id, due_at)
         select {webhook}, 1000 + number, now() from generate_series(1, {MANY}) as number"
    ))
    .await?;
    let closed = async || {
        let open = env.number("select count(*) from lshookd.lane where due_at < 'infinity'").await?;
        Ok((open == 0).then_some(()))
    };
    eventually("all are closed", Duration::from_secs(60), closed).await?;
    news.abort();
    assert!(!daemon.log().contains("session lost"), "{}", daemon.log());
    Ok(())
}

/// Three hundred thousand deliveries, and what is asked about them: by an index each, however many there are.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_reads_a_long_history_to_its_end() -> Result<()> {
    let env = TestEnv::new("history").await?;
    let webhooks = format!(
        r#"select fixture.rows('webhook', '{{"url": "{}", "organization_id": 1, "is_active": true, "send_payload": true,
            "send_for_all_actions": true, "headers": {{}}}}', 30)"#,
        env.receiver.url("/each")
    );
    env.run(&webhooks).await?;
    // Autovacuum sums up an index of blocks by sequential scans, which would be counted as ours.
    env.run("alter table lshookd.attempt set (autovacuum_enabled = off)").await?;
    env.run("alter index lshookd.attempt_started set (autosummarize = off)").await?;
    env.run(include_str!("../sql/history.sql")).await?;
    let row =
        env.sql.query_one("select id, message_id::text from lshookd.delivery order by id limit 1 offset 200000", &[]);
    let row = row.await?;
    let some = env.number("select min(id)::bigint + 7 from webhook").await?.to_string();
    let (number, message) = (row.get::<_, i64>(0).to_string(), row.get::<_, String>(1));
    let scans = async || -> Result<i64> {
        // Statistics come a moment later.
        tokio::time::sleep(Duration::from_secs(2)).await;
        env.number(
            "select sum(seq_scan)::bigint from pg_stat_user_tables
             where schemaname = 'lshookd' and relname in ('delivery', 'attempt', 'event')",
        )
        .await
    };
    let before = scans().await?;
    // It is looked after them when the deliverer starts.
    env.run("insert into lshookd.failing_webhook (webhook_id) select id from webhook").await?;
    let _daemon = env.lshookd.clone().with("LSHOOKD_RETENTION", "300d").run().await?;
    for command in [
        &["webhook", "list"][..],
        &["status"],
        &["delivery", "list"],
        &["delivery", "list", "--state", "dead"],
        &["delivery", "list", "--webhook", &some],
        &["delivery", "show", &number],
        &["delivery", "show", &message],
        &["event", "list"],
    ] {
        let began = Instant::now();
        env.lshookd.succeed(command).await?;
        assert!(began.elapsed() < Duration::from_secs(2), "{command:?} took {:?}", began.elapsed());
    }
    env.run("update project set title = title || '!', updated_at = clock_timestamp()").await?;
    env.receiver.expect(30).await?;
    let over = async || Ok((env.number("select count(*) from lshookd.failing_webhook").await? == 0).then_some(()));
    eventually("those that fail no longer are forgotten", Duration::from_secs(10), over).await?;
    assert_eq!(scans().await?, before, "one of them reads all deliveries, attempts or events");
    Ok(())
}

/// What is planned together shows a project as it is when all of that has happened, and counts it once.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_counts_its_project_once() -> Result<()> {
    const CHANGES: usize = 5_000;
    let env = TestEnv::new("counted").await?;
    env.webhook("/project", "{}").await?;
    env.run("select fixture.rows('task', '{\"project_id\": 1}')").await?;
    env.run(&format!(
        r#"do $$
        begin
            for number in 1..{CHANGES} loop
                perform fixture.rows('task_completion', '{{"project_id": 1, "task_id": 1}}');
                commit;
            end loop;
        end
        $$"#
    ))
    .await?;
    env.database.psql(&format!("alter database \"{}\" set track_functions = 'pl'", env.database.name)).await?;
    let daemon = env.lshookd.clone().with("LSHOOKD_SETTLE", "0").run().await?;
    // The task is one more.
    let requests = env.receiver.expect(CHANGES + 1).await?;
    let shown = requests
        .iter()
        .filter(|request| request.action() == "ANNOTATION_CREATED")
        .map(|request| request.body["project"]["total_annotations_number"].as_u64());
    assert!(shown.eq(vec![Some(CHANGES as u64); CHANGES]), "each shows all of them");
    // PostgreSQL's statistics come when the sessions end.
    daemon.stop().await?;
    let counted = env.number(
        "select calls from pg_stat_user_functions where schemaname = 'lshookd' and funcname = 'project_counts'",
    );
    let counted = counted.await?;
    assert!(counted <= 2, "the project was counted {counted} times");
    Ok(())
}

/// A dump, or anybody else's old snapshot in the cluster, keeps all that is deleted meanwhile in tables and indexes.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_transaction_keeps_in_the_queues_is_not_read_again() -> Result<()> {
    const EVENTS: i64 = 3_000;
    let (env, _daemon) = TestEnv::running("oldsnapshot").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}')"#).await?;
    let old = env.database.connect().await?;
    old.batch_execute("begin isolation level repeatable read; select count(*) from project").await?;
    let annotate = |events: i64, pause: f64| {
        format!(
            r#"do $$
               begin
                   for number in 1 .. {events} loop
                       perform fixture.rows('task_completion', '{{"project_id": 1, "task_id": 1}}');
                       commit;
                       perform pg_sleep({pause});
                   end loop;
               end
               $$"#
        )
    };
    env.run(&annotate(EVENTS, 0.0)).await?;
    // By what has come: to ask the queues would count.
    env.receiver.expect(usize::try_from(EVENTS)?).await?;
    // Where to read from is found out once a second, from one event on.
    env.run(&annotate(6, 1.1)).await?;
    let read = async || {
        // Statistics come a moment later.
        tokio::time::sleep(Duration::from_secs(3)).await;
        env.number(
            "select sum(idx_tup_read)::bigint
             from pg_stat_user_indexes
             where schemaname = 'lshookd' and indexrelname in ('change_pkey', 'delivery_pending')",
        )
        .await
    };
    let before = read().await?;
    env.run(&annotate(10, 0.3)).await?;
    env.receiver.expect(usize::try_from(EVENTS)? + 17).await?;
    let rows = read().await? - before;
    // Each event has several changes, and a dozen statements that look at the queues: 2,900,000 from the beginning.
    assert!(rows < 10 * EVENTS, "{rows} entries of indexes were read for ten events");
    // What deletions of Label Studio's ask of the queue.
    let plan = "explain (analyze, buffers, format json)
        select (select seq from lshookd.waiting_change order by seq desc limit 1),
               (select seq from lshookd.waiting_change order by seq limit 1)";
    let plan: serde_json::Value = env.sql.query_one(plan, &[]).await?.get(0);
    let pages = plan[0]["Plan"]["Shared Hit Blocks"].as_i64().unwrap_or(i64::MAX);
    assert!(pages < 200, "{pages} pages were read: {plan}");
    old.batch_execute("rollback").await?;
    Ok(())
}

/// What is put back, or made pending again, is older than what the queues are read from.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_to_a_queue_is_found_in_its_old_place() -> Result<()> {
    let env = TestEnv::new("comesback").await?;
    env.webhook("/project", "{}").await?;
    env.run("update project set title = 'set aside'").await?;
    env.run(
        "with taken as (delete from lshookd.change returning *)
         insert into lshookd.change_set_aside
             (seq, xid, backend, session, captured_at, relation, operation, project_id, ids, parents, moved, bulk,
              by_label_studio, columns, became_true, became_false, status, reason)
         select *, 'a mistake' from taken",
    )
    .await?;
    let _daemon = env.lshookd.run().await?;
    for number in 1..=5 {
        env.run(&format!("update project set title = '{number}'")).await?;
        env.receiver.expect(number).await?;
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let passed = "select (select ended_up_to from lshookd.lane) * sign(pg_sequence_last_value('lshookd.change_floor')
                         - (select max(seq) from lshookd.change_set_aside))::bigint";
    assert!(env.number(passed).await? >= 1, "neither queue is read from the beginning any more");
    env.run("select lshookd.requeue_set_aside()").await?;
    env.receiver.expect(6).await?;
    env.lshookd.succeed(&["delivery", "replay", "1"]).await?;
    let requests = env.receiver.expect(7).await?;
    assert_eq!(requests[6].header("webhook-id"), requests[0].header("webhook-id"));
    Ok(())
}

/// An operator has emptied the queues, and their numbers begin anew.
#[tokio::test(flavor = "multi_thread")]
async fn queues_may_be_emptied_and_numbered_anew() -> Result<()> {
    let (env, _daemon) = TestEnv::running("emptied").await?;
    for number in 1..=5 {
        env.run(&format!("update project set title = '{number}'")).await?;
        env.receiver.expect(number).await?;
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    env.run("truncate lshookd.change, lshookd.attempt, lshookd.delivery, lshookd.event restart identity").await?;
    env.run("update project set title = 'first'").await?;
    env.run("update project set title = 'second'").await?;
    let all = async || {
        let pending = "select count(*) from lshookd.delivery where state = 'pending'";
        let left = env.number(pending).await? + env.number("select count(*) from lshookd.change").await?;
        Ok((left == 0 && env.receiver.count() >= 6).then_some(()))
    };
    eventually("all is delivered", Duration::from_secs(20), all).await
}

/// Statistics that were taken when nothing waited would have PostgreSQL read all that waits, time and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_which_statistics_know_nothing_is_read_once() -> Result<()> {
    const DELIVERIES: usize = 6_000;
    let env = TestEnv::new("statistics").await?;
    let webhook = env.webhook("/project", "{}").await?;
    env.store_deliveries(webhook, DELIVERIES, 50).await?;
    env.forget_statistics().await?;
    let _daemon = env.lshookd.run().await?;
    let all = async || {
        let pending = env.number("select count(*) from lshookd.delivery where state = 'pending'").await?;
        Ok((pending == 0).then_some(()))
    };
    eventually("all are delivered", Duration::from_secs(60), all).await?;
    // Statistics come a moment later.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let read = env
        .number("select idx_tup_read from pg_stat_user_indexes where indexrelid = 'lshookd.delivery_pkey'::regclass")
        .await?;
    let most = 20 * i64::try_from(DELIVERIES)?;
    assert!(read < most, "{read} entries of the deliveries' index were read for {DELIVERIES} deliveries");
    Ok(())
}
