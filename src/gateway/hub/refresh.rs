//! Keeps the lists of every server: asked once, not once per caller, and again when they may have changed.
//!
//! What a server has listed last stays until it lists anew: a server that is slow or dead is marked stale,
//! and neither empties nor delays what the others offer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::api;
use crate::gateway::hub::channel::{self, ALL_CAPABILITIES, Channel, NoResult};
use crate::gateway::hub::events::Changed;
use crate::gateway::hub::peer::{Lane, Opening, Peer};
use crate::gateway::hub::pinning;
use crate::gateway::log::Level;
use crate::gateway::record::kept;
use crate::limits;
use crate::mcp::definition::{Definition, ItemKind};
use crate::mcp::diff::difference;
use crate::mcp::list::{List, Pages, ServerLists};
use crate::mcp::pin::barred::Barred;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::Failure;
use crate::upstream::mcp::backoff::Backoff;
use crate::upstream::mcp::server::Transport;

/// What is known of one server's lists.
#[derive(Default)]
pub(super) struct Shelf {
    /// The last good lists, as callers see them.
    pub(super) lists: RefCell<Option<Arc<ServerLists>>>,
    /// The same as the server has listed them.
    pub(super) raw: RefCell<Option<Arc<ServerLists>>>,
    /// The number of the judgement by which callers see them.
    pub(super) judged: Cell<u64>,
    /// Why the lists may be old; empty when they are not.
    pub(super) stale: RefCell<String>,
    /// When they were listed.
    pub(super) listed: Cell<Option<Instant>>,
    /// What the server has said to have changed since the last listing began.
    pub(super) said: Cell<Changed>,
    /// Whether somebody is at it.
    running: Cell<bool>,
    /// Whether something has happened since they began.
    again: Cell<bool>,
    /// When the last listing began.
    begun: Cell<Option<Instant>>,
    /// Wakes those who wait for the first lists, or for the news that there are none.
    settled: Notify,
    tried: Cell<bool>,
}

impl Shelf {
    /// Says that the lists may be old.
    pub(super) fn mark_stale(&self, why: &str) {
        why.clone_into(&mut self.stale.borrow_mut());
    }

    /// Whether the first listing has come to an end, well or badly.
    pub(super) const fn is_settled(&self) -> bool {
        self.tried.get()
    }

    fn settle(&self) {
        self.tried.set(true);
        self.settled.notify_waiters();
    }

    /// Waits for the end of the first listing, but not for longer than `patience` after its beginning: a
    /// server that says nothing is waited for once, not by everyone who asks.
    pub(super) async fn first(&self, patience: Duration) {
        let waiting = self.settled.notified();
        let since = self.begun.get().map(|begun| clock::now().saturating_duration_since(begun));
        let patience = patience.saturating_sub(since.unwrap_or_default());
        if !self.tried.get() {
            drop(timeout(patience, waiting).await);
        }
    }
}

/// Has the lists of a server read anew, soon and once, however often it is asked for.
pub(super) fn schedule(hub: &Rc<Hub>, peer: &Rc<Peer>) {
    if peer.retired.get() {
        return;
    }
    peer.shelf.again.set(true);
    if !peer.shelf.running.replace(true) {
        drop(spawn_local(run(Rc::clone(hub), Rc::clone(peer))));
    }
}

/// Until when the lists of a server can be given out without asking it again: `None` when it says when they
/// change, otherwise half of what it says they are good for. What is not fresh is looked at every time.
pub(super) fn fresh_until(peer: &Peer) -> Option<Instant> {
    let shelf = &peer.shelf;
    let Some(listed) = shelf.listed.get().filter(|_| shelf.stale.borrow().is_empty()) else {
        return Some(clock::now());
    };
    if peer.facts.borrow().as_ref().is_some_and(|facts| facts.capabilities.tools_changed) {
        return None;
    }
    let ttl = shelf.lists.borrow().as_ref().and_then(|lists| lists.tools.ttl_ms).map(Duration::from_millis);
    Some(listed + ttl.map_or(Duration::ZERO, |ttl| ttl / 2).max(limits::MCP_RELIST_GAP))
}

/// Has them read anew when they are not fresh any more.
pub(super) fn freshen(hub: &Rc<Hub>, peer: &Rc<Peer>) {
    if peer.shelf.listed.get().is_some() && fresh_until(peer).is_some_and(|until| clock::now() >= until) {
        schedule(hub, peer);
    }
}

