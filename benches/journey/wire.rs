//! The bytes of the comparison: what Claude Code asks, what a provider answers, event by event.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Bytes of the body of an answer that is not a stream.
pub(crate) const ANSWER_BYTES: usize = 1024;

/// Events of one stream, from `message_start` to `message_stop`.
pub(crate) const EVENTS: usize = 200;

/// The key that every request carries; the proxies that know no keys ignore it.
pub(crate) const KEY: &str = "tg-bench-0123456789abcdef0123456789abcdef";

/// Starts the model names that are answered with a stream; microseconds between two events follow.
const STREAM_MODEL: &str = "claude-sse-";

/// Follows in the model name when the events shall come on ticks.
const TICKS: &str = "-ticks";

/// Bytes of the body in which the model name is found; it is the first key.
pub(crate) const PEEK_BYTES: usize = 48;

/// What a delta begins with; the time at which it was written follows as `STAMP_DIGITS` digits.
const DELTA: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
    \"delta\":{\"type\":\"text_delta\",\"text\":\"";

const STAMP_DIGITS: usize = 16;

/// A request of about 2 KiB of body: a side question with a short history.
pub(crate) fn small_request() -> Vec<u8> {
    request(&body("claude-json", 2 * 1024, 0, false))
}

/// A request of about 60 KiB of body: a session with 30 tools, as Claude Code sends it.
pub(crate) fn large_request() -> Vec<u8> {
    request(&body("claude-json", 60 * 1024, 30, false))
}

/// How the events of a stream follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// From one event to the next; zero: as fast as they are taken.
    pub(crate) gap: Duration,
    /// Whether all streams send on the ticks of a millisecond, as where a busy provider batches its tokens,
    /// instead of each at a moment of its own.
    pub(crate) ticks: bool,
}

/// A request for a stream of `EVENTS` events.
pub(crate) fn stream_request(pace: Pace) -> Vec<u8> {
    let ticks = if pace.ticks { TICKS } else { "" };
    request(&body(&format!("claude-sse-{}us{ticks}", pace.gap.as_micros()), 2 * 1024, 0, true))
}

/// Reads from the start of a body which pace is asked for; `None` where no stream is.
pub(crate) fn pace(peek: &[u8]) -> Option<Pace> {
    let name = std::str::from_utf8(peek).ok()?.split_once(STREAM_MODEL)?.1;
    let (gap, rest) = name.split_once("us")?;
    Some(Pace { gap: Duration::from_micros(gap.parse().ok()?), ticks: rest.starts_with(TICKS) })
}

