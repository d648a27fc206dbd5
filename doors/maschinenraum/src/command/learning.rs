//! `train`, `models`, `promote`, `rollback`.

use house::{House, Training};
use learn::metric::{Estimate, Metrics};
use registry::{Move, Share, VersionNumber};

use super::{Ctx, operator};
use crate::cli::Stage;
use crate::command::data::user;
use crate::out::{self, Code};

/// Trains and prints the comparison.
pub fn train(ctx: &Ctx, model: &str) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let done = train_with_bar(&house, model)?;
    if ctx.json {
        out::json(&done.outcome.report)?
    } else {
        print_training(&done)
    }
    house.close();
    Ok(if done.outcome.report.chosen.is_some() { Code::Fine } else { Code::Findings })
}

/// Trains with a line per step.
pub fn train_with_bar(house: &House, model: &str) -> anyhow::Result<Training> {
    let bar = out::bar(4, model);
    let done = house.train(&operator(&user()), model, &mut |progress| {
        bar.set_message(progress.step.as_str());
        bar.set_position(progress.n_done as u64);
    })?;
    bar.finish_and_clear();
    Ok(done)
}

/// The figures of a training, side by side.
pub fn print_training(done: &Training) {
    let report = &done.outcome.report;
    out::line(&format!(
        "dataset {}: {} examples, {} of them successes; left out: {} without consent, {} with an open outcome",
        short(&report.dataset.hash().to_string()),
        report.dataset.n_rows,
        report.dataset.n_positives,
        done.n_without_consent,
        done.n_open
    ));
    out::line(&format!("test: {}", report.test));
    type Get = fn(&Metrics) -> Option<Estimate>;
    let figures: [(&str, Get); 6] = [
        ("AUC", |m| Some(m.auc)),
        ("log loss", |m| Some(m.log_loss)),
        ("Brier", |m| Some(m.brier)),
        ("lift at 10 %", |m| Some(m.lift)),
        ("precision", |m| m.precision),
        ("recall", |m| Some(m.recall)),
    ];
    let rows: Vec<Vec<String>> = figures
        .iter()
        .map(|(name, get)| {
            vec![(*name).to_owned(), maybe(get(&report.baseline)), maybe(get(&report.challenger))]
        })
        .collect();
    out::table(&["", "baseline", "challenger"], &rows);
    out::line(&format!("challenger − baseline, AUC: {}", shown(report.comparison.auc)));
    out::line(&format!("version {}: {}", done.baseline, report.baseline_verdict));
    out::line(&format!("version {}: {}", done.challenger, report.challenger_verdict));
}

fn maybe(estimate: Option<Estimate>) -> String {
    estimate.map_or_else(|| "none".to_owned(), shown)
}

/// A figure with its 95 % interval.
pub fn shown(estimate: Estimate) -> String {
    format!("{:.4} [{:.4}, {:.4}]", estimate.value, estimate.low, estimate.high)
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Models, versions, cards.
pub fn models(ctx: &Ctx, model: Option<&str>, version: Option<u32>) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    if let (Some(model), Some(version)) = (model, version) {
        let card = house.card(model, VersionNumber(version))?;
        if ctx.json { out::json(&card)? } else { out::line(&card.to_markdown()) }
    } else {
        let all = house.models()?;
        let all: Vec<_> =
            all.into_iter().filter(|(name, _)| model.is_none_or(|wanted| wanted == name.as_str())).collect();
        if let (Some(name), true) = (model, all.is_empty()) {
            // Says which there are; one that was never trained is none the less there.
            house.project().model(name)?;
        }
        if ctx.json {
            out::json(&all)?;
        } else {
            let mut rows = Vec::new();
            for (name, state) in &all {
                for version in &state.versions {
                    let gate = version.judgements.last().map_or("not judged", |judgement| {
                        if judgement.report.passed() { "passed" } else { "refused" }
                    });
                    rows.push(vec![
                        name.to_string(),
                        version.number.to_string(),
                        format!("{:?}", version.role).to_lowercase(),
                        format!("{:?}", version.stage).to_lowercase(),
                        gate.to_owned(),
                        shown(version.metrics.auc),
                    ]);
                }
            }
            out::table(&["model", "version", "role", "stage", "gate", "AUC"], &rows);
        }
    }
    house.close();
    Ok(Code::Fine)
}

/// Moves a version.
pub fn promote(
    ctx: &Ctx,
    model: &str,
    version: u32,
    to: Stage,
    share: f64,
    reason: &str,
    by: &str,
) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let (to, said) = match to {
        Stage::Canary => {
            let said = format!("is the canary for {share} % of the profiles");
            (Move::Canary(Share::from_percent(share)?), said)
        }
        Stage::Live => (Move::Live, "is live".to_owned()),
        Stage::Dark => (Move::Dark, "is dark".to_owned()),
        Stage::Retired => (Move::Retired, "is retired".to_owned()),
    };
    house.promote(&operator(by), model, VersionNumber(version), to, reason)?;
    out::say(&format!("{model} v{version} {said}, approved by {by}"));
    house.close();
    Ok(Code::Fine)
}

/// Takes the latest move back.
pub fn rollback(ctx: &Ctx, model: &str, reason: &str, by: &str) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    house.rollback(&operator(by), model, reason)?;
    let live = house.model(model)?.live;
    out::say(&format!("{model}: rolled back; live is {}", live.map_or("none".to_owned(), |v| v.to_string())));
    house.close();
    Ok(Code::Fine)
}
