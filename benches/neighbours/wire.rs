//! What is said to the gateway, and how its answers are read.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::gateway::NEIGHBOUR;

#[path = "../samples/request.rs"]
mod request;

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Tool,
    Session,
    Model,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Tool, Self::Session, Self::Model];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tool => "a tool",
            Self::Session => "a tool, by the hub",
            Self::Model => "a model",
        }
    }
}

/// A caller's connection, and what it says again and again.
pub(crate) struct Line {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Line {
    pub(crate) fn open(gateway: SocketAddr, way: Way) -> Result<Self> {
        let stream = connect(gateway, Duration::from_secs(20))?;
        let mut line = Self { stream, request: Vec::new(), answer: Vec::new() };
        line.request = match way {
            Way::Tool => modern(NEIGHBOUR, "look_up", &json!({})),
            Way::Session => {
                let info = json!({ "name": "bench", "version": "1" });
                let params =
                    json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
                line.request = legacy("", "initialize", Some(1), &params);
                line.call()?;
                let session = header(&line.answer, "mcp-session-id").context("there is no session")?;
                let session = format!("mcp-session-id: {session}\r\n");
                line.request = legacy(&session, "notifications/initialized", None, &json!({}));
                line.call()?;
                legacy(&session, "tools/call", Some(2), &json!({ "name": "look_up", "arguments": {} }))
            }
            Way::Model => post("/v1/messages", NEIGHBOUR, "", &request::request("claude-fixed")),
        };
        Ok(line)
    }

    /// Asks, and reads the answer to its end.
    pub(crate) fn call(&mut self) -> Result<()> {
        self.stream.write_all(&self.request)?;
        read(&mut self.stream, &mut self.answer, None)?;
        let text = String::from_utf8_lossy(&self.answer);
        ensure!(text.starts_with("HTTP/1.1 20") && !text.contains("\"error\""), "refused: {text}");
        Ok(())
    }
}

/// Has a script run, and waits until `over` for what comes of it: the answer, or what there is of it.
pub(crate) fn run(gateway: SocketAddr, key: &str, source: &str, over: &AtomicBool) -> Result<String> {
    let mut stream = connect(gateway, Duration::from_millis(20))?;
    stream.write_all(&modern(key, "run_code", &json!({ "code": source })))?;
    let mut answer = Vec::new();
    let whole = read(&mut stream, &mut answer, Some(over))?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    // To be refused is what one may expect who asks for too much.
    ensure!(!whole || text.contains("\"result\"") || text.contains("script"), "no script ran: {text}");
    Ok(text)
}

fn connect(gateway: SocketAddr, patience: Duration) -> Result<TcpStream> {
    let stream = TcpStream::connect(gateway)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    Ok(stream)
}

/// Reads a whole answer; not, when it is over before.
fn read(stream: &mut TcpStream, answer: &mut Vec<u8>, over: Option<&AtomicBool>) -> Result<bool> {
    answer.clear();
    let mut room = vec![0; 64 * 1024];
    while !is_whole(answer)? {
        match stream.read(&mut room) {
            Ok(0) => bail!("the connection was closed"),
            Ok(bytes) => answer.extend_from_slice(room.get(..bytes).unwrap_or_default()),
            Err(why) => match (why.kind(), over) {
                (ErrorKind::WouldBlock, Some(over)) if over.load(Ordering::Relaxed) => return Ok(false),
                (ErrorKind::WouldBlock, Some(_)) | (ErrorKind::Interrupted, _) => {}
                _ => return Err(why.into()),
            },
        }
    }
    Ok(true)
}

fn is_whole(answer: &[u8]) -> Result<bool> {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else { return Ok(false) };
    match header(answer, "content-length") {
        Some(length) => Ok(answer.len() >= end + 4 + length.parse::<usize>()?),
        None => Ok(header(answer, "transfer-encoding").is_none() || answer.ends_with(b"\r\n0\r\n\r\n")),
    }
}

/// The value of a header of a message; its name is in lower case.
pub(crate) fn header<'h>(message: &'h [u8], name: &str) -> Option<&'h str> {
    let head = message.get(..memchr::memmem::find(message, b"\r\n\r\n")?)?;
    let mut lines = str::from_utf8(head).ok()?.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A call of a tool of revision 2026-07-28.
fn modern(key: &str, tool: &str, arguments: &Value) -> Vec<u8> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params });
    let lines = format!(
        "accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n\
         mcp-method: tools/call\r\nmcp-name: {tool}\r\n"
    );
    post("/mcp", key, &lines, body.to_string().as_bytes())
}

/// A message of a session of revision 2025-11-25.
fn legacy(session: &str, method: &str, id: Option<u32>, params: &Value) -> Vec<u8> {
    let mut body = json!({ "jsonrpc": "2.0", "method": method, "params": params });
    if let (Some(id), Some(body)) = (id, body.as_object_mut()) {
        body.insert("id".to_owned(), json!(id));
    }
    let lines = format!("accept: application/json, text/event-stream\r\n{session}");
    post("/mcp", NEIGHBOUR, &lines, body.to_string().as_bytes())
}

fn post(path: &str, key: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\nanthropic-version: 2023-06-01\r\n{lines}\
         content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
