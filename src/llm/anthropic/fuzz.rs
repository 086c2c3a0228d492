//! Fuzz bodies of the readers: against `serde_json` as an oracle, and any split against the whole.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fuzz body says what it found by panicking"
)]

use serde_json::Value as Tree;

use crate::llm::anthropic::request::{Refusal, read, splice};
use crate::llm::anthropic::response::AnswerReader;
use crate::llm::anthropic::stream::UsageReader;
use crate::llm::anthropic::tools;

/// Reads any bytes as a request. What is read is what `serde_json` reads, and a splice changes the model
/// alone.
pub fn fuzz_anthropic_request(data: &[u8]) {
    let tree: Option<Tree> = serde_json::from_slice(data).ok();
    let request = match (read(data), &tree) {
        (Ok(request), _) => request,
        (Err(Refusal::NotJson(fault)), Some(tree @ Tree::Object(_))) => {
            // Half of a surrogate pair or a huge number is refused on the strict path only.
            assert!(data.contains(&b'\\'), "{fault}: {tree}");
            return;
        }
        (Err(Refusal::NoModel), Some(tree)) => return assert!(tree.get("model").is_none()),
        (Err(Refusal::ModelKind), Some(tree)) => return assert!(!tree["model"].is_string()),
        (Err(Refusal::NotObject), Some(tree)) => return assert!(!tree.is_object()),
        (Err(_), _) => return,
    };
    let other = "other \"\\\n→";
    let spliced = splice(data, &request, other).expect("the request is of this body");
    let bytes = [spliced.before, spliced.model.as_bytes(), spliced.after].concat();
    assert_eq!(bytes.len(), spliced.total_bytes());
    let mut names = Vec::new();
    let list = request.tools.clone().map(|span| tools::read(data, span, |tool| names.push(tool.name)));
    let Some(mut tree) = tree else { return };
    if let (Some(Ok(())), Some(list)) = (list, tree["tools"].as_array()) {
        let objects: Vec<&Tree> = list.iter().filter(|tool| tool.is_object()).collect();
        let expected: Vec<&str> = objects.iter().map(|tool| tool["name"].as_str().unwrap_or("")).collect();
        assert_eq!(names, expected);
    }
    assert_eq!(tree["model"], request.model.as_str());
    assert_eq!(tree["stream"] == true, request.stream);
    assert_eq!(tree["max_tokens"].as_u64(), request.max_tokens);
    tree["model"] = Tree::from(other);
    assert_eq!(serde_json::from_slice::<Tree>(&bytes).ok(), Some(tree));
}

/// Reads `data[1..]` as an answer and as a stream, in pieces whose size is drawn from `data[0]`, and whole.
pub fn fuzz_anthropic_response(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let step = usize::from(seed % 23) + 1;
    let (mut answer, mut answer_whole) = (AnswerReader::default(), AnswerReader::default());
    let (mut stream, mut stream_whole) = (UsageReader::default(), UsageReader::default());
    for piece in bytes.chunks(step) {
        answer.push(piece);
        stream.push(piece);
    }
    answer_whole.push(bytes);
    stream_whole.push(bytes);
    assert_eq!(answer.answer(), answer_whole.answer());
    assert_eq!(answer.finished(), answer_whole.finished());
    assert_eq!(stream.answer(), stream_whole.answer());
    assert_eq!(stream.error_kind(), stream_whole.error_kind());
    assert_eq!(
        (stream.finished(), stream.between_events(), stream.unread()),
        (stream_whole.finished(), stream_whole.between_events(), stream_whole.unread())
    );
    let Ok(tree @ Tree::Object(_)) = serde_json::from_slice::<Tree>(bytes) else { return };
    assert!(answer.finished(), "a whole answer has an end");
    // Escapes in names are not looked into, and of a name given twice the tree keeps one.
    let plain = !bytes.contains(&b'\\') && tree.to_string().len() == bytes.len();
    if let (true, Some(id)) = (plain, tree["id"].as_str())
        && id.len() <= 200
    {
        assert_eq!(answer.answer().message_id.as_deref(), Some(id));
    }
}
