//! Paths and names, requests in both directions of the gateway, and answers as clouds give them.

use proptest::prelude::{any, prop_assert_eq, proptest};
use serde_json::{Value as Tree, json};

use super::fuzz::{fuzz_cloud_answer, fuzz_cloud_request};
use super::{Called, Cloud, Operation, Said, Shaper, as_messages, names, read};
use crate::base64;
use crate::corpus::replay;
use crate::llm::anthropic::request;
use crate::llm::bedrock::eventstream::{Frames, Message};
use crate::llm::bedrock::write_count;

#[test]
fn paths_are_those_of_the_clouds() {
    use Operation::{Count, Profiles, Stream, Whole};
    let id = "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0";
    for front in ["", "/bedrock"] {
        for (end, operation) in
            [("invoke", Whole), ("invoke-with-response-stream", Stream), ("count-tokens", Count)]
        {
            let path = format!("{front}/model/{id}/{end}");
            assert_eq!(read(&path), Some(Called { cloud: Cloud::Bedrock, operation, model: id }), "{path}");
        }
    }
    fn of(path: &str) -> Option<(Operation, &str)> {
        read(path).map(|called| (called.operation, called.model))
    }
    assert_eq!(of("/inference-profiles"), Some((Profiles, "")));
    // An ARN whose slash was not escaped.
    let arn = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-x-v1:0";
    assert_eq!(of(&format!("/model/{arn}/invoke")), Some((Whole, arn)));
    let models = "projects/p-1/locations/europe-west1/publishers/anthropic/models";
    for front in ["", "/v1", "/vertex", "/vertex/v1"] {
        for (end, operation) in [("rawPredict", Whole), ("streamRawPredict", Stream)] {
            let path = format!("{front}/{models}/claude-x@20260101:{end}");
            let model = "claude-x@20260101";
            assert_eq!(read(&path), Some(Called { cloud: Cloud::Vertex, operation, model }), "{path}");
        }
        assert_eq!(of(&format!("{front}/{models}/count-tokens:rawPredict")), Some((Count, "")));
    }
    for other in [
        "/model/invoke",
        "/model//invoke",
        "/model/m/converse",
        "/models/m/invoke",
        "/v1/projects/p/locations/l/publishers/google/models/m:rawPredict",
        &format!("/v1/{models}/m:predict"),
        &format!("/v1/{models}/:rawPredict"),
        &format!("/v1/{models}/count-tokens:streamRawPredict"),
        &format!("/v1/{models}/a/b:rawPredict"),
        "/v1/messages",
        "",
    ] {
        assert_eq!(read(other), None, "{other}");
    }
}

#[test]
fn names_are_tried_as_written_and_as_anthropics() {
    for (model, plain) in [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1%3A0", Some("claude-sonnet-4-5-20250929")),
        ("anthropic.claude-opus-5-v1", Some("claude-opus-5")),
        ("arn%3Aaws%3Abedrock%3Aeu%3A1%3Ainference-profile%2Feu.anthropic.claude-x-v2:1", Some("claude-x")),
        ("claude-sonnet-4-5@20250929", Some("claude-sonnet-4-5-20250929")),
        ("claude-sonnet-4-5%4020250929", Some("claude-sonnet-4-5-20250929")),
        ("claude-sonnet-5@default", Some("claude-sonnet-5")),
        ("claude-haiku-4-5", None),
        ("our-model", None),
        ("meta.llama3-70b-instruct-v1:0", None),
        ("claude-very", None),
    ] {
        let found = names(model).unwrap();
        assert_eq!(found.get(1).map(String::as_str), plain, "{model}");
        assert!(!found[0].contains('%'), "{model}");
    }
    for wrong in ["a%", "a%2", "a%zz", "%ff"] {
        assert_eq!(names(wrong), None, "{wrong}");
    }
}

fn said(cloud: Cloud, operation: Operation, model: &str, body: &str) -> Said {
    as_messages(cloud, operation, model, body.as_bytes()).unwrap()
}

