//! Putting something right (GDPR article 16): a correction is a record; whatever was derived from what is wrong is derived anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use contract::Contract;
use event::{Cell, Partition, Position, Record, RecordId, Subject};
use process::Duplicates;
use serde_json::Value;

use super::corrections::{CORRECTIONS, Corrected, VALUES, VALUES_SCHEMA, Values, set};
use super::refuse;
use crate::Error;
use crate::house::{House, WAIT, options, system_record};

/// Fields that one correction may put right.
const MOST_FIELDS: usize = 100;

/// What is wrong, and what is right.
#[derive(Clone, Debug)]
pub struct Correction {
    /// The stream of the record that is wrong.
    pub stream: String,
    /// The record; none: the person's latest one of the stream, where the stream says what people are like.
    pub record: Option<RecordId>,
    /// The right values by field; `null`: there is none.
    pub values: std::collections::BTreeMap<String, Value>,
}

/// What became of corrections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Restated {
    /// Fields that were put right.
    pub n_fields: u64,
    /// Records whose traits and features were derived anew.
    pub n_records: u64,
}

impl House {
    /// Puts fields of records of a person right. From now on the records are read so everywhere: profile, features,
    /// segments, datasets, exports; decisions made before keep what they were made on. The journal keeps what came. Nothing is
    /// changed where one of the corrections is wrong itself.
    ///
    /// * `reference`: the request or a ticket's number
    ///
    /// # Errors
    /// [`Error::Register`] for a record that is none of the person's, a field that the contract does not have or that may not
    /// be put right so (keys, identifiers, times), and a value that the contract refuses; [`Error::UnknownStream`].
    pub(super) fn correct(
        &self,
        subject: Subject,
        corrections: &[Correction],
        by: &str,
        reference: &str,
    ) -> Result<Restated, Error> {
        let members: BTreeSet<Subject> = self.members(subject)?.subjects.into_iter().collect();
        let mut judged_ones = Vec::with_capacity(corrections.len());
        for correction in corrections {
            let contract = self.contract_of(&correction.stream)?;
            let (record, fields) = self.wrong(&contract, correction, &members)?;
            judged_ones.push((record, judged(&contract, &correction.values, fields)?));
        }
        let mut done = Restated::default();
        let mut touched = BTreeSet::new();
        for (record, values) in judged_ones {
            let names: Vec<String> = values.keys().cloned().collect();
            let detail = serde_json::json!({
                "record": record.id, "stream": record.stream, "fields": names, "reference": reference,
            });
            let act = audit::Act {
                subject: Some(record.subject),
                detail,
                ..audit::Act::new("subject.correct", by)
            };
            self.audit(&act)?;
            self.note_correction(&record, &names, &values, by, reference)?;
            self.composition().corrections.add((record.subject, record.id), values);
            done.n_fields += names.len() as u64;
            touched.insert(record.subject);
        }
        for subject in touched {
            done.n_records += self.restate(subject)?;
        }
        Ok(done)
    }

    fn contract_of(&self, stream: &str) -> Result<Arc<Contract>, Error> {
        let contracts = &self.project().contracts;
        contracts.newest_named(stream).cloned().ok_or_else(|| Error::UnknownStream {
            name: stream.chars().take(64).collect(),
            known: contracts.iter().map(|contract| contract.stream.to_string()).collect(),
        })
    }

    /// The record that is to be put right, and what it says now.
    fn wrong(
        &self,
        contract: &Contract,
        correction: &Correction,
        members: &BTreeSet<Subject>,
    ) -> Result<(Record, Value), Error> {
        if correction.record.is_none() && !contract.traits {
            return refuse(format!(
                "stream `{}` says what happened: name the record that is wrong (an access request lists them)",
                correction.stream
            ));
        }
        let mut found: Option<Record> = None;
        self.each_record(&BTreeSet::from([correction.stream.clone()]), |record| {
            let is_it = members.contains(&record.subject)
                && match correction.record {
                    Some(wanted) => record.id == wanted,
                    None => found
                        .as_ref()
                        .is_none_or(|known| (known.occurred_at, known.id) < (record.occurred_at, record.id)),
                };
            if is_it {
                found = Some(record.clone());
            }
            Ok(())
        })?;
        let bound = found.as_ref().map(|record| self.composition().bind(record)).transpose()?.flatten();
        match (found, bound) {
            (Some(record), Some(fields)) => Ok((record, fields)),
            _ => refuse(format!(
                "this person has no record {}in stream `{}`",
                correction.record.map(|id| format!("`{id}` ")).unwrap_or_default(),
                correction.stream
            )),
        }
    }

