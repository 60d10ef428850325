//! Settings: flags over environment over configuration file over defaults.
//!
//! Every setting is one row of [`SETTINGS`], which gives its flag, its key in the file and
//! its variables at once. Those that Label Studio has too carry Label Studio's names, and are
//! read as Label Studio reads them: `LABEL_STUDIO_X`, then `HEARTEX_X`, then `X`
//! (`get_env` in its `core/utils/params.py`), so that its environment file can be reused.

mod admin;
mod certificate;
mod connection;
mod environment_file;
mod passfile;
mod proxy;
mod pull;
mod sources;
mod tracing;
mod value;

use std::time::Duration;

use ipnet::IpNet;
use rustls::pki_types::CertificateDer;

use admin::admin;
pub use admin::{Admin, Listen, Password};
use certificate::identity;
pub use certificate::{Identity, certificates};
pub use connection::{Server, SslMode, Tls};
use proxy::proxy;
pub use proxy::{DIRECT, Proxy};
pub use pull::Pull;
use pull::pull;
pub use sources::{Flags, Sources};
pub use tracing::Tracing;
use tracing::tracing;
use value::{above_zero, allow_list, boolean, duration, list, network, pause_after, positive, seconds};

/// A setting whose value cannot be used, or a key nobody knows. Ends the program with 2.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// The value does not parse.
    #[error("setting {key} ({origin}): {reason}")]
    Invalid {
        /// The setting's key.
        key: &'static str,
        /// Where the value came from.
        origin: String,
        /// What is wrong with it. Never holds a secret.
        reason: String,
    },
    /// A key in the file, or an `LSHOOKD_` variable, that is no setting.
    #[error("{origin}: there is no setting {key:?}{suggestion}")]
    Unknown {
        /// The key as written.
        key: String,
        /// The file or the environment.
        origin: String,
        /// The nearest known name, if one is near.
        suggestion: String,
    },
    /// The configuration file cannot be read or is not TOML.
    #[error("configuration file {path}: {reason}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Which environment variables a setting has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// One variable with this very name.
    Plain(&'static str),
    /// `LSHOOKD_` and the key in capitals.
    Own,
    /// `LABEL_STUDIO_`, `HEARTEX_` or nothing before the key in capitals.
    LabelStudio,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file; the flag is the same with dashes.
    pub key: &'static str,
    /// Its environment variables.
    pub variable: Variable,
    /// The value where nothing is set, as one would write it.
    pub default: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
}

impl Setting {
    /// Whether its value may not be shown.
    fn is_secret(&self) -> bool {
        matches!(
            self.key,
            "postgre_password"
                | "database_url"
                | "admin_password"
                | "admin_viewer_password"
                | "admin_header_secret"
                | "proxy"
        )
    }

    /// The variable by which it is known.
    fn variable_name(&self) -> String {
        match self.variable {
            Variable::Plain(variable) => variable.to_owned(),
            Variable::Own => format!("LSHOOKD_{}", self.key.to_uppercase()),
            Variable::LabelStudio => self.key.to_uppercase(),
        }
    }

    /// Its variables, the first that is set winning; where nothing else is set, those of PostgreSQL's own library
    /// (<https://www.postgresql.org/docs/current/libpq-envars.html>), which Label Studio's Helm chart sets, too.
    fn variables(&self) -> Vec<String> {
        let label_studio = |name: &str| ["LABEL_STUDIO_", "HEARTEX_", ""].map(|prefix| format!("{prefix}{name}"));
        let mut variables = match self.variable {
            Variable::LabelStudio => label_studio(&self.key.to_uppercase()).to_vec(),
            Variable::Plain(_) | Variable::Own => vec![self.variable_name()],
        };
        let (studio, libpq) = match self.key {
            "postgre_host" => (None, Some("PGHOST")),
            "postgre_port" => (None, Some("PGPORT")),
            "postgre_name" => (None, Some("PGDATABASE")),
            "postgre_user" => (None, Some("PGUSER")),
            "postgre_password" => (None, Some("PGPASSWORD")),
            "sslmode" => (Some("POSTGRE_SSL_MODE"), Some("PGSSLMODE")),
            "sslrootcert" => (Some("POSTGRE_SSLROOTCERT"), Some("PGSSLROOTCERT")),
            "sslcert" => (Some("POSTGRE_SSLCERT"), Some("PGSSLCERT")),
            "sslkey" => (Some("POSTGRE_SSLKEY"), Some("PGSSLKEY")),
            "passfile" => (None, Some("PGPASSFILE")),
            _ => (None, None),
        };
        variables.extend(studio.iter().flat_map(|name| label_studio(name)));
        variables.extend(libpq.map(str::to_owned));
        variables
    }
}

