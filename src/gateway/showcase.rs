//! What the hub shows the cores: finished views of the catalog, so that a list is answered and a call is led
//! to its server without a word between threads.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::call::{ToolChoice, Written};
use crate::config::snapshot::Snapshot;
use crate::gateway::leftovers::Leftovers;
use crate::gateway::marks::Marked;
use crate::identity::principal::Principal;
use crate::ids::ServerName;
use crate::mcp::auto::Suit;
use crate::mcp::view::View;
use crate::policy::decide::ViewKey;
use crate::upstream::mcp::server::Server;

/// A view with what a core needs beside it. Never changed, only replaced.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) view: Arc<View>,
    /// The servers that the view's numbers mean.
    pub(super) ways: Vec<Way>,
    /// Until when it may be served without asking the hub, which then has the servers listed anew.
    pub(super) until: Option<Instant>,
    /// How its tools are written of which nothing more is said.
    pub(super) written: Written,
    /// The version of the config whose rules made it.
    pub(super) config: String,
}

/// How a core reaches a server.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) server: Arc<Server>,
    /// Whether a modern caller's call can be sent by any core: each stands for itself, over HTTP.
    pub(super) direct: bool,
}

/// The rules that decide a view, the server that the address names, and what suits the client where that is
/// left open.
pub(super) type Whose = (ViewKey, Option<ServerName>, Option<Suit>);

/// What the hub has shown since something changed. Cores compare the number on every request and take the
/// lock only for a view that they have not taken yet.
#[derive(Debug, Default)]
pub(super) struct Showcase {
    /// What callers without sessions were told of asking.
    pub(super) marked: Marked,
    /// What was cut from results.
    pub(super) leftovers: Arc<Leftovers>,
    number: AtomicU64,
    shown: Mutex<HashMap<Whose, Arc<Shown>>>,
}

impl Showcase {
    /// Takes everything away: it has changed.
    pub(super) fn clear(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clear();
        self.number.fetch_add(1, Ordering::Release);
    }

    /// Shows a view. What a core took before stays right until `clear`.
    pub(super) fn put(&self, whose: Whose, view: Arc<Shown>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.len() >= crate::limits::MCP_VIEWS_MAX {
            shown.clear();
        }
        shown.insert(whose, view);
    }

    fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    fn find(&self, whose: &Whose) -> Option<Arc<Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).get(whose).cloned()
    }
}

/// What one core has taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    held: RefCell<(u64, HashMap<Reader, Arc<Shown>>)>,
    /// What it had taken before, which is nobody else's perhaps, until somebody comes for it.
    left: RefCell<Vec<HashMap<Reader, Arc<Shown>>>>,
}

/// The key that calls, and the server that the address names.
pub(super) type Holder = (Arc<str>, Option<ServerName>);

/// The same, and what suits the client.
pub(super) type Reader = (Arc<str>, Option<ServerName>, Suit);

impl Taken {
    /// What this caller sees at this address, as long as it is fresh and of this config.
    pub(super) fn find(
        &self,
        showcase: &Showcase,
        (principal, suit): (&Principal, Suit),
        scope: Option<&ServerName>,
        whose: impl FnOnce() -> (ViewKey, Option<Suit>),
        (config, now): (&str, Instant),
    ) -> Option<Arc<Shown>> {
        let mut held = self.held.borrow_mut();
        let number = showcase.number();
        if held.0 != number {
            let (_, old) = std::mem::replace(&mut *held, (number, HashMap::new()));
            let mut left = self.left.borrow_mut();
            if !old.is_empty() && left.len() < crate::limits::MCP_VIEWS_LEFT_MAX {
                left.push(old);
            }
        }
        let reader = (Arc::clone(&principal.key_id), scope.cloned(), suit);
        let fresh =
            |shown: &Arc<Shown>| shown.config == config && shown.until.is_none_or(|until| now < until);
        if let Some(shown) = held.1.get(&reader) {
            if fresh(shown) {
                return Some(Arc::clone(shown));
            }
            held.1.remove(&reader);
        }
        let (rules, suit) = whose();
        let shown = showcase.find(&(rules, scope.cloned(), suit)).filter(fresh)?;
        if held.1.len() < crate::limits::MCP_VIEWS_MAX {
            held.1.insert(reader, Arc::clone(&shown));
        }
        Some(shown)
    }

    /// What it had taken and does not need any more, for somebody who drops it where nobody waits.
    pub(super) fn left(&self) -> Vec<HashMap<Reader, Arc<Shown>>> {
        self.left.take()
    }

    /// What this caller sees of all servers, however old: enough to tell whose a tool is, since names are the
    /// same for all callers.
    pub(super) fn any(
        &self,
        showcase: &Showcase,
        principal: &Principal,
        whose: impl FnOnce() -> ViewKey,
    ) -> Option<Arc<Shown>> {
        let held = self.held.borrow();
        let of = |suit: &Suit| held.1.get(&(Arc::clone(&principal.key_id), None, *suit)).cloned();
        let shown = Suit::ALL.iter().find_map(of).filter(|_| held.0 == showcase.number());
        shown.or_else(|| {
            let (rules, suits) = (whose(), [None].into_iter().chain(Suit::ALL.map(Some)));
            suits.map(|suit| (rules.clone(), None, suit)).find_map(|whose| showcase.find(&whose))
        })
    }
}

/// What decides a view of somebody whose client is of this suit.
pub(super) fn whose(snapshot: &Snapshot, principal: &Principal, suit: Suit) -> (ViewKey, Option<Suit>) {
    let rules = snapshot.rules.view_key(principal);
    let choice = rules.tools().unwrap_or(snapshot.mcp.tools);
    let open = choice == ToolChoice::Auto;
    (rules, open.then_some(suit))
}
