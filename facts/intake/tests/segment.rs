//! The tracking protocol: what is read, what is refused, and in which words.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code"
)]

use event::Instant;
use intake::segment::{Call, Endpoint, Request, read};
use intake::{Incoming, Origin, Refusal};
use proptest::prelude::*;
use serde_json::{Value, json};

fn now() -> Instant {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn batch(body: &Value) -> Result<Request, Refusal> {
    read(Endpoint::Batch, body.to_string().as_bytes(), now())
}

fn only(request: Request) -> Result<Incoming, Refusal> {
    assert_eq!(request.items.len(), 1);
    request.items.into_iter().next().unwrap()
}

/// The source key of one call in a batch.
fn source(call: Value) -> String {
    match only(batch(&json!({ "batch": [call] })).unwrap()) {
        Ok(incoming) => match incoming.origin {
            Origin::Call(key) => key,
            Origin::Stream(name) => panic!("{name}"),
        },
        Err(refusal) => refusal.to_string(),
    }
}

fn when(endpoint: Endpoint, call: Value, sent_at: Option<&str>) -> String {
    let mut body = json!({ "batch": [call] });
    if let Some(sent_at) = sent_at {
        body["sentAt"] = json!(sent_at);
    }
    let request = read(endpoint, body.to_string().as_bytes(), now()).unwrap();
    match only(request).unwrap().occurred_at {
        Ok(at) => at.unwrap().to_string(),
        Err(why) => why,
    }
}

#[test]
fn calls_are_told_by_what_a_contract_names() {
    assert_eq!(source(json!({"type": "track", "event": "Order Completed"})), "track:Order Completed");
    assert_eq!(source(json!({"event": "Old Client"})), "track:Old Client");
    assert_eq!(source(json!({"type": "page", "name": "Home"})), "page:Home");
    assert_eq!(source(json!({"type": "screen"})), "screen");
    assert_eq!(source(json!({"type": "identify", "userId": "1"})), "identify");
    assert_eq!(source(json!({"type": "group", "groupId": 7})), "group");
    assert_eq!(source(json!({"type": "alias", "previousId": "a"})), "alias");
}

#[test]
fn what_breaks_the_protocol_is_refused_in_the_senders_words() {
    let long = "m".repeat(100);
    let cases = [
        json!({"type": "track"}),
        json!({"type": "track", "event": " "}),
        json!({"type": "track", "event": 5}),
        json!({"type": "Track", "event": "x"}),
        json!({"type": ["track"]}),
        json!({"userId": "1"}),
        json!({"type": "group"}),
        json!({"type": "alias"}),
        json!({"type": "track", "event": "x", "messageId": long}),
        json!({"type": "track", "event": "x", "messageId": 5}),
        json!("track"),
        json!({"type": "track", "event": "x", "properties": {"a": "y".repeat(33 * 1024)}}),
    ];
    let shown: Vec<String> = cases.into_iter().map(source).collect();
    insta::assert_snapshot!(shown.join("\n"));
    let bodies = [
        String::new(),
        "{".into(),
        "[]".into(),
        "{}".into(),
        r#"{"batch": {}}"#.into(),
        format!(r#"{{"batch": [{}]}}"#, " ".repeat(500 * 1024)),
        format!(r#"{{"batch": [{}1{}]}}"#, "[".repeat(10_000), "]".repeat(10_000)),
        r#"{"batch": [{"type": "track", "event": "x", "properties": {"n": NaN}}]}"#.into(),
    ];
    let shown: Vec<String> =
        bodies.iter().map(|b| read(Endpoint::Batch, b.as_bytes(), now()).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(shown.join("\n"));
    let large = json!({"event": "x", "properties": {"a": "y".repeat(33 * 1024)}}).to_string();
    let refusal = read(Endpoint::One(Call::Track), large.as_bytes(), now()).unwrap_err();
    assert_eq!(refusal.code, "MR2004");
}

#[test]
fn a_batch_of_2501_calls_is_refused_item_by_item() {
    let calls = |n: usize| json!({"batch": vec![json!({"type": "page"}); n]});
    let request = batch(&calls(2_501)).unwrap();
    assert_eq!(request.items.len(), 2_501);
    assert!(request.items.iter().all(|item| item.as_ref().is_err_and(|r| r.code == "MR2006")));
    assert!(batch(&calls(2_500)).unwrap().items.iter().all(Result::is_ok));
}

#[test]
fn the_senders_clock_is_corrected() {
    let call = json!({"type": "page", "timestamp": "2020-01-01T00:00:00Z"});
    assert_eq!(when(Endpoint::Batch, call.clone(), Some("2020-01-01T00:00:05Z")), "2026-03-01T11:59:55Z");
    assert_eq!(when(Endpoint::Import, call.clone(), Some("2020-01-01T00:00:05Z")), "2020-01-01T00:00:00Z");
    assert_eq!(when(Endpoint::Batch, call, None), "2020-01-01T00:00:00Z");
    let both =
        json!({"type": "page", "originalTimestamp": "2026-03-01T11:00:00Z", "timestamp": "2020-01-01"});
    assert_eq!(when(Endpoint::Batch, both, Some("2026-03-01T12:00:00Z")), "2026-03-01T11:00:00Z");
    assert_eq!(when(Endpoint::Batch, json!({"type": "page"}), None), "2026-03-01T12:00:00Z");
    let broken = json!({"type": "page", "timestamp": "2026-03-01T11:00:00Z"});
    assert_eq!(when(Endpoint::Batch, broken, Some("soon")), "2026-03-01T11:00:00Z");
    for bad in [json!("9999-12-31T00:00:00Z"), json!("yesterday"), json!(-1), json!({})] {
        let at = when(Endpoint::Batch, json!({"type": "page", "timestamp": bad}), None);
        assert!(at.parse::<Instant>().is_err(), "{at}");
    }
    let far = json!({"type": "page", "timestamp": "1900-01-01T00:00:00Z"});
    assert!(when(Endpoint::Batch, far, Some("2199-01-01T00:00:00Z")).contains("outside"));
}

#[test]
fn what_the_batch_says_counts_where_the_call_says_nothing() {
    let body = json!({
        "writeKey": "w1", "context": {"ip": "1.1.1.1", "library": {"name": "js", "version": "1"}},
        "integrations": {"All": true},
        "batch": [{"type": "page", "writeKey": "w2", "context": {"ip": "2.2.2.2", "library": {"version": "2"}}}]
    });
    let request = batch(&body).unwrap();
    assert_eq!(request.write_key.as_deref(), Some("w1"));
    let raw = only(request).unwrap().raw;
    assert_eq!(
        raw,
        json!({"type": "page", "integrations": {"All": true}, "context": {"ip": "2.2.2.2", "library": {"name": "js", "version": "2"}}})
    );
}

#[test]
fn consent_is_read_and_what_is_none_is_noted() {
    let prefs = json!({"Advertising": false, "Analytics": true, "Other": "yes"});
    let call = json!({"type": "page", "context": {"consent": {"version": 3, "categoryPreferences": prefs}}});
    let incoming = only(batch(&json!({ "batch": [call] })).unwrap()).unwrap();
    let said: Vec<(&str, bool, &str)> = incoming
        .consents
        .iter()
        .map(|s| (s.purpose.as_str(), s.granted, s.notice_version.as_str()))
        .collect();
    assert_eq!(said, [("Advertising", false, "3"), ("Analytics", true, "3")]);
    assert_eq!(incoming.notes.len(), 1);
    let call = json!({"type": "page", "context": {"consent": {"categoryPreferences": true}}});
    assert_eq!(only(batch(&json!({ "batch": [call] })).unwrap()).unwrap().notes.len(), 1);
}

#[test]
fn paths_are_read_long_and_short() {
    assert_eq!(Endpoint::read("t"), Some(Endpoint::One(Call::Track)));
    assert_eq!(Endpoint::read("identify"), Some(Endpoint::One(Call::Identify)));
    assert_eq!(Endpoint::read("b"), Some(Endpoint::Batch));
    assert_eq!(Endpoint::read("m"), None);
    assert_eq!(Endpoint::read(""), None);
}

#[test]
fn one_call_is_what_its_path_says() {
    let body = br#"{"type": "page", "event": "x", "userId": 17, "writeKey": "w"}"#;
    let request = read(Endpoint::One(Call::Track), body, now()).unwrap();
    assert_eq!(request.write_key.as_deref(), Some("w"));
    let incoming = only(request).unwrap();
    assert_eq!(incoming.origin, Origin::Call("track:x".into()));
    assert_eq!(incoming.raw["type"], "track");
    assert_eq!(incoming.named, [("user_id".to_owned(), "17".to_owned())]);
}

fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    prop::sample::select(vec![
        Endpoint::Batch,
        Endpoint::Import,
        Endpoint::One(Call::Track),
        Endpoint::One(Call::Alias),
    ])
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(endpoint in any_endpoint(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(endpoint, &bytes, now());
    }

    #[test]
    fn no_change_of_a_batch_makes_the_reader_panic(
        endpoint in any_endpoint(),
        at in 0..400_usize,
        len in 0..9_usize,
        put in "[\\[\\]{}\",:a-z0-9.eE+-]{0,6}",
    ) {
        let body = json!({
            "sentAt": "2026-03-01T12:00:00Z", "context": {"consent": {"categoryPreferences": {"A": true}}}, "batch": [
                {"type": "track", "event": "x", "userId": "1", "messageId": "m", "timestamp": "2026-03-01T12:00:00Z",
                 "properties": {"a": [1, 2.5, null], "b": {"c": "d"}}},
                {"type": "page", "anonymousId": 5, "originalTimestamp": 7},
            ]
        }).to_string();
        let end = (at + len).min(body.len());
        let changed = format!("{}{put}{}", &body[..at.min(end)], &body[end..]);
        if let Ok(request) = read(endpoint, changed.as_bytes(), now()) {
            for incoming in request.items.into_iter().flatten() {
                prop_assert!(incoming.raw.is_object());
            }
        }
    }
}
