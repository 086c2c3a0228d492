//! The thread that stores bodies: what it does with each, and with what has become old.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use crate::ledger::content::index::{Index, Noting, PackRow, used_day};
use crate::ledger::content::packs::{self, Pack};
use crate::ledger::content::reader::Reader;
use crate::ledger::content::record::{self, Hash, Item, Kind, hash};
use crate::ledger::content::{Counts, Fault, Job, Policy, Report, blocks};
use crate::ledger::redact::redact;
use crate::limits;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    Keep(Job),
    /// To write all that came before, and to drop this then.
    Flush(SyncSender<()>),
    /// To forget what was last used before this day.
    Sweep {
        today: u32,
        before: u32,
    },
    Stop,
}

/// The state of the thread.
#[derive(Debug)]
pub(super) struct Keeper {
    dir: PathBuf,
    index: Index,
    counts: Arc<Counts>,
    stream: fn(&[u8]) -> Option<Vec<u8>>,
    /// The pack that grows.
    pack: Option<Pack>,
    /// The number of the next one.
    next: u64,
    batch: Batch,
}

/// What will be written together.
#[derive(Debug, Default)]
struct Batch {
    raw: Vec<u8>,
    /// The names of the pieces and lists in it.
    names: HashSet<Hash>,
    /// What was known and is used again.
    used: Vec<Hash>,
    day: u32,
    /// Bodies in it.
    bodies: u64,
}

impl Keeper {
    /// Opens the folder, and reads what of the packs the index does not know.
    pub(super) fn open(
        dir: PathBuf,
        stream: fn(&[u8]) -> Option<Vec<u8>>,
        counts: Arc<Counts>,
    ) -> Result<(Self, Report), Fault> {
        packs::make_folder(&dir)?;
        let index = Index::open(&dir)?;
        let mut keeper = Self { dir, index, counts, stream, pack: None, next: 1, batch: Batch::default() };
        let report = keeper.catch_up()?;
        Ok((keeper, report))
    }

