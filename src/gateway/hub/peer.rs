//! One MCP server as the hub knows it: its era, its channels, and when to try again.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OnceCell};
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::channel::{self, Answered, Channel, Link, NoResult};
use crate::gateway::hub::events;
use crate::gateway::hub::refresh::Shelf;
use crate::gateway::log::Level;
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::bridge::capabilities::{self, CapabilitySet};
use crate::mcp::bridge::opening::{self, ServerFacts};
use crate::mcp::list::ServerLists;
use crate::mcp::openapi::OpenApi;
use crate::mcp::presentation::Presentation;
use crate::mcp::rpc;
use crate::mcp::version::Version;
use crate::mcp::view::Part;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::backoff::Backoff;
use crate::upstream::mcp::http::HttpLink;
use crate::upstream::mcp::pipe::{PipeLink, PipeSender};
use crate::upstream::mcp::remarks::Remark;
use crate::upstream::mcp::server::{EraChoice, Remote, Server, Sharing, Transport};
use crate::upstream::mcp::stdio::{self, Patience};
use crate::upstream::mcp::{Failure, Outbound, sse};

/// Whose channel it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Ours, for lists; with a modern server that has no processes of callers, everybody's.
    Own,
    /// That of callers who declare these capabilities, perhaps of one key alone.
    Callers(CapabilitySet, Option<Arc<str>>),
}

/// What a channel is opened with.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) lane: Lane,
    /// What to declare to a legacy server.
    pub(super) capabilities: CapabilitySet,
}

/// The server of one entry of the config.
pub(super) struct Peer {
    pub(super) server: Arc<Server>,
    pub(super) presentation: Presentation,
    /// What is known of its lists.
    pub(super) shelf: Shelf,
    /// What it says of itself, once it has been asked.
    pub(super) facts: RefCell<Option<Rc<ServerFacts>>>,
    /// How the tools of an HTTP API are called, once its document has been read.
    pub(super) api: RefCell<Option<Rc<OpenApi>>>,
    /// How many want to hear of changes of a resource, by its URI.
    pub(super) watched: RefCell<HashMap<String, usize>>,
    /// Rings when other resources are to be watched.
    pub(super) watching: Notify,
    /// Whether it is gone from the config.
    pub(super) retired: Cell<bool>,
    modern: Cell<Option<bool>>,
    lanes: RefCell<HashMap<Lane, Rc<OnceCell<Rc<Channel>>>>>,
    backoff: RefCell<Backoff>,
    /// Until when nobody tries to connect, and why.
    rest: RefCell<Option<(Instant, String)>>,
}

impl Peer {
    pub(super) fn new(server: Arc<Server>, presentation: Presentation) -> Rc<Self> {
        let modern = match server.era {
            EraChoice::Auto => None,
            EraChoice::Legacy => Some(false),
            EraChoice::Modern => Some(true),
        };
        Rc::new(Self {
            server,
            presentation,
            shelf: Shelf::default(),
            facts: RefCell::default(),
            api: RefCell::default(),
            watched: RefCell::default(),
            watching: Notify::new(),
            retired: Cell::new(false),
            modern: Cell::new(modern),
            lanes: RefCell::default(),
            backoff: RefCell::default(),
            rest: RefCell::default(),
        })
    }

    /// What a view is made of.
    pub(super) fn part<'a>(&'a self, lists: &'a ServerLists) -> Part<'a> {
        let Server { name, trusted, .. } = &*self.server;
        Part { server: name, lists, presentation: &self.presentation, trusted: *trusted }
    }

    /// The era, once it is known.
    pub(super) fn is_modern(&self) -> Option<bool> {
        self.modern.get()
    }

    /// The revision that our own channel speaks, while there is one.
    pub(super) fn version(&self) -> Option<Version> {
        Some(self.lanes.borrow().get(&Lane::Own)?.get()?.version)
    }

    /// What this server may ask of a caller who declares these. A legacy program that callers share hears of
    /// nobody's folders: it runs on our machine and remembers them, so one caller's word would open our own
    /// folders to all, whatever its arguments say.
    pub(super) fn may_be_asked(&self, declared: CapabilitySet) -> CapabilitySet {
        let shared_program =
            matches!(self.server.transport, Transport::Stdio(_)) && self.server.sharing == Sharing::Shared;
        if shared_program && self.modern.get() != Some(true) {
            return declared.without(CapabilitySet::ROOTS);
        }
        declared
    }

