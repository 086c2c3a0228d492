//! Owned bytes with a window, taken from and given back to a pool of the core.
//!
//! Completion-based I/O needs buffers that the kernel may write to while nobody else holds them, so a
//! buffer is moved into an operation and moved back out. All its bytes are initialised at all times,
//! which keeps this file free of `unsafe`; the pool makes sure that the zeros are written only once.

use std::cell::RefCell;
use std::fmt;

use crate::limits;

/// Sizes that are pooled, in bytes, and how many of each a core keeps.
const CLASSES: [(usize, usize); 4] =
    [(limits::IDLE_READ_BYTES, 64), (limits::STREAM_READ_BYTES, 64), (64 * 1024, 64), (256 * 1024, 4)];

/// Bytes that a receive leaves free at the end of a buffer: the end of a chunk and the last chunk.
pub const TAIL_ROOM: usize = 8;

/// The rooms that a core keeps, by class.
type Rooms = [Vec<Vec<u8>>; CLASSES.len()];

thread_local! {
    static POOL: RefCell<Rooms> = const { RefCell::new([const { Vec::new() }; CLASSES.len()]) };
}

/// Bytes with a window of filled ones: `start <= end <= room.len()`.
pub struct Buffer {
    room: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// A buffer without room: costs nothing, holds nothing.
    pub const fn empty() -> Self {
        Self { room: Vec::new(), start: 0, end: 0 }
    }

    /// A buffer of at least `bytes` of room, from the pool where a size fits.
    pub fn with_room(bytes: usize) -> Self {
        let room = match class_above(bytes) {
            Some((class, size)) => POOL
                .try_with(|pool| pool.borrow_mut().get_mut(class).and_then(Vec::pop))
                .ok()
                .flatten()
                .unwrap_or_else(|| vec![0; size]),
            None => vec![0; bytes],
        };
        Self { room, start: 0, end: 0 }
    }

    /// The filled bytes.
    pub fn filled(&self) -> &[u8] {
        self.room.get(self.start..self.end).unwrap_or_default()
    }

    /// The filled bytes, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        self.room.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// The bytes behind the filled ones.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        self.room.get_mut(self.end..).unwrap_or_default()
    }

    /// The bytes that one receive may fill: all spare ones but a few, so that an answer can be framed in
    /// place behind the last byte received.
    pub fn readable_room(&mut self) -> &mut [u8] {
        let end = self.room.len().saturating_sub(TAIL_ROOM);
        self.room.get_mut(self.end..end).unwrap_or_default()
    }

    /// How many bytes can be filled without growing.
    pub const fn spare(&self) -> usize {
        self.room.len() - self.end
    }

    /// Number of filled bytes.
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether no byte is filled.
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Bytes of memory held.
    pub const fn room(&self) -> usize {
        self.room.len()
    }

    /// Counts `bytes` of the spare ones as filled; more than there are counts as all.
    pub fn advance(&mut self, bytes: usize) {
        self.end = self.end.saturating_add(bytes).min(self.room.len());
    }

    /// Drops `bytes` from the front; the room becomes whole again when nothing is left.
    pub fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Forgets all filled bytes and leaves `headroom` bytes unused in front of the next ones.
    pub fn reset(&mut self, headroom: usize) {
        self.start = headroom.min(self.room.len());
        self.end = self.start;
    }

    /// Narrows or widens the window to `start..end` of the whole room: for a frame written around data
    /// in place. A window outside the room becomes empty.
    pub fn set_window(&mut self, start: usize, end: usize) {
        if start <= end && end <= self.room.len() {
            (self.start, self.end) = (start, end);
        } else {
            self.reset(0);
        }
    }

    /// Where the window starts in the whole room.
    pub const fn start(&self) -> usize {
        self.start
    }

    /// The whole room, window or not.
    pub fn room_mut(&mut self) -> &mut [u8] {
        &mut self.room
    }

    /// Makes sure that at least `bytes` can be filled, moving what is filled if it must.
    pub fn reserve(&mut self, bytes: usize) {
        if self.spare() >= bytes {
            return;
        }
        if self.room.len() - self.len() >= bytes {
            self.room.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            return;
        }
        // Doubling keeps the copies of a buffer that grows step by step linear.
        let mut larger = Self::with_room((self.len() + bytes).max(2 * self.room.len().min(self.len())));
        larger.extend(self.filled());
        *self = larger;
    }

    /// Appends `bytes`, growing if it must.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        if let Some(place) = self.spare_mut().get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.advance(bytes.len());
    }
}

/// A buffer that holds a copy of `bytes`.
impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        let mut buffer = Self::with_room(bytes.len());
        buffer.extend(bytes);
        buffer
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} of {} bytes)", self.len(), self.room.len())
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::empty()
    }
}

/// Gives the room back to the pool of the core that drops it.
impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(class) = CLASSES.iter().position(|&(size, _)| size == self.room.len()) else { return };
        let room = std::mem::take(&mut self.room);
        // At the end of a thread the pool may be gone; then the room is simply freed.
        let _gone = POOL.try_with(|pool| {
            if let (Some(kept), Some((_, most))) = (pool.borrow_mut().get_mut(class), CLASSES.get(class))
                && kept.len() < *most
            {
                kept.push(room);
            }
        });
    }
}

fn class_above(bytes: usize) -> Option<(usize, usize)> {
    CLASSES.iter().enumerate().find(|(_, (size, _))| *size >= bytes).map(|(class, (size, _))| (class, *size))
}

#[cfg(test)]
mod tests {
    use super::Buffer;
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn a_frame_can_be_written_around_data() {
        let mut buffer = Buffer::with_room(100);
        buffer.reset(10);
        buffer.extend(b"data");
        assert_eq!(buffer.start(), 10);
        buffer.room_mut()[7..10].copy_from_slice(b"4\r\n");
        buffer.room_mut()[14..16].copy_from_slice(b"\r\n");
        buffer.set_window(7, 16);
        assert_eq!(buffer.filled(), b"4\r\ndata\r\n");
        buffer.set_window(5, 1_000_000);
        assert!(buffer.is_empty());
    }

    #[test]
    fn rooms_come_back() {
        let mut first = Buffer::with_room(5_000);
        first.extend(b"x");
        let place = first.room_mut().as_ptr();
        drop(first);
        let mut second = Buffer::with_room(5_000);
        assert!(second.is_empty());
        assert_eq!(second.room_mut().as_ptr(), place);
    }

    proptest! {
        #[test]
        fn behaves_as_a_queue(steps in proptest::collection::vec((0_usize..9_000, 0_usize..9_000), 1..20)) {
            let (mut buffer, mut model) = (Buffer::empty(), Vec::new());
            let mut next = 0_u8;
            for (put, take) in steps {
                let bytes: Vec<u8> = (0..put).map(|_| { next = next.wrapping_add(1); next }).collect();
                buffer.extend(&bytes);
                model.extend_from_slice(&bytes);
                buffer.consume(take);
                model.drain(..take.min(model.len()));
                prop_assert_eq!(buffer.filled(), &model[..]);
            }
        }
    }
}
