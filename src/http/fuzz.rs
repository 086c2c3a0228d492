//! Fuzz bodies: what must hold for any bytes. `fuzz/` feeds them, and the tests replay its corpus.

use crate::http::body::Decoder;
use crate::http::encode::{
    Fields, LAST_CHUNK, RelayedResponse, UpstreamRequest, chunk_prefix, request_head as put_request_head,
    response_head as put_response_head,
};
use crate::http::head::{Framing, Progress, RequestHead, ResponseHead};

/// A request head that is taken is taken the same in pieces, and what we send for it is a head that we take.
pub fn request_head(data: &[u8]) {
    let mut head = RequestHead::new();
    let whole = head.parse(data);
    let mut again = RequestHead::new();
    for cut in [data.len() / 3, data.len() / 2, data.len()] {
        let part = data.get(..cut).unwrap_or_default();
        let result = again.parse(part);
        if result != Ok(Progress::Partial) {
            assert_eq!(result, whole, "a prefix decides otherwise than the whole");
            break;
        }
    }
    if whole != Ok(Progress::Complete) {
        return;
    }
    assert!(head.bytes <= data.len());
    assert_ne!(head.framing, Framing::UntilClose);
    let (path, query) = head.path_and_query(data);
    assert_eq!(path.first(), Some(&b'/'));
    let request = UpstreamRequest {
        method: "POST",
        path: &[path],
        query,
        host: "upstream.example",
        credential: Some(("x-api-key", "ours")),
        extra: &[],
        content_length: Some(7),
    };
    let mut out = Vec::new();
    put_request_head(&mut out, &request, Fields { headers: &head.headers, buf: data });
    // Our own lines may carry a head over the bounds that the caller's just kept.
    let mut sent = RequestHead::new();
    if let Ok(progress) = sent.parse(&out) {
        assert_eq!(progress, Progress::Complete);
        assert_eq!(sent.bytes, out.len(), "a caller's header ended our head");
        assert_eq!(sent.target.get(&out), head.target.get(data));
        assert_eq!(sent.framing, Framing::Length(7));
        assert_eq!(sent.headers.all(&out, "x-api-key").collect::<Vec<_>>(), [b"ours"]);
        assert_eq!(sent.headers.all(&out, "host").count(), 1);
    } else {
        assert!(head.headers.len() > 90 || head.bytes > 30_000 || head.target.get(data).len() > 8_000);
    }
}

/// A response head that is taken goes out as one that we take, with our framing.
pub fn response_head(data: &[u8]) {
    let (request_was_head, data) = match data.split_first() {
        Some((flag, rest)) if *flag < b' ' => (flag & 1 == 1, rest),
        _ => (false, data),
    };
    let mut head = ResponseHead::new();
    if head.parse(data, request_was_head) != Ok(Progress::Complete) {
        return;
    }
    assert!(head.bytes <= data.len());
    assert!((100..600).contains(&head.status));
    assert!(!head.keep_alive || head.framing != Framing::UntilClose);
    let response = RelayedResponse {
        status: head.status,
        reason: head.reason.get(data),
        framing: Framing::Chunked,
        close: false,
        extra: &[("request-id", b"r")],
    };
    let mut out = Vec::new();
    put_response_head(&mut out, &response, Fields { headers: &head.headers, buf: data });
    let mut sent = ResponseHead::new();
    if let Ok(progress) = sent.parse(&out, false) {
        assert_eq!(progress, Progress::Complete);
        assert_eq!(sent.bytes, out.len(), "an upstream's header ended our head");
        assert!(sent.is_interim() || matches!(sent.status, 204 | 304) || sent.framing == Framing::Chunked);
        assert_eq!(sent.headers.all(&out, "transfer-encoding").count(), 1);
    } else {
        assert!(head.headers.len() > 90 || head.bytes > 30_000);
    }
}

/// A chunked body decodes to the same bytes, the same end and the same fault however it is split, and what
/// was decoded is found again after encoding. The first byte of `data` says how to split.
pub fn chunked(data: &[u8]) {
    let Some((&step, wire)) = data.split_first() else { return };
    let whole = decode_in_steps(wire, wire.len().max(1));
    let pieces = decode_in_steps(wire, usize::from(step % 32) + 1);
    assert_eq!((whole.used, whole.fault), (pieces.used, pieces.fault));
    if whole.fault.is_some() {
        // A fault withholds the bytes of its own call only, so the finer split gives no less.
        assert!(pieces.content.starts_with(&whole.content));
        return;
    }
    assert_eq!(whole.content, pieces.content);
    let mut encoded = Vec::new();
    for piece in whole.content.chunks(usize::from(step) + 1) {
        encoded.extend_from_slice(chunk_prefix(piece.len()).as_bytes());
        encoded.extend_from_slice(piece);
        encoded.extend_from_slice(b"\r\n");
    }
    encoded.extend_from_slice(LAST_CHUNK);
    let again = decode_in_steps(&encoded, 5);
    assert_eq!((again.content, again.used, again.fault), (whole.content, encoded.len(), None));
}

struct Outcome {
    content: Vec<u8>,
    used: usize,
    fault: Option<crate::http::body::BodyFault>,
}

fn decode_in_steps(wire: &[u8], step: usize) -> Outcome {
    let mut decoder = Decoder::new(Framing::Chunked);
    let mut outcome = Outcome { content: Vec::new(), used: 0, fault: None };
    for piece in wire.chunks(step) {
        let mut raw = piece.to_vec();
        match decoder.decode(&mut raw) {
            Ok(found) => {
                assert!(found.body.end <= found.consumed && found.consumed <= raw.len());
                assert!(found.done || found.consumed == raw.len());
                outcome.content.extend_from_slice(raw.get(found.body).unwrap_or_default());
                outcome.used += found.consumed;
                if found.done {
                    assert!(decoder.at_end() && decoder.on_eof().is_ok());
                    break;
                }
            }
            Err(fault) => {
                outcome.used = 0;
                outcome.fault = Some(fault);
                break;
            }
        }
    }
    outcome
}
