//! Servers of every manner, and what comes of a webhook's request there: by python-requests, as Label Studio makes it,
//! and by lshookd. What requests delivers is delivered, but for what security refuses; the table is in
//! docs/compatibility.md.

mod http2;
mod servers;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lshookd_scenarios::compatibility::ENDPOINTS;
use lshookd_testbed::label_studio::Installation;
use lshookd_testbed::scripted::{Scripted, Step};
use lshookd_testbed::{eventually, free_port};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::test_env::{TestEnv, version};
use http2::{Http2, Http2Endpoint};

/// One manner of a server.
struct Manner {
    name: &'static str,
    /// What it does, where it speaks plain HTTP.
    script: Vec<Step>,
    /// Where it speaks TLS: how tests/real/endpoints/tls.py is to serve it.
    tls: Option<Value>,
    /// What it does, where it speaks HTTP/2.
    http2: Option<Http2>,
    /// The webhook's headers.
    headers: Value,
    /// Of the URL, where it is not 127.0.0.1.
    host: &'static str,
    /// Whether the event has megabytes.
    large: bool,
    /// Why lshookd does not deliver what requests does.
    why: &'static str,
}

impl Manner {
    fn plain(name: &'static str, script: Vec<Step>) -> Manner {
        Manner { name, script, tls: None, http2: None, headers: json!({}), host: "127.0.0.1", large: false, why: "" }
    }

    /// Answers a request that was read with these bytes, and reads the next.
    fn says(name: &'static str, answer: &str) -> Manner {
        Manner::plain(name, vec![Step::Read, say(answer)])
    }

    /// The same, and closes.
    fn says_last(name: &'static str, answer: &str) -> Manner {
        Manner::plain(name, vec![Step::Read, say(answer), Step::Close])
    }

    /// Answers with this head, whose body is two bytes.
    fn says_with(name: &'static str, header: &str) -> Manner {
        Manner::says(name, &format!("HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: 2\r\n\r\nok"))
    }

    /// Answers before it has read a large body.
    fn says_early(name: &'static str, answer: &str, end: Step) -> Manner {
        let script = vec![Step::ReadHead, say(answer), Step::Wait(Duration::from_millis(300)), end];
        Manner { large: true, ..Manner::plain(name, script) }
    }

    fn tls(name: &'static str, certificate: &str, manner: Value) -> Manner {
        let mut manner = manner;
        manner["certificate"] = certificate.into();
        Manner { tls: Some(manner), host: "localhost", ..Manner::plain(name, Vec::new()) }
    }

    fn http2(name: &'static str, how: Http2) -> Manner {
        Manner { http2: Some(how), host: "localhost", ..Manner::plain(name, Vec::new()) }
    }

    fn because(self, why: &'static str) -> Manner {
        Manner { why, ..self }
    }
}

fn say(answer: &str) -> Step {
    Step::Say(answer.as_bytes().to_vec())
}

