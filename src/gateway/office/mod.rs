//! `/admin` as far as it changes things: who may come in, the file work on a thread of its own, changes that
//! are answered once they are in force.

pub(super) mod change;
pub(super) mod door;
pub(super) mod keys;
mod masks;
pub(super) mod registrar;
pub(super) mod settings;
pub(super) mod tools;
