//! Training-versus-serving skew: every feature value that a decision was given, computed again as training would.
//!
//! By the design there is none (LAW 5). This is the proof on the company's own data, made again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contract::Bound;
use decide::{DecisionRecord, Input, Origin};
use event::{Instant, RecordId, Subject};
use feature::{AsOf, Builder, Context, Label, View};
use policy::{Action, Principal, Scope};

use crate::Error;
use crate::house::{House, WAIT};
use crate::people::as_decide;

/// How far numbers may lie apart, relatively: decayed sums differ in the last places by how rows lie in blocks.
const SLACK: f64 = 1e-9;
/// Decisions that are looked at in each round while a server runs.
const ROUND: usize = 1_000;
/// From one round to the next.
const EVERY: Duration = Duration::from_secs(600);

/// What became of comparing.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Skew {
    /// When it was made.
    pub at: Option<Instant>,
    /// Decisions compared.
    pub n_decisions: usize,
    /// Decisions left out: nobody may read them any more, or their evidence is gone (erased).
    pub n_left_out: usize,
    /// Values compared.
    pub n_values: usize,
    /// Values that differ: expected 0.
    pub n_different: usize,
    /// By feature, those with differences first.
    pub features: Vec<FeatureSkew>,
}

/// One feature, as served and as trained with.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct FeatureSkew {
    /// `view@version.feature`
    pub feature: String,
    /// Values compared.
    pub n_values: usize,
    /// Values that differ.
    pub n_different: usize,
    /// The first decision whose value differs.
    pub first: Option<RecordId>,
}

/// Labels of one view under one purpose.
#[derive(Default)]
struct Asked<'d> {
    labels: Vec<(&'d DecisionRecord, Vec<&'d Input>, Context)>,
}

impl House {
    /// Compares what the latest decisions were given with what training would have seen at their instants.
    ///
    /// * `most`: decisions at most
    ///
    /// # Errors
    /// [`Error::Denied`]; whatever the journal says.
    pub fn skew(&self, principal: &Principal, most: usize) -> Result<Skew, Error> {
        self.engine().settle(WAIT)?;
        let now = self.clock().settled();
        let mut skew = Skew { at: Some(now), ..Skew::default() };
        let mut decisions = Vec::new();
        for id in self.latest_decisions(most)? {
            match self.decision(principal, id) {
                Ok(decision) if decision.evidence.is_some() => decisions.push(decision),
                Ok(_) | Err(Error::Denied(_) | Error::NotFound { .. }) => skew.n_left_out += 1,
                Err(error) => return Err(error),
            }
        }
        let mut views: BTreeMap<String, View> = BTreeMap::new();
        let mut asked: BTreeMap<(String, String), Asked<'_>> = BTreeMap::new();
        let mut segments: BTreeSet<String> = BTreeSet::new();
        for decision in &decisions {
            let inputs = decision.evidence.iter().flat_map(|evidence| &evidence.inputs);
            segments
                .extend(inputs.clone().filter_map(|input| self.segment_of_input(input)).map(str::to_owned));
            let mut by_view: BTreeMap<String, Vec<&Input>> = BTreeMap::new();
            for input in inputs.filter(|input| input.origin == Origin::Feature) {
                let Some((view, _)) = self.view_of_input(input) else { continue };
                views.entry(view.reference()).or_insert_with(|| view.clone());
                by_view.entry(view.reference()).or_default().push(input);
            }
            let said =
                decision.evidence.as_ref().map(|evidence| crate::ondemand::of_inputs(&evidence.inputs));
            for (view, inputs) in by_view {
                let list = asked.entry((view, decision.purpose.clone())).or_default();
                list.labels.push((decision, inputs, said.clone().unwrap_or_default()));
            }
        }
        let of: BTreeSet<Subject> =
            decisions.iter().flat_map(|decision| &decision.members).copied().collect();
        let as_of = self.as_of_journal(views.values(), |subject| of.contains(&subject))?;
        let asked_of = views.values().flat_map(View::segments).chain(&segments).map(String::as_str);
        let then = self.then(self.project(), asked_of.collect(), |subject| of.contains(&subject))?;
        let mut found: BTreeMap<String, FeatureSkew> = BTreeMap::new();
        let mut compared: BTreeSet<RecordId> = BTreeSet::new();
        for ((reference, purpose), asked) in &asked {
            let (Some(as_of), Some(view)) = (as_of.get(reference), views.get(reference)) else { continue };
            self.compare(principal, view, as_of, &then, purpose, asked, &mut found, &mut compared)?;
        }
        self.compare_segments(principal, &decisions, &then, &mut found, &mut compared)?;
        skew.n_left_out += decisions.len().saturating_sub(compared.len());
        skew.n_decisions = compared.len();
        skew.features = found.into_values().collect();
        skew.features.sort_by(|a, b| (b.n_different, &a.feature).cmp(&(a.n_different, &b.feature)));
        skew.n_values = skew.features.iter().map(|feature| feature.n_values).sum();
        skew.n_different = skew.features.iter().map(|feature| feature.n_different).sum();
        Ok(skew)
    }

