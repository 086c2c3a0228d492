//! Google's Gemini by `generateContent`, at the Gemini API and on Vertex, as target of a conversation.
//!
//! Follows ai.google.dev/api/generate-content, the pages on thought signatures, function calling and
//! thinking, and the types of google-genai 3.4 (read 2026-11). Where models differ, [`Target`] says how.
//!
//! What becomes of what the dialect has nothing for:
//!
//! | of a request | treatment |
//! |---|---|
//! | attribution block of Claude Code | dropped: it is for Anthropic alone, and new in each conversation |
//! | `system` turns in between | parts of the user's in a constant frame, in their place |
//! | turns of one side in a row | one content |
//! | results of tools | `functionResponse` in the order of the calls, with names; errors as `error` |
//! | images and files in results | inside of them, or behind them where the model takes none there |
//! | images and files at addresses | `fileData`, when the address says what they are |
//! | signatures of calls | in the thinking before them, see `carried.rs`; else the API's own word |
//! | other thinking in the history | dropped |
//! | deferred tools | left out until a `tool_reference`, a `tool_addition` or a call names them |
//! | names that the dialect does not take | shortened, see [`names`](crate::llm::names) |
//! | schemas | as they are, or in the API's subset of OpenAPI with a note of what that cannot say |
//! | `disable_parallel_tool_use` | dropped with a note |
//! | stop sequences over the target's number | enforced by the writers of [`said`](crate::llm::said) |
//! | thinking and effort | `thinkingLevel` or `thinkingBudget`, brought within what the model has |
//! | `cache_control` | the API keeps prefixes by itself |
//! | documents, search results | text; a PDF is inline data where the model reads files, else refused |
//! | Anthropic's search of the web | `googleSearch`; refused beside functions, or with domains |
//! | other tools that Anthropic runs | refused with their name, unless the gateway sees to them |
//! | `safeguards`, `mcp_servers` | refused with their name: they promise what nobody would do |
//! | accounts and terms of Anthropic's | dropped with a note |
//! | fields that nobody knows | refused with their name, or dropped with a note, as [`Target`] says |
//!
//! Of an answer, signatures of texts are left out, which the API does not ask for; a search of the web, of
//! which the API tells at the end, stands behind the text; and an end by a stop sequence is told as the end
//! of the turn, since the API does not tell them apart.
//!
//! The translated bytes of a conversation begin with those of the conversation one turn before up to the end
//! of its contents, so that prompt caches hold.

mod answer;
mod carried;
mod chunk;
mod count;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod parts;
mod request;
mod schema;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod tools;
mod turns;

pub use answer::read as read_answer;
pub use chunk::Reading;
pub use count::{count_body, count_path, read_count};
pub use error::{read as read_error, retry_after_ms};
pub use request::{path, translate};
pub use stream::StreamReader;
pub use target::{Target, Thinking};

pub use crate::llm::foreign::{Translated, UnknownFields};

/// What stands in signatures of thinking that came by this dialect, where the target has no other word.
pub const ORIGIN: &str = "gemini";
