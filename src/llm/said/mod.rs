//! What a model says, in no vendor's words, and its way into Anthropic's form.
//!
//! Readers of dialects hand on [`Event`]s; [`StreamWriter`] makes the event stream of them that Claude Code
//! reads, [`DocumentWriter`] the one document for callers without a stream. Both tell the same of the same
//! events.
//!
//! ```text
//! Started? ( Text | Thinking? Signature? | ToolStarted ToolInput* ToolEnded? | Searched | Compacted
//!          | Usage )* Stopped Usage* Ended
//! or at any place: Failed
//! ```

mod cut;
mod document;
mod failure;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod input;
mod stream;
mod tail;
#[cfg(test)]
mod tests;
mod whole;

use std::borrow::Cow;
use std::fmt;

use crate::ids::CallId;
use crate::llm::usage::Usage;

pub use document::DocumentWriter;
pub use failure::{Failure, Kind};
pub use stream::StreamWriter;

/// What happens in an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The provider has begun.
    Started {
        /// The model that answers, by its word; may be empty.
        model: &'a str,
        /// Its id of the answer; may be empty.
        id: &'a str,
    },
    /// A piece of text.
    Text(&'a str),
    /// A piece of thinking.
    Thinking(&'a str),
    /// The signature of the thinking so far, as the caller is to have it; of thinking that nobody may read
    /// where there is none.
    Signature(&'a str),
    /// A call of a tool begins.
    ToolStarted {
        /// Its place among the calls of the answer.
        index: usize,
        /// Its id, as the caller is to have it.
        id: &'a str,
        /// The tool, as the caller calls it.
        name: &'a str,
    },
    /// A piece of its input. All pieces together are a JSON object, or blank.
    ToolInput {
        /// Of which call.
        index: usize,
        /// The piece.
        json: &'a str,
    },
    /// The input is complete, where the dialect says so.
    ToolEnded {
        /// Of which call.
        index: usize,
    },
    /// The provider has searched the web for the model.
    Searched(&'a Search<'a>),
    /// The provider has put the conversation so far into fewer words, which are for itself alone.
    Compacted(&'a str),
    /// What was used so far: each is about the whole answer.
    Usage(Usage),
    /// Why the model stopped.
    Stopped(Stop<'a>),
    /// The provider's own end of the answer.
    Ended,
    /// There will be no more, and what there was is not all.
    Failed(&'a Failure),
}

/// A search of the web.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search<'a> {
    /// Its id, as the caller is to have it.
    pub id: &'a str,
    /// What was asked.
    pub query: &'a str,
    /// What was found.
    pub hits: &'a [Hit<'a>],
}

/// A page that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hit<'a> {
    /// Where it is.
    pub url: Cow<'a, str>,
    /// What it is called; may be empty.
    pub title: Cow<'a, str>,
}

/// Why a model stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop<'a> {
    /// It has said all.
    EndTurn,
    /// It wants tools to be run.
    ToolUse,
    /// It may write no more.
    MaxTokens,
    /// It has written a sequence that ends it.
    Sequence(&'a str),
    /// It, or a filter behind it, refuses.
    Refusal,
    /// The conversation is as long as it can read.
    ContextFull,
}

/// What a writer has to know beforehand.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Our id of the call: that of the message is made of it.
    pub call: CallId,
    /// The model's name as the caller has it.
    pub model: Box<str>,
    /// An estimate of the tokens that are read: Claude Code takes the number from the first event.
    pub input_tokens: u64,
    /// Sequences that end the answer, for which the target has no room. None is empty.
    pub stops: Vec<Box<str>>,
    /// What stands under thinking that its dialect does not sign, see [`signature`].
    ///
    /// [`signature`]: crate::llm::signature
    pub signature: Box<str>,
}

/// Kinds and lengths alone: what models say is in no log.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { .. } => f.write_str("Started"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Thinking(text) => write!(f, "Thinking({} bytes)", text.len()),
            Self::Signature(text) => write!(f, "Signature({} bytes)", text.len()),
            Self::ToolStarted { index, name, .. } => write!(f, "ToolStarted({index}, {name})"),
            Self::ToolInput { index, json } => write!(f, "ToolInput({index}, {} bytes)", json.len()),
            Self::ToolEnded { index } => write!(f, "ToolEnded({index})"),
            Self::Searched(search) => write!(f, "Searched({} hits)", search.hits.len()),
            Self::Compacted(text) => write!(f, "Compacted({} bytes)", text.len()),
            Self::Usage(usage) => write!(f, "{usage:?}"),
            Self::Stopped(stop) => write!(f, "Stopped({})", stop.word()),
            Self::Ended => f.write_str("Ended"),
            Self::Failed(failure) => write!(f, "Failed({:?})", failure.kind),
        }
    }
}

impl Stop<'_> {
    /// `stop_reason` in Anthropic's form.
    pub const fn word(self) -> &'static str {
        match self {
            Self::EndTurn => "end_turn",
            Self::ToolUse => "tool_use",
            Self::MaxTokens => "max_tokens",
            Self::Sequence(_) => "stop_sequence",
            Self::Refusal => "refusal",
            Self::ContextFull => "model_context_window_exceeded",
        }
    }
}
