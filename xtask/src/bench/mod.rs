//! `cargo xtask bench`: measures us beside our peers and keeps bench/RESULTS.md.

mod results;
mod world;

use crate::place::Place;
use crate::table::{self, Item};
use anyhow::Result;

/// Runs the benches, prints their table and brings bench/RESULTS.md up to date.
pub fn run(place: &Place, only: &[String]) -> Result<bool> {
    let items: Vec<Item> = world::items();
    let rows = table::run(place, &items, only)?;
    results::write(&place.root.join("bench/RESULTS.md"), &items, &rows)?;
    print!("{}", table::render(&rows));
    Ok(table::all_hold(&rows))
}
