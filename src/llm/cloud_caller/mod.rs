//! Callers who speak to us as to a cloud that hosts Anthropic's models: Bedrock's InvokeModel and Vertex AI's
//! rawPredict, as Claude Code does with `CLAUDE_CODE_USE_BEDROCK` and `CLAUDE_CODE_USE_VERTEX`.
//!
//! A request is made one for `/v1/messages`, and from there on it is one: the model stands in the path, betas
//! and version in the body. What is answered is made the cloud's at the very end, from the bytes that go out:
//! frames of a binary event stream for Bedrock, and the clouds' forms of errors. Follows "InvokeModel",
//! "InvokeModelWithResponseStream" and "CountTokens" of the API reference of Amazon Bedrock and "Anthropic's
//! Claude models" of the documentation of Vertex AI (read 2026-11).

mod errors;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod path;
mod request;
mod shaper;
#[cfg(test)]
mod tests;

pub use path::{names, read};
pub use request::{Said, as_messages};
pub use shaper::Shaper;

/// The cloud that a caller believes to speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon Bedrock.
    Bedrock,
    /// Vertex AI.
    Vertex,
}

/// What is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An answer in one piece.
    Whole,
    /// An answer in pieces.
    Stream,
    /// How many tokens a request has.
    Count,
    /// Which profiles of models there are; of Bedrock alone.
    Profiles,
}

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called<'a> {
    /// Of whom.
    pub cloud: Cloud,
    /// What.
    pub operation: Operation,
    /// The model as it stands in the path, escapes and all; empty where the body names it.
    pub model: &'a str,
}
