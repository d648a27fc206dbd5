//! Datasets and what is learned from them, as jobs that can be repeated byte for byte.
//!
//! A [`Dataset`] holds one row per example: a subject, an instant, feature values as of it, and how it ended. Its
//! manifest says what it was made from; its rows lie in an order of their own, so that neither a scan nor the number
//! of partitions shows. [`train`] fits the baseline and the challenger, calibrates them on rows they have not seen,
//! measures both on the same held-out rows, and lets the gate say who may go on. The same dataset and plan give the
//! same bytes, per binary and CPU family.
//!
//! LAW 3: a dataset is built under a grant to train that covers every subject in it. This room knows nothing of
//! partitions, HTTP or how a release proceeds; it has no clock, and threads only inside the tree library.

mod dataset;
mod error;
pub mod gold;
mod job;
mod plan;
mod rows;

pub use dataset::{Dataset, Example, Origin, columns_of};
pub use error::{Error, Part};
pub use job::{Live, Outcome, Report, Trained, train};
pub use plan::{Holdout, Plan, Progress, Step};
