//! Quality as it is folded, and quarantine from browsing to replay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event::{BatchId, Instant, Partition, Position, Record, RecordId, StreamName, Subject};
use intake::{Arrival, Outcome, Seen};
use serde::Serialize;
use serde_json::Value;
use watch::{By, Options, Report};

use crate::clock::Flight;
use crate::house::{House, WAIT, system_record};
use crate::streams::{QUARANTINE, Refused};
use crate::{Error, Finding};

/// Refused records judged and appended together.
const CHUNK: usize = 2_000;
/// Journal records read at once.
const BATCH: usize = 4_096;
/// The most records of one sample.
const MAX_SAMPLE: usize = 1_000;

/// What of the quality to report.
#[derive(Clone, Debug)]
pub struct QualityAsked {
    /// One stream; all where there is none.
    pub stream: Option<String>,
    /// How wide a bucket is.
    pub by: By,
    /// From this instant on, by event time.
    pub from: Option<Instant>,
    /// Up to this instant, its day included.
    pub to: Option<Instant>,
}

impl Default for QualityAsked {
    fn default() -> Self {
        Self { stream: None, by: By::Day, from: None, to: None }
    }
}

/// Which refused records are meant.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Only of this stream.
    pub stream: Option<String>,
    /// Only with this code among their findings.
    pub code: Option<String>,
    /// Only with a finding about this field.
    pub field: Option<String>,
    /// Only of this import.
    pub batch: Option<BatchId>,
    /// Also those that were mended since.
    pub mended: bool,
}

impl Which {
    fn takes(&self, one: &Refused) -> bool {
        let same =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        (self.mended || !one.mended)
            && same(&self.stream, &one.stream)
            && self.batch.is_none_or(|batch| one.batch == Some(batch))
            && self.code.as_deref().is_none_or(|code| one.reasons.iter().any(|reason| reason.code == code))
            && self
                .field
                .as_deref()
                .is_none_or(|field| one.reasons.iter().any(|reason| reason.field == field))
    }
}

/// Refused records of one stream. `refused` is always `waiting` + `mended`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Refused since the beginning.
    pub refused: u64,
    /// Refused still.
    pub waiting: u64,
    /// Replayed and accepted since.
    pub mended: u64,
    /// Those waiting, by code and field of their first finding.
    pub by_reason: BTreeMap<String, u64>,
}

/// A refused record with what of it lies open under today's contract.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Its id.
    pub record: RecordId,
    /// Why it is there, and whether it still is.
    pub refused: Refused,
    /// The declared, unsealed fields as they came; null where the person was erased or no contract speaks.
    pub open: Option<Value>,
    /// What is not shown: declared personal fields, and whatever no contract declares.
    pub hidden: Vec<String>,
}

/// What a replay of quarantine did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Judged anew: the sum of the next four.
    pub n_judged: u64,
    /// Accepted now.
    pub n_accepted: u64,
    /// The same as one that was accepted in this replay, and done with it.
    pub n_repeated: u64,
    /// Refused still.
    pub n_refused: u64,
    /// Whose key is destroyed: nothing is left to judge.
    pub n_erased: u64,
    /// Those refused still, by code and field of their first finding, with one example each.
    pub reasons: BTreeMap<String, (u64, String)>,
}

impl House {
    /// How good the data is, and what changed first.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::Store`]
    pub fn quality(&self, asked: &QualityAsked) -> Result<Report, Error> {
        let contracts = &self.composition().contracts;
        if let Some(stream) = &asked.stream
            && stream != intake::UNKNOWN
            && contracts.newest_named(stream).is_none()
        {
            return Err(Error::UnknownStream {
                name: stream.chars().take(64).collect(),
                known: contracts.iter().map(|contract| contract.stream.to_string()).collect(),
            });
        }
        let mut seen = watch::Gathered::default();
        self.in_each_partition(|rooms| {
            let stream = asked.stream.as_deref();
            rooms.quality.add_cells(stream, &mut seen.cells)?;
            rooms.quality.add_covers(stream, &mut seen.covers)?;
            rooms.quality.add_keys(&mut seen.keys)
        })?;
        let day = |at: Option<Instant>, else_: i32| at.map_or(else_, watch::day_of);
        let options = Options {
            by: asked.by,
            days: (day(asked.from, i32::MIN), day(asked.to, i32::MAX)),
            now: self.now(),
        };
        Ok(watch::report(self.composition().quality.plans(), &seen, &options))
    }

