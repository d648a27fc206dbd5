//! Registers from the running house: what may begin, who signs, who stops, what is written down.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use event::Span;
use house::{FileLayout, Handed, House, Identifier, IncidentAsked, Project};
use intake::segment::Endpoint;
use policy::{Principal, Scope, Status};
use register::{Class, Harm, IncidentKind, Language, Verdict};
use serde_json::{Map, json};

const SETTINGS: &str = r#"
[instance]
partitions = 3
[state]
commit_every_ms = 20
[delivery]
webhook = "https://user:secret@hooks.example.org/in?key=1"
[telemetry]
otlp = "http://collector.example.org:4318"
[purposes.personalisation]
basis = "consent"
description = "Angebote für Käuferinnen"
[purposes.email_marketing]
basis = "consent"
[registers]
controller = "Beispiel GmbH, Musterstraße 1, Köln"
contact = "privacy@example.org"
data_protection_officer = "Dana Beispiel"
signatories = ["Dana Beispiel", "Emil Muster"]
[registers.recipients."Druckerei Süd"]
what = "Adressen"
purposes = ["email_marketing"]
country = "DE"
"#;

const CONTRACT: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true, classification: internal}
      - {name: total_cents, logicalType: integer, required: true, classification: internal, logicalTypeOptions: {minimum: 0}}
      - {name: allergy, logicalType: string, classification: CLASS}
      - {name: user_id, logicalType: string, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: ["track:Order Completed"]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: dedupKey, value: [order_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: personalisation, basis: consent}]}
"#;

const PEOPLE: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: people
name: people
version: 1.0.0
status: active
schema:
  - name: people
    logicalType: object
    properties:
      - {name: email, logicalType: string, classification: personal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: [identify]}
  - {property: owner, value: Ada}
  - {property: traits, value: true}
  - {property: subjectKey, value: [user_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: personalisation, basis: consent}, {name: email_marketing, basis: consent}]}
"#;

const VIEW: &str = "
view: orders
version: 1
stream: orders
purposes: [personalisation]
features:
  - {name: n_30d, agg: count, window: 30d}
";

const USE_CASE: &str = "
name: next
version: 1.0.0
description: One message a week
responsible: Ada <ada@example.org>
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [orders.n_30d]}
outputs: [action]
sources: [orders]
purpose: personalisation
legal_basis: consent
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/next.jsonl
budget: {name: next, total: 1 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: next}
caps: []
actions:
  - {name: mail, channel: email, creative: a, offer: b, cost: 0.05 EUR, purpose: email_marketing, score: 0.5}
";

fn write(dir: &Path, use_case: &str, class: &str) {
    let put = |path: &str, text: &str| {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("maschinenraum.toml", SETTINGS);
    put("contracts/orders.yaml", &CONTRACT.replace("CLASS", class));
    put("contracts/people.yaml", PEOPLE);
    put("features/orders.yaml", VIEW);
    put("usecases/next.yaml", use_case);
    put("goldsets/next.jsonl", "");
    put("registers/paper.md", "Risiken: gering.\n\nMaßnahmen: Einwilligung.");
}

fn errors(use_case: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), use_case, "personal");
    let (_, findings) = Project::read(dir.path()).unwrap();
    findings.iter().map(ToString::to_string).collect()
}

fn open_with(dir: &Path, use_case: &str, class: &str) -> Arc<House> {
    write(dir, use_case, class);
    Arc::new(House::open(Project::load(dir).unwrap()).unwrap())
}

fn with(duties: &str) -> String {
    format!("{USE_CASE}\n{duties}\n")
}

fn user(value: &str) -> Identifier {
    Identifier { kind: "user_id".into(), value: value.into() }
}

fn all() -> Principal {
    Principal::new("test", Scope::ALL)
}

