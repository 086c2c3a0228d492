//! The fixed-response provider: one thread, one epoll loop, far cheaper than any proxy in front of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Read, Write, stderr};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};
use tollgate::clock;

use crate::sys::{Poll, Watch, pin, sharpen_timers};
use crate::wire::{self, EVENTS, PEEK_BYTES, Pace};

const LISTENER: u64 = 0;

/// Connections waiting to be accepted: a run opens up to 1,000 at once.
const BACKLOG: i32 = 4096;

/// Bytes that one read takes.
const READ_BYTES: usize = 256 * 1024;

/// Bytes of one request head.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Streams that start at the same moment are spread over this many slots of the gap between two events.
const PHASES: u32 = 64;

/// A millisecond, in nanoseconds.
const TICK_NS: u64 = 1_000_000;

/// Starts the provider on its own thread of processor `cpu`; it lives as long as the process.
pub(crate) fn start(cpu: usize, origin: Instant) -> Result<SocketAddr> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    let poll = Poll::new()?;
    poll.add(listener.as_raw_fd(), LISTENER, Watch::Level)?;
    let server = Server {
        listener,
        poll,
        origin,
        conns: Vec::new(),
        free: Vec::new(),
        due: BinaryHeap::new(),
        answer: wire::answer(),
        stream_head: wire::stream_head(),
        event: Vec::new(),
        streams: 0,
    };
    let run = move || {
        let prepared = pin(cpu).and_then(|()| sharpen_timers()).context("cannot prepare its thread");
        if let Err(error) = prepared.and_then(|()| server.run()) {
            // Every run from here on fails with its own words; this says why.
            writeln!(stderr(), "the provider ended: {error:#}").unwrap_or_default();
        }
    };
    std::thread::Builder::new()
        .name("upstream".into())
        .spawn(run)
        .context("cannot start the provider's thread")?;
    Ok(address)
}

struct Server {
    listener: TcpListener,
    poll: Poll,
    origin: Instant,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    /// When the next event of which connection is due; the last number tells a stream from its successor.
    due: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    answer: Vec<u8>,
    stream_head: Vec<u8>,
    event: Vec<u8>,
    streams: u64,
}

struct Conn {
    socket: TcpStream,
    head: Vec<u8>,
    state: State,
    /// Bytes that the peer has not taken yet.
    unsent: Vec<u8>,
    stream: Option<Stream>,
}

enum State {
    Head,
    Body { left: usize, peek: Vec<u8> },
}

struct Stream {
    id: u64,
    pace: Pace,
    sent: usize,
}

enum Next {
    Wait,
    Close,
}

