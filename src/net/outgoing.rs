//! What a send consists of: up to four pieces, owned or shared, sent in order without being joined.

use std::io::IoSlice;
use std::ops::Range;
use std::rc::Rc;

use bytes::Bytes;

use crate::limits;
use crate::net::buffer::Buffer;

/// Most pieces of one send: head, body before the model id, model id, body behind it.
pub const PIECES_MAX: usize = 4;

/// One piece of a send.
#[derive(Debug, Default)]
pub enum Piece {
    /// Nothing.
    #[default]
    Nothing,
    /// A buffer that the send owns until it is done.
    Owned(Buffer),
    /// A part of a buffer that somebody keeps, for example to send it again.
    Shared(Rc<Buffer>, Range<usize>),
    /// Bytes that all cores share: a list that was made once.
    Common(Bytes),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Owned(buffer) => buffer.filled(),
            Self::Shared(buffer, range) => buffer.filled().get(range.clone()).unwrap_or_default(),
            Self::Common(bytes) => bytes,
        }
    }
}

/// Pieces on their way out. `sent` bytes of them have left.
#[derive(Debug, Default)]
pub struct Outgoing {
    pieces: [Piece; PIECES_MAX],
    /// The pieces in one, where they are several and small.
    joined: Option<Buffer>,
    sent: usize,
}

impl Outgoing {
    /// A send of these pieces in this order.
    pub fn new(pieces: [Piece; PIECES_MAX]) -> Self {
        let several = pieces.iter().filter(|piece| !piece.bytes().is_empty()).count() > 1;
        let total = pieces.iter().map(|piece| piece.bytes().len()).sum();
        let joined = (several && total <= limits::JOINED_BYTES_MAX).then(|| {
            let mut joined = Buffer::with_room(total);
            for piece in &pieces {
                joined.extend(piece.bytes());
            }
            joined
        });
        Self { pieces, joined, sent: 0 }
    }

    /// A send of one buffer.
    pub fn one(buffer: Buffer) -> Self {
        Self::new([Piece::Owned(buffer), Piece::Nothing, Piece::Nothing, Piece::Nothing])
    }

    /// A send of two buffers.
    pub fn two(first: Buffer, second: Buffer) -> Self {
        Self::new([Piece::Owned(first), Piece::Owned(second), Piece::Nothing, Piece::Nothing])
    }

    /// Takes an owned piece back, for its room.
    pub fn take(&mut self, index: usize) -> Buffer {
        match self.pieces.get_mut(index).map(std::mem::take) {
            Some(Piece::Owned(buffer)) => buffer,
            Some(Piece::Nothing | Piece::Shared(..) | Piece::Common(_)) | None => Buffer::empty(),
        }
    }

    /// Bytes that have not left yet.
    pub fn left(&self) -> usize {
        let total = match &self.joined {
            Some(joined) => joined.len(),
            None => self.pieces.iter().map(|piece| piece.bytes().len()).sum(),
        };
        total - self.sent
    }

    /// Counts `bytes` more as sent.
    pub const fn advance(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// The unsent bytes, piece by piece; the number of slices that hold any.
    pub fn slices<'a>(&'a self, into: &mut [IoSlice<'a>; PIECES_MAX]) -> usize {
        if let (Some(joined), [first, ..]) = (&self.joined, &mut *into) {
            *first = IoSlice::new(joined.filled().get(self.sent..).unwrap_or_default());
            return 1;
        }
        let (mut skip, mut count) = (self.sent, 0);
        for piece in &self.pieces {
            let bytes = piece.bytes();
            let rest = bytes.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(bytes.len());
            if rest.is_empty() {
                continue;
            }
            if let Some(place) = into.get_mut(count) {
                *place = IoSlice::new(rest);
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::{Outgoing, PIECES_MAX, Piece};
    use crate::net::buffer::Buffer;
    use std::io::IoSlice;
    use std::rc::Rc;

    fn gather(outgoing: &Outgoing) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let count = outgoing.slices(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn any_partial_send_leaves_the_rest() {
        let body = Rc::new(Buffer::from(&b"{\"model\":\"a\"}"[..]));
        for step in 1..8 {
            let mut outgoing = Outgoing::new([
                Piece::Owned(Buffer::from(&b"head "[..])),
                Piece::Shared(Rc::clone(&body), 0..10),
                Piece::Owned(Buffer::from(&b"bcd"[..])),
                Piece::Shared(Rc::clone(&body), 11..13),
            ]);
            let whole = b"head {\"model\":\"bcd\"}";
            let mut at = 0;
            while outgoing.left() > 0 {
                assert_eq!(gather(&outgoing), &whole[at..]);
                let step = step.min(outgoing.left());
                outgoing.advance(step);
                at += step;
            }
            assert_eq!(at, whole.len());
        }
    }
}
