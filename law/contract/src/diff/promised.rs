//! Changes of what is promised beyond single records: service levels, rules about many records, relationships. None of them
//! refuses a record, so that a narrower promise breaks no writer.

use super::Effect;
use crate::metric::{Bound, Rule};
use crate::{Contract, Promised};

/// What changed, with its effect on readers and writers, and the line.
type Found = (String, Effect, Effect, u32);

/// What changed.
pub(super) fn changes(old: &Contract, new: &Contract) -> Vec<Found> {
    let mut out = Vec::new();
    levels(old, new, &mut out);
    rules(old, new, &mut out);
    let related = |of: &Contract| {
        let all = of.relationships.iter().map(|one| {
            let words =
                format!("`{}` occurs in `{}.{}`", one.from.join("+"), one.stream, one.fields.join("+"));
            (words, one.line)
        });
        all.collect::<Vec<_>>()
    };
    let (was, is) = (related(old), related(new));
    let lacks = |all: &[(String, u32)], words: &str| !all.iter().any(|(other, _)| other == words);
    for (words, line) in was.iter().filter(|(words, _)| lacks(&is, words)) {
        out.push((format!("no longer promises that {words}"), Effect::Breaks, Effect::None, *line));
    }
    for (words, line) in is.iter().filter(|(words, _)| lacks(&was, words)) {
        out.push((format!("promises that {words}"), Effect::None, Effect::Meaning, *line));
    }
    out
}

fn levels(old: &Contract, new: &Contract, out: &mut Vec<Found>) {
    // How long records are kept is told of the contract, wherever it says so.
    for what in [Promised::Freshness, Promised::Latency] {
        let of = |contract: &Contract| contract.promises.iter().find(|one| one.what == what).cloned();
        match (of(old), of(new)) {
            (Some(was), Some(is)) if is.within > was.within => {
                let message = format!("promises {}, no longer {}", is.written, was.written);
                out.push((message, Effect::Breaks, Effect::None, is.line));
            }
            (Some(was), Some(is)) if is.within < was.within => {
                let message = format!("promises {}, no longer {}", is.written, was.written);
                out.push((message, Effect::None, Effect::Meaning, is.line));
            }
            (Some(was), None) => {
                out.push((
                    format!("no longer promises {}", was.written),
                    Effect::Breaks,
                    Effect::None,
                    was.line,
                ));
            }
            (None, Some(is)) => {
                out.push((format!("promises {}", is.written), Effect::None, Effect::Meaning, is.line));
            }
            _ => {}
        }
    }
}

fn rules(old: &Contract, new: &Contract, out: &mut Vec<Found>) {
    let named = |of: &'_ Contract, name: &str| of.rules.iter().find(|rule| rule.name == name).cloned();
    let words = |rule: &Rule| format!("{} is {}", rule.name, rule.bound.words());
    for was in &old.rules {
        // A warning promises nothing.
        let lost = if was.is_warning { Effect::Meaning } else { Effect::Breaks };
        let Some(is) = named(new, &was.name) else {
            out.push((format!("no longer promises that {}", words(was)), lost, Effect::None, was.line));
            continue;
        };
        let counts = |rule: &Rule| format!("{:?} {:?}", rule.metric, rule.unit);
        let message = format!("promises that {}, no longer {}", words(&is), was.bound.words());
        if counts(was) != counts(&is) {
            let message = format!("counts something else as {}", was.name);
            out.push((message, lost, Effect::Meaning, is.line));
        } else if lets_more(was.bound, is.bound) {
            out.push((message, lost, Effect::None, is.line));
        } else if lets_more(is.bound, was.bound) {
            out.push((message, Effect::None, Effect::Meaning, is.line));
        } else if is.is_warning && !was.is_warning {
            let message = format!("only warns where not {}", words(was));
            out.push((message, Effect::Breaks, Effect::None, is.line));
        }
    }
    for is in new.rules.iter().filter(|is| named(old, &is.name).is_none()) {
        out.push((format!("promises that {}", words(is)), Effect::None, Effect::Meaning, is.line));
    }
}

/// Whether a figure is right by the newer bound that was not by the older: each changes its mind at its ends only.
fn lets_more(old: Bound, new: Bound) -> bool {
    let mut ends: Vec<f64> = [old, new].into_iter().flat_map(Bound::ends).collect();
    ends.sort_by(f64::total_cmp);
    let between = ends.windows(2).map(|pair| pair.iter().sum::<f64>() / 2.0);
    let beyond = [ends.first().map(|low| low - 1.0), ends.last().map(|high| high + 1.0)];
    let tried: Vec<f64> = between.chain(beyond.into_iter().flatten()).chain(ends.iter().copied()).collect();
    tried.into_iter().any(|figure| new.holds(figure) && !old.holds(figure))
}
