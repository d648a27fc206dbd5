//! What happens in the world: history comes in as it became known, rows are posted, decisions are made in between,
//! people turn out to be the same, move in and out; views are added and filled meanwhile; then a training set is built
//! as of every decision.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use event::{Instant, Position, RecordId};
use house::{House, Identifier, Project};
use policy::{Principal, Scope};
use serde_json::{Map, json};

use super::plan::{Entity, World};
use super::project::{self, Moment};
use super::rows::{History, Rng, Row, instant};
use super::{Value, members};

/// How much of it.
pub struct Size {
    /// Stretches of history, with decisions after each.
    pub n_epochs: usize,
    /// Decisions after each.
    pub n_decisions: usize,
    /// Partitions of a second instance, loaded from all that the first one exports.
    pub elsewhere: Option<u16>,
}

/// One decision, as a line of the training set.
#[derive(Clone, Debug)]
pub struct Label {
    pub entity: &'static str,
    pub kind: &'static str,
    pub value: String,
    pub at: i64,
    decision: RecordId,
}

/// A word on who belongs to a household.
#[derive(Clone, Debug)]
pub struct Word {
    pub household: String,
    pub user: String,
    pub belongs: bool,
    pub at: i64,
    pub known: i64,
    record: RecordId,
}

/// The features of everybody in a household, as they were served and as they are read as of then.
#[derive(Clone, Debug)]
pub struct Home {
    pub household: String,
    pub at: i64,
    pub served: HashMap<String, Value>,
    pub trained: HashMap<String, Value>,
}

/// What the house said.
#[derive(Default)]
pub struct Outcome {
    pub labels: Vec<Label>,
    /// What was posted between the decisions, each row with the instant at which the house says it was known.
    pub taps: Vec<Row>,
    pub words: Vec<Word>,
    pub homes: Vec<Home>,
    /// By label and feature: what its decision's record says,
    pub logged: Vec<HashMap<String, Value>>,
    /// and what training reads as of its instant.
    pub trained: Vec<HashMap<String, Value>>,
    /// Decisions made while views were being filled.
    pub n_meanwhile: usize,
    /// Values of training that the second instance gives otherwise, where there is one.
    pub n_elsewhere: usize,
    pub n_elsewhere_differ: usize,
}

/// Rows of which posts and decisions are made in one epoch.
const N_HOT: usize = 20;

/// What one epoch works with.
struct Epoch<'w> {
    world: &'w World,
    history: &'w History,
    house: Arc<House>,
    principal: Principal,
    clock: i64,
    hot: Vec<&'w Row>,
}

pub fn run(dir: &Path, world: &World, history: &History, size: &Size, rng: &mut Rng) -> Outcome {
    let (first, last) = history.span;
    let end = history.rows.iter().map(|row| row.known).max().unwrap() + 86_400_000_000;
    let stretch = (last - first) / size.n_epochs as i64;
    let mut outcome = Outcome::default();
    let mut from = i64::MIN;
    for epoch in 0..size.n_epochs {
        let clock = first + stretch * (epoch as i64 + 1);
        let with_new = epoch >= size.n_epochs / 2;
        let house = open(dir, world, &Moment { with_new, ..moment(clock, end) });
        import(&house, dir, history, from, clock);
        let known = &history.rows[..history.rows.partition_point(|row| row.at <= clock).max(1)];
        let hot = (0..N_HOT).map(|_| rng.pick(known)).collect();
        let principal = Principal::new("parity", Scope::ALL);
        let epoch_of = Epoch { world, history, house: house.clone(), principal, clock, hot };
        epoch_of.move_in(rng, &mut outcome);
        if epoch == size.n_epochs / 2 && world.has_new() {
            epoch_of.fill(rng, &mut outcome);
        }
        epoch_of.decide(size.n_decisions, with_new || !world.has_new(), rng, &mut outcome);
        house.close();
        from = clock;
    }
    let house = open(dir, world, &moment(end, end));
    import(&house, dir, history, from, end);
    for entity in &world.entities {
        let of_it = outcome.labels.iter().enumerate().filter(|(_, label)| label.entity == entity.name);
        let document = |(n, label): (usize, &Label)| {
            json!({"n": n, label.kind: label.value, "at": instant(label.at)}).to_string()
        };
        bring(&house, dir, &project::labels(entity), of_it.map(document));
    }
    outcome.logged = logged(&house, world, &outcome.labels, &mut outcome.taps, &mut outcome.words);
    outcome.trained = trained(&house, world, outcome.labels.len());
    homes(&house, world, &mut outcome.homes);
    // LAW 2: filled or folded from the start, it is the same state.
    assert!(house.verify(|_| {}).unwrap().holds());
    if let Some(n_partitions) = size.elsewhere {
        elsewhere(dir, &house, world, n_partitions, &mut outcome);
    }
    house.close();
    outcome
}

