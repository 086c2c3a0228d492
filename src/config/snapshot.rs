//! What the process runs on: facts without defaults or references left to resolve, never changed, only
//! replaced.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::call::ToolChoice;
use crate::config::credentials::Sources;
use crate::config::defaults;
use crate::config::identity::Identity;
use crate::config::pinning::Pinning;
use crate::config::shown::Shown;
use crate::glob::Glob;
use crate::identity::virtual_keys::KeyRing;
use crate::ids::TeamName;
use crate::ledger::content::Policy;
use crate::limits::Timeouts;
use crate::llm::speech::Speech;
use crate::mcp::presentation::Presentation;
use crate::mcp::search::meaning::Embedding;
use crate::meter::book::Book;
use crate::meter::budget::Definition;
use crate::meter::rate::Rule;
use crate::net::engine::EngineChoice;
use crate::net::tls::ServerTls;
use crate::policy::guards::Guards;
use crate::policy::rules::Rules;
use crate::route::model::Table;
use crate::secret::Secret;
use crate::upstream::mcp::server::{Remote, Server};
use crate::upstream::provider::Provider;
use crate::upstream::sigv4::Signer;

/// Everything that a reload may change. Shared by all cores as one `Arc`.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The keys.
    pub keys: KeyRing,
    /// Who may call without one, and who may not any more.
    pub identity: Arc<Identity>,
    /// What teams may do.
    pub rules: Rules,
    /// Which provider serves which model.
    pub routes: Table,
    /// The providers, in written order; `route::model::Target.provider` points into it.
    pub providers: Vec<Arc<Provider>>,
    /// Where what they are shown comes from, where that ends after a while.
    pub credentials: Arc<Sources>,
    /// How each of them is spoken to; nothing where it speaks as callers do.
    pub speeches: Vec<Option<Speech>>,
    /// The MCP side.
    pub mcp: Mcp,
    /// What calls cost, and how much of it there may be.
    pub spending: Spending,
    /// What is kept of what is said.
    pub contents: ContentRules,
    /// What is watched of what is said and done.
    pub guards: Guards,
    /// Where signed heads of the ledger go.
    pub heads: Arc<HeadTargets>,
    /// How callers reach us over TLS; `None` when they come in plain.
    pub server_tls: Option<ServerTls>,
    /// The deadlines.
    pub timeouts: Timeouts,
    /// The whole of it for people.
    pub shown: Arc<Shown>,
    /// The first 12 hexadecimal digits of the SHA-256 of all resolved facts: equal facts, equal version.
    pub version: String,
}

impl Snapshot {
    /// How the provider at this place of the list is spoken to; nothing where it speaks as callers do.
    pub fn speech(&self, provider: usize) -> Option<&Speech> {
        self.speeches.get(provider)?.as_ref()
    }
}

/// What is kept of what is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentRules {
    /// Of keys without a team, and of teams that say nothing.
    pub default: Policy,
    /// By team.
    pub teams: HashMap<TeamName, Policy>,
}

impl ContentRules {
    /// What holds for a call.
    pub fn of(&self, team: Option<&TeamName>) -> Policy {
        team.and_then(|team| self.teams.get(team)).copied().unwrap_or(self.default)
    }
}

/// Where signed heads of the ledger go beside their file.
#[derive(Clone, Debug, Default)]
pub struct HeadTargets {
    /// They are posted there.
    pub webhook: Option<Arc<Webhook>>,
    /// They become objects there.
    pub bucket: Option<Arc<Bucket>>,
}

/// A server that heads are posted to.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where it is.
    pub remote: Remote,
    /// What its messages are signed with.
    pub secret: Option<Secret>,
}

/// A bucket of a server that speaks like S3.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Where it is; the path is that of the bucket and the prefix, without a slash at its end.
    pub remote: Remote,
    /// Who we are there.
    pub signer: Signer,
}

