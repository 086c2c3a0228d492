//! Servers that speak Anthropic's Messages, but not all of it, as targets of a conversation: llama.cpp, vLLM,
//! SGLang, Ollama, LM Studio and hosted vendors (read 2026-11).
//!
//! They have the form and lack the rest: such servers refuse roles, blocks and tools that they do not know,
//! or leave them out without a word. So what is sent is plain, and what comes back is made right.
//!
//! | of a request | treatment |
//! |---|---|
//! | attribution block of Claude Code | dropped: it is for Anthropic alone, and new in each conversation |
//! | `system` turns in between | text of the user in a constant frame, behind the results of tools |
//! | turns of the user in a row | one turn: results first, then what they hold beside text, then the rest |
//! | `is_error` of a result | stays, with a marker in front of the text: some servers leave it out |
//! | thinking in the history | dropped, or given back where the target wants its own |
//! | deferred tools | left out until a `tool_reference`, a `tool_addition` or a call names them |
//! | `tool_choice` | `none` offers no tools, a name that tool alone, unless the target knows names |
//! | `cache_control` | without its `scope`, where the target has breakpoints, else its own prefix cache |
//! | adaptive thinking, effort | dropped: it thinks as its template has it |
//! | everything else | as for [`openai_chat`](crate::llm::openai_chat) |
//!
//! Of an answer, ids of calls are made such as Anthropic's, blocks come one after the other whatever their
//! order was, and input that stands where a block begins is told as what it is.

mod answer;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod request;
mod target;
#[cfg(test)]
mod tests;
mod tools;
mod turns;

pub use answer::{Reading, StreamReader};
pub use request::translate;
pub use target::Target;

pub use crate::llm::foreign::error::read as read_error;

/// What stands in signatures of thinking that came by this dialect.
pub const ORIGIN: &str = "anthropic-lenient";
