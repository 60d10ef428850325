//! A PostgreSQL server: the one that `LSHOOKD_TEST_DATABASE_URL` names, else one of our own from
//! the binaries on this machine (or in `LSHOOKD_TEST_POSTGRES_BIN`), else a container.
//! `LSHOOKD_TEST_POSTGRES_IMAGE` names the container's image, and goes before the binaries.

use std::future::Future;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

use crate::child_guard::ChildGuard;
use crate::{eventually, free_port};

/// A server on which databases can be made.
pub struct Server {
    /// Connects to the maintenance database as a superuser.
    pub config: Config,
    /// How it was come by, for messages.
    pub origin: String,
    /// Where its parts are, if it is ours.
    own: Option<Own>,
    _guard: ChildGuard,
}

/// What is needed to stop a server and start it again.
struct Own {
    folder: PathBuf,
    binaries: PathBuf,
    /// The command that runs it.
    command: Vec<String>,
}

/// A database of its own for one test; gone when the tests end.
pub struct Database {
    /// Its name.
    pub name: String,
    config: Config,
}

/// What a server of our own lives in, if not just on this machine.
#[derive(Default)]
pub struct Circumstances {
    /// Of its processes.
    pub environment: Vec<(String, String)>,
    /// A disk of its own with so many megabytes, which takes root.
    pub disk: Option<u32>,
    /// Where it listens beside loopback.
    pub address: Option<IpAddr>,
    /// Settings of its own, as `name=value`.
    pub settings: Vec<String>,
}

impl Server {
    /// Finds or starts a server.
    pub async fn obtain() -> Result<Server> {
        if let Ok(url) = std::env::var("LSHOOKD_TEST_DATABASE_URL") {
            let config = url.parse().context("LSHOOKD_TEST_DATABASE_URL")?;
            let clean_up = include_str!("drop_databases.sh").replace("PREFIX", &prefix());
            let guard = ChildGuard::start(&["sleep", "infinity"], &[], Path::new("/dev/null"), &clean_up).await?;
            return Ok(Server { config, origin: "LSHOOKD_TEST_DATABASE_URL".to_owned(), own: None, _guard: guard });
        }
        if let Ok(image) = std::env::var("LSHOOKD_TEST_POSTGRES_IMAGE") {
            return Server::contain(&image).await;
        }
        match binaries() {
            Some(folder) => Server::start(&folder).await,
            None => Server::contain("postgres:17-alpine").await,
        }
    }

    /// Starts a server of our own.
    pub async fn start(binaries: &Path) -> Result<Server> {
        Server::start_in(binaries, Circumstances::default()).await
    }

    /// The same in these circumstances.
    async fn start_in(binaries: &Path, circumstances: Circumstances) -> Result<Server> {
        Server::launch(binaries, circumstances, async |data| {
            let mut initdb = vec![binaries.join("initdb").display().to_string()];
            let arguments = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"];
            initdb.extend(arguments.map(str::to_owned));
            initdb.push(format!("--pgdata={}", data.display()));
            Ok(initdb)
        })
        .await
    }

    /// Starts a standby of this server, which from then on waits for it at each commit.
    pub async fn standby(&self) -> Result<Server> {
        let own = self.own.as_ref().context("this server is not ours to follow")?;
        let port = self.port();
        let standby = Server::launch(&own.binaries, Circumstances::default(), async |data| {
            let program = own.binaries.join("pg_basebackup").display().to_string();
            let arguments = ["--host=127.0.0.1", "--username=postgres", "--write-recovery-conf", "--checkpoint=fast"];
            let mut backup = vec![program, format!("--port={port}"), format!("--pgdata={}", data.display())];
            backup.extend(arguments.map(str::to_owned));
            Ok(backup)
        })
        .await?;
        let admin = self.admin().await?;
        admin.batch_execute("alter system set synchronous_standby_names = '*'").await?;
        admin.batch_execute("select pg_reload_conf()").await?;
        let follows = async || {
            let query = "select from pg_stat_replication where sync_state = 'sync'";
            Ok(admin.query_opt(query, &[]).await?.map(drop))
        };
        eventually("the standby follows", Duration::from_secs(20), follows).await?;
        Ok(standby)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        port(&self.config)
    }

