//! Segments as inputs: asked in decisions and features, now as of now (LAW 5), with any number of partitions; and group
//! calls, which make memberships.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use decide::{NO_ACTION, Origin};
use house::{House, Project};
use policy::{Principal, Scope, Status};
use serde_json::{Map, Value, json};
use support::{all, contract, errors, id, names, open, settings, track, user, write};

const PURPOSES: &str =
    "{property: purposes, value: [{name: service, basis: contract}, {name: marketing, basis: consent}]}";

const USE_CASE: &str = "
name: next
version: 1.0.0
responsible: Ada <ada@example.org>
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [habits.is_loyal], traits: [city], segments: [loyal, near]}
outputs: [action]
sources: [orders]
purpose: service
legal_basis: contract
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/next.jsonl
budget: {name: next, total: 100 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: next}
caps: [{channel: email, max: 100, window: 7d}]
actions:
  - {name: thanks, channel: email, creative: a, offer: b, cost: 0.05 EUR, score: 0.5, eligible: segment.loyal and not segment.near}
  - {name: visit, channel: email, creative: a, offer: c, cost: 0.05 EUR, score: 0.4, eligible: \"segment.near and city = 'Köln'\"}
";

const MODEL: &str = "
model: again
description: Whether somebody orders again within a week
owner: Ada
purpose: service
examples: {stream: orders}
label: {stream: orders, within: 7d}
features: [orders.n_30d, habits.is_loyal, habits.both]
test: {latest: 0.3}
";

fn segment(name: &str, rule: &str) -> String {
    format!("segment: {name}\nowner: Ada\npurpose: service\nrule: \"{rule}\"\n")
}

fn project(dir: &Path, partitions: u16) {
    write(
        dir,
        "maschinenraum.toml",
        &settings(partitions, &[("service", "contract"), ("marketing", "consent")]),
    );
    let (by_user, by_device) =
        (names("user_id", "user_id", "/userId"), names("device", "anonymous_id", "/anonymousId"));
    let orders = contract(
        "orders",
        &["track:Order Completed"],
        &[
            "{name: order_id, logicalType: string, required: true, primaryKey: true, classification: internal}",
            "{name: total_cents, logicalType: integer, required: true, classification: internal}",
            &by_user,
            &by_device,
        ],
        &[
            "{property: subjectKey, value: [user_id, device]}",
            "{property: dedupKey, value: [order_id]}",
            PURPOSES,
        ],
    );
    let city = "{name: city, logicalType: string, classification: personal, customProperties: [{property: source, value: /traits/city}]}";
    let people = contract(
        "people",
        &["identify"],
        &[city, &by_user],
        &["{property: traits, value: true}", "{property: subjectKey, value: [user_id]}", PURPOSES],
    );
    write(dir, "contracts/orders.yaml", &orders);
    write(dir, "contracts/people.yaml", &people);
    write(
        dir,
        "features/orders.yaml",
        "view: orders\nversion: 1\nstream: orders\npurposes: [service, marketing]\nfeatures:\n  - {name: n_30d, agg: count, window: 30d}\n  - {name: spent_cents, agg: sum, of: total_cents, default: 0}\n",
    );
    write(
        dir,
        "features/habits.yaml",
        "view: habits\nversion: 1\nstream: orders\npurposes: [service]\nfeatures:\n  - {name: n, agg: count}\n  - {name: is_loyal, segment: loyal}\n  - {name: both, expr: 'segment.loyal and segment.near and n > 2'}\n",
    );
    write(dir, "segments/loyal.yaml", &segment("loyal", "orders.n_30d >= 2"));
    write(
        dir,
        "segments/near.yaml",
        &segment("near", "trait.city in ['Köln', 'Bonn'] and orders.spent_cents > 0"),
    );
    // Through a feature that is itself made from a segment, and through another segment.
    write(dir, "segments/best.yaml", &segment("best", "habits.is_loyal and segment.near"));
    write(dir, "usecases/next.yaml", USE_CASE);
    write(dir, "goldsets/next.jsonl", "");
}

fn order(n: u32, user: &str) -> Value {
    json!({"type": "track", "event": "Order Completed", "messageId": format!("m{n}"), "userId": user,
        "anonymousId": format!("d-{user}"), "properties": {"order_id": format!("o{n}"), "total_cents": 1_000}})
}

fn identify(user: &str, city: &str) -> Value {
    json!({"type": "identify", "messageId": format!("i{user}{city}"), "userId": user, "traits": {"city": city}})
}

/// What is so of a person, three ways: asked for the person, counted, and as a feature.
fn belongs(house: &Arc<House>, who: &str) -> BTreeMap<String, bool> {
    let (_, found) = house.segments_of(&all(), &user(who), "service").unwrap();
    let profile = house.profile(&all(), &user(who), "service").unwrap().id;
    for (name, holds) in &found {
        let (_, counted) = house.segment_profiles(&all(), name, None).unwrap();
        assert_eq!(counted.contains(&profile), *holds, "{who} in {name}, counted");
        let now = house.clock().settled();
        let (_, then) = house.segment_profiles(&all(), name, Some(now)).unwrap();
        assert_eq!(then, counted, "{name}: live is as of now");
    }
    let (_, values) = house.features(&all(), &user(who), "service", &["habits".into()]).unwrap();
    assert_eq!(values[0].get("is_loyal"), Some(&feature::Value::Boolean(found["loyal"])));
    found
}

fn decides(house: &Arc<House>, who: &str) -> decide::DecisionRecord {
    while house.do_chores().unwrap() > 0 {}
    house.decide(&all(), "next", &user(who), &Map::new()).unwrap()
}

#[test]
fn a_segment_is_asked_in_decisions_and_features_as_it_is_counted() {
    let mut digests = Vec::new();
    for partitions in [1, 7] {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path(), partitions);
        let house = open(dir.path());
        track(
            &house,
            &[order(1, "ada"), order(2, "ada"), order(3, "bob"), order(4, "cyd"), identify("bob", "Köln")],
        );
        track(&house, &[identify("cyd", "Bonn"), order(5, "cyd"), order(6, "cyd"), identify("dee", "Köln")]);
        let so = |who: &str| belongs(&house, who).into_values().collect::<Vec<_>>();
        // best, loyal, near
        assert_eq!(so("ada"), [false, true, false]);
        assert_eq!(so("bob"), [false, false, true]);
        assert_eq!(so("cyd"), [true, true, true]);
        assert_eq!(so("dee"), [false, false, false], "near and bought nothing");
        let (_, values) = house.features(&all(), &user("cyd"), "service", &["habits".into()]).unwrap();
        assert_eq!(values[0].get("both"), Some(&feature::Value::Boolean(true)));

        let thanks = decides(&house, "ada");
        assert_eq!(thanks.chosen.action, "thanks");
        let evidence = thanks.evidence.unwrap();
        let asked: Vec<_> = evidence.inputs.iter().filter(|input| input.origin == Origin::Segment).collect();
        assert_eq!(asked.len(), 2);
        assert_eq!((asked[0].name.as_str(), asked[0].version.as_str()), ("segment.loyal", "1"));
        assert_eq!(asked[0].value, Some(decide::Value::Flag(true)));
        assert!(asked[0].personal, "it may be made from traits");
        assert_eq!(decides(&house, "bob").chosen.action, "visit");
        assert_eq!(decides(&house, "dee").chosen.action, NO_ACTION);

        // A merge joins what is known of both, and taking it back leaves nothing behind.
        house.merge(&user("ada"), &user("bob"), "ann", "T-1").unwrap();
        assert_eq!(so("ada"), [true, true, true]);
        assert_eq!(decides(&house, "ada").chosen.action, "visit", "near by what is known of bob");
        house.unmerge(&user("ada"), &user("bob"), "ann", "T-2").unwrap();
        assert_eq!(so("ada"), [false, true, false]);

        // LAW 5: what decisions were given is what training sees at their instants.
        let skew = house.skew(&all(), 100).unwrap();
        assert_eq!((skew.n_decisions, skew.n_different), (4, 0), "{skew:?}");
        let compared: Vec<&str> = skew.features.iter().map(|of| of.feature.as_str()).collect();
        assert_eq!(compared, ["habits@1.is_loyal", "segment.loyal@1", "segment.near@1"]);

        let trace = house.trace_decision(&all(), thanks.decision, None).unwrap();
        let near = trace.inputs.iter().find(|input| input.name == "segment.loyal").unwrap();
        assert_eq!(near.records.len(), 2, "both orders that made her loyal");
        let verdict = house.verify(|_| {}).unwrap();
        assert!(verdict.holds());
        digests.push(format!("{:?}", so("cyd")));
        house.close();
    }
    assert_eq!(digests[0], digests[1]);
}

