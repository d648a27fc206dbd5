//! The graph: things, what happens between them, and the ways through it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::error::short;
use crate::{Error, Kind, NodeId};

/// What happens on an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The value goes through as it is.
    Same,
    /// The value is read as another type; what went in can be told from what comes out.
    Derived,
    /// Something is computed from it.
    Computed,
    /// Many values become one.
    Aggregated,
    /// One value of many is kept.
    Picked,
    /// It decides which records count.
    Filters,
    /// It names whose the record is; a keyed hash of it goes on.
    Identifies,
    /// It says when something happened, or was known.
    Times,
    /// It is a part of it: a column of a dataset.
    Part,
    /// It takes part as a whole: records of a stream are counted, a dataset is read by a job.
    Reads,
    /// A model learns from it.
    Teaches,
    /// It is the outcome that a model learns to tell.
    Labels,
    /// A decision looks at it.
    Informs,
    /// A model scores for a use case.
    Scores,
    /// Actions leave by it.
    Acts,
}

impl How {
    /// The spelling in JSON and on the terminal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Derived => "derived",
            Self::Computed => "computed",
            Self::Aggregated => "aggregated",
            Self::Picked => "picked",
            Self::Filters => "filters",
            Self::Identifies => "identifies",
            Self::Times => "times",
            Self::Part => "part",
            Self::Reads => "reads",
            Self::Teaches => "teaches",
            Self::Labels => "labels",
            Self::Informs => "informs",
            Self::Scores => "scores",
            Self::Acts => "acts",
        }
    }

    /// True where what went in cannot be told from what came out.
    pub fn is_lossy(self) -> bool {
        !matches!(self, Self::Same | Self::Derived | Self::Part | Self::Informs | Self::Acts)
    }

    /// True where the value itself, or something computed from it, goes on. A key goes on as a keyed hash only, and what
    /// a model learnt says nothing about one person by itself.
    pub fn carries_values(self) -> bool {
        matches!(
            self,
            Self::Same
                | Self::Derived
                | Self::Computed
                | Self::Informs
                | Self::Aggregated
                | Self::Picked
                | Self::Filters
                | Self::Part
                | Self::Reads
        )
    }
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// What it is about, for people.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it may be used for.
    pub purposes: Vec<String>,
    /// Its version.
    pub version: Option<String>,
    /// The type of its values, or what sort of job it is.
    pub type_name: Option<String>,
    /// How sensitive a field is.
    pub classification: Option<String>,
    /// True where it holds personal values, or something computed from them.
    pub personal: bool,
    /// What tests it; `None` where nothing does.
    pub tested_by: Option<String>,
    /// The file that describes it.
    pub file: Option<String>,
}

impl Node {
    /// A thing of which only the name is known.
    pub fn new(id: NodeId) -> Self {
        Self {
            id,
            description: None,
            owner: None,
            purposes: Vec::new(),
            version: None,
            type_name: None,
            classification: None,
            personal: false,
            tested_by: None,
            file: None,
        }
    }
}

/// What is made from what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    /// What goes in.
    pub from: NodeId,
    /// What comes out.
    pub to: NodeId,
    /// What happens.
    pub how: How,
    /// More about it: the place in the raw document, the job in between.
    pub via: Option<String>,
    /// Information is lost on it.
    pub lossy: bool,
    /// Nothing tests what comes out.
    pub untested: bool,
    /// Personal data flow on it.
    pub personal: bool,
}

/// Which way to go from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what it is made from.
    Up,
    /// To what is made from it.
    Down,
}

/// A node that was reached, how far away it is, and by which edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step<'g> {
    /// How many edges away.
    pub depth: usize,
    /// The edge by which it was reached first.
    pub edge: &'g Edge,
    /// What was reached.
    pub node: &'g Node,
}

/// Everything that is made from something.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<NodeId, Node>,
    /// Sorted by what goes in.
    edges: Vec<Edge>,
    down: BTreeMap<NodeId, Vec<usize>>,
    up: BTreeMap<NodeId, Vec<usize>>,
}

