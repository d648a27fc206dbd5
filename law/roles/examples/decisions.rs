//! How many decisions a second: made anew with the request built each time, and remembered. Prints one line of JSON;
//! `--dump FOLDER` writes policies, schema and requests for a peer first.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement, run by hand or by the workshop"
)]

use std::time::Instant;

use contract::{Classification, LegalBasis};
use policy::{Action, Principal, Purposes, Scope};
use roles::{Classes, Roles};

/// Each question as often as every other.
const N: usize = 140 * 432;
const ROLES: [&str; 6] = ["admin", "engineer", "analyst", "marketer", "data_protection_officer", "source"];
const ACTIONS: [Action; 6] =
    [Action::ReadFeatures, Action::ReadProfile, Action::Decide, Action::Train, Action::Send, Action::Export];
const CLASSES: [Classification; 4] =
    [Classification::Public, Classification::Internal, Classification::Personal, Classification::Special];
const PURPOSES: [&str; 3] = ["analytics", "email_marketing", "fulfilment"];

fn main() {
    let purposes = Purposes::new([
        ("analytics", LegalBasis::LegitimateInterest),
        ("email_marketing", LegalBasis::Consent),
        ("fulfilment", LegalBasis::Contract),
    ]);
    let roles = Roles::built_in(&purposes);
    let questions: Vec<(Principal, Action, &str, Classes)> = (0..432)
        .map(|i| {
            let who = Principal::new(format!("person {}", i % 50), Scope::ALL).with_roles([ROLES[i % 6]]);
            let class = Classes::default().with(CLASSES[i / 36 % 4]);
            (who, ACTIONS[i / 6 % 6], PURPOSES[i / 144 % 3], class)
        })
        .collect();
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--dump") {
        dump(&args.next().unwrap(), &roles, &questions, &purposes);
    }
    let (mut n_allowed, started) = (0_usize, Instant::now());
    for i in 0..N {
        let (who, action, purpose, classes) = &questions[i % questions.len()];
        n_allowed += usize::from(roles.may_anew(who, *action, purpose, *classes).allowed);
    }
    let anew = N as f64 / started.elapsed().as_secs_f64();
    let (mut n_remembered, n, started) = (0_usize, 50 * N, Instant::now());
    for i in 0..n {
        let (who, action, purpose, classes) = &questions[i % questions.len()];
        n_remembered += usize::from(roles.may(who, *action, purpose, *classes).allowed);
    }
    let remembered = n as f64 / started.elapsed().as_secs_f64();
    assert_eq!(n_remembered, 50 * n_allowed);
    let n_policies = roles.rules().count();
    println!(
        "{}",
        serde_json::json!({
            "per_second": anew, "remembered_per_second": remembered, "n_policies": n_policies,
            "n_allowed": n_allowed, "n": N,
        })
    );
}

/// What a peer needs to decide the same.
fn dump(folder: &str, roles: &Roles, questions: &[(Principal, Action, &str, Classes)], purposes: &Purposes) {
    let policies: Vec<&str> = roles.rules().map(|rule| rule.text.as_str()).collect();
    let requests: Vec<serde_json::Value> = questions
        .iter()
        .map(|(who, action, purpose, classes)| {
            serde_json::json!({
                "name": who.name(), "role": &*who.roles()[0], "action": action.as_str(), "purpose": purpose,
                "basis": purposes.basis(purpose).unwrap().as_str(), "class": classes.text(),
                "allowed": roles.may_anew(who, *action, purpose, *classes).allowed,
            })
        })
        .collect();
    let write = |name: &str, text: String| std::fs::write(format!("{folder}/{name}"), text).unwrap();
    write("policies.cedar", policies.join("\n"));
    write("schema.cedarschema", roles.schema().to_owned());
    write("requests.json", serde_json::to_string(&requests).unwrap());
}
