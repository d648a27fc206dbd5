//! Rules as ODCS files write them.

use serde_json::Value;

use super::{Bound, Comparison, Metric, Rule, Unit};
use crate::Severity;
use crate::model::Path;
use crate::odcs::property;
use crate::odcs::reading::{Reading, codes};
use crate::yaml::{self, Node};

/// A bound made of one number.
type OfOne = fn(f64) -> Bound;
/// A bound made of two.
type OfTwo = fn(f64, f64) -> Bound;

/// The engine under whose name our own comparisons stand.
const OWN_ENGINE: &str = "maschinenraum";

/// A rule of a property; `None` where it is for another tool or wrong, which is then a finding.
pub(crate) fn on_field(node: &Node, path: &str, reading: &mut Reading<'_>) -> Option<Rule> {
    read(node, Some(path), reading)
}

/// A rule of a schema object.
pub(crate) fn on_rows(node: &Node, reading: &mut Reading<'_>) -> Option<Rule> {
    read(node, None, reading)
}

fn read(node: &Node, path: Option<&str>, reading: &mut Reading<'_>) -> Option<Rule> {
    let text = |key: &str| node.get(key).and_then(Node::scalar);
    let metric = text("metric").or_else(|| text("rule"));
    let kind =
        text("type").unwrap_or_else(|| if metric.is_some() { "library".into() } else { "text".into() });
    let mut other = |why: String| {
        reading.push(codes::NOT_PER_RECORD, Severity::Info, path, node.line, why);
    };
    let metric = match (kind.as_str(), metric) {
        ("library", Some(metric)) => library(&metric, node, path, reading)?,
        ("custom", _) if text("engine").as_deref() == Some(OWN_ENGINE) => custom(node, path, reading)?,
        ("custom", _) => {
            let engine = text("engine").unwrap_or_default();
            other(format!("a quality rule for `{engine}` is not run here"));
            return None;
        }
        ("sql", _) => {
            other(
                "a quality rule in SQL is not run here; `type: custom` with `engine: maschinenraum` compares fields"
                    .into(),
            );
            return None;
        }
        _ => {
            other("a quality rule in words is for people; nothing is checked".into());
            return None;
        }
    };
    let percent = text("unit").is_some_and(|unit| unit.eq_ignore_ascii_case("percent") || unit == "%");
    let bound = bound(node, reading)?;
    let place = path.map_or_else(|| "rows".to_owned(), |path| format!("`{path}`"));
    let name = text("name")
        .or_else(|| text("description"))
        .unwrap_or_else(|| format!("{} of {place}", metric.as_str()));
    Some(Rule {
        name,
        metric,
        unit: if percent { Unit::Percent } else { Unit::Rows },
        bound,
        dimension: text("dimension"),
        is_warning: text("severity")
            .is_some_and(|word| matches!(word.to_lowercase().as_str(), "warning" | "info")),
        line: node.line,
    })
}

fn library(metric: &str, node: &Node, path: Option<&str>, reading: &mut Reading<'_>) -> Option<Metric> {
    let arguments = node.get("arguments");
    let argument = |key: &str| arguments.and_then(|arguments| arguments.get(key));
    let list = |key: &str| -> Vec<Value> {
        argument(key).map(|values| values.items().iter().map(Node::json).collect()).unwrap_or_default()
    };
    let field = |reading: &mut Reading<'_>| {
        let found = path.map(Path::new);
        if found.is_none() {
            reading.error(codes::RULE, node.line, format!("metric `{metric}` belongs to a property"));
        }
        found
    };
    match metric {
        "rowCount" => Some(Metric::Rows),
        "nullValues" => field(reading).map(Metric::Null),
        "missingValues" => {
            let stands_for_none = list("missingValues");
            let given =
                if argument("missingValues").is_some() { stands_for_none } else { vec![Value::from("")] };
            field(reading).map(|field| Metric::Missing(field, given))
        }
        "invalidValues" => {
            let pattern = match argument("pattern") {
                Some(node) => {
                    let text = reading.text(node, "`pattern`")?;
                    Some(property::pattern(&text, node.line, "`pattern` of a quality rule", reading)?)
                }
                None => None,
            };
            let valid = list("validValues");
            if valid.is_empty() && pattern.is_none() {
                let message = "metric `invalidValues` needs `arguments` with `validValues` or `pattern`";
                reading.error(codes::RULE, node.line, message.to_owned());
                return None;
            }
            field(reading).map(|field| Metric::Invalid { field, valid, pattern })
        }
        "duplicateValues" => {
            let columns: Vec<Path> = argument("properties")
                .or_else(|| argument("columns"))
                .map(|names| {
                    names.items().iter().filter_map(Node::scalar).map(|name| Path::new(&name)).collect()
                })
                .unwrap_or_default();
            if columns.is_empty() {
                return field(reading).map(|field| Metric::Duplicate(vec![field]));
            }
            Some(Metric::Duplicate(columns))
        }
        other => {
            let known = "nullValues, missingValues, invalidValues, duplicateValues, rowCount";
            reading.error(codes::RULE, node.line, format!("there is no metric `{other}`; known: {known}"));
            None
        }
    }
}

fn custom(node: &Node, path: Option<&str>, reading: &mut Reading<'_>) -> Option<Metric> {
    let written = node.get("implementation").and_then(Node::scalar).unwrap_or_default();
    match Comparison::parse(&written) {
        Ok(comparison) => Some(Metric::Breaking(comparison)),
        Err(why) => {
            let message = format!("the rule `{written}` cannot be read: {why}");
            reading.push(codes::RULE, Severity::Error, path, node.line, message);
            None
        }
    }
}

/// The one comparison a rule must have.
fn bound(node: &Node, reading: &mut Reading<'_>) -> Option<Bound> {
    let number = |key: &str| node.get(key).map(|value| (value.line, value.json().as_f64()));
    let one: [(&str, OfOne); 6] = [
        ("mustBe", Bound::MustBe),
        ("mustNotBe", Bound::MustNotBe),
        ("mustBeGreaterThan", Bound::MustBeGreaterThan),
        ("mustBeGreaterOrEqualTo", Bound::MustBeGreaterOrEqualTo),
        ("mustBeLessThan", Bound::MustBeLessThan),
        ("mustBeLessOrEqualTo", Bound::MustBeLessOrEqualTo),
    ];
    let two: [(&str, OfTwo); 2] =
        [("mustBeBetween", Bound::MustBeBetween), ("mustNotBeBetween", Bound::MustNotBeBetween)];
    let mut found = Vec::new();
    for (key, make) in one {
        match number(key) {
            Some((_, Some(n))) => found.push(make(n)),
            Some((line, None)) => reading.error(codes::RULE, line, format!("`{key}` must be a number")),
            None => {}
        }
    }
    for (key, make) in two {
        let Some(ends) = node.get(key) else { continue };
        let numbers: Vec<f64> = ends.items().iter().filter_map(|end| end.json().as_f64()).collect();
        match numbers.as_slice() {
            [low, high] if low < high && matches!(ends.kind, yaml::Kind::List(_)) => {
                found.push(make(*low, *high))
            }
            _ => {
                let message = format!("`{key}` must be two numbers, the smaller first");
                reading.error(codes::RULE, ends.line, message);
            }
        }
    }
    match found.as_slice() {
        [bound] => Some(*bound),
        [] => {
            reading.error(
                codes::RULE,
                node.line,
                "a quality rule needs one of mustBe, mustBeLessThan, …".into(),
            );
            None
        }
        _ => {
            reading.error(codes::RULE, node.line, "a quality rule has one comparison, not several".into());
            None
        }
    }
}
