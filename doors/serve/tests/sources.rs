//! Sources over HTTP: what a record came by, webhooks, watched folders, floods, wrong clocks, browsers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use std::path::Path;

use common::{Served, batch, order, serve, serve_project};
use hmac::{Hmac, KeyInit, Mac};
use policy::Scope;
use serde_json::{Value, json};
use sha2::Sha256;

const SOURCES: &str = r#"
[sources.shop]
kind = "webhook"
stream = "orders"
secret = "file:shop.secret"
header = "x-hub-signature-256"
items = "/events"
records_per_second = 1

[sources.typed]
kind = "webhook"
route = "/type"
streams = { "order" = "orders" }
secret = "file:shop.secret"
header = "x-sign"

[sources.lost]
kind = "webhook"
stream = "orders"
secret = "file:nowhere.secret"
header = "x-sign"

[sources.drop]
kind = "folder"
path = "incoming"
stream = "orders"
files = "*.ndjson"
settle_seconds = 0
every_seconds = 1

[sources.web]
kind = "key"
records_per_second = 5
silent_after_seconds = 3600
"#;

/// The test project with sources.
fn with_sources() -> (Served, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/project");
    common::copy(&from, dir.path());
    let settings = dir.path().join("maschinenraum.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text + SOURCES).unwrap();
    std::fs::write(dir.path().join("shop.secret"), "s3cret\n").unwrap();
    std::fs::create_dir(dir.path().join("incoming")).unwrap();
    (
        serve_project(dir.path(), |settings| {
            settings.browser_origins = vec!["http://shop.example".to_owned()]
        }),
        dir,
    )
}

fn document(user: &str, cents: i64) -> Value {
    json!({"type": "order", "userId": user, "properties": {"total_cents": cents}, "timestamp": "2026-03-01T12:00:00Z"})
}

fn sign(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect()
}

fn source(served: &Served, name: &str) -> Value {
    served.settle();
    let all = served.get("/v1/sources").json();
    let found = all["sources"].as_array().unwrap().iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {all}")).clone()
}

fn codes(source: &Value) -> Vec<&str> {
    source["wrong"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

#[test]
fn a_signed_webhook_becomes_records_and_any_other_nothing() {
    let (served, _dir) = with_sources();
    let body = json!({"events": [document("c1", 5), document("c2", -5), 7]}).to_string();
    let signature = format!("sha256={}", sign(&body));
    let send = |path: &str, headers: &[(&str, &str)], body: &str| {
        let headers: Vec<_> = headers.iter().copied().chain([("authorization", "")]).collect();
        served.send(path, &headers, body)
    };
    let hub = [("x-hub-signature-256", signature.as_str())];
    let taken = send("/v1/hooks/shop", &hub, &body).json();
    assert_eq!((&taken["accepted"], &taken["quarantined"]), (&json!(1), &json!(2)), "{taken}");
    for (path, headers, text, status, code) in [
        ("/v1/hooks/shop", &hub[..], format!("{body} "), 401, "MR2050"),
        ("/v1/hooks/shop", &[][..], body.clone(), 401, "MR2050"),
        ("/v1/hooks/shop", &[("x-hub-signature-256", "sha256=00")][..], body.clone(), 401, "MR2050"),
        ("/v1/hooks/nobody", &hub[..], body.clone(), 404, "MR2057"),
        ("/v1/hooks/drop", &hub[..], body.clone(), 404, "MR2057"),
        ("/v1/hooks/lost", &hub[..], body.clone(), 503, "MR7003"),
    ] {
        let answer = send(path, headers, &text);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {}", answer.body);
        assert!(!answer.body.contains("s3cret"));
    }
    for (text, code) in [("{", "MR2001"), ("{\"events\": 3}", "MR2003"), ("[]", "MR2003")] {
        let answer = send("/v1/hooks/shop", &[("x-hub-signature-256", &sign(text))], text);
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{text}");
    }
    // A kind that no stream is named for waits in quarantine.
    for (one, accepted) in [(document("c3", 5), 1), (json!({"type": "refund", "userId": "c3"}), 0)] {
        let text = one.to_string();
        let answer = send("/v1/hooks/typed", &[("x-sign", &sign(&text))], &text).json();
        assert_eq!(
            (&answer["accepted"], &answer["quarantined"]),
            (&json!(accepted), &json!(1 - accepted)),
            "{answer}"
        );
    }
    // The mean is one per second, ten at once: three came, eight are too many, and nothing of them is kept.
    let flood = json!({"events": vec![document("c9", 5); 8]}).to_string();
    let answer = send("/v1/hooks/shop", &[("x-hub-signature-256", &sign(&flood))], &flood);
    assert_eq!((answer.status, answer.code().as_str()), (429, "MR2054"), "{}", answer.body);
    assert!(answer.headers.contains_key("retry-after") && answer.json()["retry"] == true);
    let shop = source(&served, "shop");
    assert_eq!(
        (&shop["kind"], &shop["records"], &shop["refused"]),
        (&json!("webhook"), &json!(3), &json!(2))
    );
    assert_eq!(codes(&shop), ["MR2054"]);
    assert_eq!(source(&served, "typed")["records"], 2);
    served.close();
}

#[test]
fn a_record_says_by_whose_key_it_came_and_a_wrong_clock_is_found() {
    let (served, _dir) = with_sources();
    let web = served.house.create_key("test", "web", &[Scope::Track], None).unwrap().text.to_string();
    assert_eq!(codes(&source(&served, "web")), ["MR2053"], "it never spoke");
    let bearer = format!("Bearer {web}");
    let ahead = (event::Instant::now() + event::Span::from_secs(7_200)).to_string();
    let call =
        |id: &str| json!({"batch": [order("c1", id, 5)], "sentAt": ahead, "writeKey": web}).to_string();
    for (id, headers) in [("m1", [("authorization", bearer.as_str())]), ("m2", [("authorization", "")])] {
        assert_eq!(served.send("/v1/b", &headers, call(id)).status, 200);
    }
    served.post("/v1/batch", &batch(&[order("c2", "m3", 5)]));
    let found = source(&served, "web");
    assert_eq!(
        (&found["kind"], &found["records"], codes(&found)),
        (&json!("key"), &json!(2), vec!["MR2055"])
    );
    let seconds = found["clock_ahead_seconds"].as_f64().unwrap();
    assert!((7_100.0..=7_200.0).contains(&seconds), "{seconds}");
    assert_eq!(source(&served, "tests")["records"], 1);
    // Five per second, fifty at once; others are not held up by one that floods.
    let many: Vec<Value> = (0..60).map(|n| order("c3", &format!("n{n}"), 5)).collect();
    let flood =
        |calls: &[Value]| served.send("/v1/b", &[("authorization", &bearer)], batch(calls).to_string());
    assert_eq!(flood(&many[..30]).status, 200);
    assert_eq!(flood(&many[30..]).code(), "MR2054");
    // Thirty of them are those that came by `web`, which are dropped when they are folded.
    assert_eq!(served.post("/v1/batch", &batch(&many)).json()["accepted"], 60);
    served.settle();
    let page = served.get("/metrics").body;
    assert!(page.contains("maschinenraum_source_healthy{source=\"web\"} 0"), "{page}");
    assert!(
        page.contains("maschinenraum_source_records_total{source=\"tests\",became=\"accepted\"} 31"),
        "{page}"
    );
    served.close();
}

#[test]
fn what_is_put_into_a_watched_folder_comes_in_once() {
    let (served, _dir) = with_sources();
    let folder = served.house.project().dir.join("incoming");
    let named = |who: &str, n: i64| {
        (0..n).map(|i| format!("{}\n", document(&format!("{who}{i}"), i))).collect::<String>()
    };
    let lines = |n: i64| named("c", n);
    std::fs::write(folder.join("half.ndjson.part"), named("d", 7)).unwrap();
    std::fs::write(folder.join("notes.txt"), "nothing").unwrap();
    std::fs::write(folder.join("broken.ndjson"), b"PAR1\0\0\0\0garbagePAR1").unwrap();
    std::fs::write(folder.join("a.ndjson"), lines(20)).unwrap();
    let wait = |records: u64| {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let found = served.get("/v1/sources").json();
            let one = found["sources"]
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["name"] == "drop")
                .unwrap()
                .clone();
            if one["records"].as_u64().unwrap() >= records {
                return one;
            }
            assert!(std::time::Instant::now() < until, "{found}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    wait(20);
    // The same content under another name is the same delivery.
    std::fs::write(folder.join("b.ndjson"), lines(20)).unwrap();
    std::fs::rename(folder.join("half.ndjson.part"), folder.join("c.ndjson")).unwrap();
    let found = wait(27);
    assert_eq!((&found["kind"], &found["records"]), (&json!("folder"), &json!(27)), "{found}");
    // What cannot be read is told, and held up none of the others.
    assert_eq!(codes(&found).len(), 1, "{found}");
    assert!(found["wrong"][0]["message"].as_str().unwrap().starts_with("broken.ndjson: "), "{found}");
    // By hand, as a scheduler would: nothing is left to do, and an unreadable file is told again once it has changed.
    let mut told = Vec::new();
    served.house.look("drop", &|| false, &mut |one| told.push(one.file.clone())).unwrap();
    assert!(told.is_empty(), "{told:?}");
    assert!(served.house.look("nowhere", &|| false, &mut |_| ()).unwrap_err().code() == "MR2057");
    let imports = served.house.imports().unwrap();
    let read = imports.iter().filter(|(_, import)| import.counts.n_rows > 0);
    assert_eq!(read.count(), 2, "{imports:?}");
    served.close();
}

#[test]
fn browsers_get_the_snippet_and_settings_of_their_protocol() {
    let (served, _dir) = with_sources();
    let snippet = served.ask("GET", "/v1/snippet.js", &[("authorization", "")], None);
    assert_eq!(snippet.status, 200);
    assert!(snippet.headers["content-type"].starts_with("text/javascript"));
    assert!(snippet.body.contains("mr.consent"));
    let path = format!("/v1/projects/{}/settings", served.key);
    let origin = "http://shop.example";
    let settings = served.ask("GET", &path, &[("authorization", ""), ("origin", origin)], None);
    assert_eq!(settings.headers["access-control-allow-origin"], origin);
    assert_eq!(settings.json()["integrations"]["Segment.io"]["protocol"], "http");
    let preflight = [
        ("authorization", ""),
        ("origin", "http://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,x-retry-count"),
    ];
    for path in ["/v1/i", "/v1/t", "/v1/p", "/v1/s", "/v1/g", "/v1/a", "/v1/b", "/v1/m"] {
        let answer = served.ask("OPTIONS", path, &preflight, None);
        let allowed = answer.headers.get("access-control-allow-headers").cloned().unwrap_or_default();
        assert!(
            answer.status == 204 && allowed.contains("authorization") && allowed.contains("x-retry-count"),
            "{path}"
        );
    }
    served.close();
}

#[test]
fn a_project_without_sources_has_none_wrong() {
    let served = serve(|_| ());
    let all = served.get("/v1/sources").json();
    assert_eq!(all, json!({"sources": []}));
    let unkeyed = served.ask("GET", "/v1/sources", &[("authorization", "")], None);
    assert_eq!(unkeyed.status, 401);
    served.close();
}
