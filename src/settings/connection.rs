//! Where Label Studio's database is: a URL, or Label Studio's own five variables.

use tokio_postgres::Config;
use url::Url;

use super::value::read_password;
use super::{SettingError, Sources};
use crate::database::{Server, SslMode};

/// The database, from its URL or from Label Studio's five variables.
pub fn server(sources: &Sources) -> Result<Server, SettingError> {
    let mut ssl_mode = sources.parse("sslmode", str::parse)?;
    let mut ssl_root_cert = sources.parse_optional("sslrootcert", |text| Ok(text.to_owned()))?;
    let config = match sources.parse_optional("database_url", database_url)? {
        Some(url) => {
            ssl_mode = url.ssl_mode.unwrap_or(ssl_mode);
            ssl_root_cert = url.ssl_root_cert.or(ssl_root_cert);
            url.config
        }
        None => {
            let mut config = Config::new();
            let password = match sources.parse_optional("postgre_password_file", read_password)? {
                Some(password) => password,
                None => sources.parse("postgre_password", |text| Ok(text.to_owned()))?,
            };
            config
                .host(sources.parse("postgre_host", |text| Ok(text.to_owned()))?)
                .port(sources.parse("postgre_port", |text| {
                    text.parse::<u16>().map_err(|_| "expected a port number".to_owned())
                })?)
                .dbname(sources.parse("postgre_name", |text| Ok(text.to_owned()))?)
                .user(sources.parse("postgre_user", |text| Ok(text.to_owned()))?)
                .password(password);
            config
        }
    };
    Ok(Server { config, ssl_mode, ssl_root_cert })
}

struct DatabaseUrl {
    config: Config,
    ssl_mode: Option<SslMode>,
    ssl_root_cert: Option<String>,
}

/// A connection URL; what tokio-postgres does not know of libpq's TLS is taken out first.
fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    let mut url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("expected postgres://user:password@host:port/name".to_owned());
    }
    let mut ssl_mode = None;
    let mut ssl_root_cert = None;
    let mut others = Vec::new();
    for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let value = || url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
        match pair.split('=').next() {
            Some("sslmode") => {
                let mode = value().unwrap_or_default().parse().map_err(|reason| format!("sslmode: {reason}"))?;
                ssl_mode = Some(mode);
            }
            Some("sslrootcert") => ssl_root_cert = value(),
            _ => others.push(pair),
        }
    }
    let others = others.join("&");
    url.set_query((!others.is_empty()).then_some(&others));
    // The parser's own message could quote the URL, and with it the password.
    let config = url.as_str().parse().map_err(|_| "PostgreSQL's client library does not understand it".to_owned())?;
    Ok(DatabaseUrl { config, ssl_mode, ssl_root_cert })
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
        assert_eq!(server.ssl_mode, SslMode::VerifyFull);
        assert_eq!(server.ssl_root_cert.as_deref(), Some("/ca.pem"));
        assert_eq!(server.config.get_options(), Some("-c jit=off"));
        assert!(!server.display().contains("pw"));
    }
}
