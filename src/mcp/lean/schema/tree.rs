//! A JSON document as a tree that keeps numbers as they are written and members in their order.

use std::borrow::Cow;

use super::Odd;
use crate::json::{Cursor, Kind, text, write_string};
use crate::limits;
use crate::mcp::canonical::name;

/// The place of a node in its tree.
pub(in crate::mcp::lean) type Id = usize;

/// The members of an object: name, value.
pub(in crate::mcp::lean) type Members<'a> = Vec<(Cow<'a, str>, Id)>;

/// What a node is.
#[derive(Clone, Debug)]
pub(in crate::mcp::lean) enum Shape<'a> {
    /// In the order of writing; names are unique.
    Object(Members<'a>),
    Array(Vec<Id>),
    /// The text that it stands for.
    String(Cow<'a, str>),
    /// As written: a number, `true`, `false` or `null`.
    Word(&'a [u8]),
}

/// A document. Nodes refer to each other by place, so that one can be put in another's stead.
#[derive(Debug)]
pub(in crate::mcp::lean) struct Tree<'a> {
    nodes: Vec<Shape<'a>>,
    /// Nodes that a pointer of the document passes or ends at: they stay where they are.
    held: Vec<bool>,
}

/// The node of every document's outermost value.
pub(in crate::mcp::lean) const ROOT: Id = 0;

impl<'a> Tree<'a> {
    /// Reads a whole document, to `limits::LEAN_SCHEMA_DEPTH_MAX` layers.
    pub(in crate::mcp::lean) fn read(doc: &'a [u8]) -> Result<Self, Odd> {
        let mut tree = Self { nodes: Vec::new(), held: Vec::new() };
        let mut cursor = Cursor::new(doc);
        tree.value(doc, &mut cursor, 0)?;
        cursor.finish()?;
        Ok(tree)
    }

    fn value(&mut self, doc: &'a [u8], cursor: &mut Cursor<'a>, depth: usize) -> Result<Id, Odd> {
        if depth > limits::LEAN_SCHEMA_DEPTH_MAX {
            return Err(Odd);
        }
        let id = self.add(Shape::Word(b"null"));
        let shape = match cursor.ahead() {
            Some(Kind::Object) => {
                cursor.enter_object()?;
                let mut members: Members<'a> = Vec::new();
                while let Some(key) = cursor.key()? {
                    let name = name(&key)?;
                    members.push((name, self.value(doc, cursor, depth + 1)?));
                }
                unique(&members)?;
                Shape::Object(members)
            }
            Some(Kind::Array) => {
                cursor.enter_array()?;
                let mut items = Vec::new();
                while cursor.element()? {
                    items.push(self.value(doc, cursor, depth + 1)?);
                }
                Shape::Array(items)
            }
            _ => {
                let value = cursor.skip()?;
                match value.inner_span().and_then(|span| doc.get(span)) {
                    Some(raw) => Shape::String(text(raw)?),
                    None => Shape::Word(doc.get(value.span).ok_or(Odd)?),
                }
            }
        };
        self.set(id, shape);
        Ok(id)
    }

    /// Appends a node that nothing refers to yet.
    pub(in crate::mcp::lean) fn add(&mut self, shape: Shape<'a>) -> Id {
        self.nodes.push(shape);
        self.held.push(false);
        self.nodes.len() - 1
    }

    pub(in crate::mcp::lean) fn shape(&self, id: Id) -> &Shape<'a> {
        self.nodes.get(id).unwrap_or(&Shape::Word(b"null"))
    }

    /// Puts something else in the place of a node; who refers to it refers to that.
    pub(in crate::mcp::lean) fn set(&mut self, id: Id, shape: Shape<'a>) {
        if let Some(place) = self.nodes.get_mut(id) {
            *place = shape;
        }
    }

    pub(in crate::mcp::lean) fn members(&self, id: Id) -> Option<&Members<'a>> {
        if let Shape::Object(members) = self.shape(id) { Some(members) } else { None }
    }

    pub(in crate::mcp::lean) fn items(&self, id: Id) -> Option<&[Id]> {
        if let Shape::Array(items) = self.shape(id) { Some(items) } else { None }
    }

    pub(in crate::mcp::lean) fn string(&self, id: Id) -> Option<&str> {
        if let Shape::String(text) = self.shape(id) { Some(text) } else { None }
    }

    /// Whether a node is this number or literal, in this spelling.
    pub(in crate::mcp::lean) fn is_word(&self, id: Id, word: &str) -> bool {
        matches!(self.shape(id), Shape::Word(written) if *written == word.as_bytes())
    }

    pub(in crate::mcp::lean) fn is_bool(&self, id: Id) -> bool {
        self.is_word(id, "true") || self.is_word(id, "false")
    }

    /// Whether a node is an object or an array without anything in it.
    pub(in crate::mcp::lean) fn is_empty(&self, id: Id) -> bool {
        match self.shape(id) {
            Shape::Object(members) => members.is_empty(),
            Shape::Array(items) => items.is_empty(),
            Shape::String(_) | Shape::Word(_) => false,
        }
    }

    /// The value of a member.
    pub(in crate::mcp::lean) fn get(&self, id: Id, name: &str) -> Option<Id> {
        self.members(id)?.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// Takes members away for which `stays` says no.
    pub(in crate::mcp::lean) fn retain(&mut self, id: Id, stays: impl Fn(&Self, &str, Id) -> bool) {
        let Some(members) = self.members(id) else { return };
        if members.iter().all(|(name, value)| stays(self, name, *value)) {
            return;
        }
        let left = members.iter().filter(|(name, value)| stays(self, name, *value)).cloned().collect();
        self.set(id, Shape::Object(left));
    }

    pub(in crate::mcp::lean) fn hold(&mut self, id: Id) {
        if let Some(held) = self.held.get_mut(id) {
            *held = true;
        }
    }

    /// Holds no node any more.
    pub(in crate::mcp::lean) fn release(&mut self) {
        self.held.fill(false);
    }

    pub(in crate::mcp::lean) fn is_held(&self, id: Id) -> bool {
        self.held.get(id).copied().unwrap_or(true)
    }

    /// Appends the document in its smallest notation.
    pub(in crate::mcp::lean) fn write(&self, out: &mut Vec<u8>) -> Result<(), Odd> {
        self.write_node(ROOT, 0, out)
    }

    /// Nodes that were put into each other can be deeper than any that were read.
    fn write_node(&self, id: Id, depth: usize, out: &mut Vec<u8>) -> Result<(), Odd> {
        if depth > limits::LEAN_SCHEMA_DEPTH_MAX {
            return Err(Odd);
        }
        match self.shape(id) {
            Shape::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b"," } else { b"" });
                    write_string(out, name);
                    out.push(b':');
                    self.write_node(*value, depth + 1, out)?;
                }
                out.push(b'}');
            }
            Shape::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b"," } else { b"" });
                    self.write_node(*item, depth + 1, out)?;
                }
                out.push(b']');
            }
            Shape::String(text) => write_string(out, text),
            Shape::Word(word) => out.extend_from_slice(word),
        }
        Ok(())
    }
}

/// Of two members of one name, readers take different ones.
fn unique(members: &Members<'_>) -> Result<(), Odd> {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) { Err(Odd) } else { Ok(()) }
}
