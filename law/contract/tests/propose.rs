//! Proposals: they parse, they accept their sample, and they guess what a person would.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use contract::{Contract, Finding, propose, propose_in_order};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Parses the proposal and judges the sample by it.
fn accepted(name: &str, sample: &[Value]) -> Contract {
    let yaml = propose(name, sample);
    let parsed = Contract::parse(&yaml, "proposed.yaml").unwrap_or_else(|e| panic!("{e}\n{yaml}"));
    let wrong: Vec<&Finding> = parsed.findings.iter().filter(|f| f.is_error()).collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{yaml}");
    for row in sample {
        let bound = parsed.contract.bind(row);
        let wrong: Vec<Finding> =
            parsed.contract.check(&bound).into_iter().filter(Finding::is_error).collect();
        assert!(wrong.is_empty(), "{row}\n{bound}\n{wrong:?}\n{yaml}");
    }
    parsed.contract
}

#[test]
fn a_german_shop_export() {
    let rows: Vec<Value> = (0..60)
        .map(|i| {
            json!({
                "Bestell-Nr": format!("B{i:04}"),
                "Kunden-Nr.": if i % 20 == 7 { Value::Null } else { json!(format!("{:05}", i % 13)) },
                "E-Mail": format!("kunde{}@example.de", i % 13),
                "Bestelldatum": format!("{:02}.03.2026", i % 28 + 1),
                "Betrag": format!("{},{:02}", 1 + i * 17, i % 100),
                "Menge": (i % 5 + 1).to_string(),
                "Land": (["DE", "AT", "CH"][i % 3]),
                "Geburtsdatum": "1980-01-01",
                "Gutschein": if i % 2 == 0 { "ja" } else { "nein" },
                "Bemerkung": "",
            })
        })
        .collect();
    let contract = accepted("bestellungen", &rows);
    let columns: Vec<String> =
        ["Bestell-Nr", "Bestelldatum", "Kunden-Nr.", "E-Mail"].map(str::to_owned).into();
    insta::assert_snapshot!(propose_in_order("bestellungen", &columns, &rows));
    let errors: Vec<&str> = contract.validate().iter().filter(|f| f.is_error()).map(|f| f.code).collect();
    assert_eq!(errors, ["MR1106", "MR1107"], "only what nobody can guess is missing");
}

#[test]
fn nested_json() {
    let rows: Vec<Value> = (0..5)
        .map(|i| {
            json!({
                "id": i, "ts": 1_700_000_000_000_i64 + i, "user": {"id": format!("u{i}"), "ip": format!("10.0.0.{i}")},
                "items": [{"sku": "a", "price": 1.5}, {"sku": "b"}], "tags": ["x"], "empty": {}, "mixed": if i == 0 { json!(1.5) } else { json!("x") },
                "none": null, "Größe/~": 1,
            })
        })
        .collect();
    accepted("events", &rows);
    insta::assert_snapshot!(propose("events", &rows));
}

#[test]
fn nothing_and_strange_names() {
    accepted("empty", &[]);
    accepted(
        "true",
        &[
            json!({"": 1, "\u{7f}": 2, "a: b # c": 3, "\"": 4, "\u{2028}": 5, "名前": 6, "null": 7, "a.b": 8, "A.B": 9}),
        ],
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        "[0-9.,+eE-]{0,9}".prop_map(Value::from),
        "[0-9]{1,2}\\.[0-9]{1,2}\\.(19|20)[0-9]{2}".prop_map(Value::from),
        "(19|20|21)[0-9]{2}-[01][0-9]-[0-3][0-9]( [0-2][0-9]:[0-5][0-9]:[0-5][0-9])?".prop_map(Value::from),
        "(19|20)[0-9]{6}".prop_map(Value::from),
        prop::sample::select(vec!["yes", "0", "NaN", "null", "a@b.de", "10.0.0.1", "", " "])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]
    #[test]
    fn a_proposal_parses_and_accepts_its_sample(
        columns in prop::collection::vec((
            prop::sample::select(vec!["datum", "ts", "user_id", "E-Mail", "preis", "x", "Order Date", "id", "a/b"]),
            prop::collection::vec(any_value(), 1..5),
        ), 0..5)
    ) {
        let n = columns.iter().map(|(_, v)| v.len()).max().unwrap_or(0);
        let rows: Vec<Value> = (0..n)
            .map(|i| {
                let cells = columns.iter().filter_map(|(name, v)| Some(((*name).to_owned(), v.get(i)?.clone())));
                Value::Object(cells.collect())
            })
            .collect();
        accepted("s", &rows);
    }
}
