//! Bedrock's runtime with a model that plays several turns: each calls tools, the last says that all is done.
//!
//! Answers in pieces are frames of its binary event stream, which are made here from the specification. What
//! its check of the schema would refuse is refused here.

use std::io;

use serde_json::{Value, json};

use super::scripted_turns::{DONE, Use, result, whole};
use super::{After, Exchange, Peer, Seen};
use crate::sse;

/// The fields of the top level that InvokeModel takes.
const FIELDS: &[&str] = &[
    "anthropic_version",
    "anthropic_beta",
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

/// Starts a runtime whose model plays `turns`.
pub(crate) fn start(turns: Vec<Vec<Use>>) -> Peer {
    Peer::start(move |seen, exchange| answer(&turns, seen, exchange))
}

/// Answers one request as a model that plays `turns`.
pub(crate) fn answer(turns: &[Vec<Use>], seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let segments: Vec<&str> = seen.path().trim_start_matches('/').split('/').collect();
    let &["model", model, operation] = segments.as_slice() else {
        return refuse(exchange, 404, "UnknownOperationException", "no such operation");
    };
    if operation == "count-tokens" {
        if !body["input"]["invokeModel"]["body"].is_string() {
            return refuse(exchange, 400, "ValidationException", "no body to count");
        }
        exchange.answer(200, &[("Content-Type", "application/json")], b"{\"inputTokens\":43}")?;
        return Ok(After::KeepOpen);
    }
    let unknown = body.as_object().into_iter().flatten().find(|(name, _)| !FIELDS.contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        return refuse(
            exchange,
            400,
            "ValidationException",
            &format!("{name}: Extra inputs are not permitted"),
        );
    }
    if body["anthropic_version"] != "bedrock-2023-05-31" {
        return refuse(exchange, 400, "ValidationException", "anthropic_version: Field required");
    }
    let open = |turn: &&Vec<Use>| turn.iter().any(|(id, ..)| result(&body, id).is_none());
    let offered = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let turn = turns.iter().find(open).filter(|_| offered);
    if operation == "invoke" {
        let mut reply = whole(model, turn.map(Vec::as_slice));
        reply["amazon-bedrock-trace"] = json!({ "a": 1 });
        let headers = [("Content-Type", "application/json"), ("x-amzn-RequestId", "aws-1")];
        exchange.answer(200, &headers, reply.to_string().as_bytes())?;
        return Ok(After::KeepOpen);
    }
    let stream = match turn {
        None => sse::text_message(model, &[DONE]),
        Some(turn) => {
            let calls: Vec<_> = turn.iter().map(|(id, tool, input)| (*id, *tool, input)).collect();
            sse::tools_message(model, &calls)
        }
    };
    start_frames(exchange)?;
    for frame in frames(&stream) {
        // Frames come in pieces that are not theirs.
        let (one, other) = frame.split_at(frame.len() / 3);
        exchange.chunk(one)?;
        exchange.chunk(other)?;
    }
    exchange.end_chunks()?;
    Ok(After::KeepOpen)
}

/// Refuses as AWS does.
pub(crate) fn refuse(exchange: &mut Exchange, status: u16, name: &str, message: &str) -> io::Result<After> {
    let headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", name)];
    exchange.answer(status, &headers, json!({ "message": message }).to_string().as_bytes())?;
    Ok(After::KeepOpen)
}

/// Sends the head of an answer in pieces.
pub(crate) fn start_frames(exchange: &mut Exchange) -> io::Result<()> {
    let media_type = exchange.stream_type("application/vnd.amazon.eventstream");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nx-amzn-RequestId: aws-1\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    exchange.raw(head.as_bytes())
}

/// The events of a stream, each in a frame; the last carries Bedrock's own counts.
pub(crate) fn frames(stream: &str) -> Vec<Vec<u8>> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| {
        let mut event: Value = serde_json::from_str(data).expect("an event is JSON");
        if event["type"] == "message_stop" {
            event["amazon-bedrock-invocationMetrics"] = json!({ "inputTokenCount": 11, "outputTokenCount": 5,
                "invocationLatency": 100, "firstByteLatency": 10 });
        }
        let payload = json!({ "bytes": base64(event.to_string().as_bytes()), "p": "abcdefgh" });
        let headers =
            [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
        frame(&headers, payload.to_string().as_bytes())
    })
    .collect()
}

/// A frame that tells an exception.
pub(crate) fn exception(name: &str, message: &str) -> Vec<u8> {
    let headers = [(":exception-type", name), (":message-type", "exception")];
    frame(&headers, json!({ "message": message }).to_string().as_bytes())
}

/// One frame with headers of text.
pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let size = |length: usize| u32::try_from(length).expect("frames are small").to_be_bytes();
    let mut lines = Vec::new();
    for (name, value) in headers {
        lines.push(u8::try_from(name.len()).expect("names are short"));
        lines.extend_from_slice(name.as_bytes());
        lines.push(7);
        lines.extend(u16::try_from(value.len()).expect("values are short").to_be_bytes());
        lines.extend_from_slice(value.as_bytes());
    }
    let mut out = size(16 + lines.len() + payload.len()).to_vec();
    out.extend(size(lines.len()));
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out.extend(lines);
    out.extend_from_slice(payload);
    out.extend(crc32fast::hash(&out).to_be_bytes());
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS[usize::try_from(bits >> shift & 63).expect("six bits")];
            out.push(if place > three.len() { '=' } else { char::from(digit) });
        }
    }
    out
}
