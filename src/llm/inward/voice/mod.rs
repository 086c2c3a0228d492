//! Says an answer of Anthropic's form in the caller's dialect, while it comes.

mod chat;
mod responses;

use crate::error::CallError;
use crate::ids::CallId;
use crate::llm::anthropic_lenient::StreamReader;
use crate::llm::inward::{Dialect, write_error_event};
use crate::llm::said::{Event, Stop};
use crate::llm::usage::Usage;

/// What has to be known beforehand.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Our id of the call: that of the answer is made of it.
    pub call: CallId,
    /// The model's name as the caller has it.
    pub model: Box<str>,
    /// When the answer was begun, in seconds since 1970.
    pub created_s: u64,
    /// The caller wants an event stream.
    pub stream: bool,
    /// The caller wants a chunk of usage at the end of a stream of Chat Completions.
    pub usage: bool,
    /// The caller of Responses wants what is thought sealed, so that it can be sent back.
    pub seals: bool,
}

/// Takes the bytes of one answer in pieces of any size, and says the same in the caller's dialect.
#[derive(Clone, Debug)]
pub struct Voice {
    reader: StreamReader,
    mouth: Mouth,
    dialect: Dialect,
    finished: bool,
}

#[derive(Clone, Debug)]
enum Mouth {
    Chat(Box<chat::Writer>),
    Responses(Box<responses::Writer>),
}

impl Voice {
    /// A voice for one answer.
    pub fn new(dialect: Dialect, setup: Setup) -> Self {
        let mouth = match dialect {
            Dialect::Chat => Mouth::Chat(Box::new(chat::Writer::new(setup))),
            Dialect::Responses => Mouth::Responses(Box::new(responses::Writer::new(setup))),
        };
        Self { reader: StreamReader::of_own_form(), mouth, dialect, finished: false }
    }

    /// Takes the next bytes, and the end of them where they are the last, and gives what they say.
    pub fn say(&mut self, bytes: &[u8], last: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 256);
        self.push(bytes, &mut out);
        if last {
            self.finish(&mut out);
        }
        out
    }

    /// Takes the next bytes and appends what they say: of a stream whole events.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Self { reader, mouth, .. } = self;
        reader.push(bytes, &mut |event| mouth.take(event, out));
    }

    /// Takes the end of the bytes and appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.finished, true) {
            let Self { reader, mouth, .. } = self;
            reader.finish(&mut |event| mouth.take(event, out));
        }
    }

    /// Appends what a stream says that breaks off for a reason of ours.
    pub fn fail(&self, error: &CallError, out: &mut Vec<u8>) {
        write_error_event(self.dialect, out, error);
    }
}

impl Mouth {
    fn take(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Chat(writer) => writer.take(event, out),
            Self::Responses(writer) => writer.take(event, out),
        }
    }
}

/// Why an answer has stopped, in no vendor's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Why {
    /// The model has said all.
    #[default]
    Done,
    /// It may write no more.
    Length,
    /// It, or a filter behind it, refuses.
    Refused,
}

impl Why {
    const fn of(stop: Stop<'_>) -> Self {
        match stop {
            Stop::EndTurn | Stop::ToolUse | Stop::Sequence(_) => Self::Done,
            Stop::MaxTokens | Stop::ContextFull => Self::Length,
            Stop::Refusal => Self::Refused,
        }
    }
}

/// Tokens that were read, those of caches too.
const fn read_tokens(usage: &Usage) -> u64 {
    usage
        .input_tokens
        .saturating_add(usage.cache_read_tokens)
        .saturating_add(usage.cache_write_5m_tokens)
        .saturating_add(usage.cache_write_1h_tokens)
}
