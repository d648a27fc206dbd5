//! What must hold after every fault, computed from the journal and the files outside it, not from the house's counters.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use decide::{DecisionRecord, Send, SendStatus};
use event::{Instant, Partition, Record, RecordId, Span, Subject};
use house::{House, Project, Rooms};
use journal::Journal;
use process::Shard as _;
use serde::{Deserialize, Serialize};
use store::{Database, Digest, Scope, Seal};

use super::load::Ack;
use super::project::{STREAM, Trial};

/// What a check found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Records in the journal, repeated ones included.
    pub n_records: u64,
    /// Acknowledged events, consents, decisions and outcomes.
    pub n_acked: u64,
    /// Decisions made, and those that act.
    pub n_decisions: u64,
    /// Decisions that act.
    pub n_acting: u64,
    /// Actions whose money came back.
    pub n_released: u64,
    /// Keys that left.
    pub n_sent: u64,
    /// The most that was spent or set aside at any moment, and the budget, in parts of a cent.
    pub most_committed: i64,
    /// The budget.
    pub budget: i64,
    /// What does not hold.
    pub wrong: Vec<String>,
}

impl Found {
    fn wrong(&mut self, what: String) {
        // The first few tell enough.
        if self.wrong.len() < 20 {
            self.wrong.push(what);
        }
    }
}

/// Where an action stands, by its records alone.
enum Stand {
    Reserved,
    Claimed(String),
    Sent,
    Released,
}

struct Contact {
    subject: Subject,
    channel: String,
    at: Instant,
    cost: i64,
    stand: Stand,
}

#[derive(Default)]
struct Scan {
    /// Distinct ids by stream.
    ids: BTreeMap<String, BTreeSet<RecordId>>,
    messages: HashMap<String, RecordId>,
    decisions: HashMap<RecordId, i64>,
    contacts: HashMap<RecordId, Contact>,
    by_subject: HashMap<Subject, Vec<RecordId>>,
    committed: i64,
}

/// The caps of the project: channel, most, in seven days.
const CAPS: [(Option<&str>, usize); 2] = [(None, 2), (Some("post"), 1)];
const WINDOW: Span = Span::from_days(7);

/// Opens the trial's house and checks everything; with `partitions`, also that the same input gives the same state
/// under those numbers of partitions.
pub fn check(trial: &Trial, partitions: &[u16]) -> Result<Found> {
    let house = House::open(Project::load(&trial.project())?)?;
    let mut found = Found::default();
    house.engine().settle(Duration::from_secs(60))?;
    let mut scan = Scan::default();
    let first = house.use_cases().first().context("the project has no use case")?;
    found.budget = first.budget.total.parts();
    let mut records: Vec<Arc<Record>> = Vec::new();
    house.engine().journal().scan(&[], |_, _, record| {
        scan.take(&record, &mut found);
        if !partitions.is_empty() {
            records.push(record);
        }
        Ok(())
    })?;
    check_acks(trial, &scan, &mut found)?;
    check_sent(trial, &scan, &mut found)?;
    for (stream, count) in house.streams()? {
        let n = scan.ids.get(&stream).map_or(0, BTreeSet::len) as u64;
        if count.n_records != n {
            found.wrong(format!(
                "stream `{stream}`: {} records folded, {n} different ones in the journal",
                count.n_records
            ));
        }
    }
    for state in house.budgets()? {
        if state.spent + state.granted > state.total {
            found.wrong(format!(
                "budget: {} spent and {} granted of {}",
                state.spent, state.granted, state.total
            ));
        }
    }
    let verdict = house.verify(|_| {})?;
    if !verdict.holds() {
        found.wrong(format!("replay gives {:?}, live is {:?}", verdict.replayed, verdict.live));
    }
    if !partitions.is_empty() {
        let own = with_partitions(trial, &house, &records, house.n_partitions())?;
        let mut sum = Digest::default();
        own.iter().for_each(|table| sum.merge(table));
        if sum != verdict.live {
            found.wrong(format!("the journal copied gives {sum:?}, live is {:?}", verdict.live));
        }
        for n in partitions {
            let other = with_partitions(trial, &house, &records, *n)?;
            for (at, (own, other)) in
                own.iter().zip(&other).enumerate().filter(|(_, (own, other))| own != other)
            {
                found.wrong(format!("with {n} partitions table {at} is {other:?}, it should be {own:?}"));
            }
        }
        check_backup(trial, &house, &mut found)?;
    }
    house.close();
    Ok(found)
}

