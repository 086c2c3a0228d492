//! The hub: one thread that owns everything of MCP that outlives a request. Processes and sessions of
//! servers, sessions of legacy callers, parked calls, subscriptions, the lists of all servers.
//!
//! Cores read requests and write answers; what is asked and answered passes through channels, so no core
//! waits for a lock of another. Inside, tasks of one thread share plain cells. It runs on readiness whatever
//! the cores run on: pipes of child processes are of no other kind.

mod api;
pub(super) mod ask;
mod cached;
mod caller;
mod calls;
mod channel;
mod code;
mod compose;
mod doors;
mod drive;
mod events;
pub(super) mod failures;
mod finder;
mod growth;
mod held;
mod legacy;
mod listing;
mod modern;
mod noted;
mod park;
mod peer;
mod pinning;
mod post;
mod refresh;
mod rights;
mod rounds;
mod run;
mod session;
mod streams;
mod survey;
mod tasks;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, sleep, timeout};

use crate::admin::metrics::Metrics;
use crate::call::Outcome;
use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::gateway::books::Books;
use crate::gateway::charge::{Limits, Meter};
use crate::gateway::hub::ask::Ask;
use crate::gateway::hub::cached::Follower;
use crate::gateway::hub::code::Gate;
use crate::gateway::hub::events::Changed;
use crate::gateway::hub::finder::Finder;
use crate::gateway::hub::held::Talks;
use crate::gateway::hub::listing::Views;
use crate::gateway::hub::park::Lot;
use crate::gateway::hub::peer::Peer;
use crate::gateway::hub::session::Sessions;
use crate::gateway::hub::streams::Listeners;
use crate::gateway::log::{CoreLog, Level, Line};
use crate::gateway::pins::Keeper;
use crate::gateway::published::Published;
use crate::gateway::record::kept;
use crate::gateway::showcase::Showcase;
use crate::gateway::worker::{Mail, Phase};
use crate::identity::principal::Principal;
use crate::ids::{CallId, ServerName};
use crate::ledger::entry::{Entry, Kind};
use crate::limits::{self, Timeouts};
use crate::mcp::cache::Cache;
use crate::mcp::pin::barred::Barred;
use crate::mcp::repeat::Repeats;
use crate::mcp::sealed::SealingKey;
use crate::mcp::store::Store;
use crate::net::engine::Engine;
use crate::policy::table::Table;
use crate::upstream::pool::Pool;

/// How often the hub looks after idle things and a changed config.
const TICK: Duration = Duration::from_millis(100);

/// Every so many ticks idle sessions and channels are looked through.
const TICKS_PER_REAP: u64 = 10;

/// What the hub is made of.
pub(super) struct Parts {
    pub(super) log: CoreLog,
    pub(super) asks: Receiver<Ask>,
    pub(super) mail: Receiver<Mail>,
    pub(super) published: Arc<Published>,
    pub(super) seal: SealingKey,
    pub(super) repeats: Arc<Repeats>,
    pub(super) showcase: Arc<Showcase>,
    pub(super) books: Books,
    pub(super) limits: Limits,
    pub(super) pins: Keeper,
}

/// What the hub shares with the cores.
#[derive(Default)]
struct Common {
    repeats: Arc<Repeats>,
    showcase: Arc<Showcase>,
    /// Its part of the ledger and of the budgets; none where nobody is served.
    accounts: Option<Accounts>,
    /// The pins of tools; none where nobody is served.
    pins: Option<Keeper>,
}

/// The hub's part of the ledger and of the budgets.
struct Accounts {
    books: Rc<Books>,
    meter: Rc<Meter>,
}

/// The hub's state, shared by the tasks of its thread.
pub(super) struct Hub {
    pool: Rc<Pool>,
    published: Arc<Published>,
    snapshot: RefCell<(u64, Arc<Snapshot>)>,
    peers: RefCell<Rc<[Rc<Peer>]>>,
    sessions: Sessions,
    listeners: Listeners,
    parked: Rc<Lot>,
    talks: Talks,
    views: Views,
    finder: Finder,
    /// Scripts that run.
    scripts: Gate,
    /// Calls under way and bytes of their messages, by key.
    held: RefCell<HashMap<Arc<str>, (usize, usize)>>,
    /// What has been decided so far.
    decisions: Table,
    repeats: Arc<Repeats>,
    /// Results that are kept to be told again.
    cache: RefCell<Cache<Follower>>,
    showcase: Arc<Showcase>,
    store: Store,
    accounts: Option<Accounts>,
    pins: Option<Keeper>,
    /// The state of the pins that the lists were judged by.
    pins_number: Cell<u64>,
    seal: SealingKey,
    ids: Cell<u64>,
    phase: Cell<Phase>,
    log: RefCell<CoreLog>,
    metrics: RefCell<Metrics>,
}

