//! Which MCP servers, and which tools of each, a key or a team is given.

use std::fmt;
use std::sync::Arc;

use crate::call::Class;
use crate::glob::Glob;

/// `servers:` of a key or a team, in written order. What no rule names is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerRules(Arc<[ServerRule]>);

/// One entry: what may be done with the tools of these servers. A rule that gives no tool gives nothing, not
/// even the sight of the servers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerRule {
    /// Names of servers.
    pub server: Glob,
    /// The tools that may be called; `None` sets no limit.
    pub allow: Option<Arc<[ToolPattern]>>,
    /// The tools that may be called once a person has said so, each time.
    pub ask: Arc<[ToolPattern]>,
    /// The tools that may not be called, whoever else allows them.
    pub deny: Arc<[ToolPattern]>,
}

/// Tools by the names that their server gives them, whatever callers know them by, and by what they do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ToolPattern {
    /// Only tools of this class.
    pub class: Option<Class>,
    /// Their names.
    pub name: Glob,
}

impl ToolPattern {
    /// Reads `get_*` or `read/get_*`. Only the four words of `Class` are classes: every other slash belongs
    /// to the name.
    pub fn new(written: &str) -> Self {
        let of_class = |class: &Class| {
            let name = written.strip_prefix(class.name())?.strip_prefix('/')?;
            Some(Self { class: Some(*class), name: Glob::new(name) })
        };
        let found = Class::ALL.iter().find_map(of_class);
        found.unwrap_or_else(|| Self { class: None, name: Glob::new(written) })
    }

    /// Whether it fits every tool.
    pub fn is_everything(&self) -> bool {
        self.class.is_none()
            && !self.name.as_str().is_empty()
            && self.name.as_str().bytes().all(|b| b == b'*')
    }
}

/// As it is written.
impl fmt::Display for ToolPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            Some(class) => write!(f, "{}/{}", class.name(), self.name.as_str()),
            None => f.write_str(self.name.as_str()),
        }
    }
}

impl ServerRule {
    /// A rule that gives tools and says nothing else.
    pub fn allowing<'p>(server: &str, tools: impl IntoIterator<Item = &'p str>) -> Self {
        let tools = tools.into_iter().map(ToolPattern::new).collect();
        Self { server: Glob::new(server), allow: Some(tools), ask: Arc::default(), deny: Arc::default() }
    }

    /// Whether it gives any tool, asked about or not.
    pub fn gives(&self) -> bool {
        !self.ask.is_empty() || self.allow.as_ref().is_none_or(|allow| !allow.is_empty())
    }
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
}
