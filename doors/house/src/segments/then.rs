//! Who belonged to a segment then: as of each label's own instant, out of the journal, by the folds and the evaluation
//! that serve now (LAW 5).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use contract::Bound;
use event::{Instant, Partition, Record, StreamName, Subject};
use feature::expr::Value;
use feature::{AsOf, Builder, Context, Label, View};
use policy::{Grant, Principal};
use profile::{Precedence, SEGMENT, Segment, TRAIT, TraitFold, TraitTables};
use store::{Emissions, Fold as _, Scope};

use super::inputs::for_its_purpose;
use super::needs::{Needs, Unmade};
use crate::Error;
use crate::house::{House, WAIT};
use crate::project::Project;

/// What lies in the journal that some segments are made from.
pub(crate) struct Then<'p> {
    project: &'p Project,
    needs: Needs<'p>,
    views: Vec<(&'p View, AsOf)>,
    traits: TraitFold,
    /// Records that say something of a trait that is needed, by when they were known.
    said: Vec<(Record, serde_json::Value)>,
}

/// Who belonged, by segment: one answer a label, in their order.
pub(crate) type Held<'p> = BTreeMap<&'p str, Vec<bool>>;

impl Then<'_> {
    fn precedence(&self) -> &Precedence {
        &self.project.rules.traits
    }

    /// Whether each label's profile belonged to each of the segments, at the label's instant.
    ///
    /// * `grant`: to train with or to take out, for the segments' purpose, over all members
    ///
    /// # Errors
    /// [`Error::SegmentPurpose`]; whatever features and traits say.
    pub(crate) fn holds(&self, grant: &Grant, labels: &[Label<'_>]) -> Result<Held<'_>, Error> {
        let traits = self.traits_then(grant, labels)?;
        let mut held: Held<'_> = BTreeMap::new();
        for segment in &self.needs.segments {
            for_its_purpose(segment, grant)?;
            let mut columns = Vec::with_capacity(segment.inputs.len());
            for input in &segment.inputs {
                columns.push(self.column(input, grant, labels, &traits, &held)?);
            }
            let holds = labels.iter().enumerate().map(|(i, label)| {
                let values: Vec<Option<Value>> =
                    columns.iter().map(|column| column.get(i).cloned().flatten()).collect();
                segment.holds(&values, label.at)
            });
            held.insert(&segment.name, holds.collect());
        }
        Ok(held)
    }

    /// The values under a name that a rule may have, one a label.
    fn column(
        &self,
        input: &str,
        grant: &Grant,
        labels: &[Label<'_>],
        traits: &[BTreeMap<String, Value>],
        held: &Held<'_>,
    ) -> Result<Vec<Option<Value>>, Error> {
        if let Some(name) = input.strip_prefix(TRAIT) {
            return Ok(traits.iter().map(|said| said.get(name).cloned()).collect());
        }
        if let Some(name) = input.strip_prefix(SEGMENT) {
            let so = held.get(name).map(Vec::as_slice).unwrap_or_default();
            return Ok(so.iter().map(|holds| Some(Value::Flag(*holds))).collect());
        }
        let found = self.project.feature(input);
        let as_of = found.and_then(|(view, _)| self.views.iter().find(|(known, _)| *known == view));
        let (Some((view, feature)), Some((_, as_of))) = (found, as_of) else {
            return Ok(vec![None; labels.len()]);
        };
        // Belonging does not depend on what a request says, for a count has no request.
        let contexts = if view.segments().is_empty() {
            Vec::new()
        } else {
            let so = contexts(&[], view, held, labels.len());
            so.into_iter().map(Context::partial).collect()
        };
        let matrix = as_of.values_with(grant, labels, &contexts, threads())?;
        let column = matrix.column(feature);
        Ok((0..labels.len()).map(|i| column.and_then(|column| column.value(i).as_expr())).collect())
    }

    /// The traits that are needed, of each label's profile, by what was known then.
    fn traits_then(
        &self,
        grant: &Grant,
        labels: &[Label<'_>],
    ) -> Result<Vec<BTreeMap<String, Value>>, Error> {
        let mut found = vec![BTreeMap::new(); labels.len()];
        if self.needs.traits.is_empty() {
            return Ok(found);
        }
        let mut in_time: Vec<usize> = (0..labels.len()).collect();
        in_time.sort_by_key(|i| labels.get(*i).map(|label| label.at));
        let mut tables = TraitTables::open(&Scope::memory(Partition::CONTROL));
        let mut said = self.said.iter().peekable();
        for i in in_time {
            let (Some(label), Some(place)) = (labels.get(i), found.get_mut(i)) else { continue };
            while let Some((record, fields)) = said.next_if(|(record, _)| record.known_at <= label.at) {
                self.traits.fold(&mut tables, &Bound { record, fields }, &mut Emissions::default())?;
            }
            let inputs = profile::inputs(grant, label.members, &tables, self.precedence())?;
            let needed = inputs.into_iter().filter(|(name, _)| self.needs.traits.contains(name.as_str()));
            place.extend(needed.filter_map(|(name, value)| Some((name, Value::of_json(&value)?))));
        }
        Ok(found)
    }

    /// The contexts of a view's labels: what each request said, and what was so of the segments that the view asks for.
    ///
    /// # Errors
    /// As [`Then::holds`]
    pub(crate) fn contexts(
        &self,
        grant: &Grant,
        view: &View,
        labels: &[Label<'_>],
        said: &[Context],
    ) -> Result<Vec<Context>, Error> {
        if view.segments().is_empty() {
            return Ok(said.to_vec());
        }
        Ok(contexts(said, view, &self.holds(grant, labels)?, labels.len()))
    }
}

impl Then<'_> {
    /// A manifest's line about each of the segments.
    pub(crate) fn versions(&self) -> impl Iterator<Item = registry::FeatureVersion> {
        self.needs.segments.iter().map(|segment| registry::FeatureVersion {
            view: format!("{SEGMENT}{}", segment.name),
            version: segment.version,
            fingerprint: segment.fingerprint(),
        })
    }
}

fn contexts(said: &[Context], view: &View, held: &Held<'_>, n: usize) -> Vec<Context> {
    let of = |i: usize| {
        let so = |name: &String| {
            let holds = held.get(name.as_str())?.get(i)?;
            Some((name.clone(), *holds))
        };
        let so: BTreeMap<String, bool> = view.segments().iter().filter_map(so).collect();
        said.get(i).cloned().unwrap_or_default().with_segments(&so)
    };
    (0..n).map(of).collect()
}

fn threads() -> NonZeroUsize {
    NonZeroUsize::new(2).unwrap_or(NonZeroUsize::MIN)
}

/// What is read out of the journal, record by record.
struct Reading<'p> {
    needs: Needs<'p>,
    builders: Vec<(&'p View, Builder)>,
    trait_streams: BTreeSet<String>,
    said: Vec<(Record, serde_json::Value)>,
}

impl<'p> Reading<'p> {
    fn new(project: &'p Project, names: BTreeSet<&'p str>) -> Result<Self, Error> {
        let needs = Needs::of(project, names).map_err(|unmade| match unmade {
            Unmade::Missing(name) => Error::UnknownSegment {
                name,
                known: project.segments.iter().map(|segment| segment.name.clone()).collect(),
            },
            Unmade::Circle(circle) => Error::Internal { reason: circle.join(" → ") },
        })?;
        let mut builders: Vec<(&View, Builder)> = Vec::new();
        for reference in &needs.features {
            let Some((view, _)) = project.feature(reference) else { continue };
            if !builders.iter().any(|(known, _)| *known == view) {
                builders.push((view, Builder::new(view)));
            }
        }
        let mut trait_streams = BTreeSet::new();
        if !needs.traits.is_empty() {
            let saying = project.contracts.iter().filter(|contract| contract.traits);
            trait_streams.extend(saying.map(|contract| contract.stream.to_string()));
        }
        Ok(Self { needs, builders, trait_streams, said: Vec::new() })
    }

    fn streams(&self) -> BTreeSet<String> {
        let of_views = self.builders.iter().map(|(view, _)| view.stream().to_string());
        of_views.chain(self.trait_streams.iter().cloned()).collect()
    }

    fn takes(&self, stream: &str) -> bool {
        self.trait_streams.contains(stream)
            || self.builders.iter().any(|(view, _)| view.stream().as_str() == stream)
    }

    fn take(&mut self, record: &Record, fields: &serde_json::Value) {
        let bound = Bound { record, fields };
        for (view, builder) in &mut self.builders {
            if let Some(row) = view.row_of(&bound) {
                builder.add(record.subject, &row);
            }
        }
        if let (true, Some(all)) = (self.trait_streams.contains(record.stream.as_str()), fields.as_object()) {
            let needed = all.iter().filter(|(name, _)| self.needs.traits.contains(name.as_str()));
            let needed: serde_json::Map<_, _> =
                needed.map(|(name, said)| (name.clone(), said.clone())).collect();
            if !needed.is_empty() {
                let record = Record { payload: event::Payload::default(), ..record.clone() };
                self.said.push((record, needed.into()));
            }
        }
    }

    fn finish(self, project: &'p Project) -> Result<Then<'p>, Error> {
        let Self { needs, builders, trait_streams, mut said } = self;
        said.sort_by_key(|(record, _)| (record.known_at, record.id));
        let finish = |(view, builder): (&'p View, Builder)| Ok((view, builder.finish(threads())?));
        Ok(Then {
            project,
            needs,
            views: builders.into_iter().map(finish).collect::<Result<_, Error>>()?,
            traits: TraitFold::new(trait_streams.iter().map(|name| StreamName::new(name.as_str()))),
            said,
        })
    }
}

impl House {
    /// What lies in the journal that segments of a project are made from, bound by that project's contracts. Where
    /// nothing is asked for, nothing is read.
    ///
    /// # Errors
    /// [`Error::UnknownSegment`]; whatever the journal says.
    pub(crate) fn then<'p>(
        &self,
        project: &'p Project,
        names: BTreeSet<&'p str>,
        is_wanted: impl Fn(Subject) -> bool,
    ) -> Result<Then<'p>, Error> {
        let mut reading = Reading::new(project, names)?;
        let streams = reading.streams();
        if !streams.is_empty() {
            self.each_record(&streams, |record| {
                let is_somebodys = !record.subject.is_none() && is_wanted(record.subject);
                if is_somebodys && let Some(fields) = self.bound_by(project, record)? {
                    reading.take(record, &fields);
                }
                Ok(())
            })?;
        }
        reading.finish(project)
    }

    /// A record as a project's newest contract names it.
    fn bound_by(&self, project: &Project, record: &Record) -> Result<Option<serde_json::Value>, Error> {
        let Some(contract) = project.contracts.newest(&record.stream) else { return Ok(None) };
        let raw = intake::raw(self.vault(), record)?;
        let mut fields = contract.bind(&raw);
        self.composition().corrections.put_right(record, contract, &mut fields)?;
        Ok(Some(fields))
    }

    /// The profiles that belonged to a segment at an instant of the past, and how many might be read for its purpose.
    /// Consents are those of now.
    pub(super) fn belonged_then(
        &self,
        principal: &Principal,
        segment: &Segment,
        at: Instant,
    ) -> Result<(Vec<Subject>, u64), Error> {
        self.engine().settle(WAIT)?;
        let mut reading = Reading::new(self.project(), BTreeSet::from([segment.name.as_str()]))?;
        let contracts = &self.composition().contracts;
        let streams: BTreeSet<String> =
            contracts.iter().map(|contract| contract.stream.to_string()).collect();
        let mut subjects = BTreeSet::new();
        self.each_record(&streams, |record| {
            if record.subject.is_none() || record.known_at > at {
                return Ok(());
            }
            if self.is_about_people(&record.stream) {
                subjects.insert(record.subject);
            }
            if reading.takes(record.stream.as_str())
                && let Some(fields) = self.composition().bind(record)?
            {
                reading.take(record, &fields);
            }
            Ok(())
        })?;
        let mut people: BTreeMap<Subject, Vec<Subject>> = BTreeMap::new();
        for subject in subjects {
            if !self.in_control(|rooms| rooms.identities.is_entity(subject))? {
                let known = self.in_control(|rooms| rooms.identities.members_as_of(subject, at))?;
                people.entry(known.id).or_insert(known.subjects);
            }
        }
        let grant = self.grant_many(principal, &segment.purpose, people.values())?;
        people.retain(|_, members| members.iter().all(|member| grant.permits(*member)));
        let labels: Vec<Label<'_>> = people.values().map(|members| Label { members, at }).collect();
        let then = reading.finish(self.project())?;
        let held = then.holds(&grant, &labels)?;
        let holds = held.get(segment.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let belonged = people.keys().zip(holds).filter(|(_, holds)| **holds).map(|(profile, _)| *profile);
        Ok((belonged.collect(), labels.len() as u64))
    }
}
