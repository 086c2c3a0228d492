//! What the translators to all foreign dialects have in common: what is not about the form of one of them.
//!
//! A dialect's folder says what its items and chunks look like. Here stands what is the same whoever is
//! spoken to: texts of blocks that have no other form, fields that are dropped or refused, tools that are
//! deferred, efforts, calls and their results, counts of tokens, errors, and the frame of a stream.

pub(super) mod calls;
pub(super) mod counts;
pub(super) mod effort;
pub(super) mod error;
pub(super) mod fields;
pub(super) mod parts;
pub(super) mod request;
pub(super) mod stream;
pub(super) mod target;
pub(super) mod text;
pub(super) mod tools;

pub use fields::UnknownFields;
pub use request::Translated;
pub use target::{CacheMarks, MidSystem, SystemRole};

/// What Claude Code puts in front of its instructions for Anthropic's accounting.
const ATTRIBUTION: &[u8] = b"x-anthropic-billing-header:";

/// What stands in front of the result of a tool that failed, where the dialect has no field for it.
pub(super) const FAILED: &str = "[tool error] ";

/// What stands for the result of a call that has none.
pub(super) const NO_RESULT: &str = "[no result]";
