//! Both writers: order of blocks, ends, stop sequences, and what they make of any events.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use serde_json::{Value as Tree, json};

use super::fuzz::{End, check, fuzz_said};
use super::{DocumentWriter, Event, Failure, Kind, Setup, Stop, StreamWriter};
use crate::corpus::replay;
use crate::ids::CallId;
use crate::limits;
use crate::llm::anthropic::stream::UsageReader;
use crate::llm::usage::Usage;

fn setup(stops: &[&str]) -> Setup {
    Setup {
        call: CallId(0xab),
        model: "claude-opus-5".into(),
        input_tokens: 321,
        stops: stops.iter().map(|stop| (*stop).into()).collect(),
        signature: "tollgate.1.x.".into(),
    }
}

/// What both writers make of the events: how the stream ends, and the message, which has to be the same.
fn written(stops: &[&str], events: &[Event<'_>]) -> (End, Tree) {
    let (out, writer) = streamed(stops, events);
    let (end, message) = check(&out);
    assert_eq!(writer.finished(), end != End::Open);
    let mut document = DocumentWriter::new(setup(stops));
    events.iter().for_each(|event| document.take(event));
    let document = document.finish();
    assert_eq!(document.is_ok(), end == End::Stopped, "{document:?}");
    if let Ok(document) = document {
        assert_eq!(serde_json::from_slice::<Tree>(&document).unwrap(), message);
    }
    (end, message)
}

fn streamed(stops: &[&str], events: &[Event<'_>]) -> (Vec<u8>, StreamWriter) {
    let (mut writer, mut out) = (StreamWriter::new(setup(stops)), Vec::new());
    events.iter().for_each(|event| writer.take(event, &mut out));
    (out, writer)
}

fn tool(index: usize, id: &'static str) -> Event<'static> {
    Event::ToolStarted { index, id, name: "Read" }
}

fn input(index: usize, json: &str) -> Event<'_> {
    Event::ToolInput { index, json }
}

const USED: Usage = Usage {
    input_tokens: 3,
    output_tokens: 89,
    cache_read_tokens: 20,
    cache_write_5m_tokens: 4,
    cache_write_1h_tokens: 6,
    web_searches: 0,
    web_fetches: 0,
    code_executions: 0,
    seen: true,
};

#[test]
fn a_message_is_written_as_anthropic_writes_it() {
    let events = [
        Event::Started { model: "gpt", id: "chatcmpl-1" },
        Event::Thinking("hm"),
        Event::Thinking("m"),
        Event::Text("He"),
        Event::Text("l\"lo\n"),
        tool(0, "toolu_1"),
        input(0, "{\"a\""),
        input(0, ":1}"),
        Event::Stopped(Stop::ToolUse),
        Event::Usage(USED),
        Event::Ended,
    ];
    let (end, message) = written(&[], &events);
    assert_eq!(end, End::Stopped);
    let expected = json!({
        "id": "msg_000000000000000000000000000000ab", "type": "message", "role": "assistant",
        "model": "claude-opus-5", "stop_reason": "tool_use", "stop_sequence": null,
        "content": [
            {"type": "thinking", "thinking": "hmm", "signature": "tollgate.1.x."},
            {"type": "text", "text": "Hel\"lo\n"},
            {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"a": 1}}],
        "usage": {"input_tokens": 3, "output_tokens": 89, "cache_read_input_tokens": 20,
            "cache_creation_input_tokens": 10,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6}},
    });
    assert_eq!(message, expected);
    let (out, _) = streamed(&[], &events);
    let first = out.split(|byte| *byte == b'\n').nth(1).unwrap();
    let first: Tree = serde_json::from_slice(first.strip_prefix(b"data: ").unwrap()).unwrap();
    assert_eq!(first["message"]["usage"]["input_tokens"], 321, "the estimate comes first");
    // The gateway's own reader of Anthropic's form reads what its writer writes.
    let mut reader = UsageReader::default();
    reader.push(&out);
    assert_eq!((reader.answer().usage, reader.unread()), (USED, 0));
    assert!(reader.finished() && reader.between_events());
}

#[test]
fn parallel_calls_go_out_one_after_the_other() {
    let events = [
        tool(0, "a"),
        tool(1, "b"),
        input(1, "{\"x\":"),
        input(0, "{\"y\":\"}"),
        input(1, "2}"),
        input(0, "\"}"),
        tool(2, "c"),
        Event::Text("after"),
        Event::Stopped(Stop::EndTurn),
        Event::Ended,
    ];
    let (end, message) = written(&[], &events);
    assert_eq!((end, &message["stop_reason"]), (End::Stopped, &json!("tool_use")));
    let inputs: Vec<&Tree> =
        message["content"].as_array().unwrap().iter().map(|block| &block["input"]).collect();
    assert_eq!(inputs, [&json!({"y": "}"}), &json!({"x": 2}), &json!({}), &json!(null)]);
    // The second call is out as soon as the first one is closed, not only at the end.
    let (out, _) = streamed(&[], &events[..7]);
    assert_eq!(check(&out).1["content"][1]["input"], json!({"x": 2}));
}

