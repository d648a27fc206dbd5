//! The small project that the faults are tried on: people who visit, agree, decline, are merged, and a budget too
//! small for all of them.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// How many people there are.
pub const N_PEOPLE: u64 = 3_000;
/// The use case.
pub const USE_CASE: &str = "greeting";
/// The stream of what people do.
pub const STREAM: &str = "visits";
/// The name of the sender, the same after every crash.
pub const SENDER: &str = "mailer";

const SETTINGS: &str = r#"
[instance]
partitions = 4
[state]
commit_every_ms = 100
[journal]
segment_mb = 1
[delivery]
reservation_seconds = 2
[purposes.analytics]
basis = "consent"
[purposes.personalisation]
basis = "consent"
[purposes.email_marketing]
basis = "consent"
"#;

const CONTRACT: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: visits
name: visits
version: 1.0.0
status: active
description: What people do.
team: { name: shop, members: [{ username: mara, role: Owner }] }
schema:
  - name: visits
    logicalType: object
    properties:
      - { name: message_id, logicalType: string, required: true, primaryKey: true, classification: internal, customProperties: [{ property: source, value: /messageId }] }
      - { name: user_id, logicalType: string, classification: personal, customProperties: [{ property: source, value: /userId }, { property: identifier, value: user_id }] }
      - { name: anonymous_id, logicalType: string, classification: personal, customProperties: [{ property: source, value: /anonymousId }, { property: identifier, value: anonymous_id }] }
      - { name: email, logicalType: string, classification: personal, customProperties: [{ property: source, value: /traits/email }, { property: identifier, value: email }] }
      - { name: price_cents, logicalType: integer, classification: internal, customProperties: [{ property: source, value: /properties/price_cents }] }
      - { name: at, logicalType: timestamp, required: true, classification: internal, customProperties: [{ property: source, value: /timestamp }] }
customProperties:
  - { property: source, value: [identify, "track:*"] }
  - { property: subjectKey, value: [user_id, anonymous_id, email] }
  - { property: traits, value: true }
  - { property: eventTime, value: at }
  - { property: retention, value: 1y }
  - property: purposes
    value: [{ name: analytics, basis: consent }, { name: personalisation, basis: consent }, { name: email_marketing, basis: consent }]
"#;

const VIEW: &str = r#"
view: visits
version: 1
description: How often and for how much.
stream: visits
purposes: [analytics, personalisation]
features:
  - { name: n_30d, agg: count, window: 30d }
  - { name: spent_30d, agg: sum, of: price_cents, window: 30d, default: 0 }
"#;

const USE_CASE_FILE: &str = r#"
name: greeting
version: 1.0.0
description: Greet people, until the money is gone.
responsible: Mara Beispiel <mara@example.org>
goal: { metric: click_rate, formula: clicks / decisions, formula_version: 1.0.0, success: [click], within: 7d, value: 5 EUR }
inputs: { features: [visits.n_30d, visits.spent_30d] }
outputs: [action, propensity]
sources: [visits]
purpose: personalisation
legal_basis: consent
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/greeting.jsonl
budget: { name: greeting, total: {budget} EUR, period: total }
models: []
exploration: 0.3
holdout: { share: 0.05, salt: greeting }
caps:
  - { all: true, max: 2, window: 7d }
  - { channel: post, max: 1, window: 7d }
actions:
  - { name: mail_short, channel: email, creative: short, offer: none, cost: 0.01 EUR, score: 0.2, purpose: email_marketing }
  - { name: mail_long, channel: email, creative: long, offer: none, cost: 0.03 EUR, score: 0.3, purpose: email_marketing }
  - { name: card, channel: post, creative: card, offer: ten, cost: 0.55 EUR, score: 0.5, purpose: email_marketing }
"#;

/// Where everything of one trial lies.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The trial's own folder.
    pub root: PathBuf,
}

impl Trial {
    /// Makes a project whose budget is `budget_euros`.
    pub fn make(root: &Path, budget_euros: u64) -> Result<Self> {
        let trial = Self { root: root.to_path_buf() };
        for folder in ["contracts", "features", "models", "usecases", "goldsets"] {
            std::fs::create_dir_all(trial.project().join(folder))?;
        }
        let write = |path: &str, text: &str| std::fs::write(trial.project().join(path), text);
        write("maschinenraum.toml", SETTINGS)?;
        write("contracts/visits.yaml", CONTRACT)?;
        write("features/visits.yaml", VIEW)?;
        write("usecases/greeting.yaml", &USE_CASE_FILE.replace("{budget}", &budget_euros.to_string()))?;
        write("goldsets/greeting.jsonl", "")?;
        Ok(trial)
    }

    /// An existing trial.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The project directory.
    pub fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.project().join("data")
    }

    /// What was acknowledged, one JSON object a line; outside the data directory.
    pub fn acks(&self) -> PathBuf {
        self.root.join("acks.ndjson")
    }

    /// The idempotency keys that a receiver got, one a line; outside the data directory.
    pub fn sent(&self) -> PathBuf {
        self.root.join("sent.txt")
    }

    /// Where the shim keeps what a power loss would take back.
    pub fn undo_log(&self) -> PathBuf {
        self.root.join("undo")
    }
}
