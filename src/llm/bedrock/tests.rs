//! Frames by the published format, Anthropic's events out of them, and the words of failures.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::{Index, select};
use serde_json::{Value as Tree, json};

use super::eventstream::{Fault, Frame, Frames, Message, write_frame};
use super::fuzz::{anthropic, chunk, fuzz_event_stream};
use super::{
    Answer, Form, InvokeStream, count_path, host_name, invoke_path, mantle_host_name, read_count, read_error,
    strip_metrics, takes_ttl, write_count,
};
use crate::base64;
use crate::corpus::replay;
use crate::ids::CallId;
use crate::limits;
use crate::llm::said::Kind;
use crate::llm::said::fuzz::{End, check};

// === frames ===

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(digit).collect()
}

/// Payloads with what `look` sees of their frames, and the fault behind them.
fn read<T>(stream: &[u8], look: impl Fn(&Frame<'_>) -> T) -> (Vec<T>, Result<(), Fault>, bool) {
    let (mut frames, mut found) = (Frames::default(), Vec::new());
    let result = frames.push(stream, &mut |frame| found.push(look(&frame)));
    (found, result, frames.between())
}

/// The vectors of the specification; botocore 1.43.11 reads the same in them.
#[test]
fn frames_are_read_as_published() {
    const FOO: &str = "7b27666f6f273a27626172277d";
    let one = |hex: &str, name: &'static str| {
        let (found, result, between) = read(&bytes(hex), move |frame| {
            let text = frame.text(name).map(str::to_owned);
            (String::from_utf8(frame.payload.to_vec()).unwrap(), text)
        });
        assert_eq!((result, between, found.len()), (Ok(()), true, 1), "{hex}");
        found.into_iter().next().unwrap()
    };
    let foo = || "{'foo':'bar'}".to_owned();
    assert_eq!(one("000000100000000005c248eb7d98c8ff", "x"), (String::new(), None));
    assert_eq!(one(&format!("0000001d00000000fd528c5a{FOO}c3653936"), "x"), (foo(), None));
    let json = Some("application/json".to_owned());
    let content_type = "0c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e";
    let plain = format!("0000003d0000002007fd8396{content_type}{FOO}8d9c08b1");
    assert_eq!(one(&plain, "content-type"), (foo(), json.clone()));
    let number = format!("0000002d0000001041c424b80a6576656e742d74797065040000a00c{FOO}36f480a0");
    assert_eq!(one(&number, "event-type"), (foo(), None), "a number is no text");
    let all = format!(
        "000000cc000000af0fae64ca0a6576656e742d74797065040000a00c{content_type}0a626f6f6c2066616c7365010962\
         6f6f6c207472756500046279746502cf08627974652062756606001449276d2061206c6974746c6520746561706f74210974\
         696d657374616d70080000000000845fed05696e74313603002a05696e7436340500000000028757b2047575696409010203\
         0405060708090a0b0c0d0e0f10{FOO}aba5f10c"
    );
    assert_eq!(one(&all, "content-type"), (foo(), json));
    assert_eq!(one(&all, "uuid"), (foo(), None));
}

