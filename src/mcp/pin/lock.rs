//! `tools.lock`: which definitions were approved, in a form to be committed and enforced elsewhere.
//!
//! One tool a line, in the order of servers and names: `SERVER TOOL model:SHA256 rest:SHA256`, the tool as a
//! JSON string, since servers may put anything into a name. Lines that begin with `#` say nothing.

use std::collections::BTreeMap;

use crate::limits;
use crate::mcp::pin::Pins;
use crate::mcp::pin::fingerprint::{Fingerprint, Hash};

/// What a lock file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// What people call it.
    name: String,
    tools: BTreeMap<(String, String), Fingerprint>,
}

/// Why a lock file cannot be read: the line, from 1, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct LockFault {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Lock {
    /// Reads a lock file; `name` is how messages call it.
    ///
    /// # Errors
    /// The first line that is none of ours.
    pub fn parse(name: &str, text: &str) -> Result<Self, LockFault> {
        let mut tools = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let fault = |why| LockFault { line: number + 1, why };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wanted = "expected `SERVER \"TOOL\" model:SHA256 rest:SHA256`";
            let (server, rest) = line.split_once(' ').ok_or_else(|| fault(wanted))?;
            let (rest, second) = rest.rsplit_once(" rest:").ok_or_else(|| fault(wanted))?;
            let (tool, first) = rest.rsplit_once(" model:").ok_or_else(|| fault(wanted))?;
            let tool: String = serde_json::from_str(tool).map_err(|_why| fault(wanted))?;
            let hash = |text| Hash::from_hex(text).ok_or_else(|| fault("a hash has 64 hexadecimal digits"));
            let print = Fingerprint { model: hash(first)?, rest: hash(second)? };
            if tools.insert((server.to_owned(), tool), print).is_some() {
                return Err(fault("the tool is named twice"));
            }
            if tools.len() > limits::PIN_LOCKED_MAX {
                return Err(fault("there are too many tools"));
            }
        }
        Ok(Self { name: name.to_owned(), tools })
    }

    /// The definition that a tool has to have; nothing where it is not locked.
    pub fn get(&self, server: &str, tool: &str) -> Option<Fingerprint> {
        self.tools.get(&(server.to_owned(), tool.to_owned())).copied()
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many tools it locks.
    pub fn len(&self) -> usize {
        self.tools.len()
    }

    /// Whether it locks none.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Everything that makes it what it is, for versions of configs.
    pub fn facts(&self) -> String {
        lines(self.tools.iter().map(|((server, tool), print)| (server.as_str(), tool.as_str(), *print)))
    }
}

/// The lock file of all pinned definitions: equal pins, equal bytes.
pub fn write(pins: &Pins) -> String {
    let all = pins.servers.iter().flat_map(|(server, tools)| {
        tools.iter().filter_map(move |(tool, known)| {
            Some((server.as_str(), tool.as_str(), known.pinned.as_ref()?.print))
        })
    });
    let head = "# Definitions of MCP tools that were approved. Made by `tollgate tools lock`.\n";
    format!("{head}{}", lines(all))
}

fn lines<'a>(all: impl Iterator<Item = (&'a str, &'a str, Fingerprint)>) -> String {
    let mut out = String::new();
    for (server, tool, print) in all {
        let tool = serde_json::to_string(tool).unwrap_or_default();
        out.push_str(&format!("{server} {tool} model:{} rest:{}\n", print.model, print.rest));
    }
    out
}
