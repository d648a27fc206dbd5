//! What was put right (GDPR article 16): the state keeps it, and a record is read with it everywhere, as if it had come so.
//!
//! The journal keeps the record as it came and the correction beside it, sealed under the same key; an erasure takes both.
//! Decisions made before keep what they looked at: they were made on it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use contract::{Contract, Field, Kind};
use event::{Record, RecordId, Subject};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{Emissions, Error, Fold, Scope, Stored, Table};

use crate::rooms::Rooms;

/// The stream of corrections, keyed by whom the corrected record is about.
pub(crate) const CORRECTIONS: &str = "mr.corrections";
/// The sealed cell with the right values, by field.
pub(crate) const VALUES: &str = "/values";
/// The schema version that the cell is bound to.
pub(crate) const VALUES_SCHEMA: u32 = 1;

/// The right values of one record's fields; `null`: there is none.
pub(crate) type Values = BTreeMap<String, Value>;

/// The payload of a record in [`CORRECTIONS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Corrected {
    /// The record.
    pub record: RecordId,
    /// Its stream.
    pub stream: String,
    /// Which fields.
    pub fields: Vec<String>,
    /// Who put it right.
    pub by: String,
    /// The request or ticket.
    pub reference: String,
}

/// What the state keeps of one record's corrections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// [`Values`] as JSON.
    json: String,
    /// True once everything that was derived from the record is derived from what is right.
    pub applied: bool,
}

/// The corrections of one partition.
pub struct Tables {
    rows: Table<(Subject, RecordId), Row>,
}

impl Tables {
    /// Opens the table in `scope`, and shows what is in it to whoever reads records.
    pub(crate) fn open(scope: &Scope, known: &Corrections) -> Self {
        let rows: Table<(Subject, RecordId), Row> = Table::sealed(scope, "corrections.1");
        let read = rows.scan(|key, row| known.learn(*key, row));
        if let Err(error) = read {
            known.fail(&error);
        }
        Self { rows }
    }

    /// The table, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.rows]
    }

    /// Forgets a subject's corrections (LAW 4). Returns how many rows were removed.
    pub(crate) fn forget(&mut self, subject: Subject, known: &Corrections) -> Result<u64, Error> {
        let records = self.of(subject)?;
        for record in &records {
            self.rows.remove(&(subject, *record));
            known.forget((subject, *record));
        }
        Ok(records.len() as u64)
    }

    /// The records of a subject that were put right.
    pub(crate) fn of(&self, subject: Subject) -> Result<Vec<RecordId>, Error> {
        let mut records = Vec::new();
        self.rows.scan_from(subject.as_bytes(), &mut |(_, record), _| records.push(*record))?;
        Ok(records)
    }

    /// The right values of a subject's records.
    pub(crate) fn values(&self, subject: Subject) -> Result<Vec<(RecordId, Values)>, Error> {
        let mut all = Vec::new();
        self.rows.scan_from(subject.as_bytes(), &mut |(_, record), row| {
            all.extend(serde_json::from_str(&row.json).ok().map(|values| (*record, values)));
        })?;
        Ok(all)
    }

    /// Subjects with corrections that the state does not follow yet: the house was stopped in between.
    pub(crate) fn unapplied(&self) -> Result<Vec<Subject>, Error> {
        let mut subjects = Vec::new();
        self.rows.scan(|(subject, _), row| {
            if !row.applied {
                subjects.push(*subject);
            }
        })?;
        subjects.sort_unstable();
        subjects.dedup();
        Ok(subjects)
    }
}

/// A record: two senders may give theirs the same id, and one of them is another person.
type Whose = (Subject, RecordId);

/// The corrections at hand, for whoever reads records.
#[derive(Default)]
pub struct Corrections {
    is_some: AtomicBool,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    values: HashMap<Whose, Values>,
    broken: Option<String>,
}

impl Corrections {
    fn learn(&self, record: Whose, row: &Row) {
        if let Ok(values) = serde_json::from_str::<Values>(&row.json) {
            self.add(record, values);
        }
    }

    fn fail(&self, error: &Error) {
        self.known.write().broken = Some(error.to_string());
        self.is_some.store(true, Ordering::Release);
    }

    /// From now on the record is read with these values.
    pub(crate) fn add(&self, record: Whose, values: Values) {
        self.known.write().values.entry(record).or_default().extend(values);
        self.is_some.store(true, Ordering::Release);
    }

    fn forget(&self, record: Whose) {
        self.known.write().values.remove(&record);
    }

    /// True where the record is read otherwise than it came.
    pub(crate) fn has(&self, record: &Record) -> Result<bool, Error> {
        if !self.is_some.load(Ordering::Acquire) {
            return Ok(false);
        }
        let known = self.known.read();
        known.check()?;
        Ok(known.values.contains_key(&(record.subject, record.id)))
    }

