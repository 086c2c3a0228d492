//! Fuzz bodies of the clouds as callers speak them: what is made of a request is one, and any split of an
//! answer says the same.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fuzz body says what it found by panicking"
)]

use serde_json::Value as Tree;

use crate::http::body::Decoder;
use crate::http::encode::{CHUNK_END, LAST_CHUNK, chunk_prefix};
use crate::http::head::Framing;
use crate::limits;
use crate::llm::bedrock::eventstream::Frames;
use crate::llm::cloud_caller::{Cloud, Operation, Said, Shaper, as_messages, names, read};

const OPERATIONS: [Operation; 4] =
    [Operation::Whole, Operation::Stream, Operation::Count, Operation::Profiles];

/// Reads `data[1..]` as a path, and as a body whose cloud and operation are drawn from `data[0]`.
pub fn fuzz_cloud_request(data: &[u8]) {
    let Some((&flags, body)) = data.split_first() else { return };
    let cloud = if flags & 1 == 1 { Cloud::Vertex } else { Cloud::Bedrock };
    let operation = match flags >> 1 & 3 {
        0 => Operation::Whole,
        1 => Operation::Stream,
        _ => Operation::Count,
    };
    let model = if flags & 8 == 8 { "" } else { "claude-x" };
    if let Some(called) = str::from_utf8(body).ok().and_then(read) {
        assert!(names(called.model).is_none_or(|names| !names.is_empty()));
    }
    let Ok(Said { body: said, betas }) = as_messages(cloud, operation, model, body) else { return };
    assert!(betas.len() <= limits::BETAS_MAX);
    // Bedrock's count has its body in base64.
    let sound = serde_json::from_slice::<Tree>(body).is_ok()
        && (cloud, operation) != (Cloud::Bedrock, Operation::Count);
    let tree = serde_json::from_slice::<Tree>(&said);
    assert!(tree.is_ok() || !sound, "JSON became what is none: {}", said.escape_ascii());
    let Ok(tree) = tree else { return };
    for gone in ["anthropic_version", "anthropic_beta"] {
        assert!(tree.get(gone).is_none(), "{tree}");
    }
    assert_eq!(tree["stream"] == true, operation == Operation::Stream, "{tree}");
    assert!(model.is_empty() || tree["model"] == model, "{tree}");
}

/// Gives `data[1..]` as the stream of an answer, and as an answer with its head, in pieces whose size is
/// drawn from `data[0]`, and whole.
pub fn fuzz_cloud_answer(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let step = usize::from(seed % 31) + 1;
    let mut answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for piece in stream.chunks(64) {
        answer.extend_from_slice(chunk_prefix(piece.len()).as_bytes());
        answer.extend_from_slice(piece);
        answer.extend_from_slice(CHUNK_END);
    }
    answer.extend_from_slice(LAST_CHUNK);
    for cloud in [Cloud::Bedrock, Cloud::Vertex] {
        let (head, body) = shaped(cloud, &answer, answer.len());
        assert_eq!((&head, &body), (&shaped(cloud, &answer, step).0, &shaped(cloud, &answer, step).1));
        if cloud == Cloud::Bedrock {
            let mut frames = Frames::default();
            assert!(frames.push(&body, &mut |_| {}).is_ok() && frames.between(), "whole frames alone go out");
        } else {
            assert_eq!(body, stream);
        }
        for operation in OPERATIONS {
            let mut shaper = Shaper::new(cloud, operation);
            let mut out = Vec::new();
            stream.chunks(step).for_each(|piece| shaper.push(piece, &mut out));
        }
    }
}

/// Head and body, without its chunks, of an answer that comes in pieces of `step` bytes.
fn shaped(cloud: Cloud, answer: &[u8], step: usize) -> (Vec<u8>, Vec<u8>) {
    let mut shaper = Shaper::new(cloud, Operation::Stream);
    let mut out = Vec::new();
    answer.chunks(step).for_each(|piece| shaper.push(piece, &mut out));
    let end = out.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head") + 4;
    let mut body = out.split_off(end);
    let decoded = Decoder::new(Framing::Chunked).decode(&mut body).expect("what goes out is framed well");
    assert!(decoded.done && decoded.consumed == body.len(), "it has its end");
    let body = body.get(decoded.body).unwrap_or_default().to_vec();
    (out, body)
}
