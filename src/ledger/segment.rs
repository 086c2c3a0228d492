//! Segments: the files that records are kept in, and reading them.
//!
//! `segments/<first index, 16 hexadecimal digits>.seg` is eight bytes of magic and frames: a mark that says
//! what is true before the first record, the records, and, in a full segment, a mark that says what is true
//! behind the last. A mark begins with one byte that no record begins with. A full segment is packed later:
//! `.segz` has a magic of its own, the same first frame, and then blocks of whole frames, compressed by zstd.
//! A block has a head of 24 bytes, all numbers lowest byte first: index of its first record (8), records,
//! bytes unpacked, bytes packed, CRC-32 over the head before it and the packed bytes (4 each).

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::ledger::encode;
use crate::ledger::frame::{self, Framed};
use crate::ledger::record::Mark;
use crate::limits;

pub(super) const MAGIC: &[u8; 8] = b"tollseg\x01";
pub(super) const MAGIC_PACKED: &[u8; 8] = b"tollsgz\x01";

/// First byte of the mark that begins a segment.
pub(super) const HEADER: u8 = 0x7e;
/// First byte of the mark that ends one.
pub(super) const SEAL: u8 = 0x7f;

/// Bytes before a packed block.
pub(super) const BLOCK_HEAD_BYTES: usize = 24;

/// The first bad thing in a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: byte {offset}: record {index}: {what}", file.display())]
pub struct Bad {
    /// The file it is in.
    pub file: PathBuf,
    /// Where its frame, block or line begins, in bytes.
    pub offset: u64,
    /// The record that stands or should stand there.
    pub index: u64,
    /// What is wrong.
    pub what: String,
}

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// The system refuses.
    #[error("{}: {why}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        why: io::Error,
    },
    /// The bytes are not what was written.
    #[error(transparent)]
    Bad(#[from] Bad),
    /// The record has been dropped with its segment; the oldest one that there is.
    #[error("the records before {0} have been dropped")]
    Dropped(u64),
}

impl ReadFault {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |why| Self::Io { path: path.to_owned(), why }
    }
}

/// A segment that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Index of its first record.
    pub(super) first: u64,
    pub(super) packed: bool,
}

/// Where the segment of this first record is.
pub(super) fn path(folder: &Path, found: Found) -> PathBuf {
    folder.join(format!("{:016x}.{}", found.first, if found.packed { "segz" } else { "seg" }))
}

/// All segments, the oldest first. One that is there in both forms is given once, as packed.
pub(super) fn list(folder: &Path) -> Result<Vec<Found>, ReadFault> {
    let failed = ReadFault::io(folder);
    let mut found: Vec<Found> = Vec::new();
    for entry in fs::read_dir(folder).map_err(&failed)? {
        let name = entry.map_err(&failed)?.file_name();
        let Some((digits, form)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        let packed = match form {
            "seg" => false,
            "segz" => true,
            _ => continue,
        };
        let lower = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() == 16
            && lower
            && let Ok(first) = u64::from_str_radix(digits, 16)
        {
            found.push(Found { first, packed });
        }
    }
    found.sort_by_key(|one| (one.first, !one.packed));
    found.dedup_by_key(|one| one.first);
    Ok(found)
}

/// What comes next in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A record, which `Reader::record` gives.
    Record,
    /// The mark behind the last record.
    Seal(Mark),
    /// The file ends here; behind the last whole frame there are so many more bytes.
    End(u64),
}

/// Reads one segment from its beginning.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    path: PathBuf,
    packed: bool,
    header: Mark,
    /// Unpacked bytes that have been read, the place of the next frame in them, and that of the last record.
    held: Vec<u8>,
    at: usize,
    record: Range<usize>,
    /// Place in the file of the first held byte; where packed, of the block that they are from.
    base: u64,
    /// Place in the file behind what has been read.
    next: u64,
    /// Index of the record that comes next.
    index: u64,
}

impl Reader {
    /// Opens the segment that begins with this record, in either form.
    pub(super) fn open(folder: &Path, first: u64) -> Result<Self, ReadFault> {
        // It may be packed between two looks.
        for packed in [false, true, false] {
            let path = path(folder, Found { first, packed });
            match File::open(&path) {
                Ok(file) => return Self::begin(file, path, first, packed),
                Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                Err(why) => return Err(ReadFault::Io { path, why }),
            }
        }
        Err(ReadFault::Dropped(list(folder)?.first().map_or(0, |found| found.first)))
    }

