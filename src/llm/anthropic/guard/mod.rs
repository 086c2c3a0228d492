//! Makes what a provider's safeguards say of the uses of tools stricter, and nothing else: where somebody
//! denies a use that the answer calls `not_flagged`, the answer calls it `flagged`.
//!
//! ```text
//! message_delta {"delta": {"safeguard_results": [{"status": {"tool_uses": {ID: {"outcome": ...}}}}]}}
//! ```
//!
//! In an answer that is one document `safeguard_results` stands at the top. What takes the place of
//! `"not_flagged"` has as many bytes, with blanks at its end, so lengths and frames stay as they are. Nothing
//! is added where the answer says nothing of a use.
//!
//! A stream passes unchanged and at once until a use is denied; from there on the one event that can tell of
//! it is held until it is whole. A document is held until it is whole. Where an answer cannot be read, or
//! says it before the use that it is about, it must not go on: [`Blind`].

use std::ops::Range;

use memchr::memchr2;

use crate::http::sse::{Piece, Splitter};
use crate::json::{Fault, Field, Kind, Value, elements, fields, fields_at, text, text_pieces};
use crate::limits;
use crate::llm::action::Block;

mod asked;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod tests;

pub use asked::{Asked, asked};

/// Says which uses of tools are denied.
pub trait Judge {
    /// Whether a use of this tool may be denied; the inputs of others are not gathered.
    fn concerns(&mut self, tool: &str) -> bool;

    /// Whether this use is denied. `input` is JSON; nothing when it is not known in whole.
    fn denies(&mut self, id: &str, tool: &str, input: Option<&[u8]>) -> bool;

    /// The answer has called this use `not_flagged`, and now calls it `flagged`.
    fn flagged(&mut self, id: &str);
}

/// The answer can no longer be made to say what it has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the safeguards said of a denied use of a tool could not be changed")]
pub struct Blind;

/// What becomes of bytes that were shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// They pass as they are.
    Through,
    /// These leave in their place; the others are held.
    Instead(Vec<u8>),
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Server-sent events.
    Events,
    /// One JSON document.
    Document,
}

/// Reads one answer in pieces of any size.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Whether anything may be changed; else it only looks.
    enforce: bool,
    form: Form,
    splitter: Splitter,
    state: State,
    /// A use has been denied, so events are looked at before they leave.
    holding: bool,
    /// The event, or the document, that is held.
    held: Vec<u8>,
    /// The document was too long to look at, and has passed.
    passed: bool,
}

impl Guard {
    /// A guard of an answer; without `enforce` it only looks, and every byte passes.
    pub fn new(form: Form, enforce: bool) -> Self {
        Self {
            enforce,
            form,
            splitter: Splitter::default(),
            state: State::default(),
            holding: false,
            held: Vec::new(),
            passed: false,
        }
    }

    /// Looks at the next bytes of the answer.
    ///
    /// # Errors
    /// [`Blind`]: nothing more of the answer may leave.
    pub fn push(&mut self, bytes: &[u8], judge: &mut dyn Judge) -> Result<Flow, Blind> {
        match self.form {
            Form::Events => self.events(bytes, judge),
            Form::Document => self.document(bytes),
        }
    }

    /// The answer is whole: what of it is still held.
    ///
    /// # Errors
    /// As [`Guard::push`].
    pub fn finish(&mut self, judge: &mut dyn Judge) -> Result<Vec<u8>, Blind> {
        let mut held = std::mem::take(&mut self.held);
        if self.form == Form::Events {
            // Half an event is none, and whoever reads it drops it.
            return Ok(Vec::new());
        }
        if self.passed || held.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.state.read_document(&held, judge);
        if self.enforce {
            read.map_err(|_unread| Blind)?;
            if self.state.armed() {
                self.state.change(&mut held, judge)?;
            }
            return Ok(held);
        }
        Ok(Vec::new())
    }