/// Orders and cities of a past that was told in files: known when it happened.
fn past_project(dir: &Path, partitions: u16) {
    project(dir, partitions);
    let times = [
        "{property: eventTime, value: at}",
        "{property: knownAt, value: at}",
        "{property: liveSince, value: '2026-11-01'}",
    ];
    let by_user = names("user_id", "user_id", "/user_id");
    let at = "{name: at, logicalType: timestamp, required: true, classification: internal}";
    let orders = contract(
        "orders",
        &["file"],
        &[
            "{name: order_id, logicalType: string, required: true, primaryKey: true, classification: internal}",
            "{name: total_cents, logicalType: integer, required: true, classification: internal}",
            at,
            &by_user,
        ],
        &[
            &times[..],
            &[
                "{property: subjectKey, value: [user_id]}",
                "{property: dedupKey, value: [order_id]}",
                PURPOSES,
            ],
        ]
        .concat(),
    );
    let people = contract(
        "people",
        &["file"],
        &["{name: city, logicalType: string, classification: personal}", at, &by_user],
        &[
            &times[..],
            &["{property: traits, value: true}", "{property: subjectKey, value: [user_id]}", PURPOSES],
        ]
        .concat(),
    );
    write(dir, "contracts/orders.yaml", &orders);
    write(dir, "contracts/people.yaml", &people);
    write(dir, "models/again.yaml", MODEL);
}

