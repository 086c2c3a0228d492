//! A ledger that is being kept: opened once by one process, with a writer and journals for its threads.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::ledger::background;
use crate::ledger::entry::Entry;
use crate::ledger::files::{self, Disk, Folder, Lock};
use crate::ledger::follow::Follower;
use crate::ledger::heads::{KeyFault, Log, Signer};
use crate::ledger::journal::{self, Journal, Signals};
use crate::ledger::pack::{self, Job};
use crate::ledger::record::Head;
use crate::ledger::recover;
use crate::ledger::segment::{Bad, ReadFault};
use crate::ledger::settings::Settings;
#[cfg(test)]
use crate::ledger::tests::faults::Faults;
use crate::ledger::writer::{Start, Writer};

/// Why a ledger cannot be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum LedgerFault {
    /// The system refuses.
    #[error("{}: {why}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        why: io::Error,
    },
    /// Another process keeps this ledger.
    #[error("{}: another process keeps this ledger", .0.display())]
    Locked(PathBuf),
    /// Records that a signed head vouches for are damaged or gone.
    #[error("{0}; a signed head vouches for this record: restore the file, or move the ledger away")]
    Damaged(Bad),
    /// Records cannot be read.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// Heads cannot be signed.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A thread could not be started or has failed.
    #[error("a thread of the ledger: {0}")]
    Thread(io::Error),
    /// The disk does not take the last records.
    #[error("the last records are in the journals only: {0}")]
    Unwritten(io::Error),
}

impl LedgerFault {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |why| Self::Io { path: path.to_owned(), why }
    }
}

/// What was found when a ledger was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes that were cut from the end of the last segment: records that were not wholly written.
    pub cut_bytes: u64,
    /// Where the cut was made, and where what was cut is kept.
    pub cut: Option<(Bad, PathBuf)>,
    /// Records of the process before that only its journals had.
    pub recovered: u64,
    /// Records that no journal has any more, as far as numbers tell: what a power failure took.
    pub missing: u64,
    /// Calls that nobody saw the end of, each closed as lost at its estimate.
    pub lost: Vec<Entry>,
    /// Records of the ledger, which is the index of the next one.
    pub records: u64,
}

/// A ledger that has been opened.
#[derive(Debug)]
pub struct Opened {
    /// The ledger.
    pub ledger: Ledger,
    /// One journal for each thread that appends.
    pub journals: Vec<Journal>,
    /// What was found.
    pub report: Report,
}

/// How the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes records.
    Ok,
    /// The disk takes nothing.
    Full {
        /// What the system says.
        why: String,
    },
}

/// A ledger that is being kept. When it is dropped without `stop`, it is stopped too, and faults are lost.
#[derive(Debug)]
pub struct Ledger {
    folder: Folder,
    signals: Arc<Signals>,
    shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
}

#[derive(Debug)]
struct Threads {
    writer: JoinHandle<io::Result<()>>,
    packer: JoinHandle<()>,
}

impl Ledger {
    /// Opens the ledger below `settings.dir`, or begins one, and brings it in order: what the process before
    /// has left in its journals is recorded, and its open calls are closed as lost.
    ///
    /// # Errors
    /// `Locked`, `Damaged`, `Key`, and what the system says.
    pub fn open(settings: Settings, now_ms: u64) -> Result<Opened, LedgerFault> {
        Self::open_on(&Disk::default(), settings, now_ms)
    }

    /// Opens a ledger on a disk that can be made to fail.
    #[cfg(test)]
    pub(crate) fn open_with(
        faults: &Arc<Faults>,
        settings: Settings,
        now_ms: u64,
    ) -> Result<Opened, LedgerFault> {
        Self::open_on(&Disk { faults: Arc::clone(faults) }, settings, now_ms)
    }

    pub(super) fn open_on(disk: &Disk, settings: Settings, now_ms: u64) -> Result<Opened, LedgerFault> {
        let settings = settings.bounded();
        let folder = Folder::of(&settings.dir);
        folder.create().map_err(LedgerFault::io(folder.path()))?;
        let lock = lock(&folder)?;
        let signer = Signer::of(&folder)?;
        let heads = Log::open(disk, &folder).map_err(LedgerFault::io(&folder.heads()))?;
        let (tail, report) = recover::recover(disk, &folder, heads.signed, now_ms)?;
        let signals = Arc::new(Signals::new(settings.durability, settings.on_full, Some(lock)));
        let (mut journals, mut sources) = (Vec::new(), Vec::new());
        for number in 0..settings.cores {
            let path = folder.journal(number);
            let seq = tail.stand.arrived.get(&number).copied().unwrap_or(0);
            let made = journal::create(&path, number, settings.journal_bytes, seq, &signals);
            let (journal, source) = made.map_err(LedgerFault::io(&path))?;
            journals.push(journal);
            sources.push(source);
        }
        // All that the others have kept is in the segments now.
        for (number, path) in folder.journals().map_err(LedgerFault::io(folder.path()))? {
            if number >= settings.cores {
                files::remove(&path).map_err(LedgerFault::io(&path))?;
            }
        }
        let shared = Arc::new(Shared::default());
        shared.synced(tail.stand.records());
        shared.signed(heads.newest.clone());
        let (to_do, jobs) = mpsc::channel::<Job>();
        pack::rest(&folder, tail.first(), &to_do)?;
        let packer = start("ledger-packer", {
            let folder = folder.segments();
            move || {
                background::stand_back();
                pack::work(&folder, &jobs);
            }
        })?;
        let age = Duration::from_millis(now_ms.abs_diff(tail.begun_ms()));
        let start_with = Start { tail, age, folder: folder.clone(), sources, heads, signer, jobs: to_do };
        let writer = Writer::new(start_with, &settings, Arc::clone(&signals), Arc::clone(&shared));
        let writer = start("ledger-writer", move || writer.run())?;
        let threads = Mutex::new(Some(Threads { writer, packer }));
        let ledger = Self { folder, signals, shared, threads };
        Ok(Opened { ledger, journals, report })
    }

