//! What the ledger promises, one file for each of its parts.

mod ages;
mod delivered;
pub(crate) mod faults;
mod full;
mod life;
mod place;
mod proofs;
mod records;
mod rings;
mod samples;
mod trees;
