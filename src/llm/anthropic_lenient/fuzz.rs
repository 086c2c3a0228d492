//! Fuzz bodies of the dialect: a translation is a request that the plainest server takes, and any split of an
//! answer says the same.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use std::collections::BTreeSet;

use serde_json::{Value as Tree, json};

use crate::ids::CallId;
use crate::llm::anthropic_lenient::{ORIGIN, Reading, StreamReader, Target, read_error, translate};
use crate::llm::conversation;
use crate::llm::foreign::{CacheMarks, UnknownFields};
use crate::llm::said::fuzz::{End, check};
use crate::llm::said::{Setup, StreamWriter};
use crate::llm::signature;

/// Translates `data[1..]` for a target drawn from `data[0]`.
pub fn fuzz_lenient_request(data: &[u8]) {
    let Some((&flags, body)) = data.split_first() else { return };
    let Ok(conversation) = conversation::read(body) else { return };
    let mut target = Target::new("m");
    target.reasoning_back = flags & 1 == 1;
    target.cache_marks = if flags & 2 == 2 { CacheMarks::Breakpoints } else { CacheMarks::Automatic };
    target.named_choice = flags & 4 == 4;
    target.unknown = if flags & 8 == 8 { UnknownFields::Drop } else { UnknownFields::Refuse };
    let Ok(translated) = translate(&conversation, &target) else { return };
    let sound = serde_json::from_slice::<Tree>(body).is_ok();
    let tree = serde_json::from_slice::<Tree>(&translated.body);
    assert!(tree.is_ok() || !sound, "JSON became what is none: {}", translated.body.escape_ascii());
    if let (Ok(tree), true) = (tree, sound) {
        plain_server(&tree);
    }
}

/// What a server asks that takes nothing but the plain form.
pub(crate) fn plain_server(request: &Tree) {
    assert!(request["max_tokens"].as_u64() > Some(0) && request["model"].is_string());
    let mut names = BTreeSet::new();
    for tool in request["tools"].as_array().into_iter().flatten() {
        assert!(tool["input_schema"].is_object() && tool["type"].is_null(), "{request}");
        assert!(names.insert(tool["name"].to_string()), "two tools of one name");
    }
    assert!(names.is_empty() == request["tools"].is_null());
    assert!(request["tool_choice"].is_null() || !names.is_empty());
    let mut before = "";
    let mut open: Vec<String> = Vec::new();
    for message in request["messages"].as_array().expect("there are messages") {
        let role = message["role"].as_str().expect("a message has a role");
        assert!(["user", "assistant"].contains(&role) && role != before, "{request}");
        before = role;
        let blocks = message["content"].as_array().expect("content is a list");
        assert!(!blocks.is_empty(), "{request}");
        let mut results = true;
        for block in blocks {
            let kind = block["type"].as_str().expect("a block has a type");
            let known = ["text", "image", "document", "tool_use", "tool_result", "thinking"];
            assert!(known.contains(&kind), "{request}");
            let mark = &block["cache_control"];
            assert!(mark.is_null() || *mark == json!({"type": "ephemeral"}));
            assert!((kind == "tool_use" || kind == "thinking") <= (role == "assistant"), "{request}");
            results &= kind == "tool_result";
            if kind == "tool_result" {
                assert!(results && role == "user", "results come first: {request}");
                let id = block["tool_use_id"].to_string();
                // Two ids may have been one at the server; what counts is that each has its result.
                let at = open.iter().position(|one| *one == id).expect("a result has its call");
                open.swap_remove(at);
                assert!(block["content"].is_string());
            }
        }
        assert!(role == "assistant" || open.is_empty(), "calls without results: {request}");
        let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
        open.extend(calls.map(|call| call["id"].to_string()));
    }
    assert!(open.is_empty(), "calls without results: {request}");
}

/// Reads `data[1..]` as a stream or a document, in pieces whose size is drawn from `data[0]`, and whole; and
/// as an error.
pub fn fuzz_lenient_stream(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let step = usize::from(seed % 23) + 1;
    let pieces = anthropic(stream, step);
    let whole = anthropic(stream, stream.len().max(1));
    assert_eq!(pieces.escape_ascii().to_string(), whole.escape_ascii().to_string());
    assert_ne!(check(&whole).0, End::Open, "an answer has an end");
    let failure = read_error(u16::from(seed) * 3, stream);
    assert!(failure.kind.shown().0 >= 400 && !failure.message.is_empty());
}

/// What the caller reads of an answer that comes in pieces of `step` bytes, to its end.
pub(crate) fn anthropic(answer: &[u8], step: usize) -> Vec<u8> {
    let setup = Setup {
        call: CallId(9),
        model: "claude-x".into(),
        input_tokens: 11,
        stops: vec!["\n\nHuman:".into(), "STOP".into()],
        signature: signature::tag(ORIGIN, b"").into(),
    };
    let mut writer = StreamWriter::new(setup);
    let mut reader = StreamReader::new(Reading { nonce: 9, ..Reading::default() });
    let mut out = Vec::new();
    for piece in answer.chunks(step) {
        reader.push(piece, &mut |event| writer.take(event, &mut out));
    }
    reader.finish(&mut |event| writer.take(event, &mut out));
    assert!(reader.finished() && writer.finished());
    out
}
