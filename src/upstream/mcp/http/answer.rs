//! One request to an MCP server behind HTTP, and its answer's body piece by piece.

use std::cell::Cell;
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::clock;
use crate::http::body::Decoder;
use crate::http::encode::{Fields, UpstreamRequest, request_head};
use crate::http::head::{Framing, ResponseHead};
use crate::limits::{self, Timeouts};
use crate::net::buffer::Buffer;
use crate::net::deadline::Deadline;
use crate::policy::residency::PlacedPermit;
use crate::upstream::exchange::{self, Exchange};
use crate::upstream::mcp::Failure;
use crate::upstream::mcp::server::Remote;
use crate::upstream::mcp::sse::endpoint;
use crate::upstream::message::Message;
use crate::upstream::pool::{Connection, Pool};
use crate::upstream::site::Site;

/// What both kinds of answer are asked for by.
pub(in crate::upstream::mcp) const ACCEPT_ANY: &str = "application/json, text/event-stream";

/// What a stream alone is asked for by.
pub(in crate::upstream::mcp) const ACCEPT_EVENTS: &str = "text/event-stream";

/// What every JSON-RPC message is.
pub(in crate::upstream::mcp) const JSON: &str = "application/json";

const USER_AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));

/// Headers that we write ourselves, whatever the config of a server holds.
const OURS: &[&str] = &[
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
    "accept",
    "accept-encoding",
    "last-event-id",
];

/// A server behind HTTP and what is needed to ask it.
#[derive(Debug)]
pub(in crate::upstream::mcp) struct Door {
    pub(in crate::upstream::mcp) pool: Rc<Pool>,
    pub(in crate::upstream::mcp) remote: Remote,
    pub(in crate::upstream::mcp) timeouts: Timeouts,
    /// Where the server has led us instead of the path of `remote`.
    moved: RefCell<Option<String>>,
}

/// A request on its way.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream::mcp) struct Request<'a> {
    pub(in crate::upstream::mcp) method: &'static str,
    pub(in crate::upstream::mcp) path: &'a str,
    pub(in crate::upstream::mcp) accept: &'a str,
    /// What the body is; empty where it is not to be said.
    pub(in crate::upstream::mcp) content_type: &'a str,
    pub(in crate::upstream::mcp) headers: &'a [(String, String)],
    pub(in crate::upstream::mcp) last_event_id: Option<&'a str>,
    /// Nothing where the method has no body.
    pub(in crate::upstream::mcp) body: Option<&'a [u8]>,
    /// As in `Exchange`.
    pub(in crate::upstream::mcp) again: bool,
}

/// How long the server may go without a message.
#[derive(Debug)]
pub(in crate::upstream::mcp) struct Silence {
    /// Nothing where it may be silent for as long as it likes.
    after: Option<Duration>,
    due: Instant,
    deadline: Deadline,
}

/// A stream that nobody waits for may rest, but its head is still awaited for a day at most.
const FOREVER: Duration = Duration::from_millis(limits::TIMEOUT_MS_MAX);

impl Silence {
    /// Nothing for `after` from now, or from the last message, is too long.
    pub(in crate::upstream::mcp) fn new(after: Option<Duration>) -> Self {
        let patience = after.unwrap_or(FOREVER);
        Self { after, due: clock::now() + patience, deadline: Deadline::new(patience) }
    }

    /// A message has come, or one that had come was taken.
    pub(in crate::upstream::mcp) fn broken(&mut self) {
        if let Some(after) = self.after {
            self.due = clock::now() + after;
            self.deadline.set_at(self.due);
        }
    }

    /// Runs until `wish` is over; false when the silence was too long before.
    pub(in crate::upstream::mcp) async fn pause(&mut self, wish: Duration) -> bool {
        let passed = poll_fn(|cx| self.deadline.poll_passed(cx));
        if self.after.is_none() {
            tokio::time::sleep(wish).await;
            return true;
        }
        timeout(wish, passed).await.is_err()
    }

