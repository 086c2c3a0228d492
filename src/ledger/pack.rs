//! The thread behind the writer: it packs sealed segments, and removes those that are to be dropped.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};

use crate::ledger::files::{self, Folder};
use crate::ledger::live::LedgerFault;
use crate::ledger::record::Mark;
use crate::ledger::segment::{self, BLOCK_HEAD_BYTES, Found, HEADER, MAGIC_PACKED, ReadFault, Reader, Step};
use crate::ledger::{frame, tail};
use crate::limits;

/// What there is to do, one after the other, so that nothing is packed that has just been dropped.
#[derive(Debug)]
pub(super) enum Job {
    /// Pack the segment that begins with this record.
    Pack(u64),
    /// Remove the segments before `kept_from`, the oldest first.
    Drop { kept_from: u64, reply: Sender<io::Result<Option<u64>>> },
}

/// How hard zstd tries: its default, which is several times faster than records come in.
const LEVEL: i32 = 3;

/// Hands over the sealed segments that are not packed yet; `last` is the one that is being written.
pub(super) fn rest(folder: &Folder, last: u64, jobs: &Sender<Job>) -> Result<(), LedgerFault> {
    for found in segment::list(&folder.segments())? {
        if !found.packed && found.first < last {
            // The other end is alive while the ledger is being opened.
            drop(jobs.send(Job::Pack(found.first)));
        }
    }
    Ok(())
}

/// Does what there is to do until no more is to come.
pub(super) fn work(folder: &Path, jobs: &Receiver<Job>) {
    for job in jobs {
        match job {
            // A segment that could not be packed, or is damaged, stays as it is: it is whole without us.
            Job::Pack(first) if pack(folder, first).is_err() => {
                let unfinished = segment::path(folder, Found { first, packed: true }).with_extension("new");
                drop(files::remove(&unfinished));
            }
            Job::Pack(_) => {}
            // Nobody may be waiting for the answer any more.
            Job::Drop { kept_from, reply } => drop(reply.send(remove(folder, kept_from))),
        }
    }
}

fn remove(folder: &Path, kept_from: u64) -> io::Result<Option<u64>> {
    let all = segment::list(folder).map_err(io::Error::other)?;
    for found in all.iter().filter(|found| found.first < kept_from) {
        for packed in [true, false] {
            files::remove(&segment::path(folder, Found { packed, ..*found }))?;
        }
    }
    files::sync_folder(folder)?;
    Ok(Some(kept_from))
}

/// Packs one segment.
pub(super) fn pack(folder: &Path, first: u64) -> Result<(), ReadFault> {
    let packed = segment::path(folder, Found { first, packed: true });
    let unfinished = packed.with_extension("new");
    let failed = ReadFault::io(&unfinished);
    files::remove(&unfinished).map_err(&failed)?;
    let mut reader = Reader::open(folder, first)?;
    let file = files::open_private(&unfinished).map_err(&failed)?;
    let mut to = Packer { file, first, records: 0, frames: Vec::new() };
    to.header(reader.header()).map_err(&failed)?;
    loop {
        match reader.step()? {
            Step::Record => {
                frame::put(&mut to.frames, |out| out.extend_from_slice(reader.record()));
                to.records += 1;
                if to.frames.len() >= limits::PACKED_BLOCK_BYTES {
                    to.block().map_err(&failed)?;
                }
            }
            Step::Seal(mark) => {
                tail::put_mark(&mut to.frames, segment::SEAL, &mark);
                to.block().map_err(&failed)?;
                break;
            }
            Step::End(_) => return Err(reader.bad(reader.offset(), "the segment is not sealed").into()),
        }
    }
    to.file.sync_all().map_err(&failed)?;
    fs::rename(&unfinished, &packed).map_err(&failed)?;
    files::sync_folder(folder).map_err(&failed)?;
    files::remove(&segment::path(folder, Found { first, packed: false })).map_err(&failed)
}

/// A packed segment in the making.
struct Packer {
    file: File,
    /// First record of the block, and how many it has.
    first: u64,
    records: u32,
    /// Its frames.
    frames: Vec<u8>,
}

impl Packer {
    fn header(&mut self, mark: &Mark) -> io::Result<()> {
        let mut opening = MAGIC_PACKED.to_vec();
        tail::put_mark(&mut opening, HEADER, mark);
        self.file.write_all(&opening)
    }

    fn block(&mut self) -> io::Result<()> {
        let packed = zstd::bulk::compress(&self.frames, LEVEL)?;
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let mut head = Vec::with_capacity(BLOCK_HEAD_BYTES);
        head.extend_from_slice(&self.first.to_le_bytes());
        head.extend_from_slice(&self.records.to_le_bytes());
        head.extend_from_slice(&size(&self.frames)?.to_le_bytes());
        head.extend_from_slice(&size(&packed)?.to_le_bytes());
        let sum = segment::block_checksum(&head, &packed);
        head.extend_from_slice(&sum.to_le_bytes());
        self.file.write_all(&head)?;
        self.file.write_all(&packed)?;
        self.first += u64::from(self.records);
        self.records = 0;
        self.frames.clear();
        Ok(())
    }
}
