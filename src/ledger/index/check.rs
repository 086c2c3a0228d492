//! Whether the index says what the chain says, entry by entry.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ledger::entry::Entry;
use crate::ledger::follow::Follower;
use crate::ledger::index::IndexFault;
use crate::ledger::index::query::Query;
use crate::ledger::index::search::{Hit, Reader};
use crate::ledger::record::Record;
use crate::ledger::segment::ReadFault;
use crate::limits;

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Entries that are the same in both.
    pub entries: u64,
    /// Records that the index has not come to yet.
    pub behind: u64,
}

/// Why the index is not as it has to be.
#[derive(Debug, thiserror::Error)]
pub enum CheckFault {
    /// It says something else than the chain.
    #[error("the index is wrong at record {position}: {what}; `tollgate ledger rebuild` makes it anew")]
    Differs {
        /// The record.
        position: u64,
        /// How.
        what: &'static str,
    },
    /// It cannot be read.
    #[error(transparent)]
    Index(#[from] IndexFault),
    /// The records cannot be read.
    #[error(transparent)]
    Records(#[from] ReadFault),
}

/// Compares all entries of the index with the records of the chain, the first of which `records` is about to
/// read. Memory is bounded by a page of entries.
///
/// # Errors
/// `CheckFault`, with the first entry that differs.
pub fn check(reader: &mut Reader, records: &mut Follower) -> Result<Checked, CheckFault> {
    let end = reader.next()?;
    let mut shelf = Entries { hits: VecDeque::new(), from: records.index(), end };
    let mut checked = Checked::default();
    while let Some((position, record)) = records.next(Duration::ZERO)? {
        if position >= end {
            checked.behind += 1;
            continue;
        }
        if let Record::Close(entry) | Record::Event(entry) = record {
            shelf.compare(reader, position, &entry)?;
            checked.entries += 1;
        }
    }
    match shelf.peek(reader)? {
        Some(hit) => Err(CheckFault::Differs { position: hit.position, what: "the chain has no such entry" }),
        None => Ok(checked),
    }
}

/// The entries of the index in their order.
struct Entries {
    hits: VecDeque<Hit>,
    from: u64,
    end: u64,
}

impl Entries {
    fn peek(&mut self, reader: &mut Reader) -> Result<Option<&Hit>, IndexFault> {
        while self.hits.is_empty() && self.from < self.end {
            let found = reader.since(&Query::default(), self.from, limits::PAGE_ENTRIES_MAX)?;
            let after = found.hits.iter().map(|hit| hit.position.saturating_add(1)).max();
            self.from = found.next.or(after).unwrap_or(self.end).max(self.from.saturating_add(1));
            // What has been added meanwhile is not looked for.
            self.hits.extend(found.hits.into_iter().filter(|hit| hit.position < self.end));
        }
        Ok(self.hits.front())
    }

    fn compare(&mut self, reader: &mut Reader, position: u64, entry: &Entry) -> Result<(), CheckFault> {
        let what = match self.peek(reader)? {
            Some(hit) if hit.position == position && hit.entry == *entry => {
                self.hits.pop_front();
                return Ok(());
            }
            Some(hit) if hit.position == position => "it has another entry",
            Some(hit) if hit.position < position => "it has an entry more",
            _ => "it lacks the entry",
        };
        Err(CheckFault::Differs { position, what })
    }
}
