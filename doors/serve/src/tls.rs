//! TLS, where the settings ask for it: rustls with ring, nothing older than TLS 1.2.

use std::path::Path;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::Error;
use crate::settings::Tls;

/// Reads certificate and key.
pub(crate) fn load(tls: &Tls) -> Result<RustlsConfig, Error> {
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|e| refused(&tls.certificate, e.to_string()))?;
    if certificates.is_empty() {
        return Err(refused(&tls.certificate, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|e| refused(&tls.key, e.to_string()))?;
    // Named, not taken from a process-wide default that another part of the program may have set.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|e| refused(&tls.certificate, e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

fn refused(path: &Path, reason: String) -> Error {
    Error::Tls { path: path.to_owned(), reason }
}
