//! Filters against records, and their mistakes.

use contract::Contract;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn contract() -> Contract {
    let yaml = r#"
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: status, logicalType: string, classification: internal}
      - {name: total, logicalType: number, classification: internal}
      - {name: n, logicalType: integer, classification: internal}
      - {name: gift, logicalType: boolean, classification: internal}
      - {name: at, logicalType: timestamp, classification: internal}
      - {name: day, logicalType: date, classification: internal}
      - {name: Unit Price, logicalType: number, classification: internal}
      - name: address
        logicalType: object
        properties:
          - {name: city, logicalType: string, classification: personal}
      - {name: tags, logicalType: array, classification: internal}
"#;
    Contract::parse(yaml, "orders.yaml").unwrap().contract
}

fn check(filter: &str, expected: Option<bool>) {
    let bound = json!({
        "status": "paid", "total": 12.5, "n": 3, "gift": false, "at": "2026-01-31T12:00:00.5Z",
        "day": "2026-01-31", "Unit Price": 4, "address": {"city": "Köln"},
    });
    let read = parse(filter).unwrap_or_else(|m| panic!("{filter}: {m:?}"));
    let shown = read.to_string();
    let again = parse(&shown).unwrap();
    assert_eq!(again.to_string(), shown, "{filter}");
    for expr in [read, again] {
        let resolved =
            expr.resolve(&contract(), &mut Vec::new()).unwrap_or_else(|m| panic!("{filter}: {m:?}"));
        assert_eq!(resolved.matches(&bound), expected, "{filter}");
    }
}

#[test]
fn filters_say_what_they_say() {
    check("status == 'paid' and total > 0", Some(true));
    check("status = 'paid' AND NOT total > 100", Some(true));
    check("status != 'paid' or n >= 3", Some(true));
    check("status <> 'paid' or n > 3", Some(false));
    check("status in ['open', 'paid']", Some(true));
    check("status not in ('open', 'paid')", Some(false));
    check("n in [1, 2.5, 3]", Some(true));
    check("gift == false", Some(true));
    check("at > '2026-01-31T12:00:00Z' and at < '2026-01-31T13:00:00.6+01:00'", Some(true));
    check("day < '2026-02-01'", Some(true));
    check("`Unit Price` <= 4.0", Some(true));
    check("address.city == 'Köln'", Some(true));
    check("not (status == 'paid' and (n == 3 or n == 4))", Some(false));
    check("not not n == 3", Some(true));
    check("total == 1.25e1 and n > -1 and n > .5", Some(true));
    check("status == 'it''s' or status == \"paid\"", Some(true));
}

#[test]
fn and_binds_closer_than_or() {
    check("n == 3 or n == 4 and n == 5", Some(true));
    check("(n == 3 or n == 4) and n == 5", Some(false));
}

#[test]
fn the_missing_is_unknown_as_in_sql() {
    let bound = json!({"status": null, "gift": 7});
    let check = |filter: &str, expected: Option<bool>| {
        let resolved = parse(filter).unwrap().resolve(&contract(), &mut Vec::new()).unwrap();
        assert_eq!(resolved.matches(&bound), expected, "{filter}");
    };
    check("total == 1", None);
    check("total != 1", None);
    check("not total == 1", None);
    check("total in [1]", None);
    check("total == 1 or total is null", Some(true));
    check("total == 1 and total is not null", Some(false));
    check("total == 1 and n is null", None);
    check("status is null and address.city is null and tags is null", Some(true));
    check("gift == true", None);
}

fn check_mistake(filter: &str, column: usize, word: &str) {
    let read = parse(filter).and_then(|expr| expr.resolve(&contract(), &mut Vec::new()));
    let mistake = read.expect_err(filter);
    assert_eq!(mistake.column, column, "{filter}: {}", mistake.message);
    assert!(mistake.message.contains(word), "{filter}: {}", mistake.message);
}

#[test]
fn mistakes_point_at_their_column() {
    check_mistake("", 1, "found the end");
    check_mistake("status = = 'paid'", 10, "found `==`");
    check_mistake("status == paid", 11, "'paid'");
    check_mistake("status == 'paid", 11, "never closed");
    check_mistake("status == 'paid' total > 0", 18, "found `total`");
    check_mistake("(status == 'paid'", 18, "expected `)`");
    check_mistake("status == null", 11, "is null");
    check_mistake("status is 'x'", 11, "`null`");
    check_mistake("status in 'x'", 11, "a list");
    check_mistake("status in ['x'; 'y']", 15, "`;` has no meaning");
    check_mistake("status => 1", 8, "no comparison");
    check_mistake("n == 1x", 6, "no number");
    check_mistake("n == 1e999", 6, "no number");
    check_mistake("n == 1 and and", 12, "a field's name");
    check_mistake("status", 7, "a comparison");
    check_mistake("colour == 'red'", 1, "no field `colour`");
    check_mistake("n > 0 and status > 5", 11, "type string");
    check_mistake("total == '5'", 1, "a number is expected, not '5'");
    check_mistake("gift > true", 1, "only == and !=");
    check_mistake("at > 'yesterday'", 1, "a time like");
    check_mistake("tags == 'x'", 1, "is null");
    check_mistake("address.street == 'x'", 1, "no field `address.street`");
    check_mistake(&"(".repeat(40), 33, "32 deep");
    check_mistake(&"n == 1 and ".repeat(101), 1_101, "100 comparisons");
    check_mistake(&format!("status == '{}'", "x".repeat(3_000)), 2_001, "2000 characters");
}

proptest! {
    #[test]
    fn noise_never_panics(noise in "[a-z0-9 '\"`()\\[\\],=<>!.é-]{0,60}") {
        let _ = parse(&noise);
    }

    #[test]
    fn any_text_never_panics(noise in ".{0,60}") {
        let _ = parse(&noise);
    }
}