    #[allow(clippy::too_many_arguments, reason = "one view's part of one report")]
    fn compare(
        &self,
        principal: &Principal,
        view: &View,
        as_of: &AsOf,
        then: &crate::segments::Then<'_>,
        purpose: &str,
        asked: &Asked<'_>,
        found: &mut BTreeMap<String, FeatureSkew>,
        compared: &mut BTreeSet<RecordId>,
    ) -> Result<(), Error> {
        let now = self.clock().settled();
        let profiles = asked.labels.iter().map(|(decision, ..)| decision.members.as_slice());
        // LAW 3: as training would be, under a grant.
        let bulk =
            policy::authorize_many(principal, Action::Train, purpose, profiles, self, self.purposes(), now)?;
        let grant = bulk.grant;
        let permitted = asked
            .labels
            .iter()
            .filter(|(decision, ..)| decision.members.iter().all(|member| grant.permits(*member)));
        let permitted: Vec<_> = permitted.collect();
        let label = |decision: &&DecisionRecord| decision.at;
        let labels: Vec<Label<'_>> = permitted
            .iter()
            .map(|(decision, ..)| Label { members: &decision.members, at: label(decision) })
            .collect();
        let said: Vec<Context> = permitted.iter().map(|(_, _, said)| said.clone()).collect();
        let said = then.contexts(&grant, view, &labels, &said)?;
        let matrix = as_of.values_with(&grant, &labels, &said, NonZeroUsize::MIN)?;
        for (row, (decision, inputs, _)) in permitted.iter().enumerate() {
            compared.insert(decision.decision);
            for input in inputs {
                let Some((_, name)) = input.name.rsplit_once('.') else { continue };
                let Some(column) = matrix.column(name) else { continue };
                let reference = format!("{}.{name}", view.reference());
                let entry = found
                    .entry(reference.clone())
                    .or_insert_with(|| FeatureSkew { feature: reference, ..FeatureSkew::default() });
                entry.n_values += 1;
                if !is_same(as_decide(&column.value(row)).as_ref(), input.value.as_ref()) {
                    entry.n_different += 1;
                    entry.first.get_or_insert(decision.decision);
                }
            }
        }
        Ok(())
    }

    /// The same for segments that decisions looked at by themselves.
    fn compare_segments(
        &self,
        principal: &Principal,
        decisions: &[DecisionRecord],
        then: &crate::segments::Then<'_>,
        found: &mut BTreeMap<String, FeatureSkew>,
        compared: &mut BTreeSet<RecordId>,
    ) -> Result<(), Error> {
        let now = self.clock().settled();
        for decision in decisions {
            let inputs = decision.evidence.iter().flat_map(|evidence| &evidence.inputs);
            let mut asked =
                inputs.filter_map(|input| Some((self.segment_of_input(input)?, input))).peekable();
            if asked.peek().is_none() {
                continue;
            }
            // LAW 3: as training would be, under a grant.
            let (purpose, whom) = (&decision.purpose, std::iter::once(decision.members.as_slice()));
            let bulk =
                policy::authorize_many(principal, Action::Train, purpose, whom, self, self.purposes(), now)?;
            if !decision.members.iter().all(|member| bulk.grant.permits(*member)) {
                continue;
            }
            let held = then.holds(&bulk.grant, &[Label { members: &decision.members, at: decision.at }])?;
            compared.insert(decision.decision);
            for (name, input) in asked {
                let so = held.get(name).and_then(|so| so.first()).map(|so| decide::Value::Flag(*so));
                let reference = format!("{}{name}@{}", profile::SEGMENT, input.version);
                let entry = found
                    .entry(reference.clone())
                    .or_insert_with(|| FeatureSkew { feature: reference, ..FeatureSkew::default() });
                entry.n_values += 1;
                if so != input.value {
                    entry.n_different += 1;
                    entry.first.get_or_insert(decision.decision);
                }
            }
        }
        Ok(())
    }

