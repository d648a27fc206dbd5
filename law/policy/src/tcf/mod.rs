//! TC strings of the Transparency and Consent Framework, version 2 of the format, as TCF 2.3 writes it: decoded, nothing else.
//!
//! They come from browsers, so everything in them is doubted: each length is checked before it is read, a string of 32 KiB
//! is the longest, and what is made of it is never larger than it is itself. `lib_tcstring`, which the tests compare
//! this with, ends the process on a string that is cut off inside a range.
//!
//! # Source
//! IAB Tech Lab, *Consent string and vendor list formats v2*, with the changes of TCF 2.3: the segment of disclosed vendors
//! is mandatory since 2026-02-28.

mod bits;
mod decode;

pub use bits::VendorSet;
pub use decode::{Restriction, RestrictionKind, TcString};

use event::Instant;

/// The longest TC string that is read.
pub const MAX_BYTES: usize = 32 * 1024;

/// Why a TC string is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// MR3510, explained in docs/errors/MR3510.md
    #[error("MR3510: `{shown}` is no TC string: {reason}")]
    Unreadable {
        /// Its beginning.
        shown: String,
        /// What is wrong with it.
        reason: String,
    },
    /// MR3511, explained in docs/errors/MR3511.md
    #[error("MR3511: `{shown}` is a TC string of version {version}; version 2 is read")]
    Version {
        /// Its beginning.
        shown: String,
        /// Its version.
        version: u64,
    },
    /// MR3512, explained in docs/errors/MR3512.md
    #[error(
        "MR3512: the TC string of {updated} does not say which vendors were disclosed; since 2026-02-28 it must \
         (TCF 2.3)"
    )]
    NotDisclosed {
        /// When it was last changed.
        updated: Instant,
    },
}

impl Error {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "MR3510",
            Self::Version { .. } => "MR3511",
            Self::NotDisclosed { .. } => "MR3512",
        }
    }
}
