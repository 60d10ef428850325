//! The real Label Studio is the judge: whatever it sends, lshookd sends, value for value, and
//! where Label Studio is silent or wrong, the difference is a documented one.

use anyhow::Result;
use lshookd_scenarios::scenarios::tables;
use lshookd_scenarios::{compatibility, differences};
use lshookd_testbed::label_studio::Surroundings;
use lshookd_testbed::redis::Redis;

use crate::test_env::{label_studio_database, run};

async fn holds(name: &str) -> Result<()> {
    let table = tables().into_iter().find(|table| table.name == name).expect("a table of this name");
    let database = label_studio_database("judge").await?;
    let redis = if table.workers { Some(Redis::start().await?) } else { None };
    let surroundings = Surroundings { redis: redis.as_ref(), ..Surroundings::default() };
    let (mut run, daemon) = run(&database, surroundings).await?;
    run.redis = redis;
    if table.furnished {
        run.furnish().await?;
    }
    let faults = run.play_all(&table.scenarios).await?;
    assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), daemon.log());
    Ok(())
}

macro_rules! holds {
    ($($test:ident: $name:literal,)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() -> Result<()> {
            holds($name).await
        }
    )*};
}

holds! {
    the_tour_compares_as_claimed: "the tour",
    imports_compare_as_claimed: "imports",
    annotations_compare_as_claimed: "annotations",
    the_data_manager_compares_as_claimed: "the data manager",
    projects_compare_as_claimed: "projects",
    storages_compare_as_claimed: "storages",
    labels_compare_as_claimed: "labels",
    values_that_bite_compare_as_claimed: "values that bite",
    interfaces_compare_as_claimed: "interfaces",
    clients_compare_as_claimed: "clients",
    workers_compare_as_claimed: "workers",
}

fn check_document(name: &str, expected: impl Fn(&str) -> String) {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let expected = expected(&written);
    if std::env::var("LSHOOKD_TEST_UPDATE").is_ok() {
        std::fs::write(&path, &expected).expect("the document can be written");
    } else {
        assert!(written == expected, "docs/{name} is not what was found; LSHOOKD_TEST_UPDATE=1 writes it");
    }
}

#[test]
fn the_documents_list_every_difference() {
    check_document("differences.md", |_| differences::document(&tables()));
}

/// Where the matrix was run, against what it showed; else the form of the document, and that it
/// claims nothing that did not pass.
#[test]
fn the_documents_show_the_matrix() {
    check_document("compatibility.md", |written| {
        let grid = match std::env::var("LSHOOKD_TEST_GRID") {
            Ok(path) => std::fs::read_to_string(path).expect("the grid of the matrix"),
            Err(_) => compatibility::grid(written),
        };
        assert!(grid.lines().count() > 1 && !grid.contains("NO"), "{grid}");
        compatibility::document(&tables(), &grid, written)
    });
}
