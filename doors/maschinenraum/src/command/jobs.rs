//! `jobs`: scheduled work shown, run, and done step by step; here, or at a running server.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use house::House;
use serde_json::{Value, json};

use super::Ctx;
use crate::command::data::user;
use crate::out::{self, Code};

/// `jobs`
#[derive(Subcommand, Debug)]
pub enum Jobs {
    /// Every job, when it is due next, and its latest run.
    List {
        /// Where to ask.
        #[command(flatten)]
        at: At,
    },
    /// A job and its runs, or one run with its steps.
    ///
    /// Example: maschinenraum jobs show nightly 2026-11-24
    Show {
        /// The job.
        job: String,
        /// One run.
        run: Option<String>,
        /// Runs shown at most.
        #[arg(long, default_value_t = 10)]
        most: usize,
        /// Where to ask.
        #[command(flatten)]
        at: At,
    },
    /// Runs a job now and waits for its end; the name of a run that failed gives what failed another chance. Exit code
    /// 1 where a step failed.
    ///
    /// Example: maschinenraum jobs run nightly --run 2026-11-24
    Run {
        /// The job.
        job: String,
        /// The run's name; without it, one made of the time.
        #[arg(long)]
        run: Option<String>,
        /// Where to run it.
        #[command(flatten)]
        at: At,
    },
    /// Does one step of a run, once, for a scheduler outside: called again, it says what came out. Exit code 1 where
    /// another attempt would not help, 3 where it may.
    ///
    /// Example: maschinenraum jobs step nightly import --run 2026-11-24
    Step {
        /// The job.
        job: String,
        /// The step.
        step: String,
        /// The run's name; all steps of a run share it.
        #[arg(long)]
        run: String,
        /// Where to do it.
        #[command(flatten)]
        at: At,
    },
    /// Ends a run: no further step begins.
    Cancel {
        /// The job.
        job: String,
        /// The run.
        run: String,
        /// Where to ask.
        #[command(flatten)]
        at: At,
    },
}

/// Here, where no server has the project open; or at one that has.
#[derive(Args, Debug)]
pub struct At {
    /// Ask a running server at this URL, with a key of the scopes `read` and `jobs` in MASCHINENRAUM_KEY.
    #[arg(long, value_name = "URL", env = "MASCHINENRAUM_SERVER")]
    server: Option<String>,
}

/// How long one request for a step waits.
const WAIT_SECONDS: u64 = 20;
/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(500);

/// Runs the command.
pub fn run(ctx: &Ctx, args: &Jobs) -> anyhow::Result<Code> {
    match args {
        Jobs::List { at } => list(ctx, &Place::of(ctx, at)?),
        Jobs::Show { job, run, most, at } => show(ctx, &Place::of(ctx, at)?, job, run.as_deref(), *most),
        Jobs::Run { job, run, at } => run_now(ctx, &Place::of(ctx, at)?, job, run.as_deref()),
        Jobs::Step { job, step, run, at } => do_step(ctx, &Place::of(ctx, at)?, job, step, run),
        Jobs::Cancel { job, run, at } => {
            let ended = Place::of(ctx, at)?.cancel(job, run)?;
            print_run(ctx, &ended)?;
            Ok(Code::Fine)
        }
    }
}

/// Who is asked. Both answer in the same form.
enum Place {
    Here(Arc<House>),
    There(Server),
}

struct Server {
    url: String,
    key: String,
    agent: ureq::Agent,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Here(house) = self {
            house.close();
        }
    }
}

impl Place {
    fn of(ctx: &Ctx, at: &At) -> anyhow::Result<Self> {
        let Some(url) = at.server.as_deref().filter(|url| !url.is_empty()) else {
            return Ok(Self::Here(ctx.open()?));
        };
        let key = std::env::var("MASCHINENRAUM_KEY").context("MASCHINENRAUM_KEY holds no key")?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Ok(Self::There(Server { url: url.trim_end_matches('/').to_owned(), key, agent }))
    }

    fn jobs(&self) -> anyhow::Result<Value> {
        match self {
            Self::Here(house) => {
                Ok(json!({ "jobs": house.jobs()?.iter().map(job_shape).collect::<Vec<_>>() }))
            }
            Self::There(server) => server.ask("GET", "/v1/jobs", None),
        }
    }

    fn job(&self, job: &str) -> anyhow::Result<Value> {
        match self {
            Self::Here(house) => Ok(job_shape(&house.job(job)?)),
            Self::There(server) => server.ask("GET", &format!("/v1/jobs/{job}"), None),
        }
    }

