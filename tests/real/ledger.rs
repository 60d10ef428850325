//! A ledger: what writers committed and what they rolled back, against what two endpoints accepted and a stream
//! of NATS JetStream keeps.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use lshookd_testbed::eventually;
use lshookd_testbed::postgres::Database;
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::published;
use crate::pull::Consumers;
use crate::test_env::TestEnv;

const WRITERS: usize = 4;
/// The endpoints, a lane each.
const PATHS: [&str; 2] = ["/project", "/second"];

/// How many annotations a long run writes at least.
fn long_run() -> Option<usize> {
    std::env::var("LSHOOKD_TEST_FAULTS").ok().and_then(|text| text.parse().ok())
}

/// One in a long run (`make test-faults`), the other in a short one (`make test`).
pub fn if_long<T>(long: T, short: T) -> T {
    if long_run().is_some() { long } else { short }
}

/// What one writer did.
#[derive(Default)]
struct Written {
    committed: Vec<i64>,
    longest: Duration,
}

/// What came of a disturbance under load.
#[derive(Debug)]
pub struct Account {
    /// Committed annotations.
    pub committed: usize,
    /// Accepted, by all destinations together.
    pub delivered: usize,
    /// Committed and not accepted by every one.
    pub lost: usize,
    /// Accepted and not committed.
    pub phantom: usize,
    /// Accepted again.
    pub duplicated: usize,
    /// Accepted after something that the same writer committed later.
    pub out_of_order: usize,
    /// The longest that a write took.
    pub longest: Duration,
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { committed, delivered, lost, phantom, duplicated, out_of_order, longest } = self;
        write!(
            formatter,
            "{committed:>9} {delivered:>9} {lost:>6} {phantom:>7} {duplicated:>10} {out_of_order:>12} {:>11.3} s",
            longest.as_secs_f64()
        )
    }
}

