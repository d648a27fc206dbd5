//! Changes of fields, those inside of objects and lists too.

use super::{Change, Effect, rules};
use crate::model::{Contract, Field, Kind};

/// Adds what changed of the fields.
pub(super) fn changes(old: &Contract, new: &Contract, out: &mut Vec<Change>) {
    let stream = new.stream.to_string();
    between(&stream, "", &old.fields, &new.fields, out);
}

fn between(stream: &str, within: &str, old: &[Field], new: &[Field], out: &mut Vec<Change>) {
    for before in old {
        let path = join(within, &before.name);
        match new.iter().find(|after| after.name == before.name) {
            Some(after) => of_field(stream, &path, before, after, out),
            None => {
                let removed =
                    change(stream, &path, "is removed", Effect::Breaks, Effect::Meaning, before.line);
                out.push(Change { shape: true, ..removed });
            }
        }
    }
    for after in new.iter().filter(|after| !old.iter().any(|before| before.name == after.name)) {
        let path = join(within, &after.name);
        // Those who wrote without it are refused only where it must be there.
        let (message, writers) = if after.required {
            ("is new and must be there", Effect::Breaks)
        } else {
            ("is new", Effect::None)
        };
        out.push(change(stream, &path, message, Effect::None, writers, after.line));
    }
}

fn of_field(stream: &str, path: &str, old: &Field, new: &Field, out: &mut Vec<Change>) {
    let (was, is) = (old.kind.as_str(), new.kind.as_str());
    if was != is {
        let (readers, writers) = type_change(&old.kind, &new.kind);
        let other = change(stream, path, &format!("is {is}, no longer {was}"), readers, writers, new.line);
        out.push(Change { shape: true, ..other });
    }
    if old.identifier != new.identifier {
        let shown = |word: &Option<String>| {
            word.as_ref().map_or("nobody".into(), |word| format!("people as `{word}`"))
        };
        let message = format!("names {}, no longer {}", shown(&new.identifier), shown(&old.identifier));
        let other = change(stream, path, &message, Effect::Breaks, Effect::Meaning, new.line);
        out.push(Change { shape: true, ..other });
    }
    let mut say = |message: String, readers, writers| {
        out.push(change(stream, path, &message, readers, writers, new.line));
    };
    match (old.required, new.required) {
        (false, true) => say("must be there from now on".into(), Effect::None, Effect::Breaks),
        (true, false) => say("may be missing from now on".into(), Effect::Breaks, Effect::None),
        _ => {}
    }
    match (old.unique || old.primary_key.is_some(), new.unique || new.primary_key.is_some()) {
        (false, true) => say("must differ from record to record".into(), Effect::None, Effect::Breaks),
        (true, false) => say("may be the same in two records".into(), Effect::Breaks, Effect::None),
        _ => {}
    }
    if old.effective != new.effective {
        let (was, is) = (old.effective.as_str(), new.effective.as_str());
        // What is sealed can be read under a grant only; what no longer is was collected under another word.
        let readers = match (old.effective.is_sealed(), new.effective.is_sealed()) {
            (false, true) => Effect::Breaks,
            _ => Effect::Meaning,
        };
        say(format!("is {is}, no longer {was}"), readers, Effect::Meaning);
    }
    if old.source != new.source {
        let message = format!("is read from `{}`, no longer from `{}`", new.source, old.source);
        say(message, Effect::Meaning, Effect::Breaks);
    }
    if old.scale != new.scale {
        let shown = |scale: Option<u8>| scale.map_or("any number of".to_owned(), |scale| scale.to_string());
        let message = format!("has {} decimals, no longer {}", shown(new.scale), shown(old.scale));
        let (readers, writers) = match (old.scale, new.scale) {
            (Some(was), Some(is)) if is < was => (Effect::None, Effect::Breaks),
            (None, Some(_)) => (Effect::None, Effect::Breaks),
            _ => (Effect::Breaks, Effect::None),
        };
        say(message, readers, writers);
    }
    if old.currency != new.currency {
        let shown = |currency: &Option<crate::Currency>| {
            currency.as_ref().map_or("no declared currency".to_owned(), ToString::to_string)
        };
        let message = format!("is in {}, no longer in {}", shown(&new.currency), shown(&old.currency));
        let readers = if old.currency.is_some() { Effect::Breaks } else { Effect::Meaning };
        let must_say = matches!(new.currency, Some(crate::Currency::Field(_)));
        say(message, readers, if must_say { Effect::Breaks } else { Effect::Meaning });
    }
    for (message, readers, writers) in rules::changes(&old.rules, &new.rules) {
        say(message, readers, writers);
    }
    match (&old.kind, &new.kind) {
        (Kind::Object(before), Kind::Object(after)) => between(stream, path, before, after, out),
        (Kind::Array(Some(before)), Kind::Array(Some(after))) => {
            of_field(stream, &format!("{path}[]"), before, after, out);
        }
        _ => {}
    }
}

/// A wider type takes all that the narrower one took, and gives what its readers do not expect.
fn type_change(old: &Kind, new: &Kind) -> (Effect, Effect) {
    match (old, new) {
        (Kind::Integer, Kind::Number) | (_, Kind::Any) => (Effect::Breaks, Effect::None),
        (Kind::Number, Kind::Integer) | (Kind::Any, _) => (Effect::None, Effect::Breaks),
        _ => (Effect::Breaks, Effect::Breaks),
    }
}

fn join(within: &str, name: &str) -> String {
    if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") }
}

fn change(stream: &str, path: &str, message: &str, readers: Effect, writers: Effect, line: u32) -> Change {
    Change {
        stream: stream.to_owned(),
        field: Some(path.to_owned()),
        message: message.to_owned(),
        readers,
        writers,
        shape: false,
        line,
    }
}
