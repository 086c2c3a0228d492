//! Fuzz bodies of the dialect: a translation is a request that a strict server takes, and any split of an
//! answer says the same.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a fuzz body says what it found by panicking"
)]

use std::collections::BTreeSet;

use serde_json::Value as Tree;

use crate::ids::CallId;
use crate::llm::conversation;
use crate::llm::openai_responses::{
    CacheMarks, MidSystem, Reading, StreamReader, SystemPlace, Target, read_answer, read_error, translate,
};
use crate::llm::said::fuzz::{End, check};
use crate::llm::said::{DocumentWriter, Setup, StreamWriter};

/// The origin of all that is read and written here.
pub(crate) const ORIGIN: &str = "openai-responses-p";

/// Translates `data[1..]` for a target drawn from `data[0]`.
pub fn fuzz_openai_responses_request(data: &[u8]) {
    let Some((&flags, body)) = data.split_first() else { return };
    let Ok(conversation) = conversation::read(body) else { return };
    let mut target =
        if flags & 1 == 1 { Target::openai("m", ORIGIN) } else { Target::compatible("m", ORIGIN) };
    if flags & 2 == 2 {
        target.mid_system = MidSystem::AsUser;
        target.reasoning_back = true;
    }
    if flags & 4 == 4 {
        target.cache_marks = CacheMarks::Breakpoints;
        target.system_place = SystemPlace::FirstItem;
    }
    target.found_in_place = flags & 8 == 8;
    let Ok(translated) = translate(&conversation, &target) else { return };
    let sound = serde_json::from_slice::<Tree>(body).is_ok();
    let tree = serde_json::from_slice::<Tree>(&translated.body);
    assert!(tree.is_ok() || !sound, "JSON became what is none: {}", translated.body.escape_ascii());
    if let (Ok(tree), true) = (tree, sound) {
        strict_server(&tree);
    }
}

/// What a server of OpenAI's own strictness asks of items, their order and names.
pub(crate) fn strict_server(request: &Tree) {
    let mut names = BTreeSet::new();
    define(&request["tools"], &mut names);
    assert!(names.is_empty() || request["tools"].is_array());
    assert!(request["tool_choice"].is_null() || request["tools"].is_array());
    assert_eq!(request["store"], false);
    assert!(request.to_string().matches("\"prompt_cache_breakpoint\":{\"mode\"").count() <= 4);
    let mut open: BTreeSet<String> = BTreeSet::new();
    let mut thinks = false;
    for item in request["input"].as_array().expect("there are items") {
        let kind = item["type"].as_str().expect("an item has a type");
        assert!(!thinks || matches!(kind, "message" | "function_call" | "reasoning"), "a thought of nothing");
        assert!(!thinks || item["role"].is_null() || item["role"] == "assistant", "a thought of nothing");
        thinks = kind == "reasoning";
        match kind {
            "message" => message(item),
            "function_call" => {
                word(&item["name"]);
                let arguments = item["arguments"].as_str().expect("arguments are a string");
                let arguments: Tree = serde_json::from_str(arguments).expect("arguments are JSON");
                assert!(arguments.is_object());
                // Two ids may have been one at the provider; what counts is that each has its result.
                open.insert(item["call_id"].as_str().expect("a call has an id").to_owned());
            }
            "function_call_output" => {
                let id = item["call_id"].as_str().expect("a result has an id").to_owned();
                assert!(open.remove(&id), "a result without its call");
                content(&item["output"]);
            }
            "reasoning" => {
                assert!(item["summary"].is_array());
                assert!(item["encrypted_content"].is_string() || item["content"].is_array());
            }
            "compaction" => assert!(item["encrypted_content"].is_string()),
            "additional_tools" => define(&item["tools"], &mut names),
            other => panic!("no item is a {other}"),
        }
    }
    assert!(open.is_empty() && !thinks, "calls without results, or thoughts of nothing");
}

fn word(name: &Tree) {
    let name = name.as_str().unwrap_or_default();
    assert!((1..=64).contains(&name.len()), "{name}");
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
}

fn define(tools: &Tree, names: &mut BTreeSet<String>) {
    for tool in tools.as_array().into_iter().flatten().filter(|tool| tool["type"] != "web_search") {
        assert_eq!(tool["type"], "function");
        word(&tool["name"]);
        assert!(names.insert(tool["name"].to_string()), "two tools of one name");
        assert!(tool["parameters"].is_object() && tool["strict"].is_boolean());
    }
}

fn message(item: &Tree) {
    match item["role"].as_str().expect("a message has a role") {
        "assistant" => assert!(item["content"].is_string()),
        "user" | "system" | "developer" => content(&item["content"]),
        other => panic!("nobody is a {other}"),
    }
}

fn content(content: &Tree) {
    if content.is_string() {
        return;
    }
    for part in content.as_array().expect("content is a string or parts") {
        match part["type"].as_str().expect("a part has a type") {
            "input_text" => assert!(part["text"].is_string()),
            "input_image" => assert!(part["image_url"].is_string() && part["detail"].is_string()),
            "input_file" => assert!(part["file_data"].is_string() || part["file_url"].is_string()),
            other => panic!("no part is a {other}"),
        }
    }
}

/// Reads `data[1..]` as a stream, in pieces whose size is drawn from `data[0]`, and whole; as a document, and
/// as an error.
pub fn fuzz_openai_responses_stream(data: &[u8]) {
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
    let mut reader = StreamReader::new(reading());
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

pub(crate) fn reading() -> Reading {
    Reading { nonce: 9, origin: ORIGIN.into(), ..Reading::default() }
}

pub(crate) fn setup() -> Setup {
    Setup {
        call: CallId(9),
        model: "claude-opus-5".into(),
        input_tokens: 11,
        stops: vec!["\n\nHuman:".into(), "STOP".into()],
        signature: crate::llm::signature::tag(ORIGIN, b"").into(),
    }
}
