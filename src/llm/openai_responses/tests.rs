//! The dialect row by row: requests as they go out, answers as they come back, and what holds for all.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::{Just, Strategy};
use serde_json::{Value as Tree, json};

use super::fuzz::{
    ORIGIN, anthropic, fuzz_openai_responses_request, fuzz_openai_responses_stream, reading, setup,
    strict_server,
};
use super::{
    CacheMarks, MidSystem, Reading, SystemPlace, Target, Translated, UnknownFields, read_answer, read_error,
    thoughts, translate,
};
use crate::corpus::replay;
use crate::llm::conversation;
use crate::llm::loss::Treatment;
use crate::llm::said::fuzz::{End, check};
use crate::llm::said::{DocumentWriter, Event, Kind};
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

fn openai() -> Target<'static> {
    Target::openai("gpt", ORIGIN)
}

fn compatible() -> Target<'static> {
    Target::compatible("m", ORIGIN)
}

fn translated(target: &Target<'_>, body: &Tree) -> Result<Translated, String> {
    let body = body.to_string();
    for flags in 0..16 {
        fuzz_openai_responses_request(&[&[flags], body.as_bytes()].concat());
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

/// The items that go out to OpenAI for these turns.
fn items(turns: &Tree) -> Tree {
    sent(&openai(), &json!({"messages": turns})).0["input"].clone()
}

fn has(losses: &[(String, Treatment)], what: &str, treatment: Treatment) {
    assert!(losses.contains(&(what.to_owned(), treatment)), "{what} is not in {losses:?}");
}

fn image() -> Tree {
    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}})
}

fn call(id: &str, name: &str) -> Tree {
    json!({"type": "tool_use", "id": id, "name": name, "input": {"path": "a \"b\"\n"}})
}

fn result(id: &str, content: Tree) -> Tree {
    json!({"type": "tool_result", "tool_use_id": id, "content": content})
}

fn text(text: &str) -> Tree {
    json!({"type": "text", "text": text})
}

fn tool(name: &str) -> Tree {
    json!({"name": name, "description": "Does it.", "input_schema": {"type": "object", "properties": {}}})
}

fn says(role: &str, content: Tree) -> Tree {
    json!({"type": "message", "role": role, "content": content})
}

fn sent_call(id: &str, name: &str) -> Tree {
    let arguments = "{\"path\":\"a \\\"b\\\"\\n\"}";
    json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
}

fn sent_result(id: &str, output: Tree) -> Tree {
    json!({"type": "function_call_output", "call_id": id, "output": output})
}

#[test]
fn system_blocks_are_instructions_or_the_first_item_without_the_attribution() {
    let system = json!([
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli"},
        {"type": "text", "text": "You are \"it\".", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Be brief."}]);
    let (tree, losses) = sent(&openai(), &json!({"system": system}));
    assert_eq!(tree["instructions"], "You are \"it\".\nBe brief.");
    assert_eq!(tree["input"], json!([says("user", json!("hi"))]));
    has(&losses, "system.attribution", Treatment::Dropped);
    let first = Target { system_place: SystemPlace::FirstItem, ..openai() };
    let (tree, _) = sent(&first, &json!({"system": system}));
    let parts = json!([{"type": "input_text", "text": "You are \"it\"."},
        {"type": "input_text", "text": "Be brief."}]);
    assert_eq!((&tree["input"][0], &tree["instructions"]), (&says("developer", parts), &Tree::Null));
    let only = json!([{"type": "text", "text": "x-anthropic-billing-header: cc"}]);
    assert!(sent(&openai(), &json!({"system": only})).0["instructions"].is_null());
}

#[test]
fn system_turns_stay_in_their_place() {
    let turns = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call("toolu_1", "Read")]},
        {"role": "system", "content": [text("mind")]},
        {"role": "user", "content": [result("toolu_1", json!("ok")), text("and?")]},
        {"role": "system", "content": "last"},
    ]);
    let expected = [
        says("user", json!("go")),
        sent_call("toolu_1", "Read"),
        says("developer", json!("mind")),
        sent_result("toolu_1", json!("ok")),
        says("user", json!("and?")),
        says("developer", json!("last")),
    ];
    assert_eq!(items(&turns), json!(expected));
    let (tree, losses) = sent(&compatible(), &json!({"messages": turns}));
    let framed = |text: &str| says("user", json!(format!("<system-reminder>\n{text}\n</system-reminder>")));
    let behind = json!([expected[0], expected[1], expected[3], framed("mind"), expected[4], framed("last")]);
    assert_eq!(tree["input"], behind, "results come first where a template may be strict");
    has(&losses, "messages.role.system", Treatment::Emulated);
}

#[test]
fn text_images_and_documents_are_parts() {
    let pdf = json!({"type": "document", "title": "T.pdf",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}});
    let there = json!({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}});
    let words = json!({"type": "document", "title": "T", "context": "c",
        "source": {"type": "text", "media_type": "text/plain", "data": "words"}});
    let turns = json!([{"role": "user", "content": [text("see"), image(),
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        pdf, there, words]}]);
    let expected = json!([
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBO"},
        {"type": "input_image", "detail": "auto", "image_url": "https://example.com/a.png"},
        {"type": "input_file", "filename": "T.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_text", "text": "[document: T]\nc\nwords"}]);
    assert_eq!(items(&turns), json!([says("user", expected)]));
    for (block, place) in [
        (image(), "messages.0.content.image: "),
        (pdf, "messages.0.content.document: "),
        (there, "messages.0.content.document.source: "),
        (
            json!({"type": "image", "source": {"type": "file", "file_id": "f"}}),
            "messages.0.content.image.source",
        ),
        (json!({"type": "of_tomorrow"}), "messages.0.content.type (of_tomorrow): "),
    ] {
        let blind = Target { images: false, ..compatible() };
        let target = if place.ends_with("image: ") { &blind } else { &compatible() };
        let message = refused(target, &json!({"messages": [{"role": "user", "content": [block]}]}));
        assert!(message.starts_with(place), "{message}");
    }
}

