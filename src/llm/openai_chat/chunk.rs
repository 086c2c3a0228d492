//! Reads the documents of an answer, chunks of a stream or the whole, and tells what they say.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Field, Kind, Value, elements, fields, fields_at};
use crate::limits;
use crate::llm::foreign::stream::{Each, Trouble, cut_short, unreadable};
use crate::llm::foreign::text::text_of;
use crate::llm::foreign::{counts, error};
use crate::llm::names::{self, Names};
use crate::llm::said::{self, Event, Failure, Stop};

/// What an answer is read with, from the translation of its request.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The way back for names of tools.
    pub names: Names,
    /// Stop sequences that the target was told: some servers say which of them it was.
    pub stops_told: Vec<Box<str>>,
    /// A number that tells this answer from others of the conversation, for ids of calls.
    pub nonce: u32,
}

/// What is known of an answer so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    reading: Reading,
    started: bool,
    calls: Vec<Call>,
    stop: Option<Said>,
    /// Nothing counts any more.
    over: bool,
}

/// Why the model stopped, by its word.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Plain(Stop<'static>),
    /// By the sequence that was told at this place.
    Sequence(usize),
}

/// A call of a tool.
#[derive(Clone, Debug, Default)]
struct Call {
    /// `index`, where there is one.
    index: Option<u64>,
    /// The server's id; empty as long as it has not come.
    id: String,
    /// The name as the target knows it.
    name: String,
    /// Its beginning has been told.
    told: bool,
    /// Input that came before it could be told, <= `limits::HELD_BYTES_MAX`.
    held: String,
}

impl Chunks {
    pub(super) fn new(reading: Reading) -> Self {
        Self { reading, ..Self::default() }
    }

    /// Whether the end or a failure has been told.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Takes one document; `whole` when it is all of an answer.
    pub(super) fn take(&mut self, doc: &[u8], whole: bool, each: Each<'_>) {
        if self.over {
            return;
        }
        if let Err(trouble) = self.read(doc, whole, each) {
            self.fail(&trouble.failure(), each);
        }
    }

    fn read(&mut self, doc: &[u8], whole: bool, each: Each<'_>) -> Result<(), Trouble> {
        let mut top = Top::default();
        fields(doc, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"id", Kind::String) => top.id = text_of(doc, &value),
                (b"model", Kind::String) => top.model = text_of(doc, &value),
                (b"choices", Kind::Array) => top.choices = Some(value.span),
                (b"usage", Kind::Object) => top.usage = Some(value.span),
                (b"error", Kind::Object | Kind::String) => top.error = true,
                (b"object", Kind::String) => top.error |= value.inner(doc) == Some(b"error"),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        if top.error || (whole && top.choices.is_none()) {
            return Err(Trouble::Failed(error::read(0, doc)));
        }
        if !std::mem::replace(&mut self.started, true) {
            each(&Event::Started { model: &top.model, id: &top.id });
        }
        if let Some(span) = top.choices {
            let mut first = true;
            elements(doc, span, |choice| {
                if choice.kind == Kind::Object && std::mem::take(&mut first) {
                    self.choice(doc, choice.span, whole, each)?;
                }
                Ok::<_, Trouble>(())
            })?;
        }
        if let Some(span) = top.usage
            && let Some(usage) = counts::read(doc, span)?
        {
            each(&Event::Usage(usage));
        }
        Ok(())
    }

    /// Reads `{"delta" or "message", "finish_reason", "stop_reason", "usage"}`.
    fn choice(&mut self, doc: &[u8], span: Range<usize>, whole: bool, each: Each<'_>) -> Result<(), Trouble> {
        let (mut said, mut reason, mut stopped, mut usage) = (None, None, None, None);
        let wanted: &[u8] = if whole { b"message" } else { b"delta" };
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (name, Kind::Object) if name == wanted => said = Some(value.span),
                (b"finish_reason", Kind::String) => reason = Some(value),
                (b"stop_reason", Kind::String) => stopped = Some(value),
                (b"usage", Kind::Object) => usage = Some(value.span),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        if let Some(span) = said {
            self.delta(doc, span, each)?;
        }
        if let Some(span) = usage
            && let Some(usage) = counts::read(doc, span)?
        {
            each(&Event::Usage(usage));
        }
        if let Some(reason) = reason {
            self.finish_reason(&text_of(doc, &reason))?;
            let stopped = stopped.map(|value| text_of(doc, &value));
            let told =
                stopped.and_then(|stop| self.reading.stops_told.iter().position(|told| **told == *stop));
            if let (Some(told), Some(Said::Plain(Stop::EndTurn))) = (told, &self.stop) {
                self.stop = Some(Said::Sequence(told));
            }
        }
        Ok(())
    }

