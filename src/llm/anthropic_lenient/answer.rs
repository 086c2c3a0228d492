//! Reads an answer in Anthropic's form, as servers write it that do not keep all of its rules.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Field, Kind, Value, elements, fields, fields_at};
use crate::limits;
use crate::llm::foreign::error;
use crate::llm::foreign::stream::{Answer, Each, Frame, Trouble, cut_short, unreadable};
use crate::llm::foreign::text::text_of;
use crate::llm::names::{self, Names};
use crate::llm::said::{Event, Failure, Stop};
use crate::llm::usage::Usage;

/// What an answer is read with, from the translation of its request.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The way back for names of tools.
    pub names: Names,
    /// A number that tells this answer from others of the conversation, for ids of calls.
    pub nonce: u32,
}

/// Reads a stream in pieces of any size.
#[derive(Clone, Debug)]
pub struct StreamReader(Frame<Blocks>);

impl StreamReader {
    /// A reader of one answer.
    pub fn new(reading: Reading) -> Self {
        Self(Frame::new(Blocks { reading, ..Blocks::default() }))
    }

    /// A reader of one answer in which ids of calls are Anthropic's own and stay as they are, and signatures
    /// hold.
    pub(in crate::llm) fn of_own_form() -> Self {
        Self(Frame::new(Blocks { keeps_ids: true, ..Blocks::default() }))
    }

    /// Takes the next bytes and tells what they say.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Event<'_>)) {
        self.0.push(bytes, each);
    }

    /// Takes the end of the bytes: the answer is at its end, or it has been cut short.
    pub fn finish(&mut self, each: &mut dyn FnMut(&Event<'_>)) {
        self.0.finish(each);
    }

    /// Whether the answer is over: bytes after it mean nothing.
    pub fn finished(&self) -> bool {
        self.0.finished()
    }
}

/// What is known of an answer so far.
#[derive(Clone, Debug, Default)]
struct Blocks {
    reading: Reading,
    /// Ids of calls stay as they are, and signatures are told.
    keeps_ids: bool,
    started: bool,
    /// Calls in the order in which they began, at most `limits::CALLS_OF_ANSWER_MAX`.
    calls: Vec<Call>,
    usage: Usage,
    stop: Option<Said>,
    /// Nothing counts any more.
    over: bool,
}

#[derive(Clone, Debug)]
enum Said {
    Plain(Stop<'static>),
    Sequence(Box<str>),
}

/// A call of a tool.
#[derive(Clone, Debug)]
struct Call {
    /// The number of its block.
    block: u64,
    /// The server's id.
    id: String,
    /// The input that stood at its beginning, until another has come in pieces or it has been told.
    input: String,
    ended: bool,
}

/// The members of an event, a document or a block that count.
#[derive(Default)]
struct Members<'d> {
    kind: Cow<'d, str>,
    id: Cow<'d, str>,
    name: Cow<'d, str>,
    model: Cow<'d, str>,
    /// `text`, `thinking` or `partial_json`.
    text: Cow<'d, str>,
    signature: Cow<'d, str>,
    reason: Cow<'d, str>,
    sequence: Option<Cow<'d, str>>,
    index: u64,
    input: Option<Range<usize>>,
    usage: Option<Range<usize>>,
    content: Option<Range<usize>>,
    /// `message`, `content_block` or `delta`.
    inner: Option<Range<usize>>,
    failed: bool,
}

impl<'d> Members<'d> {
    fn take(&mut self, doc: &'d [u8], key: &[u8], value: &Value) {
        match (key, value.kind) {
            (b"type", Kind::String) => self.kind = text_of(doc, value),
            (b"id", Kind::String) => self.id = text_of(doc, value),
            (b"name", Kind::String) => self.name = text_of(doc, value),
            (b"model", Kind::String) => self.model = text_of(doc, value),
            (b"text" | b"thinking" | b"partial_json", Kind::String) => self.text = text_of(doc, value),
            (b"signature", Kind::String) => self.signature = text_of(doc, value),
            (b"stop_reason", Kind::String) => self.reason = text_of(doc, value),
            (b"stop_sequence", Kind::String) => self.sequence = Some(text_of(doc, value)),
            (b"index", Kind::Number) => self.index = value.as_u64(doc).unwrap_or(0),
            (b"input", Kind::Object) => self.input = Some(value.span.clone()),
            (b"usage", Kind::Object) => self.usage = Some(value.span.clone()),
            (b"content", Kind::Array) => self.content = Some(value.span.clone()),
            (b"message" | b"content_block" | b"delta", Kind::Object) => {
                self.inner = Some(value.span.clone());
            }
            (b"error", Kind::Object | Kind::String) => self.failed = true,
            _ => {}
        }
    }

