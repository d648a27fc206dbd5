//! TLS towards the database: verified or none. There is no "encrypted but unverified".

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::{Address, Error};

/// How the way to the database is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Off,
    /// By TLS, the server's certificate verified against these authorities (PEM), or the public ones.
    Verified {
        /// PEM text of the authorities; `None`: the public ones.
        authorities: Option<Vec<u8>>,
    },
}

/// Begins TLS on a connection whose server agreed to it.
pub(crate) fn protect(
    stream: TcpStream,
    address: &Address,
    authorities: Option<&[u8]>,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Error> {
    let refused = |reason: String| Error::Tls { address: address.to_string(), reason };
    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|e| refused(format!("the authorities' file: {e}")))?;
                roots.add(certificate).map_err(|e| refused(format!("the authorities' file: {e}")))?;
            }
            if roots.is_empty() {
                return Err(refused("the authorities' file has no certificate".to_owned()));
            }
        }
    }
    // Named, not taken from a process-wide default that another part of the program may have set.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| refused(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(address.host.clone())
        .map_err(|_| refused(format!("`{}` is no name that a certificate can have", address.host)))?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(|e| refused(e.to_string()))?;
    let mut stream = StreamOwned::new(connection, stream);
    // At once, so that a certificate that does not fit is said to be the reason.
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|e| match e.kind() {
            std::io::ErrorKind::InvalidData => refused(e.to_string()),
            _ => Error::Lost { address: address.to_string(), source: e },
        })?;
    }
    Ok(stream)
}
