//! LAW 5, tried: random records, late ones, duplicates and merged profiles; what is served after each fold, what
//! a training set says as of that instant, and a plain computation over all records are the same.

mod oracle;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use contract::{Bound, Contract, Contracts};
use event::{Instant, Partition, Payload, Record, RecordId, StreamName, Subject, Version};
use policy::{Action, Grant, LegalBasis, Principal, Purposes, Scope};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use store::{Emissions, Fold};

use crate::plan::Keep;
use crate::value::Value;
use crate::view::Inner;
use crate::{AsOf, Builder, Error, FeatureFold, Label, Reader, Tables, View, Views};

use oracle::{Oracle, exact};

const CONTRACT: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: status, logicalType: string, classification: internal}
      - {name: total, logicalType: number, classification: internal}
      - {name: weight, logicalType: number, classification: internal}
      - {name: n, logicalType: integer, classification: internal}
      - {name: gift, logicalType: boolean, classification: internal}
      - {name: email, logicalType: string, classification: personal}
customProperties:
  - {property: purposes, value: [{name: analytics, basis: not_personal}]}
"#;

/// Every aggregation, windowed and (where `LIFETIME` is added) over a lifetime.
const WINDOWED: &str = r#"
view: purchases
version: 1
stream: orders
purposes: [analytics]
features:
  - {name: n_20, agg: count, window: 20us}
  - {name: n_paid_35, agg: count, window: 35us, where: "status == 'paid' and total > 0"}
  - {name: spend_20, agg: sum, of: total, scale: 2, window: 20us}
  - {name: mean_20, agg: mean, of: total, scale: 2, window: 20us, default: -1}
  - {name: weight_35, agg: sum, of: weight, window: 35us}
  - {name: least_20, agg: min, of: weight, window: 20us}
  - {name: most_20, agg: max, of: n, window: 20us}
  - {name: last_20, agg: last, of: status, window: 20us, default: none}
  - {name: first_35, agg: first, of: n, window: 35us, where: "gift == true or n in [1, 2]"}
  - {name: kinds_20, agg: distinct, of: status, window: 20us}
  - {name: since_35, agg: time_since, window: 35us, where: status is not null, unit: seconds}
  - {name: interest_35, agg: decayed_sum, of: weight, half_life: 7us, window: 35us}
  - {name: basket, agg: ratio, numerator: spend_20, denominator: n_20}
"#;
const LIFETIME: &str = "
  - {name: n_ever, agg: count}
  - {name: spend_ever, agg: sum, of: total, scale: 2}
  - {name: weight_ever, agg: sum, of: weight}
  - {name: n_sum_ever, agg: sum, of: n}
  - {name: mean_ever, agg: mean, of: weight}
  - {name: least_ever, agg: min, of: total}
  - {name: most_ever, agg: max, of: total}
  - {name: last_ever, agg: last, of: gift}
  - {name: first_ever, agg: first, of: status}
  - {name: kinds_ever, agg: distinct, of: n, where: not status == 'open'}
  - {name: since_ever, agg: time_since}
  - {name: interest_ever, agg: decayed_sum, of: total, half_life: 5us}
";

fn contracts() -> Contracts {
    let mut contracts = Contracts::new();
    contracts.insert(Contract::parse(CONTRACT, "orders.yaml").unwrap().contract).unwrap();
    contracts
}

/// The view, giving rows up early and in small blocks, so that short tests reach it.
fn view(yaml: &str, keep: Keep) -> View {
    let (view, findings) = View::parse(yaml, "purchases.yaml", &contracts());
    let view = view.unwrap_or_else(|| panic!("{findings:?}"));
    let inner = view.inner();
    View::new(Inner {
        name: inner.name.clone(),
        version: inner.version,
        file: inner.file.clone(),
        wording: inner.wording.clone(),
        id: inner.id,
        fingerprint: inner.fingerprint.clone(),
        description: None,
        stream: inner.stream.clone(),
        purposes: inner.purposes.clone(),
        is_personal: inner.is_personal,
        features: inner.features.clone(),
        formulas: inner.formulas.clone(),
        filters: inner.filters.clone(),
        columns: inner.columns.clone(),
        plan: crate::plan::Plan { keep, ..inner.plan.clone() },
        context: inner.context.clone(),
        segments: inner.segments.clone(),
    })
}