#[test]
fn what_was_changed_or_is_too_long_is_refused() {
    let frame = chunk(br#"{"type":"ping"}"#);
    let fault = |stream: &[u8]| read(stream, |_| ()).1.unwrap_err();
    for at in 0..frame.len() {
        let mut changed = frame.clone();
        changed[at] ^= 1;
        let expected = if at < 12 { Fault::PreludeSum } else { Fault::Sum };
        assert_eq!(fault(&changed), expected, "byte {at}");
    }
    let prelude = |total: u32, headers: u32| {
        let mut out = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        out
    };
    let most = u32::try_from(limits::FRAME_BYTES_MAX).unwrap();
    for (total, headers, expected) in [
        (15, 0, Fault::Lengths),
        (0, 0, Fault::Lengths),
        (20, 5, Fault::Lengths),
        (most + 1, 0, Fault::TooLong),
        (u32::MAX, 0, Fault::TooLong),
        (most, u32::try_from(limits::FRAME_HEADERS_BYTES_MAX).unwrap() + 1, Fault::TooLong),
    ] {
        assert_eq!(fault(&prelude(total, headers)), expected, "{total} {headers}");
    }
    assert_eq!(read(&prelude(most, 0), |_| ()).1, Ok(()), "what has not come yet takes no memory");
    for (kind, value) in [(10_u8, &b""[..]), (4, b"123"), (7, b"\0"), (7, b"\0\x02a"), (6, b"\xff\xff")] {
        let mut block = [&[1, b'n', kind], value].concat();
        let mut out = prelude(16 + u32::try_from(block.len()).unwrap(), u32::try_from(block.len()).unwrap());
        out.append(&mut block);
        out.extend_from_slice(&crc32fast::hash(&out).to_be_bytes());
        assert_eq!(fault(&out), Fault::Headers, "type {kind}");
    }
    let many = [("n", ""); limits::FRAME_HEADERS_MAX + 1];
    let mut out = Vec::new();
    write_frame(&many, b"", &mut out);
    assert_eq!(fault(&out), Fault::Headers);
    let mut stays = Frames::default();
    assert!(stays.push(&prelude(15, 0), &mut |_| ()).is_err());
    assert_eq!(stays.push(&frame, &mut |_| panic!("after a fault there is nothing")), Err(Fault::Lengths));
}

#[test]
fn frames_say_what_they_are_about() {
    let message = |headers: &[(&str, &str)]| {
        let mut out = Vec::new();
        write_frame(headers, b"", &mut out);
        read(&out, |frame| format!("{:?}", frame.message())).0.remove(0)
    };
    let shown = |message: Message<'_>| format!("{message:?}");
    let event = [(":message-type", "event"), (":event-type", "chunk")];
    assert_eq!(message(&event), shown(Message::Event("chunk")));
    let exception = [(":exception-type", "throttlingException"), (":message-type", "exception")];
    assert_eq!(message(&exception), shown(Message::Exception("throttlingException")));
    let error = [(":message-type", "error"), (":error-code", "c"), (":error-message", "m")];
    assert_eq!(message(&error), shown(Message::Error { code: "c", message: "m" }));
    assert_eq!(message(&[]), shown(Message::Unknown));
}

// === events ===

/// Events as Bedrock sends them, with its counts at the end.
fn events() -> Vec<Tree> {
    let usage = json!({"input_tokens": 9, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 5,
        "output_tokens": 1});
    let message = json!({"id": "msg_bdrk_1", "type": "message", "role": "assistant", "content": [],
        "model": "claude-opus-4-5", "stop_reason": null, "stop_sequence": null, "usage": usage});
    let metrics = json!({"inputTokenCount": 9, "outputTokenCount": 4, "invocationLatency": 900,
        "firstByteLatency": 400, "cacheReadInputTokenCount": 5, "cacheWriteInputTokenCount": 3});
    vec![
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": "a \"b\"\n"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 4}}),
        json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}),
    ]
}

fn stream(events: &[Tree]) -> Vec<u8> {
    events.iter().flat_map(|event| chunk(event.to_string().as_bytes())).collect()
}

/// The documents of an event stream, whose names have to be those of their types.
fn told(out: &[u8]) -> Vec<Tree> {
    let text = std::str::from_utf8(out).unwrap();
    let event = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let tree: Tree = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(Some(name.strip_prefix("event: ").unwrap()), tree["type"].as_str());
        tree
    };
    text.split_terminator("\n\n").map(event).collect()
}

/// The events that a caller reads of a whole stream, and the reader's own words.
fn heard(stream: &[u8]) -> (Vec<Tree>, InvokeStream) {
    let (mut reader, mut out) = (InvokeStream::new(CallId(9)), Vec::new());
    reader.push(stream, &mut out);
    reader.finish(&mut out);
    (told(&out), reader)
}

#[test]
fn events_come_out_as_they_went_in_without_bedrocks_own() {
    let (told, reader) = heard(&stream(&events()));
    let mut expected = events();
    expected[5].as_object_mut().unwrap().remove("amazon-bedrock-invocationMetrics");
    assert_eq!(told, expected);
    assert!(reader.finished() && reader.failure().is_none());
    let metrics = reader.metrics().unwrap();
    assert_eq!((metrics.input_tokens, metrics.output_tokens), (9, 4));
    assert_eq!((metrics.cache_read_tokens, metrics.cache_write_tokens), (5, 3));
    assert_eq!(check(&anthropic(&stream(&events()), 7)).0, End::Stopped);
}

