//! Tools and results in fewer tokens: what may be left out without a loss, and what by order of the config.
//!
//! | file | what |
//! |---|---|
//! | `schema/` | a schema that accepts what the original accepts, in fewer bytes |
//! | `brief.rs` | the first sentence of each description, and types |
//! | `signature.rs` | one line a tool |
//! | `stub.rs` | the same as a function for scripts |
//! | `shape.rs` | what of it one definition gets in each mode, made once |
//! | `cost.rs` | tokens of a definition in each of its forms |
//! | `session.rs` | what they cost in a session with a prompt cache, a usual one or one that there was |
//! | `results/` | results: smaller notation, chosen fields, rows and lengths with the rest kept |
//!
//! All of it works on bytes as a server wrote them, and gives the original back where it finds something
//! that it does not understand.

pub mod brief;
pub mod cost;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod published;
pub mod results;
pub mod schema;
pub mod sentence;
pub mod session;
pub mod shape;
pub mod signature;
pub mod stub;
