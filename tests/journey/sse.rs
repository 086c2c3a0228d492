//! Anthropic event streams, as written by hand: what peers send and what tests expect.

use serde_json::{Value, json};

/// One event in the form of the API: an `event` line, a `data` line, an empty line.
pub(crate) fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// `message_start` with the input side of the usage.
pub(crate) fn message_start(model: &str) -> String {
    let usage = json!({ "input_tokens": 11, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 0,
                        "output_tokens": 1 });
    let message = json!({ "id": "msg_01", "type": "message", "role": "assistant", "model": model,
                          "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage });
    event("message_start", &json!({ "type": "message_start", "message": message }))
}

/// One piece of text of block 0.
pub(crate) fn text_delta(text: &str) -> String {
    let delta = json!({ "type": "text_delta", "text": text });
    event("content_block_delta", &json!({ "type": "content_block_delta", "index": 0, "delta": delta }))
}

/// The start of text block 0.
pub(crate) fn text_start() -> String {
    let block = json!({ "type": "text", "text": "" });
    event(
        "content_block_start",
        &json!({ "type": "content_block_start", "index": 0, "content_block": block }),
    )
}

/// The end of text block 0 and of its message, with the final usage.
pub(crate) fn message_end(stop_reason: &str) -> String {
    event("content_block_stop", &json!({ "type": "content_block_stop", "index": 0 })) + &end(stop_reason)
}

fn end(stop_reason: &str) -> String {
    let delta = json!({ "stop_reason": stop_reason, "stop_sequence": null });
    let usage = json!({ "output_tokens": 5 });
    event("message_delta", &json!({ "type": "message_delta", "delta": delta, "usage": usage }))
        + &event("message_stop", &json!({ "type": "message_stop" }))
}

/// A whole message of text in the given pieces.
pub(crate) fn text_message(model: &str, pieces: &[&str]) -> String {
    let deltas: String = pieces.iter().map(|piece| text_delta(piece)).collect();
    message_start(model) + &text_start() + &deltas + &message_end("end_turn")
}

/// A whole message that calls one tool.
pub(crate) fn tool_message(model: &str, tool: &str, input: &Value) -> String {
    tools_message(model, &[("toolu_01", tool, input)])
}

/// A whole message that calls several tools, each with its id, name and input.
pub(crate) fn tools_message(model: &str, calls: &[(&str, &str, &Value)]) -> String {
    let mut text = message_start(model);
    for (index, (id, tool, input)) in calls.iter().enumerate() {
        let block = json!({ "type": "tool_use", "id": id, "name": tool, "input": {} });
        let delta = json!({ "type": "input_json_delta", "partial_json": input.to_string() });
        let start = json!({ "type": "content_block_start", "index": index, "content_block": block });
        let delta = json!({ "type": "content_block_delta", "index": index, "delta": delta });
        let stop = json!({ "type": "content_block_stop", "index": index });
        text += &event("content_block_start", &start);
        text += &event("content_block_delta", &delta);
        text += &event("content_block_stop", &stop);
    }
    text + &end("tool_use")
}

/// The names of the events of a stream, in order.
pub(crate) fn names(stream: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stream);
    text.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect()
}
