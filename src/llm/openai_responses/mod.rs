//! OpenAI's Responses and the servers that are compatible with them, as targets of a conversation.
//!
//! Follows developers.openai.com/api/docs/guides/migrate-to-responses and the types of openai-python 3.54
//! (read 2026-11). Where servers differ, [`Target`] says how, so that adding one is config only. Nothing is
//! stored there: each request has all of the conversation in it and says `store: false`.
//!
//! What becomes of what differs from Anthropic's:
//!
//! | of a request | treatment |
//! |---|---|
//! | attribution block of Claude Code | dropped: it is for Anthropic alone, and new in each conversation |
//! | `system` | `instructions`, or the first item where breakpoints are needed |
//! | `system` turns in between | stay where they are, or become user turns behind the results of tools |
//! | texts and calls of the model | items in the order in which they were |
//! | results of tools | one item each, with images and files in it; `is_error` is a marker in front |
//! | thinking of this provider | `reasoning` items with the encrypted content that our signature carries |
//! | thinking of others | dropped |
//! | deferred tools | left out until they are found; then behind the others, or in an item where found |
//! | schemas of tools | as they are, with `strict: false`: left out, it would mean true |
//! | names over 64 characters | shortened, see [`names`](crate::llm::names) |
//! | stop sequences | enforced by the writers of [`said`](crate::llm::said): the dialect has none |
//! | `cache_control` | breakpoints where the target has them, else its own prefix cache |
//! | web search | the provider's own, and its finds come back as Anthropic's blocks |
//! | compaction | the provider's own; what it makes is carried in a block of the kind |
//! | other tools that Anthropic runs | refused with their name, unless the gateway sees to them |
//! | `safeguards`, `mcp_servers` | refused with their name: they promise what nobody would do |
//! | accounts and terms of Anthropic's | dropped with a note |
//! | fields that nobody knows | refused with their name, or dropped with a note, as [`Target`] says |
//!
//! The translated bytes of a conversation begin with those of the conversation one turn before up to the end
//! of its items, so that prompt caches hold: `input` stands last.

mod answer;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod items;
mod output;
mod request;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod thoughts;
mod tools;
mod writing;

pub use answer::read as read_answer;
pub use output::Reading;
pub use request::translate;
pub use stream::StreamReader;
pub use target::{SystemPlace, Target};
pub use thoughts::origin;

pub use crate::llm::foreign::error::read as read_error;
pub use crate::llm::foreign::{CacheMarks, MidSystem, SystemRole, Translated, UnknownFields};
