//! Segments on the wire: which there are, how many belong to each, and who, streamed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use house::SegmentFormat;
use http_body::Frame;
use policy::Scope;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use crate::door::{self, Asked, Door, Json, Named};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::{Refusal, short};
use crate::routes::{Spec, Table};

/// Profiles of one piece of an export; a slow reader holds up no more than two of them.
const PIECE: usize = 500;
/// Traits of one export.
const MAX_TRAITS: usize = 50;

/// The routes of segments.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    let at = "As of this instant; now unless said.";
    table
        .add(
            Spec::get("/v1/segments", "segments", "Every segment; with its count where the key may export.")
                .scope(Scope::Read)
                .gives::<Segments>(),
            list,
        )
        .add(
            Spec::get(
                "/v1/profiles/{kind}/{value}/segments",
                "people",
                "To which segments a person belongs.",
            )
            .scope(Scope::Read)
            .query("purpose", true, "For what they are read: segments of this purpose are asked.")
            .gives::<SegmentsOf>(),
            of,
        )
        .add(
            Spec::get("/v1/segments/{segment}/count", "segments", "How many belong to a segment.")
                .scope(Scope::Export)
                .query("at", false, at)
                .gives::<SegmentCounted>(),
            count,
        )
        .add(
            Spec::get(
                "/v1/segments/{segment}/export",
                "segments",
                "Who belongs to a segment, a line a profile.",
            )
            .scope(Scope::Export)
            .query("traits", false, "Traits beside each profile's pseudonym, with commas between; up to 50.")
            .query("format", false, "`csv`, or `jsonl` unless said.")
            .query("at", false, "Who belonged to it at this instant; traits are those of today.")
            .gives_media("application/x-ndjson"),
            export,
        )
}

/// Every segment.
#[derive(Serialize, ToSchema)]
pub(crate) struct Segments {
    /// By the names of their files.
    segments: Vec<SegmentShown>,
}

/// A segment.
#[derive(Serialize, ToSchema)]
struct SegmentShown {
    /// Its name.
    segment: String,
    /// Its version.
    version: u32,
    /// Who answers for it.
    owner: String,
    /// What it is for.
    description: String,
    /// For what people are read.
    purpose: String,
    /// Who belongs to it.
    #[schema(example = "orders.n_180d >= 2 and trait.country = 'DE'")]
    rule: String,
    /// How many do; null where the key may not take data out.
    count: Option<SegmentCounted>,
}

/// How many belong to a segment.
#[derive(Serialize, ToSchema)]
pub(crate) struct SegmentCounted {
    /// The segment.
    segment: String,
    /// Its purpose.
    purpose: String,
    /// The instant it is of.
    #[schema(format = DateTime)]
    at: String,
    /// Profiles that belong to it.
    n_profiles: u64,
    /// Profiles that may be read for its purpose.
    n_of: u64,
}

impl From<house::SegmentCount> for SegmentCounted {
    fn from(count: house::SegmentCount) -> Self {
        Self {
            segment: count.segment,
            purpose: count.purpose,
            at: count.at.to_string(),
            n_profiles: count.n_profiles,
            n_of: count.n_of,
        }
    }
}

async fn list(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
) -> Result<Json<Segments>, Problem> {
    let read = move |house: &Arc<house::House>| {
        let who = &caller.principal;
        let shown = |segment: &profile::Segment| {
            let counts = who.has(Scope::Export);
            let count = counts.then(|| house.count_segment(who, &segment.name, None)).transpose()?;
            Ok(SegmentShown {
                segment: segment.name.clone(),
                version: segment.version,
                owner: segment.owner.clone(),
                description: segment.description.clone(),
                purpose: segment.purpose.clone(),
                rule: segment.rule.to_string(),
                count: count.map(SegmentCounted::from),
            })
        };
        house.project().segments.iter().map(shown).collect::<Result<Vec<_>, house::Error>>()
    };
    Ok(Json(Segments { segments: door.ask(&id, read).await? }))
}

/// For what somebody is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfAsked {
    purpose: String,
}

