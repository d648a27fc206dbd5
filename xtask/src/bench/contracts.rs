//! A contract and its rules over a million rows of Parquet, beside pandera, Great Expectations and datacontract-cli. First who
//! is right, then who is fast.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::place::Place;
use crate::table::{Figure, Item};
use crate::{peers, served};

/// Our runs; the median counts.
const RUNS: usize = 5;

/// What is counted, by the name the peers' script has for it.
const FIGURES: [&str; 7] = [
    "id_repeats",
    "price_repeats",
    "sku_missing",
    "qty_outside",
    "price_below",
    "country_invalid",
    "mail_invalid",
];

/// The benches.
pub fn items() -> Vec<Item> {
    vec![Item {
        id: "contract-check",
        title: "a contract's records and rules over 1 M rows × 7 columns of Parquet: repeats, missing, ranges, lists, a pattern",
        bar: "all counts as DuckDB has them; ≥ 10 × faster than the fastest peer that is right, whole command beside whole \
              command",
        run,
    }]
}

struct Peer {
    name: &'static str,
    /// The whole command, imports included.
    whole_s: f64,
    /// As it measures its own work.
    work_s: f64,
    wrong: Vec<String>,
}

fn run(place: &Place) -> Result<Figure> {
    let binary = served::binary(place)?;
    let folder = super::folder(place, "contract-check")?;
    let python = peers::contract_check(place)?;
    let parquet = folder.join("rows.parquet");
    let script = place.root.join("bench/peers/contract_check.py");
    let truth: BTreeMap<String, Value> = serde_json::from_str(&told(&python, &script, "make", &parquet)?.0)?;
    let contract = contract(&folder, &parquet)?;

    let (mut seconds, mut text) = (Vec::new(), String::new());
    for _ in 0..RUNS {
        let started = Instant::now();
        let output = Command::new(&binary)
            .args(["--json", "contract", "judge", "--records"])
            .arg(&contract)
            .arg(&parquet)
            .stderr(Stdio::null())
            .output()?;
        seconds.push(started.elapsed().as_secs_f64());
        if output.status.code() != Some(1) {
            bail!("judge ended with {}, where rules are broken", output.status);
        }
        text = String::from_utf8(output.stdout)?;
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(RUNS / 2).copied().unwrap_or(f64::INFINITY);
    let ours = ours(&text)?;
    let wrong = differing(&ours, &truth);

    let mut others = Vec::new();
    for (name, work) in [
        ("pandera (Polars)", "pandera"),
        ("pandera (pandas)", "pandera_pandas"),
        ("Great Expectations", "gx"),
    ] {
        others.push(peer(name, &python, &script, work, &parquet, &truth)?);
    }
    let theirs = peers::contracts(place)?;
    let (said, whole_s) = told(&theirs, &script, "datacontract", &contract)?;
    others.push(datacontract(&said, whole_s, &truth)?);

    let mut line = format!("we {median:.2} s");
    if !wrong.is_empty() {
        write!(line, " BUT WRONG: {}", wrong.join(", "))?;
    }
    for one in &others {
        write!(line, "; {} {:.1} s ({:.1} s without imports)", one.name, one.whole_s, one.work_s)?;
        if !one.wrong.is_empty() {
            write!(line, ", wrong: {}", one.wrong.join(", "))?;
        }
    }
    let right = others.iter().filter(|one| one.wrong.is_empty());
    let fastest = right.min_by(|a, b| a.whole_s.total_cmp(&b.whole_s));
    let holds = match fastest {
        Some(fastest) => {
            let (whole, work) = (fastest.whole_s / median, fastest.work_s / median);
            write!(line, "; {whole:.0} × faster than {} ({work:.1} × its work alone)", fastest.name)?;
            whole >= 10.0
        }
        None => {
            write!(line, "; no peer is right")?;
            true
        }
    };
    Ok(Figure { text: line, holds: holds && wrong.is_empty() })
}

/// What a script prints last, and how long it took as a whole.
fn told(python: &Path, script: &Path, work: &str, of: &Path) -> Result<(String, f64)> {
    let started = Instant::now();
    let output = Command::new(python).arg(script).arg(work).arg(of).stderr(Stdio::inherit()).output()?;
    let took = started.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{work} ended with {}", output.status);
    }
    let last = text
        .lines()
        .rfind(|line| line.starts_with('{'))
        .with_context(|| format!("{work} gives no figures"))?;
    Ok((last.to_owned(), took))
}

