//! Takes a whole request, head and body, off the connection into one buffer.
//!
//! The body is needed whole: a second `model` key may stand at its end, and another provider may have to
//! be asked with it. What all bodies take together is bounded by one budget, of which each takes
//! what has arrived and a step ahead, not what it announces; and each must arrive at a pace.

use std::future::poll_fn;
use std::ops::Range;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crate::clock;
use crate::error::{CallError, Code};
use crate::gateway::budget::Share;
use crate::gateway::caller::Caller;
use crate::gateway::worker::{Phase, Worker};
use crate::http::body::Decoder;
use crate::http::encode;
use crate::http::head::Framing;
use crate::limits::{self, Timeouts};
use crate::net::buffer::{Buffer, TAIL_ROOM};
use crate::net::outgoing::Outgoing;

/// A whole request in memory.
pub(super) struct Whole {
    /// Head and body, the head at the front; its spans lie in the filled bytes.
    pub(super) buffer: Rc<Buffer>,
    /// Where the body lies in the filled bytes.
    pub(super) body: Range<usize>,
    /// The request as it came, where this is what was made of it.
    came: Option<Box<Self>>,
    /// Its part of the budget, given back when the request is let go.
    _share: Share,
}

impl Whole {
    /// The same request in other words, in the place of these.
    pub(super) fn instead(self, buffer: Buffer, body: Range<usize>) -> Self {
        Self { buffer: Rc::new(buffer), body, ..self }
    }

    /// The body.
    pub(super) fn body(&self) -> &[u8] {
        self.buffer.filled().get(self.body.clone()).unwrap_or_default()
    }

    /// The same request with another body, which has its own part of the budget.
    pub(super) fn said_anew(self, body: &[u8], share: Share) -> Self {
        let head = self.buffer.filled().get(..self.body.start).unwrap_or_default();
        let mut buffer = Buffer::with_room(head.len() + body.len());
        buffer.extend(head);
        buffer.extend(body);
        let body = head.len()..buffer.len();
        Self { buffer: Rc::new(buffer), body, came: Some(Box::new(self)), _share: share }
    }

    /// The request as it came.
    pub(super) fn as_it_came(&self) -> &Self {
        self.came.as_deref().unwrap_or(self)
    }
}

/// Reads the body of the request in hand and takes the request off the connection.
///
/// # Errors
/// 411 without a body, 413 over `limits::BODY_BYTES_MAX`, 408 when it is too slow, 503 without memory.
pub(super) async fn take(
    worker: &Worker,
    caller: &mut Caller,
    timeouts: &Timeouts,
) -> Result<Whole, CallError> {
    take_within(worker, caller, timeouts, limits::BODY_BYTES_MAX).await
}

/// The same for a body of at most `most` bytes, at most `limits::BODY_BYTES_MAX`.
///
/// # Errors
/// Those of `take`, 413 over `most`.
pub(super) async fn take_within(
    worker: &Worker,
    caller: &mut Caller,
    timeouts: &Timeouts,
    most: u64,
) -> Result<Whole, CallError> {
    let announced = match caller.head.framing {
        Framing::Length(bytes) => Some(bytes),
        Framing::Chunked => None,
        Framing::None | Framing::UntilClose => return Err(Code::LengthRequired.into()),
    };
    if announced.is_some_and(|bytes| bytes > most) {
        return Err(Code::BodyTooLarge.into());
    }
    let announced = announced.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let first = announced.map_or(limits::STREAM_READ_BYTES, |bytes| bytes.min(limits::BODY_READ_BYTES));
    let mut share = worker.budget.take(first).await?;
    if caller.head.expect_continue && caller.stream.input().len() == caller.head.bytes {
        let sent = caller.send(Outgoing::one(Buffer::from(encode::CONTINUE))).await;
        sent.map_err(|fault| CallError::new(Code::RequestTimeout).source(fault))?;
    }
    let (buffer, body) = match announced {
        Some(bytes) => of_length(worker, caller, timeouts, bytes, &mut share).await?,
        None => of_chunks(worker, caller, timeouts, (&mut share, most)).await?,
    };
    share.shrink(buffer.room());
    caller.unread = false;
    caller.in_input = false;
    Ok(Whole { buffer: Rc::new(buffer), body, came: None, _share: share })
}

