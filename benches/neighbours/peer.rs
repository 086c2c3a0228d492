//! The server and the model behind the gateway: fixed answers, a thread for each connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use anyhow::Result;
use serde_json::{Value, json};

use crate::wire::header;

/// Starts both; they live as long as the process.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// Answers until the other side goes.
fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let (mut request, mut room) = (Vec::new(), vec![0; 256 * 1024]);
    loop {
        let bytes = stream.read(&mut room).ok().filter(|bytes| *bytes > 0)?;
        request.extend_from_slice(room.get(..bytes)?);
        let Some(end) = memchr::memmem::find(&request, b"\r\n\r\n").map(|at| at + 4) else { continue };
        let length: usize = header(&request, "content-length").unwrap_or("0").parse().ok()?;
        if request.len() < end + length {
            continue;
        }
        stream.write_all(&answer(&request, request.get(end..)?)).ok()?;
        request.clear();
    }
}

fn answer(request: &[u8], body: &[u8]) -> Vec<u8> {
    if request.starts_with(b"POST /v1/messages") {
        return said();
    }
    let mut result = match header(request, "mcp-method").unwrap_or_default() {
        "tools/call" => json!({ "content": [{ "type": "text", "text": "It is there. ".repeat(80) }] }),
        "tools/list" => json!({ "tools": tools(), "ttlMs": 3_600_000, "cacheScope": "public" }),
        _ => json!({
            "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} }, "ttlMs": 3_600_000,
            "cacheScope": "public",
        }),
    };
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(result) = result.as_object_mut() {
        result.insert("resultType".to_owned(), json!("complete"));
    }
    let answer = json!({ "jsonrpc": "2.0", "id": asked.get("id"), "result": result });
    whole("application/json", &answer.to_string())
}

fn tools() -> Value {
    let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    json!([{ "name": "look_up", "description": "Looks something up.", "inputSchema": schema }])
}

/// A short answer of a model, as events.
fn said() -> Vec<u8> {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-fixed", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 12_000, "output_tokens": 1 },
    });
    let text = json!({ "type": "text_delta", "text": "It is there." });
    let end = json!({ "stop_reason": "end_turn", "stop_sequence": null });
    let events = [
        json!({ "type": "message_start", "message": message }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": text }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": end, "usage": { "output_tokens": 5 } }),
        json!({ "type": "message_stop" }),
    ];
    let named = |event: &Value| {
        let name = event["type"].as_str().unwrap_or_default();
        format!("event: {name}\ndata: {event}\n\n")
    };
    whole("text/event-stream", &events.iter().map(named).collect::<String>())
}

fn whole(kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}
