//! The parent: starts the load, kills it at a random moment, and looks what is left.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::check::Found;
use super::load::Dice;
use super::project::Trial;

/// How this program runs itself again with other words.
pub type Again<'a> = &'a dyn Fn(&[&str]) -> Command;

/// What is asked for.
pub struct Plan {
    /// Kills.
    pub n_rounds: u64,
    /// Checks after so many of them.
    pub check_every: u64,
    /// Seeds the moments.
    pub seed: u64,
    /// Drop what was not synced: the shim and the program that undoes.
    pub power_loss: Option<(PathBuf, PathBuf)>,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Kills.
    pub n_kills: u64,
    /// Kills while the house was still opening.
    pub n_early: u64,
    /// Files that a power loss took something from.
    pub n_files_undone: u64,
    /// What the last check found.
    pub last: Found,
}

/// Goes through the rounds; ends at the first check that finds something wrong.
pub fn run(trial: &Trial, plan: &Plan, again: Again<'_>) -> Result<Outcome> {
    let mut dice = Dice(plan.seed);
    let mut outcome = Outcome::default();
    for round in 0..plan.n_rounds {
        let early = round > 0 && dice.below(8) == 0;
        let mut child = start(trial, round, plan, again)?;
        if early {
            outcome.n_early += 1;
            std::thread::sleep(Duration::from_millis(dice.below(80)));
        } else {
            wait_ready(trial, round, &mut child)?;
            std::thread::sleep(Duration::from_millis(50 + dice.below(750)));
        }
        if let Some(status) = child.try_wait()? {
            bail!("round {round}: the load ended by itself ({status}); see {}", log(trial).display());
        }
        child.kill()?;
        child.wait()?;
        outcome.n_kills += 1;
        if let Some((_, undo)) = &plan.power_loss {
            outcome.n_files_undone += take_back(trial, undo)?;
        }
        let is_last = round + 1 == plan.n_rounds;
        if (round + 1) % plan.check_every == 0 || is_last {
            outcome.last = checked(trial, again, is_last)?;
            if !outcome.last.wrong.is_empty() {
                break;
            }
        }
    }
    Ok(outcome)
}

/// Runs the check in a process of its own.
pub fn checked(trial: &Trial, again: Again<'_>, with_partitions: bool) -> Result<Found> {
    let root = trial.root.to_string_lossy();
    let words = if with_partitions { vec!["check", &root, "1", "7"] } else { vec!["check", &root] };
    answer(again(&words))
}

/// The JSON in the last line that a run of this program printed.
pub fn answer<T: for<'de> Deserialize<'de>>(mut command: Command) -> Result<T> {
    let output = command.stderr(Stdio::piped()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rev().find(|line| line.starts_with(['{', '[']));
    let told = || format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), told());
    serde_json::from_str(line.with_context(told)?).with_context(told)
}

fn log(trial: &Trial) -> PathBuf {
    trial.root.join("load.log")
}

fn start(trial: &Trial, round: u64, plan: &Plan, again: Again<'_>) -> Result<Child> {
    let (root, number) = (trial.root.to_string_lossy(), round.to_string());
    let mut command = again(&["load", &root, &number]);
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log(trial))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    if let Some((shim, _)) = &plan.power_loss {
        std::fs::create_dir_all(trial.undo_log())?;
        std::fs::create_dir_all(trial.data())?;
        command.env("LD_PRELOAD", shim).env("FAULT_ROOT", trial.data()).env("FAULT_LOG", trial.undo_log());
    }
    command.spawn().context("the load does not start")
}

fn wait_ready(trial: &Trial, round: u64, child: &mut Child) -> Result<()> {
    let begun = Instant::now();
    loop {
        let ready = std::fs::read_to_string(trial.root.join("ready")).unwrap_or_default();
        if ready == round.to_string() {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            let told = std::fs::read_to_string(log(trial)).unwrap_or_default();
            let is_why =
                |line: &&str| line.starts_with("Error: ") || line.contains("MR") || line.contains("panicked");
            let said: Vec<&str> = told.lines().filter(is_why).collect();
            let said = said.get(said.len().saturating_sub(3)..).unwrap_or_default().join(" | ");
            bail!("round {round}: the house does not open again ({status}): {said}");
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(60),
            "round {round}: the house opens for more than 60 s"
        );
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Takes back what was not synced; how many files lost something.
fn take_back(trial: &Trial, undo: &Path) -> Result<u64> {
    let output = Command::new(undo).arg(trial.undo_log()).arg(trial.data()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "undo: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// Builds the shim and its undo program into `into`; `None` where there is no C compiler.
pub fn build_shim(source: &Path, into: &Path) -> Result<Option<(PathBuf, PathBuf)>> {
    let (shim, undo) = (into.join("unsynced.so"), into.join("undo-unsynced"));
    std::fs::create_dir_all(into)?;
    let compile = |args: &[&str], to: &Path| {
        Command::new("cc").args(args).arg("-o").arg(to).arg(source).arg("-ldl").status()
    };
    match compile(&["-shared", "-fPIC", "-O2", "-pthread"], &shim) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        status => ensure!(status?.success(), "cc does not build the shim"),
    }
    ensure!(compile(&["-O2", "-DUNDO"], &undo)?.success(), "cc does not build the undo program");
    Ok(Some((shim, undo)))
}
