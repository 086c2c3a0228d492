//! One core: its connections, pools, counters and log, none of which another core can hold up.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::MissedTickBehavior;

use crate::admin::heads_metrics::HeadCounts;
use crate::admin::metrics::Metrics;
use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::gateway::books::Books;
use crate::gateway::budget::Budget;
use crate::gateway::charge::{Limits, Meter};
use crate::gateway::clerk::Clerk;
use crate::gateway::connection;
use crate::gateway::contents::Contents;
use crate::gateway::counting::{Counter, Counting};
use crate::gateway::credentials::{Purse, Wallet};
use crate::gateway::deprecated::Told;
use crate::gateway::hub::ask::Ask;
use crate::gateway::issuers::KeySets;
use crate::gateway::log::{CoreLog, Level};
use crate::gateway::native_count::Silent;
use crate::gateway::offers::Offers;
use crate::gateway::office::registrar::Registrar;
use crate::gateway::outages::Outages;
use crate::gateway::published::Published;
use crate::gateway::showcase::{Showcase, Taken};
use crate::gateway::sign_ins::SignIns;
use crate::gateway::strangers::Strangers;
use crate::gateway::today::Today;
use crate::ids::{CallId, ServerName};
use crate::limits;
use crate::mcp::repeat::Repeats;
use crate::net::engine::Engine;
use crate::net::listener::Listener;
use crate::policy::table::Table;
use crate::route::choose::{Health, News};
use crate::upstream::mcp::http::HttpLink;
use crate::upstream::mcp::server::Server;
use crate::upstream::pool::Pool;

/// How often a core hands over its log lines.
const LOG_TICK: Duration = Duration::from_millis(100);

/// Every so many ticks the pool is looked through.
const TICKS_PER_REAP: u64 = 10;

/// Bits of message ids that a core counts in: 10^12 messages, and room for 4,000 cores below 2^53.
const CORE_BITS: u32 = 40;

/// How long a listener rests when it may not or cannot accept.
const ACCEPT_REST: Duration = Duration::from_millis(20);

/// How far the end of the process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Serving.
    Running,
    /// No new connections; what runs may end.
    Draining,
    /// What still runs is cut.
    Cut,
}

/// What a core can be told or asked.
#[derive(Debug)]
pub(super) enum Mail {
    Phase(Phase),
    Metrics(oneshot::Sender<Metrics>),
    /// What another core has found out about targets.
    Health(Vec<News>),
}

/// A snapshot as one core holds it: counted on this core, so that cores do not fight over one counter.
#[derive(Debug)]
pub(super) struct Held(Arc<Snapshot>);

