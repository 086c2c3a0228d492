//! Journals: one a core, where records are safe from the end of the process as soon as they are appended.
//!
//! The file is 4096 bytes of opening (magic, bytes of a half) and two halves of frames, mapped into memory.
//! To append is to copy: what has been copied is the kernel's, and a killed process loses nothing of it.
//! The writer takes the records from there into the segments.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::Thread;

use crate::ledger::encode::{self, Stamp, Tag};
use crate::ledger::entry::Entry;
use crate::ledger::files::{self, Lock};
use crate::ledger::frame::{self, Framed};
use crate::ledger::map::{self, Emptier, Filler};
use crate::ledger::note::Note;
use crate::ledger::record::Open;
use crate::ledger::settings::{Durability, OnFull};
use crate::limits;

const MAGIC: &[u8; 8] = b"tolljrn\x01";

/// The journal has no room until the writer has come along: wait by [`Journal::poll_room`] and try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal of this core is full until the disk has caught up")]
pub struct Full;

/// A record that has been appended; for [`Journal::poll_kept`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What the writer and the journals tell each other.
#[derive(Debug)]
pub(super) struct Signals {
    /// The writer, to be woken.
    pub(super) writer: OnceLock<Thread>,
    /// The writer rests until it is woken.
    pub(super) resting: AtomicBool,
    /// The disk takes nothing.
    pub(super) full: AtomicBool,
    /// Records that were counted instead of kept.
    pub(super) dropped: AtomicU64,
    pub(super) durability: Durability,
    pub(super) on_full: OnFull,
    /// The lock of the ledger: another process must not touch a journal that is mapped here.
    _lock: Option<Lock>,
}

impl Signals {
    pub(super) const fn new(durability: Durability, on_full: OnFull, lock: Option<Lock>) -> Self {
        Self {
            writer: OnceLock::new(),
            resting: AtomicBool::new(false),
            full: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            durability,
            on_full,
            _lock: lock,
        }
    }

    /// Wakes the writer.
    pub(super) fn wake(&self) {
        self.resting.store(false, Ordering::SeqCst);
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

/// What the writer tells one journal.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The last record that is on the disk.
    synced: AtomicU64,
    waiting: Mutex<Vec<(Wait, Waker)>>,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// For room.
    Room,
    /// Until this record is on the disk.
    Synced(u64),
}

impl Lane {
    /// Tells that all records up to `seq` are on the disk, and wakes those who wait for one of them.
    pub(super) fn synced(&self, seq: u64) {
        self.synced.store(seq, Ordering::SeqCst);
        self.wake(|wait| matches!(wait, Wait::Synced(wanted) if wanted <= seq));
    }

    /// Wakes those who wait for room.
    pub(super) fn has_room(&self) {
        self.wake(|wait| wait == Wait::Room);
    }

    fn wake(&self, due: impl Fn(Wait) -> bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let woken: Vec<_> = waiting.extract_if(.., |(wait, _)| due(*wait)).collect();
        drop(waiting);
        woken.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn wait(&self, wait: Wait, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.iter_mut().find(|(_, known)| known.will_wake(waker)) {
            Some((known, _)) => *known = wait,
            None => waiting.push((wait, waker.clone())),
        }
    }
}

/// The journal of one core.
#[derive(Debug)]
pub struct Journal {
    number: usize,
    filler: Filler,
    seq: u64,
    frame: Vec<u8>,
    signals: Arc<Signals>,
    lane: Arc<Lane>,
}

impl Journal {
    /// Notes that a call is about to go out.
    ///
    /// # Errors
    /// `Full`, and nothing has been noted.
    pub fn append_open(&mut self, open: &Open) -> Result<Ticket, Full> {
        self.append(|stamp, out| encode::put_open(stamp, open, out))
    }

    /// Notes that an opened call has ended.
    ///
    /// # Errors
    /// `Full`, and nothing has been noted.
    pub fn append_close(&mut self, entry: &Entry) -> Result<Ticket, Full> {
        self.append(|stamp, out| encode::put_entry(Tag::Close, stamp, entry, out))
    }

