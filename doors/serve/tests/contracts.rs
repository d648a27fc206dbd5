//! Contracts over HTTP: what is in force, held against what is to come, looked through, judged over rows; bad input too.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use common::serve;
use serde_json::{Value, json};

#[test]
fn contracts_are_told_compared_and_judged() {
    let served = serve(|_| ());
    let told = served.get("/v1/contracts").json();
    assert_eq!(
        (&told["contracts"][0]["stream"], &told["contracts"][0]["judges"]),
        (&"orders".into(), &true.into())
    );
    assert_eq!(told["formulas"][0]["version"], "1.0.0");
    let text = served.get("/v1/contracts/orders/1.0.0").json()["contract"].as_str().unwrap().to_owned();
    assert!(text.contains("id: orders"));
    let missing = served.get("/v1/contracts/orders/9.0.0");
    assert_eq!((missing.status, missing.code().as_str()), (404, "MR5041"), "{}", missing.body);
    assert_eq!(served.get("/v1/contracts/orders/nine").status, 400);

    // Without an older one it is held against what is in force.
    let narrower =
        text.replace("maximum: 10000000", "maximum: 100").replace("version: 1.0.0", "version: 1.1.0");
    let diff = served.post("/v1/contracts/diff", &json!({"new": narrower})).json();
    assert_eq!((&diff["is_honest"], &diff["due"]), (&false.into(), &"2.0.0".into()), "{diff}");
    assert_eq!(
        (&diff["changes"][0]["field"], &diff["changes"][0]["writers"]),
        (&"total_cents".into(), &"breaks".into())
    );
    let same = served.post("/v1/contracts/diff", &json!({"old": text, "new": text})).json();
    assert_eq!((&same["changes"], &same["needs"]), (&json!([]), &"same".into()));

    let lint = served
        .post("/v1/contracts/lint", &json!({"contract": text.replace("minimum: 0", "minimum: 99999999")}))
        .json();
    let found: Vec<&Value> =
        lint["findings"].as_array().unwrap().iter().filter(|one| one["severity"] == "error").collect();
    assert_eq!(
        (&lint["passes"], found.len(), &found[0]["code"]),
        (&false.into(), 1, &"MR1112".into()),
        "{lint}"
    );

    let row = |total: Value| json!({"userId": "u1", "timestamp": "2026-11-01T10:00:00Z", "properties": {"total_cents": total}});
    let rows = json!({"stream": "orders", "rows": [row(json!(5)), row(json!(-1)), row(json!("12,50")), 7]});
    let judged = served.post("/v1/contracts/judge", &rows).json();
    assert_eq!((&judged["n_rows"], &judged["n_refused"]), (&4.into(), &3.into()), "{judged}");
    assert_eq!(
        (&judged["findings"][0]["row"], &judged["findings"][0]["code"]),
        (&2.into(), &"MR1005".into())
    );
    assert!(!judged.to_string().contains("u1"), "nothing personal is quoted");

    let report = served.get("/v1/use-cases/thanks/report?formula=1.0.0").json();
    assert_eq!(report["n_decisions"], 0);
    assert_eq!(served.get("/v1/use-cases/thanks/report?formula=7.0.0").status, 404);
    assert_eq!(served.get("/v1/use-cases/thanks/report?until=2026-01-01").status, 400);
    served.close();
}

#[test]
fn what_is_no_contract_is_refused_and_bodies_are_bounded() {
    let served = serve(|_| ());
    for (path, body) in [
        ("/v1/contracts/lint", json!({"contract": "a: [1"})),
        ("/v1/contracts/lint", json!({"contract": "kind: Other"})),
        ("/v1/contracts/lint", json!({"contract": 5})),
        ("/v1/contracts/lint", json!({"contrakt": ""})),
        ("/v1/contracts/diff", json!({"old": "x"})),
        ("/v1/contracts/judge", json!({"stream": "orders", "rows": vec![0; 10_001]})),
        ("/v1/contracts/judge", json!({"stream": "orders", "rows": {}})),
    ] {
        let answer = served.post(path, &body);
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(answer.code().starts_with("MR70"), "{}", answer.body);
    }
    let unknown = served.post("/v1/contracts/judge", &json!({"stream": "wares", "rows": []}));
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "MR1040"));
    let large = served.post("/v1/contracts/lint", &json!({"contract": "#".repeat(2 << 20)}));
    assert_eq!((large.status, large.code().as_str()), (413, "MR7012"));
    served.close();
}
