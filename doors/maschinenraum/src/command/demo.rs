//! `demo`: the main job once, on a shop whose truth is known: records in, a model through its gate, decisions for
//! everybody who consented, outcomes back, and the measured uplift beside the true one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant as StdInstant;

use anyhow::{Context, bail};
use decide::Cents;
use event::RecordId;
use house::{House, Identifier, Told};
use registry::{Move, Share};
use serde_json::Map;
use simulate::{Action, Config, Decided, World};

use super::data::{import_file, print_import, write_shop};
use super::decisions::{DecidedAll, decide_all, print_report};
use super::learning::{print_training, train_with_bar};
use super::running::serve_house;
use super::{Ctx, demo_cj, open, operator};
use crate::cli::Demo;
use crate::out::{self, Code};

const MODEL: &str = "response";
const USE_CASE: &str = "next_order";
/// What the demo's person approves as.
const WHO: &str = "demo";

/// Runs the demo.
pub fn run(_: &Ctx, args: &Demo) -> anyhow::Result<Code> {
    let dir = args.dir.clone().unwrap_or_else(default_dir);
    if dir.join("data").exists() || dir.join("maschinenraum.toml").exists() {
        bail!("`{}` holds a project already; name another directory with --dir", dir.display());
    }
    let started = StdInstant::now();
    let house = match &args.from {
        Some(from) => demo_cj::run(args, from, &dir)?,
        None => shop(args, &dir)?,
    };
    head("Done");
    out::line(&format!("{:.0} s, in {}", started.elapsed().as_secs_f64(), dir.display()));
    if args.no_serve {
        house.close();
        return Ok(Code::Fine);
    }
    let listen = house.settings().server.listen.clone();
    out::line(&format!("the server runs on http://{listen} until Ctrl-C; API: http://{listen}/openapi.json"));
    serve_house(house, None)?;
    Ok(Code::Fine)
}

fn default_dir() -> PathBuf {
    let base = if Path::new("target").is_dir() { PathBuf::from("target") } else { std::env::temp_dir() };
    let mut dir = base.join("demo");
    let mut n = 1;
    while dir.exists() {
        n += 1;
        dir = base.join(format!("demo-{n}"));
    }
    dir
}

/// A heading of the demo's report.
pub fn head(title: &str) {
    out::line(&format!("\n── {title} ──"));
}

fn shop(args: &Demo, dir: &Path) -> anyhow::Result<Arc<House>> {
    head("A shop with known truth");
    let world = World::new(Config { n_customers: args.customers, seed: args.seed, ..Config::default() })?;
    write_shop(&world, dir)?;
    out::line(&format!("{} customers, project in {}", args.customers, dir.display()));

    head("Records in");
    let house = open(dir)?;
    let data = dir.join("data-in");
    let (mut n_rows, mut n_kept) = (0, 0);
    let consents = house.import_consents(&data.join("consents.csv"))?;
    out::line(&format!("consents: {} given or withdrawn", consents.n_accepted));
    for (stream, file) in [
        ("customers", "customers.csv"),
        ("campaigns", "campaigns.csv"),
        ("orders", "orders.ndjson"),
        ("visits", "visits.ndjson"),
        ("responses", "responses.ndjson"),
    ] {
        let done = import_file(&house, &data.join(file), stream, None)?;
        n_rows += done.counts.n_rows;
        n_kept += done.counts.n_accepted + done.counts.n_quarantined + done.counts.n_duplicates;
        print_import(stream, &done);
    }
    out::line(&format!("{n_rows} rows read, {n_kept} accounted for"));
    if n_rows != n_kept {
        bail!("{} rows are not accounted for", n_rows.abs_diff(n_kept));
    }

    head("A model through its gate");
    let training = train_with_bar(&house, MODEL)?;
    print_training(&training);
    let chosen = match training.outcome.report.chosen {
        Some(registry::Role::Challenger) => training.challenger,
        Some(registry::Role::Baseline) => training.baseline,
        None => bail!("the gate refuses both versions; see the figures above"),
    };
    let who = operator(WHO);
    house.promote(&who, MODEL, chosen, Move::Canary(Share::from_percent(20.0)?), "demo: a fifth first")?;
    out::line(&format!("version {chosen} serves 20 % of the profiles as a canary"));

    head("Decisions for everybody who consented");
    house.do_chores()?;
    let people: Vec<Identifier> = world
        .customers()
        .iter()
        .map(|customer| Identifier { kind: "user_id".to_owned(), value: customer.user_id.clone() })
        .collect();
    let (canary, rest) = people.split_at(people.len() / 10);
    let mut done = decide_all(&house, USE_CASE, canary, &Map::new())?;
    let n_scored = done.decisions.iter().filter(|(_, record)| !record.models.is_empty()).count();
    out::line(&format!(
        "canary: {n_scored} of {} decisions were scored by version {chosen}",
        done.decisions.len()
    ));
    house.promote(&who, MODEL, chosen, Move::Live, "demo: the canary behaves")?;
    out::line(&format!("version {chosen} is live"));
    let started = StdInstant::now();
    let more = decide_all(&house, USE_CASE, rest, &Map::new())?;
    let rate = more.decisions.len() as f64 / started.elapsed().as_secs_f64();
    done.decisions.extend(more.decisions);
    done.n_denied += more.n_denied;
    done.n_failed += more.n_failed;
    out::line(&format!(
        "{} decided, {} without consent to personalisation, {} failed; {rate:.0} decisions/s, each durable",
        done.decisions.len(),
        done.n_denied,
        done.n_failed
    ));

    head("Sent, and what came of it");
    let sent = house.deliver("demo", |_| house::Handed::Sent)?;
    out::line(&format!("{} sent, {} given back, {} failed", sent.n_sent, sent.n_released, sent.n_failed));
    let truth = feed_outcomes(&house, &world, &done)?;
    let report = house.report(USE_CASE)?;
    print_report(&report);
    let measured = report.uplift.rate_difference;
    let hit = measured.low.is_none_or(|low| low <= truth) && measured.high.is_none_or(|high| truth <= high);
    out::line(&format!(
        "true uplift of these decisions: {:+.2} points — {} the measured interval",
        truth * 100.0,
        if hit { "inside" } else { "OUTSIDE" }
    ));

    head("Limits");
    limits(&house, &done)?;

    head("One decision, explained");
    let shown = done.decisions.iter().find(|(_, record)| record.chosen.action != decide::NO_ACTION);
    if let Some((_, record)) = shown {
        out::line(&house.explain(&who, record.decision)?.text(decide::Language::English));
    }
    head("The state is a fold");
    let verdict = house.verify(|_| {})?;
    out::line(&format!(
        "folded anew: {} ({} records, {:.0} records/s)",
        if verdict.holds() { "the same digest" } else { "ANOTHER DIGEST" },
        verdict.n_records,
        verdict.n_records as f64 / verdict.took.as_secs_f64().max(1e-9)
    ));
    Ok(house)
}

