//! Use case files: complete or refused, everything wrong at once.

use crate::testing::{USE_CASE, use_case};
use crate::{CapScope, Cents, ScoreSource, UseCase};

/// Parses the sample with one text replaced; each expected text must be in some finding.
fn check(from: &str, to: &str, expected: &[&str]) {
    assert!(USE_CASE.contains(from), "{from}");
    let text = USE_CASE.replacen(from, to, 1);
    let findings = UseCase::parse(&text, "u.yaml").expect_err(to);
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    for expected in expected {
        assert!(texts.iter().any(|t| t.contains(expected)), "{to}: `{expected}` is not in {texts:#?}");
    }
}

#[test]
fn a_complete_file_is_read() {
    let use_case = use_case();
    assert_eq!(use_case.name, "spring");
    assert_eq!(use_case.actions.len(), 4);
    assert_eq!(use_case.actions[0].cost, Cents::from_parts(800));
    assert_eq!(use_case.actions[0].value, Cents::new(800));
    assert_eq!(use_case.actions[1].value, Cents::new(550));
    assert_eq!(use_case.actions[0].score, ScoreSource::Model("spring_response".into()));
    assert_eq!(use_case.actions[2].purpose, "personalisation");
    assert_eq!(use_case.actions[3].score, ScoreSource::Constant(0.001));
    assert_eq!(use_case.caps[1].scope, CapScope::Channel("email".into()));
    assert_eq!(use_case.highest_cost(), Cents::new(85));
    assert_eq!(use_case.purposes(), ["personalisation", "email_marketing", "post_marketing"]);
    assert_eq!(use_case.budget.name, "spring");
    assert_ne!(use_case.content, UseCase::parse(&format!("{USE_CASE}\n"), "u").unwrap().content);
}

#[test]
fn segments_are_inputs_under_the_name_that_conditions_use() {
    let with = |from: &str, to: &str| USE_CASE.replacen(from, to, 1);
    let declared = with("  traits: [country]", "  traits: [country]\n  segments: [loyal, near]");
    let use_case = UseCase::parse(&declared, "u.yaml").unwrap();
    assert_eq!(use_case.segments().collect::<Vec<_>>(), ["loyal", "near"]);
    assert!(use_case.inputs.iter().any(|input| input.name == "segment.loyal"));
    assert_eq!(
        use_case.features().count(),
        crate::testing::use_case().features().count(),
        "they are no features"
    );
    check("  traits: [country]", "  traits: [country]\n  segments: [loyal, loyal]", &["names `loyal` twice"]);
    check(
        "  traits: [country]",
        "  traits: [country, segment.loyal]\n  segments: [loyal]",
        &["declared twice"],
    );
    check("  traits: [country]", "  traits: [country]\n  segments: loyal", &["`segments` of `inputs`"]);
}

#[test]
fn every_key_is_needed() {
    for key in [
        "name",
        "version",
        "responsible",
        "goal",
        "inputs",
        "outputs",
        "sources",
        "purpose",
        "legal_basis",
        "security_level",
        "risk_class",
        "latency_ms",
        "gold_set",
        "budget",
        "exploration",
        "holdout",
        "caps",
        "actions",
    ] {
        // Takes the key and what is indented under it away.
        let mut kept = Vec::new();
        let mut inside = false;
        for line in USE_CASE.lines() {
            inside = if line.starts_with([' ', '-']) { inside } else { line.starts_with(&format!("{key}:")) };
            if !inside {
                kept.push(line);
            }
        }
        let findings = UseCase::parse(&kept.join("\n"), "u.yaml").expect_err(key);
        let wanted = format!("says nothing about `{key}`; write `{key}: ");
        assert!(
            findings.iter().any(|f| f.code == "MR5002" && f.message.contains(&wanted)),
            "{key}: {findings:#?}"
        );
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = USE_CASE
        .replace("risk_class: limited", "risk_class: severe")
        .replace("channel: post\n", "chanel: post\n")
        .replace("share: 0.1", "share: 11")
        .replace("window: 30d", "window: a month")
        .replace("0.85 EUR", "0.85 USD");
    let findings = UseCase::parse(&text, "u.yaml").unwrap_err();
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    for expected in [
        "`severe` is none of `minimal`, `limited`, `high`",
        "action `card` has no key `chanel`; did you mean `channel`?",
        "action `card` says nothing about `channel`",
        "`share` of `holdout` is `11`; a number from 0 to 1",
        "`a month` is not a length of time",
        "in USD, but the budget is in EUR",
    ] {
        assert!(texts.iter().any(|t| t.contains(expected)), "`{expected}` is not in {texts:#?}");
    }
    assert!(texts.iter().all(|t| t.starts_with("u.yaml:") && !t.starts_with("u.yaml: ")), "{texts:#?}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    check("name: card", "name: mail_10", &["two actions `mail_10`"]);
    check("name: card", "name: no_action", &["name of doing nothing"]);
    check("name: card", "name: カード", &["is no name"]);
    check(
        "{action: mail_10, max: 1",
        "{action: mail_1, max: 1",
        &["which no action has; did you mean `mail_10`?"],
    );
    check("{all: true, max", "{all: false, max", &["write `all: true`"]);
    check(
        "{channel: email, max",
        "{channel: email, all: true, max",
        &["one of `all: true`, `channel` and `action`"],
    );
    check("{channel: email, max: 2, window: 7d}", "{all: true, max: 2, window: 7d}", &["another cap like"]);
    check("window: 30d", "window: 2y", &["at most 366d is expected"]);
    check("valid_until: 2026-06-01", "valid_until: 2026-02-01", &["it would never be"]);
    check("orders_30d >= 1", "orders_90d >= 1", &["MR5006", "did you mean `orders_30d`?"]);
    check("orders_30d >= 1 and", "orders_30d >= 1 &&", &["MR5005", "write `and`"]);
    check("traits: [country]", "traits: [country, orders_30d]", &["declared twice"]);
    check("score: 0.001", "score: {model: other}", &["list it under `models`"]);
    check("score: 0.001", "score: high", &["write a number or"]);
    check("models: [spring_response]", "models: []", &["says nothing about `score`"]);
    check("version: 1.2.0", "version: 1.2", &["MR5004", "write `version: 1.0.0`"]);
    check("total: 5000 EUR", "total: 5000", &["write `total: 5000 EUR`"]);
    check("total: 5000 EUR", "total: 5000 Euro", &["is no amount: write it like"]);
    check("exploration: 0.1", "exploration: .nan", &["a number from 0 to 1 is expected"]);
    check("success: [redeem]", "success: []", &["empty list"]);
}

#[test]
fn what_is_no_file_is_one_finding() {
    for text in ["", "just text", "- a\n- b", "name: [", "\u{feff}", "a: 1\na: 2"] {
        let findings = UseCase::parse(text, "u.yaml").expect_err(text);
        assert!(!findings.is_empty(), "{text}");
    }
}

proptest::proptest! {
    /// Cutting or doubling any part of the file never panics and is never silently accepted as the same.
    #[test]
    fn broken_files_never_panic(from in 0..2_600_usize, len in 0..200_usize, noise in ".{0,12}") {
        let text: String = USE_CASE.chars().take(from).chain(noise.chars())
            .chain(USE_CASE.chars().skip(from + len)).collect();
        let _ = UseCase::parse(&text, "u.yaml");
    }
}
