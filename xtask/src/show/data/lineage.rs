//! Lineage: one Complete Journey decision back to its raw rows, counted again from the source by DuckDB; a stock
//! OpenLineage client delivers; removing a field names what breaks before it is applied.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::{folder, ran};
use crate::peers;
use crate::place::Place;
use crate::served::{self, Served};
use crate::table::{Figure, Item};

const FIELD: &str = "sales_value";

/// The item.
pub const ITEM: Item = Item {
    id: "lineage",
    title: "Lineage of one Complete Journey decision to its raw rows; a removed field named before it is applied",
    bar: "every input gives its recorded value again from its records alone; every record found as a row; DuckDB counts the \
          same rows and the same sum in the source; model, use case and the dashboard of an OpenLineage client named, and \
          nothing applied",
    run,
};

#[derive(Deserialize)]
struct Trace {
    at: String,
    inputs: Vec<Input>,
    records: Vec<Raw>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    value: Option<Value>,
    reproduces: Option<bool>,
    records: Vec<String>,
}

#[derive(Deserialize)]
struct Raw {
    stream: String,
    file: Option<String>,
    row: Option<u64>,
}

fn run(place: &Place) -> Result<Figure> {
    let data = place.data().context("no data")?.join("decide");
    let binary = served::binary(place)?;
    let project = folder(place, "lineage")?.join("project");
    let mut demo = Command::new(&binary);
    demo.args(["demo", "--no-serve", "--from"]).arg(&data).arg("--dir").arg(&project);
    let said = ran(&mut demo, &[0])?;
    let decision = said
        .lines()
        .find_map(|line| line.strip_prefix("Decision ")?.split(' ').next())
        .context("the demo explains no decision")?;
    let in_project = |args: &[&str]| {
        let mut command = Command::new(&binary);
        command.arg("--project").arg(&project).args(args);
        command
    };
    let files = project.join("data-in");
    let files_arg = files.display().to_string();
    let text = ran(&mut in_project(&["--json", "lineage", decision, "--files", &files_arg]), &[0])?;
    let trace: Trace = serde_json::from_str(&text).context("`lineage --json` speaks an unknown form")?;
    let n_again = trace.inputs.iter().filter(|input| input.reproduces == Some(true)).count();
    let n_rows = trace.records.iter().filter(|record| record.row.is_some()).count();

    let (household, lines) = household(&files, &trace)?;
    let python = peers::python(place)?;
    let mut count = Command::new(&python);
    count.arg(place.root.join("bench/peers/lineage_source.py"));
    count.arg(data.join("cj_transactions_sample.parquet")).args([&household, &trace.at]);
    let source: Source = super::printed(&mut count)?;
    let spent =
        trace.inputs.iter().find(|input| input.name == "shopping.spent").context("no `shopping.spent`")?;
    let same_sum =
        spent.value.as_ref().and_then(Value::as_f64).is_some_and(|v| (v - source.spent).abs() < 0.005);
    let counted = source.lines == lines && spent.records.len() as u64 == source.lines && same_sum;

    let key = served::make_key(&binary, &project)?;
    let server = Served::start(&binary, &project, &key)?;
    let mut client = Command::new(&python);
    client.arg(place.root.join("bench/peers/lineage_openlineage.py"));
    client.arg(format!("http://{}", server.address)).arg(&key);
    let delivered = ran(&mut client, &[0]);
    server.stop()?;
    delivered?;

    let contract = project.join("contracts/transactions.yaml");
    let before = std::fs::read_to_string(&contract)?;
    let kept: Vec<&str> = before.lines().filter(|line| !line.contains(&format!("name: {FIELD},"))).collect();
    std::fs::write(&contract, kept.join("\n").replacen("version: 1.0.0", "version: 1.1.0", 1))?;
    let in_force = std::fs::read(project.join("data/composition"))?;
    let checked = ran(&mut in_project(&["check"]), &[1])?;
    let applied = in_project(&["apply"]).output()?.status.success();
    let unchanged = std::fs::read(project.join("data/composition"))? == in_force;
    std::fs::write(&contract, before)?;
    let told = checked.lines().find(|line| line.contains("MR2305")).unwrap_or_default().to_owned();
    let named = ["model redeem", "use case campaign_18"].iter().all(|name| told.contains(name));
    let outside =
        ran(&mut in_project(&["--json", "impact", "--remove", &format!("transactions.{FIELD}")]), &[1])?;
    let dashboard = outside.contains("job:superset/weekly");

    let holds = n_again == trace.inputs.len()
        && n_rows == trace.records.len()
        && !trace.records.is_empty()
        && counted
        && named
        && dashboard
        && !applied
        && unchanged;
    let n_files: BTreeSet<&str> = trace.records.iter().filter_map(|record| record.file.as_deref()).collect();
    let text = format!(
        "decision {}: {} raw records, {n_rows} found as rows of {} files, {n_again} of {} inputs given again; DuckDB finds \
         {} lines worth {:.2} of household {household} in the source, lineage {lines} worth {}; removing {FIELD}: {}; \
         dashboard told by a stock OpenLineage client {}; applied: {}",
        decision.chars().take(8).collect::<String>(),
        trace.records.len(),
        n_files.len(),
        trace.inputs.len(),
        source.lines,
        source.spent,
        spent.value.as_ref().map(ToString::to_string).unwrap_or_default(),
        told.split("breaks ").nth(1).unwrap_or("NOT NAMED"),
        if dashboard { "named" } else { "NOT NAMED" },
        if applied || !unchanged { "YES" } else { "no" }
    );
    Ok(Figure { text, holds })
}

#[derive(Deserialize)]
struct Source {
    lines: u64,
    spent: f64,
}

/// The household of the traced rows, read from the rows themselves, and how many of its lines there are.
fn household(files: &Path, trace: &Trace) -> Result<(String, u64)> {
    let rows: BTreeSet<u64> = trace
        .records
        .iter()
        .filter(|record| record.stream == "transactions")
        .filter_map(|record| record.row)
        .collect();
    let text = std::fs::read_to_string(files.join("before/transactions.ndjson"))?;
    let mut households = BTreeSet::new();
    for (number, line) in (1_u64..).zip(text.lines()) {
        if rows.contains(&number) {
            let row: Value = serde_json::from_str(line)?;
            let household = row.get("household_id").map(ToString::to_string).unwrap_or_default();
            households.insert(household.trim_matches('"').to_owned());
        }
    }
    match households.len() {
        1 => Ok((households.into_iter().next().unwrap_or_default(), rows.len() as u64)),
        n => bail!("the rows belong to {n} households"),
    }
}
