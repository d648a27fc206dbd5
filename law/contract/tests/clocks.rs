//! Clocks that go forward and back, numbers as others write them, amounts without a currency, and rules that contradict each
//! other.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use contract::Contract;
use serde_json::{Value, json};

fn contract(fields: &str, words: &str) -> Contract {
    let parsed = Contract::parse(&text(fields, words), "t.yaml").unwrap();
    assert!(parsed.findings.iter().all(|finding| !finding.is_error()), "{:?}", parsed.findings);
    parsed.contract
}

fn text(fields: &str, words: &str) -> String {
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nschema:\n  - name: t\n    properties:\n{fields}\n\
         customProperties:\n  - {{property: subjectKey, value: none}}\n{words}"
    )
}

/// The codes of what is wrong, and what the field became.
fn judged(contract: &Contract, raw: Value) -> (Vec<&'static str>, Value) {
    let bound = contract.bind(&raw);
    (contract.judge(&raw, &bound).iter().map(|finding| finding.code).collect(), bound)
}

#[test]
fn times_on_the_wall_are_read_in_their_zone_or_refused() {
    let berlin = "  - {property: timeZone, value: Europe/Berlin}\n";
    let iso = contract("      - {name: at, logicalType: timestamp, classification: internal}", berlin);
    let german = contract(
        "      - {name: at, logicalType: timestamp, classification: internal, logicalTypeOptions: {format: dd.MM.yyyy HH:mm}}",
        berlin,
    );
    let check = |contract: &Contract, text: &str, codes: &[&str], instant: Option<&str>| {
        let (found, bound) = judged(contract, json!({"at": text}));
        assert_eq!(found, codes, "{text}");
        if let Some(instant) = instant {
            assert_eq!(bound["at"], instant, "{text}");
        }
    };
    check(&iso, "2026-03-29 01:59:59", &[], Some("2026-03-29T00:59:59Z"));
    check(&iso, "2026-03-29 02:30:00", &["MR1017"], None);
    check(&iso, "2026-03-29T03:00:00", &[], Some("2026-03-29T01:00:00Z"));
    check(&iso, "2026-03-29T02:30:00+02:00", &[], None);
    check(&iso, "2026-03-29T02:30:00Z", &[], None);
    check(&iso, "2026-10-25 02:30:00", &["MR1018"], Some("2026-10-25T00:30:00Z"));
    check(&iso, "2026-10-25T02:30:00+01:00", &[], None);
    check(&german, "29.03.2026 02:30", &["MR1017"], None);
    check(&german, "25.10.2026 02:30", &["MR1018"], Some("2026-10-25T00:30:00Z"));
    check(&german, "25.10.2026 03:00", &[], Some("2026-10-25T02:00:00Z"));
    // In São Paulo midnight itself was skipped: the day began at one.
    let brazil = contract(
        "      - {name: at, logicalType: timestamp, classification: internal, logicalTypeOptions: {format: yyyy-MM-dd}}",
        "  - {property: timeZone, value: America/Sao_Paulo}\n",
    );
    check(&brazil, "2018-11-04", &[], Some("2018-11-04T03:00:00Z"));
    // A personal time is not shown; a field's own zone counts before the contract's.
    let personal = contract(
        "      - {name: at, logicalType: timestamp, classification: personal, customProperties: [{property: timeZone, value: America/New_York}]}",
        berlin,
    );
    let (codes, _) = judged(&personal, json!({"at": "2026-03-08 02:30:00"}));
    assert_eq!(codes, ["MR1017"]);
    let raw = json!({"at": "2026-11-01 01:30:00"});
    let found = personal.judge(&raw, &personal.bind(&raw));
    assert!(
        found[0].message.contains("America/New_York") && !found[0].message.contains("01:30"),
        "{found:?}"
    );
}

#[test]
fn an_unknown_zone_or_currency_is_an_error_of_the_contract() {
    let field = "      - {name: at, logicalType: timestamp, classification: internal}";
    for (words, why) in [
        ("  - {property: timeZone, value: Europe/Atlantis}\n", "`Europe/Atlantis` is not known"),
        ("  - {property: currency, value: euro}\n", "which is no currency"),
    ] {
        let parsed = Contract::parse(&text(field, words), "t.yaml").unwrap();
        assert!(
            parsed.findings.iter().any(|one| one.is_error() && one.message.contains(why)),
            "{:?}",
            parsed.findings
        );
    }
}

