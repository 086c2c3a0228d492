//! A folder for a ledger, and the ways in which tests look at what is in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::ids::CallId;
use crate::ledger::files::Disk;
use crate::ledger::follow::Follower;
use crate::ledger::live::{Ledger, Opened};
use crate::ledger::record::Record;
use crate::ledger::settings::Settings;

/// When all tests open their ledgers, milliseconds since 1970.
pub(super) const NOW: u64 = 1_795_000_000_000;

/// A folder that goes with the test.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tollgate-ledger-{}-{number}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn segments(&self) -> PathBuf {
        self.0.join("ledger/segments")
    }

    /// Files of the segments, the oldest first.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            std::fs::read_dir(self.segments()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Small segments that never end by age, and small journals, two of them.
    pub(super) fn settings(&self) -> Settings {
        let settings = Settings::new(&self.0, 2);
        Settings { journal_bytes: 0, segment_bytes: 16 * 1024, segment_age: Duration::MAX, ..settings }
    }

    pub(super) fn open(&self) -> Opened {
        Ledger::open(self.settings(), NOW).unwrap()
    }

    pub(super) fn open_on(&self, disk: &Disk) -> Opened {
        Ledger::open_on(disk, self.settings(), NOW).unwrap()
    }

    /// All records.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut follower = Follower::offline(&self.0, 0);
        let mut all = Vec::new();
        while let Some((index, record)) = follower.next(Duration::ZERO).unwrap() {
            assert_eq!(index, all.len() as u64);
            all.push(record);
        }
        all
    }

    /// All records, but for heads.
    pub(super) fn calls(&self) -> Vec<Record> {
        let mut records = self.records();
        records.retain(|record| !matches!(record, Record::Head(_)));
        records
    }

    /// Ids of all closings and events.
    pub(super) fn ended(&self) -> Vec<CallId> {
        let ended = self.records().into_iter().filter_map(|record| match record {
            Record::Close(entry) | Record::Event(entry) => Some(entry.id),
            _ => None,
        });
        ended.collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Stops a ledger, and lets go of it.
pub(super) fn end(ledger: Ledger) {
    ledger.stop().unwrap();
    drop(ledger);
}

struct Wakes(Thread);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits as a core does: it sleeps until it is woken.
pub(super) fn wait(mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>) {
    let waker = Waker::from(Arc::new(Wakes(thread::current())));
    let mut context = Context::from_waker(&waker);
    while poll(&mut context).is_pending() {
        thread::park();
    }
}

/// Waits until something is so.
pub(super) fn until(so: impl Fn() -> bool) {
    while !so() {
        thread::park_timeout(Duration::from_millis(1));
    }
}
