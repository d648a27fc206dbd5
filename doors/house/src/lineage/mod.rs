//! Lineage in the house: the graph of the project as it is, what other tools told, and what a change would break.

mod changing;
mod deciding;
mod rows;

use std::collections::BTreeSet;

use contract::Contracts;
use event::{RecordId, Subject};
use feature::Views;
use lineage::openlineage::{self, Author, ImportRun, Names, TrainingRun};
use lineage::{Builder, Graph, LINEAGE, Recipe};
use serde_json::Value;

pub use changing::{ContractChange, what_if};
pub use deciding::{DecisionTrace, InputTrace, ModelTrace, RawRecord};

use crate::Error;
use crate::house::{House, WAIT, system_record};
use crate::imports::{Import, Stage};
use crate::modelspec::{ModelSpec, Test};
use crate::project::Project;

/// The largest gold set that is looked into to see whether it holds anything.
const LOOK_BYTES: u64 = 1 << 20;

impl Project {
    /// The names under which the house's things go in events of other tools.
    pub fn lineage_names(&self) -> Names {
        Names::new(&self.settings.lineage.namespace)
    }

    /// The project's own part of the graph.
    pub fn lineage(&self) -> Builder {
        self.lineage_of(&self.contracts, &self.views)
    }

    fn lineage_of(&self, contracts: &Contracts, views: &Views) -> Builder {
        let mut builder = Builder::new(self.lineage_names());
        let tested = self.tested_features(views, contracts);
        let by = |view: &str, feature: &str| tested.get(&(view.to_owned(), feature.to_owned())).cloned();
        builder.contracts(contracts).views(views, contracts, &by);
        for segment in &self.segments {
            builder.segment(&audience(segment));
        }
        for spec in &self.models {
            builder.model(&described(spec), contracts);
        }
        for use_case in &self.use_cases {
            builder.use_case(use_case, self.gold_set(&use_case.gold_set));
        }
        builder
    }

    /// `goldsets/x.jsonl`, where it holds at least one example.
    fn gold_set(&self, path: &str) -> Option<String> {
        let path_here = self.dir.join(path);
        let is_small = std::fs::metadata(&path_here).is_ok_and(|meta| meta.len() <= LOOK_BYTES);
        let holds = !is_small && path_here.exists()
            || std::fs::read_to_string(&path_here)
                .is_ok_and(|text| text.lines().any(|line| line.trim_start().starts_with('{')));
        holds.then(|| path.to_owned())
    }
}

/// A segment as lineage takes it.
fn audience(segment: &profile::Segment) -> lineage::Audience {
    lineage::Audience {
        name: segment.name.clone(),
        version: segment.version.to_string(),
        owner: segment.owner.clone(),
        description: segment.description.clone(),
        purpose: segment.purpose.clone(),
        file: segment.file.clone(),
        features: owned(segment.features()),
        traits: owned(segment.traits()),
        segments: owned(segment.segments()),
    }
}

fn owned<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}

/// A model's spec as lineage takes it.
fn described(spec: &ModelSpec) -> lineage::Model {
    let mut of_examples: BTreeSet<String> = spec.examples.only.keys().cloned().collect();
    of_examples.extend(spec.context.iter().cloned());
    of_examples.extend(spec.label.until.iter().cloned());
    of_examples.extend(spec.label.matching.values().cloned());
    if let Test::Where { field, .. } = &spec.test {
        of_examples.insert(field.clone());
    }
    lineage::Model {
        name: spec.model.clone(),
        owner: spec.owner.clone(),
        description: spec.description.clone(),
        purpose: spec.purpose.clone(),
        version: None,
        tested_by: Some("its test set and gate".to_owned()),
        file: format!("models/{}.yaml", spec.model),
        features: spec.features.clone(),
        examples: Recipe { stream: spec.examples.stream.clone(), fields: of_examples.into_iter().collect() },
        labels: Recipe {
            stream: spec.label.stream.clone(),
            fields: spec.label.matching.keys().cloned().collect(),
        },
    }
}

