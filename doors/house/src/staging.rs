//! Staging beside production: two projects' features over one slice of this instance's journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;

use contract::{Bound, Contracts};
use event::{Instant, Position, Subject};
use feature::{AsOf, Builder, Column, Label, View};
use policy::{Action, Principal};

use crate::Error;
use crate::house::{House, WAIT};
use crate::project::Project;

/// How far numbers may lie apart, relatively, to count as the same.
const SLACK: f64 = 1e-9;

/// What two projects say of the same records.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Compared {
    /// As of when.
    pub at: Option<Instant>,
    /// Records of the slice that a view takes.
    pub n_records: u64,
    /// Profiles compared.
    pub n_profiles: usize,
    /// Features of both, those that differ most first.
    pub features: Vec<FeatureCompared>,
    /// Features that only this project has.
    pub only_here: Vec<String>,
    /// Features that only the other one has.
    pub only_there: Vec<String>,
}

/// One feature in both projects.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct FeatureCompared {
    /// `view.feature`
    pub feature: String,
    /// The view's version here.
    pub version_here: u32,
    /// The view's version there.
    pub version_there: u32,
    /// Profiles for which the two say something else.
    pub n_different: usize,
    /// Profiles for which nothing is known here.
    pub n_missing_here: usize,
    /// Profiles for which nothing is known there.
    pub n_missing_there: usize,
    /// Mean of the numbers here.
    pub mean_here: Option<f64>,
    /// Mean of the numbers there.
    pub mean_there: Option<f64>,
    /// The largest distance of two numbers.
    pub largest: f64,
}

impl Compared {
    /// True where the two say the same of everything both have.
    pub fn is_same(&self) -> bool {
        self.features.iter().all(|feature| feature.n_different == 0)
    }
}

impl House {
    /// Computes the features of this project and of another one over the same records, for the same profiles, as of the
    /// same instant, and compares them.
    ///
    /// * `purpose`: what for; only views that both make for it are compared
    /// * `at`: as of when; `None`: now
    /// * `slice`: the journal up to these positions, one per partition; empty: all of it
    /// * `most`: profiles at most
    ///
    /// # Errors
    /// [`Error::Denied`]; whatever the journal says.
    pub fn compare_with(
        &self,
        principal: &Principal,
        other: &Project,
        purpose: &str,
        at: Option<Instant>,
        slice: &[Position],
        most: usize,
    ) -> Result<Compared, Error> {
        self.engine().settle(WAIT)?;
        let now = self.clock().settled();
        let at = at.unwrap_or(now);
        let mut compared = Compared { at: Some(at), ..Compared::default() };
        let is_for = |view: &&View| view.purposes().iter().any(|known| known == purpose);
        let here: Vec<&View> = newest(&self.project().views).into_iter().filter(is_for).collect();
        let there: Vec<&View> = newest(&other.views).into_iter().filter(is_for).collect();
        let mut own = Side::new(&here, &self.project().contracts);
        let mut others = Side::new(&there, &other.contracts);
        self.read_slice(slice, &mut [&mut own, &mut others], &mut compared.n_records)?;
        let mut profiles: BTreeMap<Subject, Vec<Subject>> = BTreeMap::new();
        for subject in own.subjects.iter().chain(&others.subjects) {
            if profiles.len() >= most {
                break;
            }
            let members = self.in_control(|rooms| rooms.identities.members_as_of(*subject, at))?;
            profiles.insert(members.id, members.subjects);
        }
        let asked = profiles.values().map(Vec::as_slice);
        let bulk =
            policy::authorize_many(principal, Action::Train, purpose, asked, self, self.purposes(), now)?;
        profiles.retain(|_, members| members.iter().all(|member| bulk.grant.permits(*member)));
        compared.n_profiles = profiles.len();
        let labels: Vec<Label<'_>> = profiles.values().map(|members| Label { members, at }).collect();
        let asked =
            |views: &[&'_ View]| views.iter().flat_map(|v| v.segments()).cloned().collect::<BTreeSet<_>>();
        let (asked_here, asked_there) = (asked(&here), asked(&there));
        let here_then =
            self.then(self.project(), asked_here.iter().map(String::as_str).collect(), |_| true)?;
        let there_then = self.then(other, asked_there.iter().map(String::as_str).collect(), |_| true)?;
        let values = |as_of: &AsOf, then: &crate::segments::Then<'_>| -> Result<_, Error> {
            let said = then.contexts(&bulk.grant, as_of.view(), &labels, &[])?;
            Ok(as_of.values_with(&bulk.grant, &labels, &said, NonZeroUsize::MIN)?)
        };
        let (own, others) = (own.finish()?, others.finish()?);
        for view in &here {
            let twin = there.iter().find(|other| other.name() == view.name());
            let names =
                |view: &View| view.features().iter().map(|f| f.name().to_owned()).collect::<BTreeSet<_>>();
            let (mine, theirs) = (names(view), twin.map(|twin| names(twin)).unwrap_or_default());
            let full = |name: &String| format!("{}.{name}", view.name());
            compared.only_here.extend(mine.difference(&theirs).map(full));
            compared.only_there.extend(theirs.difference(&mine).map(full));
            let Some(twin) = twin else { continue };
            let (Some(a), Some(b)) = (own.get(view.name()), others.get(view.name())) else { continue };
            let (a, b) = (values(a, &here_then)?, values(b, &there_then)?);
            for name in mine.intersection(&theirs) {
                let (Some(a), Some(b)) = (a.column(name), b.column(name)) else { continue };
                let both = columns(a, b);
                compared.features.push(FeatureCompared {
                    feature: full(name),
                    version_here: view.version(),
                    version_there: twin.version(),
                    ..both
                });
            }
        }
        for view in there.iter().filter(|view| !here.iter().any(|own| own.name() == view.name())) {
            let all = view.features().iter().map(|f| format!("{}.{}", view.name(), f.name()));
            compared.only_there.extend(all);
        }
        compared.features.sort_by(|a, b| (b.n_different, &a.feature).cmp(&(a.n_different, &b.feature)));
        Ok(compared)
    }