impl Graph {
    /// A graph of these nodes and edges. Marks are set here: personal data are followed along the edges that carry
    /// values, and an edge is untested where nothing tests its end.
    pub(crate) fn new(
        mut nodes: BTreeMap<NodeId, Node>,
        edges: BTreeSet<(NodeId, NodeId, How, Option<String>)>,
    ) -> Self {
        let edges = edges.into_iter().map(|(from, to, how, via)| {
            let (lossy, untested, personal) = (how.is_lossy(), false, false);
            Edge { from, to, how, via, lossy, untested, personal }
        });
        let mut edges: Vec<Edge> = edges.collect();
        for edge in &edges {
            for end in [&edge.from, &edge.to] {
                nodes.entry(end.clone()).or_insert_with(|| Node::new(end.clone()));
            }
        }
        let (mut down, mut up) = (BTreeMap::new(), BTreeMap::new());
        for (i, edge) in edges.iter().enumerate() {
            down.entry(edge.from.clone()).or_insert_with(Vec::new).push(i);
            up.entry(edge.to.clone()).or_insert_with(Vec::new).push(i);
        }
        let mut waiting: VecDeque<NodeId> =
            nodes.values().filter(|node| node.personal).map(|node| node.id.clone()).collect();
        while let Some(id) = waiting.pop_front() {
            for i in down.get(&id).into_iter().flatten() {
                let Some(edge) = edges.get(*i).filter(|edge| edge.how.carries_values()) else { continue };
                if let Some(node) = nodes.get_mut(&edge.to).filter(|node| !node.personal) {
                    node.personal = true;
                    waiting.push_back(edge.to.clone());
                }
            }
        }
        for edge in &mut edges {
            edge.personal = nodes.get(&edge.from).is_some_and(|node| node.personal);
            edge.untested = nodes.get(&edge.to).is_none_or(|node| node.tested_by.is_none());
        }
        Self { nodes, edges, down, up }
    }

    /// A thing.
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Everything, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// All edges, by what goes in.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The edges that end at a node (up), or begin there (down).
    pub fn edges_of(&self, id: &NodeId, direction: Direction) -> impl Iterator<Item = &Edge> {
        let map = match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        };
        map.get(id).into_iter().flatten().filter_map(|i| self.edges.get(*i))
    }

    /// The node that `text` names: `field:orders.total`, or `orders.total` where only one thing is called so.
    ///
    /// # Errors
    /// [`Error::Unknown`], with what it may have been meant to be.
    pub fn find(&self, text: &str) -> Result<&Node, Error> {
        if let Some(node) = text.parse().ok().and_then(|id: NodeId| self.nodes.get(&id)) {
            return Ok(node);
        }
        let named: Vec<&Node> = self.nodes.values().filter(|node| node.id.name() == text).collect();
        if let [one] = named.as_slice() {
            return Ok(one);
        }
        let mut nearest: Vec<String> = named.iter().map(|node| node.id.to_string()).collect();
        if nearest.is_empty() {
            nearest = self.nearest(text);
        }
        Err(Error::Unknown { name: short(text), nearest })
    }

    /// Up to three names that hold the last word of what was asked for.
    fn nearest(&self, text: &str) -> Vec<String> {
        let bare = text.rsplit([':', '.', '/', '#']).next().unwrap_or(text).to_lowercase();
        if bare.chars().count() < 3 {
            return Vec::new();
        }
        let holds = |node: &&Node| {
            let name = node.id.name().to_lowercase();
            name.contains(&bare)
                || name.rsplit(['.', '#']).next().is_some_and(|last| last.len() > 2 && bare.contains(last))
        };
        self.nodes.values().filter(holds).take(3).map(|node| node.id.to_string()).collect()
    }

    /// All that is reached from a node, nearest first, each once; circles end where they began.
    ///
    /// * `depth`: how many edges to go at most
    pub fn trace(&self, from: &NodeId, direction: Direction, depth: usize) -> Vec<Step<'_>> {
        let mut seen: BTreeSet<&NodeId> = BTreeSet::new();
        let mut steps: Vec<Step<'_>> = Vec::new();
        let mut ring: Vec<&NodeId> = self.nodes.get_key_value(from).map(|(id, _)| id).into_iter().collect();
        seen.extend(&ring);
        for depth in 1..=depth {
            let mut next = Vec::new();
            for id in ring {
                for edge in self.edges_of(id, direction) {
                    let end = match direction {
                        Direction::Up => &edge.from,
                        Direction::Down => &edge.to,
                    };
                    if let Some(node) = self.nodes.get(end).filter(|_| seen.insert(end)) {
                        steps.push(Step { depth, edge, node });
                        next.push(end);
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            ring = next;
        }
        steps
    }

    /// How many things of other tools there are.
    pub fn n_external(&self) -> usize {
        self.nodes.keys().filter(|id| id.kind().is_external()).count()
    }

    /// The nodes of one kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(move |node| node.id.kind() == kind)
    }
}
