//! The demo on the Complete Journey data: real households, campaigns and coupons of 2017.
//!
//! It plays what a grocer could have done. On the day campaign 18 starts, the house knows the past only: a model
//! learns from the campaigns that are over, passes its gate on the newest of them, goes live by canary, and decides
//! who receives the booklet. Then the campaign is over: what came is imported, outcomes are told, and the model is
//! trained and tested anew, on campaign 18.

mod prepare;

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use decide::NO_ACTION;
use house::{House, Identifier, Imported, Told, Training};
use registry::{Move, Role, Share, VersionNumber};
use serde_json::{Map, json};

use self::prepare::{CAMPAIGN, Figures, Files, Journey};
use super::data::{import_file, print_import};
use super::decisions::{DecidedAll, decide_all};
use super::demo::head;
use super::learning::{print_training, train_with_bar};
use super::{open, operator};
use crate::cli::Demo;
use crate::out;

const MODEL: &str = "redeem";
const USE_CASE: &str = "campaign_18";
/// What the demo's person approves as.
const WHO: &str = "demo";

/// Runs it in `dir`, on the files in `from`; the figures are left in `report.json` there.
pub fn run(_: &Demo, from: &Path, dir: &Path) -> anyhow::Result<Arc<House>> {
    let mut figures = Figures::default();
    head("Complete Journey: a grocer's households, campaigns and coupons");
    let journey = Journey::read(from)?;
    journey.write_project(dir)?;
    let (before, after) = journey.write_tables(&dir.join("data-in"))?;
    let households = journey.households(CAMPAIGN);
    let day = journey.starts()?;
    out::line(&format!(
        "campaign {CAMPAIGN} starts {day} with {} households; project in {}",
        households.len(),
        dir.display()
    ));
    out::line(
        "the data hold no consents: coupons rest on legitimate_interest here, and an objection would end them",
    );

    head("Records in, up to that day");
    let house = open(dir)?;
    let mut brought = import_all(&house, &before)?;

    head(&format!("A model through its gate, tested on campaign {}", journey.newest_over()?));
    let training = train_with_bar(&house, MODEL)?;
    print_training(&training);
    figures.keep("before", figures_of(&training));
    let version = chosen(&training)?;
    let who = operator(WHO);
    house.promote(&who, MODEL, version, Move::Canary(Share::from_percent(20.0)?), "demo: a fifth first")?;
    out::line(&format!("version {version} serves 20 % of the profiles as a canary"));

    head(&format!("Decisions for campaign {CAMPAIGN}"));
    let done = decide(&house, &households, version)?;
    let caps_held = ask_again(&house, &households, &done)?;
    let sent = house.deliver("demo", |_| house::Handed::Sent)?;
    out::line(&format!(
        "{} booklets handed over, {} given back, {} failed",
        sent.n_sent, sent.n_released, sent.n_failed
    ));
    let budget = limits(&house, &done, caps_held)?;
    figures.keep("budget", budget);

    head("One decision, explained");
    let best =
        |record: &decide::DecisionRecord| record.chosen.action != NO_ACTION && record.chosen.propensity > 0.5;
    let shown = done.decisions.iter().find(|(_, record)| best(record));
    if let Some((_, record)) = shown.or(done.decisions.first()) {
        out::line(&house.explain(&who, record.decision)?.text(decide::Language::English));
    }

    head("The campaign is over");
    house.close();
    drop(house);
    journey.move_on(dir)?;
    let house = open(dir)?;
    brought.extend(import_all(&house, &after)?);
    account(&brought, &mut figures)?;
    let redeemed = tell(&house, &journey, &done)?;
    figures.keep("decisions", report(&house, &done, redeemed, &journey)?);

    head(&format!("The model, tested on campaign {CAMPAIGN}"));
    let training = train_with_bar(&house, MODEL)?;
    print_training(&training);
    let measured = &training.outcome.report.challenger;
    out::line(&format!("{} households received it, {} redeemed", measured.n_rows, measured.n_positives));
    figures.keep("tested", figures_of(&training));
    figures.write(&dir.join("report.json"))?;
    Ok(house)
}