    fn note_correction(
        &self,
        record: &Record,
        fields: &[String],
        values: &Values,
        by: &str,
        reference: &str,
    ) -> Result<(), Error> {
        let broken =
            |e: serde_json::Error| Error::Internal { reason: format!("a correction has no JSON: {e}") };
        let note = Corrected {
            record: record.id,
            stream: record.stream.to_string(),
            fields: fields.to_vec(),
            by: by.chars().take(200).collect(),
            reference: reference.chars().take(200).collect(),
        };
        let payload = serde_json::to_vec(&note).map_err(broken)?;
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(values).map_err(broken)?);
        self.vault().ensure(&[record.subject])?;
        let sealed = self.vault().seal(record.subject, VALUES, VALUES_SCHEMA, &plain)?;
        let flight = self.clock().arrive();
        let key = [record.id.as_bytes().as_slice(), &flight.known_at().micros().to_be_bytes()].concat();
        let id = RecordId::external(CORRECTIONS, &key);
        let mut correction = system_record(CORRECTIONS, record.subject, id, None, &flight, payload);
        correction.key_epoch = self.vault().epoch(record.subject).unwrap_or(0);
        correction.payload.cells.push(Cell { column: VALUES.into(), sealed: sealed.into() });
        self.engine().append_folded(vec![correction], WAIT)?;
        Ok(())
    }

    /// Derives traits and features of a subject anew: reads its records from the journal beside the loop, and puts them in
    /// the place of the old between two records.
    fn restate(&self, subject: Subject) -> Result<u64, Error> {
        let partition = self.partition_of(subject);
        let mut taken = Taken::new(self, partition, subject)?;
        let mut failed = None;
        self.engine().journal().scan(&[], |of, position, record: Arc<Record>| {
            if of == partition
                && failed.is_none()
                && let Err(error) = taken.take(self, position, record)
            {
                failed = Some(error);
            }
            Ok(())
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let mut tail = self.engine().journal().tail(partition, taken.next);
        let missing = || Error::Internal { reason: format!("there is no partition {partition}") };
        let work = |rooms: &mut crate::rooms::Rooms, folded: Position| -> Result<u64, Error> {
            // What came while the journal was read.
            while taken.next < folded {
                let n = usize::try_from(folded.0 - taken.next.0).unwrap_or(usize::MAX);
                for (position, record) in tail.next(n, None)? {
                    taken.take(self, position, record)?;
                }
            }
            let upto = taken.records.partition_point(|(position, _)| *position < folded);
            Ok(rooms.derive_anew(subject, taken.records.get(..upto).unwrap_or_default())?)
        };
        let n = self.engine().with_shard(partition, work).ok_or_else(missing)??;
        self.forget_in_memory();
        Ok(n)
    }

    /// Completes what was cut off: called when the house is opened.
    pub(crate) fn complete_corrections(&self) -> Result<(), Error> {
        let mut open = Vec::new();
        self.in_each_partition(|rooms| {
            open.extend(rooms.corrections.unapplied()?);
            Ok(())
        })?;
        for subject in open {
            let known = self.in_partition(subject, |rooms| rooms.corrections.values(subject))?;
            known.into_iter().for_each(|(record, values)| {
                self.composition().corrections.add((subject, record), values);
            });
            let n_records = self.restate(subject)?;
            tracing::info!(n_records, "a correction that was cut off is completed");
        }
        Ok(())
    }
}

/// A subject's records that the folds took, in the order of its partition.
struct Taken {
    subject: Subject,
    duplicates: Duplicates,
    next: Position,
    records: Vec<(Position, Arc<Record>)>,
}

impl Taken {
    fn new(house: &House, partition: Partition, subject: Subject) -> Result<Self, store::Error> {
        let duplicates = Duplicates::new(partition, &options(house.settings()))?;
        Ok(Self { subject, duplicates, next: Position(0), records: Vec::new() })
    }

    fn take(&mut self, house: &House, position: Position, record: Arc<Record>) -> Result<(), store::Error> {
        if position < self.next {
            return Ok(());
        }
        self.next = Position(position.0 + 1);
        let is_undone = record.batch.is_some_and(|batch| house.composition().undone.contains(&batch));
        let is_new = self.duplicates.is_new(&record, position)?;
        if is_new
            && !is_undone
            && record.subject == self.subject
            && !record.stream.as_str().starts_with("mr.")
        {
            self.records.push((position, record));
        }
        Ok(())
    }
}

/// The values, where the contract allows them.
fn judged(
    contract: &Contract,
    values: &std::collections::BTreeMap<String, Value>,
    mut fields: Value,
) -> Result<Values, Error> {
    if values.is_empty() || values.len() > MOST_FIELDS {
        return refuse(format!("{} fields: between 1 and {MOST_FIELDS} are expected", values.len()));
    }
    let before: BTreeSet<String> = contract.check(&fields).into_iter().map(|one| one.message).collect();
    for (path, value) in values {
        let Some(field) = contract.field(path) else {
            let known = contract.declared_paths();
            return refuse(format!(
                "stream `{}` has no field `{}`; it has {}",
                contract.stream,
                path.chars().take(64).collect::<String>(),
                known.join(", ")
            ));
        };
        let is_named = |one: &contract::Path| one.as_str() == path;
        let is_key = field.identifier.is_some()
            || field.primary_key.is_some()
            || contract.dedup_key.iter().any(is_named)
            || contract.event_time.as_ref().is_some_and(is_named)
            || contract.known_at.as_ref().is_some_and(is_named);
        if is_key {
            return refuse(format!(
                "field `{path}` says who it is or when it was: `people split` and `people merge` put identities right, \
                 and a record of another time is a new record"
            ));
        }
        if let Value::Object(fields) = &mut fields {
            set(&contract.fields, fields, path, value);
        }
    }
    let wrong =
        contract.check(&fields).into_iter().find(|one| one.is_error() && !before.contains(&one.message));
    match wrong {
        Some(finding) => {
            refuse(format!("the contract refuses the new value: {} {}", finding.code, finding.message))
        }
        None => Ok(values.clone()),
    }
}
