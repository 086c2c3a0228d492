//! Amazon Bedrock's runtime as a target: Anthropic's models by InvokeModel, those of others by [`converse`].
//!
//! Follows "Anthropic Claude Messages API" of the user guide of Amazon Bedrock, the model of the service in
//! botocore 1.44.5 and "Amazon event stream" of the Smithy specification (read 2026-11). An answer in pieces
//! is a binary event stream whose events carry those of Anthropic's stream; [`InvokeStream`] makes that
//! stream of them again, so that all else reads and relays it as one of Anthropic's own.
//!
//! No header line of the caller goes on but its content type: what the body does not say is between the
//! caller and the gateway, and AWS refuses lines of its own kind that are not signed. Bedrock Mantle speaks
//! the Messages API itself: it needs no more than its host and a signature.

mod answer;
mod betas;
pub mod converse;
mod count;
mod error;
pub mod eventstream;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod invoke;
#[cfg(test)]
mod tests;

use crate::llm::anthropic::hosted::{Fields, Host, Unknown};

pub use answer::{Answer, Form};
pub use betas::BETAS;
pub use count::{count_path, read_count, write_count};
pub use error::read as read_error;
pub use invoke::{InvokeStream, Metrics, strip_metrics};

/// `anthropic_version` of its bodies.
pub const VERSION: &str = "bedrock-2023-05-31";

/// The service in signatures of requests to `bedrock-runtime`.
pub const SERVICE: &str = "bedrock";

/// The service in signatures of requests to Bedrock Mantle.
pub const MANTLE_SERVICE: &str = "bedrock-mantle";

/// The path of Bedrock Mantle under which it speaks the Messages API.
pub const MANTLE_BASE_PATH: &str = "/anthropic";

/// The media type of an answer in pieces.
pub const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

/// The fields of the top level that InvokeModel takes.
const FIELDS: &[&str] = &[
    "context_management",
    "max_tokens",
    "messages",
    "metadata",
    "output_config",
    "stop_sequences",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Edits of the context that it makes; thoughts it clears by itself.
const EDITS: &[&str] = &["clear_tool_uses_20250919", "compact_20260112"];

/// Members of tools that its check of the schema does not know.
const TOOL_FIELDS: &[&str] = &["allowed_callers", "custom", "eager_input_streaming", "input_examples"];

/// Beginnings of the types of tools that Anthropic runs and Bedrock does not.
const TOOLS_REFUSED: &[&str] = &["web_search", "web_fetch", "code_execution", "mcp_toolset", "advisor"];

/// What InvokeModel takes of a request for the model of this id.
pub fn host(model: &str) -> Host<'static> {
    Host {
        version: VERSION,
        stream_in_body: false,
        betas_in_body: true,
        betas: BETAS,
        fields: Fields::Only(FIELDS),
        unknown: Unknown::Drop,
        edits: Some(EDITS),
        tool_fields_left_out: TOOL_FIELDS,
        tools_refused: TOOLS_REFUSED,
        cache_ttl: takes_ttl(model),
        name: "Bedrock",
    }
}

/// The host of the runtime in a region; nothing when the text cannot be a region.
pub fn host_name(region: &str) -> Option<String> {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    is_region(region).then(|| format!("bedrock-runtime.{region}.{domain}"))
}

/// The host of Bedrock Mantle in a region; nothing when the text cannot be a region.
pub fn mantle_host_name(region: &str) -> Option<String> {
    is_region(region).then(|| format!("bedrock-mantle.{region}.api.aws"))
}

fn is_region(region: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&region.len()) && region.bytes().all(letter)
}

/// The path by which a model, a profile or their ARN is invoked, with an answer in pieces or whole.
pub fn invoke_path(model: &str, stream: bool) -> String {
    let operation = if stream { "invoke-with-response-stream" } else { "invoke" };
    format!("/model/{}/{operation}", escaped(model))
}

/// The text as one segment of a path: all but what RFC 3986 calls unreserved is escaped, as AWS signs it.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Whether the model knows `ttl` in `cache_control`: Claude 4.5 and later, by the numbers in its id.
pub fn takes_ttl(model: &str) -> bool {
    let after = model.split_once("claude").map_or("", |(_, after)| after);
    let number = |part: &str| match part.len() {
        1 | 2 => part.parse::<u32>().ok(),
        // Dates have eight digits.
        _ => None,
    };
    let mut numbers = after.split(['-', '.', ':', '@', '_']).filter_map(number);
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (4, 5)
}
