//! The demo on the Complete Journey data, from the binary as a user has it: the figures hold, whatever the machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The data folder; `None` where it is absent, which only a run outside of CI may be.
fn data() -> Option<PathBuf> {
    let root = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("decide");
    if path.join("cj_campaigns.parquet").exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", path.display());
    eprintln!("SKIPPED complete_journey: no data");
    None
}

fn maschinenraum(args: &[&str], path: &Path) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maschinenraum"));
    let done = command.args(args).arg(path).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done
}

#[test]
fn campaign_18_is_decided_for_within_its_limits_and_tests_the_model() {
    let Some(from) = data() else { return };
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("cj");
    let from = from.to_str().unwrap();
    let done = maschinenraum(&["demo", "--no-serve", "--from", from, "--dir"], &project);
    let printed = String::from_utf8(done.stdout).unwrap();
    assert!(printed.contains("coupons rest on legitimate_interest"), "{printed}");
    assert!(printed.contains("What was feasible"), "one decision is explained: {printed}");

    let report: Value = serde_json::from_slice(&std::fs::read(project.join("report.json")).unwrap()).unwrap();
    let at = |path: &str| report.pointer(path).unwrap_or_else(|| panic!("no {path} in {report:#}")).clone();
    for (path, expected) in [
        ("/tested/n_test", 1_133),
        ("/tested/n_redeemers", 214),
        ("/decisions/n", 1_133),
        ("/decisions/n_denied", 0),
        ("/decisions/n_failed", 0),
        ("/records/quarantined", 416),
        ("/records/duplicates", 0),
    ] {
        assert_eq!(at(path), expected, "{path}");
    }
    let n_refused: u64 =
        at("/records/reasons").as_array().unwrap().iter().map(|one| one["n"].as_u64().unwrap()).sum();
    assert_eq!(at("/records/quarantined"), n_refused, "each refused row has its reason");
    assert!(at("/tested/baseline_auc/low").as_f64().unwrap() > 0.75, "{report:#}");
    assert!(at("/tested/challenger_auc/low").as_f64().unwrap() > 0.7, "{report:#}");
    let held = |path: &str| assert_eq!(at(path), true, "{path}");
    held("/budget/budget_held");
    held("/budget/caps_held");
    assert!(at("/decisions/n_booklets").as_u64().unwrap() > 100, "{report:#}");

    // The project it leaves behind is one that its owner could go on with.
    maschinenraum(&["check", "--project"], &project);
}
