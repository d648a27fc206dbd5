//! For whoever runs the house: quarantine, streams, use cases, keys, backup.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use event::RecordId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{self, Asked, Door, Json, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::Refusal;

/// Refused records of one page, unless asked otherwise.
const PAGE: usize = 100;
/// And the most.
const MAX_PAGE: usize = 1_000;

/// Where a page begins and how long it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageOf {
    after: Option<String>,
    limit: Option<usize>,
}

/// One page of quarantine, the latest first. What was refused stays sealed; its reasons lie open.
#[derive(Serialize, ToSchema)]
pub(crate) struct Quarantine {
    /// Refused records.
    records: Vec<Refused>,
    /// The `after` of the next page; null on the last.
    next: Option<String>,
}

/// A refused record.
#[derive(Serialize, ToSchema)]
struct Refused {
    /// Its id.
    record: String,
    /// The stream it was meant for.
    stream: String,
    /// When it came.
    #[schema(format = DateTime)]
    at: String,
    /// The import that brought it.
    batch: Option<String>,
    /// True once it was replayed and accepted.
    mended: bool,
    /// Why it was refused.
    reasons: Vec<Finding>,
}

/// One finding.
#[derive(Serialize, ToSchema)]
struct Finding {
    /// Names the finding.
    #[schema(example = "MR1004")]
    code: String,
    /// The field it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    /// What is wrong.
    message: String,
}

/// `GET /v1/quarantine`
pub(crate) async fn quarantine(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(PageOf { after, limit }): Asked<PageOf>,
) -> Result<Json<Quarantine>, Problem> {
    let after: Option<RecordId> = after.as_deref().map(door::id).transpose()?;
    let limit = limit.unwrap_or(PAGE);
    if limit == 0 || limit > MAX_PAGE {
        return Err(
            Refusal::Query { reason: format!("limit={limit} is not between 1 and {MAX_PAGE}") }.into()
        );
    }
    let mut found = door.ask(&id, move |house| house.quarantine(after, limit + 1)).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(id, _)| id.to_string());
    let reason = |r: house::Reason| Finding { code: r.code, field: r.field, message: r.message };
    let records = found.into_iter().map(|(id, refused)| Refused {
        record: id.to_string(),
        stream: refused.stream,
        at: refused.at.to_string(),
        batch: refused.batch.map(|batch| batch.to_string()),
        mended: refused.mended,
        reasons: refused.reasons.into_iter().map(reason).collect(),
    });
    Ok(Json(Quarantine { records: records.collect(), next }))
}

/// Which refused records to judge anew.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// Up to 1,000 of them.
    records: Vec<String>,
}

/// What became of refused records.
#[derive(Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// How many are accepted now.
    accepted: usize,
    /// Those that are not, with what is wrong still.
    refused: Vec<StillRefused>,
}

/// A record that is refused still.
#[derive(Serialize, ToSchema)]
struct StillRefused {
    /// Its id.
    record: String,
    /// What is wrong.
    reasons: Vec<Finding>,
}

/// `POST /v1/quarantine/replay`
pub(crate) async fn replay(
    State(door): State<Arc<Door>>,
    id: RequestId,
    caller: Caller,
    Sent(Replay { records }): Sent<Replay>,
) -> Result<Json<Replayed>, Problem> {
    if records.len() > MAX_PAGE {
        let reason = format!("{} records are more than {MAX_PAGE}", records.len());
        return Err(Refusal::WrongShape { reason }.into());
    }
    let ids: Vec<RecordId> = records.iter().map(|text| door::id(text)).collect::<Result<_, _>>()?;
    let replayed = door.ask(&id, move |house| {
        house.audit(&audit::Act::new("quarantine.replay", caller.principal.name()))?;
        let mut replayed = Replayed { accepted: 0, refused: Vec::new() };
        for id in ids {
            let reasons = match house.requeue(id)? {
                intake::Outcome::Accepted { .. } | intake::Outcome::Duplicate { .. } => {
                    replayed.accepted += 1;
                    continue;
                }
                intake::Outcome::Quarantined { findings, .. } => findings.into_iter().map(reason).collect(),
                intake::Outcome::Refused(refusal) => {
                    let (code, message) = (refusal.code.to_owned(), refusal.message);
                    vec![Finding { code, field: String::new(), message }]
                }
            };
            replayed.refused.push(StillRefused { record: id.to_string(), reasons });
        }
        Ok(replayed)
    });
    Ok(Json(replayed.await?))
}

fn reason(finding: house::Finding) -> Finding {
    let field = finding.field.unwrap_or_default();
    Finding { code: finding.code.to_owned(), field, message: finding.message }
}

/// Streams by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Streams {
    /// By name.
    streams: BTreeMap<String, Stream>,
}

/// What came in through a stream.
#[derive(Serialize, ToSchema)]
struct Stream {
    /// Records folded.
    records: u64,
    /// Records refused.
    refused: u64,
    /// Refusals by the code of their first finding.
    refused_by_code: BTreeMap<String, u64>,
    /// When the latest came.
    #[schema(format = DateTime)]
    latest: Option<String>,
    /// The contract's version; null for the house's own streams and for what no contract describes.
    contract: Option<String>,
    /// Who answers for it.
    owner: Option<String>,
}

/// `GET /v1/streams`
pub(crate) async fn streams(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<Streams>, Problem> {
    let counts = door.ask(&id, |house| house.streams()).await?;
    let contracts = &door.house.project().contracts;
    let quiet = contracts.iter().map(|contract| (contract.stream.to_string(), house::Count::default()));
    let mut all: BTreeMap<String, house::Count> = quiet.collect();
    all.extend(counts);
    let stream = |(name, count): (String, house::Count)| {
        let contract = contracts.newest_named(&name);
        let stream = Stream {
            records: count.n_records,
            refused: count.n_refused,
            refused_by_code: count.reasons,
            latest: count.last_known_at.map(|at| at.to_string()),
            contract: contract.map(|contract| contract.version.to_string()),
            owner: contract.and_then(|contract| contract.owner.clone()),
        };
        (name, stream)
    };
    Ok(Json(Streams { streams: all.into_iter().map(stream).collect() }))
}

/// Where to copy the instance to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupAsked {
    /// A directory on the server's machine that does not exist yet.
    to: String,
}

/// A backup that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct BackupMade {
    /// Where it lies.
    to: String,
    /// Its size.
    bytes: u64,
}

/// `POST /v1/backup`
pub(crate) async fn backup(
    State(door): State<Arc<Door>>,
    id: RequestId,
    caller: Caller,
    Sent(BackupAsked { to }): Sent<BackupAsked>,
) -> Result<Json<BackupMade>, Problem> {
    let path = PathBuf::from(&to);
    if !path.is_absolute() {
        let reason =
            "to: an absolute path is expected; the server's working directory is its own affair".to_owned();
        return Err(Refusal::WrongShape { reason }.into());
    }
    let bytes = door.ask(&id, move |house| {
        house.audit(&audit::Act::new("backup.take", caller.principal.name()))?;
        house.backup(&path)
    });
    let bytes = bytes.await?;
    Ok(Json(BackupMade { to, bytes }))
}
