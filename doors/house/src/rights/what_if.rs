//! How a score came about and what would have had to be otherwise (GDPR article 15(1)(h); C-203/22): the parts of each score in
//! the model version that was used, and for each input the nearest value at which another action would have been best.

use std::sync::Arc;

use decide::{Action, Candidate, DecisionRecord, Evidence, Input, Value};
use learn::Model;
use serde::Serialize;
use serde_json::Map;

use crate::Error;
use crate::house::House;
use crate::scoring::model_row;

/// The farthest value that is tried of a number: so many times its size away.
const FARTHEST: f64 = 64.0;
/// Halvings between the last value that changes nothing and the first that does.
const HALVINGS: u32 = 40;

/// A part of a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Part {
    /// What the model looked at.
    pub input: String,
    /// What it added, in log-odds.
    pub log_odds: f64,
}

/// How one action was scored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Scored {
    /// The action.
    pub action: String,
    /// The model and its version.
    pub model: String,
    /// The calibrated probability.
    pub probability: f64,
    /// What the model says of everybody, in log-odds.
    pub base: f64,
    /// The parts, the largest first.
    pub parts: Vec<Part>,
}

/// A change of one input after which another action is best.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct WhatIf {
    /// The input.
    pub input: String,
    /// What it was.
    pub was: Value,
    /// The nearest value found at which it comes out otherwise.
    pub had_it_been: Value,
    /// What would have been best then.
    pub best_then: String,
}

/// What there is to say of a decision's scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Reasons {
    /// What was best before exploration drew.
    pub best: String,
    /// How each feasible action was scored by a model.
    pub scores: Vec<Scored>,
    /// One for each input that decides by itself, the smallest change first.
    pub counterfactuals: Vec<WhatIf>,
    /// Why there are none, where that is so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub without: String,
}

/// An action with the model that scored it.
struct Lane<'d> {
    candidate: &'d Candidate,
    action: &'d Action,
    model: Arc<Model>,
}

impl House {
    /// The reasons of a decision, from its record and the versions it names.
    ///
    /// # Errors
    /// [`Error::Registry`], [`Error::Learn`] where a version's bytes cannot be read.
    pub(super) fn reasons_of(&self, record: &DecisionRecord) -> Result<Reasons, Error> {
        let none = |without: &str| Ok(Reasons { without: without.to_owned(), ..Reasons::default() });
        let Some(evidence) = &record.evidence else { return none("its evidence was erased") };
        let Ok(use_case) = self.use_case(&record.use_case) else { return none("its use case is gone") };
        let best = best(evidence.candidates.iter().map(|one| (one.action.as_str(), one.gain)));
        let mut lanes = Vec::new();
        for candidate in &evidence.candidates {
            let score = evidence.scores.iter().find(|score| score.action == candidate.action);
            let action = use_case.actions.iter().find(|action| action.name == candidate.action);
            let (Some(score), Some(action)) = (score, action) else { continue };
            let Some(model) = self.model_of(&score.model, &score.version)? else {
                return none("a model version that scored is gone");
            };
            lanes.push((Lane { candidate, action, model }, score));
        }
        let mut reasons = Reasons { best: best.clone(), ..Reasons::default() };
        if lanes.is_empty() {
            reasons.without = "no model scored: the actions' scores stand in the use case".to_owned();
            return Ok(reasons);
        }
        for (lane, score) in &lanes {
            let Some(said) = lane.score(&evidence.inputs)? else {
                reasons.without = "the model saw more than the record holds".to_owned();
                return Ok(reasons);
            };
            // LAW 6: what is explained is the score that was used, or nothing.
            if said.probability.to_bits() != score.score.to_bits() {
                reasons.without = "the score does not come out again".to_owned();
                return Ok(reasons);
            }
            let mut parts: Vec<Part> = said
                .contributions
                .iter()
                .map(|one| Part { input: one.feature.to_string(), log_odds: one.logit })
                .collect();
            parts.sort_by(|a, b| b.log_odds.abs().total_cmp(&a.log_odds.abs()));
            reasons.scores.push(Scored {
                action: lane.candidate.action.clone(),
                model: format!("{} {}", score.model, score.version),
                probability: said.probability,
                base: said.base,
                parts,
            });
        }
        let lanes: Vec<Lane<'_>> = lanes.into_iter().map(|(lane, _)| lane).collect();
        let mut found = Vec::new();
        for input in &evidence.inputs {
            found.extend(nearest(evidence, &lanes, input, &best)?);
        }
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        reasons.counterfactuals = found.into_iter().map(|(_, what_if)| what_if).collect();
        Ok(reasons)
    }

    fn model_of(&self, name: &str, version: &str) -> Result<Option<Arc<Model>>, Error> {
        let Ok(name) = name.parse() else { return Ok(None) };
        let state = self.in_control(|rooms| Ok(rooms.releases.model(&name).ok()))?;
        let found = state
            .as_ref()
            .and_then(|state| state.versions.iter().find(|one| one.number.to_string() == version));
        found.map(|one| self.load_model(&one.manifest.artefact)).transpose()
    }
}

impl Lane<'_> {
    /// What the model says; `None` where it looks at something that is not among the inputs.
    fn score(&self, inputs: &[Input]) -> Result<Option<learn::Score>, Error> {
        let about = ["channel", "creative", "offer"];
        let fields = self.model.schema().fields();
        let is_there = |name: &str| about.contains(&name) || inputs.iter().any(|input| input.name == name);
        if !fields.iter().all(|field| is_there(&field.name)) {
            return Ok(None);
        }
        let seen = inputs.iter().filter(|input| fields.iter().any(|field| *field.name == *input.name));
        let nothing_said = Map::new();
        Ok(Some(self.model.score(&model_row(seen, Some(self.action), &nothing_said))?))
    }
}

