//! Online Retail: every row of a dirty file is accepted, or refused with a reason, or a repetition.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::place::Place;
use crate::table::{Figure, Item};

const N_ROWS: u64 = 240_007;
const PROJECT: &str = "bench/projects/online_retail";
const STREAM: &str = "online_retail";

/// The item.
pub const ITEM: Item = Item {
    id: "retail",
    title: "Online Retail: missing customers, cancellations, negative quantities, repeated rows",
    bar: "accepted + quarantined + duplicates = 240,007; every refused row has its reason; a second run brings nothing",
    run,
};

#[derive(Deserialize)]
struct Imported {
    counts: Counts,
    reasons: BTreeMap<String, (u64, String)>,
    repeated: bool,
}

#[derive(Deserialize, PartialEq)]
struct Counts {
    n_rows: u64,
    n_accepted: u64,
    n_quarantined: u64,
    n_duplicates: u64,
}

#[derive(Deserialize)]
struct Refused {
    reasons: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct Status {
    streams: BTreeMap<String, Stream>,
}

#[derive(Deserialize, PartialEq)]
struct Stream {
    n_records: u64,
    n_refused: u64,
}

/// What a run and its repetition came to.
struct Seen {
    first: Imported,
    again: Imported,
    /// Refused rows that can be looked up, and how many of them say why.
    n_listed: u64,
    n_with_reason: u64,
    stream_before: Stream,
    stream_after: Stream,
}

fn run(place: &Place) -> Result<Figure> {
    let file = place.data().context("no data")?.join("decide/online_retail_uci_240k_invoice.parquet");
    let project = super::folder(place, "retail")?;
    for name in ["maschinenraum.toml", "contracts/online_retail.yaml"] {
        let to = project.join(name);
        std::fs::create_dir_all(to.parent().context("no folder")?)?;
        std::fs::write(to, place.read(&format!("{PROJECT}/{name}"))?)?;
    }
    let binary = super::binary(place)?;
    let file = file.to_str().context("the data folder's name is no UTF-8")?;
    let import = ["import", "--stream", STREAM, file];
    let first: Imported = told(&binary, &project, &import)?;
    let stream_before = stream(&binary, &project)?;
    let refused: Vec<(String, Refused)> = told(&binary, &project, &["quarantine", "--most", "1000000"])?;
    let again: Imported = told(&binary, &project, &import)?;
    let stream_after = stream(&binary, &project)?;
    let says_why = |one: &Refused| {
        !one.reasons.is_empty()
            && one.reasons.iter().all(|reason| reason.code.starts_with("MR") && !reason.message.is_empty())
    };
    let n_with_reason = refused.iter().filter(|(_, one)| says_why(one)).count() as u64;
    let n_listed = refused.len() as u64;
    Ok(judge(&Seen { first, again, n_listed, n_with_reason, stream_before, stream_after }))
}

fn judge(seen: &Seen) -> Figure {
    let Counts { n_rows, n_accepted, n_quarantined, n_duplicates } = seen.first.counts;
    let n_reasons: u64 = seen.first.reasons.values().map(|(n, _)| n).sum();
    let adds_up = n_rows == N_ROWS && n_accepted + n_quarantined + n_duplicates == N_ROWS;
    let has_reasons =
        n_reasons == n_quarantined && seen.n_listed == n_quarantined && seen.n_with_reason == n_quarantined;
    let is_there = seen.stream_before == Stream { n_records: n_accepted, n_refused: n_quarantined };
    let brings_nothing = !seen.first.repeated
        && seen.again.repeated
        && seen.again.counts == seen.first.counts
        && seen.stream_after == seen.stream_before;
    let reasons: Vec<String> =
        seen.first.reasons.iter().map(|(reason, (n, _))| format!("{reason} × {n}")).collect();
    let text = format!(
        "{n_accepted} accepted + {n_quarantined} quarantined + {n_duplicates} duplicates = {} of {n_rows} rows; first \
         reasons: {}; {} of {} refused rows say why; the second run brought {}",
        n_accepted + n_quarantined + n_duplicates,
        reasons.join(", "),
        seen.n_with_reason,
        seen.n_listed,
        if brings_nothing { "nothing" } else { "SOMETHING" }
    );
    Figure { text, holds: adds_up && has_reasons && is_there && brings_nothing }
}

fn stream(binary: &Path, project: &Path) -> Result<Stream> {
    let mut status: Status = told(binary, project, &["status"])?;
    status.streams.remove(STREAM).context("the stream is not there")
}

/// Runs the binary in a project and reads what it prints as JSON.
fn told<T: DeserializeOwned>(binary: &Path, project: &Path, args: &[&str]) -> Result<T> {
    let mut command = Command::new(binary);
    command.arg("--json").arg("--project").arg(project).args(args);
    let output = command.stderr(Stdio::inherit()).output().context("the binary does not start")?;
    if !output.status.success() {
        bail!("`maschinenraum {}` failed ({})", args.join(" "), output.status);
    }
    serde_json::from_slice(&output.stdout).context("the binary printed no JSON")
}