    fn runs(&self, job: &str, most: usize) -> anyhow::Result<Value> {
        match self {
            Self::Here(house) => Ok(json!({ "runs": house.job_runs(job, most)? })),
            Self::There(server) => server.ask("GET", &format!("/v1/jobs/{job}/runs?limit={most}"), None),
        }
    }

    fn run(&self, job: &str, run: &str) -> anyhow::Result<Value> {
        match self {
            Self::Here(house) => Ok(serde_json::to_value(house.job_run(job, run)?)?),
            Self::There(server) => server.ask("GET", &format!("/v1/jobs/{job}/runs/{run}"), None),
        }
    }

    fn cancel(&self, job: &str, run: &str) -> anyhow::Result<Value> {
        match self {
            Self::Here(house) => Ok(serde_json::to_value(house.cancel_run(job, run, &user())?)?),
            Self::There(server) => server.ask("DELETE", &format!("/v1/jobs/{job}/runs/{run}"), None),
        }
    }

    /// Opens a run and waits for its end, telling what changes.
    fn run_now(&self, job: &str, run: &str) -> anyhow::Result<Value> {
        let mut told = Vec::new();
        match self {
            Self::Here(house) => {
                house.open_run(job, run, &user())?;
                let ended = house.drive_run(job, run, |view| {
                    tell(&serde_json::to_value(view).unwrap_or_default(), &mut told);
                    true
                })?;
                Ok(serde_json::to_value(ended)?)
            }
            Self::There(server) => {
                let mut view =
                    server.ask("POST", &format!("/v1/jobs/{job}/runs"), Some(&json!({ "run": run })))?;
                while text(&view, "state") == "open" {
                    tell(&view, &mut told);
                    std::thread::sleep(LOOK);
                    view = self.run(job, run)?;
                }
                tell(&view, &mut told);
                Ok(view)
            }
        }
    }

    fn step(&self, job: &str, step: &str, run: &str) -> anyhow::Result<Value> {
        match self {
            Self::Here(house) => Ok(serde_json::to_value(house.run_step(job, step, run, &user())?)?),
            Self::There(server) => {
                let body = json!({ "run": run, "wait_seconds": WAIT_SECONDS });
                loop {
                    let done = server.ask("POST", &format!("/v1/jobs/{job}/steps/{step}"), Some(&body))?;
                    if text(&done, "state") != "running" {
                        return Ok(done);
                    }
                }
            }
        }
    }
}

/// As the server shows a job.
fn job_shape(job: &house::JobView) -> Value {
    let steps: Vec<Value> = job
        .steps
        .iter()
        .map(|(step, does, needs)| json!({ "step": step, "does": does, "needs": needs }))
        .collect();
    let mut shape = json!(job);
    if let Some(place) = shape.get_mut("steps") {
        *place = Value::Array(steps);
    }
    shape
}

impl Server {
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.key));
        let sent = match body {
            Some(body) => self.agent.run(request.body(body.to_string())?),
            None => self.agent.run(request.body(())?),
        };
        let mut answer = sent.with_context(|| format!("{} does not answer", self.url))?;
        let said = answer.body_mut().read_to_string()?;
        let value: Value = serde_json::from_str(&said).unwrap_or_default();
        if !answer.status().is_success() {
            bail!(
                "the server answers {}: {} ({})",
                answer.status(),
                text(&value, "message"),
                text(&value, "code")
            );
        }
        Ok(value)
    }
}

fn list(ctx: &Ctx, place: &Place) -> anyhow::Result<Code> {
    let jobs = place.jobs()?;
    if ctx.json {
        out::json(&jobs)?;
        return Ok(Code::Fine);
    }
    let rows: Vec<Vec<String>> = items(&jobs, "jobs")
        .map(|job| {
            let last = job.get("last_run").unwrap_or(&Value::Null);
            let last = match text(last, "run") {
                "" => String::new(),
                run => format!("{run} {}", text(last, "state")),
            };
            let schedule = Some(text(job, "schedule")).filter(|text| !text.is_empty()).unwrap_or("by hand");
            [text(job, "job"), text(job, "owner"), schedule, text(job, "next_due"), &last]
                .map(str::to_owned)
                .to_vec()
        })
        .collect();
    out::table(&["job", "owner", "schedule", "due next", "latest run"], &rows);
    Ok(Code::Fine)
}

