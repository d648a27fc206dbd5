//! Examples with feature values as of their instants, and a manifest that names them.

use event::{Instant, Subject};
use feature::{Matrix, View};
use learn::{Column, Frame, Value};
use policy::{Action, Grant};
use registry::{ContentHash, DatasetManifest, FeatureVersion, JournalRange};
use sha2::{Digest, Sha256};

use crate::Error;

/// One row: whom it is about, as of when, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// The subject it is about.
    pub subject: Subject,
    /// The instant that its features are as of.
    pub at: Instant,
    /// When its outcome was known for good. A split by time teaches with no row whose outcome was still open when
    /// the test began.
    pub settled: Instant,
    /// How it ended.
    pub label: bool,
    /// Marked for the test, where the plan says that marks decide.
    pub marked: bool,
}

/// Where a dataset comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The stretch of the journal that was read.
    pub journal: Vec<JournalRange>,
    /// The feature views that were read.
    pub features: Vec<FeatureVersion>,
    /// The seed of everything random in training.
    pub seed: u64,
}

/// Rows to learn from, in an order that depends on nothing but the rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    pub(crate) examples: Vec<Example>,
    pub(crate) frame: Frame,
    pub(crate) manifest: DatasetManifest,
}

/// The columns of a view's values, named `view.feature`.
pub fn columns_of(matrix: &Matrix) -> Vec<Column> {
    let view = matrix.view();
    let features = view.features().iter().zip(matrix.columns());
    features
        .map(|(feature, column)| {
            let name = format!("{}.{}", view.name(), feature.name());
            match column {
                feature::Column::Text(texts) => {
                    Column::categories(&name, texts.iter().map(|text| text.as_deref()))
                }
                // numbers() is None for texts only
                _ => Column::numbers(&name, column.numbers().unwrap_or_default()),
            }
        })
        .collect()
}

impl Origin {
    /// The manifest's line about a view.
    pub fn feature_version(view: &View) -> FeatureVersion {
        FeatureVersion {
            view: view.name().to_owned(),
            version: view.version(),
            fingerprint: view.fingerprint().to_owned(),
        }
    }
}

impl Dataset {
    /// Puts examples and columns together; row *i* of each column belongs to example *i*.
    ///
    /// # Errors
    /// [`Error::Denied`] where the grant is not to train or does not cover a subject; [`Error::NoExamples`],
    /// [`Error::LengthsDiffer`], and [`Error::Learn`] for columns that make no table.
    pub fn build(
        grant: &Grant,
        examples: Vec<Example>,
        columns: Vec<Column>,
        origin: Origin,
    ) -> Result<Self, Error> {
        for example in &examples {
            // LAW 3: every subject, or no dataset.
            grant.require(&[Action::Train], example.subject)?;
        }
        if examples.is_empty() {
            return Err(Error::NoExamples);
        }
        let frame = Frame::new(columns)?;
        if frame.n_rows() != examples.len() {
            return Err(Error::LengthsDiffer {
                column: frame.columns().first().map_or(String::new(), |c| c.name().to_string()),
                n_values: frame.n_rows(),
                n_examples: examples.len(),
            });
        }
        let (order, rows) = in_order(&examples, &frame);
        let examples: Vec<Example> = order.iter().filter_map(|i| examples.get(*i).copied()).collect();
        let frame = frame.take(&order);
        let mut features = origin.features;
        features.sort();
        features.dedup();
        let mut journal = origin.journal;
        journal.sort_by_key(|range| range.partition);
        let instants = || examples.iter().map(|e| e.at);
        let manifest = DatasetManifest {
            journal,
            features,
            purpose: grant.purpose().to_owned(),
            consent_epoch: grant.consent_epoch(),
            seed: origin.seed,
            columns: frame.columns().iter().map(|c| c.name().to_string()).collect(),
            n_rows: examples.len() as u64,
            n_positives: examples.iter().filter(|e| e.label).count() as u64,
            earliest: instants().min().unwrap_or_default(),
            latest: instants().max().unwrap_or_default(),
            rows,
        };
        Ok(Self { examples, frame, manifest })
    }

    /// What it was made from.
    pub fn manifest(&self) -> &DatasetManifest {
        &self.manifest
    }

    /// The examples, in the order of the rows.
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// The feature values.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// The order of rows (by instant, content, then subject), and the hash over names and rows in that order. Pseudonyms
/// differ from house to house and come last: they must not decide what a model learns from the same data.
fn in_order(examples: &[Example], frame: &Frame) -> (Vec<usize>, ContentHash) {
    let mut rows: Vec<(Instant, Vec<u8>, Subject, usize)> = examples
        .iter()
        .enumerate()
        .map(|(i, example)| (example.at, bytes_of(example, frame, i), example.subject, i))
        .collect();
    rows.sort_unstable();
    let mut hash = Sha256::new();
    hash.update(b"dataset 1");
    for column in frame.columns() {
        put(&mut hash, column.name().as_bytes());
    }
    for (_, bytes, subject, _) in &rows {
        put(&mut hash, subject.as_bytes());
        put(&mut hash, bytes);
    }
    let hash = ContentHash::from_bytes(hash.finalize().into());
    (rows.into_iter().map(|(_, _, _, i)| i).collect(), hash)
}

/// Length first, so that (`ab`, `c`) and (`a`, `bc`) differ.
fn put(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

fn bytes_of(example: &Example, frame: &Frame, row: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&example.at.micros().to_le_bytes());
    out.extend_from_slice(&example.settled.micros().to_le_bytes());
    out.extend_from_slice(&[u8::from(example.label), u8::from(example.marked)]);
    for column in frame.columns() {
        match column.value(row) {
            Value::Missing => out.push(0),
            Value::Number(number) => {
                out.push(1);
                out.extend_from_slice(&number.to_bits().to_le_bytes());
            }
            Value::Text(text) => {
                out.push(2);
                out.extend_from_slice(&(text.len() as u64).to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    out
}
