//! LAW 6: from the record alone the draw can be reproduced bit for bit.

use crate::choose::{self, Candidate, WhyNot, choose};
use crate::money::Cents;
use crate::policy::POLICY_VERSION;
use crate::record::{DECISION_VERSION, DecisionRecord, Evidence, decision_id};
use crate::usecase::{NO_ACTION, UseCase};

/// Why a record does not reproduce.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// MR5030, explained in docs/errors/MR5030.md
    #[error(
        "decision {decision} does not reproduce: its {part} is {recorded}, but computed again it is {computed}"
    )]
    Differs {
        /// The decision.
        decision: event::RecordId,
        /// What differs.
        part: String,
        /// What the record says.
        recorded: String,
        /// What comes out.
        computed: String,
    },
    /// MR5031, explained in docs/errors/MR5031.md
    #[error(
        "decision {decision} cannot be reproduced: its evidence is sealed and was not opened, or was erased"
    )]
    NoEvidence {
        /// The decision.
        decision: event::RecordId,
    },
    /// MR5032, explained in docs/errors/MR5032.md
    #[error(
        "decision {decision} was made by version {version} of the policies' arithmetic; this build knows versions 1 to {POLICY_VERSION}"
    )]
    UnknownVersion {
        /// The decision.
        decision: event::RecordId,
        /// Its version.
        version: u16,
    },
}

/// Computes the gains, the propensities and the draw again from the record alone and compares every bit; and
/// checks that the record agrees with itself: each action is feasible or has a reason, each reason holds.
///
/// # Errors
/// [`Mismatch`] with the first part that differs.
pub fn reproduce(record: &DecisionRecord) -> Result<(), Mismatch> {
    let differ = Differ { record };
    if record.v == 0 || record.v > DECISION_VERSION || record.policy_version != POLICY_VERSION {
        let version = if record.policy_version == POLICY_VERSION { record.v } else { record.policy_version };
        return Err(Mismatch::UnknownVersion { decision: record.decision, version });
    }
    let evidence = record.evidence.as_ref().ok_or(Mismatch::NoEvidence { decision: record.decision })?;
    let id = decision_id(&record.use_case, record.subject, record.at, record.seed);
    differ.same("id", &record.decision, &id)?;
    differ.same("number of feasible actions", &(record.n_feasible as usize), &evidence.candidates.len())?;
    candidates(&differ, evidence)?;
    let distribution = choose::distribution(record.policy, &evidence.candidates);
    for (at, candidate) in evidence.candidates.iter().enumerate() {
        let part = format!("propensity of `{}`", candidate.action);
        differ.same_bits(&part, candidate.propensity, distribution.probability(at))?;
    }
    let drawn = distribution.draw(record.seed);
    let drawn = evidence.candidates.get(drawn).cloned().unwrap_or_else(choose::nothing);
    differ.same("chosen action", &record.chosen.action, &drawn.action)?;
    differ.same_bits("chosen action's propensity", record.chosen.propensity, drawn.propensity)?;
    differ.same("cost", &record.cost, &drawn.cost)?;
    reservation(&differ, &drawn)?;
    why_not(&differ, evidence)
}

/// Chooses again with the use case that the record names and compares all of it. Stronger than [`reproduce`]:
/// eligibility, consent and caps are judged anew too.
///
/// # Errors
/// [`Mismatch`] with the first part that differs.
pub fn reproduce_with(use_case: &UseCase, record: &DecisionRecord) -> Result<(), Mismatch> {
    reproduce(record)?;
    let differ = Differ { record };
    differ.same("use case's content", &record.use_case_content, &use_case.content)?;
    let situation = record.situation().ok_or(Mismatch::NoEvidence { decision: record.decision })?;
    let decision = choose(use_case, &situation, record.seed);
    let mut again = DecisionRecord::new(use_case, situation, decision, record.latency_us);
    again.position = record.position;
    let (was, now) = (&record.evidence, &again.evidence);
    differ.same(
        "feasible set",
        &was.as_ref().map(|e| &e.candidates),
        &now.as_ref().map(|e| &e.candidates),
    )?;
    differ.same("list of reasons", &was.as_ref().map(|e| &e.why_not), &now.as_ref().map(|e| &e.why_not))?;
    differ.same("record", record, &again)
}