async fn of_length(
    worker: &Worker,
    caller: &mut Caller,
    timeouts: &Timeouts,
    bytes: usize,
    share: &mut Share,
) -> Result<(Buffer, Range<usize>), CallError> {
    let head = caller.head.bytes;
    let whole = head + bytes;
    let pace = Pace::new(timeouts);
    while caller.stream.input().len() < whole {
        let here = caller.stream.input().len();
        let room = whole.min(limits::BODY_READ_BYTES.max(2 * here));
        share.grow(room - head).await?;
        fill(worker, caller, room - here, pace.due(here)).await?;
    }
    let mut buffer = caller.stream.take_input();
    if let Some(ahead) = buffer.filled().get(whole..).filter(|ahead| !ahead.is_empty()) {
        // The caller has sent the beginning of its next request already.
        caller.stream.put_input(Buffer::from(ahead));
        let start = buffer.start();
        buffer.set_window(start, start + whole);
    }
    Ok((buffer, head..whole))
}

async fn of_chunks(
    worker: &Worker,
    caller: &mut Caller,
    timeouts: &Timeouts,
    (share, most): (&mut Share, u64),
) -> Result<(Buffer, Range<usize>), CallError> {
    let head = caller.head.bytes;
    caller.in_input = false;
    let mut raw = caller.stream.take_input();
    let mut whole = Buffer::with_room(limits::STREAM_READ_BYTES);
    whole.extend(raw.filled().get(..head).unwrap_or_default());
    raw.consume(head);
    let mut decoder = Decoder::new(Framing::Chunked);
    let pace = Pace::new(timeouts);
    loop {
        let decoded = decoder
            .decode(raw.filled_mut())
            .map_err(|fault| CallError::new(fault.code()).context(fault.text()))?;
        // Room doubles when it is used up, so that is what the budget is asked for.
        if whole.spare() < decoded.body.len() {
            share.grow(2 * whole.room()).await?;
        }
        whole.extend(raw.filled().get(decoded.body).unwrap_or_default());
        raw.consume(decoded.consumed);
        caller.stream.put_input(raw);
        if (whole.len() - head) as u64 > most {
            return Err(Code::BodyTooLarge.into());
        }
        if decoded.done {
            let end = whole.len();
            return Ok((whole, head..end));
        }
        fill(worker, caller, limits::STREAM_READ_BYTES - TAIL_ROOM, pace.due(whole.len())).await?;
        raw = caller.stream.take_input();
    }
}

async fn fill(worker: &Worker, caller: &mut Caller, least: usize, due: Duration) -> Result<(), CallError> {
    caller.deadline.set(clock::now(), due);
    let Caller { stream, deadline, .. } = caller;
    let filled = poll_fn(|cx| {
        if let Poll::Ready(result) = stream.poll_fill(cx, least) {
            return Poll::Ready(Ok(result));
        }
        if worker.phase.get() == Phase::Cut {
            return Poll::Ready(Err(CallError::from(Code::Draining)));
        }
        deadline.poll_passed(cx).map(|()| Err(CallError::from(Code::RequestTimeout)))
    });
    match filled.await? {
        Ok(0) => {
            Err(CallError::new(Code::BadRequest).context("the connection ended before the body was complete"))
        }
        Ok(_) => Ok(()),
        Err(fault) => Err(CallError::new(Code::BadRequest).source(fault)),
    }
}

/// How slow a body may be: never silent for long, and never below a pace over all.
struct Pace {
    begun: std::time::Instant,
    stall: Duration,
}

impl Pace {
    fn new(timeouts: &Timeouts) -> Self {
        Self { begun: clock::now(), stall: timeouts.body_stall }
    }

    /// How long the next byte may take when `bytes` are here.
    fn due(&self, bytes: usize) -> Duration {
        let earned = Duration::from_secs(bytes as u64 / limits::BODY_PACE_BYTES_PER_S);
        let spent = clock::now().saturating_duration_since(self.begun);
        (self.stall + earned).saturating_sub(spent).min(self.stall)
    }
}
