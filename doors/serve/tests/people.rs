//! People and segments over HTTP: the graph explained, merged and taken apart by hand; households, accounts and group
//! calls; segments listed, counted, taken out; and bad input of every kind for each of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use std::path::Path;

use common::{Served, batch, order, serve_project};
use policy::Scope;
use serde_json::{Value, json};

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
      - {name: city, logicalType: string, classification: personal, customProperties: [{property: source, value: /traits/city}]}
      - {name: user_id, logicalType: string, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
      - {name: device, logicalType: string, classification: personal, customProperties: [{property: source, value: /anonymousId}, {property: identifier, value: anonymous_id}]}
      MORE
customProperties:
  - {property: source, value: [SOURCE]}
  - {property: owner, value: Mara}
  - {property: traits, value: true}
  - {property: subjectKey, value: KEY}
  - {property: retention, value: 1y}
  - {property: purposes, value: [{name: analytics, basis: legitimate_interest}, {name: personalisation, basis: consent}]}
"#;

const ACCOUNT: &str = "- {name: account, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /groupId}, {property: identifier, value: account}]}";

/// The test project with traits, accounts and segments.
fn served() -> Served {
    let dir = tempfile::tempdir().unwrap();
    common::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/project"), dir.path());
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let contract = |name: &str, source: &str, key: &str, more: &str| {
        let text = PEOPLE.replace("NAME", name).replace("SOURCE", source).replace("KEY", key);
        text.replace("MORE", more)
    };
    write("contracts/people.yaml", &contract("people", "identify", "[user_id, device]", ""));
    write("contracts/accounts.yaml", &contract("accounts", "group", "[account]", ACCOUNT));
    let segment = |name: &str, purpose: &str, rule: &str| {
        let text = format!(
            "segment: {name}\nowner: Mara\ndescription: Some\npurpose: {purpose}\nrule: \"{rule}\"\n"
        );
        write(&format!("segments/{name}.yaml"), &text);
    };
    segment("buyers", "analytics", "orders.n >= 1");
    segment("near", "analytics", "trait.city = 'Köln' and segment.buyers");
    segment("fans", "personalisation", "orders.n >= 1");
    serve_project(dir.path(), |_| ())
}

fn called(user: &str) -> Value {
    json!({"kind": "user_id", "value": user})
}

fn identify(user: &str, device: &str, city: &str) -> Value {
    json!({"type": "identify", "userId": user, "anonymousId": device, "messageId": format!("i{user}"), "traits": {"city": city}})
}

/// c1 and c2 each bought; c1 is of Köln and has a device, c3 only told a city.
fn shop(served: &Served) {
    let calls = [
        order("c1", "m1", 500),
        order("c2", "m2", 700),
        identify("c1", "d1", "Köln"),
        identify("c2", "d2", "Ulm, \"am\" Rand"),
        identify("c3", "d3", "Köln"),
    ];
    let told = served.post("/v1/batch", &batch(&calls)).json();
    assert_eq!(told["accepted"], 5, "{told}");
    served.settle();
}

/// Status and code of an answer; every code has a page.
fn code(answer: &common::Answer) -> (u16, String) {
    let code = answer.code();
    if !code.is_empty() {
        let page = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
        assert!(Path::new(&page).exists(), "{code} has no page");
    }
    (answer.status, code)
}

fn fails(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[test]
fn two_profiles_are_merged_explained_and_parted() {
    let served = served();
    shop(&served);
    let pair = json!({"a": called("c1"), "b": called("c2"), "reference": "T-17"});
    let merged = served.post("/v1/people/merge", &pair).json();
    assert_eq!((&merged["together"], &merged["n_members"]), (&json!(true), &json!(4)), "{merged}");
    assert_eq!(code(&served.post("/v1/people/merge", &pair)), fails(409, "MR3105"));
    let graph = served.get("/v1/profiles/user_id/c1/graph?purpose=analytics").json();
    assert_eq!(graph["members"].as_array().unwrap().len(), 4);
    let hand = |graph: &Value| {
        let members = graph["members"].as_array().unwrap().clone();
        members.into_iter().find_map(|member| member["by_hand"].get(0).cloned()).unwrap()
    };
    let done = hand(&graph);
    assert_eq!(
        (&done["act"], &done["by"], &done["reference"], &done["until"], &done["record"]),
        (&json!("merge"), &json!("tests"), &json!("T-17"), &Value::Null, &merged["record"])
    );
    let linked = graph["members"].as_array().unwrap().iter().filter(|m| m["links"].get(0).is_some()).count();
    assert_eq!(linked, 1, "her own device; the others are there by hand");
    let parted = served.post("/v1/people/unmerge", &pair).json();
    assert_eq!((&parted["together"], &parted["n_members"]), (&json!(false), &json!(2)));
    assert_eq!(code(&served.post("/v1/people/unmerge", &pair)), fails(409, "MR3104"));
    let graph = served.get("/v1/profiles/user_id/c1/graph?purpose=analytics").json();
    assert!(hand(&graph)["until"].is_string());
    // As of before the merge there was none, and of before everything nobody.
    let early = served.get("/v1/profiles/user_id/c1/graph?purpose=analytics&at=2020-01-01T00:00:00Z").json();
    assert_eq!(early["members"].as_array().unwrap().len(), 1);

    let one = json!({"identifier": {"kind": "anonymous_id", "value": "d1"}, "reference": "kiosk"});
    assert_eq!(served.post("/v1/people/split", &one).json()["n_members"], 1);
    assert_eq!(code(&served.post("/v1/people/split", &one)), fails(409, "MR3105"));
    assert_eq!(served.post("/v1/people/rejoin", &one).json()["n_members"], 2);
    assert_eq!(code(&served.post("/v1/people/rejoin", &one)), fails(409, "MR3104"));
    served.close();
}

#[test]
fn households_and_accounts_have_members() {
    let served = served();
    shop(&served);
    let home = json!({"kind": "household", "value": "h1"});
    for (who, role) in [("c1", json!("adult")), ("c2", Value::Null)] {
        let said = json!({"entity": home, "member": called(who), "role": role});
        let told = served.post("/v1/memberships", &said).json();
        assert_eq!(told["record"].as_str().unwrap().len(), 32, "{told}");
    }
    let of = |purpose: &str| {
        served.get(&format!("/v1/memberships?kind=household&value=h1&purpose={purpose}")).json()
    };
    let found = of("analytics");
    assert_eq!((found["members"].as_array().unwrap().len(), &found["n_withheld"]), (2, &json!(0)));
    assert!(found["members"].as_array().unwrap().iter().any(|place| place["role"] == "adult"));
    // LAW 3: nobody said yes to this.
    let withheld = of("personalisation");
    assert_eq!((withheld["members"].as_array().unwrap().len(), &withheld["n_withheld"]), (0, &json!(2)));
    let asked = json!({"entity": home, "purpose": "analytics", "views": ["orders"]});
    let values = served.post("/v1/memberships/features", &asked).json();
    assert_eq!(values["views"][0]["values"], json!({"n": 2, "spent_cents": 1200}), "{values}");
    let asked = json!({"entity": home, "purpose": "personalisation", "views": ["orders"]});
    assert_eq!(code(&served.post("/v1/memberships/features", &asked)), fails(403, "MR3013"));
    let left = json!({"entity": home, "member": called("c2"), "belongs": false});
    assert_eq!(served.post("/v1/memberships", &left).status, 200);
    assert_eq!(of("analytics")["members"].as_array().unwrap().len(), 1);
    let graph = served.get("/v1/profiles/user_id/c1/graph?purpose=analytics").json();
    assert_eq!(graph["belongs_to"][0]["kind"], "household");

    // A group call of the tracking protocol does it too, and what it says is kept of the account.
    let group = json!({"userId": "c1", "groupId": "acme", "messageId": "g1", "traits": {"city": "Bonn"}});
    assert_eq!(served.post("/v1/group", &group).json()["accepted"], 1);
    served.settle();
    let members = served.get("/v1/memberships?kind=account&value=acme&purpose=analytics").json();
    assert_eq!(members["members"].as_array().unwrap().len(), 1, "{members}");
    let account = served.get("/v1/profiles/account/acme?purpose=analytics").json();
    assert_eq!(account["traits"]["city"]["value"], "Bonn");
    let person = served.get("/v1/profiles/user_id/c1?purpose=analytics").json();
    assert_eq!(
        (&person["traits"]["city"]["value"], person["members"].as_array().unwrap().len()),
        (&json!("Köln"), 2)
    );
    served.close();
}

#[test]
fn segments_are_listed_counted_and_taken_out() {
    let served = served();
    shop(&served);
    let all = served.get("/v1/segments").json();
    let counts: Vec<_> = all["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["segment"].as_str().unwrap(),
                one["count"]["n_profiles"].clone(),
                one["count"]["n_of"].clone(),
            )
        })
        .collect();
    assert_eq!(
        counts,
        [("buyers", json!(2), json!(3)), ("fans", json!(0), json!(0)), ("near", json!(1), json!(3))],
        "nobody agreed to personalisation"
    );
    assert_eq!(all["segments"][2]["rule"], "trait.city = 'Köln' and segment.buyers");
    let reader = format!("Bearer {}", served.key(&[Scope::Read]));
    let listed = served.ask("GET", "/v1/segments", &[("authorization", &reader)], None).json();
    assert_eq!(listed["segments"][0]["count"], Value::Null, "who may not take data out is told no counts");
    served.consent("c2");
    assert_eq!(served.get("/v1/segments/fans/count").json()["n_profiles"], 1);
    let early = served.get("/v1/segments/buyers/count?at=2020-01-01T00:00:00Z").json();
    assert_eq!((&early["n_profiles"], &early["n_of"]), (&json!(0), &json!(0)));
    let of = served.get("/v1/profiles/user_id/c1/segments?purpose=analytics").json();
    assert_eq!(of["segments"], json!({"buyers": true, "near": true}));

    let lines = served.get("/v1/segments/buyers/export?traits=city");
    assert_eq!(lines.headers["content-type"], "application/x-ndjson");
    assert_eq!(lines.headers["x-profiles"], "2");
    let rows: Vec<Value> = lines.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut cities: Vec<&str> = rows.iter().map(|row| row["traits"]["city"].as_str().unwrap()).collect();
    cities.sort_unstable();
    assert_eq!(cities, ["Köln", "Ulm, \"am\" Rand"]);
    let csv = served.get("/v1/segments/buyers/export?format=csv&traits=city,%20city");
    assert!(csv.headers["content-type"].starts_with("text/csv"));
    assert!(csv.body.starts_with("profile,city,city\n"), "{}", csv.body);
    assert!(csv.body.contains(",\"Ulm, \"\"am\"\" Rand\","), "{}", csv.body);
    assert_eq!(served.get("/v1/segments/buyers/export?format=csv&at=2020-01-01T00:00:00Z").body, "profile\n");
    served.close();
}

