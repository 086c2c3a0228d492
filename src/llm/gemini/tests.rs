//! The dialect row by row: requests as they go out, answers as they come back, and what holds for all.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::strategy::{Just, Strategy};
use serde_json::{Value as Tree, json};

use super::fuzz::{anthropic, fuzz_gemini_request, fuzz_gemini_stream, is_subset, strict_server};
use super::{
    ORIGIN, Reading, Target, Thinking, Translated, UnknownFields, count_body, count_path, path, read_answer,
    read_count, read_error, retry_after_ms, translate,
};
use crate::corpus::replay;
use crate::llm::conversation;
use crate::llm::loss::Treatment;
use crate::llm::said::fuzz::{End, check};
use crate::llm::said::{Event, Kind};
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
        fuzz_gemini_request(&[&[flags], body.as_bytes()].concat());
    }
    let read = conversation::read(body.as_bytes()).map_err(|refusal| refusal.to_string())?;
    translate(&read, target).map_err(|refusal| refusal.to_string())
}

/// The request that goes out, which a strict server takes, and the losses.
fn sent(target: &Target<'_>, members: &Tree) -> (Tree, Vec<(String, Treatment)>) {
    let translated = translated(target, &body(members)).unwrap();
    let tree: Tree = serde_json::from_slice(&translated.body).unwrap();
    strict_server(&tree, target.signatures);
    let losses = translated.losses.kinds().iter().map(|loss| (loss.what.to_string(), loss.treatment));
    (tree, losses.collect())
}

fn three() -> Target<'static> {
    Target::gemini_3("gemini-3.1-pro")
}

fn two() -> Target<'static> {
    Target::gemini_2("gemini-2.5-flash")
}

fn refused(target: &Target<'_>, members: &Tree) -> String {
    translated(target, &body(members)).unwrap_err()
}

/// The contents that go out for these turns.
fn contents(target: &Target<'_>, turns: &Tree) -> Tree {
    sent(target, &json!({"messages": turns})).0["contents"].clone()
}

fn has(losses: &[(String, Treatment)], what: &str, treatment: Treatment) {
    assert!(losses.contains(&(what.to_owned(), treatment)), "{what} is not in {losses:?}");
}

fn has_not(losses: &[(String, Treatment)], what: &str) {
    assert!(losses.iter().all(|(loss, _)| loss != what), "{what} is in {losses:?}");
}

fn text(text: &str) -> Tree {
    json!({"type": "text", "text": text})
}

fn image() -> Tree {
    json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}})
}

fn call(id: &str, name: &str) -> Tree {
    json!({"type": "tool_use", "id": id, "name": name, "input": {"path": "a \"b\"\n"}})
}

fn result(id: &str, content: impl Into<Tree>) -> Tree {
    json!({"type": "tool_result", "tool_use_id": id, "content": content.into()})
}

fn user(blocks: &[Tree]) -> Tree {
    json!({"role": "user", "content": blocks})
}

fn assistant(blocks: &[Tree]) -> Tree {
    json!({"role": "assistant", "content": blocks})
}

fn tool(name: &str) -> Tree {
    json!({"name": name, "description": "Does it.", "input_schema": {"type": "object",
        "properties": {"path": {"type": "string"}}, "additionalProperties": false}})
}

/// A thought under one of our signatures.
fn thought(words: &str, payload: &str) -> Tree {
    let signature = signature::tag(ORIGIN, payload.as_bytes());
    json!({"type": "thinking", "thinking": words, "signature": signature})
}

#[test]
fn paths_name_the_model_and_the_way() {
    assert_eq!(path("gemini-3.1-pro", false), "models/gemini-3.1-pro:generateContent");
    assert_eq!(path("models/gemini-3.1-pro", true), "models/gemini-3.1-pro:streamGenerateContent?alt=sse");
    assert_eq!(path("a/../b?c#d e", false), "models/a%2F..%2Fb%3Fc%23d%20e:generateContent");
}

