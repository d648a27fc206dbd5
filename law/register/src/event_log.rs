//! What is appended to the control partition.

use event::RecordId;
use serde::{Deserialize, Serialize};

use crate::assessment::Assessment;
use crate::incident::Incident;
use crate::request::{Fulfilled, Request};
use crate::state::Verdict;

/// The stream of registers, in the control partition. It names people who act for the company; of those whom data
/// are about, a request keeps the pseudonym, as an erasure does.
pub const REGISTERS: &str = "mr.registers";

/// A person acts and says why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Who.
    pub by: String,
    /// Why, or what they add.
    pub reason: String,
}

/// The payload of a record in [`REGISTERS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A use case was assessed and something was new.
    Assessed(Box<Assessment>),
    /// It may decide, as it was assessed: from now on it runs.
    Activated {
        /// The use case.
        use_case: String,
        /// What was assessed.
        hash: String,
    },
    /// A person signed an impact assessment.
    DpiaSigned {
        /// The use case.
        use_case: String,
        /// What was signed.
        hash: String,
        /// Who, and what they add.
        said: Said,
    },
    /// A person stopped a use case.
    Stopped {
        /// The use case.
        use_case: String,
        /// Who, and why.
        said: Said,
    },
    /// A person would let it go on.
    Resumed {
        /// The use case.
        use_case: String,
        /// Who, and why.
        said: Said,
        /// How many must say so.
        eyes: u8,
    },
    /// A person looked at one decision.
    Reviewed {
        /// The decision.
        decision: RecordId,
        /// Its use case.
        use_case: String,
        /// What they say.
        verdict: Verdict,
        /// Who, and why.
        said: Said,
        /// How many must approve.
        eyes: u8,
    },
    /// Something happened.
    IncidentOpened(Box<Incident>),
    /// Somebody was told of it.
    IncidentTold {
        /// The incident.
        incident: String,
        /// Which clock this stops.
        clock: String,
        /// Who told them, and the reference.
        said: Said,
    },
    /// Somebody asked for what is theirs.
    RequestOpened(Box<Request>),
    /// It takes longer.
    RequestExtended {
        /// The request.
        request: String,
        /// How many months more.
        months: i8,
        /// Who says so, and why.
        said: Said,
    },
    /// It was told that it is not answered yet.
    RequestEscalated {
        /// The request.
        request: String,
    },
    /// It is done.
    RequestFulfilled(Box<Fulfilled>),
    /// Nothing is done about it.
    RequestRefused {
        /// The request.
        request: String,
        /// Who says so, and why.
        said: Said,
    },
    /// Somebody who got the data was told.
    RequestTold {
        /// The request.
        request: String,
        /// Who was told.
        recipient: String,
        /// Who told them, and the reference.
        said: Said,
    },
    /// It is over.
    IncidentClosed {
        /// The incident.
        incident: String,
        /// Who says so, and why.
        said: Said,
    },
}

impl Event {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Texts, numbers and lists: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