    /// How the ledger is; cheap as long as it is well.
    pub fn state(&self) -> State {
        if !self.signals.full.load(Ordering::Relaxed) {
            return State::Ok;
        }
        let why = self.shared.inner().state.clone();
        why.map_or(State::Ok, |why| State::Full { why })
    }

    /// Number of records that are on the disk.
    pub fn synced_records(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    /// The newest signed head, once it is in `heads.jsonl`; also after `stop`, which signs the last.
    pub fn newest_head(&self) -> Option<Head> {
        self.shared.inner().head.clone()
    }

    /// Reads the records from `index` on, also those to come, as soon as they are on the disk.
    pub fn follow(&self, index: u64) -> Follower {
        Follower::live(&self.folder, index, Arc::clone(&self.shared))
    }

    /// Drops sealed segments in which everything is older than `before_ms` (milliseconds since 1970) and
    /// every call has ended; the index of the first record that is left, once that is recorded and signed, or
    /// `None` when there was nothing to drop.
    ///
    /// # Errors
    /// What the system says; segments may then be left for the next time.
    pub fn retain(&self, before_ms: u64) -> io::Result<Option<u64>> {
        let (reply, answer) = mpsc::channel();
        self.shared.inner().wishes.push(Wish { before_ms, reply });
        self.signals.wake();
        let ended = |_gone: mpsc::RecvError| io::Error::other("the ledger is closed");
        answer.recv().map_err(ended)?
    }

    /// Writes what the journals have, signs a head, and ends the threads; a second time it does nothing. What
    /// is appended later stays in the journals until the next `open`, which the lock of this ledger and its
    /// journals does not allow before all of them are dropped.
    ///
    /// # Errors
    /// `Unwritten` when the disk does not take the rest, which the next `open` then finds in the journals.
    pub fn stop(&self) -> Result<(), LedgerFault> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Threads { writer, packer }) = threads.take() else { return Ok(()) };
        self.shared.inner().stopping = true;
        self.signals.wake();
        // The writer lets go of its end of the channel, so that the packer comes to its own.
        let (written, packed) = (writer.join(), packer.join());
        match written {
            Ok(Ok(())) if packed.is_ok() => Ok(()),
            Ok(Err(why)) => Err(LedgerFault::Unwritten(why)),
            _ => Err(LedgerFault::Thread(io::Error::other("it has failed"))),
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop`.
        drop(self.stop());
    }
}

fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LedgerFault> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(LedgerFault::Thread)
}

fn lock(folder: &Folder) -> Result<Lock, LedgerFault> {
    let path = folder.lock();
    let file = files::open_private(&path).map_err(LedgerFault::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock::held(file)),
        Err(TryLockError::WouldBlock) => Err(LedgerFault::Locked(path)),
        Err(TryLockError::Error(why)) => Err(LedgerFault::Io { path, why }),
    }
}

/// Whether a process keeps the ledger below a data folder at this moment. To find out takes its lock for an
/// instant, in which no other process can begin to keep it.
pub fn is_kept(data_dir: &Path) -> bool {
    let Ok(file) = File::open(Folder::of(data_dir).lock()) else { return false };
    match file.try_lock_shared() {
        Ok(()) => {
            drop(Lock::held(file));
            false
        }
        // A lock that cannot be asked about is no leave to go on.
        Err(_) => true,
    }
}

/// The wish that old segments go.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) before_ms: u64,
    pub(super) reply: Sender<io::Result<Option<u64>>>,
}

/// What the writer shares with everyone but the journals.
#[derive(Debug, Default)]
pub(super) struct Shared {
    synced: AtomicU64,
    ended: AtomicBool,
    inner: Mutex<Inner>,
    /// Those who wait for records. The lock is apart from `inner` since they may stand back behind everything
    /// else on the machine, and hold it then: the writer never waits for it.
    followers: Mutex<()>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    state: Option<String>,
    stopping: bool,
    wishes: Vec<Wish>,
    /// The newest that is in its file.
    head: Option<Head>,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.inner().stopping
    }

    pub(super) fn set_state(&self, why: Option<String>) {
        self.inner().state = why;
    }

    pub(super) fn wishes(&self) -> Vec<Wish> {
        std::mem::take(&mut self.inner().wishes)
    }

    /// Tells which head is the newest that others may be shown.
    pub(super) fn signed(&self, head: Option<Head>) {
        self.inner().head = head;
    }

    /// Tells how many records are on the disk.
    pub(super) fn synced(&self, records: u64) {
        if self.synced.swap(records, Ordering::AcqRel) != records {
            // Whoever is about to wait and is missed here looks again when its patience ends.
            drop(self.followers.try_lock());
            self.changed.notify_all();
        }
    }

    pub(super) fn end(&self, why: &str) {
        self.ended.store(true, Ordering::Release);
        let mut inner = self.inner();
        inner.state = Some(why.to_owned());
        // Whoever still waits for an answer learns that none comes.
        inner.wishes.clear();
        drop(inner);
        drop(self.followers.lock());
        self.changed.notify_all();
    }

    /// Waits until there are more records than `index`; how many there are then.
    pub(super) fn wait(&self, index: u64, timeout: Duration) -> u64 {
        let idle = || self.synced.load(Ordering::Acquire) <= index && !self.ended.load(Ordering::Acquire);
        if idle() && !timeout.is_zero() {
            let followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.changed.wait_timeout_while(followers, timeout, |()| idle()));
        }
        self.synced.load(Ordering::Acquire)
    }
}
