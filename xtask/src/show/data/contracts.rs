//! Contracts: ODCS's examples and files with one fault each beside the standard's JSON Schema; a breaking change judged; the
//! shop's contracts under datacontract-cli; duplicates of a number column that the peer rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{folder, printed, ran};
use crate::peers;
use crate::place::Place;
use crate::served;
use crate::table::{Figure, Item};

/// The item.
pub const ITEM: Item = Item {
    id: "contracts",
    title: "Contracts: ODCS 3.1's examples and faults, breaking changes, datacontract-cli beside us",
    bar: "every file read or refused as the standard's JSON Schema has it; changelog v1 → v2 judged as by hand; the shop's \
          contracts pass `datacontract lint`; 0 duplicates among distinct numbers",
    run,
};

/// What this house asks for beyond the standard: owner, purpose, classification, whom it is about, any field at all.
const BEYOND: [&str; 5] = ["MR1106", "MR1107", "MR1108", "MR1109", "MR1118"];

/// One fault each, made in `changelog_v1`; the schema refuses all of them.
const FAULTS: [(&str, &str, &str); 12] = [
    ("no-api-version", "apiVersion: v3.0.2\n", ""),
    ("other-api-version", "v3.0.2", "v9.0.0"),
    ("other-kind", "kind: DataContract", "kind: Other"),
    ("no-id", "id: orders-contract-001\n", ""),
    ("no-version", "version: 1.0.0\n", ""),
    ("no-status", "status: active\n", ""),
    ("schema-is-a-number", "schema:\n", "schema: 3\nx:\n"),
    ("no-schema-name", "  - name: orders\n    physical", "  - physical"),
    ("unknown-type", "logicalType: number", "logicalType: decimal"),
    ("required-maybe", "required: false", "required: maybe"),
    ("unknown-server-type", "type: snowflake", "type: floppy"),
    ("no-sla-property", "property: latency", "propertie: latency"),
];

/// By hand, from the two files: stream, field, what happens, for readers, for writers.
const EXPECTED: [(&str, &str, &str, &str, &str); 5] = [
    ("customers", "", "is new", "none", "none"),
    ("orders", "customer_id", "is removed", "breaks", "meaning"),
    ("orders", "order_date", "is date, no longer string", "breaks", "breaks"),
    ("orders", "region", "is new", "none", "none"),
    ("orders", "total_amount", "must be there from now on", "none", "breaks"),
];

/// Distinct numbers 0.0001 apart; a column rounded to three decimals holds a tenth as many values.
const ROWS: u32 = 10_001;

#[derive(Deserialize)]
struct Finding {
    code: String,
    severity: String,
    stream: Option<String>,
    field: Option<String>,
    message: String,
}

#[derive(Deserialize)]
struct Diff {
    changes: Vec<Change>,
    needs: String,
    makes: String,
}

#[derive(Deserialize)]
struct Change {
    stream: String,
    field: Option<String>,
    message: String,
    readers: String,
    writers: String,
}

#[derive(Deserialize)]
struct Verdict {
    figure: Option<f64>,
    holds: bool,
}

fn run(place: &Place) -> Result<Figure> {
    let odcs = place.data().context("no data")?.join("mlops/odcs");
    let binary = served::binary(place)?;
    let folder = folder(place, "contracts")?;
    let python = peers::contracts(place)?;
    let peer = |work: &str, args: &[&Path]| {
        let mut command = Command::new(&python);
        command.arg(place.root.join("bench/peers/contracts.py")).arg(work).args(args);
        command
    };
    let v1 = odcs.join("changelog_v1.odcs.yaml");
    let v2 = odcs.join("changelog_v2.odcs.yaml");

    let mut files = yaml(&odcs)?;
    let n_examples = files.len();
    files.extend(faults(&v1, &folder)?);
    let schema = odcs.join("odcs-json-schema-v3.1.0.json");
    let args: Vec<&Path> = std::iter::once(&schema).chain(&files).map(PathBuf::as_path).collect();
    let said: BTreeMap<PathBuf, Option<String>> = printed(&mut peer("schema", &args))?;
    let mut agreed = 0;
    let mut disagreed = String::new();
    for file in &files {
        let theirs = said.get(file).with_context(|| format!("no verdict on {}", file.display()))?;
        let ours = objection(&binary, file)?;
        if theirs.is_some() == ours.is_some() {
            agreed += 1;
        } else {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            eprintln!("   {name}: schema {theirs:?}, we {ours:?}");
            write!(disagreed, " {name}")?;
        }
    }

    let judged = changelog(&binary, &v1, &v2, &folder)?;

    let shop = folder.join("shop");
    ran(Command::new(&binary).args(["simulate", "shop", "--customers", "50", "--out"]).arg(&shop), &[0])?;
    let ours = yaml(&shop.join("contracts"))?;
    let args: Vec<&Path> = ours.iter().map(PathBuf::as_path).collect();
    let linted: BTreeMap<PathBuf, Option<String>> = printed(&mut peer("lint", &args))?;
    linted
        .iter()
        .filter_map(|(file, why)| Some((file, why.as_ref()?)))
        .for_each(|(file, why)| eprintln!("   {}: {why}", file.display()));
    let passed = linted.values().filter(|why| why.is_none()).count();

    let (contract, csv, parquet) = amounts(&folder)?;
    let theirs: BTreeMap<String, String> = printed(&mut peer("duplicates", &[&contract, &csv, &parquet]))?;
    let mut zero = theirs.get("truth").is_some_and(|truth| truth == "0");
    let mut counted = Vec::new();
    for data in [&csv, &parquet] {
        let mut judge = Command::new(&binary);
        let text = ran(judge.args(["--json", "contract", "judge"]).arg(&contract).arg(data), &[0, 1])?;
        let verdicts: Vec<Verdict> = serde_json::from_str(&text).context("`judge --json` changed")?;
        zero &= !verdicts.is_empty() && verdicts.iter().all(|one| one.holds && one.figure == Some(0.0));
        counted.extend(verdicts.iter().map(|one| one.figure.map_or("none".to_owned(), |n| n.to_string())));
    }

    let told = |server: &str| theirs.get(server).map_or("no figure", String::as_str);
    let text = format!(
        "{agreed} of {} files ({n_examples} examples, {} faults) as the schema has it{}{disagreed}; changelog: {}; \
         `datacontract lint` passes {passed} of {} contracts; duplicates in {ROWS} distinct numbers: we {} (CSV, Parquet), \
         datacontract-cli {} (CSV), {} (Parquet)",
        files.len(),
        FAULTS.len(),
        if disagreed.is_empty() { "" } else { ", not:" },
        judged.as_deref().unwrap_or("as by hand"),
        ours.len(),
        counted.join(", "),
        told("csv"),
        told("parquet"),
    );
    let linted_all = passed == ours.len() && !ours.is_empty();
    Ok(Figure { text, holds: disagreed.is_empty() && judged.is_none() && linted_all && zero })
}

