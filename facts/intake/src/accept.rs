//! From arrivals to records: judged, sealed, named, dated.
//!
//! Records are built here and appended by the caller. Every arrival becomes exactly one of accepted,
//! quarantined, duplicate, refused; nothing is dropped silently.

use std::sync::Arc;

use contract::{Contract, Contracts, Finding};
use event::{BatchId, Cell, Instant, Payload, Record, RecordId, SourceName, StreamName, Subject, Version};
use parking_lot::Mutex;
use policy::{CELL_SCHEMA, CONSENTS, ConsentGiven, Signals, Status, TC_STRING};
use profile::{LINKS, Link, LinkedId, MEMBERSHIPS, Membership, Rules};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use vault::Vault;

use crate::error::{Error, Refusal};
use crate::incoming::{Incoming, Origin, Said};
use crate::judge::{Bench, Judged, QUARANTINE};
use crate::seen::{Lately, Seen};
use crate::segment::without_people;

/// How many sets of identifiers are remembered as linked already.
const N_LINKED: usize = 500_000;

/// How something arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When.
    pub received_at: Instant,
    /// The import that brought it; `None` for what comes as it happens.
    pub batch: Option<BatchId>,
    /// What it came by: the name of an API key, of a webhook, of a folder.
    pub source: Option<SourceName>,
}

/// What became of one arrival.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is a record.
    Accepted {
        /// The record.
        record: Arc<Record>,
        /// What follows from it: links between its identifiers, consents.
        emitted: Vec<Arc<Record>>,
        /// What was noticed (warnings only).
        findings: Vec<Finding>,
    },
    /// It broke its contract and is kept, sealed whole, until the contract or the sender is mended.
    Quarantined {
        /// The record in `mr.quarantine`.
        record: Arc<Record>,
        /// What it says about consent, where it says no.
        emitted: Vec<Arc<Record>>,
        /// What is wrong.
        findings: Vec<Finding>,
    },
    /// The same delivery holds it twice.
    Duplicate {
        /// The id both have.
        id: RecordId,
        /// When this one says it happened.
        occurred_at: Instant,
    },
    /// It does not follow the protocol; nothing of it is kept.
    Refused(Refusal),
}

impl Outcome {
    /// What is to be appended, the record itself first.
    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        let (record, emitted) = match self {
            Self::Accepted { record, emitted, .. } | Self::Quarantined { record, emitted, .. } => {
                (Some(record), emitted.as_slice())
            }
            Self::Duplicate { .. } | Self::Refused(_) => (None, [].as_slice()),
        };
        record.into_iter().chain(emitted)
    }
}

/// How many arrivals became what; they add up to all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Became records.
    pub n_accepted: u64,
    /// Kept in quarantine.
    pub n_quarantined: u64,
    /// Repeated an earlier one of the same delivery.
    pub n_duplicates: u64,
    /// Did not follow the protocol.
    pub n_refused: u64,
}

impl Counts {
    /// Counts outcomes.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut counts = Self::default();
        for outcome in outcomes {
            match outcome {
                Outcome::Accepted { .. } => counts.n_accepted += 1,
                Outcome::Quarantined { .. } => counts.n_quarantined += 1,
                Outcome::Duplicate { .. } => counts.n_duplicates += 1,
                Outcome::Refused(_) => counts.n_refused += 1,
            }
        }
        counts
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.n_accepted + self.n_quarantined + self.n_duplicates + self.n_refused
    }

    /// Adds another delivery's.
    pub fn add(&mut self, other: Counts) {
        self.n_accepted += other.n_accepted;
        self.n_quarantined += other.n_quarantined;
        self.n_duplicates += other.n_duplicates;
        self.n_refused += other.n_refused;
    }
}

/// The room's door: turns arrivals into records.
pub struct Intake {
    vault: Arc<Vault>,
    rules: Rules,
    signals: Signals,
    /// Sets of identifiers whose link is durable, and from when on it is known.
    linked: Mutex<Lately<RecordId, Instant>>,
}