    /// Whose channel a caller with these capabilities uses.
    pub(super) fn lane(&self, capabilities: CapabilitySet, key_id: &Arc<str>) -> Lane {
        let own_process =
            matches!(self.server.transport, Transport::Stdio(_)) && self.server.sharing == Sharing::PerCaller;
        match self.modern.get() {
            Some(true) if own_process => Lane::Callers(CapabilitySet::default(), Some(Arc::clone(key_id))),
            Some(true) => Lane::Own,
            _ => {
                let alone = self.server.sharing == Sharing::PerCaller;
                Lane::Callers(capabilities, alone.then(|| Arc::clone(key_id)))
            }
        }
    }

    /// The open channel of a lane, opened when there is none; those who ask meanwhile wait for it.
    ///
    /// # Errors
    /// Why it cannot be had; after a failure others are told the same for a while without trying.
    pub(super) async fn channel(
        self: &Rc<Self>,
        hub: &Rc<Hub>,
        opening: Opening,
    ) -> Result<Rc<Channel>, Failure> {
        loop {
            let cell = Rc::clone(self.lanes.borrow_mut().entry(opening.lane.clone()).or_default());
            if let Some(channel) = cell.get() {
                if channel.is_open() {
                    channel.used.set(clock::now());
                    return Ok(Rc::clone(channel));
                }
                self.forget(&opening.lane, channel);
                continue;
            }
            self.may_open(&opening.lane)?;
            let opened = cell
                .get_or_try_init(|| async {
                    // Whoever was before us may have failed: then we need not wait for the same.
                    self.may_open(&opening.lane)?;
                    self.open(hub, &opening).await
                })
                .await;
            let channel = Rc::clone(opened?);
            if self.retired.get() {
                self.forget(&opening.lane, &channel);
                return Err(retired());
            }
            return Ok(channel);
        }
    }

    /// Our own channel, when it is open.
    pub(super) fn own(&self) -> Option<Rc<Channel>> {
        let lanes = self.lanes.borrow();
        lanes.get(&Lane::Own)?.get().filter(|channel| channel.is_open()).cloned()
    }

    /// Whether another channel may be opened: the server is still wanted, its last failure is a while ago,
    /// and callers have not opened as many as they may.
    fn may_open(&self, lane: &Lane) -> Result<(), Failure> {
        if self.retired.get() {
            return Err(retired());
        }
        if let Some((until, why)) = self.rest.borrow().as_ref()
            && clock::now() < *until
        {
            return Err(Failure::Unreachable(io::Error::other(why.clone())));
        }
        let open = |cell: &Rc<OnceCell<Rc<Channel>>>| cell.initialized();
        let others = self.lanes.borrow().iter().filter(|(other, cell)| *other != lane && open(cell)).count();
        let is_process = matches!(self.server.transport, Transport::Stdio(_));
        let shared = is_process && self.server.sharing == Sharing::Shared;
        let most = if shared { limits::MCP_SHARED_PROCESSES_MAX } else { limits::MCP_LANES_MAX };
        if *lane != Lane::Own && others >= most {
            let text = "too many kinds of callers use it at once; try again later";
            return Err(Failure::Unreachable(io::Error::other(text)));
        }
        Ok(())
    }

    /// Ends a channel that is of no use any more.
    pub(super) fn forget(&self, lane: &Lane, channel: &Rc<Channel>) {
        let mut lanes = self.lanes.borrow_mut();
        let same = lanes.get(lane).and_then(|cell| cell.get()).is_some_and(|held| Rc::ptr_eq(held, channel));
        if same {
            lanes.remove(lane);
        }
        drop(spawn_local(end(Rc::clone(channel))));
    }

    /// Whether it is what the config wants now.
    pub(super) fn is_as(&self, server: &Server, presentation: &Presentation) -> bool {
        self.presentation == *presentation && self.server.is_same(server)
    }