fn show(ctx: &Ctx, place: &Place, job: &str, run: Option<&str>, most: usize) -> anyhow::Result<Code> {
    if let Some(run) = run {
        print_run(ctx, &place.run(job, run)?)?;
        return Ok(Code::Fine);
    }
    let (shown, runs) = (place.job(job)?, place.runs(job, most)?);
    if ctx.json {
        out::json(&json!({ "job": shown, "runs": runs.get("runs") }))?;
        return Ok(Code::Fine);
    }
    out::line(&format!(
        "{}: {} ({})",
        text(&shown, "job"),
        text(&shown, "description"),
        text(&shown, "owner")
    ));
    match text(&shown, "schedule") {
        "" => out::line("run by hand or from outside"),
        schedule => out::line(&format!("due {schedule}, next {}", text(&shown, "next_due"))),
    }
    let rows: Vec<Vec<String>> = items(&shown, "steps")
        .map(|step| vec![text(step, "step").to_owned(), text(step, "does").to_owned(), words(step, "needs")])
        .collect();
    out::table(&["step", "does", "needs"], &rows);
    let rows: Vec<Vec<String>> = items(&runs, "runs")
        .map(|run| {
            let row = [
                text(run, "run"),
                text(run, "state"),
                text(run, "by"),
                text(run, "opened_at"),
                text(run, "ended_at"),
            ];
            row.map(str::to_owned).to_vec()
        })
        .collect();
    out::line("");
    out::table(&["run", "state", "by", "opened", "ended"], &rows);
    Ok(Code::Fine)
}

fn run_now(ctx: &Ctx, place: &Place, job: &str, run: Option<&str>) -> anyhow::Result<Code> {
    let made = || format!("manual-{}", event::Instant::now());
    let ended = place.run_now(job, &run.map_or_else(made, str::to_owned))?;
    print_run(ctx, &ended)?;
    Ok(if text(&ended, "state") == "done" { Code::Fine } else { Code::Findings })
}

fn do_step(ctx: &Ctx, place: &Place, job: &str, step: &str, run: &str) -> anyhow::Result<Code> {
    let done = place.step(job, step, run)?;
    if ctx.json {
        out::json(&done)?;
    } else if let Some(report) = done.get("report").filter(|report| !report.is_null()) {
        out::line(&report.to_string());
    }
    let last = items(&done, "attempts").last().unwrap_or(&Value::Null);
    match text(&done, "state") {
        "done" => Ok(Code::Fine),
        state => {
            let (code, message) = (text(last, "code"), text(last, "message"));
            out::say(&format!("step `{step}` of run `{run}` is {state}: {message} ({code})"));
            // `resting` is what another attempt may mend, whoever makes it.
            let is_final = state == "failed" && last.get("again").and_then(Value::as_bool) != Some(true);
            Ok(if is_final { Code::Findings } else { Code::Error })
        }
    }
}

/// Says on stderr what has changed since the last look.
fn tell(run: &Value, told: &mut Vec<String>) {
    for step in items(run, "steps") {
        let line = format!("{}: {}", text(step, "step"), text(step, "state"));
        let attempt = step.get("n_attempts").and_then(Value::as_u64).unwrap_or(0);
        let line = if attempt > 1 { format!("{line} (attempt {attempt})") } else { line };
        if !matches!(text(step, "state"), "waiting" | "ready") && !told.contains(&line) {
            out::say(&line);
            told.push(line);
        }
    }
}

fn print_run(ctx: &Ctx, run: &Value) -> anyhow::Result<()> {
    if ctx.json {
        return out::json(run);
    }
    out::line(&format!(
        "{} {}: {}, driven by the {}, opened {} by {}",
        text(run, "job"),
        text(run, "run"),
        text(run, "state"),
        text(run, "driver"),
        text(run, "opened_at"),
        text(run, "by")
    ));
    let rows: Vec<Vec<String>> = items(run, "steps")
        .map(|step| {
            let last = items(step, "attempts").last().unwrap_or(&Value::Null);
            let attempts = step.get("n_attempts").and_then(Value::as_u64).unwrap_or(0).to_string();
            let why = match (text(last, "code"), text(step, "next_at")) {
                ("", _) => String::new(),
                (code, "") => format!("{code}: {}", text(last, "message")),
                (code, next) => format!("{code}: {}; again at {next}", text(last, "message")),
            };
            vec![text(step, "step").to_owned(), text(step, "state").to_owned(), attempts, why]
        })
        .collect();
    out::table(&["step", "state", "attempts", "why"], &rows);
    Ok(())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn words(value: &Value, name: &str) -> String {
    items(value, name).filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn items<'a>(value: &'a Value, name: &str) -> impl DoubleEndedIterator<Item = &'a Value> + use<'a> {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}
