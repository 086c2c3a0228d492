//! Which MCP servers, and which tools of each, a key or a team is given.

use std::sync::Arc;

use crate::glob::Glob;
use crate::ids::ServerName;

/// `servers:` of a key or a team, in written order. What no rule names is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerRules(Arc<[ServerRule]>);

/// One entry: these tools of these servers. Without a tool pattern it gives nothing, not even the sight of
/// the servers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerRule {
    /// Names of servers.
    pub server: Glob,
    /// Names of tools, as the server itself calls them, whatever callers know them by.
    pub tools: Arc<[Glob]>,
}

/// Where in some rules a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Place of the rule.
    pub rule: usize,
    /// Place of the tool pattern in it; for what is not about a tool the first.
    pub tool: usize,
}

impl ServerRules {
    /// Takes the rules in written order; several may fit one server, which then has the tools of all.
    pub fn new(rules: impl IntoIterator<Item = ServerRule>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// The rules in written order.
    pub fn rules(&self) -> &[ServerRule] {
        &self.0
    }

    /// The first rule that gives `tool` of `server`; without a tool, the first that gives anything of it.
    pub fn find(&self, server: &ServerName, tool: Option<&str>) -> Option<Grant> {
        let fitting = self.0.iter().enumerate().filter(|(_, rule)| rule.server.matches(server.as_str()));
        let mut grants = fitting.filter_map(|(place, rule)| {
            let fits = |pattern: &Glob| tool.is_none_or(|tool| pattern.matches(tool));
            Some(Grant { rule: place, tool: rule.tools.iter().position(fits)? })
        });
        grants.next()
    }
}