#[test]
fn texts_and_calls_keep_their_order() {
    let turns = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [text("I look."), call("toolu_1", "Read"), text("And "),
            text("there."), call("toolu_x00000001_call_9", "Grep"), text("So.")]},
        {"role": "user", "content": [result("toolu_x00000001_call_9", json!("two")), text("hurry"),
            result("toolu_1", json!([text("one"), text("and more")]))]},
        {"role": "assistant", "content": "Done."},
    ]);
    let model = |text: &str, phase: &str| {
        let mut item = says("assistant", json!(text));
        item["phase"] = json!(phase);
        item
    };
    let parts = json!([{"type": "input_text", "text": "one"}, {"type": "input_text", "text": "and more"}]);
    let expected = json!([
        says("user", json!("go")),
        model("I look.", "commentary"),
        sent_call("toolu_1", "Read"),
        model("And there.", "commentary"),
        sent_call("call_9", "Grep"),
        model("So.", "final_answer"),
        sent_result("call_9", json!("two")),
        says("user", json!("hurry")),
        sent_result("toolu_1", parts),
        model("Done.", "final_answer"),
    ]);
    let (tree, losses) = sent(&openai(), &json!({"messages": turns}));
    assert_eq!(tree["input"], expected);
    has(&losses, "messages.prefill", Treatment::Emulated);
    let (tree, _) = sent(&compatible(), &json!({"messages": turns}));
    assert_eq!(tree["input"][7]["output"], "one\nand more");
    assert!(!tree.to_string().contains("phase"));
}

#[test]
fn each_call_has_its_result_and_each_result_its_call() {
    let silent = json!([{"role": "assistant", "content": [call("toolu_1", "Read")]}]);
    let (tree, losses) = sent(&openai(), &json!({"messages": silent}));
    assert_eq!(tree["input"][1], sent_result("toolu_1", json!("[tool error] [no result]")));
    has(&losses, "messages.tool_result", Treatment::Emulated);
    for wrong in [json!([result("toolu_2", json!(""))]), json!([result("", json!(""))])] {
        let turns = json!([silent[0], {"role": "user", "content": wrong}]);
        let message = refused(&openai(), &json!({"messages": turns}));
        assert!(message.starts_with("messages.1.content.tool_use_id"), "{message}");
    }
    let twice = json!([{"role": "assistant", "content": [call("a", "Read"), call("a", "Read")]}]);
    assert!(refused(&openai(), &json!({"messages": twice})).starts_with("messages.0.content.id: "));
    let nine = Target { call_id_chars_max: 9, ..openai() };
    let long = json!([{"role": "assistant", "content": [call("toolu_01A09q90qw90lq917835lq9", "Read")]}]);
    let (tree, _) = sent(&nine, &json!({"messages": long}));
    assert_eq!(tree["input"][0]["call_id"].as_str().unwrap().len(), 9);
    assert_eq!(tree["input"][0]["call_id"], tree["input"][1]["call_id"]);
}

#[test]
fn images_of_results_are_in_them_or_behind_them() {
    let turns = json!([
        {"role": "assistant", "content": [call("a", "Shot"), call("b", "Shot")]},
        {"role": "user", "content": [result("a", json!([text("see"), image()])),
            result("b", json!("none")), text("well?")]},
    ]);
    let picture = json!({"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBO"});
    let out = items(&turns);
    assert_eq!(out[2]["output"], json!([{"type": "input_text", "text": "see"}, picture]));
    let (tree, losses) = sent(&compatible(), &json!({"messages": turns}));
    let label = json!({"type": "input_text", "text": "[output of the tool call a]"});
    assert_eq!(tree["input"][2]["output"], "see\n[image: it follows in the next user message]");
    assert_eq!(tree["input"][3]["output"], "none");
    assert_eq!(tree["input"][4], says("user", json!([label, picture])));
    assert_eq!(tree["input"][5], says("user", json!("well?")));
    has(&losses, "messages.content.tool_result.image", Treatment::Emulated);
}

#[test]
fn errors_of_tools_are_marked() {
    let failed = |content: Tree| {
        let mut result = result("a", content);
        result["is_error"] = json!(true);
        let turns = json!([{"role": "assistant", "content": [call("a", "Bash")]},
            {"role": "user", "content": [result]}]);
        let (tree, losses) = sent(&openai(), &json!({"messages": turns}));
        has(&losses, "messages.content.is_error", Treatment::Emulated);
        tree["input"][1]["output"].clone()
    };
    assert_eq!(failed(json!("exit 1")), "[tool error] exit 1");
    assert_eq!(failed(json!("")), "[tool error] ");
    assert_eq!(failed(json!([image()]))[0], json!({"type": "input_text", "text": "[tool error] "}));
}

#[test]
fn definitions_say_that_they_are_not_strict() {
    let mut odd = tool("mcp__a_server_with_a_name__and_a_tool_with_a_much_longer_name_than_that");
    for member in ["eager_input_streaming", "allowed_callers", "input_examples", "cache_control"] {
        odd[member] = json!({"type": "ephemeral"});
    }
    odd["type"] = json!("custom");
    let name = odd["name"].as_str().unwrap().to_owned();
    let turns = json!([{"role": "assistant", "content": [call("a", &name)]}]);
    let choice = json!({"type": "tool", "name": name});
    let members = json!({"tools": [tool("Read"), odd], "messages": turns, "tool_choice": choice});
    let translated = translated(&openai(), &body(&members)).unwrap();
    let tree: Tree = serde_json::from_slice(&translated.body).unwrap();
    let schema = json!({"type": "object", "properties": {}});
    let read = json!({"type": "function", "name": "Read", "description": "Does it.", "parameters": schema,
        "strict": false});
    assert_eq!(tree["tools"][0], read);
    assert_eq!(tree["tools"][1].as_object().unwrap().len(), 5, "nothing else of it goes out");
    let short = &tree["tools"][1]["name"];
    assert_eq!(translated.names.original(short.as_str().unwrap()), name);
    assert_eq!(tree["input"][0]["name"], *short);
    assert_eq!(tree["tool_choice"], json!({"type": "function", "name": short}));
    let mut strict = tool("Read");
    strict["strict"] = json!(true);
    assert_eq!(sent(&openai(), &json!({"tools": [strict]})).0["tools"][0]["strict"], true);
    let twice = json!({"tools": [tool("Read"), tool("Read")]});
    assert!(refused(&openai(), &twice).starts_with("tools.1.name: "));
    let few = Target { tools_max: 1, ..openai() };
    let two = json!({"tools": [tool("a"), tool("b")]});
    assert!(refused(&few, &two).starts_with("tools: there are more than 1"));
}