impl Server {
    fn run(mut self) -> Result<()> {
        let mut ready = Vec::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let now = clock::now();
            let wait = self
                .due
                .peek()
                .map_or(Duration::from_secs(1), |next| next.0.0.saturating_duration_since(now));
            self.poll.wait(wait, &mut ready)?;
            for token in &ready {
                match usize::try_from(*token) {
                    Ok(0) => self.accept()?,
                    Ok(token) => self.turn(token - 1, &mut buffer),
                    Err(_huge) => {}
                }
            }
            self.send_due();
        }
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error.into()),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let place = self.free.pop().unwrap_or(self.conns.len());
            self.poll.add(socket.as_raw_fd(), u64::try_from(place + 1)?, Watch::Edge)?;
            let conn =
                Some(Conn { socket, head: Vec::new(), state: State::Head, unsent: Vec::new(), stream: None });
            match self.conns.get_mut(place) {
                Some(slot) => *slot = conn,
                None => self.conns.push(conn),
            }
        }
    }

    /// Reads what came, answers what is whole, and goes on with what the peer had not taken.
    fn turn(&mut self, place: usize, buffer: &mut [u8]) {
        let Some(mut conn) = self.conns.get_mut(place).and_then(Option::take) else { return };
        let blocked = !conn.unsent.is_empty();
        let next = match (conn.flush(), self.read(&mut conn, place, buffer)) {
            (Next::Wait, Next::Wait) => Next::Wait,
            _ => Next::Close,
        };
        if let Next::Close = next {
            self.free.push(place);
            return;
        }
        if let Some(stream) = conn.stream.as_ref().filter(|_| blocked && conn.unsent.is_empty()) {
            self.due.push(Reverse((clock::now(), place, stream.id)));
        }
        if let Some(slot) = self.conns.get_mut(place) {
            *slot = Some(conn);
        }
    }

    fn read(&mut self, conn: &mut Conn, place: usize, buffer: &mut [u8]) -> Next {
        loop {
            let count = match conn.socket.read(buffer) {
                Ok(0) => return Next::Close,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Wait,
                Err(_gone) => return Next::Close,
            };
            if let Next::Close = self.take(conn, place, buffer.get(..count).unwrap_or_default()) {
                return Next::Close;
            }
            if count < buffer.len() {
                return Next::Wait;
            }
        }
    }

    /// Feeds request bytes. No peer of ours sends the next request before the answer, so at most one request
    /// ends in `bytes`.
    fn take(&mut self, conn: &mut Conn, place: usize, mut bytes: &[u8]) -> Next {
        if let State::Head = conn.state {
            let before = conn.head.len();
            conn.head.extend_from_slice(bytes);
            let from = before.saturating_sub(3);
            let unseen = conn.head.get(from..).unwrap_or_default();
            let Some(end) = memchr::memmem::find(unseen, b"\r\n\r\n").map(|at| from + at + 4) else {
                return if conn.head.len() > HEAD_BYTES_MAX { Next::Close } else { Next::Wait };
            };
            let Some(left) = body_length(conn.head.get(..end).unwrap_or_default()) else {
                return Next::Close;
            };
            bytes = bytes.get(end - before..).unwrap_or_default();
            conn.head.clear();
            conn.state = State::Body { left, peek: Vec::with_capacity(PEEK_BYTES) };
        }
        let State::Body { left, peek } = &mut conn.state else { return Next::Close };
        let room = PEEK_BYTES - peek.len();
        peek.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        *left = left.saturating_sub(bytes.len());
        if *left > 0 {
            return Next::Wait;
        }
        let pace = wire::pace(peek);
        conn.state = State::Head;
        match pace {
            None => conn.send(&self.answer),
            Some(pace) => {
                self.streams += 1;
                let phase = u32::try_from(self.streams % u64::from(PHASES)).unwrap_or_default();
                conn.stream = Some(Stream { id: self.streams, pace, sent: 0 });
                let first = self.on_time(clock::now() + pace.gap * phase / PHASES, pace);
                self.due.push(Reverse((first, place, self.streams)));
                conn.send(&self.stream_head)
            }
        }
    }

    /// Writes every event whose time has come, each in a write of its own.
    fn send_due(&mut self) {
        let now = clock::now();
        while let Some(Reverse((at, place, id))) = self.due.peek().copied() {
            if at > now {
                return;
            }
            self.due.pop();
            let Some(conn) = self.conns.get_mut(place).and_then(Option::as_mut) else { continue };
            let Some(stream) = conn.stream.as_mut().filter(|stream| stream.id == id) else { continue };
            wire::event(stream.sent, wire::since_ns(self.origin, clock::now()), &mut self.event);
            stream.sent += 1;
            let (next, pace) = (at + stream.pace.gap, stream.pace);
            if stream.sent == EVENTS {
                conn.stream = None;
            }
            if let Next::Close = conn.send(&self.event) {
                self.conns.get_mut(place).map(Option::take);
                self.free.push(place);
            } else if conn.stream.is_some() && conn.unsent.is_empty() {
                // Behind schedule or without one, the next event comes after the reads of the next turn.
                let next = self.on_time(next.max(now + Duration::from_nanos(1)), pace);
                self.due.push(Reverse((next, place, id)));
            }
        }
    }

    /// Moves a moment to the next tick where the pace is one of ticks.
    fn on_time(&self, at: Instant, pace: Pace) -> Instant {
        if !pace.ticks {
            return at;
        }
        let past_ns = wire::since_ns(self.origin, at) % TICK_NS;
        at + Duration::from_nanos((TICK_NS - past_ns) % TICK_NS)
    }
}

impl Conn {
    /// Sends, and keeps what the peer does not take.
    fn send(&mut self, bytes: &[u8]) -> Next {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return Next::Wait;
        }
        match self.socket.write(bytes) {
            Ok(count) => {
                self.unsent.extend_from_slice(bytes.get(count..).unwrap_or_default());
                Next::Wait
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.unsent.extend_from_slice(bytes);
                Next::Wait
            }
            Err(_gone) => Next::Close,
        }
    }

    fn flush(&mut self) -> Next {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Next::Wait,
                Err(_gone) => return Next::Close,
            }
        }
        Next::Wait
    }
}

/// Reads Content-Length; 0 without one, `None` where it is not a number or the body is chunked.
fn body_length(head: &[u8]) -> Option<usize> {
    let mut length = 0;
    for line in head.split(|byte| *byte == b'\n') {
        let named =
            |name: &[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if named(b"content-length:") {
            length = std::str::from_utf8(line.get(15..)?).ok()?.trim().parse().ok()?;
        } else if named(b"transfer-encoding:") {
            return None;
        }
    }
    Some(length)
}