impl Intake {
    /// Seals with `vault`, and takes for identifiers what `rules` admit.
    pub fn new(vault: Arc<Vault>, rules: Rules) -> Self {
        Self { vault, rules, signals: Signals::default(), linked: Mutex::new(Lately::new(N_LINKED)) }
    }

    /// Reads what consent tools say in tracking calls as `signals` map it to purposes.
    pub fn reading(mut self, signals: Signals) -> Self {
        self.signals = signals;
        self
    }

    fn bench<'a>(&'a self, contracts: &'a Contracts, arrival: &'a Arrival) -> Bench<'a> {
        Bench { vault: &self.vault, rules: &self.rules, contracts, arrival, signals: &self.signals }
    }

    /// Turns one arrival into records.
    ///
    /// # Errors
    /// [`Error::Vault`] where nothing can be sealed; nothing was accepted then.
    pub fn accept(
        &self,
        contracts: &Contracts,
        incoming: Incoming,
        arrival: &Arrival,
    ) -> Result<Outcome, Error> {
        let mut outcomes = self.accept_all(contracts, vec![Ok(incoming)], arrival, &mut Seen::new())?;
        outcomes.pop().ok_or(Error::Refused(Refusal::new(crate::error::codes::SHAPE, "nothing arrived")))
    }

    /// Turns a delivery into records, one outcome per arrival, in order. `seen` holds the ids of the delivery so
    /// far: a new one per request, one for the whole of a file.
    ///
    /// The records are not appended yet. Once they are durable, say so with [`Intake::durable`].
    ///
    /// # Errors
    /// [`Error::Vault`] where nothing can be sealed; nothing was accepted then, and `seen` must not be used on.
    pub fn accept_all(
        &self,
        contracts: &Contracts,
        delivery: Vec<Result<Incoming, Refusal>>,
        arrival: &Arrival,
        seen: &mut Seen,
    ) -> Result<Vec<Outcome>, Error> {
        let bench = self.bench(contracts, arrival);
        let mut judged = Vec::with_capacity(delivery.len());
        let mut owners = Vec::with_capacity(delivery.len());
        for incoming in delivery {
            judged.push(incoming.map(|incoming| {
                let judged = bench.judge(incoming);
                let new = seen.is_new(judged.id);
                if new {
                    owners.push(self.owner(&judged));
                }
                (judged, new)
            }));
        }
        say_once(&mut judged);
        // One sync for the keys of the whole delivery.
        self.vault.ensure(&owners)?;
        let outcomes = judged.into_iter().map(|item| match item {
            Err(refusal) => Ok(Outcome::Refused(refusal)),
            Ok((judged, false)) => Ok(Outcome::Duplicate { id: judged.id, occurred_at: judged.occurred_at }),
            Ok((judged, true)) => match judged.contract.clone().filter(|_| judged.passes()) {
                Some(contract) => self.accepted(&contract, judged, arrival),
                None => self.quarantined(judged, arrival),
            },
        });
        outcomes.collect()
    }

    /// The id that an arrival's record has: judged and named as [`Intake::accept_all`] does it, and nothing else. Finds
    /// the row of a file that a record came by.
    pub fn id_of(&self, contracts: &Contracts, incoming: Incoming, arrival: &Arrival) -> RecordId {
        self.bench(contracts, arrival).judge(incoming).id
    }

    /// Tells that these outcomes' records are durable, so that the same identifiers need not be linked again.
    pub fn durable(&self, outcomes: &[Outcome]) {
        let links = outcomes.iter().flat_map(Outcome::records).filter(|r| r.stream.as_str() == LINKS);
        let mut linked = None;
        for record in links {
            let linked = linked.get_or_insert_with(|| self.linked.lock());
            let key = RecordId::external(LINKS, &record.payload.open);
            if linked.get(&key).is_none_or(|since| record.known_at < since) {
                linked.put(key, record.known_at);
            }
        }
    }

    /// Links are told anew when their identifiers come next: after an erasure the graph may have lost them.
    pub fn forget_links(&self) {
        *self.linked.lock() = Lately::new(N_LINKED);
    }

    /// Under whose key the sealed parts lie. What belongs to nobody is sealed under a key of its stream.
    fn owner(&self, judged: &Judged) -> Subject {
        if !judged.subject.is_none() {
            return judged.subject;
        }
        owner_of_nobodys(&self.vault, judged.passes(), judged.stream().as_str())
    }

    fn accepted(&self, contract: &Contract, judged: Judged, arrival: &Arrival) -> Result<Outcome, Error> {
        let owner = self.owner(&judged);
        let split = contract.split(judged.raw);
        let cells = self.seal(owner, contract.version, split.sealed)?;
        let record = Record {
            id: judged.id,
            stream: contract.stream.clone(),
            contract: contract.version,
            subject: judged.subject,
            occurred_at: judged.occurred_at,
            known_at: judged.known_at,
            batch: arrival.batch,
            cause: None,
            source: arrival.source.clone(),
            key_epoch: self.epoch(owner, &cells),
            payload: Payload { open: bytes(&split.open).into(), cells },
        };
        let (entities, people): (Vec<_>, Vec<_>) =
            judged.ids.into_iter().partition(|(kind, _)| self.rules.is_entity(kind));
        let mut emitted = Vec::new();
        emitted.extend(self.link(&record, &people));
        emitted.extend(memberships(&record, &entities, people.first()));
        // What is said with a record about an account is said by the one who is named beside it.
        let speaker = if entities.iter().any(|(_, subject)| *subject == record.subject) {
            people.first().map_or(Subject::NONE, |(_, subject)| *subject)
        } else {
            record.subject
        };
        emitted.extend(self.consents(&record, speaker, judged.consents, |_| true)?);
        Ok(Outcome::Accepted { record: Arc::new(record), emitted, findings: judged.findings })
    }

    fn quarantined(&self, judged: Judged, arrival: &Arrival) -> Result<Outcome, Error> {
        let owner = self.owner(&judged);
        let version = judged.contract.as_ref().map_or(Version::default(), |contract| contract.version);
        let cells = self.seal(owner, version, vec![(String::new(), judged.raw)])?;
        // Findings quote no personal value, so they may lie open beside the sealed document.
        let mut open = json!({ "stream": judged.contract.as_ref().map_or(crate::UNKNOWN, |c| c.stream.as_str()), "findings": judged.findings });
        match (&judged.origin, &mut open) {
            (Origin::Call(source), Value::Object(open)) => {
                open.insert("source".into(), without_people(source).into())
            }
            (Origin::Stream(name), Value::Object(open)) => open.insert("for".into(), name.as_str().into()),
            _ => None,
        };
        if let (Some(key), Value::Object(open)) = (judged.own_key, &mut open) {
            open.insert("key".into(), key.into());
        }
        let record = Record {
            id: judged.id,
            stream: StreamName::new(QUARANTINE),
            contract: version,
            subject: judged.subject,
            occurred_at: judged.occurred_at,
            known_at: judged.known_at,
            batch: arrival.batch,
            cause: None,
            source: arrival.source.clone(),
            key_epoch: self.epoch(owner, &cells),
            payload: Payload { open: bytes(&open).into(), cells },
        };
        // A no counts whatever else is wrong with the record; a yes does not.
        let emitted = self.consents(&record, record.subject, judged.consents, |said| !said.granted)?;
        Ok(Outcome::Quarantined { record: Arc::new(record), emitted, findings: judged.findings })
    }

    fn seal(
        &self,
        owner: Subject,
        version: Version,
        parts: Vec<(String, Value)>,
    ) -> Result<Vec<Cell>, Error> {
        let cells = parts.into_iter().map(|(column, value)| {
            let sealed = self.vault.seal(owner, &column, version.major, &bytes(&value))?;
            Ok(Cell { column: column.into(), sealed: sealed.into() })
        });
        cells.collect()
    }

    fn epoch(&self, owner: Subject, cells: &[Cell]) -> u32 {
        if cells.is_empty() { 0 } else { self.vault.epoch(owner).unwrap_or_default() }
    }

    /// What somebody said about consent, as records of the ledger.
    fn consents(
        &self,
        record: &Record,
        speaker: Subject,
        said: Vec<Said>,
        counts: impl Fn(&Said) -> bool,
    ) -> Result<Vec<Arc<Record>>, Error> {
        if speaker.is_none() {
            return Ok(Vec::new());
        }
        let given = said.into_iter().filter(|said| counts(said));
        given
            .map(|said| {
                // The purpose is in the id, so that it does not depend on what else the delivery held.
                let mut what = format!("consents/{}", said.purpose);
                if !said.channel.is_empty() {
                    what = format!("{what}/{}", said.channel);
                }
                let status = if said.granted { Status::Granted } else { Status::Denied };
                let given = ConsentGiven {
                    notice_version: said.notice_version,
                    source: said.source.to_string(),
                    channel: said.channel,
                    locale: said.locale,
                    ..ConsentGiven::new(said.purpose, status)
                };
                let mut emitted = emission(record, &what, CONSENTS, speaker, given.to_payload());
                // A TC string can single a person out: it is kept as proof, under the person's key.
                if let Some(tc_string) = said.tc_string {
                    self.vault.ensure(&[speaker])?;
                    let version = Version::new(CELL_SCHEMA, 0, 0);
                    let proof = vec![(TC_STRING.to_owned(), Value::from(&*tc_string))];
                    emitted.payload.cells = self.seal(speaker, version, proof)?;
                    emitted.key_epoch = self.epoch(speaker, &emitted.payload.cells);
                }
                Ok(Arc::new(emitted))
            })
            .collect()
    }

    /// A record for the control partition that says which identifiers came together, unless that is known.
    fn link(&self, record: &Record, ids: &[(String, Subject)]) -> Option<Arc<Record>> {
        if ids.len() < 2 {
            return None;
        }
        let payload = Link::new(ids.iter().cloned()).to_payload();
        let key = RecordId::external(LINKS, &payload);
        if self.linked.lock().get(&key).is_some_and(|since| since <= record.known_at) {
            return None;
        }
        Some(Arc::new(emission(record, "links", LINKS, Subject::NONE, payload)))
    }
}

