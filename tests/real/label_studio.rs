//! The real Label Studio is the judge: whatever it sends, lshookd sends, value for value, and
//! where Label Studio is silent or wrong, the difference is a documented one.

use anyhow::Result;
use lshookd_scenarios::scenarios::tables;
use lshookd_scenarios::stage::Stage;
use lshookd_testbed::label_studio::{Installation, Surroundings};
use lshookd_testbed::receiver::Receiver;
use lshookd_testbed::redis::Redis;

use crate::bed::{label_studio_database, lshookd, version};

async fn holds(name: &str) -> Result<()> {
    let table = tables().into_iter().find(|table| table.name == name).expect("a table of this name");
    let database = label_studio_database("judge").await?;
    let redis = if table.workers { Some(Redis::start().await?) } else { None };
    let surroundings = Surroundings { redis: redis.as_ref(), ..Surroundings::default() };
    let studio = Installation::find(&version())?.start_in(&database, surroundings).await?;
    let lshookd = lshookd(&database);
    lshookd.succeed(&["install"]).await?;
    let daemon = lshookd.run().await?;
    let mut stage = Stage::set(studio, &database, Receiver::start().await?).await?;
    stage.redis = redis;
    if table.furnished {
        stage.furnish().await?;
    }
    let faults = stage.play_all(&table.scenarios).await?;
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
    workers_compare_as_claimed: "workers",
}

#[test]
fn the_documents_list_every_difference() {
    let expected = lshookd_scenarios::differences::document(&tables());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/differences.md");
    if std::env::var("LSHOOKD_TEST_UPDATE").is_ok() {
        std::fs::write(path, &expected).expect("docs/differences.md can be written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == expected, "docs/differences.md is not what the claims say; LSHOOKD_TEST_UPDATE=1 writes it");
}
