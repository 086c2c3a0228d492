//! Lists as callers see them, made once for all who see the same.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::call::{Class, ToolMode, Written};
use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::Caller;
use crate::gateway::hub::channel::OUR_INFO;
use crate::gateway::hub::finder::{self, Places};
use crate::gateway::hub::peer::Peer;
use crate::gateway::hub::refresh;
use crate::gateway::showcase::{Shown, Way, Whose};
use crate::identity::principal::Principal;
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::auto::{self, Size};
use crate::mcp::bridge::opening::{
    Keeping, ServerCapabilities, merge_instructions, write_discover_result, write_initialize_result,
};
use crate::mcp::definition::ItemKind;
use crate::mcp::doors::Door;
use crate::mcp::list::ServerLists;
use crate::mcp::version::Version;
use crate::mcp::view::{Admission, Allow, Entry, IsCore, Part, Plan, Scope, View};
use crate::policy::rights::Answer;
use crate::upstream::mcp::server::Transport;

/// The views that have been made since something changed.
#[derive(Default)]
pub(super) struct Views(RefCell<HashMap<Whose, Rc<Seen>>>);

impl Views {
    /// Forgets all of them: lists or rules have changed.
    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}

/// A view and the servers that its numbers mean.
pub(super) struct Seen {
    pub(super) view: Arc<View>,
    pub(super) peers: Vec<Rc<Peer>>,
    /// How its tools are written of which nothing more is said.
    pub(super) written: Written,
    /// Whether the address names no server.
    pub(super) is_all: bool,
    /// With the tools that the caller may not call: made when somebody calls one.
    whole: OnceCell<View>,
    /// Where its tools stand in the index.
    pub(super) places: Places,
}

impl Seen {
    /// What the servers of this address can do together, and what they want models to know.
    fn together(&self) -> (ServerCapabilities, Option<String>) {
        let facts: Vec<_> = self
            .peers
            .iter()
            .filter_map(|peer| Some((peer.server.name.as_str(), peer.facts.borrow().clone()?)))
            .collect();
        let mut can = ServerCapabilities::default();
        for (_, facts) in &facts {
            can.merge(&facts.capabilities);
        }
        // We listen to the servers, or list them again and again: either way we say when something changes.
        (can.tools_changed, can.prompts_changed, can.resources_changed) =
            (can.tools, can.prompts, can.resources);
        if self.is_all {
            // What servers may come to offer while a caller is here.
            (can.tools, can.tools_changed) = (true, true);
        }
        if facts.is_empty() {
            // Nothing is known yet: a client asks for what is offered only, and is told when it changes.
            can = ServerCapabilities {
                tools: true,
                tools_changed: true,
                prompts: true,
                prompts_changed: true,
                resources: true,
                resources_changed: true,
                ..can
            };
        }
        let instructions = match facts.as_slice() {
            [(_, facts)] if !self.is_all => facts.instructions.clone(),
            _ => merge_instructions(facts.iter().map(|(name, facts)| (*name, facts.instructions.as_deref()))),
        };
        (can, instructions)
    }

    /// The result of `initialize`.
    pub(super) fn initialize_result(&self, version: Version) -> Vec<u8> {
        let (can, instructions) = self.together();
        write_initialize_result(version, &can, OUR_INFO.as_bytes(), instructions.as_deref())
    }

    /// The result of `server/discover`.
    pub(super) fn discover_result(&self) -> Vec<u8> {
        let (can, instructions) = self.together();
        let keeping = Keeping { ttl_ms: limits::MCP_DISCOVER_TTL_MS, public: false };
        write_discover_result(&Version::ALL, &can, OUR_INFO.as_bytes(), instructions.as_deref(), keeping)
    }

    /// A tool that is seen, by its server and the server's own name for it.
    pub(super) fn tool(&self, server: &ServerName, name: &str) -> Option<&Entry> {
        let place = self.peers.iter().position(|peer| peer.server.name == *server)?;
        let fits = |entry: &&Entry| entry.server == place && entry.definition.key() == name;
        self.view.entries(ItemKind::Tool).iter().find(fits)
    }