    fn document(&mut self, bytes: &[u8]) -> Result<Flow, Blind> {
        if self.held.len() + bytes.len() > limits::GUARDED_ANSWER_BYTES_MAX {
            self.passed = true;
            self.held = Vec::new();
        }
        if self.passed {
            return if self.enforce { Err(Blind) } else { Ok(Flow::Through) };
        }
        self.held.extend_from_slice(bytes);
        Ok(if self.enforce { Flow::Instead(Vec::new()) } else { Flow::Through })
    }

    fn events(&mut self, bytes: &[u8], judge: &mut dyn Judge) -> Result<Flow, Blind> {
        // What leaves is gathered only once something has been denied.
        let mut out = self.holding.then(Vec::new);
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let end = memchr2(b'\n', b'\r', rest).map_or(rest.len(), |end| end + 1);
            let line = rest.get(..end).unwrap_or(rest);
            at += line.len();
            let state = &mut self.state;
            self.splitter.push(line, |piece| state.take(piece, judge));
            if !self.enforce {
                continue;
            }
            if state.late {
                return Err(Blind);
            }
            match &mut out {
                None if state.armed() => {
                    self.holding = true;
                    out = Some(bytes.get(..at).unwrap_or(bytes).to_vec());
                }
                None => {}
                Some(out) => self.hold(line, out, judge)?,
            }
        }
        Ok(out.map_or(Flow::Through, Flow::Instead))
    }

    /// Holds the bytes of an event that may have to be changed, and lets go what has not.
    fn hold(&mut self, line: &[u8], out: &mut Vec<u8>, judge: &mut dyn Judge) -> Result<(), Blind> {
        self.held.extend_from_slice(line);
        if self.splitter.between_events() {
            if self.state.ended.take().is_some_and(Event::may_tell) {
                let mut held = std::mem::take(&mut self.held);
                self.state.change_event(&mut held, judge)?;
                self.held = held;
            }
            out.append(&mut self.held);
        } else if !self.state.event.may_tell() {
            out.append(&mut self.held);
        } else if self.held.len() > limits::GUARDED_EVENT_BYTES_MAX {
            return Err(Blind);
        }
        Ok(())
    }
}

/// What an event is to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Event {
    /// No name has come yet.
    #[default]
    Unnamed,
    BlockStart,
    BlockDelta,
    BlockStop,
    /// Of the whole message.
    Delta,
    Other,
}

impl Event {
    fn of(name: &[u8]) -> Self {
        match name {
            b"content_block_start" => Self::BlockStart,
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_stop" => Self::BlockStop,
            b"message_delta" => Self::Delta,
            _ => Self::Other,
        }
    }

    /// Whether it may say what the safeguards have found.
    fn may_tell(self) -> bool {
        matches!(self, Self::Unnamed | Self::Delta)
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    event: Event,
    /// The event that has just ended.
    ended: Option<Event>,
    /// Data of the event under way has passed.
    has_data: bool,
    /// The data, where it is looked at, <= `limits::JUDGED_INPUT_BYTES_MAX`.
    data: Vec<u8>,
    too_long: bool,
    /// Uses under way, <= `limits::JUDGED_USES_MAX`.
    open: Vec<Open>,
    /// Ids of the uses that are denied, <= `limits::JUDGED_USES_MAX`.
    denied: Vec<Box<str>>,
    /// There were more than can be told apart, so every use counts as denied.
    all_denied: bool,
    /// The event about the whole message has passed.
    told: bool,
    /// A use was denied after that, or cannot be changed any more.
    late: bool,
}

/// A use under way.
#[derive(Clone, Debug)]
struct Open {
    index: Option<u64>,
    id: Box<str>,
    tool: Box<str>,
    input: Vec<u8>,
    /// The input comes by deltas, and takes the place of that of the block.
    streamed: bool,
    /// A part of it could not be read.
    unknown: bool,
}

impl State {
    /// Whether something has to be changed before it leaves.
    fn armed(&self) -> bool {
        !self.denied.is_empty() || self.all_denied
    }

