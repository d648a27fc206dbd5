//! Online reads: the values of a profile now, under a grant.

use event::{Instant, Subject};
use policy::{Action, Grant};

use crate::context::Context;
use crate::evaluate::Evaluator;
use crate::fold::{Held, Shelf};
use crate::rows::Rows;
use crate::value::Values;
use crate::{Error, View};

/// What a grant may be for, to read features online. Training asks a gold set's cases one by one.
pub(crate) const ACTIONS: [Action; 5] =
    [Action::ReadFeatures, Action::Decide, Action::Train, Action::Export, Action::Claims];

/// Reads features from a shelf.
pub struct Reader<'s> {
    shelf: &'s dyn Shelf,
}

impl<'s> Reader<'s> {
    /// Reads what lies on `shelf`.
    pub fn new(shelf: &'s dyn Shelf) -> Self {
        Self { shelf }
    }

    /// A view's values over the rows of all members of a profile, at an instant.
    ///
    /// * `members`: the profile's members at that instant, in any order
    /// * `at`: now, or at most a day before the latest record of a member
    ///
    /// # Errors
    /// [`Error::Purpose`] where the view is not made for the grant's purpose; [`Error::Denied`] where the grant is
    /// for another action or does not cover a member; [`Error::TooFarBack`]; [`Error::Filling`]; [`Error::Store`].
    pub fn at(&self, grant: &Grant, view: &View, members: &[Subject], at: Instant) -> Result<Values, Error> {
        self.at_with(grant, view, members, at, &Context::default())
    }

    /// As [`Reader::at`], with what the request says for features that are computed when they are asked for.
    ///
    /// # Errors
    /// As [`Reader::at`]; [`Error::Context`] where the request says something of another kind than the view declares.
    pub fn at_with(
        &self,
        grant: &Grant,
        view: &View,
        members: &[Subject],
        at: Instant,
        context: &Context,
    ) -> Result<Values, Error> {
        check_purpose(grant, view)?;
        let said = view.said(context)?;
        let mut members = members.to_vec();
        members.sort_unstable();
        members.dedup();
        let mut held = Vec::with_capacity(members.len());
        for member in members {
            // LAW 3: every member, or none.
            grant.require(&ACTIONS, member)?;
            held.push(self.shelf.held(view, member)?);
        }
        if held.iter().any(Held::is_filling) {
            return Err(Error::Filling { view: view.reference() });
        }
        let rows: Vec<&Rows> = held.iter().filter_map(Held::rows).collect();
        let values = Evaluator::new(view.inner()).values(&rows, at.micros(), &said);
        values.map(|values| Values::new(view.clone(), values)).map_err(|since| too_far_back(view, at, since))
    }
}

/// LAW 3: a view is read for its purposes and no others.
pub(crate) fn check_purpose(grant: &Grant, view: &View) -> Result<(), Error> {
    if view.purposes().iter().any(|purpose| purpose == grant.purpose()) {
        return Ok(());
    }
    Err(Error::Purpose {
        view: view.reference(),
        purpose: grant.purpose().to_owned(),
        allowed: view.purposes().to_vec(),
    })
}

pub(crate) fn too_far_back(view: &View, at: Instant, since: i64) -> Error {
    Error::TooFarBack { view: view.reference(), at, since: Instant::from_micros(since) }
}
