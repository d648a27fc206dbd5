//! Changes of a field's rules: what was let in and no longer is, and the other way round.

use std::cmp::Ordering;

use super::Effect;
use crate::model::{Limit, Rules};

type Found = (String, Effect, Effect);

const NARROWER: (Effect, Effect) = (Effect::None, Effect::Breaks);
const WIDER: (Effect, Effect) = (Effect::Breaks, Effect::None);
const OTHER: (Effect, Effect) = (Effect::Breaks, Effect::Breaks);
const MEANING: (Effect, Effect) = (Effect::Meaning, Effect::Meaning);

/// What changed, with its effect on readers and writers.
pub(super) fn changes(old: &Rules, new: &Rules) -> Vec<Found> {
    let mut out = Vec::new();
    let mut say =
        |message: String, (readers, writers): (Effect, Effect)| out.push((message, readers, writers));
    allowed(old, new, &mut say);
    limit("at least", old.min.as_ref(), new.min.as_ref(), Ordering::Greater, &mut say);
    limit("at most", old.max.as_ref(), new.max.as_ref(), Ordering::Less, &mut say);
    size("characters at least", old.min_chars, new.min_chars, Ordering::Greater, &mut say);
    size("characters at most", old.max_chars, new.max_chars, Ordering::Less, &mut say);
    size("items at least", old.min_items, new.min_items, Ordering::Greater, &mut say);
    size("items at most", old.max_items, new.max_items, Ordering::Less, &mut say);
    let pattern = |rules: &Rules| rules.pattern.as_ref().map(|pattern| pattern.as_str().to_owned());
    one_of("the pattern", pattern(old), pattern(new), &mut say);
    let format = |rules: &Rules| rules.format.map(|format| format!("{format:?}").to_lowercase());
    one_of("the format", format(old), format(new), &mut say);
    one_of(
        "a multiple of",
        old.multiple_of.map(|n| n.to_string()),
        new.multiple_of.map(|n| n.to_string()),
        &mut say,
    );
    match (old.width, new.width) {
        (was, is) if was == is => {}
        (Some((low, high)), Some((l, h))) if l >= low && h <= high => {
            say("is of a narrower width".into(), NARROWER)
        }
        (None, Some(_)) => say("is of a narrower width".into(), NARROWER),
        (Some((low, high)), Some((l, h))) if l <= low && h >= high => {
            say("is of a wider width".into(), WIDER)
        }
        (Some(_), None) => say("is of a wider width".into(), WIDER),
        _ => say("is of another width".into(), OTHER),
    }
    match (old.unique_items, new.unique_items) {
        (false, true) => say("may hold no item twice".into(), NARROWER),
        (true, false) => say("may hold an item twice".into(), WIDER),
        _ => {}
    }
    if old.missing != new.missing {
        say("has other values that stand for missing".into(), MEANING);
    }
    if old.decimal_comma != new.decimal_comma {
        let word = if new.decimal_comma {
            "is written with a decimal comma"
        } else {
            "is written with a decimal point"
        };
        say(word.into(), OTHER);
    }
    let zone = |rules: &Rules| rules.zone.as_ref().and_then(|zone| zone.iana_name().map(str::to_owned));
    if zone(old) != zone(new) || old.time_unit_micros != new.time_unit_micros || old.time != new.time {
        say("is written as another time".into(), OTHER);
    }
    out
}

fn allowed(old: &Rules, new: &Rules, say: &mut impl FnMut(String, (Effect, Effect))) {
    let list = |values: Vec<&serde_json::Value>| {
        let shown: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        shown.join(", ")
    };
    match (old.allowed.is_empty(), new.allowed.is_empty()) {
        (true, true) => {}
        (true, false) => say("may be one of a list only".into(), NARROWER),
        (false, true) => say("may be anything, no longer one of a list".into(), WIDER),
        (false, false) => {
            let gone: Vec<_> = old.allowed.iter().filter(|value| !new.allowed.contains(value)).collect();
            let come: Vec<_> = new.allowed.iter().filter(|value| !old.allowed.contains(value)).collect();
            if !gone.is_empty() {
                say(format!("may no longer be {}", list(gone)), NARROWER);
            }
            if !come.is_empty() {
                say(format!("may also be {}", list(come)), WIDER);
            }
        }
    }
}

fn limit(
    what: &str,
    old: Option<&Limit>,
    new: Option<&Limit>,
    narrower: Ordering,
    say: &mut impl FnMut(String, (Effect, Effect)),
) {
    let written = |limit: &Limit| {
        if limit.exclusive { format!("{}, itself excluded", limit.written) } else { limit.written.clone() }
    };
    match (old, new) {
        (None, None) => {}
        (None, Some(is)) => say(format!("must be {what} {}", written(is)), NARROWER),
        (Some(was), None) => say(format!("need no longer be {what} {}", written(was)), WIDER),
        (Some(was), Some(is)) => {
            let order = order(was, is);
            let effect = if order == Some(Ordering::Equal) {
                match (was.exclusive, is.exclusive) {
                    (false, true) => NARROWER,
                    (true, false) => WIDER,
                    _ => return,
                }
            } else if order == Some(narrower.reverse()) {
                // `was` lies on the wider side of `is`.
                NARROWER
            } else if order == Some(narrower) {
                WIDER
            } else {
                OTHER
            };
            say(format!("must be {what} {}, no longer {}", written(is), written(was)), effect);
        }
    }
}

/// How the older limit stands to the newer one.
fn order(was: &Limit, is: &Limit) -> Option<Ordering> {
    match (was.whole, is.whole, was.micros, is.micros) {
        (Some(was), Some(is), ..) => Some(was.cmp(&is)),
        (_, _, Some(was), Some(is)) => Some(was.cmp(&is)),
        _ => was.number.partial_cmp(&is.number),
    }
}

fn size(
    what: &str,
    old: Option<usize>,
    new: Option<usize>,
    narrower: Ordering,
    say: &mut impl FnMut(String, (Effect, Effect)),
) {
    match (old, new) {
        (None, None) => {}
        (None, Some(is)) => say(format!("has {is} {what}"), NARROWER),
        (Some(was), None) => say(format!("no longer has {was} {what}"), WIDER),
        (Some(was), Some(is)) if was != is => {
            let effect = if is.cmp(&was) == narrower { NARROWER } else { WIDER };
            say(format!("has {is} {what}, no longer {was}"), effect);
        }
        (Some(_), Some(_)) => {}
    }
}

fn one_of(
    what: &str,
    old: Option<String>,
    new: Option<String>,
    say: &mut impl FnMut(String, (Effect, Effect)),
) {
    match (old, new) {
        (was, is) if was == is => {}
        (None, Some(is)) => say(format!("must be of {what} `{is}`"), NARROWER),
        (Some(was), None) => say(format!("need no longer be of {what} `{was}`"), WIDER),
        (Some(was), Some(is)) => say(format!("must be of {what} `{is}`, no longer `{was}`"), OTHER),
        (None, None) => {}
    }
}
