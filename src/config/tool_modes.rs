//! `tools:` as one word: how definitions of tools are written for callers.

use crate::call::ToolMode;
use crate::config::reader::Reader;
use crate::config::yaml::Node;

/// Reads the word.
pub(crate) fn read(node: &Node, what: &str, reader: &mut Reader) -> Option<ToolMode> {
    reader.choice(node, what, &ToolMode::ALL.map(|mode| (mode.name(), mode)))
}
