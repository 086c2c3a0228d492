//! The writer: the one thread that takes records out of the journals and puts them into the chain.
//!
//! Its round: take what the journals have, write it, give the journals their room back; sync when the last
//! sync is `sync_ms` ago. An opening whose end is in the same round is left out: it has done its service in
//! the journal. A write that fails is tried again until it does not; meanwhile the journals fill, and then
//! whoever appends waits.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use crate::clock;
use crate::ids::CallId;
use crate::ledger::encode::{self, Tag};
use crate::ledger::files::Folder;
use crate::ledger::frame;
use crate::ledger::heads::{Log, Signer};
use crate::ledger::journal::{Signals, Source};
use crate::ledger::live::Shared;
use crate::ledger::pack::Job;
use crate::ledger::record::{Gap, Record};
use crate::ledger::settings::{OnFull, Settings};
use crate::ledger::tail::Tail;
use crate::limits;

/// The thread's own things.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) tail: Tail,
    pub(super) folder: Folder,
    pub(super) sources: Vec<Source>,
    pub(super) signals: Arc<Signals>,
    pub(super) shared: Arc<Shared>,
    pub(super) signer: Signer,
    pub(super) heads: Log,
    /// What the thread behind us has to do.
    pub(super) jobs: Sender<Job>,
    pub(super) sync_every: Duration,
    pub(super) segment_bytes: u64,
    segment_age: Duration,
    /// How old the segment was at a time, which no change of the clock moves.
    age: (Duration, Instant),
    pub(super) last_sync: Instant,
    pub(super) last_head: Instant,
    /// There are records that no head vouches for.
    pub(super) unsigned: bool,
    /// Calls that end in this round.
    closed: HashSet<CallId>,
}

/// What recovery hands over to the writer.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) tail: Tail,
    /// How old its segment is; one from the future, by a clock that was wrong, is as old as it is far away.
    pub(super) age: Duration,
    pub(super) folder: Folder,
    pub(super) sources: Vec<Source>,
    pub(super) heads: Log,
    pub(super) signer: Signer,
    pub(super) jobs: Sender<Job>,
}

/// Tells everyone when the writer is gone, however it went.
struct Ending {
    shared: Arc<Shared>,
    signals: Arc<Signals>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.signals.full.store(true, Ordering::SeqCst);
        self.shared.end("the ledger is closed");
    }
}

impl Writer {
    pub(super) fn new(start: Start, settings: &Settings, signals: Arc<Signals>, shared: Arc<Shared>) -> Self {
        let (records, signed) = (start.tail.stand.records(), start.heads.signed);
        // The last record may be the head itself.
        let unsigned = records > if signed == 0 { 0 } else { signed + 1 };
        Self {
            tail: start.tail,
            folder: start.folder,
            sources: start.sources,
            signals,
            shared,
            signer: start.signer,
            heads: start.heads,
            jobs: start.jobs,
            sync_every: Duration::from_millis(settings.sync_ms),
            segment_bytes: settings.segment_bytes,
            segment_age: settings.segment_age,
            age: (start.age, clock::now()),
            last_sync: clock::now(),
            last_head: clock::now(),
            unsigned,
            closed: HashSet::new(),
        }
    }

    /// Works until it is stopped; what kept it from coming to an end.
    pub(super) fn run(mut self) -> io::Result<()> {
        let _ending = Ending { shared: Arc::clone(&self.shared), signals: Arc::clone(&self.signals) };
        drop(self.signals.writer.set(thread::current()));
        let mut failures = 0;
        loop {
            let stopping = self.shared.is_stopping();
            match self.round(stopping) {
                Ok(Some(rest)) => {
                    failures = 0;
                    self.well();
                    self.rest(rest);
                }
                Ok(None) => {
                    self.well();
                    return Ok(());
                }
                Err(why) if stopping && failures >= STOP_FAILURES => return Err(why),
                Err(why) => {
                    failures += 1;
                    self.ill(&why);
                    self.rest(limits::WRITE_RETRY);
                }
            }
        }
    }

    /// One round; how long to rest then, or `None` when all is done and there is to be no other.
    fn round(&mut self, stopping: bool) -> io::Result<Option<Duration>> {
        if self.tail.is_turning() {
            self.turn()?;
        }
        let moved = self.drain();
        self.tail.write()?;
        for source in &mut self.sources {
            source.emptier.release();
            source.lane.has_room();
        }
        let now = clock::now();
        let due = now.duration_since(self.last_sync) >= self.sync_every;
        let full = self.tail.unsynced() >= limits::LEDGER_HELD_BYTES_MAX;
        if due || full || stopping {
            self.sync()?;
        }
        let (age, since) = self.age;
        let old = age.saturating_add(now.saturating_duration_since(since)) >= self.segment_age;
        if self.tail.has_records() && (old || self.tail.size() >= self.segment_bytes) {
            self.turn()?;
        }
        self.tell_heads()?;
        self.note_gap();
        let drained = self.sources.iter().all(|source| source.emptier.is_empty());
        let ends = stopping && drained && self.tail.unsynced() == 0;
        if self.unsigned && (ends || now.duration_since(self.last_head) >= limits::HEAD_EVERY) {
            self.sign()?;
        }
        self.obey()?;
        if ends {
            return Ok(None);
        }
        Ok(Some(self.pause(moved || !drained || stopping, full)))
    }

