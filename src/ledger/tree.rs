//! The Merkle tree over all records, after RFC 9162 section 2.1: its root while it grows, and its proofs.
//!
//! A leaf is SHA-256(0x00 || record), a node SHA-256(0x01 || left || right). The root of no records is the
//! SHA-256 of nothing.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::ledger::record::Hash;

/// Hash of a record as a leaf.
pub fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

/// Hash of two subtrees side by side.
fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// A tree that grows on its right: the roots of its full subtrees, the largest first.
/// `nodes.len() == size.count_ones()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// The tree of `size` leaves with these full subtrees; `None` when there cannot be so many.
    pub fn from_nodes(size: u64, nodes: Vec<Hash>) -> Option<Self> {
        (u32::try_from(nodes.len()) == Ok(size.count_ones())).then_some(Self { size, nodes })
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the full subtrees, the largest first.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// The full subtrees as ranges of leaves with their roots.
    pub fn subtrees(&self) -> impl Iterator<Item = (Range<u64>, Hash)> {
        let mut start = 0;
        let levels = (0..64).rev().filter(|level| self.size >> level & 1 == 1);
        levels.zip(&self.nodes).map(move |(level, root)| {
            let range = start..start + (1 << level);
            start = range.end;
            (range, *root)
        })
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf);
    }

    /// Adds a full subtree of 2^`level` leaves. The tree has a multiple of so many already.
    fn push_subtree(&mut self, level: u32, root: Hash) {
        let mut joined = root;
        // Every full subtree of the same size to the left is joined, as a carry runs through a sum.
        let mut carry = self.size >> level;
        while carry & 1 == 1 {
            let Some(left) = self.nodes.pop() else { break };
            joined = node(&left, &joined);
            carry >>= 1;
        }
        self.nodes.push(joined);
        self.size += 1 << level;
    }

    /// The root of the whole tree.
    pub fn root(&self) -> Hash {
        let joined = self.nodes.iter().rev().copied().reduce(|right, left| node(&left, &right));
        joined.unwrap_or_else(|| Sha256::digest([]).into())
    }
}

/// The subtrees whose roots prove that leaf `index` is in the tree of `size` leaves, in the order of the
/// proof; `None` when it is not in it.
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let mut path = Vec::new();
    let mut tree = 0..size;
    while tree.end - tree.start > 1 {
        let middle = middle(&tree);
        if index < middle {
            path.push(middle..tree.end);
            tree.end = middle;
        } else {
            path.push(tree.start..middle);
            tree.start = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// The subtrees whose roots prove that the tree of `old` leaves is the beginning of that of `new` ones, in
/// the order of the proof; `None` when it is larger.
pub fn consistency(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old > new {
        return None;
    }
    let mut path = Vec::new();
    let mut tree = 0..new;
    if old == 0 {
        return Some(path);
    }
    while old != tree.end {
        let middle = middle(&tree);
        if old <= middle {
            path.push(middle..tree.end);
            tree.end = middle;
        } else {
            path.push(tree.start..middle);
            tree.start = middle;
        }
    }
    // The old tree as a whole is known to whoever asks.
    if tree.start > 0 {
        path.push(tree);
    }
    path.reverse();
    Some(path)
}

/// Where a tree of more than one leaf is split: behind the largest power of two below its size.
fn middle(tree: &Range<u64>) -> u64 {
    let size = tree.end - tree.start;
    tree.start + (1 << (63 - (size - 1).leading_zeros()))
}

/// Whether `path` proves that `leaf` is leaf `index` of the tree of `size` leaves with this root.
pub fn includes(root: &Hash, size: u64, index: u64, leaf: &Hash, path: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut joined) = (index, size - 1, *leaf);
    for other in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            joined = node(other, &joined);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            joined = node(&joined, other);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && joined == *root
}

/// Whether `path` proves that the tree of `old.0` leaves with the root `old.1` is the beginning of the new
/// one.
pub fn continues(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 {
        return path.is_empty();
    }
    if old_size >= new_size {
        return old_size == new_size && path.is_empty() && old_root == new_root;
    }
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let mut path = path.iter();
    // A full tree of 2^n leaves is a node of the new one, and whoever asks has it.
    let first = if old_size.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(&first) = first else { return false };
    let (mut before, mut after) = (first, first);
    for other in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            before = node(other, &before);
            after = node(other, &after);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            after = node(&after, other);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && before == *old_root && after == *new_root
}

/// Roots of some subtrees, found in one pass over the leaves.
#[derive(Debug)]
pub struct Gather {
    ranges: Vec<(Range<u64>, Frontier)>,
}

impl Gather {
    /// Looks for the roots of these subtrees, which do not overlap.
    pub fn new(ranges: Vec<Range<u64>>) -> Self {
        Self { ranges: ranges.into_iter().map(|range| (range, Frontier::default())).collect() }
    }

    /// Takes leaf `index`, behind all smaller ones.
    pub fn leaf(&mut self, index: u64, leaf: Hash) {
        self.subtree(&(index..index + 1), leaf);
    }

    /// Takes a full subtree, behind all leaves before it.
    pub fn subtree(&mut self, range: &Range<u64>, root: Hash) {
        let level = (range.end - range.start).trailing_zeros();
        let within = |wanted: &Range<u64>| wanted.start <= range.start && range.end <= wanted.end;
        if let Some((wanted, tree)) = self.ranges.iter_mut().find(|(wanted, _)| within(wanted))
            && wanted.start + tree.size == range.start
        {
            tree.push_subtree(level, root);
        }
    }

    /// The roots in the order of the ranges; `None` when leaves are missing.
    pub fn roots(self) -> Option<Vec<Hash>> {
        let complete = |(range, tree): &(Range<u64>, Frontier)| tree.size == range.end - range.start;
        self.ranges.iter().all(complete).then(|| self.ranges.iter().map(|(_, tree)| tree.root()).collect())
    }
}
