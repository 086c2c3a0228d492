//! The readers and writers of Anthropic's dialect: tables, and any split against the whole.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};
use serde_json::{Value as Tree, json};

use super::error;
use super::fuzz::{fuzz_anthropic_request, fuzz_anthropic_response};
use super::request::{Refusal, Request, read, splice};
use super::response::AnswerReader;
use super::stream::UsageReader;
use super::tools;
use crate::corpus::replay;
use crate::error::{CallError, Code};
use crate::ids::CallId;
use crate::json::Fault;
use crate::limits;
use crate::llm::action::Action;
use crate::llm::usage::{Answer, Terms, Usage};

// === requests ===

fn model_and_stream(body: &str) -> Result<(String, bool), Refusal> {
    fuzz_anthropic_request(body.as_bytes());
    read(body.as_bytes()).map(|request| (request.model, request.stream))
}

#[test]
fn the_fields_of_a_request_are_found() {
    let good = [
        (r#"{"model":"claude-sonnet-5"}"#, "claude-sonnet-5", false),
        (r#" { "stream" : true , "model" : "m" } "#, "m", true),
        (r#"{"model":"m","stream":false}"#, "m", false),
        (r#"{"model":"m","stream":null}"#, "m", false),
        (r#"{"messages":[{"model":"no","stream":true}],"model":"yes"}"#, "yes", false),
        (r#"{"mod\u0065l":"m","strea\u006d":true}"#, "m", true),
        (r#"{"model":"a\/b[1m]\u00e9"}"#, "a/b[1m]é", false),
        (r#"{"model":"m","temperature":1,"temperature":2}"#, "m", false),
    ];
    for (body, model, stream) in good {
        assert_eq!(model_and_stream(body), Ok((model.to_owned(), stream)), "{body}");
    }
    let body = br#"{"max_tokens":32000,"model":"m"}"#;
    let expected = Request {
        model: "m".into(),
        model_span: 29..30,
        max_tokens: Some(32000),
        body_bytes: 32,
        ..Request::default()
    };
    assert_eq!(read(body), Ok(expected));
    for other in ["-1", "1.5", "null", "\"7\""] {
        let body = format!("{{\"max_tokens\":{other},\"model\":\"m\"}}");
        assert_eq!(read(body.as_bytes()).unwrap().max_tokens, None);
    }
}

#[test]
fn definitions_of_tools_are_read() {
    let list = r#"[{"name":"B\u0061sh","input_schema":{"name":"no"}},7,
        {"type":"web_search_20250305","name":"web_search","max_uses":5},
        {"type":"custom","defer_loading":true},{"defer_loading":false,"name":1}]"#;
    let body = format!(r#"{{"tools":{list},"model":"m"}}"#);
    fuzz_anthropic_request(body.as_bytes());
    let span = read(body.as_bytes()).unwrap().tools.unwrap();
    assert_eq!(body.get(span.clone()), Some(list));
    let mut found = Vec::new();
    tools::read(body.as_bytes(), span, |tool| {
        found.push((tool.name.into_owned(), tool.kind.into_owned(), tool.deferred, tool.max_uses));
        assert!(tool.bytes > 20);
    })
    .unwrap();
    let tool = |name: &str, kind: &str, deferred, uses| (name.to_owned(), kind.to_owned(), deferred, uses);
    let search = tool("web_search", "web_search_20250305", false, Some(5));
    assert_eq!(
        found,
        [tool("Bash", "", false, None), search, tool("", "", true, None), tool("", "", false, None)]
    );
    for body in [r#"{"model":"m"}"#, r#"{"model":"m","tools":null}"#, r#"{"model":"m","tools":{}}"#] {
        assert_eq!(read(body.as_bytes()).unwrap().tools, None);
    }
    let twice = read(br#"{"model":"m","tools":[],"tools":[1]}"#);
    assert_eq!(twice, Err(Refusal::Twice("tools")));
    assert_eq!(read(br#"{"model":"m","Tools":[]}"#), Err(Refusal::Alike("tools")));
}

#[test]
fn definitions_in_openais_dialects_are_read() {
    let list = r#"[{"type":"function","function":{"description":"name","name":"B\u0061sh","parameters":{}}},
        {"type":"function","name":"Read","parameters":{}},{"type":"web_search"},{"function":7}]"#;
    let mut found = Vec::new();
    tools::read(list.as_bytes(), 0..list.len(), |tool| {
        found.push((tool.name.to_string(), tool.kind.to_string()));
        assert!(tool.bytes < list.len());
    })
    .unwrap();
    let expected = [("Bash", ""), ("Read", ""), ("", "web_search"), ("", "")];
    assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
}

#[test]
fn what_an_estimate_needs_is_found() {
    let body = br#"{"model":"m","thinking":{"type":"enabled","budget_tokens":9000},"speed":"fast",
        "service_tier":"standard_only","inference_geo":"us"}"#;
    let request = read(body).unwrap();
    assert_eq!(request.thinking_tokens, Some(9000));
    let expected = Terms {
        service_tier: Some("standard_only".into()),
        speed: Some("fast".into()),
        inference_geo: Some("us".into()),
    };
    assert_eq!(request.terms, expected);
    assert_eq!(request.body_bytes, body.len());
    for thinking in
        ["{\"type\":\"adaptive\"}", "{\"budget_tokens\":-1}", "{\"budget_tokens\" 1}", "null", "[7]"]
    {
        let body = format!("{{\"model\":\"m\",\"thinking\":{thinking},\"speed\":7}}");
        let request = read(body.as_bytes()).unwrap();
        assert_eq!((request.thinking_tokens, request.terms), (None, Terms::default()), "{thinking}");
    }
}

#[test]
fn what_two_parsers_could_read_in_two_ways_is_refused() {
    let bad = [
        (r#"{"model":"a","model":"b"}"#, Refusal::Twice("model")),
        (r#"{"model":"a","messages":[],"mod\u0065l":"b"}"#, Refusal::Twice("model")),
        (r#"{"\u006dodel":"a","mod\u0065l":"a"}"#, Refusal::Twice("model")),
        (r#"{"stream":true,"model":"a","stream":true}"#, Refusal::Twice("stream")),
        (r#"{"max_tokens":1,"max_tokens":2,"model":"a"}"#, Refusal::Twice("max_tokens")),
        (r#"{"speed":"fast","speed":"standard","model":"a"}"#, Refusal::Twice("speed")),
        (r#"{"model":"a","Model":"b"}"#, Refusal::Alike("model")),
        (r#"{"model":"a","MODE\u004c":"b"}"#, Refusal::Alike("model")),
        (r#"{"Stream":true,"model":"a"}"#, Refusal::Alike("stream")),
        (r#"{"stream":true}"#, Refusal::NoModel),
        (r#"{"model":null}"#, Refusal::ModelKind),
        (r#"{"model":["a"]}"#, Refusal::ModelKind),
        (r#"{"model":""}"#, Refusal::ModelName),
        (r#"{"model":"a\u0000"}"#, Refusal::ModelName),
        (r#"{"model":"a\u0085"}"#, Refusal::ModelName),
        (r#"{"model":"a","stream":1}"#, Refusal::StreamKind),
        (r#"{"model":"a","stream":"true"}"#, Refusal::StreamKind),
        ("[]", Refusal::NotObject),
        ("", Refusal::NotObject),
        ("model=a", Refusal::NotObject),
        (r#"{"model":"a",/*"*/"x":1}"#, Refusal::NotJson(Fault::Key { at: 13 })),
        (r#"{"model":"a","x":[/*"*/]}"#, Refusal::NotJson(Fault::Byte { at: 18 })),
        (r#"{"model":"\ud800"}"#, Refusal::NotJson(Fault::Escape { at: 10 })),
        (r#"{"mod\x65l":"a"}"#, Refusal::NotJson(Fault::Escape { at: 5 })),
    ];
    for (body, refusal) in bad {
        assert_eq!(model_and_stream(body), Err(refusal), "{body}");
    }
    let name = |bytes: usize| format!("{{\"model\":\"{}\"}}", "m".repeat(bytes));
    assert!(read(name(limits::MODEL_NAME_BYTES_MAX).as_bytes()).is_ok());
    assert_eq!(read(name(limits::MODEL_NAME_BYTES_MAX + 1).as_bytes()), Err(Refusal::ModelName));
}

#[test]
fn an_unusual_body_has_to_be_good_json_all_through() {
    let usual = r#"{"model":"m","x":[1 2]}"#;
    assert!(read(usual.as_bytes()).is_ok(), "this one is left to the provider");
    let unusual = r#"{"model":"m","x\u0020":[1 2]}"#;
    assert!(matches!(read(unusual.as_bytes()), Err(Refusal::NotJson(_))));
    let large = format!("{{\"\\u006dodel\":\"m\",\"x\":\"{}\"}}", "x".repeat(limits::JSON_STRICT_BYTES_MAX));
    assert_eq!(read(large.as_bytes()), Err(Refusal::Escapes));
}

#[test]
fn a_refusal_is_a_sentence_with_the_field() {
    let error = CallError::from(Refusal::Twice("stream"));
    assert_eq!(error.code(), Code::BadRequest);
    assert_eq!(error.message(), "the field `stream` is given more than once");
    let error = CallError::from(read(b"{\"model\":\"m\" \"x\":1}").unwrap_err());
    let expected = "the body is not valid JSON: a comma or the closing bracket was expected at byte 13";
    assert_eq!(error.message(), expected);
}

#[test]
fn a_splice_changes_the_model_alone() {
    let body = br#"{ "x":"\u0041", "model" : "old\n", "y":1.50 }"#;
    // A line feed is a control character, so this request cannot come from `read`.
    let request = Request { model: "old\n".into(), model_span: 27..32, ..Request::default() };
    let spliced = splice(body, &request, "new\"→").unwrap();
    let bytes = [spliced.before, spliced.model.as_bytes(), spliced.after].concat();
    assert_eq!(bytes, r#"{ "x":"\u0041", "model" : "new\"→", "y":1.50 }"#.as_bytes());
    assert_eq!(spliced.total_bytes(), bytes.len());
    assert_eq!(splice(b"{}", &request, "new"), None);
    assert_eq!(splice(&[b' '; 99], &request, "new"), None);
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        4 => proptest::sample::select(vec!["model", "stream", "max_tokens", "messages"])
            .prop_map(str::to_owned),
        1 => proptest::sample::select(vec!["mod\\u0065l", "\\u0073tream", "Model", "STREAM"])
            .prop_map(str::to_owned),
        1 => "[a-z\\\\\"]{0,7}",
    ];
    let value = proptest::sample::select(vec![
        "\"m\"",
        "\"a\\/b\"",
        "true",
        "false",
        "null",
        "17",
        "1e400",
        "[]",
        "{\"model\":\"x\"}",
        "[1,{\"a\":\"}\"}]",
        "\"",
        "/",
    ]);
    vec((name, value), 0..5).prop_map(|members| {
        let members = members.iter().map(|(name, value)| format!("\"{name}\":{value}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into_bytes()
    })
}

// === answers ===

const START: &str = r#"{"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant",
"model":"claude-sonnet-5","content":[],"stop_reason":null,"usage":{"input_tokens":3,
"cache_creation_input_tokens":1000,"cache_read_input_tokens":20000,
"cache_creation":{"ephemeral_5m_input_tokens":400,"ephemeral_1h_input_tokens":600},
"output_tokens":1,"service_tier":"standard"}}}"#;

fn stream_of(line_end: &str) -> String {
    let lines = [
        "event: message_start",
        &format!("data: {}", START.replace('\n', "")),
        "",
        "event: ping",
        r#"data: {"type":"ping"}"#,
        "",
        ": keep-alive",
        "event: content_block_delta",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"usage"}}"#,
        "",
        "event: message_delta",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":89}}"#,
        "",
        "event: message_stop",
        r#"data: {"type":"message_stop"}"#,
        "",
        "",
    ];
    lines.join(line_end)
}

fn read_stream(stream: &str) -> UsageReader {
    let mut reader = UsageReader::default();
    reader.push(stream.as_bytes());
    for seed in 0..23 {
        fuzz_anthropic_response(&[&[seed], stream.as_bytes()].concat());
    }
    reader
}

fn expected() -> Answer {
    Answer {
        usage: Usage {
            input_tokens: 3,
            output_tokens: 89,
            cache_read_tokens: 20000,
            cache_write_5m_tokens: 400,
            cache_write_1h_tokens: 600,
            seen: true,
            ..Usage::default()
        },
        terms: Terms { service_tier: Some("standard".into()), ..Terms::default() },
        produced_bytes: 5,
        stop_reason: Some("end_turn".into()),
        model: Some("claude-sonnet-5".into()),
        message_id: Some("msg_01".into()),
        ..Answer::default()
    }
}

#[test]
fn a_stream_is_read_whatever_its_line_ends() {
    for line_end in ["\n", "\r\n", "\r"] {
        let reader = read_stream(&stream_of(line_end));
        assert_eq!(reader.answer(), &expected());
        assert!(reader.finished() && reader.between_events());
        assert_eq!((reader.unread(), reader.error_kind()), (0, None));
    }
}

#[test]
fn the_stream_is_finished_by_its_last_event_only() {
    let stream = stream_of("\n");
    let mut reader = UsageReader::default();
    for (place, byte) in stream.bytes().enumerate() {
        assert!(!reader.finished());
        let ended = stream.as_bytes().get(..place).is_some_and(|past| past.ends_with(b"\n\n"));
        let comment = stream.get(..place).is_some_and(|past| past.ends_with(": keep-alive\n"));
        assert_eq!(reader.between_events(), place == 0 || ended || comment, "at {place}");
        reader.push(&[byte]);
    }
    assert!(reader.finished());
}

#[test]
fn an_error_event_ends_a_stream() {
    let event = "event: error\n\
        data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"\"}}\n\n";
    let reader = read_stream(event);
    assert!(reader.finished());
    assert_eq!(reader.error_kind(), Some("overloaded_error"));
    assert!(!reader.answer().usage.seen);
}

#[test]
fn data_before_its_name_and_in_several_lines_is_read() {
    let stream = "data: {\"usage\":\ndata: {\"output_tokens\":5}}\nid: 1\nevent: message_delta\n\n";
    assert_eq!(read_stream(stream).answer().usage.output_tokens, 5);
    let void = "event: message_delta\n\ndata: {\"usage\":{\"output_tokens\":5}}\n\n";
    assert!(!read_stream(void).answer().usage.seen, "a name holds for its own block only");
}

#[test]
fn what_is_too_long_or_broken_is_noted_and_not_kept() {
    let long = format!("event: message_delta\ndata: {}\n\n", " ".repeat(limits::USAGE_EVENT_BYTES_MAX + 1));
    let mut reader = UsageReader::default();
    reader.push(long.as_bytes());
    reader.push(b"event: message_delta\ndata: {\"usage\":[]\n\n");
    reader.push(b"event: content_block_delta\ndata: not JSON\n\n");
    assert_eq!(reader.unread(), 2);
    reader.push(b"event: message_delta\ndata: {\"usage\":{\"output_tokens\":5}}\n\n");
    assert_eq!((reader.unread(), reader.answer().usage.output_tokens), (2, 5));
}

#[test]
fn an_answer_of_one_document_is_read() {
    let answer = json!({
        "model": "claude-sonnet-5", "id": "msg_01", "type": "message", "role": "assistant",
        "content": [{"type": "text", "text": "\"usage\": {\"input_tokens\": 9}\n\\"},
            {"type": "tool_use", "id": "toolu_no", "input": {"usage": {"output_tokens": 8}, "model": "no"}}],
        "stop_reason": "end_turn", "stop_sequence": null, "stop_reason_more": "no",
        "usage": {"input_tokens": 3, "cache_creation_input_tokens": 1000, "cache_read_input_tokens": 20000,
            "cache_creation": {"ephemeral_5m_input_tokens": 400, "ephemeral_1h_input_tokens": 600},
            "output_tokens": 89, "server_tool_use": {"web_search_requests": 0}},
    });
    for doc in [answer.to_string(), format!("\n {answer:#}\n")] {
        for seed in 0..23 {
            fuzz_anthropic_response(&[&[seed], doc.as_bytes()].concat());
        }
        let mut reader = AnswerReader::default();
        reader.push(doc.as_bytes());
        assert!(reader.finished());
        let action = Action { id: "toolu_no".into(), ..Action::default() };
        let expected = Answer {
            terms: Terms::default(),
            produced_bytes: reader.answer().produced_bytes,
            actions: vec![action],
            ..expected()
        };
        assert_eq!(reader.answer(), &expected);
    }
    let spaced = b"{ \"usage\" : { \"output_tokens\" : 4 } , \"id\" : \"x\" }";
    let mut reader = AnswerReader::default();
    reader.push(spaced);
    assert_eq!((reader.answer().usage.output_tokens, reader.answer().message_id.as_deref()), (4, Some("x")));
}

#[test]
fn an_odd_answer_leaves_the_usage_unseen() {
    let long = format!("{{\"usage\":{{\"a\":\"{}\"}}}}", "x".repeat(limits::ANSWER_VALUE_BYTES_MAX));
    for odd in [
        "",
        "[]",
        "<html>",
        "{\"usage\":",
        "{\"usage\":7}",
        "{\"x\":{\"usage\":{\"input_tokens\":1}}}",
        &long,
    ] {
        let mut reader = AnswerReader::default();
        reader.push(odd.as_bytes());
        assert_eq!(reader.answer(), &Answer::default(), "{odd}");
    }
}

#[test]
fn cache_writes_are_counted_once() {
    let check = |steps: &[Tree], expected: (u64, u64)| {
        let mut usage = Usage::default();
        for step in steps {
            let doc = step.to_string();
            assert_eq!(usage.read(doc.as_bytes(), 0..doc.len()), Ok(()));
        }
        assert_eq!((usage.cache_write_5m_tokens, usage.cache_write_1h_tokens), expected, "{steps:?}");
        assert!(usage.seen);
    };
    let split = json!({"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6});
    let both = json!({"cache_creation_input_tokens": 10, "cache_creation": split});
    let total = |tokens: u64| json!({"cache_creation_input_tokens": tokens});
    check(&[total(10)], (10, 0));
    check(std::slice::from_ref(&both), (4, 6));
    check(&[json!({"cache_creation": split})], (4, 6));
    check(&[both.clone(), total(10)], (4, 6));
    check(&[both.clone(), total(12)], (6, 6));
    check(&[both, total(5)], (0, 5));
    check(
        &[json!({"cache_creation_input_tokens": 10, "cache_creation": {"ephemeral_1h_input_tokens": 6}})],
        (4, 6),
    );
    check(&[json!({"cache_creation_input_tokens": 10, "cache_creation": null})], (10, 0));
}

#[test]
fn later_numbers_replace_earlier_ones_one_by_one() {
    let mut usage = Usage::default();
    for doc in [
        r#"{"input_tokens":3,"output_tokens":1,"cache_read_input_tokens":7}"#,
        r#"{"output_tokens":9,"input_tokens":null,"cache_read_input_tokens":-1}"#,
    ] {
        usage.read(doc.as_bytes(), 0..doc.len()).unwrap();
    }
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.cache_read_tokens), (3, 9, 7));
}

// === errors ===

#[test]
fn errors_have_the_envelope() {
    let error = CallError::new(Code::NotFound).context("no \"such\" model\n");
    let mut body = Vec::new();
    error::write(&mut body, &error, CallId(10));
    let tree: Tree = serde_json::from_slice(&body).unwrap();
    let expected = json!({"type": "error",
        "error": {"type": "not_found_error", "message": "no \"such\" model\n"},
        "request_id": "req_0000000000000000000000000000000a"});
    assert_eq!(tree, expected);
    let mut event = Vec::new();
    error::write_event(&mut event, &error, CallId(10));
    assert_eq!(event, [b"event: error\ndata: ", body.as_slice(), b"\n\n"].concat());
    let mut reader = UsageReader::default();
    reader.push(&event);
    assert!(reader.finished());
    assert_eq!(reader.error_kind(), Some("not_found_error"));
}

// === any bytes ===

fn answer_bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        6 => proptest::sample::select(vec![
            "event: message_start\n", "event: message_delta\n", "event: error\n", "event: message_stop\n",
            "data: ",
            "\n\n", "\r\n", "\r", "\n", "{", "}", "[", "]", ",", ":", "\"usage\":", "\"id\":",
            "\"model\"", "\"stop_reason\": ",
            "\"message\":{", "{\"output_tokens\":5}", "\"delta\":{", "\"x\"", "\"\\\"\"",
            "\\", "\"", "7", "null", " ",
        ]).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..9),
        1 => Just(b"\xef\xbb\xbf".to_vec()),
    ];
    vec(word, 0..30).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_request_is_read_as_serde_json_reads_it(
        body in body(),
        cut in any::<bool>(),
        place in any::<proptest::sample::Index>(),
    ) {
        fuzz_anthropic_request(&body);
        if cut {
            fuzz_anthropic_request(body.get(..place.index(body.len())).unwrap_or_default());
        }
        if let Ok(request) = read(&body) {
            assert!(!request.model.is_empty());
        }
    }

    #[test]
    fn any_split_of_an_answer_says_the_same(seed in 0_u8..23, bytes in answer_bytes()) {
        fuzz_anthropic_response(&[&[seed], bytes.as_slice()].concat());
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("anthropic_request", 4, fuzz_anthropic_request);
    replay("anthropic_response", 3, fuzz_anthropic_response);
}

#[test]
fn models_beside_the_requests_own_are_seen_and_read_in_one_way_only() {
    let asked = |more: &str| read(format!("{{\"model\":\"m\",{more}}}").as_bytes());
    let beside = |more: &str| asked(more).map(|request| request.beside).unwrap();
    assert_eq!(beside(r#""fallbacks":[{"model":"a"},{"model":"b","x":[1]},{"model":"a"}]"#), ["a", "b"]);
    let advisor = r#""tools":[{"name":"t","input_schema":{"properties":{"model":{"type":"string"}}}},
        {"type":"advisor_20260301","name":"advisor","model":"big"}]"#;
    assert_eq!(beside(advisor), ["big"]);
    assert_eq!(beside(r#""tools":[{"mod\u0065l":"big"}]"#), ["big"]);
    assert!(beside(r#""fallbacks":null,"tools":[]"#).is_empty());
    for wrong in [
        r#""fallbacks":[{"model":"a","model":"b"}]"#,
        r#""fallbacks":[{"model":"a","mod\u0065l":"b"}]"#,
        r#""fallbacks":[{"Model":"a"}]"#,
        r#""fallbacks":[{"model":7}]"#,
        r#""fallbacks":[{"model":""}]"#,
        r#""fallbacks":"a""#,
        r#""fallbacks":[],"fallbacks":[]"#,
        r#""Fallbacks":[]"#,
    ] {
        assert!(asked(wrong).is_err(), "{wrong}");
    }
    let many: Vec<String> = (0..17).map(|n| format!("{{\"model\":\"m{n}\"}}")).collect();
    assert_eq!(asked(&format!("\"fallbacks\":[{}]", many.join(","))), Err(Refusal::ManyBeside));
}
