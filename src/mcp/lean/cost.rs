//! Tokens of one definition in a model's prompt, in each of its forms.

use std::ops::AddAssign;

use crate::call::ToolMode;
use crate::json::write_string;
use crate::mcp::definition::Definition;
use crate::mcp::lean::results::project;
use crate::mcp::lean::signature::signature;
use crate::tokens::count;

/// Tokens by the vocabulary of [`crate::tokens`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// As its server wrote it. Clients write JSON anew, so its white space counts for nothing.
    pub raw: usize,
    /// In fewer bytes that say the same.
    pub native: usize,
    /// First sentences and types.
    pub lean: usize,
    /// One line: names, types and the first sentence.
    pub signature: usize,
    /// Its name, which is all that a client shows that loads definitions when they are wanted.
    pub name: usize,
}

impl Cost {
    /// Counts the forms of a tool that goes by `name`; `words` stand in place of its description.
    pub fn of(name: &str, words: Option<&str>, tool: &Definition) -> Self {
        let seen = |mode| count(&as_seen(name, words, tool, mode));
        let own = tool.description();
        let description = words.or(own.as_deref()).unwrap_or_default();
        Self {
            raw: seen(ToolMode::Raw),
            native: seen(ToolMode::Native),
            lean: seen(ToolMode::Lean),
            signature: count(&signature(name, description, tool.input_schema().unwrap_or_default())),
            name: count(name),
        }
    }

    /// What a mode costs.
    pub const fn in_mode(&self, mode: ToolMode) -> usize {
        match mode {
            ToolMode::Raw => self.raw,
            ToolMode::Native => self.native,
            ToolMode::Lean => self.lean,
            // It is not listed, and the tools that find it cost the same for all of them.
            ToolMode::Search | ToolMode::Jit | ToolMode::Code => 0,
        }
    }
}

/// Tokens of a tool's name as Claude Code lists it that loads definitions when they are wanted: one line,
/// with the name of the server before it.
pub fn listed(server: &str, name: &str) -> usize {
    count(&format!("mcp__{server}__{name}\n"))
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.raw += other.raw;
        self.native += other.native;
        self.lean += other.lean;
        self.signature += other.signature;
        self.name += other.name;
    }
}

/// A definition as a client gives it to a model: name, description and schema, without white space.
fn as_seen(name: &str, words: Option<&str>, tool: &Definition, mode: ToolMode) -> String {
    let shape = tool.shape(mode);
    let schema = shape.and_then(|shape| shape.input_schema.as_deref()).or_else(|| tool.input_schema());
    let schema = schema.unwrap_or_default();
    let schema = project(schema, &[], &[]).map_or_else(|_| schema.to_vec(), |small| small.text);
    let shaped = shape.and_then(|shape| shape.description.as_deref()).filter(|_| words.is_none());
    let own = tool.description();
    let mut out = b"{\"name\":".to_vec();
    write_string(&mut out, name);
    match (shaped, words.or(own.as_deref())) {
        (Some(shaped), _) => {
            out.extend_from_slice(b",\"description\":");
            out.extend_from_slice(shaped);
        }
        (None, Some(words)) => {
            out.extend_from_slice(b",\"description\":");
            write_string(&mut out, words);
        }
        (None, None) => {}
    }
    out.extend_from_slice(b",\"input_schema\":");
    out.extend_from_slice(&schema);
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}