    fn take(&mut self, piece: Piece<'_>, judge: &mut dyn Judge) {
        match piece {
            Piece::Name(name) => {
                self.event = Event::of(name);
                if self.event == Event::Delta {
                    // What has not ended by now is judged as it is: nobody knows the rest.
                    for open in std::mem::take(&mut self.open) {
                        self.settle(open, false, judge);
                    }
                    self.late |= self.has_data && self.armed();
                }
            }
            Piece::Data(data) => {
                self.has_data = true;
                let wanted = match self.event {
                    Event::Unnamed | Event::BlockStart | Event::BlockStop => true,
                    Event::BlockDelta => !self.open.is_empty(),
                    Event::Delta | Event::Other => false,
                };
                if !wanted || self.too_long {
                } else if self.data.len() + data.len() > limits::JUDGED_INPUT_BYTES_MAX {
                    self.too_long = true;
                } else {
                    self.data.extend_from_slice(data);
                }
            }
            Piece::End(_) => {
                match self.event {
                    Event::BlockStart => self.begin_block(judge),
                    Event::BlockDelta => self.add_input(),
                    Event::BlockStop => self.end_block(judge),
                    Event::Delta => self.told = true,
                    Event::Unnamed | Event::Other => {}
                }
                self.ended = Some(self.event);
                self.clear();
            }
            Piece::Void => self.clear(),
            Piece::Id(_) | Piece::Retry(_) => {}
        }
    }

    fn clear(&mut self) {
        self.event = Event::Unnamed;
        self.has_data = false;
        self.data.clear();
        self.too_long = false;
    }

    /// Reads `{"index", "content_block"}`.
    fn begin_block(&mut self, judge: &mut dyn Judge) {
        let doc = std::mem::take(&mut self.data);
        let (mut index, mut block) = (None, None);
        let read: Result<(), Fault> = fields(&doc, |Field { key, value }| {
            match &*text(key.raw)? {
                "index" => index = value.as_u64(&doc),
                "content_block" if value.kind == Kind::Object => block = Some(value),
                _ => {}
            }
            Ok(())
        });
        let begun = match block {
            Some(block) if read.is_ok() && !self.too_long => begin(&doc, &block, judge),
            _ => Err(Fault::Trailing { at: 0 }),
        };
        match begun {
            Ok(Some(open)) => {
                let same = self.open.iter().position(|open| open.index == index);
                if let Some(earlier) = same.map(|place| self.open.remove(place)) {
                    self.settle(earlier, true, judge);
                }
                if self.open.len() < limits::JUDGED_USES_MAX {
                    self.open.push(Open { index, ..open });
                } else {
                    self.deny_all();
                }
            }
            Ok(None) => {}
            // It may have been the use of a tool.
            Err(_) => self.deny_all(),
        }
        self.data = doc;
    }

    /// Reads `{"index", "delta": {"partial_json"}}`.
    fn add_input(&mut self) {
        let doc = self.data.as_slice();
        let (mut index, mut piece) = (None, None);
        let read: Result<(), Fault> = fields(doc, |Field { key, value }| {
            match &*text(key.raw)? {
                "index" => index = value.as_u64(doc),
                "delta" if value.kind == Kind::Object => fields_at(doc, value.span, |inner| {
                    if text(inner.key.raw)? == "partial_json" {
                        piece = inner.value.inner(doc);
                    }
                    Ok::<_, Fault>(())
                })?,
                _ => {}
            }
            Ok(())
        });
        if read.is_err() || self.too_long {
            // Whose it is cannot be told.
            self.open.iter_mut().for_each(|open| open.unknown = true);
            return;
        }
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else { return };
        let Some(piece) = piece else { return };
        if !open.streamed && !piece.is_empty() {
            open.input.clear();
            open.streamed = true;
        }
        let room = limits::JUDGED_INPUT_BYTES_MAX;
        let fed = text_pieces(piece, |text| {
            if open.input.len() + text.len() > room {
                open.unknown = true;
            } else {
                open.input.extend_from_slice(text.as_bytes());
            }
        });
        open.unknown |= fed.is_err();
    }

