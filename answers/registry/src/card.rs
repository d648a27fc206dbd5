//! The model card (Mitchell et al. 2019, doi:10.1145/3287560.3287596), made from the live system: nobody writes it,
//! so it cannot be out of date.

use event::Instant;
use learn::metric::Metrics;
use serde::Serialize;

use crate::{
    About, Check, Entry, Error, Manifest, ModelName, ModelState, Role, Segment, Share, Stage, VersionNumber,
};

/// Everything there is to say about a version.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: VersionNumber,
    /// Where it stands.
    pub stage: Stage,
    /// Its share, where it is the canary.
    pub share_percent: Option<f64>,
    /// Baseline or challenger.
    pub role: Role,
    /// What, whose, for what, limits.
    pub about: About,
    /// When it was registered.
    pub registered_at: Instant,
    /// By whom.
    pub registered_by: String,
    /// What it was made from.
    pub manifest: Manifest,
    /// The hash that names the dataset.
    pub dataset: String,
    /// What it showed on its test set.
    pub metrics: Metrics,
    /// The same by segment.
    pub segments: Vec<Segment>,
    /// What its gate said, oldest first.
    pub gates: Vec<GateLine>,
    /// All that happened to the model, oldest first.
    pub history: Vec<Entry>,
}

/// One judgement of the gate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateLine {
    /// When.
    pub at: Instant,
    /// Who or what measured.
    pub by: String,
    /// Whether it passed.
    pub passed: bool,
    /// In a sentence.
    pub verdict: String,
    /// How the test rows were chosen.
    pub test: String,
    /// Rule by rule.
    pub checks: Vec<Check>,
}

impl Card {
    /// The card of a version.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`]
    pub fn of(model: &ModelName, state: &ModelState, version: VersionNumber) -> Result<Self, Error> {
        let n_versions = state.versions.len();
        let unknown = || Error::UnknownVersion { model: model.clone(), version, n_versions };
        let found = state.version(version).ok_or_else(unknown)?;
        let canary = state.canary.filter(|c| c.version == version);
        let gates = found.judgements.iter().map(|judgement| GateLine {
            at: judgement.at,
            by: judgement.by.clone(),
            passed: judgement.report.passed(),
            verdict: judgement.report.verdict(),
            test: judgement.report.test.clone(),
            checks: judgement.report.checks(),
        });
        Ok(Self {
            model: model.clone(),
            version,
            stage: found.stage,
            share_percent: canary.map(|c| Share::percent(c.share)),
            role: found.role,
            about: found.about.clone(),
            registered_at: found.registered_at,
            registered_by: found.registered_by.clone(),
            dataset: found.manifest.dataset.hash().to_string(),
            manifest: found.manifest.clone(),
            metrics: found.metrics.clone(),
            segments: found.segments.clone(),
            gates: gates.collect(),
            history: state.history.clone(),
        })
    }
}
