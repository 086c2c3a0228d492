//! The lists of all servers for whoever runs the gateway: the hub's own discovery, once, without callers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::ctrl_c;
use tokio::task::JoinSet;

use crate::call::{ToolChoice, ToolMode};
use crate::clock;
use crate::gateway::hub::listing;
use crate::gateway::hub::peer::Peer;
use crate::gateway::hub::{Common, Hub};
use crate::gateway::log::CoreLog;
use crate::gateway::published::Published;
use crate::gateway::survey::{Health, ServerFound, Survey, ToolFound, Wish};
use crate::mcp::auto::{self, Suit};
use crate::mcp::definition::ItemKind;
use crate::mcp::hints::{self, Neighbours};
use crate::mcp::lean::cost::Cost;
use crate::mcp::sealed::SealingKey;
use crate::mcp::view::{Entry, Part, Plan, Reader, Scope, View};
use crate::upstream::mcp::server::Transport;

impl Hub {
    /// Starts the servers of the config, waits for the first listing of each, and ends them again. A
    /// SIGINT ends the waiting, not the ending.
    pub(in crate::gateway) async fn survey(
        log: CoreLog,
        published: Arc<Published>,
        seal: SealingKey,
        wish: Wish<'_>,
        tell: &mut dyn FnMut(&ServerFound),
    ) -> Survey {
        let hub = Self::new(log, published, seal, Common::default());
        let begun = clock::now();
        hub.reconcile();
        let peers = hub.peers();
        let mut listing = JoinSet::new();
        for (place, peer) in peers.iter().enumerate() {
            let (peer, patience) = (Rc::clone(peer), wish.patience);
            listing.spawn_local(async move {
                peer.shelf.first(patience).await;
                place
            });
        }
        let mut took = vec![None; peers.len()];
        loop {
            let listed = tokio::select! {
                listed = listing.join_next() => listed,
                _ = ctrl_c() => break,
            };
            let Some(listed) = listed else { break };
            hub.log.borrow_mut().flush();
            let Ok(place) = listed else { continue };
            if let (Some(peer), Some(took)) = (peers.get(place), took.get_mut(place)) {
                tell(&found(peer, *took.insert(since(begun))));
            }
        }
        let servers =
            peers.iter().zip(took).map(|(peer, took)| found(peer, took.unwrap_or_else(|| since(begun))));
        let tools = hub.tools(wish.server.is_some(), wish.count);
        let survey = Survey { servers: servers.collect(), tools, chosen: hub.chosen() };
        hub.stop().await;
        hub.log.borrow_mut().flush();
        // Peers know tasks that know the hub: let go of, all of it ends with the runtime.
        *hub.peers.borrow_mut() = Rc::from([]);
        survey
    }

    /// What is chosen for whom, where the config leaves it open.
    fn chosen(&self) -> Vec<(&'static str, ToolMode)> {
        let choice = self.snapshot().mcp.tools;
        let lists: Vec<_> =
            self.peers().iter().filter_map(|peer| peer.shelf.lists.borrow().clone()).collect();
        let open = Suit::ALL.into_iter().filter(|_| choice == ToolChoice::Auto);
        open.map(|suit| (suit.who(), auto::mode(choice, Some(suit), || listing::size(&lists)))).collect()
    }

    /// All tools as a caller sees them who may see everything.
    fn tools(&self, alone: bool, count: bool) -> Vec<ToolFound> {
        let (peers, snapshot) = (self.peers(), self.snapshot());
        let lists: Vec<_> =
            peers.iter().map(|peer| peer.shelf.lists.borrow().clone().unwrap_or_default()).collect();
        let parts: Vec<Part<'_>> = peers.iter().zip(&lists).map(|(peer, lists)| peer.part(lists)).collect();
        let scope =
            if alone { Scope::One(0) } else { Scope::All { endpoint_key: &snapshot.mcp.endpoint_key } };
        // What is left open is shown as it is for the client that this is made for.
        let mode = auto::mode(snapshot.mcp.tools, Some(Suit::Defers), || listing::size(&lists));
        let plan = Plan { parts: &parts, scope, allow: None, mode, is_core: None, ttl_ms: 0 };
        let view = View::new(&plan);
        let server_of = |entry: &Entry| peers.get(entry.server).map(|peer| peer.server.name.as_str());
        let entries = view.entries(ItemKind::Tool);
        let names = entries.iter().filter_map(|entry| Some((server_of(entry)?, entry.definition.key())));
        let neighbours = Neighbours::new(names);
        let mut written = Vec::new();
        let tool = |entry: &Entry| {
            let description = entry.description.as_deref();
            written.clear();
            entry.definition.write(entry.changes(Reader::Modern), &mut written);
            let cost = count.then(|| Cost::of(&entry.exposed, description, &entry.definition));
            let says = entry.definition.annotations();
            let own = || entry.definition.description().unwrap_or_default().into_owned();
            let description = description.map_or_else(own, str::to_owned);
            let shape = entry.definition.shape(entry.mode);
            let schema = shape.and_then(|shape| shape.input_schema.as_deref());
            let schema = schema.or_else(|| entry.definition.input_schema()).unwrap_or_default();
            let server = server_of(entry).unwrap_or_default();
            let hints = hints::scan(server, entry.definition.key(), entry.definition.raw(), &neighbours);
            ToolFound {
                exposed: entry.exposed.to_string(),
                name: entry.definition.key().to_owned(),
                server: server.to_owned(),
                bytes: written.len(),
                shown_bytes: entry.exposed.len() + description.len() + schema.len(),
                hash: entry.definition.canonical_hash(),
                read_only: says.read_only,
                destructive: says.destructive,
                description,
                marks: hints::words(&hints),
                mode: entry.mode,
                cost,
            }
        };
        entries.iter().map(tool).collect()
    }
}

/// What is known of a server now.
fn found(peer: &Peer, took: Duration) -> ServerFound {
    let shelf = &peer.shelf;
    let lists = shelf.lists.borrow();
    let why = shelf.stale.borrow().clone();
    let health = match (lists.is_some(), why.is_empty()) {
        (true, true) => Health::Fine,
        (true, false) => Health::Stale(why),
        (false, false) => Health::Unreachable(why),
        (false, true) => Health::Unreachable(format!("it has listed nothing within {} s", took.as_secs())),
    };
    let era = match (&peer.server.transport, peer.is_modern()) {
        (Transport::OpenApi(_), _) => "openapi",
        (_, Some(true)) => "modern",
        (_, Some(false)) => "legacy",
        (_, None) => "",
    };
    let left_out = lists.iter().flat_map(|lists| &lists.tools.left_out);
    let left_out = left_out.map(|item| {
        let name = item.key.clone().unwrap_or_else(|| format!("number {}", item.index + 1));
        format!("{name}: {}", item.why)
    });
    ServerFound {
        name: peer.server.name.to_string(),
        health,
        era,
        version: peer.version().map_or("", |version| version.as_str()),
        tools: lists.as_ref().map_or(0, |lists| lists.tools.items.len()),
        left_out: left_out.collect(),
        took,
    }
}

fn since(begun: Instant) -> Duration {
    clock::now().saturating_duration_since(begun)
}