fn meet(house: &Arc<House>, who: &str) {
    let (send, receive) = mpsc::channel();
    let body = json!({"batch": [
        {"type": "identify", "messageId": format!("i{who}"), "userId": who, "traits": {"email": format!("{who}@example.org")}},
        {"type": "track", "event": "Order Completed", "messageId": format!("o{who}"), "userId": who,
         "properties": {"order_id": format!("o{who}"), "total_cents": 100, "allergy": "nuts"}},
    ]});
    let body = serde_json::to_vec(&body).unwrap();
    house.track(Endpoint::Batch, &body, Box::new(move |result| send.send(result).unwrap()));
    assert_eq!(receive.recv().unwrap().unwrap().counts.n_quarantined, 0);
    house.engine().settle(Duration::from_secs(20)).unwrap();
    for purpose in ["personalisation", "email_marketing"] {
        house.consent(&user(who), purpose, Status::Granted, "v1", "form", None).unwrap();
    }
    while house.do_chores().unwrap() > 0 {}
}

fn decide(house: &House, who: &str) -> Result<decide::DecisionRecord, house::Error> {
    house.decide(&all(), "next", &user(who), &Map::new())
}

#[test]
fn art_30_register_is_generated_from_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let house = open_with(dir.path(), USE_CASE, "special");
    meet(&house, "ada");
    let asked = house.export_stream(
        &Principal::new("ada", Scope::ALL),
        "orders",
        "personalisation",
        FileLayout::Fields,
        &dir.path().join("orders.parquet"),
    );
    asked.unwrap();
    let ropa = house.record_of_processing().unwrap();
    let names: Vec<&str> = ropa.activities.iter().map(|one| one.purpose.as_str()).collect();
    assert_eq!(names, ["email_marketing", "personalisation"]);
    let personal = &ropa.activities[1];
    assert_eq!((personal.basis.as_str(), personal.use_cases[0].name.as_str()), ("consent", "next"));
    let orders = personal.streams.iter().find(|stream| stream.name == "orders").unwrap();
    assert_eq!(
        (orders.n_records, orders.retention.as_deref(), orders.owner.as_str()),
        (1, Some("1095d"), "Ada")
    );
    assert!(orders.fields.iter().any(|field| field.name == "allergy" && field.class == "special"));
    let gets = |purpose: usize, who: &str, what: &str| {
        let mut known = ropa.activities[purpose].recipients.iter();
        known.any(|one| one.name == who && one.what.en.contains(what) && one.live)
    };
    assert!(gets(1, "ada", "took out a stream `orders`: once"), "{:?}", personal.recipients);
    assert!(!gets(0, "ada", ""), "taken out for another purpose: {:?}", ropa.activities[0].recipients);
    assert!((0..2).all(|purpose| gets(purpose, "collector.example.org:4318", "traces of requests")));
    let german = house.ropa(Language::De).unwrap().to_markdown();
    for said in [
        "entnahm einen Strom",
        "Spuren von Anfragen (OTLP)",
        "Musterstraße 1",
        "Angebote für Käuferinnen",
        "Einwilligung, Art. 6 Abs. 1 lit. a",
        "ART. 9: allergy",
        "hooks.example.org",
        "Druckerei Süd",
    ] {
        assert!(german.contains(said), "{said} is missing in {german}");
    }
    assert!(!german.contains("secret") && !german.contains("key=1"), "an address may hold a secret");
    let pdf = house.ropa(Language::De).unwrap().to_pdf().unwrap();
    assert!(pdf.starts_with(b"%PDF") && pdf.len() > 20_000);
    assert!(house.verify(|_| {}).unwrap().holds(), "replay gives another state");
}

