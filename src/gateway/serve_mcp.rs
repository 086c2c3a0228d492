//! The HTTP side of MCP: reads and checks a request on its core, asks the hub, and writes what comes back as
//! a JSON document or as an event stream, whichever the answer turns out to be.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, channel, error::TrySendError};

use crate::call::Outcome;
use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::caller::{Caller, poll_hung_up};
use crate::gateway::direct::{self, Lane, Post};
use crate::gateway::hub::ask::{About, Ask, Final, HeadFacts, Reply, Verb};
use crate::gateway::identify::identify;
use crate::gateway::record::{Record, kept};
use crate::gateway::request_body::{self, Whole};
use crate::gateway::serve_llm::note_first_byte;
use crate::gateway::worker::{Phase, Worker};
use crate::http::encode::{self, CHUNK_END, Fields, LAST_CHUNK, RelayedResponse};
use crate::http::head::{Framing, Method};
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::auto::Client;
use crate::mcp::origin::Doors;
use crate::mcp::rpc::{self, RpcError};
use crate::net::buffer::Buffer;
use crate::net::outgoing::Outgoing;

/// Where an MCP request goes, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The server of `/mcp/<server>`.
    pub(super) server: Option<String>,
    /// The form of transport.
    pub(super) form: Form,
}

/// The transports that an endpoint serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Streamable HTTP.
    Streamable,
    /// The event stream of HTTP+SSE.
    SseStream,
    /// Where HTTP+SSE posts to.
    SsePost,
}

/// Keeps a stream alive through proxies and clients that expect something now and then.
const KEEP_ALIVE: &[u8] = b":\n\n";

/// Serves one request.
///
/// # Errors
/// What the caller is to be told as long as no answer has begun.
pub(super) async fn serve(
    worker: &Worker,
    caller: &mut Caller,
    team: Option<&str>,
    endpoint: Endpoint,
    record: &mut Record,
) -> Result<(), CallError> {
    let snapshot = worker.snapshot();
    let mcp = &snapshot.mcp;
    let input = caller.stream.input();
    let header = |name| caller.head.headers.first(input, name);
    let doors = Doors { hosts: &mcp.allowed_hosts, origins: &mcp.allowed_origins, loopback: worker.loopback };
    if !doors.admit(header("host"), header("origin")) {
        let text = "this Host or Origin is not let in; see `mcp: { allowed_hosts, allowed_origins }`";
        return Err(CallError::new(Code::Forbidden).context(text));
    }
    let principal = identify(worker, &snapshot, caller, team, record).await?.clone();
    if endpoint.form != Form::Streamable && !mcp.legacy_sse {
        let text =
            "HTTP+SSE is switched off; use Streamable HTTP at /mcp, or set `mcp: { legacy_sse: true }`";
        return Err(CallError::new(Code::NotFound).context(text));
    }
    let facts = facts(caller, endpoint.form)?;
    check_media(caller)?;
    let scope = endpoint.server.as_deref().map(ServerName::new);
    let verb = match (caller.head.method, endpoint.form) {
        (Method::Get, Form::Streamable) => Verb::Get,
        (Method::Delete, Form::Streamable) => Verb::Delete,
        (Method::Get, Form::SseStream) => Verb::OpenSse(post_path(team, endpoint.server.as_deref())),
        (Method::Post, form) => {
            let whole = body(worker, caller, &snapshot, record).await?;
            worker.books.admit()?;
            if form == Form::SsePost {
                Verb::PostSse(whole.body().to_vec())
            } else {
                let (snapshot, principal, scope) = (&*snapshot, &principal, scope.as_ref());
                let post = Post { snapshot, principal, scope, facts: &facts, body: whole.body() };
                match direct::lane(worker, &post) {
                    Lane::Hub(about) => {
                        if let Some(about) = about {
                            record.mcp = Some(bounded(about));
                            worker.open(record, 0).await?;
                        }
                        Verb::Post(whole.body().to_vec())
                    }
                    Lane::List(about, id, result) => {
                        record.mcp = Some(bounded(about));
                        return list(caller, record, &id, result).await;
                    }
                    Lane::Call(about, call) => {
                        record.decision.clone_from(&about.decision);
                        record.mark(&about.marks);
                        record.mcp = Some(bounded(about));
                        // Its message leaves when its answer is first asked for.
                        let cost = record.mcp.as_ref().map_or(0, |about| about.charged.cost_pico);
                        worker.open(record, cost).await?;
                        drop(whole);
                        let (ping, source) = (Some(snapshot.timeouts.ping), Source::Direct(call));
                        return Answer::new(worker).relay(caller, source, ping, record).await;
                    }
                }
            }
        }
        _ => return Err(Code::MethodNotAllowed.into()),
    };
    let streams = matches!(verb, Verb::Get | Verb::OpenSse(_) | Verb::Post(_));
    let (reply, replies) = channel(limits::MCP_MESSAGES_MAX);
    let ask = Ask { principal, scope, verb, facts, reply };
    match worker.hub.try_send(ask) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => return Err(Code::Overloaded.into()),
        Err(TrySendError::Closed(_)) => return Err(Code::Draining.into()),
    }
    let ping = streams.then_some(snapshot.timeouts.ping);
    drop(snapshot);
    Answer::new(worker).relay(caller, Source::Hub(replies), ping, record).await
}

