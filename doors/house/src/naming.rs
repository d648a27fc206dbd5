//! The event taxonomy: how events, streams and fields are to be called, and where the project's contracts differ.
//!
//! ```toml
//! [naming]
//! events = "object_action"            # also "Object Action", "action-object", "objectAction", or a pattern between slashes
//! objects = ["order", "product"]      # empty: any
//! actions = ["viewed", "completed"]   # empty: any
//! streams = "snake_case"              # also camelCase, PascalCase, kebab-case, or a pattern between slashes
//! fields = "snake_case"
//! ```
//!
//! The way an event's name is written is read from the example itself: its order, what stands between the words, and
//! their capitals.

use std::collections::BTreeMap;

use contract::{Contract, Contracts, Field, Kind};
use regex::Regex;
use serde::Deserialize;

use crate::finding::{Finding, Severity};

/// How things are to be called; nothing is asked where nothing is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Naming {
    /// How events are called: an example of the words `object` and `action`, or a pattern between slashes.
    pub events: String,
    /// What events may be about; empty: anything.
    pub objects: Vec<String>,
    /// What may happen; empty: anything.
    pub actions: Vec<String>,
    /// How streams are called.
    pub streams: String,
    /// How fields are called.
    pub fields: String,
    /// Names that may stay as they are.
    pub except: Vec<String>,
}

/// Why `[naming]` itself cannot be used.
pub(crate) type Wrong = String;

/// The kinds of calls that name an event.
const CALLS: [&str; 3] = ["track", "page", "screen"];

#[derive(Clone, Debug)]
enum Style {
    Snake,
    Camel,
    Pascal,
    Kebab,
    Pattern(Regex),
}

#[derive(Clone, Debug)]
enum Events {
    Pattern(Regex),
    Words { between: String, object_first: bool, capitals: Capitals },
}

/// Which words begin with a capital: of all, the first, the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Capitals {
    first: bool,
    others: bool,
}

/// The rules, ready to be held against names.
pub(crate) struct Rules<'n> {
    naming: &'n Naming,
    events: Option<Events>,
    streams: Option<Style>,
    fields: Option<Style>,
}

impl Naming {
    /// Reads the rules.
    ///
    /// # Errors
    /// What of them cannot be understood.
    pub(crate) fn rules(&self) -> Result<Rules<'_>, Wrong> {
        Ok(Rules {
            naming: self,
            events: if self.events.is_empty() { None } else { Some(events(&self.events)?) },
            streams: style("streams", &self.streams)?,
            fields: style("fields", &self.fields)?,
        })
    }

    fn says_nothing(&self) -> bool {
        self.events.is_empty() && self.streams.is_empty() && self.fields.is_empty()
    }
}

/// Where the newest contracts call things otherwise (MR1129), and what of the rules cannot be understood (MR7002).
pub(crate) fn check(naming: &Naming, contracts: &Contracts, findings: &mut Vec<Finding>) {
    if naming.says_nothing() {
        return;
    }
    let rules = match naming.rules() {
        Ok(rules) => rules,
        Err(reason) => {
            let message = format!("naming: {reason}");
            findings.push(crate::finding::finding("MR7002", "maschinenraum.toml", 1, message));
            return;
        }
    };
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for contract in contracts.iter() {
        for (line, field, message) in rules.of_contract(contract) {
            findings.push(found(contract, line, field, message));
        }
        // Two spellings of one event are two events, and nobody counts both.
        for event in contract.sources.iter().filter_map(|source| event_of(source)) {
            let plain: String = words(event).join(" ");
            match seen.get(&plain) {
                Some(other) if other != event => {
                    let message =
                        format!("event `{event}` is `{other}` in other letters: they would be two events");
                    findings.push(found(contract, contract.source_line(), None, message));
                }
                Some(_) => {}
                None => {
                    seen.insert(plain, event.to_owned());
                }
            }
        }
    }
}

fn found(contract: &Contract, line: u32, field: Option<String>, message: String) -> Finding {
    Finding {
        code: "MR1129",
        severity: Severity::Error,
        stream: contract.stream.to_string(),
        field,
        message,
        file: Some(contract.file.clone()),
        line: Some(line),
    }
}

/// The event that a source names: `track:Order Completed` → `Order Completed`.
fn event_of(source: &str) -> Option<&str> {
    let (call, event) = source.split_once(':')?;
    (CALLS.contains(&call) && event != "*" && !event.is_empty()).then_some(event)
}