#[test]
fn the_api_counts_what_would_be_sent() {
    let translated = translated(&three(), &body(&json!({"system": "s", "tools": [tool("Read")]}))).unwrap();
    let mut expected: Tree = serde_json::from_slice(&translated.body).unwrap();
    expected["model"] = json!("models/gemini-3.1-pro");
    let counted: Tree = serde_json::from_slice(&count_body("gemini-3.1-pro", &translated.body)).unwrap();
    assert_eq!(counted, json!({"generateContentRequest": expected}));
    assert_eq!(count_path("gemini-3.1-pro"), "models/gemini-3.1-pro:countTokens");
    assert_eq!(read_count(br#"{"totalTokens": 31, "cachedContentTokenCount": 5}"#), Some(31));
    for none in ["{\"totalTokens\": 0}", "{}", "<html>", "{\"totalTokens\": \"x\"}"] {
        assert_eq!(read_count(none.as_bytes()), None, "{none}");
    }
}

#[test]
fn system_blocks_are_the_instruction_without_the_attribution() {
    let system = json!([text("x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli"),
        {"type": "text", "text": "You are \"it\".", "cache_control": {"type": "ephemeral"}},
        text("Be brief.")]);
    let (tree, losses) = sent(&three(), &json!({"system": system}));
    let parts = json!([{"text": "You are \"it\"."}, {"text": "Be brief."}]);
    assert_eq!(tree["systemInstruction"], json!({"parts": parts}));
    has(&losses, "system.attribution", Treatment::Dropped);
    has(&losses, "cache_control", Treatment::Emulated);
    let only = json!([text("x-anthropic-billing-header: cc")]);
    assert!(sent(&three(), &json!({"system": only})).0["systemInstruction"].is_null());
    assert!(refused(&three(), &json!({"system": [image()]})).starts_with("system: "));
}

#[test]
fn system_turns_stay_in_their_place_in_a_frame() {
    let turns = json!([user(&[text("go")]), assistant(&[call("toolu_1", "Read")]),
        {"role": "system", "content": "mind"},
        user(&[result("toolu_1", json!("ok")), text("and?")]),
        {"role": "system", "content": [text("last"), text("word")]}]);
    let (tree, losses) = sent(&three(), &json!({"messages": turns}));
    let parts = tree["contents"][2]["parts"].as_array().unwrap();
    assert!(parts[0]["functionResponse"].is_object());
    let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    assert_eq!(
        texts,
        [
            "<system-reminder>\nmind\n</system-reminder>",
            "and?",
            "<system-reminder>\nlast",
            "word\n</system-reminder>"
        ]
    );
    has(&losses, "messages.role.system", Treatment::Emulated);
}

#[test]
fn turns_of_one_side_are_one_content() {
    let turns =
        json!([user(&[text("a")]), user(&[text("b")]), assistant(&[text("c")]), assistant(&[text("d")])]);
    let expected = json!([{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]},
        {"role": "model", "parts": [{"text": "c"}, {"text": "d"}]}]);
    let (tree, losses) = sent(&three(), &json!({"messages": turns}));
    assert_eq!(tree["contents"], expected);
    has(&losses, "messages.prefill", Treatment::Emulated);
    let begun = json!([assistant(&[text("c")]), user(&[text("b")])]);
    let (tree, losses) = sent(&three(), &json!({"messages": begun}));
    assert_eq!(tree["contents"][0]["role"], "user");
    has(&losses, "messages.0.role", Treatment::Emulated);
    assert_eq!(refused(&three(), &json!({"messages": []})), "messages: this field is required");
    assert!(refused(&three(), &json!({"messages": [user(&[text("")])]})).starts_with("messages: "));
}

#[test]
fn texts_images_and_files_are_parts() {
    let at = |url: &str| json!({"type": "image", "source": {"type": "url", "url": url}});
    let pdf = json!({"type": "document", "title": "T.pdf",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}});
    let far = json!({"type": "document", "source": {"type": "url", "url": "https://e.com/b"}});
    let words = json!({"type": "document", "title": "T", "context": "c",
        "source": {"type": "text", "media_type": "text/plain", "data": "words"}});
    let turns = json!([user(&[
        text("see"),
        image(),
        at("https://e.com/a.JPG?x=1"),
        pdf.clone(),
        far.clone(),
        words
    ])]);
    let expected = json!([{"text": "see"}, {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://e.com/a.JPG?x=1"}},
        {"text": "[document: T.pdf]"}, {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://e.com/b"}},
        {"text": "[document: T]\nc\nwords"}]);
    assert_eq!(contents(&three(), &turns)[0]["parts"], expected);
    let gif = json!({"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0"}});
    for (target, block, place) in [
        (three(), gif, "messages.0.content.image.source.media_type: "),
        (three(), at("https://e.com/a"), "messages.0.content.image.source: "),
        (two(), at("https://e.com/a.png"), "messages.0.content.image.source: "),
        (two(), far, "messages.0.content.document.source: "),
        (Target { images: false, ..three() }, image(), "messages.0.content.image: "),
        (Target { files: false, ..three() }, pdf, "messages.0.content.document: "),
    ] {
        let message = refused(&target, &json!({"messages": [user(&[block])]}));
        assert!(message.starts_with(place), "{message}");
    }
    let drawn = json!([user(&[text("draw")]), assistant(&[image()])]);
    assert!(refused(&three(), &json!({"messages": drawn})).starts_with("messages.1.content: "));
}

#[test]
fn calls_keep_their_order_their_names_and_their_input() {
    let odd = "7.search";
    let turns = json!([
        user(&[text("go")]),
        assistant(&[
            text("I look."),
            call("toolu_1", "Read"),
            text("And"),
            call("toolu_x00000001_fc-9", odd),
            call("toolu_s00000001_2", "Grep")
        ]),
        user(&[
            result("toolu_s00000001_2", json!("three")),
            result("toolu_x00000001_fc-9", json!("two")),
            result("toolu_1", json!([text("one"), text("and more")])),
            text("next")
        ])
    ]);
    let (tree, losses) = sent(&three(), &json!({"messages": turns}));
    let name = tree["contents"][1]["parts"][3]["functionCall"]["name"].clone();
    assert!(name.as_str().unwrap().starts_with("_7_search_"), "{name}");
    let args = json!({"path": "a \"b\"\n"});
    let expected = json!([{"text": "I look."},
        {"functionCall": {"id": "toolu_1", "name": "Read", "args": args},
            "thoughtSignature": "skip_thought_signature_validator"},
        {"text": "And"}, {"functionCall": {"id": "fc-9", "name": name, "args": args}},
        {"functionCall": {"name": "Grep", "args": args}}]);
    assert_eq!(tree["contents"][1], json!({"role": "model", "parts": expected}));
    let expected = json!([
        {"functionResponse": {"id": "toolu_1", "name": "Read", "response": {"output": "one\nand more"}}},
        {"functionResponse": {"id": "fc-9", "name": name, "response": {"output": "two"}}},
        {"functionResponse": {"name": "Grep", "response": {"output": "three"}}}, {"text": "next"}]);
    assert_eq!(tree["contents"][2]["parts"], expected, "results stand in the order of the calls");
    has(&losses, "tools.name", Treatment::Emulated);
    has(&losses, "messages.content.tool_use.signature", Treatment::Emulated);
    let (tree, losses) = sent(&two(), &json!({"messages": turns}));
    assert!(!tree.to_string().contains("thoughtSignature") && !tree.to_string().contains("\"id\""));
    has_not(&losses, "messages.content.tool_use.signature");
}

#[test]
fn each_call_has_its_result_and_each_result_its_call() {
    let silent = json!([user(&[text("go")]), assistant(&[call("toolu_1", "Read")])]);
    let (tree, losses) = sent(&three(), &json!({"messages": silent}));
    let expected = json!({"id": "toolu_1", "name": "Read", "response": {"error": "[no result]"}});
    assert_eq!(tree["contents"][2]["parts"][0]["functionResponse"], expected);
    has(&losses, "messages.tool_result", Treatment::Emulated);
    let two_turns = json!([
        user(&[text("go")]),
        assistant(&[call("toolu_1", "Read")]),
        assistant(&[call("toolu_2", "Read")])
    ]);
    assert_eq!(contents(&three(), &two_turns).as_array().unwrap().len(), 5, "the first one gets its result");
    for id in ["toolu_2", ""] {
        let turns = json!([silent[0], silent[1], user(&[result(id, json!("x"))])]);
        let message = refused(&three(), &json!({"messages": turns}));
        assert!(message.starts_with("messages.2.content.tool_use_id: "), "{message}");
    }
}

#[test]
fn errors_of_tools_are_errors() {
    let mut failed = result("a", json!("exit 1"));
    failed["is_error"] = json!(true);
    let turns = json!([user(&[text("go")]), assistant(&[call("a", "Bash")]), user(&[failed])]);
    let (tree, losses) = sent(&three(), &json!({"messages": turns}));
    let response = &tree["contents"][2]["parts"][0]["functionResponse"]["response"];
    assert_eq!(*response, json!({"error": "exit 1"}));
    has_not(&losses, "messages.content.is_error");
}

#[test]
fn images_of_results_are_inside_or_behind() {
    let far = json!({"type": "image", "source": {"type": "url", "url": "https://e.com/a.png"}});
    let turns = |blocks: Tree| {
        json!([
            user(&[text("go")]),
            assistant(&[call("a", "Shot"), call("b", "Shot")]),
            user(&[result("a", blocks), result("b", json!("none")), text("well?")])
        ])
    };
    let shown = json!([text("see"), image()]);
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "iVBO"}});
    let (tree, losses) = sent(&three(), &json!({"messages": turns(shown.clone())}));
    let parts = tree["contents"][2]["parts"].clone();
    assert_eq!(parts[0]["functionResponse"]["parts"], json!([inline]));
    let output = "see\n[image: it is part of this result]";
    assert_eq!(parts[0]["functionResponse"]["response"]["output"], output);
    assert_eq!(parts.as_array().unwrap().len(), 3);
    has_not(&losses, "messages.content.tool_result.image");
    let (tree, losses) = sent(&two(), &json!({"messages": turns(shown)}));
    let parts = tree["contents"][2]["parts"].clone();
    let output = "see\n[image: it follows the results]";
    assert_eq!(parts[0]["functionResponse"]["response"]["output"], output);
    assert!(parts[0]["functionResponse"]["parts"].is_null());
    assert_eq!([&parts[2], &parts[3]], [&json!({"text": "[output of the tool Shot]"}), &inline]);
    has(&losses, "messages.content.tool_result.image", Treatment::Emulated);
    let parts = contents(&three(), &turns(json!([far])))[2]["parts"].clone();
    assert_eq!(parts[3]["fileData"]["fileUri"], "https://e.com/a.png", "what is at an address stays behind");
}

