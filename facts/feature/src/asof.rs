//! Training reads: the values of many profiles, each as of its own instant, as they would have been served then.
//!
//! The rows come from the journal and none is given up. They are read by the same evaluation as online (LAW 5),
//! so a value that was not known at its label's instant cannot enter.

use std::num::NonZeroUsize;

use event::{Instant, Subject};
use policy::{Action, Grant};
use rustc_hash::FxHashMap;

use crate::block::{Block, RowRef};
use crate::context::Context;
use crate::evaluate::Evaluator;
use crate::matrix::{Matrix, Sheet};
use crate::reader::{check_purpose, too_far_back};
use crate::rows::Rows;
use crate::sweep::Sweep;
use crate::view::Feature;
use crate::{Error, Row, View};

const ACTIONS: [Action; 2] = [Action::Train, Action::Export];

/// All rows of a view, by subject.
pub struct AsOf {
    view: View,
    /// By the subject's last byte.
    shards: Vec<FxHashMap<Subject, Rows>>,
}

/// Takes rows one by one, as a scan of the journal finds them.
pub struct Builder {
    view: View,
    entries: Vec<Entry>,
    /// The cells of all rows, one after the other.
    cells: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Entry {
    subject: Subject,
    occurred: i64,
    known: i64,
    id: u64,
    mask: u64,
    start: usize,
    len: u32,
}

/// One line of a training set: a profile and an instant.
#[derive(Clone, Copy, Debug)]
pub struct Label<'m> {
    /// The profile's members as they were known at `at`: what was linked later does not count.
    pub members: &'m [Subject],
    /// The instant.
    pub at: Instant,
}

impl Builder {
    /// No rows yet.
    pub fn new(view: &View) -> Self {
        Self { view: view.clone(), entries: Vec::new(), cells: Vec::new() }
    }

    /// The view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Takes in a row of `subject`, in any order.
    pub fn add(&mut self, subject: Subject, row: &Row) {
        let RowRef { occurred, known, id, mask, cells } = row.as_ref();
        let (start, len) = (self.cells.len(), u32::try_from(cells.len()).unwrap_or_default());
        self.cells.extend_from_slice(cells);
        self.entries.push(Entry { subject, occurred, known, id, mask, start, len });
    }

    /// The rows grouped by subject, on `n_threads` threads. A record that came twice is one row, as online.
    ///
    /// # Errors
    /// [`Error::Worker`] where a thread ends unexpectedly.
    pub fn finish(self, n_threads: NonZeroUsize) -> Result<AsOf, Error> {
        let n = n_threads.get();
        let shards = together((0..n).map(|shard| {
            let all = &self;
            move || all.group(shard, n)
        }))?;
        Ok(AsOf { view: self.view, shards })
    }

    /// The subjects of one shard with their rows.
    fn group(&self, shard: usize, n_shards: usize) -> FxHashMap<Subject, Rows> {
        let plan = self.view.inner().plan.keeping_all();
        // Pseudonyms are spread evenly: 256 heaps by their first byte are each small enough to be sorted fast.
        let mut heaps: Vec<Vec<u32>> = vec![Vec::new(); 256];
        for (i, entry) in (0_u32..).zip(&self.entries) {
            if shard_of(&entry.subject, n_shards) == shard {
                let [first, ..] = *entry.subject.as_bytes();
                if let Some(heap) = heaps.get_mut(usize::from(first)) {
                    heap.push(i);
                }
            }
        }
        let mut out = FxHashMap::default();
        let (mut rows, mut scratch) = (Vec::new(), Block::default());
        for heap in heaps {
            rows.clear();
            rows.extend(heap.iter().filter_map(|i| Some((*i, self.entries.get(*i as usize)?))));
            rows.sort_unstable_by_key(|(i, e)| (e.subject, e.occurred, e.id, e.known, *i));
            for own in rows.chunk_by(|(_, a), (_, b)| a.subject == b.subject) {
                let Some((_, first)) = own.first() else { continue };
                // Of two deliveries of one record the one that was known first is the row.
                let own = own.chunk_by(|(_, a), (_, b)| a.occurred == b.occurred && a.id == b.id);
                let own = own.filter_map(|same| Some(self.row(same.first()?.1)));
                out.insert(first.subject, Rows::from_sorted(own, &plan, &mut scratch));
            }
        }
        out
    }

