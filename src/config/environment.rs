//! The environment of the process, or one that a test gives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where variables come from and where relative paths begin when there is no config file.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    given: Option<BTreeMap<String, String>>,
    folder: PathBuf,
}

impl Environment {
    /// The environment and working folder of this process.
    pub(crate) fn of_process() -> Self {
        Self::default()
    }

    /// Exactly these variables, and `folder` in place of the working folder.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn given(variables: &[(&str, &str)], folder: &Path) -> Self {
        let given = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { given: Some(given), folder: folder.to_owned() }
    }

    /// The value of a variable; `None` when it is not set or not UTF-8.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub(crate) fn read(&self, name: &str) -> Option<String> {
        match &self.given {
            Some(given) => given.get(name).cloned(),
            None => std::env::var(name).ok(),
        }
    }

    /// The value of a variable, if it is set to something.
    pub(crate) fn read_set(&self, name: &str) -> Option<String> {
        self.read(name).filter(|value| !value.is_empty())
    }

    /// The folder in which relative paths begin.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}
