//! Streamable HTTP: a POST per message, answered by one JSON document or by a stream of events.
//!
//! ```text
//! call:    POST -> Head, (the document | event -> Message ...), end
//!                        a stream that ends without the response: GET with Last-Event-ID, and on (legacy)
//! listen:  GET  -> Head, event -> Message, EventId, Retry ..., Failed
//! ```
//!
//! Follows the pages "Transports" of the revisions 2025-03-26 to 2026-07-28 (read 2026-11).

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_local;

use crate::json::{self, Fault, Kind};
use crate::limits::{self, Timeouts};
use crate::mcp::message;
use crate::mcp::method::Method;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::server::Remote;
use crate::upstream::mcp::{Failure, Incoming, Messages, Outbound};
use crate::upstream::pool::Pool;

pub(in crate::upstream::mcp) mod answer;
pub(in crate::upstream::mcp) mod events;
#[cfg(test)]
mod tests;

use answer::{ACCEPT_ANY, ACCEPT_EVENTS, Answer, Content, Door, JSON, Request, Silence};
use events::{Event, Events};

/// A server behind Streamable HTTP, as one thread talks to it. Holds no connection of its own: they come from
/// the pool and go back to it.
#[derive(Debug)]
pub struct HttpLink {
    door: Door,
    call_deadline: Duration,
}