fn best<'a>(gains: impl Iterator<Item = (&'a str, f64)>) -> String {
    let mut best: Option<(&str, f64)> = None;
    for (action, gain) in gains {
        if best.is_none_or(|(_, most)| gain > most) {
            best = Some((action, gain));
        }
    }
    best.map(|(action, _)| action.to_owned()).unwrap_or_default()
}

/// What would be best with one input changed.
fn best_with(evidence: &Evidence, lanes: &[Lane<'_>], name: &str, value: &Value) -> Result<String, Error> {
    let mut inputs = evidence.inputs.clone();
    if let Some(input) = inputs.iter_mut().find(|input| input.name == name) {
        input.value = Some(value.clone());
    }
    let mut gains = Vec::with_capacity(evidence.candidates.len());
    for candidate in &evidence.candidates {
        let lane = lanes.iter().find(|lane| lane.candidate.action == candidate.action);
        let gain = match lane.map(|lane| lane.score(&inputs)).transpose()?.flatten() {
            Some(said) => decide::gain(said.probability, candidate.value, candidate.cost),
            None => candidate.gain,
        };
        gains.push((candidate.action.as_str(), gain));
    }
    Ok(best(gains.into_iter()))
}

/// The nearest value of an input at which another action is best, with how far it is.
fn nearest(
    evidence: &Evidence,
    lanes: &[Lane<'_>],
    input: &Input,
    best: &str,
) -> Result<Option<(f64, WhatIf)>, Error> {
    let is_looked_at =
        lanes.iter().any(|lane| lane.model.schema().fields().iter().any(|field| *field.name == *input.name));
    let Some(was) = input.value.as_ref().filter(|_| is_looked_at) else { return Ok(None) };
    let told = |far: f64, value: Value, best_then: String| {
        (far, WhatIf { input: input.name.clone(), was: was.clone(), had_it_been: value, best_then })
    };
    match was {
        Value::Flag(truth) => {
            let other = Value::Flag(!truth);
            let then = best_with(evidence, lanes, &input.name, &other)?;
            Ok((then != best).then(|| told(1.0, other, then)))
        }
        Value::Number(number) => {
            let mut found: Option<(f64, f64, String)> = None;
            for sign in [-1.0, 1.0] {
                let flips = |value: f64| -> Result<Option<String>, Error> {
                    let then = best_with(evidence, lanes, &input.name, &Value::Number(value))?;
                    Ok(Some(then).filter(|then| then != best))
                };
                if let Some((value, then)) = towards(*number, sign, flips)? {
                    let far = (value - number).abs() / (number.abs() + 1.0);
                    if found.as_ref().is_none_or(|(nearest, ..)| far < *nearest) {
                        found = Some((far, value, then));
                    }
                }
            }
            Ok(found.map(|(far, value, then)| told(far, Value::Number(value), then)))
        }
        // Of texts nobody can say which is near.
        Value::Text(_) => Ok(None),
    }
}

/// Goes away from a number in growing steps until something flips, and comes back by halves. Whole numbers stay whole, and what
/// was not negative does not become so: counts and amounts are most of what is looked at.
fn towards(
    from: f64,
    sign: f64,
    flips: impl Fn(f64) -> Result<Option<String>, Error>,
) -> Result<Option<(f64, String)>, Error> {
    let is_whole = from.fract() == 0.0;
    let size = from.abs() + 1.0;
    let at = |step: f64| {
        let step = if is_whole { step.round() } else { step };
        let value = from + sign * step;
        if from >= 0.0 { value.max(0.0) } else { value }
    };
    let (mut inside, mut step) = (0.0, if is_whole { 1.0 } else { size / 64.0 });
    while step <= FARTHEST * size {
        if let Some(mut then) = flips(at(step))? {
            let mut outside = step;
            for _ in 0..HALVINGS {
                let middle = (inside + outside) / 2.0;
                if at(middle) == at(inside) || at(middle) == at(outside) {
                    break;
                }
                match flips(at(middle))? {
                    Some(other) => (outside, then) = (middle, other),
                    None => inside = middle,
                }
            }
            return Ok(Some((at(outside), then)));
        }
        if at(step) == at(inside) && step > 1.0 {
            break;
        }
        inside = step;
        step *= 2.0;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flip(when: impl Fn(f64) -> bool) -> impl Fn(f64) -> Result<Option<String>, Error> {
        move |value| Ok(when(value).then(|| "other".to_owned()))
    }

    #[test]
    fn the_nearest_value_that_flips_is_found_and_counts_stay_counts() {
        let found = |from, sign, when: fn(f64) -> bool| {
            towards(from, sign, flip(when)).unwrap().map(|(value, _)| value)
        };
        assert_eq!(found(7.0, 1.0, |v| v >= 23.0), Some(23.0));
        assert_eq!(found(7.0, -1.0, |v| v < 3.0), Some(2.0));
        assert_eq!(found(7.0, -1.0, |v| v < 0.0), None, "a count is never negative");
        assert_eq!(found(0.0, 1.0, |v| v >= 1.0), Some(1.0));
        assert_eq!(found(0.0, 1.0, |_| false), None);
        let near = found(0.5, 1.0, |v| v > 0.731).unwrap();
        assert!((near - 0.731).abs() < 1e-6 && near > 0.731, "{near}");
        let below = found(-2.5, -1.0, |v| v < -4.0).unwrap();
        assert!((below + 4.0).abs() < 1e-6 && below < -4.0, "{below}");
    }
}
