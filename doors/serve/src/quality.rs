//! Quality on the wire, and quarantine beyond single records: totals, samples, replay of all that is meant.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use house::{QualityAsked, Which};
use policy::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use watch::By;

use crate::door::{self, Asked, Door, Json, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// Records of a sample, unless asked otherwise; and the most.
const SAMPLE: usize = 10;
const MAX_SAMPLE: usize = 100;

/// The routes of quality.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    table
        .add(
            Spec::get("/v1/quality", "operations", "How good the data is on five dimensions, and what changed first.")
                .scope(Scope::Admin)
                .query("stream", false, "One stream; all unless said.")
                .query("by", false, "`day`, `week` or `month`; `day` unless said.")
                .query("from", false, "From this instant on, by event time.")
                .query("to", false, "Up to this instant, its day included.")
                .gives::<Quality>(),
            quality,
        )
        .add(
            Spec::get("/v1/quarantine/totals", "operations", "Refused, waiting and mended records by stream.")
                .scope(Scope::Admin)
                .gives::<Totals>(),
            totals,
        )
        .add(
            Spec::get(
                "/v1/quarantine/sample",
                "operations",
                "Some refused records with the fields that today's contract lets lie open.",
            )
            .scope(Scope::Admin)
            .query("stream", false, "Only of this stream.")
            .query("code", false, "Only with this finding.")
            .query("field", false, "Only with a finding about this field.")
            .query("limit", false, "Up to 100; 10 unless said.")
            .gives::<Sample>(),
            sample,
        )
        .add(
            Spec::post(
                "/v1/quarantine/mend",
                "operations",
                "Judges all waiting records that are meant anew, by the contracts of now; with `dry` it only counts.",
            )
            .scope(Scope::Admin)
            .takes::<Mend>()
            .gives::<Mended>(),
            mend,
        )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QualityQuery {
    stream: Option<String>,
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// How good the data is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Quality {
    /// What left the range that earlier records lead one to expect, the first first.
    changes: Vec<Changed>,
    /// By stream: counts, the five dimensions, fields, buckets of time.
    streams: Vec<Value>,
    /// How streams agree with each other.
    relations: Vec<Value>,
}

/// One thing that changed.
#[derive(Serialize, ToSchema)]
struct Changed {
    /// The stream.
    stream: String,
    /// What its records came by.
    source: String,
    /// The field, if it is about one.
    field: Option<String>,
    /// The bucket it began in.
    since: String,
    /// The last bucket it was seen in.
    until: String,
    /// Records it concerns.
    n: u64,
    /// Of how many.
    of: u64,
    /// 3: a rule is broken, or never seen before; 2: something is lost; 1: different; 0: better.
    gravity: u8,
    /// `MR2101` or `MR2102`, whose pages say what to do.
    code: Option<String>,
    /// In one sentence.
    message: String,
}

/// `GET /v1/quality`
pub(crate) async fn quality(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(query): Asked<QualityQuery>,
) -> Result<Json<Quality>, Problem> {
    let by = query.by.as_deref().unwrap_or("day");
    let by = By::read(by).ok_or_else(|| {
        let short: String = by.chars().take(32).collect();
        Refusal::Query { reason: format!("by={short} is none of day, week and month") }
    })?;
    let asked = QualityAsked {
        stream: query.stream,
        by,
        from: door::instant("from", query.from.as_deref())?,
        to: door::instant("to", query.to.as_deref())?,
    };
    let report = door.ask(&id, move |house| house.quality(&asked)).await?;
    let changed = |change: watch::Change| Changed {
        stream: change.stream,
        source: change.source,
        field: change.field,
        since: change.since,
        until: change.until,
        n: change.n,
        of: change.of,
        gravity: change.gravity,
        code: change.code.map(str::to_owned),
        message: change.message,
    };
    Ok(Json(Quality {
        changes: report.changes.into_iter().map(changed).collect(),
        streams: report.streams.iter().filter_map(|stream| serde_json::to_value(stream).ok()).collect(),
        relations: report.relations.iter().filter_map(|one| serde_json::to_value(one).ok()).collect(),
    }))
}

/// Quarantine by stream.
#[derive(Serialize, ToSchema)]
pub(crate) struct Totals {
    /// By stream.
    streams: BTreeMap<String, Total>,
}

/// `refused` is always `waiting` + `mended`.
#[derive(Serialize, ToSchema)]
struct Total {
    /// Refused since the beginning.
    refused: u64,
    /// Refused still.
    waiting: u64,
    /// Replayed and accepted since.
    mended: u64,
    /// Those waiting, by code and field of their first finding.
    by_reason: BTreeMap<String, u64>,
}

/// `GET /v1/quarantine/totals`
pub(crate) async fn totals(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<Totals>, Problem> {
    let totals = door.ask(&id, |house| house.quarantine_totals()).await?;
    let total = |one: house::Waiting| Total {
        refused: one.refused,
        waiting: one.waiting,
        mended: one.mended,
        by_reason: one.by_reason,
    };
    Ok(Json(Totals { streams: totals.into_iter().map(|(stream, one)| (stream, total(one))).collect() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleQuery {
    stream: Option<String>,
    code: Option<String>,
    field: Option<String>,
    limit: Option<usize>,
}

/// Some refused records.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sample {
    /// The same ones each time.
    records: Vec<Sampled>,
}

/// A refused record with what of it lies open.
#[derive(Serialize, ToSchema)]
struct Sampled {
    /// Its id.
    record: String,
    /// The stream it was meant for.
    stream: String,
    /// When it came.
    #[schema(format = DateTime)]
    at: String,
    /// Why it was refused: codes and messages.
    reasons: Vec<Value>,
    /// The fields that today's contract lets lie open; null where nothing may be shown.
    open: Value,
    /// What is not shown.
    hidden: Vec<String>,
}

/// `GET /v1/quarantine/sample`
pub(crate) async fn sample(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(query): Asked<SampleQuery>,
) -> Result<Json<Sample>, Problem> {
    let limit = query.limit.unwrap_or(SAMPLE);
    if limit == 0 || limit > MAX_SAMPLE {
        return Err(
            Refusal::Query { reason: format!("limit={limit} is not between 1 and {MAX_SAMPLE}") }.into()
        );
    }
    let which = Which { stream: query.stream, code: query.code, field: query.field, ..Which::default() };
    let shown = door.ask(&id, move |house| {
        let ids: Vec<_> = house.sample_quarantine(&which, limit)?.into_iter().map(|(id, _)| id).collect();
        house.show_refused(&ids)
    });
    let sampled = |one: house::Shown| Sampled {
        record: one.record.to_string(),
        stream: one.refused.stream.clone(),
        at: one.refused.at.to_string(),
        reasons: one.refused.reasons.iter().filter_map(|reason| serde_json::to_value(reason).ok()).collect(),
        open: one.open.unwrap_or_default(),
        hidden: one.hidden,
    };
    Ok(Json(Sample { records: shown.await?.into_iter().map(sampled).collect() }))
}

/// Which waiting records to judge anew; all where nothing is said.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mend {
    /// Only of this stream.
    stream: Option<String>,
    /// Only with this finding.
    code: Option<String>,
    /// Only with a finding about this field.
    field: Option<String>,
    /// Only count; nothing is written.
    #[serde(default)]
    dry: bool,
}

/// What became of them, or would.
#[derive(Serialize, ToSchema)]
pub(crate) struct Mended {
    /// The sum of the next four.
    judged: u64,
    /// Accepted now.
    accepted: u64,
    /// The same as one that was accepted, and done with it.
    repeated: u64,
    /// Refused still.
    refused: u64,
    /// Whose key is destroyed.
    erased: u64,
    /// Those refused still, by code and field.
    reasons: BTreeMap<String, u64>,
}

/// `POST /v1/quarantine/mend`
pub(crate) async fn mend(
    State(door): State<Arc<Door>>,
    id: RequestId,
    caller: Caller,
    Sent(Mend { stream, code, field, dry }): Sent<Mend>,
) -> Result<Json<Mended>, Problem> {
    let which = Which { stream, code, field, ..Which::default() };
    let done = door.ask(&id, move |house| {
        if !dry {
            house.audit(&audit::Act::new("quarantine.replay", caller.principal.name()))?;
        }
        house.replay_quarantine(&which, dry)
    });
    let done = done.await?;
    Ok(Json(Mended {
        judged: done.n_judged,
        accepted: done.n_accepted,
        repeated: done.n_repeated,
        refused: done.n_refused,
        erased: done.n_erased,
        reasons: done.reasons.into_iter().map(|(reason, (n, _))| (reason, n)).collect(),
    }))
}
