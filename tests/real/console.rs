//! The console: what it shows, what it changes, who may, and how it looks in a real browser.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::receiver::Reply;
use lshookd_testbed::{cache, eventually, free_port};
use reqwest::{Client, RequestBuilder, StatusCode};
use standardwebhooks::Webhook;
use tokio::process::Command;

use crate::test_env::TestEnv;

/// A database with a daemon whose console may change something.
pub struct Console {
    /// The database.
    pub env: TestEnv,
    daemon: Daemon,
    base: String,
    client: Client,
}

impl Console {
    /// With these settings.
    async fn new(label: &str, settings: &[(&str, &str)]) -> Result<Console> {
        let env = TestEnv::new(label).await?;
        env.webhook("/project", "{}").await?;
        Console::of(env, settings).await
    }

    /// Of what is there.
    pub async fn of(env: TestEnv, settings: &[(&str, &str)]) -> Result<Console> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut env = env.with("LSHOOKD_ADMIN_LISTEN", &address).with("LSHOOKD_ADMIN_WRITE", "true");
        for (name, value) in settings {
            env = env.with(name, value);
        }
        let daemon = env.lshookd.run().await?;
        // Another test may have done so.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let console = Console { env, daemon, base: format!("http://{address}"), client };
        let ready = async || {
            let answer = console.client.get(format!("{}/readyz", console.base)).send().await;
            Ok(answer.is_ok_and(|answer| answer.status() == StatusCode::OK).then_some(()))
        };
        eventually("the daemon is ready", Duration::from_secs(20), ready).await?;
        Ok(console)
    }

    /// A page that must be there.
    pub async fn get(&self, path: &str) -> Result<String> {
        let (status, text) = said(self.client.get(format!("{}{path}", self.base))).await?;
        ensure!(status == StatusCode::OK, "{path}: {status}: {text}");
        Ok(text)
    }

    async fn token(&self) -> Result<String> {
        let page = self.get("/rules/new").await?;
        let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        Ok(token.context("no token on the page")?.to_owned())
    }

    /// Sends a form; the answer, also where it was not done.
    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Result<(StatusCode, String)> {
        let token = self.token().await?;
        let fields: Vec<(&str, &str)> = [("token", token.as_str())].into_iter().chain(fields.iter().copied()).collect();
        said(self.client.post(format!("{}{path}", self.base)).form(&fields)).await
    }

    /// Sends a form that must be taken.
    pub async fn succeed(&self, path: &str, fields: &[(&str, &str)]) -> Result<String> {
        let (status, text) = self.send(path, fields).await?;
        ensure!(status == StatusCode::OK || status == StatusCode::SEE_OTHER, "{path}: {status}: {text}");
        Ok(text)
    }
}

async fn said(request: RequestBuilder) -> Result<(StatusCode, String)> {
    let answer = request.send().await?;
    Ok((answer.status(), answer.text().await?))
}

