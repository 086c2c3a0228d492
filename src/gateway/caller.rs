//! The caller's side of a connection: its requests in, our answers out, with their deadlines.

use std::future::{Future as _, poll_fn};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::call::Endpoint;
use crate::clock;
use crate::error::{CallError, Code};
use crate::gateway::cloud_caller::CloudCall;
use crate::gateway::inbound;
use crate::gateway::record::Record;
use crate::gateway::serve_mcp;
use crate::gateway::worker::{Phase, Worker};
use crate::http::encode;
use crate::http::head::{Framing, Method, Progress, RequestHead, ResponseHead, Version};
use crate::http::refusal::Refusal;
use crate::limits::{self, Timeouts};
use crate::llm::anthropic;
use crate::llm::inward;
use crate::net::buffer::Buffer;
use crate::net::deadline::Deadline;
use crate::net::outgoing::{Outgoing, Piece};
use crate::net::stream::Stream;

/// Seconds after which a caller may come back when we are short of something.
const RETRY_AFTER_S: u64 = 2;

/// One connection of a caller with everything that is reused between its requests.
pub(super) struct Caller {
    pub(super) stream: Stream,
    /// The request in hand. Its spans lie in the stream's input until the body is taken.
    pub(super) head: RequestHead,
    /// Room for the head of an upstream's answer.
    pub(super) answer: ResponseHead,
    pub(super) deadline: Deadline,
    /// Room for heads that are being written.
    pub(super) out: Vec<u8>,
    /// When the first byte of the request in hand was seen.
    pub(super) started: Instant,
    /// Whether another request may follow on this connection.
    pub(super) keep_alive: bool,
    /// Whether bytes of the request's body are still to come, so that a close must linger.
    pub(super) unread: bool,
    /// Whether a send has failed: nothing more can be told on this connection.
    pub(super) dead: bool,
    /// Whether no request has come yet: whoever connects has one to send.
    fresh: bool,
    /// How long the caller may leave what we send unread.
    write_stall: Duration,
    /// Whether the request in hand still stands in the stream's input.
    pub(super) in_input: bool,
    /// The request in hand, where it is in a cloud's form; what is answered takes that form, too.
    pub(super) cloud: Option<Box<CloudCall>>,
    worker: Rc<Worker>,
}

/// What came of waiting for a request.
pub(super) enum Next {
    /// `head` holds it.
    Request,
    /// It must be refused.
    Refused(Refusal),
    /// It did not come in time.
    TooSlow,
    /// There is none: the caller has left, has been silent for too long, or we are stopping.
    End,
}

impl Caller {
    pub(super) fn new(stream: Stream, timeouts: &Timeouts, worker: Rc<Worker>) -> Self {
        Self {
            stream,
            head: RequestHead::new(),
            answer: ResponseHead::new(),
            deadline: Deadline::new(timeouts.head),
            out: Vec::new(),
            started: clock::now(),
            keep_alive: true,
            unread: false,
            dead: false,
            fresh: true,
            write_stall: timeouts.write_stall,
            in_input: false,
            cloud: None,
            worker,
        }
    }

    /// Waits for the next request head.
    pub(super) async fn next_request(&mut self, worker: &Worker, timeouts: &Timeouts) -> Next {
        self.started = clock::now();
        self.cloud = None;
        // A head that cannot be read must not be answered as the one before it.
        self.head.method = Method::Other;
        let mut begun = !self.stream.input().is_empty();
        let patience = match (begun, std::mem::take(&mut self.fresh)) {
            (true, _) => timeouts.head,
            (false, true) => timeouts.head.min(timeouts.idle),
            (false, false) => timeouts.idle,
        };
        self.deadline.set(self.started, patience);
        loop {
            match self.head.parse(self.stream.input()) {
                Ok(Progress::Complete) => {
                    self.keep_alive = self.head.keep_alive && worker.phase.get() == Phase::Running;
                    self.unread = !matches!(self.head.framing, Framing::None | Framing::Length(0));
                    self.in_input = true;
                    return Next::Request;
                }
                Ok(Progress::Partial) => {}
                Err(refusal) => return Next::Refused(refusal),
            }
            let Self { stream, deadline, .. } = self;
            let filled = poll_fn(|cx| {
                if let Poll::Ready(result) = stream.poll_fill(cx, limits::IDLE_READ_BYTES / 2) {
                    return Poll::Ready(Some(result));
                }
                if !begun && worker.phase.get() != Phase::Running || worker.phase.get() == Phase::Cut {
                    return Poll::Ready(Some(Ok(0)));
                }
                deadline.poll_passed(cx).map(|()| None)
            });
            match filled.await {
                Some(Ok(0) | Err(_)) => return Next::End,
                Some(Ok(_)) => {
                    if !begun {
                        begun = true;
                        self.started = clock::now();
                        self.deadline.set(self.started, timeouts.head);
                    }
                }
                None => return if begun { Next::TooSlow } else { Next::End },
            }
        }
    }

