//! How much is kept of one server: so many tools and so many bytes of definitions, and what has been gone
//! longest goes first when there is no more room.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits;
use crate::mcp::pin::judge::Sight;
use crate::mcp::pin::{How, Known};

/// The tools of one server.
pub(super) type Tools = BTreeMap<String, Known>;

/// The room that the tools of one server take.
#[derive(Clone, Debug)]
pub(super) struct Room {
    bytes: usize,
    /// What may make room, what has been gone longest last; made when it is first wanted.
    gone: Option<Vec<(u64, String, usize)>>,
}

impl Room {
    /// That of these.
    pub(super) fn of(tools: &Tools) -> Self {
        Self { bytes: tools.values().map(weight).sum(), gone: None }
    }

    /// Makes room for what is listed, and gives what is forgotten for that; `None` where there is none, and
    /// then nothing is forgotten.
    pub(super) fn make(&mut self, tools: &mut Tools, sight: &Sight<'_>) -> Option<Vec<(String, Known)>> {
        let known = tools.get(sight.name);
        let (more, grown) = (usize::from(known.is_none()), growth(known, sight));
        let fits = |count: usize, bytes: usize| {
            count + more <= limits::PIN_TOOLS_OF_SERVER_MAX
                && bytes + grown <= limits::PIN_BYTES_OF_SERVER_MAX
        };
        if more + grown == 0 || fits(tools.len(), self.bytes) {
            return Some(Vec::new());
        }
        let gone = self.gone.get_or_insert_with(|| gone(tools));
        let all: usize = gone.iter().map(|(_, _, weight)| weight).sum();
        if !fits(tools.len().saturating_sub(gone.len()), self.bytes.saturating_sub(all)) {
            return None;
        }
        let mut forgotten = Vec::new();
        while !fits(tools.len(), self.bytes) {
            let (_, name, weight) = gone.pop()?;
            self.bytes = self.bytes.saturating_sub(weight);
            forgotten.extend(tools.remove_entry(&name));
        }
        Some(forgotten)
    }

    /// A tool that had `before` bytes is now as it is.
    pub(super) fn changed(&mut self, before: usize, known: &Known) {
        self.bytes = (self.bytes + weight(known)).saturating_sub(before);
    }
}

/// What its server does not list, what has been gone longest last.
fn gone(tools: &Tools) -> Vec<(u64, String, usize)> {
    let gone = tools.iter().filter_map(|(name, known)| Some((known.gone_ms?, name.clone(), weight(known))));
    let mut gone: Vec<_> = gone.collect();
    gone.sort_unstable_by(|one, other| other.cmp(one));
    gone
}

/// Bytes of the definitions that are kept of a tool.
pub(super) fn weight(known: &Known) -> usize {
    [&known.pinned, &known.proposed].into_iter().flatten().map(|version| version.definition.len()).sum()
}

/// Bytes that what is listed may add.
fn growth(known: Option<&Known>, sight: &Sight<'_>) -> usize {
    let Some(known) = known else { return sight.raw.len() };
    let listed = |version: &crate::mcp::pin::Version| version.definition == sight.raw;
    if [&known.pinned, &known.proposed].into_iter().flatten().any(listed) {
        return 0;
    }
    let proposed = known.proposed.as_ref().map_or(0, |version| version.definition.len());
    sight.raw.len().saturating_sub(proposed)
}

/// Notes which tools a server lists, and since when it does not list others.
pub(super) fn note_gone(tools: &mut Tools, listed: &[Sight<'_>], now_ms: u64) {
    let names: BTreeSet<&str> = listed.iter().map(|sight| sight.name).collect();
    for (name, known) in tools {
        known.gone_ms = match known.gone_ms {
            _ if names.contains(name.as_str()) => None,
            gone => gone.or(Some(now_ms)),
        };
    }
}

/// How a tool stood that is forgotten, and for how long it had been gone; for the ledger.
pub(super) fn told(known: &Known, now_ms: u64) -> String {
    let decided = known.pinned.as_ref().is_some_and(|pinned| pinned.how == How::Approved);
    let decided = if decided { ", approved by an administrator" } else { "" };
    let gone_s = now_ms.saturating_sub(known.gone_ms.unwrap_or(now_ms)) / 1000;
    let state = known.state().word();
    format!("was {state}{decided}; its server had not listed it for {gone_s} s, and lists too many others")
}
