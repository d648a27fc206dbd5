//! Tracking: what Segment's clients send, and documents posted for a stream.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use event::SourceName;
use house::{Done, House, TrackReport};
use intake::segment::Endpoint;
use policy::Scope;
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::body::{self, MAX_BYTES, MAX_TRACKING_BYTES, Media};
use crate::credentials;
use crate::door::{self, Door, Json, Named, Raw};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::Refusal;

/// Refused items that a reply names; the others are counted.
const MAX_NAMED: usize = 20;

/// What became of what was sent. Everything accepted is durable when this is answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tracked {
    /// True where every item was understood; quarantined items were.
    success: bool,
    /// Items in the journal under their contract.
    accepted: u64,
    /// Items in quarantine with their findings; they can be replayed once the contract is mended.
    quarantined: u64,
    /// Items that repeat an earlier one of the same delivery; those of an earlier delivery are dropped later.
    duplicates: u64,
    /// Items that nothing is kept of.
    refused: u64,
    /// The code of the first refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The message of the first refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The first refusals, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refusals: Vec<RefusedItem>,
}

/// One item that was refused.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedItem {
    /// Its place in the batch, from 0.
    index: usize,
    /// Names the error.
    #[schema(example = "MR2004")]
    code: &'static str,
    /// What is wrong.
    message: String,
}

impl From<TrackReport> for Tracked {
    fn from(report: TrackReport) -> Self {
        let first = report.refused.first();
        let (code, message) = (first.map(|r| r.1), first.map(|r| r.2.clone()));
        let refusals = report.refused.into_iter().take(MAX_NAMED);
        let counts = &report.counts;
        Self {
            success: code.is_none(),
            accepted: counts.n_accepted,
            quarantined: counts.n_quarantined,
            duplicates: counts.n_duplicates,
            refused: counts.n_refused,
            code,
            message,
            refusals: refusals.map(|(index, code, message)| RefusedItem { index, code, message }).collect(),
        }
    }
}

/// `/v1/track` and its sisters.
pub(crate) async fn track(
    State(door): State<Arc<Door>>,
    path: MatchedPath,
    id: RequestId,
    request: Request,
) -> Result<Json<Tracked>, Problem> {
    let word = path.as_str().rsplit('/').next().unwrap_or_default();
    let no_route = || Refusal::NoRoute { path: path.as_str().to_owned() };
    let endpoint = Endpoint::read(word).ok_or_else(no_route)?;
    let caller = request.extensions().get::<Caller>().cloned();
    let Raw(bytes) = door::read(request, Media::JsonOrText, MAX_TRACKING_BYTES).await.map_err(as_tracked)?;
    body::text(&bytes)?;
    let caller = match caller {
        Some(caller) => caller,
        None => {
            let secret = credentials::from_body(&bytes).ok_or(Refusal::NoKey)?;
            door.keeper.admit(secret, Scope::Track).await?
        }
    };
    let source = Some(SourceName::new(caller.principal.name()));
    let report = take(&door, &id, move |house, done| house.track_by(endpoint, &bytes, source, done)).await?;
    // A single call that was refused is an error of its own; in a batch the others count.
    if let (Endpoint::One(_), Some((_, code, message))) = (endpoint, report.refused.first()) {
        return Err(Problem::new(code, message.clone(), StatusCode::BAD_REQUEST, None));
    }
    Ok(Json(report.into()))
}

/// The tracking clients know 400 for whatever is wrong with a body.
fn as_tracked(problem: Problem) -> Problem {
    if problem.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return problem.with_status(StatusCode::BAD_REQUEST);
    }
    problem
}

