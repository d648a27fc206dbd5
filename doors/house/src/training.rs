//! From records to a model version: examples and labels out of the journal, features as of each example, a fit, the
//! gate's word, a registration.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroUsize;

use event::{Instant, Partition, Position, Record, Subject};
use feature::{AsOf, Row, View};
use learn::Column;
use policy::{Action, Principal};
use registry::{About, Gate, JournalRange, Measure, ModelName, Rule, VersionNumber};
use serde_json::Value;
use train::{Dataset, Example, Holdout, Live, Origin, Plan, Progress, Trained};

use crate::Error;
use crate::house::House;
use crate::modelspec::{ModelSpec, Test};

/// What training did.
#[derive(Debug)]
pub struct Training {
    /// Both models and the figures.
    pub outcome: train::Outcome,
    /// The number the baseline was registered under.
    pub baseline: VersionNumber,
    /// The number the challenger was registered under.
    pub challenger: VersionNumber,
    /// Examples left out because somebody in the profile said no, or nobody said yes.
    pub n_without_consent: usize,
    /// Examples left out because their outcome is still open.
    pub n_open: usize,
}

/// An example before its features are known.
struct Candidate {
    subject: Subject,
    at: Instant,
    fields: Value,
}

/// A record that may be an example's success.
struct Success {
    at: Instant,
    fields: Value,
}

/// What one scan of the journal brings.
struct Gathered {
    rows: HashMap<String, Vec<(Subject, Row)>>,
    candidates: Vec<Candidate>,
    successes: Vec<(Subject, Success)>,
    ranges: Vec<JournalRange>,
}

impl House {
    /// Builds the dataset of a model: one row per example whose profile may be used, features as of its instant
    /// (LAW 5), and how many examples were left out for want of consent and for an open outcome.
    ///
    /// # Errors
    /// [`Error::Untrainable`], [`Error::Denied`], [`Error::Train`]
    pub fn dataset(&self, principal: &Principal, spec: &ModelSpec) -> Result<(Dataset, usize, usize), Error> {
        let untrainable = |reason: String| Error::Untrainable { model: spec.model.clone(), reason };
        let views = self.views_of(spec)?;
        self.engine().settle(crate::house::WAIT)?;
        let now = self.clock().settled();
        let mut gathered = self.gather(spec, &views)?;
        let n_all = gathered.candidates.len();
        if n_all == 0 {
            return Err(untrainable(format!("stream `{}` has no example yet", spec.examples.stream)));
        }
        gathered.candidates.retain(|candidate| spec.label.ends(candidate.at, &candidate.fields) <= now);
        let n_open = n_all - gathered.candidates.len();

        let mut profiles: HashMap<Subject, profile::Members> = HashMap::new();
        for subject in
            gathered.candidates.iter().map(|c| c.subject).chain(gathered.successes.iter().map(|s| s.0))
        {
            if let std::collections::hash_map::Entry::Vacant(entry) = profiles.entry(subject) {
                entry.insert(self.members(subject)?);
            }
        }
        // Members as they were known then: a link that came later does not count. Whom a merge that was taken back had put
        // there is asked too.
        let mut known_then: HashMap<(Subject, Instant), Vec<Subject>> = HashMap::new();
        for candidate in &gathered.candidates {
            let (subject, at) = (candidate.subject, candidate.at);
            let known = self.in_control(|rooms| rooms.identities.members_as_of(subject, at))?.subjects;
            for member in &known {
                if let std::collections::hash_map::Entry::Vacant(entry) = profiles.entry(*member) {
                    entry.insert(self.members(*member)?);
                }
            }
            known_then.insert((subject, at), known);
        }
        let asked: BTreeMap<Subject, &[Subject]> = gathered
            .candidates
            .iter()
            .map(|candidate| candidate.subject)
            .chain(known_then.values().flatten().copied())
            .filter_map(|subject| profiles.get(&subject))
            .map(|members| (members.id, members.subjects.as_slice()))
            .collect();
        let bulk = policy::authorize_many(
            principal,
            Action::Train,
            &spec.purpose,
            asked.values().copied(),
            self,
            self.purposes(),
            now,
        )?;
        let grant = bulk.grant;
        let before = gathered.candidates.len();
        gathered.candidates.retain(|candidate| {
            let members = profiles.get(&candidate.subject).map(|members| members.subjects.as_slice());
            let then = known_then.get(&(candidate.subject, candidate.at)).map(Vec::as_slice);
            let mut all = members.into_iter().chain(then).flatten();
            members.is_some() && all.all(|member| grant.permits(*member))
        });
        let n_without_consent = before - gathered.candidates.len();
        if gathered.candidates.is_empty() {
            return Err(untrainable(format!(
                "nobody of {before} examples may be used for `{}`",
                spec.purpose
            )));
        }

        let mut successes: HashMap<Subject, Vec<Success>> = HashMap::new();
        for (subject, success) in gathered.successes {
            if let Some(members) = profiles.get(&subject) {
                successes.entry(members.id).or_default().push(success);
            }
        }
        let (mut examples, mut as_known) = (Vec::new(), Vec::new());
        for candidate in &gathered.candidates {
            let id = profiles.get(&candidate.subject).map(|members| members.id).unwrap_or(candidate.subject);
            let end = spec.label.ends(candidate.at, &candidate.fields);
            let label = successes.get(&id).into_iter().flatten().any(|success| {
                success.at > candidate.at
                    && success.at <= end
                    && spec.label.matching.iter().all(|(of_label, of_example)| {
                        success.fields.get(of_label) == candidate.fields.get(of_example)
                    })
            });
            let marked = match &spec.test {
                Test::Where { field, equals } => candidate.fields.get(field) == Some(equals),
                Test::From(_) | Test::Latest(_) | Test::Random(_) => false,
            };
            examples.push(Example {
                subject: candidate.subject,
                at: candidate.at,
                settled: end,
                label,
                marked,
            });
            as_known.push(known_then.get(&(candidate.subject, candidate.at)).cloned().unwrap_or_default());
        }
        let mut columns = Vec::new();
        // What a request of that moment would have said, stands in the example.
        let said: Vec<feature::Context> = gathered
            .candidates
            .iter()
            .map(|candidate| crate::ondemand::of_record(&candidate.fields))
            .collect();
        let threads = NonZeroUsize::new(2).unwrap_or(NonZeroUsize::MIN);
        let everybody: HashSet<Subject> = as_known.iter().flatten().copied().collect();
        let segments: BTreeSet<&str> = views.iter().flat_map(View::segments).map(String::as_str).collect();
        let then = self.then(self.project(), segments, |subject| everybody.contains(&subject))?;
        for view in &views {
            let rows = gathered.rows.remove(&view.reference()).unwrap_or_default();
            let as_of = AsOf::build(view, rows, threads)?;
            let labels: Vec<feature::Label<'_>> = examples
                .iter()
                .zip(&as_known)
                .map(|(example, members)| feature::Label { members, at: example.at })
                .collect();
            let said = then.contexts(&grant, view, &labels, &said)?;
            let matrix = as_of.values_with(&grant, &labels, &said, threads)?;
            let wanted = |column: &Column| spec.features.iter().any(|name| **name == **column.name());
            columns.extend(train::columns_of(&matrix).into_iter().filter(wanted));
        }
        for name in &spec.context {
            columns.push(context_column(name, &gathered.candidates));
        }
        let features = views.iter().map(Origin::feature_version).chain(then.versions()).collect();
        let origin = Origin { journal: gathered.ranges, features, seed: spec.seed };
        Ok((Dataset::build(&grant, examples, columns, origin)?, n_without_consent, n_open))
    }