impl Deref for Held {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

/// Connections to MCP servers by name, each with the config that it was made for.
type Links = HashMap<ServerName, (Arc<Server>, Rc<HttpLink>)>;

/// One core's state. Shared by the tasks of one thread.
pub(super) struct Worker {
    pub(super) pool: Rc<Pool>,
    pub(super) metrics: RefCell<Metrics>,
    pub(super) log: RefCell<CoreLog>,
    pub(super) phase: Cell<Phase>,
    pub(super) budget: Arc<Budget>,
    pub(super) mailboxes: Arc<[Sender<Mail>]>,
    /// Answers on their way.
    pub(super) streams: Cell<u64>,
    /// What the hub shows, and what this core has taken of it.
    pub(super) showcase: Arc<Showcase>,
    pub(super) shown: Taken,
    /// Tool uses that may come twice, on whatever core.
    pub(super) repeats: Arc<Repeats>,
    /// The connections of this core to modern MCP servers.
    pub(super) links: RefCell<Links>,
    message_ids: Cell<u64>,
    /// Where calls of the MCP side go.
    pub(super) hub: Sender<Ask>,
    /// Whether all addresses that we listen on are loopback ones.
    pub(super) loopback: bool,
    /// The value of `date` headers; callers hold it too.
    pub(super) today: Rc<Today>,
    /// This core's part of the ledger.
    pub(super) books: Books,
    /// Where contents go that are kept.
    pub(super) contents: Contents,
    /// Those who have signed in.
    pub(super) sign_ins: SignIns,
    /// What providers are shown that ends after a while.
    pub(super) purse: Purse,
    /// Refusals of those whom nobody knows.
    pub(super) strangers: Strangers,
    /// Targets that fail, as people are told of them.
    pub(super) outages: Outages,
    /// Who looks things up in the ledger.
    pub(super) clerk: Clerk,
    /// Who reads and writes files for administrators.
    pub(super) registrar: Registrar,
    pub(super) heads: Arc<HeadCounts>,
    /// This core's part of the budgets.
    pub(super) meter: Rc<Meter>,
    /// Lists of tools that this core has weighed.
    pub(super) offers: Offers,
    /// How models count tokens, and what has been counted.
    pub(super) counting: Rc<Counting>,
    /// Servers that do not count themselves.
    pub(super) silent: Silent,
    /// What has been decided so far.
    pub(super) decisions: Table,
    /// What this core knows to have been told of models that end.
    pub(super) told: Told,
    /// Lists of models by provider, see `serve_models`.
    pub(super) models: RefCell<crate::gateway::serve_models::Lists>,
    /// What this core knows of targets.
    pub(super) health: RefCell<Health>,
    /// The number of the core, from 0.
    pub(super) number: usize,
    connections: Cell<usize>,
    published: Arc<Published>,
    snapshot: RefCell<(u64, Rc<Held>)>,
    wakers: RefCell<Vec<Option<Waker>>>,
    ids: RefCell<Ids>,
}

/// What a worker is made of besides its runtime.
pub(super) struct Parts {
    pub(super) log: CoreLog,
    pub(super) budget: Arc<Budget>,
    pub(super) mailboxes: Arc<[Sender<Mail>]>,
    pub(super) published: Arc<Published>,
    pub(super) hub: Sender<Ask>,
    pub(super) loopback: bool,
    pub(super) showcase: Arc<Showcase>,
    pub(super) repeats: Arc<Repeats>,
    /// The number of the core, from 0.
    pub(super) number: u64,
    pub(super) books: Books,
    pub(super) limits: Limits,
    pub(super) clerk: Clerk,
    pub(super) counter: Counter,
    pub(super) registrar: Registrar,
    pub(super) heads: Arc<HeadCounts>,
    pub(super) contents: Contents,
    pub(super) key_sets: Arc<KeySets>,
    pub(super) wallet: Arc<Wallet>,
}

impl Worker {
    pub(super) fn new(engine: Engine, parts: Parts) -> Rc<Self> {
        let (number, snapshot) = parts.published.current();
        let mut metrics = Metrics::default();
        match engine {
            Engine::IoUring => metrics.workers = [1, 0],
            Engine::Epoll => metrics.workers = [0, 1],
        }
        Rc::new(Self {
            pool: Rc::new(Pool::new(engine)),
            metrics: RefCell::new(metrics),
            log: RefCell::new(parts.log),
            phase: Cell::new(Phase::Running),
            budget: parts.budget,
            mailboxes: parts.mailboxes,
            streams: Cell::new(0),
            showcase: parts.showcase,
            shown: Taken::default(),
            repeats: parts.repeats,
            links: RefCell::default(),
            message_ids: Cell::new((parts.number + 1) << CORE_BITS),
            hub: parts.hub,
            loopback: parts.loopback,
            today: Rc::default(),
            books: parts.books,
            clerk: parts.clerk,
            registrar: parts.registrar,
            heads: parts.heads,
            contents: parts.contents,
            sign_ins: SignIns::new(parts.key_sets),
            purse: Purse::new(parts.wallet),
            strangers: Strangers::default(),
            outages: Outages::default(),
            meter: Meter::new(&parts.limits),
            told: Told::default(),
            offers: Offers::default(),
            counting: Counting::new(parts.counter),
            silent: Silent::default(),
            decisions: Table::default(),
            models: RefCell::default(),
            health: RefCell::new(Health::new(seed())),
            number: usize::try_from(parts.number).unwrap_or(usize::MAX),
            connections: Cell::new(0),
            published: parts.published,
            snapshot: RefCell::new((number, Rc::new(Held(snapshot)))),
            wakers: RefCell::default(),
            ids: RefCell::default(),
        })
    }

    /// The newest snapshot.
    pub(super) fn snapshot(&self) -> Rc<Held> {
        let mut held = self.snapshot.borrow_mut();
        if held.0 != self.published.number() {
            let (number, snapshot) = self.published.current();
            *held = (number, Rc::new(Held(snapshot)));
        }
        Rc::clone(&held.1)
    }

    /// An id for the next call.
    pub(super) fn next_id(&self) -> CallId {
        self.ids.borrow_mut().next()
    }

    /// A number for a message to an MCP server that no other message of this process has. The hub counts from
    /// zero, each core from a place of its own; all stay below 2^53, which JSON numbers hold exactly.
    pub(super) fn next_message_id(&self) -> u64 {
        let id = self.message_ids.get() + 1;
        self.message_ids.set(id);
        id
    }

