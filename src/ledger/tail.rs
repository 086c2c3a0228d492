//! The end of the ledger: records are added here, written, synced, and segments begun and sealed.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::ids::CallId;
use crate::ledger::chain::Chain;
use crate::ledger::encode::{self, Outline, Stamp, Tag};
use crate::ledger::files::{self, Disk};
use crate::ledger::frame;
use crate::ledger::record::Mark;
use crate::ledger::segment::{self, Found, HEADER, MAGIC, SEAL};

/// What is true at the end of all records, beside their bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Stand {
    pub(super) chain: Chain,
    /// The last record of each journal that has arrived.
    pub(super) arrived: BTreeMap<usize, u64>,
    /// Calls that were opened and not closed, with the index of their opening.
    pub(super) open: HashMap<CallId, u64>,
}

impl Stand {
    /// Number of records.
    pub(super) const fn records(&self) -> u64 {
        self.chain.tree.size()
    }

    /// Takes in the next record.
    pub(super) fn push(&mut self, outline: &Outline, record: &[u8]) {
        let index = self.records();
        self.chain.push(record);
        if let Some(stamp) = outline.stamp {
            self.arrive(stamp);
        }
        match (outline.tag, outline.id) {
            (Tag::Open, Some(id)) => drop(self.open.insert(id, index)),
            (Tag::Close, Some(id)) => drop(self.open.remove(&id)),
            _ => {}
        }
    }

    /// Notes that a journal has come so far.
    pub(super) fn arrive(&mut self, stamp: Stamp) {
        let last = self.arrived.entry(stamp.journal).or_default();
        *last = (*last).max(stamp.seq);
    }

    /// Whether a record of a journal is here already.
    pub(super) fn has(&self, stamp: Stamp) -> bool {
        self.arrived.get(&stamp.journal).is_some_and(|last| *last >= stamp.seq)
    }

    /// The same as a mark.
    pub(super) fn mark(&self, at_ms: u64) -> Mark {
        Mark {
            at_ms,
            index: self.records(),
            chain: self.chain.hash,
            frontier: self.chain.tree.nodes().to_vec(),
            arrived: self.arrived.iter().map(|(&journal, &seq)| Stamp { journal, seq }).collect(),
            open_from: self.open.values().copied().min().unwrap_or_else(|| self.records()),
        }
    }
}

/// The last segment, with what is still on its way into it.
#[derive(Debug)]
pub(super) struct Tail {
    disk: Disk,
    folder: PathBuf,
    file: File,
    first: u64,
    /// When the segment was begun, milliseconds since 1970.
    begun_ms: u64,
    /// Bytes of the file that are synced.
    synced: u64,
    /// Bytes behind them. They are kept until they are synced: after a sync that failed nobody knows what is
    /// on the disk, and they are written again.
    held: Vec<u8>,
    /// How many of `held` are written.
    written: usize,
    sealed: bool,
    pub(super) stand: Stand,
}

impl Tail {
    /// Goes on with a segment of this first record and beginning that has `bytes` bytes.
    pub(super) const fn go_on(
        disk: Disk,
        folder: PathBuf,
        file: File,
        (first, begun_ms): (u64, u64),
        bytes: u64,
        stand: Stand,
    ) -> Self {
        let held = Vec::new();
        Self { disk, folder, file, first, begun_ms, synced: bytes, held, written: 0, sealed: false, stand }
    }

    /// Begins a segment.
    pub(super) fn begin(disk: Disk, folder: PathBuf, stand: Stand, now_ms: u64) -> io::Result<Self> {
        let first = stand.records();
        let (file, bytes) = create(&disk, &folder, &stand, now_ms)?;
        Ok(Self::go_on(disk, folder, file, (first, now_ms), bytes, stand))
    }

    /// Adds a record in its frame; nothing is written yet.
    pub(super) fn push(&mut self, frame: &[u8], outline: &Outline, record: &[u8]) {
        self.held.extend_from_slice(frame);
        self.stand.push(outline, record);
    }

    /// Adds a record that no journal has.
    pub(super) fn add(&mut self, stamp: Option<Stamp>, tag: Tag, put: impl FnOnce(&mut Vec<u8>)) {
        let at = self.held.len();
        frame::put(&mut self.held, put);
        let record = self.held.get(at + frame::HEAD_BYTES..).unwrap_or_default();
        let id = encode::outline(record).ok().and_then(|outline| outline.id);
        self.stand.push(&Outline { tag, stamp, id }, record);
    }

    /// Bytes that are not synced.
    pub(super) const fn unsynced(&self) -> usize {
        self.held.len()
    }

    /// Writes what has been added. After an error it can be tried again.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let rest = self.held.get(self.written..).unwrap_or_default();
        if !rest.is_empty() {
            self.disk.write_at(&self.file, rest, self.synced + bytes(self.written))?;
            self.written = self.held.len();
        }
        Ok(())
    }

    /// Writes what has been added and waits until it is on the disk. After an error it can be tried again.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        if self.held.is_empty() {
            return Ok(());
        }
        if let Err(why) = self.disk.sync(&self.file) {
            self.written = 0;
            return Err(why);
        }
        self.synced += bytes(self.held.len());
        self.held.clear();
        self.written = 0;
        Ok(())
    }

    /// Bytes of the segment, with those on their way.
    pub(super) fn size(&self) -> u64 {
        self.synced + bytes(self.held.len())
    }

    /// Whether it has a record.
    pub(super) const fn has_records(&self) -> bool {
        self.stand.records() > self.first
    }

    /// When the segment was begun, milliseconds since 1970.
    pub(super) const fn begun_ms(&self) -> u64 {
        self.begun_ms
    }

    /// Index of the first record of the segment.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// Seals the segment and begins the next; the first record of the one that is sealed. After an error it
    /// must be tried again before anything else is added.
    pub(super) fn turn(&mut self, now_ms: u64) -> io::Result<u64> {
        if !self.sealed {
            let mark = self.stand.mark(now_ms);
            put_mark(&mut self.held, SEAL, &mark);
            self.sealed = true;
        }
        self.sync()?;
        let (file, bytes) = create(&self.disk, &self.folder, &self.stand, now_ms)?;
        let sealed = self.first;
        self.file = file;
        self.synced = bytes;
        self.first = self.stand.records();
        self.begun_ms = now_ms;
        self.sealed = false;
        Ok(sealed)
    }

    /// Whether `turn` has to be tried again.
    pub(super) const fn is_turning(&self) -> bool {
        self.sealed
    }
}

/// Makes the segment that begins here, durably; its size.
fn create(disk: &Disk, folder: &std::path::Path, stand: &Stand, now_ms: u64) -> io::Result<(File, u64)> {
    let mut opening = MAGIC.to_vec();
    put_mark(&mut opening, HEADER, &stand.mark(now_ms));
    let path = segment::path(folder, Found { first: stand.records(), packed: false });
    let file = files::open_private(&path)?;
    // What an earlier try has left.
    file.set_len(0)?;
    disk.write_at(&file, &opening, 0)?;
    disk.sync(&file)?;
    files::sync_folder(folder)?;
    Ok((file, bytes(opening.len())))
}

/// Appends a mark in its frame.
pub(super) fn put_mark(out: &mut Vec<u8>, tag: u8, mark: &Mark) {
    frame::put(out, |out| {
        out.push(tag);
        encode::put_mark(mark, out);
    });
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
