//! Real files through the binary as a user has it: the demo on Complete Journey, the import of Online Retail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// A file of the data folder; `None` where it is absent, which only a run outside of CI may be.
fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", path.display());
    eprintln!("SKIPPED {name}: no data");
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
    let Some(from) = data("decide/cj_campaigns.parquet") else { return };
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("cj");
    let from = from.parent().unwrap().to_str().unwrap();
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

#[test]
fn every_row_of_online_retail_is_accounted_for_and_a_second_run_brings_nothing() {
    let Some(file) = data("decide/online_retail_uci_240k_invoice.parquet") else { return };
    let dir = tempfile::tempdir().unwrap();
    let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/projects/online_retail");
    std::fs::create_dir(dir.path().join("contracts")).unwrap();
    for name in ["maschinenraum.toml", "contracts/online_retail.yaml"] {
        std::fs::copy(bench.join(name), dir.path().join(name)).unwrap();
    }
    let project = dir.path().to_str().unwrap();
    let import = || -> Value {
        let args = ["--json", "--project", project, "import", "--stream", "online_retail"];
        serde_json::from_slice(&maschinenraum(&args, &file).stdout).unwrap()
    };
    let first = import();
    assert_eq!(
        first["counts"],
        json!({"n_rows": 240_007, "n_accepted": 166_733, "n_quarantined": 71_304, "n_duplicates": 1_970})
    );
    let reasons: BTreeMap<String, (u64, String)> = serde_json::from_value(first["reasons"].clone()).unwrap();
    let counts: Vec<(&str, u64)> = reasons.iter().map(|(reason, (n, _))| (reason.as_str(), *n)).collect();
    let expected =
        [("MR1005 price", 673), ("MR1005 quantity", 737), ("MR1007 invoice", 4_329), ("MR1012", 65_565)];
    assert_eq!(counts, expected, "the first reason of each refused row");
    let again = import();
    assert_eq!((&again["repeated"], &again["counts"]), (&json!(true), &first["counts"]));
}
