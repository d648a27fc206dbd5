//! Models and their versions on the wire, and the two commands that move traffic.

use std::sync::Arc;

use axum::extract::State;
use learn::metric::Estimate;
use registry::{ModelName, ModelState, Move, Role, Share, Stage, VersionNumber};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::Refusal;

/// Every model.
#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    /// By name.
    models: Vec<Model>,
}

/// A model and what serves.
#[derive(Serialize, ToSchema)]
pub(crate) struct Model {
    /// Its name.
    model: String,
    /// The version that serves everybody whom the canary does not.
    live: Option<u32>,
    /// The version that serves a share.
    canary: Option<u32>,
    /// The canary's share of profiles, in percent.
    canary_percent: Option<f64>,
    /// Every version, the oldest first.
    versions: Vec<Version>,
}

/// One version in a list.
#[derive(Serialize, ToSchema)]
struct Version {
    /// Its number.
    version: u32,
    /// `dark`, `canary`, `live` or `retired`.
    stage: &'static str,
    /// `baseline` or `challenger`.
    role: &'static str,
    /// How it was fitted.
    method: String,
    /// When it was registered.
    #[schema(format = DateTime)]
    registered_at: String,
    /// Area under the curve on its test set.
    auc: Figure,
    /// What its gate said last; null where it was never judged.
    gate: Option<String>,
}

/// A figure with its 95 % interval.
#[derive(Serialize, ToSchema)]
pub(crate) struct Figure {
    /// The figure.
    value: f64,
    /// The lower end.
    low: f64,
    /// The upper end.
    high: f64,
}

impl From<Estimate> for Figure {
    fn from(estimate: Estimate) -> Self {
        Self { value: estimate.value, low: estimate.low, high: estimate.high }
    }
}

pub(crate) fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Dark => "dark",
        Stage::Canary => "canary",
        Stage::Live => "live",
        Stage::Retired => "retired",
    }
}

pub(crate) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Baseline => "baseline",
        Role::Challenger => "challenger",
    }
}

fn model(name: &ModelName, state: &ModelState) -> Model {
    let versions = state.versions.iter().map(|version| Version {
        version: version.number.0,
        stage: stage_word(version.stage),
        role: role_word(version.role),
        method: version.about.method.clone(),
        registered_at: version.registered_at.to_string(),
        auc: version.metrics.auc.into(),
        gate: version.judgements.last().map(|judgement| judgement.report.verdict()),
    });
    Model {
        model: name.to_string(),
        live: state.live.map(|number| number.0),
        canary: state.canary.map(|canary| canary.version.0),
        canary_percent: state.canary.map(|canary| canary.share.percent()),
        versions: versions.collect(),
    }
}

/// `GET /v1/models`
pub(crate) async fn list(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<Models>, Problem> {
    let models = door.ask(&id, |house| house.models()).await?;
    Ok(Json(Models { models: models.iter().map(|(name, state)| model(name, state)).collect() }))
}

/// Where a version shall go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Promotion {
    /// The version.
    version: u32,
    /// Where to.
    to: Target,
    /// The canary's share of profiles, in percent.
    percent: Option<f64>,
    /// Why; it stands in the model's history.
    reason: String,
}

/// Where a version can go.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Target {
    /// Serve a share of profiles.
    Canary,
    /// Serve everybody.
    Live,
    /// Serve nobody again.
    Dark,
    /// Serve nobody any more.
    Retired,
}

/// `POST /v1/models/{name}/promote`
pub(crate) async fn promote(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(name): Named<String>,
    Sent(promotion): Sent<Promotion>,
) -> Result<Json<Model>, Problem> {
    let Promotion { version, to, percent, reason } = promotion;
    let wrong = |reason: &str| Problem::from(Refusal::WrongShape { reason: reason.to_owned() });
    let share = match (to, percent) {
        (Target::Canary, None) => {
            return Err(wrong("missing field `percent`: which share does the canary serve?"));
        }
        (Target::Canary, Some(percent)) => Some(percent),
        (_, None) => None,
        (_, Some(_)) => return Err(wrong("`percent` belongs to `canary` only")),
    };
    let moved = door.ask(&id, move |house| {
        let to = match (to, share) {
            (Target::Canary, share) => Move::Canary(Share::from_percent(share.unwrap_or_default())?),
            (Target::Live, _) => Move::Live,
            (Target::Dark, _) => Move::Dark,
            (Target::Retired, _) => Move::Retired,
        };
        house.promote(&caller.principal, &name, VersionNumber(version), to, &reason)?;
        Ok(model(&name.parse()?, &*house.model(&name)?))
    });
    Ok(Json(moved.await?))
}

/// Why a move is taken back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rollback {
    /// Why; it stands in the model's history.
    reason: String,
}

/// `POST /v1/models/{name}/rollback`
pub(crate) async fn rollback(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(name): Named<String>,
    Sent(Rollback { reason }): Sent<Rollback>,
) -> Result<Json<Model>, Problem> {
    let moved = door.ask(&id, move |house| {
        house.rollback(&caller.principal, &name, &reason)?;
        Ok(model(&name.parse()?, &*house.model(&name)?))
    });
    Ok(Json(moved.await?))
}
