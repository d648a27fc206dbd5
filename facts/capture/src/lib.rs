//! Capture: what changes in a PostgreSQL database becomes documents, each with a name for ever.
//!
//! PostgreSQL tells its changes by logical replication: a *publication* names tables, a *slot* remembers up to where they
//! were taken. Here are the two halves of taking them: a pure decoder of what the server sends ([`Assembler`],
//! [`value`]), and a blocking client that logs in, looks whether the database is fit, copies the tables as they were at
//! the slot's first instant ([`copy_tables`]) and then streams ([`Feed`]).
//!
//! A change is named by the place of its transaction's commit in the database's log and its number in the transaction
//! ([`Change::key`]); the server sends a transaction again and again, always the same, until told that it is durable
//! here. So whoever appends changes together with how far they got, and confirms only that, has each exactly once.
//!
//! This room knows nothing of contracts, keys, the journal, or where records go; nor of databases other than PostgreSQL.

mod address;
mod assembler;
mod change;
mod client;
mod copy;
mod error;
mod feed;
mod lsn;
mod pgoutput;
mod server;
mod tls;
pub mod value;

pub use address::Address;
pub use assembler::{Assembler, Step};
pub use change::{Change, Column, Identity, Op, Table};
pub use client::{Client, Login};
pub use copy::{copied, copy_tables};
pub use error::{Error, codes};
pub use feed::{Feed, Told};
pub use lsn::Lsn;
pub use pgoutput::{Cell, Message, Relation, Tuple};
pub use server::{NewSlot, Published, Slot, System};
pub use tls::Tls;
