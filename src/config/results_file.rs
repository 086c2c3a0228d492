//! `results:` of a server or a tool: what is done to results before callers get them.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::Serialize;

use crate::config::reader::Reader;
use crate::config::yaml::Node;
use crate::limits;
use crate::mcp::lean::results::{Caps, Path, Rule};

/// Reads `{ minify, keep, drop, max_rows, max_bytes, max_result_size_chars, refer_bytes }`.
pub(crate) fn read(node: &Node, what: &str, reader: &mut Reader) -> Option<Arc<Rule>> {
    let fields = reader.fields(node, what, &KEYS)?;
    let mut paths = |key: &str| {
        fields.get(key).map(|node| read_paths(node, &format!("{what}.{key}"), reader)).unwrap_or_default()
    };
    let (keep, drop) = (paths("keep"), paths("drop"));
    let minify = fields.get("minify").and_then(|node| reader.yes_or_no(node, &format!("{what}.minify")));
    let most = limits::MCP_MESSAGE_BYTES_MAX;
    let mut number = |key: &str, bounds: RangeInclusive<usize>| {
        let node = fields.get(key)?;
        let bounds = u64::try_from(*bounds.start()).ok()?..=u64::try_from(*bounds.end()).ok()?;
        usize::try_from(reader.number(node, &format!("{what}.{key}"), bounds)?).ok()
    };
    let caps = Caps {
        rows_max: number("max_rows", 1..=most),
        bytes_max: number("max_bytes", limits::RESULT_CUT_BYTES_MIN..=most),
    };
    let client_chars = number("max_result_size_chars", 1..=limits::CLIENT_RESULT_CHARS_MAX);
    let refer_bytes = number("refer_bytes", limits::RESULT_REFER_BYTES_MIN..=most);
    let minify = minify.unwrap_or_default();
    Some(Arc::new(Rule { minify, keep, drop, caps, client_chars, refer_bytes }))
}

/// What may be said. `max_result_size_chars` is spelt as the mark that it is written into.
const KEYS: [&str; 7] =
    ["minify", "keep", "drop", "max_rows", "max_bytes", "max_result_size_chars", "refer_bytes"];

fn read_paths(node: &Node, what: &str, reader: &mut Reader) -> Vec<Path> {
    let nodes = reader.list(node, what).unwrap_or_default();
    let max = limits::RESULT_PATHS_MAX;
    if nodes.len() > max {
        reader.fault(node.mark, format!("{what}: expected at most {max} paths"));
    }
    let mut paths = Vec::new();
    for node in nodes.iter().take(max) {
        let Some(text) = reader.raw_text(node, what) else { continue };
        match Path::read(&text.value) {
            Ok(path) => paths.push(path),
            Err(why) => reader.fault(node.mark, format!("{what}: {why}")),
        }
    }
    paths
}

/// A rule as the config has it.
#[derive(Clone, Debug, Serialize)]
pub struct ShownRule {
    /// Whether JSON is written without white space.
    pub minify: bool,
    /// Paths of what alone is shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Paths of what is not shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Rows that are shown at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<usize>,
    /// Bytes of a text that are shown at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    /// Characters of a result that Claude Code is told to put before its model, also where that follows from
    /// `max_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_result_size_chars: Option<usize>,
    /// Bytes from which on a text is referred to that the session was given before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refer_bytes: Option<usize>,
}

impl ShownRule {
    /// Shows a rule.
    pub(crate) fn of(rule: &Rule) -> Self {
        let paths = |paths: &[Path]| paths.iter().map(Path::to_string).collect();
        let Caps { rows_max, bytes_max } = rule.caps;
        Self {
            minify: rule.minify,
            keep: paths(&rule.keep),
            drop: paths(&rule.drop),
            max_rows: rows_max,
            max_bytes: bytes_max,
            max_result_size_chars: rule.result_chars(),
            refer_bytes: rule.refer_bytes,
        }
    }
}

/// The entry `results:` of a config.
impl fmt::Display for ShownRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "results: {{ minify: {}", self.minify)?;
        for (key, paths) in [("keep", &self.keep), ("drop", &self.drop)] {
            if !paths.is_empty() {
                write!(f, ", {key}: {paths:?}")?;
            }
        }
        for (key, number) in [
            ("max_rows", self.max_rows),
            ("max_bytes", self.max_bytes),
            ("max_result_size_chars", self.max_result_size_chars),
            ("refer_bytes", self.refer_bytes),
        ] {
            if let Some(number) = number {
                write!(f, ", {key}: {number}")?;
            }
        }
        f.write_str(" }")
    }
}
