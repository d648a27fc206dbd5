//! Erasures, their receipts, and keys made new, on the wire.

use std::sync::Arc;

use axum::extract::State;
use event::RecordId;
use house::Rotation;
use policy::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::people::Called;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// The routes of erasures and keys.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    table
        .add(
            Spec::post(
                "/v1/erasures",
                "rights",
                "Erases people with everything of their profiles; answers once no store gives anything back.",
            )
            .scope(Scope::Protect)
            .takes::<ErasureOrdered>()
            .gives::<Erasure>(),
            erase,
        )
        .add(
            Spec::get("/v1/erasures", "rights", "Every erasure, the latest first.")
                .scope(Scope::Protect)
                .gives::<Erasures>(),
            list,
        )
        .add(
            Spec::get("/v1/erasures/{act}", "rights", "The signed receipts of an erasure.")
                .scope(Scope::Protect)
                .gives::<Erasure>(),
            show,
        )
        .add(
            Spec::post(
                "/v1/vault/rotate",
                "operations",
                "Makes root, bucket keys or master new, while it serves.",
            )
            .scope(Scope::Admin)
            .takes::<RotationOrdered>()
            .gives::<Rotated>(),
            rotate,
        )
}

/// An erasure to be done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasureOrdered {
    /// Whom; all of them in one pass.
    identifiers: Vec<Called>,
    /// Why: a ticket's number or the like; no names of people.
    #[schema(example = "Art. 17 request 2026-118")]
    reason: String,
}

/// What each store did.
#[derive(Serialize, ToSchema)]
pub(crate) struct Erasure {
    /// The record that ordered it.
    act: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// By whom.
    by: String,
    /// Why.
    reason: String,
    /// How many subjects: all members of the profiles asked for.
    n_subjects: u64,
    /// True where every store is done.
    complete: bool,
    /// Milliseconds until nothing of them could be read any more; none where it was completed after a restart.
    logical_ms: Option<u64>,
    /// One for each store.
    stores: Vec<ErasedStore>,
    /// All that as a signed note (C2SP) of the house's key `receipts`.
    signed: Option<String>,
}

/// What one store did.
#[derive(Serialize, ToSchema)]
struct ErasedStore {
    /// `journal`, `state`, `vault`, `models`, `captures`, `exports`, `audit`
    store: String,
    /// True where nothing of the subjects can be had from it any more.
    complete: bool,
    /// How many things it is about.
    n: u64,
    /// In a sentence.
    what: String,
}

impl From<house::Receipts> for Erasure {
    fn from(receipts: house::Receipts) -> Self {
        let stores = receipts.stores.into_iter().map(|store| ErasedStore {
            store: store.store,
            complete: store.complete,
            n: store.n,
            what: store.what,
        });
        Self {
            act: receipts.act.to_string(),
            at: receipts.at.to_string(),
            by: receipts.by,
            reason: receipts.reason,
            n_subjects: receipts.n_subjects,
            complete: receipts.complete,
            logical_ms: receipts.logical_ms,
            stores: stores.collect(),
            signed: receipts.signed,
        }
    }
}

/// `POST /v1/erasures`
async fn erase(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(ordered): Sent<ErasureOrdered>,
) -> Result<Json<Erasure>, Problem> {
    let done = door.ask(&id, move |house| {
        let whom: Vec<house::Identifier> = ordered.identifiers.into_iter().map(Into::into).collect();
        house.erase_people(&whom, caller.principal.name(), &ordered.reason)
    });
    Ok(Json(done.await?.into()))
}

/// `GET /v1/erasures/{act}`
async fn show(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named(act): Named<String>,
) -> Result<Json<Erasure>, Problem> {
    let act: RecordId = act.parse().map_err(|e| Refusal::WrongShape { reason: format!("act: {e}") })?;
    Ok(Json(door.ask(&id, move |house| house.erasure(act)).await?.into()))
}

/// Every erasure.
#[derive(Serialize, ToSchema)]
pub(crate) struct Erasures {
    /// The latest first.
    erasures: Vec<ErasureLine>,
}

/// An erasure, in short.
#[derive(Serialize, ToSchema)]
struct ErasureLine {
    /// The record that ordered it.
    act: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// By whom.
    by: String,
    /// Why.
    reason: String,
    /// How many subjects.
    n_subjects: usize,
    /// True where there are receipts.
    complete: bool,
}

/// `GET /v1/erasures`
async fn list(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<Erasures>, Problem> {
    let all = door.ask(&id, |house| house.erasures()).await?;
    let line = |(act, ordered): (RecordId, house::Ordered)| ErasureLine {
        act: act.to_string(),
        at: ordered.at.to_string(),
        by: ordered.by,
        reason: ordered.reason,
        n_subjects: ordered.subjects.len(),
        complete: ordered.receipts.is_some(),
    };
    Ok(Json(Erasures { erasures: all.into_iter().map(line).collect() }))
}

/// What is to be made new.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationOrdered {
    /// `root`, `buckets` or `master`.
    what: String,
    /// For `master`: where the new one is, as in the settings: `file:PATH` or `env:NAME` of the server's machine.
    to: Option<String>,
}

/// What was made new.
#[derive(Serialize, ToSchema)]
pub(crate) struct Rotated {
    /// The root that is in use; 0 where it stayed.
    root_epoch: u32,
    /// Bucket keys that are new.
    n_buckets: u32,
    /// Keys that were wrapped anew.
    n_rewrapped: u64,
}

/// `POST /v1/vault/rotate`
async fn rotate(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Sent(ordered): Sent<RotationOrdered>,
) -> Result<Json<Rotated>, Problem> {
    let what = match (ordered.what.as_str(), ordered.to) {
        ("root", None) => Rotation::Root,
        ("buckets", None) => Rotation::Buckets,
        ("master", Some(to)) => Rotation::Master(to),
        _ => {
            let reason = "what: `root`, `buckets`, or `master` with `to`, is expected".to_owned();
            return Err(Refusal::WrongShape { reason }.into());
        }
    };
    let done = door.ask(&id, move |house| house.rotate(&what, caller.principal.name())).await?;
    Ok(Json(Rotated {
        root_epoch: done.root_epoch,
        n_buckets: done.n_buckets,
        n_rewrapped: done.n_rewrapped,
    }))
}
