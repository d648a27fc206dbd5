//! Parity of thirty views over three entities, a third of them filled under load, with one partition and with seven.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{folder, printed};
use crate::peers;
use crate::place::Place;
use crate::table::{Figure, Item};

/// The item.
pub const ITEM: Item = Item {
    id: "entities",
    title: "parity of 30 views on Complete Journey: shoppers, households (their members' features too), products; 5 % of \
            rows late, people merged, 10 views added and filled while decisions are made; 1 and 7 partitions",
    bar: "per run 10,000 values served = as of = DuckDB, decayed sums to 1e-12; 0 values from rows that nobody knew yet; \
          replay and the other number of partitions give the same digest and the same training sets",
    run,
};

const N_VIEWS: u64 = 30;
const N_TRIPLES: u64 = 10_000;
const N_DECISIONS: &str = "2400";

/// What a house did.
#[derive(Deserialize)]
struct World {
    n_rows: u64,
    n_late: u64,
    n_taps: u64,
    n_views: u64,
    n_labels: u64,
    n_homes: u64,
    n_labels_merged: u64,
    n_values: u64,
    n_logged_not_trained: u64,
    n_meanwhile: u64,
    n_elsewhere: u64,
    n_elsewhere_differ: u64,
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
    let script = place.root.join("bench/peers/parity_duckdb.py");
    let python = peers::python(place)?;
    let (mut texts, mut holds) = (Vec::new(), true);
    for (partitions, elsewhere) in [("1", "7"), ("7", "1")] {
        let out = folder(place, &format!("entities-{partitions}"))?;
        let mut house =
            place.cargo(&["run", "--release", "--quiet", "--package", "house", "--example", "parity", "--"]);
        let world = printed(house.arg(&out).args([N_DECISIONS, "journey", partitions, elsewhere]))?;
        let compared = printed(Command::new(&python).arg(&script).arg(&out))?;
        let figure = judge(&world, &compared);
        texts.push(format!("{partitions} partitions: {}", figure.text));
        holds &= figure.holds;
    }
    Ok(Figure { text: texts.join("; "), holds })
}

/// The example itself ends with an error where a digest differs.
fn judge(world: &World, compared: &Compared) -> Figure {
    let World { n_rows, n_late, n_taps, n_views, n_labels, n_homes, n_labels_merged, .. } = world;
    let World { n_values, n_logged_not_trained, n_meanwhile, n_elsewhere, n_elsewhere_differ, .. } = world;
    let Compared { n_triples, n_logged_differ, n_trained_differ, largest_decayed, .. } = compared;
    let Compared { n_leaked, n_read, n_leaked_asof, n_read_asof, .. } = compared;
    let late = *n_late as f64 / (*n_rows).max(1) as f64;
    let nothing_differs =
        [n_logged_differ, n_trained_differ, n_logged_not_trained, n_elsewhere_differ, n_leaked]
            .iter()
            .all(|n| **n == 0);
    let something_was_tried =
        [n_read, n_labels_merged, n_homes, n_meanwhile, n_elsewhere].iter().all(|n| **n > 0);
    let holds = *n_views == N_VIEWS
        && *n_triples >= N_TRIPLES
        && nothing_differs
        && something_was_tried
        && late > 0.04;
    let text = format!(
        "of {n_triples} values DuckDB has {n_logged_differ} other than served, {n_trained_differ} other than as of \
         (decayed sums within {largest_decayed:.0e}); of all {n_values} values {n_logged_not_trained} served other than \
         as of; {n_elsewhere_differ} of {n_elsewhere} training values other with the other number of partitions; rows \
         not yet known that training read: {n_leaked} of {n_read} (a plain ASOF join: {n_leaked_asof} of \
         {n_read_asof}); {n_rows} rows imported, {n_late} late, {n_taps} posted live; {n_labels} decisions, \
         {n_meanwhile} of them while views were filled, and {n_homes} reads of households; {n_labels_merged} of these of \
         several identifiers"
    );
    Figure { text, holds }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(n_trained_differ: u64, n_elsewhere_differ: u64, n_meanwhile: u64, holds: bool) {
        let world = World {
            n_rows: 100,
            n_late: 5,
            n_taps: 10,
            n_views: 30,
            n_labels: 50,
            n_homes: 4,
            n_labels_merged: 4,
            n_values: 20_000,
            n_logged_not_trained: 0,
            n_meanwhile,
            n_elsewhere: 9,
            n_elsewhere_differ,
        };
        let compared = Compared {
            n_triples: 10_000,
            n_logged_differ: 0,
            n_trained_differ,
            largest_decayed: 1e-16,
            n_leaked: 0,
            n_read: 60,
            n_leaked_asof: 7,
            n_read_asof: 61,
        };
        let figure = judge(&world, &compared);
        assert_eq!(figure.holds, holds, "{}", figure.text);
    }

    #[test]
    fn one_value_is_enough_to_fall_short() {
        check(0, 0, 3, true);
        check(1, 0, 3, false);
        check(0, 1, 3, false);
        check(0, 0, 0, false);
    }
}
