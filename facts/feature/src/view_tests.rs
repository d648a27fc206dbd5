//! View files: what is read, and what is said where something is wrong.

use contract::{Contract, Contracts, Severity};

use crate::value::{Kind, Value};
use crate::{Error, View, Views};

const ORDERS: &str = r#"
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
      - {name: n_items, logicalType: integer, classification: internal}
      - {name: gift, logicalType: boolean, classification: internal}
      - {name: shipped_at, logicalType: timestamp, classification: internal}
      - {name: note, classification: internal}
      - {name: diagnosis, logicalType: string, classification: special}
      - name: address
        logicalType: object
        classification: personal
        properties:
          - {name: city, logicalType: string}
      - {name: tags, logicalType: array, classification: internal}
customProperties:
  - {property: purposes, value: [{name: analytics, basis: legitimate_interest}, {name: ads, basis: consent}]}
"#;

fn contracts() -> Contracts {
    let mut contracts = Contracts::new();
    contracts.insert(Contract::parse(ORDERS, "orders.yaml").unwrap().contract).unwrap();
    contracts
}

fn with(features: &str) -> String {
    format!("view: purchases\nversion: 1\nstream: orders\npurposes: [analytics]\nfeatures:\n{features}")
}

fn read(yaml: &str) -> View {
    let (view, findings) = View::parse(yaml, "features/purchases.yaml", &contracts());
    view.unwrap_or_else(|| panic!("{findings:?}"))
}

#[test]
fn the_example_of_the_guide_is_read() {
    let yaml = r#"
view: purchases
version: 1
description: What somebody bought.
stream: orders            # one stream per view; entity = subject
purposes: [ads, analytics]
features:
  - {name: n_orders_30d, agg: count, window: 30d}
  - {name: n_orders_90d, agg: count, window: 90d, description: Orders of a quarter.}
  - {name: spend_90d, agg: sum, of: total, scale: 2, window: 90d, where: "status == 'paid' and total > 0"}
  - {name: n_items, agg: sum, of: n_items}
  - {name: last_city, agg: last, of: address.city, default: nowhere}
  - {name: first_gift, agg: first, of: gift}
  - {name: days_since_order, agg: time_since}
  - {name: basket_ratio, agg: ratio, numerator: spend_90d, denominator: n_orders_90d, default: 0}
  - {name: interest, agg: decayed_sum, of: total, half_life: 14d}
"#;
    let view = read(yaml);
    assert_eq!((view.reference().as_str(), view.stream().as_str()), ("purchases@1", "orders"));
    assert_eq!(view.purposes(), ["ads", "analytics"]);
    assert!(view.is_personal(), "a city is a part of an address");
    let kinds: Vec<_> = view.features().iter().map(|f| f.kind()).collect();
    use Kind::{Boolean, Integer, Number, Text};
    assert_eq!(kinds, [Integer, Integer, Number, Integer, Text, Boolean, Number, Number, Number]);
    assert_eq!(view.features()[0].window().map(|w| w.to_string()).as_deref(), Some("30d"));
    assert_eq!(view.features()[7].default(), &Value::Number(0.0));
    // Words and comments change nothing; a filter said in other words does not either; a window does.
    let same = yaml.replace("What somebody bought.", "x").replace("total > 0", "(total>0)");
    assert_eq!(read(&same).fingerprint(), view.fingerprint());
    assert_eq!(read(&same).wording(), view.wording());
    let said = |name: &str| view.wording()[name].as_str();
    assert_eq!(
        said("spend_90d"),
        "sum of orders.total, where (status == 'paid' and total > 0), window 90d, scale 2"
    );
    assert_eq!(said("basket_ratio"), "spend_90d / n_orders_90d, default 0");
    assert_eq!(said("interest"), "decayed_sum of orders.total, half-life 14d");
    assert_ne!(read(&yaml.replace("window: 30d", "window: 31d")).fingerprint(), view.fingerprint());
}

/// The finding of this code stands on this line and contains these words; there is no view.
fn check(yaml: &str, code: &str, line: u32, words: &str) {
    let (view, findings) = View::parse(yaml, "purchases.yaml", &contracts());
    assert!(view.is_none(), "{yaml}");
    let found = findings.iter().find(|f| f.code == code && f.line == Some(line));
    let found = found.unwrap_or_else(|| panic!("no {code} on line {line}: {findings:#?}"));
    assert!(found.message.contains(words) && found.is_error(), "{found}");
    assert!(found.to_string().starts_with(&format!("purchases.yaml:{line}: ")), "{found}");
}

#[test]
fn files_that_are_no_views() {
    check("view: [", "MR4001", 1, "");
    check(&with("  - {name: n, agg: count, windw: 3d}\n"), "MR4001", 6, "windw");
    check(&with("  - {name: n, agg: median}\n"), "MR4001", 6, "median");
    check("view: v\nversion: one\n", "MR4001", 2, "");
    let (view, findings) = View::parse(&"#".repeat(2 << 20), "v.yaml", &contracts());
    assert!(view.is_none() && findings[0].message.contains("1 MiB"));
}

