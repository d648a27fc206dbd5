//! Records against contracts: binding, judging, taking apart and putting together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use contract::{Classification, Contract, Finding, join};
use proptest::prelude::*;
use serde_json::{Value, json};

fn orders() -> Contract {
    Contract::parse(include_str!("contracts/orders.yaml"), "orders.yaml").unwrap().contract
}

fn good() -> Value {
    json!({
        "type": "track", "event": "Order Completed", "userId": "u-17", "anonymousId": "a-1",
        "messageId": "m-1", "timestamp": "2026-03-01T12:00:00Z",
        "context": {"ip": "10.0.0.7", "library": {"name": "js"}},
        "properties": {
            "order_id": "o-1", "email": "ann@example.com", "total": 19.99, "currency": "EUR",
            "coupon": "SALE-10", "n_items": 2, "gift": true, "deliver_on": "24.12.2026",
            "address": {"city": "Köln", "country": "DE", "street": "Am Hof 1"},
            "products": [{"sku": "s1", "price": 9.99}, {"sku": "s2"}],
            "tags": ["new"], "diagnosis": "x", "note": "leave at the door"
        }
    })
}

/// A contract of one property, in flow style.
fn one(property: &str) -> Contract {
    let yaml = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\nschema:\n  - name: t\n    properties:\n      \
         - {{ name: f, classification: public, {property} }}\n"
    );
    let parsed = Contract::parse(&yaml, "t.yaml").unwrap();
    assert!(!parsed.findings.iter().any(Finding::is_error), "{property}: {:?}", parsed.findings);
    parsed.contract
}

/// Binds `raw` as field `f` and gives (what became of it, codes of findings).
fn judge(property: &str, raw: Value) -> (Value, Vec<&'static str>) {
    let contract = one(property);
    let bound = contract.bind(&json!({ "f": raw }));
    let codes = contract.check(&bound).iter().map(|f| f.code).collect();
    (bound.get("f").cloned().unwrap_or(Value::Null), codes)
}

fn check(property: &str, raw: Value, bound: Value, codes: &[&str]) {
    assert_eq!(judge(property, raw.clone()), (bound, codes.to_vec()), "{property} {raw}");
}

