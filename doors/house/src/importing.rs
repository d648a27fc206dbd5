//! Files on their way in: resumable, repeated without effect, undone as a whole.

use std::path::Path;
use std::sync::Arc;

use event::{BatchId, RecordId, SourceName, Subject};
use intake::file::{self, Progress};
use intake::{Arrival, Outcome, Seen};

use crate::Error;
use crate::house::{House, system_record};
use crate::imports::{Counts, IMPORTS, Import, Note, Stage};

/// Rows that are made durable together.
const CHUNK_ROWS: usize = 5_000;

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Names the import; [`House::undo_import`] takes it back.
    pub batch: BatchId,
    /// How the rows fared, over all runs of this import.
    pub counts: Counts,
    /// Refusals by code and field of their first finding, with one example each.
    pub reasons: std::collections::BTreeMap<String, (u64, String)>,
    /// Rows that an earlier run had already brought.
    pub n_resumed: u64,
    /// True where it was done before and nothing was left to do.
    pub repeated: bool,
}

impl House {
    /// Imports a file into a stream, through the stream's newest contract.
    ///
    /// The same content through the same contract version is the same import: cut off, it goes on behind the last
    /// durable row; done, it is not done again.
    ///
    /// # Errors
    /// [`Error::UnknownStream`]; [`Error::Intake`] where the file cannot be read; whatever the journal says. Rows that
    /// were durable by then stay, and the import can be run again.
    pub fn import(
        &self,
        path: &Path,
        stream: &str,
        progress: impl FnMut(Progress),
    ) -> Result<Imported, Error> {
        self.import_from(path, stream, None, progress)
    }

    /// [`House::import`] of a file that came by `source`, a folder that is watched or a name that the caller gives.
    ///
    /// # Errors
    /// As [`House::import`].
    pub fn import_from(
        &self,
        path: &Path,
        stream: &str,
        source: Option<&SourceName>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Imported, Error> {
        let contracts = &self.composition().contracts;
        let contract = contracts.newest_named(stream).ok_or_else(|| Error::UnknownStream {
            name: stream.chars().take(64).collect(),
            known: contracts.iter().map(|contract| contract.stream.to_string()).collect(),
        })?;
        let file = file::inspect(path, |_| {})?;
        let batch = BatchId::of(stream, contract.version, file.sha256());
        if self.layout().undone()?.contains(&batch) {
            let reason = format!(
                "import {batch} of this very file was taken back; mend the file or the contract's version \
                 and import that"
            );
            return Err(Error::Import { reason });
        }
        let known = self.import_state(batch)?.filter(|import| import.stage != Stage::Undone);
        let mut done = Imported {
            batch,
            counts: Counts::default(),
            reasons: Default::default(),
            n_resumed: known.as_ref().map_or(0, |import| import.counts.n_rows),
            repeated: known.as_ref().is_some_and(|import| import.stage == Stage::Finished),
        };
        if done.repeated {
            done.counts = known.map(|import| import.counts).unwrap_or_default();
            return Ok(done);
        }
        if known.is_none() {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let basis = contract.consent_basis.clone().unwrap_or_else(|| {
                let words = contract.purposes.iter().map(|purpose| {
                    format!("{} ({})", purpose.name, purpose.basis.map_or("no basis", |basis| basis.as_str()))
                });
                words.collect::<Vec<_>>().join(", ")
            });
            let note = Note::Started {
                batch,
                stream: stream.to_owned(),
                contract: contract.version,
                file: name.unwrap_or_default(),
                basis,
            };
            self.note_import(batch, "started", &note)?;
        }
        let since = self.import_state(batch)?.map(|import| import.started_at);
        let stream = contract.stream.clone();
        let mut seen = Seen::new();
        // Rows that are durable already are judged again but not appended: counts, reasons and what was seen twice are
        // then the same as without the interruption.
        let mut rows = file.rows(0)?;
        loop {
            let left = done.n_resumed.saturating_sub(done.counts.n_rows);
            let is_known = left > 0;
            let n = if is_known {
                usize::try_from(left).unwrap_or(CHUNK_ROWS).min(CHUNK_ROWS)
            } else {
                CHUNK_ROWS
            };
            let chunk: Vec<_> = rows.by_ref().take(n).collect::<Result<_, _>>()?;
            if chunk.is_empty() {
                break;
            }
            let n_rows = chunk.len() as u64;
            // An erasure waits for the chunk, or the chunk for the erasure.
            let _turn = self.chunk_turn();
            let flight = self.clock().arrive();
            let source = source.cloned();
            let arrival = Arrival { received_at: flight.known_at(), batch: Some(batch), source };
            let delivery = chunk.into_iter().map(|row| Ok(row.into_incoming(stream.clone()))).collect();
            let mut outcomes = self.intake.accept_all(contracts, delivery, &arrival, &mut seen)?;
            if let Some(since) = since {
                self.without_erased(&mut outcomes, since)?;
            }
            count(&mut done, &outcomes, n_rows);
            if is_known {
                progress(rows.progress());
                continue;
            }
            let mut records: Vec<_> = outcomes.iter().flat_map(Outcome::records).cloned().collect();
            let note = Note::Reached { batch, counts: done.counts };
            let key = format!("{batch} reached {}", done.counts.n_rows);
            records.extend(
                crate::quality::repeated_note(&stream, &key, &outcomes, batch, &flight).map(Arc::new),
            );
            let id = RecordId::external(IMPORTS, key.as_bytes());
            // In the same append as the rows: after a crash both are there or the rows come again, as duplicates.
            records.push(Arc::new(system_record(
                IMPORTS,
                Subject::NONE,
                id,
                None,
                &flight,
                note.to_payload(),
            )));
            let receipts = self.engine().append(records)?;
            self.intake.durable(&outcomes);
            // Not faster than it can be folded: memory stays bounded and readers stay fresh.
            self.engine().wait_folded(&receipts, std::time::Duration::from_secs(600))?;
            drop(flight);
            progress(rows.progress());
        }
        self.note_import(batch, "finished", &Note::Finished { batch, counts: done.counts })?;
        Ok(done)
    }

    /// Every import, the latest first.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn imports(&self) -> Result<Vec<(BatchId, Import)>, Error> {
        self.in_control(|rooms| rooms.imports.list())
    }

