//! YAML text to a tree of marked nodes: the plain part of YAML 1.2 that a config needs, everything
//! else refused.
//!
//! No aliases, anchors or tags (so nothing expands), one document, keys that are texts, no duplicate keys,
//! bounded depth. Scalars stay texts: what a text must be is known only to the key that holds it, so that
//! `name: no` is a name and `threads: no` a fault.
//!
//! `${env:NAME}` may stand unquoted inside `{ ... }`, where YAML would see braces of its own. The braces of
//! such references are put aside before the parser runs and back after it, character for character, so
//! that columns stay true.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::config::faults::Mark;
use crate::config::reader::Reader;
use crate::limits;

/// One value with the place where it begins.
pub(crate) struct Node {
    /// Where it begins.
    pub(crate) mark: Mark,
    /// What it is.
    pub(crate) value: Value,
}

/// The three shapes of a value.
pub(crate) enum Value {
    /// A scalar; `plain` when it was written without quotes.
    Text { text: String, plain: bool },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in written order, without duplicate keys.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key begins.
    pub(crate) mark: Mark,
    /// The value.
    pub(crate) value: Node,
}

impl Node {
    /// Whether nothing was written: `key:`, `~` or `null`.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(&self.value, Value::Text { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// What a person would call it.
    pub(crate) fn shape(&self) -> &'static str {
        match &self.value {
            _ if self.is_nothing() => "nothing",
            Value::Text { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads one document. Faults go to `reader`; `None` when there is no document or no sense in going on.
pub(crate) fn parse(text: &str, reader: &mut Reader) -> Option<Node> {
    parse_to(limits::CONFIG_DEPTH_MAX, text, reader)
}

/// `parse` for documents that may be nested to `depth_max`.
pub(crate) fn parse_to(depth_max: usize, text: &str, reader: &mut Reader) -> Option<Node> {
    if let Some(line) = text.lines().position(|line| line.contains([OPEN, CLOSE])) {
        let mark = Mark { line: line + 1, column: 1 };
        reader.fault(
            mark,
            "this line holds characters of Unicode's private use area: write the text without them",
        );
        return None;
    }
    let text = set_braces_aside(text);
    let mut parser = Parser::new_from_str(&text).keep_tags(false);
    let mut tree = Tree { depth_max, open: Vec::new(), root: None, documents: 0 };
    loop {
        match next(&mut parser) {
            Ok(None) => return tree.root,
            Ok(Some((event, span))) => tree.take(event, mark_of(&span), reader)?,
            Err(error) => {
                let place = error.marker();
                let mark = Mark { line: place.line().max(1), column: place.col() + 1 };
                reader.fault(mark, scan_fault(error.info()));
                return None;
            }
        }
    }
}

type Next<'i> = Result<Option<(Event<'i>, Span)>, ScanError>;

fn next<'i>(parser: &mut Parser<'i, StrInput<'i>>) -> Next<'i> {
    parser.next_event().transpose()
}

fn mark_of(span: &Span) -> Mark {
    Mark { line: span.start.line().max(1), column: span.start.col() + 1 }
}

/// The parser's own words, and a hint where we know what people mean.
fn scan_fault(info: &str) -> String {
    if info.contains("anchor") {
        return ALIAS.to_owned();
    }
    format!("this is not YAML: {info}")
}

const ALIAS: &str = "`*` and `&` at the start of a value mean aliases in YAML, which a config may not use: \
                     write a pattern in quotes, as in \"*\"";

/// The tree as it grows: one frame for each collection that is still open.
struct Tree {
    depth_max: usize,
    open: Vec<Frame>,
    root: Option<Node>,
    documents: usize,
}

struct Frame {
    mark: Mark,
    kind: Open,
}

enum Open {
    List(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// The line of each key so far: a search through `entries` would make long mappings slow.
    lines: HashMap<String, usize>,
    /// The key whose value comes next.
    pending: Option<Key>,
}

/// A key; `text` is `None` when it was not a text.
struct Key {
    mark: Mark,
    text: Option<String>,
}

impl Tree {
    /// Takes one event; `None` when there is no sense in going on.
    fn take(&mut self, event: Event<'_>, mark: Mark, reader: &mut Reader) -> Option<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    reader.fault(mark, "a second document begins here: a config is one YAML document");
                    return None;
                }
            }
            Event::Alias(_) => {
                reader.fault(mark, ALIAS);
                return None;
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_extras(anchor, tag.is_some(), mark, reader);
                let plain = style == ScalarStyle::Plain;
                let text = put_braces_back(&text).into_owned();
                self.close(Node { mark, value: Value::Text { text, plain } }, reader);
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_extras(anchor, tag.is_some(), mark, reader);
                self.push(Frame { mark, kind: Open::List(Vec::new()) }, reader)?;
            }
            Event::MappingStart(anchor, tag) => {
                refuse_extras(anchor, tag.is_some(), mark, reader);
                self.push(Frame { mark, kind: Open::Map(OpenMap::default()) }, reader)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let frame = self.open.pop()?;
                let value = match frame.kind {
                    Open::List(nodes) => Value::List(nodes),
                    Open::Map(map) => Value::Map(map.entries),
                };
                self.close(Node { mark: frame.mark, value }, reader);
            }
        }
        Some(())
    }

