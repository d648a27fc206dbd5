//! Asking: the roles first, inside every grant.

use std::sync::Arc;

use event::Subject;
use policy::{Action, ConsentView, Denied, Principal, Scope, Standing};
use roles::{Asked, Classes, Roles};
use serde::Serialize;

use crate::Error;
use crate::house::House;

/// What the policies say to a question.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyView {
    /// True where it is allowed.
    pub allowed: bool,
    /// Why, naming the policies with file and line.
    pub why: String,
    /// The version of the policies.
    pub version: String,
}

/// The house as `policy` asks it, where the classes of the fields that are read are known.
pub(crate) struct Reading<'h> {
    house: &'h House,
    classes: Classes,
}

impl ConsentView for Reading<'_> {
    fn standing(&self, subject: Subject) -> Result<Option<Arc<Standing>>, store::Error> {
        self.house.standing(subject)
    }

    fn may(&self, who: &Principal, action: Action, purpose: &str) -> Result<(), Denied> {
        self.house.allow(who, action, purpose, self.classes)
    }
}

impl House {
    /// The roles and policies in force.
    pub fn roles(&self) -> &Roles {
        &self.project().roles
    }

    /// What the policies say, without doing anything.
    pub fn ask_policies(&self, who: &Principal, asked: &Asked) -> PolicyView {
        let roles = self.roles();
        let decision = roles.answer(who, asked);
        let (why, version) = (roles.why(&decision), roles.version().to_owned());
        PolicyView { allowed: decision.allowed, why, version }
    }

    /// Lets a caller in by a door, or says why not.
    ///
    /// # Errors
    /// [`Error::Denied`]
    pub fn let_in(&self, who: &Principal, door: Scope) -> Result<(), Error> {
        self.roles()
            .require_entry(who, door)
            .map_err(|denied| self.denied(who, door.as_str(), None, &denied).into())
    }

    /// This house as a grant is asked for, where the classes of the fields that will be read are known.
    pub(crate) fn reading(&self, classes: Classes) -> Reading<'_> {
        Reading { house: self, classes }
    }

    /// One decision of the policies per query (LAW 3): remembered, so that it costs next to nothing.
    pub(crate) fn allow(
        &self,
        who: &Principal,
        action: Action,
        purpose: &str,
        classes: Classes,
    ) -> Result<(), Denied> {
        let asked = self.roles().require(who, action, purpose, classes);
        asked.map_err(|denied| self.denied(who, action.as_str(), Some(purpose), &denied))
    }

    /// LAW 10: a denial by the policies is in the audit log.
    fn denied(&self, who: &Principal, what: &str, purpose: Option<&str>, denied: &roles::Error) -> Denied {
        self.note_denial(who, what, purpose, denied);
        Denied::ByRole { reason: denied.to_string() }
    }
}
