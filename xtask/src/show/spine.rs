//! The spine's items: a consented event becomes a decision that can be explained.

mod bank;
mod clients;
mod faults;
mod journey;
mod parity;
mod retail;
mod unreliable;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::place::Place;
use crate::table::Item;

/// In the order of the acceptance list.
pub fn items() -> Vec<Item> {
    vec![
        journey::ITEM,
        retail::ITEM,
        bank::ITEM,
        parity::ITEM,
        clients::ITEM,
        faults::KILL,
        faults::POWER,
        faults::MISHAPS,
    ]
}

/// The binary as a user has it, brought up to date.
fn binary(place: &Place) -> Result<PathBuf> {
    if !place.cargo(&["build", "--release", "--quiet", "--package", "maschinenraum"]).status()?.success() {
        bail!("the binary does not build");
    }
    let name = format!("maschinenraum{}", std::env::consts::EXE_SUFFIX);
    Ok(place.target().join("release").join(name))
}

/// An empty folder for what an item leaves behind; what an earlier run left is removed.
fn folder(place: &Place, name: &str) -> Result<PathBuf> {
    let folder = place.target().join("show").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Runs a program and reads the JSON that it prints last; what else it says goes to the terminal.
fn printed<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("{program} does not start"))?;
    if !output.status.success() {
        bail!("{program} failed ({})", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("{program} printed no figures: {last}"))
}
