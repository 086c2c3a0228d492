//! What a person writes about the MCP side: `mcp_servers:`, `mcp:` and `servers:` of teams and keys.

use crate::call::{Class, ToolChoice, ToolMode};
use crate::config::cache_file;
use crate::config::confines_file::{self, Written};
use crate::config::core_tools;
use crate::config::embedding_file;
use crate::config::faults::Mark;
use crate::config::pinning;
use crate::config::places_file::{self, Stand};
use crate::config::reader::{At, Fields, Reader, quoted};
use crate::config::results_file;
use crate::config::secrets::{self, Source};
use crate::config::template::{self, Syntax, Template};
use crate::config::tool_modes;
use crate::config::yaml::{Node, Value};
use crate::limits;
use crate::mcp::pin::FirstSight;
use crate::mcp::presentation::{Prefix, Presentation, ToolOverride};
use crate::upstream::mcp::server::{EraChoice, Sharing};

/// One entry of `mcp_servers:`.
#[derive(Debug)]
pub(crate) struct McpServer {
    pub(crate) name: At<String>,
    pub(crate) reach: Reach,
    pub(crate) era: Option<EraChoice>,
    pub(crate) trusted: bool,
    pub(crate) call_timeout_ms: Option<u64>,
    pub(crate) sharing: Option<Sharing>,
    pub(crate) idle_s: Option<u64>,
    pub(crate) presentation: Presentation,
    pub(crate) proxy: Option<At<Source>>,
    pub(crate) stand: Stand,
    pub(crate) pin: Option<FirstSight>,
}

/// How a server is reached.
#[derive(Debug)]
pub(crate) enum Reach {
    /// `command`.
    Program {
        command: At<Template>,
        args: Vec<At<Template>>,
        env: Vec<(String, At<Template>)>,
        cwd: Option<At<String>>,
        confines: Written,
    },
    /// `url`.
    Remote { url: At<Template>, headers: Vec<(String, At<Template>)>, sse: bool },
    /// `openapi`.
    Api { openapi: At<String>, base_url: Option<At<String>>, headers: Vec<(String, At<Template>)> },
}

/// `mcp:`.
#[derive(Debug, Default)]
pub(crate) struct Endpoint {
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) legacy_sse: bool,
    pub(crate) endpoint_key: Option<String>,
    pub(crate) tools: Option<ToolChoice>,
    pub(crate) embedding: Option<embedding_file::Written>,
}

/// Keys that every server may have, then those of each way to reach one.
const KEYS: &[&str] = &[
    "trusted",
    "call_timeout_ms",
    "prefix",
    "tools",
    "core",
    "results",
    "cache",
    "region",
    "tenancy",
    "pin",
];
const PROGRAM_KEYS: &[&str] =
    &["command", "type", "args", "env", "cwd", "user", "limits", "era", "sharing", "idle_s"];
const REMOTE_KEYS: &[&str] = &["url", "type", "headers", "proxy", "era", "sharing", "idle_s"];
const API_KEYS: &[&str] = &["openapi", "base_url", "headers", "proxy"];
/// All of them, in the order in which people read them.
const ALL_KEYS: &[&str] = &[
    "command",
    "args",
    "env",
    "cwd",
    "user",
    "limits",
    "url",
    "type",
    "headers",
    "proxy",
    "openapi",
    "base_url",
    "era",
    "trusted",
    "call_timeout_ms",
    "sharing",
    "idle_s",
    "prefix",
    "tools",
    "core",
    "results",
    "cache",
    "region",
    "tenancy",
    "pin",
];

/// Reads `mcp_servers:`.
pub(crate) fn read_servers(node: &Node, reader: &mut Reader) -> Vec<McpServer> {
    let entries = reader.entries(node, "mcp_servers").unwrap_or_default();
    if entries.len() > limits::MCP_SERVERS_MAX {
        let max = limits::MCP_SERVERS_MAX;
        reader.fault(node.mark, format!("mcp_servers: expected at most {max} servers"));
    }
    let servers = entries.iter().take(limits::MCP_SERVERS_MAX).filter_map(|entry| {
        if !is_server_name(&entry.key) {
            let max = limits::MCP_SERVER_NAME_CHARS_MAX;
            let shown = quoted(&entry.key);
            let wanted = format!("use 1 to {max} of a-z 0-9 _ -, beginning with a letter or digit");
            let reserved = RESERVED.join(" and ");
            let text = format!("mcp_servers: {shown} is no name: {wanted}; {reserved} are taken");
            reader.fault(entry.mark, text);
            return None;
        }
        let name = At { mark: entry.mark, value: entry.key.clone() };
        read_server(name, &entry.value, Syntax::Ours, reader)
    });
    servers.collect()
}