#[test]
fn signatures_come_back_on_the_parts_that_they_are_of() {
    let turns = |blocks: &[Tree]| {
        json!([
            user(&[text("go")]),
            assistant(blocks),
            user(&[result("a", json!("x")), result("b", json!("x"))])
        ])
    };
    let both = [thought("I must look", "cAb+/=="), text("so"), call("a", "Read"), call("b", "Read")];
    let (tree, losses) = sent(&three(), &json!({"messages": turns(&both)}));
    let parts = &tree["contents"][1]["parts"];
    assert_eq!(parts[0], json!({"text": "so"}), "thoughts stay with their signature");
    assert_eq!(parts[1]["thoughtSignature"], "Ab+/==");
    assert!(parts[2]["thoughtSignature"].is_null(), "of calls beside it there is none");
    has_not(&losses, "messages.content.thinking");
    has_not(&losses, "messages.content.tool_use.signature");
    let each = [thought("", "cone"), call("a", "Read"), thought("", "ctwo"), call("b", "Read")];
    let parts = contents(&three(), &turns(&each))[1]["parts"].clone();
    assert_eq!([&parts[0]["thoughtSignature"], &parts[1]["thoughtSignature"]], ["one", "two"]);
    let own = [thought("hm", "tsig"), call("a", "Read"), call("b", "Read")];
    let parts = contents(&three(), &turns(&own))[1]["parts"].clone();
    assert_eq!(parts[0], json!({"text": "hm", "thought": true, "thoughtSignature": "sig"}));
    assert_eq!(parts[1]["thoughtSignature"], "skip_thought_signature_validator");
    let late = [call("a", "Read"), call("b", "Read"), thought("", "cnever")];
    has(
        &sent(&three(), &json!({"messages": turns(&late)})).1,
        "messages.content.thinking",
        Treatment::Dropped,
    );
}

#[test]
fn thoughts_of_others_stay_behind() {
    let other = signature::tag("openai-chat", b"cx");
    let turns = json!([
        user(&[text("go")]),
        assistant(&[
            thought("unsigned", ""),
            thought("odd", "?x"),
            json!({"type": "thinking", "thinking": "Claude's", "signature": "EqQBCgIYAhIk"}),
            json!({"type": "thinking", "thinking": "another's", "signature": other}),
            json!({"type": "redacted_thinking", "data": "EmwKAhgB"}),
            call("a", "Read")
        ])
    ]);
    let (tree, losses) = sent(&three(), &json!({"messages": turns}));
    let parts = tree["contents"][1]["parts"].as_array().unwrap();
    assert_eq!((parts.len(), &parts[0]["thoughtSignature"]), (1, &json!("skip_thought_signature_validator")));
    has(&losses, "messages.content.thinking", Treatment::Dropped);
    has(&losses, "messages.content.redacted_thinking", Treatment::Dropped);
    let elsewhere = Target { origin: "gemini-vertex", ..three() };
    let turns = json!([user(&[text("go")]), assistant(&[thought("", "cmine"), call("a", "Read")])]);
    let parts = contents(&elsewhere, &turns)[1]["parts"].clone();
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
}

#[test]
fn definitions_carry_name_description_and_schema_alone() {
    let long = "mcp__a_server_with_a_name__and_a_tool_with_a_much_longer_name_than_that";
    let mut odd = tool(long);
    for member in ["eager_input_streaming", "allowed_callers", "input_examples", "cache_control"] {
        odd[member] = json!({"type": "ephemeral"});
    }
    let members = json!({"tools": [tool("Read"), odd], "tool_choice": {"type": "tool", "name": long}});
    let translated = translated(&three(), &body(&members)).unwrap();
    let tree: Tree = serde_json::from_slice(&translated.body).unwrap();
    let list = &tree["tools"][0]["functionDeclarations"];
    let schema = tool("x")["input_schema"].clone();
    assert_eq!(list[0], json!({"name": "Read", "description": "Does it.", "parametersJsonSchema": schema}));
    assert_eq!(list[1].as_object().unwrap().len(), 3, "name, description and schema");
    let short = &list[1]["name"];
    assert_eq!(translated.names.original(short.as_str().unwrap()), long);
    let only = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [short]}});
    assert_eq!(tree["toolConfig"], only);
    let few = Target { tools_max: 1, ..three() };
    let message = refused(&few, &json!({"tools": [tool("a"), tool("b")]}));
    assert!(message.starts_with("tools: there are more than 1"), "{message}");
    let twice = json!({"tools": [tool("Read"), tool("Read")]});
    assert!(refused(&three(), &twice).starts_with("tools.1.name: "));
}

