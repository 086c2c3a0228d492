//! Bringing a ledger in order after its process has ended, however it ended.
//!
//! What is not a whole record at the end of the last segment is cut, and kept beside. Then the journals are
//! read: what is not in the segments yet is added, in order, and a call that was opened and never closed is
//! closed as lost where its opening stood. A crash in the middle of this leaves a ledger that can be brought
//! in order in the same way.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::io::Write;
use std::os::unix::fs::FileExt;

use crate::ids::CallId;
use crate::ledger::chain::Chain;
use crate::ledger::encode::{self, Stamp, Tag};
use crate::ledger::files::{self, Disk, Folder};
use crate::ledger::journal::{self, Kept};
use crate::ledger::live::{LedgerFault, Report};
use crate::ledger::record::{Mark, Open, Record};
use crate::ledger::segment::{self, Bad, Found, ReadFault, Reader, Step};
use crate::ledger::tail::{Stand, Tail};
use crate::ledger::tree::Frontier;
use crate::limits;

/// Openings without an end, by their calls.
type Opens = HashMap<CallId, Open>;

/// Brings the ledger in order; `signed` is the number of records that a signed head vouches for.
pub(super) fn recover(
    disk: &Disk,
    folder: &Folder,
    signed: u64,
    now_ms: u64,
) -> Result<(Tail, Report), LedgerFault> {
    let segments = folder.segments();
    remove_leftovers(folder).map_err(LedgerFault::io(&segments))?;
    let mut recovery = Recovery { disk, folder, signed, now_ms, report: Report::default() };
    let (mut tail, opens) = recovery.tail()?;
    let before = tail.stand.records();
    recovery.replay(&mut tail, opens)?;
    tail.sync().map_err(LedgerFault::io(&segments))?;
    let mut report = recovery.report;
    report.records = tail.stand.records();
    report.recovered = report.records.saturating_sub(before);
    Ok((tail, report))
}

struct Recovery<'a> {
    disk: &'a Disk,
    folder: &'a Folder,
    signed: u64,
    now_ms: u64,
    report: Report,
}