#[test]
fn the_bytes_of_an_event_are_not_written_anew() {
    let odd = br#"{ "type" : "content_block_delta", "index":0.0e0,"x":"\u0061\/" }"#;
    let mut out = Vec::new();
    InvokeStream::new(CallId(9)).push(&chunk(odd), &mut out);
    assert_eq!(out, [b"event: content_block_delta\ndata: ", &odd[..], b"\n\n"].concat());
    let mut out = Vec::new();
    InvokeStream::new(CallId(9)).push(&chunk(b"{\"type\":\r\n\"ping\"\n}"), &mut out);
    assert_eq!(out, b"event: ping\ndata: {\"type\":  \"ping\" }\n\n");
    let escaped = br#"{"bytes":"eyJ0eXBlIjoicGluZyIsImEiOiLDv8O\/In0="}"#;
    let (mut frame, mut out) = (Vec::new(), Vec::new());
    write_frame(&[(":message-type", "event"), (":event-type", "chunk")], escaped, &mut frame);
    InvokeStream::new(CallId(9)).push(&frame, &mut out);
    assert_eq!(told(&out)[0]["type"], "ping");
}

#[test]
fn counts_of_the_cache_that_come_last_are_told_in_time() {
    let mut late = events();
    late[0]["message"]["usage"] = json!({"input_tokens": 9, "output_tokens": 1});
    let (told, _) = heard(&stream(&late));
    let usage = json!({"cache_creation_input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 4});
    assert_eq!(told[4]["usage"], usage);
    assert_eq!(told.len(), 6);
    for (read, written) in [(5, 0), (0, 3)] {
        let metrics = json!({"cacheReadInputTokenCount": read, "cacheWriteInputTokenCount": written});
        late[5] = json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics});
        let (told, _) = heard(&stream(&late));
        let usage = json!({"cache_creation_input_tokens": written, "cache_read_input_tokens": read,
            "output_tokens": 4});
        assert_eq!(told[4]["usage"], usage);
    }
    late[5] = json!({"type": "message_stop"});
    let (told, _) = heard(&stream(&late));
    assert_eq!(told[4]["usage"], json!({"output_tokens": 4}), "nothing is made up");
    late[4]["usage"] = json!({"output_tokens": 4, "cache_read_input_tokens": 1});
    let mut reader = InvokeStream::new(CallId(9));
    let mut out = Vec::new();
    reader.push(&stream(&late[..5]), &mut out);
    assert_eq!(self::told(&out).len(), 5, "what tells its counts itself does not wait");
}

#[test]
fn a_cut_anywhere_is_an_error_and_never_an_end() {
    let whole = stream(&events());
    for cut in 0..whole.len() {
        let out = anthropic(&whole[..cut], 4096);
        let told = told(&out);
        let last = told.last().unwrap();
        assert_eq!(last["type"], "error", "cut at {cut}");
        assert_eq!(last["error"]["type"], "api_error");
        assert!(last["request_id"].as_str().unwrap().starts_with("req_"));
        assert!(!told.iter().any(|event| event["type"] == "message_stop"), "cut at {cut}");
        assert_eq!(told.len(), frames_in(&whole, 0..cut) + 1, "all that came is told: cut at {cut}");
    }
}

fn frames_in(stream: &[u8], range: Range<usize>) -> usize {
    read(&stream[range], |_| ()).0.len()
}

fn exception(name: &str, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let headers = [(":exception-type", name), (":message-type", "exception")];
    write_frame(&headers, json!({"message": message}).to_string().as_bytes(), &mut out);
    out
}