    fn read_slice(
        &self,
        slice: &[Position],
        sides: &mut [&mut Side<'_>],
        n_records: &mut u64,
    ) -> Result<(), Error> {
        let composition = self.composition();
        let (mut seen, mut failed) = (BTreeSet::new(), None);
        self.engine().journal().scan(&[], |partition, position, record| {
            let is_later = slice.get(usize::from(partition.0)).is_some_and(|end| position >= *end);
            let is_undone = record.batch.is_some_and(|batch| composition.undone.contains(&batch));
            let is_taken = sides.iter().any(|side| side.takes(record.stream.as_str()));
            if failed.is_some() || is_later || is_undone || !is_taken || record.subject.is_none() {
                return Ok(());
            }
            if self.hides(&record) || !seen.insert((record.subject, record.id)) {
                return Ok(());
            }
            *n_records += 1;
            match intake::raw(&composition.vault, &record) {
                Ok(raw) => {
                    for side in sides.iter_mut() {
                        if let Err(error) = side.add(&record, &raw, &composition.corrections) {
                            failed = Some(error.into());
                        }
                    }
                }
                Err(error) => failed = Some(Error::Internal { reason: error.to_string() }),
            }
            Ok(())
        })?;
        failed.map_or(Ok(()), Err)
    }
}

/// The newest version of each view.
fn newest(views: &feature::Views) -> Vec<&View> {
    let mut by_name: BTreeMap<&str, &View> = BTreeMap::new();
    for view in views.iter() {
        by_name.insert(view.name(), view);
    }
    by_name.into_values().collect()
}

/// One project's rows.
struct Side<'p> {
    contracts: &'p Contracts,
    builders: Vec<Builder>,
    subjects: BTreeSet<Subject>,
}

impl<'p> Side<'p> {
    fn new(views: &[&View], contracts: &'p Contracts) -> Self {
        let builders = views.iter().map(|view| Builder::new(view)).collect();
        Self { contracts, builders, subjects: BTreeSet::new() }
    }

    fn takes(&self, stream: &str) -> bool {
        self.builders.iter().any(|builder| builder.view().stream().as_str() == stream)
    }

    fn add(
        &mut self,
        record: &event::Record,
        raw: &serde_json::Value,
        corrections: &crate::rights::Corrections,
    ) -> Result<(), store::Error> {
        let Some(contract) = self.contracts.newest(&record.stream) else { return Ok(()) };
        let mut fields = contract.bind(raw);
        corrections.put_right(record, contract, &mut fields)?;
        for builder in &mut self.builders {
            if let Some(row) = builder.view().row_of(&Bound { record, fields: &fields }) {
                builder.add(record.subject, &row);
                self.subjects.insert(record.subject);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<HashMap<String, AsOf>, Error> {
        let finish = |builder: Builder| {
            let name = builder.view().name().to_owned();
            Ok((name, builder.finish(NonZeroUsize::MIN)?))
        };
        self.builders.into_iter().map(finish).collect()
    }
}

fn columns(here: &Column, there: &Column) -> FeatureCompared {
    let mut both = FeatureCompared::default();
    let (mut sum_here, mut sum_there, mut n_here, mut n_there) = (0.0, 0.0, 0_usize, 0_usize);
    for row in 0..here.len() {
        let (a, b) = (here.value(row), there.value(row));
        both.n_missing_here += usize::from(a.is_missing());
        both.n_missing_there += usize::from(b.is_missing());
        let (x, y) = (a.as_number(), b.as_number());
        if let Some(x) = x {
            sum_here += x;
            n_here += 1;
        }
        if let Some(y) = y {
            sum_there += y;
            n_there += 1;
        }
        let is_same = match (x, y) {
            (Some(x), Some(y)) => {
                both.largest = both.largest.max((x - y).abs());
                (x - y).abs() <= SLACK * x.abs().max(y.abs()).max(1.0)
            }
            _ => a == b,
        };
        both.n_different += usize::from(!is_same);
    }
    both.mean_here = (n_here > 0).then(|| sum_here / n_here as f64);
    both.mean_there = (n_there > 0).then(|| sum_there / n_there as f64);
    both
}