const fn setting(key: &'static str, variable: Variable, default: Option<&'static str>, help: &'static str) -> Setting {
    Setting { key, variable, default, help }
}

/// All settings.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("database_url", Variable::Plain("DATABASE_URL"), None, "Label Studio's database as postgres://user:password@host:port/name, in place of the five postgre_ settings"),
    setting("postgre_host", Variable::LabelStudio, Some("localhost"), "Host of Label Studio's PostgreSQL, or the folder of its Unix socket"),
    setting("postgre_port", Variable::LabelStudio, Some("5432"), "Port of Label Studio's PostgreSQL"),
    setting("postgre_name", Variable::LabelStudio, Some("postgres"), "Name of Label Studio's database"),
    setting("postgre_user", Variable::LabelStudio, Some("postgres"), "PostgreSQL role to connect as"),
    setting("postgre_password", Variable::LabelStudio, Some("postgres"), "PostgreSQL password"),
    setting("postgre_password_file", Variable::LabelStudio, None, "File that holds the PostgreSQL password, in place of postgre_password"),
    setting("sslmode", Variable::Own, Some("prefer"), "TLS to PostgreSQL: disable, prefer, require, verify-ca or verify-full"),
    setting("sslrootcert", Variable::Own, None, "PEM file of the authority that signed PostgreSQL's certificate"),
    setting("sslcert", Variable::Own, None, "PEM file of the certificate to show to PostgreSQL"),
    setting("sslkey", Variable::Own, None, "PEM file of the private key of sslcert"),
    setting("passfile", Variable::Own, None, "File of PostgreSQL passwords in the format of libpq, read if no password is set; ~/.pgpass if not set"),
    setting("label_studio_schema", Variable::Own, None, "PostgreSQL schema of Label Studio's tables; detected if unique"),
    setting("organization_webhooks", Variable::Own, Some("true"), "Whether webhooks without a project are delivered; false leaves them to Label Studio"),
    setting("adopt_new", Variable::Own, Some("false"), "Whether webhooks are adopted as they are created in Label Studio, also those of ML backends, so that only lshookd delivers them"),
    setting("webhook_timeout", Variable::LabelStudio, None, "Timeout of a request in seconds as in Label Studio: of each address that is connected to, of TLS, and of the silence while an answer comes; connect_timeout and answer_timeout take its place"),
    setting("connect_timeout", Variable::Own, None, "Timeout to connect to an endpoint: DNS, TCP and TLS together; webhook_timeout if that is set, else 10s"),
    setting("answer_timeout", Variable::Own, None, "Timeout of the answer of an endpoint, once the request is sent; webhook_timeout if that is set, else 15s"),
    setting("webhook_batch_size", Variable::LabelStudio, Some("5000"), "Maximum objects per event"),
    setting("redirect_to_get", Variable::Own, Some("false"), "Whether a redirect by 301, 302 or 303 is followed by a GET without the event whose answer counts, as in Label Studio; otherwise the attempt fails"),
    setting("batch_bytes", Variable::Own, Some("8000000"), "Maximum bytes in the body of one event of several objects; more go into further events"),
    setting("extra_fields", Variable::Own, Some(""), "Columns that were added to Label Studio's tables and that payloads show, as table.column separated by commas"),
    setting("ssrf_protection_enabled", Variable::LabelStudio, Some("true"), "Whether endpoints on private and reserved addresses are refused"),
    setting("use_default_banned_subnets", Variable::LabelStudio, Some("true"), "Whether Label Studio's list of reserved networks is refused"),
    setting("user_additional_banned_subnets", Variable::LabelStudio, Some(""), "Networks to refuse in addition, separated by commas"),
    setting("allow", Variable::Own, Some(""), "Allow list: networks and host names that are never refused, separated by commas"),
    setting("proxy", Variable::Own, None, "HTTP proxy through which endpoints are reached by CONNECT, as http://user:password@host:port; environment takes those of HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; NATS is not reached through it"),
    setting("no_proxy", Variable::Own, Some(""), "Hosts, domains and networks that are reached without the proxy, separated by commas"),
    setting("ca_file", Variable::Own, None, "PEM file of certificate authorities that endpoints are trusted by, beside the system's"),
    setting("client_certificates", Variable::Own, Some(""), "Client certificates for endpoints that ask for one, as host=file separated by commas; each PEM file holds the certificate and its key"),
    setting("settle", Variable::Own, Some("50ms"), "Idle time after which a connection that lives on has finished its action; 0 plans every transaction at once"),
    setting("gather_limit", Variable::Own, Some("5s"), "Maximum time that changes of a busy connection are gathered, where the connection lives on; one that is expected to close may be idle for six times as long"),
    setting("gather_import_limit", Variable::Own, Some("5m"), "Maximum time that changes are gathered of a connection that adds or deletes tasks, or is expected to close with its request"),
    setting("poll", Variable::Own, Some("5s"), "Polling interval when no notification arrives"),
    setting("retry_schedule", Variable::Own, Some("5s,30s,2m,10m,1h,3h,6h,12h"), "Pauses before the second and each later attempt; after the last attempt the delivery is dead"),
    setting("pause_after", Variable::Own, Some("off"), "How long a webhook may only fail until it is paused, what it is owed being kept: a duration, on (5d) or off"),
    setting("retention", Variable::Own, Some("30d"), "How long delivered and cancelled deliveries are kept; 0 keeps them without limit, as dead ones are"),
    setting("concurrency", Variable::Own, Some("128"), "Maximum requests in flight, beside those that take more than a second"),
    setting("concurrency_per_webhook", Variable::Own, Some("32"), "Maximum requests in flight of one webhook"),
    setting("backlog", Variable::Own, Some("100000"), "Number of pending deliveries above which an operational event reports a backlog"),
    setting("admin_listen", Variable::Own, Some("127.0.0.1:9187"), "Where metrics, health and the console are served: an address, unix: and the path of a socket, or off"),
    setting("admin_write", Variable::Own, Some("false"), "Whether the console may change something: webhooks, deliveries and rules"),
    setting("admin_password", Variable::Own, None, "Password of the console and the metrics, for any user name, or its hash as `lshookd hash-password` makes it; required if admin_listen is no loopback address and admin_header is not set"),
    setting("admin_password_file", Variable::Own, None, "File that holds the password of the console, in place of admin_password"),
    setting("admin_viewer_password", Variable::Own, None, "Password, or its hash, of users who may read the console and change nothing"),
    setting("admin_viewer_password_file", Variable::Own, None, "File that holds that password, in place of admin_viewer_password"),
    setting("admin_header", Variable::Own, None, "Header in which a reverse proxy names the user, in place of a password"),
    setting("admin_header_secret", Variable::Own, None, "What the reverse proxy sends in the header X-Lshookd-Secret, which proves that the proxy named the user; unset, named users may only read unless admin_listen is a Unix socket, and admin_listen must be a loopback address"),
    setting("admin_header_secret_file", Variable::Own, None, "File that holds it, in place of admin_header_secret"),
    setting("admin_writers", Variable::Own, Some(""), "Users named by the reverse proxy who may change something, separated by commas; without, all may"),
    setting("admin_hosts", Variable::Own, Some(""), "Host names that the listener answers to, beside addresses and localhost, separated by commas"),
    setting("pull_listen", Variable::Own, Some("off"), "Where consumers pull events of webhooks whose URL is pull:, as an address; or off"),
    setting("pull_certificate", Variable::Own, None, "PEM file of the certificate of that listener, with the chain up to its authority; without, it speaks plain HTTP"),
    setting("pull_key", Variable::Own, None, "PEM file of the private key of pull_certificate"),
    setting("pull_lease", Variable::Own, Some("60s"), "How long a consumer may take to acknowledge events, before they are given again"),
    setting("pull_attempts", Variable::Own, Some("10"), "So many leases of an event may end without acknowledgement; then it is dead"),
    setting("otlp_endpoint", Variable::Own, None, "OTLP endpoint that receives traces over HTTP, such as http://127.0.0.1:4318; unset, tracing is off"),
    setting("otlp_share", Variable::Own, Some("1.0"), "Share of deliveries that are traced, from 0 to 1"),
    setting("log_format", Variable::Own, Some("text"), "Format of the log: text or json"),
    setting("log_level", Variable::Own, Some("info"), "Filter of the log, in the syntax of RUST_LOG, which is read if log_level is not set"),
];

