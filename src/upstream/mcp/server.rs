//! What is known of one MCP server: where it is, how to talk to it, whom it is shared with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::ServerName;
use crate::net::confine::Confines;
use crate::policy::residency::Place;
use crate::secret::Secret;
use crate::upstream::site::Site;

/// One server of `mcp_servers:`. Immutable; a reload makes new ones.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name in the config.
    pub name: ServerName,
    /// How it is reached.
    pub transport: Transport,
    /// Which era it speaks.
    pub era: EraChoice,
    /// Whether its annotations and its `public` cache scope are believed.
    pub trusted: bool,
    /// How long a call may go without a message before it is given up.
    pub call_deadline: Duration,
    /// Who shares a session or a process with whom.
    pub sharing: Sharing,
    /// How long a session or process of callers is kept without a call.
    pub idle: Duration,
    /// Where it runs.
    pub place: Arc<Place>,
}

impl Server {
    /// Whether the other is the same server spoken to in the same way, so that what is open can go on.
    pub fn is_same(&self, other: &Self) -> bool {
        let facts =
            |server: &Self| (server.era, server.trusted, server.call_deadline, server.sharing, server.idle);
        self.name == other.name
            && facts(self) == facts(other)
            && self.place == other.place
            && self.transport.is_same(&other.transport)
    }
}

impl Transport {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Http(one), Self::Http(two)) | (Self::Sse(one), Self::Sse(two)) => one.is_same(two),
            (Self::Stdio(one), Self::Stdio(two)) => one == two,
            (Self::OpenApi(one), Self::OpenApi(two)) => {
                let same = match (&one.document, &two.document) {
                    (Document::Text(one), Document::Text(two)) => one == two,
                    (Document::Remote(one), Document::Remote(two)) => one.is_same(two),
                    _ => false,
                };
                same && one.base.is_same(&two.base)
            }
            _ => false,
        }
    }
}

impl Remote {
    fn is_same(&self, other: &Self) -> bool {
        let way = |remote: &Self| {
            let proxy = remote.site.proxy.as_ref();
            proxy.map(|proxy| (proxy.host.clone(), proxy.port, proxy.authorization.clone()))
        };
        self.site.origin == other.site.origin
            && self.site.reach == other.site.reach
            && way(self) == way(other)
            && self.path == other.path
            && self.headers == other.headers
    }
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Transport {
    /// Streamable HTTP (revision 2025-03-26 and later).
    Http(Remote),
    /// HTTP+SSE (revision 2024-11-05): a GET stream that names where to POST.
    Sse(Remote),
    /// A child process, a message a line.
    Stdio(Program),
    /// No MCP server: an HTTP API with an OpenAPI description, whose operations become tools.
    OpenApi(Api),
}

/// A server behind HTTP.
#[derive(Clone)]
pub struct Remote {
    /// The connection.
    pub site: Arc<Site>,
    /// Path and query of the endpoint, beginning with a slash.
    pub path: String,
    /// Header lines of every request, names in lower case: credentials among them.
    pub headers: Vec<(String, Secret)>,
}

/// A server that we run.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// The command, looked up in the `PATH` of `env`, or of ours where `env` has none.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment beside `PATH`, `HOME`, `LANG`, `TZ`, `TMPDIR` and `USER`, which are ours.
    pub env: Vec<(String, Secret)>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// What it may have.
    pub confines: Confines,
}

/// Without its path and query, in which people put secrets.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { site, path: _, headers } = self;
        f.debug_struct("Remote").field("site", site).field("headers", headers).finish_non_exhaustive()
    }
}

/// Without its arguments, among which people put secrets.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, args, env, cwd, confines } = self;
        let mut out = f.debug_struct("Program");
        out.field("confines", confines);
        out.field("command", command).field("args", &args.len()).field("env", env).field("cwd", cwd).finish()
    }
}

/// An HTTP API.
#[derive(Clone, Debug)]
pub struct Api {
    /// The OpenAPI document.
    pub document: Document,
    /// Where its paths begin. Its `path` is what stands before those, so it has no slash at its end and is
    /// empty at the root.
    pub base: Remote,
}

/// Where an OpenAPI document is.
#[derive(Clone, Debug)]
pub enum Document {
    /// Its text, read with the config (JSON).
    Text(Arc<str>),
    /// To be fetched.
    Remote(Remote),
}

/// Which era a server is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EraChoice {
    /// Found out by asking.
    #[default]
    Auto,
    /// Revisions up to 2025-11-25.
    Legacy,
    /// Revision 2026-07-28.
    Modern,
}

/// Who shares a session with a legacy server, or the process of a server that we run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// All callers with the same client capabilities. A legacy program is then told of nobody's folders.
    #[default]
    Shared,
    /// Each key has its own.
    PerCaller,
}
