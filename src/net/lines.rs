//! Lines of a pipe, each of bounded size, in memory that does not grow with what is sent.

use std::io;

use memchr::memchr;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use crate::limits;

/// A line without its end (LF or CRLF). Lines of nothing but white space are never seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// All of it.
    Whole(Vec<u8>),
    /// The pipe ended before the line did.
    Partial(Vec<u8>),
    /// The first bytes, as many as were allowed, of a line that has more; the others are thrown away.
    TooLarge(Vec<u8>),
}

impl Line {
    /// What there is of it.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) | Self::Partial(bytes) | Self::TooLarge(bytes) => bytes,
        }
    }
}

/// Reads a pipe line by line.
#[derive(Debug)]
pub struct Lines {
    pipe: pipe::Receiver,
    cutter: Cutter,
    ended: bool,
}

impl Lines {
    /// Lines of at most `bytes_max` bytes.
    pub(super) const fn new(pipe: pipe::Receiver, bytes_max: usize) -> Self {
        Self { pipe, cutter: Cutter::new(bytes_max), ended: false }
    }

    /// The next line; nothing once the pipe has ended. A wait that is given up loses nothing.
    ///
    /// # Errors
    /// The system's.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.cutter.next() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(self.cutter.end());
            }
            self.ended = self.pipe.read_buf(self.cutter.room()).await? == 0;
        }
    }
}

/// Cuts a stream of bytes into lines. How the bytes arrive makes no difference to the lines.
#[derive(Debug)]
struct Cutter {
    /// What has arrived: lines already given out before `from`, no line end before `seen`.
    buffer: Vec<u8>,
    /// <= `seen`.
    from: usize,
    /// <= length of `buffer`.
    seen: usize,
    bytes_max: usize,
    /// The line that arrives is too large and has been reported.
    skipping: bool,
}

impl Cutter {
    const fn new(bytes_max: usize) -> Self {
        Self { buffer: Vec::new(), from: 0, seen: 0, bytes_max, skipping: false }
    }

    /// Where the next bytes are to be appended; empty but for the beginning of one line of at most
    /// `bytes_max` + 2 bytes, with room for one read. To be called when there is no next line.
    fn room(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.from);
        self.seen -= self.from;
        self.from = 0;
        // A large line leaves its memory behind.
        if self.buffer.is_empty() {
            self.buffer.shrink_to(limits::STREAM_READ_BYTES);
        }
        self.buffer.reserve(limits::STREAM_READ_BYTES);
        &mut self.buffer
    }

    /// The next line that has arrived whole, or too much of.
    fn next(&mut self) -> Option<Line> {
        loop {
            let fresh = self.buffer.get(self.seen..).unwrap_or_default();
            let Some(place) = memchr(b'\n', fresh) else { return self.unfinished() };
            let end = self.seen + place;
            if self.from == 0 && end >= limits::STREAM_READ_BYTES && !self.skipping {
                // A large one leaves with the memory that it has come in.
                let rest = self.buffer.split_off(end + 1);
                let mut content = std::mem::replace(&mut self.buffer, rest);
                content.truncate(without_return(content.get(..end).unwrap_or_default()).len());
                content.shrink_to_fit();
                self.seen = 0;
                match line(content, self.bytes_max, Line::Whole) {
                    None => continue,
                    large => return large,
                }
            }
            let content = without_return(self.buffer.get(self.from..end).unwrap_or_default());
            let line = if self.skipping { None } else { line(content.to_vec(), self.bytes_max, Line::Whole) };
            self.skipping = false;
            self.from = end + 1;
            self.seen = self.from;
            if line.is_some() {
                return line;
            }
        }
    }

    /// Looks at the beginning of a line: too much of it is reported once and thrown away.
    fn unfinished(&mut self) -> Option<Line> {
        self.seen = self.buffer.len();
        let begun = self.buffer.get(self.from..).unwrap_or_default();
        // One more may be the CR before the LF.
        let reported = if self.skipping {
            None
        } else if begun.len() > self.bytes_max + 1 {
            Some(Line::TooLarge(begun.get(..self.bytes_max).unwrap_or_default().to_vec()))
        } else {
            return None;
        };
        self.skipping = true;
        self.from = self.seen;
        reported
    }

    /// What the end leaves over.
    fn end(&mut self) -> Option<Line> {
        let rest = self.buffer.split_off(self.from);
        *self = Self::new(self.bytes_max);
        line(without_return(&rest).to_vec(), self.bytes_max, Line::Partial)
    }
}

