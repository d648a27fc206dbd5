//! OpenLineage (<https://openlineage.io>, spec 2-0-2): what other tools tell of themselves, and how the house tells of
//! itself in their words.
//!
//! [`read`] keeps of an event what lineage needs: names, column lineage, owners, descriptions, schemas, tags, the
//! results of assertions. It drops the rest, above all SQL texts and error messages: they may hold personal values, and
//! `mr.lineage` lies open (LAW 4). [`Author`] writes the house's own graph, imports and models as events.

mod names;
mod read;
mod told;
mod write;

pub(crate) use names::plain;
pub use names::{Names, OURS};
pub use read::{MAX_EVENT_BYTES, read};
pub use told::{ColumnTold, DatasetTold, EdgeTold, End, JobTold, Told};
pub use write::{Author, ImportRun, TrainingRun};
