//! The ring of keys that are valid now.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use crate::identity::principal::Principal;
use crate::identity::token::KeyHash;

/// All valid keys by hash. Immutable: a key that is made or revoked means a new ring.
#[derive(Clone, Default)]
pub struct KeyRing {
    // A bucket has more than one entry only when two hashes agree in their first 8 bytes.
    buckets: HashMap<[u8; 8], Vec<(KeyHash, Arc<Principal>)>>,
}

impl KeyRing {
    /// The ids of all valid keys.
    pub fn ids(&self) -> impl Iterator<Item = Arc<str>> {
        self.buckets.values().flatten().map(|(_, principal)| Arc::clone(&principal.key_id))
    }

    /// Whom all valid keys belong to, in no order.
    pub fn principals(&self) -> impl Iterator<Item = &Arc<Principal>> {
        self.buckets.values().flatten().map(|(_, principal)| principal)
    }

    /// Builds the ring. Of two entries with the same hash the first one counts.
    pub fn new(entries: impl IntoIterator<Item = (KeyHash, Principal)>) -> Self {
        let mut buckets: HashMap<[u8; 8], Vec<(KeyHash, Arc<Principal>)>> = HashMap::new();
        for (hash, principal) in entries {
            let bucket = buckets.entry(first_bytes(&hash)).or_default();
            if bucket.iter().all(|(other, _)| *other != hash) {
                bucket.push((hash, Arc::new(principal)));
            }
        }
        Self { buckets }
    }

    /// Finds the principal of a presented key. The time taken tells nothing about other keys: the look-up
    /// goes by the hash of what was sent, and whole hashes are compared in constant time.
    pub fn find(&self, presented: &[u8]) -> Option<&Arc<Principal>> {
        let hash = KeyHash::of(presented);
        let bucket = self.buckets.get(&first_bytes(&hash))?;
        bucket.iter().find(|(known, _)| bool::from(known.bytes().ct_eq(hash.bytes()))).map(|(_, found)| found)
    }

    /// Finds the first candidate that is a valid key; takes `Presented::candidates`.
    pub fn find_any<'a>(&self, candidates: impl IntoIterator<Item = &'a [u8]>) -> Option<&Arc<Principal>> {
        candidates.into_iter().find_map(|candidate| self.find(candidate))
    }

    /// How many keys are valid.
    pub fn len(&self) -> usize {
        self.buckets.values().map(Vec::len).sum()
    }

    /// Whether no key is valid, so that nobody can call.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

/// The number of keys only.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.len())
    }
}

fn first_bytes(hash: &KeyHash) -> [u8; 8] {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(hash.bytes()) {
        *to = *from;
    }
    first
}
