//! Why a decision came out as it did, for people: as data, and as text in English and German.

use event::{Instant, Position, RecordId};
use serde::Serialize;

use crate::choose::{Candidate, Excluded};
use crate::explain_text;
use crate::money::Cents;
use crate::outcome::{Outcome, Send};
use crate::record::{Chosen, DecisionRecord, HeldOut, ModelUsed, Reservation};
use crate::reproduce::reproduce;
use crate::situation::{CapState, Consent};
use crate::value::Input;

/// Why a decision came out as it did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The decision.
    pub decision: RecordId,
    /// Where it lies in its partition, where that is known.
    pub position: Option<Position>,
    /// The use case.
    pub use_case: String,
    /// Its version.
    pub use_case_version: String,
    /// The profile.
    pub profile: String,
    /// When.
    pub at: Instant,
    /// The purpose.
    pub purpose: String,
    /// What was chosen.
    pub chosen: Chosen,
    /// What it costs.
    pub cost: Cents,
    /// The currency of every amount in it.
    pub currency: String,
    /// What is set aside.
    pub reservation: Option<Reservation>,
    /// What it might have spent.
    pub allowed: Option<Cents>,
    /// Whether the evidence is at hand; where it is not, the three lists after it are empty.
    pub has_evidence: bool,
    /// The feasible set, the most likely first.
    pub feasible: Vec<Candidate>,
    /// Every other action with its reasons.
    pub why_not: Vec<Excluded>,
    /// Values with their versions.
    pub inputs: Vec<Input>,
    /// How one was drawn.
    pub policy: String,
    /// The share that explores.
    pub exploration: f64,
    /// The models that scored.
    pub models: Vec<ModelUsed>,
    /// The consents.
    pub consents: Vec<Consent>,
    /// Their epoch.
    pub consent_epoch: u64,
    /// The caps.
    pub caps: Vec<CapState>,
    /// The holdout and the arm.
    pub holdout: HeldOut,
    /// How long deciding took, in microseconds.
    pub latency_us: u32,
    /// Whether it reproduces bit for bit: `None`: without evidence nobody can tell.
    pub reproduces: Option<bool>,
    /// What became of the action.
    pub sends: Vec<Send>,
    /// What followed.
    pub outcomes: Vec<Outcome>,
}

/// The languages of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
}

/// Explains a decision.
///
/// * `record`: with its evidence opened, where the reader may see it
pub fn explain(record: &DecisionRecord, outcomes: &[Outcome], sends: &[Send]) -> Explanation {
    let evidence = record.evidence.as_ref();
    let mut feasible = evidence.map(|e| e.candidates.clone()).unwrap_or_default();
    // Stable: equals stay in the use case's order.
    feasible.sort_by(|a, b| b.propensity.total_cmp(&a.propensity));
    let crate::policy::Policy::EpsilonGreedy { epsilon } = record.policy;
    Explanation {
        decision: record.decision,
        position: record.position,
        use_case: record.use_case.clone(),
        use_case_version: record.use_case_version.to_string(),
        profile: record.profile.clone(),
        at: record.at,
        purpose: record.purpose.clone(),
        chosen: record.chosen.clone(),
        cost: record.cost,
        currency: record.currency.clone(),
        reservation: record.reservation.clone(),
        allowed: record.allowance.as_ref().map(|allowance| allowance.amount),
        has_evidence: evidence.is_some(),
        feasible,
        why_not: evidence.map(|e| e.why_not.clone()).unwrap_or_default(),
        inputs: evidence.map(|e| e.inputs.clone()).unwrap_or_default(),
        policy: record.policy.name().to_owned(),
        exploration: epsilon,
        models: record.models.clone(),
        consents: record.consents.clone(),
        consent_epoch: record.consent_epoch,
        caps: record.caps.clone(),
        holdout: record.holdout.clone(),
        latency_us: record.latency_us,
        reproduces: evidence.map(|_| reproduce(record).is_ok()),
        sends: sends.to_vec(),
        outcomes: outcomes.to_vec(),
    }
}

impl Explanation {
    /// The explanation as text.
    pub fn text(&self, language: Language) -> String {
        explain_text::write(self, language)
    }
}
