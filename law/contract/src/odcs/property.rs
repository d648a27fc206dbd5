//! One property of a schema object.

use jiff::tz::TimeZone;
use regex::RegexBuilder;

use super::contradictions;
use super::custom;
use super::quality;
use super::reading::{Reading, codes};
use crate::model::{Classification, Currency, Field, Kind, Limit, Rules, TextFormat};
use crate::time::{self, TimeFormat};
use crate::yaml::{self, Node};
use crate::{Pointer, Severity};

const KNOWN: [&str; 28] = [
    "id",
    "name",
    "physicalType",
    "description",
    "businessName",
    "authoritativeDefinitions",
    "tags",
    "customProperties",
    "primaryKey",
    "primaryKeyPosition",
    "logicalType",
    "logicalTypeOptions",
    "physicalName",
    "required",
    "unique",
    "partitioned",
    "partitionKeyPosition",
    "classification",
    "encryptedName",
    "transformSourceObjects",
    "transformLogic",
    "transformDescription",
    "examples",
    "criticalDataElement",
    "relationships",
    "quality",
    "properties",
    "items",
];

const WORDS: [&str; 10] = [
    "identifier",
    "scale",
    "source",
    "enum",
    "decimalComma",
    "timeUnit",
    "timeZone",
    "currency",
    "currencyField",
    "format",
];

/// The properties of an object. `base` is where their bare names lie in the raw record.
pub(super) fn read_list(
    node: Option<&Node>,
    base: &str,
    within: Option<&str>,
    reading: &mut Reading<'_>,
) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let Some(node) = node else { return fields };
    if !node.is_null() && !matches!(node.kind, yaml::Kind::List(_)) {
        reading.shape(node, "`properties`", "a list");
    }
    for item in node.items() {
        let Some(name) = item.get("name").and_then(Node::scalar) else {
            reading.shape(item, "a property", "a mapping with a `name`");
            continue;
        };
        if fields.iter().any(|f| f.name == name) {
            reading.error(codes::SHAPE, item.line, format!("property `{name}` stands there twice"));
            continue;
        }
        fields.push(read(item, name, base, within, reading));
    }
    // Members that the object's options call required are so too.
    fields
}

fn read(node: &Node, name: String, base: &str, within: Option<&str>, reading: &mut Reading<'_>) -> Field {
    let path = within.map_or_else(|| name.clone(), |outer| format!("{outer}.{name}"));
    reading.unknown_keys(node, &KNOWN, "a property");
    let raw_name = node.get("physicalName").and_then(Node::scalar).unwrap_or_else(|| name.clone());
    let mut field = Field {
        kind: kind(node, &path, reading),
        required: flag(node, "required", reading),
        unique: flag(node, "unique", reading),
        primary_key: primary_key(node, reading),
        classification: classification(node, &path, reading),
        effective: Classification::Personal,
        identifier: None,
        scale: None,
        currency: None,
        source: member_of(base, &raw_name),
        description: node.get("description").and_then(Node::scalar),
        rules: Rules::default(),
        line: node.line,
        name,
    };
    let custom = custom::properties(node, reading);
    field.rules.zone = reading.defaults.zone.clone().filter(|_| matches!(field.kind, Kind::Timestamp));
    field.rules.decimal_comma = reading.defaults.decimal_comma && is_number(&field.kind);
    // Of several words about a zone, the nearest counts.
    for (word, value, _) in custom.iter().filter(|(word, ..)| word == "timeZone") {
        field.rules.zone = custom::zone(value, &format!("`{word}` of `{path}`"), reading);
    }
    // The zone and the format are needed before limits of times are read.
    if let Some(options) = node.get("logicalTypeOptions") {
        options_of(options, &mut field, &path, reading);
    }
    for (word, value, line) in custom {
        take_word(&mut field, &word, value, line, base, reading);
    }
    if field.currency.is_none() && field.scale.is_some() && is_number(&field.kind) {
        field.currency = reading.defaults.currency.clone().map(Currency::Code);
    }
    quality::rules(node, &path, &mut field, reading);
    contradictions::find(&field, &path, reading);
    field
}

fn is_number(kind: &Kind) -> bool {
    matches!(kind, Kind::Integer | Kind::Number)
}

