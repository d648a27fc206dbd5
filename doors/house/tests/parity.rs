//! LAW 5, in small: what decisions logged = what training reads as of them = a brute force over all rows, with late
//! rows and people who turn out to be the same; with one entity and two views, and with shoppers, households and
//! products, thirty views of which ten are filled while decisions are made. `cargo xtask show spine --only parity` and
//! `cargo xtask show data --only entities` do it on real rows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]
#![allow(dead_code, unused_imports, reason = "the examples use the rest of this world")]

mod world;

use std::collections::{BTreeMap, HashMap};

use world::{
    History, Known, Outcome, Rng, Row, Size, Value, World, belonging, brute_force, made_up, made_up_journey,
    members, run, tolerance,
};

/// Rows by the identifier they lie under.
type ByName<'r> = BTreeMap<(&'r str, &'r str, &'r str), Vec<&'r Row>>;

/// What was looked at.
#[derive(Debug, Default)]
struct Seen {
    n_values: usize,
    n_given: usize,
    n_leaking: usize,
    n_merged: usize,
}

struct Checking<'r> {
    world: &'r World,
    rows: ByName<'r>,
    seen: Seen,
}

impl<'r> Checking<'r> {
    fn new(world: &'r World, history: &'r History, outcome: &'r Outcome) -> Self {
        let mut rows = ByName::new();
        for row in history.rows.iter().chain(&outcome.taps) {
            rows.entry((row.stream, row.kind, row.value.as_str())).or_default().push(row);
        }
        Self { world, rows, seen: Seen::default() }
    }

    /// Every value that was served is the one trained with and the one that brute force gives.
    fn check(
        &mut self,
        people: &[(&str, String)],
        at: i64,
        served: &HashMap<String, Value>,
        trained: &HashMap<String, Value>,
    ) {
        self.seen.n_merged += usize::from(people.len() > 1);
        for view in &self.world.views {
            if view.names().next().is_none_or(|name| !served.contains_key(&name)) {
                continue;
            }
            let of_person = people
                .iter()
                .filter_map(|(kind, value)| self.rows.get(&(view.stream, *kind, value.as_str())));
            let rows: Vec<&Row> = of_person.flatten().copied().collect();
            let expected = brute_force(&view.features, &rows, people, at, Known::Then);
            let mutant = brute_force(&view.features, &rows, people, at, Known::Ever);
            self.seen.n_leaking += usize::from(expected != mutant);
            for ((feature, expected), name) in view.features.iter().zip(expected).zip(view.names()) {
                let (served, trained) = (&served[&name], &trained[&name]);
                let what = || {
                    format!(
                        "{name} of {people:?} at {at}: served {served:?}, trained {trained:?}, {expected:?}"
                    )
                };
                assert!(served.agrees(trained, tolerance(feature)), "{}", what());
                let is_price = feature["of"] == "price" && feature["scale"].is_null();
                let slack = tolerance(feature).max(if is_price { SUMS } else { 0.0 });
                assert!(served.agrees(&expected, slack), "{}", what());
                self.seen.n_values += 1;
                self.seen.n_given += usize::from(*served != Value::Missing);
            }
        }
    }
}

fn check(world: &World, history: &History, size: &Size, rng: &mut Rng) -> (Outcome, Seen) {
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(dir.path(), world, history, size, rng);
    let mut checking = Checking::new(world, history, &outcome);
    for (n, label) in outcome.labels.iter().enumerate() {
        let people = members(&history.links, label.kind, &label.value, label.at);
        checking.check(&people, label.at, &outcome.logged[n], &outcome.trained[n]);
    }
    for home in &outcome.homes {
        let people = belonging(&outcome.words, history, &home.household, home.at);
        checking.check(&people, home.at, &home.served, &home.trained);
    }
    let seen = checking.seen;
    (outcome, seen)
}

#[test]
fn logged_is_trained_is_brute_force() {
    let mut rng = Rng(20_261_124);
    let history = History::new(made_up(3_000, &mut rng), &mut rng);
    let size = Size { n_epochs: 4, n_decisions: 75, elsewhere: None };
    let (outcome, seen) = check(&World::retail(), &history, &size, &mut rng);
    assert_eq!(outcome.labels.len(), 300);
    // The world is one in which it could have gone wrong.
    assert!(seen.n_merged > 20 && seen.n_given > 6_000 && seen.n_leaking > 20, "{seen:?}");
}

fn check_thirty(n_partitions: u16, elsewhere: u16) {
    let mut rng = Rng(20_261_124);
    let history = made_up_journey(1_200, &mut rng);
    let size = Size { n_epochs: 4, n_decisions: 40, elsewhere: Some(elsewhere) };
    let (outcome, seen) = check(&World::journey(n_partitions), &history, &size, &mut rng);
    assert!(outcome.n_meanwhile >= 5 && outcome.homes.len() > 15, "{}", outcome.homes.len());
    assert!(seen.n_merged > 10 && seen.n_given > 4_000 && seen.n_leaking > 20, "{seen:?}");
    // LAW 2: the same with another number of partitions.
    assert!(outcome.n_elsewhere > 4_000);
    assert_eq!(outcome.n_elsewhere_differ, 0);
}

#[test]
fn thirty_views_of_three_entities_with_one_partition() {
    check_thirty(1, 7);
}

#[test]
fn thirty_views_of_three_entities_with_seven_partitions() {
    check_thirty(7, 1);
}

/// The brute force adds prices in whole tenths of a cent, the house adds them as the floats they are, exactly: the
/// same up to the last place.
const SUMS: f64 = 4e-16;
