//! Jobs: a real Airflow runs the DAG against the server, which is killed in every step; the result is the one of a calm
//! run without Airflow.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{folder, ran};
use crate::http::Client;
use crate::peers;
use crate::place::Place;
use crate::served;
use crate::table::{Figure, Item};

const JOB: &str = "nightly";
const RUN: &str = "airflow-1";
const MODEL: &str = "response";
const CUSTOMERS: &str = "2000";
/// From Airflow's start to its first DAG, and from a trigger to a run's end.
const PATIENCE: Duration = Duration::from_secs(600);

/// The item.
pub const ITEM: Item = Item {
    id: "jobs",
    title: "A real Airflow runs the DAG against a server that is killed (-9) in every step",
    bar: "Airflow says success; every step cut off once and done; imports, models, gate's words, record counts and reports \
          equal to a calm run without Airflow; replay gives the same digest",
    run,
};

fn run(place: &Place) -> Result<Figure> {
    let (binary, airflow) = (served::binary(place)?, peers::airflow(place)?);
    let folder = folder(place, "jobs")?;
    let (calm, killed) = (folder.join("calm"), folder.join("killed"));
    for project in [&calm, &killed] {
        let mut simulate = Command::new(&binary);
        simulate.args(["simulate", "shop", "--customers", CUSTOMERS, "--out"]).arg(project);
        ran(&mut simulate, &[0])?;
        // Airflow retries by what the job's file says: not in a minute.
        let file = project.join("jobs/nightly.yaml");
        std::fs::write(&file, std::fs::read_to_string(&file)?.replace("first_after: 1m", "first_after: 1s"))?;
    }
    let at = |project: &Path, args: &[&str]| {
        let mut command = Command::new(&binary);
        command.arg("--project").arg(project).args(args);
        command.env_remove("MASCHINENRAUM_SERVER").env_remove("MASCHINENRAUM_KEY");
        command
    };
    ran(&mut at(&calm, &["jobs", "run", JOB, "--run", RUN]), &[0])?;
    let keys = ["keys", "create", "airflow", "--scope", "jobs", "--scope", "read"];
    let key = ran(&mut at(&killed, &keys), &[0])?.trim().to_owned();

    let mut house = House::start(&binary, &killed, &key, free()?)?;
    let orchestra = Airflow::start(place, &airflow, &folder, &binary, &killed, &house)?;
    orchestra.trigger()?;
    let (mut killed_in, started) = (BTreeSet::new(), Instant::now());
    let ended = loop {
        if let Some(step) = house.begun()?.into_iter().find(|step| !killed_in.contains(step)) {
            house = house.restart_after_kill()?;
            eprintln!("   killed in `{step}` after {} s", started.elapsed().as_secs());
            killed_in.insert(step);
        }
        if house.state()?.as_deref() == Some("done") || started.elapsed() > PATIENCE {
            break orchestra.state(PATIENCE.saturating_sub(started.elapsed()))?;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    orchestra.stop();
    house.stop()?;

    let show = ["--json", "jobs", "show", JOB, RUN];
    let [one, other]: [Value; 2] = [
        serde_json::from_str(&ran(&mut at(&calm, &show), &[0])?)?,
        serde_json::from_str(&ran(&mut at(&killed, &show), &[0])?)?,
    ];
    let left = |project: &Path, run: &Value| -> Result<Value> {
        let imports: Value =
            serde_json::from_str(&ran(&mut at(project, &["--json", "import", "--list"]), &[0])?)?;
        let mut imports: Vec<String> = imports
            .as_array()
            .into_iter()
            .flatten()
            .map(|import| format!("{} {}", of(import, "/0"), of(import, "/1/counts")))
            .collect();
        imports.sort();
        let status: Value = serde_json::from_str(&ran(&mut at(project, &["--json", "status"]), &[0])?)?;
        let streams: Vec<Value> = of(&status, "/streams")
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !name.starts_with("mr."))
            .map(|(name, count)| json!([name, of(count, "/n_records"), of(count, "/n_refused")]))
            .collect();
        let models = ran(&mut at(project, &["models", MODEL]), &[0])?;
        let reports: Vec<&Value> = steps(run).map(|step| of(step, "/report")).collect();
        Ok(json!({ "imports": imports, "streams": streams, "models": models, "reports": reports }))
    };
    let (first, second) = (left(&calm, &one)?, left(&killed, &other)?);
    std::fs::write(folder.join("calm.json"), serde_json::to_vec_pretty(&first)?)?;
    std::fs::write(folder.join("killed.json"), serde_json::to_vec_pretty(&second)?)?;
    let replay = at(&killed, &["replay", "--verify"]).stderr(Stdio::null()).stdout(Stdio::null()).status()?;
    let cut = steps(&other)
        .filter(|step| {
            let attempts = of(step, "/attempts").as_array().into_iter().flatten();
            attempts.filter(|attempt| of(attempt, "/ended") == "cut_off").count() > 0
        })
        .count();
    let n = steps(&other).count();
    let n_records: u64 = of(&second, "/streams")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|stream| of(stream, "/1").as_u64())
        .sum();
    let same = first == second;
    // A step may have been done, and on record, before the kill that its beginning called for.
    let holds = ended == "success" && same && replay.success() && killed_in.len() == n && cut * 10 >= n * 8;
    Ok(Figure {
        text: format!(
            "Airflow: {ended}; {} of {n} steps killed at their beginning, {cut} cut off before their end was on record; \
             {n_records} records and the models {} ({}, {}); replay {}",
            killed_in.len(),
            if same { "equal" } else { "DIFFER" },
            "calm.json",
            "killed.json",
            if replay.success() { "the same" } else { "NOT the same" },
        ),
        holds,
    })
}

