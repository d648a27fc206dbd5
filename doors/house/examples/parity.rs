//! Parity on real rows, 5 % of them late. `parity OUT [N_DECISIONS]` runs a house through Online Retail's; `parity OUT
//! N_DECISIONS journey N_PARTITIONS [ELSEWHERE]` through Complete Journey's: shoppers, households, products, thirty
//! views of which ten are added and filled while decisions are made; with `ELSEWHERE` its export is loaded into an
//! instance with that many partitions. Written to `OUT` is what happened (`rows.csv`, `links.csv`, `words.csv`,
//! `labels.csv`), what the features are (`features.json`) and 10,000 values drawn at random, as they were served and as
//! training reads them (`triples.csv`, `last_rows.csv`). The same values are computed from that by
//! `bench/peers/parity_duckdb.py`. Prints counts as JSON.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a measuring program")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a measuring program")]
#![allow(dead_code, unused_imports, reason = "the test uses the rest of this world")]

#[path = "../tests/world/mod.rs"]
mod world;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use world::{
    History, Outcome, Rng, Row, Size, Value, ViewOf, Word, World, belonging, journey, members, online_retail,
    run, tolerance,
};

const N_TRIPLES: usize = 10_000;

/// One set of values, served and trained with.
struct Line<'o> {
    kind: &'static str,
    value: &'o str,
    at: i64,
    served: &'o HashMap<String, Value>,
    trained: &'o HashMap<String, Value>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| arguments.get(at).map(|text| text.parse::<usize>().unwrap());
    let out = PathBuf::from(arguments.get(1).map_or("target/parity", String::as_str));
    let n_decisions = number(2).unwrap_or(10_000);
    std::fs::create_dir_all(&out).unwrap();
    let data = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let mut rng = Rng(20_261_124);
    let is_journey = arguments.get(3).is_some_and(|word| word == "journey");
    let (world, history, n_epochs) = if is_journey {
        let partitions = u16::try_from(number(4).unwrap_or(1)).unwrap();
        (World::journey(partitions), journey(&data, &mut rng), 20)
    } else {
        (World::retail(), History::new(online_retail(&data), &mut rng), 50)
    };
    let dir = tempfile::tempdir_in(&out).unwrap();
    let started = Instant::now();
    let elsewhere = number(5).map(|n| u16::try_from(n).unwrap());
    let size = Size { n_epochs, n_decisions: n_decisions.div_ceil(n_epochs), elsewhere };
    let outcome = run(dir.path(), &world, &history, &size, &mut rng);
    let seconds = started.elapsed().as_secs_f64();
    let lines = lines(&outcome);
    write_world(&out, &world, &history, &outcome, &lines);
    write_values(&out, &world, &lines, &mut rng);
    let people = |line: &Line<'_>| match line.kind {
        "home" => belonging(&outcome.words, &history, line.value, line.at),
        kind => members(&history.links, kind, line.value, line.at),
    };
    println!(
        "{}",
        json!({
            "n_rows": history.rows.len(), "n_late": history.n_late, "n_taps": outcome.taps.len(),
            "n_links": history.links.len(), "n_words": outcome.words.len(), "n_views": world.views.len(),
            "n_labels": outcome.labels.len(), "n_homes": outcome.homes.len(),
            "n_labels_merged": lines.iter().filter(|line| people(line).len() > 1).count(),
            "n_values": lines.iter().map(|line| line.served.len()).sum::<usize>(),
            "n_logged_not_trained": differing(&world, &lines),
            "n_meanwhile": outcome.n_meanwhile, "n_elsewhere": outcome.n_elsewhere,
            "n_elsewhere_differ": outcome.n_elsewhere_differ, "seconds": seconds,
        })
    );
}

