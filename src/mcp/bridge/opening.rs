//! How both eras open: `initialize` and `server/discover`, read and written, and many servers as one.

use crate::json::{Kind, elements};
use crate::limits;
use crate::mcp::bridge::capabilities::TASKS_EXTENSION;
use crate::mcp::bridge::members::{Fault, Members, push_member, push_text, quoted};
use crate::mcp::version::Version;

/// What a legacy client says at `initialize`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialize<'a> {
    /// The revision that it wants, at most `limits::MCP_VERSION_BYTES_MAX`.
    pub version: String,
    /// `capabilities`, an object as it came.
    pub capabilities: &'a [u8],
    /// `clientInfo`, an object as it came.
    pub client_info: Option<&'a [u8]>,
}

/// Reads `params` of `initialize`.
///
/// # Errors
/// Any [`Fault`]: the client is to be told -32602.
pub fn read_initialize(params: &[u8]) -> Result<Initialize<'_>, Fault> {
    let members = Members::read(params)?;
    let version = members.text("protocolVersion")?.ok_or(Fault::Shape("`protocolVersion`"))?;
    if version.len() > limits::MCP_VERSION_BYTES_MAX {
        return Err(Fault::TooMuch("`protocolVersion`"));
    }
    let capabilities = members.object("capabilities").ok_or(Fault::Shape("`capabilities`"))?;
    if capabilities.len() > limits::MCP_CLIENT_FACTS_BYTES_MAX {
        return Err(Fault::TooMuch("`capabilities`"));
    }
    let client_info = members.object("clientInfo");
    if client_info.is_some_and(|info| info.len() > limits::MCP_CLIENT_FACTS_BYTES_MAX) {
        return Err(Fault::TooMuch("`clientInfo`"));
    }
    Ok(Initialize { version: version.into_owned(), capabilities, client_info })
}

/// What a server can do, of either era.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerCapabilities {
    /// It has tools.
    pub tools: bool,
    /// It says when they change.
    pub tools_changed: bool,
    /// It has prompts.
    pub prompts: bool,
    /// It says when they change.
    pub prompts_changed: bool,
    /// It has resources.
    pub resources: bool,
    /// It says when there are others.
    pub resources_changed: bool,
    /// It says when a resource has changed to those who subscribed to it.
    pub subscribe: bool,
    /// It sends log messages.
    pub logging: bool,
    /// It completes arguments.
    pub completions: bool,
    /// It runs calls of tools as the tasks of 2025-11-25.
    pub legacy_tasks: bool,
    /// It runs calls of tools as the tasks of the modern extension.
    pub tasks: bool,
    /// Other extensions, by name, with their settings as they came. At most
    /// `limits::MCP_EXTENSIONS_MAX` of `limits::MCP_EXTENSION_BYTES_MAX` each; what is over is left out.
    pub extensions: Vec<(String, Vec<u8>)>,
}

/// What a server says of itself when it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// The revision that an `initialize` agreed on, or those that a modern server speaks.
    pub versions: Vec<String>,
    /// What it can do.
    pub capabilities: ServerCapabilities,
    /// What it wants models to know, cut to `limits::MCP_INSTRUCTIONS_BYTES_MAX`.
    pub instructions: Option<String>,
    /// `serverInfo`, an object as it came; nothing when it is larger than
    /// `limits::MCP_SERVER_INFO_BYTES_MAX`.
    pub server_info: Option<Vec<u8>>,
}

/// Reads the result of `initialize`.
///
/// # Errors
/// Any [`Fault`]; without version or capabilities it is a wrong shape.
pub fn read_initialize_result(result: &[u8]) -> Result<ServerFacts, Fault> {
    let members = Members::read(result)?;
    let version = members.text("protocolVersion")?.ok_or(Fault::Shape("`protocolVersion`"))?;
    if version.len() > limits::MCP_VERSION_BYTES_MAX {
        return Err(Fault::TooMuch("`protocolVersion`"));
    }
    facts(&members, vec![version.into_owned()], members.object("serverInfo"))
}

