//! Segments: who belongs to a saved rule, now and as of any past instant; counted, taken out, asked in decisions and
//! features.

mod export;
mod inputs;
mod live;
mod needs;
mod then;

use event::{Instant, StreamName, Subject};
use policy::{Action, Grant, Principal};
use profile::{Audience, Segment};
use serde::Serialize;

pub use export::{SegmentFormat, SegmentRow};
pub(crate) use inputs::Person;
pub(crate) use live::Desk;
pub(crate) use needs::Needs;
pub(crate) use then::Then;

use crate::Error;
use crate::finding::{Finding, finding};
use crate::house::House;
use crate::project::Project;

/// How many belong to a segment.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentCount {
    /// The segment.
    pub segment: String,
    /// Its version.
    pub version: u32,
    /// Its purpose.
    pub purpose: String,
    /// The instant it is of.
    pub at: Instant,
    /// Profiles that belong to it.
    pub n_profiles: u64,
    /// Profiles that may be read for its purpose.
    pub n_of: u64,
}

/// Reads `segments/*.yaml`.
pub(crate) fn read_segments(files: Vec<(String, String)>, findings: &mut Vec<Finding>) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for (file, text) in files {
        match Segment::parse(&text, &file) {
            Ok(segment) if segments.iter().any(|known| known.name == segment.name) => {
                let what = format!("segment `{}` is described twice", segment.name);
                findings.push(finding("MR3122", &file, 1, what));
            }
            Ok(segment) => segments.push(segment),
            Err(found) => findings.extend(found),
        }
    }
    segments
}

/// What segments and the precedence of traits name and the project does not have.
pub(crate) fn check(project: &Project, findings: &mut Vec<Finding>) {
    let mut add = |code, file: &str, what: String| findings.push(finding(code, file, 1, what));
    for segment in &project.segments {
        if !project.settings.purposes.contains_key(&segment.purpose) {
            add("MR3122", &segment.file, format!("purpose `{}` is not in [purposes]", segment.purpose));
        }
        for reference in segment.features() {
            match project.feature(reference) {
                None => add("MR3122", &segment.file, format!("there is no feature `{reference}`")),
                Some((view, _)) if !view.purposes().contains(&segment.purpose) => {
                    let (view, purpose) = (view.reference(), &segment.purpose);
                    add("MR3122", &segment.file, format!("view `{view}` is not made for `{purpose}`"));
                }
                Some(_) => {}
            }
        }
        for name in segment.traits() {
            if !is_trait(project, name) {
                let what = format!("no contract whose records are traits has a field `{name}`");
                add("MR3122", &segment.file, what);
            }
        }
    }
    needs::check(project, findings);
    let mut add = |code, file: &str, what: String| findings.push(finding(code, file, 1, what));
    for (setting, stream) in project.rules.traits.streams() {
        if !project.contracts.newest_named(stream).is_some_and(|contract| contract.traits) {
            let what = format!("identity.{setting}: `{stream}` is no stream whose records are traits");
            add("MR7005", "maschinenraum.toml", what);
        }
    }
}

impl House {
    /// A segment by name.
    ///
    /// # Errors
    /// [`Error::UnknownSegment`], listing the known ones.
    pub fn segment(&self, name: &str) -> Result<&Segment, Error> {
        let all = &self.project().segments;
        all.iter().find(|segment| segment.name == name).ok_or_else(|| Error::UnknownSegment {
            name: name.chars().take(64).collect(),
            known: all.iter().map(|segment| segment.name.clone()).collect(),
        })
    }

    /// How many belong to a segment now, or as of a past instant. Whoever said no to its purpose is in neither count,
    /// whatever they had said at that instant.
    ///
    /// # Errors
    /// [`Error::UnknownSegment`]; [`Error::Denied`] without the right to export.
    pub fn count_segment(
        &self,
        principal: &Principal,
        name: &str,
        at: Option<Instant>,
    ) -> Result<SegmentCount, Error> {
        let segment = self.segment(name)?;
        if at.is_some() {
            return Ok(self.segment_profiles(principal, name, at)?.0);
        }
        self.with_audience(principal, &segment.purpose, |audience| {
            let n_profiles = audience.select(&segment.rule, &segment.inputs).len();
            counted(segment, audience.at(), n_profiles, audience.n_people())
        })
    }

    /// The profiles that belong to a segment, now or as of a past instant, by name.
    ///
    /// # Errors
    /// As [`House::count_segment`]
    pub fn segment_profiles(
        &self,
        principal: &Principal,
        name: &str,
        at: Option<Instant>,
    ) -> Result<(SegmentCount, Vec<Subject>), Error> {
        let segment = self.segment(name)?;
        if let Some(at) = at {
            self.not_to_come(at)?;
            let (profiles, n_of) = self.belonged_then(principal, segment, at)?;
            return Ok((counted(segment, at, profiles.len() as u64, n_of), profiles));
        }
        self.with_audience(principal, &segment.purpose, |audience: &Audience| {
            let found = audience.select(&segment.rule, &segment.inputs);
            let mut profiles: Vec<Subject> = audience.at_places(&found).collect();
            profiles.sort_unstable();
            (counted(segment, audience.at(), found.len(), audience.n_people()), profiles)
        })
    }

    /// True where the records of a stream are of people and not of households or accounts: its subject key has a field
    /// that names somebody.
    fn is_about_people(&self, stream: &StreamName) -> bool {
        let rules = &self.project().rules;
        let Some(contract) = self.composition().contracts.newest(stream) else { return true };
        let names_an_entity = |path: &contract::Path| {
            let kind = contract.field(path.as_str()).and_then(|field| field.identifier.as_ref());
            kind.is_some_and(|kind| rules.is_entity(kind))
        };
        let key = &contract.subject_key.fields;
        key.is_empty() || !key.iter().all(names_an_entity)
    }

    /// Refuses an instant that is still to come: nobody knows yet who will belong to what.
    ///
    /// # Errors
    /// [`Error::ToCome`]
    pub(crate) fn not_to_come(&self, at: Instant) -> Result<(), Error> {
        let now = self.now();
        if at > now { Err(Error::ToCome { at, now }) } else { Ok(()) }
    }

    fn grant_many<'m>(
        &self,
        principal: &Principal,
        purpose: &str,
        profiles: impl Iterator<Item = &'m Vec<Subject>>,
    ) -> Result<Grant, Error> {
        let (action, now) = (Action::Export, self.clock().settled());
        Ok(policy::authorize_many(principal, action, purpose, profiles, self, self.purposes(), now)?.grant)
    }
}

fn counted(segment: &Segment, at: Instant, n_profiles: u64, n_of: u64) -> SegmentCount {
    let (name, purpose) = (segment.name.clone(), segment.purpose.clone());
    SegmentCount { segment: name, version: segment.version, purpose, at, n_profiles, n_of }
}

/// Whether a contract whose records are traits has this field.
fn is_trait(project: &Project, name: &str) -> bool {
    let known = project.contracts.iter().filter(|contract| contract.traits);
    known.flat_map(|contract| &contract.fields).any(|field| field.name == name)
}
