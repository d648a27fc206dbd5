//! The spine's items: a consented event becomes a decision that can be explained.

mod journey;
mod retail;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::place::Place;
use crate::table::Item;

/// In the order of the acceptance list.
pub fn items() -> Vec<Item> {
    vec![journey::ITEM, retail::ITEM]
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