    /// Takes the head of a served request off the input, unless its body has been taken with it.
    pub(super) fn leave_request(&mut self) {
        if std::mem::take(&mut self.in_input) {
            self.stream.consume(self.head.bytes);
        }
    }

    /// Sends a whole answer of our own and notes its status.
    pub(super) async fn reply(
        &mut self,
        record: &mut Record,
        status: u16,
        content_type: &str,
        extra: &[(&str, &[u8])],
        body: &[u8],
    ) -> io::Result<()> {
        let (id, date) = (record.id.shown(), self.worker.today.date());
        let mut lines = Vec::with_capacity(extra.len() + 3);
        lines.extend([("date", &date[..]), ("request-id", &id[..])]);
        lines.extend_from_slice(extra);
        self.keep_alive &= !self.unread;
        if !self.keep_alive {
            lines.push(("connection", b"close"));
        }
        self.out.clear();
        if self.head.method == Method::Head {
            encode::own_head(&mut self.out, status, content_type, &lines, body.len() as u64);
        } else {
            encode::own_response(&mut self.out, status, content_type, &lines, body);
        }
        record.status = status;
        record.answer_bytes = body.len() as u64;
        record.first_byte = Some(clock::now().saturating_duration_since(record.started));
        self.worker.book(record).await;
        self.send(Outgoing::one(Buffer::from(&self.out[..]))).await.map(drop)
    }

    /// Sends an answer that lies between two short pieces and belongs to all cores.
    pub(super) async fn reply_around(
        &mut self,
        record: &mut Record,
        content_type: &str,
        front: &[u8],
        middle: Bytes,
        end: &[u8],
    ) -> io::Result<()> {
        let (id, date) = (record.id.shown(), self.worker.today.date());
        let mut lines: Vec<(&str, &[u8])> = vec![("date", &date), ("request-id", &id)];
        self.keep_alive &= !self.unread;
        if !self.keep_alive {
            lines.push(("connection", b"close"));
        }
        let total = front.len() + middle.len() + end.len();
        self.out.clear();
        encode::own_head(&mut self.out, 200, content_type, &lines, total as u64);
        self.out.extend_from_slice(front);
        record.status = 200;
        record.answer_bytes = total as u64;
        record.first_byte = Some(clock::now().saturating_duration_since(record.started));
        self.worker.book(record).await;
        let outgoing = Outgoing::new([
            Piece::Owned(Buffer::from(&self.out[..])),
            Piece::Common(middle),
            Piece::Owned(Buffer::from(end)),
            Piece::Nothing,
        ]);
        self.send(outgoing).await.map(drop)
    }