#[test]
fn a_good_order_binds_and_fits() {
    let contract = orders();
    let bound = contract.bind(&good());
    assert_eq!(contract.check(&bound), []);
    assert_eq!(bound["user"], "u-17");
    assert_eq!(bound["deliver_on"], "2026-12-24");
    assert!(bound.get("note").is_none());
    let ids = contract.identifiers(&bound);
    let ids: Vec<(&str, &str)> = ids.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(ids, [("user_id", "u-17"), ("email", "ann@example.com"), ("anonymous_id", "a-1")]);
    assert_eq!(contract.event_time(&bound).unwrap().to_string(), "2026-03-01T12:00:00Z");
    assert_eq!(contract.dedup_key(&bound).unwrap(), br#"["o-1"]"#);
    assert_eq!(contract.unique_keys(), vec![vec!["order_id".to_owned()]]);
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_nothing_personal_is_quoted() {
    let contract = orders();
    let bad = json!({
        "userId": "null", "timestamp": "yesterday",
        "properties": {
            "email": "ann.example.com", "total": 100000.001, "currency": "DM", "coupon": "<script>alert(1)</script>",
            "n_items": 70000, "gift": "perhaps", "deliver_on": "31.02.2026", "address": {"city": 5.5},
            "products": [{"sku": "a", "price": -1}, {"price": "x"}, "y"], "tags": ["a", "a", "much too long a tag"],
            "diagnosis": "F32.1 depressive episode"
        }
    });
    let findings = contract.check(&contract.bind(&bad));
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"));
    let all = serde_json::to_string(&findings).unwrap();
    for secret in ["ann.example", "F32", "depressive"] {
        assert!(!all.contains(secret), "{secret}");
    }
    let empty: Vec<String> = contract.check(&json!({})).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(empty.join("\n"));
}

#[test]
fn types_are_kept_and_text_is_read_where_the_type_asks() {
    check("logicalType: integer", json!("12"), json!(12), &[]);
    check("logicalType: integer", json!(" 12.0 "), json!(12), &[]);
    check("logicalType: integer", json!(5.0), json!(5), &[]);
    check("logicalType: integer", json!(5.5), json!(5.5), &["MR1001"]);
    check("logicalType: integer", json!("12a"), json!("12a"), &["MR1001"]);
    check("logicalType: integer", json!("NaN"), json!("NaN"), &["MR1002"]);
    check("logicalType: integer", json!("١٢"), json!("١٢"), &["MR1001"]);
    check("logicalType: integer", json!(true), json!(true), &["MR1001"]);
    check(
        "logicalType: integer",
        json!(18446744073709551615_u64),
        json!(18446744073709551615_u64),
        &["MR1002"],
    );
    check("logicalType: integer, logicalTypeOptions: {format: u64}", json!(u64::MAX), json!(u64::MAX), &[]);
    check("logicalType: integer", json!(1e300), json!(1e300), &["MR1002"]);
    check("logicalType: number", json!("-1.5e3"), json!(-1500.0), &[]);
    check("logicalType: number", json!("Infinity"), json!("Infinity"), &["MR1002"]);
    check("logicalType: number", json!("12,50"), json!("12,50"), &["MR1020"]);
    check("logicalType: number", json!("1e999"), json!("1e999"), &["MR1001"]);
    let comma = "logicalType: number, customProperties: [{property: decimalComma, value: true}]";
    check(comma, json!("12,50"), json!(12.5), &[]);
    check(comma, json!("-1.234.567,8"), json!(-1234567.8), &[]);
    check(comma, json!("12.50"), json!("12.50"), &["MR1020"]);
    check(comma, json!("1,2,3"), json!("1,2,3"), &["MR1020"]);
    check("logicalType: boolean", json!("Ja"), json!(true), &[]);
    check("logicalType: boolean", json!("0"), json!(false), &[]);
    check("logicalType: boolean", json!("2"), json!("2"), &["MR1001"]);
    check("logicalType: boolean", json!(1), json!(1), &["MR1001"]);
    check("logicalType: string", json!(42), json!("42"), &[]);
    check("logicalType: string", json!(4.2), json!(4.2), &["MR1001"]);
    check("logicalType: string", json!({"a": 1}), json!({"a": 1}), &["MR1001"]);
    check("logicalType: integer, required: true", json!("  "), Value::Null, &["MR1004"]);
    check("logicalType: string, required: true", json!(null), Value::Null, &["MR1004"]);
    check("logicalType: object", json!([1]), json!([1]), &["MR1001"]);
    check("logicalType: array", json!({"0": 1}), json!({"0": 1}), &["MR1001"]);
}

#[test]
fn times_are_read_in_their_format_and_zone() {
    check("logicalType: date", json!("2026-01-31"), json!("2026-01-31"), &[]);
    check("logicalType: date", json!("2026-01-31T00:00:00"), json!("2026-01-31"), &[]);
    check("logicalType: date", json!("2026-02-30"), json!("2026-02-30"), &["MR1010"]);
    check("logicalType: date", json!("9999-12-31"), json!("9999-12-31"), &["MR1010"]);
    check("logicalType: date", json!("-1"), json!("-1"), &["MR1010"]);
    check(
        "logicalType: date, logicalTypeOptions: {format: yyyyMMdd}",
        json!(19970101),
        json!("1997-01-01"),
        &[],
    );
    check(
        "logicalType: timestamp",
        json!("9999-01-01T00:00:00Z"),
        json!("9999-01-01T00:00:00Z"),
        &["MR1010"],
    );
    check("logicalType: timestamp", json!(-1), json!(-1), &["MR1001"]);
    let berlin = "logicalType: timestamp, logicalTypeOptions: {defaultTimezone: Europe/Berlin, format: 'dd.MM.yyyy HH:mm'}";
    check(berlin, json!("01.07.2026 12:00"), json!("2026-07-01T10:00:00Z"), &[]);
    check(berlin, json!("2026-07-01 12:00:00"), json!("2026-07-01T10:00:00Z"), &[]);
    check(berlin, json!("2026-07-01T12:00:00Z"), json!("2026-07-01T12:00:00Z"), &[]);
    check(berlin, json!("12 o'clock"), json!("12 o'clock"), &["MR1010"]);
    let millis = "logicalType: timestamp, customProperties: [{property: timeUnit, value: ms}]";
    check(millis, json!(1_700_000_000_000_i64), json!("2023-11-14T22:13:20Z"), &[]);
    check(millis, json!(-99_999_999_999_999_i64), json!(-99_999_999_999_999_i64), &["MR1001"]);
    check("logicalType: time", json!("23:59:59"), json!("23:59:59"), &[]);
    check("logicalType: time", json!("24:01"), json!("24:01"), &["MR1010"]);
    let late = "logicalType: date, logicalTypeOptions: {exclusiveMinimum: 2020-01-01, maximum: 2021-01-01}";
    check(late, json!("2020-01-01"), json!("2020-01-01"), &["MR1005"]);
    check(late, json!("2021-01-01"), json!("2021-01-01"), &[]);
}

#[test]
fn rules_of_values() {
    check("logicalType: string, logicalTypeOptions: {maxLength: 3}", json!("äöü"), json!("äöü"), &[]);
    check(
        "logicalType: string, logicalTypeOptions: {maxLength: 2}",
        json!("🦀🦀🦀"),
        json!("🦀🦀🦀"),
        &["MR1006"],
    );
    check("logicalType: string, logicalTypeOptions: {minLength: 2}", json!("🦀"), json!("🦀"), &["MR1006"]);
    let scale = "logicalType: number, customProperties: [{property: scale, value: 2}]";
    for fits in [0.1, 19.99, -0.07, 1e15, 0.0, 1234567.89] {
        check(scale, json!(fits), json!(fits), &[]);
    }
    check(scale, json!(0.001), json!(0.001), &["MR1002"]);
    check(scale, json!(0.1 + 0.2), json!(0.1 + 0.2), &["MR1002"]);
    check("logicalType: number, logicalTypeOptions: {minimum: 0}", json!(-0.0), json!(-0.0), &[]);
    check("logicalType: number, logicalTypeOptions: {multipleOf: 0.05}", json!(0.15), json!(0.15), &[]);
    check("logicalType: integer, logicalTypeOptions: {multipleOf: 5}", json!(12), json!(12), &["MR1005"]);
    let big = "logicalType: integer, logicalTypeOptions: {maximum: 9007199254740992}";
    check(big, json!(9007199254740993_i64), json!(9007199254740993_i64), &["MR1005"]);
    for (format, good, bad) in [
        ("email", "a.b@c.de", "a b@c.de"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"),
        ("uri", "https://a.b/c", "a.b/c"),
        ("ipv4", "10.0.0.1", "10.0.0.256"),
        ("ipv6", "::1", "1"),
        ("hostname", "a-b.example", "-a.example"),
        ("date-time", "2026-01-01T00:00:00Z", "now"),
    ] {
        let property = format!("logicalType: string, logicalTypeOptions: {{format: {format}}}");
        check(&property, json!(good), json!(good), &[]);
        check(&property, json!(bad), json!(bad), &["MR1007"]);
    }
    let allowed = "logicalType: integer, customProperties: [{property: enum, value: [1, 2]}]";
    check(allowed, json!("2"), json!(2), &[]);
    check(allowed, json!(3), json!(3), &["MR1003"]);
    let valid = "logicalType: string, quality: [{metric: missingValues, mustBe: 0, arguments: {missingValues: [n/a]}}]";
    check(valid, json!("n/a"), json!("n/a"), &["MR1004"]);
}

#[test]
fn limits_hold_whatever_the_contract_says() {
    let long = "x".repeat(33 * 1024);
    assert_eq!(judge("logicalType: string", json!(long)).1, ["MR1013"]);
    assert_eq!(judge("logicalType: array", json!(vec![0; 10_001])).1, ["MR1013"]);
    assert_eq!(
        judge("logicalType: array, items: {logicalType: integer}", json!(vec!["x"; 9_000])).1.len(),
        100
    );
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!({ "a": deep });
    }
    assert_eq!(judge("logicalType: object", deep.clone()).1, ["MR1013"]);
    assert_eq!(orders().check_limits(&deep).len(), 1);
}

#[test]
fn unclassified_counts_as_personal_and_inner_fields_inherit() {
    let contract = orders();
    assert_eq!(contract.field("address.city").unwrap().effective, Classification::Personal);
    assert_eq!(contract.field("products").unwrap().effective, Classification::Internal);
    let yaml = "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\nschema:\n  - name: t\n    properties:\n      - { name: a, logicalType: string }\n";
    let contract = Contract::parse(yaml, "t.yaml").unwrap().contract;
    assert_eq!(contract.personal_pointers(), ["/a"]);
}

#[test]
fn an_order_is_taken_apart_by_its_classification() {
    let split = orders().split(good());
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&json!({"open": split.open, "sealed": split.sealed})).unwrap()
    );
    assert_eq!(join(split.open, split.sealed), good());
}

