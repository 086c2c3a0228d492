//! Looks at the beginning of an answer before the caller hears of it, so that another target can still be
//! asked: at the status, at the beginning of an error, and at a stream until its first content.
//!
//! The bytes stay as they came. They are taken out of the connection while more is awaited, since a receive
//! takes what stands in its buffer along until it is done.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use crate::call::Outcome;
use crate::clock;
use crate::error::{CallError, Code};
use crate::gateway::caller::{Caller, poll_hung_up};
use crate::gateway::choice::Turn;
use crate::gateway::record::Record;
use crate::gateway::stream_back::interpreted::Understood;
use crate::gateway::worker::{Phase, Worker};
use crate::http::body::Decoder;
use crate::http::encode::CHUNK_HEADROOM;
use crate::http::head::ResponseHead;
use crate::http::sse::{Piece, Splitter};
use crate::limits;
use crate::net::buffer::Buffer;
use crate::route::beginning::{Came, Look, Named, look};
use crate::route::failure::{Answered, Kind, Verdict, of_answer, of_event};
use crate::route::headroom::Headroom;
use crate::upstream::pool::Connection;
use crate::upstream::provider::Provider;

/// What an answer turned out to be.
pub(super) enum Heard {
    /// One for the caller: what has come of it, its head in front.
    Good(Buffer, Option<Headroom>),
    /// A failure, and what has come of it.
    Failed(Buffer, Verdict),
    /// Nothing that could be relayed, under a good status.
    Void(Came),
    /// The caller has left.
    HungUp,
    /// We were told to stop, and the time to drain is over.
    Cut,
}

/// An answer that is relayed, unless a better one comes.
pub(super) struct Kept<'a> {
    pub(super) turn: Turn<'a>,
    pub(super) connection: Connection,
    /// What has come of it.
    pub(super) input: Buffer,
    /// How it is understood, where it is in another dialect.
    pub(super) understood: Option<Understood<'a>>,
    /// Its head, where another one may have been read since.
    pub(super) head: Option<ResponseHead>,
    pub(super) kind: Kind,
}

/// How long a beginning is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the first content of a stream, or the words of an error; no time where nobody else can be asked.
    pub(super) hold: Duration,
    /// For the first byte of a body that goes to the caller as it comes; `None` where somebody reads it, who
    /// knows better what it should look like.
    pub(super) first: Option<Duration>,
    /// Whether silence for that time is a failure.
    pub(super) stalls: bool,
    /// There is one target: its refusals are relayed, whatever they say.
    pub(super) alone: bool,
}

/// Notes that nobody waits for an answer any more.
pub(super) fn hung_up(caller: &mut Caller, record: &mut Record) -> Result<(), CallError> {
    record.outcome = Outcome::CallerGone;
    caller.keep_alive = false;
    Ok(())
}

/// Looks at the answer whose head is `caller.answer`, for as long as `patience` has it.
pub(super) async fn hear(
    worker: &Worker,
    caller: &mut Caller,
    connection: &mut Connection,
    patience: Patience,
) -> Heard {
    let mut held = connection.stream.take_input();
    let Some(mut peek) = Peek::new(&caller.answer, held.filled(), patience) else {
        return Heard::Good(held, None);
    };
    peek.push(held.filled().get(caller.answer.bytes..).unwrap_or_default());
    let begun = clock::now();
    while held.len() < limits::HOLD_BYTES_MAX {
        let Some(until) = peek.waits_for(patience).filter(|wait| !wait.is_zero()) else { break };
        caller.deadline.set(begun, until);
        connection.stream.put_input(room());
        match wake(worker, caller, connection).await {
            Wake::Received(Ok(bytes)) if bytes > 0 => {
                let more = connection.stream.take_input();
                peek.push(more.filled());
                held.extend(more.filled());
            }
            Wake::Received(received) => peek.end(received.is_ok()),
            Wake::Due if peek.is_silent() && patience.stalls => return Heard::Void(Came::Silence),
            Wake::Due => break,
            Wake::HungUp => return Heard::HungUp,
            Wake::Cut => return Heard::Cut,
        }
    }
    match peek.void() {
        Some(came) => Heard::Void(came),
        None if patience.alone => Heard::Good(held, None),
        None => judge(&caller.answer, held, &peek),
    }
}