    /// Trains a model: baseline and challenger, measured on the same held-out examples, both registered dark with the
    /// gate's word.
    ///
    /// # Errors
    /// As [`House::dataset`]; [`Error::Registry`]
    pub fn train(
        &self,
        principal: &Principal,
        model: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Training, Error> {
        let spec = self.project().model(model)?.clone();
        let (dataset, n_without_consent, n_open) = self.dataset(principal, &spec)?;
        let name: ModelName = spec.model.parse()?;
        let live = match self.in_control(|rooms| Ok(rooms.releases.model(&name)))? {
            Ok(state) => match state.live.and_then(|number| state.version(number)) {
                Some(version) => Some((version.number, self.load_model(&version.manifest.artefact)?)),
                None => None,
            },
            Err(_) => None,
        };
        let live = live.as_ref().map(|(version, model)| Live { version: *version, model });
        let code = concat!("maschinenraum ", env!("CARGO_PKG_VERSION"));
        let mut outcome = train::train(&dataset, &plan(&spec, &dataset), code, live, progress)?;
        outcome.ask(|model| self.ask_gold(principal, &spec.model, model))?;
        // Before they are registered: no version is there without the list of whom it learned from (LAW 4).
        let learned_from = self.learned_from(&dataset)?;
        for trained in [&outcome.baseline, &outcome.challenger] {
            self.note_trained(&trained.manifest.artefact, &learned_from)?;
        }
        let baseline = self.register(principal, &name, &spec, &outcome.baseline)?;
        let challenger = self.register(principal, &name, &spec, &outcome.challenger)?;
        Ok(Training { outcome, baseline, challenger, n_without_consent, n_open })
    }

    fn register(
        &self,
        principal: &Principal,
        name: &ModelName,
        spec: &ModelSpec,
        trained: &Trained,
    ) -> Result<VersionNumber, Error> {
        self.blobs.put(&trained.bytes)?;
        let about = About {
            what: spec.description.clone(),
            owner: spec.owner.clone(),
            intended_use: format!("{} (purpose: {})", spec.description, spec.purpose),
            limits: spec.limits.clone(),
            method: String::new(),
        };
        self.release(&trained.registration(name, about, principal.name()))?;
        let state = self.in_control(|rooms| Ok(rooms.releases.model(name)))??;
        let version = state
            .by_artefact(&trained.manifest.artefact)
            .map(|version| version.number)
            .ok_or_else(|| Error::Internal { reason: "a registered version is not there".to_owned() })?;
        // The same word twice, because a job was cut off in between, is one word.
        let last = state.version(version).and_then(|known| known.judgements.last());
        if last.is_none_or(|last| last.report != trained.gate) {
            self.release(&trained.judgement(name, version, principal.name()))?;
        }
        Ok(version)
    }

    fn views_of(&self, spec: &ModelSpec) -> Result<Vec<View>, Error> {
        let mut views: Vec<View> = Vec::new();
        for reference in &spec.features {
            let (view, _) = self.project().feature(reference).ok_or_else(|| Error::Untrainable {
                model: spec.model.clone(),
                reason: format!("there is no feature `{reference}`"),
            })?;
            if !views.iter().any(|known| known.reference() == view.reference()) {
                views.push(view.clone());
            }
        }
        Ok(views)
    }

    /// Reads the journal once, up to what is committed.
    fn gather(&self, spec: &ModelSpec, views: &[View]) -> Result<Gathered, Error> {
        let upto: Vec<Position> =
            (0..self.n_partitions()).map(|p| self.engine().committed(Partition(p))).collect();
        let range = |(p, until): (usize, &Position)| JournalRange {
            partition: Partition(u16::try_from(p).unwrap_or(u16::MAX)),
            from: Position(0),
            until: *until,
        };
        let ranges = upto.iter().enumerate().map(range).collect();
        let mut gathered =
            Gathered { rows: HashMap::new(), candidates: Vec::new(), successes: Vec::new(), ranges };
        let mut seen = HashSet::new();
        let mut failed = None;
        let from = vec![Position(0); upto.len()];
        let composition = self.composition();
        self.engine().journal().scan(&from, |partition, position, record| {
            let is_later = upto.get(usize::from(partition.0)).is_none_or(|end| position >= *end);
            let undone = record.batch.is_some_and(|batch| composition.undone.contains(&batch));
            let stream = record.stream.as_str();
            let is_example = stream == spec.examples.stream;
            let is_label = stream == spec.label.stream;
            let of_views = views.iter().any(|view| *view.stream() == record.stream);
            if is_later || undone || failed.is_some() || !(is_example || is_label || of_views) {
                return Ok(());
            }
            if record.subject.is_none() || self.hides(&record) || !seen.insert(record.id) {
                return Ok(());
            }
            match composition.bind(&record) {
                Ok(Some(fields)) => take(&mut gathered, spec, views, &record, fields, is_example, is_label),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
            Ok(())
        })?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(gathered),
        }
    }
}

fn take(
    gathered: &mut Gathered,
    spec: &ModelSpec,
    views: &[View],
    record: &Record,
    fields: Value,
    is_example: bool,
    is_label: bool,
) {
    let bound = contract::Bound { record, fields: &fields };
    for view in views.iter().filter(|view| *view.stream() == record.stream) {
        if let Some(row) = view.row_of(&bound) {
            gathered.rows.entry(view.reference()).or_default().push((record.subject, row));
        }
    }
    if is_label {
        let success = Success { at: record.occurred_at, fields: fields.clone() };
        gathered.successes.push((record.subject, success));
    }
    if is_example && spec.examples.only.iter().all(|(field, value)| fields.get(field) == Some(value)) {
        gathered.candidates.push(Candidate { subject: record.subject, at: record.occurred_at, fields });
    }
}

/// A field of the examples: numbers where all of them are, else categories.
fn context_column(name: &str, candidates: &[Candidate]) -> Column {
    let values: Vec<Option<&Value>> = candidates.iter().map(|candidate| candidate.fields.get(name)).collect();
    if values.iter().flatten().all(|value| value.is_number()) && values.iter().any(Option::is_some) {
        let numbers = values.iter().map(|value| value.and_then(|v| v.as_f64()).unwrap_or(f64::NAN));
        return Column::numbers(name, numbers.collect());
    }
    let texts: Vec<Option<String>> = values
        .iter()
        .map(|value| value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    Column::categories(name, texts.iter().map(Option::as_deref))
}

fn plan(spec: &ModelSpec, dataset: &Dataset) -> Plan {
    let holdout = match &spec.test {
        Test::From(instant) => Holdout::From(*instant),
        Test::Latest(share) => Holdout::Latest(*share),
        Test::Random(share) => Holdout::Random(*share),
        Test::Where { .. } => Holdout::Marked,
    };
    let mut plan = Plan { holdout, ..Plan::default() };
    plan.evaluation.costs = learn::metric::Costs {
        false_positive: spec.costs.false_positive,
        false_negative: spec.costs.false_negative,
    };
    plan.gate = Gate {
        rules: vec![
            Rule::MinRows(spec.gate.min_rows as u64),
            Rule::MinPositives(spec.gate.min_positives as u64),
            Rule::BetterThanChance,
            Rule::MaxCalibrationError(spec.gate.max_calibration_error),
            Rule::NotWorse { measure: Measure::Auc, margin: spec.gate.margin },
            Rule::GoldSets,
        ],
    };
    let categories = |name: &&String| {
        dataset.frame().column(name).is_some_and(|column| column.kind() == learn::Kind::Category)
    };
    plan.segments = spec.context.iter().filter(categories).cloned().collect();
    plan
}
