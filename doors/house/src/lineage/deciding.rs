//! One decision, back to the raw rows: inputs, the records behind each of them, the files they came by; the models, and
//! what they were made from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use decide::{DecisionRecord, Input, Origin};
use event::{BatchId, Instant, Partition, Position, Record, RecordId, Subject, Version};
use feature::{Row, View};
use policy::{Action, Grant, Principal};
use registry::{FeatureVersion, JournalRange, ModelName};
use serde::Serialize;
use serde_json::Value;

use super::rows::Search;
use crate::Error;
use crate::house::House;
use crate::people::as_decide;
use crate::segments::Needs;

/// A decision and all that it was made from.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionTrace {
    /// The decision.
    pub decision: RecordId,
    /// Where its record lies.
    pub partition: Partition,
    /// And at which position, where that is known.
    pub position: Option<Position>,
    /// The use case.
    pub use_case: String,
    /// Its version.
    pub use_case_version: Version,
    /// Names the content of its file.
    pub use_case_content: String,
    /// The instant it was made as of.
    pub at: Instant,
    /// The purpose.
    pub purpose: String,
    /// What was chosen.
    pub action: String,
    /// The subjects of the profile at that time.
    pub members: Vec<Subject>,
    /// False where the evidence can no longer be opened; inputs are then named without values.
    pub has_evidence: bool,
    /// What it looked at.
    pub inputs: Vec<InputTrace>,
    /// What scored.
    pub models: Vec<ModelTrace>,
    /// The records behind the inputs, each once, by stream and time.
    pub records: Vec<RawRecord>,
}

/// One input and the records behind it.
#[derive(Clone, Debug, Serialize)]
pub struct InputTrace {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The version of the view that made it.
    pub version: String,
    /// Its value as the decision recorded it.
    pub value: Option<decide::Value>,
    /// Whether the records named here, and no others, give that value again; `None` where nothing can be computed:
    /// context, or a view that has changed since.
    pub reproduces: Option<bool>,
    /// True where it derives from a personal field.
    pub personal: bool,
    /// The fields it reads.
    pub fields: Vec<String>,
    /// The records that went in.
    pub records: Vec<RecordId>,
}

/// A model version and what it was made from.
#[derive(Clone, Debug, Serialize)]
pub struct ModelTrace {
    /// The model.
    pub model: String,
    /// The version.
    pub version: String,
    /// In which release it scored.
    pub release: String,
    /// Names its bytes.
    pub artefact: String,
    /// Names the dataset it learnt from.
    pub dataset: String,
    /// Rows of that dataset.
    pub n_rows: u64,
    /// The stretches of the journal that were read for it.
    pub journal: Vec<JournalRange>,
    /// The versions of the views.
    pub features: Vec<FeatureVersion>,
    /// When it was registered.
    pub registered_at: Instant,
    /// By whom.
    pub registered_by: String,
}

/// A record as it lies in the journal, and where it came from.
#[derive(Clone, Debug, Serialize)]
pub struct RawRecord {
    /// The record.
    pub record: RecordId,
    /// Its stream.
    pub stream: String,
    /// The contract's version that judged it.
    pub contract: Version,
    /// Its partition.
    pub partition: Partition,
    /// Its position there.
    pub position: Position,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was known.
    pub known_at: Instant,
    /// What it came by.
    pub source: Option<String>,
    /// The import that brought it.
    pub batch: Option<BatchId>,
    /// The file of that import.
    pub file: Option<String>,
    /// The row in that file, counted from 1 without a header; known where the file was at hand, by its content and not
    /// by its name.
    pub row: Option<u64>,
}

/// What the request said, for features that were computed then.
fn said(decision: &DecisionRecord) -> feature::Context {
    let inputs = decision.evidence.iter().flat_map(|evidence| &evidence.inputs);
    let context: serde_json::Map<String, Value> = inputs
        .filter(|input| input.origin == Origin::Context)
        .filter_map(|input| Some((input.name.clone(), serde_json::to_value(input.value.as_ref()?).ok()?)))
        .collect();
    feature::Context::of_json(&context)
}

/// A record found in the journal, with what the views take from it.
struct Found {
    record: Arc<Record>,
    partition: Partition,
    position: Position,
    fields: Value,
}

/// Takes the fields and the records that go into a feature's value at an instant; gives their rows.
fn take_rows(
    traced: &mut InputTrace,
    view: &View,
    feature: &str,
    at: Instant,
    found: &[Found],
) -> Vec<(Subject, Row)> {
    let reads = view.reads(feature).unwrap_or_default();
    let field = |read: &feature::FieldRead| format!("{}.{}", view.stream(), read.field);
    traced.fields.extend(reads.fields.iter().map(field));
    traced.fields.dedup();
    let mut rows = Vec::new();
    for one in found {
        let bound = contract::Bound { record: &one.record, fields: &one.fields };
        if let Some(row) = view.row_of(&bound).filter(|row| view.takes(feature, row, at)) {
            traced.records.push(one.record.id);
            rows.push((one.record.subject, row));
        }
    }
    rows
}

