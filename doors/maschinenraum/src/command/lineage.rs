//! `lineage`, `catalogue`, `impact`: what is made from what, and what a change would break.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Context, bail};
use event::RecordId;
use house::{DecisionTrace, Layout, Project};
use lineage::catalogue::{self, Query};
use lineage::{Direction, Edge, Graph, Impact, Kind};
use serde_json::Value;

use super::{Ctx, operator};
use crate::cli::{Catalogue, ImpactArgs, Lineage};
use crate::out::{self, Code};

/// Records shown per stream, unless `--json` or `--all` asks for all.
const SHOWN: usize = 5;
/// Events sent at once.
const BATCH: usize = 100;

/// What something is made from, one decision's raw rows, or events in and out.
pub fn lineage(ctx: &Ctx, args: &Lineage) -> anyhow::Result<Code> {
    if let Some(to) = &args.emit {
        return emit(ctx, to);
    }
    if let Some(from) = &args.accept {
        return accept(ctx, from);
    }
    let Some(what) = &args.what else { return overview(ctx) };
    if let Ok(decision) = what.parse::<RecordId>() {
        return of_decision(ctx, decision, args);
    }
    let graph = graph(ctx)?;
    let node = graph.find(what).map_err(house::Error::from)?;
    let depth = args.depth.unwrap_or(usize::MAX);
    let both = args.up == args.down;
    let mut told = Vec::new();
    for (direction, wanted) in [(Direction::Up, args.up || both), (Direction::Down, args.down || both)] {
        if wanted {
            told.push((direction, graph.trace(&node.id, direction, depth)));
        }
    }
    if ctx.json {
        let edges: Vec<Vec<&Edge>> =
            told.iter().map(|(_, steps)| steps.iter().map(|step| step.edge).collect()).collect();
        out::json(&serde_json::json!({ "of": node, "ways": edges }))?;
        return Ok(Code::Fine);
    }
    let about =
        [node.version.as_ref().map(|v| format!("version {v}")), node.owner.clone(), node.file.clone()];
    let about = about.into_iter().flatten().collect::<Vec<_>>().join(", ");
    out::line(format!("{}  {about}", node.id).trim_end());
    for (direction, steps) in told {
        let (head, from) = match direction {
            Direction::Up => ("is made from", true),
            Direction::Down => ("goes into", false),
        };
        out::line(&format!("\n{head} ({}):", steps.len()));
        let rows: Vec<Vec<String>> = steps
            .iter()
            .map(|step| {
                let other = if from { &step.edge.to } else { &step.edge.from };
                vec![
                    format!("{}{}", "  ".repeat(step.depth.min(8)), step.node.id),
                    step.edge.how.as_str().to_owned(),
                    marks(step.edge),
                    if step.depth > 1 { other.to_string() } else { String::new() },
                    step.edge.via.clone().unwrap_or_default(),
                ]
            })
            .collect();
        if !rows.is_empty() {
            out::table(&["thing", "how", "marks", if from { "for" } else { "through" }, "by"], &rows);
        }
    }
    Ok(Code::Fine)
}

fn marks(edge: &Edge) -> String {
    let marks = [(edge.lossy, "lossy"), (edge.untested, "untested"), (edge.personal, "personal")];
    marks.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

/// The graph of the instance; of the project alone where there is no instance yet, or another process has it open.
fn graph(ctx: &Ctx) -> anyhow::Result<Graph> {
    let project = Project::load(&ctx.project)?;
    if !Layout::new(&project.data_dir()).exists() {
        return Ok(project.lineage().build());
    }
    match ctx.open() {
        Ok(house) => {
            let graph = house.lineage()?;
            house.close();
            Ok(graph)
        }
        Err(error) if error.chain().any(|cause| cause.to_string().contains("Locked")) => {
            out::say(
                "another process has the instance open: shown without what other tools told; its server has all",
            );
            Ok(project.lineage().build())
        }
        Err(error) => Err(error),
    }
}

fn overview(ctx: &Ctx) -> anyhow::Result<Code> {
    let graph = graph(ctx)?;
    let findings = graph.cycle_findings();
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    graph.nodes().for_each(|node| *kinds.entry(node.id.kind()).or_default() += 1);
    let count = |of: fn(&Edge) -> bool| graph.edges().iter().filter(|edge| of(edge)).count();
    let (lossy, untested) = (count(|edge| edge.lossy), count(|edge| edge.untested));
    let personal = count(|edge| edge.personal);
    if ctx.json {
        let kinds: BTreeMap<&str, usize> = kinds.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
        out::json(&serde_json::json!({
            "things": kinds, "edges": graph.edges().len(), "lossy": lossy, "untested": untested,
            "personal": personal, "findings": findings,
        }))?;
    } else {
        let rows: Vec<Vec<String>> =
            kinds.iter().map(|(kind, n)| vec![kind.words().to_owned(), n.to_string()]).collect();
        out::table(&["kind", "things"], &rows);
        out::line(&format!(
            "{} edges: {lossy} lossy, {untested} untested, {personal} carry personal data",
            graph.edges().len()
        ));
        findings.iter().for_each(|finding| out::line(&finding.to_string()));
    }
    Ok(if findings.is_empty() { Code::Fine } else { Code::Findings })
}

fn of_decision(ctx: &Ctx, decision: RecordId, args: &Lineage) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let trace = house.trace_decision(&operator("cli"), decision, args.files.as_deref())?;
    house.close();
    if ctx.json {
        out::json(&trace)?;
    } else {
        print_trace(&trace, args.all);
    }
    let all_hold = trace.inputs.iter().all(|input| input.reproduces != Some(false));
    Ok(if all_hold { Code::Fine } else { Code::Findings })
}

