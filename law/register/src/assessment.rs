//! A use case as it was assessed, and whether it may begin.

use event::Instant;
use serde::{Deserialize, Serialize};

use crate::ai_act::{Class, Classification};
use crate::dpia::DpiaNeed;
use crate::language::Text;
use crate::state::UseCaseState;

/// Something a use case of class high must have and does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The requirement.
    pub id: String,
    /// Where it stands.
    pub article: String,
    /// What it is.
    pub text: Text,
}

/// What was found of a use case at an instant: a record, so that it can be shown what was known when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// The use case.
    pub use_case: String,
    /// Its version.
    pub version: String,
    /// Names what was assessed: inputs, sources, purpose, answers. What was signed is signed for this.
    pub hash: String,
    /// The class with its reasons and the rules' version.
    pub classification: Classification,
    /// Whether an impact assessment is due.
    pub dpia: DpiaNeed,
    /// What class high asks for and is not there.
    pub missing: Vec<Missing>,
}

impl Assessment {
    /// How many people must sign, resume or overrule.
    pub fn eyes(&self) -> u8 {
        self.classification.strictest().eyes()
    }
}

/// Why a use case may not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A person stopped it.
    Stopped {
        /// Who.
        by: String,
        /// When.
        at: Instant,
        /// Why.
        reason: String,
    },
    /// Article 5.
    Prohibited {
        /// Where it stands, and what it is about.
        rules: String,
    },
    /// Class high without what it needs.
    Unready {
        /// What is missing.
        missing: Vec<Missing>,
    },
    /// No impact assessment, or too few signatures.
    Unsigned {
        /// What triggered it.
        triggers: String,
        /// How many must sign.
        eyes: u8,
        /// How many have.
        signed: u8,
    },
}

/// Whether it may.
pub type Verdict = Result<(), Refused>;

/// Whether a use case may decide now: by what was found of it, and by what people have said. What was let in goes on
/// where only the number of people has grown since; an impact assessment is due then, and the next change waits for it.
///
/// # Errors
/// [`Refused`], the first reason.
pub fn clearance(assessment: &Assessment, state: Option<&UseCaseState>) -> Verdict {
    if let Some(stop) = state.and_then(|state| state.stop.as_ref()) {
        return Err(Refused::Stopped { by: stop.by.clone(), at: stop.at, reason: stop.reason.clone() });
    }
    match activation(assessment, state) {
        Err(Refused::Unsigned { .. }) if state.is_some_and(|state| state.runs(&assessment.hash)) => Ok(()),
        verdict => verdict,
    }
}

/// Whether a use case, or a new version of one of its models, may be let in: as [`clearance`], but a person who stopped
/// it does not count, and a signature that is due does.
///
/// # Errors
/// [`Refused`], the first reason.
pub fn activation(assessment: &Assessment, state: Option<&UseCaseState>) -> Verdict {
    let found = &assessment.classification;
    if found.strictest() == Class::Prohibited {
        let rules = found.reasons.iter().filter(|reason| reason.class == Class::Prohibited);
        let rules: Vec<String> = rules.map(|r| format!("{} ({})", r.article, r.text.en)).collect();
        return Err(Refused::Prohibited { rules: rules.join("; ") });
    }
    if found.strictest() >= Class::High && !assessment.missing.is_empty() {
        return Err(Refused::Unready { missing: assessment.missing.clone() });
    }
    let signed = state.map_or(0, |state| state.signatures_on(&assessment.hash));
    if assessment.dpia.is_due() && signed < assessment.eyes() {
        let triggers: Vec<&str> = assessment.dpia.triggers.iter().map(|t| t.article.as_str()).collect();
        return Err(Refused::Unsigned { triggers: triggers.join(", "), eyes: assessment.eyes(), signed });
    }
    Ok(())
}
