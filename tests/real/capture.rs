//! Runs the specification of capture, `tests/sql/*.slt`, each file on a database of its own.

use std::path::Path;

use anyhow::{Context, Result};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::test_env::TestEnv;

struct Postgres(Client);

#[async_trait::async_trait]
impl AsyncDB for Postgres {
    type Error = tokio_postgres::Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, tokio_postgres::Error> {
        let mut rows = Vec::new();
        let mut width = 0;
        for message in self.0.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::Row(row) => {
                    width = row.len();
                    rows.push((0..width).map(|column| row.get(column).unwrap_or("NULL").to_owned()).collect());
                }
                SimpleQueryMessage::RowDescription(columns) => width = columns.len(),
                _ => {}
            }
        }
        Ok(if width == 0 {
            DBOutput::StatementComplete(0)
        } else {
            DBOutput::Rows { types: vec![DefaultColumnType::Any; width], rows }
        })
    }

    async fn shutdown(&mut self) {}
}

async fn specification(name: &str) -> Result<()> {
    let env = TestEnv::new(name).await?;
    let connect = async || match env.database.connect().await {
        Ok(client) => Ok(Postgres(client)),
        Err(error) => Err(error.downcast::<tokio_postgres::Error>().expect("only PostgreSQL's client fails here")),
    };
    let mut runner = Runner::new(connect);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/sql/{name}.slt"));
    runner.run_file_async(file).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks() -> Result<()> {
    specification("tasks").await
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations() -> Result<()> {
    specification("annotations").await
}

#[tokio::test(flavor = "multi_thread")]
async fn projects() -> Result<()> {
    specification("projects").await
}

#[tokio::test(flavor = "multi_thread")]
async fn harmless() -> Result<()> {
    specification("harmless").await
}

/// A session's first update decides how its statements are planned.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_many_rows_takes_no_longer_after_one_of_one_row() -> Result<()> {
    let env = TestEnv::new("plans_of_one_row").await?;
    let webhook = env.webhook("/all", "{}").await?;
    let rows = [
        ("project", r#"{"organization_id": 1, "created_by_id": 1}"#),
        ("task", r#"{"project_id": 1}"#),
        ("task_completion", r#"{"project_id": 1, "task_id": 1, "result": []}"#),
    ];
    for (table, row) in rows {
        env.run(&format!("select fixture.rows('{table}', '{row}', 10000)")).await?;
    }
    env.run(&format!("insert into lshookd.payload_option (webhook_id, previous) values ({webhook}, true)")).await?;
    for action in ["TASKS_UPDATED", "TASKS_COMPLETED", "GROUND_TRUTH_SET"] {
        env.run(&format!("insert into lshookd.chosen_action values ({webhook}, '{action}')")).await?;
    }
    env.run("analyze").await?;
    let session = env.database.connect().await?;
    session.batch_execute("set statement_timeout = '10s'").await?;
    for (table, change) in [
        ("project", "title = title || '.'"),
        ("task", "total_annotations = total_annotations + 1"),
        ("task", "is_labeled = true"),
        ("task", "project_id = 2"),
        ("task_completion", "updated_at = clock_timestamp()"),
        ("task_completion", "ground_truth = true"),
        ("task_completion", "was_cancelled = true"),
    ] {
        session.batch_execute(&format!("update {table} set {change} where id = 1")).await?;
        let many = session.batch_execute(&format!("update {table} set {change}")).await;
        many.with_context(|| format!("update of {table} set {change}"))?;
    }
    assert_eq!(env.number("select count(*) from lshookd.capture_error").await?, 0);
    Ok(())
}

/// While the daemon is away the queue grows, of which statistics may say that it is empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_does_not_read_through_what_waits() -> Result<()> {
    let env = TestEnv::new("deletion_in_an_outage").await?;
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 2)"#).await?;
    env.run(r#"select fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}', 2)"#).await?;
    env.run(
        "insert into lshookd.change (relation, operation, project_id, ids, parents)
         select 'annotation', 'update', 1, array[1], array[1] from generate_series(1, 20000)",
    )
    .await?;
    env.forget_statistics().await?;
    for table in ["task_completion", "task"] {
        env.run("begin").await?;
        let read = "select coalesce(idx_tup_fetch, 0) + seq_tup_read from pg_stat_xact_user_tables where relid = 'lshookd.change'::regclass";
        let before = env.number(read).await?;
        env.run(&format!("delete from {table} where id = 2")).await?;
        let read = env.number(read).await? - before;
        env.run("commit").await?;
        assert!(read < 10, "{read} changes were read for a deletion from {table}");
    }
    Ok(())
}

#[test]
fn every_specification_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".slt")?.to_owned()))
        .collect();
    names.sort();
    assert_eq!(names, ["annotations", "harmless", "projects", "tasks"]);
}
