//! The dialect row by row: requests as they go out, answers as they come back, and what holds for all.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::{Just, Strategy};
use serde_json::{Value as Tree, json};

use super::fuzz::{anthropic, fuzz_openai_chat_request, fuzz_openai_chat_stream, strict_server};
use super::{
    CacheMarks, MidSystem, ORIGIN, Reading, Target, Translated, UnknownFields, read_answer, read_error,
    translate,
};
use crate::corpus::replay;
use crate::llm::conversation;
use crate::llm::loss::Treatment;
use crate::llm::said::fuzz::{End, check};
use crate::llm::said::{Event, Kind, Stop};
use crate::llm::signature;

// === requests ===

/// A request with these members beside the ones that each has.
fn body(members: &Tree) -> Tree {
    let mut body = json!({"model": "claude-opus-5", "max_tokens": 100, "messages": [
        {"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn translated(target: &Target<'_>, body: &Tree) -> Result<Translated, String> {
    let body = body.to_string();
    for flags in 0..16 {
        fuzz_openai_chat_request(&[&[flags], body.as_bytes()].concat());
    }
    let read = conversation::read(body.as_bytes()).map_err(|refusal| refusal.to_string())?;
    translate(&read, target).map_err(|refusal| refusal.to_string())
}

/// The request that goes out, which a strict server takes, and the losses.
fn sent(target: &Target<'_>, members: &Tree) -> (Tree, Vec<(String, Treatment)>) {
    let translated = translated(target, &body(members)).unwrap();
    let tree: Tree = serde_json::from_slice(&translated.body).unwrap();
    strict_server(&tree);
    let losses = translated.losses.kinds().iter().map(|loss| (loss.what.to_string(), loss.treatment));
    (tree, losses.collect())
}

fn refused(target: &Target<'_>, members: &Tree) -> String {
    translated(target, &body(members)).unwrap_err()
}

/// The messages that go out to OpenAI for these.
fn messages(turns: &Tree) -> Tree {
    sent(&Target::openai("gpt"), &json!({"messages": turns})).0["messages"].clone()
}

fn has(losses: &[(String, Treatment)], what: &str, treatment: Treatment) {
    assert!(losses.contains(&(what.to_owned(), treatment)), "{what} is not in {losses:?}");
}

const IMAGE: &str = r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}"#;

fn image() -> Tree {
    serde_json::from_str(IMAGE).unwrap()
}

fn call(id: &str, name: &str) -> Tree {
    json!({"type": "tool_use", "id": id, "name": name, "input": {"path": "a \"b\"\n"}})
}

fn tool(name: &str) -> Tree {
    json!({"name": name, "description": "Does it.", "input_schema": {"type": "object", "properties": {}}})
}

#[test]
fn system_blocks_go_first_without_the_attribution() {
    let system = json!([
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli"},
        {"type": "text", "text": "You are \"it\".", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be brief."}]);
    let (tree, losses) = sent(&Target::openai("gpt"), &json!({"system": system}));
    let parts = json!([{"type": "text", "text": "You are \"it\"."}, {"type": "text", "text": "Be brief."}]);
    assert_eq!(tree["messages"][0], json!({"role": "developer", "content": parts}));
    has(&losses, "system.attribution", Treatment::Dropped);
    let (tree, _) = sent(&Target::compatible("m"), &json!({"system": system}));
    let joined = "You are \"it\".\nBe brief.";
    assert_eq!(tree["messages"][0], json!({"role": "system", "content": joined}));
    let (tree, _) = sent(&Target::openai("gpt"), &json!({"system": "one"}));
    assert_eq!(tree["messages"][0]["content"], "one");
    let only = json!([{"type": "text", "text": "x-anthropic-billing-header: cc"}]);
    let (tree, _) = sent(&Target::openai("gpt"), &json!({"system": only}));
    assert_eq!(tree["messages"][0]["role"], "user");
}

#[test]
fn system_turns_stay_in_their_place_behind_the_results() {
    let turns = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call("toolu_1", "Read")]},
        {"role": "system", "content": [{"type": "text", "text": "mind"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"},
            {"type": "text", "text": "and?"}]},
        {"role": "system", "content": "last"},
    ]);
    let out = messages(&turns);
    let roles = |out: &Tree| -> Vec<String> {
        out.as_array().unwrap().iter().map(|turn| turn["role"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(roles(&out), ["user", "assistant", "tool", "developer", "user", "developer"]);
    assert_eq!(out[3]["content"], "mind");
    let target = Target { mid_system: MidSystem::AsUser, ..Target::compatible("m") };
    let (tree, losses) = sent(&target, &json!({"messages": turns, "system": "first"}));
    assert_eq!(roles(&tree["messages"]), ["system", "user", "assistant", "tool", "user", "user", "user"]);
    assert_eq!(tree["messages"][4]["content"], "<system-reminder>\nmind\n</system-reminder>");
    has(&losses, "messages.role.system", Treatment::Emulated);
}

#[test]
fn text_and_images_are_parts() {
    let turns = json!([{"role": "user", "content": [{"type": "text", "text": "see"}, image(),
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}]}]);
    let expected = json!([
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
    assert_eq!(messages(&turns)[0]["content"], expected);
    let by_address = refused(&Target::compatible("m"), &json!({"messages": turns}));
    assert!(by_address.starts_with("messages.0.content.image.source: "), "{by_address}");
    let blind = Target { images: false, ..Target::openai("m") };
    let turns = json!([{"role": "user", "content": [image()]}]);
    let message = refused(&blind, &json!({"messages": turns}));
    assert!(message.starts_with("messages.0.content.image: "), "{message}");
    let at_anthropic = json!([{"role": "user", "content": [
        {"type": "image", "source": {"type": "file", "file_id": "f"}}]}]);
    assert!(refused(&Target::openai("m"), &json!({"messages": at_anthropic})).contains("kept by Anthropic"));
}

#[test]
fn documents_are_files_or_text_or_refused() {
    let pdf = json!({"type": "document", "title": "T.pdf",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}});
    let text = json!({"type": "document", "title": "T", "context": "c",
        "source": {"type": "text", "media_type": "text/plain", "data": "words"}});
    let turns = json!([{"role": "user", "content": [pdf, text]}]);
    let file = json!({"filename": "T.pdf", "file_data": "data:application/pdf;base64,JVBE"});
    let expected =
        json!([{"type": "file", "file": file}, {"type": "text", "text": "[document: T]\nc\nwords"}]);
    assert_eq!(messages(&turns)[0]["content"], expected);
    let message = refused(&Target::compatible("m"), &json!({"messages": turns}));
    assert!(message.starts_with("messages.0.content.document: "), "{message}");
    let found = json!([{"role": "user", "content": [{"type": "search_result", "source": "https://e.com",
        "title": "E", "content": [{"type": "text", "text": "found"}]}]}]);
    let expected = json!([{"type": "text", "text": "[search result: E]\nhttps://e.com\n"},
        {"type": "text", "text": "found"}]);
    assert_eq!(messages(&found)[0]["content"], expected);
}

#[test]
fn calls_keep_their_text_their_order_and_their_input() {
    let turns = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, call("toolu_1", "Read"),
            call("toolu_x00000001_call_9", "Grep")]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_x00000001_call_9", "content": "two"},
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                {"type": "text", "text": "one"}, {"type": "text", "text": "and more"}]},
            {"type": "text", "text": "next"}]},
    ]);
    let out = messages(&turns);
    let arguments = "{\"path\":\"a \\\"b\\\"\\n\"}";
    let calls = json!([
        {"id": "toolu_1", "type": "function", "function": {"name": "Read", "arguments": arguments}},
        {"id": "call_9", "type": "function", "function": {"name": "Grep", "arguments": arguments}}]);
    assert_eq!(out[1], json!({"role": "assistant", "content": "I look.", "tool_calls": calls}));
    assert_eq!(out[2], json!({"role": "tool", "tool_call_id": "call_9", "content": "two"}));
    assert_eq!(out[3], json!({"role": "tool", "tool_call_id": "toolu_1", "content": "one\nand more"}));
    assert_eq!(out[4], json!({"role": "user", "content": "next"}));
    let silent = json!([{"role": "assistant", "content": [call("toolu_1", "Read")]}]);
    let (tree, losses) = sent(&Target::openai("m"), &json!({"messages": silent}));
    assert_eq!(tree["messages"][0]["content"], Tree::Null);
    assert_eq!(tree["messages"][1]["content"], "[tool error] [no result]");
    has(&losses, "messages.tool_result", Treatment::Emulated);
    let nine = Target { call_id_chars_max: 9, ..Target::compatible("m") };
    let (tree, _) = sent(&nine, &json!({"messages": silent}));
    assert_eq!(tree["messages"][0]["tool_calls"][0]["id"].as_str().unwrap().len(), 7);
    let long = json!([{"role": "assistant", "content": [call("toolu_01A09q90qw90lq917835lq9", "Read")]}]);
    let (tree, _) = sent(&nine, &json!({"messages": long}));
    assert_eq!(tree["messages"][0]["tool_calls"][0]["id"].as_str().unwrap().len(), 9);
    for (result, place) in
        [("toolu_2", "messages.1.content.tool_use_id"), ("", "messages.1.content.tool_use_id")]
    {
        let turns = json!([silent[0], {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": result}]}]);
        assert!(refused(&Target::openai("m"), &json!({"messages": turns})).starts_with(place));
    }
}

#[test]
fn results_of_several_turns_all_follow_the_calls() {
    let turns = json!([
        {"role": "assistant", "content": [call("a", "Read"), call("b", "Read")]},
        {"role": "user", "content": [{"type": "text", "text": "first"},
            {"type": "tool_result", "tool_use_id": "a", "content": "1"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "b", "content": "2"}]},
    ]);
    let out = messages(&turns);
    assert_eq!([&out[1]["content"], &out[2]["content"], &out[3]["content"]], ["1", "2", "first"]);
}

#[test]
fn images_of_results_follow_in_a_message_of_their_own() {
    let turns = json!([
        {"role": "assistant", "content": [call("a", "Shot"), call("b", "Shot")]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [
                {"type": "text", "text": "see"}, image()]},
            {"type": "tool_result", "tool_use_id": "b", "content": "none"},
            {"type": "text", "text": "well?"}]},
    ]);
    let (tree, losses) = sent(&Target::openai("m"), &json!({"messages": turns}));
    let out = &tree["messages"];
    assert_eq!(out[1]["content"], "see\n[image: it follows in the next user message]");
    assert_eq!(out[2]["content"], "none");
    let expected = json!([{"type": "text", "text": "[output of the tool call a]"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]);
    assert_eq!(out[3], json!({"role": "user", "content": expected}));
    assert_eq!(out[4]["content"], "well?");
    has(&losses, "messages.content.tool_result.image", Treatment::Emulated);
}

#[test]
fn errors_of_tools_are_marked() {
    let turns = json!([{"role": "assistant", "content": [call("a", "Bash")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "is_error": true,
            "content": "exit 1"}]}]);
    let (tree, losses) = sent(&Target::openai("m"), &json!({"messages": turns}));
    assert_eq!(tree["messages"][1]["content"], "[tool error] exit 1");
    has(&losses, "messages.content.is_error", Treatment::Emulated);
}