    /// Makes it a primary.
    pub async fn promote(&self) -> Result<()> {
        self.admin().await?.batch_execute("select pg_promote()").await.context("pg_promote")
    }

    /// Stops it for good, as a power failure would.
    pub async fn crash(&self) -> Result<()> {
        let own = self.own.as_ref().context("this server is not ours to stop")?;
        let command = own.pg_ctl(&["stop", "-m", "immediate"])?;
        Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).status().await?;
        Ok(())
    }

    /// Makes a data folder by a command, and runs a server on it.
    async fn launch(
        binaries: &Path,
        circumstances: Circumstances,
        fill: impl AsyncFnOnce(&Path) -> Result<Vec<String>>,
    ) -> Result<Server> {
        let folder = tempfile::Builder::new().prefix("lshookd-postgres-").tempdir()?.keep();
        if let Some(megabytes) = circumstances.disk {
            let mut mount = std::process::Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(&folder);
            ensure!(mount.status()?.success(), "mounting a disk failed");
        }
        let data = folder.join("data");
        let port = free_port()?;
        let mut filling = as_postgres(&folder)?;
        filling.extend(fill(&data).await?);
        let done = std::process::Command::new(&filling[0]).args(&filling[1..]).output().context("filling a folder")?;
        if !done.status.success() {
            bail!("making PostgreSQL's data folder failed: {}", String::from_utf8_lossy(&done.stderr));
        }
        let mut addresses = "127.0.0.1".to_owned();
        if let Some(address) = circumstances.address {
            addresses = format!("{addresses},{address}");
            let rule = format!("host all all {address}/30 trust\n");
            std::fs::OpenOptions::new().append(true).open(data.join("pg_hba.conf"))?.write_all(rule.as_bytes())?;
        }
        let mut command = as_postgres(&folder)?;
        command.extend([binaries.join("postgres").display().to_string(), "-D".to_owned(), data.display().to_string()]);
        for setting in [
            format!("port={port}"),
            format!("listen_addresses={addresses}"),
            format!("unix_socket_directories={}", folder.display()),
            "fsync=off".to_owned(),
            "max_connections=200".to_owned(),
        ]
        .into_iter()
        .chain(circumstances.settings)
        {
            command.extend(["-c".to_owned(), setting]);
        }
        let own = Own { folder, binaries: binaries.to_owned(), command };
        let stop = own.pg_ctl(&["stop", "-m", "immediate"])?.join("' '");
        let unmount =
            if circumstances.disk.is_some() { format!("umount '{}';", own.folder.display()) } else { String::new() };
        let clean_up = format!("'{stop}'; {unmount} rm -rf '{}'", own.folder.display());
        let log = if circumstances.disk.is_some() { PathBuf::from("/dev/null") } else { own.folder.join("log") };
        let guard = ChildGuard::start(&own.command, &circumstances.environment, &log, &clean_up).await?;
        let config = loopback(port, "postgres");
        let server = Server { config, origin: format!("{}", binaries.display()), own: Some(own), _guard: guard };
        server.wait().await?;
        Ok(server)
    }

    /// Starts a server in a container.
    pub async fn contain(image: &str) -> Result<Server> {
        let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let container = GenericImage::new(name, tag)
            .with_wait_for(WaitFor::message_on_stderr("database system is ready to accept connections"))
            .with_mapped_port(0, 5432.tcp())
            .with_host_config_modifier(|host| {
                let bindings = host.port_bindings.iter_mut().flat_map(|ports| ports.values_mut()).flatten().flatten();
                bindings.for_each(|binding| binding.host_ip = Some("127.0.0.1".to_owned()));
            })
            .with_env_var("POSTGRES_PASSWORD", "postgres")
            .start()
            .await
            .with_context(|| {
                format!("no PostgreSQL: LSHOOKD_TEST_DATABASE_URL is not set, no initdb was found, and Docker did not run {image}")
            })?;
        let port = container.get_host_port_ipv4(5432).await?;
        let clean_up = format!("docker rm --force {}", container.id());
        let guard = ChildGuard::start(&["sleep", "infinity"], &[], Path::new("/dev/null"), &clean_up).await?;
        std::mem::forget(container); // The guard removes it, also when this process is killed.
        let config = loopback(port, "postgres");
        let server = Server { config, origin: format!("container of {image}"), own: None, _guard: guard };
        server.wait().await?;
        Ok(server)
    }

    /// The newest one on this machine, for tests that stop and freeze it; `None` without binaries.
    pub async fn start_own() -> Result<Option<Server>> {
        Server::start_own_in(Circumstances::default()).await
    }

    /// The same in these circumstances.
    pub async fn start_own_in(circumstances: Circumstances) -> Result<Option<Server>> {
        match binaries() {
            Some(folder) => Ok(Some(Server::start_in(&folder, circumstances).await?)),
            None => Ok(None),
        }
    }

    /// Fills its disk to the last byte until something else is done.
    pub async fn fill_disk<T>(&self, meanwhile: impl Future<Output = T>) -> Result<T> {
        let own = self.own.as_ref().context("this server is not ours to fill")?;
        let ballast = own.folder.join("ballast");
        let script = format!("head -c 100G /dev/zero >'{}' 2>/dev/null", ballast.display());
        Command::new("sh").args(["-c", &script]).status().await?;
        let outcome = meanwhile.await;
        std::fs::remove_file(ballast)?;
        // Where it wanted room for its recovery, it has ended, and its service starts it again.
        let up = async || Ok(connect(&self.config).await.ok());
        if eventually("PostgreSQL recovers", Duration::from_secs(5), up).await.is_err() {
            self.restart("immediate").await?;
        }
        Ok(outcome)
    }

    /// Stops it (`fast` or `immediate`) and starts it again, with the same data.
    pub async fn restart(&self, mode: &str) -> Result<()> {
        let own = self.own.as_ref().context("this server is not ours to restart")?;
        let settings = own.command.iter().skip_while(|word| *word != "-c").cloned().collect::<Vec<_>>().join(" ");
        let log = own.folder.join("log-of-restarts").display().to_string();
        let command = own.pg_ctl(&["restart", "-m", mode, "-l", &log, "-o", &settings])?;
        let status = Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).status().await?;
        ensure!(status.success(), "pg_ctl restart failed");
        self.wait().await
    }

    /// Stops all its processes where they are, for a while.
    pub async fn freeze(&self, time: Duration) -> Result<()> {
        let own = self.own.as_ref().context("this server is not ours to freeze")?;
        let postmaster = std::fs::read_to_string(own.folder.join("data/postmaster.pid"))?;
        let postmaster = postmaster.lines().next().context("no process id")?;
        let signal = async |name: &str| {
            let script = format!("kill -{name} {postmaster} $(pgrep --parent {postmaster})");
            Command::new("sh").args(["-c", &script]).status().await
        };
        signal("STOP").await?;
        tokio::time::sleep(time).await;
        signal("CONT").await?;
        Ok(())
    }

    async fn wait(&self) -> Result<()> {
        let ready = async || Ok(connect(&self.config).await.ok());
        eventually("PostgreSQL accepts connections", Duration::from_secs(60), ready).await?;
        Ok(())
    }

    /// A superuser's connection to the maintenance database.
    pub async fn admin(&self) -> Result<Client> {
        connect(&self.config).await
    }

    /// Its major version.
    pub async fn major(&self) -> Result<i32> {
        let admin = self.admin().await?;
        Ok(admin.query_one("select current_setting('server_version_num')::integer / 10000", &[]).await?.get(0))
    }

    /// Makes a database, empty or as a copy of another.
    pub async fn create(&self, label: &str, template: Option<&str>) -> Result<Database> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}{label}_{}", prefix(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let template = template.unwrap_or("template1");
        self.admin().await?.batch_execute(&format!("create database \"{name}\" template \"{template}\"")).await?;
        let mut config = self.config.clone();
        config.dbname(&name);
        Ok(Database { name, config })
    }
}