fn peer(
    name: &'static str,
    python: &Path,
    script: &Path,
    work: &str,
    parquet: &Path,
    truth: &BTreeMap<String, Value>,
) -> Result<Peer> {
    let (said, whole_s) = told(python, script, work, parquet)?;
    let figures: BTreeMap<String, Value> = serde_json::from_str(&said)?;
    let work_s = figures.get("seconds").and_then(Value::as_f64).unwrap_or(whole_s);
    eprintln!("   {name}: {said}");
    Ok(Peer { name, whole_s, work_s, wrong: peers_differing(&figures, truth) })
}

/// It says what it counted among its words, check by check.
fn datacontract(said: &str, whole_s: f64, truth: &BTreeMap<String, Value>) -> Result<Peer> {
    eprintln!("   datacontract-cli: {said}");
    let told: Value = serde_json::from_str(said)?;
    let words = told.get("said").and_then(Value::as_object).context("datacontract says nothing")?;
    let columns = [
        ("id_repeats", "id", "duplicate_count"),
        ("price_repeats", "price", "duplicate_count"),
        ("sku_missing", "sku", "missing_count"),
        ("qty_outside", "qty", "imum of "),
        ("price_below", "price", "imum of "),
        ("country_invalid", "country", "invalid_count"),
        ("mail_invalid", "mail", "invalid_count"),
    ];
    // A range is two checks, each with its count.
    let count = |column: &str, check: &str| {
        let mine =
            words.iter().filter(|(name, _)| name.split(' ').next() == Some(column) && name.contains(check));
        let counts = mine.filter_map(|(_, said)| {
            let value = said.as_str()?.split("'value': ").nth(1)?;
            value.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        });
        counts.fold(None, |sum: Option<u64>, n| Some(sum.unwrap_or_default() + n))
    };
    let figures = columns
        .into_iter()
        .filter_map(|(figure, column, check)| Some((figure.to_owned(), Value::from(count(column, check)?))));
    let wrong = peers_differing(&figures.collect(), truth);
    let work_s = told.get("seconds").and_then(Value::as_f64).unwrap_or(whole_s);
    Ok(Peer { name: "datacontract-cli", whole_s, work_s, wrong })
}

fn differing(figures: &BTreeMap<String, Value>, truth: &BTreeMap<String, Value>) -> Vec<String> {
    let number = |of: &BTreeMap<String, Value>, name: &str| of.get(name).and_then(Value::as_f64);
    let differs = FIGURES.iter().filter(|name| number(figures, name) != number(truth, name));
    let shown = |value: Option<f64>| value.map_or("no count".to_owned(), |value| value.to_string());
    differs
        .map(|name| format!("{name} {} for {}", shown(number(figures, name)), shown(number(truth, name))))
        .collect()
}

/// A peer that counts every row of a repeated value, the first too, is right by its own words.
fn peers_differing(figures: &BTreeMap<String, Value>, truth: &BTreeMap<String, Value>) -> Vec<String> {
    let is_other_count = |name: &str| {
        let other = truth.get(&format!("{name}, first too")).and_then(Value::as_f64);
        other.is_some() && figures.get(name).and_then(Value::as_f64) == other
    };
    let mut figures = figures.clone();
    for name in FIGURES.iter().filter(|name| is_other_count(name)) {
        figures.extend(truth.get(*name).map(|count| ((*name).to_owned(), count.clone())));
    }
    differing(&figures, truth)
}

