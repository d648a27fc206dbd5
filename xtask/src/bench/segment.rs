//! A segment over a million profiles.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::place::Place;
use crate::table::{Figure, Item};

/// The benches.
pub fn items() -> Vec<Item> {
    vec![Item {
        id: "segment",
        title: "a segment's rule of six conditions over 1 M profiles in memory",
        bar: "≤ 50 ms",
        run: segment,
    }]
}

fn segment(place: &Place) -> Result<Figure> {
    let mut command =
        place.cargo(&["run", "--release", "--quiet", "--package", "profile", "--example", "segment"]);
    let output = command.stderr(Stdio::inherit()).output().context("cargo does not start")?;
    if !output.status.success() {
        bail!("the example ended with {}", output.status);
    }
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let number =
        |key: &str| said.get(key).and_then(Value::as_f64).with_context(|| format!("no `{key}` in {said}"));
    let (n, found) = (number("n_profiles")?, number("n_found")?);
    let (median, slowest) = (number("median_ms")?, number("slowest_ms")?);
    let text = format!("{found:.0} of {n:.0} profiles; median {median:.1} ms, slowest {slowest:.1} ms");
    Ok(Figure { text, holds: median <= 50.0 && n >= 1e6 })
}
