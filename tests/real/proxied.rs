//! Endpoints behind an HTTP proxy.

use std::time::Duration;

use anyhow::Result;
use lshookd_testbed::connect_proxy::ConnectProxy;
use lshookd_testbed::eventually;

use crate::test_env::TestEnv;

/// `owl:feathers`
const CREDENTIALS: &str = "Basic b3dsOmZlYXRoZXJz";

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_reached_through_the_proxy_that_the_settings_name() -> Result<()> {
    let proxy = ConnectProxy::start(CREDENTIALS).await?;
    let env = TestEnv::new("proxied").await?;
    env.webhook("/project", "{}").await?;
    let url = format!("http://owl:feathers@127.0.0.1:{}", proxy.port);
    let through = env.lshookd.clone().with("LSHOOKD_PROXY", &url);
    let daemon = through.run().await?;
    env.run("update project set title = 'Owls'").await?;
    env.receiver.expect(1).await?;
    assert_eq!(proxy.asked(), [format!("CONNECT 127.0.0.1:{} HTTP/1.1", env.receiver.port())]);
    let listed = through.succeed(&["check", "--json"]).await.unwrap_or_default();
    for text in [daemon.log(), listed] {
        assert!(!text.contains("feathers") && !text.contains("b3dsOmZlYXRoZXJz"), "{text}");
    }
    daemon.stop().await?;

    // Not where the settings say otherwise.
    let daemon = through.with("LSHOOKD_NO_PROXY", "127.0.0.0/8").run().await?;
    env.run("update project set title = 'Wrens'").await?;
    env.receiver.expect(2).await?;
    assert_eq!(proxy.asked().len(), 1);
    daemon.stop().await?;

    // The environment's is used where the settings say so, and silently never.
    let surroundings = env.lshookd.clone().with("HTTP_PROXY", &url).with("http_proxy", &url).with("ALL_PROXY", &url);
    let daemon = surroundings.run().await?;
    env.run("update project set title = 'Tits'").await?;
    env.receiver.expect(3).await?;
    assert_eq!(proxy.asked().len(), 1);
    daemon.stop().await?;
    let _daemon = surroundings.with("LSHOOKD_PROXY", "environment").run().await?;
    env.run("update project set title = 'Jays'").await?;
    env.receiver.expect(4).await?;
    assert_eq!(proxy.asked().len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_may_have_a_proxy_of_its_own_or_none() -> Result<()> {
    let [proxy, other] = [ConnectProxy::start(CREDENTIALS).await?, ConnectProxy::start(CREDENTIALS).await?];
    let [url, own] = [&proxy, &other].map(|proxy| format!("http://owl:feathers@127.0.0.1:{}", proxy.port));
    let env = TestEnv::new("own_proxy").await?;
    let create = async |path: &str, more: &[&str]| {
        let options = [&["--project", "1"], more].concat();
        env.create_webhook(&env.receiver.url(path), &options).await
    };
    create("/as-all", &[]).await?;
    create("/direct", &["--through", "direct"]).await?;
    let id = create("/own", &["--through", &own]).await?.to_string();
    let lshookd = env.lshookd.clone().with("LSHOOKD_PROXY", &url);
    let daemon = lshookd.run().await?;
    env.run("update project set title = 'Owls'").await?;
    env.receiver.expect(3).await?;
    assert_eq!((proxy.asked().len(), other.asked().len()), (1, 1));
    let listed = lshookd.succeed(&["webhook", "list", "--json"]).await?;
    let checked = String::from_utf8(lshookd.command(&["check"]).await?.stdout)?;
    assert!(checked.contains(&format!("through http://127.0.0.1:{}", other.port)), "{checked}");
    assert!(checked.contains("through no proxy"), "{checked}");
    for text in [listed, checked, daemon.log()] {
        assert!(!text.contains("feathers"), "{text}");
    }
    let wrong = lshookd.command(&["webhook", "update", &id, "--through", "socks5://owl:feathers@proxy"]).await?;
    let said = String::from_utf8(wrong.stderr)?;
    assert!(wrong.status.code() == Some(1) && said.contains("CONNECT") && !said.contains("feathers"), "{said}");
    lshookd.succeed(&["webhook", "update", &id, "--through", "default"]).await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    env.run("update project set title = 'Wrens'").await?;
    env.receiver.expect(6).await?;
    assert_eq!(other.asked().len(), 1);
    Ok(())
}

/// What may not be reached may not be reached through a proxy; the proxy is not even asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_opens_no_way_around_the_egress_policy() -> Result<()> {
    let proxy = ConnectProxy::start(CREDENTIALS).await?;
    let env = TestEnv::new("around").await?;
    env.webhook("/project", "{}").await?;
    let by_name = env.receiver.url("/named").replace("127.0.0.1", "localhost");
    env.webhook("/x", &format!(r#"{{"url": "{by_name}"}}"#)).await?;
    let url = format!("http://owl:feathers@127.0.0.1:{}", proxy.port);
    let guarded = env.lshookd.clone().with("LSHOOKD_PROXY", &url).with("SSRF_PROTECTION_ENABLED", "true");
    let daemon = guarded.run().await?;
    env.run("update project set title = 'Owls'").await?;
    let refused =
        "select count(distinct webhook_id) from lshookd.attempt join lshookd.delivery on delivery.id = delivery_id
                   where error like 'refused to connect to %'";
    let both = async || Ok((env.number(refused).await? == 2).then_some(()));
    eventually("both are refused", Duration::from_secs(10), both).await?;
    assert!(proxy.asked().is_empty() && env.receiver.received().is_empty());
    daemon.stop().await?;
    // A proxy that refuses says so in the record, without the credentials.
    let wrong = format!("http://owl:plumes@127.0.0.1:{}", proxy.port);
    let _daemon = env.lshookd.clone().with("LSHOOKD_PROXY", &wrong).run().await?;
    let said = "select count(*) from lshookd.attempt where error like '%the proxy http://127.0.0.1:%(setting proxy)%'";
    let recorded = async || Ok((env.number(said).await? > 0).then_some(()));
    eventually("what the proxy said is recorded", Duration::from_secs(10), recorded).await?;
    assert_eq!(env.number("select count(*) from lshookd.attempt where error like '%plumes%'").await?, 0);
    Ok(())
}
