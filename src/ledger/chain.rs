//! The chain: each record bound to all before it, by a running hash and by a tree.

use sha2::{Digest, Sha256};

use crate::ledger::record::Hash;
use crate::ledger::tree::{self, Frontier};

/// Where a chain has come to: all records before `tree.size()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    /// SHA-256 over the hash before and the record; zeros before the first.
    pub(super) hash: Hash,
    /// The tree over the same records.
    pub(super) tree: Frontier,
}

impl Chain {
    /// Takes the next record in, as it is encoded.
    pub(super) fn push(&mut self, record: &[u8]) {
        self.hash = next(&self.hash, record);
        self.tree.push(tree::leaf(record));
    }
}

/// The hash of the chain after `record`.
pub(super) fn next(before: &Hash, record: &[u8]) -> Hash {
    Sha256::new().chain_update(before).chain_update(record).finalize().into()
}
