//! Doing a step. What comes out is written into the open part of the journal: counts and names, never a value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jobs::{Run, Step};
use policy::{Principal, Scope};
use registry::{ModelName, Role, VersionNumber, VersionState};
use serde_json::{Value, json};

use super::act::{Act, Consents, Evaluate, Features, Import, Quality, Train};
use super::files;
use crate::Error;
use crate::house::{House, WAIT};
use crate::quality::{QualityAsked, quality_findings};

/// Why a step is not done.
pub(super) struct Stop {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) report: Option<Value>,
    pub(super) again: bool,
}

/// The longest message kept of a failure.
const MAX_MESSAGE: usize = 500;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        // A file that comes late is the usual reason why a job waits; what a contract or a gate says does not change by
        // itself.
        let late = matches!(&error, Error::Intake(intake::Error::Unreadable { .. }));
        let message = match &error {
            // What stands in the row is not for the open part of the journal (LAW 4).
            Error::Intake(intake::Error::Broken { path, row, .. }) => {
                format!(
                    "`{}`: row {row} cannot be read; `maschinenraum check --file` says why",
                    path.display()
                )
            }
            error => error.to_string(),
        };
        let message = message.chars().take(MAX_MESSAGE).collect();
        Self { code: error.code().to_owned(), message, report: None, again: late || error.retry() }
    }
}

/// What a step that was to find out something found: not good enough, and asking again does not help.
fn refused(message: String, report: Value) -> Stop {
    Stop { code: "MR4605".to_owned(), message, report: Some(report), again: false }
}

impl House {
    /// Does what a step says.
    pub(super) fn do_step(&self, run: &Run, step: &Step) -> Result<Value, Stop> {
        let act = Act::from_text(&step.plan.act).ok_or_else(|| Stop {
            code: "MR4600".to_owned(),
            message:
                "this build does not know what the step is to do; `jobs run` takes it from the file anew"
                    .to_owned(),
            report: None,
            again: false,
        })?;
        let caller = roles::Roles::part(&format!("job {}", run.job), &[Scope::Train, Scope::Read]);
        match act {
            Act::Import(act) => self.import_files(run, &act),
            Act::Consents(act) => self.import_consent_files(run, &act),
            Act::Quality(act) => self.hold_quality(run, step, &act),
            Act::Features(act) => self.settle_features(&act),
            Act::Train(act) => self.train_model(&caller, &act),
            Act::Evaluate(act) => self.evaluate_model(&caller, run, &act),
        }
    }

    /// The files of a step, for the day that its run is for.
    fn files_of(&self, run: &Run, pattern: &str) -> Result<Vec<PathBuf>, Stop> {
        let at = run.due.unwrap_or(run.opened_at);
        let spec = self.project().jobs.iter().find(|spec| spec.job == run.job);
        let local = spec.and_then(|spec| spec.schedule.as_ref()).map(|schedule| schedule.local_date(at));
        let date = local.unwrap_or_else(|| at.to_string().chars().take(10).collect());
        let unreadable = |source| {
            Stop::from(Error::Intake(intake::Error::Unreadable {
                path: self.project().dir.join(pattern),
                source,
            }))
        };
        let found = files::find(&self.project().dir, pattern, &date).map_err(unreadable)?;
        if found.is_empty() {
            return Err(unreadable(std::io::Error::new(std::io::ErrorKind::NotFound, "no file fits")));
        }
        Ok(found)
    }

    fn import_files(&self, run: &Run, act: &Import) -> Result<Value, Stop> {
        let mut brought = Vec::new();
        for file in self.files_of(run, &act.files)? {
            let done = self.import(&file, &act.stream, |_| {})?;
            let refused: BTreeMap<&String, u64> =
                done.reasons.iter().map(|(reason, (n, _))| (reason, *n)).collect();
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
            // Nothing of which attempt it was: done at once or after a crash, the report is the same.
            brought.push(json!({
                "file": name, "batch": done.batch, "stream": act.stream, "counts": done.counts, "refused": refused,
            }));
        }
        Ok(json!({ "imports": brought }))
    }

    fn import_consent_files(&self, run: &Run, act: &Consents) -> Result<Value, Stop> {
        let mut brought = Vec::new();
        for file in self.files_of(run, &act.files)? {
            let done = self.import_consents(&file)?;
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
            brought.push(json!({ "file": name, "accepted": done.n_accepted, "refused": done.refused.len() }));
        }
        Ok(json!({ "consents": brought }))
    }

    /// Holds the run's own imports against the bounds, so that asking again says the same.
    fn hold_quality(&self, run: &Run, step: &Step, act: &Quality) -> Result<Value, Stop> {
        let mut counts: BTreeMap<String, (u64, u64)> =
            act.streams.iter().map(|stream| (stream.clone(), (0, 0))).collect();
        for (stream, n_rows, n_refused) in imports_before(run, step) {
            if act.streams.is_empty() || act.streams.contains(&stream) {
                let known = counts.entry(stream).or_default();
                *known = (known.0 + n_rows, known.1 + n_refused);
            }
        }
        let mut wrong = Vec::new();
        if counts.is_empty() {
            wrong.push("no step before this one has imported anything".to_owned());
        }
        for (stream, (n_rows, n_refused)) in &counts {
            let percent = 100.0 * *n_refused as f64 / (*n_rows).max(1) as f64;
            if n_rows < &act.least_rows {
                wrong.push(format!("{stream}: {n_rows} rows, {} are due", act.least_rows));
            }
            if percent > act.most_refused_percent {
                wrong.push(format!(
                    "{stream}: {n_refused} of {n_rows} rows refused ({percent:.2} %), {} % are allowed; \
                     `maschinenraum quarantine` says why",
                    act.most_refused_percent
                ));
            }
        }
        let shown: Vec<Value> = counts
            .iter()
            .map(|(stream, (n_rows, n_refused))| json!({ "stream": stream, "rows": n_rows, "refused": n_refused }))
            .collect();
        self.engine().settle(WAIT).map_err(Error::from)?;
        let mut changes = Vec::new();
        for stream in counts.keys() {
            let asked = QualityAsked { stream: Some(stream.clone()), ..QualityAsked::default() };
            for change in quality_findings(&self.quality(&asked)?) {
                if act.stop_on_changes && change.code == "MR2101" {
                    let field = change.field.as_deref().unwrap_or("the stream");
                    wrong.push(format!("{stream}: {field} has changed for the worse (MR2101); `maschinenraum quality` shows it"));
                }
                // Without its message: that may quote a value.
                changes.push(json!({ "code": change.code, "stream": stream, "field": change.field }));
            }
        }
        let report = json!({ "streams": shown, "changes": changes });
        if wrong.is_empty() { Ok(report) } else { Err(refused(wrong.join("; "), report)) }
    }