/// What the subset makes of a schema, and whether that says less.
fn subset(schema: &Tree) -> (Tree, bool) {
    let target = Target { json_schema: false, ..two() };
    let one = json!({"name": "t", "input_schema": {"type": "object", "properties": {"x": schema}}});
    let mut whole = one;
    for name in ["$defs", "definitions"] {
        if !schema[name].is_null() {
            whole["input_schema"][name] = schema[name].clone();
        }
    }
    let (tree, losses) = sent(&target, &json!({"tools": [whole]}));
    let parameters = tree["tools"][0]["functionDeclarations"][0]["parameters"].clone();
    assert!(is_subset(&parameters), "{parameters}");
    (parameters["properties"]["x"].clone(), losses.iter().any(|(what, _)| what == "tools.input_schema"))
}

#[test]
fn schemas_go_into_the_subset_where_that_is_all_there_is() {
    let node =
        json!({"$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}});
    let table = [
        (
            json!({"type": "string", "description": "d", "minLength": 1}),
            json!({"type": "string", "description": "d", "minLength": 1}),
            false,
        ),
        (
            json!({"type": "object", "additionalProperties": false, "required": ["a", "gone", "a"],
            "properties": {"a": {"type": "integer", "exclusiveMinimum": 0}, "b\"": {}}}),
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"},
                "b\"": {"type": "string"}}}),
            true,
        ),
        (json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true}), false),
        (
            json!({"type": ["string", "number"]}),
            json!({"anyOf": [{"type": "string"}, {"type": "number"}]}),
            false,
        ),
        (
            json!({"type": ["string", "array"], "items": {"type": "number"}, "description": "d"}),
            json!({"description": "d", "anyOf": [{"type": "string"},
                {"type": "array", "items": {"type": "number"}}]}),
            false,
        ),
        (json!({"const": "one", "type": "string"}), json!({"type": "string", "enum": ["one"]}), false),
        (json!({"type": "integer", "enum": [1, 2]}), json!({"type": "integer"}), true),
        (
            json!({"oneOf": [{"type": "string"},
                {"type": "object", "properties": {"k": {"type": "boolean"}}}]}),
            json!({"anyOf": [{"type": "string"},
                {"type": "object", "properties": {"k": {"type": "boolean"}}}]}),
            false,
        ),
        (
            json!({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}},
            {"properties": {"b": {"type": "string"}, "a": {"type": "number"}}, "required": ["b"]}]}),
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                "required": ["b"]}),
            false,
        ),
        (
            json!({"$ref": "#/$defs/n", "description": "mine", "$defs": {"n": {"type": "number",
            "description": "its"}}}),
            json!({"type": "number", "description": "mine"}),
            false,
        ),
        (json!({"$ref": "#/nowhere", "type": "string"}), json!({"type": "string"}), true),
        (
            json!({"type": "string", "format": "uri", "pattern": "^h"}),
            json!({"type": "string", "pattern": "^h"}),
            true,
        ),
        (json!({"type": "array"}), json!({"type": "array", "items": {"type": "string"}}), false),
    ];
    for (schema, expected, narrowed) in table {
        assert_eq!(subset(&schema), (expected, narrowed), "{schema}");
    }
    let mut holding = node;
    holding["$ref"] = json!("#/$defs/node");
    let expected = json!({"type": "object", "properties": {"next": {"type": "object"}}});
    assert_eq!(subset(&holding), (expected, true), "a schema that holds itself");
}

#[test]
fn schemas_that_grow_without_end_are_refused() {
    let mut defs = json!({"d0": {"type": "object", "description": "x".repeat(2000)}});
    for level in 1..25 {
        let below = json!({"$ref": format!("#/$defs/d{}", level - 1)});
        defs[format!("d{level}")] = json!({"type": "object", "properties": {"a": below, "b": below}});
    }
    let schema = json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/d24"}}, "$defs": defs});
    let target = Target { json_schema: false, ..two() };
    let message = refused(&target, &json!({"tools": [{"name": "t", "input_schema": schema}]}));
    assert!(message.starts_with("tools.input_schema: this is longer than"), "{message}");
    let empty = json!({"tools": [{"name": "t", "input_schema": {"type": "object", "properties": {}}}]});
    let (tree, _) = sent(&target, &empty);
    assert_eq!(tree["tools"][0]["functionDeclarations"], json!([{"name": "t"}]));
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
        tool("ToolSearch"),
        deferred("mcp__s__c")
    ]);
    let shown = |turns: &[Tree]| {
        let (tree, losses) = sent(&three(), &json!({"tools": tools, "messages": turns}));
        has(&losses, "tools.defer_loading", Treatment::Emulated);
        let list = tree["tools"][0]["functionDeclarations"].as_array().unwrap().clone();
        let names: Vec<String> = list.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        (names, tree["contents"].clone())
    };
    let mut turns = vec![user(&[text("go")])];
    assert_eq!(shown(&turns).0, ["ToolSearch"]);
    let reference = json!([{"type": "tool_reference", "tool_name": "mcp__s__c"}]);
    turns.extend([assistant(&[call("s1", "ToolSearch")]), user(&[result("s1", reference)])]);
    let (names, contents) = shown(&turns);
    assert_eq!(names, ["ToolSearch", "mcp__s__c"]);
    let response = &contents[2]["parts"][0]["functionResponse"]["response"];
    assert_eq!(response["output"], "[tool available: mcp__s__c]");
}

