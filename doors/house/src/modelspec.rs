//! `models/*.yaml`: what a model learns from. One example per record of a stream; the label is whether another
//! record of the same profile follows in time.

use std::collections::BTreeMap;

use event::{Instant, Span};
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, finding, yaml_finding};

/// What a model learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// The model's name.
    pub model: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for, in a sentence; it opens the model card.
    pub description: String,
    /// What it must not be used for; it stands in the model card.
    #[serde(default)]
    pub limits: String,
    /// The purpose that training needs.
    pub purpose: String,
    /// Where examples come from.
    pub examples: Examples,
    /// What makes an example a success.
    pub label: Label,
    /// Features as `view.feature`, as of the example's instant.
    pub features: Vec<String>,
    /// Fields of the example that are known when deciding: the action's own (channel, creative, offer).
    #[serde(default)]
    pub context: Vec<String>,
    /// Which examples test the model.
    pub test: Test,
    /// What a wrong verdict costs, for the threshold.
    #[serde(default)]
    pub costs: Costs,
    /// What a version must show before it may go live.
    #[serde(default)]
    pub gate: GateSpec,
    /// The seed of everything random.
    #[serde(default = "default_seed")]
    pub seed: u64,
}

fn default_seed() -> u64 {
    20_261_124
}

/// Where examples come from: each record is one, at its event time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// The stream.
    pub stream: String,
    /// Only records whose fields equal these.
    #[serde(default)]
    pub only: BTreeMap<String, serde_json::Value>,
}

/// A success is a record of `stream` by the same profile, after the example and within `within`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The stream.
    pub stream: String,
    /// How long after the example it counts.
    pub within: Span,
    /// A field of the example whose instant ends the wait earlier: a campaign's last day.
    #[serde(default)]
    pub until: Option<String>,
    /// Field of the label's record → field of the example that must equal it.
    #[serde(default, rename = "match")]
    pub matching: BTreeMap<String, String>,
}

impl Label {
    /// Until when a success of an example counts: `within` after it, or what its own `until` says if that is earlier.
    pub fn ends(&self, at: Instant, example: &serde_json::Value) -> Instant {
        let latest = at + self.within;
        let own = self.until.as_ref().and_then(|field| example.get(field)?.as_str()?.parse::<Instant>().ok());
        own.map_or(latest, |own| own.min(latest))
    }
}

/// Which examples test the model; the others train it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Test {
    /// Examples from this instant on.
    From(Instant),
    /// The latest share of examples, 0 to 1.
    Latest(f64),
    /// A share of examples at random, 0 to 1.
    Random(f64),
    /// Examples whose field has this value; all that happened at or after the first of them are kept out of training.
    Where {
        /// The field.
        field: String,
        /// Its value.
        equals: serde_json::Value,
    },
}

/// What a wrong verdict costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Acting where it was no use.
    pub false_positive: f64,
    /// Not acting where it would have been of use.
    pub false_negative: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self { false_positive: 1.0, false_negative: 1.0 }
    }
}

/// What a version must show.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateSpec {
    /// Rows of the test set at least.
    pub min_rows: usize,
    /// Successes in the test set at least.
    pub min_positives: usize,
    /// The most that the expected calibration error may be.
    pub max_calibration_error: f64,
    /// How far behind what it is compared with the AUC's interval may reach.
    pub margin: f64,
}

impl Default for GateSpec {
    fn default() -> Self {
        Self { min_rows: 200, min_positives: 30, max_calibration_error: 0.1, margin: 0.02 }
    }
}

impl ModelSpec {
    /// Reads a spec; `file` is for messages.
    ///
    /// # Errors
    /// Every finding that stands in the way.
    pub fn parse(yaml: &str, file: &str) -> Result<Self, Vec<Finding>> {
        let spec: Self = serde_saphyr::from_str(yaml).map_err(|e| vec![yaml_finding("MR4590", file, &e)])?;
        let mut findings = Vec::new();
        let mut add = |needle: &str, message: String| {
            let line = yaml.lines().position(|l| l.trim_start().starts_with(needle)).map_or(1, |at| at + 1);
            findings.push(finding("MR4590", file, line, message));
        };
        for (name, value) in
            [("model", &spec.model), ("owner", &spec.owner), ("description", &spec.description)]
        {
            if value.trim().is_empty() {
                add(name, format!("`{name}` is empty"));
            }
        }
        if spec.features.is_empty() && spec.context.is_empty() {
            add("features", "a model needs at least one of `features` and `context`".to_owned());
        }
        for feature in &spec.features {
            if feature.split('.').count() != 2 {
                add("features", format!("`{feature}` is not of the form `view.feature`"));
            }
        }
        if let Test::Latest(share) | Test::Random(share) = spec.test
            && !(share > 0.0 && share < 1.0)
        {
            add("test", format!("a test share of {share} is not between 0 and 1"));
        }
        if spec.label.within <= Span::ZERO {
            add("label", format!("`within: {}` is not a time after the example", spec.label.within));
        }
        let costs = [spec.costs.false_positive, spec.costs.false_negative];
        if costs.iter().any(|cost| !cost.is_finite() || *cost <= 0.0) {
            add("costs", "costs are positive numbers".to_owned());
        }
        if findings.is_empty() { Ok(spec) } else { Err(findings) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
model: response
owner: Ada
description: who answers
purpose: personalisation
examples: {stream: contacts, only: {arm: treated}}
label: {stream: orders, within: 30d, until: ends_at, match: {campaign: campaign}}
features: [orders.n_30d]
context: [channel]
test: {latest: 0.3}
costs: {false_positive: 0.1, false_negative: 2}
";

    #[test]
    fn reads_what_is_written() {
        let spec = ModelSpec::parse(GOOD, "models/response.yaml").unwrap();
        assert_eq!(spec.label.within, Span::from_days(30));
        let fields = serde_json::json!({"ends_at": "2017-12-24T23:59:59Z", "broken": "soon"});
        let waits = |label: &Label, at: &str| label.ends(at.parse().unwrap(), &fields).to_string();
        assert_eq!(waits(&spec.label, "2017-12-01"), "2017-12-24T23:59:59Z");
        assert_eq!(waits(&spec.label, "2017-11-01"), "2017-12-01T00:00:00Z");
        for until in [None, Some("broken".to_owned()), Some("missing".to_owned())] {
            let label = Label { until, ..spec.label.clone() };
            assert_eq!(waits(&label, "2017-12-01"), "2017-12-31T00:00:00Z");
        }
        assert_eq!(spec.test, Test::Latest(0.3));
        let by_field = GOOD.replace("{latest: 0.3}", "{where: {field: campaign, equals: 18}}");
        assert!(matches!(ModelSpec::parse(&by_field, "f").unwrap().test, Test::Where { .. }));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (from, to, expected) in [
            ("latest: 0.3", "latest: 3.0", "f:10: error MR4590: a test share of 3 is not between 0 and 1"),
            ("orders.n_30d", "n_30d", "`n_30d` is not of the form `view.feature`"),
            ("owner: Ada", "owner: ''", "f:3: error MR4590: `owner` is empty"),
            ("owner: Ada", "owner: Ada\nowned: x", "owned"),
            ("within: 30d", "within: soon", "soon"),
        ] {
            let findings = ModelSpec::parse(&GOOD.replace(from, to), "f").unwrap_err();
            let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
            assert!(text.iter().any(|line| line.contains(expected)), "{expected}: {text:?}");
        }
    }
}
