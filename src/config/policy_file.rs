//! What a person writes about who may do what: `policy:` and `servers:` of teams and keys.

use crate::config::reader::{At, Reader};
use crate::config::yaml::{Node, Value};
use crate::limits;
use crate::policy::rules::Unwritten;

/// `policy:`.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// Paths of Cedar files.
    pub(crate) files: Vec<At<String>>,
    pub(crate) unwritten: Option<Unwritten>,
}

/// One entry of `servers:` of a team or key.
#[derive(Debug)]
pub(crate) struct ServerGrant {
    pub(crate) server: At<String>,
    /// `None` sets no limit.
    pub(crate) allow: Option<Vec<At<String>>>,
    pub(crate) ask: Vec<At<String>>,
    pub(crate) deny: Vec<At<String>>,
}

/// Reads `policy:`.
pub(crate) fn read(node: &Node, reader: &mut Reader) -> Option<Policy> {
    let fields = reader.fields(node, "policy", &["files", "unwritten"])?;
    let mut files = Vec::new();
    if let Some(node) = fields.get("files") {
        let what = "policy.files";
        let nodes = reader.list(node, what).unwrap_or_default();
        let max = limits::POLICY_FILES_MAX;
        if nodes.len() > max {
            reader.fault(node.mark, format!("{what}: expected at most {max} files"));
        }
        files = nodes.iter().take(max).filter_map(|node| reader.text(node, what)).collect();
    }
    let unwritten = fields.get("unwritten").and_then(|node| {
        let words = [("allow", Unwritten::Allow), ("deny", Unwritten::Deny)];
        reader.choice(node, "policy.unwritten", &words)
    });
    Some(Policy { files, unwritten })
}

/// Reads `servers:` of a team or key: for each server a list of the tools that it gives, or what may be
/// called, asked about and not called.
pub(crate) fn read_grants(node: &Node, what: &str, reader: &mut Reader) -> Option<Vec<ServerGrant>> {
    let entries = reader.entries(node, what)?;
    let grants = entries.iter().filter_map(|entry| {
        if !reader.fits(&entry.key, entry.mark, what, "server name") {
            return None;
        }
        let what = format!("{what}.{}", entry.key);
        let server = At { mark: entry.mark, value: entry.key.clone() };
        let Value::Map(_) = &entry.value.value else {
            let allow = Some(tools(&entry.value, &what, reader)?);
            return Some(ServerGrant { server, allow, ask: Vec::new(), deny: Vec::new() });
        };
        let fields = reader.fields(&entry.value, &what, &["allow", "ask", "deny"])?;
        let mut list =
            |name: &str| fields.get(name).and_then(|node| tools(node, &format!("{what}.{name}"), reader));
        let (allow, ask, deny) = (list("allow"), list("ask"), list("deny"));
        let written = |name: &str| fields.get(name).is_some();
        // A list with a fault must not become one that sets no limit.
        let allow = if written("allow") { Some(allow.unwrap_or_default()) } else { None };
        Some(ServerGrant { server, allow, ask: ask.unwrap_or_default(), deny: deny.unwrap_or_default() })
    });
    Some(grants.collect())
}

fn tools(node: &Node, what: &str, reader: &mut Reader) -> Option<Vec<At<String>>> {
    let nodes = reader.list(node, what)?;
    let tools = nodes.iter().filter_map(|node| {
        let text = reader.text(node, what)?;
        reader.fits(&text.value, text.mark, what, "tool name").then_some(text)
    });
    Some(tools.collect())
}
