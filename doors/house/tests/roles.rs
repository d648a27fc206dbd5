//! Roles, policies and what a purpose may see, in a house: profiles, features, exports, keys, and the audit log.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod support;

use std::path::Path;

use house::{AuditSought, FileLayout, House, Project};
use policy::{Principal, Scope, Status};
use serde_json::{Value, json};
use support::{all, open, send, user, write};

const SETTINGS: &str = "
[instance]
partitions = 2
[state]
commit_every_ms = 20
[policies]
roles = [\"content_lead\"]
[purposes.analytics]
basis = \"consent\"
[purposes.shipping]
basis = \"contract\"
fields = [\"customers.city\", \"customers.email\", \"orders.order_id\", \"orders.address.street\", \"orders.address.city\", \"orders.user_id\"]
";

const ORDERS: &str = "
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
      - {name: total, logicalType: number, required: true, classification: internal, customProperties: [{property: scale, value: 2}]}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
      - {name: diet, logicalType: string, classification: special}
      - name: address
        logicalType: object
        classification: personal
        properties:
          - {name: street, logicalType: string, classification: personal}
          - {name: city, logicalType: string, classification: personal}
          - {name: gate_code, logicalType: string, classification: personal}
customProperties:
  - {property: source, value: ['track:Order Completed', file]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: dedupKey, value: [order_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: analytics, basis: consent}, {name: shipping, basis: contract}]}
";

const CUSTOMERS: &str = "
apiVersion: v3.1.0
kind: DataContract
id: customers
name: customers
version: 1.0.0
status: active
schema:
  - name: customers
    logicalType: object
    properties:
      - {name: user_id, logicalType: string, required: true, primaryKey: true, classification: personal, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
      - {name: email, logicalType: string, classification: personal, customProperties: [{property: source, value: /traits/email}]}
      - {name: city, logicalType: string, classification: personal, customProperties: [{property: source, value: /traits/city}]}
      - {name: born, logicalType: string, classification: personal, customProperties: [{property: source, value: /traits/born}]}
customProperties:
  - {property: source, value: [identify]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: traits, value: true}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: analytics, basis: consent}, {name: shipping, basis: contract}]}
";

const VIEW: &str = "
view: orders
version: 1
stream: orders
purposes: [analytics, shipping]
features:
  - {name: n, agg: count}
  - {name: spent, agg: sum, of: total, scale: 2, default: 0}
  - {name: city, agg: last, of: address.city}
  - {name: mean, ratio: true, numerator: spent, denominator: n}
";