    /// Takes a whole import back. The journal keeps its records; the state is folded anew without them, which needs
    /// the house for itself: it must be opened again afterwards.
    ///
    /// # Errors
    /// [`Error::Import`] where there is no such import.
    pub fn undo_import(self, batch: BatchId, by: &str) -> Result<(), Error> {
        if self.import_state(batch)?.is_none_or(|import| import.stage == Stage::Undone) {
            return Err(Error::Import { reason: format!("there is no import {batch} to take back") });
        }
        let detail = serde_json::json!({ "import": batch });
        self.audit(&audit::Act { detail, ..audit::Act::new("import.undo", by) })?;
        self.note_import(
            batch,
            &format!("undone {}", self.now()),
            &Note::Undone { batch, by: by.to_owned() },
        )?;
        let mut undone = self.layout().undone()?;
        undone.insert(batch);
        self.layout().set_undone(&undone)?;
        self.close();
        Ok(())
    }

    fn import_state(&self, batch: BatchId) -> Result<Option<Import>, Error> {
        self.in_control(|rooms| rooms.imports.get(batch))
    }

    fn note_import(&self, batch: BatchId, what: &str, note: &Note) -> Result<(), Error> {
        let id = RecordId::external(IMPORTS, format!("{batch} {what}").as_bytes());
        self.append_system(IMPORTS, Subject::NONE, id, None, note.to_payload())?;
        Ok(())
    }
}

fn count(done: &mut Imported, outcomes: &[Outcome], n_rows: u64) {
    done.counts.n_rows += n_rows;
    for outcome in outcomes {
        match outcome {
            Outcome::Accepted { .. } => done.counts.n_accepted += 1,
            Outcome::Quarantined { findings, .. } => {
                done.counts.n_quarantined += 1;
                if let Some(first) = findings.iter().find(|finding| finding.is_error()) {
                    let example = || (0, first.message.clone());
                    let field = first.field.iter().flat_map(|field| [" ", field.as_str()]);
                    let reason = std::iter::once(first.code).chain(field).collect();
                    done.reasons.entry(reason).or_insert_with(example).0 += 1;
                }
            }
            Outcome::Duplicate { .. } => done.counts.n_duplicates += 1,
            Outcome::Refused(refusal) => {
                done.counts.n_quarantined += 1;
                let example = || (0, refusal.message.clone());
                done.reasons.entry(refusal.code.to_owned()).or_insert_with(example).0 += 1;
            }
        }
    }
}