/// Webhooks in each state, with deliveries of each.
async fn furnished(label: &str) -> Result<Console> {
    let console = Console::new(label, &[]).await?;
    let env = &console.env;
    for (path, status) in [("/failing", 500), ("/gone", 410)] {
        env.receiver.answer(path, Reply::status(status));
        env.webhook(path, "{}").await?;
    }
    let paused = env.webhook("/paused", "{}").await?.to_string();
    env.lshookd.succeed(&["webhook", "adopt", "1"]).await?;
    env.lshookd.succeed(&["webhook", "pause", &paused]).await?;
    for title in ["Owls", "Barn owls", "<script>alert(1)</script>"] {
        env.run(&format!("update project set title = '{title}', updated_at = clock_timestamp()")).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let dead = async || {
        Ok((env.number("select count(*) from lshookd.delivery where state = 'dead'").await? > 2).then_some(()))
    };
    eventually("some are dead", Duration::from_secs(20), dead).await?;
    let rule = "[[rule]]\nname = \"a-hundred\"\nwebhook = 1\nactions = [\"ANNOTATION_CREATED\"]\nthreshold = 100\n";
    console.succeed("/rules", &[("text", rule), ("do", "save")]).await?;
    Ok(console)
}

/// By axe-core, in light and dark, at 1280 and 390 pixels, by the keyboard alone.
#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_for_everybody() -> Result<()> {
    let console = furnished("everybody").await?;
    let failing = console.env.number("select min(id) from lshookd.delivery where webhook_id = 2").await?;
    let pages = [
        "/",
        "/webhooks/1",
        "/webhooks/2",
        "/webhooks/new",
        "/deliveries",
        "/deliveries?webhook=1",
        "/dead-letters",
        "/events",
        "/events/ANNOTATION_CREATED",
        "/rules",
        "/rules/a-hundred",
        "/audit",
        "/login",
        "/deliveries/999",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("/deliveries/{failing}")]);
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/console");
    let folder = tempfile::tempdir()?;
    std::os::unix::fs::symlink(
        std::fs::canonicalize(cache().join("node-parts/node_modules"))?,
        folder.path().join("node_modules"),
    )?;
    std::fs::write(folder.path().join("walk.mjs"), include_str!("console/walk.mjs"))?;
    let mut walk = Command::new("node");
    walk.current_dir(folder.path()).arg("walk.mjs").arg(&console.base).arg(&pictures).args(pages).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(300), walk.output()).await??;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(told.contains("looked at 60"), "{told}");
    if std::env::var_os("LSHOOKD_TEST_UPDATE").is_some() {
        let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/console");
        let delivery = format!("deliveries-{failing}-light-1280");
        for (picture, name) in [
            ("overview-light-1280", "overview"),
            ("overview-dark-1280", "dark"),
            ("overview-light-390", "phone"),
            ("webhooks-2-light-1280", "webhook"),
            ("deliveries-light-1280", "deliveries"),
            (delivery.as_str(), "delivery"),
            ("dead-letters-light-1280", "dead-letters"),
            ("events-light-1280", "events"),
            ("rules-a-hundred-light-1280", "rule"),
            ("audit-light-1280", "audit"),
        ] {
            std::fs::copy(pictures.join(picture).with_extension("png"), documents.join(name).with_extension("png"))?;
        }
    }
    console.daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_what_is_wrong_and_runs_nothing_that_people_wrote() -> Result<()> {
    let console = furnished("shows").await?;
    // Failing ones come first.
    let shows = async || {
        let overview = console.get("/").await?;
        let places: Vec<Option<usize>> =
            ["/failing</a>", "/gone</a>", "/paused</a>", "/project</a>"].iter().map(|url| overview.find(url)).collect();
        let words = ["webhook fails.", "500 Internal Server Error", "are dead", "badge warn\">paused"];
        let is_told = places.is_sorted() && words.iter().all(|words| overview.contains(words));
        Ok(is_told.then_some(overview))
    };
    let overview = eventually("it says what is wrong", Duration::from_secs(10), shows).await?;
    assert!(!overview.contains("<script>alert"), "what people wrote is text");
    let dead = console.get("/dead-letters").await?;
    assert!(dead.contains("410 Gone") && dead.contains("href=\"/webhooks/3\""), "{dead}");
    let failing = console.env.number("select min(id) from lshookd.delivery where webhook_id = 2").await?;
    let delivery = console.get(&format!("/deliveries/{failing}")).await?;
    assert!(delivery.contains("Next attempt"), "{delivery}");
    assert!(delivery.contains("Attempt 1") && delivery.contains("webhook-id: "), "{delivery}");
    let second = console.env.number("select max(id) from lshookd.delivery where webhook_id = 2").await?;
    assert!(console.get(&format!("/deliveries/{second}")).await?.contains("Waiting for"));
    let held = console.env.number("select min(id) from lshookd.delivery where webhook_id = 4").await?;
    assert!(console.get(&format!("/deliveries/{held}")).await?.contains("Held back"));
    console.daemon.stop().await?;
    Ok(())
}

/// The page has the very bytes that the endpoint received, also where they are in an envelope.
#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_shown_as_it_was_sent() -> Result<()> {
    let console = Console::new("bytes", &[]).await?;
    let env = &console.env;
    let id =
        env.create_webhook(&env.receiver.url("/envelope"), &["--project", "1", "--cloudevents", "structured"]).await?;
    let name = env.create_webhook(&env.receiver.url("/name"), &["--project", "1", "--send-payload=false"]).await?;
    env.run("update project set title = 'Owls'").await?;
    let requests = env.receiver.expect(3).await?;
    for (path, webhook) in [("/project", 1), ("/envelope", id), ("/name", name)] {
        let request = requests.iter().find(|request| request.path == path).context(path)?;
        let number = env.number(&format!("select id from lshookd.delivery where webhook_id = {webhook}")).await?;
        let page = console.get(&format!("/deliveries/{number}")).await?;
        let shown = page.split("id=\"body\" tabindex=\"0\">").nth(1).and_then(|rest| rest.split("</pre>").next());
        let shown = shown
            .context("no body")?
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        let secret: serde_json::Value =
            serde_json::from_str(&env.lshookd.succeed(&["webhook", "secret", &webhook.to_string(), "--json"]).await?)?;
        let secret =
            secret.to_string().split('"').find(|word| word.starts_with("whsec_")).context("a secret")?.to_owned();
        // The signature is of these bytes and no others.
        Webhook::new(&secret)?
            .verify(shown.as_bytes(), &request.headers)
            .with_context(|| format!("{path}: {shown}"))?;
    }
    console.daemon.stop().await?;
    Ok(())
}