    /// Reads `{"index"}`.
    fn end_block(&mut self, judge: &mut dyn Judge) {
        let doc = self.data.as_slice();
        let mut index = None;
        let read: Result<(), Fault> = fields(doc, |Field { key, value }| {
            if text(key.raw)? == "index" {
                index = value.as_u64(doc);
            }
            Ok(())
        });
        let whole = read.is_ok() && !self.too_long;
        let ended = self.open.extract_if(.., |open| !whole || open.index == index);
        for open in ended.collect::<Vec<_>>() {
            self.settle(open, whole, judge);
        }
    }

    /// Has a use judged.
    fn settle(&mut self, open: Open, whole: bool, judge: &mut dyn Judge) {
        let input = (whole && !open.unknown).then_some(open.input.as_slice());
        if judge.denies(&open.id, &open.tool, input) {
            self.late |= self.told;
            if self.denied.len() < limits::JUDGED_USES_MAX {
                self.denied.push(open.id);
            } else {
                self.deny_all();
            }
        }
    }

    fn deny_all(&mut self) {
        self.late |= self.told;
        self.all_denied = true;
    }

    /// Reads `{"content": [...]}`.
    fn read_document(&mut self, doc: &[u8], judge: &mut dyn Judge) -> Result<(), Fault> {
        let mut uses = Vec::new();
        let mut listed = |span: Range<usize>| {
            elements(doc, span, |block| {
                if block.kind == Kind::Object {
                    uses.extend(begin(doc, &block, judge)?);
                }
                Ok::<_, Fault>(())
            })
        };
        fields(doc, |Field { key, value }| {
            if text(key.raw)? == "content" && value.kind == Kind::Array {
                listed(value.span)?;
            }
            Ok::<_, Fault>(())
        })?;
        for open in uses {
            self.settle(open, true, judge);
        }
        Ok(())
    }

    /// Changes the event that is held.
    fn change_event(&self, held: &mut [u8], judge: &mut dyn Judge) -> Result<(), Blind> {
        let lines = data_lines(held);
        let mut doc = Vec::with_capacity(held.len());
        let mut places = Vec::with_capacity(lines.len());
        for line in lines {
            if !places.is_empty() {
                doc.push(b'\n');
            }
            places.push((doc.len(), line.clone()));
            doc.extend_from_slice(held.get(line).unwrap_or_default());
        }
        let found = self.found(&doc).map_err(|_unread| Blind)?;
        for (id, span) in found {
            // A text of JSON has no line end in it, so it stands in one line.
            let (start, line) = places.iter().rev().find(|(start, _)| *start <= span.start).ok_or(Blind)?;
            let at = line.start + (span.start - start);
            let place = held.get_mut(at..at + span.len()).filter(|_| at + span.len() <= line.end);
            write_flagged(place.ok_or(Blind)?);
            judge.flagged(&id);
        }
        Ok(())
    }

    /// Changes a whole document.
    fn change(&self, doc: &mut [u8], judge: &mut dyn Judge) -> Result<(), Blind> {
        for (id, span) in self.found(doc).map_err(|_unread| Blind)? {
            write_flagged(doc.get_mut(span).ok_or(Blind)?);
            judge.flagged(&id);
        }
        Ok(())
    }

    /// Where denied uses are called `not_flagged`: their ids and the places of that text with its quotes.
    fn found(&self, doc: &[u8]) -> Result<Found, Fault> {
        let mut found = Vec::new();
        fields(doc, |Field { key, value }| {
            match (&*text(key.raw)?, value.kind) {
                ("safeguard_results", _) => self.results(doc, &value, &mut found)?,
                ("delta" | "message", Kind::Object) => fields_at(doc, value.span, |inner| {
                    if text(inner.key.raw)? == "safeguard_results" {
                        self.results(doc, &inner.value, &mut found)?;
                    }
                    Ok::<_, Fault>(())
                })?,
                _ => {}
            }
            Ok::<_, Fault>(())
        })?;
        Ok(found)
    }

