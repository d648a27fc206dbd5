//! Intake: what comes from outside becomes records.
//!
//! Four doors lead here: the tracking protocol ([`segment`]), files ([`file`](mod@file)), webhooks ([`webhook`]), and
//! documents posted for a stream. All give an [`Incoming`], which [`Intake::accept_all`] binds and judges by its contract, dates, names
//! and seals. What does not pass is sealed whole into quarantine with its findings. Appending is the
//! caller's.
//!
//! This room knows nothing of HTTP, of the journal, or of what records are used for.

mod accept;
mod error;
pub mod file;
mod incoming;
mod json;
mod judge;
mod seen;
pub mod segment;
mod signals;
pub mod webhook;

pub use accept::{Arrival, Counts, Intake, Outcome, open_part, owner, raw, reopen};
pub use error::{Error, Refusal};
pub use incoming::{Incoming, Origin, Said};
pub use judge::{QUARANTINE, UNKNOWN};
pub use seen::Seen;

/// Reads one JSON document that was posted for a stream.
///
/// # Errors
/// MR2001 where it is no JSON, MR2002 where it nests too deep, MR2004 where it is larger than 32 KiB.
pub fn document(stream: event::StreamName, body: &[u8]) -> Result<Incoming, Refusal> {
    let most = segment::MAX_EVENT_BYTES;
    if body.len() > most {
        let message = format!("the document has {} bytes; {most} are the most", body.len());
        return Err(Refusal::new(error::codes::EVENT_SIZE, message));
    }
    json::parse(body).map(|raw| Incoming::for_stream(stream, raw))
}
