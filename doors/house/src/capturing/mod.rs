//! Captures: what changes in PostgreSQL databases becomes records, each exactly once.
//!
//! ```text
//! no ledger → intended → slot made → tables copied into a sealed spool → begun → spool appended → streaming
//! ```
//! Rows are appended in one append with a note of how far they got ([`ledger`]), and the database is told only what
//! such a note holds. So after a kill of either side the capture goes on behind the last durable row: what the
//! database sends again is skipped, what it was told it need not send again is here (LAW 1). The copy of the tables as
//! they were lies sealed in a spool of its own until it is appended whole, because the database cannot show that
//! instant a second time.

mod desk;
mod ledger;
mod run;
mod settings;
mod spool;
mod start;
mod stream;

pub(crate) use desk::Desk;
pub use desk::Live;
pub(crate) use ledger::{CAPTURES, CaptureFold, Tables};
pub use ledger::{CaptureCounts, CaptureStage, CaptureState, Noticed, OpCounts};
pub use run::{CaptureView, Until};
pub use settings::CaptureSettings;
pub(crate) use settings::check;
