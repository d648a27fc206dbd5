//! Data out, as Parquet that DuckDB, Polars and Spark read, each read under a grant; and a whole instance out and in.

mod instance;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use contract::Bound;
use event::{Instant, Record, RecordId, Subject};
use feature::{AsOf, Label, View};
use lake::{Cell, Shape, Writer, Written};
use policy::{Action, Grant, Principal, RowBits};
use profile::Members;
use roles::Classes;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub use instance::{InstanceExported, InstanceLoaded, load_instance};

use crate::Error;
use crate::house::{House, WAIT};

/// What was taken out.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    /// The file.
    #[serde(flatten)]
    pub written: Written,
    /// Profiles that were left out because a member said no, or nobody said yes.
    pub n_profiles_left_out: usize,
    /// Rows that were left out with them.
    pub n_rows_left_out: u64,
}

/// How the fields of a stream lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileLayout {
    /// By the contract's names, beside what the house knows of each record: for analysis.
    Fields,
    /// As the documents lay when they came: an import through the same contract takes them in again.
    Raw,
}

/// Whose data may go, and which profile each subject belongs to.
struct Allowed {
    grant: Grant,
    /// The same as bits, asked once a row.
    bits: RowBits,
    profiles: HashMap<Subject, Members>,
    n_left_out: usize,
}

impl Allowed {
    /// Whether a subject's rows may go.
    fn permits(&self, subject: Subject) -> bool {
        self.bits.permits_at(subject, 0)
    }
}

impl House {
    /// Writes the records of a stream, through its newest contract.
    ///
    /// Records of whoever may not be used for `purpose` are left out whole. Of records that belong to nobody the open
    /// fields are written.
    ///
    /// # Errors
    /// [`Error::UnknownStream`]; [`Error::NotForPurpose`] where the contract does not allow the purpose;
    /// [`Error::Denied`]; [`Error::Lake`] where the file cannot be written.
    pub fn export_stream(
        &self,
        principal: &Principal,
        stream: &str,
        purpose: &str,
        layout: FileLayout,
        path: &Path,
    ) -> Result<Exported, Error> {
        let contracts = &self.composition().contracts;
        let contract = contracts.newest_named(stream).ok_or_else(|| Error::UnknownStream {
            name: stream.chars().take(64).collect(),
            known: contracts.iter().map(|contract| contract.stream.to_string()).collect(),
        })?;
        let allowed: Vec<String> = contract.purposes.iter().map(|purpose| purpose.name.clone()).collect();
        for_purpose(&format!("stream `{stream}`"), purpose, allowed)?;
        self.engine().settle(WAIT)?;
        let streams = BTreeSet::from([stream.to_owned()]);
        // What the purpose does not see is not in the file (GDPR article 5(1)(c)).
        let (seen, classes) = self.project().seen.narrowed(purpose, contract);
        let allowed = self.allowed(principal, purpose, classes, &streams)?;
        self.audit_export(principal, "stream", stream, purpose)?;
        let mut members = Vec::new();
        if layout == FileLayout::Fields {
            let text = ["_record", "_subject", "_profile", "_contract", "_source", "_batch"];
            members.extend(text.map(|name| (name.to_owned(), Shape::Cell(Cell::Text))));
            let times = ["_occurred_at", "_known_at"];
            members.extend(times.map(|name| (name.to_owned(), Shape::Cell(Cell::Timestamp))));
        }
        members.extend(match layout {
            FileLayout::Fields => Shape::fields(&seen),
            FileLayout::Raw => Shape::raw(&seen),
        });
        let about = [
            ("maschinenraum", format!("stream {stream} {}", contract.version)),
            ("purpose", purpose.to_owned()),
        ];
        let mut writer = Writer::create(path, members, &about)?;
        let mut n_rows_left_out = 0;
        self.each_record(&streams, |record| {
            if !record.subject.is_none() && !allowed.permits(record.subject) {
                n_rows_left_out += 1;
                return Ok(());
            }
            // LAW 3: nothing sealed is opened but for whom the grant covers.
            let bound = if record.subject.is_none() {
                Some(contract.bind(&intake::open_part(record)?))
            } else {
                self.composition().bind(record)?
            };
            let Some(bound) = bound else { return Ok(()) };
            let row = match layout {
                FileLayout::Raw => lake::unbind(&seen, &bound),
                FileLayout::Fields => {
                    let mut row = about_record(record, allowed.profiles.get(&record.subject));
                    if let Value::Object(fields) = bound {
                        row.extend(fields);
                    }
                    Value::Object(row)
                }
            };
            Ok(writer.write(&row)?)
        })?;
        Ok(Exported { written: writer.finish()?, n_profiles_left_out: allowed.n_left_out, n_rows_left_out })
    }

