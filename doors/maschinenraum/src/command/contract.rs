//! `contract`: files of contracts read by themselves, held against each other, and their quality rules judged over a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use contract::metric::Unit;
use contract::{Contract, Parsed};
use event::Version;

use super::Ctx;
use crate::out::{self, Code};

/// `contract`
#[derive(Subcommand, Debug)]
pub enum Contracts {
    /// What changes from one file to the next, for readers and for writers; exit code 1 where the version says less than
    /// its changes.
    Diff {
        /// The older file.
        old: PathBuf,
        /// The newer file.
        new: PathBuf,
    },
    /// The changes that break somebody, and a version that says less than its changes; exit code 1 where the version is
    /// no new major one for what breaks.
    Breaking {
        /// The older file.
        old: PathBuf,
        /// The newer file.
        new: PathBuf,
    },
    /// What is wrong with files of contracts; exit code 1 where an error is among it.
    Lint {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Judges the quality rules about many records over a file of them; exit code 1 where one does not hold.
    Judge {
        /// The contract.
        contract: PathBuf,
        /// CSV, JSON lines or Parquet.
        data: PathBuf,
        /// The stream, where the contract's file describes several.
        #[arg(long)]
        stream: Option<String>,
        /// Also hold each row against the contract, and count those that would be refused.
        #[arg(long)]
        records: bool,
    },
    /// Every version of contracts, metric formulas and features that was in force, since when, and which judges now.
    Ledger {
        /// Only of this stream.
        stream: Option<String>,
        /// The text of this version, as it was put into force.
        #[arg(long, value_name = "VERSION", requires = "stream")]
        text: Option<Version>,
    },
}

/// Does what is asked.
///
/// # Errors
/// A file that cannot be read or is no contract.
pub fn run(ctx: &Ctx, args: &Contracts) -> anyhow::Result<Code> {
    match args {
        Contracts::Diff { old, new } => diff(ctx, old, new),
        Contracts::Breaking { old, new } => breaking(ctx, old, new),
        Contracts::Lint { files } => lint(ctx, files),
        Contracts::Judge { contract, data, stream, records } => {
            judge(ctx, contract, data, stream.as_deref(), *records)
        }
        Contracts::Ledger { stream, text } => ledger(ctx, stream.as_deref(), *text),
    }
}

fn read(path: &Path) -> anyhow::Result<Parsed> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Contract::parse(&text, &path.display().to_string())?)
}

fn diff(ctx: &Ctx, old: &Path, new: &Path) -> anyhow::Result<Code> {
    let diff = contract::diff::diff(&read(old)?.into_all(), &read(new)?.into_all());
    let code = if diff.is_honest() { Code::Fine } else { Code::Findings };
    if ctx.json {
        out::json(&diff)?;
        return Ok(code);
    }
    let rows: Vec<Vec<String>> = diff
        .changes
        .iter()
        .map(|change| vec![change.to_string(), effect(change.readers), effect(change.writers)])
        .collect();
    if rows.is_empty() {
        out::say("nothing changes for readers or writers");
    } else {
        out::table(&["change", "readers", "writers"], &rows);
    }
    let due = diff.needs.after(diff.from);
    out::say(&if diff.is_honest() {
        format!("{} → {}: says as much as its changes, which need {due}", diff.from, diff.to)
    } else {
        format!("{} → {}: says less than its changes, which need {due}", diff.from, diff.to)
    });
    Ok(code)
}

fn effect(effect: contract::diff::Effect) -> String {
    match effect {
        contract::diff::Effect::None => "",
        contract::diff::Effect::Meaning => "look",
        contract::diff::Effect::Breaks => "break",
    }
    .to_owned()
}

fn breaking(ctx: &Ctx, old: &Path, new: &Path) -> anyhow::Result<Code> {
    let diff = contract::diff::diff(&read(old)?.into_all(), &read(new)?.into_all());
    told(ctx, &diff.findings(&new.display().to_string()))
}

fn lint(ctx: &Ctx, files: &[PathBuf]) -> anyhow::Result<Code> {
    let mut findings = Vec::new();
    for path in files {
        let parsed = read(path)?;
        findings
            .extend(contract::lacks_of_the_standard(parsed.contract.yaml(), &path.display().to_string())?);
        findings.extend(parsed.all().flat_map(Contract::validate));
        findings.extend(parsed.findings);
    }
    told(ctx, &findings)
}

fn told(ctx: &Ctx, findings: &[contract::Finding]) -> anyhow::Result<Code> {
    if ctx.json {
        out::json(&findings)?;
    } else {
        findings.iter().for_each(|finding| out::line(&finding.to_string()));
    }
    let n_errors = findings.iter().filter(|finding| finding.is_error()).count();
    out::say(&format!(
        "{}, {}",
        out::count(n_errors, "error"),
        out::count(findings.len() - n_errors, "other finding")
    ));
    Ok(if n_errors > 0 { Code::Findings } else { Code::Fine })
}