const OWN: &str = "
// Nobody takes anything out for analytics.
@id(\"nothing-leaves\")
forbid (principal, action == Action::\"export\", resource)
when { context.purpose == Purpose::\"analytics\" };

permit (principal in Role::\"content_lead\", action == Action::\"read_features\", resource == Class::\"internal\");
permit (principal in Role::\"content_lead\", action == Action::\"enter\", resource == Door::\"read\");
";

fn project(dir: &Path) {
    write(dir, "maschinenraum.toml", SETTINGS);
    write(dir, "contracts/orders.yaml", ORDERS);
    write(dir, "contracts/customers.yaml", CUSTOMERS);
    write(dir, "features/orders.yaml", &VIEW.replace("ratio: true, ", "agg: ratio, "));
}

fn shop(dir: &Path) -> std::sync::Arc<House> {
    project(dir);
    let house = open(dir);
    let calls = [
        json!({"type": "identify", "messageId": "i1", "userId": "ann",
            "traits": {"email": "ann@example.org", "city": "Kiel", "born": "1990-01-01"}}),
        json!({"type": "track", "event": "Order Completed", "messageId": "m1", "userId": "ann", "properties": {
            "order_id": "o1", "total": 77.25, "diet": "halal",
            "address": {"street": "Deich 1", "city": "Kiel", "gate_code": "zz-gate"}}}),
    ];
    assert_eq!(send(&house, &calls).counts.n_accepted, 2);
    house
}

fn rows(path: &Path) -> Vec<Value> {
    intake::file::inspect(path, |_| {}).unwrap().rows(0).unwrap().map(|row| row.unwrap().raw).collect()
}

fn person(role: &str) -> Principal {
    Principal::new("mara", Scope::ALL).with_roles([role])
}

/// GDPR article 5(1)(c), 25(2): what a purpose does not list is absent for it, not masked.
#[test]
fn art_5_1_c_an_unlisted_field_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    house.consent(&user("ann"), "analytics", Status::Granted, "v1", "form", None).unwrap();

    let traits = |purpose: &str| {
        let profile = house.profile(&all(), &user("ann"), purpose).unwrap();
        profile.traits.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(traits("shipping"), ["city", "email"]);
    assert_eq!(traits("analytics"), ["born", "city", "email", "user_id"]);

    let features = |purpose: &str| {
        let (_, values) = house.features(&all(), &user("ann"), purpose, &["orders".to_owned()]).unwrap();
        serde_json::to_value(&values[0]).unwrap()
    };
    let shipping = features("shipping");
    assert_eq!(shipping.as_object().unwrap().keys().collect::<Vec<_>>(), ["city", "n"], "{shipping}");
    assert_eq!(features("analytics")["spent"], json!(77.25));

    let path = dir.path().join("orders.parquet");
    for layout in [FileLayout::Fields, FileLayout::Raw] {
        house.export_stream(&all(), "orders", "shipping", layout, &path).unwrap();
        let out = rows(&path);
        let text = serde_json::to_string(&out).unwrap();
        assert!(text.contains("Deich 1") && text.contains("o1"), "{text}");
        for absent in ["halal", "diet", "zz-gate", "gate_code", "77.25", "total"] {
            assert!(!text.contains(absent), "{absent} in {text}");
        }
        // Not even as bytes of the file.
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(4).any(|w| w == b"diet" || w == b"zz-g"));
    }
    house.export_features(&all(), "orders", "shipping", None, &path).unwrap();
    let text = serde_json::to_string(&rows(&path)).unwrap();
    assert!(text.contains("\"n\"") && !text.contains("spent") && !text.contains("mean"), "{text}");
    house.close();
}

#[test]
fn roles_decide_before_anything_is_granted() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let code = |result: Result<(), house::Error>| result.err().map(|error| error.code());
    let profile = |who: &Principal| code(house.profile(who, &user("ann"), "shipping").map(drop));
    let features = |who: &Principal, purpose: &str| {
        code(house.features(who, &user("ann"), purpose, &["orders".to_owned()]).map(drop))
    };
    assert_eq!(profile(&person("marketer")), None);
    for role in ["analyst", "engineer", "source", "nobody_knows"] {
        assert_eq!(profile(&person(role)), Some("MR3401"), "{role}");
    }
    assert_eq!(features(&person("analyst"), "shipping"), None);
    assert_eq!(features(&person("source"), "shipping"), Some("MR3401"));
    // The role allows it, and the person does not.
    assert_eq!(features(&person("admin"), "analytics"), Some("MR3013"));
    // Scopes and purposes are told as before.
    assert_eq!(features(&Principal::new("key", [Scope::Track]), "shipping"), Some("MR3011"));
    assert_eq!(features(&person("source"), "nothing"), Some("MR3010"));
    // Parts of the house, and callers without a role, go on.
    assert_eq!(features(&Principal::new("key", [Scope::Read]), "shipping"), None);

    // A stream with a special category needs consent, for which purpose ever; its list leaves it out for shipping.
    let path = dir.path().join("x.parquet");
    let export = |who: &Principal, purpose: &str| {
        code(house.export_stream(who, "orders", purpose, FileLayout::Fields, &path).map(drop))
    };
    assert_eq!(export(&person("marketer"), "shipping"), None);
    assert_eq!(export(&person("marketer"), "analytics"), Some("MR3401"));
    assert_eq!(export(&person("admin"), "analytics"), None);

    // LAW 10: what was denied is in the log, once, with how often.
    profile(&person("analyst"));
    house.close();
    drop(house);
    let house = open(dir.path());
    let sought = AuditSought { what: Some("role.deny".to_owned()), ..AuditSought::default() };
    let entries = house.audit_entries(&sought, 100).unwrap();
    let said = serde_json::to_value(&entries).unwrap();
    let of_analyst: Vec<&Value> =
        said.as_array().unwrap().iter().filter(|e| e.to_string().contains("(analyst)")).collect();
    assert_eq!(of_analyst.len(), 1, "{said:#}");
    assert!(of_analyst[0].to_string().contains("\"times\":2"), "{said:#}");
    assert!(!said.to_string().contains("ann"), "{said:#}");
    house.close();
}

#[test]
fn a_key_has_a_role_and_a_project_has_policies() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let made = |role: Option<&str>, scopes: &[Scope]| {
        let key = house.create_key_in("test", "k", scopes, role, None).unwrap();
        house.authenticate(&key.text).unwrap()
    };
    let officer = made(Some("data_protection_officer"), &[]);
    assert_eq!(officer.scopes(), [Scope::Consent, Scope::Read, Scope::Export, Scope::Protect]);
    assert!(house.profile(&officer, &user("ann"), "shipping").is_ok());
    assert_eq!(made(Some("source"), &[Scope::Track, Scope::Export]).scopes(), [Scope::Track]);
    assert_eq!(made(None, &[Scope::Export]).scopes(), [Scope::Export]);
    for role in ["operator", "chief", ""] {
        assert_eq!(house.create_key_in("test", "k", &[], Some(role), None).err().unwrap().code(), "MR3405");
    }
    let lead = made(Some("content_lead"), &[Scope::Read]);
    assert!(lead.scopes().is_empty());
    let version = house.roles().version().to_owned();
    house.close();
    drop(house);

    write(dir.path(), "policies/own.cedar", OWN);
    let house = open(dir.path());
    assert_ne!(house.roles().version(), version);
    let sought = AuditSought { what: Some("policy.change".to_owned()), ..AuditSought::default() };
    let changed = serde_json::to_string(&house.audit_entries(&sought, 9).unwrap()).unwrap();
    assert!(changed.contains("policies/own.cedar") && changed.contains(&version), "{changed}");
    // An admin, too.
    let path = dir.path().join("x.parquet");
    house.consent(&user("ann"), "analytics", Status::Granted, "v1", "form", None).unwrap();
    let error = house.export_stream(&all(), "orders", "analytics", FileLayout::Fields, &path).unwrap_err();
    assert!(
        error.code() == "MR3401" && error.to_string().contains("policies/own.cedar:3 (nothing-leaves)"),
        "{error}"
    );
    house.close();
    drop(house);
    // Open again with the same policies: nothing has changed.
    let house = open(dir.path());
    assert_eq!(house.audit_entries(&sought, 9).unwrap().len(), 1);
    house.close();
}

fn findings(dir: &Path) -> Vec<String> {
    support::errors(dir)
}

#[test]
fn what_is_wrong_with_policies_and_lists_is_quoted_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    assert_eq!(findings(dir.path()), Vec::<String>::new());
    let check = |path: &str, text: &str, words: &[&str]| {
        let before = std::fs::read_to_string(dir.path().join(path)).ok();
        write(dir.path(), path, text);
        let found = findings(dir.path()).join("\n");
        for word in words {
            assert!(found.contains(word), "no {word} in {found}");
        }
        assert!(Project::load(dir.path()).is_err());
        match before {
            Some(before) => write(dir.path(), path, &before),
            None => std::fs::remove_file(dir.path().join(path)).unwrap(),
        }
    };
    check(
        "policies/own.cedar",
        "permit (principal, action == Action::\"eat\", resource);",
        &["policies/own.cedar:1", "MR3403", "eat"],
    );
    check(
        "policies/own.cedar",
        "\npermit (principal action, resource);",
        &["policies/own.cedar:2", "MR3402"],
    );
    let toml = |change: &dyn Fn(&str) -> String| change(SETTINGS);
    check(
        "maschinenraum.toml",
        &toml(&|t| t.replace("customers.city", "customers.town")),
        &["MR3406", "maschinenraum.toml:12", "`customers.town`"],
    );
    check(
        "maschinenraum.toml",
        &toml(&|t| t.replace("content_lead", "Chef de cuisine")),
        &["MR3405", "Chef de cuisine"],
    );
    check(
        "maschinenraum.toml",
        &format!("{SETTINGS}[login]\nissuer = \"https://id.example\"\n[login.roles]\nstaff = \"boss\"\n"),
        &["MR3405", "maschinenraum.toml:16", "`boss`"],
    );
    check(
        "maschinenraum.toml",
        &format!("{SETTINGS}[login]\nissuer = \"ftp://id.example\"\n"),
        &["MR3410", "maschinenraum.toml:13", "ftp://id.example"],
    );
    let segment =
        "segment: big\nowner: Ada\ndescription: x\npurpose: shipping\nrule: \"orders.spent > 10\"\n";
    check(
        "segments/big.yaml",
        segment,
        &["MR3406", "`orders.spent` reads `orders.total`, which [purposes.shipping] fields does not list"],
    );
    let (project, _) = Project::read(dir.path()).unwrap();
    write(
        dir.path(),
        "policies/tests/a.yaml",
        "tests:\n- {role: marketer, action: export, purpose: shipping, class: special, expect: allow}\n",
    );
    let (n_files, n_asked, wrong) = project.test_policies();
    assert_eq!((n_files, n_asked, wrong.len()), (1, 1, 1));
    assert_eq!((wrong[0].code, wrong[0].line), ("MR3404", Some(2)));
}

/// Every grant passes the roles: `policy` asks them itself, before consents; nothing else makes grants.
#[test]
fn there_is_no_grant_past_the_roles() {
    let dir = tempfile::tempdir().unwrap();
    let house = shop(dir.path());
    let nobody = person("nobody_knows");
    let subject = house.subject(&user("ann")).unwrap();
    for action in
        [policy::Action::Decide, policy::Action::Train, policy::Action::Send, policy::Action::Export]
    {
        let (purposes, now) = (house.purposes(), house.now());
        let one = policy::authorize(&nobody, action, "shipping", &[subject], &*house, purposes, now);
        let many = policy::authorize_many(&nobody, action, "shipping", [[subject]], &*house, purposes, now);
        assert_eq!((one.unwrap_err().code(), many.unwrap_err().code()), ("MR3401", "MR3401"));
    }
    house.close();
}
