//! The words for calls that fail: what a caller reads, and what the counters are told.

use crate::limits;
use crate::mcp::rpc::{self, RpcError};
use crate::upstream::mcp::Failure;

/// The HTTP status of an error to a modern caller whose request has passed the checks of the transport: what
/// the specification gives one, and otherwise none, so that clients show the error's text instead of the
/// status.
pub(in crate::gateway) const fn status_of(code: i64) -> u16 {
    match code {
        rpc::METHOD_NOT_FOUND => 404,
        rpc::HEADER_MISMATCH | rpc::MISSING_CAPABILITY | rpc::UNSUPPORTED_VERSION => 400,
        _ => 200,
    }
}

/// Writes an error response around an error object that came from elsewhere.
pub(in crate::gateway) fn write_raw_error(out: &mut Vec<u8>, id: &[u8], error: &[u8]) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"error\":");
    out.extend_from_slice(error);
    out.push(b'}');
}

/// What a caller reads of a failure: whose, and what to make of it, but not where the server is.
pub(in crate::gateway) fn told(server: &str, failure: &Failure) -> RpcError {
    match failure {
        Failure::Unreachable(_) => RpcError::unreachable(server),
        Failure::TimedOut => RpcError::timed_out(server),
        Failure::Ended | Failure::TooLarge | Failure::Garbage(_) | Failure::Status { .. } => {
            let mut error = RpcError::broken(server);
            error.message = format!("MCP server {server}: {}", said(failure)).into();
            error
        }
    }
}

fn said(failure: &Failure) -> String {
    match failure {
        Failure::Ended => "it ended before it answered; the call may have run".to_owned(),
        Failure::TooLarge => {
            let most = limits::MCP_MESSAGE_BYTES_MAX / (1024 * 1024);
            format!("its answer is larger than {most} MiB")
        }
        Failure::Garbage(_) => "its answer cannot be understood".to_owned(),
        Failure::Status { status: 401 | 403, .. } => {
            "it refuses the gateway's credential; the platform team has to renew it".to_owned()
        }
        Failure::Status { status, body, .. } => {
            let text = without_secrets(body);
            if text.is_empty() {
                format!("it answered with status {status}")
            } else {
                format!("status {status}: {text}")
            }
        }
        Failure::Unreachable(_) => "it could not be reached".to_owned(),
        Failure::TimedOut => "it did not answer in time".to_owned(),
    }
}

/// The beginning of a server's error page as a model may read it: one line of text, without markup, and
/// without what looks like a credential.
fn without_secrets(body: &str) -> String {
    const SHOWN_CHARS: usize = 200;
    let mut text = String::new();
    let mut inside_tag = false;
    for c in body.chars() {
        match c {
            '<' => inside_tag = true,
            '>' if inside_tag => {
                inside_tag = false;
                text.push(' ');
            }
            c if !inside_tag => text.push(if c.is_control() { ' ' } else { c }),
            _ => {}
        }
    }
    let looks_secret = |word: &str| {
        let long = word.chars().filter(char::is_ascii_alphanumeric).count() >= 20;
        long && word.chars().any(|c| c.is_ascii_digit())
    };
    let words = text.split_whitespace().map(|word| if looks_secret(word) { "[removed]" } else { word });
    let text: Vec<&str> = words.collect();
    text.join(" ").chars().take(SHOWN_CHARS).collect()
}

/// A short stable name for the counters.
pub(in crate::gateway) const fn name(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unreachable(_) => "unreachable",
        Failure::Ended => "ended",
        Failure::TimedOut => "timeout",
        Failure::Status { .. } => "status",
        Failure::TooLarge => "too_large",
        Failure::Garbage(_) => "garbage",
    }
}
