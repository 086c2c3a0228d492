//! The memory that request bodies may take, shared by all cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::{CallError, Code};
use crate::limits;

/// How often a caller that waits for memory asks again. Waiting is the exception, and asking again needs
/// no list of waiters that cores would have to lock.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Bytes that are free.
#[derive(Debug)]
pub(super) struct Budget {
    free: AtomicUsize,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(bytes) })
    }

    /// Bytes that nobody holds.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.free.load(Ordering::Acquire)
    }

    /// Takes `bytes`, waiting for up to `limits::BODIES_WAIT`.
    pub(super) async fn take(self: &Arc<Self>, bytes: usize) -> Result<Share, CallError> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(share) = self.try_take(bytes) {
                return Ok(share);
            }
            if waited >= limits::BODIES_WAIT {
                return Err(Code::Overloaded.into());
            }
            tokio::time::sleep(ASK_AGAIN).await;
            waited += ASK_AGAIN;
        }
    }

    fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        self.free
            .try_update(Ordering::AcqRel, Ordering::Relaxed, |free| free.checked_sub(bytes))
            .ok()
            .map(|_before| Share { budget: Arc::clone(self), bytes })
    }
}

/// A taken part of the budget, given back on drop.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// Takes more, up to `bytes` in all, waiting like `Budget::take`.
    pub(super) async fn grow(&mut self, bytes: usize) -> Result<(), CallError> {
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|&more| more > 0) {
            let mut taken = self.budget.take(more).await?;
            self.bytes += std::mem::take(&mut taken.bytes);
        }
        Ok(())
    }

    /// Gives back what is taken beyond `bytes`.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if let Some(more) = self.bytes.checked_sub(bytes) {
            self.bytes = bytes;
            self.budget.free.fetch_add(more, Ordering::AcqRel);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.free.fetch_add(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn what_is_taken_comes_back_and_never_more_than_there_is() {
        let budget = Budget::new(100);
        let first = budget.try_take(60).unwrap();
        assert!(budget.try_take(41).is_none());
        let second = budget.try_take(40).unwrap();
        drop(first);
        assert!(budget.try_take(61).is_none());
        drop(budget.try_take(60).unwrap());
        let mut second = second;
        second.shrink(50);
        assert!(budget.try_take(61).is_none(), "there is nothing beyond it to give back");
        second.shrink(30);
        assert!(budget.try_take(71).is_none());
        drop(budget.try_take(70).unwrap());
        drop(second);
        assert!(budget.try_take(101).is_none(), "nothing comes back twice");
        assert!(budget.try_take(100).is_some());
    }
}
