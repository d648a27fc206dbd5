//! Quality: what the report says first about New York's taxis, and what the months of Online Retail tell.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{folder, ran};
use crate::place::Place;
use crate::served;
use crate::table::{Figure, Item};

/// The item.
pub const ITEM: Item = Item {
    id: "quality",
    title: "quality: NYC taxi January → February, Online Retail by month, a mended contract replayed",
    bar: "taxi: the first change named is the 1,579 impossible passenger counts of February; retail: 240,007 \
          rows add up, cancellations, missing customers and repeated rows over its months come to what was counted \
          independently; after the mending every total still equals that count",
    run,
};

/// Counted in the file itself with Polars: its rows; those that repeat another; of the rest, those whose invoice is no six
/// digits, and those without a customer.
const N_ROWS: u64 = 240_007;
const N_REPEATED: u64 = 1_970;
const N_CANCELLED: u64 = 4_329;
const N_NOBODY: u64 = 67_201;

#[derive(Deserialize)]
struct Report {
    changes: Vec<Change>,
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Change {
    field: Option<String>,
    n: u64,
    message: String,
}

#[derive(Deserialize)]
struct Stream {
    n_arrived: u64,
    n_accepted: u64,
    n_refused: u64,
    n_mended: u64,
    n_repeated: u64,
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    label: String,
    n_accepted: u64,
    n_refused: u64,
    n_repeated: u64,
    findings: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Mended {
    n_judged: u64,
    n_accepted: u64,
    n_repeated: u64,
    n_refused: u64,
    n_erased: u64,
}

#[derive(Deserialize)]
struct Waiting {
    refused: u64,
    waiting: u64,
    mended: u64,
}

fn run(place: &Place) -> Result<Figure> {
    let data = place.data().context("no data")?;
    let binary = served::binary(place)?;
    let (taxi, taxi_holds) = taxi(place, &binary, &data)?;
    let (retail, retail_holds) = retail(place, &binary, &data)?;
    Ok(Figure { text: format!("taxi: {taxi}; retail: {retail}"), holds: taxi_holds && retail_holds })
}

fn taxi(place: &Place, binary: &Path, data: &Path) -> Result<(String, bool)> {
    let project = project(place, "quality-taxi", "taxi", "contracts/trips.yaml")?;
    for month in ["01", "02"] {
        let file = data.join(format!("mlops/nyc_yellow_tripdata_sample_2019-{month}.csv"));
        said(binary, &project, &["import", "--stream", "trips", &file.to_string_lossy()])?;
    }
    let report: Report = told(binary, &project, &["quality", "trips", "--by", "month"])?;
    let first = report.changes.first().context("nothing changed")?;
    let holds = first.field.as_deref() == Some("passengers") && first.n == 1_579;
    Ok((format!("first of {} changes: {}", report.changes.len(), first.message), holds))
}

fn retail(place: &Place, binary: &Path, data: &Path) -> Result<(String, bool)> {
    let name = "contracts/online_retail.yaml";
    let project = project(place, "quality-retail", "online_retail", name)?;
    let file = data.join("decide/online_retail_uci_240k_invoice.parquet");
    said(binary, &project, &["import", "--stream", "online_retail", &file.to_string_lossy()])?;
    let report: Report = told(binary, &project, &["quality", "online_retail", "--by", "month"])?;
    let stream = report.streams.first().context("no stream")?;
    let sum = |of: &dyn Fn(&Bucket) -> u64| stream.buckets.iter().map(of).sum::<u64>();
    let of = |why: &str| sum(&|bucket: &Bucket| bucket.findings.get(why).copied().unwrap_or_default());
    let (cancelled, nobody) = (of("MR1007 invoice"), of("MR1012"));
    let repeated = sum(&|bucket| bucket.n_repeated);
    let monthly = sum(&|bucket| bucket.n_accepted + bucket.n_refused + bucket.n_repeated);
    let adds_up = stream.n_arrived == N_ROWS && monthly == N_ROWS && stream.n_mended == 0;
    let worst = |of: &dyn Fn(&Bucket) -> u64| {
        let share = |b: &Bucket| of(b) as f64 / (b.n_accepted + b.n_refused).max(1) as f64;
        let bucket = stream.buckets.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
        bucket.map(|b| format!("worst {} {:.1} %", b.label, share(b) * 100.0)).unwrap_or_default()
    };
    let finding = |why: &'static str| move |b: &Bucket| b.findings.get(why).copied().unwrap_or_default();
    let text = format!(
        "{} months: {cancelled} cancellations ({}), {nobody} without a customer ({}), {repeated} repeated ({})",
        stream.buckets.len(),
        worst(&finding("MR1007 invoice")),
        worst(&finding("MR1012")),
        worst(&|b| b.n_repeated),
    );
    let counted = (cancelled, nobody, repeated) == (N_CANCELLED, N_NOBODY, N_REPEATED);
    let (mended, mended_holds) = mend(binary, &project, name, stream)?;
    Ok((format!("{text}; {mended}"), adds_up && counted && stream.n_repeated == N_REPEATED && mended_holds))
}

/// The contract takes cancellations in: an invoice may begin with a letter, a quantity may be negative.
fn mend(binary: &Path, project: &Path, name: &str, before: &Stream) -> Result<(String, bool)> {
    let path = project.join(name);
    let yaml = std::fs::read_to_string(&path)?
        .replace("version: 1.0.0", "version: 2.0.0")
        .replace("^[0-9]{6}$", "^[A-Z]?[0-9]{6}$")
        .replace("logicalTypeOptions: { minimum: 1 }", "logicalTypeOptions: { minimum: -100000 }");
    std::fs::write(&path, yaml)?;
    let tried: Mended = told(binary, project, &["quarantine", "--test"])?;
    let done: Mended = told(binary, project, &["quarantine", "--replay-all"])?;
    let totals: BTreeMap<String, Waiting> = told(binary, project, &["quarantine", "--totals"])?;
    let report: Report = told(binary, project, &["quality", "online_retail", "--by", "month"])?;
    let after = report.streams.first().context("no stream")?;
    let total = totals.get("online_retail").context("no totals")?;
    let sums = done.n_judged == done.n_accepted + done.n_repeated + done.n_refused + done.n_erased;
    let same_as_tried = (tried.n_judged, tried.n_accepted, tried.n_refused)
        == (done.n_judged, done.n_accepted, done.n_refused);
    let holds = sums
        && same_as_tried
        && done.n_judged == before.n_refused
        && done.n_accepted > 0
        && total.refused == before.n_refused
        && total.waiting + total.mended == total.refused
        && after.n_accepted == before.n_accepted + done.n_accepted
        && after.n_arrived == N_ROWS;
    let text = format!(
        "mended contract: {} judged = {} accepted + {} repeated + {} still refused; {} rows still {}",
        done.n_judged, done.n_accepted, done.n_repeated, done.n_refused, after.n_arrived, N_ROWS
    );
    Ok((text, holds))
}

fn project(place: &Place, to: &str, from: &str, contract: &str) -> Result<PathBuf> {
    let project = folder(place, to)?;
    for name in ["maschinenraum.toml", contract] {
        let to = project.join(name);
        std::fs::create_dir_all(to.parent().context("no folder")?)?;
        std::fs::write(to, place.read(&format!("bench/projects/{from}/{name}"))?)?;
    }
    Ok(project)
}

fn said(binary: &Path, project: &Path, args: &[&str]) -> Result<String> {
    ran(Command::new(binary).arg("--json").arg("-C").arg(project).args(args), &[0])
}

fn told<T: serde::de::DeserializeOwned>(binary: &Path, project: &Path, args: &[&str]) -> Result<T> {
    let text = said(binary, project, args)?;
    serde_json::from_str(&text).with_context(|| format!("{args:?} gave no JSON"))
}
