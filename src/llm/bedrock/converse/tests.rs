//! Converse row by row: requests as the service's own model has them, answers as they come back.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::{Index, select};
use serde_json::{Value as Tree, json};

use super::fuzz::fuzz_converse_answer;
use super::{ConverseStream, ORIGIN, Target, converse_path, read_answer, translate};
use crate::corpus::replay;
use crate::ids::CallId;
use crate::llm::bedrock::eventstream::write_frame;
use crate::llm::conversation;
use crate::llm::loss::Treatment;
use crate::llm::openai_chat::{Reading, Translated};
use crate::llm::said::fuzz::{End, check};
use crate::llm::said::{DocumentWriter, Setup, StreamWriter};
use crate::llm::signature;

// === requests ===

fn body(members: &Tree) -> Tree {
    let mut body = json!({"model": "claude-opus-5", "max_tokens": 100, "messages": [
        {"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn translated(target: &Target<'_>, members: &Tree) -> Result<Translated, String> {
    let body = body(members).to_string();
    let read = conversation::read(body.as_bytes()).map_err(|refusal| refusal.to_string())?;
    translate(&read, target).map_err(|refusal| refusal.to_string())
}

/// The request that goes out, which the service takes, and the losses.
fn sent(target: &Target<'_>, members: &Tree) -> (Tree, Vec<(String, Treatment)>) {
    let translated = translated(target, members).unwrap();
    let tree: Tree = serde_json::from_slice(&translated.body).unwrap();
    service(&tree);
    let losses = translated.losses.kinds().iter().map(|loss| (loss.what.to_string(), loss.treatment));
    (tree, losses.collect())
}

fn messages(target: &Target<'_>, turns: &Tree) -> Tree {
    sent(target, &json!({"messages": turns})).0["messages"].take()
}

fn has(losses: &[(String, Treatment)], what: &str, treatment: Treatment) {
    assert!(losses.contains(&(what.to_owned(), treatment)), "{what} is not in {losses:?}");
}

/// An object with no other members than these, which is what the service's check of the schema asks.
fn only(tree: &Tree, members: &[&str]) {
    for (name, _) in tree.as_object().unwrap_or_else(|| panic!("no object: {tree}")) {
        assert!(members.contains(&name.as_str()), "`{name}` is not known: {tree}");
    }
}

/// The one member of a union.
fn union<'t>(tree: &'t Tree, members: &[&str]) -> (&'t str, &'t Tree) {
    only(tree, members);
    let object = tree.as_object().unwrap();
    assert_eq!(object.len(), 1, "a union has one member: {tree}");
    object.iter().next().map(|(name, value)| (name.as_str(), value)).unwrap()
}

fn word(tree: &Tree, extra: &str) {
    let text = tree.as_str().unwrap();
    assert!((1..=64).contains(&text.len()), "{text}");
    assert!(
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.as_bytes().contains(&byte)),
        "{text}"
    );
}

fn text(tree: &Tree) {
    assert!(!tree.as_str().unwrap().trim().is_empty(), "blank text");
}

fn content(block: &Tree, inside_of_result: bool, files: &mut BTreeSet<String>) {
    let outside = ["toolUse", "toolResult", "cachePoint", "reasoningContent"];
    let mut kinds = vec!["text", "image", "document"];
    kinds.extend(outside.iter().filter(|_| !inside_of_result));
    match union(block, &kinds) {
        ("text", value) => text(value),
        ("image", value) => {
            only(value, &["format", "source"]);
            assert!(["png", "jpeg", "gif", "webp"].contains(&value["format"].as_str().unwrap()));
            assert!(union(&value["source"], &["bytes"]).1.is_string());
        }
        ("document", value) => {
            only(value, &["format", "name", "source"]);
            assert_eq!(value["format"], "pdf");
            word(&value["name"], " -()[]");
            assert!(files.insert(value["name"].to_string()), "two files of one name");
            assert!(union(&value["source"], &["bytes"]).1.is_string());
        }
        ("toolUse", value) => {
            only(value, &["toolUseId", "name", "input"]);
            word(&value["toolUseId"], "_.:-");
            word(&value["name"], "_-");
            assert!(value["input"].is_object());
        }
        ("toolResult", value) => {
            only(value, &["toolUseId", "content", "status"]);
            word(&value["toolUseId"], "_.:-");
            assert!(value["status"].is_null() || value["status"] == "error");
            let inner = value["content"].as_array().unwrap();
            assert!(!inner.is_empty());
            inner.iter().for_each(|block| content(block, true, files));
        }
        ("reasoningContent", value) => {
            let (_, value) = union(value, &["reasoningText"]);
            only(value, &["text", "signature"]);
            text(&value["text"]);
        }
        (_, value) => point(value),
    }
}

fn point(value: &Tree) {
    only(value, &["type", "ttl"]);
    assert_eq!(value["type"], "default");
}

/// What the service asks of a request: its model, and the order of messages.
fn service(request: &Tree) {
    let all = [
        "inferenceConfig",
        "outputConfig",
        "additionalModelRequestFields",
        "requestMetadata",
        "toolConfig",
        "system",
        "messages",
    ];
    only(request, &all);
    only(&request["inferenceConfig"], &["maxTokens", "temperature", "topP", "stopSequences"]);
    let mut offered = BTreeSet::new();
    if let Some(config) = request.get("toolConfig") {
        only(config, &["tools", "toolChoice"]);
        for tool in config["tools"].as_array().unwrap() {
            let ("toolSpec", spec) = union(tool, &["toolSpec", "cachePoint"]) else { continue };
            only(spec, &["name", "description", "inputSchema", "strict"]);
            word(&spec["name"], "_-");
            assert!(union(&spec["inputSchema"], &["json"]).1.is_object());
            assert!(offered.insert(spec["name"].to_string()), "two tools of one name");
        }
        assert!(!offered.is_empty());
        if let Some(choice) = config.get("toolChoice") {
            union(choice, &["auto", "any", "tool"]);
        }
    }
    for block in request["system"].as_array().into_iter().flatten() {
        match union(block, &["text", "cachePoint"]) {
            ("text", value) => text(value),
            (_, value) => point(value),
        }
    }
    assert!(request.to_string().matches("\"cachePoint\":{").count() <= 4);
    let (mut open, mut last, mut files) = (BTreeSet::new(), "assistant", BTreeSet::new());
    for message in request["messages"].as_array().unwrap() {
        only(message, &["role", "content"]);
        let role = message["role"].as_str().unwrap();
        assert!(role != last || role == "system", "{role} speaks twice: {request}");
        assert!(["user", "assistant", "system"].contains(&role));
        let blocks = message["content"].as_array().unwrap();
        assert!(!blocks.is_empty(), "a message says nothing");
        blocks.iter().for_each(|block| content(block, false, &mut files));
        let ids = |kind: &str| -> Vec<String> {
            blocks.iter().filter_map(|block| Some(block.get(kind)?["toolUseId"].to_string())).collect()
        };
        let results: BTreeSet<String> = ids("toolResult").into_iter().collect();
        assert_eq!(results, open, "each call has its result in the next message: {request}");
        assert_eq!(ids("toolResult").len(), results.len());
        open = ids("toolUse").into_iter().collect();
        assert!(open.is_empty() || !offered.is_empty(), "calls of tools that are not offered");
        last = role;
    }
    assert!(open.is_empty(), "calls without results: {request}");
}

fn call(id: &str, name: &str) -> Tree {
    json!({"type": "tool_use", "id": id, "name": name, "input": {"path": "a \"b\"\n"}})
}

fn result(id: &str, content: &Tree) -> Tree {
    json!({"type": "tool_result", "tool_use_id": id, "content": content})
}

fn tool(name: &str) -> Tree {
    json!({"name": name, "description": "Does it.", "input_schema": {"type": "object", "properties": {}}})
}

fn image() -> Tree {
    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}})
}

