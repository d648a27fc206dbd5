//! `cargo xtask test`: the phases CI runs, how long each took, what was skipped by name, and cargo's closing lines.

use crate::{place::Place, tidy};
use anyhow::{Result, bail};
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs every phase, also after a failed one, so that one run tells all.
pub fn run(place: &Place) -> Result<bool> {
    if place.data().is_none() && std::env::var("CI").is_ok_and(|ci| ci == "true") {
        bail!("no data: in CI the folder MASCHINENRAUM_DATA (default ../shared/data) must be there");
    }
    let started = Instant::now();
    let mut report = Report::default();
    let house = ["--features", "xtask/house"];

    report.phase("fmt", || Ok(place.cargo(&["fmt", "--all", "--check"]).status()?.success()));
    report.phase("tidy", || tidy::run(place));
    let mut clippy = place.cargo(&["clippy", "--workspace", "--all-targets"]);
    clippy.args(house).args(["--", "--deny", "warnings"]);
    report.phase("clippy", || Ok(clippy.status()?.success()));

    // A fixed seed for every property: a red run is red again.
    let mut tests = place.cargo(&["test", "--workspace", "--no-fail-fast"]);
    tests.args(house).args(["--", "--show-output"]);
    tests.env("PROPTEST_RNG_SEED", "20261124").env("INSTA_UPDATE", "no");
    let mut log = Log::default();
    report.phase("cargo test", || {
        Ok(follow(&mut tests, |line| {
            if log.read(line) {
                println!("{line}");
            }
        })? && log.ignored == 0)
    });
    report.print(&log, started.elapsed());
    Ok(report.holds())
}

/// The phases that ran.
#[derive(Default)]
struct Report {
    phases: Vec<(&'static str, Duration, bool)>,
}

impl Report {
    fn phase(&mut self, name: &'static str, work: impl FnOnce() -> Result<bool>) {
        eprintln!("== {name}");
        let started = Instant::now();
        let holds = work().unwrap_or_else(|error| {
            eprintln!("error: {name}: {error:#}");
            false
        });
        self.phases.push((name, started.elapsed(), holds));
    }

    fn holds(&self) -> bool {
        self.phases.iter().all(|phase| phase.2)
    }

    fn print(&self, log: &Log, elapsed: Duration) {
        println!("\n== summary");
        for (name, took, holds) in &self.phases {
            println!("{name:<12} {:>6} s  {}", took.as_secs(), if *holds { "ok" } else { "FAILED" });
        }
        for skipped in &log.skipped {
            println!("{skipped}");
        }
        let Log { passed, failed, ignored, .. } = log;
        println!(
            "{passed} passed, {failed} failed, {} skipped for want of data, {ignored} ignored",
            log.skipped.len()
        );
        println!("{} in {} s\n", if self.holds() { "all holds" } else { "FAILED" }, elapsed.as_secs());
        for line in &log.closing {
            println!("{line}");
        }
    }
}

/// What is read off the output of `cargo test -- --show-output`.
#[derive(Default)]
struct Log {
    inside_successes: bool,
    skipped: Vec<String>,
    closing: Vec<String>,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Log {
    /// Takes a line; says whether it is for the eyes (what passing tests print is not).
    fn read(&mut self, line: &str) -> bool {
        if line.starts_with("SKIPPED ") {
            self.skipped.push(line.to_owned());
        }
        match line {
            "successes:" => self.inside_successes = true,
            "failures:" => self.inside_successes = false,
            _ if line.starts_with("test result:") => {
                self.inside_successes = false;
                self.closing.push(line.to_owned());
                self.passed += count(line, "passed");
                self.failed += count(line, "failed");
                self.ignored += count(line, "ignored");
            }
            _ if line.trim_start().starts_with("Running ") || line.trim_start().starts_with("Doc-tests ") => {
                self.closing.push(line.to_owned());
            }
            _ => {}
        }
        !self.inside_successes
    }
}

/// The number before `word` in "test result: ok. 12 passed; 0 failed; …".
fn count(line: &str, word: &str) -> u64 {
    let mut before = "";
    for part in line.split([' ', ';']) {
        if part == word {
            return before.parse().unwrap_or(0);
        }
        before = part;
    }
    0
}

/// Runs a command with both its outputs in one stream, line by line; `true` if it succeeded.
fn follow(command: &mut Command, mut on_line: impl FnMut(&str)) -> Result<bool> {
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command keeps our ends of the pipe open until it gets other ones.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    for line in BufReader::new(reader).split(b'\n') {
        on_line(String::from_utf8_lossy(&line?).trim_end_matches('\r'));
    }
    Ok(child.wait()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, seen: &str) -> Log {
        let mut log = Log::default();
        let shown: Vec<_> = output.lines().filter(|line| log.read(line)).collect();
        assert_eq!(shown.join("\n"), seen);
        log
    }

    #[test]
    fn hides_what_passing_tests_print_and_collects_skips() {
        let log = check(
            "test a ... ok\n\nsuccesses:\n\n---- a stdout ----\nSKIPPED cj: no data\n\nsuccesses:\n    a\n\n\
             test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            "test a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        );
        assert_eq!(log.skipped, ["SKIPPED cj: no data"]);
        assert_eq!((log.passed, log.failed, log.ignored), (1, 0, 0));
    }

    #[test]
    fn shows_failures_after_successes() {
        let log = check(
            "successes:\n\nnoise\n\nfailures:\n\n---- b stdout ----\nboom\ntest result: FAILED. 0 passed; 1 failed; 2 ignored; 0",
            "failures:\n\n---- b stdout ----\nboom\ntest result: FAILED. 0 passed; 1 failed; 2 ignored; 0",
        );
        assert_eq!((log.failed, log.ignored, log.closing.len()), (1, 2, 1));
    }

    #[test]
    fn follows_both_outputs() {
        let mut lines = Vec::new();
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo out; echo err >&2; exit 3"]);
        assert!(!follow(&mut shell, |line| lines.push(line.to_owned())).unwrap());
        assert_eq!(lines, ["out", "err"]);
    }
}