/// What follows from the head, and from what has been seen behind it.
fn judge(head: &ResponseHead, held: Buffer, peek: &Peek) -> Heard {
    let now_ms = clock::unix_ms(clock::wall());
    let input = held.filled();
    let header = |name: &str| {
        let mut lines = head.headers.iter(input);
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    };
    let answered = Answered { status: head.status, header, body: &peek.body };
    match of_answer(&answered, now_ms).or_else(|| peek.verdict()) {
        Some(verdict) => Heard::Failed(held, verdict),
        None => {
            let headroom = Headroom::read(header, now_ms);
            Heard::Good(held, headroom)
        }
    }
}

/// What is told of a provider whose answer is none.
pub(super) fn told(provider: &Provider, came: Came) -> CallError {
    let code = match came {
        Came::Silence => Code::UpstreamTimeout,
        _ => Code::UpstreamBroken,
    };
    CallError::new(code).context(format!("provider {} answered with {}", provider.name, came.words()))
}

/// Room for one receive, with place for a chunk's size in front of it.
fn room() -> Buffer {
    let mut room = Buffer::with_room(limits::IDLE_READ_BYTES);
    room.reset(CHUNK_HEADROOM);
    room
}

enum Wake {
    Received(io::Result<usize>),
    Due,
    HungUp,
    Cut,
}

async fn wake(worker: &Worker, caller: &mut Caller, connection: &mut Connection) -> Wake {
    let Caller { stream, deadline, .. } = caller;
    poll_fn(|cx| {
        // A provider that answered early still takes the rest of the request.
        if connection.stream.is_sending()
            && let Poll::Ready(sent) = connection.stream.poll_send(cx)
        {
            drop(sent);
        }
        if let Poll::Ready(result) = connection.stream.poll_fill(cx, limits::IDLE_READ_BYTES / 2) {
            return Poll::Ready(Wake::Received(result));
        }
        if worker.phase.get() == Phase::Cut {
            return Poll::Ready(Wake::Cut);
        }
        if poll_hung_up(stream, cx).is_ready() {
            return Poll::Ready(Wake::HungUp);
        }
        deadline.poll_passed(cx).map(|()| Wake::Due)
    })
    .await
}

/// Reads the beginning of an answer.
struct Peek {
    decoder: Decoder,
    form: Form,
    /// The beginning of the body of an error, or the data of the event under way.
    body: Vec<u8>,
    /// The first bytes of a body that is to go on as it comes.
    start: Option<Start>,
    /// The connection has ended.
    ended: bool,
    /// The body is over, or its framing is broken.
    over: bool,
}

enum Form {
    /// An error: its body says what it means.
    Failure,
    /// Events, until one of them decides.
    Events(Box<Splitter>, Option<Decided>),
    /// Anything else: the head is all there is to know.
    Other,
}

enum Decided {
    Content,
    Error(Verdict),
}

/// The first bytes of a body, and what they tell.
struct Start {
    named: Named,
    /// At most `limits::BEGINNING_BYTES_MAX`.
    first: Vec<u8>,
    /// The last byte so far that is no white space; 0 before there is one.
    last: u8,
    look: Look,
}

impl Start {
    fn push(&mut self, bytes: &[u8], whole: bool) {
        let room = limits::BEGINNING_BYTES_MAX.saturating_sub(self.first.len());
        self.first.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.last = bytes.trim_ascii_end().last().copied().unwrap_or(self.last);
        // What has been told is told, but that a document is whole is known at its end only.
        if self.look == Look::More || whole && self.look == Look::Answer {
            let told = look(self.named, &self.first, whole.then_some(self.last));
            let full = self.first.len() >= limits::BEGINNING_BYTES_MAX;
            self.look = if told == Look::More && full { Look::Answer } else { told };
        }
    }
}