#[test]
fn inputs_that_are_no_objects_end_in_an_error() {
    for (bad, _) in
        [("[1]", 0), ("{\"a\":}", 0), ("{\"a\":1", 0), ("{}{\"a\":1}", 0), ("7", 0), ("{\"a\":1]", 0)]
    {
        let events = [tool(0, "a"), input(0, bad), Event::Stopped(Stop::ToolUse), Event::Ended];
        assert_eq!(written(&[], &events).0, End::Failed, "{bad}");
    }
    for blank in ["", " ", "null", "\"\"", "\n{}\n"] {
        let events = [tool(0, "a"), input(0, blank), Event::Stopped(Stop::ToolUse), Event::Ended];
        let (end, message) = written(&[], &events);
        assert_eq!((end, &message["content"][0]["input"]), (End::Stopped, &json!({})), "{blank}");
    }
    let events = [tool(0, "a"), input(0, "{}"), tool(1, "b"), input(0, "x")];
    assert_eq!(check(&streamed(&[], &events).0).0, End::Failed, "a call goes on after its end");
}

#[test]
fn a_call_that_is_cut_off_by_the_models_room_stays_so() {
    let events = [tool(0, "a"), input(0, "{\"a\":\"b"), Event::Stopped(Stop::MaxTokens), Event::Ended];
    let (out, _) = streamed(&[], &events);
    let (end, message) = check(&out);
    assert_eq!((end, &message["stop_reason"]), (End::Stopped, &json!("max_tokens")));
    assert!(String::from_utf8_lossy(&out).contains("{\\\"a\\\":\\\"b"));
    let mut document = DocumentWriter::new(setup(&[]));
    events.iter().for_each(|event| document.take(event));
    let document: Tree = serde_json::from_slice(&document.finish().unwrap()).unwrap();
    assert_eq!(document["content"][0]["input"], json!({}));
}

#[test]
fn the_end_of_the_models_room_stays_the_reason() {
    let events = [
        tool(0, "a"),
        input(0, "{\"a\":\"b"),
        Event::Stopped(Stop::MaxTokens),
        Event::ToolEnded { index: 0 },
        Event::Text("x"),
        Event::Stopped(Stop::EndTurn),
        Event::Ended,
    ];
    let (end, message) = written(&[], &events);
    assert_eq!((end, &message["stop_reason"]), (End::Stopped, &json!("max_tokens")));
}

#[test]
fn a_summary_of_nothing_is_no_block() {
    let events = [Event::Compacted(""), Event::Text("x"), Event::Stopped(Stop::EndTurn), Event::Ended];
    let (end, message) = written(&[], &events);
    assert_eq!((end, &message["content"]), (End::Stopped, &json!([{"type": "text", "text": "x"}])));
}

#[test]
fn only_the_providers_own_end_is_an_end() {
    assert_eq!(written(&[], &[Event::Text("a")]).0, End::Open);
    assert_eq!(written(&[], &[Event::Text("a"), Event::Stopped(Stop::EndTurn)]).0, End::Open);
    assert_eq!(written(&[], &[Event::Text("a"), Event::Ended]).0, End::Failed);
    let failure = Failure::new(Kind::CutShort, "broke off");
    let events = [
        Event::Text("a"),
        Event::Stopped(Stop::EndTurn),
        Event::Failed(&failure),
        Event::Ended,
        Event::Text("b"),
    ];
    let (out, writer) = streamed(&[], &events);
    assert_eq!((check(&out).0, writer.failure()), (End::Failed, Some(&failure)));
    let text = String::from_utf8(out).unwrap();
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\
        \"broke off\"},\"request_id\":\"req_000000000000000000000000000000ab\"}\n\n";
    assert!(text.ends_with(error) && !text.contains("message_stop"), "{text}");
}

#[test]
fn nothing_is_committed_before_the_first_block() {
    let (out, writer) = streamed(&[], &[Event::Started { model: "", id: "" }, Event::Text(" \n")]);
    assert!(!writer.committed() && !out.is_empty());
    assert!(streamed(&[], &[Event::Text(" \n"), Event::Text("a")]).1.committed());
    let failure = Failure::new(Kind::Overloaded, "");
    assert!(!streamed(&[], &[Event::Failed(&failure)]).1.committed());
}

