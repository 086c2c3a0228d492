//! What a client can be asked: the gate before every question, and the offer to each era's servers.
//!
//! A server is offered what *this* caller declared and nothing else: not what the gateway could do, not what
//! another caller can. A legacy session is opened with its capabilities once and for all, so calls share a
//! session only when their [`CapabilitySet`] is the same.

use std::borrow::Cow;

use crate::mcp::bridge::levels::Level;
use crate::mcp::bridge::members::{Change, Fault, Members, push_member, push_text, quoted};
use crate::mcp::bridge::rounds::InputMethod;
use crate::mcp::message::{CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, PROGRESS_TOKEN, PROTOCOL_VERSION};
use crate::mcp::version::Version;

/// The extension of tasks that outlive their request.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// What a client declared, as far as it decides about anything here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CapabilitySet(u8);

impl CapabilitySet {
    /// Questions to the user by form. An `elicitation` without modes means this one.
    pub const FORM: Self = Self(1);
    /// Pages for the user to visit.
    pub const URL: Self = Self(1 << 1);
    /// Questions to the model.
    pub const SAMPLING: Self = Self(1 << 2);
    /// Questions to the model that bring tools along.
    pub const SAMPLING_TOOLS: Self = Self(1 << 3);
    /// Questions to the model that want its context.
    pub const SAMPLING_CONTEXT: Self = Self(1 << 4);
    /// Folders.
    pub const ROOTS: Self = Self(1 << 5);
    /// The tasks extension of the modern era; the tasks of 2025-11-25 do not count.
    pub const TASKS: Self = Self(1 << 6);

