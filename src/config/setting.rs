//! The table of settings: what each is called, by which variables it is known, and what it is where nobody sets it.
//!
//! Those that Label Studio has too carry Label Studio's names, and are read as Label Studio reads them:
//! `LABEL_STUDIO_X`, then `HEARTEX_X`, then `X` (`get_env` in its `core/utils/params.py`), so that its environment
//! file can be reused.

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
    pub(super) fn is_secret(&self) -> bool {
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
    pub(super) fn variable_name(&self) -> String {
        match self.variable {
            Variable::Plain(variable) => variable.to_owned(),
            Variable::Own => format!("LSHOOKD_{}", self.key.to_uppercase()),
            Variable::LabelStudio => self.key.to_uppercase(),
        }
    }

    /// Its variables, the first that is set winning; where nothing else is set, those of PostgreSQL's own library
    /// (<https://www.postgresql.org/docs/current/libpq-envars.html>), which Label Studio's Helm chart sets, too.
    pub(super) fn variables(&self) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