    /// How many records wait in quarantine and how many were mended, by stream.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn quarantine_totals(&self) -> Result<BTreeMap<String, Waiting>, Error> {
        let mut totals: BTreeMap<String, Waiting> = BTreeMap::new();
        self.in_each_partition(|rooms| {
            rooms.streams.scan_refused(|_, one| {
                let total = totals.entry(one.stream.clone()).or_default();
                total.refused += 1;
                if one.mended {
                    total.mended += 1;
                    return;
                }
                total.waiting += 1;
                let first = one.reasons.first();
                let reason =
                    first.map(|reason| format!("{} {}", reason.code, reason.field)).unwrap_or_default();
                *total.by_reason.entry(reason.trim_end().to_owned()).or_default() += 1;
            })
        })?;
        Ok(totals)
    }

    /// Some of the refused records that are meant: the same ones each time, spread evenly by their ids.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn sample_quarantine(&self, which: &Which, n: usize) -> Result<Vec<(RecordId, Refused)>, Error> {
        let n = n.min(MAX_SAMPLE);
        let mut kept: BTreeMap<RecordId, Refused> = BTreeMap::new();
        self.in_each_partition(|rooms| {
            rooms.streams.scan_refused(|id, one| {
                let is_late = kept.len() >= n && kept.last_key_value().is_some_and(|(last, _)| id > *last);
                if which.takes(one) && !is_late {
                    kept.insert(id, one.clone());
                    if kept.len() > n {
                        kept.pop_last();
                    }
                }
            })
        })?;
        Ok(kept.into_iter().collect())
    }

    /// Refused records that are meant, the latest first: at most `limit`, from behind `after`.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn browse_quarantine(
        &self,
        which: &Which,
        after: Option<RecordId>,
        limit: usize,
    ) -> Result<Vec<(RecordId, Refused)>, Error> {
        let mut found = Vec::new();
        self.in_each_partition(|rooms| {
            rooms.streams.scan_refused(|id, one| {
                if which.takes(one) {
                    found.push((id, one.clone()));
                }
            })
        })?;
        found.sort_by_key(|(id, one): &(RecordId, Refused)| std::cmp::Reverse((one.at, *id)));
        let skip = match after {
            Some(after) => found.iter().position(|(id, _)| *id == after).map_or(found.len(), |at| at + 1),
            None => 0,
        };
        Ok(found.into_iter().skip(skip).take(limit).collect())
    }

    /// Refused records with what may be shown of them: the fields that today's contract lets lie open.
    ///
    /// # Errors
    /// [`Error::NotFound`] where one of them is not in quarantine; whatever the journal says.
    pub fn show_refused(&self, ids: &[RecordId]) -> Result<Vec<Shown>, Error> {
        let mut wanted: BTreeMap<RecordId, Refused> = BTreeMap::new();
        self.in_each_partition(|rooms| {
            for id in ids {
                if let Some(one) = rooms.streams.refused(*id)? {
                    wanted.insert(*id, one);
                }
            }
            Ok(())
        })?;
        if let Some(missing) = ids.iter().find(|id| !wanted.contains_key(id)) {
            return Err(Error::NotFound { what: "record in quarantine", id: missing.to_string() });
        }
        let mut shown = BTreeMap::new();
        self.each_refused(&wanted, |records| {
            for record in records {
                let Some(refused) = wanted.get(&record.id) else { continue };
                let (open, hidden) = self.open_of(&record, refused)?;
                shown.insert(record.id, Shown { record: record.id, refused: refused.clone(), open, hidden });
            }
            Ok(())
        })?;
        Ok(ids.iter().filter_map(|id| shown.get(id).cloned()).collect())
    }

    /// LAW 3: without a grant nothing personal is shown, and what no contract declares counts as personal.
    fn open_of(&self, record: &Record, refused: &Refused) -> Result<(Option<Value>, Vec<String>), Error> {
        let Some(incoming) = intake::reopen(self.vault(), record)? else { return Ok((None, Vec::new())) };
        let Some(contract) = self.composition().contracts.newest_named(&refused.stream) else {
            return Ok((None, vec!["everything: no contract says what is personal".to_owned()]));
        };
        let split = contract.split(incoming.raw);
        let hidden = split.sealed.into_iter().map(|(pointer, value)| {
            if !pointer.is_empty() {
                return pointer;
            }
            let names = value.as_object().map(|members| members.len()).unwrap_or(1);
            format!("{names} undeclared")
        });
        Ok((Some(split.open), hidden.collect()))
    }

    /// Judges the refused records that are meant anew, by the contracts as they are now. What passes is appended and its
    /// entry marked as mended; with `dry`, nothing is written and only counted. One pass over the journal, in bounded
    /// memory beside the ids.
    ///
    /// # Errors
    /// Whatever the journal or the vault says; what was appended until then stays mended, and the replay can be run again.
    pub fn replay_quarantine(&self, which: &Which, dry: bool) -> Result<Replayed, Error> {
        let which = Which { mended: false, ..which.clone() };
        let mut wanted: BTreeMap<RecordId, Refused> = BTreeMap::new();
        self.in_each_partition(|rooms| {
            rooms.streams.scan_refused(|id, one| {
                if which.takes(one) {
                    wanted.insert(id, one.clone());
                }
            })
        })?;
        let mut done = Replayed::default();
        let mut seen = Seen::new();
        self.each_refused(&wanted, |records| {
            for chunk in records.chunks(CHUNK) {
                self.judge_anew(chunk, &mut seen, dry, &mut done)?;
            }
            Ok(())
        })?;
        Ok(done)
    }

    fn judge_anew(
        &self,
        chunk: &[Arc<Record>],
        seen: &mut Seen,
        dry: bool,
        done: &mut Replayed,
    ) -> Result<(), Error> {
        let flight = self.clock().arrive();
        let mut appended = Vec::new();
        for record in chunk {
            done.n_judged += 1;
            let Some(incoming) = intake::reopen(self.vault(), record)? else {
                done.n_erased += 1;
                continue;
            };
            let arrival = arrival_of(record);
            let contracts = &self.composition().contracts;
            let mut outcomes = self.intake.accept_all(contracts, vec![Ok(incoming)], &arrival, seen)?;
            match outcomes.pop() {
                Some(outcome @ Outcome::Accepted { .. }) => {
                    done.n_accepted += 1;
                    appended.extend(known_now(&outcome, &flight));
                    appended.push(Arc::new(mended_note(record, &flight)));
                }
                Some(Outcome::Duplicate { .. }) => {
                    done.n_repeated += 1;
                    appended.push(Arc::new(mended_note(record, &flight)));
                }
                Some(Outcome::Quarantined { findings, .. }) => {
                    done.n_refused += 1;
                    if let Some(first) = findings.iter().find(|finding| finding.is_error()) {
                        let reason = format!("{} {}", first.code, first.field.as_deref().unwrap_or_default());
                        let example = || (0, first.message.clone());
                        done.reasons.entry(reason.trim_end().to_owned()).or_insert_with(example).0 += 1;
                    }
                }
                Some(Outcome::Refused(_)) | None => done.n_refused += 1,
            }
        }
        if !dry && !appended.is_empty() {
            self.engine().append_folded(appended, WAIT)?;
        }
        drop(flight);
        Ok(())
    }

    /// Goes through the journal once and hands on those of `wanted`, some thousands at a time.
    fn each_refused(
        &self,
        wanted: &BTreeMap<RecordId, Refused>,
        mut work: impl FnMut(Vec<Arc<Record>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut by_partition: BTreeMap<Partition, BTreeSet<RecordId>> = BTreeMap::new();
        for (id, one) in wanted {
            by_partition.entry(self.partition_of(one.subject)).or_default().insert(*id);
        }
        for (partition, mut ids) in by_partition {
            let journal = self.engine().journal();
            let end = journal.end(partition);
            let mut tail = journal.tail(partition, Position(0));
            while !ids.is_empty() {
                let batch = tail.next(BATCH, None)?;
                let Some((last, _)) = batch.last() else { break };
                let is_over = last.0 + 1 >= end.0;
                let found =
                    batch.into_iter().map(|(_, record)| record).filter(|record| ids.remove(&record.id));
                work(found.collect())?;
                if is_over {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// As whose arrival a refused record is judged anew: its own.
pub(crate) fn arrival_of(record: &Record) -> Arrival {
    Arrival { received_at: record.known_at, batch: record.batch, source: record.source.clone() }
}

/// The records of an outcome, known from now on: what was decided in between did not know them.
pub(crate) fn known_now(outcome: &Outcome, flight: &Flight) -> Vec<Arc<Record>> {
    let now = |accepted: &Arc<Record>| {
        let mut record = (**accepted).clone();
        record.known_at = flight.known_at();
        Arc::new(record)
    };
    outcome.records().map(now).collect()
}

/// A note that a refused record was replayed and accepted.
pub(crate) fn mended_note(refused: &Record, flight: &Flight) -> Record {
    let id = RecordId::external(QUARANTINE, format!("mended {}", refused.id).as_bytes());
    let payload = crate::streams::mended_payload(refused);
    let mut note = system_record(QUARANTINE, refused.subject, id, None, flight, payload);
    note.batch = refused.batch;
    note
}

/// What of a chunk of an import repeated a row before it, as a note for the quality of its stream.
pub(crate) fn repeated_note(
    stream: &StreamName,
    key: &str,
    outcomes: &[Outcome],
    batch: BatchId,
    flight: &Flight,
) -> Option<Record> {
    let mut repeated: BTreeMap<i32, u64> = BTreeMap::new();
    for outcome in outcomes {
        if let Outcome::Duplicate { occurred_at, .. } = outcome {
            *repeated.entry(watch::day_of(*occurred_at)).or_default() += 1;
        }
    }
    if repeated.is_empty() {
        return None;
    }
    let source = outcomes.iter().flat_map(Outcome::records).find(|r| r.batch == Some(batch));
    let source = source.map_or_else(|| "import".to_owned(), |record| watch::source_of(record));
    let note = watch::Repeated { stream: stream.to_string(), source, repeated };
    let id = RecordId::external(watch::NOTES, key.as_bytes());
    let mut record = system_record(watch::NOTES, Subject::NONE, id, None, flight, note.to_payload());
    // Whoever takes the import back takes this back, too.
    record.batch = Some(batch);
    Some(record)
}

/// A finding for each change that breaks a rule or loses something.
pub fn quality_findings(report: &Report) -> Vec<Finding> {
    let findings = report.changes.iter().filter_map(|change| {
        Some(Finding {
            code: change.code?,
            severity: crate::Severity::Warning,
            stream: change.stream.clone(),
            field: change.field.clone(),
            message: change.message.clone(),
            file: None,
            line: None,
        })
    });
    findings.collect()
}
