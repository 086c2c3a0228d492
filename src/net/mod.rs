//! Sockets, TLS, timers and the two engines behind one face.
//!
//! The only folder that names an async runtime, `io_uring` or `rustls`. It knows bytes, addresses and
//! deadlines, and nothing of HTTP.

pub mod engine;
pub mod tls;
