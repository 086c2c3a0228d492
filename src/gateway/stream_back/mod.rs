//! Relays a provider's answer: as it comes, unchanged, and no faster than the caller reads.
//!
//! One buffer goes round: the kernel fills it, the chunks in it are taken apart and put together again in
//! place, the kernel empties it, and only then is more received. So a slow caller holds the provider, the
//! memory of a stream is that one buffer, and relaying an event allocates nothing.

mod confession;
pub(super) mod interpreted;
pub(super) mod listener;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use crate::call::Outcome;
use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::error::CallError;
use crate::gateway::caller::{Caller, poll_hung_up};
use crate::gateway::counting;
use crate::gateway::destination;
use crate::gateway::guard;
use crate::gateway::inbound;
use crate::gateway::read_along::{NO_END, Reader};
use crate::gateway::record::{Record, kept};
use crate::gateway::request_body::Whole;
use crate::gateway::serve_llm::note_first_byte;
use crate::gateway::worker::{Phase, Worker};
use crate::http::body::Decoder;
use crate::http::encode::{self, CHUNK_END, CHUNK_HEADROOM, Fields, LAST_CHUNK, RelayedResponse};
use crate::http::head::{Framing, ResponseHead};
use crate::limits;
use crate::llm::anthropic::guard::Form;
use crate::llm::anthropic::stream::UsageReader;
use crate::llm::inward::Voice;
use crate::net::buffer::Buffer;
use crate::net::outgoing::Outgoing;
use crate::upstream::pool::Connection;
use crate::upstream::provider::Provider;

/// What keeps a caller's watchdog quiet while the model thinks. The same bytes as the provider's own.
const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// The same for callers whose dialect has no event for it: a comment.
const PING_COMMENT: &[u8] = b": ping\n\n";

/// Bytes of room that one receive of an answer gets at least.
const LEAST: usize = 1024;

/// An answer that has begun.
pub(super) struct Begun<'a> {
    /// Where it comes from.
    pub(super) connection: Connection,
    /// What has come of it so far, its head at the front.
    pub(super) input: Buffer,
    /// Whose it is.
    pub(super) provider: &'a Arc<Provider>,
    /// The request, when not all of it has left yet.
    pub(super) rest: Option<Whole>,
}

/// Relays the answer whose head stands at the front of its input. Once it has begun there is
/// no error to return: what goes wrong is told inside the answer.
pub(super) async fn relay(
    worker: &Worker,
    snapshot: &Snapshot,
    caller: &mut Caller,
    begun: Begun<'_>,
    record: &mut Record,
) {
    note_first_byte(record);
    let Begun { mut connection, input, provider, rest } = begun;
    let head = std::mem::take(&mut caller.answer);
    // What ends while we drain is the last on its connection, and says so.
    caller.keep_alive &= worker.phase.get() == Phase::Running;
    let mut relay = Relay::new(worker, snapshot, caller, &head);
    relay.rest = rest;
    let front = relay.front(caller, &head, input.filled(), record);
    note_status(worker, provider, record.status);
    worker.streams.set(worker.streams.get() + 1);
    let end = relay.run(caller, &mut connection, (head.bytes, front, input), record).await;
    worker.streams.set(worker.streams.get().saturating_sub(1));
    relay.note(record);
    if let Some(fault) = relay.reader.fault() {
        worker.metrics.borrow_mut().upstream_error(&provider.name, fault.kind);
    }
    let reusable = head.keep_alive;
    relay.close(caller, (end, connection, reusable), provider, record).await;
    caller.answer = head;
}

fn note_status(worker: &Worker, provider: &Provider, status: u16) {
    let kind = match status {
        429 => "status_429",
        401 | 403 => "credential_refused",
        500..=599 => "status_5xx",
        _ => return,
    };
    worker.metrics.borrow_mut().upstream_error(&provider.name, kind);
}

/// How a relay ended.
enum End {
    /// The whole answer has left; `clean` when the provider's connection can be used again.
    Done { clean: bool },
    /// Nobody reads any more.
    CallerGone,
    /// The answer breaks off here.
    Broken(Outcome, String),
}

/// Why a wait for the provider ended.
enum Wake {
    Received(io::Result<usize>),
    HungUp,
    Due,
    Cut,
}

