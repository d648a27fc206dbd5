//! What each store says about an erasure.

use event::{Instant, RecordId};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::forgetting::Ordered;
use crate::house::House;

/// What one store did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreReceipt {
    /// `journal`, `state`, `vault`, `models`, `captures`, `exports`, `audit`
    pub store: String,
    /// True where nothing of the subjects can be had from it any more.
    pub complete: bool,
    /// How many things it is about: records, rows, keys, versions, files.
    pub n: u64,
    /// In a sentence.
    pub what: String,
}

/// The receipts of an erasure. Pseudonyms are left out: who has them has the act's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// The record that ordered it.
    pub act: RecordId,
    /// When it was ordered.
    pub at: Instant,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// How many subjects: all members of the profiles asked for.
    pub n_subjects: u64,
    /// True where every store is done.
    pub complete: bool,
    /// Milliseconds until nothing of them could be read any more; `None` where it was completed after a restart.
    pub logical_ms: Option<u64>,
    /// One for each store.
    pub stores: Vec<StoreReceipt>,
    /// All that, signed with the house's key `receipts`: a signed note (C2SP) whose text is this as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<String>,
}

impl Receipts {
    pub(super) fn new(
        act: RecordId,
        ordered: &Ordered,
        logical_ms: Option<u64>,
        stores: Vec<StoreReceipt>,
    ) -> Self {
        Self {
            act,
            at: ordered.at,
            by: ordered.by.clone(),
            reason: ordered.reason.clone(),
            n_subjects: ordered.subjects.len() as u64,
            complete: stores.iter().all(|store| store.complete),
            logical_ms,
            stores,
            signed: None,
        }
    }

    /// One line of JSON: what is signed.
    pub(super) fn to_text(&self) -> Result<String, Error> {
        let text = serde_json::to_string(self);
        text.map(|text| text + "\n")
            .map_err(|e| Error::Internal { reason: format!("receipts have no JSON: {e}") })
    }

    /// Reads a signed note of receipts.
    pub(super) fn read(signed: &str) -> Option<Self> {
        let text = signed.lines().next()?;
        let receipts: Self = serde_json::from_str(text).ok()?;
        Some(Self { signed: Some(signed.to_owned()), ..receipts })
    }
}

fn receipt(store: &str, complete: bool, n: u64, what: impl Into<String>) -> StoreReceipt {
    StoreReceipt { store: store.to_owned(), complete, n, what: what.into() }
}

impl House {
    pub(super) fn journal_receipt(&self, ordered: &Ordered) -> StoreReceipt {
        let n = ordered.subjects.len() as u64;
        let what = "erasure records appended; earlier records of the subjects are hidden, their sealed parts open no more";
        receipt("journal", true, n, what)
    }

    pub(super) fn state_receipt(&self, act: RecordId, ordered: &Ordered) -> Result<StoreReceipt, Error> {
        let mut n_gone = 0;
        for subject in &ordered.subjects {
            let gone = self.in_partition(*subject, |rooms| rooms.erasures.gone(*subject))?;
            n_gone += usize::from(gone.is_some_and(|gone| gone.at >= ordered.at));
        }
        let mut n_rows = 0;
        self.in_each_partition(|rooms| {
            n_rows += rooms.erasures.n_removed(act);
            Ok(())
        })?;
        let complete = n_gone == ordered.subjects.len();
        Ok(receipt(
            "state",
            complete,
            n_rows,
            "rows of profiles, links, features, decisions and refusals removed",
        ))
    }

    pub(super) fn vault_receipt(&self, ordered: &Ordered) -> Result<StoreReceipt, Error> {
        let (mut n_keys, mut complete) = (0, true);
        for subject in &ordered.subjects {
            match self.vault().erasure_of(*subject)? {
                Some(erasure) if erasure.at >= ordered.at => n_keys += u64::from(erasure.epoch > 0),
                _ => complete = false,
            }
        }
        let what = "subjects whose keys are destroyed; bucket keys, root and anchor are new: copies from before open nothing";
        Ok(receipt("vault", complete, n_keys, what))
    }

    pub(super) fn captures_receipt(&self) -> Result<StoreReceipt, Error> {
        let dir = self.layout().root().join("captures");
        let spools = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        let n =
            spools.filter(|file| file.path().extension().is_some_and(|e| e == "spool" || e == "tmp")).count();
        let what = match n {
            0 => "no snapshot of a database waits to be taken in",
            _ => "snapshots of databases wait to be taken in and may hold them: erase again once they are",
        };
        Ok(receipt("captures", n == 0, n as u64, what))
    }

    pub(super) fn exports_receipt(&self) -> Result<StoreReceipt, Error> {
        let what = "files that were taken out lie outside of the house: the audit log names who took what (export.take)";
        Ok(receipt("exports", true, 0, what))
    }

    pub(super) fn audit_receipt(&self, act: RecordId) -> StoreReceipt {
        let what = format!(
            "the order is in the audit log (subject.erase); its leaf hashes no plain text, so it stays provable ({act})"
        );
        receipt("audit", true, 1, what)
    }
}