    fn settle_features(&self, act: &Features) -> Result<Value, Stop> {
        self.engine().settle(WAIT).map_err(Error::from)?;
        let all = self.project().views.iter();
        let views =
            all.filter(|view| act.views.is_empty() || act.views.iter().any(|name| name == view.name()));
        let shown: Vec<Value> = views
            .map(|view| json!({ "view": view.name(), "version": view.version(), "fingerprint": view.fingerprint() }))
            .collect();
        Ok(json!({ "views": shown }))
    }

    fn train_model(&self, caller: &Principal, act: &Train) -> Result<Value, Stop> {
        let done = self.train(caller, &act.model, &mut |_| {})?;
        let report = &done.outcome.report;
        Ok(json!({
            "model": act.model,
            "examples": report.dataset.n_rows,
            "without_consent": done.n_without_consent,
            "open": done.n_open,
            "baseline": { "version": done.baseline, "artefact": done.outcome.baseline.manifest.artefact,
                "auc": report.baseline.auc.value, "gate": report.baseline_verdict },
            "challenger": { "version": done.challenger, "artefact": done.outcome.challenger.manifest.artefact,
                "auc": report.challenger.auc.value, "gate": report.challenger_verdict },
        }))
    }

    /// The versions that the run has trained, or else the newest of each kind: asked the gold sets of today, and held
    /// against their gate.
    fn evaluate_model(&self, caller: &Principal, run: &Run, act: &Evaluate) -> Result<Value, Stop> {
        let name: ModelName = act.model.parse().map_err(Error::from)?;
        let state = self.model(&act.model)?;
        let trained = trained_in(run, &act.model);
        let mut shown = Vec::new();
        let mut chosen = None;
        for role in [Role::Challenger, Role::Baseline] {
            let is_asked = |version: &&VersionState| {
                version.role == role && (trained.is_empty() || trained.contains(&version.number))
            };
            let Some(version) = state.versions.iter().rev().find(is_asked) else { continue };
            let Some(last) = version.judgements.last() else { continue };
            let model = self.load_model(&version.manifest.artefact)?;
            let mut report = last.report.clone();
            report.gold = self.ask_gold(caller, &act.model, &model)?;
            let (verdict, passed) = (report.verdict(), report.passed());
            if report != last.report {
                self.release(&registry::ReleaseEvent::Judged {
                    model: name.clone(),
                    version: version.number,
                    report: Box::new(report),
                    by: caller.name().to_owned(),
                })?;
            }
            if passed && chosen.is_none() {
                chosen = Some(version.number);
            }
            shown.push(
                json!({ "version": version.number, "auc": version.metrics.auc.value, "gate": verdict }),
            );
        }
        let report = json!({ "model": act.model, "chosen": chosen, "versions": shown });
        if chosen.is_some() {
            return Ok(report);
        }
        let message =
            format!("the gate lets no version of `{}` on; `maschinenraum models {0}` says why", act.model);
        Err(refused(message, report))
    }
}

/// Stream, rows and refusals of each import that a step of this run has done before `step`, as far as it needs them.
fn imports_before(run: &Run, step: &Step) -> Vec<(String, u64, u64)> {
    let mut before: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = step.plan.needs.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if before.insert(name) {
            open.extend(
                run.step(name).into_iter().flat_map(|step| step.plan.needs.iter().map(String::as_str)),
            );
        }
    }
    let mut imports = Vec::new();
    for step in run.steps.iter().filter(|step| before.contains(step.plan.name.as_str())) {
        let report = step.report().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let brought = report.as_ref().and_then(|report| report.get("imports")?.as_array());
        for import in brought.into_iter().flatten() {
            let number =
                |name: &str| import.get("counts").and_then(|counts| counts.get(name)?.as_u64()).unwrap_or(0);
            if let Some(stream) = import.get("stream").and_then(Value::as_str) {
                imports.push((stream.to_owned(), number("n_rows"), number("n_quarantined")));
            }
        }
    }
    imports
}

/// The versions of a model that steps of this run have registered.
fn trained_in(run: &Run, model: &str) -> Vec<VersionNumber> {
    let mut versions = Vec::new();
    for step in &run.steps {
        let report = step.report().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let Some(report) = report.filter(|report| report.get("model").and_then(Value::as_str) == Some(model))
        else {
            continue;
        };
        for role in ["baseline", "challenger"] {
            let version = report.get(role).and_then(|trained| trained.get("version"));
            versions.extend(
                version.and_then(|version| serde_json::from_value::<VersionNumber>(version.clone()).ok()),
            );
        }
    }
    versions
}