    fn left(&self) -> Duration {
        self.after.map_or(FOREVER, |_| self.due.saturating_duration_since(clock::now()))
    }
}

/// What the body of an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream::mcp) enum Content {
    /// One JSON document.
    Json,
    /// An event stream.
    Events,
    /// Anything else: its type, as far as it goes into a log.
    Other(String),
}

/// An answer whose head has been read.
#[derive(Debug)]
pub(in crate::upstream::mcp) struct Answer {
    pub(in crate::upstream::mcp) status: u16,
    pub(in crate::upstream::mcp) session: Option<String>,
    pub(in crate::upstream::mcp) challenge: Option<String>,
    /// `Location`, of an answer that leads elsewhere.
    location: Option<String>,
    pub(in crate::upstream::mcp) content: Content,
    /// `max-age` of `Cache-Control`, seconds.
    pub(in crate::upstream::mcp) max_age_s: Option<u64>,
    /// Nothing once it is back in its pool.
    connection: Option<Connection>,
    site: Arc<Site>,
    keep_alive: bool,
    decoder: Decoder,
    ended: bool,
}

impl Door {
    /// A door that nobody has gone through yet.
    pub(in crate::upstream::mcp) fn new(pool: Rc<Pool>, remote: Remote, timeouts: Timeouts) -> Self {
        Self { pool, remote, timeouts, moved: RefCell::default() }
    }

    /// Asks, and waits for the head of the answer for as long as `silence` may last. A server that has the
    /// same thing elsewhere on the same origin (307, 308) is followed there, once; many have it behind a
    /// slash. It has not done anything by then, and later requests go there at once.
    ///
    /// # Errors
    /// `Unreachable`, `Ended`, `TimedOut` and, for what is not HTTP, `Garbage`.
    pub(in crate::upstream::mcp) async fn ask(
        &self,
        permit: &PlacedPermit,
        request: &Request<'_>,
        silence: &mut Silence,
    ) -> Result<Answer, Failure> {
        let moved = self.moved.borrow().clone().filter(|_| request.path == self.remote.path);
        let request = Request { path: moved.as_deref().unwrap_or(request.path), ..*request };
        let mut answer = self.ask_once(permit, &request, silence).await?;
        let place = answer.location.take().filter(|_| matches!(answer.status, 307 | 308));
        let Some(Ok(place)) = place.map(|place| endpoint(&self.remote, place.as_bytes())) else {
            return Ok(answer);
        };
        drop(answer.read_off(&self.pool).await);
        let there = Request { path: &place, ..request };
        let answer = self.ask_once(permit, &there, silence).await?;
        if !matches!(answer.status, 307 | 308) && request.path == self.remote.path {
            *self.moved.borrow_mut() = Some(place);
        }
        Ok(answer)
    }

