//! The Merkle tree of RFC 6962: growing it, and proofs of inclusion and of consistency.
//!
//! A *node* (level, index) is the hash over the 2^level entries that begin at index · 2^level; only whole ones are nodes.
//! Every range that a proof needs is put together from them.
//!
//! # Source
//! RFC 6962 section 2.1; verification as in RFC 9162 sections 2.1.3.2 and 2.1.4.2

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::hash::{Hash, node_hash};

/// Gives the nodes of a tree.
pub trait Nodes {
    /// The node at `level` (0: the entries' hashes) and `index`.
    ///
    /// # Errors
    /// [`Error`] where the tree has no such node, or it cannot be read.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Error>;
}

/// The right edge of a tree: all that is needed to add entries and to tell its root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    size: u64,
    /// One for each bit set in `size`, the largest subtree first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The edge of a tree of `size` entries, from its nodes.
    ///
    /// # Errors
    /// Whatever `nodes` says.
    pub fn of(nodes: &impl Nodes, size: u64) -> Result<Self, Error> {
        let mut peaks = Vec::new();
        let mut before = 0_u64;
        for level in (0..64_u8).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(nodes.node(level, before >> level)?);
            before += 1 << level;
        }
        Ok(Self { size, peaks })
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds an entry by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _, _| {});
    }

    /// Adds an entry by its hash; tells each node that this makes whole: level, index, hash.
    pub fn push_with(&mut self, leaf: Hash, mut made: impl FnMut(u8, u64, Hash)) {
        let (mut hash, mut level, mut index) = (leaf, 0_u8, self.size);
        made(level, index, hash);
        while index & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node_hash(left, hash);
            (level, index) = (level + 1, index >> 1);
            made(level, index, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let joined = self.peaks.iter().rev().copied().reduce(|right, left| node_hash(left, right));
        joined.unwrap_or_else(Hash::empty)
    }
}

/// A whole tree in memory.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    edge: Frontier,
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree over these hashes of entries.
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut tree = Self::default();
        leaves.into_iter().for_each(|leaf| tree.push(leaf));
        tree
    }

    /// Adds an entry by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let levels = &mut self.levels;
        self.edge.push_with(leaf, |level, _, hash| {
            let level = usize::from(level);
            if levels.len() == level {
                levels.push(Vec::new());
            }
            if let Some(nodes) = levels.get_mut(level) {
                nodes.push(hash);
            }
        });
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.edge.size
    }

    /// The root.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }
}

impl Nodes for Tree {
    fn node(&self, level: u8, index: u64) -> Result<Hash, Error> {
        let nodes = self.levels.get(usize::from(level));
        let found = nodes.and_then(|nodes| nodes.get(usize::try_from(index).ok()?).copied());
        found.ok_or_else(|| no_node(level, index, self.size()))
    }
}

pub(crate) fn no_node(level: u8, index: u64, size: u64) -> Error {
    Error::NoSuch { what: "node", asked: format!("{index} at level {level}"), size }
}

/// The largest power of two smaller than `n`, which is at least 2.
fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros().min(63))
}

/// The hash over the entries from `from` to before `to`, where `from` is a multiple of the range's largest subtree.
fn range(nodes: &impl Nodes, from: u64, to: u64) -> Result<Hash, Error> {
    let n = to - from;
    if n.is_power_of_two() {
        let level = n.trailing_zeros() as u8;
        return nodes.node(level, from >> level);
    }
    let middle = from + split(n);
    Ok(node_hash(range(nodes, from, middle)?, range(nodes, middle, to)?))
}

