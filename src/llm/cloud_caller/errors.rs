//! How clouds say what is wrong: the same words under their names.

use crate::json::{self, Fault, Field, Kind};
use crate::llm::cloud_caller::Cloud;

/// What an answer of ours, or of Anthropic's, says is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `error.type`.
    pub(super) kind: String,
    /// `error.message`.
    pub(super) message: String,
}

/// What is said where an answer does not say it.
const SILENT: &str = "the request failed, and the answer does not say why";

/// Reads `{"type":"error","error":{"type","message"}}`.
pub(super) fn read(body: &[u8]) -> Told {
    let mut told = Told::default();
    let walked: Result<(), Fault> = json::fields(body, |Field { key, value }| {
        if key.raw != b"error" || value.kind != Kind::Object {
            return Ok(());
        }
        json::fields_at(body, value.span, |Field { key, value }| {
            let text =
                value.inner(body).and_then(|raw| json::text(raw).ok()).map(std::borrow::Cow::into_owned);
            match key.raw {
                b"type" => told.kind = text.unwrap_or_default(),
                b"message" => told.message = text.unwrap_or_default(),
                _ => {}
            }
            Ok(())
        })
    });
    // What cannot be read to its end says nothing.
    if walked.is_err() || told.message.is_empty() {
        told.message = SILENT.to_owned();
    }
    told
}

/// The status that a cloud has in the place of ours.
pub(super) const fn status(status: u16) -> u16 {
    match status {
        // Anthropic's own, which clouds do not have.
        529 => 503,
        other => other,
    }
}

/// Bedrock's name for a failure with a status.
pub(super) const fn exception(status: u16) -> &'static str {
    match status {
        401 => "UnrecognizedClientException",
        402 | 403 | 451 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 | 504 => "ModelTimeoutException",
        429 => "ThrottlingException",
        503 | 529 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    }
}

/// Bedrock's name for a failure in the middle of a stream, by `error.type`.
pub(super) fn exception_in_stream(kind: &str) -> &'static str {
    match kind {
        "overloaded_error" => "serviceUnavailableException",
        "rate_limit_error" | "billing_error" => "throttlingException",
        "timeout_error" => "modelTimeoutException",
        "invalid_request_error" | "request_too_large" => "validationException",
        _ => "internalServerException",
    }
}

/// Google's name for a failure with a status.
const fn google(status: u16) -> &'static str {
    match status {
        400 | 413 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        402 | 403 | 451 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        501 => "UNIMPLEMENTED",
        503 | 529 => "UNAVAILABLE",
        500.. => "INTERNAL",
        _ => "FAILED_PRECONDITION",
    }
}

/// The body of an answer with an error status, as a cloud writes it. `body` is ours, or Anthropic's.
pub(super) fn write(cloud: Cloud, code: u16, body: &[u8]) -> Vec<u8> {
    let told = read(body);
    let mut out = Vec::with_capacity(body.len() + 64);
    match cloud {
        Cloud::Bedrock => {
            out.extend_from_slice(b"{\"message\":");
            json::write_string(&mut out, &told.message);
            out.push(b'}');
        }
        Cloud::Vertex => {
            out.extend_from_slice(format!("{{\"error\":{{\"code\":{},\"message\":", status(code)).as_bytes());
            json::write_string(&mut out, &told.message);
            out.extend_from_slice(format!(",\"status\":\"{}\"}}}}", google(code)).as_bytes());
        }
    }
    out
}
