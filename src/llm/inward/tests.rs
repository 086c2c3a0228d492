//! Tests of both dialects: requests row by row, answers, and what passes.

use proptest::prelude::{any, prop, proptest};
use serde_json::{Value, json};

use crate::error::{CallError, Code};
use crate::ids::CallId;
use crate::limits;
use crate::llm::anthropic::request;
use crate::llm::conversation;
use crate::llm::inward::hide::Hide;
use crate::llm::inward::{
    Along, Dialect, Native, Setup, Voice, passing, read, without_thoughts, write_error,
};
use crate::llm::said::Kind;

/// The request in Anthropic's form.
fn inward(dialect: Dialect, body: &Value) -> Value {
    let inward = read(dialect, body.to_string().as_bytes()).unwrap();
    conversation::read(&inward.body).unwrap();
    request::read(&inward.body).unwrap();
    serde_json::from_slice(&inward.body).unwrap()
}

fn refused(dialect: Dialect, body: &Value) -> String {
    read(dialect, body.to_string().as_bytes()).unwrap_err().to_string()
}

/// A request for Chat Completions with more members.
fn chat(more: Value) -> Value {
    with(json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] }), more)
}

fn responses(more: Value) -> Value {
    with(json!({ "model": "m", "input": "hi" }), more)
}

fn with(mut body: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("members") };
    body.as_object_mut().unwrap().extend(more);
    body
}

fn said(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

const PNG: &str = "data:image/png;base64,iVBORw0KGgo=";
const PDF: &str = "data:application/pdf;base64,JVBERi0=";

#[test]
fn the_plainest_requests() {
    let expected = json!({ "model": "m", "max_tokens": 16384,
        "messages": [{ "role": "user", "content": [said("hi")] }] });
    assert_eq!(inward(Dialect::Chat, &chat(json!({}))), expected);
    assert_eq!(inward(Dialect::Responses, &responses(json!({}))), expected);
}

#[test]
fn turns_of_a_chat() {
    let call = |id: &str, arguments: &str| {
        let function = json!({ "name": "f", "arguments": arguments });
        json!({ "id": id, "type": "function", "function": function })
    };
    let picture = json!({ "type": "image_url", "image_url": { "url": PNG } });
    let body = json!({ "model": "m", "messages": [
        { "role": "system", "content": "be brief" },
        { "role": "developer", "content": [said("and kind")] },
        { "role": "user", "content": [said("look \"here\" 😀"), picture] },
        { "role": "assistant", "content": "I see.", "refusal": null,
          "tool_calls": [call("call_1", "{\"a\": 1}"), call("functions.f:2", "")] },
        { "role": "tool", "tool_call_id": "call_1", "content": "one" },
        { "role": "system", "content": "mind" },
        { "role": "tool", "tool_call_id": "functions.f:2", "content": [said("t"), said("wo")] },
        { "role": "user", "content": "go on" },
        { "role": "user", "content": " " },
    ] });
    let tree = inward(Dialect::Chat, &body);
    assert_eq!(tree["system"], json!([said("be brief"), said("and kind")]));
    let image = json!({ "type": "image",
        "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=" } });
    let odd = &tree["messages"][1]["content"][2]["id"];
    assert!(odd.as_str().unwrap().starts_with("toolu_z"), "{odd}");
    assert_eq!(
        tree["messages"],
        json!([
            { "role": "user", "content": [said("look \"here\" 😀"), image] },
            { "role": "assistant", "content": [said("I see."),
                { "type": "tool_use", "id": "call_1", "name": "f", "input": { "a": 1 } },
                { "type": "tool_use", "id": odd, "name": "f", "input": {} }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "call_1", "content": "one" },
                { "type": "tool_result", "tool_use_id": odd, "content": [said("t"), said("wo")] },
                said("<system-reminder>\nmind\n</system-reminder>"), said("go on")] },
        ])
    );
    assert_eq!(tree["messages"][1]["content"][2]["id"], tree["messages"][2]["content"][1]["tool_use_id"]);
}

