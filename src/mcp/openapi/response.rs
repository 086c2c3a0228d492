//! From an answer of the API to the result of a tool.

use serde::de::IgnoredAny;

use super::Fault;
use crate::base64;
use crate::json::write_string;
use crate::limits;

/// An answer of the API.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// `Content-Type`, when there is one.
    pub content_type: Option<&'a str>,
    /// The body as far as it has been read: all of it, or more than `limits::OPENAPI_RESULT_BYTES_MAX`.
    pub body: &'a [u8],
    /// Whether that is all of it.
    pub whole: bool,
}

/// The result of a call, as a `CallToolResult`: the answer as text, also as `structuredContent` when it is a
/// JSON object, or as an image. Every status but those of success makes it an error: redirections are not
/// followed. A text over `limits::OPENAPI_RESULT_BYTES_MAX` is cut and says so.
pub fn result(answer: &Answer<'_>) -> Vec<u8> {
    let Answer { status, content_type, body, .. } = *answer;
    let failed = !(200..300).contains(&status);
    let kind = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let mut out = b"{\"content\":[".to_vec();
    let fits = answer.whole && body.len() <= limits::OPENAPI_RESULT_BYTES_MAX;
    if !failed && fits && matches!(&*kind, "image/png" | "image/jpeg" | "image/gif" | "image/webp") {
        out.extend_from_slice(b"{\"type\":\"image\",\"data\":\"");
        out.extend_from_slice(base64::encode_padded(body).as_bytes());
        out.extend_from_slice(b"\",\"mimeType\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\"}]}");
        return out;
    }
    out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
    write_string(&mut out, &text(answer, failed, &kind));
    out.extend_from_slice(b"}]");
    if fits && is_object(body) {
        out.extend_from_slice(b",\"structuredContent\":");
        // On event streams and pipes a message is one line; inside of strings there are no line ends.
        let one_line = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
        out.extend(body.trim_ascii().iter().map(one_line));
    }
    if failed {
        out.extend_from_slice(b",\"isError\":true");
    }
    out.push(b'}');
    out
}

/// The result of a call that cannot be made: the model reads what it has to write differently.
pub fn refused(fault: &Fault) -> Vec<u8> {
    let mut out = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
    write_string(&mut out, &format!("The call was not made: {fault}."));
    out.extend_from_slice(b"}],\"isError\":true}");
    out
}

fn text(answer: &Answer<'_>, failed: bool, kind: &str) -> String {
    let Answer { status, body, whole, .. } = *answer;
    let head = if failed { format!("The API answered with status {status}.\n\n") } else { String::new() };
    if body.is_empty() {
        return format!("The API answered with status {status} and nothing else.");
    }
    let shown = body.get(..limits::OPENAPI_RESULT_BYTES_MAX).unwrap_or(body);
    let shown = match std::str::from_utf8(shown) {
        Ok(text) => text,
        // Only the cut itself may have broken a character.
        Err(bad) if bad.error_len().is_none() && shown.len() < body.len() => {
            std::str::from_utf8(shown.get(..bad.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => {
            let kind = if kind.is_empty() { "an unnamed type" } else { kind };
            let kind =
                kind.get(..kind.floor_char_boundary(limits::RECORD_TEXT_BYTES_MAX)).unwrap_or_default();
            let least = if whole { "" } else { "more than " };
            let bytes = body.len();
            return format!("{head}The answer has {least}{bytes} bytes of {kind}, which are not text.");
        }
    };
    let cut = body.len() - shown.len();
    let note = match (cut, whole) {
        (_, false) => "\n\n[cut here: the answer goes on]".to_owned(),
        (0, true) => String::new(),
        (_, true) => format!("\n\n[cut here: {cut} bytes more]"),
    };
    format!("{head}{shown}{note}")
}

/// Whether it is a JSON object. From bytes, `serde_json` would pass over strings that are no text.
fn is_object(body: &[u8]) -> bool {
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    body.trim_ascii_start().first() == Some(&b'{') && std::str::from_utf8(body).is_ok_and(is_json)
}
