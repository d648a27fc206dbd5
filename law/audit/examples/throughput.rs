//! How fast a log takes entries and gives proofs, in one process and on one disk.
//!
//! ```text
//! cargo run --release -p audit --example throughput -- DIR ENTRIES BATCH
//! ```
//! Entries go in batches; after each a signed checkpoint commits to them, synced to the disk. Proofs are then made for
//! entries at random, each whole with its checkpoint, and verified. Prints one line of JSON.
#![allow(clippy::print_stdout, reason = "a measurement speaks on stdout")]

use std::path::Path;
use std::time::Instant;

use audit::{Log, Signer, check_dir, leaf_hash, verify_inclusion};
use zeroize::Zeroizing;

const N_PROOFS: u64 = 200_000;
const N_VERIFIED: u64 = 100_000;

fn entry(n: u64) -> Vec<u8> {
    let head = r#"{"at":"2026-11-24T13:00:00.000001Z","what":"person.read","by":"anna","purpose":"direct_marketing","#;
    format!("{head}\"subject\":\"{:032x}\",\"detail\":{{\"n\":{n}}}}}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .into_bytes()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("DIR ENTRIES BATCH are expected")?;
    let n_entries: u64 = args.next().ok_or("how many entries?")?.parse()?;
    let batch: u64 = args.next().ok_or("how many at once?")?.parse()?;
    let signer = Signer::new("bench.example/audit", &Zeroizing::new([7; 32]))?;
    let mut log = Log::open(Path::new(&dir), signer.verifier())?;
    let entries: Vec<Vec<u8>> = (0..n_entries).map(entry).collect();
    let started = Instant::now();
    let mut n_checkpoints = 0_u64;
    for some in entries.chunks(usize::try_from(batch)?) {
        log.append(some)?;
        log.sign(&signer, event::Instant::now())?;
        n_checkpoints += 1;
    }
    let appended_s = started.elapsed().as_secs_f64();

    let mut x = 0x9E37_79B9_7F4A_7C15_u64;
    let mut at_random = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x % n_entries
    };
    // Once over all tiles, as a server that runs has them.
    for index in (0..n_entries).step_by(256) {
        log.prove(index)?;
    }
    let started = Instant::now();
    let mut n_hashes = 0;
    for _ in 0..N_PROOFS {
        n_hashes += log.prove(at_random())?.hashes.len();
    }
    let proved_s = started.elapsed().as_secs_f64();
    let head = log.signed().ok_or("no checkpoint")?.checkpoint.clone();
    let started = Instant::now();
    for _ in 0..N_VERIFIED {
        let index = at_random();
        let proof = log.prove(index)?;
        let leaf = leaf_hash(entries.get(usize::try_from(index)?).ok_or("no entry")?);
        if !verify_inclusion(index, head.size, leaf, &proof.hashes, head.root) {
            return Err(format!("the proof of entry {index} does not hold").into());
        }
    }
    let verified_s = started.elapsed().as_secs_f64();
    let started = Instant::now();
    check_dir(Path::new(&dir), &signer.verifier(), |_, _| Ok(()))?;
    let checked_s = started.elapsed().as_secs_f64();
    println!(
        "{{\"entries\":{n_entries},\"checkpoints\":{n_checkpoints},\"appended_s\":{appended_s:.4},\"proofs\":{N_PROOFS},\
         \"hashes\":{n_hashes},\"proved_s\":{proved_s:.4},\"verified\":{N_VERIFIED},\"verified_s\":{verified_s:.4},\
         \"checked_s\":{checked_s:.4}}}"
    );
    Ok(())
}
