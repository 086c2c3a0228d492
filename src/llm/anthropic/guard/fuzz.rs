//! Fuzz body of the guard: any split is the whole, and no denied use leaves as `not_flagged`.

#![expect(clippy::indexing_slicing, reason = "a fuzz body says what it found by panicking")]

use serde_json::Value as Tree;

use crate::http::sse::{Piece, Splitter};
use crate::llm::anthropic::guard::{Blind, Flow, Form, Guard, Judge};

/// Denies the uses whose input has the word in it, or is not known, of tools that are not called `free`.
#[derive(Debug, Default)]
pub(super) struct ByWord {
    /// Ids of the denied.
    pub(super) denied: Vec<String>,
    /// Ids of those that have been changed.
    pub(super) flagged: Vec<String>,
}

/// The word.
pub(super) const WORD: &str = "forbidden";

impl Judge for ByWord {
    fn concerns(&mut self, tool: &str) -> bool {
        tool != "free"
    }

    fn denies(&mut self, id: &str, _tool: &str, input: Option<&[u8]>) -> bool {
        let denied = input.is_none_or(|input| String::from_utf8_lossy(input).contains(WORD));
        if denied {
            self.denied.push(id.to_owned());
        }
        denied
    }

    fn flagged(&mut self, id: &str) {
        self.flagged.push(id.to_owned());
    }
}

/// Passes an answer through a guard in pieces of these sizes; what left, what the judge saw.
pub(super) fn pass(
    bytes: &[u8],
    form: Form,
    mut sizes: impl Iterator<Item = usize>,
) -> (Vec<u8>, ByWord, Result<(), Blind>) {
    let (mut guard, mut judge, mut out) = (Guard::new(form, true), ByWord::default(), Vec::new());
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        match guard.push(piece, &mut judge) {
            Ok(Flow::Through) => out.extend_from_slice(piece),
            Ok(Flow::Instead(bytes)) => out.extend(bytes),
            Err(blind) => return (out, judge, Err(blind)),
        }
    }
    match guard.finish(&mut judge) {
        Ok(bytes) => out.extend(bytes),
        Err(blind) => return (out, judge, Err(blind)),
    }
    (out, judge, Ok(()))
}

/// Passes `data[1..]` as a stream and as a document, in pieces whose size is drawn from `data[0]`, and whole.
pub fn fuzz_guard(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else { return };
    let step = usize::from(seed % 23) + 1;
    for form in [Form::Events, Form::Document] {
        let (split, by_pieces, ended) = pass(bytes, form, std::iter::repeat(step));
        let (whole, at_once, ended_too) = pass(bytes, form, std::iter::empty());
        // A stream that breaks off may have let out more when it came in pieces, and nothing else.
        assert_eq!(ended, ended_too);
        if ended.is_ok() {
            // Of an event that never ends, which no client reads, a piece may have left before its name came.
            let (less, more) = if split.len() < whole.len() { (&split, &whole) } else { (&whole, &split) };
            assert!(more.starts_with(less) && (form == Form::Events || less == more));
            assert_eq!(outcomes(less, form), outcomes(more, form));
            assert_eq!(by_pieces.flagged, at_once.flagged);
        }
        for (out, judge) in [(&split, &by_pieces), (&whole, &at_once)] {
            assert!(out.len() <= bytes.len());
            if judge.denied.is_empty() && ended.is_ok() && form == Form::Document {
                assert_eq!(out, bytes);
            }
            // What was said of a use before it came has left; such an answer breaks off.
            for (id, word) in outcomes(out, form).into_iter().filter(|_| ended.is_ok()) {
                assert!(word != "not_flagged" || !judge.denied.contains(&id), "{id} passes");
            }
        }
    }
}

/// What a client reads: each id with its outcome.
pub(super) fn outcomes(out: &[u8], form: Form) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut read = |tree: &Tree| {
        for list in [&tree["safeguard_results"], &tree["delta"]["safeguard_results"]] {
            for result in list.as_array().into_iter().flatten() {
                for (id, verdict) in result["status"]["tool_uses"].as_object().into_iter().flatten() {
                    let word = verdict["outcome"].as_str().unwrap_or_default();
                    found.push((id.clone(), word.to_owned()));
                }
            }
        }
    };
    if form == Form::Document {
        if let Ok(tree) = serde_json::from_slice(out) {
            read(&tree);
        }
        return found;
    }
    let (mut splitter, mut data) = (Splitter::default(), Vec::new());
    splitter.push(out, |piece| match piece {
        Piece::Data(bytes) => data.extend_from_slice(bytes),
        Piece::End(name) => {
            if name == b"message_delta"
                && let Ok(tree) = serde_json::from_slice::<Tree>(&data)
            {
                read(&tree);
            }
            data.clear();
        }
        Piece::Void => data.clear(),
        Piece::Name(_) | Piece::Id(_) | Piece::Retry(_) => {}
    });
    found
}

/// A stream of a message with these uses of tools, each with a name, an input in pieces and an outcome.
#[cfg(test)]
pub(super) fn stream(uses: &[(&str, &[&str], &str)], line_end: &str) -> String {
    let mut out = String::new();
    let mut event = |name: &str, data: &Tree| {
        out.push_str(&format!("event: {name}{line_end}data: {data}{line_end}{line_end}"));
    };
    event("message_start", &serde_json::json!({ "type": "message_start", "message": { "id": "m" } }));
    let mut verdicts = serde_json::Map::new();
    for (index, (name, pieces, outcome)) in uses.iter().enumerate() {
        let id = format!("toolu_{index}");
        let block = serde_json::json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
        event("content_block_start", &serde_json::json!({ "index": index, "content_block": block }));
        for piece in *pieces {
            let delta = serde_json::json!({ "type": "input_json_delta", "partial_json": piece });
            event("content_block_delta", &serde_json::json!({ "index": index, "delta": delta }));
        }
        event("content_block_stop", &serde_json::json!({ "type": "content_block_stop", "index": index }));
        verdicts.insert(id, serde_json::json!({ "type": "evaluated", "outcome": outcome, "more": [1] }));
    }
    let status = serde_json::json!({ "type": "available", "tool_uses": verdicts });
    let results = serde_json::json!([{ "type": "dangerous_tool_use", "status": status, "new": "x" }]);
    let delta = serde_json::json!({ "stop_reason": "tool_use", "safeguard_results": results });
    event("message_delta", &serde_json::json!({ "type": "message_delta", "delta": delta }));
    event("message_stop", &serde_json::json!({ "type": "message_stop" }));
    out
}
