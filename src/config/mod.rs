//! From what a person writes to what the process runs on.
//!
//! One YAML file is read, checked and resolved as a whole: either there is a `Snapshot`, or there is a list
//! of all faults, each with file, line and column. The way: `yaml` (text to marked tree), `reader` (tree to
//! typed values), `file` (what a person wrote), `resolve` (references, secrets, defaults), `snapshot`.
//! The only folder that reads the environment.

mod base_url;
mod books;
mod books_file;
pub mod cache_file;
pub mod cloud_file;
mod confines_file;
mod core_tools;
pub mod credentials;
mod credentials_file;
mod defaults;
mod dialect_file;
mod embedding_file;
mod environment;
mod file;
pub mod guard_file;
pub mod heads;
pub mod homes;
pub mod identity;
mod identity_file;
mod mcp_file;
mod mcp_json;
mod mcp_servers;
mod models_file;
mod network_file;
mod openapi;
mod places_file;
mod policies;
mod policy_file;
mod providers;
mod proxy;
mod reader;
mod resolve;
mod results_file;
mod routes_file;
mod routing;
mod secrets;
mod speeches;
mod template;
mod tool_modes;
mod yaml;

pub mod atomic;
pub mod faults;
pub mod key_changes;
pub mod key_file;
pub mod key_terms;
pub mod load;
pub mod outline;
pub mod pin_file;
pub mod pinning;
pub mod reload;
pub mod shown;
pub mod shown_books;
pub mod shown_identity;
pub mod shown_mcp;
pub mod shown_places;
pub mod shown_policy;
pub mod shown_routes;
pub mod snapshot;

#[cfg(any(test, fuzzing))]
pub mod fuzz;

#[cfg(test)]
mod tests;