/// What calls cost, and how much of it there may be.
#[derive(Clone, Debug)]
pub struct Spending {
    /// The prices of models.
    pub book: Arc<Book>,
    /// Whose price list holds at each of `Snapshot::providers`: a section of the book.
    pub sections: Vec<&'static str>,
    /// The prices of calls of tools; the first that fits holds.
    pub tools: Vec<ToolPrice>,
    /// The budgets, names unique.
    pub budgets: Vec<Definition>,
    /// The rate limits, names unique.
    pub rates: Vec<Rule>,
}

/// What calls of tools cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPrice {
    /// Name of the server.
    pub server: String,
    /// Patterns of its tools' own names; none for all.
    pub tools: Vec<Glob>,
    /// Pico-dollars a call.
    pub call_pico: u64,
}

impl Spending {
    /// What a call of a tool costs, pico-dollars.
    pub fn of_tool(&self, server: &str, tool: &str) -> u64 {
        let fits = |price: &&ToolPrice| {
            price.server == server
                && (price.tools.is_empty() || price.tools.iter().any(|glob| glob.matches(tool)))
        };
        self.tools.iter().find(fits).map_or(0, |price| price.call_pico)
    }
}

/// What the MCP side runs on.
#[derive(Clone, Debug)]
pub struct Mcp {
    /// The servers, in written order, names unique; at most `limits::MCP_SERVERS_MAX`.
    pub servers: Vec<McpServer>,
    /// The web origins that may call beside none at all and those of this machine, such as
    /// `https://*.example.com`, in lower case.
    pub allowed_origins: Vec<Glob>,
    /// The hosts that a `Host` header may name, with a port where one was written, in lower case. Empty:
    /// every host, unless all of `listen` is this machine, when its own names alone are good.
    pub allowed_hosts: Vec<Glob>,
    /// Whether HTTP+SSE, the transport of revision 2024-11-05, is offered to callers.
    pub legacy_sse: bool,
    /// The name under which developers mount us: it stands in every full name of a tool,
    /// `mcp__KEY__TOOL`, so it takes from what names of tools may be long.
    pub endpoint_key: String,
    /// How definitions of tools are pinned.
    pub pinning: Pinning,
    /// How definitions of tools are written where nothing is said of the tool, its server or the caller's
    /// team.
    pub tools: ToolChoice,
    /// What words mean, by which tools are found beside by the words themselves.
    pub embedding: Option<Arc<Embedding>>,
}

impl Default for Mcp {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            legacy_sse: false,
            endpoint_key: defaults::ENDPOINT_KEY.to_owned(),
            pinning: Pinning::default(),
            tools: ToolChoice::default(),
            embedding: None,
        }
    }
}

/// One server of `mcp_servers:`.
#[derive(Clone, Debug)]
pub struct McpServer {
    /// How it is reached and spoken to.
    pub server: Arc<Server>,
    /// How its tools appear.
    pub presentation: Presentation,
}

/// Everything that only a restart can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The addresses to listen on; never empty.
    pub listen: Vec<SocketAddr>,
    /// The folder of everything that we write.
    pub data_dir: PathBuf,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// How I/O is done.
    pub engine: EngineChoice,
    /// How long streams may go on after SIGTERM.
    pub drain: Duration,
    /// How log lines look.
    pub log: LogFormat,
    /// How records are kept.
    pub ledger: LedgerPlan,
}

/// How records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerPlan {
    /// Whether an answer waits until its record has reached the disk, not only the system.
    pub synced: bool,
    /// Milliseconds between two syncs at most.
    pub sync_ms: u64,
    /// Whether calls are served, and counted, while the disk is full.
    pub serve_when_full: bool,
    /// Days that records are kept; `None` for ever.
    pub keep_days: Option<u64>,
    /// Days that contents are kept.
    pub content_days: u64,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `Human` on a terminal, else `Json`.
    #[default]
    Auto,
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}
