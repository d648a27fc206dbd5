//! Erasures and renewed keys over HTTP: everything of somebody goes, everybody else stays, and each order is refused in words.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use common::{batch, order, serve};
use policy::Scope;
use serde_json::{Value, json};

fn called(user: &str) -> Value {
    json!({"kind": "user_id", "value": user})
}

/// How many orders the house knows of somebody.
fn n_orders(served: &common::Served, user: &str) -> Value {
    let asked = json!({"identifier": called(user), "purpose": "personalisation", "views": ["orders"]});
    let answer = served.post("/v1/features", &asked);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["views"][0]["values"]["n"].clone()
}

#[test]
fn a_person_is_erased_with_receipts_and_the_neighbours_stay() {
    let served = serve(|_| {});
    for (n, user) in ["zoe", "ann"].into_iter().enumerate() {
        served.consent(user);
        let sent = served.post("/v1/batch", &batch(&[order(user, &format!("m{n}"), 1_000)]));
        assert_eq!(sent.status, 200, "{}", sent.body);
    }
    served.settle();
    assert_eq!((n_orders(&served, "zoe"), n_orders(&served, "ann")), (json!(1), json!(1)));

    let done = served.post("/v1/erasures", &json!({"identifiers": [called("zoe")], "reason": "ticket 7"}));
    assert_eq!(done.status, 200, "{}", done.body);
    let done = done.json();
    assert_eq!((done["complete"].as_bool(), done["by"].as_str()), (Some(true), Some("tests")), "{done}");
    let stores: Vec<&str> =
        done["stores"].as_array().unwrap().iter().map(|store| store["store"].as_str().unwrap()).collect();
    assert_eq!(stores, ["journal", "state", "vault", "models", "captures", "exports", "audit"]);
    assert!(done["signed"].as_str().unwrap().contains("\u{2014} "), "a signed note");
    assert_ne!(n_orders(&served, "zoe"), json!(1));
    assert_eq!(n_orders(&served, "ann"), json!(1));

    // The receipts are there to be fetched, the order is in the log, nowhere by name.
    let act = done["act"].as_str().unwrap();
    let again = served.get(&format!("/v1/erasures/{act}")).json();
    assert_eq!((again["signed"].clone(), again["n_subjects"].clone()), (done["signed"].clone(), json!(1)));
    let all = served.get("/v1/erasures");
    assert_eq!(all.json()["erasures"].as_array().unwrap().len(), 1);
    assert!(!all.body.contains("zoe"), "{}", all.body);
    let log = served.get("/v1/audit/entries?what=subject.erase");
    assert_eq!(log.json()["entries"][0]["by"], "tests", "{}", log.body);
    served.close();
}

#[test]
fn keys_are_made_new_while_it_serves() {
    let served = serve(|_| {});
    served.consent("ann");
    served.post("/v1/batch", &batch(&[order("ann", "m1", 1_000)]));
    served.settle();
    for what in ["root", "buckets"] {
        let done = served.post("/v1/vault/rotate", &json!({"what": what}));
        assert_eq!(done.status, 200, "{}", done.body);
        assert!(done.json()["root_epoch"].as_u64() >= Some(2), "{}", done.body);
        assert_eq!(done.json()["n_buckets"], if what == "root" { 0 } else { 1_024 });
    }
    assert_eq!(n_orders(&served, "ann"), json!(1));
    let log = served.get("/v1/audit/entries?what=vault.rotate").json();
    assert_eq!(log["entries"].as_array().unwrap().len(), 2);
    served.close();
}

#[test]
fn an_order_that_cannot_be_done_changes_nothing_and_says_why() {
    let served = serve(|_| {});
    let erase = |body: Value| served.post("/v1/erasures", &body);
    for (body, status, code) in [
        (json!({"identifiers": [called("zoe")]}), 400, "MR7020"),
        (json!({"identifiers": [called("zoe")], "reason": " "}), 400, "MR3310"),
        (json!({"identifiers": [], "reason": "ticket 7"}), 400, "MR3310"),
    ] {
        let answer = erase(body.clone());
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}: {}", answer.body);
    }
    let missing = served.get("/v1/erasures/01890000000070008000000000000000");
    assert_eq!(missing.status, 404, "{}", missing.body);
    assert_eq!(served.get("/v1/erasures/none").status, 400);
    for body in [json!({"what": "root", "to": "file:x"}), json!({"what": "master"}), json!({"what": "locks"})]
    {
        let answer = served.post("/v1/vault/rotate", &body);
        assert_eq!((answer.status, answer.code().as_str()), (400, "MR7020"), "{body}: {}", answer.body);
        assert!(answer.body.contains("`root`, `buckets`, or `master`"), "{}", answer.body);
    }
    let absent = served.post("/v1/vault/rotate", &json!({"what": "master", "to": "file:not-there.key"}));
    assert_eq!(absent.code(), "MR3003", "{}", absent.body);
    assert!(absent.body.contains("not-there.key"), "{}", absent.body);
    assert!(served.get("/v1/erasures").json()["erasures"].as_array().unwrap().is_empty());

    // Each by its own scope.
    let reader = format!("Bearer {}", served.key(&[Scope::Read, Scope::Track]));
    let officer = format!("Bearer {}", served.key(&[Scope::Protect]));
    let order = json!({"identifiers": [called("zoe")], "reason": "ticket 7"}).to_string();
    let rotate = json!({"what": "root"}).to_string();
    let ask = |key: &str, path: &str, body: &str| {
        served.ask("POST", path, &[("authorization", key)], Some(body.as_bytes())).status
    };
    assert_eq!(ask(&reader, "/v1/erasures", &order), 403);
    assert_eq!(ask(&officer, "/v1/vault/rotate", &rotate), 403);
    assert_eq!(ask(&officer, "/v1/erasures", &order), 200);
    served.close();
}
