//! The dialect row by row: requests as they go out, answers as they come back, and what holds for all.

use proptest::prelude::*;
use serde_json::{Value as Tree, json};

use super::fuzz::{anthropic, fuzz_lenient_request, fuzz_lenient_stream, plain_server};
use super::{Target, read_error, translate};
use crate::corpus::replay;
use crate::llm::conversation;
use crate::llm::foreign::CacheMarks;
use crate::llm::loss::Treatment;
use crate::llm::said::Kind;
use crate::llm::said::fuzz::{End, check};

// === requests ===

/// What goes out for a request with these members beside those that each has, and the losses.
fn translated(target: &Target<'_>, members: &Tree) -> Result<(Tree, Vec<(String, Treatment)>), String> {
    let mut body = json!({"model": "claude-opus-5", "max_tokens": 100, "messages": [
        {"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    let body = body.to_string();
    let read = conversation::read(body.as_bytes()).map_err(|refusal| refusal.to_string())?;
    let made = translate(&read, target).map_err(|refusal| refusal.to_string())?;
    let tree: Tree = serde_json::from_slice(&made.body).unwrap();
    plain_server(&tree);
    let losses = made.losses.kinds().iter().map(|loss| (loss.what.to_string(), loss.treatment));
    Ok((tree, losses.collect()))
}

fn sent(members: &Tree) -> (Tree, Vec<(String, Treatment)>) {
    translated(&Target::new("m"), members).unwrap()
}

fn has(losses: &[(String, Treatment)], what: &str, treatment: Treatment) {
    assert!(losses.contains(&(what.to_owned(), treatment)), "{what} is not in {losses:?}");
}

fn call(id: &str, name: &str) -> Tree {
    json!({"type": "tool_use", "id": id, "name": name, "input": {"path": "a \"b\"\n"}})
}

fn tool(name: &str) -> Tree {
    json!({"name": name, "description": "Does it.", "input_schema": {"type": "object", "properties": {}}})
}

#[test]
fn plain_fields_go_as_they_are() {
    let (tree, losses) = sent(&json!({"stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 3,
        "stop_sequences": ["a", "b", "c", "d", "e"],
        "thinking": {"type": "enabled", "budget_tokens": 2000}}));
    assert_eq!(
        tree,
        json!({"model": "m", "max_tokens": 100, "stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 3,
            "stop_sequences": ["a", "b", "c", "d", "e"],
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]})
    );
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn what_is_anthropics_alone_stays_here() {
    let (tree, losses) = sent(&json!({
        "system": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=1"},
                   {"type": "text", "text": "Be brief.",
                    "cache_control": {"type": "ephemeral", "scope": "global"}}],
        "metadata": {"user_id": "device_1"}, "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"}, "context_management": {"edits": []}}));
    assert_eq!(tree["system"], json!([{"type": "text", "text": "Be brief."}]));
    for gone in ["metadata", "thinking", "output_config", "context_management"] {
        assert!(tree[gone].is_null(), "{tree}");
    }
    for what in ["system.attribution", "metadata.user_id", "thinking", "output_config.effort"] {
        has(&losses, what, Treatment::Dropped);
    }
    let marks = Target { cache_marks: CacheMarks::Breakpoints, ..Target::new("m") };
    let marked = json!({"system": [{"type": "text", "text": "Be brief.",
        "cache_control": {"type": "ephemeral", "scope": "global", "ttl": "1h"}}]});
    let (tree, _) = translated(&marks, &marked).unwrap();
    assert_eq!(tree["system"][0]["cache_control"], json!({"type": "ephemeral"}));
}

#[test]
fn between_two_turns_of_the_model_is_one_of_the_user() {
    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}});
    let (tree, losses) = sent(&json!({"tools": [tool("Read"), tool("Bash")], "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "EqQB"},
            {"type": "text", "text": "I read."}, call("toolu_1", "Read"), call("toolu_2", "Bash")]},
        {"role": "system", "content": "Be quick."},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no", "is_error": true},
            {"type": "tool_result", "tool_use_id": "toolu_1",
             "content": [{"type": "text", "text": "yes"}, image]},
            {"type": "text", "text": "And now?"}]}]}));
    assert_eq!(
        tree["messages"][1]["content"],
        json!([{"type": "text", "text": "I read."}, call("toolu_1", "Read"), call("toolu_2", "Bash")])
    );
    assert_eq!(
        tree["messages"][2]["content"],
        json!([
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": "[tool error] no", "is_error": true},
            {"type": "tool_result", "tool_use_id": "toolu_1",
             "content": "yes\n[image: it follows behind the results]"},
            {"type": "text", "text": "[output of the tool call toolu_1]"}, image,
            {"type": "text", "text": "<system-reminder>\nBe quick.\n</system-reminder>"},
            {"type": "text", "text": "And now?"}])
    );
    has(&losses, "messages.content.thinking", Treatment::Dropped);
    has(&losses, "messages.role.system", Treatment::Emulated);
    has(&losses, "messages.content.is_error", Treatment::Emulated);
}

