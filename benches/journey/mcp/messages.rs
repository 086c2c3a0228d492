//! The bytes of the MCP side: what Claude Code 2.1.330 asks, and what a modern server answers.

use crate::call;
use crate::load::Question;
use crate::wire::KEY;

/// Tools of the server that has few, and of the one that has many.
pub(crate) const FEW: usize = 10;
pub(crate) const MANY: usize = 2000;

/// The tool that is called; every server has it.
const TOOL: &str = "tool_1";

/// A second key: streams of one key are bounded.
pub(crate) const OTHER_KEY: &str = "tg-bench-fedcba9876543210fedcba9876543210";

/// Asks the server of the bench itself, not for MCP: to change its list and tell whoever listens.
pub(crate) const CHANGE: &str = "bench/change";

/// What every message of ours to a server says of itself in `_meta`.
const META: &str = "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
    \"io.modelcontextprotocol/clientInfo\":{\"name\":\"claude-code\",\"title\":\"Claude Code\",\
    \"version\":\"2.1.330\"},\"io.modelcontextprotocol/clientCapabilities\":{\"roots\":{},\
    \"elicitation\":{\"form\":{},\"url\":{}}}}";

/// Characters of text in the result of a call: with what is around them 1.2 KB, as the median of real ones.
const TEXT_CHARS: usize = 1100;

/// A call of one tool of the server that has `tools`.
pub(crate) fn call(tools: usize) -> Question {
    let body = call::tools_call(TOOL, 0);
    let request = request(tools, KEY, ("tools/call", Some(TOOL)), &body);
    let tool_use = call::TOOL_USE.as_bytes();
    let number_at = memchr::memmem::find(&request, tool_use).map(|at| at + tool_use.len());
    let answer_bytes = Some(response(b"3", call_result().as_bytes()).len());
    Question { request, number_at, answer_bytes, first_byte: false }
}

/// The first page of the tools of the server that has `tools`, timed to the first byte. How long the answer
/// is, is for the gateway to say: it writes lists of its own.
pub(crate) fn list(tools: usize) -> Question {
    let body = format!("{{\"method\":\"tools/list\",\"params\":{{{META}}},\"jsonrpc\":\"2.0\",\"id\":3}}");
    let request = request(tools, KEY, ("tools/list", None), body.as_bytes());
    Question { request, number_at: None, answer_bytes: None, first_byte: true }
}

/// A stream of changes of the server that has few tools.
pub(crate) fn listen(key: &str) -> Vec<u8> {
    let body = format!(
        "{{\"method\":\"subscriptions/listen\",\"params\":{{\"notifications\":{{\"toolsListChanged\":true}},\
         {META}}},\"jsonrpc\":\"2.0\",\"id\":\"listen:0\"}}"
    );
    request(FEW, key, ("subscriptions/listen", None), body.as_bytes())
}

/// Has the server change its list.
pub(crate) fn change() -> Vec<u8> {
    request(FEW, KEY, (CHANGE, None), b"{}")
}

/// The name by which the gateway knows the server that has `tools`.
pub(crate) fn server_name(tools: usize) -> String {
    format!("of_{tools}")
}

/// Puts the head of Claude Code before a message.
fn request(tools: usize, key: &str, (method, name): (&str, Option<&str>), body: &[u8]) -> Vec<u8> {
    let (server, length) = (server_name(tools), body.len());
    let name = name.map(|name| format!("mcp-name: {name}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /mcp/{server} HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         accept-encoding: gzip, deflate, br, zstd\r\naccept-language: *\r\nsec-fetch-mode: cors\r\n\
         user-agent: claude-code/2.1.330 (cli)\r\nauthorization: Bearer {key}\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A result around its id.
pub(crate) fn response(id: &[u8], result: &[u8]) -> Vec<u8> {
    [b"{\"jsonrpc\":\"2.0\",\"id\":", id, b",\"result\":", result, b"}"].concat()
}

/// What a call results in.
pub(crate) fn call_result() -> String {
    let text: String =
        "src/main.rs:12: fn main() { run().unwrap() }\\n".chars().cycle().take(TEXT_CHARS).collect();
    format!(
        "{{\"resultType\":\"complete\",\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}],\
         \"isError\":false}}"
    )
}

/// What `server/discover` results in.
pub(crate) const DISCOVERED: &str = "{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\"],\
    \"capabilities\":{\"tools\":{\"listChanged\":true}},\"serverInfo\":{\"name\":\"scripted\",\
    \"version\":\"1\"},\"ttlMs\":3600000,\"cacheScope\":\"public\"}";

/// One event of a stream, as a chunk.
pub(crate) fn event(data: &str) -> Vec<u8> {
    let event = format!("event: message\ndata: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

/// A notification on a stream that was opened by request `id`.
pub(crate) fn notification(method: &str, id: &str, members: &str) -> Vec<u8> {
    event(&format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\
         \"_meta\":{{\"io.modelcontextprotocol/subscriptionId\":{id}}}{members}}}}}"
    ))
}
