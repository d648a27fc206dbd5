//! ODCS quality rules: those that one record alone can break are enforced on each, and all are counted over many.

use serde_json::Value;

use super::property;
use super::reading::{Reading, codes};
use crate::model::{Field, Kind};
use crate::yaml::{self, Node};
use crate::{Severity, metric};

/// The quality rules of a property.
pub(super) fn rules(node: &Node, path: &str, field: &mut Field, reading: &mut Reading<'_>) {
    for rule in node.get("quality").map(Node::items).unwrap_or_default() {
        let metric = rule.get("metric").or_else(|| rule.get("rule")).and_then(Node::scalar);
        // "None of the values" is a rule about each value; "5 percent of them" is one about the whole.
        let for_each = rule.get("mustBe").is_some_and(|n| matches!(n.kind, yaml::Kind::Int(0)));
        match metric.as_deref() {
            Some("nullValues") if for_each => field.required = true,
            Some("duplicateValues") if for_each => field.unique = true,
            Some("missingValues") if for_each => {
                field.required = true;
                if let Some(values) = rule.get("arguments").and_then(|a| a.get("missingValues")) {
                    field.rules.missing = values.items().iter().map(Node::json).collect();
                }
            }
            Some("invalidValues") if for_each => {
                let arguments = rule.get("arguments");
                if let Some(values) = arguments.and_then(|a| a.get("validValues")) {
                    allowed(values, field, reading);
                }
                if let Some(node) = arguments.and_then(|a| a.get("pattern"))
                    && let Some(text) = reading.text(node, "`pattern`")
                {
                    let what = format!("`pattern` of `{}`", field.name);
                    field.rules.pattern = property::pattern(&text, node.line, &what, reading);
                }
            }
            _ => {}
        }
        // Counted over many records too: what each record is held to may be mended later.
        let counted = metric::on_field(rule, path, reading);
        reading.rules.extend(counted);
    }
}

/// The values a field may have; they must be of its type.
pub(super) fn allowed(node: &Node, field: &mut Field, reading: &mut Reading<'_>) {
    if !matches!(node.kind, yaml::Kind::List(_)) {
        return reading.shape(node, "the list of allowed values", "a list");
    }
    let mut values = Vec::new();
    for item in node.items() {
        match fitting(item, &field.kind) {
            Some(value) => values.push(value),
            // Null among the allowed values says what `required: false` says.
            None if item.is_null() => {}
            None => {
                let message = format!(
                    "allowed value {} of `{}` is not of the type `{}`",
                    item.shown(),
                    field.name,
                    field.kind.as_str()
                );
                reading.push(codes::RULE, Severity::Error, Some(&field.name), item.line, message);
            }
        }
    }
    field.rules.allowed = values;
}

fn fitting(item: &Node, kind: &Kind) -> Option<Value> {
    let value = item.json();
    match kind {
        Kind::Text | Kind::Date | Kind::Timestamp | Kind::Time => item.scalar().map(Value::String),
        Kind::Integer => value.is_i64().then_some(value),
        Kind::Number => value.is_number().then_some(value),
        Kind::Boolean => value.is_boolean().then_some(value),
        Kind::Any => Some(value),
        Kind::Object(_) | Kind::Array(_) => None,
    }
}
