//! One change at a time, both ways.

use super::*;

const BASE: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - { name: id, logicalType: string, required: true, classification: internal }
      - { name: kind, logicalType: string, classification: public, customProperties: [{ property: enum, value: [a, b] }] }
      - { name: cents, logicalType: integer, classification: internal, logicalTypeOptions: { minimum: 0, maximum: 100 } }
      - name: buyer
        logicalType: object
        classification: personal
        properties:
          - { name: mail, logicalType: string, logicalTypeOptions: { maxLength: 50 } }
      - name: lines
        logicalType: array
        classification: internal
        items: { name: line, logicalType: integer }
customProperties:
  - { property: subjectKey, value: [id] }
  - { property: retention, value: 365d }
";

fn read(yaml: &str) -> Vec<Contract> {
    Contract::parse(yaml, "orders.yaml").unwrap().into_all()
}

fn told(old: &str, new: &str) -> Vec<String> {
    let mark = |effect| match effect {
        Effect::None => '-',
        Effect::Meaning => '~',
        Effect::Breaks => '!',
    };
    let line = |change: &Change| format!("{}{} {change}", mark(change.readers), mark(change.writers));
    diff(&read(old), &read(new)).changes.iter().map(line).collect()
}

/// `readers writers` marks and words of the change, and of the way back.
fn check(from: &str, to: &str, there: &str, back: &str) {
    assert!(BASE.contains(from), "{from}");
    let changed = BASE.replacen(from, to, 1);
    assert_eq!(told(BASE, &changed), [there]);
    assert_eq!(told(&changed, BASE), [back]);
}

#[test]
fn narrower_breaks_writers_and_wider_breaks_readers() {
    check(
        "[a, b]",
        "[a]",
        "-! `orders.kind` may no longer be `\"b\"`",
        "!- `orders.kind` may also be `\"b\"`",
    );
    check(
        "minimum: 0",
        "minimum: 10",
        "-! `orders.cents` must be at least 10, no longer 0",
        "!- `orders.cents` must be at least 0, no longer 10",
    );
    check(
        "maximum: 100",
        "maximum: 90",
        "-! `orders.cents` must be at most 90, no longer 100",
        "!- `orders.cents` must be at most 100, no longer 90",
    );
    check(
        ", maximum: 100",
        "",
        "!- `orders.cents` need no longer be at most 100",
        "-! `orders.cents` must be at most 100",
    );
    check(
        "maxLength: 50",
        "maxLength: 20",
        "-! `orders.buyer.mail` has 20 characters at most, no longer 50",
        "!- `orders.buyer.mail` has 50 characters at most, no longer 20",
    );
    check(
        "string, required: true",
        "string",
        "!- `orders.id` may be missing from now on",
        "-! `orders.id` must be there from now on",
    );
    check(
        "name: line, logicalType: integer",
        "name: line, logicalType: number",
        "!- `orders.lines[]` is number, no longer integer",
        "-! `orders.lines[]` is integer, no longer number",
    );
    check(
        "classification: public",
        "classification: personal",
        "!~ `orders.kind` is personal, no longer public",
        "~~ `orders.kind` is public, no longer personal",
    );
    check(
        "365d",
        "30d",
        "!- stream `orders` is kept for 30d only",
        "-~ stream `orders` is kept for 365d, no longer for 30d",
    );
}

#[test]
fn fields_come_and_go() {
    let more = BASE.replace(
        "      - name: lines\n",
        "      - { name: note, logicalType: string, classification: internal }\n      - name: lines\n",
    );
    assert_eq!(told(BASE, &more), ["-- `orders.note` is new"]);
    assert_eq!(told(&more, BASE), ["!~ `orders.note` is removed"]);
    let due = more.replace("name: note,", "name: note, required: true,");
    assert_eq!(told(BASE, &due), ["-! `orders.note` is new and must be there"]);
}

