//! Loading a config: from a path to everything that the process needs to start.

use std::path::{Path, PathBuf};

use crate::config::faults::Faults;
use crate::config::snapshot::{Fixed, Snapshot};
use crate::secret::Secret;

/// A config that has been read, checked and resolved.
#[derive(Debug)]
pub struct Loaded {
    /// What only a restart can change.
    pub fixed: Fixed,
    /// What a reload may change.
    pub snapshot: Snapshot,
    /// Lines that people should read, none of which stops us.
    pub warnings: Vec<String>,
    /// The text of the key that was made because there was none: to be printed once, now.
    pub first_key: Option<Secret>,
    /// The files whose change should lead to a reload.
    pub watched: Vec<PathBuf>,
}

/// Reads the config at `path`; without one `./tollgate.yaml`, or the embedded defaults where there is none.
/// Makes and stores a first key where no key is valid.
///
/// # Errors
/// Every fault of the config, together.
pub fn load(path: Option<&Path>) -> Result<Loaded, Faults> {
    let name = path.map_or_else(|| "tollgate.yaml".to_owned(), |path| path.display().to_string());
    Err(Faults::of_file(&name, "configs cannot be read yet"))
}
