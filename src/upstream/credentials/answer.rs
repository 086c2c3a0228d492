//! Reads the small documents that services of credentials answer with.

use crate::clock;
use crate::json::{self, Fault as JsonFault, Field, Kind, Value};
use crate::limits;
use crate::upstream::credentials::Fault;

/// The text of a member of a JSON object, given once; nothing when it is none.
pub(super) fn text(doc: &[u8], name: &str) -> Option<String> {
    let value = member(doc, name)?;
    let raw = value.inner(doc)?;
    json::text(raw).ok().map(|text| text.into_owned()).filter(|text| !text.is_empty())
}

/// A whole number, which some services write as text.
pub(super) fn number(doc: &[u8], name: &str) -> Option<u64> {
    let value = member(doc, name)?;
    match value.kind {
        Kind::Number => value.as_u64(doc),
        _ => json::text(value.inner(doc)?).ok()?.parse().ok(),
    }
}

/// A time such as `2026-11-23T07:00:00Z`, in seconds since 1970.
pub(super) fn time(doc: &[u8], name: &str) -> Option<u64> {
    seconds(&text(doc, name)?)
}

pub(super) fn seconds(text: &str) -> Option<u64> {
    humantime::parse_rfc3339(text).ok().map(clock::unix_s)
}

/// The bytes of a member of a JSON object.
pub(super) fn object<'a>(doc: &'a [u8], name: &str) -> Option<&'a [u8]> {
    member(doc, name).filter(|value| value.kind == Kind::Object).map(|value| value.bytes(doc))
}

fn member(doc: &[u8], name: &str) -> Option<Value> {
    if doc.len() > limits::CREDENTIALS_FILE_BYTES_MAX {
        return None;
    }
    let (mut found, mut times) = (None, 0);
    let read: Result<(), JsonFault> = json::fields(doc, |Field { key, value }| {
        if key.raw == name.as_bytes() {
            found = Some(value);
            times += 1;
        }
        Ok(())
    });
    read.ok()?;
    found.filter(|_| times == 1)
}

/// What stands in the first XML element of this name without attributes.
pub(super) fn element(doc: &str, name: &str) -> Option<String> {
    let (_, rest) = doc.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    let mut out = inner.trim().to_owned();
    for (entity, letter) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
    {
        out = out.replace(entity, letter);
    }
    (!out.is_empty() && !out.contains('<')).then_some(out)
}

/// The answer as long as its status says that it is one; else why not, by the word that `code` finds.
pub(super) fn sound(
    status: u16,
    body: &[u8],
    code: impl FnOnce(&[u8]) -> Option<String>,
) -> Result<&[u8], Fault> {
    if body.len() > limits::CREDENTIALS_BYTES_MAX {
        return Err(Fault::Answer);
    }
    if status == 200 {
        return Ok(body);
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let code = code(body).filter(|code| code.len() <= 64 && code.bytes().all(plain)).unwrap_or_default();
    Err(Fault::Refused { status, code })
}

/// `error` as OAuth 2.0 has it, or as Google's APIs do.
pub(super) fn oauth_code(body: &[u8]) -> Option<String> {
    text(body, "error").or_else(|| text(object(body, "error")?, "status"))
}

#[cfg(test)]
mod tests {
    use super::{Fault, element, number, oauth_code, seconds, sound, text};

    #[test]
    fn members_are_read_once_and_elements_bare() {
        let doc = br#"{"a":"x\n","b":"7","c":8,"d":"","e":1,"e":2}"#;
        assert_eq!(text(doc, "a").as_deref(), Some("x\n"));
        assert_eq!((text(doc, "c"), text(doc, "d"), text(b"no", "a")), (None, None, None));
        assert_eq!(
            (number(doc, "b"), number(doc, "c"), number(doc, "a"), number(doc, "e")),
            (Some(7), Some(8), None, None)
        );
        assert_eq!(element("<a><b> x&amp;lt; </b></a>", "b").as_deref(), Some("x&lt;"));
        assert_eq!(
            (element("<a><b/></a>", "a"), element("<a>", "a"), element("<a></a>", "a")),
            (None, None, None)
        );
        assert_eq!(seconds("1970-01-01T00:01:00Z"), Some(60));
        assert_eq!(seconds("soon"), None);
    }

    #[test]
    fn refusals_have_a_word_and_no_text() {
        let refused = |body: &[u8]| sound(401, body, oauth_code).unwrap_err();
        let word = |code: &str| Fault::Refused { status: 401, code: code.to_owned() };
        assert_eq!(
            refused(br#"{"error":"invalid_grant","error_description":"secret"}"#),
            word("invalid_grant")
        );
        assert_eq!(
            refused(br#"{"error":{"code":403,"status":"PERMISSION_DENIED"}}"#),
            word("PERMISSION_DENIED")
        );
        assert_eq!(refused(br#"{"error":"the key is abc"}"#), word(""));
        assert_eq!(refused(b"<html>"), word(""));
        assert_eq!(sound(200, &vec![b' '; 70_000], oauth_code), Err(Fault::Answer));
    }
}
