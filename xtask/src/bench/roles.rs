//! Decisions of policies beside cedarpy, and what the check of purposes costs a scan of features.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::peers;
use crate::place::Place;
use crate::table::{Figure, Item};

/// The benches.
pub fn items() -> Vec<Item> {
    vec![
        Item {
            id: "roles",
            title: "policy decisions a second on one core, the request built for each (built-in policies; cedarpy beside it, \
                    same policies and requests)",
            bar: "≥ 15,000/s, all answers equal",
            run: decisions,
        },
        Item {
            id: "purpose",
            title: "what the check of purposes and rows adds to a scan of 1 M labels × 20 features",
            bar: "≤ 5 %",
            run: purpose,
        },
    ]
}

fn example(place: &Place, package: &str, example: &str, args: &[&str]) -> Result<Value> {
    let mut command =
        place.cargo(&["run", "--release", "--quiet", "--package", package, "--example", example, "--"]);
    let output = command.args(args).stderr(Stdio::inherit()).output().context("cargo does not start")?;
    if !output.status.success() {
        bail!("the example ended with {}", output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn number(said: &Value, key: &str) -> Result<f64> {
    said.get(key).and_then(Value::as_f64).with_context(|| format!("no `{key}` in {said}"))
}

fn decisions(place: &Place) -> Result<Figure> {
    let folder = super::folder(place, "roles")?;
    let path = folder.to_string_lossy().into_owned();
    let ours = example(place, "roles", "decisions", &["--dump", &path])?;
    let mut peer = Command::new(peers::python(place)?);
    peer.arg(place.root.join("bench/peers/roles_cedarpy.py")).arg(&folder).stderr(Stdio::inherit());
    let output = peer.output().context("python does not start")?;
    if !output.status.success() {
        bail!("cedarpy ended with {}", output.status);
    }
    let theirs: Value = serde_json::from_slice(&output.stdout)?;
    let (anew, n_different) = (number(&ours, "per_second")?, number(&theirs, "n_different")?);
    // Cedar's own validator, which is not in our tree, on our schema.
    let is_valid = theirs.get("is_valid").and_then(Value::as_bool) == Some(true);
    let text = format!(
        "{:.0}/s; remembered {:.1} M/s; cedarpy {:.0}/s, {:.0}/s in batches of one role, {n_different:.0} answers differ",
        anew,
        number(&ours, "remembered_per_second")? / 1e6,
        number(&theirs, "per_second")?,
        number(&theirs, "batched_per_second")?,
    );
    let text =
        if is_valid { text } else { format!("{text}; CEDAR'S VALIDATOR REFUSES THE SCHEMA OR THE POLICIES") };
    Ok(Figure { text, holds: anew >= 15_000.0 && n_different == 0.0 && is_valid })
}

fn purpose(place: &Place) -> Result<Figure> {
    let said = example(place, "feature", "purpose", &[])?;
    let (scan, check) = (number(&said, "scan_ms")?, number(&said, "check_ms")?);
    let overhead = 100.0 * check / scan;
    let text = format!(
        "{overhead:.1} %: {check:.0} ms beside {scan:.0} ms for {:.0} labels",
        number(&said, "n_labels")?
    );
    Ok(Figure { text, holds: overhead <= 5.0 })
}
