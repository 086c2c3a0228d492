//! Files of compressed frames that only grow: `<number, 16 hexadecimal digits>.pack`.
//!
//! ```text
//! frame: bytes of the payload u32, bytes before compression u32, CRC-32 of the payload u32, payload (zstd)
//! ```

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::limits;

/// Bytes before the payload of a frame.
const HEAD_BYTES: usize = 12;

/// What zstd is told: its default, at which a core compresses about 300 MB a second.
const LEVEL: i32 = 3;

/// Makes the folder, which nobody else may look into.
pub(super) fn make_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The file of the pack `number`.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.pack"))
}

/// The numbers of the packs of a folder, in their order.
pub(super) fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in dir.read_dir()? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".pack"));
        let number = number.filter(|digits| digits.len() == 16);
        numbers.extend(number.and_then(|digits| u64::from_str_radix(digits, 16).ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A pack that is written.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) number: u64,
    file: File,
    /// Where the next frame begins.
    pub(super) end: u64,
}

impl Pack {
    /// Opens or makes the pack and cuts off what is behind `end`.
    pub(super) fn open(dir: &Path, number: u64, end: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path(dir, number))?;
        file.set_len(end)?;
        Ok(Self { number, file, end })
    }

    /// Appends a frame and says where it begins.
    pub(super) fn append(&mut self, raw: &[u8]) -> io::Result<u64> {
        let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
        let payload = zstd::bulk::compress(raw, LEVEL)?;
        let number = |bytes: usize| u32::try_from(bytes).ok().ok_or_else(too_large);
        let mut frame = Vec::with_capacity(HEAD_BYTES + payload.len());
        frame.extend_from_slice(&number(payload.len())?.to_le_bytes());
        frame.extend_from_slice(&number(raw.len())?.to_le_bytes());
        frame.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        frame.extend_from_slice(&payload);
        let at = self.end;
        self.file.write_all_at(&frame, at)?;
        self.end += u64::try_from(frame.len()).unwrap_or(0);
        Ok(at)
    }

    /// Waits until all of it is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A frame that was read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) raw: Vec<u8>,
    /// Where the next one begins.
    pub(super) next: u64,
}

/// Reads the frame at `at`; nothing where no whole and sound one is.
pub(super) fn read(file: &File, at: u64) -> io::Result<Option<Frame>> {
    let mut head = [0; HEAD_BYTES];
    if !read_whole(file, &mut head, at)? {
        return Ok(None);
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l] = head;
    let size = |bytes: [u8; 4]| usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    let (bytes, raw_bytes) = (size([a, b, c, d]), size([e, f, g, h]));
    if bytes > limits::CONTENT_FRAME_BYTES_MAX || raw_bytes > limits::CONTENT_FRAME_BYTES_MAX {
        return Ok(None);
    }
    let start = at + u64::try_from(HEAD_BYTES).unwrap_or(0);
    let next = start.saturating_add(u64::try_from(bytes).unwrap_or(0));
    // Asked first, so that a damaged length takes no memory.
    if next > file.metadata()?.len() {
        return Ok(None);
    }
    let mut payload = vec![0; bytes];
    if !read_whole(file, &mut payload, start)?
        || crc32fast::hash(&payload) != u32::from_le_bytes([i, j, k, l])
    {
        return Ok(None);
    }
    let raw = zstd::bulk::decompress(&payload, raw_bytes).ok().filter(|raw| raw.len() == raw_bytes);
    Ok(raw.map(|raw| Frame { raw, next }))
}

/// False when the file ends before.
fn read_whole(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
