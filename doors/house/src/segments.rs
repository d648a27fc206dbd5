//! Segments: who belongs to a saved rule, now and as of any past instant; counted, taken out, asked in decisions.
//!
//! All people of a purpose lie in one [`Audience`] in memory. It is made when it is first asked for and follows the
//! journal from then on: whoever a new record is about is read again, and everybody once a minute, because windows move
//! without a record. It is no state: it is made anew from what the folds keep, so it can be no other than they are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;

use contract::Bound;
use event::{Instant, Partition, Position, Record, Span, Subject};
use feature::expr::Value;
use feature::{AsOf, Label, Reader, View};
use parking_lot::Mutex;
use policy::{Action, Grant, Principal};
use profile::{Audience, Profiles, Segment, TRAIT, TraitFold, TraitTables};
use serde::Serialize;
use store::{Emissions, Fold as _, Scope};

use crate::Error;
use crate::finding::{Finding, finding};
use crate::house::{House, WAIT};
use crate::project::Project;
use crate::rooms::Rooms;

/// How old the value of a window may be: after so long everybody is read again.
const READ_AGAIN: Span = Span::from_secs(60);

/// How many belong to a segment.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentCount {
    /// The segment.
    pub segment: String,
    /// Its purpose.
    pub purpose: String,
    /// The instant it is of.
    pub at: Instant,
    /// Profiles that belong to it.
    pub n_profiles: u64,
    /// Profiles that may be read for its purpose.
    pub n_of: u64,
}

/// The audiences in memory, by purpose.
#[derive(Default)]
pub(crate) struct Desk(Mutex<BTreeMap<String, Live>>);

