//! The decision as it is recorded: enough to reproduce it, to explain it and to book it (LAW 6).
//!
//! A record lies open except for its *evidence* — inputs, scores, gains, reasons — where any input derives from
//! a personal field: then the evidence is sealed as a whole, because what is computed from a personal value is
//! personal too. [`DecisionRecord`]'s own `Serialize` never writes sealed evidence, so it cannot leak by mistake.

use event::{Instant, Position, RecordId, Span, Subject, Version};
use serde::{Deserialize, Serialize, Serializer};

use crate::Error;
use crate::choose::{Candidate, Decision, Excluded};
use crate::money::Cents;
use crate::policy::{POLICY_VERSION, Policy};
use crate::situation::{Allowance, Arm, CapState, Consent, Score, Situation};
use crate::usecase::{Goal, Holdout, NO_ACTION, UseCase};
use crate::value::Input;

/// The stream of decisions, keyed by subject.
pub const DECISIONS: &str = "mr.decisions";
/// The version of the payload that is written.
pub const DECISION_VERSION: u16 = 1;
/// Where sealed evidence belongs in the document.
pub const EVIDENCE_COLUMN: &str = "/evidence";

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The version of this payload.
    pub v: u16,
    /// Its id, which is the record's.
    pub decision: RecordId,
    /// The use case.
    pub use_case: String,
    /// Its version.
    pub use_case_version: Version,
    /// Names the content of its file.
    pub use_case_content: String,
    /// The subject it is recorded under.
    pub subject: Subject,
    /// The profile it is about.
    pub profile: String,
    /// The profile's subjects at that time.
    pub members: Vec<Subject>,
    /// The moment decided at.
    pub at: Instant,
    /// The purpose decided for.
    pub purpose: String,
    /// What was chosen.
    pub chosen: Chosen,
    /// How many actions were feasible, doing nothing included.
    pub n_feasible: u32,
    /// What is set aside until the action is sent or given back; `None` where nothing is done.
    pub reservation: Option<Reservation>,
    /// What it might have spent.
    pub allowance: Option<Allowance>,
    /// What it costs.
    pub cost: Cents,
    /// The currency of every amount in it: three letters.
    pub currency: String,
    /// The holdout and the profile's arm.
    pub holdout: HeldOut,
    /// How one was drawn.
    pub policy: Policy,
    /// The version of the policy's arithmetic.
    pub policy_version: u16,
    /// The seed of the draw, in hexadecimal.
    #[serde(with = "hex64")]
    pub seed: u64,
    /// The models that scored.
    pub models: Vec<ModelUsed>,
    /// The standing of each purpose that was asked about.
    pub consents: Vec<Consent>,
    /// The epoch of the consents.
    pub consent_epoch: u64,
    /// The caps and how far they were used.
    pub caps: Vec<CapState>,
    /// What counts as its success.
    pub goal: Goal,
    /// How long deciding took, in microseconds, before it was appended.
    pub latency_us: u32,
    /// Where it lies in its partition; known only after it was appended, so never stored in it.
    #[serde(skip)]
    pub position: Option<Position>,
    /// What it was made from; `None` where it is sealed and was not opened, or can no longer be.
    #[serde(serialize_with = "open_only")]
    pub evidence: Option<Evidence>,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// The action; [`NO_ACTION`] for none.
    pub action: String,
    /// Its channel; empty for none.
    pub channel: String,
    /// What is shown.
    pub creative: String,
    /// What is offered.
    pub offer: String,
    /// The purpose that must still be allowed when it is sent.
    pub purpose: String,
    /// The exact probability with which it was drawn.
    pub propensity: f64,
}

/// What is set aside for a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// How much.
    pub amount: Cents,
    /// The grant it comes from; `None` where it costs nothing.
    pub grant: Option<RecordId>,
    /// From when on it may be given back if it was not sent.
    pub expires: Instant,
}

