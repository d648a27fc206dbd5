//! Erasing one of a million subjects, ten thousand in one batch, and keys made new while others read.

use std::cell::OnceCell;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::place::Place;
use crate::table::{Figure, Item};

/// The benches.
pub fn items() -> Vec<Item> {
    vec![
        Item {
            id: "erase",
            title: "one of 1 M subjects erased: until nothing can be read, and until every store has given its receipt",
            bar: "≤ 100 ms, ≤ 5 s",
            run: one,
        },
        Item {
            id: "erase-batch",
            title: "10,000 of 1 M subjects erased in one batch",
            bar: "≤ 60 s",
            run: batch,
        },
        Item {
            id: "rotate",
            title: "root, 1,024 bucket keys and master made new three times over 1 M subjects while two threads read features",
            bar: "no failed read",
            run: rotate,
        },
    ]
}

thread_local! {
    static MEASURED: OnceCell<Value> = const { OnceCell::new() };
}

/// One run measures all three.
fn number(place: &Place, key: &str) -> Result<f64> {
    let said = MEASURED.with(|measured| match measured.get() {
        Some(said) => Ok(said.clone()),
        None => {
            let said = run(place)?;
            Ok::<_, anyhow::Error>(measured.get_or_init(|| said).clone())
        }
    })?;
    said.get(key).and_then(Value::as_f64).with_context(|| format!("no `{key}` in {said}"))
}

fn run(place: &Place) -> Result<Value> {
    let folder = super::folder(place, "erase")?;
    let mut command =
        place.cargo(&["run", "--release", "--quiet", "--package", "house", "--example", "erasure", "--"]);
    let output = command.arg("million").arg(&folder).stderr(Stdio::inherit()).output();
    let output = output.context("cargo does not start")?;
    if !output.status.success() {
        bail!("the example ended with {}", output.status);
    }
    std::fs::remove_dir_all(&folder)?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).context("no figures")
}

fn one(place: &Place) -> Result<Figure> {
    let (logical, worst) = (number(place, "one_logical_ms")?, number(place, "one_logical_worst_ms")?);
    let (receipts, latest) = (number(place, "one_receipts_ms")?, number(place, "one_receipts_worst_ms")?);
    let text = format!(
        "median {logical:.0} ms (worst of nine {worst:.0}); receipts median {:.2} s (worst {:.2})",
        receipts / 1e3,
        latest / 1e3
    );
    Ok(Figure { text, holds: logical <= 100.0 && latest <= 5_000.0 && number(place, "n_subjects")? >= 1e6 })
}

fn batch(place: &Place) -> Result<Figure> {
    let (n, took) = (number(place, "batch")?, number(place, "batch_s")?);
    let logical = number(place, "batch_logical_ms")? / 1e3;
    let text = format!("{n:.0} in {took:.1} s with all receipts, {logical:.1} s until nothing can be read");
    Ok(Figure { text, holds: took <= 60.0 && n >= 10_000.0 })
}

fn rotate(place: &Place) -> Result<Figure> {
    let (n, failed) = (number(place, "n_reads")?, number(place, "n_failed")?);
    Ok(Figure { text: format!("{n:.0} reads, {failed:.0} failed"), holds: failed == 0.0 && n > 0.0 })
}
