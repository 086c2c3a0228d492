//! Writes our errors in Anthropic's envelope, as a body or as the last event of a stream.

use crate::error::CallError;
use crate::ids::CallId;
use crate::json::write_string;

/// Appends `{"type":"error","error":{"type":"...","message":"..."},"request_id":"req_..."}`.
pub fn write(out: &mut Vec<u8>, error: &CallError, call: CallId) {
    out.extend_from_slice(b"{\"type\":\"error\",\"error\":{\"type\":");
    write_string(out, error.code().kind());
    out.extend_from_slice(b",\"message\":");
    write_string(out, error.message());
    out.extend_from_slice(b"},\"request_id\":\"");
    out.extend_from_slice(&call.shown());
    out.extend_from_slice(b"\"}");
}

/// Appends the same as an event; only where [`UsageReader::between_events`] or after a blank line of ours.
///
/// [`UsageReader::between_events`]: crate::llm::anthropic::stream::UsageReader::between_events
pub fn write_event(out: &mut Vec<u8>, error: &CallError, call: CallId) {
    out.extend_from_slice(b"event: error\ndata: ");
    write(out, error, call);
    out.extend_from_slice(b"\n\n");
}
