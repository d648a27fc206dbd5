//! The catalogue and the impact of a change on the wire.

use std::sync::Arc;

use axum::extract::State;
use contract::Contract;
use lineage::Kind;
use lineage::catalogue::{self, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{Asked, Door, Json, Sent};
use crate::gate::RequestId;
use crate::lineage::Thing;
use crate::problem::Problem;
use crate::refusal::Refusal;

/// Things in one answer.
const MAX_FOUND: usize = 1_000;

/// What was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct Catalogue {
    /// How many there are; at most 1,000 are shown.
    n: usize,
    /// The best first.
    found: Vec<Entry>,
}

/// Something found.
#[derive(Serialize, ToSchema)]
struct Entry {
    /// The thing.
    thing: Thing,
    /// How many things it is made from.
    n_up: usize,
    /// How many things are made from it.
    n_down: usize,
}

/// What to look for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CatalogueAsked {
    #[serde(default)]
    text: String,
    owner: Option<String>,
    purpose: Option<String>,
    field: Option<String>,
    kind: Option<String>,
    personal: Option<bool>,
    #[serde(default)]
    untested: bool,
}

/// `GET /v1/catalogue`
pub(crate) async fn search(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(asked): Asked<CatalogueAsked>,
) -> Result<Json<Catalogue>, Problem> {
    let kind: Option<Kind> = asked
        .kind
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|reason| Problem::from(Refusal::Query { reason }))?;
    let CatalogueAsked { text, owner, purpose, field, personal, untested, .. } = asked;
    let query = Query { text, owner, purpose, field, kind, personal, untested };
    let answer = door.ask(&id, move |house| {
        let graph = house.lineage()?;
        let found = catalogue::search(&graph, &query);
        let entry =
            |one: &catalogue::Found<'_>| Entry { thing: one.node.into(), n_up: one.n_up, n_down: one.n_down };
        Ok(Catalogue { n: found.len(), found: found.iter().take(MAX_FOUND).map(entry).collect() })
    });
    Ok(Json(answer.await?))
}

/// A change that is to come.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImpactAsked {
    /// A contract as it is to be, as YAML.
    #[serde(default)]
    contract: Option<String>,
    /// Things to be removed.
    #[serde(default)]
    #[schema(example = json!(["orders.total"]))]
    remove: Vec<String>,
}

/// What a change would do.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImpactTold {
    /// True where something breaks.
    breaks: bool,
    /// Everything reached; what breaks comes first.
    hits: Vec<Reached>,
    /// The same in sentences.
    findings: Vec<String>,
}

/// Something that a change reaches.
#[derive(Serialize, ToSchema)]
struct Reached {
    /// The thing.
    id: String,
    /// Who answers for it.
    owner: Option<String>,
    /// True where it breaks; false where it may change.
    breaks: bool,
    /// Why.
    because: String,
    /// The way there.
    path: Vec<String>,
}

/// `POST /v1/impact`
pub(crate) async fn impact(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Sent(ImpactAsked { contract, remove }): Sent<ImpactAsked>,
) -> Result<Json<ImpactTold>, Problem> {
    let contract = match contract.as_deref().map(|yaml| Contract::parse(yaml, "contract")) {
        None => None,
        Some(Ok(parsed)) => Some(parsed.contract),
        Some(Err(error)) => return Err(Refusal::WrongShape { reason: error.to_string() }.into()),
    };
    if contract.is_none() && remove.is_empty() {
        let reason = "one of `contract` and `remove` is expected".to_owned();
        return Err(Refusal::WrongShape { reason }.into());
    }
    let told = door.ask(&id, move |house| {
        let mut impact = house::what_if(&house.lineage()?, &remove)?;
        if let Some(contract) = contract {
            impact.hits.extend(house.impact_of(&contract)?.impact.hits);
        }
        let hits = impact.hits.iter().map(|hit| Reached {
            id: hit.node.to_string(),
            owner: hit.owner.clone(),
            breaks: hit.breaks,
            because: hit.because.clone(),
            path: hit.path.iter().map(ToString::to_string).collect(),
        });
        let findings = impact.findings("", None);
        Ok(ImpactTold {
            breaks: impact.breaks(),
            hits: hits.collect(),
            findings: findings.into_iter().map(|finding| finding.message).collect(),
        })
    });
    Ok(Json(told.await?))
}
