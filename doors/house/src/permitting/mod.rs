//! Who may do what: the project's roles and policies, asked before every grant; and what each purpose may see.

mod ask;
mod noting;
mod read;
mod seen;
mod settings;

pub use ask::PolicyView;
pub use settings::{LoginSettings, PolicySettings};

pub(crate) use noting::Desk;
pub(crate) use read::read_policies;
pub(crate) use seen::{Seen, SeenTraits};
