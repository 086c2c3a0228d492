//! One conversation with a server in one era: a modern endpoint, a session of a legacy one, or a process.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;

use crate::clock;
use crate::limits;
use crate::mcp::bridge::capabilities::CapabilitySet;
use crate::mcp::bridge::levels::Level;
use crate::mcp::bridge::opening::ServerFacts;
use crate::mcp::message::{self, Kind};
use crate::mcp::mirror::encode_value;
use crate::mcp::rpc;
use crate::mcp::version::Version;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::http::HttpLink;
use crate::upstream::mcp::pipe::PipeLink;
use crate::upstream::mcp::{Failure, Incoming, Messages, Outbound};

/// The two shapes of connection behind one face.
pub(super) enum Link {
    /// A request and its answer each time.
    Http(Rc<HttpLink>),
    /// Many calls over one pair of streams.
    Pipe(Rc<PipeLink>),
}

impl Link {
    pub(super) fn call(&self, permit: &PlacedPermit, out: Outbound) -> Messages {
        match self {
            Self::Http(link) => link.call(permit, out),
            Self::Pipe(link) => link.call(permit, out),
        }
    }

    /// A call that may be silent for hours.
    pub(super) fn subscribe(&self, permit: &PlacedPermit, out: Outbound) -> Messages {
        match self {
            Self::Http(link) => link.subscribe(permit, out),
            Self::Pipe(link) => link.call(permit, out),
        }
    }

    pub(super) async fn post(&self, permit: &PlacedPermit, out: Outbound) -> Result<(), Failure> {
        match self {
            Self::Http(link) => link.post(permit, out).await,
            Self::Pipe(link) => link.post(permit, out).await,
        }
    }
}

/// A call under way on a channel: whom a request of the server belongs to.
#[derive(Clone)]
pub(super) struct InFlight {
    /// The key behind the call.
    pub(super) key_id: Arc<str>,
    /// Takes requests of the server that did not come on the call's own stream.
    pub(super) asks: Sender<Vec<u8>>,
}

/// A conversation that has begun.
pub(super) struct Channel {
    pub(super) link: Link,
    /// The revision that is spoken.
    pub(super) version: Version,
    /// What the server says of itself.
    pub(super) facts: ServerFacts,
    /// `Mcp-Session-Id` of a legacy server that gave one.
    pub(super) session: Option<String>,
    /// Calls under way, by our id.
    pub(super) in_flight: RefCell<HashMap<u64, InFlight>>,
    /// Keys whose calls have ended without the server's response, and until when it may still ask about them.
    ghosts: RefCell<Vec<(Arc<str>, Instant)>>,
    /// When it was last used.
    pub(super) used: Cell<Instant>,
    /// Whether it is of no use any more: the session is gone or the process has ended.
    pub(super) closed: Cell<bool>,
    /// Rings once the stream of unsolicited messages is open, or is known not to be.
    pub(super) listening: Notify,
    /// What a legacy server has been told to log.
    pub(super) log_level: Cell<Option<Level>>,
    /// Until when it is kept although nobody calls, because it has tasks that callers may ask for.
    pub(super) kept_until: Cell<Option<Instant>>,
    /// What wakes those who wait for a task, by the server's id of it.
    pub(super) waited_for: RefCell<HashMap<String, Rc<Notify>>>,
}

/// Why a request of our own has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoResult {
    /// The server answered with an error.
    #[error("it answered with error {code}: {message}")]
    Refused {
        code: i64,
        message: String,
        /// `data`, as written.
        data: Vec<u8>,
    },
    /// It did not answer.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// A result with the message around it.
pub(super) struct Answered {
    pub(super) doc: Vec<u8>,
    pub(super) result: Range<usize>,
    pub(super) session: Option<String>,
}

impl Answered {
    /// The bytes of the result.
    pub(super) fn result(&self) -> &[u8] {
        self.doc.get(self.result.clone()).unwrap_or_default()
    }
}

impl Channel {
    pub(super) fn new(link: Link, version: Version, facts: ServerFacts, session: Option<String>) -> Self {
        Self {
            link,
            version,
            facts,
            session,
            in_flight: RefCell::default(),
            ghosts: RefCell::default(),
            used: Cell::new(clock::now()),
            closed: Cell::new(false),
            listening: Notify::new(),
            log_level: Cell::new(None),
            kept_until: Cell::new(None),
            waited_for: RefCell::default(),
        }
    }

    /// Whether it can take another call.
    pub(super) fn is_open(&self) -> bool {
        !self.closed.get()
            && match &self.link {
                Link::Http(_) => true,
                Link::Pipe(link) => !link.is_closed(),
            }
    }

    /// The header lines of a message on this channel.
    pub(super) fn headers(&self, method: &str, name: Option<&str>) -> Vec<(String, String)> {
        headers(self.version, self.session.as_deref(), method, name)
    }

    /// Sends what expects no answer; a failure is of no interest then.
    pub(super) async fn tell(&self, permit: &PlacedPermit, body: Vec<u8>, method: &str) {
        let out = Outbound { id: 0, body, headers: self.headers(method, None), resumable: false };
        drop(self.link.post(permit, out).await);
    }

