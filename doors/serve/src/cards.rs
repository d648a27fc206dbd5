//! A model version's card on the wire, made from what is so now.

use std::sync::Arc;

use axum::extract::State;
use learn::metric::Metrics;
use registry::VersionNumber;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{Asked, Door, Json, Named};
use crate::gate::RequestId;
use crate::models::{Figure, role_word, stage_word};
use crate::problem::Problem;
use crate::refusal::{Refusal, short};

/// A version's card, made from what is so now.
#[derive(Serialize, ToSchema)]
pub(crate) struct Card {
    /// The model.
    model: String,
    /// The version.
    version: u32,
    /// `dark`, `canary`, `live` or `retired`.
    stage: &'static str,
    /// Its share of profiles in percent, where it is the canary.
    canary_percent: Option<f64>,
    /// `baseline` or `challenger`.
    role: &'static str,
    /// What it predicts.
    what: String,
    /// Who answers for it.
    owner: String,
    /// What it is for.
    intended_use: String,
    /// What it must not be used for.
    limits: String,
    /// How it was fitted.
    method: String,
    /// When it was registered.
    #[schema(format = DateTime)]
    registered_at: String,
    /// By whom.
    registered_by: String,
    /// What it was made from.
    made_from: MadeFrom,
    /// What it showed on its test set.
    metrics: Shown,
    /// What its gate said, the oldest first.
    gates: Vec<Judged>,
    /// All that happened to the model, the oldest first.
    history: Vec<Happened>,
}

/// What a version was made from: the same again gives the same bytes.
#[derive(Serialize, ToSchema)]
struct MadeFrom {
    /// The hash that names the dataset.
    dataset: String,
    /// The hash of the model's bytes.
    artefact: String,
    /// The purpose it was trained for.
    purpose: String,
    /// The epoch of the consents.
    consent_epoch: u64,
    /// The seed.
    seed: u64,
    /// Rows.
    n_rows: u64,
    /// Of these, successes.
    n_positives: u64,
    /// The earliest example.
    #[schema(format = DateTime)]
    earliest: String,
    /// The latest example.
    #[schema(format = DateTime)]
    latest: String,
    /// Feature views with versions.
    features: Vec<String>,
    /// The program's version.
    code: String,
    /// The parameters.
    parameters: String,
}

/// What a version showed.
#[derive(Serialize, ToSchema)]
struct Shown {
    /// Rows measured on.
    n_rows: usize,
    /// Of these, successes.
    n_positives: usize,
    /// How often a success scores above a failure.
    auc: Figure,
    /// Mean negative log-likelihood.
    log_loss: Figure,
    /// Mean squared error of the probability.
    brier: Figure,
    /// Mean distance between probability and share of successes.
    calibration_error: Figure,
    /// How many times more successes among the best.
    lift: Figure,
    /// The share of rows that `lift` looks at.
    lift_share: f64,
    /// The probability from which to act, by the costs.
    threshold: f64,
    /// Share of successes among rows acted on.
    precision: Option<Figure>,
    /// Share of successes that are acted on.
    recall: Figure,
    /// Mean cost of a row.
    cost: Figure,
}

impl From<Metrics> for Shown {
    fn from(metrics: Metrics) -> Self {
        Self {
            n_rows: metrics.n_rows,
            n_positives: metrics.n_positives,
            auc: metrics.auc.into(),
            log_loss: metrics.log_loss.into(),
            brier: metrics.brier.into(),
            calibration_error: metrics.calibration_error.into(),
            lift: metrics.lift.into(),
            lift_share: metrics.lift_share,
            threshold: metrics.threshold,
            precision: metrics.precision.map(Figure::from),
            recall: metrics.recall.into(),
            cost: metrics.cost.into(),
        }
    }
}

/// One judgement of the gate.
#[derive(Serialize, ToSchema)]
struct Judged {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who or what measured.
    by: String,
    /// Whether it passed.
    passed: bool,
    /// In a sentence, with the figures.
    verdict: String,
    /// Rule by rule.
    checks: Vec<Checked>,
}

/// One rule.
#[derive(Serialize, ToSchema)]
struct Checked {
    /// Whether it holds.
    passed: bool,
    /// The figures, in a sentence.
    message: String,
}

/// One line of a model's history.
#[derive(Serialize, ToSchema)]
struct Happened {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who.
    by: String,
    /// What.
    what: String,
    /// Why.
    reason: String,
}

impl From<registry::Card> for Card {
    fn from(card: registry::Card) -> Self {
        let (manifest, about) = (card.manifest, card.about);
        let dataset = manifest.dataset;
        let check = |c: registry::Check| Checked { passed: c.passed, message: c.message };
        let gates = card.gates.into_iter().map(|gate| Judged {
            at: gate.at.to_string(),
            by: gate.by,
            passed: gate.passed,
            verdict: gate.verdict,
            checks: gate.checks.into_iter().map(check).collect(),
        });
        let history = card.history.into_iter().map(|entry| Happened {
            at: entry.at.to_string(),
            by: entry.by,
            what: entry.what,
            reason: entry.reason,
        });
        Self {
            model: card.model.to_string(),
            version: card.version.0,
            stage: stage_word(card.stage),
            canary_percent: card.share_percent,
            role: role_word(card.role),
            what: about.what,
            owner: about.owner,
            intended_use: about.intended_use,
            limits: about.limits,
            method: about.method,
            registered_at: card.registered_at.to_string(),
            registered_by: card.registered_by,
            made_from: MadeFrom {
                dataset: card.dataset,
                artefact: manifest.artefact.to_string(),
                purpose: dataset.purpose,
                consent_epoch: dataset.consent_epoch,
                seed: dataset.seed,
                n_rows: dataset.n_rows,
                n_positives: dataset.n_positives,
                earliest: dataset.earliest.to_string(),
                latest: dataset.latest.to_string(),
                features: dataset.features.iter().map(|f| format!("{}@{}", f.view, f.version)).collect(),
                code: manifest.code,
                parameters: manifest.parameters,
            },
            metrics: card.metrics.into(),
            gates: gates.collect(),
            history: history.collect(),
        }
    }
}

/// Which version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    version: Option<u32>,
}

/// `GET /v1/models/{name}`
pub(crate) async fn card(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named(name): Named<String>,
    Asked(Which { version }): Asked<Which>,
) -> Result<Json<Card>, Problem> {
    let asked = short(&name, 64);
    let card = door.ask(&id, move |house| {
        let state = house.model(&name)?;
        // Without a number: what serves, else the newest.
        let newest = || state.versions.last().map(|version| version.number);
        let version = version.map(VersionNumber).or(state.live).or_else(newest);
        version.map(|version| house.card(&name, version)).transpose()
    });
    match card.await? {
        Some(card) => Ok(Json(card.into())),
        None => Err(Refusal::NotFound { kind: "model with a version", name: asked }.into()),
    }
}