#[test]
fn an_export_of_many_comes_piece_by_piece_and_is_whole() {
    let served = served();
    let calls: Vec<Value> = (0..1_300).map(|n| order(&format!("p{n}"), &format!("m{n}"), 5)).collect();
    assert_eq!(served.post("/v1/batch", &batch(&calls)).json()["accepted"], 1_300);
    served.settle();
    let lines = served.get("/v1/segments/buyers/export");
    let names: std::collections::BTreeSet<&str> = lines.body.lines().collect();
    assert_eq!((names.len(), lines.headers["x-profiles"].as_str()), (1_300, "1300"));
    served.close();
}

#[test]
fn each_route_wants_its_scope() {
    let served = served();
    shop(&served);
    let pair = json!({"a": called("c1"), "b": called("c2")});
    let one = json!({"identifier": called("c1")});
    let home = json!({"kind": "household", "value": "h1"});
    let said = json!({"entity": home, "member": called("c1")});
    let features = json!({"entity": home, "purpose": "analytics", "views": ["orders"]});
    for (method, path, body, needs) in [
        ("POST", "/v1/people/merge", Some(&pair), Scope::Admin),
        ("POST", "/v1/people/unmerge", Some(&pair), Scope::Admin),
        ("POST", "/v1/people/split", Some(&one), Scope::Admin),
        ("POST", "/v1/people/rejoin", Some(&one), Scope::Admin),
        ("POST", "/v1/memberships", Some(&said), Scope::Track),
        ("POST", "/v1/memberships/features", Some(&features), Scope::Read),
        ("GET", "/v1/memberships?kind=household&value=h1&purpose=analytics", None, Scope::Read),
        ("GET", "/v1/profiles/user_id/c1/graph?purpose=analytics", None, Scope::Read),
        ("GET", "/v1/profiles/user_id/c1/segments?purpose=analytics", None, Scope::Read),
        ("GET", "/v1/segments", None, Scope::Read),
        ("GET", "/v1/segments/buyers/count", None, Scope::Export),
        ("GET", "/v1/segments/buyers/export", None, Scope::Export),
    ] {
        let others: Vec<Scope> =
            Scope::ALL.into_iter().filter(|scope| *scope != needs && *scope != Scope::Admin).collect();
        let ask = |scopes: &[Scope]| {
            let key = format!("Bearer {}", served.key(scopes));
            let body = body.map(|body| body.to_string());
            served.ask(method, path, &[("authorization", &key)], body.as_ref().map(String::as_bytes))
        };
        assert_eq!(code(&ask(&others)), fails(403, "MR7023"), "{method} {path}");
        let answer = ask(&[needs]);
        assert!(!answer.body.contains("MR7023"), "{method} {path}: {}", answer.body);
        let empty = body.is_some().then_some(&b"{}"[..]);
        assert_eq!(code(&served.ask(method, path, &[("authorization", "")], empty)), fails(401, "MR7021"));
    }
    served.close();
}