    fn begin(file: File, path: PathBuf, first: u64, packed: bool) -> Result<Self, ReadFault> {
        let (header, held, record) = (Mark::default(), Vec::new(), 0..0);
        let mut new =
            Self { file, path, packed, header, held, at: 0, record, base: 0, next: 0, index: first };
        new.fill()?;
        let magic = if packed { MAGIC_PACKED } else { MAGIC };
        if !new.held.starts_with(magic) {
            return Err(new.bad(0, "the file does not begin as a segment does").into());
        }
        let opening = new.held.get(magic.len()..).unwrap_or_default();
        let (content, bytes) = match frame::read(opening) {
            Framed::Whole { content, bytes } => (content, bytes),
            Framed::Partial => return Err(new.bad(8, "the header is not whole").into()),
            Framed::Bad(what) => return Err(new.bad(8, what).into()),
        };
        new.header = match content.split_first() {
            Some((&HEADER, mark)) => encode::take_mark(mark).map_err(|why| new.bad(8, &why.to_string()))?,
            _ => return Err(new.bad(8, "the first frame is no header").into()),
        };
        if new.header.index != first {
            return Err(new.bad(8, "the header names another first record than the file").into());
        }
        new.at = magic.len() + bytes;
        if packed {
            // Blocks are read one by one from here.
            new.next = u64::try_from(new.at).unwrap_or(0);
            new.base = new.next;
            new.held.clear();
            new.at = 0;
        }
        Ok(new)
    }

