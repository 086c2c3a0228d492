//! Calls that are answered with what is kept, or together with the same call under way.
//!
//! Rules, pins and scans have had their say of a call before it comes here, and results pass its caller's
//! scan and cuts when they leave, whoever made the call that they come from.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel as bounded};
use tokio::sync::oneshot;

use crate::call::Class;
use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::Leg;
use crate::gateway::hub::run::Run;
use crate::limits;
use crate::mcp::cache::rule::{Rule, Verdict};
use crate::mcp::cache::{Asked, FlightId, Key, Look, Owner};
use crate::mcp::edit::Edits;
use crate::mcp::message;
use crate::mcp::method::Method;

/// One who waits with a call of somebody.
#[derive(Debug)]
pub(super) struct Follower {
    /// What the server says of how far it is, as it came.
    progress: Sender<Bytes>,
    end: oneshot::Sender<End>,
}

/// What became of the call that others waited with.
#[derive(Debug)]
enum End {
    /// This response.
    Response(Bytes),
    /// Its caller has left: one of the others makes it.
    Left,
    /// It was its caller's alone: each makes its own.
    Alone,
}

/// What becomes of a call.
pub(super) enum Found<'h> {
    /// It is answered with this; the word says how, for the ledger and the counters.
    Response(&'static str, Bytes),
    /// It is made; others may join it.
    Own(Option<Lead<'h>>),
    /// Its caller has hung up.
    Gone,
    /// Its caller has cancelled it.
    Cancelled,
}

/// A call that others may join.
pub(super) struct Lead<'h> {
    hub: &'h Hub,
    id: FlightId,
    rule: &'h Rule,
    /// Whether its result is kept beyond the call.
    keeps: bool,
    ended: Cell<bool>,
}

/// What a call has to do with the cache.
struct Part<'h> {
    key: Key,
    owner: Owner,
    rule: &'h Rule,
    keeps: bool,
    /// Whether its caller wants to hear how far it is.
    listens: bool,
}

/// A call that changes something: what was read before it is forgotten, also what was read meanwhile.
pub(super) struct Change<'h> {
    hub: &'h Hub,
    owners: [Owner; 2],
}

impl Change<'_> {
    fn forget(&self, but: Option<FlightId>) {
        let mut cache = self.hub.cache.borrow_mut();
        self.owners.iter().for_each(|owner| cache.forget(owner, but));
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.forget(None);
    }
}

/// Notes that a call may change something, as long as this is held; nothing where it only looks, or where
/// nothing of its server is kept.
pub(super) fn change<'h>(run: &Run<'h>) -> Option<Change<'h>> {
    let read = run.question.method != Method::ToolsCall || run.target.class == Class::Read;
    if run.peer.presentation.cache.is_empty() || read {
        return None;
    }
    let server = &run.peer.server.name;
    let of = |key_id| Owner { server: server.clone(), key_id };
    let own = Some(Arc::clone(&run.caller.principal.key_id));
    let change = Change { hub: run.hub, owners: [of(own), of(None)] };
    // Those who ask the same while it is under way may still join it.
    change.forget(run.lead.as_ref().map(|lead| lead.id));
    Some(change)
}

/// Which part of the cache a call may use; none for most.
fn part<'h>(run: &Run<'h>) -> Option<Part<'h>> {
    let (question, target, peer): (_, _, &'h _) = (&run.question, &run.target, run.peer);
    if peer.presentation.cache.is_empty() || question.method != Method::ToolsCall || !peer.server.trusted {
        return None;
    }
    let params = &question.params;
    // A task, or a step of a call that has asked something.
    if params.task.is_some() || params.request_state.is_some() || params.input_responses.is_some() {
        return None;
    }
    let tool = target.tool.as_ref()?;
    let keeps = target.class == Class::Read;
    if !keeps && tool.annotations().idempotent != Some(true) {
        return None;
    }
    let rule = Rule::of(&peer.presentation.cache, &target.name)?;
    let caller = run.caller;
    // A change is made for each who wants it, in their own name.
    let shared = rule.shared && keeps;
    let key_id = (!shared).then(|| Arc::clone(&caller.principal.key_id));
    let owner = Owner { server: peer.server.name.clone(), key_id };
    let key = Key::of(&Asked {
        owner: &owner,
        tool: &target.name,
        definition: tool.canonical_hash(),
        config: run.hub.config_number(),
        modern: caller.version.is_modern(),
        capabilities: &caller.capabilities,
        arguments: question.at(params.arguments.as_ref()).unwrap_or_default(),
    })?;
    Some(Part { key, owner, rule, keeps, listens: run.leg.progress.is_some() })
}

