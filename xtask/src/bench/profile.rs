//! `profile` of a large CSV.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::place::Place;
use crate::served;
use crate::table::{Figure, Item};

const GIGABYTE: u64 = 1_000_000_000;

/// The benches.
pub fn items() -> Vec<Item> {
    vec![Item {
        id: "profile",
        title: "`profile` of a CSV of 1 GB, ten columns: keys, codes, days, numbers, free text",
        bar: "≤ 20 s",
        run: profile,
    }]
}

fn profile(place: &Place) -> Result<Figure> {
    let binary = served::binary(place)?;
    let file = super::folder(place, "profile")?.join("orders.csv");
    let n_rows = write(&file)?;
    let started = Instant::now();
    let output =
        Command::new(binary).args(["--json", "profile"]).arg(&file).stderr(Stdio::inherit()).output()?;
    let took = started.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("profile ended with {}", output.status);
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    std::fs::remove_file(&file)?;
    let is_right = report.get("n_rows").and_then(serde_json::Value::as_u64) == Some(n_rows);
    let text = format!("{took:.1} s for {n_rows} rows{}", if is_right { "" } else { "; ROWS ARE MISSING" });
    Ok(Figure { text, holds: is_right && took <= 20.0 })
}

/// The same file each time.
fn write(path: &Path) -> Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let head = "order_id,customer,day,product,quantity,price,country,note,flag,amount\n";
    out.write_all(head.as_bytes())?;
    let (mut n_bytes, mut n_rows, mut x) = (head.len() as u64, 0_u64, 0x9E37_79B9_7F4A_7C15_u64);
    let mut next = |below: u64| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x % below
    };
    while n_bytes < GIGABYTE {
        let line = format!(
            "{n_rows},c{},2025-{:02}-{:02},sku-{},{},{}.{:02},{},some words of a note {},{},{}\n",
            next(500_000),
            next(12) + 1,
            next(28) + 1,
            next(3_000),
            next(50),
            next(100),
            next(100),
            ["DE", "FR", "AT", "CH"].get(next(4) as usize).unwrap_or(&"DE"),
            next(1_000_000),
            next(2) == 0,
            next(2_000) as f64 / 7.0 - 140.0,
        );
        out.write_all(line.as_bytes())?;
        n_bytes += line.len() as u64;
        n_rows += 1;
    }
    out.flush()?;
    Ok(n_rows)
}