/// The proof that entry `index` is in the tree of the first `size` entries, from the leaf's sibling up.
///
/// # Errors
/// [`Error::NoSuch`] where there is no such entry in it; whatever `nodes` says.
pub fn prove_inclusion(nodes: &impl Nodes, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
    if index >= size {
        return Err(Error::NoSuch { what: "entry", asked: index.to_string(), size });
    }
    let (mut from, mut to) = (0, size);
    let mut proof = Vec::with_capacity(24);
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            proof.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            proof.push(range(nodes, from, middle)?);
            from = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the first `old` entries is the beginning of the tree of the first `new` ones.
///
/// # Errors
/// [`Error::NoSuch`] where `old` is larger than `new`; whatever `nodes` says.
pub fn prove_consistency(nodes: &impl Nodes, old: u64, new: u64) -> Result<Vec<Hash>, Error> {
    if old > new {
        return Err(Error::NoSuch { what: "tree of size", asked: old.to_string(), size: new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut from, mut to, mut is_whole) = (0, new, true);
    let mut proof = Vec::with_capacity(24);
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            proof.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            proof.push(range(nodes, from, middle)?);
            from = middle;
            is_whole = false;
        }
    }
    if !is_whole {
        proof.push(range(nodes, from, to)?);
    }
    proof.reverse();
    Ok(proof)
}

/// True where `proof` shows that `leaf` is entry `index` of the tree of `size` entries with this root.
pub fn verify_inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash], root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(*step, hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(hash, *step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == root
}

/// True where `proof` shows that the tree of `old` entries with root `old_root` is the beginning of the tree of `new`
/// entries with root `new_root`.
pub fn verify_consistency(old: u64, new: u64, old_root: Hash, new_root: Hash, proof: &[Hash]) -> bool {
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && old_root == Hash::empty();
    }
    if old > new {
        return false;
    }
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (first, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        let Some((first, rest)) = proof.split_first() else { return false };
        (*first, rest)
    };
    if rest.is_empty() {
        return false;
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for step in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(*step, old_hash);
            new_hash = node_hash(*step, new_hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(new_hash, *step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf_hash;
    use proptest::prelude::*;

    /// The definition, word by word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::empty(),
            [one] => *one,
            more => {
                let mut k = 1;
                while k * 2 < more.len() {
                    k *= 2;
                }
                node_hash(defined(&more[..k]), defined(&more[k..]))
            }
        }
    }

    fn leaves(n: u64) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn the_root_is_that_of_the_definition_for_every_size() {
        let all = leaves(130);
        let mut tree = Tree::default();
        for n in 0..=130 {
            assert_eq!(tree.root(), defined(&all[..n]), "size {n}");
            assert_eq!(Frontier::of(&tree, n as u64).unwrap(), tree.edge);
            if n < 130 {
                tree.push(all[n]);
            }
        }
    }

    #[test]
    fn every_inclusion_is_proven_and_no_other() {
        let all = leaves(66);
        let tree = Tree::of(all.clone());
        for size in 1..=66_u64 {
            let root = defined(&all[..size as usize]);
            for index in 0..size {
                let proof = prove_inclusion(&tree, index, size).unwrap();
                let leaf = all[index as usize];
                assert!(verify_inclusion(index, size, leaf, &proof, root), "{index} of {size}");
                for other in (0..size).filter(|other| *other != index) {
                    assert!(
                        !verify_inclusion(other, size, leaf, &proof, root),
                        "{other} for {index} of {size}"
                    );
                }
                let mut longer = proof.clone();
                longer.push(root);
                assert!(!verify_inclusion(index, size, leaf, &longer, root));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify_inclusion(index, size, leaf, shorter, root));
                }
            }
            assert!(prove_inclusion(&tree, size, size).is_err());
        }
    }

    #[test]
    fn every_consistency_is_proven_and_no_other() {
        let all = leaves(66);
        let tree = Tree::of(all.clone());
        let roots: Vec<Hash> = (0..=66).map(|n| defined(&all[..n])).collect();
        for new in 0..=66_usize {
            for old in 0..=new {
                let (m, n) = (old as u64, new as u64);
                let proof = prove_consistency(&tree, m, n).unwrap();
                assert!(verify_consistency(m, n, roots[old], roots[new], &proof), "{old} in {new}");
                if old > 0 && old < new {
                    assert!(!verify_consistency(m, n, roots[old - 1], roots[new], &proof));
                    assert!(!verify_consistency(m, n, roots[old], roots[old], &proof));
                    for at in 0..proof.len() {
                        let mut changed = proof.clone();
                        changed[at] = roots[0];
                        assert!(!verify_consistency(m, n, roots[old], roots[new], &changed));
                    }
                    assert!(!verify_consistency(m, n, roots[old], roots[new], &proof[1..]));
                }
            }
        }
        assert!(prove_consistency(&tree, 9, 8).is_err());
        assert!(!verify_consistency(9, 8, roots[9], roots[8], &[]));
    }

    proptest! {
        #[test]
        fn hostile_proofs_are_refused_and_end(
            index in any::<u64>(), size in any::<u64>(), hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70)
        ) {
            let hashes: Vec<Hash> = hashes.into_iter().map(Hash::from_bytes).collect();
            let root = Hash::from_bytes([9; 32]);
            prop_assert!(!verify_inclusion(index, size, leaf_hash(b""), &hashes, root));
            if index != 0 && index != size {
                prop_assert!(!verify_consistency(index, size, leaf_hash(b""), root, &hashes));
            }
        }
    }
}
