//! Consumers that pull: leases, acknowledgements, tokens, streams.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lshookd_testbed::daemon::Daemon;
use lshookd_testbed::{eventually, free_port};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::test_env::TestEnv;

/// A webhook that is pulled from, as its consumers know it.
#[derive(Clone)]
pub struct Pulled {
    /// `webhook.id`
    pub id: i64,
    /// Its URL, up to the last part of the path.
    pub url: String,
    /// Its token.
    pub token: String,
    client: Client,
}

impl Pulled {
    /// Creates one of project 1, unless `more` says otherwise.
    pub async fn create(env: &TestEnv, port: u16, more: &[&str]) -> Result<Pulled> {
        let said = env.lshookd.succeed(&[&["webhook", "create", "pull:", "--json"], more].concat()).await?;
        let said: Value = serde_json::from_str(&said)?;
        let id = said["id"].as_i64().context("no id")?;
        let token = said["token"].as_str().context("no token")?.to_owned();
        let url = format!("http://127.0.0.1:{port}/v1/webhooks/{id}");
        Ok(Pulled { id, url, token, client: Client::builder().no_proxy().build()? })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/{path}", self.url)).bearer_auth(&self.token)
    }

    /// The status and the JSON of an answer.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        let request = self.request(method, path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    /// What it is given now, or within `wait`.
    pub async fn events(&self, limit: usize, wait: &str) -> Result<Vec<Value>> {
        let (status, answer) = self.ask(Method::GET, &format!("events?limit={limit}&wait={wait}"), Value::Null).await?;
        ensure!(status == StatusCode::OK, "{status}: {answer}");
        Ok(answer["events"].as_array().context("no events")?.clone())
    }

    /// The same, as the annotations that it is told of.
    async fn annotations(&self, limit: usize, wait: &str) -> Result<Vec<i64>> {
        Ok(self.events(limit, wait).await?.iter().filter_map(annotation).collect())
    }

    /// Acknowledges; how many events that were.
    pub async fn acknowledge(&self, what: Value) -> Result<i64> {
        let (status, answer) = self.ask(Method::POST, "ack", what).await?;
        ensure!(status == StatusCode::OK, "{status}: {answer}");
        answer["acknowledged"].as_i64().context("no number")
    }
}

/// The id of the annotation that an event is about.
pub fn annotation(event: &Value) -> Option<i64> {
    serde_json::from_str::<Value>(event["body"].as_str()?).ok()?["annotation"]["id"].as_i64()
}

/// Several consumers of one webhook, and what they have handled between them.
pub struct Consumers {
    pulled: Pulled,
    handled: Arc<Mutex<Vec<i64>>>,
    tasks: Mutex<VecDeque<JoinHandle<()>>>,
}

impl Consumers {
    /// So many of them, which handle one event after the other and acknowledge what they were given together.
    pub fn start(pulled: Pulled, quantity: usize) -> Consumers {
        let consumers = Consumers { pulled, handled: Arc::default(), tasks: Mutex::default() };
        for _ in 0..quantity {
            consumers.add();
        }
        consumers
    }

    fn add(&self) {
        let (pulled, handled) = (self.pulled.clone(), Arc::clone(&self.handled));
        let consume = async move {
            loop {
                let Ok(events) = pulled.events(20, "1s").await else {
                    sleep(Duration::from_millis(50)).await;
                    continue;
                };
                for event in &events {
                    handled.lock().expect("nobody panics here").extend(annotation(event));
                    sleep(Duration::from_millis(2)).await;
                }
                if let Some(last) = events.last() {
                    let _ = pulled.acknowledge(json!({ "up_to": id(last) })).await;
                }
            }
        };
        self.tasks.lock().expect("nobody panics here").push_back(tokio::spawn(consume));
    }

    /// Ends the one that works for the longest, whatever it is doing, and begins another.
    pub fn kill_one(&self) {
        let killed = self.tasks.lock().expect("nobody panics here").pop_front();
        killed.inspect(|task| task.abort());
        self.add();
    }

