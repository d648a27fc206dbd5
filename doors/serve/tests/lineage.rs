//! Lineage and exchange through the door: OpenLineage in and out, the catalogue, a decision's raw rows, a change's
//! impact, data as Parquet.

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

fn event() -> Value {
    json!({
        "eventType": "COMPLETE", "eventTime": "2026-11-24T09:00:00.123456+00:00", "producer": "https://example.org/etl",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": "0190b2f1-0000-7000-8000-000000000001"}, "job": {"namespace": "etl", "name": "mart"},
        "inputs": [{"namespace": "maschinenraum", "name": "streams/orders"}],
        "outputs": [{"namespace": "pg://dwh", "name": "mart.orders"}],
    })
}

#[test]
fn other_tools_tell_and_are_told() {
    let served = serve(|_| ());
    let taken = served.post("/api/v1/lineage", &event());
    assert_eq!(taken.status, 200, "{}", taken.body);
    assert_eq!(served.post("/api/v1/lineage", &event()).json(), taken.json(), "told twice is told once");
    let mixed = served.post("/api/v1/lineage/batch", &json!([event(), {"job": 7}, 3])).json();
    assert_eq!((&mixed["status"], &mixed["summary"]["failed"]), (&json!("partial_success"), &json!(2)));
    assert_eq!(
        (&mixed["failed_events"][0]["index"], &mixed["failed_events"][0]["code"]),
        (&json!(1), &json!("MR2302"))
    );
    let refused = served.post("/api/v1/lineage", &json!({"eventTime": "soon"}));
    assert_eq!((refused.status, refused.code().as_str()), (400, "MR2302"), "{}", refused.body);
    let many = served.post("/api/v1/lineage/batch", &json!(vec![json!({}); 1_001]));
    assert_eq!(many.status, 400, "{}", many.body);
    let reader = format!("Bearer {}", served.key(&[Scope::Read]));
    let body = event().to_string();
    let denied = served.ask("POST", "/api/v1/lineage", &[("authorization", &reader)], Some(body.as_bytes()));
    assert_eq!(denied.status, 403);

    let down = served.get("/v1/lineage?of=stream:orders&direction=down").json();
    let ids: Vec<&str> =
        down["things"].as_array().unwrap().iter().map(|thing| thing["id"].as_str().unwrap()).collect();
    for id in ["job:etl/mart", "dataset:pg://dwh/mart.orders", "feature:orders.n", "use_case:thanks"] {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
    let edge =
        down["edges"].as_array().unwrap().iter().find(|edge| edge["to"] == "feature:orders.n").unwrap();
    assert_eq!((&edge["lossy"], &edge["untested"]), (&json!(true), &json!(true)));
    let unknown = served.get("/v1/lineage?of=field:orders.totl");
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "MR2304"), "{}", unknown.body);
    assert_eq!(served.get("/v1/lineage?of=stream:orders&direction=sideways").status, 400);

    let events = served.get("/v1/lineage/events").json();
    assert!(events.as_array().unwrap().iter().any(|event| event["job"]["name"] == "feature/orders"));
    served.close();
}

#[test]
fn a_decision_and_a_change_are_followed() {
    let served = serve(|_| ());
    served.consent("c1");
    served.post(
        "/v1/batch",
        &batch(&[order("c1", "m1", 1_000), order("c1", "m2", 2_500), order("c2", "m3", 9)]),
    );
    served.settle();
    let asked =
        json!({"use_case": "thanks", "identifier": {"kind": "user_id", "value": "c1"}, "context": {}});
    let id = served.post("/v1/decide", &asked).json()["decision"].as_str().unwrap().to_owned();
    let trace = served.get(&format!("/v1/lineage/decisions/{id}")).json();
    assert_eq!(trace["records"].as_array().unwrap().len(), 2, "{trace}");
    assert_eq!(
        (&trace["inputs"][0]["name"], &trace["inputs"][0]["reproduces"]),
        (&json!("orders.n"), &json!(true))
    );
    assert_eq!(served.get(&format!("/v1/lineage/decisions/{}", "0".repeat(32))).code(), "MR5041");
    assert_eq!(served.get("/v1/lineage/decisions/zz").status, 400);

    let told = served.post("/v1/impact", &json!({"remove": ["orders.total_cents"]})).json();
    assert_eq!(told["breaks"], true);
    assert!(told["findings"][0].as_str().unwrap().contains("orders.spent_cents"), "{told}");
    assert_eq!(served.post("/v1/impact", &json!({})).status, 400);
    let broken = served.post("/v1/impact", &json!({"contract": "name: ["}));
    assert_eq!(broken.status, 400, "{}", broken.body);
    let found = served.get("/v1/catalogue?text=spent&kind=feature").json();
    assert_eq!(
        (&found["n"], &found["found"][0]["thing"]["id"]),
        (&json!(1), &json!("feature:orders.spent_cents"))
    );
    assert_eq!(served.get("/v1/catalogue?kind=table").status, 400);
    served.close();
}

#[test]
fn data_goes_out_as_parquet_for_its_purpose() {
    let served = serve(|_| ());
    served.consent("c1");
    served.post("/v1/batch", &batch(&[order("c1", "m1", 1_000), order("c2", "m3", 9)]));
    served.settle();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("orders.parquet").display().to_string();
    let asked =
        |purpose: &str, to: &str| json!({"what": "stream", "name": "orders", "purpose": purpose, "to": to});
    let done = served.post("/v1/lake", &asked("personalisation", &to)).json();
    assert_eq!((&done["rows"], &done["rows_left_out"]), (&json!(1), &json!(1)), "{done}");
    assert_eq!(served.post("/v1/lake", &asked("world_domination", &to)).code(), "MR4702");
    assert_eq!(served.post("/v1/lake", &asked("personalisation", "orders.parquet")).status, 400);
    assert_eq!(served.post("/v1/lake", &asked("", &to)).status, 400);
    let features = json!({"what": "features", "name": "orders", "purpose": "personalisation", "to": to});
    assert_eq!(served.post("/v1/lake", &features).json()["rows"], 1);
    assert_eq!(served.post("/v1/lake", &json!({"what": "model", "name": "x", "to": to})).status, 400);
    served.close();
}