/// Reads the result of `server/discover`.
///
/// # Errors
/// As [`read_initialize_result`].
pub fn read_discover_result(result: &[u8]) -> Result<ServerFacts, Fault> {
    const WHAT: Fault = Fault::Shape("`supportedVersions`");
    let members = Members::read(result)?;
    let list = members.value("supportedVersions").filter(|value| value.kind == Kind::Array).ok_or(WHAT)?;
    let mut versions = Vec::new();
    elements(result, list.span.clone(), |value| {
        if versions.len() == limits::MCP_VERSIONS_MAX {
            return Err(Fault::TooMuch("`supportedVersions`"));
        }
        let raw = value.inner(result).ok_or(WHAT)?;
        if raw.len() <= limits::MCP_VERSION_BYTES_MAX {
            versions.push(crate::json::text(raw)?.into_owned());
        }
        Ok(())
    })?;
    let meta = members.object("_meta");
    let meta = Members::read(meta.unwrap_or(b"{}"))?;
    facts(&members, versions, meta.object(META_SERVER))
}

const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";

fn facts(
    members: &Members<'_>,
    versions: Vec<String>,
    server_info: Option<&[u8]>,
) -> Result<ServerFacts, Fault> {
    let capabilities = members.object("capabilities").ok_or(Fault::Shape("`capabilities`"))?;
    let instructions = members.text("instructions")?.filter(|text| !text.trim().is_empty());
    let server_info = server_info.filter(|info| info.len() <= limits::MCP_SERVER_INFO_BYTES_MAX);
    Ok(ServerFacts {
        versions,
        capabilities: read_capabilities(capabilities)?,
        instructions: instructions.map(|text| cut(&text, limits::MCP_INSTRUCTIONS_BYTES_MAX).to_owned()),
        server_info: server_info.map(<[u8]>::to_vec),
    })
}

fn read_capabilities(capabilities: &[u8]) -> Result<ServerCapabilities, Fault> {
    let members = Members::read(capabilities)?;
    let part = |name| members.object(name).map(Members::read).transpose();
    let (tools, prompts, resources) = (part("tools")?, part("prompts")?, part("resources")?);
    let says = |part: &Option<Members<'_>>, what| part.as_ref().is_some_and(|part| part.is_true(what));
    let mut found = ServerCapabilities {
        tools: tools.is_some(),
        tools_changed: says(&tools, "listChanged"),
        prompts: prompts.is_some(),
        prompts_changed: says(&prompts, "listChanged"),
        resources: resources.is_some(),
        resources_changed: says(&resources, "listChanged"),
        subscribe: says(&resources, "subscribe"),
        logging: members.object("logging").is_some(),
        completions: members.object("completions").is_some(),
        legacy_tasks: runs_tools_as_tasks(&members)?,
        ..ServerCapabilities::default()
    };
    if let Some(extensions) = part("extensions")? {
        for (member, settings) in extensions.iter().filter(|(member, _)| member.value.kind == Kind::Object) {
            if member.name == TASKS_EXTENSION {
                found.tasks = true;
            } else if found.extensions.len() < limits::MCP_EXTENSIONS_MAX
                && member.name.len() + settings.len() <= limits::MCP_EXTENSION_BYTES_MAX
            {
                found.extensions.push((member.name.clone().into_owned(), settings.to_vec()));
            }
        }
    }
    Ok(found)
}

/// `tasks.requests.tools.call` of 2025-11-25.
fn runs_tools_as_tasks(members: &Members<'_>) -> Result<bool, Fault> {
    let mut inside = members.object("tasks");
    for name in ["requests", "tools", "call"] {
        let Some(object) = inside else { return Ok(false) };
        inside = Members::read(object)?.object(name);
    }
    Ok(inside.is_some())
}