impl Rules<'_> {
    /// (line, field, message) of each name that is not as it should be.
    fn of_contract(&self, contract: &Contract) -> Vec<(u32, Option<String>, String)> {
        let mut out = Vec::new();
        let stream = contract.stream.as_str();
        if let Some(style) =
            self.streams.as_ref().filter(|style| !self.is_excepted(stream) && !style.fits(stream))
        {
            out.push((contract.line(), None, format!("stream `{stream}` {}", style.wanted(stream))));
        }
        for event in contract.sources.iter().filter_map(|source| event_of(source)) {
            if let Some(why) = self.event(event).filter(|_| !self.is_excepted(event)) {
                out.push((contract.source_line(), None, format!("event `{event}` {why}")));
            }
        }
        if let Some(style) = &self.fields {
            self.of_fields(style, &contract.fields, "", &mut out);
        }
        out
    }

    fn is_excepted(&self, name: &str) -> bool {
        self.naming.except.iter().any(|one| one == name)
    }

    fn of_fields(
        &self,
        style: &Style,
        fields: &[Field],
        within: &str,
        out: &mut Vec<(u32, Option<String>, String)>,
    ) {
        for field in fields {
            let path = format!("{within}{}", field.name);
            if !style.fits(&field.name) && !self.is_excepted(&field.name) && !self.is_excepted(&path) {
                let message = format!("field `{path}` {}", style.wanted(&field.name));
                out.push((field.line(), Some(path.clone()), message));
            }
            match &field.kind {
                Kind::Object(inner) => self.of_fields(style, inner, &format!("{path}."), out),
                Kind::Array(Some(item)) => {
                    if let Kind::Object(inner) = &item.kind {
                        self.of_fields(style, inner, &format!("{path}[]."), out);
                    }
                }
                _ => {}
            }
        }
    }

    /// What is wrong with an event's name.
    fn event(&self, event: &str) -> Option<String> {
        let (between, object_first, capitals) = match self.events.as_ref()? {
            Events::Pattern(pattern) if pattern.is_match(event) => return None,
            Events::Pattern(pattern) => return Some(format!("does not match `{pattern}`")),
            Events::Words { between, object_first, capitals } => (between, *object_first, *capitals),
        };
        let parts = words(event);
        if parts.len() < 2 {
            let wanted = &self.naming.events;
            return Some(format!("is one word; an object and an action are due, like `{wanted}`"));
        }
        let wanted = write(&parts, between, capitals);
        if wanted != event {
            return Some(format!("is not written as `{}` is; `{wanted}` would be", self.naming.events));
        }
        let known = |list: &[String], tried: &str| list.iter().any(|one| words(one).join(" ") == tried);
        // Where the object ends and the action begins: what stands in a list decides, longest first.
        let splits = (1..parts.len()).map(|at| {
            let (a, b) = (parts.get(..at).unwrap_or_default(), parts.get(at..).unwrap_or_default());
            let (a, b) = (a.join(" "), b.join(" "));
            if object_first { (a, b) } else { (b, a) }
        });
        let (objects, actions) = (&self.naming.objects, &self.naming.actions);
        let splits: Vec<(String, String)> = splits.collect();
        let action_fits = |action: &str| actions.is_empty() || known(actions, action);
        let object_fits = |object: &str| objects.is_empty() || known(objects, object);
        if splits.iter().any(|(object, action)| object_fits(object) && action_fits(action)) {
            return None;
        }
        if !splits.iter().any(|(_, action)| action_fits(action)) {
            return Some(format!("has none of the actions {}", listed(actions)));
        }
        Some(format!("is about none of the objects {}", listed(objects)))
    }
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Style {
    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_match(name),
            _ => self.write(name) == name && name.chars().next().is_some_and(char::is_alphabetic),
        }
    }

    fn write(&self, name: &str) -> String {
        let (between, first, others) = match self {
            Self::Snake => ("_", false, false),
            Self::Kebab => ("-", false, false),
            Self::Camel => ("", false, true),
            Self::Pascal => ("", true, true),
            Self::Pattern(_) => return name.to_owned(),
        };
        write(&words(name), between, Capitals { first, others })
    }

    fn wanted(&self, name: &str) -> String {
        match self {
            Self::Pattern(pattern) => format!("does not match `{pattern}`"),
            style => format!("should be called `{}`", style.write(name)),
        }
    }
}

fn style(key: &str, text: &str) -> Result<Option<Style>, Wrong> {
    Ok(Some(match text {
        "" => return Ok(None),
        "snake_case" => Style::Snake,
        "camelCase" => Style::Camel,
        "PascalCase" => Style::Pascal,
        "kebab-case" => Style::Kebab,
        other => match pattern(other)? {
            Some(pattern) => Style::Pattern(pattern),
            None => {
                return Err(format!(
                    "{key} = `{}` is none of snake_case, camelCase, PascalCase, kebab-case and no pattern between slashes",
                    short(other)
                ));
            }
        },
    }))
}

/// `/^[a-z]+$/`
fn pattern(text: &str) -> Result<Option<Regex>, Wrong> {
    let Some(inner) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else { return Ok(None) };
    let built = regex::RegexBuilder::new(inner).size_limit(1 << 20).build();
    built.map(Some).map_err(|error| {
        let error = error.to_string();
        format!("`{}` is no pattern: {}", short(text), error.lines().last().unwrap_or_default())
    })
}