    /// Reads `capabilities` of `initialize` or `clientCapabilities` of `_meta`. Only objects declare
    /// anything.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub fn read(capabilities: &[u8]) -> Result<Self, Fault> {
        let members = Members::read(capabilities)?;
        let mut set = Self::default();
        if let Some(elicitation) = members.object("elicitation") {
            let modes = Members::read(elicitation)?;
            let url = modes.object("url").is_some();
            if modes.object("form").is_some() || !url {
                set = set.with(Self::FORM);
            }
            if url {
                set = set.with(Self::URL);
            }
        }
        if let Some(sampling) = members.object("sampling") {
            let parts = Members::read(sampling)?;
            set = set.with(Self::SAMPLING);
            if parts.object("tools").is_some() {
                set = set.with(Self::SAMPLING_TOOLS);
            }
            if parts.object("context").is_some() {
                set = set.with(Self::SAMPLING_CONTEXT);
            }
        }
        if members.object("roots").is_some() {
            set = set.with(Self::ROOTS);
        }
        if let Some(extensions) = members.object("extensions")
            && Members::read(extensions)?.object(TASKS_EXTENSION).is_some()
        {
            set = set.with(Self::TASKS);
        }
        Ok(set)
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` is declared.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What a legacy session depends on: tasks are not offered there, and sessions that differ in nothing
    /// else are one.
    #[must_use]
    pub const fn session(self) -> Self {
        self.without(Self::TASKS)
    }

    /// As a byte, for what is sealed.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// What [`Self::bits`] gave.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// What a question needs: the method, and what its `params` ask for in particular.
    ///
    /// # Errors
    /// Any [`Fault`].
    pub fn needed(method: InputMethod, params: Option<&[u8]>) -> Result<Self, Fault> {
        let members = Members::read(params.unwrap_or(b"{}"))?;
        Ok(match method {
            InputMethod::Roots => Self::ROOTS,
            InputMethod::Elicit if members.text("mode")?.as_deref() == Some("url") => Self::URL,
            InputMethod::Elicit => Self::FORM,
            InputMethod::Sample => {
                let tools = members.bytes("tools").is_some() || members.bytes("toolChoice").is_some();
                if tools { Self::SAMPLING.with(Self::SAMPLING_TOOLS) } else { Self::SAMPLING }
            }
        })
    }

    /// The set as capabilities, as modern clients declare them and as a -32021 error names what is missing.
    pub fn write(self) -> Vec<u8> {
        let mut out = self.open(true);
        if self.has(Self::TASKS) {
            let mut extensions = vec![b'{'];
            push_member(&mut extensions, TASKS_EXTENSION, b"{}");
            extensions.push(b'}');
            push_member(&mut out, "extensions", &extensions);
        }
        out.push(b'}');
        out
    }

    /// The offer to a legacy server at `initialize`, in the words of the revision that is offered.
    pub fn write_legacy(self, version: Version) -> Vec<u8> {
        let mut known = self;
        if !version.has_elicitation() {
            known = known.without(Self::FORM);
        }
        if !version.has_url_elicitation() {
            known = known.without(Self::URL);
        }
        let parts = version.has_sampling_tools();
        if !parts {
            known = known.without(Self::SAMPLING_TOOLS).without(Self::SAMPLING_CONTEXT);
        }
        let mut out = known.open(parts);
        out.push(b'}');
        out
    }

    /// The members that both eras have, without the closing brace.
    fn open(self, modes: bool) -> Vec<u8> {
        let mut out = vec![b'{'];
        if self.has(Self::FORM) || self.has(Self::URL) {
            let parts = [("form", self.has(Self::FORM)), ("url", self.has(Self::URL))];
            push_member(&mut out, "elicitation", &flags(if modes { &parts } else { &[] }));
        }
        if self.has(Self::SAMPLING) {
            let parts =
                [("context", self.has(Self::SAMPLING_CONTEXT)), ("tools", self.has(Self::SAMPLING_TOOLS))];
            push_member(&mut out, "sampling", &flags(&parts));
        }
        if self.has(Self::ROOTS) {
            push_member(&mut out, "roots", b"{}");
        }
        out
    }
}

/// An object that has an empty object for every flag that is set.
fn flags(parts: &[(&str, bool)]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (name, _) in parts.iter().filter(|(_, set)| *set) {
        push_member(&mut out, name, b"{}");
    }
    out.push(b'}');
    out
}

/// `data` of a -32021 error.
pub fn missing_data(missing: CapabilitySet) -> Vec<u8> {
    let mut out = vec![b'{'];
    push_member(&mut out, "requiredCapabilities", &missing.write());
    out.push(b'}');
    out
}

/// What a modern request has to say of the client; for a legacy client, what its session knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFacts<'a> {
    /// The revision that is spoken to the server.
    pub version: Version,
    /// `capabilities` as the client declared them at `initialize`.
    pub capabilities: &'a [u8],
    /// `clientInfo` as it came.
    pub client_info: Option<&'a [u8]>,
    /// What it asked for by `logging/setLevel`.
    pub log_level: Option<Level>,
}

/// `params` of a legacy client's request as a modern server must have them: `_meta` says who asks. What else
/// the client put into `_meta` stays; its progress token gives way to ours, or goes where there is none.
///
/// # Errors
/// Any [`Fault`].
pub fn params_for_modern(
    params: Option<&[u8]>,
    facts: &ClientFacts<'_>,
    progress_token: Option<u64>,
) -> Result<Vec<u8>, Fault> {
    let members = Members::read(params.unwrap_or(b"{}"))?;
    let meta = Members::read(members.object("_meta").unwrap_or(b"{}"))?;
    let version = quoted(facts.version.as_str());
    let capabilities = modern_capabilities(facts.capabilities)?;
    let level = facts.log_level.map(|level| quoted(level.as_str()));
    let token = progress_token.map(|token| token.to_string());
    let meta = meta.changed(&[
        Change::Set(PROTOCOL_VERSION, &version),
        Change::to(CLIENT_INFO, facts.client_info),
        Change::Set(CLIENT_CAPABILITIES, &capabilities),
        Change::to(LOG_LEVEL, level.as_deref()),
        Change::to(PROGRESS_TOKEN, token.as_deref().map(str::as_bytes)),
    ])?;
    let changes = [Change::Set("_meta", &meta), Change::Drop("task")];
    Ok(members.changed(&changes)?.into_owned())
}

/// A legacy client's capabilities as they go into `_meta`: as they are, but for tasks, which it and a modern
/// server would understand differently.
fn modern_capabilities(capabilities: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    let members = Members::read(capabilities)?;
    let mut changes = vec![Change::Drop("tasks")];
    let extensions = match members.object("extensions") {
        Some(extensions) => Some(Members::read(extensions)?.changed(&[Change::Drop(TASKS_EXTENSION)])?),
        None => None,
    };
    if let Some(extensions) = &extensions {
        changes.push(Change::Set("extensions", extensions));
    }
    members.changed(&changes)
}

/// `params` of a modern client's request as a legacy server understands them: without what only modern
/// servers read, and with our progress token where the client wants to hear of progress.
///
/// # Errors
/// Any [`Fault`].
pub fn params_for_legacy(params: Option<&[u8]>, progress_token: Option<u64>) -> Result<Vec<u8>, Fault> {
    let members = Members::read(params.unwrap_or(b"{}"))?;
    let meta = Members::read(members.object("_meta").unwrap_or(b"{}"))?;
    let token = progress_token.map(|token| token.to_string());
    let meta = meta.changed(&[
        Change::Drop(PROTOCOL_VERSION),
        Change::Drop(CLIENT_INFO),
        Change::Drop(CLIENT_CAPABILITIES),
        Change::Drop(LOG_LEVEL),
        token
            .as_deref()
            .map_or(Change::Drop(PROGRESS_TOKEN), |token| Change::Set(PROGRESS_TOKEN, token.as_bytes())),
    ])?;
    let empty = Members::read(&meta)?.len() == 0;
    let meta = if empty { Change::Drop("_meta") } else { Change::Set("_meta", &meta) };
    let changes = [meta, Change::Drop("inputResponses"), Change::Drop("requestState")];
    Ok(members.changed(&changes)?.into_owned())
}

/// `params` of `initialize` towards a legacy server.
pub fn initialize_params(version: Version, set: CapabilitySet, client_info: &[u8]) -> Vec<u8> {
    let mut out = vec![b'{'];
    push_text(&mut out, "protocolVersion", version.as_str());
    push_member(&mut out, "capabilities", &set.write_legacy(version));
    push_member(&mut out, "clientInfo", client_info);
    out.push(b'}');
    out
}
