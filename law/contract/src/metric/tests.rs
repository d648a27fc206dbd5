//! Each metric on rows small enough to count by hand.

use serde_json::json;

use super::*;
use crate::Contract;

fn contract(rules: &str, on_rows: &str) -> crate::Parsed {
    let yaml = format!(
        "apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
schema:
  - name: t
    quality: [{on_rows}]
    properties:
      - {{ name: x, logicalType: number, classification: internal, quality: [{rules}] }}
      - {{ name: kind, logicalType: string, classification: internal }}
      - {{ name: a, logicalType: timestamp, classification: internal }}
      - {{ name: b, logicalType: timestamp, classification: internal }}
"
    );
    Contract::parse(&yaml, "t.yaml").unwrap()
}

fn rows() -> Vec<Value> {
    vec![
        json!({"x": 1, "kind": "a", "a": "2026-01-01T10:00:00+01:00", "b": "2026-01-01T09:30:00Z"}),
        json!({"x": 1.0, "kind": "b", "a": "2026-01-02T00:00:00Z", "b": "2026-01-01T00:00:00Z"}),
        json!({"x": 1.004, "kind": "a"}),
        json!({"x": 1.001, "kind": ""}),
        json!({"x": null, "kind": "n/a"}),
        json!({"kind": "a", "x": 7}),
        json!({"kind": "c"}),
        json!({"x": 7, "kind": null}),
    ]
}

fn judged(parsed: &crate::Parsed) -> Vec<Verdict> {
    let mut judge = Judge::new(&parsed.contract);
    rows().iter().for_each(|row| judge.take(row));
    judge.verdicts()
}

fn check(rules: &str, on_rows: &str, figure: f64, holds: bool) {
    let parsed = contract(rules, on_rows);
    let verdicts = judged(&parsed);
    let [verdict] = verdicts.as_slice() else { panic!("{verdicts:?} {:?}", parsed.findings) };
    assert_eq!((verdict.figure, verdict.holds), (Some(figure), holds), "{verdict:?}");
}

#[test]
fn each_metric_counts_what_it_says() {
    check("{metric: nullValues, mustBe: 2}", "", 2.0, true);
    check("{metric: nullValues, mustBeLessThan: 25, unit: percent}", "", 25.0, false);
    check("{metric: missingValues, arguments: {missingValues: [7]}, mustBeLessOrEqualTo: 4}", "", 4.0, true);
    check("{metric: invalidValues, arguments: {validValues: [1, 7]}, mustBe: 2}", "", 2.0, true);
    // 1 and 1.0 are one value, 1.004 and 1.001 are others: nothing is rounded. 7 comes twice.
    check("{metric: duplicateValues, mustBe: 2}", "", 2.0, true);
    check("", "{metric: duplicateValues, arguments: {properties: [x, kind]}, mustBe: 0}", 0.0, true);
    check("", "{metric: rowCount, mustBeBetween: [8, 10]}", 8.0, true);
    check("", "{metric: rowCount, mustNotBeBetween: [8, 10]}", 8.0, true);
    check("", "{metric: rowCount, mustBeGreaterThan: 8}", 8.0, false);
}

#[test]
fn rules_without_sql_compare_fields() {
    let rule = |text: &str| {
        format!("{{type: custom, engine: maschinenraum, implementation: \"{text}\", mustBe: 0}}")
    };
    // Row 1 is in order as times and not as texts; row 2 is not; the others lack a time.
    check("", &rule("a <= b"), 1.0, false);
    check("", &rule("x >= 1 and kind != ''"), 1.0, false);
    check("", &rule("kind != 'x and y'"), 0.0, true);
    for (text, why) in [
        ("x", "compares nothing"),
        ("x >", "no field"),
        ("x = 'a", "not closed"),
        ("x; drop = 1", "no field"),
        ("y = 1", "`y`, which is not there"),
    ] {
        let parsed = contract("", &rule(text));
        let said: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|line| line.contains(why) && line.contains("error")), "{text}: {said:?}");
        assert!(parsed.contract.rules.is_empty());
    }
}

#[test]
fn a_rule_that_cannot_be_judged_says_why() {
    for (rule, why) in [
        ("{metric: nullValues}", "needs one of mustBe"),
        ("{metric: nullValues, mustBe: 0, mustBeLessThan: 3}", "has one comparison, not several"),
        ("{metric: nullValues, mustBeBetween: [5, 1]}", "the smaller first"),
        ("{metric: nullValues, mustBe: none}", "must be a number"),
        ("{metric: nulls, mustBe: 0}", "there is no metric `nulls`"),
        ("{metric: invalidValues, mustBe: 0}", "needs `arguments`"),
        ("{type: sql, query: select 1, mustBe: 0}", "in SQL is not run here"),
        ("{type: custom, engine: soda, implementation: x}", "for `soda` is not run here"),
        ("{type: text, description: be good}", "for people"),
    ] {
        let said: Vec<String> = contract(rule, "").findings.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|line| line.contains(why)), "{rule}: {said:?}");
    }
    let percent_of_none = contract("{metric: nullValues, unit: percent, mustBe: 0}", "");
    assert_eq!(Judge::new(&percent_of_none.contract).verdicts()[0].figure, Some(0.0));
}