/// A setting as people may see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its value, unless that is a secret.
    pub value: String,
    /// Where the value came from.
    pub origin: String,
}

impl Listed {
    /// The origin of what nobody set.
    pub const DEFAULT: &str = "default";

    /// Whether a daemon and a command may differ in it: each has a role of its own, and its own log.
    pub fn is_each_ones_own(&self) -> bool {
        self.key.starts_with("postgre_")
            || self.key.starts_with("log_")
            || ["database_url", "passfile"].contains(&self.key.as_str())
    }
}

/// What the daemon runs by.
#[derive(Clone)]
pub struct Settings {
    /// All of them that have a value, as people may see them.
    pub listed: Vec<Listed>,
    /// Label Studio's database.
    pub server: Server,
    /// `label_studio_schema`
    pub label_studio_schema: Option<String>,
    /// `false` leaves out webhooks that have no project.
    pub organization_webhooks: bool,
    /// Limits of one request.
    pub timeout: Timeout,
    /// Whether redirects may turn a POST into a GET.
    pub redirect_to_get: bool,
    /// Most objects in one event.
    pub batch_size: usize,
    /// Most bytes in the body of one event, unless a single object has more.
    pub batch_bytes: usize,
    /// Fields that are shown beside Label Studio's own, as table.column.
    pub extra_fields: Vec<String>,
    /// Which addresses may be reached.
    pub egress: Egress,
    /// Through which proxy they are reached.
    pub proxy: Proxy,
    /// Whom to trust, and who we are.
    pub trust: Trust,
    /// When changes are complete.
    pub gather: GatherLimits,
    /// Pause between looks without a notification.
    pub poll: Duration,
    /// Pauses between attempts.
    pub retry_schedule: Vec<Duration>,
    /// After so long webhooks that only fail are paused; `None`: never.
    pub pause_after: Option<Duration>,
    /// Where traces go, if they go anywhere.
    pub tracing: Option<Tracing>,
    /// So many pending deliveries are a backlog.
    pub backlog: usize,
    /// How long ended deliveries are kept; zero: for ever.
    pub retention: Duration,
    /// Requests in flight at once.
    pub concurrency: usize,
    /// Requests in flight at once of one webhook.
    pub concurrency_per_webhook: usize,
    /// Metrics, health and the console.
    pub admin: Admin,
    /// Where consumers pull.
    pub pull: Pull,
}

