//! Real clients: what Segment's own libraries send over a network that loses answers arrives once.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::unreliable;
use crate::peers;
use crate::place::Place;
use crate::served::{self, Served};
use crate::table::{Figure, Item};

const PROJECT: &str = "bench/projects/clients";
/// Calls per client, a fifth of each kind, from ten people.
const N_CALLS: u64 = 2_000;
const N_PEOPLE: u64 = 10;
const KINDS: [&str; 5] = ["n_identify", "n_track", "n_page", "n_group", "n_alias"];

/// The item.
pub const ITEM: Item = Item {
    id: "clients",
    title: "@segment/analytics-node and segment-analytics-python, unmodified, over a network that loses a quarter of \
            the answers and refuses another quarter",
    bar: "2,000 calls of each: all there, 0 lost, 0 doubled, 0 quarantined",
    run,
};

/// What a client says of itself.
#[derive(Deserialize)]
struct Said {
    delivered: u64,
    failed: u64,
    errors: Vec<String>,
}

/// What became of one client's calls.
struct Seen {
    said: Said,
    n_stored: u64,
    n_refused: u64,
    n_counted: u64,
    n_different: u64,
    by_kind: [u64; 5],
    n_unanswered: u64,
    n_failed: u64,
    n_limited: u64,
    n_not_200: u64,
    /// Copies that the server recognised.
    n_dropped: u64,
}

fn run(place: &Place) -> Result<Figure> {
    let binary = served::binary(place)?;
    let (python, node) = (peers::python(place)?, peers::node(place)?);
    let script = |name: &str| place.root.join("bench/peers").join(name);
    let with_node = |url: &str, key: &str| {
        let mut command = Command::new("node");
        command.arg(script("segment_node.cjs")).arg(&node).args([url, key, &N_CALLS.to_string()]);
        command
    };
    let with_python = |url: &str, key: &str| {
        let mut command = Command::new(&python);
        command.arg(script("segment_python.py")).args([url, key, &N_CALLS.to_string()]);
        command
    };
    let seen = [
        ("node", deliver(place, &binary, "clients-node", with_node)?),
        ("python", deliver(place, &binary, "clients-python", with_python)?),
    ];
    let text: Vec<String> = seen.iter().map(|(name, seen)| format!("{name}: {}", shown(seen))).collect();
    Ok(Figure { text: text.join("; "), holds: seen.iter().all(|(_, seen)| holds(seen)) })
}

fn deliver(
    place: &Place,
    binary: &Path,
    name: &str,
    client: impl FnOnce(&str, &str) -> Command,
) -> Result<Seen> {
    let project = super::folder(place, name)?;
    for file in ["maschinenraum.toml", "contracts/calls.yaml", "features/calls.yaml"] {
        let to = project.join(file);
        std::fs::create_dir_all(to.parent().context("no folder")?)?;
        std::fs::write(to, place.read(&format!("{PROJECT}/{file}"))?)?;
    }
    let key = served::make_key(binary, &project)?;
    let served = Served::start(binary, &project, &key)?;
    let (address, tally) = unreliable::start(served.address)?;
    let said: Said = super::printed(&mut client(&format!("http://{address}"), &key))?;
    served.settle()?;
    let mut http = served.client()?;
    let streams: Value = serde_json::from_slice(&http.fetch("GET", "/v1/streams", b"")?)?;
    let refused: Value = serde_json::from_slice(&http.fetch("GET", "/v1/quarantine", b"")?)?;
    let (mut n_counted, mut n_different, mut by_kind) = (0, 0, [0; 5]);
    for person in 0..N_PEOPLE {
        let asked = json!({
            "identifier": {"kind": "user_id", "value": format!("u{person}")},
            "purpose": "analytics",
            "views": ["calls"],
        });
        let answer = http.fetch("POST", "/v1/features", asked.to_string().as_bytes())?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let value = |name: &str| {
            let found = answer.pointer(&format!("/views/0/values/{name}")).and_then(Value::as_f64);
            found.map(|n| n as u64).with_context(|| format!("no {name} in {answer}"))
        };
        n_counted += value("n")?;
        n_different += value("n_different")?;
        for (sum, kind) in by_kind.iter_mut().zip(KINDS) {
            *sum += value(kind)?;
        }
    }
    let n_dropped = served.metric("maschinenraum_duplicates_dropped_total")? as u64;
    served.stop()?;
    let stored = |part: &str| streams.pointer(&format!("/streams/calls/{part}")).and_then(Value::as_u64);
    Ok(Seen {
        said,
        n_stored: stored("records").with_context(|| format!("no stream `calls` in {streams}"))?,
        n_refused: refused_of(&refused).with_context(|| format!("no list in {refused}"))?,
        n_counted,
        n_different,
        by_kind,
        n_unanswered: tally.n_unanswered.load(Relaxed),
        n_failed: tally.n_failed.load(Relaxed),
        n_limited: tally.n_limited.load(Relaxed),
        n_not_200: tally.n_not_200.load(Relaxed),
        n_dropped,
    })
}

fn refused_of(quarantine: &Value) -> Option<u64> {
    let list = quarantine.as_object()?.values().find_map(Value::as_array)?;
    Some(list.len() as u64)
}

fn holds(seen: &Seen) -> bool {
    let all = [seen.n_stored, seen.n_counted, seen.n_different, seen.said.delivered];
    all.iter().all(|n| *n == N_CALLS)
        && seen.by_kind.iter().all(|n| *n == N_CALLS / 5)
        && seen.said.failed + seen.n_refused + seen.n_not_200 == 0
        // Retries really happened, of all three sorts, and copies really came.
        && [seen.n_unanswered, seen.n_failed, seen.n_limited, seen.n_dropped].iter().all(|n| *n > 0)
}

fn shown(seen: &Seen) -> String {
    let Seen { n_stored, n_different, n_dropped, n_unanswered, n_failed, n_limited, n_refused, .. } = seen;
    let mut text = format!(
        "{N_CALLS} sent, {n_different} there, {} lost, {} doubled, {n_refused} quarantined; {n_unanswered} answers \
         lost, {n_failed} × 500, {n_limited} × 429, {n_dropped} copies dropped",
        N_CALLS.saturating_sub(*n_different),
        n_stored.saturating_sub(*n_different),
    );
    if !holds(seen) {
        let counted = (seen.n_counted, seen.by_kind, seen.n_not_200);
        text.push_str(&format!(
            " (the client: {} delivered, {} failed {:?}; counted, by kind, not 200: {counted:?})",
            seen.said.delivered, seen.said.failed, seen.said.errors
        ));
    }
    text
}