fn subject(n: u8) -> Subject {
    Subject::from_bytes([n + 1; 16])
}

struct Nobody;

impl policy::ConsentView for Nobody {
    fn standing(&self, _: Subject) -> Result<Option<Arc<policy::Standing>>, store::Error> {
        Ok(None)
    }
}

fn grant(action: Action, purpose: &str, subjects: &[Subject]) -> Grant {
    let principal = Principal::new("test", [Scope::Admin]);
    let purposes = Purposes::new([("analytics", LegalBasis::NotPersonal), ("ads", LegalBasis::NotPersonal)]);
    let now = Instant::from_micros(0);
    policy::authorize(&principal, action, purpose, subjects, &Nobody, &purposes, now).unwrap()
}

/// One delivered record.
#[derive(Clone, Debug)]
struct Sent {
    record: Record,
    fields: Json,
}

#[derive(Clone, Debug)]
struct Step {
    subject: u8,
    id: u8,
    /// How long ago it happened when it became known; negative: in the future.
    late: i64,
    /// How much time passes before it.
    pass: i64,
    fields: Json,
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![Just(Json::Null), Just(json!("paid")), Just(json!("open")), Just(json!("lost"))];
    let total =
        prop_oneof![Just(Json::Null), (-300_i64..5_000).prop_map(|cents| json!(cents as f64 / 100.0))];
    let weight = prop_oneof![
        Just(Json::Null),
        (-1e6..1e6_f64).prop_map(|x| json!(x)),
        Just(json!(1e100)),
        Just(json!(-1e100)),
        Just(json!(1e-3))
    ];
    let n = prop_oneof![Just(Json::Null), (-3_i64..4).prop_map(|n| json!(n))];
    let gift = prop_oneof![Just(Json::Null), any::<bool>().prop_map(|g| json!(g))];
    let fields = (status, total, weight, n, gift).prop_map(
        |(status, total, weight, n, gift)| json!({"status": status, "total": total, "weight": weight, "n": n, "gift": gift}),
    );
    let late = prop_oneof![6 => Just(0_i64), 2 => 0_i64..60, 1 => 0_i64..400, 1 => -5_i64..0];
    let pass = prop_oneof![4 => 0_i64..3, 1 => 0_i64..60];
    (0_u8..3, any::<u8>(), late, pass, fields).prop_map(|(subject, id, late, pass, fields)| Step {
        subject,
        id,
        late,
        pass,
        fields,
    })
}

/// Deliveries in order of `known_at`. The same id again within the grace is a duplicate: it happened when the
/// first did. Later ones never reach a fold, the loop knows their ids.
fn deliver(steps: &[Step]) -> Vec<Sent> {
    let mut now = 1_000;
    let mut first: BTreeMap<(u8, u8), (usize, i64, i64, Json)> = BTreeMap::new();
    let mut sent = Vec::new();
    for (serial, step) in steps.iter().enumerate() {
        now += step.pass;
        let new = (serial, now - step.late, now, step.fields.clone());
        let entry = first.entry((step.subject, step.id)).or_insert_with(|| new.clone());
        if now - entry.2 > 20 {
            *entry = new;
        }
        let mut fields = entry.3.clone();
        if let Json::Object(fields) = &mut fields {
            fields.retain(|_, value| !value.is_null());
        }
        let record = Record {
            id: RecordId::external("orders", &entry.0.to_le_bytes()),
            stream: StreamName::new("orders"),
            contract: Version::new(1, 0, 0),
            subject: subject(step.subject),
            occurred_at: Instant::from_micros(entry.1),
            known_at: Instant::from_micros(now),
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload::default(),
        };
        sent.push(Sent { record, fields });
    }
    sent
}

/// How values may differ from the oracle's.
fn same(value: &Value, (expected, slack): &(Value, f64)) -> bool {
    match (value, expected) {
        (Value::Number(a), Value::Number(b)) => a == b || (a - b).abs() <= *slack,
        _ => value == expected,
    }
}

