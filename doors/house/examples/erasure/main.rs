//! Erasure, measured: a person planted and searched for in every byte, a process that dies at every step, a million subjects.
//!
//! `scan DIR`: plants, erases, dies at each step in a process of its own, restores a backup from before; prints JSON.
//! `learn DIR`: a model learns from somebody, they are erased, it is marked and trained anew.
//! `million DIR [N]`: erases one of N subjects, then 10,000 in one batch, then renews keys while others read.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what it prints is what it is for, and it may stop at the first surprise"
)]

#[path = "../../tests/erased/mod.rs"]
mod erased;
mod million;
mod scan;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["scan", dir] => scan::scan(dir.as_ref()),
        ["die", dir, step] => scan::die(dir.as_ref(), step.parse().unwrap()),
        ["learn", dir] => {
            let learned = erased::learning::learn(dir.as_ref(), 4);
            println!(
                "{}",
                serde_json::json!({
                    "n_before": learned.n_before, "n_after": learned.n_after, "n_rows": learned.n_rows.0,
                    "n_rows_after": learned.n_rows.1, "marked": learned.marked, "marked_after": learned.marked_after,
                    "n_due": learned.n_due.0, "n_due_after": learned.n_due.1, "verified": learned.verified,
                })
            );
        }
        ["million", dir] => million::run(dir.as_ref(), 1_000_000),
        ["million", dir, n] => million::run(dir.as_ref(), n.parse().unwrap()),
        other => panic!("scan DIR | learn DIR | million DIR [N], not {other:?}"),
    }
}