fn pdf() -> Tree {
    json!({"type": "document", "title": "a/b", "source":
        {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}})
}

#[test]
fn a_conversation_has_the_services_form() {
    let (tree, losses) = sent(
        &Target::nova(),
        &json!({"stream": true, "temperature": 0.50, "top_p": 1, "top_k": 5, "stop_sequences": ["a", "b"],
            "metadata": {"user_id": "u"}, "system": [
                {"type": "text", "text": "x-anthropic-billing-header: cc"},
                {"type": "text", "text": "Be brief."}],
            "tools": [tool("Read")], "tool_choice": {"type": "auto"}, "messages": [
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": [{"type": "text", "text": "ok"}, call("toolu_1", "Read")]},
                {"role": "user", "content": [result("toolu_1", &json!("done")),
                    {"type": "text", "text": "and?"}]}]}),
    );
    let schema = json!({"type": "object", "properties": {}});
    let expected = json!({
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 1, "stopSequences": ["a", "b"]},
        "additionalModelRequestFields": {"topK": 5},
        "toolConfig": {"tools": [{"toolSpec": {"name": "Read", "description": "Does it.",
            "inputSchema": {"json": schema}}}]},
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "go"}]},
            {"role": "assistant", "content": [{"text": "ok"},
                {"toolUse": {"toolUseId": "toolu_1", "name": "Read", "input": {"path": "a \"b\"\n"}}}]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "toolu_1", "content": [{"text": "done"}]}},
                {"text": "and?"}]}]});
    assert_eq!(tree, expected);
    has(&losses, "system.attribution", Treatment::Dropped);
    has(&losses, "metadata.user_id", Treatment::Dropped);
    let target = Target { user: Some("hash"), ..Target::plain() };
    let (tree, _) = sent(&target, &json!({"metadata": {"user_id": "u"}}));
    assert_eq!(tree["requestMetadata"], json!({"user": "hash"}));
}

