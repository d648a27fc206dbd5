//! LAW 7 holds in every world, and each fault that would break it is noticed.

use proptest::prelude::*;

use super::world::{Faults, World, replay};

fn world(seed: u64, n_partitions: u16, merges: bool, faults: Faults) -> World {
    let mut world = World::new(seed, n_partitions, merges, faults);
    world.run(600);
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn caps_and_budgets_hold_whatever_happens(seed in any::<u64>(), seven in any::<bool>(), merges in any::<bool>()) {
        let mut world = world(seed, if seven { 7 } else { 1 }, merges, Faults::default());
        world.rest();
        world.check_rest();
        if !merges {
            world.check_windows();
        }
        prop_assert!(world.broken.is_empty(), "{:#?}", world.broken);
    }

    /// LAW 2: the log replayed into 1, 3 and 7 partitions gives the live state.
    #[test]
    fn any_number_of_partitions_gives_the_same_state(seed in any::<u64>(), seven in any::<bool>()) {
        let mut world = world(seed, if seven { 7 } else { 1 }, true, Faults::default());
        world.rest();
        let live = world.digest();
        for n in [1, 3, 7] {
            prop_assert_eq!(replay(&world.log, n), live, "{} partitions", n);
        }
    }
}

/// The worlds above are worth something only if money and caps do run out in them.
#[test]
fn the_worlds_are_hard() {
    let (mut acted, mut poor, mut capped) = (0, 0, 0);
    for seed in 0..60 {
        let world = world(seed, if seed % 2 == 0 { 7 } else { 1 }, false, Faults::default());
        acted += world.n_acted;
        poor += world.n_poor;
        capped += world.n_capped;
    }
    println!("{acted} acted, {poor} lacked money, {capped} hit a cap");
    assert!(
        acted > 500 && poor > 500 && capped > 500,
        "{acted} acted, {poor} lacked money, {capped} hit a cap"
    );
}

/// LAW 7's mutants.
fn check(name: &str, faults: Faults, merges: bool) {
    let found = (0..60).find(|seed| {
        let mut world = world(*seed, if seed % 2 == 0 { 7 } else { 1 }, merges, faults);
        world.rest();
        world.check_rest();
        if !merges {
            world.check_windows();
        }
        !world.broken.is_empty()
    });
    assert!(found.is_some(), "a house that has the fault `{name}` went unnoticed in 60 worlds");
}

#[test]
fn a_cap_ignored_is_noticed() {
    check("ignore_caps", Faults { ignore_caps: true, ..Faults::default() }, false);
}

#[test]
fn a_member_ignored_is_noticed() {
    check("ignore_members", Faults { ignore_members: true, ..Faults::default() }, true);
}

#[test]
fn an_unsent_contact_ignored_is_noticed() {
    check("ignore_unsent", Faults { ignore_unsent: true, ..Faults::default() }, false);
}

#[test]
fn money_not_set_aside_is_noticed() {
    check("ignore_till", Faults { ignore_till: true, ..Faults::default() }, false);
}

#[test]
fn settling_open_reservations_is_noticed() {
    check("settle_early", Faults { settle_early: true, ..Faults::default() }, false);
}

#[test]
fn settling_what_is_on_its_way_is_noticed() {
    check("settle_over_holds", Faults { settle_over_holds: true, ..Faults::default() }, false);
}

#[test]
fn sending_what_was_given_back_is_noticed() {
    check("send_unclaimed", Faults { send_unclaimed: true, ..Faults::default() }, false);
}

#[test]
fn a_holdout_drawn_anew_is_noticed() {
    check("forget_holdout", Faults { forget_holdout: true, ..Faults::default() }, false);
}
