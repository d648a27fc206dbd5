//! Bank marketing: ours and LightGBM on the same rows, at random and in time, and what the gate says.

use super::{folder, printed};
use crate::peers;
use crate::place::Place;
use crate::table::{Figure, Item};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::process::Command;

/// The item.
pub const ITEM: Item = Item {
    id: "bank",
    title: "bank marketing without `duration`: AUC of challenger, baseline, LightGBM",
    bar: "≥ LightGBM − 0.01 on both splits; above the baseline at random; in time the baseline wins and the gate \
          refuses the challenger",
    run,
};

/// How far the challenger's AUC may lie below LightGBM's.
const MARGIN: f64 = 0.01;

#[derive(Deserialize)]
struct Ours {
    n_test: u64,
    /// Value, low, high.
    baseline: [f64; 3],
    challenger: [f64; 3],
    /// Challenger minus baseline.
    difference: [f64; 3],
    challenger_passes: bool,
    challenger_verdict: String,
}

#[derive(Deserialize)]
struct Theirs {
    n_test: u64,
    auc: f64,
}

#[derive(Deserialize)]
struct Peer {
    random: Theirs,
    chronological: Theirs,
}

fn run(place: &Place) -> Result<Figure> {
    let data = place.data().context("no data")?;
    let out = folder(place, "bank")?;
    let mut ours: BTreeMap<String, Ours> = printed(
        place
            .cargo(&["run", "--release", "--quiet", "--package", "train", "--example", "bank", "--"])
            .arg(&out),
    )?;
    let script = place.root.join("bench/peers/bank_lightgbm.py");
    let peer: Peer = printed(Command::new(peers::python(place)?).arg(script).arg(&data).arg(&out))?;
    let mut take = |name: &str| ours.remove(name).with_context(|| format!("no figures of the {name} split"));
    let (random, in_time) = (take("random")?, take("chronological")?);
    judge(&random, &in_time, &peer)
}

fn judge(random: &Ours, in_time: &Ours, peer: &Peer) -> Result<Figure> {
    let pairs = [("random", random, &peer.random), ("in time", in_time, &peer.chronological)];
    let mut parts = Vec::new();
    let mut holds = true;
    for (name, ours, theirs) in pairs {
        if ours.n_test != theirs.n_test {
            bail!("LightGBM tested on {} rows, we on {}", theirs.n_test, ours.n_test);
        }
        let [challenger, low, high] = ours.challenger;
        let ([baseline, ..], [gain, gain_low, gain_high]) = (ours.baseline, ours.difference);
        holds &= challenger >= theirs.auc - MARGIN;
        parts.push(format!(
            "{name}: challenger {challenger:.4} [{low:.4}, {high:.4}], baseline {baseline:.4}, gain {gain:+.4} \
             [{gain_low:+.4}, {gain_high:+.4}], LightGBM {:.4}",
            theirs.auc
        ));
    }
    let [_, gain_low, _] = random.difference;
    let [_, _, loss_high] = in_time.difference;
    holds &= random.challenger_passes && gain_low > 0.0;
    holds &= !in_time.challenger_passes && loss_high < 0.0;
    holds &= in_time.challenger_verdict.contains("the baseline is better: AUC");
    parts.push(format!("gate in time: {}", in_time.challenger_verdict));
    Ok(Figure { text: parts.join("; "), holds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(in_time_passes: bool, lightgbm: f64, holds: bool) {
        let ours = |challenger: f64, baseline: f64, passes: bool| Ours {
            n_test: 10,
            baseline: [baseline; 3],
            challenger: [challenger; 3],
            difference: [challenger - baseline; 3],
            challenger_passes: passes,
            challenger_verdict: "refused: the baseline is better: AUC …".to_owned(),
        };
        let theirs = |auc| Theirs { n_test: 10, auc };
        let peer = Peer { random: theirs(lightgbm), chronological: theirs(0.6) };
        let figure = judge(&ours(0.8, 0.77, true), &ours(0.63, 0.69, in_time_passes), &peer).unwrap();
        assert_eq!(figure.holds, holds, "{}", figure.text);
    }

    #[test]
    fn every_part_of_the_bar_counts() {
        check(false, 0.809, true);
        check(false, 0.811, false);
        check(true, 0.809, false);
    }
}
