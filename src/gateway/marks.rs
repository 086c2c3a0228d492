//! Which tools each caller was last told to ask a person about.
//!
//! A client asks where the list that it holds says so. When rules come to demand it of a tool that a client
//! has listed before, that client would call it unasked: so what it was told is remembered, and it has to
//! list again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use crate::identity::principal::Principal;
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::view::View;

/// The tools that the list of one caller marks, by the names that it calls them by; none before it has
/// listed.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(Option<Arc<[Box<str>]>>);

impl Marks {
    /// The caller gets a page of the tools of this view; `first` where it is the first.
    pub(super) fn listed(&mut self, view: &View, first: bool) {
        let new = view.marked();
        match &self.0 {
            _ if first => self.0 = Some(Arc::clone(new)),
            Some(old) if Arc::ptr_eq(old, new) => {}
            // Pages of two lists: it may hold either's word for a tool.
            Some(old) => self.0 = Some(old.iter().filter(|name| has(new, name)).cloned().collect()),
            None => {}
        }
    }

    /// Whether it was told to ask about this tool.
    pub(super) fn has(&self, tool: &str) -> bool {
        self.0.as_ref().is_some_and(|marked| has(marked, tool))
    }
}

fn has(marked: &[Box<str>], tool: &str) -> bool {
    marked.binary_search_by(|name| (**name).cmp(tool)).is_ok()
}

/// The key that calls, and the server that the address names.
type Holder = (Arc<str>, Option<ServerName>);

/// The marks of callers without sessions, for all cores: by key, as the last of its clients has listed. Lists
/// of tools, and calls of tools that somebody has to be asked about, take one of its locks for a moment; no
/// other call does.
#[derive(Debug)]
pub(super) struct Marked {
    shards: Vec<Mutex<HashMap<Holder, Marks>>>,
}

impl Default for Marked {
    fn default() -> Self {
        Self { shards: (0..limits::MCP_MARKS_SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Marked {
    /// See `Marks::listed`.
    pub(super) fn listed(&self, who: &Principal, scope: Option<&ServerName>, view: &View, first: bool) {
        self.with(who, |held| {
            let holder = (Arc::clone(&who.key_id), scope.cloned());
            if held.len() >= limits::MCP_MARKS_OF_SHARD_MAX && !held.contains_key(&holder) {
                // They have to list once more before they call what has to be asked about.
                held.clear();
            }
            held.entry(holder).or_default().listed(view, first);
        });
    }

    /// See `Marks::has`.
    pub(super) fn has(&self, who: &Principal, scope: Option<&ServerName>, tool: &str) -> bool {
        let found = self.with(who, |held| {
            held.get(&(Arc::clone(&who.key_id), scope.cloned())).is_some_and(|marks| marks.has(tool))
        });
        found.unwrap_or_default()
    }

    fn with<T>(&self, who: &Principal, act: impl FnOnce(&mut HashMap<Holder, Marks>) -> T) -> Option<T> {
        let place = usize::try_from(xxh3_64(who.key_id.as_bytes())).unwrap_or_default();
        let shard = self.shards.get(place % self.shards.len().max(1))?;
        Some(act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ToolMode;
    use crate::ids::KeyName;
    use crate::mcp::view::{Plan, Scope};

    fn view(marked: &[&str]) -> View {
        let scope = Scope::All { endpoint_key: "t" };
        let plan =
            Plan { parts: &[], scope, allow: None, mode: ToolMode::default(), is_core: None, ttl_ms: 0 };
        View::new(&plan).with_marked(marked)
    }

    #[test]
    fn a_caller_knows_the_marks_of_its_last_whole_list() {
        let mut marks = Marks::default();
        assert!(!marks.has("a"), "it has listed nothing");
        let (one, other) = (view(&["a", "b"]), view(&["b", "c"]));
        marks.listed(&one, false);
        assert!(!marks.has("a"), "a later page without a first");
        marks.listed(&one, true);
        marks.listed(&one, false);
        assert_eq!(["a", "b", "c"].map(|tool| marks.has(tool)), [true, true, false]);
        marks.listed(&other, false);
        assert_eq!(["a", "b", "c"].map(|tool| marks.has(tool)), [false, true, false]);
        marks.listed(&other, true);
        assert_eq!(["a", "b", "c"].map(|tool| marks.has(tool)), [false, true, true]);
    }

    #[test]
    fn keys_and_addresses_have_marks_of_their_own() {
        let who = |id: &str| Principal::of_key(KeyName::new("k"), id);
        let (one, other) = (who("0123456789ab"), who("0123456789ac"));
        let (marked, server) = (Marked::default(), ServerName::new("s"));
        marked.listed(&one, None, &view(&["a"]), true);
        assert!(marked.has(&one, None, "a") && !marked.has(&one, None, "b"));
        assert!(!marked.has(&other, None, "a") && !marked.has(&one, Some(&server), "a"));
        marked.listed(&one, None, &view(&[]), true);
        assert!(!marked.has(&one, None, "a"), "the last list does not say so");
    }
}
