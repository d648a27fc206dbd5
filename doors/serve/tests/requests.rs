//! Requests of people over HTTP: opened, fulfilled, handed over, refused in words.
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

fn brought(right: &str, user: &str) -> Value {
    json!({"right": right, "identifier": {"kind": "user_id", "value": user}, "reference": "ticket 7"})
}

#[test]
fn a_request_goes_its_way_over_http() {
    let served = serve(|_| ());
    assert_eq!(
        served.post("/v1/batch", &batch(&[order("u1", "o1", 100), order("u2", "o2", 200)])).status,
        200
    );
    served.settle();
    let opened = served.post("/v1/requests", &brought("access", "u1")).json();
    let id = opened["id"].as_str().unwrap_or_else(|| panic!("{opened}")).to_owned();
    assert_eq!((opened["state"].as_str(), opened["right"].as_str()), (Some("open"), Some("access")));
    let again = served.post("/v1/requests", &brought("access", "u1")).json();
    assert_eq!(again["id"], id.as_str(), "the same request");

    let handed = served.post(&format!("/v1/requests/{id}/hand-over"), &json!({})).json();
    let dossier =
        handed["files"].as_array().unwrap().iter().find(|one| one["name"] == "dossier.json").unwrap();
    let dossier: Value = serde_json::from_str(dossier["content"].as_str().unwrap()).unwrap();
    let n = dossier["records"].as_array().unwrap().iter().filter(|one| one["stream"] == "orders").count();
    assert_eq!(n, 1, "{dossier}");
    assert_eq!(handed["request"]["state"], "fulfilled");
    let shown = served.get(&format!("/v1/requests/{id}")).json();
    assert_eq!(shown["sha256"], handed["sha256"]);
    assert!(shown["signed"].as_str().unwrap().contains("— "));

    let erasure = served.post("/v1/requests", &brought("erasure", "u2")).json();
    let erasure = erasure["id"].as_str().unwrap().to_owned();
    let done = served.post(&format!("/v1/requests/{erasure}/fulfil"), &json!({})).json();
    let stores: Vec<&str> =
        done["stores"].as_array().unwrap().iter().map(|s| s["store"].as_str().unwrap()).collect();
    assert!(stores.contains(&"vault") && stores.contains(&"journal"), "{done}");

    let listed = served.get("/v1/requests").json();
    assert_eq!(listed["requests"].as_array().unwrap().len(), 2);

    // What is asked for wrongly.
    let refused = |answer: common::Answer, status: u16, code: &str, text: &str| {
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.body);
        assert!(answer.body.contains(text), "{}", answer.body);
    };
    refused(served.post("/v1/requests", &brought("deletion", "u1")), 400, "MR7020", "`deletion`");
    refused(served.get("/v1/requests/1999-0001"), 404, "MR3750", "1999-0001");
    refused(
        served.post(
            &format!("/v1/requests/{id}/fulfil"),
            &json!({"corrections": [{"stream": "x", "values": {"a": 1}, "record": "?"}]}),
        ),
        400,
        "MR7020",
        "record",
    );
    let rectification = served.post("/v1/requests", &brought("rectification", "u1")).json();
    let rectification = rectification["id"].as_str().unwrap().to_owned();
    let wrong = json!({"corrections": [{"stream": "orders", "values": {"shoe_size": 41}}]});
    refused(
        served.post(&format!("/v1/requests/{rectification}/fulfil"), &wrong),
        400,
        "MR3751",
        "name the record",
    );
    refused(
        served.post(&format!("/v1/requests/{rectification}/extend"), &json!({"months": 3, "reason": "x"})),
        400,
        "MR3751",
        "3 months",
    );
    let reader = format!("Bearer {}", served.key(&[Scope::Read]));
    let answer = served.ask("GET", "/v1/requests", &[("authorization", &reader)], None);
    assert_eq!(answer.status, 403, "{}", answer.body);
    served.close();
}