/// Parts of addresses below `/mcp` that are no servers.
const RESERVED: &[&str] = &["sse", "messages"];

/// Whether a text may name a server: it stands in addresses and in names of tools.
pub(crate) fn is_server_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |byte: u8| letter(byte) || matches!(byte, b'_' | b'-');
    text.bytes().next().is_some_and(letter)
        && text.len() <= limits::MCP_SERVER_NAME_CHARS_MAX
        && text.bytes().all(fits)
        && !RESERVED.contains(&text)
}

/// Reads one server.
pub(crate) fn read_server(
    name: At<String>,
    node: &Node,
    syntax: Syntax,
    reader: &mut Reader,
) -> Option<McpServer> {
    let what = format!("mcp_servers.{}", name.value);
    let fields = reader.fields(node, &what, ALL_KEYS)?;
    let reach = read_reach(&fields, &what, syntax, reader);
    let number = |key: &str, max: u64, reader: &mut Reader| {
        fields.get(key).and_then(|node| reader.number(node, &format!("{what}.{key}"), 1..=max))
    };
    let call_timeout_ms = number("call_timeout_ms", limits::TIMEOUT_MS_MAX, reader);
    let idle_s = number("idle_s", limits::MCP_IDLE_S_MAX, reader);
    let era = fields.get("era").and_then(|node| {
        let words = [("auto", EraChoice::Auto), ("legacy", EraChoice::Legacy), ("modern", EraChoice::Modern)];
        reader.choice(node, &format!("{what}.era"), &words)
    });
    let sharing = fields.get("sharing").and_then(|node| {
        let words = [("shared", Sharing::Shared), ("per_caller", Sharing::PerCaller)];
        reader.choice(node, &format!("{what}.sharing"), &words)
    });
    let trusted = fields.get("trusted").and_then(|node| reader.yes_or_no(node, &format!("{what}.trusted")));
    let prefix = fields.get("prefix").and_then(|node| read_prefix(node, &format!("{what}.prefix"), reader));
    let tools = fields.get("tools").map(|node| read_tools(node, &format!("{what}.tools"), reader));
    let proxy = fields.get("proxy").and_then(|node| secrets::read(node, &format!("{what}.proxy"), reader));
    let (mode, tools) = tools.unwrap_or_default();
    let results = fields.get("results");
    let results = results.and_then(|node| results_file::read(node, &format!("{what}.results"), reader));
    let core = fields.get("core").map(|node| core_tools::of_server(node, &format!("{what}.core"), reader));
    let (trusted, cache) = (trusted.unwrap_or_default(), fields.get("cache"));
    let cache = cache.map(|node| cache_file::read(node, &format!("{what}.cache"), trusted, reader));
    let (prefix, core, cache) =
        (prefix.unwrap_or_default(), core.unwrap_or_default(), cache.unwrap_or_default());
    let presentation = Presentation { prefix, mode, tools, results, core, cache };
    let stand = places_file::read_stand(&fields, &what, reader);
    let reach = reach?;
    let pin = fields.get("pin").and_then(|node| pinning::read_word(node, &format!("{what}.pin"), reader));
    Some(McpServer {
        name,
        reach,
        era,
        trusted,
        call_timeout_ms,
        sharing,
        idle_s,
        presentation,
        proxy,
        stand,
        pin,
    })
}

/// `type:`, in the words of our config and in those that other programs write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Sse,
    Stdio,
}

