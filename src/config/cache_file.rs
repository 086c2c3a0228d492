//! `cache:` of a server: which results of its tools are kept to be told again.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::config::reader::Reader;
use crate::config::yaml::{Node, Value};
use crate::glob::Glob;
use crate::limits;
use crate::mcp::cache::rule::Rule;

/// Reads `{ ttl_s, tools, shared }`, or a list of those. Only what an administrator trusts says of its tools
/// that they change nothing, and is believed.
pub(crate) fn read(node: &Node, what: &str, trusted: bool, reader: &mut Reader) -> Vec<Rule> {
    if !trusted {
        let text =
            "only results of a server with `trusted: true` are kept, since it says which tools only look";
        reader.fault(node.mark, format!("{what}: {text}"));
    }
    let nodes = match node.value {
        Value::Map(_) => std::slice::from_ref(node),
        _ => reader.list(node, what).unwrap_or_default(),
    };
    let max = limits::CACHE_RULES_MAX;
    if nodes.len() > max {
        reader.fault(node.mark, format!("{what}: expected at most {max} entries"));
    }
    nodes.iter().take(max).filter_map(|node| read_rule(node, what, reader)).collect()
}

fn read_rule(node: &Node, what: &str, reader: &mut Reader) -> Option<Rule> {
    let fields = reader.fields(node, what, &["ttl_s", "tools", "shared"])?;
    let ttl = fields.get("ttl_s").and_then(|node| {
        reader.number(node, &format!("{what}.ttl_s"), 1..=limits::CACHE_TTL_S_MAX).map(Duration::from_secs)
    });
    let shared = fields.get("shared").and_then(|node| reader.yes_or_no(node, &format!("{what}.shared")));
    let tools = match fields.get("tools") {
        None => vec![Glob::new("*")],
        Some(node) => read_patterns(node, &format!("{what}.tools"), reader),
    };
    Some(Rule { tools, ttl, shared: shared.unwrap_or_default() })
}

fn read_patterns(node: &Node, what: &str, reader: &mut Reader) -> Vec<Glob> {
    let nodes = reader.list(node, what).unwrap_or_default();
    let max = limits::CACHE_PATTERNS_MAX;
    if nodes.len() > max {
        reader.fault(node.mark, format!("{what}: expected at most {max} entries"));
    }
    let mut out = Vec::new();
    for node in nodes.iter().take(max) {
        if let Some(text) = reader.text(node, what)
            && reader.fits(&text.value, text.mark, what, "tool name")
        {
            out.push(Glob::new(&text.value));
        }
    }
    out
}

/// A rule as the config has it.
#[derive(Clone, Debug, Serialize)]
pub struct ShownCache {
    /// Seconds; absent where results say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// Tools, or patterns.
    pub tools: Vec<String>,
    /// Whether all callers get the same results.
    pub shared: bool,
}

impl ShownCache {
    /// Shows a rule.
    pub(crate) fn of(rule: &Rule) -> Self {
        let tools = rule.tools.iter().map(|glob| glob.as_str().to_owned()).collect();
        Self { ttl_s: rule.ttl.map(|ttl| ttl.as_secs()), tools, shared: rule.shared }
    }
}

/// An entry of `cache:`.
impl fmt::Display for ShownCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ ")?;
        if let Some(ttl_s) = self.ttl_s {
            write!(f, "ttl_s: {ttl_s}, ")?;
        }
        write!(f, "tools: {:?}, shared: {} }}", self.tools, self.shared)
    }
}
