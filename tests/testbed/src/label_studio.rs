//! The real Label Studio, from PyPI, on a database of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::child_guard::ChildGuard;
use crate::postgres::{Database, Server};
use crate::redis::Redis;
use crate::{cache, eventually, free_port};

/// The token of its user.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

/// The user that is signed up.
pub const EMAIL: &str = "demo@example.com";
/// Their password.
pub const PASSWORD: &str = "lshookd-demo";

/// One version, installed in a virtual environment by `tests/testbed/setup.sh`.
pub struct Installation {
    /// Its version.
    pub version: String,
    folder: PathBuf,
}

/// A running Label Studio.
pub struct LabelStudio {
    /// Where it listens.
    pub base: String,
    /// The folder that local storages may serve.
    pub files: PathBuf,
    client: Client,
    python: PathBuf,
    package: PathBuf,
    environment: Vec<(String, String)>,
    _guard: ChildGuard,
    workers: Vec<ChildGuard>,
}

/// What Label Studio is started with, beside the usual.
pub struct Surroundings<'a> {
    /// Variables, which go before the usual ones.
    pub variables: Vec<(String, String)>,
    /// Settings of Django's for the connections to the database, as a dictionary of Python's.
    pub connection: &'a str,
    /// Where there is a Redis, jobs go through it to two workers.
    pub redis: Option<&'a Redis>,
}

impl Default for Surroundings<'_> {
    fn default() -> Self {
        Surroundings { variables: Vec::new(), connection: "{}", redis: None }
    }
}

impl Installation {
    /// The installation of a version.
    pub fn find(version: &str) -> Result<Installation> {
        let folder = cache().join(format!("label-studio-{version}"));
        if !folder.join("bin/label-studio").exists() {
            bail!("Label Studio {version} is not in {}; run tests/testbed/setup.sh {version}", folder.display());
        }
        Ok(Installation { version: version.to_owned(), folder })
    }

    /// The Python that it runs on, with what it is installed with.
    pub fn python(&self) -> String {
        self.folder.join("bin/python").display().to_string()
    }

    /// A database with Label Studio's tables, to make others of. What its own migrations made on
    /// the first run is kept as SQL beside the installation.
    pub async fn template(&self, server: &Server) -> Result<Database> {
        let template = server.create("template", None).await?;
        let kept = self.folder.join(format!("migrated-on-{}.sql", server.major().await?));
        if let Ok(sql) = std::fs::read_to_string(&kept) {
            template.connect().await?.batch_execute(&sql).await.with_context(|| kept.display().to_string())?;
            return Ok(template);
        }
        self.migrate(&template).await?;
        // As inserts, which can be run without psql. Where pg_dump is too old for the server, the
        // next run migrates again.
        if let Ok(sql) = template.dump(&["--inserts", "--no-owner"]).await {
            let new = kept.with_extension(format!("{}.new", std::process::id()));
            std::fs::write(&new, sql)?;
            std::fs::rename(&new, &kept)?;
        }
        Ok(template)
    }

