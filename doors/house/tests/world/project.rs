//! The project that parity is shown in: two streams of purchases, one of links, one of labels.

use std::path::Path;

use event::Instant;
use serde_json::json;

use super::views::{names, views};

/// What both streams of purchases have.
const FIELDS: &str = r#"
      - {name: row, logicalType: integer, required: true, primaryKey: true, classification: internal}
      - {name: stock, logicalType: string, required: true, classification: internal}
      - {name: note, logicalType: string, classification: internal}
      - {name: quantity, logicalType: integer, required: true, classification: internal}
      - {name: price, logicalType: number, required: true, classification: internal}
      - {name: country, logicalType: string, required: true, classification: internal}
"#;
const PEOPLE: &str = r#"
      - name: user_id
        logicalType: string
        classification: personal
        customProperties: [{property: identifier, value: user_id}]
      - name: card
        logicalType: string
        classification: personal
        customProperties: [{property: identifier, value: card}]
      - {name: at, logicalType: timestamp, required: true, classification: internal}
"#;

/// Writes the project, its clock starting at `clock`. What was known before `live_since` may be imported as such.
pub fn write(dir: &Path, clock: Instant, live_since: Instant) {
    let put = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put(
        "maschinenraum.toml",
        format!(
            "[instance]\nclock = \"{clock}\"\npartitions = 3\n[purposes.analytics]\nbasis = \"legitimate_interest\"\n"
        ),
    );
    let known = "\n      - {name: known, logicalType: timestamp, required: true, classification: internal}\n";
    let history = format!(
        "  - {{property: knownAt, value: known}}\n  - {{property: liveSince, value: \"{live_since}\"}}\n"
    );
    put("contracts/shop.yaml", contract("shop", &format!("{FIELDS}{PEOPLE}{known}"), &history));
    put("contracts/links.yaml", contract("links", PEOPLE, &history.replace("value: known", "value: at")));
    put("contracts/taps.yaml", contract("taps", &format!("{FIELDS}{PEOPLE}"), ""));
    let number = "\n      - {name: n, logicalType: integer, required: true, primaryKey: true, classification: internal}\n";
    put("contracts/labels.yaml", contract("labels", &format!("{number}{PEOPLE}"), ""));
    for (view, features) in views() {
        let view = json!({"view": view, "version": 1, "stream": view, "purposes": ["analytics"], "features": features});
        put(&format!("features/{}.yaml", view["view"].as_str().unwrap()), view.to_string());
    }
    let model = json!({
        "model": "parity", "owner": "Ada", "description": "none, its dataset is looked at", "purpose": "analytics",
        "examples": {"stream": "labels"}, "label": {"stream": "labels", "within": "1us"},
        "features": names(), "context": ["n"], "test": {"latest": 0.3},
    });
    put("models/parity.yaml", model.to_string());
    put("usecases/parity.yaml", use_case());
    put("goldsets/parity.jsonl", String::new());
}

fn contract(name: &str, fields: &str, more: &str) -> String {
    let fields: String =
        fields.lines().filter(|line| !line.trim().is_empty()).map(|l| format!("{l}\n")).collect();
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {name}\nname: {name}\nversion: 1.0.0\nstatus: active\n\
         team:\n  name: parity\n  members:\n    - {{username: ada, role: Owner}}\n\
         schema:\n  - name: {name}\n    logicalType: object\n    properties:\n{fields}\
         customProperties:\n  - {{property: subjectKey, value: [user_id, card]}}\n  - {{property: eventTime, value: at}}\n\
         {more}  - {{property: retention, value: 9y}}\n\
         \x20 - {{property: purposes, value: [{{name: analytics, basis: legitimate_interest}}]}}\n"
    )
}

fn use_case() -> String {
    format!(
        "name: parity\nversion: 1.0.0\ndescription: Looks at every feature.\nresponsible: Ada <ada@example.org>\n\
         goal: {{metric: n, formula: n, formula_version: 1.0.0, success: [x], within: 1d, value: 1 EUR}}\n\
         inputs: {{features: {}}}\noutputs: [action, propensity, explanation]\nsources: [shop, taps]\n\
         purpose: analytics\nlegal_basis: legitimate_interest\nsecurity_level: internal\nrisk_class: minimal\n\
         latency_ms: 50\ngold_set: goldsets/parity.jsonl\nbudget: {{name: parity, total: 1 EUR, period: month}}\n\
         exploration: 0.1\nholdout: {{share: 0, salt: parity}}\n\
         caps: [{{channel: web, max: 10000, window: 7d}}]\nactions:\n\
         \x20 - {{name: hello, channel: web, creative: a, offer: none, cost: 0 EUR, score: 0.5}}\n",
        serde_json::Value::from(names())
    )
}
