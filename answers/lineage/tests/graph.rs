//! From contracts, views, models, use cases and other tools' events to what is made from what.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use contract::{Contract, Contracts};
use decide::UseCase;
use event::{Partition, Payload, Record, StreamName, Subject, Version};
use feature::{View, Views};
use lineage::openlineage::{self, Author, Names, Told};
use lineage::{
    Builder, Direction, Graph, How, Kind, LINEAGE, LineageFold, Model, NodeId, Recipe, Tables, Touch,
    catalogue, impact,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use store::{Emissions, Fold, Scope};

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

fn built(told: &[Told]) -> Graph {
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

fn edge(graph: &Graph, from: &str, to: &str) -> String {
    let (from, to): (NodeId, NodeId) = (from.parse().unwrap(), to.parse().unwrap());
    let mut found: Vec<String> = graph
        .edges_of(&from, Direction::Down)
        .filter(|edge| edge.to == to)
        .map(|edge| {
            let marks = [(edge.lossy, " lossy"), (edge.untested, " untested"), (edge.personal, " personal")];
            let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
            let via = edge.via.as_deref().map(|via| format!(" ({via})")).unwrap_or_default();
            format!("{}{via}{marks}", edge.how.as_str())
        })
        .collect();
    found.sort();
    found.join(" | ")
}

#[test]
fn an_edge_says_what_happens_and_is_marked() {
    let graph = built(&[]);
    for (from, to, expected) in [
        (
            "source:track:Order Completed",
            "field:orders.customer.user_id",
            "same (/properties/customer/userId)",
        ),
        ("source:track:Order Completed", "field:orders.note", "same (/properties/note) untested"),
        ("source:track:Order Completed", "field:orders.total", "derived (/properties/total)"),
        ("field:orders.total", "feature:purchases.spent", "aggregated lossy"),
        ("field:orders.channel", "feature:purchases.spent", "filters lossy"),
        ("field:orders.email", "feature:purchases.last_email", "picked lossy untested personal"),
        ("field:orders.customer.user_id", "feature:purchases.n_30d", "identifies lossy untested personal"),
        ("field:orders.placed_at", "feature:purchases.n_30d", "times lossy untested"),
        ("stream:orders", "feature:purchases.n_30d", "reads (counts its records) lossy untested"),
        ("feature:purchases.spent", "feature:purchases.mean", "computed (ratio) lossy untested"),
        ("feature:purchases.mean", "model:response", "teaches lossy"),
        ("field:orders.channel", "model:response", "teaches lossy"),
        ("stream:orders", "model:response", "teaches lossy | labels lossy"),
        ("model:response", "use_case:next_order", "scores lossy untested"),
        ("feature:purchases.spent", "use_case:next_order", "informs untested"),
        ("use_case:next_order", "channel:email", "acts untested"),
        ("field:orders.note", "feature:purchases.spent", ""),
    ] {
        let mut expected: Vec<&str> = expected.split(" | ").collect();
        expected.sort_unstable();
        let mut found = edge(&graph, from, to);
        let mut parts: Vec<&str> = found.split(" | ").collect();
        parts.sort_unstable();
        found = parts.join(" | ");
        assert_eq!(found, expected.join(" | "), "{from} → {to}");
    }
    // What is computed from a personal field is personal; what is only keyed by a person is not.
    let personal = |id: &str| graph.find(id).unwrap().personal;
    assert!(personal("purchases.last_email") && !personal("purchases.n_30d"));
    assert_eq!(graph.cycles(), Vec::<Vec<NodeId>>::new());
}

#[test]
fn what_does_not_exist_gets_a_hint() {
    let graph = built(&[]);
    assert_eq!(graph.find("purchases.spent").unwrap().id.to_string(), "feature:purchases.spent");
    let error = graph.find("field:orders.totl").unwrap_err().to_string();
    assert!(error.contains("`field:orders.totl`") && error.contains("catalogue"), "{error}");
    let error = graph.find("order.total").unwrap_err().to_string();
    assert!(error.contains("did you mean field:orders.total"), "{error}");
}

fn removed(field: &str) -> impact_of::Of {
    impact_of::Of {
        touch: Touch {
            node: NodeId::field("orders", field),
            what: format!("`{field}` is removed"),
            breaks: true,
        },
    }
}

mod impact_of {
    use lineage::{Graph, Kind, Touch};

    pub struct Of {
        pub touch: Touch,
    }

    impl Of {
        pub fn on(&self, graph: &Graph) -> String {
            let impact = lineage::impact(graph, std::slice::from_ref(&self.touch));
            let kinds = [Kind::Feature, Kind::Model, Kind::UseCase, Kind::Job];
            kinds.map(|kind| impact.broken(kind).join(",")).join(" ")
        }
    }
}

#[test]
fn a_removed_field_breaks_what_is_made_from_it_and_nothing_else() {
    let graph = built(&[]);
    assert_eq!(removed("total").on(&graph), "purchases.mean,purchases.spent response next_order ");
    assert_eq!(removed("channel").on(&graph), "purchases.mean,purchases.spent response next_order ");
    assert_eq!(removed("email").on(&graph), "purchases.last_email   ");
    assert_eq!(removed("note").on(&graph), "   ");
    let all = "purchases.last_email,purchases.mean,purchases.n_30d,purchases.spent response next_order ";
    assert_eq!(removed("placed_at").on(&graph), all);
    assert_eq!(removed("customer.user_id").on(&graph), all);
    let found = impact(&graph, &[removed("total").touch]).findings("orders", Some("contracts/orders.yaml"));
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].message,
        "`total` is removed: breaks features purchases.mean, purchases.spent; model response (Grace); \
         use case next_order (Mara); channel email"
    );
    assert!(found[0].is_error());
}

