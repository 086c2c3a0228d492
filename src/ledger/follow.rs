//! Reading records in their order, from any place, also while they are being written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::encode::{self, Malformed};
use crate::ledger::files::Folder;
use crate::ledger::live::Shared;
use crate::ledger::record::Record;
use crate::ledger::segment::{self, Bad, ReadFault, Reader, Step};

/// Reads records in their order, each with its index.
#[derive(Debug)]
pub struct Follower {
    folder: Folder,
    reader: Option<Reader>,
    /// The record that comes next.
    index: u64,
    /// Absent when the ledger is not being kept by this process.
    live: Option<Arc<Shared>>,
    /// How many records are known to be on the disk.
    synced: u64,
}

impl Follower {
    pub(super) fn live(folder: &Folder, index: u64, shared: Arc<Shared>) -> Self {
        Self { folder: folder.clone(), reader: None, index, live: Some(shared), synced: 0 }
    }

    /// Reads the ledger below a data folder that another process may be keeping: up to its last whole record.
    pub fn offline(data_dir: &Path, index: u64) -> Self {
        let folder = Folder::of(data_dir);
        Self { folder, reader: None, index, live: None, synced: u64::MAX }
    }

    /// Index of the record that comes next.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Index of the oldest record that there is.
    ///
    /// # Errors
    /// `Io`.
    pub fn oldest(&self) -> Result<u64, ReadFault> {
        Ok(segment::list(&self.folder.segments())?.first().map_or(0, |found| found.first))
    }

    /// The next record with its index, waiting for it at most so long; `None` when there was none.
    ///
    /// # Errors
    /// `Bad` for a record that is damaged, `Dropped` when it has been dropped with its segment, `Io`.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<(u64, Record)>, ReadFault> {
        if self.index >= self.synced {
            let Some(live) = &self.live else { return Ok(None) };
            self.synced = live.wait(self.index, timeout);
            if self.index >= self.synced {
                return Ok(None);
            }
        }
        while self.index < self.synced && self.step()? {
            let Some(reader) = &self.reader else { break };
            let index = self.index;
            match encode::decode(reader.record()) {
                Ok(record) => {
                    self.index += 1;
                    return Ok(Some((index, record)));
                }
                // A newer program has written it, and knows what it is.
                Err(Malformed::Tag(_)) => self.index += 1,
                Err(why) => {
                    let bad = reader.bad(reader.offset(), &why.to_string());
                    return Err(Bad { index, ..bad }.into());
                }
            }
        }
        Ok(None)
    }

    /// The next record as it is encoded, for those who count or hash; without waiting.
    pub(super) fn next_bytes(&mut self) -> Result<Option<(u64, &[u8])>, ReadFault> {
        if !self.step()? {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        Ok(self.reader.as_ref().map(|reader| (index, reader.record())))
    }

    /// Comes to the next record; false when there is none.
    fn step(&mut self) -> Result<bool, ReadFault> {
        loop {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => match self.open()? {
                    Some(reader) => self.reader.insert(reader),
                    None => return Ok(false),
                },
            };
            match reader.step()? {
                Step::Record => return Ok(true),
                Step::Seal(_) => self.reader = None,
                Step::End(_) => return Ok(false),
            }
        }
    }

    /// The segment that the next record is in; `None` when there is none yet.
    fn open(&self) -> Result<Option<Reader>, ReadFault> {
        let folder = self.folder.segments();
        let all = segment::list(&folder)?;
        let behind = all.partition_point(|found| found.first <= self.index);
        let Some(found) = behind.checked_sub(1).and_then(|place| all.get(place)) else {
            return all.first().map_or(Ok(None), |oldest| Err(ReadFault::Dropped(oldest.first)));
        };
        let mut reader = Reader::open(&folder, found.first)?;
        reader.skip_to(self.index)?;
        Ok((reader.index() == self.index).then_some(reader))
    }
}
