//! Many calls over one pipe: whose answer a message is, what belongs to nobody, and what happens at the end.
//!
//! ```text
//! call --> open: its id is in the table --response, failure, silence, end of the pipe--> over
//!                                       --nobody listens any more--------------------> forgotten
//! ```
//!
//! One task reads the pipe and never waits for a listener: a call that does not take its messages loses
//! progress, never its response, and holds up nobody else.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep_until;

use crate::clock;
use crate::json::{Fault, Key, Kind, elements, fields, fields_at, text};
use crate::limits;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::sse::SseSender;
use crate::upstream::mcp::stdio::StdioSender;
use crate::upstream::mcp::{Failure, Incoming, Messages, Outbound};

/// The way in to what is at the other end of a pipe.
#[derive(Debug)]
pub enum PipeSender {
    /// A child process.
    Stdio(StdioSender),
    /// An event stream with an address to post to.
    Sse(SseSender),
}

impl PipeSender {
    async fn send(&self, permit: &PlacedPermit, body: Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Stdio(sender) => sender.send(permit, body).await,
            Self::Sse(sender) => sender.send(permit, body).await,
        }
    }

    async fn stop(&self) {
        match self {
            Self::Stdio(sender) => sender.stop().await,
            // It ends with the stream, when the link is let go.
            Self::Sse(_) => {}
        }
    }
}

/// A pipe with the calls that are open over it. Open calls keep it alive; without them, dropping it ends the
/// pipe.
#[derive(Debug)]
pub struct PipeLink {
    sender: PipeSender,
    table: Rc<Table>,
    events: RefCell<Option<Messages>>,
    reader: AbortHandle,
    call_deadline: Duration,
}

impl Drop for PipeLink {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl PipeLink {
    /// Takes over both ends of a pipe; to be called inside of a `LocalSet`. A call that is silent for longer
    /// than `call_deadline` is given up.
    pub fn new(sender: PipeSender, receiver: Messages, call_deadline: Duration) -> Rc<Self> {
        let (tell, events) = mpsc::channel(limits::MCP_MESSAGES_MAX);
        let table = Rc::new(Table::default());
        let reader = spawn_local(read(receiver, Rc::clone(&table), tell)).abort_handle();
        let events = RefCell::new(Some(events));
        Rc::new(Self { sender, table, events, reader, call_deadline })
    }

    /// Sends a request and gives its progress, what else is meant for it, and last its response or a failure.
    ///
    /// `out.id` is the id in the message and its progress token; it must not be 0 nor that of an open call.
    /// A notification that is tagged as belonging to the subscription of this id comes here too, and from
    /// the first one on the call may be silent for as long as it likes. Progress that is not taken in time is
    /// left out; a subscription that is not taken in time fails with `TimedOut`, since what it missed cannot
    /// be known.
    ///
    /// Failures: `Unreachable` (not sent), `Ended`, `TimedOut`, `TooLarge`.
    pub fn call(self: &Rc<Self>, permit: &PlacedPermit, out: Outbound) -> Messages {
        let (tell, messages) = mpsc::channel(limits::MCP_MESSAGES_MAX);
        match self.table.open(out.id, &tell) {
            Ok(over) => {
                let (link, permit) = (Rc::clone(self), permit.clone());
                spawn_local(async move { link.attend(&permit, out, tell, over).await });
            }
            // The channel is empty, so there is room.
            Err(refused) => {
                tell.try_send(Incoming::Failed(Failure::Unreachable(refused.into()))).unwrap_or_default()
            }
        }
        messages
    }

    /// Sends what has no response: a notification, or the response to a request of the server.
    ///
    /// # Errors
    /// `Unreachable` (not sent), `Ended`, `TimedOut`.
    pub async fn post(&self, permit: &PlacedPermit, out: Outbound) -> Result<(), Failure> {
        self.sender.send(permit, out.body).await
    }

    /// What belongs to no call: requests of the server, notifications, and last the failure that ended the
    /// pipe. It can be taken once. What is not taken in time is left out; log messages are so first.
    pub fn events(&self) -> Option<Messages> {
        self.events.borrow_mut().take()
    }

    /// Starts the silence of a call anew: while its server waits for us, it is not the one who is silent.
    pub fn touch(&self, id: u64) {
        if let Some(call) = self.table.calls.borrow_mut().get_mut(&id) {
            call.heard = clock::now();
        }
    }

    /// Open calls.
    pub fn in_flight(&self) -> usize {
        self.table.calls.borrow().len()
    }

    /// Messages that were left out because nobody took them.
    pub fn left_out(&self) -> u64 {
        self.table.left_out.get()
    }

    /// Whether the pipe has ended.
    pub fn is_closed(&self) -> bool {
        *self.table.closed.borrow()
    }

    /// Waits for the end of the pipe.
    pub async fn closed(&self) {
        drop(self.table.closed.subscribe().wait_for(|closed| *closed).await);
    }

