//! `tools:` as one word: how definitions of tools are written for callers.

use crate::call::{ToolChoice, ToolMode};
use crate::config::reader::Reader;
use crate::config::yaml::Node;

/// Reads the word where it is about callers: `auto` goes by what their clients are.
pub(crate) fn read_choice(node: &Node, what: &str, reader: &mut Reader) -> Option<ToolChoice> {
    let set = ToolMode::ALL.map(|mode| (mode.name(), ToolChoice::Set(mode)));
    let words: Vec<_> = set.into_iter().chain([(ToolChoice::Auto.name(), ToolChoice::Auto)]).collect();
    reader.choice(node, what, &words)
}

/// Reads the word where it is about tools.
pub(crate) fn read(node: &Node, what: &str, reader: &mut Reader) -> Option<ToolMode> {
    reader.choice(node, what, &ToolMode::ALL.map(|mode| (mode.name(), mode)))
}