/// To which segments a person belongs.
#[derive(Serialize, ToSchema)]
pub(crate) struct SegmentsOf {
    /// The instant it is of.
    #[schema(format = DateTime)]
    at: String,
    /// For what they were read.
    purpose: String,
    /// By the segment's name: whether they belong to it.
    segments: BTreeMap<String, bool>,
}

async fn of(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named((kind, value)): Named<(String, String)>,
    Asked(OfAsked { purpose }): Asked<OfAsked>,
) -> Result<Json<SegmentsOf>, Problem> {
    let asked = purpose.clone();
    let read = move |house: &Arc<house::House>| {
        house.segments_of(&caller.principal, &house::Identifier { kind, value }, &asked)
    };
    let (at, segments) = door.ask(&id, read).await?;
    Ok(Json(SegmentsOf { at: at.to_string(), purpose, segments }))
}

/// As of when.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountAsked {
    at: Option<String>,
}

async fn count(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(segment): Named<String>,
    Asked(asked): Asked<CountAsked>,
) -> Result<Json<SegmentCounted>, Problem> {
    let at = door::instant("at", asked.at.as_deref())?;
    let read = move |house: &Arc<house::House>| house.count_segment(&caller.principal, &segment, at);
    Ok(Json(door.ask(&id, read).await?.into()))
}

/// What an export holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportAsked {
    at: Option<String>,
    #[serde(default)]
    traits: String,
    format: Option<String>,
}

async fn export(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(segment): Named<String>,
    Asked(asked): Asked<ExportAsked>,
) -> Result<Response, Problem> {
    let at = door::instant("at", asked.at.as_deref())?;
    let (format, media) = match asked.format.as_deref() {
        None | Some("jsonl") => (SegmentFormat::JsonLines, "application/x-ndjson"),
        Some("csv") => (SegmentFormat::Csv, "text/csv; charset=utf-8"),
        Some(odd) => {
            let reason = format!("format: `csv` or `jsonl` is expected, not `{}`", short(odd, 20));
            return Err(Refusal::Query { reason }.into());
        }
    };
    let named = asked.traits.split(',').map(str::trim).filter(|name| !name.is_empty());
    let traits: Vec<String> = named.map(str::to_owned).collect();
    if traits.len() > MAX_TRAITS {
        let reason = format!("traits: there are {}; {MAX_TRAITS} are the most", traits.len());
        return Err(Refusal::Query { reason }.into());
    }
    let select = {
        let (caller, segment, traits) = (caller.clone(), segment.clone(), traits.clone());
        move |house: &Arc<house::House>| {
            house.known_traits(&traits)?;
            let found = house.segment_profiles(&caller.principal, &segment, at)?;
            house.audit_export(&caller.principal, "segment", &segment, &house.segment(&segment)?.purpose)?;
            Ok(found)
        }
    };
    let (count, profiles) = door.ask(&id, select).await?;
    let (send, receive) = mpsc::channel(2);
    tokio::spawn(async move {
        let mut piece = format.head(&traits);
        for profiles in profiles.chunks(PIECE) {
            let (caller, segment) = (caller.clone(), segment.clone());
            let (profiles, traits) = (profiles.to_vec(), traits.clone());
            let rows = door
                .ask(&id, move |house| house.segment_rows(&caller.principal, &segment, &profiles, &traits));
            match rows.await {
                Ok(rows) => rows.iter().for_each(|row| piece.push_str(&format.line(row))),
                Err(problem) => {
                    // What came so far is cut off, so that nobody takes it for the whole.
                    let _ = send.send(Err(std::io::Error::other(problem.message))).await;
                    return;
                }
            }
            // Whoever hangs up wants no more.
            if send.send(Ok(Bytes::from(std::mem::take(&mut piece)))).await.is_err() {
                return;
            }
        }
        if !piece.is_empty() {
            let _ = send.send(Ok(Bytes::from(piece))).await;
        }
    });
    let headers = [("content-type", media.to_owned()), ("x-profiles", count.n_profiles.to_string())];
    Ok((headers, Body::new(Pieces(receive))).into_response())
}

/// A body that comes piece by piece.
struct Pieces(mpsc::Receiver<Result<Bytes, std::io::Error>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let piece = self.get_mut().0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
