//! What follows from a decision: outcomes, and what became of its action.

use event::{Instant, RecordId};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::money::Cents;

/// The stream of outcomes, keyed by the decision's subject.
pub const OUTCOMES: &str = "mr.outcomes";
/// The stream of sends, keyed by the decision's subject.
pub const SENDS: &str = "mr.sends";

/// The payload of a record in `mr.outcomes`; the record's id tells duplicates apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The version of this payload.
    pub v: u16,
    /// The decision it belongs to.
    pub decision: RecordId,
    /// What happened: `click`, `redeem`, `order`, `complaint`.
    pub kind: String,
    /// What it was worth, where that is known.
    #[serde(default)]
    pub value: Option<Cents>,
    /// When it happened; it may be told much later.
    pub occurred_at: Instant,
}

/// The payload of a record in `mr.sends`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// The version of this payload.
    pub v: u16,
    /// The decision whose action it is.
    pub decision: RecordId,
    /// The action.
    pub action: String,
    /// The channel.
    pub channel: String,
    /// When.
    pub at: Instant,
    /// What became of it.
    pub status: SendStatus,
    /// Who claims it: an export's or a sender's name. The first claim stands.
    #[serde(default)]
    pub claim: String,
    /// Why it failed or was given back.
    #[serde(default)]
    pub reason: String,
}

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendStatus {
    /// Somebody is about to send it. From here on it can no longer lapse.
    Claimed,
    /// It left.
    Sent,
    /// It did not leave and will not.
    Failed,
    /// It lapsed or was called off before anybody claimed it.
    Released,
}

macro_rules! payload {
    ($name:ident, $stream:ident) => {
        impl $name {
            /// The payload's bytes.
            pub fn to_payload(&self) -> Vec<u8> {
                // Texts, ids and whole numbers: there is nothing in it that JSON cannot say.
                serde_json::to_vec(self).unwrap_or_default()
            }

            /// Reads a payload.
            ///
            /// # Errors
            /// [`Error::Record`]
            pub fn from_payload(bytes: &[u8]) -> Result<Self, Error> {
                let bad = |reason: String| Error::Record { stream: $stream, reason };
                let read: Self = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
                if read.v == 1 {
                    Ok(read)
                } else {
                    Err(bad(format!("it has version {}; this build reads version 1", read.v)))
                }
            }
        }
    };
}
payload!(Outcome, OUTCOMES);
payload!(Send, SENDS);