/// Plays the customers and tells the house; returns the true uplift of those who were not held out.
fn feed_outcomes(house: &House, world: &World, done: &DecidedAll) -> anyhow::Result<f64> {
    let mut told = Vec::new();
    let (mut treated, mut held_out) = (Vec::new(), Vec::new());
    for (number, (user_id, record)) in done.decisions.iter().enumerate() {
        let action = action_of(record).with_context(|| format!("action `{}`", record.chosen.action))?;
        let group = if record.holdout.arm.held_out { &mut held_out } else { &mut treated };
        group.push(Decided { user_id: user_id.clone(), action, at: record.at });
        let outcome = world.respond(user_id, action, record.at, number as u64)?;
        let mut tell = |kind: &str, at, value: Option<u64>| {
            told.push(Told {
                decision: record.decision,
                kind: kind.to_owned(),
                value: value.map(|cents| Cents::new(i64::try_from(cents).unwrap_or(i64::MAX))),
                occurred_at: Some(at),
                id: Some(kind.to_owned()),
            });
        };
        if let Some(at) = outcome.clicked_at {
            tell("click", at, None);
        }
        if let Some(at) = outcome.ordered_at {
            tell("order", at, Some(outcome.value_cents));
        }
    }
    for chunk in told.chunks(2_000) {
        house.outcomes(chunk)?;
    }
    out::line(&format!("{} outcomes told", told.len()));
    let (truth, beside) = (world.true_uplift(&treated)?, world.true_uplift(&held_out)?);
    out::line(&format!(
        "expected by the truth: {:.2} % of the treated order, {:.2} % had nothing been done; {:.2} % of the held out",
        truth.rate * 100.0,
        truth.rate_without * 100.0,
        beside.rate * 100.0
    ));
    Ok(truth.uplift)
}

fn action_of(record: &decide::DecisionRecord) -> anyhow::Result<Action> {
    if record.chosen.action == decide::NO_ACTION {
        return Ok(Action::None);
    }
    Ok(Action::from_id(&record.chosen.action)?)
}

/// Holds the limits against the decisions themselves, not against what the house says of them.
fn limits(house: &House, done: &DecidedAll) -> anyhow::Result<()> {
    let use_case = house.use_case(USE_CASE)?;
    let spent: i64 = done.decisions.iter().map(|(_, record)| record.cost.parts()).sum();
    out::line(&format!(
        "budget: {} of {} {} set aside by decisions — {}",
        Cents::from_parts(spent),
        use_case.budget.total,
        use_case.budget.currency,
        if spent <= use_case.budget.total.parts() { "held" } else { "BROKEN" }
    ));
    let mut per_profile: std::collections::BTreeMap<(&str, &str), u32> = std::collections::BTreeMap::new();
    for (_, record) in &done.decisions {
        if record.chosen.action != decide::NO_ACTION {
            *per_profile.entry((&record.profile, &record.chosen.channel)).or_default() += 1;
        }
    }
    let most = per_profile.values().max().copied().unwrap_or(0);
    out::line(&format!("caps: at most {most} message(s) by one channel to one profile"));
    let first = done.decisions.first().map(|(_, record)| record.decision);
    if let Some(id) = first {
        let n: usize = reproduced(house, done)?;
        out::line(&format!(
            "{n} of {} decisions reproduced bit for bit from their records (first: {id})",
            done.decisions.len()
        ));
    }
    Ok(())
}

fn reproduced(house: &House, done: &DecidedAll) -> anyhow::Result<usize> {
    let who = operator(WHO);
    let ids: Vec<RecordId> = done.decisions.iter().map(|(_, record)| record.decision).collect();
    let mut n = 0;
    for id in ids {
        house.reproduce(&who, id)?;
        n += 1;
    }
    Ok(n)
}
