//! Where Label Studio's database is: a URL, or Label Studio's own five variables.

use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::value::read_password;
use super::{SettingError, Sources, passfile};

/// Where the database is and how the connection is secured.
#[derive(Clone)]
pub struct Server {
    /// Host, port, user, password and database. Never printed: it holds the password.
    pub config: Config,
    /// How the connection is secured.
    pub tls: Tls,
    /// What to say where nobody said which database.
    pub hint: Option<String>,
}

/// How a connection is secured, as in libpq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `sslmode`
    pub mode: SslMode,
    /// PEM file with the authorities to trust in place of the system's.
    pub root_cert: Option<String>,
    /// PEM file of the certificate to show.
    pub cert: Option<String>,
    /// PEM file of its key.
    pub key: Option<String>,
}

impl Server {
    /// Host, port and database for messages, without credentials.
    pub fn display(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let name = self.config.get_dbname().unwrap_or("(the user's)");
        format!("database {name} on {host}:{port}")
    }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never encrypt.
    Disable,
    /// Treated as `prefer`.
    Allow,
    /// Encrypt if the server can.
    Prefer,
    /// Encrypt or fail.
    Require,
    /// Encrypt, and check who signed the server's certificate.
    VerifyCa,
    /// Encrypt, and check the host name as well.
    VerifyFull,
}

impl FromStr for SslMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "disable" => SslMode::Disable,
            "allow" => SslMode::Allow,
            "prefer" => SslMode::Prefer,
            "require" => SslMode::Require,
            "verify-ca" => SslMode::VerifyCa,
            "verify-full" => SslMode::VerifyFull,
            _ => return Err("expected disable, allow, prefer, require, verify-ca or verify-full".to_owned()),
        })
    }
}

/// The database, from its URL or from Label Studio's five variables.
pub fn server(sources: &Sources) -> Result<Server, SettingError> {
    let text = |text: &str| Ok(text.to_owned());
    let mut tls = Tls {
        mode: sources.parse("sslmode", str::parse)?,
        root_cert: sources.parse_optional("sslrootcert", text)?,
        cert: sources.parse_optional("sslcert", text)?,
        key: sources.parse_optional("sslkey", text)?,
    };
    let mut config = match sources.parse_optional("database_url", database_url)? {
        Some(url) => {
            tls = Tls {
                mode: url.ssl_mode.unwrap_or(tls.mode),
                root_cert: url.root_cert.or(tls.root_cert),
                cert: url.cert.or(tls.cert),
                key: url.key.or(tls.key),
            };
            url.config
        }
        None => {
            let mut config = Config::new();
            let password = match sources.parse_optional("postgre_password_file", read_password)? {
                Some(password) => Some(password),
                None => sources
                    .parse_optional("postgre_password", text)?
                    .filter(|_| !sources.is_default("postgre_password")),
            };
            config
                .host(sources.parse("postgre_host", text)?)
                .port(sources.parse("postgre_port", |text| {
                    text.parse::<u16>().map_err(|_| "expected a port number".to_owned())
                })?)
                .dbname(sources.parse("postgre_name", text)?)
                .user(sources.parse("postgre_user", text)?);
            if let Some(password) = password {
                config.password(password);
            }
            config
        }
    };
    if config.get_password().is_none() {
        let found = passfile::find(sources.parse_optional("passfile", text)?.as_deref(), &config);
        let found = found.map_err(|reason| SettingError::File { path: "passfile".to_owned(), reason })?;
        let default = || match sources.is_default("database_url") {
            true => sources.parse("postgre_password", text).map(Some),
            false => Ok(None),
        };
        if let Some(password) = found.map_or_else(default, |found| Ok(Some(found)))? {
            config.password(password);
        }
    }
    let names = ["database_url", "postgre_host", "postgre_name", "postgre_user"];
    let unnamed = names.iter().all(|key| sources.is_default(key));
    let hint =
        unnamed.then(|| format!("no setting names the database: looked at the environment, {}", sources.looked_at()));
    Ok(Server { config, tls, hint })
}

struct DatabaseUrl {
    config: Config,
    ssl_mode: Option<SslMode>,
    root_cert: Option<String>,
    cert: Option<String>,
    key: Option<String>,
}

/// What tokio-postgres understands in a URL.
const PARAMETERS: &[&str] = &[
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];

