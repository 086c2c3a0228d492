//! The API's own count of a request, which costs nothing: `models/{id}:countTokens`.

use crate::json::{Fault, Field, fields};
use crate::llm::gemini::request;

/// The path of a count below the API's version.
pub fn count_path(model: &str) -> String {
    format!("{}:countTokens", request::resource(model))
}

/// The body of a count at the Gemini API, of a [`Translated::body`](crate::llm::gemini::Translated).
pub fn count_body(model: &str, translated: &[u8]) -> Vec<u8> {
    let inner = translated.strip_prefix(b"{").unwrap_or_default();
    let mut out = Vec::with_capacity(translated.len() + 96);
    out.extend_from_slice(b"{\"generateContentRequest\":{\"model\":\"");
    // A path of ours has nothing in it that a string would escape.
    out.extend_from_slice(request::resource(model).as_bytes());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(inner);
    out.push(b'}');
    out
}

/// The tokens that a count says, `totalTokens`; nothing where it says none, or 0.
pub fn read_count(body: &[u8]) -> Option<u64> {
    let mut total = None;
    let read: Result<(), Fault> = fields(body, |Field { key, value }| {
        if key.raw == b"totalTokens" {
            total = value.as_u64(body);
        }
        Ok(())
    });
    read.ok()?;
    total.filter(|total| *total > 0)
}
