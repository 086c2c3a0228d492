//! .

pub mod sse;
