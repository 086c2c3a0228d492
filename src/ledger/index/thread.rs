//! The thread that keeps the index up with the chain, and the one command that builds it anew.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::clock;
use crate::ledger::background;
use crate::ledger::index::IndexFault;
use crate::ledger::index::feed::{Batch, Halt, Records};
use crate::ledger::index::store::Store;
use crate::limits;

/// The index of a ledger that is being kept. Dropping it ends its thread.
#[derive(Debug)]
pub struct Indexer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Somebody waits until all records before this position are in the index.
    wanted: AtomicU64,
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Clone, Debug, Default)]
struct Progress {
    next: u64,
    fault: Option<String>,
}

impl Shared {
    fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_all();
    }

    fn position(&self) -> u64 {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Rests until more records are worth a transaction, or somebody waits for what is behind `next`.
    fn rest(&self, next: u64) {
        let until = clock::now() + limits::INDEX_EVERY;
        while !self.stopped() && self.wanted.load(Ordering::Acquire) <= next {
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return;
            }
            std::thread::park_timeout(left);
        }
    }
}

impl Indexer {
    /// Opens the index and follows the chain from where it ends. `records` gives the records from a position
    /// on; `size` is how many there are. An index that is of another version, damaged, or ahead of its chain
    /// is deleted and built anew.
    ///
    /// # Errors
    /// The file cannot be made, or the thread not started.
    pub fn start<R: Records>(
        path: &Path,
        size: u64,
        records: impl Fn(u64) -> R + Send + 'static,
    ) -> Result<Self, IndexFault> {
        let store = open(path, size)?;
        let next = store.next()?;
        let shared = Arc::new(Shared::default());
        shared.note(|progress| progress.next = next);
        let mine = Arc::clone(&shared);
        let thread = Builder::new()
            .name("ledger-index".to_owned())
            .spawn(move || follow(store, (next, size), &records, &mine))
            .map_err(|source| IndexFault::File { path: path.to_owned(), source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The position of the first record that is not in the index.
    pub fn next(&self) -> u64 {
        self.shared.position()
    }

    /// What keeps the index from going on, which it tries again every second.
    pub fn fault(&self) -> Option<String> {
        self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner).fault.clone()
    }

    /// Waits until all records before a position are in the index; false when they are not after `most`.
    pub fn wait(&self, position: u64, most: Duration) -> bool {
        self.shared.wanted.fetch_max(position, Ordering::AcqRel);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        let progress = self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = |progress: &mut Progress| progress.next < position;
        let waited = self.shared.moved.wait_timeout_while(progress, most, behind);
        waited.unwrap_or_else(PoisonError::into_inner).0.next >= position
    }

    /// Ends the thread, after what it is at.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of it has been told where it happened.
            drop(thread.join());
        }
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Opens an index that fits the chain, a new one where there is none.
fn open(path: &Path, size: u64) -> Result<Store, IndexFault> {
    let found = Store::open(path).and_then(|store| store.next().map(|next| (store, next)));
    match found {
        Ok((store, next)) if next <= size => return Ok(store),
        Err(fault) if !fault.is_cured_by_a_new_file() => return Err(fault),
        _ => {}
    }
    Store::remove(path)?;
    Store::open(path)
}

/// Takes what comes until it is told to stop. The start waits for the first `size` records; what comes behind
/// them is nobody's hurry.
fn follow<R: Records>(
    mut store: Store,
    (from, size): (u64, u64),
    records: &impl Fn(u64) -> R,
    shared: &Shared,
) {
    let (mut source, mut hurries) = (records(from), true);
    // A batch that could not be kept is not read a second time.
    let mut pending = None;
    while !shared.stopped() {
        if hurries && shared.position() >= size {
            hurries = false;
            background::stand_back();
        }
        let batch = match pending.take() {
            Some(batch) => batch,
            None => match Batch::read(&mut source, WAIT, limits::INDEX_BATCH_MAX) {
                Ok(batch) => batch,
                Err(Halt::Dropped(oldest)) => {
                    source = records(oldest);
                    continue;
                }
                Err(halt) => {
                    pause(shared, halt.to_string());
                    continue;
                }
            },
        };
        let Some(next) = batch.next else { continue };
        match batch.keep(&mut store) {
            Ok(()) => {
                shared.note(|progress| *progress = Progress { next, fault: None });
                if !batch.is_full(limits::INDEX_BATCH_MAX) {
                    shared.rest(next);
                }
            }
            Err(fault) => {
                pending = Some(batch);
                pause(shared, fault.to_string());
            }
        }
    }
}

/// Tells what is wrong and waits before it is tried again.
fn pause(shared: &Shared, fault: String) {
    shared.note(|progress| progress.fault = Some(fault));
    if !shared.stopped() {
        std::thread::park_timeout(RETRY);
    }
}

/// How long the thread waits for a record before it looks whether it is to end.
const WAIT: Duration = Duration::from_millis(100);

/// How long after a fault it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Batches between the thread that reads and the one that writes.
const BATCHES_AHEAD: usize = 1;

/// Deletes the index and builds it from all records that there are; `told` hears how far it is. One thread
/// reads and unpacks while another writes.
///
/// # Errors
/// What keeps it from being written or the records from being read; the index is then not whole, and lacks
/// what comes after.
pub fn rebuild<R: Records + Send>(
    path: &Path,
    records: impl Fn(u64) -> R,
    told: impl FnMut(u64),
) -> Result<u64, Unbuilt> {
    Store::remove(path)?;
    let mut store = Store::open(path)?;
    store.begin_bulk()?;
    let built = fill(&mut store, records, limits::INDEX_BATCH_BULK, told);
    store.end_bulk()?;
    built
}

/// Takes all records that are not yet in the index, which another process may keep up as well.
///
/// # Errors
/// As [`rebuild`].
pub fn catch_up<R: Records + Send>(path: &Path, records: impl Fn(u64) -> R) -> Result<u64, Unbuilt> {
    fill(&mut Store::open(path)?, records, limits::INDEX_BATCH_MAX, |_| {})
}

fn fill<R: Records + Send>(
    store: &mut Store,
    records: impl Fn(u64) -> R,
    most: usize,
    mut told: impl FnMut(u64),
) -> Result<u64, Unbuilt> {
    let mut source = records(store.next()?);
    loop {
        let halt = std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(BATCHES_AHEAD);
            let source = &mut source;
            // With the end of the reading thread its end of the channel goes, which ends the loop below.
            let reading = scope.spawn(move || send(source, most, &sender));
            let kept = keep(store, receiver, &mut told);
            let read = reading.join();
            kept.map(|()| {
                read.unwrap_or_else(|_| Some(Halt::Unreadable("the reading thread failed".to_owned())))
            })
        })?;
        match halt {
            None => return Ok(store.next()?),
            Some(Halt::Dropped(oldest)) => source = records(oldest),
            Some(halt) => return Err(halt.into()),
        }
    }
}

/// Reads batches to the end; what ended it, if it was no end.
fn send(source: &mut impl Records, most: usize, batches: &SyncSender<Batch>) -> Option<Halt> {
    loop {
        match Batch::read(source, Duration::ZERO, most) {
            Ok(batch) if batch.next.is_none() => return None,
            // Nobody takes them: the writer has failed and says so.
            Ok(batch) => batches.send(batch).ok()?,
            Err(halt) => return Some(halt),
        }
    }
}

fn keep(store: &mut Store, batches: Receiver<Batch>, told: &mut impl FnMut(u64)) -> Result<(), IndexFault> {
    for batch in batches {
        batch.keep(store)?;
        told(batch.next.unwrap_or(0));
    }
    Ok(())
}

/// Why an index is not whole.
#[derive(Debug, thiserror::Error)]
pub enum Unbuilt {
    /// The index cannot be written.
    #[error(transparent)]
    Index(#[from] IndexFault),
    /// The records cannot be read.
    #[error("the records of the ledger cannot be read: {0}")]
    Records(#[from] Halt),
}