#[test]
fn art_30_an_unregistered_flow_is_a_startup_error() {
    let wrong = |use_case: &str, code: &str, says: &str| {
        let found = errors(use_case);
        assert!(
            found.iter().any(|one| one.contains(code) && one.contains(says)),
            "{code} {says}: {found:#?}"
        );
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), use_case, "personal");
        assert!(Project::load(dir.path()).is_err());
    };
    wrong(&USE_CASE.replace("purpose: personalisation", "purpose: email_marketing"), "MR3701", "`orders`");
    wrong(
        &USE_CASE.replace("legal_basis: consent", "legal_basis: contract"),
        "MR3701",
        "rests on `contract`",
    );
    assert!(errors(USE_CASE).is_empty(), "{:#?}", errors(USE_CASE));
}

#[test]
fn art_6_a_purpose_without_a_legal_basis_and_a_use_case_without_responsible_or_purpose_do_not_start() {
    let missing = |line: &str, says: &str| {
        let found = errors(&USE_CASE.replace(line, "\n"));
        assert!(found.iter().any(|one| one.contains(says)), "{says}: {found:#?}");
    };
    missing("responsible: Ada <ada@example.org>", "responsible");
    missing("\npurpose: personalisation\n", "purpose");
    missing("legal_basis: consent", "legal_basis");
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), USE_CASE, "personal");
    let settings = dir.path().join("maschinenraum.toml");
    for (from, to) in [
        ("basis = \"consent\"\ndescription", "description"),
        ("basis = \"consent\"\ndescription", "basis = \"because\"\ndescription"),
    ] {
        std::fs::write(&settings, SETTINGS.replacen(from, to, 1)).unwrap();
        assert!(Project::load(dir.path()).is_err(), "{to}");
    }
}

#[test]
fn ai_act_6_a_use_case_reused_for_credit_or_job_ads_flips_to_high_and_is_blocked() {
    let flips = |use_case: &str, code: &str| {
        let found = errors(use_case);
        assert!(found.iter().any(|one| one.contains(code)), "{code}: {found:#?}");
    };
    flips(&USE_CASE.replace("One message a week", "Credit score of each customer"), "MR3704");
    flips(&USE_CASE.replace("name: mail,", "name: job_offer_mail,"), "MR3704");
    flips(&with("ai_act: {uses: [creditworthiness]}"), "MR3703");
    flips(&with("ai_act: {uses: [social_scoring]}"), "MR3702");
    flips(&with("ai_act: {uses: [credit]}"), "MR3705");
    flips(&with("dpia: {facts: [moonlight]}"), "MR3705");
    let answered = USE_CASE.replace("One message a week", "Store credit check of vouchers");
    let answered =
        format!("{answered}\nai_act: {{not: [creditworthiness], because: a voucher is no credit}}\n");
    assert!(errors(&answered).is_empty(), "{:#?}", errors(&answered));
    // Said as it is, the project starts, and the use case decides nothing until everything is there.
    let high = with("ai_act: {uses: [job_ads]}").replace("risk_class: minimal", "risk_class: high");
    let dir = tempfile::tempdir().unwrap();
    let house = open_with(dir.path(), &high, "personal");
    meet(&house, "ada");
    let blocked = decide(&house, "ada").unwrap_err();
    assert_eq!(blocked.code(), "MR3712", "{blocked}");
    assert!(blocked.to_string().contains("Art. 9"), "{blocked}");
    let standing = house.use_case_standing("next").unwrap();
    assert_eq!(standing.assessment.classification.coming.unwrap().class, Class::High);
    let now = house.assessments(None).unwrap();
    assert_eq!(
        now[0].0.classification.rules, "ai_act 2026-11-24",
        "the rules' version is kept with the class"
    );
    let then = house.assessments(Some("2028-01-01".parse().unwrap())).unwrap();
    assert_eq!(then[0].0.classification.class, Class::High);
    let text = house.risk_register(Some("2028-01-01".parse().unwrap()), Language::De).unwrap().to_markdown();
    assert!(text.contains("Annex III(4)(a)") && text.contains("Stellenanzeigen"), "{text}");
}