fn read_reach(fields: &Fields<'_>, what: &str, syntax: Syntax, reader: &mut Reader) -> Option<Reach> {
    let ways = [("command", PROGRAM_KEYS), ("url", REMOTE_KEYS), ("openapi", API_KEYS)];
    let mut written = ways.iter().filter(|(key, _)| fields.get(key).is_some());
    let Some(&(way, keys)) = written.next() else {
        reader.fault(fields.mark, format!("{what}: one of `command`, `url` and `openapi` is missing"));
        return None;
    };
    for key in ALL_KEYS.iter().filter(|key| !keys.contains(key) && !KEYS.contains(key)) {
        if let Some(node) = fields.get(key) {
            reader.fault(node.mark, format!("{what}: `{key}` does not go with `{way}`"));
        }
    }
    let kind = fields.get("type").and_then(|node| {
        let words = [
            ("http", Kind::Http),
            ("sse", Kind::Sse),
            ("stdio", Kind::Stdio),
            ("streamable-http", Kind::Http),
            ("streamable_http", Kind::Http),
        ];
        let kind = reader.choice(node, &format!("{what}.type"), &words)?;
        if (kind == Kind::Stdio) != (way == "command") {
            reader.fault(node.mark, format!("{what}: this `type` does not go with `{way}`"));
        }
        Some(kind)
    });
    match way {
        "command" => read_program(fields, what, syntax, reader),
        "url" => {
            let url = template::read(fields.get("url")?, &format!("{what}.url"), syntax, reader);
            let headers = read_settings(fields, (what, "headers"), syntax, reader);
            Some(Reach::Remote { url: url?, headers, sse: kind == Some(Kind::Sse) })
        }
        _ => {
            let text = |key: &str, reader: &mut Reader| {
                fields.get(key).and_then(|node| reader.text(node, &format!("{what}.{key}")))
            };
            let (openapi, base_url) = (text("openapi", reader), text("base_url", reader));
            let headers = read_settings(fields, (what, "headers"), syntax, reader);
            Some(Reach::Api { openapi: openapi?, base_url, headers })
        }
    }
}

fn read_program(fields: &Fields<'_>, what: &str, syntax: Syntax, reader: &mut Reader) -> Option<Reach> {
    let command =
        fields.get("command").and_then(|node| word(node, &format!("{what}.command"), syntax, reader));
    if let Some(command) = command.as_ref().filter(|command| command.value.is_empty()) {
        reader.fault(command.mark, format!("{what}.command: expected a text of one line, found \"\""));
    }
    let mut args = Vec::new();
    if let Some(node) = fields.get("args") {
        let what = format!("{what}.args");
        let nodes = reader.list(node, &what).unwrap_or_default();
        too_many(nodes.len(), node.mark, &what, reader);
        let nodes = nodes.iter().take(limits::MCP_SETTINGS_MAX);
        args = nodes.filter_map(|node| word(node, &what, syntax, reader)).collect();
    }
    let env = read_settings(fields, (what, "env"), syntax, reader);
    let cwd = fields.get("cwd").and_then(|node| reader.text(node, &format!("{what}.cwd")));
    let confines = confines_file::read(fields, what, reader);
    Some(Reach::Program { command: command?, args, env, cwd, confines })
}

/// A word of a command line. Everyone on the machine can read it, so our own config has no secret there.
fn word(node: &Node, what: &str, syntax: Syntax, reader: &mut Reader) -> Option<At<Template>> {
    let word = template::read(node, what, syntax, reader)?;
    if syntax == Syntax::Ours && word.value.refers() {
        let text = "everyone on this machine can read a command line; put the secret into `env`";
        reader.fault(node.mark, format!("{what}: {text}"));
        return None;
    }
    Some(word)
}

fn too_many(count: usize, mark: Mark, what: &str, reader: &mut Reader) {
    let max = limits::MCP_SETTINGS_MAX;
    if count > max {
        reader.fault(mark, format!("{what}: expected at most {max} entries"));
    }
}

