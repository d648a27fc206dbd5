//! Requests of people (GDPR articles 15 to 21) on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use event::RecordId;
use house::{Correction, RequestAsked, RequestStanding};
use policy::Scope;
use register::Right;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::people::Called;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// The routes of requests.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    let post = |path, what| Spec::post(path, "rights", what).scope(Scope::Protect);
    table
        .add(
            post("/v1/requests", "Writes a person's request down: its month begins.")
                .takes::<RequestBrought>()
                .gives::<PersonRequest>(),
            open,
        )
        .add(
            Spec::get("/v1/requests", "rights", "Every request with its deadline, the most urgent first.")
                .scope(Scope::Protect)
                .gives::<PersonRequests>(),
            list,
        )
        .add(
            Spec::get("/v1/requests/{id}", "rights", "One request, with the signed receipts of what was done.")
                .scope(Scope::Protect)
                .gives::<PersonRequest>(),
            show,
        )
        .add(
            post(
                "/v1/requests/{id}/hand-over",
                "Hands over what a request for access or portability asks for; the first time fulfils it.",
            )
            .gives::<HandedOver>(),
            hand_over,
        )
        .add(
            post(
                "/v1/requests/{id}/fulfil",
                "Does what a request for rectification, erasure, restriction or objection asks for; done again it does nothing.",
            )
            .takes::<FulfilOrdered>()
            .gives::<PersonRequest>(),
            fulfil,
        )
        .add(
            post("/v1/requests/{id}/extend", "One or two months more, with the reason that the person is told.")
                .takes::<MoreTime>()
                .gives::<PersonRequest>(),
            extend,
        )
        .add(
            post("/v1/requests/{id}/refuse", "Refuses a request, with the reason that the person is told.")
                .takes::<RefusedBecause>()
                .gives::<PersonRequest>(),
            refuse,
        )
        .add(
            post("/v1/requests/{id}/tell", "Notes that somebody who got the data was told (article 19).")
                .takes::<RecipientTold>()
                .gives::<PersonRequest>(),
            tell,
        )
}

/// A request as somebody brings it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestBrought {
    /// `access`, `rectification`, `erasure`, `restriction`, `portability` or `objection`.
    #[schema(example = "access")]
    right: String,
    /// Who asks; that it is them was checked before.
    identifier: Called,
    /// When it came, if not now.
    #[schema(format = DateTime)]
    received_at: Option<String>,
    /// A ticket's number or the like; no names of people.
    #[serde(default)]
    reference: String,
}

/// A request and where it stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct PersonRequest {
    /// Its id.
    id: String,
    /// Which right.
    right: &'static str,
    /// The pseudonym it came under.
    subject: String,
    /// `open`, `escalated`, `overdue`, `telling`, `fulfilled`, `refused`.
    state: &'static str,
    /// When it came.
    #[schema(format = DateTime)]
    received_at: String,
    /// Until when it must be answered.
    #[schema(format = DateTime)]
    due: String,
    /// From when on it is told that it is not.
    #[schema(format = DateTime)]
    escalates: String,
    /// Who wrote it down.
    by: String,
    /// A ticket's number or the like.
    reference: String,
    /// Why it takes longer.
    extended: Option<String>,
    /// Why nothing was done.
    refused: Option<String>,
    /// What each store did.
    stores: Vec<StoreDone>,
    /// SHA-256 of what was handed over the first time.
    sha256: Option<String>,
    /// The receipts as a signed note (C2SP) of the house's key `receipts`.
    signed: Option<String>,
    /// Recipients who are still to be told (article 19).
    to_tell: Vec<String>,
}

/// What one store did for a request.
#[derive(Serialize, ToSchema)]
struct StoreDone {
    /// The store.
    store: String,
    /// How many things it is about.
    n: u64,
    /// In a sentence.
    what: String,
}

/// Every request.
#[derive(Serialize, ToSchema)]
pub(crate) struct PersonRequests {
    /// The most urgent first.
    requests: Vec<PersonRequest>,
}

/// What is handed over.
#[derive(Serialize, ToSchema)]
pub(crate) struct HandedOver {
    /// The request now.
    request: PersonRequest,
    /// SHA-256 over the files, in their order: name, newline, content.
    sha256: String,
    /// JSON and CSV.
    files: Vec<FileHanded>,
}

/// A file for the person.
#[derive(Serialize, ToSchema)]
struct FileHanded {
    /// Its name.
    name: String,
    /// Its text.
    content: String,
}

/// What is to be done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FulfilOrdered {
    /// Of a request for rectification: what is wrong.
    #[serde(default)]
    corrections: Vec<CorrectionOrdered>,
}

/// What is wrong in one record, and what is right.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CorrectionOrdered {
    /// The stream.
    stream: String,
    /// The record; none: the person's latest, of a stream that says what people are like.
    record: Option<String>,
    /// The right values by field; null: there is none.
    values: BTreeMap<String, serde_json::Value>,
}

