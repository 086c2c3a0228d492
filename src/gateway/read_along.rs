//! Reads an answer along as it passes.

use crate::llm::anthropic::response::AnswerReader;
use crate::llm::anthropic::stream::UsageReader;
use crate::llm::usage::Answer;

/// What is wrong with a stream that ends without its end.
pub(super) const NO_END: &str = "the stream ended without its last event";

/// Reads along.
pub(super) enum Reader {
    /// Events of a stream.
    Events(Box<UsageReader>),
    /// One document.
    Document(Box<AnswerReader>),
    /// Nothing that can be read.
    Opaque,
}

impl Reader {
    /// Looks at the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Events(reader) => reader.push(bytes),
            Self::Document(reader) => reader.push(bytes),
            Self::Opaque => {}
        }
    }

    /// An error that the provider told inside its stream, or usage that could not be read: either would
    /// otherwise pass for a success that cost what was read.
    pub(super) fn fault(&self) -> Option<ReadFault> {
        let Self::Events(reader) = self else { return None };
        if let Some(kind) = reader.error_kind() {
            return Some(ReadFault {
                kind: "error_event",
                text: format!("the provider ended its stream: {kind}"),
            });
        }
        let unread = reader.unread();
        (unread > 0).then(|| ReadFault {
            kind: "usage_unread",
            text: format!("{unread} events with usage could not be read"),
        })
    }

    /// Whether this is the stream of an answer whose own end has not come: the end of its body alone is none.
    pub(super) fn lacks_end(&self, status: u16) -> bool {
        matches!(self, Self::Events(reader) if !reader.finished()) && (200..300).contains(&status)
    }

    /// What has been read so far.
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Events(reader) => reader.answer().clone(),
            Self::Document(reader) => reader.answer().clone(),
            Self::Opaque => Answer::default(),
        }
    }
}

/// What a provider did wrong inside an answer that began well.
pub(super) struct ReadFault {
    /// For the counters.
    pub(super) kind: &'static str,
    /// For the log.
    pub(super) text: String,
}