    fn follows(&self, record: Whose, values: &Values) -> bool {
        let known = self.known.read();
        let held = known.values.get(&record);
        held.is_some_and(|held| values.keys().all(|field| held.contains_key(field)))
    }

    /// Puts a record's bound fields right.
    pub(crate) fn put_right(
        &self,
        record: &Record,
        contract: &Contract,
        fields: &mut Value,
    ) -> Result<(), Error> {
        if !self.is_some.load(Ordering::Acquire) {
            return Ok(());
        }
        let known = self.known.read();
        known.check()?;
        let (Some(values), Value::Object(fields)) = (known.values.get(&(record.subject, record.id)), fields)
        else {
            return Ok(());
        };
        for (path, value) in values {
            set(&contract.fields, fields, path, value);
        }
        Ok(())
    }
}

impl Known {
    fn check(&self) -> Result<(), Error> {
        // Not known what was put right: nothing may be read, or what is wrong would be used again.
        match &self.broken {
            None => Ok(()),
            Some(reason) => Err(Error::Corrupt { table: "corrections.1".to_owned(), reason: reason.clone() }),
        }
    }
}

/// Sets the field at `path`, where the contract has it.
pub(crate) fn set(fields: &[Field], into: &mut Map<String, Value>, path: &str, value: &Value) {
    if let Some(field) = fields.iter().find(|field| field.name == path) {
        match value {
            Value::Null => drop(into.remove(&field.name)),
            value => drop(into.insert(field.name.clone(), value.clone())),
        }
        return;
    }
    let Some((head, tail)) = path.split_once('.') else { return };
    let Some(Field { name, kind: Kind::Object(inner), .. }) = fields.iter().find(|field| field.name == head)
    else {
        return;
    };
    let object = into.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(object) = object {
        set(inner, object, tail, value);
    }
}

impl Rooms {
    /// Folds a record of [`CORRECTIONS`].
    pub(crate) fn fold_correction(&mut self, record: &Record) -> Result<(), Error> {
        let Ok(note) = serde_json::from_slice::<Corrected>(&record.payload.open) else { return Ok(()) };
        let Some(cell) = record.payload.cells.iter().find(|cell| cell.column.as_ref() == VALUES) else {
            return Ok(());
        };
        let composition = self.composition().clone();
        let opened = composition.vault.unseal(record.subject, VALUES, VALUES_SCHEMA, &cell.sealed);
        let opened = opened
            .map_err(|error| Error::Corrupt { table: CORRECTIONS.to_owned(), reason: error.to_string() })?;
        // Its key is destroyed: the record it is about opens no more either.
        let Some(plain) = opened else { return Ok(()) };
        let Ok(values) = serde_json::from_slice::<Values>(&plain) else { return Ok(()) };
        // A replay knows all corrections from its start; the running house puts right what it has, and says so then.
        let key = (record.subject, note.record);
        let applied = composition.corrections.follows(key, &values);
        let before = self.corrections.rows.get(&key)?.cloned();
        let mut all: Values =
            before.as_ref().and_then(|row| serde_json::from_str(&row.json).ok()).unwrap_or_default();
        all.extend(values);
        let applied = applied && before.is_none_or(|row| row.applied);
        self.corrections.rows.put(key, Row { json: Value::from_iter(all).to_string(), applied });
        Ok(())
    }

    /// Derives a subject's traits and features anew from its records, in the order of the journal.
    ///
    /// * `records`: all of the subject's that the folds took, each with its position
    pub(crate) fn derive_anew(
        &mut self,
        subject: Subject,
        records: &[(event::Position, std::sync::Arc<Record>)],
    ) -> Result<u64, Error> {
        let composition = self.composition().clone();
        self.traits.forget(subject)?;
        self.features.forget(subject, &composition.views)?;
        let mut out = Emissions::default();
        let mut n = 0;
        for (position, record) in records {
            if self.erasures.hides(record)? {
                continue;
            }
            let Some(fields) = composition.bind(record)? else { continue };
            let bound = contract::Bound { record, fields: &fields };
            composition.trait_fold().fold(&mut self.traits, &bound, &mut out)?;
            composition.feature_fold().fold(&mut self.features, &bound, &mut out)?;
            for view in composition.views.of_stream(&record.stream) {
                // Of a view that is being filled from the journal, what it has had so far.
                if self.features.filled_to(view)?.is_some_and(|to| position.0 < to) {
                    self.features.fill(view, &bound)?;
                }
            }
            n += 1;
        }
        for record in self.corrections.of(subject)? {
            let key = (subject, record);
            if let Some(row) = self.corrections.rows.get(&key)?.cloned()
                && !row.applied
            {
                self.corrections.rows.put(key, Row { applied: true, ..row });
            }
        }
        Ok(n)
    }
}
