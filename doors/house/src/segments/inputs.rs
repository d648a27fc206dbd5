//! Segments as inputs of decisions and features: whether one person belongs, now.
//!
//! There is no second idea of belonging: it is the segment's rule over the same features and traits that a count reads,
//! at the instant of the read.

use std::collections::BTreeMap;

use event::{Instant, Subject};
use feature::expr::Value;
use feature::{Context, Reader, Values, View};
use policy::{Action, Grant, Principal};
use profile::{SEGMENT, Segment, TRAIT};

use crate::Error;
use crate::house::{House, Identifier};

/// One profile at one instant, and what was found of it so far.
pub(crate) struct Person<'h> {
    house: &'h House,
    grant: &'h Grant,
    members: &'h [Subject],
    at: Instant,
    holds: BTreeMap<String, bool>,
    values: BTreeMap<String, Values>,
    traits: Option<BTreeMap<String, serde_json::Value>>,
}

impl<'h> Person<'h> {
    pub(crate) fn new(house: &'h House, grant: &'h Grant, members: &'h [Subject], at: Instant) -> Self {
        let (holds, values) = (BTreeMap::new(), BTreeMap::new());
        Self { house, grant, members, at, holds, values, traits: None }
    }

    /// A view's values, with what is so of the segments that it asks for.
    ///
    /// * `context`: what the request says
    ///
    /// # Errors
    /// As [`Reader::at_with`]; as [`Person::holds`]
    pub(crate) fn view(&mut self, view: &View, context: &Context) -> Result<Values, Error> {
        let mut so = BTreeMap::new();
        for name in view.segments() {
            so.insert(name.clone(), self.holds(name)?);
        }
        let context = context.clone().with_segments(&so);
        Ok(Reader::new(self.house).at_with(self.grant, view, self.members, self.at, &context)?)
    }

    /// Whether they belong to a segment; what is not known is not true.
    ///
    /// # Errors
    /// [`Error::UnknownSegment`]; [`Error::SegmentPurpose`] where the grant is for another purpose than the segment's;
    /// whatever features and traits say.
    pub(crate) fn holds(&mut self, name: &str) -> Result<bool, Error> {
        if let Some(holds) = self.holds.get(name) {
            return Ok(*holds);
        }
        let house = self.house;
        let segment = house.segment(name)?;
        for_its_purpose(segment, self.grant)?;
        let values = segment.inputs.iter().map(|input| self.value(input));
        let holds = segment.holds(&values.collect::<Result<Vec<_>, _>>()?, self.at);
        self.holds.insert(name.to_owned(), holds);
        Ok(holds)
    }

    /// The value under a name that a segment's rule may have.
    ///
    /// # Errors
    /// As [`Person::holds`]
    pub(crate) fn value(&mut self, input: &str) -> Result<Option<Value>, Error> {
        if let Some(name) = input.strip_prefix(TRAIT) {
            if self.traits.is_none() {
                self.traits = Some(self.house.traits_for(self.grant, self.members)?);
            }
            return Ok(self.traits.as_ref().and_then(|said| said.get(name)).and_then(Value::of_json));
        }
        if let Some(name) = input.strip_prefix(SEGMENT) {
            // A circle is refused by `check`, so this ends.
            return Ok(Some(Value::Flag(self.holds(name)?)));
        }
        let (name, feature) = input.rsplit_once('.').unwrap_or((input, ""));
        if let Some(values) = self.values.get(name) {
            return Ok(values.get(feature).and_then(feature::Value::as_expr));
        }
        let view = self.house.view(name)?;
        let mut so = BTreeMap::new();
        for other in view.segments_of(feature) {
            so.insert(other.to_owned(), self.holds(other)?);
        }
        // Belonging does not depend on what a request says, for a count has no request.
        let context = Context::default().with_segments(&so).partial();
        let values = Reader::new(self.house).at_with(self.grant, view, self.members, self.at, &context)?;
        let value = values.get(feature).and_then(feature::Value::as_expr);
        if view.segments().is_empty() {
            self.values.insert(name.to_owned(), values);
        }
        Ok(value)
    }
}

/// LAW 3: who belongs to a segment is asked for the segment's purpose and no other.
pub(super) fn for_its_purpose(segment: &Segment, grant: &Grant) -> Result<(), Error> {
    if segment.purpose == grant.purpose() {
        return Ok(());
    }
    Err(Error::SegmentPurpose {
        segment: segment.name.clone(),
        purpose: segment.purpose.clone(),
        asked: grant.purpose().to_owned(),
    })
}

impl House {
    /// To which segments of a purpose a person belongs: every segment that is made for it, by name.
    ///
    /// # Errors
    /// [`Error::BadIdentifier`]; [`Error::Denied`] without a grant.
    pub fn segments_of(
        &self,
        principal: &Principal,
        identifier: &Identifier,
        purpose: &str,
    ) -> Result<(Instant, BTreeMap<String, bool>), Error> {
        let subject = self.subject(identifier)?;
        let at = self.clock().settled();
        let grant = self.grant(principal, Action::ReadFeatures, purpose, subject)?;
        let members = self.members(subject)?.subjects;
        let mut person = Person::new(self, &grant, &members, at);
        let made = self.project().segments.iter().filter(|segment| segment.purpose == purpose);
        let so = made.map(|segment| Ok((segment.name.clone(), person.holds(&segment.name)?)));
        Ok((at, so.collect::<Result<_, Error>>()?))
    }
}
