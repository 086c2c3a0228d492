//! How the tools of one server appear to callers: their prefix, and what people changed about single tools.

use std::sync::Arc;

use crate::call::{Class, ToolMode};
use crate::glob::Glob;
use crate::mcp::cache::rule::Rule as CacheRule;
use crate::mcp::lean::results::Rule;

/// How the tools of one server appear, as a person wrote it: not yet held against the tools that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presentation {
    /// What stands before the names of its tools.
    pub prefix: Prefix,
    /// How its definitions are written, whatever the team of a caller says.
    pub mode: Option<ToolMode>,
    /// Changes to single tools, in written order; at most `limits::MCP_TOOL_OVERRIDES_MAX`.
    pub tools: Vec<ToolOverride>,
    /// What is done to results of its tools.
    pub results: Option<Arc<Rule>>,
    /// Its tools that stand in every list and are loaded from the start, by the server's own names for them;
    /// at most `limits::CORE_TOOLS_MAX`.
    pub core: Vec<Glob>,
    /// Which of those are kept to be told again; at most `limits::CACHE_RULES_MAX`. Only of a trusted server.
    pub cache: Vec<CacheRule>,
}

/// What stands before the names of a server's tools at `/mcp`, where all servers appear as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Prefix {
    /// The name of the server, and only where two servers have a tool of one name.
    #[default]
    OnCollision,
    /// The name of the server.
    Always,
    /// Nothing, also where names collide; then the server that is written first has the name.
    Never,
    /// This text, 1 to `limits::MCP_SERVER_NAME_CHARS_MAX` of `A-Z a-z 0-9 _ -`.
    Fixed(String),
}

/// What is different about a tool, or about all tools whose names fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolOverride {
    /// The name that the server gives it, or a pattern with `*` (see `glob`).
    pub name: String,
    /// Its name for callers, 1 to `limits::MCP_TOOL_NAME_CHARS_MAX` of `A-Z a-z 0-9 _ -`. Never beside a
    /// pattern.
    pub rename: Option<String>,
    /// Whether it is not there for callers at all.
    pub hide: bool,
    /// What callers read in place of the server's description; at most
    /// `limits::MCP_DESCRIPTION_BYTES_MAX` bytes.
    pub description: Option<String>,
    /// What it does, by the config's word, which goes before its server's.
    pub class: Option<Class>,
    /// How its definition is written, whatever holds for its server.
    pub mode: Option<ToolMode>,
    /// What is done to its results, in place of what holds for its server.
    pub results: Option<Arc<Rule>>,
}
