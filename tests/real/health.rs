//! Every view of the system agrees with what it does: health, check, status, page and metrics, in each state.
//!
//! `docs/health.md` is made of what is seen here: `LSHOOKD_TEST_UPDATE=1 cargo test --test real -- health` writes it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lshookd_testbed::daemon::{Daemon, Lshookd};
use lshookd_testbed::eventually;
use lshookd_testbed::free_port;
use lshookd_testbed::pooler::Pooler;
use lshookd_testbed::postgres::Circumstances;
use reqwest::Client;
use serde_json::Value;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::faults::env_on_own_server;
use crate::test_env::TestEnv;

const NO_ROOM: &str = "PostgreSQL has no room for new events";
const ROLES: [&str; 3] = ["planner", "deliverer", "retention"];

/// What each surface says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    ready: String,
    /// The codes of errors and warnings.
    check: String,
    /// Active roles.
    status: String,
    page: String,
    metrics: String,
}

struct Watched {
    env: TestEnv,
    lshookd: Lshookd,
    base: String,
    client: Client,
}

impl Watched {
    /// A page with its status; 0 where nobody answers.
    async fn get(&self, path: &str) -> Result<(u16, String)> {
        match self.client.get(format!("{}{path}", self.base)).send().await {
            Ok(answer) => Ok((answer.status().as_u16(), answer.text().await?)),
            Err(_) => Ok((0, String::new())),
        }
    }

    async fn look(&self) -> Result<Said> {
        let (ready, _) = self.get("/readyz").await?;
        let check = self.lshookd.command(&["check", "--json"]).await?;
        let check: Value = serde_json::from_slice(&check.stdout).context("check")?;
        let wrong = check["findings"].as_array().into_iter().flatten().filter(|finding| finding["level"] != "ok");
        let wrong: Vec<String> = wrong
            .map(|finding| {
                format!(
                    "{} ({})",
                    finding["code"].as_str().unwrap_or_default(),
                    finding["level"].as_str().unwrap_or_default()
                )
            })
            .collect();
        let status = self.lshookd.command(&["status", "--json"]).await?;
        let status = match status.status.success() {
            true => {
                let status: Value = serde_json::from_slice(&status.stdout).context("status")?;
                let active = |role: &str| {
                    status["active_roles"].as_array().into_iter().flatten().any(|active| active["role"] == role)
                };
                listed(ROLES.into_iter().filter(|role| active(role)))
            }
            false => format!("exit code {}", status.status.code().unwrap_or_default()),
        };
        let (answer, page) = self.get("/").await?;
        let page = match answer {
            200 if page.contains("<b>active</b>") => "active".to_owned(),
            200 if page.contains("<b>not active</b>") => "not active".to_owned(),
            other => answered(other),
        };
        let (answer, metrics) = self.get("/metrics").await?;
        let metrics = match metrics.contains("lshookd_database_up 1") {
            _ if answer == 0 => answered(answer),
            true => listed(
                ROLES.into_iter().filter(|role| metrics.contains(&format!("lshookd_role_active{{role=\"{role}\"}} 1"))),
            ),
            false => "database_up 0".to_owned(),
        };
        Ok(Said { ready: answered(ready), check: listed(wrong.iter().map(String::as_str)), status, page, metrics })
    }

    /// What is said most often of some looks, for a role that begins again and again is active for moments.
    async fn settled(&self) -> Result<Said> {
        let mut seen: BTreeMap<Said, usize> = BTreeMap::new();
        for _ in 0..7 {
            *seen.entry(self.look().await?).or_default() += 1;
            sleep(Duration::from_millis(300)).await;
        }
        let (said, times) = seen.iter().max_by_key(|(_, times)| **times).context("nothing was seen")?;
        ensure!(*times >= 4, "they do not settle: {seen:#?}");
        let is_silent = [answered(0).as_str(), "database_up 0"].contains(&said.metrics.as_str());
        ensure!(said.status == said.metrics || is_silent, "status and metrics differ: {said:?}");
        let all_active = said.status == ROLES.join(", ");
        ensure!(all_active == (said.page == "active"), "status and page differ: {said:?}");
        Ok(said.clone())
    }

