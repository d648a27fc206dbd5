//! Trees as flat lists: stored alike every time, checked when read, walked fast.
//!
//! A node's children come after it, so that a walk always ends; [`Forest::is_sound`] refuses anything else.

use perpetual::PerpetualBooster;
use perpetual::tree::core::Tree as GrownTree;
use serde::{Deserialize, Serialize};

use super::TreesSummary;
use crate::Error;

/// All trees, and the log-odds before the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(crate) struct Forest {
    base: f64,
    roots: Vec<u32>,
    nodes: Vec<Node>,
    /// Expected logit over the training rows: the base plus what each root expects.
    average: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Node {
    /// At a leaf what it adds to the log-odds; elsewhere the average of the leaves below, by training weight.
    expected: f64,
    test: Test,
    column: u32,
    left: u32,
    right: u32,
    missing: u32,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Leaf,
    /// Left where the value is smaller.
    Below(f64),
    /// Left where the category's place is in the set (a bit for each place).
    OneOf(Box<[u64]>),
}

impl Forest {
    /// * `orders`: by column the place of each rank, where it was grown over ranks of categories; else empty
    pub(crate) fn from_booster(booster: &PerpetualBooster, orders: &[Vec<u32>]) -> Result<Self, Error> {
        let bad = || Error::Trees { reason: "its trees are not connected".into() };
        let mut forest =
            Forest { base: booster.base_score, roots: Vec::new(), nodes: Vec::new(), average: 0.0 };
        for tree in booster.get_prediction_trees() {
            let root = flatten(tree, 0, orders, &mut forest.nodes).ok_or_else(bad)?;
            forest.roots.push(root.place);
        }
        forest.average = forest.expected_logit();
        if forest.is_sound(orders.len()) { Ok(forest) } else { Err(bad()) }
    }

    pub(crate) fn logit_of(&self, row: &[f64]) -> f64 {
        let mut sum = self.base;
        for root in &self.roots {
            let mut node = self.nodes.get(*root as usize);
            while let Some(here) = node {
                match here.child(row) {
                    Some(next) => node = self.nodes.get(next as usize),
                    None => {
                        sum += here.expected;
                        break;
                    }
                }
            }
        }
        sum
    }

    pub(crate) fn explain(&self, row: &[f64], contributions: &mut [f64]) -> f64 {
        for root in &self.roots {
            let mut node = self.nodes.get(*root as usize);
            while let Some(here) = node {
                node = here.child(row).and_then(|next| self.nodes.get(next as usize));
                if let (Some(next), Some(part)) = (node, contributions.get_mut(here.column as usize)) {
                    *part += next.expected - here.expected;
                }
            }
        }
        self.average
    }

    pub(crate) fn summary(&self) -> TreesSummary {
        TreesSummary { n_trees: self.roots.len(), n_nodes: self.nodes.len() }
    }

    /// Whether every walk over rows of `n_columns` values ends at a leaf with a finite sum.
    pub(crate) fn is_sound(&self, n_columns: usize) -> bool {
        let n_nodes = self.nodes.len();
        let is_sound = |(i, node): (usize, &Node)| {
            let later = |child: u32| (child as usize) > i && (child as usize) < n_nodes;
            let connected = later(node.left) && later(node.right) && later(node.missing);
            let asks = connected && (node.column as usize) < n_columns;
            node.expected.is_finite() && (node.test == Test::Leaf || asks)
        };
        self.base.is_finite()
            && self.average.is_finite()
            && self.roots.iter().all(|root| (*root as usize) < n_nodes)
            && self.nodes.iter().enumerate().all(is_sound)
    }

    fn expected_logit(&self) -> f64 {
        let of_root = |root: &u32| self.nodes.get(*root as usize).map_or(0.0, |n| n.expected);
        self.base + self.roots.iter().map(of_root).sum::<f64>()
    }
}

impl Node {
    fn child(&self, row: &[f64]) -> Option<u32> {
        let value = row.get(self.column as usize).copied().unwrap_or(f64::NAN);
        let left = match &self.test {
            Test::Leaf => return None,
            _ if value.is_nan() => return Some(self.missing),
            Test::Below(threshold) => value < *threshold,
            Test::OneOf(set) => {
                let place = value as usize;
                set.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
            }
        };
        Some(if left { self.left } else { self.right })
    }
}

/// A node just written: where, what it expects, and how much of the training data came by.
struct Written {
    place: u32,
    expected: f64,
    cover: f64,
}