#[test]
fn bad_input_is_refused_in_the_callers_words() {
    let served = served();
    shop(&served);
    let home = json!({"kind": "household", "value": "h1"});
    let post = |path: &str, body: Value, status: u16, expected: &str| {
        let answer = served.post(path, &body);
        assert_eq!(code(&answer), fails(status, expected), "{path} {body}: {}", answer.body);
    };
    let long = "x".repeat(5_000);
    // Wrong shapes and types.
    for path in ["/v1/people/merge", "/v1/people/unmerge"] {
        post(path, json!({}), 400, "MR7020");
        post(path, json!([]), 400, "MR7020");
        post(path, json!({"a": "c1", "b": "c2"}), 400, "MR7020");
        post(path, json!({"a": called("c1"), "b": called("c2"), "force": true}), 400, "MR7020");
        post(path, json!({"a": {"kind": "user_id", "value": 7}, "b": called("c2")}), 400, "MR7020");
        post(path, json!({"a": called("c1"), "b": {"kind": "userid", "value": "c2"}}), 404, "MR3107");
        post(path, json!({"a": called("c1"), "b": {"kind": "account", "value": "acme"}}), 404, "MR3107");
        post(path, json!({"a": called("c1"), "b": called("null")}), 400, "MR7007");
        post(path, json!({"a": called(""), "b": called("c2")}), 400, "MR7007");
        post(path, json!({"a": {"kind": "", "value": "c1"}, "b": called("c2")}), 404, "MR3107");
    }
    post("/v1/people/merge", json!({"a": called("c1"), "b": called("c1")}), 409, "MR3105");
    post("/v1/people/unmerge", json!({"a": called("nobody"), "b": called("no one")}), 409, "MR3104");
    for path in ["/v1/people/split", "/v1/people/rejoin"] {
        post(path, json!({"identifier": [called("c1")]}), 400, "MR7020");
        post(path, json!({"identifier": {"kind": "userid", "value": "c1"}}), 404, "MR3107");
    }
    post("/v1/people/rejoin", json!({"identifier": called("nobody")}), 409, "MR3104");
    let member = |entity: Value, who: Value| json!({"entity": entity, "member": who});
    post("/v1/memberships", member(home.clone(), called("undefined")), 400, "MR7007");
    post("/v1/memberships", member(json!({"kind": "houshold", "value": "h1"}), called("c1")), 404, "MR3107");
    post("/v1/memberships", member(called("c1"), called("c2")), 404, "MR3107");
    post("/v1/memberships", member(home.clone(), home.clone()), 404, "MR3107");
    post("/v1/memberships", json!({"entity": home, "member": called("c1"), "belongs": "yes"}), 400, "MR7020");
    post(
        "/v1/memberships",
        json!({"entity": home, "member": called("c1"), "occurred_at": "soon"}),
        400,
        "MR7020",
    );
    post(
        "/v1/memberships",
        json!({"entity": home, "member": called("c1"), "occurred_at": "2150-01-01T00:00:00Z"}),
        400,
        "MR3124",
    );
    let features = |entity: &Value, purpose: &str, views: Value| json!({"entity": entity, "purpose": purpose, "views": views});
    post("/v1/memberships/features", features(&home, "analytics", json!(["orders"])), 404, "MR5041");
    post(
        "/v1/memberships/features",
        features(&json!({"kind": "club", "value": "h1"}), "analytics", json!(["orders"])),
        404,
        "MR3107",
    );
    post("/v1/memberships/features", features(&home, "analytics", json!("orders")), 400, "MR7020");
    post("/v1/memberships/features", features(&home, "analytics", json!(vec!["orders"; 101])), 400, "MR7020");
    assert_eq!(served.post("/v1/memberships", &member(home.clone(), called("c1"))).status, 200);
    post("/v1/memberships/features", features(&home, "analytics", json!(["nothing"])), 404, "MR4040");
    post("/v1/memberships/features", features(&home, "fun", json!(["orders"])), 400, "MR3010");

    for (path, status, expected) in [
        ("/v1/segments/none/count", 404, "MR3123"),
        ("/v1/segments/none/export", 404, "MR3123"),
        ("/v1/segments/buyers%00/count", 404, "MR3123"),
        ("/v1/segments/..%2F..%2Fetc%2Fpasswd/export", 404, "MR3123"),
        ("/v1/segments/buyers/count?at=2150-01-01T00:00:00Z", 400, "MR3124"),
        ("/v1/segments/buyers/export?at=2150-01-01T00:00:00Z", 400, "MR3124"),
        ("/v1/segments/buyers/count?at=yesterday", 400, "MR7020"),
        ("/v1/segments/buyers/count?when=now", 400, "MR7031"),
        ("/v1/segments/buyers/count?at=a&at=b", 400, "MR7031"),
        ("/v1/segments/buyers/export?format=xlsx", 400, "MR7031"),
        ("/v1/segments/buyers/export?traits=shoe_size", 404, "MR5041"),
        ("/v1/segments/buyers/export?traits=city%0A,%22;DROP%20TABLE", 404, "MR5041"),
        ("/v1/profiles/user_id/c1/graph", 400, "MR7031"),
        ("/v1/profiles/user_id/c1/graph?purpose=fun", 400, "MR3010"),
        ("/v1/profiles/user_id/c1/graph?purpose=personalisation", 403, "MR3013"),
        ("/v1/profiles/user_id/c1/graph?purpose=analytics&at=2150-01-01T00:00:00Z", 400, "MR3124"),
        ("/v1/profiles/user_id/null/graph?purpose=analytics", 400, "MR7007"),
        ("/v1/profiles/user_id/c1/segments?purpose=fun", 400, "MR3010"),
        ("/v1/profiles/user_id/c1/segments", 400, "MR7031"),
        ("/v1/memberships?kind=household&value=h1", 400, "MR7031"),
        ("/v1/memberships?kind=club&value=h1&purpose=analytics", 404, "MR3107"),
        ("/v1/memberships?kind=household&value=h1&purpose=fun", 400, "MR3010"),
        ("/v1/memberships?kind=household&value=h1&purpose=analytics&at=9", 400, "MR7020"),
        ("/v1/memberships?kind=household&value=h1&purpose=analytics&at=2150-01-01T00:00:00Z", 400, "MR3124"),
    ] {
        let answer = served.get(path);
        assert_eq!(code(&answer), fails(status, expected), "{path}: {}", answer.body);
    }
    let traits = vec!["city"; 51].join(",");
    assert_eq!(
        code(&served.get(&format!("/v1/segments/buyers/export?traits={traits}"))),
        fails(400, "MR7031")
    );

    // Hostile and huge values are pseudonyms like any other; what is said of them is short and printable.
    for value in
        ["🙂🇩🇪", "\u{202e}evil", "Robert'); DROP TABLE Students;--", "<script>alert(1)</script>", &long]
    {
        let pair = json!({"a": called("c3"), "b": called(value), "reference": format!("{value}\n\u{1b}[2J")});
        assert_eq!(served.post("/v1/people/merge", &pair).status, 200, "{value}");
        let graph = served.get("/v1/profiles/user_id/c3/graph?purpose=analytics");
        assert!(graph.body.len() < 20_000 && !graph.body.contains("\\u001b"), "{}", graph.body);
        assert_eq!(served.post("/v1/people/unmerge", &pair).status, 200, "{value}");
    }
    let graph = served.get("/v1/profiles/user_id/c3/graph?purpose=analytics").json();
    assert_eq!(graph["members"].as_array().unwrap().len(), 2, "as if nothing had been");
    served.close();
}
