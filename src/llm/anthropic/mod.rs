//! Anthropic's Messages API, as documented at docs.claude.com/en/api/messages (read 2026-11).

pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod gather;
pub mod guard;
pub mod hosted;
pub mod request;
pub mod response;
pub mod stream;
pub mod strip;
#[cfg(test)]
mod tests;
pub mod tools;
