//! The real Label Studio is the judge: whatever it sends, lshookd sends, value for value, and
//! where Label Studio is silent or wrong, the difference is a documented one.

use anyhow::Result;
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::receiver::Receiver;
use lshookd_testbed::scenario::{Stage, scenarios};

use crate::bed::{label_studio_database, lshookd, version};

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_people_do_compares_as_claimed() -> Result<()> {
    let database = label_studio_database("judge").await?;
    let studio = Installation::find(&version())?.start(&database).await?;
    let sql = database.connect().await?;
    sql.batch_execute(lshookd_testbed::FIXTURE).await?;
    let lshookd = lshookd(&database);
    lshookd.succeed(&["install"]).await?;
    let daemon = lshookd.run().await?;
    let mut stage = Stage::set(studio, sql, Receiver::start().await?).await?;
    let mut faults = Vec::new();
    for scenario in scenarios() {
        let outcome = stage.play(&scenario).await?;
        println!("{}: {:?} / {:?}", scenario.what, outcome.theirs, outcome.ours);
        faults.extend(outcome.faults.iter().map(|fault| format!("{}: {fault}", scenario.what)));
    }
    assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), daemon.log());
    Ok(())
}
