//! Proofs of consents to calls, each sealed under a key of its own: kept for five years from when it was given and from
//! each use (UWG § 7a), whatever becomes of the person's other data (Art. 17(3)).

use decide::OpenReservation;
use event::{Cell, Instant, Record, RecordId, Subject};
use policy::{Action, CELL_SCHEMA, Consent, ConsentGiven, PROOFS, Proof, Proven, Reach, Status};

use crate::Error;
use crate::clock::Flight;
use crate::house::{House, system_record};

/// What a round over proofs did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ProofsLapsed {
    /// Proofs there are.
    pub n_kept: u64,
    /// Of these, past their time.
    pub n_lapsed: u64,
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
    pub fn proofs(&self) -> Result<ProofsLapsed, Error> {
        let now = self.now();
        let mut found = ProofsLapsed::default();
        self.in_each_partition(|rooms| {
            rooms.proofs.scan(|_, row| {
                found.n_kept += 1;
                found.n_lapsed += u64::from(row.proof.keep_until <= now);
            })
        })?;
        Ok(found)
    }
}
