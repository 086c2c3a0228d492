//! The load: many connections, one thread, one epoll loop, either as fast as answers come or at a fixed rate.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tollgate::clock;

use crate::answer::Answer;
use crate::sys::{Poll, Watch};
use crate::wire;

/// Bytes that one read takes.
const READ_BYTES: usize = 64 * 1024;

/// How long a single question may take before a proxy counts as broken.
const ASK_DEADLINE: Duration = Duration::from_secs(5);

/// Requests that may wait for a free connection at a fixed rate: beyond it the rate is plainly not held.
const WAITING_MAX: usize = 100_000;

/// Digits of the number that tells one question from every other.
pub(crate) const NUMBER_DIGITS: usize = 16;

/// The numbers that were used: none comes twice in one run of the bench.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// What is asked, and what an answer has to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    pub(crate) request: Vec<u8>,
    /// Where in the request `NUMBER_DIGITS` digits stand that have to differ each time.
    pub(crate) number_at: Option<usize>,
    /// Bytes of the body of every answer; one of another length is none.
    pub(crate) answer_bytes: Option<usize>,
    /// Whether the latency is that of the first byte of an answer, not of its last.
    pub(crate) first_byte: bool,
}

/// One run of load.
pub(crate) struct Load<'a> {
    pub(crate) target: SocketAddr,
    pub(crate) question: &'a Question,
    pub(crate) connections: usize,
    /// Requests per second over all connections; `None` sends the next when the last was answered.
    pub(crate) rate: Option<f64>,
    /// Whether the answers are streams: then events are counted, and timed from their write to their arrival.
    pub(crate) streams: bool,
    pub(crate) warm: Duration,
    pub(crate) measured: Duration,
    pub(crate) origin: Instant,
}

/// What a run saw between the end of warming up and the end.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) elapsed: Duration,
    /// Answers, or events of streams.
    pub(crate) done: u64,
    /// One for each answer (at a fixed rate from the moment it should have been sent) or each delta.
    pub(crate) latencies_ns: Vec<u64>,
    /// Connections that carried at least one answer or event.
    pub(crate) served: usize,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Said {
    /// Head and body, with framing.
    pub(crate) bytes: Vec<u8>,
    /// Bytes of the body, without framing.
    pub(crate) body_bytes: usize,
}

/// Asks one question on a connection of its own.
pub(crate) fn ask(target: SocketAddr, request: &[u8]) -> Result<Said> {
    let mut socket = TcpStream::connect_timeout(&target, ASK_DEADLINE)?;
    socket.set_read_timeout(Some(ASK_DEADLINE))?;
    socket.write_all(request)?;
    let mut answer = Answer::default();
    let (mut buffer, mut bytes) = (vec![0; READ_BYTES], Vec::new());
    loop {
        let count = socket.read(&mut buffer).context("no answer")?;
        ensure!(count > 0, "closed before the answer ended");
        let piece = buffer.get(..count).unwrap_or_default();
        bytes.extend_from_slice(piece);
        if answer.take(piece, &mut |_| {})? {
            return Ok(Said { bytes, body_bytes: answer.body_bytes });
        }
    }
}

/// Drives one run. `mark` is called when measuring begins and when it ends, with the connections still open.
pub(crate) fn drive(load: &Load<'_>, mark: &mut dyn FnMut() -> Result<()>) -> Result<Seen> {
    let mut run = Run::open(load)?;
    let began = clock::now();
    run.start(began)?;
    run.until(began + load.warm)?;
    mark()?;
    let from = clock::now();
    let before = run.seen_so_far();
    run.seen.latencies_ns.clear();
    run.until(from + load.measured)?;
    run.seen.elapsed = clock::now().saturating_duration_since(from);
    mark()?;
    run.seen.done = run.seen_so_far() - before;
    run.seen.served = run.conns.iter().filter(|conn| conn.answers > 0 || conn.answer.events > 0).count();
    Ok(run.seen)
}

struct Run<'a> {
    load: &'a Load<'a>,
    poll: Poll,
    conns: Vec<Conn<'a>>,
    /// Connections without a question, longest idle first.
    idle: VecDeque<usize>,
    /// When questions should have been sent that found no idle connection.
    waiting: VecDeque<Instant>,
    next_at: Instant,
    seen: Seen,
    buffer: Vec<u8>,
}

struct Conn<'a> {
    socket: TcpStream,
    request: Cow<'a, [u8]>,
    /// Bytes of the request that are on their way.
    sent: usize,
    asked_at: Instant,
    /// Whether nothing of the answer has come yet.
    waits: bool,
    answer: Answer,
    answers: u64,
}