    /// A tool of these servers that is not seen, by the name that it would have.
    pub(super) fn hidden(&self, hub: &Hub, name: &str) -> Option<&Entry> {
        let whole = self.whole.get_or_init(|| {
            let lists = lists_of(&self.peers);
            let parts = parts_of(&self.peers, &lists);
            let endpoint_key = &hub.snapshot().mcp.endpoint_key;
            let scope = if self.is_all { Scope::All { endpoint_key } } else { Scope::One(0) };
            let mode = ToolMode::default();
            View::new(&Plan { parts: &parts, scope, allow: None, mode, is_core: None, ttl_ms: 0 })
        });
        whole.find(ItemKind::Tool, name)
    }

    /// The server of this number.
    pub(super) fn peer(&self, place: usize) -> Option<&Rc<Peer>> {
        self.peers.get(place)
    }
}

/// Shows a view to the cores.
fn show(
    hub: &Hub,
    snapshot: &Snapshot,
    key: &Whose,
    (view, written): (&Arc<View>, Written),
    peers: &[Rc<Peer>],
) {
    let way = |peer: &Rc<Peer>| Way {
        server: Arc::clone(&peer.server),
        // What is kept of a server is kept here.
        direct: peer.is_modern() == Some(true)
            && matches!(peer.server.transport, Transport::Http(_))
            && peer.presentation.cache.is_empty(),
    };
    let shown = Shown {
        view: Arc::clone(view),
        ways: peers.iter().map(way).collect(),
        until: peers.iter().filter_map(|peer| refresh::fresh_until(peer)).min(),
        written,
        config: snapshot.version.clone(),
    };
    hub.showcase.put(key.clone(), Arc::new(shown));
}

fn lists_of(peers: &[Rc<Peer>]) -> Vec<Arc<ServerLists>> {
    peers.iter().map(|peer| peer.shelf.lists.borrow().clone().unwrap_or_default()).collect()
}

fn parts_of<'a>(peers: &'a [Rc<Peer>], lists: &'a [Arc<ServerLists>]) -> Vec<Part<'a>> {
    peers.iter().zip(lists).map(|(peer, lists)| peer.part(lists)).collect()
}

/// How large a catalog is that consists of these lists.
pub(super) fn size(lists: &[Arc<ServerLists>]) -> Size {
    let tools = || lists.iter().flat_map(|lists| &lists.tools.items);
    Size { tools: tools().count(), bytes: tools().map(|tool| tool.raw().len()).sum() }
}

/// How long a question waits for the first lists: one for all servers not for long, and neither does
/// `server/discover`, whose clients are in a hurry; one for a server alone as long as that may take to start.
pub(super) const fn patience(scope: Option<&ServerName>, hurried: bool) -> Duration {
    if hurried || scope.is_none() { limits::MCP_FIRST_LISTS_DEADLINE } else { limits::MCP_OPEN_DEADLINE }
}

/// Why servers that the caller may use otherwise are not shown to it: the rule about places, and the servers
/// that it keeps away. With a scope, only if that is one of them.
pub(super) fn kept_away(hub: &Hub, principal: &Principal, scope: Option<&ServerName>) -> Option<String> {
    let snapshot = hub.snapshot();
    let residency = snapshot.rules.residency(principal);
    if residency.is_free() {
        return None;
    }
    let peers = hub.peers();
    let away = peers.iter().filter(|peer| {
        let name = &peer.server.name;
        scope.is_none_or(|scope| scope == name)
            && !residency.allows(&peer.server.place)
            && hub.decisions.may_see(&snapshot.rules, principal, name).is_ok()
    });
    let places: Vec<_> = away.map(|peer| &*peer.server.place).collect();
    (!places.is_empty()).then(|| residency.outside("a call", places).to_string())
}

