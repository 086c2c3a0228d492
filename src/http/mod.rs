//! HTTP/1.1 as bytes: heads, bodies and their framing, for both sides of the gateway.
//!
//! Pure functions over buffers that somebody else owns, after RFC 9110 and RFC 9112. A head is parsed into
//! spans, so nothing is copied and nothing is allocated from the second request of a connection on. Whatever
//! two implementations could read in two ways is refused by name ([`refusal::Refusal`]) and never forwarded.
//!
//! What this folder does not do: wait, connect, count money, know a provider. HTTP/2 is not spoken.

pub mod body;
pub mod date;
pub mod encode;
mod framing;
pub mod head;
pub mod headers;
pub mod refusal;
pub mod sse;

#[cfg(any(test, fuzzing))]
pub mod fuzz;

#[cfg(test)]
mod tests;
