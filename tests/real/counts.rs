//! The counts that payloads show of a large project: they are kept, and are what counting anew would yield.

use std::time::Duration;

use anyhow::{Context, Result};
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::eventually;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::test_env::TestEnv;

const TASKS: i64 = 12_000;

/// Project 1 with many tasks, project 2 with a few, and a webhook that hears of project 1's title alone.
async fn large_project(label: &str) -> Result<(TestEnv, Daemon)> {
    let env = TestEnv::new(label).await?;
    env.run(r#"select fixture.rows('project', '{"organization_id": 1}')"#).await?;
    env.run(&format!(r#"select fixture.rows('task', '{{"project_id": 1}}', {TASKS})"#)).await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 2}', 300)"#).await?;
    env.run("delete from lshookd.change").await?;
    let webhook = env.webhook("/project", r#"{"send_for_all_actions": false}"#).await?;
    env.run(&format!("insert into webhook_action (webhook_id, action) values ({webhook}, 'PROJECT_UPDATED')")).await?;
    env.run("analyze").await?;
    env.database.psql(&format!("alter database \"{}\" set track_functions = 'pl'", env.database.name)).await?;
    let daemon = env.lshookd.clone().with("LSHOOKD_SETTLE", "0").run().await?;
    Ok((env, daemon))
}

/// What a payload shows from now on is what counting now would yield.
async fn shown_as_counted(env: &TestEnv, title: &str) -> Result<()> {
    let counted: String = env.sql.query_one(include_str!("../sql/counts.sql"), &[]).await?.get("counts");
    let counted: Value = serde_json::from_str(&counted)?;
    env.run(&format!("update project set title = '{title}', updated_at = clock_timestamp() where id = 1")).await?;
    let told = async || {
        let received = env.receiver.received();
        Ok(received.into_iter().rev().find(|request| request.body["project"]["title"] == title))
    };
    let told = eventually("the new title is told", Duration::from_secs(20), told).await?;
    for (name, count) in counted.as_object().context("counts are an object")? {
        assert_eq!(&told.body["project"][name], count, "{name} at {title}");
    }
    env.receiver.clear();
    Ok(())
}

/// One of the ways in which what is counted changes, in one transaction; some are rolled back.
async fn change_something(client: &Client, random: &mut SmallRng) -> Result<()> {
    let task = random.random_range(1..TASKS + 300);
    let far = task + random.random_range(0..400);
    let quantity = random.random_range(1..60);
    let flag = random.random_bool(0.5);
    // By place among the tasks, and not by id: the sequence begins anywhere.
    let some = |table: &str| format!("(select id from {table} order by id offset {task} % 11000 limit {quantity})");
    let (tasks, annotation_place) = (some("task"), task % 500);
    let annotations =
        format!("(select id from task_completion order by id offset {annotation_place} limit {quantity})");
    let insert = |of: &str| {
        format!(
            "insert into task_completion (task_id, project_id, was_cancelled, ground_truth, result, result_count,
                                          created_at, updated_at, bulk_created)
             select id, project_id, {flag} and id % 3 = 0, id % 5 = 0, case when id % 7 > 0 then '[]'::jsonb end, 0,
                    now(), now(), false
             from task where id in {of}"
        )
    };
    let statements = match random.random_range(0..14) {
        0 | 1 => insert(&format!("(select id from task order by id offset {task} limit 1)")),
        2 => insert(&tasks),
        3 => format!("update task_completion set was_cancelled = not was_cancelled where id in {annotations}"),
        4 => format!("update task_completion set ground_truth = {flag} where id in {annotations}"),
        5 => format!(
            "update task_completion set result = case when {flag} then '[]'::jsonb end where id in {annotations}"
        ),
        6 => format!("delete from task_completion where id in {annotations}"),
        7 => format!("update task set is_labeled = {flag} where id in {tasks}"),
        8 => format!("update task set is_labeled = not is_labeled where id between {task} and {far}"),
        9 => format!(r#"select fixture.rows('task', '{{"project_id": 1, "is_labeled": {flag}}}', {quantity})"#),
        10 => format!(
            "create temp table gone on commit drop as select id from {tasks} as gone (id);
             delete from task_completion where task_id in (select id from gone);
             update task set project_id = null where id in (select id from gone);
             delete from task where id in (select id from gone)"
        ),
        11 => format!("update task set project_id = 3 - project_id where id in {tasks} and project_id in (1, 2)"),
        12 => format!(
            "update task_completion set project_id = 3 - project_id where id in {annotations};
             update task_completion set task_id = null where id in {annotations} and {flag} and id % 4 = 0"
        ),
        _ => format!(
            "savepoint before; {}; rollback to before; {}; savepoint after; {}; release after",
            insert(&tasks),
            insert(&tasks),
            insert(&tasks)
        ),
    };
    let isolation = ["read committed", "repeatable read"][random.random_range(0..2)];
    let end = if random.random_bool(0.1) { "rollback" } else { "commit" };
    client.batch_execute(&format!("begin isolation level {isolation}")).await?;
    let changed = client.batch_execute(&statements).await;
    let pause = Duration::from_millis(random.random_range(0..20));
    tokio::time::sleep(pause).await;
    // Several at the same time may wait for each other, or read what others have changed: such a transaction ends.
    let may_end = |error: &tokio_postgres::Error| error.code().is_some_and(|code| code.code().starts_with("40"));
    match changed {
        Ok(()) => client.batch_execute(end).await?,
        Err(error) if may_end(&error) => client.batch_execute("rollback").await?,
        Err(error) => return Err(error).context(statements),
    }
    Ok(())
}

async fn calls(env: &TestEnv, function: &str) -> Result<i64> {
    let calls = "select coalesce(sum(calls), 0)::bigint from pg_stat_user_functions where schemaname = 'lshookd'";
    env.number(&format!("{calls} and funcname = '{function}'")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_kept_and_are_what_counting_yields() -> Result<()> {
    const ROUNDS: usize = 150;
    let (env, daemon) = large_project("counts").await?;
    let mut random = SmallRng::seed_from_u64(1);
    for round in 0..ROUNDS {
        let other = env.database.connect().await?;
        change_something(&other, &mut random).await?;
        shown_as_counted(&env, &format!("round {round}")).await?;
    }
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and objid = 65 and mode = 'ExclusiveLock'
                 and database = (select oid from pg_database where datname = current_database())";
    assert_eq!(env.number(locks).await?, 1, "nobody holds the lock of the project's bucket");
    daemon.stop().await?;
    let (whole, in_part) = (calls(&env, "project_counts").await?, calls(&env, "part_counts").await?);
    assert!(whole < 5 && in_part > 50, "{whole} times the whole project was counted, {in_part} times parts of it");
    Ok(())
}

/// Nobody promised that ids are positive.
#[tokio::test(flavor = "multi_thread")]
async fn counts_of_a_project_below_zero_are_kept_as_well() -> Result<()> {
    let env = TestEnv::new("below").await?;
    env.run(r#"select fixture.rows('project', '{"organization_id": 1}')"#).await?;
    env.run("update project set id = -3 where id = (select max(id) from project)").await?;
    env.run(&format!(r#"select fixture.rows('task', '{{"project_id": -3}}', {TASKS})"#)).await?;
    env.run("delete from lshookd.change; analyze").await?;
    env.webhook("/project", r#"{"project_id": -3}"#).await?;
    let _daemon = env.lshookd.clone().with("LSHOOKD_SETTLE", "0").run().await?;
    for round in 1..=6 {
        env.run(
            "select fixture.rows('task_completion', jsonb_build_object('project_id', -3, 'task_id', (select min(id) from task where project_id = -3)))",
        )
        .await?;
        let annotated = env.receiver.expect(round).await?;
        let counts = &annotated[round - 1].body["project"];
        assert_eq!([&counts["task_number"], &counts["total_annotations_number"]], [TASKS, round as i64]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_right_when_many_write_and_the_daemon_is_killed() -> Result<()> {
    let (env, mut daemon) = large_project("recounts").await?;
    for round in 0..8 {
        let mut writers = JoinSet::new();
        for writer in 0..4 {
            let client = env.database.connect().await?;
            let mut random = SmallRng::seed_from_u64(100 * round + writer);
            writers.spawn(async move {
                for _ in 0..30 {
                    change_something(&client, &mut random).await?;
                }
                anyhow::Ok(())
            });
        }
        for look in 0..5 {
            env.run(&format!(
                "update project set title = '{round} {look}', updated_at = clock_timestamp() where id = 1"
            ))
            .await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if round % 3 == 2 {
            daemon.kill().await?;
            daemon = env.lshookd.clone().with("LSHOOKD_SETTLE", "0").run().await?;
        }
        while let Some(ended) = writers.join_next().await {
            ended??;
        }
        shown_as_counted(&env, &format!("end of round {round}")).await?;
        shown_as_counted(&env, &format!("after round {round}")).await?;
    }
    daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_not_kept_while_a_trigger_is_missing() -> Result<()> {
    let (env, _daemon) = large_project("uncounted").await?;
    shown_as_counted(&env, "first").await?;
    shown_as_counted(&env, "kept").await?;
    env.run("alter table task disable trigger lshookd_task_update").await?;
    // The planner looks every ten seconds.
    tokio::time::sleep(Duration::from_secs(13)).await;
    env.run("update task set is_labeled = true where project_id = 1 and id % 2 = 0").await?;
    shown_as_counted(&env, "without a trigger").await?;
    env.lshookd.succeed(&["install"]).await?;
    tokio::time::sleep(Duration::from_secs(13)).await;
    for round in 0..3 {
        env.run("update task set is_labeled = not is_labeled where project_id = 1 and id % 3 = 0").await?;
        shown_as_counted(&env, &format!("with it again, {round}")).await?;
    }
    Ok(())
}

/// Projects whose tasks came one by one in turn have them in the same parts.
#[tokio::test(flavor = "multi_thread")]
async fn parts_that_many_projects_share_are_read_once() -> Result<()> {
    let env = TestEnv::new("shared-parts").await?;
    env.run(r#"select fixture.rows('project', '{"organization_id": 1}', 15)"#).await?;
    for _ in 0..3 {
        env.run("select fixture.rows('task', jsonb_build_object('project_id', id)) from project").await?;
    }
    let annotations = "jsonb_build_object('project_id', project_id, 'task_id', id)";
    env.run(&format!("select fixture.rows('task_completion', {annotations}, 100) from task")).await?;
    env.run("analyze").await?;
    let by_part = "lshookd.project_part_counts(array(select id::bigint from project))";
    let by_parts = format!(
        "(select array_agg(id) as projects, array_agg(part) as parts from {by_part}) as given
         cross join lateral lshookd.part_counts(given.projects, given.parts) as counted"
    );
    let different = format!(
        "select count(*) from ((select counted.* from {by_parts} except select * from {by_part}) union all
         (select * from {by_part} except select counted.* from {by_parts})) as no"
    );
    assert_eq!(env.number(&different).await?, 0);
    let sums = "sum(task_number), sum(finished_task_number), sum(total_annotations_number),
         sum(num_tasks_with_annotations), sum(useful_annotation_number), sum(ground_truth_number),
         sum(skipped_annotations_number)";
    let whole = "select * from lshookd.project_counts(array(select id::bigint from project))";
    let different =
        format!("select count(*) from (({whole}) except select id, {sums} from {by_parts} group by id) as no");
    assert_eq!(env.number(&different).await?, 0);

    env.run("begin").await?;
    env.run(&format!("create temporary table given as select projects, parts from {by_parts} limit 1")).await?;
    let read = "select coalesce(idx_tup_fetch, 0) + seq_tup_read from pg_stat_xact_user_tables where relname = 'task_completion'";
    let before = env.number(read).await?;
    env.run("select lshookd.part_counts(projects, parts) from given").await?;
    let read = env.number(read).await? - before;
    env.run("commit").await?;
    let all = env.number("select count(*) from task_completion").await?;
    assert!((all..2 * all).contains(&read), "{read} of {all}");
    Ok(())
}

/// Statistics that are taken while an import goes on count its pages, and not its tasks.
#[tokio::test(flavor = "multi_thread")]
async fn parts_are_counted_as_fast_where_statistics_are_of_an_imports_beginning() -> Result<()> {
    let env = TestEnv::new("import-statistics").await?;
    env.run("alter table task set (autovacuum_enabled = false)").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 1000)"#).await?;
    let import = env.database.connect().await?;
    let text = "x".repeat(300);
    let tasks = format!(r#"select fixture.rows('task', '{{"project_id": 1, "data": {{"text": "{text}"}}}}', "#);
    import.batch_execute("begin").await?;
    import.batch_execute(&format!("{tasks} 10000)")).await?;
    env.run("analyze task").await?;
    import.batch_execute(&format!("{tasks} 90000)")).await?;
    import.batch_execute("commit").await?;
    // As the planner's session runs it.
    env.run(include_str!("../../sql/pg/steady_plans.sql")).await?;
    env.run("create temporary table given as select id, part from lshookd.project_part_counts('{1}')").await?;
    let counted = "select sum(task_number)::bigint
        from (select array_agg(id) as projects, array_agg(part) as parts from given) as given
        cross join lateral lshookd.part_counts(given.projects, given.parts)";
    env.run("set statement_timeout = '4s'").await?;
    assert_eq!(env.number(counted).await?, 101_000);
    Ok(())
}