/// Browsers repeat the state of consent with each call: of equal words in one delivery the latest is kept.
fn say_once(judged: &mut [Result<(Judged, bool), Refusal>]) {
    let mut latest: FxHashMap<(Subject, Said), (Instant, usize)> = FxHashMap::default();
    let heard =
        |item: &Result<(Judged, bool), Refusal>| matches!(item, Ok((j, true)) if !j.consents.is_empty());
    if !judged.iter().any(heard) {
        return;
    }
    for (i, item) in judged.iter().enumerate().filter(|(_, item)| heard(item)) {
        let Ok((item, _)) = item else { continue };
        // A yes in quarantine does not count, so it may not stand for one that does.
        for said in item.consents.iter().filter(|said| !said.granted || item.passes()) {
            let entry = latest.entry((item.subject, said.clone())).or_insert((item.occurred_at, i));
            *entry = (*entry).max((item.occurred_at, i));
        }
    }
    for (i, item) in judged.iter_mut().enumerate() {
        let Ok((item, _)) = item else { continue };
        let subject = item.subject;
        item.consents.retain(|said| latest.get(&(subject, said.clone())).is_none_or(|(_, at)| *at == i));
    }
}

/// Under whose key the sealed parts of a record lie.
pub fn owner(vault: &Vault, record: &Record) -> Subject {
    if !record.subject.is_none() {
        return record.subject;
    }
    if record.stream.as_str() != QUARANTINE {
        return owner_of_nobodys(vault, true, record.stream.as_str());
    }
    let open: Option<Value> = serde_json::from_slice(&record.payload.open).ok();
    let stream =
        open.as_ref().and_then(|o| o.get("stream")).and_then(Value::as_str).unwrap_or(crate::UNKNOWN);
    owner_of_nobodys(vault, false, stream)
}