    /// Writes the values of a view for every profile that has a record of its stream, as of `at` (now where it is not
    /// said): one row a profile, computed as for training (LAW 5).
    ///
    /// # Errors
    /// [`Error::UnknownView`], [`Error::Denied`], [`Error::Feature`] where the view is not made for the purpose,
    /// [`Error::Lake`]
    pub fn export_features(
        &self,
        principal: &Principal,
        view: &str,
        purpose: &str,
        at: Option<Instant>,
        path: &Path,
    ) -> Result<Exported, Error> {
        let view = self.view(view)?.clone();
        for_purpose(&format!("view `{}`", view.reference()), purpose, view.purposes().to_vec())?;
        self.engine().settle(WAIT)?;
        let at = at.unwrap_or_else(|| self.clock().settled());
        let streams = BTreeSet::from([view.stream().to_string()]);
        let seen = &self.project().seen;
        let allowed = self.allowed(principal, purpose, seen.of_view(purpose, &view), &streams)?;
        self.audit_export(principal, "features", &view.reference(), purpose)?;
        let mut rows = Vec::new();
        self.each_record(&streams, |record| {
            if record.subject.is_none() || !allowed.permits(record.subject) {
                return Ok(());
            }
            if let Some(fields) = self.composition().bind(record)? {
                let row = view.row_of(&Bound { record, fields: &fields });
                rows.extend(row.map(|row| (record.subject, row)));
            }
            Ok(())
        })?;
        // Who was who at that instant, and nobody twice.
        let mut people: BTreeMap<Subject, Vec<Subject>> = BTreeMap::new();
        let subjects: BTreeSet<Subject> = rows.iter().map(|(subject, _)| *subject).collect();
        for subject in subjects {
            let known = self.in_control(|rooms| rooms.identities.members_as_of(subject, at))?;
            people.entry(known.id).or_insert(known.subjects);
        }
        people.retain(|_, members| members.iter().all(|member| allowed.permits(*member)));
        let threads = NonZeroUsize::new(2).unwrap_or(NonZeroUsize::MIN);
        let as_of = AsOf::build(&view, rows, threads)?;
        let labels: Vec<Label<'_>> = people.values().map(|members| Label { members, at }).collect();
        let asked = view.segments().iter().map(String::as_str).collect();
        let then = self.then(self.project(), asked, |subject| allowed.permits(subject))?;
        let said = then.contexts(&allowed.grant, &view, &labels, &[])?;
        let matrix = as_of.values_with(&allowed.grant, &labels, &said, threads)?;
        let mut members = vec![
            ("_profile".to_owned(), Shape::Cell(Cell::Text)),
            ("_at".to_owned(), Shape::Cell(Cell::Timestamp)),
        ];
        let known =
            view.features().iter().filter(|feature| seen.sees_feature(purpose, &view, feature.name()));
        members.extend(known.map(|feature| (feature.name().to_owned(), shape_of(feature))));
        let about =
            [("maschinenraum", format!("features {}", view.reference())), ("purpose", purpose.to_owned())];
        let mut writer = Writer::create(path, members, &about)?;
        for (i, profile) in people.keys().enumerate() {
            writer.write(&feature_row(&view, &matrix, i, *profile, at))?;
        }
        let n_profiles_left_out = allowed.n_left_out;
        Ok(Exported { written: writer.finish()?, n_profiles_left_out, n_rows_left_out: 0 })
    }

    /// Writes the dataset that a model would learn from now: one row an example, features as of its instant, its label,
    /// and the manifest beside it in the file.
    ///
    /// # Errors
    /// As [`House::dataset`]; [`Error::Denied`] without the right to export; [`Error::Lake`]
    pub fn export_dataset(&self, principal: &Principal, model: &str, path: &Path) -> Result<Exported, Error> {
        let spec = self.project().model(model)?.clone();
        let (dataset, n_without_consent, _) = self.dataset(principal, &spec)?;
        let mut profiles: BTreeMap<Subject, Members> = BTreeMap::new();
        for example in dataset.examples() {
            let members = self.members(example.subject)?;
            profiles.entry(members.id).or_insert(members);
        }
        // LAW 3: learning from somebody's data is not taking it out: that is asked by itself.
        let bulk = policy::authorize_many(
            principal,
            Action::Export,
            &spec.purpose,
            profiles.values().map(|members| members.subjects.as_slice()),
            &self.reading(
                self.project().seen.of_features(self.project(), spec.features.iter().map(String::as_str)),
            ),
            self.purposes(),
            self.clock().settled(),
        )?;
        self.audit_export(principal, "dataset", model, &spec.purpose)?;
        let frame = dataset.frame();
        let mut members: Vec<(String, Shape)> = vec![
            ("_subject".to_owned(), Shape::Cell(Cell::Text)),
            ("_at".to_owned(), Shape::Cell(Cell::Timestamp)),
            ("_settled".to_owned(), Shape::Cell(Cell::Timestamp)),
            ("_label".to_owned(), Shape::Cell(Cell::Boolean)),
            ("_test".to_owned(), Shape::Cell(Cell::Boolean)),
        ];
        members.extend(frame.columns().iter().map(|column| {
            let cell = if column.kind() == learn::Kind::Number { Cell::Number } else { Cell::Text };
            (column.name().to_string(), Shape::Cell(cell))
        }));
        let manifest = serde_json::to_string(dataset.manifest())
            .map_err(|e| Error::Internal { reason: format!("a manifest has no JSON: {e}") })?;
        let about =
            [("maschinenraum", format!("dataset {}", dataset.manifest().hash())), ("manifest", manifest)];
        let mut writer = Writer::create(path, members, &about)?;
        let mut n_rows_left_out = n_without_consent as u64;
        for (i, example) in dataset.examples().iter().enumerate() {
            if !bulk.grant.permits(example.subject) {
                n_rows_left_out += 1;
                continue;
            }
            let mut row = Map::new();
            row.insert("_subject".into(), json!(example.subject));
            row.insert("_at".into(), json!(example.at));
            row.insert("_settled".into(), json!(example.settled));
            row.insert("_label".into(), example.label.into());
            row.insert("_test".into(), example.marked.into());
            for column in frame.columns() {
                let value = match column.value(i) {
                    learn::Value::Number(number) => json!(number),
                    learn::Value::Text(text) => json!(text),
                    learn::Value::Missing => Value::Null,
                };
                row.insert(column.name().to_string(), value);
            }
            writer.write(&Value::Object(row))?;
        }
        let n_profiles_left_out = bulk.n_refused + bulk.n_without_consent;
        Ok(Exported { written: writer.finish()?, n_profiles_left_out, n_rows_left_out })
    }