#[test]
fn choices_of_tools_are_modes() {
    let mode = |target: &Target<'_>, members: Tree| {
        let (tree, losses) = sent(target, &members);
        (tree["toolConfig"]["functionCallingConfig"]["mode"].as_str().unwrap_or("-").to_owned(), losses)
    };
    let tools = json!([tool("Read"), tool("Grep")]);
    for (kind, word) in [("auto", "AUTO"), ("any", "ANY"), ("none", "NONE")] {
        assert_eq!(mode(&three(), json!({"tools": tools, "tool_choice": {"type": kind}})).0, word);
    }
    assert_eq!(mode(&three(), json!({"tools": tools})).0, "-");
    let mut strict = tool("Read");
    strict["strict"] = json!(true);
    assert_eq!(mode(&three(), json!({"tools": [strict]})).0, "VALIDATED");
    let (word, losses) = mode(&two(), json!({"tools": [strict]}));
    assert_eq!(word, "AUTO");
    has(&losses, "tools.strict", Treatment::Dropped);
    let unknown = json!({"tools": tools, "tool_choice": {"type": "tool", "name": "Write"}});
    assert_eq!(refused(&three(), &unknown), "tool_choice.name: there is no tool of this name");
    assert!(refused(&three(), &json!({"tool_choice": {"type": "any"}})).starts_with("tool_choice: "));
    let single = json!({"tools": tools, "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    let (_, losses) = mode(&three(), single);
    has(&losses, "tool_choice.disable_parallel_tool_use", Treatment::Dropped);
}

#[test]
fn the_web_is_searched_by_google_or_not_at_all() {
    let search = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 8});
    let (tree, losses) = sent(&three(), &json!({"tools": [search], "tool_choice": {"type": "auto"}}));
    assert_eq!((&tree["tools"], &tree["toolConfig"]), (&json!([{"googleSearch": {}}]), &Tree::Null));
    has(&losses, "tools.web_search", Treatment::Emulated);
    has(&losses, "tools.max_uses", Treatment::Dropped);
    let forced = json!({"tools": [search], "tool_choice": {"type": "tool", "name": "web_search"}});
    has(&sent(&three(), &forced).1, "tool_choice", Treatment::Dropped);
    let mut narrow = search.clone();
    narrow["allowed_domains"] = json!(["e.com"]);
    let unable = Target { google_search: false, ..three() };
    let fetch = json!({"type": "web_fetch_20250910", "name": "web_fetch"});
    let plain = json!({"type": "web_search_20250305", "name": "web_search"});
    for (target, tools, place) in [
        (three(), json!([narrow]), "tools.allowed_domains: "),
        (three(), json!([search, tool("Read")]), "tools.web_search: "),
        (three(), json!([fetch]), "tools.0.type (web_fetch_20250910): "),
        (unable.clone(), json!([search]), "tools.0.type (web_search_20250305): "),
        (unable, json!([plain]), "tools.0.type (web_search_20250305): "),
    ] {
        let message = refused(&target, &json!({"tools": tools}));
        assert!(message.starts_with(place), "{message}");
    }
}

#[test]
fn five_stop_sequences_are_told_and_the_rest_is_enforced() {
    let members = body(&json!({"stop_sequences": ["a\n", "b", "c", "d", "e", "f"]}));
    let six = translated(&three(), &members).unwrap();
    let tree: Tree = serde_json::from_slice(&six.body).unwrap();
    assert_eq!(tree["generationConfig"]["stopSequences"], json!(["a\n", "b", "c", "d", "e"]));
    assert_eq!((six.stops_left, six.stops_told.len()), (vec!["f".into()], 5));
    let treatments: Vec<_> = six.losses.kinds().iter().map(|loss| loss.treatment).collect();
    assert_eq!(treatments, [Treatment::Enforced, Treatment::Emulated]);
}

#[test]
fn thinking_is_told_in_levels_or_tokens() {
    let config = |thinking: Thinking<'_>, members: Tree| {
        let (tree, losses) = sent(&Target { thinking, ..three() }, &members);
        let config = tree["generationConfig"]["thinkingConfig"].clone();
        let how = if config["thinkingLevel"].is_null() {
            &config["thinkingBudget"]
        } else {
            &config["thinkingLevel"]
        };
        (how.to_string(), config["includeThoughts"].as_bool(), losses)
    };
    let thinking = |thinking: Tree| json!({"thinking": thinking});
    let adaptive = || thinking(json!({"type": "adaptive"}));
    let off = || thinking(json!({"type": "disabled"}));
    let budget = |tokens: u64| thinking(json!({"type": "enabled", "budget_tokens": tokens}));
    let effort = |word: &str| json!({"output_config": {"effort": word}});
    let levels = Thinking::Levels(&["minimal", "low", "medium", "high"]);
    let tokens = Thinking::Budget { least: 128, most: 24_576, off: true };
    let always = Thinking::Budget { least: 128, most: 32_768, off: false };
    for (how, members, expected, shown) in [
        (levels, json!({}), "null", None),
        (levels, adaptive(), "\"HIGH\"", Some(true)),
        (levels, off(), "\"MINIMAL\"", Some(false)),
        (levels, budget(10_000), "\"MEDIUM\"", Some(true)),
        (levels, effort("low"), "\"LOW\"", Some(false)),
        (levels, effort("max"), "\"HIGH\"", Some(false)),
        (levels, thinking(json!({"type": "adaptive", "display": "omitted"})), "\"HIGH\"", Some(false)),
        (tokens, json!({}), "null", None),
        (tokens, adaptive(), "-1", Some(true)),
        (tokens, off(), "0", Some(false)),
        (tokens, budget(10_000), "10000", Some(true)),
        (tokens, budget(60_000), "24576", Some(true)),
        (tokens, effort("low"), "4096", Some(false)),
        (tokens, effort("max"), "24576", Some(false)),
        (always, off(), "128", Some(false)),
        (Thinking::Never, adaptive(), "null", None),
    ] {
        let (told, include, losses) = config(how, members.clone());
        assert_eq!((&*told, include), (expected, shown), "{how:?} {members}");
        if how == tokens && expected == "24576" {
            has(&losses, "thinking.budget_tokens", Treatment::Clamped);
        }
        if how == Thinking::Never {
            has(&losses, "output_config.effort", Treatment::Dropped);
        }
    }
    let odd = refused(&three(), &effort("huge"));
    assert!(odd.starts_with("output_config.effort: "), "{odd}");
}

