//! A model that plays several turns: each calls tools, the last says that all is done.

use std::io;

use serde_json::{Value, json};

use super::{After, Exchange, Peer, Seen, scripted_upstream};
use crate::sse;

/// What the model says when no turn is left.
pub(crate) const DONE: &str = "All turns are played.";

/// One call of a tool: its id, which must differ from all others, its name and its input.
pub(crate) type Use = (&'static str, &'static str, Value);

/// Starts a model that plays `turns`, one after the other.
pub(crate) fn start(turns: Vec<Vec<Use>>) -> Peer {
    start_with(turns, |_| {})
}

/// The same, with something that happens before each turn, which is counted from 0.
pub(crate) fn start_with(turns: Vec<Vec<Use>>, before: impl Fn(usize) + Send + Sync + 'static) -> Peer {
    Peer::start(move |seen, exchange| answer(&turns, &before, seen, exchange))
}

/// Answers one request as a model that plays `turns`.
pub(crate) fn play(turns: &[Vec<Use>], seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    answer(turns, &|_| {}, seen, exchange)
}

fn answer(
    turns: &[Vec<Use>],
    before: &impl Fn(usize),
    seen: &Seen,
    exchange: &mut Exchange,
) -> io::Result<After> {
    if (seen.method.as_str(), seen.path()) != ("POST", "/v1/messages") {
        return scripted_upstream::beside(seen, exchange);
    }
    let body: Value = serde_json::from_slice(&seen.body).map_err(io::Error::other)?;
    let model = body["model"].as_str().unwrap_or("");
    let open = |turn: &&Vec<Use>| turn.iter().any(|(id, ..)| result(&body, id).is_none());
    let at = turns.iter().position(|turn| open(&turn)).unwrap_or(turns.len());
    before(at);
    let turn = turns.get(at);
    if body["stream"] != true {
        let headers = [("Content-Type", "application/json"), ("request-id", "req_upstream_1")];
        let whole = whole(model, turn.map(Vec::as_slice));
        exchange.answer(200, &headers, whole.to_string().as_bytes())?;
        return Ok(After::KeepOpen);
    }
    let stream = match turn {
        None => sse::text_message(model, &[DONE]),
        Some(turn) => {
            let calls: Vec<_> = turn.iter().map(|(id, tool, input)| (*id, *tool, input)).collect();
            sse::tools_message(model, &calls)
        }
    };
    scripted_upstream::stream_events(&stream, exchange)?;
    Ok(After::KeepOpen)
}

/// A turn as one document; without one the text of the end.
pub(crate) fn whole(model: &str, turn: Option<&[Use]>) -> Value {
    let content: Vec<Value> = match turn {
        None => vec![json!({ "type": "text", "text": DONE })],
        Some(turn) => turn
            .iter()
            .map(|(id, name, input)| json!({ "type": "tool_use", "id": id, "name": name, "input": input }))
            .collect(),
    };
    let reason = if turn.is_some() { "tool_use" } else { "end_turn" };
    json!({ "id": "msg_01", "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": reason, "stop_sequence": null,
            "usage": { "input_tokens": 11, "output_tokens": 5 } })
}

/// What came of a call, as a request to the model tells it.
pub(crate) fn result<'a>(body: &'a Value, id: &str) -> Option<&'a Value> {
    let messages = body["messages"].as_array()?.iter();
    let mut blocks = messages.filter_map(|message| message["content"].as_array()).flatten();
    blocks.find(|block| block["type"] == "tool_result" && block["tool_use_id"] == id)
}