impl Peek {
    /// Nothing where the head is all there is to know.
    fn new(head: &ResponseHead, input: &[u8], patience: Patience) -> Option<Self> {
        let header = |name| head.headers.first(input, name).unwrap_or_default();
        let named = Named::of(header("content-type"));
        let plain = matches!(header("content-encoding"), b"" | b"identity");
        let form = match head.status {
            _ if patience.alone => Form::Other,
            400.. => Form::Failure,
            200 if plain && named == Named::Events => Form::Events(Box::default(), None),
            _ => Form::Other,
        };
        // A status that has no body says all there is to say.
        let has_body = (200..300).contains(&head.status) && !matches!(head.status, 204 | 205);
        let looks = patience.first.is_some() && plain && has_body;
        if patience.alone && !looks {
            return None;
        }
        let start = looks.then(|| Start { named, first: Vec::new(), last: 0, look: Look::More });
        let decoder = Decoder::new(head.framing);
        Some(Self { decoder, form, body: Vec::new(), start, ended: false, over: false })
    }

    fn push(&mut self, raw: &[u8]) {
        let mut raw = raw.to_vec();
        let Ok(decoded) = self.decoder.decode(&mut raw) else {
            self.over = true;
            return;
        };
        self.over |= decoded.done;
        let bytes = raw.get(decoded.body).unwrap_or_default();
        if let Some(start) = &mut self.start {
            start.push(bytes, decoded.done);
        }
        let body = &mut self.body;
        match &mut self.form {
            Form::Failure => keep(body, bytes),
            Form::Events(splitter, decided) => splitter.push(bytes, |piece| match piece {
                _ if decided.is_some() => {}
                Piece::Data(data) => keep(body, data),
                Piece::End(name) => {
                    *decided = decide(name, body);
                    body.clear();
                }
                Piece::Void => body.clear(),
                Piece::Name(_) | Piece::Id(_) | Piece::Retry(_) => {}
            }),
            Form::Other => {}
        }
    }

    /// The connection has ended, `well` or by a fault.
    fn end(&mut self, well: bool) {
        self.ended = true;
        // A body without a length of its own ends so.
        if well
            && self.decoder.on_eof().is_ok()
            && let Some(start) = &mut self.start
        {
            start.push(b"", true);
        }
    }

    /// How long is waited for more in all, as long as more would tell more.
    fn waits_for(&self, patience: Patience) -> Option<Duration> {
        if self.ended || self.over || self.void().is_some() {
            return None;
        }
        let open = match &self.form {
            Form::Failure => self.body.len() < limits::FAILURE_BODY_BYTES_MAX,
            Form::Events(_, decided) => decided.is_none(),
            Form::Other => false,
        };
        let unseen = self.start.as_ref().is_some_and(|start| start.look == Look::More);
        let hold = open.then_some(patience.hold);
        hold.max(patience.first.filter(|_| unseen))
    }

    /// Whether no byte of a body has come that is to go on as it comes.
    fn is_silent(&self) -> bool {
        self.start.as_ref().is_some_and(|start| start.first.is_empty())
    }

    /// What has come in the place of an answer.
    fn void(&self) -> Option<Came> {
        // It is over before anything was said.
        if matches!(&self.form, Form::Events(_, None)) && (self.ended || self.over) {
            return Some(Came::Cut);
        }
        let start = self.start.as_ref()?;
        match start.look {
            Look::Wrong(came) => Some(came),
            Look::More if self.ended => Some(Came::Cut),
            Look::More if self.over => Some(Came::Garbage),
            Look::More | Look::Answer => None,
        }
    }

    /// What follows from a stream that began well by its head.
    fn verdict(&self) -> Option<Verdict> {
        match &self.form {
            Form::Events(_, Some(Decided::Error(verdict))) => Some(*verdict),
            Form::Events(..) | Form::Failure | Form::Other => None,
        }
    }
}

fn keep(body: &mut Vec<u8>, data: &[u8]) {
    let room = limits::FAILURE_BODY_BYTES_MAX.saturating_sub(body.len());
    body.extend_from_slice(data.get(..room).unwrap_or(data));
}

/// What an event says about the stream that it stands in; nothing where the next one has to.
fn decide(name: &[u8], data: &[u8]) -> Option<Decided> {
    match name {
        b"message_start" | b"ping" => None,
        b"error" => {
            let tree: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
            let kind = tree.pointer("/error/type").and_then(serde_json::Value::as_str);
            Some(Decided::Error(of_event(kind.unwrap_or_default())))
        }
        // Content, or a dialect whose events have no such names.
        _ => Some(Decided::Content),
    }
}
