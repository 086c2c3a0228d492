//! Writes an answer of Chat Completions, as a stream of chunks or as one document.

use crate::json::write_string;
use crate::llm::inward::Dialect;
use crate::llm::inward::error::write_failure;
use crate::llm::inward::voice::{Setup, Why, read_tokens};
use crate::llm::said::{Event, Failure};
use crate::llm::usage::Usage;

/// An answer in the making.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    setup: Setup,
    /// What each chunk begins with, up to its delta.
    front: Vec<u8>,
    begun: bool,
    over: bool,
    /// The text so far, of a document.
    text: String,
    /// The thinking so far, of a document.
    thought: String,
    calls: Vec<Call>,
    usage: Usage,
    why: Why,
}

#[derive(Clone, Debug)]
struct Call {
    id: Box<str>,
    name: Box<str>,
    /// The arguments so far; of a stream only whether there were any.
    arguments: String,
    any: bool,
}

impl Writer {
    pub(super) fn new(setup: Setup) -> Self {
        let mut front = Vec::new();
        if setup.stream {
            front.extend_from_slice(b"data: ");
            write_head("chat.completion.chunk", &setup, &mut front);
            front.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":");
        }
        Self {
            setup,
            front,
            begun: false,
            over: false,
            text: String::new(),
            thought: String::new(),
            calls: Vec::new(),
            usage: Usage::default(),
            why: Why::Done,
        }
    }

    pub(super) fn take(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Started { .. } => self.begin(out),
            Event::Text(text) => self.say(text, out),
            Event::Thinking(text) => self.think(text, out),
            Event::ToolStarted { id, name, .. } => self.call(id, name, out),
            Event::ToolInput { index, json } => self.input(*index, json, out),
            Event::ToolEnded { index } => {
                if self.calls.get(*index).is_some_and(|call| !call.any) {
                    self.input(*index, "{}", out);
                }
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Stopped(stop) => self.why = Why::of(*stop),
            Event::Ended => self.end(out),
            Event::Failed(failure) => self.fail(failure, out),
            Event::Signature(_) | Event::Searched(_) | Event::Compacted(_) => {}
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.setup.stream && !std::mem::replace(&mut self.begun, true) {
            self.chunk(out, |out| out.extend_from_slice(b"{\"role\":\"assistant\",\"content\":\"\"}"));
        }
    }

    /// Writes a chunk with the delta that `delta` writes.
    fn chunk(&self, out: &mut Vec<u8>, delta: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(&self.front);
        delta(out);
        self.close_chunk("null", out);
    }

    fn close_chunk(&self, finish: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"logprobs\":null,\"finish_reason\":");
        out.extend_from_slice(finish.as_bytes());
        out.extend_from_slice(b"}]");
        if self.setup.usage {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn say(&mut self, text: &str, out: &mut Vec<u8>) {
        if !self.setup.stream {
            self.text.push_str(text);
            return;
        }
        self.chunk(out, |out| {
            out.extend_from_slice(b"{\"content\":");
            write_string(out, text);
            out.push(b'}');
        });
    }

    /// Says what is thought under the name that servers of open models have for it.
    fn think(&mut self, text: &str, out: &mut Vec<u8>) {
        if !self.setup.stream {
            self.thought.push_str(text);
            return;
        }
        self.chunk(out, |out| {
            out.extend_from_slice(b"{\"reasoning_content\":");
            write_string(out, text);
            out.push(b'}');
        });
    }

    fn call(&mut self, id: &str, name: &str, out: &mut Vec<u8>) {
        let index = self.calls.len();
        self.calls.push(Call { id: id.into(), name: name.into(), arguments: String::new(), any: false });
        if self.setup.stream {
            self.chunk(out, |out| {
                out.extend_from_slice(format!("{{\"tool_calls\":[{{\"index\":{index},").as_bytes());
                write_call(id, name, "", out);
                out.extend_from_slice(b"}]}");
            });
        }
    }

    fn input(&mut self, index: usize, json: &str, out: &mut Vec<u8>) {
        let stream = self.setup.stream;
        let Some(call) = self.calls.get_mut(index).filter(|_| !json.is_empty()) else { return };
        call.any = true;
        if !stream {
            call.arguments.push_str(json);
            return;
        }
        self.chunk(out, |out| {
            let head = format!("{{\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":");
            out.extend_from_slice(head.as_bytes());
            write_string(out, json);
            out.extend_from_slice(b"}}]}");
        });
    }

    /// `finish_reason`.
    const fn finish(&self) -> &'static str {
        match self.why {
            Why::Length => "\"length\"",
            Why::Refused => "\"content_filter\"",
            Why::Done if !self.calls.is_empty() => "\"tool_calls\"",
            Why::Done => "\"stop\"",
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.over = true;
        if !self.setup.stream {
            return self.document(out);
        }
        out.extend_from_slice(&self.front);
        out.extend_from_slice(b"{}");
        self.close_chunk(self.finish(), out);
        if self.setup.usage {
            out.extend_from_slice(b"data: ");
            write_head("chat.completion.chunk", &self.setup, out);
            out.extend_from_slice(b",\"choices\":[],");
            write_usage(&self.usage, out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn document(&self, out: &mut Vec<u8>) {
        write_head("chat.completion", &self.setup, out);
        out.extend_from_slice(b",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
        if self.text.is_empty() && !self.calls.is_empty() {
            out.extend_from_slice(b"null");
        } else {
            write_string(out, &self.text);
        }
        out.extend_from_slice(b",\"refusal\":null");
        if !self.thought.is_empty() {
            out.extend_from_slice(b",\"reasoning_content\":");
            write_string(out, &self.thought);
        }
        for (index, call) in self.calls.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b",\"tool_calls\":[{" } else { b"},{" });
            write_call(&call.id, &call.name, &call.arguments, out);
        }
        if !self.calls.is_empty() {
            out.extend_from_slice(b"}]");
        }
        out.extend_from_slice(b"},\"logprobs\":null,\"finish_reason\":");
        out.extend_from_slice(self.finish().as_bytes());
        out.extend_from_slice(b"}],");
        write_usage(&self.usage, out);
        out.push(b'}');
    }

    /// Tells that there will be no more: without `[DONE]`, so that it does not pass for a whole answer.
    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.over = true;
        let from = out.len();
        write_failure(Dialect::Chat, 0, out, failure);
        if !self.setup.stream {
            // The same object without the frame of an event.
            out.drain(from..from + b"data: ".len());
        }
    }
}

/// Writes `{"id", "object", "created", "model"`.
fn write_head(object: &str, setup: &Setup, out: &mut Vec<u8>) {
    let head = format!(
        "{{\"id\":\"chatcmpl-{:032x}\",\"object\":\"{object}\",\"created\":{},\"model\":",
        setup.call.0, setup.created_s
    );
    out.extend_from_slice(head.as_bytes());
    write_string(out, &setup.model);
}

/// Writes `"id", "type", "function"`.
fn write_call(id: &str, name: &str, arguments: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"id\":");
    write_string(out, id);
    out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
    write_string(out, name);
    out.extend_from_slice(b",\"arguments\":");
    write_string(out, arguments);
    out.push(b'}');
}

fn write_usage(usage: &Usage, out: &mut Vec<u8>) {
    let (read, written) = (read_tokens(usage), usage.output_tokens);
    let text = format!(
        "\"usage\":{{\"prompt_tokens\":{read},\"completion_tokens\":{written},\"total_tokens\":{},\
         \"prompt_tokens_details\":{{\"cached_tokens\":{}}}}}",
        read.saturating_add(written),
        usage.cache_read_tokens
    );
    out.extend_from_slice(text.as_bytes());
}
