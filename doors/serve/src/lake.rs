//! Data out as Parquet, to a file of the server's machine.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use house::{Exported, FileLayout};
use policy::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::door::{self, Door, Json, Sent};
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// The route of the lake.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    table.add(
        Spec::post(
            "/v1/lake",
            "operations",
            "Writes data as Parquet to a file of the server's machine, under a grant.",
        )
        .scope(Scope::Admin)
        .takes::<LakeAsked>()
        .gives::<LakeWritten>(),
        write,
    )
}

/// What to write.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LakeAsked {
    /// `stream`, `features` or `dataset`.
    #[schema(example = "stream")]
    what: String,
    /// The stream, the view or the model.
    name: String,
    /// What for; a dataset has its model's.
    purpose: Option<String>,
    /// An absolute path that ends in `.parquet`.
    to: String,
    /// For a stream: as the documents lay when they came.
    #[serde(default)]
    raw: bool,
    /// For features: as of when, if not now.
    #[schema(format = DateTime)]
    at: Option<String>,
}

/// What was written.
#[derive(Serialize, ToSchema)]
pub(crate) struct LakeWritten {
    /// The file.
    to: String,
    /// Its rows.
    rows: u64,
    /// Its bytes.
    bytes: u64,
    /// Values of another type than the contract says; left out.
    unfit_values: u64,
    /// Profiles that may not be used for this.
    profiles_left_out: usize,
    /// Their rows.
    rows_left_out: u64,
}

/// `POST /v1/lake`
pub(crate) async fn write(
    State(door): State<Arc<Door>>,
    id: RequestId,
    caller: Caller,
    Sent(asked): Sent<LakeAsked>,
) -> Result<Json<LakeWritten>, Problem> {
    let wrong = |reason: &str| Problem::from(Refusal::WrongShape { reason: reason.to_owned() });
    let path = PathBuf::from(&asked.to);
    if !path.is_absolute() || path.extension().is_none_or(|end| end != "parquet") {
        return Err(wrong("to: an absolute path that ends in .parquet is expected"));
    }
    let at = door::instant("at", asked.at.as_deref())?;
    let purpose = asked.purpose.clone().unwrap_or_default();
    match asked.what.as_str() {
        "stream" | "features" if purpose.is_empty() => return Err(wrong("purpose: what for?")),
        "stream" | "features" | "dataset" => {}
        _ => return Err(wrong("what: `stream`, `features` or `dataset` is expected")),
    }
    let to = asked.to.clone();
    let done: Exported = door
        .ask(&id, move |house| {
            let who = &caller.principal;
            match asked.what.as_str() {
                "stream" => {
                    let layout = if asked.raw { FileLayout::Raw } else { FileLayout::Fields };
                    house.export_stream(who, &asked.name, &purpose, layout, &path)
                }
                "features" => house.export_features(who, &asked.name, &purpose, at, &path),
                _ => house.export_dataset(who, &asked.name, &path),
            }
        })
        .await?;
    Ok(Json(LakeWritten {
        to,
        rows: done.written.n_rows,
        bytes: done.written.n_bytes,
        unfit_values: done.written.n_unfit,
        profiles_left_out: done.n_profiles_left_out,
        rows_left_out: done.n_rows_left_out,
    }))
}
