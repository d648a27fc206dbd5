//! A file of any size is read in constant memory. Alone in its process, so that memory can be told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::io::Write;

use intake::file::inspect;

/// The most memory this process ever had, in KiB; `None` where the system does not say.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn two_hundred_megabytes_take_no_more_memory_than_two() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.csv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    writeln!(file, "order;customer;amount;note").unwrap();
    let n = 3_000_000_u64;
    for i in 0..n {
        // Written in Windows-1252, so that the decoder is in play.
        writeln!(file, "{i};{};{},50;some words about the order that somebody wrote", i % 9_973, i % 100)
            .unwrap();
        if i == n - 2 {
            file.write_all(b"7;8;9;gr\xf6\xdfer\n").unwrap();
        }
    }
    file.into_inner().unwrap().sync_all().unwrap();
    let before = peak_kib();
    let start = std::time::Instant::now();
    let file = inspect(&path, |_| {}).unwrap();
    assert_eq!(file.encoding().name(), "windows-1252");
    let mut rows = file.rows(0).unwrap();
    let mut last = None;
    for row in rows.by_ref() {
        let row = row.unwrap();
        assert!(row.finding.is_none(), "{row:?}");
        if row.raw["note"].as_str().is_some_and(|n| n.len() < 10) {
            last = Some(row.raw);
        }
    }
    assert_eq!(rows.progress().n_rows, n + 1);
    assert_eq!(last.unwrap()["note"], "größer");
    eprintln!("{} MB in {:?}", file.n_bytes() / 1_000_000, start.elapsed());
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        assert!(after - before < 16 * 1024, "{before} KiB became {after} KiB");
    }
}
