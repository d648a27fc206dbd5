//! Jobs on the wire: shown, run, and done step by step for a scheduler outside; and the thread that runs what is due.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use house::{AttemptView, House, JobRunner, JobView, RunView, StepView};
use policy::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::door::{Asked, Door, Json, Named, Sent};
use crate::error::Error;
use crate::gate::RequestId;
use crate::keeper::Caller;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::routes::{Spec, Table};

/// How long a request for a step waits, unless it says otherwise; and the longest.
const WAIT_SECONDS: u64 = 20;
const MAX_WAIT_SECONDS: u64 = 25;
/// Runs of one page, unless asked otherwise; and the most.
const RUNS: usize = 20;
const MAX_RUNS: usize = 1_000;

/// Starts running what is due.
pub(crate) fn start(house: &Arc<House>) -> Result<JobRunner, Error> {
    JobRunner::start(house)
        .map_err(|error| Error::Runtime { source: std::io::Error::other(error.to_string()) })
}

/// The routes of jobs.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    let step =
        "Does a step of a run driven from outside, once: asked again, it waits on or says what came out.";
    table
        .add(
            Spec::get("/v1/jobs", "jobs", "Every job, when it is due next, and its latest run.")
                .scope(Scope::Read)
                .gives::<Jobs>(),
            list,
        )
        .add(Spec::get("/v1/jobs/{job}", "jobs", "A job.").scope(Scope::Read).gives::<Job>(), show)
        .add(
            Spec::get("/v1/jobs/{job}/runs", "jobs", "The runs of a job, the latest first.")
                .scope(Scope::Read)
                .query("limit", false, "Up to 1,000; 20 unless said.")
                .gives::<Runs>(),
            runs,
        )
        .add(
            Spec::post(
                "/v1/jobs/{job}/runs",
                "jobs",
                "Opens a run; what failed in it before gets another chance.",
            )
            .scope(Scope::Jobs)
            .takes::<RunAsked>()
            .gives::<Run>(),
            open,
        )
        .add(
            Spec::get("/v1/jobs/{job}/runs/{run}", "jobs", "A run and its steps.")
                .scope(Scope::Read)
                .gives::<Run>(),
            run,
        )
        .add(
            Spec::delete("/v1/jobs/{job}/runs/{run}", "jobs", "Cancels a run: no further step begins.")
                .scope(Scope::Jobs)
                .gives::<Run>(),
            cancel,
        )
        .add(
            Spec::post("/v1/jobs/{job}/steps/{step}", "jobs", step)
                .scope(Scope::Jobs)
                .takes::<StepAsked>()
                .gives::<Step>(),
            do_step,
        )
}

/// Every job.
#[derive(Serialize, ToSchema)]
pub(crate) struct Jobs {
    /// By the names of their files.
    jobs: Vec<Job>,
}

/// A job of the project.
#[derive(Serialize, ToSchema)]
pub(crate) struct Job {
    /// Its name.
    job: String,
    /// Who answers for it.
    owner: String,
    /// What it is for.
    description: String,
    /// When it is due, as cron and time zone; null: by hand or from outside only.
    #[schema(example = "30 3 * * * Europe/Berlin")]
    schedule: Option<String>,
    /// When it is due next.
    #[schema(format = DateTime)]
    next_due: Option<String>,
    /// Runs so far.
    n_runs: u64,
    /// Its steps.
    steps: Vec<Planned>,
    /// The run opened last.
    last_run: Option<Run>,
}

/// A step of a job.
#[derive(Serialize, ToSchema)]
struct Planned {
    /// Its name.
    step: String,
    /// What it does.
    does: String,
    /// The steps that must be done first.
    needs: Vec<String>,
}

/// Runs of a job.
#[derive(Serialize, ToSchema)]
pub(crate) struct Runs {
    /// The latest first.
    runs: Vec<Run>,
}

/// A run of a job.
#[derive(Serialize, ToSchema)]
pub(crate) struct Run {
    /// The job.
    job: String,
    /// The run.
    run: String,
    /// `open`, `done`, `failed` or `cancelled`.
    state: &'static str,
    /// `house` or `outside`: who says when steps begin.
    driver: &'static str,
    /// The instant it was scheduled for.
    #[schema(format = DateTime)]
    due: Option<String>,
    /// Who or what opened it.
    by: String,
    /// When it was opened.
    #[schema(format = DateTime)]
    opened_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Its steps.
    steps: Vec<Step>,
}

/// A step of a run.
#[derive(Serialize, ToSchema)]
pub(crate) struct Step {
    /// Its name.
    step: String,
    /// `waiting`, `ready`, `resting`, `running`, `done`, `failed` or `skipped`.
    state: &'static str,
    /// The steps it needs.
    needs: Vec<String>,
    /// When it is tried again, where it rests.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// All attempts.
    n_attempts: u32,
    /// The latest attempts, the oldest first.
    attempts: Vec<Attempt>,
    /// What it did: counts and names.
    #[schema(value_type = Option<Object>)]
    report: Option<Value>,
}

/// An attempt of a step.
#[derive(Serialize, ToSchema)]
struct Attempt {
    /// Counted from 1.
    number: u32,
    /// When it began.
    #[schema(format = DateTime)]
    began_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// `running`, `done`, `failed` or `cut_off`.
    ended: &'static str,
    /// Names the reason of a failure.
    #[schema(example = "MR2020")]
    code: Option<String>,
    /// The reason.
    message: Option<String>,
    /// Of a failure: true where another attempt may help.
    again: Option<bool>,
}

