//! A tour through real servers: each must have got the bytes that were sent, which its answer proves.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lshookd_testbed::{cache, eventually, free_port, listens};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::test_env::TestEnv;

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/endpoints/servers");

/// A server with the port that it listens on.
struct Server {
    name: &'static str,
    url: String,
    _process: Child,
}

/// Starts a command that serves on a port.
async fn serve(name: &'static str, scheme: &str, port: u16, command: &[&str]) -> Result<Server> {
    let process = Command::new(command[0])
        .args(&command[1..])
        .current_dir(PROGRAMS)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{name}: run tests/servers.sh"))?;
    listens(name, port).await?;
    Ok(Server { name, url: format!("{scheme}://localhost:{port}/"), _process: process })
}

/// The configuration of a server that passes requests on, in the folder.
fn configured(folder: &Path, file: &str, port: u16, upstream: u16) -> Result<String> {
    let folder = folder.display().to_string();
    let text = std::fs::read_to_string(format!("{PROGRAMS}/{file}"))?
        .replace("FOLDER", &folder)
        .replace("PORT", &port.to_string())
        .replace("UPSTREAM", &upstream.to_string())
        .replace("MODULES", "/usr/lib/apache2/modules");
    let path = format!("{folder}/{file}");
    std::fs::write(&path, text)?;
    Ok(path)
}

async fn start(folder: &Path) -> Result<Vec<Server>> {
    let python = |program: &str| cache().join("servers/bin").join(program).display().to_string();
    let port = free_port()?;
    let upstream = port;
    let mut servers =
        vec![serve("uvicorn", "http", port, &[&python("uvicorn"), "--port", &port.to_string(), "app:asgi"]).await?];
    let port = free_port()?;
    let bind = format!("127.0.0.1:{port}");
    servers.push(serve("gunicorn", "http", port, &[&python("gunicorn"), "--bind", &bind, "app:wsgi"]).await?);
    let port = free_port()?;
    let (flask, text) = (python("flask"), port.to_string());
    servers.push(serve("Flask's own", "http", port, &[&flask, "--app", "flask_app", "run", "--port", &text]).await?);
    let port = free_port()?;
    servers.push(serve("Node", "http", port, &["node", "server.js", &port.to_string()]).await?);
    let port = free_port()?;
    let program = folder.join("server").display().to_string();
    let built = Command::new("go").args(["build", "-o", &program, "server.go"]).current_dir(PROGRAMS).status().await?;
    ensure!(built.success(), "server.go does not build");
    servers.push(serve("Go's net/http", "http", port, &[&program, &port.to_string()]).await?);
    let port = free_port()?;
    servers.push(serve("Java's HttpServer", "http", port, &["java", "Server.java", &port.to_string()]).await?);
    let port = free_port()?;
    let file = configured(folder, "nginx.conf", port, upstream)?;
    servers.push(serve("nginx", "https", port, &["/usr/sbin/nginx", "-c", &file]).await?);
    let port = free_port()?;
    let file = configured(folder, "apache.conf", port, upstream)?;
    servers.push(serve("Apache", "https", port, &["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", &file]).await?);
    let port = free_port()?;
    let file = configured(folder, "Caddyfile", port, upstream)?;
    servers.push(serve("Caddy", "https", port, &["caddy", "run", "--adapter", "caddyfile", "--config", &file]).await?);
    Ok(servers)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/servers.sh installs the servers and runs it"]
async fn real_servers_get_what_was_sent() -> Result<()> {
    let files = tempfile::tempdir()?;
    let shared = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(files.path(), shared)?;
    let made = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/endpoints/certificates.sh"));
    ensure!({ made }.arg(files.path()).status().await?.success(), "certificates.sh failed");
    let servers = start(files.path()).await?;

    let env = TestEnv::new("servers").await?;
    let env = env.with("LSHOOKD_CA_FILE", &files.path().join("trusted.pem").display().to_string());
    for server in &servers {
        env.webhook("/", &json!({"url": server.url}).to_string()).await?;
    }
    let _daemon = env.lshookd.run().await?;
    // Small events on a connection that is kept, and one of megabytes.
    for title in ["a", "b", "c"] {
        env.run(&format!("update project set title = '{title}'")).await?;
    }
    env.run(
        r#"select fixture.rows('task', jsonb_build_object('project_id', 1, 'data', jsonb_build_object(
               'text', (select string_agg(md5(number::text), '') from generate_series(1, 200000) as number))))"#,
    )
    .await?;
    for title in ["d", "e"] {
        env.run(&format!("update project set title = '{title}'")).await?;
    }
    let ended = "select count(*) from lshookd.delivery where state = 'delivered'";
    let events = "select count(*) from lshookd.event";
    let all = async || {
        let expected = i64::try_from(servers.len())? * env.number(events).await?;
        Ok((env.number(events).await? >= 2 && env.number(ended).await? == expected).then_some(()))
    };
    let outcome = eventually("all is delivered", Duration::from_secs(60), all).await;
    // Its webhooks are numbered in their order.
    let query = "select attempt.protocol, attempt.status,
                        attempt.response_head = encode(sha256(convert_to(event.body, 'UTF8')), 'hex'), attempt.error,
                        attempt.tcp_ms is null
                 from lshookd.attempt
                 join lshookd.delivery on delivery.id = attempt.delivery_id
                 join lshookd.event on event.id = delivery.event_id
                 where delivery.webhook_id = $1
                 order by attempt.started_at";
    let mut faults = Vec::new();
    for (number, server) in (1_i64..).zip(&servers) {
        let rows = env.sql.query(query, &[&number]).await?;
        let is_right = |row: &tokio_postgres::Row| row.get::<_, Option<bool>>(2) == Some(true);
        let reused = rows.iter().filter(|row| row.get(4)).count();
        let protocol = rows.first().and_then(|row| row.get::<_, Option<String>>(0)).unwrap_or_default();
        println!("{}: {} attempts, {protocol}, {reused} on a connection that was there", server.name, rows.len());
        for row in rows.iter().filter(|row| !is_right(row)) {
            faults.push(format!(
                "{}: {:?} {:?}",
                server.name,
                row.get::<_, Option<i16>>(1),
                row.get::<_, Option<&str>>(3)
            ));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    outcome
}