    /// Notes what had no opening.
    ///
    /// # Errors
    /// `Full`, and nothing has been noted.
    pub fn append_event(&mut self, entry: &Entry) -> Result<Ticket, Full> {
        self.append(|stamp, out| encode::put_entry(Tag::Event, stamp, entry, out))
    }

    /// As `append_open`, with what is reserved in pico-dollars.
    ///
    /// # Errors
    /// `Full`, and nothing has been noted.
    pub fn note_open(&mut self, note: &Note<'_>, estimate_pico: u64) -> Result<Ticket, Full> {
        self.append(|stamp, out| note.put_open(estimate_pico, stamp, out))
    }

    /// As `append_close`.
    ///
    /// # Errors
    /// `Full`, and nothing has been noted.
    pub fn note_close(&mut self, note: &Note<'_>) -> Result<Ticket, Full> {
        self.append(|stamp, out| note.put(Tag::Close, stamp, out))
    }

    /// As `append_event`.
    ///
    /// # Errors
    /// `Full`, and nothing has been noted.
    pub fn note_event(&mut self, note: &Note<'_>) -> Result<Ticket, Full> {
        self.append(|stamp, out| note.put(Tag::Event, stamp, out))
    }

    /// Counts a record that had to be left out, whatever `on_full` says: of a refusal, for which nobody is to
    /// wait while the disk takes nothing. The writer records the number of them in a gap, as soon as it can.
    pub fn count_missing(&self) {
        self.signals.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn append(&mut self, put: impl FnOnce(Option<Stamp>, &mut Vec<u8>)) -> Result<Ticket, Full> {
        let stamp = Stamp { journal: self.number, seq: self.seq + 1 };
        self.frame.clear();
        frame::put(&mut self.frame, |out| put(Some(stamp), out));
        let (done, turned) = self.filler.put(&self.frame);
        if !done {
            if self.signals.on_full == OnFull::Serve && self.signals.full.load(Ordering::Relaxed) {
                self.signals.dropped.fetch_add(1, Ordering::Relaxed);
                return Ok(Ticket::default());
            }
            return Err(Full);
        }
        self.seq = stamp.seq;
        if turned || self.signals.resting.load(Ordering::SeqCst) {
            self.signals.wake();
        }
        Ok(Ticket(stamp.seq))
    }

    /// Waits until a record is as safe as the config wants it before an answer ends: at once where that is
    /// `written`, since it is with the kernel when it has been appended.
    pub fn poll_kept(&mut self, ticket: Ticket, context: &mut Context<'_>) -> Poll<()> {
        match self.signals.durability {
            Durability::Written => Poll::Ready(()),
            Durability::Synced => self.poll_synced(ticket, context),
        }
    }

    /// Waits until a record is on the disk.
    pub fn poll_synced(&mut self, ticket: Ticket, context: &mut Context<'_>) -> Poll<()> {
        let synced = |journal: &Self| journal.lane.synced.load(Ordering::SeqCst) >= ticket.0;
        self.poll(Wait::Synced(ticket.0), synced, context)
    }

    /// Waits until there is room for any record, or nothing is to be waited for any more.
    pub fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let serving = self.signals.on_full == OnFull::Serve;
        let bytes = limits::RECORD_BYTES_MAX + frame::HEAD_BYTES;
        let free = |journal: &Self| {
            journal.filler.has_room(bytes) || (serving && journal.signals.full.load(Ordering::SeqCst))
        };
        self.poll(Wait::Room, free, context)
    }

