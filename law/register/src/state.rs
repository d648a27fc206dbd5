//! What people have said and the house has found about one use case.

use event::Instant;
use serde::{Deserialize, Serialize};

use crate::ai_act::Class;
use crate::assessment::Assessment;

/// Assessments that are kept of a use case; the journal keeps all.
pub(crate) const MAX_HISTORY: usize = 100;

/// A named person said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Who.
    pub by: String,
    /// When.
    pub at: Instant,
    /// What they add.
    pub note: String,
}

/// The impact assessment that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DpiaState {
    /// What was signed: [`Assessment::hash`].
    pub hash: String,
    /// By whom; nobody twice.
    pub signatures: Vec<Signature>,
}

/// A person stopped it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Who.
    pub by: String,
    /// When.
    pub at: Instant,
    /// Why.
    pub reason: String,
    /// Who would let it go on; it does once they are enough.
    pub resumes: Vec<Signature>,
}

/// An earlier finding, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// When.
    pub at: Instant,
    /// Of which version.
    pub version: String,
    /// The class then in force.
    pub class: Class,
    /// By which rules.
    pub rules: String,
    /// Whether an impact assessment was due.
    pub dpia_due: bool,
}

/// What is known of one use case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseCaseState {
    /// The latest finding, and when it was made.
    pub assessed: Option<(Instant, Assessment)>,
    /// The ones before, oldest first.
    pub earlier: Vec<Earlier>,
    /// What runs, and since when: [`Assessment::hash`].
    pub activated: Option<(Instant, String)>,
    /// The impact assessment.
    pub dpia: Option<DpiaState>,
    /// Where it is stopped.
    pub stop: Option<Stop>,
}

impl UseCaseState {
    /// Whether exactly this was let in before.
    pub fn runs(&self, hash: &str) -> bool {
        self.activated.as_ref().is_some_and(|(_, known)| known == hash)
    }

    /// How many people have signed this.
    pub fn signatures_on(&self, hash: &str) -> u8 {
        let signed = self.dpia.as_ref().filter(|dpia| dpia.hash == hash);
        signed.map_or(0, |dpia| u8::try_from(dpia.signatures.len()).unwrap_or(u8::MAX))
    }
}

/// What a person says of one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may be carried out.
    Approve,
    /// It is not carried out.
    Overrule,
}

/// What people said of one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The use case.
    pub use_case: String,
    /// How many must approve.
    pub eyes: u8,
    /// Who approved.
    pub approvals: Vec<Signature>,
    /// Who overruled it: one is enough.
    pub overruled: Option<Signature>,
}

impl Review {
    /// Whether it may be carried out; `None` where too few have looked.
    pub fn verdict(&self) -> Option<Verdict> {
        if self.overruled.is_some() {
            return Some(Verdict::Overrule);
        }
        (self.approvals.len() >= usize::from(self.eyes)).then_some(Verdict::Approve)
    }
}
