//! The uplift that a report measures against the truth of many worlds: a 95 % interval holds it 95 times in a hundred.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use decide::{Collector, Holdout, Tally, holdout};
use event::{RecordId, Subject};
use simulate::{Action, Config, Decided, World};

const N_WORLDS: u64 = 400;
const N_CUSTOMERS: u32 = 600;

/// Decides for everybody in one world by the best action, holds a fifth out, and says whether the interval holds
/// the truth.
fn holds_the_truth(seed: u64) -> bool {
    let world = World::new(Config { seed, n_customers: N_CUSTOMERS, ..Config::default() }).unwrap();
    let at = world.end();
    let rule = Holdout { share: 0.2, salt: format!("world {seed}") };
    let mut collector = Collector::default();
    let mut treated = Vec::new();
    for customer in world.customers() {
        let name = RecordId::external("customers", customer.user_id.as_bytes());
        let subject = Subject::from_bytes(*name.as_bytes());
        let arm = holdout::arm(&rule, subject, []);
        let action = if arm.held_out { Action::None } else { world.best_action(customer, &Action::ALL, at) };
        let outcome = world.respond(&customer.user_id, action, at, seed).unwrap();
        let tally = Tally {
            first_at: Some(at),
            held_out: arm.held_out,
            n_decisions: 1,
            n_successful: u32::from(outcome.ordered),
            ..Tally::default()
        };
        collector.add(subject, subject, &tally);
        if !arm.held_out {
            treated.push(Decided { user_id: customer.user_id.clone(), action, at });
        }
    }
    let truth = world.true_uplift(&treated).unwrap().uplift;
    let measured = collector.report("next_order").uplift.rate_difference;
    measured.low.unwrap() <= truth && truth <= measured.high.unwrap()
}

/// Of 400 worlds 380 are expected; 366 to 394 is what 99.9 % of honest 95 % intervals bring, and a little above,
/// for people differ and the interval takes them for alike.
#[test]
fn the_interval_holds_the_truth_as_often_as_it_says() {
    let n_held = (0..N_WORLDS).filter(|seed| holds_the_truth(*seed)).count();
    assert!((366..=396).contains(&n_held), "{n_held} of {N_WORLDS}");
}
