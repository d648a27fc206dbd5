//! What is computed on demand, windows of the calendar, filling a view beside others, and tests as files.

use std::num::NonZeroUsize;
use std::sync::Arc;

use contract::{Bound, Contract, Contracts};
use event::{Instant, Partition, Payload, Record, RecordId, StreamName, Subject, Version};
use policy::{Action, Grant, LegalBasis, Principal, Purposes, Scope};
use serde_json::json;
use store::{Emissions, Fold};

use crate::{
    AsOf, Context, Error, FeatureFold, Label, Reader, Row, Tables, Value, View, Views, expr, run_fixture,
};

const CONTRACT: &str = r#"
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: total, logicalType: number, classification: internal, required: true}
      - {name: city, logicalType: string, classification: internal}
customProperties:
  - {property: purposes, value: [{name: analytics, basis: not_personal}]}
"#;

const VIEW: &str = r#"
view: shopping
version: 1
stream: orders
purposes: [analytics]
zone: Europe/Berlin
context:
  - {name: basket, type: number, description: What lies in the basket now.}
  - {name: channel, type: text}
features:
  - {name: basket_to_mean, expr: "basket / mean_ever", default: 1}
  - {name: n_today, agg: count, window: day}
  - {name: spent_month, agg: sum, of: total, window: month, default: 0}
  - {name: mean_ever, agg: mean, of: total}
  - {name: last_city, agg: last, of: city}
  - {name: is_big, expr: "basket_to_mean > 2 and channel != 'shop'"}
  - {name: where_to, expr: "if(is_big, 'call', lower(last_city))"}
  - {name: local_hour, expr: "hour('Europe/Berlin')"}
"#;

fn contracts() -> Contracts {
    let mut contracts = Contracts::new();
    contracts.insert(Contract::parse(CONTRACT, "orders.yaml").unwrap().contract).unwrap();
    contracts
}

fn view(yaml: &str) -> View {
    let (view, findings) = View::parse(yaml, "features/shopping.yaml", &contracts());
    view.unwrap_or_else(|| panic!("{findings:?}"))
}

struct Nobody;

impl policy::ConsentView for Nobody {
    fn standing(&self, _: Subject) -> Result<Option<Arc<policy::Standing>>, store::Error> {
        Ok(None)
    }
}

fn ann() -> Subject {
    Subject::from_bytes([7; 16])
}

fn grant(action: Action) -> Grant {
    let principal = Principal::new("test", [Scope::Admin]);
    let purposes = Purposes::new([("analytics", LegalBasis::NotPersonal)]);
    policy::authorize(&principal, action, "analytics", &[ann()], &Nobody, &purposes, Instant::from_micros(0))
        .unwrap()
}

fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

fn record(n: u64, when: Instant) -> Record {
    Record {
        id: RecordId::external("orders", &n.to_le_bytes()),
        stream: StreamName::new("orders"),
        contract: Version::new(1, 0, 0),
        subject: ann(),
        occurred_at: when,
        known_at: when,
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload::default(),
    }
}

fn orders() -> Vec<(Record, serde_json::Value)> {
    [
        ("2026-03-27T10:00:00Z", 10.0, "KIEL"),
        ("2026-03-28T22:59:00Z", 20.0, "KIEL"),
        // A minute later it is the next day in Berlin, and clocks go forward on it.
        ("2026-03-28T23:00:00Z", 30.0, "ULM"),
        ("2026-03-29T21:59:00Z", 40.0, "ULM"),
        ("2026-03-31T21:30:00Z", 50.0, "ULM"),
        ("2026-03-31T22:30:00Z", 60.0, "Bonn"),
    ]
    .iter()
    .enumerate()
    .map(|(n, (when, total, city))| (record(n as u64, at(when)), json!({"total": total, "city": city})))
    .collect()
}

fn context(basket: Option<f64>, channel: Option<&str>) -> Context {
    let mut context = Context::default();
    if let Some(basket) = basket {
        context.insert("basket", expr::Value::Number(basket));
    }
    if let Some(channel) = channel {
        context.insert("channel", expr::Value::from(channel));
    }
    context
}

