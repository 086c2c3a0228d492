//! What all MCP servers of a config offer, found out once, without serving anybody.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::call::ToolMode;
use crate::config::load::Loaded;
use crate::gateway::hub;
use crate::gateway::log::{CoreLog, Sink};
use crate::gateway::published::Published;
use crate::mcp::lean::cost::Cost;
use crate::mcp::sealed::SealingKey;
use crate::net::engine::EngineChoice;
use crate::net::runtime::Runtime;

/// What is to be found out.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// The one server to ask; without it all of them.
    pub server: Option<&'a str>,
    /// How long servers have to start and to list, all at the same time.
    pub patience: Duration,
    /// Whether to count tokens.
    pub count: bool,
    /// Whether the lines of the log go to standard error, what servers say there among them.
    pub log: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The servers, in the order of the config.
    pub servers: Vec<ServerFound>,
    /// Their tools in the order of the names that callers use: those of `/mcp`, or of `/mcp/NAME` where one
    /// server was asked.
    pub tools: Vec<ToolFound>,
    /// Where the config says `tools: auto`: who gets which mode, for a catalog of this size.
    pub chosen: Vec<(&'static str, ToolMode)>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFound {
    /// Its name in the config.
    pub name: String,
    /// Whether its lists can be had.
    pub health: Health,
    /// `legacy` or `modern`, or `openapi` for an HTTP API; empty while it is not known.
    pub era: &'static str,
    /// The revision that is spoken; empty where there is none.
    pub version: &'static str,
    /// How many tools it lists, hidden ones among them.
    pub tools: usize,
    /// Tools that are left out, and why; at most `limits::MCP_LEFT_OUT_MAX`.
    pub left_out: Vec<String>,
    /// How long that took.
    pub took: Duration,
}

/// How a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It has listed what it offers.
    Fine,
    /// It has, and has failed since: why.
    Stale(String),
    /// It has not: why.
    Unreachable(String),
}

/// One tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolFound {
    /// Its name for callers.
    pub exposed: String,
    /// The server's name for it.
    pub name: String,
    /// The name of the server.
    pub server: String,
    /// Bytes of its definition as callers get it.
    pub bytes: usize,
    /// Bytes of what clients show their model of that: name, description and input schema.
    pub shown_bytes: usize,
    /// The hash of the canonical form of what the server wrote.
    pub hash: u128,
    /// Whether the server says that it changes nothing.
    pub read_only: Option<bool>,
    /// Whether the server says that what it changes may be lost.
    pub destructive: Option<bool>,
    /// Its description for callers, as it stands there: anything.
    pub description: String,
    /// Kinds of hints in its definition, such as `instruction, secrecy`.
    pub marks: String,
    /// How its definition is written for callers of no team.
    pub mode: ToolMode,
    /// What it takes of a prompt, where that was wished.
    pub cost: Option<Cost>,
}

/// Why nothing could be found out.
#[derive(Debug, thiserror::Error)]
pub enum SurveyFault {
    /// The config has no server of this name.
    #[error("the config has no MCP server {0:?}; known: {1}")]
    NoServer(String, String),
    /// No runtime, no thread, no randomness.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

/// Starts the servers, lists them all at once, tells of each as soon as it is known, and ends them.
///
/// # Errors
/// [`SurveyFault`]; a server that cannot be listed is none.
pub fn survey(
    loaded: Loaded,
    wish: Wish<'_>,
    tell: &mut dyn FnMut(&ServerFound),
) -> Result<Survey, SurveyFault> {
    let Loaded { mut snapshot, fixed, .. } = loaded;
    if let Some(wanted) = wish.server {
        let servers = &mut snapshot.mcp.servers;
        let known: Vec<String> = servers.iter().map(|known| known.server.name.to_string()).collect();
        servers.retain(|known| known.server.name.as_str() == wanted);
        if servers.is_empty() {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(SurveyFault::NoServer(wanted.to_owned(), known));
        }
    }
    let (log, log_thread) = if wish.log {
        let (sink, thread) = Sink::start(fixed.log)?;
        (sink, Some(thread))
    } else {
        (Sink::nowhere(), None)
    };
    let seal = SealingKey::generate().map_err(|fault| SurveyFault::Start(io::Error::other(fault)))?;
    let published = Arc::new(Published::new(snapshot));
    let found = {
        let (runtime, _) = Runtime::new(EngineChoice::Epoll)?;
        let hub = hub::Hub::survey(CoreLog::new(log), published, seal, wish, tell);
        runtime.block_on(hub)
    };
    if let Some(thread) = log_thread {
        // It has written all there is once the last sink is gone.
        drop(thread.join());
    }
    Ok(found)
}
