//! What words mean, by a table of static embeddings: finds tools that say it in other words.
//!
//! A table has a vector for each piece of a word. A text is the sum of its pieces' vectors, each by how rare
//! the piece is among the tools, and two texts are alike where the angle between their sums is small. No
//! model runs. The table and its tokenizer are files that the config names, of the form of `wordllama`'s
//! (Lee Miller, MIT licence): safetensors with one tensor, and a `tokenizer.json` of byte pair encoding with
//! a mark before each word.
//!
//! A build without the feature `embedding` leaves it out and says so where a config names a table.

mod fault;

#[cfg(feature = "embedding")]
mod embedding;
#[cfg(feature = "embedding")]
pub mod fuzz;
#[cfg(feature = "embedding")]
mod meanings;
#[cfg(feature = "embedding")]
mod pieces;
#[cfg(feature = "embedding")]
mod table;

#[cfg(not(feature = "embedding"))]
mod left_out;

#[cfg(test)]
#[cfg(feature = "embedding")]
pub(crate) mod tests;

pub use fault::{Fault, TokenizerFault, WeightsFault};

#[cfg(feature = "embedding")]
pub use embedding::Embedding;
#[cfg(feature = "embedding")]
pub(super) use meanings::{Gathered, Meanings};

#[cfg(not(feature = "embedding"))]
pub use left_out::Embedding;
#[cfg(not(feature = "embedding"))]
pub(super) use left_out::{Gathered, Meanings};
