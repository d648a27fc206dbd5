//! Rights of people (GDPR articles 15 to 22): what they ask for is written down, answered within a month, and each answer is
//! receipted by every store.
//!
//! ```text
//! open ──► escalated (day 25) ──► overdue        refused, with a reason
//!   │            │                   │
//!   └────────────┴──── fulfilled ────┴──► telling: who got the data is told (article 19)
//! ```
//! Access and portability hand something over: it is made when it is fetched, never stored, and the receipt holds its
//! SHA-256. To fulfil a request again gives the same receipts and does nothing twice.

mod correcting;
mod corrections;
mod dossier;
mod fulfil;
mod portable;
mod requests;
mod sections;
mod what_if;

pub use correcting::Correction;
pub(crate) use corrections::CORRECTIONS;
pub use corrections::{Corrections, Tables as CorrectionTables};
pub use fulfil::HandedOver;
pub use requests::{RequestAsked, RequestStanding};

/// One act at a time: a request is not fulfilled twice, nor two corrections of one record weighed against the same past.
#[derive(Default)]
pub(crate) struct Desk {
    turn: parking_lot::ReentrantMutex<()>,
}

fn refuse<T>(reason: String) -> Result<T, crate::Error> {
    Err(register::Error::Request { reason }.into())
}
