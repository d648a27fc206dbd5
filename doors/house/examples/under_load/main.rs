//! A house under load that is killed at random moments, loses power, runs out of disk, and must lose nothing.
//!
//! ```text
//! under_load kill ROOT ROUNDS SEED BUDGET            kills a loaded house ROUNDS times; prints the outcome as JSON
//! under_load power ROOT ROUNDS SEED BUDGET SHIM.c    the same, and takes back what was not synced
//! under_load mishaps ROOT                            disk full, read-only, corruption, clock jumps
//! under_load load ROOT ROUND | check ROOT [PARTITIONS…] | steps ROOT ROUND N      what the above start
//! ```

mod check;
mod load;
mod mishaps;
mod project;
mod rounds;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use project::Trial;

/// Steps of a worker after which a forgotten child ends.
const MAX_STEPS: u64 = 1_000_000;
/// Kills between two checks.
const CHECK_EVERY: u64 = 10;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let own = std::env::current_exe()?;
    let again = |words: &[&str]| {
        let mut command = Command::new(&own);
        command.args(words);
        command
    };
    match words.as_slice() {
        ["load", root, round] => load::run(&Trial::at(Path::new(root)), round.parse()?, MAX_STEPS),
        ["steps", root, round, n] => {
            print(&load::take_steps(&Trial::at(Path::new(root)), round.parse()?, n.parse()?)?)
        }
        ["check", root, partitions @ ..] => {
            let partitions = partitions.iter().map(|n| n.parse()).collect::<Result<Vec<u16>, _>>()?;
            print(&check::check(&Trial::at(Path::new(root)), &partitions)?)
        }
        [kind @ ("kill" | "power"), root, n_rounds, seed, budget, rest @ ..] => {
            let root = PathBuf::from(root);
            let power_loss = match (*kind, rest) {
                ("power", [source]) => {
                    Some(rounds::build_shim(Path::new(source), &root)?.context("there is no C compiler")?)
                }
                ("kill", []) => None,
                _ => bail!("power needs the shim's source, kill needs none"),
            };
            let trial = Trial::make(&root, budget.parse()?)?;
            let (n_rounds, seed) = (n_rounds.parse()?, seed.parse()?);
            let plan = rounds::Plan { n_rounds, check_every: CHECK_EVERY, seed, power_loss };
            print(&rounds::run(&trial, &plan, &again)?)
        }
        ["mishaps", root] => print(&mishaps::run(Path::new(root), &again)?),
        _ => bail!("see the head of {}", file!()),
    }
}

fn print(found: &impl serde::Serialize) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", serde_json::to_string(found)?)?)
}
