//! From an event of another tool to what is kept of it.

use std::collections::{BTreeMap, BTreeSet};

use event::Instant;
use serde_json::Value;

use super::told::{ColumnTold, DatasetTold, EdgeTold, End, JobTold, Told};
use crate::error::short;
use crate::{Error, How};

/// The largest event that is read.
pub const MAX_EVENT_BYTES: usize = 1 << 20;
/// Datasets of one event.
const MAX_DATASETS: usize = 2_000;
/// Column edges of one event.
const MAX_EDGES: usize = 20_000;
/// The longest name of anything.
const MAX_NAME_CHARS: usize = 512;
/// The longest description that is kept.
const MAX_TEXT_CHARS: usize = 2_000;
/// Tags that call something personal, as tools write them.
const PERSONAL_TAGS: [&str; 6] = ["pii", "personal", "personal_data", "gdpr", "special", "sensitive"];

/// Reads a `RunEvent`, a `JobEvent` or a `DatasetEvent`.
///
/// # Errors
/// [`Error::NoEvent`] where it is none of them, naming what is missing; [`Error::TooLarge`]
pub fn read(event: &Value) -> Result<Told, Error> {
    let Some(object) = event.as_object() else {
        return Err(no_event(format!("an object is expected, not {}", sort(event))));
    };
    let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let when = text("eventTime").ok_or_else(|| no_event("`eventTime` is missing"))?;
    let at: Instant = when.parse().map_err(|_| {
        no_event(format!("`eventTime` is `{}`; a date and time with a zone is expected", short(when)))
    })?;
    text("producer").ok_or_else(|| no_event("`producer` is missing"))?;
    let mut reading = Reading {
        told: Told { v: 1, at, ..Told::default() },
        edges: BTreeSet::new(),
        datasets: BTreeMap::new(),
    };
    match (object.get("job"), object.get("run"), object.get("dataset")) {
        (Some(job), run, None) => reading.job_event(object, job, run, text("eventType"))?,
        (None, None, Some(dataset)) => {
            reading.dataset(dataset, "dataset")?;
        }
        _ => return Err(no_event("it has neither a `job` (with or without a `run`) nor a `dataset`")),
    }
    reading.finish()
}

struct Reading {
    told: Told,
    datasets: BTreeMap<(String, String), DatasetTold>,
    edges: BTreeSet<EdgeTold>,
}