#[test]
fn calls_without_results_and_turns_without_words_have_both() {
    let (tree, _) = sent(&json!({"tools": [tool("Read")], "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "EqQB"}]},
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": [call("toolu_1", "Read")]}]}));
    assert_eq!(tree["messages"][1]["content"], json!([{"type": "text", "text": "[nothing said]"}]));
    assert_eq!(tree["messages"][4]["content"][0]["content"], "[tool error] [no result]");
}

#[test]
fn tools_wait_until_they_are_found() {
    let mut hidden = tool("mcp__x__find");
    hidden["defer_loading"] = true.into();
    let tools = json!([tool("Read"), hidden]);
    let (tree, losses) = sent(&json!({"tools": tools}));
    assert_eq!(tree["tools"], json!([tool("Read")]));
    has(&losses, "tools.defer_loading", Treatment::Emulated);
    let (tree, _) = sent(&json!({"tools": tools, "messages": [
        {"role": "user", "content": "go"}, {"role": "assistant", "content": [call("toolu_1", "Read")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1",
            "content": [{"type": "tool_reference", "tool_name": "mcp__x__find"}]}]}]}));
    assert_eq!(tree["tools"], json!([tool("Read"), tool("mcp__x__find")]));
    assert_eq!(tree["messages"][2]["content"][0]["content"], "[tool available: mcp__x__find]");
}

#[test]
fn choices_that_servers_leave_out_are_made_here() {
    let tools = json!([tool("Read"), tool("Bash")]);
    let chosen = |target: &Target<'_>, choice: Tree| {
        translated(target, &json!({"tools": tools, "tool_choice": choice})).unwrap().0
    };
    let plain = Target::new("m");
    assert_eq!(chosen(&plain, json!({"type": "any"}))["tool_choice"], json!({"type": "any"}));
    assert!(chosen(&plain, json!({"type": "none"}))["tools"].is_null());
    let named = chosen(&plain, json!({"type": "tool", "name": "Bash"}));
    assert_eq!((&named["tools"], &named["tool_choice"]), (&json!([tool("Bash")]), &json!({"type": "any"})));
    let knows = Target { named_choice: true, parallel_switch: true, ..Target::new("m") };
    let named = chosen(&knows, json!({"type": "tool", "name": "Bash", "disable_parallel_tool_use": true}));
    assert_eq!(
        named["tool_choice"],
        json!({"type": "tool", "name": "Bash", "disable_parallel_tool_use": true})
    );
    assert_eq!(named["tools"].as_array().unwrap().len(), 2);
}

#[test]
fn what_nobody_would_do_is_refused_by_its_name() {
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    for (members, place) in [
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"messages": []}), "messages"),
        (json!({"tools": [search]}), "tools.0.type (web_search_20250305)"),
        (json!({"safeguards": {"a": 1}}), "safeguards"),
        (json!({"brand_new": 1}), "brand_new"),
        (json!({"messages": [{"role": "user", "content": [{"type": "odd"}]}]}), "(odd)"),
    ] {
        let refused = translated(&Target::new("m"), &members).unwrap_err();
        assert!(refused.contains(place), "{refused}");
    }
}

// === answers ===

fn event(kind: &str, mut data: Tree) -> String {
    data["type"] = kind.into();
    format!("event: {kind}\ndata: {data}\n\n")
}