const WHO: [&str; 5] = ["ada", "bob", "cyd", "dee", "eve"];
const CITIES: [&str; 3] = ["Köln", "Bonn", "Ulm"];

/// Who ordered on which day.
type Ordered = (usize, i64);
/// Who said on which day to live in which city.
type Told = (usize, i64, usize);

fn past() -> (Vec<Ordered>, Vec<Told>) {
    let orders = (0..120_i64).map(|n| ((n * n % 7 % 5) as usize, (n * 37) % 600)).collect();
    let cities = (0..30_i64).map(|n| ((n * 3 % 5) as usize, (n * 53) % 600, (n * n % 3) as usize)).collect();
    (orders, cities)
}

fn day(n: i64) -> event::Instant {
    let start: event::Instant = "2024-06-01T00:00:00Z".parse().unwrap();
    start + event::Span::from_days(n)
}

#[test]
fn training_sees_who_belonged_then() {
    let (orders, cities) = past();
    let mut frames = Vec::new();
    for partitions in [1, 7] {
        let dir = tempfile::tempdir().unwrap();
        past_project(dir.path(), partitions);
        let mut csv = "order_id,total_cents,at,user_id\n".to_owned();
        for (n, (who, at)) in orders.iter().enumerate() {
            csv += &format!("o{n},1000,{},{}\n", day(*at) + event::Span::from_secs(n as i64), WHO[*who]);
        }
        write(dir.path(), "in/orders.csv", &csv);
        let mut csv = "city,at,user_id\n".to_owned();
        for (n, (who, at, city)) in cities.iter().enumerate() {
            csv += &format!(
                "{},{},{}\n",
                CITIES[*city],
                day(*at) + event::Span::from_secs(500 + n as i64),
                WHO[*who]
            );
        }
        write(dir.path(), "in/people.csv", &csv);
        let house = open(dir.path());
        for stream in ["orders", "people"] {
            let file = dir.path().join(format!("in/{stream}.csv"));
            let done = house.import(&file, stream, |_| {}).unwrap();
            assert_eq!(done.counts.n_quarantined, 0, "{done:?}");
        }
        let spec = house.project().model("again").unwrap().clone();
        let (dataset, ..) = house.dataset(&all(), &spec).unwrap();
        assert_eq!(dataset.examples().len(), orders.len());
        let (mut n_loyal, mut n_both, mut rows) = (0, 0, Vec::new());
        for (i, example) in dataset.examples().iter().enumerate() {
            let who =
                WHO.iter().position(|who| house.subject(&user(who)).unwrap() == example.subject).unwrap();
            let at = example.at;
            let ordered = |n: usize| day(orders[n].1) + event::Span::from_secs(n as i64);
            let own = (0..orders.len()).filter(|n| orders[*n].0 == who && ordered(*n) <= at);
            let own: Vec<event::Instant> = own.map(ordered).collect();
            let recent = own.iter().filter(|when| **when > at - event::Span::from_days(30)).count();
            let said = |n: usize| day(cities[n].1) + event::Span::from_secs(500 + n as i64);
            let city =
                (0..cities.len()).filter(|n| cities[*n].0 == who && said(*n) <= at).max_by_key(|n| said(*n));
            let near = city.is_some_and(|n| CITIES[cities[n].2] != "Ulm");
            let (loyal, both) = (recent >= 2, recent >= 2 && near && own.len() > 2);
            let value = |name: &str| {
                let column = dataset
                    .frame()
                    .columns()
                    .iter()
                    .find(|column| column.name().to_string() == name)
                    .unwrap();
                match column.value(i) {
                    learn::Value::Number(number) => number,
                    other => panic!("{name}: {other:?}"),
                }
            };
            assert_eq!(value("habits.is_loyal"), f64::from(u8::from(loyal)), "{who} at {at}");
            assert_eq!(value("habits.both"), f64::from(u8::from(both)), "{who} at {at}");
            assert_eq!(value("orders.n_30d"), recent as f64);
            (n_loyal, n_both) = (n_loyal + usize::from(loyal), n_both + usize::from(both));
            rows.push((who, at, loyal, both));
        }
        assert!(
            n_loyal > 20 && n_loyal < 110 && n_both > 10 && n_both < n_loyal,
            "{n_loyal} {n_both}: it tells apart"
        );
        let versions: Vec<String> =
            dataset.manifest().features.iter().map(|of| format!("{}@{}", of.view, of.version)).collect();
        for expected in ["habits@1", "orders@1", "segment.loyal@1", "segment.near@1"] {
            assert!(versions.iter().any(|known| known == expected), "{versions:?}");
        }
        // As of each instant, a count is what training sees.
        for at in [day(100), day(350), day(599)] {
            let (_, then) = house.segment_profiles(&all(), "near", Some(at)).unwrap();
            let mut expected: Vec<_> = (0..WHO.len())
                .filter(|who| {
                    let said = |n: usize| day(cities[n].1) + event::Span::from_secs(500 + n as i64);
                    let city = (0..cities.len())
                        .filter(|n| cities[*n].0 == *who && said(*n) <= at)
                        .max_by_key(|n| said(*n));
                    let bought = (0..orders.len()).any(|n| {
                        orders[n].0 == *who && day(orders[n].1) + event::Span::from_secs(n as i64) <= at
                    });
                    bought && city.is_some_and(|n| CITIES[cities[n].2] != "Ulm")
                })
                .map(|who| house.subject(&user(WHO[who])).unwrap())
                .collect();
            expected.sort();
            assert_eq!(then, expected, "near at {at}");
        }
        rows.sort();
        frames.push(rows);
        house.close();
    }
    assert_eq!(frames[0], frames[1], "the same with 1 and with 7 partitions");
}

