//! Scripts that models write, run in a process of their own: the frames that go in and out, and the engine.
//!
//! | file | what |
//! |---|---|
//! | `frames.rs` | what a worker is told and what it says, one line of JSON each |
//! | `worker.rs` | the worker's end of that, with its bounds |
//! | `engine.rs` | QuickJS, and the loop that runs a script until it waits, and lets it go on |
//! | `prelude.js` | what a script finds: `tools`, `console` |
//!
//! The other end is the gateway's, which believes a worker nothing: a script that takes its engine over has a
//! process that can neither open nor send anything, and may ask for calls, as the script may.

mod engine;
pub mod frames;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod tests;
pub mod worker;