#[test]
fn amounts_say_what_they_are_in() {
    let amounts = contract(
        "      - {name: total, logicalType: number, classification: internal, customProperties: [{property: currencyField, value: currency}]}\n      \
         - {name: currency, logicalType: string, classification: internal}",
        "",
    );
    assert!(amounts.validate().iter().all(|one| one.code != "MR1126" && one.code != "MR1111"));
    let check = |raw: Value, codes: &[&str]| assert_eq!(judged(&amounts, raw.clone()).0, codes, "{raw}");
    check(json!({"total": 5, "currency": "EUR"}), &[]);
    check(json!({"currency": "EUR"}), &[]);
    check(json!({}), &[]);
    for currency in [json!(null), json!(""), json!("€"), json!("eur"), json!(978)] {
        check(json!({"total": 5, "currency": currency}), &["MR1019"]);
    }
    check(json!({"total": 5}), &["MR1019"]);
    let of = |field: &str, words: &str| {
        let contract = contract(field, words);
        contract
            .validate()
            .into_iter()
            .map(|one| one.code)
            .filter(|code| ["MR1126", "MR1111"].contains(code))
            .collect::<Vec<_>>()
    };
    let price = |more: &str| {
        format!(
            "      - {{name: price, logicalType: number, classification: internal, customProperties: [{{property: scale, value: 2}}{more}]}}"
        )
    };
    assert_eq!(of(&price(""), ""), ["MR1126"]);
    assert_eq!(of(&price(", {property: currency, value: CHF}"), ""), Vec::<&str>::new());
    assert_eq!(of(&price(""), "  - {property: currency, value: CHF}\n"), Vec::<&str>::new());
    assert_eq!(of(&price(", {property: currencyField, value: waehrung}"), ""), ["MR1111"]);
}

#[test]
fn numbers_as_others_write_them_say_what_to_declare() {
    let field = "      - {name: n, logicalType: number, classification: internal}";
    let (point, comma) =
        (contract(field, ""), contract(field, "  - {property: decimalComma, value: true}\n"));
    let check = |contract: &Contract, text: &str, codes: &[&str]| {
        assert_eq!(judged(contract, json!({"n": text})).0, codes, "{text}");
    };
    for (text, by_point, by_comma) in [
        ("49.90", [].as_slice(), ["MR1020"].as_slice()),
        ("49,90", &["MR1020"], &[]),
        ("1.234,50", &["MR1020"], &[]),
        ("1,234.50", &["MR1020"], &["MR1020"]),
        ("1'234.50", &["MR1020"], &["MR1020"]),
        ("1 234,50", &["MR1020"], &["MR1020"]),
        ("-7", &[], &[]),
        ("about 7", &["MR1001"], &["MR1001"]),
        (",", &["MR1001"], &["MR1001"]),
    ] {
        check(&point, text, by_point);
        check(&comma, text, by_comma);
    }
    assert_eq!(judged(&comma, json!({"n": "1.234,50"})).1["n"], 1234.5);
}

#[test]
fn rules_that_cannot_all_be_kept_are_told_with_their_line() {
    let number = |options: &str, words: &str| {
        format!(
            "      - {{name: x, logicalType: integer, classification: internal, logicalTypeOptions: {{{options}}}, customProperties: [{words}]}}"
        )
    };
    let string = |options: &str, words: &str| {
        format!(
            "      - {{name: x, logicalType: string, classification: internal, logicalTypeOptions: {{{options}}}, customProperties: [{words}]}}"
        )
    };
    let allowed = |list: &str| format!("{{property: enum, value: [{list}]}}");
    for (field, why) in [
        (number("minimum: 5, maximum: 4", ""), "minimum 5 is above maximum 4"),
        (number("exclusiveMinimum: 5, maximum: 5", ""), "minimum 5, itself excluded is above maximum 5"),
        (number("exclusiveMinimum: 5, exclusiveMaximum: 6", ""), "is above maximum 6, itself excluded"),
        (number("minimum: 300, format: u8", ""), "the minimum 300 lies outside of 0 to 255"),
        (
            number("minimum: 3", &allowed("1, 4")),
            "1 of `x` is allowed, and another rule refuses it: field `x` must be at least 3, not `1`",
        ),
        (number("multipleOf: 5", &allowed("10, 12")), "12 of `x` is allowed, and another rule refuses it"),
        (string("minLength: 9, maxLength: 3", ""), "at least 9 and at most 3 characters"),
        (
            string("pattern: '^[a-z]+$'", &allowed("sale, RENT")),
            "\"RENT\" of `x` is allowed, and another rule refuses it: field `x` does not match",
        ),
        (string("maxLength: 3", &allowed("sale")), "has 4 characters; 3 are the most"),
        (
            string("", "{property: currency, value: EUR}"),
            "`currency` of `x` means nothing for the type `string`",
        ),
        (
            string("", "{property: timeZone, value: Europe/Berlin}"),
            "`timeZone` of `x` means nothing for the type `string`",
        ),
    ] {
        let parsed = Contract::parse(&text(&field, ""), "t.yaml").unwrap();
        let told: Vec<String> = parsed.findings.iter().map(ToString::to_string).collect();
        assert!(
            told.iter().any(|line| line.starts_with("t.yaml:8: error MR1112") && line.contains(why)),
            "{field}: {told:#?}"
        );
    }
    // One number is left: that is a rule, if a narrow one.
    contract(&number("minimum: 5, maximum: 5", &allowed("5")), "");
}
