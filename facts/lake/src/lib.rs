//! The lake: what the house knows, as Parquet that DuckDB, Polars, Spark and pandas read, and back.
//!
//! Three things are here. A [`Writer`] turns JSON documents of a declared shape into a Parquet file, nested objects and
//! lists included; a [`Shape`] says what that shape is, above all for the records of a contract ([`Shape::fields`] with
//! the contract's names, [`Shape::raw`] as the documents lay when they came, so that an import through the same contract
//! takes them in again). [`journal`] writes records themselves, sealed cells as they are, and reads them back: the whole
//! of an instance in an open format.
//!
//! Whose data may be written is no matter of this room: it gets documents and writes them. The house asks for the grant.

mod error;
pub mod journal;
mod shape;
mod shred;
mod writer;

pub use error::Error;
pub use shape::{Cell, Shape, unbind};
pub use writer::{Writer, Written};