    fn finish_reason(&mut self, reason: &str) -> Result<(), Trouble> {
        let stop = match reason.to_ascii_lowercase().as_str() {
            "" => return Ok(()),
            "length" | "max_tokens" | "model_length" | "max_output_tokens" => Stop::MaxTokens,
            "tool_calls" | "function_call" | "tool_use" => Stop::ToolUse,
            "content_filter" | "safety" | "refusal" => Stop::Refusal,
            "error" | "abort" => {
                return Err(Trouble::Failed(Failure::new(
                    said::Kind::Broken,
                    "the provider gave up in the middle of its answer",
                )));
            }
            "insufficient_system_resource" => {
                return Err(Trouble::Failed(Failure::new(
                    said::Kind::Overloaded,
                    "the provider ran out of room in the middle of its answer",
                )));
            }
            _ => Stop::EndTurn,
        };
        self.stop = Some(Said::Plain(stop));
        Ok(())
    }

    /// Reads `{"content", "reasoning_content" or "reasoning", "refusal", "tool_calls", "function_call"}`.
    fn delta(&mut self, doc: &[u8], span: Range<usize>, each: Each<'_>) -> Result<(), Trouble> {
        let (mut content, mut refusal, mut calls, mut old_call) = (None, None, None, None);
        let mut thoughts = [None, None];
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"content", Kind::String | Kind::Array) => content = Some(value),
                (b"reasoning_content", Kind::String) => thoughts[0] = Some(value),
                (b"reasoning", Kind::String) => thoughts[1] = Some(value),
                (b"refusal", Kind::String) => refusal = Some(value),
                (b"tool_calls", Kind::Array) => calls = Some(value.span),
                (b"function_call", Kind::Object) => old_call = Some(value.span),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        // Some servers say the same under both names.
        let thought =
            thoughts.into_iter().flatten().map(|value| text_of(doc, &value)).find(|text| !text.is_empty());
        if let Some(thought) = thought {
            each(&Event::Thinking(&thought));
        }
        if let Some(value) = content {
            self.content(doc, &value, each)?;
        }
        if let Some(value) = refusal {
            let text = text_of(doc, &value);
            if !text.is_empty() {
                each(&Event::Text(&text));
                self.stop.get_or_insert(Said::Plain(Stop::Refusal));
            }
        }
        if let Some(span) = calls {
            elements(doc, span, |call| {
                if call.kind == Kind::Object { self.call(doc, call.span, each) } else { Ok(()) }
            })?;
        }
        if let Some(span) = old_call {
            self.function(doc, span, Part::default(), each)?;
        }
        Ok(())
    }

    /// Reads a text, or `[{"type": "text", "text"}, {"type": "thinking", "thinking": [...]}]`.
    fn content(&self, doc: &[u8], value: &Value, each: Each<'_>) -> Result<(), Trouble> {
        if value.kind == Kind::String {
            let text = text_of(doc, value);
            if !text.is_empty() {
                each(&Event::Text(&text));
            }
            return Ok(());
        }
        elements(doc, value.span.clone(), |part| {
            if part.kind != Kind::Object {
                return Ok(());
            }
            let (mut text, mut thinking) = (None, None);
            fields_at(doc, part.span, |Field { key, value }| {
                match (key.raw, value.kind) {
                    (b"text", Kind::String) => text = Some(value),
                    (b"thinking", Kind::Array | Kind::String) => thinking = Some(value),
                    _ => {}
                }
                Ok::<_, Trouble>(())
            })?;
            if let Some(value) = thinking {
                let mut thoughts = |event: &Event<'_>| {
                    if let Event::Text(text) = event {
                        each(&Event::Thinking(text));
                    }
                };
                self.content(doc, &value, &mut thoughts)?;
            }
            if let Some(value) = text {
                self.content(doc, &value, each)?;
            }
            Ok::<_, Trouble>(())
        })
    }

    /// Reads `{"index", "id", "type", "function": {"name", "arguments"}}`.
    fn call(&mut self, doc: &[u8], span: Range<usize>, each: Each<'_>) -> Result<(), Trouble> {
        let (mut part, mut function) = (Part::default(), None);
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"index", Kind::Number) => part.index = value.as_u64(doc),
                (b"id", Kind::String) => part.id = text_of(doc, &value),
                (b"function", Kind::Object) => function = Some(value.span),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        match function {
            Some(span) => self.function(doc, span, part, each),
            None => self.part(&part, each),
        }
    }

    /// Reads `{"name", "arguments"}`, where arguments are a text, sometimes an object, and sometimes `null`.
    fn function<'d>(
        &mut self,
        doc: &'d [u8],
        span: Range<usize>,
        mut part: Part<'d>,
        each: Each<'_>,
    ) -> Result<(), Trouble> {
        fields_at(doc, span, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"name", Kind::String) => part.name = text_of(doc, &value),
                (b"arguments", Kind::String) => part.input = text_of(doc, &value),
                (b"arguments", Kind::Object) => part.input = String::from_utf8_lossy(value.bytes(doc)),
                _ => {}
            }
            Ok::<_, Trouble>(())
        })?;
        self.part(&part, each)
    }

    /// Adds a part to its call.
    fn part(&mut self, part: &Part<'_>, each: Each<'_>) -> Result<(), Trouble> {
        let Some(place) = self.place_of(part) else {
            if part.is_void() {
                return Ok(());
            }
            return Err(Trouble::Failed(Failure::new(
                said::Kind::Unreadable,
                "the provider calls more tools in one answer than can be held",
            )));
        };
        let Some(call) = self.calls.get_mut(place) else { return Ok(()) };
        call.index = call.index.or(part.index);
        if call.id.is_empty() {
            call.id.push_str(&part.id);
        }
        if !call.told && *part.name != *call.name {
            call.name.push_str(&part.name);
        }
        if call.name.len() > limits::CALL_NAME_BYTES_MAX {
            return Err(Trouble::NotJson);
        }
        if !call.told && !call.id.is_empty() && !call.name.is_empty() {
            self.tell(place, each);
        }
        let Some(call) = self.calls.get_mut(place).filter(|_| !part.input.is_empty()) else { return Ok(()) };
        if call.told {
            each(&Event::ToolInput { index: place, json: &part.input });
            return Ok(());
        }
        if call.held.len() + part.input.len() > limits::CALL_INPUT_BYTES_MAX {
            return Err(Trouble::NotJson);
        }
        call.held.push_str(&part.input);
        Ok(())
    }

    /// Which call a part belongs to; a new one where it begins one. Nothing when there is no place for it.
    fn place_of(&mut self, part: &Part<'_>) -> Option<usize> {
        let last = self.calls.len().checked_sub(1);
        let by_index =
            part.index.and_then(|index| self.calls.iter().rposition(|call| call.index == Some(index)));
        let by_id = || self.calls.iter().rposition(|call| !part.id.is_empty() && *call.id == *part.id);
        let fits = |place: &usize| {
            self.calls.get(*place).is_some_and(|call| {
                // Servers that number all calls 0 tell them apart by their ids, or by nothing but names.
                let same_id = part.id.is_empty() || call.id.is_empty() || *call.id == *part.id;
                let same_name = part.name.is_empty() || !call.told || *call.name == *part.name;
                same_id && (same_name || !part.id.is_empty())
            })
        };
        let known = match part.index {
            Some(_) => by_index.filter(fits).or_else(|| by_index.and_then(|_| by_id())),
            None if !part.id.is_empty() => by_id().or_else(|| last.filter(|place| self.awaits_id(*place))),
            None if part.name.is_empty() => last,
            None => last.filter(|place| self.calls.get(*place).is_some_and(|call| call.name.is_empty())),
        };
        if known.is_some() || part.is_void() || self.calls.len() >= limits::CALLS_OF_ANSWER_MAX {
            return known;
        }
        self.calls.push(Call { index: part.index, ..Call::default() });
        Some(self.calls.len() - 1)
    }

    fn awaits_id(&self, place: usize) -> bool {
        self.calls.get(place).is_some_and(|call| call.id.is_empty() && !call.told)
    }

    /// Tells the beginning of a call, and what was held of its input.
    fn tell(&mut self, place: usize, each: Each<'_>) {
        let earlier = self.calls.get(..place).unwrap_or_default();
        let nonce = self.reading.nonce;
        let Some(call) = self.calls.get(place) else { return };
        let taken = call.id.is_empty() || earlier.iter().any(|other| other.id == call.id);
        let id = if taken { names::made(nonce, place) } else { names::to_caller(&call.id, nonce) };
        each(&Event::ToolStarted { index: place, id: &id, name: self.reading.names.original(&call.name) });
        if !call.held.is_empty() {
            each(&Event::ToolInput { index: place, json: &call.held });
        }
        if let Some(call) = self.calls.get_mut(place) {
            call.told = true;
            call.held = String::new();
        }
    }

    /// The server's own end: `[DONE]`, or the end of the bytes behind a reason to stop.
    pub(super) fn end(&mut self, each: Each<'_>) {
        if self.over {
            return;
        }
        let Some(stop) = self.stop.clone() else {
            return self.fail(&cut_short(), each);
        };
        for place in 0..self.calls.len() {
            let Some(call) = self.calls.get(place) else { continue };
            if call.told || (call.name.is_empty() && call.held.trim().is_empty()) {
                continue;
            }
            if call.name.is_empty() {
                return self.fail(&unreadable(), each);
            }
            self.tell(place, each);
        }
        self.over = true;
        each(&Event::Stopped(match &stop {
            Said::Plain(stop) => *stop,
            Said::Sequence(told) => {
                self.reading.stops_told.get(*told).map_or(Stop::EndTurn, |stop| Stop::Sequence(stop))
            }
        }));
        each(&Event::Ended);
    }

    pub(super) fn fail(&mut self, failure: &Failure, each: Each<'_>) {
        if !std::mem::replace(&mut self.over, true) {
            each(&Event::Failed(failure));
        }
    }
}

/// What stands at the top of a document.
#[derive(Default)]
struct Top<'d> {
    id: Cow<'d, str>,
    model: Cow<'d, str>,
    choices: Option<Range<usize>>,
    usage: Option<Range<usize>>,
    error: bool,
}

/// What one chunk says of a call.
#[derive(Default)]
struct Part<'d> {
    index: Option<u64>,
    id: Cow<'d, str>,
    name: Cow<'d, str>,
    input: Cow<'d, str>,
}

impl Part<'_> {
    fn is_void(&self) -> bool {
        self.id.is_empty() && self.name.is_empty() && self.input.is_empty()
    }
}