#[test]
fn the_form_of_the_answer_is_told_as_it_is() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string", "const": "x"}},
        "additionalProperties": false});
    let members = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}});
    let (tree, _) = sent(&three(), &members);
    let config = &tree["generationConfig"];
    assert_eq!(config["responseMimeType"], "application/json");
    assert_eq!(config["responseJsonSchema"], schema);
    let (tree, losses) = sent(&Target { json_schema: false, ..two() }, &members);
    let expected = json!({"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}});
    assert_eq!(tree["generationConfig"]["responseSchema"], expected);
    has(&losses, "output_config.format.schema", Treatment::Emulated);
}

#[test]
fn nobody_learns_who_the_user_is() {
    let user = "{\"device_id\":\"d\",\"account_uuid\":\"a\",\"session_id\":\"s\"}";
    let members = json!({"metadata": {"user_id": user, "team": "x"}});
    let (tree, losses) = sent(&Target { label: Some(("caller", "u_5f")), ..three() }, &members);
    assert_eq!(tree["labels"], json!({"caller": "u_5f"}));
    assert!(!tree.to_string().contains("device_id"));
    has(&losses, "metadata.user_id", Treatment::Emulated);
    let (tree, losses) = sent(&three(), &members);
    assert!(tree["labels"].is_null() && !tree.to_string().contains("device_id"));
    has(&losses, "metadata.user_id", Treatment::Dropped);
    has(&losses, "metadata.team", Treatment::Dropped);
}

#[test]
fn what_is_anthropics_is_dropped_or_refused_by_its_name() {
    let names = ["context_management", "service_tier", "speed", "inference_geo", "container", "tags"];
    let members: serde_json::Map<String, Tree> =
        names.iter().map(|name| ((*name).to_owned(), json!({"x": 1}))).collect();
    let (tree, losses) = sent(&three(), &Tree::Object(members));
    assert_eq!(tree, sent(&three(), &json!({})).0, "nothing of them goes out");
    names.iter().for_each(|name| has(&losses, name, Treatment::Dropped));
    for (members, place) in [
        (json!({"safeguards": [{"type": "dangerous_tool_use"}]}), "safeguards: "),
        (json!({"mcp_servers": [{"url": "https://e.com"}]}), "mcp_servers: "),
        (json!({"of_tomorrow": true}), "of_tomorrow: "),
        (
            json!({"messages": [user(&[json!({"type": "of_tomorrow"})])]}),
            "messages.0.content.type (of_tomorrow): ",
        ),
    ] {
        let message = refused(&three(), &members);
        assert!(message.starts_with(place), "{message}");
    }
    let target = Target { handled: &["safeguards"], unknown: UnknownFields::Drop, ..three() };
    let (_, losses) = sent(&target, &json!({"safeguards": [{}], "of_tomorrow": 1}));
    has(&losses, "safeguards", Treatment::Enforced);
    has(&losses, "of_tomorrow", Treatment::Dropped);
}

#[test]
fn the_rest_is_told_by_the_names_of_the_server() {
    let members =
        json!({"stream": true, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "max_tokens": 128_000});
    let (tree, losses) = sent(&three(), &members);
    let config = json!({"maxOutputTokens": 65_536, "temperature": 0.5, "topP": 0.9, "topK": 5});
    let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    assert_eq!(tree, json!({"generationConfig": config, "contents": contents}));
    has(&losses, "max_tokens", Treatment::Clamped);
}

// === prompt caches ===

/// A conversation of a few rounds as Claude Code has them.
fn rounds() -> Vec<Tree> {
    let mut failed = result("toolu_3", json!("exit 1"));
    failed["is_error"] = json!(true);
    vec![
        user(&[text("<reminder>\nx\n</reminder>"), text("fix it")]),
        json!({"role": "system", "content": [text("cwd: /src")]}),
        assistant(&[
            thought("hm", "csig"),
            text("I look."),
            call("toolu_1", "Read"),
            call("toolu_2", "Read"),
        ]),
        user(&[result("toolu_1", json!("a")), result("toolu_2", json!([image()])), text("hurry")]),
        assistant(&[call("toolu_3", "Bash")]),
        json!({"role": "system", "content": "the file has changed"}),
        user(&[failed]),
        assistant(&[text("Done.")]),
        user(&[text("thanks")]),
        json!({"role": "system", "content": "mode: plan"}),
    ]
}

#[test]
fn each_request_begins_with_the_one_before() {
    let rounds = rounds();
    for target in [three(), two(), Target { json_schema: false, ..two() }] {
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

// === answers ===

/// A document with these parts.
fn chunk(parts: &[Tree]) -> Tree {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
        "modelVersion": "gemini-3.1-pro", "responseId": "r1"})
}

fn finish(reason: &str) -> Tree {
    json!({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "finishReason": reason}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4}})
}

fn stream(chunks: &[Tree]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
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
fn message(chunks: &[Tree]) -> Tree {
    let (end, message) = read(&stream(chunks));
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

fn made(call: impl Into<Tree>) -> Tree {
    json!({"functionCall": call.into()})
}

fn signed(mut part: Tree, signature: &str) -> Tree {
    part["thoughtSignature"] = json!(signature);
    part
}

#[test]
fn text_and_thoughts_come_back() {
    let chunks = [
        chunk(&[json!({"text": "h", "thought": true})]),
        chunk(&[json!({"text": "mm", "thought": true}), json!({"text": "Hé"})]),
        chunk(&[json!({"text": "\"l\nlo"}), signed(json!({"text": ""}), "of the text")]),
        finish("STOP"),
    ];
    let message = message(&chunks);
    let expected = json!([{"type": "thinking", "thinking": "hmm", "signature": signature::tag(ORIGIN, b"")},
        {"type": "text", "text": "Hé\"l\nlo"}]);
    assert_eq!(message["content"], expected);
    assert_eq!((&message["stop_reason"], &message["model"]), (&json!("end_turn"), &json!("claude-opus-5")));
}

#[test]
fn calls_come_back_whole_with_the_ids_that_they_have_or_get() {
    let args = json!({"a": 1});
    let chunks = [
        chunk(&[json!({"text": "I look."}), made(json!({"id": "fc_1", "name": "Read", "args": args}))]),
        chunk(&[
            made(json!({"name": "default_api:Grep", "args": {}})),
            made(json!({"name": "List"})),
            made(json!({"id": "fc_1", "name": "Again", "args": args})),
        ]),
        finish("STOP"),
    ];
    let message = message(&chunks);
    let tool_use =
        |id: &str, name: &str, input| json!({"type": "tool_use", "id": id, "name": name, "input": input});
    let expected = json!([{"type": "text", "text": "I look."},
        tool_use("toolu_x00000009_fc_1", "Read", args.clone()),
        tool_use("toolu_s00000009_1", "Grep", json!({})), tool_use("toolu_s00000009_2", "List", json!({})),
        tool_use("toolu_s00000009_3", "Again", args)]);
    assert_eq!((&message["content"], &message["stop_reason"]), (&expected, &json!("tool_use")));
    assert!(
        error_of(&stream(&[chunk(&[made(json!({"args": {}}))]), finish("STOP")])).starts_with("api_error ")
    );
    let many: Vec<Tree> = (0..300).map(|_| made(json!({"name": "a"}))).collect();
    assert!(error_of(&stream(&[chunk(&many), finish("STOP")])).contains("more tools"));
}

#[test]
fn signatures_make_their_way_there_and_back() {
    let read_call = |id: &str| made(json!({"id": id, "name": "Read", "args": {}}));
    let chunks = [
        chunk(&[json!({"text": "I must", "thought": true})]),
        chunk(&[signed(read_call("a"), "AAAA+/=="), read_call("b")]),
        chunk(&[signed(read_call("c"), "second")]),
        chunk(&[signed(json!({"text": "hm", "thought": true}), "own")]),
        finish("STOP"),
    ];
    let content = message(&chunks)["content"].clone();
    let kinds: Vec<&str> =
        content.as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["thinking", "tool_use", "tool_use", "thinking", "tool_use", "thinking"]);
    assert_eq!((&content[0]["thinking"], &content[3]["thinking"]), (&json!("I must"), &json!("")));
    let turns = json!([user(&[text("go")]), {"role": "assistant", "content": content}]);
    let parts = contents(&three(), &turns)[1]["parts"].clone();
    let signatures: Vec<_> = parts
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["thoughtSignature"].as_str().unwrap_or("-"))
        .collect();
    assert_eq!(signatures, ["AAAA+/==", "-", "second", "own"], "what it was of, bit by bit");
    assert_eq!(parts[0]["functionCall"]["id"], "a");
    // The same in one document.
    let whole = json!({"candidates": [{"content": {"parts": [signed(read_call("a"), "x")]},
        "finishReason": "STOP"}]});
    let mut told = Vec::new();
    read_answer(whole.to_string().as_bytes(), Reading::default(), &mut |event| match event {
        Event::Signature(text) => told.push((*text).to_owned()),
        Event::ToolStarted { .. } => told.push("call".to_owned()),
        _ => {}
    });
    assert_eq!(told, [signature::tag(ORIGIN, b"cx"), "call".to_owned()], "the signature comes first");
}