impl ServerCapabilities {
    /// Adds what another server can do. Settings of an extension that both have are those of the first.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in [
            (&mut self.tools, other.tools),
            (&mut self.tools_changed, other.tools_changed),
            (&mut self.prompts, other.prompts),
            (&mut self.prompts_changed, other.prompts_changed),
            (&mut self.resources, other.resources),
            (&mut self.resources_changed, other.resources_changed),
            (&mut self.subscribe, other.subscribe),
            (&mut self.logging, other.logging),
            (&mut self.completions, other.completions),
            (&mut self.legacy_tasks, other.legacy_tasks),
            (&mut self.tasks, other.tasks),
        ] {
            *ours |= theirs;
        }
        for (name, settings) in &other.extensions {
            let known = self.extensions.iter().any(|(ours, _)| ours == name);
            if !known && self.extensions.len() < limits::MCP_EXTENSIONS_MAX {
                self.extensions.push((name.clone(), settings.clone()));
            }
        }
    }

    /// As a legacy client is told. Tasks cannot be listed: clients share sessions with servers.
    pub fn write_legacy(&self, version: Version) -> Vec<u8> {
        let mut out = self.open();
        if self.legacy_tasks && version.has_blocking_tasks() {
            push_member(&mut out, "tasks", b"{\"cancel\":{},\"requests\":{\"tools\":{\"call\":{}}}}");
        }
        out.push(b'}');
        out
    }

    /// As a modern client is told. Tasks are offered when either kind is there, because the gateway turns the
    /// old kind into the new one.
    pub fn write_modern(&self) -> Vec<u8> {
        let mut out = self.open();
        let tasks = self.tasks || self.legacy_tasks;
        if tasks || !self.extensions.is_empty() {
            let mut extensions = vec![b'{'];
            if tasks {
                push_member(&mut extensions, TASKS_EXTENSION, b"{}");
            }
            for (name, settings) in &self.extensions {
                push_member(&mut extensions, name, settings);
            }
            extensions.push(b'}');
            push_member(&mut out, "extensions", &extensions);
        }
        out.push(b'}');
        out
    }

    fn open(&self) -> Vec<u8> {
        let mut out = vec![b'{'];
        let mut part = |name, has, flags: &[(&str, bool)]| {
            if has {
                let mut part = vec![b'{'];
                for (flag, _) in flags.iter().filter(|(_, set)| *set) {
                    push_member(&mut part, flag, b"true");
                }
                part.push(b'}');
                push_member(&mut out, name, &part);
            }
        };
        part("tools", self.tools, &[("listChanged", self.tools_changed)]);
        part("prompts", self.prompts, &[("listChanged", self.prompts_changed)]);
        let flags = [("subscribe", self.subscribe), ("listChanged", self.resources_changed)];
        part("resources", self.resources, &flags);
        part("logging", self.logging, &[]);
        part("completions", self.completions, &[]);
        out
    }
}

/// What several servers want models to know, each under its name, in their order; within
/// `limits::MCP_INSTRUCTIONS_BYTES_MAX` together, of which each server gets an equal share.
pub fn merge_instructions<'a>(
    servers: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Option<String> {
    let said: Vec<_> = servers.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
    let share = limits::MCP_INSTRUCTIONS_BYTES_MAX.checked_div(said.len())?;
    let mut out = String::new();
    for (name, text) in said {
        let head = format!("{}{name}: ", if out.is_empty() { "" } else { "\n\n" });
        // A name and no word would tell nobody anything.
        if head.len() >= share {
            continue;
        }
        out.push_str(&head);
        out.push_str(cut(text.trim(), share - head.len()));
    }
    (!out.is_empty()).then_some(out)
}

/// The longest beginning of `text` that has at most `most` bytes.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Writes the result of `initialize`. `server_info` is a JSON object.
pub fn write_initialize_result(
    version: Version,
    capabilities: &ServerCapabilities,
    server_info: &[u8],
    instructions: Option<&str>,
) -> Vec<u8> {
    let mut out = vec![b'{'];
    push_text(&mut out, "protocolVersion", version.as_str());
    push_member(&mut out, "capabilities", &capabilities.write_legacy(version));
    push_member(&mut out, "serverInfo", server_info);
    if let Some(instructions) = instructions {
        push_text(&mut out, "instructions", instructions);
    }
    out.push(b'}');
    out
}

/// How long an answer may be kept, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Milliseconds.
    pub ttl_ms: u64,
    /// Whether it is the same for everyone.
    pub public: bool,
}

/// Writes the result of `server/discover`. `server_info` is a JSON object.
pub fn write_discover_result(
    versions: &[Version],
    capabilities: &ServerCapabilities,
    server_info: &[u8],
    instructions: Option<&str>,
    keeping: Keeping,
) -> Vec<u8> {
    let mut out = b"{\"resultType\":\"complete\"".to_vec();
    let versions: Vec<Vec<u8>> = versions.iter().map(|version| quoted(version.as_str())).collect();
    let mut list = vec![b'['];
    list.extend(versions.join(&b','));
    list.push(b']');
    push_member(&mut out, "supportedVersions", &list);
    push_member(&mut out, "capabilities", &capabilities.write_modern());
    if let Some(instructions) = instructions {
        push_text(&mut out, "instructions", instructions);
    }
    push_member(&mut out, "ttlMs", keeping.ttl_ms.to_string().as_bytes());
    push_text(&mut out, "cacheScope", if keeping.public { "public" } else { "private" });
    let mut meta = vec![b'{'];
    push_member(&mut meta, META_SERVER, server_info);
    meta.push(b'}');
    push_member(&mut out, "_meta", &meta);
    out.push(b'}');
    out
}
