//! The fold of `mr.contracts`.

use decide::Goal;
use event::{Instant, Record, Version};
use serde::{Deserialize, Serialize};
use store::{Emissions, Error, Fold, Scope, Stored, Table};

use super::ledger::{AppliedContract, AppliedFeature, AppliedFormula, AppliedSegment, Ledger};

/// The stream of what was put into force.
pub(crate) const APPLIED: &str = "mr.contracts";

/// The payload of a record in `mr.contracts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub(crate) enum Note {
    /// A version of a contract, for ever.
    Contract { stream: String, version: Version, file: String, yaml: String },
    /// A version of a metric's formula, for ever.
    Formula { use_case: String, goal: Goal },
    /// A version of a segment, for ever.
    Segment { segment: String, version: u32, purpose: String, rule: String },
    /// What a feature is under a version of its view, for ever.
    Feature { view: String, version: u32, feature: String, formula: String },
    /// A version is the one that judges from now on; none: the stream has no contract any more.
    InForce { stream: String, version: Option<Version>, time: u32 },
}

impl Note {
    /// What names it: the same note is the same record, however often it is written.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Contract { stream, version, .. } => format!("contract {version} {stream}"),
            Self::Formula { use_case, goal } => {
                format!("formula {} {use_case} {}", goal.formula_version, goal.metric)
            }
            Self::Segment { segment, version, .. } => format!("segment {version} {segment}"),
            Self::Feature { view, version, feature, .. } => format!("feature {version} {view} {feature}"),
            Self::InForce { stream, time, .. } => format!("in force {time} {stream}"),
        }
    }

    /// The payload's bytes.
    pub(super) fn to_payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A contract's version as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptContract {
    stream: String,
    version: Version,
    file: String,
    yaml: String,
    since: Instant,
}

/// A formula's version as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptFormula {
    use_case: String,
    goal: Goal,
    since: Instant,
}

/// A segment's version as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptSegment {
    segment: String,
    version: u32,
    purpose: String,
    rule: String,
    since: Instant,
}

/// A feature as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptFeature {
    view: String,
    version: u32,
    feature: String,
    formula: String,
    since: Instant,
}

/// Which version judges, and how often that changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Current {
    version: Option<Version>,
    time: u32,
}

/// What was put into force.
pub struct Tables {
    contracts: Table<String, KeptContract>,
    formulas: Table<String, KeptFormula>,
    segments: Table<String, KeptSegment>,
    features: Table<String, KeptFeature>,
    current: Table<String, Current>,
}

impl Tables {
    /// Opens the tables in `scope`.
    pub fn open(scope: &Scope) -> Self {
        Self {
            contracts: Table::open(scope, "applied.contracts"),
            formulas: Table::open(scope, "applied.formulas"),
            segments: Table::open(scope, "applied.segments"),
            features: Table::open(scope, "applied.features"),
            current: Table::open(scope, "applied.current"),
        }
    }

    /// The tables, for commit and digest.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![
            &mut self.contracts,
            &mut self.formulas,
            &mut self.segments,
            &mut self.features,
            &mut self.current,
        ]
    }

    /// All of it.
    ///
    /// # Errors
    /// [`Error`] where the store fails.
    pub fn ledger(&self) -> Result<Ledger, Error> {
        let mut ledger = Ledger::default();
        self.contracts.scan(|_, kept| {
            let (file, yaml) = (kept.file.clone(), kept.yaml.clone());
            let applied = AppliedContract { file, yaml, since: Some(kept.since) };
            ledger.contracts.insert((kept.stream.clone(), kept.version), applied);
        })?;
        self.formulas.scan(|_, kept| {
            ledger.formulas.push(AppliedFormula {
                use_case: kept.use_case.clone(),
                goal: kept.goal.clone(),
                since: Some(kept.since),
            });
        })?;
        self.segments.scan(|_, kept| {
            ledger.segments.push(AppliedSegment {
                segment: kept.segment.clone(),
                version: kept.version,
                purpose: kept.purpose.clone(),
                rule: kept.rule.clone(),
                since: Some(kept.since),
            });
        })?;
        self.features.scan(|_, kept| {
            ledger.features.push(AppliedFeature {
                view: kept.view.clone(),
                version: kept.version,
                feature: kept.feature.clone(),
                formula: kept.formula.clone(),
                since: Some(kept.since),
            });
        })?;
        self.current.scan(|stream, current| {
            ledger.changes.insert(stream.clone(), current.time);
            if let Some(version) = current.version {
                ledger.current.insert(stream.clone(), version);
            }
        })?;
        ledger.sort();
        Ok(ledger)
    }
}

/// Folds `mr.contracts`. The first word under a version stays.
pub(crate) struct AppliedFold;

impl Fold<Record> for AppliedFold {
    type Tables = Tables;

    fn fold(&self, tables: &mut Tables, record: &Record, _: &mut Emissions) -> Result<(), Error> {
        let Ok(note) = serde_json::from_slice::<Note>(&record.payload.open) else { return Ok(()) };
        let (key, since) = (note.key(), record.known_at);
        match note {
            Note::Contract { stream, version, file, yaml } => {
                if tables.contracts.get(&key)?.is_none() {
                    tables.contracts.put(key, KeptContract { stream, version, file, yaml, since });
                }
            }
            Note::Formula { use_case, goal } => {
                if tables.formulas.get(&key)?.is_none() {
                    tables.formulas.put(key, KeptFormula { use_case, goal, since });
                }
            }
            Note::Segment { segment, version, purpose, rule } => {
                if tables.segments.get(&key)?.is_none() {
                    tables.segments.put(key, KeptSegment { segment, version, purpose, rule, since });
                }
            }
            Note::Feature { view, version, feature, formula } => {
                if tables.features.get(&key)?.is_none() {
                    tables.features.put(key, KeptFeature { view, version, feature, formula, since });
                }
            }
            Note::InForce { stream, version, time } => {
                if tables.current.get(&stream)?.is_none_or(|known| known.time < time) {
                    tables.current.put(stream, Current { version, time });
                }
            }
        }
        Ok(())
    }
}
