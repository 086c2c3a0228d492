//! From what a person writes to what the process runs on.
//!
//! One YAML file is read, checked and resolved as a whole: either there is a `Snapshot`, or there is a list
//! of all faults, each with file, line and column. The way: `yaml` (text to marked tree), `reader` (tree to
//! typed values), `file` (what a person wrote), `resolve` (references, secrets, defaults), `snapshot`.
//! The only folder that reads the environment.

mod base_url;
mod books;
mod books_file;
mod confines_file;
mod defaults;
mod environment;
mod file;
pub mod heads;
mod mcp_file;
mod mcp_json;
mod mcp_servers;
mod network_file;
mod openapi;
mod providers;
mod proxy;
mod reader;
mod resolve;
mod secrets;
mod template;
mod yaml;

pub mod atomic;
pub mod faults;
pub mod key_changes;
pub mod key_file;
pub mod load;
pub mod outline;
pub mod reload;
pub mod shown;
pub mod shown_books;
pub mod shown_mcp;
pub mod snapshot;

#[cfg(any(test, fuzzing))]
pub mod fuzz;

#[cfg(test)]
mod tests;