/// `/v1/streams/{stream}`: documents as the stream's contract wants them.
pub(crate) async fn post(
    State(door): State<Arc<Door>>,
    Named(stream): Named<String>,
    caller: Caller,
    id: RequestId,
    request: Request,
) -> Result<Json<Tracked>, Problem> {
    let source = Some(SourceName::new(caller.principal.name()));
    let is_lines = says_lines(request.headers());
    let bytes = if is_lines {
        let (parts, body) = request.into_parts();
        body::read(&parts.headers, body, MAX_BYTES).await?
    } else {
        door::read(request, Media::Json, MAX_BYTES).await?.0
    };
    body::text(&bytes)?;
    known(&door, &stream)?;
    let post = move |house: &Arc<House>, done| {
        house.post_by(&stream, &documents(&bytes, is_lines), source, done);
    };
    let report = take(&door, &id, post).await?;
    if let (false, Some((_, code, message))) = (is_lines, report.refused.first()) {
        return Err(Problem::new(code, message.clone(), StatusCode::BAD_REQUEST, None));
    }
    Ok(Json(report.into()))
}

/// A tracking call without a contract waits in quarantine; whoever names a stream outright is told.
fn known(door: &Door, stream: &str) -> Result<(), Problem> {
    let contracts = &door.house.project().contracts;
    if contracts.newest_named(stream).is_some() {
        return Ok(());
    }
    let known = contracts.iter().map(|contract| contract.stream.to_string()).collect();
    Err((&house::Error::UnknownStream { name: crate::refusal::short(stream, 64), known }).into())
}

fn says_lines(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    ["application/x-ndjson", "application/jsonl"].iter().any(|lines| essence.eq_ignore_ascii_case(lines))
}

fn documents(bytes: &Bytes, is_lines: bool) -> Vec<&[u8]> {
    if !is_lines {
        return vec![bytes];
    }
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect()
}

/// Hands a delivery over and waits until it is durable (LAW 1). Reading, judging and sealing is work for a core, not
/// for the threads that watch sockets.
pub(crate) async fn take(
    door: &Arc<Door>,
    id: &RequestId,
    hand_over: impl FnOnce(&Arc<House>, Done) + Send + 'static,
) -> Result<TrackReport, Problem> {
    let (done, told) = oneshot::channel();
    let house = Arc::clone(&door.house);
    // The answer comes through the channel; where the thread fails, the channel closes.
    drop(tokio::task::spawn_blocking(move || {
        hand_over(&house, Box::new(move |result| drop(done.send(result))));
    }));
    let inside = |_| Problem::from(Refusal::Inside { request_id: id.0.to_string() });
    let report = told.await.map_err(inside)?.map_err(|error| door::tell(&error, id))?;
    let events = &door.gate.metrics.events;
    events.accepted.fetch_add(report.counts.n_accepted, Ordering::Relaxed);
    events.quarantined.fetch_add(report.counts.n_quarantined, Ordering::Relaxed);
    events.duplicates.fetch_add(report.counts.n_duplicates, Ordering::Relaxed);
    events.refused.fetch_add(report.counts.n_refused, Ordering::Relaxed);
    Ok(report)
}

/// `/v1/m`: what browser clients count about themselves; taken and dropped.
pub(crate) async fn client_metrics() -> Json<serde_json::Value> {
    Json(serde_json::json!({"success": true}))
}

/// `/v1/projects/{key}/settings`: what browser clients ask before they begin.
pub(crate) async fn client_settings(
    State(door): State<Arc<Door>>,
    Named(key): Named<String>,
    headers: HeaderMap,
) -> Result<Json<serde_json::Value>, Problem> {
    door.keeper.admit(zeroize::Zeroizing::new(key.clone()), Scope::Track).await?;
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (protocol, host) = (crate::sources::protocol(door.tls, &headers), format!("{host}/v1"));
    Ok(Json(serde_json::json!({
        "integrations": {"Segment.io": {"apiKey": key, "apiHost": host, "protocol": protocol}},
        "metrics": {"sampleRate": 0, "host": host},
        "plan": {"track": {"__default": {"enabled": true}}},
        "remotePlugins": [],
    })))
}
