//! Reads an answer along as it passes.

use crate::llm::anthropic::response::AnswerReader;
use crate::llm::anthropic::stream::UsageReader;
use crate::llm::inward::Along;
use crate::llm::usage::Answer;

/// What is wrong with a stream that ends without its end.
pub(super) const NO_END: &str = "the stream ended without its last event";

/// Reads along.
pub(super) enum Reader {
    /// Events of a stream.
    Events(Box<UsageReader>),
    /// One document.
    Document(Box<AnswerReader>),
    /// An answer in the caller's own dialect, which is not Anthropic's.
    Along(Box<Along>),
    /// Nothing that can be read.
    Opaque,
}

impl Reader {
    /// Looks at the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Events(reader) => reader.push(bytes),
            Self::Document(reader) => reader.push(bytes),
            Self::Along(along) => along.push(bytes),
            Self::Opaque => {}
        }
    }

    /// The answer is over: what can be read at its end only is read.
    pub(super) fn finish(&mut self) {
        if let Self::Along(along) = self {
            along.finish();
        }
    }

    /// What leaves in place of these bytes, where that is something else.
    pub(super) fn instead(&mut self, bytes: &[u8], done: bool) -> Option<Vec<u8>> {
        match self {
            Self::Along(along) => along.pass(bytes, done),
            Self::Events(_) | Self::Document(_) | Self::Opaque => None,
        }
    }

    /// Whether all of a stream has passed, and nothing is under way.
    pub(super) fn said_all(&self) -> bool {
        match self {
            Self::Events(reader) => reader.finished() && reader.between_events(),
            Self::Along(along) => along.said_all(),
            Self::Document(_) | Self::Opaque => false,
        }
    }

    /// What has been read so far of an answer that is told piece by piece.
    pub(super) fn so_far(&self) -> Option<&Answer> {
        match self {
            Self::Events(reader) => Some(reader.answer()),
            Self::Along(along) => Some(along.answer()),
            Self::Document(_) | Self::Opaque => None,
        }
    }

    /// An error that the provider told inside its stream, or usage that could not be read: either would
    /// otherwise pass for a success that cost what was read.
    pub(super) fn fault(&self) -> Option<ReadFault> {
        if let Self::Along(along) = self {
            return along.failure().map(|failure| ReadFault {
                kind: "error_event",
                text: format!("{}: {}", failure.message, failure.detail),
            });
        }
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
            Self::Along(along) => along.answer().clone(),
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