    /// For how many milliseconds callers may keep its lists: as long as it says that they are good, but not
    /// for longer than half of it, after which they are listed anew; for a while when it tells of changes;
    /// not at all when they are not fresh.
    pub(super) fn ttl_ms(&self) -> u64 {
        if !self.shelf.stale.borrow().is_empty() {
            return 0;
        }
        let tells = self.facts.borrow().as_ref().is_some_and(|facts| facts.capabilities.tools_changed);
        let says = self.shelf.lists.borrow().as_ref().and_then(|lists| lists.tools.ttl_ms);
        match says {
            Some(says) => says / 2,
            None if tells => limits::MCP_DISCOVER_TTL_MS,
            None => 0,
        }
    }

    /// How long nobody tries to connect.
    pub(super) fn rest(&self) -> Duration {
        let rest = self.rest.borrow();
        rest.as_ref().map_or(Duration::ZERO, |(until, _)| until.saturating_duration_since(clock::now()))
    }

    /// Notes that its process has ended by itself: nobody starts it again before a while, which is the longer
    /// the less it has lived.
    pub(super) fn rest_after_end(&self, random: u64) {
        let now = clock::now();
        let wait = self.backoff.borrow_mut().failed(now, random);
        *self.rest.borrow_mut() = Some((now + wait, "its process has ended".to_owned()));
    }

    /// Ends all channels.
    pub(super) async fn stop(&self) {
        let cells: Vec<_> = self.lanes.borrow_mut().drain().map(|(_, cell)| cell).collect();
        let channels = cells.iter().filter_map(|cell| cell.get());
        let ending: Vec<_> = channels.map(|channel| spawn_local(end(Rc::clone(channel)))).collect();
        for ended in ending {
            drop(ended.await);
        }
    }

    /// Ends channels of callers that have been idle for too long, and all of them once retired.
    pub(super) fn reap(self: &Rc<Self>, now: Instant) {
        let retired = self.retired.get();
        let mut ended = Vec::new();
        self.lanes.borrow_mut().retain(|lane, cell| {
            let Some(channel) = cell.get() else { return !retired };
            let idle = now.saturating_duration_since(channel.used.get()) > self.server.idle;
            let unused = channel.in_flight.borrow().is_empty()
                && channel.kept_until.get().is_none_or(|until| until <= now);
            let ends = retired || !channel.is_open() || (*lane != Lane::Own && idle && unused);
            if ends {
                ended.push(Rc::clone(channel));
            }
            !ends
        });
        for channel in ended {
            drop(spawn_local(end(channel)));
        }
    }

    async fn open(self: &Rc<Self>, hub: &Rc<Hub>, opening: &Opening) -> Result<Rc<Channel>, Failure> {
        let opened = timeout(limits::MCP_OPEN_DEADLINE, self.connect(hub, opening)).await;
        let opened = opened.unwrap_or(Err(Failure::TimedOut)).map_err(|failure| match failure {
            // Nobody's call has been sent yet, and nobody shall read that it may have run.
            Failure::Ended => Failure::Unreachable(io::Error::other(ENDED_AT_START)),
            // Sooner than it could be written to.
            Failure::Unreachable(why) if why.kind() == io::ErrorKind::BrokenPipe => {
                Failure::Unreachable(io::Error::other(ENDED_AT_START))
            }
            other => other,
        });
        match opened {
            Ok(channel) => {
                let channel = Rc::new(channel);
                self.backoff.borrow_mut().started(clock::now());
                *self.rest.borrow_mut() = None;
                *self.facts.borrow_mut() = Some(Rc::new(channel.facts.clone()));
                events::follow(hub, self, &channel, opening.lane == Lane::Own);
                if let (Link::Http(_), false) = (&channel.link, channel.version.is_modern()) {
                    // Some servers ask on this stream in the middle of a call, and drop what they ask while
                    // it is not there.
                    drop(timeout(limits::MCP_LISTEN_DEADLINE, channel.listening.notified()).await);
                }
                hub.log(Level::Info, "connected to an MCP server", |line| {
                    line.text("server", self.server.name.as_str()).text("version", channel.version.as_str())
                });
                hub.metrics.borrow_mut().mcp.connected(&self.server.name);
                Ok(channel)
            }
            Err(failure) => {
                if self.server.era == EraChoice::Auto {
                    // It may speak another era by now, or may not have spoken at all when it was asked.
                    self.modern.set(None);
                }
                let wait = self.backoff.borrow_mut().failed(clock::now(), hub.random());
                *self.rest.borrow_mut() = Some((clock::now() + wait, failure.to_string()));
                hub.log(Level::Warn, "an MCP server cannot be used", |line| {
                    line.text("server", self.server.name.as_str()).text("error", &failure.to_string())
                });
                Err(failure)
            }
        }
    }

