//! People by hand and by rule: what is merged and taken back is as if it had never been — profiles, traits, features,
//! caps, segments — with any number of partitions; segments now are segments as of now.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use decide::NO_ACTION;
use house::{House, Project};
use policy::{Principal, Scope, Status};
use serde_json::{Map, Value, json};
use support::{all, id, track, user};

const SETTINGS: &str = r#"
[instance]
partitions = PARTITIONS
[state]
commit_every_ms = 20
[purposes.service]
basis = "contract"
[purposes.marketing]
basis = "consent"
[identity.traits]
order = ["crm", "people"]
[identity.traits.of]
city = ["people", "crm"]
"#;

const ORDERS: &str = r#"
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
      - {name: total_cents, logicalType: integer, required: true, classification: internal}
      - {name: user_id, logicalType: string, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
      - {name: device, logicalType: string, classification: personal, customProperties: [{property: source, value: /anonymousId}, {property: identifier, value: anonymous_id}]}
customProperties:
  - {property: source, value: ["track:Order Completed"]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id, device]}
  - {property: dedupKey, value: [order_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: service, basis: contract}, {name: marketing, basis: consent}]}
"#;

const PEOPLE: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: NAME
name: NAME
version: 1.0.0
status: active
schema:
  - name: NAME
    logicalType: object
    properties:
      - {name: email, logicalType: string, classification: personal}
      - {name: city, logicalType: string, classification: personal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: ["SOURCE"]}
  - {property: owner, value: Ada}
  - {property: traits, value: true}
  - {property: subjectKey, value: [user_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: service, basis: contract}, {name: marketing, basis: consent}]}
"#;

const VIEW: &str = "
view: orders
version: 1
stream: orders
purposes: [service, marketing]
features:
  - {name: n_30d, agg: count, window: 30d}
  - {name: spent_cents, agg: sum, of: total_cents, default: 0}
";

const USE_CASE: &str = "
name: next
version: 1.0.0
responsible: Ada <ada@example.org>
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [orders.n_30d]}
outputs: [action]
sources: [orders]
purpose: service
legal_basis: contract
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/next.jsonl
budget: {name: next, total: 1 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: next}
caps: [{channel: email, max: 1, window: 7d}]
actions:
  - {name: mail, channel: email, creative: a, offer: b, cost: 0.05 EUR, purpose: service, score: 0.5}
";

const SEGMENTS: [(&str, &str); 3] = [
    ("buyers", "orders.n_30d >= 2"),
    ("koeln", "orders.spent_cents >= 2000 and trait.city = 'Köln'"),
    ("others", "not (orders.n_30d >= 2) or trait.city is missing"),
];

fn open(dir: &Path, partitions: u16) -> Arc<House> {
    let write = |path: &str, text: &str| support::write(dir, path, text);
    write("maschinenraum.toml", &SETTINGS.replace("PARTITIONS", &partitions.to_string()));
    write("contracts/orders.yaml", ORDERS);
    write("contracts/people.yaml", &PEOPLE.replace("NAME", "people").replace("SOURCE", "identify"));
    write("contracts/crm.yaml", &PEOPLE.replace("NAME", "crm").replace("SOURCE", "track:Known"));
    write("features/orders.yaml", VIEW);
    write("usecases/next.yaml", USE_CASE);
    write("goldsets/next.jsonl", "");
    for (name, rule) in SEGMENTS {
        let purpose = if name == "others" { "marketing" } else { "service" };
        let text = format!("segment: {name}\nowner: Ada\npurpose: {purpose}\nrule: \"{rule}\"\n");
        write(&format!("segments/{name}.yaml"), &text);
    }
    support::open(dir)
}

fn order(n: u32, user: &str, device: &str) -> Value {
    json!({"type": "track", "event": "Order Completed", "messageId": format!("m{n}"), "userId": user,
        "anonymousId": device, "properties": {"order_id": format!("o{n}"), "total_cents": 1_000}})
}

fn identify(user: &str, city: &str) -> Value {
    json!({"type": "identify", "messageId": format!("i{user}{city}"), "userId": user, "traits": {"city": city, "email": format!("{user}@web.example")}})
}

fn known(user: &str, city: &str) -> Value {
    json!({"type": "track", "event": "Known", "messageId": format!("k{user}"), "userId": user,
        "properties": {"city": city, "email": format!("{user}@crm.example")}})
}

