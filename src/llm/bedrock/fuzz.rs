//! The fuzz body of event streams: any split says the same, and nothing but a whole stream has an end.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use crate::base64;
use crate::ids::CallId;
use crate::llm::bedrock::InvokeStream;
use crate::llm::bedrock::eventstream::{Frames, write_frame};

/// Reads `data[1..]` in pieces whose size is drawn from `data[0]`, and whole: as frames, and as lines each of
/// which is the event of a sound frame.
pub fn fuzz_event_stream(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let step = usize::from(seed % 23) + 1;
    assert_eq!(frames(stream, step), frames(stream, stream.len().max(1)));
    let lines: Vec<u8> = stream.split(|byte| *byte == b'\n').flat_map(chunk).collect();
    for stream in [stream, &lines] {
        let pieces = anthropic(stream, step);
        let whole = anthropic(stream, stream.len().max(1));
        assert_eq!(pieces.escape_ascii().to_string(), whole.escape_ascii().to_string());
        let text = String::from_utf8(whole).expect("events are text");
        assert!(text.ends_with("\n\n"));
        for event in text.split_terminator("\n\n") {
            let (name, data) = event.split_once('\n').expect("an event has a name and data");
            assert!(name.starts_with("event: ") && data.starts_with("data: "), "{event}");
            assert!(!data.contains(['\n', '\r']));
        }
        let ends = text.matches("event: message_stop\n").count() + text.matches("event: error\n").count();
        assert_eq!(ends, 1, "an answer has one end: {text}");
    }
}

/// The frame of one event.
pub(crate) fn chunk(event: &[u8]) -> Vec<u8> {
    let payload = format!("{{\"bytes\":\"{}\",\"p\":\"abc\"}}", base64::encode_padded(event));
    let headers =
        [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
    let mut out = Vec::new();
    write_frame(&headers, payload.as_bytes(), &mut out);
    out
}

/// What the caller reads of a stream that comes in pieces of `step` bytes, to its end.
pub(crate) fn anthropic(stream: &[u8], step: usize) -> Vec<u8> {
    let mut reader = InvokeStream::new(CallId(9));
    let mut out = Vec::new();
    for piece in stream.chunks(step) {
        reader.push(piece, &mut out);
    }
    reader.finish(&mut out);
    assert!(reader.finished());
    out
}

/// Payloads of all frames, and what was wrong behind them.
fn frames(stream: &[u8], step: usize) -> (Vec<Vec<u8>>, Option<String>, bool) {
    let mut frames = Frames::default();
    let (mut all, mut fault) = (Vec::new(), None);
    for piece in stream.chunks(step) {
        let read = frames.push(piece, &mut |frame| all.push(frame.payload.to_vec()));
        fault = read.err().map(|fault| fault.to_string());
    }
    (all, fault, frames.between())
}
