//! The Model Context Protocol as functions over bytes: messages, both eras, the catalog of tools.
//!
//! Two eras are spoken. *Legacy* are the revisions 2024-11-05 to 2025-11-25, which open a session by
//! `initialize`; *modern* is 2026-07-28, where every request says what it needs to be understood. What passes
//! through is never decoded and encoded again: messages are read as spans and changed by splicing, so that
//! `arguments` and `result` leave as they came.
//!
//! Follows the specification at modelcontextprotocol.io, all five revisions (read 2026-11). Nothing here
//! waits, reads a clock or knows a socket.

pub mod auto;
pub mod bridge;
pub mod cache;
pub mod canonical;
pub mod changes;
pub mod code;
pub mod definition;
pub mod diff;
pub mod doors;
pub mod edit;
pub mod fault;
pub mod headers;
pub mod hints;
pub mod lean;
pub mod list;
pub mod message;
mod meta_marks;
pub mod method;
pub mod mirror;
pub mod names;
pub mod openapi;
pub mod origin;
pub mod param_headers;
pub mod pin;
pub mod presentation;
pub mod repeat;
pub mod routes;
pub mod rpc;
pub mod sealed;
pub mod search;
pub mod store;
pub mod version;
pub mod view;
