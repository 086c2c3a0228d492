//! The fuzz body of messages: `serde_json` as an oracle, and the quick ways against the slow ones.

#![expect(clippy::expect_used, clippy::panic, reason = "a fuzz body says what it found by panicking")]

use std::ops::Range;

use serde_json::Value as Tree;

use crate::json;
use crate::limits;
use crate::mcp::fault::Fault;
use crate::mcp::message::{
    Kind, Message, Params, batch, params, read, read_error, read_with_params, response_id,
};

/// Reads any bytes. What is taken and good JSON has to mean the same to `serde_json`; what is good JSON and
/// refused has to break one of our rules.
pub fn fuzz_message(data: &[u8]) {
    let _ = response_id(data);
    if let Some(Ok(messages)) = batch(data) {
        assert!(
            messages.len() <= limits::MCP_BATCH_MAX && messages.iter().all(|span| span.end <= data.len())
        );
    }
    let level_by_level = read(data).map(|message| (params(data, &message), message));
    let level_by_level = level_by_level.map(|(params, message)| (message, params));
    assert_eq!(read_with_params(data), level_by_level, "the walk over all levels finds something else");
    let tree = serde_json::from_slice::<Tree>(data).ok();
    let strict = json::strict(&mut data.to_vec()).is_ok();
    match (read(data), tree) {
        (Ok(message), Some(Tree::Object(tree))) => {
            assert!(strict, "two strict readers differ");
            assert_eq!(response_id(data), message.id, "the quick way finds another id");
            agree(data, &message, &tree);
        }
        (Ok(_), Some(other)) => panic!("a message that is no object: {other}"),
        (Ok(message), None) => {
            assert!(!strict || has_wild_number(data), "two strict readers differ");
            inside(data, &message);
        }
        (Err(Fault::NotJson(fault)), Some(_)) => panic!("good JSON is refused: {fault}"),
        (Err(_), _) => {}
    }
}

fn agree(data: &[u8], message: &Message, tree: &serde_json::Map<String, Tree>) {
    inside(data, message);
    let value = |span: &Option<Range<usize>>| span.as_ref().map(|span| parse(data, span));
    let member = |name: &str| tree.get(name).filter(|value| !value.is_null()).cloned();
    assert_eq!(value(&message.id), member("id"));
    assert_eq!(value(&message.method_span), member("method"));
    assert_eq!(value(&message.params), member("params"));
    assert_eq!(value(&message.result), tree.get("result").cloned());
    assert_eq!(value(&message.error), tree.get("error").cloned());
    assert_eq!(tree.get("jsonrpc").and_then(Tree::as_str), Some("2.0"));
    let kind = match (tree.contains_key("method"), tree.contains_key("result")) {
        (true, _) if tree.contains_key("id") => Kind::Request,
        (true, _) => Kind::Notification,
        (false, true) => Kind::Result,
        (false, false) => Kind::Error,
    };
    assert_eq!(message.kind, kind);
    if kind == Kind::Request || kind == Kind::Notification {
        let name = member("method").expect("it was compared");
        let name = name.as_str().expect("it was read as a string");
        assert!(message.method.name() == name || message.method.name().is_empty());
    }
    match params(data, message) {
        Ok(found) => agree_params(data, &found, tree.get("params")),
        Err(Fault::NotJson(fault)) => panic!("good JSON is refused: {fault}"),
        Err(_) => {}
    }
    if let Some(Ok(error)) = message.error.clone().map(|span| read_error(data, span)) {
        let code = tree.get("error").and_then(|error| error.get("code")).and_then(Tree::as_i64);
        assert_eq!(error.code, code.unwrap_or(0));
    }
}

fn agree_params(data: &[u8], found: &Params, tree: Option<&Tree>) {
    let same = |span: &Option<Range<usize>>, tree: Option<&Tree>, name: &str| {
        let expected = tree.and_then(|tree| tree.get(name)).filter(|value| !value.is_null());
        assert_eq!(span.as_ref().map(|span| parse(data, span)).as_ref(), expected, "{name}");
    };
    same(&found.name, tree, "name");
    same(&found.arguments, tree, "arguments");
    same(&found.uri, tree, "uri");
    same(&found.task_id, tree, "taskId");
    same(&found.cursor, tree, "cursor");
    same(&found.request_state, tree, "requestState");
    same(&found.reference, tree, "ref");
    same(&found.progress_token, tree, "progressToken");
    same(&found.client_info, tree, "clientInfo");
    let Some(meta) = &found.meta else { return };
    let tree = tree.and_then(|tree| tree.get("_meta"));
    same(&meta.progress_token, tree, "progressToken");
    same(&meta.protocol_version, tree, "io.modelcontextprotocol/protocolVersion");
    same(&meta.client_capabilities, tree, "io.modelcontextprotocol/clientCapabilities");
    same(&meta.tool_use_id, tree, "claudecode/toolUseId");
    same(&meta.traceparent, tree, "traceparent");
}

fn parse(data: &[u8], span: &Range<usize>) -> Tree {
    serde_json::from_slice(data.get(span.clone()).expect("a span of the document"))
        .expect("a span that is JSON")
}

/// Spans lie in the document, whatever is wrong inside of them.
fn inside(data: &[u8], message: &Message) {
    let spans = [&message.id, &message.method_span, &message.params, &message.result, &message.error];
    for span in spans.into_iter().flatten() {
        assert!(span.start < span.end && span.end < data.len());
    }
}

/// `serde_json` refuses numbers that no double can hold, and bounds depth one level earlier.
fn has_wild_number(data: &[u8]) -> bool {
    data.iter().any(|byte| matches!(byte, b'e' | b'E' | b'[' | b'{'))
}
