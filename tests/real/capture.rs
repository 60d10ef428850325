//! Runs the specification of capture, `tests/sql/*.slt`, each file on a database of its own.

use std::path::Path;

use anyhow::Result;
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