fn check_values<'v>(
    values: impl Iterator<Item = (&'v str, Value)>,
    oracle: &Oracle<'_>,
    what: &str,
) -> Result<(), TestCaseError> {
    let expected = oracle.values();
    for (name, value) in values {
        let of = &expected[name];
        prop_assert!(
            same(&value, of),
            "{}: {} at {} is {:?}, expected {:?}",
            what,
            name,
            oracle.at,
            value,
            of
        );
    }
    Ok(())
}

fn commit_and_forget(scope: &store::Scope, tables: &mut Tables) -> store::Digest {
    let mut pending = Vec::new();
    tables.stored().into_iter().for_each(|table| table.drain(&mut pending));
    let writes = pending.into_iter().map(|p| p.into_write().unwrap()).collect();
    scope.database().write(writes, false).unwrap();
    let mut digest = store::Digest::default();
    for table in tables.stored() {
        table.evict(0);
        table.digest(&mut digest).unwrap();
    }
    digest
}

const MEMBERS: [&[u8]; 4] = [&[0], &[1], &[0, 2], &[2, 1, 0]];

/// After every fold: online = oracle; at the end: as of every instant = oracle.
fn check(steps: &[Step], yaml: &str, keep: Keep) -> Result<(), TestCaseError> {
    let view = view(yaml, keep);
    let sent = deliver(steps);
    let fold = FeatureFold::new(Views::new([view.clone()]).unwrap());
    let scope = store::Scope::memory(Partition(0));
    let mut tables = Tables::open(&scope);
    let mut out = Emissions::default();
    let mut builder = Builder::new(&view);
    let fresh = store::Scope::memory(Partition(3));
    let mut undisturbed = Tables::open(&fresh);
    let all: Vec<Subject> = (0..3).map(subject).collect();
    let reading = grant(Action::Decide, "analytics", &all);
    let training = grant(Action::Train, "analytics", &all);
    let mut instants = Vec::new();
    for (i, one) in sent.iter().enumerate() {
        let bound = Bound { record: &one.record, fields: &one.fields };
        fold.fold(&mut tables, &bound, &mut out).unwrap();
        fold.fold(&mut undisturbed, &bound, &mut out).unwrap();
        if i % 7 == 3 {
            commit_and_forget(&scope, &mut tables);
        }
        if let Some(row) = view.row_of(&bound) {
            builder.add(one.record.subject, &row);
        }
        let now = one.record.known_at.micros();
        let past = now - (i as i64 * 7) % 40;
        instants.extend([now, past]);
        for (members, at) in MEMBERS.into_iter().zip([now, past, past, now]) {
            let subjects: Vec<Subject> = members.iter().map(|m| subject(*m)).collect();
            let read = Reader::new(&tables).at(&reading, &view, &subjects, Instant::from_micros(at));
            let values = match read {
                Ok(values) => values,
                Err(Error::TooFarBack { .. }) if keep.grace.is_some_and(|grace| at < now - grace) => continue,
                Err(error) => panic!("{error}"),
            };
            let values = values.iter().map(|(feature, value)| (feature.name(), value.clone()));
            check_values(values, &Oracle::new(&sent[..=i], members, at, false), "online")?;
        }
    }
    prop_assert!(out.is_empty());
    // LAW 2: when state is committed, or forgotten and read again, leaves no trace in it.
    prop_assert_eq!(commit_and_forget(&scope, &mut tables), commit_and_forget(&fresh, &mut undisturbed));

    let as_of = builder.finish(NonZeroUsize::new(2).unwrap()).unwrap();
    let members: Vec<Vec<Subject>> =
        MEMBERS.iter().map(|members| members.iter().map(|m| subject(*m)).collect()).collect();
    let labels: Vec<Label<'_>> = instants
        .iter()
        .flat_map(|at| members.iter().map(|m| Label { members: m, at: Instant::from_micros(*at) }))
        .collect();
    let matrix = as_of.values(&training, &labels, NonZeroUsize::new(2).unwrap()).unwrap();
    // A label that is asked for by itself is computed from scratch, one of many by a sweep: the same to the last bit.
    for (row, label) in labels.iter().enumerate().step_by(3) {
        let one = as_of.values(&training, &[*label], NonZeroUsize::MIN).unwrap();
        for ((many, one), feature) in matrix.columns().iter().zip(one.columns()).zip(view.features()) {
            prop_assert_eq!(many.value(row), one.value(0), "{} at {}", feature.name(), label.at);
        }
    }
    for (row, label) in labels.iter().enumerate() {
        let columns = view.features().iter().zip(matrix.columns());
        let values = columns.map(|(feature, column)| (feature.name(), column.value(row)));
        let oracle = Oracle::new(&sent, MEMBERS[row % MEMBERS.len()], label.at.micros(), false);
        check_values(values, &oracle, "as of")?;
    }
    Ok(())
}

