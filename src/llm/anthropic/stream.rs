//! Reads usage and names from a passing event stream of Anthropic's form, without changing or holding a byte.

use memchr::memmem;

use crate::http::sse::{Piece, Splitter};
use crate::json::{Fault, Field, Kind, fields, fields_at, text_pieces};
use crate::limits;
use crate::llm::action::Block;
use crate::llm::usage::{Answer, replace};

/// Bytes of the data of a delta around what the model has written: the form that Anthropic sends for text.
/// Those of the other kinds differ by less than a token.
const DELTA_FRAME_BYTES: u64 =
    br#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}"#.len() as u64;

/// What an event is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// No name has come yet; data that comes first is kept.
    Unnamed,
    Start,
    Delta,
    BlockStart,
    BlockDelta,
    BlockStop,
    Stop,
    Error,
    Other,
}

impl Event {
    fn of(name: &[u8]) -> Self {
        match name {
            b"message_start" => Self::Start,
            b"message_delta" => Self::Delta,
            b"content_block_start" => Self::BlockStart,
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_stop" => Self::BlockStop,
            b"message_stop" => Self::Stop,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// What of the content block under way is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Under {
    /// Nothing: its deltas are only counted.
    Plain,
    /// The estimates of thinking that is not shown.
    Thinking,
    /// The input of a tool.
    Use,
}

/// Reads a stream in pieces of any size. Deltas of text cost three searches for a line end and an addition;
/// those of a tool's input are read, up to `limits::ACTION_INPUT_BYTES_MAX` of each use.
#[derive(Clone, Debug)]
pub struct UsageReader {
    splitter: Splitter,
    state: State,
}

#[derive(Clone, Debug)]
struct State {
    event: Event,
    /// Data of the event under way, <= `limits::USAGE_EVENT_BYTES_MAX`; kept from event to event for its
    /// room.
    data: Vec<u8>,
    /// The data is longer than that.
    too_long: bool,
    /// Bytes of data of the event under way, kept or not.
    passed: u64,
    /// Of the content block under way.
    under: Under,
    index: Option<u64>,
    /// The use of a tool under way; made at the first one of a stream.
    block: Option<Box<Block>>,
    answer: Answer,
    /// `type` of the `error` event.
    error_kind: Option<Box<str>>,
    finished: bool,
    unread: u32,
}

impl Default for UsageReader {
    fn default() -> Self {
        let state = State {
            event: Event::Unnamed,
            data: Vec::new(),
            too_long: false,
            passed: 0,
            under: Under::Plain,
            index: None,
            block: None,
            answer: Answer::default(),
            error_kind: None,
            finished: false,
            unread: 0,
        };
        Self { splitter: Splitter::default(), state }
    }
}

impl UsageReader {
    /// Looks at the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        let state = &mut self.state;
        self.splitter.push(bytes, |piece| match piece {
            Piece::Name(name) => state.event = Event::of(name),
            Piece::Data(data) => state.keep(data),
            Piece::End(_) => state.end(),
            Piece::Void => state.clear(),
            Piece::Id(_) | Piece::Retry(_) => {}
        });
    }

    /// Whether nothing of an unfinished event has passed, so that an event of ours may be put in.
    pub fn between_events(&self) -> bool {
        self.splitter.between_events()
    }

    /// Whether `message_stop` or `error` has passed: the stream ended as the protocol has it.
    pub fn finished(&self) -> bool {
        self.state.finished
    }

    /// What has been read so far.
    pub fn answer(&self) -> &Answer {
        &self.state.answer
    }

    /// `error.type` of an `error` event, if one has passed.
    pub fn error_kind(&self) -> Option<&str> {
        self.state.error_kind.as_deref()
    }

    /// Events that should have been read and were too long or not JSON: then the usage may be short.
    pub fn unread(&self) -> u32 {
        self.state.unread
    }
}

impl State {
    #[inline]
    fn keep(&mut self, data: &[u8]) {
        self.passed = self.passed.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        let wanted = match self.event {
            Event::BlockDelta => self.under != Under::Plain,
            Event::Other | Event::Stop | Event::BlockStop => false,
            Event::Unnamed | Event::Start | Event::Delta | Event::BlockStart | Event::Error => true,
        };
        if !wanted || self.too_long {
            return;
        }
        if self.data.len() + data.len() > limits::USAGE_EVENT_BYTES_MAX {
            self.too_long = true;
            return;
        }
        self.data.extend_from_slice(data);
    }

    #[inline]
    fn end(&mut self) {
        match self.event {
            // What cannot be read of content costs a line of the ledger, never a number of the bill.
            Event::BlockStart => self.begin_block(),
            Event::BlockDelta => self.count_delta(),
            Event::BlockStop => self.end_block(),
            _ => self.end_other(),
        }
        self.clear();
    }

    fn end_other(&mut self) {
        let read = match self.event {
            Event::Start | Event::Delta | Event::Error if self.too_long => None,
            Event::Start => self.read_start().ok(),
            Event::Delta => self.read_delta().ok(),
            Event::Error => self.read_error().ok(),
            _ => Some(()),
        };
        self.unread = self.unread.saturating_add(u32::from(read.is_none()));
        self.finished |= matches!(self.event, Event::Stop | Event::Error);
    }

    #[inline]
    fn clear(&mut self) {
        self.event = Event::Unnamed;
        self.data.clear();
        self.too_long = false;
        self.passed = 0;
    }