impl House {
    /// What is made from what: the project as it is in force, the versions that serve, and what other tools told.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn lineage(&self) -> Result<Graph, Error> {
        let mut builder = self.project().lineage();
        for spec in &self.project().models {
            let mut model = described(spec);
            let name = spec.model.parse()?;
            if let Ok(state) = self.in_control(|rooms| Ok(rooms.releases.model(&name)))? {
                let serving = state.live.or(state.canary.as_ref().map(|canary| canary.version));
                let version = serving.and_then(|number| state.version(number));
                model.version = version.map(|version| version.number.to_string());
                let judged = version.and_then(|version| version.judgements.last());
                model.tested_by = match judged.map(|judged| judged.report.passed()) {
                    Some(true) => Some("its gate, passed".to_owned()),
                    Some(false) => None,
                    None => model.tested_by,
                };
            }
            builder.model(&model, &self.project().contracts);
        }
        let outside = self.in_control(|rooms| rooms.lineage.all())?;
        Ok(builder.told(&outside).build())
    }

    /// Takes OpenLineage events in; durable and folded when this returns. Each is taken or refused by itself: what is
    /// wrong with one keeps no other out.
    ///
    /// # Errors
    /// Whatever the journal says; then none of them is taken.
    pub fn tell_lineage(&self, events: &[Value]) -> Result<Vec<Result<RecordId, lineage::Error>>, Error> {
        let flight = self.clock().arrive();
        let (mut results, mut records, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for event in events {
            let told = match openlineage::read(event) {
                Ok(told) => told,
                Err(error) => {
                    results.push(Err(error));
                    continue;
                }
            };
            // LAW 11: bounded, whatever a producer takes for a dataset.
            if let Err(error) = self.in_control(|rooms| rooms.lineage.room_for(&told))? {
                results.push(Err(error));
                continue;
            }
            let id = told.id();
            if seen.insert(id) {
                let payload = told.to_payload();
                records.push(system_record(LINEAGE, Subject::NONE, id, Some(told.at), &flight, payload));
            }
            results.push(Ok(id));
        }
        if !records.is_empty() {
            self.engine().append_folded(records, WAIT)?;
        }
        drop(flight);
        Ok(results)
    }

    /// The house in OpenLineage's words: one job event per thing that is made, run events for every import and every
    /// model version.
    ///
    /// # Errors
    /// [`Error::Store`]
    pub fn lineage_events(&self) -> Result<Vec<Value>, Error> {
        let author = Author::new(self.project().lineage_names(), env!("CARGO_PKG_VERSION"), self.now());
        let mut events = author.graph(&self.lineage()?);
        for (batch, import) in self.imports()? {
            events.extend(author.import(&import_run(batch, import)));
        }
        for (name, state) in self.in_control(|rooms| Ok(rooms.releases.models()))?? {
            for version in &state.versions {
                events.push(author.training(&TrainingRun {
                    model: name.to_string(),
                    version: version.number.0,
                    at: version.registered_at,
                    dataset: version.manifest.dataset.hash().to_string(),
                    n_rows: version.manifest.dataset.n_rows,
                    artefact: version.manifest.artefact.to_string(),
                    passed: version.judgements.last().map(|judged| judged.report.passed()),
                }));
            }
        }
        Ok(events)
    }
}

fn import_run(batch: event::BatchId, import: Import) -> ImportRun {
    ImportRun {
        batch,
        stream: import.stream,
        file: import.file,
        started_at: import.started_at,
        noted_at: import.noted_at,
        state: match import.stage {
            Stage::Running => "RUNNING",
            Stage::Finished => "COMPLETE",
            Stage::Undone => "ABORT",
        },
        n_rows: import.counts.n_rows,
        n_accepted: import.counts.n_accepted,
        n_quarantined: import.counts.n_quarantined,
    }
}