    /// Wakes the task whenever the phase changes; the guard forgets it again.
    pub(super) fn wake_on_phase(self: &Rc<Self>, waker: &Waker) -> WakeGuard {
        let mut wakers = self.wakers.borrow_mut();
        let place = wakers.iter().position(Option::is_none).unwrap_or(wakers.len());
        match wakers.get_mut(place) {
            Some(free) => *free = Some(waker.clone()),
            None => wakers.push(Some(waker.clone())),
        }
        self.connections.set(self.connections.get() + 1);
        WakeGuard { worker: Rc::clone(self), place }
    }

    /// Runs until the process is told to stop and all connections have ended.
    pub(super) async fn run(self: Rc<Self>, listeners: Vec<Listener>, mut mail: Receiver<Mail>) {
        let accepting: Vec<_> =
            listeners.into_iter().map(|listener| spawn_local(accept(Rc::clone(&self), listener))).collect();
        let mut tick = tokio::time::interval(LOG_TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks: u64 = 0;
        loop {
            tokio::select! {
                received = mail.recv() => match received {
                    Some(Mail::Phase(phase)) => {
                        for task in &accepting {
                            task.abort();
                        }
                        self.enter(phase);
                    }
                    // Nobody may be waiting for the answer any more.
                    Some(Mail::Metrics(answer)) => drop(answer.send(self.counted())),
                    Some(Mail::Health(news)) => {
                        let now_ms = clock::unix_ms(clock::wall());
                        news.iter().for_each(|news| self.health.borrow_mut().hear(news, now_ms));
                    }
                    None => self.enter(Phase::Cut),
                },
                _ = tick.tick() => {
                    ticks += 1;
                    self.log.borrow_mut().flush();
                    self.published.spend(self.decisions.forgotten());
                    self.published.spend(self.shown.left());
                    if let Some(count) = self.strangers.take(clock::unix_s(clock::wall())) {
                        self.note_strangers(count);
                    }
                    if ticks.is_multiple_of(TICKS_PER_REAP) {
                        self.pool.reap(clock::now());
                        self.meter.tick();
                        self.note_outages(false);
                    }
                }
            }
            if self.phase.get() != Phase::Running && self.connections.get() == 0 {
                if let Some(count) = self.strangers.take_rest() {
                    self.note_strangers(count);
                }
                self.note_outages(true);
                self.log.borrow_mut().flush();
                return;
            }
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        for waker in self.wakers.borrow().iter().flatten() {
            waker.wake_by_ref();
        }
    }

    fn counted(&self) -> Metrics {
        let mut metrics = self.metrics.borrow().clone();
        metrics.connections = self.connections.get() as u64;
        metrics.streams = self.streams.get();
        metrics.idle_upstreams = self.pool.idle() as u64;
        metrics.log_lines_lost = self.log.borrow().lost;
        metrics
    }
}

/// What draws among targets begin with; any number is good.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => clock::unix_ms(clock::wall()),
    }
}

/// Keeps a connection counted and its waker known.
pub(super) struct WakeGuard {
    worker: Rc<Worker>,
    place: usize,
}

impl Drop for WakeGuard {
    fn drop(&mut self) {
        if let Some(waker) = self.worker.wakers.borrow_mut().get_mut(self.place) {
            *waker = None;
        }
        self.worker.connections.set(self.worker.connections.get().saturating_sub(1));
    }
}

async fn accept(worker: Rc<Worker>, listener: Listener) {
    loop {
        if worker.connections.get() >= limits::CONNECTIONS_MAX {
            tokio::time::sleep(ACCEPT_REST).await;
            continue;
        }
        match listener.accept().await {
            Ok(stream) => drop(spawn_local(connection::serve(Rc::clone(&worker), stream))),
            Err(fault) => {
                // Out of descriptors, or a connection that was reset in the queue: neither ends the service.
                worker.log.borrow_mut().line(Level::Warn, "a connection could not be accepted", |line| {
                    line.text("error", &fault.to_string())
                });
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Random ids, drawn from the system in batches.
#[derive(Debug, Default)]
pub(super) struct Ids {
    drawn: Vec<u128>,
}

impl Ids {
    const BATCH: usize = 64;

    pub(super) fn next(&mut self) -> CallId {
        if self.drawn.is_empty() {
            let mut bytes = [0; Self::BATCH * 16];
            // Should the system have no randomness, ids of this moment's clock still tell calls apart.
            if getrandom::fill(&mut bytes).is_err() {
                let now = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
                return CallId(now);
            }
            let (chunks, _rest) = bytes.as_chunks::<16>();
            self.drawn.extend(chunks.iter().map(|chunk| u128::from_le_bytes(*chunk)));
        }
        CallId(self.drawn.pop().unwrap_or_default())
    }
}
