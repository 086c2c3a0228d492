//! A definition as a tree, for whoever compares: strings by their meaning, numbers as they are written.

use std::collections::BTreeMap;

use crate::json::{Cursor, Kind, text};
use crate::mcp::canonical::{Ambiguous, name};

/// A JSON value. Two are equal exactly when their canonical forms are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// Its members by their names.
    Object(BTreeMap<String, Self>),
    /// Its elements in their order.
    Array(Vec<Self>),
    /// A string, without escapes.
    Text(String),
    /// A number, `true`, `false` or `null`, as written.
    Bare(String),
}

impl Tree {
    /// Reads a whole document, no deeper than `limits::JSON_DEPTH_MAX`.
    ///
    /// # Errors
    /// [`Ambiguous`], as [`crate::mcp::canonical::canonical`].
    pub fn read(doc: &[u8]) -> Result<Self, Ambiguous> {
        let mut cursor = Cursor::new(doc);
        let tree = Self::value(doc, &mut cursor)?;
        cursor.finish()?;
        Ok(tree)
    }

    fn value<'a>(doc: &'a [u8], cursor: &mut Cursor<'a>) -> Result<Self, Ambiguous> {
        match cursor.ahead() {
            Some(Kind::Object) => {
                cursor.enter_object()?;
                let mut members = BTreeMap::new();
                while let Some(key) = cursor.key()? {
                    let name = name(&key)?.into_owned();
                    if members.insert(name, Self::value(doc, cursor)?).is_some() {
                        return Err(Ambiguous::Twice);
                    }
                }
                Ok(Self::Object(members))
            }
            Some(Kind::Array) => {
                cursor.enter_array()?;
                let mut elements = Vec::new();
                while cursor.element()? {
                    elements.push(Self::value(doc, cursor)?);
                }
                Ok(Self::Array(elements))
            }
            _ => {
                let value = cursor.skip()?;
                match value.inner(doc) {
                    Some(raw) => Ok(Self::Text(text(raw)?.into_owned())),
                    None => Ok(Self::Bare(String::from_utf8_lossy(value.bytes(doc)).into_owned())),
                }
            }
        }
    }

    /// The member of this name, where it is an object and has one.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().and_then(|members| members.get(name))
    }

    /// Its members, where it is an object.
    pub const fn members(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(members) => Some(members),
            Self::Array(_) | Self::Text(_) | Self::Bare(_) => None,
        }
    }

    /// Its words, where it is a string.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Object(_) | Self::Array(_) | Self::Bare(_) => None,
        }
    }

    /// Whether it is `true` or `false`.
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Bare(word) if word == "true" => Some(true),
            Self::Bare(word) if word == "false" => Some(false),
            _ => None,
        }
    }

    /// Visits every string and every name of a member in it, with its place such as `inputSchema.type`.
    pub fn texts(&self, place: &str, visit: &mut dyn FnMut(&str, &str)) {
        let below = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
        match self {
            Self::Object(members) => {
                for (name, value) in members {
                    let at = below(name);
                    visit(&at, name);
                    value.texts(&at, visit);
                }
            }
            Self::Array(elements) => {
                for (number, element) in elements.iter().enumerate() {
                    element.texts(&below(&number.to_string()), visit);
                }
            }
            Self::Text(text) => visit(place, text),
            Self::Bare(_) => {}
        }
    }
}