/// Writes the node `number` and all below it, parents first.
fn flatten(tree: &GrownTree, number: usize, orders: &[Vec<u32>], nodes: &mut Vec<Node>) -> Option<Written> {
    let grown = tree.nodes.get(&number)?;
    let place = nodes.len();
    let cover = f64::from(grown.hessian_sum);
    let expected = f64::from(grown.weight_value);
    nodes.push(Node { expected, test: Test::Leaf, column: 0, left: 0, right: 0, missing: 0 });
    let written = |expected| Some(Written { place: u32::try_from(place).ok()?, expected, cover });
    if grown.is_leaf {
        return written(expected);
    }
    let left = flatten(tree, grown.left_child, orders, nodes)?;
    let right = flatten(tree, grown.right_child, orders, nodes)?;
    let own_branch = grown.missing_node != grown.left_child && grown.missing_node != grown.right_child;
    let third = if own_branch { Some(flatten(tree, grown.missing_node, orders, nodes)?) } else { None };
    let missing = match &third {
        Some(branch) => branch.place,
        None if grown.missing_node == grown.left_child => left.place,
        None => right.place,
    };
    let children = [Some(&left), Some(&right), third.as_ref()];
    let total: f64 = children.iter().flatten().map(|c| c.cover).sum();
    let sum: f64 = children.iter().flatten().map(|c| c.cover * c.expected).sum();
    let node = nodes.get_mut(place)?;
    node.expected = if total > 0.0 { sum / total } else { 0.5 * (left.expected + right.expected) };
    node.column = u32::try_from(grown.split_feature).ok()?;
    (node.left, node.right, node.missing) = (left.place, right.place, missing);
    let ranked = orders.get(grown.split_feature).filter(|order| !order.is_empty());
    node.test = match ranked {
        None => Test::Below(grown.split_value),
        Some(order) => {
            let left = order.iter().enumerate().filter(|(rank, _)| (*rank as f64) < grown.split_value);
            Test::OneOf(bit_set(left.map(|(_, place)| *place)))
        }
    };
    written(node.expected)
}

fn bit_set(places: impl Iterator<Item = u32>) -> Box<[u64]> {
    let mut set: Vec<u64> = Vec::new();
    for place in places {
        let word = place as usize / 64;
        if word >= set.len() {
            set.resize(word + 1, 0);
        }
        if let Some(word) = set.get_mut(word) {
            *word |= 1 << (place % 64);
        }
    }
    set.into()
}

/// The stored form: one list per property of a tree's nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stored {
    base: f64,
    trees: Vec<StoredTree>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct StoredTree {
    /// Which column a node asks; −1 at a leaf.
    column: Vec<i32>,
    /// Left where the value is smaller; 0 where the node asks for a category, and at a leaf.
    threshold: Vec<f64>,
    /// Children by place in these lists; 0 at a leaf.
    left: Vec<u32>,
    right: Vec<u32>,
    missing: Vec<u32>,
    /// At a leaf what it adds to the log-odds; elsewhere the average of the leaves below.
    expected: Vec<f64>,
    /// For nodes that ask for a category: the node, and the places that go left.
    sets: Vec<(u32, Vec<u32>)>,
}

impl From<Forest> for Stored {
    fn from(forest: Forest) -> Self {
        let mut ends: Vec<usize> = forest.roots.iter().skip(1).map(|r| *r as usize).collect();
        ends.push(forest.nodes.len());
        let trees = forest.roots.iter().zip(ends).map(|(root, end)| {
            let mut tree = StoredTree::default();
            let nodes = forest.nodes.get(*root as usize..end).unwrap_or(&[]);
            for (i, node) in nodes.iter().enumerate() {
                let is_leaf = node.test == Test::Leaf;
                let local = |child: u32| if is_leaf { 0 } else { child.saturating_sub(*root) };
                tree.column.push(if is_leaf { -1 } else { node.column as i32 });
                tree.threshold.push(if let Test::Below(threshold) = node.test { threshold } else { 0.0 });
                tree.left.push(local(node.left));
                tree.right.push(local(node.right));
                tree.missing.push(local(node.missing));
                tree.expected.push(node.expected);
                if let Test::OneOf(set) = &node.test {
                    let places = set.iter().enumerate().flat_map(|(i, word)| {
                        (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| i as u32 * 64 + bit)
                    });
                    tree.sets.push((i as u32, places.collect()));
                }
            }
            tree
        });
        Stored { base: forest.base, trees: trees.collect() }
    }
}

