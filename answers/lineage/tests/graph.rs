//! From contracts, views, models, use cases and other tools' events to what is made from what.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod common;

use common::{built, dashboard};
use lineage::openlineage;
use lineage::{Direction, Graph, Kind, NodeId, Touch, catalogue, impact};
use serde_json::json;

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
