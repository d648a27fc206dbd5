//! `features`: views, values, tests, skew, and staging beside production.

use std::path::PathBuf;

use clap::Subcommand;
use event::Instant;
use house::{Finding, Project};
use serde_json::{Map, Value, json};

use super::{Ctx, identifier, operator};
use crate::out::{self, Code};

/// `features`
#[derive(Subcommand, Debug)]
pub enum Features {
    /// Every view with its features, and how far it is filled.
    List,
    /// Values of views for a person, now.
    ///
    /// Example: maschinenraum features get user_id=c00001 orders --purpose analytics
    Get {
        /// Whose: TYPE=VALUE.
        id: String,
        /// The views, by name or by name and version as `orders@2`.
        #[arg(required = true)]
        views: Vec<String>,
        /// What for.
        #[arg(long)]
        purpose: String,
        /// What a request would say, for features computed then: NAME=VALUE, as often as needed.
        #[arg(long, value_name = "NAME=VALUE")]
        context: Vec<String>,
    },
    /// Runs the tests in features/tests; exit code 1 where one fails. `check` runs them too.
    Test,
    /// What decisions were given, computed again as training would: exit code 1 where a value differs.
    Skew {
        /// The latest so many decisions.
        #[arg(long, default_value_t = 1_000)]
        most: usize,
    },
    /// This project's features beside another project's, over the same records: exit code 1 where they differ.
    ///
    /// Example: maschinenraum features compare ../staging --purpose analytics
    Compare {
        /// The other project directory.
        dir: PathBuf,
        /// What for: views that both make for it are compared.
        #[arg(long)]
        purpose: String,
        /// As of when, if not now.
        #[arg(long)]
        at: Option<String>,
        /// Only the first so many records of each partition.
        #[arg(long)]
        slice: Option<u64>,
        /// Profiles at most.
        #[arg(long, default_value_t = 100_000)]
        most: usize,
    },
}

/// Runs it.
///
/// # Errors
/// Whatever keeps it from being done.
pub fn run(ctx: &Ctx, args: &Features) -> anyhow::Result<Code> {
    match args {
        Features::List => list(ctx),
        Features::Get { id, views, purpose, context } => get(ctx, id, views, purpose, context),
        Features::Test => test(ctx),
        Features::Skew { most } => skew(ctx, *most),
        Features::Compare { dir, purpose, at, slice, most } => {
            let other = Project::load(dir)?;
            let at = at.as_deref().map(str::parse::<Instant>).transpose()?;
            let house = ctx.open()?;
            let slice: Vec<event::Position> = slice
                .map(|n| (0..house.n_partitions()).map(|_| event::Position(n)).collect())
                .unwrap_or_default();
            let compared =
                house.compare_with(&operator("features compare"), &other, purpose, at, &slice, *most)?;
            house.close();
            print_compared(ctx, &compared)?;
            Ok(if compared.is_same() { Code::Fine } else { Code::Findings })
        }
    }
}

fn list(ctx: &Ctx) -> anyhow::Result<Code> {
    let house = ctx.open_unfilled()?;
    let filling = house.filling()?;
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    for view in house.project().views.iter() {
        let left = filling.iter().find(|filling| filling.view == view.reference());
        for feature in view.features() {
            let window = match (feature.is_on_demand(), feature.calendar(), feature.window()) {
                (true, ..) => "on demand".to_owned(),
                (false, Some(calendar), _) => calendar.to_owned(),
                (false, None, Some(window)) => window.to_string(),
                (false, None, None) => "ever".to_owned(),
            };
            let state = match left {
                None => "served".to_owned(),
                Some(left) => format!("{} of {}", left.n_done, left.n_total),
            };
            all.push(json!({
                "view": view.reference(), "feature": feature.name(), "kind": feature.kind(), "window": window,
                "stream": view.stream(), "purposes": view.purposes(), "personal": view.is_personal(),
                "state": state, "description": feature.description(),
            }));
            rows.push(vec![
                format!("{}.{}", view.reference(), feature.name()),
                feature.kind().as_str().to_owned(),
                window,
                view.purposes().join(","),
                state,
            ]);
        }
    }
    if ctx.json {
        out::json(&all)?;
    } else {
        out::table(&["feature", "kind", "window", "purposes", "state"], &rows);
    }
    house.close();
    Ok(Code::Fine)
}

