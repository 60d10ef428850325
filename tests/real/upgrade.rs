//! Label Studio is upgraded beside lshookd: its migrations go through, and from then on events
//! have the new version's shape, without a restart.

use anyhow::Result;
use lshookd_scenarios::scenario::Table;
use lshookd_scenarios::scenarios::tables;
use lshookd_scenarios::stage::Stage;
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::receiver::Receiver;

use crate::bed::{lshookd, server};

const OLD: &str = "1.13.1";
const NEW: &str = "1.23.2";

#[tokio::test(flavor = "multi_thread")]
async fn label_studio_is_upgraded_while_lshookd_runs() -> Result<()> {
    let (server, _) = server().await?;
    let old = Installation::find(OLD)?;
    let template = old.template(server).await?;
    let database = server.create("upgrade", Some(&template.name)).await?;
    let lshookd = lshookd(&database);
    lshookd.succeed(&["install"]).await?;
    let daemon = lshookd.run().await?;
    let annotations: Table = tables().into_iter().find(|table| table.name == "annotations").expect("annotations");

    let mut stage = Stage::set(old.start(&database).await?, &database, Receiver::start().await?).await?;
    stage.furnish().await?;
    let before = stage.play_all(&annotations.scenarios[..4]).await?;
    assert!(before.is_empty(), "{before:#?}");

    let new = Installation::find(NEW)?;
    new.migrate(&database).await?;
    stage.settle().await?;
    // An upgraded Label Studio takes plain tokens only if its settings say so.
    stage
        .run(
            "insert into jwt_auth_jwtsettings (organization_id, api_tokens_enabled, api_token_ttl_days,
                                               legacy_api_tokens_enabled, created_at, updated_at)
             values (1, true, 1, true, now(), now())
             on conflict (organization_id) do update set legacy_api_tokens_enabled = true",
        )
        .await?;
    std::mem::replace(&mut stage.studio, new.start(&database).await?).stop();
    let after = stage.play_all(&annotations.scenarios[4..8]).await?;
    assert!(after.is_empty(), "{after:#?}\n{}", daemon.log());
    let errors: i64 = stage.sql.query_one("select count(*) from lshookd.capture_error", &[]).await?.get(0);
    assert_eq!(errors, 0);
    assert!(lshookd.succeed(&["install"]).await?.contains("nothing to do"));
    Ok(())
}
