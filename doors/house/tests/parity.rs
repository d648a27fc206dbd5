//! LAW 5, in small: what decisions logged = what training reads as of them = a brute force over all rows, with late
//! rows and people who turn out to be the same. `cargo xtask show spine --only parity` does it on real rows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]
#![allow(dead_code, unused_imports, reason = "the example uses the rest of this world")]

mod world;

use world::{History, Known, Rng, Row, Size, Value, brute_force, made_up, members, run, tolerance, views};

#[test]
fn logged_is_trained_is_brute_force() {
    let mut rng = Rng(20_261_124);
    let history = History::new(made_up(3_000, &mut rng), &mut rng);
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(dir.path(), &history, &Size { n_epochs: 4, n_decisions: 75 }, &mut rng);
    assert_eq!(outcome.labels.len(), 300);
    let shop: Vec<&Row> = history.rows.iter().collect();
    let taps: Vec<&Row> = outcome.taps.iter().collect();
    let (mut n_merged, mut n_given, mut n_leaking) = (0, 0, 0);
    for (n, label) in outcome.labels.iter().enumerate() {
        let people = members(&history.links, label.kind, &label.value, label.at);
        n_merged += usize::from(people.len() > 1);
        for (view, features) in views() {
            let rows = if view == "shop" { &shop } else { &taps };
            let expected = brute_force(&features, rows, &people, label.at, Known::Then);
            let mutant = brute_force(&features, rows, &people, label.at, Known::Ever);
            n_leaking += usize::from(expected != mutant);
            for (feature, expected) in features.iter().zip(expected) {
                let name = format!("{view}.{}", feature["name"].as_str().unwrap());
                let (logged, trained) = (&outcome.logged[n][&name], &outcome.trained[n][&name]);
                let what =
                    format!("{name} of {label:?}: logged {logged:?}, trained {trained:?}, {expected:?}");
                assert!(logged.agrees(trained, tolerance(feature)), "{what}");
                let is_price = feature["of"] == "price" && feature["scale"].is_null();
                let slack = tolerance(feature).max(if is_price { SUMS } else { 0.0 });
                assert!(logged.agrees(&expected, slack), "{what}");
                n_given += usize::from(*logged != Value::Missing);
            }
        }
    }
    // The world is one in which it could have gone wrong.
    assert!(n_merged > 20 && n_given > 6_000 && n_leaking > 20, "{n_merged} {n_given} {n_leaking}");
}

/// The brute force adds prices in whole tenths of a cent, the house adds them as the floats they are, exactly: the
/// same up to the last place.
const SUMS: f64 = 4e-16;
