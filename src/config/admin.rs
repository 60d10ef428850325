//! Who may look at the daemon, and from where.

use std::net::SocketAddr;
use std::path::PathBuf;

use argon2::PasswordHash;

use super::value::{boolean, list, read_password};
use super::{SettingError, Sources};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On an address.
    Tcp(SocketAddr),
    /// On a Unix socket, which belongs to the daemon's user alone.
    Unix(PathBuf),
}

impl Listen {
    /// Whether others than this machine's users can reach it.
    pub fn is_public(&self) -> bool {
        matches!(self, Listen::Tcp(address) if !address.ip().is_loopback())
    }
}

/// A password as it is configured. Never printed.
#[derive(Clone)]
pub enum Password {
    /// As it is typed.
    Plain(String),
    /// Its hash by Argon2 as a PHC string, which `lshookd hash-password` makes.
    Hashed(String),
}

impl Password {
    fn parse(text: &str) -> Result<Option<Password>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        if !text.starts_with("$argon2") {
            return Ok(Some(Password::Plain(text.to_owned())));
        }
        match PasswordHash::new(text) {
            Ok(_) => Ok(Some(Password::Hashed(text.to_owned()))),
            Err(_) => Err("begins as a hash by Argon2 does, and is none; `lshookd hash-password` makes one".to_owned()),
        }
    }
}

/// The admin listener.
#[derive(Clone)]
pub struct Admin {
    /// Where it listens.
    pub listen: Listen,
    /// Whether anything may be changed.
    pub write: bool,
    /// The password of who may do everything, if there is one.
    pub password: Option<Password>,
    /// The password of who may look alone, if there is one.
    pub viewer_password: Option<Password>,
    /// The header that a reverse proxy sets, in lower case.
    pub header: Option<String>,
    /// What the proxy sends as `X-Lshookd-Secret`, so that nobody else can name somebody. Without, on an address that
    /// any account of this machine can connect to, whoever is named may look alone. Never printed.
    pub header_secret: Option<String>,
    /// Who of those that the proxy names may change something; none: everybody.
    pub writers: Vec<String>,
    /// Names by which it may be asked for, beside addresses and `localhost`.
    pub hosts: Vec<String>,
}

impl Admin {
    /// Whether nobody but the proxy can name somebody in its header.
    pub fn trusts_header(&self) -> bool {
        self.header_secret.is_some() || !matches!(self.listen, Listen::Tcp(_))
    }
}

/// The admin listener, which is not left open to everybody.
pub fn admin(sources: &Sources) -> Result<Admin, SettingError> {
    let header = sources.parse_optional("admin_header", |text| Ok(text.to_lowercase()))?;
    let header = header.filter(|header| !header.is_empty());
    let header_secret = secret(sources, "admin_header_secret_file", "admin_header_secret", given)?.flatten();
    let password = secret(sources, "admin_password_file", "admin_password", Password::parse)?.flatten();
    let viewer_password =
        secret(sources, "admin_viewer_password_file", "admin_viewer_password", Password::parse)?.flatten();
    let listen = sources.parse("admin_listen", |text| match listen(text)? {
        listen if listen.is_public() && password.is_none() && viewer_password.is_none() && header.is_none() => {
            Err("others can reach this address; set admin_password or admin_header as well".to_owned())
        }
        listen if listen.is_public() && header.is_some() && header_secret.is_none() => Err(
            "others than the proxy can reach this address, and name anybody in admin_header; set admin_header_secret \
             as well"
                .to_owned(),
        ),
        listen => Ok(listen),
    })?;
    let hosts = sources.parse("admin_hosts", |text| list(text, |host| Ok(host.to_lowercase())))?;
    let writers = sources.parse("admin_writers", |text| list(text, |name| Ok(name.to_owned())))?;
    let write = sources.parse("admin_write", boolean)?;
    Ok(Admin { listen, write, password, viewer_password, header, header_secret, writers, hosts })
}

/// A secret from a file, or from its own setting.
fn secret<T>(
    sources: &Sources,
    file: &'static str,
    own: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, SettingError> {
    match sources.parse_optional(file, |path| parse(&read_password(path)?))? {
        Some(secret) => Ok(Some(secret)),
        None => sources.parse_optional(own, parse),
    }
}

fn given(text: &str) -> Result<Option<String>, String> {
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

fn listen(text: &str) -> Result<Listen, String> {
    match text.trim() {
        "" | "off" => Ok(Listen::Off),
        text => match text.strip_prefix("unix:") {
            Some(path) => Ok(Listen::Unix(path.into())),
            None => text
                .parse()
                .map(Listen::Tcp)
                .map_err(|_| "expected an address such as 127.0.0.1:9187, unix:/path, or off".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(environment: &[(&str, &str)]) -> Result<Admin, SettingError> {
        admin(&Sources::for_test(&[], environment, "")?)
    }

    #[test]
    fn only_the_loopback_interface_is_open_without_a_password() {
        assert!(from(&[]).unwrap().listen == Listen::Tcp("127.0.0.1:9187".parse().unwrap()));
        assert!(from(&[("LSHOOKD_ADMIN_LISTEN", "off")]).unwrap().listen == Listen::Off);
        assert!(from(&[("LSHOOKD_ADMIN_LISTEN", "unix:/run/lshookd/admin")]).is_ok());
        let public = ("LSHOOKD_ADMIN_LISTEN", "0.0.0.0:9187");
        let error = from(&[public]).err().expect("an error").to_string();
        assert!(error.contains("admin_password"), "{error}");
        assert!(from(&[public, ("LSHOOKD_ADMIN_PASSWORD", "sesame")]).is_ok());
        assert!(from(&[public, ("LSHOOKD_ADMIN_VIEWER_PASSWORD", "sesame")]).is_ok());
        assert!(from(&[public, ("LSHOOKD_ADMIN_PASSWORD", "")]).is_err());
    }

    #[test]
    fn whoever_a_proxy_names_was_named_by_the_proxy() {
        let (header, public) = (("LSHOOKD_ADMIN_HEADER", "X-Forwarded-User"), ("LSHOOKD_ADMIN_LISTEN", "0.0.0.0:9187"));
        let error = from(&[public, header]).err().expect("an error").to_string();
        assert!(error.contains("admin_header_secret"), "{error}");
        assert!(from(&[public, header, ("LSHOOKD_ADMIN_HEADER_SECRET", "")]).is_err());
        assert!(from(&[public, header, ("LSHOOKD_ADMIN_HEADER_SECRET", "sesame")]).is_ok());
        assert!(!from(&[header]).unwrap().trusts_header());
        assert!(from(&[header, ("LSHOOKD_ADMIN_HEADER_SECRET", "sesame")]).unwrap().trusts_header());
        assert!(from(&[header, ("LSHOOKD_ADMIN_LISTEN", "unix:/run/lshookd/admin")]).unwrap().trusts_header());
    }

    #[test]
    fn a_hash_is_one() {
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$bOQYT0v1hOGhdAVpXnsNEuU1WLkGHPBD+NKZ9cEHGDI";
        let admin = from(&[("LSHOOKD_ADMIN_PASSWORD", hash)]).unwrap();
        assert!(matches!(admin.password, Some(Password::Hashed(_))));
        let error = from(&[("LSHOOKD_ADMIN_PASSWORD", "$argon2id$hidden")]).err().expect("an error").to_string();
        assert!(error.contains("hash-password") && !error.contains("hidden"), "{error}");
    }
}
