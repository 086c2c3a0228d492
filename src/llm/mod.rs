//! What the gateway understands of models' dialects: pure readers and writers of bytes.
//!
//! Anthropic's dialect is the common form. Nothing here rewrites what passes; readers look at a stream or an
//! answer as it goes by and keep a few numbers and names of it.

pub mod action;
pub mod anthropic;
pub mod demo;
mod members;
mod shell;
#[cfg(test)]
mod tests;
pub mod usage;