#[test]
fn definitions_carry_name_description_and_schema_alone() {
    let mut odd = tool("mcp__a_server_with_a_name__and_a_tool_with_a_much_longer_name_than_that");
    for member in ["eager_input_streaming", "allowed_callers", "input_examples", "cache_control"] {
        odd[member] = json!({"type": "ephemeral"});
    }
    odd["type"] = json!("custom");
    let name = odd["name"].as_str().unwrap().to_owned();
    let turns = json!([{"role": "assistant", "content": [call("a", &name)]}]);
    let choice = json!({"type": "tool", "name": name});
    let members = json!({"tools": [tool("Read"), odd], "messages": turns, "tool_choice": choice});
    let translated = translated(&Target::openai("m"), &body(&members)).unwrap();
    let tree: Tree = serde_json::from_slice(&translated.body).unwrap();
    let schema = json!({"type": "object", "properties": {}});
    let read = json!({"name": "Read", "description": "Does it.", "parameters": schema});
    assert_eq!(tree["tools"][0], json!({"type": "function", "function": read}));
    let function = tree["tools"][1]["function"].as_object().unwrap();
    assert_eq!(function.len(), 3, "name, description and parameters");
    assert!(function["description"].is_string() && function["parameters"].is_object());
    let short = &function["name"];
    assert_eq!(translated.names.original(short.as_str().unwrap()), name);
    assert_eq!(tree["messages"][0]["tool_calls"][0]["function"]["name"], *short);
    assert_eq!(tree["tool_choice"], json!({"type": "function", "function": {"name": short}}));
    let twice = json!({"tools": [tool("Read"), tool("Read")]});
    assert!(refused(&Target::openai("m"), &twice).starts_with("tools.1.name: "));
    let few = Target { tools_max: 1, ..Target::openai("m") };
    assert!(
        refused(&few, &json!({"tools": [tool("a"), tool("b")]})).starts_with("tools: there are more than 1")
    );
    let mut strict = tool("Read");
    strict["strict"] = json!(true);
    let (tree, _) = sent(&Target::openai("m"), &json!({"tools": [strict]}));
    assert_eq!(tree["tools"][0]["function"]["strict"], true);
    let (tree, losses) = sent(&Target::compatible("m"), &json!({"tools": [strict]}));
    assert!(tree["tools"][0]["function"]["strict"].is_null());
    has(&losses, "tools.strict", Treatment::Dropped);
}

