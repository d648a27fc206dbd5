//! The records that a feature is said to be made from give its value, and none of them is idle where each counts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use contract::{Bound, Contract, Contracts};
use event::{Instant, Partition, Payload, Record, RecordId, StreamName, Subject, Version};
use feature::{FieldRead, Row, Use, View};
use policy::{Action, Grant, LegalBasis, Principal, Purposes, Scope as Right};
use proptest::prelude::*;
use serde_json::json;
use store::Scope;

const ORDERS: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders
name: orders
version: 1.0.0
status: active
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: total, logicalType: number, classification: internal}
      - {name: shop, logicalType: string, classification: internal}
      - {name: user_id, logicalType: string, required: true, classification: personal, customProperties: [{property: identifier, value: user_id}]}
customProperties:
  - {property: source, value: [file]}
  - {property: owner, value: Ada}
  - {property: subjectKey, value: [user_id]}
  - {property: retention, value: 3y}
  - {property: purposes, value: [{name: service, basis: contract}]}
";

const VIEW: &str = "
view: orders
version: 1
stream: orders
purposes: [service]
features:
  - {name: n_10d, agg: count, window: 10d}
  - {name: n_web, agg: count, where: shop == 'web'}
  - {name: spent, agg: sum, of: total, scale: 2, default: 0}
  - {name: mean_10d, agg: mean, of: total, window: 10d}
  - {name: last, agg: last, of: total}
  - {name: shops, agg: distinct, of: shop, where: total > 5}
  - {name: share, agg: ratio, numerator: n_web, denominator: n_10d}
  - {name: idle, agg: time_since, unit: days}
";

fn view() -> View {
    let mut contracts = Contracts::new();
    contracts.insert(Contract::parse(ORDERS, "orders.yaml").unwrap().contract).unwrap();
    let (view, findings) = View::parse(VIEW, "features/orders.yaml", &contracts);
    view.unwrap_or_else(|| panic!("{findings:?}"))
}

fn grant(whose: Subject) -> Grant {
    let consents = policy::Tables::open(&Scope::memory(Partition(0)));
    let purposes = Purposes::new([("service", LegalBasis::Contract)]);
    let principal = Principal::new("test", [Right::Admin]);
    let now = Instant::from_micros(0);
    policy::authorize(&principal, Action::Decide, "service", &[whose], &consents, &purposes, now).unwrap()
}

fn row(view: &View, whose: Subject, i: usize, order: &(i64, i64, Option<i64>, bool)) -> Option<Row> {
    let (day, late, total, web) = *order;
    let mut fields = json!({"shop": if web { "web" } else { "till" }});
    if let Some(total) = total {
        fields["total"] = json!(total as f64 / 4.0);
    }
    let record = Record {
        id: RecordId::external("orders", &i.to_le_bytes()),
        stream: StreamName::new("orders"),
        contract: Version::new(1, 0, 0),
        subject: whose,
        occurred_at: Instant::from_micros(day * 86_400_000_000),
        known_at: Instant::from_micros((day + late) * 86_400_000_000),
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload::default(),
    };
    view.row_of(&Bound { record: &record, fields: &fields })
}

#[test]
fn a_feature_names_its_fields() {
    let view = view();
    let value = |field: &str| FieldRead { field: field.into(), used: Use::Value };
    let filter = |field: &str| FieldRead { field: field.into(), used: Use::Filter };
    let fields = |feature: &str| view.reads(feature).unwrap().fields;
    assert_eq!(fields("n_10d"), []);
    assert_eq!(fields("n_web"), [filter("shop")]);
    assert_eq!(fields("shops"), [value("shop"), filter("total")]);
    assert_eq!(view.reads("share").unwrap().features, ["n_web", "n_10d"]);
    assert!(view.reads("last").unwrap().keeps_values && !view.reads("spent").unwrap().keeps_values);
    assert_eq!(view.reads("nothing"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_rows_that_are_taken_give_the_value(
        orders in prop::collection::vec((0_i64..40, 0_i64..6, proptest::option::of(0_i64..100), any::<bool>()), 0..40),
        day in 0_i64..45,
    ) {
        let (view, whose) = (view(), Subject::from_bytes([7; 16]));
        let (grant, at) = (grant(whose), Instant::from_micros(day * 86_400_000_000 + 1));
        let rows: Vec<(Subject, Row)> = orders
            .iter()
            .enumerate()
            .filter_map(|(i, order)| Some((whose, row(&view, whose, i, order)?)))
            .collect();
        let all = view.values_of(&grant, &rows, at).unwrap();
        for feature in view.features() {
            let name = feature.name();
            let taken: Vec<_> = rows.iter().filter(|(_, row)| view.takes(name, row, at)).cloned().collect();
            let alone = view.values_of(&grant, &taken, at).unwrap();
            prop_assert_eq!(alone.get(name), all.get(name), "{}", name);
            // Where every record counts, none of those named is one too many.
            if name.starts_with("n_") && !taken.is_empty() {
                let fewer = view.values_of(&grant, &taken[1..], at).unwrap();
                prop_assert_ne!(fewer.get(name), all.get(name), "{}", name);
            }
        }
    }
}
