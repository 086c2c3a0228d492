//! MCP servers as people may see them, every secret masked.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::call::{Class, ToolMode};
use crate::config::cache_file::ShownCache;
use crate::config::confines_file::{shown_bounds, shown_user};
use crate::config::embedding_file;
use crate::config::mcp_file::{McpServer as Written, Reach};
use crate::config::pinning::Pinning;
use crate::config::results_file::ShownRule;
use crate::config::shown::{MASK, list, shown_origin, shown_proxy, word};
use crate::config::shown_places::ShownStand;
use crate::config::snapshot::{Mcp, McpServer};
use crate::config::template::Template;
use crate::mcp::pin::FirstSight;
use crate::mcp::presentation::{Prefix, ToolOverride};
use crate::upstream::mcp::server::{Document, EraChoice, Remote, Sharing, Transport};

/// One server, with the keys that it has in a config.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownServer {
    /// Its name.
    pub name: String,
    /// How it is reached; absent what does not go with it.
    #[serde(flatten)]
    pub reach: ShownReach,
    /// `auto`, `legacy` or `modern`; absent for an API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub era: Option<&'static str>,
    /// Whether it is trusted.
    pub trusted: bool,
    /// Milliseconds.
    pub call_timeout_ms: u64,
    /// `shared` or `per_caller`; absent for an API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<&'static str>,
    /// Seconds; absent for an API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_s: Option<u64>,
    /// `on_collision`, `always`, `never` or the prefix itself.
    pub prefix: String,
    /// `trust_on_first_use`, `approve` or `off`.
    pub pin: &'static str,
    /// How its definitions are written: a word of `ToolMode`; absent where callers' teams decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_mode: Option<&'static str>,
    /// What is different about its tools, in written order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ShownTool>,
    /// Its tools that stand in every list, as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub core: Vec<String>,
    /// What is done to results of its tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<ShownRule>,
    /// Which of them are kept to be told again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<ShownCache>,
    /// Where it runs.
    #[serde(flatten)]
    pub stand: ShownStand,
}

/// How a server is reached.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownReach {
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The names of its variables, each with the mask.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, &'static str>,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Whose rights it has, as `uid:gid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How much of the machine it may have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<&'static str, u64>,
    /// The address; what stands after a question mark is masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `http` or `sse`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// The OpenAPI document, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openapi: Option<String>,
    /// Where the paths of an API begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The names of the headers, each with the mask.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, &'static str>,
    /// The proxy, its password masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

/// One entry of `tools:`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownTool {
    /// The tool, or a pattern.
    pub name: String,
    /// Its new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
    /// Whether it is hidden.
    pub hide: bool,
    /// Its new description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it does, by the config's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'static str>,
    /// How its definition is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<&'static str>,
    /// What is done to its results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<ShownRule>,
}

/// `mcp:`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownMcp {
    /// Patterns.
    pub allowed_origins: Vec<String>,
    /// Patterns.
    pub allowed_hosts: Vec<String>,
    /// Whether HTTP+SSE is offered.
    pub legacy_sse: bool,
    /// The name under which developers mount us.
    pub endpoint_key: String,
    /// How definitions of tools are written: `native`, `lean`, `raw`, `search`, `jit`, `code` or `auto`.
    pub tools: &'static str,
    /// The table by which tools are found by what they mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding: Option<ShownEmbedding>,
}

/// `embedding:` of `mcp:`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownEmbedding {
    /// The file of the weights, as written.
    pub weights: String,
    /// The file of the tokenizer, as written.
    pub tokenizer: String,
    /// How many pieces of words the table has.
    pub pieces: usize,
    /// How many numbers say what each of them means.
    pub dimensions: usize,
}

/// `pinning:`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownPinning {
    /// `trust_on_first_use`, `approve` or `off`.
    pub first_sight: &'static str,
    /// The lock file, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// How many tools it locks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<usize>,
}

impl ShownPinning {
    pub(crate) fn of(pinning: &Pinning) -> Self {
        Self {
            first_sight: pinning.first_sight.word(),
            lock: pinning.lock.as_ref().map(|lock| lock.name().to_owned()),
            locked: pinning.lock.as_ref().map(|lock| lock.len()),
        }
    }
}

/// A line of a config.
impl fmt::Display for ShownPinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pinning: {{ first_sight: {}", self.first_sight)?;
        match (&self.lock, self.locked) {
            (Some(lock), Some(locked)) => write!(f, ", lock: {} }} # {locked} tools", word(lock)),
            _ => write!(f, " }}"),
        }
    }
}