    fn of(doc: &'d [u8]) -> Result<Self, Trouble> {
        let mut members = Self::default();
        fields(doc, |Field { key, value }| {
            members.take(doc, key.raw, &value);
            Ok::<_, Trouble>(())
        })?;
        Ok(members)
    }

    fn at(doc: &'d [u8], span: Range<usize>) -> Result<Self, Trouble> {
        let mut members = Self::default();
        fields_at(doc, span, |Field { key, value }| {
            members.take(doc, key.raw, &value);
            Ok::<_, Trouble>(())
        })?;
        Ok(members)
    }
}

impl Blocks {
    fn read_event(&mut self, name: &[u8], doc: &[u8], each: Each<'_>) -> Result<(), Trouble> {
        let event = Members::of(doc)?;
        let kind = if event.kind.is_empty() { name } else { event.kind.as_bytes() };
        if event.failed || kind == b"error" {
            return Err(Trouble::Failed(error::read(0, doc)));
        }
        let inner = match &event.inner {
            Some(span) => Members::at(doc, span.clone())?,
            None => Members::default(),
        };
        match kind {
            b"message_start" => {
                self.begin(&inner, each);
                self.used(doc, inner.usage, each)?;
            }
            b"content_block_start" => self.block(doc, (event.index, &inner), each)?,
            b"content_block_delta" => self.delta((event.index, &inner), each),
            b"content_block_stop" => self.end_call(event.index, each),
            b"message_delta" => {
                self.stopped(&inner);
                self.used(doc, event.usage.or(inner.usage), each)?;
            }
            b"message_stop" => self.close(each),
            // Pings, and what nobody knows.
            _ => {}
        }
        Ok(())
    }

    fn read_document(&mut self, doc: &[u8], each: Each<'_>) -> Result<(), Trouble> {
        let message = Members::of(doc)?;
        let Some(content) = message.content.clone().filter(|_| !message.failed) else {
            return Err(Trouble::Failed(error::read(0, doc)));
        };
        self.begin(&message, each);
        let mut index = 0;
        elements(doc, content, |block| {
            if block.kind == Kind::Object {
                let members = Members::at(doc, block.span)?;
                self.block(doc, (index, &members), each)?;
                self.end_call(index, each);
            }
            index += 1;
            Ok::<_, Trouble>(())
        })?;
        self.stopped(&message);
        self.used(doc, message.usage, each)?;
        self.close(each);
        Ok(())
    }