/// How long one request may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timeout {
    /// Until the connection stands.
    pub connect: Limit,
    /// Until the answer's head is there.
    pub answer: Limit,
}

/// A limit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Of all of it together.
    Whole(Duration),
    /// Of each step by itself, as python-requests counts: of the attempt to connect to each address, of the TLS
    /// handshake, and of the silence between two pieces of an answer.
    Each(Duration),
}

impl Limit {
    /// The time that it names.
    pub fn duration(self) -> Duration {
        match self {
            Limit::Whole(duration) | Limit::Each(duration) => duration,
        }
    }
}

/// When the changes of one connection are taken for one finished action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GatherLimits {
    /// Idle time after which a connection is done; zero: each transaction stands alone.
    pub settle: Duration,
    /// Age at which changes are planned even if their connection is not done.
    pub limit: Duration,
    /// The same where the connection did nothing but add tasks.
    pub import_limit: Duration,
}

/// The addresses that webhooks may reach.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    /// Whether anything is refused at all, beside link-local addresses.
    pub protection: bool,
    /// Whether Label Studio's own list is refused.
    pub default_banned: bool,
    /// Networks refused as well.
    pub additional_banned: Vec<IpNet>,
    /// Networks never refused.
    pub allowed_networks: Vec<IpNet>,
    /// Host names never refused, in lower case.
    pub allowed_hosts: Vec<String>,
}

/// TLS with endpoints.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Authorities beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Who we are to hosts that ask.
    pub identities: Vec<Identity>,
}

/// PayloadOptions and amount of the log.
pub struct Logging {
    /// JSON lines in place of text.
    pub json: bool,
    /// A filter as `RUST_LOG` has it.
    pub filter: String,
}

impl Logging {
    /// Reads the two settings of the log.
    pub fn from(sources: &Sources) -> Result<Logging, SettingError> {
        let json = sources.parse("log_format", |text| match text {
            "text" => Ok(false),
            "json" => Ok(true),
            _ => Err("expected text or json".to_owned()),
        })?;
        let filter = match sources.is_default("log_level").then(|| std::env::var("RUST_LOG").ok()).flatten() {
            Some(filter) => filter,
            None => sources.parse("log_level", |text| {
                tracing_subscriber::EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
            })?,
        };
        Ok(Logging { json, filter })
    }
}