/// Finds out what becomes of a call, which may take as long as the call that it waits with.
pub(super) async fn find<'h>(run: &Run<'h>) -> Found<'h> {
    let Some(part) = part(run) else { return Found::Own(None) };
    let hub: &'h Hub = run.hub;
    // Each round ends with a call whose caller has left, so there are no more rounds than callers.
    loop {
        let looked = hub.cache.borrow_mut().look(part.key, clock::now());
        let flight = match looked {
            Look::Kept(response) => return Found::Response("hit", response),
            Look::Flying(id, tells) if tells || !part.listens => id,
            // It would be taken for dead by a client that waits for news of it.
            Look::Flying(..) => return Found::Own(None),
            Look::Nothing => {
                let Part { key, owner, rule, keeps, listens } = part;
                let id = hub.cache.borrow_mut().lead(key, owner, listens);
                return Found::Own(Some(Lead { hub, id, rule, keeps, ended: Cell::new(false) }));
            }
        };
        let (progress, told) = bounded(limits::MCP_MESSAGES_MAX);
        let (end, ended) = oneshot::channel();
        if hub.cache.borrow_mut().follow(flight, Follower { progress, end }).is_err() {
            return Found::Own(None);
        }
        match wait(run, told, ended).await {
            Waited::Told(End::Response(response)) => return Found::Response("joined", response),
            Waited::Told(End::Alone) => return Found::Own(None),
            Waited::Told(End::Left) => {}
            Waited::Gone => return Found::Gone,
            Waited::Cancelled => return Found::Cancelled,
        }
    }
}

/// How a wait with another call ended.
enum Waited {
    Told(End),
    Gone,
    Cancelled,
}

async fn wait(run: &Run<'_>, mut told: Receiver<Bytes>, mut ended: oneshot::Receiver<End>) -> Waited {
    loop {
        tokio::select! {
            biased;
            end = &mut ended => return Waited::Told(end.unwrap_or(End::Alone)),
            Some(doc) = told.recv() => progressed(&run.leg, &doc).await,
            () = run.cancelled.notified() => return Waited::Cancelled,
            () = run.leg.reply.closed() => return Waited::Gone,
        }
    }
}

/// Tells one who waits how far the call is, under its own token.
async fn progressed(leg: &Leg, doc: &[u8]) {
    let place = message::read(doc).and_then(|read| message::params(doc, &read));
    let place = place.ok().and_then(|params| params.progress_token);
    if let (Some(token), Some(place)) = (&leg.progress, place) {
        let mut edits = Edits::new(doc);
        if edits.replace(place, token).is_ok() {
            leg.event(edits.finish()).await;
        }
    }
}

impl Lead<'_> {
    /// Ends the call: what came of it is told to those who wait, and kept if it may be.
    pub(super) fn settle(&self, response: Option<&Bytes>, now: Instant) {
        let verdict = response.map(|response| {
            let span = message::read(response).ok().and_then(|read| read.result);
            let result = span.and_then(|span| response.get(span));
            (response, result.map_or(Verdict::Alone, |result| self.rule.verdict(result)))
        });
        let (told, kept) = match verdict {
            None | Some((_, Verdict::Alone)) => (None, None),
            Some((response, Verdict::Once)) => (Some(response), None),
            Some((response, Verdict::Kept(ttl))) => {
                (Some(response), self.keeps.then(|| (response.clone(), now + ttl)))
            }
        };
        self.end(kept, || told.map_or(End::Alone, |response| End::Response(response.clone())));
    }

    fn end(&self, kept: Option<(Bytes, Instant)>, what: impl Fn() -> End) {
        if self.ended.replace(true) {
            return;
        }
        let followers = self.hub.cache.borrow_mut().end(self.id, kept);
        // Whoever has left needs no telling.
        followers.into_iter().for_each(|follower| drop(follower.end.send(what())));
    }
}

/// Whatever ends a call, those who wait with it go on.
impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.end(None, || End::Left);
    }
}

impl Run<'_> {
    /// The call is more than a question and its answer: it is this caller's alone.
    pub(super) fn is_alone(&self) {
        if let Some(lead) = &self.lead {
            let followers = lead.hub.cache.borrow_mut().alone(lead.id);
            followers.into_iter().for_each(|follower| drop(follower.end.send(End::Alone)));
        }
    }

    /// The server says how far it is: those hear it who wait with the call. Who is slow misses some of it.
    pub(super) fn tell_followers(&self, doc: &[u8]) {
        let Some(lead) = &self.lead else { return };
        let cache = lead.hub.cache.borrow();
        let followers = cache.followers(lead.id);
        if !followers.is_empty() {
            let doc = Bytes::copy_from_slice(doc);
            followers.iter().for_each(|follower| drop(follower.progress.try_send(doc.clone())));
        }
    }
}
