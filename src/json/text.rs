//! Strings of JSON to text and back.

use std::borrow::Cow;

use memchr::memchr;

use crate::json::Fault;

/// The text of what stands between the quotes of a string; copied only when it is escaped.
///
/// # Errors
/// [`Fault::Utf8`] and [`Fault::Escape`] (also for half of a surrogate pair), placed from the start of `raw`.
pub fn text(raw: &[u8]) -> Result<Cow<'_, str>, Fault> {
    let plain = std::str::from_utf8(raw).map_err(|bad| Fault::Utf8 { at: bad.valid_up_to() })?;
    if memchr(b'\\', raw).is_none() {
        return Ok(Cow::Borrowed(plain));
    }
    let mut out = String::with_capacity(plain.len());
    pieces(plain, |piece| out.push_str(piece))?;
    Ok(Cow::Owned(out))
}

/// Hands on the text of what stands between the quotes of a string, piece by piece, without memory of its
/// own.
///
/// # Errors
/// As [`text`]; pieces before the fault have been handed on.
pub fn text_pieces(raw: &[u8], each: impl FnMut(&str)) -> Result<(), Fault> {
    pieces(std::str::from_utf8(raw).map_err(|bad| Fault::Utf8 { at: bad.valid_up_to() })?, each)
}

fn pieces(plain: &str, mut each: impl FnMut(&str)) -> Result<(), Fault> {
    let mut rest = plain;
    while let Some((before, after)) = rest.split_once('\\') {
        each(before);
        let at = plain.len() - after.len() - 1;
        let (letter, tail) = escape_at(after).ok_or(Fault::Escape { at })?;
        each(letter.encode_utf8(&mut [0; 4]));
        rest = tail;
    }
    each(rest);
    Ok(())
}

/// Reads one escape after its back slash: what it means, and what follows.
fn escape_at(after: &str) -> Option<(char, &str)> {
    let mut letters = after.chars();
    let letter = match letters.next()? {
        letter @ ('"' | '\\' | '/') => letter,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode_at(letters.as_str()),
        _ => return None,
    };
    Some((letter, letters.as_str()))
}

/// Reads the digits after a back slash and `u`, and the second half when they are the first half of a pair.
fn unicode_at(after: &str) -> Option<(char, &str)> {
    let (first, rest) = unit_at(after)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first)?, rest));
    }
    let (second, rest) = unit_at(rest.strip_prefix("\\u")?)?;
    if !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))?, rest))
}

/// Reads four hexadecimal digits.
fn unit_at(after: &str) -> Option<(u32, &str)> {
    let (digits, rest) = after.split_at_checked(4)?;
    let mut unit = 0;
    for digit in digits.chars() {
        unit = unit * 16 + digit.to_digit(16)?;
    }
    Some((unit, rest))
}

/// The text as it stands between the quotes of a JSON string; copied only when something has to be escaped.
pub fn escape(text: &str) -> Cow<'_, str> {
    let Some(first) = next_to_escape(text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 8);
    runs(text, first, |run| out.push_str(run));
    Cow::Owned(out)
}

/// Appends the text as a JSON string, with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends the text as it stands between the quotes of a JSON string.
pub fn write_escaped(out: &mut Vec<u8>, text: &str) {
    match next_to_escape(text.as_bytes()) {
        None => out.extend_from_slice(text.as_bytes()),
        Some(first) => runs(text, first, |run| out.extend_from_slice(run.as_bytes())),
    }
}

/// Hands on the text escaped, in pieces: what needs no escape as it is, between what does. The first byte
/// that has to be escaped is at `first`.
fn runs<'t>(text: &'t str, first: usize, mut each: impl FnMut(&'t str)) {
    let (mut rest, mut next) = (text, Some(first));
    while let Some(at) = next {
        // What is escaped is ASCII, so it and what stands before and behind it are text.
        let (run, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        each(run);
        let mut letters = tail.bytes();
        match letters.next() {
            Some(b'"') => each("\\\""),
            Some(b'\\') => each("\\\\"),
            Some(b'\n') => each("\\n"),
            Some(b'\r') => each("\\r"),
            Some(b'\t') => each("\\t"),
            Some(control) => {
                each("\\u00");
                each(digit(control >> 4));
                each(digit(control & 15));
            }
            None => {}
        }
        rest = tail.get(1..).unwrap_or_default();
        next = next_to_escape(rest.as_bytes());
    }
    each(rest);
}

/// The hexadecimal digit of a number below 16.
fn digit(number: u8) -> &'static str {
    let at = usize::from(number);
    "0123456789abcdef".get(at..=at).unwrap_or_default()
}

/// Where the first byte stands that a JSON string has in escaped form only.
fn next_to_escape(bytes: &[u8]) -> Option<usize> {
    // Whole blocks first: without a branch between their bytes, they are looked at all at once.
    let any = |block: &[u8]| block.iter().fold(false, |any, byte| any | must_be_escaped(*byte));
    let plain = bytes.chunks_exact(ESCAPE_BLOCK).take_while(|block| !any(block));
    let from = plain.count() * ESCAPE_BLOCK;
    let rest = bytes.get(from..).unwrap_or_default();
    Some(from + rest.iter().position(|byte| must_be_escaped(*byte))?)
}

/// Bytes that are looked at without a branch between them.
const ESCAPE_BLOCK: usize = 32;

fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
