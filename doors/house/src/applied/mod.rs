//! What was put into force: every version of a contract, of a metric's formula, of a segment and of a
//! feature, as records of the control partition
//! (`mr.contracts`).
//!
//! What a version says never changes: records say under which version they were judged, decisions under which formula
//! they count, and a figure of last year is only worth something while both can be looked up. So a text that changed
//! under a version that stayed is refused, by `check`, by `apply` and by whatever opens the house, with both texts'
//! difference and the version that would be due.
//!
//! The records are the truth. `in_force.json` in the data directory is a page written from them after every opening, so
//! that `check` can say the same without opening an instance that a server may hold.

mod figures;
mod ledger;
mod page;
mod tables;

pub use ledger::{AppliedContract, AppliedFeature, AppliedFormula, AppliedSegment, Ledger};
pub(crate) use page::recall;
pub(crate) use tables::{APPLIED, AppliedFold, Note, Tables};

use event::{RecordId, Subject};

use crate::Error;
use crate::house::{House, WAIT, system_record};
use crate::project::Project;

impl Project {
    /// What this project says otherwise than what is in force, under a version that stayed: as the data directory's page
    /// has it, without opening the instance.
    ///
    /// # Errors
    /// [`Error::Directory`] where the page is there and cannot be read.
    pub fn refused_changes(&self) -> Result<Vec<crate::Finding>, Error> {
        Ok(recall(self)?.map(|ledger| ledger.objections(self)).unwrap_or_default())
    }

    /// What changes under a version that says too little for it (MR1130, MR1131), held against the data directory's page.
    ///
    /// # Errors
    /// As [`Project::refused_changes`].
    pub fn dishonest_changes(&self) -> Result<Vec<crate::Finding>, Error> {
        Ok(recall(self)?.map(|ledger| ledger.dishonest(self)).unwrap_or_default())
    }
}

/// Refuses what the page in the data directory knows to say otherwise: before the state is folded anew by it.
pub(crate) fn refuse_changed(project: &Project) -> Result<(), Error> {
    let findings = project.refused_changes()?;
    if findings.is_empty() { Ok(()) } else { Err(Error::Project { findings }) }
}

impl House {
    /// Every version of contracts, formulas, segments and features that was ever in force.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn ledger(&self) -> Result<Ledger, Error> {
        self.in_control(|rooms| rooms.applied.ledger())
    }

    /// Puts the project's contracts and formulas into force where they are new.
    ///
    /// # Errors
    /// [`Error::Project`] where one of them says something else than its version said before.
    pub(crate) fn settle_applied(&self) -> Result<(), Error> {
        let ledger = self.ledger()?;
        let findings = ledger.objections(self.project());
        if !findings.is_empty() {
            return Err(Error::Project { findings });
        }
        let notes = ledger.news(self.project());
        if !notes.is_empty() {
            let flight = self.clock().arrive();
            let record = |note: &Note| {
                let id = RecordId::external(APPLIED, note.key().as_bytes());
                system_record(APPLIED, Subject::NONE, id, None, &flight, note.to_payload())
            };
            self.engine().append_folded(notes.iter().map(record).collect(), WAIT)?;
            drop(flight);
        }
        page::write(&self.ledger()?, self.layout())
    }
}