#[test]
fn deferred_tools_wait_until_they_are_found() {
    let deferred = |name: &str| {
        let mut tool = tool(name);
        tool["defer_loading"] = json!(true);
        tool
    };
    let mut tools = vec![deferred("DeferredToolPlaceholder"), deferred("mcp__s__a"), deferred("mcp__s__b")];
    tools.extend([tool("ToolSearch"), deferred("mcp__s__c"), deferred("mcp__s__d")]);
    let search = |id: &str, found: &str| {
        json!([{"role": "assistant", "content": [call(id, "ToolSearch")]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": [
                {"type": "tool_reference", "tool_name": found}]}]}])
    };
    let shown = |turns: &[Tree]| {
        let (tree, losses) = sent(&Target::openai("m"), &json!({"tools": tools, "messages": turns}));
        has(&losses, "tools.defer_loading", Treatment::Emulated);
        let tools = tree["tools"].as_array().unwrap();
        let names: Vec<String> =
            tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect();
        (names, tree["messages"].clone())
    };
    let mut turns = vec![json!({"role": "user", "content": "go"})];
    assert_eq!(shown(&turns).0, ["ToolSearch"]);
    turns.extend(search("s1", "mcp__s__c").as_array().unwrap().clone());
    let (names, messages) = shown(&turns);
    assert_eq!(names, ["ToolSearch", "mcp__s__c"]);
    assert_eq!(messages[2]["content"], "[tool available: mcp__s__c]");
    turns.extend(search("s2", "mcp__s__a").as_array().unwrap().clone());
    assert_eq!(shown(&turns).0, ["ToolSearch", "mcp__s__c", "mcp__s__a"], "what is found comes behind");
    turns.push(json!({"role": "assistant", "content": [call("x", "mcp__s__b")]}));
    assert_eq!(shown(&turns).0.len(), 4, "what is called is known, too");
    let reference = json!({"type": "tool_reference", "name": "mcp__s__d"});
    let definition = json!({"type": "tool_definition", "definition": tool("Late")});
    turns.push(json!({"role": "system", "content": [
        {"type": "tool_addition", "tool": reference}, {"type": "tool_addition", "tool": definition},
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "mcp__s__a"}}]}));
    let (tree, losses) = sent(&Target::openai("m"), &json!({"tools": tools, "messages": turns}));
    let last = tree["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(last["role"], "developer");
    assert_eq!(last["content"][2]["text"], "[tool no longer available: mcp__s__a]");
    assert_eq!(tree["tools"][4]["function"]["name"], "mcp__s__d");
    assert_eq!(tree["tools"][5]["function"]["name"], "Late");
    has(&losses, "messages.content.tool_change", Treatment::Emulated);
}

#[test]
fn choices_of_tools_are_told_or_worked_around() {
    let tools = json!([tool("Read"), tool("Grep")]);
    for (kind, word) in [("auto", "auto"), ("any", "required"), ("none", "none")] {
        let members = json!({"tools": tools, "tool_choice": {"type": kind}});
        assert_eq!(sent(&Target::openai("m"), &members).0["tool_choice"], word);
    }
    let named = json!({"tools": tools, "tool_choice": {"type": "tool", "name": "Grep"}});
    let function = json!({"type": "function", "function": {"name": "Grep"}});
    assert_eq!(sent(&Target::openai("m"), &named).0["tool_choice"], function);
    let unable = Target { named_choice: false, ..Target::compatible("m") };
    let (tree, losses) = sent(&unable, &named);
    assert_eq!((&tree["tool_choice"], tree["tools"].as_array().unwrap().len()), (&json!("required"), 1));
    has(&losses, "tool_choice.tool", Treatment::Emulated);
    let unknown = json!({"tools": tools, "tool_choice": {"type": "tool", "name": "Write"}});
    assert_eq!(refused(&Target::openai("m"), &unknown), "tool_choice.name: there is no tool of this name");
    assert!(
        refused(&Target::openai("m"), &json!({"tool_choice": {"type": "any"}})).starts_with("tool_choice: ")
    );
    assert!(sent(&Target::openai("m"), &json!({"tool_choice": {"type": "auto"}})).0["tool_choice"].is_null());
}

#[test]
fn one_call_at_a_time_is_told() {
    let members = json!({"tools": [tool("Read")],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    assert_eq!(sent(&Target::openai("m"), &members).0["parallel_tool_calls"], false);
    let unable = Target { parallel_switch: false, ..Target::compatible("m") };
    let (tree, losses) = sent(&unable, &members);
    assert!(tree["parallel_tool_calls"].is_null());
    has(&losses, "tool_choice.disable_parallel_tool_use", Treatment::Dropped);
}

#[test]
fn stop_sequences_beyond_the_targets_number_are_left_to_the_writer() {
    let members = body(&json!({"stop_sequences": ["a\n", "b", "c", "d", "e"]}));
    let four = translated(&Target::compatible("m"), &members).unwrap();
    let tree: Tree = serde_json::from_slice(&four.body).unwrap();
    assert_eq!(tree["stop"], json!(["a\n", "b", "c", "d"]));
    assert_eq!((four.stops_left, four.stops_told.len()), (vec!["e".into()], 4));
    assert_eq!(four.losses.kinds()[0].treatment, Treatment::Enforced);
    let none = translated(&Target::openai("m"), &members).unwrap();
    assert_eq!((none.stops_left.len(), none.stops_told.len()), (5, 0));
    assert!(!String::from_utf8(none.body).unwrap().contains("\"stop\""));
}

#[test]
fn effort_is_told_in_the_models_levels() {
    let effort = |members: Tree, efforts: &[&str]| {
        let target = Target { efforts, ..Target::openai("m") };
        sent(&target, &members).0["reasoning_effort"].as_str().unwrap_or("-").to_owned()
    };
    let all = ["none", "minimal", "low", "medium", "high", "xhigh"];
    let thinking = |thinking: Tree| json!({"thinking": thinking});
    assert_eq!(effort(json!({}), &all), "-");
    assert_eq!(effort(thinking(json!({"type": "adaptive"})), &all), "high");
    assert_eq!(effort(thinking(json!({"type": "disabled"})), &all), "none");
    assert_eq!(effort(thinking(json!({"type": "disabled"})), &["low", "high"]), "low");
    for (budget, level) in [(1024, "low"), (10_000, "medium"), (31_999, "high"), (60_000, "xhigh")] {
        assert_eq!(effort(thinking(json!({"type": "enabled", "budget_tokens": budget})), &all), level);
    }
    let mut both = thinking(json!({"type": "disabled"}));
    both["output_config"] = json!({"effort": "high"});
    assert_eq!(effort(both, &all), "high", "the effort that was asked for is not lost");
    assert_eq!(effort(json!({"output_config": {"effort": "max"}}), &all), "xhigh");
    assert_eq!(effort(json!({"output_config": {"effort": "xhigh"}}), &["low", "medium"]), "medium");
    assert_eq!(effort(json!({"output_config": {"effort": "high"}}), &[]), "-");
    let odd = refused(&Target::openai("m"), &json!({"output_config": {"effort": "huge"}}));
    assert!(odd.starts_with("output_config.effort: "), "{odd}");
}

#[test]
fn thoughts_go_back_to_whom_they_belong() {
    let own = signature::tag(ORIGIN, b"");
    let turns = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "mine ", "signature": own},
        {"type": "thinking", "thinking": "Claude's", "signature": "EqQBCgIYAhIk"},
        {"type": "thinking", "thinking": "unsigned"},
        {"type": "thinking", "thinking": "Gemini's", "signature": signature::tag("gemini", b"x")},
        {"type": "redacted_thinking", "data": "EmwKAhgB"},
        {"type": "thinking", "thinking": "too", "signature": own},
        {"type": "text", "text": "so"}]}]);
    let (tree, losses) = sent(&Target::openai("m"), &json!({"messages": turns}));
    assert_eq!(tree["messages"][1], json!({"role": "assistant", "content": "so"}));
    has(&losses, "messages.content.thinking", Treatment::Dropped);
    has(&losses, "messages.content.redacted_thinking", Treatment::Dropped);
    let target = Target { reasoning_back: true, ..Target::compatible("m") };
    let (tree, _) = sent(&target, &json!({"messages": turns}));
    assert_eq!(tree["messages"][1]["reasoning_content"], "mine too");
}

