//! Jobs: when they are due, which of their steps may begin, and what became of each attempt.
//!
//! Everything here is a pure function of a clock that is handed in, or a fold of the stream [`JOBS`] in the control
//! partition (LAW 2). A step's beginning is a record before the step acts, its ending a record after; between the two
//! the process may die, and the ledger then shows an attempt without an ending, which the next process closes. This
//! room does not know what a step does: its work is an opaque text, its report another.

mod cron;
mod error;
mod fold;
mod note;
mod plan;
mod run;
mod schedule;
mod tables;

pub use cron::Cron;
pub use error::Error;
pub use fold::JobFold;
pub use note::{JOBS, Note};
pub use plan::{Flaw, StepPlan, Tries, check_name, check_run, check_steps};
pub use run::{Attempt, Driver, Ending, MAX_CUT_OFF, Run, RunState, Step, StepState};
pub use schedule::{CatchUp, Schedule};
pub use tables::{Job, Tables};

#[cfg(test)]
mod tests;
