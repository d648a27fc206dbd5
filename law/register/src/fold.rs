//! The fold over `mr.registers`.

use std::sync::Arc;

use event::{Instant, Record, RecordId};
use store::{Emissions, Error, Fold, Scope, Stored, Table};

use crate::event_log::{Event, REGISTERS, Said};
use crate::incident::{Incident, Told};
use crate::request::{Extension, Request};
use crate::state::{DpiaState, Earlier, MAX_HISTORY, Review, Signature, Stop, UseCaseState, Verdict};

/// What the registers keep, in the control partition.
pub struct Tables {
    use_cases: Table<String, UseCaseState>,
    reviews: Table<RecordId, Review>,
    incidents: Table<String, Incident>,
    requests: Table<String, Request>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self {
            use_cases: Table::open(scope, "registers.usecases.1"),
            reviews: Table::open(scope, "registers.reviews.1"),
            incidents: Table::open(scope, "registers.incidents.1"),
            requests: Table::open(scope, "registers.requests.1"),
        }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.use_cases, &mut self.reviews, &mut self.incidents, &mut self.requests]
    }

    /// What is known of a use case.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn use_case(&self, name: &str) -> Result<Option<Arc<UseCaseState>>, Error> {
        self.use_cases.peek(&name.to_owned())
    }

    /// Every use case that was ever assessed, by name.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn use_cases(&self) -> Result<Vec<(String, UseCaseState)>, Error> {
        let mut all = Vec::new();
        self.use_cases.scan(|name, state| all.push((name.clone(), state.clone())))?;
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    /// What people said of a decision.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn review(&self, decision: RecordId) -> Result<Option<Arc<Review>>, Error> {
        self.reviews.peek(&decision)
    }

    /// An incident.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn incident(&self, id: &str) -> Result<Option<Arc<Incident>>, Error> {
        self.incidents.peek(&id.to_owned())
    }

    /// Every incident, the latest first.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn incidents(&self) -> Result<Vec<Incident>, Error> {
        let mut all = Vec::new();
        self.incidents.scan(|_, incident| all.push(incident.clone()))?;
        all.sort_by(|a, b| (b.aware_at, &b.id).cmp(&(a.aware_at, &a.id)));
        Ok(all)
    }

    /// A request.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn request(&self, id: &str) -> Result<Option<Arc<Request>>, Error> {
        self.requests.peek(&id.to_owned())
    }

    /// Every request, the latest first.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn requests(&self) -> Result<Vec<Request>, Error> {
        let mut all = Vec::new();
        self.requests.scan(|_, request| all.push(request.clone()))?;
        all.sort_by(|a, b| (b.received_at, &b.id).cmp(&(a.received_at, &a.id)));
        Ok(all)
    }

    fn change(&mut self, request: &str, change: impl FnOnce(&mut Request)) -> Result<(), Error> {
        if let Some(mut known) = self.requests.get(&request.to_owned())?.cloned() {
            change(&mut known);
            self.requests.put(request.to_owned(), known);
        }
        Ok(())
    }
}

/// Folds [`REGISTERS`]; other streams leave the tables untouched.
pub struct RegisterFold;

