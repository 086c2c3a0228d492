//! How an answer can fail, in the words that Claude Code acts on.

use std::borrow::Cow;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The provider finds fault with the request.
    InvalidRequest,
    /// The conversation is longer than the model can read.
    PromptTooLong,
    /// More output is asked for than the model can write.
    MaxTokens,
    /// A filter of the provider refuses the request.
    Filtered,
    /// The provider does not know us, or not for this.
    Credentials,
    /// The account with the provider has no money left, or no quota.
    Quota,
    /// The provider has no such model or address.
    NotFound,
    /// The request is larger than the provider takes.
    TooLarge,
    /// Too many calls or tokens in a while.
    RateLimited,
    /// The provider has no room.
    Overloaded,
    /// The provider was too slow, by its own word.
    Timeout,
    /// The provider failed.
    Broken,
    /// What came is no answer in the provider's dialect.
    Unreadable,
    /// The answer ended before its end.
    CutShort,
}

impl Kind {
    /// HTTP status and `error.type` for the caller. What is wrong between the gateway and its provider is no
    /// fault of the caller's key: it is told as a failure of the provider.
    pub const fn shown(self) -> (u16, &'static str) {
        match self {
            Self::InvalidRequest | Self::PromptTooLong | Self::MaxTokens | Self::Filtered => {
                (400, "invalid_request_error")
            }
            Self::NotFound => (404, "not_found_error"),
            Self::TooLarge => (413, "request_too_large"),
            Self::RateLimited | Self::Quota => (429, "rate_limit_error"),
            Self::Overloaded => (529, "overloaded_error"),
            Self::Timeout => (504, "timeout_error"),
            Self::Credentials | Self::Broken | Self::Unreadable | Self::CutShort => (502, "api_error"),
        }
    }
}

/// A failure of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// For the caller: never the provider's own text, which may name accounts.
    pub message: Cow<'static, str>,
    /// What the provider said, for the ledger, at most `limits::ERROR_DETAIL_BYTES_MAX` bytes; may be empty.
    pub detail: Box<str>,
}

impl Failure {
    /// An input of a tool goes on after its end, or has no beginning.
    pub(super) fn after_end() -> Self {
        Self::new(Kind::Unreadable, "the provider went on with a call of a tool that was over")
    }

    /// A failure of which the provider has said nothing.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), detail: Box::default() }
    }
}