fn candidates(differ: &Differ, evidence: &Evidence) -> Result<(), Mismatch> {
    let first = evidence.candidates.first().map(|c| c.action.as_str()).unwrap_or_default();
    differ.same("first feasible action", &first, &NO_ACTION)?;
    for candidate in &evidence.candidates {
        let gain = match candidate.score {
            Some(score) => choose::gain(score, candidate.value, candidate.cost),
            None => 0.0,
        };
        differ.same_bits(&format!("gain of `{}`", candidate.action), candidate.gain, gain)?;
    }
    Ok(())
}

fn reservation(differ: &Differ, drawn: &Candidate) -> Result<(), Mismatch> {
    let record = differ.record;
    let reserved = record.reservation.as_ref();
    differ.same("reservation", &reserved.is_some(), &(drawn.action != NO_ACTION))?;
    differ.same("reserved amount", &reserved.map_or(Cents::ZERO, |r| r.amount), &drawn.cost)?;
    let grant = record.allowance.as_ref().filter(|_| drawn.cost.is_positive()).map(|a| a.grant);
    differ.same("reservation's grant", &reserved.and_then(|r| r.grant), &grant)?;
    let allowed = record.allowance.as_ref().map_or(Cents::ZERO, |a| a.amount);
    differ.same("cost within its allowance", &(drawn.cost <= allowed || !drawn.cost.is_positive()), &true)
}

fn why_not(differ: &Differ, evidence: &Evidence) -> Result<(), Mismatch> {
    let record = differ.record;
    if record.holdout.arm.held_out {
        differ.same("number of feasible actions of a held-out profile", &evidence.candidates.len(), &1)?;
    }
    for excluded in &evidence.why_not {
        let part = format!("reason against `{}`", excluded.action);
        differ.same(&part, &excluded.reasons.is_empty(), &false)?;
        let feasible = evidence.candidates.iter().any(|c| c.action == excluded.action);
        differ.same(&format!("feasibility of `{}`", excluded.action), &feasible, &false)?;
        for reason in &excluded.reasons {
            let holds = match reason {
                WhyNot::HeldOut => record.holdout.arm.held_out,
                WhyNot::NotYetValid { from } => record.at < *from,
                WhyNot::NoLongerValid { until } => record.at >= *until,
                WhyNot::NoConsent { purpose } => refused(record, purpose, ""),
                WhyNot::ChannelNotAllowed { purpose, channel } => refused(record, purpose, channel),
                WhyNot::CapReached { cap, count } => {
                    *count >= cap.max && record.caps.iter().any(|s| s.cap == *cap && s.count == Some(*count))
                }
                WhyNot::CapUnknown { cap } => record.caps.iter().any(|s| s.cap == *cap && s.count.is_none()),
                WhyNot::NoBudget { cost, allowed } => allowed < cost,
                WhyNot::NotEligible { .. } | WhyNot::NoScore { .. } => true,
            };
            differ.same(&format!("{part}, {reason:?}"), &holds, &true)?;
        }
    }
    Ok(())
}

/// Whether the record says that a purpose is not allowed on a channel, or says nothing of it.
fn refused(record: &DecisionRecord, purpose: &str, channel: &str) -> bool {
    let said = |c: &&crate::Consent| c.purpose == purpose && c.channel == channel;
    let mut standing = record.consents.iter().filter(said).peekable();
    standing.peek().is_none() || standing.any(|consent| !consent.allowed)
}

struct Differ<'a> {
    record: &'a DecisionRecord,
}

impl Differ<'_> {
    fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        part: &str,
        recorded: &T,
        computed: &T,
    ) -> Result<(), Mismatch> {
        if recorded == computed {
            return Ok(());
        }
        let shown = |value: &T| format!("{value:?}").chars().take(200).collect();
        Err(Mismatch::Differs {
            decision: self.record.decision,
            part: part.to_owned(),
            recorded: shown(recorded),
            computed: shown(computed),
        })
    }

    fn same_bits(&self, part: &str, recorded: f64, computed: f64) -> Result<(), Mismatch> {
        // Zeros of different sign are the same number; any other difference is one.
        if recorded == computed {
            return Ok(());
        }
        self.same(part, &recorded.to_bits(), &computed.to_bits()).map_err(|mismatch| match mismatch {
            Mismatch::Differs { decision, part, .. } => Mismatch::Differs {
                decision,
                part,
                recorded: recorded.to_string(),
                computed: computed.to_string(),
            },
            other => other,
        })
    }
}