fn steps(run: &Value) -> impl Iterator<Item = &Value> {
    of(run, "/steps").as_array().into_iter().flatten()
}

/// What lies at a JSON pointer; null where nothing does.
fn of<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The server, at one address through all its lives.
struct House {
    child: Child,
    binary: PathBuf,
    project: PathBuf,
    key: String,
    address: SocketAddr,
}

impl House {
    fn start(binary: &Path, project: &Path, key: &str, address: SocketAddr) -> Result<Self> {
        let log = std::fs::File::create(project.join("serve.log"))?;
        let mut command = Command::new(binary);
        command.arg("--project").arg(project).args(["serve", "--listen", &address.to_string()]);
        command.stdout(Stdio::null()).stderr(log).env_remove("RUST_LOG");
        let child = command.spawn().context("the binary does not start")?;
        let (binary, project, key) = (binary.to_owned(), project.to_owned(), key.to_owned());
        let mut house = Self { child, binary, project, key, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = house.child.try_wait()? {
                bail!("the server ended ({status}); see serve.log");
            }
            if started.elapsed() > PATIENCE {
                bail!("the server does not listen");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(house)
    }

    /// The steps that this life has begun, as its log says at once.
    fn begun(&self) -> Result<Vec<String>> {
        let log = std::fs::read_to_string(self.project.join("serve.log"))?;
        let lines = log.lines().filter(|line| line.contains("step begins"));
        Ok(lines
            .filter_map(|line| Some(line.split("step=\"").nth(1)?.split('"').next()?.to_owned()))
            .collect())
    }

    fn restart_after_kill(mut self) -> Result<Self> {
        self.child.kill()?;
        self.child.wait()?;
        Self::start(&self.binary, &self.project, &self.key, self.address)
    }

    /// Where the run stands; `None`: not opened yet.
    fn state(&self) -> Result<Option<String>> {
        let mut client = Client::connect(self.address, &self.key)?;
        let answer = client.ask("GET", &format!("/v1/jobs/{JOB}/runs/{RUN}"), b"")?;
        let run: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(of(&run, "/state").as_str().map(str::to_owned))
    }

    fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // Where it has ended already, there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Airflow with all its parts, in a process group of its own.
struct Airflow {
    child: Child,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Airflow {
    fn start(
        place: &Place,
        program: &Path,
        folder: &Path,
        binary: &Path,
        project: &Path,
        house: &House,
    ) -> Result<Self> {
        let (home, port) = (folder.join("airflow"), free()?.port());
        let own = |name, value: &str| (name, value.to_owned());
        let bin = program.parent().context("airflow lies nowhere")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let environment = vec![
            own("AIRFLOW_HOME", &home.display().to_string()),
            own(
                "AIRFLOW__CORE__DAGS_FOLDER",
                &place.root.join("bench/peers/airflow/dags").display().to_string(),
            ),
            own("AIRFLOW__CORE__LOAD_EXAMPLES", "False"),
            own("AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION", "False"),
            own("AIRFLOW__CORE__PARALLELISM", "2"),
            own("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True"),
            own("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", &format!("http://127.0.0.1:{port}/execution/")),
            own("AIRFLOW__API__HOST", "127.0.0.1"),
            own("AIRFLOW__API__PORT", &port.to_string()),
            own("AIRFLOW__API__WORKERS", "1"),
            own("AIRFLOW__API_AUTH__JWT_SECRET", "0123456789abcdef0123456789abcdef0123456789abcdef"),
            own("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING"),
            own("PATH", &format!("{}:{path}", bin.display())),
            own("PYTHONDONTWRITEBYTECODE", "1"),
            own("MASCHINENRAUM_BINARY", &binary.display().to_string()),
            own("MASCHINENRAUM_PROJECT", &project.display().to_string()),
            own("MASCHINENRAUM_SERVER", &format!("http://{}", house.address)),
            own("MASCHINENRAUM_KEY", &house.key),
        ];
        std::fs::create_dir_all(&home)?;
        let log = std::fs::File::create(folder.join("airflow.log"))?;
        let mut command = Command::new(program);
        command.arg("standalone").envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().context("airflow does not start")?;
        let airflow = Self { child, program: program.to_owned(), environment };
        let started = Instant::now();
        while !airflow.ask(&["dags", "list", "--output", "plain"])?.contains(&format!("maschinenraum_{JOB}"))
        {
            if started.elapsed() > PATIENCE {
                bail!("airflow does not list the DAG; see airflow.log in {}", folder.display());
            }
        }
        eprintln!("   Airflow is ready after {} s", started.elapsed().as_secs());
        Ok(airflow)
    }

    /// What a command of Airflow says; it says nothing while Airflow is still making its tables.
    fn ask(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(args).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn trigger(&self) -> Result<()> {
        let said = self.ask(&["dags", "trigger", &format!("maschinenraum_{JOB}"), "--run-id", RUN])?;
        if said.contains(RUN) { Ok(()) } else { bail!("airflow does not trigger the DAG: {said}") }
    }

    /// How the run ended, in Airflow's word.
    fn state(&self, patience: Duration) -> Result<String> {
        let started = Instant::now();
        loop {
            let said =
                self.ask(&["dags", "list-runs", &format!("maschinenraum_{JOB}"), "--output", "json"])?;
            // Its warnings go to stdout too.
            let json = said.lines().rfind(|line| line.starts_with("[{")).unwrap_or_default();
            let runs: Value = serde_json::from_str(json).unwrap_or_default();
            let state = of(&runs, "/0/state").as_str().unwrap_or("unknown").to_owned();
            if state == "success" || state == "failed" || started.elapsed() > patience {
                return Ok(state);
            }
        }
    }

    fn stop(self) {}
}

impl Drop for Airflow {
    fn drop(&mut self) {
        // Its own group only: the scheduler, the processor and the server that `standalone` has started.
        let group = format!("-{}", self.child.id());
        drop(Command::new("kill").args(["-TERM", "--", &group]).status());
        std::thread::sleep(Duration::from_secs(2));
        drop(Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status());
        drop(self.child.wait());
    }
}
