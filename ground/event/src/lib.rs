//! The record envelope: ids, instants, and the bytes a record has for ever.
//!
//! This room knows nothing of contracts, people, files or HTTP. Everything that enters the house is a
//! [`Record`]; its wire form is versioned and every past version stays readable (`testdata/wire`).

mod id;
mod instant;
mod record;
mod wire;

pub use id::{
    BatchId, ParseIdError, Partition, Position, RecordId, SourceName, StreamName, Subject, Version,
};
pub use instant::{Instant, ParseInstantError, ParseSpanError, Span};
pub use record::{Cell, Payload, Record};
pub use wire::{Error, WIRE_VERSION, decode, encode, encode_into};
