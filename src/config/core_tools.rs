//! `core:`: the tools that stand in every list and that clients load from the start.

use crate::config::faults::Mark;
use crate::config::reader::Reader;
use crate::config::yaml::Node;
use crate::glob::Glob;
use crate::limits;
use crate::policy::core_tools::CoreTools;

/// Reads `core:` of a server: names of its tools, or patterns.
pub(crate) fn of_server(node: &Node, what: &str, reader: &mut Reader) -> Vec<Glob> {
    let nodes = reader.list(node, what).unwrap_or_default();
    too_many(nodes.len(), node.mark, what, reader);
    let mut tools = Vec::new();
    for node in nodes.iter().take(limits::CORE_TOOLS_MAX) {
        if let Some(text) = reader.text(node, what)
            && reader.fits(&text.value, text.mark, what, "tool name")
        {
            tools.push(Glob::new(&text.value));
        }
    }
    tools
}

/// Reads `core:` of a team: such a list for each server, or pattern of servers.
pub(crate) fn of_team(node: &Node, what: &str, reader: &mut Reader) -> CoreTools {
    let entries = reader.entries(node, what).unwrap_or_default();
    too_many(entries.len(), node.mark, what, reader);
    let mut servers = Vec::new();
    for entry in entries.iter().take(limits::CORE_TOOLS_MAX) {
        if reader.fits(&entry.key, entry.mark, what, "server name") {
            let tools = of_server(&entry.value, &format!("{what}.{}", entry.key), reader);
            servers.push((Glob::new(&entry.key), tools.into()));
        }
    }
    CoreTools::new(servers)
}

fn too_many(count: usize, mark: Mark, what: &str, reader: &mut Reader) {
    let max = limits::CORE_TOOLS_MAX;
    if count > max {
        reader.fault(mark, format!("{what}: expected at most {max} entries"));
    }
}
