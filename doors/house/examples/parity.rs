//! Parity on Online Retail: `parity OUT [N_DECISIONS]` runs a house through its rows, 5 % of them late, and writes to
//! `OUT` what happened (`rows.csv`, `links.csv`, `labels.csv`), what the features are (`features.json`) and 10,000
//! values drawn at random, as decisions logged them and as training reads them (`triples.csv`, `last_rows.csv`). The
//! same values are computed from that by `bench/peers/parity_duckdb.py`. Prints counts as JSON.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a measuring program")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a measuring program")]
#![allow(dead_code, unused_imports, reason = "the test uses the rest of this world")]

#[path = "../tests/world/mod.rs"]
mod world;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use world::{History, Outcome, Rng, Row, Size, Value, members, names, online_retail, run, tolerance, views};

const N_TRIPLES: usize = 10_000;

fn main() {
    let out = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "target/parity".to_owned()));
    let n_decisions: usize = std::env::args().nth(2).map_or(10_000, |n| n.parse().unwrap());
    std::fs::create_dir_all(&out).unwrap();
    let data = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let mut rng = Rng(20_261_124);
    let history = History::new(online_retail(&data), &mut rng);
    let dir = tempfile::tempdir_in(&out).unwrap();
    let started = Instant::now();
    let size = Size { n_epochs: 50, n_decisions: n_decisions.div_ceil(50) };
    let outcome = run(dir.path(), &history, &size, &mut rng);
    let seconds = started.elapsed().as_secs_f64();
    write_world(&out, &history, &outcome);
    write_triples(&out, &outcome, &mut rng);
    let n_merged = outcome
        .labels
        .iter()
        .filter(|label| members(&history.links, label.kind, &label.value, label.at).len() > 1)
        .count();
    println!(
        "{}",
        json!({
            "n_rows": history.rows.len(), "n_late": history.n_late, "n_taps": outcome.taps.len(),
            "n_links": history.links.len(), "n_labels": outcome.labels.len(), "n_labels_merged": n_merged,
            "n_values": outcome.labels.len() * names().len(), "n_logged_not_trained": differing(&outcome),
            "seconds": seconds,
        })
    );
}

/// Of all values, not only those drawn: how many were logged as one thing and trained with as another.
fn differing(outcome: &Outcome) -> usize {
    let mut n = 0;
    for (view, features) in views() {
        for feature in &features {
            let name = format!("{view}.{}", feature["name"].as_str().unwrap());
            let pairs = outcome.logged.iter().zip(&outcome.trained);
            n += pairs.filter(|(l, t)| !l[&name].agrees(&t[&name], tolerance(feature))).count();
        }
    }
    n
}

fn write_world(out: &Path, history: &History, outcome: &Outcome) {
    let mut rows =
        String::from("view,row,kind,value,customer,stock,note,quantity,price,country,occurred,known\n");
    for (view, all) in [("shop", &history.rows), ("taps", &outcome.taps)] {
        for row in all {
            let Row { row, kind, value, customer, stock, note, quantity, price, country, at, known } = row;
            writeln!(
                rows,
                "{view},{row},{kind},{value},{customer},{},{},{quantity},{price},{},{at},{known}",
                quoted(stock),
                note.as_deref().map(quoted).unwrap_or_default(),
                quoted(country),
            )
            .unwrap();
        }
    }
    put(out, "rows.csv", &rows);
    let mut links = String::from("user_id,card,known\n");
    for link in history.links.values() {
        writeln!(links, "{},{},{}", link.user_id, link.card, link.at).unwrap();
    }
    put(out, "links.csv", &links);
    let mut labels = String::from("label,kind,value,decided\n");
    for (n, label) in outcome.labels.iter().enumerate() {
        writeln!(labels, "{n},{},{},{}", label.kind, label.value, label.at).unwrap();
    }
    put(out, "labels.csv", &labels);
    let views: serde_json::Map<_, _> =
        views().into_iter().map(|(view, all)| (view.to_owned(), all.into())).collect();
    put(out, "features.json", &serde_json::Value::from(views).to_string());
}

fn write_triples(out: &Path, outcome: &Outcome, rng: &mut Rng) {
    let names = names();
    let mut drawn = std::collections::BTreeSet::new();
    while drawn.len() < N_TRIPLES.min(outcome.labels.len() * names.len()) {
        drawn.insert((rng.below(outcome.labels.len() as u64) as usize, rng.pick(&names).as_str()));
    }
    let mut triples = String::from("label,feature,logged,trained\n");
    for (label, name) in drawn {
        let (logged, trained) = (&outcome.logged[label][name], &outcome.trained[label][name]);
        writeln!(triples, "{label},{name},{},{}", shown(logged), shown(trained)).unwrap();
    }
    put(out, "triples.csv", &triples);
    // Which row each training value was read from: nothing that was not known then.
    let mut last = String::from("label,view,row\n");
    for (label, trained) in outcome.trained.iter().enumerate() {
        for view in ["shop", "taps"] {
            if let Value::Number(row) = trained[&format!("{view}.last_row")] {
                writeln!(last, "{label},{view},{row}").unwrap();
            }
        }
    }
    put(out, "last_rows.csv", &last);
}

fn shown(value: &Value) -> String {
    match value {
        Value::Missing => String::new(),
        Value::Number(number) => format!("{number:?}"),
        Value::Text(text) => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn put(out: &Path, name: &str, text: &str) {
    std::fs::write(out.join(name), text).unwrap();
}
