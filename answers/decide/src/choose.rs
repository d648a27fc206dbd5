//! The choice: first what is feasible, then what is best, then the draw. Pure; seeds and times are arguments.

use event::Instant;
use feature::expr::Facts;
use serde::{Deserialize, Serialize};

use crate::money::Cents;
use crate::policy::{Distribution, Policy};
use crate::situation::Situation;
use crate::usecase::{Action, Cap, NO_ACTION, ScoreSource, UseCase};
use crate::value::{Observed, Value};

/// An action that may be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The action.
    pub action: String,
    /// Its score; doing nothing has none.
    pub score: Option<f64>,
    /// What a success is worth.
    pub value: Cents,
    /// What doing it costs.
    pub cost: Cents,
    /// Expected gain in cents: score × value − cost.
    pub gain: f64,
    /// The exact probability with which it was drawn.
    pub propensity: f64,
}

/// An action that may not be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Excluded {
    /// The action.
    pub action: String,
    /// Every reason, at least one.
    pub reasons: Vec<WhyNot>,
}

/// Why an action may not be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum WhyNot {
    /// The profile is held out to measure against.
    HeldOut,
    /// Its time has not come.
    NotYetValid {
        /// When it comes.
        from: Instant,
    },
    /// Its time is over.
    NoLongerValid {
        /// Since when.
        until: Instant,
    },
    /// Its condition does not hold.
    NotEligible {
        /// The part of the condition that decided it.
        condition: String,
        /// The values it looked at.
        observed: Vec<Observed>,
    },
    /// A purpose it needs is not allowed.
    NoConsent {
        /// The purpose.
        purpose: String,
    },
    /// A purpose it needs is not allowed through its channel.
    ChannelNotAllowed {
        /// The purpose.
        purpose: String,
        /// The channel.
        channel: String,
    },
    /// A cap is reached.
    CapReached {
        /// The cap.
        cap: Cap,
        /// Contacts in its window.
        count: u32,
    },
    /// How far a cap is used is not known.
    CapUnknown {
        /// The cap.
        cap: Cap,
    },
    /// There is not enough money.
    NoBudget {
        /// What it costs.
        cost: Cents,
        /// What may be spent.
        allowed: Cents,
    },
    /// Nothing says how it would do.
    NoScore {
        /// Where the score should have come from.
        source: ScoreSource,
    },
}

/// What was chosen and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The feasible set: doing nothing first, then actions in the use case's order.
    pub candidates: Vec<Candidate>,
    /// Every other action.
    pub why_not: Vec<Excluded>,
    /// The place of the chosen one among the candidates.
    pub chosen: usize,
    /// The seed it was drawn with.
    pub seed: u64,
}

/// Chooses an action for a situation. The same arguments give the same decision, bit for bit, for ever.
pub fn choose(use_case: &UseCase, situation: &Situation, seed: u64) -> Decision {
    let facts = View::new(use_case, situation);
    let mut candidates = vec![nothing()];
    let mut why_not = Vec::new();
    for action in &use_case.actions {
        let score = facts.score(action);
        let reasons = reasons(use_case, action, situation, &facts, score);
        match score {
            Some(score) if reasons.is_empty() => candidates.push(Candidate {
                action: action.name.clone(),
                score: Some(score),
                value: action.value,
                cost: action.cost,
                gain: gain(score, action.value, action.cost),
                propensity: 0.0,
            }),
            _ => why_not.push(Excluded { action: action.name.clone(), reasons }),
        }
    }
    let distribution = distribution(use_case.policy, &candidates);
    for (at, candidate) in candidates.iter_mut().enumerate() {
        candidate.propensity = distribution.probability(at);
    }
    let chosen = distribution.draw(seed);
    Decision { candidates, why_not, chosen, seed }
}

impl Decision {
    /// The chosen candidate.
    pub fn chosen(&self) -> Option<&Candidate> {
        self.candidates.get(self.chosen)
    }
}

pub(crate) fn nothing() -> Candidate {
    Candidate {
        action: NO_ACTION.to_owned(),
        score: None,
        value: Cents::ZERO,
        cost: Cents::ZERO,
        gain: 0.0,
        propensity: 0.0,
    }
}

/// The expected gain of an action in cents. One multiplication and one subtraction, each rounded as IEEE 754 says: the same
/// everywhere.
pub fn gain(score: f64, value: Cents, cost: Cents) -> f64 {
    score * value.as_f64() - cost.as_f64()
}