#[test]
fn an_id_that_is_too_long_for_anthropic_is_another_one_in_both_places() {
    let most = "a".repeat(limits::CALL_ID_BYTES_MAX);
    for (id, stays) in [(most.clone(), true), (format!("{most}a"), false)] {
        let call = json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
        let body = json!({ "model": "m", "messages": [
            { "role": "user", "content": "go" },
            { "role": "assistant", "content": null, "tool_calls": [call] },
            { "role": "tool", "tool_call_id": id, "content": "one" },
        ] });
        let tree = inward(Dialect::Chat, &body);
        let own = &tree["messages"][1]["content"][0]["id"];
        assert_eq!(*own == id, stays, "{own}");
        assert_eq!(tree["messages"][2]["content"][0]["tool_use_id"], *own);
    }
}

#[test]
fn items_of_responses() {
    let body = json!({ "model": "m", "instructions": "be brief", "store": false, "input": [
        { "role": "user", "content": [{ "type": "input_text", "text": "look" },
            { "type": "input_image", "image_url": PNG, "detail": "auto" },
            { "type": "input_file", "filename": "a.pdf", "file_data": PDF }] },
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x" },
        { "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
          "content": [{ "type": "output_text", "text": "I see.", "annotations": [] }] },
        { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}" },
        { "type": "function_call", "call_id": "call_2", "name": "g", "arguments": "{\"b\":[1]}" },
        { "type": "function_call_output", "call_id": "call_1", "output": "one" },
        { "type": "function_call_output", "call_id": "call_2",
          "output": [{ "type": "input_image", "image_url": "https://example.com/a.png" }] },
        { "role": "developer", "content": "mind" },
    ] });
    let tree = inward(Dialect::Responses, &body);
    assert_eq!(tree["system"], json!([said("be brief")]));
    let source = |media: &str, data: &str| json!({ "type": "base64", "media_type": media, "data": data });
    assert_eq!(
        tree["messages"],
        json!([
            { "role": "user", "content": [said("look"),
                { "type": "image", "source": source("image/png", "iVBORw0KGgo=") },
                { "type": "document", "source": source("application/pdf", "JVBERi0="), "title": "a.pdf" }] },
            { "role": "assistant", "content": [said("I see."),
                { "type": "tool_use", "id": "call_1", "name": "f", "input": {} },
                { "type": "tool_use", "id": "call_2", "name": "g", "input": { "b": [1] } }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "call_1", "content": "one" },
                { "type": "tool_result", "tool_use_id": "call_2", "content": [
                    { "type": "image", "source": { "type": "url", "url": "https://example.com/a.png" } }] },
                said("<system-reminder>\nmind\n</system-reminder>")] },
        ])
    );
}

#[test]
fn tools_and_choices() {
    let function = json!({ "name": "f", "description": "does", "parameters": { "properties": { "a": {} } },
        "strict": true });
    let schema = json!({ "type": "object", "properties": { "a": {} } });
    let tools = json!([{ "name": "f", "description": "does", "input_schema": schema, "strict": true },
        { "name": "g", "input_schema": { "type": "object", "properties": {} } }]);
    let of_chat = json!([{ "type": "function", "function": function },
        { "type": "function", "function": { "name": "g" } }]);
    let of_responses = json!([with(json!({ "type": "function" }), function),
        { "type": "function", "name": "g", "parameters": null, "strict": false }]);
    for (choice, parallel, expected) in [
        (json!(null), json!(null), json!(null)),
        (json!("auto"), json!(true), json!(null)),
        (json!("auto"), json!(false), json!({ "type": "auto", "disable_parallel_tool_use": true })),
        (json!("none"), json!(false), json!({ "type": "none" })),
        (json!("required"), json!(null), json!({ "type": "any" })),
    ] {
        let more =
            |tools: &Value| json!({ "tools": tools, "tool_choice": choice, "parallel_tool_calls": parallel });
        for tree in [
            inward(Dialect::Chat, &chat(more(&of_chat))),
            inward(Dialect::Responses, &responses(more(&of_responses))),
        ] {
            assert_eq!((&tree["tools"], &tree["tool_choice"]), (&tools, &expected));
            let last = &tree["messages"][0]["content"][0];
            assert_eq!(last["cache_control"]["type"], "ephemeral", "agents come again: {tree}");
        }
    }
    let named = json!({ "type": "function", "function": { "name": "g" } });
    let tree = inward(Dialect::Chat, &chat(json!({ "tools": of_chat, "tool_choice": named })));
    assert_eq!(tree["tool_choice"], json!({ "type": "tool", "name": "g" }));
    let named = json!({ "type": "function", "name": "g" });
    let tree = inward(Dialect::Responses, &responses(json!({ "tools": of_responses, "tool_choice": named })));
    assert_eq!(tree["tool_choice"], json!({ "type": "tool", "name": "g" }));
}