#[test]
fn segments_that_cannot_be_are_told_by_check() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 1);
    let told = |path: &str, text: &str, says: &[&str]| {
        let before = std::fs::read_to_string(dir.path().join(path)).ok();
        write(dir.path(), path, text);
        let found = errors(dir.path());
        for one in says {
            assert!(found.iter().any(|finding| finding.contains(one)), "{one}: {found:#?}");
        }
        match before {
            Some(before) => write(dir.path(), path, &before),
            None => std::fs::remove_file(dir.path().join(path)).unwrap(),
        }
        assert!(errors(dir.path()).is_empty());
    };
    told(
        "segments/loyal.yaml",
        &segment("loyal", "habits.is_loyal"),
        &["MR3126", "segment `loyal` → feature `habits.is_loyal` → segment `loyal`"],
    );
    told(
        "segments/loyal.yaml",
        &segment("loyal", "segment.best and orders.n_30d > 1"),
        &["segment `best` → feature `habits.is_loyal` → segment `loyal` → segment `best`"],
    );
    told("segments/odd.yaml", &segment("odd", "segment.odd or orders.n_30d > 1"), &["MR3126"]);
    told(
        "segments/odd.yaml",
        &segment("odd", "segment.none"),
        &["no segment `none`; known: best, loyal, near"],
    );
    // One feature of a view may be made from a segment that looks at another feature of the same view.
    write(dir.path(), "segments/loyal.yaml", &segment("loyal", "habits.n >= 2"));
    assert!(errors(dir.path()).is_empty(), "{:?}", errors(dir.path()));
    write(dir.path(), "segments/loyal.yaml", &segment("loyal", "orders.n_30d >= 2"));
    let view = std::fs::read_to_string(dir.path().join("features/habits.yaml")).unwrap();
    told("features/habits.yaml", &view.replace("segment: loyal", "segment: lost"), &["no segment `lost`"]);
    told(
        "features/habits.yaml",
        &view.replace("[service]", "[service, marketing]"),
        &["MR3125", "the view is for `marketing`"],
    );
    told(
        "features/habits.yaml",
        &view.replace("segment: loyal", "segment: loyal, expr: 'n > 1'"),
        &["not of both"],
    );
    told(
        "features/habits.yaml",
        &view.replace("segment: loyal", "segment: loyal, agg: count"),
        &["no use for `segment`"],
    );
    let other = segment("near", "orders.spent_cents > 0").replace("service", "marketing");
    told(
        "segments/near.yaml",
        &other,
        &["MR3125", "read for `marketing` and for nothing else; the use case is for `service`"],
    );
    told("usecases/next.yaml", &USE_CASE.replace("[loyal, near]", "[loyal, far]"), &["MR5006"]);
    told(
        "usecases/next.yaml",
        &USE_CASE.replace("[loyal, near]", "[loyal, near, far]"),
        &["no segment `far`"],
    );
    let without = "sources: [people]";
    told(
        "usecases/next.yaml",
        &USE_CASE.replace("sources: [orders]", without),
        &["segment `loyal` is made from `orders`"],
    );
}

