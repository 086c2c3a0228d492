//! Reads what Converse answers, in frames or as one document.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{self, Fault, Field, Kind, Value, elements, fields, fields_at};
use crate::limits;
use crate::llm::bedrock::converse::ORIGIN;
use crate::llm::bedrock::error;
use crate::llm::bedrock::eventstream::{Frame, Frames, Message};
use crate::llm::names;
use crate::llm::openai_chat::Reading;
use crate::llm::said::{self, Event, Failure, Stop};
use crate::llm::signature;
use crate::llm::usage::Usage;

/// Who is told.
type Each<'e> = &'e mut dyn FnMut(&Event<'_>);

/// Reads a stream in pieces of any size.
#[derive(Clone, Debug)]
pub struct ConverseStream {
    frames: Frames,
    answer: Answer,
}

impl ConverseStream {
    /// A reader of one answer.
    pub fn new(reading: Reading) -> Self {
        Self { frames: Frames::default(), answer: Answer { reading, ..Answer::default() } }
    }

    /// Takes the next bytes and tells what they say.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Event<'_>)) {
        let Self { frames, answer } = self;
        if answer.over {
            return;
        }
        let read = frames.push(bytes, &mut |frame| answer.frame(&frame, each));
        if let Err(fault) = read {
            let mut failure = unreadable();
            failure.detail = fault.to_string().into();
            answer.fail(&failure, each);
        }
    }

    /// Takes the end of the bytes: the answer is at its end, or it has been cut short.
    pub fn finish(&mut self, each: &mut dyn FnMut(&Event<'_>)) {
        if self.answer.stopped && self.frames.between() {
            self.answer.end(each);
        }
        let words = "the provider broke off before the end of its answer";
        self.answer.fail(&Failure::new(said::Kind::CutShort, words), each);
    }

    /// Whether the answer is over: bytes after it mean nothing.
    pub const fn finished(&self) -> bool {
        self.answer.over
    }
}

/// Reads the body of an answer with the status 200 and tells what it says: to its end, or to a failure.
pub fn read_answer(body: &[u8], reading: Reading, each: &mut dyn FnMut(&Event<'_>)) {
    let mut answer = Answer { reading, ..Answer::default() };
    if let Err(trouble) = answer.document(body, each) {
        answer.trouble(&trouble, each);
    }
    if answer.stopped {
        answer.end(each);
    }
    answer.fail(&unreadable(), each);
}

/// What is known of an answer so far.
#[derive(Clone, Debug, Default)]
struct Answer {
    reading: Reading,
    started: bool,
    /// Indices of blocks that are calls, <= `limits::CALLS_OF_ANSWER_MAX`.
    calls: Vec<usize>,
    /// The signature of the thoughts under way, <= `limits::SIGNATURE_BYTES_MAX`.
    signature: String,
    /// It has been told why the model stopped.
    stopped: bool,
    over: bool,
}

/// Why a document is not read to its end.
enum Trouble {
    Failed(Failure),
    NotJson,
}

impl From<Fault> for Trouble {
    fn from(_: Fault) -> Self {
        Self::NotJson
    }
}

fn unreadable() -> Failure {
    Failure::new(said::Kind::Unreadable, "the provider answered in a form that cannot be read")
}

impl Answer {
    fn frame(&mut self, frame: &Frame<'_>, each: Each<'_>) {
        if self.over {
            return;
        }
        let read = match frame.message() {
            Message::Event(name) => self.event(name, frame.payload, each),
            Message::Exception(name) => Err(Trouble::Failed(error::read(0, name, frame.payload))),
            Message::Error { code, message } => {
                Err(Trouble::Failed(error::read(500, code, message.as_bytes())))
            }
            Message::Unknown => Err(Trouble::NotJson),
        };
        if let Err(trouble) = read {
            self.trouble(&trouble, each);
        }
    }

    fn trouble(&mut self, trouble: &Trouble, each: Each<'_>) {
        match trouble {
            Trouble::Failed(failure) => self.fail(failure, each),
            Trouble::NotJson => self.fail(&unreadable(), each),
        }
    }

    fn fail(&mut self, failure: &Failure, each: Each<'_>) {
        if !std::mem::replace(&mut self.over, true) {
            each(&Event::Failed(failure));
        }
    }

    fn end(&mut self, each: Each<'_>) {
        if !std::mem::replace(&mut self.over, true) {
            each(&Event::Ended);
        }
    }

    fn start(&mut self, each: Each<'_>) {
        if !std::mem::replace(&mut self.started, true) {
            each(&Event::Started { model: "", id: "" });
        }
    }

    /// Reads the payload of one event of a stream.
    fn event(&mut self, name: &str, doc: &[u8], each: Each<'_>) -> Result<(), Trouble> {
        let (mut index, mut inner, mut reason, mut usage) = (None, None, None, None);
        fields(doc, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"contentBlockIndex", Kind::Number) => index = value.as_u64(doc),
                (b"start" | b"delta", Kind::Object) => inner = Some(value.span),
                (b"stopReason", Kind::String) => reason = Some(value),
                (b"usage", Kind::Object) => usage = Some(value.span),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        let index = index.and_then(|index| usize::try_from(index).ok()).unwrap_or(0);
        match (name, inner) {
            ("messageStart", _) => self.start(each),
            ("contentBlockStart" | "contentBlockDelta", Some(span)) => {
                self.start(each);
                self.block(doc, span, index, each)?;
            }
            ("contentBlockStop", _) => {
                self.sign(each);
                if self.calls.contains(&index) {
                    each(&Event::ToolEnded { index });
                }
            }
            ("messageStop", _) => {
                self.start(each);
                let reason = reason.ok_or(Trouble::NotJson)?;
                self.stop(&text_of(doc, &reason), each)?;
            }
            ("metadata", _) => {
                if let Some(span) = usage {
                    each(&Event::Usage(usage_of(doc, span)?));
                }
                if self.stopped {
                    self.end(each);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads a start, a delta, or a block of a document: `{"text" | "toolUse" | "reasoningContent": ...}`.
    fn block(&mut self, doc: &[u8], span: Range<usize>, index: usize, each: Each<'_>) -> Result<(), Trouble> {
        fields_at(doc, span, |Field { key, value }| match (key.raw, value.kind) {
            (b"text", Kind::String) => {
                tell_text(&text_of(doc, &value), each);
                Ok(())
            }
            (b"toolUse", Kind::Object) => self.tool(doc, value.span, index, each),
            (b"reasoningContent", Kind::Object) => self.reasoning(doc, value.span, each),
            (b"citationsContent", Kind::Object) => cited(doc, value.span, each),
            _ => Ok(()),
        })
    }

    /// Reads `{"toolUseId", "name"}` of a start, `{"input": "..."}` of a delta, all three of a document,
    /// where the input is an object.
    fn tool(&mut self, doc: &[u8], span: Range<usize>, index: usize, each: Each<'_>) -> Result<(), Trouble> {
        let (mut id, mut name, mut input) = (None, None, None);
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"toolUseId", Kind::String) => id = Some(text_of(doc, &value)),
                (b"name", Kind::String) => name = Some(text_of(doc, &value)),
                (b"input", Kind::String) => input = Some(text_of(doc, &value)),
                (b"input", Kind::Object) => input = Some(String::from_utf8_lossy(value.bytes(doc))),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        if let Some(name) = name {
            let full = self.calls.len() >= limits::CALLS_OF_ANSWER_MAX;
            if full || self.calls.contains(&index) || name.len() > limits::CALL_NAME_BYTES_MAX {
                return Err(Trouble::NotJson);
            }
            self.calls.push(index);
            let nonce = self.reading.nonce;
            let id = match id.filter(|id| !id.is_empty()) {
                Some(id) => names::to_caller(&id, nonce),
                None => names::made(nonce, index),
            };
            each(&Event::ToolStarted { index, id: &id, name: self.reading.names.original(&name) });
        }
        let Some(json) = input.filter(|json| !json.is_empty()) else { return Ok(()) };
        if !self.calls.contains(&index) {
            return Err(Trouble::NotJson);
        }
        each(&Event::ToolInput { index, json: &json });
        Ok(())
    }

    /// Reads `{"text" | "signature"}` of a delta, `{"reasoningText": {"text", "signature"}}` of a document.
    fn reasoning(&mut self, doc: &[u8], span: Range<usize>, each: Each<'_>) -> Result<(), Trouble> {
        let mut whole = None;
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"text", Kind::String) => {
                    let text = text_of(doc, &value);
                    if !text.is_empty() {
                        each(&Event::Thinking(&text));
                    }
                }
                (b"signature", Kind::String) => {
                    let text = text_of(doc, &value);
                    if self.signature.len() + text.len() > limits::SIGNATURE_BYTES_MAX / 2 {
                        return Err(Trouble::NotJson);
                    }
                    self.signature.push_str(&text);
                }
                (b"reasoningText", Kind::Object) => whole = Some(value.span),
                _ => {}
            }
            Ok(())
        })?;
        match whole {
            Some(span) => self.reasoning(doc, span, each),
            None => Ok(()),
        }
    }

    /// Tells the signature of the thoughts that are over, so that they can go back to their model.
    fn sign(&mut self, each: Each<'_>) {
        if !self.signature.is_empty() {
            let own = std::mem::take(&mut self.signature);
            each(&Event::Signature(&signature::tag(ORIGIN, own.as_bytes())));
        }
    }

    fn stop(&mut self, reason: &str, each: Each<'_>) -> Result<(), Trouble> {
        self.sign(each);
        let failed = |words: &'static str| Err(Trouble::Failed(Failure::new(said::Kind::Broken, words)));
        let stop = match reason {
            "tool_use" => Stop::ToolUse,
            "max_tokens" => Stop::MaxTokens,
            // Which of them it was is not said.
            "stop_sequence" => match self.reading.stops_told.as_slice() {
                [only] => Stop::Sequence(only),
                _ => Stop::EndTurn,
            },
            "guardrail_intervened" | "content_filtered" => Stop::Refusal,
            "model_context_window_exceeded" => Stop::ContextFull,
            "malformed_model_output" | "malformed_tool_use" => {
                return failed("the model wrote what the provider could not read");
            }
            _ => Stop::EndTurn,
        };
        each(&Event::Stopped(stop));
        self.stopped = true;
        Ok(())
    }

    /// Reads `{"output": {"message": {"content": [...]}}, "stopReason", "usage"}`.
    fn document(&mut self, doc: &[u8], each: Each<'_>) -> Result<(), Trouble> {
        let (mut message, mut reason, mut usage) = (None, None, None);
        fields(doc, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"output", Kind::Object) => {
                    fields_at(doc, value.span, |Field { key, value }| {
                        if (key.raw, value.kind) == (b"message", Kind::Object) {
                            message = Some(value.span);
                        }
                        Ok::<_, Trouble>(())
                    })?;
                }
                (b"stopReason", Kind::String) => reason = Some(value),
                (b"usage", Kind::Object) => usage = Some(value.span),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        let (Some(message), Some(reason)) = (message, reason) else { return Err(Trouble::NotJson) };
        self.start(each);
        fields_at(doc, message, |Field { key, value }| {
            if (key.raw, value.kind) != (b"content", Kind::Array) {
                return Ok(());
            }
            let mut index = 0;
            elements(doc, value.span, |block| {
                if block.kind == Kind::Object {
                    self.block(doc, block.span, index, each)?;
                    self.sign(each);
                }
                index += 1;
                Ok::<_, Trouble>(())
            })
        })?;
        self.stop(&text_of(doc, &reason), each)?;
        if let Some(span) = usage {
            each(&Event::Usage(usage_of(doc, span)?));
        }
        Ok(())
    }
}

fn tell_text(text: &str, each: Each<'_>) {
    if !text.is_empty() {
        each(&Event::Text(text));
    }
}

/// Text with its sources: `{"content": [{"text"}], ...}`.
fn cited(doc: &[u8], span: Range<usize>, each: Each<'_>) -> Result<(), Trouble> {
    fields_at(doc, span, |Field { key, value }| {
        if (key.raw, value.kind) != (b"content", Kind::Array) {
            return Ok(());
        }
        elements(doc, value.span, |part| {
            if part.kind != Kind::Object {
                return Ok(());
            }
            fields_at(doc, part.span, |Field { key, value }| {
                if (key.raw, value.kind) == (b"text", Kind::String) {
                    tell_text(&text_of(doc, &value), each);
                }
                Ok::<_, Trouble>(())
            })
        })
    })
}

/// Reads `{"inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails"}`,
/// where tokens of the cache are not among those of the input.
fn usage_of(doc: &[u8], span: Range<usize>) -> Result<Usage, Trouble> {
    let mut usage = Usage { seen: true, ..Usage::default() };
    let (mut written, mut long) = (0, 0);
    fields_at(doc, span, |Field { key, value }| {
        let number = value.as_u64(doc).unwrap_or(0);
        match key.raw {
            b"inputTokens" => usage.input_tokens = number,
            b"outputTokens" => usage.output_tokens = number,
            b"cacheReadInputTokens" => usage.cache_read_tokens = number,
            b"cacheWriteInputTokens" => written = number,
            b"cacheDetails" if value.kind == Kind::Array => elements(doc, value.span, |detail| {
                if detail.kind == Kind::Object {
                    long += long_of(doc, detail.span)?;
                }
                Ok::<_, Trouble>(())
            })?,
            _ => {}
        }
        Ok::<_, Trouble>(())
    })?;
    usage.cache_write_1h_tokens = written.min(long);
    usage.cache_write_5m_tokens = written - usage.cache_write_1h_tokens;
    Ok(usage)
}

/// Reads `{"ttl", "inputTokens"}`: the tokens, when they are kept for an hour.
fn long_of(doc: &[u8], span: Range<usize>) -> Result<u64, Trouble> {
    let (mut tokens, mut hour) = (0, false);
    fields_at(doc, span, |Field { key, value }| {
        match key.raw {
            b"ttl" => hour = value.inner(doc) == Some(b"1h"),
            b"inputTokens" => tokens = value.as_u64(doc).unwrap_or(0),
            _ => {}
        }
        Ok::<_, Trouble>(())
    })?;
    Ok(if hour { tokens } else { 0 })
}

/// The text of a string; what is no text in it becomes U+FFFD.
fn text_of<'d>(doc: &'d [u8], value: &Value) -> Cow<'d, str> {
    let raw = value.inner(doc).unwrap_or_default();
    json::text(raw).unwrap_or_else(|_| String::from_utf8_lossy(raw))
}