    /// The annotations that were handled, in order.
    pub fn handled(&self) -> Vec<i64> {
        self.handled.lock().expect("nobody panics here").clone()
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.tasks.lock().expect("nobody panics here").iter().for_each(JoinHandle::abort);
    }
}

fn id(event: &Value) -> Value {
    event["id"].clone()
}

/// A daemon that serves consumers, and a webhook of project 1.
async fn running(label: &str, settings: &[(&str, &str)]) -> Result<(TestEnv, Daemon, Pulled)> {
    let (env, daemon, pulled) = started(label, settings).await?;
    // Nothing waits yet, so that this takes no lane.
    let served = async || Ok(pulled.events(1, "0").await.ok());
    eventually("consumers are served", Duration::from_secs(10), served).await?;
    Ok((env, daemon, pulled))
}

/// The same, before it serves them.
async fn started(label: &str, settings: &[(&str, &str)]) -> Result<(TestEnv, Daemon, Pulled)> {
    let port = free_port()?;
    let mut env = TestEnv::new(label).await?.with("LSHOOKD_PULL_LISTEN", &format!("127.0.0.1:{port}"));
    for (name, value) in settings {
        env = env.with(name, value);
    }
    env.run(r#"select fixture.rows('task', '{"project_id": 1}', 2)"#).await?;
    let pulled = Pulled::create(&env, port, &["--project", "1"]).await?;
    let daemon = env.lshookd.run().await?;
    Ok((env, daemon, pulled))
}

/// Annotates, a transaction each; the ids of the annotations, once they are planned.
async fn annotate(env: &TestEnv, quantity: usize) -> Result<Vec<i64>> {
    let before = env.number("select count(*) from lshookd.delivery").await?;
    let mut written = Vec::new();
    for _ in 0..quantity {
        written.push(
            env.number(r#"select (fixture.rows('task_completion', '{"project_id": 1, "task_id": 1}'))[1]"#).await?,
        );
    }
    let planned = async || {
        let now = env.number("select count(*) from lshookd.delivery").await?;
        Ok((now - before >= i64::try_from(quantity)?).then_some(()))
    };
    eventually("they are planned", Duration::from_secs(10), planned).await?;
    Ok(written)
}

async fn states(env: &TestEnv) -> Result<Vec<String>> {
    let rows = env.sql.query("select state from lshookd.delivery order by id", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_pulled_in_order_as_a_request_would_carry_them() -> Result<()> {
    let (env, _daemon, pulled) = running("pull", &[]).await?;
    // The tasks came before either webhook; when they are planned is nobody's promise.
    let beside = env.webhook("/project", r#"{"send_for_all_actions": false}"#).await?;
    env.run(&format!("insert into webhook_action (webhook_id, action) values ({beside}, 'ANNOTATION_CREATED')"))
        .await?;
    let written = annotate(&env, 3).await?;
    let posted = env.receiver.expect(3).await?;
    let first = pulled.events(2, "10s").await?;
    assert_eq!(first.iter().filter_map(annotation).collect::<Vec<_>>(), written[..2]);
    let secrets: Value =
        serde_json::from_str(&env.lshookd.succeed(&["webhook", "secret", &pulled.id.to_string(), "--json"]).await?)?;
    let signer = Webhook::new(secrets[0]["secret"].as_str().context("no secret")?)?;
    for (event, request) in first.iter().zip(&posted) {
        let body = event["body"].as_str().context("no body")?;
        assert_eq!(serde_json::from_str::<Value>(body)?, request.body);
        assert_eq!(body.len().to_string(), request.header("content-length"));
        let mut headers = http::HeaderMap::new();
        for (name, value) in event["headers"].as_object().context("no headers")? {
            headers.insert(
                http::HeaderName::from_bytes(name.as_bytes())?,
                http::HeaderValue::from_str(value.as_str().unwrap_or_default())?,
            );
        }
        signer.verify(body.as_bytes(), &headers)?;
        assert_eq!(headers["webhook-id"], event["id"].as_str().unwrap_or_default());
        assert_eq!(
            (&event["attempt"], &event["action"], &event["project"]),
            (&json!(1), &json!("ANNOTATION_CREATED"), &json!(1))
        );
    }
    assert!(pulled.events(10, "0").await?.is_empty(), "the lane is leased, and what comes after waits for it");
    assert_eq!(pulled.acknowledge(json!({ "up_to": id(&first[1]) })).await?, 2);
    assert_eq!(pulled.acknowledge(json!({ "ids": [id(&first[0])] })).await?, 0, "they are delivered already");
    let rest = pulled.events(10, "0").await?;
    assert_eq!(rest.iter().filter_map(annotation).collect::<Vec<_>>(), written[2..]);
    assert_eq!(pulled.acknowledge(json!({ "ids": [id(&rest[0])] })).await?, 1);
    let of = format!(
        "select count(*) from lshookd.attempt join lshookd.delivery on delivery_id = delivery.id
                      where webhook_id = {} and error is null and protocol = 'pull' and host(address) = '127.0.0.1'
                        and state = 'delivered'",
        pulled.id
    );
    assert_eq!(env.number(&of).await?, 3);
    let shown = env.lshookd.succeed(&["delivery", "show", rest[0]["id"].as_str().unwrap_or_default()]).await?;
    assert!(shown.contains("delivered"), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_its_webhook_and_no_other() -> Result<()> {
    let (env, daemon, pulled) = running("token", &[]).await?;
    annotate(&env, 1).await?;
    let port = pulled.url.split(':').nth(2).and_then(|rest| rest.split('/').next()).context("no port")?.parse()?;
    let other = Pulled::create(&env, port, &["--project", "1"]).await?;
    let shut = async |pulled: &Pulled| -> Result<()> {
        for (method, path) in [
            (Method::GET, "events"),
            (Method::GET, "stream"),
            (Method::POST, "ack"),
            (Method::POST, "nack"),
            (Method::POST, "seek"),
        ] {
            let (status, answer) = pulled.ask(method, path, json!({})).await?;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}: {answer}");
        }
        Ok(())
    };
    for token in [&*other.token, "", "lshp_", "lshp_AAAA", "Ä"] {
        shut(&Pulled { token: token.to_owned(), ..pulled.clone() }).await?;
    }
    for id in ["999999", "-1", "0", "1%20or%201", "99999999999999999999"] {
        shut(&Pulled {
            url: pulled.url.replace(&format!("webhooks/{}", pulled.id), &format!("webhooks/{id}")),
            ..pulled.clone()
        })
        .await?;
    }
    let number = pulled.id.to_string();
    let said = env.lshookd.succeed(&["webhook", "token", &number, "--rotate", "--json"]).await?;
    shut(&pulled).await?;
    let token = serde_json::from_str::<Value>(&said)?["token"].as_str().context("no token")?.to_owned();
    let rotated = Pulled { token, ..pulled.clone() };
    assert_eq!(rotated.events(10, "0").await?.len(), 1);
    env.lshookd.succeed(&["webhook", "token", &number, "--revoke"]).await?;
    shut(&rotated).await?;
    // Neither what is kept nor what is said shows a token.
    let kept: String = env.sql.query_one("select string_agg(puller::text, ' ') from lshookd.puller", &[]).await?.get(0);
    for text in [kept, daemon.log(), env.lshookd.succeed(&["webhook", "list"]).await?] {
        assert!(!text.contains(&pulled.token) && !text.contains(&rotated.token), "{text}");
    }
    let posted = env.webhook("/project", "{}").await?.to_string();
    let refused = env.lshookd.command(&["webhook", "token", &posted, "--rotate"]).await?;
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("requests are made to webhook")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_acknowledged_is_given_again_and_dead_at_last() -> Result<()> {
    let (env, _daemon, pulled) =
        running("overdue", &[("LSHOOKD_PULL_LEASE", "300ms"), ("LSHOOKD_PULL_ATTEMPTS", "3")]).await?;
    let written = annotate(&env, 3).await?;
    assert_eq!(pulled.annotations(2, "0").await?, written[..2]);
    // From now on one by one, for one of them may be what no consumer survives.
    for attempt in [2, 3] {
        let again = pulled.events(2, "5s").await?;
        assert_eq!(again.iter().filter_map(annotation).collect::<Vec<_>>(), written[..1]);
        assert_eq!(again[0]["attempt"], json!(attempt));
    }
    let next = pulled.events(2, "5s").await?;
    assert_eq!(next.iter().filter_map(annotation).collect::<Vec<_>>(), written[1..2], "the lane goes on without it");
    assert_eq!(next[0]["attempt"], json!(1), "it did not fail itself");
    assert_eq!(pulled.acknowledge(json!({ "ids": [id(&next[0])] })).await?, 1);
    assert_eq!(pulled.annotations(2, "0").await?, written[2..]);
    assert_eq!(states(&env).await?, ["dead", "delivered", "pending"]);
    // It can be replayed as every dead delivery, and comes before what is pending.
    sleep(Duration::from_millis(400)).await;
    env.lshookd.succeed(&["delivery", "replay", "--webhook", &pulled.id.to_string(), "--state", "dead"]).await?;
    assert_eq!(pulled.annotations(1, "5s").await?, written[..1]);
    Ok(())
}

/// As many as a consumer may be given at once, of which statistics know nothing: neither to acknowledge nor to refuse
/// compares each with each.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_are_acknowledged_and_refused_at_once() -> Result<()> {
    let (env, _daemon, pulled) = running("pulled-at-once", &[("LSHOOKD_PULL_LEASE", "5m")]).await?;
    env.store_deliveries(pulled.id, 20_000, 1).await?;
    env.forget_statistics().await?;
    let given = pulled.events(10_000, "10s").await?;
    assert_eq!(given.len(), 10_000);
    let ids: Vec<Value> = given.iter().map(id).collect();
    let began = Instant::now();
    assert_eq!(pulled.acknowledge(json!({ "ids": ids })).await?, 10_000);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "to acknowledge them took {took:?}");

    let ids: Vec<Value> = pulled.events(10_000, "10s").await?.iter().map(id).collect();
    let began = Instant::now();
    let (status, answer) = pulled.ask(Method::POST, "nack", json!({ "ids": ids, "delay": "0" })).await?;
    let took = began.elapsed();
    assert_eq!((status, &answer["refused"]), (StatusCode::OK, &json!(10_000)), "{answer}");
    assert!(took < Duration::from_secs(4), "to refuse them took {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_acknowledgement_counts() -> Result<()> {
    let (env, _daemon, pulled) = running("late", &[("LSHOOKD_PULL_LEASE", "200ms")]).await?;
    annotate(&env, 2).await?;
    let given = pulled.events(2, "0").await?;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(pulled.acknowledge(json!({ "up_to": id(&given[1]) })).await?, 2);
    assert!(pulled.events(2, "0").await?.is_empty());
    assert_eq!(states(&env).await?, ["delivered", "delivered"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_event_is_given_again_after_its_delay() -> Result<()> {
    let (env, _daemon, pulled) = running("refused", &[("LSHOOKD_PULL_ATTEMPTS", "2")]).await?;
    let written = annotate(&env, 2).await?;
    let given = pulled.events(2, "0").await?;
    let refusal = json!({ "ids": [id(&given[0])], "delay": "500ms", "reason": "no disk\u{0} left" });
    let began = Instant::now();
    let (_, answer) = pulled.ask(Method::POST, "nack", refusal).await?;
    assert_eq!(answer, json!({ "refused": 1, "dead": 0 }));
    assert!(pulled.events(2, "0").await?.is_empty());
    let failing = env.lshookd.succeed(&["webhook", "list", "--json"]).await?;
    assert!(failing.contains("the consumer refused it: no disk left"), "{failing}");
    let again = pulled.events(2, "5s").await?;
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert_eq!(again.iter().filter_map(annotation).collect::<Vec<_>>(), written);
    assert_eq!((&again[0]["attempt"], &again[1]["attempt"]), (&json!(2), &json!(1)));
    let (_, answer) = pulled.ask(Method::POST, "nack", json!({ "ids": [id(&again[0])], "delay": 0 })).await?;
    assert_eq!(answer, json!({ "refused": 1, "dead": 1 }));
    assert_eq!(pulled.annotations(2, "0").await?, written[1..]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_has_an_event_as_soon_as_it_is_planned() -> Result<()> {
    let (env, _daemon, pulled) = running("waiting", &[("LSHOOKD_SETTLE", "0"), ("LSHOOKD_POLL", "60s")]).await?;
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let waiting = tokio::spawn({
            let pulled = pulled.clone();
            async move { Ok::<_, anyhow::Error>((pulled.events(1, "30s").await?, Instant::now())) }
        });
        sleep(Duration::from_millis(300)).await;
        let committed = Instant::now();
        annotate(&env, 1).await?;
        let (given, at) = waiting.await??;
        longest = longest.max(at.saturating_duration_since(committed));
        assert_eq!(given.len(), 1);
        pulled.acknowledge(json!({ "ids": [id(&given[0])] })).await?;
    }
    assert!(longest < Duration::from_millis(700), "{longest:?}, which is no announcement but the look of each second");
    let began = Instant::now();
    assert!(pulled.events(1, "1s").await?.is_empty());
    assert!((1.0..2.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_share_lanes_and_each_lane_is_with_one_of_them() -> Result<()> {
    let port = free_port()?;
    let env = TestEnv::new("shared").await?.with("LSHOOKD_PULL_LISTEN", &format!("127.0.0.1:{port}"));
    let pulled = Pulled::create(&env, port, &[]).await?;
    let _daemon = env.lshookd.run().await?;
    env.run(r#"select fixture.rows('project', '{"organization_id": 1}', 3)"#).await?;
    env.run(
        r#"select fixture.rows('task', format('{"project_id": %s}', id)::jsonb) from project, generate_series(1, 4) order by 1"#,
    )
    .await?;
    let planned =
        async || Ok((env.number("select count(distinct project_id) from lshookd.delivery").await? == 4).then_some(()));
    eventually("each project has a lane", Duration::from_secs(10), planned).await?;
    let projects =
        |events: &[Value]| events.iter().filter_map(|event| event["project"].as_i64()).collect::<HashSet<_>>();
    let one = pulled.events(2, "5s").await?;
    let other = pulled.events(1000, "5s").await?;
    assert!(!one.is_empty() && !other.is_empty());
    assert!(projects(&one).is_disjoint(&projects(&other)), "{one:?} and {other:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_reads_on_where_it_wants() -> Result<()> {
    let (env, _daemon, pulled) = running("seek", &[]).await?;
    let written = annotate(&env, 4).await?;
    let all = pulled.events(10, "0").await?;
    pulled.acknowledge(json!({ "up_to": id(&all[3]) })).await?;
    let seek = async |to: Value| -> Result<(StatusCode, Value)> {
        pulled.ask(Method::POST, "seek", json!({ "to": to })).await
    };
    assert_eq!(seek(json!("beginning")).await?, (StatusCode::OK, json!({ "again": 4, "passed": 0 })));
    assert_eq!(pulled.annotations(10, "0").await?, written, "also of what is leased by then");
    assert_eq!(seek(id(&all[2])).await?.1, json!({ "again": 0, "passed": 2 }));
    assert_eq!(pulled.annotations(10, "0").await?, written[2..]);
    assert_eq!(seek(all[1]["occurred_at"].clone()).await?.1, json!({ "again": 1, "passed": 0 }));
    assert_eq!(pulled.annotations(10, "0").await?, written[1..]);
    assert_eq!(seek(json!("end")).await?.1, json!({ "again": 0, "passed": 3 }));
    assert!(pulled.annotations(10, "0").await?.is_empty());
    let none = "00000000-0000-4000-8000-000000000000";
    assert_eq!(seek(json!(none)).await?.0, StatusCode::NOT_FOUND);
    assert_eq!(seek(json!("tomorrow")).await?.0, StatusCode::BAD_REQUEST);
    Ok(())
}

/// What a stream has sent by then, as pairs of field and value.
async fn read(answer: &mut reqwest::Response, until: usize) -> Result<Vec<(String, Value)>> {
    let mut text = String::new();
    loop {
        let events: Vec<(String, Value)> = text
            .split("\n\n")
            .filter_map(|block| {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
                Some((field("id")?.to_owned(), serde_json::from_str(field("data")?).ok()?))
            })
            .collect();
        if events.len() >= until {
            return Ok(events);
        }
        let chunk =
            tokio::time::timeout(Duration::from_secs(10), answer.chunk()).await.context("nothing more comes")??;
        text.push_str(&String::from_utf8_lossy(&chunk.context("the stream ended")?));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_keeps_its_lease_and_is_resumed_where_it_ended() -> Result<()> {
    let (env, _daemon, pulled) = running("stream", &[("LSHOOKD_PULL_LEASE", "600ms")]).await?;
    let mut written = annotate(&env, 2).await?;
    let mut stream = pulled.request(Method::GET, "stream").send().await?;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let given = read(&mut stream, 2).await?;
    assert_eq!(given.iter().filter_map(|(_, event)| annotation(event)).collect::<Vec<_>>(), written);
    sleep(Duration::from_secs(2)).await;
    assert!(pulled.events(10, "0").await?.is_empty(), "they are the stream's as long as it lasts");
    drop(stream);
    let mut stream = pulled.request(Method::GET, "stream").header("Last-Event-ID", &given[0].0).send().await?;
    written.extend(annotate(&env, 1).await?);
    let more = read(&mut stream, 1).await?;
    assert_eq!(annotation(&more[0].1), Some(written[1]));
    assert_eq!(pulled.acknowledge(json!({ "ids": [more[0].0] })).await?, 1);
    let more = read(&mut stream, 1).await?;
    assert_eq!(annotation(&more[0].1), Some(written[2]), "it goes on where it is acknowledged");
    drop(stream);
    // What it had not acknowledged is given at once.
    assert_eq!(pulled.annotations(10, "500ms").await?, written[2..]);
    let wrong = pulled.request(Method::GET, "stream").header("Last-Event-ID", "what").send().await?;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_answered_says_why_and_loses_nothing() -> Result<()> {
    let (env, _daemon, pulled) = running("wrong", &[]).await?;
    let written = annotate(&env, 1).await?;
    for path in [
        "events?limit=0",
        "events?limit=-1",
        "events?limit=many",
        "events?limit=99999999999999999999",
        "events?wait=soon",
        "events?what=1",
        "stream?limit=0",
    ] {
        let (status, answer) = pulled.ask(Method::GET, path, Value::Null).await?;
        assert!(status == StatusCode::BAD_REQUEST && answer["error"].is_string(), "{path}: {status} {answer}");
    }
    let ids = vec![json!("00000000-0000-4000-8000-000000000000"); 10_001];
    for (path, body) in [
        ("ack", json!({})),
        ("ack", json!([])),
        ("ack", json!({ "ids": ["x"] })),
        ("ack", json!({ "up_to": 7 })),
        ("ack", json!({ "ids": ids })),
        ("nack", json!({})),
        ("nack", json!({ "ids": [] })),
        ("nack", json!({ "ids": ids[..1], "delay": -1 })),
        ("nack", json!({ "ids": ids[..1], "delay": "soon" })),
        ("seek", json!({})),
    ] {
        let (status, answer) = pulled.ask(Method::POST, path, body.clone()).await?;
        assert!(status == StatusCode::BAD_REQUEST && answer["error"].is_string(), "{path}: {status} {answer}");
    }
    let unknown = pulled.ask(Method::GET, "nothing", Value::Null).await?;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
    let other = pulled.request(Method::DELETE, "events").send().await?;
    assert_eq!(other.status(), StatusCode::METHOD_NOT_ALLOWED);
    let large = pulled.request(Method::POST, "ack").body(vec![b' '; 3_000_000]).send().await?;
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(large.headers()["connection"], "close", "what is left of the body is not read");
    assert_eq!(pulled.annotations(10, "0").await?, written);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_is_given_to_nobody_and_what_is_deleted_is_cancelled() -> Result<()> {
    let (env, _daemon, pulled) = running("held", &[]).await?;
    let written = annotate(&env, 1).await?;
    let number = pulled.id.to_string();
    env.lshookd.succeed(&["webhook", "pause", &number]).await?;
    assert!(pulled.events(10, "0").await?.is_empty());
    env.lshookd.succeed(&["webhook", "resume", &number]).await?;
    assert_eq!(pulled.annotations(10, "5s").await?, written);
    for refused in [
        &["webhook", "test", &number][..],
        &["webhook", "update", &number, "--url", "http://127.0.0.1/"],
        &["webhook", "update", &number, "--answer-within", "5s"],
        &["webhook", "release", &number],
        &["webhook", "create", "pull:somewhere"],
        &["webhook", "create", "pull:", "--beside-label-studio"],
    ] {
        let output = env.lshookd.command(refused).await?;
        assert!(!output.status.success(), "{refused:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(env.lshookd.command(&["check"]).await?.status.code(), Some(0));
    env.run(&format!("delete from webhook where id = {number}")).await?;
    let cancelled = async || Ok((states(&env).await? == ["cancelled"]).then_some(()));
    eventually("it is cancelled", Duration::from_secs(90), cancelled).await?;
    assert_eq!(pulled.ask(Method::GET, "events", Value::Null).await?.0, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_cannot_listen_says_so_and_tries_again() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let env = TestEnv::new("pull_taken").await?.with("LSHOOKD_PULL_LISTEN", &format!("127.0.0.1:{port}"));
    let pulled = Pulled::create(&env, port, &["--project", "1"]).await?;
    let _daemon = env.lshookd.run().await?;
    let says = async |says: bool| {
        let said = env.lshookd.command(&["check"]).await?.stdout;
        Ok((String::from_utf8_lossy(&said).contains("pull-listener") == says).then_some(()))
    };
    eventually("check says so", Duration::from_secs(20), async || says(true).await).await?;
    drop(taken);
    let served = async || Ok(pulled.events(1, "0").await.ok());
    eventually("consumers are served", Duration::from_secs(10), served).await?;
    eventually("check says so no longer", Duration::from_secs(20), async || says(false).await).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_speaks_tls_where_it_has_a_certificate() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let file = |name: &str, text: String| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let (certificate, key) =
        (file("certificate.pem", made.cert.pem())?, file("key.pem", made.signing_key.serialize_pem())?);
    let settings = [("LSHOOKD_PULL_CERTIFICATE", &*certificate), ("LSHOOKD_PULL_KEY", &*key)];
    let (env, _daemon, pulled) = started("pull_tls", &settings).await?;
    let written = annotate(&env, 1).await?;
    let url = pulled.url.replace("http://127.0.0.1", "https://localhost");
    let fetched = tokio::process::Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--cacert", &certificate, "--max-time", "10", "--header"])
        .args([format!("Authorization: Bearer {}", pulled.token), format!("{url}/events")])
        .output()
        .await?;
    let answer: Value = serde_json::from_slice(&fetched.stdout)
        .with_context(|| String::from_utf8_lossy(&fetched.stderr).into_owned())?;
    assert_eq!(annotation(&answer["events"][0]), Some(written[0]));
    assert!(pulled.events(1, "0").await.is_err(), "and nothing else");
    Ok(())
}