    /// Refuses the request for the reason that `error` gives: in the envelope of the caller's dialect, or as
    /// JSON-RPC.
    pub(super) async fn refuse(&mut self, record: &mut Record, error: &CallError) -> io::Result<()> {
        let mut body = Vec::with_capacity(256);
        let mut extra: Vec<(&str, &[u8])> = Vec::new();
        let id = record.id.shown();
        if record.endpoint == Endpoint::Mcp {
            serve_mcp::write_error(&mut body, error);
            let challenged = error.header_lines().iter().any(|(name, _)| *name == "www-authenticate");
            if error.code() == Code::Unauthenticated && !challenged {
                extra.push(("www-authenticate", b"Bearer realm=\"tollgate\""));
            }
        } else if inbound::dialect_of(record.endpoint).is_some() {
            inward::write_error(&mut body, error);
            extra.push(("x-request-id", &id));
        } else {
            anthropic::error::write(&mut body, error, record.id);
        }
        if !error.code().retry() {
            extra.push(("x-should-retry", b"false"));
        }
        let short = matches!(error.code(), Code::Overloaded | Code::Draining | Code::Unrecorded);
        let after =
            error.retry_after_s().or_else(|| short.then_some(RETRY_AFTER_S)).map(|after| after.to_string());
        if let Some(after) = &after {
            extra.push(("retry-after", after.as_bytes()));
        }
        extra.extend(error.header_lines().iter().map(|(name, value)| (*name, value.as_bytes())));
        if error.code() == Code::MethodNotAllowed && record.endpoint != Endpoint::Admin {
            // What exists is either read or posted to, but for MCP, which is both.
            let allowed: &[u8] = match (record.endpoint, self.head.method) {
                (Endpoint::Mcp, _) => b"GET, POST, DELETE",
                (_, Method::Post) => b"GET, HEAD",
                _ => b"POST",
            };
            extra.push(("allow", allowed));
        }
        record.error = format!("{}: {error}", error.code().name());
        self.reply(record, error.code().status(), "application/json", &extra, &body).await
    }

    /// Sends within the deadline for callers that do not read.
    pub(super) async fn send(&mut self, outgoing: Outgoing) -> io::Result<Outgoing> {
        if self.dead {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if let Some(nothing) = self.begin_send(outgoing, self.write_stall) {
            return Ok(nothing);
        }
        let Self { stream, deadline, .. } = self;
        let sent = poll_fn(|cx| match stream.poll_send(cx) {
            Poll::Pending => deadline.poll_passed(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            ready @ Poll::Ready(_) => ready,
        })
        .await;
        if sent.is_err() {
            // Part of it may have left: whatever followed would be read as the rest of it.
            self.dead = true;
            self.keep_alive = false;
            self.unread = false;
        }
        sent
    }

    /// Begins to send, or gives back that there is nothing to send. To callers who speak to us as to a cloud
    /// goes what that would say; they may have to wait for more of it.
    pub(super) fn begin_send(&mut self, outgoing: Outgoing, stall: Duration) -> Option<Outgoing> {
        let outgoing = match &mut self.cloud {
            None => outgoing,
            Some(call) => match call.shape(&outgoing) {
                nothing if nothing.left() == 0 => return Some(nothing),
                shaped => shaped,
            },
        };
        self.deadline.set(clock::now(), stall);
        self.stream.start_send(outgoing);
        None
    }

    /// Tells the caller that nothing more will come, within a deadline: with TLS that takes a last record.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        if self.dead {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.deadline.set(clock::now(), limits::LINGER_DEADLINE);
        let Self { stream, deadline, .. } = self;
        let mut finish = std::pin::pin!(stream.finish());
        poll_fn(|cx| match finish.as_mut().poll(cx) {
            Poll::Pending => deadline.poll_passed(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            ready @ Poll::Ready(_) => ready,
        })
        .await
    }

    /// Whether the answers of this connection can be chunked.
    pub(super) fn takes_chunks(&self) -> bool {
        self.head.version == Version::Http11
    }

    /// Ends the connection so that the caller still reads our last words: our direction first, then theirs
    /// is read and thrown away for a short while. Closing at once would reset what is under way.
    pub(super) async fn linger(&mut self) {
        if self.finish().await.is_err() {
            return;
        }
        self.deadline.set(clock::now(), limits::LINGER_DEADLINE);
        let mut thrown = 0;
        while thrown < limits::LINGER_BYTES_MAX {
            self.stream.put_input(Buffer::empty());
            let Self { stream, deadline, .. } = self;
            let filled = poll_fn(|cx| match stream.poll_fill(cx, limits::STREAM_READ_BYTES) {
                Poll::Ready(result) => Poll::Ready(result.unwrap_or(0)),
                Poll::Pending => deadline.poll_passed(cx).map(|()| 0),
            });
            match filled.await {
                0 => return,
                bytes => thrown += bytes as u64,
            }
        }
    }
}

/// Ready when the caller has hung up. What it sends ahead of time is kept, within bounds.
pub(super) fn poll_hung_up(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
    while stream.input().len() < limits::HEAD_BYTES_MAX {
        match stream.poll_watch(cx) {
            Poll::Ready(Ok(bytes)) if bytes > 0 => {}
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => break,
        }
    }
    Poll::Pending
}
