//! Privileged acts: each leaves an entry of the audit log before it takes effect (LAW 10).
//!
//! An entry is a record of `mr.audit` in the control partition: its place among them is its index, so the log is a fold of
//! the journal (LAW 2). Tiles and signed checkpoints follow (`auditing/log.rs`): at once where the last one is older than
//! a second, with the chores of a server, at closing, and whenever somebody asks for a proof.

mod acts;
mod desk;
mod log;
mod project;
mod reading;
mod signing;
mod start;

use std::sync::mpsc;

use audit::{AUDIT, Act, Entry};
use event::{Instant, Record, RecordId, Subject};
use process::Receipt;
use serde_json::Value;

pub(crate) use acts::{of_merge, of_release};
pub(crate) use desk::Desk;
pub use project::owe_entry;
pub use reading::{AuditEntry, AuditSought};
pub use start::AuditVerified;

use crate::Error;
use crate::clock::Flight;
use crate::house::{House, WAIT, system_record};

/// Schema version of what is sealed in an entry.
const SEALED_AS: u32 = 1;
/// Column under which it is sealed.
const COLUMN: &str = "/audit";
/// Entries appended at once.
const AT_ONCE: usize = 1_000;

/// An act, and what of it is sealed under its subject's key.
type Ordered<'a> = (&'a Act<'a>, Option<Vec<u8>>);

impl House {
    /// Writes the entry of a privileged act; durable and folded when this returns. To be called before the act takes
    /// effect, once nothing else can refuse it: an entry says that somebody ordered it.
    ///
    /// # Errors
    /// [`Error::Audit`] where the entry is too large; whatever the journal says: then the act must not be done.
    pub fn audit(&self, act: &Act<'_>) -> Result<(), Error> {
        self.enter(&[(act, None)], |_| Vec::new())?;
        Ok(())
    }

    /// As [`House::audit`], for many acts, in this order.
    ///
    /// # Errors
    /// As [`House::audit`]; the entries before may be there already.
    pub fn audit_all(&self, acts: &[Act<'_>]) -> Result<(), Error> {
        for some in acts.chunks(AT_ONCE) {
            let ordered: Vec<Ordered<'_>> = some.iter().map(|act| (act, None)).collect();
            self.enter(&ordered, |_| Vec::new())?;
        }
        Ok(())
    }

    /// As [`House::audit`]; `secret` is sealed under the key of the act's subject. The leaf hashes the sealed bytes: after
    /// an erasure nobody opens them, and the proof holds still (LAW 4).
    ///
    /// # Errors
    /// As [`House::audit`]; [`Error::Vault`] where the subject has no key.
    pub fn audit_sealed(&self, act: &Act<'_>, secret: &Value) -> Result<(), Error> {
        let subject = act.subject.unwrap_or(Subject::NONE);
        let plain = zeroize::Zeroizing::new(secret.to_string());
        let sealed = self.vault().seal(subject, COLUMN, SEALED_AS, plain.as_bytes())?;
        self.enter(&[(act, Some(sealed))], |_| Vec::new())?;
        Ok(())
    }

    /// Appends a record of a system stream together with the entry of the act that it is: both are there, or none. Waits
    /// until both are folded.
    ///
    /// # Errors
    /// As [`House::audit`].
    pub(crate) fn append_audited(
        &self,
        act: &Act<'_>,
        stream: &str,
        subject: Subject,
        id: RecordId,
        occurred_at: Option<Instant>,
        payload: Vec<u8>,
    ) -> Result<Receipt, Error> {
        let record = |flight: &Flight| vec![system_record(stream, subject, id, occurred_at, flight, payload)];
        let receipts = self.enter(&[(act, None)], record)?;
        let last = receipts.last().copied();
        last.ok_or_else(|| Error::Internal { reason: "the journal gave no receipt".to_owned() })
    }

    /// Appends entries, and what goes with them.
    fn enter(
        &self,
        ordered: &[Ordered<'_>],
        with: impl FnOnce(&Flight) -> Vec<Record>,
    ) -> Result<Vec<Receipt>, Error> {
        let (send, receive) = mpsc::sync_channel(1);
        let flight = {
            // Stamped and queued in one turn: the times of entries never run backwards in the log.
            let _turn = self.audit_desk.turn.lock();
            let flight = self.clock().arrive();
            let mut records = Vec::with_capacity(ordered.len() + 1);
            for (n, (act, sealed)) in ordered.iter().enumerate() {
                let payload = Entry::of(act, flight.known_at(), sealed.as_deref()).to_payload()?;
                // No two stamps are the same, and no two of one stamp have the same number.
                let key = [&flight.known_at().micros().to_be_bytes()[..], &n.to_be_bytes()].concat();
                let id = RecordId::external(AUDIT, &key);
                records.push(system_record(AUDIT, Subject::NONE, id, None, &flight, payload));
            }
            records.extend(with(&flight));
            self.engine().append_with(records, move |appended| {
                // Whoever asked waits below.
                let _ = send.send(appended);
            });
            flight
        };
        let gone = |_| Error::Internal { reason: "the journal gave no answer".to_owned() };
        let receipts = receive.recv().map_err(gone)??;
        self.engine().wait_folded(&receipts, WAIT)?;
        drop(flight);
        self.checkpoint_soon();
        Ok(receipts)
    }
}