fn repeat(bytes: &str, times: usize, milliseconds: u64) -> Step {
    Step::Repeat(bytes.as_bytes().to_vec(), times, Duration::from_millis(milliseconds))
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const REPEATED: &str = "only a status 2xx is a delivery; it is repeated by the retry schedule";
const REDIRECTED: &str = "the redirect turns the POST into a GET, and the event would be lost";

fn status(name: &'static str, line: &str) -> Manner {
    Manner::says(name, &format!("HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\nno"))
}

/// Redirects the first request to a path of its own, and answers what comes there.
fn redirects(name: &'static str, line: &str, location: &str) -> Manner {
    let redirect = format!("HTTP/1.1 {line}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    Manner::plain(name, vec![Step::Read, say(&redirect), Step::Read, say(OK)])
}

fn manners() -> Vec<Manner> {
    let hold = Step::Wait(Duration::from_secs(5));
    let head = "HTTP/1.1 200 OK\r\n";
    vec![
        // Plain answers.
        Manner::says("200 with a body", OK),
        Manner::says("201 with a body", "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"),
        Manner::says("204", "HTTP/1.1 204 No Content\r\n\r\n"),
        Manner::says_last("200 that ends with the connection", "HTTP/1.1 200 OK\r\n\r\nok"),
        Manner::says_last("200 with `Connection: close`", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"),
        Manner::says("200 in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        Manner::says(
            "chunks with extensions and a trailer",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n",
        ),
        Manner::says_last("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok"),
        Manner::says(
            "HTTP/1.0 that keeps the connection",
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        ),
        Manner::says_with("a body that is said to be gzip and is not", "Content-Encoding: gzip")
            .because("requests has sent the event and fails to read the answer"),
        Manner::says("lines that end with LF alone", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        Manner::says("a status line without a reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"),
        Manner::says("a reason in UTF-8", "HTTP/1.1 200 Ordnungsgemäß\r\nContent-Length: 2\r\n\r\nok"),
        Manner::says_with("a header in Latin-1 and UTF-8", "X-Name: \u{e4}ß"),
        Manner::says_with("many cookies", "Set-Cookie: a=b; Path=/; HttpOnly\r\n".repeat(60).trim_end()),
        // Interim answers.
        Manner::says("100 Continue first", &format!("HTTP/1.1 100 Continue\r\n\r\n{OK}")),
        Manner::says("103 Early Hints first", &format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{OK}")),
        Manner::says(
            "two hundred interim answers first",
            &format!("{}{OK}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(200)),
        ),
        // Answers that do not end, or end badly.
        Manner::plain(
            "a body shorter than its length, and then silence",
            vec![Step::Read, say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"), hold.clone(), Step::Close],
        ),
        Manner::says_last(
            "a body shorter than its length, and then the end",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
        ),
        Manner::plain(
            "a body shorter than its length, and then a reset",
            vec![
                Step::Read,
                say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"),
                Step::Wait(Duration::from_millis(100)),
                Step::Reset,
            ],
        ),
        Manner::plain(
            "chunks that do not end",
            vec![
                Step::Read,
                say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
                hold.clone(),
                Step::Close,
            ],
        ),
        Manner::says_last(
            "chunks of a wrong size",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n",
        ),
        Manner::plain(
            "a stream of server-sent events",
            vec![
                Step::Read,
                say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"),
                repeat("data: x\n\n", 20, 100),
                Step::Close,
            ],
        ),
        Manner::plain(
            "a hundred megabytes",
            vec![
                Step::Read,
                say("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n"),
                repeat(&"x".repeat(1 << 20), 100, 0),
                Step::Close,
            ],
        ),
        Manner::plain(
            "an answer of one byte in fifty milliseconds",
            vec![Step::Read]
                .into_iter()
                .chain(OK.bytes().map(|byte| Step::Repeat(vec![byte], 1, Duration::from_millis(50))))
                .collect(),
        ),
        Manner::plain("an answer after 1.5 s", vec![Step::Read, Step::Wait(Duration::from_millis(1500)), say(OK)]),
        // Heads that are no HTTP.
        Manner::says_with("a space before the colon", "X-Name : a"),
        Manner::says_with("a folded header", "X-Name: a\r\n b"),
        Manner::says_with("a header whose name is not valid", "X(Name): a"),
        Manner::says_with("a header without a name", ": a"),
        Manner::says_with("a line without a colon", "what is this"),
        Manner::says_with("control bytes in a value", "X-Name: a\u{1}\u{7f}b"),
        Manner::says_with("NUL in a value", "X-Name: a\0b"),
        Manner::says_with("a lone CR in a value", "X-Name: a\rb"),
        Manner::says_with("a name in UTF-8", "X-Größe: a"),
        Manner::says_last("a length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nok"),
        Manner::says_last("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok"),
        Manner::says_last(
            "two lengths that differ",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        ),
        Manner::says("one length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        Manner::says(
            "a length and chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        Manner::says_with(
            "a hundred and fifty headers",
            (0..150).map(|number| format!("X-{number}: a")).collect::<Vec<_>>().join("\r\n").as_str(),
        ),
        Manner::says_with("a header of 60 kB", &format!("X-Name: {}", "a".repeat(60_000))),
        Manner::says_with("a header of 500 kB", &format!("X-Name: {}", "a".repeat(500_000))),
        Manner::says("an empty line before the answer", &format!("\r\n{OK}")),
        Manner::says_last("HTTP/0.9", "ok"),
        Manner::says_last("no HTTP", "\u{0}\u{1}what is this?\r\n\r\n"),
        Manner::says_last("another version of HTTP", "HTTP/3 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        // Answers that come before a large body is read.
        Manner { large: true, ..Manner::says("200 to a large body", OK) },
        Manner::says_early("200 before a large body is read, and a reset", OK, Step::Reset),
        Manner::says_early(
            "200 before a large body is read, and the end",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
            Step::Close,
        ),
        Manner::says_early(
            "413 before a large body is read, and a reset",
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno",
            Step::Reset,
        )
        .because(REPEATED),
        Manner::says_early(
            "410 before a large body is read, and a reset",
            "HTTP/1.1 410 Gone\r\nContent-Length: 2\r\n\r\nno",
            Step::Reset,
        )
        .because("410 ends the delivery at once"),
        Manner::says_early(
            "429 before a large body is read, and a reset",
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 2\r\n\r\nno",
            Step::Reset,
        )
        .because(REPEATED),
        Manner {
            large: true,
            ..Manner::plain(
                "a large body that is read slowly",
                vec![
                    Step::ReadHead,
                    Step::Wait(Duration::from_millis(700)),
                    Step::Wait(Duration::from_millis(1)),
                    say(OK),
                    Step::Wait(Duration::from_millis(300)),
                    Step::Close,
                ],
            )
        },
        // Other statuses.
        status("400", "400 Bad Request").because(REPEATED),
        status("401 that asks for credentials", "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"")
            .because(REPEATED),
        status("404", "404 Not Found").because(REPEATED),
        status("410", "410 Gone").because("410 ends the delivery at once"),
        status("429 with `Retry-After`", "429 Too Many Requests\r\nRetry-After: 60").because(REPEATED),
        status("500", "500 Internal Server Error").because(REPEATED),
        status("503", "503 Service Unavailable").because(REPEATED),
        status("a status that is not assigned", "799 Odd").because(REPEATED),
        Manner::says_last(
            "101 Switching Protocols",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        )
        .because(REPEATED),
        // Redirects.
        redirects("307 to a path", "307 Temporary Redirect", "/elsewhere"),
        redirects("308 to a path", "308 Permanent Redirect", "elsewhere"),
        redirects("307 to a path in UTF-8", "307 Temporary Redirect", "/größe"),
        redirects("301", "301 Moved Permanently", "/elsewhere").because(REDIRECTED),
        redirects("302", "302 Found", "/elsewhere").because(REDIRECTED),
        redirects("303", "303 See Other", "/elsewhere").because(REDIRECTED),
        status("302 to nowhere", "302 Found").because(REPEATED),
        Manner::says("307 to itself", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
        Manner::says(
            "307 to ftp",
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        ),
        // Connections.
        Manner { host: "localhost", ..Manner::says("a name whose first address refuses", OK) },
        Manner::plain("the end before an answer", vec![Step::Read, Step::Close]),
        Manner::plain("a reset before an answer", vec![Step::Read, Step::Reset]),
        Manner::plain(
            "the end in the middle of a head",
            vec![Step::Read, say(&format!("{head}Content-Len")), Step::Close],
        ),
        Manner::plain("the end in the middle of the status line", vec![Step::Read, say("HTTP/1.1 2"), Step::Close]),
        Manner::plain("silence", vec![Step::Read, Step::Wait(Duration::from_secs(60))]),
        Manner { host: "refused", ..Manner::plain("a port at which nobody listens", Vec::new()) },
        // Virtual hosts.
        Manner { headers: json!({"Host": "virtual.example"}), ..Manner::says("a `Host` of the webhook's own", OK) },
        Manner {
            headers: json!({"Host": "virtual.example"}),
            ..Manner::http2("a `Host` of the webhook's own, HTTP/2", Http2::Named("virtual.example"))
        },
        // HTTP/2, which requests does not speak.
        Manner::http2("HTTP/2", Http2::Answers),
        Manner::http2("HTTP/2 that refuses the first stream", Http2::RefusesFirst),
        Manner::http2("HTTP/2 that goes away before it looks at the first stream", Http2::LeavesFirst),
        Manner { large: true, ..Manner::http2("HTTP/2, 200 before a large body is read", Http2::AnswersEarly) },
        Manner { large: true, ..Manner::http2("HTTP/2, 413 before a large body is read", Http2::RefusesEarly) }
            .because(REPEATED),
        Manner::http2("HTTP/2 that ends the stream with an error", Http2::Fails)
            .because("over HTTP/2 the server ended it; requests speaks HTTP/1.1"),
        // TLS.
        Manner::tls("TLS 1.3, a certificate of an authority that is named", "p256", json!({})),
        Manner::tls("TLS 1.3 alone", "p256", json!({"least": "TLSv1_3"})),
        Manner::tls("TLS 1.2 alone", "p256", json!({"most": "TLSv1_2"})),
        Manner::tls("an address in the certificate", "p256", json!({"host": "127.0.0.1"})),
        Manner::tls("RSA of 2,048 bits", "rsa2048", json!({})),
        Manner::tls("RSA of 4,096 bits, TLS 1.2", "rsa4096", json!({"most": "TLSv1_2"})),
        Manner::tls("P-384", "p384", json!({})),
        Manner::tls("P-521", "p521", json!({})),
        Manner::tls("P-521, TLS 1.2", "p521", json!({"most": "TLSv1_2"})),
        Manner::tls("Ed25519", "ed25519", json!({})),
        Manner::tls("a certificate that is named and signed by itself, CA:TRUE", "self_ca", json!({})),
        Manner::tls("a certificate that is named and signed by itself, CA:FALSE", "self_leaf", json!({})),
        Manner::tls("a certificate that is named, its authority is not", "named_leaf", json!({})),
        Manner::tls(
            "ECDHE with AES-GCM alone",
            "rsa2048",
            json!({"most": "TLSv1_2", "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}),
        ),
        Manner::tls(
            "ECDHE with ChaCha20-Poly1305 alone",
            "p256",
            json!({"most": "TLSv1_2", "ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305"}),
        ),
        Manner::tls(
            "ECDHE with AES-CBC alone",
            "rsa2048",
            json!({"most": "TLSv1_2", "ciphers": "ECDHE-RSA-AES128-SHA256"}),
        )
        .because("CBC in TLS 1.2 is refused: it has been broken again and again (Lucky Thirteen)"),
        Manner::tls("DHE alone", "rsa2048", json!({"most": "TLSv1_2", "ciphers": "DHE-RSA-AES256-GCM-SHA384"}))
            .because("DHE is refused: its groups are the server's choice and not checked (Logjam, Raccoon)"),
        Manner::tls("RSA key exchange alone", "rsa2048", json!({"most": "TLSv1_2", "ciphers": "AES256-GCM-SHA384"})),
        Manner::tls("TLS 1.1 alone", "rsa2048", json!({"most": "TLSv1_1"})),
        Manner::tls("a handshake after 350 ms", "p256", json!({"pause": 0.35})),
        Manner::tls("a handshake after 1.5 s", "p256", json!({"pause": 1.5})),
        Manner::tls("HTTP/1.1 by ALPN", "p256", json!({"alpn": "http/1.1"})),
        Manner::tls("a certificate is asked for and not needed", "p256", json!({"asks": "CERT_OPTIONAL"})),
        Manner::tls(
            "a certificate is asked for and needed",
            "p256",
            json!({"asks": "CERT_REQUIRED", "most": "TLSv1_2"}),
        ),
        Manner::tls("RSA of 1,024 bits", "rsa1024", json!({})),
        Manner::tls("signed with SHA-1", "sha1", json!({})),
        Manner::tls("X.509 version 1", "version1", json!({})),
        Manner::tls("an expired certificate", "expired", json!({})),
        Manner::tls("a certificate of another name", "other_name", json!({})),
        Manner::tls("an authority that nobody names", "unknown", json!({})),
    ]
}

/// The servers of all manners, and the URL of each.
struct Servers {
    _scripted: Vec<Scripted>,
    _tls: Child,
    _http2: Vec<Http2Endpoint>,
    urls: Vec<String>,
}

impl Servers {
    async fn start(manners: &[Manner], python: &str, certificates: &str) -> Result<Servers> {
        let with_tls = manners.iter().filter_map(|manner| {
            let mut tls = manner.tls.clone()?;
            tls["certificate"] = format!("{certificates}/{}.pem", tls["certificate"].as_str()?).into();
            Some(tls)
        });
        let mut tls = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/endpoints/tls.py"))
            .arg(json!(with_tls.collect::<Vec<_>>()).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut ports = String::new();
        BufReader::new(tls.stdout.take().context("stdout")?).read_line(&mut ports).await?;
        let mut ports = serde_json::from_str::<Vec<u16>>(&ports).context("the ports of tls.py")?.into_iter();
        let (mut scripted, mut http2, mut urls) = (Vec::new(), Vec::new(), Vec::new());
        for manner in manners {
            let url = match (&manner.tls, manner.http2) {
                (_, Some(how)) => {
                    let server = Http2Endpoint::start(how, &format!("{certificates}/p256.pem")).await?;
                    let url = format!("https://{}:{}/", manner.host, server.port);
                    http2.push(server);
                    url
                }
                (Some(tls), None) => {
                    let host = tls["host"].as_str().unwrap_or(manner.host);
                    format!("https://{host}:{}/", ports.next().context("a port for each")?)
                }
                (None, None) if manner.host == "refused" => format!("http://127.0.0.1:{}/", free_port()?),
                (None, None) => {
                    let server = Scripted::start(manner.script.clone()).await?;
                    let url = format!("http://{}:{}/", manner.host, server.port);
                    scripted.push(server);
                    url
                }
            };
            urls.push(url);
        }
        Ok(Servers { _scripted: scripted, _tls: tls, _http2: http2, urls })
    }
}

#[derive(Deserialize)]
struct Posted {
    by: String,
    outcomes: Vec<String>,
}

/// Bytes of a body that no buffer between takes.
const LARGE: usize = 7_000_000;

async fn post(python: &str, authorities: &str, manners: &[Manner], urls: &[String]) -> Result<Posted> {
    let endpoints: Vec<Value> = manners
        .iter()
        .zip(urls)
        .map(|(manner, url)| json!({"url": url, "headers": manner.headers, "bytes": if manner.large { LARGE } else { 100 }}))
        .collect();
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/endpoints/post.py"))
        .env("REQUESTS_CA_BUNDLE", authorities)
        .env_remove("HTTP_PROXY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    child.stdin.take().context("stdin")?.write_all(json!(endpoints).to_string().as_bytes()).await?;
    let output = tokio::time::timeout(Duration::from_secs(120), child.wait_with_output()).await??;
    serde_json::from_slice(&output.stdout).context("what post.py says")
}

/// What came of the first attempt of a webhook: of the delivery, and what is recorded.
async fn delivered(env: &TestEnv, manners: &[Manner], webhooks: &[i64]) -> Result<Vec<String>> {
    let query = "select delivery.webhook_id::bigint, delivery.state, attempt.status, attempt.error
                 from lshookd.delivery join lshookd.attempt on attempt.delivery_id = delivery.id
                 where attempt.number = 1 and delivery.webhook_id = any ($1)";
    let all = async || {
        let rows = env.sql.query(query, &[&webhooks]).await?;
        Ok((rows.len() >= webhooks.len()).then_some(rows))
    };
    let rows = eventually("each has its attempt", Duration::from_secs(60), all).await?;
    let outcome = |webhook: &i64| {
        let row = rows.iter().find(|row| row.get::<_, i64>(0) == *webhook).context("an attempt")?;
        let (state, status): (&str, Option<i16>) = (row.get(1), row.get(2));
        let said =
            status.map(|status| status.to_string()).or_else(|| row.get::<_, Option<String>>(3)).unwrap_or_default();
        let state = if state == "pending" { "repeated" } else { state };
        anyhow::Ok(format!("{state}: {said}"))
    };
    ensure!(manners.len() == webhooks.len(), "a webhook each");
    webhooks.iter().map(outcome).collect()
}

/// The part of docs/compatibility.md.
fn document(by: &str, manners: &[Manner], posted: &[String], delivered: &[String]) -> String {
    let mut text = format!(
        "{ENDPOINTS}\nOne request to a server of each manner: by python-requests with a second of time, as Label Studio makes \
         it ({by}), and by lshookd with its default settings. \"delivered\" and \"dead\" end a delivery, \"repeated\" goes on by \
         the retry schedule. What requests delivers is delivered, but for the rows that say why not. Beside these, `make \
         test-servers` sends small and large events to nginx, Apache and Caddy (HTTP/2 over TLS), uvicorn, gunicorn, Flask's \
         own server, Node, Go's net/http and Java's HttpServer, each of which proves the bytes that it got.\n\n\
         | a server with | python-requests | lshookd | why |\n| --- | --- | --- | --- |\n"
    );
    for (manner, (posted, delivered)) in manners.iter().zip(posted.iter().zip(delivered)) {
        let delivered = delivered.replace('|', "\\|");
        text += &format!("| {} | {posted} | {delivered} | {} |\n", manner.name, manner.why);
    }
    text
}

/// The table without what requests made of each, which another version of Python may see otherwise, and in a race of a
/// reset with an answer so may the same.
fn by_lshookd(table: &str) -> Vec<String> {
    let rows = table.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| row.split(" | ").enumerate().filter(|(column, _)| *column != 1).map(|(_, cell)| cell).collect())
        .collect()
}

/// Whether an outcome of requests' is a delivery.
fn is_success(posted: &str) -> bool {
    posted.starts_with('2') && posted.len() == 3
}

#[tokio::test(flavor = "multi_thread")]
async fn what_requests_delivers_is_delivered() -> Result<()> {
    let files = tempfile::tempdir()?;
    let folder = files.path().to_str().context("a path")?;
    let made = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/endpoints/certificates.sh"));
    let made = { made }.arg(folder).status().await?;
    ensure!(made.success(), "certificates.sh failed");
    let python = Installation::find(&version())?.python();
    let authorities = format!("{folder}/trusted.pem");
    let manners = manners();
    let servers = Servers::start(&manners, &python, folder).await?;
    let posted = post(&python, &authorities, &manners, &servers.urls).await?;

    let env = TestEnv::new("endpoints").await?;
    env.run(r#"select fixture.rows('project', '{"title": "Whales", "organization_id": 1, "created_by_id": 1}')"#)
        .await?;
    let env = env.with("LSHOOKD_CA_FILE", &authorities).with("LSHOOKD_RETRY_SCHEDULE", "1h");
    let mut webhooks = Vec::new();
    for (manner, url) in manners.iter().zip(&servers.urls) {
        let given = json!({"url": url, "headers": manner.headers, "project_id": if manner.large { 2 } else { 1 }});
        webhooks.push(env.webhook("/", &given.to_string()).await?);
    }
    let _daemon = env.lshookd.run().await?;
    env.run("update project set title = 'a' where id = 1").await?;
    env.run(&format!(
        r#"select fixture.rows('task', jsonb_build_object('project_id', 2, 'data', jsonb_build_object(
               'text', (select string_agg(md5(number::text), '') from generate_series(1, {}) as number))))"#,
        LARGE / 32
    ))
    .await?;
    let delivered = delivered(&env, &manners, &webhooks).await?;
    let ports = |text: &String| {
        let mut text = text.clone();
        for url in &servers.urls {
            let port = url.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
            text = text.replace(&format!("127.0.0.1:{port}"), "its address");
        }
        text
    };
    let delivered: Vec<String> = delivered.iter().map(ports).collect();

    let expected = document(&posted.by, &manners, &posted.outcomes, &delivered);
    println!("{expected}");
    for (manner, (posted, delivered)) in manners.iter().zip(posted.outcomes.iter().zip(&delivered)) {
        let is_lost = is_success(posted) && !delivered.starts_with("delivered") && manner.why.is_empty();
        ensure!(!is_lost, "{}: requests says {posted}, lshookd {delivered}", manner.name);
    }
    ensure!(manners.len() >= 60, "so many manners there are at least");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
    let written = std::fs::read_to_string(path)?;
    let start = written.find(ENDPOINTS).unwrap_or(written.len());
    if std::env::var("LSHOOKD_TEST_UPDATE").is_ok() {
        std::fs::write(path, format!("{}{expected}", &written[..start]))?;
    } else {
        let ours = by_lshookd(&written[start..]);
        ensure!(
            ours == by_lshookd(&expected),
            "docs/compatibility.md is not what was found; LSHOOKD_TEST_UPDATE=1 writes it"
        );
    }
    Ok(())
}
