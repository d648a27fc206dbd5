//! What is kept of an event: the payload of `mr.lineage`.

use event::{Instant, RecordId};
use serde::{Deserialize, Serialize};

use crate::How;
use crate::fold::LINEAGE;

/// What one event told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The version of this payload.
    pub v: u16,
    /// When it happened, by the producer's account.
    pub at: Instant,
    /// Datasets it speaks of.
    pub datasets: Vec<DatasetTold>,
    /// The job it speaks of, if any.
    pub jobs: Vec<JobTold>,
    /// What is made from what.
    pub edges: Vec<EdgeTold>,
}

/// A dataset, as a tool describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetTold {
    /// Where it lives: `postgres://db:5432`.
    pub namespace: String,
    /// Its name there: `shop.public.orders`.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Its columns, as far as they were told.
    pub columns: Vec<ColumnTold>,
    /// Whether it is tagged as personal as a whole.
    pub personal: bool,
    /// Assertions that held and that did not; `None` where none were told.
    pub assertions: Option<(u32, u32)>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnTold {
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_name: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// Whether it is tagged as personal.
    pub personal: bool,
}

/// A job: a pipeline's task, a query, a dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTold {
    /// The scheduler or tool it runs in.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What sort of job: `DASHBOARD`, `QUERY`, `DAG`.
    pub sort: Option<String>,
    /// The state of its latest run, in small letters; empty where no run was told.
    pub state: String,
    /// That run.
    pub run: String,
}

/// What is made from what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeTold {
    /// What goes in.
    pub from: End,
    /// What comes out.
    pub to: End,
    /// What happens.
    pub how: How,
    /// The job in between, or how the tool describes the step.
    pub via: Option<String>,
}

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// A dataset: namespace, name.
    Dataset(String, String),
    /// A column: namespace, name, column.
    Column(String, String, String),
    /// A job: namespace, name.
    Job(String, String),
}

impl Told {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Texts, numbers and lists: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The id of its record: the same event told twice is one.
    pub fn id(&self) -> RecordId {
        RecordId::external(LINEAGE, &self.to_payload())
    }
}
