//! The workshop: `cargo xtask test | tidy | demo | show AREA | bench | peers`.
//!
//! Whatever the project promises about itself is checked from here with one command. Knows cargo and the folders;
//! knows nothing of what the rooms do, except where `show` and `bench` measure them (feature `house`).
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool of the workshop speaks on the terminal"
)]

#[cfg(feature = "house")]
mod bench;
#[cfg(feature = "house")]
mod capturing;
mod demo;
#[cfg(feature = "house")]
mod http;
mod peers;
mod place;
#[cfg(feature = "house")]
mod served;
#[cfg(feature = "house")]
mod show;
mod suite;
#[cfg(feature = "house")]
mod table;
mod tidy;

use clap::{Parser, Subcommand};
use place::Place;
use std::process::ExitCode;

/// The workshop of Maschinenraum.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// What CI runs: formatting, tidy, clippy, every test. Fails if anything fails.
    Test,
    /// Checks the architecture: wings' order, headers, sizes, pages, licences.
    Tidy,
    /// Builds the binary and runs `maschinenraum demo` with the given arguments.
    Demo {
        /// Passed on, e.g. `--from ../shared/data/decide`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs every acceptance item of one area on real data: item, figure, bar, verdict.
    Show {
        /// `spine`, `data` or `law`.
        area: String,
        /// Only these items.
        #[arg(long)]
        only: Vec<String>,
    },
    /// Measures us and our peers and writes bench/RESULTS.md.
    Bench {
        /// Only these items; the other rows of the table stay.
        #[arg(long)]
        only: Vec<String>,
        /// How long the long load lasts.
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
    },
    /// Installs the pinned peers of `show` and `bench` ahead of time (Python and Node, under target/).
    Peers,
}

fn main() -> ExitCode {
    match run(Args::parse().task) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one task; `false` means it ran and what it checked does not hold.
fn run(task: Task) -> anyhow::Result<bool> {
    let place = Place::find()?;
    match task {
        Task::Test => suite::run(&place),
        Task::Tidy => tidy::run(&place),
        Task::Demo { args } => demo::run(&place, &args),
        Task::Show { area, only } => measured::show(&place, &area, &only),
        Task::Bench { only, minutes } => measured::bench(&place, &only, minutes),
        Task::Peers => {
            println!("python: {}", peers::python(&place)?.display());
            println!("node:   {}", peers::node(&place)?.display());
            println!("airflow: {}", peers::airflow(&place)?.display());
            println!("contracts: {}", peers::contracts(&place)?.display());
            println!("audit: {}", peers::audit(&place)?.display());
            println!("contract-check: {}", peers::contract_check(&place)?.display());
            Ok(true)
        }
    }
}

/// The two tasks that measure, with the house compiled in.
#[cfg(feature = "house")]
mod measured {
    pub use crate::{bench::run as bench, show::run as show};
}

/// The two tasks that measure, restarted in release with the house compiled in.
#[cfg(not(feature = "house"))]
mod measured {
    use crate::place::Place;
    use anyhow::Result;

    pub fn show(place: &Place, area: &str, only: &[String]) -> Result<bool> {
        again(place, &["show", area], only)
    }

    pub fn bench(place: &Place, only: &[String], minutes: f64) -> Result<bool> {
        again(place, &["bench", "--minutes", &minutes.to_string()], only)
    }

    fn again(place: &Place, task: &[&str], only: &[String]) -> Result<bool> {
        eprintln!("building the workshop in release (minutes the first time)");
        let mut cargo =
            place.cargo(&["run", "--release", "--quiet", "--package", "xtask", "--features", "house", "--"]);
        cargo.args(task);
        for item in only {
            cargo.args(["--only", item]);
        }
        Ok(cargo.status()?.success())
    }
}