    /// The same without following anybody anywhere.
    ///
    /// # Errors
    /// Those of `ask`.
    pub(in crate::upstream::mcp) async fn ask_once(
        &self,
        permit: &PlacedPermit,
        request: &Request<'_>,
        silence: &mut Silence,
    ) -> Result<Answer, Failure> {
        let head = Buffer::from(self.head_of(request).as_slice());
        let message = match request.body {
            Some(body) if !body.is_empty() => {
                let body = Buffer::from(body);
                let all = 0..body.len();
                Message::with_body(head, [Some((Rc::new(body), all)), None, None])
            }
            _ => Message::bare(head),
        };
        let timeouts = Timeouts { first_byte: silence.left(), ..self.timeouts };
        let site = &self.remote.site;
        let sent = Cell::default();
        let exchange = Exchange {
            permit,
            site,
            message: &message,
            timeouts: &timeouts,
            again: request.again,
            sent: &sent,
        };
        let mut head = Box::new(ResponseHead::new());
        let asked = exchange.run(&self.pool, &mut head, &mut silence.deadline).await;
        let mut connection = asked.map_err(|failure| match failure {
            exchange::Failure::Unreachable(fault) => Failure::Unreachable(fault),
            exchange::Failure::Closed(_) => Failure::Ended,
            exchange::Failure::NotHttp(refusal) => Failure::Garbage(refusal.to_string()),
            exchange::Failure::TimedOut => Failure::TimedOut,
        })?;
        silence.deadline.set_at(silence.due);
        let input = connection.stream.input();
        let first = |name| head.headers.first(input, name);
        let (session, challenge) = (first("mcp-session-id"), first("www-authenticate"));
        let location = first("location").map(|value| String::from_utf8_lossy(value).into_owned());
        let mut answer = Answer {
            status: head.status,
            session: session.and_then(session_id),
            challenge: challenge.map(|value| String::from_utf8_lossy(value).into_owned()),
            location,
            content: Content::of(first("content-type").unwrap_or_default()),
            max_age_s: first("cache-control").and_then(max_age_s),
            connection: None,
            site: Arc::clone(site),
            keep_alive: head.keep_alive,
            // What answers a HEAD has the head of a GET, and nothing behind it.
            decoder: Decoder::new(if request.method == "HEAD" { Framing::None } else { head.framing }),
            ended: false,
        };
        answer.ended = answer.decoder.at_end();
        connection.stream.consume(head.bytes);
        answer.connection = Some(connection);
        Ok(answer)
    }

    fn head_of(&self, request: &Request<'_>) -> Vec<u8> {
        let mut lines: Vec<(&str, &[u8])> = vec![("accept", request.accept.as_bytes())];
        if request.body.is_some() && !request.content_type.is_empty() {
            lines.push(("content-type", request.content_type.as_bytes()));
        }
        if let Some(id) = request.last_event_id {
            lines.push(("last-event-id", id.as_bytes()));
        }
        let asked = request.headers;
        let is_asked = |name: &str| asked.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let is_ours = |name: &str| OURS.iter().any(|own| own.eq_ignore_ascii_case(name));
        let known = &self.remote.headers;
        if !is_asked("user-agent") && !known.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            lines.push(("user-agent", USER_AGENT.as_bytes()));
        }
        for (name, value) in known.iter().filter(|(name, _)| !is_ours(name) && !is_asked(name)) {
            lines.push((name, value.expose().as_bytes()));
        }
        for (name, value) in asked.iter().filter(|(name, _)| !is_ours(name)) {
            lines.push((name, value.as_bytes()));
        }
        let request = UpstreamRequest {
            method: request.method,
            path: &[request.path.as_bytes()],
            query: None,
            host: &self.remote.site.host,
            credential: None,
            extra: &lines,
            content_length: request.body.map(|body| body.len() as u64),
        };
        let mut out = Vec::new();
        request_head(&mut out, &request, Fields::NONE);
        out
    }
}

/// The seconds of `max-age` (RFC 9111 section 5.2.2.1).
fn max_age_s(value: &[u8]) -> Option<u64> {
    let mut directives = str::from_utf8(value).ok()?.split(',').map(str::trim);
    directives.find_map(|one| one.strip_prefix("max-age=")?.trim_matches('"').parse().ok())
}

impl Content {
    fn of(value: &[u8]) -> Self {
        let essence = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::Events
        } else {
            Self::Other(beginning(essence))
        }
    }
}

