//! The bill of materials beside CycloneDX's own JSON Schema.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

use std::path::PathBuf;

use register::{Component, Figure, ml_bom};
use serde_json::{Value, json};

fn schema() -> Option<Value> {
    let root = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("govern/cyclonedx-bom-1.7.schema.json");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Some(serde_json::from_str(&text).unwrap());
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", path.display());
    eprintln!("SKIPPED mlbom: no data");
    None
}

/// As much of JSON Schema as the parts we write use; every keyword else that is met is a failure of this test.
fn valid(schema: &Value, root: &Value, value: &Value, at: &str) -> Result<(), String> {
    let said = |what: &str| Err(format!("{at}: {what}"));
    let Some(rules) = schema.as_object() else { return Ok(()) };
    for (keyword, rule) in rules {
        match keyword.as_str() {
            "$ref" => {
                let Some(path) = rule.as_str().unwrap().strip_prefix('#') else { return said("outside") };
                valid(root.pointer(path).unwrap(), root, value, at)?;
            }
            "type" => {
                let is = match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    other => return said(other),
                };
                if !is {
                    return said(&format!("is no {rule}"));
                }
            }
            "required" => {
                for key in rule.as_array().unwrap() {
                    if value.get(key.as_str().unwrap()).is_none() {
                        return said(&format!("lacks {key}"));
                    }
                }
            }
            "properties" => {
                for (key, inner) in value.as_object().into_iter().flatten() {
                    match rule.get(key) {
                        Some(rule) => valid(rule, root, inner, &format!("{at}/{key}"))?,
                        None if schema["additionalProperties"] == false => {
                            return said(&format!("has {key}"));
                        }
                        None => {}
                    }
                }
            }
            "items" => {
                for (n, inner) in value.as_array().into_iter().flatten().enumerate() {
                    valid(rule, root, inner, &format!("{at}/{n}"))?;
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => return said("is none of the allowed"),
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().unwrap()).unwrap();
                if !value.as_str().is_none_or(|text| pattern.is_match(text)) {
                    return said(&format!("does not match {rule}"));
                }
            }
            "uniqueItems" => {
                let items = value.as_array().unwrap();
                if items.iter().enumerate().any(|(n, item)| items[..n].contains(item)) {
                    return said("has one twice");
                }
            }
            "oneOf" | "anyOf" => {
                let tries = rule.as_array().unwrap().iter().map(|one| valid(one, root, value, at));
                let errors: Vec<String> = tries.clone().filter_map(Result::err).collect();
                let n = tries.filter(Result::is_ok).count();
                if n == 0 || (keyword == "oneOf" && n > 1) {
                    return said(&format!("fits {n} of {keyword}: {errors:?}"));
                }
            }
            "allOf" => {
                for one in rule.as_array().unwrap() {
                    valid(one, root, value, at)?;
                }
            }
            "if" => {
                let branch = if valid(rule, root, value, at).is_ok() { "then" } else { "else" };
                if let Some(rule) = schema.get(branch) {
                    valid(rule, root, value, at)?;
                }
            }
            "minLength" => assert!(value.as_str().is_none_or(|text| !text.is_empty()), "{at}"),
            "enum"
            | "additionalProperties"
            | "title"
            | "description"
            | "examples"
            | "default"
            | "format"
            | "meta:enum"
            | "$comment"
            | "deprecated"
            | "minimum"
            | "then"
            | "else"
            | "$id"
            | "$schema"
            | "definitions"
            | "not"
            | "maxLength" => {}
            other => return said(&format!("the test does not know `{other}`")),
        }
    }
    Ok(())
}

fn component(version: &str) -> Component {
    Component {
        model: "response".to_owned(),
        version: version.to_owned(),
        stage: "live".to_owned(),
        what: "Probability of an order within a week, for Käufer <script>".to_owned(),
        owner: "Mara Beispiel".to_owned(),
        intended_use: "Choosing one message".to_owned(),
        limits: "Not for prices".to_owned(),
        method: "boosted trees".to_owned(),
        artefact: "a".repeat(64),
        dataset: "b".repeat(64),
        dataset_is: "1,000 rows".to_owned(),
        purpose: "personalisation".to_owned(),
        inputs: vec!["orders.n_30d".to_owned()],
        figures: vec![
            Figure { name: "AUC".to_owned(), value: 0.71, interval: Some((0.69, 0.73)), slice: None },
            Figure {
                name: "AUC".to_owned(),
                value: 0.68,
                interval: None,
                slice: Some("channel = email".to_owned()),
            },
        ],
        code: "0.1.0".to_owned(),
        parameters: "{}".to_owned(),
        use_cases: vec!["next_order".to_owned()],
        special: true,
    }
}

#[test]
fn annex_iv_models_as_cyclonedx_1_7_hold_against_its_schema() {
    let Some(schema) = schema() else { return };
    let at = "2026-11-24T12:00:00Z".parse().unwrap();
    let bom = ml_bom(&[component("1"), component("2")], "Beispiel GmbH", "0.1.0", at);
    valid(&schema, &schema, &bom, "").unwrap();
    assert_eq!(bom["components"].as_array().unwrap().len(), 3, "two versions of one dataset");
    assert_eq!(bom, ml_bom(&[component("1"), component("2")], "Beispiel GmbH", "0.1.0", at));
    assert_ne!(bom["serialNumber"], ml_bom(&[component("1")], "Beispiel GmbH", "0.1.0", at)["serialNumber"]);
    valid(&schema, &schema, &ml_bom(&[], "", "0.1.0", at), "").unwrap();
    // The test can fail.
    let mut broken = bom.clone();
    broken["components"][0]["modelCard"]["mood"] = json!("good");
    assert!(valid(&schema, &schema, &broken, "").unwrap_err().contains("mood"));
    let mut broken = bom;
    broken["components"][0]["hashes"][0]["content"] = json!("xyz");
    assert!(valid(&schema, &schema, &broken, "").is_err());
}
