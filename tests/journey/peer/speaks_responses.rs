//! A provider of OpenAI's Responses that plays several turns: each thinks and calls tools, the last says
//! that all is done.
//!
//! It is strict as the real one is: what it has thought, encrypted, has to come back before the calls that
//! followed, or there is a 400. Its events have the shapes of OpenAI's own: items one after the other, each
//! with its beginning, its pieces and its end, a summary of the thinking, and the whole response at the end.

use std::io;

use serde_json::{Value, json};

use super::scripted_turns::{DONE, Use};
use super::{After, Exchange, Peer, Seen, scripted_upstream};

/// What it thinks before it says a text.
pub(crate) const THOUGHT: &str = "So all of them are done.";

/// Starts a model that plays `turns`, one after the other.
pub(crate) fn start(turns: Vec<Vec<Use>>) -> Peer {
    Peer::start(move |seen, exchange| answer(&turns, seen, exchange))
}

/// What it has thought in a turn, encrypted.
pub(crate) fn encrypted(turn: usize) -> String {
    format!("gAAAAABturn{turn}+/zB4\u{e9}==")
}

/// Answers one request as a model that plays `turns`.
pub(crate) fn answer(turns: &[Vec<Use>], seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    if (seen.method.as_str(), seen.path()) != ("POST", "/v1/responses") {
        exchange.answer(404, &[("Content-Type", "text/html")], b"<html>nothing here</html>")?;
        return Ok(After::KeepOpen);
    }
    let body: Value = serde_json::from_slice(&seen.body).map_err(io::Error::other)?;
    let open = |turn: &Vec<Use>| turn.iter().any(|(id, ..)| result(&body, id).is_none());
    let at = turns.iter().position(open).unwrap_or(turns.len());
    let offered = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    if let Some(missing) = turns.iter().take(at).position(|turn| !is_remembered(&body, turns, turn)) {
        let message = format!("Item 'fc_{missing}_0' was provided without its required 'reasoning' item.");
        let error = json!({ "error": { "message": message, "type": "invalid_request_error",
                                       "param": "input", "code": null } });
        exchange.answer(400, &[("Content-Type", "application/json")], error.to_string().as_bytes())?;
        return Ok(After::KeepOpen);
    }
    let items = match turns.get(at).filter(|_| offered) {
        Some(turn) => calls(at, turn),
        None => text(at),
    };
    if body["stream"] == true {
        scripted_upstream::stream_events(&events(&items), exchange)?;
    } else {
        let headers = [("Content-Type", "application/json"), ("x-request-id", "req_responses_1")];
        let whole = response("completed", &items.iter().map(|item| item.whole.clone()).collect::<Vec<_>>());
        exchange.answer(200, &headers, whole.to_string().as_bytes())?;
    }
    Ok(After::KeepOpen)
}

/// Whether the thinking of a turn stands before its calls.
fn is_remembered(body: &Value, turns: &[Vec<Use>], turn: &[Use]) -> bool {
    let number = turns.iter().position(|one| one.as_slice().as_ptr() == turn.as_ptr());
    let empty = Vec::new();
    let input = body["input"].as_array().unwrap_or(&empty);
    let thought = number.and_then(|number| {
        let own = encrypted(number);
        input.iter().position(|item| item["type"] == "reasoning" && item["encrypted_content"] == own)
    });
    let call = turn.first().and_then(|(id, ..)| {
        input.iter().position(|item| item["type"] == "function_call" && item["call_id"] == *id)
    });
    matches!((thought, call), (Some(thought), Some(call)) if thought < call)
}

