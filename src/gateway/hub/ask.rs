//! What a core asks the hub, and what comes back: the only way between the two.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use crate::call::{Class, Written};
use crate::gateway::record::kind_of_method;
use crate::identity::principal::Principal;
use crate::ids::ServerName;
use crate::ledger::entry::Kind;
use crate::mcp::auto::Client;
use crate::mcp::headers::{Given, Headers};
use crate::mcp::view::Entry;
use crate::policy::residency::Place;

/// One HTTP request to an MCP endpoint, read whole and checked as far as HTTP goes.
#[derive(Debug)]
pub(in crate::gateway) struct Ask {
    /// Who calls.
    pub(in crate::gateway) principal: Principal,
    /// The one server that the address names; without one, all that the caller may see.
    pub(in crate::gateway) scope: Option<ServerName>,
    /// What is asked.
    pub(in crate::gateway) verb: Verb,
    /// The header lines that matter.
    pub(in crate::gateway) facts: HeadFacts,
    /// Where the answer goes. Dropping the other end hangs up.
    pub(in crate::gateway) reply: Sender<Reply>,
}

/// The methods and forms of an MCP endpoint.
#[derive(Debug)]
pub(in crate::gateway) enum Verb {
    /// A message, or a batch of them.
    Post(Vec<u8>),
    /// The stream of a legacy session.
    Get,
    /// The end of a legacy session.
    Delete,
    /// The stream of the HTTP+SSE transport; the text is the path to post to, without its query.
    OpenSse(String),
    /// A message for the HTTP+SSE transport.
    PostSse(Vec<u8>),
}

/// Header lines of MCP, as they came; of those that may stand once every one, so that the hub can say so.
#[derive(Debug, Default)]
pub(in crate::gateway) struct HeadFacts {
    /// `MCP-Protocol-Version`.
    pub(in crate::gateway) version: Vec<Vec<u8>>,
    /// `Mcp-Session-Id`, or `sessionId` of the HTTP+SSE transport's query.
    pub(in crate::gateway) session: Option<String>,
    /// `Mcp-Method`.
    pub(in crate::gateway) method: Vec<Vec<u8>>,
    /// `Mcp-Name`.
    pub(in crate::gateway) name: Vec<Vec<u8>>,
    /// `Mcp-Param-*`: names and values.
    pub(in crate::gateway) params: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the client asks a person where the definition of a tool says so.
    pub(in crate::gateway) can_ask: bool,
    /// The client, by its `User-Agent`.
    pub(in crate::gateway) client: Client,
}

impl HeadFacts {
    /// The headers that every modern request has.
    pub(in crate::gateway) fn standard(&self) -> Headers<'_> {
        Headers { version: given(&self.version), method: given(&self.method), name: given(&self.name) }
    }
}

fn given(values: &[Vec<u8>]) -> Given<'_> {
    Given::of(values.iter().map(Vec::as_slice))
}

/// A step of an answer. After `Final`, `Accepted`, `Refused` or `End` nothing follows.
#[derive(Debug)]
pub(in crate::gateway) enum Reply {
    /// What the call is about, for the record; before anything else.
    About(Box<About>),
    /// What the call is charged.
    Charged(Charged),
    /// What was found, masked or refused in what is said.
    Marks(String),
    /// Begins an event stream although there is nothing to send yet.
    Open,
    /// A message into the event stream, which begins with it if it has not.
    Event(Vec<u8>),
    /// An event with a name of its own: HTTP+SSE's `endpoint`.
    Named(&'static str, Vec<u8>),
    /// The response: the last event of a stream that has begun, a JSON document otherwise.
    Final(Box<Final>),
    /// There is nothing to say: 202, or the end of the stream.
    Accepted,
    /// The stream ends.
    End,
}

/// A response and the head that carries it when no stream has begun.
#[derive(Debug)]
pub(in crate::gateway) struct Final {
    /// HTTP status, 200 unless a modern error says otherwise.
    pub(in crate::gateway) status: u16,
    /// The session that `initialize` has opened.
    pub(in crate::gateway) session: Option<String>,
    /// The JSON-RPC message, or several in an array.
    pub(in crate::gateway) body: Vec<u8>,
    /// What went wrong, for the log.
    pub(in crate::gateway) error: String,
}

/// What a call is about.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct About {
    /// The method's name.
    pub(in crate::gateway) method: &'static str,
    /// The server that serves it.
    pub(in crate::gateway) server: Option<ServerName>,
    /// Tool, prompt or resource, by the server's own name for it.
    pub(in crate::gateway) name: String,
    /// Claude Code's id of the tool call.
    pub(in crate::gateway) tool_use_id: String,
    /// The protocol version that the caller speaks.
    pub(in crate::gateway) version: &'static str,
    /// Beginning of the hash of the tool's definition.
    pub(in crate::gateway) tool_hash: String,
    /// What the tool does to the world, as policy takes it.
    pub(in crate::gateway) class: Class,
    /// What was decided, and by which rule.
    pub(in crate::gateway) decision: String,
    /// What was found, masked or denied in its arguments.
    pub(in crate::gateway) marks: String,
    /// What it is charged.
    pub(in crate::gateway) charged: Charged,
    /// Where the server runs.
    pub(in crate::gateway) place: Option<Arc<Place>>,
    /// What a search sought: this one, or the one that has found the tool.
    pub(in crate::gateway) sought: String,
    /// Of the first page of a list of tools, how these are written.
    pub(in crate::gateway) written: Option<Written>,
}

/// What a call of a tool is charged.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct Charged {
    /// Pico-dollars.
    pub(in crate::gateway) cost_pico: u64,
    /// The budgets.
    pub(in crate::gateway) budgets: Vec<String>,
}

impl About {
    /// What it is to the ledger; `None` for messages that it does not have.
    pub(in crate::gateway) fn kind(&self) -> Option<Kind> {
        if self.written.is_some() { Some(Kind::ToolList) } else { kind_of_method(self.method) }
    }

    /// Notes that it is a list of tools, of which the ledger has the first page: at which address, and how
    /// they are written.
    pub(in crate::gateway) fn note_list(
        &mut self,
        scope: Option<&ServerName>,
        is_first: bool,
        written: Written,
    ) {
        if is_first {
            self.server = scope.cloned();
            self.written = Some(written);
        }
    }

    /// Notes which tool it is.
    pub(in crate::gateway) fn note_tool(&mut self, tool: &Entry) {
        // As many digits as `tollgate tools list` shows.
        self.tool_hash = format!("{:032x}", tool.definition.canonical_hash());
        self.tool_hash.truncate(TOOL_HASH_DIGITS);
        self.class = tool.class;
    }
}

/// Digits of a definition's hash that people are shown.
const TOOL_HASH_DIGITS: usize = 12;
