//! What is read of a request, what is kept of what nobody knows, and what is refused.

use serde_json::{Value as Tree, json};

use super::{Choice, Content, Refusal, Role, Source, Thinking, Why, read};
use crate::limits;

/// A request with these members beside the ones that each has.
fn body(members: &Tree) -> Vec<u8> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string().into_bytes()
}

fn refusal(body: &[u8]) -> (String, Why) {
    let Refusal { place, why } = read(body).unwrap_err();
    (place, why)
}

/// What is refused of a message with these blocks.
fn of_blocks(blocks: &Tree) -> String {
    let (place, why) = refusal(&body(&json!({"messages": [{"role": "user", "content": blocks}]})));
    format!("{place}: {why}")
}

#[test]
fn the_last_turn_with_an_effort_says_how_much() {
    let effort = |turns: &str| {
        let body = format!(r#"{{"model":"m","output_config":{{"effort":"low"}},"messages":[{turns}]}}"#);
        let body: &'static [u8] = body.leak().as_bytes();
        let read = read(body).unwrap();
        let others: Vec<String> = read.others.iter().map(|other| other.place.to_owned()).collect();
        (read.effort.unwrap().text().into_owned(), others)
    };
    let user = r#"{"role":"user","content":"Hi"}"#;
    let of = |inner: &str| format!(r#"{{"role":"system","content":"x","output_config":{{{inner}}}}}"#);
    assert_eq!(effort(user), ("low".to_owned(), vec![]));
    let both = format!("{user},{},{user},{}", of(r#""effort":"high""#), of(r#""effort":"max""#));
    assert_eq!(effort(&both).0, "max");
    let one = format!("{user},{},{}", of(r#""effort":"high""#), of(r#""budget":3"#));
    assert_eq!(effort(&one), ("high".to_owned(), vec!["messages.output_config".to_owned()]));
}

#[test]
fn the_top_level_is_read() {
    let body = body(&json!({
        "stream": true, "max_tokens": 32000, "system": "be \"brief\"",
        "tool_choice": {"type": "tool", "name": "Read", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 4000, "display": "omitted"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "stop_sequences": ["a", "", "b"], "metadata": {"user_id": "u"}, "temperature": 0.5, "top_k": null,
        "tools": [{"name": "Read", "input_schema": {"type": "object"}, "defer_loading": true}],
    }));
    let found = read(&body).unwrap();
    assert!(found.model.is("m") && found.stream && found.one_call && found.thinking_hidden);
    assert_eq!((found.max_tokens, found.thinking), (Some(32000), Some(Thinking::Enabled(Some(4000)))));
    assert!(matches!(found.choice, Some(Choice::Tool(name)) if name.is("Read")));
    assert!(matches!(found.system.as_slice(), [block]
        if matches!(block.content, Content::Text(text) if text.text() == "be \"brief\"")));
    assert_eq!(found.stops.iter().map(|stop| stop.text()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(found.sampling.map(|value| value.map(|value| value.bytes())), [Some(&b"0.5"[..]), None, None]);
    assert!(found.effort.is_some_and(|effort| effort.is("high")) && found.format.is_some());
    assert!(found.tools[0].deferred && !found.tools[0].strict && found.others.is_empty());
}

#[test]
fn every_block_is_read_in_its_place() {
    let blocks = json!([
        {"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [
            {"type": "tool_reference", "tool_name": "mcp__a__b"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
        {"type": "tool_result", "tool_use_id": "t2"},
        {"type": "text", "text": "so", "cache_control": {"type": "ephemeral"}},
        {"type": "document", "title": "T", "source": {"type": "content", "content": "inside"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "X"}},
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition":
            {"name": "Y", "input_schema": {}}}},
        {"type": "of_tomorrow", "x": 1},
    ]);
    let turns = json!([
        {"role": "user", "content": blocks},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "tool_use", "id": "t3", "name": "Read", "input": {"a": [1]}}]},
        {"role": "system", "content": "now"},
    ]);
    let body = body(&json!({"messages": turns}));
    let found = read(&body).unwrap();
    let roles: Vec<Role> = found.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::System]);
    let [first, second, text, document, server, named, defined, unknown] = &found.turns[0].blocks[..] else {
        panic!("a block is missing")
    };
    let Content::ToolResult { failed: true, blocks, .. } = &first.content else { panic!("{first:?}") };
    assert!(matches!(blocks[0].content, Content::ToolReference(name) if name.is("mcp__a__b")));
    assert!(
        matches!(blocks[1].content, Content::Image(Source::Base64 { media, .. }) if media.is("image/png"))
    );
    assert!(
        matches!(&second.content, Content::ToolResult { failed: false, blocks, .. } if blocks.is_empty())
    );
    assert!(text.mark.is_some() && first.mark.is_none());
    assert!(matches!(&document.content, Content::Document { source: Source::Blocks(inside), .. }
        if inside.len() == 1));
    assert!(matches!(server.content, Content::Server(_, kind) if kind.is("web_search_tool_result")));
    assert!(matches!(&named.content, Content::ToolChange { added: true, definition: None, .. }));
    assert!(
        matches!(&defined.content, Content::ToolChange { name, definition: Some(_), .. } if name.is("Y"))
    );
    assert!(matches!(unknown.content, Content::Unknown(_, kind) if kind.is("of_tomorrow")));
    assert!(matches!(&found.turns[1].blocks[2].content, Content::ToolUse { input, .. }
        if input.bytes() == br#"{"a":[1]}"#));
    let mut seen = 0;
    found.each_block(|_, _| seen += 1);
    assert_eq!(seen, 8 + 2 + 1 + 3 + 1);
}

#[test]
fn what_nobody_knows_is_kept_with_its_name() {
    let body = body(&json!({
        "safeguards": [1], "of_tomorrow": {"a": 1}, "nothing": null,
        "metadata": {"user_id": "u", "team": "x"}, "output_config": {"task_budget": {}},
        "messages": [{"role": "user", "id": 7, "content": [
            {"type": "text", "text": "a", "citations": []}, {"type": "text", "text": "b", "citations": [1]},
            {"type": "text", "text": "c", "signature": "of another kind of block"}]}],
        "tools": [{"name": "x", "input_schema": {}, "eager_input_streaming": true}],
    }));
    let found = read(&body).unwrap();
    let mut others: Vec<String> =
        found.others.iter().map(|other| format!("{} {}", other.place, other.name.text())).collect();
    others.sort();
    let expected = [
        " of_tomorrow",
        " safeguards",
        "messages id",
        "messages.content citations",
        "messages.content signature",
        "metadata team",
        "output_config task_budget",
        "tools eager_input_streaming",
    ];
    assert_eq!(others, expected);
}

#[test]
fn what_two_parsers_would_read_in_two_ways_is_refused() {
    let bad = [
        (r#"{"model":"a","model":"b","messages":[]}"#, "model"),
        (r#"{"model":"a","mod\u0065l":"b","messages":[]}"#, "model"),
        (r#"{"model":"a","messages":[{"role":"user","role":"system","content":""}]}"#, "messages.0.role"),
        (
            r#"{"model":"a","messages":[{"role":"user","content":[{"type":"text","text":"a","text":"b"}]}]}"#,
            "messages.0.content.0.text",
        ),
        (r#"{"model":"a","messages":[],"tools":[{"name":"a","name":"b"}]}"#, "tools.0.name"),
        (r#"{"model":"a","messages":[],"tool_choice":{"type":"auto","type":"any"}}"#, "type"),
        (r#"{"model":"a","messages":[],"tool_choice":{"type":"auto"},"tool_choice":{}}"#, "tool_choice"),
    ];
    for (body, place) in bad {
        assert_eq!(refusal(body.as_bytes()), (place.to_owned(), Why::Twice), "{body}");
    }
}

#[test]
fn refusals_name_the_field() {
    for (members, place) in [
        (json!({"model": 7}), "model: this must be a string"),
        (json!({"messages": "hi"}), "messages: this must be an array"),
        (json!({"messages": [{"role": "user"}]}), "messages.0.content: this field is required"),
        (json!({"messages": [{"role": "tool", "content": ""}]}), "messages.0.role: the role must be"),
        (json!({"messages": [7]}), "messages.0.role: this must be a member of an object"),
        (json!({"stream": "yes"}), "stream: this must be true or false"),
        (json!({"max_tokens": -1}), "max_tokens: this must be a whole number"),
        (json!({"stop_sequences": [7]}), "stop_sequences: this must be an array of strings"),
        (json!({"tool_choice": {"type": "tool"}}), "tool_choice.name: this field is required"),
        (json!({"tool_choice": "auto"}), "tool_choice: this must be an object"),
        (json!({"thinking": {"type": "much"}}), "thinking.type: this must be"),
        (json!({"tools": [{"input_schema": {}}]}), "tools.0.name: this field is required"),
        (
            json!({"tools": [{"name": "a", "input_schema": 7}]}),
            "tools.0.input_schema: this must be an object",
        ),
    ] {
        let (at, why) = refusal(&body(&members));
        let said = format!("{at}: {why}");
        assert!(said.starts_with(place), "{said}");
    }
    assert_eq!(of_blocks(&json!([{"text": "a"}])), "messages.0.content.0.type: this field is required");
    let call =
        json!([{"type": "text", "text": ""}, {"type": "tool_use", "id": "a", "name": "b", "input": "c"}]);
    assert_eq!(of_blocks(&call), "messages.0.content.1.input: this must be an object");
    let image = json!([{"type": "image", "source": {"type": "base64", "data": ""}}]);
    assert_eq!(of_blocks(&image), "messages.0.content.0.source.media_type: this field is required");
    assert_eq!(refusal(b"[]").0, "body");
    assert!(matches!(refusal(br#"{"model":"m","messages":[}"#).1, Why::NotJson(_)));
}

#[test]
fn bounds_hold() {
    let mut nested = json!("deep");
    for _ in 0..=limits::BLOCK_DEPTH_MAX {
        nested = json!([{"type": "tool_result", "tool_use_id": "t", "content": nested}]);
    }
    assert!(of_blocks(&nested).ends_with("blocks are nested too deeply"));
    let stops = vec!["x"; limits::STOPS_MAX + 1];
    assert_eq!(refusal(&body(&json!({"stop_sequences": stops}))).1, Why::TooMany(limits::STOPS_MAX));
    let long = "x".repeat(limits::STOP_BYTES_MAX + 1);
    assert_eq!(refusal(&body(&json!({"stop_sequences": [long]}))).1, Why::TooLong(limits::STOP_BYTES_MAX));
    let tools = vec![json!({"name": "a"}); limits::TOOLS_MAX + 1];
    assert_eq!(refusal(&body(&json!({"tools": tools}))).1, Why::TooMany(limits::TOOLS_MAX));
    let blocks = vec![json!({"type": "text", "text": ""}); limits::BLOCKS_MAX + 1];
    assert!(of_blocks(&json!(blocks)).contains("there are more than 200000 of these"));
    let mut many = json!({});
    for index in 0..=limits::UNKNOWN_FIELDS_MAX {
        many[format!("field_{index}")] = json!(1);
    }
    assert_eq!(read(&body(&many)).unwrap().others.len(), limits::UNKNOWN_FIELDS_MAX);
}

#[test]
fn what_people_write_is_in_no_debug() {
    let body = body(&json!({"system": "secret", "messages": [{"role": "user", "content": "secret"}]}));
    assert!(!format!("{:?}", read(&body).unwrap()).contains("secret"));
}
