//! What the tables hold: plain rows, stored in the order of their fields.

use event::{Instant, RecordId, Span, Subject};
use serde::{Deserialize, Serialize};

use crate::money::Cents;

/// What became of a decision so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The subject it is recorded under.
    pub subject: Subject,
    /// The use case.
    pub use_case: String,
    /// When it was made.
    pub at: Instant,
    /// The chosen action.
    pub action: String,
    /// Its channel.
    pub channel: String,
    /// Its cost.
    pub cost: Cents,
    /// The grant that pays.
    pub grant: Option<RecordId>,
    /// True for a held-out profile.
    pub held_out: bool,
    /// The salt of the holdout it belongs to.
    pub salt: String,
    /// Kinds of outcomes that are its success.
    pub success: Vec<String>,
    /// How long after it.
    pub within: Span,
    /// What a success is worth where the outcome does not say.
    pub success_value: Cents,
    /// From when on the action may be given back unsent.
    pub expires: Instant,
    /// What became of the action.
    pub state: SendState,
    /// Its outcomes, in the order learned.
    pub outcomes: Vec<OutcomeRow>,
}

/// What became of a chosen action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendState {
    /// Nothing was to be done.
    Nothing,
    /// Set aside, unsent.
    Reserved,
    /// Somebody is about to send it.
    Claimed {
        /// Who.
        claim: String,
    },
    /// It left.
    Sent {
        /// When.
        at: Instant,
    },
    /// It did not leave and will not; what was set aside is given back.
    Released {
        /// Why.
        reason: String,
    },
}

/// One outcome of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// The record that told it.
    pub id: RecordId,
    /// What happened.
    pub kind: String,
    /// What it was worth.
    pub value: Option<Cents>,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was learned.
    pub known_at: Instant,
    /// True where it counts as the decision's success.
    pub success: bool,
}

/// An action that is set aside or about to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenReservation {
    /// The subject.
    pub subject: Subject,
    /// All subjects of the profile at decision time.
    pub members: Vec<Subject>,
    /// The use case.
    pub use_case: String,
    /// The action.
    pub action: String,
    /// Its channel.
    pub channel: String,
    /// What is shown.
    pub creative: String,
    /// What is offered.
    pub offer: String,
    /// The purpose that must still be allowed when it is sent.
    pub purpose: String,
    /// When it was decided.
    pub at: Instant,
    /// From when on it may be given back unsent.
    pub expires: Instant,
    /// How much is set aside.
    pub amount: Cents,
    /// The grant it comes from.
    pub grant: Option<RecordId>,
    /// Who claims it; empty while nobody does.
    pub claim: String,
}

/// One contact that counts for caps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The decision.
    pub decision: RecordId,
    /// The use case.
    pub use_case: String,
    /// The action.
    pub action: String,
    /// The channel.
    pub channel: String,
    /// When it was decided, and once sent, when it was sent.
    pub at: Instant,
    /// True once sent; until then it counts whatever the window, because it may be sent at any moment.
    pub sent: bool,
}

/// Which arm a subject was assigned first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// True: gets nothing.
    pub held_out: bool,
    /// When the house learned of it.
    pub known_at: Instant,
}

/// Something wrong with a record of a system stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFinding {
    /// `MR5021`, explained in docs/errors/MR5021.md.
    pub code: String,
    /// The stream.
    pub stream: String,
    /// The record's subject.
    pub subject: Subject,
    /// What is wrong.
    pub message: String,
    /// When the house learned of it.
    pub known_at: Instant,
}

/// What a budget may spend, at its home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetTerms {
    /// The most in each period.
    pub total: Cents,
    /// Three letters.
    pub currency: String,
    /// When it begins anew.
    pub period: crate::Period,
}

/// One period of a budget, at its home.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The budget it belongs to.
    pub budget: String,
    /// Granted and not settled.
    pub outstanding: Cents,
    /// Settled as spent.
    pub spent: Cents,
}

/// A grant that is not settled, at the home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outstanding {
    /// The account.
    pub account: String,
    /// Whose it is.
    pub spender: Subject,
    /// How much.
    pub amount: Cents,
}

/// What a partition holds of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purse {
    /// The number of its next ask.
    pub next_seq: u64,
    /// True where the last ask was refused.
    pub refused: bool,
    /// What others held when it was refused.
    pub outstanding_elsewhere: Cents,
    /// Its grants.
    pub grants: Vec<Grant>,
}

/// One grant in a purse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Names it.
    pub grant: RecordId,
    /// How much.
    pub amount: Cents,
    /// Until when decisions may reserve from it.
    pub expires: Instant,
    /// True once nothing more may be reserved.
    pub closed: bool,
}

/// How far a grant is used by this partition's decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Set aside for decisions whose action is not sent.
    pub reserved: Cents,
    /// How many such decisions.
    pub n_open: u32,
    /// Sent.
    pub spent: Cents,
}