    /// Ends the pipe, and with it what is at its other end; open calls end with `Ended`.
    pub async fn stop(&self) {
        self.sender.stop().await;
        // What is read of a stream ends with its reader; a process has ended by now.
        self.reader.abort();
        self.table.end(&Failure::Ended);
    }

    /// Sends the request and looks after it until it is over.
    async fn attend(
        &self,
        permit: &PlacedPermit,
        out: Outbound,
        tell: mpsc::Sender<Incoming>,
        mut over: oneshot::Receiver<()>,
    ) {
        let id = out.id;
        tokio::select! {
            sent = self.sender.send(permit, out.body) => if let Err(failure) = sent {
                return self.table.fail(id, failure);
            },
            _ = &mut over => return,
            () = tell.closed() => return self.table.forget(id),
        }
        self.touch(id);
        while let Some(due) = self.table.due(id, self.call_deadline) {
            if due <= clock::now() {
                return self.table.fail(id, Failure::TimedOut);
            }
            tokio::select! {
                () = sleep_until(due.into()) => {}
                _ = &mut over => return,
                () = tell.closed() => return self.table.forget(id),
            }
        }
    }
}

/// The calls of one pipe.
#[derive(Debug, Default)]
struct Table {
    calls: RefCell<HashMap<u64, Call>>,
    closed: watch::Sender<bool>,
    left_out: Cell<u64>,
}

/// A call that waits for its response.
#[derive(Debug)]
struct Call {
    /// Always with room for one more message, the last.
    tell: mpsc::Sender<Incoming>,
    /// When something came for it last.
    heard: Instant,
    /// Something came that was tagged with its id: silence means nothing any more.
    subscribed: bool,
    /// Dropped with the call, which tells the task that looks after it.
    _over: oneshot::Sender<()>,
}

impl Table {
    /// Takes a call in; what comes back ends with it.
    fn open(&self, id: u64, tell: &mpsc::Sender<Incoming>) -> Result<oneshot::Receiver<()>, io::ErrorKind> {
        let mut calls = self.calls.borrow_mut();
        if *self.closed.borrow() {
            return Err(io::ErrorKind::NotConnected);
        }
        if calls.len() >= limits::MCP_PIPE_CALLS_MAX {
            return Err(io::ErrorKind::QuotaExceeded);
        }
        if id == 0 || calls.contains_key(&id) {
            return Err(io::ErrorKind::InvalidInput);
        }
        let (end, over) = oneshot::channel();
        let call = Call { tell: tell.clone(), heard: clock::now(), subscribed: false, _over: end };
        calls.insert(id, call);
        Ok(over)
    }

    /// When the call has been silent for too long; nothing when it is over.
    fn due(&self, id: u64, patience: Duration) -> Option<Instant> {
        let calls = self.calls.borrow();
        let call = calls.get(&id)?;
        let since = if call.subscribed { clock::now() } else { call.heard };
        Some(since + patience)
    }

    fn forget(&self, id: u64) {
        self.calls.borrow_mut().remove(&id);
    }

    fn fail(&self, id: u64, failure: Failure) {
        self.finish(id, Incoming::Failed(failure));
    }

    /// Tells a call the last that it hears. One that nobody knows any more is no fault: it was given up.
    fn finish(&self, id: u64, last: Incoming) {
        if let Some(call) = self.calls.borrow_mut().remove(&id) {
            self.give(&call.tell, last, 0);
        }
    }

    /// Gives a message on if that leaves room for `reserve` more; whether it did.
    fn give(&self, tell: &mpsc::Sender<Incoming>, incoming: Incoming, reserve: usize) -> bool {
        let given = tell.capacity() > reserve && tell.try_send(incoming).is_ok();
        if !given {
            self.left_out.set(self.left_out.get().saturating_add(1));
        }
        given
    }

    /// Ends all calls and takes no more.
    fn end(&self, why: &Failure) {
        self.closed.send_replace(true);
        for (_, call) in self.calls.take() {
            let failure = match why {
                Failure::Garbage(what) => Failure::Garbage(what.clone()),
                _ => Failure::Ended,
            };
            self.give(&call.tell, Incoming::Failed(failure), 0);
        }
    }

    /// Brings a message to where it belongs.
    fn dispatch(&self, message: Vec<u8>, events: &mpsc::Sender<Incoming>) {
        match meaning(&message) {
            Ok(Meaning::Response(id)) => self.finish(id, Incoming::Message(message)),
            Ok(Meaning::Progress(id)) if self.is_open(id) => self.pass(id, message, false),
            Ok(Meaning::Tagged(id)) if self.is_open(id) => self.pass(id, message, true),
            // Progress of a call that is over may be that of the task that it has begun.
            Ok(Meaning::Progress(_) | Meaning::Log) => {
                self.give(events, Incoming::Message(message), limits::MCP_MESSAGES_MAX / 2);
            }
            Ok(Meaning::Tagged(_) | Meaning::Other) => {
                self.give(events, Incoming::Message(message), 1);
            }
            // Whoever sent this cannot expect to be understood.
            Err(_) => self.left_out.set(self.left_out.get().saturating_add(1)),
        }
    }

