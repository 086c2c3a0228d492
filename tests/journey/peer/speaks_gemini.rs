//! A provider of Gemini that plays several turns: each thinks and calls tools, the last says that it is done.
//!
//! It is strict as the real one is: unknown fields are a 400, and so is a call in the history without the
//! signature that it was given. Its events have the shapes of Google's own: lines that end in CRLF, calls
//! that come whole, the signature on the first of them, and the reason to stop in the last chunk.

use std::io;

use serde_json::{Value, json};

use super::scripted_turns::{DONE, Use};
use super::{After, Exchange, Peer, Seen};

/// What it thinks before it says a text.
pub(crate) const THOUGHT: &str = "So all of them are done.";

/// Starts a model that plays `turns`, one after the other.
pub(crate) fn start(turns: Vec<Vec<Use>>) -> Peer {
    Peer::start(move |seen, exchange| answer(&turns, seen, exchange))
}

/// What stands in the place of a signature of its own under calls that another model has made.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// What the first call of a turn is signed with.
pub(crate) fn signature(turn: usize) -> String {
    format!("CpcBAdHtim9turn{turn}+/==")
}

/// Answers one request as a model that plays `turns`.
pub(crate) fn answer(turns: &[Vec<Use>], seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    let stream = match (seen.method.as_str(), seen.target.as_str()) {
        ("POST", "/v1beta/models/far-1:streamGenerateContent?alt=sse") => true,
        ("POST", "/v1beta/models/far-1:generateContent") => false,
        _ => {
            exchange.answer(404, &[("Content-Type", "text/html")], b"<html>nothing here</html>")?;
            return Ok(After::KeepOpen);
        }
    };
    let body: Value = serde_json::from_slice(&seen.body).map_err(io::Error::other)?;
    let mut wrong = complaints(&body);
    wrong.extend(unsigned(turns, &body));
    if let Some(message) = wrong.first() {
        let error = json!({ "error": { "code": 400, "message": message, "status": "INVALID_ARGUMENT" } });
        exchange.answer(400, &[("Content-Type", "application/json")], error.to_string().as_bytes())?;
        return Ok(After::KeepOpen);
    }
    let open = |turn: &Vec<Use>| turn.iter().any(|(.., input)| result(&body, input).is_none());
    let at = turns.iter().position(open).unwrap_or(turns.len());
    let offered = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    let parts = match turns.get(at).filter(|_| offered) {
        Some(turn) => calls(at, turn),
        None => text(),
    };
    if stream {
        exchange.start_events()?;
        let last = json!([{ "text": "" }]);
        for part in &parts {
            exchange.chunk(event(&chunk(&json!([part]), None)).as_bytes())?;
        }
        exchange.chunk(event(&chunk(&last, Some("STOP"))).as_bytes())?;
        exchange.end_chunks()?;
    } else {
        let whole = chunk(&json!(parts), Some("STOP"));
        let headers = [("Content-Type", "application/json; charset=UTF-8")];
        exchange.answer(200, &headers, whole.to_string().as_bytes())?;
    }
    Ok(After::KeepOpen)
}

/// One event as it is written.
pub(crate) fn event(chunk: &Value) -> String {
    format!("data: {chunk}\r\n\r\n")
}

/// One chunk of an answer.
pub(crate) fn chunk(parts: &Value, reason: Option<&str>) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if let Some(reason) = reason {
        candidate["finishReason"] = json!(reason);
    }
    json!({ "candidates": [candidate],
            "usageMetadata": { "promptTokenCount": 1_000, "cachedContentTokenCount": 900,
                               "candidatesTokenCount": 15, "thoughtsTokenCount": 5,
                               "totalTokenCount": 1_020,
                               "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": 1_000 }] },
            "modelVersion": "scripted-2026-01-01", "responseId": "r1" })
}

/// The parts of calls: the first is signed. Those of the first turn have ids, which older models do not give.
fn calls(number: usize, turn: &[Use]) -> Vec<Value> {
    let mut parts = Vec::new();
    if number > 0 {
        parts.push(json!({ "text": "One more.", "thought": true }));
        parts.push(json!({ "text": "Let me see." }));
    }
    for (index, (id, name, input)) in turn.iter().enumerate() {
        let mut part = json!({ "functionCall": { "name": name, "args": input } });
        if number == 0 {
            part["functionCall"]["id"] = json!(id);
        }
        if index == 0 {
            part["thoughtSignature"] = json!(signature(number));
        }
        parts.push(part);
    }
    parts
}