#[test]
fn deferred_tools_wait_until_they_are_found() {
    let deferred = |name: &str| {
        let mut tool = tool(name);
        tool["defer_loading"] = json!(true);
        tool
    };
    let tools = json!([
        deferred("DeferredToolPlaceholder"),
        deferred("mcp__s__a"),
        deferred("mcp__s__b"),
        tool("ToolSearch"),
        deferred("mcp__s__c"),
        deferred("mcp__s__d")
    ]);
    let found = |id: &str, name: &str| result(id, json!([{"type": "tool_reference", "tool_name": name}]));
    let reference = json!({"type": "tool_reference", "name": "mcp__s__a"});
    let definition = json!({"type": "tool_definition", "definition": tool("Late")});
    let turns = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call("s1", "ToolSearch")]},
        {"role": "user", "content": [found("s1", "mcp__s__c"), text("yes")]},
        {"role": "assistant", "content": [call("x", "mcp__s__b")]},
        {"role": "user", "content": [result("x", json!("ok"))]},
        {"role": "system", "content": [{"type": "tool_addition", "tool": reference},
            {"type": "tool_addition", "tool": definition},
            {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "mcp__s__c"}}]}]);
    let names = |tools: &Tree| -> Vec<String> {
        let tools = tools.as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };
    let members = json!({"tools": tools, "messages": turns});
    let (tree, losses) = sent(&openai(), &members);
    assert_eq!(names(&tree["tools"]), ["ToolSearch", "mcp__s__c", "mcp__s__b", "mcp__s__a", "Late"]);
    assert_eq!(tree["input"][2]["output"], "[tool available: mcp__s__c]");
    assert_eq!(tree["input"][6]["content"][2]["text"], "[tool no longer available: mcp__s__c]");
    has(&losses, "tools.defer_loading", Treatment::Emulated);
    has(&losses, "messages.content.tool_change", Treatment::Emulated);
    let in_place = Target { found_in_place: true, ..openai() };
    let (tree, losses) = sent(&in_place, &members);
    assert_eq!(names(&tree["tools"]), ["ToolSearch"], "what stands in front never changes");
    let kinds: Vec<&str> =
        tree["input"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "message",
            "function_call",
            "function_call_output",
            "additional_tools",
            "message",
            "additional_tools",
            "function_call",
            "function_call_output",
            "message",
            "additional_tools"
        ]
    );
    assert_eq!(names(&tree["input"][3]["tools"]), ["mcp__s__c"]);
    assert_eq!(tree["input"][3]["role"], "developer");
    assert_eq!(names(&tree["input"][9]["tools"]), ["mcp__s__a", "Late"]);
    has(&losses, "tools.defer_loading", Treatment::Emulated);
}

#[test]
fn choices_of_tools_are_told_or_worked_around() {
    let tools = json!([tool("Read"), tool("Grep")]);
    for (kind, word) in [("auto", "auto"), ("any", "required"), ("none", "none")] {
        let members = json!({"tools": tools, "tool_choice": {"type": kind}});
        assert_eq!(sent(&openai(), &members).0["tool_choice"], word);
    }
    let named = json!({"tools": tools, "tool_choice": {"type": "tool", "name": "Grep"}});
    let function = json!({"type": "function", "name": "Grep"});
    assert_eq!(sent(&openai(), &named).0["tool_choice"], function);
    let unable = Target { named_choice: false, ..compatible() };
    let (tree, losses) = sent(&unable, &named);
    assert_eq!((&tree["tool_choice"], tree["tools"].as_array().unwrap().len()), (&json!("required"), 1));
    has(&losses, "tool_choice.tool", Treatment::Emulated);
    let unknown = json!({"tools": tools, "tool_choice": {"type": "tool", "name": "Write"}});
    assert_eq!(refused(&openai(), &unknown), "tool_choice.name: there is no tool of this name");
    assert!(refused(&openai(), &json!({"tool_choice": {"type": "any"}})).starts_with("tool_choice: "));
    assert!(sent(&openai(), &json!({"tool_choice": {"type": "auto"}})).0["tool_choice"].is_null());
    let one = json!({"tools": [tool("Read")],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    assert_eq!(sent(&openai(), &one).0["parallel_tool_calls"], false);
    let unable = Target { parallel_switch: false, ..compatible() };
    let (tree, losses) = sent(&unable, &one);
    assert!(tree["parallel_tool_calls"].is_null());
    has(&losses, "tool_choice.disable_parallel_tool_use", Treatment::Dropped);
}

#[test]
fn stop_sequences_are_left_to_the_writer() {
    let members = body(&json!({"stop_sequences": ["a\n", "b", "c", "d", "e"]}));
    let out = translated(&openai(), &members).unwrap();
    assert_eq!((out.stops_left.len(), out.stops_told.len()), (5, 0));
    assert!(!String::from_utf8(out.body).unwrap().contains("stop"));
    assert_eq!((out.losses.kinds()[0].treatment, out.losses.kinds()[0].times), (Treatment::Enforced, 5));
}

#[test]
fn thinking_is_asked_for_in_the_models_levels() {
    let reasoning = |members: Tree, target: &Target<'_>| {
        let (tree, _) = sent(target, &members);
        (tree["reasoning"].clone(), tree["include"].clone())
    };
    let encrypted = json!(["reasoning.encrypted_content"]);
    let adaptive = json!({"thinking": {"type": "adaptive"}});
    let expected = (json!({"effort": "high", "summary": "auto"}), encrypted.clone());
    assert_eq!(reasoning(adaptive.clone(), &openai()), expected);
    let omitted = json!({"thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "max"}});
    assert_eq!(reasoning(omitted, &openai()), (json!({"effort": "xhigh"}), encrypted.clone()));
    let disabled = json!({"thinking": {"type": "disabled"}});
    assert_eq!(reasoning(disabled, &openai()), (json!({"effort": "none"}), encrypted.clone()));
    for (budget, level) in [(1024, "low"), (10_000, "medium"), (31_999, "high"), (60_000, "xhigh")] {
        let members = json!({"thinking": {"type": "enabled", "budget_tokens": budget}});
        assert_eq!(reasoning(members, &openai()).0["effort"], level);
    }
    assert_eq!(reasoning(json!({}), &openai()), (Tree::Null, encrypted));
    assert_eq!(reasoning(adaptive, &compatible()), (Tree::Null, Tree::Null));
    let odd = refused(&openai(), &json!({"output_config": {"effort": "huge"}}));
    assert!(odd.starts_with("output_config.effort: "), "{odd}");
}

#[test]
fn thoughts_go_back_to_whom_they_belong() {
    let own = thoughts::wrap(ORIGIN, "rs_1", "gAAA");
    let other = thoughts::wrap(&super::origin("other"), "rs_2", "gBBB");
    let thinking =
        |text: &str, signature: &str| json!({"type": "thinking", "thinking": text, "signature": signature});
    let turns = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": [
        thinking("mine", &own), thinking("another provider's", &other),
        thinking("Claude's", "EqQBCgIYAhIk"), thinking("unsigned", ""),
        {"type": "redacted_thinking", "data": "EmwKAhgB"},
        text("so"), thinking("", &own), call("a", "Read"), thinking("cut off", &own)]}]);
    let (tree, losses) = sent(&openai(), &json!({"messages": turns}));
    let summary = json!([{"type": "summary_text", "text": "mine"}]);
    let reasoning = |summary: Tree| {
        let mut item = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA"});
        item["summary"] = summary;
        item
    };
    assert_eq!(tree["input"][1], reasoning(summary));
    assert_eq!(tree["input"][2]["content"], "so");
    assert_eq!(tree["input"][3], reasoning(json!([])));
    assert_eq!(tree["input"][4]["type"], "function_call");
    assert_eq!(tree["input"][5]["type"], "function_call_output", "a thought of nothing stays out");
    assert_eq!(tree["input"].as_array().unwrap().len(), 6);
    has(&losses, "messages.content.thinking", Treatment::Dropped);
    has(&losses, "messages.content.redacted_thinking", Treatment::Dropped);
    assert!(!tree.to_string().contains("gBBB") && !tree.to_string().contains("EqQB"));
    let open = Target { reasoning_back: true, ..compatible() };
    let bare = signature::tag(ORIGIN, b"");
    let turns = json!([{"role": "assistant", "content": [thinking("words", &bare), text("so")]}]);
    let (tree, _) = sent(&open, &json!({"messages": turns}));
    let content = json!([{"type": "reasoning_text", "text": "words"}]);
    let expected = json!({"type": "reasoning", "id": "rs_0", "summary": [], "content": content});
    assert_eq!(tree["input"][0], expected);
    let (tree, _) = sent(&openai(), &json!({"messages": turns}));
    assert_eq!(tree["input"].as_array().unwrap().len(), 1, "without its encrypted form it is of no use");
}

