//! Makes results of tools smaller by order of the config, on their way to the caller.

use std::sync::Arc;

use crate::clock;
use crate::gateway::hub::ask::Final;
use crate::gateway::leftovers::{Leftovers, Whose};
use crate::gateway::showcase::Showcase;
use crate::ids::ServerName;
use crate::mcp::lean::results::{self, Rule};
use crate::mcp::message;
use crate::mcp::view::Entry;

/// What is done to the result of one call.
#[derive(Debug)]
pub(super) struct Trim {
    rule: Arc<Rule>,
    key_id: Arc<str>,
    of: Whose,
    leftovers: Arc<Leftovers>,
}

impl Trim {
    /// What the config says of a tool; nothing where it says nothing.
    pub(super) fn new(
        entry: &Entry,
        server: &ServerName,
        key_id: &Arc<str>,
        showcase: &Showcase,
    ) -> Option<Self> {
        let rule = Arc::clone(entry.results.as_ref()?);
        let of = Whose { server: server.clone(), tool: entry.definition.key().to_owned() };
        Some(Self { rule, key_id: Arc::clone(key_id), of, leftovers: Arc::clone(&showcase.leftovers) })
    }

    /// The last message of a call with its result trimmed, and what the ledger is told; nothing where there
    /// is nothing to trim, or it is no result that can be read.
    pub(super) fn last(&self, last: &Final) -> Option<(String, Vec<u8>)> {
        let body = &last.body;
        let span = message::read(body).ok()?.result?;
        let part = body.get(span.clone())?;
        let trimmed = results::trim(part, &self.rule).ok().filter(|trimmed| !trimmed.is_unchanged())?;
        let now = clock::now();
        // What cannot be kept is not cut: nothing is lost without a word.
        let handles: Option<Vec<String>> = trimmed
            .kept()
            .iter()
            .map(|kept| self.leftovers.keep(&self.key_id, &self.of, kept.clone(), now))
            .collect();
        let handles = handles?;
        let handles: Vec<&str> = handles.iter().map(String::as_str).collect();
        let new = trimmed.write(&handles).ok()?;
        let mark = format!("trimmed result to {} of {} bytes", new.len(), part.len());
        let (before, after) = (body.get(..span.start)?, body.get(span.end..)?);
        Some((mark, [before, &new, after].concat()))
    }
}