#[test]
fn versions_say_as_much_as_the_changes() {
    let with = |version: &str, from: &str, to: &str| {
        BASE.replace("version: 1.0.0", &format!("version: {version}")).replace(from, to)
    };
    let judged = |new: &str| {
        let found = diff(&read(BASE), &read(new));
        (found.needs, found.makes, found.is_honest())
    };
    assert_eq!(judged(BASE), (Step::Same, Step::Same, true));
    assert_eq!(
        judged(&with("1.0.1", "status: active", "status: active\ntags: [x]")),
        (Step::Patch, Step::Patch, true)
    );
    assert_eq!(
        judged(&with("1.0.0", "status: active", "status: active\ntags: [x]")),
        (Step::Patch, Step::Same, false)
    );
    let optional = "[a, b] }] }\n      - { name: note, logicalType: string, classification: public";
    assert_eq!(
        judged(&with("1.1.0", "[a, b] }]", &format!("{optional}, tags: [x]"))),
        (Step::Minor, Step::Minor, true)
    );
    assert_eq!(judged(&with("1.1.0", "maximum: 100", "maximum: 90")), (Step::Major, Step::Minor, false));
    assert_eq!(judged(&with("2.0.0", "maximum: 100", "maximum: 90")), (Step::Major, Step::Major, true));
    assert_eq!(judged(&with("0.9.0", "maximum: 100", "maximum: 90")).1, Step::Back);
    let small = with("1.1.0", "maximum: 100", "maximum: 90");
    let texts: Vec<String> =
        diff(&read(BASE), &read(&small)).findings("orders.yaml").iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[0],
        "orders.yaml:12: error MR1131: `orders.cents` must be at most 90, no longer 100: breaks writers"
    );
    assert!(
        texts[1].contains("MR1130: version 1.1.0 after 1.0.0 says too little: these changes need 2.0.0"),
        "{texts:?}"
    );
}

#[test]
fn what_is_promised_of_many_records_is_a_promise_too() {
    let kind = "customProperties: [{ property: enum, value: [a, b] }]";
    let with = |rest: &str| format!("{kind}, {rest}");
    check(
        kind,
        &with("relationships: [{ type: foreignKey, to: kinds.id }]"),
        "-~ stream `orders` promises that `kind` occurs in `kinds.id`",
        "!- stream `orders` no longer promises that `kind` occurs in `kinds.id`",
    );
    check(
        kind,
        &with("quality: [{ metric: nullValues, unit: percent, mustBeLessThan: 5 }]"),
        "-~ stream `orders` promises that nullValues of `kind` is less than 5",
        "!- stream `orders` no longer promises that nullValues of `kind` is less than 5",
    );
    let level = |hours: u32| {
        format!(
            "slaProperties: [{{ property: latency, value: {hours}, unit: h }}]\ncustomProperties:\n  - {{ property: subjectKey"
        )
    };
    check(
        "customProperties:\n  - { property: subjectKey",
        &level(4),
        "-~ stream `orders` promises latency 4 h",
        "!- stream `orders` no longer promises latency 4 h",
    );
    let base = BASE.replacen("customProperties:\n  - { property: subjectKey", &level(4), 1);
    let later = base.replacen("value: 4", "value: 5", 1);
    assert_eq!(told(&base, &later), ["!- stream `orders` promises latency 5 h, no longer latency 4 h"]);
    assert_eq!(told(&later, &base), ["-~ stream `orders` promises latency 4 h, no longer latency 5 h"]);
    // A bound is wider where it lets a figure through that the other does not.
    let bound =
        |bound: &str| BASE.replacen(kind, &with(&format!("quality: [{{ metric: nullValues, {bound} }}]")), 1);
    let marks = |old: &str, new: &str| {
        let all = told(&bound(old), &bound(new));
        all.iter().map(|one| one.chars().take(2).collect::<String>()).collect::<Vec<_>>().join(" ")
    };
    for (old, new, expected) in [
        ("mustBe: 1", "mustBeLessOrEqualTo: 5", "!-"),
        ("mustBeLessOrEqualTo: 5", "mustBe: 1", "-~"),
        ("mustBeLessThan: 5", "mustBeLessOrEqualTo: 5", "!-"),
        ("mustBeBetween: [0, 5]", "mustBeBetween: [1, 4]", "-~"),
        ("mustBeBetween: [0, 5]", "mustBeBetween: [1, 6]", "!-"),
        ("mustBe: 1", "mustBe: 1, severity: warning", "!-"),
        ("mustBe: 1", "mustBe: 1", ""),
    ] {
        assert_eq!(marks(old, new), expected, "{old} to {new}");
    }
}
