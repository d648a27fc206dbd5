//! Classes, impact assessments and clocks: the rules, beside real data and beside what is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use event::{Instant, Span};
use register::{Affected, Class, Facts, Harm, Incident, IncidentKind, Language, Rulebook};

fn data(name: &str) -> Option<serde_json::Value> {
    let root = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("govern").join(name);
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Some(serde_json::from_str(&text).unwrap());
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", path.display());
    eprintln!("SKIPPED register: no data");
    None
}

fn book() -> Rulebook {
    Rulebook::embedded().unwrap()
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn facts(uses: &[&str]) -> Facts {
    Facts { uses: uses.iter().map(|one| (*one).to_owned()).collect(), profiling: true, ..Facts::default() }
}

fn class(facts: &Facts, day: &str) -> register::Classification {
    book().ai_act(at(day)).unwrap().classify(facts, at(day))
}

#[test]
fn ai_act_5_and_6_the_class_is_asked_for_as_of_a_day_with_reasons_and_version() {
    let jobs = facts(&["job_ads"]);
    let today = class(&jobs, "2026-11-24");
    assert_eq!((today.class, today.coming.unwrap().class), (Class::Minimal, Class::High));
    assert_eq!(today.coming.unwrap().from.to_string(), "2027-12-02");
    assert_eq!(today.strictest(), Class::High);
    assert_eq!(today.rules, "ai_act 2026-11-24");
    assert_eq!(today.reasons[0].article, "Annex III(4)(a)");
    let later = class(&jobs, "2027-12-02");
    assert_eq!((later.class, later.coming), (Class::High, None));
    // Before the Digital Omnibus the date was another, and so is the answer.
    let before = class(&jobs, "2026-03-01");
    assert_eq!(before.rules, "ai_act 2024-07-12");
    assert_eq!(before.coming.unwrap().from.to_string(), "2026-08-02");
    let banned = class(&facts(&["social_scoring"]), "2025-02-02");
    assert_eq!(banned.class, Class::Prohibited);
    assert_eq!(class(&facts(&["social_scoring"]), "2025-02-01").class, Class::Minimal);
    let images = facts(&["intimate_images_without_safeguards"]);
    assert_eq!(class(&images, "2026-11-24").strictest(), Class::Prohibited);
    assert_eq!(class(&images, "2026-11-24").class, Class::Minimal);
    assert_eq!(class(&images, "2026-12-02").class, Class::Prohibited);
    assert!(class(&images, "2026-03-01").reasons.is_empty(), "nobody knew of it then");
    assert!(book().ai_act(at("2020-01-01")).is_none(), "before there was a law there is no class");
    assert_eq!(class(&facts(&["product_safety"]), "2028-08-02").class, Class::High);
}

#[test]
fn ai_act_6_3_a_narrow_task_is_no_way_out_where_people_are_profiled() {
    let mut narrow = facts(&["recruitment"]);
    narrow.narrow_task = Some("sorts letters by date".to_owned());
    let found = class(&narrow, "2028-01-01");
    assert_eq!(found.class, Class::High);
    assert!(!found.exempt[0].granted);
    narrow.profiling = false;
    let found = class(&narrow, "2028-01-01");
    assert_eq!((found.class, found.exempt[0].granted), (Class::Minimal, true));
    let mut fraud = facts(&["creditworthiness", "fraud_detection"]);
    fraud.narrow_task = None;
    assert_eq!(class(&fraud, "2028-01-01").class, Class::Minimal, "annex III(5)(b) leaves fraud out");
}

#[test]
fn ai_act_50_holds_since_august_2026_and_grace_is_only_for_what_was_there() {
    let mut generator = facts(&["generated_content"]);
    assert_eq!(class(&generator, "2026-11-24").class, Class::Limited);
    assert_eq!(class(&generator, "2026-07-31").class, Class::Minimal);
    generator.on_market_since = Some("2026-08-02".parse().unwrap());
    assert_eq!(class(&generator, "2026-11-24").class, Class::Limited, "a new product has no grace");
    generator.on_market_since = Some("2026-08-01".parse().unwrap());
    assert_eq!(class(&generator, "2026-11-24").class, Class::Minimal);
    assert_eq!(class(&generator, "2026-12-02").class, Class::Limited);
    let chat = class(&facts(&["chat"]), "2026-11-24");
    let book = book();
    let rules = book.ai_act(at("2026-11-24")).unwrap();
    let notices: Vec<_> = rules.notices(&chat).collect();
    assert_eq!(notices, [register::NoticeKind::Chat]);
    let text = register::notice(notices[0], Language::De).text;
    assert!(text.contains("KI-System"));
}

#[test]
fn a_use_case_whose_own_words_speak_of_credit_or_jobs_is_high_until_somebody_answers() {
    for words in
        ["credit_score of each customer", "Bonität der Kundin", "targeted job ads", "Stellenanzeigen zeigen"]
    {
        let mut said = Facts { words: words.to_owned(), profiling: true, ..Facts::default() };
        let found = class(&said, "2026-11-24");
        assert_eq!(found.strictest(), Class::High, "{words}");
        assert!(found.reasons[0].open && found.open.len() == 1, "{words}");
        said.not = ["creditworthiness", "job_ads", "recruitment"].map(str::to_owned).into();
        assert_eq!(class(&said, "2026-11-24").strictest(), Class::Minimal, "{words}");
    }
    let said = Facts {
        words: "One message for each customer who agreed, so that more of them order; store voucher"
            .to_owned(),
        ..Facts::default()
    };
    assert!(class(&said, "2026-11-24").reasons.is_empty());
}

#[test]
fn the_toolkits_examples_have_the_class_it_expects_and_its_old_dates_are_not_ours() {
    let Some(examples) = data("euaiact_examples.json") else { return };
    let uses = [
        ("socialScoring", "social_scoring"),
        ("annexIProduct", "product_safety"),
        ("interactsWithPersons", "chat"),
        ("generatesSyntheticContent", "generated_content"),
        ("emotionRecognition", "emotion_recognition"),
    ];
    let mut n = 0;
    for example in examples["examples"].as_array().unwrap() {
        let expected = example["expectedTier"].as_str().unwrap();
        let input = &example["classificationInput"];
        if input["isGPAI"] == true {
            // Models of general purpose are not what a use case is.
            continue;
        }
        let mut said: Vec<&str> =
            uses.iter().filter(|(key, _)| input[*key] == true).map(|(_, one)| *one).collect();
        match input["annexIIICategory"].as_str() {
            Some("employment") => said.push("recruitment"),
            Some("essential-services") => said.push("creditworthiness"),
            _ => {}
        }
        let found = class(&facts(&said), "2028-12-31");
        assert_eq!(found.class.as_str(), expected.trim_end_matches("-risk"), "{}", example["slug"]);
        n += 1;
    }
    assert_eq!(n, 7);
    // The toolkit's timeline is of March 2026: high risk from 2 August 2026. The Digital Omnibus moved that.
    let timeline = data("euaiact_timeline.json").unwrap();
    let stale = timeline["events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["title"] == "High-risk requirements apply");
    assert_eq!(stale.unwrap()["date"], "2026-08-02");
    assert_eq!(class(&facts(&["recruitment"]), "2026-08-02").class, Class::Minimal);
    assert_eq!(class(&facts(&["recruitment"]), "2027-12-02").class, Class::High);
}

#[test]
fn rule_sets_with_errors_are_refused_with_their_line() {
    let wrong = |text: &str, line: u32, says: &str| {
        let problems = book().add(text).unwrap_err();
        assert!(problems.iter().any(|p| p.message.contains(says)), "{problems:?} should say {says}");
        assert!(line == 0 || problems.iter().any(|p| p.line == line), "{problems:?} should be at {line}");
    };
    let head =
        "name: ai_act\nversion: 2027-01-01\nin_force_from: 2027-01-01\ntitle: {en: a, de: b}\nsources: [x]\n";
    let rule = "  - id: one\n    class: high\n    article: x\n    uses: [thing]\n    applies_from: 2027-01-01\n    text: {en: a, de: b}\n";
    let with = |rules: &str| format!("{head}rules:\n{rules}");
    book().add(&with(rule)).unwrap();
    wrong("", 1, "end of input");
    wrong("name: other", 1, "none of ai_act, dpia and clocks");
    wrong("name: [", 0, "");
    wrong(&with(&rule.replace("high", "severe")), 8, "severe");
    wrong(&with(&rule.replace("2027-01-01", "tomorrow")), 11, "tomorrow");
    wrong(&with(&rule.replace("2027-01-01", "2027-02-30")), 11, "2027-02-30");
    wrong(&with(&format!("{rule}{rule}")), 7, "twice");
    wrong(&with(&rule.replace("[thing]", "[]")), 7, "no use");
    wrong(&with(&rule.replace("applies_from", "aplies_from")), 11, "aplies_from");
    wrong(&with(&format!("{rule}    words: ['(']\n")), 13, "no pattern");
    wrong(&with(&format!("{rule}    words: ['{}']\n", "(a{1000}){1000}")), 13, "no pattern");
    wrong(&with(&format!("{rule}    requires: [spell]\n")), 7, "spell");
    wrong(&with(&format!("{rule}    applies_until: 2026-01-01\n")), 7, "ends before it begins");
    wrong(head, 1, "no rule");
    wrong(&format!("{head}based_on: ai_act 1999-01-01\n"), 1, "no rule set");
    wrong(&format!("{head}based_on: ai_act 2026-11-24\nwithout: [nothing]\n"), 1, "no rule of");
    wrong(&"x".repeat(2 << 20), 1, "1 MiB");
    wrong(
        "name: dpia\nversion: 2027-01-01\nin_force_from: 2027-01-01\ntitle: {en: a, de: b}\nsources: []\nfacts: []\n\
           criteria: [gone]\ncriteria_needed: 0\nrules: []\n",
        7,
        "none of its `facts`",
    );
}

#[test]
fn a_newer_rule_set_of_the_project_counts_and_only_from_its_day() {
    let mut book = book();
    let text = "name: ai_act\nversion: 2027-01-01\nin_force_from: 2027-01-01\ntitle: {en: a, de: b}\nsources: [x]\n\
                based_on: ai_act 2026-11-24\ndates: {annex_iii_4_a: 2029-01-01}\n";
    book.add(text).unwrap();
    let jobs = facts(&["job_ads"]);
    let ask = |day: &str| book.ai_act(at(day)).unwrap().classify(&jobs, at(day));
    assert_eq!(ask("2028-01-01").class, Class::Minimal);
    assert_eq!(ask("2028-01-01").rules, "ai_act 2027-01-01");
    assert_eq!(ask("2026-11-24").coming.unwrap().from.to_string(), "2027-12-02");
}

#[test]
fn art_35_an_impact_assessment_is_due_by_rule_or_by_two_criteria() {
    let book = book();
    let need = |names: &[&str]| {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        book.dpia(at("2026-11-24")).unwrap().need(&names)
    };
    assert!(!need(&[]).is_due());
    assert!(!need(&["scoring"]).is_due());
    let two = need(&["scoring", "large_scale"]);
    assert_eq!(two.triggers.iter().map(|t| t.rule.as_str()).collect::<Vec<_>>(), ["criteria"]);
    assert!(need(&["scoring", "significant_effect"]).triggers.iter().any(|t| t.rule == "art_35_3_a"));
    assert!(need(&["special_categories", "large_scale"]).triggers.iter().any(|t| t.rule == "art_35_3_b"));
    assert!(need(&["ai_high_risk"]).is_due());
    assert_eq!(need(&["moon"]).unknown, ["moon"]);
}

fn incident(kind: IncidentKind, harm: Harm, aware: &str) -> Incident {
    Incident {
        id: "2026-0001".to_owned(),
        kind,
        harm,
        aware_at: at(aware),
        began_at: None,
        by: "Dana Beispiel".to_owned(),
        what: "A file was sent to the wrong address".to_owned(),
        use_case: None,
        streams: vec!["orders".to_owned()],
        affected: Affected { n_records: 12, n_subjects: 7, ..Affected::default() },
        measures: String::new(),
        told: Vec::new(),
        closed: None,
    }
}

#[test]
fn art_33_72_hours_run_from_knowing_and_proposals_do_not_count() {
    let book = book();
    let breach = incident(IncidentKind::Breach, Harm::Risk, "2026-11-20T10:00:00Z");
    let now = at("2026-11-23T09:59:00Z");
    let due = breach.clocks(book.clocks(now), now, Language::En);
    assert_eq!(due.len(), 1);
    assert_eq!(
        (due[0].clock.as_str(), due[0].until, due[0].late),
        ("gdpr_33", Some(at("2026-11-23T10:00:00Z")), false)
    );
    let late = breach.clocks(book.clocks(now), now + Span::from_secs(61), Language::En);
    assert!(late[0].late);
    let high = incident(IncidentKind::Breach, Harm::HighRisk, "2026-11-20T10:00:00Z");
    let due = high.clocks(book.clocks(now), now + Span::from_days(9), Language::De);
    let named: Vec<(&str, bool, bool)> = due.iter().map(|d| (d.clock.as_str(), d.late, d.proposed)).collect();
    assert_eq!(
        named,
        [("gdpr_33", true, false), ("gdpr_33_omnibus", false, true), ("gdpr_34", false, false)]
    );
    let none = incident(IncidentKind::Breach, Harm::None, "2026-11-20T10:00:00Z");
    assert!(none.clocks(book.clocks(now), now, Language::En).is_empty(), "it is written down all the same");
    let draft = register::notification(&high, &due, &register::Controller::default(), now, Language::De)
        .to_markdown();
    assert!(draft.contains("Personen (ungefähr): 7") && draft.contains("2026-11-23 10:00 UTC"), "{draft}");
}

#[test]
fn ai_act_73_days_go_by_the_harm() {
    let book = book();
    let now = at("2026-11-24");
    let until = |harm: Harm| {
        let due = incident(IncidentKind::AiIncident, harm, "2026-11-01").clocks(
            book.clocks(now),
            now,
            Language::En,
        );
        due.first().map(|first| (first.article.clone(), first.until.unwrap() - at("2026-11-01")))
    };
    let days = Span::from_days;
    assert_eq!(until(Harm::Risk), Some(("AI Act Art. 73(2)".to_owned(), days(15))));
    assert_eq!(until(Harm::Death), Some(("AI Act Art. 73(4)".to_owned(), days(10))));
    assert_eq!(until(Harm::Widespread), Some(("AI Act Art. 73(3)".to_owned(), days(2))));
    let before = incident(IncidentKind::AiIncident, Harm::Death, "2026-01-01");
    assert!(
        before.clocks(book.clocks(now), now, Language::En).is_empty(),
        "article 73 applies from August 2026"
    );
}

#[test]
fn incidents_with_impossible_dates_or_without_words_are_refused() {
    let now = at("2026-11-24T12:00:00Z");
    let wrong = |change: &dyn Fn(&mut Incident), says: &str| {
        let mut one = incident(IncidentKind::Breach, Harm::Risk, "2026-11-20");
        change(&mut one);
        let error = one.check(now).unwrap_err();
        assert!(error.to_string().contains(says) && error.code() == "MR3731", "{error}");
    };
    wrong(&|one| one.aware_at = at("2026-11-25"), "still to come");
    wrong(&|one| one.began_at = Some(at("2026-11-21")), "after it was known");
    wrong(&|one| one.aware_at = at("2001-01-01"), "ten years");
    wrong(&|one| one.what = "  ".to_owned(), "needs what happened");
    wrong(&|one| one.by.clear(), "who says so");
    wrong(&|one| one.what = "x".repeat(20_000), "the most");
    wrong(&|one| one.harm = Harm::Always, "no harm");
    incident(IncidentKind::Breach, Harm::Risk, "2026-11-20").check(now).unwrap();
}
