//! Rights of people: what they ask for they get, whole and in time, and each store says so.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod erased;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use erased::*;
use event::{RecordId, Span, Subject};
use house::{Correction, HandedOver, House, Identifier, RequestAsked, RequestStanding};
use register::{Right, State};
use serde_json::{Value, json};

fn shop(partitions: u16, more: &str) -> (tempfile::TempDir, Arc<House>) {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), partitions);
    let settings = std::fs::read_to_string(dir.path().join("maschinenraum.toml")).unwrap();
    write(dir.path(), "maschinenraum.toml", &format!("{settings}\n{more}"));
    let house = open(dir.path()).unwrap();
    people(&house);
    (dir, house)
}

fn ask(house: &House, right: Right, who: Identifier) -> RequestStanding {
    house
        .open_request("Mara", &RequestAsked { right, who, received_at: None, reference: "ticket 7".into() })
        .unwrap()
}

fn file<'h>(handed: &'h HandedOver, name: &str) -> &'h str {
    let found = handed.files.iter().find(|(known, _)| known == name);
    &found
        .unwrap_or_else(|| panic!("no {name} in {:?}", handed.files.iter().map(|f| &f.0).collect::<Vec<_>>()))
        .1
}

fn feature(house: &Arc<House>, who: &str, name: &str) -> Value {
    let (_, values) = house.features(&all(), &user(who), "service", &["orders".into()]).unwrap();
    serde_json::to_value(values[0].get(name).unwrap()).unwrap()
}

/// Every record that says anything of Zoe, found without asking who she is: all cells of all records are opened and read.
fn said_of_zoe(house: &House) -> BTreeSet<RecordId> {
    let zoe = house.subject(&user("zoe")).unwrap();
    let members: Vec<Subject> = house.members(zoe).unwrap().subjects;
    let names: Vec<String> =
        members.iter().map(ToString::to_string).chain(PLANTED.map(str::to_owned)).collect();
    let mut found = BTreeSet::new();
    let scanned = house.engine().journal().scan(&[], |_, _, record| {
        let mut text = String::from_utf8_lossy(&record.payload.open).into_owned();
        for cell in &record.payload.cells {
            for owner in [record.subject, intake::owner(house.vault(), &record)] {
                if let Ok(Some(plain)) =
                    house.vault().unseal(owner, &cell.column, record.contract.major, &cell.sealed)
                {
                    text.push_str(&String::from_utf8_lossy(&plain));
                }
            }
        }
        let text = text.replace("\\u00eb", "ë");
        if members.contains(&record.subject) || names.iter().any(|name| text.contains(name.as_str())) {
            found.insert(record.id);
        }
        Ok(())
    });
    scanned.unwrap();
    found
}

/// GDPR Art. 15(3): what is handed over equals an independent scan of everything.
#[test]
fn art_15_3_access_equals_an_independent_scan_of_everything() {
    for partitions in [1, 7] {
        let (_dir, house) = shop(partitions, "");
        let scanned = said_of_zoe(&house);
        let request = ask(&house, Right::Access, id("email", PLANTED[0]));
        assert_eq!((request.state, request.request.id.len()), (State::Open, 9));
        let handed = house.hand_over(&request.request.id, "Mara").unwrap();
        let dossier: Value = serde_json::from_str(file(&handed, "dossier.json")).unwrap();
        let records = dossier["records"].as_array().unwrap();
        let given: BTreeSet<RecordId> =
            records.iter().map(|one| serde_json::from_value(one["record"].clone()).unwrap()).collect();
        let missing: Vec<_> = scanned.difference(&given).collect();
        assert!(missing.is_empty() && scanned.len() >= 8, "{missing:?} of {}", scanned.len());
        let streams: BTreeSet<&str> = records.iter().map(|one| one["stream"].as_str().unwrap()).collect();
        for stream in
            ["orders", "people", "mr.links", "mr.consents", "mr.decisions", "mr.quarantine", "mr.registers"]
        {
            assert!(streams.contains(stream), "{stream} is not among {streams:?}");
        }
        // Everything she ever told us is in it, and nothing of anybody else.
        let text = file(&handed, "dossier.json");
        assert!(PLANTED.iter().all(|planted| text.contains(planted)));
        assert!(!text.contains("n3@example.test") && !text.contains("no interest"), "somebody else's");
        assert_eq!(dossier["features"]["orders@1"]["last_note"], PLANTED[3]);
        assert_eq!(dossier["traits"]["traits"]["name"]["value"], PLANTED[1]);
        assert_eq!(dossier["members"].as_array().unwrap().len(), 3);
        assert!(file(&handed, "records.people.csv").contains(PLANTED[1]));

        // The receipts are signed, and counted as the files are.
        let done = handed.request.request.fulfilled.as_ref().unwrap();
        assert_eq!(handed.request.state, State::Fulfilled);
        assert_eq!((done.stores[0].store.as_str(), done.stores[0].n as usize), ("journal", records.len()));
        assert_eq!(done.sha256, handed.sha256);
        assert!(done.signed.contains(&done.sha256) && done.signed.contains("— "), "{}", done.signed);
        // Fetched again it is the same request with the receipts of the first time.
        let again = house.hand_over(&request.request.id, "Mara").unwrap();
        assert_eq!(again.request.request.fulfilled.as_ref(), Some(done));
    }
}