#[test]
fn the_last_four_cache_marks_become_breakpoints() {
    let marked = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    let members = json!({"system": [marked("s1"), marked("s2")], "messages": [
        {"role": "user", "content": [marked("u1"), {"type": "text", "text": "plain"}]},
        {"role": "assistant", "content": [call("a", "Read")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "ok",
            "cache_control": {"type": "ephemeral", "ttl": "1h"}}, marked("u2")]}]});
    let target = Target { cache_marks: CacheMarks::Breakpoints, cache_key: Some("k"), ..Target::openai("m") };
    let (tree, _) = sent(&target, &members);
    assert_eq!(tree["prompt_cache_key"], "k");
    let mark = json!({"mode": "explicit"});
    let at = |message: usize, part: usize| {
        tree["messages"][message]["content"][part]["prompt_cache_breakpoint"].clone()
    };
    assert_eq!([at(0, 0), at(0, 1), at(1, 0)], [Tree::Null, mark.clone(), mark.clone()]);
    assert_eq!([at(1, 1), at(3, 0), at(4, 0)], [Tree::Null, mark.clone(), mark]);
    assert_eq!(tree["messages"][3]["content"][0]["text"], "ok");
    let (tree, losses) = sent(&Target::openai("m"), &members);
    assert!(!tree.to_string().contains("cache"));
    has(&losses, "cache_control", Treatment::Emulated);
}

#[test]
fn nobody_learns_who_the_user_is() {
    let user = "{\"device_id\":\"d\",\"account_uuid\":\"a\",\"session_id\":\"s\"}";
    let members = json!({"metadata": {"user_id": user, "team": "x"}});
    let target = Target { user: Some(("safety_identifier", "u_5f")), ..Target::openai("m") };
    let (tree, losses) = sent(&target, &members);
    assert_eq!(tree["safety_identifier"], "u_5f");
    assert!(!tree.to_string().contains("device_id") && tree["user"].is_null() && tree["metadata"].is_null());
    has(&losses, "metadata.user_id", Treatment::Emulated);
    has(&losses, "metadata.team", Treatment::Dropped);
    has(&sent(&Target::openai("m"), &members).1, "metadata.user_id", Treatment::Dropped);
}

#[test]
fn the_form_of_the_answer_is_told_as_it_is() {
    let schema = json!({"type": "object", "properties": {"a": {}}, "required": []});
    let format = |strict: Tree| {
        let mut format = json!({"type": "json_schema", "schema": schema});
        if !strict.is_null() {
            format["strict"] = strict;
        }
        json!({"output_config": {"format": format}})
    };
    let (tree, _) = sent(&Target::openai("m"), &format(Tree::Null));
    let expected = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
    assert_eq!(tree["response_format"], expected);
    let (tree, _) = sent(&Target::openai("m"), &format(json!(false)));
    assert_eq!(tree["response_format"]["json_schema"]["strict"], false);
    let unable = Target { json_schema: false, ..Target::compatible("m") };
    assert!(refused(&unable, &format(Tree::Null)).starts_with("output_config.format: "));
}

#[test]
fn terms_of_anthropics_are_dropped_with_a_note() {
    let names = [
        "context_management",
        "compaction",
        "cache_control",
        "service_tier",
        "speed",
        "inference_geo",
        "container",
        "fallbacks",
        "tags",
        "thread",
        "diagnostics",
    ];
    let members: serde_json::Map<String, Tree> =
        names.iter().map(|name| ((*name).to_owned(), json!({"x": 1}))).collect();
    let (tree, losses) = sent(&Target::openai("m"), &Tree::Object(members));
    assert_eq!(tree, sent(&Target::openai("m"), &json!({})).0, "nothing of them goes out");
    names.iter().for_each(|name| has(&losses, name, Treatment::Dropped));
    let budget = json!({"output_config": {"effort": "low", "task_budget": {"type": "tokens"}}});
    has(&sent(&Target::openai("m"), &budget).1, "output_config.task_budget", Treatment::Dropped);
}

#[test]
fn what_cannot_be_dropped_is_refused_by_its_name() {
    let openai = Target::openai("m");
    for (members, place) in [
        (json!({"safeguards": [{"type": "dangerous_tool_use"}]}), "safeguards: "),
        (json!({"mcp_servers": [{"url": "https://e.com"}]}), "mcp_servers: "),
        (json!({"of_tomorrow": true}), "of_tomorrow: "),
        (json!({"output_config": {"of_tomorrow": 1}}), "output_config.of_tomorrow: "),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]}),
            "tools.0.type (web_search_20250305): ",
        ),
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "tools.0.type (web_search_20250305): ",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "of_tomorrow"}]}]}),
            "messages.0.content.type (of_tomorrow): ",
        ),
    ] {
        let message = refused(&openai, &members);
        assert!(message.starts_with(place), "{message}");
        assert!(message.contains("the provider of this model does not take this"), "{message}");
    }
    let handled = ["safeguards", "web_search_20250305"];
    let target = Target { handled: &handled, unknown: UnknownFields::Drop, ..openai };
    let search = json!([{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]);
    let (tree, losses) = sent(&target, &json!({"safeguards": [{}], "of_tomorrow": 1, "tools": search}));
    assert!(tree["tools"].is_null());
    has(&losses, "safeguards", Treatment::Enforced);
    has(&losses, "tools.web_search_20250305", Treatment::Enforced);
    has(&losses, "of_tomorrow", Treatment::Dropped);
    let (_, losses) = sent(&Target::openai("m"), &json!({"mcp_servers": [], "of_tomorrow": null}));
    has(&losses, "mcp_servers", Treatment::Dropped);
}

