//! Puts the stages together: from an accepted connection to the last byte of an answer.
//!
//! Every other folder knows one thing; this one knows their order. It decides nothing itself.

pub mod accounts;
mod books;
mod budget;
mod caller;
mod charge;
mod classify;
mod clerk;
mod connection;
mod contents;
pub mod control;
mod direct;
mod herald;
mod hub;
mod log;
mod offers;
mod office;
mod published;
mod record;
mod request_body;
mod serve_admin;
mod serve_demo;
mod serve_llm;
mod serve_mcp;
mod serve_models;
mod serve_platform;
mod showcase;
pub mod start;
mod stream_back;
pub mod survey;
mod today;
mod worker;

#[cfg(test)]
mod tests;