fn text() -> Vec<Value> {
    let mut parts = vec![json!({ "text": THOUGHT, "thought": true })];
    parts.extend(DONE.split_inclusive(' ').map(|piece| json!({ "text": piece })));
    parts
}

/// The contents of a request, each with its parts.
fn contents(body: &Value) -> Vec<(&Value, Vec<&Value>)> {
    let contents = body["contents"].as_array().into_iter().flatten();
    contents.map(|content| (content, content["parts"].as_array().into_iter().flatten().collect())).collect()
}

fn is_call(part: &Value, input: &Value) -> bool {
    let args = &part["functionCall"]["args"];
    let mut told = input.as_object().into_iter().flatten().filter(|(name, _)| *name != "description");
    args.is_object() && told.all(|(name, value)| args[name] == *value)
}

/// What came of a call with this input, by a request: the response at the same place in what follows.
pub(crate) fn result<'a>(body: &'a Value, input: &Value) -> Option<&'a Value> {
    let contents = contents(body);
    for (at, (_, parts)) in contents.iter().enumerate() {
        let mut calls = parts.iter().filter(|part| part["functionCall"].is_object());
        if let Some(place) = calls.position(|part| is_call(part, input)) {
            let (_, after) = contents.get(at + 1)?;
            let mut responses = after.iter().filter(|part| part["functionResponse"].is_object());
            return responses.nth(place).map(|part| &part["functionResponse"]);
        }
    }
    None
}

/// What is wrong with the signatures of a history.
fn unsigned(turns: &[Vec<Use>], body: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (_, parts) in contents(body) {
        let Some(first) = parts.iter().find(|part| part["functionCall"].is_object()) else { continue };
        let of = |turn: &Vec<Use>| turn.first().is_some_and(|(.., input)| is_call(first, input));
        // What another model called has the word that the API takes in the place of a signature.
        let wanted = turns.iter().position(of).map_or_else(|| UNSIGNED.to_owned(), signature);
        if first["thoughtSignature"] != wanted {
            wrong
                .push(format!("Function call is missing a thought_signature in functionCall parts: {first}"));
        }
    }
    wrong
}

/// The fields of what stands where, by ai.google.dev/api (read 2026-11); the API refuses all others.
const FIELDS: &[(&str, &[&str])] = &[
    ("", &["contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings"]),
    ("contents", &["role", "parts"]),
    ("systemInstruction", &["role", "parts"]),
    (
        "parts",
        &[
            "text",
            "thought",
            "thoughtSignature",
            "inlineData",
            "fileData",
            "functionCall",
            "functionResponse",
        ],
    ),
    ("functionCall", &["id", "name", "args"]),
    ("functionResponse", &["id", "name", "response", "parts", "willContinue", "scheduling"]),
    ("inlineData", &["mimeType", "data"]),
    ("fileData", &["mimeType", "fileUri"]),
    ("tools", &["functionDeclarations", "googleSearch", "urlContext"]),
    (
        "functionDeclarations",
        &["name", "description", "behavior", "parameters", "parametersJsonSchema", "response"],
    ),
    ("toolConfig", &["functionCallingConfig"]),
    ("functionCallingConfig", &["mode", "allowedFunctionNames"]),
    (
        "generationConfig",
        &[
            "stopSequences",
            "responseMimeType",
            "responseSchema",
            "responseJsonSchema",
            "maxOutputTokens",
            "temperature",
            "topP",
            "topK",
            "thinkingConfig",
        ],
    ),
    ("thinkingConfig", &["includeThoughts", "thinkingBudget", "thinkingLevel"]),
];

/// What is wrong with a request by its fields.
pub(crate) fn complaints(body: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    walk("", body, &mut wrong);
    let mut before = None;
    for (content, parts) in contents(body) {
        let role = content["role"].as_str();
        if !matches!(role, Some("user" | "model")) || role == before || parts.is_empty() {
            wrong.push(format!("contents take turns, and say something: {content}"));
        }
        before = role;
    }
    wrong
}

fn walk(place: &str, value: &Value, wrong: &mut Vec<String>) {
    if let Some(list) = value.as_array() {
        return list.iter().for_each(|one| walk(place, one, wrong));
    }
    let Some(known) = FIELDS.iter().find(|(name, _)| *name == place) else { return };
    let Some(fields) = value.as_object() else {
        return wrong.push(format!("Invalid value at '{place}'"));
    };
    for (name, value) in fields {
        if known.1.contains(&name.as_str()) {
            walk(name, value, wrong);
        } else {
            wrong.push(format!("Invalid JSON payload received. Unknown name \"{name}\" at '{place}'"));
        }
    }
}