#[test]
fn ai_act_9_to_15_class_high_begins_with_its_papers_and_four_eyes() {
    let papers = "ai_act: {uses: [job_ads], oversight: [Ann, Bo], risk_file: registers/paper.md, instructions: registers/paper.md}\n\
                  dpia: {file: registers/paper.md}";
    let high = with(papers).replace("risk_class: minimal", "risk_class: high");
    let dir = tempfile::tempdir().unwrap();
    let house = open_with(dir.path(), &high, "personal");
    meet(&house, "ada");
    let blocked = decide(&house, "ada").unwrap_err();
    assert_eq!(blocked.code(), "MR3710", "{blocked}");
    assert!(!house.sign_dpia("next", "Dana Beispiel", "read").unwrap().in_effect);
    assert_eq!(house.sign_dpia("next", "Dana Beispiel", "again").unwrap_err().code(), "MR3711");
    assert_eq!(decide(&house, "ada").unwrap_err().code(), "MR3710");
    assert!(house.sign_dpia("next", "Emil Muster", "read too").unwrap().in_effect);
    assert_eq!(decide(&house, "ada").unwrap().chosen.action, "mail");
    let page = house.impact_assessment("next", Language::De).unwrap().to_markdown();
    assert!(page.contains("Emil Muster") && page.contains("Maßnahmen: Einwilligung"), "{page}");
    let annex = house.annex_iv("next", Language::En).unwrap().to_html();
    assert!(annex.contains("registers/paper.md") && annex.contains("Annex III(4)(a)"));
    // The paper is changed: what was signed is something else.
    house.close();
    drop(house);
    write(dir.path(), &high, "personal");
    std::fs::write(dir.path().join("registers/paper.md"), "Anders.").unwrap();
    let house = Arc::new(House::open(Project::load(dir.path()).unwrap()).unwrap());
    assert_eq!(decide(&house, "ada").unwrap_err().code(), "MR3710");
}

#[test]
fn art_35_a_use_case_waits_for_its_signed_impact_assessment_and_replay_knows_it() {
    let dir = tempfile::tempdir().unwrap();
    let due = with("dpia: {facts: [vulnerable_subjects]}");
    let house = open_with(dir.path(), &due, "personal");
    meet(&house, "ada");
    assert_eq!(decide(&house, "ada").unwrap_err().code(), "MR3710");
    for (by, note) in [("Nobody", ""), ("", ""), ("Dana Beispiel", &"x".repeat(5_000) as &str)] {
        assert_eq!(house.sign_dpia("next", by, note).unwrap_err().code(), "MR3711", "{by}");
    }
    house.sign_dpia("next", "Dana Beispiel", "").unwrap();
    assert_eq!(decide(&house, "ada").unwrap().chosen.action, "mail");
    assert!(house.verify(|_| {}).unwrap().holds(), "replay gives another state");
    house.close();
    drop(house);
    let house = open_with(dir.path(), &due, "personal");
    decide(&house, "ada").unwrap();
    assert_eq!(
        house.use_case_standing("next").unwrap().state.earlier.len(),
        0,
        "nothing new, nothing appended"
    );
    // None is due: none can be signed.
    let dir = tempfile::tempdir().unwrap();
    let house = open_with(dir.path(), USE_CASE, "personal");
    assert_eq!(house.sign_dpia("next", "Dana Beispiel", "").unwrap_err().code(), "MR3711");
    assert_eq!(house.sign_dpia("nowhere", "Dana Beispiel", "").unwrap_err().code(), "MR5040");
}

