//! Where the log lies open.

use std::time::{Duration, Instant};

use audit::{Log, Signer};
use parking_lot::Mutex;

/// How long entries may wait for a checkpoint while more are written.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// What the house holds of its log.
#[derive(Default)]
pub(crate) struct Desk {
    /// Held while an entry is stamped and queued.
    pub(super) turn: Mutex<()>,
    /// The log; none until the house has checked it.
    pub(super) log: Mutex<Option<Held>>,
}

/// The open log and what signs it.
pub(super) struct Held {
    pub(super) log: Log,
    pub(super) signer: Signer,
    /// When it was brought up to date last.
    pub(super) at: Instant,
    /// True once it could not be: said once, not with every entry.
    pub(super) failed: bool,
}