#[test]
fn a_rule_that_says_something_else_needs_a_version() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 1);
    open(dir.path()).close();
    let with = |rule: &str, version: u32| {
        let text = segment("loyal", rule).replace("owner: Ada", &format!("owner: Bo\nversion: {version}"));
        write(dir.path(), "segments/loyal.yaml", &text);
        match House::open(Project::load(dir.path()).unwrap()) {
            Ok(house) => {
                house.close();
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(with("orders.n_30d  >=  2", 1), Ok(()), "how it is written and who owns it may change");
    let told = with("orders.n_30d >= 3", 1).unwrap_err();
    assert!(
        told.contains("MR3127")
            && told.contains("has been `orders.n_30d >= 2`")
            && told.contains("`version: 2`"),
        "{told}"
    );
    assert!(
        Project::load(dir.path()).unwrap().refused_changes().unwrap().iter().any(|one| one.code == "MR3127")
    );
    assert_eq!(with("orders.n_30d >= 3", 2), Ok(()));
    assert_eq!(with("orders.n_30d >= 2", 1), Ok(()), "back to what it was");
    assert!(with("orders.n_30d >= 4", 2).unwrap_err().contains("`version: 3`"));
}

#[test]
fn a_group_call_makes_a_membership_and_keeps_the_groups_traits() {
    for partitions in [1, 7] {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path(), partitions);
        let account = "{name: account, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /groupId}, {property: identifier, value: account}]}";
        let of_traits = |name: &str| {
            format!(
                "{{name: {name}, logicalType: string, classification: personal, customProperties: [{{property: source, value: /traits/{name}}}]}}"
            )
        };
        let accounts = contract(
            "accounts",
            &["group"],
            &[account, &names("user_id", "user_id", "/userId"), &of_traits("plan"), &of_traits("city")],
            &["{property: traits, value: true}", "{property: subjectKey, value: [account]}", PURPOSES],
        );
        write(dir.path(), "contracts/accounts.yaml", &accounts);
        let house = open(dir.path());
        let group = |n: u32, who: &str, account: &str, traits: Value| {
            json!({"type": "group", "messageId": format!("g{n}"), "userId": who, "groupId": account, "traits": traits,
                "context": {"consent": {"categoryPreferences": {"marketing": who == "ada"}}}})
        };
        track(&house, &[order(1, "ada"), order(2, "bob"), order(3, "bob"), identify("bob", "Ulm")]);
        track(
            &house,
            &[
                group(1, "ada", "acme", json!({"plan": "basic", "city": "Köln"})),
                group(2, "bob", "acme", json!({"plan": "pro"})),
                group(3, "bob", "acme", json!({"plan": "pro"})),
            ],
        );
        let acme = id("account", "acme");
        let found = house.members_of(&all(), &acme, "service", None).unwrap();
        assert_eq!((found.members.len(), found.n_withheld, found.n_left_out), (2, 0, 0));
        // Consent was said by people, not by their account.
        let asked = house.members_of(&all(), &acme, "marketing", None).unwrap();
        assert_eq!((asked.members.len(), asked.n_withheld), (1, 1));
        let traits = house.profile(&all(), &acme, "service").unwrap();
        assert_eq!((traits.members.len(), &traits.traits["plan"].value), (1, &json!("pro")));
        assert_eq!(traits.traits["city"].value, "Köln", "the account's, not anybody's");
        assert_eq!(house.profile(&all(), &user("bob"), "service").unwrap().traits["city"].value, "Ulm");
        assert_eq!(
            house.profile(&all(), &user("ada"), "service").unwrap().members.len(),
            2,
            "herself and her device"
        );
        let (_, values) = house.entity_features(&all(), &acme, "service", &["orders".into()]).unwrap();
        assert_eq!(values[0].get("n_30d"), Some(&feature::Value::Integer(3)));
        let why = house.explain_profile(&all(), &user("ada"), "service", None).unwrap();
        assert_eq!(why.belongs_to.iter().map(|place| place.kind.as_str()).collect::<Vec<_>>(), ["account"]);
        // An account is nobody: it is in no count.
        let count = house.count_segment(&all(), "loyal", None).unwrap();
        let then = house.count_segment(&all(), "loyal", Some(house.clock().settled())).unwrap();
        assert_eq!((count.n_profiles, count.n_of, then.n_profiles, then.n_of), (1, 2, 1, 2));
        // Without a person it says something of the account and puts nobody into it.
        let nobodys =
            json!({"type": "group", "messageId": "g9", "groupId": "apex", "traits": {"plan": "free"}});
        track(&house, &[nobodys]);
        assert!(
            house.members_of(&all(), &id("account", "apex"), "service", None).unwrap().members.is_empty()
        );
        assert_eq!(house.count_segment(&all(), "loyal", None).unwrap().n_of, 2);
        for (entity, member, code) in [
            (id("acount", "acme"), user("ada"), "MR3107"),
            (id("account", "acme"), id("userid", "ada"), "MR3107"),
            (id("account", "acme"), id("account", "apex"), "MR3107"),
            (id("account", ""), user("ada"), "MR7007"),
            (id("account", "acme"), user("null"), "MR7007"),
        ] {
            assert_eq!(house.belongs(&entity, &member, true, None, None).unwrap_err().code(), code);
        }
        let later = house.now() + event::Span::from_days(2);
        assert_eq!(house.belongs(&acme, &user("ada"), true, None, Some(later)).unwrap_err().code(), "MR3124");
        assert_eq!(house.merge(&acme, &user("ada"), "ann", "").unwrap_err().code(), "MR3107");
        let reader = Principal::new("tracker", [Scope::Track]);
        assert_eq!(house.members_of(&reader, &acme, "service", None).unwrap_err().code(), "MR3011");
        assert!(house.verify(|_| {}).unwrap().holds());
        house.close();
    }
}

/// A number generator of its own, so that the same things happen each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n) as usize
    }
}

