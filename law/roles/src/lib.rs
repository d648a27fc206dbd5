//! Who may do what, for which purpose, with fields of which class: one Cedar decision per query.
//!
//! ```text
//! caller (key, person, operator) → Roles::enter(door)                 may it come in here at all?
//!                                → Roles::may(action, purpose, classes)  → policy::authorize → grant
//! ```
//! The policies are files that people read: the built-in ones of `builtin/`, and the project's own in
//! `policies/*.cedar`. What no policy permits is denied, and a forbid wins over every permit. A policy sees the caller
//! with its roles, the action, the purpose with its legal basis and the class of the fields, and nothing else; that is
//! why a decision may be remembered until the policies change.
//!
//! LAW 3: this comes before the grant, never instead of it. This room is the only one that knows Cedar. It knows
//! nothing of HTTP, records or consents.

mod cache;
mod classes;
mod error;
mod evaluate;
mod fixture;
mod judge;
mod names;
mod read;
mod roles;
mod rule;
mod schema;
mod words;

pub use classes::Classes;
pub use error::Error;
pub use fixture::Tested;
pub use names::BUILT_IN_ROLES;
pub use roles::{Asked, Decision, Roles};
pub use rule::Rule;
