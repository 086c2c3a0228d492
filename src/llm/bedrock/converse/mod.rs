//! Bedrock's Converse, by which models of all makers answer in one form, as a target of a conversation.
//!
//! Follows the model of the service in botocore 1.44.5 and "Carry out a conversation with the Converse API
//! operations" of the user guide (read 2026-11). For Anthropic's models InvokeModel is the better way.
//!
//! What becomes of what Converse has nothing for:
//!
//! | of a request | treatment |
//! |---|---|
//! | attribution block of Claude Code | dropped: it is for Anthropic alone, and new in each conversation |
//! | turns that follow one another | one message, since user and assistant have to take turns |
//! | `system` turns in between | stay where they are, or stand in the user's message in a constant frame |
//! | results of tools | first in the message after the calls, with `status`; a missing one is made |
//! | images and files in results | beside the results, where the model takes none in them |
//! | thinking in the history | dropped, or `reasoningContent` where the model wants its own back |
//! | deferred tools | left out until a `tool_reference`, a `tool_addition` or a call names them |
//! | tools of the history that are not offered any more | offered without a schema: the service wants them |
//! | `tool_choice: none` | no tools, unless the history has calls |
//! | `cache_control` | the last four become `cachePoint`s where the model has them |
//! | names of documents | numbers: the service takes few letters, and each name once |
//! | stop sequences over the model's number | enforced by the writers of [`said`](crate::llm::said) |
//!
//! All else is as with Chat Completions. The translated bytes of a conversation begin with those of the
//! conversation one turn before, but for where its last message goes on: `messages` stand last.

mod content;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod tools;
mod turns;

use crate::llm::bedrock::escaped;

pub use request::translate;
pub use stream::{ConverseStream, read_answer};

/// What stands in signatures of thinking that came by this dialect.
pub const ORIGIN: &str = "bedrock-converse";

/// The path by which a model answers, in pieces or whole.
pub fn converse_path(model: &str, stream: bool) -> String {
    let operation = if stream { "converse-stream" } else { "converse" };
    format!("/model/{}/{operation}", escaped(model))
}

/// What one model takes: what the config says of it.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The model sees images.
    pub images: bool,
    /// The model reads PDF files.
    pub files: bool,
    /// It takes images and files inside of results of tools.
    pub files_in_results: bool,
    /// It knows the role `system` between the messages.
    pub system_in_place: bool,
    /// It keeps the prompt up to a `cachePoint`.
    pub cache_points: bool,
    /// And knows for how long.
    pub cache_ttl: bool,
    /// The most that the model can write, in tokens; more is brought down to it.
    pub max_tokens_max: Option<u64>,
    /// Stop sequences that the model takes: 4 with Nova, up to 2500 with others.
    pub stops_max: usize,
    /// `temperature` and `topP` are taken.
    pub sampling: bool,
    /// The model's own name of `top_k`, in `additionalModelRequestFields`.
    pub top_k: Option<&'a str>,
    /// The levels of `outputConfig.effort` that the model has; none: it is not sent.
    pub efforts: &'a [&'a str],
    /// `outputConfig.textFormat` takes a JSON schema.
    pub json_schema: bool,
    /// `toolChoice` may be `any` or `tool`.
    pub forced_choice: bool,
    /// `strict` of a tool is known.
    pub strict_tools: bool,
    /// The model wants its own thinking back.
    pub reasoning_back: bool,
    /// How the provider tells users apart: a keyed hash, never the caller's own `metadata.user_id`.
    pub user: Option<&'a str>,
    /// Fields of the request and types of tools that the gateway sees to itself.
    pub handled: &'a [&'a str],
    /// Fields that nobody knows are dropped with a note; else the request is refused, and the field named.
    pub drop_unknown: bool,
}

impl Target<'_> {
    /// A model of which nothing is known but that it uses tools.
    pub const fn plain() -> Self {
        Self {
            images: false,
            files: false,
            files_in_results: false,
            system_in_place: false,
            cache_points: false,
            cache_ttl: false,
            max_tokens_max: None,
            stops_max: 4,
            sampling: true,
            top_k: None,
            efforts: &[],
            json_schema: false,
            forced_choice: false,
            strict_tools: false,
            reasoning_back: false,
            user: None,
            handled: &[],
            drop_unknown: false,
        }
    }

    /// One of Amazon's Nova models.
    pub const fn nova() -> Self {
        Self {
            images: true,
            files: true,
            cache_points: true,
            forced_choice: true,
            top_k: Some("topK"),
            ..Self::plain()
        }
    }
}