#[test]
fn what_servers_tools_have_left_is_told_as_text() {
    let turns = json!([{"role": "assistant", "content": [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "cats"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [
            {"type": "web_search_result", "url": "https://e.com", "title": "E", "encrypted_content": "zzz"}]},
        {"type": "text", "text": "Found."}]}]);
    let (tree, losses) = sent(&Target::compatible("m"), &json!({"messages": turns}));
    let text = tree["messages"][0]["content"].as_str().unwrap();
    assert_eq!(
        text.lines().collect::<BTreeSet<_>>(),
        BTreeSet::from([
            "[server_tool_use]",
            "name: web_search",
            "query: cats",
            "[web_search_tool_result]",
            "url: https://e.com",
            "title: E",
            "Found."
        ])
    );
    has(&losses, "messages.content.web_search_tool_result", Treatment::Emulated);
}

#[test]
fn the_rest_is_told_by_the_names_of_the_server() {
    let members = json!({"stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "max_tokens": 64000});
    let (tree, losses) = sent(&Target { max_tokens_max: Some(16384), ..Target::openai("gpt") }, &members);
    let expected = json!({"model": "gpt", "stream": true, "stream_options": {"include_usage": true},
        "max_completion_tokens": 16384, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(tree, expected);
    has(&losses, "max_tokens", Treatment::Clamped);
    has(&losses, "temperature", Treatment::Dropped);
    let target = Target { top_k: true, usage_in_stream: false, ..Target::compatible("m") };
    let (tree, losses) = sent(&target, &members);
    let expected = json!({"model": "m", "stream": true, "max_tokens": 64000, "temperature": 0.5, "top_p": 0.9,
        "top_k": 5, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!((tree, losses), (expected, Vec::new()));
}

// === prompt caches ===

/// A conversation of a few rounds as Claude Code has them.
fn rounds() -> Vec<Tree> {
    let result = |id: &str, text: &str| json!({"type": "tool_result", "tool_use_id": id, "content": text});
    let mut failed = result("toolu_3", "exit 1");
    failed["is_error"] = json!(true);
    vec![
        json!({"role": "user", "content": [{"type": "text", "text": "<reminder>\nx\n</reminder>"},
            {"type": "text", "text": "fix it"}]}),
        json!({"role": "system", "content": [{"type": "text", "text": "cwd: /src"}]}),
        json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "Eq"},
            {"type": "text", "text": "I look."}, call("toolu_1", "Read"), call("toolu_2", "Read")]}),
        json!({"role": "user", "content": [result("toolu_1", "a"), {"type": "tool_result",
            "tool_use_id": "toolu_2", "content": [image()]}, {"type": "text", "text": "hurry"}]}),
        json!({"role": "assistant", "content": [call("toolu_3", "Bash")]}),
        json!({"role": "system", "content": "the file has changed"}),
        json!({"role": "user", "content": [failed]}),
        json!({"role": "assistant", "content": [{"type": "text", "text": "Done."}]}),
        json!({"role": "user", "content": "thanks"}),
        json!({"role": "system", "content": "mode: plan"}),
    ]
}

#[test]
fn each_request_begins_with_the_one_before() {
    let rounds = rounds();
    for target in [
        Target::openai("gpt"),
        Target::compatible("m"),
        Target { mid_system: MidSystem::AsUser, reasoning_back: true, ..Target::compatible("m") },
    ] {
        let mut before: Vec<u8> = Vec::new();
        // Requests end with a turn of the user, or with what the system says behind it.
        for end in [2, 4, 7, 10] {
            let mut turns = rounds.get(..end).unwrap().to_vec();
            // The mark wanders with the end of the conversation, and must not change what stands before it.
            if let Some(block) = turns.last_mut().and_then(|turn| turn["content"].get_mut(0)) {
                block["cache_control"] = json!({"type": "ephemeral"});
            }
            let members = json!({"messages": turns, "tools": [tool("Read"), tool("Bash")], "stream": true,
                "system": "s", "thinking": {"type": "adaptive"}, "metadata": {"user_id": "u"}});
            let now = translated(&target, &body(&members)).unwrap().body;
            let prefix = before.strip_suffix(b"]}").unwrap_or_default();
            assert!(now.starts_with(prefix) && now.len() > prefix.len() + 2, "{}", now.escape_ascii());
            before = now;
        }
    }
}

#[test]
fn requests_of_the_real_client_are_taken() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/requests"));
    let Ok(files) = std::fs::read_dir(folder) else {
        eprintln!("SKIPPED: there are no recorded requests in {}", folder.display());
        return;
    };
    for file in files.flatten().filter(|file| file.path().extension().is_some_and(|end| end == "json")) {
        let body = std::fs::read(file.path()).unwrap();
        let read = conversation::read(&body).unwrap();
        let target = Target { handled: &["safeguards"], ..Target::openai("m") };
        let translated = translate(&read, &target).unwrap();
        strict_server(&serde_json::from_slice(&translated.body).unwrap());
    }
}

// === answers ===

/// A chunk with this delta.
fn delta(delta: Tree) -> Tree {
    let mut chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
        "model": "gpt-5.6", "choices": [{"index": 0, "delta": {}, "finish_reason": null}], "usage": null});
    chunk["choices"][0]["delta"] = delta;
    chunk
}