impl House {
    /// Where one decision comes from.
    ///
    /// * `files`: a folder with the files that were imported, to find the rows
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Denied`] where the profile may no longer be read for the decision's purpose;
    /// whatever the journal says.
    pub fn trace_decision(
        &self,
        principal: &Principal,
        id: RecordId,
        files: Option<&Path>,
    ) -> Result<DecisionTrace, Error> {
        let decision = self.decision(principal, id)?;
        let (purpose, subject) = (&decision.purpose, decision.members.first().copied());
        self.audit_look(
            "decision.trace",
            principal,
            purpose,
            subject,
            serde_json::json!({ "decision": id }),
        )?;
        // LAW 3: whose records went into a decision is read under a grant for its purpose.
        let now = self.clock().settled();
        let grant = policy::authorize(
            principal,
            Action::Decide,
            &decision.purpose,
            &decision.members,
            self,
            self.purposes(),
            now,
        )?;
        let inputs = self.inputs_of(&decision);
        let found = self.records_behind(&decision, &inputs)?;
        let mut traced = Vec::with_capacity(inputs.len());
        for input in inputs {
            traced.push(self.trace_input(&grant, &decision, input, &found)?);
        }
        let wanted: BTreeSet<RecordId> = traced.iter().flat_map(|input| &input.records).copied().collect();
        let mut records = Vec::with_capacity(wanted.len());
        let mut imports = BTreeMap::new();
        for one in found.iter().filter(|found| wanted.contains(&found.record.id)) {
            let record = &one.record;
            if let Some(batch) = record.batch.filter(|batch| !imports.contains_key(batch)) {
                imports.insert(batch, self.in_control(|rooms| rooms.imports.get(batch))?);
            }
            let import = record.batch.and_then(|batch| imports.get(&batch)).and_then(Option::as_ref);
            records.push(RawRecord {
                record: record.id,
                stream: record.stream.to_string(),
                contract: record.contract,
                partition: one.partition,
                position: one.position,
                occurred_at: record.occurred_at,
                known_at: record.known_at,
                source: record.source.as_ref().map(ToString::to_string),
                batch: record.batch,
                file: import.map(|import| import.file.clone()),
                row: None,
            });
        }
        if let Some(folder) = files {
            self.find_rows(folder, &imports, &mut records)?;
        }
        records
            .sort_by(|a, b| (&a.stream, a.occurred_at, a.record).cmp(&(&b.stream, b.occurred_at, b.record)));
        Ok(DecisionTrace {
            decision: id,
            partition: self.partition_of(decision.subject),
            position: decision.position,
            use_case_version: decision.use_case_version,
            use_case_content: decision.use_case_content.clone(),
            at: decision.at,
            purpose: decision.purpose.clone(),
            action: decision.chosen.action.clone(),
            members: decision.members.clone(),
            has_evidence: decision.evidence.is_some(),
            inputs: traced,
            models: self.models_behind(&decision)?,
            records,
            use_case: decision.use_case,
        })
    }

    /// The inputs as recorded; without evidence, as the use case names them today.
    fn inputs_of(&self, decision: &DecisionRecord) -> Vec<Input> {
        if let Some(evidence) = &decision.evidence {
            return evidence.inputs.clone();
        }
        let declared = self.use_case(&decision.use_case).map(|use_case| use_case.inputs.clone());
        let bare = |name: String, origin| Input {
            name,
            origin,
            value: None,
            version: String::new(),
            personal: true,
        };
        declared.unwrap_or_default().into_iter().map(|one| bare(one.name, one.origin)).collect()
    }

    /// Every record of the profile that was known when the decision was made, of the streams its inputs come from.
    fn records_behind(&self, decision: &DecisionRecord, inputs: &[Input]) -> Result<Vec<Found>, Error> {
        let mut streams: BTreeSet<String> = BTreeSet::new();
        let of_traits = || {
            let contracts = self.project().contracts.iter().filter(|contract| contract.traits);
            contracts.map(|contract| contract.stream.to_string())
        };
        for input in inputs {
            match input.origin {
                Origin::Segment => {
                    let needs = self.behind_segment(input);
                    let views = needs.features.iter().filter_map(|name| self.project().feature(name));
                    streams.extend(views.map(|(view, _)| view.stream().to_string()));
                    streams.extend(of_traits().filter(|_| !needs.traits.is_empty()));
                }
                Origin::Feature => {
                    streams.extend(self.view_of(input).map(|(view, _)| view.stream().to_string()));
                }
                Origin::Trait => streams.extend(of_traits()),
                Origin::Context => {}
            }
        }
        let composition = self.composition();
        let (mut found, mut failed) = (Vec::new(), None);
        let mut seen: BTreeSet<RecordId> = BTreeSet::new();
        self.engine().journal().scan(&[], |partition, position, record| {
            let is_of_it = decision.members.contains(&record.subject)
                && record.known_at <= decision.at
                && streams.contains(record.stream.as_str());
            let is_undone = record.batch.is_some_and(|batch| composition.undone.contains(&batch));
            if !is_of_it || is_undone || failed.is_some() || !seen.insert(record.id) {
                return Ok(());
            }
            match composition.bind(&record) {
                Ok(Some(fields)) => found.push(Found { record, partition, position, fields }),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
            Ok(())
        })?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(found),
        }
    }

    /// The view and feature of an input, in the version the decision used.
    fn view_of<'a>(&'a self, input: &'a Input) -> Option<(&'a View, &'a str)> {
        let (name, feature) = input.name.rsplit_once('.')?;
        let views = &self.project().views;
        let bare = name.split_once('@').map_or(name, |(bare, _)| bare);
        let view = match input.version.parse().ok() {
            Some(version) => views.get_version(bare, version)?,
            None => views.find(name)?,
        };
        Some((view, feature))
    }

    fn trace_input(
        &self,
        grant: &Grant,
        decision: &DecisionRecord,
        input: Input,
        found: &[Found],
    ) -> Result<InputTrace, Error> {
        let mut traced = InputTrace {
            name: input.name.clone(),
            origin: input.origin,
            version: input.version.clone(),
            value: input.value.clone(),
            reproduces: None,
            personal: input.personal,
            fields: Vec::new(),
            records: Vec::new(),
        };
        match input.origin {
            Origin::Context => {}
            Origin::Trait => {
                let name = traced.name.clone();
                self.trace_trait(&mut traced, &name, found);
            }
            Origin::Segment => {
                let needs = self.behind_segment(&input);
                for (view, feature) in needs.features.iter().filter_map(|name| self.project().feature(name)) {
                    take_rows(&mut traced, view, feature, decision.at, found);
                }
                for name in needs.traits {
                    self.trace_trait(&mut traced, name, found);
                }
                traced.fields.sort();
                traced.fields.dedup();
                traced.records.sort();
                traced.records.dedup();
            }
            Origin::Feature => {
                let Some((view, feature)) = self.view_of(&input) else { return Ok(traced) };
                let rows = take_rows(&mut traced, view, feature, decision.at, found);
                // What is computed from a segment is proven by the segment's own rows.
                if decision.evidence.is_some() && view.segments_of(feature).is_empty() {
                    let again = view.values_of_with(grant, &rows, decision.at, &said(decision).partial())?;
                    traced.reproduces = Some(again.get(feature).and_then(as_decide) == input.value);
                }
            }
        }
        Ok(traced)
    }

    /// All that the segment of an input is made from; nothing where the project has it no longer.
    fn behind_segment<'a>(&'a self, input: &'a Input) -> Needs<'a> {
        let name = input.name.strip_prefix(profile::SEGMENT).unwrap_or(&input.name);
        Needs::of(self.project(), [name]).unwrap_or_default()
    }

    /// The last word on a trait: the record that says it latest.
    fn trace_trait(&self, traced: &mut InputTrace, name: &str, found: &[Found]) {
        let contracts = &self.project().contracts;
        let says = |one: &&Found| {
            contracts.newest(&one.record.stream).is_some_and(|contract| contract.traits)
                && one.fields.get(name).is_some_and(|value| !value.is_null())
        };
        let last = found.iter().filter(says).max_by_key(|one| (one.record.occurred_at, one.record.id));
        if let Some(last) = last {
            traced.fields.push(format!("{}.{name}", last.record.stream));
            traced.records.push(last.record.id);
        }
    }

    fn models_behind(&self, decision: &DecisionRecord) -> Result<Vec<ModelTrace>, Error> {
        let mut traced = Vec::with_capacity(decision.models.len());
        for used in &decision.models {
            let name: ModelName = used.model.parse()?;
            let state = self.in_control(|rooms| Ok(rooms.releases.model(&name)))??;
            let is_it = |version: &&registry::VersionState| version.number.to_string() == used.version;
            let Some(version) = state.versions.iter().find(is_it) else { continue };
            let manifest = &version.manifest;
            traced.push(ModelTrace {
                model: used.model.clone(),
                version: used.version.clone(),
                release: used.release.clone(),
                artefact: manifest.artefact.to_string(),
                dataset: manifest.dataset.hash().to_string(),
                n_rows: manifest.dataset.n_rows,
                journal: manifest.dataset.journal.clone(),
                features: manifest.dataset.features.clone(),
                registered_at: version.registered_at,
                registered_by: version.registered_by.clone(),
            });
        }
        Ok(traced)
    }

    /// Finds the rows of records in the files that brought them, by the files' content.
    fn find_rows(
        &self,
        folder: &Path,
        imports: &BTreeMap<BatchId, Option<crate::Import>>,
        records: &mut [RawRecord],
    ) -> Result<(), Error> {
        let search = Search::in_folder(folder)?;
        for (batch, import) in imports {
            let Some(import) = import else { continue };
            let wanted: BTreeSet<RecordId> =
                records.iter().filter(|one| one.batch == Some(*batch)).map(|one| one.record).collect();
            let rows = search.rows(self, *batch, import, &wanted)?;
            for one in records.iter_mut().filter(|one| one.batch == Some(*batch)) {
                one.row = rows.get(&one.record).copied();
            }
        }
        Ok(())
    }
}
