//! The dirt: duplicates, late records and broken ones, with the count of each.

use event::{Instant, Span};
use serde::Serialize;

use crate::calendar::stamp;
use crate::config::{Config, Faults};
use crate::draws::{Draws, Topic};
use crate::files::File;
use crate::truth::StreamCounts;

/// Which fields of a stream's documents the dirt uses.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// The record's id.
    pub(crate) id: &'static str,
    /// A field that must not be text or `NaN`.
    pub(crate) number: &'static str,
    /// A field that must be there.
    pub(crate) required: &'static str,
    /// Where the time of recording is written.
    pub(crate) recorded: &'static str,
}

/// A good record before it is recorded.
pub(crate) struct Good {
    at: Instant,
    /// The JSON object without its closing brace.
    body: String,
}

impl Good {
    pub(crate) fn new(at: Instant, line: &impl Serialize) -> Self {
        let mut body = serde_json::to_string(line).unwrap_or_default();
        body.pop();
        Self { at, body }
    }
}

/// A stream of documents being recorded.
pub(crate) struct Stream {
    shape: Shape,
    faults: Faults,
    end: Instant,
    draws: Draws,
    lines: Vec<(Instant, Vec<u8>)>,
    counts: StreamCounts,
}

/// How a further record is broken.
#[derive(Clone, Copy)]
enum Break {
    WrongType,
    MissingField,
    NotANumber,
    BadEncoding,
    OutOfRange,
}

impl Stream {
    pub(crate) fn new(shape: Shape, config: &Config) -> Self {
        // The streams' names differ in their first bytes; that is id enough.
        let id = shape.name.bytes().take(8).fold(0, |id, byte| id << 8 | u64::from(byte));
        Self {
            shape,
            faults: config.faults,
            end: config.end(),
            draws: Draws::of(config.seed, Topic::Faults, id, 0),
            lines: Vec::new(),
            counts: StreamCounts::default(),
        }
    }

    /// Records a good record, perhaps late, perhaps twice, perhaps with a broken one beside it.
    pub(crate) fn add(&mut self, good: Good) {
        let Good { at, body } = good;
        if at >= self.end {
            return;
        }
        let (late, days) = (self.draws.chance(self.faults.late), self.draws.between(1.0, 20.0));
        let (again, gap) =
            (self.draws.chance(self.faults.duplicates), self.draws.between(1.0, 2.0 * 86_400.0));
        let prompt = at + Span::from_micros((self.draws.between(0.2, 3.0) * 1e6) as i64);
        let delayed = at + Span::from_micros((days * 86_400e6) as i64);
        let is_late = late && delayed < self.end;
        let recorded = if is_late { delayed } else { prompt };
        self.counts.good += 1;
        self.counts.late += u64::from(is_late);
        self.record(recorded, body.clone().into_bytes());
        if again {
            self.counts.duplicates += 1;
            let later = recorded + Span::from_micros((gap * 1e6) as i64);
            let soon = recorded + Span::from_secs(1);
            self.record(if later < self.end { later } else { soon }, body.clone().into_bytes());
        }
        let f = self.faults;
        for (rate, way) in [
            (f.wrong_type, Break::WrongType),
            (f.missing_field, Break::MissingField),
            (f.not_a_number, Break::NotANumber),
            (f.bad_encoding, Break::BadEncoding),
            (f.out_of_range, Break::OutOfRange),
        ] {
            if self.draws.chance(rate) {
                self.damage(&body, way, recorded);
            }
        }
    }

    /// The file by time of recording, and what is in it.
    pub(crate) fn finish(mut self) -> (File, StreamCounts) {
        // Stable: those of one instant stay in the order they were made.
        self.lines.sort_by_key(|(recorded, _)| *recorded);
        self.counts.lines = self.lines.len() as u64;
        let bytes = self.lines.iter().map(|(_, line)| line.as_slice()).collect::<Vec<_>>().concat();
        (File::new(format!("{}.ndjson", self.shape.name), bytes), self.counts)
    }

    fn record(&mut self, recorded: Instant, mut line: Vec<u8>) {
        line.extend_from_slice(
            format!(",\"{}\":\"{}\"}}\n", self.shape.recorded, stamp(recorded)).as_bytes(),
        );
        self.lines.push((recorded, line));
    }

    fn damage(&mut self, body: &str, way: Break, recorded: Instant) {
        let shape = self.shape;
        let id = format!("\"broken-{}-{:05}\"", shape.name, self.counts.broken.all() + 1);
        let body = replace(body, shape.id, Some(&id));
        let counts = &mut self.counts.broken;
        let (count, line) = match way {
            Break::WrongType => {
                (&mut counts.wrong_type, replace(&body, shape.number, Some("\"zwölf Euro\"")).into_bytes())
            }
            Break::MissingField => {
                (&mut counts.missing_field, replace(&body, shape.required, None).into_bytes())
            }
            Break::NotANumber => {
                (&mut counts.not_a_number, replace(&body, shape.number, Some("NaN")).into_bytes())
            }
            Break::BadEncoding => {
                // Windows-1252 in a file of UTF-8.
                let mut line = body.into_bytes();
                line.extend_from_slice(b",\"note\":\"gr\xfc\xdfe\"");
                (&mut counts.bad_encoding, line)
            }
            Break::OutOfRange => {
                let value =
                    if shape.number.ends_with("_cents") { "-4200" } else { "\"9999-12-31T23:59:59Z\"" };
                (&mut counts.out_of_range, replace(&body, shape.number, Some(value)).into_bytes())
            }
        };
        *count += 1;
        self.record(recorded + Span::from_secs(1), line);
    }
}

/// The JSON text with the first field of this name given another value, or taken out. The field's own value holds no
/// comma: ids, numbers and instants.
fn replace(body: &str, field: &str, value: Option<&str>) -> String {
    let name = format!("\"{field}\":");
    let Some((before, after)) = body.split_once(&name) else { return body.to_owned() };
    let rest = after.find(',').and_then(|comma| after.get(comma..)).unwrap_or_default();
    match value {
        Some(value) => format!("{before}{name}{value}{rest}"),
        None if before.ends_with('{') => format!("{before}{}", rest.trim_start_matches(',')),
        None => format!("{}{rest}", before.trim_end_matches(',')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_replaced_and_taken_out() {
        let body = r#"{"id":"a","n":12,"at":"2025""#;
        assert_eq!(replace(body, "n", Some("NaN")), r#"{"id":"a","n":NaN,"at":"2025""#);
        assert_eq!(replace(body, "id", None), r#"{"n":12,"at":"2025""#);
        assert_eq!(replace(body, "n", None), r#"{"id":"a","at":"2025""#);
        assert_eq!(replace(body, "at", None), r#"{"id":"a","n":12"#);
        assert_eq!(replace(body, "x", None), body);
    }
}
