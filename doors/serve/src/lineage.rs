//! Lineage on the wire: OpenLineage in and out, the graph, a decision's raw rows.

use std::sync::Arc;

use axum::extract::State;
use lineage::{Direction, Graph};
use policy::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::catalogue::{self, Catalogue, ImpactAsked, ImpactTold};
use crate::door::{self, Asked, Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// Events of one batch.
const MAX_EVENTS: usize = 1_000;

/// The routes of lineage.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    table
        .add(
            Spec::post("/api/v1/lineage", "lineage", "Takes an OpenLineage event of another tool.")
                .scope(Scope::Track)
                .takes::<LineageEvent>()
                .gives::<LineageTaken>(),
            take_one,
        )
        .add(
            Spec::post("/api/v1/lineage/batch", "lineage", "Takes up to 1,000 OpenLineage events as a list.")
                .scope(Scope::Track)
                .takes::<LineageEvents>()
                .gives::<LineageBatch>(),
            take_many,
        )
        .add(
            Spec::get("/v1/lineage", "lineage", "What something is made from, or what is made from it.")
                .scope(Scope::Read)
                .query(
                    "of",
                    true,
                    "A thing: `field:orders.total`, `feature:purchases.spent`, `model:response`.",
                )
                .query("direction", false, "`up`, or `down` unless said.")
                .query("depth", false, "Steps at most; all unless said.")
                .gives::<LineageOf>(),
            of,
        )
        .add(
            Spec::get("/v1/lineage/events", "lineage", "This house as OpenLineage events.")
                .scope(Scope::Read)
                .gives::<LineageEvents>(),
            events,
        )
        .add(
            Spec::get("/v1/lineage/decisions/{decision}", "lineage", "A decision, back to its raw records.")
                .scope(Scope::Decide)
                .gives::<LineageDecision>(),
            decision,
        )
        .add(
            Spec::get("/v1/catalogue", "lineage", "Everything that has a name, searched.")
                .scope(Scope::Read)
                .query("text", false, "Words of the name or the description.")
                .query("owner", false, "Part of the owner's name.")
                .query("purpose", false, "A purpose.")
                .query("field", false, "A field's name: it, and what is made from it.")
                .query("kind", false, "stream, field, feature, model, use_case, dataset, job, …")
                .query("personal", false, "true or false.")
                .query("untested", false, "true: only what nothing tests.")
                .gives::<Catalogue>(),
            catalogue::search,
        )
        .add(
            Spec::post(
                "/v1/impact",
                "lineage",
                "What a changed contract, or something removed, would break.",
            )
            .scope(Scope::Read)
            .takes::<ImpactAsked>()
            .gives::<ImpactTold>(),
            catalogue::impact,
        )
}

/// A shape that another standard, or the house's own record, has.
macro_rules! document {
    ($(#[$doc:meta])* $name:ident($type:ty), $sort:ident, $said:literal) => {
        $(#[$doc])*
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name($type);

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let schema = ObjectBuilder::new().schema_type(Type::$sort).description(Some($said));
                RefOr::T(Schema::Object(schema.build()))
            }
        }

        impl ToSchema for $name {}
    };
}

document!(
    /// An event of another tool.
    LineageEvent(Value), Object, "An OpenLineage event: RunEvent, JobEvent or DatasetEvent."
);
document!(
    /// Several events.
    LineageEvents(Vec<Value>), Array, "OpenLineage events: RunEvent, JobEvent or DatasetEvent."
);

/// What became of an event.
#[derive(Serialize, ToSchema)]
pub(crate) struct LineageTaken {
    /// The record it is kept as; the same event twice is one.
    record: String,
}

/// What became of several events.
#[derive(Serialize, ToSchema)]
pub(crate) struct LineageBatch {
    /// `success`, `partial_success` or `failure`.
    status: &'static str,
    /// Counts.
    summary: LineageSummary,
    /// Those that were refused.
    failed_events: Vec<LineageFailed>,
}

/// Counts of a batch.
#[derive(Serialize, ToSchema)]
struct LineageSummary {
    /// Sent.
    received: usize,
    /// Taken.
    successful: usize,
    /// Refused; sending them again helps nothing.
    failed: usize,
}

/// An event that was refused.
#[derive(Serialize, ToSchema)]
struct LineageFailed {
    /// Its place in the list, from 0.
    index: usize,
    /// Names the reason.
    #[schema(example = "MR2302")]
    code: &'static str,
    /// The reason.
    reason: String,
}

/// `POST /api/v1/lineage`
pub(crate) async fn take_one(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Sent(LineageEvent(event)): Sent<LineageEvent>,
) -> Result<Json<LineageTaken>, Problem> {
    let record = door.ask(&id, move |house| {
        let taken = house.tell_lineage(std::slice::from_ref(&event))?.into_iter().next();
        let missing = || lineage::Error::NoEvent { reason: "nothing arrived".to_owned() };
        Ok(taken.unwrap_or_else(|| Err(missing()))?)
    });
    Ok(Json(LineageTaken { record: record.await?.to_string() }))
}

/// `POST /api/v1/lineage/batch`
pub(crate) async fn take_many(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Sent(LineageEvents(events)): Sent<LineageEvents>,
) -> Result<Json<LineageBatch>, Problem> {
    if events.len() > MAX_EVENTS {
        let reason = format!("{} events are more than {MAX_EVENTS}", events.len());
        return Err(Refusal::WrongShape { reason }.into());
    }
    let received = events.len();
    let results = door.ask(&id, move |house| house.tell_lineage(&events)).await?;
    let failed_events: Vec<LineageFailed> = results
        .iter()
        .enumerate()
        .filter_map(|(index, result)| {
            let error = result.as_ref().err()?;
            Some(LineageFailed { index, code: error.code(), reason: error.to_string() })
        })
        .collect();
    let failed = failed_events.len();
    let status = match failed {
        0 => "success",
        n if n == received => "failure",
        _ => "partial_success",
    };
    let summary = LineageSummary { received, successful: received - failed, failed };
    Ok(Json(LineageBatch { status, summary, failed_events }))
}

