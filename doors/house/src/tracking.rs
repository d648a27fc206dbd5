//! Events on their way in: read, judged, sealed, appended. Nothing here waits for a disk.

use std::sync::Arc;

use event::{RecordId, SourceName, StreamName, Subject};
use intake::segment::{self, Endpoint};
use intake::{Arrival, Counts, Incoming, Outcome, Refusal, Seen};

use crate::Error;
use crate::house::House;

/// What became of a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackReport {
    /// How many calls became what.
    pub counts: Counts,
    /// The calls that were refused: place in the delivery, code, what is wrong.
    pub refused: Vec<(usize, &'static str, String)>,
}

/// Called once with what became of a delivery.
pub type Done = Box<dyn FnOnce(Result<TrackReport, Error>) + Send>;

impl House {
    /// [`House::track_by`] without a source.
    pub fn track(self: &Arc<Self>, endpoint: Endpoint, body: &[u8], done: Done) {
        self.track_by(endpoint, body, None, done);
    }

    /// Takes a tracking request's body that came by `source`, which is the name of whoever's key it was. `done` is called
    /// exactly once: when everything accepted is durable, or with the reason why nothing was accepted. This never blocks
    /// on the disk except to make keys of new subjects.
    pub fn track_by(
        self: &Arc<Self>,
        endpoint: Endpoint,
        body: &[u8],
        source: Option<SourceName>,
        done: Done,
    ) {
        let flight = self.clock().arrive();
        let arrival = Arrival { received_at: flight.known_at(), batch: None, source };
        let request = match segment::read(endpoint, body, arrival.received_at) {
            Ok(request) => request,
            Err(refusal) => return done(Err(intake::Error::Refused(refusal).into())),
        };
        if let (Some(source), Some(sent_at)) = (&arrival.source, request.sent_at) {
            self.source_desk.clock(source, sent_at - arrival.received_at);
        }
        self.take(request.items, &arrival, flight, done);
    }

    /// [`House::post_by`] without a source.
    pub fn post(self: &Arc<Self>, stream: &str, bodies: &[&[u8]], done: Done) {
        self.post_by(stream, bodies, None, done);
    }

    /// Takes documents for a stream, as a direct post brings them.
    pub fn post_by(self: &Arc<Self>, stream: &str, bodies: &[&[u8]], source: Option<SourceName>, done: Done) {
        let flight = self.clock().arrive();
        let arrival = Arrival { received_at: flight.known_at(), batch: None, source };
        let items = bodies.iter().map(|body| intake::document(StreamName::new(stream), body)).collect();
        self.take(items, &arrival, flight, done);
    }

    pub(crate) fn take(
        self: &Arc<Self>,
        items: Vec<Result<Incoming, Refusal>>,
        arrival: &Arrival,
        flight: crate::clock::Flight,
        done: Done,
    ) {
        // A flooding source is told to wait before anything of its delivery is made durable.
        if let Err(error) = self.admit(arrival.source.as_ref(), items.len()) {
            return done(Err(error));
        }
        let contracts = &self.composition().contracts;
        let outcomes = match self.intake.accept_all(contracts, items, arrival, &mut Seen::new()) {
            Ok(outcomes) => outcomes,
            Err(error) => return done(Err(error.into())),
        };
        let records: Vec<_> = outcomes.iter().flat_map(Outcome::records).cloned().collect();
        if records.is_empty() {
            return done(Ok(report(&outcomes)));
        }
        if let Err(error) = self.not_being_erased(&records) {
            return done(Err(error));
        }
        let house = self.clone();
        self.engine().append_with(records, move |result| match result {
            Ok(receipts) => {
                house.intake.durable(&outcomes);
                house.land(flight, &receipts);
                done(Ok(report(&outcomes)));
            }
            Err(error) => done(Err(error.into())),
        });
    }

    /// Judges a quarantined record anew, by the contract as it is now. Returns what became of it; what passes is
    /// appended and the old entry is marked as mended.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such record in quarantine, or its key is destroyed.
    pub fn requeue(self: &Arc<Self>, id: RecordId) -> Result<Outcome, Error> {
        let missing = || Error::NotFound { what: "record in quarantine", id: id.to_string() };
        let subject = self.subject_of_refused(id)?.ok_or_else(missing)?;
        let record = self.find_record(subject, id)?.ok_or_else(missing)?;
        let incoming = intake::reopen(self.vault(), &record)?.ok_or_else(missing)?;
        let flight = self.clock().arrive();
        let arrival = crate::quality::arrival_of(&record);
        let outcome = self.intake.accept(&self.composition().contracts, incoming, &arrival)?;
        if let Outcome::Accepted { .. } = &outcome {
            let mut records = crate::quality::known_now(&outcome, &flight);
            records.push(Arc::new(crate::quality::mended_note(&record, &flight)));
            self.engine().append_folded(records, crate::house::WAIT)?;
        }
        drop(flight);
        Ok(outcome)
    }

    fn subject_of_refused(&self, id: RecordId) -> Result<Option<Subject>, Error> {
        let mut found = None;
        self.in_each_partition(|rooms| {
            if let Some(refused) = rooms.streams.refused(id)? {
                found = Some(refused.subject);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Finds a record in the journal by its id: a scan of its partition.
    fn find_record(&self, subject: Subject, id: RecordId) -> Result<Option<Arc<event::Record>>, Error> {
        let partition = self.partition_of(subject);
        let journal = self.engine().journal();
        let end = journal.end(partition);
        let mut tail = journal.tail(partition, event::Position(0));
        loop {
            let batch = tail.next(4_096, None)?;
            let Some((last, _)) = batch.last() else { return Ok(None) };
            let last = *last;
            if let Some((_, record)) = batch.into_iter().find(|(_, record)| record.id == id) {
                return Ok(Some(record));
            }
            if last.0 + 1 >= end.0 {
                return Ok(None);
            }
        }
    }
}

fn report(outcomes: &[Outcome]) -> TrackReport {
    let refused = outcomes.iter().enumerate().filter_map(|(at, outcome)| match outcome {
        Outcome::Refused(refusal) => Some((at, refusal.code, refusal.message.clone())),
        _ => None,
    });
    TrackReport { counts: Counts::of(outcomes), refused: refused.collect() }
}
