//! A plain computation over all rows there ever were. It shares nothing with the house but the words of a feature.

use std::collections::BTreeSet;

use event::Span;
use serde_json::Value as Json;

use super::Value;
use super::rows::Row;

/// Which rows may be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Those that were known then.
    Then,
    /// All that had happened: the mutant that trains on what nobody knew.
    Ever,
}

/// A view's values at an instant, by feature, over rows of these people.
pub fn brute_force(
    features: &[Json],
    rows: &[&Row],
    people: &[(&str, String)],
    at: i64,
    known: Known,
) -> Vec<Value> {
    let is_one_of_them =
        |row: &Row| people.iter().any(|(kind, value)| row.kind == *kind && row.value == *value);
    let mut seen: Vec<&Row> = rows
        .iter()
        .copied()
        .filter(|row| row.at <= at && (row.known <= at || known == Known::Ever) && is_one_of_them(row))
        .collect();
    seen.sort_by_key(|row| (row.at, row.known));
    let mut values: Vec<Value> = Vec::new();
    for feature in features {
        let value = match feature["agg"].as_str().unwrap() {
            "ratio" => ratio(features, feature, &values),
            agg => of_rows(agg, feature, &seen, at),
        };
        values.push(match (value, &feature["default"]) {
            (Some(value), _) => value,
            (None, Json::Null) => Value::Missing,
            (None, Json::String(text)) => Value::Text(text.clone()),
            (None, number) => Value::Number(number.as_f64().unwrap()),
        });
    }
    values
}

fn ratio(features: &[Json], feature: &Json, values: &[Value]) -> Option<Value> {
    let of = |part: &str| {
        let at = features.iter().position(|other| other["name"] == feature[part]).unwrap();
        match values[at] {
            Value::Number(number) => Some(number),
            _ => None,
        }
    };
    let (numerator, denominator) = (of("numerator")?, of("denominator")?);
    (denominator != 0.0).then(|| Value::Number(numerator / denominator))
}

fn passes(filter: &Json, row: &Row) -> bool {
    match filter.as_str() {
        None => true,
        Some("quantity > 0 and price > 0") => row.quantity > 0 && row.price > 0.0,
        Some("quantity < 0") => row.quantity < 0,
        Some("quantity > 1") => row.quantity > 1,
        Some("not country == 'United Kingdom'") => row.country != "United Kingdom",
        Some("not country == '367'") => row.country != "367",
        Some(other) => panic!("no brute force for `{other}`"),
    }
}

fn micros(span: &Json) -> Option<i64> {
    span.as_str().map(|text| text.parse::<Span>().unwrap().micros())
}

fn field(row: &Row, name: &str) -> Option<Value> {
    Some(match name {
        "row" => Value::Number(row.row as f64),
        "quantity" => Value::Number(row.quantity as f64),
        "price" => Value::Number(row.price),
        "stock" => Value::Text(row.stock.clone()),
        "country" => Value::Text(row.country.clone()),
        "note" => Value::Text(row.note.clone()?),
        other => panic!("no field `{other}`"),
    })
}

fn of_rows(agg: &str, feature: &Json, seen: &[&Row], at: i64) -> Option<Value> {
    let after = micros(&feature["window"]).map_or(i64::MIN, |window| at - window);
    let rows: Vec<&Row> =
        seen.iter().copied().filter(|row| row.at > after && passes(&feature["where"], row)).collect();
    let of = feature["of"].as_str();
    let values: Vec<Value> = of.iter().flat_map(|of| rows.iter().filter_map(|row| field(row, of))).collect();
    let numbers: Vec<f64> = values
        .iter()
        .filter_map(|value| if let Value::Number(n) = value { Some(*n) } else { None })
        .collect();
    let number = |n: usize| Some(Value::Number(n as f64));
    // Cents and whole numbers stay whole; other prices are counted in tenths of a cent, as far as they go.
    let factor = if feature["scale"] == 2 { 100.0 } else { 1_000.0 };
    let sum = || numbers.iter().map(|n| (n * factor).round() as i64).sum::<i64>() as f64 / factor;
    match agg {
        "count" => number(rows.len()),
        "sum" => Some(Value::Number(sum())),
        "mean" => (!numbers.is_empty()).then(|| Value::Number(sum() / numbers.len() as f64)),
        "min" => numbers.iter().copied().reduce(f64::min).map(Value::Number),
        "max" => numbers.iter().copied().reduce(f64::max).map(Value::Number),
        "last" => values.last().cloned(),
        "first" => values.first().cloned(),
        "distinct" => number(values.iter().map(|value| format!("{value:?}")).collect::<BTreeSet<_>>().len()),
        "time_since" => {
            let unit = match feature["unit"].as_str() {
                Some("days") => 86_400e6,
                Some("hours") => 3_600e6,
                _ => 1e6,
            };
            rows.last().map(|row| Value::Number((at - row.at) as f64 / unit))
        }
        "decayed_sum" => {
            let half_life = micros(&feature["half_life"]).unwrap() as f64;
            let term = |row: &&Row| row.price * (-((at - row.at) as f64) / half_life).exp2();
            Some(Value::Number(rows.iter().map(term).sum()))
        }
        other => panic!("no brute force for `{other}`"),
    }
}
