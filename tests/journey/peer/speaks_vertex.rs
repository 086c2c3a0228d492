//! Vertex AI with a model of Anthropic's that plays several turns, by rawPredict.

use std::io;

use serde_json::{Value, json};

use super::scripted_turns::{DONE, Use, result, whole};
use super::{After, Exchange, Peer, Seen, scripted_upstream};
use crate::sse;

/// The path below which its models are.
pub(crate) const MODELS: &str = "/v1/projects/proj-1/locations/europe-west1/publishers/anthropic/models/";

/// Starts a service whose model plays `turns`.
pub(crate) fn start(turns: Vec<Vec<Use>>) -> Peer {
    Peer::start(move |seen, exchange| answer(&turns, seen, exchange))
}

/// Answers one request as a model that plays `turns`.
pub(crate) fn answer(turns: &[Vec<Use>], seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
    let asked = seen.path().strip_prefix(MODELS).and_then(|rest| rest.split_once(':'));
    let Some((model, operation)) = asked else {
        return refuse(exchange, 404, "NOT_FOUND", "no such path");
    };
    if seen.header("authorization") != Some("Bearer ya29.scripted") {
        return refuse(exchange, 401, "UNAUTHENTICATED", "projects/proj-1: invalid credentials SECRET");
    }
    if body["anthropic_version"] != "vertex-2023-10-16" || seen.header("anthropic-version").is_some() {
        return refuse(exchange, 400, "INVALID_ARGUMENT", "anthropic_version: Field required");
    }
    let json = [("Content-Type", "application/json"), ("request-id", "req_vrtx_1")];
    match operation {
        "rawPredict" if model == "count-tokens" => {
            let known = body["model"] == "claude-far-1";
            exchange.answer(200, &json, if known { b"{\"input_tokens\":44}" } else { b"{}" })?;
        }
        "rawPredict" => {
            let reply = whole(model, open_turn(turns, &body));
            exchange.answer(200, &json, reply.to_string().as_bytes())?;
        }
        "streamRawPredict" if body["stream"] == true && body.get("model").is_none() => {
            let stream = match open_turn(turns, &body) {
                None => sse::text_message(model, &[DONE]),
                Some(turn) => {
                    let calls: Vec<_> = turn.iter().map(|(id, tool, input)| (*id, *tool, input)).collect();
                    sse::tools_message(model, &calls)
                }
            };
            scripted_upstream::stream_events(&stream, exchange)?;
        }
        _ => return refuse(exchange, 400, "INVALID_ARGUMENT", "model: Extra inputs are not permitted"),
    }
    Ok(After::KeepOpen)
}

/// The first turn that has calls without results, where tools are offered.
fn open_turn<'t>(turns: &'t [Vec<Use>], body: &Value) -> Option<&'t [Use]> {
    let open = |turn: &&Vec<Use>| turn.iter().any(|(id, ..)| result(body, id).is_none());
    let offered = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    turns.iter().find(open).filter(|_| offered).map(Vec::as_slice)
}

fn refuse(exchange: &mut Exchange, status: u16, name: &str, message: &str) -> io::Result<After> {
    let error = json!({ "error": { "code": status, "message": message, "status": name } });
    exchange.answer(status, &[("Content-Type", "application/json")], error.to_string().as_bytes())?;
    Ok(After::KeepOpen)
}
