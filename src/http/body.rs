//! Message bodies: from the bytes of the wire to the bytes of the content, in place.
//!
//! Follows RFC 9112 sections 6 and 7.1, and refuses where that standard lets a recipient guess. Chunk
//! extensions and trailers are read and dropped.
//!
//! ```text
//! chunk:    Size [Gap] [Extension] CR SizeLf LF, then Data, DataCr, DataLf, and the next Size
//! last one: the same with a size of zero, then LineStart
//! trailer:  LineStart, Trailer, CR TrailerLf LF, and the next LineStart
//! end:      LineStart CR LastLf LF, then Done
//! ```

use std::error::Error as StdError;
use std::fmt;
use std::ops::Range;

use crate::error::Code;
use crate::http::head::Framing;
use crate::limits::{CHUNK_EXCESS_BYTES_MAX, CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};

/// What is wrong with a body. Nothing behind it on the connection can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyFault {
    /// No hexadecimal digit where a chunk size must stand, or a stray byte behind one.
    BadChunkSize,
    /// A chunk size beyond 64 bits.
    ChunkSizeOverflow,
    /// A chunk-size line longer than `limits::CHUNK_LINE_BYTES_MAX`.
    ChunkLineTooLong,
    /// A control character in a chunk extension.
    BadChunkExtension,
    /// Chunk data that is longer or shorter than its size says.
    BadChunkEnd,
    /// A line that ends in LF alone, or a CR without LF.
    BareLineEnd,
    /// Much more framing than data, see `limits::CHUNK_EXCESS_BYTES_MAX`.
    TooMuchFraming,
    /// A control character or a folded line in the trailers.
    BadTrailer,
    /// Trailers of more than `limits::TRAILER_BYTES_MAX` bytes.
    TrailerTooLarge,
    /// The connection ended before the body did.
    Premature,
}

impl BodyFault {
    /// The code for a caller whose body this is; for an upstream's body it is `Code::UpstreamBroken`.
    pub const fn code(self) -> Code {
        Code::BadRequest
    }

    /// What is wrong, in words for the caller.
    pub const fn text(self) -> &'static str {
        match self {
            Self::BadChunkSize => "a chunk size of the body is malformed",
            Self::ChunkSizeOverflow => "a chunk size of the body is out of range",
            Self::ChunkLineTooLong => "a chunk-size line of the body is longer than 256 bytes",
            Self::BadChunkExtension => "a chunk extension of the body holds a control character",
            Self::BadChunkEnd => "a chunk of the body does not end where its size says",
            Self::BareLineEnd => "a line of the chunked body does not end in CRLF",
            Self::TooMuchFraming => "the chunked body has more framing than data",
            Self::BadTrailer => "the trailers of the body are malformed",
            Self::TrailerTooLarge => "the trailers of the body are larger than 8 KiB",
            Self::Premature => "the connection ended before the body was complete",
        }
    }
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl StdError for BodyFault {}

/// What one call of [`Decoder::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Where the content now lies in the given bytes; `body.end <= consumed`.
    pub body: Range<usize>,
    /// How many of the given bytes were used: all of them, unless the body ended before.
    pub consumed: usize,
    /// Whether the body is over. What follows `consumed` belongs to the next message.
    pub done: bool,
}

/// Takes one body off the wire, however its bytes are split.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    /// Bytes of the current chunk-size line or of the trailers so far, against their bounds.
    line_bytes: usize,
    /// Framing beyond what is fair, in bytes; at most `CHUNK_EXCESS_BYTES_MAX`.
    excess: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Bytes left of a body of known length, more than zero.
    Length(u64),
    UntilClose,
    /// Size so far, and whether there was a digit.
    Size(u64, bool),
    /// Behind the size: white space until a semicolon.
    Gap(u64),
    Extension(u64),
    SizeLf(u64),
    /// Bytes left of the chunk, more than zero.
    Data(u64),
    DataCr,
    DataLf,
    LineStart,
    Trailer,
    TrailerLf,
    LastLf,
    Done,
    Broken(BodyFault),
}

