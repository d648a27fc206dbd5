//! `cargo xtask bench`: measures us beside our peers and keeps bench/RESULTS.md.

mod asof;
mod audit;
mod capture;
mod contracts;
mod decide;
mod erase;
mod huge;
mod intake;
mod load;
mod profile;
mod results;
mod roles;
mod segment;
mod world;

use crate::place::Place;
use crate::table::{self, Item};
use anyhow::Result;
use std::path::PathBuf;
use std::sync::OnceLock;

static MINUTES: OnceLock<f64> = OnceLock::new();

/// Runs the benches, prints their table and brings bench/RESULTS.md up to date. `minutes`: how long the long
/// load lasts.
pub fn run(place: &Place, only: &[String], minutes: f64) -> Result<bool> {
    MINUTES.get_or_init(|| minutes);
    let items: Vec<Item> = [
        intake::items(),
        decide::items(),
        world::items(),
        capture::items(),
        profile::items(),
        contracts::items(),
        segment::items(),
        audit::items(),
        roles::items(),
        erase::items(),
        asof::items(),
        huge::items(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let rows = table::run(place, &items, only)?;
    results::write(&place.root.join("bench/RESULTS.md"), &items, &rows)?;
    print!("{}", table::render(&rows));
    Ok(table::all_hold(&rows))
}

/// How long the long load lasts.
fn minutes() -> f64 {
    MINUTES.get().copied().unwrap_or(10.0)
}

/// An empty folder for one bench's project; what an earlier run left is removed.
fn folder(place: &Place, name: &str) -> Result<PathBuf> {
    let folder = place.target().join("bench").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
