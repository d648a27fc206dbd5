//! A few of the faults of `cargo xtask show spine`, small enough for every test run: kills and power losses under load,
//! disks and clocks. The load and the checks are those of the example `under_load`; this program starts itself as the
//! load, so that there is something to kill.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop at the first surprise")]

#[path = "../examples/under_load/check.rs"]
mod check;
#[path = "../examples/under_load/load.rs"]
mod load;
#[path = "../examples/under_load/mishaps.rs"]
mod mishaps;
#[path = "../examples/under_load/project.rs"]
mod project;
#[path = "../examples/under_load/rounds.rs"]
mod rounds;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use house::{Handed, House, Identifier, Project};
use policy::{Principal, Scope, Status};
use project::{SENDER, STREAM, Trial, USE_CASE};
use serde_json::{Map, json};

/// Tells this program what to be when it is started as a child.
const ROLE: &str = "MASCHINENRAUM_FAULTS_ROLE";
/// Steps of a worker after which a forgotten child ends.
const MAX_STEPS: u64 = 100_000;

fn again(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "as_a_child", "--nocapture", "--quiet"]).env(ROLE, words.join("\t"));
    command
}

/// Not a test of its own: what the others start. Without a role it does nothing.
#[test]
fn as_a_child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<&str> = role.split('\t').collect();
    let trial = Trial::at(Path::new(words.get(1).unwrap()));
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap();
    let printed = match words.first().copied() {
        Some("load") => return load::run(&trial, number(2), MAX_STEPS).unwrap(),
        Some("steps") => serde_json::to_string(&load::take_steps(&trial, number(2), number(3)).unwrap()),
        _ => {
            let partitions: Vec<u16> = words.iter().skip(2).map(|n| n.parse().unwrap()).collect();
            serde_json::to_string(&check::check(&trial, &partitions).unwrap())
        }
    };
    // A line of its own, behind what the test harness has begun to say.
    std::io::Write::write_all(&mut std::io::stdout(), format!("\n{}\n", printed.unwrap()).as_bytes())
        .unwrap();
}

fn check_rounds(n_rounds: u64, seed: u64, power_loss: bool) {
    let dir = tempfile::tempdir().unwrap();
    let trial = Trial::make(&dir.path().join("trial"), 5).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/faults/unsynced.c");
    let shim = if power_loss { rounds::build_shim(&source, dir.path()).unwrap() } else { None };
    if power_loss && shim.is_none() {
        eprintln!("SKIPPED power loss: no C compiler");
        return;
    }
    let plan = rounds::Plan { n_rounds, check_every: 3, seed, power_loss: shim };
    let outcome = rounds::run(&trial, &plan, &again).unwrap();
    assert_eq!(outcome.last.wrong, Vec::<String>::new());
    assert_eq!(outcome.n_kills, n_rounds);
    assert!(outcome.last.n_acked > 0, "nothing was done: {outcome:?}");
}

#[test]
fn a_killed_house_loses_nothing_and_keeps_its_limits() {
    check_rounds(5, 11, false);
}

#[test]
fn a_house_without_power_loses_nothing_and_keeps_its_limits() {
    check_rounds(4, 12, true);
}

#[test]
fn bad_disks_and_clocks_get_a_clear_error_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for mishap in mishaps::run(dir.path(), &again).unwrap() {
        assert_eq!(mishap.wrong, Vec::<String>::new(), "{}: {}", mishap.name, mishap.said);
        if mishap.said.starts_with("SKIPPED") {
            eprintln!("SKIPPED {}: {}", mishap.name, mishap.said);
        }
    }
}

/// What was handed over and never heard of again may have left: when consent goes, it is neither sent again nor is its
/// money given back.
#[test]
fn what_may_have_left_keeps_its_money_when_consent_goes() {
    let dir = tempfile::tempdir().unwrap();
    let trial = Trial::make(dir.path(), 50).unwrap();
    let house = Arc::new(House::open(Project::load(&trial.project()).unwrap()).unwrap());
    let ada = Identifier { kind: "user_id".to_owned(), value: "ada".to_owned() };
    let say = |purpose, status| house.consent(&ada, purpose, status, "1", "web", None).unwrap();
    say("personalisation", Status::Granted);
    say("email_marketing", Status::Granted);
    let body = json!({"type": "identify", "messageId": "m1", "userId": "ada", "traits": {"email": "ada@example.org"},
        "timestamp": "2026-11-01T12:00:00Z"});
    let body = serde_json::to_vec(&body).unwrap();
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    house.post(STREAM, &[&body], Box::new(move |result| send.send(result).unwrap()));
    receive.recv().unwrap().unwrap();
    house.engine().settle(std::time::Duration::from_secs(30)).unwrap();
    let caller = Principal::new("test", [Scope::Decide]);
    let decision = loop {
        house.do_chores().unwrap();
        let decision = house.decide(&caller, USE_CASE, &ada, &Map::new()).unwrap();
        if decision.acts() || decision.holdout.arm.held_out {
            break decision;
        }
    };
    if decision.holdout.arm.held_out {
        // Pseudonyms differ from vault to vault: one in twenty holds her out.
        return;
    }
    let mut n_handed = 0;
    house
        .deliver(SENDER, |_| {
            n_handed += 1;
            Handed::Later("no answer".to_owned())
        })
        .unwrap();
    assert_eq!(n_handed, 1);
    say("email_marketing", Status::Withdrawn);
    let done = house.deliver(SENDER, |_| Handed::Sent).unwrap();
    assert_eq!((done.n_sent, done.n_failed, done.n_released, done.n_left), (0, 0, 0, 1));
    assert_eq!(house.waiting().unwrap().values().sum::<u64>(), 1, "it still counts");
    house.close();
}
