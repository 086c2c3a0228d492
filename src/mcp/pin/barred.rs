//! The tools of one server that cannot be called, as its lists carry them to views.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Why tools of a server cannot be called, by the server's names of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Barred {
    /// Those that are listed as they were pinned.
    pub held: BTreeMap<String, Arc<str>>,
    /// Those that are not listed.
    pub unlisted: BTreeMap<String, Arc<str>>,
}

impl Barred {
    /// Whether all of its tools can be called.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.unlisted.is_empty()
    }
}
