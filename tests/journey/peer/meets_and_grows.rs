//! A modern MCP server with a tool that ends only in company, and one that makes another one appear.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{After, Exchange, Peer, Seen};
use crate::sse;

/// How many calls of `meet` end together.
pub(crate) const COMPANY: usize = 3;

/// How long one call waits for the others, and `grow` for its new list to be read.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long what was listed may take to arrive where the next turn of a model begins.
const ON_THE_WAY: Duration = Duration::from_millis(700);

#[derive(Default)]
struct State {
    present: Mutex<usize>,
    all_here: Condvar,
    grown: AtomicBool,
    /// How often the list with the new tool was read.
    relisted: AtomicUsize,
}

/// Starts the server; its address is `<url>/mcp`.
pub(crate) fn start() -> Peer {
    let state = Arc::new(State::default());
    Peer::start(move |seen, exchange| answer(&state, seen, exchange))
}

fn answer(state: &State, seen: &Seen, exchange: &mut Exchange) -> io::Result<After> {
    let json = [("Content-Type", "application/json")];
    let Ok(message) = serde_json::from_slice::<Value>(&seen.body) else {
        exchange.answer(405, &json, b"{}")?;
        return Ok(After::KeepOpen);
    };
    let id = &message["id"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({
            "supportedVersions": ["2026-07-28"], "capabilities": { "tools": { "listChanged": true } },
            "ttlMs": 0, "cacheScope": "public",
        }),
        "tools/list" => {
            let tools = list(state);
            json!({ "tools": tools, "ttlMs": 600_000, "cacheScope": "public" })
        }
        "tools/call" => {
            let text = call(state, message["params"]["name"].as_str().unwrap_or_default());
            json!({ "content": [{ "type": "text", "text": text }] })
        }
        "subscriptions/listen" => return listen(state, id, exchange),
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

fn list(state: &State) -> Vec<Value> {
    let tool = |name: &str, reads: bool| {
        json!({ "name": name, "description": "scripted", "inputSchema": { "type": "object" },
                "annotations": { "readOnlyHint": reads } })
    };
    let mut tools = vec![tool("meet", true), tool("grow", false)];
    if state.grown.load(Ordering::SeqCst) {
        tools.push(tool("grown", false));
        state.relisted.fetch_add(1, Ordering::SeqCst);
    }
    tools
}

fn call(state: &State, name: &str) -> String {
    match name {
        "meet" => {
            let mut present = state.present.lock().expect("no holder panics");
            *present += 1;
            state.all_here.notify_all();
            let alone = |present: &mut usize| *present < COMPANY;
            let (present, _) =
                state.all_here.wait_timeout_while(present, PATIENCE, alone).expect("no holder panics");
            format!("{} have met", *present)
        }
        "grow" => {
            state.grown.store(true, Ordering::SeqCst);
            for _ in 0..PATIENCE.as_millis() / 10 {
                if state.relisted.load(Ordering::SeqCst) > 0 {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
            thread::sleep(ON_THE_WAY);
            "there is more now".to_owned()
        }
        _ => "new here".to_owned(),
    }
}

fn listen(state: &State, id: &Value, exchange: &mut Exchange) -> io::Result<After> {
    let meta = json!({ "io.modelcontextprotocol/subscriptionId": id });
    let message = |method: &str, params: Value| {
        sse::event("message", &json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    };
    let granted = json!({ "_meta": meta, "notifications": { "toolsListChanged": true } });
    exchange.start_events()?;
    exchange.chunk(message("notifications/subscriptions/acknowledged", granted).as_bytes())?;
    while !state.grown.load(Ordering::SeqCst) {
        if exchange.wait_for_close(Duration::from_millis(20)).is_some() {
            return Ok(After::Close);
        }
    }
    let changed = message("notifications/tools/list_changed", json!({ "_meta": meta }));
    exchange.chunk(changed.as_bytes())?;
    // It ends with the peer, at the latest.
    exchange.wait_for_close(PATIENCE * 4);
    Ok(After::Close)
}
