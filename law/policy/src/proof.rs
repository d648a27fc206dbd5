//! Proofs that outlive an erasure: whoever calls people must show their consent for five years, from when it was given
//! and from each use (UWG § 7a). Art. 17(3) lets him keep just that.
//!
//! A proof lies in `mr.proofs` under a subject of its own, so that it is sealed under a key of its own: to erase the person
//! leaves it, and to let it lapse leaves the person.

use std::collections::BTreeMap;

use event::{Instant, Record, RecordId, Span, Subject};
use serde::{Deserialize, Serialize};
use store::{Emissions, Fold, Scope, Stored, Table};

/// The stream of proofs, keyed by the proof's own subject.
pub const PROOFS: &str = "mr.proofs";

/// What lies open of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The version of this payload.
    pub v: u32,
    /// The record of the consent.
    pub consent: RecordId,
    /// The decision, or the call, that used it; `None`: it was given.
    pub used_by: Option<String>,
    /// Until when it must be kept; then it is to be destroyed.
    pub keep_until: Instant,
}

impl Proof {
    /// The sealed cell with what is proven.
    pub const CELL: &'static str = "/proof";

    /// A proof that is to be kept for five years from `at`.
    pub fn new(consent: RecordId, used_by: Option<String>, at: Instant) -> Self {
        // Five years have at most two leap days in them.
        Self { v: 1, consent, used_by, keep_until: at + Span::from_days(5 * 365 + 2) }
    }

    /// What names it, and from which its own subject is made.
    pub fn name(&self) -> String {
        format!("{}/{}", self.consent, self.used_by.as_deref().unwrap_or("given"))
    }

    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What a proof says, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// Whose consent.
    pub subject: Subject,
    /// The purpose.
    pub purpose: String,
    /// The channel.
    pub channel: String,
    /// The version of the wording.
    pub notice_version: String,
    /// Hexadecimal SHA-256 of the wording.
    pub notice_hash: String,
    /// The language it was shown in.
    pub locale: String,
    /// Where the consent was given.
    pub source: String,
    /// What proves it.
    pub evidence: String,
    /// When it was given.
    pub given_at: Instant,
    /// When it was used.
    pub used_at: Option<Instant>,
}

/// Until when each of several proofs must be kept: the proof of a use for its own time, the proof that a consent was given
/// for as long as the latest of its uses, for each use begins the five years anew.
#[derive(Debug, Default)]
pub struct Keeping {
    latest: BTreeMap<RecordId, Instant>,
}

impl Keeping {
    /// Hears of a proof; all are to be heard before any is asked about.
    pub fn hear(&mut self, proof: &Proof) {
        let latest = self.latest.entry(proof.consent).or_insert(proof.keep_until);
        *latest = (*latest).max(proof.keep_until);
    }

    /// Until when it must be kept.
    pub fn until(&self, proof: &Proof) -> Instant {
        match proof.used_by {
            Some(_) => proof.keep_until,
            None => self.latest.get(&proof.consent).copied().unwrap_or(proof.keep_until),
        }
    }
}

/// A proof in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRow {
    /// What lies open of it.
    pub proof: Proof,
    /// Its record.
    pub record: RecordId,
    /// What it says, sealed under its own subject's key.
    pub sealed: Vec<u8>,
}

/// The proofs of one partition.
pub struct ProofTables {
    proofs: Table<Subject, ProofRow>,
}

impl ProofTables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self { proofs: Table::open(scope, "proofs") }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.proofs]
    }

    /// Forgets a proof whose own subject is erased: it lapsed. Returns how many rows were removed.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn forget(&mut self, subject: Subject) -> Result<u64, store::Error> {
        if self.proofs.get(&subject)?.is_none() {
            return Ok(0);
        }
        self.proofs.remove(&subject);
        Ok(1)
    }

    /// Visits every proof, each under its own subject.
    ///
    /// # Errors
    /// [`store::Error`] where the store fails.
    pub fn scan(&self, mut visit: impl FnMut(Subject, &ProofRow)) -> Result<(), store::Error> {
        self.proofs.scan(|subject, row| visit(*subject, row))
    }
}

/// Folds `mr.proofs`; other streams leave it untouched.
pub struct ProofFold;

impl Fold<Record> for ProofFold {
    type Tables = ProofTables;

    fn fold(&self, tables: &mut ProofTables, record: &Record, _: &mut Emissions) -> Result<(), store::Error> {
        if record.stream.as_str() != PROOFS || record.subject.is_none() {
            return Ok(());
        }
        let Ok(proof) = serde_json::from_slice::<Proof>(&record.payload.open) else { return Ok(()) };
        let cell = record.payload.cells.iter().find(|cell| *cell.column == *Proof::CELL);
        let sealed = cell.map(|cell| cell.sealed.to_vec()).unwrap_or_default();
        let row = ProofRow { proof, record: record.id, sealed };
        // Of two records under one name the first in the order of ids stands.
        let stands = tables.proofs.get(&record.subject)?.is_some_and(|known| known.record <= row.record);
        if !stands {
            tables.proofs.put(record.subject, row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_begins_the_five_years_of_the_consent_anew() {
        let at = |year: i64| Instant::from_micros(0) + Span::from_days(365 * year);
        let consent = |n: u8| RecordId::from_bytes([n; 16]);
        let given = Proof::new(consent(1), None, at(0));
        let early = Proof::new(consent(1), Some("call 1".into()), at(1));
        let late = Proof::new(consent(1), Some("call 2".into()), at(4));
        let unused = Proof::new(consent(2), None, at(0));
        let mut keeping = Keeping::default();
        for proof in [&late, &given, &unused, &early] {
            keeping.hear(proof);
        }
        assert_eq!(keeping.until(&given), late.keep_until);
        assert_eq!(keeping.until(&early), early.keep_until);
        assert_eq!(keeping.until(&unused), unused.keep_until);
        assert!((unused.keep_until - at(0)).days() >= 5.0 * 365.25);
    }
}