#[test]
fn reasons_to_stop_come_back() {
    let said = chunk(&[json!({"text": "a"})]);
    for (reason, expected) in [
        ("STOP", "end_turn"),
        ("MAX_TOKENS", "max_tokens"),
        ("SAFETY", "refusal"),
        ("PROHIBITED_CONTENT", "refusal"),
        ("BLOCKLIST", "refusal"),
        ("SPII", "refusal"),
        ("RECITATION", "refusal"),
        ("MODEL_ARMOR", "refusal"),
    ] {
        assert_eq!(message(&[said.clone(), finish(reason)])["stop_reason"], expected, "{reason}");
    }
    for reason in [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
        "OTHER",
        "OF_TOMORROW",
    ] {
        let error = error_of(&stream(&[said.clone(), finish(reason)]));
        assert!(error.starts_with("api_error the "), "{reason}: {error}");
    }
    let early =
        [chunk(&[json!({"text": "a"})]), finish("STOP"), chunk(&[json!({"text": "b"})]), finish("STOP")];
    assert_eq!(message(&early)["content"][0]["text"], "ab", "older servers say it in each event");
    assert!(error_of(&stream(&[said, finish("FINISH_REASON_UNSPECIFIED")])).contains("broke off"));
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 7}});
    let message = message(&[blocked]);
    assert_eq!((&message["stop_reason"], &message["content"]), (&json!("refusal"), &json!([])));
    assert_eq!(message["usage"]["input_tokens"], 7);
}

#[test]
fn what_was_used_comes_back() {
    let usage = |usage: Tree| {
        let mut last = finish("STOP");
        last["usageMetadata"] = usage;
        let message = message(&[chunk(&[json!({"text": "a"})]), last]);
        ["input_tokens", "cache_read_input_tokens", "output_tokens"]
            .map(|name| message["usage"][name].as_u64().unwrap())
    };
    assert_eq!(
        usage(json!({"promptTokenCount": 100, "candidatesTokenCount": 7, "totalTokenCount": 107})),
        [100, 0, 7]
    );
    let all = json!({"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 7,
        "thoughtsTokenCount": 30, "toolUsePromptTokenCount": 5, "totalTokenCount": 142});
    assert_eq!(usage(all), [45, 60, 37]);
    assert_eq!(usage(json!({"promptTokenCount": 5, "cachedContentTokenCount": 9})), [0, 9, 0]);
    assert_eq!(usage(json!({}))[0], 11, "without any word of it the estimate stands");
}

#[test]
fn a_search_of_the_web_stands_behind_the_text() {
    let web = |uri: &str, title: &str| json!({"web": {"uri": uri, "title": title}});
    let mut last = finish("STOP");
    let chunks = [
        web("https://e.com/1", "E"),
        web("https://e.com/1", "E"),
        web("https://e.com/2", "F"),
        json!({"retrievedContext": {}}),
    ];
    last["candidates"][0]["groundingMetadata"] =
        json!({"webSearchQueries": ["cats", "dogs"], "groundingChunks": chunks});
    let message = message(&[chunk(&[json!({"text": "Found."})]), last]);
    let hit = |url: &str, title: &str| json!({"type": "web_search_result", "url": url, "title": title});
    let content = &message["content"];
    assert_eq!(content[0], json!({"type": "text", "text": "Found."}));
    assert_eq!(content[1]["input"], json!({"query": "cats; dogs"}));
    assert_eq!(content[2]["tool_use_id"], content[1]["id"]);
    let found = content[2]["content"].as_array().unwrap();
    assert_eq!(found.len(), 2, "each once");
    for (found, expected) in found.iter().zip([hit("https://e.com/1", "E"), hit("https://e.com/2", "F")]) {
        for member in ["type", "url", "title"] {
            assert_eq!(found[member], expected[member]);
        }
    }
    assert_eq!(message["usage"]["server_tool_use"]["web_search_requests"], 2);
    assert_eq!(message["stop_reason"], "end_turn");
}

#[test]
fn what_is_no_text_is_told_as_text() {
    let parts = [
        json!({"executableCode": {"language": "PYTHON", "code": "1+1"}}),
        json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}),
        json!({"inlineData": {"mimeType": "image/png", "data": "iVBO"}}),
    ];
    let text = message(&[chunk(&parts), finish("STOP")])["content"][0]["text"].clone();
    assert_eq!(text, "\n```\n1+1\n```\n\n```\n2\n```\n[the model has made image/png, which cannot be shown]");
}

#[test]
fn a_cut_anywhere_is_an_error_and_never_an_end() {
    let chunks = [
        chunk(&[json!({"text": "hm", "thought": true})]),
        chunk(&[json!({"text": "a STO"})]),
        chunk(&[signed(made(json!({"id": "c", "name": "Read", "args": {"a": 1}})), "sig")]),
        finish("STOP"),
    ];
    let whole = stream(&chunks);
    // The last event counts as soon as its line and the empty one have ended, whatever ends them.
    let told = whole.len() - 1;
    for cut in 0..=whole.len() {
        let part = whole.as_bytes().get(..cut).unwrap();
        assert_eq!(check(&anthropic(part, 5, false)).0, End::Open);
        let (end, message) = check(&anthropic(part, 5, true));
        assert_eq!(end, if cut < told { End::Failed } else { End::Stopped }, "at {cut}");
        if end == End::Stopped {
            assert_eq!(message["content"].as_array().unwrap().len(), 4);
        }
    }
}

