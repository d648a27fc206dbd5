//! Contracts: what a stream's records must look like, who answers for them, and what they may be used for.
//!
//! A contract is an Open Data Contract Standard (ODCS v3) file; our own words stand under its
//! `customProperties`, so that other tools still read it. Here it is read ([`Contract::parse`]), judged
//! ([`Contract::validate`]), applied to a raw document ([`Contract::bind`]) and used to judge the result
//! ([`Contract::check`]). All of it is pure.
//!
//! Per contract: `stream`, `source`, `owner`, `purposes` (name and basis), `legalBasis`, `retention`, `liveSince`,
//! `consentBasis`, `subjectKey`, `subjectKind`, `eventTime`, `knownAt`, `allowFuture`, `traits`,
//! `dedupKey`. Per property:
//! `source`, `identifier`, `scale`, `enum`, `decimalComma`, `timeUnit`.
//!
//! This room knows nothing of keys, consent of single people, files, clocks or HTTP.

mod bind;
mod check;
pub mod diff;
mod error;
mod finding;
mod identifiers;
mod limits;
pub mod metric;
mod model;
mod odcs;
mod pointer;
mod propose;
mod registry;
mod same;
mod shape;
mod time;
mod validate;
pub mod yaml;

use event::Record;
use serde_json::Value;

pub use error::Error;
pub use finding::{Finding, MAX_FINDINGS, Severity};
pub use identifiers::names_somebody;
pub use limits::{MAX_DEPTH, MAX_ITEMS, MAX_TEXT_BYTES, broken_limit};
pub use model::{
    Classification, Contract, Currency, Field, Kind, LegalBasis, Path, Promise, Promised, Purpose,
    Relationship, SubjectKey,
};
pub use odcs::{Parsed, lacks_of_the_standard};
pub use pointer::Pointer;
pub use propose::{propose, propose_in_order};
pub use registry::Contracts;
pub use shape::{Split, join};

/// A record with its fields as its contract names them: what folds over contracted streams take.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its fields, from [`Contract::bind`].
    pub fields: &'a Value,
}

impl Contract {
    /// Takes a raw document apart: what lies open, what is sealed by itself, and what nobody declared.
    pub fn split(&self, raw: Value) -> Split {
        self.shape.split(raw)
    }

    /// The raw JSON pointers whose values are sealed one by one.
    pub fn personal_pointers(&self) -> Vec<String> {
        self.shape.sealed_pointers()
    }

    /// The paths of all fields, those inside of objects included: `customer.email`.
    pub fn declared_paths(&self) -> Vec<String> {
        fn collect(fields: &[Field], prefix: &str, out: &mut Vec<String>) {
            for field in fields {
                let path =
                    if prefix.is_empty() { field.name.clone() } else { format!("{prefix}.{}", field.name) };
                if let Kind::Object(inner) = &field.kind {
                    collect(inner, &path, out);
                }
                out.push(path);
            }
        }
        let mut out = Vec::new();
        collect(&self.fields, "", &mut out);
        out
    }

    /// The raw JSON pointers of all declared fields, those inside of objects included.
    pub fn declared_pointers(&self) -> Vec<String> {
        fn collect(fields: &[Field], prefix: &Pointer, out: &mut Vec<String>) {
            for field in fields {
                let pointer = prefix.join(&field.source);
                out.push(pointer.to_string());
                if let Kind::Object(inner) = &field.kind {
                    collect(inner, &pointer, out);
                }
            }
        }
        let mut out = Vec::new();
        collect(&self.fields, &Pointer::default(), &mut out);
        out
    }
}