impl Scan {
    fn take(&mut self, record: &Record, found: &mut Found) {
        found.n_records += 1;
        let stream = record.stream.as_str();
        if !self.ids.entry(stream.to_owned()).or_default().insert(record.id) {
            // A retry, or an emission made again after a crash: the folds drop it.
            return;
        }
        match stream {
            STREAM => self.event(record, found),
            decide::DECISIONS => match DecisionRecord::from_parts(&record.payload.open, None) {
                Ok(decision) => self.decision(&decision, found),
                Err(error) => found.wrong(format!("decision {}: {error}", record.id)),
            },
            decide::SENDS => match Send::from_payload(&record.payload.open) {
                Ok(send) => self.send(&send, found),
                Err(error) => found.wrong(format!("send {}: {error}", record.id)),
            },
            _ => {}
        }
        found.most_committed = found.most_committed.max(self.committed);
        if self.committed > found.budget {
            found
                .wrong(format!("{} of {} spent or set aside at {}", self.committed, found.budget, record.id));
        }
    }

    fn event(&mut self, record: &Record, found: &mut Found) {
        let open: serde_json::Value = serde_json::from_slice(&record.payload.open).unwrap_or_default();
        let Some(id) = open.get("messageId").and_then(|id| id.as_str()) else {
            return found.wrong(format!("record {} has no message id", record.id));
        };
        if self.messages.insert(id.to_owned(), record.id).is_some() {
            found.wrong(format!("message {id} is two records"));
        }
    }

    fn decision(&mut self, decision: &DecisionRecord, found: &mut Found) {
        found.n_decisions += 1;
        self.decisions.insert(decision.decision, decision.cost.parts());
        if !decision.acts() {
            return;
        }
        found.n_acting += 1;
        // LAW 7: what earlier decisions of the profile's members count for.
        for (channel, most) in CAPS {
            if channel.is_some_and(|channel| channel != decision.chosen.channel) {
                continue;
            }
            let of_members =
                decision.members.iter().filter_map(|member| self.by_subject.get(member)).flatten();
            let n = of_members
                .filter_map(|id| self.contacts.get(id))
                .filter(|c| !matches!(c.stand, Stand::Released) && c.at > decision.at - WINDOW)
                .filter(|c| channel.is_none_or(|channel| channel == c.channel))
                .count();
            if n >= most {
                found.wrong(format!(
                    "cap {} of {most} broken by {}: {n} before it, members {:?}",
                    channel.unwrap_or("all"),
                    decision.decision,
                    decision.members
                ));
            }
        }
        self.committed += decision.cost.parts();
        self.by_subject.entry(decision.subject).or_default().push(decision.decision);
        let contact = Contact {
            subject: decision.subject,
            channel: decision.chosen.channel.clone(),
            at: decision.at,
            cost: decision.cost.parts(),
            stand: Stand::Reserved,
        };
        self.contacts.insert(decision.decision, contact);
    }

    fn send(&mut self, send: &Send, found: &mut Found) {
        let Some(contact) = self.contacts.get_mut(&send.decision) else {
            return found.wrong(format!("a send of {} has no decision before it", send.decision));
        };
        let released = match (&contact.stand, send.status) {
            (Stand::Reserved, SendStatus::Claimed) => {
                contact.stand = Stand::Claimed(send.claim.clone());
                false
            }
            (Stand::Reserved, SendStatus::Released | SendStatus::Failed) => true,
            (Stand::Claimed(claim), SendStatus::Failed) => *claim == send.claim,
            (Stand::Released, SendStatus::Sent) => {
                found.wrong(format!(
                    "{} of {:?} was sent after its money was given back",
                    send.decision, contact.subject
                ));
                false
            }
            (Stand::Reserved | Stand::Claimed(_), SendStatus::Sent) => {
                contact.stand = Stand::Sent;
                contact.at = contact.at.max(send.at);
                false
            }
            _ => false,
        };
        if released {
            contact.stand = Stand::Released;
            self.committed -= contact.cost;
            found.n_released += 1;
        }
    }
}

