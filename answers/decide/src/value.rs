//! What a decision knows about a person: typed values with where they come from.

pub use feature::expr::{Observed, Value};
use serde::{Deserialize, Serialize};

/// Where an input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A feature of a feature view.
    Feature,
    /// What the person said of themselves (an `identify` call).
    Trait,
    /// What the caller said about this moment.
    Context,
    /// Whether the person belongs to a segment.
    Segment,
}

/// One value a decision was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Its name, as the use case declares it.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The value; `None` where there is none.
    pub value: Option<Value>,
    /// The version of the feature view, segment or contract that made it; empty for context.
    pub version: String,
    /// True where it derives from a personal field: it is then stored sealed only.
    pub personal: bool,
}