/// Page by page to the end and back, every delivery is seen once each way.
#[tokio::test(flavor = "multi_thread")]
async fn pages_go_on_and_back() -> Result<()> {
    let env = TestEnv::new("pages").await?;
    let url = env.receiver.url("/each");
    let rows = format!(
        r#"select fixture.rows('webhook', '{{"url": "{url}", "organization_id": 1, "is_active": true, "send_payload": true,
            "send_for_all_actions": true, "headers": {{}}}}', 2)"#
    );
    env.run(&rows).await?;
    env.run("set lshookd_test.events = 900").await?;
    env.run(include_str!("../sql/years.sql")).await?;
    env.lshookd.succeed(&["webhook", "pause", "--all"]).await?;
    // Many are pending: more than a page has.
    env.run("update lshookd.delivery set state = 'pending', ended_at = null where id % 7 = 0").await?;
    env.run("update lshookd.lane set due_at = now()").await?;
    let console = Console::of(env, &[("LSHOOKD_RETENTION", "2000d")]).await?;
    let id = console.env.number("select min(id)::bigint from webhook").await?;
    let listed = |page: &str| -> Vec<String> {
        page.split("<a href=\"/deliveries/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned)
            .collect()
    };
    let link = |page: &str, rel: &str| {
        let at = page.find(&format!("\" rel=\"{rel}\""))?;
        let begin = page[..at].rfind("href=\"")?;
        Some(page[begin + 6..at].replace("&amp;", "&"))
    };
    for (begin, quantity) in [
        ("/deliveries".to_owned(), "select count(*) from lshookd.delivery".to_owned()),
        (format!("/deliveries?webhook={id}"), format!("select count(*) from lshookd.delivery where webhook_id = {id}")),
        (
            format!("/deliveries?webhook={id}&state=pending"),
            format!("select count(*) from lshookd.delivery where webhook_id = {id} and state = 'pending'"),
        ),
        (
            format!("/deliveries?webhook={id}&action=TASKS_CREATED"),
            format!(
                "select count(*) from lshookd.delivery join lshookd.event on event.id = event_id
                 where webhook_id = {id} and action = 'TASKS_CREATED'"
            ),
        ),
    ] {
        let expected = console.env.number(&quantity).await?;
        let (mut on, mut path) = (Vec::new(), Some(begin.clone()));
        let mut last = begin.clone();
        while let Some(next) = path {
            let page = console.get(&next).await?;
            on.extend(listed(&page));
            path = link(&page, "next");
            last = next;
            ensure!(on.len() < 2000, "it never ends");
        }
        let unique: std::collections::BTreeSet<&String> = on.iter().collect();
        assert_eq!((on.len() as i64, unique.len() as i64), (expected, expected), "{begin}");
        let (mut back, mut path) = (std::collections::BTreeSet::new(), Some(last));
        let mut pages = 0;
        while let Some(next) = path {
            let page = console.get(&next).await?;
            back.extend(listed(&page));
            path = link(&page, "prev");
            pages += 1;
            ensure!(pages < 100, "it never comes to the top");
        }
        assert_eq!(back.len() as i64, expected, "{begin}: back");
    }
    console.daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_control_does_what_it_says_and_is_noted() -> Result<()> {
    let console = Console::new("controls", &[]).await?;
    let env = &console.env;
    env.lshookd.succeed(&["webhook", "adopt", "1"]).await?;

    console.succeed("/webhooks/1/pause", &[]).await?;
    assert_eq!(env.number("select count(*) from lshookd.pause").await?, 1);
    assert!(console.get("/").await?.contains("badge warn\">paused"), "it is shown at once");
    env.run("update project set title = 'Owls'").await?;
    let pending = async || {
        Ok((env.number("select count(*) from lshookd.delivery where state = 'pending'").await? == 1).then_some(()))
    };
    eventually("it waits", Duration::from_secs(10), pending).await?;
    console.succeed("/webhooks/1/resume", &[]).await?;
    env.receiver.expect(1).await?;

    console.succeed("/webhooks/1/pause", &[]).await?;
    env.run("update project set title = 'Barn owls'").await?;
    eventually("it waits", Duration::from_secs(10), pending).await?;
    console.succeed("/webhooks/1/resume-discarding", &[]).await?;
    assert_eq!(env.number("select count(*) from lshookd.delivery where state = 'skipped'").await?, 1);

    let answer = console.succeed("/webhooks/1/test", &[("action", "PROJECT_UPDATED")]).await?;
    assert!(answer.contains("answer 200"), "{answer}");
    env.receiver.expect(2).await?;

    // A span is counted first.
    let asked = console.succeed("/webhooks/1/replay", &[("since", "2020-01-01T00:00")]).await?;
    assert!(asked.contains("Replay 2 deliveries"), "{asked}");
    assert_eq!(env.receiver.count(), 2);
    console.succeed("/webhooks/1/replay", &[("since", "2020-01-01T00:00"), ("confirmed", "yes")]).await?;
    env.receiver.expect(4).await?;

    let first = env.number("select min(id) from lshookd.delivery").await?.to_string();
    console.succeed(&format!("/deliveries/{first}/replay"), &[]).await?;
    env.receiver.expect(5).await?;
    let ticked = [("id", first.as_str()), ("transition", "replay")];
    assert!(console.succeed("/deliveries", &ticked).await?.contains("Replay 1 delivery?"));
    assert_eq!(env.receiver.count(), 5);
    console.succeed("/deliveries", &[("id", &first), ("transition", "replay"), ("confirmed", "yes")]).await?;
    env.receiver.expect(6).await?;

    // The settings: what differs is written, and nothing else.
    let same = [("every_action", "yes"), ("send_payload", "yes"), ("await_answer", "yes"), ("cloudevents", "off")];
    console.succeed("/webhooks/1/update", &same).await?;
    assert_eq!(env.number("select count(*) from lshookd.delivery_option").await?, 0);
    let changed = [
        same.as_slice(),
        &[
            ("rate_limit", "20/s"),
            ("answer_timeout", "10m"),
            ("retry_schedule", "5s, 1m"),
            ("pause_after", "2d"),
            ("concurrency", "3"),
        ],
    ]
    .concat();
    console.succeed("/webhooks/1/update", &changed).await?;
    let options = "select count(*) from lshookd.webhook_manner
                   where rate_limit = 20 and answer_timeout_seconds = 600 and retry_schedule_seconds = '{5,60}'
                     and pause_after_seconds = 172800 and concurrency = 3";
    assert_eq!(env.number(options).await?, 1);
    let (status, refused) =
        console.send("/webhooks/1/update", &[same.as_slice(), &[("rate_limit", "many")]].concat()).await?;
    assert!(status == StatusCode::BAD_REQUEST && refused.contains("expected a rate"), "{status}: {refused}");
    assert!(console.get("/webhooks/1").await?.contains("value=\"20/s\""));

    let secret = console.succeed("/webhooks/1/rotate-secret", &[]).await?;
    assert!(secret.contains("whsec_"), "{secret}");
    assert_eq!(env.number("select count(*) from lshookd.secret where webhook_id = 1").await?, 2);

    // Dead ones of a kind.
    env.receiver.answer("/project", Reply::status(410));
    env.run("update project set title = 'Tawny owls'").await?;
    let dead = async || {
        Ok((env.number("select count(*) from lshookd.delivery where state = 'dead'").await? == 1).then_some(()))
    };
    eventually("it is dead", Duration::from_secs(10), dead).await?;
    let kind = [("webhook", "1"), ("reason", "the endpoint answered 410 Gone"), ("transition", "skip")];
    assert!(console.succeed("/dead-letters", &kind).await?.contains("Discard 1 dead delivery"));
    console.succeed("/dead-letters", &[kind.as_slice(), &[("confirmed", "yes")]].concat()).await?;
    assert_eq!(env.number("select count(*) from lshookd.delivery where state = 'dead'").await?, 0);

    // Rules, and files of this machine are not read for them.
    let rule = "[[rule]]\nname = \"owls only\"\nwebhook = 1\ncondition = \"event.project.title.contains('wls')\"\n";
    let tried = console.succeed("/rules", &[("text", rule), ("do", "test")]).await?;
    assert!(tried.contains("of the webhook match"), "{tried}");
    assert_eq!(env.number("select count(*) from lshookd.rule").await?, 0);
    console.succeed("/rules", &[("text", rule), ("do", "save")]).await?;
    assert!(console.get("/rules/owls%20only").await?.contains("contains"));
    let file = "[[rule]]\nname = \"a\"\nwebhook = 1\ntemplate_file = \"/etc/passwd\"\n";
    let refused = console.succeed("/rules", &[("text", file), ("do", "test")]).await?;
    assert!(refused.contains("no template_file here") && !refused.contains("root:"), "{refused}");
    console.succeed("/rules/owls%20only", &[("confirmed", "yes")]).await?;
    assert_eq!(env.number("select count(*) from lshookd.rule").await?, 0);

    // Label Studio's own table is the owner's to write: the daemon's role is refused, and the page says what to do.
    let (status, refused) = console.send("/webhooks/1/disable", &[]).await?;
    assert!(status == StatusCode::FORBIDDEN && refused.contains("run this command as"), "{status}: {refused}");

    let noted = env
        .sql
        .query("select what, failure is not null as failed from lshookd.audit where way = 'console' order by id", &[])
        .await?;
    let noted: Vec<(String, bool)> = noted.iter().map(|row| (row.get(0), row.get(1))).collect();
    for what in [
        "webhook pause",
        "webhook resume",
        "webhook resume --discard",
        "webhook test",
        "delivery replay --webhook",
        "delivery replay",
        "webhook update",
        "webhook secret --rotate",
        "delivery skip --state dead",
        "rule apply",
        "rule delete",
    ] {
        assert!(noted.contains(&(what.to_owned(), false)), "{what} is not noted: {noted:?}");
    }
    assert!(noted.contains(&("webhook update --state disabled".to_owned(), true)), "{noted:?}");
    let log = console.get("/audit").await?;
    assert!(
        log.contains("webhook resume --discard") && log.contains("webhook adopt") && log.contains("(command)"),
        "{log}"
    );
    assert!(!log.contains("whsec_"));
    console.daemon.stop().await?;
    Ok(())
}

/// As the owner, who may write Label Studio's table.
#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_created_changed_and_deleted_by_who_may() -> Result<()> {
    let mut env = TestEnv::new("owner").await?;
    env.lshookd = env.lshookd.run_as_owner();
    let console = Console::of(env, &[]).await?;
    let env = &console.env;
    let url = env.receiver.url("/made");
    let form = [
        ("url", url.as_str()),
        ("project", "1"),
        ("headers", "X-Key: feathers"),
        ("every_action", "yes"),
        ("send_payload", "yes"),
        ("await_answer", "yes"),
        ("cloudevents", "off"),
        ("rate_limit", "50/s"),
    ];
    assert!(!console.get("/").await?.contains("href=\"/webhooks/1\""));
    console.succeed("/webhooks", &form).await?;
    let id = env.number("select max(id)::bigint from webhook").await?;
    let link = format!("href=\"/webhooks/{id}\"");
    assert!(console.get("/").await?.contains(&link), "it is shown at once");
    env.run("update project set title = 'Owls'").await?;
    let requests = env.receiver.expect(1).await?;
    assert_eq!((requests[0].path.as_str(), requests[0].header("x-key")), ("/made", "feathers"));
    assert!(!console.get(&format!("/webhooks/{id}")).await?.contains("feathers"));

    let other = env.receiver.url("/other");
    let form = [
        ("url", other.as_str()),
        ("actions", "PROJECT_UPDATED"),
        ("additional_actions", "PROJECT_COMPLETED"),
        ("send_payload", "yes"),
        ("await_answer", "yes"),
        ("cloudevents", "binary"),
        ("rate_limit", "50/s"),
    ];
    console.succeed(&format!("/webhooks/{id}/update"), &form).await?;
    env.run("update project set title = 'Barn owls'").await?;
    let requests = env.receiver.expect(2).await?;
    assert_eq!(requests[1].path, "/other");
    assert_eq!(
        (requests[1].header("x-key"), requests[1].header("ce-type")),
        ("feathers", "label-studio.PROJECT_UPDATED")
    );

    console.succeed(&format!("/webhooks/{id}/release"), &[]).await?;
    assert_eq!(env.number("select count(*) from webhook where is_active").await?, 1);
    console.succeed(&format!("/webhooks/{id}/adopt"), &[]).await?;
    console.succeed(&format!("/webhooks/{id}/disable"), &[]).await?;
    assert!(console.get("/").await?.contains("badge warn\">disabled"));
    console.succeed(&format!("/webhooks/{id}/enable"), &[]).await?;
    let (status, _) = console.send(&format!("/webhooks/{id}/delete"), &[("confirmed", "yes")]).await?;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(!console.get("/").await?.contains(&link), "it is shown no more");
    assert_eq!(env.number("select count(*) from webhook").await?, 0);
    let (status, _) = console.send(&format!("/webhooks/{id}/pause"), &[]).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    console.daemon.stop().await?;
    Ok(())
}