impl Reading {
    fn job_event(
        &mut self,
        event: &serde_json::Map<String, Value>,
        job: &Value,
        run: Option<&Value>,
        event_type: Option<&str>,
    ) -> Result<(), Error> {
        let (namespace, name) = named(job, "job")?;
        let run_id = match run {
            Some(run) => {
                let id = run.get("runId").and_then(Value::as_str).unwrap_or_default();
                if id.is_empty() {
                    return Err(no_event("`run.runId` is missing"));
                }
                short(id)
            }
            None => String::new(),
        };
        let facets = job.get("facets");
        let job_type =
            facet(facets, "jobType").and_then(|facet| facet.get("jobType")).and_then(Value::as_str);
        let told = JobTold {
            description: described(facets),
            owner: owned(facets),
            sort: job_type.map(short),
            state: event_type.map(|word| short(word).to_lowercase()).unwrap_or_default(),
            run: run_id,
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let here = End::Job(namespace, name);
        for (list, is_input) in [("inputs", true), ("outputs", false)] {
            let items = match event.get(list) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(items)) => items,
                Some(other) => return Err(no_event(format!("`{list}` is a list, not {}", sort(other)))),
            };
            if items.len() > MAX_DATASETS {
                let reason = format!("{} {list}; {MAX_DATASETS} are the most", items.len());
                return Err(Error::TooLarge { reason });
            }
            for item in items {
                let dataset = self.dataset(item, list)?;
                let (from, to) = if is_input { (dataset, here.clone()) } else { (here.clone(), dataset) };
                self.edges.insert(EdgeTold { from, to, how: How::Reads, via: told.sort.clone() });
            }
        }
        self.told.jobs.push(told);
        Ok(())
    }

    fn dataset(&mut self, item: &Value, place: &str) -> Result<End, Error> {
        let (namespace, name) = named(item, place)?;
        let known = self.datasets.entry((namespace.clone(), name.clone())).or_insert_with(|| DatasetTold {
            namespace: namespace.clone(),
            name: name.clone(),
            ..DatasetTold::default()
        });
        let facets = item.get("facets");
        known.description = described(facets).or(known.description.take());
        known.owner = owned(facets).or(known.owner.take());
        columns(facets, &mut known.columns);
        tags(facets, known);
        for facets in [facets, item.get("inputFacets")] {
            let list = facet(facets, "dataQualityAssertions").and_then(|facet| facet.get("assertions"));
            for assertion in list.and_then(Value::as_array).into_iter().flatten() {
                let Some(success) = assertion.get("success").and_then(Value::as_bool) else { continue };
                let (held, failed) = known.assertions.get_or_insert((0, 0));
                let count = if success { held } else { failed };
                *count = count.saturating_add(1);
            }
        }
        self.column_lineage(facets, &namespace, &name)?;
        Ok(End::Dataset(namespace, name))
    }

    fn column_lineage(&mut self, facets: Option<&Value>, namespace: &str, name: &str) -> Result<(), Error> {
        let Some(lineage) = facet(facets, "columnLineage") else { return Ok(()) };
        let column = |column: &str| End::Column(namespace.to_owned(), name.to_owned(), short_name(column));
        for (output, made) in lineage.get("fields").and_then(Value::as_object).into_iter().flatten() {
            let by_field = made.get("transformationType").and_then(Value::as_str);
            let via = made.get("transformationDescription").and_then(Value::as_str);
            for input in made.get("inputFields").and_then(Value::as_array).into_iter().flatten() {
                let (from, how, own) = input_field(input, by_field)?;
                // What a tool writes of a step may be its SQL: only its own words for the sort of step are kept.
                let via = via.filter(|_| own.is_none()).map(|_| "described by its tool".to_owned()).or(own);
                self.edges.insert(EdgeTold { from, to: column(output), how, via });
            }
        }
        // What decides about all rows alike: filters, joins.
        for input in lineage.get("dataset").and_then(Value::as_array).into_iter().flatten() {
            let (from, how, via) = input_field(input, None)?;
            let to = End::Dataset(namespace.to_owned(), name.to_owned());
            self.edges.insert(EdgeTold { from, to, how, via });
        }
        if self.edges.len() > MAX_EDGES {
            let reason = format!("more than {MAX_EDGES} columns are made from columns");
            return Err(Error::TooLarge { reason });
        }
        Ok(())
    }

    fn finish(self) -> Result<Told, Error> {
        let Self { mut told, datasets, edges } = self;
        told.datasets = datasets.into_values().collect();
        told.edges = edges.into_iter().collect();
        Ok(told)
    }
}

/// (column, what happens to it, the tool's word for it)
fn input_field(input: &Value, by_field: Option<&str>) -> Result<(End, How, Option<String>), Error> {
    let (namespace, name) = named(input, "columnLineage")?;
    let field = input.get("field").and_then(Value::as_str).filter(|field| !field.is_empty());
    let field = field.ok_or_else(|| no_event("`columnLineage`: an input field has no `field`"))?;
    let steps = input.get("transformations").and_then(Value::as_array).cloned().unwrap_or_default();
    let word = |step: &Value, name: &str| step.get(name).and_then(Value::as_str).map(str::to_uppercase);
    let mut hows: Vec<(How, Option<String>)> = steps
        .iter()
        .map(|step| {
            let (sort, subtype) = (word(step, "type"), word(step, "subtype"));
            let masking = step.get("masking").and_then(Value::as_bool) == Some(true);
            let how = match (sort.as_deref(), subtype.as_deref()) {
                _ if masking => How::Aggregated,
                (Some("DIRECT"), Some("IDENTITY")) => How::Same,
                (Some("DIRECT"), Some("AGGREGATION")) => How::Aggregated,
                (Some("DIRECT"), _) => How::Computed,
                (Some("INDIRECT"), Some("JOIN")) => How::Identifies,
                (Some("INDIRECT"), _) => How::Filters,
                _ => How::Reads,
            };
            (how, subtype.map(|word| short(&word).to_lowercase()))
        })
        .collect();
    // Of several steps the one that tells least about what went in counts.
    hows.sort_by_key(|(how, _)| (how.is_lossy(), *how));
    let (how, via) = hows.pop().unwrap_or_else(|| match by_field.map(str::to_uppercase).as_deref() {
        Some("IDENTITY") => (How::Same, None),
        Some("MASKED") => (How::Aggregated, Some("masked".to_owned())),
        _ => (How::Reads, None),
    });
    Ok((End::Column(namespace, name, short_name(field)), how, via))
}