    fn poll(&self, wait: Wait, ready: impl Fn(&Self) -> bool, context: &Context<'_>) -> Poll<()> {
        if ready(self) {
            return Poll::Ready(());
        }
        self.lane.wait(wait, context.waker());
        // What has come true in between has perhaps not found our waker.
        if ready(self) {
            return Poll::Ready(());
        }
        self.signals.wake();
        Poll::Pending
    }
}

/// The writer's end of a journal.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) emptier: Emptier,
    pub(super) lane: Arc<Lane>,
    /// The last record that has been taken.
    pub(super) seq: u64,
}

/// Makes the file anew and empty, for records behind `seq`.
pub(super) fn create(
    path: &Path,
    number: usize,
    half: usize,
    seq: u64,
    signals: &Arc<Signals>,
) -> io::Result<(Journal, Source)> {
    let file = files::open_private(path)?;
    let size = map::OPENING_BYTES + 2 * half;
    let mut opening = vec![0; map::OPENING_BYTES];
    let facts = MAGIC.iter().copied().chain(u64::try_from(half).unwrap_or(0).to_le_bytes());
    opening.iter_mut().zip(facts).for_each(|(place, byte)| *place = byte);
    if file.metadata()?.len() == u64::try_from(size).unwrap_or(0) {
        // A length of zero at the beginning of a half says that it is empty.
        for start in [map::OPENING_BYTES, map::OPENING_BYTES + half] {
            file.write_all_at(&[0; frame::HEAD_BYTES], u64::try_from(start).unwrap_or(0))?;
        }
    } else {
        file.set_len(0)?;
        // Zeros are written, not left out: a hole in the file would be filled when a record is copied to it,
        // and on a full disk the kernel would end the process for that.
        fill(&file, size)?;
    }
    file.write_all_at(&opening, 0)?;
    file.sync_all()?;
    let (filler, emptier) = map::ring(&file, half)?;
    let lane = Arc::new(Lane::default());
    lane.synced(seq);
    let (signals, frame) = (Arc::clone(signals), Vec::new());
    let journal = Journal { number, filler, seq, frame, signals, lane: Arc::clone(&lane) };
    Ok((journal, Source { emptier, lane, seq }))
}

fn fill(file: &File, size: usize) -> io::Result<()> {
    let zeros = vec![0; limits::SEGMENT_READ_BYTES];
    let mut at = 0;
    while at < size {
        let part = zeros.get(..zeros.len().min(size - at)).unwrap_or_default();
        file.write_all_at(part, u64::try_from(at).unwrap_or(0))?;
        at += part.len();
    }
    Ok(())
}

/// A record that a journal has kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) stamp: Stamp,
    pub(super) tag: Tag,
    /// The record in its frame.
    pub(super) frame: Vec<u8>,
}

impl Kept {
    /// The record.
    pub(super) fn record(&self) -> &[u8] {
        self.frame.get(frame::HEAD_BYTES..).unwrap_or_default()
    }
}

/// Reads what a journal of an earlier process has kept and `wanted` asks for, in the order of its appending.
/// A file that is no journal has kept nothing.
pub(super) fn kept(path: &Path, number: usize, wanted: impl Fn(Stamp) -> bool) -> io::Result<Vec<Kept>> {
    let file = File::open(path)?;
    let most = map::OPENING_BYTES + 2 * limits::JOURNAL_HALF_BYTES_MAX;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if size > most {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, 0)?;
    let half = bytes.get(8..16).and_then(|half| half.try_into().ok()).map(u64::from_le_bytes);
    let half = half.and_then(|half| usize::try_from(half).ok());
    let halves = bytes.get(map::OPENING_BYTES..).unwrap_or_default();
    let Some(half) = half.filter(|half| *half > 0 && bytes.starts_with(MAGIC) && 2 * half == halves.len())
    else {
        return Ok(Vec::new());
    };
    let (first, second) = halves.split_at(half);
    let mut kept = Vec::new();
    for half in [first, second] {
        half_kept(half, number, &wanted, &mut kept);
    }
    kept.sort_by_key(|one| one.stamp.seq);
    Ok(kept)
}

/// Adds what a half has kept, up to its end or to what was not wholly copied.
fn half_kept(mut half: &[u8], number: usize, wanted: impl Fn(Stamp) -> bool, kept: &mut Vec<Kept>) {
    let mut last = None;
    while let Framed::Whole { content, bytes } = frame::read(half) {
        let Ok(outline) = encode::outline(content) else { return };
        let Some(stamp) = outline.stamp.filter(|stamp| stamp.journal == number) else { return };
        // Behind the newest record stand those of the last time that the half was filled.
        if last.is_some_and(|last: u64| last.checked_add(1) != Some(stamp.seq)) {
            return;
        }
        last = Some(stamp.seq);
        let (frame, rest) = half.split_at_checked(bytes).unwrap_or_default();
        if wanted(stamp) {
            kept.push(Kept { stamp, tag: outline.tag, frame: frame.to_vec() });
        }
        half = rest;
    }
}
