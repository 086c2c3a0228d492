//! The `.mcp.json` of a folder, taken where there is no config: what of it can be used becomes servers.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::config::atomic;
use crate::config::base_url;
use crate::config::defaults;
use crate::config::faults::Mark;
use crate::config::mcp_file::{self, McpServer, Reach};
use crate::config::proxy;
use crate::config::reader::{At, Reader, quoted};
use crate::config::template::Syntax;
use crate::config::yaml::{Entry, Node, Value};
use crate::limits;

/// The file, beside the config that is not there.
const NAME: &str = ".mcp.json";

/// Where it is, or would be.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// An object of JSON.
type Object = serde_json::Map<String, serde_json::Value>;

/// Reads the file, if there is one. Nothing in it is a fault: what cannot be used is told in `warnings`.
pub(crate) fn read(folder: &Path, warnings: &mut Vec<String>) -> Vec<McpServer> {
    let bytes = match atomic::read(&path(folder), limits::MCP_JSON_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(why) => {
            warnings.push(format!("{NAME} cannot be read: {why}"));
            return Vec::new();
        }
    };
    let understood = serde_json::from_slice::<Object>(&bytes).map_err(|why| why.to_string());
    let servers = understood.and_then(|mut written| match written.remove("mcpServers") {
        Some(serde_json::Value::Object(servers)) => Ok(servers),
        None => Ok(Object::new()),
        Some(_) => Err("`mcpServers` is no object".to_owned()),
    });
    match servers {
        Ok(servers) => take(&servers, warnings),
        Err(why) => {
            warnings.push(format!("{NAME} is not understood: {why}"));
            Vec::new()
        }
    }
}

/// Takes the servers one by one; every name that is given is one of its own.
fn take(servers: &Object, warnings: &mut Vec<String>) -> Vec<McpServer> {
    // Whoever has a name that holds keeps it, also where an earlier one would become the same.
    let is_kept = |name: &&String| mcp_file::is_server_name(name);
    let mut names: HashSet<String> = servers.keys().filter(is_kept).cloned().collect();
    let mut out = Vec::new();
    // Where two names become one, the first in the order of names keeps it, however the file is written.
    let mut servers: Vec<_> = servers.into_iter().collect();
    servers.sort_unstable_by_key(|(name, _)| *name);
    for (written, value) in servers {
        if out.len() == limits::MCP_SERVERS_MAX {
            warnings.push(format!("{NAME}: only its first {} servers are taken", limits::MCP_SERVERS_MAX));
            break;
        }
        let name = if is_kept(&written) { written.clone() } else { free_name(&normalised(written), &names) };
        match read_one(&name, value, warnings) {
            Ok(server) => {
                if name != *written {
                    warnings.push(format!("{NAME}: server {} is called {name:?} here", quoted(written)));
                }
                names.insert(name);
                out.push(server);
            }
            Err(why) => warnings.push(left_out(written, &why)),
        }
    }
    out
}

/// The line that says which servers are used, so that nobody wonders what is run.
pub(crate) fn taken(names: &[&str]) -> String {
    format!("there is no config, so the servers of {NAME} are used: {}", names.join(", "))
}

/// The line for a server that cannot be used.
pub(crate) fn left_out(name: &str, why: &str) -> String {
    format!("{NAME}: server {} is left out: {why}", quoted(name))
}

/// What we take of a server; other programs have keys of their own.
const KEYS: &[&str] = &["type", "command", "args", "env", "cwd", "url", "headers"];

fn read_one(name: &str, value: &serde_json::Value, warnings: &mut Vec<String>) -> Result<McpServer, String> {
    let Some(fields) = value.as_object() else { return Err("it is no object".to_owned()) };
    let (known, unknown): (Vec<_>, Vec<_>) =
        fields.iter().partition(|(key, value)| KEYS.contains(&key.as_str()) && !value.is_null());
    let entries = known.iter().map(|(key, value)| entry(key, node(value))).collect();
    let node = Node { mark: Mark::default(), value: Value::Map(entries) };
    let mut reader = Reader::new(NAME);
    let name = At { mark: Mark::default(), value: name.to_owned() };
    let server = mcp_file::read_server(name, &node, Syntax::Shell, &mut reader);
    if let Some(fault) = reader.into_faults().list().first() {
        return Err(fault.text.clone());
    }
    let server = server.ok_or_else(|| "it is not understood".to_owned())?;
    if is_this_gateway(&server) {
        return Err("it is this gateway itself".to_owned());
    }
    for (key, _) in unknown.iter().filter(|(_, value)| !value.is_null()) {
        let name = &server.name.value;
        warnings.push(format!("{NAME}: server {name:?}: {} means nothing here", quoted(key)));
    }
    Ok(server)
}

/// Developers put our own address into such a file; without this we would call ourselves for ever.
fn is_this_gateway(server: &McpServer) -> bool {
    let Reach::Remote { url, .. } = &server.reach else { return false };
    let Ok((origin, _)) = base_url::parse_endpoint(&url.value.to_string()) else { return false };
    proxy::is_loopback(&origin.host) && origin.port == defaults::LISTEN.port()
}

fn entry(key: &str, value: Node) -> Entry {
    Entry { key: key.to_owned(), mark: Mark::default(), value }
}

/// JSON in the shape that the reader of our config takes; `serde_json` has bounded its depth.
fn node(value: &serde_json::Value) -> Node {
    let value = match value {
        serde_json::Value::Array(items) => Value::List(items.iter().map(node).collect()),
        serde_json::Value::Object(fields) => {
            Value::Map(fields.iter().map(|(key, value)| entry(key, node(value))).collect())
        }
        serde_json::Value::String(text) => Value::Text { text: text.clone(), plain: false },
        other => Value::Text { text: other.to_string(), plain: true },
    };
    Node { mark: Mark::default(), value }
}

/// The nearest name that a server may have.
fn normalised(name: &str) -> String {
    let letters = name.chars().map(|c| c.to_ascii_lowercase());
    let letters = letters.map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' });
    let name: String = letters.collect();
    let name = name.trim_start_matches(['-', '_']).trim_end_matches('-');
    let cut: String = name.chars().take(limits::MCP_SERVER_NAME_CHARS_MAX).collect();
    if cut.is_empty() { "server".to_owned() } else { cut }
}

/// The name itself, or with the first number that makes it one which nobody has.
fn free_name(name: &str, taken: &HashSet<String>) -> String {
    let free = |name: &String| mcp_file::is_server_name(name) && !taken.contains(name);
    let numbered = (2_usize..).map(|number| {
        let end = format!("-{number}");
        let room = limits::MCP_SERVER_NAME_CHARS_MAX.saturating_sub(end.len());
        let start: String = name.chars().take(room).collect();
        start + &end
    });
    // Of all numbers one is free, since fewer names are taken.
    std::iter::once(name.to_owned()).chain(numbered).find(free).unwrap_or_default()
}