    /// The segment of an input, where it is one in the version that the decision asked.
    fn segment_of_input<'a>(&self, input: &'a Input) -> Option<&'a str> {
        let name = input.name.strip_prefix(profile::SEGMENT).filter(|_| input.origin == Origin::Segment)?;
        self.segment(name).is_ok_and(|segment| segment.version.to_string() == input.version).then_some(name)
    }

    /// The latest decisions, the newest last.
    fn latest_decisions(&self, most: usize) -> Result<Vec<RecordId>, Error> {
        let mut latest: VecDeque<RecordId> = VecDeque::new();
        self.engine().journal().scan(&[], |_, _, record| {
            let is_decision = record.stream.as_str() == decide::DECISIONS && !self.hides(&record);
            if is_decision && !latest.contains(&record.id) {
                latest.push_back(record.id);
                if latest.len() > most {
                    latest.pop_front();
                }
            }
            Ok(())
        })?;
        Ok(latest.into())
    }

    /// The view and feature of an input, in the version the decision used.
    fn view_of_input<'a>(&'a self, input: &'a Input) -> Option<(&'a View, &'a str)> {
        let (name, feature) = input.name.rsplit_once('.')?;
        let bare = name.split_once('@').map_or(name, |(bare, _)| bare);
        let view = self.project().views.get_version(bare, input.version.parse().ok()?)?;
        Some((view, feature))
    }

    /// The rows of views out of the journal, of the subjects wanted.
    pub(crate) fn as_of_journal<'v>(
        &self,
        views: impl Iterator<Item = &'v View>,
        is_wanted: impl Fn(Subject) -> bool,
    ) -> Result<HashMap<String, AsOf>, Error> {
        let mut builders: Vec<Builder> = views.map(Builder::new).collect();
        let composition = self.composition();
        let (mut seen, mut failed) = (BTreeSet::new(), None);
        self.engine().journal().scan(&[], |_, _, record| {
            let is_undone = record.batch.is_some_and(|batch| composition.undone.contains(&batch));
            let of_views = builders.iter().any(|builder| *builder.view().stream() == record.stream);
            if failed.is_some() || is_undone || !of_views || !is_wanted(record.subject) {
                return Ok(());
            }
            if !seen.insert((record.subject, record.id)) {
                return Ok(());
            }
            match composition.bind(&record) {
                Ok(Some(fields)) => {
                    for builder in &mut builders {
                        if let Some(row) = builder.view().row_of(&Bound { record: &record, fields: &fields })
                        {
                            builder.add(record.subject, &row);
                        }
                    }
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
            Ok(())
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        let finish = |builder: Builder| {
            let reference = builder.view().reference();
            Ok((reference, builder.finish(NonZeroUsize::MIN)?))
        };
        builders.into_iter().map(finish).collect()
    }

    /// The latest report of [`House::watch_skew`]; `None` before the first.
    pub fn last_skew(&self) -> Option<Arc<Skew>> {
        self.skewed.lock().clone()
    }

    /// Compares again and again, until `stopping` says so.
    pub fn watch_skew(&self, stopping: &AtomicBool) {
        let principal = roles::Roles::part("skew watch", &Scope::ALL);
        let mut waited = EVERY;
        while !stopping.load(Ordering::Acquire) {
            if waited >= EVERY {
                waited = Duration::ZERO;
                match self.skew(&principal, ROUND) {
                    Ok(skew) => {
                        if skew.n_different > 0 {
                            tracing::error!(
                                n_different = skew.n_different,
                                first = skew.features.first().map(|f| f.feature.as_str()).unwrap_or_default(),
                                "features were served with other values than training sees"
                            );
                        }
                        *self.skewed.lock() = Some(Arc::new(skew));
                    }
                    Err(error) => tracing::warn!(%error, "served features could not be compared"),
                }
            }
            let nap = Duration::from_millis(200);
            std::thread::sleep(nap);
            waited += nap;
        }
    }
}

fn is_same(a: Option<&decide::Value>, b: Option<&decide::Value>) -> bool {
    match (a.and_then(decide::Value::as_number), b.and_then(decide::Value::as_number)) {
        (Some(a), Some(b)) => (a - b).abs() <= SLACK * a.abs().max(b.abs()).max(1.0),
        _ => a == b,
    }
}
