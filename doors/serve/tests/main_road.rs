//! One road through the whole door: consent, events, features, a decision, its explanation, an outcome.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use common::{batch, gzip, order, serve};
use policy::Scope;
use serde_json::{Value, json};

#[test]
fn an_event_becomes_a_decision_that_can_be_explained() {
    let served = serve(|_| ());
    served.consent("c1");
    let sent = served.post("/v1/batch", &batch(&[order("c1", "m1", 1_000), order("c1", "m2", 2_500)]));
    assert_eq!(sent.body, r#"{"success":true,"accepted":2,"quarantined":0,"duplicates":0,"refused":0}"#);
    served.settle();

    let who = json!({"kind": "user_id", "value": "c1"});
    let asked = json!({"identifier": who, "purpose": "personalisation", "views": ["orders"]});
    let features = served.post("/v1/features", &asked).json();
    assert_eq!(features["views"][0]["values"], json!({"n": 2, "spent_cents": 3_500}));

    let consents = served.get("/v1/consents?kind=user_id&value=c1").json();
    assert_eq!(consents["consents"][1]["purpose"], "personalisation");
    assert_eq!(consents["consents"][1]["status"], "granted");
    assert_eq!(consents["consents"][1]["source"], "tests");

    let profile = served.get("/v1/profiles/user_id/c1?purpose=analytics").json();
    assert_eq!(profile["members"][0]["kind"], Value::Null);

    let decided = served
        .post("/v1/decide", &json!({"use_case": "thanks", "identifier": who, "context": {"page": "/home"}}));
    assert_eq!(decided.status, 200, "{}", decided.body);
    let decided = decided.json();
    assert_eq!(
        decided["n_feasible"],
        2,
        "{}",
        served.get(&format!("/v1/decisions/{}/explanation", decided["decision"].as_str().unwrap())).body
    );
    let id = decided["decision"].as_str().unwrap().to_owned();

    let again = served.get(&format!("/v1/decisions/{id}")).json();
    assert_eq!(again["action"], decided["action"]);
    assert_eq!(again["propensity"], decided["propensity"]);

    let explained = served.get(&format!("/v1/decisions/{id}/explanation")).json();
    assert_eq!(explained["reproduces"], true);
    assert_eq!(explained["why_not"][0]["action"], "email_voucher");
    assert_eq!(explained["why_not"][0]["reasons"][0]["reason"], "not_eligible");
    assert_eq!(explained["inputs"][0]["value"], 2.0);

    let outcome = json!({"decision": id, "kind": "order", "value_cents": 1999, "id": "o-1"});
    assert_eq!(served.post("/v1/outcomes", &outcome).body, r#"{"recorded":1}"#);
    assert_eq!(served.post("/v1/outcomes", &json!([outcome])).body, r#"{"recorded":1}"#);
    let explained = served.get(&format!("/v1/decisions/{id}/explanation")).json();
    assert_eq!(explained["outcomes"].as_array().unwrap().len(), 1, "told twice is told once");

    let text = |lang: &str| {
        let path = format!("/v1/decisions/{id}/explanation{lang}");
        served.ask("GET", &path, &[("accept", "text/plain")], None)
    };
    let (english, german) = (text(""), text("?lang=de"));
    assert_eq!(english.headers["content-type"], "text/plain; charset=utf-8");
    assert_ne!(english.body, german.body);
    served.close();
}

#[test]
fn without_consent_nothing_is_decided_and_a_withdrawal_counts_at_once() {
    let served = serve(|_| ());
    let ask = || {
        let body = json!({"use_case": "thanks", "identifier": {"kind": "user_id", "value": "c7"}});
        served.post("/v1/decide", &body)
    };
    insta::assert_snapshot!("decide_without_consent", ask().shown());
    served.consent("c7");
    assert_eq!(ask().status, 200);
    let withdrawn = json!({
        "identifier": {"kind": "user_id", "value": "c7"}, "purpose": "personalisation", "status": "withdrawn",
        "notice_version": "2026-01", "source": "preference centre",
    });
    assert_eq!(served.post("/v1/consents", &withdrawn).status, 200);
    assert_eq!(ask().status, 403);
    served.close();
}

#[test]
fn tracking_takes_every_form_that_clients_send() {
    let served = serve(|_| ());
    let one = order("c1", "m1", 100);
    let basic = "Basic ".to_owned() + &base64(&format!("{}:", served.key));
    let text = one.to_string();
    assert_eq!(served.send("/v1/track", &[("authorization", &basic)], &text).status, 200);
    assert_eq!(served.send("/v1/t", &[("content-type", "text/plain")], &text).status, 200);
    let keyed = json!({"batch": [one], "writeKey": served.key}).to_string();
    assert_eq!(
        served.send("/v1/b", &[("authorization", ""), ("content-type", "text/plain")], &keyed).status,
        200
    );
    assert_eq!(
        served.send("/v1/b", &[("authorization", "")], r#"{"batch":[],"writeKey":"mr_1_2"}"#).code(),
        "MR3020"
    );
    assert_eq!(served.send("/v1/b", &[("authorization", "")], r#"{"batch":[]}"#).code(), "MR7021");
    let packed = gzip(batch(&[order("c2", "m2", 5)]).to_string().as_bytes());
    assert_eq!(served.send("/v1/batch", &[("content-encoding", "gzip")], packed).json()["accepted"], 1);
    for (path, body) in [
        ("/v1/identify", json!({"userId": "c1", "traits": {"name": "Ö"}})),
        ("/v1/page", json!({"anonymousId": "a", "name": "Home"})),
        ("/v1/screen", json!({"userId": "c1", "name": "Start"})),
        ("/v1/group", json!({"userId": "c1", "groupId": "g"})),
        ("/v1/alias", json!({"userId": "c1", "previousId": "a"})),
        ("/v1/import", batch(&[order("c3", "m9", 7)])),
        ("/v1/m", json!({"series": []})),
    ] {
        let answer = served.post(path, &body);
        assert_eq!(
            (answer.status, &answer.json()["success"]),
            (200, &json!(true)),
            "{path}: {}",
            answer.body
        );
    }
    let settings = served.get(&format!("/v1/projects/{}/settings", served.key)).json();
    assert_eq!(settings["integrations"]["Segment.io"]["apiKey"], served.key.as_str());
    assert_eq!(served.get("/v1/projects/mr_1_2/settings").status, 401);
    served.close();
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn what_breaks_its_contract_waits_in_quarantine_with_its_reason() {
    let served = serve(|_| ());
    let broken = order("c1", "m1", -5);
    let unknown = json!({"type": "track", "event": "Never Agreed", "userId": "c1", "messageId": "m2"});
    let sent = served.post("/v1/batch", &batch(&[broken, unknown, order("c1", "m3", 5)])).json();
    assert_eq!((&sent["accepted"], &sent["quarantined"]), (&json!(1), &json!(2)));
    assert_eq!(sent["success"], true);
    served.settle();

    let page = served.get("/v1/quarantine?limit=1").json();
    let rest = served.get(&format!("/v1/quarantine?after={}", page["next"].as_str().unwrap())).json();
    assert_eq!(rest["next"], Value::Null);
    let mut codes: Vec<&str> = [&page, &rest]
        .iter()
        .flat_map(|page| page["records"].as_array().unwrap())
        .map(|record| record["reasons"][0]["code"].as_str().unwrap())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, ["MR1005", "MR2010"]);
    let ids = json!({"records": [page["records"][0]["record"], rest["records"][0]["record"]]});
    let replayed = served.post("/v1/quarantine/replay", &ids).json();
    assert_eq!(replayed["accepted"], 0);
    assert_eq!(replayed["refused"].as_array().unwrap().len(), 2);

    let streams = served.get("/v1/streams").json();
    assert_eq!(streams["streams"]["orders"]["records"], 1);
    assert_eq!(streams["streams"]["orders"]["owner"], "mara");
    served.close();
}

#[test]
fn documents_are_posted_for_a_stream_one_by_one_or_as_lines() {
    let served = serve(|_| ());
    let one = json!({"userId": "c1", "properties": {"total_cents": 5}, "timestamp": "2026-03-01T12:00:00Z"});
    assert_eq!(served.post("/v1/streams/orders", &one).json()["accepted"], 1);
    let lines = format!("{one}\r\n\n{}\nnonsense\n", json!({"userId": "c2", "properties": {}}));
    let sent = served.send("/v1/streams/orders", &[("content-type", "application/x-ndjson")], lines).json();
    assert_eq!((&sent["refused"], &sent["quarantined"]), (&json!(1), &json!(1)), "{sent}");
    assert_eq!(sent["refusals"][0]["index"], 2);
    insta::assert_snapshot!("unknown_stream", served.post("/v1/streams/ordres", &one).shown());
    served.close();
}

#[test]
fn keys_are_made_used_and_revoked_at_once() {
    let served = serve(|_| ());
    let made = served.post("/v1/keys", &json!({"name": "shop", "scopes": ["track"]})).json();
    let key = format!("Bearer {}", made["key"].as_str().unwrap());
    let track = || served.send("/v1/track", &[("authorization", &key)], order("c1", "m1", 5).to_string());
    assert_eq!(track().status, 200);
    let decide = served.send("/v1/decide", &[("authorization", &key)], "{}");
    assert_eq!((decide.status, decide.code().as_str()), (403, "MR7023"));
    let id = made["id"].as_str().unwrap();
    assert_eq!(served.ask("DELETE", &format!("/v1/keys/{id}"), &[], None).status, 200);
    assert_eq!((track().status, track().code().as_str()), (401, "MR3022"));
    let listed = served.get("/v1/keys").body;
    assert!(listed.contains(id) && !listed.contains(made["key"].as_str().unwrap()), "{listed}");
    assert_eq!(served.ask("DELETE", "/v1/keys/0000", &[], None).status, 404);
    assert_eq!(served.post("/v1/keys", &json!({"name": "x", "scopes": ["root"]})).code(), "MR7020");
    served.close();
}

#[test]
fn who_asks_for_more_than_its_key_allows_is_told_which_scope_is_missing() {
    let served = serve(|_| ());
    let key = format!("Bearer {}", served.key(&[Scope::Track]));
    for (method, path) in [
        ("GET", "/v1/keys"),
        ("GET", "/v1/quarantine"),
        ("GET", "/v1/models"),
        ("GET", "/v1/consents?kind=user_id&value=c1"),
        ("GET", "/v1/profiles/user_id/c1?purpose=analytics"),
    ] {
        let answer = served.ask(method, path, &[("authorization", &key)], None);
        assert_eq!((answer.status, answer.code().as_str()), (403, "MR7023"), "{path}");
        let answer = served.ask(method, path, &[("authorization", "")], None);
        assert_eq!((answer.status, answer.code().as_str()), (401, "MR7021"), "{path}");
    }
    served.close();
}