/// Puts the head of Claude Code 2.1 before a body.
fn request(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\nhost: tollgate.internal\r\nconnection: keep-alive\r\n\
         content-type: application/json\r\naccept: application/json\r\n\
         accept-encoding: gzip, deflate, br, zstd\r\naccept-language: *\r\nsec-fetch-mode: cors\r\n\
         user-agent: claude-cli/2.1.330 (external, cli)\r\nauthorization: Bearer {KEY}\r\n\
         anthropic-version: 2023-06-01\r\nanthropic-dangerous-direct-browser-access: true\r\n\
         anthropic-beta: claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,\
         per-turn-control-2026-07-01,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,\
         effort-2025-11-24\r\nx-app: cli\r\n\
         x-claude-code-session-id: 7f3f6a0e-3c1b-4b52-9a55-0d6c3f0f8f11\r\n\
         x-stainless-arch: x64\r\nx-stainless-lang: js\r\nx-stainless-os: Linux\r\n\
         x-stainless-package-version: 0.74.0\r\nx-stainless-retry-count: 0\r\nx-stainless-runtime: node\r\n\
         x-stainless-runtime-version: v24.3.0\r\nx-stainless-timeout: 600\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Builds a Messages request: the keys of Claude Code in its order, `tools` tools, filled up to `bytes`.
fn body(model: &str, bytes: usize, tools: usize, stream: bool) -> String {
    let tail = format!(
        "\"}},{{\"type\":\"text\",\"text\":\"continue\",\"cache_control\":{{\"type\":\"ephemeral\"}}}}]}}],\
         \"system\":[{{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: cc_version=2.1.330\"}},\
         {{\"type\":\"text\",\"text\":\"You are Claude Code.\",\
         \"cache_control\":{{\"type\":\"ephemeral\"}}}}],\
         \"tools\":[{}],\"metadata\":{{\"user_id\":\"{{\\\"device_id\\\":\\\"d0\\\"}}\"}},\
         \"max_tokens\":32000,\
         \"thinking\":{{\"type\":\"adaptive\"}},\"stream\":{stream}}}",
        (0..tools).map(tool).collect::<Vec<_>>().join(",")
    );
    let mut text = format!(
        "{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":[{{\"type\":\"text\",\
         \"text\":\""
    );
    let prose =
        "Please read `src/main.rs`, then run \\\"cargo test\\\" and tell me what fails.\\n  fn main() {\\n";
    while text.len() + prose.len() + tail.len() < bytes {
        text.push_str(prose);
    }
    while text.len() + tail.len() < bytes {
        text.push('.');
    }
    text + &tail
}

/// A tool definition of about 1.2 KiB.
fn tool(index: usize) -> String {
    let prose =
        "Reads a file from the local file system. Give an absolute path.\\n- Lines are numbered from 1.\\n";
    format!(
        "{{\"name\":\"mcp__files__read_{index}\",\"description\":\"{}\",\"input_schema\":{{\
         \"type\":\"object\",\
         \"properties\":{{\"path\":{{\"type\":\"string\",\"description\":\"The \\\"absolute\\\" path\"}},\
         \"offset\":{{\"type\":\"integer\"}},\"limit\":{{\"type\":\"integer\"}}}},\"required\":[\"path\"],\
         \"additionalProperties\":false}}}}",
        prose.repeat(10)
    )
}

/// The whole answer to a request without a stream: head and `ANSWER_BYTES` of body.
pub(crate) fn answer() -> Vec<u8> {
    let start = "{\"id\":\"msg_01XFDUDYJgAACzvnptvVoYEL\",\"type\":\"message\",\"role\":\"assistant\",\
                 \"model\":\"claude-json\",\"content\":[{\"type\":\"text\",\"text\":\"";
    let end = "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":2095,\
               \"cache_creation_input_tokens\":120,\"cache_read_input_tokens\":15872,\"output_tokens\":503}}";
    let text = "a".repeat(ANSWER_BYTES - start.len() - end.len());
    format!("{}content-length: {ANSWER_BYTES}\r\n\r\n{start}{text}{end}", answer_head("application/json"))
        .into_bytes()
}

/// The head of a streamed answer.
pub(crate) fn stream_head() -> Vec<u8> {
    format!("{}transfer-encoding: chunked\r\n\r\n", answer_head("text/event-stream; charset=utf-8"))
        .into_bytes()
}

fn answer_head(kind: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 12:00:00 GMT\r\ncontent-type: {kind}\r\n\
         cache-control: no-cache\r\nrequest-id: req_011CSHoEeqs5C35K2UUqR7Fy\r\n\
         anthropic-organization-id: 27796668-7351-40ac-acc4-024aee8995a5\r\n\
         strict-transport-security: max-age=31536000\r\n"
    )
}

/// Writes event `index` of a stream as one chunk into `out` (emptied first); the last one ends the stream.
/// Shape: `message_start`, `content_block_start`, deltas of 131 bytes, and the three closing events.
pub(crate) fn event(index: usize, written_ns: u64, out: &mut Vec<u8>) {
    out.clear();
    let (name, data) = match EVENTS - index {
        EVENTS => (
            "message_start",
            "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_01XFDUDYJgAACzvnptvVoYEL\",\
             \"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sse\",\"content\":[],\
             \"stop_reason\":null,\"usage\":{\"input_tokens\":25,\
             \"cache_read_input_tokens\":15872,\"output_tokens\":1}}}",
        ),
        left if left == EVENTS - 1 => (
            "content_block_start",
            "{\"type\":\"content_block_start\",\"index\":0,\
             \"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
        ),
        3 => ("content_block_stop", "{\"type\":\"content_block_stop\",\"index\":0}"),
        2 => (
            "message_delta",
            "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\
             \"usage\":{\"output_tokens\":195}}",
        ),
        1 => ("message_stop", "{\"type\":\"message_stop\"}"),
        _ => return delta(written_ns, out),
    };
    let payload = format!("event: {name}\ndata: {data}\n\n");
    let end = if index + 1 == EVENTS { "0\r\n\r\n" } else { "" };
    out.extend_from_slice(format!("{:x}\r\n{payload}\r\n{end}", payload.len()).as_bytes());
}

fn delta(written_ns: u64, out: &mut Vec<u8>) {
    let end = b"\"}}\n\n";
    let mut sized = String::with_capacity(32);
    // Writing into a string cannot fail.
    write!(sized, "{:x}\r\n", DELTA.len() + STAMP_DIGITS + end.len()).unwrap_or_default();
    out.extend_from_slice(sized.as_bytes());
    out.extend_from_slice(DELTA);
    sized.clear();
    write!(sized, "{written_ns:016}").unwrap_or_default();
    out.extend_from_slice(sized.as_bytes());
    out.extend_from_slice(end);
    out.extend_from_slice(b"\r\n");
}

/// Reads when an event was written, if it is a delta.
pub(crate) fn stamp(event: &[u8]) -> Option<u64> {
    let digits = event.strip_prefix(DELTA)?.get(..STAMP_DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Nanoseconds from `origin` to `now`: the clock that upstream and caller share.
pub(crate) fn since_ns(origin: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(origin).as_nanos()).unwrap_or(u64::MAX)
}
