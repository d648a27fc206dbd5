//! One small shop for the tests of lineage.

use contract::{Contract, Contracts};
use decide::UseCase;
use feature::{View, Views};
use lineage::openlineage::{Names, Told};
use lineage::{Builder, Graph, Model, Recipe};
use serde_json::{Value, json};

const ORDERS: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.2.0
status: active
description: Orders of the shop.
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: order_id, logicalType: string, required: true, primaryKey: true, classification: internal}
      - {name: total, logicalType: number, required: true, classification: internal, description: What was paid.}
      - {name: channel, logicalType: string, classification: internal}
      - {name: placed_at, logicalType: timestamp, required: true, classification: internal}
      - {name: email, logicalType: string, classification: personal}
      - {name: note, classification: internal}
      - name: customer
        logicalType: object
        classification: personal
        properties:
          - {name: user_id, logicalType: string, required: true, customProperties: [{property: source, value: /userId}, {property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: ['track:Order Completed']}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [customer.user_id]}
  - {property: eventTime, value: placed_at}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: marketing, basis: consent}]}
";

const VIEW: &str = "
view: purchases
version: 1
description: What somebody buys.
stream: orders
purposes: [marketing]
features:
  - {name: n_30d, agg: count, window: 30d}
  - {name: spent, agg: sum, of: total, scale: 2, where: channel == 'web'}
  - {name: mean, agg: ratio, numerator: spent, denominator: n_30d}
  - {name: last_email, agg: last, of: email}
";

const USE_CASE: &str = "
name: next_order
version: 1.0.0
description: Who gets a voucher.
responsible: Mara
goal: {metric: orders, formula: orders / people, formula_version: 1.0.0, success: [order], within: 7d, value: 20 EUR}
inputs: {features: [purchases.spent]}
outputs: [action]
sources: [orders]
purpose: marketing
legal_basis: consent
security_level: internal
risk_class: minimal
latency_ms: 50
gold_set: goldsets/next_order.jsonl
budget: {name: b, total: 100 EUR, period: month}
models: [response]
exploration: 0.1
holdout: {share: 0.1, salt: s}
caps: [{channel: email, max: 1, window: 7d}]
actions:
  - {name: voucher, channel: email, creative: c, offer: o, cost: 0.10 EUR, value: 5 EUR, purpose: marketing, score: {model: response}}
";

fn contracts() -> Contracts {
    let mut contracts = Contracts::new();
    let parsed = Contract::parse(ORDERS, "contracts/orders.yaml").unwrap();
    contracts.insert(parsed.contract).unwrap();
    contracts
}

/// The graph of the shop and of what other tools told.
pub fn built(told: &[Told]) -> Graph {
    let contracts = contracts();
    let (view, findings) = View::parse(VIEW, "features/purchases.yaml", &contracts);
    let views = Views::new([view.unwrap_or_else(|| panic!("{findings:?}"))]).unwrap();
    let mut builder = Builder::new(Names::default());
    builder.contracts(&contracts).views(&views, &contracts, &|view, feature| {
        (view == "purchases@1" && feature == "spent").then(|| "fixtures/purchases.yaml".to_owned())
    });
    let model = Model {
        name: "response".into(),
        owner: "Grace".into(),
        description: "who answers".into(),
        purpose: "marketing".into(),
        file: "models/response.yaml".into(),
        tested_by: Some("its gate".into()),
        features: vec!["purchases.spent".into(), "purchases@1.mean".into()],
        examples: Recipe { stream: "orders".into(), fields: vec!["channel".into()] },
        labels: Recipe { stream: "orders".into(), fields: vec![] },
        ..Model::default()
    };
    builder.model(&model, &contracts);
    builder.use_case(&UseCase::parse(USE_CASE, "usecases/next_order.yaml").unwrap(), None);
    for told in told {
        builder.told(&told.clone().into());
    }
    builder.build()
}

/// A dashboard's event.
pub fn dashboard() -> Value {
    json!({
        "eventType": "COMPLETE", "eventTime": "2026-11-24T09:00:00Z", "producer": "https://example.org/bi",
        "run": {"runId": "0190b2f1-0000-7000-8000-000000000001"},
        "job": {"namespace": "bi", "name": "revenue", "facets": {
            "jobType": {"jobType": "DASHBOARD"}, "ownership": {"owners": [{"name": "Bob"}]},
            "sql": {"query": "select * from t where email = 'ann@example.com'"}}},
        "inputs": [{"namespace": "maschinenraum", "name": "streams/orders"}],
        "outputs": [{"namespace": "pg://dwh", "name": "mart.revenue", "facets": {
            "schema": {"fields": [{"name": "day", "type": "date"}, {"name": "sum", "type": "numeric"}]},
            "tags": {"tags": [{"key": "pii", "value": "true", "field": "day"}]},
            "columnLineage": {"fields": {"sum": {"inputFields": [{"namespace": "maschinenraum", "name": "streams/orders", "field": "total",
                "transformations": [{"type": "DIRECT", "subtype": "AGGREGATION", "masking": false}]}]}}}},
            "inputFacets": {"dataQualityAssertions": {"assertions": [{"assertion": "not_null", "success": true}]}}}],
    })
}
