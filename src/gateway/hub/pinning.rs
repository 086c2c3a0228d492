//! Pins on the way from a server's list to callers: each list is judged before anybody sees it, and again
//! when somebody has decided.

use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use crate::call::Outcome;
use crate::gateway::hub::Hub;
use crate::gateway::hub::events::Changed;
use crate::gateway::hub::peer::Peer;
use crate::gateway::hub::refresh::{self, Fresh};
use crate::gateway::log::Level;
use crate::gateway::pins::{Judged, Keeper, Listed};
use crate::gateway::record::kept;
use crate::ids::{CallId, ServerName};
use crate::ledger::entry::{Entry, Kind};
use crate::mcp::definition::ItemKind;
use crate::mcp::list::ServerLists;
use crate::mcp::names::overrides::Overrides;
use crate::mcp::pin::judge::Standing;
use crate::mcp::pin::{Event, FirstSight};

/// Takes in what a server has listed just now.
///
/// # Errors
/// Why that cannot be judged; then callers go on seeing what they saw.
pub(super) async fn take_in(
    hub: &Rc<Hub>,
    peer: &Rc<Peer>,
    lists: ServerLists,
    said: Changed,
) -> Result<(), String> {
    let raw = Arc::new(lists);
    let before = peer.shelf.raw.replace(Some(Arc::clone(&raw)));
    let seen = match judged(hub, peer, &raw).await {
        Ok(seen) => seen,
        Err(why) => {
            // What could not be judged has not been seen.
            if is_current(peer, &raw) {
                *peer.shelf.raw.borrow_mut() = before;
            }
            return Err(why);
        }
    };
    if let Some(seen) = seen.filter(|_| is_current(peer, &raw)) {
        refresh::take(hub, peer, Fresh { raw, before, seen }, said);
    }
    Ok(())
}

/// Judges the lists of all servers anew: somebody has decided, or the config has.
pub(super) fn judge_all(hub: &Rc<Hub>) {
    for peer in hub.peers().iter() {
        drop(spawn_local(again(Rc::clone(hub), Rc::clone(peer))));
    }
}

async fn again(hub: Rc<Hub>, peer: Rc<Peer>) {
    let raw = peer.shelf.raw.borrow().clone();
    let Some(raw) = raw else { return };
    match judged(&hub, &peer, &raw).await {
        Ok(Some(seen)) if is_current(&peer, &raw) => refresh::show(&hub, &peer, seen, Changed::default()),
        Ok(_) => {}
        Err(why) => hub.log(Level::Warn, "a decision about tools is not in force", |line| {
            line.text("server", peer.server.name.as_str()).text("error", &why)
        }),
    }
}

/// Whether nothing has been listed since.
fn is_current(peer: &Peer, raw: &Arc<ServerLists>) -> bool {
    peer.shelf.raw.borrow().as_ref().is_some_and(|now| Arc::ptr_eq(now, raw))
}

/// Whether the tools of a server are pinned.
fn is_pinned(hub: &Hub, server: &ServerName) -> bool {
    hub.pins.is_some() && hub.snapshot().mcp.pinning.of(server) != FirstSight::Off
}

/// The lists as callers see them; nothing where a later judgement has been shown already.
async fn judged(hub: &Rc<Hub>, peer: &Rc<Peer>, raw: &ServerLists) -> Result<Option<ServerLists>, String> {
    let server = &peer.server.name;
    let Some(pins) = hub.pins.as_ref().filter(|_| is_pinned(hub, server)) else {
        return Ok(Some(raw.clone()));
    };
    let snapshot = hub.snapshot();
    let pinning = &snapshot.mcp.pinning;
    let listed = Listed {
        server: server.as_str().to_owned(),
        tools: raw.tools.items.clone(),
        believed: believed(peer, raw),
        first_sight: pinning.of(server),
        lock: pinning.lock.clone(),
    };
    let Judged { turn, standings } = pins.judge(listed).await?;
    if turn < peer.shelf.judged.get() {
        return Ok(None);
    }
    peer.shelf.judged.set(turn);
    Ok(Some(seen(hub, raw, standings)))
}

/// Whether the class of each tool is what its server says of it.
fn believed(peer: &Peer, raw: &ServerLists) -> Vec<bool> {
    let overrides = Overrides::new(&peer.presentation);
    let tools = raw.tools.items.iter();
    tools.map(|tool| peer.server.trusted && overrides.of(tool.key()).class.is_none()).collect()
}

/// The lists with every tool as it stands.
fn seen(hub: &Hub, raw: &ServerLists, standings: Vec<Standing>) -> ServerLists {
    let mut lists = raw.clone();
    let tools = std::mem::take(&mut lists.tools.items);
    for (tool, standing) in tools.into_iter().zip(standings) {
        let name = || tool.key().to_owned();
        let pinned = |text: &str| hub.store.intern(ItemKind::Tool, text.as_bytes()).ok();
        match standing {
            Standing::AsListed => lists.tools.items.push(tool),
            Standing::Pinned(text) => lists.tools.items.push(pinned(&text).unwrap_or(tool)),
            Standing::Held(text, why) => match pinned(&text) {
                Some(old) => {
                    lists.barred.held.insert(name(), why.into());
                    lists.tools.items.push(old);
                }
                // What was pinned by an older program may be a definition no more.
                None => drop(lists.barred.unlisted.insert(name(), why.into())),
            },
            Standing::Unlisted(why) => drop(lists.barred.unlisted.insert(name(), why.into())),
        }
    }
    lists
}

/// Brings what happens to pins into the ledger.
pub(super) async fn record(hub: Rc<Hub>, pins: Keeper) {
    loop {
        let events = pins.unrecorded().await;
        let Some(last) = events.last().map(|event| event.number) else { continue };
        for event in &events {
            write(&hub, event).await;
        }
        pins.recorded(last.wrapping_add(1)).await;
    }
}

async fn write(hub: &Rc<Hub>, event: &Event) {
    hub.metrics.borrow_mut().mcp.pin(&ServerName::new(&event.server), event);
    hub.log(Level::Info, "pin", |line| {
        line.text("server", &event.server).text("tool", &event.tool).text("decision", &event.decision())
    });
    let Some(accounts) = &hub.accounts else { return };
    let id = CallId((u128::from(hub.random()) << 64) | u128::from(hub.random()));
    let entry = Entry {
        server: event.server.clone(),
        tool: kept(event.tool.as_bytes()),
        tool_hash: event.new.short(),
        decision: kept(event.decision().as_bytes()),
        marks: event.marks.clone(),
        outcome: Outcome::Done.name().to_owned(),
        ..Entry::new(id, Kind::Pin, event.at_ms)
    };
    accounts.books.event(&entry).await;
}
