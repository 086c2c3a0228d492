//! Bedrock's runtime with a model of another maker than Anthropic, by Converse: it plays several turns, each
//! of which calls tools, and says at last that all is done.

use std::io;

use serde_json::{Value, json};

use super::scripted_turns::{DONE, Use};
use super::speaks_bedrock::{frame, refuse, start_frames};
use super::{After, Exchange, Peer, Seen};

/// The members of a request that Converse has.
const MEMBERS: &[&str] = &[
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "additionalModelRequestFields",
    "requestMetadata",
    "outputConfig",
];

/// Starts a runtime whose model plays `turns`.
pub(crate) fn start(turns: Vec<Vec<Use>>) -> Peer {
    Peer::start(move |seen, exchange| answer(&turns, seen, exchange))
}

fn answer(turns: &[Vec<Use>], seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let Some((_, operation)) = seen.path().strip_prefix("/model/").and_then(|rest| rest.split_once('/'))
    else {
        return refuse(exchange, 404, "UnknownOperationException", "no such operation");
    };
    if let Err(why) = check(&body) {
        return refuse(exchange, 400, "ValidationException", &why);
    }
    let open = |turn: &&Vec<Use>| turn.iter().any(|(id, ..)| result(&body, id).is_none());
    let offered = body["toolConfig"]["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let turn = turns.iter().find(open).filter(|_| offered);
    let usage = json!({ "inputTokens": 11, "outputTokens": 5, "totalTokens": 16 });
    if operation == "converse" {
        let message = json!({ "role": "assistant", "content": [{ "text": DONE }] });
        let reply = json!({ "output": { "message": message }, "stopReason": "end_turn", "usage": usage,
                            "metrics": { "latencyMs": 7 } });
        exchange.answer(200, &[("Content-Type", "application/json")], reply.to_string().as_bytes())?;
        return Ok(After::KeepOpen);
    }
    start_frames(exchange)?;
    let mut send = |name: &str, payload: &Value| {
        let headers =
            [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
        exchange.chunk(&frame(&headers, payload.to_string().as_bytes()))
    };
    send("messageStart", &json!({ "role": "assistant" }))?;
    for (index, (id, tool, input)) in turn.into_iter().flatten().enumerate() {
        let start = json!({ "toolUse": { "toolUseId": id, "name": tool } });
        send("contentBlockStart", &json!({ "start": start, "contentBlockIndex": index }))?;
        let text = input.to_string();
        let half = text.floor_char_boundary(text.len() / 2);
        for piece in <[&str; 2]>::from(text.split_at(half)) {
            let delta = json!({ "toolUse": { "input": piece } });
            send("contentBlockDelta", &json!({ "delta": delta, "contentBlockIndex": index }))?;
        }
        send("contentBlockStop", &json!({ "contentBlockIndex": index }))?;
    }
    if turn.is_none() {
        send("contentBlockDelta", &json!({ "delta": { "text": DONE }, "contentBlockIndex": 0 }))?;
        send("contentBlockStop", &json!({ "contentBlockIndex": 0 }))?;
    }
    let reason = if turn.is_some() { "tool_use" } else { "end_turn" };
    send("messageStop", &json!({ "stopReason": reason }))?;
    send("metadata", &json!({ "usage": usage, "metrics": { "latencyMs": 7 } }))?;
    exchange.end_chunks()?;
    Ok(After::KeepOpen)
}

/// What the service's own check of a request refuses.
fn check(body: &Value) -> Result<(), String> {
    let unknown = body.as_object().into_iter().flatten().find(|(name, _)| !MEMBERS.contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        return Err(format!("{name}: unknown member"));
    }
    let messages = body["messages"].as_array().ok_or("messages: required")?;
    for (place, message) in messages.iter().enumerate() {
        let wanted = if place % 2 == 0 { "user" } else { "assistant" };
        if message["role"] != wanted || !message["content"].is_array() {
            return Err(format!("messages.{place}: a turn of {wanted} is wanted"));
        }
    }
    let tools = body["toolConfig"]["tools"].as_array().into_iter().flatten();
    let schema =
        |tool: &Value| tool["toolSpec"]["inputSchema"]["json"].is_object() || tool["cachePoint"].is_object();
    if tools.clone().all(schema) { Ok(()) } else { Err("toolConfig.tools: a schema is wanted".to_owned()) }
}

/// What came of a call, as a request tells it.
pub(crate) fn result<'a>(body: &'a Value, id: &str) -> Option<&'a Value> {
    let blocks = body["messages"].as_array()?.iter().filter_map(|message| message["content"].as_array());
    let mut results = blocks.flatten().map(|block| &block["toolResult"]);
    results.find(|result| result["toolUseId"] == id)
}