#[test]
fn ai_act_14_a_person_stops_a_use_case_at_its_next_decision_and_what_is_queued_stays() {
    let dir = tempfile::tempdir().unwrap();
    let house = open_with(dir.path(), USE_CASE, "personal");
    meet(&house, "ada");
    decide(&house, "ada").unwrap();
    assert_eq!(
        house.stop_use_case("next", "anybody", "").unwrap_err().code(),
        "MR3721",
        "a reason is needed"
    );
    house.stop_use_case("next", "anybody", "complaints").unwrap();
    let stopped = decide(&house, "ada").unwrap_err();
    assert_eq!(stopped.code(), "MR3720", "{stopped}");
    assert!(stopped.to_string().contains("complaints"));
    let sent = house.deliver("tool", |_| panic!("it is stopped")).unwrap();
    assert_eq!((sent.n_sent, sent.n_left), (0, 1));
    assert_eq!(house.stop_use_case("next", "anybody", "again").unwrap_err().code(), "MR3721");
    assert_eq!(
        house.resume_use_case("next", "anybody", "fine").unwrap_err().code(),
        "MR3721",
        "not one who may"
    );
    assert!(house.resume_use_case("next", "Dana Beispiel", "checked").unwrap().in_effect);
    assert_eq!(house.resume_use_case("next", "Dana Beispiel", "checked").unwrap_err().code(), "MR3721");
    decide(&house, "ada").unwrap();
    assert_eq!(house.deliver("tool", |_| Handed::Sent).unwrap().n_sent, 2);
}

#[test]
fn art_22_what_weighs_on_people_needs_a_ground_or_a_person_before_it_leaves() {
    assert!(errors(&with("ai_act: {effect: significant}")).iter().any(|one| one.contains("MR3713")));
    assert!(
        !errors(&with("ai_act: {effect: significant, review: on_request}"))
            .iter()
            .any(|one| one.contains("MR3713"))
    );
    let dir = tempfile::tempdir().unwrap();
    let house = open_with(dir.path(), &with("ai_act: {effect: legal, review: before}"), "personal");
    meet(&house, "ada");
    house.sign_dpia("next", "Dana Beispiel", "effect of weight").unwrap();
    let (first, second) = (decide(&house, "ada").unwrap(), decide(&house, "ada").unwrap());
    let sent = house.deliver("tool", |_| panic!("nobody has looked")).unwrap();
    assert_eq!((sent.n_sent, sent.n_left), (0, 2));
    let by = "Emil Muster";
    house.review_decision(first.decision, Verdict::Approve, by, "fits").unwrap();
    house.review_decision(second.decision, Verdict::Overrule, by, "too young").unwrap();
    let again = house.review_decision(second.decision, Verdict::Approve, by, "or not").unwrap_err();
    assert_eq!(again.code(), "MR3721", "{again}");
    let mut sent = Vec::new();
    let done = house
        .deliver("tool", |delivery| {
            sent.push(delivery.idempotency_key.clone());
            Handed::Sent
        })
        .unwrap();
    assert_eq!(sent, [first.decision.to_string()]);
    assert_eq!(done.n_released, 1, "what is overruled is given back");
}