impl Settings {
    /// Reads all settings but those of the log.
    ///
    /// # Errors
    /// The first value that does not parse.
    pub fn from(sources: &Sources) -> Result<Settings, SettingError> {
        // Label Studio's second is for an annotator who waits; nobody waits for us.
        let both = sources.parse_optional("webhook_timeout", seconds)?;
        let (connect, answer) = (
            sources.parse_optional("connect_timeout", above_zero)?,
            sources.parse_optional("answer_timeout", above_zero)?,
        );
        let limit = |own: Option<Duration>, usual| match (own, both) {
            (Some(own), _) => Limit::Whole(own),
            (None, Some(both)) => Limit::Each(both),
            (None, None) => Limit::Whole(Duration::from_secs(usual)),
        };
        let timeout = Timeout { connect: limit(connect, 10), answer: limit(answer, 15) };
        let (allowed_networks, allowed_hosts) = sources.parse("allow", allow_list)?;
        Ok(Settings {
            listed: sources.listed().collect(),
            server: connection::server(sources)?,
            label_studio_schema: sources.parse_optional("label_studio_schema", |text| Ok(text.to_owned()))?,
            organization_webhooks: sources.parse("organization_webhooks", boolean)?,
            timeout,
            redirect_to_get: sources.parse("redirect_to_get", boolean)?,
            batch_size: sources.parse("webhook_batch_size", positive)?,
            batch_bytes: sources.parse("batch_bytes", positive)?,
            extra_fields: sources.parse("extra_fields", |text| {
                list(text, |field| match field.split_once('.') {
                    Some((table, column)) if !table.is_empty() && !column.is_empty() => Ok(field.to_owned()),
                    _ => Err(format!("{field:?} is not of the form table.column")),
                })
            })?,
            egress: Egress {
                protection: sources.parse("ssrf_protection_enabled", boolean)?,
                default_banned: sources.parse("use_default_banned_subnets", boolean)?,
                additional_banned: sources.parse("user_additional_banned_subnets", |text| list(text, network))?,
                allowed_networks,
                allowed_hosts,
            },
            proxy: proxy(sources)?,
            trust: Trust {
                authorities: sources.parse_optional("ca_file", certificates)?.unwrap_or_default(),
                identities: sources.parse("client_certificates", |text| list(text, identity))?,
            },
            gather: GatherLimits {
                settle: sources.parse("settle", duration)?,
                limit: sources.parse("gather_limit", duration)?,
                import_limit: sources.parse("gather_import_limit", duration)?,
            },
            poll: sources.parse("poll", |text| match duration(text)? {
                Duration::ZERO => Err("must be more than 0".to_owned()),
                // Once a minute the watchdog wants to see the planner.
                poll if poll > Duration::from_secs(60) => Err("must be a minute at most".to_owned()),
                poll => Ok(poll),
            })?,
            retry_schedule: sources.parse("retry_schedule", |text| list(text, duration))?,
            pause_after: sources.parse("pause_after", pause_after)?,
            tracing: tracing(sources)?,
            backlog: sources.parse("backlog", positive)?,
            retention: sources.parse("retention", duration)?,
            concurrency: sources.parse("concurrency", positive)?,
            concurrency_per_webhook: sources.parse("concurrency_per_webhook", positive)?,
            admin: admin(sources)?,
            pull: pull(sources)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(environment: &[(&str, &str)], file: &str) -> Result<Settings, SettingError> {
        Settings::from(&Sources::for_test(&[], environment, file)?)
    }

    #[test]
    fn label_studios_names_win_in_label_studios_order() {
        let all = [
            ("WEBHOOK_BATCH_SIZE", "3"),
            ("HEARTEX_WEBHOOK_BATCH_SIZE", "2"),
            ("LABEL_STUDIO_WEBHOOK_BATCH_SIZE", "1"),
        ];
        assert_eq!(settings(&all, "").unwrap().batch_size, 1);
        assert_eq!(settings(&all[..2], "").unwrap().batch_size, 2);
        assert_eq!(settings(&all[..1], "webhook_batch_size = 4").unwrap().batch_size, 3);
        assert_eq!(settings(&[], "webhook_batch_size = 4").unwrap().batch_size, 4);
        assert_eq!(settings(&[], "").unwrap().batch_size, 5000);
    }

    #[test]
    fn what_is_not_heeded_of_libpq_is_said() {
        let sources = Sources::for_test(&[], &[("PGSERVICE", "birds"), ("PGOPTIONS", ""), ("PGHOST", "here")], "");
        let warnings = sources.unwrap().warnings().to_vec();
        assert!(warnings.len() == 1 && warnings[0].contains("PGSERVICE is not heeded"), "{warnings:?}");
    }

    proptest! {
        #[test]
        fn no_configuration_makes_it_panic(
            file in "(\\PC|\n){0,60}|[a-z_]{3,12} = [\\[\"'0-9a-z\\-]{0,12}",
            setting in 0..SETTINGS.len(),
            value in "\\PC{0,30}|[0-9]{1,25}[a-z]{0,2}",
        ) {
            let _ = settings(&[], &file);
            let setting = &SETTINGS[setting];
            let variable = setting.variables().remove(0);
            if let Err(error) = settings(&[(&variable, &value)], "") {
                prop_assert!(error.to_string().contains(setting.key));
            }
        }
    }

    #[test]
    fn flags_win_over_the_environment() {
        let sources = Sources::for_test(&[("settle", "1s")], &[("LSHOOKD_SETTLE", "2s")], "settle = '3s'").unwrap();
        assert_eq!(Settings::from(&sources).unwrap().gather.settle, Duration::from_secs(1));
    }

    #[test]
    fn a_timeout_that_is_set_counts_for_connecting_and_answering_alike() {
        let half = Duration::from_millis(500);
        let set = settings(&[("WEBHOOK_TIMEOUT", "0.5")], "").unwrap().timeout;
        assert_eq!(set, Timeout { connect: Limit::Each(half), answer: Limit::Each(half) });
        let unset = settings(&[], "").unwrap().timeout;
        let seconds = |seconds| Limit::Whole(Duration::from_secs(seconds));
        assert_eq!(unset, Timeout { connect: seconds(10), answer: seconds(15) });
        let mixed = settings(&[("WEBHOOK_TIMEOUT", "0.5"), ("LSHOOKD_ANSWER_TIMEOUT", "10m")], "").unwrap().timeout;
        assert_eq!(mixed, Timeout { connect: Limit::Each(half), answer: seconds(600) });
        assert!(settings(&[("LSHOOKD_CONNECT_TIMEOUT", "0")], "").is_err());
    }

    #[test]
    fn bad_values_and_unknown_keys_are_named() {
        let message = |result: Result<Settings, SettingError>| result.err().expect("an error").to_string();
        assert_eq!(
            message(settings(&[("LSHOOKD_RETRY_SCHEDULE", "5s,soon")], "")),
            "setting retry_schedule (environment LSHOOKD_RETRY_SCHEDULE): expected number at 0; \
             expected a duration such as 50ms, 5s or 10m"
        );
        assert!(message(settings(&[], "setle = '1s'")).contains("there is no setting \"setle\"; did you mean settle?"));
        assert!(message(settings(&[("LSHOOKD_SETLE", "1s")], "")).contains("LSHOOKD_SETLE"));
        assert!(message(settings(&[("SSRF_PROTECTION_ENABLED", "perhaps")], "")).contains("ssrf_protection_enabled"));
    }

    /// Set `LSHOOKD_TEST_UPDATE` to write the document anew.
    #[test]
    fn the_document_lists_every_setting() {
        let row = |setting: &Setting| {
            let variable = setting.variable_name();
            let default = setting.default.filter(|text| !text.is_empty());
            let default = default.map(|text| format!("`{text}`")).unwrap_or_default();
            format!("| `{}` | `{variable}` | {default} | {} |", setting.key, setting.help)
        };
        let rows: Vec<String> = SETTINGS.iter().map(row).collect();
        let table = format!("| key | variable | default | |\n| --- | --- | --- | --- |\n{}\n", rows.join("\n"));
        let path = "docs/configuration.md";
        let document = std::fs::read_to_string(path).unwrap();
        let (head, _) = document.split_once("| key |").unwrap();
        let written = format!("{head}{table}");
        if std::env::var_os("LSHOOKD_TEST_UPDATE").is_some() {
            return std::fs::write(path, &written).unwrap();
        }
        assert!(document == written, "{path} does not list the settings as they are");
    }
}
