//! What can go wrong between here and a database, and whether trying again helps.

use std::io;

use crate::Lsn;

/// Codes of findings: of what is wrong with data or settings, not with the work.
pub mod codes {
    /// A table's columns changed while it was captured.
    pub const SCHEMA: &str = "MR2220";
    /// A published table that the settings send nowhere.
    pub const UNMAPPED: &str = "MR2221";
    /// Of updates and deletes only the key is known.
    pub const KEY_ONLY: &str = "MR2222";
    /// Nothing limits what the database keeps for a slot that nobody reads.
    pub const NO_LIMIT: &str = "MR2223";
    /// The settings of a capture do not fit the project.
    pub const SETTINGS: &str = "MR2224";
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// MR2201, explained in docs/errors/MR2201.md
    #[error(
        "`{text}` is no address of a database: {reason}; expected is postgresql://USER@HOST:PORT/DATABASE"
    )]
    Address {
        /// What was given, without a password.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// MR2202, explained in docs/errors/MR2202.md
    #[error(
        "the address of the database holds a password; refer to it instead: password = \"env:NAME\" or \"file:PATH\""
    )]
    Password,
    /// MR2203, explained in docs/errors/MR2203.md
    #[error("the connection to {address} failed: {source}")]
    Lost {
        /// Where to.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// MR2204, explained in docs/errors/MR2204.md
    #[error("PostgreSQL refuses to {doing}: {message} (SQLSTATE {state}){hint}")]
    Refused {
        /// What was asked of it.
        doing: String,
        /// What it said.
        message: String,
        /// Its code.
        state: String,
        /// What it advises, in brackets.
        hint: String,
    },
    /// MR2205, explained in docs/errors/MR2205.md
    #[error("no protected connection to {address}: {reason}")]
    Tls {
        /// Where to.
        address: String,
        /// Why.
        reason: String,
    },
    /// MR2206, explained in docs/errors/MR2206.md
    #[error("cannot log in to {address}: {reason}")]
    Login {
        /// Where to.
        address: String,
        /// Why.
        reason: String,
    },
    /// MR2207, explained in docs/errors/MR2207.md
    #[error("{address} says something that is no PostgreSQL: {reason}")]
    Protocol {
        /// Who.
        address: String,
        /// What is odd about it.
        reason: String,
    },
    /// MR2208, explained in docs/errors/MR2208.md
    #[error("the database cannot be captured as it is: {reason}; {remedy}")]
    Unfit {
        /// What is in the way.
        reason: String,
        /// What to do, as SQL where it is.
        remedy: String,
    },
    /// MR2209, explained in docs/errors/MR2209.md
    #[error("the replication slot `{slot}` is there already and not of this instance: {reason}")]
    SlotTaken {
        /// The slot.
        slot: String,
        /// What is known of it.
        reason: String,
    },
    /// MR2210, explained in docs/errors/MR2210.md
    #[error(
        "the replication slot `{slot}` {what}: what changed in the database since {reached} can no longer be had one \
         by one; `maschinenraum capture SOURCE --drop` and a new capture take the tables as they are now"
    )]
    SlotGone {
        /// The slot.
        slot: String,
        /// What happened to it.
        what: &'static str,
        /// Up to where it was taken.
        reached: Lsn,
    },
    /// MR2211, explained in docs/errors/MR2211.md
    #[error(
        "the replication slot `{slot}` was moved on to {found}, but this instance has changes only up to {reached}: \
         what lies between went elsewhere"
    )]
    Moved {
        /// The slot.
        slot: String,
        /// Where it stands.
        found: Lsn,
        /// What is here.
        reached: Lsn,
    },
    /// MR2212, explained in docs/errors/MR2212.md
    #[error("this is another database than the one whose changes are here: {found}, not {known}")]
    OtherDatabase {
        /// The one that answers, as system identifier and name.
        found: String,
        /// The one that was captured.
        known: String,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Address { .. } => "MR2201",
            Self::Password => "MR2202",
            Self::Lost { .. } => "MR2203",
            Self::Refused { .. } => "MR2204",
            Self::Tls { .. } => "MR2205",
            Self::Login { .. } => "MR2206",
            Self::Protocol { .. } => "MR2207",
            Self::Unfit { .. } => "MR2208",
            Self::SlotTaken { .. } => "MR2209",
            Self::SlotGone { .. } => "MR2210",
            Self::Moved { .. } => "MR2211",
            Self::OtherDatabase { .. } => "MR2212",
        }
    }

    /// True where the same may succeed a moment later without anybody's doing: the network, a server that starts or
    /// stops, a slot whose last reader the server has not missed yet.
    pub fn retry_helps(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            // Connection trouble, too few resources, an operator's hand, a system error, an object in use.
            Self::Refused { state, .. } => {
                ["08", "53", "57", "58"].iter().any(|class| state.starts_with(class)) || state == "55006"
            }
            _ => false,
        }
    }
}