impl Answer {
    /// Whether the server took the request.
    pub(in crate::upstream::mcp) const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Whether the body has been read to its end.
    pub(in crate::upstream::mcp) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Hands on more of the body, unless it has ended.
    ///
    /// # Errors
    /// `Ended` when the connection breaks off inside the body, `TimedOut`, `Garbage` for broken framing.
    pub(in crate::upstream::mcp) async fn more(
        &mut self,
        silence: &mut Silence,
        take: impl FnOnce(&[u8]),
    ) -> Result<(), Failure> {
        if self.ended {
            return Ok(());
        }
        let stream = &mut self.connection.as_mut().ok_or(Failure::Ended)?.stream;
        if stream.input().is_empty() {
            let limited = silence.after.is_some();
            let filled = poll_fn(|cx| {
                // First of all, since a server that never pauses must not get around it.
                if limited && silence.deadline.poll_passed(cx).is_ready() {
                    return Poll::Ready(None);
                }
                stream.poll_fill(cx, limits::STREAM_READ_BYTES / 2).map(Some)
            });
            match filled.await {
                None => return Err(Failure::TimedOut),
                Some(Ok(0)) => {
                    self.ended = true;
                    self.keep_alive = false;
                    return self.decoder.on_eof().map_err(|_premature| Failure::Ended);
                }
                Some(Ok(_)) => {}
                Some(Err(_fault)) => return Err(Failure::Ended),
            }
        }
        let mut raw = stream.take_input();
        let decoded =
            self.decoder.decode(raw.filled_mut()).map_err(|fault| Failure::Garbage(fault.to_string()))?;
        take(raw.filled().get(decoded.body).unwrap_or_default());
        raw.consume(decoded.consumed);
        stream.put_input(raw);
        self.ended = decoded.done;
        Ok(())
    }

    /// The whole body.
    ///
    /// # Errors
    /// Those of `more`, and `TooLarge` beyond `limits::MCP_MESSAGE_BYTES_MAX`.
    pub(in crate::upstream::mcp) async fn whole(
        &mut self,
        silence: &mut Silence,
    ) -> Result<Vec<u8>, Failure> {
        let bytes_max = limits::MCP_MESSAGE_BYTES_MAX;
        let mut body = Vec::new();
        if self.decoder.wants().is_some_and(|bytes| bytes > bytes_max as u64) {
            return Err(Failure::TooLarge);
        }
        while !self.ended {
            self.more(silence, |bytes| body.extend_from_slice(bytes)).await?;
            if body.len() > bytes_max {
                return Err(Failure::TooLarge);
            }
        }
        Ok(body)
    }

    /// What can be had of the body without much ado: at most about `limits::MCP_REFUSAL_BYTES_MAX`, for no
    /// longer than `limits::MCP_TAIL_DEADLINE`. A connection that comes to its end by that is kept.
    pub(in crate::upstream::mcp) async fn read_off(&mut self, pool: &Pool) -> Vec<u8> {
        let mut body = Vec::new();
        let mut silence = Silence::new(Some(limits::MCP_TAIL_DEADLINE));
        while !self.ended && body.len() < limits::MCP_REFUSAL_BYTES_MAX {
            if self.more(&mut silence, |bytes| body.extend_from_slice(bytes)).await.is_err() {
                break;
            }
        }
        self.give_back(pool);
        body
    }

    /// The failure that an answer is which is no success, and whose body is this.
    pub(in crate::upstream::mcp) fn as_failure(&mut self, body: &[u8]) -> Failure {
        Failure::Status { status: self.status, body: beginning(body), challenge: self.challenge.take() }
    }

    /// Keeps the connection for the next request when the body has been read to its end, else nothing.
    pub(in crate::upstream::mcp) fn give_back(&mut self, pool: &Pool) {
        if self.ended
            && self.keep_alive
            && let Some(connection) = self.connection.take()
        {
            pool.give_back(&self.site, connection, clock::now());
        }
    }
}

/// A session id by the letter of the specification: visible ASCII.
fn session_id(value: &[u8]) -> Option<String> {
    let fits = (1..=limits::MCP_SESSION_ID_BYTES_MAX).contains(&value.len());
    let visible = value.iter().all(u8::is_ascii_graphic);
    (fits && visible).then(|| String::from_utf8_lossy(value).into_owned())
}

/// As much of a server's words as goes into a log.
fn beginning(text: &[u8]) -> String {
    let cut = text.get(..limits::RECORD_TEXT_BYTES_MAX).unwrap_or(text);
    String::from_utf8_lossy(cut).into_owned()
}
