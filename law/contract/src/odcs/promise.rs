//! Service levels and relationships: what a contract promises about time, and about other streams.

use event::Span;

use super::reading::{Reading, codes};
use crate::Severity;
use crate::model::{Promise, Promised, Relationship};
use crate::yaml::{Kind, Node};

/// The shortest freshness that is judged: arrivals are kept to the minute.
const SHORTEST: Span = Span::from_secs(60);

/// The service levels for one schema object.
///
/// * `all`: the names of every object of the file; an element that is none of them is taken for all
/// * `names`: those of this one
pub(super) fn service_levels(
    root: &Node,
    all: &[&str],
    names: &[&str],
    reading: &mut Reading<'_>,
) -> Vec<Promise> {
    let mut promises: Vec<Promise> = Vec::new();
    for sla in root.get("slaProperties").map(Node::items).unwrap_or_default() {
        let Some(what) = sla.get("property").and_then(Node::scalar).as_deref().and_then(kind) else {
            continue;
        };
        let element = sla.get("element").and_then(Node::scalar).filter(|text| !text.trim().is_empty());
        let of_this = element_of(element.as_deref(), names);
        let of_none = element_of(element.as_deref(), all).is_none();
        let Some(field) = of_this.or_else(|| of_none.then_some(None)) else { continue };
        let Some(promise) = read(sla, what, field, reading) else { continue };
        match promises.iter().find(|known| known.what == promise.what) {
            None => promises.push(promise),
            Some(known) if known.within == promise.within => {}
            Some(known) => {
                let message = format!(
                    "service level `{}` contradicts `{}` in line {}: one stream has one",
                    promise.written, known.written, known.line
                );
                reading.error(codes::SERVICE_LEVEL, promise.line, message);
            }
        }
    }
    promises
}

/// What of the service levels is not as one may think: those for other tools, and elements that name no object.
pub(super) fn strangers(root: &Node, names: &[&str], reading: &mut Reading<'_>) {
    for sla in root.get("slaProperties").map(Node::items).unwrap_or_default() {
        let property = sla.get("property").and_then(Node::scalar).unwrap_or_default();
        if kind(&property).is_none() {
            let message = format!("service level `{property}` is read by other tools, not by this one");
            reading.info(codes::IGNORED, sla.line, message);
            continue;
        }
        let Some(element) = sla.get("element").and_then(Node::scalar) else { continue };
        if element_of(Some(&element), names).is_none() {
            let message = format!(
                "service level `{property}` is about `{element}`, and no schema object is called so: it is taken for all of them"
            );
            reading.push(codes::SERVICE_LEVEL, Severity::Warning, None, sla.line, message);
        }
    }
}

fn kind(property: &str) -> Option<Promised> {
    match property.trim().to_lowercase().as_str() {
        "latency" | "ly" => Some(Promised::Latency),
        "freshness" | "fr" => Some(Promised::Freshness),
        "retention" | "re" => Some(Promised::Retention),
        _ => None,
    }
}

/// `Some(field)` where the element is this object's: nothing, its name, or `name.field`; several may be listed.
fn element_of(element: Option<&str>, names: &[&str]) -> Option<Option<String>> {
    let Some(element) = element else { return Some(None) };
    element.split(',').map(str::trim).find_map(|one| {
        names.iter().find_map(|name| {
            let rest = one.strip_prefix(name)?;
            if rest.is_empty() {
                Some(None)
            } else {
                rest.strip_prefix('.').map(|field| Some(field.to_owned()))
            }
        })
    })
}

fn read(sla: &Node, what: Promised, field: Option<String>, reading: &mut Reading<'_>) -> Option<Promise> {
    let value = sla.get("value").and_then(Node::scalar).unwrap_or_default();
    let unit = sla.get("unit").and_then(Node::scalar).unwrap_or_default();
    let written = format!("{} {value} {unit}", what.as_str()).trim_end().to_owned();
    let mut refuse = |why: &str| {
        reading.error(codes::SERVICE_LEVEL, sla.line, format!("service level `{written}` {why}"));
        None
    };
    let Some(within) = length(&value, &unit) else {
        return refuse("is no length of time, like value 4 with unit h");
    };
    if within <= Span::ZERO {
        return refuse("promises nothing: its length must be more than 0");
    }
    if what == Promised::Freshness && within < SHORTEST {
        return refuse("is shorter than a minute, which is how exactly arrivals are kept");
    }
    Some(Promise { what, within, field, written, line: sla.line })
}

