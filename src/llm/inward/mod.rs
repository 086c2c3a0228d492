//! OpenAI's dialects as callers speak them: their requests in, the answers back to them.
//!
//! Follows platform.openai.com/docs/api-reference and the types of openai-python 3.54 (read 2026-11). A
//! request is read once and written as one for `/v1/messages`, so that policy, meter, routes and every
//! dialect of a provider know one form. What a provider answers is in that form, too, when a [`Voice`] says
//! it in the caller's dialect, while it comes.
//!
//! Where a provider speaks the caller's own dialect nothing of this is sent, and nothing of it is written
//! when all who can be asked do and no rule or guard has to read it: [`passing`] has the few bytes of the
//! caller's body that change, and an [`Along`] reads what the answer says of itself.
//!
//! | of a request | treatment |
//! |---|---|
//! | instructions in between | text of the user in a constant frame, behind the results of tools |
//! | turns of one speaker in a row | one turn, results of tools first |
//! | no bound of the answer | `limits::INWARD_OUTPUT_TOKENS`, since Anthropic's form has to have one |
//! | `temperature` over 1 | brought down to 1; 1 itself, the default of both, is left out |
//! | `minimal` effort | `low`; `none` switches thinking off |
//! | `user`, `metadata`, `store`, `seed`, keys of caches, tiers | dropped with a note |
//! | several answers, log probabilities, penalties, sound, state at the provider | refused with their name |
//! | tools that OpenAI runs, tools with free text | refused with their name |
//! | `json_object` | refused: a JSON schema is needed |
//! | what nobody knows | refused with its name |
//!
//! | `reasoning` with sealed content of ours | thinking under its signature; of others dropped with a note |
//! | `reasoning_content` | dropped with a note: nobody takes thinking back that is not signed |
//!
//! Of an answer, thinking is told as `reasoning_content` in Chat Completions, as servers of open models name
//! it, and in Responses as `reasoning` items, with what brings it back where the caller has asked to
//! `include` that.

mod along;
mod chat;
mod error;
mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod hide;
mod native;
mod parts;
pub mod passing;
mod responses;
#[cfg(test)]
mod tests;
mod thoughts;
mod tools;
mod turns;
mod voice;

pub use along::Along;
pub use error::{write as write_error, write_event as write_error_event};
pub use native::Native;
pub use thoughts::without as without_thoughts;
pub use voice::{Setup, Voice};

use crate::llm::conversation::Refusal;
use crate::llm::loss::Losses;

/// What a caller speaks that does not speak Anthropic's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Chat Completions.
    Chat,
    /// Responses.
    Responses,
}

/// A request in Anthropic's form.
#[derive(Clone, Debug)]
pub struct Inward {
    /// A body for `/v1/messages`.
    pub body: Vec<u8>,
    /// What could not be carried over as it was.
    pub losses: Losses,
}

/// Reads a request and writes it in Anthropic's form.
///
/// # Errors
/// A [`Refusal`] that names the field as the caller's dialect does.
pub fn read(dialect: Dialect, body: &[u8]) -> Result<Inward, Refusal> {
    match dialect {
        Dialect::Chat => chat::read(body),
        Dialect::Responses => responses::read(body),
    }
}
