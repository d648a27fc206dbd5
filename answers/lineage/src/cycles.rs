//! Circles: things that are made from each other. Tarjan's strongly connected components, without recursion, so that a
//! chain of any length cannot exhaust the stack.

use std::collections::BTreeMap;

use contract::{Finding, Severity};

use crate::error::codes;
use crate::{Direction, Graph, NodeId};

/// How many members of a circle a finding names.
const MOST_NAMED: usize = 8;

#[derive(Clone, Copy)]
struct Mark {
    index: usize,
    low: usize,
    on_stack: bool,
}

impl Graph {
    /// Every circle: its members, sorted. A thing that is made from itself is one too.
    pub fn cycles(&self) -> Vec<Vec<NodeId>> {
        let mut marks: BTreeMap<&NodeId, Mark> = BTreeMap::new();
        let mut stack: Vec<&NodeId> = Vec::new();
        let mut found = Vec::new();
        for start in self.nodes().map(|node| &node.id) {
            if marks.contains_key(start) {
                continue;
            }
            // (node, its successors still to be looked at)
            let mut calls: Vec<(&NodeId, Vec<&NodeId>)> = Vec::new();
            enter(self, start, &mut marks, &mut stack, &mut calls);
            while let Some((id, rest)) = calls.last_mut() {
                let id = *id;
                if let Some(next) = rest.pop() {
                    match marks.get(next).copied() {
                        None => enter(self, next, &mut marks, &mut stack, &mut calls),
                        Some(mark) if mark.on_stack => lower(&mut marks, id, mark.index),
                        Some(_) => {}
                    }
                    continue;
                }
                calls.pop();
                let Some(mark) = marks.get(id).copied() else { continue };
                if let Some((parent, _)) = calls.last() {
                    lower(&mut marks, parent, mark.low);
                }
                if mark.low == mark.index {
                    let mut members = Vec::new();
                    while let Some(member) = stack.pop() {
                        if let Some(mark) = marks.get_mut(member) {
                            mark.on_stack = false;
                        }
                        members.push(member.clone());
                        if member == id {
                            break;
                        }
                    }
                    let is_own = self.edges_of(id, Direction::Down).any(|edge| edge.to == *id);
                    if members.len() > 1 || is_own {
                        members.sort();
                        found.push(members);
                    }
                }
            }
        }
        found.sort();
        found
    }

    /// One finding per circle (MR2301).
    pub fn cycle_findings(&self) -> Vec<Finding> {
        let said = |members: &Vec<NodeId>| {
            let mut names: Vec<String> = members.iter().take(MOST_NAMED).map(NodeId::to_string).collect();
            if members.len() > MOST_NAMED {
                names.push(format!("{} more", members.len() - MOST_NAMED));
            }
            Finding {
                code: codes::CYCLE,
                severity: Severity::Warning,
                stream: String::new(),
                field: None,
                message: format!(
                    "made from each other in a circle: {}; whatever is wrong in one of them feeds on itself",
                    names.join(", ")
                ),
                file: None,
                line: None,
            }
        };
        self.cycles().iter().map(said).collect()
    }
}

fn enter<'g>(
    graph: &'g Graph,
    id: &'g NodeId,
    marks: &mut BTreeMap<&'g NodeId, Mark>,
    stack: &mut Vec<&'g NodeId>,
    calls: &mut Vec<(&'g NodeId, Vec<&'g NodeId>)>,
) {
    let index = marks.len();
    marks.insert(id, Mark { index, low: index, on_stack: true });
    stack.push(id);
    calls.push((id, graph.edges_of(id, Direction::Down).map(|edge| &edge.to).collect()));
}

fn lower(marks: &mut BTreeMap<&NodeId, Mark>, id: &NodeId, low: usize) {
    if let Some(mark) = marks.get_mut(id) {
        mark.low = mark.low.min(low);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::{How, Kind};

    fn graph(edges: &[(u32, u32)]) -> Graph {
        let id = |n: &u32| NodeId::new(Kind::Dataset, format!("d/{n:06}"));
        let edges: BTreeSet<_> = edges.iter().map(|(a, b)| (id(a), id(b), How::Reads, None)).collect();
        Graph::new(BTreeMap::new(), edges)
    }

    fn check(edges: &[(u32, u32)], expected: &[&[u32]]) {
        let found: Vec<Vec<String>> = graph(edges)
            .cycles()
            .iter()
            .map(|members| members.iter().map(|id| id.name().trim_start_matches("d/").to_owned()).collect())
            .collect();
        let expected: Vec<Vec<String>> =
            expected.iter().map(|members| members.iter().map(|n| format!("{n:06}")).collect()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn circles_are_found_and_trees_are_none() {
        check(&[(1, 2), (2, 3), (1, 3)], &[]);
        check(&[(1, 2), (2, 1), (2, 3), (3, 4), (4, 3)], &[&[1, 2], &[3, 4]]);
        check(&[(7, 7)], &[&[7]]);
        check(&[(1, 2), (2, 3), (3, 1), (3, 4), (4, 2)], &[&[1, 2, 3, 4]]);
    }

    #[test]
    fn a_circle_of_a_hundred_thousand_exhausts_nothing() {
        let n = 100_000;
        let edges: Vec<(u32, u32)> = (0..n).map(|i| (i, (i + 1) % n)).collect();
        let findings = graph(&edges).cycle_findings();
        assert_eq!(findings.len(), 1);
        assert!(findings.iter().all(|f| f.message.contains("99992 more")), "{findings:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn two_are_in_one_circle_exactly_where_each_reaches_the_other(
            edges in prop::collection::vec((0_u32..12, 0_u32..12), 0..40)
        ) {
            let graph = graph(&edges);
            let cycles = graph.cycles();
            let together = |a: &NodeId, b: &NodeId| {
                cycles.iter().any(|members| members.contains(a) && members.contains(b))
            };
            let reaches = |a: &NodeId, b: &NodeId| {
                graph.trace(a, Direction::Down, usize::MAX).iter().any(|step| step.node.id == *b)
            };
            for a in graph.nodes() {
                for b in graph.nodes().filter(|b| b.id > a.id) {
                    prop_assert_eq!(together(&a.id, &b.id), reaches(&a.id, &b.id) && reaches(&b.id, &a.id));
                }
            }
        }
    }
}