    #[inline]
    fn count_delta(&mut self) {
        let bytes = self.passed.saturating_sub(DELTA_FRAME_BYTES);
        self.answer.produced_bytes = self.answer.produced_bytes.saturating_add(bytes);
        match self.under {
            Under::Plain => {}
            Under::Thinking => self.count_thinking(),
            Under::Use => self.read_input(),
        }
    }

    /// Counts `{"delta": {"estimated_tokens"}}`, which comes in place of thinking that is not shown.
    fn count_thinking(&mut self) {
        const NAME: &[u8] = b"\"estimated_tokens\":";
        let Some(at) = memmem::find(&self.data, NAME).filter(|_| !self.too_long) else { return };
        let after = self.data.get(at + NAME.len()..).unwrap_or_default().trim_ascii_start();
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit());
        let tokens = digits.fold(0_u64, |sum, digit| {
            sum.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0')))
        });
        let bytes = tokens.min(limits::THINKING_ESTIMATE_TOKENS_MAX) * 7 / 2;
        self.answer.produced_bytes = self.answer.produced_bytes.saturating_add(bytes);
    }

    /// Reads `{"index", "content_block": {"type", ...}}`.
    #[cold]
    fn begin_block(&mut self) {
        self.under = Under::Plain;
        if self.too_long {
            return;
        }
        let doc = self.data.as_slice();
        let (mut index, mut block) = (None, None);
        let read: Result<(), Fault> = fields(doc, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"index", _) => index = value.as_u64(doc),
                (b"content_block", Kind::Object) => block = Some(value),
                _ => {}
            }
            Ok(())
        });
        let Some(block) = block.filter(|_| read.is_ok()) else { return };
        let mut under = Under::Plain;
        let read: Result<(), Fault> = fields_at(doc, block.span.clone(), |Field { key, value }| {
            if key.raw == b"type" {
                under = match value.inner(doc).unwrap_or_default() {
                    b"thinking" => Under::Thinking,
                    kind if Block::USES.contains(&kind) => Under::Use,
                    _ => Under::Plain,
                };
            }
            Ok(())
        });
        if read.is_err() {
            return;
        }
        (self.under, self.index) = (under, index);
        if under == Under::Use {
            let kept = self.block.get_or_insert_default();
            kept.clear();
            kept.push(block.bytes(doc));
        }
    }

    /// Reads `{"index", "delta": {"partial_json"}}`, some of the input of a tool, as a string.
    fn read_input(&mut self) {
        let doc = self.data.as_slice();
        let Some(block) = self.block.as_deref_mut().filter(|block| block.takes_input()) else { return };
        let (mut index, mut piece) = (None, None);
        let read: Result<(), Fault> = fields(doc, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"index", _) => index = value.as_u64(doc),
                (b"delta", Kind::Object) => fields_at(doc, value.span, |inner| {
                    if inner.key.raw == b"partial_json" {
                        piece = inner.value.inner(doc);
                    }
                    Ok::<_, Fault>(())
                })?,
                _ => {}
            }
            Ok(())
        });
        if read.is_ok() && index != self.index {
            return;
        }
        let fed = piece.map(|piece| text_pieces(piece, |text| block.push_input(text.as_bytes())));
        if self.too_long || read.is_err() || fed.is_some_and(|fed| fed.is_err()) {
            block.cut_input();
        }
    }

    fn end_block(&mut self) {
        if std::mem::replace(&mut self.under, Under::Plain) == Under::Use {
            let action = self.block.as_ref().and_then(|block| block.action());
            action.into_iter().for_each(|action| self.answer.add_action(action));
        }
    }

    /// Reads `{"message": {"id", "model", "stop_reason", "usage"}}`.
    fn read_start(&mut self) -> Result<(), Fault> {
        let (doc, answer) = (self.data.as_slice(), &mut self.answer);
        fields(doc, |outer| {
            if outer.key.raw != b"message" || outer.value.kind != Kind::Object {
                return Ok(());
            }
            fields_at(doc, outer.value.span, |Field { key, value }| {
                match key.raw {
                    b"id" => replace(&mut answer.message_id, doc, &value),
                    b"model" => replace(&mut answer.model, doc, &value),
                    b"stop_reason" => replace(&mut answer.stop_reason, doc, &value),
                    b"usage" if value.kind == Kind::Object => answer.read_usage(doc, value.span)?,
                    _ => {}
                }
                Ok(())
            })
        })
    }

    /// Reads `{"delta": {"stop_reason"}, "usage"}`; its numbers are totals, not increments.
    fn read_delta(&mut self) -> Result<(), Fault> {
        let (doc, answer) = (self.data.as_slice(), &mut self.answer);
        fields(doc, |Field { key, value }| {
            match (key.raw, value.kind) {
                (b"usage", Kind::Object) => answer.read_usage(doc, value.span)?,
                (b"delta", Kind::Object) => fields_at(doc, value.span, |inner| {
                    if inner.key.raw == b"stop_reason" {
                        replace(&mut answer.stop_reason, doc, &inner.value);
                    }
                    Ok::<_, Fault>(())
                })?,
                _ => {}
            }
            Ok(())
        })
    }

    /// Reads `{"error": {"type"}}`.
    fn read_error(&mut self) -> Result<(), Fault> {
        let (doc, kind) = (self.data.as_slice(), &mut self.error_kind);
        fields(doc, |outer| {
            if outer.key.raw != b"error" || outer.value.kind != Kind::Object {
                return Ok(());
            }
            fields_at(doc, outer.value.span, |Field { key, value }| {
                if key.raw == b"type" {
                    replace(kind, doc, &value);
                }
                Ok(())
            })
        })
    }
}