/// `4` and `h`, `500ms`, `PT4H`; a month is 30 days, a year 365.
fn length(value: &str, unit: &str) -> Option<Span> {
    let (value, unit) = (value.trim(), unit.trim().to_lowercase());
    let micros_each: i64 = match unit.as_str() {
        "ms" | "millisecond" | "milliseconds" => 1_000,
        "s" | "sec" | "second" | "seconds" => 1_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000,
        "h" | "hr" | "hour" | "hours" => 3_600_000_000,
        "d" | "day" | "days" => 86_400_000_000,
        "w" | "week" | "weeks" => 604_800_000_000,
        "mo" | "month" | "months" => 2_592_000_000_000,
        "y" | "yr" | "year" | "years" => 31_536_000_000_000,
        "" => return value.parse().ok().or_else(|| iso(value)),
        _ => return None,
    };
    let number: f64 = value.parse().ok().filter(|n: &f64| n.is_finite())?;
    let micros = number * micros_each as f64;
    // The longest that instants of 1900 to 2199 can be apart.
    (micros.abs() < 9.5e15).then(|| Span::from_micros(micros.round() as i64))
}

fn iso(text: &str) -> Option<Span> {
    let span: jiff::Span = text.parse().ok()?;
    let days = i64::from(span.get_years()) * 365
        + i64::from(span.get_months()) * 30
        + i64::from(span.get_weeks()) * 7
        + i64::from(span.get_days());
    let seconds = days
        .checked_mul(86_400)?
        .checked_add(i64::from(span.get_hours()) * 3_600)?
        .checked_add(span.get_minutes().checked_mul(60)?)?
        .checked_add(span.get_seconds())?;
    seconds.checked_mul(1_000_000)?.checked_add(span.get_milliseconds() * 1_000).map(Span::from_micros)
}

/// The relationships of a schema object and of its properties.
pub(super) fn relationships(object: &Node, stream: &str, reading: &mut Reading<'_>) -> Vec<Relationship> {
    let mut out = Vec::new();
    for one in object.get("relationships").map(Node::items).unwrap_or_default() {
        let from = sides(one.get("from"));
        let own: Vec<String> = from
            .iter()
            .map(|text| {
                reference(text).filter(|(name, _)| name == stream).map_or(text.clone(), |(_, field)| field)
            })
            .collect();
        add(one, own, &mut out, reading);
    }
    of_properties(object, "", &mut out, reading);
    out
}

fn of_properties(of: &Node, within: &str, out: &mut Vec<Relationship>, reading: &mut Reading<'_>) {
    for property in of.get("properties").map(Node::items).unwrap_or_default() {
        let Some(name) = property.get("name").and_then(Node::scalar) else { continue };
        let path = if within.is_empty() { name } else { format!("{within}.{name}") };
        for one in property.get("relationships").map(Node::items).unwrap_or_default() {
            add(one, vec![path.clone()], out, reading);
        }
        of_properties(property, &path, out, reading);
    }
}

fn add(one: &Node, from: Vec<String>, out: &mut Vec<Relationship>, reading: &mut Reading<'_>) {
    let to: Option<Vec<(String, String)>> = sides(one.get("to")).iter().map(|text| reference(text)).collect();
    let to = to.filter(|to| !to.is_empty() && to.len() == from.len());
    let Some(to) =
        to.filter(|to| to.iter().all(|(name, _)| Some(name) == to.first().map(|(first, _)| first)))
    else {
        let message =
            "a relationship needs `to: stream.field`, and as many fields `from` as `to`, all of one stream";
        reading.push(codes::SHAPE, Severity::Warning, None, one.line, message.to_owned());
        return;
    };
    let stream = to.first().map(|(stream, _)| stream.clone()).unwrap_or_default();
    let fields = to.into_iter().map(|(_, field)| field).collect();
    out.push(Relationship { from, stream, fields, line: one.line });
}

