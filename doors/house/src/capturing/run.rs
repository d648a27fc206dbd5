//! Runs of captures: what is appended, with which note, and what happens when a side goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Moment};

use capture::{Change, Client, Error as DbError, Lsn, Op, System, copied};
use event::{Record, RecordId, SourceName, StreamName, Subject};
use intake::{Arrival, Incoming, Outcome, Seen};
use process::Receipt;

use super::desk::{Claim, Live};
use super::ledger::{CAPTURES, CaptureCounts, CaptureStage, CaptureState, Note, Noticed};
use super::settings::CaptureSettings;
use super::{spool, start};
use crate::Error;
use crate::house::{House, system_record};

/// Changes that are made durable together.
pub(super) const CHUNK: usize = 5_000;
/// How long folding may take before a capture gives up waiting for it.
const FOLDED: Duration = Duration::from_secs(600);
/// The longest pause between two attempts to reach a database.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long somebody who waits for the end is kept waiting for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Until when a capture runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it is stopped.
    Stopped,
    /// Until everything that was committed when it began is here.
    CaughtUp,
}

/// A capture, as it is shown.
#[derive(Clone, Debug)]
pub struct CaptureView {
    /// Its name.
    pub name: String,
    /// The database, without who logs in.
    pub database: String,
    /// What the settings say of it; `None` where they no longer do.
    pub settings: Option<CaptureSettings>,
    /// How it stands; `None` where it never began.
    pub state: Option<CaptureState>,
    /// How it is, where it ran in this process.
    pub live: Option<Live>,
}

/// One attempt of a run: from a connection to its end.
pub(super) struct Work<'w> {
    pub(super) house: &'w House,
    pub(super) name: String,
    pub(super) spec: &'w CaptureSettings,
    pub(super) claim: &'w Claim<'w>,
    pub(super) stop: &'w AtomicBool,
    pub(super) state: Option<CaptureState>,
    /// Up to where the database's log goes, as far as it has said.
    pub(super) end: Lsn,
    tell: &'w mut dyn FnMut(&CaptureState),
    seen: Seen,
    unfolded: Vec<Receipt>,
}

impl House {
    /// Runs a capture: begins it where it is new, else goes on behind the last durable change. A database that is not
    /// there is tried again and again; `stop` ends it.
    ///
    /// # Errors
    /// [`Error::UnknownCapture`]; [`Error::CaptureRefused`]; [`Error::Capture`] for what does not pass by itself. What
    /// was durable by then stays, and it can be run again.
    pub fn capture(
        &self,
        name: &str,
        until: Until,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(&CaptureState),
    ) -> Result<CaptureState, Error> {
        let spec = self.capture_settings(name)?;
        let claim = self.claim_capture(name)?;
        let (mut pause, mut failing_since, mut said) = (Duration::from_millis(100), None, String::new());
        loop {
            let mut moved = false;
            let mut tell_on = |state: &CaptureState| {
                moved = true;
                tell(state);
            };
            let work = Work {
                house: self,
                name: name.to_owned(),
                spec,
                claim: &claim,
                stop,
                state: None,
                end: Lsn(0),
                tell: &mut tell_on,
                seen: Seen::new(),
                unfolded: Vec::new(),
            };
            let error = match work.run(until) {
                Ok(state) => return Ok(state),
                Err(error) => error,
            };
            if moved {
                (pause, failing_since) = (Duration::from_millis(100), None);
            }
            let since = *failing_since.get_or_insert_with(Moment::now);
            let passes = matches!(&error, Error::Capture(error) if error.retry_helps());
            claim.is(|live| {
                live.connected = false;
                live.error = Some((error.code(), error.to_string()));
            });
            let is_over = until == Until::CaughtUp && since.elapsed() >= PATIENCE;
            if !passes || is_over || stop.load(Ordering::Acquire) {
                return Err(error);
            }
            // Once, not at every attempt.
            if std::mem::replace(&mut said, error.to_string()) != said {
                tracing::warn!(capture = name, code = error.code(), %error, "the capture pauses and tries again");
            }
            let over = Moment::now() + pause;
            while Moment::now() < over && !stop.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(20));
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Looks whether a database can be captured, and changes nothing: what should be known beside.
    ///
    /// # Errors
    /// [`Error::UnknownCapture`]; [`Error::Capture`] with what stands in the way.
    pub fn check_capture(&self, name: &str) -> Result<(System, Vec<Noticed>), Error> {
        let spec = self.capture_settings(name)?;
        let mut client = Client::connect(&spec.login(&self.project().dir)?, true)?;
        let system = client.system()?;
        let tables = start::fit(&mut client, &system, spec, &spec.publication(name))?;
        client.close();
        let noticed = start::noticed(&self.composition().contracts, spec, &system, &tables, system.end);
        Ok((system, noticed))
    }

    /// Ends a capture: removes its slot, and its publication where it is named after the capture. Its records stay. With
    /// `forget` the database is not asked: for one that is gone.
    ///
    /// # Errors
    /// [`Error::UnknownCapture`]; [`Error::Capture`] where the database refuses.
    pub fn drop_capture(&self, name: &str, forget: bool, by: &str) -> Result<(), Error> {
        let spec = self.capture_settings(name)?;
        let _claim = self.claim_capture(name)?;
        let state = start::known(self, name)?;
        let slot = state.as_ref().map_or_else(|| start::slot_name(self, name, spec), |s| s.slot.clone());
        if !forget {
            let mut client = Client::connect(&spec.login(&self.project().dir)?, true)?;
            client.drop_slot(&slot)?;
            if spec.publication.is_empty() {
                client.unpublish(&spec.publication(name))?;
            }
            client.close();
        }
        spool::remove(self.layout(), name)?;
        if let Some(state) = state {
            let note = Note::Dropped { capture: name.to_owned(), by: by.to_owned() };
            let key = format!("{}/{slot}/{} dropped", state.system, state.from);
            let id = RecordId::external(CAPTURES, format!("{name} {key}").as_bytes());
            self.append_system(CAPTURES, Subject::NONE, id, None, note.to_payload())?;
        }
        Ok(())
    }

    /// Every capture of the settings or the ledger, by name.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn captures(&self) -> Result<Vec<CaptureView>, Error> {
        let mut states = self.in_control(|rooms| rooms.captures.list())?;
        let mut views: Vec<CaptureView> = Vec::new();
        for (name, spec) in &self.settings().captures {
            let database = capture::Address::parse(&spec.address).map(|address| address.to_string());
            views.push(CaptureView {
                name: name.clone(),
                database: database.unwrap_or_default(),
                settings: Some(spec.clone()),
                state: states.remove(name),
                live: self.capture_desk.live(name),
            });
        }
        for (name, state) in states {
            let database = state.database.clone();
            views.push(CaptureView { name, database, settings: None, state: Some(state), live: None });
        }
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }

    fn capture_settings(&self, name: &str) -> Result<&CaptureSettings, Error> {
        let captures = &self.settings().captures;
        captures.get(name).ok_or_else(|| Error::UnknownCapture {
            name: name.chars().take(64).collect(),
            known: captures.keys().cloned().collect(),
        })
    }

    fn claim_capture(&self, name: &str) -> Result<Claim<'_>, Error> {
        self.capture_desk.claim(name).ok_or_else(|| Error::CaptureRefused {
            reason: format!("capture `{name}` is running in this process already"),
        })
    }
}

impl Work<'_> {
    fn run(mut self, until: Until) -> Result<CaptureState, Error> {
        let login = self.spec.login(&self.house.project().dir)?;
        let mut client = Client::connect(&login, true)?;
        let system = client.system()?;
        self.settle(&mut client, &system)?;
        if self.state()?.stage == CaptureStage::Copying {
            // It may take long, and the slot needs no connection meanwhile.
            client.close();
            if !self.copy()? {
                return self.done();
            }
            client = Client::connect(&login, true)?;
        }
        // A crash right behind the copy's end leaves it.
        spool::remove(self.house.layout(), &self.name)?;
        self.claim.is(|live| (live.connected, live.error) = (true, None));
        let target = (until == Until::CaughtUp).then_some(system.end);
        self.stream(client, target)?;
        self.done()
    }

    fn done(self) -> Result<CaptureState, Error> {
        self.house.engine().wait_folded(&self.unfolded, FOLDED)?;
        self.state.ok_or_else(missing)
    }

    /// How the capture stands.
    pub(super) fn state(&self) -> Result<&CaptureState, Error> {
        self.state.as_ref().ok_or_else(missing)
    }

    /// Appends the spool's rows that are not here yet; false where it was stopped before the end.
    fn copy(&mut self) -> Result<bool, Error> {
        let (house, name) = (self.house, self.name.clone());
        let state = self.state()?;
        let (from, at, n_done) = (state.from, state.began_at, state.n_copied);
        // By name, as they were copied.
        let tables: Vec<Arc<capture::Table>> = state.tables.values().cloned().map(Arc::new).collect();
        let mut spool = spool::Reader::open(house.vault(), house.layout(), &name, from)?;
        let (mut n, mut changes) = (0, Vec::new());
        loop {
            let rows = spool.next()?;
            let is_last = rows.is_none();
            for (table, line) in rows.unwrap_or_default() {
                let table = tables.get(table).ok_or_else(missing)?;
                if n >= n_done {
                    changes.push(copied(table, &line, from, n, at));
                }
                n += 1;
            }
            while changes.len() >= CHUNK || (is_last && !changes.is_empty()) {
                let rest = changes.split_off(changes.len().min(CHUNK));
                let now_here = n - rest.len() as u64;
                self.append(
                    std::mem::replace(&mut changes, rest),
                    &format!("copied {now_here}"),
                    |counts| Note::Copied { capture: name.clone(), n: now_here, counts },
                )?;
                if self.stop.load(Ordering::Acquire) {
                    return Ok(self.state()?.stage == CaptureStage::Streaming);
                }
            }
            if is_last {
                break;
            }
        }
        if self.state()?.stage != CaptureStage::Streaming {
            return Err(Error::CaptureRefused {
                reason: format!(
                    "the snapshot of capture `{name}` has fewer rows than were copied: `maschinenraum capture {name} --drop` \
                     and a new capture take the tables as they are now"
                ),
            });
        }
        Ok(true)
    }

    /// Makes changes records, and appends them in one append with a note of how far they got (LAW 1): after a crash
    /// both are there, or neither. `key` names the note among those of this slot.
    pub(super) fn append(
        &mut self,
        changes: Vec<Change>,
        key: &str,
        note: impl FnOnce(CaptureCounts) -> Note,
    ) -> Result<(), Error> {
        let house = self.house;
        let state = self.state.as_ref().ok_or_else(missing)?;
        // An erasure waits for the batch, or the batch for the erasure.
        let _turn = house.chunk_turn();
        let flight = house.clock().arrive();
        let source = Some(SourceName::new(&self.name));
        let arrival = Arrival { received_at: flight.known_at(), batch: None, source };
        let mut counts = state.counts.clone();
        let mut delivery = Vec::with_capacity(changes.len());
        for change in changes {
            let is_gone = matches!(change.op, Op::Delete | Op::Truncate);
            let Some(stream) = self.spec.stream(&change.table.name, is_gone) else { continue };
            counts.count(&change.table.name, change.op);
            let key = format!("{}/{}/{}", state.system, state.slot, change.key());
            let mut incoming = Incoming::for_stream(StreamName::new(stream), change.document);
            (incoming.key, incoming.names_itself) = (Some(key.into_bytes()), true);
            incoming.occurred_at = Ok(Some(change.at));
            delivery.push(Ok(incoming));
        }
        let contracts = &house.composition().contracts;
        let outcomes = house.intake.accept_all(contracts, delivery, &arrival, &mut self.seen)?;
        for outcome in &outcomes {
            match outcome {
                Outcome::Accepted { .. } => counts.n_accepted += 1,
                Outcome::Quarantined { .. } => counts.n_quarantined += 1,
                // Names are given once, and nothing of a database breaks a protocol of ours.
                Outcome::Duplicate { .. } | Outcome::Refused(_) => {}
            }
        }
        let note = note(counts);
        let id = format!("{} {}/{}/{} {key}", self.name, state.system, state.slot, state.from);
        let id = RecordId::external(CAPTURES, id.as_bytes());
        let next = CaptureState::after(Some(state), note.clone(), flight.known_at());
        let mut records: Vec<Arc<Record>> = outcomes.iter().flat_map(Outcome::records).cloned().collect();
        let payload = note.to_payload();
        records.push(Arc::new(system_record(CAPTURES, Subject::NONE, id, None, &flight, payload)));
        let receipts = house.engine().append(records)?;
        house.intake.durable(&outcomes);
        self.state = next;
        // Not faster than it can be folded: memory stays bounded and readers stay fresh. While the batch before is being
        // folded, this one was made.
        house.engine().wait_folded(&self.unfolded, FOLDED)?;
        self.unfolded = last_of_each_partition(&receipts);
        house.land(flight, &receipts);
        if let Some(state) = &self.state {
            (self.tell)(state);
        }
        Ok(())
    }

    /// Appends a note of its own and waits until it is folded.
    pub(super) fn note(&mut self, note: Note, key: &str) -> Result<(), Error> {
        let id = RecordId::external(CAPTURES, format!("{} {key}", self.name).as_bytes());
        self.house.append_system(CAPTURES, Subject::NONE, id, None, note.to_payload())?;
        self.state = start::known(self.house, &self.name)?;
        Ok(())
    }

    /// What came is no PostgreSQL.
    pub(super) fn odd(&self, reason: String) -> Error {
        DbError::Protocol { address: self.name.clone(), reason }.into()
    }
}

fn missing() -> Error {
    Error::Internal { reason: "a capture has no state".to_owned() }
}

fn last_of_each_partition(receipts: &[Receipt]) -> Vec<Receipt> {
    let mut last: Vec<Receipt> = Vec::new();
    for receipt in receipts {
        match last.iter_mut().find(|known| known.partition == receipt.partition) {
            Some(known) if known.position < receipt.position => *known = *receipt,
            Some(_) => {}
            None => last.push(*receipt),
        }
    }
    last
}