#[test]
fn the_last_four_cache_marks_become_breakpoints() {
    let marked = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    let mut marked_result = result("a", json!("ok"));
    marked_result["cache_control"] = json!({"type": "ephemeral", "ttl": "1h"});
    let members = json!({"system": [marked("s1"), marked("s2")], "messages": [
        {"role": "user", "content": [marked("u1"), text("plain")]},
        {"role": "assistant", "content": [call("a", "Read")]},
        {"role": "user", "content": [marked_result, marked("u2")]}]});
    let target = Target {
        cache_marks: CacheMarks::Breakpoints,
        system_place: SystemPlace::FirstItem,
        cache_key: Some("k"),
        ..openai()
    };
    let (tree, _) = sent(&target, &members);
    assert_eq!(tree["prompt_cache_key"], "k");
    let mark = json!({"mode": "explicit"});
    let at = |item: usize, member: &str, part: usize| {
        tree["input"][item][member][part]["prompt_cache_breakpoint"].clone()
    };
    assert_eq!([at(0, "content", 0), at(0, "content", 1)], [Tree::Null, mark.clone()]);
    assert_eq!([at(1, "content", 0), at(1, "content", 1)], [mark.clone(), Tree::Null]);
    assert_eq!([at(3, "output", 0), at(4, "content", 0)], [mark.clone(), mark]);
    assert_eq!(tree["input"][3]["output"][0]["text"], "ok");
    let (tree, losses) = sent(&openai(), &members);
    assert!(!tree.to_string().contains("cache"));
    has(&losses, "cache_control", Treatment::Emulated);
}

#[test]
fn nobody_learns_who_the_user_is() {
    let user = "{\"device_id\":\"d\",\"account_uuid\":\"a\",\"session_id\":\"s\"}";
    let members = json!({"metadata": {"user_id": user, "team": "x"}});
    let target = Target { user: Some(("safety_identifier", "u_5f")), ..openai() };
    let (tree, losses) = sent(&target, &members);
    assert_eq!(tree["safety_identifier"], "u_5f");
    assert!(!tree.to_string().contains("device_id") && tree["user"].is_null() && tree["metadata"].is_null());
    has(&losses, "metadata.user_id", Treatment::Emulated);
    has(&losses, "metadata.team", Treatment::Dropped);
    has(&sent(&openai(), &members).1, "metadata.user_id", Treatment::Dropped);
}

#[test]
fn the_form_of_the_answer_is_told_as_it_is() {
    let schema = json!({"type": "object", "properties": {"a": {}}, "required": []});
    let plain = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let format = |strict: bool| {
        let mut members = plain.clone();
        members["output_config"]["format"]["strict"] = json!(strict);
        members
    };
    let expected = |strict: bool| {
        let mut format = json!({"type": "json_schema", "name": "answer", "schema": schema});
        format["strict"] = json!(strict);
        json!({"format": format})
    };
    assert_eq!(sent(&openai(), &plain).0["text"], expected(false));
    assert_eq!(sent(&openai(), &format(true)).0["text"], expected(true));
    let unable = Target { json_schema: false, ..compatible() };
    assert!(refused(&unable, &plain).starts_with("output_config.format: "));
}

#[test]
fn searches_of_the_web_are_the_providers() {
    let search = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 8,
        "allowed_domains": ["e.com"], "user_location": {"type": "approximate", "country": "DE"}});
    let members = json!({"tools": [search], "tool_choice": {"type": "auto"}});
    let (tree, losses) = sent(&openai(), &members);
    let expected = json!([{"type": "web_search", "filters": {"allowed_domains": ["e.com"]},
        "user_location": {"type": "approximate", "country": "DE"}}]);
    assert_eq!((&tree["tools"], &tree["max_tool_calls"]), (&expected, &json!(8)));
    assert_eq!(tree["include"][1], "web_search_call.action.sources");
    assert_eq!(tree["tool_choice"], "auto");
    has(&losses, "tools.web_search", Treatment::Emulated);
    let mut named = members.clone();
    named["tool_choice"] = json!({"type": "tool", "name": "web_search"});
    let only = json!([{"type": "web_search"}]);
    let expected = json!({"type": "allowed_tools", "mode": "required", "tools": only});
    assert_eq!(sent(&openai(), &named).0["tool_choice"], expected);
    let mut barred = members.clone();
    barred["tools"][0]["blocked_domains"] = json!(["f.com"]);
    for unknown in [UnknownFields::Refuse, UnknownFields::Drop] {
        let message = refused(&Target { unknown, ..openai() }, &barred);
        assert!(message.starts_with("tools.blocked_domains: "), "{message}");
    }
    let none = json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]});
    let message = refused(&compatible(), &none);
    assert!(message.starts_with("tools.0.type (web_search_20250305): "), "{message}");
    let other = json!({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]});
    let message = refused(&openai(), &other);
    assert!(message.starts_with("tools.0.type (code_execution_20250825): "), "{message}");
    let by_gateway = Target { handled: &["web_search_20250305"], ..openai() };
    let (tree, losses) = sent(&by_gateway, &none);
    assert!(tree["tools"].is_null());
    has(&losses, "tools.web_search_20250305", Treatment::Enforced);
}

