//! Connections to MCP servers: one face over Streamable HTTP, HTTP+SSE and the pipes of a child process.
//!
//! Bytes of whole JSON-RPC messages go out and come in. What they mean, which era they belong to and which id
//! they carry is decided by whoever calls; a pipe alone looks at ids, because it carries many calls at once.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc;

pub mod api;
pub mod backoff;
pub mod http;
pub mod pipe;
pub mod remarks;
#[cfg(test)]
mod scripted;
pub mod server;
pub mod sse;
pub mod stdio;

/// A message on its way to a server.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    /// The id that the message carries; for a request also its progress token. 0 for what is no request.
    pub id: u64,
    /// The JSON-RPC message, one document without a newline outside of strings.
    pub body: Vec<u8>,
    /// Header lines for a server behind HTTP: version, session, `mcp-method` and the like. A pipe ignores
    /// them.
    pub headers: Vec<(String, String)>,
    /// Whether an event stream that breaks off may be taken up again by `Last-Event-ID`: legacy only.
    pub resumable: bool,
}

/// What comes of a call, in this order: at most one `Head`, any number of `Message`s, at most one `Failed`.
/// Where a stream is listened to, an `EventId` or `Retry` may stand wherever a `Message` may.
#[derive(Debug)]
pub enum Incoming {
    /// The head of an HTTP answer. A pipe has none.
    Head {
        /// The status.
        status: u16,
        /// `Mcp-Session-Id`, when the server gives one.
        session: Option<String>,
    },
    /// A whole JSON-RPC message: what belongs to the call, or its response, after which nothing follows.
    Message(Vec<u8>),
    /// What to name as `Last-Event-ID` when a stream of unsolicited messages is opened anew; empty when the
    /// server takes back what it gave before. Said after the messages of its event, and by
    /// `http::HttpLink::listen` alone: a call that breaks off is taken up without its caller.
    EventId(String),
    /// How long the server wants us to wait before we open such a stream anew, within the bounds of
    /// `limits::MCP_RETRY_MIN` and `limits::MCP_RETRY_MAX`. Said as `EventId` is.
    Retry(Duration),
    /// The response to the request of this id is there and too large. Said by the receiver of a process
    /// alone, in place of the message, and known to the call as `Failed`.
    TooLarge(u64),
    /// No response will come.
    Failed(Failure),
}

/// Messages of one call, or of a stream of unsolicited ones. Dropping it gives the call up: an HTTP
/// connection is closed, a pipe forgets whom to tell.
pub type Messages = mpsc::Receiver<Incoming>;

/// Why a server did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection, no child process: the message has not been sent.
    #[error("it could not be reached: {0}")]
    Unreachable(#[source] io::Error),
    /// The connection or the process ended before the response.
    #[error("it ended before it answered")]
    Ended,
    /// Nothing came in time.
    #[error("it did not answer in time")]
    TimedOut,
    /// An HTTP status that is no success, with no JSON-RPC error in its body.
    #[error("it answered with status {status}")]
    Status {
        /// The status.
        status: u16,
        /// The beginning of its body, for the log.
        body: String,
        /// `WWW-Authenticate`, when there is one.
        challenge: Option<String>,
    },
    /// A message over `limits::MCP_MESSAGE_BYTES_MAX`.
    #[error("it sent a message that is too large")]
    TooLarge,
    /// Something that is not HTTP, not an event stream or not JSON.
    #[error("it sent what cannot be understood: {0}")]
    Garbage(String),
}

impl Failure {
    /// Whether the call cannot have run, so that sending it again does nothing twice.
    pub const fn is_unsent(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}
