//! Makes results of tools smaller by order of the config, on their way to the caller.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::clock;
use crate::gateway::hub::ask::Final;
use crate::gateway::leftovers::{Leftovers, Whose};
use crate::gateway::showcase::Showcase;
use crate::ids::ServerName;
use crate::mcp::lean::results::{self, Digest, Kept, Known, Origin, Rule, Texts, Trimmed};
use crate::mcp::message;
use crate::mcp::view::Entry;

/// What is done to the result of one call.
#[derive(Debug)]
pub(super) struct Trim {
    rule: Arc<Rule>,
    key_id: Arc<str>,
    of: Whose,
    leftovers: Arc<Leftovers>,
    /// What the session of the call was given before, and what the call is known by in it.
    session: Option<(Rc<RefCell<Texts>>, Origin)>,
}

impl Trim {
    /// What the config says of a tool; nothing where it says nothing.
    pub(super) fn new(
        entry: &Entry,
        server: &ServerName,
        key_id: &Arc<str>,
        showcase: &Showcase,
    ) -> Option<Self> {
        let rule = Arc::clone(entry.results.as_ref().filter(|rule| rule.reads_results())?);
        let of = Whose { server: server.clone(), tool: entry.definition.key().to_owned() };
        let (key_id, leftovers) = (Arc::clone(key_id), Arc::clone(&showcase.leftovers));
        Some(Self { rule, key_id, of, leftovers, session: None })
    }

    /// The same in a session, which is referred to what it was given before.
    pub(super) fn in_session(self, texts: &Rc<RefCell<Texts>>, origin: Origin) -> Self {
        Self { session: Some((Rc::clone(texts), origin)), ..self }
    }

    /// The last message of a call with its result trimmed, and what the ledger is told; nothing where there
    /// is nothing to trim, or it is no result that can be read.
    pub(super) fn last(&self, last: &Final) -> Option<(String, Vec<u8>)> {
        let body = &last.body;
        let span = message::read(body).ok()?.result?;
        let part = body.get(span.clone())?;
        let now = clock::now();
        let earlier = |digest: &Digest| {
            let (texts, origin) = self.session.as_ref()?;
            texts.borrow().earlier(digest, origin, now)
        };
        let known = self.session.is_some().then_some(&earlier as Known<'_>);
        let trimmed = results::trim_in_session(part, &self.rule, known).ok()?;
        let written = self.written(&trimmed, now);
        self.note(&trimmed, written.as_ref().map(|(_, handles)| handles.as_slice()), now);
        let (new, _) = written?;
        let what = if trimmed.referred().is_empty() { "trimmed" } else { "referred to an earlier" };
        let mark = format!("{what} result to {} of {} bytes", new.len(), part.len());
        let (before, after) = (body.get(..span.start)?, body.get(span.end..)?);
        Some((mark, [before, &new, after].concat()))
    }

    /// The result as it is shown, and the handles of what is kept of it; nothing where it stays as it came.
    fn written(&self, trimmed: &Trimmed<'_>, now: Instant) -> Option<(Vec<u8>, Vec<String>)> {
        if trimmed.is_unchanged() {
            return None;
        }
        let keep = |(place, kept): (usize, &Kept)| {
            let known = self.known(trimmed, place, now);
            known.or_else(|| self.leftovers.keep(&self.key_id, &self.of, kept.clone(), now))
        };
        // What cannot be kept has no handle and is not cut: nothing is lost without a word.
        let handles = trimmed.kept().iter().enumerate().map(|one| keep(one).unwrap_or_default());
        let handles: Vec<String> = handles.collect();
        let names: Vec<&str> = handles.iter().map(String::as_str).collect();
        let new = trimmed.write(&names).ok()?;
        Some((new, handles))
    }

    /// The handle of what is to be kept, where it is kept already: the session was referred to it before.
    fn known(&self, trimmed: &Trimmed<'_>, place: usize, now: Instant) -> Option<String> {
        let (digest, _) = trimmed.referred().iter().find(|(_, kept)| *kept == place)?;
        let (texts, _) = self.session.as_ref()?;
        let handle = texts.borrow().handle(digest)?.to_owned();
        self.leftovers.renew(&self.key_id, &self.of, &handle, now).then_some(handle)
    }

    /// Notes what the session is given by a result, and what it is referred to under which of these handles;
    /// without them it is given all of it.
    fn note(&self, trimmed: &Trimmed<'_>, handles: Option<&[String]>, now: Instant) {
        let Some((texts, origin)) = &self.session else { return };
        let mut texts = texts.borrow_mut();
        for digest in trimmed.given() {
            texts.give(*digest, origin, now);
        }
        for (digest, place) in trimmed.referred() {
            match handles.and_then(|handles| handles.get(*place)).filter(|handle| !handle.is_empty()) {
                Some(handle) => texts.refer(digest, handle),
                None => texts.give(*digest, origin, now),
            }
        }
    }
}
