//! Reads usage and names from a passing event stream of Anthropic's form, without changing or holding a byte.

use crate::http::sse::{Piece, Splitter};
use crate::json::{Fault, Field, Kind, fields, fields_at};
use crate::limits;
use crate::llm::usage::{Answer, replace};

/// What an event is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// No name has come yet; data that comes first is kept.
    Unnamed,
    Start,
    Delta,
    Stop,
    Error,
    Other,
}

impl Event {
    fn of(name: &[u8]) -> Self {
        match name {
            b"message_start" => Self::Start,
            b"message_delta" => Self::Delta,
            b"message_stop" => Self::Stop,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}

/// Reads a stream in pieces of any size. Events that say nothing of usage cost three searches for a line end.
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
        if matches!(self.event, Event::Other | Event::Stop) || self.too_long {
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
        let read = match self.event {
            Event::Start | Event::Delta | Event::Error if self.too_long => None,
            Event::Start => self.read_start().ok(),
            Event::Delta => self.read_delta().ok(),
            Event::Error => self.read_error().ok(),
            Event::Stop | Event::Other | Event::Unnamed => Some(()),
        };
        self.unread = self.unread.saturating_add(u32::from(read.is_none()));
        self.finished |= matches!(self.event, Event::Stop | Event::Error);
        self.clear();
    }

    #[inline]
    fn clear(&mut self) {
        self.event = Event::Unnamed;
        self.data.clear();
        self.too_long = false;
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
                    b"usage" if value.kind == Kind::Object => answer.usage.read(doc, value.span)?,
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
                (b"usage", Kind::Object) => answer.usage.read(doc, value.span)?,
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