    /// What is said while the session of a role is ended as soon as there is one.
    async fn without(&self, role: &'static str) -> Result<Said> {
        let killer = self.env.database.connect().await?;
        let over = CancellationToken::new();
        let ending = async {
            while !over.is_cancelled() {
                let query = "select pg_terminate_backend(backend) from lshookd.active_role where role = $1";
                killer.execute(query, &[&role]).await?;
                sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        let looking = async {
            sleep(Duration::from_secs(8)).await;
            let said = self.settled().await;
            over.cancel();
            said
        };
        let (ended, said) = tokio::join!(ending, looking);
        ended?;
        self.all_is_well().await?;
        said
    }

    async fn all_is_well(&self) -> Result<()> {
        let well = async || {
            let said = self.look().await?;
            Ok((said.ready == "200" && said.check == "–" && said.status == ROLES.join(", ")).then_some(()))
        };
        eventually("all is well again", Duration::from_secs(40), well).await
    }
}

fn answered(status: u16) -> String {
    if status == 0 { "no answer".to_owned() } else { status.to_string() }
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = words.collect();
    if all.is_empty() { "–".to_owned() } else { all.join(", ") }
}

async fn watched(env: TestEnv) -> Result<(Watched, Daemon)> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let env = env.with("LSHOOKD_ADMIN_LISTEN", &address);
    let lshookd = env.lshookd.clone();
    let daemon = lshookd.run().await?;
    let client = Client::builder().no_proxy().build()?;
    let watched = Watched { env, lshookd, base: format!("http://{address}"), client };
    watched.all_is_well().await?;
    Ok((watched, daemon))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_surface_says_the_same_in_every_state() -> Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (watched, daemon) = watched(TestEnv::new("health").await?).await?;
    let env = &watched.env;
    let mut rows: Vec<(&str, Said)> = vec![("running", watched.settled().await?)];
    sleep(Duration::from_secs(25)).await;
    rows.push(("idle", watched.settled().await?));

    env.run("alter table lshookd.rule_state rename to hidden").await?;
    sleep(Duration::from_secs(8)).await;
    let said = watched.settled().await;
    env.run("alter table lshookd.hidden rename to rule_state").await?;
    rows.push(("the planner fails at each start", said?));
    watched.all_is_well().await?;
    for (role, state) in
        [("planner", "the planner is lost"), ("deliverer", "the deliverer is lost"), ("retention", "retention is lost")]
    {
        rows.push((state, watched.without(role).await?));
    }

    // Another daemon on the same database, whose listener finds its address taken.
    let second = env.lshookd.clone().start().await?;
    let noted = async || Ok((watched.look().await?.check.contains("admin-listener")).then_some(()));
    eventually("the fault is noted", Duration::from_secs(20), noted).await?;
    rows.push(("a standby daemon finds its admin address taken", watched.settled().await?));
    second.stop().await?;
    env.run("delete from lshookd.daemon_fault").await?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let standby = env.lshookd.clone().with("LSHOOKD_ADMIN_LISTEN", &address);
    let second = standby.start().await?;
    let at_standby = Watched {
        env: TestEnv::new("healthother").await?,
        lshookd: env.lshookd.clone(),
        base: format!("http://{address}"),
        client: watched.client.clone(),
    };
    at_standby.all_is_well().await?;
    rows.push(("standby, beside an active daemon", at_standby.settled().await?));
    second.stop().await?;

    env.run("alter table lshookd.change add constraint broken check (false) not valid").await?;
    env.run("update project set title = 'lost'").await?;
    env.run("alter table lshookd.change drop constraint broken").await?;
    rows.push(("a change could not be captured", watched.settled().await?));
    env.run("delete from lshookd.capture_error").await?;
    watched.all_is_well().await?;

    env.run("alter table task disable trigger lshookd_task_insert").await?;
    rows.push(("a trigger is disabled", watched.settled().await?));
    env.run("alter table task enable trigger lshookd_task_insert").await?;
    watched.all_is_well().await?;

    let name = &env.database.name;
    env.run(&format!("revoke connect on database {name} from public")).await?;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
               where application_name = 'lshookd' and datname = current_database()";
    env.run(end).await?;
    sleep(Duration::from_secs(3)).await;
    let said = watched.settled().await;
    env.run(&format!("grant connect on database {name} to public")).await?;
    rows.push(("PostgreSQL refuses connections", said?));
    watched.all_is_well().await?;

    let pooler = Pooler::start(&env.database, "transaction", 1).await?;
    let mut pooled = crate::test_env::lshookd(&env.database);
    for (name, value) in pooler.environment() {
        pooled = pooled.with(&name, &value);
    }
    let refused = pooled.command(&["run"]).await?;
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("[pooler]"));
    daemon.stop().await?;
    rows.push(("no daemon, also where one was refused for a pooler", watched.settled().await?));
    rows.extend(disk_full().await?.map(|said| (NO_ROOM, said)));
    document(&rows)
}

/// What is said while PostgreSQL has no room for the events that are to be planned.
async fn disk_full() -> Result<Option<Said>> {
    let circumstances = Circumstances { disk: Some(700), ..Circumstances::default() };
    let Some((server, env)) = env_on_own_server("healthdisk", circumstances).await? else {
        return Ok(None);
    };
    env.create_webhook(&env.receiver.url("/project"), &["--project", "1"]).await?;
    let (watched, daemon) = watched(env).await?;
    daemon.stop().await?;
    let import = r#"select fixture.rows('task', '{"project_id": 1}', 20000);
                    update task
                    set data = jsonb_build_object(
                        'text',
                        (select string_agg(md5(random()::text), '') from generate_series(1, 20) where task.id > 0)
                    )"#;
    watched.env.run(import).await?;
    let looking = async {
        let daemon = watched.lshookd.start().await?;
        sleep(Duration::from_secs(8)).await;
        anyhow::Ok((watched.settled().await?, daemon))
    };
    let (said, _daemon) = server.fill_disk(looking).await??;
    watched.all_is_well().await?;
    Ok(Some(said))
}

/// Holds the document to what was seen, or writes it.
fn document(rows: &[(&str, Said)]) -> Result<()> {
    let mut text = String::from(
        "# Health\n\nWhat each view says in each state. `status` and the metrics (`lshookd_role_active`) list the roles \
         in which a daemon is active; `check` lists errors and warnings by their codes ([troubleshooting](troubleshooting.md)). \
         `/readyz` and the page are those of one daemon.\n\n\
         | state | `/readyz` | `check` | `status` | page | metrics |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for (state, Said { ready, check, status, page, metrics }) in rows {
        text += &format!("| {state} | {ready} | {check} | {status} | {page} | {metrics} |\n");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/health.md");
    if std::env::var_os("LSHOOKD_TEST_UPDATE").is_some() {
        return Ok(std::fs::write(path, text)?);
    }
    // What could not be tried here, for the server is not ours, is taken as written.
    let is_tried =
        |line: &&str| !line.starts_with(&format!("| {NO_ROOM} ")) || rows.iter().any(|(state, _)| *state == NO_ROOM);
    let written = std::fs::read_to_string(path)?;
    let written: String = written.lines().filter(is_tried).map(|line| format!("{line}\n")).collect();
    ensure!(written == text, "docs/health.md is not what was seen; LSHOOKD_TEST_UPDATE=1 writes it:\n{text}");
    Ok(())
}
