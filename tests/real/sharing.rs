//! Several daemons on one database deliver together: they share its lanes, and each lane stays in order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lshookd_testbed::eventually;
use lshookd_testbed::receiver::{Received, Reply};
use tokio::time::sleep;

use crate::test_env::TestEnv;

const LANES: usize = 24;

/// So many webhooks, whose endpoints take 20 ms to answer, and so many deliveries in the lane of each.
async fn backlog(label: &str, deliveries: usize) -> Result<TestEnv> {
    let env = TestEnv::new(label).await?;
    for lane in 0..LANES {
        env.webhook(&format!("/lane/{lane}"), "{}").await?;
    }
    env.receiver.answer("/lane", Reply { delay: Duration::from_millis(20), ..Reply::status(200) });
    env.run(&format!(
        r#"insert into lshookd.event (action, project_id, object_count, occurred_at, body)
           select 'PROJECT_UPDATED', 1, 1, now(), json_build_object('action', 'PROJECT_UPDATED', 'number', number)
           from generate_series(1, {deliveries}) as number;
           insert into lshookd.delivery (event_id, webhook_id, project_id)
           select event.id, webhook.id, 1
           from lshookd.event
           cross join webhook
           order by event.id;
           insert into lshookd.lane (webhook_id, project_id, due_at)
           select id, 1, now()
           from webhook"#
    ))
    .await?;
    Ok(env)
}

/// What came on each path.
fn by_lane(received: &[Received]) -> BTreeMap<String, Vec<i64>> {
    let mut lanes: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for request in received {
        lanes.entry(request.path.clone()).or_default().push(request.body["number"].as_i64().unwrap_or_default());
    }
    lanes
}

/// Lanes that are due, by the daemon that works on them.
async fn held(env: &TestEnv) -> Result<HashMap<String, i64>> {
    let query = "select coalesce(lane.holder::text, '') as holder, count(*) as lanes
                 from lshookd.lane
                 where lane.due_at <= now()
                 group by lane.holder";
    let rows = env.sql.query(query, &[]).await?;
    Ok(rows.iter().map(|row| (row.get("holder"), row.get("lanes"))).collect())
}

async fn all_is_delivered(env: &TestEnv, deliveries: usize) -> Result<()> {
    let done = async || {
        let pending = env.number("select count(*) from lshookd.delivery where state = 'pending'").await?;
        Ok((pending == 0).then_some(()))
    };
    eventually("all is delivered", Duration::from_secs(60), done).await?;
    let closed = async || {
        let held = env.number("select count(*) from lshookd.lane where holder is not null").await?;
        Ok((held == 0).then_some(()))
    };
    eventually("no lane is held", Duration::from_secs(5), closed).await?;
    for (lane, mut numbers) in by_lane(&env.receiver.accepted()) {
        // What a killed daemon had sent and not recorded comes again, from the first of it on.
        let mut seen = HashSet::new();
        let is_step = |pair: &[i64]| pair[1] <= pair[0] + 1;
        ensure!(numbers.windows(2).all(is_step), "{lane} leaves something out: {numbers:?}");
        numbers.retain(|number| seen.insert(*number));
        let ordered: Vec<i64> = (1..=i64::try_from(deliveries)?).collect();
        ensure!(numbers == ordered, "{lane}: {numbers:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_share_the_lanes_and_each_lane_stays_in_order() -> Result<()> {
    let env = backlog("share", 600).await?;
    // The first has all lanes when the others come.
    let first = env.lshookd.start().await?;
    let has_all = async || Ok((held(&env).await?.values().max() == Some(&(LANES as i64))).then_some(()));
    eventually("the first daemon has all lanes", Duration::from_secs(10), has_all).await?;
    let second = env.lshookd.start().await?;
    let third = env.lshookd.start().await?;
    let shared = async || {
        let held = held(&env).await?;
        Ok((held.len() == 3 && !held.contains_key("") && held.values().all(|lanes| (7..=9).contains(lanes)))
            .then_some(()))
    };
    eventually("each has a third", Duration::from_secs(10), shared).await?;
    all_is_delivered(&env, 600).await?;
    let lanes = by_lane(&env.receiver.accepted());
    assert!(lanes.len() == LANES && lanes.values().all(|numbers| numbers.len() == 600), "nothing came twice");
    for daemon in [first, second, third] {
        assert!(!daemon.log().contains("session lost"), "{}", daemon.log());
        daemon.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lanes_of_a_daemon_that_ends_are_taken_over_at_once() -> Result<()> {
    for kills in [true, false] {
        let env = backlog("ends", 400).await?;
        let _stays = env.lshookd.run().await?;
        let ends = env.lshookd.start().await?;
        let shared = async || Ok((held(&env).await?.len() == 2).then_some(()));
        eventually("both work", Duration::from_secs(10), shared).await?;
        match kills {
            true => ends.kill().await?,
            false => drop(ends.stop().await?),
        }
        let ended = Instant::now();
        let taken = async || {
            let held = held(&env).await?;
            Ok((held.len() == 1 && !held.contains_key("")).then_some(()))
        };
        eventually("the other one has all", Duration::from_secs(5), taken).await?;
        assert!(ended.elapsed() < Duration::from_secs(3), "{:?}", ended.elapsed());
        all_is_delivered(&env, 400).await?;
    }
    Ok(())
}

/// How many requests another daemon makes, none knows: a limit holds for all of them together.
#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_limit_their_requests_are_delivered_by_the_first_daemon_alone() -> Result<()> {
    let env = backlog("limited", 300).await?;
    let _first = env.lshookd.run().await?;
    let _second = env.lshookd.start().await?;
    let shared = async || Ok((held(&env).await?.len() == 2).then_some(()));
    eventually("both work", Duration::from_secs(10), shared).await?;
    let first = "select holder::text from lshookd.active_role where role = 'deliverer' order by since limit 1";
    let first: String = env.sql.query_one(first, &[]).await?.get(0);
    // Half of them, whoever works on them now.
    env.run("insert into lshookd.delivery_option (webhook_id, concurrency) select id, 1 from webhook where id % 2 = 0")
        .await?;
    let limited = "select coalesce(string_agg(distinct lane.holder::text, ' '), '')
                   from lshookd.lane
                   where lane.due_at <= now() and lane.webhook_id % 2 = 0";
    let gathered = async || Ok((env.sql.query_one(limited, &[]).await?.get::<_, String>(0) == first).then_some(()));
    // Each knows of the limit within a second, and lets go of a lane after at most another.
    sleep(Duration::from_secs(1)).await;
    eventually("the first has them", Duration::from_secs(2), gathered).await?;
    for _ in 0..10 {
        sleep(Duration::from_millis(100)).await;
        let holders: String = env.sql.query_one(limited, &[]).await?.get(0);
        ensure!(holders.is_empty() || holders == first, "{holders}");
    }
    all_is_delivered(&env, 300).await
}

/// Whoever has been forgotten by the others must not go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_others_have_forgotten_begins_anew() -> Result<()> {
    let env = backlog("forgotten", 30).await?;
    let daemon = env.lshookd.run().await?;
    env.run("delete from lshookd.active_role where role = 'deliverer'").await?;
    let again = async || {
        let is_back = "select count(*) from lshookd.active_role where role = 'deliverer'";
        Ok((env.number(is_back).await? == 1).then_some(()))
    };
    eventually("it joins again", Duration::from_secs(15), again).await.context(daemon.log())?;
    all_is_delivered(&env, 30).await
}
