//! Erasing subjects: their keys are destroyed for good, everybody else's stay.

use std::sync::atomic::Ordering;

use event::{Instant, RecordId, Subject};
use rustc_hash::FxHashMap;

use crate::key::Key;
use crate::pseudonym::{LinkRight, Pseudonym, PurposePseudonyms};
use crate::renewal::{Erasure, Renewed};
use crate::vault::Vault;
use crate::{Error, Master};

/// The secret that purposes' keys are derived from.
const PURPOSES: &str = "purposes";

/// While it lives nothing is sealed for the subjects that are being erased: what would be sealed under a key that is
/// about to be destroyed would be lost.
pub struct Erasing<'v> {
    vault: &'v Vault,
    subjects: Vec<Subject>,
}

impl Drop for Erasing<'_> {
    fn drop(&mut self) {
        let mut erasing = self.vault.erasing.lock();
        for subject in &self.subjects {
            if let Some(n) = erasing.get_mut(subject) {
                *n -= 1;
                if *n == 0 {
                    erasing.remove(subject);
                }
            }
        }
        self.vault.n_erasing.store(erasing.len(), Ordering::Release);
    }
}

impl Vault {
    /// From now on, until what it returns is dropped, [`Vault::ensure`] and [`Vault::seal`] refuse these subjects with
    /// [`Error::BeingErased`]; state tables' values are still sealed and opened.
    pub fn begin_erasing(&self, subjects: &[Subject]) -> Erasing<'_> {
        let mut erasing = self.erasing.lock();
        for subject in subjects {
            *erasing.entry(*subject).or_insert(0) += 1;
        }
        self.n_erasing.store(erasing.len(), Ordering::Release);
        drop(erasing);
        Erasing { vault: self, subjects: subjects.to_vec() }
    }

    /// The first of `subjects` that is being erased at this moment.
    pub fn being_erased(&self, subjects: impl IntoIterator<Item = Subject>) -> Option<Subject> {
        if self.n_erasing.load(Ordering::Acquire) == 0 {
            return None;
        }
        let erasing = self.erasing.lock();
        subjects.into_iter().find(|subject| erasing.contains_key(subject))
    }

    /// Destroys the keys of `subjects`, here and in every copy of the vault: bucket keys and root are renewed, many
    /// subjects share one pass. Durable when it returns; cut off, it is completed by the next opening. Who has no key
    /// (any more) costs nothing. Opening and sealing for others goes on meanwhile.
    ///
    /// * `at`, `act`: when it was ordered and by which act, noted for every subject
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Database`]: it is completed by the next call, or when the vault is opened again.
    pub fn erase(&self, subjects: &[Subject], at: Instant, act: RecordId) -> Result<Renewed, Error> {
        self.tree.erase(subjects, at, act, &self.turn, &|gone| self.cache.forget(gone))
    }

    /// When a subject's keys were destroyed last; `None` where they never were.
    ///
    /// # Errors
    /// [`Error`] where the vault cannot be read.
    pub fn erasure_of(&self, subject: Subject) -> Result<Option<Erasure>, Error> {
        self.tree.erasure_of(subject)
    }

    /// Visits every subject whose keys were ever destroyed.
    ///
    /// # Errors
    /// [`Error`] where the vault cannot be read.
    pub fn erasures(&self, visit: impl FnMut(Subject, Erasure)) -> Result<(), Error> {
        self.tree.erasures(visit)
    }

    /// Renews the root and its anchor, and every bucket key if asked to; nobody's keys are destroyed, copies of the vault
    /// from before open nothing any more. Opening and sealing goes on meanwhile.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Database`]
    pub fn rotate_root(&self, with_buckets: bool) -> Result<Renewed, Error> {
        self.tree.renew(with_buckets, &self.turn)
    }

    /// From now on `master` opens the vault, and the one before no longer does. Opening and sealing goes on meanwhile.
    ///
    /// # Errors
    /// [`Error::MasterInside`] where the new one lies in the vault's directory; [`Error::Io`].
    pub fn rotate_master(&self, master: &Master) -> Result<(), Error> {
        self.tree.change_master(master)
    }

    /// Rewrites the vault's database without what was overwritten.
    ///
    /// # Errors
    /// [`Error::Database`]
    pub fn compact(&self) -> Result<(), Error> {
        self.tree.compact()
    }

    /// Pseudonyms as `purpose` sees them.
    ///
    /// # Errors
    /// [`Error`] where the vault cannot be read.
    pub fn pseudonyms(&self, purpose: &str) -> Result<PurposePseudonyms, Error> {
        PurposePseudonyms::new(&Key::from_bytes(*self.secret(PURPOSES)?), purpose)
    }

    /// What pseudonyms of one purpose are called by another: a pass over all subjects, since nothing leads back from a
    /// pseudonym. `None` for who is unknown or erased.
    ///
    /// # Errors
    /// [`Error`] where the vault cannot be read.
    pub fn link(&self, right: &LinkRight, ids: &[Pseudonym]) -> Result<Vec<Option<Pseudonym>>, Error> {
        let (from, to) = right.purposes();
        let (from, to) = (self.pseudonyms(from)?, self.pseudonyms(to)?);
        let mut wanted: FxHashMap<Pseudonym, Option<Pseudonym>> = ids.iter().map(|id| (*id, None)).collect();
        let mut found = Vec::new();
        self.tree.each_subject(|subject| {
            if let Some(place) = wanted.get_mut(&from.of(subject)) {
                *place = Some(to.of(subject));
                found.push(subject);
            }
        })?;
        for subject in found {
            if !self.known(subject)? {
                wanted.insert(from.of(subject), None);
            }
        }
        Ok(ids.iter().map(|id| wanted.get(id).copied().flatten()).collect())
    }

    /// Makes the next renewal stop before a step, as a crash would: for tests of what comes after.
    #[doc(hidden)]
    pub fn stop_before(&self, step: u32) {
        self.tree.stop_before.store(step, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