#[test]
fn what_is_computed_on_demand_is_served_as_it_is_trained() {
    let view = view(VIEW);
    let fold = FeatureFold::new(Views::new([view.clone()]).unwrap());
    let mut tables = Tables::open(&store::Scope::memory(Partition(0)));
    let mut rows: Vec<(Subject, Row)> = Vec::new();
    let (serving, training) = (grant(Action::Decide), grant(Action::Train));
    let contexts = [context(Some(60.0), Some("web")), context(Some(1.0), None), context(None, Some("shop"))];
    let (mut served, mut asked) = (Vec::new(), Vec::new());
    for (n, (record, fields)) in orders().iter().enumerate() {
        let bound = Bound { record, fields };
        fold.fold(&mut tables, &bound, &mut Emissions::default()).unwrap();
        rows.extend(view.row_of(&bound).map(|row| (ann(), row)));
        let said = &contexts[n % contexts.len()];
        let read = Reader::new(&tables).at_with(&serving, &view, &[ann()], record.known_at, said).unwrap();
        served.push(read.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>());
        asked.push((record.known_at, said.clone()));
    }
    let members = [ann()];
    let labels: Vec<Label<'_>> = asked.iter().map(|(at, _)| Label { members: &members, at: *at }).collect();
    let said: Vec<Context> = asked.iter().map(|(_, said)| said.clone()).collect();
    let as_of = AsOf::build(&view, rows, NonZeroUsize::MIN).unwrap();
    for n_threads in [1, 2, 5] {
        let threads = NonZeroUsize::new(n_threads).unwrap();
        let matrix = as_of.values_with(&training, &labels, &said, threads).unwrap();
        for (n, served) in served.iter().enumerate() {
            let trained: Vec<Value> = matrix.columns().iter().map(|column| column.value(n)).collect();
            assert_eq!(*served, trained, "order {n} with {n_threads} threads");
        }
    }
    // ratio, orders today in Berlin, spent this month, mean, city, big?, where to, hour there
    let text = |t: &str| Value::Text(t.into());
    assert_eq!(
        served[3],
        [
            Value::Number(2.4),
            Value::Integer(2),
            Value::Number(100.0),
            Value::Number(25.0),
            text("ULM"),
            Value::Boolean(true),
            text("call"),
            Value::Number(23.0)
        ]
    );
    // The first order of April there is the last of March in London's winter; without a basket the default stands.
    assert_eq!(served[5][..3], [Value::Number(1.0), Value::Integer(1), Value::Number(60.0)]);
    assert_eq!(served[5][5..7], [Value::Boolean(false), text("bonn")]);
    let wrong = Context::of_json(
        &[("basket".to_owned(), json!("60"))].into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    );
    let error = Reader::new(&tables).at_with(&serving, &view, &[ann()], asked[5].0, &wrong).unwrap_err();
    assert_eq!(error.code(), "MR4015");
}

fn refuse(replaced: &str, with: &str, expected: &str) {
    let (view, findings) = View::parse(&VIEW.replace(replaced, with), "features/x.yaml", &contracts());
    let text: Vec<String> = findings.iter().map(|f| format!("{} {}", f.code, f.message)).collect();
    assert!(view.is_none() && text.iter().any(|t| t.contains(expected)), "{expected}: {text:?}");
}

#[test]
fn mistakes_in_what_is_computed_on_demand_are_told() {
    refuse("basket / mean_ever", "baskt / mean_ever", "did you mean `basket`?");
    refuse("basket / mean_ever", "if(is_big, 1, 2)", "must stand before it");
    refuse("basket / mean_ever", "basket_to_mean", "must stand before it");
    refuse("basket / mean_ever", "last_city + 1", "which is a text, not a number");
    refuse("basket / mean_ever", "consent('analytics')", "that is for eligibility");
    refuse("basket / mean_ever", "basket /", "MR4016");
    refuse("expr: \"basket / mean_ever\", ", "", "has an `agg`, like `count`, an `expr` or a `segment`");
    refuse("zone: Europe/Berlin", "", "say which with the view's `zone");
    refuse("zone: Europe/Berlin", "zone: CEST", "no time zone");
    refuse("name: channel", "name: basket", "two of this name");
    refuse("default: 1", "default: many", "its `default` is not");
    refuse("window: day", "window: day, expr: \"1\"", "has no use for `expr`");
}

/// Writes what has changed; the digest of all there is.
fn commit(scope: &store::Scope, tables: &mut Tables) -> store::Digest {
    let mut pending = Vec::new();
    tables.stored().into_iter().for_each(|table| table.drain(&mut pending));
    scope.database().write(pending.into_iter().map(|p| p.into_write().unwrap()).collect(), false).unwrap();
    let mut digest = store::Digest::default();
    tables.stored().into_iter().for_each(|table| table.digest(&mut digest).unwrap());
    digest
}

