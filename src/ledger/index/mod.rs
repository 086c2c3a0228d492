//! The index: what makes ten million entries searchable, and what nobody would miss for long.
//!
//! The segments are the ledger; this is one SQLite file beside them that can be deleted and built again. What
//! can be asked for has a word in a list of positions, and the entry itself stands in a compressed block,
//! where it is looked at again before it is shown. A position is the number of a record in the chain, so that
//! pages stay where they are while new entries come in.
//!
//! ```text
//! words_N   word or mark -> positions of the newest part of 2^17 records      (FTS5 without contents)
//! page      part, first word or mark -> words and marks with their places     (parts that are whole)
//! once      part, checksum -> places of what comes once or a few times        (ids, prompts)
//! block     first position -> 128 entries, by columns and compressed         (the entries themselves)
//! name      field, number <-> text                                           (each text once)
//! span      4096 positions -> earliest and latest time                       (time to positions)
//! spend     hour, names -> tokens, cost, count                               (sums, never recounted)
//! session   name -> first, last, tokens, cost, count
//! offer     hour, team, server -> definitions of tools, their tokens, those used
//! state     how far the chain has been read: same transaction as the above
//! ```

mod bits;
mod block;
mod columns;
mod fault;
mod fits;
mod gather;
mod lists;
mod names;
mod number;
mod plan;
mod schema;
mod sums;
mod words;

pub mod answer;
pub mod check;
pub mod feed;
pub mod form;
pub mod offers;
pub mod query;
pub mod replay;
pub mod search;
pub mod spend;
pub mod store;
pub mod thread;
pub mod usage;
pub mod when;

#[cfg(test)]
mod tests;

pub use fault::IndexFault;
pub use sums::Sums;