impl Fold<Record> for RegisterFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, _: &mut Emissions) -> Result<(), Error> {
        if record.stream.as_str() != REGISTERS {
            return Ok(());
        }
        let Ok(event) = serde_json::from_slice::<Event>(&record.payload.open) else { return Ok(()) };
        // LAW 2: the record's own time; a fold has no clock.
        let at = record.known_at;
        match event {
            Event::Assessed(assessment) => {
                let name = assessment.use_case.clone();
                let mut state = tables.use_cases.get(&name)?.cloned().unwrap_or_default();
                if let Some((when, before)) = state.assessed.take() {
                    state.earlier.push(Earlier {
                        at: when,
                        version: before.version,
                        class: before.classification.class,
                        rules: before.classification.rules,
                        dpia_due: !before.dpia.triggers.is_empty(),
                    });
                    let over = state.earlier.len().saturating_sub(MAX_HISTORY);
                    state.earlier.drain(..over);
                }
                state.assessed = Some((at, *assessment));
                tables.use_cases.put(name, state);
            }
            Event::Activated { use_case, hash } => {
                let mut state = tables.use_cases.get(&use_case)?.cloned().unwrap_or_default();
                if !state.runs(&hash) {
                    state.activated = Some((at, hash));
                }
                tables.use_cases.put(use_case, state);
            }
            Event::DpiaSigned { use_case, hash, said } => {
                let mut state = tables.use_cases.get(&use_case)?.cloned().unwrap_or_default();
                let mut dpia = state.dpia.take().filter(|known| known.hash == hash);
                let known = dpia.get_or_insert(DpiaState { hash, signatures: Vec::new() });
                sign(&mut known.signatures, said, at);
                state.dpia = dpia;
                tables.use_cases.put(use_case, state);
            }
            Event::Stopped { use_case, said } => {
                let mut state = tables.use_cases.get(&use_case)?.cloned().unwrap_or_default();
                if state.stop.is_none() {
                    state.stop = Some(Stop { by: said.by, at, reason: said.reason, resumes: Vec::new() });
                }
                tables.use_cases.put(use_case, state);
            }
            Event::Resumed { use_case, said, eyes } => {
                let mut state = tables.use_cases.get(&use_case)?.cloned().unwrap_or_default();
                if let Some(stop) = &mut state.stop {
                    sign(&mut stop.resumes, said, at);
                }
                state.stop = state.stop.filter(|stop| stop.resumes.len() < usize::from(eyes));
                tables.use_cases.put(use_case, state);
            }
            Event::Reviewed { decision, use_case, verdict, said, eyes } => {
                let known = tables.reviews.get(&decision)?.cloned();
                let new = || Review { use_case, eyes, approvals: Vec::new(), overruled: None };
                let mut review = known.unwrap_or_else(new);
                match verdict {
                    Verdict::Approve => sign(&mut review.approvals, said, at),
                    Verdict::Overrule => {
                        review.overruled.get_or_insert(Signature { by: said.by, at, note: said.reason });
                    }
                }
                tables.reviews.put(decision, review);
            }
            Event::IncidentOpened(incident) => {
                if tables.incidents.get(&incident.id)?.is_none() {
                    tables.incidents.put(incident.id.clone(), *incident);
                }
            }
            Event::IncidentTold { incident, clock, said } => {
                if let Some(mut known) = tables.incidents.get(&incident)?.cloned() {
                    known.told.push(Told { clock, at, by: said.by, reference: said.reason });
                    tables.incidents.put(incident, known);
                }
            }
            Event::RequestOpened(request) => {
                if tables.requests.get(&request.id)?.is_none() {
                    tables.requests.put(request.id.clone(), *request);
                }
            }
            Event::RequestExtended { request, months, said } => tables.change(&request, |known| {
                let said = Signature { by: said.by, at, note: said.reason };
                known.extension.get_or_insert(Extension { months, said });
            })?,
            Event::RequestEscalated { request } => {
                tables.change(&request, |known| known.escalated.push(at))?;
            }
            Event::RequestFulfilled(done) => {
                let request = done.request.clone();
                tables.change(&request, |known| {
                    known.fulfilled.get_or_insert(*done);
                })?;
            }
            Event::RequestRefused { request, said } => tables.change(&request, |known| {
                known.refused.get_or_insert(Signature { by: said.by, at, note: said.reason });
            })?,
            Event::RequestTold { request, recipient, said } => tables.change(&request, |known| {
                known.told.push(Told { clock: recipient, at, by: said.by, reference: said.reason });
            })?,
            Event::IncidentClosed { incident, said } => {
                if let Some(mut known) = tables.incidents.get(&incident)?.cloned() {
                    known.closed.get_or_insert(Signature { by: said.by, at, note: said.reason });
                    tables.incidents.put(incident, known);
                }
            }
        }
        Ok(())
    }
}

/// Four eyes are two people: whoever signed already is not counted again.
fn sign(signatures: &mut Vec<Signature>, said: Said, at: Instant) {
    if !signatures.iter().any(|known| known.by == said.by) {
        signatures.push(Signature { by: said.by, at, note: said.reason });
    }
}
