//! Features: one definition, served and trained with by the same code.
//!
//! A [`View`] is read from YAML and names features over one stream. [`View::row_of`] takes from a record what
//! the view needs: when it happened, when it was known, which filters it passes, the values of the fields. Rows
//! are all there is. [`FeatureFold`] keeps them per subject as records are folded; [`AsOf`] keeps them for the
//! labels of a training set; both are read by one function, `evaluate`, at an instant *t*: it uses exactly the
//! rows with `known_at <= t` and `occurred_at <= t` that lie in a feature's window (t − w, t].
//!
//! # Why train = serve (LAW 5)
//!
//! A value is a function of a *set* of rows and an instant, whatever way the rows came:
//!
//! * counts, extremes, distinct values and times are so by nature; `last` and `first` are ordered by
//!   (occurred, known, record id), which no two rows share;
//! * sums are exact: whole numbers and fields with a `scale` add up as 128-bit integers, other numbers as exact
//!   expansions (Shewchuk 1997) that are rounded once, at the end;
//! * decayed sums add exactly rounded terms the same way. Where a subject has hundreds of rows, terms of a whole
//!   block are summed beforehand and aged together, which costs some units in the last place (bound: 1e-12);
//! * a profile's value is that of all its members' rows together, in whatever order they are named;
//! * a record that comes twice (same id, same `occurred_at`) is one row, known since the earlier of the two.
//!
//! A training set asks for the same profile at many instants. It is gone through in order of time (`sweep`): a row
//! enters the accumulators when it becomes visible and is taken out again when a window has passed it. The rows that
//! count are those of the same rule, the accumulators and their reading are the same, and because sums are exact,
//! nothing of a row is left once it is taken out: the values are the same to the last bit, which is tested.
//!
//! # What is forgotten, and why no value changes
//!
//! Let W be the view's longest window and *h* = (latest `known_at` of the subject's rows) − one day. Now and
//! then the online state gives up rows with `occurred_at <= h − W` and `known_at <= h`. A read at *t* ≥ *h* sees
//! each of them (both its instants are ≤ *t*), in no sliding window (it lies before *t* − W), but in every
//! lifetime feature. So each is added to the base of the lifetime features, a set of the accumulators that reads
//! use anyway, and dropped. A read before *h* is refused ([`Error::TooFarBack`]), never answered wrongly; the
//! journal still has it all, and [`AsOf`] forgets nothing. A row that comes late stays a row until its own
//! `known_at` is a day old, however old its `occurred_at`. A row that is known only after it has left every
//! window that could hold it is none.
//!
//! # Cost
//!
//! Rows lie in blocks of up to 128, as delta-coded bytes (about 25 a row). Appending is amortised O(1), also for
//! a subject with 100,000 rows; a late row is put into its block. Full blocks are entries of the state by themselves, so
//! a commit writes the tails that grew and the blocks that changed, and nothing else. A read decodes the blocks at the edges of the
//! windows and takes sums of whole blocks, kept in memory and not in the state, for what lies between.
//!
//! This room knows nothing of partitions, profiles, models, files or HTTP. LAW 3: values leave it only through
//! [`Reader::at`] and [`AsOf::values`], and both take a grant.

mod acc;
mod asof;
mod block;
mod building;
mod calendar;
mod cell;
mod context;
mod error;
mod evaluate;
mod exact;
pub mod expr;
mod filter;
mod fixture;
mod fold;
#[cfg(test)]
mod fold_tests;
mod formula;
mod matrix;
mod money;
mod ondemand;
#[cfg(test)]
mod ondemand_tests;
#[cfg(test)]
mod parity;
mod path;
mod plan;
mod reader;
mod reads;
mod row;
mod rows;
mod suggest;
mod sweep;
mod value;
mod varint;
mod view;
#[cfg(test)]
mod view_tests;
mod views;
mod wording;
mod yaml;

pub use asof::{AsOf, Builder, Label};
pub use context::{Context, ContextField, SEGMENT};
pub use error::Error;
pub use fixture::{Tested, run_fixture};
pub use fold::{FeatureFold, Held, Shelf, Tables};
pub use matrix::{Column, Matrix};
pub use reader::Reader;
pub use reads::{FieldRead, Reads, Use};
pub use row::Row;
pub use value::{Kind, Value, Values};
pub use view::{Feature, View};
pub use views::Views;
