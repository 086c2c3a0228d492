//! The contents of calls: each block of a conversation stored once, however often it is sent.
//!
//! A client sends the whole conversation with every turn. A body is cut into its blocks (`blocks`); each is
//! stored under its SHA-256, and the body is a list of them. Lists are stored in the same way, so a turn that
//! adds two blocks costs these, the list they are in, and a line. What is stored at the same time is
//! compressed together (`packs`), and an index says where it is (`index`), which can be made again.
//!
//! Nobody waits for any of it: bodies go through a bounded queue to one thread, and what finds no room is
//! skipped and counted. So contents are not evidence as entries are; what is read back is checked against
//! its hashes.
//!
//! ```text
//! put -> queue -> redact, cut, hash -> known? noted as used : batch -> frame in a pack -> index
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use crate::ids::CallId;
use crate::limits;

mod blocks;
mod index;
mod keeper;
mod packs;
mod reader;
mod record;
#[cfg(test)]
mod tests;

use index::Index;
use keeper::{Keeper, Order};
use reader::Reader;
use record::Hash;

/// What of a team's contents is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Nothing, and no names of files or commands either.
    Off,
    /// What entries say: names of files, commands, hosts.
    #[default]
    Metadata,
    /// Bodies, with secrets taken out as far as they can be told.
    Redacted,
    /// Bodies as they are.
    Full,
}

impl Policy {
    /// The policy of that name: `off`, `metadata`, `redacted`, `full`.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "metadata" => Some(Self::Metadata),
            "redacted" => Some(Self::Redacted),
            "full" => Some(Self::Full),
            _ => None,
        }
    }

    /// Whether bodies are kept.
    pub fn keeps_bodies(self) -> bool {
        matches!(self, Self::Redacted | Self::Full)
    }
}

/// Which body of a call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the caller sent.
    Request,
    /// What came back.
    Answer,
}

/// What has become of a body, for its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The policy keeps no bodies.
    No,
    /// It is on its way, and can be read under the id of its call.
    Queued,
    /// There was no room for it.
    Skipped,
}

impl Kept {
    /// The word for `Entry::content`; empty where nothing is kept.
    pub fn word(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Queued => "kept",
            Self::Skipped => "skipped",
        }
    }
}

/// Why contents could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Of the files.
    #[error("contents: {0}")]
    Io(#[from] io::Error),
    /// Of the index.
    #[error("the index of contents: {0}")]
    Index(#[from] rusqlite::Error),
    /// What is stored is not what its hash says, or a part of it is missing.
    #[error("stored content is damaged or not complete")]
    Damaged,
}

/// How contents are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where: `data_dir/ledger/content`.
    pub dir: PathBuf,
    /// Days for which a body is kept, from its own day on.
    pub retain_days: u32,
    /// Makes one document of an answer that is a stream of events, so that secrets do not hide between
    /// events; nothing when it is none.
    pub stream: fn(&[u8]) -> Option<Vec<u8>>,
}

/// What was found on opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes of frames that were not whole, cut off.
    pub cut_bytes: u64,
    /// Frames that the index did not know.
    pub frames_read: u64,
}

/// What is counted, since the store was opened.
#[derive(Debug, Default)]
struct Counts {
    /// Bytes of bodies that wait, <= `limits::CONTENT_QUEUE_BYTES_MAX`.
    queued: AtomicUsize,
    stored: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
}

/// Bodies since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Stored, new in any part or not.
    pub stored: u64,
    /// For which there was no room.
    pub skipped: u64,
    /// That could not be written; a sweep that went wrong counts, too.
    pub failed: u64,
    /// Bytes that wait now.
    pub queued_bytes: usize,
}

/// A body on its way.
#[derive(Debug)]
struct Job {
    name: Hash,
    /// Days since 1970.
    day: u32,
    answer: bool,
    policy: Policy,
    body: Bytes,
}

/// The store of contents, shared by all cores. Dropping it writes what waits.
#[derive(Debug)]
pub struct Store {
    orders: SyncSender<Order>,
    counts: Arc<Counts>,
    dir: PathBuf,
    retain_days: u32,
    keeper: Option<JoinHandle<()>>,
}

const MS_OF_DAY: u64 = 24 * 60 * 60 * 1000;

