//! Amazon's binary event stream: frames with two sums, headers and a payload, in pieces of any size.
//!
//! ```text
//! total length: 4 | headers length: 4 | CRC-32 of these 8: 4 | headers | payload | CRC-32 of all before: 4
//! header: length of name: 1 | name | type: 1 | value, whose length is the type's or stands in 2 bytes
//! ```
//!
//! All numbers are big-endian (Smithy specification, "Amazon event stream", read 2026-11).

use crate::limits;

/// Bytes before the headers.
const PRELUDE: usize = 12;

/// Bytes of a frame without headers and payload.
const LEAST: usize = PRELUDE + 4;

/// A frame.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    headers: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

/// What is wrong with a stream. After it nothing of the stream can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The lengths contradict each other.
    #[error("the lengths of a frame contradict each other")]
    Lengths,
    /// Longer than `limits::FRAME_BYTES_MAX`, or its headers than `limits::FRAME_HEADERS_BYTES_MAX`.
    #[error("a frame is too long")]
    TooLong,
    /// The sum of the lengths is another.
    #[error("the lengths of a frame have been changed on the way")]
    PreludeSum,
    /// The sum of the frame is another.
    #[error("a frame has been changed on the way")]
    Sum,
    /// The headers are none.
    #[error("the headers of a frame cannot be read")]
    Headers,
}

/// Reads frames one after the other.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    /// The beginning of a frame whose end has not come, <= `limits::FRAME_BYTES_MAX`.
    held: Vec<u8>,
    fault: Option<Fault>,
}

impl Frames {
    /// Takes the next bytes and hands on the frames that are whole. Frames before a fault have been handed
    /// on.
    ///
    /// # Errors
    /// The first [`Fault`], again and again.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let read = self.read(bytes, each);
        self.fault = read.err();
        read
    }

    fn read(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), Fault> {
        // A frame that came in pieces is put together first; all others are read where they are.
        while !self.held.is_empty() {
            let wanted = if self.held.len() < PRELUDE { PRELUDE } else { total(&self.held)? };
            let room = wanted.saturating_sub(self.held.len());
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            self.held.extend_from_slice(piece);
            bytes = rest;
            if self.held.len() < PRELUDE {
                return Ok(());
            }
            // Looked at again, since the lengths may just have come.
            if self.held.len() < total(&self.held)? {
                if bytes.is_empty() {
                    return Ok(());
                }
                continue;
            }
            each(frame(&self.held)?);
            self.held.clear();
        }
        while bytes.len() >= PRELUDE {
            let total = total(bytes)?;
            let Some((whole, rest)) = bytes.split_at_checked(total) else { break };
            each(frame(whole)?);
            bytes = rest;
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Whether the last frame is whole: a stream may end here and nowhere else.
    pub const fn between(&self) -> bool {
        self.held.is_empty() && self.fault.is_none()
    }
}

/// The length of the frame that begins here with its lengths and their sum.
fn total(bytes: &[u8]) -> Result<usize, Fault> {
    let (lengths, headers) = (number(bytes, 0)?, number(bytes, 4)?);
    let sum = bytes.get(8..PRELUDE).ok_or(Fault::Lengths)?;
    if crc32fast::hash(bytes.get(..8).unwrap_or_default()).to_be_bytes() != sum {
        return Err(Fault::PreludeSum);
    }
    if lengths > limits::FRAME_BYTES_MAX || headers > limits::FRAME_HEADERS_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    if lengths < LEAST || headers > lengths - LEAST {
        return Err(Fault::Lengths);
    }
    Ok(lengths)
}

/// Reads a whole frame.
fn frame(bytes: &[u8]) -> Result<Frame<'_>, Fault> {
    let (all, sum) = bytes.split_last_chunk::<4>().ok_or(Fault::Lengths)?;
    if crc32fast::hash(all).to_be_bytes() != *sum {
        return Err(Fault::Sum);
    }
    let rest = all.get(PRELUDE..).ok_or(Fault::Lengths)?;
    let (headers, payload) = rest.split_at_checked(number(bytes, 4)?).ok_or(Fault::Lengths)?;
    check_headers(headers)?;
    Ok(Frame { headers, payload })
}

fn number(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).ok_or(Fault::Lengths)?;
    usize::try_from(u32::from_be_bytes(*four)).or(Err(Fault::TooLong))
}

/// The type of a header whose value is text.
const TEXT: u8 = 7;

/// One header.
struct Header<'a> {
    name: &'a [u8],
    kind: u8,
    value: &'a [u8],
}

/// Splits the first header off what follows it.
fn header(bytes: &[u8]) -> Option<(Header<'_>, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length)).filter(|(name, _)| !name.is_empty())?;
    let (kind, rest) = rest.split_first()?;
    let (length, rest) = match *kind {
        0 | 1 => (0, rest),
        2 => (1, rest),
        3 => (2, rest),
        4 => (4, rest),
        5 | 8 => (8, rest),
        9 => (16, rest),
        6 | TEXT => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((Header { name, kind: *kind, value }, rest))
}

fn check_headers(mut bytes: &[u8]) -> Result<(), Fault> {
    for _ in 0..limits::FRAME_HEADERS_MAX {
        if bytes.is_empty() {
            return Ok(());
        }
        let (_, rest) = header(bytes).ok_or(Fault::Headers)?;
        bytes = rest;
    }
    if bytes.is_empty() { Ok(()) } else { Err(Fault::Headers) }
}

impl<'a> Frame<'a> {
    /// The text of the header `name`; nothing when it is missing or of another type.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let mut bytes = self.headers;
        while let Some((header, rest)) = header(bytes) {
            if header.name == name.as_bytes() {
                return if header.kind == TEXT { std::str::from_utf8(header.value).ok() } else { None };
            }
            bytes = rest;
        }
        None
    }

    /// What it is about.
    pub fn message(&self) -> Message<'a> {
        match self.text(":message-type") {
            Some("event") => Message::Event(self.text(":event-type").unwrap_or_default()),
            Some("exception") => Message::Exception(self.text(":exception-type").unwrap_or_default()),
            Some("error") => Message::Error {
                code: self.text(":error-code").unwrap_or_default(),
                message: self.text(":error-message").unwrap_or_default(),
            },
            _ => Message::Unknown,
        }
    }
}

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// An event of this type.
    Event(&'a str),
    /// An exception of this name: the stream is at its end.
    Exception(&'a str),
    /// A failure that the service has no name for: the stream is at its end.
    Error {
        /// Its code.
        code: &'a str,
        /// What it says.
        message: &'a str,
    },
    /// Nothing that is known.
    Unknown,
}

/// Lengths alone: what models say is in no log.
impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({} bytes of headers, {} bytes)", self.headers.len(), self.payload.len())
    }
}

/// Appends a frame with headers of text, each of at most 255 bytes of name and 65,535 of value.
pub(crate) fn write_frame(headers: &[(&str, &str)], payload: &[u8], out: &mut Vec<u8>) {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.extend(u8::try_from(name.len()));
        block.extend_from_slice(name.as_bytes());
        block.push(TEXT);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(0).to_be_bytes();
    let start = out.len();
    out.extend_from_slice(&length(LEAST + block.len() + payload.len()));
    out.extend_from_slice(&length(block.len()));
    let sum = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&sum.to_be_bytes());
    out.extend_from_slice(&block);
    out.extend_from_slice(payload);
    let sum = crc32fast::hash(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&sum.to_be_bytes());
}
