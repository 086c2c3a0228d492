//! Finds fields of a JSON document by their place, without building a tree and without copying a byte.
//!
//! A request of Claude Code is 60 KiB of which the gateway needs two words, and every other byte has to go
//! out as it came in. So this walks one level of a document and skips the values in between, 64 bytes at a
//! step: [`Cursor`] is the walk itself, [`fields`] and [`elements`] are the two loops that everyone wants.
//!
//! What is checked (RFC 8259): everything at the levels walked, and in skipped values that brackets balance,
//! that no byte stands outside a string that JSON has no use for (comments, single quotes, back slashes),
//! that no control byte stands inside a string, that all of it is UTF-8 and not deeper than
//! [`limits::JSON_DEPTH_MAX`]. So a parser behind us, even one that takes comments, cannot see other fields
//! than we do. What is not checked in skipped values: which bracket closes which, commas and colons, how
//! numbers and literals are spelt, escapes. [`strict`] checks those, for documents small enough to be put
//! into a tape.

use std::ops::Range;

use crate::limits;

mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod parts;
mod skip;
mod strict;
#[cfg(test)]
mod tests;
mod text;

pub use fault::Fault;
pub use parts::{Part, Parts};
pub use strict::strict;
pub use text::{escape, text, text_pieces, write_escaped, write_string};

use skip::{Halt, Skipper, Stop};

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In quotes.
    String,
    /// Any number; its spelling is checked where it stands at a level that is walked.
    Number,
    /// In braces.
    Object,
    /// In brackets.
    Array,
    /// The literal `true`.
    True,
    /// The literal `false`.
    False,
    /// The literal `null`.
    Null,
}

/// A value's place in its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Its bytes, with quotes or brackets; start < end <= length of the document.
    pub span: Range<usize>,
}

impl Value {
    /// The bytes between the quotes of a string, still escaped; of any other kind nothing.
    pub fn inner<'a>(&self, doc: &'a [u8]) -> Option<&'a [u8]> {
        doc.get(self.inner_span()?)
    }

    /// The place between the quotes of a string; of any other kind nothing.
    pub fn inner_span(&self) -> Option<Range<usize>> {
        (self.kind == Kind::String).then(|| self.span.start + 1..self.span.end.saturating_sub(1))
    }

    /// The bytes of the value.
    pub fn bytes<'a>(&self, doc: &'a [u8]) -> &'a [u8] {
        doc.get(self.span.clone()).unwrap_or_default()
    }

    /// The value as a whole number that is not negative and fits; of anything else nothing.
    pub fn as_u64(&self, doc: &[u8]) -> Option<u64> {
        if self.kind != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.bytes(doc)).ok()?.parse().ok()
    }
}

/// The name of a member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The bytes between the quotes, as written; valid UTF-8 without control bytes.
    pub raw: &'a [u8],
    /// Whether a back slash is among them: then `raw` is not the name, [`text`] makes it so.
    pub escaped: bool,
    /// Where `raw` starts in the document.
    pub at: usize,
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub key: Key<'a>,
    /// Its value's place.
    pub value: Value,
}

/// Visits the members of the object that `doc` is, in their order, duplicates too.
///
/// # Errors
/// What `visit` returns, or the first [`Fault`]; members before it have been visited by then.
pub fn fields<'a, E: From<Fault>>(
    doc: &'a [u8],
    mut visit: impl FnMut(Field<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = Cursor::new(doc);
    cursor.enter_object()?;
    while let Some(key) = cursor.key()? {
        visit(Field { key, value: cursor.skip()? })?;
    }
    Ok(cursor.finish()?)
}

/// Visits the members of the object at `span` of `doc`; places are still places in `doc`.
///
/// # Errors
/// As [`fields`].
pub fn fields_at<'a, E: From<Fault>>(
    doc: &'a [u8],
    span: Range<usize>,
    mut visit: impl FnMut(Field<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = Cursor::within(doc, span);
    cursor.enter_object()?;
    while let Some(key) = cursor.key()? {
        visit(Field { key, value: cursor.skip()? })?;
    }
    Ok(cursor.finish()?)
}

/// Visits the elements of the array at `span` of `doc`, in their order; places are places in `doc`.
///
/// # Errors
/// As [`fields`].
pub fn elements<E: From<Fault>>(
    doc: &[u8],
    span: Range<usize>,
    mut visit: impl FnMut(Value) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = Cursor::within(doc, span);
    cursor.enter_array()?;
    while cursor.element()? {
        visit(cursor.skip()?)?;
    }
    Ok(cursor.finish()?)
}