struct Relay<'a> {
    worker: &'a Worker,
    snapshot: &'a Snapshot,
    decoder: Decoder,
    reader: Reader,
    /// The request while the provider still takes it, so that its memory stays counted.
    rest: Option<Whole>,
    /// How the caller gets it.
    framing: Framing,
    /// Content bytes relayed.
    bytes: u64,
    /// How many of them had been when the answer was noted in the record.
    noted: Option<u64>,
    /// The last content byte: whether it ended a line.
    last: u8,
    /// When the provider was last heard of.
    heard: Instant,
    /// When we last sent anything on our own.
    pinged: Instant,
    /// The budget that ends the answer.
    over: Option<CallError>,
    /// The head of an answer that is held back until there is something to say.
    held: Option<Buffer>,
    /// The model that answers, where that is not the one that the answer names.
    served: Option<Box<str>>,
    /// The body of a stream is over, and its last event has not come.
    endless: bool,
    /// Who says the answer in the caller's dialect, where that is not Anthropic's.
    voice: Option<Box<Voice>>,
}

impl<'a> Relay<'a> {
    fn new(worker: &'a Worker, snapshot: &'a Snapshot, caller: &Caller, head: &ResponseHead) -> Self {
        let framing = match head.framing {
            Framing::Chunked | Framing::UntilClose if caller.takes_chunks() => Framing::Chunked,
            Framing::Chunked | Framing::UntilClose => Framing::UntilClose,
            known @ (Framing::None | Framing::Length(_)) => known,
        };
        let now = clock::now();
        Self {
            worker,
            snapshot,
            decoder: Decoder::new(head.framing),
            reader: Reader::Opaque,
            rest: None,
            framing,
            bytes: 0,
            noted: None,
            last: b'\n',
            heard: now,
            pinged: now,
            over: None,
            held: None,
            served: None,
            endless: false,
            voice: None,
        }
    }