impl ShownMcp {
    /// What may be seen of it.
    pub(crate) fn of(mcp: &Mcp, embedding: Option<&embedding_file::Written>) -> Self {
        let embedding = embedding.zip(mcp.embedding.as_ref()).map(|(written, table)| ShownEmbedding {
            weights: written.weights.value.clone(),
            tokenizer: written.tokenizer.value.clone(),
            pieces: table.rows(),
            dimensions: table.dimensions(),
        });
        Self {
            embedding,
            allowed_origins: mcp.allowed_origins.iter().map(|glob| glob.as_str().to_owned()).collect(),
            allowed_hosts: mcp.allowed_hosts.iter().map(|glob| glob.as_str().to_owned()).collect(),
            legacy_sse: mcp.legacy_sse,
            endpoint_key: mcp.endpoint_key.clone(),
            tools: mcp.tools.name(),
        }
    }
}

impl ShownServer {
    /// What may be seen of a server: as written where it could hold a secret, else as it holds.
    pub(crate) fn of(written: &Written, resolved: &McpServer, default: FirstSight) -> Self {
        let pin = written.pin.unwrap_or(default);
        let server = &resolved.server;
        let is_api = matches!(server.transport, Transport::OpenApi(_));
        let of_servers = |word: &'static str| (!is_api).then_some(word);
        Self {
            name: server.name.to_string(),
            reach: ShownReach::of(&written.reach, &server.transport),
            era: of_servers(match server.era {
                EraChoice::Auto => "auto",
                EraChoice::Legacy => "legacy",
                EraChoice::Modern => "modern",
            }),
            trusted: server.trusted,
            call_timeout_ms: u64::try_from(server.call_deadline.as_millis()).unwrap_or(u64::MAX),
            sharing: of_servers(match server.sharing {
                Sharing::Shared => "shared",
                Sharing::PerCaller => "per_caller",
            }),
            idle_s: (!is_api).then(|| server.idle.as_secs()),
            prefix: match &resolved.presentation.prefix {
                Prefix::OnCollision => "on_collision".to_owned(),
                Prefix::Always => "always".to_owned(),
                Prefix::Never => "never".to_owned(),
                Prefix::Fixed(text) => text.clone(),
            },
            pin: pin.word(),
            tool_mode: resolved.presentation.mode.map(ToolMode::name),
            tools: resolved.presentation.tools.iter().map(ShownTool::of).collect(),
            core: resolved.presentation.core.iter().map(|glob| glob.as_str().to_owned()).collect(),
            results: resolved.presentation.results.as_deref().map(ShownRule::of),
            cache: resolved.presentation.cache.iter().map(ShownCache::of).collect(),
            stand: ShownStand::of(&server.place),
        }
    }
}

impl ShownTool {
    fn of(tool: &ToolOverride) -> Self {
        let ToolOverride { name, rename, hide, description, class, mode, results } = tool.clone();
        let (class, mode) = (class.map(Class::name), mode.map(ToolMode::name));
        let results = results.as_deref().map(ShownRule::of);
        Self { name, rename, hide, description, class, mode, results }
    }
}

impl ShownReach {
    fn of(written: &Reach, transport: &Transport) -> Self {
        let text = |template: &Template| template.to_string();
        match (written, transport) {
            (Reach::Program { command, args, env, .. }, Transport::Stdio(program)) => Self {
                command: Some(text(&command.value)),
                args: args.iter().map(|arg| text(&arg.value)).collect(),
                env: env.iter().map(|(name, _)| (name.clone(), MASK)).collect(),
                cwd: Some(program.cwd.display().to_string()),
                user: shown_user(&program.confines),
                limits: shown_bounds(&program.confines).into_iter().collect(),
                ..Self::default()
            },
            (Reach::Remote { url, sse, .. }, Transport::Http(remote) | Transport::Sse(remote)) => Self {
                url: Some(if url.value.refers() { text(&url.value) } else { address(remote) }),
                kind: Some(if *sse { "sse" } else { "http" }),
                ..Self::behind(remote)
            },
            (Reach::Api { openapi, .. }, Transport::OpenApi(api)) => Self {
                openapi: Some(match &api.document {
                    Document::Text(_) => openapi.value.clone(),
                    Document::Remote(remote) => address(remote),
                }),
                base_url: Some(address(&api.base)),
                ..Self::behind(&api.base)
            },
            _ => Self::default(),
        }
    }

