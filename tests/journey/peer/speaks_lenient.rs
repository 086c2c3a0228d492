//! A server that speaks Messages, but not all of it, with a model that plays several turns.
//!
//! It refuses what such servers do not know, and keeps the rules of its own answers loosely: ids of another
//! shape, thinking that nobody has signed, and input that stands where its block begins.

use std::collections::BTreeSet;
use std::io;

use serde_json::{Value, json};

use super::scripted_turns::{self, DONE, Use, result};
use super::{After, Exchange, Seen, scripted_upstream};
use crate::sse;

/// What it thinks before it says anything.
pub(crate) const PLAN: &str = "First the tools.";

/// Answers one request as a model that plays `turns`.
pub(crate) fn answer(turns: &[Vec<Use>], seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    if (seen.method.as_str(), seen.path()) != ("POST", "/v1/messages") {
        exchange.answer(404, &[("Content-Type", "text/html")], b"<html>nothing here</html>")?;
        return Ok(After::KeepOpen);
    }
    let body: Value = serde_json::from_slice(&seen.body).map_err(io::Error::other)?;
    if let Some(message) = complaints(&body).first() {
        let error = json!({ "object": "error", "message": message, "type": "BadRequestError", "code": 400 });
        exchange.answer(400, &[("Content-Type", "application/json")], error.to_string().as_bytes())?;
        return Ok(After::KeepOpen);
    }
    let open = |turn: &&Vec<Use>| turn.iter().any(|(id, ..)| result(&body, id).is_none());
    let offered = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let turn = turns.iter().find(open).filter(|_| offered).map(Vec::as_slice);
    if body["stream"] == true {
        scripted_upstream::stream_events(&events(turn), exchange)?;
    } else {
        let mut whole = scripted_turns::whole("scripted-2026-01-01", turn);
        whole["id"] = json!("chatcmpl-9");
        exchange.answer(200, &[("Content-Type", "application/json")], whole.to_string().as_bytes())?;
    }
    Ok(After::KeepOpen)
}

/// The whole stream: every other input comes with the beginning of its block.
fn events(turn: Option<&[Use]>) -> String {
    let usage = json!({ "input_tokens": 1_000, "output_tokens": 0 });
    let message = json!({ "id": "chatcmpl-9", "type": "message", "role": "assistant", "content": [],
                          "model": "scripted-2026-01-01", "stop_reason": null, "usage": usage });
    let mut out = sse::event("message_start", &json!({ "type": "message_start", "message": message }));
    let thinking = json!({ "type": "thinking", "thinking": "" });
    block(&mut out, 0, &thinking, &[json!({ "type": "thinking_delta", "thinking": PLAN })]);
    match turn {
        None => {
            let pieces = DONE.split_inclusive(' ').map(|text| json!({ "type": "text_delta", "text": text }));
            block(&mut out, 1, &json!({ "type": "text", "text": "" }), &pieces.collect::<Vec<_>>());
        }
        Some(turn) => {
            for (index, (id, name, input)) in turn.iter().enumerate() {
                let whole = index % 2 == 1;
                let first = if whole { input.clone() } else { json!({}) };
                let letters: Vec<char> = input.to_string().chars().collect();
                let piece = |letters: &[char]| -> Value {
                    let json: String = letters.iter().collect();
                    json!({ "type": "input_json_delta", "partial_json": json })
                };
                let pieces: Vec<Value> =
                    if whole { Vec::new() } else { letters.chunks(7).map(piece).collect() };
                let start = json!({ "type": "tool_use", "id": id, "name": name, "input": first });
                block(&mut out, index + 1, &start, &pieces);
            }
        }
    }
    let delta = json!({ "stop_reason": if turn.is_some() { "tool_use" } else { "end_turn" } });
    let usage = json!({ "input_tokens": 1_000, "output_tokens": 20 });
    out += &sse::event("message_delta", &json!({ "type": "message_delta", "delta": delta, "usage": usage }));
    out + &sse::event("message_stop", &json!({ "type": "message_stop" }))
}

fn block(out: &mut String, index: usize, start: &Value, deltas: &[Value]) {
    let mut say = |kind: &str, member: &str, value: &Value| {
        let mut event = json!({ "type": kind, "index": index });
        if !member.is_empty() {
            event[member] = value.clone();
        }
        *out += &sse::event(kind, &event);
    };
    say("content_block_start", "content_block", start);
    deltas.iter().for_each(|delta| say("content_block_delta", "delta", delta));
    say("content_block_stop", "", &Value::Null);
}

/// The fields of what is where; such a server refuses others, or leaves them out without a word.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "request",
        &[
            "model",
            "max_tokens",
            "stream",
            "system",
            "messages",
            "tools",
            "tool_choice",
            "temperature",
            "top_p",
            "top_k",
            "stop_sequences",
            "thinking",
            "output_config",
        ],
    ),
    ("tool", &["name", "description", "input_schema"]),
    ("message", &["role", "content"]),
    ("text", &["type", "text"]),
    ("image", &["type", "source"]),
    ("thinking", &["type", "thinking", "signature"]),
    ("tool_use", &["type", "id", "name", "input"]),
    ("tool_result", &["type", "tool_use_id", "content", "is_error"]),
];

/// What is wrong with a request.
pub(crate) fn complaints(body: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    known("request", body, &mut wrong);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&body["tools"]).iter().for_each(|tool| known("tool", tool, &mut wrong));
    list(&body["system"]).iter().for_each(|block| known("text", block, &mut wrong));
    let mut before = "assistant";
    let mut asked: BTreeSet<String> = BTreeSet::new();
    for message in list(&body["messages"]) {
        known("message", &message, &mut wrong);
        let role = if message["role"] == "user" { "user" } else { "assistant" };
        if message["role"] != role || role == before {
            wrong.push(format!("roles must alternate user/assistant: {}", message["role"]));
        }
        before = role;
        let blocks = list(&message["content"]);
        for block in &blocks {
            known(block["type"].as_str().unwrap_or_default(), block, &mut wrong);
            if block["type"] == "tool_result" && !block["content"].is_string() {
                wrong.push("content of a tool_result: a string is wanted".to_owned());
            }
        }
        let told = blocks.iter().map_while(|block| block["tool_use_id"].as_str().map(str::to_owned));
        if role == "user" && told.collect::<BTreeSet<_>>() != asked {
            wrong.push(format!("results must come first and be those of {asked:?}: {message}"));
        }
        let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
        asked = calls.filter_map(|call| call["id"].as_str().map(str::to_owned)).collect();
    }
    wrong
}

fn known(what: &str, value: &Value, wrong: &mut Vec<String>) {
    let Some((_, fields)) = FIELDS.iter().find(|(name, _)| *name == what) else {
        return wrong.push(format!("this type is not known: {what}"));
    };
    for (name, _) in value.as_object().into_iter().flatten() {
        if !fields.contains(&name.as_str()) {
            wrong.push(format!("{what}.{name}: extra inputs are not permitted"));
        }
    }
}
