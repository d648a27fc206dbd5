//! `decide`, `explain`, `outcome`, `consent`, `report`, `export`, `deliver`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use decide::outbox::{CSV_HEADER, Delivery};
use decide::{Cents, Report};
use event::{Instant, RecordId, Version};
use hmac::{Hmac, KeyInit, Mac};
use house::{Handed, House, Identifier, Told};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::{Ctx, identifier, operator};
use crate::cli::Language;
use crate::command::data::user;
use crate::out::{self, Code};

/// Decides for one person or a list of them.
pub fn decide(
    ctx: &Ctx,
    use_case: &str,
    id: Option<&str>,
    list: Option<&Path>,
    context: &[String],
) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let mut moment = Map::new();
    for pair in context {
        let (name, value) = pair.split_once('=').with_context(|| format!("`{pair}` is not NAME=VALUE"))?;
        moment.insert(name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into()));
    }
    house.do_chores()?;
    match (id, list) {
        (Some(id), _) => {
            let record = house.decide(&operator(&user()), use_case, &identifier(id)?, &moment)?;
            if ctx.json {
                out::json(&record)?;
            } else {
                out::line(
                    &house.explain(&operator(&user()), record.decision)?.text(decide::Language::English),
                );
            }
        }
        (None, Some(list)) => {
            let done = decide_all(&house, use_case, &read_list(list)?, &moment)?;
            out::line(&format!(
                "{} decided, {} without consent, {} failed",
                done.decisions.len(),
                done.n_denied,
                done.n_failed
            ));
        }
        (None, None) => bail!("--id or --list is missing"),
    }
    house.close();
    Ok(Code::Fine)
}

/// What deciding for many did.
#[derive(Default)]
pub struct DecidedAll {
    /// Whom and what.
    pub decisions: Vec<(String, decide::DecisionRecord)>,
    /// People who did not consent.
    pub n_denied: u64,
    /// People for whom something else went wrong.
    pub n_failed: u64,
}

/// Decides for many, on a few threads, with a progress bar.
pub fn decide_all(
    house: &House,
    use_case: &str,
    people: &[Identifier],
    moment: &Map<String, Value>,
) -> anyhow::Result<DecidedAll> {
    const THREADS: usize = 16;
    let bar = out::bar(people.len() as u64, "deciding");
    let chunk = people.len().div_ceil(THREADS).max(1);
    let (who, bar_of) = (operator(&user()), bar.clone());
    let (who, bar_of) = (&who, &bar_of);
    let parts: Vec<anyhow::Result<DecidedAll>> = std::thread::scope(|scope| {
        let workers: Vec<_> = people
            .chunks(chunk)
            .map(|people| {
                scope.spawn(move || {
                    let mut done = DecidedAll::default();
                    for person in people {
                        match house.decide(who, use_case, person, moment) {
                            Ok(record) => done.decisions.push((person.value.clone(), record)),
                            Err(house::Error::Denied(_)) => done.n_denied += 1,
                            Err(error @ house::Error::UnknownUseCase { .. }) => return Err(error.into()),
                            Err(error) => {
                                done.n_failed += 1;
                                tracing::warn!(%error, "not decided");
                            }
                        }
                        bar_of.inc(1);
                    }
                    Ok(done)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|w| w.join().unwrap_or_else(|_| bail!("a worker ended unexpectedly")))
            .collect()
    });
    bar.finish_and_clear();
    let mut all = DecidedAll::default();
    for part in parts {
        let part = part?;
        all.decisions.extend(part.decisions);
        all.n_denied += part.n_denied;
        all.n_failed += part.n_failed;
    }
    Ok(all)
}

fn read_list(path: &Path) -> anyhow::Result<Vec<Identifier>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let mut lines = text.lines().map(|line| line.split(',').next().unwrap_or(line).trim().trim_matches('"'));
    let kind = lines.next().unwrap_or("user_id").trim_start_matches('\u{feff}').to_owned();
    Ok(lines
        .filter(|value| !value.is_empty())
        .map(|value| Identifier { kind: kind.clone(), value: value.to_owned() })
        .collect())
}

/// Explains a decision.
pub fn explain(ctx: &Ctx, id: &str, language: Language) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let explanation = house.explain(&operator(&user()), decision_id(id)?)?;
    if ctx.json {
        out::json(&explanation)?;
    } else {
        out::line(&explanation.text(match language {
            Language::En => decide::Language::English,
            Language::De => decide::Language::German,
        }));
    }
    house.close();
    Ok(Code::Fine)
}

fn decision_id(text: &str) -> anyhow::Result<RecordId> {
    text.parse().with_context(|| format!("`{text}` is no decision id"))
}

/// Tells what came of a decision.
pub fn outcome(
    ctx: &Ctx,
    id: &str,
    kind: &str,
    value: Option<i64>,
    at: Option<&str>,
) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let occurred_at = at.map(str::parse).transpose()?;
    let told = Told {
        decision: decision_id(id)?,
        kind: kind.to_owned(),
        value: value.map(Cents::new),
        occurred_at,
        id: None,
    };
    house.outcomes(&[told])?;
    out::say(&format!("recorded: {kind} after decision {id}"));
    house.close();
    Ok(Code::Fine)
}