fn owner_of_nobodys(vault: &Vault, passes: bool, stream: &str) -> Subject {
    vault.pseudonym(if passes { "stream" } else { "quarantine" }, stream)
}

/// The document of a record as it came, as far as its keys are still there. Parts whose key is destroyed are
/// absent; of what lies in quarantine nothing is left then (null).
///
/// # Errors
/// [`Error::Vault`] where a cell was tampered with, [`Error::Damaged`] where a payload is no JSON.
pub fn raw(vault: &Vault, record: &Record) -> Result<Value, Error> {
    let damaged = |what: &'static str| Error::Damaged { id: record.id, what };
    // What lies open of a record in quarantine is about it, not of it.
    let open = if record.stream.as_str() == QUARANTINE { Value::Null } else { open_part(record)? };
    if record.payload.cells.is_empty() {
        return Ok(open);
    }
    let owner = owner(vault, record);
    let mut parts = Vec::with_capacity(record.payload.cells.len());
    for cell in &record.payload.cells {
        if let Some(plain) = vault.unseal(owner, &cell.column, record.contract.major, &cell.sealed)? {
            let value = serde_json::from_slice(&plain).map_err(|_| damaged("a sealed part is no JSON"))?;
            parts.push((cell.column.to_string(), value));
        }
    }
    Ok(contract::join(open, parts))
}

