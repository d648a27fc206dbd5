//! Versions on their way to traffic, each step by a named person and only through the gate (LAW 8).

use std::sync::Arc;

use event::{RecordId, Subject};
use policy::Principal;
use registry::{Card, ModelName, ModelState, Move, RELEASES, ReleaseEvent, VersionNumber};

use crate::Error;
use crate::house::House;

impl House {
    /// Every model with all its versions.
    ///
    /// # Errors
    /// [`Error::Registry`]
    pub fn models(&self) -> Result<Vec<(ModelName, ModelState)>, Error> {
        Ok(self.in_control(|rooms| Ok(rooms.releases.models()))??)
    }

    /// A model with all its versions.
    ///
    /// # Errors
    /// [`Error::Registry`]
    pub fn model(&self, name: &str) -> Result<Arc<ModelState>, Error> {
        let name: ModelName = name.parse()?;
        Ok(self.in_control(|rooms| Ok(rooms.releases.model(&name)))??)
    }

    /// The card of a version, made from what is so now.
    ///
    /// # Errors
    /// [`Error::Registry`]
    pub fn card(&self, name: &str, version: VersionNumber) -> Result<Card, Error> {
        let state = self.model(name)?;
        Ok(Card::of(&name.parse()?, &state, version)?)
    }

    /// Moves a version; in force with the next request.
    ///
    /// # Errors
    /// [`Error::Registry`] with the gate's figures where the gate refuses.
    pub fn promote(
        &self,
        principal: &Principal,
        name: &str,
        version: VersionNumber,
        to: Move,
        reason: &str,
    ) -> Result<(), Error> {
        let (model, by) = (name.parse()?, principal.name().to_owned());
        // LAW 8: nothing goes to traffic for a use case that may not begin.
        if matches!(to, Move::Live | Move::Canary(_)) {
            self.cleared_for_release(name)?;
        }
        self.release(&ReleaseEvent::Moved { model, version, to, by, reason: reason.to_owned() })
    }

    /// Takes the latest move to traffic back; in force with the next request.
    ///
    /// # Errors
    /// [`Error::Registry`] where there is nothing to take back.
    pub fn rollback(&self, principal: &Principal, name: &str, reason: &str) -> Result<(), Error> {
        let (model, by) = (name.parse()?, principal.name().to_owned());
        self.release(&ReleaseEvent::RolledBack { model, by, reason: reason.to_owned() })
    }

    /// Appends a release event that is allowed, and says why one is not.
    pub(crate) fn release(&self, event: &ReleaseEvent) -> Result<(), Error> {
        // Releases are rare and ordered: one at a time, or two that exclude each other could both be told yes.
        let _turn = self.releasing.lock();
        let now = self.now();
        self.in_control(|rooms| Ok(rooms.releases.check(event, now)))??;
        let payload = event.to_payload()?;
        let key = [payload.as_slice(), &now.micros().to_be_bytes()].concat();
        let id = RecordId::external(RELEASES, &key);
        match crate::auditing::of_release(event) {
            Some(act) => self.append_audited(&act, RELEASES, Subject::NONE, id, None, payload)?,
            None => self.append_system(RELEASES, Subject::NONE, id, None, payload)?,
        };
        Ok(())
    }
}
