//! Lineage: what is made from what, from a field of a record to a use case, and beyond the house's own doors.
//!
//! A [`Graph`] is derived, never kept by hand: [`Builder`] reads contracts, feature views, models and use cases as they
//! are in force, and adds what other tools told in OpenLineage events ([`openlineage`], folded by [`LineageFold`] from
//! the stream `mr.lineage`). Each [`Edge`] says what happens on it and is marked where information is lost, where
//! nothing tests what comes out, and where personal data flow. From the graph follow
//!
//! * what a thing is made from and what is made from it ([`Graph::trace`]),
//! * circles ([`Graph::cycles`]), which are findings and never endless loops,
//! * the [catalogue](catalogue::search), and
//! * what a change would break, before it is made ([`impact`]).
//!
//! All of it but the fold is pure. This room knows no journal, no HTTP and no person: how a single decision goes back
//! to its raw rows, the house says, which has the records.

mod build;
pub mod catalogue;
mod cycles;
mod error;
mod fold;
mod graph;
mod impact;
mod node;
pub mod openlineage;

pub use build::{Audience, Builder, Model, Recipe};
pub use error::{Error, codes};
pub use fold::{LINEAGE, LineageFold, MAX_NODES, Outside, Tables};
pub use graph::{Direction, Edge, Graph, How, Node, Step};
pub use impact::{Hit, Impact, Touch, impact};
pub use node::{Kind, NodeId};
