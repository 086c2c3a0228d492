//! Between the eras: what one side said, in words that the other understands.
//!
//! Functions over the bytes of one message's parts: `params`, `result`, `error`. Members are added, taken out
//! and replaced at the top; values that stay have their own bytes. Who is asked, and who waits for whom, is
//! decided by the gateway.

pub mod capabilities;
pub mod errors;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod levels;
mod members;
pub mod opening;
pub mod results;
pub mod rounds;
pub mod tasks;
#[cfg(test)]
mod tests;

pub use members::Fault;
pub(crate) use members::Members;