const SMALL: Keep = Keep { grace: Some(25), block_rows: 8, group_blocks: 2 };

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn windows_are_served_as_they_are_trained(steps in prop::collection::vec(step(), 1..120)) {
        check(&steps, WINDOWED, SMALL)?;
    }

    #[test]
    fn lifetimes_are_served_as_they_are_trained(steps in prop::collection::vec(step(), 1..120)) {
        check(&steps, &format!("{WINDOWED}{LIFETIME}"), SMALL)?;
    }

    #[test]
    fn nothing_depends_on_how_rows_are_kept(steps in prop::collection::vec(step(), 1..60)) {
        check(&steps, &format!("{WINDOWED}{LIFETIME}"), Keep::ONLINE)?;
    }

    #[test]
    fn the_oracle_adds_exactly(terms in prop::collection::vec(-1_000_000_i64..1_000_000, 0..20)) {
        let floats: Vec<f64> = terms.iter().map(|n| *n as f64 / 64.0).collect();
        prop_assert_eq!(exact(&floats), terms.iter().sum::<i64>() as f64 / 64.0);
    }
}

/// A record that became known after the label's instant. An evaluation that admitted it would be caught: the
/// oracle that does gives another value.
#[test]
fn a_late_value_admitted_is_caught() {
    let on_time = Step { subject: 0, id: 1, late: 0, pass: 0, fields: json!({"n": 1}) };
    let late = Step { subject: 0, id: 2, late: 10, pass: 15, fields: json!({"n": 2}) };
    let steps = [on_time, late];
    check(&steps, WINDOWED, SMALL).unwrap();
    let sent = deliver(&steps);
    let at = sent[0].record.known_at.micros() + 7;
    let (honest, mutant) = (Oracle::new(&sent, &[0], at, false), Oracle::new(&sent, &[0], at, true));
    assert_eq!(honest.values()["n_20"].0, Value::Integer(1));
    assert_eq!(mutant.values()["n_20"].0, Value::Integer(2));
}

fn rows_after(sent: &[Sent], view: &View) -> crate::rows::Rows {
    let mut rows = crate::rows::Rows::default();
    for one in sent {
        if let Some(row) = view.row_of(&Bound { record: &one.record, fields: &one.fields }) {
            rows.add(row.as_ref(), &view.inner().plan);
        }
    }
    rows
}

fn many(n: usize, pass: i64) -> Vec<Sent> {
    let step = |i: usize| Step {
        subject: 0,
        id: (i % 256) as u8,
        late: 0,
        pass,
        fields: json!({"n": i % 5, "weight": 0.1}),
    };
    deliver(&(0..n).map(step).collect::<Vec<_>>())
}

#[test]
fn windowed_rows_are_given_up_and_reads_before_it_are_refused() {
    let sent = many(10_000, 1);
    let view = view(WINDOWED, SMALL);
    let rows = rows_after(&sent, &view);
    assert!(rows.n_rows() < 120, "{} rows are left", rows.n_rows());
    let latest = sent.last().unwrap().record.known_at.micros();
    assert!(rows.horizon() <= latest - 25 && rows.horizon() > latest - 80, "{}", rows.horizon());

    let fold = FeatureFold::new(Views::new([view.clone()]).unwrap());
    let mut tables = Tables::open(&store::Scope::memory(Partition(0)));
    for one in &sent {
        let bound = Bound { record: &one.record, fields: &one.fields };
        fold.fold(&mut tables, &bound, &mut Emissions::default()).unwrap();
    }
    let reading = grant(Action::ReadFeatures, "analytics", &[subject(0)]);
    let at = |micros| Reader::new(&tables).at(&reading, &view, &[subject(0)], Instant::from_micros(micros));
    assert!(at(latest - 25).is_ok());
    let error = at(latest - 100).unwrap_err();
    assert!(matches!(error, Error::TooFarBack { .. }), "{error}");
    assert_eq!(error.code(), "MR4011");
}