impl Decoder {
    /// A decoder for one body.
    pub const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::Size(0, false),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state, line_bytes: 0, excess: 0 }
    }

    /// Decodes the next bytes of the wire in place.
    ///
    /// The content of all chunks in `raw` is moved together behind the first piece of content, which stays
    /// where it lies; with only one piece nothing moves. Bytes outside the returned range are spent and may
    /// be overwritten.
    ///
    /// # Errors
    /// What is wrong with the body; every later call says the same. Content before the fault is not returned.
    pub fn decode(&mut self, raw: &mut [u8]) -> Result<Decoded, BodyFault> {
        match self.state {
            State::Broken(fault) => Err(fault),
            State::Done => Ok(Decoded { body: 0..0, consumed: 0, done: true }),
            State::UntilClose => Ok(Decoded { body: 0..raw.len(), consumed: raw.len(), done: false }),
            State::Length(left) => {
                let taken = at_most(left, raw.len());
                self.state = less(left, taken).map_or(State::Done, State::Length);
                Ok(Decoded { body: 0..taken, consumed: taken, done: self.at_end() })
            }
            _ => self.decode_chunks(raw).inspect_err(|&fault| self.state = State::Broken(fault)),
        }
    }

    /// Whether the body is over.
    pub const fn at_end(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Says whether the connection may end here.
    ///
    /// # Errors
    /// `Premature` when bytes of the body are missing, or the fault that was found before.
    pub const fn on_eof(&self) -> Result<(), BodyFault> {
        match self.state {
            State::Done | State::UntilClose => Ok(()),
            State::Broken(fault) => Err(fault),
            _ => Err(BodyFault::Premature),
        }
    }

    /// Bytes that are missing, when that is known: for a body of known length, or one that is over.
    pub const fn wants(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Done => Some(0),
            _ => None,
        }
    }

    fn decode_chunks(&mut self, raw: &mut [u8]) -> Result<Decoded, BodyFault> {
        let mut body = 0..0;
        let mut at = 0;
        while let Some(&byte) = raw.get(at) {
            if let State::Data(left) = self.state {
                let taken = at_most(left, raw.len() - at);
                self.state = less(left, taken).map_or(State::DataCr, State::Data);
                if body.is_empty() {
                    body = at..at + taken;
                } else {
                    raw.copy_within(at..at + taken, body.end);
                    body.end += taken;
                }
                at += taken;
                continue;
            }
            self.state = self.step(byte)?;
            at += 1;
            if self.state == State::Done {
                break;
            }
        }
        Ok(Decoded { body, consumed: at, done: self.at_end() })
    }

    /// Takes one byte of framing.
    fn step(&mut self, byte: u8) -> Result<State, BodyFault> {
        self.count()?;
        match (self.state, byte) {
            (State::Size(_, false) | State::LineStart, b'\n') => Err(BodyFault::BareLineEnd),
            (State::Size(size, seen), byte) => match (hex(byte), byte) {
                (Some(_), _) if size >> 60 != 0 => Err(BodyFault::ChunkSizeOverflow),
                (Some(digit), _) => Ok(State::Size(size << 4 | digit, true)),
                (None, b'\r') if seen => Ok(State::SizeLf(size)),
                (None, b';') if seen => Ok(State::Extension(size)),
                (None, b' ' | b'\t') if seen => Ok(State::Gap(size)),
                (None, b'\n') => Err(BodyFault::BareLineEnd),
                (None, _) => Err(BodyFault::BadChunkSize),
            },
            (State::Gap(size), b' ' | b'\t') => Ok(State::Gap(size)),
            (State::Gap(size), b';') => Ok(State::Extension(size)),
            (State::Gap(_), b'\n') | (State::Extension(_), b'\n') => Err(BodyFault::BareLineEnd),
            (State::Gap(_), _) => Err(BodyFault::BadChunkSize),
            (State::Extension(size), b'\r') => Ok(State::SizeLf(size)),
            (State::Extension(_), byte) if is_control(byte) => Err(BodyFault::BadChunkExtension),
            (State::Extension(size), _) => Ok(State::Extension(size)),
            (State::SizeLf(size), b'\n') => self.begin_chunk(size),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                self.line_bytes = 0;
                Ok(State::Size(0, false))
            }
            (State::DataCr | State::DataLf, _) => Err(BodyFault::BadChunkEnd),
            (State::LineStart, b'\r') => Ok(State::LastLf),
            (State::LineStart, b' ' | b'\t') => Err(BodyFault::BadTrailer),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::TrailerLf, b'\n') => Ok(State::LineStart),
            (State::SizeLf(_) | State::TrailerLf | State::LastLf, _) | (State::Trailer, b'\n') => {
                Err(BodyFault::BareLineEnd)
            }
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::LineStart | State::Trailer, byte) if is_control(byte) => Err(BodyFault::BadTrailer),
            (State::LineStart | State::Trailer, _) => Ok(State::Trailer),
            // Content and ends are not framing; `decode` and `decode_chunks` never bring them here.
            (State::Length(_) | State::UntilClose | State::Data(_) | State::Done, _) => Ok(self.state),
            (State::Broken(fault), _) => Err(fault),
        }
    }

    /// Holds chunk-size lines and trailers to their bounds.
    fn count(&mut self) -> Result<(), BodyFault> {
        self.line_bytes += 1;
        match self.state {
            State::Size(..) | State::Gap(_) | State::Extension(_) | State::SizeLf(_)
                if self.line_bytes > CHUNK_LINE_BYTES_MAX =>
            {
                Err(BodyFault::ChunkLineTooLong)
            }
            State::LineStart | State::Trailer | State::TrailerLf | State::LastLf
                if self.line_bytes > TRAILER_BYTES_MAX =>
            {
                Err(BodyFault::TrailerTooLarge)
            }
            _ => Ok(()),
        }
    }

    /// At the end of a chunk-size line.
    fn begin_chunk(&mut self, size: u64) -> Result<State, BodyFault> {
        let framing = self.line_bytes as u64;
        self.line_bytes = 0;
        if size == 0 {
            return Ok(State::LineStart);
        }
        let fair = size.saturating_mul(2).saturating_add(16);
        self.excess = (self.excess + framing).saturating_sub(fair);
        if self.excess > CHUNK_EXCESS_BYTES_MAX {
            return Err(BodyFault::TooMuchFraming);
        }
        Ok(State::Data(size))
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// `left` or `available`, whichever is less.
fn at_most(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}

/// What is left after `taken`, unless that is nothing.
fn less(left: u64, taken: usize) -> Option<u64> {
    left.checked_sub(taken as u64).filter(|&left| left > 0)
}
