//! Takes secrets out of what is written down, so that JSON stays JSON: what takes the place of a secret needs
//! no escape. A wrong match costs a reader of the ledger a word, a missed one may cost a key.

use std::borrow::Cow;

use crate::scan::secrets::Secrets;

#[cfg(test)]
mod tests;

/// Text or JSON with each secret replaced by `[redacted:rule]`. JSON stays JSON, UTF-8 stays UTF-8.
pub fn redact(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut scan = Secrets::new(bytes);
    let Some(mut found) = scan.next() else { return Cow::Borrowed(bytes) };
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    loop {
        out.extend_from_slice(bytes.get(from..found.span.start).unwrap_or_default());
        out.extend_from_slice(b"[redacted:");
        out.extend_from_slice(found.rule.as_bytes());
        out.push(b']');
        from = found.span.end;
        match scan.next() {
            Some(next) => found = next,
            None => break,
        }
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// As [`redact`], of a text: a command, an error, an address.
pub fn redact_text(text: &str) -> Cow<'_, str> {
    match redact(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).unwrap_or_default()),
    }
}