    /// The one caller whose calls are under way, newest call first; `None` when there are several callers
    /// or none, so that nobody is asked what another should be.
    pub(super) fn only_caller(&self) -> Option<InFlight> {
        let in_flight = self.in_flight.borrow();
        let newest = in_flight.iter().max_by_key(|(id, _)| **id)?.1;
        let now = clock::now();
        self.ghosts.borrow_mut().retain(|(_, until)| *until > now);
        let alone = in_flight.values().all(|other| other.key_id == newest.key_id)
            && self.ghosts.borrow().iter().all(|(key_id, _)| *key_id == newest.key_id);
        alone.then(|| newest.clone())
    }

    /// Notes that a call of this key has ended here only: what the server asks next may be about it.
    pub(super) fn haunt(&self, key_id: Arc<str>, now: Instant) {
        let mut ghosts = self.ghosts.borrow_mut();
        ghosts.retain(|(other, until)| *until > now && *other != key_id);
        ghosts.push((key_id, now + limits::MCP_GHOST));
    }
}

/// What we offer a server when we ask for its lists: everything, since some show less to those who offer
/// less. A call is made with what its own caller declares.
pub(super) const ALL_CAPABILITIES: CapabilitySet = CapabilitySet::FORM
    .with(CapabilitySet::URL)
    .with(CapabilitySet::SAMPLING)
    .with(CapabilitySet::SAMPLING_TOOLS)
    .with(CapabilitySet::SAMPLING_CONTEXT)
    .with(CapabilitySet::ROOTS);

/// What we call ourselves, `clientInfo` and `serverInfo` alike.
pub(super) const OUR_INFO: &str =
    concat!("{\"name\":\"tollgate\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");

/// `params` of a request of our own. `members` are further ones, written out, without braces.
pub(super) fn own_params(version: Version, members: &str) -> Vec<u8> {
    if !version.is_modern() {
        return format!("{{{members}}}").into_bytes();
    }
    let comma = if members.is_empty() { "" } else { "," };
    let capabilities = String::from_utf8(ALL_CAPABILITIES.write()).unwrap_or_default();
    let (named, asks, declares) =
        (message::PROTOCOL_VERSION, message::CLIENT_INFO, message::CLIENT_CAPABILITIES);
    format!(
        "{{\"_meta\":{{\"{named}\":\"{version}\",\"{asks}\":{OUR_INFO},\"{declares}\":{capabilities}}}\
         {comma}{members}}}",
        version = version.as_str()
    )
    .into_bytes()
}

/// The header lines that a message needs in an era.
pub(super) fn headers(
    version: Version,
    session: Option<&str>,
    method: &str,
    name: Option<&str>,
) -> Vec<(String, String)> {
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut lines = Vec::with_capacity(3);
    if version.is_modern() {
        lines.push(line("mcp-protocol-version", version.as_str()));
        lines.push(line("mcp-method", method));
        if let Some(name) = name {
            lines.push(line("mcp-name", &encode_value(name)));
        }
        return lines;
    }
    if version >= Version::V2025_06_18 && method != "initialize" {
        lines.push(line("mcp-protocol-version", version.as_str()));
    }
    if let Some(session) = session {
        lines.push(line("mcp-session-id", session));
    }
    lines
}

/// Makes a request of our own and waits for its result; what else comes on its stream is passed over.
pub(super) async fn request(
    link: &Link,
    permit: &PlacedPermit,
    id: u64,
    lines: Vec<(String, String)>,
    (method, params): (&str, &[u8]),
) -> Result<Answered, NoResult> {
    let mut body = Vec::with_capacity(params.len() + 96);
    rpc::write_request(&mut body, id, method, Some(params));
    let mut messages = link.call(permit, Outbound { id, body, headers: lines, resumable: false });
    let mut session = None;
    while let Some(incoming) = messages.recv().await {
        match incoming {
            Incoming::Head { session: given, .. } => session = given,
            Incoming::Failed(failure) => return Err(failure.into()),
            Incoming::EventId(_) | Incoming::Retry(_) | Incoming::TooLarge(_) => {}
            Incoming::Message(doc) => {
                let Ok(read) = message::read(&doc) else {
                    return Err(Failure::Garbage("no JSON-RPC message".to_owned()).into());
                };
                match (read.kind, read.result, read.error) {
                    (Kind::Result, Some(result), _) => return Ok(Answered { doc, result, session }),
                    (Kind::Error, _, Some(error)) => {
                        let Ok(error) = message::read_error(&doc, error) else {
                            return Err(Failure::Garbage("no error object".to_owned()).into());
                        };
                        let text = error.message.and_then(|place| message::text(&doc, place));
                        return Err(NoResult::Refused {
                            code: error.code,
                            message: text.unwrap_or_default().into_owned(),
                            data: error.data.and_then(|place| doc.get(place)).unwrap_or_default().to_vec(),
                        });
                    }
                    _ => {}
                }
            }
        }
    }
    Err(Failure::Ended.into())
}
