//! The job: baseline and challenger from one dataset, measured on the same rows, and the gate's word on both.

use learn::metric::{self, Comparison, Metrics};
use learn::{Calibrator, Column, Fit, Fitted, Frame, Kind, Model, Predict, Value};
use registry::{
    About, ContentHash, DatasetManifest, GateReport, Gold, Manifest, ModelName, Opponent, Registration,
    ReleaseEvent, Role, Segment, VersionNumber,
};
use serde::Serialize;

use crate::rows::{self, Rows};
use crate::{Dataset, Error, Plan, Progress, Step};

/// Rows of each outcome that a segment needs to be reported.
const LEAST_IN_SEGMENT: usize = 10;

/// The version that is live: a new one is measured against it, too.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    /// Its number.
    pub version: VersionNumber,
    /// The model itself.
    pub model: &'a Model,
}

/// One fitted model with all it showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Baseline or challenger.
    pub role: Role,
    /// The model.
    pub model: Model,
    /// Its bytes, to be kept as a blob.
    pub bytes: Vec<u8>,
    /// What it was made from; names the bytes.
    pub manifest: Manifest,
    /// What it showed on the test rows.
    pub metrics: Metrics,
    /// The same by segment.
    pub segments: Vec<Segment>,
    /// The gate's figures and rules.
    pub gate: GateReport,
}

/// Both models, and the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The simple method.
    pub baseline: Trained,
    /// The other one.
    pub challenger: Trained,
    /// The dataset's rows that tested, rising: whoever wants to compare takes the same.
    pub test_rows: Vec<usize>,
    /// The figures, for people and machines.
    pub report: Report,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The data.
    pub dataset: DatasetManifest,
    /// How the test rows were chosen.
    pub test: String,
    /// Rows that taught.
    pub n_train: usize,
    /// Of these, rows that calibrated.
    pub n_calibration: usize,
    /// Rows that tested.
    pub n_test: usize,
    /// What the baseline showed.
    pub baseline: Metrics,
    /// What the challenger showed.
    pub challenger: Metrics,
    /// Challenger minus baseline, on the same rows.
    pub comparison: Comparison,
    /// What the gate says of the baseline.
    pub baseline_verdict: String,
    /// What the gate says of the challenger.
    pub challenger_verdict: String,
    /// Who may go on: the challenger where it passed, else the baseline where it did.
    pub chosen: Option<Role>,
    /// Why the live version could not be compared with, where there is one and it could not.
    pub live_not_compared: Option<String>,
}

