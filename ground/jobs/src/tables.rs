//! The ledger's tables (control partition).

use std::collections::BTreeSet;

use event::Instant;
use serde::{Deserialize, Serialize};
use store::{Error, Scope, Stored, Table};

use crate::Run;

/// What is known of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its schedule, as it was last written down.
    pub schedule: Option<String>,
    /// Since when it has this schedule: what was due before does not count.
    pub since: Instant,
    /// The latest instant for which a scheduled run was opened.
    pub last_due: Option<Instant>,
    /// Runs that have not ended.
    pub open: BTreeSet<String>,
    /// Runs opened so far.
    pub n_runs: u64,
    /// The run opened last.
    pub last_run: Option<String>,
}

/// Jobs and runs.
pub struct Tables {
    pub(crate) jobs: Table<String, Job>,
    pub(crate) runs: Table<String, Run>,
}

/// A job's name holds no `/`, so the runs of one lie together and no job's are another's.
pub(crate) fn key(job: &str, run: &str) -> String {
    format!("{job}/{run}")
}

impl Tables {
    /// The tables of `scope`'s partition.
    pub fn open(scope: &Scope) -> Self {
        Self { jobs: Table::open(scope, "jobs.jobs.1"), runs: Table::open(scope, "jobs.runs.1") }
    }

    /// The tables, for the loop.
    pub fn stored(&mut self) -> Vec<&mut dyn Stored> {
        vec![&mut self.jobs, &mut self.runs]
    }

    /// What is known of a job.
    ///
    /// # Errors
    /// The store's error.
    pub fn job(&self, job: &str) -> Result<Option<Job>, Error> {
        Ok(self.jobs.peek(&job.to_owned())?.map(|found| Job::clone(&found)))
    }

    /// One run.
    ///
    /// # Errors
    /// The store's error.
    pub fn run(&self, job: &str, run: &str) -> Result<Option<Run>, Error> {
        Ok(self.runs.peek(&key(job, run))?.map(|found| Run::clone(&found)))
    }

    /// The runs of a job, the latest first, at most `most`.
    ///
    /// # Errors
    /// The store's error.
    pub fn runs(&self, job: &str, most: usize) -> Result<Vec<Run>, Error> {
        let mut all = Vec::new();
        self.runs.scan_from(key(job, "").as_bytes(), &mut |_, run| all.push(run.clone()))?;
        all.sort_by(|a, b| (b.opened_at, &b.run).cmp(&(a.opened_at, &a.run)));
        all.truncate(most);
        Ok(all)
    }
}