/// Whether somebody has a server at all: the rules give it, and it stands where their calls may run.
pub(super) fn has(hub: &Hub, snapshot: &Snapshot, who: &Principal, peer: &Peer) -> bool {
    hub.decisions.may_see(&snapshot.rules, who, &peer.server.name).is_ok()
        && snapshot.rules.residency(who).allows(&peer.server.place)
}

/// What a caller sees at an address. At the very start it waits for the first lists, within bounds; `None`
/// when the address names a server that does not exist or that the caller may not see.
pub(super) async fn seen(
    hub: &Rc<Hub>,
    caller: &Caller,
    scope: Option<&ServerName>,
    patience: Duration,
) -> Option<Rc<Seen>> {
    let principal = &*caller.principal;
    let until = clock::now() + patience;
    let (snapshot, peers) = loop {
        let number = hub.config_number();
        let snapshot = hub.snapshot();
        let visible = |peer: &&Rc<Peer>| {
            scope.is_none_or(|name| *name == peer.server.name) && has(hub, &snapshot, principal, peer)
        };
        let peers: Vec<Rc<Peer>> = hub.peers().iter().filter(visible).cloned().collect();
        if scope.is_some() && peers.is_empty() {
            return None;
        }
        for peer in peers.iter().filter(|peer| !peer.shelf.is_settled()) {
            peer.shelf.first(until.saturating_duration_since(clock::now())).await;
        }
        // While it waited, servers may have gone, and rules.
        if hub.config_number() == number {
            break (snapshot, peers);
        }
    };
    for peer in &peers {
        refresh::freshen(hub, peer);
    }
    let rules = snapshot.rules.view_key(principal);
    let choice = rules.tools().unwrap_or(snapshot.mcp.tools);
    let suit = auto::suit(choice, caller.client);
    let key = (rules, scope.cloned(), suit);
    if let Some(seen) = hub.views.0.borrow().get(&key) {
        return Some(Rc::clone(seen));
    }
    let lists = lists_of(&peers);
    let parts = parts_of(&peers, &lists);
    let scope_of = match scope {
        Some(_) => Scope::One(0),
        None => Scope::All { endpoint_key: &snapshot.mcp.endpoint_key },
    };
    let lister = hub.decisions.lister(&snapshot.rules, principal);
    let allow = |server: &ServerName, kind: ItemKind, name: &str, class: Class| match kind {
        ItemKind::Tool => match lister(server, name, class) {
            Answer::Deny => Admission::Hidden,
            Answer::Ask => Admission::Asks,
            Answer::Allow => Admission::Open,
        },
        ItemKind::Prompt | ItemKind::Resource | ItemKind::Template => Admission::Open,
    };
    // What a server calls public is believed of those alone that an admin trusts, and only where nobody's
    // rights decide.
    let public =
        peers.iter().all(|peer| peer.server.trusted) && snapshot.rules.view_key(principal).is_everything();
    let ttl_ms = peers.iter().map(|peer| peer.ttl_ms()).min().unwrap_or_default();
    let allow: Option<Allow<'_>> = if public { None } else { Some(&allow) };
    let mode = auto::mode(choice, suit, || size(&lists));
    let is_core = |server: &ServerName, tool: &str| key.0.core().has(server, tool);
    let is_core = Some(&is_core as IsCore<'_>);
    let view = Arc::new(View::new(&Plan { parts: &parts, scope: scope_of, allow, mode, is_core, ttl_ms }));
    let written = auto::written(choice, mode, peers.iter().map(|peer| peer.presentation.mode));
    show(hub, &snapshot, &key, (&view, written), &peers);
    if view.has_door(Door::Find) {
        finder::begin(hub);
    }
    let (whole, places) = (OnceCell::new(), Places::default());
    let seen = Rc::new(Seen { view, peers, written, is_all: scope.is_none(), whole, places });
    let mut views = hub.views.0.borrow_mut();
    if views.len() >= limits::MCP_VIEWS_MAX {
        // Those who still call have theirs made once more.
        views.clear();
    }
    views.insert(key, Rc::clone(&seen));
    Some(seen)
}