#[test]
fn fields_of_the_top() {
    let schema = json!({ "type": "object" });
    let format =
        json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": schema, "strict": true } });
    let of_chat = chat(json!({ "stream": true, "stream_options": { "include_usage": true }, "max_tokens": 5,
        "max_completion_tokens": 7, "temperature": 0.5, "top_p": 1, "stop": ["a", ""], "n": 1, "logprobs":
        false, "frequency_penalty": 0, "presence_penalty": 0.0, "reasoning_effort": "minimal",
        "response_format":
        format,         "user": "u", "seed": 3, "logit_bias": {}, "modalities": ["text"] }));
    let config = json!({ "effort": "low", "format": { "type": "json_schema", "schema": schema } });
    assert_eq!(
        inward(Dialect::Chat, &of_chat),
        json!({ "model": "m", "max_tokens": 7, "stream": true,
        "temperature": 0.5, "stop_sequences": ["a"], "output_config": config,
        "messages": [{ "role": "user", "content": [said("hi")] }] })
    );
    let lost = read(Dialect::Chat, of_chat.to_string().as_bytes()).unwrap().losses;
    let lost: Vec<&str> = lost.kinds().iter().map(|loss| &*loss.what).collect();
    assert_eq!(lost, ["reasoning_effort", "user", "seed"]);
    let of_responses = responses(json!({ "max_output_tokens": 7,
        "reasoning": { "effort": "none", "summary": "auto" }, "include": ["reasoning.encrypted_content"],
        "temperature": 1.5, "text": { "verbosity": "low",
            "format": { "type": "json_schema", "name": "x", "schema": schema } } }));
    let tree = inward(Dialect::Responses, &of_responses);
    assert_eq!((&tree["max_tokens"], &tree["thinking"]), (&json!(7), &json!({ "type": "disabled" })));
    assert_eq!((&tree["temperature"], &tree["output_config"]["format"]["schema"]), (&Value::Null, &schema));
    let lost = read(Dialect::Responses, of_responses.to_string().as_bytes()).unwrap().losses;
    let clamped = |what: &str| lost.kinds().iter().any(|loss| loss.what == what);
    assert!(clamped("temperature"), "what is brought down is told");
}

