//! A file in memory as a ring of two halves, which one thread fills and one other empties.
//!
//! Positions count all bytes ever passed, `position % (2 * half)` is the place. What is between `released`
//! and
//! `published` belongs to the reader, everything else to the writer:
//!
//! ```text
//!        half 0                     half 1
//!   |----released=======end| |=======published------|
//!      writer's   reader's       reader's  writer's
//! ```
//!
//! No piece lies across the end of a half: what does not fit goes to the beginning of the next, and zeros in
//! place of a length say so. A half is filled again only when all of it has been released, so that whoever
//! reads the file after a crash finds the beginning of a piece at the beginning of each half.
//!
//! The file must keep its size while it is mapped, and have all its blocks: the kernel ends a process that
//! writes where it has no room. It therefore lies in a folder of ours, under a lock, and is written in full
//! before it is mapped.
#![expect(unsafe_code, reason = "the memory of a mapped file is reached by address only")]

use std::fs::File;
use std::io;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapRaw;

/// Bytes of the file before the first half.
pub(super) const OPENING_BYTES: usize = 4096;

/// Bytes of zeros behind the last piece of a half, as far as there is room.
const END: [u8; 8] = [0; 8];

#[derive(Debug)]
struct Ring {
    map: MmapRaw,
    half: usize,
    published: AtomicU64,
    released: AtomicU64,
}

/// The end that fills.
#[derive(Debug)]
pub(super) struct Filler {
    ring: Arc<Ring>,
    /// Same as `published`, which only we change.
    at: u64,
}

/// The end that empties.
#[derive(Debug)]
pub(super) struct Emptier {
    ring: Arc<Ring>,
    /// `released <= taken <= published`.
    taken: u64,
}

/// Maps a file of `OPENING_BYTES + 2 * half` bytes as an empty ring. There can be one of a file at a time.
///
/// # Errors
/// What the system says; `InvalidInput` for a file of another size.
pub(super) fn ring(file: &File, half: usize) -> io::Result<(Filler, Emptier)> {
    let map = MmapRaw::map_raw(file)?;
    if half < END.len() || map.len() != OPENING_BYTES + 2 * half {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a journal has another size"));
    }
    let (published, released) = (AtomicU64::new(0), AtomicU64::new(0));
    let ring = Arc::new(Ring { map, half, published, released });
    Ok((Filler { ring: Arc::clone(&ring), at: 0 }, Emptier { ring, taken: 0 }))
}

impl Ring {
    fn half(&self) -> u64 {
        u64::try_from(self.half).unwrap_or(u64::MAX)
    }

    /// The place of a position in the mapping; less than its length.
    fn place(&self, position: u64) -> usize {
        OPENING_BYTES + usize::try_from(position % (2 * self.half())).unwrap_or(0)
    }

    /// How many bytes there are from a position to the end of its half; at least 1.
    fn left(&self, position: u64) -> usize {
        self.half - usize::try_from(position % self.half()).unwrap_or(0)
    }
}

impl Filler {
    /// Where a piece of so many bytes can go now.
    fn room(&self, bytes: usize) -> Option<u64> {
        let (ring, half) = (&self.ring, self.ring.half());
        if bytes > ring.half {
            return None;
        }
        let starts = self.at.is_multiple_of(half);
        if !starts && bytes <= ring.left(self.at) {
            return Some(self.at);
        }
        let start = self.at.next_multiple_of(half);
        // The bytes there were used last one whole ring ago, and are ours when that half is released.
        let free = start < 2 * half || ring.released.load(Ordering::Acquire) >= start - half;
        free.then_some(start)
    }

    /// Whether `put` would take a piece of so many bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.room(bytes).is_some()
    }

    /// Copies a piece in and hands it to the reader; false, and nothing done, when there is no room. The
    /// second value tells that a half is full: time for the reader to come.
    pub(super) fn put(&mut self, piece: &[u8]) -> (bool, bool) {
        let Some(start) = self.room(piece.len()) else { return (false, true) };
        if start != self.at {
            let left = self.ring.left(self.at).min(END.len());
            self.copy(END.get(..left).unwrap_or_default(), self.at);
        }
        self.copy(piece, start);
        let turned = start != self.at;
        self.at = start + u64::try_from(piece.len()).unwrap_or(0);
        // In one order with the writer's flag of resting: it sees the piece, or we see the flag.
        self.ring.published.store(self.at, Ordering::SeqCst);
        (true, turned)
    }

    /// Copies `bytes` to a position that is ours. They do not pass the end of its half.
    fn copy(&mut self, bytes: &[u8], position: u64) {
        let place = self.ring.place(position);
        debug_assert!(bytes.len() <= self.ring.left(position));
        // SAFETY: `place` is less than the length of the mapping, so the sum stays inside of it.
        // WHY: a mapping that two threads use has no safe form. Without a system call an append takes 0.3 to
        // 0.4 us with encoding and checksum (bench `ledger`, append), and outlives the process.
        let to = unsafe { self.ring.map.as_mut_ptr().add(place) };
        // SAFETY: the callers pass at most what is left of the half, so all bytes are inside of the mapping,
        // which lives as long as `ring`. There is one `Filler` (not cloneable, and `&mut self`), and it
        // passes positions that are not before `published`, in a half whose earlier content has been
        // released: no slice that `Emptier::run` gave out covers them. `bytes` is no part of the mapping,
        // since a slice of it is only ever given out for reading by `Emptier`, at other positions.
        // WHY: as above.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }
}

impl Emptier {
    /// Whether there is something to take.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.published.load(Ordering::SeqCst) == self.taken
    }

    /// What has been published and not taken, up to the end of the half. Behind the last piece of a half
    /// there may be anything.
    pub(super) fn run(&self) -> &[u8] {
        let published = self.ring.published.load(Ordering::Acquire);
        let waiting = usize::try_from(published.saturating_sub(self.taken)).unwrap_or(usize::MAX);
        let bytes = waiting.min(self.ring.left(self.taken));
        let place = self.ring.place(self.taken);
        // SAFETY: `place` is less than the length of the mapping.
        // WHY: as in `Filler::copy`.
        let from = unsafe { self.ring.map.as_ptr().add(place) };
        // SAFETY: at most what is left of the half, so inside of the mapping, which lives as long as `self`.
        // The bytes have been written before `published` was stored, and `Filler` writes there again only
        // when
        // `released` has passed them. `released` follows `taken`, which moves by `advance` and `turn` only,
        // and both take `&mut self`: this slice is gone by then. Other processes do not write: the file is
        // under a lock.
        // WHY: as in `Filler::copy`; the writer reads what the core wrote without a copy between.
        unsafe { slice::from_raw_parts(from, bytes) }
    }

    /// Takes so many bytes of `run`.
    pub(super) fn advance(&mut self, bytes: usize) {
        let published = self.ring.published.load(Ordering::Acquire);
        let bytes = bytes.min(self.ring.left(self.taken));
        self.taken = (self.taken + u64::try_from(bytes).unwrap_or(0)).min(published);
    }

    /// Goes on with the next half, if something has been published there.
    pub(super) fn turn(&mut self) {
        let next = (self.taken + 1).next_multiple_of(self.ring.half());
        if self.ring.published.load(Ordering::Acquire) > next {
            self.taken = next;
        }
    }

    /// Gives all that was taken back to be filled again.
    pub(super) fn release(&self) {
        self.ring.released.store(self.taken, Ordering::Release);
    }
}