fn finish(reason: &str) -> Tree {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn stream(chunks: &[Tree]) -> String {
    let mut out: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    out.push_str("data: [DONE]\n\n");
    out
}

/// What the caller reads of a stream, the same for any split of it.
fn read(stream: &str) -> (End, Tree) {
    let whole = anthropic(stream.as_bytes(), stream.len().max(1), true);
    for step in 1..24 {
        assert_eq!(anthropic(stream.as_bytes(), step, true), whole, "in pieces of {step}");
    }
    check(&whole)
}

/// The blocks of an answer that ends well.
fn blocks(chunks: &[Tree]) -> Tree {
    let (end, message) = read(&stream(chunks));
    assert_eq!(end, End::Stopped, "{message}");
    message["content"].clone()
}

/// The kind of error that an answer ends with.
fn error_of(stream: &str) -> String {
    let out = anthropic(stream.as_bytes(), 64, true);
    assert_eq!(read(stream).0, End::Failed);
    let text = String::from_utf8(out).unwrap();
    let (_, error) = text.rsplit_once("event: error\ndata: ").unwrap();
    let error: Tree = serde_json::from_str(error.trim_end()).unwrap();
    format!("{} {}", error["error"]["type"].as_str().unwrap(), error["error"]["message"].as_str().unwrap())
}

/// The call that all servers make here, under the caller's id.
fn tool_use(id: &str) -> Tree {
    json!({"type": "tool_use", "id": id, "name": "Read", "input": {"a": 1}})
}

#[test]
fn text_comes_back() {
    let chunks = [
        delta(json!({"role": "assistant", "content": "", "refusal": null})),
        delta(json!({"content": "Hé"})),
        delta(json!({"content": "\"l\n"})),
        delta(json!({"content": [{"type": "text", "text": "lo"}]})),
        finish("stop"),
    ];
    let (end, message) = read(&stream(&chunks));
    assert_eq!((end, &message["stop_reason"]), (End::Stopped, &json!("end_turn")));
    assert_eq!(message["content"], json!([{"type": "text", "text": "Hé\"l\nlo"}]));
    assert_eq!(message["model"], "claude-opus-5");
    let last = json!({"choices": [{"delta": {"content": "all"}, "finish_reason": "stop"}]});
    assert_eq!(blocks(&[last]), json!([{"type": "text", "text": "all"}]));
    let cut = "data: {\"choices\":[{\"delta\":{\"content\":\"a\\ud83d\"},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(read(cut).1["content"][0]["text"], "a\u{fffd}");
}

#[test]
fn thinking_comes_back_under_our_signature() {
    let signature = signature::tag(ORIGIN, b"");
    let expected = json!([{"type": "thinking", "thinking": "hmm", "signature": signature},
        {"type": "text", "text": "so"}]);
    for name in ["reasoning_content", "reasoning"] {
        let chunks = [
            delta(json!({name: "h", "content": null})),
            delta(json!({name: "mm", "content": ""})),
            delta(json!({name: null, "content": "so"})),
            finish("stop"),
        ];
        assert_eq!(blocks(&chunks), expected);
    }
    let both = [
        delta(json!({"reasoning": "hmm", "reasoning_content": "hmm"})),
        delta(json!({"content": "so"})),
        finish("stop"),
    ];
    assert_eq!(blocks(&both), expected, "the same under two names is said once");
    let parts = [
        delta(json!({"content": [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hmm"}]},
        {"type": "text", "text": "so"}]})),
        finish("stop"),
    ];
    assert_eq!(blocks(&parts), expected);
}

/// A chunk with this part of a call.
fn part(call: Tree) -> Tree {
    let mut chunk = delta(json!({"tool_calls": [{}]}));
    chunk["choices"][0]["delta"]["tool_calls"][0] = call;
    chunk
}

/// A piece of the input of a call.
fn input(index: u64, json: &str) -> Tree {
    part(json!({"index": index, "function": {"arguments": json}}))
}

fn whole_call(index: u64, id: &str) -> Tree {
    let function = json!({"name": "Read", "arguments": "{\"a\":1}"});
    json!({"index": index, "id": id, "type": "function", "function": function})
}

/// Reads calls, whatever reason to stop the server gives for them.
fn check_calls(what: &str, chunks: &[Tree], expected: &[&str]) {
    let expected: Tree = expected.iter().map(|id| tool_use(id)).collect();
    for reason in ["tool_calls", "stop"] {
        let chunks = [chunks, &[finish(reason)]].concat();
        let (end, message) = read(&stream(&chunks));
        assert_eq!((end, &message["content"]), (End::Stopped, &expected), "{what}");
        assert_eq!(message["stop_reason"], "tool_use", "{what}, {reason}");
    }
}

const ONE: &[&str] = &["toolu_x00000009_call_1"];
const TWO: &[&str] = &["toolu_x00000009_call_1", "toolu_x00000009_call_2"];
const MADE: &[&str] = &["toolu_s00000009_0"];

#[test]
fn calls_come_back_in_pieces_whole_and_mixed() {
    let named = |index: u64, id: &str, arguments: Tree| {
        let function = json!({"name": "Read", "arguments": arguments});
        part(json!({"index": index, "id": id, "type": "function", "function": function}))
    };
    let begun = named(0, "call_1", json!(""));
    check_calls("in pieces", &[begun, input(0, "{\"a\""), input(0, ":1}")], ONE);
    check_calls("whole", &[part(whole_call(0, "call_1"))], ONE);
    let both = delta(json!({"tool_calls": [whole_call(0, "call_1"), whole_call(1, "call_2")]}));
    check_calls("several in one chunk", &[both], TWO);
    check_calls("null first", &[named(0, "call_1", json!(null)), input(0, "{\"a\":1}")], ONE);
    check_calls("an object", &[named(0, "call_1", json!({"a": 1}))], ONE);
    let (first, second) = (named(0, "call_1", json!(null)), named(1, "call_2", json!("")));
    let pieces = [input(1, "{\"a\""), input(0, "{\"a\":1}"), input(1, ":1}")];
    check_calls("mixed", &[&[first, second][..], &pieces].concat(), TWO);
}

#[test]
fn calls_come_back_when_their_names_and_ids_come_late_or_twice() {
    let name = json!({"name": "Read", "arguments": ":1}"});
    let late_name = part(json!({"index": 0, "function": name}));
    check_calls(
        "late name",
        &[part(json!({"index": 0, "id": "call_1"})), input(0, "{\"a\""), late_name],
        ONE,
    );
    let begun = json!({"name": "Read", "arguments": "{\"a\""});
    let late_id = part(json!({"index": 0, "id": "call_1", "function": {"arguments": ":1}"}}));
    check_calls("late id", &[part(json!({"index": 0, "function": begun})), late_id.clone()], ONE);
    let first = part(json!({"index": 0, "id": "call_1", "function": begun}));
    let again = part(json!({"index": 0, "id": "call_1", "function": name}));
    check_calls("id and name twice", &[first.clone(), again], ONE);
    check_calls("id twice", &[first, late_id], ONE);
    check_calls("no id", &[part(json!({"index": 0, "function": begun})), input(0, ":1}")], MADE);
}

#[test]
fn calls_come_back_when_they_are_numbered_badly_or_not_at_all() {
    let (first, second) = (part(whole_call(0, "call_1")), part(whole_call(0, "call_2")));
    check_calls("all are number 0", &[first, second], TWO);
    let begun = json!({"name": "Read", "arguments": "{\"a\""});
    let rest = json!({"arguments": ":1}"});
    let chunks = [part(json!({"id": "call_1", "function": begun})), part(json!({"function": rest}))];
    check_calls("no index", &chunks, ONE);
    let chunks =
        [part(json!({"id": "call_1", "function": begun})), part(json!({"id": "call_1", "function": rest}))];
    check_calls("no index, the id twice", &chunks, ONE);
    let old = [delta(json!({"function_call": begun})), delta(json!({"function_call": rest}))];
    check_calls("the old form", &old, MADE);
}

#[test]
fn calls_with_one_id_become_two() {
    let call = |index: u64| {
        let function = json!({"name": "Bash", "arguments": "{}"});
        json!({"index": index, "id": "functions.Bash:0", "function": function})
    };
    let out = blocks(&[delta(json!({"tool_calls": [call(0), call(1)]})), finish("tool_calls")]);
    assert_eq!(out[0]["id"], "toolu_z00000009_ZnVuY3Rpb25zLkJhc2g6MA");
    assert_eq!(out[1]["id"], "toolu_s00000009_1");
}

#[test]
fn calls_that_nobody_can_make_end_in_an_error() {
    let nameless = delta(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{}"}}]}));
    assert!(error_of(&stream(&[nameless, finish("tool_calls")])).starts_with("api_error "));
    let broken =
        delta(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "a", "arguments": "{"}}]}));
    assert!(error_of(&stream(&[broken.clone(), finish("tool_calls")])).contains("not a JSON object"));
    let (end, message) = read(&stream(&[broken, finish("length")]));
    assert_eq!((end, &message["stop_reason"]), (End::Stopped, &json!("max_tokens")));
    let many: Vec<Tree> = (0..300)
        .map(|index| json!({"index": index, "id": format!("c{index}"), "function": {"name": "a"}}))
        .collect();
    assert!(error_of(&stream(&[delta(json!({"tool_calls": many}))])).contains("more tools"));
    let empty = delta(json!({"tool_calls": [{"index": 0}, {}], "content": "a"}));
    assert_eq!(blocks(&[empty, finish("stop")]), json!([{"type": "text", "text": "a"}]));
}

