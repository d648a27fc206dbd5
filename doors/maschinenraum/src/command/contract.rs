//! `contract`: files of contracts read by themselves, held against each other, and their quality rules judged over a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use contract::metric::{Judge, Unit};
use contract::{Contract, Parsed};
use intake::file;

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
        Contracts::Judge { contract, data, stream } => judge(ctx, contract, data, stream.as_deref()),
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

fn judge(ctx: &Ctx, path: &Path, data: &Path, stream: Option<&str>) -> anyhow::Result<Code> {
    let all = read(path)?.into_all();
    let named = |one: &&Contract| stream.is_none_or(|stream| one.stream.as_str() == stream);
    let Some(contract) = all.iter().find(named) else {
        bail!("{} describes no stream `{}`", path.display(), stream.unwrap_or_default());
    };
    let mut judge = Judge::new(contract);
    if judge.is_idle() {
        bail!("contract `{}` in {} has no quality rules", contract.stream.as_str(), path.display());
    }
    let file = file::inspect(data, |_| {})?;
    let bar = out::bar(file.n_bytes(), "judging");
    let (mut n_rows, mut n_broken) = (0_u64, 0_u64);
    let mut rows = file.rows(0)?;
    while let Some(row) = rows.next() {
        let row = row?;
        n_rows += 1;
        if n_rows % 1_024 == 0 {
            bar.set_position(rows.progress().n_bytes);
        }
        n_broken += u64::from(row.finding.is_some());
        judge.take(&contract.bind(&row.raw));
    }
    bar.finish_and_clear();
    let verdicts = judge.verdicts();
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
        out::table(&["", "rule", "is", "must be"], &rows);
    }
    let broken = verdicts.iter().filter(|verdict| !verdict.holds && !verdict.is_warning).count();
    let torn = if n_broken > 0 { format!(", {n_broken} of them not well formed") } else { String::new() };
    out::say(&format!("{n_rows} rows{torn}: {} of {} broken", broken, out::count(verdicts.len(), "rule")));
    Ok(if broken > 0 { Code::Findings } else { Code::Fine })
}
