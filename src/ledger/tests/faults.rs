//! A disk that is full, slow, or does not sync.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// What goes wrong; nothing at first.
#[derive(Debug)]
pub(crate) struct Faults {
    /// Bytes that still fit; negative for no bound.
    room: AtomicI64,
    /// Milliseconds that a write takes longer.
    slow_ms: AtomicU64,
    unsynced: AtomicBool,
    /// How often bytes were refused.
    pub(crate) refused: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            room: AtomicI64::new(-1),
            slow_ms: AtomicU64::new(0),
            unsynced: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        }
    }
}

impl Faults {
    /// Lets so many more bytes be written, or any number.
    pub(crate) fn fill(&self, room: Option<u32>) {
        self.room.store(room.map_or(-1, i64::from), Ordering::SeqCst);
    }

    pub(crate) fn slow(&self, ms: u64) {
        self.slow_ms.store(ms, Ordering::SeqCst);
    }

    pub(crate) fn unsync(&self, fails: bool) {
        self.unsynced.store(fails, Ordering::SeqCst);
    }

    /// What a real disk does when it is full: the part that fits is written, and then comes the error.
    pub(crate) fn write<'a>(&self, file: &File, bytes: &'a [u8], at: u64) -> io::Result<&'a [u8]> {
        let slow = self.slow_ms.load(Ordering::SeqCst);
        if slow > 0 {
            std::thread::park_timeout(Duration::from_millis(slow));
        }
        let room = self.room.load(Ordering::SeqCst);
        let Ok(fits) = usize::try_from(room) else { return Ok(bytes) };
        let fits = fits.min(bytes.len());
        self.room.fetch_sub(i64::try_from(fits).unwrap(), Ordering::SeqCst);
        if fits == bytes.len() {
            return Ok(bytes);
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        file.write_all_at(&bytes[..fits], at)?;
        Err(io::ErrorKind::StorageFull.into())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.unsynced.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::other("the disk does not answer"));
        }
        Ok(())
    }
}