#[test]
fn reasons_to_stop_come_back() {
    for (reason, expected) in [
        ("stop", "end_turn"),
        ("eos", "end_turn"),
        ("STOP", "end_turn"),
        ("tool_calls", "end_turn"),
        ("length", "max_tokens"),
        ("content_filter", "refusal"),
    ] {
        let (_, message) = read(&stream(&[delta(json!({"content": "a"})), finish(reason)]));
        assert_eq!(message["stop_reason"], expected, "{reason}");
    }
    let (_, message) = read(&stream(&[delta(json!({"refusal": "I will not."})), finish("stop")]));
    assert_eq!(message["content"][0]["text"], "I will not.");
    assert!(error_of(&stream(&[finish("error")])).starts_with("api_error "));
    assert!(error_of(&stream(&[finish("insufficient_system_resource")])).starts_with("overloaded_error "));
    let body =
        json!({"choices": [{"message": {"content": "a"}, "finish_reason": "stop", "stop_reason": "END"}]});
    let mut stops = Vec::new();
    for told in [vec!["END".into()], Vec::new()] {
        let reading = Reading { stops_told: told, ..Reading::default() };
        read_answer(body.to_string().as_bytes(), reading, &mut |event| {
            if let Event::Stopped(stop) = event {
                stops.push(match stop {
                    Stop::Sequence(text) => (*text).to_owned(),
                    other => other.word().to_owned(),
                });
            }
        });
    }
    assert_eq!(stops, ["END", "end_turn"]);
}