    async fn connect(self: &Rc<Self>, hub: &Rc<Hub>, opening: &Opening) -> Result<Channel, Failure> {
        match &self.server.transport {
            Transport::Http(remote) => self.over_http(hub, remote, opening).await,
            Transport::Sse(remote) => {
                let permit = PlacedPermit::own();
                let pool = Rc::clone(&hub.pool);
                let (sender, receiver) = sse::open(pool, remote.clone(), hub.timeouts(), &permit).await?;
                let link = PipeLink::new(PipeSender::Sse(sender), receiver, self.server.call_deadline);
                self.modern.set(Some(false));
                self.initialize(hub, Link::Pipe(link), opening).await
            }
            Transport::Stdio(_) => {
                let modern = match self.modern.get() {
                    Some(known) => known,
                    None => {
                        // In a process of its own: some legacy servers end at a request before `initialize`.
                        // It says nothing that the next one does not say as well.
                        let probe = self.spawn(hub, false)?;
                        let found = self.ask_era(hub, &Link::Pipe(Rc::clone(&probe))).await;
                        probe.stop().await;
                        found?
                    }
                };
                self.modern.set(Some(modern));
                let link = Link::Pipe(self.spawn(hub, true)?);
                self.begin(hub, link, opening, modern).await
            }
            Transport::OpenApi(_) => {
                Err(Failure::Unreachable(io::Error::other("an OpenAPI server has no channel")))
            }
        }
    }

    async fn over_http(
        self: &Rc<Self>,
        hub: &Rc<Hub>,
        remote: &Remote,
        opening: &Opening,
    ) -> Result<Channel, Failure> {
        let link = |deadline| HttpLink::new(Rc::clone(&hub.pool), remote.clone(), hub.timeouts(), deadline);
        let modern = match self.modern.get() {
            Some(known) => known,
            None => self.ask_era(hub, &Link::Http(link(limits::MCP_PROBE_DEADLINE))).await?,
        };
        self.modern.set(Some(modern));
        self.begin(hub, Link::Http(link(self.server.call_deadline)), opening, modern).await
    }

    /// Starts the program of this server; `aloud` when what it remarks goes to the log.
    fn spawn(self: &Rc<Self>, hub: &Rc<Hub>, aloud: bool) -> Result<Rc<PipeLink>, Failure> {
        let Transport::Stdio(program) = &self.server.transport else {
            return Err(Failure::Unreachable(io::ErrorKind::Unsupported.into()));
        };
        let (hub, name) = (Rc::clone(hub), self.server.name.clone());
        let (sender, receiver) = stdio::open(program, Patience::default(), move |remark| {
            if aloud {
                tell(&hub, &name, remark);
            }
        })?;
        Ok(PipeLink::new(PipeSender::Stdio(sender), receiver, self.server.call_deadline))
    }