#[test]
fn errors_and_pages_are_read_as_what_they_are() {
    let begun = chunk(&[json!({"text": "a"})]);
    let busy = json!({"error": {"code": 503, "message": "The model is overloaded. Please try again later.",
        "status": "UNAVAILABLE"}});
    let late = stream(&[begun, busy.clone(), finish("STOP")]);
    assert_eq!(error_of(&late), "overloaded_error the provider is overloaded, try again");
    assert!(error_of(&busy.to_string()).starts_with("overloaded_error "));
    assert!(
        error_of(&json!([busy]).to_string()).starts_with("overloaded_error "),
        "Vertex puts it in an array"
    );
    assert!(error_of("<html><body>502 Bad Gateway</body></html>").contains("form that cannot be read"));
    assert!(error_of("").contains("broke off"));
    assert!(error_of("data: {\"candidates\":[}\n\n").contains("form that cannot be read"));
    assert!(error_of("{}").starts_with("api_error "));
    let whole = json!({"candidates": [{"content": {"parts": [{"text": "all"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 5}});
    let (end, told) = read(&format!("\n{whole:#}"));
    assert_eq!((end, &told["content"][0]["text"]), (End::Stopped, &json!("all")));
    let array = json!([chunk(&[json!({"text": "in "})]), chunk(&[json!({"text": "parts"})]), finish("STOP")]);
    assert_eq!(read(&array.to_string()).1["content"][0]["text"], "in parts", "a stream without alt=sse");
}

#[test]
fn errors_have_the_words_that_the_client_acts_on() {
    let said = |status: u16, message: &str, word: &str| {
        let body = json!({"error": {"code": status, "message": message, "status": word}});
        let failure = read_error(status, body.to_string().as_bytes());
        assert_eq!(&*failure.detail, message);
        (failure.kind, failure.message.into_owned())
    };
    let long = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
    let expected = "prompt is too long: 1200000 tokens > 1048576 maximum";
    assert_eq!(said(400, long, "INVALID_ARGUMENT"), (Kind::PromptTooLong, expected.to_owned()));
    let output = "Unable to submit request because it has a maxOutputTokens value of 100000 but the \
        supported range is from 1 (inclusive) to 65537 (exclusive). Update the value and try again.";
    let expected = "max_tokens: 100000 > 65536, which is the maximum allowed number of output tokens";
    assert_eq!(said(400, output, "INVALID_ARGUMENT"), (Kind::MaxTokens, expected.to_owned()));
    for (status, message, word, kind) in [
        (400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", Kind::Credentials),
        (401, "Request had invalid authentication credentials.", "UNAUTHENTICATED", Kind::Credentials),
        (403, "Permission denied on project 123", "PERMISSION_DENIED", Kind::Credentials),
        (404, "models/x is not found for API version v1beta", "NOT_FOUND", Kind::NotFound),
        (
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            "RESOURCE_EXHAUSTED",
            Kind::RateLimited,
        ),
        (429, "Resource exhausted. Please try again later.", "RESOURCE_EXHAUSTED", Kind::RateLimited),
        (500, "An internal error has occurred.", "INTERNAL", Kind::Broken),
        (503, "The model is overloaded. Please try again later.", "UNAVAILABLE", Kind::Overloaded),
        (504, "The request timed out.", "DEADLINE_EXCEEDED", Kind::Timeout),
        (400, "Function call is missing a thought_signature", "INVALID_ARGUMENT", Kind::InvalidRequest),
    ] {
        let (found, text) = said(status, message, word);
        assert_eq!(found, kind, "{status} {message}");
        assert!(!text.contains("123"), "{text}");
    }
    let limited = |quota: &str| {
        json!([{"error": {"code": 429, "message": "You exceeded your current quota.",
            "status": "RESOURCE_EXHAUSTED", "details": [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.0748s"}]}}])
        .to_string()
    };
    let minute = limited("GenerateRequestsPerMinutePerProjectPerModel");
    let day = limited("GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    assert_eq!(read_error(429, minute.as_bytes()).kind, Kind::RateLimited);
    assert_eq!(read_error(429, day.as_bytes()).kind, Kind::Quota);
    assert_eq!(retry_after_ms(day.as_bytes()), Some(34_074));
    for (delay, expected) in [
        ("2s", Some(2000)),
        ("0.5s", Some(500)),
        ("999999999s", None),
        ("s", None),
        ("-1s", None),
        ("2", None),
    ] {
        let body = json!({"error": {"details": [{"retryDelay": delay}]}}).to_string();
        assert_eq!(retry_after_ms(body.as_bytes()), expected, "{delay}");
    }
    assert_eq!(retry_after_ms(b"<html>"), None);
    assert_eq!(read_error(502, b"<html>gone</html>").kind, Kind::Broken);
}

fn part() -> impl Strategy<Value = Tree> {
    let words = select(vec!["", "a", " STOP", "ST", "OP x", "\n\nHu", "man:", "é\""]);
    let name = select(vec!["", "Read", "Bash"]);
    let id = select(vec!["", "a", "b"]);
    let plain = prop_oneof![
        3 => words.clone().prop_map(|text| json!({"text": text})),
        2 => words.prop_map(|text| json!({"text": text, "thought": true})),
        3 => (id, name).prop_map(|(id, name)| made(json!({"id": id, "name": name, "args": {"a": "}"}}))),
        1 => Just(json!({"inlineData": {"mimeType": "image/png", "data": "iVBO"}})),
    ];
    (plain, any::<bool>()).prop_map(|(part, sign)| if sign { signed(part, "sig") } else { part })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_split_says_the_same(parts in vec(vec(part(), 0..3), 0..8), end in 0_usize..4, seed in 0_u8..23,
        cut in 0_usize..3000)
    {
        let mut chunks: Vec<Tree> = parts.iter().map(|parts| chunk(parts)).collect();
        chunks.extend(["STOP", "MAX_TOKENS", "SAFETY"].get(end).map(|reason| finish(reason)));
        let stream = stream(&chunks);
        fuzz_gemini_stream(&[&[seed], stream.as_bytes()].concat());
        let part = stream.as_bytes().get(..cut).unwrap_or_default();
        fuzz_gemini_stream(&[&[seed], part].concat());
    }

    #[test]
    fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..200)) {
        fuzz_gemini_stream(&bytes);
        fuzz_gemini_request(&bytes);
    }
}

#[test]
fn the_fuzz_corpora_replay() {
    replay("gemini_request", 3, fuzz_gemini_request);
    replay("gemini_stream", 3, fuzz_gemini_stream);
}
