//! May they? Rules in, a permit or a denial out.
//!
//! A `Permit` can be made here only, and every call to an upstream asks for one: a forgotten check does not
//! compile. Nothing here reads a clock, a file or a socket.

pub mod decide;
pub mod guards;
pub mod input;
pub mod rules;

#[cfg(test)]
mod tests;