    /// The profiles of all subjects of some streams, and a grant over those that may be used.
    fn allowed(
        &self,
        principal: &Principal,
        purpose: &str,
        classes: Classes,
        streams: &BTreeSet<String>,
    ) -> Result<Allowed, Error> {
        let mut subjects = BTreeSet::new();
        self.each_record(streams, |record| {
            if !record.subject.is_none() {
                subjects.insert(record.subject);
            }
            Ok(())
        })?;
        let (mut profiles, mut asked) = (HashMap::new(), BTreeMap::new());
        for subject in subjects {
            let members = self.members(subject)?;
            asked.entry(members.id).or_insert_with(|| members.subjects.clone());
            profiles.insert(subject, members);
        }
        let now = self.clock().settled();
        let bulk = policy::authorize_many(
            principal,
            Action::Export,
            purpose,
            asked.values(),
            &self.reading(classes),
            self.purposes(),
            now,
        )?;
        let bits = RowBits::new(&[&bulk.grant]);
        Ok(Allowed { grant: bulk.grant, bits, profiles, n_left_out: bulk.n_refused + bulk.n_without_consent })
    }

    /// Visits every record of some streams, once, in the order of the log; imports that were taken back are left out.
    pub(crate) fn each_record(
        &self,
        streams: &BTreeSet<String>,
        mut visit: impl FnMut(&Record) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let composition = self.composition();
        let mut seen: BTreeSet<RecordId> = BTreeSet::new();
        let mut failed = None;
        self.engine().journal().scan(&[], |_, _, record: Arc<Record>| {
            let is_undone = record.batch.is_some_and(|batch| composition.undone.contains(&batch));
            if failed.is_some() || is_undone || !streams.contains(record.stream.as_str()) {
                return Ok(());
            }
            if self.hides(&record) {
                return Ok(());
            }
            if seen.insert(record.id)
                && let Err(error) = visit(&record)
            {
                failed = Some(error);
            }
            Ok(())
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

fn for_purpose(what: &str, purpose: &str, allowed: Vec<String>) -> Result<(), Error> {
    if allowed.iter().any(|known| known == purpose) {
        return Ok(());
    }
    Err(Error::NotForPurpose { what: what.to_owned(), purpose: purpose.chars().take(64).collect(), allowed })
}

fn about_record(record: &Record, members: Option<&Members>) -> Map<String, Value> {
    let subject = Some(record.subject).filter(|subject| !subject.is_none());
    let about = json!({
        "_record": record.id, "_subject": subject, "_profile": members.map(|members| members.id),
        "_contract": record.contract, "_source": record.source, "_batch": record.batch,
        "_occurred_at": record.occurred_at, "_known_at": record.known_at,
    });
    match about {
        Value::Object(about) => about,
        _ => Map::new(),
    }
}

fn shape_of(feature: &feature::Feature) -> Shape {
    Shape::Cell(match feature.kind() {
        feature::Kind::Integer => Cell::Integer,
        feature::Kind::Number => Cell::Number,
        feature::Kind::Text => Cell::Text,
        feature::Kind::Boolean => Cell::Boolean,
    })
}

fn feature_row(view: &View, matrix: &feature::Matrix, i: usize, profile: Subject, at: Instant) -> Value {
    let mut row = Map::new();
    row.insert("_profile".into(), json!(profile));
    row.insert("_at".into(), json!(at));
    for (feature, column) in view.features().iter().zip(matrix.columns()) {
        row.insert(feature.name().to_owned(), json!(column.value(i)));
    }
    Value::Object(row)
}