impl Hub {
    /// Serves until the process ends.
    pub(super) async fn run(parts: Parts) {
        let Parts { log, mut asks, mut mail, published, seal, repeats, showcase, books, limits, pins } =
            parts;
        let accounts = Some(Accounts { books: Rc::new(books), meter: Meter::new(&limits) });
        let common = Common { repeats, showcase, accounts, pins: Some(pins.clone()) };
        let hub = Self::new(log, published, seal, common);
        drop(spawn_local(pinning::record(Rc::clone(&hub), pins)));
        hub.reconcile();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks: u64 = 0;
        loop {
            tokio::select! {
                asked = asks.recv() => match asked {
                    Some(ask) => {
                        hub.follow_config();
                        drop(spawn_local(post::serve(Rc::clone(&hub), ask)));
                    }
                    None => break,
                },
                received = mail.recv() => match received {
                    Some(Mail::Phase(phase)) => hub.enter(phase),
                    // Nobody may be waiting for the answer any more.
                    Some(Mail::Metrics(answer)) => drop(answer.send(hub.counted())),
                    // Models are no matter of the hub.
                    Some(Mail::Health(_)) => {}
                    None => break,
                },
                _ = tick.tick() => {
                    ticks += 1;
                    hub.log.borrow_mut().flush();
                    hub.published.spend(hub.decisions.forgotten());
                    hub.follow_config();
                    hub.follow_pins();
                    if ticks.is_multiple_of(TICKS_PER_REAP) {
                        if let Some(accounts) = &hub.accounts {
                            accounts.meter.tick();
                        }
                        hub.reap(clock::now());
                        hub.end_those(|_| true);
                    }
                }
            }
            if hub.phase.get() == Phase::Cut {
                break;
            }
        }
        // What does not end in time is killed when this thread's tasks go.
        let patience = if hub.phase.get() == Phase::Cut { limits::MCP_STOP_DEADLINE } else { Duration::MAX };
        let stopping = async {
            tokio::select! {
                () = hub.stop() => {}
                () = cut(&mut mail) => sleep(limits::MCP_STOP_DEADLINE).await,
            }
        };
        drop(timeout(patience, stopping).await);
        hub.log.borrow_mut().flush();
    }

    /// A hub without servers: `reconcile` gives it those of the config.
    fn new(log: CoreLog, published: Arc<Published>, seal: SealingKey, common: Common) -> Rc<Self> {
        let Common { repeats, showcase, accounts, pins } = common;
        let (number, snapshot) = published.current();
        Rc::new(Self {
            pool: Rc::new(Pool::new(Engine::Epoll)),
            published,
            snapshot: RefCell::new((number, snapshot)),
            peers: RefCell::new(Rc::from([])),
            sessions: Sessions::default(),
            listeners: Listeners::default(),
            parked: Rc::default(),
            talks: Talks::default(),
            views: Views::default(),
            finder: Finder::default(),
            scripts: Gate::default(),
            held: RefCell::default(),
            repeats,
            cache: RefCell::default(),
            decisions: Table::default(),
            showcase,
            store: Store::new(),
            accounts,
            pins_number: Cell::new(pins.as_ref().map_or(0, Keeper::number)),
            pins,
            seal,
            ids: Cell::new(0),
            phase: Cell::new(Phase::Running),
            log: RefCell::new(log),
            metrics: RefCell::new(Metrics::default()),
        })
    }

