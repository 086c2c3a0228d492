//! Writes an answer of Responses, as a stream of events or as one document.

use crate::json::write_string;
use crate::limits;
use crate::llm::inward::Dialect;
use crate::llm::inward::error::write_failure;
use crate::llm::inward::thoughts;
use crate::llm::inward::voice::{Setup, Why, read_tokens};
use crate::llm::said::{Event, Failure, Kind};
use crate::llm::usage::Usage;

/// An answer in the making.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    setup: Setup,
    begun: bool,
    over: bool,
    /// The number of the next event.
    number: u64,
    /// Items that are complete, as written, with commas between: the last event has all of them.
    output: Vec<u8>,
    /// How many these are.
    items: usize,
    /// The item that is open.
    open: Option<Item>,
    /// Its place as events about it say it, written once: they are many.
    place: String,
    usage: Usage,
    why: Why,
}

#[derive(Clone, Debug)]
enum Item {
    Message(String),
    Thought { text: String, signature: String },
    Call { index: usize, id: Box<str>, name: Box<str>, arguments: String },
}

impl Writer {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            setup,
            begun: false,
            over: false,
            number: 0,
            output: Vec::new(),
            items: 0,
            open: None,
            place: String::new(),
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
            Event::Signature(signed) => self.sign(signed, out),
            Event::ToolStarted { index, id, name } => {
                self.close(out);
                let (id, name) = ((*id).into(), (*name).into());
                self.open(Item::Call { index: *index, id, name, arguments: String::new() }, out);
            }
            Event::ToolInput { index, json } => self.input(*index, json, out),
            Event::ToolEnded { index } => {
                if matches!(&self.open, Some(Item::Call { index: open, .. }) if open == index) {
                    self.close(out);
                }
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Stopped(stop) => self.why = Why::of(*stop),
            Event::Ended => self.end(out),
            Event::Failed(failure) => self.fail(failure, out),
            Event::Searched(_) | Event::Compacted(_) => {}
        }
        let held = self.output.len() + self.open.as_ref().map_or(0, Item::bytes);
        if held > limits::FOREIGN_ANSWER_BYTES_MAX && !self.over {
            self.fail(&Failure::new(Kind::Unreadable, "the answer of the provider is too long"), out);
        }
    }

    /// Writes an event whose members `members` writes, each with a comma in front.
    fn event(&mut self, kind: &str, out: &mut Vec<u8>, members: impl FnOnce(&Self, &mut Vec<u8>)) {
        if !self.setup.stream {
            return;
        }
        let number = self.number.to_string();
        for piece in ["event: ", kind, "\ndata: {\"type\":\"", kind, "\",\"sequence_number\":", &number] {
            out.extend_from_slice(piece.as_bytes());
        }
        members(self, out);
        out.extend_from_slice(b"}\n\n");
        self.number += 1;
    }

    /// The same for what stands at the place of the open item.
    fn event_of_item(&mut self, kind: &str, (front, text, end): (&str, &str, &str), out: &mut Vec<u8>) {
        self.event(kind, out, |writer, out| {
            out.extend_from_slice(writer.place.as_bytes());
            out.extend_from_slice(front.as_bytes());
            write_string(out, text);
            out.extend_from_slice(end.as_bytes());
        });
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        for kind in ["response.created", "response.in_progress"] {
            self.event(kind, out, |writer, out| {
                out.extend_from_slice(b",\"response\":");
                writer.response("in_progress", out);
            });
        }
    }

    fn open(&mut self, item: Item, out: &mut Vec<u8>) {
        let (prefix, call, place) = (item.prefix(), self.setup.call.0, self.items);
        self.place = format!(",\"item_id\":\"{prefix}_{call:032x}_{place}\",\"output_index\":{place}");
        self.open = Some(item);
        self.event("response.output_item.added", out, |writer, out| {
            out.extend_from_slice(format!(",\"output_index\":{},\"item\":", writer.items).as_bytes());
            writer.item("in_progress", out);
        });
        if matches!(self.open, Some(Item::Message(_))) {
            let part = (",\"content_index\":0,\"part\":{\"type\":\"output_text\",\"text\":", "", PART_END);
            self.event_of_item("response.content_part.added", part, out);
        }
    }

    fn say(&mut self, text: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Item::Message(_))) {
            self.close(out);
            self.open(Item::Message(String::new()), out);
        }
        if let Some(Item::Message(so_far)) = &mut self.open {
            so_far.push_str(text);
        }
        let delta = (",\"content_index\":0,\"delta\":", text, ",\"logprobs\":[]");
        self.event_of_item("response.output_text.delta", delta, out);
    }

    fn think(&mut self, more: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Item::Thought { .. })) {
            self.close(out);
            self.open(Item::Thought { text: String::new(), signature: String::new() }, out);
        }
        let Some(Item::Thought { text, .. }) = &mut self.open else { return };
        let first = text.is_empty();
        text.push_str(more);
        if first {
            let part = (",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":", "", "}");
            self.event_of_item("response.reasoning_summary_part.added", part, out);
        }
        let delta = (",\"summary_index\":0,\"delta\":", more, "");
        self.event_of_item("response.reasoning_summary_text.delta", delta, out);
    }

    /// Ends a thought by its signature; what is thought next is another one.
    fn sign(&mut self, signed: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Item::Thought { .. })) {
            self.close(out);
            self.open(Item::Thought { text: String::new(), signature: String::new() }, out);
        }
        if let Some(Item::Thought { signature, .. }) = &mut self.open {
            signed.clone_into(signature);
        }
        self.close(out);
    }

    fn input(&mut self, index: usize, json: &str, out: &mut Vec<u8>) {
        match &mut self.open {
            Some(Item::Call { index: open, arguments, .. }) if *open == index => arguments.push_str(json),
            _ => return,
        }
        self.event_of_item("response.function_call_arguments.delta", (",\"delta\":", json, ""), out);
    }

    /// Closes the item that is open.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(mut item) = self.open.take() else { return };
        if let Item::Call { arguments, .. } = &mut item
            && arguments.trim().is_empty()
        {
            *arguments = "{}".to_owned();
        }
        let said = match &item {
            Item::Message(text) | Item::Thought { text, .. } => text.clone(),
            Item::Call { arguments, .. } => arguments.clone(),
        };
        let events = item.ends(&said);
        self.open = Some(item);
        for (kind, front, end) in events {
            self.event_of_item(kind, (front, &said, end), out);
        }
        let mut whole = Vec::with_capacity(said.len() + 160);
        self.item("completed", &mut whole);
        self.event("response.output_item.done", out, |writer, out| {
            out.extend_from_slice(format!(",\"output_index\":{},\"item\":", writer.items).as_bytes());
            out.extend_from_slice(&whole);
        });
        self.open = None;
        if self.items > 0 {
            self.output.push(b',');
        }
        self.output.extend_from_slice(&whole);
        self.items += 1;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.close(out);
        self.over = true;
        let (kind, status) = match self.why {
            Why::Done => ("response.completed", "completed"),
            Why::Length | Why::Refused => ("response.incomplete", "incomplete"),
        };
        self.event(kind, out, |writer, out| {
            out.extend_from_slice(b",\"response\":");
            writer.response(status, out);
        });
        if !self.setup.stream {
            self.response(status, out);
        }
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        self.over = true;
        if self.setup.stream {
            return write_failure(Dialect::Responses, self.number, out, failure);
        }
        out.extend_from_slice(b"{\"error\":{\"type\":\"server_error\",\"message\":");
        write_string(out, &failure.message);
        out.extend_from_slice(b",\"param\":null,\"code\":null}}");
    }

    /// Writes the item that is open.
    fn item(&self, status: &str, out: &mut Vec<u8>) {
        let (call, place) = (self.setup.call.0, self.items);
        match &self.open {
            None => out.extend_from_slice(b"null"),
            Some(item @ Item::Message(text)) => {
                let head = format!(
                    "{{\"id\":\"{}_{call:032x}_{place}\",\"type\":\"message\",\"status\":\"{status}\",\
                     \"role\":\"assistant\",\"content\":[",
                    item.prefix()
                );
                out.extend_from_slice(head.as_bytes());
                if status == "completed" {
                    out.extend_from_slice(b"{\"type\":\"output_text\",\"text\":");
                    write_string(out, text);
                    out.extend_from_slice(PART_END.as_bytes());
                }
                out.extend_from_slice(b"]}");
            }
            Some(item @ Item::Thought { text, signature }) => {
                let head = format!(
                    "{{\"id\":\"{}_{call:032x}_{place}\",\"type\":\"reasoning\",\"status\":\"{status}\",\
                     \"summary\":[",
                    item.prefix()
                );
                out.extend_from_slice(head.as_bytes());
                if status == "completed" && !text.is_empty() {
                    out.extend_from_slice(b"{\"type\":\"summary_text\",\"text\":");
                    write_string(out, text);
                    out.push(b'}');
                }
                out.push(b']');
                if let Some(sealed) = self.setup.seals.then(|| thoughts::seal(text, signature)).flatten() {
                    out.extend_from_slice(b",\"encrypted_content\":");
                    write_string(out, &sealed);
                }
                out.push(b'}');
            }
            Some(item @ Item::Call { id, name, arguments, .. }) => {
                let head = format!(
                    "{{\"id\":\"{}_{call:032x}_{place}\",\"type\":\"function_call\",\
                     \"status\":\"{status}\",\"call_id\":",
                    item.prefix()
                );
                out.extend_from_slice(head.as_bytes());
                write_string(out, id);
                out.extend_from_slice(b",\"name\":");
                write_string(out, name);
                out.extend_from_slice(b",\"arguments\":");
                write_string(out, arguments);
                out.push(b'}');
            }
        }
    }

    /// Writes the response as it is now.
    fn response(&self, status: &str, out: &mut Vec<u8>) {
        let head = format!(
            "{{\"id\":\"resp_{:032x}\",\"object\":\"response\",\"created_at\":{},\"status\":\"{status}\",\
             \"error\":null,\"incomplete_details\":{},\"instructions\":null,\"metadata\":{{}},\"model\":",
            self.setup.call.0,
            self.setup.created_s,
            match self.why {
                Why::Length if status == "incomplete" => "{\"reason\":\"max_output_tokens\"}",
                Why::Refused if status == "incomplete" => "{\"reason\":\"content_filter\"}",
                _ => "null",
            }
        );
        out.extend_from_slice(head.as_bytes());
        write_string(out, &self.setup.model);
        out.extend_from_slice(b",\"output\":[");
        out.extend_from_slice(&self.output);
        out.extend_from_slice(
            b"],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"store\":false,\
              \"temperature\":null,\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":null,\"usage\":",
        );
        if status == "in_progress" {
            out.extend_from_slice(b"null}");
            return;
        }
        let (read, written) = (read_tokens(&self.usage), self.usage.output_tokens);
        let usage = format!(
            "{{\"input_tokens\":{read},\"input_tokens_details\":{{\"cached_tokens\":{}}},\
             \"output_tokens\":{written},\"output_tokens_details\":{{\"reasoning_tokens\":0}},\
             \"total_tokens\":{}}}}}",
            self.usage.cache_read_tokens,
            read.saturating_add(written)
        );
        out.extend_from_slice(usage.as_bytes());
    }
}