    fn begin(&mut self, message: &Members<'_>, each: Each<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            each(&Event::Started { model: &message.model, id: &message.id });
        }
    }

    fn used(&mut self, doc: &[u8], span: Option<Range<usize>>, each: Each<'_>) -> Result<(), Trouble> {
        if let Some(span) = span {
            self.usage.read(doc, span)?;
            if self.usage.seen {
                each(&Event::Usage(self.usage));
            }
        }
        Ok(())
    }

    /// Takes the beginning of a block, or all of it.
    fn block(
        &mut self,
        doc: &[u8],
        (block, members): (u64, &Members<'_>),
        each: Each<'_>,
    ) -> Result<(), Trouble> {
        match &*members.kind {
            "text" if !members.text.is_empty() => each(&Event::Text(&members.text)),
            "thinking" => {
                if !members.text.is_empty() {
                    each(&Event::Thinking(&members.text));
                }
                self.signed(members, each);
            }
            "tool_use" => {
                if members.name.is_empty() || self.calls.len() >= limits::CALLS_OF_ANSWER_MAX {
                    return Err(Trouble::Failed(unreadable()));
                }
                let input = members.input.clone().and_then(|span| doc.get(span)).unwrap_or_default();
                let input = String::from_utf8_lossy(input).into_owned();
                let place = self.calls.len();
                let nonce = self.reading.nonce;
                let taken = members.id.is_empty() || self.calls.iter().any(|call| call.id == *members.id);
                let id = match taken {
                    true => names::made(nonce, place),
                    false if self.keeps_ids => members.id.to_string(),
                    false => names::to_caller(&members.id, nonce),
                };
                let name = self.reading.names.original(&members.name);
                each(&Event::ToolStarted { index: place, id: &id, name });
                self.calls.push(Call { block, id: members.id.to_string(), input, ended: false });
            }
            // What providers run by themselves, and what is sealed, is for nobody here.
            _ => {}
        }
        Ok(())
    }

    fn delta(&mut self, (block, delta): (u64, &Members<'_>), each: Each<'_>) {
        match &*delta.kind {
            "signature_delta" => self.signed(delta, each),
            _ if delta.text.is_empty() => {}
            "text_delta" => each(&Event::Text(&delta.text)),
            "thinking_delta" => each(&Event::Thinking(&delta.text)),
            "input_json_delta" => {
                let open = self.calls.iter_mut().enumerate();
                if let Some((index, call)) = open.rev().find(|(_, call)| call.block == block && !call.ended) {
                    call.input = String::new();
                    each(&Event::ToolInput { index, json: &delta.text });
                }
            }
            _ => {}
        }
    }

    /// Tells of a signature that whoever asks later takes back.
    fn signed(&self, members: &Members<'_>, each: Each<'_>) {
        if self.keeps_ids && !members.signature.is_empty() {
            each(&Event::Signature(&members.signature));
        }
    }

    /// Ends the call of a block.
    fn end_call(&mut self, block: u64, each: Each<'_>) {
        let open = self.calls.iter_mut().enumerate();
        let mut open = open.filter(|(_, call)| call.block == block && !call.ended);
        if let Some((index, call)) = open.next() {
            call.end(index, each);
        }
    }

    fn stopped(&mut self, said: &Members<'_>) {
        let stop = match (&*said.reason, &said.sequence) {
            ("", _) => return,
            ("stop_sequence", Some(text)) if !text.is_empty() => Said::Sequence((&**text).into()),
            ("tool_use", _) => Said::Plain(Stop::ToolUse),
            ("max_tokens" | "length", _) => Said::Plain(Stop::MaxTokens),
            ("refusal", _) => Said::Plain(Stop::Refusal),
            ("model_context_window_exceeded", _) => Said::Plain(Stop::ContextFull),
            _ => Said::Plain(Stop::EndTurn),
        };
        self.stop = Some(stop);
    }

    /// The server's own end.
    fn close(&mut self, each: Each<'_>) {
        for (index, call) in self.calls.iter_mut().enumerate().filter(|(_, call)| !call.ended) {
            call.end(index, each);
        }
        self.over = true;
        each(&Event::Stopped(match &self.stop {
            Some(Said::Plain(stop)) => *stop,
            Some(Said::Sequence(text)) => Stop::Sequence(text),
            None => Stop::EndTurn,
        }));
        each(&Event::Ended);
    }
}

impl Call {
    fn end(&mut self, index: usize, each: Each<'_>) {
        self.ended = true;
        let input = std::mem::take(&mut self.input);
        if !input.is_empty() {
            each(&Event::ToolInput { index, json: &input });
        }
        each(&Event::ToolEnded { index });
    }
}

impl Answer for Blocks {
    fn event(&mut self, name: &[u8], data: &[u8], each: Each<'_>) {
        // Some servers end as those of another dialect do, behind their own end.
        if data == b"[DONE]" || self.over {
            return;
        }
        if let Err(trouble) = self.read_event(name, data, each) {
            self.fail(&trouble.failure(), each);
        }
    }

    fn document(&mut self, doc: &[u8], each: Each<'_>) {
        if let Err(trouble) = self.read_document(doc, each) {
            self.fail(&trouble.failure(), each);
        }
    }

    fn end(&mut self, each: Each<'_>) {
        self.fail(&cut_short(), each);
    }

    fn fail(&mut self, failure: &Failure, each: Each<'_>) {
        if !std::mem::replace(&mut self.over, true) {
            each(&Event::Failed(failure));
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }
}