/// The holdout and a profile's arm in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Names the group.
    pub salt: String,
    /// The share of people in it.
    pub share: f64,
    /// The profile's arm.
    pub arm: Arm,
}

/// A model that scored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUsed {
    /// Its name.
    pub model: String,
    /// Its version.
    pub version: String,
    /// In which release.
    pub release: String,
}

/// What a decision was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Values with their versions.
    pub inputs: Vec<Input>,
    /// What models said.
    pub scores: Vec<Score>,
    /// The feasible set.
    pub candidates: Vec<Candidate>,
    /// Every other action with its reasons.
    pub why_not: Vec<Excluded>,
}

impl Evidence {
    /// True where it must be sealed.
    pub fn is_personal(&self) -> bool {
        self.inputs.iter().any(|input| input.personal)
    }
}

/// The id of a decision: made from what distinguishes it, so that the same request carried out twice is one.
pub fn decision_id(use_case: &str, subject: Subject, at: Instant, seed: u64) -> RecordId {
    let mut key = Vec::with_capacity(32 + use_case.len());
    key.extend_from_slice(subject.as_bytes());
    key.extend_from_slice(&at.micros().to_be_bytes());
    key.extend_from_slice(&seed.to_be_bytes());
    key.extend_from_slice(use_case.as_bytes());
    RecordId::external(DECISIONS, &key)
}

impl DecisionRecord {
    /// The record of a decision.
    pub fn new(use_case: &UseCase, mut situation: Situation, decision: Decision, latency_us: u32) -> Self {
        // JSON has no NaN; what is no number was not used and counts as missing.
        situation.scores.retain(|score| score.score.is_finite());
        for input in &mut situation.inputs {
            input.value = input.value.take().filter(|v| v.as_number().is_none_or(f64::is_finite));
        }
        let cost = decision.chosen().map_or(Cents::ZERO, |candidate| candidate.cost);
        let name = decision.chosen().map_or(NO_ACTION, |candidate| candidate.action.as_str());
        let propensity = decision.chosen().map_or(0.0, |candidate| candidate.propensity);
        let action = use_case.action(name);
        let text =
            |part: fn(&crate::usecase::Action) -> &String| action.map(part).cloned().unwrap_or_default();
        let chosen = Chosen {
            action: name.to_owned(),
            channel: text(|a| &a.channel),
            creative: text(|a| &a.creative),
            offer: text(|a| &a.offer),
            purpose: text(|a| &a.purpose),
            propensity,
        };
        let reservation = action.map(|_| Reservation {
            amount: cost,
            grant: situation.allowance.as_ref().filter(|_| cost.is_positive()).map(|a| a.grant),
            expires: situation.at + situation.reserve_for,
        });
        let caps = use_case.caps.iter().enumerate();
        let caps = caps
            .map(|(at, cap)| CapState { cap: cap.clone(), count: situation.cap_counts.get(at).copied() })
            .collect();
        Self {
            v: DECISION_VERSION,
            decision: decision_id(&use_case.name, situation.subject, situation.at, decision.seed),
            use_case: use_case.name.clone(),
            use_case_version: use_case.version,
            use_case_content: use_case.content.clone(),
            subject: situation.subject,
            profile: situation.profile,
            members: situation.members,
            at: situation.at,
            purpose: use_case.purpose.clone(),
            chosen,
            n_feasible: u32::try_from(decision.candidates.len()).unwrap_or(u32::MAX),
            reservation,
            allowance: situation.allowance,
            cost,
            currency: use_case.budget.currency.clone(),
            holdout: HeldOut {
                salt: use_case.holdout.salt.clone(),
                share: use_case.holdout.share,
                arm: situation.holdout,
            },
            policy: use_case.policy,
            policy_version: POLICY_VERSION,
            seed: decision.seed,
            models: models_used(&situation.scores),
            consents: situation.consents,
            consent_epoch: situation.consent_epoch,
            caps,
            goal: use_case.goal.clone(),
            latency_us,
            position: None,
            evidence: Some(Evidence {
                inputs: situation.inputs,
                scores: situation.scores,
                candidates: decision.candidates,
                why_not: decision.why_not,
            }),
        }
    }

