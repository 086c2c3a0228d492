//! Why a request cannot be read or not be translated: a place in it and a sentence.

use crate::error::{CallError, Code};
use crate::json::Fault;

/// A refusal that names the field, as Anthropic's own do: `messages.3.content.1.source: ...`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Refusal {
    /// Where it is. Of the caller's own words it holds names of fields and tools at most.
    pub place: String,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Not JSON.
    #[error("this is not valid JSON: {0}")]
    NotJson(Fault),
    /// Another kind of value is needed.
    #[error("this must be {0}")]
    Kind(&'static str),
    /// It has to be there.
    #[error("this field is required")]
    Missing,
    /// Two parsers would read two things.
    #[error("this field is given more than once")]
    Twice,
    /// Over a bound.
    #[error("there are more than {0} of these")]
    TooMany(usize),
    /// Over a bound of bytes.
    #[error("this is longer than {0} bytes")]
    TooLong(usize),
    /// Blocks inside of blocks inside of blocks.
    #[error("blocks are nested too deeply")]
    Depth,
    /// A role that nobody knows.
    #[error("the role must be `user`, `assistant` or `system`")]
    Role,
    /// A name that no definition has.
    #[error("there is no tool of this name")]
    NoTool,
    /// The target has nothing for it.
    #[error("the provider of this model does not take this: {0}")]
    Unsupported(&'static str),
}

impl Refusal {
    /// A refusal at `place`.
    pub fn new(place: impl Into<String>, why: Why) -> Self {
        Self { place: place.into(), why }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::new("body", Why::NotJson(fault))
    }
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        Self::new(Code::BadRequest).context(refusal.to_string()).at(refusal.place)
    }
}
