//! What a change would break, before it is made.

use std::collections::{BTreeMap, VecDeque};

use contract::{Finding, Severity};
use serde::Serialize;

use crate::error::codes;
use crate::{Direction, Edge, Graph, How, Kind, NodeId};

/// How many things of one kind a message names.
const MOST_NAMED: usize = 6;

/// A thing that a change touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Touch {
    /// The thing, as it is called in the graph of what is in force.
    pub node: NodeId,
    /// What happens to it: "`total` is removed".
    pub what: String,
    /// True where what is made from it can no longer be made; false where it is made and may mean something else.
    pub breaks: bool,
}

/// Something that a change reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// What it is.
    pub node: NodeId,
    /// Who answers for it.
    pub owner: Option<String>,
    /// True where it breaks; false where it may.
    pub breaks: bool,
    /// What is done to the thing that it is made from.
    pub because: String,
    /// The way from there.
    pub path: Vec<NodeId>,
}

/// All that a change reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// By kind, as things flow through the house, then by name; each thing once for each cause.
    pub hits: Vec<Hit>,
}

/// Follows changes through the graph of what is in force.
pub fn impact(graph: &Graph, touches: &[Touch]) -> Impact {
    let mut hits = Vec::new();
    for touch in touches {
        let mut surely = reach(graph, &touch.node, is_sure);
        let mut perhaps = reach(graph, &touch.node, |_| true);
        if touch.node.kind() == Kind::Field {
            // Who reads the whole of a stream from outside reads this field too, for all we were told.
            let stream = touch.node.name().split_once('.').map(|(stream, _)| NodeId::stream(stream));
            for stream in stream.into_iter() {
                let outside = |edge: &Edge| edge.from != stream || edge.to.kind().is_external();
                for (id, mut path) in reach(graph, &stream, outside) {
                    path.insert(0, touch.node.clone());
                    perhaps.entry(id).or_insert(path);
                }
            }
        }
        let is_made = !matches!(touch.node.kind(), Kind::Source | Kind::Stream | Kind::Field);
        if is_made && graph.node(&touch.node).is_some() {
            perhaps.insert(touch.node.clone(), vec![touch.node.clone()]);
            surely.insert(touch.node.clone(), vec![touch.node.clone()]);
        }
        for (id, path) in perhaps {
            let sure = surely.get(&id);
            hits.push(Hit {
                owner: graph.node(&id).and_then(|node| node.owner.clone()),
                breaks: touch.breaks && sure.is_some(),
                because: touch.what.clone(),
                path: sure.cloned().unwrap_or(path),
                node: id,
            });
        }
    }
    hits.sort_by(|a, b| (!a.breaks, &a.node, &a.because).cmp(&(!b.breaks, &b.node, &b.because)));
    Impact { hits }
}

/// On these something surely ends; another tool's dataset may do without one of its columns.
fn is_sure(edge: &Edge) -> bool {
    edge.how != How::Part
        && !(edge.how == How::Reads && (edge.from.kind().is_external() || edge.to.kind().is_external()))
}

/// All that is made from a thing by such edges, with the way there.
fn reach(graph: &Graph, from: &NodeId, goes: impl Fn(&Edge) -> bool) -> BTreeMap<NodeId, Vec<NodeId>> {
    let mut ways: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    let mut waiting = VecDeque::from([vec![from.clone()]]);
    while let Some(way) = waiting.pop_front() {
        let Some(last) = way.last() else { continue };
        for edge in graph.edges_of(last, Direction::Down).filter(|edge| goes(edge)) {
            if edge.to == *from || ways.contains_key(&edge.to) {
                continue;
            }
            let mut longer = way.clone();
            longer.push(edge.to.clone());
            ways.insert(edge.to.clone(), longer.clone());
            waiting.push_back(longer);
        }
    }
    ways
}

impl Impact {
    /// True where nothing is reached.
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }

    /// True where something breaks.
    pub fn breaks(&self) -> bool {
        self.hits.iter().any(|hit| hit.breaks)
    }

    /// The things of one kind that break, each once, sorted.
    pub fn broken(&self, kind: Kind) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .hits
            .iter()
            .filter(|hit| hit.breaks && hit.node.kind() == kind)
            .map(|hit| hit.node.name())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// One finding per cause (MR2305): an error where something breaks, a warning where something may.
    pub fn findings(&self, stream: &str, file: Option<&str>) -> Vec<Finding> {
        let mut by_cause: BTreeMap<(bool, &str), Vec<&Hit>> = BTreeMap::new();
        for hit in &self.hits {
            by_cause.entry((!hit.breaks, &hit.because)).or_default().push(hit);
        }
        let finding = |((may, because), hits): (&(bool, &str), &Vec<&Hit>)| Finding {
            code: codes::BREAKS,
            severity: if *may { Severity::Warning } else { Severity::Error },
            stream: stream.to_owned(),
            field: None,
            message: format!("{because}: {} {}", if *may { "may change" } else { "breaks" }, list(hits)),
            file: file.map(str::to_owned),
            line: None,
        };
        by_cause.iter().map(finding).collect()
    }
}

/// `features a, b, model c (Ada)`
fn list(hits: &[&Hit]) -> String {
    let mut parts = Vec::new();
    for kind in Kind::ALL {
        let mut of_kind: Vec<String> = hits
            .iter()
            .filter(|hit| hit.node.kind() == kind)
            .map(|hit| {
                match hit
                    .owner
                    .as_deref()
                    .filter(|_| matches!(kind, Kind::Segment | Kind::Model | Kind::UseCase | Kind::Job))
                {
                    Some(owner) => format!("{} ({owner})", hit.node.name()),
                    None => hit.node.name().to_owned(),
                }
            })
            .collect();
        of_kind.dedup();
        let n = of_kind.len();
        if n == 0 {
            continue;
        }
        if n > MOST_NAMED {
            of_kind.truncate(MOST_NAMED);
            of_kind.push(format!("{} more", n - MOST_NAMED));
        }
        let plural = if n == 1 { "" } else { "s" };
        parts.push(format!("{}{plural} {}", kind.words(), of_kind.join(", ")));
    }
    parts.join("; ")
}
