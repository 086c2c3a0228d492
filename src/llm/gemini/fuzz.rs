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
use crate::llm::gemini::{
    Reading, StreamReader, Target, Thinking, read_answer, read_error, retry_after_ms, translate,
};
use crate::llm::said::fuzz::{End, check};
use crate::llm::said::{DocumentWriter, Setup, StreamWriter};

/// Translates `data[1..]` for a target drawn from `data[0]`.
pub fn fuzz_gemini_request(data: &[u8]) {
    let Some((&flags, body)) = data.split_first() else { return };
    let Ok(conversation) = conversation::read(body) else { return };
    let mut target = if flags & 1 == 1 { Target::gemini_3("m") } else { Target::gemini_2("m") };
    target.json_schema = flags & 2 == 0;
    target.result_media = flags & 4 == 4;
    if flags & 8 == 8 {
        target.thinking = Thinking::Never;
        target.google_search = false;
    }
    let Ok(translated) = translate(&conversation, &target) else { return };
    let sound = serde_json::from_slice::<Tree>(body).is_ok();
    let tree = serde_json::from_slice::<Tree>(&translated.body);
    assert!(tree.is_ok() || !sound, "JSON became what is none: {}", translated.body.escape_ascii());
    if let (Ok(tree), true) = (tree, sound) {
        strict_server(&tree, target.signatures);
        if !target.json_schema {
            for declaration in tree["tools"][0]["functionDeclarations"].as_array().into_iter().flatten() {
                let parameters = &declaration["parameters"];
                assert!(parameters.is_null() || is_subset(parameters), "{parameters}");
            }
        }
    }
}

/// What the API asks of contents and names; `signatures` where calls need theirs.
pub(crate) fn strict_server(request: &Tree, signatures: bool) {
    let word = |name: &Tree| {
        let name = name.as_str().unwrap_or_default();
        assert!((1..=64).contains(&name.len()), "{name}");
        assert!(name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_'), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
    };
    let mut names = BTreeSet::new();
    for tool in request["tools"].as_array().into_iter().flatten() {
        for declaration in tool["functionDeclarations"].as_array().into_iter().flatten() {
            word(&declaration["name"]);
            assert!(names.insert(declaration["name"].to_string()), "two tools of one name");
        }
    }
    assert!(request["toolConfig"].is_null() || !names.is_empty());
    assert!(request["generationConfig"]["stopSequences"].as_array().is_none_or(|stops| stops.len() <= 5));
    let contents = request["contents"].as_array().expect("there are contents");
    assert_eq!(contents[0]["role"], "user", "the user begins");
    let mut calls: Vec<&Tree> = Vec::new();
    for (index, content) in contents.iter().enumerate() {
        let side = if index % 2 == 0 { "user" } else { "model" };
        assert_eq!(content["role"], side, "the sides take turns: {request}");
        let parts = content["parts"].as_array().expect("a content has parts");
        assert!(!parts.is_empty());
        let mut results = Vec::new();
        let mut signed = false;
        for part in parts {
            let kinds = ["text", "inlineData", "fileData", "functionCall", "functionResponse"];
            let count = kinds.iter().filter(|kind| !part[**kind].is_null()).count();
            assert_eq!(count, 1, "a part is one thing: {part}");
            assert!(part["text"].is_null() || part["text"] != "" || part["thought"] == true);
            if part["functionCall"].is_object() {
                assert_eq!(side, "model");
                word(&part["functionCall"]["name"]);
                assert!(part["functionCall"]["args"].is_object());
                signed |= !part["thoughtSignature"].is_null();
                assert!(signed || !signatures, "the first call has a signature: {content}");
            }
            if part["functionResponse"].is_object() {
                assert!(part["functionResponse"]["response"].is_object());
                results.push(&part["functionResponse"]);
            }
        }
        assert_eq!(results.len(), calls.len(), "as many results as calls, behind them: {request}");
        for (result, call) in results.iter().zip(&calls) {
            assert_eq!((&result["name"], &result["id"]), (&call["name"], &call["id"]));
        }
        let leading = parts.iter().take_while(|part| part["functionResponse"].is_object()).count();
        assert_eq!(leading, results.len(), "results come first");
        calls = parts.iter().map(|part| &part["functionCall"]).filter(|call| call.is_object()).collect();
    }
    assert!(calls.is_empty(), "calls without results");
}

/// Whether a schema keeps to the subset of OpenAPI.
pub(crate) fn is_subset(schema: &Tree) -> bool {
    const KNOWN: &[&str] = &[
        "type",
        "nullable",
        "title",
        "description",
        "format",
        "pattern",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
        "enum",
        "items",
        "properties",
        "required",
        "anyOf",
    ];
    let Some(members) = schema.as_object() else { return false };
    members.iter().all(|(name, value)| match name.as_str() {
        "type" => value.is_string(),
        "items" => is_subset(value),
        "anyOf" => value.as_array().is_some_and(|list| list.iter().all(is_subset)),
        "properties" => value.as_object().is_some_and(|members| members.values().all(is_subset)),
        "enum" | "required" => value.as_array().is_some_and(|list| list.iter().all(Tree::is_string)),
        name => KNOWN.contains(&name),
    })
}

/// Reads `data[1..]` as a stream, in pieces whose size is drawn from `data[0]`, and whole; as a document, and
/// as an error.
pub fn fuzz_gemini_stream(data: &[u8]) {
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
    assert!(retry_after_ms(stream).is_none_or(|wait| wait <= 24 * 60 * 60 * 1000 + 999));
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
        signature: crate::llm::signature::tag(crate::llm::gemini::ORIGIN, b"").into(),
    }
}
