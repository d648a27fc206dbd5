//! Registers, oversight and incidents over HTTP: what is written down, who stops and signs, which clock runs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use std::path::Path;

use common::{batch, copy, order, serve, serve_project};
use policy::Scope;
use serde_json::json;

/// The test project, with signatories and an impact assessment that is due.
fn overseen() -> common::Served {
    let dir = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/project"), dir.path());
    let append = |file: &str, text: &str| {
        let path = dir.path().join(file);
        let all = std::fs::read_to_string(&path).unwrap() + text;
        std::fs::write(path, all).unwrap();
    };
    append(
        "maschinenraum.toml",
        "\n[registers]\ncontroller = \"Beispiel GmbH, Köln\"\nsignatories = [\"tests\", \"Emil\"]\n",
    );
    append("usecases/thanks.yaml", "\ndpia: {facts: [systematic_monitoring, matched_data], file: dpia.md}\n");
    std::fs::write(dir.path().join("dpia.md"), "What is done and why it is in order.\n").unwrap();
    serve_project(dir.path(), |_| {})
}

#[test]
fn registers_are_written_in_two_languages_and_four_forms() {
    let served = serve(|_| {});
    served.post("/v1/batch", &batch(&[order("ann", "m1", 1_000)]));
    served.settle();
    let ropa = served.get("/v1/registers/ropa").json();
    let purposes: Vec<&str> =
        ropa["activities"].as_array().unwrap().iter().map(|one| one["purpose"].as_str().unwrap()).collect();
    assert_eq!(purposes, ["analytics", "email_marketing", "personalisation"]);
    assert_eq!(ropa["activities"][0]["streams"][0]["n_records"], 1, "{ropa}");
    for (format, kind, begins) in [
        ("md", "text/markdown; charset=utf-8", "# Verzeichnis von Verarbeitungst"),
        ("html", "text/html; charset=utf-8", "<!"),
    ] {
        let page = served.get(&format!("/v1/registers/ropa?format={format}&lang=de"));
        assert_eq!((page.status, page.headers["content-type"].as_str()), (200, kind));
        assert!(page.body.starts_with(begins), "{}", page.body);
    }
    let bearer = format!("Bearer {}", served.key);
    let mut pdf = ureq::get(format!("{}/v1/registers/ropa?format=pdf", served.url))
        .header("authorization", bearer)
        .call()
        .unwrap();
    assert!(pdf.body_mut().read_to_vec().unwrap().starts_with(b"%PDF"));
    let risk = served.get("/v1/registers/risk?at=2027-12-02").json();
    assert_eq!(risk[0][0]["classification"]["class"], "minimal", "{risk}");
    assert_eq!(served.get("/v1/registers/mlbom").json()["specVersion"], "1.7");
    let annex = served.get("/v1/registers/annex-iv/thanks?format=md");
    assert!(annex.body.contains("thanks") && annex.status == 200, "{}", annex.body);

    for (path, status, says) in [
        ("/v1/registers/phonebook", 400, "ropa, risk, incidents, mlbom"),
        ("/v1/registers/ropa?format=docx", 400, "none of json, md, html and pdf"),
        ("/v1/registers/ropa?lang=fr", 400, "lang"),
        ("/v1/registers/risk?at=soon", 400, "at"),
        ("/v1/registers/dpia/nothing", 404, "nothing"),
    ] {
        let answer = served.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.body.contains(says), "{path}: {}", answer.body);
    }
    let reader = format!("Bearer {}", served.key(&[Scope::Read, Scope::Decide]));
    for path in ["/v1/registers/ropa", "/v1/oversight", "/v1/registers/incidents"] {
        assert_eq!(served.ask("GET", path, &[("authorization", &reader)], None).status, 403, "{path}");
    }
    served.close();
}