    fn row(&self, entry: &Entry) -> RowRef<'_> {
        let Entry { occurred, known, id, mask, start, len, .. } = *entry;
        let cells = self.cells.get(start..start + len as usize).unwrap_or_default();
        RowRef { occurred, known, id, mask, cells }
    }
}

impl AsOf {
    /// Groups rows by subject, on `n_threads` threads.
    ///
    /// # Errors
    /// As [`Builder::finish`].
    pub fn build(
        view: &View,
        rows: impl IntoIterator<Item = (Subject, Row)>,
        n_threads: NonZeroUsize,
    ) -> Result<Self, Error> {
        let mut builder = Builder::new(view);
        let rows = rows.into_iter();
        builder.entries.reserve(rows.size_hint().0);
        rows.for_each(|(subject, row)| builder.add(subject, &row));
        builder.finish(n_threads)
    }

    /// The view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The view's values for each label, on `n_threads` threads.
    ///
    /// # Errors
    /// [`Error::Purpose`] where the view is not made for the grant's purpose; [`Error::Denied`] where the grant is
    /// for another action or does not cover a member of a label.
    pub fn values(
        &self,
        grant: &Grant,
        labels: &[Label<'_>],
        n_threads: NonZeroUsize,
    ) -> Result<Matrix, Error> {
        self.values_with(grant, labels, &[], n_threads)
    }

    /// As [`AsOf::values`], with what each label's request would have said; fewer: the rest said nothing.
    ///
    /// # Errors
    /// As [`AsOf::values`].
    pub fn values_with(
        &self,
        grant: &Grant,
        labels: &[Label<'_>],
        contexts: &[Context],
        n_threads: NonZeroUsize,
    ) -> Result<Matrix, Error> {
        check_purpose(grant, &self.view)?;
        let n = n_threads.get();
        let part = |shard| move || self.part(grant, labels, contexts, (shard, n));
        let sheets = together((0..n).map(part))?.into_iter().collect::<Result<Vec<Sheet>, Error>>()?;
        let n_columns = self.view.features().len();
        let step = n_columns.div_ceil(n).max(1);
        let sheets = sheets.as_slice();
        let columns = (0..n_columns).step_by(step).map(|from| {
            let range = from..n_columns.min(from + step);
            move || Sheet::columns(sheets, range, labels.len())
        });
        let columns = together(columns)?.into_iter().flatten().collect();
        Ok(Matrix { view: self.view.clone(), n_rows: labels.len(), columns })
    }

    /// One thread's share: the labels of profiles whose first member lies in its shard.
    fn part(
        &self,
        grant: &Grant,
        labels: &[Label<'_>],
        contexts: &[Context],
        (shard, n_shards): (usize, usize),
    ) -> Result<Sheet, Error> {
        let own = |label: &Label<'_>| label.members.first().map_or(0, |one| shard_of(one, n_shards)) == shard;
        let profiles = Profiles::new(labels, own);
        // LAW 3: every member of every label, or none.
        for members in profiles.members() {
            members.iter().try_for_each(|member| grant.require(&ACTIONS, *member))?;
        }
        let view = self.view.inner();
        let mut sheet = Sheet::new(view.features.iter().map(Feature::kind), labels.len(), n_shards);
        let evaluator = Evaluator::new(view);
        let mut sweep = Sweep::new(&view.plan);
        let (mut rows, mut values): (Vec<&Rows>, _) = (Vec::new(), Vec::new());
        let nothing = Context::default();
        for (members, instants) in profiles.iter() {
            rows.clear();
            for (i, member) in members.iter().enumerate() {
                if !members.iter().take(i).any(|earlier| earlier == member) {
                    rows.extend(self.rows(member));
                }
            }
            let mut sweep = sweep.as_mut().filter(|_| Sweep::is_worth(&rows, instants.len()));
            if let Some(sweep) = &mut sweep {
                sweep.begin(&rows);
            }
            for (at, place) in instants {
                let row = *place as usize;
                let said = self.view.said_then(contexts.get(row).unwrap_or(&nothing))?;
                let too_far = |since| too_far_back(&self.view, Instant::from_micros(*at), since);
                match &mut sweep {
                    Some(sweep) if evaluator.is_plain() => {
                        let accs = sweep.accs(&evaluator, *at).map_err(too_far)?;
                        sheet.push(*place, evaluator.plain(accs, *at));
                    }
                    Some(sweep) => {
                        let accs = sweep.accs(&evaluator, *at).map_err(too_far)?;
                        evaluator.finish(accs, *at, &said, &mut values);
                        sheet.push(*place, values.drain(..));
                    }
                    None => {
                        let mut accs = evaluator.accs(&rows, *at, |_| true).map_err(too_far)?;
                        evaluator.finish(&mut accs, *at, &said, &mut values);
                        sheet.push(*place, values.drain(..));
                    }
                }
            }
        }
        Ok(sheet)
    }

    fn rows(&self, subject: &Subject) -> Option<&Rows> {
        self.shards.get(shard_of(subject, self.shards.len()))?.get(subject)
    }
}

/// Does all of it at once, the first here, the others on threads of their own.
fn together<T: Send>(work: impl Iterator<Item = impl FnOnce() -> T + Send>) -> Result<Vec<T>, Error> {
    let mut work = work;
    let Some(first) = work.next() else { return Ok(Vec::new()) };
    std::thread::scope(|scope| {
        let others: Vec<_> = work.map(|one| scope.spawn(one)).collect();
        let first = std::iter::once(Ok(first()));
        let others = others.into_iter().map(|worker| worker.join().map_err(|_| Error::Worker));
        first.chain(others).collect()
    })
}

/// Labels by profile, in each profile by instant.
struct Profiles<'l, 'm> {
    labels: &'l [Label<'m>],
    /// (instant, place), profile by profile.
    instants: Vec<(i64, u32)>,
    /// Where each profile ends.
    ends: Vec<usize>,
}

impl<'l, 'm> Profiles<'l, 'm> {
    /// Of those labels that are `own`.
    fn new(labels: &'l [Label<'m>], own: impl Fn(&Label<'m>) -> bool) -> Self {
        // Most profiles are one subject: to look it up costs no walk to where its label's members lie.
        let mut singles: FxHashMap<Subject, u32> = FxHashMap::default();
        let mut several: FxHashMap<&[Subject], u32> = FxHashMap::default();
        let mut n = 0_u32;
        let mut new = || {
            n += 1;
            n - 1
        };
        let mut id_of = |label: &Label<'m>| match label.members {
            [one] => *singles.entry(*one).or_insert_with(&mut new),
            members => *several.entry(members).or_insert_with(&mut new),
        };
        let own = (0_u32..).zip(labels).filter(|(_, label)| own(label));
        let ids: Vec<(u32, u32, i64)> =
            own.map(|(place, label)| (id_of(label), place, label.at.micros())).collect();
        let mut ends = vec![0_usize; n as usize];
        for (id, ..) in &ids {
            ends.get_mut(*id as usize).into_iter().for_each(|count| *count += 1);
        }
        let mut before = 0;
        for end in &mut ends {
            before += std::mem::replace(end, before);
        }
        let mut instants = vec![(0, 0); ids.len()];
        for (id, place, at) in &ids {
            if let Some(next) = ends.get_mut(*id as usize) {
                instants.get_mut(*next).into_iter().for_each(|own| *own = (*at, *place));
                *next += 1;
            }
        }
        let mut profiles = Self { labels, instants, ends };
        let mut rest = profiles.instants.as_mut_slice();
        let mut from = 0;
        for end in &profiles.ends {
            let (own, others) = rest.split_at_mut_checked(end - from).unwrap_or_default();
            own.sort_unstable();
            (rest, from) = (others, *end);
        }
        profiles
    }

    fn iter(&self) -> impl Iterator<Item = (&'m [Subject], &[(i64, u32)])> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).filter_map(|(start, end)| {
            let own = self.instants.get(*start..*end)?;
            let label = self.labels.get(own.first()?.1 as usize)?;
            Some((label.members, own))
        })
    }

    fn members(&self) -> impl Iterator<Item = &'m [Subject]> {
        self.iter().map(|(members, _)| members)
    }
}

fn shard_of(subject: &Subject, n_shards: usize) -> usize {
    let [.., last] = *subject.as_bytes();
    usize::from(last) % n_shards.max(1)
}
