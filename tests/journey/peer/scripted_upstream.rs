//! An upstream of the Anthropic shape with a script: it calls a tool, and when the result comes, says a text.

use std::io;

use serde_json::{Value, json};

use super::{After, Exchange, Peer, Seen};
use crate::sse;

/// What it does when it is asked for a message.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// A tool that is called first, and its input; nothing to answer at once.
    pub(crate) tool: Option<(&'static str, Value)>,
    /// The final text, in pieces.
    pub(crate) text: &'static [&'static str],
}

/// Starts the upstream.
pub(crate) fn start(script: Script) -> Peer {
    Peer::start(move |seen, exchange| answer(&script, seen, exchange))
}

/// An upstream that says a short text.
pub(crate) fn plain() -> Peer {
    start(Script { tool: None, text: &["Hel", "lo"] })
}

fn answer(script: &Script, seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    if (seen.method.as_str(), seen.path()) != ("POST", "/v1/messages") {
        return beside(seen, exchange);
    }
    message(script, seen, exchange)?;
    Ok(After::KeepOpen)
}

/// Answers what Claude Code asks beside messages.
pub(crate) fn beside(seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    let json = [("Content-Type", "application/json"), ("request-id", "req_upstream_1")];
    match (seen.method.as_str(), seen.path()) {
        ("POST", "/v1/messages/count_tokens") => exchange.answer(200, &json, b"{\"input_tokens\":42}")?,
        ("GET", "/v1/models") => {
            let model = json!({ "type": "model", "id": "claude-scripted", "display_name": "Scripted",
                                "created_at": "2026-01-01T00:00:00Z" });
            let list = json!({ "data": [model], "has_more": false, "first_id": null, "last_id": null });
            exchange.answer(200, &json, list.to_string().as_bytes())?;
        }
        ("HEAD", _) => exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?,
        _ => exchange.answer(404, &json, not_found().as_bytes())?,
    }
    Ok(After::KeepOpen)
}

fn message(script: &Script, seen: &Seen, exchange: &mut Exchange) -> io::Result<()> {
    let body: Value = serde_json::from_slice(&seen.body).map_err(io::Error::other)?;
    let model = body["model"].as_str().unwrap_or("");
    let answered = body["messages"].to_string().contains("\"tool_result\"");
    if body["stream"] != Value::Bool(true) {
        let text = script.text.concat();
        let usage = json!({ "input_tokens": 11, "cache_read_input_tokens": 7, "output_tokens": 5 });
        let reply = json!({ "id": "msg_01", "type": "message", "role": "assistant", "model": model,
                            "content": [{ "type": "text", "text": text }], "stop_reason": "end_turn",
                            "stop_sequence": null, "usage": usage });
        let headers = [("Content-Type", "application/json"), ("request-id", "req_upstream_1")];
        return exchange.answer(200, &headers, reply.to_string().as_bytes());
    }
    let stream = match &script.tool {
        Some((tool, input)) if !answered => sse::tool_message(model, tool, input),
        _ => sse::text_message(model, script.text),
    };
    stream_events(&stream, exchange)
}

/// Sends a whole stream, event by event.
pub(crate) fn stream_events(stream: &str, exchange: &mut Exchange) -> io::Result<()> {
    exchange.start_events()?;
    for event in stream.split_inclusive("\n\n") {
        exchange.chunk(event.as_bytes())?;
    }
    exchange.end_chunks()
}

fn not_found() -> String {
    let error = json!({ "type": "not_found_error", "message": "scripted: no such path" });
    json!({ "type": "error", "error": error }).to_string()
}