fn member_of(base: &str, name: &str) -> Pointer {
    let own = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    Pointer::new(&format!("{base}{own}"))
}

fn flag(node: &Node, key: &str, reading: &mut Reading<'_>) -> bool {
    node.get(key).and_then(|n| reading.truth(n, &format!("`{key}`"))).unwrap_or_default()
}

fn primary_key(node: &Node, reading: &mut Reading<'_>) -> Option<u32> {
    if !flag(node, "primaryKey", reading) {
        return None;
    }
    let position = match node.get("primaryKeyPosition").map(|n| &n.kind) {
        Some(yaml::Kind::Int(n)) => u32::try_from(*n).ok(),
        _ => None,
    };
    Some(position.unwrap_or(0))
}

fn kind(node: &Node, path: &str, reading: &mut Reading<'_>) -> Kind {
    let logical = node.get("logicalType").and_then(Node::scalar);
    let kind = match logical.as_deref() {
        Some("string") => Kind::Text,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("date") => Kind::Date,
        Some("timestamp") => Kind::Timestamp,
        Some("time") => Kind::Time,
        Some("object") => Kind::Object(read_list(node.get("properties"), "", Some(path), reading)),
        Some("array") => Kind::Array(node.get("items").map(|item| {
            let name = item.get("name").and_then(Node::scalar).unwrap_or_else(|| "[]".into());
            let mut field = read(item, name, "", Some(&format!("{path}[]")), reading);
            field.source = Pointer::default();
            Box::new(field)
        })),
        Some(other) => {
            let line = node.get("logicalType").map_or(node.line, |n| n.line);
            let message = format!(
                "property `{path}` has the type `{other}`; string, integer, number, boolean, date, timestamp, \
                 time, object and array are known"
            );
            reading.push(codes::TYPE, Severity::Error, Some(path), line, message);
            Kind::Any
        }
        None => {
            let message = format!("property `{path}` has no `logicalType`: any value is accepted");
            reading.push(codes::TYPE, Severity::Warning, Some(path), node.line, message);
            Kind::Any
        }
    };
    for (key, wanted) in [("properties", "object"), ("items", "array")] {
        if let Some(inner) = node.get(key)
            && kind.as_str() != wanted
        {
            let message = format!("`{key}` of `{path}` is not read: its type is not `{wanted}`");
            reading.push(codes::SHAPE, Severity::Warning, Some(path), inner.line, message);
        }
    }
    kind
}

fn classification(node: &Node, path: &str, reading: &mut Reading<'_>) -> Option<Classification> {
    let node = node.get("classification")?;
    let written = reading.text(node, "`classification`")?;
    let class = match written.trim().to_lowercase().replace([' ', '-'], "_").as_str() {
        "public" => return Some(Classification::Public),
        "internal" => return Some(Classification::Internal),
        "personal" => return Some(Classification::Personal),
        "special" => return Some(Classification::Special),
        "open" | "unclassified" | "unrestricted" | "none" => Classification::Public,
        "private" | "internal_only" | "internal_use" | "business" | "proprietary" => Classification::Internal,
        "confidential"
        | "restricted"
        | "pii"
        | "personal_data"
        | "secret"
        | "highly_confidential"
        | "personenbezogen"
        | "vertraulich"
        | "gdpr"
        | "sensitive_pii" => Classification::Personal,
        "sensitive"
        | "special_category"
        | "sensitive_personal"
        | "phi"
        | "health"
        | "highly_restricted"
        | "besondere_kategorie" => Classification::Special,
        _ => {
            let message = format!(
                "classification {} of `{path}` is none of public, internal, personal, special; it counts as personal",
                node.shown()
            );
            reading.push(codes::CLASS_WORD, Severity::Error, Some(path), node.line, message);
            return Some(Classification::Personal);
        }
    };
    let message = format!("classification {} of `{path}` is read as `{}`", node.shown(), class.as_str());
    reading.push(codes::CLASS_WORD, Severity::Info, Some(path), node.line, message);
    Some(class)
}

