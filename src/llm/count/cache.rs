//! Remembers counts by the content that was counted.

use std::collections::HashMap;

use crate::limits;

/// Counts by a hash of what was counted: of the body and of whatever else the count depends on, such as the
/// model. Two generations: when the younger one is full it becomes the older one, whose place it takes, so
/// what is asked for again stays.
#[derive(Clone, Debug)]
pub struct Counts {
    young: HashMap<u128, u64>,
    old: HashMap<u128, u64>,
    /// Counts in each generation; >= 1.
    most: usize,
}

impl Default for Counts {
    /// A cache of `limits::COUNTS_KEPT_MAX` counts.
    fn default() -> Self {
        Self::with_room(limits::COUNTS_KEPT_MAX)
    }
}

impl Counts {
    /// A cache of so many counts, at least two and at most `limits::COUNTS_KEPT_MAX`.
    pub fn with_room(counts: usize) -> Self {
        let most = (counts.min(limits::COUNTS_KEPT_MAX) / 2).max(1);
        Self { young: HashMap::new(), old: HashMap::new(), most }
    }

    /// What has been kept under `key`, which is as good as new then.
    pub fn get(&mut self, key: u128) -> Option<u64> {
        if let Some(tokens) = self.young.get(&key) {
            return Some(*tokens);
        }
        let tokens = self.old.remove(&key)?;
        self.keep(key, tokens);
        Some(tokens)
    }

    /// Keeps a count.
    pub fn keep(&mut self, key: u128, tokens: u64) {
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, tokens);
    }

    /// How many are kept; at most the room.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }
}