/// A connection URL as libpq has it
/// (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>): with several hosts, a folder in
/// place of one, and parameters; those of TLS are taken out, which tokio-postgres does not know.
fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err("expected postgres://user:password@host:port/name".to_owned());
    }
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    let (mut ssl_mode, mut root_cert, mut cert, mut key) = (None, None, None, None);
    let mut others = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value =
            percent_encoding::percent_decode_str(value).decode_utf8().map_err(|_| format!("{name}: no UTF-8"))?;
        match name {
            "sslmode" => ssl_mode = Some(value.parse().map_err(|reason| format!("sslmode: {reason}"))?),
            "sslrootcert" => root_cert = Some(value.into_owned()),
            "sslcert" => cert = Some(value.into_owned()),
            "sslkey" => key = Some(value.into_owned()),
            known if PARAMETERS.contains(&known) => others.push(pair),
            unknown => {
                return Err(format!(
                    "there is no parameter {unknown:?} of a connection; known are sslmode, sslrootcert, sslcert, sslkey, {}",
                    PARAMETERS.join(", ")
                ));
            }
        }
    }
    let rest = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
    // The parser's own message could quote the URL, and with it the password.
    let config = rest.parse().map_err(|_| "PostgreSQL's client library does not understand it".to_owned())?;
    Ok(DatabaseUrl { config, ssl_mode, root_cert, cert, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Result<Server, SettingError> {
        server(&Sources::for_test(&[], &[("DATABASE_URL", url)], "")?)
    }

    #[test]
    fn a_bad_database_url_is_refused_without_showing_it() {
        for url in
            ["mysql://me:hidden@db/ls", "postgres://me:hidden@db/ls?sslmode=maybe", "postgres://me:hidden@db:x/ls"]
        {
            let error = at(url).err().expect("an error").to_string();
            assert!(error.contains("database_url") && !error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn a_database_url_may_carry_the_tls_settings_of_libpq() {
        let url = "postgres://me:pw@db.example/ls?sslmode=verify-full&sslrootcert=/ca.pem&options=-c%20jit%3Doff";
        let server = at(url).unwrap();
        assert_eq!(server.tls.mode, SslMode::VerifyFull);
        assert_eq!(server.tls.root_cert.as_deref(), Some("/ca.pem"));
        assert_eq!(server.config.get_options(), Some("-c jit=off"));
        assert!(!server.display().contains("pw"));
    }

    #[test]
    fn a_database_url_is_what_libpq_makes_of_it() {
        let socket = at("postgresql:///ls?host=/run/postgresql&user=me").unwrap().config;
        assert_eq!(socket.get_hosts(), [tokio_postgres::config::Host::Unix("/run/postgresql".into())]);
        assert_eq!((socket.get_dbname(), socket.get_user()), (Some("ls"), Some("me")));
        let several = at("postgres://me@one:5432,two:5433/ls?target_session_attrs=read-write").unwrap().config;
        assert_eq!((several.get_hosts().len(), several.get_ports()), (2, &[5432, 5433][..]));
        let encoded = at("postgres://me:p%40ss%2Fw%3Frd%26@db/ls").unwrap().config;
        assert_eq!(encoded.get_password(), Some(&b"p@ss/w?rd&"[..]));
        let error = at("postgres://me@db/ls?sslmod=require").err().expect("an error").to_string();
        assert!(error.contains("sslmod"), "{error}");
    }

    #[test]
    fn label_studios_and_libpqs_names_of_tls_are_heeded() {
        let with = |name, value| server(&Sources::for_test(&[], &[(name, value)], "").unwrap()).unwrap();
        for name in ["LSHOOKD_SSLMODE", "POSTGRE_SSL_MODE", "LABEL_STUDIO_POSTGRE_SSL_MODE", "PGSSLMODE"] {
            assert_eq!(with(name, "verify-full").tls.mode, SslMode::VerifyFull, "{name}");
        }
        for name in ["POSTGRE_SSLROOTCERT", "PGSSLROOTCERT"] {
            assert_eq!(with(name, "/ca.pem").tls.root_cert.as_deref(), Some("/ca.pem"), "{name}");
        }
        assert_eq!(with("PGSSLCERT", "/me.pem").tls.cert.as_deref(), Some("/me.pem"));
        assert_eq!(with("PGHOST", "db.example").config.get_hosts().len(), 1);
        assert!(with("PGHOST", "db.example").display().contains("db.example"));
        assert!(with("DATABASE_URL", "").hint.is_some_and(|hint| hint.contains("environment file")));
        assert!(with("POSTGRE_NAME", "ls").hint.is_none());
    }
}