    /// How long to rest after a round.
    fn pause(&self, busy: bool, full: bool) -> Duration {
        if full {
            return Duration::ZERO;
        }
        if busy || self.tail.unsynced() > 0 {
            return self.sync_every;
        }
        self.signals.resting.store(true, Ordering::SeqCst);
        // What was appended before the flag could be seen has woken nobody.
        if self.sources.iter().any(|source| !source.emptier.is_empty()) {
            return Duration::ZERO;
        }
        limits::WRITER_REST
    }

    fn rest(&self, rest: Duration) {
        if !rest.is_zero() {
            thread::park_timeout(rest);
        }
        self.signals.resting.store(false, Ordering::SeqCst);
    }

    /// Takes what the journals have, within bounds; whether that was anything.
    fn drain(&mut self) -> bool {
        let mut moved = false;
        let share = limits::LEDGER_HELD_BYTES_MAX / self.sources.len().max(1);
        while self.tail.unsynced() < limits::LEDGER_HELD_BYTES_MAX {
            self.closed.clear();
            let mut plan = Vec::with_capacity(self.sources.len());
            for source in &self.sources {
                plan.push(survey(source.emptier.run(), share, &mut self.closed));
            }
            let mut more = false;
            for (source, bytes) in self.sources.iter_mut().zip(plan) {
                if bytes > 0 {
                    let run = source.emptier.run().get(..bytes).unwrap_or_default();
                    source.seq = take(run, &self.closed, &mut self.tail).unwrap_or(source.seq);
                    source.emptier.advance(bytes);
                    more = true;
                } else if !source.emptier.is_empty() {
                    source.emptier.turn();
                    more = true;
                }
            }
            if !more {
                break;
            }
            moved = true;
        }
        self.unsigned |= moved;
        moved
    }

    /// Brings everything that was taken to the disk, and says so.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.tail.sync()?;
        self.last_sync = clock::now();
        self.tell();
        Ok(())
    }

    /// Says that all that was taken is on the disk.
    fn tell(&self) {
        for source in &self.sources {
            source.lane.synced(source.seq);
        }
        self.shared.synced(self.tail.stand.records());
    }

    /// Begins the next segment.
    fn turn(&mut self) -> io::Result<()> {
        let sealed = self.tail.turn(now_ms())?;
        self.age = (Duration::ZERO, clock::now());
        self.tell();
        // Nobody packs any more while the ledger is closing; the next process will.
        drop(self.jobs.send(Job::Pack(sealed)));
        Ok(())
    }

    /// Signs a head: what it vouches for is on the disk before, and it is in the chain before it is handed
    /// out.
    pub(super) fn sign(&mut self) -> io::Result<()> {
        self.sync()?;
        let head = self.signer.sign(&self.tail.stand.chain, now_ms());
        self.add(Tag::Head, &Record::Head(head.clone()));
        self.unsigned = false;
        self.last_head = clock::now();
        self.heads.add(&head);
        self.sync()?;
        self.tell_heads()
    }

    /// Writes what heads wait for their file, and shows the newest to those who send it on.
    fn tell_heads(&mut self) -> io::Result<()> {
        self.heads.flush()?;
        if let Some(head) = self.heads.written() {
            self.shared.signed(Some(head));
        }
        Ok(())
    }

    /// Adds a record of the ledger's own.
    pub(super) fn add(&mut self, tag: Tag, record: &Record) {
        self.tail.add(None, tag, |out| encode::encode(record, out));
    }

    /// Records how much was only counted, once it can be written.
    fn note_gap(&mut self) {
        let records = self.signals.dropped.swap(0, Ordering::Relaxed);
        if records > 0 {
            self.add(Tag::Gap, &Record::Gap(Gap { at_ms: now_ms(), records }));
            self.unsigned = true;
        }
    }

    fn well(&self) {
        self.signals.full.store(false, Ordering::SeqCst);
        self.shared.set_state(None);
    }

    fn ill(&self, why: &io::Error) {
        self.shared.set_state(Some(why.to_string()));
        self.signals.full.store(true, Ordering::SeqCst);
        for wish in self.shared.wishes() {
            // Whoever wished may be gone.
            drop(wish.reply.send(Err(io::Error::new(why.kind(), why.to_string()))));
        }
        if self.signals.on_full == OnFull::Serve {
            self.sources.iter().for_each(|source| source.lane.has_room());
        }
    }
}

/// How often a round may fail before a ledger that is being closed gives up. The journals keep what is left.
const STOP_FAILURES: u32 = 5;

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How many bytes of a run to take, and which calls end in them.
fn survey(run: &[u8], most: usize, closed: &mut HashSet<CallId>) -> usize {
    let mut taken = 0;
    while taken < most
        && let Some((frame, record)) = frame::trusted(run.get(taken..).unwrap_or_default())
    {
        if let Ok(outline) = encode::outline(record)
            && outline.tag == Tag::Close
            && let Some(id) = outline.id
        {
            closed.insert(id);
        }
        taken += frame.len();
    }
    taken
}

/// Adds the frames of a run, but for openings of calls that have ended; the number of the last record.
fn take(mut run: &[u8], closed: &HashSet<CallId>, tail: &mut Tail) -> Option<u64> {
    let mut last = None;
    while let Some((frame, record)) = frame::trusted(run) {
        // What we have written ourselves is a record.
        if let Ok(outline) = encode::outline(record) {
            let ended = outline.tag == Tag::Open && outline.id.is_some_and(|id| closed.contains(&id));
            match outline.stamp {
                Some(stamp) if ended => tail.stand.arrive(stamp),
                _ => tail.push(frame, &outline, record),
            }
            last = outline.stamp.map(|stamp| stamp.seq).or(last);
        }
        run = run.get(frame.len()..).unwrap_or_default();
    }
    last
}