/// Has the lists of a server read anew now and gives them; nothing when that takes too long.
pub(super) async fn anew(hub: &Rc<Hub>, peer: &Rc<Peer>) -> Option<Arc<ServerLists>> {
    let before = peer.shelf.listed.get();
    schedule(hub, peer);
    let until = clock::now() + limits::MCP_FIRST_LISTS_DEADLINE;
    while clock::now() < until {
        if peer.shelf.listed.get() != before {
            return peer.shelf.lists.borrow().clone();
        }
        sleep(LOOK_AGAIN).await;
    }
    None
}

/// How often somebody who waits for a listing looks whether it is done.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Whatever ends a listing, another can begin.
struct Running(Rc<Peer>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.shelf.running.set(false);
        self.0.shelf.settle();
    }
}

async fn run(hub: Rc<Hub>, peer: Rc<Peer>) {
    let _running = Running(Rc::clone(&peer));
    let shelf = &peer.shelf;
    // What can be connected to may still refuse to list, again and again.
    let mut backoff = Backoff::default();
    while shelf.again.get() && !peer.retired.get() {
        if let Some(begun) = shelf.begun.get() {
            let since = clock::now().saturating_duration_since(begun);
            sleep(limits::MCP_REFRESH_GAP.saturating_sub(since)).await;
        }
        shelf.again.set(false);
        let said = shelf.said.take();
        shelf.begun.set(Some(clock::now()));
        let listed = timeout(limits::MCP_LIST_DEADLINE, load(&hub, &peer)).await;
        let taken = match listed.unwrap_or(Err(NoResult::Failed(Failure::TimedOut))) {
            Ok(lists) => pinning::take_in(&hub, &peer, lists, said).await,
            Err(why) => Err(why.to_string()),
        };
        match taken {
            Ok(()) => backoff = Backoff::default(),
            Err(why) => {
                let why = kept(why.as_bytes());
                hub.metrics.borrow_mut().mcp.listed(&peer.server.name, "failed");
                if *shelf.stale.borrow() != why {
                    hub.log(Level::Warn, "the lists of an MCP server are not fresh", |line| {
                        line.text("server", peer.server.name.as_str()).text("error", &why)
                    });
                }
                shelf.mark_stale(&why);
                shelf.settle();
                shelf.again.set(true);
                let wait = backoff.failed(clock::now(), hub.random());
                sleep(peer.rest().max(wait)).await;
            }
        }
        shelf.settle();
    }
}

/// What a server has listed just now.
pub(super) struct Fresh {
    /// As it came.
    pub(super) raw: Arc<ServerLists>,
    /// What came the time before.
    pub(super) before: Option<Arc<ServerLists>>,
    /// As callers are to see it.
    pub(super) seen: ServerLists,
}

/// Takes over what a server has listed.
pub(super) fn take(hub: &Rc<Hub>, peer: &Rc<Peer>, fresh: Fresh, said: Changed) {
    let Fresh { raw, before, seen } = fresh;
    let shelf = &peer.shelf;
    shelf.listed.set(Some(clock::now()));
    let was_stale = !std::mem::take(&mut *shelf.stale.borrow_mut()).is_empty();
    let changed = changes(before.as_deref(), &raw);
    let outcome = if changed.any() { "changed" } else { "same" };
    hub.metrics.borrow_mut().mcp.listed(&peer.server.name, outcome);
    if changed.any() || was_stale {
        hub.log(Level::Info, "listed an MCP server", |line| {
            line.text("server", peer.server.name.as_str())
                .number("tools", seen.tools.items.len() as u64)
                .number("prompts", seen.prompts.items.len() as u64)
                .number("resources", (seen.resources.items.len() + seen.templates.items.len()) as u64)
        });
    }
    let left_out = ItemKind::ALL.into_iter().flat_map(|kind| &raw.list(kind).left_out);
    for item in left_out.take(limits::MCP_LEFT_OUT_SHOWN_MAX) {
        hub.log(Level::Warn, "a definition was left out", |line| {
            line.text("server", peer.server.name.as_str())
                .text("name", item.key.as_deref().unwrap_or_default())
                .text("why", &item.why.to_string())
        });
    }
    if let Some(old) = before.filter(|_| changed.any()) {
        hub.note_change(&peer.server.name, &told(&old, &raw));
    }
    if was_stale {
        hub.forget_views();
    }
    show(hub, peer, seen, said);
}

/// Shows callers the lists of a server, and tells those who listen of what is different for them. Of lists
/// that nothing is kept back from, they are told what the server says to have changed as well.
pub(super) fn show(hub: &Rc<Hub>, peer: &Rc<Peer>, seen: ServerLists, said: Changed) {
    let shelf = &peer.shelf;
    let (changed, barred) = {
        let old = shelf.lists.borrow();
        let barred = old.as_ref().is_some_and(|old| old.barred != seen.barred);
        (changes(old.as_deref(), &seen), barred)
    };
    let whole = seen.barred.is_empty();
    *shelf.lists.borrow_mut() = Some(Arc::new(seen));
    if changed.any() || barred {
        hub.forget_views();
    }
    let said = Changed { tools: said.tools && whole, ..said };
    if changed.or(said).any() {
        hub.tell_changed(peer, changed.or(said));
    }
}