/// GDPR Art. 15(1)(h), C-203/22: the procedure, the actual inputs and how they led to what was decided.
#[test]
fn art_15_1_h_each_decision_is_explained_with_its_actual_inputs() {
    let (_dir, house) = shop(2, "");
    let request = ask(&house, Right::Access, user("zoe"));
    let handed = house.hand_over(&request.request.id, "Mara").unwrap();
    let dossier: Value = serde_json::from_str(file(&handed, "dossier.json")).unwrap();
    let decisions = dossier["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 1);
    let explained = &decisions[0]["explanation"];
    let inputs = explained["inputs"].as_array().unwrap();
    assert!(
        inputs.iter().any(|one| one["name"] == "orders.last_note" && one["value"] == PLANTED[3]),
        "{inputs:?}"
    );
    assert_eq!(explained["reproduces"], true);
    assert!(explained["feasible"].as_array().unwrap().len() > 1, "{explained}");
    let words = decisions[0]["in_words"]["de"].as_str().unwrap();
    assert!(words.contains("Entscheidung") && words.contains("orders.last_note"), "{words}");
}

const AGAIN: &str = "
name: again
version: 1.0.0
responsible: Ada <ada@example.org>
goal: {metric: rate, formula: orders / decisions, formula_version: 1.0.0, success: [order], within: 7d, value: 1 EUR}
inputs: {features: [bought.n_30d, bought.spent]}
outputs: [action]
models: [again]
sources: [bought]
purpose: service
legal_basis: contract
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/again.jsonl
budget: {name: again, total: 1000 EUR, period: month}
exploration: 0
holdout: {share: 0, salt: again}
caps: [{channel: email, max: 30, window: 7d}]
actions:
  - {name: mail, channel: email, creative: a, offer: a, cost: 0.02 EUR, value: 1 EUR, purpose: service, score: {model: again}}
  - {name: letter, channel: email, creative: b, offer: b, cost: 0.60 EUR, value: 3 EUR, purpose: service, score: {model: again}}
  - {name: gift, channel: email, creative: c, offer: c, cost: 4 EUR, value: 10 EUR, purpose: service, score: {model: again}}
";

/// GDPR Art. 15(1)(h), C-203/22: what each score is made of, and what would have had to be otherwise, in the version that
/// was used.
#[test]
fn art_15_1_h_a_score_is_told_with_its_parts_and_a_counterfactual() {
    let dir = tempfile::tempdir().unwrap();
    let house = learning::with_history(dir.path(), 2, &learning::some_often());
    house.close();
    drop(house);
    write(dir.path(), "usecases/again.yaml", AGAIN);
    let model = std::fs::read_to_string(dir.path().join("models/again.yaml")).unwrap();
    write(dir.path(), "models/again.yaml", &format!("{model}gate: {{max_calibration_error: 0.3}}\n"));
    let gold = (0..60).filter(|who| *who != 4).map(|who| {
        let who_is = json!({"kind": "user_id", "value": format!("n{who}")});
        json!({"identifier": who_is, "at": "2026-03-02T00:00:00Z", "outcome": who % 2 == 0}).to_string()
            + "\n"
    });
    write(dir.path(), "goldsets/again.jsonl", &gold.collect::<String>());
    let house = open(dir.path()).unwrap();
    let training = house.train(&all(), "again", &mut |_| {}).unwrap();
    for to in [registry::Move::Canary(registry::Share::from_percent(50.0).unwrap()), registry::Move::Live] {
        house.promote(&all(), "again", training.baseline, to, "test").unwrap();
    }
    while house.do_chores().unwrap() > 0 {}
    let people: Vec<String> = (0..40).filter(|n| *n != 4).map(|n| format!("n{n}")).collect();
    let (mut n_told, mut n_counterfactuals) = (0, 0);
    for who in &people {
        house.decide(&all(), "again", &user(who), &serde_json::Map::new()).unwrap();
        let request = ask(&house, Right::Access, user(who));
        let handed = house.hand_over(&request.request.id, "Mara").unwrap();
        let dossier: Value = serde_json::from_str(file(&handed, "dossier.json")).unwrap();
        let reasons = &dossier["decisions"][0]["reasons"];
        assert!(reasons["without"].is_null(), "{reasons}");
        let scores = reasons["scores"].as_array().unwrap();
        assert_eq!(scores.len(), 3, "{reasons}");
        n_told += 1;
        let parts = scores[0]["parts"].as_array().unwrap();
        let names: BTreeSet<&str> = parts.iter().map(|part| part["input"].as_str().unwrap()).collect();
        assert!(names.contains("bought.spent"), "{parts:?}");
        for found in reasons["counterfactuals"].as_array().unwrap() {
            n_counterfactuals += 1;
            assert_ne!(found["best_then"], reasons["best"], "{found}");
            assert_ne!(found["was"], found["had_it_been"], "{found}");
            // Amounts in whole cents and counts stay what they are.
            assert_eq!(found["had_it_been"].as_f64().unwrap().fract(), 0.0, "{found}");
        }
    }
    assert!(n_told == people.len() && n_counterfactuals > 0, "{n_counterfactuals} of {n_told}");
    house.close();
}

/// GDPR Art. 16: what was wrong is right everywhere from now on, and a replay comes to the same.
#[test]
fn art_16_a_correction_recomputes_features_and_traits() {
    for partitions in [1, 7] {
        let (dir, house) = shop(partitions, "");
        track(&house, &[order(3, "zoe", "dz", 700, "a later note")]).unwrap();
        house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
        assert_eq!(feature(&house, "zoe", "last_note"), "a later note");
        let neighbour = seen(&house, "n3");
        let request = ask(&house, Right::Access, user("zoe"));
        let handed = house.hand_over(&request.request.id, "Mara").unwrap();
        let dossier: Value = serde_json::from_str(file(&handed, "dossier.json")).unwrap();
        let later = dossier["records"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["document"].to_string().contains("a later note"));
        let record: RecordId = serde_json::from_value(later.unwrap()["record"].clone()).unwrap();

        let request = ask(&house, Right::Rectification, user("zoe"));
        let corrections = [
            Correction {
                stream: "orders".into(),
                record: Some(record),
                values: BTreeMap::from([("note".to_owned(), json!("what she really wrote"))]),
            },
            Correction {
                stream: "people".into(),
                record: None,
                values: BTreeMap::from([
                    ("name".to_owned(), json!("Zoë Right")),
                    ("phone".to_owned(), Value::Null),
                ]),
            },
        ];
        let done = house.fulfil_request(&request.request.id, "Mara", &corrections).unwrap();
        assert_eq!(done.state, State::Fulfilled, "{done:?}");
        let right = |house: &Arc<House>| {
            assert_eq!(feature(house, "zoe", "last_note"), "what she really wrote");
            let now = seen(house, "zoe");
            assert!(
                now.contains("Zoë Right") && !now.contains(PLANTED[1]) && !now.contains(PLANTED[2]),
                "{now}"
            );
            assert_eq!(seen(house, "n3"), neighbour);
            assert!(house.verify(|_| {}).unwrap().holds());
        };
        right(&house);
        // Done twice it is the same.
        let again = house.fulfil_request(&request.request.id, "Mara", &corrections).unwrap();
        assert_eq!(again.request.fulfilled, done.request.fulfilled);
        // The dossier says what came and what is right.
        let text = file(&house.hand_over("2026-0001", "Mara").unwrap(), "dossier.json").to_owned();
        assert!(
            text.contains("a later note")
                && text.contains("what she really wrote")
                && text.contains("\"corrected\"")
        );
        // What comes later is folded with it; a decision looks at what is right.
        track(&house, &[order(4, "zoe", "dz", 100, "the newest")]).unwrap();
        house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
        assert_eq!(feature(&house, "zoe", "last_note"), "the newest");
        assert!(house.verify(|_| {}).unwrap().holds());
        house.close();
        drop(house);
        let house = open(dir.path()).unwrap();
        assert_eq!(feature(&house, "zoe", "last_note"), "the newest");
        assert!(seen(&house, "zoe").contains("Zoë Right") && house.verify(|_| {}).unwrap().holds());
        house.close();
        drop(house);
        // Folded anew from the journal, where the correction comes after what it corrects: as after a cut in between.
        house::rebuild_state(dir.path()).unwrap();
        let house = open(dir.path()).unwrap();
        assert!(seen(&house, "zoe").contains("Zoë Right"), "{}", seen(&house, "zoe"));
        assert!(house.verify(|_| {}).unwrap().holds());
        // An erasure takes the right values, too.
        house.erase_people(&[user("zoe")], "Ada", "ticket 9").unwrap();
        let now = seen(&house, "zoe");
        assert!(!now.contains("Right") && house.verify(|_| {}).unwrap().holds(), "{now}");
    }
}

/// What cannot be put right is refused in words, and nothing is changed.
#[test]
fn a_correction_that_is_wrong_itself_is_refused_and_changes_nothing() {
    let (_dir, house) = shop(2, "");
    let before = seen(&house, "zoe");
    let request = ask(&house, Right::Rectification, user("zoe"));
    let others = {
        let request = ask(&house, Right::Access, user("n3"));
        let handed = house.hand_over(&request.request.id, "Mara").unwrap();
        let dossier: Value = serde_json::from_str(file(&handed, "dossier.json")).unwrap();
        let theirs =
            dossier["records"].as_array().unwrap().iter().find(|one| one["stream"] == "orders").unwrap();
        serde_json::from_value::<RecordId>(theirs["record"].clone()).unwrap()
    };
    let one = |stream: &str, record: Option<RecordId>, field: &str, value: Value| Correction {
        stream: stream.into(),
        record,
        values: BTreeMap::from([(field.to_owned(), value)]),
    };
    let many = Correction {
        stream: "people".into(),
        record: None,
        values: (0..101).map(|n| (format!("f{n}"), json!(n))).collect(),
    };
    for (corrections, code, said) in [
        (vec![], "MR3751", "say what is wrong"),
        (vec![one("nothing", None, "name", json!("x"))], "MR70", "`nothing`"),
        (vec![one("people", None, "shoe_size", json!(41))], "MR3751", "`shoe_size`"),
        (vec![one("people", None, "email", json!("x@y.example"))], "MR3751", "people split"),
        (vec![one("people", None, "name", json!(["a", "b"]))], "MR3751", "contract refuses"),
        (vec![one("orders", None, "note", json!("x"))], "MR3751", "name the record"),
        (vec![one("orders", Some(others), "note", json!("x"))], "MR3751", "has no record"),
        (vec![many], "MR3751", "101 fields"),
        // One that is right does not go ahead of one that is wrong.
        (
            vec![one("people", None, "name", json!("Right")), one("people", None, "shoe_size", json!(41))],
            "MR3751",
            "`shoe_size`",
        ),
    ] {
        let error = house.fulfil_request(&request.request.id, "Mara", &corrections).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        if code.starts_with("MR37") {
            assert_eq!(error.code(), code, "{error}");
        }
    }
    assert_eq!(seen(&house, "zoe"), before);
    assert_eq!(house.request(&request.request.id).unwrap().state, State::Open);
    assert!(house.verify(|_| {}).unwrap().holds());
}

/// Two senders may number their orders alike: what is put right of one person stays as it is of the other.
#[test]
fn a_correction_reaches_no_record_of_another_person_with_the_same_id() {
    let (_dir, house) = shop(1, "");
    let mut theirs = order(3, "n3", "d-n3", 800, "theirs");
    theirs["messageId"] = "another".into();
    track(&house, &[order(3, "zoe", "dz", 700, "hers")]).unwrap();
    track(&house, &[theirs]).unwrap();
    house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
    assert_eq!(feature(&house, "zoe", "last_note"), "hers");
    assert_eq!(feature(&house, "n3", "last_note"), "theirs");
    let zoe = house.subject(&user("zoe")).unwrap();
    let mut hers = None;
    let scanned = house.engine().journal().scan(&[], |_, _, record| {
        let is_order = record.stream.as_str() == "orders" && record.subject == zoe;
        hers = hers
            .or(Some(record.id)
                .filter(|_| is_order && record.payload.open.windows(4).any(|w| w == b"\"o3\"")));
        Ok(())
    });
    scanned.unwrap();
    let request = ask(&house, Right::Rectification, user("zoe"));
    let values = BTreeMap::from([("note".to_owned(), json!("what she meant"))]);
    let correction = Correction { stream: "orders".into(), record: hers, values };
    house.fulfil_request(&request.request.id, "Mara", &[correction]).unwrap();
    assert_eq!(feature(&house, "zoe", "last_note"), "what she meant");
    house.engine().settle(std::time::Duration::from_secs(20)).unwrap();
    assert_eq!(feature(&house, "n3", "last_note"), "theirs");
    let other = ask(&house, Right::Access, user("n3"));
    assert!(
        !file(&house.hand_over(&other.request.id, "Mara").unwrap(), "dossier.json")
            .contains("what she meant")
    );
    assert!(house.verify(|_| {}).unwrap().holds());
}

/// GDPR Art. 15(4): a pass that erased several names the others to none of them; and what is refused leaves no entry.
#[test]
fn a_dossier_names_nobody_else_and_a_refusal_leaves_no_entry() {
    let (_dir, house) = shop(2, "");
    house.erase_people(&[user("n1"), user("n2")], "Ada", "ticket 1").unwrap();
    let other = house.subject(&user("n2")).unwrap().to_string();
    let request = ask(&house, Right::Access, user("n1"));
    let handed = house.hand_over(&request.request.id, "Mara").unwrap();
    let text = file(&handed, "dossier.json");
    assert!(text.contains("mr.erasures") && !text.contains(&other), "{text}");
    let erasure = ask(&house, Right::Erasure, user("n3"));
    house.hand_over(&erasure.request.id, "Mara").unwrap_err();
    let sought = house::AuditSought { what: Some("request.hand_over".into()), ..Default::default() };
    assert_eq!(house.audit_entries(&sought, 10).unwrap().len(), 1);
}

/// GDPR Art. 19: those who got the data are told, one by one.
#[test]
fn art_19_recipients_are_told_before_a_request_is_done() {
    let mailer =
        "[registers.recipients.Mailer]\nwhat = \"names\"\ncountry = \"DE\"\npurposes = [\"service\"]\n";
    let (_dir, house) = shop(2, mailer);
    let request = ask(&house, Right::Erasure, user("zoe"));
    let id = request.request.id.as_str();
    let done = house.fulfil_request(id, "Mara", &[]).unwrap();
    assert_eq!((done.state, done.to_tell.as_slice()), (State::Telling, ["Mailer".to_owned()].as_slice()));
    zoe_is_nowhere(&house);
    let error = house.tell_recipient(id, "Nobody", "Mara", "mail").unwrap_err();
    assert!(error.code() == "MR3751" && error.to_string().contains("Mailer"), "{error}");
    assert!(house.tell_recipient(id, "Mailer", "Mara", " ").is_err());
    assert_eq!(house.tell_recipient(id, "Mailer", "Mara", "mail of today").unwrap().state, State::Fulfilled);
    // Done again it is done: no second erasure.
    assert_eq!(house.fulfil_request(id, "Mara", &[]).unwrap().state, State::Fulfilled);
    assert_eq!(house.erasures().unwrap().len(), 1);
    let stores = &house.request(id).unwrap().request.fulfilled.unwrap().stores;
    let names: Vec<&str> = stores.iter().map(|one| one.store.as_str()).collect();
    assert_eq!(names, ["journal", "state", "vault", "models", "captures", "exports", "audit"]);
}

/// GDPR Art. 20: what somebody gave is taken by another house, and comes to the same there.
#[test]
fn art_20_what_is_taken_out_is_taken_in_elsewhere() {
    let (_dir, house) = shop(2, "");
    let request = ask(&house, Right::Portability, user("zoe"));
    let handed = house.hand_over(&request.request.id, "Mara").unwrap();
    let names: Vec<&str> = handed.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["orders.ndjson", "orders.csv", "people.ndjson", "people.csv"]);
    // What was derived is not among it, nor what was refused.
    assert!(handed.files.iter().all(|(_, text)| !text.contains("n_30d") && !text.contains("-1")));
    for ending in ["ndjson", "csv"] {
        let other = tempfile::tempdir().unwrap();
        project(other.path(), 3);
        let elsewhere = open(other.path()).unwrap();
        for stream in ["orders", "people"] {
            let name = format!("{stream}.{ending}");
            write(other.path(), &format!("in/{name}"), file(&handed, &name));
            let done = elsewhere.import(&other.path().join("in").join(&name), stream, |_| ()).unwrap();
            assert_eq!((done.counts.n_rows, done.counts.n_accepted), (1, 1), "{name}: {:?}", done.reasons);
        }
        elsewhere.engine().settle(std::time::Duration::from_secs(20)).unwrap();
        assert_eq!(feature(&elsewhere, "zoe", "last_note"), PLANTED[3], "{ending}");
        let there = seen(&elsewhere, "zoe");
        assert!(PLANTED[..3].iter().all(|planted| there.contains(planted)), "{ending}: {there}");
        elsewhere.close();
    }
}

