//! The audit log, as tlog-tiles serves one: checkpoint, tiles, entries; and proofs for whoever does not want to make them.

use std::sync::Arc;

use audit::Tile;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use house::AuditSought;
use policy::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{self, Asked, Door, Json, Named};
use crate::gate::RequestId;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// Entries of one page at most.
const MOST: usize = 1_000;
const TEXT: &str = "text/plain; charset=utf-8";
/// Where tiles lie: level and number, then the width of one that is not whole; larger numbers take more parts.
const TILES: [&str; 4] = [
    "/v1/audit/tile/{level}/{n1}",
    "/v1/audit/tile/{level}/{n1}/{n2}",
    "/v1/audit/tile/{level}/{n1}/{n2}/{n3}",
    "/v1/audit/tile/{level}/{n1}/{n2}/{n3}/{n4}",
];

/// The routes of the log.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    let get = |path, summary| Spec::get(path, "audit", summary).scope(Scope::Protect);
    let tiles = TILES.into_iter().fold(table, |table, path| {
        let said = "A tile of 256 hashes, `0/x001/067` or `1/000.p/17`, or a bundle of entries, `entries/000` \
                    (C2SP tlog-tiles).";
        table.add(get(path, said).gives_media("application/octet-stream"), tile)
    });
    tiles
        .add(
            get("/v1/audit/checkpoint", "The signed checkpoint of now (C2SP tlog-checkpoint).").gives_media("text/plain"),
            checkpoint,
        )
        .add(
            get("/v1/audit/key", "What verifies the checkpoints: name+id+key. Get it by another way too.")
                .gives_media("text/plain"),
            key,
        )
        .add(
            get("/v1/audit/proof/{index}", "The proof that an entry is in the log (C2SP tlog-proof).")
                .gives_media("text/plain"),
            proof,
        )
        .add(
            get(
                "/v1/audit/consistency",
                "The proof that the log of `old` entries is the beginning of that of now, with its checkpoint, as a \
                 witness takes it (C2SP tlog-witness).",
            )
            .query("old", true, "Entries then.")
            .gives_media("text/plain"),
            consistency,
        )
        .add(
            get("/v1/audit/entries", "Privileged acts, the latest first.")
                .query("what", false, "Acts that begin so: `key.issue`, or `key.`.")
                .query("by", false, "Ordered by this one.")
                .query("subject", false, "About this subject, by its pseudonym.")
                .query("from", false, "Not before this instant.")
                .query("to", false, "Before this instant.")
                .query("before", false, "The `next` of the page before.")
                .query("limit", false, "Up to 1,000; 100 unless said.")
                .gives::<AuditEntries>(),
            entries,
        )
}

/// `GET /v1/audit/checkpoint`
pub(crate) async fn checkpoint(State(door): State<Arc<Door>>, id: RequestId) -> Result<Response, Problem> {
    let signed = door.ask(&id, |house| house.audit_checkpoint()).await?;
    Ok(given(TEXT, "no-cache", signed.note.into_bytes()))
}

/// `GET /v1/audit/key`
pub(crate) async fn key(State(door): State<Arc<Door>>, id: RequestId) -> Result<Response, Problem> {
    let key = door.ask(&id, |house| house.audit_key()).await?;
    Ok(given(TEXT, "no-cache", format!("{key}\n").into_bytes()))
}

/// `GET /v1/audit/tile/…`
pub(crate) async fn tile(
    State(door): State<Arc<Door>>,
    id: RequestId,
    uri: Uri,
) -> Result<Response, Problem> {
    let asked = uri.path().trim_start_matches("/v1/audit/").to_owned();
    let tile: Tile = asked.parse().map_err(|error: audit::Error| {
        Problem::from(Refusal::Path { given: crate::refusal::short(&asked, 100), reason: error.to_string() })
    })?;
    let bytes = door.ask(&id, move |house| house.audit_tile(tile)).await?;
    // What a checkpoint commits to never changes.
    Ok(given("application/octet-stream", "private, max-age=31536000, immutable", bytes))
}

/// `GET /v1/audit/proof/{index}`
pub(crate) async fn proof(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named(index): Named<u64>,
) -> Result<Response, Problem> {
    let proof = door.ask(&id, move |house| house.audit_proof(index)).await?;
    Ok(given(TEXT, "no-cache", proof.to_string().into_bytes()))
}

/// From where on to prove.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    old: u64,
}

/// `GET /v1/audit/consistency`
pub(crate) async fn consistency(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(since): Asked<Since>,
) -> Result<Response, Problem> {
    let request = door.ask(&id, move |house| house.audit_request(since.old)).await?;
    Ok(given(TEXT, "no-cache", request.to_string().into_bytes()))
}

fn given(media: &'static str, caching: &'static str, body: Vec<u8>) -> Response {
    ([("content-type", media), ("cache-control", caching)], body).into_response()
}

/// Which entries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sought {
    what: Option<String>,
    by: Option<String>,
    subject: Option<String>,
    from: Option<String>,
    to: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

/// A page of entries.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntries {
    /// How many entries the log has.
    size: u64,
    /// The latest first.
    entries: Vec<AuditEntryShown>,
    /// What to ask as `before` for the next page; null on the last one.
    next: Option<u64>,
}

/// A privileged act.
#[derive(Serialize, ToSchema)]
struct AuditEntryShown {
    /// Its index in the log.
    index: u64,
    /// When.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// What.
    #[schema(example = "key.issue")]
    what: Option<String>,
    /// Who ordered it.
    by: Option<String>,
    /// What for.
    purpose: Option<String>,
    /// Whom it concerns, by pseudonym.
    subject: Option<String>,
    /// What else is to be known.
    detail: Option<serde_json::Value>,
    /// Whether something is sealed with it.
    sealed: bool,
}

/// `GET /v1/audit/entries`
pub(crate) async fn entries(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(asked): Asked<Sought>,
) -> Result<Json<AuditEntries>, Problem> {
    let limit = asked.limit.unwrap_or(100).clamp(1, MOST);
    let subject = asked.subject.as_deref().map(door::id).transpose()?;
    let (from, to) =
        (door::instant("from", asked.from.as_deref())?, door::instant("to", asked.to.as_deref())?);
    let sought = AuditSought { what: asked.what, by: asked.by, subject, from, to, before: asked.before };
    let (size, found) =
        door.ask(&id, move |house| Ok((house.audit_size()?, house.audit_entries(&sought, limit)?))).await?;
    let last = found.last().map(|found| found.index).filter(|index| *index > 0);
    let next = if found.len() == limit { last } else { None };
    let shown = |found: house::AuditEntry| {
        let index = found.index;
        let Some(entry) = found.entry else {
            return AuditEntryShown {
                index,
                at: None,
                what: None,
                by: None,
                purpose: None,
                subject: None,
                detail: None,
                sealed: false,
            };
        };
        AuditEntryShown {
            index,
            at: Some(entry.at.to_string()),
            what: Some(entry.what),
            by: Some(entry.by),
            purpose: entry.purpose,
            subject: entry.subject.map(|subject| subject.to_string()),
            detail: (!entry.detail.is_null()).then_some(entry.detail),
            sealed: entry.sealed.is_some(),
        }
    };
    Ok(Json(AuditEntries { size, entries: found.into_iter().map(shown).collect(), next }))
}