#[test]
fn exceptions_in_a_stream_are_errors_of_the_documented_types() {
    let begun = stream(&events()[..3]);
    for (name, kind, shown) in [
        ("throttlingException", Kind::RateLimited, "rate_limit_error"),
        ("modelStreamErrorException", Kind::Broken, "api_error"),
        ("modelTimeoutException", Kind::Timeout, "timeout_error"),
        ("internalServerException", Kind::Broken, "api_error"),
        ("serviceUnavailableException", Kind::Overloaded, "overloaded_error"),
        ("validationException", Kind::InvalidRequest, "invalid_request_error"),
        ("ofTomorrowException", Kind::Broken, "api_error"),
    ] {
        let end = stream(&events()[3..]);
        let (told, reader) = heard(&[&begun[..], &exception(name, "Oops"), &end].concat());
        assert_eq!(told.len(), 4, "{name}: nothing comes behind an error");
        assert_eq!(told[3]["error"]["type"], shown, "{name}");
        let failure = reader.failure().unwrap();
        assert_eq!((failure.kind, &*failure.detail), (kind, "Oops"), "{name}");
    }
    let (told, _) = heard(&exception("validationException", "messages.1.role: Input should be 'user'"));
    assert_eq!(told[0]["error"]["message"], "messages.1.role: Input should be 'user'");
    let mut error = Vec::new();
    let headers = [(":message-type", "error"), (":error-code", "InternalError"), (":error-message", "why")];
    write_frame(&headers, b"", &mut error);
    let (told, reader) = heard(&error);
    assert_eq!((told.len(), told[0]["type"].as_str()), (1, Some("error")));
    assert_eq!(&*reader.failure().unwrap().detail, "why");
}

#[test]
fn an_error_of_anthropics_own_is_relayed_and_is_the_end() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let (told, reader) = heard(&stream(&[events()[0].clone(), error.clone(), events()[5].clone()]));
    assert_eq!(told[1..], [error]);
    assert!(reader.failure().is_none() && reader.finished());
}