#[test]
fn what_cannot_be_said_is_refused_by_its_name() {
    let message = |message: Value| json!({ "messages": [message] });
    let part = |part: Value| json!({ "messages": [{ "role": "user", "content": [part] }] });
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "[1]" } });
    for (more, place) in [
        (json!({ "n": 2 }), "n"),
        (json!({ "logprobs": true }), "logprobs"),
        (json!({ "frequency_penalty": 0.5 }), "frequency_penalty"),
        (json!({ "logit_bias": { "1": 2 } }), "logit_bias"),
        (json!({ "web_search_options": {} }), "web_search_options"),
        (json!({ "what_nobody_knows": 1 }), "what_nobody_knows"),
        (json!({ "response_format": { "type": "json_object" } }), "response_format.json_schema.type"),
        (json!({ "stop": 3 }), "stop"),
        (json!({ "temperature": "hot" }), "temperature"),
        (json!({ "reasoning_effort": "much" }), "reasoning_effort"),
        (json!({ "tools": [{ "type": "custom", "custom": { "name": "x" } }] }), "tools[0].type"),
        (json!({ "tool_choice": "required" }), "tools"),
        (json!({ "messages": [] }), "messages"),
        (json!({ "messages": [{ "role": "system", "content": "x" }] }), "messages"),
        (message(json!({ "role": "function", "content": "x" })), "messages[0].role"),
        (message(json!({ "role": "tool", "content": "x" })), "messages[0].tool_call_id"),
        (message(json!({ "role": "assistant", "audio": { "id": "a" } })), "messages[0].audio"),
        (
            message(json!({ "role": "assistant", "tool_calls": [call] })),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (part(json!({ "type": "input_audio", "input_audio": {} })), "messages[0].content[0].type"),
        (
            part(json!({ "type": "image_url", "image_url": { "url": "file:///etc/passwd" } })),
            "messages[0].content",
        ),
        (part(json!({ "type": "file", "file": { "file_id": "f" } })), "messages[0].content[0].file.file_id"),
    ] {
        let told = refused(Dialect::Chat, &chat(more));
        assert!(told.starts_with(&format!("{place}: ")), "{place}: {told}");
    }
    for (more, place) in [
        (json!({ "previous_response_id": "resp_1" }), "previous_response_id"),
        (json!({ "background": true }), "background"),
        (json!({ "include": ["file_search_call.results"] }), "include"),
        (json!({ "tools": [{ "type": "web_search" }] }), "tools[0].type"),
        (json!({ "input": [{ "type": "item_reference", "id": "x" }] }), "input[0].type"),
        (json!({ "input": [{ "type": "computer_call" }] }), "input[0].type"),
        (json!({ "input": 3 }), "input"),
        (json!({ "text": { "format": { "type": "json_object" } } }), "text.format.type"),
    ] {
        let told = refused(Dialect::Responses, &responses(more));
        assert!(told.starts_with(&format!("{place}: ")), "{place}: {told}");
    }
}

/// Anthropic's word for a thought of its own.
const SIGNED: &str = "EqQBCgIYAhIk+/==";

