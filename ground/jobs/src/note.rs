//! What is written down about jobs: the payloads of `mr.jobs`.

use event::{Instant, RecordId};
use serde::{Deserialize, Serialize};

use crate::{Driver, Ending, StepPlan};

/// The stream of jobs, in the control partition.
pub const JOBS: &str = "mr.jobs";

/// The payload of a record in `mr.jobs`. It holds no value of any record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    /// A job has this schedule from now on: what it was due before does not count.
    Scheduled {
        /// The job.
        job: String,
        /// The schedule; `None`: it is only run by hand.
        schedule: Option<String>,
        /// When that was seen.
        at: Instant,
    },
    /// A run was opened.
    Opened {
        /// The job.
        job: String,
        /// The run, unique in its job.
        run: String,
        /// Who says when its steps begin.
        driver: Driver,
        /// The instant it was scheduled for.
        due: Option<Instant>,
        /// Who or what opened it.
        by: String,
        /// Its steps, as the job's file has them now.
        steps: Vec<StepPlan>,
    },
    /// An attempt of a step begins: written before it acts.
    Began {
        /// The job.
        job: String,
        /// The run.
        run: String,
        /// The step.
        step: String,
        /// Counted from 1.
        attempt: u32,
    },
    /// An attempt has ended.
    Ended {
        /// The job.
        job: String,
        /// The run.
        run: String,
        /// The step.
        step: String,
        /// Which.
        attempt: u32,
        /// How.
        ending: Ending,
    },
    /// What failed is to be tried again, by the job's file of now.
    Reopened {
        /// The job.
        job: String,
        /// The run.
        run: String,
        /// Counted from 1.
        time: u32,
        /// Who wants it.
        by: String,
        /// The job's steps of now; steps that are done stay as they were.
        steps: Vec<StepPlan>,
    },
    /// The run ends here; no further step begins.
    Cancelled {
        /// The job.
        job: String,
        /// The run.
        run: String,
        /// Who wants it.
        by: String,
    },
}

impl Note {
    /// The payload's bytes.
    pub fn to_payload(&self) -> Vec<u8> {
        // Texts and numbers: there is nothing in it that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The record that holds it. Written twice, after a crash in between, it is the same record: a run is opened once
    /// and an attempt begins and ends once.
    pub fn record_id(&self) -> RecordId {
        let key = match self {
            Self::Scheduled { job, at, .. } => format!("{job}/scheduled/{}", at.micros()),
            Self::Opened { job, run, .. } => format!("{job}/{run}/opened"),
            Self::Began { job, run, step, attempt } => format!("{job}/{run}/{step}/{attempt}/began"),
            Self::Ended { job, run, step, attempt, .. } => format!("{job}/{run}/{step}/{attempt}/ended"),
            Self::Reopened { job, run, time, .. } => format!("{job}/{run}/reopened/{time}"),
            Self::Cancelled { job, run, .. } => format!("{job}/{run}/cancelled"),
        };
        RecordId::external(JOBS, key.as_bytes())
    }
}
