#![doc = include_str!("ARCHITECTURE.md")]

// Words: no I/O, free to everyone.
pub mod base64;
pub mod call;
pub mod clock;
pub mod error;
pub mod glob;
pub mod ids;
pub mod json;
pub mod limits;
pub mod near;
pub mod scan;
pub mod secret;
pub mod shell;
pub mod tokens;

#[cfg(test)]
mod corpus;

// Protocols: bytes to values and back.
pub mod http;
pub mod llm;
pub mod mcp;

// Decisions: facts in, verdict out.
pub mod identity;
pub mod meter;
pub mod policy;
pub mod route;

// The outside world.
pub mod ledger;
pub mod net;
pub mod script;
pub mod upstream;

// Putting it together.
pub mod admin;
pub mod config;
pub mod gateway;

pub mod cli;