fn import_all(house: &House, files: &Files) -> anyhow::Result<Vec<(&'static str, Imported)>> {
    let mut brought = Vec::new();
    for (stream, path) in files {
        let done = import_file(house, path, stream, None)?;
        print_import(stream, &done);
        brought.push((*stream, done));
    }
    Ok(brought)
}

/// Every row is accepted, quarantined with a reason, or a duplicate.
fn account(brought: &[(&'static str, Imported)], figures: &mut Figures) -> anyhow::Result<()> {
    let sum = |get: fn(&house::Counts) -> u64| brought.iter().map(|(_, done)| get(&done.counts)).sum::<u64>();
    let (rows, accepted) = (sum(|c| c.n_rows), sum(|c| c.n_accepted));
    let (quarantined, duplicates) = (sum(|c| c.n_quarantined), sum(|c| c.n_duplicates));
    out::line(&format!(
        "{rows} rows read = {accepted} accepted + {quarantined} quarantined + {duplicates} duplicates"
    ));
    if rows != accepted + quarantined + duplicates {
        bail!("some rows are not accounted for");
    }
    let reasons: Vec<_> =
        brought.iter().flat_map(|(stream, done)| done.reasons.iter().map(move |r| (stream, r))).collect();
    let reasons: Vec<_> = reasons
        .into_iter()
        .map(|(stream, (reason, (n, _)))| json!({"stream": stream, "reason": reason, "n": n}))
        .collect();
    figures.keep(
        "records",
        json!({"rows": rows, "accepted": accepted, "quarantined": quarantined, "duplicates": duplicates, "reasons": reasons}),
    );
    Ok(())
}

/// The version that the gate lets through.
fn chosen(training: &Training) -> anyhow::Result<VersionNumber> {
    match training.outcome.report.chosen {
        Some(Role::Challenger) => Ok(training.challenger),
        Some(Role::Baseline) => Ok(training.baseline),
        None => bail!("the gate refuses both versions; see the figures above"),
    }
}

fn figures_of(training: &Training) -> serde_json::Value {
    let report = &training.outcome.report;
    json!({
        "n_test": report.challenger.n_rows,
        "n_redeemers": report.challenger.n_positives,
        "n_train": report.n_train,
        "baseline_auc": report.baseline.auc,
        "challenger_auc": report.challenger.auc,
        "difference": report.comparison.auc,
        "baseline_verdict": report.baseline_verdict,
        "challenger_verdict": report.challenger_verdict,
        "chosen": report.chosen.map(|role| format!("{role:?}").to_lowercase()),
    })
}

/// A tenth while the version is a canary, the rest once it is live.
fn decide(house: &House, households: &[String], version: VersionNumber) -> anyhow::Result<DecidedAll> {
    house.do_chores()?;
    let people = people(households);
    let (canary, rest) = people.split_at(people.len() / 10);
    let mut done = decide_all(house, USE_CASE, canary, &Map::new())?;
    let n_scored = done.decisions.iter().filter(|(_, record)| !record.models.is_empty()).count();
    out::line(&format!(
        "canary: {n_scored} of {} decisions were scored by version {version}",
        done.decisions.len()
    ));
    house.promote(&operator(WHO), MODEL, version, Move::Live, "demo: the canary behaves")?;
    out::line(&format!("version {version} is live"));
    let more = decide_all(house, USE_CASE, rest, &Map::new())?;
    done.decisions.extend(more.decisions);
    done.n_denied += more.n_denied;
    done.n_failed += more.n_failed;
    out::line(&format!(
        "{} households decided for, {} denied, {} failed",
        done.decisions.len(),
        done.n_denied,
        done.n_failed
    ));
    Ok(done)
}

fn people(households: &[String]) -> Vec<Identifier> {
    households.iter().map(|value| Identifier { kind: "user_id".to_owned(), value: value.clone() }).collect()
}

/// Asks a second time for whoever is to receive a booklet: the cap allows one in four weeks.
fn ask_again(house: &House, households: &[String], done: &DecidedAll) -> anyhow::Result<bool> {
    let has_one = |household: &&String| {
        done.decisions.iter().any(|(who, record)| who == *household && record.chosen.action != NO_ACTION)
    };
    let again: Vec<String> = households.iter().filter(has_one).take(50).cloned().collect();
    let second = decide_all(house, USE_CASE, &people(&again), &Map::new())?;
    let n_more = second.decisions.iter().filter(|(_, record)| record.chosen.action != NO_ACTION).count();
    out::line(&format!(
        "asked again for {} of those with a booklet: {n_more} would get a second",
        second.decisions.len()
    ));
    Ok(n_more == 0 && second.n_failed == 0)
}

/// Holds the limits against the decisions themselves, not against what the house says of them.
fn limits(house: &House, done: &DecidedAll, caps_held: bool) -> anyhow::Result<serde_json::Value> {
    let use_case = house.use_case(USE_CASE)?;
    let spent: decide::Cents = done.decisions.iter().map(|(_, record)| record.cost).sum();
    let total = use_case.budget.total;
    out::line(&format!(
        "budget: {spent} of {total} {} — {}",
        use_case.budget.currency,
        if spent <= total { "held" } else { "BROKEN" }
    ));
    out::line(&format!("caps: {}", if caps_held { "held" } else { "BROKEN" }));
    Ok(
        json!({"spent": spent, "total": total, "currency": use_case.budget.currency, "budget_held": spent <= total, "caps_held": caps_held}),
    )
}

/// Tells what came of the booklets. Whoever was not to receive one received it in truth: nothing can be told of them.
fn tell(house: &House, journey: &Journey, done: &DecidedAll) -> anyhow::Result<u64> {
    let redeemers = journey.redeemers(CAMPAIGN)?;
    let value = house.use_case(USE_CASE)?.goal.value;
    let told: Vec<Told> = done
        .decisions
        .iter()
        .filter(|(_, record)| record.chosen.action != NO_ACTION)
        .filter_map(|(household, record)| {
            Some(Told {
                decision: record.decision,
                kind: "redemption".to_owned(),
                value: Some(value),
                occurred_at: Some(*redeemers.get(household)?),
                id: Some("first".to_owned()),
            })
        })
        .collect();
    house.outcomes(&told)?;
    Ok(told.len() as u64)
}

fn report(
    house: &House,
    done: &DecidedAll,
    redeemed: u64,
    journey: &Journey,
) -> anyhow::Result<serde_json::Value> {
    let report = house.report(USE_CASE)?;
    let rows: Vec<Vec<String>> = report
        .actions
        .iter()
        .map(|action| {
            vec![
                action.action.clone(),
                action.channel.clone(),
                action.n_decided.to_string(),
                action.n_sent.to_string(),
                action.cost.to_string(),
                action.n_successful.to_string(),
            ]
        })
        .collect();
    out::table(&["action", "channel", "decided", "sent", "cost", "redeemed"], &rows);
    let n_booklets =
        done.decisions.iter().filter(|(_, record)| record.chosen.action != NO_ACTION).count() as u64;
    let (n_all, n_redeemed) =
        (journey.households(CAMPAIGN).len() as u64, journey.redeemers(CAMPAIGN)?.len() as u64);
    let percent = |part: u64, of: u64| part as f64 / of.max(1) as f64 * 100.0;
    out::line(&format!(
        "of {n_booklets} chosen households {redeemed} redeemed ({:.1} %); of all {n_all} that really received it {n_redeemed} ({:.1} %)",
        percent(redeemed, n_booklets),
        percent(n_redeemed, n_all)
    ));
    out::line("no uplift is claimed: in these data every household on the list received the booklet");
    Ok(json!({
        "n": done.decisions.len(), "n_denied": done.n_denied, "n_failed": done.n_failed,
        "n_booklets": n_booklets, "n_redeemed": redeemed, "actions": report.actions,
    }))
}