/// Why we do not take the file as ODCS, if so; what this house asks for beyond the standard is no such reason.
fn objection(binary: &Path, file: &Path) -> Result<Option<String>> {
    let output = Command::new(binary).args(["--json", "contract", "lint"]).arg(file).output()?;
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Ok(Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let findings: Vec<Finding> = serde_json::from_slice(&output.stdout).context("`lint --json` changed")?;
    let real =
        findings.into_iter().find(|one| one.severity == "error" && !BEYOND.contains(&one.code.as_str()));
    Ok(real.map(|one| format!("{} {}", one.code, one.message)))
}

/// What is judged otherwise than by hand, if anything.
fn changelog(binary: &Path, v1: &Path, v2: &Path, folder: &Path) -> Result<Option<String>> {
    let ask = |what: &str, new: &Path, code: i32| {
        ran(Command::new(binary).args(["--json", "contract", what]).arg(v1).arg(new), &[code])
    };
    let diff: Diff = serde_json::from_str(&ask("diff", v2, 0)?).context("`diff --json` changed")?;
    let found: BTreeSet<_> = diff
        .changes
        .iter()
        .map(|one| {
            let field = one.field.as_deref().unwrap_or_default();
            (one.stream.as_str(), field, one.message.as_str(), one.readers.as_str(), one.writers.as_str())
        })
        .collect();
    if found != BTreeSet::from(EXPECTED) || diff.needs != "major" || diff.makes != "major" {
        return Ok(Some(format!("`diff` finds {found:?}, needs {}, makes {}", diff.needs, diff.makes)));
    }
    // An honest major step breaks nobody unannounced: 0. The same changes under 1.1.0: 1.
    let small = folder.join("changelog_v1.1.yaml");
    std::fs::write(&small, std::fs::read_to_string(v2)?.replacen("version: 2.0.0", "version: 1.1.0", 1))?;
    for (new, code) in [(v2, 0), (small.as_path(), 1)] {
        let findings: Vec<Finding> = serde_json::from_str(&ask("breaking", new, code)?)?;
        let named: BTreeSet<_> = findings
            .iter()
            .filter(|one| one.code == "MR1131")
            .map(|one| (one.stream.as_deref().unwrap_or_default(), one.field.as_deref().unwrap_or_default()))
            .collect();
        let breaks = EXPECTED.iter().filter(|one| one.3 == "breaks" || one.4 == "breaks");
        if named != breaks.map(|one| (one.0, one.1)).collect() {
            return Ok(Some(format!("`breaking` to {} names {named:?}", new.display())));
        }
    }
    Ok(None)
}

fn yaml(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    Ok(files)
}

fn faults(good: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(good)?;
    let make = |(name, from, to): &(&str, &str, &str)| {
        let file = folder.join(format!("{name}.yaml"));
        anyhow::ensure!(text.contains(from), "{} has no {from:?}", good.display());
        std::fs::write(&file, text.replacen(from, to, 1))?;
        Ok(file)
    };
    FAULTS.iter().map(make).collect()
}

/// A contract that says only `number` and no duplicates, and distinct decimals 0.0001 apart; the Parquet is written later.
fn amounts(folder: &Path) -> Result<(PathBuf, PathBuf, PathBuf)> {
    let [contract, csv, parquet] =
        ["amounts.yaml", "amounts.csv", "amounts.parquet"].map(|name| folder.join(name));
    let mut text = "id,amount\n".to_owned();
    for row in 0..ROWS {
        writeln!(text, "{row},{}.{:04}", row / 10_000, row % 10_000)?;
    }
    std::fs::write(&csv, text)?;
    let server = |kind: &str, file: &Path| {
        format!("  - {{server: {kind}, type: local, format: {kind}, path: {}}}\n", file.display())
    };
    let text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: amounts\nversion: 1.0.0\nstatus: active\nservers:\n{}{}schema:\n  \
         - name: amounts\n    properties:\n      - {{name: id, logicalType: integer}}\n      - name: amount\n        \
         logicalType: number\n        quality: [{{metric: duplicateValues, mustBe: 0}}]\n",
        server("csv", &csv),
        server("parquet", &parquet)
    );
    std::fs::write(&contract, text)?;
    Ok((contract, csv, parquet))
}