/// `env:` or `headers:`; the names of headers come in lower case.
fn read_settings(
    fields: &Fields<'_>,
    (what, key): (&str, &str),
    syntax: Syntax,
    reader: &mut Reader,
) -> Vec<(String, At<Template>)> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let what = format!("{what}.{key}");
    let entries = reader.entries(node, &what).unwrap_or_default();
    too_many(entries.len(), node.mark, &what, reader);
    let mut out: Vec<(String, At<Template>)> = Vec::new();
    for entry in entries.iter().take(limits::MCP_SETTINGS_MAX) {
        let what = format!("{what}.{}", entry.key);
        let name = if key == "headers" { entry.key.to_ascii_lowercase() } else { entry.key.clone() };
        let fault = match key {
            "headers" => header_fault(&name).or_else(|| {
                let twice = out.iter().any(|(known, _)| *known == name);
                twice.then_some("it is given twice")
            }),
            _ => (!secrets::is_variable(&name)).then_some("it is no name of a variable"),
        };
        if let Some(fault) = fault {
            reader.fault(entry.mark, format!("{}: {fault}", quoted(&what)));
            continue;
        }
        if let Some(value) = template::read(&entry.value, &what, syntax, reader) {
            out.push((name, value));
        }
    }
    out
}

/// Headers that are ours to write, whatever server we talk to.
const OUR_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn header_fault(name: &str) -> Option<&'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > limits::PATTERN_CHARS_MAX || !name.bytes().all(fits) {
        return Some("it is no name of a header");
    }
    (OUR_HEADERS.contains(&name) || name.starts_with("mcp-")).then_some("the gateway writes this header")
}

fn read_prefix(node: &Node, what: &str, reader: &mut Reader) -> Option<Prefix> {
    let text = reader.text(node, what)?.value;
    match text.as_str() {
        "on_collision" => return Some(Prefix::OnCollision),
        "always" => return Some(Prefix::Always),
        "never" => return Some(Prefix::Never),
        _ => {}
    }
    let max = limits::MCP_SERVER_NAME_CHARS_MAX;
    if !is_tool_text(&text, max) {
        let wanted = format!("on_collision, always, never, or 1 to {max} of a-z A-Z 0-9 _ -");
        reader.fault(node.mark, format!("{what}: expected {wanted}, found {}", quoted(&text)));
        return None;
    }
    Some(Prefix::Fixed(text))
}

/// Whether a text may stand in the name of a tool: Claude Code turns everything else into `_`.
fn is_tool_text(text: &str, max: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.len() <= max && text.bytes().all(fits)
}

/// `tools:` of a server: one word for all of them, or what is different about each.
fn read_tools(node: &Node, what: &str, reader: &mut Reader) -> (Option<ToolMode>, Vec<ToolOverride>) {
    match node.value {
        Value::Map(_) => (None, read_overrides(node, what, reader)),
        _ => (tool_modes::read(node, what, reader), Vec::new()),
    }
}

fn read_overrides(node: &Node, what: &str, reader: &mut Reader) -> Vec<ToolOverride> {
    let entries = reader.entries(node, what).unwrap_or_default();
    let max = limits::MCP_TOOL_OVERRIDES_MAX;
    if entries.len() > max {
        reader.fault(node.mark, format!("{what}: expected at most {max} entries"));
    }
    let mut out: Vec<ToolOverride> = Vec::new();
    for entry in entries.iter().take(max) {
        if !reader.fits(&entry.key, entry.mark, what, "tool name") {
            continue;
        }
        let what = format!("{what}.{}", entry.key);
        let Some(tool) = read_override(&entry.key, &entry.value, &what, reader) else { continue };
        if let Some(rename) = &tool.rename
            && out.iter().any(|other| other.rename.as_ref() == Some(rename))
        {
            reader.fault(entry.mark, format!("{what}: two tools cannot both become {}", quoted(rename)));
        }
        out.push(tool);
    }
    out
}