#[test]
fn what_is_no_event_is_an_error() {
    let framed = |payload: &[u8]| {
        let mut out = Vec::new();
        write_frame(&[(":message-type", "event"), (":event-type", "chunk")], payload, &mut out);
        out
    };
    let mut unnamed = Vec::new();
    write_frame(&[], b"{}", &mut unnamed);
    for bad in [
        framed(b"{}"),
        framed(b"not JSON"),
        framed(br#"{"bytes":"!"}"#),
        framed(br#"{"bytes":7}"#),
        chunk(b""),
        chunk(b"[]"),
        chunk(b"{\"type\":7}"),
        chunk(br#"{"type":"ping\nevent: message_stop"}"#),
        chunk(br#"{"type":"Ping"}"#),
        unnamed,
        b"HTTP/1.1 500 of a proxy".to_vec(),
    ] {
        let (told, reader) = heard(&bad);
        assert_eq!((told.len(), told[0]["type"].as_str()), (1, Some("error")), "{}", bad.escape_ascii());
        assert_eq!(reader.failure().unwrap().kind, Kind::Unreadable);
    }
    let mut other = Vec::new();
    write_frame(&[(":message-type", "event"), (":event-type", "initial-response")], b"{}", &mut other);
    let (told, _) = heard(&[other, stream(&events())].concat());
    assert_eq!(told.len(), 6, "other events say nothing");
}

#[test]
fn an_answer_in_one_piece_loses_bedrocks_own_members() {
    let whole = br#"{"id":"m", "amazon-bedrock-trace":{"a":"}"},"type":"message","amazon-bedrock-x":1}"#;
    assert_eq!(&*strip_metrics(whole), br#"{"id":"m","type":"message"}"#);
    assert_eq!(&*strip_metrics(br#"{"text":"amazon-bedrock-"}"#), br#"{"text":"amazon-bedrock-"}"#);
    assert_eq!(&*strip_metrics(b"amazon-bedrock- is no JSON"), b"amazon-bedrock- is no JSON");
    assert_eq!(&*strip_metrics(br#"{"amazon-bedrock-x":1}"#), b"{}");
}

// === paths, counts, words ===

#[test]
fn paths_and_hosts_hold_any_id_and_nothing_else() {
    assert_eq!(
        invoke_path("us.anthropic.claude-sonnet-4-5-20250929-v1:0", true),
        "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"
    );
    assert_eq!(
        invoke_path("arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc", false),
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fabc/invoke"
    );
    assert_eq!(invoke_path("../a?b#ü", false), "/model/..%2Fa%3Fb%23%C3%BC/invoke");
    assert_eq!(host_name("eu-central-1").unwrap(), "bedrock-runtime.eu-central-1.amazonaws.com");
    assert_eq!(host_name("cn-north-1").unwrap(), "bedrock-runtime.cn-north-1.amazonaws.com.cn");
    assert_eq!(mantle_host_name("us-east-1").unwrap(), "bedrock-mantle.us-east-1.api.aws");
    for wrong in ["", "us-east-1.evil.example", "a/b", "EU"] {
        assert_eq!((host_name(wrong), mantle_host_name(wrong)), (None, None), "{wrong}");
    }
}

#[test]
fn tokens_are_counted_of_models_and_not_of_profiles() {
    let foundation = "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens";
    for id in [
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/\
         eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ] {
        assert_eq!(count_path(id).as_deref(), Some(foundation), "{id}");
    }
    assert_eq!(count_path("anthropic.claude-opus-5").unwrap(), "/model/anthropic.claude-opus-5/count-tokens");
    for id in ["arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc", "", "a b"] {
        assert_eq!(count_path(id), None, "{id}");
    }
    let tree: Tree = serde_json::from_slice(&write_count(b"{\"a\":1}")).unwrap();
    let digits = tree["input"]["invokeModel"]["body"].as_str().unwrap();
    assert_eq!(base64::decode_padded(digits.as_bytes()).unwrap(), b"{\"a\":1}");
    assert_eq!(read_count(br#"{"inputTokens":7}"#), Some(7));
    for wrong in [&b"{}"[..], br#"{"inputTokens":0}"#, b"<html>", br#"{"inputTokens":"7"}"#] {
        assert_eq!(read_count(wrong), None);
    }
}

#[test]
fn newer_models_know_how_long_a_mark_holds() {
    for (id, known) in [
        ("eu.anthropic.claude-opus-4-5-20251101-v1:0", true),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", true),
        ("global.anthropic.claude-sonnet-4-6", true),
        ("anthropic.claude-opus-5", true),
        ("anthropic.claude-haiku-5-5", true),
        ("anthropic.claude-opus-4-1-20250805-v1:0", false),
        ("anthropic.claude-sonnet-4-20250514-v1:0", false),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", false),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", false),
        ("arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc", false),
    ] {
        assert_eq!(takes_ttl(id), known, "{id}");
    }
}

#[test]
fn failures_have_the_words_that_the_client_acts_on() {
    let said = |status, name, message: &str| {
        let failure = read_error(status, name, json!({"message": message}).to_string().as_bytes());
        (failure.kind, failure.message.into_owned())
    };
    let validation =
        |message: &str| said(400, "ValidationException:http://internal.amazon.com/coral/", message);
    assert_eq!(
        validation(
            "The model returned the following errors: prompt is too long: 213462 tokens > 200000 maximum"
        ),
        (Kind::PromptTooLong, "prompt is too long: 213462 tokens > 200000 maximum".to_owned())
    );
    assert_eq!(
        validation("Input is too long for requested model."),
        (Kind::PromptTooLong, "prompt is too long".to_owned())
    );
    let over = "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens";
    assert_eq!(validation(&format!("{over} for claude-x")), (Kind::MaxTokens, over.to_owned()));
    let exceeds =
        "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input";
    for own in ["thinking: Input should be a valid dictionary", "context_management: Extra inputs", exceeds] {
        let wrapped = format!("The model returned the following errors: {own}");
        assert_eq!(validation(&wrapped), (Kind::InvalidRequest, own.to_owned()));
    }
    let general = "the provider of this model refused the request as invalid";
    for telling in [
        "Invocation of arn:aws:bedrock:us-east-1:1:x isn't supported",
        "123456789012 may not",
        "your account is odd",
        "<html>",
    ] {
        assert_eq!(validation(telling), (Kind::InvalidRequest, general.to_owned()), "{telling}");
    }
    for (status, name, kind) in [
        (403, "com.amazon.coral.service#AccessDeniedException", Kind::Credentials),
        (403, "UnrecognizedClientException", Kind::Credentials),
        (404, "ResourceNotFoundException", Kind::NotFound),
        (408, "ModelTimeoutException", Kind::Timeout),
        (424, "ModelErrorException", Kind::Broken),
        (429, "ThrottlingException", Kind::RateLimited),
        (429, "ModelNotReadyException", Kind::Overloaded),
        (400, "ServiceQuotaExceededException", Kind::Quota),
        (503, "", Kind::Overloaded),
        (429, "", Kind::RateLimited),
        (500, "InternalServerException", Kind::Broken),
    ] {
        let (found, message) = said(status, name, "secret 123456789012");
        assert_eq!(found, kind, "{status} {name}");
        assert!(!message.contains("secret"), "{message}");
    }
    assert_eq!(read_error(502, "", b"<html>").kind, Kind::Broken);
}

// === any split, any bytes ===

proptest! {
    #[test]
    fn any_split_says_the_same(
        order in vec(select((0..9).collect::<Vec<usize>>()), 0..12),
        seed in any::<u8>(),
        cut in any::<Index>(),
    ) {
        let all = [events(), vec![json!({"type": "ping"})]].concat();
        let mut stream = Vec::new();
        for index in order {
            match all.get(index) {
                Some(event) => stream.extend(chunk(event.to_string().as_bytes())),
                None if index == 7 => stream.extend(exception("throttlingException", "slow")),
                None => write_frame(&[(":message-type", "event")], b"", &mut stream),
            }
        }
        stream.truncate(cut.index(stream.len() + 1));
        fuzz_event_stream(&[&[seed], &stream[..]].concat());
    }

    #[test]
    fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..300)) {
        fuzz_event_stream(&bytes);
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("event_stream", 5, fuzz_event_stream);
}

// === one answer ===

fn read_whole(form: Form, body: &[u8]) -> (Vec<u8>, Option<Kind>, bool) {
    let (mut answer, mut out) = (Answer::new(CallId(9), form), Vec::new());
    for piece in body.chunks(5) {
        answer.push(piece, &mut out);
        assert!(!answer.is_committed() && out.is_empty(), "a document is written when it is whole");
    }
    answer.finish(&mut out);
    (out, answer.failure().map(|failure| failure.kind), answer.is_committed())
}

#[test]
fn a_document_is_told_whole_or_not_at_all() {
    let message = br#"{"type":"message","amazon-bedrock-x":1,"id":"m"}"#;
    let told = read_whole(Form::Document, message);
    assert_eq!(told, (br#"{"type":"message","id":"m"}"#.to_vec(), None, true));
    let none = |kind| (Vec::new(), Some(kind), false);
    assert_eq!(read_whole(Form::Document, &message[..20]), none(Kind::CutShort));
    assert_eq!(read_whole(Form::Document, b""), none(Kind::CutShort));
    assert_eq!(read_whole(Form::Document, b"<html>"), none(Kind::Unreadable));
    assert_eq!(read_whole(Form::Document, br#"{"message":"x"}"#), none(Kind::Unreadable));
    let counted = read_whole(Form::Count, br#"{"inputTokens":7}"#);
    assert_eq!(counted, (br#"{"input_tokens":7}"#.to_vec(), None, true));
    assert_eq!(read_whole(Form::Count, br#"{"inputTokens":0}"#), none(Kind::Unreadable));
}

#[test]
fn a_stream_can_be_taken_back_until_its_content() {
    let (mut answer, mut out) = (Answer::new(CallId(9), Form::Stream), Vec::new());
    answer.push(&stream(&events()[..1]), &mut out);
    assert!(!out.is_empty() && !answer.is_committed());
    let mut failed = answer.clone();
    failed.push(&exception("throttlingException", "slow"), &mut out);
    assert!(failed.is_over() && !failed.is_committed());
    assert_eq!(failed.failure().unwrap().kind, Kind::RateLimited);
    answer.push(&stream(&events()[1..2]), &mut out);
    assert!(answer.is_committed() && !answer.is_over());
    let mut refused = Answer::new(CallId(9), Form::Stream);
    refused.refused(400, "ThrottlingException");
    let mut nothing = Vec::new();
    refused.push(b"{\"message\":\"slow\"}", &mut nothing);
    refused.finish(&mut nothing);
    assert_eq!((refused.failure().unwrap().kind, nothing.len()), (Kind::RateLimited, 0));
    // An error of Anthropic's own goes on as it is.
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let mut own = Answer::new(CallId(9), Form::Stream);
    own.push(&stream(&[error]), &mut nothing);
    assert!(own.is_over() && own.is_committed() && own.failure().is_none());
}