impl TryFrom<Stored> for Forest {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let mut forest = Forest { base: stored.base, roots: Vec::new(), nodes: Vec::new(), average: 0.0 };
        for tree in stored.trees {
            forest.append(&tree)?;
        }
        forest.average = forest.expected_logit();
        Ok(forest)
    }
}

impl Forest {
    fn append(&mut self, tree: &StoredTree) -> Result<(), &'static str> {
        let n = tree.column.len();
        let lengths = [&tree.left, &tree.right, &tree.missing]
            .map(Vec::len)
            .into_iter()
            .chain([&tree.threshold, &tree.expected].map(Vec::len));
        if n == 0 || lengths.into_iter().any(|l| l != n) {
            return Err("a tree's lists differ in length");
        }
        let start = self.nodes.len();
        let root = u32::try_from(start).map_err(|_| "too many nodes")?;
        let shift = |child: u32| child.checked_add(root).ok_or("a node's child is out of range");
        let tests = tree.column.iter().zip(&tree.threshold).zip(&tree.expected);
        let children = tree.left.iter().zip(&tree.right).zip(&tree.missing);
        for (((column, threshold), expected), ((left, right), missing)) in tests.zip(children) {
            self.nodes.push(match u32::try_from(*column) {
                Err(_) => {
                    Node { expected: *expected, test: Test::Leaf, column: 0, left: 0, right: 0, missing: 0 }
                }
                Ok(column) => Node {
                    expected: *expected,
                    test: Test::Below(*threshold),
                    column,
                    left: shift(*left)?,
                    right: shift(*right)?,
                    missing: shift(*missing)?,
                },
            });
        }
        for (place, members) in &tree.sets {
            if members.iter().any(|m| *m > 65_535) {
                return Err("a set has a place beyond 65,535");
            }
            let node = self.nodes.get_mut(start + *place as usize).ok_or("a set has no node")?;
            node.test = Test::OneOf(bit_set(members.iter().copied()));
        }
        self.roots.push(root);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Column 0 below 1.5 goes to a leaf; else column 1 in {0, 70} goes left; missing goes left, then right.
    const TREE: &str = r#"{"base":0.5,"trees":[{"column":[0,-1,1,-1,-1],"threshold":[1.5,0,0,0,0],
        "left":[1,0,3,0,0],"right":[2,0,4,0,0],"missing":[1,0,4,0,0],
        "expected":[0.1,1.0,0.2,2.0,-2.0],"sets":[[2,[0,70]]]}]}"#;

    fn check(row: [f64; 2], logit: f64) {
        let forest: Forest = serde_json::from_str(TREE).unwrap();
        assert!((forest.logit_of(&row) - logit).abs() < 1e-15, "{row:?}");
        let mut parts = [0.0; 2];
        let base = forest.explain(&row, &mut parts);
        assert!((base - 0.6).abs() < 1e-15 && (base + parts[0] + parts[1] - logit).abs() < 1e-12, "{row:?}");
    }

    #[test]
    fn walks_by_hand() {
        check([1.0, 0.0], 1.5);
        check([1.5, 0.0], 2.5);
        check([9.0, 70.0], 2.5);
        check([9.0, 1.0], -1.5);
        check([9.0, 9_999.0], -1.5);
        check([9.0, f64::NAN], -1.5);
        check([f64::NAN, 0.0], 1.5);
    }

    #[test]
    fn reads_back_what_it_writes() {
        let forest: Forest = serde_json::from_str(TREE).unwrap();
        let text = serde_json::to_string(&forest).unwrap();
        assert_eq!(serde_json::from_str::<Forest>(&text).unwrap(), forest);
        assert!(forest.is_sound(2) && !forest.is_sound(1));
    }

    #[test]
    fn refuses_circles_and_loose_ends() {
        let sound = |from: &str, to: &str| {
            serde_json::from_str::<Forest>(&TREE.replace(from, to)).is_ok_and(|f| f.is_sound(2))
        };
        assert!(sound("", ""));
        assert!(!sound(r#""left":[1,0,3"#, r#""left":[0,0,3"#), "a circle");
        assert!(!sound(r#""left":[1,0,3"#, r#""left":[9,0,3"#), "a loose end");
        assert!(!sound(r#""missing":[1,"#, r#""missing":[4294967295,"#), "out of range");
        assert!(!sound("[1.5,0,0,0,0]", "[1.5]"), "short list");
        assert!(!sound("[0,70]", "[4294967295]"), "a huge set");
        assert!(!sound("[[2,", "[[7,"), "a set without a node");
    }
}