fn read_override(name: &str, node: &Node, what: &str, reader: &mut Reader) -> Option<ToolOverride> {
    let fields = reader.fields(node, what, &["rename", "hide", "description", "class", "mode", "results"])?;
    let hide = fields.get("hide").and_then(|node| reader.yes_or_no(node, &format!("{what}.hide")));
    let rename = fields.get("rename").and_then(|node| {
        let what = format!("{what}.rename");
        let text = reader.text(node, &what)?.value;
        let max = limits::MCP_TOOL_NAME_CHARS_MAX;
        if name.contains('*') {
            reader.fault(node.mark, format!("{what}: a pattern may fit many tools, which need names each"));
        } else if hide == Some(true) {
            reader.fault(node.mark, format!("{what}: the tool is hidden, so its name is never seen"));
        } else if !is_tool_text(&text, max) {
            let shown = quoted(&text);
            let text = format!("{what}: {shown} is no tool name: use 1 to {max} of a-z A-Z 0-9 _ -");
            reader.fault(node.mark, text);
        }
        Some(text)
    });
    let class = fields.get("class").and_then(|node| {
        let words = Class::ALL.map(|class| (class.name(), class));
        reader.choice(node, &format!("{what}.class"), &words)
    });
    let description = fields.get("description").and_then(|node| {
        let what = format!("{what}.description");
        let text = reader.raw_text(node, &what)?.value;
        let max = limits::MCP_DESCRIPTION_BYTES_MAX;
        if text.len() > max {
            reader.fault(node.mark, format!("{what}: it is longer than {max} bytes"));
        }
        Some(text)
    });
    let (name, hide) = (name.to_owned(), hide.unwrap_or_default());
    let mode = fields.get("mode").and_then(|node| tool_modes::read(node, &format!("{what}.mode"), reader));
    let results = fields.get("results");
    let results = results.and_then(|node| results_file::read(node, &format!("{what}.results"), reader));
    Some(ToolOverride { name, rename, hide, description, class, mode, results })
}

/// Reads `mcp:`.
pub(crate) fn read_endpoint(node: &Node, reader: &mut Reader) -> Option<Endpoint> {
    let known = ["allowed_origins", "allowed_hosts", "legacy_sse", "endpoint_key", "tools", "embedding"];
    let fields = reader.fields(node, "mcp", &known)?;
    let origin = |text: &str| {
        let rest = text.split_once("://").map(|(_, rest)| rest);
        text == "*" || text == "null" || rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
    };
    let host = |text: &str| !text.contains(['/', '@']);
    let legacy_sse = fields.get("legacy_sse").and_then(|node| reader.yes_or_no(node, "mcp.legacy_sse"));
    let wanted = "an origin such as https://app.example.com";
    let allowed_origins = read_allowed(&fields, "allowed_origins", (wanted, &origin), reader);
    let wanted = "a host such as mcp.example.com or mcp.example.com:4000";
    let allowed_hosts = read_allowed(&fields, "allowed_hosts", (wanted, &host), reader);
    let endpoint_key = fields.get("endpoint_key").and_then(|node| {
        let text = reader.text(node, "mcp.endpoint_key")?.value;
        let max = limits::MCP_SERVER_NAME_CHARS_MAX;
        if !is_tool_text(&text, max) {
            let wanted = format!("1 to {max} of a-z A-Z 0-9 _ -");
            reader.fault(node.mark, format!("mcp.endpoint_key: expected {wanted}, found {}", quoted(&text)));
        }
        Some(text)
    });
    let legacy_sse = legacy_sse.unwrap_or_default();
    let tools = fields.get("tools").and_then(|node| tool_modes::read_choice(node, "mcp.tools", reader));
    let embedding = fields.get("embedding").and_then(|node| embedding_file::read(node, reader));
    Some(Endpoint { allowed_origins, allowed_hosts, legacy_sse, endpoint_key, tools, embedding })
}

/// A list of patterns, in lower case.
fn read_allowed(
    fields: &Fields<'_>,
    key: &str,
    (wanted, fits): (&str, &dyn Fn(&str) -> bool),
    reader: &mut Reader,
) -> Vec<String> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let what = format!("mcp.{key}");
    let nodes = reader.list(node, &what).unwrap_or_default();
    let max = limits::MCP_ALLOWED_MAX;
    if nodes.len() > max {
        reader.fault(node.mark, format!("{what}: expected at most {max} entries"));
    }
    let mut out = Vec::new();
    for node in nodes.iter().take(max) {
        let Some(text) = reader.text(node, &what) else { continue };
        if fits(&text.value) && !text.value.contains(' ') && text.value.len() <= limits::PATTERN_CHARS_MAX {
            out.push(text.value.to_ascii_lowercase());
        } else {
            reader.fault(node.mark, format!("{what}: expected {wanted}, found {}", quoted(&text.value)));
        }
    }
    out
}
