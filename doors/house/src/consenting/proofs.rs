//! Proofs of consents to calls, each sealed under a key of its own: kept for five years from when it was given and from
//! each use (UWG § 7a), whatever becomes of the person's other data (Art. 17(3)).

use std::sync::atomic::Ordering;

use decide::OpenReservation;
use event::{Cell, Instant, Record, RecordId, Subject};
use policy::{Action, CELL_SCHEMA, Consent, ConsentGiven, Keeping, PROOFS, Proof, Proven, Reach, Status};

use crate::Error;
use crate::clock::Flight;
use crate::house::{House, system_record};

/// Who orders that proofs are destroyed.
const HOUSE: &str = "maschinenraum";
/// Proofs that one erasure destroys: they share one pass over the keys.
const AT_ONCE: usize = 10_000;

/// The proofs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ProofsKept {
    /// Proofs there are.
    pub n_kept: u64,
    /// Of these, past their time and still there.
    pub n_overdue: u64,
}

impl House {
    /// The proof that goes with a yes to calls; none where it is for another channel.
    pub(crate) fn proof_of_grant(
        &self,
        subject: Subject,
        given: &ConsentGiven,
        evidence: Option<&str>,
        consent: RecordId,
        at: Instant,
        flight: &Flight,
    ) -> Result<Option<Record>, Error> {
        let covers = |channel: &str| Reach::of(channel) == Reach::Call;
        let rule = self.purposes().rule(&given.purpose);
        let by_purpose = given.channel.is_empty()
            && rule.is_some_and(|rule| rule.channels.iter().any(|channel| covers(channel)));
        if given.status != Status::Granted || !(covers(&given.channel) || by_purpose) {
            return Ok(None);
        }
        let proven = Proven {
            subject,
            purpose: given.purpose.clone(),
            channel: given.channel.clone(),
            notice_version: given.notice_version.clone(),
            notice_hash: given.notice_hash.clone(),
            locale: given.locale.clone(),
            source: given.source.clone(),
            evidence: evidence.unwrap_or_default().to_owned(),
            given_at: at,
            used_at: None,
        };
        self.proof(Proof::new(consent, None, flight.known_at()), &proven, flight).map(Some)
    }

    /// The proof that a call, decided and handed over, used a consent; none where nothing was used.
    pub(crate) fn use_of_consent(
        &self,
        decision: RecordId,
        open: &OpenReservation,
    ) -> Result<Option<Record>, Error> {
        if Reach::of(&open.channel) != Reach::Call {
            return Ok(None);
        }
        let members = self.members(open.subject)?.subjects;
        let (now, purposes) = (self.clock().settled(), self.purposes());
        let channel = Some(open.channel.as_str());
        let weighed = policy::weigh(Action::Send, &open.purpose, channel, &members, self, purposes, now);
        let Some(by) = weighed.ok().and_then(|weighed| weighed.by) else { return Ok(None) };
        self.use_by(&decision.to_string(), open.subject, &by).map(Some)
    }

    fn use_by(&self, used_by: &str, subject: Subject, by: &Consent) -> Result<Record, Error> {
        let flight = self.clock().arrive();
        let proven = Proven {
            subject,
            purpose: by.purpose.clone(),
            channel: by.channel.clone(),
            notice_version: by.notice_version.clone(),
            notice_hash: by.notice_hash.clone(),
            locale: by.locale.clone(),
            source: by.source.clone(),
            evidence: String::new(),
            given_at: by.at,
            used_at: Some(flight.known_at()),
        };
        self.proof(Proof::new(by.record, Some(used_by.to_owned()), flight.known_at()), &proven, &flight)
    }

    /// A proof under its own subject, so that it is sealed under its own key.
    fn proof(&self, proof: Proof, proven: &Proven, flight: &Flight) -> Result<Record, Error> {
        let owner = self.vault().pseudonym("mr.proof", &proof.name());
        self.vault().ensure(&[owner])?;
        let broken = |e: serde_json::Error| Error::Internal { reason: format!("a proof has no JSON: {e}") };
        let plain = zeroize::Zeroizing::new(serde_json::to_vec(proven).map_err(broken)?);
        let sealed = self.vault().seal(owner, Proof::CELL, CELL_SCHEMA, &plain)?;
        let id = RecordId::external(PROOFS, proof.name().as_bytes());
        let mut record = system_record(PROOFS, owner, id, None, flight, proof.to_payload());
        record.key_epoch = self.vault().epoch(owner).unwrap_or(0);
        record.payload.cells.push(Cell { column: Proof::CELL.into(), sealed: sealed.into() });
        Ok(record)
    }

    /// How many proofs there are, and how many are past the time they must be kept.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn proofs(&self) -> Result<ProofsKept, Error> {
        let (n_kept, overdue) = self.overdue_proofs()?;
        Ok(ProofsKept { n_kept, n_overdue: overdue.len() as u64 })
    }

    /// Destroys the proofs whose time is over, as anybody is erased: their keys go, here and in every backup (LAW 4), and
    /// the journal says so, so that a replay forgets them where the live house did (LAW 2). Returns how many.
    ///
    /// # Errors
    /// As [`House::erase`]
    pub fn destroy_lapsed_proofs(&self) -> Result<usize, Error> {
        let (_, overdue) = self.overdue_proofs()?;
        for owners in overdue.chunks(AT_ONCE) {
            let reason =
                format!("{} proofs of consents to calls: five years are over (UWG 7a)", owners.len());
            self.erase(owners, HOUSE, &reason)?;
        }
        Ok(overdue.len())
    }

    /// The same once a day. What fails waits for the next day, or the next opening: nothing else may wait for it.
    pub(crate) fn destroy_lapsed_proofs_daily(&self) {
        let today = self.now().micros().div_euclid(event::Span::from_days(1).micros());
        if self.erase_desk.proofs_looked_at.swap(today, Ordering::AcqRel) == today {
            return;
        }
        match self.destroy_lapsed_proofs() {
            Ok(0) => {}
            Ok(n) => tracing::info!(n, "proofs of consents to calls lapsed and are destroyed"),
            Err(error) => tracing::error!(%error, "lapsed proofs of consents to calls are not destroyed yet"),
        }
    }

    /// How many proofs there are, and the subjects of those that are past their time.
    fn overdue_proofs(&self) -> Result<(u64, Vec<Subject>), Error> {
        let now = self.now();
        let (mut keeping, mut proofs) = (Keeping::default(), Vec::new());
        self.in_each_partition(|rooms| {
            rooms.proofs.scan(|owner, row| {
                keeping.hear(&row.proof);
                proofs.push((owner, row.proof.clone()));
            })
        })?;
        let overdue = proofs.iter().filter(|(_, proof)| keeping.until(proof) <= now);
        let mut overdue: Vec<Subject> = overdue.map(|(owner, _)| *owner).collect();
        overdue.sort_unstable();
        Ok((proofs.len() as u64, overdue))
    }
}