/// What came of a call, as a request tells it.
pub(crate) fn result(body: &Value, id: &str) -> Option<String> {
    let mut items = body["input"].as_array()?.iter();
    let item = items.find(|item| item["type"] == "function_call_output" && item["call_id"] == id)?;
    Some(match item["output"].as_array() {
        Some(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        None => item["output"].as_str().unwrap_or_default().to_owned(),
    })
}

/// An item of an answer: what its beginning says, the events between, and the whole.
struct Item {
    beginning: Value,
    between: Vec<Value>,
    whole: Value,
}

/// What is thought in a turn; a summary only where there is something to say.
fn thinking(turn: usize, summary: &str) -> Item {
    let id = format!("rs_{turn}");
    let mut between = Vec::new();
    let mut parts = Vec::new();
    if !summary.is_empty() {
        let part = |text: &str| json!({ "type": "summary_text", "text": text });
        let event = |kind: &str, member: &str, value: Value| {
            let mut event = json!({ "type": format!("response.reasoning_summary_{kind}"), "item_id": id,
                                    "summary_index": 0 });
            event[member] = value;
            event
        };
        between.push(event("part.added", "part", part("")));
        between.extend(summary.split_inclusive(' ').map(|text| event("text.delta", "delta", json!(text))));
        between.push(event("text.done", "text", json!(summary)));
        between.push(event("part.done", "part", part(summary)));
        parts.push(part(summary));
    }
    let item = |summary: Value, encrypted: String| {
        let mut item = json!({ "id": id, "type": "reasoning", "summary": summary });
        item["encrypted_content"] = json!(encrypted);
        item
    };
    // What the beginning says is not all of it yet.
    let (beginning, whole) =
        (item(json!([]), "gAAAAABbegin==".to_owned()), item(json!(parts), encrypted(turn)));
    Item { beginning, between, whole }
}

fn calls(number: usize, turn: &[Use]) -> Vec<Item> {
    // A first thought without words, and a later one with some.
    let mut items = vec![thinking(number, if number == 0 { "" } else { "One more." })];
    for (index, (call, name, input)) in turn.iter().enumerate() {
        let (id, input) = (format!("fc_{number}_{index}"), input.to_string());
        let item = |status: &str, arguments: &str| {
            json!({ "id": id, "type": "function_call", "status": status, "arguments": arguments,
                    "call_id": call, "name": name })
        };
        let letters: Vec<char> = input.chars().collect();
        let mut between: Vec<Value> = letters
            .chunks(7)
            .map(|piece| {
                json!({ "type": "response.function_call_arguments.delta", "item_id": id,
                        "delta": piece.iter().collect::<String>(), "obfuscation": "x9" })
            })
            .collect();
        between.push(json!({ "type": "response.function_call_arguments.done", "item_id": id,
                             "name": name, "arguments": input }));
        items.push(Item { beginning: item("in_progress", ""), between, whole: item("completed", &input) });
    }
    items
}

fn text(number: usize) -> Vec<Item> {
    let id = format!("msg_{number}");
    let part = |text: &str| json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text });
    let event = |kind: &str, member: &str, value: Value| {
        let mut event = json!({ "type": format!("response.{kind}"), "item_id": id, "content_index": 0 });
        event[member] = value;
        event
    };
    let mut between = vec![event("content_part.added", "part", part(""))];
    between.extend(DONE.split_inclusive(' ').map(|piece| event("output_text.delta", "delta", json!(piece))));
    between.push(event("output_text.done", "text", json!(DONE)));
    between.push(event("content_part.done", "part", part(DONE)));
    let item = |status: &str, content: Value| {
        json!({ "id": id, "type": "message", "status": status, "content": content, "role": "assistant",
                "phase": "final_answer" })
    };
    let message = Item {
        beginning: item("in_progress", json!([])),
        between,
        whole: item("completed", json!([part(DONE)])),
    };
    vec![thinking(number, THOUGHT), message]
}

fn response(status: &str, output: &[Value]) -> Value {
    let usage = json!({ "input_tokens": 1_000, "input_tokens_details": { "cached_tokens": 900 },
                        "output_tokens": 20, "output_tokens_details": { "reasoning_tokens": 5 },
                        "total_tokens": 1_020 });
    json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": null,
            "incomplete_details": null, "instructions": null, "model": "scripted-2026-01-01",
            "output": output, "parallel_tool_calls": true, "store": false,
            "usage": if status == "completed" { usage } else { Value::Null } })
}

/// The whole stream.
fn events(items: &[Item]) -> String {
    let mut out = String::new();
    let mut number = 0;
    let mut say = |mut event: Value, index: Option<usize>| {
        event["sequence_number"] = json!(number);
        number += 1;
        if let Some(index) = index {
            event["output_index"] = json!(index);
        }
        out += &format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    };
    let whole = |kind: &str, response: Value| json!({ "type": kind, "response": response });
    say(whole("response.created", response("in_progress", &[])), None);
    say(whole("response.in_progress", response("in_progress", &[])), None);
    for (index, item) in items.iter().enumerate() {
        say(json!({ "type": "response.output_item.added", "item": item.beginning }), Some(index));
        for event in &item.between {
            say(event.clone(), Some(index));
        }
        say(json!({ "type": "response.output_item.done", "item": item.whole }), Some(index));
    }
    let output: Vec<Value> = items.iter().map(|item| item.whole.clone()).collect();
    say(whole("response.completed", response("completed", &output)), None);
    out
}