    /// Writes the head for the caller and chooses who reads along.
    fn front(
        &mut self,
        caller: &mut Caller,
        head: &ResponseHead,
        input: &[u8],
        record: &mut Record,
    ) -> Buffer {
        let header = |name| head.headers.first(input, name).unwrap_or_default();
        record.status = head.status;
        let upstream_id = header("request-id");
        record.upstream_request_id =
            kept(if upstream_id.is_empty() { header("x-request-id") } else { upstream_id });
        let encoded = !matches!(header("content-encoding"), b"" | b"identity");
        let content_type = header("content-type");
        let along = inbound::along(record).filter(|_| (200..300).contains(&head.status));
        self.reader = match content_type.get(..17).unwrap_or(content_type) {
            _ if encoded => Reader::Opaque,
            _ if record.tongue.is_some() => along.map_or(Reader::Opaque, Reader::Along),
            kind if kind.eq_ignore_ascii_case(b"text/event-stream") => Reader::Events(Box::default()),
            kind if kind.get(..16).is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/json")) => {
                Reader::Document(Box::default())
            }
            _ => Reader::Opaque,
        };
        if let Some(watch) = record.watch.as_mut().filter(|_| (200..300).contains(&head.status)) {
            watch.begin(match self.reader {
                Reader::Events(_) => Some(Form::Events),
                Reader::Document(_) => Some(Form::Document),
                Reader::Along(_) | Reader::Opaque => None,
            });
        }
        if matches!((&self.reader, self.framing), (Reader::Along(along), Framing::Length(_)) if along.hides())
        {
            self.framing = if caller.takes_chunks() { Framing::Chunked } else { Framing::UntilClose };
        }
        caller.keep_alive &= self.framing != Framing::UntilClose;
        let id = record.id.shown();
        let date = self.worker.today.date();
        let mut own: Vec<(&str, &[u8])> = vec![("x-tollgate-request-id", &id)];
        // The provider refuses our own credential: asking again for three minutes would not help the caller.
        if head.status == 401 && header("x-should-retry").is_empty() {
            own.push(("x-should-retry", b"false"));
        }
        // Whoever passes on an answer without a date has to date it (RFC 9110 section 6.6.1).
        if header("date").is_empty() {
            own.push(("date", &date));
        }
        own.extend(counting::by_provider(record));
        if let Some(notice) = &record.notice {
            own.push((destination::NOTICE, notice.as_bytes()));
        }
        let notice = if head.status == 200 { self.worker.meter.notice(record) } else { Vec::new() };
        own.extend(notice.iter().map(|(name, value)| (*name, value.as_bytes())));
        let response = RelayedResponse {
            status: head.status,
            reason: head.reason.get(input),
            framing: self.framing,
            close: !caller.keep_alive,
            extra: &own,
        };
        caller.out.clear();
        encode::response_head(&mut caller.out, &response, Fields { headers: &head.headers, buf: input });
        Buffer::from(&caller.out[..])
    }

    async fn run(
        &mut self,
        caller: &mut Caller,
        connection: &mut Connection,
        (head_bytes, front, mut buffer): (usize, Buffer, Buffer),
        record: &mut Record,
    ) -> End {
        buffer.consume(head_bytes);
        let mut front = Some(front);
        loop {
            let received = buffer.len();
            let (done, clean) = match self.reframe(&mut buffer, record) {
                Ok(found) => found,
                Err(why) => return self.after_fault(caller, front, why).await,
            };
            if done || self.said_all() {
                self.book(record).await;
            } else {
                self.charge(record);
            }
            let outgoing = match front.take() {
                Some(front) => Outgoing::two(front, buffer),
                None => Outgoing::one(buffer),
            };
            if outgoing.left() > 0 {
                match self.send(caller, outgoing).await {
                    Some(mut sent) => {
                        let (first, second) = (sent.take(0), sent.take(1));
                        buffer = if second.room() > 0 { second } else { first };
                    }
                    None => return End::CallerGone,
                }
            } else {
                let mut unsent = outgoing;
                buffer = unsent.take(0);
            }
            if done {
                return End::Done { clean };
            }
            if self.endless {
                return End::Broken(Outcome::UpstreamCut, NO_END.to_owned());
            }
            if let Some(over) = &self.over {
                return End::Broken(Outcome::OverBudget, over.message().to_owned());
            }
            connection.stream.put_input(next_room(buffer, received));
            match self.receive(caller, connection).await {
                Ok(true) => buffer = connection.stream.take_input(),
                Ok(false) => return self.at_eof(caller, record).await,
                Err(end) => return end,
            }
        }
    }

    /// Ends the relay: what becomes of both connections, and what the caller is told of an answer that breaks
    /// off.
    async fn close(
        &self,
        caller: &mut Caller,
        (end, connection, reusable): (End, Connection, bool),
        provider: &Provider,
        record: &mut Record,
    ) {
        match end {
            End::Done { clean } => {
                if clean && reusable {
                    self.worker.pool.give_back(&provider.site, connection, clock::now());
                }
            }
            End::CallerGone => {
                record.outcome = Outcome::CallerGone;
                caller.keep_alive = false;
                caller.dead = true;
            }
            End::Broken(outcome, why) => {
                // First the provider, so that it stops working for nobody.
                drop(connection);
                record.outcome = outcome;
                record.error = why;
                self.worker.book(record).await;
                caller.keep_alive = false;
                // An answer that ends without its end must not look like one that ended: no proper close.
                caller.dead |= !self.confess(caller, outcome, provider, record).await;
            }
        }
    }

    /// Notes what has been read of the answer so far.
    fn note(&mut self, record: &mut Record) {
        // At the end of an answer it has mostly been noted already, to be booked.
        if self.noted.replace(self.bytes) == Some(self.bytes) {
            return;
        }
        record.answer = self.reader.answer();
        if let Some(served) = &self.served {
            record.answer.model = Some(served.clone());
        }
        record.answer_bytes = self.bytes;
        if let Some(fault) = self.reader.fault() {
            record.error = fault.text;
        }
        record.note_watch();
    }

    /// Has what the answer has cost so far covered; where a budget has no more, the answer ends here.
    fn charge(&mut self, record: &mut Record) {
        if let (Some(charge), Some(answer)) = (record.charge.as_mut(), self.reader.so_far()) {
            self.over = charge.heard(answer).err();
        }
    }

    /// Has the call in the ledger before the last of its answer leaves.
    async fn book(&mut self, record: &mut Record) {
        if !record.booked {
            self.note(record);
            self.worker.book(record).await;
        }
    }

    /// Takes the provider's framing off and puts ours on, in place. Says whether the answer is whole and
    /// whether nothing unexpected follows it.
    fn reframe(&mut self, buffer: &mut Buffer, record: &mut Record) -> Result<(bool, bool), String> {
        let received = buffer.len();
        let decoded = self.decoder.decode(buffer.filled_mut()).map_err(|fault| fault.text().to_owned())?;
        let clean = decoded.consumed == received;
        let body = buffer.filled().get(decoded.body.clone()).unwrap_or_default();
        self.reader.push(body);
        self.endless = decoded.done && self.reader.lacks_end(record.status);
        let done = decoded.done && !self.endless;
        let instead = match &mut record.watch {
            Some(watch) => watch.pass(body, done)?,
            None => self.reader.instead(body, done),
        };
        if done {
            self.reader.finish();
        }
        let body = instead.as_deref().unwrap_or(body);
        if let Some(passing) = &mut record.passing {
            passing.push(body);
        }
        self.bytes += body.len() as u64;
        self.last = body.last().copied().unwrap_or(self.last);
        if let Some(out) = &instead {
            *buffer = guard::framed(out, self.framing == Framing::Chunked, done);
            return Ok((done, clean));
        }
        let bytes = body.len();
        let start = buffer.start() + decoded.body.start;
        let end = start + bytes;
        if self.framing != Framing::Chunked {
            buffer.set_window(start, end);
            return Ok((done, clean));
        }
        if bytes == 0 {
            buffer.reset(CHUNK_HEADROOM);
        } else {
            if encode::put_chunk_prefix_before(buffer.room_mut(), start, bytes).is_none() {
                // No room in front: only for an answer whose head was shorter than a chunk-size line.
                buffer.set_window(start, end);
                let mut roomy =
                    Buffer::with_room(CHUNK_HEADROOM + bytes + LAST_CHUNK.len() + CHUNK_END.len());
                roomy.extend(encode::chunk_prefix(bytes).as_bytes());
                roomy.extend(buffer.filled());
                *buffer = roomy;
            } else {
                let prefix = encode::chunk_prefix(bytes).as_bytes().len();
                buffer.set_window(start - prefix, end);
            }
            buffer.extend(CHUNK_END);
        }
        if done {
            buffer.extend(LAST_CHUNK);
        }
        Ok((done, clean))
    }

    /// Sends to the caller; nothing when it has hung up, reads nothing for too long, or time is over.
    async fn send(&self, caller: &mut Caller, outgoing: Outgoing) -> Option<Outgoing> {
        if let Some(nothing) = caller.begin_send(outgoing, self.snapshot.timeouts.write_stall) {
            return Some(nothing);
        }
        let Caller { stream, deadline, .. } = caller;
        let mut hurried = false;
        poll_fn(|cx| {
            if let Poll::Ready(result) = stream.poll_send(cx) {
                return Poll::Ready(result.ok());
            }
            // At the end of the time to drain it may still leave, so that the caller can be told after it.
            if self.worker.phase.get() == Phase::Cut && !std::mem::replace(&mut hurried, true) {
                deadline.set(clock::now(), limits::CUT_GRACE);
            }
            if poll_hung_up(stream, cx).is_ready() {
                return Poll::Ready(None);
            }
            deadline.poll_passed(cx).map(|()| None)
        })
        .await
    }

    /// Waits for more of the answer, with pings into the silence. False at the end of the connection.
    async fn receive(&mut self, caller: &mut Caller, connection: &mut Connection) -> Result<bool, End> {
        let timeouts = &self.snapshot.timeouts;
        loop {
            let stalled = self.heard + timeouts.stream_stall;
            let ping = self.heard.max(self.pinged) + timeouts.ping;
            caller.deadline.set_at(if self.may_ping() { ping.min(stalled) } else { stalled });
            match self.wake(caller, connection).await {
                Wake::Received(Ok(bytes)) => {
                    self.heard = clock::now();
                    return Ok(bytes > 0);
                }
                // All has been said; how the connection ends does not matter any more.
                Wake::Received(Err(_)) if self.said_all() => return Ok(false),
                Wake::Received(Err(fault)) => {
                    return Err(End::Broken(Outcome::UpstreamCut, fault.to_string()));
                }
                Wake::HungUp => return Err(End::CallerGone),
                Wake::Cut => return Err(End::Broken(Outcome::Drained, String::new())),
                Wake::Due if clock::now() >= stalled => {
                    return Err(End::Broken(Outcome::UpstreamStalled, String::new()));
                }
                Wake::Due => {
                    self.pinged = clock::now();
                    let chunk = self.own_event(if self.voice.is_some() { PING_COMMENT } else { PING });
                    let outgoing = match self.held.take() {
                        Some(front) => Outgoing::two(front, chunk),
                        None => Outgoing::one(chunk),
                    };
                    self.send(caller, outgoing).await.ok_or(End::CallerGone)?;
                }
            }
        }
    }

    async fn wake(&mut self, caller: &mut Caller, connection: &mut Connection) -> Wake {
        let Caller { stream, deadline, .. } = caller;
        poll_fn(|cx| {
            // A provider that answered early still takes the rest of the request; what fails about that is
            // told by what it answers.
            if self.rest.is_some() && connection.stream.poll_send(cx).is_ready() {
                self.rest = None;
            }
            if let Poll::Ready(result) = connection.stream.poll_fill(cx, LEAST) {
                return Poll::Ready(Wake::Received(result));
            }
            if self.worker.phase.get() == Phase::Cut {
                return Poll::Ready(Wake::Cut);
            }
            if poll_hung_up(stream, cx).is_ready() {
                return Poll::Ready(Wake::HungUp);
            }
            deadline.poll_passed(cx).map(|()| Wake::Due)
        })
        .await
    }

    /// Whether an event of ours may be put in here.
    fn may_ping(&self) -> bool {
        let fits = matches!(self.framing, Framing::Chunked | Framing::UntilClose);
        let waiting = |reader: &UsageReader| reader.between_events() && !reader.finished();
        fits && matches!(&self.reader, Reader::Events(reader) if waiting(reader))
    }

    /// An event of our own in the caller's framing.
    fn own_event(&self, event: &[u8]) -> Buffer {
        let mut out = Buffer::with_room(CHUNK_HEADROOM + event.len() + CHUNK_END.len());
        if self.framing == Framing::Chunked {
            out.extend(encode::chunk_prefix(event.len()).as_bytes());
            out.extend(event);
            out.extend(CHUNK_END);
        } else {
            out.extend(event);
        }
        out
    }

    /// Whether the event that ends a stream has passed.
    fn said_all(&self) -> bool {
        self.reader.said_all()
    }

    /// The provider closed: that may be how its answer ends, or it may have said all it had to.
    async fn at_eof(&mut self, caller: &mut Caller, record: &mut Record) -> End {
        let counted = !self.said_all() || matches!(self.framing, Framing::Length(_));
        let fault = self.decoder.on_eof().err().filter(|_| counted).map(|fault| fault.text());
        if let Some(why) = fault.or_else(|| self.reader.lacks_end(record.status).then_some(NO_END)) {
            return End::Broken(Outcome::UpstreamCut, why.to_owned());
        }
        self.reader.finish();
        let held = match record.watch.as_mut().map_or(Ok(Vec::new()), |watch| watch.finish()) {
            Ok(held) => self.reader.instead(b"", true).unwrap_or(held),
            Err(why) => return End::Broken(Outcome::UpstreamCut, why),
        };
        self.book(record).await;
        let last = guard::framed(&held, self.framing == Framing::Chunked, true);
        if !last.filled().is_empty() && self.send(caller, Outgoing::one(last)).await.is_none() {
            return End::CallerGone;
        }
        End::Done { clean: false }
    }

    /// The framing of the answer is broken. When not even its head has left, the head goes out first, so
    /// that the caller can be told inside the answer.
    async fn after_fault(&self, caller: &mut Caller, front: Option<Buffer>, why: String) -> End {
        if let Some(front) = front
            && self.send(caller, Outgoing::one(front)).await.is_none()
        {
            return End::CallerGone;
        }
        End::Broken(Outcome::UpstreamCut, why)
    }
}

/// The room for the next receive: grown while receives fill it, since large reads decide the cost of
/// large answers, and small for streams of events, of which thousands may be open.
fn next_room(mut buffer: Buffer, received: usize) -> Buffer {
    let room = buffer.room();
    let wanted = match room {
        0 => limits::IDLE_READ_BYTES,
        room if received + 2 * CHUNK_HEADROOM < room => room,
        room if room < limits::STREAM_READ_BYTES => limits::STREAM_READ_BYTES,
        room if room < limits::ANSWER_READ_BYTES_MAX => limits::ANSWER_READ_BYTES_MAX,
        room => room,
    };
    if wanted > room {
        buffer = Buffer::with_room(wanted);
    }
    buffer.reset(CHUNK_HEADROOM);
    buffer
}