#[test]
fn user_and_assistant_take_turns() {
    let turns = json!([
        {"role": "user", "content": "one"}, {"role": "user", "content": [{"type": "text", "text": " "}]},
        {"role": "assistant", "content": "a"}, {"role": "assistant", "content": [call("t1", "Read")]},
        {"role": "system", "content": "mind"},
        {"role": "user", "content": [result("t1", &json!(""))]},
        {"role": "system", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}]);
    let out = messages(&Target::plain(), &turns);
    let expected = json!([
        {"role": "user", "content": [{"text": "one"}]},
        {"role": "assistant", "content": [{"text": "a"},
            {"toolUse": {"toolUseId": "t1", "name": "Read", "input": {"path": "a \"b\"\n"}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "(nothing)"}]}},
            {"text": "<system-reminder>\nmind\n</system-reminder>"},
            {"text": "<system-reminder>\nx"}, {"text": "y\n</system-reminder>"}]}]);
    assert_eq!(out, expected);
    let target = Target { system_in_place: true, ..Target::plain() };
    let roles: Vec<String> = messages(&target, &turns)
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(roles, ["user", "assistant", "user", "system"]);
    let blank = json!([{"role": "user", "content": " "}]);
    assert_eq!(messages(&Target::plain(), &blank)[0]["content"], json!([{"text": "(nothing)"}]));
}

#[test]
fn results_have_a_status_and_none_is_missing() {
    let failed = json!({"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": "no"});
    let turns = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call("t1", "Read"), call("t2", "Read"), call("t3", "Read")]},
        {"role": "user", "content": [{"type": "text", "text": "first"}, failed,
            result("t1", &json!("yes"))]}]);
    let (tree, losses) = sent(&Target::plain(), &json!({"messages": turns, "tools": [tool("Read")]}));
    let results = &tree["messages"][2]["content"];
    assert_eq!(
        results[0]["toolResult"],
        json!({"toolUseId": "t2", "status": "error", "content": [{"text": "no"}]})
    );
    assert_eq!(results[1]["toolResult"]["toolUseId"], "t1");
    assert_eq!(results[2]["toolResult"]["status"], "error");
    assert_eq!(results[3], json!({"text": "first"}));
    has(&losses, "messages.tool_result", Treatment::Emulated);
    let open =
        json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [call("t1", "Read")]}]);
    messages(&Target::plain(), &open);
    for wrong in [
        json!([{"role": "user", "content": [result("t1", &json!("x"))]}]),
        json!([{"role": "assistant", "content": [call("t1", "a"), call("t1", "a")]}]),
    ] {
        assert!(translated(&Target::plain(), &json!({"messages": wrong})).is_err(), "{wrong}");
    }
}