    /// The payload's open JSON. Never holds personal evidence.
    ///
    /// # Errors
    /// [`Error::Record`] where a number cannot be written.
    pub fn open_part(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|e| Error::Record { stream: DECISIONS, reason: e.to_string() })
    }

    /// The JSON to seal under [`EVIDENCE_COLUMN`] for [`DecisionRecord::subject`]; `None` where nothing is
    /// personal.
    ///
    /// # Errors
    /// [`Error::Record`] where a number cannot be written.
    pub fn personal_part(&self) -> Result<Option<Vec<u8>>, Error> {
        match self.evidence.as_ref().filter(|evidence| evidence.is_personal()) {
            None => Ok(None),
            Some(evidence) => serde_json::to_vec(evidence)
                .map(Some)
                .map_err(|e| Error::Record { stream: DECISIONS, reason: e.to_string() }),
        }
    }

    /// Puts a record together again. Without the opened `personal` part of a sealed one, its evidence is `None`.
    ///
    /// # Errors
    /// [`Error::Record`] where it is no decision of a version this build reads.
    pub fn from_parts(open: &[u8], personal: Option<&[u8]>) -> Result<Self, Error> {
        let bad = |reason: String| Error::Record { stream: DECISIONS, reason };
        let mut record: Self = serde_json::from_slice(open).map_err(|e| bad(e.to_string()))?;
        if record.v == 0 || record.v > DECISION_VERSION {
            return Err(bad(format!(
                "it has version {}; this build reads 1 to {DECISION_VERSION}",
                record.v
            )));
        }
        if let Some(personal) = personal {
            record.evidence = Some(serde_json::from_slice(personal).map_err(|e| bad(e.to_string()))?);
        }
        Ok(record)
    }

    /// True where something is done.
    pub fn acts(&self) -> bool {
        self.chosen.action != NO_ACTION
    }

    /// The situation it was made in; `None` without evidence.
    pub fn situation(&self) -> Option<Situation> {
        let evidence = self.evidence.as_ref()?;
        Some(Situation {
            subject: self.subject,
            profile: self.profile.clone(),
            members: self.members.clone(),
            at: self.at,
            inputs: evidence.inputs.clone(),
            scores: evidence.scores.clone(),
            consents: self.consents.clone(),
            consent_epoch: self.consent_epoch,
            cap_counts: self.caps.iter().map_while(|state| state.count).collect(),
            allowance: self.allowance.clone(),
            holdout: self.holdout.arm,
            reserve_for: self.reservation.as_ref().map_or(Span::ZERO, |r| r.expires - self.at),
        })
    }

    /// The holdout as the use case said it.
    pub fn holdout_terms(&self) -> Holdout {
        Holdout { share: self.holdout.share, salt: self.holdout.salt.clone() }
    }
}

fn models_used(scores: &[Score]) -> Vec<ModelUsed> {
    let mut models: Vec<ModelUsed> = Vec::new();
    for score in scores {
        if !models
            .iter()
            .any(|m| m.model == score.model && m.version == score.version && m.release == score.release)
        {
            models.push(ModelUsed {
                model: score.model.clone(),
                version: score.version.clone(),
                release: score.release.clone(),
            });
        }
    }
    models
}

/// LAW 4: sealed evidence has no way into the open part.
fn open_only<S: Serializer>(evidence: &Option<Evidence>, s: S) -> Result<S::Ok, S::Error> {
    match evidence {
        Some(evidence) if !evidence.is_personal() => s.serialize_some(evidence),
        _ => s.serialize_none(),
    }
}

/// A 64-bit number in 16 hexadecimal digits: JSON readers in browsers would round it.
mod hex64 {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{number:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        let text = String::deserialize(d)?;
        u64::from_str_radix(&text, 16).map_err(|_| D::Error::custom(format!("`{text}` is not hexadecimal")))
    }
}