#[test]
fn an_assessment_is_signed_and_a_person_stops_the_next_decision() {
    let served = overseen();
    served.consent("ann");
    served.settle();
    let decide = || {
        served.post(
            "/v1/decide",
            &json!({"use_case": "thanks", "identifier": {"kind": "user_id", "value": "ann"}, "context": {"page": "home"}}),
        )
    };
    let refused = decide();
    assert_eq!(refused.code(), "MR3710", "{}", refused.body);
    let standing = served.get("/v1/oversight").json();
    assert_eq!((&standing[0]["may_decide"], &standing[0]["code"]), (&json!(false), &json!("MR3710")));
    let say =
        |act: &str| served.post(&format!("/v1/oversight/thanks/{act}"), &json!({"reason": "looked at"}));
    let signed = say("sign").json();
    assert_eq!((&signed["in_effect"], &signed["said"]), (&json!(true), &json!(1)), "{signed}");
    let decided = decide();
    assert_eq!(decided.status, 200, "{}", decided.body);

    assert_eq!(say("stop").json()["in_effect"], true);
    assert_eq!(decide().code(), "MR3720");
    assert_eq!(say("resume").json()["in_effect"], true);
    assert_eq!(decide().status, 200);
    let id = decided.json()["decision"].as_str().unwrap().to_owned();
    let review = |verdict: &str, body| served.post(&format!("/v1/decisions/{id}/review/{verdict}"), &body);
    assert_eq!(review("overrule", json!({"reason": "complaint"})).json()["in_effect"], true);

    // What is no act, no reason, or nobody's to say.
    let odd = say("pause");
    assert_eq!(odd.status, 400, "{}", odd.body);
    assert!(odd.body.contains("stop, resume, sign"), "{}", odd.body);
    assert!(served.post("/v1/oversight/thanks/stop", &json!({})).status >= 400);
    assert_eq!(served.post("/v1/oversight/other/stop", &json!({"reason": "x"})).status, 404);
    assert!(review("perhaps", json!({"reason": "x"})).status >= 400);
    let other = format!("Bearer {}", served.key(&[Scope::Protect]));
    let body = json!({"reason": "I think so"}).to_string();
    let resumed =
        served.ask("POST", "/v1/oversight/thanks/sign", &[("authorization", &other)], Some(body.as_bytes()));
    assert_eq!(resumed.code(), "MR3711", "only signatories sign: {}", resumed.body);
    served.close();
}

#[test]
fn an_incident_has_its_clock_until_somebody_is_told() {
    let served = serve(|_| {});
    served.post("/v1/batch", &batch(&[order("ann", "m1", 1_000), order("bob", "m2", 2_000)]));
    served.settle();
    let opened = served.post(
        "/v1/incidents",
        &json!({"kind": "breach", "harm": "risk", "what": "export sent to a wrong address", "streams": ["orders"]}),
    );
    assert_eq!(opened.status, 200, "{}", opened.body);
    let opened = opened.json();
    let id = opened["id"].as_str().unwrap_or_else(|| panic!("{opened}")).to_owned();
    assert_eq!(opened["affected"]["n_subjects"], 2, "{opened}");
    let close = || served.post(&format!("/v1/incidents/{id}/close"), &json!({"reason": "deleted there"}));
    let early = close();
    assert_eq!(early.code(), "MR3731", "a clock still runs");
    assert!(early.body.contains("gdpr_33"), "{}", early.body);
    let draft = served.get(&format!("/v1/registers/incidents/{id}?format=md&lang=de"));
    assert!(
        draft.body.contains("GDPR Art. 33(1)") && draft.body.contains("Personen (ungefähr): 2"),
        "{}",
        draft.body
    );
    let told = |clock: &str| {
        served.post(&format!("/v1/incidents/{id}/told"), &json!({"clock": clock, "reference": "LDI 4711"}))
    };
    assert_eq!(told("moon").code(), "MR3731");
    assert_eq!(told("gdpr_33").status, 200);
    let closed = close();
    assert_eq!(closed.status, 200, "{}", closed.body);
    let missing = served.post("/v1/incidents/2020-0001/close", &json!({"reason": "x"}));
    assert_eq!(missing.status, 404, "{}", missing.body);
    let odd = served.post("/v1/incidents", &json!({"kind": "mishap", "harm": "risk", "what": "x"}));
    assert!(odd.status >= 400 && odd.body.contains("mishap"), "{}", odd.body);
    let log = served.get("/v1/audit/entries?what=incident.").json();
    assert_eq!(log["entries"].as_array().unwrap().len(), 3, "{log}");
    served.close();
}
