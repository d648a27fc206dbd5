//! What the door is told at start. Secrets are not among it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How the door stands.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; loopback unless told otherwise. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate and key; none means plain HTTP.
    pub tls: Option<Tls>,
    /// Mean requests per second and key.
    pub rate_per_second: u32,
    /// Requests at once and key.
    pub rate_burst: u32,
    /// After this long a request is given up with MR7027.
    pub timeout: Duration,
    /// How long a shutdown waits for requests under way.
    pub drain: Duration,
    /// Connections open at once. Each costs a file descriptor, and the journal needs some too.
    pub max_connections: usize,
    /// Requests under way at once.
    pub max_in_flight: usize,
    /// Origins whose browsers may send events, like `https://shop.example`; `*` is every origin.
    pub browser_origins: Vec<String>,
    /// True where `/metrics` needs no key. [`Settings::listening_at`] sets it for loopback only.
    pub open_metrics: bool,
    /// An OTLP/HTTP collector, like `http://127.0.0.1:4318`; none exports no traces.
    pub otlp: Option<String>,
}

/// The files TLS needs.
#[derive(Clone, Debug)]
pub struct Tls {
    /// PEM file of the certificate chain.
    pub certificate: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
}

impl Settings {
    /// The defaults at `listen`.
    pub fn listening_at(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            rate_per_second: 20_000,
            rate_burst: 40_000,
            timeout: Duration::from_secs(30),
            drain: Duration::from_secs(20),
            max_connections: 512,
            max_in_flight: 512,
            browser_origins: Vec::new(),
            open_metrics: listen.ip().is_loopback(),
            otlp: None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::listening_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 8600)))
    }
}