    /// The newest config.
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow().1)
    }

    /// The number of the config that holds.
    fn config_number(&self) -> u64 {
        self.snapshot.borrow().0
    }

    /// The servers, in the order of the config.
    fn peers(&self) -> Rc<[Rc<Peer>]> {
        Rc::clone(&self.peers.borrow())
    }

    /// The server of this name.
    fn peer(&self, name: &ServerName) -> Option<Rc<Peer>> {
        self.peers.borrow().iter().find(|peer| peer.server.name == *name).cloned()
    }

    /// The deadlines of connections.
    fn timeouts(&self) -> Timeouts {
        self.snapshot.borrow().1.timeouts
    }

    /// A number that no other message of ours to any server has.
    fn next_id(&self) -> u64 {
        let id = self.ids.get() + 1;
        self.ids.set(id);
        id
    }

    /// Writes down that a server lists something else than before.
    fn note_change(&self, server: &ServerName, what: &str) {
        let Some(accounts) = &self.accounts else { return };
        let id = CallId(u128::from(self.random()) << 64 | u128::from(self.random()));
        let entry = Entry {
            server: server.as_str().to_owned(),
            decision: kept(what.as_bytes()),
            outcome: Outcome::Done.name().to_owned(),
            ..Entry::new(id, Kind::ListChange, clock::unix_ms(clock::wall()))
        };
        let books = Rc::clone(&accounts.books);
        drop(spawn_local(async move { books.event(&entry).await }));
    }

    /// A number that cannot be guessed.
    #[expect(clippy::unused_self, reason = "randomness belongs to the hub, wherever it comes from")]
    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        // Should the system have no randomness, the clock still tells things apart.
        if getrandom::fill(&mut bytes).is_err() {
            let now = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            return now.as_secs() ^ u64::from(now.subsec_nanos());
        }
        u64::from_le_bytes(bytes)
    }

    /// Seconds since 1970.
    #[expect(clippy::unused_self, reason = "time belongs to the hub, wherever it comes from")]
    fn wall_s(&self) -> u64 {
        clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// Writes a line.
    fn log(&self, level: Level, message: &str, fill: impl FnOnce(Line<'_>) -> Line<'_>) {
        self.log.borrow_mut().line(level, message, fill);
    }

    /// Lists of a server have changed: whoever listens is told.
    fn tell_changed(&self, peer: &Peer, changed: Changed) {
        streams::tell_changed(self, &peer.server.name, changed);
    }

    /// Forgets what was made of the lists, here and on the cores, and what tools of them gave.
    fn forget_views(&self) {
        self.cache.borrow_mut().forget_all();
        self.views.forget();
        self.finder.forget();
        self.showcase.clear();
    }

    /// A resource of a server has changed.
    fn resource_updated(&self, peer: &Peer, uri: &str) {
        if !peer.watched.borrow().contains_key(uri) {
            return;
        }
        streams::tell_updated(self, &peer.server.name, uri);
    }

    fn follow_config(self: &Rc<Self>) {
        if self.snapshot.borrow().0 == self.published.number() {
            return;
        }
        let before = self.snapshot();
        *self.snapshot.borrow_mut() = self.published.current();
        let now = self.snapshot();
        self.reconcile();
        if before.mcp.pinning != now.mcp.pinning {
            pinning::judge_all(self);
        }
        let table = |of: &Snapshot| of.mcp.embedding.as_ref().map(Arc::as_ptr);
        if table(&before) != table(&now) {
            finder::renew(self);
        }
        if before.rules != now.rules {
            let all = Changed { tools: true, prompts: true, resources: true };
            streams::tell_all_changed(self, all);
        }
        let now_ms = clock::unix_ms(clock::wall());
        let valid: HashSet<Arc<str>> = now.keys.ids(now_ms).collect();
        self.end_those(|who| match &who.issuer {
            None => valid.contains(&who.key_id),
            Some(issuer) => now.identity.knows(issuer) && !now.identity.is_out(who),
        });
        rights::hold(self, &before);
    }

    /// Ends what those hold open who may not stay, or whose time is over.
    fn end_those(self: &Rc<Self>, may_stay: impl Fn(&Principal) -> bool) {
        let now_ms = clock::unix_ms(clock::wall());
        let stays = |who: &Principal| !who.has_expired(now_ms) && may_stay(who);
        streams::end_revoked(self, stays);
        for session in self.sessions.all().iter().filter(|session| !stays(&session.who)) {
            self.close_session(&session.id);
        }
    }

    /// Judges all lists anew when somebody has decided about tools.
    fn follow_pins(self: &Rc<Self>) {
        let Some(pins) = &self.pins else { return };
        let number = pins.number();
        if self.pins_number.replace(number) != number {
            pinning::judge_all(self);
        }
    }

    /// Makes the servers those of the config: what is as it was goes on, what has changed begins anew.
    fn reconcile(self: &Rc<Self>) {
        let snapshot = self.snapshot();
        let old = self.peers();
        let mut fresh = Vec::new();
        let peers: Vec<Rc<Peer>> = snapshot
            .mcp
            .servers
            .iter()
            .map(|wanted| {
                let same = old.iter().find(|peer| peer.is_as(&wanted.server, &wanted.presentation));
                same.map_or_else(
                    || {
                        let peer = Peer::new(Arc::clone(&wanted.server), wanted.presentation.clone());
                        fresh.push(Rc::clone(&peer));
                        peer
                    },
                    Rc::clone,
                )
            })
            .collect();
        for peer in old.iter().filter(|peer| !peers.iter().any(|kept| Rc::ptr_eq(kept, peer))) {
            peer.retired.set(true);
            peer.reap(clock::now());
        }
        let same = fresh.is_empty() && peers.len() == old.len();
        *self.peers.borrow_mut() = peers.into();
        self.forget_views();
        if !same {
            let all = Changed { tools: true, prompts: true, resources: true };
            streams::tell_all_changed(self, all);
        }
        for peer in fresh {
            refresh::schedule(self, &peer);
        }
    }

    fn reap(self: &Rc<Self>, now: Instant) {
        self.pool.reap(now);
        for id in self.sessions.idle(now) {
            self.close_session(&id);
        }
        self.listeners.reap();
        for peer in self.peers().iter() {
            peer.reap(now);
        }
        self.repeats.sweep(now);
        self.cache.borrow_mut().sweep(now);
        self.store.sweep();
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        if phase != Phase::Running {
            // What is held open for news alone ends now, and says so.
            streams::end_all(self);
        }
    }

    fn counted(&self) -> Metrics {
        let mut metrics = self.metrics.borrow().clone();
        metrics.log_lines_lost = self.log.borrow().lost;
        metrics.idle_upstreams = self.pool.idle() as u64;
        metrics.mcp.sessions = self.sessions.len() as u64;
        metrics.mcp.parked = self.parked.len() as u64;
        metrics.mcp.listeners = self.listeners.len() as u64;
        for peer in self.peers().iter() {
            let tools = peer.shelf.lists.borrow().as_ref().map_or(0, |lists| lists.tools.items.len() as u64);
            let fresh = peer.shelf.listed.get().is_some() && peer.shelf.stale.borrow().is_empty();
            metrics.mcp.state(&peer.server.name, fresh, tools);
            let lists = peer.shelf.lists.borrow();
            let barred = lists.as_ref().map(|lists| &lists.barred);
            let count = |barred: &Barred| (barred.held.len() as u64, barred.unlisted.len() as u64);
            metrics.mcp.barred(&peer.server.name, barred.map_or((0, 0), count));
        }
        metrics
    }

    /// Forgets a caller's session: its stream ends, its calls are cancelled, what it watched is let go.
    fn close_session(self: &Rc<Self>, id: &str) {
        let Some(session) = self.sessions.close(id) else { return };
        for (server, uri) in session.subscribed.take() {
            let hub = Rc::clone(self);
            drop(spawn_local(async move { streams::change_watch(&hub, &server, &uri, false).await }));
        }
    }

    /// Ends processes and sessions of servers, all at once: each may take its time.
    async fn stop(&self) {
        let stopping: Vec<_> = self
            .peers()
            .iter()
            .map(|peer| {
                peer.retired.set(true);
                let peer = Rc::clone(peer);
                spawn_local(async move { peer.stop().await })
            })
            .collect();
        for stopped in stopping {
            // Should one fail, the others still have their time.
            drop(stopped.await);
        }
    }
}

/// Waits for the order to cut what runs, answering questions meanwhile.
async fn cut(mail: &mut Receiver<Mail>) {
    while let Some(received) = mail.recv().await {
        if matches!(received, Mail::Phase(Phase::Cut)) {
            return;
        }
    }
    // Nobody is left to give an order.
    std::future::pending::<()>().await;
}
