//! What goes to a provider and comes back, through the one face.

use crate::ids::CallId;
use crate::llm::conversation;
use crate::llm::openai_chat::Target;
use crate::llm::said::Kind;
use crate::llm::speech::{Answering, Ask, Chat, Interpreter, Speech};

const ASK: Ask<'_> = Ask { model: "m", conversation: "c-1", caller: "u-1", nonce: 7 };

fn chat(knows_callers: bool) -> Speech {
    Speech::Chat(Box::new(Chat {
        takes: Target::compatible(""),
        efforts: Box::new(["low", "high"]),
        knows_callers,
    }))
}

fn interpreter(stream: bool) -> Interpreter {
    let body = br#"{"model":"x","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],
                    "stop_sequences":["1","2","3","4","END"]}"#;
    let read = conversation::read(body).unwrap();
    let spoken = chat(false).say(&read, &ASK).unwrap();
    Interpreter::new(spoken.ear, &Answering { call: CallId(1), model: "x", input_tokens: 3, stream })
}

const WHOLE: &[u8] = br#"{"id":"1","model":"m","choices":[{"index":0,"finish_reason":"stop",
    "message":{"role":"assistant","content":"Hello"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#;

#[test]
fn the_caller_is_named_only_where_that_is_known() {
    let body = br#"{"model":"x","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
    let read = conversation::read(body).unwrap();
    for knows in [false, true] {
        let spoken = chat(knows).say(&read, &ASK).unwrap();
        let text = String::from_utf8(spoken.body).unwrap();
        assert!(text.starts_with(r#"{"model":"m""#), "{text}");
        assert_eq!(text.contains(r#""prompt_cache_key":"c-1""#), knows, "{text}");
        assert_eq!(text.contains(r#""safety_identifier":"u-1""#), knows, "{text}");
        assert_eq!(spoken.path, "/chat/completions");
    }
}

#[test]
fn a_document_is_one_however_it_comes() {
    for stream in [false, true] {
        for step in [1, 7, WHOLE.len()] {
            let mut out = Vec::new();
            let mut interpreter = interpreter(stream);
            for piece in WHOLE.chunks(step) {
                assert!(!interpreter.is_committed());
                interpreter.push(piece, &mut out);
            }
            interpreter.finish(&mut out);
            assert!(interpreter.is_over() && interpreter.is_committed() && interpreter.failure().is_none());
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains("Hello") && text.contains("end_turn"), "{text}");
            assert_eq!(text.starts_with('{'), !stream, "{text}");
        }
    }
}

#[test]
fn a_refusal_is_a_failure_before_anything_is_written() {
    let mut out = Vec::new();
    let mut interpreter = interpreter(true);
    interpreter.refused(429, &chat(false));
    interpreter.push(br#"{"error":{"message":"slow down","type":"rate_limit"#, &mut out);
    interpreter.push(br#"_error"}}"#, &mut out);
    assert!(!interpreter.is_over());
    interpreter.finish(&mut out);
    assert_eq!(interpreter.failure().map(|failure| failure.kind), Some(Kind::RateLimited));
    assert!(out.is_empty() && !interpreter.is_committed() && interpreter.is_over());
}

#[test]
fn a_stop_sequence_of_ours_ends_the_answer_at_once() {
    let mut out = Vec::new();
    let mut interpreter = interpreter(true);
    let event = |text: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    interpreter.push(event("one E").as_bytes(), &mut out);
    assert!(interpreter.is_committed() && !interpreter.is_over());
    interpreter.push(event("ND two").as_bytes(), &mut out);
    assert!(interpreter.is_over());
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(r#""stop_sequence":"END""#) && text.contains("message_stop"), "{text}");
    assert!(!text.contains("two"), "{text}");
}
