//! Scores for a decision: which version serves this profile, and what it says about each action.

use std::collections::HashMap;
use std::sync::Arc;

use decide::{Action, Input, Score, ScoreSource, UseCase};
use event::{Instant, Subject};
use learn::Model;
use parking_lot::RwLock;
use policy::Grant;
use registry::{ContentHash, ModelName, route};
use serde_json::{Map, Value};

use crate::Error;
use crate::house::House;

/// Models in memory, by the hash of their bytes.
#[derive(Default)]
pub(crate) struct Models {
    loaded: RwLock<HashMap<ContentHash, Arc<Model>>>,
}

/// Models kept in memory at once.
const MAX_LOADED: usize = 64;

/// The version of a model that serves a profile.
pub(crate) struct Serving {
    pub(crate) version: String,
    pub(crate) release: &'static str,
    pub(crate) model: Arc<Model>,
}

impl House {
    /// The version of a model that serves a profile; `None` while no version is live or canary for it (LAW 8).
    ///
    /// # Errors
    /// [`Error::Registry`] where its bytes are missing or damaged.
    pub(crate) fn serving(&self, name: &str, profile: Subject) -> Result<Option<Serving>, Error> {
        let name: ModelName = name.parse()?;
        let state = self.in_control(|rooms| Ok(rooms.releases.model(&name)))?;
        // A model that nobody trained yet serves nobody: actions that need it are not feasible, and say so.
        let Ok(state) = state else { return Ok(None) };
        let Some(number) = route(&state.release(&name), profile) else { return Ok(None) };
        let Some(version) = state.version(number) else { return Ok(None) };
        let is_canary = state.canary.is_some_and(|canary| canary.version == number);
        let release = if is_canary { "canary" } else { "live" };
        let model = self.load_model(&version.manifest.artefact)?;
        Ok(Some(Serving { version: number.to_string(), release, model }))
    }

    /// A model's bytes, read.
    ///
    /// # Errors
    /// [`Error::Registry`] where they are missing or damaged, [`Error::Learn`] where they are no model.
    pub(crate) fn load_model(&self, artefact: &ContentHash) -> Result<Arc<Model>, Error> {
        if let Some(model) = self.models.loaded.read().get(artefact) {
            return Ok(model.clone());
        }
        let model = Arc::new(Model::from_bytes(&self.blobs.get(artefact)?)?);
        let mut loaded = self.models.loaded.write();
        if loaded.len() >= MAX_LOADED {
            loaded.clear();
        }
        loaded.insert(*artefact, model.clone());
        Ok(model)
    }
}

/// What the models of a use case say about each action that needs one.
///
/// # Errors
/// Whatever features, registry or model say.
pub(crate) fn scores(
    house: &House,
    grant: &Grant,
    use_case: &UseCase,
    profile: Subject,
    members: &[Subject],
    inputs: &[Input],
    at: Instant,
) -> Result<Vec<Score>, Error> {
    let mut scores = Vec::new();
    let nothing_said = Map::new();
    for name in crate::deciding::models_of(use_case) {
        let Some(serving) = house.serving(name, profile)? else { continue };
        let fields = serving.model.schema().fields();
        let names: Vec<String> = fields
            .iter()
            .map(|field| field.name.to_string())
            .filter(|field| house.project().feature(field).is_some())
            .collect();
        let known: Vec<&Input> = inputs.iter().collect();
        let missing: Vec<String> =
            names.iter().filter(|name| !known.iter().any(|input| input.name == **name)).cloned().collect();
        let said = crate::ondemand::of_inputs(inputs);
        let more = house.feature_inputs(grant, &missing, members, at, &said)?;
        let features: Vec<&Input> =
            known.into_iter().chain(&more).filter(|input| names.contains(&input.name)).collect();
        for action in &use_case.actions {
            if action.score != ScoreSource::Model(name.to_owned()) {
                continue;
            }
            let row = model_row(features.iter().copied(), Some(action), &nothing_said);
            let score = serving.model.score(&row)?.probability;
            scores.push(Score {
                action: action.name.clone(),
                model: name.to_owned(),
                version: serving.version.clone(),
                release: serving.release.to_owned(),
                score,
            });
        }
    }
    Ok(scores)
}

/// What a model sees: features, what the action is, and what the moment says.
pub(crate) fn model_row<'a>(
    features: impl Iterator<Item = &'a Input>,
    action: Option<&'a Action>,
    context: &'a Map<String, Value>,
) -> Vec<(&'a str, learn::Value<'a>)> {
    let mut row: Vec<(&str, learn::Value<'_>)> =
        features.map(|input| (input.name.as_str(), as_learn(input.value.as_ref()))).collect();
    if let Some(Action { channel, creative, offer, .. }) = action {
        let named = [("channel", channel), ("creative", creative), ("offer", offer)];
        row.extend(named.map(|(name, value)| (name, learn::Value::Text(value))));
    }
    row.extend(context.iter().map(|(name, value)| (name.as_str(), of_json(value))));
    row
}

fn of_json(value: &Value) -> learn::Value<'_> {
    match value {
        Value::Bool(truth) => learn::Value::Number(f64::from(u8::from(*truth))),
        Value::Number(number) => number.as_f64().map_or(learn::Value::Missing, learn::Value::Number),
        Value::String(text) => learn::Value::Text(text),
        Value::Null | Value::Array(_) | Value::Object(_) => learn::Value::Missing,
    }
}

/// A decision's value as a model takes it.
fn as_learn(value: Option<&decide::Value>) -> learn::Value<'_> {
    match value {
        None => learn::Value::Missing,
        Some(decide::Value::Flag(truth)) => learn::Value::Number(f64::from(u8::from(*truth))),
        Some(decide::Value::Number(number)) => learn::Value::Number(*number),
        Some(decide::Value::Text(text)) => learn::Value::Text(text),
    }
}