/// Why a task stops before its end.
enum Halt {
    /// Nobody takes the messages any more.
    Unheard,
    Failed(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How an answer came out.
enum Ending {
    /// The response has been handed on; the rest of the body, if any, holds nothing for anybody.
    Answered(Box<Answer>),
    /// The body ended, or broke off, without a response.
    Without,
}

/// One task: whom it tells, and what it remembers of its streams.
struct Task {
    link: Rc<HttpLink>,
    permit: PlacedPermit,
    out: Outbound,
    tx: mpsc::Sender<Incoming>,
    silence: Silence,
    /// The last id of an event; none when the server gave none, or took it back.
    last_event_id: Option<String>,
    retry: Duration,
    /// Whether it waits for a response, which ends it. Else it listens, and tells what it remembers.
    awaits: bool,
}

impl HttpLink {
    /// A link to `remote`. A call may go without a message from the server for `call_deadline`; of `timeouts`
    /// only the one for connecting counts here.
    pub fn new(pool: Rc<Pool>, remote: Remote, timeouts: Timeouts, call_deadline: Duration) -> Rc<Self> {
        Rc::new(Self { door: Door::new(pool, remote, timeouts), call_deadline })
    }

    /// Sends a request and hands on what comes of it until its response. Needs a local task set; waits for
    /// nothing itself. The server is read no faster than the messages are taken, and dropping them closes the
    /// connection.
    ///
    /// An answer that is no success is `Head` and then `Message` when its body is an error of JSON-RPC and
    /// there is no challenge, else `Head` and then `Failed(Status)`. Redirects are not followed.
    pub fn call(self: &Rc<Self>, permit: &PlacedPermit, out: Outbound) -> Messages {
        let silence = Silence::new(Some(self.call_deadline));
        self.spawn(permit, out, silence, Task::call)
    }

    /// Like `call`, for a request whose answer is meant to stay open (`subscriptions/listen`): the server may
    /// be silent for as long as it likes.
    pub fn subscribe(self: &Rc<Self>, permit: &PlacedPermit, out: Outbound) -> Messages {
        self.spawn(permit, out, Silence::new(None), Task::call)
    }

    /// Opens the stream of unsolicited messages of a legacy session. It may be silent for as long as it likes
    /// and always ends by `Failed`: `Status` with 405 where the server has no such stream, `Ended` where it
    /// closed it and may be asked again, with the last `EventId`, after its `Retry`.
    pub fn listen(
        self: &Rc<Self>,
        permit: &PlacedPermit,
        headers: Vec<(String, String)>,
        last_event_id: Option<String>,
    ) -> Messages {
        let out = Outbound { headers, ..Outbound::default() };
        self.spawn(permit, out, Silence::new(None), async |task: &mut Task| {
            task.awaits = false;
            task.last_event_id = last_event_id.filter(|id| !id.is_empty());
            task.listen().await
        })
    }

    /// Sends a notification or a response and waits until the server has taken it.
    ///
    /// # Errors
    /// Why it has not. An answer that is no success is `Status`.
    pub async fn post(&self, permit: &PlacedPermit, out: Outbound) -> Result<(), Failure> {
        let mut silence = Silence::new(Some(self.call_deadline));
        let request = self.request_of(&out);
        self.door.post(permit, &request, &mut silence).await
    }

    /// Ends a legacy session: its id is in `headers`. Best effort, for `limits::MCP_END_DEADLINE` at most.
    pub async fn end(&self, permit: &PlacedPermit, headers: Vec<(String, String)>) {
        let out = Outbound { headers, ..Outbound::default() };
        let request = Request { method: "DELETE", body: None, again: true, ..self.request_of(&out) };
        let mut silence = Silence::new(Some(limits::MCP_END_DEADLINE));
        let ended = self.door.post(permit, &request, &mut silence);
        // The server forgets the session by itself in time.
        let _gone = tokio::time::timeout(limits::MCP_END_DEADLINE, ended).await;
    }

    fn spawn(
        self: &Rc<Self>,
        permit: &PlacedPermit,
        out: Outbound,
        silence: Silence,
        run: impl AsyncFnOnce(&mut Task) -> Result<Ending, Halt> + 'static,
    ) -> Messages {
        let (tx, messages) = mpsc::channel(limits::MCP_MESSAGES_MAX);
        let (link, permit) = (Rc::clone(self), permit.clone());
        let watched = tx.clone();
        let mut task = Task {
            link,
            permit,
            out,
            tx,
            silence,
            last_event_id: None,
            retry: limits::MCP_RETRY_DEFAULT,
            awaits: true,
        };
        drop(spawn_local(async move {
            let outcome = tokio::select! {
                // Whoever drops the messages gives the call up, and with this future its connection goes.
                () = watched.closed() => return,
                outcome = run(&mut task) => outcome,
            };
            let Task { link, tx, .. } = task;
            let failed = match outcome {
                Ok(Ending::Answered(mut answer)) => {
                    drop((tx, watched));
                    drop(answer.read_off(&link.door.pool).await);
                    return;
                }
                Ok(Ending::Without) => Failure::Ended,
                Err(Halt::Failed(failure)) => failure,
                Err(Halt::Unheard) => return,
            };
            // Whoever does not listen any more does not miss it.
            let _unheard = tx.send(Incoming::Failed(failed)).await;
        }));
        messages
    }

    fn request_of<'a>(&'a self, out: &'a Outbound) -> Request<'a> {
        Request {
            method: "POST",
            path: &self.door.remote.path,
            accept: ACCEPT_ANY,
            content_type: JSON,
            headers: &out.headers,
            last_event_id: None,
            body: Some(&out.body),
            again: may_run_twice(&out.body),
        }
    }
}

impl Door {
    /// Asks, and wants no more than to hear that it was taken.
    ///
    /// # Errors
    /// Those of `ask`, and `Status`.
    pub(in crate::upstream::mcp) async fn post(
        &self,
        permit: &PlacedPermit,
        request: &Request<'_>,
        silence: &mut Silence,
    ) -> Result<(), Failure> {
        let mut answer = self.ask(permit, request, silence).await?;
        let taken = answer.is_success();
        // A stream has nothing to say here, and might not end.
        let body = if taken && answer.content == Content::Events {
            Vec::new()
        } else {
            answer.read_off(&self.pool).await
        };
        if taken { Ok(()) } else { Err(answer.as_failure(&body)) }
    }
}

impl Task {
    async fn call(&mut self) -> Result<Ending, Halt> {
        let request = self.link.request_of(&self.out);
        let mut answer = self.link.door.ask(&self.permit, &request, &mut self.silence).await?;
        self.tell_head(&mut answer).await?;
        if !answer.is_success() {
            return self.refused(answer).await;
        }
        match answer.content.clone() {
            Content::Json => {
                let body = answer.whole(&mut self.silence).await?;
                answer.give_back(&self.link.door.pool);
                let answered = self.tell_messages(body).await?;
                Ok(if answered { Ending::Answered(Box::new(answer)) } else { Ending::Without })
            }
            Content::Events => self.follow(answer).await,
            Content::Other(kind) => Err(unreadable(answer.status, &kind).into()),
        }
    }

    async fn listen(&mut self) -> Result<Ending, Halt> {
        let mut answer = self.ask_for_events().await?;
        self.tell_head(&mut answer).await?;
        if !answer.is_success() {
            let body = answer.read_off(&self.link.door.pool).await;
            return Err(answer.as_failure(&body).into());
        }
        match answer.content.clone() {
            Content::Events => self.relay(answer).await,
            Content::Json => Err(unreadable(answer.status, "application/json").into()),
            Content::Other(kind) => Err(unreadable(answer.status, &kind).into()),
        }
    }

    async fn ask_for_events(&mut self) -> Result<Answer, Failure> {
        let request = Request {
            method: "GET",
            accept: ACCEPT_EVENTS,
            last_event_id: self.last_event_id.as_deref(),
            body: None,
            again: true,
            ..self.link.request_of(&self.out)
        };
        self.link.door.ask(&self.permit, &request, &mut self.silence).await
    }

    /// Hands on an answer that is no success.
    async fn refused(&self, mut answer: Answer) -> Result<Ending, Halt> {
        let body = answer.read_off(&self.link.door.pool).await;
        // A challenge is to be taken up by whoever has credentials; the error beside it says no more.
        let challenged = matches!(answer.status, 401 | 403) && answer.challenge.is_some();
        // The session is gone, whatever else is said.
        let named = |(name, _): &(String, String)| name.eq_ignore_ascii_case("mcp-session-id");
        let lost = answer.status == 404 && self.out.headers.iter().any(named);
        if challenged || lost || !answer.has_ended() || !is_error(&body) {
            return Err(answer.as_failure(&body).into());
        }
        self.tell(Incoming::Message(body)).await?;
        Ok(Ending::Answered(Box::new(answer)))
    }

    /// Hands on a stream until the response, taking it up again where it ends before and may be.
    async fn follow(&mut self, answer: Answer) -> Result<Ending, Halt> {
        let mut ending = self.relay(answer).await?;
        let mut failures = 0;
        for _resume in 0..limits::MCP_RESUMES_MAX {
            if matches!(ending, Ending::Answered(_))
                || !self.out.resumable
                || self.last_event_id.is_none()
                || failures > limits::MCP_RESUME_FAILURES_MAX
            {
                break;
            }
            if !self.silence.pause(self.retry).await {
                return Err(Failure::TimedOut.into());
            }
            match self.ask_for_events().await {
                Ok(answer) if answer.is_success() && answer.content == Content::Events => {
                    failures = 0;
                    ending = self.relay(answer).await?;
                }
                // The server is there and does not have the stream.
                Ok(_) => break,
                Err(Failure::Unreachable(_) | Failure::Ended) => failures += 1,
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(ending)
    }

    /// Hands on one stream.
    async fn relay(&mut self, mut answer: Answer) -> Result<Ending, Halt> {
        let mut events = Events::default();
        loop {
            // Before the response is told, so that who asks next finds it.
            answer.give_back(&self.link.door.pool);
            while let Some(event) = events.next() {
                if self.tell_event(event).await? {
                    return Ok(Ending::Answered(Box::new(answer)));
                }
            }
            if answer.has_ended() {
                return Ok(Ending::Without);
            }
            match answer.more(&mut self.silence, |bytes| events.push(bytes)).await {
                Ok(()) => {}
                Err(Failure::Ended) => return Ok(Ending::Without),
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Says whether it was the response that is awaited.
    async fn tell_event(&mut self, event: Event) -> Result<bool, Halt> {
        match event {
            Event::Message(data) => return Ok(self.tell_messages(data).await? && self.awaits),
            Event::Id(id) => {
                if !self.awaits {
                    self.tell(Incoming::EventId(id.clone())).await?;
                }
                self.last_event_id = Some(id).filter(|id| !id.is_empty());
            }
            Event::Retry(delay) => {
                if !self.awaits {
                    self.tell(Incoming::Retry(delay)).await?;
                }
                self.retry = delay;
            }
            Event::Endpoint(_) => {}
            Event::TooLarge => return Err(Failure::TooLarge.into()),
        }
        Ok(false)
    }

    /// Hands on a message, or each of a batch, and says whether a response was among them.
    async fn tell_messages(&mut self, data: Vec<u8>) -> Result<bool, Halt> {
        let mut answered = false;
        for message in unbatched(data)? {
            answered |= is_response(&message)?;
            self.tell(Incoming::Message(message)).await?;
            self.silence.broken();
        }
        Ok(answered)
    }

    async fn tell_head(&self, answer: &mut Answer) -> Result<(), Halt> {
        let session = answer.session.take();
        self.tell(Incoming::Head { status: answer.status, session }).await
    }

    async fn tell(&self, incoming: Incoming) -> Result<(), Halt> {
        self.tx.send(incoming).await.map_err(|_unheard| Halt::Unheard)
    }
}

fn unreadable(status: u16, kind: &str) -> Failure {
    let kind = if kind.is_empty() { "no content type" } else { kind };
    Failure::Garbage(format!("status {status} with {kind}"))
}

fn not_json(fault: Fault) -> Failure {
    Failure::Garbage(fault.to_string())
}

/// The messages of a document: itself, or where it is an array (revision 2025-03-26) its elements.
///
/// # Errors
/// `Garbage` for an array that is no batch, or one of more than `limits::MCP_BATCH_MAX`.
pub(in crate::upstream::mcp) fn unbatched(data: Vec<u8>) -> Result<Vec<Vec<u8>>, Failure> {
    let Some(batch) = message::batch(&data) else { return Ok(vec![data]) };
    let spans = batch.map_err(|fault| Failure::Garbage(fault.to_string()))?;
    Ok(spans.into_iter().filter_map(|span| Some(data.get(span)?.to_vec())).collect())
}

/// Whether a message is a response, with a result or with an error.
///
/// # Errors
/// `Garbage` for what is no JSON object.
pub(in crate::upstream::mcp) fn is_response(message: &[u8]) -> Result<bool, Failure> {
    let (mut outcome, mut method) = (false, false);
    json::fields(message, |field| {
        match &*json::text(field.key.raw)? {
            "result" | "error" => outcome = true,
            "method" => method = true,
            _ => {}
        }
        Ok::<_, Fault>(())
    })
    .map_err(not_json)?;
    Ok(outcome && !method)
}

/// Whether the body of a refusal is an error of JSON-RPC. One of OAuth also has an `error`, but a text.
fn is_error(body: &[u8]) -> bool {
    let mut error = false;
    let walked = json::fields(body, |field| {
        error |= field.key.raw == b"error" && field.value.kind == Kind::Object;
        Ok::<_, Fault>(())
    });
    walked.is_ok() && error
}

/// Whether it does no harm when a server works on this message twice: what only reads, and what is no
/// request. A tool may do anything, and of methods that we do not know nobody can say.
pub(in crate::upstream::mcp) fn may_run_twice(message: &[u8]) -> bool {
    let Ok(read) = message::read(message) else { return false };
    match read.kind {
        message::Kind::Notification | message::Kind::Result | message::Kind::Error => true,
        message::Kind::Request => matches!(
            read.method,
            Method::Initialize
                | Method::Discover
                | Method::Ping
                | Method::Listen
                | Method::ToolsList
                | Method::PromptsList
                | Method::PromptsGet
                | Method::ResourcesList
                | Method::ResourcesTemplatesList
                | Method::ResourcesRead
                | Method::Complete
                | Method::TasksGet
                | Method::TasksList
        ),
    }
}
