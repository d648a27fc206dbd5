//! Parity: what decisions logged, what training reads as of them, and what DuckDB computes from the same rows.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{folder, printed};
use crate::peers;
use crate::place::Place;
use crate::table::{Figure, Item};

/// The item.
pub const ITEM: Item = Item {
    id: "parity",
    title: "parity on Online Retail: logged in decisions = as of = DuckDB, 5 % of rows late, people merged",
    bar: "10,000 values equal, decayed sums to 1e-12; 0 training values from rows that nobody knew yet",
    run,
};

const N_TRIPLES: u64 = 10_000;

/// What the house did.
#[derive(Deserialize)]
struct World {
    n_rows: u64,
    n_late: u64,
    n_taps: u64,
    n_links: u64,
    n_labels: u64,
    n_labels_merged: u64,
    n_values: u64,
    n_logged_not_trained: u64,
}

/// What DuckDB says of it.
#[derive(Deserialize)]
struct Compared {
    n_triples: u64,
    n_logged_differ: u64,
    n_trained_differ: u64,
    /// The largest relative distance of a decayed sum.
    largest_decayed: f64,
    n_leaked: u64,
    n_read: u64,
    n_leaked_asof: u64,
    n_read_asof: u64,
}

fn run(place: &Place) -> Result<Figure> {
    place.data().context("no data")?;
    let out = folder(place, "parity")?;
    let world = printed(
        place
            .cargo(&["run", "--release", "--quiet", "--package", "house", "--example", "parity", "--"])
            .arg(&out),
    )?;
    let script = place.root.join("bench/peers/parity_duckdb.py");
    let compared = printed(Command::new(peers::python(place)?).arg(script).arg(&out))?;
    Ok(judge(&world, &compared))
}

fn judge(world: &World, compared: &Compared) -> Figure {
    let World { n_rows, n_late, n_taps, n_links, n_labels, n_labels_merged, n_values, n_logged_not_trained } =
        world;
    let Compared { n_triples, n_logged_differ, n_trained_differ, largest_decayed, .. } = compared;
    let Compared { n_leaked, n_read, n_leaked_asof, n_read_asof, .. } = compared;
    let late = *n_late as f64 / (*n_rows).max(1) as f64;
    let holds = *n_triples >= N_TRIPLES
        && (*n_logged_differ, *n_trained_differ, *n_logged_not_trained) == (0, 0, 0)
        && (*n_leaked, *n_read > 0) == (0, true)
        && *n_labels_merged > 0
        && late > 0.04;
    let text = format!(
        "of {n_triples} values DuckDB has {n_logged_differ} other than logged, {n_trained_differ} other than as of \
         (decayed sums within {largest_decayed:.0e}); of all {n_values} values {n_logged_not_trained} logged other \
         than as of; rows not yet known that training read: {n_leaked} of {n_read} (a plain ASOF join: \
         {n_leaked_asof} of {n_read_asof}); {n_rows} rows imported, {n_late} late, {n_taps} posted live, {n_labels} \
         decisions, {n_labels_merged} for people of {n_links} merged"
    );
    Figure { text, holds }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(n_logged_differ: u64, n_leaked: u64, n_triples: u64, holds: bool) {
        let world = World {
            n_rows: 100,
            n_late: 5,
            n_taps: 10,
            n_links: 3,
            n_labels: 50,
            n_labels_merged: 4,
            n_values: 20_000,
            n_logged_not_trained: 0,
        };
        let compared = Compared {
            n_triples,
            n_logged_differ,
            n_trained_differ: 0,
            largest_decayed: 1e-16,
            n_leaked,
            n_read: 60,
            n_leaked_asof: 7,
            n_read_asof: 61,
        };
        let figure = judge(&world, &compared);
        assert_eq!(figure.holds, holds, "{}", figure.text);
    }

    #[test]
    fn one_value_is_enough_to_fall_short() {
        check(0, 0, 10_000, true);
        check(1, 0, 10_000, false);
        check(0, 1, 10_000, false);
        check(0, 0, 9_999, false);
    }
}
