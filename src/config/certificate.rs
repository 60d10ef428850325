//! Certificates that settings name by file.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate of ours, with the chain up to its authority, and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The host that asks for it, in lower case.
    pub host: String,
    /// Our certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: Arc<PrivateKeyDer<'static>>,
}

/// All certificates in a PEM file; at least one.
pub fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(format!("{path} holds no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("cannot read certificates from {path}: {error}")),
    }
}

/// `host=file`, the file holding a certificate and its key in PEM.
pub fn identity(text: &str) -> Result<Identity, String> {
    let (host, path) = text.split_once('=').ok_or_else(|| format!("{text:?} is not host=file"))?;
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| format!("cannot read a key from {path}: {error}"))?;
    Ok(Identity { host: host.trim().to_lowercase(), chain: certificates(path)?, key: Arc::new(key) })
}
