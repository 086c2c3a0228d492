//! The fuzz body of Converse's answers: any split says the same, and each answer has one end.

use crate::ids::CallId;
use crate::llm::bedrock::converse::{ConverseStream, read_answer};
use crate::llm::bedrock::eventstream::write_frame;
use crate::llm::openai_chat::Reading;
use crate::llm::said::fuzz::{End, check};
use crate::llm::said::{Setup, StreamWriter};

/// Reads `data[1..]` in pieces whose size is drawn from `data[0]`, and whole: as frames, and as lines each of
/// which is the name of an event, a space and its content; and as one document.
pub fn fuzz_converse_answer(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let step = usize::from(seed % 23) + 1;
    let lines: Vec<u8> = stream.split(|byte| *byte == b'\n').flat_map(frame).collect();
    for stream in [stream, &lines] {
        let pieces = said(stream, step);
        let whole = said(stream, stream.len().max(1));
        assert_eq!(pieces.escape_ascii().to_string(), whole.escape_ascii().to_string());
        assert_ne!(check(&whole).0, End::Open, "an answer has an end");
    }
    let (mut writer, mut out) = (StreamWriter::new(setup()), Vec::new());
    read_answer(stream, reading(), &mut |event| writer.take(event, &mut out));
    assert!(writer.finished());
    assert_ne!(check(&out).0, End::Open, "a document has an end");
}

/// The frame of a line.
fn frame(line: &[u8]) -> Vec<u8> {
    let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (name, payload) = line.split_at(at);
    let name = String::from_utf8_lossy(name);
    let kind = if name.ends_with("Exception") { ":exception-type" } else { ":event-type" };
    let message = if kind == ":event-type" { "event" } else { "exception" };
    let mut out = Vec::new();
    write_frame(&[(kind, &name), (":message-type", message)], payload, &mut out);
    out
}

/// What the caller reads of a stream that comes in pieces of `step` bytes, to its end.
fn said(stream: &[u8], step: usize) -> Vec<u8> {
    let mut reader = ConverseStream::new(reading());
    let (mut writer, mut out) = (StreamWriter::new(setup()), Vec::new());
    for piece in stream.chunks(step) {
        reader.push(piece, &mut |event| writer.take(event, &mut out));
    }
    reader.finish(&mut |event| writer.take(event, &mut out));
    assert!(reader.finished() && writer.finished());
    out
}

fn setup() -> Setup {
    let stops = vec!["\n\nHuman:".into()];
    Setup { call: CallId(9), model: "claude-x".into(), input_tokens: 11, stops, signature: "".into() }
}

fn reading() -> Reading {
    Reading { nonce: 9, stops_told: vec!["STOP".into()], ..Reading::default() }
}