/// What stands behind the text of a part.
const PART_END: &str = ",\"annotations\":[],\"logprobs\":[]}";

impl Item {
    /// What its id begins with.
    const fn prefix(&self) -> &'static str {
        match self {
            Self::Message(_) => "msg",
            Self::Thought { .. } => "rs",
            Self::Call { .. } => "fc",
        }
    }

    /// The events before its end: what they are called, and what stands around all that was `said`.
    fn ends(&self, said: &str) -> Vec<(&'static str, &'static str, &'static str)> {
        match self {
            Self::Message(_) => vec![
                ("response.output_text.done", ",\"content_index\":0,\"text\":", ",\"logprobs\":[]"),
                (
                    "response.content_part.done",
                    ",\"content_index\":0,\"part\":{\"type\":\"output_text\",\"text\":",
                    PART_END,
                ),
            ],
            Self::Thought { .. } if said.is_empty() => Vec::new(),
            Self::Thought { .. } => vec![
                ("response.reasoning_summary_text.done", ",\"summary_index\":0,\"text\":", ""),
                (
                    "response.reasoning_summary_part.done",
                    ",\"summary_index\":0,\"part\":{\"type\":\"summary_text\",\"text\":",
                    "}",
                ),
            ],
            Self::Call { .. } => {
                vec![("response.function_call_arguments.done", ",\"arguments\":", "")]
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Message(text) => text.len(),
            Self::Thought { text, signature } => text.len() + signature.len(),
            Self::Call { arguments, .. } => arguments.len(),
        }
    }
}