    fn behind(remote: &Remote) -> Self {
        Self {
            headers: remote.headers.iter().map(|(name, _)| (name.clone(), MASK)).collect(),
            proxy: remote.site.proxy.as_ref().map(shown_proxy),
            ..Self::default()
        }
    }
}

/// The URL, without what people put into queries.
fn address(remote: &Remote) -> String {
    let origin = shown_origin(&remote.site.origin);
    match remote.path.split_once('?') {
        Some((path, _)) => format!("{origin}{path}?{MASK}"),
        None => format!("{origin}{}", remote.path),
    }
}

fn mapping(entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

/// A line of a config.
impl fmt::Display for ShownMcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (origins, hosts) = (list(&self.allowed_origins), list(&self.allowed_hosts));
        let (sse, key, tools) = (self.legacy_sse, word(&self.endpoint_key), self.tools);
        write!(
            f,
            "mcp: {{ allowed_origins: {origins}, allowed_hosts: {hosts}, legacy_sse: {sse}, \
             endpoint_key: {key}, tools: {tools}"
        )?;
        match &self.embedding {
            Some(table) => write!(f, ", {table} }} # {} x {}", table.pieces, table.dimensions),
            None => write!(f, " }}"),
        }
    }
}

/// An entry of `mcp:`.
impl fmt::Display for ShownEmbedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (weights, tokenizer) = (word(&self.weights), word(&self.tokenizer));
        write!(f, "embedding: {{ weights: {weights}, tokenizer: {tokenizer} }}")
    }
}

/// A line below `mcp_servers:`.
impl fmt::Display for ShownServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = &self.reach;
        let masked = |map: &BTreeMap<String, &str>| {
            mapping(map.iter().map(|(name, mask)| format!("{}: \"{mask}\"", word(name))))
        };
        let texts = [
            ("command", &reach.command),
            ("cwd", &reach.cwd),
            ("user", &reach.user),
            ("url", &reach.url),
            ("openapi", &reach.openapi),
            ("base_url", &reach.base_url),
            ("proxy", &reach.proxy),
        ];
        let mut entries: Vec<String> = texts
            .iter()
            .filter_map(|(key, text)| Some(format!("{key}: {}", word(text.as_deref()?))))
            .collect();
        if !reach.args.is_empty() {
            entries.push(format!("args: {}", list(&reach.args)));
        }
        if !reach.limits.is_empty() {
            let bounds = reach.limits.iter().map(|(name, value)| format!("{name}: {value}"));
            entries.push(format!("limits: {}", mapping(bounds)));
        }
        for (key, map) in [("env", &reach.env), ("headers", &reach.headers)] {
            if !map.is_empty() {
                entries.push(format!("{key}: {}", masked(map)));
            }
        }
        for (key, text) in [("type", reach.kind), ("era", self.era), ("sharing", self.sharing)] {
            entries.extend(text.map(|text| format!("{key}: {text}")));
        }
        entries.extend(self.idle_s.map(|idle_s| format!("idle_s: {idle_s}")));
        entries.push(format!("trusted: {}", self.trusted));
        entries.push(format!("call_timeout_ms: {}", self.call_timeout_ms));
        entries.push(format!("prefix: {}", word(&self.prefix)));
        entries.extend(self.stand.entries());
        entries.push(format!("pin: {}", self.pin));
        entries.extend(self.tool_mode.map(|mode| format!("tools: {mode}")));
        if !self.tools.is_empty() {
            entries.push(format!("tools: {}", mapping(self.tools.iter().map(ToString::to_string))));
        }
        if !self.core.is_empty() {
            entries.push(format!("core: {}", list(&self.core)));
        }
        entries.extend(self.results.as_ref().map(ToString::to_string));
        if !self.cache.is_empty() {
            let rules: Vec<String> = self.cache.iter().map(ToString::to_string).collect();
            entries.push(format!("cache: [{}]", rules.join(", ")));
        }
        write!(f, "  {}: {}", word(&self.name), mapping(entries.into_iter()))
    }
}

/// An entry of `tools:`.
impl fmt::Display for ShownTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rename = self.rename.as_ref().map(|text| format!("rename: {}", word(text)));
        let hide = self.hide.then(|| "hide: true".to_owned());
        let description = self.description.as_ref().map(|text| format!("description: {}", word(text)));
        let class = self.class.map(|class| format!("class: {class}"));
        let mode = self.mode.map(|mode| format!("mode: {mode}"));
        let results = self.results.as_ref().map(ToString::to_string);
        let all = [rename, hide, description, class, mode, results].into_iter().flatten();
        write!(f, "{}: {}", word(&self.name), mapping(all))
    }
}