/// Fits, calibrates, measures and judges. The same dataset, plan and code give the same bytes.
///
/// * `code`: the version of the code, for the manifest
/// * `live`: what serves now, if anything
/// * `progress`: told before each step
///
/// # Errors
/// [`Error::TooFew`] and others where the data cannot bear it; nothing is half done.
pub fn train(
    dataset: &Dataset,
    plan: &Plan,
    code: &str,
    live: Option<Live<'_>>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, Error> {
    let plan = plan.seeded(dataset.manifest.seed)?;
    let mut tell = |step: Step| {
        let n_done = Step::ALL.iter().position(|s| *s == step).unwrap_or(0);
        progress(Progress { step, n_done, n_steps: Step::ALL.len() });
    };
    tell(Step::Split);
    check_segments(dataset, &plan)?;
    let rows = rows::choose(dataset, plan.holdout, plan.calibration_share)?;
    let job = Job {
        dataset,
        plan: &plan,
        code,
        rows: &rows,
        labels: dataset.examples.iter().map(|e| e.label).collect(),
    };
    tell(Step::Baseline);
    let baseline = job.fit(&plan.baseline, Fitted::Logistic)?;
    tell(Step::Challenger);
    let challenger = job.fit(&plan.challenger, Fitted::Boosted)?;
    tell(Step::Measure);
    let test = dataset.frame.take(&rows.test);
    let measure = |model: &Model| -> Result<Measured, Error> {
        let probabilities = model.predict(&test)?;
        let metrics = metric::evaluate(&probabilities, &job.labels_of(&rows.test), &plan.evaluation)?;
        Ok(Measured { probabilities, metrics })
    };
    let (first, second) = (measure(&baseline)?, measure(&challenger)?);
    let (opponent, live_not_compared) = match live.map(|live| (live.version, measure(live.model))) {
        None => (None, None),
        Some((version, Ok(measured))) => (Some((format!("the live {version}"), measured)), None),
        Some((version, Err(error))) => (None, Some(format!("{version}: {error}"))),
    };
    let named = [("the baseline".to_owned(), &first)];
    let against_live = opponent.iter().map(|(name, measured)| (name.clone(), measured));
    let of_challenger: Vec<(String, &Measured)> = named.into_iter().chain(against_live.clone()).collect();
    let baseline = job.finish(Role::Baseline, baseline, &first, &test, &against_live.collect::<Vec<_>>())?;
    let challenger = job.finish(Role::Challenger, challenger, &second, &test, &of_challenger)?;
    let comparison = job.compare(&first, &second)?;
    let chosen = chosen(&baseline, &challenger);
    let report = Report {
        dataset: dataset.manifest.clone(),
        test: rows.how.clone(),
        n_train: rows.train.len(),
        n_calibration: rows.calibrate.len(),
        n_test: rows.test.len(),
        baseline: first.metrics,
        challenger: second.metrics,
        comparison,
        baseline_verdict: baseline.gate.verdict(),
        challenger_verdict: challenger.gate.verdict(),
        chosen,
        live_not_compared,
    };
    Ok(Outcome { baseline, challenger, test_rows: rows.test, report })
}

fn chosen(baseline: &Trained, challenger: &Trained) -> Option<Role> {
    [challenger, baseline].into_iter().find(|trained| trained.gate.passed()).map(|trained| trained.role)
}

impl Outcome {
    /// Lets both show what they know of gold sets, and judges them again.
    ///
    /// # Errors
    /// Whatever `ask` says.
    pub fn ask<E>(&mut self, mut ask: impl FnMut(&Model) -> Result<Vec<Gold>, E>) -> Result<(), E> {
        for trained in [&mut self.baseline, &mut self.challenger] {
            trained.gate.gold = ask(&trained.model)?;
        }
        self.report.baseline_verdict = self.baseline.gate.verdict();
        self.report.challenger_verdict = self.challenger.gate.verdict();
        self.report.chosen = chosen(&self.baseline, &self.challenger);
        Ok(())
    }

    /// The model that may go on; `None` where the gate refuses both.
    pub fn chosen(&self) -> Option<&Trained> {
        self.report.chosen.map(|role| match role {
            Role::Baseline => &self.baseline,
            Role::Challenger => &self.challenger,
        })
    }
}

impl Trained {
    /// The record that registers it; keep [`Trained::bytes`] as a blob first.
    pub fn registration(&self, model: &ModelName, about: About, by: &str) -> ReleaseEvent {
        ReleaseEvent::Registered(Box::new(Registration {
            model: model.clone(),
            role: self.role,
            about: About { method: self.model.method_name().to_owned(), ..about },
            manifest: self.manifest.clone(),
            metrics: self.metrics.clone(),
            segments: self.segments.clone(),
            by: by.to_owned(),
        }))
    }

    /// The record that hands its figures to the gate.
    pub fn judgement(&self, model: &ModelName, version: VersionNumber, by: &str) -> ReleaseEvent {
        let report = Box::new(self.gate.clone());
        ReleaseEvent::Judged { model: model.clone(), version, report, by: by.to_owned() }
    }
}

struct Measured {
    probabilities: Vec<f64>,
    metrics: Metrics,
}

struct Job<'a> {
    dataset: &'a Dataset,
    plan: &'a Plan,
    code: &'a str,
    rows: &'a Rows,
    labels: Vec<bool>,
}

