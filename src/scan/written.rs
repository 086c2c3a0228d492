//! A JSON string as it reads and as it is written, and the way between the places of both.
//!
//! Half of a surrogate pair is no character; JSON can have it all the same, and parsers read it as `U+FFFD`.
//! So does this: what stands beside it is still looked at.

use std::borrow::Cow;

use memchr::memchr;

use crate::json::{Fault, text};

/// A string between its quotes.
#[derive(Clone, Debug)]
pub(super) struct Written<'a> {
    raw: &'a [u8],
    /// As it reads.
    pub(super) text: Cow<'a, str>,
}

impl<'a> Written<'a> {
    /// Reads what stands between the quotes of a string; copies it only when something is escaped.
    ///
    /// # Errors
    /// [`Fault::Utf8`] and [`Fault::Escape`], placed from the start of `raw`.
    pub(super) fn read(raw: &'a [u8]) -> Result<Self, Fault> {
        let plain = std::str::from_utf8(raw).map_err(|bad| Fault::Utf8 { at: bad.valid_up_to() })?;
        if memchr(b'\\', raw).is_none() {
            return Ok(Self { raw, text: Cow::Borrowed(plain) });
        }
        let mut out = String::with_capacity(raw.len());
        let mut rest = plain;
        while let Some(at) = memchr(b'\\', rest.as_bytes()) {
            let (before, escape) = rest.split_at_checked(at).unwrap_or_default();
            out.push_str(before);
            let (len, letter) =
                escape_at(escape.as_bytes()).ok_or(Fault::Escape { at: raw.len() - escape.len() })?;
            out.push(letter);
            rest = escape.get(len..).unwrap_or_default();
        }
        out.push_str(rest);
        Ok(Self { raw, text: Cow::Owned(out) })
    }

    /// The way from places of the text to where they are written.
    pub(super) fn places(&self) -> Places<'_> {
        Places { escaped: matches!(self.text, Cow::Owned(_)).then_some(self.raw), at: 0, passed: 0 }
    }
}

/// Finds the places of a text in what it was written as, forwards only.
pub(super) struct Places<'a> {
    /// Nothing where text and writing are the same.
    escaped: Option<&'a [u8]>,
    /// In what is written.
    at: usize,
    /// In the text.
    passed: usize,
}

impl Places<'_> {
    /// Where the byte `wanted` of the text is written; `wanted` never gets smaller.
    pub(super) fn of(&mut self, wanted: usize) -> usize {
        let Some(raw) = self.escaped else { return wanted };
        while self.passed < wanted {
            let Some(rest) = raw.get(self.at..).filter(|rest| !rest.is_empty()) else { break };
            let (written, meant) = match memchr(b'\\', rest) {
                Some(0) => escape_at(rest).map_or((1, 1), |(len, letter)| (len, letter.len_utf8())),
                plain => {
                    let run = plain.unwrap_or(rest.len()).min(wanted - self.passed);
                    (run, run)
                }
            };
            self.at += written;
            self.passed += meant;
        }
        self.at
    }
}

/// The escape that begins here: how many bytes it has, and what it means.
fn escape_at(rest: &[u8]) -> Option<(usize, char)> {
    let len = match rest.get(1)? {
        b'u' if half_at(rest) == Some(Half::First) && half_at(rest.get(6..)?) == Some(Half::Second) => 12,
        b'u' if half_at(rest).is_some() => return Some((6, char::REPLACEMENT_CHARACTER)),
        b'u' => 6,
        _ => 2,
    };
    let read = text(rest.get(..len)?).ok()?;
    Some((len, read.chars().next()?))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

/// Which half of a pair is written here.
fn half_at(rest: &[u8]) -> Option<Half> {
    let [b'\\', b'u', b'd' | b'D', kind, one, two, ..] = rest else { return None };
    if !(one.is_ascii_hexdigit() && two.is_ascii_hexdigit()) {
        return None;
    }
    match kind {
        b'8' | b'9' | b'a' | b'b' | b'A' | b'B' => Some(Half::First),
        b'c'..=b'f' | b'C'..=b'F' => Some(Half::Second),
        _ => None,
    }
}
