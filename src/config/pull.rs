//! Where consumers pull events, and how long they have them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::value::{above_zero, positive};
use super::{SettingError, Sources, certificates};

/// The listener of consumers.
#[derive(Clone)]
pub struct Pull {
    /// Where it listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Its certificate, with the chain up to its authority, and the key; `None`: it speaks plain HTTP.
    pub identity: Option<(Vec<CertificateDer<'static>>, Arc<PrivateKeyDer<'static>>)>,
    /// How long a consumer has what it was given.
    pub lease: Duration,
    /// So many failed leases an event has before it is dead.
    pub attempts: i32,
}

/// What the settings say of it.
pub fn pull(sources: &Sources) -> Result<Pull, SettingError> {
    let chain = sources.parse_optional("pull_certificate", certificates)?;
    let has_chain = chain.is_some();
    let key = sources.parse_optional("pull_key", |path| {
        if !has_chain {
            return Err("there is no certificate that it belongs to; set pull_certificate as well".to_owned());
        }
        PrivateKeyDer::from_pem_file(path)
            .map(Arc::new)
            .map_err(|error| format!("cannot read a key from {path}: {error}"))
    })?;
    let identity = match (chain, key) {
        (Some(chain), Some(key)) => Some((chain, key)),
        (None, _) => None,
        (Some(_), None) => {
            return Err(SettingError::Invalid {
                key: "pull_certificate",
                origin: "alone".to_owned(),
                reason: "its key is needed as well; set pull_key".to_owned(),
            });
        }
    };
    Ok(Pull {
        listen: sources.parse("pull_listen", |text| match text.trim() {
            "" | "off" => Ok(None),
            text => text.parse().map(Some).map_err(|_| "expected an address such as 127.0.0.1:9188, or off".to_owned()),
        })?,
        identity,
        lease: sources.parse("pull_lease", above_zero)?,
        attempts: sources.parse("pull_attempts", |text| {
            positive(text).and_then(|number| i32::try_from(number).map_err(|_| "is too large".to_owned()))
        })?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(environment: &[(&str, &str)]) -> Result<Pull, SettingError> {
        pull(&Sources::for_test(&[], environment, "")?)
    }

    #[test]
    fn nobody_pulls_unless_the_operator_says_where() {
        assert_eq!(from(&[]).unwrap().listen, None);
        let set = from(&[("LSHOOKD_PULL_LISTEN", "0.0.0.0:9188"), ("LSHOOKD_PULL_LEASE", "5m")]).unwrap();
        assert_eq!((set.listen, set.lease), (Some("0.0.0.0:9188".parse().unwrap()), Duration::from_secs(300)));
        for wrong in [("LSHOOKD_PULL_LISTEN", "host:9188"), ("LSHOOKD_PULL_LEASE", "0"), ("LSHOOKD_PULL_ATTEMPTS", "0")]
        {
            assert!(from(&[wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let path = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_string_lossy().into_owned()
        };
        let certificate = path("certificate.pem", made.cert.pem());
        let key = path("key.pem", made.signing_key.serialize_pem());
        let (certificate, key) = (("LSHOOKD_PULL_CERTIFICATE", &*certificate), ("LSHOOKD_PULL_KEY", &*key));
        assert!(from(&[certificate, key]).unwrap().identity.is_some());
        for alone in [certificate, key] {
            assert!(from(&[alone]).is_err());
        }
    }
}