/// Whatever happens in whatever order — orders, cities, consents given and withdrawn, merges and splits by hand, done
/// and taken back — the live counts are those of now, asked for each person and computed from the journal.
#[test]
fn live_counts_hold_whatever_happens() {
    for (partitions, seed) in [(1, 1), (7, 2), (3, 3)] {
        let dir = tempfile::tempdir().unwrap();
        project(dir.path(), partitions);
        let marketing = segment("keen", "orders.n_30d >= 1").replace("service", "marketing");
        write(dir.path(), "segments/keen.yaml", &marketing);
        let house = open(dir.path());
        let (mut dice, mut n) = (Dice(seed), 0);
        for _ in 0..60 {
            let (a, b) = (WHO[dice.roll(5)], WHO[dice.roll(5)]);
            let device = id("anonymous_id", &format!("d-{a}"));
            n += 1;
            match dice.roll(10) {
                0 | 1 => track(&house, &[order(n, a)]),
                2 => track(&house, &[identify(a, CITIES[dice.roll(3)])]),
                3 | 4 => {
                    let status = [Status::Granted, Status::Denied, Status::Withdrawn][dice.roll(3)];
                    house.consent(&user(a), "marketing", status, "v1", "form", None).unwrap();
                }
                // What cannot be done says so and changes nothing.
                5 => drop(house.merge(&user(a), &user(b), "ann", "")),
                6 => drop(house.unmerge(&user(a), &user(b), "ann", "")),
                7 => drop(house.split(&device, "ann", "")),
                8 => drop(house.rejoin(&device, "ann", "")),
                _ => {
                    let home = id("household", "h1");
                    house.belongs(&home, &user(a), dice.roll(2) == 0, None, None).unwrap();
                }
            }
            let now = house.clock().settled();
            for name in ["loyal", "near", "best", "keen"] {
                let (live, profiles) = house.segment_profiles(&all(), name, None).unwrap();
                let (then, as_of) = house.segment_profiles(&all(), name, Some(now)).unwrap();
                assert_eq!((live.n_of, &profiles), (then.n_of, &as_of), "{name} after {n} of seed {seed}");
                assert_eq!(live.n_profiles, profiles.len() as u64);
            }
        }
        for who in WHO {
            belongs(&house, who);
        }
        // A house that is opened again knows the same.
        let before: Vec<_> = ["loyal", "near", "best", "keen"]
            .map(|name| house.segment_profiles(&all(), name, None).unwrap().1)
            .into();
        house.close();
        drop(house);
        let again = open(dir.path());
        let after: Vec<_> = ["loyal", "near", "best", "keen"]
            .map(|name| again.segment_profiles(&all(), name, None).unwrap().1)
            .into();
        assert_eq!(before, after);
        again.close();
    }
}

#[test]
fn what_is_to_come_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), 1);
    let house = open(dir.path());
    track(&house, &[order(1, "ada")]);
    let later = house.now() + event::Span::from_days(1);
    let codes = [
        house.count_segment(&all(), "loyal", Some(later)).unwrap_err(),
        house.segment_profiles(&all(), "loyal", Some(later)).unwrap_err(),
        house.explain_profile(&all(), &user("ada"), "service", Some(later)).unwrap_err(),
        house.members_of(&all(), &id("household", "h1"), "service", Some(later)).unwrap_err(),
    ];
    for error in codes {
        assert_eq!(error.code(), "MR3124");
        assert!(error.to_string().contains("still to come"), "{error}");
    }
    let long_ago: event::Instant = "1990-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(house.count_segment(&all(), "loyal", Some(long_ago)).unwrap().n_of, 0);
    house.close();
}
