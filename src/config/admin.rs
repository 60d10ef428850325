//! Who may look at the daemon, and from where.

use std::net::SocketAddr;
use std::path::PathBuf;

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

/// The admin listener.
#[derive(Clone)]
pub struct Admin {
    /// Where it listens.
    pub listen: Listen,
    /// Whether anything may be changed.
    pub write: bool,
    /// The password, if there is one. Never printed.
    pub password: Option<String>,
    /// The header that a reverse proxy sets, in lower case.
    pub header: Option<String>,
    /// Names by which it may be asked for, beside addresses and `localhost`.
    pub hosts: Vec<String>,
}

/// The admin listener, which is not left open to everybody.
pub fn admin(sources: &Sources) -> Result<Admin, SettingError> {
    let given = |text: &str| Ok(text.to_owned());
    let password = match sources.parse_optional("admin_password_file", read_password)? {
        Some(password) => Some(password),
        None => sources.parse_optional("admin_password", given)?,
    };
    let password = password.filter(|password| !password.is_empty());
    let header = sources.parse_optional("admin_header", |text| Ok(text.to_lowercase()))?;
    let header = header.filter(|header| !header.is_empty());
    let guarded = password.is_some() || header.is_some();
    let listen = sources.parse("admin_listen", |text| match listen(text)? {
        listen if listen.is_public() && !guarded => {
            Err("others can reach this address; set admin_password or admin_header as well".to_owned())
        }
        listen => Ok(listen),
    })?;
    let hosts = sources.parse("admin_hosts", |text| list(text, |host| Ok(host.to_lowercase())))?;
    Ok(Admin { listen, write: sources.parse("admin_write", boolean)?, password, header, hosts })
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
        assert!(from(&[public, ("LSHOOKD_ADMIN_HEADER", "X-Forwarded-User")]).is_ok());
        assert!(from(&[public, ("LSHOOKD_ADMIN_PASSWORD", "")]).is_err());
    }
}