/// Everybody who may be read for a purpose, as of the latest look.
struct Live {
    /// Who asked: nobody is counted under another's rights.
    principal: String,
    from: Vec<Position>,
    read_at: Instant,
    audience: Audience,
    /// The profile of each subject that has a record.
    profile_of: BTreeMap<Subject, Subject>,
    members: BTreeMap<Subject, Vec<Subject>>,
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
        self.with_segment(principal, name, at, |count, _| Ok(count))
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
        self.with_segment(principal, name, at, |count, profiles| Ok((count, profiles)))
    }

    /// Writes who belongs to a segment, one line a profile with the traits asked for: CSV, or JSON lines where the file's
    /// name ends so.
    ///
    /// # Errors
    /// As [`House::count_segment`]; [`Error::NotFound`] for a trait that no contract has; [`Error::Directory`] where the
    /// file cannot be written.
    pub fn export_segment(
        &self,
        principal: &Principal,
        name: &str,
        at: Option<Instant>,
        traits: &[String],
        path: &Path,
    ) -> Result<SegmentCount, Error> {
        let segment = self.segment(name)?;
        if let Some(odd) = traits.iter().find(|name| !is_trait(self.project(), name)) {
            return Err(Error::NotFound { what: "trait", id: odd.chars().take(64).collect() });
        }
        let (count, profiles) = self.segment_profiles(principal, name, at)?;
        let failed = |e: std::io::Error| Error::Directory { path: path.to_path_buf(), reason: e.to_string() };
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).map_err(failed)?);
        let is_csv = path.extension().is_none_or(|ending| ending != "jsonl" && ending != "ndjson");
        if is_csv {
            let head: Vec<String> =
                std::iter::once("profile".to_owned()).chain(traits.iter().map(|name| cell(name))).collect();
            writeln!(file, "{}", head.join(",")).map_err(failed)?;
        }
        for profile in profiles {
            let mut values = BTreeMap::new();
            if !traits.is_empty() {
                let grant = self.grant(principal, Action::Export, &segment.purpose, profile)?;
                values = self.traits_for(&grant, &[profile])?;
            }
            let value = |name: &String| values.get(name).cloned().unwrap_or_default();
            let line = if is_csv {
                let text = |name| match value(name) {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => cell(&text),
                    other => cell(&other.to_string()),
                };
                std::iter::once(profile.to_string())
                    .chain(traits.iter().map(text))
                    .collect::<Vec<_>>()
                    .join(",")
            } else {
                let said: serde_json::Map<_, _> =
                    traits.iter().map(|name| (name.clone(), value(name))).collect();
                serde_json::json!({"profile": profile, "traits": said}).to_string()
            };
            writeln!(file, "{line}").map_err(failed)?;
        }
        file.flush().map_err(failed)?;
        Ok(count)
    }

    fn with_segment<R>(
        &self,
        principal: &Principal,
        name: &str,
        at: Option<Instant>,
        take: impl FnOnce(SegmentCount, Vec<Subject>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let segment = self.segment(name)?;
        let answer = |audience: &Audience| {
            let found = audience.select(&segment.rule, &segment.inputs);
            let count = SegmentCount {
                segment: segment.name.clone(),
                purpose: segment.purpose.clone(),
                at: audience.at(),
                n_profiles: found.len(),
                n_of: audience.n_people(),
            };
            let mut profiles: Vec<Subject> = audience.at_places(&found).collect();
            profiles.sort_unstable();
            (count, profiles)
        };
        if let Some(at) = at {
            let (count, profiles) = answer(&self.audience_as_of(principal, segment, at)?);
            return take(count, profiles);
        }
        let mut desk = self.segment_desk.0.lock();
        let stale = |live: &Live| live.principal != principal.name();
        if desk.get(&segment.purpose).is_none_or(stale) {
            let all = self.project().segments.iter().filter(|other| other.purpose == segment.purpose);
            let names: BTreeSet<String> = all.flat_map(|other| other.inputs.clone()).collect();
            desk.insert(
                segment.purpose.clone(),
                Live {
                    principal: principal.name().to_owned(),
                    from: Vec::new(),
                    read_at: Instant::from_micros(0),
                    audience: Audience::new(Instant::from_micros(0), names.into_iter().collect()),
                    profile_of: BTreeMap::new(),
                    members: BTreeMap::new(),
                },
            );
        }
        let Some(live) = desk.get_mut(&segment.purpose) else {
            return Err(Error::Internal { reason: "an audience is not there".to_owned() });
        };
        self.follow(principal, &segment.purpose, live)?;
        let (count, profiles) = answer(&live.audience);
        drop(desk);
        take(count, profiles)
    }

    /// Brings an audience to now.
    fn follow(&self, principal: &Principal, purpose: &str, live: &mut Live) -> Result<(), Error> {
        let journal = self.engine().journal();
        let upto: Vec<Position> = (0..self.n_partitions()).map(|p| journal.end(Partition(p))).collect();
        self.engine().settle(WAIT)?;
        let at = self.clock().settled();
        let mut dirty = BTreeSet::new();
        if live.from != upto {
            let undone = &self.composition().undone;
            journal.scan(&live.from, |partition, position, record| {
                let is_later = upto.get(usize::from(partition.0)).is_none_or(|end| position >= *end);
                if !is_later && !record.batch.is_some_and(|batch| undone.contains(&batch)) {
                    let (subjects, makes_known) = about(&record);
                    let known = |subject: &Subject| makes_known || live.profile_of.contains_key(subject);
                    dirty.extend(subjects.into_iter().filter(known));
                }
                Ok(())
            })?;
        }
        if at - live.read_at >= READ_AGAIN {
            dirty.extend(live.profile_of.keys().copied());
            live.read_at = at;
        }
        // Whoever a record is about may belong to another profile now, and so may all of the profile it was.
        let known = |subject: &Subject| live.members.get(live.profile_of.get(subject)?);
        let old: BTreeSet<Subject> = dirty.iter().filter_map(known).flatten().copied().collect();
        dirty.extend(old);
        let mut fresh: BTreeMap<Subject, Vec<Subject>> = BTreeMap::new();
        for subject in &dirty {
            if let Some(profile) = live.profile_of.remove(subject) {
                live.members.remove(&profile);
                live.audience.remove(profile);
            }
        }
        for subject in &dirty {
            let members = self.members(*subject)?;
            for member in &members.subjects {
                if let Some(profile) = live.profile_of.insert(*member, members.id)
                    && profile != members.id
                {
                    live.members.remove(&profile);
                    live.audience.remove(profile);
                }
            }
            fresh.insert(members.id, members.subjects);
        }
        let grant = self.grant_many(principal, purpose, fresh.values())?;
        let names = live.audience.names().to_vec();
        live.audience.is_of(at);
        for (profile, members) in fresh {
            // LAW 3: whoever said no, or did not say yes, is not counted.
            if members.iter().all(|member| grant.permits(*member)) {
                live.audience.set(profile, self.values(&grant, &names, &members, at)?);
            }
            live.members.insert(profile, members);
        }
        live.from = upto;
        Ok(())
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

    /// The values of a profile under these names, now.
    fn values(
        &self,
        grant: &Grant,
        names: &[String],
        members: &[Subject],
        at: Instant,
    ) -> Result<Vec<Option<Value>>, Error> {
        let reader = Reader::new(self);
        let mut views: BTreeMap<&str, feature::Values> = BTreeMap::new();
        let mut traits = None;
        let mut values = Vec::with_capacity(names.len());
        for name in names {
            if let Some(name) = name.strip_prefix(TRAIT) {
                if traits.is_none() {
                    traits = Some(self.traits_for(grant, members)?);
                }
                let said = traits.as_ref().and_then(|traits| traits.get(name));
                values.push(said.and_then(Value::of_json));
                continue;
            }
            let (view, feature) = name.rsplit_once('.').unwrap_or((name, ""));
            if !views.contains_key(view) {
                views.insert(view, reader.at(grant, self.view(view)?, members, at)?);
            }
            let value = views.get(view).and_then(|found| found.get(feature));
            values.push(value.and_then(feature::Value::as_expr));
        }
        Ok(values)
    }

    /// Everybody as of a past instant, from the journal: the same folds and the same evaluation as now (LAW 5).
    fn audience_as_of(
        &self,
        principal: &Principal,
        segment: &Segment,
        at: Instant,
    ) -> Result<Audience, Error> {
        self.engine().settle(WAIT)?;
        let mut views: Vec<&View> = Vec::new();
        for reference in segment.features() {
            let Some((view, _)) = self.project().feature(reference) else { continue };
            if !views.contains(&view) {
                views.push(view);
            }
        }
        let contracts = &self.composition().contracts;
        let streams: BTreeSet<String> =
            contracts.iter().map(|contract| contract.stream.to_string()).collect();
        let fold = TraitFold::new(contracts.iter().filter(|c| c.traits).map(|c| c.stream.clone()));
        let mut traits = TraitTables::open(&Scope::memory(Partition::CONTROL));
        let mut rows: Vec<Vec<(Subject, feature::Row)>> = views.iter().map(|_| Vec::new()).collect();
        let mut subjects = BTreeSet::new();
        let wants_traits = segment.traits().next().is_some();
        self.each_record(&streams, |record| {
            if record.subject.is_none() || record.known_at > at {
                return Ok(());
            }
            subjects.insert(record.subject);
            let Some(fields) = self.composition().bind(record)? else { return Ok(()) };
            let bound = Bound { record, fields: &fields };
            for (view, rows) in views.iter().zip(&mut rows) {
                rows.extend(view.row_of(&bound).map(|row| (record.subject, row)));
            }
            if wants_traits {
                fold.fold(&mut traits, &bound, &mut Emissions::default())?;
            }
            Ok(())
        })?;
        let mut people: BTreeMap<Subject, Vec<Subject>> = BTreeMap::new();
        for subject in subjects {
            let known = self.in_control(|rooms| rooms.identities.members_as_of(subject, at))?;
            people.entry(known.id).or_insert(known.subjects);
        }
        let grant = self.grant_many(principal, &segment.purpose, people.values())?;
        people.retain(|_, members| members.iter().all(|member| grant.permits(*member)));
        let labels: Vec<Label<'_>> = people.values().map(|members| Label { members, at }).collect();
        let threads = NonZeroUsize::new(2).unwrap_or(NonZeroUsize::MIN);
        let mut matrices = Vec::new();
        for (view, rows) in views.iter().zip(rows) {
            matrices.push(AsOf::build(view, rows, threads)?.values(&grant, &labels, threads)?);
        }
        let mut audience = Audience::new(at, segment.inputs.clone());
        for (i, profile) in people.keys().enumerate() {
            let said = if wants_traits {
                let precedence = &self.project().rules.traits;
                let look = |rooms: &Rooms| {
                    let profiles = Profiles::new(&rooms.identities, &traits).by(precedence);
                    Ok(profiles.read_as_of(&grant, *profile, Some(at)))
                };
                self.in_control(look)??.traits
            } else {
                BTreeMap::new()
            };
            let values = segment.inputs.iter().map(|name| {
                if let Some(name) = name.strip_prefix(TRAIT) {
                    return said.get(name).and_then(|said| Value::of_json(&said.value));
                }
                let (view, feature) = self.project().feature(name)?;
                let matrix = matrices.get(views.iter().position(|known| *known == view)?)?;
                matrix.column(feature)?.value(i).as_expr()
            });
            audience.set(*profile, values.collect::<Vec<_>>());
        }
        Ok(audience)
    }
}

/// Whose values a record may change, and whether it makes them known: what is only said about consents and identity makes
/// nobody a person of an audience.
fn about(record: &Record) -> (Vec<Subject>, bool) {
    let name = record.stream.as_str();
    if !record.subject.is_none() {
        // What the house notes of itself about a person changes no feature and no trait; a consent changes who counts.
        let is_theirs = !name.starts_with("mr.");
        let counts = is_theirs || name == policy::CONSENTS;
        return (if counts { vec![record.subject] } else { Vec::new() }, is_theirs);
    }
    let ids = match name {
        profile::LINKS => serde_json::from_slice(&record.payload.open).map(|link: profile::Link| link.ids),
        profile::MERGES => serde_json::from_slice(&record.payload.open).map(|act: profile::Act| act.ids),
        _ => return (Vec::new(), false),
    };
    (ids.into_iter().flatten().map(|id| id.subject).collect(), false)
}

/// Whether a contract whose records are traits has this field.
fn is_trait(project: &Project, name: &str) -> bool {
    let known = project.contracts.iter().filter(|contract| contract.traits);
    known.flat_map(|contract| &contract.fields).any(|field| field.name == name)
}

/// A cell of CSV.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
