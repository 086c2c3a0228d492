//! From records of the chain to the index: what of them is kept, and what they make it forget.

use std::time::Duration;

use crate::ledger::entry::Entry;
use crate::ledger::follow::Follower;
use crate::ledger::index::IndexFault;
use crate::ledger::index::store::Store;
use crate::ledger::record::Record;
use crate::ledger::segment::ReadFault;

/// Where records come from, one after the other.
pub trait Records {
    /// The next record with its position, waiting for it at most so long; `None` when there was none.
    ///
    /// # Errors
    /// Why there is no next record to be had.
    fn next(&mut self, wait: Duration) -> Result<Option<(u64, Record)>, Halt>;
}

impl Records for Follower {
    fn next(&mut self, wait: Duration) -> Result<Option<(u64, Record)>, Halt> {
        Self::next(self, wait).map_err(|fault| match fault {
            ReadFault::Dropped(oldest) => Halt::Dropped(oldest),
            fault => Halt::Unreadable(fault.to_string()),
        })
    }
}

/// Why records end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The next record has been dropped with its segment; the oldest that there is.
    #[error("the records before {0} have been dropped")]
    Dropped(u64),
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// Records that the index takes at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: Vec<(u64, Entry)>,
    /// Records that were read, entries or not.
    read: usize,
    /// The position after the last record; `None` while there is none.
    pub(super) next: Option<u64>,
    /// All before this position have been dropped from the chain.
    forget: Option<u64>,
}

impl Batch {
    /// Reads up to `most` records, waiting for the first of them. What was read before a halt is given, and
    /// the halt when it comes again.
    pub(super) fn read(records: &mut impl Records, wait: Duration, most: usize) -> Result<Self, Halt> {
        let mut batch = Self::default();
        let mut wait = wait;
        for _ in 0..most {
            let (position, record) = match records.next(wait) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(_) if batch.next.is_some() => break,
                Err(halt) => return Err(halt),
            };
            wait = Duration::ZERO;
            batch.read += 1;
            batch.next = Some(position.saturating_add(1));
            match record {
                Record::Close(entry) | Record::Event(entry) => batch.entries.push((position, entry)),
                Record::Retention(dropped) => batch.forget = Some(dropped.kept_from),
                // A call is searched for when it has ended, and the rest is about the chain itself.
                Record::Open(_) | Record::Head(_) | Record::Gap(_) => {}
            }
        }
        Ok(batch)
    }

    /// Whether more records may be waiting than it could take.
    pub(super) const fn is_full(&self, most: usize) -> bool {
        self.read >= most
    }

    /// Puts it into the index.
    pub(super) fn keep(&self, store: &mut Store) -> Result<(), IndexFault> {
        let Some(next) = self.next else { return Ok(()) };
        store.take(&self.entries, next)?;
        if let Some(before) = self.forget {
            store.forget(before)?;
        }
        Ok(())
    }
}