    fn is_open(&self, id: u64) -> bool {
        self.calls.borrow().contains_key(&id)
    }

    /// Gives an open call a message that is not its last.
    fn pass(&self, id: u64, message: Vec<u8>, tagged: bool) {
        let given = {
            let mut calls = self.calls.borrow_mut();
            let Some(call) = calls.get_mut(&id) else { return };
            call.heard = clock::now();
            call.subscribed |= tagged;
            self.give(&call.tell, Incoming::Message(message), 1)
        };
        if !given && tagged {
            self.fail(id, Failure::TimedOut);
        }
    }

    /// A message was too large to be looked at. With one call open it was most likely its response.
    fn missed(&self) {
        let only = {
            let calls = self.calls.borrow();
            calls.keys().next().copied().filter(|_| calls.len() == 1)
        };
        match only {
            Some(id) => self.fail(id, Failure::TooLarge),
            None => self.left_out.set(self.left_out.get().saturating_add(1)),
        }
    }
}

/// Reads the pipe to its end.
async fn read(mut receiver: Messages, table: Rc<Table>, events: mpsc::Sender<Incoming>) {
    let failure = loop {
        match receiver.recv().await {
            Some(Incoming::Message(message)) => {
                for message in apart(message) {
                    table.dispatch(message, &events);
                }
            }
            // These are told of HTTP only.
            Some(Incoming::Head { .. } | Incoming::EventId(_) | Incoming::Retry(_)) => {}
            Some(Incoming::TooLarge(id)) => table.fail(id, Failure::TooLarge),
            Some(Incoming::Failed(Failure::TooLarge)) => table.missed(),
            Some(Incoming::Failed(failure)) => break failure,
            None => break Failure::Ended,
        }
    };
    table.end(&failure);
    table.give(&events, Incoming::Failed(failure), 0);
}

/// The messages of a batch (revision 2025-03-26), or the one message. Of a batch that is broken, those before
/// the fault.
fn apart(message: Vec<u8>) -> Vec<Vec<u8>> {
    if message.trim_ascii_start().first() != Some(&b'[') {
        return vec![message];
    }
    let mut parts = Vec::new();
    elements::<Fault>(&message, 0..message.len(), |value| {
        parts.push(value.bytes(&message).to_vec());
        Ok(())
    })
    .unwrap_or_default();
    parts
}

/// Whom a message concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The call of this id, which is over by it.
    Response(u64),
    /// The call of this id, which goes on.
    Progress(u64),
    /// The subscription of this id.
    Tagged(u64),
    /// Nobody in particular, and it is not important.
    Log,
    /// Nobody in particular, or the other side asks.
    Other,
}

/// The name of the tag of what belongs to a subscription (revision 2026-07-28).
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

fn meaning(message: &[u8]) -> Result<Meaning, Fault> {
    let (mut id, mut method, mut params) = (None, None, None);
    fields::<Fault>(message, |field| {
        if is(&field.key, "id") {
            id = Some(field.value);
        } else if is(&field.key, "method") {
            method = Some(field.value);
        } else if is(&field.key, "params") {
            params = Some(field.value).filter(|value| value.kind == Kind::Object);
        }
        Ok(())
    })?;
    let number = id.as_ref().and_then(|id| id.as_u64(message));
    let Some(method) = method else { return Ok(number.map_or(Meaning::Other, Meaning::Response)) };
    let method = method.inner(message).and_then(|raw| text(raw).ok());
    let (Some(params), None) = (params, id) else { return Ok(Meaning::Other) };
    if method.as_deref() == Some("notifications/progress") {
        let token = member(message, params.span, "progressToken")?.and_then(|token| token.as_u64(message));
        return Ok(token.map_or(Meaning::Other, Meaning::Progress));
    }
    let meta = member(message, params.span, "_meta")?.filter(|meta| meta.kind == Kind::Object);
    if let Some(meta) = meta
        && let Some(tag) = member(message, meta.span, SUBSCRIPTION)?
        && let Some(id) = tag.as_u64(message)
    {
        return Ok(Meaning::Tagged(id));
    }
    Ok(if method.as_deref() == Some("notifications/message") { Meaning::Log } else { Meaning::Other })
}

/// The member of this name of the object at `span`, the last if there are several.
fn member(
    message: &[u8],
    span: std::ops::Range<usize>,
    name: &str,
) -> Result<Option<crate::json::Value>, Fault> {
    let mut found = None;
    fields_at::<Fault>(message, span, |field| {
        if is(&field.key, name) {
            found = Some(field.value);
        }
        Ok(())
    })?;
    Ok(found)
}

fn is(key: &Key<'_>, name: &str) -> bool {
    if key.escaped { text(key.raw).is_ok_and(|key| key == name) } else { key.raw == name.as_bytes() }
}

#[cfg(test)]
mod tests;