fn lines(outcome: &Outcome) -> Vec<Line<'_>> {
    let decided = outcome.labels.iter().zip(outcome.logged.iter().zip(&outcome.trained));
    let decided = decided.map(|(label, (served, trained))| Line {
        kind: label.kind,
        value: &label.value,
        at: label.at,
        served,
        trained,
    });
    let homes = outcome.homes.iter().map(|home| Line {
        kind: "home",
        value: &home.household,
        at: home.at,
        served: &home.served,
        trained: &home.trained,
    });
    decided.chain(homes).collect()
}

/// Of all values, not only those drawn: how many were served as one thing and trained with as another.
fn differing(world: &World, lines: &[Line<'_>]) -> usize {
    let features: HashMap<String, f64> =
        world.views.iter().flat_map(|view| view.names().zip(view.features.iter().map(tolerance))).collect();
    let differs = |line: &Line<'_>| {
        let pairs = line.served.iter().map(|(name, served)| (served, &line.trained[name], features[name]));
        pairs.filter(|(served, trained, slack)| !served.agrees(trained, *slack)).count()
    };
    lines.iter().map(differs).sum()
}

fn write_world(out: &Path, world: &World, history: &History, outcome: &Outcome, lines: &[Line<'_>]) {
    let mut rows =
        String::from("stream,row,kind,value,customer,stock,note,quantity,price,country,occurred,known\n");
    for row in history.rows.iter().chain(&outcome.taps) {
        let Row { stream, row, kind, value, customer, stock, note, quantity, price, country, at, known } =
            row;
        writeln!(
            rows,
            "{stream},{row},{kind},{value},{customer},{},{},{quantity},{price},{},{at},{known}",
            quoted(stock),
            note.as_deref().map(quoted).unwrap_or_default(),
            quoted(country),
        )
        .unwrap();
    }
    put(out, "rows.csv", &rows);
    let mut links = String::from("user_id,card,known\n");
    for link in history.links.values() {
        writeln!(links, "{},{},{}", link.user_id, link.card, link.at).unwrap();
    }
    put(out, "links.csv", &links);
    let mut words = String::from("word,household,user,belongs,occurred,known\n");
    for (n, Word { household, user, belongs, at, known, .. }) in outcome.words.iter().enumerate() {
        writeln!(words, "{n},{household},{user},{belongs},{at},{known}").unwrap();
    }
    put(out, "words.csv", &words);
    let mut labels = String::from("label,kind,value,decided\n");
    for (n, line) in lines.iter().enumerate() {
        writeln!(labels, "{n},{},{},{}", line.kind, line.value, line.at).unwrap();
    }
    put(out, "labels.csv", &labels);
    let view = |view: &ViewOf| (view.name.clone(), json!({"stream": view.stream, "features": view.features}));
    let views: serde_json::Map<_, _> = world.views.iter().map(view).collect();
    put(out, "features.json", &serde_json::Value::from(views).to_string());
}

fn write_values(out: &Path, world: &World, lines: &[Line<'_>], rng: &mut Rng) {
    let mut drawn = std::collections::BTreeSet::new();
    let n_values: usize = lines.iter().map(|line| line.served.len()).sum();
    while drawn.len() < N_TRIPLES.min(n_values) {
        let label = rng.below(lines.len() as u64) as usize;
        // in one order, whatever the map's is
        let mut names: Vec<&String> = lines[label].served.keys().collect();
        names.sort();
        drawn.insert((label, *rng.pick(&names)));
    }
    let mut triples = String::from("label,feature,logged,trained\n");
    for (label, name) in drawn {
        let (served, trained) = (&lines[label].served[name], &lines[label].trained[name]);
        writeln!(triples, "{label},{name},{},{}", shown(served), shown(trained)).unwrap();
    }
    put(out, "triples.csv", &triples);
    // Which row each training value was read from: nothing that was not known then.
    let mut last = String::from("label,stream,row\n");
    for (label, line) in lines.iter().enumerate() {
        for view in &world.views {
            if let Some(Value::Number(row)) = line.trained.get(&format!("{}.last_row", view.name)) {
                writeln!(last, "{label},{},{row}", view.stream).unwrap();
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