fn dashboard() -> Value {
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

#[test]
fn what_other_tools_tell_is_followed_too() {
    let told = openlineage::read(&dashboard()).unwrap();
    assert!(!String::from_utf8(told.to_payload()).unwrap().contains("ann@"), "SQL texts are not kept");
    let graph = built(&[told]);
    assert_eq!(
        edge(&graph, "field:orders.total", "column:pg://dwh/mart.revenue#sum"),
        "aggregated (aggregation) lossy"
    );
    assert_eq!(edge(&graph, "stream:orders", "job:bi/revenue"), "reads (DASHBOARD) lossy untested");
    assert!(graph.find("column:pg://dwh/mart.revenue#day").unwrap().personal);
    let impact = impact(&graph, &[removed("total").touch]);
    assert_eq!(impact.broken(Kind::Column), ["pg://dwh/mart.revenue#sum"]);
    let may: Vec<_> = impact.hits.iter().filter(|hit| !hit.breaks).map(|hit| hit.node.to_string()).collect();
    assert_eq!(may, ["dataset:pg://dwh/mart.revenue", "job:bi/revenue"]);
    let text: Vec<_> = impact.findings("orders", None).iter().map(|f| f.message.clone()).collect();
    assert!(
        text.iter().any(|line| line.contains("may change") && line.contains("job bi/revenue (Bob)")),
        "{text:?}"
    );
}

#[test]
fn a_circle_through_another_tool_is_found_and_ends() {
    let mut back = dashboard();
    back["job"]["name"] = "reverse_etl".into();
    back["inputs"] = json!([{"namespace": "pg://dwh", "name": "mart.revenue"}]);
    back["outputs"] = json!([{"namespace": "maschinenraum", "name": "streams/orders"}]);
    let graph = built(&[openlineage::read(&dashboard()).unwrap(), openlineage::read(&back).unwrap()]);
    let findings = graph.cycle_findings();
    assert_eq!(findings.len(), 1);
    for name in ["stream:orders", "job:bi/revenue", "dataset:pg://dwh/mart.revenue", "job:bi/reverse_etl"] {
        assert!(findings[0].message.contains(name), "{}", findings[0].message);
    }
    let steps = graph.trace(&NodeId::stream("orders"), Direction::Down, usize::MAX);
    assert!(steps.len() < graph.nodes().count());
}

#[test]
fn events_that_are_none_are_refused_in_the_senders_words() {
    let with = |path: &[&str], value: Value| {
        let mut event = dashboard();
        let (last, rest) = path.split_last().unwrap();
        let mut at = &mut event;
        for part in rest {
            at = match part.parse::<usize>() {
                Ok(i) => &mut at[i],
                Err(_) => &mut at[*part],
            };
        }
        at[*last] = value;
        event
    };
    for (event, code, expected) in [
        (json!([1]), "MR2302", "an object is expected, not a list"),
        (json!({}), "MR2302", "`eventTime` is missing"),
        (with(&["eventTime"], json!("yesterday")), "MR2302", "`eventTime` is `yesterday`"),
        (with(&["producer"], Value::Null), "MR2302", "`producer` is missing"),
        (with(&["job"], json!({"name": "x"})), "MR2302", "`job` has no `namespace`"),
        (with(&["run"], json!({})), "MR2302", "`run.runId` is missing"),
        (with(&["inputs"], json!("x")), "MR2302", "`inputs` is a list, not a text"),
        (with(&["inputs"], json!([{"namespace": "a"}])), "MR2302", "`inputs` has no `name`"),
        (
            with(&["inputs"], json!(vec![json!({"namespace": "a", "name": "b"}); 2_001])),
            "MR2303",
            "2001 inputs",
        ),
        (with(&["job", "name"], json!("x".repeat(600))), "MR2303", "600 characters"),
        (json!({"eventTime": "2026-11-24T09:00:00Z", "producer": "p"}), "MR2302", "neither a `job`"),
    ] {
        let error = openlineage::read(&event).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

fn record(told: &Told, known: i64) -> Record {
    Record {
        id: told.id(),
        stream: StreamName::new(LINEAGE),
        contract: Version::new(1, 0, 0),
        subject: Subject::NONE,
        occurred_at: told.at,
        known_at: event::Instant::from_micros(known),
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload { open: told.to_payload().into(), cells: Vec::new() },
    }
}

#[test]
fn what_is_told_adds_up_in_whatever_order_it_comes() {
    let mut early = dashboard();
    early["eventTime"] = "2026-11-24T08:00:00Z".into();
    early["eventType"] = "START".into();
    early["outputs"][0]["facets"]["documentation"] = json!({"description": "revenue by day"});
    let events: Vec<Told> =
        [dashboard(), early].iter().map(|event| openlineage::read(event).unwrap()).collect();
    let folded = |order: [usize; 2]| {
        let mut tables = Tables::open(&Scope::memory(Partition(0)));
        for i in order {
            LineageFold.fold(&mut tables, &record(&events[i], 1), &mut Emissions::default()).unwrap();
        }
        tables.all().unwrap()
    };
    let (one, other) = (folded([0, 1]), folded([1, 0]));
    assert_eq!(one, other);
    assert_eq!(one.jobs[0].state, "complete");
    assert_eq!(one.datasets[1].description.as_deref(), Some("revenue by day"));
}

#[test]
fn a_producer_that_names_ever_new_datasets_runs_into_a_limit() {
    let mut tables = Tables::open(&Scope::memory(Partition(0)));
    let inputs = |from: usize| -> Vec<Value> {
        (from..from + 2_000).map(|i| json!({"namespace": "s3", "name": format!("day={i}")})).collect()
    };
    let (mut n, mut refused) = (0, None);
    while n < 60_000 && refused.is_none() {
        let event = json!({"eventTime": "2026-11-24T09:00:00Z", "producer": "p", "job": {"namespace": "a", "name": "b"}, "inputs": inputs(n)});
        let told = openlineage::read(&event).unwrap();
        match tables.room_for(&told).unwrap() {
            Ok(()) => LineageFold.fold(&mut tables, &record(&told, 1), &mut Emissions::default()).unwrap(),
            Err(error) => refused = Some(error),
        }
        n += 2_000;
    }
    let error = refused.unwrap();
    assert_eq!(error.code(), "MR2306");
    assert!(tables.n_nodes().unwrap() <= lineage::MAX_NODES);
    // What is known already may be told again.
    let known = json!({"eventTime": "2026-11-24T10:00:00Z", "producer": "p", "job": {"namespace": "a", "name": "b"}, "inputs": inputs(0)});
    assert_eq!(tables.room_for(&openlineage::read(&known).unwrap()).unwrap(), Ok(()));
}

#[test]
fn the_catalogue_finds_by_words_owner_purpose_and_field() {
    let graph = built(&[openlineage::read(&dashboard()).unwrap()]);
    let found = |query: catalogue::Query| -> Vec<String> {
        catalogue::search(&graph, &query).iter().map(|found| found.node.id.to_string()).collect()
    };
    let base = catalogue::Query::default();
    let words = |text: &str| catalogue::Query { text: text.into(), ..base.clone() };
    assert_eq!(found(words("spent"))[0], "feature:purchases.spent");
    assert_eq!(found(words("voucher")), ["use_case:next_order"]);
    assert_eq!(found(words("nothing of the sort")), Vec::<String>::new());
    assert_eq!(found(catalogue::Query { owner: Some("grace".into()), ..base.clone() }), ["model:response"]);
    let fields = found(catalogue::Query { field: Some("total".into()), ..base.clone() });
    assert!(
        fields.contains(&"column:pg://dwh/mart.revenue#sum".into())
            && fields.contains(&"model:response".into())
    );
    let marketing = found(catalogue::Query {
        purpose: Some("marketing".into()),
        kind: Some(Kind::Feature),
        ..base.clone()
    });
    assert_eq!(marketing.len(), 4);
    let untested = found(catalogue::Query { untested: true, kind: Some(Kind::Field), ..base.clone() });
    assert_eq!(untested, ["field:orders.note"]);
    let personal = found(catalogue::Query { personal: Some(true), kind: Some(Kind::Feature), ..base });
    assert_eq!(personal, ["feature:purchases.last_email"]);
}

#[test]
fn what_the_house_tells_reads_back_as_what_it_is() {
    let graph = built(&[]);
    let events =
        Author::new(Names::default(), "0.1.0", "2026-11-24T09:00:00Z".parse().unwrap()).graph(&graph);
    let told: Vec<Told> = events.iter().map(|event| openlineage::read(event).unwrap()).collect();
    // Another house, which calls its own things otherwise, reads them as those of a tool.
    let mut builder = Builder::new(Names::new("elsewhere"));
    for told in &told {
        builder.told(&told.clone().into());
    }
    let again = builder.build();
    let there = |id: &NodeId| match Names::default().dataset_of(id).unwrap() {
        (name, Some(column)) => NodeId::new(Kind::Column, format!("maschinenraum/{name}#{column}")),
        (name, None) => NodeId::new(Kind::Dataset, format!("maschinenraum/{name}")),
    };
    for edge in graph.edges() {
        let (from, to) = (edge.from.kind(), edge.to.kind());
        if matches!(from, Kind::Field | Kind::Feature)
            && matches!(to, Kind::Feature | Kind::Model | Kind::UseCase)
        {
            let (from, to) = (there(&edge.from), there(&edge.to));
            assert!(again.edges_of(&from, Direction::Down).any(|e| e.to == to), "{edge:?} is lost");
        }
    }
    // To itself it tells nothing new.
    let mut builder = Builder::new(Names::default());
    for told in &told {
        builder.told(&told.clone().into());
    }
    assert_eq!(builder.build().edges().len(), 0);
    let spent = events.iter().find(|event| event["job"]["name"] == "feature/purchases").unwrap();
    let made = &spent["outputs"][0]["facets"]["columnLineage"]["fields"]["spent"]["inputFields"];
    let total = made.as_array().unwrap().iter().find(|input| input["field"] == "total").unwrap();
    assert_eq!(total["transformations"][0]["subtype"], "AGGREGATION");
    assert_eq!(graph.edges().iter().filter(|edge| edge.how == How::Scores).count(), 1);
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "job",
        "run",
        "dataset",
        "inputs",
        "outputs",
        "facets",
        "namespace",
        "name",
        "columnLineage",
        "fields",
        "inputFields",
        "field",
        "transformations",
        "type",
        "subtype",
        "tags",
        "key",
        "value",
        "schema",
        "ownership",
        "owners",
        "dataQualityAssertions",
        "assertions",
        "success",
        "_deleted",
        "runId",
        "jobType",
        "documentation",
        "description",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(Value::from("pii")),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let words = words.clone();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((words, inner), 0..6).prop_map(|members| Value::Object(
                members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn whatever_is_sent_is_taken_or_refused(mut event in any_json()) {
        if let Value::Object(event) = &mut event {
            event.insert("eventTime".into(), "2026-11-24T09:00:00Z".into());
            event.insert("producer".into(), "p".into());
        }
        if let Ok(told) = openlineage::read(&event) {
            let again: Told = serde_json::from_slice(&told.to_payload()).unwrap();
            prop_assert_eq!(&again, &told);
            let graph = built(&[told]);
            prop_assert!(graph.cycles().len() <= graph.nodes().count());
        }
    }
}
