//! `cargo xtask demo`: builds the binary as a user would have it and runs its demo.

use crate::place::Place;
use anyhow::{Context, Result};
use std::process::Command;

/// Builds in release, then runs `maschinenraum demo ARGS`.
pub fn run(place: &Place, args: &[String]) -> Result<bool> {
    let binary =
        place.target().join("release").join(format!("maschinenraum{}", std::env::consts::EXE_SUFFIX));
    if binary.exists() {
        eprintln!("1/2  bringing the release binary up to date (seconds if nothing changed)");
    } else {
        eprintln!(
            "1/2  building the release binary for the first time: up to 8 minutes on 2 cores, then it is there"
        );
    }
    let started = std::time::Instant::now();
    if !place.cargo(&["build", "--release", "--package", "maschinenraum"]).status()?.success() {
        return Ok(false);
    }
    eprintln!("     built in {} s", started.elapsed().as_secs());
    eprintln!("2/2  maschinenraum demo {}", args.join(" "));
    let status = Command::new(&binary)
        .arg("demo")
        .args(args)
        .status()
        .with_context(|| format!("{} does not start", binary.display()))?;
    Ok(status.success())
}