    /// Obeys until it is told to stop or nobody is left to tell it anything.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            let mut next = Some(order);
            while let Some(order) = next {
                match order {
                    Order::Keep(job) => self.keep(job),
                    Order::Flush(done) => {
                        self.flush();
                        drop(done);
                    }
                    Order::Sweep { today, before } => {
                        self.flush();
                        let swept = self.sweep(today, before);
                        self.counts.failed.fetch_add(u64::from(swept.is_err()), Ordering::Relaxed);
                    }
                    Order::Stop => return self.stop(),
                }
                // What waits is written together; nothing waits for more to come.
                next = orders.try_recv().ok();
            }
            self.flush();
        }
        self.stop();
    }

    fn stop(mut self) {
        self.flush();
        let synced = self.pack.as_ref().map_or(Ok(()), Pack::sync);
        self.counts.failed.fetch_add(u64::from(synced.is_err()), Ordering::Relaxed);
    }

    fn keep(&mut self, job: Job) {
        let bytes = job.body.len();
        let kept = self.take(&job);
        // Its memory is given back first, and counted as given back after.
        drop(job);
        self.counts.queued.fetch_sub(bytes, Ordering::AcqRel);
        match kept {
            Ok(()) => self.batch.bodies += 1,
            Err(_) => drop(self.counts.failed.fetch_add(1, Ordering::Relaxed)),
        }
        if self.batch.raw.len() >= limits::CONTENT_BATCH_BYTES {
            self.flush();
        }
    }

    /// Puts what is new of a body into the batch.
    fn take(&mut self, job: &Job) -> Result<(), Fault> {
        if job.day != self.batch.day {
            self.flush();
            self.batch.day = job.day;
        }
        let document = if job.answer { (self.stream)(&job.body) } else { None };
        let body = document.as_deref().unwrap_or(&job.body);
        let whole = blocks::cut(body);
        let (mut turn, mut list, mut stored) = (Vec::new(), Vec::new(), Vec::new());
        let mut items = 0;
        for piece in whole {
            let bytes = body.get(piece).unwrap_or_default();
            let bytes = if job.policy == Policy::Full { bytes.into() } else { redact(bytes) };
            items += 1;
            let mut ends = items >= limits::CONTENT_LIST_MAX;
            if bytes.len() <= limits::CONTENT_LITERAL_BYTES_MAX {
                Item::Literal(&bytes).write(&mut list);
            } else {
                let name = hash(Kind::Piece, &bytes);
                // Where a list ends is the say of a piece, so that lists are the same again behind a change.
                ends |= name.first().is_some_and(|first| first & 15 == 0);
                Item::Stored(name).write(&mut list);
                stored.push((name, bytes));
            }
            if ends {
                turn.extend_from_slice(&self.add_list(&list, &mut stored)?);
                list.clear();
                items = 0;
            }
        }
        if !list.is_empty() {
            turn.extend_from_slice(&self.add_list(&list, &mut stored)?);
        }
        let day = self.batch.day;
        let at = record::write(&mut self.batch.raw, Kind::Turn, &job.name, day, &turn);
        at.map(drop).ok_or(Fault::Damaged)
    }

    /// Adds a list and its pieces; what is known is noted as used, once a day.
    fn add_list(
        &mut self,
        list: &[u8],
        stored: &mut Vec<(Hash, std::borrow::Cow<'_, [u8]>)>,
    ) -> Result<Hash, Fault> {
        let name = hash(Kind::List, list);
        let pieces = stored.drain(..);
        if self.batch.names.contains(&name) || self.is_used(&name)? {
            return Ok(name);
        }
        for (piece, bytes) in pieces {
            self.add(Kind::Piece, piece, &bytes)?;
        }
        self.add(Kind::List, name, list)?;
        Ok(name)
    }

    /// Whether it is known, and known to be in use on the day of the batch.
    fn is_used(&self, name: &Hash) -> Result<bool, Fault> {
        Ok(used_day(&self.index.db, name)?.is_some_and(|day| day >= self.batch.day))
    }

    fn add(&mut self, kind: Kind, name: Hash, bytes: &[u8]) -> Result<(), Fault> {
        if self.batch.names.contains(&name) {
            return Ok(());
        }
        if let Some(day) = used_day(&self.index.db, &name)? {
            if day < self.batch.day {
                self.batch.used.push(name);
            }
            return Ok(());
        }
        let day = self.batch.day;
        record::write(&mut self.batch.raw, kind, &name, day, bytes).ok_or(Fault::Damaged)?;
        self.batch.names.insert(name);
        Ok(())
    }

    /// Writes the batch.
    fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.batch.day = batch.day;
        if batch.raw.is_empty() {
            return;
        }
        let count = match self.write(&batch.raw, &batch.used, batch.day) {
            Ok(()) => &self.counts.stored,
            Err(_) => {
                // What may stand half written at its end is cut off when the folder is opened again.
                self.pack = None;
                &self.counts.failed
            }
        };
        count.fetch_add(batch.bodies, Ordering::Relaxed);
    }

    fn write(&mut self, raw: &[u8], used: &[Hash], day: u32) -> Result<(), Fault> {
        let (number, frame, end) = self.append(raw)?;
        let noting = Noting::begin(&mut self.index)?;
        let mut bytes = 0;
        for record in record::records(raw) {
            let record = record.ok_or(Fault::Damaged)?;
            bytes += count(record.bytes.len());
            noting.add(&record, number, frame)?;
        }
        noting.used(used.iter().map(|name| (name, day)))?;
        noting.pack(number, end, bytes, day)?;
        noting.commit()
    }

    /// Appends a frame to the pack, or to a new one: its number, where the frame begins and ends.
    fn append(&mut self, raw: &[u8]) -> Result<(u64, u64, u64), Fault> {
        if let Some(full) = self.pack.take_if(|pack| pack.end >= limits::CONTENT_PACK_BYTES) {
            full.sync()?;
        }
        let pack = match &mut self.pack {
            Some(pack) => pack,
            None => {
                let number = self.next;
                self.next += 1;
                self.pack.insert(Pack::open(&self.dir, number, 0)?)
            }
        };
        let frame = pack.append(raw)?;
        Ok((pack.number, frame, pack.end))
    }

    /// Reads what the index does not know, cuts off what is not whole, and opens the last pack.
    fn catch_up(&mut self) -> Result<Report, Fault> {
        let mut report = Report::default();
        let known = self.index.packs()?;
        let numbers = packs::numbers(&self.dir)?;
        for row in known.iter().filter(|row| !numbers.contains(&row.number)) {
            self.index.forget(row.number)?;
        }
        for number in numbers {
            let row = known.iter().find(|row| row.number == number).copied();
            self.read_pack(row.unwrap_or_else(|| PackRow { number, ..PackRow::default() }), &mut report)?;
            self.next = number + 1;
        }
        Ok(report)
    }

    /// Reads a pack from where the index ends.
    fn read_pack(&mut self, row: PackRow, report: &mut Report) -> Result<(), Fault> {
        let number = row.number;
        let file = File::open(packs::path(&self.dir, number))?;
        let bytes = file.metadata()?.len();
        let mut end = row.end;
        if end > bytes {
            // The index has outlived what it speaks of.
            self.index.forget(number)?;
            end = 0;
        }
        while let Some(frame) = packs::read(&file, end)? {
            let mut turns: Vec<(Range<usize>, u32)> = Vec::new();
            let (mut raw, mut day) = (0, 0);
            let noting = Noting::begin(&mut self.index)?;
            for record in record::records(&frame.raw).map_while(|record| record) {
                raw += count(record.bytes.len());
                day = day.max(record.day);
                if record.kind == Kind::Turn {
                    turns.push((record.at..record.at + record.bytes.len(), record.day));
                }
                noting.add(&record, number, end)?;
            }
            noting.pack(number, frame.next, raw, day)?;
            noting.commit()?;
            self.touch(&frame.raw, &turns)?;
            end = frame.next;
            report.frames_read += 1;
        }
        report.cut_bytes += bytes - end.min(bytes);
        // To go on in it, or only to cut it.
        let pack = Pack::open(&self.dir, number, end)?;
        self.pack = (pack.end < limits::CONTENT_PACK_BYTES).then_some(pack);
        Ok(())
    }

    /// Notes that all parts of these turns were in use on their days.
    fn touch(&mut self, raw: &[u8], turns: &[(Range<usize>, u32)]) -> Result<(), Fault> {
        let mut reader = Reader::new(self.dir.clone());
        let mut used: HashMap<Hash, u32> = HashMap::new();
        for (turn, day) in turns {
            let turn = raw.get(turn.clone()).unwrap_or_default();
            // Of a turn whose parts are missing there is nothing to keep alive.
            for part in reader.parts(&self.index, turn).unwrap_or_default() {
                let known = used.entry(part).or_default();
                *known = (*known).max(*day);
            }
        }
        let noting = Noting::begin(&mut self.index)?;
        noting.used(used.iter().map(|(name, day)| (name, *day)))?;
        noting.commit()
    }

    /// Forgets what was last used before the day `before`, deletes packs without life, and rewrites those
    /// that are half dead, or old with anything dead in them.
    fn sweep(&mut self, today: u32, before: u32) -> Result<(), Fault> {
        self.index.expire(before)?;
        let rows = self.index.packs()?;
        let growing = self.pack.as_ref().map(|pack| pack.number);
        // One that grew for months could never be deleted.
        let old = rows.iter().any(|row| Some(row.number) == growing && row.day < today);
        if let Some(pack) = self.pack.take_if(|_| old) {
            pack.sync()?;
        }
        let alive = self.index.alive()?;
        let mut rewrites = 0;
        for row in rows {
            if self.pack.as_ref().is_some_and(|pack| pack.number == row.number) {
                continue;
            }
            let alive = alive.iter().find(|(number, _)| *number == row.number).map_or(0, |(_, bytes)| *bytes);
            if alive == 0 {
                self.delete(row.number)?;
            } else if (alive < row.raw / 2 || (alive < row.raw && row.day < before))
                && rewrites < limits::CONTENT_REWRITES_MAX
            {
                rewrites += 1;
                self.rewrite(row.number, today)?;
                self.delete(row.number)?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, pack: u64) -> Result<(), Fault> {
        // The file first: one that the index has forgotten would be read as a new one, dead or not.
        match fs::remove_file(packs::path(&self.dir, pack)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => self.index.forget(pack),
        }
    }

    /// Writes what is alive in a pack to the one that grows.
    fn rewrite(&mut self, pack: u64, today: u32) -> Result<(), Fault> {
        let mut reader = Reader::new(self.dir.clone());
        let rows = self.index.of_pack(pack)?;
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let (mut raw, mut moved, mut bytes) = (Vec::new(), Vec::new(), 0);
            while let Some(((name, place, used), after)) = rest.split_first() {
                if raw.len() >= limits::CONTENT_BATCH_BYTES {
                    break;
                }
                rest = after;
                // What cannot be read is lost with its pack.
                let Ok(found) = reader.bytes(place) else { continue };
                let kind = self.index.kind(name)?;
                let at = record::write(&mut raw, kind, name, *used, found).ok_or(Fault::Damaged)?;
                bytes += count(found.len());
                moved.push((*name, *place, at));
            }
            if moved.is_empty() {
                continue;
            }
            let (number, frame, end) = self.append(&raw)?;
            if let Some(pack) = &self.pack {
                pack.sync()?;
            }
            let noting = Noting::begin(&mut self.index)?;
            for (name, mut place, at) in moved {
                (place.pack, place.frame, place.at) = (number, frame, at);
                noting.moved(&name, &place)?;
            }
            noting.pack(number, end, bytes, today)?;
            noting.commit()?;
        }
        Ok(())
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
