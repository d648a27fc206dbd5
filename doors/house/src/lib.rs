//! The house: one composition of folds, doors' common floor.
//!
//! [`Project`] is what a user keeps in git; [`House`] is an open instance of it: journal, state, keys, models. What
//! the doors offer — HTTP, the command line, the acceptance tables — they all ask of this one room, so that there is
//! one way in and one way out, with one set of grants.
//!
//! This room knows no wire format of clients and no terminal.

mod backup;
mod clock;
mod consents_file;
mod deciding;
mod delivering;
mod error;
mod finding;
mod house;
mod importing;
mod imports;
mod keys;
mod layout;
mod modelspec;
mod outcomes;
mod people;
mod project;
mod releasing;
mod replaying;
mod rooms;
mod scoring;
mod settings;
mod status;
mod streams;
mod tracking;
mod training;

pub use backup::restore;
pub use clock::{Clock, Flight};
pub use consents_file::ConsentsImported;
pub use delivering::{Delivered, Handed};
pub use error::{Blame, Error, Kind};
pub use finding::{Finding, Severity};
pub use house::{House, Identifier};
pub use importing::Imported;
pub use imports::{Counts, Import, Stage};
pub use keys::NewKey;
pub use layout::{Instance, Layout};
pub use modelspec::{Costs, Examples, GateSpec, Label, ModelSpec, Test};
pub use outcomes::{BudgetState, Told};
pub use project::Project;
pub use replaying::{Verdict, rebuild_state};
pub use rooms::{Composition, Rooms};
pub use settings::{DEFAULTS, Settings};
pub use status::Status;
pub use streams::{Count, Reason, Refused};
pub use tracking::{Done, TrackReport};
pub use training::Training;
