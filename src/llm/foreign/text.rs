//! Texts of JSON strings as foreign servers write them.

use std::borrow::Cow;

use crate::json::{self, Value};

/// The text of a string. Half of a surrogate pair, which servers make that cut text between the halves, is
/// U+FFFD.
pub(in crate::llm) fn text_of<'d>(doc: &'d [u8], value: &Value) -> Cow<'d, str> {
    let Some(raw) = value.inner(doc) else { return Cow::Borrowed("") };
    json::text(raw).unwrap_or_else(|_| Cow::Owned(mended(raw)))
}

fn mended(raw: &[u8]) -> String {
    let (mut out, mut rest) = (String::new(), raw);
    loop {
        match json::text(rest) {
            Ok(text) => {
                out.push_str(&text);
                return out;
            }
            Err(fault) => {
                let (good, bad) = rest.split_at(fault.at().min(rest.len()));
                out.push_str(&json::text(good).unwrap_or_default());
                out.push(char::REPLACEMENT_CHARACTER);
                // A back slash, a letter, and the digits that belong to it.
                let length = if bad.get(1) == Some(&b'u') { 6 } else { 2 };
                rest = bad.get(length..).unwrap_or_default();
            }
        }
    }
}