/// The body of a message.
async fn body(
    worker: &Worker,
    caller: &mut Caller,
    snapshot: &Snapshot,
    record: &mut Record,
) -> Result<Whole, CallError> {
    let whole = request_body::take(worker, caller, &snapshot.timeouts).await?;
    record.request_bytes = whole.body().len() as u64;
    if whole.body().len() > limits::MCP_MESSAGE_BYTES_MAX {
        let most = limits::MCP_MESSAGE_BYTES_MAX / (1024 * 1024);
        let text = format!("a JSON-RPC message may have up to {most} MiB");
        return Err(CallError::new(Code::BodyTooLarge).context(text));
    }
    Ok(whole)
}

/// The path that HTTP+SSE posts to.
fn post_path(team: Option<&str>, server: Option<&str>) -> String {
    let team = team.map(|team| format!("/t/{team}")).unwrap_or_default();
    let server = server.map(|server| format!("/{server}")).unwrap_or_default();
    format!("{team}/mcp{server}/messages")
}

/// The header lines of MCP.
///
/// # Errors
/// 400 when a session is named twice: nobody knows which one others would read.
fn facts(caller: &Caller, form: Form) -> Result<HeadFacts, CallError> {
    let input = caller.stream.input();
    let agent = caller.head.headers.first(input, "user-agent");
    let agent = agent.unwrap_or_default();
    let client = Client::of_agent(agent);
    let mut facts = HeadFacts { can_ask: can_ask(agent), client, ..HeadFacts::default() };
    for (name, value) in caller.head.headers.iter(input) {
        let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
        match name.len() {
            8 if is(b"mcp-name") => facts.name.push(value.to_vec()),
            10 if is(b"mcp-method") => facts.method.push(value.to_vec()),
            20 if is(b"mcp-protocol-version") => facts.version.push(value.to_vec()),
            14 if is(b"mcp-session-id") => {
                let id = String::from_utf8_lossy(value).into_owned();
                if facts.session.replace(id).is_some() {
                    let text = "the header Mcp-Session-Id is there twice";
                    return Err(CallError::new(Code::BadRequest).context(text));
                }
            }
            11.. => {
                let prefix = name.get(..10).filter(|start| start.eq_ignore_ascii_case(b"mcp-param-"));
                if prefix.is_some() {
                    facts.params.push((name.to_vec(), value.to_vec()));
                }
            }
            _ => {}
        }
    }
    if form != Form::Streamable {
        let (_, query) = caller.head.path_and_query(input);
        let query = query.and_then(|query| str::from_utf8(query).ok()).unwrap_or_default();
        facts.session = query.split('&').find_map(|pair| pair.strip_prefix("sessionId=")).map(str::to_owned);
    }
    Ok(facts)
}