fn sides(node: Option<&Node>) -> Vec<String> {
    match node.map(|node| (&node.kind, node)) {
        Some((Kind::List(items), _)) => items.iter().filter_map(Node::scalar).collect(),
        Some((_, node)) => node.scalar().into_iter().collect(),
        None => Vec::new(),
    }
}

/// `products.id`, `schema/products/properties/id`, and the same behind a file's name and `#/`.
fn reference(text: &str) -> Option<(String, String)> {
    let text = text.rsplit_once('#').map_or(text, |(_, inner)| inner).trim_start_matches('/');
    if let Some(rest) = text.strip_prefix("schema/") {
        let (stream, path) = rest.split_once("/properties/")?;
        return Some((stream.to_owned(), path.replace("/properties/", ".")));
    }
    let (stream, path) = text.split_once('.')?;
    Some((stream.to_owned(), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Contract;

    #[test]
    fn lengths_as_people_and_standards_write_them() {
        for (value, unit, seconds) in [
            ("4", "h", 14_400),
            ("4", "d", 345_600),
            ("3", "years", 94_608_000),
            ("0.5", "d", 43_200),
            ("90m", "", 5_400),
            ("PT4H", "", 14_400),
            ("P1DT30M", "", 88_200),
        ] {
            assert_eq!(length(value, unit), Some(Span::from_secs(seconds)), "{value} {unit}");
        }
        assert_eq!(length("500ms", ""), Some(Span::from_micros(500_000)));
        for (value, unit) in
            [("four", "h"), ("4", "parsecs"), ("99.9%", ""), ("", "h"), ("1e300", "y"), ("nan", "d")]
        {
            assert_eq!(length(value, unit), None, "{value} {unit}");
        }
    }

    fn promises(sla: &str) -> (Vec<String>, Vec<String>) {
        let yaml = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: 1.0.0\nschema:\n  - {{ name: orders, properties: [] }}\n  \
             - {{ name: refunds, properties: [] }}\nslaProperties:\n{sla}"
        );
        let parsed = Contract::parse(&yaml, "x.yaml").unwrap();
        let of = |contract: &Contract| {
            contract
                .promises
                .iter()
                .map(|one| format!("{} {}", contract.stream, one.written))
                .collect::<Vec<_>>()
        };
        let said = parsed.findings.iter().map(ToString::to_string).collect();
        (parsed.all().flat_map(of).collect(), said)
    }

    #[test]
    fn a_service_level_is_its_elements_and_a_contradiction_is_told() {
        let (found, said) = promises(
            "  - { property: latency, value: 4, unit: h, element: orders.at }\n  \
             - { property: freshness, value: 1, unit: d }\n  - { property: availability, value: 99.9% }\n",
        );
        assert_eq!(found, ["orders latency 4 h", "orders freshness 1 d", "refunds freshness 1 d"]);
        assert!(said.len() == 1 && said[0].contains("`availability`"), "{said:?}");
        for (sla, why) in [
            ("  - { property: latency, value: soon }\n", "is no length of time"),
            ("  - { property: latency, value: 0, unit: h }\n", "promises nothing"),
            ("  - { property: freshness, value: 5, unit: s }\n", "shorter than a minute"),
            ("  - { property: latency, value: 1, unit: h, element: tab1.x }\n", "taken for all of them"),
            (
                "  - { property: latency, value: 1, unit: h }\n  - { property: latency, value: 2, unit: h }\n",
                "contradicts `latency 1 h` in line 9",
            ),
        ] {
            let (_, said) = promises(sla);
            assert!(said.iter().any(|line| line.contains(why)), "{sla}: {said:?}");
        }
    }

    #[test]
    fn references_are_read_as_the_standard_writes_them() {
        let want = Some(("products".to_owned(), "id".to_owned()));
        for text in
            ["products.id", "schema/products/properties/id", "other.yaml#/schema/products/properties/id"]
        {
            assert_eq!(reference(text), want, "{text}");
        }
        assert_eq!(reference("products"), None);
    }
}
