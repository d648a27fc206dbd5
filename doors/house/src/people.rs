//! Profiles and features of one person, each read under a grant.

use std::collections::BTreeMap;

use decide::{Input, Origin};
use event::{Instant, Subject};
use feature::{Held, Shelf, Values, View};
use policy::{Action, Grant, Principal};
use profile::{Profile, Profiles};
use roles::Classes;
use serde_json::Value;

use crate::Error;
use crate::house::{House, Identifier};
use crate::permitting::SeenTraits;
use crate::rooms::Rooms;
use crate::segments::Person;

impl Shelf for House {
    fn held(&self, view: &View, subject: Subject) -> Result<Held, store::Error> {
        let look = |rooms: &Rooms| rooms.features.held(view, subject);
        self.engine().read_within(self.partition_of(subject), look).unwrap_or_else(|| Ok(Held::default()))
    }
}

impl House {
    /// What is known of a person, for a purpose.
    ///
    /// # Errors
    /// [`Error::Denied`] without a grant.
    pub fn profile(
        &self,
        principal: &Principal,
        identifier: &Identifier,
        purpose: &str,
    ) -> Result<Profile, Error> {
        let subject = self.subject(identifier)?;
        let (members, now) = (self.members(subject)?.subjects, self.clock().settled());
        let reading = self.reading(self.project().seen.of_traits(purpose));
        let (action, purposes) = (Action::ReadProfile, self.purposes());
        let grant = policy::authorize(principal, action, purpose, &members, &reading, purposes, now)?;
        self.audit_look("person.read", principal, purpose, Some(subject), serde_json::Value::Null)?;
        self.read_profile(&grant, subject)
    }

    pub(crate) fn read_profile(&self, grant: &Grant, subject: Subject) -> Result<Profile, Error> {
        // Traits of members lie in other partitions than the graph: the graph is read first, then each of them, so
        // that no two partitions are locked at once.
        // What the purpose does not see is not there (GDPR article 5(1)(c)).
        let traits = SeenTraits { traits: self, house: self, purpose: grant.purpose() };
        let look = |rooms: &Rooms| {
            Ok(Profiles::new(&rooms.identities, &traits)
                .by(&self.project().rules.traits)
                .read(grant, subject))
        };
        Ok(self.in_control(look)??)
    }

    /// Values of feature views for a person, for a purpose.
    ///
    /// # Errors
    /// [`Error::UnknownView`], [`Error::Denied`], [`Error::Feature`]
    pub fn features(
        &self,
        principal: &Principal,
        identifier: &Identifier,
        purpose: &str,
        views: &[String],
    ) -> Result<(Instant, Vec<Values>), Error> {
        self.features_with(principal, identifier, purpose, views, &feature::Context::default())
    }

    /// As [`House::features`].
    ///
    /// * `context`: what the request says of its moment, for features that are computed then
    ///
    /// # Errors
    /// As [`House::features`].
    pub fn features_with(
        &self,
        principal: &Principal,
        identifier: &Identifier,
        purpose: &str,
        views: &[String],
        context: &feature::Context,
    ) -> Result<(Instant, Vec<Values>), Error> {
        let subject = self.subject(identifier)?;
        let at = self.clock().settled();
        let members = self.members(subject)?.subjects;
        let seen = &self.project().seen;
        let classes = views.iter().map(|name| Ok(seen.of_view(purpose, self.view(name)?)));
        let classes =
            classes.collect::<Result<Vec<_>, Error>>()?.into_iter().fold(Classes::default(), Classes::and);
        let (action, purposes) = (Action::ReadFeatures, self.purposes());
        let reading = self.reading(classes);
        let grant = policy::authorize(principal, action, purpose, &members, &reading, purposes, at)?;
        let mut person = Person::new(self, &grant, &members, at);
        let values = views.iter().map(|name| {
            let values = person.view(self.view(name)?, context)?;
            let view = values.view().clone();
            Ok(values.only(|feature| seen.sees_feature(purpose, &view, feature)))
        });
        let values = values.collect::<Result<_, Error>>()?;
        Ok((at, values))
    }

    /// A feature view by name, or by name and version as `orders@2`.
    ///
    /// # Errors
    /// [`Error::UnknownView`], listing the known ones.
    pub fn view(&self, name: &str) -> Result<&View, Error> {
        self.project().views.find(name).ok_or_else(|| Error::UnknownView {
            name: name.chars().take(64).collect(),
            known: self.project().views.iter().map(View::reference).collect(),
        })
    }

    /// Asks for a grant over a subject's whole profile.
    pub(crate) fn grant(
        &self,
        principal: &Principal,
        action: Action,
        purpose: &str,
        subject: Subject,
    ) -> Result<Grant, Error> {
        self.grant_on(principal, action, purpose, None, subject)
    }

    /// Asks for a grant over a subject's whole profile, for what reaches it by a channel.
    pub(crate) fn grant_on(
        &self,
        principal: &Principal,
        action: Action,
        purpose: &str,
        channel: Option<&str>,
        subject: Subject,
    ) -> Result<Grant, Error> {
        let members = self.members(subject)?.subjects;
        let now = self.clock().settled();
        let purposes = self.purposes();
        Ok(policy::authorize_on(principal, action, purpose, channel, &members, self, purposes, now)?)
    }

    /// Values of features named `view.feature`, as inputs of a decision.
    pub(crate) fn feature_inputs(
        &self,
        grant: &Grant,
        references: &[String],
        members: &[Subject],
        at: Instant,
        context: &feature::Context,
    ) -> Result<Vec<Input>, Error> {
        let mut person = Person::new(self, grant, members, at);
        let mut read: Vec<(String, Values)> = Vec::new();
        let mut inputs = Vec::with_capacity(references.len());
        for reference in references {
            let (name, feature) = reference.rsplit_once('.').unwrap_or((reference, ""));
            if !read.iter().any(|(known, _)| known == name) {
                let values = person.view(self.view(name)?, context)?;
                read.push((name.to_owned(), values));
            }
            let Some((_, values)) = read.iter().find(|(known, _)| known == name) else { continue };
            inputs.push(Input {
                name: reference.clone(),
                origin: Origin::Feature,
                value: values.get(feature).and_then(as_decide),
                version: values.view().version().to_string(),
                personal: values.view().is_personal() || crate::ondemand::hears(values.view(), feature),
            });
        }
        Ok(inputs)
    }

    /// The traits of a profile's members as plain values.
    pub(crate) fn traits_for(
        &self,
        grant: &Grant,
        members: &[Subject],
    ) -> Result<BTreeMap<String, Value>, Error> {
        Ok(profile::inputs(grant, members, self, &self.project().rules.traits)?)
    }
}

/// A feature's value as a decision takes it.
pub(crate) fn as_decide(value: &feature::Value) -> Option<decide::Value> {
    match value {
        feature::Value::Boolean(truth) => Some(decide::Value::from(*truth)),
        feature::Value::Text(text) => Some(decide::Value::from(&**text)),
        other => other.as_number().and_then(decide::Value::number),
    }
}