/// Whether a client asks a person before it calls a tool that is marked so: Claude Code, by the two names
/// under which it goes. Who lies here spares nobody but the person who was to be asked.
fn can_ask(agent: &[u8]) -> bool {
    agent.starts_with(b"claude-code/") || agent.starts_with(b"claude-cli/")
}

/// Checks `Content-Type` and `Accept` where they are sent. A missing one is let pass: the first revisions
/// did not ask for it.
fn check_media(caller: &Caller) -> Result<(), CallError> {
    let input = caller.stream.input();
    let header = |name| caller.head.headers.first(input, name);
    if caller.head.method == Method::Post
        && let Some(kind) = header("content-type")
        && !is_json(kind)
    {
        return Err(CallError::new(Code::UnsupportedMedia).context("expected Content-Type: application/json"));
    }
    let mut accepts = caller.head.headers.all(input, "accept").peekable();
    if accepts.peek().is_none() || caller.head.method == Method::Delete {
        return Ok(());
    }
    let (mut json, mut events) = (false, false);
    for kind in accepts.flat_map(|line| line.split(|&byte| byte == b',')) {
        let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let is = |word: &[u8]| kind.eq_ignore_ascii_case(word);
        json |= is(b"application/json") || is(b"application/*") || is(b"*/*");
        events |= is(b"text/event-stream") || is(b"text/*") || is(b"*/*");
    }
    let fits = if caller.head.method == Method::Get { events } else { json && events };
    if fits {
        return Ok(());
    }
    let text = "expected Accept: application/json, text/event-stream";
    Err(CallError::new(Code::NotAcceptable).context(text))
}

/// What a client must be told whose user looks at a config of MCP, not at variables of a shell.
const NO_KEY: &str = "no valid key was sent: the header Authorization must be `Bearer YOUR_TOLLGATE_KEY`";

/// Whether a media type is that of JSON, with or without parameters.
fn is_json(kind: &[u8]) -> bool {
    let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/json")
}

/// Writes an error of the HTTP side as JSON-RPC has it: without an id, since the message was not looked at.
pub(super) fn write_error(out: &mut Vec<u8>, error: &CallError) {
    let text = error.message().to_owned();
    let error = match error.code() {
        Code::Unauthenticated if text == Code::Unauthenticated.text() => RpcError::not_allowed(NO_KEY),
        Code::Unauthenticated => RpcError::not_allowed(text),
        Code::Forbidden => RpcError::not_allowed(text),
        Code::Overloaded => RpcError::overloaded(text),
        Code::Draining => RpcError::draining(),
        code if code.status() >= 500 => RpcError { message: text.into(), ..RpcError::internal() },
        _ => RpcError::invalid_request(text),
    };
    rpc::write_error_without_id(out, &error);
}

/// Answers a list that is there: the caller's id in front, `}` behind, nothing copied in between.
async fn list(caller: &mut Caller, record: &mut Record, id: &[u8], result: Bytes) -> Result<(), CallError> {
    let front = [b"{\"jsonrpc\":\"2.0\",\"id\":", id, b",\"result\":"].concat();
    sent(caller.reply_around(record, "application/json", &front, result, b"}").await)
}

/// What a record keeps of a caller's words.
fn bounded(mut about: Box<About>) -> Box<About> {
    for text in [&mut about.name, &mut about.tool_use_id, &mut about.sought] {
        if text.len() > limits::RECORD_TEXT_BYTES_MAX {
            *text = kept(text.as_bytes());
        }
    }
    about
}

/// Where an answer comes from.
enum Source<'w> {
    Hub(Receiver<Reply>),
    Direct(Box<direct::Call<'w>>),
}