/// The line that `content` is: too large, nothing but white space, or as `kind` says.
fn line(mut content: Vec<u8>, bytes_max: usize, kind: impl FnOnce(Vec<u8>) -> Line) -> Option<Line> {
    if content.len() > bytes_max {
        content.truncate(bytes_max);
        return Some(Line::TooLarge(content));
    }
    (!content.iter().all(u8::is_ascii_whitespace)).then(|| kind(content))
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Cutter, Line};

    /// The lines of `bytes` when they arrive in pieces of `sizes`, round and round.
    fn cut(bytes: &[u8], bytes_max: usize, sizes: &[usize]) -> Vec<Line> {
        let mut cutter = Cutter::new(bytes_max);
        let mut lines = Vec::new();
        let mut sizes = sizes.iter().cycle();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            let room = cutter.room();
            assert!(room.len() <= bytes_max + 2, "{} bytes are kept", room.len());
            room.extend_from_slice(piece);
            lines.extend(std::iter::from_fn(|| cutter.next()));
            rest = later;
        }
        lines.extend(cutter.end());
        lines
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.into())
    }

    #[test]
    fn lines_are_cut() {
        let cases: &[(&str, &[Line])] = &[
            ("", &[]),
            ("a\nb\r\n", &[whole("a"), whole("b")]),
            ("\n\r\n  \n\ta\n", &[whole("\ta")]),
            ("a\nb", &[whole("a"), Line::Partial("b".into())]),
            ("a\n  ", &[whole("a")]),
            ("12345\n12345\r\n", &[whole("12345"), whole("12345")]),
            ("123456\nb\n", &[Line::TooLarge("12345".into()), whole("b")]),
            ("123456\r\nb\n", &[Line::TooLarge("12345".into()), whole("b")]),
            ("1234567890abcdef", &[Line::TooLarge("12345".into())]),
            ("123456", &[Line::TooLarge("12345".into())]),
            ("a\rb\n", &[whole("a\rb")]),
        ];
        for (input, expected) in cases {
            assert_eq!(cut(input.as_bytes(), 5, &[1000]), *expected, "{input:?}");
            assert_eq!(cut(input.as_bytes(), 5, &[1]), *expected, "{input:?} byte by byte");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b' '), any::<u8>()],
                0..200,
            ),
            sizes in proptest::collection::vec(1usize..40, 1..8),
            bytes_max in 1usize..20,
        ) {
            let lines = cut(&bytes, bytes_max, &sizes);
            prop_assert!(lines.iter().all(|line| line.bytes().len() <= bytes_max));
            prop_assert_eq!(lines, cut(&bytes, bytes_max, &[1000]));
        }

        #[test]
        fn large_lines_are_cut_like_small_ones(
            lengths in proptest::collection::vec(
                prop_oneof![0usize..40, 16_000usize..17_000, 30_000usize..50_000],
                0..6,
            ),
            ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n")], 6),
            sizes in proptest::collection::vec(prop_oneof![1usize..40, 10_000usize..40_000], 1..8),
            bytes_max in prop_oneof![Just(16_384usize), Just(40_000)],
        ) {
            let lines = lengths.iter().zip(&ends).map(|(length, end)| "x".repeat(*length) + end);
            let text: String = lines.collect();
            let expected: Vec<Line> = lengths
                .iter()
                .filter(|length| **length > 0)
                .map(|length| match "x".repeat((*length).min(bytes_max)).into_bytes() {
                    head if head.len() < *length => Line::TooLarge(head),
                    all => Line::Whole(all),
                })
                .collect();
            prop_assert_eq!(cut(text.as_bytes(), bytes_max, &sizes), expected);
        }
    }
}
