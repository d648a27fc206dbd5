//! Training sets: a million labels with twenty windowed features as of their instants, beside DuckDB and Polars.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::folder;
use crate::peers;
use crate::place::Place;
use crate::table::{Figure, Item};

/// The benches.
pub fn items() -> Vec<Item> {
    vec![
        Item {
            id: "asof-labels",
            title: "1 M labels × 20 features (1, 7, 30, 90 days × count, sum, mean, filtered count, last) as of each label's \
                    instant over 1 M rows of 100,000 subjects, 5 % of them known late; 2 threads, data in memory; the faster \
                    of two correct ways of each peer",
            bar: "every value equal in all three; no slower than the faster peer",
            run: even,
        },
        Item {
            id: "asof-hot",
            title: "the same where 30 % of rows and labels belong to one subject",
            bar: "every value equal in all three; no slower than the faster peer",
            run: hot,
        },
    ]
}

fn even(place: &Place) -> Result<Figure> {
    measure(place, "asof-labels", &[])
}

fn hot(place: &Place) -> Result<Figure> {
    measure(place, "asof-hot", &["hot"])
}

/// What we took.
#[derive(Deserialize)]
struct Ours {
    n_rows: u64,
    n_labels: u64,
    n_features: u64,
    seconds: f64,
    processor_seconds: f64,
}

/// What both peers took.
#[derive(Deserialize)]
struct Peers {
    duckdb: Peer,
    polars: Peer,
}

#[derive(Deserialize)]
struct Peer {
    seconds: f64,
    processor_seconds: f64,
    way: String,
    n_different: u64,
}

fn measure(place: &Place, name: &str, more: &[&str]) -> Result<Figure> {
    let python = peers::python(place)?;
    let out = folder(place, name)?;
    let mut own =
        place.cargo(&["run", "--release", "--quiet", "--package", "feature", "--example", "labels", "--"]);
    let ours: Ours = said(own.arg(&out).args(more))?;
    let script = place.root.join("bench/peers/asof_labels.py");
    let peers: Peers = said(Command::new(python).arg(script).arg(&out).args(more))?;
    std::fs::remove_dir_all(&out)?;
    Ok(judge(&ours, &peers))
}

fn judge(ours: &Ours, Peers { duckdb, polars }: &Peers) -> Figure {
    let fastest = duckdb.seconds.min(polars.seconds);
    let n_different = duckdb.n_different + polars.n_different;
    let text = format!(
        "{:.2} s; DuckDB {:.2} s ({}), Polars {:.2} s ({}): {:.1} times as fast as the faster (seconds of processor: {:.2}, \
         {:.2}, {:.2}); of {} values {n_different} different",
        ours.seconds,
        duckdb.seconds,
        duckdb.way,
        polars.seconds,
        polars.way,
        fastest / ours.seconds,
        ours.processor_seconds,
        duckdb.processor_seconds,
        polars.processor_seconds,
        ours.n_labels * ours.n_features,
    );
    let is_whole = ours.n_rows >= 1_000_000 && ours.n_labels >= 1_000_000 && ours.n_features >= 20;
    Figure { text, holds: is_whole && n_different == 0 && ours.seconds <= fastest }
}

/// Runs a program and reads the JSON that it prints.
fn said<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command.stderr(Stdio::inherit()).output().context("it does not start")?;
    if !output.status.success() {
        bail!("it ended with {}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .with_context(|| format!("no figures: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: f64, n_different: u64, holds: bool) {
        let ours =
            Ours { n_rows: 1_000_000, n_labels: 1_000_000, n_features: 20, seconds, processor_seconds: 1.0 };
        let peer = |seconds, n_different| Peer {
            seconds,
            processor_seconds: 2.0,
            way: "running".into(),
            n_different,
        };
        let figure = judge(&ours, &Peers { duckdb: peer(2.0, 0), polars: peer(1.0, n_different) });
        assert_eq!(figure.holds, holds, "{}", figure.text);
    }

    #[test]
    fn fast_and_wrong_is_not_enough() {
        check(0.9, 0, true);
        check(0.9, 1, false);
        check(1.1, 0, false);
    }
}
