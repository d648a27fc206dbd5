//! Keyed tables and the shape of a fold.
//!
//! State is a fold of the journal (LAW 2): it is kept hot in memory, many changes to one key coalesce, and
//! a partition's changes are written together with its position in one atomic batch. Losing this store
//! loses nothing but time. This room knows nothing of people, contracts or HTTP; it only knows that some
//! values must be sealed under their owner's key before they touch a disk, and asks a [`Seal`] for that.

mod database;
mod digest;
mod fold;
mod key;
mod lately;
mod table;

pub use database::{Database, Error, Write, compact};
pub use digest::Digest;
pub use fold::{Emissions, Fold};
pub use key::Key;
pub use table::{Pending, Scope, Stored, Table, Value};

use event::Subject;

/// Seals and opens values under their owner's key. The vault is one; the store never sees a key.
pub trait Seal: Send + Sync {
    /// Seals `plain` for `owner`; `column` names what it is and is bound to it.
    ///
    /// # Errors
    /// [`SealError`] where the owner has no key or it cannot be read.
    fn seal(&self, owner: Subject, column: &str, plain: &[u8]) -> Result<Vec<u8>, SealError>;

    /// Opens what [`Seal::seal`] made; `None` where the owner's key has been destroyed.
    ///
    /// # Errors
    /// [`SealError`] where the bytes were not sealed for this owner and column.
    fn open(&self, owner: Subject, column: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError>;
}

/// Sealing or opening did not work; the message never holds a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SealError(pub String);