/// GDPR Art. 12(3): day 25 is told, once; more time is asked for with a reason; what is done is done once.
#[test]
fn art_12_3_a_request_has_a_month_and_day_25_is_told() {
    let (_dir, house) = shop(2, "");
    let now = house.now();
    let asked = |who: &str, right, days| RequestAsked {
        right,
        who: user(who),
        received_at: Some(now - Span::from_days(days)),
        reference: "letter".into(),
    };
    let late = house.open_request("Mara", &asked("zoe", Right::Access, 26)).unwrap();
    let fresh = house.open_request("Mara", &asked("n1", Right::Objection, 1)).unwrap();
    assert_eq!((late.state, fresh.state), (State::Escalated, State::Open));
    assert!(late.request.escalated.is_empty());
    for _ in 0..3 {
        house.do_chores().unwrap();
    }
    let late = house.request(&late.request.id).unwrap();
    assert_eq!(late.request.escalated.len(), 1, "once");
    let sought = house::AuditSought { what: Some("request.escalate".into()), ..Default::default() };
    assert_eq!(house.audit_entries(&sought, 10).unwrap().len(), 1);
    assert_eq!(house.requests().unwrap()[0].request.id, late.request.id, "the most urgent first");

    // The same person asking for the same by another name is the same request.
    let again =
        RequestAsked { who: id("email", PLANTED[0]), received_at: None, ..asked("zoe", Right::Access, 0) };
    assert_eq!(house.open_request("Theo", &again).unwrap().request, late.request);

    let id = late.request.id.as_str();
    assert!(
        house.extend_request(id, 2, "Mara", "").is_err() && house.extend_request(id, 4, "Mara", "x").is_err()
    );
    let longer = house.extend_request(id, 2, "Mara", "two archives on paper").unwrap();
    assert!(longer.due > late.due + Span::from_days(55) && longer.state == State::Open, "{longer:?}");
    assert!(house.extend_request(id, 1, "Mara", "again").unwrap_err().to_string().contains("once"));

    let refused = house.refuse_request(id, "Mara", "cannot be identified").unwrap();
    assert_eq!(refused.state, State::Refused);
    assert!(house.hand_over(id, "Mara").unwrap_err().to_string().contains("refused"));
    assert!(house.refuse_request(id, "Mara", "again").is_err());
    for (who, right, days) in [("zoe", Right::Access, -2), ("zoe", Right::Access, 400)] {
        assert_eq!(house.open_request("Mara", &asked(who, right, days)).unwrap_err().code(), "MR3751");
    }
    assert_eq!(house.request("2026-9999").unwrap_err().code(), "MR3750");
    assert!(house.open_request(" ", &asked("zoe", Right::Access, 0)).is_err());
    assert!(house.verify(|_| {}).unwrap().holds());
}