#[test]
fn images_and_files_stand_where_the_model_takes_them() {
    let turns = json!([
        {"role": "user", "content": [image(), pdf(), pdf()]},
        {"role": "assistant", "content": [call("t1", "Shot")]},
        {"role": "user", "content": [result("t1", &json!([{"type": "text", "text": "see"}, image()]))]}]);
    let out = messages(&Target::nova(), &turns);
    let picture = json!({"image": {"format": "png", "source": {"bytes": "iVBO"}}});
    let file = |name: &str| json!({"document": {"format": "pdf", "name": name, "source": {"bytes": "JVBE"}}});
    let files = json!([picture, file("document 1"), file("document 2"), {"text": "(document)"}]);
    assert_eq!(out[0]["content"], files);
    let beside = json!([
        {"toolResult": {"toolUseId": "t1", "content": [{"text": "see"},
            {"text": "[it follows behind the results]"}]}},
        {"text": "[output of the tool call t1]"}, picture]);
    assert_eq!(out[2]["content"], beside);
    let target = Target { files_in_results: true, ..Target::nova() };
    let inside = json!([{"toolResult": {"toolUseId": "t1", "content": [{"text": "see"}, picture]}}]);
    assert_eq!(messages(&target, &turns)[2]["content"], inside);
    let refused = |block: Tree, target: &Target<'_>| {
        translated(target, &json!({"messages": [{"role": "user", "content": [block]}]})).unwrap_err()
    };
    assert!(refused(image(), &Target::plain()).contains("does not see images"));
    assert!(refused(pdf(), &Target::plain()).contains("does not read PDF"));
    let mut odd = image();
    odd["source"]["media_type"] = json!("image/tiff");
    assert!(refused(odd, &Target::nova()).contains("PNG, JPEG, GIF and WebP"));
    let address = json!({"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}});
    assert!(refused(address, &Target::nova()).contains("base64 only"));
}

#[test]
fn tools_are_offered_as_the_service_wants_them() {
    let long = "mcp__a_server_with_a_name__and_a_tool_with_a_much_longer_name_than_that";
    let mut strict = tool(long);
    strict["strict"] = json!(true);
    strict["eager_input_streaming"] = json!(true);
    let choice = json!({"type": "tool", "name": long, "disable_parallel_tool_use": true});
    let members = json!({"tools": [tool("Read"), strict], "tool_choice": choice});
    let (tree, losses) = sent(&Target::nova(), &members);
    let config = &tree["toolConfig"];
    let name = config["tools"][1]["toolSpec"]["name"].as_str().unwrap();
    assert!(name.len() == 64 && long.as_bytes().starts_with(&name.as_bytes()[..50]));
    assert_eq!(config["toolChoice"], json!({"tool": {"name": name}}));
    has(&losses, "tools.strict", Treatment::Dropped);
    has(&losses, "tools.eager_input_streaming", Treatment::Dropped);
    has(&losses, "tool_choice.disable_parallel_tool_use", Treatment::Dropped);
    let (tree, losses) = sent(&Target::plain(), &members);
    assert_eq!(tree["toolConfig"]["tools"].as_array().unwrap().len(), 1, "what must be called is alone");
    assert_eq!(tree["toolConfig"]["toolChoice"], Tree::Null);
    has(&losses, "tool_choice", Treatment::Emulated);
    let any = json!({"tools": [tool("Read")], "tool_choice": {"type": "any"}});
    assert_eq!(sent(&Target::nova(), &any).0["toolConfig"]["toolChoice"], json!({"any": {}}));
    let none = json!({"tools": [tool("Read")], "tool_choice": {"type": "none"}});
    assert_eq!(sent(&Target::nova(), &none).0["toolConfig"], Tree::Null);
    for wrong in [json!({"type": "any"}), json!({"type": "tool", "name": "Write"})] {
        assert!(translated(&Target::nova(), &json!({"tool_choice": wrong})).unwrap_err().contains("no tool"));
    }
    let target = Target { strict_tools: true, ..Target::nova() };
    assert_eq!(sent(&target, &members).0["toolConfig"]["tools"][1]["toolSpec"]["strict"], true);
}

#[test]
fn tools_of_the_history_are_offered_still() {
    let turns = json!([
        {"role": "user", "content": "go"}, {"role": "assistant", "content": [call("t1", "Gone")]},
        {"role": "user", "content": [result("t1", &json!("x"))]}]);
    let (tree, losses) = sent(&Target::plain(), &json!({"messages": turns}));
    let spec = json!({"name": "Gone", "inputSchema": {"json": {"type": "object", "properties": {}}}});
    assert_eq!(tree["toolConfig"]["tools"], json!([{"toolSpec": spec}]));
    has(&losses, "tools", Treatment::Emulated);
    let none = json!({"messages": turns, "tools": [tool("Gone")], "tool_choice": {"type": "none"}});
    let (tree, losses) = sent(&Target::nova(), &none);
    assert_eq!(tree["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    has(&losses, "tool_choice.none", Treatment::Dropped);
    let mut hidden = tool("Hidden");
    hidden["defer_loading"] = json!(true);
    let (tree, _) = sent(&Target::plain(), &json!({"tools": [tool("Read"), hidden]}));
    assert_eq!(
        tree["toolConfig"]["tools"].as_array().unwrap().len(),
        1,
        "what nobody has found is not shown"
    );
}

#[test]
fn the_last_four_marks_become_points() {
    let marked = |mut block: Tree, mark: &Tree| {
        block["cache_control"] = mark.clone();
        block
    };
    let mark = json!({"type": "ephemeral"});
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    let text = |text: &str| json!({"type": "text", "text": text});
    let members = json!({"tools": [marked(tool("Read"), &mark)], "system": [marked(text("s"), &mark)],
        "messages": [{"role": "user", "content": [marked(text("a"), &mark), text("b")]},
            {"role": "assistant", "content": [marked(call("t1", "Read"), &mark)]},
            {"role": "user", "content": [marked(result("t1", &json!("r")), &hour), text("c")]}]});
    let point = json!({"cachePoint": {"type": "default"}});
    let (tree, losses) = sent(&Target::nova(), &members);
    assert_eq!(tree["toolConfig"]["tools"].as_array().unwrap().len(), 1, "the first of five goes");
    assert_eq!(tree["system"], json!([{"text": "s"}, point]));
    assert_eq!(tree["messages"][0]["content"], json!([{"text": "a"}, point, {"text": "b"}]));
    assert_eq!(tree["messages"][1]["content"][1], point);
    assert_eq!(tree["messages"][2]["content"][1], point);
    has(&losses, "cache_control.ttl", Treatment::Dropped);
    let (tree, _) = sent(&Target { cache_ttl: true, ..Target::nova() }, &members);
    assert_eq!(tree["messages"][2]["content"][1], json!({"cachePoint": {"type": "default", "ttl": "1h"}}));
    let few = json!({"tools": [marked(tool("Read"), &mark)]});
    assert_eq!(sent(&Target::nova(), &few).0["toolConfig"]["tools"][1], point);
    let (tree, losses) = sent(&Target::plain(), &members);
    assert!(!tree.to_string().contains("cachePoint"));
    has(&losses, "cache_control", Treatment::Dropped);
}

#[test]
fn thoughts_go_back_to_their_own_model_alone() {
    let thought = |signature: &str| json!({"type": "thinking", "thinking": "hm", "signature": signature});
    let turns = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [
        thought(&signature::tag(ORIGIN, b"sig")), thought(&signature::tag(ORIGIN, b"")),
        thought(&signature::tag("openai-chat", b"")), thought("EqQB"), {"type": "text", "text": "so"}]}]);
    let target = Target { reasoning_back: true, ..Target::plain() };
    let (tree, losses) = sent(&target, &json!({"messages": turns}));
    let own = json!([
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "so"}]);
    assert_eq!(tree["messages"][1]["content"], own);
    has(&losses, "messages.content.thinking", Treatment::Dropped);
    assert_eq!(messages(&Target::plain(), &turns)[1]["content"], json!([{"text": "so"}]));
}