/// Everything that can be seen of everybody: profiles, traits, features, whether the cap is reached, segments.
fn seen(house: &Arc<House>) -> Value {
    let mut seen = Map::new();
    for who in ["ada", "bob", "cyd", "dee"] {
        let profile = house.profile(&all(), &user(who), "service").unwrap();
        let (_, values) = house.features(&all(), &user(who), "service", &["orders".into()]).unwrap();
        let values: Vec<String> = values[0].iter().map(|(f, v)| format!("{}={v:?}", f.name())).collect();
        let profile = serde_json::to_value(profile).unwrap();
        seen.insert(who.to_owned(), json!({"profile": profile, "values": values}));
    }
    for (name, _) in SEGMENTS {
        let (count, profiles) = house.segment_profiles(&all(), name, None).unwrap();
        seen.insert(name.to_owned(), json!({"n_of": count.n_of, "profiles": profiles}));
        let now = house.clock().settled();
        let (then, as_of) = house.segment_profiles(&all(), name, Some(now)).unwrap();
        assert_eq!((then.n_of, &as_of), (count.n_of, &profiles), "segment {name}: live is as of now");
    }
    Value::Object(seen)
}

fn decides(house: &Arc<House>, who: &str) -> String {
    while house.do_chores().unwrap() > 0 {}
    house.decide(&all(), "next", &user(who), &Map::new()).unwrap().chosen.action
}

#[test]
fn what_is_merged_and_taken_back_was_never_merged() {
    for partitions in [1, 7] {
        let dir = tempfile::tempdir().unwrap();
        let house = open(dir.path(), partitions);
        track(
            &house,
            &[
                order(1, "ada", "d1"),
                order(2, "bob", "d2"),
                order(3, "bob", "d2"),
                order(4, "cyd", "d3"),
                order(5, "dee", "d4"),
                identify("ada", "Köln"),
                known("ada", "Bonn"),
                identify("bob", "Ulm"),
                known("cyd", "Köln"),
            ],
        );
        for who in ["ada", "bob"] {
            house.consent(&user(who), "marketing", Status::Granted, "v1", "form", None).unwrap();
        }
        let before = seen(&house);
        assert_eq!(
            before["ada"]["profile"]["traits"]["city"]["value"], "Köln",
            "of this trait the site knows best"
        );
        assert_eq!(before["ada"]["profile"]["traits"]["email"]["value"], "ada@crm.example");
        assert_eq!(before["buyers"]["profiles"].as_array().unwrap().len(), 1);
        assert_eq!(before["others"]["n_of"], 2, "nobody is counted who did not say yes");

        let then = house.clock().settled();
        let merged = house.merge(&user("ada"), &user("bob"), "ann", "T-1").unwrap();
        assert!(merged.together && merged.members.len() == 4);
        assert_eq!(
            house.merge(&id("anonymous_id", "d1"), &user("bob"), "ann", "").unwrap_err().code(),
            "MR3105"
        );
        let during = seen(&house);
        assert_eq!(during["ada"], during["bob"], "one person, whoever is asked for");
        assert_eq!(
            during["koeln"]["profiles"].as_array().unwrap().len(),
            1,
            "three orders and a city together"
        );
        // The cap is one mail in seven days for the person, while they are one.
        assert_eq!(decides(&house, "ada"), "mail");
        assert_eq!(decides(&house, "bob"), NO_ACTION);
        let why = house.explain_profile(&all(), &user("ada"), "service", None).unwrap();
        assert_eq!(why.members.iter().filter(|held| !held.by_hand.is_empty()).count(), 2);
        // Named by any identifier of the two.
        let parted =
            house.unmerge(&id("anonymous_id", "d2"), &id("anonymous_id", "d1"), "ann", "T-2").unwrap();
        assert!(!parted.together);
        assert_eq!(house.unmerge(&user("ada"), &user("bob"), "ann", "").unwrap_err().code(), "MR3104");

        let split = house.split(&id("anonymous_id", "d3"), "ann", "kiosk").unwrap();
        assert_eq!(split.members.len(), 1);
        assert_eq!(house.split(&id("anonymous_id", "d3"), "ann", "").unwrap_err().code(), "MR3105");
        house.rejoin(&id("anonymous_id", "d3"), "ann", "").unwrap();
        assert_eq!(seen(&house), before, "what is taken back was never done");
        assert_eq!(decides(&house, "ada"), NO_ACTION, "her mail counts for her");
        assert_eq!(decides(&house, "bob"), "mail", "and never counted for him");

        let count = house.count_segment(&all(), "koeln", Some(then)).unwrap();
        assert_eq!((count.n_profiles, count.n_of), (0, 4), "a snapshot of before");
        assert!(house.verify(|_| {}).unwrap().holds(), "replay gives another state");
        house.close();
    }
}