/// An answer of Anthropic's: a thought, text, two calls, usage.
fn stream() -> String {
    let event = |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let block = |index: u64, block: Value| {
        event(json!({ "type": "content_block_start", "index": index, "content_block": block }))
    };
    let delta = |index: u64, delta: Value| {
        event(json!({ "type": "content_block_delta", "index": index, "delta": delta }))
    };
    let stop = |index: u64| event(json!({ "type": "content_block_stop", "index": index }));
    let call = |id: &str| json!({ "type": "tool_use", "id": id, "name": "f", "input": {} });
    [
        event(json!({ "type": "message_start", "message": { "id": "msg_1", "type": "message",
            "model": "claude-x", "content": [],
            "usage": { "input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1 } } })),
        block(0, json!({ "type": "thinking", "thinking": "", "signature": "" })),
        delta(0, json!({ "type": "thinking_delta", "thinking": "hm" })),
        delta(0, json!({ "type": "thinking_delta", "thinking": ", so" })),
        delta(0, json!({ "type": "signature_delta", "signature": SIGNED })),
        stop(0),
        event(json!({ "type": "ping" })),
        block(1, said("")),
        delta(1, json!({ "type": "text_delta", "text": "Hel" })),
        delta(1, json!({ "type": "text_delta", "text": "lo \"ł\" 😀" })),
        stop(1),
        block(2, call("toolu_1")),
        delta(2, json!({ "type": "input_json_delta", "partial_json": "{\"a\"" })),
        delta(2, json!({ "type": "input_json_delta", "partial_json": ":1}" })),
        stop(2),
        block(3, call("toolu_2")),
        stop(3),
        event(json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" },
            "usage": { "output_tokens": 20 } })),
        event(json!({ "type": "message_stop" })),
    ]
    .concat()
}

fn setup(stream: bool) -> Setup {
    Setup { call: CallId(7), model: "claude-far".into(), created_s: 5, stream, usage: true, seals: false }
}

fn voiced(dialect: Dialect, stream: bool, bytes: &str) -> String {
    String::from_utf8(Voice::new(dialect, setup(stream)).say(bytes.as_bytes(), true)).unwrap()
}

/// The data of the events of a stream.
fn datas(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn a_stream_of_chunks() {
    let text = voiced(Dialect::Chat, true, &stream());
    assert!(text.ends_with("data: [DONE]\n\n"));
    let chunks = datas(&text);
    for chunk in &chunks {
        assert_eq!((&chunk["object"], &chunk["created"]), (&json!("chat.completion.chunk"), &json!(5)));
        assert_eq!((&chunk["model"], &chunk["id"].as_str().unwrap().len()), (&json!("claude-far"), &41));
    }
    let deltas: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    let call = |index: u64, id: &str| {
        json!({ "tool_calls": [{ "index": index, "id": id, "type": "function",
            "function": { "name": "f", "arguments": "" } }] })
    };
    let more = |index: u64, arguments: &str| {
        let function = json!({ "arguments": arguments });
        json!({ "tool_calls": [{ "index": index, "function": function }] })
    };
    assert_eq!(
        deltas,
        [
            &json!({ "role": "assistant", "content": "" }),
            &json!({ "reasoning_content": "hm" }),
            &json!({ "reasoning_content": ", so" }),
            &json!({ "content": "Hel" }),
            &json!({ "content": "lo \"ł\" 😀" }),
            &call(0, "toolu_1"),
            &more(0, "{\"a\""),
            &more(0, ":1}"),
            &call(1, "toolu_2"),
            &more(1, "{}"),
            &json!({}),
            &Value::Null,
        ]
    );
    let finishes: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).collect();
    assert_eq!(finishes[10], "tool_calls");
    assert_eq!(finishes.iter().filter(|finish| finish.is_string()).count(), 1);
    assert_eq!(
        chunks[11]["usage"],
        json!({ "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": { "cached_tokens": 90 } })
    );
    let plain = Setup { usage: false, ..setup(true) };
    let text = String::from_utf8(Voice::new(Dialect::Chat, plain).say(stream().as_bytes(), true)).unwrap();
    assert!(!text.contains("usage"), "nobody has asked for it: {text}");
}

#[test]
fn documents() {
    let tree: Value = serde_json::from_str(&voiced(Dialect::Chat, false, &stream())).unwrap();
    let message = &tree["choices"][0]["message"];
    assert_eq!(message["content"], "Hello \"ł\" 😀");
    assert_eq!(message["reasoning_content"], "hm, so");
    assert_eq!(message["tool_calls"][0]["function"], json!({ "name": "f", "arguments": "{\"a\":1}" }));
    assert_eq!(message["tool_calls"][1]["function"]["arguments"], "{}");
    assert_eq!(
        (&tree["choices"][0]["finish_reason"], &tree["usage"]["total_tokens"]),
        (&json!("tool_calls"), &json!(120))
    );
    let document = json!({ "id": "msg_1", "type": "message", "model": "x", "content": [said("Hi")],
        "stop_reason": "max_tokens", "usage": { "input_tokens": 3, "output_tokens": 4 } });
    let tree: Value = serde_json::from_str(&voiced(Dialect::Chat, false, &document.to_string())).unwrap();
    assert_eq!(
        (&tree["object"], &tree["choices"][0]["finish_reason"]),
        (&json!("chat.completion"), &json!("length"))
    );
    assert!(tree["choices"][0]["message"].get("tool_calls").is_none());
    let tree: Value =
        serde_json::from_str(&voiced(Dialect::Responses, false, &document.to_string())).unwrap();
    assert_eq!(
        (&tree["status"], &tree["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    assert_eq!(tree["output"][0]["content"][0]["text"], "Hi");
    assert_eq!(tree["usage"]["input_tokens"], 3);
}

#[test]
fn a_stream_of_responses() {
    let text = voiced(Dialect::Responses, true, &stream());
    let events = datas(&text);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], index);
        assert!(text.contains(&format!("event: {}\n", event["type"].as_str().unwrap())));
    }
    let whole = &events[25]["response"];
    let thought = json!([{ "type": "summary_text", "text": "hm, so" }]);
    let item = &whole["output"][0];
    assert_eq!((&item["type"], &item["summary"]), (&json!("reasoning"), &thought));
    assert!(item.get("encrypted_content").is_none(), "nobody has asked for it: {item}");
    assert_eq!(whole["output"][1]["content"][0]["text"], "Hello \"ł\" 😀");
    assert_eq!(
        (&whole["output"][2]["call_id"], &whole["output"][2]["arguments"]),
        (&json!("toolu_1"), &json!("{\"a\":1}"))
    );
    assert_eq!((&whole["output"][3]["arguments"], &whole["status"]), (&json!("{}"), &json!("completed")));
    assert_eq!(whole["usage"]["input_tokens_details"]["cached_tokens"], 90);
    let item = &events[16];
    for event in &events[17..20] {
        assert_eq!((&event["item_id"], &event["output_index"]), (&item["item"]["id"], &json!(2)));
    }
    let document: Value = serde_json::from_str(&voiced(Dialect::Responses, false, &stream())).unwrap();
    assert_eq!(&document, whole);
}

#[test]
fn what_a_model_thinks_comes_back_to_it_through_responses() {
    for stream_it in [true, false] {
        let setup = Setup { seals: true, ..setup(stream_it) };
        let said_anew = Voice::new(Dialect::Responses, setup).say(stream().as_bytes(), true);
        let said_anew = String::from_utf8(said_anew).unwrap();
        let answer = match stream_it {
            true => datas(&said_anew).pop().unwrap()["response"].take(),
            false => serde_json::from_str(&said_anew).unwrap(),
        };
        // As agents without state do: all that came is sent back, and what came of the calls.
        let mut input = vec![json!({ "role": "user", "content": "go" })];
        input.extend(answer["output"].as_array().unwrap().iter().cloned());
        input.push(json!({ "type": "function_call_output", "call_id": "toolu_1", "output": "one" }));
        let body = json!({ "model": "m", "input": input, "include": ["reasoning.encrypted_content"] });
        let tree = inward(Dialect::Responses, &body);
        let thought = json!({ "type": "thinking", "thinking": "hm, so", "signature": SIGNED });
        assert_eq!(tree["messages"][1]["content"][0], thought, "{tree}");
        assert_eq!(tree["messages"][1]["content"][1]["text"], "Hello \"ł\" 😀");
        // Whoever speaks this dialect cannot open it.
        let bare = without_thoughts(body.to_string().as_bytes()).unwrap().unwrap();
        let bare: Value = serde_json::from_slice(&bare).unwrap();
        assert_eq!(bare["input"].as_array().unwrap().len(), input.len() - 1);
    }
    for (include, seals) in [("reasoning.encrypted_content", true), ("message.output_text.logprobs", false)] {
        let body = responses(json!({ "include": [include] })).to_string();
        assert_eq!(passing::asked(body.as_bytes()).unwrap().seals, seals);
    }
}

#[test]
fn a_stream_that_is_cut_has_no_end_that_is_made_up() {
    let whole = stream();
    let last = whole.find("event: message_stop").unwrap();
    for (cut, half) in (0..last).filter_map(|cut| Some((cut, whole.get(..cut)?))) {
        let text = voiced(Dialect::Chat, true, half);
        assert!(!text.contains("[DONE]") && text.contains("\"error\":{"), "{cut}: {text}");
        datas(&text);
        let text = voiced(Dialect::Responses, true, half);
        assert!(!text.contains("response.completed") && text.contains("event: error\n"), "{cut}: {text}");
        datas(&text);
        let tree: Value = serde_json::from_str(&voiced(Dialect::Chat, false, half)).unwrap();
        assert!(tree["error"]["message"].is_string() && tree["choices"].is_null(), "{tree}");
    }
}

#[test]
fn a_listener_tells_answers_from_failures() {
    let mut out = Vec::new();
    let mut native = Native::new(true);
    let whole = stream();
    let begins = whole.find("event: content_block_delta").unwrap();
    native.push(&whole.as_bytes()[..begins], &mut out);
    assert!(!native.is_committed() && !native.is_over());
    native.push(&whole.as_bytes()[begins..], &mut out);
    assert!(native.is_committed() && native.is_over() && native.failure().is_none());
    assert_eq!(out, whole.as_bytes());

    let mut native = Native::new(true);
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "x" } });
    native.push(format!("event: error\ndata: {error}\n\n").as_bytes(), &mut out);
    assert!(!native.is_committed());
    assert_eq!(native.failure().unwrap().kind, Kind::Overloaded);

    let mut native = Native::new(false);
    let (mut out, document) = (Vec::new(), br#"{"type":"message","content":[],"stop_reason":"end_turn"}"#);
    native.push(&document[..20], &mut out);
    assert!(out.is_empty() && !native.is_committed());
    native.push(&document[20..], &mut out);
    native.finish(&mut out);
    assert!(native.is_committed());
    assert_eq!(out, document);

    let mut native = Native::new(true);
    native.refused(400);
    let body = br#"{"type":"error","error":{"type":"invalid_request_error","message":"tools.0: too odd"}}"#;
    native.push(body, &mut out);
    native.finish(&mut out);
    let failure = native.failure().unwrap();
    assert_eq!((failure.kind, &*failure.message), (Kind::InvalidRequest, "tools.0: too odd"));
}

#[test]
fn errors_have_the_shape_of_openai() {
    let told = |error: &CallError| {
        let mut out = Vec::new();
        write_error(&mut out, error);
        serde_json::from_slice::<Value>(&out).unwrap()["error"].clone()
    };
    for code in Code::ALL {
        let error = told(&CallError::new(*code));
        assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
        assert!(error["param"].is_null() && error.as_object().unwrap().len() == 4, "{error}");
    }
    let refusal = read(Dialect::Chat, chat(json!({ "n": 2 })).to_string().as_bytes()).unwrap_err();
    let error = told(&CallError::from(refusal));
    assert_eq!((&error["param"], &error["type"]), (&json!("n"), &json!("invalid_request_error")));
    let long = CallError::new(Code::BadRequest).context("prompt is too long: 5 tokens > 3 maximum");
    assert_eq!(told(&long)["code"], "context_length_exceeded");
    let stranger = told(&CallError::new(Code::Unauthenticated));
    assert!(stranger["message"].as_str().unwrap().contains("OPENAI_API_KEY"), "{stranger}");
}

#[test]
fn only_what_has_to_change_of_a_body_that_passes() {
    for (body, expected) in [
        (
            r#" {"model":"m","stream":true}"#,
            r#" {"stream_options":{"include_usage":true},"model":"n","stream":true}"#,
        ),
        (r#"{"stream_options":{},"model":"m"}"#, r#"{"stream_options":{"include_usage":true},"model":"n"}"#),
        (
            r#"{"model":"m","stream_options":{"x":1}}"#,
            r#"{"model":"n","stream_options":{"include_usage":true,"x":1}}"#,
        ),
        (
            r#"{"model":"m","stream_options":{"include_usage":false}}"#,
            r#"{"model":"n","stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":null,"model":"m"}"#,
            r#"{"stream_options":{"include_usage":true},"model":"n"}"#,
        ),
    ] {
        let request = request::read(body.as_bytes()).unwrap();
        let asked = passing::asked(body.as_bytes()).unwrap();
        assert!(!asked.usage);
        let passed = passing::with_usage(body.as_bytes(), &request, asked, Some("n"));
        assert_eq!(String::from_utf8(passed).unwrap(), expected);
    }
    assert!(passing::asked(br#"{"stream_options":{"include_usage":true}}"#).unwrap().usage);
    let most = |body: &[u8]| passing::asked(body).unwrap().most();
    assert_eq!(most(br#"{"max_tokens":3,"max_completion_tokens":5,"n":4}"#), Some(20));
    assert_eq!((most(br#"{"max_output_tokens":5}"#), most(b"{}")), (Some(5), None));
}

const CHUNK: &str = "data: {\"id\":\"c\",\"model\":\"far\",\"service_tier\":\"priority\",\"choices\":[\
    {\"index\":0,\"delta\":{\"content\":\"prompt_tokens \\\"service_tier\\\":\\\"x\\\"\"},\
    \"finish_reason\":null}],\"usage\":null}\n\n";
const CALL: &str = "data: {\"id\":\"c\",\"choices\":[\
    {\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\
    \"type\":\"function\",\"function\":{\"name\":\"Bash\",\"arguments\":\"{\\\"command\\\":\\\"ls\\\"}\"}}]},\
    \"finish_reason\":\"tool_calls\"}],\"usage\":null}\r\n\r\n";
const USAGE: &str = "data: {\"id\":\"c\",\"choices\": [ ],\
    \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2,\
    \"total_tokens\":12,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn what_passes_is_read_along() {
    let mut along = Along::new(Dialect::Chat, false);
    for piece in [CHUNK, CALL, USAGE, DONE] {
        assert!(!along.said_all());
        assert!(along.takes_event() || piece == CHUNK);
        along.push(piece.as_bytes());
    }
    assert!(along.said_all() && along.failure().is_none());
    along.finish();
    let answer = along.answer();
    assert_eq!(
        (answer.usage.input_tokens, answer.usage.cache_read_tokens, answer.usage.output_tokens),
        (6, 4, 2)
    );
    assert_eq!(answer.terms.service_tier.as_deref(), Some("priority"));
    assert_eq!((answer.model.as_deref(), answer.stop_reason.as_deref()), (Some("far"), Some("tool_use")));
    let action = &answer.actions[0];
    assert_eq!((&*action.id, &*action.name, &*action.detail), ("call_1", "Bash", "ls"));
    assert!(answer.produced_bytes > 40);
}

#[test]
fn the_chunk_of_usage_is_kept_from_who_has_not_asked() {
    let mut hide = Hide::default();
    let stream = [CHUNK, CALL, USAGE, DONE].concat();
    assert_eq!(String::from_utf8(hide.pass(stream.as_bytes(), true)).unwrap(), [CHUNK, CALL, DONE].concat());
    // Another chunk that has the numbers beside a choice passes.
    let beside = USAGE.replace("[ ]", "[{\"index\":0,\"delta\":{}}]");
    assert_eq!(Hide::default().pass(beside.as_bytes(), true), beside.as_bytes());
}

proptest! {
    #[test]
    fn any_split_says_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let whole = stream();
        let passing = [CHUNK, CALL, USAGE, DONE].concat();
        let pieces = |bytes: &str| -> Vec<Vec<u8>> {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            at.windows(2).map(|pair| bytes.as_bytes()[pair[0]..pair[1]].to_vec()).collect()
        };
        for dialect in [Dialect::Chat, Dialect::Responses] {
            for stream in [true, false] {
                let mut voice = Voice::new(dialect, setup(stream));
                let said = pieces(&whole).into_iter().flat_map(|piece| voice.say(&piece, false));
                let mut out: Vec<u8> = said.collect();
                out.extend(voice.say(b"", true));
                assert_eq!(String::from_utf8(out).unwrap(), voiced(dialect, stream, &whole));
            }
        }
        let mut hide = Hide::default();
        let mut out: Vec<u8> = pieces(&passing).iter().flat_map(|piece| hide.pass(piece, false)).collect();
        out.extend(hide.pass(b"", true));
        assert_eq!(String::from_utf8(out).unwrap(), [CHUNK, CALL, DONE].concat());
    }
}

#[test]
fn fuzz_corpus_of_requests() {
    for (name, fuzz) in [
        ("inward_chat", crate::llm::inward::fuzz::fuzz_inward_chat as fn(&[u8])),
        ("inward_responses", crate::llm::inward::fuzz::fuzz_inward_responses),
        ("inward_voice", crate::llm::inward::fuzz::fuzz_inward_voice),
    ] {
        crate::corpus::replay(name, 3, fuzz);
    }
}