/// A stream as llama.cpp writes it, but for blocks that begin before others have ended, an input that stands
/// at the beginning of its block, and two calls of one id.
fn stream() -> String {
    let start = |index: u64, block: Tree| {
        event("content_block_start", json!({"index": index, "content_block": block}))
    };
    let delta =
        |index: u64, delta: Tree| event("content_block_delta", json!({"index": index, "delta": delta}));
    let stop = |index: u64| event("content_block_stop", json!({"index": index}));
    let usage = json!({"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 0});
    let tool = |id: &str, input: Tree| json!({"type": "tool_use", "id": id, "name": "Read", "input": input});
    let piece = |json: &str| json!({"type": "input_json_delta", "partial_json": json});
    [
        event(
            "message_start",
            json!({"message": {"id": "chatcmpl-1", "type": "message", "role": "assistant",
            "model": "local", "content": [], "usage": usage}}),
        ),
        event("ping", json!({})),
        start(0, json!({"type": "thinking", "thinking": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm ł"})),
        start(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Let me 😀"})),
        stop(0),
        start(2, tool("call.1", json!({}))),
        start(3, tool("call.1", json!({"path": "whole"}))),
        delta(2, piece("{\"path\":")),
        delta(2, piece("\"a\"}")),
        stop(1),
        stop(2),
        stop(3),
        event(
            "message_delta",
            json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 9}}),
        ),
        event("message_stop", json!({})),
    ]
    .concat()
}

/// What the caller reads of `bytes` that come in pieces of `step`.
fn said(bytes: &[u8], step: usize) -> String {
    String::from_utf8(anthropic(bytes, step)).unwrap()
}

#[test]
fn an_answer_is_made_right() {
    let stream = stream();
    let text = said(stream.as_bytes(), stream.len());
    assert_eq!(check(text.as_bytes()).0, End::Stopped);
    assert!(!text.contains("chatcmpl-") && text.contains("\"stop_reason\":\"tool_use\""), "{text}");
    assert!(text.contains("Hm ł") && text.contains("Let me 😀"), "{text}");
    assert!(text.contains("whole") && text.contains("toolu_z00000009_"), "{text}");
    assert!(text.contains("toolu_s00000009_1"), "the second one of an id has one of ours: {text}");
    assert!(text.contains("\"output_tokens\":9") && text.contains("\"cache_read_input_tokens\":3"), "{text}");
}

#[test]
fn any_split_says_the_same_and_any_cut_is_one() {
    let stream = stream();
    let whole = said(stream.as_bytes(), stream.len());
    for step in 1..64 {
        assert_eq!(said(stream.as_bytes(), step), whole, "in pieces of {step}");
    }
    // The last blank line ends the last event.
    for end in 0..stream.len() - 1 {
        let text = said(&stream.as_bytes()[..end], 29);
        assert_eq!(check(text.as_bytes()).0, End::Failed, "cut at {end}: {text}");
        assert!(!text.contains("message_stop"), "cut at {end}: {text}");
    }
}

#[test]
fn a_document_says_the_same_as_a_stream() {
    let document = json!({"id": "chatcmpl-1", "type": "message", "role": "assistant", "model": "local",
        "content": [{"type": "thinking", "thinking": "Hm", "signature": ""}, {"type": "text", "text": "Yes"},
            {"type": "tool_use", "id": "call_1", "name": "Read", "input": {"path": "a"}}],
        "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 2}})
    .to_string();
    let whole = said(document.as_bytes(), document.len());
    assert_eq!(check(whole.as_bytes()).0, End::Stopped);
    for part in ["Hm", "Yes", "toolu_x00000009_call_1", "\"output_tokens\":2"] {
        assert!(whole.contains(part), "{whole}");
    }
    for end in 1..document.len() {
        assert_eq!(check(said(&document.as_bytes()[..end], 7).as_bytes()).0, End::Failed, "cut at {end}");
    }
}

#[test]
fn failures_are_told_as_such() {
    let error = json!({"error": {"type": "overloaded_error", "message": "Overloaded at SECRET"}});
    for bytes in [event("error", error.clone()), error.to_string(), "<html>SECRET</html>".to_owned()] {
        let text = said(bytes.as_bytes(), 5);
        assert_eq!(check(text.as_bytes()).0, End::Failed, "{text}");
        assert!(!text.contains("SECRET"), "{text}");
    }
    let failure = read_error(
        400,
        br#"{"type":"error","error":{"type":"invalid_request_error",
        "message":"the request exceeds the available context size (2000 > 1024 tokens)"}}"#,
    );
    assert_eq!(failure.kind, Kind::PromptTooLong);
}

#[test]
fn reasons_to_stop_are_kept() {
    for (reason, sequence, wanted) in [
        ("max_tokens", Tree::Null, "\"stop_reason\":\"max_tokens\""),
        ("stop_sequence", json!("END"), "\"stop_sequence\":\"END\""),
        ("refusal", Tree::Null, "\"stop_reason\":\"refusal\""),
        ("odd", Tree::Null, "\"stop_reason\":\"end_turn\""),
    ] {
        let document = json!({"type": "message", "model": "m", "content": [{"type": "text", "text": "Yes"}],
            "stop_reason": reason, "stop_sequence": sequence})
        .to_string();
        let text = said(document.as_bytes(), 11);
        assert!(text.contains(wanted), "{text}");
    }
}

// === what holds for all ===

proptest! {
    #[test]
    fn torn_answers_and_requests_hold(cut in 0..2_000_usize, with in ".{0,6}", seed in any::<u8>()) {
        let stream = stream();
        let at = stream.floor_char_boundary(cut.min(stream.len()));
        let (before, after) = stream.split_at(at);
        let torn = [&[seed], before.as_bytes(), with.as_bytes(), after.as_bytes()].concat();
        fuzz_lenient_stream(&torn);
        fuzz_lenient_request(&torn);
    }
}

#[test]
fn the_fuzz_corpora_replay() {
    replay("lenient_request", 3, fuzz_lenient_request);
    replay("lenient_stream", 3, fuzz_lenient_stream);
}
