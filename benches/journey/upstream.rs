//! The fixed-response provider: one thread, one epoll loop, far cheaper than any proxy in front of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Write, stderr};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};
use tollgate::clock;

use crate::peer::{Next, Peer};
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

/// Listens without blocking, with room for many who come at once.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts one connection, if one is there, and makes it one that never blocks and never waits to send.
pub(crate) fn accept(listener: &TcpListener) -> Result<Option<TcpStream>> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error.into()),
        };
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        return Ok(Some(socket));
    }
}

/// Starts the provider on its own thread of processor `cpu`; it lives as long as the process.
pub(crate) fn start(cpu: usize, origin: Instant) -> Result<SocketAddr> {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
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
    peer: Peer,
    head: Vec<u8>,
    state: State,
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
        while let Some(socket) = accept(&self.listener)? {
            let place = self.free.pop().unwrap_or(self.conns.len());
            self.poll.add(socket.as_raw_fd(), u64::try_from(place + 1)?, Watch::Edge)?;
            let peer = Peer::new(socket);
            let conn = Some(Conn { peer, head: Vec::new(), state: State::Head, stream: None });
            match self.conns.get_mut(place) {
                Some(slot) => *slot = conn,
                None => self.conns.push(conn),
            }
        }
        Ok(())
    }

    /// Reads what came, answers what is whole, and goes on with what the peer had not taken.
    fn turn(&mut self, place: usize, buffer: &mut [u8]) {
        let Some(mut conn) = self.conns.get_mut(place).and_then(Option::take) else { return };
        let blocked = conn.peer.is_blocked();
        let next = match (conn.peer.flush(), self.read(&mut conn, place, buffer)) {
            (Next::Wait, Next::Wait) => Next::Wait,
            _ => Next::Close,
        };
        if let Next::Close = next {
            self.free.push(place);
            return;
        }
        if let Some(stream) = conn.stream.as_ref().filter(|_| blocked && !conn.peer.is_blocked()) {
            self.due.push(Reverse((clock::now(), place, stream.id)));
        }
        if let Some(slot) = self.conns.get_mut(place) {
            *slot = Some(conn);
        }
    }

    fn read(&mut self, conn: &mut Conn, place: usize, buffer: &mut [u8]) -> Next {
        loop {
            let count = match conn.peer.read(buffer) {
                Ok(Some(count)) => count,
                Ok(None) => return Next::Wait,
                Err(gone) => return gone,
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
            None => conn.peer.send(&self.answer),
            Some(pace) => {
                self.streams += 1;
                let phase = u32::try_from(self.streams % u64::from(PHASES)).unwrap_or_default();
                conn.stream = Some(Stream { id: self.streams, pace, sent: 0 });
                let first = self.on_time(clock::now() + pace.gap * phase / PHASES, pace);
                self.due.push(Reverse((first, place, self.streams)));
                conn.peer.send(&self.stream_head)
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
            if let Next::Close = conn.peer.send(&self.event) {
                self.conns.get_mut(place).map(Option::take);
                self.free.push(place);
            } else if conn.stream.is_some() && !conn.peer.is_blocked() {
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

/// Finds the first header of this name, which is in lower case, without the spaces around its value.
pub(crate) fn header<'h>(head: &'h [u8], name: &str) -> Option<&'h [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (start, rest) = line.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":")?;
        start.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

/// Reads Content-Length; 0 without one, `None` where it is not a number or the body is chunked.
pub(crate) fn body_length(head: &[u8]) -> Option<usize> {
    if header(head, "transfer-encoding").is_some() {
        return None;
    }
    header(head, "content-length").map_or(Some(0), |length| str::from_utf8(length).ok()?.parse().ok())
}
