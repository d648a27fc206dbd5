//! OpenLineage events: taken or refused, kept, bounded, and told again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use common::{built, dashboard};
use event::{Partition, Payload, Record, StreamName, Subject, Version};
use lineage::openlineage::{self, Author, Names, Told};
use lineage::{Builder, Direction, How, Kind, LINEAGE, LineageFold, NodeId, Tables};
use proptest::prelude::*;
use serde_json::{Value, json};
use store::{Emissions, Fold, Scope};

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
