//! The current snapshot, handed to all cores without a lock on their way.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::snapshot::Snapshot;

/// The newest snapshot and its number. Cores compare the number on every request and take the lock only
/// when it has changed.
#[derive(Debug)]
pub(super) struct Published {
    number: AtomicU64,
    current: Mutex<Arc<Snapshot>>,
    spent: Mutex<Spent>,
}

/// What nobody needs any more, or soon will not. The end of a large config, and of what was decided by it, is
/// milliseconds of work: whichever thread lets go of it last would do it, in the middle of a request.
#[derive(Default)]
struct Spent {
    snapshots: Vec<Arc<Snapshot>>,
    others: Vec<Box<dyn Send>>,
}

impl Published {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        let (number, current) = (AtomicU64::new(1), Mutex::new(Arc::new(snapshot)));
        Self { number, current, spent: Mutex::default() }
    }

    /// Replaces the snapshot as a whole; calls that run keep the one they began with.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        let new = Arc::new(snapshot);
        // It is among the spent before anybody can let go of it.
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        spent.snapshots.push(mem::replace(&mut *current, new));
        self.number.fetch_add(1, Ordering::Release);
    }

    /// Takes what its thread has no time to drop.
    pub(super) fn spend<T: Send + 'static>(&self, old: Vec<T>) {
        if !old.is_empty() {
            self.spent.lock().unwrap_or_else(PoisonError::into_inner).others.push(Box::new(old));
        }
    }

    /// Drops what nobody has any more; for a thread on which nobody waits.
    pub(super) fn sweep(&self) {
        let over = {
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that only we have nobody can get hold of again.
            let over = spent.snapshots.extract_if(.., |old| Arc::strong_count(old) == 1);
            let over: Vec<_> = over.collect();
            (over, mem::take(&mut spent.others))
        };
        drop(over);
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

/// How much there is.
impl std::fmt::Debug for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { snapshots, others } = self;
        write!(f, "Spent({} snapshots, {} others)", snapshots.len(), others.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::read;

    fn snapshot() -> Snapshot {
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        let name = format!("tollgate-spent-{:016x}.yaml", u64::from_ne_bytes(random));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, "providers: { p: { dialect: demo } }\nmodels: { m: [p] }\n").unwrap();
        let loaded = read(Some(&path)).unwrap();
        std::fs::remove_file(&path).unwrap();
        loaded.snapshot
    }

    #[test]
    fn a_snapshot_ends_with_a_sweep_and_not_with_its_last_user() {
        let published = Published::new(snapshot());
        let held = published.current().1;
        let watched = Arc::downgrade(&held);
        published.publish(snapshot());
        published.sweep();
        assert!(watched.upgrade().is_some(), "a call still has it");
        drop(held);
        assert!(watched.strong_count() == 1, "whoever let go of it last did not have to end it");
        published.sweep();
        assert_eq!(watched.strong_count(), 0);
        assert_eq!(published.number(), 2);
    }

    #[test]
    fn what_was_handed_over_ends_with_a_sweep() {
        let published = Published::new(snapshot());
        let thing = Arc::new(());
        published.spend(vec![Arc::clone(&thing)]);
        assert_eq!(Arc::strong_count(&thing), 2);
        published.sweep();
        assert_eq!(Arc::strong_count(&thing), 1);
    }
}