/// Sessions, viewers, the proxy's word; and what changes something is never another site's.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_look_and_who_may_change_something() -> Result<()> {
    let hash = TestEnv::new("hash").await?.lshookd.fed(&["hash-password"], "sesame\n").await?;
    let settings = [
        ("LSHOOKD_ADMIN_PASSWORD", hash.trim()),
        ("LSHOOKD_ADMIN_VIEWER_PASSWORD", "peep"),
        ("LSHOOKD_ADMIN_HEADER", "X-User"),
        ("LSHOOKD_ADMIN_HEADER_SECRET", "of the proxy"),
        ("LSHOOKD_ADMIN_WRITERS", "owl"),
    ];
    let console = Console::new("who", &settings).await?;
    let (env, client, base) = (&console.env, &console.client, &console.base);
    env.run(
        r#"update webhook set url = replace(url, 'http://', 'http://user:hidden@'), headers = '{"X-Key": "hidden"}'"#,
    )
    .await?;
    env.run("update project set title = 'Owls'").await?;
    env.receiver.expect(1).await?;
    let get = |path: &str| client.get(format!("{base}{path}"));
    assert_eq!(said(get("/")).await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(said(get("/metrics")).await?.0, StatusCode::UNAUTHORIZED);
    let browser = get("/").header("accept", "text/html").send().await?;
    assert_eq!((browser.status(), browser.headers()["location"].to_str()?), (StatusCode::SEE_OTHER, "/login"));

    // A session is begun by the password, and its cookie opens to nobody else's page.
    let (_, page) = said(get("/login")).await?;
    let token = page
        .split("name=\"token\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .context("no token")?
        .to_owned();
    let log_in = |password: &str| {
        let fields = [("token", token.clone()), ("name", "Ada".to_owned()), ("password", password.to_owned())];
        client.post(format!("{base}/login")).form(&fields)
    };
    assert_eq!(said(log_in("guessed")).await?.0, StatusCode::UNAUTHORIZED);
    let cookie_of = async |password: &str| -> Result<String> {
        let answer = log_in(password).send().await?;
        ensure!(answer.status() == StatusCode::SEE_OTHER, "{}", answer.status());
        let cookie = answer.headers()["set-cookie"].to_str()?.to_owned();
        ensure!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        Ok(cookie.split(';').next().unwrap_or_default().to_owned())
    };
    let (writer, viewer) = (cookie_of("sesame").await?, cookie_of("peep").await?);
    let with = |request: RequestBuilder, cookie: &str| request.header("cookie", cookie.to_owned());
    let (_, full) = said(with(get("/webhooks/1"), &writer)).await?;
    assert!(full.contains("/project") && full.contains("Pause") && full.contains("Ada"), "{full}");
    for path in ["/", "/webhooks/1", "/deliveries/1", "/events/PROJECT_UPDATED"] {
        let (status, page) = said(with(get(path), &viewer)).await?;
        assert_eq!(status, StatusCode::OK);
        assert!(
            !page.contains("/project<") && !page.contains("hidden@") && !page.contains("value=\"hidden\""),
            "{path}: {page}"
        );
        assert!(!page.contains("Pause") && page.contains("read only"), "{path}");
    }
    // What a form of one session sends along is of no use in another, nor is that of who has not logged in.
    let token_in = |page: &str| {
        page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned)
    };
    let own = token_in(&full).context("no token")?;
    let pause_by = |cookie: &str, token: &str| {
        with(client.post(format!("{base}/webhooks/1/pause")).form(&[("token", token.to_owned())]), cookie)
    };
    let pause = |cookie: &str| pause_by(cookie, &own);
    assert_eq!(said(pause(&viewer)).await?.0, StatusCode::FORBIDDEN);
    let (_, looked) = said(with(get("/"), &viewer)).await?;
    for other in [token_in(&looked).context("no token")?, token.clone()] {
        assert_eq!(said(pause_by(&writer, &other)).await?.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(said(pause(&writer).header("sec-fetch-site", "cross-site")).await?.0, StatusCode::FORBIDDEN);
    let guessed = with(client.post(format!("{base}/webhooks/1/pause")).form(&[("token", "guessed")]), &writer);
    assert_eq!(said(guessed).await?.0, StatusCode::FORBIDDEN);
    assert_eq!(env.number("select count(*) from lshookd.pause").await?, 0);
    assert_eq!(said(pause(&writer)).await?.0, StatusCode::SEE_OTHER);
    assert_eq!(env.number("select count(*) from lshookd.audit where who = 'Ada' and what = 'webhook pause'").await?, 1);
    let out = with(client.post(format!("{base}/logout")).form(&[("token", own.clone())]), &writer);
    assert_eq!(said(out).await?.0, StatusCode::SEE_OTHER);
    assert_eq!(said(with(get("/"), &writer)).await?.0, StatusCode::UNAUTHORIZED);

    // The proxy names people; nobody else can.
    let named = |name: &str, secret: &str| {
        get("/webhooks/1").header("x-user", name.to_owned()).header("x-lshookd-secret", secret.to_owned())
    };
    assert_eq!(said(named("owl", "guessed")).await?.0, StatusCode::UNAUTHORIZED);
    assert!(said(named("owl", "of the proxy")).await?.1.contains("Resume"));
    assert!(!said(named("mouse", "of the proxy")).await?.1.contains("Resume"));

    // Scrapers know the password; a foreign name that resolves here may not even look.
    assert_eq!(said(get("/metrics").basic_auth("scraper", Some("peep"))).await?.0, StatusCode::OK);
    assert_eq!(
        said(get("/").basic_auth("scraper", Some("peep")).header("host", "evil.example")).await?.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(said(get("/login").header("host", "evil.example")).await?.0, StatusCode::FORBIDDEN);
    for _ in 0..12 {
        said(log_in("guessed")).await?;
    }
    assert_eq!(said(log_in("sesame")).await?.0, StatusCode::TOO_MANY_REQUESTS);
    for secret in ["sesame", "peep", "of the proxy", "hidden"] {
        assert!(!console.daemon.log().contains(secret), "{secret} is in the log");
    }
    console.daemon.stop().await?;
    Ok(())
}

/// Where `admin_write` is off, nobody changes anything.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_where_it_may_not() -> Result<()> {
    let console = Console::new("off", &[("LSHOOKD_ADMIN_WRITE", "false")]).await?;
    console.env.run("update project set title = 'Owls'").await?;
    console.env.receiver.expect(1).await?;
    for path in ["/", "/webhooks/1", "/deliveries", "/deliveries/1", "/rules", "/dead-letters", "/audit", "/events"] {
        let page = console.get(path).await?;
        assert!(!page.contains("method=\"post\"") && !page.contains("/project<"), "{path}: {page}");
    }
    for path in ["/deliveries/1/replay", "/webhooks/1/pause", "/rules", "/deliveries", "/dead-letters", "/webhooks"] {
        let posted = console.client.post(format!("{}{path}", console.base)).form(&[("token", "x")]);
        assert_eq!(said(posted).await?.0, StatusCode::FORBIDDEN, "{path}");
    }
    console.daemon.stop().await?;
    Ok(())
}

/// Each new board is told to whoever looks, and asked of the database once for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn many_who_look_are_one_to_the_database() -> Result<()> {
    let console = Console::new("live", &[]).await?;
    let asked = async || -> Result<i64> {
        // Statistics come a moment later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        console.env.number("select xact_commit from pg_stat_database where datname = current_database()").await
    };
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(console.client.get(format!("{}/live", console.base)).send().await?);
    }
    let told = tokio::time::timeout(Duration::from_secs(10), streams[0].chunk()).await??.context("the stream ended")?;
    assert!(String::from_utf8_lossy(&told).contains("event: board"), "{told:?}");
    // What was asked at the start is counted when its sessions have been idle for ten seconds.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let before = asked().await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let with_many = asked().await? - before;
    // A page that is renewed asks for nothing more.
    for _ in 0..20 {
        console.get("/").await?;
    }
    let with_pages = asked().await? - before - with_many;
    assert!(with_many < 200 && with_pages < 100, "{with_many} transactions for 20 who look, {with_pages} for 20 pages");
    console.daemon.stop().await?;
    Ok(())
}