impl Store {
    /// Opens the folder, makes it when it is not there, and begins the thread. What a crash has left of a
    /// frame is cut off, and what the index does not know is read; neither takes long after a good end.
    ///
    /// # Errors
    /// [`Fault`], when the folder or what is in it cannot be read or written.
    pub fn open(settings: Settings) -> Result<(Self, Report), Fault> {
        let Settings { dir, retain_days, stream } = settings;
        let counts = Arc::new(Counts::default());
        let (keeper, report) = Keeper::open(dir.clone(), stream, Arc::clone(&counts))?;
        let (orders, received) = sync_channel(limits::CONTENT_QUEUE_MAX);
        let thread = thread::Builder::new().name("contents".to_owned());
        let keeper = thread.spawn(move || keeper.run(&received))?;
        Ok((Self { orders, counts, dir, retain_days, keeper: Some(keeper) }, report))
    }

    /// Hands on one body of a call, without waiting. `now_ms` is the wall clock, milliseconds since 1970.
    pub fn put(&self, call: CallId, part: Part, policy: Policy, body: Bytes, now_ms: u64) -> Kept {
        if !policy.keeps_bodies() {
            return Kept::No;
        }
        let bytes = body.len();
        let job = Job {
            name: name_of(call, part),
            day: day_of(now_ms),
            answer: part == Part::Answer,
            policy,
            body,
        };
        let before = self.counts.queued.fetch_add(bytes, Ordering::AcqRel);
        let room = before.saturating_add(bytes) <= limits::CONTENT_QUEUE_BYTES_MAX;
        if room && self.orders.try_send(Order::Keep(job)).is_ok() {
            return Kept::Queued;
        }
        self.counts.queued.fetch_sub(bytes, Ordering::AcqRel);
        self.counts.skipped.fetch_add(1, Ordering::Relaxed);
        Kept::Skipped
    }

    /// Reads one body of a call, which may take as long as the disk does; nothing when it is not kept, or not
    /// any more, or not yet. A streamed answer comes back as one document.
    ///
    /// # Errors
    /// [`Fault`]; [`Fault::Damaged`] when a part is missing or another than was stored.
    pub fn read(&self, call: CallId, part: Part) -> Result<Option<Vec<u8>>, Fault> {
        read(&self.dir, call, part)
    }

    /// Forgets what has not been used for as long as contents are kept; to be called about once an hour.
    /// False when so much waits that it has to be tried later.
    pub fn sweep(&self, now_ms: u64) -> bool {
        let today = day_of(now_ms);
        let order = Order::Sweep { today, before: today.saturating_sub(self.retain_days) };
        !matches!(self.orders.try_send(order), Err(TrySendError::Full(_)))
    }

    /// Waits until all bodies that were put before have been written.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.orders.send(Order::Flush(done)).is_ok() {
            while wait.recv().is_ok() {}
        }
    }

    /// What has been counted.
    pub fn counted(&self) -> Counted {
        Counted {
            stored: self.counts.stored.load(Ordering::Relaxed),
            skipped: self.counts.skipped.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
            queued_bytes: self.counts.queued.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.orders.send(Order::Stop));
        if let Some(keeper) = self.keeper.take() {
            drop(keeper.join());
        }
    }
}

/// Reads one body of a call from the folder `dir`, which another process may be writing to.
///
/// # Errors
/// As [`Store::read`].
pub fn read(dir: &Path, call: CallId, part: Part) -> Result<Option<Vec<u8>>, Fault> {
    let name = name_of(call, part);
    let look = || Reader::new(dir.to_owned()).body(&Index::look(dir)?, &name);
    // A sweep may have moved a part between two looks.
    look().or_else(|_| look())
}

/// The name that a turn is stored under; no hash looks like it.
fn name_of(call: CallId, part: Part) -> Hash {
    let mut name = Hash::default();
    let last = u8::from(part == Part::Answer);
    for (to, from) in name.iter_mut().zip(call.0.to_be_bytes().into_iter().chain([last])) {
        *to = from;
    }
    name
}

fn day_of(now_ms: u64) -> u32 {
    u32::try_from(now_ms / MS_OF_DAY).unwrap_or(u32::MAX)
}
