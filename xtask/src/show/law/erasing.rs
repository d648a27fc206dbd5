//! Erasure on the disk: every file of the data directory, and a backup from before.

use std::process::Command;

use anyhow::Result;
use serde::Deserialize;

use super::{folder, printed};
use crate::place::Place;
use crate::table::{Figure, Item};

/// The item.
pub const ITEM: Item = Item {
    id: "erasure",
    title: "after `erase`, a search of every file of the data directory and of a backup from before, opened with the new root, \
            for a planted e-mail, name, phone number and free text: plain, JSON, UTF-16, base64, hex, in the compressed \
            blocks of state and keys, and in the state's values; a process that dies at each step",
    bar: "no byte, no cell of the erased opens, every neighbour's does, each of the 8 steps is completed on restart",
    run,
};

#[derive(Deserialize)]
struct Found {
    n_files: u64,
    n_blocks: u64,
    n_values: u64,
    n_needles: u64,
    n_steps: u64,
    n_completed: u64,
    n_cells_of_erased_opened: u64,
    n_cells_of_neighbours: u64,
    n_cells_of_neighbours_opened: u64,
}

/// Runs the example of that name with a folder of its own; it ends with an error where anything is found.
pub(super) fn example<T: serde::de::DeserializeOwned>(place: &Place, what: &str) -> Result<T> {
    let work = folder(place, &format!("law-{what}"))?;
    let mut command: Command =
        place.cargo(&["run", "--quiet", "--package", "house", "--example", "erasure", "--", what]);
    printed(command.arg(&work))
}

fn run(place: &Place) -> Result<Figure> {
    let found: Found = example(place, "scan")?;
    let holds = found.n_completed == found.n_steps
        && found.n_cells_of_erased_opened == 0
        && found.n_cells_of_neighbours_opened == found.n_cells_of_neighbours
        && found.n_cells_of_neighbours > 0
        && found.n_blocks > 0;
    let text = format!(
        "{} disguises in {} files, {} decompressed blocks and {} stored values: none found; cells of the erased that open: {}, of neighbours: {} of {}; \
         {} of {} steps completed after a kill",
        found.n_needles,
        found.n_files,
        found.n_blocks,
        found.n_values,
        found.n_cells_of_erased_opened,
        found.n_cells_of_neighbours_opened,
        found.n_cells_of_neighbours,
        found.n_completed,
        found.n_steps
    );
    Ok(Figure { text, holds })
}
