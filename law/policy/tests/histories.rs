//! LAW 3: whatever people say, in whatever order it arrives, no read is allowed that the law denies, and none denied that
//! it allows. The small form of `cargo run -p policy --example histories`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]

#[path = "../examples/histories/model.rs"]
mod model;
#[path = "../examples/histories/run.rs"]
mod run;

use run::{Compared, Fault, compare};

fn check(n: u64, fault: Fault) -> Compared {
    let mut compared = Compared::default();
    (0..n).for_each(|seed| compare(seed, fault, &mut compared));
    compared
}

#[test]
fn no_read_is_allowed_that_a_plain_model_denies() {
    let compared = check(1_500, Fault::None);
    assert_eq!(
        (compared.n_wrongly_allowed, compared.n_wrongly_denied, compared.n_differ),
        (0, 0, 0),
        "{compared:?}"
    );
    // It is no empty agreement: both allow and deny often, and much arrives late.
    assert!(compared.n_allowed * 20 > compared.n_questions, "{compared:?}");
    assert!(compared.n_late * 20 > compared.n_facts, "{compared:?}");
}

/// The comparison is shown to fail: a fold that loses something is found.
#[test]
fn what_is_lost_on_the_way_is_found() {
    for fault in Fault::ALL {
        let compared = check(600, fault);
        assert!(compared.n_wrongly_allowed > 0, "{fault:?}: {compared:?}");
    }
}
