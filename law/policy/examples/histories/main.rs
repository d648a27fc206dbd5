//! Random consent histories against a plain reference model; prints what came out as JSON.
//!
//! `cargo run --release -p policy --example histories -- 200000`
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement: what it prints is what it is for"
)]

mod model;
mod run;

fn main() {
    let n = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let mut compared = run::Compared::default();
    for seed in 0..n {
        run::compare(seed, run::Fault::None, &mut compared);
    }
    let mut found = 0;
    for fault in run::Fault::ALL {
        let mut with = run::Compared::default();
        for seed in 0..2_000 {
            run::compare(seed, fault, &mut with);
        }
        found += u64::from(with.n_wrongly_allowed > 0);
    }
    let said =
        serde_json::json!({ "compared": compared, "faults": run::Fault::ALL.len(), "faults_found": found });
    println!("{said}");
}