impl Own {
    /// A command of pg_ctl's, as the user of the server.
    fn pg_ctl(&self, arguments: &[&str]) -> Result<Vec<String>> {
        let mut command = as_postgres(&self.folder)?;
        command.push(self.binaries.join("pg_ctl").display().to_string());
        command.push(format!("--pgdata={}", self.folder.join("data").display()));
        command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Ok(command)
    }
}

/// `application_name` of connections that live on for a test.
pub const CLIENT: &str = "lshookd-test";

/// What the names of our databases begin with, so that they can be told from others.
fn prefix() -> String {
    format!("lshookd_{}_", std::process::id())
}

impl Database {
    /// A superuser's connection.
    pub async fn connect(&self) -> Result<Client> {
        self.connect_as(CLIENT).await
    }

    /// The same of a client by that `application_name`.
    pub async fn connect_as(&self, application: &str) -> Result<Client> {
        connect(self.config.clone().application_name(application)).await
    }

    /// The same database behind another port of this machine.
    pub fn behind(&self, port: u16) -> Database {
        Database { name: self.name.clone(), config: loopback(port, &self.name) }
    }

    /// Its server's port.
    pub fn port(&self) -> u16 {
        port(&self.config)
    }

    /// The environment by which Label Studio and lshookd find this database.
    pub fn environment(&self) -> Vec<(String, String)> {
        let host = match self.config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(name)) => name.clone(),
            Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = self.port().to_string();
        let password = self.config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
        let pairs = [
            ("POSTGRE_HOST", host),
            ("POSTGRE_PORT", port),
            ("POSTGRE_NAME", self.name.clone()),
            ("POSTGRE_USER", self.config.get_user().unwrap_or("postgres").to_owned()),
            ("POSTGRE_PASSWORD", password.unwrap_or_default()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The name of the daemon's role, the same for all databases of this process; the others are named after it.
    pub fn role_name(&self) -> String {
        format!("{}role", prefix())
    }

    /// Runs a script by psql.
    pub async fn psql(&self, script: &str) -> Result<()> {
        // Roles are shared by all databases: one script at a time.
        static TURN: Mutex<()> = Mutex::const_new(());
        let _turn = TURN.lock().await;
        let mut child = self
            .client_program("psql")
            .args(["--no-psqlrc", "--quiet", "--dbname", &self.name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("no standard input")?.write_all(script.as_bytes()).await?;
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// What `pg_dump` writes of it.
    pub async fn dump(&self, arguments: &[&str]) -> Result<String> {
        let output = self.client_program("pg_dump").args(arguments).arg(&self.name).output().await?;
        ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        // Recent versions bracket a dump with commands for psql, which hold a random key.
        let text = String::from_utf8(output.stdout)?;
        let bracket = |line: &str| line.starts_with(r"\restrict") || line.starts_with(r"\unrestrict");
        Ok(text.lines().filter(|line| !bracket(line)).collect::<Vec<_>>().join("\n"))
    }

    /// One of PostgreSQL's own programs, as the superuser.
    fn client_program(&self, name: &str) -> Command {
        let environment = self.environment();
        let value = |name: &str| {
            environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let mut command = Command::new(name);
        command
            .args(["--host", &value("POSTGRE_HOST"), "--port", &value("POSTGRE_PORT")])
            .args(["--username", &value("POSTGRE_USER")])
            .env("PGPASSWORD", value("POSTGRE_PASSWORD"));
        command
    }
}

/// A superuser's way to a server of ours.
fn loopback(port: u16, database: &str) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("postgres").password("postgres").dbname(database);
    config
}

fn port(config: &Config) -> u16 {
    config.get_ports().first().copied().unwrap_or(5432)
}

async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The newest PostgreSQL on this machine that has a server.
fn binaries() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("LSHOOKD_TEST_POSTGRES_BIN") {
        return Some(folder.into());
    }
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .ok()
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"));
    let path =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let mut folders: Vec<PathBuf> = debian.collect();
    folders.sort();
    folders
        .into_iter()
        .rev()
        .chain(path)
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// PostgreSQL refuses to run as root: the words before its command that make it another user,
/// to whom the folder then belongs.
pub fn as_postgres(folder: &Path) -> Result<Vec<String>> {
    let id = std::process::Command::new("id").arg("-u").output()?.stdout;
    if String::from_utf8_lossy(&id).trim() != "0" {
        return Ok(Vec::new());
    }
    let user = ["postgres", "nobody"]
        .into_iter()
        .find(|user| std::process::Command::new("id").arg(user).output().is_ok_and(|done| done.status.success()));
    let user = user.context("running as root, and there is no user to run PostgreSQL as")?;
    std::process::Command::new("chown").arg(user).arg(folder).status()?;
    Ok(["runuser", "-u", user, "--"].map(str::to_owned).to_vec())
}
