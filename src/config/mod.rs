//! From what a person writes to what the process runs on.
//!
//! One YAML file is read, checked and resolved as a whole: either there is a `Snapshot`, or there is a list
//! of all faults, each with file, line and column. The only folder that reads the environment.

pub mod faults;
pub mod load;
pub mod reload;
pub mod snapshot;