    pub(super) const fn header(&self) -> &Mark {
        &self.header
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Index of the record that `step` comes to next.
    pub(super) const fn index(&self) -> u64 {
        self.index
    }

    /// The last record that `step` came to, as it is encoded.
    pub(super) fn record(&self) -> &[u8] {
        self.held.get(self.record.clone()).unwrap_or_default()
    }

    /// Place in the file of the next frame; where packed, of the block that it is in.
    pub(super) fn offset(&self) -> u64 {
        if self.packed { self.base } else { self.base + u64::try_from(self.at).unwrap_or(0) }
    }

    /// Names what is wrong at a place.
    pub(super) fn bad(&self, offset: u64, what: &str) -> Bad {
        Bad { file: self.path.clone(), offset, index: self.index, what: what.to_owned() }
    }

    /// Goes on to what comes next.
    pub(super) fn step(&mut self) -> Result<Step, ReadFault> {
        let mut looked_again = false;
        loop {
            let rest = self.held.get(self.at..).unwrap_or_default();
            match frame::read(rest) {
                Framed::Whole { content, bytes } => {
                    if let Some((&SEAL, mark)) = content.split_first() {
                        let mark = encode::take_mark(mark);
                        let mark = mark.map_err(|why| self.bad(self.offset(), &why.to_string()))?;
                        self.at += bytes;
                        return Ok(Step::Seal(mark));
                    }
                    self.record = self.at + frame::HEAD_BYTES..self.at + bytes;
                    self.at += bytes;
                    self.index += 1;
                    return Ok(Step::Record);
                }
                Framed::Partial => {
                    let left = u64::try_from(rest.len()).unwrap_or(0);
                    if !self.fill()? {
                        return Ok(Step::End(left));
                    }
                }
                // What was held may be older than the file: the writer writes a part again when it failed.
                Framed::Bad(_) if !self.packed && !looked_again => {
                    looked_again = true;
                    self.next = self.offset();
                    self.base = self.next;
                    self.held.clear();
                    self.at = 0;
                    self.fill()?;
                }
                Framed::Bad(what) => return Err(self.bad(self.offset(), what).into()),
            }
        }
    }

    /// Goes on until `wanted` comes next, or the segment ends.
    pub(super) fn skip_to(&mut self, wanted: u64) -> Result<(), ReadFault> {
        while self.packed && self.held.is_empty() {
            let Some(head) = self.block_head()? else { break };
            let behind = head.first.saturating_add(head.records.into());
            if behind > wanted {
                break;
            }
            self.index = behind;
            self.next += u64::try_from(BLOCK_HEAD_BYTES).unwrap_or(0) + u64::from(head.packed);
            self.base = self.next;
        }
        while self.index < wanted {
            if self.step()? != Step::Record {
                break;
            }
        }
        Ok(())
    }

    /// Reads more; false at the end of the file.
    fn fill(&mut self) -> Result<bool, ReadFault> {
        // The magic of a packed segment and its header are read as they stand.
        if self.packed && self.next > 0 {
            return self.unpack();
        }
        self.held.drain(..self.at.min(self.held.len()));
        self.base += u64::try_from(self.at).unwrap_or(0);
        self.at = 0;
        let old = self.held.len();
        self.held.resize(old + limits::SEGMENT_READ_BYTES, 0);
        let room = self.held.get_mut(old..).unwrap_or_default();
        let read = self.file.read_at(room, self.next).map_err(ReadFault::io(&self.path))?;
        self.held.truncate(old + read);
        self.next += u64::try_from(read).unwrap_or(0);
        Ok(read > 0)
    }

    /// Reads the next block.
    fn unpack(&mut self) -> Result<bool, ReadFault> {
        if self.at < self.held.len() {
            return Err(self.bad(self.base, "a record passes the end of its block").into());
        }
        let (base, failed) = (self.next, ReadFault::io(&self.path));
        let Some(head) = self.block_head()? else { return Ok(false) };
        let most = limits::PACKED_BLOCK_BYTES + limits::RECORD_BYTES_MAX + frame::HEAD_BYTES;
        let size = |size: u32| usize::try_from(size).ok().filter(|size| *size <= most);
        let (Some(raw), Some(packed)) = (size(head.raw), size(head.packed)) else {
            return Err(self.bad(base, "a block is longer than any that is written").into());
        };
        let mut bytes = vec![0; packed];
        let at = base + u64::try_from(BLOCK_HEAD_BYTES).unwrap_or(0);
        match self.file.read_exact_at(&mut bytes, at) {
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.bad(base, "a block is cut").into());
            }
            other => other.map_err(failed)?,
        }
        if head.sum != block_checksum(&head.bytes, &bytes) {
            return Err(self.bad(base, "a checksum of a block does not fit").into());
        }
        let unpacked = zstd::bulk::decompress(&bytes, raw).ok().filter(|bytes| bytes.len() == raw);
        let Some(unpacked) = unpacked.filter(|_| head.first == self.index) else {
            return Err(self.bad(base, "a block is not what it says").into());
        };
        self.held = unpacked;
        self.at = 0;
        self.base = base;
        self.next = at + u64::from(head.packed);
        Ok(true)
    }

    /// The head of the block that comes next; `None` at the end.
    fn block_head(&self) -> Result<Option<BlockHead>, ReadFault> {
        let mut bytes = [0; BLOCK_HEAD_BYTES];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            let at = self.next + u64::try_from(filled).unwrap_or(0);
            match self.file.read_at(room, at).map_err(ReadFault::io(&self.path))? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(self.bad(self.next, "a block is cut").into()),
                read => filled += read,
            }
        }
        let (numbers, sum) = bytes.split_at(BLOCK_HEAD_BYTES - 4);
        let (first, sizes) = numbers.split_at(8);
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap_or_default());
        let mut sizes = sizes.chunks_exact(4).map(number);
        let mut size = || sizes.next().unwrap_or_default();
        Ok(Some(BlockHead {
            first: u64::from_le_bytes(first.try_into().unwrap_or_default()),
            records: size(),
            raw: size(),
            packed: size(),
            sum: number(sum),
            bytes: numbers.try_into().unwrap_or_default(),
        }))
    }
}

struct BlockHead {
    first: u64,
    records: u32,
    raw: u32,
    packed: u32,
    sum: u32,
    /// What the sum is over, beside the block.
    bytes: [u8; BLOCK_HEAD_BYTES - 4],
}

/// The checksum of a block with the head before it.
pub(super) fn block_checksum(head: &[u8], packed: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head);
    sum.update(packed);
    sum.finalize()
}
