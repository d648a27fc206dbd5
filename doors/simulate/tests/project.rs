//! The project directory against the files it is made for: what is good passes, what is broken is found.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;

use contract::{Contract, Severity};
use serde_json::{Map, Value};
use simulate::{Action, Config, File, LOAD_CONTRACT, Load, World};

/// Little, but with every kind of dirt often.
fn world() -> World {
    let mut config = Config { seed: 3, n_customers: 150, n_days: 200, ..Config::default() };
    config.faults.wrong_type = 0.02;
    config.faults.missing_field = 0.02;
    config.faults.out_of_range = 0.02;
    World::new(config).unwrap()
}

/// A contract without a word of complaint.
fn contract(yaml: &str, file: &str) -> Contract {
    let parsed = Contract::parse(yaml, file).unwrap();
    assert_eq!(format!("{:?}", parsed.findings), "[]", "{file}");
    assert_eq!(format!("{:?}", parsed.contract.validate()), "[]", "{file}");
    parsed.contract
}

fn contracts(world: &World) -> BTreeMap<String, Contract> {
    let files = world.project_files();
    let yaml = |file: &&File| file.path.starts_with("contracts/");
    let read = |file: &File| contract(std::str::from_utf8(&file.bytes).unwrap(), &file.path);
    files.iter().filter(yaml).map(read).map(|contract| (contract.stream.to_string(), contract)).collect()
}

/// The errors of a document, judged as intake does: bound first.
fn errors(contract: &Contract, raw: &Value) -> Vec<String> {
    let findings = contract.check(&contract.bind(raw));
    findings.into_iter().filter(|f| f.severity == Severity::Error).map(|f| f.message).collect()
}

#[test]
fn good_lines_pass_and_broken_ones_are_found() {
    let (world, mut n_broken) = (world(), 0);
    let (contracts, history) = (contracts(&world), world.history());
    for (stream, id) in [("orders", "order_id"), ("responses", "response_id"), ("visits", "messageId")] {
        let file = history.files().iter().find(|file| file.path == format!("{stream}.ndjson")).unwrap();
        let parsed = file
            .bytes
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        for raw in parsed {
            let broken = raw[id].as_str().unwrap().starts_with("broken-");
            let found = errors(&contracts[stream], &raw);
            assert_eq!(!found.is_empty(), broken, "{stream}: {raw}: {found:?}");
            n_broken += u64::from(broken);
            let bound = contracts[stream].bind(&raw);
            assert!(broken || contracts[stream].event_time(&bound).is_some());
            assert!(broken || contracts[stream].known_time(&bound).is_some());
            assert!(broken || !contracts[stream].identifiers(&bound).is_empty());
        }
    }
    let counted = history.truth().streams.values().map(|counts| counts.broken);
    let expected: u64 = counted.map(|b| b.wrong_type + b.missing_field + b.out_of_range).sum();
    assert_eq!(n_broken, expected);
    assert!(n_broken > 100);
}

#[test]
fn rows_of_csv_pass() {
    let world = world();
    let (contracts, history) = (contracts(&world), world.history());
    for stream in ["customers", "campaigns"] {
        let file = history.files().iter().find(|file| file.path == format!("{stream}.csv")).unwrap();
        let text = String::from_utf8(file.bytes.clone()).unwrap();
        let (head, body) = text.split_once('\n').unwrap();
        for line in body.lines() {
            let cells = head.split(',').zip(line.split(','));
            let raw: Map<_, _> = cells.map(|(name, cell)| (name.to_owned(), Value::from(cell))).collect();
            assert_eq!(errors(&contracts[stream], &raw.into()), [""; 0], "{line}");
        }
    }
}

#[test]
fn everything_of_a_person_is_sealed() {
    for (stream, contract) in contracts(&world()) {
        let sealed = contract.personal_pointers();
        for pointer in contract.declared_pointers() {
            let of_a_person =
                ["user", "email", "phone", "first_name", "last_name", "ip", "anonymous", "birth", "city"];
            if of_a_person.iter().any(|word| pointer.to_lowercase().contains(word)) {
                assert!(sealed.contains(&pointer), "{stream}: {pointer}");
            }
        }
    }
}

#[test]
fn load_fits_its_contract_and_declares_all_of_it() {
    let contract = contract(LOAD_CONTRACT, "load.yaml");
    for event in Load::new(500, 1) {
        let raw: Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(errors(&contract, &raw), [""; 0]);
        let personal = raw["properties"]["email"].is_string();
        let split = contract.split(raw);
        assert_eq!(split.sealed.len(), if personal { 3 } else { 1 }, "{:?}", split.sealed);
    }
}

#[test]
fn views_and_the_use_case_fit_the_contracts() {
    let world = world();
    let mut all = contract::Contracts::new();
    for contract in contracts(&world).into_values() {
        all.insert(contract).unwrap();
    }
    let mut features = Vec::new();
    for file in world.project_files() {
        let text = std::str::from_utf8(&file.bytes).unwrap();
        if file.path.starts_with("features/") {
            let (view, findings) = feature::View::parse(text, &file.path, &all);
            assert_eq!(format!("{findings:?}"), "[]");
            let view = view.unwrap();
            assert!(!view.is_personal(), "{view:?} reads open fields only");
            features
                .extend(view.features().iter().map(|feature| format!("{}.{}", view.name(), feature.name())));
        } else if file.path.starts_with("usecases/") {
            let use_case = decide::UseCase::parse(text, &file.path).unwrap();
            for input in use_case.features() {
                assert!(features.iter().any(|feature| feature == input), "{input} is none of {features:?}");
            }
            for action in Action::ALL.into_iter().filter(|action| *action != Action::None) {
                let declared = use_case.action(&action.id()).unwrap();
                assert_eq!(declared.cost.as_f64(), f64::from(action.cost_cents()));
                assert_eq!(Some(declared.purpose.as_str()), action.channel().map(simulate::Channel::purpose));
            }
            assert_eq!(use_case.actions.len(), Action::ALL.len() - 1);
            assert_eq!(decide::NO_ACTION, Action::None.id());
            assert_eq!(use_case.goal.within, event::Span::from_days(simulate::RESPONSE_DAYS));
        }
    }
}

#[test]
fn the_settings_name_every_purpose_and_the_gold_set_is_there() {
    let world = world();
    let files: BTreeMap<String, String> = world
        .project_files()
        .into_iter()
        .map(|file| (file.path, String::from_utf8(file.bytes).unwrap()))
        .collect();
    let settings: toml::Table = files["maschinenraum.toml"].parse().unwrap();
    assert_eq!(settings["instance"]["clock"].as_str().unwrap().parse(), Ok(world.end()));
    for contract in contracts(&world).into_values() {
        for purpose in &contract.purposes {
            let basis = settings["purposes"][&purpose.name]["basis"].as_str();
            assert_eq!(basis, purpose.basis.map(|basis| basis.as_str()), "{}", purpose.name);
        }
    }
    let use_case = decide::UseCase::parse(&files["usecases/next_order.yaml"], "f").unwrap();
    let gold: Vec<Value> =
        files[&use_case.gold_set].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(gold.len(), 150);
    for line in gold {
        let worth = line["worth"].as_object().unwrap();
        assert!(worth.values().all(|p| (0.0..=1.0).contains(&p.as_f64().unwrap())), "{line}");
        assert!(use_case.actions.iter().all(|action| worth.contains_key(&action.name)), "{line}");
    }
}
