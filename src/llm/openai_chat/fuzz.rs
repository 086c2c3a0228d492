//! Fuzz bodies of the dialect: a translation is a request that a strict server takes, and any split of an
//! answer says the same.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fuzz body says what it found by panicking"
)]

use std::collections::BTreeSet;

use serde_json::Value as Tree;

use crate::ids::CallId;
use crate::llm::conversation;
use crate::llm::openai_chat::{
    CacheMarks, MidSystem, Reading, StreamReader, Target, read_answer, read_error, translate,
};
use crate::llm::said::fuzz::{End, check};
use crate::llm::said::{DocumentWriter, Setup, StreamWriter};

/// Translates `data[1..]` for a target drawn from `data[0]`.
pub fn fuzz_openai_chat_request(data: &[u8]) {
    let Some((&flags, body)) = data.split_first() else { return };
    let Ok(conversation) = conversation::read(body) else { return };
    let mut target = if flags & 1 == 1 { Target::openai("m") } else { Target::compatible("m") };
    target.mid_system = if flags & 2 == 2 { MidSystem::AsUser } else { MidSystem::InPlace };
    target.cache_marks = if flags & 4 == 4 { CacheMarks::Breakpoints } else { CacheMarks::Automatic };
    target.reasoning_back = flags & 8 == 8;
    let Ok(translated) = translate(&conversation, &target) else { return };
    let sound = serde_json::from_slice::<Tree>(body).is_ok();
    let tree = serde_json::from_slice::<Tree>(&translated.body);
    assert!(tree.is_ok() || !sound, "JSON became what is none: {}", translated.body.escape_ascii());
    if let (Ok(tree), true) = (tree, sound) {
        strict_server(&tree);
    }
}

/// What a server of OpenAI's own strictness asks of the order of messages and of names.
pub(crate) fn strict_server(request: &Tree) {
    let word = |name: &Tree| {
        let name = name.as_str().unwrap_or_default();
        assert!((1..=64).contains(&name.len()), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
    };
    let mut names = BTreeSet::new();
    for tool in request["tools"].as_array().into_iter().flatten() {
        word(&tool["function"]["name"]);
        assert!(names.insert(tool["function"]["name"].to_string()), "two tools of one name");
        assert!(tool["function"]["parameters"].is_object());
    }
    assert!(names.is_empty() == request["tools"].is_null());
    assert!(request["tool_choice"].is_null() || !names.is_empty());
    assert!(request.to_string().matches("\"prompt_cache_breakpoint\":{\"mode\"").count() <= 4);
    let mut open: BTreeSet<String> = BTreeSet::new();
    for message in request["messages"].as_array().expect("there are messages") {
        let role = message["role"].as_str().expect("a message has a role");
        if role == "tool" {
            let id = message["tool_call_id"].as_str().expect("a result has an id").to_owned();
            assert!(open.remove(&id), "a result without its call");
            assert!(message["content"].is_string() || message["content"].is_array());
            continue;
        }
        assert!(open.is_empty(), "calls without results: {request}");
        let calls = message["tool_calls"].as_array();
        assert!(!message["content"].is_null() || calls.is_some());
        for call in calls.into_iter().flatten() {
            word(&call["function"]["name"]);
            let arguments = call["function"]["arguments"].as_str().expect("arguments are a string");
            let arguments: Tree = serde_json::from_str(arguments).expect("arguments are JSON");
            assert!(arguments.is_object());
            // Two ids may have been one at the provider; what counts is that each has its result.
            open.insert(call["id"].as_str().expect("a call has an id").to_owned());
        }
    }
    assert!(open.is_empty(), "calls without results");
}

/// Reads `data[1..]` as a stream, in pieces whose size is drawn from `data[0]`, and whole; as a document, and
/// as an error.
pub fn fuzz_openai_chat_stream(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let step = usize::from(seed % 23) + 1;
    let pieces = anthropic(stream, step, true);
    let whole = anthropic(stream, stream.len().max(1), true);
    assert_eq!(pieces.escape_ascii().to_string(), whole.escape_ascii().to_string());
    let (end, _) = check(&whole);
    assert_ne!(end, End::Open, "an answer has an end");
    let mut document = DocumentWriter::new(setup());
    read_answer(stream, Reading::default(), &mut |event| document.take(event));
    if let Ok(document) = document.finish() {
        let tree: Tree = serde_json::from_slice(&document).expect("a document is JSON");
        assert_eq!(tree["type"], "message");
    }
    let failure = read_error(u16::from(seed) * 3, stream);
    assert!(failure.kind.shown().0 >= 400 && !failure.message.is_empty());
}

/// What the caller reads of a stream that comes in pieces of `step` bytes, to its end when it is `finished`.
pub(crate) fn anthropic(stream: &[u8], step: usize, finished: bool) -> Vec<u8> {
    let mut reader = StreamReader::new(Reading { nonce: 9, ..Reading::default() });
    let mut writer = StreamWriter::new(setup());
    let mut out = Vec::new();
    for piece in stream.chunks(step) {
        reader.push(piece, &mut |event| writer.take(event, &mut out));
    }
    if finished {
        reader.finish(&mut |event| writer.take(event, &mut out));
        assert!(reader.finished() && writer.finished());
    }
    out
}

fn setup() -> Setup {
    Setup {
        call: CallId(9),
        model: "claude-opus-5".into(),
        input_tokens: 11,
        stops: vec!["\n\nHuman:".into(), "STOP".into()],
        signature: crate::llm::signature::tag(crate::llm::openai_chat::ORIGIN, b"").into(),
    }
}