#[test]
fn segments_follow_records_consents_and_links() {
    let dir = tempfile::tempdir().unwrap();
    let house = open(dir.path(), 3);
    track(
        &house,
        &[order(1, "ada", "d1"), order(2, "bob", "d2"), identify("cyd", "Ulm"), identify("dee", "Ulm")],
    );
    seen(&house);
    track(&house, &[order(3, "ada", "d9"), identify("bob", "Köln")]);
    assert_eq!(seen(&house)["buyers"]["profiles"].as_array().unwrap().len(), 1);
    house.consent(&user("ada"), "marketing", Status::Granted, "v1", "form", None).unwrap();
    assert_eq!(seen(&house)["others"]["n_of"], 1);
    house.consent(&user("ada"), "marketing", Status::Withdrawn, "v1", "form", None).unwrap();
    assert_eq!(seen(&house)["others"]["n_of"], 0);
    track(&house, &[order(4, "eve", "d5"), order(5, "bob", "d2")]);
    assert_eq!(seen(&house)["koeln"]["profiles"].as_array().unwrap().len(), 1);
    let file = dir.path().join("koeln.csv");
    house.export_segment(&all(), "koeln", None, &["city".into(), "email".into()], &file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("profile,city,email\n") && text.ends_with(",Köln,bob@web.example\n"), "{text}");
    let no_trait = house.export_segment(&all(), "koeln", None, &["shoe_size".into()], &file).unwrap_err();
    assert_eq!(no_trait.code(), "MR5041");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "what is refused leaves the file");
    assert_eq!(house.count_segment(&all(), "nobody", None).unwrap_err().code(), "MR3123");
    let reader = Principal::new("reader", [Scope::Read]);
    assert!(house.count_segment(&reader, "koeln", None).is_err(), "LAW 3");
    house.close();
}

#[test]
fn a_household_is_read_over_whoever_belongs_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let house = open(dir.path(), 3);
    track(&house, &[order(1, "ada", "d1"), order(2, "bob", "d2"), order(3, "bob", "d2")]);
    for misspelt in [
        house.merge(&id("userid", "ada"), &user("bob"), "ann", ""),
        house.split(&id("userid", "ada"), "ann", ""),
    ] {
        assert_eq!(misspelt.unwrap_err().code(), "MR3107", "nobody is put together with nobody");
    }
    let home = id("household", "h1");
    house.belongs(&home, &user("ada"), true, Some("adult"), None).unwrap();
    house.belongs(&home, &user("bob"), true, Some("adult"), None).unwrap();
    let views = ["orders".to_owned()];
    let (_, values) = house.entity_features(&all(), &home, "service", &views).unwrap();
    assert_eq!(values[0].get("n_30d"), Some(&feature::Value::Integer(3)));
    // LAW 3: one member who did not say yes is enough.
    house.consent(&user("ada"), "marketing", Status::Granted, "v1", "form", None).unwrap();
    assert!(house.entity_features(&all(), &home, "marketing", &views).is_ok());
    house.consent(&user("bob"), "marketing", Status::Denied, "v1", "form", None).unwrap();
    assert!(house.entity_features(&all(), &home, "marketing", &views).is_err());
    house.belongs(&home, &user("bob"), false, None, None).unwrap();
    let (_, values) = house.entity_features(&all(), &home, "service", &views).unwrap();
    assert_eq!(values[0].get("n_30d"), Some(&feature::Value::Integer(1)));
    assert_eq!(
        house.profile(&all(), &user("ada"), "service").unwrap().members.len(),
        2,
        "no identity comes of it"
    );
    let nobody = house.entity_features(&all(), &id("household", "h2"), "service", &views).unwrap_err();
    assert_eq!(nobody.code(), "MR5041");
    assert!(house.verify(|_| {}).unwrap().holds());
    house.close();
}

#[test]
fn what_a_segment_names_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), 1).close();
    let text = "segment: odd\nowner: a\npurpose: fun\nrule: orders.none > 1 and trait.shoe_size > 40\n";
    std::fs::write(dir.path().join("segments/odd.yaml"), text).unwrap();
    std::fs::write(dir.path().join("segments/twice.yaml"), text.replace("odd", "buyers")).unwrap();
    let toml = std::fs::read_to_string(dir.path().join("maschinenraum.toml")).unwrap();
    std::fs::write(dir.path().join("maschinenraum.toml"), toml.replace("\"crm\", \"people\"", "\"orders\""))
        .unwrap();
    let (_, findings) = Project::read(dir.path()).unwrap();
    let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
    for says in [
        "purpose `fun`",
        "no feature `orders.none`",
        "field `shoe_size`",
        "described twice",
        "`orders` is no stream",
    ] {
        assert!(found.iter().any(|one| one.contains(says)), "{says}: {found:#?}");
    }
}
