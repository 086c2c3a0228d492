//! OpenAI's Chat Completions and the servers that are compatible with them, as targets of a conversation.
//!
//! Follows platform.openai.com/docs/api-reference/chat and the types of openai-python 3.54 (read 2026-11).
//! Where servers differ, [`Target`] says how, so that adding one is config only.
//!
//! What becomes of what Chat Completions has nothing for:
//!
//! | of a request | treatment |
//! |---|---|
//! | attribution block of Claude Code | dropped: it is for Anthropic alone, and new in each conversation |
//! | `system` turns in between | stay where they are, or become user turns in a constant frame |
//! | results of tools | `tool` messages right after the turn that called; `is_error` is a marker in front |
//! | images and files in results | in a user message after the results, which says whose they are |
//! | thinking in the history | dropped, or `reasoning_content` where the target wants its own back |
//! | deferred tools | left out until a `tool_reference`, a `tool_addition` or a call names them |
//! | names over 64 characters | shortened, see [`names`](crate::llm::names) |
//! | stop sequences over the target's number | enforced by the writers of [`said`](crate::llm::said) |
//! | `cache_control` | breakpoints where the target has them, else its own prefix cache |
//! | documents, search results | text; a PDF is a file where the target takes files, else refused |
//! | tools that Anthropic runs | refused with their name, unless the gateway sees to them |
//! | `safeguards`, `mcp_servers` | refused with their name: they promise what nobody would do |
//! | accounts and terms of Anthropic's | dropped with a note |
//! | fields that nobody knows | refused with their name, or dropped with a note, as [`Target`] says |
//!
//! The translated bytes of a conversation begin with those of the conversation one turn before up to the end
//! of its messages, so that prompt caches hold: `messages` stand last, and tools that are found are added
//! behind those that were there.

mod answer;
mod chunk;
mod error;
pub(super) mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub(super) mod parts;
pub(super) mod request;
mod stream;
mod target;
#[cfg(test)]
mod tests;
pub(super) mod tools;
pub(super) mod turns;

pub use answer::read as read_answer;
pub use chunk::Reading;
pub use error::read as read_error;
pub use request::{Translated, translate};
pub use stream::StreamReader;
pub use target::{CacheMarks, MaxTokensField, MidSystem, SystemRole, Target, UnknownFields};

/// What stands in signatures of thinking that came by this dialect.
pub const ORIGIN: &str = "openai-chat";
