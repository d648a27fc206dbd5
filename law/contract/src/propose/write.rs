//! Writes a proposed contract as YAML with comments.

use std::fmt::Write;

use super::{Keys, Proposal, Proposed};
use crate::Classification;

/// Writing to a String cannot fail.
macro_rules! line {
    ($out:expr, $($arg:tt)*) => {{
        let _ = writeln!($out, $($arg)*);
    }};
}

pub(super) fn contract(name: &str, n_rows: usize, fields: &[Proposal<'_>], keys: &Keys) -> String {
    let mut out = String::new();
    line!(out, "# Proposed from a sample of {n_rows} records. Please correct: names, classifications, keys.");
    line!(
        out,
        "# `maschinenraum check` names what is still missing: the owner, and the purposes with their legal basis."
    );
    line!(out, "apiVersion: v3.1.0");
    line!(out, "kind: DataContract");
    line!(out, "id: {}", scalar(name));
    line!(out, "name: {}", scalar(name));
    line!(out, "version: 1.0.0");
    line!(out, "status: draft");
    line!(out, "schema:");
    line!(out, "  - name: {}", scalar(name));
    line!(out, "    logicalType: object");
    if fields.is_empty() {
        line!(out, "    # The sample shows no fields.");
        line!(out, "    properties: []");
    } else {
        line!(out, "    properties:");
    }
    for field in fields {
        property(field, 6, Classification::Public, &mut out);
    }
    line!(out, "customProperties:");
    line!(out, "  # Who answers for this data?");
    line!(out, "  # - {{ property: owner, value: somebody@example.com }}");
    line!(
        out,
        "  # What may it be used for? Bases: consent, contract, legal_obligation, vital_interests, public_task,"
    );
    line!(out, "  # legitimate_interest; not_personal where no field is personal.");
    line!(out, "  # - {{ property: purposes, value: [{{ name: analytics, basis: consent }}] }}");
    line!(out, "  # How long is it kept?");
    line!(out, "  # - {{ property: retention, value: 3y }}");
    line!(
        out,
        "  # Since when do records come as they happen? What happened before may be imported as known then."
    );
    line!(out, "  # - {{ property: liveSince, value: 2026-01-01 }}");
    line!(out, "  - {{ property: source, value: file }}");
    let mut subject: Vec<String> = keys.subject.iter().map(|s| scalar(s)).collect();
    if keys.subject.is_empty() {
        line!(out, "  # No column looks like it names a person or a thing. If one does, name it here.");
    } else if keys.or_none {
        line!(out, "  # Some records of the sample name nobody; without `none` they would be quarantined.");
    }
    if keys.or_none || subject.is_empty() {
        subject.push("none".into());
    }
    line!(out, "  - {{ property: subjectKey, value: [{}] }}", subject.join(", "));
    match &keys.event_time {
        Some(field) => line!(out, "  - {{ property: eventTime, value: {} }}", scalar(field)),
        None => line!(
            out,
            "  # No column is clearly the time it happened: records count from when they arrive.\n  # - {{ property: eventTime, value: … }}"
        ),
    }
    match &keys.dedup {
        Some(field) => line!(out, "  - {{ property: dedupKey, value: [{}] }}", scalar(field)),
        None => line!(
            out,
            "  # No column names a record: two equal records count as one.\n  # - {{ property: dedupKey, value: [ … ] }}"
        ),
    }
    out
}

fn property(field: &Proposal<'_>, indent: usize, outer: Classification, out: &mut String) {
    let pad = " ".repeat(indent);
    if let Some(note) = &field.note {
        line!(out, "{pad}# seen: {note}");
    }
    line!(out, "{pad}- name: {}", scalar(&field.name));
    if field.name != field.raw {
        line!(out, "{pad}  physicalName: {}", scalar(field.raw));
    }
    body(field, indent + 2, outer, out);
}

fn body(field: &Proposal<'_>, indent: usize, outer: Classification, out: &mut String) {
    let pad = " ".repeat(indent);
    let mut options: Vec<String> = Vec::new();
    let mut custom: Vec<String> = Vec::new();
    let kind = match &field.kind {
        Proposed::Text => Some("string"),
        Proposed::Integer => Some("integer"),
        Proposed::Number { comma, scale } => {
            if *comma {
                custom.push("{ property: decimalComma, value: true }".into());
            }
            if let Some(scale) = scale {
                custom.push(format!("{{ property: scale, value: {scale} }}"));
            }
            Some("number")
        }
        Proposed::Boolean => Some("boolean"),
        Proposed::Date { format } => {
            options.extend(format.as_ref().map(|f| format!("format: {}", scalar(f))));
            Some("date")
        }
        Proposed::Timestamp { format, unit } => {
            options.extend(format.as_ref().map(|f| format!("format: {}", scalar(f))));
            custom.extend(unit.map(|u| format!("{{ property: timeUnit, value: {u} }}")));
            Some("timestamp")
        }
        Proposed::Object | Proposed::FreeObject => Some("object"),
        Proposed::Array => Some("array"),
        Proposed::Any => None,
        Proposed::Unseen => Some("string # the sample shows no value"),
    };
    match kind {
        Some(kind) => line!(out, "{pad}logicalType: {kind}"),
        None => line!(out, "{pad}# The sample shows several types: any value is accepted."),
    }
    if field.required {
        line!(out, "{pad}required: true");
    }
    let class = field.guess.map_or(Classification::Internal, |g| g.class).max(outer);
    match field.guess {
        Some(guess) => line!(out, "{pad}classification: {} # {}", class.as_str(), guess.why),
        None => line!(out, "{pad}classification: {}", class.as_str()),
    }
    if !options.is_empty() {
        line!(out, "{pad}logicalTypeOptions: {{ {} }}", options.join(", "));
    }
    if let Some(identifier) = field.guess.and_then(|g| g.identifier) {
        custom.push(format!("{{ property: identifier, value: {identifier} }}"));
    }
    if let Some(allowed) = &field.allowed {
        let list: Vec<String> = allowed.iter().map(|a| quoted(a)).collect();
        custom.push(format!(
            "{{ property: enum, value: [{}] }} # all that the sample shows; are there others?",
            list.join(", ")
        ));
    }
    if !custom.is_empty() {
        line!(out, "{pad}customProperties:");
        for word in custom {
            line!(out, "{pad}  - {word}");
        }
    }
    // What lies inside is at least as sensitive as what is around it.
    let inner_floor = if class.is_sealed() { class } else { Classification::Public };
    match (&field.kind, field.inner.as_slice()) {
        (Proposed::Object, inner) if !inner.is_empty() => {
            line!(out, "{pad}properties:");
            for field in inner {
                property(field, indent + 2, inner_floor, out);
            }
        }
        (Proposed::Array, [item]) => {
            line!(out, "{pad}items:");
            body(item, indent + 2, inner_floor, out);
        }
        _ => {}
    }
}

/// A text as YAML, plain where it cannot be taken for anything else.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && !WORDS.iter().any(|w| text.eq_ignore_ascii_case(w));
    if is_plain { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