/// Writes while the disturbance goes on, waits until everything has arrived, and compares. No
/// write may have taken longer than `timeout`, the time of the fault itself.
pub async fn balance(
    name: &str,
    env: &TestEnv,
    timeout: Duration,
    disturb: impl AsyncFnOnce() -> Result<()>,
) -> Result<Account> {
    env.webhook(PATHS[1], "{}").await?;
    env.run(&format!(r#"select fixture.rows('task', '{{"project_id": 1}}', {WRITERS})"#)).await?;
    env.receiver.expect(PATHS.len()).await?;
    env.receiver.clear();
    env.stream().await?;
    let over = AtomicBool::new(false);
    let disturbance = async {
        sleep(Duration::from_millis(200)).await;
        let disturbed = disturb().await;
        over.store(true, Ordering::Relaxed);
        disturbed
    };
    let writers = join_all((0..WRITERS).map(|writer| write(&env.database, writer, &over)));
    let (disturbed, written) = tokio::join!(disturbance, writers);
    disturbed?;
    let written = written.into_iter().collect::<Result<Vec<Written>>>()?;

    let arrived = async || Ok((account_of(&arrivals(env).await?, &written).lost == 0).then_some(()));
    let outcome = eventually("everything committed arrives", Duration::from_secs(120), arrived).await;
    sleep(Duration::from_millis(500)).await;
    let arrivals = arrivals(env).await?;
    let account = account_of(&arrivals, &written);
    println!("{name:<58} {account}");
    if let Err(error) = outcome {
        return Err(error.context(format!("{name}: {account:?}; {}", explain(env, &written, &arrivals).await?)));
    }
    ensure!(account.phantom == 0 && account.out_of_order == 0, "{name}: {account:?}");
    let of_stream = account_of(&arrivals[PATHS.len()..=PATHS.len()], &written);
    ensure!(of_stream.duplicated == 0, "{name}: the stream took an event twice, for all its message ids");
    ensure!(account.longest <= timeout + Duration::from_secs(2), "{name}: a write took {:?}", account.longest);
    Ok(account)
}

/// Where the events that are missing may have stayed, for the report of a failure.
async fn explain(env: &TestEnv, written: &[Written], arrivals: &[Vec<i64>]) -> Result<String> {
    let client = connect(&env.database).await?;
    let committed: Vec<i64> = written.iter().flat_map(|written| &written.committed).copied().collect();
    let row = client.query_one(include_str!("../sql/missing.sql"), &[&committed, &arrivals.concat()]).await?;
    Ok(row.get("report"))
}

/// Writes annotations of one task, and rolls every fifth back, until it is over.
async fn write(database: &Database, writer: usize, over: &AtomicBool) -> Result<Written> {
    let mut written = Written::default();
    let mut client = connect(database).await?;
    let mut number = 0;
    while number < long_run().unwrap_or(400) / WRITERS || !over.load(Ordering::Relaxed) {
        number += 1;
        let mark = (writer * 10_000_000 + number) as f64;
        let row = format!(
            r#"select (fixture.rows('task_completion', '{{"project_id": 1, "task_id": {}, "lead_time": {mark}}}'))[1]"#,
            writer + 1
        );
        let started = Instant::now();
        let id = loop {
            match client.query_one(&row, &[]).await {
                Ok(id) => break Some(id.get::<_, i64>(0)),
                Err(error) if error.is_closed() || client.is_closed() => {
                    client = connect(database).await?;
                    // Whether it was committed before the connection went, only the table knows.
                    let query = "select id::bigint from task_completion where lead_time = $1";
                    if let Ok(Some(id)) = client.query_opt(query, &[&mark]).await {
                        break Some(id.get(0));
                    }
                }
                // Refused, as in a database that is read-only for a while, perhaps in the middle
                // of what should have been rolled back.
                Err(_) => drop(client.batch_execute("rollback").await),
            }
            sleep(Duration::from_millis(20)).await;
        };
        written.longest = written.longest.max(started.elapsed());
        written.committed.extend(id);
        if number % 5 == 0 {
            let _ = client.batch_execute(&format!("begin; {row}; rollback")).await;
        }
        sleep(Duration::from_millis(4)).await;
    }
    Ok(written)
}

async fn connect(database: &Database) -> Result<Client> {
    let connected = async || Ok(database.connect().await.ok());
    eventually("the writer connects", Duration::from_secs(90), connected).await
}

/// The annotations that each destination was given, in order: the endpoints', the stream's, and where there are some the
/// consumers'.
async fn arrivals(env: &TestEnv) -> Result<Vec<Vec<i64>>> {
    let accepted = env.receiver.accepted();
    let of_path = |path| {
        let requests = accepted.iter().filter(|request| request.path == path);
        requests.flat_map(|request| request.ids("annotation")).collect()
    };
    let mut arrivals: Vec<Vec<i64>> = PATHS.map(of_path).to_vec();
    let kept = published::kept(env.stream().await?).await?;
    arrivals.push(kept.iter().filter_map(|(_, _, body)| body["annotation"]["id"].as_i64()).collect());
    arrivals.extend(env.consumers.get().map(Consumers::handled));
    Ok(arrivals)
}

/// What came of what was written by these destinations.
fn account_of(arrivals: &[Vec<i64>], written: &[Written]) -> Account {
    let mut places: HashMap<i64, (usize, usize)> = HashMap::new();
    for (writer, written) in written.iter().enumerate() {
        places.extend(written.committed.iter().enumerate().map(|(index, id)| (*id, (writer, index))));
    }
    let mut account = Account {
        committed: places.len(),
        delivered: arrivals.iter().map(Vec::len).sum(),
        lost: 0,
        phantom: 0,
        duplicated: 0,
        out_of_order: 0,
        longest: written.iter().map(|written| written.longest).max().unwrap_or_default(),
    };
    for ids in arrivals {
        let mut seen = HashSet::new();
        let mut latest = [None; WRITERS];
        for id in ids {
            if !seen.insert(*id) {
                account.duplicated += 1;
                continue;
            }
            let Some((writer, index)) = places.get(id) else {
                account.phantom += 1;
                continue;
            };
            account.out_of_order += usize::from(latest[*writer] > Some(*index));
            latest[*writer] = latest[*writer].max(Some(*index));
        }
        account.lost += places.keys().filter(|id| !seen.contains(id)).count();
    }
    account
}