/// The way of writing that an example of the two words shows.
fn events(text: &str) -> Result<Events, Wrong> {
    if let Some(pattern) = pattern(text)? {
        return Ok(Events::Pattern(pattern));
    }
    let lower = text.to_lowercase();
    let unclear = || {
        format!(
            "events = `{}` is no example: write `object` and `action` as events are to be written, like `object_action` \
             or `Object Action`, or a pattern between slashes",
            short(text)
        )
    };
    let (object, action) =
        (lower.find("object").ok_or_else(unclear)?, lower.find("action").ok_or_else(unclear)?);
    let (first, second) = (object.min(action), object.max(action));
    let between = lower.get(first + 6..second).ok_or_else(unclear)?;
    if first != 0 || lower.len() != second + 6 || between.chars().any(char::is_alphanumeric) {
        return Err(unclear());
    }
    let is_capital =
        |at: usize| text.get(at..).and_then(|rest| rest.chars().next()).is_some_and(char::is_uppercase);
    let capitals = Capitals { first: is_capital(first), others: is_capital(second) };
    if between.is_empty() && !capitals.others {
        return Err(unclear());
    }
    Ok(Events::Words { between: between.to_owned(), object_first: object < action, capitals })
}

/// The words of a name in small letters, however they are parted: `OrderCompleted`, `order_completed`, `Order Completed`.
fn words(name: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        if !c.is_alphanumeric() {
            out.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        let after = chars.get(at + 1);
        // `orderID` is order and id, `HTTPError` is http and error.
        let begins = c.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase()
                    || b.is_numeric()
                    || (b.is_uppercase() && after.is_some_and(|a| a.is_lowercase()))
            });
        if begins {
            out.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        word.extend(c.to_lowercase());
    }
    out.extend((!word.is_empty()).then_some(word));
    out
}

fn write(words: &[String], between: &str, capitals: Capitals) -> String {
    let written: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(at, word)| {
            let is_capital = if at == 0 { capitals.first } else { capitals.others };
            let mut chars = word.chars();
            match chars.next() {
                Some(first) if is_capital => first.to_uppercase().chain(chars).collect(),
                _ => word.clone(),
            }
        })
        .collect();
    written.join(between)
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(events: &str, objects: &[&str], actions: &[&str]) -> Naming {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Naming { events: events.into(), objects: list(objects), actions: list(actions), ..Naming::default() }
    }

    fn check_event(naming: &Naming, event: &str, wrong: Option<&str>) {
        let said = naming.rules().unwrap().event(event);
        match (&said, wrong) {
            (None, None) => {}
            (Some(said), Some(wrong)) if said.contains(wrong) => {}
            _ => panic!("{event}: {said:?}, not {wrong:?}"),
        }
    }

    #[test]
    fn an_example_says_how_events_are_written() {
        let snake = naming("object_action", &["order", "gift card"], &["completed", "viewed"]);
        check_event(&snake, "order_completed", None);
        check_event(&snake, "gift_card_viewed", None);
        check_event(&snake, "Order Completed", Some("`order_completed` would be"));
        check_event(&snake, "order_exploded", Some("none of the actions `completed`, `viewed`"));
        check_event(&snake, "invoice_viewed", Some("none of the objects"));
        check_event(&snake, "viewed", Some("is one word"));
        check_event(&naming("Object Action", &[], &[]), "Order Completed", None);
        check_event(
            &naming("Object Action", &[], &[]),
            "order completed",
            Some("`Order Completed` would be"),
        );
        check_event(&naming("actionObject", &[], &["view"]), "viewOrder", None);
        check_event(&naming("actionObject", &[], &["view"]), "orderView", Some("none of the actions"));
        check_event(&naming("/^shop\\.[a-z]+$/", &[], &[]), "shop.opened", None);
        check_event(&naming("/^shop\\.[a-z]+$/", &[], &[]), "Shop.opened", Some("does not match"));
    }

    #[test]
    fn styles_of_streams_and_fields() {
        for (style_name, good, bad, wanted) in [
            ("snake_case", "order_id", "orderID", "order_id"),
            ("camelCase", "orderId", "order_id", "orderId"),
            ("PascalCase", "OrderId", "orderId", "OrderId"),
            ("kebab-case", "order-id", "order_id", "order-id"),
        ] {
            let style = style("fields", style_name).unwrap().unwrap();
            assert!(style.fits(good) && !style.fits(bad), "{style_name}");
            assert!(style.wanted(bad).contains(&format!("`{wanted}`")), "{}", style.wanted(bad));
        }
        assert!(style("fields", "snake_case").unwrap().unwrap().fits("utm_source2"));
    }

    #[test]
    fn rules_that_cannot_be_understood_say_so() {
        for (events, why) in [
            ("verb_noun", "is no example"),
            ("objectaction", "is no example"),
            ("the object_action", "is no example"),
            ("/[/", "is no pattern"),
        ] {
            let error = naming(events, &[], &[]).rules().err().unwrap();
            assert!(error.contains(why), "{events}: {error}");
        }
        assert!(style("fields", "Snake").unwrap_err().contains("fields = `Snake`"));
    }
}
