//! Lists of tools of sessions that grow by what is found in them: what has been found is added, the client is
//! told, and the result of the search waits until the client has listed anew, so that the model can call what
//! it reads of by its own name.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::call::ToolMode;
use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::compose::Question;
use crate::gateway::hub::listing::Seen;
use crate::gateway::hub::session::Session;
use crate::gateway::hub::{modern, streams};
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::auto;
use crate::mcp::definition::ItemKind;
use crate::mcp::method::Method;
use crate::mcp::view::growing::{Added, Grown};
use crate::mcp::view::{Entry, Reader};

/// What the list of one session has grown by, and what is known of its client.
#[derive(Default)]
pub(super) struct Growth {
    follows: Cell<Follows>,
    grown: RefCell<Grown>,
    /// Rung when the last page of a list has been answered.
    rung: Notify,
}

/// Whether a client lists anew when it is told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Follows {
    /// Nobody knows yet: its list has the doors, and is added to until it passes over what it is told.
    #[default]
    Perhaps,
    /// It is known for it, so that its list needs no doors.
    Known,
    /// It did not.
    Not,
}

impl Growth {
    /// That of a session whose client calls itself so.
    pub(super) fn of(client_info: &[u8]) -> Self {
        let follows = if auto::lists_anew(client_info) { Follows::Known } else { Follows::Perhaps };
        Self { follows: Cell::new(follows), ..Self::default() }
    }

    fn reader(&self) -> Reader {
        if self.follows.get() == Follows::Known { Reader::Growing } else { Reader::Legacy }
    }

    /// Waits until the client has listed so many additions.
    async fn is_listed(&self, until: usize) {
        loop {
            let mut rung = pin!(self.rung.notified());
            rung.as_mut().enable();
            if self.grown.borrow().is_listed(until) {
                return;
            }
            rung.await;
        }
    }
}

/// Whether a client that asks what is spoken here is better served by a session: its list grows, it would
/// list anew, and requests that stand for themselves have no list of their own. Nor is it known what they
/// were given before, where results are referred to.
pub(super) fn needs_session(question: &Question, seen: &Seen) -> bool {
    let info = question.params.meta.as_ref().and_then(|meta| meta.client_info.as_ref());
    (seen.view.grows() || seen.view.refers()) && question.at(info).is_some_and(auto::lists_anew)
}

/// Answers `tools/list` in a session whose list grows.
pub(super) async fn list(
    hub: &Hub,
    caller: &Caller,
    session: &Session,
    (leg, cursor): (&Leg, Option<&str>),
    seen: &Seen,
) {
    let growth = &session.growth;
    let (page, count) = {
        let grown = growth.grown.borrow();
        let find = |server: &ServerName, name: &str| seen.tool(server, name);
        (seen.view.grown_page(growth.reader(), cursor, &grown, &find), grown.len())
    };
    let Some(page) = page else { return leg.refuse(caller, &modern::no_cursor()).await };
    caller.listed(hub, &seen.view, cursor.is_none());
    leg.result(&page.body).await;
    if page.is_last {
        growth.grown.borrow_mut().listed(count);
        growth.rung.notify_waiters();
    }
}

/// The search that has found the tool of a call by its own name, where that name comes from a search.
pub(super) fn sought(hub: &Hub, caller: &Caller, question: &Question, seen: &Seen) -> Option<String> {
    if question.method != Method::ToolsCall || !seen.view.grows() {
        return None;
    }
    let name = question.text(question.params.name.as_ref())?;
    let found = seen.view.find(ItemKind::Tool, &name).filter(|entry| entry.mode == ToolMode::Jit)?;
    Some(hub.finder.sought(caller, &found.exposed))
}

/// What was found, on its way into the list of a session.
pub(super) struct Adding<'s> {
    session: Rc<Session>,
    seen: &'s Seen,
    until: usize,
    grew: bool,
    /// Whether there was no room for some of it.
    some_are_called: bool,
}

/// Adds what was found to the list of a session; nothing where that does not grow.
pub(super) fn add<'s>(caller: &Caller, seen: &'s Seen, found: &[&Entry]) -> Option<Adding<'s>> {
    let session = caller.session.as_ref().filter(|_| seen.view.grows())?;
    let growth = &session.growth;
    if growth.follows.get() == Follows::Not {
        return None;
    }
    let has_doors = seen.view.lists_doors(growth.reader());
    let named = found.iter().filter_map(|entry| Some((&seen.peer(entry.server)?.server.name, *entry)));
    let added = growth.grown.borrow_mut().add(named, has_doors);
    let Added { until, grew, all } = added;
    Some(Adding { session: Rc::clone(session), seen, until, grew, some_are_called: !all })
}

impl Adding<'_> {
    /// Whether the list has grown.
    pub(super) const fn grew(&self) -> bool {
        self.grew
    }

    /// Waits until the client has them in its list, within bounds. Gives what to say before the tools, and
    /// which of them are called by their own names.
    pub(super) async fn listed(&self, leg: &Leg) -> (&'static str, impl Fn(&Entry) -> bool + '_) {
        let growth = &self.session.growth;
        let mut words = if self.some_are_called { SOME_ARE_CALLED } else { THERE };
        if !growth.grown.borrow().is_listed(self.until) {
            if self.grew && !self.session.tell(streams::tools_changed()) {
                // The stream of the call leads to the same client.
                leg.event(streams::tools_changed()).await;
            }
            match timeout(limits::JIT_LISTED_DEADLINE, growth.is_listed(self.until)).await {
                Ok(()) => sleep(limits::JIT_GRACE).await,
                Err(_passed) if growth.follows.get() == Follows::Known => {
                    words = if self.some_are_called { SOME_ARE_COMING } else { COMING };
                }
                Err(_passed) => growth.follows.set(Follows::Not),
            }
        }
        if growth.follows.get() == Follows::Not {
            words = "";
        }
        let by_name = |entry: &Entry| {
            let server = self.seen.peer(entry.server).map(|peer| &peer.server.name);
            let added = server.is_some_and(|server| growth.grown.borrow().has(server, entry));
            added && growth.follows.get() != Follows::Not
        };
        (words, by_name)
    }
}

const THERE: &str = "These are in your list of tools now, to be called by their own names:\n";

const SOME_ARE_CALLED: &str =
    "Where a line begins with call_tool_, call that; the others are in your list of tools now:\n";

const SOME_ARE_COMING: &str = "Where a line begins with call_tool_, call that; the others are being added to \
                               your list of tools. If one is not there yet, search once more:\n";

const COMING: &str = "These are being added to your list of tools, to be called by their own names. If one \
                      is not there yet, search once more:\n";