/// A walk over one document, forwards only, that looks into what it is told to and skips the rest.
///
/// ```text
/// enter_object, { key, (skip | enter_... ) }, key = None, finish
/// enter_array,  { element, (skip | enter_... ) }, element = false, finish
/// ```
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    /// Cut where the walk has to end; places count from its start.
    doc: &'a [u8],
    /// <= length of `doc`.
    at: usize,
    /// Containers entered and not left, <= `limits::JSON_DEPTH_MAX`.
    depth: usize,
    /// Nothing of the container that was entered last has been read.
    fresh: bool,
    skipper: Skipper,
}

// All of it is inlined into those who walk: then the walk's place stays in a register from one byte to the
// next. What is worth a call is called with the walk's parts, not with the walk (`string`, `container`).
impl<'a> Cursor<'a> {
    /// A walk over all of `doc`.
    #[inline(always)]
    pub fn new(doc: &'a [u8]) -> Self {
        Self { doc, at: 0, depth: 0, fresh: false, skipper: Skipper::detect() }
    }

    /// A walk over the value at `span` of `doc`; a span outside `doc` is an empty document.
    #[inline(always)]
    pub fn within(doc: &'a [u8], span: Range<usize>) -> Self {
        let cut = doc.get(..span.end).unwrap_or_default();
        Self { at: span.start.min(cut.len()), ..Self::new(cut) }
    }

    /// The same walk without the instructions of this machine's processor.
    #[cfg(any(test, fuzzing))]
    fn plain(mut self) -> Self {
        self.skipper = Skipper::plain();
        self
    }

    /// Steps into the object that comes next.
    ///
    /// # Errors
    /// [`Fault::WrongKind`], [`Fault::Depth`].
    #[inline(always)]
    pub fn enter_object(&mut self) -> Result<(), Fault> {
        self.white();
        if self.peek() != Some(b'{') {
            return Err(Fault::WrongKind { at: self.at });
        }
        self.enter()
    }

    /// Steps into the array that comes next.
    ///
    /// # Errors
    /// [`Fault::WrongKind`], [`Fault::Depth`].
    #[inline(always)]
    pub fn enter_array(&mut self) -> Result<(), Fault> {
        self.white();
        if self.peek() != Some(b'[') {
            return Err(Fault::WrongKind { at: self.at });
        }
        self.enter()
    }

    /// Reads the next member's name and colon; nothing at the end of the object, which is left by that.
    ///
    /// # Errors
    /// Any [`Fault`] but `WrongKind`.
    #[inline(always)]
    pub fn key(&mut self) -> Result<Option<Key<'a>>, Fault> {
        if !self.next(b'}')? {
            return Ok(None);
        }
        let Some((b'"', rest)) = self.doc.get(self.at..).and_then(<[u8]>::split_first) else {
            return Err(Fault::Key { at: self.at });
        };
        let start = self.at + 1;
        let (len, escaped) = match skip::plain(rest) {
            Some(len) => (len, false),
            None => string(self.doc, start, self.skipper)?,
        };
        let raw = rest.get(..len - 1).unwrap_or_default();
        self.at = start + len;
        self.white();
        if self.peek() != Some(b':') {
            return Err(Fault::Colon { at: self.at });
        }
        self.at += 1;
        Ok(Some(Key { raw, escaped, at: start }))
    }

    /// Moves to the next element; false at the end of the array, which is left by that.
    ///
    /// # Errors
    /// [`Fault::CommaOrEnd`].
    #[inline(always)]
    pub fn element(&mut self) -> Result<bool, Fault> {
        self.next(b']')
    }

    /// The place that the walk has come to, in bytes from the start of the document.
    #[inline(always)]
    pub fn place(&self) -> usize {
        self.at
    }

    /// What the value that comes next is by its first byte, without passing it; nothing at the end. What
    /// begins no other value counts as a number, and [`Cursor::skip`] will refuse it.
    #[inline(always)]
    pub fn ahead(&mut self) -> Option<Kind> {
        self.white();
        Some(match self.peek()? {
            b'"' => Kind::String,
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b't' => Kind::True,
            b'f' => Kind::False,
            b'n' => Kind::Null,
            _ => Kind::Number,
        })
    }

    /// Passes the value that comes next and says where it was.
    ///
    /// # Errors
    /// Any [`Fault`] that is to be seen without looking into it (see the module).
    #[inline(always)]
    pub fn skip(&mut self) -> Result<Value, Fault> {
        self.white();
        let start = self.at;
        // Not among the others, which are told apart by a jump that the processor has to guess.
        if self.peek() == Some(b'"') {
            self.string()?;
            return Ok(Value { kind: Kind::String, span: start..self.at });
        }
        let kind = match self.peek() {
            Some(b'{') => self.container().map(|()| Kind::Object),
            Some(b'[') => self.container().map(|()| Kind::Array),
            Some(b't') => self.literal(b"true").map(|()| Kind::True),
            Some(b'f') => self.literal(b"false").map(|()| Kind::False),
            Some(b'n') => self.literal(b"null").map(|()| Kind::Null),
            _ => self.number().map(|()| Kind::Number),
        }?;
        Ok(Value { kind, span: start..self.at })
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    /// [`Fault::Trailing`].
    #[inline(always)]
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.white();
        if self.at == self.doc.len() { Ok(()) } else { Err(Fault::Trailing { at: self.at }) }
    }

    #[inline(always)]
    fn enter(&mut self) -> Result<(), Fault> {
        if self.depth == limits::JSON_DEPTH_MAX {
            return Err(Fault::Depth { at: self.at });
        }
        self.depth += 1;
        self.at += 1;
        self.fresh = true;
        Ok(())
    }

    /// Passes the comma before the next item; at the closing bracket leaves the container and says false.
    #[inline(always)]
    fn next(&mut self, close: u8) -> Result<bool, Fault> {
        self.white();
        let fresh = std::mem::replace(&mut self.fresh, false);
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                return Ok(false);
            }
            Some(b',') if !fresh => {
                self.at += 1;
                self.white();
            }
            Some(_) if fresh => {}
            _ => return Err(Fault::CommaOrEnd { at: self.at }),
        }
        Ok(true)
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.doc.get(self.at).copied()
    }

    #[inline(always)]
    fn white(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes a string from its opening quote.
    #[inline(always)]
    fn string(&mut self) -> Result<(), Fault> {
        let start = self.at + 1;
        let len = match skip::plain(self.doc.get(start..).unwrap_or_default()) {
            Some(len) => len,
            None => string(self.doc, start, self.skipper)?.0,
        };
        self.at = start + len;
        Ok(())
    }

    /// Passes an object or an array from its opening bracket.
    #[inline(always)]
    fn container(&mut self) -> Result<(), Fault> {
        let start = self.at + 1;
        self.at = start + container(self.doc, start, limits::JSON_DEPTH_MAX - self.depth, self.skipper)?;
        Ok(())
    }

    #[inline(always)]
    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.doc.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(Fault::Value { at: self.at });
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes a number by the grammar of RFC 8259 section 6.
    #[inline(always)]
    fn number(&mut self) -> Result<(), Fault> {
        let rest = self.doc.get(self.at..).unwrap_or_default();
        self.at += number(rest).ok_or(Fault::Value { at: self.at })?;
        Ok(())
    }
}