/// Webhooks, and deliveries of each; `LSHOOKD_TEST_HISTORY=10000x500` makes as many as years bring.
fn extent() -> Result<(i64, i64)> {
    let given = std::env::var("LSHOOKD_TEST_HISTORY").unwrap_or_else(|_| "1000x100".to_owned());
    let (webhooks, each) = given.split_once('x').context("LSHOOKD_TEST_HISTORY: webhooks x deliveries of each")?;
    Ok((webhooks.parse()?, each.parse()?))
}

/// No page takes long, and no question of a page takes PostgreSQL more than 20 ms, by its own watch.
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_quick_however_long_the_history() -> Result<()> {
    let (webhooks, each) = extent()?;
    let env = TestEnv::new("years").await?;
    let rows = format!(
        r#"select fixture.rows('webhook', '{{"url": "{}", "organization_id": 1, "is_active": true, "send_payload": true,
            "send_for_all_actions": true, "headers": {{}}}}', {webhooks})"#,
        env.receiver.url("/each")
    );
    env.run(&rows).await?;
    env.run(&format!("set lshookd_test.events = {each}")).await?;
    env.run(include_str!("../sql/years.sql")).await?;
    // What takes long is told to the session that asked, and so is in the daemon's log; in this database alone, for other
    // tests have the same roles.
    let role = env.lshookd.daemon_role().context("a role of the daemon")?.to_owned();
    let of = format!("alter role {role} in database {}", env.database.name);
    let settings = format!("{of} set log_min_duration_statement = 20; {of} set client_min_messages = 'log';");
    env.database.psql(&settings).await?;
    // Only the console asks: nothing is planned and delivered meanwhile.
    env.lshookd.succeed(&["webhook", "pause", "--all"]).await?;
    let console = Console::of(env, &[("LSHOOKD_RETENTION", "2000d")]).await?;
    let env = &console.env;
    let one = env.number("select id from lshookd.delivery order by id limit 1 offset 4000").await?;
    let message = env.sql.query_one("select message_id::text from lshookd.delivery where id = $1", &[&one]).await?;
    let some = env.number("select min(id)::bigint + 7 from webhook").await?;
    let paths = [
        "/".to_owned(),
        "/?q=each&sort=pending&page=3".to_owned(),
        format!("/webhooks/{some}"),
        "/deliveries".to_owned(),
        format!("/deliveries?before={one}"),
        format!("/deliveries?after={one}"),
        format!("/deliveries?webhook={some}"),
        format!("/deliveries?webhook={some}&state=dead"),
        "/deliveries?state=dead".to_owned(),
        "/deliveries?state=pending".to_owned(),
        "/deliveries?action=TASKS_CREATED&project=77777".to_owned(),
        "/deliveries?text=%22id%22%3A%20424242".to_owned(),
        "/deliveries?since=2020-01-01T00:00&until=2020-01-02T00:00".to_owned(),
        format!("/deliveries/{one}"),
        format!("/deliveries/{}", message.get::<_, String>(0)),
        "/dead-letters".to_owned(),
        "/events".to_owned(),
        "/rules".to_owned(),
        "/audit".to_owned(),
    ];
    // By how each begins: the rest of the daemon asks, too.
    let mut asked = Vec::new();
    for folder in ["sql/ops", "sql/admin"] {
        for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))? {
            asked.extend(std::fs::read_to_string(file?.path())?.lines().next().map(str::to_owned));
        }
    }
    // What is asked for the first time is not in memory yet; and this machine does other things.
    let mut worst = String::new();
    for _ in 0..5 {
        let before = console.daemon.log().len();
        let mut slow = Vec::new();
        for path in &paths {
            let began = Instant::now();
            console.get(path).await?;
            let took = began.elapsed();
            println!("{path}: {} ms", took.as_millis());
            // The binary under test is built for debugging.
            if took > Duration::from_millis(300) {
                slow.push(format!("{path} took {took:?}"));
            }
        }
        let log = console.daemon.log();
        let is_ours = |line: &&str| asked.iter().any(|first| line.contains(first.as_str()));
        let told = log[before..].lines().filter(|line| line.contains("duration: "));
        slow.extend(told.filter(is_ours).map(str::to_owned));
        worst = slow.join("\n");
        if slow.is_empty() {
            break;
        }
    }
    assert!(worst.is_empty(), "{worst}");
    // So are the commands and the metrics, which count to the end: a second at most, by a binary for debugging.
    for command in [&["status"][..], &["check"], &["delivery", "list"], &["event", "list"], &["webhook", "list"]] {
        let began = Instant::now();
        env.lshookd.command(&[command, &["--json"]].concat()).await?;
        println!("{command:?}: {} ms", began.elapsed().as_millis());
        let most = if command == ["webhook", "list"] { 5000 } else { 700 };
        assert!(began.elapsed() < Duration::from_millis(most), "{command:?} took {:?}", began.elapsed());
    }
    let began = Instant::now();
    console.get("/metrics").await?;
    println!("/metrics: {} ms", began.elapsed().as_millis());
    assert!(began.elapsed() < Duration::from_secs(1), "/metrics took {:?}", began.elapsed());
    // The watch works: where everything is told, something is.
    env.database.psql(&format!("{of} set log_min_duration_statement = 0;")).await?;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
               where application_name = 'lshookd' and datname = current_database()";
    env.run(end).await?;
    let told = async || {
        let _ = console.get("/audit").await;
        Ok(console.daemon.log().contains("duration: ").then_some(()))
    };
    eventually("what a question took is told", Duration::from_secs(20), told).await?;
    console.daemon.stop().await?;
    Ok(())
}