/// One decision, for people.
pub fn print_trace(trace: &DecisionTrace, all: bool) {
    out::line(&format!(
        "decision {} of use case {} {}, as of {}: {}",
        trace.decision, trace.use_case, trace.use_case_version, trace.at, trace.action
    ));
    for model in &trace.models {
        out::line(&format!(
            "model {} version {} ({}), registered {} by {}: dataset {} of {} rows, {}",
            model.model,
            model.version,
            model.release,
            model.registered_at,
            model.registered_by,
            model.dataset.chars().take(12).collect::<String>(),
            model.n_rows,
            model
                .features
                .iter()
                .map(|view| format!("{}@{}", view.view, view.version))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    if !trace.has_evidence {
        out::line("its evidence can no longer be opened: inputs are named without values");
    }
    let rows: Vec<Vec<String>> = trace
        .inputs
        .iter()
        .map(|input| {
            vec![
                input.name.clone(),
                input.value.as_ref().map(ToString::to_string).unwrap_or_else(|| "–".to_owned()),
                input.records.len().to_string(),
                match input.reproduces {
                    Some(true) => "yes".to_owned(),
                    Some(false) => "NO".to_owned(),
                    None => "–".to_owned(),
                },
                input.fields.join(", "),
            ]
        })
        .collect();
    out::table(&["input", "value", "records", "give it again", "fields"], &rows);
    let mut streams: BTreeMap<&str, Vec<&house::RawRecord>> = BTreeMap::new();
    trace.records.iter().for_each(|record| streams.entry(&record.stream).or_default().push(record));
    for (stream, records) in streams {
        let n_rows = records.iter().filter(|record| record.row.is_some()).count();
        out::line(&format!(
            "\n{stream}: {}, {n_rows} found in their files",
            out::count(records.len(), "raw record")
        ));
        let shown = if all { records.len() } else { SHOWN };
        let rows: Vec<Vec<String>> = records
            .iter()
            .rev()
            .take(shown)
            .map(|record| {
                vec![
                    record.record.to_string(),
                    record.occurred_at.to_string(),
                    format!("{}/{}", record.partition, record.position),
                    record.source.clone().unwrap_or_default(),
                    record.file.clone().unwrap_or_default(),
                    record.row.map(|row| row.to_string()).unwrap_or_default(),
                ]
            })
            .collect();
        out::table(&["record", "happened", "place", "source", "file", "row"], &rows);
        if records.len() > shown {
            out::line(&format!("… and {} earlier ones (--all shows them)", records.len() - shown));
        }
    }
}

/// Writes the house's events to a file, to stdout, or sends them.
fn emit(ctx: &Ctx, to: &str) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let events = house.lineage_events()?;
    house.close();
    if to.starts_with("http://") || to.starts_with("https://") {
        let base = to.trim_end_matches('/').trim_end_matches("/api/v1/lineage");
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        for event in &events {
            let mut request =
                agent.post(format!("{base}/api/v1/lineage")).header("content-type", "application/json");
            if let Ok(key) = std::env::var("OPENLINEAGE_API_KEY") {
                request = request.header("authorization", format!("Bearer {key}"));
            }
            let mut answer = request.send(serde_json::to_vec(event)?.as_slice())?;
            if !answer.status().is_success() {
                let text = answer.body_mut().read_to_string().unwrap_or_default();
                let text: String = text.chars().take(200).collect();
                bail!(
                    "{base} answers {} to the event of job {}: {text}",
                    answer.status(),
                    event.pointer("/job/name").unwrap_or(&Value::Null)
                );
            }
        }
        out::say(&format!("{} sent to {base}", out::count(events.len(), "event")));
        return Ok(Code::Fine);
    }
    let lines = events.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    if to == "-" {
        lines.iter().for_each(|line| out::line(line));
    } else {
        let mut file = std::fs::File::create(to).with_context(|| format!("cannot write `{to}`"))?;
        for line in &lines {
            writeln!(file, "{line}")?;
        }
        out::say(&format!("wrote {} to {to}", out::count(lines.len(), "event")));
    }
    Ok(Code::Fine)
}

/// Takes events from a file of lines.
fn accept(ctx: &Ctx, from: &Path) -> anyhow::Result<Code> {
    let file = std::fs::File::open(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    let house = ctx.open()?;
    let (mut n_taken, mut n_refused, mut waiting) = (0_usize, 0_usize, Vec::new());
    let mut flush = |waiting: &mut Vec<(usize, Value)>| -> anyhow::Result<()> {
        let events: Vec<Value> = waiting.iter().map(|(_, event)| event.clone()).collect();
        for ((line, _), result) in waiting.drain(..).zip(house.tell_lineage(&events)?) {
            match result {
                Ok(_) => n_taken += 1,
                Err(error) => {
                    n_refused += 1;
                    out::line(&format!("{}:{line}: error {}: {error}", from.display(), error.code()));
                }
            }
        }
        Ok(())
    };
    for (at, line) in std::io::BufReader::new(file).lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        // What is no JSON is no event, and is told so with the others.
        waiting.push((at + 1, serde_json::from_str(&line).unwrap_or(Value::Null)));
        if waiting.len() >= BATCH {
            flush(&mut waiting)?;
        }
    }
    flush(&mut waiting)?;
    house.close();
    out::say(&format!("{} taken, {n_refused} refused", out::count(n_taken, "event")));
    Ok(if n_refused > 0 { Code::Findings } else { Code::Fine })
}

/// Searches everything that has a name.
pub fn catalogue(ctx: &Ctx, args: &Catalogue) -> anyhow::Result<Code> {
    let kind = args.kind.as_deref().map(str::parse).transpose().map_err(anyhow::Error::msg)?;
    let query = Query {
        text: args.text.join(" "),
        owner: args.owner.clone(),
        purpose: args.purpose.clone(),
        field: args.field.clone(),
        kind,
        personal: args.personal,
        untested: args.untested,
    };
    let graph = graph(ctx)?;
    let found = catalogue::search(&graph, &query);
    if ctx.json {
        out::json(&found)?;
    } else {
        let rows: Vec<Vec<String>> = found
            .iter()
            .map(|found| {
                let node = found.node;
                let text = node.description.as_deref().unwrap_or_default();
                vec![
                    node.id.to_string(),
                    node.type_name.clone().unwrap_or_default(),
                    node.owner.clone().unwrap_or_default(),
                    node.purposes.join(","),
                    if node.personal { "personal".to_owned() } else { String::new() },
                    if node.tested_by.is_none() { "untested".to_owned() } else { String::new() },
                    found.n_down.to_string(),
                    text.lines().next().unwrap_or_default().chars().take(60).collect(),
                ]
            })
            .collect();
        out::table(&["thing", "type", "owner", "purposes", "", "", "used by", "about"], &rows);
    }
    out::say(&format!("{} found", found.len()));
    Ok(if found.is_empty() { Code::Findings } else { Code::Fine })
}

/// What a change would break, before it is made.
pub fn impact(ctx: &Ctx, args: &ImpactArgs) -> anyhow::Result<Code> {
    let mut impact = Impact::default();
    let mut findings = Vec::new();
    if !args.remove.is_empty() {
        let told = house::what_if(&graph(ctx)?, &args.remove)?;
        findings.extend(told.findings("", None));
        impact.hits.extend(told.hits);
    }
    if args.remove.is_empty() || args.against.is_some() {
        let (project, broken) = Project::read(&ctx.project)?;
        let changes = match &args.against {
            Some(other) => {
                let in_force = Project::load(other)?.contracts;
                let graph = project.lineage_under(&in_force).build();
                project.changes(&in_force, &graph)
            }
            None => project.changes_to_come()?,
        };
        for change in &changes {
            findings.extend(change.findings.iter().cloned());
            impact.hits.extend(change.impact.hits.iter().cloned());
        }
        if changes.is_empty() {
            out::say("no contract differs from the one in force");
        }
        let n = broken.iter().filter(|finding| finding.is_error()).count();
        if n > 0 {
            out::say(&format!("the project as it is has {}; `check` lists them", out::count(n, "error")));
        }
    }
    if ctx.json {
        out::json(&impact)?;
    } else {
        findings.iter().for_each(|finding| out::line(&finding.to_string()));
        let rows: Vec<Vec<String>> = impact
            .hits
            .iter()
            .map(|hit| {
                vec![
                    if hit.breaks { "breaks" } else { "may change" }.to_owned(),
                    hit.node.to_string(),
                    hit.owner.clone().unwrap_or_default(),
                    hit.path.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → "),
                ]
            })
            .collect();
        if !rows.is_empty() {
            out::table(&["", "thing", "owner", "way"], &rows);
        }
    }
    Ok(if impact.breaks() { Code::Findings } else { Code::Fine })
}