#[test]
fn an_undeclared_part_of_a_list_is_sealed_with_the_list() {
    let mut order = good();
    order["properties"]["products"][0]["engraving"] = json!("for Ann");
    let split = orders().split(order.clone());
    assert!(!split.open.to_string().contains("Ann"));
    assert_eq!(split.open["properties"]["products"][0]["sku"], "s1");
    assert_eq!(join(split.open, split.sealed), order);
}

#[test]
fn a_destroyed_key_leaves_the_open_parts() {
    let contract = orders();
    let split = contract.split(good());
    let left = join(split.open, []);
    let text = left.to_string();
    for secret in ["ann@", "u-17", "10.0.0.7", "Köln", "Am Hof", "door"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(contract.bind(&left)["total"], 19.99);
}

/// Any JSON, with a liking for the names the contract knows.
fn any_json() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "properties",
        "order_id",
        "email",
        "address",
        "city",
        "products",
        "sku",
        "price",
        "tags",
        "userId",
        "timestamp",
        "total",
        "n_items",
        "other",
        "a/b",
        "~",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(names.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_makes_the_judge_panic(raw in any_json()) {
        let contract = orders();
        let bound = contract.bind(&raw);
        let findings = contract.check(&bound);
        prop_assert!(findings.len() <= 100);
        let _ = contract.identifiers(&bound);
        let _ = contract.event_time(&bound);
        let _ = contract.dedup_key(&bound);
        let _ = contract.check_limits(&raw);
    }

    #[test]
    fn what_is_taken_apart_becomes_one_again(raw in any_json()) {
        let contract = orders();
        let split = contract.split(raw.clone());
        let columns: std::collections::BTreeSet<&String> = split.sealed.iter().map(|(c, _)| c).collect();
        prop_assert_eq!(columns.len(), split.sealed.len(), "each column once");
        prop_assert_eq!(join(split.open, split.sealed), raw);
    }

    #[test]
    fn what_fits_still_fits_when_bound_from_its_own_parts(raw in any_json()) {
        let contract = orders();
        let split = contract.split(raw.clone());
        let again = join(split.open, split.sealed);
        prop_assert_eq!(contract.bind(&again), contract.bind(&raw));
    }
}

/// The budget is 5 µs for a 15-field event of 500 bytes in a release build; this only guards against a slip by an
/// order of magnitude in any build.
#[test]
fn judging_is_fast() {
    let contract = orders();
    let raw = good();
    let start = std::time::Instant::now();
    let n = 20_000;
    let mut n_findings = 0;
    for _ in 0..n {
        n_findings += contract.check(&contract.bind(std::hint::black_box(&raw))).len();
    }
    let each = start.elapsed() / n;
    eprintln!("bind + check: {each:?} each, {} bytes", raw.to_string().len());
    assert_eq!(n_findings, 0);
    assert!(each < std::time::Duration::from_micros(50), "{each:?}");
}
