//! Columns and rows say the same, whatever is in them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::Contract;

const CONTRACT: &str = "
apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
schema:
  - name: t
    quality: [{metric: rowCount, mustBeGreaterThan: 3}]
    properties:
      - {name: id, logicalType: integer, required: true, logicalTypeOptions: {minimum: -5, exclusiveMaximum: 20}, quality: [{metric: duplicateValues, mustBe: 0}]}
      - {name: n, logicalType: integer, quality: [{metric: invalidValues, arguments: {validValues: [1, 2, 3]}, mustBeLessThan: 3}, {metric: missingValues, arguments: {missingValues: [7]}, mustBe: 0}]}
      - {name: x, logicalType: number, logicalTypeOptions: {minimum: 0, maximum: 3.5}, quality: [{metric: duplicateValues, mustBe: 0}, {metric: nullValues, mustBe: 0, unit: percent}]}
      - {name: money, logicalType: number, customProperties: [{property: scale, value: 2}]}
      - {name: flag, logicalType: boolean, quality: [{metric: nullValues, mustBeLessThan: 3}]}
      - {name: kind, logicalType: string, quality: [{metric: invalidValues, arguments: {validValues: [a, b]}, mustBe: 0}]}
      - {name: code, logicalType: string, logicalTypeOptions: {pattern: '^[a-zé]+$', minLength: 2, maxLength: 3}, quality: [{metric: duplicateValues, mustBe: 0}, {metric: missingValues, mustBe: 0}]}
      - {name: who, logicalType: string, classification: personal, logicalTypeOptions: {format: email}, customProperties: [{property: identifier, value: email}]}
      - {name: at, logicalType: timestamp, logicalTypeOptions: {minimum: '2026-01-01T00:00:00Z'}, quality: [{metric: duplicateValues, mustBe: 0}]}
customProperties:
  - {property: subjectKey, value: [who]}
  - {property: eventTime, value: at}
";

#[derive(Clone, Debug)]
struct Row {
    id: Option<i64>,
    n: Option<i64>,
    x: Option<f64>,
    money: Option<f64>,
    flag: Option<bool>,
    kind: Option<String>,
    code: Option<String>,
    who: Option<String>,
    at: Option<i64>,
}

fn row() -> impl Strategy<Value = Row> {
    let text = |words: &'static [&'static str]| {
        prop::option::of(prop::sample::select(words).prop_map(str::to_owned))
    };
    let numbers =
        prop::sample::select(vec![0.0, -0.0, 1.0, 1.5, 2.25, 9.0, -1.0, 3.5, f64::NAN, f64::INFINITY, 1e300]);
    let times = prop::sample::select(vec![
        1_767_225_600_000_000_i64,
        1_767_225_600_000_001,
        5,
        i64::MAX,
        -9_000_000_000_000_000,
    ]);
    (
        prop::option::of(-7..22_i64),
        prop::option::of(0..9_i64),
        prop::option::of(numbers.clone()),
        prop::option::of(prop::sample::select(vec![1.25, 1.255, 7.0, -0.01])),
        prop::option::of(any::<bool>()),
        text(&["a", "b", "c", ""]),
        text(&["ab", "abc", "abcd", "a", "éé", "é", "A1", ""]),
        text(&["a@b.de", "b@c.de", "nobody", "", "@", "null"]),
        prop::option::of(times),
    )
        .prop_map(|(id, n, x, money, flag, kind, code, who, at)| Row {
            id,
            n,
            x,
            money,
            flag,
            kind,
            code,
            who,
            at,
        })
}

/// As the reader of Parquet makes rows of it.
fn raw(row: &Row) -> Value {
    let double = |n: f64| match n {
        n if n.is_infinite() => Value::from(if n > 0.0 { "Infinity" } else { "-Infinity" }),
        n => Value::from(n),
    };
    let members = [
        ("id", row.id.map(Value::from)),
        ("n", row.n.map(Value::from)),
        ("x", row.x.map(double)),
        ("money", row.money.map(double)),
        ("flag", row.flag.map(Value::from)),
        ("kind", row.kind.clone().map(Value::from)),
        ("code", row.code.clone().map(Value::from)),
        ("who", row.who.clone().map(Value::from)),
        ("at", row.at.map(|at| Value::from(event::Instant::from_micros(at).to_string()))),
    ];
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value.unwrap_or_default()));
    Value::Object(members.collect::<Map<_, _>>())
}

type Told = (Vec<Verdict>, BTreeMap<(String, String), u64>, u64);