impl Job<'_> {
    fn labels_of(&self, rows: &[usize]) -> Vec<bool> {
        rows.iter().filter_map(|i| self.labels.get(*i).copied()).collect()
    }

    /// Fits on all teaching rows. The calibrator comes from a model fitted on the earlier ones, by its scores of the
    /// later ones: it has seen no score of a row that its model was taught with.
    fn fit<M: Fit>(&self, method: &M, wrap: fn(M::Fitted) -> Fitted) -> Result<Model, Error> {
        let Rows { train, early, calibrate, .. } = self.rows;
        let frame = &self.dataset.frame;
        let rehearsal = method.fit(&frame.take(early), &self.labels_of(early))?;
        let scores = rehearsal.logits(&frame.take(calibrate))?;
        let calibrator = Calibrator::fit(self.plan.calibration, &scores, &self.labels_of(calibrate))?;
        let fitted = wrap(method.fit(&frame.take(train), &self.labels_of(train))?);
        Ok(Model { fitted, calibrator, threshold: self.plan.evaluation.costs.threshold()? })
    }

    fn compare(&self, first: &Measured, second: &Measured) -> Result<Comparison, Error> {
        let labels = self.labels_of(&self.rows.test);
        Ok(metric::compare(&first.probabilities, &second.probabilities, &labels, &self.plan.evaluation)?)
    }

    fn finish(
        &self,
        role: Role,
        model: Model,
        measured: &Measured,
        test: &Frame,
        opponents: &[(String, &Measured)],
    ) -> Result<Trained, Error> {
        let bytes = model.to_bytes()?;
        let artefact = ContentHash::of(&bytes);
        let opponents = opponents.iter().map(|(name, other)| {
            let comparison = self.compare(other, measured)?;
            Ok(Opponent { name: name.clone(), metrics: other.metrics.clone(), comparison })
        });
        let gate = GateReport {
            artefact,
            role,
            test: self.rows.how.clone(),
            metrics: measured.metrics.clone(),
            opponents: opponents.collect::<Result<_, Error>>()?,
            gate: self.plan.gate.clone(),
            gold: Vec::new(),
        };
        let manifest = Manifest {
            dataset: self.dataset.manifest.clone(),
            code: self.code.to_owned(),
            // numbers, texts and lists: JSON can say all of it
            parameters: serde_json::to_string(self.plan).unwrap_or_default(),
            artefact,
        };
        let segments = self.segments(measured, test)?;
        Ok(Trained { role, model, bytes, manifest, metrics: measured.metrics.clone(), segments, gate })
    }

    fn segments(&self, measured: &Measured, test: &Frame) -> Result<Vec<Segment>, Error> {
        let labels = self.labels_of(&self.rows.test);
        let mut segments = Vec::new();
        for column in self.plan.segments.iter().filter_map(|name| test.column(name)) {
            for level in levels(column, test.n_rows()) {
                let own = (0..test.n_rows()).filter(|i| column.value(*i) == Value::Text(level));
                let (p, l): (Vec<f64>, Vec<bool>) =
                    own.filter_map(|i| Some((*measured.probabilities.get(i)?, *labels.get(i)?))).unzip();
                let n_yes = l.iter().filter(|l| **l).count();
                if n_yes >= LEAST_IN_SEGMENT && l.len() - n_yes >= LEAST_IN_SEGMENT {
                    let metrics = metric::evaluate(&p, &l, &self.plan.evaluation)?;
                    segments.push(Segment { name: format!("{} = {level}", column.name()), metrics });
                }
            }
        }
        Ok(segments)
    }
}

fn levels(column: &Column, n_rows: usize) -> std::collections::BTreeSet<&str> {
    let texts =
        (0..n_rows).filter_map(|i| if let Value::Text(text) = column.value(i) { Some(text) } else { None });
    texts.collect()
}

fn check_segments(dataset: &Dataset, plan: &Plan) -> Result<(), Error> {
    let categories = || dataset.frame.columns().iter().filter(|c| c.kind() == Kind::Category);
    for name in &plan.segments {
        if !categories().any(|c| **c.name() == **name) {
            let known: Vec<&str> = categories().map(|c| &**c.name()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Error::NoSuchSegment { column: name.chars().take(64).collect(), known });
        }
    }
    Ok(())
}
