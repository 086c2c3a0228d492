//! Fuzz bodies of the dialects as callers speak them: what is made of a request is one, and any split of an
//! answer says the same.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fuzz body says what it found by panicking"
)]

use serde_json::Value as Tree;

use crate::llm::inward::hide::Hide;
use crate::llm::inward::{Along, Dialect, Native, Setup, Voice, passing, read};

/// Reads `data` as a request for Chat Completions.
pub fn fuzz_inward_chat(data: &[u8]) {
    request(Dialect::Chat, data);
}

/// Reads `data` as a request for Responses.
pub fn fuzz_inward_responses(data: &[u8]) {
    request(Dialect::Responses, data);
}

fn request(dialect: Dialect, data: &[u8]) {
    let sound = serde_json::from_slice::<Tree>(data).is_ok();
    if let Ok(request) = crate::llm::anthropic::request::read(data)
        && let Ok(asked) = passing::asked(data)
    {
        let passed = passing::with_usage(data, &request, asked, Some("other"));
        if sound {
            let tree: Tree = serde_json::from_slice(&passed).expect("what passes is JSON");
            assert_eq!(
                (&tree["model"], &tree["stream_options"]["include_usage"]),
                (&"other".into(), &true.into())
            );
        }
    }
    let Ok(inward) = read(dialect, data) else { return };
    let tree = serde_json::from_slice::<Tree>(&inward.body);
    assert!(tree.is_ok() || !sound, "JSON became what is none: {}", inward.body.escape_ascii());
    if let (Ok(tree), true) = (tree, sound) {
        anthropics_form(&tree);
    }
}

/// What Anthropic asks of the form of a request.
fn anthropics_form(request: &Tree) {
    assert!(request["max_tokens"].is_u64() && request["model"].is_string());
    let turns = request["messages"].as_array().expect("there are messages");
    assert!(!turns.is_empty());
    let mut before = "";
    for turn in turns {
        let role = turn["role"].as_str().expect("a turn has a role");
        assert!(matches!(role, "user" | "assistant") && role != before, "{request}");
        before = role;
        let blocks = turn["content"].as_array().expect("a turn has blocks");
        assert!(!blocks.is_empty());
        let is_result = |block: &Tree| block["type"] == "tool_result";
        assert!(blocks.is_sorted_by_key(|block| !is_result(block)), "results come first: {request}");
        for block in blocks {
            assert!(!is_result(block) || role == "user");
            assert!(block["type"] != "tool_use" || block["input"].is_object());
            assert!(block["type"] != "text" || !block["text"].as_str().unwrap_or("x").trim().is_empty());
        }
    }
    for tool in request["tools"].as_array().into_iter().flatten() {
        assert!(tool["input_schema"]["type"] != Tree::Null && tool["name"].is_string());
    }
}

/// Has `data[1..]` said in both dialects, in pieces whose size is drawn from `data[0]`, and whole; reads it
/// along, and listens to it.
pub fn fuzz_inward_voice(data: &[u8]) {
    let Some((&size, bytes)) = data.split_first() else { return };
    let pieces = || bytes.chunks(usize::from(size % 61) + 1);
    for (dialect, stream) in [
        (Dialect::Chat, true),
        (Dialect::Chat, false),
        (Dialect::Responses, true),
        (Dialect::Responses, false),
    ] {
        let setup = Setup { model: "m".into(), stream, usage: true, seals: true, ..Setup::default() };
        let whole = Voice::new(dialect, setup.clone()).say(bytes, true);
        let mut voice = Voice::new(dialect, setup);
        let mut said: Vec<u8> = pieces().flat_map(|piece| voice.say(piece, false)).collect();
        said.extend(voice.say(b"", true));
        assert_eq!(said, whole, "{dialect:?} {stream}");
        let (mut one, mut other) = (Along::new(dialect, false), Along::new(dialect, false));
        one.push(bytes);
        pieces().for_each(|piece| other.push(piece));
        one.finish();
        other.finish();
        let (mut left, mut right) = (one.answer().clone(), other.answer().clone());
        // The class of service may stand across two pieces; the next event has it again.
        (left.terms, right.terms) = Default::default();
        assert_eq!(left, right, "{dialect:?}");
        listens(bytes, usize::from(size % 61) + 1, stream);
    }
    let whole = Hide::default().pass(bytes, true);
    let mut hide = Hide::default();
    let mut passed: Vec<u8> = pieces().flat_map(|piece| hide.pass(piece, false)).collect();
    passed.extend(hide.pass(b"", true));
    assert_eq!(passed, whole);
}

fn listens(bytes: &[u8], size: usize, stream: bool) {
    let told = |size: usize| {
        let (mut native, mut out) = (Native::new(stream), Vec::new());
        bytes.chunks(size).for_each(|piece| native.push(piece, &mut out));
        native.finish(&mut out);
        assert!(native.is_over());
        (native.is_committed(), native.failure().cloned())
    };
    assert_eq!(told(size), told(bytes.len().max(1)));
}