fn moment(clock: i64, live_since: i64) -> Moment {
    Moment {
        clock: Instant::from_micros(clock),
        live_since: Instant::from_micros(live_since),
        with_new: true,
    }
}

fn open(dir: &Path, world: &World, moment: &Moment) -> Arc<House> {
    project::write(dir, world, moment);
    let (_, findings) = Project::read(dir).unwrap();
    let broken: Vec<String> = findings.iter().filter(|f| f.is_error()).map(ToString::to_string).collect();
    assert_eq!(broken, [""; 0]);
    Arc::new(House::open_unfilled(Project::load(dir).unwrap()).unwrap())
}

/// Brings in what became known in (`from`, `to`].
fn import(house: &House, dir: &Path, history: &History, from: i64, to: i64) {
    let new = |known: i64| from < known && known <= to;
    let streams: BTreeSet<&str> = history.rows.iter().map(|row| row.stream).collect();
    for stream in streams {
        let rows = history.rows.iter().filter(|row| row.stream == stream && new(row.known));
        bring(house, dir, stream, rows.map(|row| row.document().to_string()));
    }
    let links = history.links.values().filter(|link| new(link.at));
    bring(
        house,
        dir,
        "links",
        links.map(|link| {
            json!({"user_id": link.user_id, "card": link.card, "at": instant(link.at)}).to_string()
        }),
    );
}

fn bring(house: &House, dir: &Path, stream: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let file = dir.join(format!("{stream}.ndjson"));
    std::fs::write(&file, lines.join("\n")).unwrap();
    let done = house.import(&file, stream, |_| ()).unwrap();
    assert_eq!(done.counts.n_accepted, lines.len() as u64, "{stream}: {:?}", done.reasons);
}

impl<'w> Epoch<'w> {
    /// Some people come to live in their household, some leave it.
    fn move_in(&self, rng: &mut Rng, outcome: &mut Outcome) {
        if self.history.homes.is_empty() {
            return;
        }
        for _ in 0..6 {
            let (user, household) = rng.pick(&self.history.homes);
            let belongs = rng.chance(80);
            let (home, who) = (called("household", household), called("user_id", user));
            let record = self.house.belongs(&home, &who, belongs, None, None).unwrap();
            let word =
                Word { household: household.clone(), user: user.clone(), belongs, at: 0, known: 0, record };
            outcome.words.push(word);
        }
    }

