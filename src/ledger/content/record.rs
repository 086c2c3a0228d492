//! What stands in a frame: pieces, lists of pieces, and turns, one after the other.

use aws_lc_rs::digest::{Context, SHA256};

use crate::limits;

/// SHA-256 of what is stored, so that nothing is stored twice and nothing can be put in its place.
pub(super) type Hash = [u8; 32];

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Bytes of a body.
    Piece,
    /// A list of [`Item`]s.
    List,
    /// A list of the hashes of lists: one body, under its name.
    Turn,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Piece),
            1 => Some(Self::List),
            2 => Some(Self::Turn),
            _ => None,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Piece => 0,
            Self::List => 1,
            Self::Turn => 2,
        }
    }
}

/// The hash of a piece or list; the kind is a part of it, so that one is never taken for the other.
pub(super) fn hash(kind: Kind, bytes: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[kind.byte()]);
    context.update(bytes);
    let mut hash = Hash::default();
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

/// One piece of a body in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// The piece itself, at most `limits::CONTENT_LITERAL_BYTES_MAX` bytes.
    Literal(&'a [u8]),
    /// Stored under this hash.
    Stored(Hash),
}

impl Item<'_> {
    /// Appends it: the bytes of a literal behind their number, or 0 and a hash.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stored(hash) => {
                out.push(0);
                out.extend_from_slice(hash);
            }
            Self::Literal(bytes) => {
                out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(bytes);
            }
        }
    }
}

/// Reads a list; nothing when it is none.
pub(super) fn items(list: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut rest = list;
    let mut items = Vec::new();
    while let Some((&bytes, after)) = rest.split_first() {
        let item;
        (item, rest) = if bytes == 0 {
            let (hash, after) = after.split_first_chunk()?;
            (Item::Stored(*hash), after)
        } else {
            let (literal, after) = after.split_at_checked(usize::from(bytes))?;
            (Item::Literal(literal), after)
        };
        items.push(item);
    }
    Some(items)
}

/// Reads the hashes of a turn; nothing when it is none.
pub(super) fn hashes(turn: &[u8]) -> Option<&[Hash]> {
    let (hashes, rest) = turn.as_chunks();
    rest.is_empty().then_some(hashes)
}

/// A record in the bytes of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    /// Of a piece or list its hash, of a turn its name.
    pub(super) name: Hash,
    /// When it was stored: a day since 1970; of a turn when it was.
    pub(super) day: u32,
    /// Where its bytes begin in the frame.
    pub(super) at: usize,
    pub(super) bytes: &'a [u8],
}

/// Bytes before those of a record: kind, name, day, length.
const HEAD_BYTES: usize = 1 + 32 + 4 + 4;

/// Appends a record and says where its bytes begin; nothing when it is too long for any frame.
pub(super) fn write(out: &mut Vec<u8>, kind: Kind, name: &Hash, day: u32, bytes: &[u8]) -> Option<usize> {
    let len = u32::try_from(bytes.len()).ok()?;
    if out.len() + HEAD_BYTES + bytes.len() > limits::CONTENT_FRAME_BYTES_MAX {
        return None;
    }
    out.push(kind.byte());
    out.extend_from_slice(name);
    out.extend_from_slice(&day.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    let at = out.len();
    out.extend_from_slice(bytes);
    Some(at)
}

/// Reads the records of a frame; the last is nothing when the frame is damaged from there.
pub(super) fn records(frame: &[u8]) -> impl Iterator<Item = Option<Record<'_>>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = frame.get(at..).filter(|rest| !rest.is_empty())?;
        let read = || {
            let (&kind, rest) = rest.split_first()?;
            let (name, rest) = rest.split_first_chunk()?;
            let (day, rest) = rest.split_first_chunk()?;
            let (len, rest) = rest.split_first_chunk()?;
            let bytes = rest.get(..usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
            let day = u32::from_le_bytes(*day);
            Some(Record { kind: Kind::of(kind)?, name: *name, day, at: at + HEAD_BYTES, bytes })
        };
        let record = read();
        at = record.map_or(frame.len(), |record| record.at + record.bytes.len());
        Some(record)
    })
}
