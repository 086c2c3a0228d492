//! Looks through the texts of a JSON document, and makes a copy in which what was found is masked.
//!
//! What is looked through are values, not names, and no ids, signatures, types and encoded bytes. A text is
//! looked at as it reads without its escapes; a mask takes the place of what was found as it was written, and
//! needs no escape itself. So the copy is JSON of the same form.

use std::ops::Range;

use crate::json::{Cursor, Fault, Field, Kind as Json, fields, text};
use crate::scan::{Counts, Find, Kind, Kinds, find, secrets};

/// What was found in a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How often what.
    pub counts: Counts,
    /// Where, in the bytes of the document; in their order, without overlaps.
    pub finds: Vec<Find>,
}

/// Members that say nothing: ids, types, signatures, what is encoded.
const SILENT: &[&[u8]] = &[
    b"_meta",
    b"cache_control",
    b"encrypted_content",
    b"encrypted_index",
    b"id",
    b"media_type",
    b"mimeType",
    b"role",
    b"signature",
    b"tool_use_id",
    b"type",
    b"uri",
];

/// Members that may hold encoded bytes.
const BYTES: &[&[u8]] = &[b"blob", b"data"];

/// Looks through the arguments of a call: all of them, whatever they are called.
///
/// # Errors
/// It is no JSON, as far as that can be seen without looking into all of it.
pub fn arguments(doc: &[u8], kinds: Kinds) -> Result<Found, Fault> {
    all(doc, kinds, &[])
}

/// Looks through a result.
///
/// # Errors
/// As [`arguments`].
pub fn result(doc: &[u8], kinds: Kinds) -> Result<Found, Fault> {
    all(doc, kinds, SILENT)
}

fn all(doc: &[u8], kinds: Kinds, silent: &'static [&'static [u8]]) -> Result<Found, Fault> {
    let mut look = Look { doc, kinds, silent, found: Found::default() };
    let mut cursor = Cursor::new(doc);
    look.walk(&mut cursor, b"")?;
    cursor.finish()?;
    Ok(look.found)
}

/// Looks through the member `messages` of a request to a model.
///
/// # Errors
/// As [`arguments`].
pub fn messages(body: &[u8], kinds: Kinds) -> Result<Found, Fault> {
    let mut look = Look { doc: body, kinds, silent: SILENT, found: Found::default() };
    fields(body, |Field { key, value }| {
        if text(key.raw)? == "messages" {
            look.walk(&mut Cursor::within(body, value.span), b"")?;
        }
        Ok::<_, Fault>(())
    })?;
    Ok(look.found)
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

/// A walk over a document.
struct Look<'a> {
    doc: &'a [u8],
    kinds: Kinds,
    /// Members that are passed over.
    silent: &'static [&'static [u8]],
    found: Found,
}

impl Look<'_> {
    /// Looks through the value that comes next, that of the member `name`; the cursor bounds its depth.
    fn walk(&mut self, cursor: &mut Cursor<'_>, name: &[u8]) -> Result<(), Fault> {
        match cursor.ahead() {
            Some(Json::Object) => {
                cursor.enter_object()?;
                while let Some(key) = cursor.key()? {
                    // A name with an escape in it is none of these.
                    if self.silent.contains(&key.raw) {
                        cursor.skip()?;
                    } else {
                        self.walk(cursor, key.raw)?;
                    }
                }
            }
            Some(Json::Array) => {
                cursor.enter_array()?;
                while cursor.element()? {
                    self.walk(cursor, name)?;
                }
            }
            Some(Json::String) => {
                let inner = cursor.skip()?.inner_span().unwrap_or_default();
                let raw = self.doc.get(inner.clone()).unwrap_or_default();
                if !(BYTES.contains(&name) && is_encoded(raw)) {
                    self.text(inner, name);
                }
            }
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    }

    /// Looks at one text.
    fn text(&mut self, span: Range<usize>, name: &[u8]) {
        let raw = self.doc.get(span.clone()).unwrap_or_default();
        if raw.len() < 6 {
            return;
        }
        if self.kinds.has(Kind::Secret) && secrets::is_named(name, raw) {
            self.found.counts.add(Kind::Secret);
            self.found.finds.push(Find { span, kind: Kind::Secret });
            return;
        }
        // Half of a surrogate pair is no text for us; such a one is looked at as it is written.
        let text = text(raw).unwrap_or_else(|_half| String::from_utf8_lossy(raw));
        let escaped = text.len() != raw.len();
        let mut place = Places { raw, at: 0, passed: 0 };
        for mut one in find(&text, self.kinds) {
            if escaped {
                let (start, end) = (place.of(one.span.start), place.of(one.span.end));
                one.span = start..end;
            }
            self.found.counts.add(one.kind);
            let place = span.start + one.span.start..span.start + one.span.end;
            self.found.finds.push(Find { span: place, kind: one.kind });
        }
    }
}

/// Whether this is Base64 and no text: so long without a blank, nobody writes.
fn is_encoded(inner: &[u8]) -> bool {
    let head = inner.get(..512).unwrap_or(inner);
    head.len() >= 64 && head.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte))
}

/// Finds the places of a text in what it was written as, forwards only.
struct Places<'a> {
    raw: &'a [u8],
    /// In `raw`.
    at: usize,
    /// In the text.
    passed: usize,
}

impl Places<'_> {
    fn of(&mut self, wanted: usize) -> usize {
        while self.passed < wanted {
            let Some(rest) = self.raw.get(self.at..).filter(|rest| !rest.is_empty()) else { break };
            let (written, meant) = match rest {
                [b'\\', b'u', ..] => {
                    let pair = matches!(
                        rest.get(2..4),
                        Some([b'd' | b'D', b'8'..=b'9' | b'a'..=b'b' | b'A'..=b'B'])
                    );
                    let most = if pair { 12 } else { 6 };
                    let one = rest.get(..most).unwrap_or(rest);
                    (one.len(), text(one).map_or(0, |text| text.len()))
                }
                [b'\\', ..] => (2, 1),
                _ => (1, 1),
            };
            self.at += written;
            self.passed += meant;
        }
        self.at
    }
}
