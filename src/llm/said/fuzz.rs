//! Fuzz bodies of the writers: whatever happens, what they write is in Anthropic's form.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a fuzz body says what it found by panicking"
)]

use serde_json::Value as Tree;

use crate::http::sse::{Piece, Splitter};
use crate::ids::CallId;
use crate::llm::said::{DocumentWriter, Event, Failure, Hit, Kind, Search, Setup, Stop, StreamWriter};
use crate::llm::usage::Usage;

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By `message_stop`.
    Stopped,
    /// By `error`.
    Failed,
    /// Not at all.
    Open,
}

/// Plays events drawn from `data` to both writers. Both have to end the same way and say the same.
pub fn fuzz_said(data: &[u8]) {
    let Some((&flags, script)) = data.split_first() else { return };
    let stops = if flags & 1 == 1 { vec!["b".into(), "abc".into(), "\"}".into()] } else { Vec::new() };
    let setup = Setup {
        call: CallId(7),
        model: "claude \"x\"".into(),
        input_tokens: 5,
        stops,
        signature: "tollgate.1.x.".into(),
    };
    let (mut stream, mut document) = (StreamWriter::new(setup.clone()), DocumentWriter::new(setup));
    let failure = Failure::new(Kind::Overloaded, "no room");
    let (mut out, mut calls) = (Vec::new(), 0);
    for step in script.chunks(3) {
        let text = String::from_utf8_lossy(step.get(1..).unwrap_or_default()).into_owned();
        let index = usize::from(step[0] >> 4) % 4;
        let hits = [Hit { url: text.as_str().into(), title: "".into() }];
        let search = Search { id: "srvtoolu_1", query: &text, hits: &hits };
        let event = match step[0] % 16 {
            0..2 => Event::Text(&text),
            2 => Event::Searched(&search),
            3 => Event::Thinking(&text),
            4 if index == 0 => Event::Compacted(&text),
            4 => Event::Thinking(&text),
            5 => Event::Signature("own"),
            6 | 7 => {
                calls += 1;
                Event::ToolStarted { index: calls - 1, id: "toolu_1", name: &text }
            }
            8..10 => Event::ToolInput { index, json: &text },
            10 => Event::ToolInput { index, json: "{\"a\":[1,\"}\"]}" },
            11 => Event::ToolEnded { index },
            12 => Event::Usage(Usage { output_tokens: 3, seen: true, ..Usage::default() }),
            13 => Event::Stopped(if index == 0 { Stop::MaxTokens } else { Stop::EndTurn }),
            14 => Event::Ended,
            _ if index == 3 => Event::Failed(&failure),
            _ => Event::Started { model: "m", id: "i" },
        };
        stream.take(&event, &mut out);
        document.take(&event);
    }
    let (end, told) = check(&out);
    assert_eq!(stream.finished(), end != End::Open);
    assert_eq!(stream.failure().is_some(), end == End::Failed);
    match document.finish() {
        Ok(document) if end == End::Stopped => {
            let tree: Tree = serde_json::from_slice(&document).expect("a document is JSON");
            assert_eq!(tree["stop_reason"], told["stop_reason"]);
            assert_eq!(tree["stop_sequence"], told["stop_sequence"]);
            if tree["stop_reason"] != "max_tokens" && flags & 2 == 0 {
                same_text(&tree["content"], &told["content"]);
            }
        }
        Ok(document) => {
            // Where the model ran out of room, a document is lenient with inputs that a stream has refused
            // before that was known.
            let tree: Tree = serde_json::from_slice(&document).expect("a document is JSON");
            assert!(end == End::Open || tree["stop_reason"] == "max_tokens", "the document says more");
        }
        // A document is judged by its end, a stream on its way there.
        Err(_) => {}
    }
}

/// All text of both is the same, whatever blocks it stands in.
fn same_text(document: &Tree, stream: &Tree) {
    let words = |list: &Tree, kind: &str| -> String {
        let blocks = list.as_array().into_iter().flatten().filter(|block| block["type"] == kind);
        blocks.map(|block| block[kind].as_str().unwrap_or_default()).collect()
    };
    for kind in ["text", "thinking"] {
        assert_eq!(words(document, kind), words(stream, kind));
    }
}