/// More time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoreTime {
    /// One or two.
    months: i8,
    /// Why; the person is told.
    reason: String,
}

/// Why nothing is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefusedBecause {
    /// The reason that the person is told.
    reason: String,
}

/// Somebody who got the data was told.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipientTold {
    /// Who.
    recipient: String,
    /// Under which reference.
    reference: String,
}

impl From<RequestStanding> for PersonRequest {
    fn from(standing: RequestStanding) -> Self {
        let request = standing.request;
        let done = request.fulfilled;
        let stores = done.iter().flat_map(|done| done.stores.clone());
        let stores = stores.map(|one| StoreDone { store: one.store, n: one.n, what: one.what }).collect();
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Self {
            id: request.id,
            right: request.right.as_str(),
            subject: request.subject.to_string(),
            state: standing.state.as_str(),
            received_at: request.received_at.to_string(),
            due: standing.due.to_string(),
            escalates: standing.escalates.to_string(),
            by: request.by,
            reference: request.reference,
            extended: request.extension.map(|more| more.said.note),
            refused: request.refused.map(|refused| refused.note),
            sha256: done.as_ref().and_then(|done| some(&done.sha256)),
            signed: done.as_ref().and_then(|done| some(&done.signed)),
            stores,
            to_tell: standing.to_tell,
        }
    }
}

/// `POST /v1/requests`
async fn open(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(brought): Sent<RequestBrought>,
) -> Result<Json<PersonRequest>, Problem> {
    let right: Right =
        brought.right.parse().map_err(|e: register::Error| Refusal::WrongShape { reason: e.to_string() })?;
    let received_at = crate::door::instant("received_at", brought.received_at.as_deref())?;
    let asked =
        RequestAsked { right, who: brought.identifier.into(), received_at, reference: brought.reference };
    let done = door.ask(&id, move |house| house.open_request(caller.principal.name(), &asked));
    Ok(Json(done.await?.into()))
}

/// `GET /v1/requests`
async fn list(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<PersonRequests>, Problem> {
    let all = door.ask(&id, |house| house.requests()).await?;
    Ok(Json(PersonRequests { requests: all.into_iter().map(Into::into).collect() }))
}

/// `GET /v1/requests/{id}`
async fn show(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named(request): Named<String>,
) -> Result<Json<PersonRequest>, Problem> {
    Ok(Json(door.ask(&id, move |house| house.request(&request)).await?.into()))
}

/// `POST /v1/requests/{id}/hand-over`
async fn hand_over(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(request): Named<String>,
) -> Result<Json<HandedOver>, Problem> {
    let handed = door.ask(&id, move |house| house.hand_over(&request, caller.principal.name())).await?;
    let files = handed.files.into_iter().map(|(name, content)| FileHanded { name, content }).collect();
    Ok(Json(HandedOver { request: handed.request.into(), sha256: handed.sha256, files }))
}

/// `POST /v1/requests/{id}/fulfil`
async fn fulfil(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(request): Named<String>,
    Sent(ordered): Sent<FulfilOrdered>,
) -> Result<Json<PersonRequest>, Problem> {
    let correction = |one: CorrectionOrdered| -> Result<Correction, Refusal> {
        let record = one.record.as_deref().map(str::parse::<RecordId>).transpose();
        let record = record.map_err(|e| Refusal::WrongShape { reason: format!("record: {e}") })?;
        Ok(Correction { stream: one.stream, record, values: one.values })
    };
    let corrections = ordered.corrections.into_iter().map(correction).collect::<Result<Vec<_>, _>>()?;
    let done =
        door.ask(&id, move |house| house.fulfil_request(&request, caller.principal.name(), &corrections));
    Ok(Json(done.await?.into()))
}

/// `POST /v1/requests/{id}/extend`
async fn extend(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(request): Named<String>,
    Sent(more): Sent<MoreTime>,
) -> Result<Json<PersonRequest>, Problem> {
    let done = door.ask(&id, move |house| {
        house.extend_request(&request, more.months, caller.principal.name(), &more.reason)
    });
    Ok(Json(done.await?.into()))
}

/// `POST /v1/requests/{id}/refuse`
async fn refuse(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(request): Named<String>,
    Sent(because): Sent<RefusedBecause>,
) -> Result<Json<PersonRequest>, Problem> {
    let done =
        door.ask(&id, move |house| house.refuse_request(&request, caller.principal.name(), &because.reason));
    Ok(Json(done.await?.into()))
}

/// `POST /v1/requests/{id}/tell`
async fn tell(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(request): Named<String>,
    Sent(told): Sent<RecipientTold>,
) -> Result<Json<PersonRequest>, Problem> {
    let done = door.ask(&id, move |house| {
        house.tell_recipient(&request, &told.recipient, caller.principal.name(), &told.reference)
    });
    Ok(Json(done.await?.into()))
}