#[test]
fn lifetime_rows_are_added_up_and_given_up() {
    let rows = rows_after(&many(10_000, 1), &view(&format!("{WINDOWED}{LIFETIME}"), SMALL));
    assert!(rows.n_rows() < 120, "{} rows are left", rows.n_rows());
}

#[test]
fn few_rows_stay_few_bytes() {
    let sent = many(10, 3_600_000_000);
    let rows =
        rows_after(&sent, &view(&WINDOWED.replace("20us", "20d").replace("35us", "35d"), Keep::ONLINE));
    let bytes = rows.tail().n_bytes();
    assert!(bytes < 320, "{bytes} bytes for 10 rows");
    assert!(size_of::<crate::rows::Rows>() <= 64, "{}", size_of::<crate::rows::Rows>());
}

#[test]
fn what_personal_fields_go_into_is_sealed() {
    let features = [
        ("{name: n, agg: count}", false),
        ("{name: last, agg: last, of: email}", true),
        ("{name: n, agg: count, where: email is null}", true),
    ];
    for (feature, is_personal) in features {
        let yaml =
            format!("view: v\nversion: 1\nstream: orders\npurposes: [analytics]\nfeatures:\n  - {feature}\n");
        let view = view(&yaml, SMALL);
        assert_eq!(view.is_personal(), is_personal, "{feature}");
        let fold = FeatureFold::new(Views::new([view.clone()]).unwrap());
        let mut tables = Tables::open(&store::Scope::memory(Partition(0)));
        let mut sent = many(1, 1);
        sent[0].fields = json!({"email": "ann@example.com"});
        let bound = Bound { record: &sent[0].record, fields: &sent[0].fields };
        fold.fold(&mut tables, &bound, &mut Emissions::default()).unwrap();
        let hot: Vec<usize> = tables.stored().iter().map(|table| table.n_hot()).collect();
        // A filter that the address fails leaves no row at all.
        let expected = if feature.contains("is null") {
            [0, 0, 0, 0, 0]
        } else {
            [1 - usize::from(is_personal), 0, is_personal.into(), 0, 0]
        };
        assert_eq!(hot, expected, "{feature}");
    }
}

#[test]
fn reading_needs_the_purpose_the_action_and_every_member() {
    let view = view(WINDOWED, SMALL);
    let tables = Tables::open(&store::Scope::memory(Partition(0)));
    let now = Instant::from_micros(5);
    let read = |grant: &Grant, members: &[Subject]| {
        Reader::new(&tables).at(grant, &view, members, now).map_err(|e| e.code())
    };
    let both = [subject(0), subject(1)];
    assert!(read(&grant(Action::Decide, "analytics", &both), &both).is_ok());
    assert_eq!(read(&grant(Action::Decide, "ads", &both), &both), Err("MR4010"));
    assert_eq!(read(&grant(Action::Decide, "analytics", &[subject(0)]), &both), Err("MR3016"));
    assert_eq!(read(&grant(Action::Send, "analytics", &both), &both), Err("MR3016"));

    let as_of = AsOf::build(&view, [], NonZeroUsize::MIN).unwrap();
    let train = |grant: &Grant| {
        let label = Label { members: &both, at: now };
        as_of.values(grant, &[label], NonZeroUsize::MIN).map(|m| m.n_rows()).map_err(|e| e.code())
    };
    assert_eq!(train(&grant(Action::Train, "analytics", &both)), Ok(1));
    assert_eq!(train(&grant(Action::Train, "ads", &both)), Err("MR4010"));
    assert_eq!(train(&grant(Action::Decide, "analytics", &both)), Err("MR3016"));
    assert_eq!(train(&grant(Action::Train, "analytics", &[subject(1)])), Err("MR3016"));
}
