//! The ledger: every call once, in an order that nobody can change unseen.
//!
//! A core appends records to its journal, a file in its memory. One thread takes them from there into
//! segments, where each record is bound to all before it by a chain of hashes and a tree, and signs what the
//! tree is from time to time. Nothing here waits for anything but the disk, and no time is read but by that
//! thread.

pub mod encode;
pub mod entry;
pub mod note;
pub mod record;
mod view;

// From a core to the disk.
pub(crate) mod background;
mod chain;
pub mod delivered;
mod files;
mod frame;
pub mod heads;
pub mod journal;
pub mod live;
mod map;
mod pack;
mod recover;
mod retain;
pub mod segment;
pub mod settings;
mod tail;
pub mod tree;
mod writer;

// And back.
pub mod follow;
pub mod index;
pub mod parquet;
pub mod prove;
pub mod verify;

// What was said, and what must not be written.
pub mod content;
pub mod redact;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
pub(crate) mod tests;