impl Source<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Reply>> {
        match self {
            Self::Hub(replies) => replies.poll_recv(cx),
            Self::Direct(call) => call.poll_reply(cx),
        }
    }
}

/// Why a wait for the hub ended.
enum Wake {
    Reply(Option<Reply>),
    HungUp,
    Silent,
    Cut,
}

/// An answer in the making.
struct Answer<'a> {
    worker: &'a Worker,
    /// Whether the head of an event stream has left.
    opened: bool,
    session: Option<String>,
}

impl<'a> Answer<'a> {
    const fn new(worker: &'a Worker) -> Self {
        Self { worker, opened: false, session: None }
    }

    async fn relay(
        &mut self,
        caller: &mut Caller,
        mut source: Source<'_>,
        ping: Option<std::time::Duration>,
        record: &mut Record,
    ) -> Result<(), CallError> {
        loop {
            let patience = ping.unwrap_or(limits::MCP_IDLE);
            let outcome = match self.next(caller, &mut source, patience).await {
                Wake::Reply(Some(Reply::About(about))) => {
                    let about = bounded(about);
                    record.decision.clone_from(&about.decision);
                    record.mark(&about.marks);
                    record.mcp = Some(about);
                    Ok(())
                }
                Wake::Reply(Some(Reply::Charged(charged))) => {
                    if let Some(about) = &mut record.mcp {
                        about.charged = charged;
                    }
                    Ok(())
                }
                Wake::Reply(Some(Reply::Marks(mark))) => {
                    record.mark(&mark);
                    Ok(())
                }
                Wake::Reply(Some(Reply::Open)) => self.open(caller, record).await,
                Wake::Reply(Some(Reply::Event(data))) => self.event(caller, "message", data, record).await,
                Wake::Reply(Some(Reply::Named(name, data))) => self.event(caller, name, data, record).await,
                Wake::Reply(Some(Reply::Final(last))) => return self.finish(caller, *last, record).await,
                Wake::Reply(Some(Reply::Accepted)) => {
                    if self.opened {
                        return self.end(caller, record).await;
                    }
                    return sent(caller.reply(record, 202, "application/json", &[], b"").await);
                }
                Wake::Reply(Some(Reply::End)) => {
                    if !self.opened {
                        sent(self.open(caller, record).await)?;
                    }
                    return self.end(caller, record).await;
                }
                // The hub has let go of the call without a word: only when it ends.
                Wake::Reply(None) | Wake::Cut => {
                    record.outcome = Outcome::Drained;
                    if !self.opened {
                        return Err(Code::Draining.into());
                    }
                    return self.end(caller, record).await;
                }
                Wake::HungUp => {
                    record.outcome = Outcome::CallerGone;
                    caller.keep_alive = false;
                    return Ok(());
                }
                Wake::Silent if ping.is_none() => Ok(()),
                Wake::Silent if !self.opened => self.open(caller, record).await,
                Wake::Silent => self.chunk(caller, &[KEEP_ALIVE], record).await,
            };
            sent(outcome)?;
        }
    }

    async fn next(
        &self,
        caller: &mut Caller,
        source: &mut Source<'_>,
        patience: std::time::Duration,
    ) -> Wake {
        caller.deadline.set(clock::now(), patience);
        let Caller { stream, deadline, .. } = caller;
        poll_fn(|cx| {
            if let Poll::Ready(reply) = source.poll(cx) {
                return Poll::Ready(Wake::Reply(reply));
            }
            if self.worker.phase.get() == Phase::Cut {
                return Poll::Ready(Wake::Cut);
            }
            if poll_hung_up(stream, cx).is_ready() {
                return Poll::Ready(Wake::HungUp);
            }
            deadline.poll_passed(cx).map(|()| Wake::Silent)
        })
        .await
    }