impl<'a> Run<'a> {
    fn open(load: &'a Load<'a>) -> Result<Self> {
        let (poll, now) = (Poll::new()?, clock::now());
        let mut conns = Vec::with_capacity(load.connections);
        for index in 0..load.connections {
            let socket = TcpStream::connect_timeout(&load.target, ASK_DEADLINE).context("cannot connect")?;
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            poll.add(socket.as_raw_fd(), u64::try_from(index)?, Watch::Edge)?;
            let request = Cow::Borrowed(load.question.request.as_slice());
            let sent = request.len();
            let answer = Answer::default();
            conns.push(Conn { socket, request, sent, asked_at: now, waits: false, answer, answers: 0 });
        }
        Ok(Self {
            load,
            poll,
            idle: (0..conns.len()).collect(),
            conns,
            waiting: VecDeque::new(),
            next_at: now,
            seen: Seen::default(),
            buffer: vec![0; READ_BYTES],
        })
    }

    fn start(&mut self, now: Instant) -> Result<()> {
        self.next_at = now;
        if self.load.rate.is_none() {
            while let Some(index) = self.idle.pop_front() {
                self.ask(index, now)?;
            }
        }
        Ok(())
    }

    fn seen_so_far(&self) -> u64 {
        self.conns.iter().map(|conn| if self.load.streams { conn.answer.events } else { conn.answers }).sum()
    }

    /// Works until `end`.
    fn until(&mut self, end: Instant) -> Result<()> {
        let gap = self.load.rate.map(|per_s| Duration::from_secs_f64(1.0 / per_s));
        let mut ready = Vec::new();
        loop {
            let now = clock::now();
            if now >= end {
                return Ok(());
            }
            let mut wake = end;
            if let Some(gap) = gap {
                while self.next_at <= now {
                    self.waiting.push_back(self.next_at);
                    self.next_at += gap;
                }
                self.ask_waiting()?;
                wake = wake.min(self.next_at);
            }
            self.poll.wait(wake.saturating_duration_since(clock::now()), &mut ready)?;
            for token in &ready {
                self.turn(usize::try_from(*token)?)?;
            }
        }
    }

    fn ask_waiting(&mut self) -> Result<()> {
        ensure!(self.waiting.len() <= WAITING_MAX, "the rate is not held at all");
        while let (Some(index), Some(at)) = (self.idle.front().copied(), self.waiting.front().copied()) {
            self.idle.pop_front();
            self.waiting.pop_front();
            self.ask(index, at)?;
        }
        Ok(())
    }

    /// Sends a question on an idle connection; its latency counts from `at`.
    fn ask(&mut self, index: usize, at: Instant) -> Result<()> {
        let conn = self.conns.get_mut(index).context("no such connection")?;
        conn.asked_at = at;
        conn.waits = true;
        conn.sent = 0;
        if let Some(place) = self.load.question.number_at {
            let number = format!("{:016}", NUMBERS.fetch_add(1, Ordering::Relaxed));
            let digits = conn.request.to_mut().get_mut(place..place + NUMBER_DIGITS);
            digits.context("no room for the number")?.copy_from_slice(number.as_bytes());
        }
        conn.send()
    }

    fn turn(&mut self, index: usize) -> Result<()> {
        let conn = self.conns.get_mut(index).context("no such connection")?;
        conn.send()?;
        let mut ended = false;
        let arrived_ns = wire::since_ns(self.load.origin, clock::now());
        let (latencies, question) = (&mut self.seen.latencies_ns, self.load.question);
        loop {
            let count = match conn.socket.read(&mut self.buffer) {
                Ok(0) => bail!("the proxy closed a connection in use"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("the proxy broke a connection"),
            };
            if std::mem::take(&mut conn.waits) && question.first_byte {
                latencies.push(wire::since_ns(conn.asked_at, clock::now()));
            }
            let bytes = self.buffer.get(..count).unwrap_or_default();
            ended |=
                conn.answer.take(bytes, &mut |stamp| latencies.push(arrived_ns.saturating_sub(stamp)))?;
            if count < self.buffer.len() {
                break;
            }
        }
        if !ended {
            return Ok(());
        }
        if let Some(expected) = question.answer_bytes {
            let bytes = conn.answer.body_bytes;
            ensure!(bytes == expected, "an answer of {bytes} bytes instead of {expected}");
        }
        conn.answers += 1;
        let now = clock::now();
        if !self.load.streams && !question.first_byte {
            latencies.push(wire::since_ns(conn.asked_at, now));
        }
        if self.load.rate.is_none() {
            return self.ask(index, now);
        }
        self.idle.push_back(index);
        self.ask_waiting()
    }
}

impl Conn<'_> {
    /// Sends as much of the request as the socket takes; the next edge goes on.
    fn send(&mut self) -> Result<()> {
        while let Some(rest) = self.request.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("the proxy took no more of a request"),
            }
        }
        Ok(())
    }
}
