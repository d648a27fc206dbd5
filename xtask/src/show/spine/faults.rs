//! Faults: a loaded house killed at random moments, its unsynced writes lost, its disk full, its clock wrong.
//!
//! The house under load and its checks are `doors/house/examples/under_load`; this room only counts.

use std::process::Command;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::{folder, printed};
use crate::place::Place;
use crate::table::{Figure, Item};

/// Kills under load.
pub const KILL: Item = Item {
    id: "faults-kill",
    title: "100 × kill -9 under load",
    bar: "every acknowledged record once; caps and budget held; same state on replay, with 1 and 7 partitions",
    run: |place| rounds(place, "kill"),
};

/// Kills with the unsynced writes taken back.
pub const POWER: Item = Item {
    id: "faults-power",
    title: "100 × power loss: unsynced writes dropped",
    bar: "the same",
    run: |place| rounds(place, "power"),
};

/// What goes wrong with disks and clocks.
pub const MISHAPS: Item = Item {
    id: "faults-disk-clock",
    title: "disk full, read-only, corrupted log, clock jump",
    bar: "clear error or going on; no loss",
    run: mishaps,
};

const N_ROUNDS: &str = "100";
const SEED: &str = "20261124";
/// So little that it is spent within the rounds.
const BUDGET_EUROS: &str = "60";

#[derive(Deserialize)]
struct Outcome {
    n_kills: u64,
    n_early: u64,
    n_files_undone: u64,
    last: Found,
}

#[derive(Deserialize)]
struct Found {
    n_records: u64,
    n_acked: u64,
    n_acting: u64,
    n_sent: u64,
    most_committed: i64,
    budget: i64,
    wrong: Vec<String>,
}

#[derive(Deserialize)]
struct Mishap {
    name: String,
    said: String,
    wrong: Vec<String>,
}

/// Cents from ten-thousandths of them.
const PARTS_PER_EURO: f64 = 1e6;

fn rounds(place: &Place, kind: &str) -> Result<Figure> {
    let at = folder(place, &format!("faults-{kind}"))?;
    let mut command = program(place)?;
    command.arg(kind).arg(&at).args([N_ROUNDS, SEED, BUDGET_EUROS]);
    if kind == "power" {
        command.arg(place.root.join("bench/faults/unsynced.c"));
    }
    let Outcome { n_kills, n_early, n_files_undone, last } = printed(&mut command)?;
    last.wrong.iter().for_each(|wrong| eprintln!("   {wrong}"));
    let holds = last.wrong.is_empty() && n_kills.to_string() == N_ROUNDS;
    let undone = if kind == "power" { format!(", {n_files_undone} files set back") } else { String::new() };
    let text = format!(
        "{n_kills} kills ({n_early} while opening{undone}): {} of {} acknowledged there, {} records; {} actions, {} left; at \
         most {:.2} of {:.0} EUR; {} wrong",
        last.n_acked.saturating_sub(last.wrong.iter().filter(|wrong| wrong.contains("lost")).count() as u64),
        last.n_acked,
        last.n_records,
        last.n_acting,
        last.n_sent,
        last.most_committed as f64 / PARTS_PER_EURO,
        last.budget as f64 / PARTS_PER_EURO,
        last.wrong.len()
    );
    Ok(Figure { text, holds })
}

fn mishaps(place: &Place) -> Result<Figure> {
    let at = folder(place, "faults-mishaps")?;
    let mut command = program(place)?;
    let mishaps: Vec<Mishap> = printed(command.arg("mishaps").arg(&at))?;
    for mishap in &mishaps {
        eprintln!("   {}: {} {}", mishap.name, mishap.said, mishap.wrong.join("; "));
    }
    let n_held =
        mishaps.iter().filter(|one| one.wrong.is_empty() && !one.said.starts_with("SKIPPED")).count();
    let skipped: Vec<&str> =
        mishaps.iter().filter(|one| one.said.starts_with("SKIPPED")).map(|one| one.name.as_str()).collect();
    let skipped = if skipped.is_empty() {
        String::new()
    } else {
        format!("; skipped without root: {}", skipped.join(", "))
    };
    let holds = mishaps.iter().all(|one| one.wrong.is_empty());
    Ok(Figure { text: format!("{n_held} of {} held{skipped}", mishaps.len()), holds })
}

/// The house under load, brought up to date.
fn program(place: &Place) -> Result<Command> {
    let build = ["build", "--release", "--quiet", "--package", "house", "--example", "under_load"];
    if !place.cargo(&build).status()?.success() {
        bail!("the house under load does not build");
    }
    let name = format!("under_load{}", std::env::consts::EXE_SUFFIX);
    Ok(Command::new(place.target().join("release/examples").join(name)))
}
