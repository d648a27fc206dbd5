//! A model that learned from somebody who is erased.

use anyhow::Result;
use serde::Deserialize;

use super::erasing::example;
use crate::place::Place;
use crate::table::{Figure, Item};

/// The item.
pub const ITEM: Item = Item {
    id: "retraining",
    title: "a model trained on an erased subject is flagged, and retraining by policy produces a version without it",
    bar: "both versions flagged, none of the subject's rows in the new dataset, nobody else's missing, the new versions unflagged",
    run,
};

#[derive(Deserialize)]
struct Learned {
    n_before: u64,
    n_after: u64,
    n_rows: u64,
    n_rows_after: u64,
    marked: Vec<u64>,
    marked_after: Vec<u64>,
    n_due: u64,
    n_due_after: u64,
    verified: bool,
}

fn run(place: &Place) -> Result<Figure> {
    let learned: Learned = example(place, "learn")?;
    let new = learned.marked_after.get(learned.marked.len()..).unwrap_or_default();
    let holds = learned.n_before > 0
        && learned.n_after == 0
        && learned.n_rows - learned.n_before == learned.n_rows_after
        && learned.marked.iter().all(|n| *n == 1)
        && !new.is_empty()
        && new.iter().all(|n| *n == 0)
        && (learned.n_due, learned.n_due_after) == (1, 0)
        && learned.verified;
    let text = format!(
        "{} of {} rows were the subject's, then {} of {}; trained_on_erased {:?} before, {:?} of the new versions; replay {}",
        learned.n_before,
        learned.n_rows,
        learned.n_after,
        learned.n_rows_after,
        learned.marked,
        new,
        if learned.verified { "equal" } else { "DIFFERS" }
    );
    Ok(Figure { text, holds })
}
