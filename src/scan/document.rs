//! Looks through the texts of a JSON document, and makes a copy in which what was found is masked.
//!
//! What is looked through are values, not names. In the members that a protocol has for ids, signatures,
//! types and encoded bytes nobody looks, where they stand in their places; the same names anywhere else, in
//! arguments, inputs and structured results, are names like all others. A text is looked at as it reads
//! without its escapes; a mask takes the place of what was found as it was written, and needs no escape
//! itself. So the copy is JSON of the same form.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Cursor, Fault, Field, Key, Kind as Json, fields, text};
use crate::limits;
use crate::scan::written::Written;
use crate::scan::{Counts, Find, Kind, Kinds, find, secrets};

/// What was found in a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How often what.
    pub counts: Counts,
    /// Where, in the bytes of the document; in their order, without overlaps.
    pub finds: Vec<Find>,
}

/// Looks through the arguments of a call, or anything else that is not of a protocol: all of it, whatever it
/// is called.
///
/// # Errors
/// It is no JSON, as far as that can be seen without looking into all of it.
pub fn arguments(doc: &[u8], kinds: Kinds) -> Result<Found, Fault> {
    all(doc, kinds, Place::Free)
}

/// Looks through a result of MCP.
///
/// # Errors
/// As [`arguments`].
pub fn result(doc: &[u8], kinds: Kinds) -> Result<Found, Fault> {
    all(doc, kinds, Place::Result)
}

/// Looks through `params` of a notification or a question of a server.
///
/// # Errors
/// As [`arguments`].
pub fn params(doc: &[u8], kinds: Kinds) -> Result<Found, Fault> {
    all(doc, kinds, Place::Params)
}

fn all(doc: &[u8], kinds: Kinds, place: Place) -> Result<Found, Fault> {
    let mut look = Look::new(doc, kinds);
    let mut cursor = Cursor::new(doc);
    look.walk(&mut cursor, place, b"")?;
    cursor.finish()?;
    Ok(look.finish())
}

/// Looks through the member `messages` of a request to a model.
///
/// # Errors
/// As [`arguments`].
pub fn messages(body: &[u8], kinds: Kinds) -> Result<Found, Fault> {
    let mut look = Look::new(body, kinds);
    fields(body, |Field { key, value }| {
        if text(key.raw)? == "messages" {
            look.walk(&mut Cursor::within(body, value.span), Place::Turns, b"")?;
        }
        Ok::<_, Fault>(())
    })?;
    Ok(look.finish())
}

/// The document with masks where something was found; each find is one of its own.
pub fn masked(doc: &[u8], finds: &[Find]) -> Vec<u8> {
    let mut out = Vec::with_capacity(doc.len());
    let mut at = 0;
    for find in finds {
        out.extend_from_slice(doc.get(at..find.span.start).unwrap_or_default());
        out.extend_from_slice(find.kind.mask().as_bytes());
        at = find.span.end;
    }
    out.extend_from_slice(doc.get(at..).unwrap_or_default());
    out
}

/// Where a value stands, as far as that says which of its members are silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Anywhere: every text is looked at.
    Free,
    /// The result of a method.
    Result,
    /// `params` of what a server says.
    Params,
    /// Messages, each with `role` and `content`.
    Turns,
    /// Blocks of content, so many blocks deep.
    Blocks(usize),
    /// `source` of a block.
    Source,
    /// `resource` of a block, and what `contents` has.
    Resource,
}

/// What is done with a member.
enum Step {
    /// It says nothing, whatever it is.
    Skip,
    /// As a text it says nothing.
    Mute,
    /// It is looked through as what stands there.
    Into(Place),
    /// It may be encoded bytes.
    Bytes,
}

impl Place {
    /// What is done with its member of this name, as written: a name with an escape in it is none of these.
    fn step(self, name: &[u8]) -> Step {
        match (self, name) {
            (Self::Result | Self::Params | Self::Blocks(_) | Self::Resource, b"_meta") => Step::Skip,
            // These come back as they were, or nothing goes on.
            (Self::Result, b"requestState" | b"taskId") => Step::Mute,
            (Self::Result, b"content") => Step::Into(Self::Blocks(0)),
            (Self::Result, b"contents") => Step::Into(Self::Resource),
            (Self::Result, b"messages") => Step::Into(Self::Turns),
            // What a task has come to.
            (Self::Result, b"result") => Step::Into(Self::Result),
            (Self::Params, b"progressToken" | b"requestId") => Step::Mute,
            (Self::Params, b"messages") => Step::Into(Self::Turns),
            (Self::Turns, b"role") => Step::Mute,
            (Self::Turns, b"content") => Step::Into(Self::Blocks(0)),
            (Self::Blocks(_), name) if SILENT.contains(&name) => Step::Mute,
            (Self::Blocks(depth), b"content" | b"citations") if depth < limits::BLOCK_DEPTH_MAX => {
                Step::Into(Self::Blocks(depth + 1))
            }
            (Self::Blocks(_), b"source") => Step::Into(Self::Source),
            (Self::Blocks(_), b"resource") => Step::Into(Self::Resource),
            (Self::Source, b"type" | b"media_type") => Step::Mute,
            (Self::Source, b"content") => Step::Into(Self::Blocks(limits::BLOCK_DEPTH_MAX)),
            (Self::Resource, b"uri" | b"mimeType") => Step::Mute,
            (Self::Blocks(_) | Self::Source, b"data") | (Self::Resource, b"blob") => Step::Bytes,
            _ => Step::Into(Self::Free),
        }
    }