fn take_word(field: &mut Field, word: &str, value: &Node, line: u32, base: &str, reading: &mut Reading<'_>) {
    let what = format!("`{word}`");
    match word {
        "identifier" => field.identifier = reading.text(value, &what),
        "scale" => match reading.count(value, &what).map(u8::try_from) {
            Some(Ok(scale)) if scale <= 15 => field.scale = Some(scale),
            Some(_) => reading.shape(value, &what, "15 at most"),
            None => {}
        },
        "source" => {
            if let Some(source) = reading.text(value, &what) {
                field.source = match source.strip_prefix('/') {
                    Some(_) => Pointer::new(&source),
                    None => member_of(base, &source),
                };
            }
        }
        "enum" => quality::allowed(value, field, reading),
        "decimalComma" => field.rules.decimal_comma = reading.truth(value, &what).unwrap_or_default(),
        "timeUnit" => {
            let unit = reading.text(value, &what);
            field.rules.time_unit_micros = match unit.as_deref() {
                Some("s" | "seconds") => Some(1_000_000),
                Some("ms" | "milliseconds") => Some(1_000),
                Some("us" | "microseconds") => Some(1),
                Some(_) => {
                    reading.shape(value, &what, "seconds, milliseconds or microseconds");
                    None
                }
                None => None,
            };
        }
        "currency" => field.currency = custom::currency(value, &what, reading).map(Currency::Code),
        "currencyField" => field.currency = reading.text(value, &what).map(Currency::Field),
        // Read before, or ODCS's own.
        "format" | "timeZone" => {}
        other => custom::near_miss(other, &WORDS, line, reading),
    }
}

fn options_of(options: &Node, field: &mut Field, path: &str, reading: &mut Reading<'_>) {
    let is_time = matches!(field.kind, Kind::Date | Kind::Timestamp | Kind::Time);
    if is_time {
        time_options(options, field, path, reading);
    }
    for (key, node) in options.members() {
        let name = key.text().unwrap_or_default();
        let what = format!("`{name}` of `{path}`");
        let rules = &mut field.rules;
        match (&field.kind, name) {
            (_, "minimum" | "exclusiveMinimum") => {
                rules.min = limit(node, &field.kind, rules, name == "exclusiveMinimum", &what, reading);
            }
            (_, "maximum" | "exclusiveMaximum") => {
                rules.max = limit(node, &field.kind, rules, name == "exclusiveMaximum", &what, reading);
            }
            (Kind::Text, "minLength") => rules.min_chars = reading.count(node, &what),
            (Kind::Text, "maxLength") => rules.max_chars = reading.count(node, &what),
            (Kind::Text, "pattern") => {
                if let Some(text) = reading.text(node, &what) {
                    rules.pattern = pattern(&text, node.line, &what, reading);
                }
            }
            (Kind::Text, "format") => rules.format = text_format(node, &what, reading),
            (Kind::Integer, "format") => rules.width = width(node, &what, reading),
            (Kind::Number, "format") => rules.f32 = node.text() == Some("f32"),
            (Kind::Integer | Kind::Number, "multipleOf") => {
                rules.multiple_of = reading.number(node, &what).map(|(n, _)| n).filter(|n| *n > 0.0);
                if rules.multiple_of.is_none() && !node.is_null() {
                    reading.shape(node, &what, "a number greater than 0");
                }
            }
            (Kind::Array(_), "minItems") | (Kind::Object(_), "minProperties") => {
                rules.min_items = reading.count(node, &what);
            }
            (Kind::Array(_), "maxItems") | (Kind::Object(_), "maxProperties") => {
                rules.max_items = reading.count(node, &what);
            }
            (Kind::Array(_), "uniqueItems") => {
                rules.unique_items = reading.truth(node, &what).unwrap_or_default();
            }
            (Kind::Object(_), "required") => {
                let names = reading.texts(node, &what);
                if let Kind::Object(inner) = &mut field.kind {
                    require(inner, &names, path, node.line, reading);
                }
            }
            (_, "format" | "timezone" | "defaultTimezone") if is_time => {}
            (kind, _) => {
                let message = format!("{what} means nothing for the type `{}`", kind.as_str());
                reading.push(codes::UNKNOWN, Severity::Info, Some(path), key.line, message);
            }
        }
    }
}

fn require(inner: &mut [Field], names: &[String], path: &str, line: u32, reading: &mut Reading<'_>) {
    for name in names {
        match inner.iter_mut().find(|f| f.name == *name) {
            Some(field) => field.required = true,
            None => {
                let message = format!("`{path}` requires `{name}`, which none of its properties describes");
                reading.push(codes::NO_SUCH_FIELD, Severity::Warning, Some(path), line, message);
            }
        }
    }
}