/// Reads a stream of Anthropic's form by its rules and says how it ends and what message it makes.
pub(crate) fn check(stream: &[u8]) -> (End, Tree) {
    let mut data = Vec::new();
    let mut reader = Reader::default();
    let mut splitter = Splitter::default();
    splitter.push(stream, |piece| match piece {
        Piece::Data(bytes) => data.extend_from_slice(bytes),
        Piece::End(name) => {
            let event: Tree = serde_json::from_slice(&std::mem::take(&mut data)).expect("an event is JSON");
            let name = std::str::from_utf8(name).expect("a name is text");
            assert_eq!(event["type"], name);
            reader.take(name, &event);
        }
        _ => {}
    });
    assert!(splitter.between_events() && data.is_empty(), "an event is not whole");
    let end = reader.end.unwrap_or(End::Open);
    let mut message = reader.message;
    message["content"] = Tree::Array(reader.blocks);
    (end, message)
}

#[derive(Default)]
struct Reader {
    message: Tree,
    blocks: Vec<Tree>,
    /// Of the open block: its text, and for the input of a tool the JSON so far.
    open: Option<String>,
    /// An input that was no JSON when its block was closed.
    broken: bool,
    stopped: bool,
    end: Option<End>,
}

impl Reader {
    fn take(&mut self, name: &str, event: &Tree) {
        assert_eq!(self.end, None, "{name} after the end");
        match name {
            "error" => {
                assert!(event["error"]["type"].is_string() && event["error"]["message"].is_string());
                self.end = Some(End::Failed);
                return;
            }
            "message_start" => {
                assert!(self.message.is_null(), "two beginnings");
                self.message = event["message"].clone();
                assert!(self.message["usage"]["input_tokens"].is_u64());
                return;
            }
            _ => assert!(!self.message.is_null(), "{name} before the beginning"),
        }
        match name {
            "content_block_start" => {
                assert!(self.open.is_none() && !self.stopped, "a block in a block");
                assert_eq!(event["index"], self.blocks.len());
                self.blocks.push(event["content_block"].clone());
                self.open = Some(String::new());
            }
            "content_block_delta" => self.delta(event),
            "content_block_stop" => self.close(event),
            "message_delta" => {
                assert!(self.open.is_none() && !self.stopped);
                assert!(event["usage"]["output_tokens"].is_u64());
                let reason = &event["delta"]["stop_reason"];
                assert!(!self.broken || reason == "max_tokens" || reason == "model_context_window_exceeded");
                self.message["stop_reason"] = reason.clone();
                self.message["stop_sequence"] = event["delta"]["stop_sequence"].clone();
                self.message["usage"] = event["usage"].clone();
                self.stopped = true;
            }
            "message_stop" => {
                assert!(self.stopped, "an end without a reason");
                self.end = Some(End::Stopped);
            }
            other => panic!("{other} is not written here"),
        }
    }

    fn delta(&mut self, event: &Tree) {
        assert_eq!(event["index"], self.blocks.len() - 1);
        let open = self.open.as_mut().expect("a delta outside of a block");
        let block = self.blocks.last_mut().expect("there is a block");
        let delta = &event["delta"];
        let (kind, member) = match delta["type"].as_str() {
            Some("text_delta") => ("text", "text"),
            Some("thinking_delta") => ("thinking", "thinking"),
            Some("signature_delta") => ("thinking", "signature"),
            Some("input_json_delta") if block["type"] == "server_tool_use" => {
                ("server_tool_use", "partial_json")
            }
            Some("input_json_delta") => ("tool_use", "partial_json"),
            Some("compaction_delta") => ("compaction", "content"),
            other => panic!("a delta of type {other:?}"),
        };
        assert_eq!(block["type"], kind);
        let text = delta[member].as_str().expect("a delta has text");
        assert!(!text.is_empty());
        if kind.ends_with("tool_use") {
            open.push_str(text);
        } else {
            let so_far = block[member].as_str().unwrap_or_default().to_owned();
            block[member] = Tree::from(so_far + text);
        }
    }

    fn close(&mut self, event: &Tree) {
        assert_eq!(event["index"], self.blocks.len() - 1);
        let open = self.open.take().expect("an end outside of a block");
        let block = self.blocks.last_mut().expect("there is a block");
        let kind = block["type"].as_str().expect("a block has a type").to_owned();
        if kind.ends_with("tool_use") {
            match serde_json::from_str::<Tree>(&open) {
                Ok(input) => {
                    assert!(input.is_object());
                    block["input"] = input;
                }
                Err(_) => self.broken = true,
            }
        } else if kind == "compaction" {
            // Nothing is what an empty summary is.
            assert!(block["content"].is_string() || block["content"].is_null());
        } else if kind == "web_search_tool_result" {
            assert!(block["content"].is_array() && block["tool_use_id"].is_string());
        } else {
            let member = kind;
            assert!(block[&member].as_str().is_some_and(|text| member != "text" || !text.trim().is_empty()));
        }
    }
}
