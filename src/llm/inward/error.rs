//! Writes our errors in OpenAI's shape, as a body or as an event of a stream.

use crate::error::{CallError, Code};
use crate::json::write_string;
use crate::llm::inward::Dialect;
use crate::llm::said::{Failure, Kind};

/// What a caller without a key reads, whose programs know another variable than Claude Code.
const NO_KEY: &str = "no valid key was sent: set OPENAI_API_KEY to your Tollgate key";

/// The members of an error.
struct Told<'a> {
    message: &'a str,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(error: &'a CallError) -> Self {
        let message = error.message();
        let (kind, code) = words(error.code());
        let unsaid = error.code() == Code::Unauthenticated && message == Code::Unauthenticated.text();
        let too_long = error.code() == Code::BadRequest && message.starts_with("prompt is too long");
        Self {
            message: if unsaid { NO_KEY } else { message },
            kind,
            code: if too_long { Some("context_length_exceeded") } else { code },
            param: error.param(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"message\":");
        write_string(out, self.message);
        out.extend_from_slice(b",\"param\":");
        or_null(self.param, out);
        out.extend_from_slice(b",\"code\":");
        or_null(self.code, out);
    }
}

fn or_null(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// `type` and `code`, in the words that OpenAI has for them where there are any.
const fn words(code: Code) -> (&'static str, Option<&'static str>) {
    const INVALID: &str = "invalid_request_error";
    match code {
        Code::Unauthenticated => (INVALID, Some("invalid_api_key")),
        Code::Forbidden => ("permission_error", Some("permission_denied")),
        Code::OutsideRegion => ("permission_error", Some("unsupported_region")),
        Code::NotFound => (INVALID, Some("model_not_found")),
        Code::BodyTooLarge => (INVALID, Some("request_too_large")),
        Code::OverBudget => ("insufficient_quota", Some("insufficient_quota")),
        Code::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
        Code::RequestTimeout | Code::UpstreamTimeout => ("timeout_error", Some("timeout")),
        Code::Overloaded | Code::Unrecorded | Code::Draining | Code::UpstreamOverloaded => {
            ("server_error", Some("overloaded"))
        }
        Code::Internal | Code::UpstreamUnreachable | Code::UpstreamBroken => ("server_error", None),
        _ => (INVALID, None),
    }
}

/// Appends `{"error":{"message":"...","type":"...","param":...,"code":...}}`.
pub fn write(out: &mut Vec<u8>, error: &CallError) {
    whole(out, &Told::of(error));
}

fn whole(out: &mut Vec<u8>, told: &Told<'_>) {
    out.extend_from_slice(b"{\"error\":{\"type\":");
    write_string(out, told.kind);
    out.push(b',');
    told.write(out);
    out.extend_from_slice(b"}}");
}

/// Appends the same as an event, for a stream that breaks off.
pub fn write_event(dialect: Dialect, out: &mut Vec<u8>, error: &CallError) {
    event(dialect, 0, out, &Told::of(error));
}

/// Appends the event for a failure of the provider; `number` is that of the event in its stream.
pub(super) fn write_failure(dialect: Dialect, number: u64, out: &mut Vec<u8>, failure: &Failure) {
    let (kind, code) = match failure.kind {
        Kind::RateLimited | Kind::Quota => ("rate_limit_error", Some("rate_limit_exceeded")),
        Kind::InvalidRequest | Kind::PromptTooLong | Kind::MaxTokens | Kind::Filtered => {
            ("invalid_request_error", None)
        }
        Kind::Overloaded => ("server_error", Some("overloaded")),
        Kind::Timeout => ("server_error", Some("timeout")),
        _ => ("server_error", None),
    };
    event(dialect, number, out, &Told { message: &failure.message, kind, code, param: None });
}

fn event(dialect: Dialect, number: u64, out: &mut Vec<u8>, told: &Told<'_>) {
    match dialect {
        Dialect::Chat => {
            out.extend_from_slice(b"data: ");
            whole(out, told);
        }
        Dialect::Responses => {
            out.extend_from_slice(b"event: error\ndata: {\"type\":\"error\",");
            told.write(out);
            out.extend_from_slice(format!(",\"sequence_number\":{number}}}").as_bytes());
        }
    }
    out.extend_from_slice(b"\n\n");
}