/// A thing of the catalogue.
#[derive(Serialize, ToSchema)]
pub(crate) struct Thing {
    /// Its name, with its kind.
    #[schema(example = "feature:purchases.spent")]
    id: String,
    /// What it is about.
    description: Option<String>,
    /// Who answers for it.
    owner: Option<String>,
    /// What it may be used for.
    purposes: Vec<String>,
    /// Its version.
    version: Option<String>,
    /// The type of its values, or what sort of job it is.
    type_name: Option<String>,
    /// How sensitive a field is.
    classification: Option<String>,
    /// True where it holds personal data, or something computed from them.
    personal: bool,
    /// What tests it; null where nothing does.
    tested_by: Option<String>,
    /// The file that describes it.
    file: Option<String>,
}

impl From<&lineage::Node> for Thing {
    fn from(node: &lineage::Node) -> Self {
        let node = node.clone();
        Self {
            id: node.id.to_string(),
            description: node.description,
            owner: node.owner,
            purposes: node.purposes,
            version: node.version,
            type_name: node.type_name,
            classification: node.classification,
            personal: node.personal,
            tested_by: node.tested_by,
            file: node.file,
        }
    }
}

/// What is made from what.
#[derive(Serialize, ToSchema)]
pub(crate) struct Made {
    /// What goes in.
    from: String,
    /// What comes out.
    to: String,
    /// What happens: same, derived, computed, aggregated, picked, filters, identifies, times, reads, …
    how: &'static str,
    /// More about it.
    via: Option<String>,
    /// Information is lost.
    lossy: bool,
    /// Nothing tests what comes out.
    untested: bool,
    /// Personal data flow.
    personal: bool,
}

impl From<&lineage::Edge> for Made {
    fn from(edge: &lineage::Edge) -> Self {
        Self {
            from: edge.from.to_string(),
            to: edge.to.to_string(),
            how: edge.how.as_str(),
            via: edge.via.clone(),
            lossy: edge.lossy,
            untested: edge.untested,
            personal: edge.personal,
        }
    }
}

/// A thing and what is made from it, or it from.
#[derive(Serialize, ToSchema)]
pub(crate) struct LineageOf {
    /// The thing asked for.
    of: Thing,
    /// Everything reached, nearest first.
    things: Vec<Thing>,
    /// Every edge between them.
    edges: Vec<Made>,
    /// Circles that the thing is in.
    cycles: Vec<Vec<String>>,
}

/// Of what, which way, how far.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfAsked {
    of: String,
    direction: Option<String>,
    depth: Option<usize>,
}

/// `GET /v1/lineage`
pub(crate) async fn of(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(OfAsked { of, direction, depth }): Asked<OfAsked>,
) -> Result<Json<LineageOf>, Problem> {
    let direction = match direction.as_deref() {
        None | Some("down") => Direction::Down,
        Some("up") => Direction::Up,
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            return Err(
                Refusal::Query { reason: format!("direction={other} is neither `up` nor `down`") }.into()
            );
        }
    };
    let found = door.ask(&id, move |house| {
        let graph = house.lineage()?;
        Ok(reached(&graph, &of, direction, depth.unwrap_or(usize::MAX))?)
    });
    Ok(Json(found.await?))
}

fn reached(graph: &Graph, of: &str, direction: Direction, depth: usize) -> Result<LineageOf, lineage::Error> {
    let node = graph.find(of)?;
    let steps = graph.trace(&node.id, direction, depth);
    let mut inside: std::collections::BTreeSet<&lineage::NodeId> =
        steps.iter().map(|step| &step.node.id).collect();
    inside.insert(&node.id);
    let edges = graph.edges().iter().filter(|edge| inside.contains(&edge.from) && inside.contains(&edge.to));
    let cycles = graph.cycles().into_iter().filter(|members| members.contains(&node.id));
    Ok(LineageOf {
        of: node.into(),
        things: steps.iter().map(|step| step.node.into()).collect(),
        edges: edges.map(Made::from).collect(),
        cycles: cycles.map(|members| members.iter().map(ToString::to_string).collect()).collect(),
    })
}

/// `GET /v1/lineage/events`
pub(crate) async fn events(
    State(door): State<Arc<Door>>,
    id: RequestId,
) -> Result<Json<LineageEvents>, Problem> {
    Ok(Json(LineageEvents(door.ask(&id, |house| house.lineage_events()).await?)))
}

document!(
    /// A decision and all that it was made from.
    LineageDecision(Value), Object,
    "The decision, its inputs with the records behind each, its models with their manifests, the raw records."
);

/// A decision in a path.
#[derive(Deserialize)]
pub(crate) struct OfDecision {
    decision: String,
}

/// `GET /v1/lineage/decisions/{decision}`
pub(crate) async fn decision(
    State(door): State<Arc<Door>>,
    request: RequestId,
    caller: Caller,
    Named(OfDecision { decision }): Named<OfDecision>,
) -> Result<Json<LineageDecision>, Problem> {
    let id = door::id(&decision)?;
    let trace = door.ask(&request, move |house| house.trace_decision(&caller.principal, id, None)).await?;
    // Ids, numbers and texts: there is nothing in it that JSON cannot say.
    Ok(Json(LineageDecision(serde_json::to_value(trace).unwrap_or_default())))
}
