//! Watch: how good the data is, over time, on five dimensions, and what changed first.
//!
//! [`QualityFold`] folds every record into one [`Cell`] per stream × source × day: what of each field was there, its
//! values or their spread, how late records came, what was refused and why. [`report`] puts cells together, learns from
//! earlier buckets what to expect of later ones, and says what left that range, the earliest and gravest first.
//! [`Profile`] describes a file in the same terms before there is a contract.
//!
//! Memory is bounded whatever comes: [`Values`] keeps the few values with the smallest hashes, [`Spread`] counts in
//! logarithmic buckets. Both are sums: merging them in any order gives the same bytes, which LAW 2 asks for and a KLL or
//! a heavy-hitter sketch cannot give.
//!
//! LAW 2 and 4: of sealed fields only the presence is seen, never a value.
//!
//! This room knows no journal, no HTTP, no clock and no person.

mod cell;
mod change;
mod column;
mod cover;
mod fold;
mod page;
mod plan;
mod profile;
mod promised;
mod relation;
mod report;
mod ruled;
mod seen;
mod spread;
mod unusual;
mod values;

pub use cell::{Cell, FieldCell};
pub use change::{Change, Metric};
pub use column::{Column, ColumnReport, Shape};
pub use cover::Cover;
pub use fold::{CellKey, NOTES, QualityFold, Repeated, Tables, source_of, without_places};
pub use page::page;
pub use plan::{Plan, Plans, Watched};
pub use profile::{Profile, ProfileReport};
pub use promised::PromiseReport;
pub use relation::{KeySample, Relation, RelationReport};
pub use report::{
    Bucket, By, Dimension, FieldReport, Gathered, Options, Report, StreamReport, day_of, report,
};
pub use ruled::{How, RuleReport, unjudged};
pub use spread::Spread;
pub use values::{Values, hash};