/// LAW 1: everything acknowledged is there.
fn check_acks(trial: &Trial, scan: &Scan, found: &mut Found) -> Result<()> {
    let has = |stream: &str, id: &RecordId| scan.ids.get(stream).is_some_and(|ids| ids.contains(id));
    for line in lines(&trial.acks())? {
        found.n_acked += 1;
        let ack: Ack = serde_json::from_str(&line).with_context(|| line.clone())?;
        let is_there = match &ack {
            Ack::Event(id) => scan.messages.contains_key(id),
            Ack::Consent(id) => has(policy::CONSENTS, id),
            Ack::Outcome(id) => has(decide::OUTCOMES, id),
            Ack::Decision(id, cost) => scan.decisions.get(id) == Some(cost),
        };
        if !is_there {
            found.wrong(format!("acknowledged and lost: {line}"));
        }
    }
    Ok(())
}

/// What left was decided, and its money was never given back.
fn check_sent(trial: &Trial, scan: &Scan, found: &mut Found) -> Result<()> {
    let keys: BTreeSet<String> =
        lines(&trial.sent())?.into_iter().filter(|line| !line.starts_with('#')).collect();
    let by_key: HashMap<String, &Contact> =
        scan.contacts.iter().map(|(id, one)| (id.to_string(), one)).collect();
    for key in &keys {
        found.n_sent += 1;
        match by_key.get(key).map(|contact| &contact.stand) {
            None => found.wrong(format!("{key} left, but no such decision is in the journal")),
            Some(Stand::Released) => found.wrong(format!("{key} left, but its money was given back")),
            Some(Stand::Reserved) => found.wrong(format!("{key} left without a claim")),
            Some(Stand::Claimed(_) | Stand::Sent) => {}
        }
    }
    Ok(())
}

fn lines(path: &Path) -> Result<Vec<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e.into()),
    }
}

/// A backup of what the faults left gives the same state, keys included.
fn check_backup(trial: &Trial, house: &House, found: &mut Found) -> Result<()> {
    let (backup, restored) = (trial.root.join("backup"), trial.root.join("restored"));
    for dir in [&backup, &restored] {
        if dir.exists() {
            std::fs::remove_dir_all(dir)?;
        }
    }
    // Opening releases what lapsed: once everything has, the copy has nothing to release that the house has not.
    std::thread::sleep(Duration::from_secs(2 * house.settings().delivery.reservation_seconds));
    while house.do_chores()? > 0 {}
    let live = house.engine().digest(Duration::from_secs(60))?;
    house.backup(&backup)?;
    house::restore(&backup, &restored)?;
    for outside in ["master.key", "root.anchor"] {
        std::fs::copy(trial.project().join(outside), restored.join(outside))?;
    }
    let other = House::open(Project::load(&restored)?)?;
    let digest = other.engine().digest(Duration::from_secs(120))?;
    if digest != live {
        found.wrong(format!("restored from a backup the state is {digest:?}, live is {live:?}"));
    }
    other.close();
    drop(other);
    std::fs::remove_dir_all(&backup)?;
    Ok(std::fs::remove_dir_all(&restored)?)
}

/// LAW 2: folds the same records in an instance with `n` partitions and gives the digest of each table.
fn with_partitions(trial: &Trial, house: &House, records: &[Arc<Record>], n: u16) -> Result<Vec<Digest>> {
    let beside = trial.root.join(format!("with-{n}"));
    if beside.exists() {
        std::fs::remove_dir_all(&beside)?;
    }
    let options = journal::Options { n_partitions: n, ..Default::default() };
    let journal = Journal::open(beside.join("journal"), options)?;
    for chunk in records.chunks(2_000) {
        let batch: Vec<(Partition, Arc<Record>)> =
            chunk.iter().map(|record| (record.subject.partition(n), record.clone())).collect();
        journal.append(batch)?;
    }
    let db = Database::open(&beside.join("state"), 64 << 20)?;
    let sealer: Arc<dyn Seal> = house.vault().clone();
    let scope = |p| Scope::new(db.clone(), Partition(p), Some(sealer.clone()));
    let shards = (0..n).map(|p| Rooms::open(&scope(p), house.composition())).collect();
    let upto: Vec<_> = (0..n).map(|p| journal.end(Partition(p))).collect();
    let done = process::replay(&journal, &upto, &db, shards, &process::Options::default(), |_| {})?;
    let mut tables: Vec<Digest> = Vec::new();
    for mut rooms in done {
        let stored = rooms.stored();
        tables.resize(stored.len(), Digest::default());
        for (table, digest) in stored.into_iter().zip(&mut tables) {
            table.digest(digest)?;
        }
    }
    journal.close();
    drop((journal, db));
    std::fs::remove_dir_all(&beside)?;
    Ok(tables)
}