    /// Asks `server/discover` and judges by the answer: only a modern server knows the method or its errors.
    async fn ask_era(&self, hub: &Hub, link: &Link) -> Result<bool, Failure> {
        let asked = timeout(limits::MCP_PROBE_DEADLINE, discover(hub, link)).await;
        match asked {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(NoResult::Refused { code, data, .. })) => Ok(match code {
                -32020 | -32021 => true,
                -32022 => names_modern(&data),
                _ => false,
            }),
            Ok(Err(NoResult::Failed(Failure::Status { status: 400 | 404 | 405 | 406 | 415, .. }))) => {
                Ok(false)
            }
            // Silence: a legacy process may ignore what it does not know.
            Err(_) | Ok(Err(NoResult::Failed(Failure::TimedOut | Failure::Ended)))
                if matches!(link, Link::Pipe(_)) =>
            {
                Ok(false)
            }
            Err(_elapsed) => Err(Failure::TimedOut),
            Ok(Err(NoResult::Failed(failure))) => Err(failure),
        }
    }

    async fn begin(
        self: &Rc<Self>,
        hub: &Rc<Hub>,
        link: Link,
        opening: &Opening,
        modern: bool,
    ) -> Result<Channel, Failure> {
        if !modern {
            return self.initialize(hub, link, opening).await;
        }
        let mut asked = discover(hub, &link).await;
        if let Err(NoResult::Refused { code: rpc::UNSUPPORTED_VERSION, data, .. }) = &asked
            && names_modern(data)
        {
            // It takes the version after all: once more.
            asked = discover(hub, &link).await;
        }
        match asked {
            Ok(answered) => {
                let facts = opening::read_discover_result(answered.result())
                    .map_err(|why| Failure::Garbage(why.to_string()))?;
                Ok(Channel::new(link, Version::V2026_07_28, facts, None))
            }
            Err(NoResult::Failed(failure)) => Err(failure),
            Err(refused) => Err(Failure::Garbage(refused.to_string())),
        }
    }

    async fn initialize(
        self: &Rc<Self>,
        hub: &Rc<Hub>,
        link: Link,
        opening: &Opening,
    ) -> Result<Channel, Failure> {
        let version = Version::LATEST_LEGACY;
        let info = channel::OUR_INFO.as_bytes();
        let params = capabilities::initialize_params(version, opening.capabilities, info);
        let permit = PlacedPermit::own();
        let lines = channel::headers(Version::LATEST_LEGACY, None, "initialize", None);
        let asked =
            channel::request(&link, &permit, hub.next_id(), lines, ("initialize", params.as_slice())).await;
        let answered = asked.map_err(|why| match why {
            NoResult::Failed(failure) => failure,
            refused @ NoResult::Refused { .. } => Failure::Garbage(refused.to_string()),
        })?;
        let facts = opening::read_initialize_result(answered.result())
            .map_err(|why| Failure::Garbage(why.to_string()))?;
        let version = facts.versions.first().and_then(|version| Version::parse(version));
        let version = version
            .filter(|version| !version.is_modern())
            .ok_or_else(|| Failure::Garbage("it answered with a version that nobody knows".to_owned()))?;
        let channel = Channel::new(link, version, facts, answered.session);
        let method = "notifications/initialized";
        let body = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\"}}").into_bytes();
        let out = Outbound { id: 0, body, headers: channel.headers(method, None), resumable: false };
        channel.link.post(&permit, out).await?;
        Ok(channel)
    }
}

/// Writes down what a program has remarked.
fn tell(hub: &Hub, name: &ServerName, remark: Remark<'_>) {
    let (level, what, text) = match remark {
        Remark::Said(text) => (Level::Info, "an MCP server says", Cow::Borrowed(text)),
        Remark::Garbage(text) => (Level::Warn, "an MCP server writes what is no message", text.into()),
        Remark::LeftOut(lines) => {
            (Level::Warn, "an MCP server says too much", format!("{lines} lines were left out").into())
        }
        Remark::Ended(Some(status)) => (Level::Info, "an MCP server has ended", status.to_string().into()),
        Remark::Ended(None) => (Level::Info, "an MCP server has ended", Cow::Borrowed("")),
    };
    hub.log(level, what, |line| line.text("server", name.as_str()).text("text", &text));
}

/// Asks a modern server what it is.
async fn discover(hub: &Hub, link: &Link) -> Result<Answered, NoResult> {
    let params = channel::own_params(Version::V2026_07_28, "");
    let lines = channel::headers(Version::V2026_07_28, None, "server/discover", None);
    channel::request(link, &PlacedPermit::own(), hub.next_id(), lines, ("server/discover", &params)).await
}

/// Why a program that has ended before its first answer is not called.
const ENDED_AT_START: &str = "it ended at its start";

/// Why a server that is gone from the config is not called.
fn retired() -> Failure {
    Failure::Unreachable(io::Error::other("it is not configured any more"))
}

/// Whether `data` of a -32022 error names the modern revision.
fn names_modern(data: &[u8]) -> bool {
    let data: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
    let named = data.get("supported").and_then(serde_json::Value::as_array);
    named.is_some_and(|named| named.iter().any(|version| version == Version::V2026_07_28.as_str()))
}

/// Ends a channel: a legacy session is told, a process is stopped.
async fn end(channel: Rc<Channel>) {
    channel.closed.set(true);
    match &channel.link {
        Link::Http(link) => {
            if channel.session.is_some() {
                link.end(&PlacedPermit::own(), channel.headers("", None)).await;
            }
        }
        Link::Pipe(link) => link.stop().await,
    }
}