/// Restriction and objection by request do what they do by themselves, and a wrong way of asking is said.
#[test]
fn requests_restrict_and_object_and_say_which_way_they_are_fulfilled() {
    let (_dir, house) = shop(2, "");
    let restriction = ask(&house, Right::Restriction, user("zoe"));
    let id = restriction.request.id.as_str();
    assert!(house.hand_over(id, "Mara").unwrap_err().to_string().contains("request fulfil"));
    assert_eq!(house.fulfil_request(id, "Mara", &[]).unwrap().state, State::Fulfilled);
    assert_eq!(house.profile(&all(), &user("zoe"), "service").unwrap_err().code(), "MR3501");
    // Whoever is restricted may still know what is known.
    let access = ask(&house, Right::Access, user("zoe"));
    assert!(
        house
            .fulfil_request(&access.request.id, "Mara", &[])
            .unwrap_err()
            .to_string()
            .contains("request fetch")
    );
    let handed = house.hand_over(&access.request.id, "Mara").unwrap();
    assert!(file(&handed, "dossier.json").contains(PLANTED[3]));

    let objection = ask(&house, Right::Objection, user("n1"));
    house.fulfil_request(&objection.request.id, "Mara", &[]).unwrap();
    assert!(house.marks(&user("n1")).unwrap().1.is_some());
}