/// What a use case did.
pub fn report(
    ctx: &Ctx,
    use_case: &str,
    formula: Option<Version>,
    until: Option<Instant>,
) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let report = match formula {
        Some(formula) => house.report_by(use_case, formula, until)?,
        None => house.report(use_case)?,
    };
    if ctx.json {
        out::json(&report)?
    } else {
        print_report(&report);
        if let Ok(of) = house.use_case(use_case) {
            let budget = &of.budget;
            out::line(&format!(
                "amounts in {}; budget {} ({})",
                budget.currency, budget.total, budget.period
            ));
        }
    }
    house.close();
    Ok(Code::Fine)
}

/// A report as tables.
pub fn print_report(report: &Report) {
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
    out::table(&["action", "channel", "decided", "sent", "cost", "successes"], &rows);
    let uplift = &report.uplift;
    out::line(&format!(
        "{} decisions, cost {}; success {} of {} treated, {} of {} held out",
        report.n_decisions,
        report.cost,
        uplift.treated.n_successful,
        uplift.treated.n_profiles,
        uplift.held_out.n_successful,
        uplift.held_out.n_profiles
    ));
    let difference = uplift.rate_difference;
    let interval = match (difference.low, difference.high) {
        (Some(low), Some(high)) => format!("95 % interval [{:+.2}, {:+.2}]", low * 100.0, high * 100.0),
        _ => "too few people for an interval".to_owned(),
    };
    out::line(&format!("uplift against the holdout: {:+.2} points, {interval}", difference.value * 100.0));
    let formulas: Vec<String> = report
        .formulas
        .iter()
        .map(|one| format!("`{}` {} ({} decisions)", one.metric, one.version, one.n_decisions))
        .collect();
    if !formulas.is_empty() {
        out::line(&format!("counted by {}", formulas.join(", ")));
    }
}

/// Hands chosen actions over as CSV.
pub fn export(ctx: &Ctx, claim: &str) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let detail = serde_json::json!({ "kind": "actions", "name": claim });
    house.audit(&::audit::Act { detail, ..::audit::Act::new("export.take", &user()) })?;
    out::line(CSV_HEADER);
    let done = house.deliver(claim, |delivery| {
        out::line(&delivery.csv_line());
        Handed::Sent
    })?;
    out::say(&format!(
        "{} handed over, {} given back, {} failed",
        done.n_sent, done.n_released, done.n_failed
    ));
    house.close();
    Ok(Code::Fine)
}

/// Sends chosen actions to the webhook.
pub fn deliver(ctx: &Ctx) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let hook = Webhook::of(&house)?
        .context("the settings name no webhook under [delivery]; `export` writes a CSV instead")?;
    let done = house.deliver("webhook", |delivery| hook.hand(delivery))?;
    if ctx.json {
        out::json(&done)?;
    } else {
        out::line(&format!(
            "{} sent, {} given back, {} failed, {} left",
            done.n_sent, done.n_released, done.n_failed, done.n_left
        ));
    }
    house.close();
    Ok(Code::Fine)
}

/// A channel tool that takes a POST per action.
pub struct Webhook {
    url: String,
    secret: Option<Vec<u8>>,
    agent: ureq::Agent,
}

impl Webhook {
    /// The webhook of the settings, if there is one.
    pub fn of(house: &House) -> anyhow::Result<Option<Self>> {
        let delivery = &house.settings().delivery;
        if delivery.webhook.is_empty() {
            return Ok(None);
        }
        let reference = &delivery.webhook_secret;
        let secret = match reference.split_once(':') {
            Some(("env", name)) => {
                Some(std::env::var(name).with_context(|| format!("`{name}` is not set"))?.into_bytes())
            }
            Some(("file", path)) => {
                let path = house.project().dir.join(path);
                let text =
                    std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
                Some(text.trim_ascii().to_vec())
            }
            _ => None,
        };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build();
        Ok(Some(Self { url: delivery.webhook.clone(), secret, agent: config.into() }))
    }

    /// Posts one action; the receiver drops what it has by its idempotency key.
    pub fn hand(&self, delivery: &Delivery) -> Handed {
        let body = match serde_json::to_vec(delivery) {
            Ok(body) => body,
            Err(error) => return Handed::Failed(error.to_string()),
        };
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("idempotency-key", &delivery.idempotency_key);
        if let Some(secret) = &self.secret
            && let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret)
        {
            mac.update(&body);
            let signature: String =
                mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            request = request.header("x-maschinenraum-signature", signature);
        }
        match request.send(body.as_slice()) {
            Ok(response) if response.status().is_success() => Handed::Sent,
            Ok(response) if matches!(response.status().as_u16(), 408 | 425 | 429 | 500..=599) => {
                Handed::Later(format!("the webhook answers {}", response.status()))
            }
            Ok(response) => Handed::Failed(format!("the webhook answers {}", response.status())),
            Err(error) => Handed::Later(error.to_string()),
        }
    }
}
