//! Sockets, TLS, timers, child processes, and the two engines behind one face.
//!
//! The only folder that names an I/O engine or `rustls`. It knows bytes, addresses and deadlines, and
//! nothing of HTTP. `tokio-uring` is not maintained any more, so nothing outside this folder can tell
//! which engine it runs on, and another ring driver could replace it without being noticed.

pub mod again;
pub mod buffer;
pub mod child;
pub mod confine;
pub mod connect;
pub mod deadline;
pub mod dns;
pub mod engine;
mod epoll;
pub mod lines;
pub mod listener;
pub mod outgoing;
pub mod reach;
pub mod runtime;
mod session;
pub mod stream;
pub mod terminal;
pub mod tls;
mod uring;

#[cfg(test)]
mod tests;
