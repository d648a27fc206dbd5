//! Jobs of a project: `jobs/*.yaml` read and checked, their steps done, runs shown.
//!
//! The ledger and its rules are the crate `jobs`'; here is what it does not know: what a step does. Every act is one
//! that may be done twice without doing more (an import is named by its content, a model version by its bytes), so a
//! step that was cut off by the end of the process is simply done again (LAW 1).

mod act;
mod desk;
mod done;
mod files;
mod ledger;
mod runner;
mod spec;
mod view;

#[cfg(test)]
mod tests;

pub use act::Act;
pub(crate) use desk::Desk;
pub use runner::JobRunner;
pub use spec::JobSpec;
pub(crate) use spec::read_jobs;
pub use view::{AttemptView, JobView, RunView, StepView};
