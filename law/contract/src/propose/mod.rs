//! A first contract for data that has none yet: types, mapping, classification and keys guessed from a sample,
//! written for a person to correct.
//!
//! The proposal parses, and accepts the sample. It has no owner and no purposes: those nobody can guess, and
//! until a person says them `maschinenraum check` refuses the file.

mod column;
mod words;
mod write;

use serde_json::Value;

use crate::{Classification, names_somebody};
use column::{Column, Proposed};
use words::Guess;
pub(crate) use words::is_money;

/// A commented ODCS v3 file for the records in `sample`, fields sorted by name.
pub fn propose(name: &str, sample: &[Value]) -> String {
    propose_in_order(name, &[], sample)
}

/// As [`propose`], with the top fields in the order of `columns`.
pub fn propose_in_order(name: &str, columns: &[String], sample: &[Value]) -> String {
    let rows: Vec<&Value> = sample.iter().filter(|row| column::is_admissible(row)).collect();
    let fields = fields(&Column::members(&rows, columns), "", 0);
    let keys = keys(&fields, &rows);
    write::contract(name, rows.len(), &fields, &keys)
}

/// One proposed field.
struct Proposal<'v> {
    name: String,
    raw: &'v str,
    kind: Proposed,
    required: bool,
    unique: bool,
    guess: Option<Guess>,
    allowed: Option<Vec<String>>,
    note: Option<String>,
    values: Vec<&'v Value>,
    inner: Vec<Proposal<'v>>,
}

/// What the contract says beside its fields.
#[derive(Default)]
struct Keys {
    subject: Vec<String>,
    or_none: bool,
    event_time: Option<String>,
    dedup: Option<String>,
}

fn fields<'v>(columns: &[(&'v str, Column<'v>)], within: &str, depth: usize) -> Vec<Proposal<'v>> {
    let mut out: Vec<Proposal<'v>> = Vec::new();
    for (i, (raw, column)) in columns.iter().enumerate() {
        let mut name = words::snake_case(raw);
        if name.is_empty() {
            name = format!("column_{}", i + 1);
        }
        let mut n = 2;
        let stem = name.clone();
        while out.iter().any(|f| f.name == name) {
            name = format!("{stem}_{n}");
            n += 1;
        }
        out.push(field(name, raw, column, within, depth));
    }
    out
}

fn field<'v>(name: String, raw: &'v str, column: &Column<'v>, within: &str, depth: usize) -> Proposal<'v> {
    let kind = column.propose(raw, depth);
    let guess = words::guess(raw)
        // `id` says nothing by itself, but in the object `user` it does.
        .or_else(|| words::is_key(raw).then(|| words::guess(&format!("{within} {raw}"))).flatten())
        .or_else(|| guess_from_values(column));
    let inner = match &kind {
        Proposed::Object => fields(&Column::members(&column.values, &[]), raw, depth + 1),
        Proposed::Array => {
            let items = column.items();
            let mut item = field("item".into(), raw, &items, within, depth + 1);
            item.required = false;
            if items.values.is_empty() { Vec::new() } else { vec![item] }
        }
        _ => Vec::new(),
    };
    // An object's own name says less than what is in it, except where its content is free.
    let is_nested = matches!(kind, Proposed::Object | Proposed::Array);
    let guess = if is_nested { guess.map(|g| Guess { identifier: None, ..g }) } else { guess };
    let is_open = guess.is_none();
    let allowed = if is_open && kind == Proposed::Text { column.allowed() } else { None };
    let note = if is_open { column.range() } else { None };
    Proposal {
        required: column.is_always_there(),
        unique: column.is_unique(),
        values: column.values.clone(),
        name,
        raw,
        kind,
        guess,
        allowed,
        note,
        inner,
    }
}

/// Some values speak for themselves, whatever the column is called.
fn guess_from_values(column: &Column<'_>) -> Option<Guess> {
    let texts = column.texts()?;
    let many = |is: fn(&str) -> bool| {
        !texts.is_empty() && texts.iter().filter(|t| is(t)).count() * 5 >= texts.len() * 4
    };
    let personal = Classification::Personal;
    if many(|t| t.contains('@') && names_somebody("email", t) && !t.trim().contains(' ') && t.contains('.')) {
        return Some(Guess {
            class: personal,
            identifier: Some("email"),
            why: "values look like e-mail addresses",
        });
    }
    if many(|t| t.parse::<std::net::IpAddr>().is_ok()) {
        return Some(Guess { class: personal, identifier: None, why: "values look like IP addresses" });
    }
    if many(|t| {
        t.starts_with('+')
            && t.bytes().filter(u8::is_ascii_digit).count() >= 7
            && !t.contains(char::is_alphabetic)
    }) {
        return Some(Guess {
            class: personal,
            identifier: Some("phone"),
            why: "values look like phone numbers",
        });
    }
    None
}

/// The order in which identifiers name a subject.
const PRIORITY: [&str; 6] = ["user_id", "household_id", "email", "phone", "anonymous_id", "device_id"];

/// A field that holds an identifier, and the way to it.
struct Identifying<'v> {
    rank: usize,
    path: String,
    kind: &'static str,
    raw: Vec<&'v str>,
}

fn identifying<'v>(fields: &[Proposal<'v>], path: &str, raw: &[&'v str], out: &mut Vec<Identifying<'v>>) {
    for field in fields {
        let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
        let raw: Vec<&'v str> = raw.iter().copied().chain([field.raw]).collect();
        if let Some(kind) = field.guess.and_then(|g| g.identifier) {
            let rank = PRIORITY.iter().position(|p| *p == kind).unwrap_or(PRIORITY.len());
            out.push(Identifying { rank, path: path.clone(), kind, raw: raw.clone() });
        }
        if field.kind == Proposed::Object {
            identifying(&field.inner, &path, &raw, out);
        }
    }
}

fn keys(fields: &[Proposal<'_>], rows: &[&Value]) -> Keys {
    let mut keys = Keys::default();
    let mut who = Vec::new();
    identifying(fields, "", &[], &mut who);
    who.sort_by_key(|i| i.rank);
    keys.subject = who.iter().map(|i| i.path.clone()).collect();
    keys.or_none = !rows.iter().all(|row| {
        who.iter().any(|i| match i.raw.iter().try_fold(*row, |at, name| at.get(name)) {
            Some(Value::String(text)) => names_somebody(i.kind, text),
            Some(Value::Number(number)) => names_somebody(i.kind, &crate::bind::whole(number).to_string()),
            _ => false,
        })
    });
    let times = fields.iter().filter(|f| {
        f.required
            && matches!(f.kind, Proposed::Date { .. } | Proposed::Timestamp { .. })
            && f.guess.is_none()
    });
    let mut times: Vec<(u8, &Proposal<'_>)> = times.map(|f| (words::time_rank(f.raw), f)).collect();
    // A column that nothing but its type speaks for must be the only one.
    if times.len() > 1 {
        times.retain(|(rank, _)| *rank > 0);
    }
    times.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    keys.event_time = times.first().map(|(_, f)| f.name.clone());
    let named = fields.iter().filter(|f| f.unique && words::is_key(f.raw) && f.inner.is_empty());
    keys.dedup = named.filter(|f| f.guess.is_none() && !f.values.is_empty()).map(|f| f.name.clone()).next();
    keys
}