#[test]
fn the_provider_compacts_and_gets_back_what_it_made() {
    let compact = json!({"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 150_000}});
    let clear = json!({"type": "clear_thinking_20251015", "keep": "all"});
    let (tree, losses) = sent(&openai(), &json!({"context_management": {"edits": [clear, compact]}}));
    let expected = json!([{"type": "compaction", "compact_threshold": 150_000}]);
    assert_eq!(tree["context_management"], expected);
    has(&losses, "context_management.compact", Treatment::Emulated);
    has(&losses, "context_management", Treatment::Dropped);
    let only = json!({"context_management": {"edits": [clear]}});
    assert!(sent(&openai(), &only).0["context_management"].is_null());
    let both = json!({"context_management": {"edits": [compact]}});
    let (tree, losses) = sent(&compatible(), &both);
    assert!(tree["context_management"].is_null());
    has(&losses, "context_management", Treatment::Dropped);
    let made = json!({"type": "compaction", "content": thoughts::wrap(ORIGIN, "cmp_1", "gCCC")});
    let turns = |made: &Tree| {
        json!([{"role": "user", "content": "long ago"},
            {"role": "assistant", "content": [text("old"), made, text("new")]},
            {"role": "user", "content": "go on"}])
    };
    let out = items(&turns(&made));
    let expected = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gCCC"});
    assert_eq!((&out[0], out.as_array().unwrap().len()), (&expected, 3), "it stands for what was before");
    let words = json!({"type": "compaction", "content": "Claude's own words"});
    assert_eq!(items(&turns(&words))[0]["content"], "long ago");
}

#[test]
fn terms_of_anthropics_are_dropped_with_a_note_and_the_rest_is_refused_by_its_name() {
    let names = ["cache_control", "service_tier", "speed", "inference_geo", "container", "fallbacks", "tags"];
    let members: serde_json::Map<String, Tree> =
        names.iter().map(|name| ((*name).to_owned(), json!({"x": 1}))).collect();
    let (tree, losses) = sent(&openai(), &Tree::Object(members));
    assert_eq!(tree, sent(&openai(), &json!({})).0, "nothing of them goes out");
    names.iter().for_each(|name| has(&losses, name, Treatment::Dropped));
    for (members, place) in [
        (json!({"safeguards": [{"type": "dangerous_tool_use"}]}), "safeguards: "),
        (json!({"mcp_servers": [{"url": "https://e.com"}]}), "mcp_servers: "),
        (json!({"of_tomorrow": true}), "of_tomorrow: "),
    ] {
        let message = refused(&openai(), &members);
        assert!(message.starts_with(place), "{message}");
        assert!(message.contains("the provider of this model does not take this"), "{message}");
    }
    let target = Target { handled: &["safeguards"], unknown: UnknownFields::Drop, ..openai() };
    let (_, losses) = sent(&target, &json!({"safeguards": [{}], "of_tomorrow": 1}));
    has(&losses, "safeguards", Treatment::Enforced);
    has(&losses, "of_tomorrow", Treatment::Dropped);
}

#[test]
fn the_rest_is_told_by_the_names_of_the_dialect() {
    let members = json!({"stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "max_tokens": 64000});
    let (tree, losses) = sent(&Target { max_tokens_max: Some(16384), ..openai() }, &members);
    let input = json!([says("user", json!("hi"))]);
    let expected = json!({"model": "gpt", "stream": true, "store": false, "max_output_tokens": 16384,
        "include": ["reasoning.encrypted_content"], "input": input});
    assert_eq!(tree, expected);
    has(&losses, "max_tokens", Treatment::Clamped);
    has(&losses, "temperature", Treatment::Dropped);
    let (tree, losses) = sent(&Target { top_k: true, ..compatible() }, &members);
    let expected = json!({"model": "m", "stream": true, "store": false, "max_output_tokens": 64000,
        "temperature": 0.5, "top_p": 0.9, "top_k": 5, "input": input});
    assert_eq!((tree, losses), (expected, Vec::new()));
}

// === prompt caches ===

/// A conversation of a few rounds as Claude Code has them.
fn rounds() -> Vec<Tree> {
    let mut failed = result("toolu_3", json!("exit 1"));
    failed["is_error"] = json!(true);
    let own = thoughts::wrap(ORIGIN, "rs_1", "gAAA");
    vec![
        json!({"role": "user", "content": [text("<reminder>\nx\n</reminder>"), text("fix it")]}),
        json!({"role": "system", "content": [text("cwd: /src")]}),
        json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": own},
            text("I look."), call("toolu_1", "Read"), call("toolu_2", "Read")]}),
        json!({"role": "user", "content": [result("toolu_1", json!("a")),
            result("toolu_2", json!([image(), {"type": "tool_reference", "tool_name": "Late"}])),
            text("hurry")]}),
        json!({"role": "assistant", "content": [call("toolu_3", "Bash")]}),
        json!({"role": "system", "content": "the file has changed"}),
        json!({"role": "user", "content": [failed]}),
        json!({"role": "assistant", "content": [text("Done.")]}),
        json!({"role": "user", "content": "thanks"}),
        json!({"role": "system", "content": "mode: plan"}),
    ]
}

#[test]
fn each_request_begins_with_the_one_before() {
    let rounds = rounds();
    let mut late = tool("Late");
    late["defer_loading"] = json!(true);
    for (target, tools) in [
        (openai(), json!([tool("Read"), tool("Bash")])),
        (Target { found_in_place: true, ..openai() }, json!([tool("Read"), tool("Bash"), late])),
        (Target { system_place: SystemPlace::FirstItem, ..openai() }, json!([tool("Read"), tool("Bash")])),
        (compatible(), json!([tool("Read"), tool("Bash")])),
        (Target { mid_system: MidSystem::InPlace, ..compatible() }, json!([])),
    ] {
        let mut before: Vec<u8> = Vec::new();
        // Requests end with a turn of the user, or with what the system says behind it.
        for end in [2, 4, 7, 10] {
            let mut turns = rounds.get(..end).unwrap().to_vec();
            // The mark wanders with the end of the conversation, and must not change what stands before it.
            if let Some(block) = turns.last_mut().and_then(|turn| turn["content"].get_mut(0)) {
                block["cache_control"] = json!({"type": "ephemeral"});
            }
            let members = json!({"messages": turns, "tools": tools, "stream": true, "system": "s",
                "thinking": {"type": "adaptive"}, "metadata": {"user_id": "u"}});
            let now = translated(&target, &body(&members)).unwrap().body;
            let prefix = before.strip_suffix(b"]}").unwrap_or_default();
            assert!(now.starts_with(prefix) && now.len() > prefix.len() + 2, "{}", now.escape_ascii());
            before = now;
        }
    }
}

// === answers ===

/// An event under its name.
fn event(event: &Tree) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

fn stream(events: &[Tree]) -> String {
    let begun = json!({"type": "response.created", "sequence_number": 0,
        "response": {"id": "resp_1", "object": "response", "model": "gpt-5.6", "status": "in_progress",
            "error": null, "output": [], "usage": null}});
    event(&begun) + &events.iter().map(event).collect::<String>()
}

fn text_delta(index: u64, delta: &str) -> Tree {
    json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": index,
        "content_index": 0, "delta": delta, "logprobs": [], "obfuscation": "x"})
}

