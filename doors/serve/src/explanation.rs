//! Why a decision came out as it did, as it stands on the wire.

use decide::Cents;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::deciding::ModelUsed;
use crate::why_not::{Reason, cap_words};

/// Why a decision came out as it did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// The decision.
    decision: String,
    /// The use case.
    use_case: String,
    /// Its version.
    use_case_version: String,
    /// The profile's pseudonym.
    profile: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// For what purpose.
    purpose: String,
    /// What was chosen.
    action: String,
    /// The exact probability with which it was drawn.
    propensity: f64,
    /// What it costs, in cents.
    #[schema(value_type = f64)]
    cost_cents: Cents,
    /// What it might have spent, in cents.
    #[schema(value_type = Option<f64>)]
    allowed_cents: Option<Cents>,
    /// False where the evidence is sealed or erased: the next three lists are then empty.
    has_evidence: bool,
    /// The feasible actions, the most likely first.
    feasible: Vec<Feasible>,
    /// Every other action with its reasons.
    why_not: Vec<Excluded>,
    /// The values it looked at.
    inputs: Vec<Input>,
    /// How one was drawn.
    policy: String,
    /// The share that explores.
    exploration: f64,
    /// The models that scored.
    models: Vec<ModelUsed>,
    /// The purposes that were asked about.
    consents: Vec<Consent>,
    /// The epoch of the consents.
    consent_epoch: u64,
    /// The frequency caps.
    caps: Vec<Cap>,
    /// True where the profile gets nothing, to measure against.
    held_out: bool,
    /// The share of people who are held out.
    holdout_share: f64,
    /// Whether it came out of its record again bit for bit; null where that cannot be told.
    reproduces: Option<bool>,
    /// What became of the action.
    sends: Vec<Delivery>,
    /// What followed.
    outcomes: Vec<Outcome>,
}

/// An action that could be done.
#[derive(Serialize, ToSchema)]
struct Feasible {
    /// The action.
    action: String,
    /// Its score; doing nothing has none.
    score: Option<f64>,
    /// What a success is worth, in cents.
    #[schema(value_type = f64)]
    value_cents: Cents,
    /// What doing it costs, in cents.
    #[schema(value_type = f64)]
    cost_cents: Cents,
    /// Score × value − cost, in cents.
    gain_cents: f64,
    /// The exact probability with which it was drawn.
    propensity: f64,
}

/// An action that could not be done.
#[derive(Serialize, ToSchema)]
struct Excluded {
    /// The action.
    action: String,
    /// Every reason.
    reasons: Vec<Reason>,
}

/// A value a decision looked at.
#[derive(Serialize, ToSchema)]
struct Input {
    /// Its name.
    name: String,
    /// `feature`, `trait` or `context`.
    origin: &'static str,
    /// The value; null where there is none.
    value: Value,
    /// The version of what made it.
    version: String,
    /// True where it derives from a personal field.
    personal: bool,
}

/// The standing of a purpose.
#[derive(Serialize, ToSchema)]
struct Consent {
    /// The purpose.
    purpose: String,
    /// The channel; empty: the purpose as a whole.
    channel: String,
    /// Whether processing for it was allowed.
    allowed: bool,
    /// Why.
    reason: String,
    /// The version of the wording that was shown.
    notice_version: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    since: Option<String>,
}

/// A frequency cap.
#[derive(Serialize, ToSchema)]
struct Cap {
    /// Which contacts count: `all`, `channel mail`, `action voucher`.
    scope: String,
    /// The most that may lie in a window.
    max: u32,
    /// The window's length.
    window: String,
    /// Contacts in the window; null where it was not known, and then nothing under it was feasible.
    count: Option<u32>,
}

/// What became of an action.
#[derive(Serialize, ToSchema)]
struct Delivery {
    /// `claimed`, `sent`, `failed` or `released`.
    status: &'static str,
    /// The channel.
    channel: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Why it failed or was given back.
    reason: String,
}

/// What followed.
#[derive(Serialize, ToSchema)]
struct Outcome {
    /// What happened.
    kind: String,
    /// What it was worth, in cents.
    #[schema(value_type = Option<f64>)]
    value_cents: Option<Cents>,
    /// When it happened.
    #[schema(format = DateTime)]
    occurred_at: String,
}

impl From<decide::Input> for Input {
    fn from(input: decide::Input) -> Self {
        let origin = match input.origin {
            decide::Origin::Feature => "feature",
            decide::Origin::Trait => "trait",
            decide::Origin::Context => "context",
            decide::Origin::Segment => "segment",
        };
        let value = match input.value {
            None => Value::Null,
            Some(decide::Value::Flag(truth)) => truth.into(),
            Some(decide::Value::Number(number)) => number.into(),
            Some(decide::Value::Text(text)) => text.into(),
        };
        Self { name: input.name, origin, value, version: input.version, personal: input.personal }
    }
}

impl From<decide::Candidate> for Feasible {
    fn from(one: decide::Candidate) -> Self {
        Self {
            action: one.action,
            score: one.score,
            value_cents: one.value,
            cost_cents: one.cost,
            gain_cents: one.gain,
            propensity: one.propensity,
        }
    }
}

impl From<decide::CapState> for Cap {
    fn from(state: decide::CapState) -> Self {
        let (scope, window) = cap_words(&state.cap);
        Self { scope, max: state.cap.max, window, count: state.count }
    }
}

impl From<decide::Consent> for Consent {
    fn from(one: decide::Consent) -> Self {
        let since = one.since.map(|since| since.to_string());
        Self {
            purpose: one.purpose,
            channel: one.channel,
            allowed: one.allowed,
            reason: one.reason,
            notice_version: one.notice_version,
            since,
        }
    }
}

impl From<decide::Send> for Delivery {
    fn from(send: decide::Send) -> Self {
        let status = match send.status {
            decide::SendStatus::Claimed => "claimed",
            decide::SendStatus::Sent => "sent",
            decide::SendStatus::Failed => "failed",
            decide::SendStatus::Released => "released",
        };
        Self { status, channel: send.channel, at: send.at.to_string(), reason: send.reason }
    }
}

impl From<decide::Outcome> for Outcome {
    fn from(one: decide::Outcome) -> Self {
        Self { kind: one.kind, value_cents: one.value, occurred_at: one.occurred_at.to_string() }
    }
}

fn all<A, B: From<A>>(list: Vec<A>) -> Vec<B> {
    list.into_iter().map(B::from).collect()
}

impl From<decide::Explanation> for Explanation {
    fn from(told: decide::Explanation) -> Self {
        let excluded = |one: decide::Excluded| Excluded { action: one.action, reasons: all(one.reasons) };
        Self {
            decision: told.decision.to_string(),
            use_case: told.use_case,
            use_case_version: told.use_case_version,
            profile: told.profile,
            at: told.at.to_string(),
            purpose: told.purpose,
            action: told.chosen.action,
            propensity: told.chosen.propensity,
            cost_cents: told.cost,
            allowed_cents: told.allowed,
            has_evidence: told.has_evidence,
            feasible: all(told.feasible),
            why_not: told.why_not.into_iter().map(excluded).collect(),
            inputs: all(told.inputs),
            policy: told.policy,
            exploration: told.exploration,
            models: all(told.models),
            consents: all(told.consents),
            consent_epoch: told.consent_epoch,
            caps: all(told.caps),
            held_out: told.holdout.arm.held_out,
            holdout_share: told.holdout.share,
            reproduces: told.reproduces,
            sends: all(told.sends),
            outcomes: all(told.outcomes),
        }
    }
}
