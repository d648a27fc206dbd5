//! Keys, sealing and pseudonyms: what makes personal data readable, and can stop doing so.
//!
//! ```text
//! master (outside) → root → 1,024 bucket keys → one key per subject → one key per column → cell
//! ```
//! Each key is random and wrapped by the one above it; column keys are derived. To forget a person, their
//! bucket key is renewed and the other ~1,000 keys of the bucket are wrapped anew, then the root over the
//! buckets: the old bytes, wherever they still lie, open nothing. The root is bound to an [anchor](Master::anchored_at)
//! outside of the data directory that is new with every root, so that it reaches backups too.
//!
//! The vault is the one store that is no fold: what is destroyed here does not come back by a replay.
//!
//! This room knows nothing of contracts, consent, grants or HTTP. It opens a cell for whoever holds the
//! vault; who may ask is `policy`'s business.
//!
//! Key material shows in no message and no debug output:
//!
//! ```compile_fail
//! fn shown<T: std::fmt::Debug>(_: T) {}
//! shown(vault::Master::from_bytes([7; 32]));
//! ```
//!
//! ```compile_fail
//! fn copied<T: Clone>(_: T) {}
//! copied(vault::Master::from_bytes([7; 32]));
//! ```
//!
//! ```compile_fail
//! fn made_up() -> vault::LinkRight {
//!     vault::LinkRight { from: String::new(), to: String::new() }
//! }
//! ```

mod anchor;
mod cache;
mod cell;
mod dumps;
mod erasing;
mod error;
mod key;
mod master;
mod pseudonym;
mod renewal;
mod root;
mod row;
mod tree;
mod vault;

pub use cell::{CELL_VERSION, cell_epoch};
pub use dumps::no_core_dumps;
pub use erasing::Erasing;
pub use error::Error;
pub use key::{constant_time_eq, random};
pub use master::Master;
pub use pseudonym::{LinkRight, Pseudonym, PurposePseudonyms, normalise};
pub use renewal::{Erasure, Renewed};
pub use vault::Vault;