fn added(index: u64, item: Tree) -> Tree {
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn item_done(index: u64, item: Tree) -> Tree {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn called(id: &str, arguments: &str) -> Tree {
    json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "Read",
        "arguments": arguments, "status": "completed"})
}

fn input(index: u64, delta: &str) -> Tree {
    json!({"type": "response.function_call_arguments.delta", "item_id": "fc", "output_index": index,
        "delta": delta})
}

fn usage() -> Tree {
    json!({"input_tokens": 100, "output_tokens": 7, "total_tokens": 107, "input_tokens_details":
        {"cached_tokens": 60, "cache_write_tokens": 15,
         "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 5}},
        "output_tokens_details": {"reasoning_tokens": 3}})
}

fn completed() -> Tree {
    json!({"type": "response.completed", "response": {"id": "resp_1", "object": "response",
        "model": "gpt-5.6", "status": "completed", "error": null, "incomplete_details": null, "output": [],
        "usage": usage()}})
}

fn incomplete(reason: &str) -> Tree {
    json!({"type": "response.incomplete", "response": {"status": "incomplete", "error": null,
        "incomplete_details": {"reason": reason}, "usage": usage()}})
}

/// What the caller reads of a stream, the same for any split of it.
fn read(stream: &str) -> (End, Tree) {
    let whole = anthropic(stream.as_bytes(), stream.len().max(1), true);
    for step in 1..24 {
        assert_eq!(anthropic(stream.as_bytes(), step, true), whole, "in pieces of {step}");
    }
    check(&whole)
}

/// The message of an answer that ends well.
fn message(events: &[Tree]) -> Tree {
    let (end, message) = read(&stream(events));
    assert_eq!(end, End::Stopped, "{message}");
    message
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

#[test]
fn text_and_refusals_come_back() {
    let out = message(&[text_delta(0, "Hé"), text_delta(0, "\"l\n"), text_delta(0, "lo"), completed()]);
    assert_eq!(out["content"], json!([{"type": "text", "text": "Hé\"l\nlo"}]));
    assert_eq!((&out["stop_reason"], &out["model"]), (&json!("end_turn"), &json!("claude-opus-5")));
    let refusal = json!({"type": "response.refusal.delta", "output_index": 0, "delta": "I will not."});
    let out = message(&[refusal, completed()]);
    assert_eq!((&out["content"][0]["text"], &out["stop_reason"]), (&json!("I will not."), &json!("refusal")));
    let content = json!([{"type": "output_text", "text": "all", "annotations": []},
        {"type": "refusal", "refusal": " no"}]);
    let said = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": content});
    let out = message(&[item_done(0, said.clone()), completed()]);
    assert_eq!(out["content"][0]["text"], "all no", "words that come with the end alone");
    let out = message(&[text_delta(0, "once"), item_done(0, said), completed()]);
    assert_eq!(out["content"][0]["text"], "once", "and no words twice");
}

#[test]
fn thinking_comes_back_with_what_it_takes_to_send_it_again() {
    let summary = |part: u64, delta: &str| {
        json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "output_index": 0,
            "summary_index": part, "delta": delta})
    };
    let part = |part: u64| {
        json!({"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": part,
            "part": {"type": "summary_text", "text": ""}})
    };
    let item = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA",
        "summary": [{"type": "summary_text", "text": "hm"}, {"type": "summary_text", "text": "so"}]});
    let begun = added(0, json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"}));
    let signature = thoughts::wrap(ORIGIN, "rs_1", "gAAA");
    let expected = json!([{"type": "thinking", "thinking": "hm\n\nso", "signature": signature},
        {"type": "text", "text": "yes"}]);
    let streamed = [begun, part(0), summary(0, "h"), summary(0, "m"), part(1), summary(1, "so")];
    let rest = [item_done(0, item.clone()), text_delta(1, "yes"), completed()];
    assert_eq!(message(&[&streamed[..], &rest].concat())["content"], expected);
    assert_eq!(message(&rest)["content"], expected, "a summary that comes with the end alone");
    let mut bare = item.clone();
    bare["summary"] = json!([]);
    let out = message(&[item_done(0, bare), text_delta(1, "yes"), completed()]);
    let hidden = json!({"type": "thinking", "thinking": "", "signature": signature});
    assert_eq!(out["content"][0], hidden, "what nobody may read is kept, too");
    let open = json!({"type": "response.reasoning_text.delta", "output_index": 0, "delta": "hm"});
    let out = message(&[open.clone(), text_delta(1, "yes"), completed()]);
    assert_eq!(out["content"][0]["signature"], signature::tag(ORIGIN, b""));
    let both = [open, summary(0, "short"), item_done(0, item), text_delta(1, "yes"), completed()];
    assert_eq!(message(&both)["content"][0]["thinking"], "hm", "the same is not told twice");
    // And the way back.
    let again = json!([{"role": "user", "content": "go"},
        {"role": "assistant", "content": expected}]);
    let out = items(&again);
    assert_eq!((&out[1]["id"], &out[1]["encrypted_content"]), (&json!("rs_1"), &json!("gAAA")));
}

