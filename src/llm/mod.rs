//! What the gateway understands of models' dialects: pure readers and writers of bytes.
//!
//! Anthropic's dialect is the common form. Nothing of it is rewritten where it passes from end to end;
//! readers look at a stream or an answer as it goes by and keep a few numbers and names of it.
//!
//! Where the target speaks another dialect, [`conversation`] reads the request, a folder of the target's name
//! writes it anew and reads what comes back as the neutral events of [`said`], and those are written in
//! Anthropic's form again. What could not be carried over stands in a list of [`loss`]es, or is refused.

pub mod action;
pub mod anthropic;
pub mod anthropic_lenient;
pub mod bedrock;
pub mod cloud_caller;
pub mod conversation;
pub mod count;
pub mod demo;
pub mod foreign;
pub mod gemini;
pub mod inward;
pub mod loss;
mod members;
pub mod names;
pub mod openai_chat;
pub mod openai_responses;
pub mod said;
mod shell;
pub mod signature;
pub mod speech;
#[cfg(test)]
mod tests;
pub mod usage;
pub mod vertex;
pub mod written;
