//! The tools that stand in every list of a team. No rule: it decides nothing but what lists look like.

use std::sync::Arc;

use crate::glob::Glob;
use crate::ids::ServerName;

/// Patterns of servers, each with patterns of its tools' own names. A small handle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CoreTools(Arc<[(Glob, Arc<[Glob]>)]>);

impl CoreTools {
    /// Those of these entries.
    pub fn new(entries: impl IntoIterator<Item = (Glob, Arc<[Glob]>)>) -> Self {
        Self(entries.into_iter().collect())
    }

    /// The entries, in written order.
    pub fn entries(&self) -> &[(Glob, Arc<[Glob]>)] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a tool is one of them.
    pub fn has(&self, server: &ServerName, tool: &str) -> bool {
        let own = self.0.iter().filter(|(glob, _)| glob.matches(server.as_str()));
        own.flat_map(|(_, tools)| tools.iter()).any(|glob| glob.matches(tool))
    }
}
