//! Texts that may hold references to secrets among their own words, such as `Bearer ${env:TOKEN}`.

use std::fmt;

use crate::config::faults::Mark;
use crate::config::reader::{At, Reader};
use crate::config::secrets::{self, Finder, Source};
use crate::config::yaml::Node;
use crate::limits;
use crate::secret::Secret;

/// How references are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// `${env:NAME}` and `${file:PATH}`, as in our config.
    Ours,
    /// `${NAME}` and `${NAME:-default}`, as in a `.mcp.json`.
    Shell,
}

/// A text in pieces.
#[derive(Clone)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone)]
enum Piece {
    /// Written words.
    Text(String),
    /// A reference, and what holds where its variable is not set or empty.
    Reference(Source, Option<String>),
}

impl Template {
    /// Whether it holds any reference.
    pub(crate) fn refers(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Reference(..)))
    }

    /// Whether it is the empty text.
    pub(crate) const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// Nothing of it: a secret may be written as it is.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template(***)")
    }
}

/// The written words, with a mask for each reference.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Reference(..) => f.write_str(crate::config::shown::MASK),
        })
    }
}

/// Reads a text that may refer to secrets. No fault repeats what stands there.
pub(crate) fn read(node: &Node, what: &str, syntax: Syntax, reader: &mut Reader) -> Option<At<Template>> {
    let text = reader.raw_text(node, what)?.value;
    let mut pieces = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let reference = after.split_once('}').and_then(|(inner, after)| Some((piece(inner, syntax)?, after)));
        let Some((piece, after)) = reference else {
            let form = match syntax {
                Syntax::Ours => "`${env:NAME}` or `${file:PATH}`",
                Syntax::Shell => "`${NAME}` or `${NAME:-default}`",
            };
            reader.fault(node.mark, format!("{what}: write a reference as {form}"));
            return None;
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Some(At { mark: node.mark, value: Template { pieces } })
}

fn piece(inner: &str, syntax: Syntax) -> Option<Piece> {
    match syntax {
        Syntax::Ours => Some(Piece::Reference(secrets::reference(inner)?, None)),
        Syntax::Shell => {
            let (name, default) = match inner.split_once(":-") {
                Some((name, default)) => (name, Some(default.to_owned())),
                None => (inner, None),
            };
            let nested = default.as_ref().is_some_and(|default: &String| default.contains("${"));
            let name = (secrets::is_variable(name) && !nested).then(|| name.to_owned())?;
            Some(Piece::Reference(Source::Variable(name), default))
        }
    }
}

/// Finds all that a template refers to and puts it together.
pub(crate) fn fill(
    template: &At<Template>,
    what: &str,
    finder: &mut Finder<'_>,
    reader: &mut Reader,
) -> Option<Secret> {
    let mut found = Vec::with_capacity(template.value.pieces.len());
    for piece in &template.value.pieces {
        found.push(match piece {
            Piece::Text(text) => Secret::new(text.as_str()),
            Piece::Reference(source, default) => {
                fill_one(source, default.as_deref(), template.mark, what, (finder, reader))?
            }
        });
    }
    if found.iter().map(|piece| piece.expose().len()).sum::<usize>() > limits::MCP_SETTING_BYTES_MAX {
        let max = limits::MCP_SETTING_BYTES_MAX;
        reader.fault(template.mark, format!("{what}: it is longer than {max} bytes"));
        return None;
    }
    // Of its final size at once: growing would leave copies of secrets behind in freed memory.
    let mut out = String::with_capacity(found.iter().map(|piece| piece.expose().len()).sum());
    found.iter().for_each(|piece| out.push_str(piece.expose()));
    Some(Secret::new(out))
}

fn fill_one(
    source: &Source,
    default: Option<&str>,
    mark: Mark,
    what: &str,
    (finder, reader): (&mut Finder<'_>, &mut Reader),
) -> Option<Secret> {
    if let (Source::Variable(name), Some(default)) = (source, default) {
        return Some(Secret::new(finder.environment.read_set(name).unwrap_or_else(|| default.to_owned())));
    }
    finder.fetch(source, mark, what, reader)
}