#[test]
fn the_rest_is_told_brought_within_bounds_or_refused() {
    let target = Target {
        max_tokens_max: Some(50),
        stops_max: 1,
        sampling: false,
        efforts: &["low", "high"],
        json_schema: true,
        ..Target::plain()
    };
    let format = json!({"type": "json_schema", "schema": {"type": "object", "a": "\"\n"}});
    let members = json!({"temperature": 1, "top_k": 3, "stop_sequences": ["a", "b"],
        "output_config": {"effort": "medium", "format": format}});
    let (tree, losses) = sent(&target, &members);
    assert_eq!(tree["inferenceConfig"], json!({"maxTokens": 50, "stopSequences": ["a"]}));
    assert_eq!(tree["outputConfig"]["effort"], "low");
    let schema = &tree["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    let schema: Tree = serde_json::from_str(schema.as_str().unwrap()).unwrap();
    assert_eq!(schema, format["schema"]);
    for (what, treatment) in [
        ("max_tokens", Treatment::Clamped),
        ("temperature", Treatment::Dropped),
        ("top_k", Treatment::Dropped),
        ("stop_sequences", Treatment::Enforced),
        ("output_config.effort", Treatment::Clamped),
    ] {
        has(&losses, what, treatment);
    }
    let left = translated(&target, &members).unwrap();
    assert_eq!((&*left.stops_told[0], &*left.stops_left[0]), ("a", "b"));
    let refused = |members: &Tree| translated(&Target::plain(), members).unwrap_err();
    assert!(refused(&json!({"output_config": {"format": format}})).starts_with("output_config.format"));
    assert!(refused(&json!({"of_tomorrow": 1})).starts_with("of_tomorrow"));
    assert!(refused(&json!({"safeguards": [1]})).starts_with("safeguards"));
    let searching = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    assert!(refused(&searching).contains("web_search_20250305"));
    let lenient = Target { drop_unknown: true, ..Target::plain() };
    has(&sent(&lenient, &json!({"of_tomorrow": 1})).1, "of_tomorrow", Treatment::Dropped);
}

#[test]
fn each_request_begins_with_the_one_before() {
    let mut turns = vec![json!({"role": "user", "content": "go"})];
    let mut bodies: Vec<String> = Vec::new();
    for round in 0..4 {
        let members = json!({"messages": turns, "system": "s", "tools": [tool("Read")]});
        bodies.push(String::from_utf8(translated(&Target::nova(), &members).unwrap().body).unwrap());
        let id = format!("t{round}");
        turns.push(json!({"role": "assistant", "content": [call(&id, "Read")]}));
        turns.push(json!({"role": "user", "content": [result(&id, &json!("x"))]}));
    }
    for pair in bodies.windows(2) {
        let common = pair[0].strip_suffix("]}").unwrap();
        assert!(pair[1].starts_with(common));
    }
}

// === answers ===

fn event(name: &str, payload: &Tree) -> Vec<u8> {
    let mut out = Vec::new();
    let headers = [(":event-type", name), (":message-type", "event")];
    write_frame(&headers, payload.to_string().as_bytes(), &mut out);
    out
}

fn delta(index: u64, delta: &Tree) -> Vec<u8> {
    event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta, "p": "abc"}))
}

