//! A modern MCP server with two hundred tools, of which each says its own name and what it was told.

use std::io;

use serde_json::{Value, json};

use super::{After, Exchange, Peer, Seen};

/// How many tools it has.
pub(crate) const TOOLS: usize = 200;

/// Starts the server; its address is `<url>/mcp`.
pub(crate) fn start() -> Peer {
    Peer::start(answer)
}

fn answer(seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    let json = [("Content-Type", "application/json")];
    let Ok(message) = serde_json::from_slice::<Value>(&seen.body) else {
        exchange.answer(405, &json, b"{}")?;
        return Ok(After::KeepOpen);
    };
    let id = &message["id"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({
            "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
            "ttlMs": 600_000, "cacheScope": "public",
        }),
        "tools/list" => json!({ "tools": tools(), "ttlMs": 600_000, "cacheScope": "public" }),
        "tools/call" => {
            let (name, word) = (&message["params"]["name"], &message["params"]["arguments"]["word"]);
            let text =
                format!("{} heard {}", name.as_str().unwrap_or_default(), word.as_str().unwrap_or_default());
            json!({ "content": [{ "type": "text", "text": text }] })
        }
        _ => {
            let error = json!({ "code": -32601, "message": "scripted: no such method" });
            let body = json!({ "jsonrpc": "2.0", "id": id, "error": error });
            exchange.answer(404, &json, body.to_string().as_bytes())?;
            return Ok(After::KeepOpen);
        }
    };
    let mut body = json!({ "jsonrpc": "2.0", "id": id, "result": result });
    body["result"]["resultType"] = json!("complete");
    exchange.answer(200, &json, body.to_string().as_bytes())?;
    Ok(After::KeepOpen)
}

fn tools() -> Vec<Value> {
    let tool = |number: usize| {
        json!({ "name": format!("look_{number:03}"),
                "description": format!("Looks a word up in volume {number} of the great dictionary."),
                "inputSchema": { "type": "object", "required": ["word"],
                                 "properties": { "word": { "type": "string", "description": "the word" } } },
                "annotations": { "readOnlyHint": true } })
    };
    (0..TOOLS).map(tool).collect()
}