    /// Fills the views that are new, and decides meanwhile.
    fn fill(&self, rng: &mut Rng, outcome: &mut Outcome) {
        assert!(!self.house.filling().unwrap().is_empty());
        let entity = self.world.entities.first().unwrap();
        let refused = self.house.decide(
            &self.principal,
            &project::use_case(entity),
            &called(entity.kinds[0], "somebody"),
            &Map::new(),
        );
        assert_eq!(refused.unwrap_err().code(), "MR4014");
        let before = outcome.labels.len();
        self.decide(5, false, rng, outcome);
        let filled = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let filling = scope.spawn(|| {
                let n = self.house.fill(&AtomicBool::new(false));
                filled.store(true, Ordering::Release);
                n
            });
            while !filled.load(Ordering::Acquire) {
                self.decide(1, false, rng, outcome);
            }
            filling.join().unwrap().unwrap();
        });
        outcome.n_meanwhile = outcome.labels.len() - before;
        assert!(self.house.filling().unwrap().is_empty());
    }

    /// * `all`: with all features, or only with those that were there from the start
    fn decide(&self, n_decisions: usize, all: bool, rng: &mut Rng, outcome: &mut Outcome) {
        let rows = &self.history.rows;
        let known = &rows[..rows.partition_point(|row| row.at <= self.clock).max(1)];
        for step in 0..n_decisions {
            if step % 3 == 0 {
                self.post(rng, &mut outcome.taps);
            }
            if step % 5 == 2 {
                self.look_at_a_home(rng, outcome);
            }
            let who = if rng.chance(60) { *rng.pick(&self.hot) } else { rng.pick(known) };
            let entity = self.world.entity_of(who.stream);
            let (kind, value) = name(who, entity, self.history, rng);
            let use_case = if all { project::use_case(entity) } else { project::early_case(entity) };
            let decided =
                self.house.decide(&self.principal, &use_case, &called(kind, &value), &Map::new()).unwrap();
            outcome.labels.push(Label {
                entity: entity.name,
                kind,
                value,
                at: decided.at.micros(),
                decision: decided.decision,
            });
        }
    }

    /// Posts some rows, 5 % of them late; now and then waits until they are durable, else decisions overtake them.
    fn post(&self, rng: &mut Rng, taps: &mut Vec<Row>) {
        let mut bodies = Vec::new();
        let entity = self.world.entity_of(rng.pick(&self.hot).stream);
        let like: Vec<&Row> = self.hot.iter().copied().filter(|row| row.stream == entity.history).collect();
        for _ in 0..1 + rng.below(8) {
            let like = *rng.pick(&like);
            let (kind, value) = name(like, entity, self.history, rng);
            let ago = if rng.chance(5) { 50_000 + rng.below(20_000_000) } else { rng.below(20_000) };
            let row = taps.len() as i64 + 1;
            let at = self.house.now().micros() - ago as i64;
            let tap = Row { stream: entity.live, row, kind, value, at, ..like.clone() };
            let mut document = tap.document();
            document.as_object_mut().unwrap().remove("known");
            bodies.push(document.to_string());
            taps.push(tap);
        }
        let bodies: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
        let n = bodies.len() as u64;
        let (done, wait) = mpsc::channel();
        self.house.post(
            entity.live,
            &bodies,
            Box::new(move |report| {
                assert_eq!(report.unwrap().counts.n_accepted, n);
                // nobody waits for it every time
                let _ = done.send(());
            }),
        );
        if rng.chance(30) {
            wait.recv_timeout(Duration::from_secs(30)).unwrap();
        }
    }

    /// Reads the features of everybody who belongs to some household, where anybody does.
    fn look_at_a_home(&self, rng: &mut Rng, outcome: &mut Outcome) {
        if outcome.words.is_empty() {
            return;
        }
        let household = rng.pick(&outcome.words).household.clone();
        let views = home_views(self.world);
        let home = called("household", &household);
        let Ok((at, values)) = self.house.entity_features(&self.principal, &home, "analytics", &views) else {
            return;
        };
        let served = values.iter().flat_map(|values| {
            let view = values.view().name().to_owned();
            values.iter().map(move |(feature, value)| (format!("{view}.{}", feature.name()), plain(value)))
        });
        outcome.homes.push(Home {
            household,
            at: at.micros(),
            served: served.collect(),
            trained: HashMap::new(),
        });
    }
}

fn called(kind: &str, value: &str) -> Identifier {
    Identifier { kind: kind.to_owned(), value: value.to_owned() }
}

/// A customer by number or by card, where there is one.
fn name(who: &Row, entity: &Entity, history: &History, rng: &mut Rng) -> (&'static str, String) {
    match history.links.get(&who.customer) {
        Some(link) if entity.kinds.contains(&"card") && rng.chance(50) => ("card", link.card.clone()),
        _ => (entity.kinds[0], who.customer.clone()),
    }
}

/// The views that a household's people are looked at with.
fn home_views(world: &World) -> Vec<String> {
    world.views_of(world.entity("user"), false).map(|view| view.name.clone()).collect()
}

/// Who belongs to a household as of an instant, by all their names.
pub fn belonging(words: &[Word], history: &History, household: &str, at: i64) -> Vec<(&'static str, String)> {
    let mut latest: BTreeMap<&str, &Word> = BTreeMap::new();
    for word in words.iter().filter(|word| word.household == household && word.at <= at && word.known <= at) {
        latest.insert(&word.user, word);
    }
    let in_it = latest.into_values().filter(|word| word.belongs);
    in_it.flat_map(|word| members(&history.links, "user_id", &word.user, at)).collect()
}

fn plain(value: &feature::Value) -> Value {
    match value {
        feature::Value::Missing => Value::Missing,
        feature::Value::Text(text) => Value::Text(text.to_string()),
        number => Value::Number(number.as_number().unwrap()),
    }
}

