//! All that a decision is made from, gathered by the caller: `choose` looks at nothing else.

use event::{Instant, RecordId, Span, Subject};
use serde::{Deserialize, Serialize};

use crate::money::Cents;
use crate::usecase::Cap;
use crate::value::Input;

/// All that a decision is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    /// The subject the decision is recorded under.
    pub subject: Subject,
    /// The profile it belongs to.
    pub profile: String,
    /// All subjects of the profile, [`Situation::subject`] among them.
    pub members: Vec<Subject>,
    /// The moment decided at.
    pub at: Instant,
    /// Values of the inputs; what is not here is missing.
    pub inputs: Vec<Input>,
    /// What models say, per action that a model scores.
    pub scores: Vec<Score>,
    /// Which purposes are allowed. What is not here is not allowed.
    pub consents: Vec<Consent>,
    /// The epoch of the consents.
    pub consent_epoch: u64,
    /// How many contacts lie in the window of each cap, in the use case's order. A count that is not here is
    /// unknown, and what falls under that cap is not feasible (LAW 7).
    pub cap_counts: Vec<u32>,
    /// What may be spent on this decision (LAW 7): set aside for it beforehand. `None`: nothing.
    pub allowance: Option<Allowance>,
    /// Whether the profile gets nothing, to measure against.
    pub holdout: Arm,
    /// How long the reservation stands before it may be given back unsent.
    pub reserve_for: Span,
}

/// What a model says about one action for this person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The action.
    pub action: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// In which release it was served: `live`, `canary`.
    pub release: String,
    /// The expected number of successes if the action is done: a probability for most goals.
    pub score: f64,
}

/// The standing of one purpose for this profile, all members heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    /// The purpose.
    pub purpose: String,
    /// The channel it is about; empty: the purpose as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// Whether processing for it is allowed.
    pub allowed: bool,
    /// Why: `granted`, `withdrawn`, `never given`, `legitimate_interest`, …
    pub reason: String,
    /// The version of the notice that was shown, where there was one.
    pub notice_version: Option<String>,
    /// Since when.
    pub since: Option<Instant>,
}

/// Money that this decision may spend and no other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// The grant it comes from.
    pub grant: RecordId,
    /// The account behind it.
    pub account: String,
    /// How much.
    pub amount: Cents,
    /// When the grant lapses.
    pub expires: Instant,
}

/// Which arm of the holdout a profile is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// True: gets nothing.
    pub held_out: bool,
    /// Since when, where it was assigned before this decision.
    pub since: Option<Instant>,
}

/// A cap and how far it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapState {
    /// The cap.
    pub cap: Cap,
    /// Contacts in its window; `None` where not known.
    pub count: Option<u32>,
}

impl Situation {
    /// Whether a purpose is allowed on a channel, or as a whole with the empty one; `None` where nothing is said of that.
    pub fn allowed_on(&self, purpose: &str, channel: &str) -> Option<bool> {
        let said = |consent: &&Consent| consent.purpose == purpose && consent.channel == channel;
        let mut standing = self.consents.iter().filter(said).peekable();
        standing.peek()?;
        // Where a caller names one twice, any denial denies.
        Some(standing.all(|consent| consent.allowed))
    }

    /// True where any input derives from a personal field: everything computed from inputs is then personal.
    pub fn is_personal(&self) -> bool {
        self.inputs.iter().any(|input| input.personal)
    }
}