#[test]
fn what_was_used_comes_back() {
    let usage = |usage: Tree| {
        let last = json!({"id": "x", "choices": [], "usage": usage});
        let (_, message) = read(&stream(&[delta(json!({"content": "a"})), finish("stop"), last]));
        let usage = &message["usage"];
        ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"]
            .map(|name| usage[name].as_u64().unwrap())
    };
    assert_eq!(
        usage(json!({"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107})),
        [100, 0, 0, 7]
    );
    let details = json!({"cached_tokens": 60, "cache_write_tokens": {"30m": 10, "12h": 5}});
    let all = json!({"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": 3}});
    assert_eq!(usage(all), [25, 60, 15, 7]);
    let deepseek = json!({"prompt_tokens": 100, "completion_tokens": 7, "prompt_cache_hit_tokens": 64,
        "prompt_cache_miss_tokens": 36});
    assert_eq!(usage(deepseek), [36, 64, 0, 7]);
    assert_eq!(
        usage(json!({"prompt_tokens": 1, "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 9}})),
        [0, 9, 0, 2]
    );
    let inside = json!({"choices": [{"delta": {}, "finish_reason": "stop",
        "usage": {"prompt_tokens": 5, "completion_tokens": 6}}]});
    let (_, message) = read(&stream(&[delta(json!({"content": "a"})), inside]));
    assert_eq!(message["usage"]["input_tokens"], 5);
    let (_, message) = read(&stream(&[delta(json!({"content": "a"})), finish("stop")]));
    assert_eq!(message["usage"]["input_tokens"], 11, "without any word of it the estimate stands");
}

#[test]
fn an_end_is_an_end_with_or_without_its_sign() {
    let chunks = [delta(json!({"content": "a"})), finish("stop")];
    let with = stream(&chunks);
    let without = with.strip_suffix("data: [DONE]\n\n").unwrap();
    assert_eq!(read(without).0, End::Stopped);
    assert_eq!(read(&format!(": hello\n\n{with}data: {{}}\n\n")).0, End::Stopped);
    let early = stream(&chunks[..1]);
    assert!(error_of(&early).starts_with("api_error the provider broke off"), "{}", error_of(&early));
    assert!(error_of(early.strip_suffix("data: [DONE]\n\n").unwrap()).contains("broke off"));
    assert!(error_of("").contains("broke off"));
}

#[test]
fn a_cut_anywhere_is_an_error_and_never_an_end() {
    let call = json!({"index": 0, "id": "c", "function": {"name": "Read", "arguments": "{\"a\":1}"}});
    let chunks = [
        delta(json!({"reasoning": "hm"})),
        delta(json!({"content": "a STO"})),
        delta(json!({"tool_calls": [call]})),
        finish("tool_calls"),
        json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    ];
    let whole = stream(&chunks);
    let told = whole.find("\"finish_reason\":\"tool_calls\"").unwrap();
    let reason = told + whole.get(told..).unwrap().find("\n\n").unwrap() + 2;
    for cut in 0..whole.len() {
        let part = whole.as_bytes().get(..cut).unwrap();
        assert_eq!(check(&anthropic(part, 5, false)).0, End::Open);
        let (end, message) = check(&anthropic(part, 5, true));
        // Behind the reason to stop only numbers are missing.
        assert_eq!(end, if cut < reason { End::Failed } else { End::Stopped }, "at {cut}");
        if end == End::Stopped {
            assert_eq!(message["content"].as_array().unwrap().len(), 3);
        }
    }
}

#[test]
fn errors_inside_a_stream_are_told() {
    let begun = delta(json!({"content": "a"}));
    let late = |error: Tree| error_of(&stream(&[begun.clone(), error, finish("stop")]));
    let server =
        json!({"error": {"message": "The server had an error", "type": "server_error", "code": null}});
    assert_eq!(late(server), "api_error the provider failed on this request");
    let busy = json!({"error": {"message": "Provider overloaded", "code": 529}});
    assert_eq!(late(busy), "overloaded_error the provider is overloaded, try again");
    assert!(late(json!({"error": "rate limit"})).starts_with("rate_limit_error "));
    let vllm = json!({"object": "error", "message": "maximum context length is 8192 tokens", "code": 400});
    assert!(late(vllm).starts_with("invalid_request_error prompt is too long"));
    assert!(error_of("event: error\ndata: upstream gone\n\n").starts_with("api_error "));
    assert!(error_of("data: {\"choices\":[}\n\n").starts_with("api_error the provider answered in a form"));
    assert!(error_of("data: keep-alive\n\n").contains("form that cannot be read"));
}

#[test]
fn what_is_no_stream_is_read_as_what_it_is() {
    assert!(error_of("<html><body>502 Bad Gateway</body></html>").contains("form that cannot be read"));
    assert!(error_of("Internal Server Error").starts_with("api_error "));
    assert!(error_of(" \n{\"error\":{\"message\":\"overloaded\"}}").starts_with("overloaded_error "));
    assert!(error_of("{\"detail\":[{\"msg\":\"x\"}]}").starts_with("api_error "));
    let message = json!({"role": "assistant", "content": "all at once", "reasoning_content": "hm",
        "tool_calls": [{"id": "call_1", "type": "function",
            "function": {"name": "Read", "arguments": "{}"}}]});
    let usage = json!({"prompt_tokens": 4, "completion_tokens": 5});
    let body = json!({"id": "x", "object": "chat.completion", "model": "m", "usage": usage,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]});
    let (end, told) = read(&format!("\n{body:#}"));
    assert_eq!((end, told["usage"]["input_tokens"].as_u64()), (End::Stopped, Some(4)));
    let kinds: Vec<&Tree> = told["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use"]);
}

#[test]
fn errors_have_the_words_that_the_client_acts_on() {
    let said = |status: u16, message: &str, code: &str| {
        let body = json!({"error": {"message": message, "type": "invalid_request_error", "code": code}});
        let failure = read_error(status, body.to_string().as_bytes());
        (failure.kind, failure.kind.shown().0, failure.message.into_owned())
    };
    let openai = said(
        400,
        "This model's maximum context length is 128000 tokens. However, your messages \
        resulted in 130,500 tokens.",
        "context_length_exceeded",
    );
    let expected = "prompt is too long: 130500 tokens > 128000 maximum";
    assert_eq!(openai, (Kind::PromptTooLong, 400, expected.to_owned()));
    let vllm = said(
        400,
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens \
        (8000 in the messages, 1000 in the completion).",
        "",
    );
    let expected = "input length and `max_tokens` exceed context limit: 8000 + 1000 > 8192, decrease \
        input length or `max_tokens` and try again";
    assert_eq!(vllm.2, expected);
    let llama = said(400, "request (5000 tokens) exceeds the available context size (4096 tokens)", "");
    assert_eq!(llama.2, "prompt is too long: 5000 tokens > 4096 maximum");
    let output =
        said(400, "max_tokens is too large: 64000. This model supports at most 16384 completion tokens", "");
    let expected = "max_tokens: 64000 > 16384, which is the maximum allowed number of output tokens";
    assert_eq!(output, (Kind::MaxTokens, 400, expected.to_owned()));
    for (status, message, code, kind) in [
        (401, "Incorrect API key provided: sk-proj-123", "invalid_api_key", Kind::Credentials),
        (403, "", "", Kind::Credentials),
        (429, "You exceeded your current quota", "insufficient_quota", Kind::Quota),
        (429, "Rate limit reached", "rate_limit_exceeded", Kind::RateLimited),
        (404, "The model `x` does not exist", "model_not_found", Kind::NotFound),
        (413, "", "", Kind::TooLarge),
        (400, "filtered", "content_filter", Kind::Filtered),
        (503, "The engine is currently overloaded", "", Kind::Overloaded),
        (500, "secret of org-123", "", Kind::Broken),
        (504, "", "", Kind::Timeout),
        (422, "", "", Kind::InvalidRequest),
    ] {
        let (found, _, text) = said(status, message, code);
        assert_eq!(found, kind, "{status} {message}");
        assert!(!text.contains("sk-proj") && !text.contains("org-123"), "{text}");
    }
    let named = json!({"error": {"message": "Invalid for org-123", "param": "messages[3].content"}});
    let failure = read_error(400, named.to_string().as_bytes());
    assert!(failure.message.starts_with("messages[3].content: "), "{}", failure.message);
    assert_eq!(&*failure.detail, "Invalid for org-123");
    let html = read_error(502, b"<html>gone</html>");
    assert_eq!((html.kind, &*html.detail), (Kind::Broken, "<html>gone</html>"));
    assert_eq!(read_error(529, b"").kind, Kind::Overloaded);
}

fn chunk() -> impl Strategy<Value = Tree> {
    let text = select(vec!["", "a", " STOP", "ST", "OP x", "\n\nHu", "man:", "é\"", "{\"a\":", "1}", "}"]);
    let id = select(vec!["", "call_1", "call_2"]);
    let name = select(vec!["", "Read", "Bash"]);
    let call = (0_u64..3, id, name, text.clone(), any::<bool>()).prop_map(|(index, id, name, json, full)| {
        let mut call = json!({"index": index, "function": {"name": name, "arguments": json}});
        if full {
            call["id"] = json!(id);
        }
        call
    });
    prop_oneof![
        4 => text.clone().prop_map(|text| delta(json!({"content": text}))),
        2 => text.prop_map(|text| delta(json!({"reasoning_content": text}))),
        4 => vec(call, 1..3).prop_map(|calls| delta(json!({"tool_calls": calls}))),
        1 => select(vec!["stop", "length", "tool_calls"]).prop_map(finish),
        1 => Just(json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_says_the_same(chunks in vec(chunk(), 0..12), seed in 0_u8..23, cut in 0_usize..4000) {
        let stream = stream(&chunks);
        fuzz_openai_chat_stream(&[&[seed], stream.as_bytes()].concat());
        let part = stream.as_bytes().get(..cut).unwrap_or_default();
        fuzz_openai_chat_stream(&[&[seed], part].concat());
    }

    #[test]
    fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..200)) {
        fuzz_openai_chat_stream(&bytes);
        fuzz_openai_chat_request(&bytes);
    }
}

#[test]
fn the_fuzz_corpora_replay() {
    replay("openai_chat_request", 3, fuzz_openai_chat_request);
    replay("openai_chat_stream", 3, fuzz_openai_chat_stream);
}
