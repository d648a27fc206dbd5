//! Merges by hand: whatever is done and taken back was never done.

use std::process::Stdio;

use anyhow::{Context, Result};

use crate::place::Place;
use crate::table::{Figure, Item};

/// Random histories tried; a test run tries 128.
const CASES: &str = "3000";

/// The item.
pub const ITEM: Item = Item {
    id: "merging",
    title: "Merge, split and taking back: random histories in the identity graph, and a house with 1 and 7 partitions",
    bar: "a sequence undone equals never done: who is who at every instant; profiles, traits, features, caps and segments \
          of a running house, live and as of, and the digest of a replay",
    run,
};

fn run(place: &Place) -> Result<Figure> {
    let graph = tests(place, &["--package", "profile", "--lib", "what_is_taken_back_was_never_done"])?;
    let house = tests(
        place,
        &["--package", "house", "--test", "people", "what_is_merged_and_taken_back_was_never_merged"],
    )?;
    let word = |passed: bool| if passed { "equal" } else { "DIFFERENT" };
    let text = format!(
        "{CASES} random histories of links, merges, splits and takings back in the graph: {}; a house's profile, traits, \
         features, caps, segments and replay: {}",
        word(graph),
        word(house)
    );
    Ok(Figure { text, holds: graph && house })
}

/// Whether exactly one test was run and passed.
fn tests(place: &Place, which: &[&str]) -> Result<bool> {
    let mut command = place.cargo(&["test", "--quiet"]);
    command.args(which).env("PROPTEST_CASES", CASES).stderr(Stdio::inherit());
    let output = command.output().context("cargo does not start")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(output.status.success() && text.contains("test result: ok. 1 passed"))
}
