//! Consent: TC strings as the reference decoder reads them, random histories against a plain model, and withdrawal at every
//! read path.

use std::process::Stdio;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::printed;
use crate::place::Place;
use crate::table::{Figure, Item};

/// Random histories told to the ledger and to the model.
const HISTORIES: &str = "200000";

/// TC strings and the model.
pub const LEDGER: Item = Item {
    id: "consent",
    title: "1,200 TC strings of IAB Tech Lab's encoder; random consent histories (grants, withdrawals, notice changes, \
            restrictions, objections, merges, channels, late and out of order) against a plain reference model",
    bar: "every string as the reference says; of 200,000 histories no read allowed that the model denies and none denied that \
          it allows; each of five faults put in on purpose is found",
    run: ledger,
};

/// Withdrawal.
pub const WITHDRAWAL: Item = Item {
    id: "withdrawal",
    title: "Withdrawal, restriction and objection at t: the next request by every way to read",
    bar: "profile, features, decision, explanation, rows of a decision, dataset, stream and feature export, segment now, as of \
          and exported: all give something before, none after; nothing queued leaves; a replay gives the same state",
    run: withdrawal,
};

#[derive(Deserialize)]
struct Said {
    compared: Compared,
    faults: u64,
    faults_found: u64,
}

#[derive(Deserialize)]
struct Compared {
    n_histories: u64,
    n_facts: u64,
    n_late: u64,
    n_questions: u64,
    n_allowed: u64,
    n_wrongly_allowed: u64,
    n_wrongly_denied: u64,
    n_differ: u64,
}

fn ledger(place: &Place) -> Result<Figure> {
    place.data().context("no data")?;
    let strings = tests(place, &["--package", "policy", "--test", "tcf"])?;
    let run =
        ["run", "--release", "--quiet", "--package", "policy", "--example", "histories", "--", HISTORIES];
    let said: Said = printed(&mut place.cargo(&run))?;
    Ok(judge(strings, &said))
}

fn judge(strings: bool, said: &Said) -> Figure {
    let Compared { n_histories, n_facts, n_late, n_questions, n_allowed, .. } = said.compared;
    let Compared { n_wrongly_allowed, n_wrongly_denied, n_differ, .. } = said.compared;
    let holds = strings
        && (n_wrongly_allowed, n_wrongly_denied, n_differ) == (0, 0, 0)
        && said.faults == said.faults_found
        && n_allowed * 20 > n_questions
        && n_late > 0;
    let read = if strings { "as the reference and lib_tcstring read them" } else { "DIFFERENT" };
    let text = format!(
        "1,200 TC strings: {read}; {n_questions} questions about {n_histories} histories of {n_facts} facts, {n_late} of them \
         late: {n_allowed} allowed by both, {n_wrongly_allowed} allowed that the model denies, {n_wrongly_denied} denied that it \
         allows, {n_differ} other with 7 partitions, as of or in bulk; faults found: {} of {}",
        said.faults_found, said.faults
    );
    Figure { text, holds }
}

fn withdrawal(place: &Place) -> Result<Figure> {
    let mut words = Vec::new();
    let mut holds = true;
    for (name, test) in [
        ("withdrawal", "art_7_3_withdrawal_denies_every_read"),
        ("restriction", "art_18_restriction_denies_every_read_but_storage_and_claims"),
        ("objection", "art_21_objection_ends_direct_marketing_and_profiling_for_it"),
    ] {
        let passed = tests(place, &["--package", "house", "--test", "consent", test])?;
        holds &= passed;
        words.push(format!("{name}: {}", if passed { "every way denies" } else { "SOMETHING IS READ" }));
    }
    Ok(Figure { text: words.join("; "), holds })
}

/// Whether the tests were run and passed.
fn tests(place: &Place, which: &[&str]) -> Result<bool> {
    let mut command = place.cargo(&["test", "--quiet"]);
    command.args(which).env("CI", "true").stderr(Stdio::inherit());
    let output = command.output().context("cargo does not start")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let n_passed = text.contains("test result: ok.") && !text.contains("ok. 0 passed");
    Ok(output.status.success() && n_passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(n_wrongly_allowed: u64, n_wrongly_denied: u64, faults_found: u64, strings: bool, holds: bool) {
        let compared = Compared {
            n_histories: 10,
            n_facts: 70,
            n_late: 9,
            n_questions: 3_000,
            n_allowed: 700,
            n_wrongly_allowed,
            n_wrongly_denied,
            n_differ: 0,
        };
        let figure = judge(strings, &Said { compared, faults: 5, faults_found });
        assert_eq!(figure.holds, holds, "{}", figure.text);
    }

    #[test]
    fn one_read_too_many_or_too_few_is_enough_to_fall_short() {
        check(0, 0, 5, true, true);
        check(1, 0, 5, true, false);
        check(0, 1, 5, true, false);
        check(0, 0, 4, true, false);
        check(0, 0, 5, false, false);
    }
}