#[test]
fn a_view_filled_later_is_as_if_it_had_always_been_there() {
    let known = view(VIEW);
    let new = view(
        "view: late\nversion: 1\nstream: orders\npurposes: [analytics]\nfeatures: [{name: n, agg: count, window: 1d}, {name: s, agg: sum, of: total}]",
    );
    let orders = orders();
    let both = FeatureFold::new(Views::new([known.clone(), new.clone()]).unwrap());
    let mut out = Emissions::default();
    let aside = store::Scope::memory(Partition(0));
    let mut always = Tables::open(&aside);
    for (record, fields) in &orders {
        both.fold(&mut always, &Bound { record, fields }, &mut out).unwrap();
    }

    let scope = store::Scope::memory(Partition(0));
    let mut tables = Tables::open(&scope);
    let before = FeatureFold::new(Views::new([known.clone()]).unwrap());
    for (record, fields) in &orders[..3] {
        before.fold(&mut tables, &Bound { record, fields }, &mut out).unwrap();
    }
    tables.begin_filling(&new).unwrap();
    // Life goes on: the new view is left out, and nobody may read half of it.
    let (record, fields) = &orders[3];
    both.fold(&mut tables, &Bound { record, fields }, &mut out).unwrap();
    let read = Reader::new(&tables).at(&grant(Action::Decide), &new, &[ann()], record.known_at);
    assert!(matches!(read, Err(Error::Filling { .. })));
    for (record, fields) in &orders[..2] {
        tables.fill(&new, &Bound { record, fields }).unwrap();
    }
    tables.filled(&new, Some(2)).unwrap();
    // A crash, and on from where it was.
    commit(&scope, &mut tables);
    let mut tables = Tables::open(&scope);
    tables.begin_filling(&new).unwrap();
    assert_eq!(tables.filling().unwrap().values().copied().collect::<Vec<_>>(), [2]);
    for (record, fields) in &orders[2..4] {
        tables.fill(&new, &Bound { record, fields }).unwrap();
    }
    tables.filled(&new, None).unwrap();
    for (record, fields) in &orders[4..] {
        both.fold(&mut tables, &Bound { record, fields }, &mut out).unwrap();
    }
    // LAW 2: it is the same state.
    assert_eq!(commit(&scope, &mut tables), commit(&aside, &mut always));
    let last = orders.last().unwrap().0.known_at;
    let read = |tables: &Tables, view: &View| {
        let values = Reader::new(tables).at(&grant(Action::Decide), view, &[ann()], last).unwrap();
        values.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(read(&tables, &new), read(&always, &new));
    assert_eq!(read(&tables, &known), read(&always, &known));
    // A view that is gone leaves nothing behind.
    let aside = store::Scope::memory(Partition(0));
    let mut without = Tables::open(&aside);
    for (record, fields) in &orders {
        before.fold(&mut without, &Bound { record, fields }, &mut out).unwrap();
    }
    tables.forget_others(before.views()).unwrap();
    assert_eq!(commit(&scope, &mut tables), commit(&aside, &mut without));
}

const FIXTURE: &str = r#"
view: shopping
test: a basket against the mean
records:
  - {at: 2026-03-28T22:59:00Z, record: {total: 20, city: KIEL}}
  - {at: 2026-03-28T23:00:00Z, known: 2026-03-30T00:00:00Z, record: {total: 40, city: ULM}}
  - {at: 2026-03-28T23:00:00Z, of: other, fields: {total: 1000}}
expect:
  - at: 2026-03-29T10:00:00Z
    context: {basket: 30}
    values: {basket_to_mean: 1.5, n_today: 0, spent_month: 20, last_city: KIEL, is_big: false}
  - {at: 2026-03-30T00:00:00Z, values: {mean_ever: 30, basket_to_mean: 1, n_today: 0}}
  - {at: 2026-03-30T00:00:00Z, of: [one, other], values: {mean_ever: 353.3333333333}}
"#;

#[test]
fn fixtures_say_what_is_wrong_and_where() {
    let views = Views::new([view(VIEW)]).unwrap();
    let run = |yaml: &str| run_fixture(yaml, "features/tests/shopping.yaml", &views, &contracts());
    let tested = run(FIXTURE);
    assert!(tested.findings.is_empty(), "{:?}", tested.findings);
    assert_eq!(tested.n_values, 9);
    let wrong = |from: &str, to: &str, code: &str, line: u32, expected: &str| {
        let findings = run(&FIXTURE.replace(from, to)).findings;
        let found = findings.iter().find(|f| f.code == code && f.message.contains(expected));
        let found = found.unwrap_or_else(|| panic!("{expected}: {findings:?}"));
        assert_eq!((found.line, found.severity), (Some(line), contract::Severity::Error), "{found:?}");
    };
    wrong("basket_to_mean: 1.5", "basket_to_mean: 1.6", "MR4018", 9, "`basket_to_mean` at 2026-03-29");
    wrong("last_city: KIEL", "last_town: KIEL", "MR4017", 9, "has no feature `last_town`");
    wrong("view: shopping", "view: shoping", "MR4017", 2, "did you mean `shopping`?");
    wrong("{total: 20, city: KIEL}", "{city: KIEL}", "MR4019", 5, "record 1: ");
    wrong("fields: {total: 1000}", "record: {total: 1}, fields: {total: 1}", "MR4017", 7, "either `fields`");
    wrong("at: 2026-03-29T10:00:00Z", "at: yesterday", "MR4017", 9, "yesterday");
    wrong("basket: 30", "basket: much", "MR4017", 9, "wants a number as `basket`");
    assert_eq!(run("view: [").findings[0].code, "MR4017");
    assert_eq!(run("view: shopping\nexpect: []\nexpected: []").findings[0].code, "MR4017");
}

const HABITS: &str = r#"
view: habits
version: 1
stream: orders
purposes: [analytics]
features:
  - {name: n, agg: count}
  - {name: is_loyal, segment: loyal}
  - {name: loyal_and_new, expr: "segment.loyal and not segment.late and n < 9"}
  - {name: again, expr: "if(loyal_and_new, 1, 0)"}
"#;

fn so(loyal: bool, late: bool) -> Context {
    let segments = [("loyal".to_owned(), loyal), ("late".to_owned(), late)];
    Context::default().with_segments(&segments.into_iter().collect())
}

#[test]
fn a_segment_is_a_feature_for_whoever_says_what_is_so_of_it() {
    let view = view(HABITS);
    assert_eq!(view.segments(), ["loyal", "late"]);
    assert_eq!(view.segments_of("again").into_iter().collect::<Vec<_>>(), ["late", "loyal"]);
    assert!(view.segments_of("n").is_empty());
    assert_eq!(view.reads("is_loyal").unwrap().segments, ["loyal"]);
    assert_eq!(view.features()[1].kind(), crate::Kind::Boolean);
    let fold = FeatureFold::new(Views::new([view.clone()]).unwrap());
    let mut tables = Tables::open(&store::Scope::memory(Partition(0)));
    let mut rows: Vec<(Subject, Row)> = Vec::new();
    for (record, fields) in &orders() {
        let bound = Bound { record, fields };
        fold.fold(&mut tables, &bound, &mut Emissions::default()).unwrap();
        rows.extend(view.row_of(&bound).map(|row| (ann(), row)));
    }
    let (t, members) = (at("2026-04-01T00:00:00Z"), [ann()]);
    let (serving, training) = (grant(Action::Decide), grant(Action::Train));
    let as_of = AsOf::build(&view, rows, NonZeroUsize::MIN).unwrap();
    let label = Label { members: &members, at: t };
    for (context, expected) in [
        (so(true, false), ["true", "true", "1"]),
        (so(true, true), ["true", "false", "0"]),
        (so(false, false), ["false", "false", "0"]),
        (Context::default().partial(), ["nothing", "nothing", "nothing"]),
    ] {
        let served = Reader::new(&tables).at_with(&serving, &view, &members, t, &context).unwrap();
        let matrix =
            as_of.values_with(&training, &[label], std::slice::from_ref(&context), NonZeroUsize::MIN);
        let matrix = matrix.unwrap();
        for (n, name) in ["is_loyal", "loyal_and_new", "again"].into_iter().enumerate() {
            let value = served.get(name).unwrap();
            assert_eq!(value.to_string(), expected[n], "{name} of {context:?}");
            assert_eq!(*value, matrix.column(name).unwrap().value(0), "{name} of {context:?}");
        }
    }
    // LAW 5: what nobody computed is no "no".
    let error = Reader::new(&tables).at(&serving, &view, &members, t).unwrap_err();
    assert!(error.code() == "MR4020" && error.to_string().contains("`loyal`"), "{error}");
    assert_eq!(as_of.values(&training, &[label], NonZeroUsize::MIN).unwrap_err().code(), "MR4020");
    let half = Context::default().with_segments(&[("loyal".to_owned(), true)].into_iter().collect());
    assert!(Reader::new(&tables).at_with(&serving, &view, &members, t, &half).is_err());
}

#[test]
fn a_test_says_which_segments_hold() {
    let views = Views::new([view(HABITS)]).unwrap();
    let run = |segments: &str| {
        let text = format!(
            "view: habits\nrecords:\n  - {{at: 2026-03-01T00:00:00Z, fields: {{total: 1}}}}\nexpect:\n  - at: 2026-03-02T00:00:00Z\n    {segments}\n    values: {{is_loyal: true, loyal_and_new: true, n: 1}}\n"
        );
        run_fixture(&text, "features/tests/habits.yaml", &views, &contracts())
    };
    let tested = run("segments: [loyal]");
    assert!(tested.findings.is_empty() && tested.n_values == 3, "{:?}", tested.findings);
    assert!(run("segments: []").findings[0].message.contains("is false, true is expected"));
    assert!(run("segments: [loyl]").findings[0].message.contains("asks for no segment `loyl`"));
}