fn named(of: &Value, place: &str) -> Result<(String, String), Error> {
    let part = |name: &str| {
        let text = of.get(name).and_then(Value::as_str).map(str::trim).unwrap_or_default();
        match text.chars().count() {
            0 => Err(no_event(format!("`{place}` has no `{name}`"))),
            n if n > MAX_NAME_CHARS => Err(Error::TooLarge {
                reason: format!(
                    "the `{name}` of a `{place}` has {n} characters; {MAX_NAME_CHARS} are the most"
                ),
            }),
            _ => Ok(text.to_owned()),
        }
    };
    Ok((part("namespace")?, part("name")?))
}

/// A facet that is there and was not taken back.
fn facet<'v>(facets: Option<&'v Value>, name: &str) -> Option<&'v Value> {
    let facet = facets?.get(name)?;
    let is_deleted = facet.get("_deleted").and_then(Value::as_bool) == Some(true);
    Some(facet).filter(|_| !is_deleted)
}

fn described(facets: Option<&Value>) -> Option<String> {
    let text = facet(facets, "documentation")?.get("description")?.as_str()?.trim();
    Some(text.chars().take(MAX_TEXT_CHARS).collect::<String>()).filter(|text| !text.is_empty())
}

fn owned(facets: Option<&Value>) -> Option<String> {
    let name = facet(facets, "ownership")?.get("owners")?.as_array()?.first()?.get("name")?.as_str()?;
    Some(short_name(name)).filter(|name| !name.is_empty())
}

fn columns(facets: Option<&Value>, known: &mut Vec<ColumnTold>) {
    let list = facet(facets, "schema").and_then(|schema| schema.get("fields")).and_then(Value::as_array);
    for field in list.into_iter().flatten().take(MAX_EDGES) {
        let text = |name: &str| field.get(name).and_then(Value::as_str).map(short_name);
        let Some(name) = text("name").filter(|name| !name.is_empty()) else { continue };
        let (type_name, description) = (text("type"), text("description"));
        match known.iter_mut().find(|column| column.name == name) {
            Some(column) => {
                column.type_name = type_name.or(column.type_name.take());
                column.description = description.or(column.description.take());
            }
            None => known.push(ColumnTold { name, type_name, description, personal: false }),
        }
    }
}

fn tags(facets: Option<&Value>, known: &mut DatasetTold) {
    let list = facet(facets, "tags").and_then(|tags| tags.get("tags")).and_then(Value::as_array);
    for tag in list.into_iter().flatten() {
        let word =
            |name: &str| tag.get(name).and_then(Value::as_str).map(str::to_lowercase).unwrap_or_default();
        let is_no = matches!(word("value").as_str(), "false" | "no" | "none");
        let says = |word: String| PERSONAL_TAGS.contains(&word.replace([' ', '-'], "_").as_str());
        if is_no || !(says(word("key")) || says(word("value"))) {
            continue;
        }
        match tag.get("field").and_then(Value::as_str).filter(|field| !field.is_empty()) {
            None => known.personal = true,
            Some(field) => match known.columns.iter_mut().find(|column| column.name == field) {
                Some(column) => column.personal = true,
                None => {
                    let name = short_name(field);
                    known.columns.push(ColumnTold { name, personal: true, ..ColumnTold::default() });
                }
            },
        }
    }
}

fn short_name(text: &str) -> String {
    text.trim().chars().take(MAX_NAME_CHARS).collect()
}

fn no_event(reason: impl Into<String>) -> Error {
    Error::NoEvent { reason: reason.into() }
}

fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