/// Our answer under the same names.
fn ours(text: &str) -> Result<BTreeMap<String, Value>> {
    let judged: Value = serde_json::from_str(text).context("`judge --json` changed")?;
    if judged.get("by_columns") != Some(&Value::Bool(true)) {
        bail!("the file was not judged by columns");
    }
    let refused = |key: &str| judged.pointer("/refused").and_then(|all| all.get(key)).cloned();
    let rule = |name: &str| {
        let all = judged.get("verdicts")?.as_array()?;
        all.iter().find(|one| one.get("rule").and_then(Value::as_str) == Some(name))?.get("figure").cloned()
    };
    let figures = [
        ("id_repeats", rule("duplicateValues of `id`")),
        ("price_repeats", rule("duplicateValues of `price`")),
        ("sku_missing", rule("nullValues of `sku`")),
        ("qty_outside", refused("MR1005 qty")),
        ("price_below", refused("MR1005 price")),
        ("country_invalid", rule("invalidValues of `country`")),
        ("mail_invalid", rule("invalidValues of `mail`")),
    ];
    Ok(figures.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn contract(folder: &Path, parquet: &Path) -> Result<PathBuf> {
    let path = folder.join("rows.yaml");
    let text = format!(
        "apiVersion: v3.1.0
kind: DataContract
id: rows
version: 1.0.0
status: active
servers: [{{server: parquet, type: local, format: parquet, path: {}}}]
schema:
  - name: rows
    properties:
      - {{name: id, logicalType: integer, required: true, quality: [{{metric: duplicateValues, mustBe: 0}}]}}
      - {{name: sku, logicalType: string, quality: [{{metric: nullValues, mustBe: 0}}]}}
      - {{name: qty, logicalType: integer, logicalTypeOptions: {{minimum: 1, maximum: 100}}}}
      - name: price
        logicalType: number
        logicalTypeOptions: {{minimum: 0}}
        quality: [{{metric: duplicateValues, mustBe: 0}}]
      - name: country
        logicalType: string
        quality: [{{metric: invalidValues, arguments: {{validValues: [DE, AT, CH]}}, mustBe: 0}}]
      - name: mail
        logicalType: string
        quality: [{{metric: invalidValues, arguments: {{pattern: '^[a-z0-9]+@[a-z]+\\.example$'}}, mustBe: 0}}]
      - {{name: at, logicalType: timestamp, required: true}}
customProperties:
  - {{property: subjectKey, value: none}}
  - {{property: subjectKind, value: product}}
",
        parquet.display()
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_judged_by_its_own_count_and_not_by_a_threshold() {
        let truth = FIGURES.map(|name| (name.to_owned(), Value::from(0)));
        let mut truth = BTreeMap::from(truth);
        truth.insert("id_repeats".to_owned(), Value::from(700));
        truth.insert("id_repeats, first too".to_owned(), Value::from(1_400));
        truth.insert("qty_outside".to_owned(), Value::from(321));
        let says = |id: u64, price: u64| {
            let check = |n: u64| format!("failed, expected = 0 {{'value': {n}, 'threshold': '= 0'}}");
            let said = serde_json::json!({"seconds": 1.0, "said": {
                "id has duplicate_count = 0": check(id), "price has duplicate_count = 0": check(price),
                "sku has missing_count = 0": check(0), "qty has a minimum of 1": check(0),
                "qty has a maximum of 100": check(321), "price has a minimum of 0": check(0),
                "country has invalid_count = 0": check(0), "mail has invalid_count = 0": check(0),
            }});
            datacontract(&said.to_string(), 2.0, &truth).unwrap().wrong
        };
        assert_eq!(says(700, 0), Vec::<String>::new());
        assert_eq!(says(1_400, 0), Vec::<String>::new());
        assert_eq!(says(700, 100_001), ["price_repeats 100001 for 0"]);
        assert_eq!(says(701, 0), ["id_repeats 701 for 700"]);
    }
}
