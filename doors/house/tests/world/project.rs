//! The project that parity is shown in: per entity a stream that is imported, one that is posted, and one of labels.

use std::path::Path;

use event::Instant;
use serde_json::json;

use super::plan::{Entity, World};

/// What all streams of rows have.
const FIELDS: &str = r#"
      - {name: row, logicalType: integer, required: true, primaryKey: true, classification: internal}
      - {name: stock, logicalType: string, required: true, classification: internal}
      - {name: note, logicalType: string, classification: internal}
      - {name: quantity, logicalType: integer, required: true, classification: internal}
      - {name: price, logicalType: number, required: true, classification: internal}
      - {name: country, logicalType: string, required: true, classification: internal}
"#;
const NUMBER: &str =
    "\n      - {name: n, logicalType: integer, required: true, primaryKey: true, classification: internal}\n";
const AT: &str = "\n      - {name: at, logicalType: timestamp, required: true, classification: internal}\n";
const KNOWN: &str =
    "\n      - {name: known, logicalType: timestamp, required: true, classification: internal}\n";

/// The project at one moment.
pub struct Moment {
    /// Where its clock starts.
    pub clock: Instant,
    /// What was known before may be imported as such.
    pub live_since: Instant,
    /// Whether the views that are added later are there.
    pub with_new: bool,
}

/// Writes the project.
pub fn write(dir: &Path, world: &World, moment: &Moment) {
    let put = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let Moment { clock, live_since, with_new } = moment;
    let partitions = world.n_partitions;
    put(
        "maschinenraum.toml",
        format!(
            "[instance]\nclock = \"{clock}\"\npartitions = {partitions}\n[purposes.analytics]\n\
             basis = \"legitimate_interest\"\n"
        ),
    );
    let history = format!(
        "  - {{property: knownAt, value: known}}\n  - {{property: liveSince, value: \"{live_since}\"}}\n"
    );
    for entity in &world.entities {
        let whose = identifiers(entity);
        put_contract(&put, entity, entity.history, &format!("{FIELDS}{whose}{AT}{KNOWN}"), &history);
        put_contract(&put, entity, entity.live, &format!("{FIELDS}{whose}{AT}"), "");
        put_contract(&put, entity, &labels(entity), &format!("{NUMBER}{whose}{AT}"), "");
        if entity.kinds.len() > 1 {
            let links = history.replace("value: known", "value: at");
            put_contract(&put, entity, "links", &format!("{whose}{AT}"), &links);
        }
        let names = world.names(entity, *with_new);
        let model = json!({
            "model": model(entity), "owner": "Ada", "description": "none, its dataset is looked at", "purpose": "analytics",
            "examples": {"stream": labels(entity)}, "label": {"stream": labels(entity), "within": "1us"},
            "features": names, "context": ["n"], "test": {"latest": 0.3},
        });
        put(&format!("models/{}.yaml", model["model"].as_str().unwrap()), model.to_string());
        put(&format!("usecases/{}.yaml", use_case(entity)), use_case_of(&use_case(entity), entity, &names));
        // Asks only for what was there from the start.
        let early = world.names(entity, false);
        put(
            &format!("usecases/{}.yaml", early_case(entity)),
            use_case_of(&early_case(entity), entity, &early),
        );
    }
    for view in world.views.iter().filter(|view| *with_new || !view.is_new) {
        let text = json!({
            "view": view.name, "version": 1, "stream": view.stream, "purposes": ["analytics"], "features": view.features,
        });
        put(&format!("features/{}.yaml", view.name), text.to_string());
    }
    put("goldsets/parity.jsonl", String::new());
}

pub fn labels(entity: &Entity) -> String {
    format!("labels_{}", entity.name)
}

pub fn model(entity: &Entity) -> String {
    format!("parity_{}", entity.name)
}

pub fn use_case(entity: &Entity) -> String {
    format!("parity_{}", entity.name)
}

pub fn early_case(entity: &Entity) -> String {
    format!("early_{}", entity.name)
}

/// The fields that say whose a record is.
fn identifiers(entity: &Entity) -> String {
    let classification = if entity.name == "product" { "internal" } else { "personal" };
    let field = |kind: &&str| {
        format!(
            "\n      - name: {kind}\n        logicalType: string\n        classification: {classification}\n        \
             customProperties: [{{property: identifier, value: {kind}}}]\n"
        )
    };
    entity.kinds.iter().map(field).collect()
}

fn put_contract(put: &dyn Fn(&str, String), entity: &Entity, name: &str, fields: &str, more: &str) {
    let fields: String =
        fields.lines().filter(|line| !line.trim().is_empty()).map(|l| format!("{l}\n")).collect();
    let keys = entity.kinds.join(", ");
    let kind = match entity.name {
        "product" => "  - {property: subjectKind, value: product}\n",
        _ => "",
    };
    let text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {name}\nname: {name}\nversion: 1.0.0\nstatus: active\n\
         team:\n  name: parity\n  members:\n    - {{username: ada, role: Owner}}\n\
         schema:\n  - name: {name}\n    logicalType: object\n    properties:\n{fields}\
         customProperties:\n  - {{property: subjectKey, value: [{keys}]}}\n  - {{property: eventTime, value: at}}\n\
         {kind}{more}  - {{property: retention, value: 9y}}\n\
         \x20 - {{property: purposes, value: [{{name: analytics, basis: legitimate_interest}}]}}\n"
    );
    put(&format!("contracts/{name}.yaml"), text);
}

fn use_case_of(name: &str, entity: &Entity, names: &[String]) -> String {
    format!(
        "name: {name}\nversion: 1.0.0\ndescription: Looks at every feature.\nresponsible: Ada <ada@example.org>\n\
         goal: {{metric: n, formula: n, formula_version: 1.0.0, success: [x], within: 1d, value: 1 EUR}}\n\
         inputs: {{features: {}}}\noutputs: [action, propensity, explanation]\nsources: [{}, {}]\n\
         purpose: analytics\nlegal_basis: legitimate_interest\nsecurity_level: internal\nrisk_class: minimal\n\
         latency_ms: 50\ngold_set: goldsets/parity.jsonl\nbudget: {{name: {name}, total: 1 EUR, period: month}}\n\
         exploration: 0.1\nholdout: {{share: 0, salt: {name}}}\n\
         caps: [{{channel: web, max: 10000, window: 7d}}]\nactions:\n\
         \x20 - {{name: hello, channel: web, creative: a, offer: none, cost: 0 EUR, score: 0.5}}\n",
        serde_json::Value::from(names),
        entity.history,
        entity.live,
    )
}
