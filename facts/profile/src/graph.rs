//! One profile as a graph: its members, and the links that hold them together.
//!
//! Of all links ever accepted the earliest known of each pair is kept: it depends on the set of links, not on their
//! order, the limits of a profile bound it, and it answers "as of" by leaving younger edges away and "without this one"
//! by leaving a member away.

use std::collections::{BTreeMap, BTreeSet};

use event::{Instant, RecordId, Subject};
use serde::{Deserialize, Serialize};

/// Why two identifiers are together: a record that carried both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The more trusted identifier.
    pub a: Subject,
    /// The other.
    pub b: Subject,
    /// Since when it counts.
    pub known_at: Instant,
    /// When it happened.
    pub occurred_at: Instant,
    /// The record of `mr.links`.
    pub record: RecordId,
}

impl Edge {
    /// Earlier known is lighter; the rest only makes the order total.
    fn weight(&self) -> (Instant, RecordId, Subject, Subject) {
        (self.known_at, self.record, self.a, self.b)
    }

    fn touches(&self, subject: Subject) -> bool {
        self.a == subject || self.b == subject
    }

    fn other(&self, subject: Subject) -> Subject {
        if self.a == subject { self.b } else { self.a }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Component {
    /// Type by member.
    members: BTreeMap<Subject, Box<str>>,
    /// One per pair, the lightest edge first.
    edges: Vec<Edge>,
}

impl Component {
    pub(crate) fn single(subject: Subject, kind: &str) -> Self {
        Self { members: BTreeMap::from([(subject, kind.into())]), edges: Vec::new() }
    }

    /// The name of the profile: the more trusted end of the link known first. It stays the same when later
    /// identifiers join, and it does not depend on the order in which links were folded.
    pub(crate) fn id(&self) -> Option<Subject> {
        let first = self.edges.first().map(|edge| edge.a);
        first.or_else(|| self.members.keys().next().copied())
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (Subject, &str)> {
        self.members.iter().map(|(subject, kind)| (*subject, &**kind))
    }

    pub(crate) fn kind(&self, subject: Subject) -> Option<&str> {
        self.members.get(&subject).map(|kind| &**kind)
    }

    /// Takes in the members and links of another.
    pub(crate) fn absorb(&mut self, other: &Component) {
        self.members.extend(other.members.iter().map(|(subject, kind)| (*subject, kind.clone())));
        self.edges.extend(other.edges.iter().cloned());
        self.edges.sort_by_key(Edge::weight);
    }

    /// Adds a link between two members. Of two links of one pair the lighter stays.
    pub(crate) fn connect(&mut self, edge: Edge) {
        if let Some(known) =
            self.edges.iter().position(|known| known.touches(edge.a) && known.touches(edge.b))
        {
            if self.edges.get(known).is_none_or(|known| known.weight() <= edge.weight()) {
                return;
            }
            self.edges.remove(known);
        }
        let at = self.edges.partition_point(|step| step.weight() < edge.weight());
        self.edges.insert(at, edge);
    }

    /// The links that hold members together, each the earliest that could: the minimum spanning tree.
    fn tree(&self) -> Vec<&Edge> {
        let mut root: BTreeMap<Subject, Subject> = BTreeMap::new();
        let mut tree = Vec::new();
        for edge in &self.edges {
            let of = |s: Subject, root: &BTreeMap<Subject, Subject>| root.get(&s).copied().unwrap_or(s);
            let (a, b) = (of(edge.a, &root), of(edge.b, &root));
            if a == b {
                continue;
            }
            tree.push(edge);
            root.values_mut().filter(|r| **r == b).for_each(|r| *r = a);
            root.insert(edge.a, a);
            root.insert(edge.b, a);
            root.insert(a, a);
            root.insert(b, a);
        }
        tree
    }

    /// The links from `a` to `b`, the earliest there are; none where they are the same, `None` where they are not
    /// together.
    pub(crate) fn path(&self, a: Subject, b: Subject) -> Option<Vec<Edge>> {
        let tree = self.tree();
        let mut came_by: BTreeMap<Subject, Option<&Edge>> = BTreeMap::from([(a, None)]);
        let mut open = vec![a];
        while let Some(at) = open.pop() {
            for edge in tree.iter().filter(|edge| edge.touches(at)) {
                let next = edge.other(at);
                came_by.entry(next).or_insert_with(|| {
                    open.push(next);
                    Some(*edge)
                });
            }
        }
        let mut path = Vec::new();
        let mut at = b;
        while let Some(edge) = came_by.get(&at)? {
            path.push((*edge).clone());
            at = edge.other(at);
        }
        path.reverse();
        Some(path)
    }

    /// What is together with `subject` by links known at `t` (all links for `None`), never by way of who is `out`; who
    /// is `out` itself is alone.
    pub(crate) fn part(&self, subject: Subject, t: Option<Instant>, out: &BTreeSet<Subject>) -> Component {
        let known = t.map_or(self.edges.len(), |t| self.edges.partition_point(|edge| edge.known_at <= t));
        let known = self.edges.get(..known).unwrap_or_default();
        let known: Vec<&Edge> = known.iter().filter(|e| !out.contains(&e.a) && !out.contains(&e.b)).collect();
        let mut part = Component::single(subject, self.kind(subject).unwrap_or_default());
        let mut open = vec![subject];
        while let Some(at) = open.pop() {
            for edge in known.iter().filter(|edge| edge.touches(at)) {
                let next = edge.other(at);
                let kind = self.kind(next).unwrap_or_default();
                if part.members.insert(next, kind.into()).is_none() {
                    open.push(next);
                }
            }
        }
        part.edges = known.into_iter().filter(|edge| part.members.contains_key(&edge.a)).cloned().collect();
        part
    }

    /// What is left without some members: the parts that links still hold together, one of a single member each where
    /// nothing does.
    pub(crate) fn without(&self, gone: &BTreeSet<Subject>) -> Vec<Component> {
        let mut left: BTreeSet<Subject> =
            self.members.keys().filter(|m| !gone.contains(m)).copied().collect();
        let mut parts = Vec::new();
        while let Some(first) = left.pop_first() {
            let part = self.part(first, None, gone);
            part.members.keys().for_each(|member| {
                left.remove(member);
            });
            parts.push(part);
        }
        parts
    }

    /// Which of two parts is older: whose first link was known first; who is alone comes last.
    pub(crate) fn age(&self) -> (bool, Option<(Instant, RecordId)>, Option<Subject>) {
        let first = self.edges.first();
        (first.is_none(), first.map(|edge| (edge.known_at, edge.record)), self.id())
    }
}
