//! May they? Rules in, a permit or a denial out.
//!
//! A `Permit` can be made here only, and every call to an upstream asks for one: a forgotten check does not
//! compile. Nothing here reads a clock, a file or a socket.
//!
//! What people write, in the config or in Cedar files beside it, becomes Cedar policies (`readable`, `raw`)
//! over the words of one schema (`words`). Cedar is asked about one principal and those policies alone that
//! can be about it (`rights`): each list that is written has to permit a call, that of the key and that of
//! its team, and nothing may forbid it. What it says is remembered by each thread for itself (`table`).

pub mod alias;
pub mod core_tools;
pub mod decide;
mod depth;
mod flat;
pub mod guards;
pub mod input;
mod named;
pub mod raw;
mod readable;
pub mod residency;
pub mod rights;
pub mod rules;
mod subject;
pub mod table;
pub mod words;

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
