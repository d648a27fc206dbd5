//! The proof that a read is allowed.

use event::{Instant, Subject};
use vault::Vault;
use zeroize::Zeroizing;

use crate::rows::place;
use crate::{Action, Denied};

/// Proves that a principal may do one thing, for one purpose, with the data of certain subjects, as their
/// consents stood at one instant. Made by [`authorize`](crate::authorize) and
/// [`authorize_many`](crate::authorize_many) only.
pub struct Grant {
    principal: String,
    action: Action,
    purpose: String,
    /// Sorted, without duplicates.
    subjects: Box<[Subject]>,
    consent_epoch: u64,
    issued_at: Instant,
}

impl Grant {
    /// * `subjects`: sorted, without duplicates
    pub(crate) fn new(
        principal: &str,
        action: Action,
        purpose: &str,
        subjects: Vec<Subject>,
        consent_epoch: u64,
        issued_at: Instant,
    ) -> Self {
        debug_assert!(subjects.is_sorted());
        let subjects = subjects.into_boxed_slice();
        Self {
            principal: principal.into(),
            action,
            purpose: purpose.into(),
            subjects,
            consent_epoch,
            issued_at,
        }
    }

    /// Who was granted.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// What may be done.
    pub fn action(&self) -> Action {
        self.action
    }

    /// For which purpose.
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// With whose data, sorted.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// The sum of the subjects' consent epochs: where it has grown, someone has said something since.
    pub fn consent_epoch(&self) -> u64 {
        self.consent_epoch
    }

    /// When it was granted.
    pub fn issued_at(&self) -> Instant {
        self.issued_at
    }

    /// True where `subject`'s data may be used.
    pub fn permits(&self, subject: Subject) -> bool {
        place(&self.subjects, subject).is_some()
    }

    /// What a reading function asks first: is this grant for one of `actions`, and for `subject`?
    ///
    /// # Errors
    /// [`Denied::NotGranted`] where it is not.
    pub fn require(&self, actions: &[Action], subject: Subject) -> Result<(), Denied> {
        // LAW 3: a grant for one thing, or one person, is none for another.
        if actions.contains(&self.action) && self.permits(subject) {
            return Ok(());
        }
        Err(Denied::NotGranted { action: self.action, purpose: self.purpose.clone(), subject })
    }

    /// Opens a sealed cell of a subject that this grant is for; `None` where the key is destroyed.
    ///
    /// # Errors
    /// [`Denied::NotGranted`] for another subject, [`Denied::Sealed`] where the vault cannot open it.
    pub fn unseal(
        &self,
        vault: &Vault,
        subject: Subject,
        column: &str,
        schema_major: u32,
        cell: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Denied> {
        self.require(&[self.action], subject)?;
        Ok(vault.unseal(subject, column, schema_major, cell)?)
    }
}

/// Says what it is, and of how many, not of whom.
impl std::fmt::Debug for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (action, n) = (self.action.as_str(), self.subjects.len());
        write!(f, "Grant({} may {action} {n} subjects for {})", self.principal, self.purpose)
    }
}