/// What of a record's document lies open: all that folds not keyed by a subject may read (LAW 2).
///
/// # Errors
/// [`Error::Damaged`] where the payload is no JSON.
pub fn open_part(record: &Record) -> Result<Value, Error> {
    serde_json::from_slice(&record.payload.open)
        .map_err(|_| Error::Damaged { id: record.id, what: "the open part is no JSON" })
}

/// Takes a record out of quarantine again, to be judged anew. `None` where its key is destroyed.
///
/// # Errors
/// As [`raw`].
pub fn reopen(vault: &Vault, record: &Record) -> Result<Option<Incoming>, Error> {
    let open = open_part(record)?;
    let Some(cell) = record.payload.cells.first() else { return Ok(None) };
    let owner = owner(vault, record);
    let Some(plain) = vault.unseal(owner, &cell.column, record.contract.major, &cell.sealed)? else {
        return Ok(None);
    };
    let document: Value = serde_json::from_slice(&plain)
        .map_err(|_| Error::Damaged { id: record.id, what: "the sealed document is no JSON" })?;
    let text = |name: &str| open.get(name).and_then(Value::as_str);
    let mut incoming = match (text("source"), text("for")) {
        (Some(_), _) => crate::segment::again(document),
        (None, stream) => Incoming::for_stream(StreamName::new(stream.unwrap_or(crate::UNKNOWN)), document),
    };
    if let Some(key) = text("key") {
        incoming.key = Some(key.as_bytes().to_vec());
        incoming.names_itself = true;
    }
    // It happened when it happened, whatever the clock says now.
    if incoming.occurred_at.is_ok() {
        incoming.occurred_at = Ok(Some(record.occurred_at));
    }
    Ok(Some(incoming))
}

/// Whoever is named in a record together with a household or an account belongs to it.
fn memberships(
    record: &Record,
    entities: &[(String, Subject)],
    person: Option<&(String, Subject)>,
) -> Vec<Arc<Record>> {
    let Some((kind, subject)) = person else { return Vec::new() };
    let linked = |kind: &String, subject: Subject| LinkedId { kind: kind.clone(), subject };
    entities
        .iter()
        .map(|(entity_kind, entity)| {
            let said = Membership {
                entity: linked(entity_kind, *entity),
                member: linked(kind, *subject),
                belongs: true,
                role: None,
            };
            // The entity's type is in the id, so that it does not depend on what else the record names.
            let what = format!("memberships/{entity_kind}");
            Arc::new(emission(record, &what, MEMBERSHIPS, Subject::NONE, said.to_payload()))
        })
        .collect()
}

fn emission(cause: &Record, what: &str, stream: &str, subject: Subject, payload: Vec<u8>) -> Record {
    Record {
        id: RecordId::emission(cause.id, what, 0),
        stream: StreamName::new(stream),
        contract: Version::new(1, 0, 0),
        subject,
        occurred_at: cause.occurred_at,
        known_at: cause.known_at,
        batch: cause.batch,
        cause: Some(cause.id),
        source: cause.source.clone(),
        key_epoch: 0,
        payload: Payload { open: payload.into(), cells: Vec::new() },
    }
}

/// A JSON value always has bytes.
fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