    /// Sends the head of an event stream.
    async fn open(&mut self, caller: &mut Caller, record: &mut Record) -> io::Result<()> {
        if std::mem::replace(&mut self.opened, true) {
            return Ok(());
        }
        let (id, date) = (record.id.shown(), self.worker.today.date());
        let mut lines: Vec<(&str, &[u8])> = vec![
            ("content-type", b"text/event-stream"),
            ("cache-control", b"no-cache, no-transform"),
            ("x-accel-buffering", b"no"),
            ("date", &date),
            ("request-id", &id),
        ];
        if let Some(session) = &self.session {
            lines.push(("mcp-session-id", session.as_bytes()));
        }
        let chunked = caller.takes_chunks();
        caller.keep_alive &= chunked && !caller.unread && self.worker.phase.get() == Phase::Running;
        let head = RelayedResponse {
            status: 200,
            reason: b"",
            framing: if chunked { Framing::Chunked } else { Framing::UntilClose },
            close: !caller.keep_alive,
            extra: &lines,
        };
        caller.out.clear();
        encode::response_head(&mut caller.out, &head, Fields::NONE);
        record.status = 200;
        note_first_byte(record);
        let head = Buffer::from(&caller.out[..]);
        self.worker.streams.set(self.worker.streams.get() + 1);
        caller.send(Outgoing::one(head)).await.map(drop)
    }

    async fn event(
        &mut self,
        caller: &mut Caller,
        name: &str,
        mut data: Vec<u8>,
        record: &mut Record,
    ) -> io::Result<()> {
        self.open(caller, record).await?;
        // An event's data ends at a line end, and JSON may have them between its tokens.
        for byte in data.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        let pieces: [&[u8]; 5] = [b"event: ", name.as_bytes(), b"\ndata: ", &data, b"\n\n"];
        self.chunk(caller, &pieces, record).await
    }

    async fn chunk(&self, caller: &mut Caller, pieces: &[&[u8]], record: &mut Record) -> io::Result<()> {
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut buffer = Buffer::with_room(bytes + encode::CHUNK_HEADROOM + CHUNK_END.len());
        let chunked = caller.takes_chunks();
        if chunked {
            buffer.extend(encode::chunk_prefix(bytes).as_bytes());
        }
        for piece in pieces {
            buffer.extend(piece);
        }
        if chunked {
            buffer.extend(CHUNK_END);
        }
        record.answer_bytes += bytes as u64;
        caller.send(Outgoing::one(buffer)).await.map(drop)
    }

    /// Sends the response, as the last event or as a document.
    async fn finish(
        &mut self,
        caller: &mut Caller,
        last: Final,
        record: &mut Record,
    ) -> Result<(), CallError> {
        record.error = kept(last.error.as_bytes());
        self.session = last.session;
        if self.opened {
            record.answer_bytes += last.body.len() as u64;
            self.worker.book(record).await;
            record.answer_bytes -= last.body.len() as u64;
            sent(self.event(caller, "message", last.body, record).await)?;
            return self.end(caller, record).await;
        }
        let mut lines: Vec<(&str, &[u8])> = Vec::new();
        if let Some(session) = &self.session {
            lines.push(("mcp-session-id", session.as_bytes()));
        }
        sent(caller.reply(record, last.status, "application/json", &lines, &last.body).await)
    }

    /// Ends an event stream.
    async fn end(&self, caller: &mut Caller, record: &mut Record) -> Result<(), CallError> {
        self.worker.book(record).await;
        if caller.takes_chunks() {
            sent(caller.send(Outgoing::one(Buffer::from(LAST_CHUNK))).await.map(drop))?;
        }
        Ok(())
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        if self.opened {
            self.worker.streams.set(self.worker.streams.get().saturating_sub(1));
        }
    }
}

fn sent(result: io::Result<()>) -> Result<(), CallError> {
    result.map_err(|fault| CallError::new(Code::RequestTimeout).source(fault))
}