/// Which of the lists differ; all of them where there were none.
fn changes(old: Option<&ServerLists>, new: &ServerLists) -> Changed {
    let Some(old) = old else { return Changed { tools: true, prompts: true, resources: true } };
    Changed {
        tools: differ(&old.tools, &new.tools),
        prompts: differ(&old.prompts, &new.prompts),
        resources: differ(&old.resources, &new.resources) || differ(&old.templates, &new.templates),
    }
}

/// What has changed, by names: `+new -gone ~other`.
fn told(old: &ServerLists, new: &ServerLists) -> String {
    let mut out = String::new();
    for kind in ItemKind::ALL {
        let found = difference(&old.list(kind).items, &new.list(kind).items);
        let changed = found.changed.iter().map(|changed| ('~', &changed.new));
        let added = found.added.iter().map(|item| ('+', item));
        for (mark, item) in added.chain(found.removed.iter().map(|item| ('-', item))).chain(changed) {
            if out.len() > limits::RECORD_TEXT_BYTES_MAX {
                return out;
            }
            out.push(mark);
            out.push_str(item.key());
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Whether two lists are not of the same definitions in the same order.
fn differ(old: &List, new: &List) -> bool {
    let same = |(one, other): (&Arc<Definition>, &Arc<Definition>)| {
        Arc::ptr_eq(one, other) || one.raw() == other.raw()
    };
    old.items.len() != new.items.len() || !old.items.iter().zip(&new.items).all(same)
}

/// Lists everything that a server offers.
async fn load(hub: &Rc<Hub>, peer: &Rc<Peer>) -> Result<ServerLists, NoResult> {
    if let Transport::OpenApi(described) = &peer.server.transport {
        return Ok(api::load(hub, peer, described).await?);
    }
    let opening = Opening { lane: Lane::Own, capabilities: ALL_CAPABILITIES };
    let channel = peer.channel(hub, opening).await?;
    let can = &channel.facts.capabilities;
    let (tools, prompts, resources, templates) = tokio::join!(
        all(hub, &channel, ItemKind::Tool, can.tools),
        all(hub, &channel, ItemKind::Prompt, can.prompts),
        all(hub, &channel, ItemKind::Resource, can.resources),
        all(hub, &channel, ItemKind::Template, can.resources),
    );
    // What a server offers and then refuses to list stays as it was, and keeps nothing else back: many have
    // resources and know of no templates.
    let old = peer.shelf.raw.borrow().clone();
    let or_old = |listed: Result<List, NoResult>, kind| match (listed, &old) {
        (Err(NoResult::Refused { .. }), Some(old)) => Ok(old.list(kind).clone()),
        (Err(NoResult::Refused { .. }), None) => Ok(List::default()),
        (other, _) => other,
    };
    Ok(ServerLists {
        barred: Barred::default(),
        tools: or_old(tools, ItemKind::Tool)?,
        prompts: or_old(prompts, ItemKind::Prompt)?,
        resources: or_old(resources, ItemKind::Resource)?,
        templates: or_old(templates, ItemKind::Template)?,
    })
}

/// All pages of one list.
async fn all(hub: &Rc<Hub>, channel: &Rc<Channel>, kind: ItemKind, offered: bool) -> Result<List, NoResult> {
    let mut pages = Pages::new(kind);
    if !offered {
        return Ok(pages.finish());
    }
    let (mut cursor, method) = (None::<String>, kind.method());
    loop {
        let members = cursor.as_ref().map(|cursor| {
            let mut text = b"\"cursor\":".to_vec();
            crate::json::write_string(&mut text, cursor);
            String::from_utf8(text).unwrap_or_default()
        });
        let params = channel::own_params(channel.version, members.as_deref().unwrap_or_default());
        let lines = channel.headers(method, None);
        let permit = PlacedPermit::own();
        let asked = channel::request(&channel.link, &permit, hub.next_id(), lines, (method, &params));
        let answered = match asked.await {
            // The session is gone: the next try opens another.
            Err(NoResult::Failed(failure @ Failure::Status { status: 404, .. })) => {
                channel.closed.set(channel.session.is_some());
                return Err(NoResult::Failed(failure));
            }
            other => other?,
        };
        let next = pages.add(&hub.store, answered.result());
        cursor = next.map_err(|why| Failure::Garbage(why.to_string()))?;
        if cursor.is_none() {
            break;
        }
    }
    Ok(pages.finish())
}
