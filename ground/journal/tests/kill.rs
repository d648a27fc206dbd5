//! LAW 1 against `kill -9`: this test starts itself as another process, kills that in the middle of its work, and
//! looks for everything it had been told is durable.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use event::{Partition, Position};
use journal::conformance::sample;
use journal::{Journal, Options};

const DIR: &str = "JOURNAL_KILL_TEST_DIR";
const ROUND: &str = "JOURNAL_KILL_TEST_ROUND";
const N_ROUNDS: u64 = 25;
const N_PARTITIONS: u16 = 3;
const N_WRITERS: u64 = 4;

fn options() -> Options {
    Options { n_partitions: N_PARTITIONS, segment_bytes: 256 << 10, ..Options::default() }
}

/// The other process: appends as fast as it can and says what is acknowledged, until it is killed.
#[test]
fn child() {
    let (Ok(dir), Ok(round)) = (std::env::var(DIR), std::env::var(ROUND)) else { return };
    let round: u64 = round.parse().unwrap();
    let journal = Journal::open(dir, options()).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..N_WRITERS {
            let journal = &journal;
            scope.spawn(move || {
                for i in 0_u64.. {
                    let first = (round * N_WRITERS + writer) * 1_000_000_000 + i * 8;
                    let numbers: Vec<_> = (first..first + i % 8 + 1).collect();
                    let partition = |number: u64| Partition((number % u64::from(N_PARTITIONS)) as u16);
                    let records =
                        numbers.iter().map(|n| (partition(*n), sample(*n, (n % 700) as usize))).collect();
                    let positions = journal.append(records).unwrap();
                    let mut lines = String::new();
                    for (number, position) in numbers.iter().zip(positions) {
                        lines.push_str(&format!("ack {number} {} {position}\n", partition(*number)));
                    }
                    std::io::stdout().lock().write_all(lines.as_bytes()).unwrap();
                }
            });
        }
    });
}

#[test]
fn every_acknowledged_record_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<u64, (u16, u64)> = BTreeMap::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..N_ROUNDS {
        // xorshift: after how many acknowledgements this one dies
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        run_and_kill(dir.path(), round, (state % 3000) as usize, &mut acknowledged);
        check(dir.path(), &acknowledged);
    }
    assert!(acknowledged.len() > 1000, "{} records acknowledged", acknowledged.len());
}

fn run_and_kill(dir: &Path, round: u64, n_lines: usize, acknowledged: &mut BTreeMap<u64, (u16, u64)>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut n_read = 0;
    loop {
        if n_read == n_lines {
            child.kill().unwrap();
        }
        line.clear();
        // A line without its end was cut off by the kill.
        if out.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
            break;
        }
        let mut words = line.split_whitespace();
        if words.next() != Some("ack") {
            continue;
        }
        let mut word = || words.next().unwrap().parse::<u64>().unwrap();
        let (number, partition, position) = (word(), word(), word());
        acknowledged.insert(number, (partition as u16, position));
        n_read += 1;
    }
    let status = child.wait().unwrap();
    assert!(!status.success() && status.code().is_none(), "it was to be killed, but: {status}");
}

fn check(dir: &Path, acknowledged: &BTreeMap<u64, (u16, u64)>) {
    let journal = Journal::open(dir, options()).unwrap();
    let mut found = BTreeMap::new();
    let scan = journal.scan(&[], |partition, position, record| {
        let text = std::str::from_utf8(&record.payload.open).unwrap();
        let number: u64 = text.trim_start_matches("{\"number\":").split(',').next().unwrap().parse().unwrap();
        assert_eq!(*record, *sample(number, (number % 700) as usize));
        let before = found.insert(number, (partition.0, position.0));
        assert_eq!(before, None, "record {number} is there twice");
        Ok(())
    });
    scan.unwrap();
    for (number, place) in acknowledged {
        assert_eq!(found.get(number), Some(place), "record {number} was acknowledged");
    }
    for partition in 0..N_PARTITIONS {
        let mut tail = journal.tail(Partition(partition), Position(0));
        let mut n = 0;
        loop {
            let records = tail.next(1000, None).unwrap();
            if records.is_empty() {
                break;
            }
            for (position, _) in &records {
                assert_eq!(position.0, n);
                n += 1;
            }
        }
        assert_eq!(Position(n), journal.end(Partition(partition)));
    }
}