impl From<JobView> for Job {
    fn from(job: JobView) -> Self {
        let steps = job.steps.into_iter().map(|(step, does, needs)| Planned { step, does, needs });
        Self {
            job: job.job,
            owner: job.owner,
            description: job.description,
            schedule: job.schedule,
            next_due: job.next_due.map(|at| at.to_string()),
            n_runs: job.n_runs,
            steps: steps.collect(),
            last_run: job.last_run.map(Run::from),
        }
    }
}

impl From<RunView> for Run {
    fn from(run: RunView) -> Self {
        Self {
            job: run.job,
            run: run.run,
            state: run.state,
            driver: run.driver,
            due: run.due.map(|at| at.to_string()),
            by: run.by,
            opened_at: run.opened_at.to_string(),
            ended_at: run.ended_at.map(|at| at.to_string()),
            steps: run.steps.into_iter().map(Step::from).collect(),
        }
    }
}

impl From<StepView> for Step {
    fn from(step: StepView) -> Self {
        let attempt = |attempt: AttemptView| Attempt {
            number: attempt.number,
            began_at: attempt.began_at.to_string(),
            ended_at: attempt.ended_at.map(|at| at.to_string()),
            ended: attempt.ended,
            code: attempt.code,
            message: attempt.message,
            again: attempt.again,
        };
        Self {
            step: step.step,
            state: step.state,
            needs: step.needs,
            next_at: step.next_at.map(|at| at.to_string()),
            n_attempts: step.n_attempts,
            attempts: step.attempts.into_iter().map(attempt).collect(),
            report: step.report,
        }
    }
}

/// `GET /v1/jobs`
async fn list(State(door): State<Arc<Door>>, id: RequestId) -> Result<Json<Jobs>, Problem> {
    let jobs = door.ask(&id, |house| house.jobs()).await?;
    Ok(Json(Jobs { jobs: jobs.into_iter().map(Job::from).collect() }))
}

/// `GET /v1/jobs/{job}`
async fn show(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named(job): Named<String>,
) -> Result<Json<Job>, Problem> {
    Ok(Json(door.ask(&id, move |house| house.job(&job)).await?.into()))
}

/// How many.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<usize>,
}

/// `GET /v1/jobs/{job}/runs`
async fn runs(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named(job): Named<String>,
    Asked(Page { limit }): Asked<Page>,
) -> Result<Json<Runs>, Problem> {
    let limit = limit.unwrap_or(RUNS);
    if limit == 0 || limit > MAX_RUNS {
        return Err(
            Refusal::Query { reason: format!("limit={limit} is not between 1 and {MAX_RUNS}") }.into()
        );
    }
    let runs = door.ask(&id, move |house| house.job_runs(&job, limit)).await?;
    Ok(Json(Runs { runs: runs.into_iter().map(Run::from).collect() }))
}

/// Which run to open.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunAsked {
    /// Its name; a new one opens a run, a known one is the same run.
    #[schema(example = "2026-11-24")]
    run: String,
}

/// `POST /v1/jobs/{job}/runs`
async fn open(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named(job): Named<String>,
    Sent(RunAsked { run }): Sent<RunAsked>,
) -> Result<Json<Run>, Problem> {
    let opened = door.ask(&id, move |house| house.open_run(&job, &run, caller.principal.name()));
    Ok(Json(opened.await?.into()))
}

/// `GET /v1/jobs/{job}/runs/{run}`
async fn run(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named((job, run)): Named<(String, String)>,
) -> Result<Json<Run>, Problem> {
    Ok(Json(door.ask(&id, move |house| house.job_run(&job, &run)).await?.into()))
}

/// `DELETE /v1/jobs/{job}/runs/{run}`
async fn cancel(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named((job, run)): Named<(String, String)>,
) -> Result<Json<Run>, Problem> {
    let cancelled = door.ask(&id, move |house| house.cancel_run(&job, &run, caller.principal.name()));
    Ok(Json(cancelled.await?.into()))
}

/// Which run a step belongs to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepAsked {
    /// The run's name; a new one opens a run driven from outside.
    #[schema(example = "scheduled__2026-11-24T02:30:00+00:00")]
    run: String,
    /// How long to wait for its end: up to 25 s, 20 unless said. It goes on afterwards; ask again.
    wait_seconds: Option<u64>,
}

/// `POST /v1/jobs/{job}/steps/{step}`
async fn do_step(
    State(door): State<Arc<Door>>,
    caller: Caller,
    id: RequestId,
    Named((job, step)): Named<(String, String)>,
    Sent(StepAsked { run, wait_seconds }): Sent<StepAsked>,
) -> Result<Json<Step>, Problem> {
    let seconds = wait_seconds.unwrap_or(WAIT_SECONDS);
    if seconds > MAX_WAIT_SECONDS {
        let reason = format!("wait_seconds: {seconds} is more than {MAX_WAIT_SECONDS}");
        return Err(Refusal::WrongShape { reason }.into());
    }
    let wait = Duration::from_secs(seconds);
    let by = Arc::clone(&caller.principal);
    let done = door.ask(&id, move |house| house.run_step_within(&job, &step, &run, by.name(), wait));
    Ok(Json(done.await?.into()))
}