fn stop(index: u64) -> Vec<u8> {
    event("contentBlockStop", &json!({"contentBlockIndex": index}))
}

fn usage() -> Tree {
    json!({"inputTokens": 9, "outputTokens": 4, "totalTokens": 30, "cacheReadInputTokens": 7,
        "cacheWriteInputTokens": 10, "cacheDetails": [{"ttl": "1h", "inputTokens": 6},
        {"ttl": "5m", "inputTokens": 4}]})
}

fn tail(reason: &str) -> Vec<Vec<u8>> {
    vec![
        event("messageStop", &json!({"stopReason": reason})),
        event("metadata", &json!({"usage": usage(), "metrics": {"latencyMs": 9}})),
    ]
}

/// An answer with thoughts, text and two calls of tools.
fn answer() -> Vec<Vec<u8>> {
    let begin = |index: u64, id: &str, name: &str| {
        let start = json!({"toolUse": {"toolUseId": id, "name": name}});
        event("contentBlockStart", &json!({"contentBlockIndex": index, "start": start}))
    };
    let mut all = vec![
        event("messageStart", &json!({"role": "assistant"})),
        delta(0, &json!({"reasoningContent": {"text": "hm"}})),
        delta(0, &json!({"reasoningContent": {"signature": "si"}})),
        delta(0, &json!({"reasoningContent": {"signature": "g"}})),
        stop(0),
        delta(1, &json!({"text": "Let me \"see\"."})),
        stop(1),
        begin(2, "tooluse_a", "Read"),
        delta(2, &json!({"toolUse": {"input": "{\"path\":"}})),
        delta(2, &json!({"toolUse": {"input": " \"x\"}"}})),
        stop(2),
        begin(3, "tooluse_b", "List"),
        stop(3),
    ];
    all.extend(tail("tool_use"));
    all
}

fn setup() -> Setup {
    Setup { call: CallId(9), model: "claude-opus-5".into(), input_tokens: 11, ..Setup::default() }
}

fn reading() -> Reading {
    Reading { nonce: 9, stops_told: vec!["STOP".into()], ..Reading::default() }
}

/// What the caller reads of a stream that comes in pieces of `step` bytes.
fn anthropic(stream: &[u8], step: usize) -> Vec<u8> {
    let (mut reader, mut writer, mut out) =
        (ConverseStream::new(reading()), StreamWriter::new(setup()), Vec::new());
    for piece in stream.chunks(step.max(1)) {
        reader.push(piece, &mut |event| writer.take(event, &mut out));
    }
    reader.finish(&mut |event| writer.take(event, &mut out));
    assert!(reader.finished() && writer.finished());
    out
}

fn read(frames: &[Vec<u8>]) -> (End, Tree) {
    check(&anthropic(&frames.concat(), 4096))
}

fn expected_content(call: &Tree) -> Tree {
    let signature = signature::tag(ORIGIN, b"sig");
    json!([
        {"type": "thinking", "thinking": "hm", "signature": signature},
        {"type": "text", "text": "Let me \"see\"."},
        {"type": "tool_use", "id": "toolu_x00000009_tooluse_a", "name": "Read", "input": {"path": "x"}},
        {"type": "tool_use", "id": "toolu_x00000009_tooluse_b", "name": "List", "input": call}])
}

