//! Reads answers as they come: where one ends, and which events pass.

use anyhow::{Context, Result, bail, ensure};

use crate::wire;

/// Bytes of one answer head.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Bytes of one event; ours are below 400.
const EVENT_BYTES_MAX: usize = 64 * 1024;

/// Header lines of one answer; a proxy adds two or three to our eight.
const HEADERS_MAX: usize = 64;

/// The reader of one connection; ready for the next answer when one has ended.
#[derive(Default)]
pub(crate) struct Answer {
    state: State,
    head: Vec<u8>,
    /// Whether the body is an event stream.
    streams: bool,
    event: Vec<u8>,
    /// Body bytes of the present or last answer, without framing.
    pub(crate) body_bytes: usize,
    /// Events since the connection began.
    pub(crate) events: u64,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Head,
    Sized(usize),
    ChunkSize(usize),
    ChunkData(usize),
    /// The line end after a chunk.
    ChunkEnd,
    /// The empty line after the last chunk; a trailer is an error here.
    LastEnd,
    Done,
}

impl Answer {
    /// Takes bytes, calls `stamped` with the time each delta was written, and says whether the answer ended.
    /// Fails for a status other than 200 and for framing that is none.
    pub(crate) fn take(&mut self, mut bytes: &[u8], stamped: &mut dyn FnMut(u64)) -> Result<bool> {
        while !bytes.is_empty() {
            let used = match self.state {
                State::Head => self.take_head(bytes)?,
                State::Sized(left) => {
                    let used = self.take_body(bytes, left, stamped)?;
                    self.state = if used == left { State::Done } else { State::Sized(left - used) };
                    used
                }
                State::ChunkData(left) => {
                    let used = self.take_body(bytes, left, stamped)?;
                    self.state = if used == left { State::ChunkEnd } else { State::ChunkData(left - used) };
                    used
                }
                State::ChunkSize(_) | State::ChunkEnd | State::LastEnd => {
                    let byte = bytes.first().copied().unwrap_or_default();
                    self.state = frame(self.state, byte)?;
                    1
                }
                State::Done => 0,
            };
            bytes = bytes.get(used..).unwrap_or_default();
            if let State::Done = self.state {
                ensure!(bytes.is_empty(), "bytes after the end of an answer");
                self.state = State::Head;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Collects the head; returns how many of `bytes` belong to it.
    fn take_head(&mut self, bytes: &[u8]) -> Result<usize> {
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        ensure!(self.head.len() <= HEAD_BYTES_MAX + bytes.len(), "an endless head");
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(end) = response.parse(&self.head)? else { return Ok(bytes.len()) };
        if response.code != Some(200) {
            bail!("answered {}", String::from_utf8_lossy(&self.head));
        }
        let mut state = None;
        self.streams = false;
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                state = Some(State::Sized(std::str::from_utf8(header.value)?.trim().parse()?));
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                state = Some(State::ChunkSize(0));
            } else if header.name.eq_ignore_ascii_case("content-type") {
                self.streams = header.value.starts_with(b"text/event-stream");
            }
        }
        self.state = state.context("an answer without a length")?;
        if let State::Sized(0) = self.state {
            self.state = State::Done;
        }
        self.head.clear();
        self.event.clear();
        self.body_bytes = 0;
        Ok(end - before)
    }

    fn take_body(&mut self, bytes: &[u8], left: usize, stamped: &mut dyn FnMut(u64)) -> Result<usize> {
        let used = left.min(bytes.len());
        self.body_bytes += used;
        if !self.streams {
            return Ok(used);
        }
        self.event.extend_from_slice(bytes.get(..used).unwrap_or_default());
        let mut from = 0;
        while let Some(rest) = self.event.get(from..) {
            let Some(end) = memchr::memmem::find(rest, b"\n\n") else { break };
            self.events += 1;
            if let Some(stamp) = wire::stamp(rest) {
                stamped(stamp);
            }
            from += end + 2;
        }
        self.event.drain(..from);
        ensure!(self.event.len() <= EVENT_BYTES_MAX, "an endless event");
        Ok(used)
    }
}

/// Steps over one byte of chunk framing (RFC 9112 section 7.1).
fn frame(state: State, byte: u8) -> Result<State> {
    Ok(match (state, byte) {
        (State::ChunkSize(0), b'\n') => State::LastEnd,
        (State::ChunkSize(size), b'\n') => State::ChunkData(size),
        (State::ChunkSize(_) | State::ChunkEnd | State::LastEnd, b'\r') => state,
        (State::ChunkSize(size), digit) => {
            let digit = char::from(digit).to_digit(16).context("a chunk size that is no number")?;
            let size = size.checked_mul(16).context("a huge chunk")?;
            State::ChunkSize(size + usize::try_from(digit)?)
        }
        (State::ChunkEnd, b'\n') => State::ChunkSize(0),
        (State::LastEnd, b'\n') => State::Done,
        _ => bail!("chunk framing broken by byte {byte}"),
    })
}
