//! Bad input of every kind the issue names: a clear error in the user's words, no panic, nothing lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use std::path::Path;

use common::{Served, batch, copy, gzip, order, serve, serve_project};
use serde_json::{Value, json};

fn check(name: &str, answer: &common::Answer) {
    insta::assert_snapshot!(name, answer.shown());
    if let Some(code) = answer.json()["code"].as_str() {
        let page = format!("{}/../../docs/errors/{code}.md", env!("CARGO_MANIFEST_DIR"));
        assert!(std::path::Path::new(&page).exists(), "{code} has no page");
    }
}

fn sent(served: &Served, body: impl AsRef<[u8]>) -> common::Answer {
    served.send("/v1/batch", &[], body)
}

#[test]
fn bodies_that_cannot_be_read() {
    let served = serve(|_| ());
    check("broken_json", &sent(&served, r#"{"batch": [{"type": "track", }]}"#));
    check(
        "nan",
        &sent(
            &served,
            r#"{"batch": [{"type": "track", "event": "Order Completed", "properties": {"total_cents": NaN}}]}"#,
        ),
    );
    check("empty_body", &sent(&served, ""));
    check("no_object", &sent(&served, "[1, 2]"));
    check("no_batch", &sent(&served, "{}"));
    check(
        "nested_10000",
        &sent(&served, format!(r#"{{"batch": [{}{}]}}"#, "[".repeat(10_000), "]".repeat(10_000))),
    );
    check("invalid_utf8", &sent(&served, b"{\"batch\": [{\"event\": \"M\xfcller\"}]}"));
    check("utf16", &sent(&served, b"\xff\xfe{\x00}\x00"));
    check(
        "wrong_charset",
        &served.send("/v1/batch", &[("content-type", "application/json; charset=iso-8859-1")], "{}"),
    );
    check("form", &served.send("/v1/batch", &[("content-type", "application/x-www-form-urlencoded")], "a=b"));
    check("brotli", &served.send("/v1/batch", &[("content-encoding", "br")], "{}"));
    check("not_gzip", &served.send("/v1/batch", &[("content-encoding", "gzip")], "{}"));
    let bomb = gzip(&vec![b' '; 50_000_000]);
    assert!(bomb.len() < 512_000, "{}", bomb.len());
    let answer = served.send("/v1/batch", &[("content-encoding", "gzip")], bomb);
    assert_eq!((answer.status, answer.code().as_str()), (400, "MR7016"));
    check("batch_too_large", &sent(&served, vec![b' '; 600_000]));
    check("decide_too_large", &served.send("/v1/decide", &[], vec![b' '; 1_100_000]));
    served.close();
}

#[test]
fn calls_that_do_not_follow_the_protocol() {
    let served = serve(|_| ());
    let large =
        json!({"userId": "c1", "event": "Order Completed", "properties": {"note": "x".repeat(33_000)}});
    check("event_33kb", &served.post("/v1/track", &large));
    check("event_33kb_in_batch", &served.post("/v1/batch", &batch(&[order("c1", "m1", 5), large])));
    let many = format!(r#"{{"batch":[{}]}}"#, vec!["{}"; 2_501].join(","));
    let answer = sent(&served, many);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["refusals"].as_array().unwrap().len(), 20);
    let mut short = answer.json();
    short["refusals"] = Value::Null;
    insta::assert_snapshot!("batch_of_2501", format!("{}\n{short}", answer.status));
    check("no_type", &served.post("/v1/batch", &batch(&[json!({"userId": "c1"})])));
    check("wrong_type", &served.post("/v1/batch", &batch(&[json!({"type": "purchase"}), json!(7)])));
    check("long_message_id", &served.post("/v1/track", &order("c1", &"m".repeat(101), 5)));
    check("track_without_event", &served.post("/v1/track", &json!({"userId": "c1"})));
    served.close();
}

#[test]
fn times_and_names_that_are_odd_are_kept_or_quarantined() {
    let served = serve(|_| ());
    let at = |id: &str, time: &str| {
        let mut call = order("c1", id, 5);
        call["timestamp"] = time.into();
        call
    };
    let named = |id: &str, user: &str| order(user, id, 5);
    let calls = [
        at("t1", "9999-12-31T23:59:59Z"),
        at("t2", "-0044-03-15T00:00:00Z"),
        at("t3", "yesterday"),
        named("n1", "🙂🇩🇪"),
        named("n2", "\u{202e}txet tfel-ot-thgir"),
        named("n3", "Robert'); DROP TABLE Students;--"),
        named("n4", "<script>alert(1)</script>"),
    ];
    let answer = served.post("/v1/batch", &batch(&calls));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let told = answer.json();
    let sum: u64 = ["accepted", "quarantined", "refused"].iter().map(|k| told[k].as_u64().unwrap()).sum();
    assert_eq!((sum, &told["accepted"]), (7, &json!(4)), "{told}");
    served.settle();
    for user in ["🙂🇩🇪", "Robert'); DROP TABLE Students;--", "\u{202e}txet tfel-ot-thgir"] {
        let asked = json!({
            "identifier": {"kind": "user_id", "value": user}, "purpose": "analytics", "views": ["orders"],
        });
        assert_eq!(served.post("/v1/features", &asked).json()["views"][0]["values"]["n"], 1, "{user}");
    }
    served.close();
}

#[test]
fn a_message_sent_again_counts_once() {
    let served = serve(|_| ());
    let call = order("c1", "m1", 700);
    let sent = served.post("/v1/batch", &batch(&[call.clone(), call.clone()])).json();
    assert_eq!((&sent["accepted"], &sent["duplicates"]), (&json!(1), &json!(1)));
    for _ in 0..3 {
        assert_eq!(served.post("/v1/track", &call).status, 200);
    }
    served.settle();
    let asked = json!({
        "identifier": {"kind": "user_id", "value": "c1"}, "purpose": "analytics", "views": ["orders"],
    });
    assert_eq!(
        served.post("/v1/features", &asked).json()["views"][0]["values"],
        json!({"n": 1, "spent_cents": 700})
    );
    served.close();
}

#[test]
fn keys_that_are_none() {
    let served = serve(|_| ());
    let with = |value: &str| served.ask("GET", "/v1/keys", &[("authorization", value)], None);
    check("no_key", &with(""));
    let forged = format!("Bearer {}", served.key.replace(|c: char| c.is_ascii_digit(), "0"));
    check("forged_key", &with(&forged));
    check("key_of_nobody", &with(&format!("Bearer mr_{}_{}", "a".repeat(16), "b".repeat(64))));
    check("no_scheme", &with(&served.key));
    check("broken_basic", &with("Basic %%%"));
    served.close();
}

#[test]
fn hostile_consent_strings_grant_nothing_and_are_quoted_short() {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/project"), dir.path());
    let settings = dir.path().join("maschinenraum.toml");
    let mapped =
        std::fs::read_to_string(&settings).unwrap() + "\n[consent.tcf.purposes]\npersonalisation = [1, 2]\n";
    std::fs::write(&settings, mapped).unwrap();
    let served = serve_project(dir.path(), |_| ());
    let who = json!({"kind": "user_id", "value": "eve"});
    let long = format!("C{}", "A".repeat(60_000));
    for string in
        ["", "C", "COx", "CQ\u{2026}", "../../etc/passwd", "<script>alert(1)</script>", "C.\u{0}.~~", &long]
    {
        let said = json!({"identifier": who, "tc_string": string, "notice_version": "1"});
        let answer = served.post("/v1/consents/signals", &said);
        assert_eq!((answer.status, answer.code().as_str()), (400, "MR3510"), "{string:.40}: {}", answer.body);
        assert!(answer.body.len() < 400, "{}", answer.body);
        // In a tracking call the call is taken, and nothing is granted.
        let mut call = order("eve", &format!("m{}", string.len()), 1_000);
        call["context"] = json!({"consent": {"tcf": string}});
        assert_eq!(served.post("/v1/batch", &batch(&[call])).status, 200);
    }
    served.settle();
    let known = served.get("/v1/consents?kind=user_id&value=eve");
    assert_eq!(known.json()["consents"], json!([]), "{}", known.body);
    served.close();
}

#[test]
fn tokens_and_keys_that_are_spent_or_over_open_nothing() {
    let served = serve(|_| ());
    let asked = served.post(
        "/v1/consents/requests",
        &json!({
            "identifier": {"kind": "user_id", "value": "eve"}, "purpose": "email_marketing", "channel": "email",
            "status": "granted", "notice_version": "1",
        }),
    );
    let token = asked.json()["token"].as_str().unwrap().to_owned();
    let confirm = |token: &str| served.post("/v1/consents/confirm", &json!({"token": token}));
    let forged = token.replace(|c: char| c.is_ascii_digit(), "0");
    for (token, code) in [(forged.as_str(), "MR3530"), ("mrc_", "MR3530"), ("", "MR3530")] {
        assert_eq!(confirm(token).code(), code, "{token}");
    }
    assert_eq!(confirm(&token).status, 200);
    let again = confirm(&token);
    assert_eq!((again.status / 100, again.code().as_str()), (4, "MR3532"), "{}", again.body);
    assert!(!again.body.contains(&token), "{}", again.body);

    let over = served
        .post("/v1/keys", &json!({"name": "gone", "scopes": ["protect"], "expires": "2020-01-01T00:00:00Z"}));
    let bearer = format!("Bearer {}", over.json()["key"].as_str().unwrap());
    let refused = served.ask("GET", "/v1/erasures", &[("authorization", &bearer)], None);
    assert_eq!((refused.status, refused.code().as_str()), (401, "MR3021"), "{}", refused.body);
    assert!(!refused.body.contains(&bearer[10..]), "{}", refused.body);
    served.close();
}

#[test]
fn requests_of_another_shape() {
    let served = serve(|_| ());
    let who = json!({"kind": "user_id", "value": "c1"});
    check("unknown_field", &served.post("/v1/decide", &json!({"usecase": "thanks", "identifier": who})));
    check("wrong_field_type", &served.post("/v1/decide", &json!({"use_case": 7, "identifier": who})));
    check("missing_field", &served.post("/v1/decide", &json!({"use_case": "thanks"})));
    check("unknown_use_case", &served.post("/v1/decide", &json!({"use_case": "thank", "identifier": who})));
    let nobody = json!({"kind": "user_id", "value": "null"});
    check(
        "blocked_identifier",
        &served.post("/v1/decide", &json!({"use_case": "thanks", "identifier": nobody})),
    );
    check(
        "unknown_view",
        &served
            .post("/v1/features", &json!({"identifier": who, "purpose": "analytics", "views": ["visits"]})),
    );
    check(
        "unknown_purpose",
        &served.post("/v1/features", &json!({"identifier": who, "purpose": "fun", "views": []})),
    );
    check("no_purpose", &served.get("/v1/profiles/user_id/c1"));
    check("unknown_parameter", &served.get("/v1/quarantine?page=2"));
    check("limit_zero", &served.get("/v1/quarantine?limit=0"));
    check("no_id", &served.get("/v1/decisions/42"));
    check("unknown_decision", &served.get(&format!("/v1/decisions/{}", "0".repeat(32))));
    check("broken_percent", &served.get("/v1/profiles/user_id/%ff?purpose=analytics"));
    let outcome = json!({"decision": "0".repeat(32), "kind": "order"});
    check("outcome_of_no_decision", &served.post("/v1/outcomes", &outcome));
    check("outcome_of_no_kind", &served.post("/v1/outcomes", &json!([{"decision": "0".repeat(32)}])));
    check(
        "year_9999",
        &served.post(
            "/v1/outcomes",
            &json!({"decision": "0".repeat(32), "kind": "order", "occurred_at": "9999-01-01"}),
        ),
    );
    check("unknown_model", &served.get("/v1/models/winback"));
    check("no_model_name", &served.get("/v1/models/Win%20Back"));
    check(
        "canary_without_share",
        &served.post("/v1/models/winback/promote", &json!({"version": 1, "to": "canary", "reason": "r"})),
    );
    check(
        "promote_unknown",
        &served.post("/v1/models/winback/promote", &json!({"version": 1, "to": "live", "reason": "r"})),
    );
    check("rollback_unknown", &served.post("/v1/models/winback/rollback", &json!({"reason": "r"})));
    check("language", &served.get(&format!("/v1/decisions/{}/explanation?lang=fr", "0".repeat(32))));
    served.close();
}
