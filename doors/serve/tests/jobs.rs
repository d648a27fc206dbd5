//! Jobs over HTTP: shown, run, done step by step, and what each key may.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use common::{Served, serve};
use policy::Scope;
use serde_json::{Value, json};

/// Asks for a step until it no longer runs.
fn step(served: &Served, step: &str, run: &str) -> Value {
    loop {
        let answer =
            served.post(&format!("/v1/jobs/prices/steps/{step}"), &json!({"run": run, "wait_seconds": 5}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        if answer.json()["state"] != "running" {
            return answer.json();
        }
    }
}

#[test]
fn a_scheduler_outside_does_the_steps_of_a_run_once_each() {
    let served = serve(|_| ());
    let listed = served.get("/v1/jobs").json();
    assert_eq!(listed["jobs"][0]["job"], "prices");
    assert_eq!(listed["jobs"][0]["steps"][1]["needs"], json!(["features"]));
    assert_eq!(served.get("/v1/jobs/prices").json()["schedule"], Value::Null);

    let early = served.post("/v1/jobs/prices/steps/orders", &json!({"run": "r+1"}));
    assert_eq!((early.status, early.code().as_str()), (409, "MR4603"), "{}", early.body);
    let done = step(&served, "features", "r+1");
    assert_eq!((done["state"].as_str(), done["n_attempts"].as_u64()), (Some("done"), Some(1)));
    assert_eq!(step(&served, "features", "r+1"), done, "asked again, it says what came out");
    let late = step(&served, "orders", "r+1");
    assert_eq!(
        (late["state"].as_str(), late["attempts"][0]["code"].as_str()),
        (Some("resting"), Some("MR2020"))
    );
    assert_eq!(late["attempts"][0]["again"], true);
    let run = served.get("/v1/jobs/prices/runs/r+1").json();
    assert_eq!(
        (run["driver"].as_str(), run["state"].as_str(), run["by"].as_str()),
        (Some("outside"), Some("open"), Some("tests"))
    );
    assert_eq!(served.get("/v1/jobs/prices/runs").json()["runs"].as_array().unwrap().len(), 1);
    let cancelled = served.ask("DELETE", "/v1/jobs/prices/runs/r+1", &[], None);
    assert_eq!(cancelled.json()["state"], "cancelled", "{}", cancelled.body);
    served.close();
}

#[test]
fn the_house_drives_a_run_until_it_is_done_or_failed() {
    let served = serve(|_| ());
    let opened = served.post("/v1/jobs/prices/runs", &json!({"run": "by-hand"}));
    assert_eq!((opened.status, opened.json()["driver"].as_str()), (200, Some("house")), "{}", opened.body);
    served.house.drive_run("prices", "by-hand", |_| true).unwrap();
    let run = served.get("/v1/jobs/prices/runs/by-hand").json();
    assert_eq!(run["state"], "failed");
    assert_eq!(
        (run["steps"][0]["state"].as_str(), run["steps"][1]["state"].as_str()),
        (Some("done"), Some("failed"))
    );
    assert_eq!(run["steps"][1]["n_attempts"], 2, "as often as the file says");
    let outside = served.post("/v1/jobs/prices/steps/orders", &json!({"run": "by-hand"}));
    assert_eq!((outside.status, outside.code().as_str()), (409, "MR4607"));
    let again = served.post("/v1/jobs/prices/runs", &json!({"run": "by-hand"}));
    assert_eq!(again.json()["state"], "open", "another chance");
    served.close();
}

#[test]
fn bad_requests_and_small_keys_are_told() {
    let served = serve(|_| ());
    let check = |path: &str, body: Value, status: u16, code: &str| {
        let answer = served.post(path, &body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {}", answer.body);
    };
    check("/v1/jobs/pries/steps/orders", json!({"run": "r"}), 404, "MR4602");
    check("/v1/jobs/prices/steps/odrers", json!({"run": "r"}), 404, "MR5041");
    check("/v1/jobs/prices/steps/features", json!({"run": "a b"}), 400, "MR4604");
    check("/v1/jobs/prices/steps/features", json!({"run": ""}), 400, "MR4604");
    check("/v1/jobs/prices/steps/features", json!({"run": "r", "wait_seconds": 26}), 400, "MR7020");
    check("/v1/jobs/prices/runs", json!({"run": "x".repeat(129)}), 400, "MR4604");
    check("/v1/jobs/pries/runs", json!({"run": "r"}), 404, "MR4602");
    assert_eq!(served.get("/v1/jobs/prices/runs/none").code(), "MR5041");
    assert_eq!(served.get("/v1/jobs/prices/runs?limit=0").status, 400);
    let (reads, runs) = (served.key(&[Scope::Read]), served.key(&[Scope::Jobs]));
    let ask = |key: &str, method: &str, path: &str, body: Option<&[u8]>| {
        served.ask(method, path, &[("authorization", &format!("Bearer {key}"))], body).status
    };
    let body = br#"{"run": "keys"}"#;
    assert_eq!(ask(&reads, "POST", "/v1/jobs/prices/steps/features", Some(body)), 403);
    assert_eq!(ask(&runs, "POST", "/v1/jobs/prices/steps/features", Some(body)), 200);
    assert_eq!(ask(&runs, "GET", "/v1/jobs", None), 403);
    assert_eq!(ask(&reads, "GET", "/v1/jobs", None), 200);
    assert_eq!(ask(&runs, "GET", "/v1/keys", None), 403);
    served.close();
}
