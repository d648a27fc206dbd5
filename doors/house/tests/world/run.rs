//! What happens in the world: history comes in as it became known, purchases are posted, decisions are made in between,
//! people turn out to be the same; then a training set is built as of every decision.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use event::{Instant, Position, RecordId};
use house::{House, Identifier, Project};
use policy::{Principal, Scope};
use serde_json::{Map, json};

use super::rows::{History, Rng, Row, instant};
use super::{Value, names, project};

/// How much of it.
pub struct Size {
    /// Stretches of history, with decisions after each.
    pub n_epochs: usize,
    /// Decisions after each.
    pub n_decisions: usize,
}

/// One decision, as a line of the training set.
#[derive(Clone, Debug)]
pub struct Label {
    pub kind: &'static str,
    pub value: String,
    pub at: i64,
    decision: RecordId,
}

/// What the house said.
pub struct Outcome {
    pub labels: Vec<Label>,
    /// What was posted between the decisions, each row with the instant at which the house says it was known.
    pub taps: Vec<Row>,
    /// By label and feature: what its decision's record says,
    pub logged: Vec<HashMap<String, Value>>,
    /// and what training reads as of its instant.
    pub trained: Vec<HashMap<String, Value>>,
}

const MODEL: &str = "parity";
/// Customers that tap in one epoch.
const N_HOT: usize = 20;

pub fn run(dir: &Path, history: &History, size: &Size, rng: &mut Rng) -> Outcome {
    let (first, last) = history.span;
    let end = history.rows.iter().map(|row| row.known).max().unwrap() + 86_400_000_000;
    let stretch = (last - first) / size.n_epochs as i64;
    let mut taps: Vec<Row> = Vec::new();
    let mut labels: Vec<Label> = Vec::new();
    let mut from = i64::MIN;
    for epoch in 0..size.n_epochs {
        let clock = first + stretch * (epoch as i64 + 1);
        let house = open(dir, clock, end);
        import(&house, dir, history, from, clock);
        decide(&house, history, size.n_decisions, clock, rng, &mut taps, &mut labels);
        house.close();
        from = clock;
    }
    let house = open(dir, end, end);
    import(&house, dir, history, from, end);
    bring(
        &house,
        dir,
        "labels",
        labels
            .iter()
            .enumerate()
            .map(|(n, label)| json!({"n": n, label.kind: label.value, "at": instant(label.at)}).to_string()),
    );
    let logged = logged(&house, &labels, &mut taps);
    let trained = trained(&house, labels.len());
    house.close();
    Outcome { labels, taps, logged, trained }
}

fn open(dir: &Path, clock: i64, live_since: i64) -> Arc<House> {
    project::write(dir, Instant::from_micros(clock), Instant::from_micros(live_since));
    let (_, findings) = Project::read(dir).unwrap();
    let broken: Vec<String> = findings.iter().filter(|f| f.is_error()).map(ToString::to_string).collect();
    assert_eq!(broken, [""; 0]);
    Arc::new(House::open(Project::load(dir).unwrap()).unwrap())
}

/// Brings in what became known in (`from`, `to`].
fn import(house: &House, dir: &Path, history: &History, from: i64, to: i64) {
    let new = |known: i64| from < known && known <= to;
    let rows = history.rows.iter().filter(|row| new(row.known)).map(|row| row.document().to_string());
    bring(house, dir, "shop", rows);
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

fn decide(
    house: &Arc<House>,
    history: &History,
    n_decisions: usize,
    clock: i64,
    rng: &mut Rng,
    taps: &mut Vec<Row>,
    labels: &mut Vec<Label>,
) {
    let principal = Principal::new("parity", [Scope::Admin]);
    let n_known = history.rows.partition_point(|row| row.at <= clock);
    let known = &history.rows[..n_known.max(1)];
    let hot: Vec<&Row> = (0..N_HOT).map(|_| rng.pick(known)).collect();
    for step in 0..n_decisions {
        if step % 3 == 0 {
            post(house, &hot, history, rng, taps);
        }
        let who = if rng.chance(60) { *rng.pick(&hot) } else { rng.pick(known) };
        let (kind, value) = name(who, history, rng);
        let identifier = Identifier { kind: kind.to_owned(), value: value.clone() };
        let decided = house.decide(&principal, MODEL, &identifier, &Map::new()).unwrap();
        labels.push(Label { kind, value, at: decided.at.micros(), decision: decided.decision });
    }
}

/// A customer by number or by card, where there is one.
fn name(who: &Row, history: &History, rng: &mut Rng) -> (&'static str, String) {
    match history.links.get(&who.customer) {
        Some(link) if rng.chance(50) => ("card", link.card.clone()),
        _ => ("user_id", who.customer.clone()),
    }
}

/// Posts some purchases, 5 % of them late; now and then waits until they are durable, else decisions overtake them.
fn post(house: &Arc<House>, hot: &[&Row], history: &History, rng: &mut Rng, taps: &mut Vec<Row>) {
    let mut bodies = Vec::new();
    for _ in 0..1 + rng.below(8) {
        let like = *rng.pick(hot);
        let (kind, value) = name(like, history, rng);
        let ago = if rng.chance(5) { 50_000 + rng.below(20_000_000) } else { rng.below(20_000) };
        let row = taps.len() as i64 + 1;
        let at = house.now().micros() - ago as i64;
        let tap = Row { row, kind, value, at, ..like.clone() };
        let mut document = tap.document();
        document.as_object_mut().unwrap().remove("known");
        bodies.push(document.to_string());
        taps.push(tap);
    }
    let bodies: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
    let n = bodies.len() as u64;
    let (done, wait) = mpsc::channel();
    house.post(
        "taps",
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

/// What the journal says of each decision, and of when each row was known.
fn logged(house: &House, labels: &[Label], taps: &mut [Row]) -> Vec<HashMap<String, Value>> {
    let by_id: HashMap<RecordId, usize> =
        labels.iter().enumerate().map(|(n, label)| (label.decision, n)).collect();
    let mut logged = vec![HashMap::new(); labels.len()];
    let mut known: BTreeMap<i64, i64> = BTreeMap::new();
    let from = vec![Position(0); usize::from(house.n_partitions())];
    let see = |record: &event::Record| {
        let open: serde_json::Value = serde_json::from_slice(&record.payload.open).unwrap_or_default();
        match record.stream.as_str() {
            "taps" => {
                known.insert(open["row"].as_i64().unwrap(), record.known_at.micros());
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
    let mut see = see;
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
    logged
}

fn trained(house: &House, n_labels: usize) -> Vec<HashMap<String, Value>> {
    let principal = Principal::new("parity", [Scope::Admin]);
    let spec = house.project().model(MODEL).unwrap();
    let (dataset, n_refused, n_open) = house.dataset(&principal, spec).unwrap();
    assert_eq!((dataset.examples().len(), n_refused, n_open), (n_labels, 0, 0));
    let number = dataset.frame().column("n").unwrap();
    let mut trained = vec![HashMap::new(); n_labels];
    for row in 0..n_labels {
        let learn::Value::Number(label) = number.value(row) else { panic!("a label without its number") };
        for name in names() {
            let value = match dataset.frame().column(&name).unwrap().value(row) {
                learn::Value::Missing => Value::Missing,
                learn::Value::Number(number) => Value::Number(number),
                learn::Value::Text(text) => Value::Text(text.to_owned()),
            };
            trained[label as usize].insert(name, value);
        }
    }
    trained
}
