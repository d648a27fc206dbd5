//! What the item and the bench of captures share with the tests: a PostgreSQL of our own, and a shop in it.

#[path = "../../facts/capture/tests/postgres/mod.rs"]
pub mod postgres;
#[path = "../../doors/house/tests/captured/project.rs"]
pub mod project;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How a capture stands, as `capture NAME --once --json` says it.
#[derive(Deserialize)]
pub struct State {
    /// How its changes fared.
    pub counts: Counts,
}

/// How changes fared.
#[derive(Deserialize)]
pub struct Counts {
    /// Became records.
    pub n_accepted: u64,
    /// Lie in quarantine.
    pub n_quarantined: u64,
    /// By table and what happened.
    pub tables: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Takes everything that is committed now.
pub fn catch_up(binary: &Path, project: &Path) -> Result<State> {
    let text = said(binary, project, &["--json", "capture", "shop", "--once"])?;
    serde_json::from_str(&text).context("capture --once says no state")
}

/// Runs the binary on a project; what it says on stdout.
pub fn said(binary: &Path, project: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new(binary).arg("--project").arg(project).args(args).output()?;
    if !output.status.success() {
        bail!("{}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