#[test]
fn what_does_not_fit_the_contract() {
    let head = "view: v\nversion: 1\n";
    let tail = "features: [{name: n, agg: count}]\n";
    check(&format!("{head}stream: order\npurposes: [ads]\n{tail}"), "MR4003", 3, "did you mean `orders`?");
    check(&format!("{head}stream: orders\npurposes: []\n{tail}"), "MR4006", 1, "no purpose");
    check(&format!("{head}stream: orders\npurposes:\n  - ads\n  - spying\n{tail}"), "MR4006", 6, "`spying`");
    check(&with("  - {name: n, agg: sum, of: totl}\n"), "MR4004", 6, "did you mean `total`?");
    check(&with("  - {name: n, agg: last, of: tags}\n"), "MR4005", 6, "of type array");
    check(&with("  - {name: n, agg: last, of: note}\n"), "MR4005", 6, "of type");
    check(&with("  - {name: n, agg: sum, of: status}\n"), "MR4005", 6, "needs a number");
    check(&with("  - {name: n, agg: count, default: none}\n"), "MR4005", 6, "`default`");
    check(&with("  - name: n\n    agg: count\n    where: statsu == 'x'\n"), "MR4002", 8, "column 1: ");
    check(&with("  - {name: n, agg: count, where: \"total > 0 && gift\"}\n"), "MR4002", 6, "column 11: `&`");
}

#[test]
fn features_that_say_too_little_or_too_much() {
    check(&with("  - {name: n, agg: sum}\n"), "MR4007", 6, "needs `of`");
    check(&with("  - {name: n, agg: decayed_sum, of: total}\n"), "MR4007", 6, "needs `half_life`");
    check(&with("  - {name: n, agg: time_since, of: total}\n"), "MR4007", 6, "no use for `of`");
    check(&with("  - {name: n, agg: count, scale: 2}\n"), "MR4007", 6, "no use for `scale`");
    check(&with("  - {name: n, agg: sum, of: total, scale: 40}\n"), "MR4007", 6, "15 decimals");
    check(&with("  - {name: n, agg: count, window: soon}\n"), "MR4007", 6, "`soon` is not a length of time");
    check(&with("  - {name: n, agg: count, window: -3d}\n"), "MR4007", 6, "more than nothing");
    check(&with("  - {name: n, agg: ratio, numerator: a, denominator: n}\n"), "MR4007", 6, "no feature `a`");
    check(&with("  - {name: n, agg: count}\n  - {name: n, agg: count}\n"), "MR4007", 7, "two of this name");
    check(&with("  - {name: N Orders, agg: count}\n"), "MR4007", 6, "`N Orders` is no name");
    check("view: v\nversion: 1\nstream: orders\npurposes: [ads]\nfeatures: []\n", "MR4007", 1, "no features");
    let ratio_of_ratio = "  - {name: c, agg: count}\n  - {name: r, agg: ratio, numerator: c, denominator: c}\n  \
                          - {name: q, agg: ratio, numerator: r, denominator: c}\n";
    check(&with(ratio_of_ratio), "MR4007", 8, "`r` is a ratio itself");
    let many: String =
        (0..70).map(|i| format!("  - {{name: f{i}, agg: count, where: total > {i}}}\n")).collect();
    check(&with(&many), "MR4008", 1, "70 different filters");
    let many: String = (0..501).map(|i| format!("  - {{name: f{i}, agg: count}}\n")).collect();
    check(&with(&many), "MR4008", 1, "501 features");
}

#[test]
fn special_categories_are_a_warning() {
    let yaml = with("  - {name: n, agg: count, where: diagnosis is not null}\n");
    let (view, findings) = View::parse(&yaml, "purchases.yaml", &contracts());
    assert!(view.is_some_and(|view| view.is_personal()));
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].code, findings[0].severity), ("MR4013", Severity::Warning));
}

#[test]
fn views_are_found_by_name_and_version() {
    let one = read(&with("  - {name: n, agg: count}\n"));
    let two = read(&with("  - {name: n, agg: count}\n").replace("version: 1", "version: 2"));
    let other = read(&with("  - {name: m, agg: count}\n"));
    let views = Views::new([two.clone(), one.clone(), one.clone()]).unwrap();
    assert_eq!(views.iter().count(), 2);
    assert_eq!(views.get("purchases"), Some(&two));
    assert_eq!(views.find("purchases"), Some(&two));
    assert_eq!(views.find("purchases@1"), Some(&one));
    assert_eq!(views.find("purchases@x"), None);
    assert_eq!(views.of_stream(one.stream()).len(), 2);
    assert_ne!(views.fingerprint(), Views::default().fingerprint());
    assert!(matches!(Views::new([one, other]), Err(Error::Conflict { .. })));
}
