//! Looks for hints that a definition is meant for a model behind its user's back.
//!
//! Words are a weak sign: whoever writes them can write others, and honest authors write odd ones. So a hint
//! marks a definition where people look at it, and never decides anything. Looked for are characters that
//! nobody sees, orders to the model, secrecy towards the user, files with credentials, the conversation on
//! its way out, names that pass for others, and words about tools of other servers.

pub mod names;
mod rules;
pub mod unseen;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::limits;
use crate::mcp::pin::tree::Tree;

pub use names::Neighbours;

/// What a hint is a hint of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HintKind {
    /// Characters that are not seen, or text that is pushed out of sight.
    Unseen,
    /// Letters of several scripts in one word.
    MixedScripts,
    /// An order to the model that is not about this tool's use.
    Instruction,
    /// The user is not to know, or not to be asked.
    Secrecy,
    /// Files and values that open something.
    Credentials,
    /// The conversation, or what was found, is to go somewhere.
    Exfiltration,
    /// The name passes for that of another tool.
    LookAlike,
    /// It speaks about tools of others, or wants to stand in their place.
    Shadowing,
}

impl HintKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Unseen,
        Self::MixedScripts,
        Self::Instruction,
        Self::Secrecy,
        Self::Credentials,
        Self::Exfiltration,
        Self::LookAlike,
        Self::Shadowing,
    ];

    /// The word in lists, in the ledger and in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unseen => "unseen_text",
            Self::MixedScripts => "mixed_scripts",
            Self::Instruction => "instruction",
            Self::Secrecy => "secrecy",
            Self::Credentials => "credentials",
            Self::Exfiltration => "exfiltration",
            Self::LookAlike => "look_alike",
            Self::Shadowing => "shadowing",
        }
    }
}

/// One hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Of what.
    pub kind: HintKind,
    /// Where in the definition, such as `inputSchema.properties.path.description`.
    pub place: String,
    /// What was found, at most `limits::HINT_SHOWN_CHARS` characters; of others' making.
    pub found: String,
}

/// Looks through all texts of a definition; at most `limits::HINTS_MAX` hints, each kind and place once.
/// Takes time in proportion to its length and to the number of rules.
pub fn scan(server: &str, tool: &str, raw: &[u8], neighbours: &Neighbours<'_>) -> Vec<Hint> {
    let mut found = Found::default();
    names::look(server, tool, neighbours, &mut found);
    let Ok(tree) = Tree::read(raw) else { return found.hints };
    let mut left = limits::HINT_CHARS_MAX;
    tree.texts("", &mut |place, text| {
        let length = text.len();
        if length > left {
            found.add(HintKind::Unseen, place, "more text than is looked through");
        }
        let cut = text.floor_char_boundary(left.min(length));
        left -= cut;
        let text = text.get(..cut).unwrap_or_default();
        unseen::look(place, text, &mut found);
        let folded = unseen::folded(text);
        rules::look(place, &folded, &mut found);
        names::mentions(server, place, &folded, neighbours, &mut found);
    });
    found.hints
}

/// The kinds of some hints as words, such as `instruction, secrecy`.
pub fn words(hints: &[Hint]) -> String {
    let kinds: BTreeSet<HintKind> = hints.iter().map(|hint| hint.kind).collect();
    let words: Vec<&str> = kinds.into_iter().map(HintKind::word).collect();
    words.join(", ")
}

/// The hints so far.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Found {
    hints: Vec<Hint>,
}

impl Found {
    fn add(&mut self, kind: HintKind, place: &str, found: &str) {
        let known = self.hints.iter().any(|hint| hint.kind == kind && hint.place == place);
        if !known && self.hints.len() < limits::HINTS_MAX {
            let found = found.chars().take(limits::HINT_SHOWN_CHARS).collect();
            self.hints.push(Hint { kind, place: place.to_owned(), found });
        }
    }
}