/// What the journal says of each decision, and of when each row and each word was known.
fn logged(
    house: &House,
    world: &World,
    labels: &[Label],
    taps: &mut [Row],
    words: &mut [Word],
) -> Vec<HashMap<String, Value>> {
    let by_id: HashMap<RecordId, usize> =
        labels.iter().enumerate().map(|(n, label)| (label.decision, n)).collect();
    let mut logged = vec![HashMap::new(); labels.len()];
    let mut known: BTreeMap<i64, i64> = BTreeMap::new();
    let mut said: HashMap<RecordId, (i64, i64)> = HashMap::new();
    let from = vec![Position(0); usize::from(house.n_partitions())];
    let is_live = |stream: &str| world.entities.iter().any(|entity| entity.live == stream);
    let mut see = |record: &event::Record| {
        let open: serde_json::Value = serde_json::from_slice(&record.payload.open).unwrap_or_default();
        match record.stream.as_str() {
            stream if is_live(stream) => {
                known.insert(open["row"].as_i64().unwrap(), record.known_at.micros());
            }
            profile::MEMBERSHIPS => {
                said.insert(record.id, (record.occurred_at.micros(), record.known_at.micros()));
            }
            "mr.decisions" => {
                let inputs = open["evidence"]["inputs"].as_array().unwrap();
                let values = inputs.iter().map(|input| {
                    let value = match &input["value"] {
                        serde_json::Value::Null => Value::Missing,
                        serde_json::Value::String(text) => Value::Text(text.clone()),
                        number => Value::Number(number.as_f64().unwrap()),
                    };
                    (input["name"].as_str().unwrap().to_owned(), value)
                });
                logged[by_id[&record.id]] = values.collect();
            }
            _ => {}
        }
    };
    house
        .engine()
        .journal()
        .scan(&from, |_, _, record| {
            see(&record);
            Ok(())
        })
        .unwrap();
    for tap in taps {
        tap.known = known[&tap.row];
    }
    for word in words {
        (word.at, word.known) = said[&word.record];
    }
    logged
}

/// The training sets of all entities, by label.
fn trained(house: &House, world: &World, n_labels: usize) -> Vec<HashMap<String, Value>> {
    let principal = Principal::new("parity", Scope::ALL);
    let mut trained = vec![HashMap::new(); n_labels];
    for entity in &world.entities {
        let spec = house.project().model(&project::model(entity)).unwrap();
        let (dataset, n_refused, n_open) = house.dataset(&principal, spec).unwrap();
        assert_eq!((n_refused, n_open), (0, 0));
        let number = dataset.frame().column("n").unwrap();
        for row in 0..dataset.examples().len() {
            let learn::Value::Number(label) = number.value(row) else { panic!("a label without its number") };
            for name in world.names(entity, true) {
                let value = match dataset.frame().column(&name).unwrap().value(row) {
                    learn::Value::Missing => Value::Missing,
                    learn::Value::Number(number) => Value::Number(number),
                    learn::Value::Text(text) => Value::Text(text.to_owned()),
                };
                trained[label as usize].insert(name, value);
            }
        }
    }
    assert!(trained.iter().all(|values| !values.is_empty()), "every label is an example");
    trained
}

/// The features of every home that was looked at, as of then.
fn homes(house: &House, world: &World, homes: &mut [Home]) {
    let principal = Principal::new("parity", Scope::ALL);
    let asked: Vec<(Identifier, Instant)> = homes
        .iter()
        .map(|home| (called("household", &home.household), Instant::from_micros(home.at)))
        .collect();
    if asked.is_empty() {
        return;
    }
    let matrices = house.entity_features_as_of(&principal, "analytics", &home_views(world), &asked).unwrap();
    for matrix in &matrices {
        for (feature, column) in matrix.view().features().iter().zip(matrix.columns()) {
            for (row, home) in homes.iter_mut().enumerate() {
                let name = format!("{}.{}", matrix.view().name(), feature.name());
                home.trained.insert(name, plain(&column.value(row)));
            }
        }
    }
}

/// LAW 2: all of it, in an instance with another number of partitions: the same state, the same training sets.
fn elsewhere(dir: &Path, house: &House, world: &World, n_partitions: u16, outcome: &mut Outcome) {
    let (out, fresh) = (dir.join("exported"), dir.join("elsewhere"));
    house.export_instance(&out).unwrap();
    let master = dir.join("master.key");
    let loaded = house::load_instance(&out, &fresh, Some(&master), Some(n_partitions)).unwrap();
    assert!(loaded.holds() && loaded.n_partitions == n_partitions, "{loaded:?}");
    let there = Arc::new(House::open(Project::load(&fresh).unwrap()).unwrap());
    assert_eq!(there.n_partitions(), n_partitions);
    let values = trained(&there, world, outcome.labels.len());
    outcome.n_elsewhere = values.iter().map(HashMap::len).sum();
    outcome.n_elsewhere_differ = values
        .iter()
        .zip(&outcome.trained)
        .map(|(there, here)| here.iter().filter(|(name, value)| there.get(*name) != Some(value)).count())
        .sum();
    there.close();
}