#[test]
fn art_33_one_query_counts_subjects_and_categories_and_starts_72_hours() {
    let dir = tempfile::tempdir().unwrap();
    let house = open_with(dir.path(), USE_CASE, "special");
    meet(&house, "ada");
    meet(&house, "bob");
    let asked = || IncidentAsked {
        kind: IncidentKind::Breach,
        harm: Harm::HighRisk,
        what: "Ein Export ging an die falsche Adresse".to_owned(),
        measures: String::new(),
        streams: vec!["orders".to_owned()],
        use_case: None,
        from: None,
        until: None,
        aware_at: None,
        began_at: None,
    };
    let incident = house.open_incident("Dana Beispiel", asked()).unwrap();
    assert_eq!((incident.affected.n_subjects, incident.affected.n_records), (2, 2));
    let special = incident.affected.categories.iter().find(|one| one.class == "special").unwrap();
    assert_eq!(special.fields, ["allergy"]);
    let (known, due) = house.incident(&incident.id, Language::De).unwrap();
    let authority = due.iter().find(|one| one.clock == "gdpr_33").unwrap();
    assert_eq!(authority.until.unwrap() - known.aware_at, Span::from_secs(72 * 3_600));
    assert!(due.iter().any(|one| one.clock == "gdpr_34"), "a high risk: the people too");
    let draft = house.incident_notification(&incident.id, Language::De).unwrap().to_markdown();
    assert!(draft.contains("Personen (ungefähr): 2") && draft.contains("Beispiel GmbH"), "{draft}");
    assert_eq!(
        house.close_incident(&incident.id, "Dana", "done").unwrap_err().code(),
        "MR3731",
        "clocks run"
    );
    assert_eq!(house.tell_incident(&incident.id, "nothing", "Dana", "x").unwrap_err().code(), "MR3731");
    for clock in ["gdpr_33", "gdpr_34"] {
        house.tell_incident(&incident.id, clock, "Dana", "LDA 4711").unwrap();
    }
    assert!(house.close_incident(&incident.id, "Dana", "all told").unwrap().closed.is_some());
    // Bad input.
    let wrong = |change: &dyn Fn(&mut IncidentAsked), code: &str| {
        let mut one = asked();
        change(&mut one);
        assert_eq!(house.open_incident("Dana", one).unwrap_err().code(), code);
    };
    wrong(&|one| one.streams = vec!["nowhere".to_owned()], "MR1040");
    wrong(&|one| one.use_case = Some("nowhere".to_owned()), "MR5040");
    wrong(&|one| one.aware_at = Some(house.now() + Span::from_days(1)), "MR3731");
    wrong(
        &|one| (one.from, one.until) = (Some(house.now()), Some(house.now() - Span::from_days(1))),
        "MR3731",
    );
    assert_eq!(house.open_incident("", asked()).unwrap_err().code(), "MR3731");
    assert_eq!(house.incident("2020-0001", Language::En).unwrap_err().code(), "MR3730");
    assert!(house.verify(|_| {}).unwrap().holds(), "replay gives another state");
}

#[test]
fn ai_act_50_people_are_told_with_what_they_get() {
    let chat = with("ai_act: {uses: [chat]}").replace("risk_class: minimal", "risk_class: limited");
    let dir = tempfile::tempdir().unwrap();
    let house = open_with(dir.path(), &chat, "personal");
    meet(&house, "ada");
    let notices = house.ai_notices("next", Language::De).unwrap();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].text.contains("KI-System"));
    // Talking to people with what is known of them: new technology and scoring, by two criteria.
    assert_eq!(decide(&house, "ada").unwrap_err().code(), "MR3710");
    let dir = tempfile::tempdir().unwrap();
    let house = open_with(dir.path(), USE_CASE, "personal");
    assert!(house.ai_notices("next", Language::En).unwrap().is_empty());
}

#[test]
fn rule_files_of_the_project_count_and_those_with_errors_stop_it() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &with("ai_act: {uses: [job_ads]}"), "personal");
    let rules = dir.path().join("rules");
    std::fs::create_dir_all(&rules).unwrap();
    let set = "name: ai_act\nversion: 2026-11-25\nin_force_from: 2026-11-01\ntitle: {en: a, de: b}\nsources: [x]\n\
               based_on: ai_act 2026-11-24\nwithout: [annex_iii_4_a]\nrules: [{id: x, class: limited, article: y, uses: [job_ads], \
               applies_from: 2026-11-01, text: {en: a, de: b}}]\n";
    std::fs::write(rules.join("ai_act.yaml"), set).unwrap();
    let found = Project::read(dir.path()).unwrap().1;
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|one| one.contains("MR3703") && one.contains("ai_act 2026-11-25")), "{said:#?}");
    std::fs::write(rules.join("ai_act.yaml"), set.replace("limited", "severe")).unwrap();
    let found = Project::read(dir.path()).unwrap().1;
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|one| one.contains("MR3706") && one.contains("rules/ai_act.yaml")), "{said:#?}");
    assert!(Project::load(dir.path()).is_err());
}