/// Passes a string that is long or not plain, from behind its opening quote: its length with the closing one,
/// and whether a back slash is in it.
#[inline(never)]
fn string(doc: &[u8], start: usize, skipper: Skipper) -> Result<(usize, bool), Fault> {
    let rest = doc.get(start..).unwrap_or_default();
    let stop = skipper.any_string(rest).map_err(|halt| fault(halt, start))?;
    Ok((passed(rest, start, stop)?, stop.escaped))
}

/// Passes a container of at most `room` levels from behind its opening bracket: its length from there.
#[inline(never)]
fn container(doc: &[u8], start: usize, room: usize, skipper: Skipper) -> Result<usize, Fault> {
    let rest = doc.get(start..).unwrap_or_default();
    let stop = skipper.container(rest, room).map_err(|halt| fault(halt, start))?;
    passed(rest, start, stop)
}

/// How much was passed of `rest`, which begins at `start`; what is not plain ASCII of it has to be UTF-8.
fn passed(rest: &[u8], start: usize, stop: Stop) -> Result<usize, Fault> {
    if !stop.ascii {
        let passed = rest.get(..stop.len).unwrap_or_default();
        std::str::from_utf8(passed).map_err(|bad| Fault::Utf8 { at: start + bad.valid_up_to() })?;
    }
    Ok(stop.len)
}

/// The length of the number that `rest` begins with.
#[inline(never)]
fn number(rest: &[u8]) -> Option<usize> {
    let digits = |at: usize| {
        let rest = rest.get(at..).unwrap_or_default();
        at + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
    };
    let start = usize::from(rest.first() == Some(&b'-'));
    let mut at = digits(start);
    if at == start || (rest.get(start) == Some(&b'0') && at > start + 1) {
        return None;
    }
    if rest.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = digits(fraction);
        if at == fraction {
            return None;
        }
    }
    if let Some(b'e' | b'E') = rest.get(at) {
        let sign = matches!(rest.get(at + 1), Some(b'+' | b'-'));
        let exponent = at + 1 + usize::from(sign);
        at = digits(exponent);
        if at == exponent {
            return None;
        }
    }
    Some(at)
}

/// Places a halt in a skipped value that began, after its first byte, at `start`.
fn fault(halt: Halt, start: usize) -> Fault {
    match halt {
        Halt::Byte(place) => Fault::Byte { at: start + place },
        Halt::Depth(place) => Fault::Depth { at: start + place },
        Halt::End => Fault::Unterminated { at: start - 1 },
    }
}
