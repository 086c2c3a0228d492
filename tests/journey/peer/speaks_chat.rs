//! A provider of Chat Completions that plays several turns: each calls tools, the last says that all is done.
//!
//! Its events have the shapes that servers of this dialect send: a chunk for the role, calls whose id and
//! name come first and whose arguments come in pieces, those of parallel calls mixed, usage in a chunk
//! without choices, and `[DONE]`.

use std::io;

use serde_json::{Value, json};

use super::scripted_turns::{DONE, Use};
use super::{After, Exchange, Peer, Seen, scripted_upstream};

/// What it thinks before it says a text.
pub(crate) const THOUGHT: &str = "So all of them are done.";

/// What it thinks before it calls tools.
pub(crate) const PLAN: &str = "First the tools.";

/// Starts a model that plays `turns`, one after the other.
pub(crate) fn start(turns: Vec<Vec<Use>>) -> Peer {
    Peer::start(move |seen, exchange| answer(&turns, seen, exchange))
}

/// Answers one request as a model that plays `turns`.
pub(crate) fn answer(turns: &[Vec<Use>], seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    if (seen.method.as_str(), seen.path()) != ("POST", "/v1/chat/completions") {
        exchange.answer(404, &[("Content-Type", "text/html")], b"<html>nothing here</html>")?;
        return Ok(After::KeepOpen);
    }
    let body: Value = serde_json::from_slice(&seen.body).map_err(io::Error::other)?;
    let open = |turn: &&Vec<Use>| turn.iter().any(|(id, ..)| result(&body, id).is_none());
    let turn = turns.iter().find(open);
    let offered = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let turn = turn.filter(|_| offered);
    let chunks = match turn {
        Some(turn) => calls(turn),
        None => text(DONE),
    };
    if body["stream"] == true {
        scripted_upstream::stream_events(&events(&body, &chunks), exchange)?;
    } else {
        let mut message = json!({ "role": "assistant", "content": DONE, "refusal": null });
        if let Some(turn) = turn {
            message["content"] = Value::Null;
            message["tool_calls"] = turn.iter().map(whole_call).collect();
        }
        let reply = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "scripted-2026-01-01",
            "choices": [{ "index": 0, "message": message, "logprobs": null,
                          "finish_reason": if turn.is_some() { "tool_calls" } else { "stop" } }],
            "usage": usage(),
        });
        let headers = [("Content-Type", "application/json"), ("x-request-id", "req_chat_1")];
        exchange.answer(200, &headers, reply.to_string().as_bytes())?;
    }
    Ok(After::KeepOpen)
}

fn whole_call((id, name, input): &Use) -> Value {
    let function = json!({ "name": name, "arguments": input.to_string() });
    json!({ "id": id, "type": "function", "function": function })
}

/// What came of a call, as a request tells it.
pub(crate) fn result<'a>(body: &'a Value, id: &str) -> Option<&'a str> {
    let mut messages = body["messages"].as_array()?.iter();
    messages.find(|message| message["role"] == "tool" && message["tool_call_id"] == id)?["content"].as_str()
}

fn usage() -> Value {
    json!({ "prompt_tokens": 1_000, "completion_tokens": 20, "total_tokens": 1_020,
            "prompt_tokens_details": { "cached_tokens": 900, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": 0 } })
}

/// The deltas of a text and why it ends.
fn text(text: &str) -> (Vec<Value>, &'static str) {
    let mut deltas =
        vec![json!({ "role": "assistant", "content": "" }), json!({ "reasoning_content": THOUGHT })];
    deltas.extend(text.split_inclusive(' ').map(|piece| json!({ "content": piece })));
    (deltas, "stop")
}

/// The deltas of calls: a word before them, all beginnings, then their arguments piece by piece in turn.
fn calls(turn: &[Use]) -> (Vec<Value>, &'static str) {
    let mut deltas = vec![
        json!({ "role": "assistant", "content": null }),
        json!({ "reasoning_content": PLAN }),
        json!({ "content": "Let me see." }),
    ];
    for (index, (id, name, _)) in turn.iter().enumerate() {
        let function = json!({ "name": name, "arguments": "" });
        let call = json!({ "index": index, "id": id, "type": "function", "function": function });
        deltas.push(json!({ "tool_calls": [call] }));
    }
    let inputs: Vec<Vec<char>> = turn.iter().map(|(.., input)| input.to_string().chars().collect()).collect();
    for at in (0..inputs.iter().map(Vec::len).max().unwrap_or(0)).step_by(7) {
        for (index, input) in inputs.iter().enumerate() {
            let piece: String = input.iter().skip(at).take(7).collect();
            if !piece.is_empty() {
                let function = json!({ "arguments": piece });
                deltas.push(json!({ "tool_calls": [{ "index": index, "function": function }] }));
            }
        }
    }
    (deltas, "tool_calls")
}

/// The whole stream.
fn events(body: &Value, (deltas, end): &(Vec<Value>, &'static str)) -> String {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
                            "model": "scripted-2026-01-01", "choices": choices, "usage": usage });
        format!("data: {chunk}\n\n")
    };
    let mut out = String::new();
    for delta in deltas {
        let choice = json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null });
        out += &chunk(json!([choice]), Value::Null);
    }
    let last = json!({ "index": 0, "delta": {}, "logprobs": null, "finish_reason": end });
    out += &chunk(json!([last]), Value::Null);
    if body["stream_options"]["include_usage"] == true {
        out += &chunk(json!([]), usage());
    }
    out + "data: [DONE]\n\n"
}
