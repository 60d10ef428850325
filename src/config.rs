//! Settings: flags over environment over configuration file over defaults.
//!
//! Every setting is one row of [`SETTINGS`], which gives its flag, its key in the file and its variables at once.

mod admin;
mod certificate;
mod connection;
mod environment_file;
mod passfile;
mod proxy;
mod pull;
mod setting;
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
pub use setting::{SETTINGS, Setting, Variable};
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

/// Format and amount of the log.
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
}
