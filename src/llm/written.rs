//! Pieces of JSON as they were written, and the writer that puts them into another document.
//!
//! A text that goes from one document into another stays escaped as it is: nothing is decoded and encoded
//! again but what has to change.

use std::borrow::Cow;
use std::fmt;

use crate::json::{self, Kind};

/// What stands between the quotes of a JSON string, still escaped.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Written<'a>(&'a [u8]);

/// A whole JSON value as it was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a> {
    /// What it is.
    pub kind: Kind,
    bytes: &'a [u8],
}

impl<'a> Written<'a> {
    /// Takes what stands between quotes; it must hold no quote without a back slash.
    pub(crate) const fn new(inner: &'a [u8]) -> Self {
        Self(inner)
    }

    /// The bytes between the quotes.
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text; copied only when it is escaped. What is no text in it becomes U+FFFD.
    pub fn text(self) -> Cow<'a, str> {
        json::text(self.0).unwrap_or_else(|_| String::from_utf8_lossy(self.0))
    }

    /// Whether the text is this one.
    pub fn is(self, text: &str) -> bool {
        self.0 == text.as_bytes() || (self.0.contains(&b'\\') && self.text() == text)
    }

    /// Whether there is nothing in it but white space. Reads on only until it is known.
    pub fn is_blank(self) -> bool {
        let mut rest = self.0.trim_ascii_start();
        while let [b'\\', b'n' | b'r' | b't', after @ ..] = rest {
            rest = after.trim_ascii_start();
        }
        match rest.first() {
            None => true,
            Some(b'!'..=b'[' | b']'..=b'~') => false,
            // Other escapes and other alphabets have white space, too.
            Some(_) => Self(rest).text().trim().is_empty(),
        }
    }
}

impl<'a> Raw<'a> {
    /// Takes the bytes of a value that a walk has passed.
    pub(crate) const fn new(kind: Kind, bytes: &'a [u8]) -> Self {
        Self { kind, bytes }
    }

    /// The bytes with quotes or brackets.
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// What stands between the quotes of a string; nothing of another kind.
    pub fn string(self) -> Option<Written<'a>> {
        if self.kind != Kind::String {
            return None;
        }
        Some(Written(self.bytes.get(1..self.bytes.len().saturating_sub(1))?))
    }

    /// Whether it says nothing: `null`, or brackets around white space.
    pub fn is_void(self) -> bool {
        match self.kind {
            Kind::Null => true,
            Kind::Array | Kind::Object => {
                self.bytes.get(1..self.bytes.len() - 1).is_some_and(|inner| inner.trim_ascii().is_empty())
            }
            Kind::String | Kind::Number | Kind::True | Kind::False => false,
        }
    }
}

/// Its length alone: what people write to a model is in no log.
impl fmt::Debug for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Written({} bytes)", self.0.len())
    }
}

/// Its kind and length alone.
impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({:?}, {} bytes)", self.kind, self.bytes.len())
    }
}

/// Writes one JSON document from the front to the end. Commas are its own business.
#[derive(Clone, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// A writer with room for so many bytes.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    /// The document.
    pub(crate) fn done(self) -> Vec<u8> {
        self.out
    }

    /// A comma, unless a value has to come next or is the first in its brackets.
    fn next(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    /// The name of a member; its value has to follow. `name` needs no escapes.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.next();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self
    }

    /// What stands behind a name that was written as a string.
    pub(crate) fn colon(&mut self) -> &mut Self {
        self.out.push(b':');
        self
    }

    /// An opening bracket, of whichever kind.
    pub(crate) fn open(&mut self, bracket: char) -> &mut Self {
        self.next();
        self.out.extend(u8::try_from(bracket).ok());
        self
    }

    /// The closing bracket that belongs to the one that is open.
    pub(crate) fn close(&mut self, bracket: char) -> &mut Self {
        self.out.extend(u8::try_from(bracket).ok());
        self
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.next();
        self.out.extend_from_slice(value);
        self
    }

    /// A string.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.next();
        json::write_string(&mut self.out, text);
        self
    }

    /// A string that is escaped already.
    pub(crate) fn written(&mut self, text: Written<'_>) -> &mut Self {
        self.begin_text().more(text).end_text()
    }

    /// A number.
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.raw(number.to_string().as_bytes())
    }

    /// The opening quote of a string that comes in pieces.
    pub(crate) fn begin_text(&mut self) -> &mut Self {
        self.next();
        self.out.push(b'"');
        self
    }

    /// A piece of that string, escaped already.
    pub(crate) fn more(&mut self, piece: Written<'_>) -> &mut Self {
        self.out.extend_from_slice(piece.0);
        self
    }

    /// A piece of that string.
    pub(crate) fn more_text(&mut self, piece: &str) -> &mut Self {
        json::write_escaped(&mut self.out, piece);
        self
    }

    /// A piece of that string: JSON, as the text that it is.
    pub(crate) fn more_json(&mut self, json: &[u8]) -> &mut Self {
        let mut rest = json;
        // Runs without quotes and back slashes are copied whole; line ends outside of strings are rare.
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
            let (plain, after) = rest.split_at(at);
            self.out.extend_from_slice(plain);
            let Some((special, after)) = after.split_first() else { break };
            match special {
                b'"' => self.out.extend_from_slice(b"\\\""),
                b'\\' => self.out.extend_from_slice(b"\\\\"),
                // White space between values means nothing.
                _ => self.out.push(b' '),
            }
            rest = after;
        }
        self.out.extend_from_slice(rest);
        self
    }

    /// The closing quote.
    pub(crate) fn end_text(&mut self) -> &mut Self {
        self.out.push(b'"');
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Written;

    proptest! {
        #[test]
        fn what_is_blank_is_known_without_reading_all(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    " ", "\\n", "\\r", "\\t", "\\f", "\\b", "\\u0020", "\\u00a0", "\\u0061", "\u{a0}",
                    "\u{b}", "\u{3000}", "a", "\\\\", "\\\"", "ä", "\\u", "\\x", "\\",
                ]),
                0..6,
            ),
        ) {
            let raw = parts.concat();
            let written = Written::new(raw.as_bytes());
            prop_assert_eq!(written.is_blank(), written.text().trim().is_empty(), "{:?}", raw);
        }
    }
}
