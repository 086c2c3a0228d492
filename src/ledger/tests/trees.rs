//! The tree against one that is written as the RFC defines it, over all its leaves.

use proptest::prelude::ProptestConfig;
use proptest::{prop_assert, prop_assert_eq, proptest};
use sha2::{Digest, Sha256};

use crate::ledger::record::Hash;
use crate::ledger::tree::{Frontier, Gather, consistency, continues, includes, inclusion, leaf};

fn sha(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

/// MTH of RFC 9162, section 2.1.1.
fn naive_root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => sha(&[]),
        [one] => sha(&[&[0], one]),
        many => {
            let middle = split(many.len());
            sha(&[&[1], &naive_root(&many[..middle]), &naive_root(&many[middle..])])
        }
    }
}

fn split(leaves: usize) -> usize {
    let mut middle = 1;
    while 2 * middle < leaves {
        middle *= 2;
    }
    middle
}

/// PATH of section 2.1.3.1.
fn naive_path(at: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, other) =
        if at < middle { (naive_path(at, left), right) } else { (naive_path(at - middle, right), left) };
    path.push(naive_root(other));
    path
}

/// SUBPROOF of section 2.1.4.1.
fn naive_proof(old: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, other) = if old <= middle {
        (naive_proof(old, left, whole), right)
    } else {
        (naive_proof(old - middle, right, false), left)
    };
    path.push(naive_root(other));
    path
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("record {number}").into_bytes()).collect()
}

fn grown(leaves: &[Vec<u8>]) -> Frontier {
    let mut tree = Frontier::default();
    leaves.iter().for_each(|record| tree.push(leaf(record)));
    tree
}

#[test]
fn roots_are_those_of_the_definition() {
    let leaves = leaves(70);
    for count in 0..=leaves.len() {
        let tree = grown(&leaves[..count]);
        assert_eq!(tree.root(), naive_root(&leaves[..count]), "{count} leaves");
        let again = Frontier::from_nodes(tree.size(), tree.nodes().to_vec());
        assert_eq!(again, Some(tree.clone()));
        assert_eq!(Frontier::from_nodes(tree.size() ^ 1, tree.nodes().to_vec()), None);
    }
}

#[test]
fn known_roots_come_out() {
    // Test vectors of the reference implementation of certificate transparency.
    let records: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let mut tree = Frontier::default();
    let hex = |tree: &Frontier| crate::ledger::heads::hex(&tree.root());
    assert_eq!(hex(&tree), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    records.iter().for_each(|record| tree.push(leaf(record)));
    assert_eq!(hex(&tree), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

#[test]
fn proofs_are_those_of_the_definition_and_hold() {
    let leaves = leaves(34);
    for size in 1..=leaves.len() {
        let (tree, known) = (grown(&leaves[..size]).root(), &leaves[..size]);
        for (at, record) in known.iter().enumerate() {
            let path = gathered(inclusion(at as u64, size as u64).unwrap(), known, 0);
            assert_eq!(path, naive_path(at, known), "leaf {at} of {size}");
            assert!(includes(&tree, size as u64, at as u64, &leaf(record), &path));
        }
        for old in 0..=size {
            let path = gathered(consistency(old as u64, size as u64).unwrap(), known, 0);
            if old > 0 {
                assert_eq!(path, naive_proof(old, known, true), "{old} of {size}");
            }
            let before = grown(&leaves[..old]).root();
            assert!(continues((old as u64, &before), (size as u64, &tree), &path), "{old} of {size}");
        }
    }
    assert_eq!(inclusion(5, 5), None);
    assert_eq!(consistency(6, 5), None);
}

/// Roots of subtrees, when the leaves before `from` are known as a tree only.
fn gathered(ranges: Vec<std::ops::Range<u64>>, leaves: &[Vec<u8>], from: usize) -> Vec<Hash> {
    let mut gather = Gather::new(ranges);
    for (range, root) in grown(&leaves[..from]).subtrees() {
        gather.subtree(&range, root);
    }
    for (at, record) in leaves.iter().enumerate().skip(from) {
        gather.leaf(at as u64, leaf(record));
    }
    gather.roots().unwrap()
}

#[test]
fn what_is_kept_can_be_proven_when_the_rest_is_dropped() {
    let leaves = leaves(27);
    let (size, root) = (leaves.len() as u64, grown(&leaves).root());
    for from in 0..leaves.len() {
        for at in from..leaves.len() {
            let path = gathered(inclusion(at as u64, size).unwrap(), &leaves, from);
            assert_eq!(path, naive_path(at, &leaves), "leaf {at}, kept from {from}");
            assert!(includes(&root, size, at as u64, &leaf(&leaves[at]), &path));
        }
        for old in from.max(1)..leaves.len() {
            let path = gathered(consistency(old as u64, size).unwrap(), &leaves, from);
            assert_eq!(path, naive_proof(old, &leaves, true), "{old}, kept from {from}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_proof_of_something_else_does_not_hold(
        size in 2..40_usize,
        at: usize,
        other: usize,
        bit in 0..256_usize,
    ) {
        let leaves = leaves(size);
        let (at, other, size) = (at % size, other % size, size as u64);
        let root = grown(&leaves).root();
        let path = gathered(inclusion(at as u64, size).unwrap(), &leaves, 0);
        prop_assert!(includes(&root, size, at as u64, &leaf(&leaves[at]), &path));
        prop_assert_eq!(other == at, includes(&root, size, other as u64, &leaf(&leaves[at]), &path));
        prop_assert_eq!(other == at, includes(&root, size, at as u64, &leaf(&leaves[other]), &path));
        for place in 0..path.len() {
            let mut wrong = path.clone();
            wrong[place][bit / 8] ^= 1_u8 << (bit % 8);
            prop_assert!(!includes(&root, size, at as u64, &leaf(&leaves[at]), &wrong));
        }
        prop_assert!(!includes(&root, size, at as u64, &leaf(&leaves[at]), &path[1..]));
        let longer = [path.as_slice(), &[root]].concat();
        prop_assert!(!includes(&root, size, at as u64, &leaf(&leaves[at]), &longer));
    }

    #[test]
    fn a_changed_past_does_not_continue(
        size in 2..40_usize,
        old: usize,
        changed: usize,
        bit in 0..256_usize,
    ) {
        let mut leaves = leaves(size);
        let old = 1 + old % (size - 1);
        let before = grown(&leaves[..old]).root();
        let (was, is) = ((old as u64, &before), size as u64);
        let path = gathered(consistency(was.0, is).unwrap(), &leaves, 0);
        let root = grown(&leaves).root();
        prop_assert!(continues(was, (is, &root), &path));
        for place in 0..path.len() {
            let mut wrong = path.clone();
            wrong[place][bit / 8] ^= 1_u8 << (bit % 8);
            prop_assert!(!continues(was, (is, &root), &wrong));
        }
        prop_assert!(!continues(was, (is, &root), &[path.as_slice(), &[root]].concat()));
        leaves[changed % old][0] ^= 1;
        let path = gathered(consistency(was.0, is).unwrap(), &leaves, 0);
        prop_assert!(!continues(was, (is, &grown(&leaves).root()), &path));
    }
}
