//! Finds tools for callers whose lists do not hold them: the index over all lists, made anew on a thread of
//! its own whenever something has changed, and what was sought last.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_local;

use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::Caller;
use crate::gateway::hub::listing::Seen;
use crate::gateway::log::Level;
use crate::gateway::record::kept;
use crate::gateway::showcase::Holder;
use crate::ids::ServerName;
use crate::ledger::background;
use crate::limits;
use crate::mcp::definition::ItemKind;
use crate::mcp::list::ServerLists;
use crate::mcp::presentation::Presentation;
use crate::mcp::search::catalog::{Catalog, Part};

/// The index, and what makes it.
#[derive(Default)]
pub(super) struct Finder {
    /// Counts the changes of lists.
    number: Cell<u64>,
    made: RefCell<Option<Made>>,
    making: Cell<bool>,
    /// Rung when an index has been made, or cannot be.
    rung: Notify,
    searches: RefCell<HashMap<Holder, VecDeque<Searched>>>,
}

/// An index of the lists as they were at some change.
#[derive(Clone)]
struct Made {
    number: u64,
    catalog: Rc<Catalog>,
}

/// A search and what it found.
struct Searched {
    query: String,
    /// Names as callers know them.
    found: Vec<Box<str>>,
}

/// The places of a view's tools in an index.
#[derive(Default)]
pub(super) struct Places(RefCell<Option<(u64, Mapped)>>);

/// For each place of an index the entry of a view, if it has one.
type Mapped = Rc<[Option<usize>]>;

impl Finder {
    /// The lists have changed, or how they are indexed.
    pub(super) fn forget(&self) {
        self.number.set(self.number.get() + 1);
    }

    /// Remembers a search of a caller.
    pub(super) fn note(&self, caller: &Caller, query: &str, found: Vec<Box<str>>) {
        let mut all = self.searches.borrow_mut();
        let holder = holder(caller);
        if all.len() >= limits::SEARCHERS_MAX && !all.contains_key(&holder) {
            all.clear();
        }
        let own = all.entry(holder).or_default();
        own.push_front(Searched { query: kept(query.as_bytes()), found });
        own.truncate(limits::SEARCHES_KEPT_MAX);
    }

    /// The last search of a caller that has found this tool; nothing where none has.
    pub(super) fn sought(&self, caller: &Caller, tool: &str) -> String {
        let all = self.searches.borrow();
        let mut own = all.get(&holder(caller)).into_iter().flatten();
        let found = own.find(|search| search.found.iter().any(|name| **name == *tool));
        found.map(|search| search.query.clone()).unwrap_or_default()
    }

    fn is_fresh(&self) -> bool {
        self.made.borrow().as_ref().is_some_and(|made| made.number == self.number.get())
    }
}

fn holder(caller: &Caller) -> Holder {
    (Arc::clone(&caller.principal.key_id), caller.scope.clone())
}

/// Begins to make the index anew, unless it is as it should be or somebody is at it.
pub(super) fn begin(hub: &Rc<Hub>) {
    if !hub.finder.is_fresh() && !hub.finder.making.replace(true) {
        drop(spawn_local(make(Rc::clone(hub))));
    }
}

/// Makes the index anew for another reason than its lists, if there is one.
pub(super) fn renew(hub: &Rc<Hub>) {
    hub.finder.forget();
    if hub.finder.made.borrow().is_some() {
        begin(hub);
    }
}

/// Makes the index until it is that of the lists as they are.
async fn make(hub: Rc<Hub>) {
    let finder = &hub.finder;
    while !finder.is_fresh() {
        let number = finder.number.get();
        match made_aside(&hub).await {
            Some(catalog) => {
                *finder.made.borrow_mut() = Some(Made { number, catalog: Rc::new(catalog) });
                finder.rung.notify_waiters();
            }
            None => {
                hub.log(Level::Warn, "tools cannot be indexed: no thread can be started", |line| line);
                break;
            }
        }
    }
    finder.making.set(false);
    finder.rung.notify_waiters();
}

/// Makes the index on a thread that stands back behind those that carry calls.
async fn made_aside(hub: &Hub) -> Option<Catalog> {
    let parts: Vec<(ServerName, Arc<ServerLists>, Presentation)> = hub
        .peers()
        .iter()
        .filter_map(|peer| {
            let lists = peer.shelf.lists.borrow().clone()?;
            Some((peer.server.name.clone(), lists, peer.presentation.clone()))
        })
        .collect();
    let embedding = hub.snapshot().mcp.embedding.clone();
    let (tx, made) = oneshot::channel();
    let thread = std::thread::Builder::new().name("tool-index".to_owned());
    let started = thread.spawn(move || {
        background::stand_back();
        let parts = parts.iter().map(|(server, lists, presentation)| Part { server, lists, presentation });
        // When nobody waits any more, the gateway ends.
        drop(tx.send(Catalog::new(parts, embedding.as_ref())));
    });
    drop(started.ok()?);
    made.await.ok()
}

/// The index of the lists as they are now, or of newer ones; nothing where it cannot be made.
async fn catalog(hub: &Rc<Hub>) -> Option<Made> {
    let wanted = hub.finder.number.get();
    let ready = || hub.finder.made.borrow().clone().filter(|made| made.number >= wanted);
    loop {
        if let Some(made) = ready() {
            return Some(made);
        }
        begin(hub);
        let mut rung = pin!(hub.finder.rung.notified());
        rung.as_mut().enable();
        if !hub.finder.making.get() {
            return None;
        }
        rung.await;
        // Newer lists may have come since it was made; what was wanted is what counts.
        if !hub.finder.making.get() && !hub.finder.is_fresh() {
            return ready();
        }
    }
}

/// The places among the entries of a view of the tools that fit a query, the best first; nothing where no
/// index can be made. Only what the view has, and calls through doors, is ranked.
pub(super) async fn find(hub: &Rc<Hub>, seen: &Seen, query: &str) -> Option<Vec<usize>> {
    let made = catalog(hub).await?;
    let places = places(&made, seen);
    let entry = |place: usize| places.get(place).copied().flatten();
    let hits = made.catalog.find(query, limits::SEARCH_FOUND_MAX, |place| entry(place).is_some());
    Some(hits.iter().filter_map(|hit| entry(hit.place)).collect())
}

fn places(made: &Made, seen: &Seen) -> Mapped {
    let mut kept = seen.places.0.borrow_mut();
    if let Some((number, places)) = &*kept
        && *number == made.number
    {
        return Rc::clone(places);
    }
    let mut places = vec![None; made.catalog.len()];
    for (number, entry) in seen.view.entries(ItemKind::Tool).iter().enumerate() {
        if entry.is_listed() || entry.held.is_some() {
            continue;
        }
        let server = seen.peer(entry.server).map(|peer| &peer.server.name);
        let place = server.and_then(|server| made.catalog.place(server, entry.definition.key()));
        if let Some(place) = place.and_then(|place| places.get_mut(place)) {
            *place = Some(number);
        }
    }
    let places: Mapped = places.into();
    *kept = Some((made.number, Rc::clone(&places)));
    places
}
