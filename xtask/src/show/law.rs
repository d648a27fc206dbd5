//! The law's items: what is permitted, forgotten and proven, and what an outsider can verify of it.

mod audit;
mod behaviours;
mod consent;
mod erasing;
mod login;
mod retraining;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::place::Place;
use crate::table::Item;

/// In the order of the acceptance list.
pub fn items() -> Vec<Item> {
    vec![
        behaviours::ITEM,
        erasing::ITEM,
        audit::ITEM,
        login::ITEM,
        consent::LEDGER,
        consent::WITHDRAWAL,
        retraining::ITEM,
    ]
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

/// Runs a program that must end with one of these exit codes; gives what it says on stdout. Stderr goes to the terminal.
fn ran(command: &mut Command, codes: &[i32]) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("{program} does not start"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.code().is_some_and(|code| codes.contains(&code)) {
        bail!("{program} ended with {}: {}", output.status, text.lines().last().unwrap_or_default());
    }
    Ok(text)
}

/// Runs a program and reads the JSON that it prints last.
fn printed<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let text = ran(command, &[0])?;
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("no figures: {last}"))
}
