//! A file of five gigabytes, and a million people served from what it told.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::load::{self, Ask, Pace};
use crate::place::Place;
use crate::served::{self, Served};
use crate::table::{Figure, Item};

const FILE_BYTES: u64 = 5_000_000_000;
const N_PEOPLE: u64 = 1_000_000;
const MEBIBYTE: f64 = 1_048_576.0;
/// Odd, so that it meets every person once before it meets one twice.
const STRIDE: u64 = 387_420_489;

/// The benches.
pub fn items() -> Vec<Item> {
    vec![
        Item {
            id: "import-huge",
            title: "`import` of a CSV of 5 GB, every tenth row of a person, a personal field, 4 features folded",
            bar: "every row there, ≤ 2 GiB resident",
            run: import,
        },
        Item {
            id: "people-served",
            title: "the 1 M people of that file served: their features read at random, all of them, 10,000/s",
            bar: "≤ 2 GiB resident",
            run: serve,
        },
    ]
}

fn folder(place: &Place) -> PathBuf {
    place.target().join("bench/huge")
}

fn import(place: &Place) -> Result<Figure> {
    let binary = served::binary(place)?;
    let folder = super::folder(place, "huge")?;
    let project = place.root.join("bench/projects/huge");
    if !Command::new("cp").arg("-R").arg(project.join(".")).arg(&folder).status()?.success() {
        bail!("{} cannot be copied", project.display());
    }
    std::fs::write(folder.join("key"), served::make_key(&binary, &folder)?)?;
    let file = folder.join("visits.csv");
    let n_rows = write(&file)?;
    let log = std::fs::File::create(folder.join("import.log"))?;
    let started = Instant::now();
    let mut child = Command::new(&binary)
        .arg("--project")
        .arg(&folder)
        .args(["--json", "import"])
        .arg(&file)
        .args(["--stream", "visits"])
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("the binary does not start")?;
    let mut most_kib = 0.0_f64;
    while child.try_wait()?.is_none() {
        most_kib = most_kib.max(high_water_kib(child.id()));
        std::thread::sleep(Duration::from_millis(100));
    }
    let took = started.elapsed().as_secs_f64();
    let output = child.wait_with_output()?;
    std::fs::remove_file(&file)?;
    if !output.status.success() {
        bail!("import ended with {}; see {}", output.status, folder.join("import.log").display());
    }
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let n_accepted = said.pointer("/counts/n_accepted").and_then(serde_json::Value::as_u64);
    let is_whole = n_accepted == Some(n_rows);
    let lost = if is_whole { "" } else { "; ROWS ARE MISSING" };
    let text = format!(
        "{n_rows} rows in {took:.0} s, {:.0} rows/s; {:.0} MiB resident at most{lost}",
        n_rows as f64 / took,
        most_kib / 1024.0
    );
    Ok(Figure { text, holds: is_whole && most_kib > 0.0 && most_kib <= 2.0 * MEBIBYTE })
}

fn serve(place: &Place) -> Result<Figure> {
    let folder = folder(place);
    let Ok(key) = std::fs::read_to_string(folder.join("key")) else {
        bail!("there is nothing to serve: run `cargo xtask bench --only import-huge` first");
    };
    let binary = served::binary(place)?;
    let served = Served::start(&binary, &folder, &key)?;
    let (ready_after, settled) = (served.ready_after, served.settle()?);
    let clients = (0..8_u64)
        .map(|client| -> Ask<'_> {
            Box::new(move |connection, number| {
                let person = (number * 8 + client).wrapping_mul(STRIDE) % N_PEOPLE;
                let body = format!(
                    r#"{{"identifier":{{"kind":"user_id","value":"c{person}"}},"purpose":"service","views":["visits"]}}"#
                );
                let answer = connection.fetch("POST", "/v1/features", body.as_bytes())?;
                if !String::from_utf8_lossy(&answer).contains("price_30d") {
                    bail!("no features of c{person}: {}", String::from_utf8_lossy(&answer));
                }
                Ok(ControlFlow::Continue(()))
            })
        })
        .collect();
    let run = load::run(&served, clients, Pace::PerSecond(10_000.0), Duration::from_secs(100))?;
    served.stop()?;
    let n_asked = (run.per_second() * run.took.as_secs_f64()).min(N_PEOPLE as f64);
    let text = format!(
        "{:.0} MiB resident after reading {n_asked:.0} people; {:.0}/s, p50 {:.2} ms, p99 {:.2} ms; ready after {:.1} s, \
         folded {:.1} s later",
        run.resident_bytes / MEBIBYTE,
        run.per_second(),
        run.ms(0.5),
        run.ms(0.99),
        ready_after.as_secs_f64(),
        settled.as_secs_f64()
    );
    Ok(Figure { text, holds: run.resident_bytes > 0.0 && run.resident_bytes <= 2048.0 * MEBIBYTE })
}

/// The most memory a process ever had; 0 where the system does not tell.
fn high_water_kib(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

/// The same file each time: rows in order of time, people at random.
fn write(path: &Path) -> Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let head = "visit,customer,at,sku,category,price_cents,note\n";
    out.write_all(head.as_bytes())?;
    let note = "what was said about it in words that tell nobody anything ".repeat(7);
    let (mut n_bytes, mut n_rows) = (head.len() as u64, 0_u64);
    while n_bytes < FILE_BYTES {
        let person = n_rows.wrapping_mul(STRIDE) % N_PEOPLE;
        let second = n_rows / 5;
        let line = format!(
            "v{n_rows},c{person},2026-10-{:02}T{:02}:{:02}:{:02}Z,sku-{},cat-{},{},{note}\n",
            1 + second / 86_400,
            second / 3_600 % 24,
            second / 60 % 60,
            second % 60,
            n_rows % 4_096,
            n_rows % 17,
            n_rows % 20_000,
        );
        out.write_all(line.as_bytes())?;
        n_bytes += line.len() as u64;
        n_rows += 1;
    }
    out.flush()?;
    Ok(n_rows)
}