#[test]
fn a_request_keeps_the_bytes_of_its_members() {
    let body = "{ \"anthropic_version\": \"bedrock-2023-05-31\", \"anthropic_beta\": [\"a-1\", \"b-2\"],\n \
                \"max_tokens\": 7, \"messages\" : [ {\"role\":\"user\",\"content\":\"h\\u0069\"} ] }";
    let Said { body, betas } = said(Cloud::Bedrock, Operation::Stream, "claude \"x\"", body);
    assert_eq!(
        String::from_utf8(body.clone()).unwrap(),
        "{\"model\":\"claude \\\"x\\\"\",\"stream\":true,\"max_tokens\": 7,\
         \"messages\" : [ {\"role\":\"user\",\"content\":\"h\\u0069\"} ]}"
    );
    assert_eq!(betas, ["a-1", "b-2"]);
    let read = request::read(&body).unwrap();
    assert!(read.stream && read.model == "claude \"x\"");
    let vertex = r#"{"anthropic_version":"vertex-2023-10-16","stream":true,"messages":[]}"#;
    assert_eq!(said(Cloud::Vertex, Operation::Whole, "m", vertex).body, br#"{"model":"m","messages":[]}"#);
    assert_eq!(said(Cloud::Bedrock, Operation::Whole, "m", "{}").body, br#"{"model":"m"}"#);
}

#[test]
fn what_is_counted_is_what_anthropic_counts() {
    let inner = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":1,"top_p":1,"messages":[]}"#;
    let body = String::from_utf8(write_count(inner.as_bytes())).unwrap();
    let counted = said(Cloud::Bedrock, Operation::Count, "m", &body);
    assert_eq!(counted.body, br#"{"model":"m","messages":[]}"#);
    let vertex = r#"{"anthropic_version":"v","model":"claude-x","max_tokens":3,"messages":[]}"#;
    let counted = said(Cloud::Vertex, Operation::Count, "", vertex);
    assert_eq!(counted.body, br#"{"model":"claude-x","messages":[]}"#);
}

#[test]
fn what_cannot_be_read_is_named() {
    use Operation::{Count, Whole};
    for (operation, body, place) in [
        (Whole, "[]", "body"),
        (Whole, "{\"a\":1", "body"),
        (Whole, "{\"model\":\"other\"}", "model"),
        (Whole, "{\"mod\\u0065l\":\"other\"}", "model"),
        (Whole, "{\"anthropic_beta\":\"a\"}", "anthropic_beta"),
        (Whole, "{\"anthropic_beta\":[1]}", "anthropic_beta"),
        (Whole, "{\"anthropic_beta\":[\"a\\r\\nx: y\"]}", "anthropic_beta"),
        (Count, "{}", "input"),
        (Count, "{\"input\":{\"converse\":{}}}", "input"),
        (Count, "{\"input\":{\"invokeModel\":{\"body\":\"?\"}}}", "input"),
    ] {
        let refused = as_messages(Cloud::Bedrock, operation, "m", body.as_bytes()).unwrap_err();
        assert_eq!(refused.place, place, "{body}");
    }
}

const ANSWER: &str = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n\
    event: ping\ndata: {\"type\": \"ping\"}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"x\":\"łódź\"}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

fn chunked(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nrequest-id: req_1\r\nx-tollgate-request-id: tg_1\r\n\
         transfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for piece in body.as_bytes().chunks(37) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// Head and content of what goes out for an answer that comes in pieces of this size.
fn shaped(cloud: Cloud, operation: Operation, answer: &[u8], step: usize) -> (String, Vec<u8>) {
    let mut shaper = Shaper::new(cloud, operation);
    let mut out = Vec::new();
    answer.chunks(step).for_each(|piece| shaper.push(piece, &mut out));
    let end = out.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let mut body = out.split_off(end);
    let head = String::from_utf8(out).unwrap();
    if head.contains("transfer-encoding: chunked\r\n") {
        assert!(body.ends_with(b"0\r\n\r\n"), "it has its end: {head}");
        let mut decoder = crate::http::body::Decoder::new(crate::http::head::Framing::Chunked);
        let decoded = decoder.decode(&mut body).unwrap();
        assert!(decoded.done && decoded.consumed == body.len());
        body = body[decoded.body].to_vec();
    }
    (head, body)
}

/// What frames say: the type of each with its content.
fn frames(bytes: &[u8]) -> Vec<(String, String)> {
    let (mut frames, mut out) = (Frames::default(), Vec::new());
    let read = frames.push(bytes, &mut |frame| {
        let payload: Tree = serde_json::from_slice(frame.payload).unwrap();
        let (name, said) = match frame.message() {
            Message::Event("chunk") => {
                let data = base64::decode_padded(payload["bytes"].as_str().unwrap().as_bytes()).unwrap();
                ("chunk".to_owned(), String::from_utf8(data).unwrap())
            }
            Message::Event(name) => (name.to_owned(), payload.to_string()),
            Message::Exception(name) => (format!("!{name}"), payload["message"].as_str().unwrap().to_owned()),
            other => panic!("{other:?}"),
        };
        out.push((name, said));
    });
    assert!(read.is_ok() && frames.between(), "{read:?}");
    out
}

#[test]
fn events_become_frames() {
    let answer = chunked("200 OK", "text/event-stream; charset=utf-8", ANSWER);
    let (head, body) = shaped(Cloud::Bedrock, Operation::Stream, &answer, answer.len());
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nrequest-id: req_1\r\n"), "{head}");
    for line in ["content-type: application/vnd.amazon.eventstream", "x-amzn-requestid: tg_1"] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{head}");
    }
    assert!(!head.contains("text/event-stream"), "{head}");
    let said = frames(&body);
    let names: Vec<&str> = said.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["chunk", "ping", "chunk", "chunk"]);
    assert_eq!(said[2].1, "{\"type\":\"content_block_delta\",\"x\":\"łódź\"}");
    // Vertex AI has the events themselves.
    let (head, body) = shaped(Cloud::Vertex, Operation::Stream, &answer, 5);
    assert!(head.contains("text/event-stream") && !head.contains("x-amzn"), "{head}");
    assert_eq!(body, ANSWER.as_bytes());
}

#[test]
fn an_error_in_a_stream_is_an_exception_and_the_last_word() {
    for (kind, name) in [
        ("overloaded_error", "!serviceUnavailableException"),
        ("rate_limit_error", "!throttlingException"),
        ("api_error", "!internalServerException"),
    ] {
        let error = format!(
            "event: message_start\ndata: {{}}\n\nevent: error\ndata: {{\"type\":\"error\",\"error\":{{\
             \"type\":\"{kind}\",\"message\":\"it broke\"}}}}\n\nevent: message_stop\ndata: {{}}\n\n"
        );
        let answer = chunked("200 OK", "text/event-stream", &error);
        let said = frames(&shaped(Cloud::Bedrock, Operation::Stream, &answer, 11).1);
        assert_eq!(said[1..], [(name.to_owned(), "it broke".to_owned())]);
    }
}

#[test]
fn errors_have_the_form_of_their_cloud() {
    let body = r#"{"type":"error","error":{"type":"x","message":"prompt is too \"long\""},"request_id":"r"}"#;
    for (status, shown, name, google) in [
        (400, 400, "ValidationException", ""),
        (401, 401, "UnrecognizedClientException", "UNAUTHENTICATED"),
        (403, 403, "AccessDeniedException", "PERMISSION_DENIED"),
        (404, 404, "ResourceNotFoundException", "NOT_FOUND"),
        (429, 429, "ThrottlingException", "RESOURCE_EXHAUSTED"),
        (500, 500, "InternalServerException", "INTERNAL"),
        (503, 503, "ServiceUnavailableException", "UNAVAILABLE"),
        (529, 503, "ServiceUnavailableException", "UNAVAILABLE"),
    ] {
        let answer = chunked(&format!("{status} X"), "application/json", body);
        let (head, said) = shaped(Cloud::Bedrock, Operation::Stream, &answer, 9);
        assert!(head.starts_with(&format!("HTTP/1.1 {shown} ")), "{head}");
        assert!(head.contains(&format!("\r\nx-amzn-errortype: {name}\r\n")), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", said.len())), "{head}");
        let tree: Tree = serde_json::from_slice(&said).unwrap();
        assert_eq!(tree, json!({ "message": "prompt is too \"long\"" }));
        let (head, said) = shaped(Cloud::Vertex, Operation::Whole, &answer, 9);
        assert!(head.starts_with(&format!("HTTP/1.1 {shown} ")), "{head}");
        let tree: Tree = serde_json::from_slice(&said).unwrap();
        if google.is_empty() {
            assert_eq!(said, body.as_bytes(), "the model's own check is passed on");
        } else {
            let error = json!({ "code": shown, "message": "prompt is too \"long\"", "status": google });
            assert_eq!(tree, json!({ "error": error }));
        }
    }
    let html = chunked("502 X", "text/html", "<html>");
    let (_, said) = shaped(Cloud::Bedrock, Operation::Whole, &html, 100);
    assert!(String::from_utf8(said).unwrap().contains("does not say why"));
}

#[test]
fn documents_stay_and_short_ones_are_said_anew() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nx-tollgate-request-id: tg_1\r\n\r\n{\"a\":1}";
    let (head, body) = shaped(Cloud::Bedrock, Operation::Whole, answer, 3);
    assert!(
        head.contains("content-length: 7\r\n") && head.contains("x-amzn-requestid: tg_1\r\n\r\n"),
        "{head}"
    );
    assert_eq!(body, b"{\"a\":1}");
    let counted = chunked("200 OK", "application/json", "{\"input_tokens\":43}");
    assert_eq!(shaped(Cloud::Bedrock, Operation::Count, &counted, 3).1, b"{\"inputTokens\":43}");
    assert_eq!(shaped(Cloud::Vertex, Operation::Count, &counted, 3).1, b"{\"input_tokens\":43}");
    let list = r#"{"data":[{"type":"model","id":"claude-a"},{"id":"b\"c"}],"has_more":false}"#;
    let listed =
        shaped(Cloud::Bedrock, Operation::Profiles, &chunked("200 OK", "application/json", list), 3).1;
    let tree: Tree = serde_json::from_slice(&listed).unwrap();
    let ids: Vec<&str> = tree["inferenceProfileSummaries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|profile| profile["inferenceProfileId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["claude-a", "b\"c"]);
    let interim = [&b"HTTP/1.1 100 Continue\r\n\r\n"[..], answer].concat();
    let mut out = Vec::new();
    Shaper::new(Cloud::Bedrock, Operation::Whole).push(&interim, &mut out);
    assert!(out.starts_with(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

#[test]
fn what_ends_with_its_connection_is_not_waited_for() {
    let answer = b"HTTP/1.1 500 X\r\ncontent-type: application/json\r\n\r\n{\"error\":{\"message\":\"m\"}}";
    let mut out = Vec::new();
    Shaper::new(Cloud::Bedrock, Operation::Whole).push(answer, &mut out);
    assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(answer));
}

#[test]
fn an_answer_that_breaks_off_has_no_end() {
    let answer = chunked("200 OK", "text/event-stream", ANSWER);
    for cut in 0..answer.len() - 1 {
        let mut out = Vec::new();
        Shaper::new(Cloud::Bedrock, Operation::Stream).push(&answer[..cut], &mut out);
        assert!(!out.ends_with(b"\r\n0\r\n\r\n"), "{cut}");
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(cuts in proptest::collection::vec(any::<u16>(), 0..12), kind in 0..3usize) {
        let answers = [
            (Operation::Stream, chunked("200 OK", "text/event-stream", ANSWER)),
            (Operation::Stream, chunked("429 X", "application/json", "{\"error\":{\"message\":\"m\"}}")),
            (Operation::Count, chunked("200 OK", "application/json", "{\"input_tokens\":43}")),
        ];
        let (operation, answer) = &answers[kind];
        let mut places: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut) % answer.len()).collect();
        places.sort_unstable();
        let mut shaper = Shaper::new(Cloud::Bedrock, *operation);
        let (mut out, mut start) = (Vec::new(), 0);
        for end in places.into_iter().chain([answer.len()]) {
            shaper.push(&answer[start..end], &mut out);
            start = end;
        }
        let end = out.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let body = out.split_off(end);
        let (head, whole) = shaped(Cloud::Bedrock, *operation, answer, answer.len());
        prop_assert_eq!(&String::from_utf8(out).unwrap(), &head);
        let mut body = body;
        if head.contains("chunked") {
            let mut decoder = crate::http::body::Decoder::new(crate::http::head::Framing::Chunked);
            let decoded = decoder.decode(&mut body).unwrap();
            body = body[decoded.body].to_vec();
        }
        prop_assert_eq!(body, whole);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz_cloud_request(&bytes);
        fuzz_cloud_answer(&bytes);
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: x\ndata: ";
        fuzz_cloud_answer(&[&bytes[..], head, &bytes[..]].concat());
    }

    #[test]
    fn any_split_of_events_makes_the_same_frames(
        seed in any::<u8>(),
        lines in proptest::collection::vec(proptest::sample::select(vec![
            "event: ping\n", "event: error\n", "data: {\"type\":\"error\",\"error\":{\"type\":\"x\"}}\n",
            "\n",
            "data: {}\n", ": \n", "event: content_block_delta\r\n", "data: \u{142}\u{f3}d\u{17a}\r\n\r\n",
            "data",
        ]), 0..24),
    ) {
        fuzz_cloud_answer(&[&[seed], lines.concat().as_bytes()].concat());
    }
}

#[test]
fn the_fuzz_corpora_replay() {
    replay("cloud_request", 5, fuzz_cloud_request);
    replay("cloud_answer", 3, fuzz_cloud_answer);
}