fn by_rows(contract: &Contract, rows: &[Row]) -> Told {
    let mut judge = Judge::new(contract);
    let (mut refused, mut n_refused) = (BTreeMap::new(), 0);
    for row in rows {
        let raw = raw(row);
        let bound = contract.bind(&raw);
        judge.take(&bound);
        let found = contract.judge(&raw, &bound);
        let why: BTreeSet<_> = found
            .iter()
            .filter(|one| one.is_error())
            .map(|one| (one.code.to_owned(), one.field.clone().unwrap_or_default()))
            .collect();
        n_refused += u64::from(!why.is_empty());
        why.into_iter().for_each(|why| *refused.entry(why).or_default() += 1);
    }
    (judge.verdicts(), refused, n_refused)
}

fn by_columns(contract: &Contract, rows: &[Row], chunk: usize) -> Told {
    let kind = |name: &str| match name {
        "id" | "n" => Some(ColumnKind::Ints),
        "x" | "money" => Some(ColumnKind::Doubles),
        "flag" => Some(ColumnKind::Bools),
        "at" => Some(ColumnKind::Micros),
        _ => Some(ColumnKind::Texts),
    };
    let judges = contract.column_judges(kind, rows.len()).unwrap();
    let (mut counts, mut refused, mut bad) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for (name, mut judge) in judges {
        let mut first = 0;
        for rows in rows.chunks(chunk) {
            take(&name, rows, first, &mut judge);
            first += rows.len() as u64;
        }
        counts.extend(judge.told.counts);
        judge.told.refused.into_iter().for_each(|(why, n)| *refused.entry(why).or_default() += n);
        bad.extend(judge.told.bad_rows);
    }
    let verdict = |(at, rule): (usize, &Rule)| {
        let n = if matches!(rule.metric, Metric::Rows) { Some(rows.len() as u64) } else { counts[&at] };
        Verdict::of(rule, contract.version, n, rows.len() as u64)
    };
    (contract.rules.iter().enumerate().map(verdict).collect(), refused, bad.len() as u64)
}

fn take(name: &str, rows: &[Row], first: u64, judge: &mut ColumnJudge<'_>) {
    fn values<T>(rows: &[Row], of: impl Fn(&Row) -> Option<T>) -> (Vec<bool>, Vec<T>) {
        (rows.iter().map(|row| of(row).is_some()).collect(), rows.iter().filter_map(of).collect())
    }
    let mut give = |there: &[bool], values: Values<'_>| {
        let lacks = there.iter().any(|there| !there);
        judge.take(first, rows.len(), lacks.then_some(there), values);
    };
    match name {
        "id" | "n" => {
            let (there, all) = values(rows, |row| if name == "id" { row.id } else { row.n });
            give(&there, Values::Ints(&all));
        }
        "x" | "money" => {
            let (there, all) = values(rows, |row| if name == "x" { row.x } else { row.money });
            give(&there, Values::Doubles(&all));
        }
        "flag" => {
            let (there, all) = values(rows, |row| row.flag);
            give(&there, Values::Bools(&all));
        }
        "at" => {
            let (there, all) = values(rows, |row| row.at);
            give(&there, Values::Micros(&all));
        }
        _ => {
            let (there, all) = values(rows, |row| match name {
                "kind" => row.kind.clone(),
                "code" => row.code.clone(),
                _ => row.who.clone(),
            });
            let texts: Vec<&str> = all.iter().map(String::as_str).collect();
            give(&there, Values::Texts(&texts));
        }
    }
}

proptest! {
    #[test]
    fn columns_and_rows_say_the_same(rows in prop::collection::vec(row(), 0..40), chunk in 1..15_usize) {
        let parsed = Contract::parse(CONTRACT, "t.yaml").unwrap();
        let (columns, rows) = (by_columns(&parsed.contract, &rows, chunk), by_rows(&parsed.contract, &rows));
        prop_assert_eq!(columns, rows);
    }
}

#[test]
fn what_looks_at_several_fields_needs_rows() {
    let any = |_: &str| Some(ColumnKind::Texts);
    let with = |rule: &str| {
        let yaml = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nschema:\n  - name: t\n    quality: [{rule}]\n    \
             properties: [{{name: a, logicalType: string}}, {{name: b, logicalType: string}}]\n\
             customProperties: [{{property: subjectKey, value: none}}]\n"
        );
        Contract::parse(&yaml, "t.yaml").unwrap().contract.column_judges(any, 1).is_some()
    };
    assert!(with("{metric: rowCount, mustBe: 1}"));
    assert!(!with("{metric: duplicateValues, arguments: {properties: [a, b]}, mustBe: 0}"));
    assert!(!with("{type: custom, engine: maschinenraum, implementation: 'a <= b', mustBe: 0}"));
}
