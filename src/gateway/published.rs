//! The current snapshot, handed to all cores without a lock on their way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::snapshot::Snapshot;

/// The newest snapshot and its number. Cores compare the number on every request and take the lock only
/// when it has changed.
#[derive(Debug)]
pub(super) struct Published {
    number: AtomicU64,
    current: Mutex<Arc<Snapshot>>,
}

impl Published {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        Self { number: AtomicU64::new(1), current: Mutex::new(Arc::new(snapshot)) }
    }

    /// Replaces the snapshot as a whole; calls that run keep the one they began with.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(snapshot);
        self.number.fetch_add(1, Ordering::Release);
    }

    /// The number of the newest snapshot.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// The newest snapshot with its number.
    pub(super) fn current(&self) -> (u64, Arc<Snapshot>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.number(), Arc::clone(&current))
    }
}