fn time_options(options: &Node, field: &mut Field, path: &str, reading: &mut Reading<'_>) {
    if let Some(node) = options.get("format")
        && let Some(text) = reading.text(node, "`format`")
    {
        field.rules.time = TimeFormat::new(&text);
        if field.rules.time.is_none() {
            let message = format!("format `{text}` of `{path}` is not understood, like `dd.MM.yyyy HH:mm`");
            reading.push(codes::RULE, Severity::Error, Some(path), node.line, message);
        }
    }
    if let Some(node) = options.get("defaultTimezone")
        && let Some(name) = reading.text(node, "`defaultTimezone`")
        && !matches!(name.as_str(), "UTC" | "Etc/UTC" | "Z")
    {
        match TimeZone::get(&name) {
            Ok(zone) => field.rules.zone = Some(zone),
            Err(_) => {
                let message = format!("time zone `{name}` of `{path}` is not known, like `Europe/Berlin`");
                reading.push(codes::RULE, Severity::Error, Some(path), node.line, message);
            }
        }
    }
}

fn limit(
    node: &Node,
    kind: &Kind,
    rules: &Rules,
    exclusive: bool,
    what: &str,
    reading: &mut Reading<'_>,
) -> Option<Limit> {
    let written = node.scalar()?;
    let micros = match kind {
        Kind::Date => {
            let day = rules.time.as_ref().and_then(|f| f.read_date(&written));
            day.or_else(|| time::date(&written).ok()).and_then(time::date_micros)
        }
        Kind::Timestamp => {
            let zone = rules.zone.as_ref();
            let read = rules.time.as_ref().and_then(|f| f.read(&written, zone));
            read.or_else(|| time::in_zone(time::civil(&written)?, zone))
                .or_else(|| written.parse().ok())
                .map(event::Instant::micros)
        }
        Kind::Time => time::clock_micros(&written),
        Kind::Integer | Kind::Number => {
            let (number, whole) = reading.number(node, what)?;
            return Some(Limit { number, whole, micros: None, exclusive, written });
        }
        _ => {
            reading.error(codes::RULE, node.line, format!("{what} means nothing for `{}`", kind.as_str()));
            return None;
        }
    };
    if micros.is_none() {
        reading.error(codes::RULE, node.line, format!("{what} is {}, which is no time", node.shown()));
    }
    Some(Limit { number: 0.0, whole: None, micros: Some(micros?), exclusive, written })
}

/// Compiled once; a pattern that would compile into more than 1 MiB is refused.
pub(crate) fn pattern(text: &str, line: u32, what: &str, reading: &mut Reading<'_>) -> Option<regex::Regex> {
    match RegexBuilder::new(text).size_limit(1 << 20).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let message = format!("{what} is no pattern we can read: {reason}");
            reading.error(codes::RULE, line, message);
            None
        }
    }
}

fn text_format(node: &Node, what: &str, reading: &mut Reading<'_>) -> Option<TextFormat> {
    match node.text().unwrap_or_default() {
        "email" => Some(TextFormat::Email),
        "uuid" => Some(TextFormat::Uuid),
        "uri" | "url" => Some(TextFormat::Uri),
        "ipv4" => Some(TextFormat::Ipv4),
        "ipv6" => Some(TextFormat::Ipv6),
        "hostname" => Some(TextFormat::Hostname),
        "date-time" => Some(TextFormat::DateTime),
        _ => {
            reading.info(
                codes::IGNORED,
                node.line,
                format!("{what} is {}, which is not checked", node.shown()),
            );
            None
        }
    }
}

fn width(node: &Node, what: &str, reading: &mut Reading<'_>) -> Option<(i128, i128)> {
    let range = match node.text().unwrap_or_default() {
        "i8" => (i8::MIN.into(), i8::MAX.into()),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" => (i64::MIN.into(), i64::MAX.into()),
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        // Wider ones do not exist in JSON as we read it.
        "u64" | "u128" => (0, u64::MAX.into()),
        "i128" => (i64::MIN.into(), u64::MAX.into()),
        _ => {
            reading.shape(node, what, "one of i8 to i128 and u8 to u128");
            return None;
        }
    };
    Some(range)
}