/// `basket=40`: a number, true or false, or a text.
fn said(pairs: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut said = Map::new();
    for pair in pairs {
        let Some((name, value)) = pair.split_once('=') else { anyhow::bail!("`{pair}` is not NAME=VALUE") };
        let value = serde_json::from_str::<Value>(value).ok().filter(|v| v.is_number() || v.is_boolean());
        let text = || Value::from(pair.split_once('=').map_or("", |(_, value)| value));
        said.insert(name.to_owned(), value.unwrap_or_else(text));
    }
    Ok(said)
}

fn get(ctx: &Ctx, id: &str, views: &[String], purpose: &str, context: &[String]) -> anyhow::Result<Code> {
    let context = feature::Context::of_json(&said(context)?);
    let house = ctx.open()?;
    let (at, found) =
        house.features_with(&operator("features get"), &identifier(id)?, purpose, views, &context)?;
    if ctx.json {
        let values: Map<String, Value> = found
            .iter()
            .map(|values| Ok((values.view().reference(), serde_json::to_value(values)?)))
            .collect::<Result<_, serde_json::Error>>()?;
        out::json(&json!({ "at": at, "values": values }))?;
    } else {
        let rows: Vec<Vec<String>> = found
            .iter()
            .flat_map(|values| {
                let view = values.view().reference();
                values.iter().map(move |(f, value)| vec![format!("{view}.{}", f.name()), value.to_string()])
            })
            .collect();
        out::table(&["feature", "value"], &rows);
        out::say(&format!("as of {at}, for {purpose}"));
    }
    house.close();
    Ok(Code::Fine)
}

fn test(ctx: &Ctx) -> anyhow::Result<Code> {
    let (project, _) = Project::read(&ctx.project)?;
    let (n_tests, n_values, findings) = project.test_features();
    if ctx.json {
        out::json(&findings)?;
    } else {
        findings.iter().for_each(|finding| out::line(&finding.to_string()));
    }
    let n_wrong = findings.iter().filter(|finding| Finding::is_error(finding)).count();
    out::say(&format!(
        "{}, {}: {}",
        out::count(n_tests, "test"),
        out::count(n_values, "value"),
        if n_wrong == 0 { "all as expected".to_owned() } else { format!("{n_wrong} wrong") }
    ));
    Ok(if n_wrong == 0 { Code::Fine } else { Code::Findings })
}

fn skew(ctx: &Ctx, most: usize) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let skew = house.skew(&operator("features skew"), most)?;
    let n_undone = house.composition().undone.len();
    house.close();
    if ctx.json {
        out::json(&skew)?;
    } else {
        let rows: Vec<Vec<String>> = skew
            .features
            .iter()
            .map(|feature| {
                let first = feature.first.map(|id| id.to_string()).unwrap_or_default();
                vec![
                    feature.feature.clone(),
                    feature.n_values.to_string(),
                    feature.n_different.to_string(),
                    first,
                ]
            })
            .collect();
        out::table(&["feature", "values", "different", "first decision"], &rows);
        out::say(&format!(
            "{} of {} values of {} differ between serving and training; {} left out",
            skew.n_different,
            skew.n_values,
            out::count(skew.n_decisions, "decision"),
            skew.n_left_out
        ));
        if skew.n_different > 0 && n_undone > 0 {
            out::say(&format!(
                "{} taken back: decisions from before were given records that are no longer there",
                if n_undone == 1 { "an import was".to_owned() } else { format!("{n_undone} imports were") }
            ));
        }
    }
    Ok(if skew.n_different == 0 { Code::Fine } else { Code::Findings })
}

fn print_compared(ctx: &Ctx, compared: &house::Compared) -> anyhow::Result<()> {
    if ctx.json {
        return out::json(compared);
    }
    let number = |value: Option<f64>| value.map(|value| format!("{value:.4}")).unwrap_or_default();
    let rows: Vec<Vec<String>> = compared
        .features
        .iter()
        .map(|feature| {
            vec![
                feature.feature.clone(),
                format!("{} → {}", feature.version_here, feature.version_there),
                feature.n_different.to_string(),
                number(feature.mean_here),
                number(feature.mean_there),
                format!("{:.4}", feature.largest),
            ]
        })
        .collect();
    out::table(&["feature", "version", "different", "mean here", "mean there", "largest"], &rows);
    for (what, names) in [("only here", &compared.only_here), ("only there", &compared.only_there)] {
        if !names.is_empty() {
            out::line(&format!("{what}: {}", names.join(", ")));
        }
    }
    out::say(&format!(
        "{} profiles, {} records, as of {}",
        compared.n_profiles,
        compared.n_records,
        compared.at.map(|at| at.to_string()).unwrap_or_default()
    ));
    Ok(())
}
