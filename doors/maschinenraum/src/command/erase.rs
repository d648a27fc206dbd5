//! `erase`, `retrain`: people are erased, and models learn anew without them.

use std::path::PathBuf;

use clap::Args;
use event::RecordId;
use house::Receipts;

use super::learning::print_training;
use super::{Ctx, identifier, operator};
use crate::command::data::user;
use crate::out::{self, Code};

/// `erase`
#[derive(Args, Debug)]
pub struct Erase {
    /// Whom, as TYPE=VALUE; with everything that belongs to the same profile. May be repeated.
    #[arg(long = "id", value_name = "TYPE=VALUE")]
    pub ids: Vec<String>,
    /// A file with one TYPE=VALUE a line: all of them in one pass.
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Why: a ticket's number or the like; no names of people.
    #[arg(long, required_unless_present_any = ["show", "all"])]
    pub reason: Option<String>,
    /// The receipts of an earlier erasure, by its act.
    #[arg(long, value_name = "ACT", conflicts_with_all = ["ids", "list", "all"])]
    pub show: Option<RecordId>,
    /// Every erasure, the latest first.
    #[arg(long, conflicts_with_all = ["ids", "list"])]
    pub all: bool,
}

/// Erases, or shows what was.
///
/// # Errors
/// Whatever the house says.
pub fn erase(ctx: &Ctx, args: &Erase) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let code = if args.all {
        list(ctx, &house)?
    } else if let Some(act) = args.show {
        told(ctx, &house.erasure(act)?)?
    } else {
        let mut ids = args.ids.iter().map(|id| identifier(id)).collect::<anyhow::Result<Vec<_>>>()?;
        if let Some(file) = &args.list {
            let text = std::fs::read_to_string(file)?;
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                ids.push(identifier(line)?);
            }
        }
        told(ctx, &house.erase_people(&ids, &user(), args.reason.as_deref().unwrap_or_default())?)?
    };
    house.close();
    Ok(code)
}

fn told(ctx: &Ctx, receipts: &Receipts) -> anyhow::Result<Code> {
    let code = if receipts.complete { Code::Fine } else { Code::Findings };
    if ctx.json {
        out::json(receipts)?;
        return Ok(code);
    }
    let (n, act) = (receipts.n_subjects, receipts.act);
    out::line(&format!("erasure {act} of {n} subject(s), ordered by {} at {}", receipts.by, receipts.at));
    let rows = receipts.stores.iter().map(|store| {
        let done = if store.complete { "done" } else { "OPEN" };
        vec![store.store.clone(), done.to_owned(), store.n.to_string(), store.what.clone()]
    });
    out::table(&["store", "", "n", "what"], &rows.collect::<Vec<_>>());
    let n_found: u64 = receipts
        .stores
        .iter()
        .filter(|one| ["state", "vault"].contains(&one.store.as_str()))
        .map(|one| one.n)
        .sum();
    if n_found == 0 {
        out::say("nothing was known of them: is every identifier spelt as it came in?");
    } else {
        out::say(
            "copies of the keys from before open nothing now: make a new one with `maschinenraum vault copy`",
        );
    }
    Ok(code)
}

fn list(ctx: &Ctx, house: &house::House) -> anyhow::Result<Code> {
    let all = house.erasures()?;
    let is_open = |ordered: &house::Ordered| ordered.receipts.is_none();
    let any_open = all.iter().any(|(_, ordered)| is_open(ordered));
    if ctx.json {
        let rows = all.iter().map(|(act, ordered)| {
            serde_json::json!({
                "act": act, "at": ordered.at, "by": ordered.by, "reason": ordered.reason,
                "n_subjects": ordered.subjects.len(), "complete": !is_open(ordered),
            })
        });
        out::json(&rows.collect::<Vec<_>>())?;
    } else {
        let rows = all.iter().map(|(act, ordered)| {
            let done = if is_open(ordered) { "OPEN" } else { "done" };
            let n = ordered.subjects.len().to_string();
            let (at, by, reason) = (ordered.at.to_string(), ordered.by.clone(), ordered.reason.clone());
            vec![act.to_string(), at, by, n, done.to_owned(), reason]
        });
        out::table(&["act", "at", "by", "subjects", "", "reason"], &rows.collect::<Vec<_>>());
    }
    Ok(if any_open { Code::Findings } else { Code::Fine })
}

/// Trains every model anew that learned from people who were erased since.
///
/// # Errors
/// Whatever the house says.
pub fn retrain(ctx: &Ctx, dry: bool) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let due = house.models_to_retrain()?;
    if ctx.json && dry {
        let rows = due.iter().map(|(model, version, n)| {
            serde_json::json!({ "model": model.as_str(), "version": version.0, "trained_on_erased": n })
        });
        out::json(&rows.collect::<Vec<_>>())?;
    } else if !ctx.json {
        for (model, version, n) in &due {
            out::line(&format!("{} {version} learned from {n} people who are erased now", model.as_str()));
        }
    }
    let mut chosen = true;
    if !dry {
        let done = house.retrain_erased(&operator(&user()), &mut |_| {})?;
        for (_, training) in &done {
            chosen &= training.outcome.report.chosen.is_some();
            if !ctx.json {
                print_training(training);
            }
        }
        if ctx.json {
            let rows = done.iter().map(|(model, training)| {
                serde_json::json!({
                    "model": model.as_str(), "version": training.challenger.0,
                    "dataset": training.outcome.report.dataset.hash(),
                    "n_rows": training.outcome.report.dataset.n_rows,
                })
            });
            out::json(&rows.collect::<Vec<_>>())?;
        }
    }
    house.close();
    Ok(if chosen && (!dry || due.is_empty()) { Code::Fine } else { Code::Findings })
}
