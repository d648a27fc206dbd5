//! `cargo xtask show AREA`: an area's acceptance items on real data, runnable for ever.

mod data;
mod law;
mod spine;

use crate::place::Place;
use crate::table::{self, Item};
use anyhow::{Result, bail};

/// Runs one area and prints its table; `false` where an item falls short.
pub fn run(place: &Place, area: &str, only: &[String]) -> Result<bool> {
    let items: Vec<Item> = match area {
        "data" => data::items(),
        "law" => law::items(),
        "spine" => spine::items(),
        other => bail!("there is no area `{other}`; known: data, law, spine"),
    };
    if place.data().is_none() {
        bail!("no data: set MASCHINENRAUM_DATA to the folder that holds decide/, mlops/, …");
    }
    let rows = table::run(place, &items, only)?;
    print!("{}", table::render(&rows));
    Ok(table::all_hold(&rows))
}