    /// Runs its own migrations, as its upgrade does.
    pub async fn migrate(&self, database: &Database) -> Result<()> {
        let data = tempfile::tempdir()?;
        let output = Command::new(self.folder.join("bin/python"))
            .args(["manage.py", "migrate", "--verbosity", "0"])
            .current_dir(self.package()?)
            .envs(self.environment(database, data.path()))
            .env("DJANGO_SETTINGS_MODULE", "core.settings.label_studio")
            .output()
            .await?;
        if !output.status.success() {
            bail!("Label Studio's migrations failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn package(&self) -> Result<PathBuf> {
        let libraries =
            std::fs::read_dir(self.folder.join("lib"))?.next().context("no Python in the virtual environment")??;
        Ok(libraries.path().join("site-packages/label_studio"))
    }

    fn environment(&self, database: &Database, data: &Path) -> Vec<(String, String)> {
        let mut environment = database.environment();
        let files = data.join("files");
        for (name, value) in [
            ("DJANGO_DB", "default"),
            ("LATEST_VERSION_CHECK", "false"),
            ("HTTPS_PROXY", "http://127.0.0.1:9"), // Older versions ask the package index for newer ones all the same.
            ("COLLECT_ANALYTICS", "false"),
            ("SENTRY_DSN", ""),
            ("FRONTEND_SENTRY_DSN", ""),
            ("SSRF_PROTECTION_ENABLED", "false"),
            ("ML_BLOCK_LOCAL_IP", "false"),
            ("WEBHOOK_TIMEOUT", "10"),
            ("WEBHOOK_BATCH_SIZE", "5000"), // Older versions have another default.
            ("LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED", "true"),
            ("LABEL_STUDIO_BASE_DATA_DIR", &data.display().to_string()),
            ("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", &files.display().to_string()),
        ] {
            environment.push((name.to_owned(), value.to_owned()));
        }
        environment
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&self, database: &Database) -> Result<LabelStudio> {
        self.start_in(database, Surroundings::default()).await
    }

    /// The same in other surroundings.
    pub async fn start_in(&self, database: &Database, surroundings: Surroundings<'_>) -> Result<LabelStudio> {
        let data = tempfile::Builder::new().prefix("lshookd-label-studio-").tempdir()?.keep();
        let files = data.join("files");
        std::fs::create_dir_all(&files)?;
        let port = free_port()?;
        let mut command: Vec<String> = vec![self.folder.join("bin/label-studio").display().to_string()];
        let arguments =
            ["start", "--no-browser", "--internal-host", "127.0.0.1", "--username", EMAIL, "--password", PASSWORD];
        command.extend(arguments.map(str::to_owned));
        command.extend(["--user-token".to_owned(), TOKEN.to_owned(), "--port".to_owned(), port.to_string()]);
        if self.has_legacy_token_flag()? {
            command.push("--enable-legacy-api-token".to_owned());
        }
        let log = data.join("log");
        let clean_up = format!("rm -rf '{}'", data.display());
        let customized = include_str!("sitecustomize.py").replace("CONNECTION", surroundings.connection);
        std::fs::write(data.join("sitecustomize.py"), customized)?;
        let mut environment = self.environment(database, &data);
        environment.retain(|(name, _)| !surroundings.variables.iter().any(|(other, _)| name == other));
        environment.extend(surroundings.variables);
        environment.push(("PYTHONPATH".to_owned(), data.display().to_string()));
        if let Some(redis) = surroundings.redis {
            environment.push(("REDIS_PORT".to_owned(), redis.port.to_string()));
        }
        let guard = ChildGuard::start(&command, &environment, &log, &clean_up).await?;
        let base = format!("http://127.0.0.1:{port}");
        // Fails where another test has done it, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder().no_proxy().build()?;
        let python = self.folder.join("bin/python");
        let (package, workers) = (self.package()?, Vec::new());
        let mut studio = LabelStudio { base, files, client, python, package, environment, _guard: guard, workers };
        let sql = database.connect().await?;
        let answers = async || {
            if studio.get("/api/projects").await.is_ok() {
                return Ok(Some(()));
            }
            // 1.17 refuses plain tokens and has no flag to be told not to.
            let allow = "update jwt_auth_jwtsettings set legacy_api_tokens_enabled = true";
            if self.version.starts_with("1.17.") {
                let _ = sql.batch_execute(allow).await;
            }
            Ok(None)
        };
        if let Err(error) = eventually("Label Studio answers", Duration::from_secs(120), answers).await {
            bail!("{error:#}; its log:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
        }
        if surroundings.redis.is_some() {
            for number in 1..=2 {
                let log = data.join(format!("worker-{number}"));
                let worker = studio.start_worker(&log).await?;
                studio.workers.push(worker);
            }
        }
        Ok(studio)
    }

    /// Newer versions refuse plain tokens unless told not to.
    fn has_legacy_token_flag(&self) -> Result<bool> {
        Ok(std::fs::read_to_string(self.package()?.join("core/argparser.py"))?.contains("--enable-legacy-api-token"))
    }
}

impl LabelStudio {
    /// Ends it.
    pub fn stop(self) {}

    /// Calls it on a new connection each time. Its server answers in two writes: on a connection that was used before, the
    /// second waits 40 ms for an acknowledgement that is delayed.
    pub fn reconnecting(mut self) -> Result<LabelStudio> {
        self.client = Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
        Ok(self)
    }

    async fn start_worker(&self, log: &Path) -> Result<ChildGuard> {
        let mut command = vec![self.python.display().to_string(), self.package.join("manage.py").display().to_string()];
        command.extend(["rqworker", "critical", "high", "default", "low"].map(str::to_owned));
        ChildGuard::start(&command, &self.environment, log, "").await
    }

    /// Runs a program in Label Studio's shell, as an administrator would; the variables are for it.
    pub async fn shell(&self, program: &str, variables: &[(&str, &str)]) -> Result<()> {
        self.python(&["manage.py", "shell"], program, variables).await
    }

    /// Runs a program in Python that has what Label Studio itself is installed with, its SDK for one.
    pub async fn program(&self, program: &str, variables: &[(&str, &str)]) -> Result<()> {
        self.python(&["-"], program, variables).await
    }

    async fn python(&self, arguments: &[&str], program: &str, variables: &[(&str, &str)]) -> Result<()> {
        let mut child = Command::new(&self.python)
            .args(arguments)
            .current_dir(&self.package)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("DJANGO_SETTINGS_MODULE", "core.settings.label_studio")
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        child.stdin.take().context("no standard input")?.write_all(program.as_bytes()).await?;
        let output = child.wait_with_output().await?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // Label Studio's shell ends with 0 whatever the program did.
        if !output.status.success() || !said.contains("the program is done") {
            bail!("the program in Python failed: {said}");
        }
        Ok(())
    }

    /// Calls its API; a status of 400 or more is an error.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Result<Value> {
        let (status, answer) = self.attempt(method.clone(), path, body).await?;
        if status.is_client_error() || status.is_server_error() {
            bail!("Label Studio answered {method} {path} with {status}: {answer}");
        }
        Ok(answer)
    }

    /// Calls its API; any status will do.
    pub async fn attempt(&self, method: Method, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        self.attempt_as(TOKEN, method, path, body).await
    }

    /// The same as somebody else, by their token.
    pub async fn attempt_as(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<(StatusCode, Value)> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .header("Authorization", format!("Token {token}"));
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.with_context(|| format!("{method} {path}"))?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, Value::Null).await
    }

    /// `POST`
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, path, body).await
    }

    /// `PATCH`
    pub async fn patch(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::PATCH, path, body).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, Value::Null).await
    }

    /// Uploads a file and imports it.
    pub async fn upload(&self, project: i64, name: &str, content: &str) -> Result<Value> {
        self.send_file(&format!("/api/projects/{project}/import"), name, content).await
    }

    /// Uploads a file to import later.
    pub async fn upload_for_later(&self, project: i64, name: &str, content: &str) -> Result<Value> {
        self.send_file(&format!("/api/projects/{project}/import?commit_to_project=false"), name, content).await
    }

    async fn send_file(&self, path: &str, name: &str, content: &str) -> Result<Value> {
        let part = Part::text(content.to_owned()).file_name(name.to_owned());
        let response = self
            .client
            .post(format!("{}{path}", self.base))
            .header("Authorization", format!("Token {TOKEN}"))
            .multipart(Form::new().part(name.to_owned(), part))
            .send()
            .await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("Label Studio answered the upload with {status}: {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// Runs an action of the data manager on some tasks, or on all.
    pub async fn data_manager(&self, action: &str, project: i64, tasks: Option<&[i64]>, more: Value) -> Result<Value> {
        let selected = match tasks {
            Some(tasks) => json!({"all": false, "included": tasks}),
            None => json!({"all": true, "excluded": []}),
        };
        let mut body = json!({"selectedItems": selected, "ordering": []});
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        self.post(&format!("/api/dm/actions?id={action}&project={project}"), body).await
    }
}
