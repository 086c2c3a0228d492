//! Sessions and parked calls of MCP: what ends with them, and what waits.

use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Reply, mcp, once};
use crate::gateway::{Engine, Gateway, for_each_engine};
use crate::mcp_suite::ReferenceServer;
use crate::peers;
use crate::program::eventually;

/// No model is asked here, so the provider need not be there.
const NO_UPSTREAM: &str = "http://127.0.0.1:9";

#[test]
fn a_legacy_session_that_a_restart_ended_is_told_so_and_begun_anew() {
    let reference = ReferenceServer::start("modern");
    for_each_engine(|engine| {
        let servers = format!("mcp_servers:\n  reference: {{ url: \"{}\" }}\n", reference.url());
        let gateway = Gateway::with(engine, NO_UPSTREAM, &servers);
        let session = initialise(&gateway);
        assert_eq!(list_in(&gateway, &session).head.status, 200);
        drop(gateway);
        let gateway = Gateway::with(engine, NO_UPSTREAM, &servers);
        let lost = list_in(&gateway, &session);
        assert_eq!(lost.head.status, 404, "{:?}", String::from_utf8_lossy(&lost.body));
        let session = initialise(&gateway);
        let list = list_in(&gateway, &session);
        let names = list.json()["result"]["tools"].to_string();
        assert!(names.contains("test_simple_text"), "{names}");
    });
}

/// Opens a session of the revision before the stateless one; its id.
#[track_caller]
fn initialise(gateway: &Gateway) -> String {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
                         "clientInfo": { "name": "journey", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let reply = once(gateway.addr(), &mcp(&body, &[]));
    assert_eq!(reply.head.status, 200, "{:?}", String::from_utf8_lossy(&reply.body));
    let session = reply.header("mcp-session-id").expect("a session has an id").to_owned();
    let body = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let reply = once(gateway.addr(), &mcp(&body, &in_session(&session)));
    assert_eq!(reply.head.status, 202);
    session
}

fn list_in(gateway: &Gateway, session: &str) -> Reply {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    once(gateway.addr(), &mcp(&body, &in_session(session)))
}

fn in_session(session: &str) -> [(&'static str, &str); 2] {
    [("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-11-25")]
}

/// A call of a modern caller that can tell its folders.
fn modern_call(gateway: &Gateway, name: &str, more: &Value) -> Value {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                       "io.modelcontextprotocol/clientInfo": { "name": "journey", "version": "1" },
                       "io.modelcontextprotocol/clientCapabilities": { "roots": {} } });
    let mut params = json!({ "name": name, "arguments": { "after": 0 }, "_meta": meta });
    for (key, value) in more.as_object().expect("members are given") {
        params[key] = value.clone();
    }
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", name)];
    let reply = once(gateway.addr(), &mcp(&body, &headers));
    reply.json()["result"].clone()
}

/// A gateway in front of the server that asks for folders.
fn impatient(sharing: &str) -> Gateway {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/mcp_impatient.mjs");
    let (command, args) = (json!(peers::node()), json!([script]));
    let how = format!("command: {command}, args: {args}, era: legacy, sharing: {sharing}");
    Gateway::with(Engine::Epoll, NO_UPSTREAM, &format!("mcp_servers:\n  impatient: {{ {how} }}\n"))
}

#[test]
fn a_program_that_all_share_learns_nobodys_folders() {
    let gateway = impatient("shared");
    let told = modern_call(&gateway, "hurry", &json!({ "arguments": { "after": 300 } }));
    assert_eq!(told["content"][0]["text"], "heard error -32601", "{told}");
}

#[test]
fn an_answer_that_comes_while_the_caller_is_asked_waits_for_it() {
    let gateway = impatient("per_caller");
    let late = json!({ "arguments": { "after": 300 } });
    let asked = modern_call(&gateway, "hurry", &late);
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let (key, _) = asked["inputRequests"].as_object().and_then(|all| all.iter().next()).expect("it asks");
    let folders = json!({ "roots": [{ "uri": "file:///srv/docs", "name": "docs" }] });
    let retry = json!({ "arguments": { "after": 300 }, "requestState": asked["requestState"],
                        "inputResponses": { key: folders } });
    thread::sleep(Duration::from_millis(600));
    let told = modern_call(&gateway, "hurry", &retry);
    assert_eq!(told["content"][0]["text"], "heard nothing", "{told}");
    wait_to_be_heard(&gateway, "heard file:///srv/docs");

    // Who answers at once is never told; the server hears that nobody is there to be asked.
    let told = modern_call(&gateway, "hurry", &json!({}));
    assert_eq!(told["content"][0]["text"], "heard file:///srv/docs", "{told}");
    wait_to_be_heard(&gateway, "heard error -32600");
}

#[test]
fn no_question_of_a_call_that_has_ended_stays_without_an_answer() {
    let gateway = impatient("per_caller");
    for _ in 0..200 {
        let told = modern_call(&gateway, "at_once", &json!({}));
        assert!(told["content"].is_array(), "{told}");
    }
    eventually("the server has heard of all", Duration::from_secs(20), || {
        modern_call(&gateway, "unheard", &json!({}))["content"][0]["text"] == "0 unheard"
    });
}

/// Asks the server what it has heard until it says `what`: a call may overtake the answer to its question.
fn wait_to_be_heard(gateway: &Gateway, what: &str) {
    eventually(what, Duration::from_secs(20), || {
        modern_call(gateway, "heard", &json!({}))["content"][0]["text"] == what
    });
}