pub(crate) fn distribution(policy: Policy, candidates: &[Candidate]) -> Distribution {
    let gains: Vec<f64> = candidates.iter().map(|candidate| candidate.gain).collect();
    policy.distribution(&gains)
}

/// Every reason why an action is not feasible; none where it is.
fn reasons(
    use_case: &UseCase,
    action: &Action,
    situation: &Situation,
    facts: &View,
    score: Option<f64>,
) -> Vec<WhyNot> {
    let mut reasons = Vec::new();
    if situation.holdout.held_out {
        reasons.push(WhyNot::HeldOut);
    }
    if let Some(from) = action.valid_from.filter(|from| situation.at < *from) {
        reasons.push(WhyNot::NotYetValid { from });
    }
    if let Some(until) = action.valid_until.filter(|until| situation.at >= *until) {
        reasons.push(WhyNot::NoLongerValid { until });
    }
    if let Some(failure) = action.eligible.as_ref().and_then(|condition| condition.failure(facts)) {
        reasons.push(WhyNot::NotEligible { condition: failure.condition, observed: failure.observed });
    }
    if !facts.consent(&use_case.purpose) {
        reasons.push(WhyNot::NoConsent { purpose: use_case.purpose.clone() });
    }
    // LAW 3: consent to e-mail is none to calls. Where the caller knows channels, the action's own is asked.
    match situation.allowed_on(&action.purpose, &action.channel) {
        Some(true) => {}
        Some(false) => {
            let (purpose, channel) = (action.purpose.clone(), action.channel.clone());
            reasons.push(WhyNot::ChannelNotAllowed { purpose, channel });
        }
        None if action.purpose == use_case.purpose || facts.consent(&action.purpose) => {}
        None => reasons.push(WhyNot::NoConsent { purpose: action.purpose.clone() }),
    }
    // LAW 7: a cap that is reached, or whose count nobody knows, forbids.
    for (at, cap) in use_case.caps.iter().enumerate() {
        if !action.falls_under(cap) {
            continue;
        }
        match situation.cap_counts.get(at) {
            Some(count) if *count < cap.max => {}
            Some(count) => reasons.push(WhyNot::CapReached { cap: cap.clone(), count: *count }),
            None => reasons.push(WhyNot::CapUnknown { cap: cap.clone() }),
        }
    }
    // LAW 7: no allowance, no spending.
    if action.cost.is_positive() {
        let allowance = situation.allowance.as_ref().filter(|allowance| situation.at < allowance.expires);
        let allowed = allowance.map_or(Cents::ZERO, |allowance| allowance.amount);
        if allowed < action.cost {
            reasons.push(WhyNot::NoBudget { cost: action.cost, allowed });
        }
    }
    if score.is_none() {
        reasons.push(WhyNot::NoScore { source: action.score.clone() });
    }
    reasons
}

/// The situation by the use case's places.
struct View<'a> {
    slots: Vec<Option<&'a Value>>,
    use_case: &'a UseCase,
    situation: &'a Situation,
}

impl<'a> View<'a> {
    fn new(use_case: &'a UseCase, situation: &'a Situation) -> Self {
        let slots = use_case
            .inputs
            .iter()
            .map(|declared| {
                let same = situation
                    .inputs
                    .iter()
                    .find(|input| input.name == declared.name && input.origin == declared.origin)?;
                // A number that is none counts as missing, not as small or large.
                same.value.as_ref().filter(|value| value.as_number().is_none_or(f64::is_finite))
            })
            .collect();
        Self { slots, use_case, situation }
    }

    fn score(&self, action: &Action) -> Option<f64> {
        let score = match &action.score {
            ScoreSource::Constant(score) => Some(*score),
            ScoreSource::Model(model) => {
                let mut scores = self.situation.scores.iter();
                scores.find(|s| s.action == action.name && s.model == *model).map(|s| s.score)
            }
            ScoreSource::Input(name) => {
                let slot = self.use_case.inputs.iter().position(|declared| declared.name == *name)?;
                self.value(slot)?.as_number()
            }
        };
        score.filter(|score| score.is_finite())
    }
}

impl Facts for View<'_> {
    fn value(&self, slot: usize) -> Option<&Value> {
        self.slots.get(slot).copied().flatten()
    }

    fn consent(&self, purpose: &str) -> bool {
        // Default deny.
        self.situation.allowed_on(purpose, "").unwrap_or(false)
    }

    fn at(&self) -> Option<Instant> {
        Some(self.situation.at)
    }
}