#[test]
fn blank_text_is_not_sent() {
    let events =
        [Event::Text("\n\n"), tool(0, "a"), Event::Text(" "), Event::Stopped(Stop::ToolUse), Event::Ended];
    let (_, message) = written(&[], &events);
    assert_eq!(message["content"].as_array().unwrap().len(), 1);
    let (_, message) =
        written(&[], &[Event::Text("\n"), Event::Text(" a"), Event::Stopped(Stop::EndTurn), Event::Ended]);
    assert_eq!(message["content"], json!([{"type": "text", "text": "\n a"}]));
    let (end, message) = written(&[], &[Event::Stopped(Stop::EndTurn), Event::Ended]);
    assert_eq!((end, &message["content"]), (End::Stopped, &json!([])));
}

#[test]
fn stop_sequences_cut_the_text_wherever_it_is_split() {
    let check_one = |stops: &[&str], text: &str, before: &str, stop: Option<&str>| {
        for step in 1..=text.len() {
            let pieces: Vec<String> = text
                .as_bytes()
                .chunks(step)
                .map(|piece| String::from_utf8_lossy(piece).into_owned())
                .collect();
            let mut events: Vec<Event<'_>> = pieces.iter().map(|piece| Event::Text(piece)).collect();
            events.extend([tool(0, "a"), Event::Stopped(Stop::EndTurn), Event::Usage(USED), Event::Ended]);
            let (end, message) = written(stops, &events);
            assert_eq!(end, End::Stopped);
            assert_eq!(
                message["content"][0]["text"].as_str().unwrap_or_default(),
                before,
                "{text} by {step}"
            );
            assert_eq!(message["stop_sequence"].as_str(), stop, "{text} by {step}");
            assert_eq!(message["stop_reason"], if stop.is_some() { "stop_sequence" } else { "tool_use" });
            assert_eq!(message["usage"]["output_tokens"], 89, "what was used is told in any case");
            let blocks = message["content"].as_array().unwrap();
            assert_eq!(blocks.iter().any(|block| block["type"] == "tool_use"), stop.is_none());
        }
    };
    check_one(&["END"], "one END two", "one ", Some("END"));
    check_one(&["END"], "one EN two", "one EN two", None);
    check_one(&["END"], "one EEND", "one E", Some("END"));
    check_one(&["END"], "one EN", "one EN", None);
    check_one(&["b", "abc"], "xabc", "xa", Some("b"));
    check_one(&["c", "abc"], "xabc", "x", Some("abc"));
    check_one(&["\n\nHuman:"], "a\n\nHuman: b", "a", Some("\n\nHuman:"));
    check_one(&["aab"], "aaab", "a", Some("aab"));
    check_one(&["x"], "x", "", Some("x"));
}

#[test]
fn a_broken_end_after_a_cut_is_the_answers_end() {
    let failure = Failure::new(Kind::CutShort, "broke off");
    for last in [Event::Failed(&failure), Event::Ended] {
        let (end, message) = written(&["END"], &[Event::Text("a END"), Event::Thinking("more"), last]);
        assert_eq!((end, &message["stop_reason"]), (End::Stopped, &json!("stop_sequence")));
        assert_eq!(message["usage"]["input_tokens"], 321);
        assert!(message["usage"]["output_tokens"].as_u64().unwrap() > 1, "an estimate of what was written");
    }
}

#[test]
fn reasons_to_stop_agree_with_what_was_said() {
    let cases = [
        (Stop::EndTurn, false, "end_turn"),
        (Stop::EndTurn, true, "tool_use"),
        (Stop::ToolUse, false, "end_turn"),
        (Stop::MaxTokens, true, "max_tokens"),
        (Stop::Refusal, false, "refusal"),
        (Stop::ContextFull, false, "model_context_window_exceeded"),
        (Stop::Sequence("x"), false, "stop_sequence"),
    ];
    for (stop, called, expected) in cases {
        let mut events = vec![Event::Text("a")];
        events.extend(called.then(|| tool(0, "t")));
        events.extend([Event::Stopped(stop), Event::Ended]);
        assert_eq!(written(&[], &events).1["stop_reason"], expected);
    }
}

#[test]
fn what_is_held_has_a_bound() {
    let piece = "x".repeat(limits::HELD_BYTES_MAX / 8);
    let mut events = vec![tool(0, "a"), input(0, "{")];
    events.extend((0..9).map(|_| Event::Text(&piece)));
    assert_eq!(check(&streamed(&[], &events).0).0, End::Failed);
    let long = "x".repeat(limits::CALL_INPUT_BYTES_MAX);
    let events = [tool(0, "a"), input(0, "{\""), input(0, &long)];
    assert_eq!(check(&streamed(&[], &events).0).0, End::Failed);
    let mut events = vec![tool(0, "a")];
    events.extend(
        (0..limits::ANSWER_BLOCKS_MAX + 2)
            .map(|index| if index % 2 == 0 { Event::Text("a") } else { Event::Thinking("b") }),
    );
    assert_eq!(check(&streamed(&[], &events).0).0, End::Failed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_events_make_a_stream_of_the_form(data in vec(any::<u8>(), 0..200)) {
        fuzz_said(&data);
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("said", 2, fuzz_said);
}
