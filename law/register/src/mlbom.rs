//! Models as a CycloneDX 1.7 ML-BOM: each version a component with its model card, from the run's manifest.

use event::Instant;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A version of a model, for the bill of materials.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Component {
    /// The model.
    pub model: String,
    /// The version.
    pub version: String,
    /// `dark`, `canary`, `live`, `retired`
    pub stage: String,
    /// What it says.
    pub what: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is meant for.
    pub intended_use: String,
    /// Limits, in sentences.
    pub limits: String,
    /// `logistic regression`, `boosted trees`
    pub method: String,
    /// SHA-256 of the model's bytes, hexadecimal.
    pub artefact: String,
    /// SHA-256 of the dataset's manifest, hexadecimal.
    pub dataset: String,
    /// What the dataset is, in a sentence.
    pub dataset_is: String,
    /// The purpose it was read for.
    pub purpose: String,
    /// The columns.
    pub inputs: Vec<String>,
    /// What it showed.
    pub figures: Vec<Figure>,
    /// The code that trained it.
    pub code: String,
    /// Parameters of the training, as JSON.
    pub parameters: String,
    /// Use cases it scores for.
    pub use_cases: Vec<String>,
    /// True where it may know people by fields of a special category.
    pub special: bool,
}

/// One figure of a version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// `AUC`
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// The segment it was measured on; `None` for all.
    pub slice: Option<String>,
}

/// The bill of materials of these versions, as CycloneDX 1.7 has it.
pub fn ml_bom(components: &[Component], maker: &str, software: &str, at: Instant) -> Value {
    let models: Vec<Value> = components.iter().map(component).collect();
    let mut datasets: Vec<Value> = Vec::new();
    for one in components {
        let reference = dataset_ref(one);
        if !datasets.iter().any(|known| known.get("bom-ref") == Some(&json!(reference))) {
            datasets.push(dataset(one, &reference));
        }
    }
    let dependencies: Vec<Value> = components
        .iter()
        .map(|one| json!({ "ref": model_ref(one), "dependsOn": [dataset_ref(one)] }))
        .collect();
    let body = json!([&models, &datasets]);
    let all = [models, datasets].concat();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": serial(&body.to_string()),
        "version": 1,
        "metadata": {
            "timestamp": at.to_string(),
            "tools": { "components": [{ "type": "application", "name": "maschinenraum", "version": software }] },
            "manufacturer": { "name": maker },
        },
        "components": all,
        "dependencies": dependencies,
    })
}

fn model_ref(one: &Component) -> String {
    format!("model/{}@{}", one.model, one.version)
}

fn dataset_ref(one: &Component) -> String {
    format!("dataset/{}", one.dataset)
}

fn component(one: &Component) -> Value {
    let figures: Vec<Value> = one
        .figures
        .iter()
        .map(|Figure { name, value, interval, slice }| {
            let mut figure = json!({ "type": name, "value": value.to_string() });
            if let (Some((low, high)), Some(object)) = (interval, figure.as_object_mut()) {
                let interval = json!({ "lowerBound": low.to_string(), "upperBound": high.to_string() });
                object.insert("confidenceInterval".to_owned(), interval);
            }
            if let (Some(slice), Some(object)) = (slice, figure.as_object_mut()) {
                object.insert("slice".to_owned(), json!(slice));
            }
            figure
        })
        .collect();
    let inputs: Vec<Value> = one.inputs.iter().map(|name| json!({ "format": name })).collect();
    let limits: Vec<&str> = if one.limits.is_empty() { Vec::new() } else { vec![one.limits.as_str()] };
    json!({
        "type": "machine-learning-model",
        "bom-ref": model_ref(one),
        "name": one.model,
        "version": one.version,
        "description": one.what,
        "authors": [{ "name": one.owner }],
        "hashes": [{ "alg": "SHA-256", "content": one.artefact }],
        "modelCard": {
            "bom-ref": format!("card/{}@{}", one.model, one.version),
            "modelParameters": {
                "approach": { "type": "supervised" },
                "task": "classification",
                "architectureFamily": one.method,
                "datasets": [{ "ref": dataset_ref(one) }],
                "inputs": inputs,
                "outputs": [{ "format": "probability" }],
            },
            "quantitativeAnalysis": { "performanceMetrics": figures },
            "considerations": {
                "users": one.use_cases,
                "useCases": [one.intended_use],
                "technicalLimitations": limits,
            },
            "properties": [
                { "name": "maschinenraum:stage", "value": one.stage },
                { "name": "maschinenraum:code", "value": one.code },
                { "name": "maschinenraum:parameters", "value": one.parameters },
            ],
        },
    })
}

fn dataset(one: &Component, reference: &str) -> Value {
    let mut data = json!({
        "type": "dataset",
        "name": one.dataset,
        "description": one.dataset_is,
        "classification": "personal",
        "governance": { "owners": [{ "contact": { "name": one.owner } }] },
        "contents": { "properties": [{ "name": "maschinenraum:purpose", "value": one.purpose }] },
    });
    if let (true, Some(object)) = (one.special, data.as_object_mut()) {
        object.insert("sensitiveData".to_owned(), json!(["special categories (GDPR article 9)"]));
    }
    json!({
        "type": "data",
        "bom-ref": reference,
        "name": one.dataset,
        "hashes": [{ "alg": "SHA-256", "content": one.dataset }],
        "data": [data],
    })
}

/// A serial number that is the same for the same content: a name-based UUID (version 8) of its hash.
fn serial(content: &str) -> String {
    let mut bytes: [u8; 16] = [0; 16];
    for (to, from) in bytes.iter_mut().zip(Sha256::digest(content.as_bytes())) {
        *to = from;
    }
    let number = u128::from_be_bytes(bytes);
    let number = (number & !(0xf << 76)) | (0x8 << 76);
    let number = (number & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