fn judge(ctx: &Ctx, path: &Path, data: &Path, stream: Option<&str>, records: bool) -> anyhow::Result<Code> {
    let all = read(path)?.into_all();
    let named = |one: &&Contract| stream.is_none_or(|stream| one.stream.as_str() == stream);
    let Some(contract) = all.iter().find(named) else {
        bail!("{} describes no stream `{}`", path.display(), stream.unwrap_or_default());
    };
    if contract.rules.is_empty() && !records {
        bail!(
            "contract `{}` in {} has no quality rules; --records holds each row against it",
            contract.stream.as_str(),
            path.display()
        );
    }
    let bar = out::bar(std::fs::metadata(data).map_or(0, |meta| meta.len()), "judging");
    let judged = house::judge_file(contract, data, |read, _| bar.set_position(read))?;
    bar.finish_and_clear();
    let verdicts = &judged.verdicts;
    if records && ctx.json {
        out::json(&judged)?;
        let broken = verdicts.iter().any(|verdict| !verdict.holds && !verdict.is_warning);
        return Ok(if broken || judged.n_refused > 0 { Code::Findings } else { Code::Fine });
    }
    if ctx.json {
        out::json(&verdicts)?;
    } else {
        let rows: Vec<Vec<String>> = verdicts
            .iter()
            .map(|verdict| {
                let unit = if verdict.unit == Unit::Percent { " %" } else { "" };
                let word = match (verdict.holds, verdict.is_warning) {
                    (true, _) => "holds",
                    (false, true) => "warning",
                    (false, false) => "broken",
                };
                let figure =
                    verdict.figure.map_or_else(|| "too many values".to_owned(), |n| format!("{n}{unit}"));
                vec![word.to_owned(), verdict.rule.clone(), figure, format!("{}{unit}", verdict.must_be)]
            })
            .collect();
        if !rows.is_empty() {
            out::table(&["", "rule", "is", "must be"], &rows);
        }
        for (why, n) in judged.refused.iter().filter(|_| records) {
            out::line(&format!("{n} × {why}"));
        }
    }
    let broken = verdicts.iter().filter(|verdict| !verdict.holds && !verdict.is_warning).count();
    let torn = match judged.n_torn {
        0 => String::new(),
        n => format!(", {n} of them not well formed"),
    };
    let refused =
        if records { format!("; {} rows would be refused", judged.n_refused) } else { String::new() };
    let n_rows = judged.n_rows;
    out::say(&format!(
        "{n_rows} rows{torn}: {broken} of {} broken{refused}",
        out::count(verdicts.len(), "rule")
    ));
    Ok(if broken > 0 || (records && judged.n_refused > 0) { Code::Findings } else { Code::Fine })
}

fn ledger(ctx: &Ctx, stream: Option<&str>, text: Option<Version>) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let ledger = house.ledger()?;
    house.close();
    if let Some((stream, version)) = stream.zip(text) {
        let Some(applied) = ledger.contract(stream, version) else {
            bail!(
                "no version {version} of `{stream}` was ever in force; `contract ledger {stream}` lists them"
            );
        };
        out::line(applied.yaml.trim_end());
        return Ok(Code::Fine);
    }
    let wanted = |name: &str| stream.is_none_or(|stream| stream == name);
    let since = |at: &Option<event::Instant>| {
        at.map_or_else(|| "before this was kept".to_owned(), |at| at.to_string())
    };
    let contracts = ledger.contracts.iter().filter(|((name, _), _)| wanted(name));
    let rows: Vec<Vec<String>> = contracts
        .map(|((name, version), applied)| {
            let judges = if ledger.current.get(name) == Some(version) { "judges" } else { "" };
            vec![
                name.clone(),
                version.to_string(),
                judges.to_owned(),
                since(&applied.since),
                applied.file.clone(),
            ]
        })
        .collect();
    let formulas = ledger.formulas.iter().filter(|_| stream.is_none());
    if ctx.json {
        let contracts: Vec<_> = ledger
            .contracts
            .iter()
            .filter(|((name, _), _)| wanted(name))
            .map(|((name, version), applied)| {
                serde_json::json!({
                    "stream": name, "version": version, "judges": ledger.current.get(name) == Some(version),
                    "since": applied.since, "file": applied.file,
                })
            })
            .collect();
        let features: Vec<_> = ledger.features.iter().filter(|_| stream.is_none()).collect();
        let formulas: Vec<_> = formulas.collect();
        out::json(
            &serde_json::json!({ "contracts": contracts, "formulas": formulas, "features": features }),
        )?;
        return Ok(Code::Fine);
    }
    out::table(&["stream", "version", "", "since", "file"], &rows);
    let rows: Vec<Vec<String>> = formulas
        .map(|one| {
            let goal = &one.goal;
            let counts =
                format!("{} within {}, worth {}", goal.success.join(" or "), goal.within, goal.value);
            vec![
                one.use_case.clone(),
                goal.metric.clone(),
                goal.formula_version.to_string(),
                goal.formula.clone(),
                counts,
                since(&one.since),
            ]
        })
        .collect();
    if !rows.is_empty() {
        out::line("");
        out::table(&["use case", "metric", "version", "formula", "counts", "since"], &rows);
    }
    let features = ledger.features.iter().filter(|_| stream.is_none());
    let rows: Vec<Vec<String>> = features
        .map(|one| {
            let name = format!("{}@{}.{}", one.view, one.version, one.feature);
            vec![name, one.formula.clone(), since(&one.since)]
        })
        .collect();
    if !rows.is_empty() {
        out::line("");
        out::table(&["feature", "formula", "since"], &rows);
    }
    Ok(Code::Fine)
}
