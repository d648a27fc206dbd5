//! Complete Journey: from the day campaign 18 starts to what came of it, by the binary's own demo.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::place::Place;
use crate::table::{Figure, Item};

/// The item.
pub const ITEM: Item = Item {
    id: "journey",
    title: "Complete Journey: trained on earlier campaigns, tested on campaign 18, decided for",
    bar: "1,133 households, 214 redeemers; AUC above 0.5 by its interval, against the baseline; decisions; caps and \
          budget held",
    run,
};

#[derive(Deserialize)]
struct Report {
    records: Records,
    tested: Tested,
    decisions: Decisions,
    budget: Limits,
}

#[derive(Deserialize)]
struct Records {
    rows: u64,
    accepted: u64,
    quarantined: u64,
    duplicates: u64,
}

#[derive(Deserialize)]
struct Tested {
    n_train: u64,
    n_test: u64,
    n_redeemers: u64,
    baseline_auc: Estimate,
    challenger_auc: Estimate,
    difference: Estimate,
    baseline_verdict: String,
    challenger_verdict: String,
}

#[derive(Deserialize)]
struct Estimate {
    value: f64,
    low: f64,
    high: f64,
}

#[derive(Deserialize)]
struct Decisions {
    n: u64,
    n_denied: u64,
    n_failed: u64,
    n_booklets: u64,
    n_redeemed: u64,
}

#[derive(Deserialize)]
struct Limits {
    caps_held: bool,
    budget_held: bool,
}

fn run(place: &Place) -> Result<Figure> {
    let data = place.data().context("no data")?.join("decide");
    let project = super::folder(place, "journey")?;
    let mut demo = Command::new(super::binary(place)?);
    demo.args(["demo", "--no-serve", "--from"]).arg(&data).arg("--dir").arg(&project);
    // Its report is for reading; the table on stdout is ours.
    let output = demo.stderr(Stdio::inherit()).output().context("the binary does not start")?;
    eprint!("{}", String::from_utf8_lossy(&output.stdout));
    if !output.status.success() {
        bail!("the demo failed ({})", output.status);
    }
    let report = std::fs::read(project.join("report.json")).context("the demo left no report")?;
    Ok(judge(&serde_json::from_slice(&report)?))
}

fn judge(report: &Report) -> Figure {
    let Report { records, tested, decisions, budget } = report;
    let counts_add_up = records.rows == records.accepted + records.quarantined + records.duplicates;
    let holds = counts_add_up
        && tested.n_test == 1_133
        && tested.n_redeemers == 214
        && tested.challenger_auc.low > 0.5
        && tested.baseline_auc.low > 0.5
        && decisions.n == 1_133
        && decisions.n_booklets > 0
        && decisions.n_denied + decisions.n_failed == 0
        && budget.caps_held
        && budget.budget_held;
    let text = format!(
        "{} households, {} redeemers, taught by {}; AUC challenger {}, baseline {}, difference {}; the gate on the \
         challenger: {}; on the baseline: {}; {} decisions, {} booklets of which {} were redeemed; caps {}, budget {}; \
         {} rows = {} accepted + {} quarantined + {} duplicates",
        tested.n_test,
        tested.n_redeemers,
        tested.n_train,
        shown(&tested.challenger_auc),
        shown(&tested.baseline_auc),
        shown(&tested.difference),
        in_words(&tested.challenger_verdict),
        in_words(&tested.baseline_verdict),
        decisions.n,
        decisions.n_booklets,
        decisions.n_redeemed,
        held(budget.caps_held),
        held(budget.budget_held),
        records.rows,
        records.accepted,
        records.quarantined,
        records.duplicates
    );
    Figure { text, holds }
}

fn shown(estimate: &Estimate) -> String {
    format!("{:.3} [{:.3}, {:.3}]", estimate.value, estimate.low, estimate.high)
}

/// A verdict without the figures that stand beside it anyway.
fn in_words(verdict: &str) -> &str {
    verdict.split(": AUC").next().unwrap_or(verdict)
}

fn held(held: bool) -> &'static str {
    if held { "held" } else { "BROKEN" }
}