#[test]
fn calls_come_back_however_their_input_comes() {
    let begun = added(0, called("call_1", ""));
    let whole = |json: &str| {
        json!({"type": "response.function_call_arguments.done", "item_id": "fc_call_1", "output_index": 0,
            "arguments": json})
    };
    let done = |json: &str| item_done(0, called("call_1", json));
    let all = "{\"a\":1}";
    let mut spark = whole(all);
    spark.as_object_mut().unwrap().remove("item_id");
    for (what, events) in [
        ("in pieces", vec![begun.clone(), input(0, "{\"a\""), input(0, ":1}"), whole(all), done(all)]),
        ("by its end alone", vec![begun.clone(), whole(all), done("{}")]),
        ("by its end, without an id", vec![begun.clone(), spark, done("")]),
        ("by the item alone", vec![begun.clone(), done(all)]),
        ("by the item, never begun", vec![done(all)]),
        ("by the beginning alone", vec![added(0, called("call_1", all)), done("{}")]),
        ("never ended", vec![begun.clone(), input(0, all)]),
        ("before its beginning", vec![input(0, all), begun.clone(), done(all)]),
    ] {
        let out = message(&[events, vec![completed()]].concat());
        let expected =
            json!([{"type": "tool_use", "id": "toolu_x00000009_call_1", "name": "Read", "input": {"a": 1}}]);
        assert_eq!((&out["content"], &out["stop_reason"]), (&expected, &json!("tool_use")), "{what}");
    }
    let out = message(&[begun, done(""), completed()]);
    assert_eq!(out["content"][0]["input"], json!({}), "no input is an empty one");
}

#[test]
fn calls_and_texts_come_back_in_their_order_and_side_by_side() {
    let events = [
        text_delta(0, "I look."),
        added(1, called("call_1", "")),
        added(2, called("call_2", "")),
        input(2, "{\"b\":"),
        input(1, "{\"a\":1}"),
        input(2, "2}"),
        item_done(2, called("call_2", "{\"b\":2}")),
        item_done(1, called("call_1", "{\"a\":1}")),
        text_delta(3, "So."),
        completed(),
    ];
    let out = message(&events);
    let kinds: Vec<&Tree> = out["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["text", "tool_use", "tool_use", "text"]);
    assert_eq!([&out["content"][1]["input"]["a"], &out["content"][2]["input"]["b"]], [&json!(1), &json!(2)]);
    let same = [item_done(0, called("c", "{}")), item_done(1, called("c", "{}")), completed()];
    let out = message(&same);
    assert_ne!(out["content"][0]["id"], out["content"][1]["id"], "two calls have two ids");
    let nameless = json!({"type": "function_call", "call_id": "c", "arguments": "{}"});
    assert!(error_of(&stream(&[item_done(0, nameless), completed()])).starts_with("api_error "));
    let broken = [added(0, called("c", "")), input(0, "{"), completed()];
    assert!(error_of(&stream(&broken)).contains("not a JSON object"));
    let many: Vec<Tree> =
        (0..300).map(|index| item_done(index, called(&format!("c{index}"), "{}"))).collect();
    assert!(error_of(&stream(&many)).contains("more tools"));
}

#[test]
fn reasons_to_stop_and_what_was_used_come_back() {
    for (reason, expected) in [("max_output_tokens", "max_tokens"), ("content_filter", "refusal")] {
        let out = message(&[text_delta(0, "a"), incomplete(reason)]);
        assert_eq!(out["stop_reason"], expected);
    }
    let cut = [added(0, called("c", "")), input(0, "{\"a"), incomplete("max_output_tokens")];
    assert_eq!(message(&cut)["stop_reason"], "max_tokens", "a call that is cut off is no error then");
    assert!(error_of(&stream(&[text_delta(0, "a"), incomplete("steered")])).contains("broke off"));
    let used = &message(&[text_delta(0, "a"), completed()])["usage"];
    let counts = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"]
        .map(|name| used[name].as_u64().unwrap());
    assert_eq!(counts, [25, 60, 15, 7]);
    assert_eq!(used["cache_creation"]["ephemeral_1h_input_tokens"], 5);
    let mut silent = completed();
    silent["response"]["usage"] = Tree::Null;
    let out = message(&[text_delta(0, "a"), silent]);
    assert_eq!(out["usage"]["input_tokens"], 11, "without any word of it the estimate stands");
}

#[test]
fn searches_and_compactions_come_back_as_blocks() {
    let action = json!({"type": "search", "query": "cats", "sources": [
        {"type": "url", "url": "https://e.com/\"a\""}, {"type": "api", "name": "x"}]});
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action});
    let opened = json!({"type": "web_search_call", "id": "ws_2", "status": "completed",
        "action": {"type": "open_page", "url": "https://e.com"}});
    let events = [item_done(0, search.clone()), item_done(1, opened), text_delta(2, "Found."), completed()];
    let out = message(&events);
    let expected = json!([
        {"type": "server_tool_use", "id": "srvtoolu_x00000009_0", "name": "web_search",
            "input": {"query": "cats"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_x00000009_0", "content": [
            {"type": "web_search_result", "url": "https://e.com/\"a\"", "title": "https://e.com/\"a\"",
                "encrypted_content": "", "page_age": null}]},
        {"type": "text", "text": "Found."}]);
    assert_eq!((&out["content"], &out["stop_reason"]), (&expected, &json!("end_turn")));
    assert_eq!(out["usage"]["server_tool_use"]["web_search_requests"], 1);
    let mut charged = completed();
    charged["response"]["tool_usage"] = json!({"web_search": {"num_requests": 3}});
    let used = message(&[item_done(0, search), charged])["usage"].clone();
    assert_eq!(used["server_tool_use"]["web_search_requests"], 3);
    let made = json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gCCC"});
    let out = message(&[item_done(0, made), text_delta(1, "on"), completed()]);
    let content = thoughts::wrap(ORIGIN, "cmp_1", "gCCC");
    assert_eq!(out["content"][0], json!({"type": "compaction", "content": content}));
}

#[test]
fn failures_inside_a_stream_are_told() {
    let late = |error: Tree| error_of(&stream(&[text_delta(0, "a"), error, completed()]));
    let failed = |code: &str, text: &str| {
        json!({"type": "response.failed", "response": {"status": "failed", "error":
            {"code": code, "message": text}, "output": []}})
    };
    assert_eq!(late(failed("server_error", "org-123")), "api_error the provider failed on this request");
    assert!(late(failed("rate_limit_exceeded", "")).starts_with("rate_limit_error "));
    assert!(late(failed("invalid_prompt", "flagged")).starts_with("invalid_request_error "));
    let window = failed("context_length_exceeded", "Your input exceeds the context window of this model.");
    assert_eq!(late(window), "invalid_request_error prompt is too long");
    let event = json!({"type": "error", "code": "server_error", "message": "x", "param": null,
        "sequence_number": 3});
    assert_eq!(late(event), "api_error the provider failed on this request");
    let nested = json!({"type": "error", "error": {"type": "tokens", "code": "rate_limit_exceeded"}});
    assert!(late(nested).starts_with("rate_limit_error "));
    assert!(error_of("data: {\"error\":{\"message\":\"overloaded\"}}\n\n").starts_with("overloaded_error "));
    assert!(error_of("event: error\ndata: upstream gone\n\n").starts_with("api_error "));
    assert!(error_of("data: {\"type\":}\n\n").contains("form that cannot be read"));
    assert!(error_of("<html><body>502 Bad Gateway</body></html>").contains("form that cannot be read"));
}