    /// Whether encoded bytes stand in the member `name` of what says that it is `of`. Those of a resource
    /// stand in an object without a type, inside of a block that has one or in the list `contents`.
    fn has_bytes(self, of: &[u8], name: &[u8]) -> bool {
        match (self, name) {
            (Self::Blocks(_), b"data") => matches!(of, b"image" | b"audio" | b"redacted_thinking"),
            (Self::Blocks(_), b"blob") => of == b"resource",
            (Self::Source, b"data") => of == b"base64",
            (Self::Result, b"blob") => true,
            _ => false,
        }
    }
}

/// Members of blocks that say nothing: ids, types, signatures, what is encrypted.
const SILENT: &[&[u8]] = &[
    b"cache_control",
    b"encrypted_content",
    b"encrypted_index",
    b"id",
    b"mimeType",
    b"role",
    b"signature",
    b"toolUseId",
    b"tool_use_id",
    b"type",
    b"uri",
];

/// A walk over a document.
struct Look<'a> {
    doc: &'a [u8],
    kinds: Kinds,
    /// What looks like encoded bytes, until the type of what it stands in is known.
    waiting: Vec<(Range<usize>, &'a [u8])>,
    /// The finds are not in their order.
    unsorted: bool,
    found: Found,
}

impl<'a> Look<'a> {
    fn new(doc: &'a [u8], kinds: Kinds) -> Self {
        Self { doc, kinds, waiting: Vec::new(), unsorted: false, found: Found::default() }
    }

    fn finish(self) -> Found {
        let mut found = self.found;
        if self.unsorted {
            found.finds.sort_by_key(|find| find.span.start);
        }
        found
    }

    /// Looks through the value that comes next, that of the member `name`; the cursor bounds its depth.
    fn walk(&mut self, cursor: &mut Cursor<'a>, place: Place, name: &'a [u8]) -> Result<(), Fault> {
        match cursor.ahead() {
            Some(Json::Object) => self.object(cursor, place),
            Some(Json::Array) => {
                cursor.enter_array()?;
                while cursor.element()? {
                    self.walk(cursor, place, name)?;
                }
                Ok(())
            }
            Some(Json::String) => {
                let inner = cursor.skip()?.inner_span().unwrap_or_default();
                self.text(inner, name)
            }
            _ => cursor.skip().map(drop),
        }
    }

    fn object(&mut self, cursor: &mut Cursor<'a>, place: Place) -> Result<(), Fault> {
        let mark = self.waiting.len();
        let mut of: Option<&[u8]> = None;
        cursor.enter_object()?;
        while let Some(Key { raw: name, .. }) = cursor.key()? {
            match place.step(name) {
                Step::Skip => {
                    cursor.skip()?;
                }
                Step::Mute if cursor.ahead() == Some(Json::String) => {
                    let value = cursor.skip()?;
                    if name == b"type" {
                        // Who has two has none: readers differ in which one they take.
                        let word = value.inner(self.doc).unwrap_or_default();
                        of = Some(if of.is_none() { word } else { b"" });
                    }
                }
                Step::Bytes if cursor.ahead() == Some(Json::String) => {
                    let inner = cursor.skip()?.inner_span().unwrap_or_default();
                    if is_encoded(self.doc.get(inner.clone()).unwrap_or_default()) {
                        self.waiting.push((inner, name));
                    } else {
                        self.text(inner, name)?;
                    }
                }
                Step::Mute | Step::Bytes => self.walk(cursor, Place::Free, name)?,
                Step::Into(next) => self.walk(cursor, next, name)?,
            }
        }
        // What a resource is, is said around it.
        if place != Place::Resource {
            self.settle(mark, place, of.unwrap_or_default())?;
        }
        Ok(())
    }

    /// Passes over what has waited since `mark` where it is what it looks like, and looks at it otherwise.
    fn settle(&mut self, mark: usize, place: Place, of: &[u8]) -> Result<(), Fault> {
        while self.waiting.len() > mark {
            let Some((inner, name)) = self.waiting.pop() else { break };
            if !place.has_bytes(of, name) {
                self.unsorted = true;
                self.text(inner, name)?;
            }
        }
        Ok(())
    }

    /// Looks at one text.
    fn text(&mut self, span: Range<usize>, name: &[u8]) -> Result<(), Fault> {
        let raw = self.doc.get(span.clone()).unwrap_or_default();
        if raw.len() < limits::SCANNED_BYTES_MIN {
            return Ok(());
        }
        let written = Written::read(raw)?;
        if self.kinds.has(Kind::Secret) && secrets::is_named(&plain(name)?, written.text.as_bytes()) {
            self.found.counts.add(Kind::Secret);
            self.found.finds.push(Find { span, kind: Kind::Secret });
            return Ok(());
        }
        let mut places = written.places();
        for one in find(&written.text, self.kinds) {
            self.found.counts.add(one.kind);
            let (start, end) = (places.of(one.span.start), places.of(one.span.end));
            self.found.finds.push(Find { span: span.start + start..span.start + end, kind: one.kind });
        }
        Ok(())
    }
}

/// The name of a member without its escapes.
fn plain(name: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    if memchr::memchr(b'\\', name).is_none() {
        return Ok(Cow::Borrowed(name));
    }
    Ok(Cow::Owned(Written::read(name)?.text.into_owned().into_bytes()))
}

/// Whether this is Base64, maybe with escaped slashes, and no text: so long without a blank, nobody writes.
fn is_encoded(inner: &[u8]) -> bool {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_\\".contains(byte);
    inner.len() >= limits::ENCODED_BYTES_MIN && inner.iter().all(part)
}