#[test]
fn an_answer_comes_back_block_by_block() {
    let (end, message) = read(&answer());
    assert_eq!((end, &message["content"]), (End::Stopped, &expected_content(&json!({}))));
    assert_eq!(message["stop_reason"], "tool_use");
    let told = &message["usage"];
    assert_eq!((&told["input_tokens"], &told["output_tokens"]), (&json!(9), &json!(4)));
    assert_eq!(told["cache_read_input_tokens"], 7);
    let split = json!({"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6});
    assert_eq!(told["cache_creation"], split);
}

#[test]
fn a_document_says_the_same() {
    let content = json!([
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"text": "Let me \"see\"."},
        {"toolUse": {"toolUseId": "tooluse_a", "name": "Read", "input": {"path": "x"}}},
        {"toolUse": {"toolUseId": "tooluse_b", "name": "List", "input": {}}}]);
    let body = json!({"output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "tool_use", "usage": usage(), "metrics": {"latencyMs": 1}});
    let document = |body: &str| {
        let mut writer = DocumentWriter::new(setup());
        read_answer(body.as_bytes(), reading(), &mut |event| writer.take(event));
        writer.finish().map(|bytes| serde_json::from_slice::<Tree>(&bytes).unwrap())
    };
    let tree = document(&body.to_string()).unwrap();
    assert_eq!(tree["content"], expected_content(&json!({})));
    assert_eq!((&tree["stop_reason"], &tree["usage"]["output_tokens"]), (&json!("tool_use"), &json!(4)));
    let block = json!({"citationsContent": {"content": [{"text": "so"}]}});
    let cited = json!({"output": {"message": {"content": [block]}}, "stopReason": "end_turn"});
    assert_eq!(document(&cited.to_string()).unwrap()["content"][0]["text"], "so");
    for wrong in ["{}", "<html>", r#"{"output":{"message":{"content":[]}}}"#, r#"{"message":"x"}"#] {
        assert!(document(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn reasons_to_stop_come_back() {
    for (reason, expected) in [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("guardrail_intervened", "refusal"),
        ("content_filtered", "refusal"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
        ("of_tomorrow", "end_turn"),
    ] {
        let (end, message) = read(&[vec![delta(0, &json!({"text": "a"}))], tail(reason)].concat());
        assert_eq!((end, message["stop_reason"].as_str()), (End::Stopped, Some(expected)), "{reason}");
    }
    let (_, message) = read(&[vec![delta(0, &json!({"text": "a"}))], tail("stop_sequence")].concat());
    assert_eq!(
        (&message["stop_reason"], &message["stop_sequence"]),
        (&json!("stop_sequence"), &json!("STOP"))
    );
    for broken in ["malformed_model_output", "malformed_tool_use"] {
        let (end, _) = read(&[vec![delta(0, &json!({"text": "a"}))], tail(broken)].concat());
        assert_eq!(end, End::Failed, "{broken}");
    }
}

#[test]
fn usage_is_waited_for_and_not_made_up() {
    let stopped = [vec![delta(0, &json!({"text": "a"}))], tail("end_turn")[..1].to_vec()].concat();
    let mut reader = ConverseStream::new(reading());
    let mut ended = false;
    reader.push(&stopped.concat(), &mut |event| ended |= format!("{event:?}") == "Ended");
    assert!(!ended && !reader.finished(), "the counts come behind the reason to stop");
    assert_eq!(read(&stopped).0, End::Stopped, "an answer without counts is an answer");
    let early = [tail("end_turn")[1..].to_vec(), stopped].concat();
    assert_eq!(read(&early).1["usage"]["output_tokens"], 4);
}

#[test]
fn a_cut_before_the_end_is_an_error() {
    let frames = answer();
    let whole = frames.concat();
    let told = frames[..frames.len() - 1].concat().len();
    for cut in 0..whole.len() {
        let expected = if cut == told { End::Stopped } else { End::Failed };
        assert_eq!(check(&anthropic(&whole[..cut], 4096)).0, expected, "cut at {cut}");
        let (mut reader, mut last) = (ConverseStream::new(reading()), String::new());
        reader.push(&whole[..cut], &mut |_| ());
        reader.finish(&mut |event| last = format!("{event:?}"));
        assert_eq!(last == "Ended", cut == told, "the reader itself makes up no end: {last} at {cut}");
    }
}

#[test]
fn what_goes_wrong_inside_is_an_error_of_its_type() {
    let kind = |frames: &[Vec<u8>]| {
        let out = String::from_utf8(anthropic(&frames.concat(), 4096)).unwrap();
        let error = out.rsplit("event: error\ndata: ").next().unwrap().to_owned();
        serde_json::from_str::<Tree>(error.trim()).unwrap()["error"]["type"].as_str().unwrap().to_owned()
    };
    let exception = |name: &str| {
        let mut out = Vec::new();
        write_frame(
            &[(":exception-type", name), (":message-type", "exception")],
            b"{\"message\":\"m\"}",
            &mut out,
        );
        out
    };
    let begun = || delta(0, &json!({"text": "a"}));
    assert_eq!(kind(&[begun(), exception("throttlingException")]), "rate_limit_error");
    assert_eq!(kind(&[exception("serviceUnavailableException"), begun()]), "overloaded_error");
    let lost = delta(5, &json!({"toolUse": {"input": "{}"}}));
    assert_eq!(kind(&[begun(), lost]), "api_error", "an input without its call");
    let twice = event(
        "contentBlockStart",
        &json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "a", "name": "b"}}}),
    );
    assert_eq!(kind(&[twice.clone(), twice]), "api_error");
    assert_eq!(kind(&[event("messageStop", &json!({}))]), "api_error");
    let mut changed = begun();
    changed[20] ^= 1;
    assert_eq!(kind(&[changed]), "api_error");
}

#[test]
fn paths_say_model_and_form() {
    assert_eq!(
        converse_path("us.amazon.nova-pro-v1:0", true),
        "/model/us.amazon.nova-pro-v1%3A0/converse-stream"
    );
    assert_eq!(converse_path("amazon.nova-pro-v1:0", false), "/model/amazon.nova-pro-v1%3A0/converse");
}

// === what holds for all ===

/// A turn drawn from a number; results are of the last calls.
fn turn(draw: u8, index: usize, open: &mut Vec<String>) -> Tree {
    let text = |text: &str| json!({"type": "text", "text": text});
    match draw {
        0 => json!({"role": "user", "content": "hi"}),
        1 => json!({"role": "system", "content": [text("mind"), text("")]}),
        2 => json!({"role": "user", "content": [image(), pdf()]}),
        3 | 4 => {
            let ids: Vec<String> = (0..draw - 2).map(|call| format!("t{index}_{call}")).collect();
            let calls: Vec<Tree> = ids.iter().map(|id| call(id, "Read")).collect();
            *open = ids;
            json!({"role": "assistant", "content": ([vec![text("so")], calls].concat())})
        }
        5 => json!({"role": "assistant", "content": ""}),
        _ => {
            let results: Vec<Tree> = open.drain(..).map(|id| result(&id, &json!([image()]))).collect();
            json!({"role": "user", "content": ([results, vec![text(" ")]].concat())})
        }
    }
}

proptest! {
    #[test]
    fn whatever_was_said_the_service_takes(
        draws in vec(0_u8..8, 1..12),
        flags in any::<u8>(),
        names in vec(select(vec!["Read", "a.b"]), 0..2),
    ) {
        let mut open = Vec::new();
        let turns: Vec<Tree> =
            draws.iter().enumerate().map(|(index, draw)| turn(*draw, index, &mut open)).collect();
        let names: BTreeSet<_> = names.iter().collect();
        let tools: Vec<Tree> = names.into_iter().map(|name| tool(name)).collect();
        let target = Target {
            system_in_place: flags & 1 == 1,
            files_in_results: flags & 2 == 2,
            cache_points: flags & 4 == 4,
            ..Target::nova()
        };
        // Results that come late are refused; a conversation may begin with the model.
        let members = json!({"messages": turns, "tools": tools});
        if let Ok(translated) = translated(&target, &members) {
            let tree: Tree = serde_json::from_slice(&translated.body).unwrap();
            if tree["messages"][0]["role"] != "assistant" {
                service(&tree);
            }
        }
    }

    #[test]
    fn any_split_says_the_same(step in 1_usize..64, cut in any::<Index>(), skip in 0_usize..15) {
        let mut frames = answer();
        frames.remove(skip.min(frames.len() - 1));
        let mut stream = frames.concat();
        stream.truncate(cut.index(stream.len() + 1));
        let whole = anthropic(&stream, stream.len());
        assert_eq!(anthropic(&stream, step).escape_ascii().to_string(), whole.escape_ascii().to_string());
        assert_ne!(check(&whole).0, End::Open);
    }
}

proptest! {
    #[test]
    fn any_split_of_an_answer_says_the_same(
        order in vec(0_usize..16, 0..20),
        seed in any::<u8>(),
        cut in any::<Index>(),
    ) {
        let all = answer();
        let frames = order.iter().filter_map(|index| all.get(*index));
        let mut stream: Vec<u8> = frames.flatten().copied().collect();
        stream.truncate(cut.index(stream.len() + 1));
        fuzz_converse_answer(&[&[seed], &stream[..]].concat());
    }

    #[test]
    fn any_bytes_of_an_answer_are_read(bytes in vec(any::<u8>(), 0..300)) {
        fuzz_converse_answer(&bytes);
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("converse_answer", 4, fuzz_converse_answer);
}
