//! What the check of purposes and rows costs a scan: values of twenty features for a million labels, and a bit of subject ×
//! purpose asked for each of them. Prints one line of JSON.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement, run by hand or by the workshop"
)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant as Clock;

use contract::{Bound, Contract, Contracts};
use event::{Instant, Payload, Record, RecordId, StreamName, Subject, Version};
use feature::{AsOf, Label, View};
use policy::{Action, ConsentView, LegalBasis, Principal, Purposes, RowBits, Scope, Standing};
use serde_json::json;

const N_SUBJECTS: u64 = 250_000;
const N_ROWS: u64 = 8;
const N_LABELS: usize = 1_000_000;
const DAY: i64 = 86_400_000_000;

struct Silence;

impl ConsentView for Silence {
    fn standing(&self, _: Subject) -> Result<Option<Arc<Standing>>, store::Error> {
        Ok(None)
    }
}

fn contract() -> Contracts {
    let yaml = "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nname: orders\nversion: 1.0.0\nstatus: active\n\
        schema:\n  - name: orders\n    logicalType: object\n    properties:\n\
        \x20     - {name: who, logicalType: string, classification: personal, customProperties: [{property: identifier, value: user_id}]}\n\
        \x20     - {name: total, logicalType: number, classification: internal, customProperties: [{property: scale, value: 2}]}\n\
        \x20     - {name: kind, logicalType: string, classification: internal}\n\
        customProperties:\n  - {property: source, value: [file]}\n  - {property: owner, value: shop}\n\
        \x20 - {property: subjectKey, value: [who]}\n  - {property: retention, value: 3y}\n\
        \x20 - {property: purposes, value: [{name: analytics, basis: legitimate_interest}]}\n";
    let mut contracts = Contracts::new();
    contracts.insert(Contract::parse(yaml, "orders.yaml").unwrap().contract).unwrap();
    contracts
}

fn view(contracts: &Contracts) -> View {
    let mut yaml = "view: orders\nversion: 1\nstream: orders\npurposes: [analytics]\nfeatures:\n".to_owned();
    for days in [1, 7, 30, 90, 365] {
        yaml.push_str(&format!("  - {{ name: n_{days}d, agg: count, window: {days}d }}\n"));
        for agg in ["sum", "mean", "max"] {
            yaml.push_str(&format!(
                "  - {{ name: {agg}_{days}d, agg: {agg}, of: total, window: {days}d }}\n"
            ));
        }
    }
    let (view, findings) = View::parse(&yaml, "orders.yaml", contracts);
    assert!(!findings.iter().any(contract::Finding::is_error), "{findings:?}");
    view.unwrap()
}

fn subject(n: u64) -> Subject {
    // Spread as pseudonyms are.
    let id = RecordId::external("subject", &n.to_be_bytes());
    Subject::from_bytes(*id.as_bytes())
}

fn main() {
    let contracts = contract();
    let view = view(&contracts);
    let subjects: Vec<Subject> = (0..N_SUBJECTS).map(subject).collect();
    let rows = subjects.iter().enumerate().flat_map(|(n, who)| {
        let view = &view;
        (0..N_ROWS).filter_map(move |i| {
            let at = Instant::from_micros((n as i64 * 37 + i as i64 * 45) % 400 * DAY);
            let fields = json!({"total": (n as u64 % 90 + i) as f64 / 4.0, "kind": "web"});
            let record = Record {
                id: RecordId::external("orders", &[(n as u64).to_be_bytes(), i.to_be_bytes()].concat()),
                stream: StreamName::new("orders"),
                contract: Version::new(1, 0, 0),
                subject: *who,
                occurred_at: at,
                known_at: at,
                batch: None,
                cause: None,
                source: None,
                key_epoch: 0,
                payload: Payload { open: Vec::new().into(), cells: Vec::new() },
            };
            Some((*who, view.row_of(&Bound { record: &record, fields: &fields })?))
        })
    });
    let rows: Vec<_> = rows.collect();
    let one = NonZeroUsize::MIN;
    let as_of = AsOf::build(&view, rows, one).unwrap();
    let purposes = Purposes::new([("analytics", LegalBasis::LegitimateInterest)]);
    let who = Principal::new("bench", [Scope::Train]);
    let now = Instant::from_micros(400 * DAY);
    let profiles = subjects.iter().map(std::slice::from_ref);
    let bulk =
        policy::authorize_many(&who, Action::Train, "analytics", profiles, &Silence, &purposes, now).unwrap();
    let labels: Vec<Label<'_>> = (0..N_LABELS)
        .map(|i| {
            let at = Instant::from_micros((i as i64 * 7_919) % 400 * DAY);
            Label { members: std::slice::from_ref(&subjects[i * 31 % subjects.len()]), at }
        })
        .collect();
    let (mut scans, mut checks) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let started = Clock::now();
        let matrix = as_of.values(&bulk.grant, &labels, one).unwrap();
        scans.push(started.elapsed().as_secs_f64() * 1e3);
        assert_eq!((matrix.n_rows(), matrix.columns().len()), (N_LABELS, 20));
        let started = Clock::now();
        // As strict as can be: the bits made anew, and one asked for every row, where the scan asks once per profile.
        let bits = RowBits::new(&[&bulk.grant]);
        let purpose = bits.place_of("analytics").unwrap();
        let permitted = labels.iter().filter(|label| bits.permits_at(label.members[0], purpose));
        assert_eq!(permitted.count(), N_LABELS);
        checks.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let median = |list: &mut Vec<f64>| {
        list.sort_by(f64::total_cmp);
        list[list.len() / 2]
    };
    let (scan, check) = (median(&mut scans), median(&mut checks));
    println!(
        "{}",
        json!({"scan_ms": scan, "check_ms": check, "n_labels": N_LABELS, "n_subjects": N_SUBJECTS})
    );
}
