//! What keeps the door from opening.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR7040, explained in docs/errors/MR7040.md
    #[error(
        "cannot listen at {address}: {source}; is another server there? `listen` in the settings names the place"
    )]
    Listen {
        /// Where it should.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// MR7041, explained in docs/errors/MR7041.md
    #[error("the TLS file `{}` cannot be used: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// MR7042, explained in docs/errors/MR7042.md
    #[error("`{given}` is no collector's address: one like http://127.0.0.1:4318 is expected")]
    Collector {
        /// What the settings say.
        given: String,
    },
    /// MR7043, explained in docs/errors/MR7043.md
    #[error("the system gives no threads or sockets to serve with: {source}")]
    Runtime {
        /// What the system said.
        source: std::io::Error,
    },
    /// MR3410, explained in docs/errors/MR3410.md
    #[error("people cannot log in here: {reason}")]
    Login {
        /// What is missing.
        reason: String,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "MR7040",
            Self::Tls { .. } => "MR7041",
            Self::Collector { .. } => "MR7042",
            Self::Runtime { .. } => "MR7043",
            Self::Login { .. } => "MR3410",
        }
    }
}
