//! What the server says about itself: OpenAPI, health, metrics, traces.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};

use common::{order, serve};
use serde_json::{Value, json};

#[test]
fn the_document_and_the_routes_are_the_same() {
    let served = serve(|_| ());
    let document = served.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let mut listed = BTreeSet::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            listed.insert(format!("{} {path}", method.to_uppercase()));
            assert!(operation["responses"]["default"].is_object(), "{path}");
            // Each is there: whatever it says without key and body, it is not "no such route".
            let asked = path.replace("{decision}", &"0".repeat(32)).replace(['{', '}'], "");
            let body = (method == "post").then_some(&b"{}"[..]);
            let answer = served.ask(&method.to_uppercase(), &asked, &[("authorization", "")], body);
            assert!(
                !["MR7010", "MR7011"].contains(&code(&answer.body).as_str()),
                "{method} {path}: {}",
                answer.body
            );
            // A route that says it needs a scope lets nobody in without a key.
            if operation["security"].is_array() {
                assert_eq!((answer.status, code(&answer.body).as_str()), (401, "MR7021"), "{method} {path}");
            }
        }
    }
    insta::assert_snapshot!("routes", listed.into_iter().collect::<Vec<_>>().join("\n"));
    refer(&document, &document);
    served.close();
}

fn code(body: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    value["code"].as_str().unwrap_or_default().to_owned()
}

/// Every reference in the document leads somewhere.
fn refer(document: &Value, part: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            members.values().for_each(|part| refer(document, part));
        }
        Value::Array(items) => items.iter().for_each(|part| refer(document, part)),
        _ => {}
    }
}

#[test]
fn health_and_metrics_need_no_key_on_loopback() {
    let served = serve(|_| ());
    assert_eq!(served.post("/v1/track", &order("c1", "m1", 5)).status, 200);
    served.consent("c1");
    let body = json!({"use_case": "thanks", "identifier": {"kind": "user_id", "value": "c1"}});
    let action = served.post("/v1/decide", &body).json()["action"].as_str().unwrap().to_owned();
    let open = |path: &str| served.ask("GET", path, &[("authorization", "")], None);
    assert_eq!(open("/healthz").body, r#"{"status":"alive"}"#);
    assert_eq!(open("/readyz").json()["ready"], true);
    assert_eq!(open("/").json()["name"], "Maschinenraum");
    let metrics = open("/metrics");
    assert!(metrics.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    for part in [
        "maschinenraum_http_requests_total{method=\"POST\",route=\"/v1/track\",status=\"200\"} 1",
        "maschinenraum_events_total{fate=\"accepted\"} 1",
        &format!("maschinenraum_decisions_total{{use_case=\"thanks\",action=\"{action}\"}} 1"),
        "maschinenraum_fold_lag_records 0",
        "maschinenraum_commits_total",
        "maschinenraum_disk_bytes",
        "process_resident_memory_bytes",
        "maschinenraum_budget_cents{use_case=\"thanks\",currency=\"EUR\",part=\"total\"} 1000000",
        "maschinenraum_http_requests_in_flight 1",
    ] {
        assert!(metrics.body.contains(part), "{part} is not in\n{}", metrics.body);
    }
    served.close();
}

#[test]
fn metrics_need_an_admin_key_where_the_settings_say_so() {
    let served = serve(|s| s.open_metrics = false);
    assert_eq!(served.ask("GET", "/metrics", &[("authorization", "")], None).code(), "MR7021");
    let weak = format!("Bearer {}", served.key(&[policy::Scope::Track]));
    assert_eq!(served.ask("GET", "/metrics", &[("authorization", &weak)], None).code(), "MR7023");
    assert_eq!(served.get("/metrics").status, 200);
    served.close();
}

#[test]
fn a_trace_is_continued_to_the_collector() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", collector.local_addr().unwrap());
    let got = std::thread::spawn(move || {
        let (mut stream, _) = collector.accept().unwrap();
        let (mut all, mut chunk) = (Vec::new(), [0; 4_096]);
        loop {
            let n = stream.read(&mut chunk).unwrap();
            all.extend_from_slice(&chunk[..n]);
            let text = String::from_utf8_lossy(&all).into_owned();
            let body = text.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str::<Value>(body));
            if let Some(Ok(body)) = body {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
                return body;
            }
        }
    });
    let served = serve(|s| s.otlp = Some(url));
    let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let path = "/v1/profiles/user_id/secret%40example.org?purpose=fun";
    assert_eq!(served.ask("GET", path, &[parent], None).status, 400);
    served.close();
    let sent = got.join().unwrap();
    let span = &sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(span["name"], "GET /v1/profiles/{kind}/{value}");
    assert!(!sent.to_string().contains("example.org"), "an identifier left the house");
}