impl Recovery<'_> {
    /// Finds the end of the segments.
    fn tail(&mut self) -> Result<(Tail, Opens), LedgerFault> {
        let segments = self.folder.segments();
        loop {
            let all = segment::list(&segments)?;
            let Some((last, before)) = all.split_last() else {
                self.check_signed(&self.nowhere())?;
                return Ok((self.begin(Stand::default())?, Opens::new()));
            };
            match Reader::open(&segments, last.first) {
                Ok(reader) => return self.resume(reader, before),
                // It was being begun: there is nothing in it, unless a head says so.
                Err(ReadFault::Bad(bad)) if !last.packed => {
                    self.check_signed(&bad)?;
                    self.cut(&bad, last.first, 0)?;
                    files::remove(&segment::path(&segments, *last)).map_err(LedgerFault::io(&segments))?;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    fn begin(&self, stand: Stand) -> Result<Tail, LedgerFault> {
        let segments = self.folder.segments();
        Tail::begin(self.disk.clone(), segments.clone(), stand, self.now_ms)
            .map_err(LedgerFault::io(&segments))
    }

    /// Reads the last segment to its end.
    fn resume(&mut self, mut reader: Reader, before: &[Found]) -> Result<(Tail, Opens), LedgerFault> {
        let segments = self.folder.segments();
        let header = reader.header().clone();
        let first = header.index;
        let damaged = || LedgerFault::Damaged(reader.bad(8, "the header cannot be"));
        let mut stand = stand_of(&header).ok_or_else(damaged)?;
        let mut opens = Opens::new();
        for (index, id, open) in opened_before(self.folder, &header, before)? {
            stand.open.insert(id, index);
            opens.insert(id, open);
        }
        let (bad, sealed) = loop {
            let offset = reader.offset();
            match reader.step() {
                Ok(Step::Record) => {
                    note(reader.record(), &mut opens);
                    match encode::outline(reader.record()) {
                        Ok(outline) => stand.push(&outline, reader.record()),
                        // A newer program may know what it is.
                        Err(_unknown) => stand.chain.push(reader.record()),
                    }
                }
                Ok(Step::Seal(_)) => break (None, true),
                Ok(Step::End(0)) => break (None, false),
                Ok(Step::End(_)) => break (Some(reader.bad(offset, "the last record is not whole")), false),
                Err(ReadFault::Bad(bad)) => break (Some(bad), false),
                Err(fault) => return Err(fault.into()),
            }
        };
        let end = bad.clone().unwrap_or_else(|| reader.bad(reader.offset(), "the ledger ends here"));
        self.check_signed(&end)?;
        if sealed {
            return Ok((self.begin(stand)?, opens));
        }
        let file = files::open_private(reader.path()).map_err(LedgerFault::io(reader.path()))?;
        if let Some(bad) = bad {
            self.cut(&bad, first, bad.offset)?;
            let cut = file.set_len(bad.offset).and_then(|()| file.sync_all());
            cut.map_err(LedgerFault::io(reader.path()))?;
        }
        let bytes = file.metadata().map_err(LedgerFault::io(reader.path()))?.len();
        Ok((Tail::go_on(self.disk.clone(), segments, file, (first, header.at_ms), bytes, stand), opens))
    }

    /// Refuses to go on where records are gone that were signed for.
    fn check_signed(&self, end: &Bad) -> Result<(), LedgerFault> {
        if end.index < self.signed { Err(LedgerFault::Damaged(end.clone())) } else { Ok(()) }
    }

    fn nowhere(&self) -> Bad {
        Bad { file: self.folder.segments(), offset: 0, index: 0, what: "there are no segments".to_owned() }
    }

    /// Keeps what is behind a place of a segment in a file of its own.
    fn cut(&mut self, bad: &Bad, first: u64, offset: u64) -> Result<(), LedgerFault> {
        let failed = LedgerFault::io(&bad.file);
        let file = files::open_private(&bad.file).map_err(&failed)?;
        let kept = self.folder.cut(first, self.now_ms);
        let mut to = files::open_private(&kept).map_err(LedgerFault::io(&kept))?;
        to.set_len(0).map_err(LedgerFault::io(&kept))?;
        let (mut at, mut part) = (offset, vec![0; limits::SEGMENT_READ_BYTES]);
        loop {
            let read = file.read_at(&mut part, at).map_err(&failed)?;
            if read == 0 {
                break;
            }
            let bytes = part.get(..read).unwrap_or_default();
            to.write_all(bytes).map_err(LedgerFault::io(&kept))?;
            at += u64::try_from(read).unwrap_or(0);
        }
        to.sync_all().map_err(LedgerFault::io(&kept))?;
        self.report.cut_bytes += at - offset;
        self.report.cut = Some((bad.clone(), kept));
        Ok(())
    }

    /// Adds what only the journals have, and closes what is open.
    fn replay(&mut self, tail: &mut Tail, mut opens: Opens) -> Result<(), LedgerFault> {
        let mut kept = Vec::new();
        for (number, path) in self.folder.journals().map_err(LedgerFault::io(self.folder.path()))? {
            if number < limits::JOURNALS_MAX {
                let stand = &tail.stand;
                let found = journal::kept(&path, number, |stamp| !stand.has(stamp));
                let found = found.map_err(LedgerFault::io(&path))?;
                self.report.missing += missing(&found, stand.arrived.get(&number).copied().unwrap_or(0));
                kept.push(found);
            }
        }
        let closes = kept.iter().flatten().filter(|one| one.tag == Tag::Close);
        let closed: HashSet<CallId> =
            closes.filter_map(|one| encode::outline(one.record()).ok()?.id).collect();
        for one in kept.iter().flatten() {
            self.replay_one(one, tail, &closed)?;
        }
        for id in &closed {
            opens.remove(id);
        }
        for (_, open) in opens {
            self.lose(tail, None, open);
        }
        Ok(())
    }

    fn replay_one(
        &mut self,
        one: &Kept,
        tail: &mut Tail,
        closed: &HashSet<CallId>,
    ) -> Result<(), LedgerFault> {
        let Ok(outline) = encode::outline(one.record()) else { return Ok(()) };
        match encode::decode(one.record()) {
            Ok(Record::Open(open)) if closed.contains(&open.id) => tail.stand.arrive(one.stamp),
            // Its end takes its place, so that it cannot be passed over should we be interrupted.
            Ok(Record::Open(open)) => self.lose(tail, Some(one.stamp), open),
            _ => tail.push(&one.frame, &outline, one.record()),
        }
        if tail.unsynced() >= limits::LEDGER_HELD_BYTES_MAX {
            tail.sync().map_err(LedgerFault::io(&self.folder.segments()))?;
        }
        Ok(())
    }

    /// Closes a call that nobody saw the end of.
    fn lose(&mut self, tail: &mut Tail, stamp: Option<Stamp>, open: Open) {
        let entry = open.lost();
        tail.add(stamp, Tag::Close, |out| encode::put_entry(Tag::Close, stamp, &entry, out));
        self.report.lost.push(entry);
    }
}

/// What a mark says.
pub(super) fn stand_of(mark: &Mark) -> Option<Stand> {
    let tree = Frontier::from_nodes(mark.index, mark.frontier.clone())?;
    let mut stand = Stand { chain: Chain { hash: mark.chain, tree }, ..Stand::default() };
    mark.arrived.iter().for_each(|stamp| stand.arrive(*stamp));
    Some(stand)
}

/// The calls that were open where the last segment begins.
fn opened_before(
    folder: &Folder,
    header: &Mark,
    before: &[Found],
) -> Result<Vec<(u64, CallId, Open)>, LedgerFault> {
    let mut found: HashMap<CallId, (u64, Open)> = HashMap::new();
    let behind = before.iter().skip(1).map(|found| found.first).chain([header.index]);
    let wanted = before.iter().zip(behind).filter(|(_, end)| *end > header.open_from);
    for (segment, _) in wanted {
        let mut reader = Reader::open(&folder.segments(), segment.first)?;
        reader.skip_to(header.open_from)?;
        while reader.step()? == Step::Record {
            let index = reader.index() - 1;
            match encode::outline(reader.record()).map(|outline| (outline.tag, outline.id)) {
                Ok((Tag::Open, Some(id))) => {
                    if let Ok(Record::Open(open)) = encode::decode(reader.record()) {
                        found.insert(id, (index, open));
                    }
                }
                Ok((Tag::Close, Some(id))) => drop(found.remove(&id)),
                _ => {}
            }
        }
    }
    Ok(found.into_iter().map(|(id, (index, open))| (index, id, open)).collect())
}

/// Notes what a record of the last segment opens and closes.
fn note(record: &[u8], opens: &mut Opens) {
    match encode::outline(record).map(|outline| (outline.tag, outline.id)) {
        Ok((Tag::Open, Some(id))) => {
            if let Ok(Record::Open(open)) = encode::decode(record) {
                opens.insert(id, open);
            }
        }
        Ok((Tag::Close, Some(id))) => drop(opens.remove(&id)),
        _ => {}
    }
}

/// How many numbers are left out between those of the segments and those of a journal.
fn missing(kept: &[Kept], arrived: u64) -> u64 {
    let mut last = arrived;
    let mut missing = 0;
    for one in kept {
        missing += one.stamp.seq.saturating_sub(last).saturating_sub(1);
        last = one.stamp.seq;
    }
    missing
}

/// Removes files that were being made, and segments that have been packed.
fn remove_leftovers(folder: &Folder) -> io::Result<()> {
    let segments = folder.segments();
    for entry in fs::read_dir(&segments)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        // A packed segment gets its name when it is whole and on the disk.
        let packed = extension == Some("seg") && path.with_extension("segz").exists();
        if extension == Some("new") || packed {
            files::remove(&path)?;
        }
    }
    Ok(())
}
