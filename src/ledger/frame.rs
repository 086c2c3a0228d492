//! Frames: a record or a mark with its length and checksum, the same in journals and in segments.
//!
//! A frame is the length of its content and a CRC-32 over that length and the content, both as four bytes,
//! lowest first, and the content. A length of 0 says that nothing follows.

use crate::limits;

/// Bytes before the content.
pub(super) const HEAD_BYTES: usize = 8;

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framed<'a> {
    /// A whole frame.
    Whole {
        /// Its content, never empty.
        content: &'a [u8],
        /// Bytes of the frame.
        bytes: usize,
    },
    /// The beginning of a frame, or nothing.
    Partial,
    /// No frame.
    Bad(&'static str),
}

/// Appends a frame around what `put` appends.
pub(super) fn put(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    put(out);
    let content = out.get(at + HEAD_BYTES..).unwrap_or_default();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
    let sum = checksum(length, content).to_le_bytes();
    let head = out.iter_mut().skip(at).take(HEAD_BYTES);
    head.zip(length.into_iter().chain(sum)).for_each(|(place, byte)| *place = byte);
}

/// Reads the frame at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Framed<'_> {
    let Some((&length, rest)) = bytes.split_first_chunk::<4>() else { return Framed::Partial };
    let Some((&sum, rest)) = rest.split_first_chunk::<4>() else { return Framed::Partial };
    let Ok(size) = usize::try_from(u32::from_le_bytes(length)) else { return Framed::Bad(TOO_LONG) };
    if size == 0 {
        return Framed::Bad("a frame has no content");
    }
    if size > limits::RECORD_BYTES_MAX {
        return Framed::Bad(TOO_LONG);
    }
    let Some(content) = rest.get(..size) else { return Framed::Partial };
    if checksum(length, content) != u32::from_le_bytes(sum) {
        return Framed::Bad("a checksum does not fit");
    }
    Framed::Whole { content, bytes: HEAD_BYTES + size }
}

/// The content of a frame that is known to be whole, without looking at the checksum again.
pub(super) fn trusted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = bytes.first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|size| *size > 0)?;
    let frame = bytes.get(..HEAD_BYTES + size)?;
    Some((frame, frame.get(HEAD_BYTES..)?))
}

const TOO_LONG: &str = "a frame is longer than any that is written";

fn checksum(length: [u8; 4], content: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length);
    sum.update(content);
    sum.finalize()
}
