//! The audit log: entries with durable checkpoints, and proofs; pymerkle beside it in the same run.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::peers;
use crate::place::Place;
use crate::table::{Figure, Item};

const N_ENTRIES: &str = "1000000";
/// A server commits once a second; at the bar's rate that would be 20,000 at once. This is a twentieth of it.
const BATCH: &str = "1000";

/// The benches.
pub fn items() -> Vec<Item> {
    vec![Item {
        id: "audit",
        title: "audit log of 1 M entries: append with a signed checkpoint on disk per 1,000; inclusion proofs at random",
        bar: "≥ 20,000 entries/s, ≥ 100,000 proofs/s",
        run,
    }]
}

/// What our example prints.
#[derive(Deserialize)]
struct Ours {
    entries: f64,
    checkpoints: u64,
    appended_s: f64,
    proofs: f64,
    proved_s: f64,
    verified: f64,
    verified_s: f64,
    checked_s: f64,
}

/// What pymerkle's script prints.
#[derive(Deserialize)]
struct Theirs {
    entries: f64,
    appended_s: f64,
    proofs: f64,
    proved_s: f64,
    verified_s: f64,
}

fn run(place: &Place) -> Result<Figure> {
    let python = peers::audit(place)?;
    let folder = super::folder(place, "audit")?;
    let (ours, theirs) = (folder.join("ours"), folder.join("theirs"));
    std::fs::create_dir_all(&theirs)?;
    let mut cargo =
        place.cargo(&["run", "--release", "--quiet", "--package", "audit", "--example", "throughput", "--"]);
    let us: Ours = printed(cargo.arg(&ours).args([N_ENTRIES, BATCH]))?;
    let script = place.root.join("bench/peers/audit_pymerkle.py");
    let them: Theirs = printed(Command::new(python).arg(script).arg(&theirs).args([N_ENTRIES, BATCH]))?;
    remove(&folder)?;
    let (appended, proved) = (us.entries / us.appended_s, us.proofs / us.proved_s);
    let text = format!(
        "{appended:.0} entries/s with {} checkpoints, {proved:.0} proofs/s, made and verified {:.0}/s, the whole verified in {:.1} s; \
         pymerkle in SQLite, unsigned: {:.0} entries/s, {:.0} proofs/s, made and verified {:.0}/s",
        us.checkpoints,
        us.verified / us.verified_s,
        us.checked_s,
        them.entries / them.appended_s,
        them.proofs / them.proved_s,
        them.proofs / them.verified_s,
    );
    Ok(Figure { text, holds: appended >= 20_000.0 && proved >= 100_000.0 })
}

fn printed<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command.stderr(Stdio::inherit()).output().context("a bench does not start")?;
    if !output.status.success() {
        bail!("a bench ended with {}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("no figures: {last}"))
}

fn remove(folder: &Path) -> Result<()> {
    Ok(std::fs::remove_dir_all(folder)?)
}
