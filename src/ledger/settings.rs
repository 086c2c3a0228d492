//! How a ledger is to be kept.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits;

/// When a record counts as kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it is with the kernel: a killed process loses nothing, a power failure the last `sync_ms`.
    #[default]
    Written,
    /// When it is on the disk.
    Synced,
}

/// What happens when the disk is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// Appending waits, and whoever asks is told that the ledger is full.
    #[default]
    Refuse,
    /// Records are counted, and the number is recorded when there is room again.
    Serve,
}

/// How a ledger is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The data folder; the ledger is the folder `ledger` in it.
    pub dir: PathBuf,
    /// When a record counts as kept.
    pub durability: Durability,
    /// Milliseconds between two syncs, at least.
    pub sync_ms: u64,
    /// Bytes after which the next segment begins; at most `limits::SEGMENT_BYTES_MAX`.
    pub segment_bytes: u64,
    /// The age at which the next segment begins, whatever the size, unless it is empty: what is to be dropped
    /// by age is dropped by whole segments.
    pub segment_age: Duration,
    /// What happens when the disk is full.
    pub on_full: OnFull,
    /// Journals: one for each thread that appends; 1 to `limits::JOURNALS_MAX`.
    pub cores: usize,
    /// Bytes of one half of a journal, between `limits::JOURNAL_HALF_BYTES_MIN` and `_MAX`.
    pub journal_bytes: usize,
}

impl Settings {
    /// The defaults.
    pub fn new(dir: impl Into<PathBuf>, cores: usize) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::Written,
            sync_ms: limits::SYNC_MS_DEFAULT,
            segment_bytes: limits::SEGMENT_BYTES_DEFAULT,
            segment_age: limits::SEGMENT_AGE,
            on_full: OnFull::Refuse,
            cores,
            journal_bytes: limits::JOURNAL_HALF_BYTES_DEFAULT,
        }
    }

    /// The same with everything inside its bounds.
    pub(super) fn bounded(mut self) -> Self {
        self.cores = self.cores.clamp(1, limits::JOURNALS_MAX);
        self.segment_bytes = self.segment_bytes.min(limits::SEGMENT_BYTES_MAX);
        self.journal_bytes =
            self.journal_bytes.clamp(limits::JOURNAL_HALF_BYTES_MIN, limits::JOURNAL_HALF_BYTES_MAX);
        self
    }
}