    fn push(&mut self, frame: Frame, reader: &mut Reader) -> Option<()> {
        if self.open.len() >= self.depth_max {
            let depth = self.depth_max;
            reader
                .fault(frame.mark, format!("this is nested deeper than {depth} levels, which no key needs"));
            return None;
        }
        self.open.push(frame);
        Some(())
    }

    /// Puts a finished node where it belongs.
    fn close(&mut self, node: Node, reader: &mut Reader) {
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut frame.kind {
            Open::List(nodes) => nodes.push(node),
            Open::Map(map) => match map.pending.take() {
                None => map.pending = Some(key_of(node, reader)),
                Some(Key { mark, text: Some(key) }) => {
                    if let Some(line) = map.lines.get(&key) {
                        reader.fault(mark, format!("{key:?} is given twice, first on line {line}: keep one"));
                    } else {
                        map.lines.insert(key.clone(), mark.line);
                        map.entries.push(Entry { key, mark, value: node });
                    }
                }
                Some(Key { text: None, .. }) => {}
            },
        }
    }
}

fn key_of(node: Node, reader: &mut Reader) -> Key {
    match node.value {
        Value::Text { text, .. } => Key { mark: node.mark, text: Some(text) },
        Value::List(_) | Value::Map(_) => {
            reader.fault(node.mark, "a key must be a text");
            Key { mark: node.mark, text: None }
        }
    }
}

fn refuse_extras(anchor: usize, tagged: bool, mark: Mark, reader: &mut Reader) {
    if anchor != 0 {
        reader.fault(mark, ALIAS);
    }
    if tagged {
        reader.fault(
            mark,
            "tags (`!...`) have no meaning in a config: write the value alone, in quotes if needed",
        );
    }
}

const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// Replaces the braces of each `${env:...}` and `${file:...}` that ends on its line.
fn set_braces_aside(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let body = after.lines().next().and_then(|line| line.split_once('}')).map(|(body, _)| body);
        match body.filter(|body| body.starts_with("env:") || body.starts_with("file:")) {
            Some(body) => {
                out.push('$');
                out.push(OPEN);
                out.push_str(body);
                out.push(CLOSE);
                rest = after.get(body.len() + 1..).unwrap_or_default();
            }
            None => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn put_braces_back(text: &str) -> Cow<'_, str> {
    if text.contains([OPEN, CLOSE]) {
        text.replace(OPEN, "{").replace(CLOSE, "}").into()
    } else {
        text.into()
    }
}