    fn results(&self, doc: &[u8], list: &Value, found: &mut Found) -> Result<(), Fault> {
        match list.kind {
            Kind::Array => elements(doc, list.span.clone(), |result| self.result(doc, &result, found)),
            _ => self.result(doc, list, found),
        }
    }

    /// Reads `{"status": {"tool_uses": {ID: {"outcome"}}}}`.
    fn result(&self, doc: &[u8], result: &Value, found: &mut Found) -> Result<(), Fault> {
        for_each_in(doc, result, |name, status| {
            if name != "status" {
                return Ok(());
            }
            for_each_in(doc, status, |name, uses| {
                if name != "tool_uses" {
                    return Ok(());
                }
                for_each_in(doc, uses, |id, verdict| {
                    if !self.all_denied && !self.denied.iter().any(|denied| **denied == *id) {
                        return Ok(());
                    }
                    for_each_in(doc, verdict, |name, outcome| {
                        let said = outcome.inner(doc).map(text).transpose()?;
                        if name == "outcome" && said.as_deref() == Some("not_flagged") {
                            found.push((id.into(), outcome.span.clone()));
                        }
                        Ok(())
                    })
                })
            })
        })
    }
}

/// Reads `{"type", "id", "name", "input"}`; nothing when it is no use of a tool that anybody judges.
fn begin(doc: &[u8], block: &Value, judge: &mut dyn Judge) -> Result<Option<Open>, Fault> {
    let (mut kind, mut id, mut tool, mut input) = (None, None, None, Vec::new());
    fields_at(doc, block.span.clone(), |Field { key, value }| {
        let word = |value: &Value| value.inner(doc).map(text).transpose();
        match &*text(key.raw)? {
            "type" => kind = word(&value)?,
            "id" => id = word(&value)?,
            "name" => tool = word(&value)?,
            "input" => input = value.bytes(doc).to_vec(),
            _ => {}
        }
        Ok::<_, Fault>(())
    })?;
    let is_use = kind.is_some_and(|kind| Block::USES.contains(&kind.as_bytes()));
    let (Some(id), Some(tool)) = (id, tool.filter(|_| is_use)) else { return Ok(None) };
    if !judge.concerns(&tool) {
        return Ok(None);
    }
    let (id, tool) = (id.into(), tool.into());
    Ok(Some(Open { index: None, id, tool, input, streamed: false, unknown: false }))
}

type Found = Vec<(Box<str>, Range<usize>)>;

/// Visits the members of a value that is an object; nothing in any other.
fn for_each_in(
    doc: &[u8],
    value: &Value,
    mut visit: impl FnMut(&str, &Value) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if value.kind != Kind::Object {
        return Ok(());
    }
    fields_at(doc, value.span.clone(), |Field { key, value }| visit(&text(key.raw)?, &value))
}

/// Puts `"flagged"` where `"not_flagged"` was, with blanks for the rest.
fn write_flagged(place: &mut [u8]) {
    let word = b"\"flagged\"".iter().copied().chain(std::iter::repeat(b' '));
    for (byte, new) in place.iter_mut().zip(word) {
        *byte = new;
    }
}

/// Where the data of an event stands, line by line.
fn data_lines(event: &[u8]) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(rest) = event.get(at..).filter(|rest| !rest.is_empty()) {
        let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        let begins = match line.strip_prefix(b"data:") {
            Some(value) => Some(5 + usize::from(value.first() == Some(&b' '))),
            None => (line == b"data").then_some(4),
        };
        lines.extend(begins.map(|begins| at + begins..at + end));
        at += end + 1;
    }
    lines
}