#[test]
fn a_cut_anywhere_is_an_error_and_never_an_end() {
    let item = json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA", "summary": []});
    let events = [
        item_done(0, item),
        text_delta(1, "a STO"),
        added(2, called("c", "")),
        input(2, "{\"a\":1}"),
        item_done(2, called("c", "{\"a\":1}")),
        completed(),
    ];
    let whole = stream(&events);
    for cut in 0..whole.len() {
        let part = whole.as_bytes().get(..cut).unwrap();
        assert_eq!(check(&anthropic(part, 5, false)).0, End::Open, "at {cut}");
        assert_eq!(check(&anthropic(part, 5, true)).0, End::Failed, "at {cut}");
    }
    assert_eq!(read(&whole).0, End::Stopped);
    assert_eq!(read(&format!("{whole}data: [DONE]\n\n")).0, End::Stopped);
    let without = whole.find("event: response.completed").unwrap();
    let done = format!("{}data: [DONE]\n\n", whole.get(..without).unwrap());
    assert!(error_of(&done).contains("broke off"), "a sign of another dialect is no end");
    assert!(error_of("").contains("broke off"));
}

#[test]
fn a_document_says_what_a_stream_says() {
    let summary = json!([{"type": "summary_text", "text": "hm"}]);
    let output = json!([
        {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAA"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "I look.", "annotations": []}]},
        called("call_1", "{\"a\":1}")]);
    let mut body = json!({"id": "resp_1", "object": "response", "model": "gpt", "status": "completed",
        "error": null, "incomplete_details": null, "output": output, "usage": usage()});
    let document = |body: &Tree| {
        let mut writer = DocumentWriter::new(setup());
        read_answer(body.to_string().as_bytes(), reading(), &mut |event| writer.take(event));
        writer.finish().map(|bytes| serde_json::from_slice::<Tree>(&bytes).unwrap())
    };
    let told = document(&body).unwrap();
    assert_eq!(told["content"][0]["signature"], thoughts::wrap(ORIGIN, "rs_1", "gAAA"));
    assert_eq!((&told["stop_reason"], &told["usage"]["input_tokens"]), (&json!("tool_use"), &json!(25)));
    let (end, streamed) = read(&format!("\n{body:#}"));
    assert_eq!((end, &streamed["content"]), (End::Stopped, &told["content"]));
    let last = json!({"type": "response.completed", "response": body});
    assert_eq!(message(&[last])["content"], told["content"], "a stream that has nothing but its end");
    body["status"] = json!("incomplete");
    body["incomplete_details"] = json!({"reason": "max_output_tokens"});
    assert_eq!(document(&body).unwrap()["stop_reason"], "max_tokens");
    for status in ["failed", "in_progress", "cancelled", "queued"] {
        body["status"] = json!(status);
        assert!(document(&body).is_err(), "{status}");
    }
    let error = document(&json!({"error": {"message": "x", "code": "rate_limit_exceeded"}})).unwrap_err();
    assert_eq!(error.kind, Kind::RateLimited);
    let mut seen = Vec::new();
    let names = Reading::default();
    read_answer(b"[1]", names, &mut |event| seen.push(matches!(event, Event::Failed(_))));
    assert_eq!(seen, [true]);
}

#[test]
fn errors_have_the_words_that_the_client_acts_on() {
    let said = |code: &str, text: &str| {
        let body = json!({"error": {"message": text, "type": "invalid_request_error", "code": code}});
        let failure = read_error(400, body.to_string().as_bytes());
        (failure.kind, failure.message.into_owned())
    };
    let stale = said("invalid_encrypted_content", "The encrypted content gAAA could not be verified.");
    let expected = "messages: Invalid `signature` in `thinking` block";
    assert_eq!(stale, (Kind::InvalidRequest, expected.to_owned()), "the client leaves its thinking out then");
    assert_eq!(said("context_length_exceeded", "").0, Kind::PromptTooLong);
    assert_eq!(said("cyber_policy_violation", "no").0, Kind::Filtered);
}

fn any_event() -> impl Strategy<Value = Tree> {
    let words = select(vec!["", "a", " STOP", "ST", "OP x", "\n\nHu", "man:", "é\"", "{\"a\":", "1}", "}"]);
    let index = 0_u64..4;
    prop_oneof![
        4 => (index.clone(), words.clone()).prop_map(|(index, words)| text_delta(index, words)),
        4 => (index.clone(), words.clone()).prop_map(|(index, words)| input(index, words)),
        2 => index.clone().prop_map(|index| added(index, called(&format!("c{index}"), ""))),
        2 => (index.clone(), select(vec!["", "{}", "{\"a\":1}", "{"]))
            .prop_map(|(index, json)| item_done(index, called(&format!("c{index}"), json))),
        2 => (index.clone(), words).prop_map(|(index, words)| json!({"output_index": index, "delta": words,
            "type": "response.reasoning_summary_text.delta"})),
        1 => index.prop_map(|index| item_done(index, json!({"type": "reasoning", "id": "rs",
            "summary": [], "encrypted_content": "g"}))),
        1 => select(vec!["max_output_tokens", "content_filter"]).prop_map(incomplete),
        1 => Just(completed()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_says_the_same(events in vec(any_event(), 0..12), seed in 0_u8..23, cut in 0_usize..4000) {
        let stream = stream(&events);
        fuzz_openai_responses_stream(&[&[seed], stream.as_bytes()].concat());
        let part = stream.as_bytes().get(..cut).unwrap_or_default();
        fuzz_openai_responses_stream(&[&[seed], part].concat());
    }

    #[test]
    fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..200)) {
        fuzz_openai_responses_stream(&bytes);
        fuzz_openai_responses_request(&bytes);
    }
}

#[test]
fn the_fuzz_corpora_replay() {
    replay("openai_responses_request", 3, fuzz_openai_responses_request);
    replay("openai_responses_stream", 3, fuzz_openai_responses_stream);
}
