//! Starts the process: sockets, threads, engines.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use socket2::Socket;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::config::load::Loaded;
use crate::config::pin_file::{LivePins, PinFileFault};
use crate::config::reload::Watch;
use crate::config::snapshot::Fixed;
use crate::gateway::accounts::{Accounts, BudgetsFault};
use crate::gateway::books::Books;
use crate::gateway::budget::Budget;
use crate::gateway::charge::Limits;
use crate::gateway::clerk::Clerk;
use crate::gateway::contents::Contents;
use crate::gateway::counting::Counter;
use crate::gateway::credentials;
use crate::gateway::herald::Herald;
use crate::gateway::hub;
use crate::gateway::hub::ask::Ask;
use crate::gateway::issuers;
use crate::gateway::log::{CoreLog, Level, Sink};
use crate::gateway::office::registrar::{Order, Registrar};
use crate::gateway::pins;
use crate::gateway::published::Published;
use crate::gateway::showcase::Showcase;
use crate::gateway::worker::{Ids, Mail, Parts, Worker};
use crate::ledger::index::IndexFault;
use crate::ledger::index::store;
use crate::ledger::index::thread::Indexer;
use crate::ledger::live::{Ledger, LedgerFault};
use crate::limits;
use crate::mcp::repeat::Repeats;
use crate::mcp::sealed::SealingKey;
use crate::meter::rate::RateFault;
use crate::net::engine::{Engine, EngineChoice};
use crate::net::listener::{Listener, bind};
use crate::net::runtime::{RingRefused, Runtime};

/// Why the gateway does not start, or has ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// The engine that the config asks for cannot be had.
    #[error("cannot start with `engine: {engine}`: {source}{}", remedy(.engine))]
    Engine {
        /// What was asked for.
        engine: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// No thread, or no runtime for the control side.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// The ledger cannot be kept.
    #[error("cannot keep the ledger: {0}")]
    Ledger(#[from] LedgerFault),
    /// The index of the ledger cannot be had.
    #[error("cannot keep the index of the ledger: {0}")]
    Index(#[from] IndexFault),
    /// The index does not take what the ledger has, so nobody knows what has been spent.
    #[error(
        "the index of the ledger does not come up with it: {0}; make room, or see `tollgate ledger rebuild`"
    )]
    IndexBehind(String),
    /// Nobody knows how budgets stand.
    #[error("cannot keep the budgets: {0}")]
    Budgets(#[from] BudgetsFault),
    /// Rate limits that no meter can have.
    #[error("cannot keep the rate limits: {0}")]
    Rates(RateFault),
    /// Nobody knows what tools were when they were trusted.
    #[error("cannot keep the pins of tools: {0}")]
    Pins(#[from] PinFileFault),
    /// A core has ended by itself.
    #[error("a data thread has ended unexpectedly; see the log")]
    CoreLost,
}

/// What to write instead, where there is a choice.
fn remedy(engine: &str) -> &'static str {
    if engine == "io_uring" { "; write `engine: auto` or `engine: epoll` instead" } else { "" }
}

/// A gateway that is listening.
pub struct Running {
    /// The addresses, with their real ports.
    pub addresses: Vec<SocketAddr>,
    pub(super) cores: Vec<JoinHandle<()>>,
    pub(super) mailboxes: Arc<[Sender<Mail>]>,
    pub(super) published: Arc<Published>,
    pub(super) watch: Watch,
    pub(super) path: Option<PathBuf>,
    pub(super) fixed: Fixed,
    pub(super) log: Sink,
    pub(super) log_thread: JoinHandle<()>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) indexer: Indexer,
    pub(super) contents: Contents,
    pub(super) herald: Herald,
    pub(super) issuers: issuers::Keeper,
    pub(super) credentials: credentials::Keeper,
    pub(super) limits: Limits,
    pub(super) books: Books,
    pub(super) ids: Ids,
    /// Wishes of administrators that the config is read again.
    pub(super) orders: Receiver<Order>,
    /// The faults of the last config that was refused, until one is taken.
    pub(super) refused: Option<String>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({:?}, {} cores)", self.addresses, self.cores.len())
    }
}

/// Binds the addresses and starts a thread per core. On return connections are being accepted.
///
/// # Errors
/// What could not be had: an address, an engine, a thread.
pub fn start(loaded: Loaded, path: Option<&Path>) -> Result<Running, StartFault> {
    let Loaded { fixed, snapshot, warnings, watched, .. } = loaded;
    let (log, log_thread) = open_log(&fixed, &warnings)?;
    let pins = LivePins::open(&fixed.data_dir)?;
    let mut accounts = Accounts::open(&fixed, &snapshot.spending, &log)?;
    let (addresses, sockets) = bind_all(&fixed)?;
    let (clerk, (registrar, orders)) = (clerk(&fixed)?, Registrar::start(path.map(Path::to_owned), &fixed)?);
    let (counter, budget) = (Counter::start()?, Budget::new(limits::BODIES_BYTES_MAX));
    let mut issuers = issuers::Keeper::new(log.clone());
    issuers.tell(&snapshot.identity);
    let credentials = credentials::Keeper::new(log.clone(), &snapshot.credentials);
    let (config_version, published) = (snapshot.version.clone(), Arc::new(Published::new(snapshot)));
    let (mailboxes, receivers, hub_mail) = mailboxes(sockets.len());
    let (hub, asks) = channel(limits::MCP_ASKS_MAX);
    let (showcase, repeats) = (Arc::<Showcase>::default(), Arc::<Repeats>::default());
    let loopback = addresses.iter().all(|address| address.ip().is_loopback());
    let (report, reports) = mpsc::channel();
    let mut cores = Vec::with_capacity(sockets.len());
    for (number, (sockets, mail)) in sockets.into_iter().zip(receivers).enumerate() {
        let parts = Parts {
            log: CoreLog::new(log.clone()),
            budget: Arc::clone(&budget),
            mailboxes: Arc::clone(&mailboxes),
            published: Arc::clone(&published),
            hub: hub.clone(),
            loopback,
            showcase: Arc::clone(&showcase),
            repeats: Arc::clone(&repeats),
            number: number as u64,
            books: accounts.books().ok_or(StartFault::CoreLost)?,
            limits: accounts.limits.clone(),
            clerk: clerk.clone(),
            counter: counter.clone(),
            registrar: registrar.clone(),
            heads: Arc::clone(&accounts.herald.counts),
            contents: accounts.contents.clone(),
            key_sets: Arc::clone(&issuers.sets),
            wallet: Arc::clone(&credentials.wallet),
        };
        let core = Core { choice: fixed.engine, sockets, mail, parts, report: report.clone() };
        cores.push(std::thread::Builder::new().name(format!("core-{number}")).spawn(move || core.run())?);
    }
    drop((report, hub));
    let pins = pins::Keeper::start(pins, log.clone())?;
    let common = (repeats, showcase, Arc::clone(&published));
    cores.push(start_hub(&log, (asks, hub_mail), (common, pins), &mut accounts)?);
    announce(&log, &fixed, &reports, &addresses, &config_version)?;
    let books = accounts.books().ok_or(StartFault::CoreLost)?;
    let Accounts { ledger, limits, indexer, contents, herald, .. } = accounts;
    Ok(Running {
        addresses,
        cores,
        mailboxes,
        published,
        watch: Watch::new(&watched),
        path: path.map(Path::to_owned),
        fixed,
        log,
        log_thread,
        ledger,
        indexer,
        contents,
        herald,
        issuers,
        credentials,
        limits,
        books,
        ids: Ids::default(),
        orders,
        refused: None,
    })
}

/// The cores', and the hub's, the last.
type Mailboxes = Arc<[Sender<Mail>]>;

/// A mailbox for each core and, the last, for the hub.
fn mailboxes(cores: usize) -> (Mailboxes, Vec<Receiver<Mail>>, Receiver<Mail>) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..cores).map(|_| channel(limits::MAIL_MAX)).unzip();
    let (hub, mail) = channel(limits::MAIL_MAX);
    (senders.into_iter().chain([hub]).collect(), receivers, mail)
}

fn clerk(fixed: &Fixed) -> io::Result<Clerk> {
    Clerk::start(store::path_in(&fixed.data_dir))
}

/// Starts the log with what people should read first.
fn open_log(fixed: &Fixed, warnings: &[String]) -> io::Result<(Sink, JoinHandle<()>)> {
    let (log, thread) = Sink::start(fixed.log)?;
    warn(warnings, &log);
    raise_open_files(&log);
    Ok((log, thread))
}

fn warn(warnings: &[String], log: &Sink) {
    for warning in warnings {
        log.line(Level::Warn, "config", |line| line.text("warning", warning));
    }
    raise_open_files(log);
}

/// A stream needs two descriptors, and the usual soft limit is 1024. Where it cannot be raised, the listener
/// rests when descriptors run out.
fn raise_open_files(log: &Sink) {
    if let Err(fault) = rlimit::increase_nofile_limit(limits::OPEN_FILES_WANTED) {
        log.line(Level::Warn, "the limit of open files stays as it is", |line| {
            line.text("error", &fault.to_string())
        });
    }
}

type Report = Result<(Engine, Option<RingRefused>), io::Error>;

/// Waits until every core has its engine, and says which.
fn announce(
    log: &Sink,
    fixed: &Fixed,
    reports: &mpsc::Receiver<Report>,
    addresses: &[SocketAddr],
    config_version: &str,
) -> Result<(), StartFault> {
    let mut engine = None;
    let mut refused = None;
    for report in reports {
        let (used, why) =
            report.map_err(|source| StartFault::Engine { engine: asked(fixed.engine), source })?;
        engine = Some(used);
        refused = refused.or(why);
    }
    if let Some(why) = refused {
        log.line(Level::Warn, "falling back to epoll", |line| line.text("why", &why.to_string()));
    }
    for address in addresses {
        log.line(Level::Info, "listening", |line| {
            line.text("addr", &address.to_string())
                .text("engine", engine.map_or("", Engine::name))
                .number("threads", fixed.threads as u64)
                .text("version", env!("CARGO_PKG_VERSION"))
                .text("config", config_version)
        });
    }
    Ok(())
}

const fn asked(choice: EngineChoice) -> &'static str {
    match choice {
        EngineChoice::Auto => "auto",
        EngineChoice::IoUring => "io_uring",
        EngineChoice::Epoll => "epoll",
    }
}

/// For every core a socket of every address. Port 0 is resolved once, so that all cores share the port.
fn bind_all(fixed: &Fixed) -> Result<(Vec<SocketAddr>, Vec<Vec<Socket>>), StartFault> {
    let mut addresses = Vec::with_capacity(fixed.listen.len());
    let mut cores: Vec<Vec<Socket>> = (0..fixed.threads.max(1)).map(|_| Vec::new()).collect();
    for &asked in &fixed.listen {
        let mut address = asked;
        for core in &mut cores {
            let fault = |source| StartFault::Listen { address, source };
            let socket = bind(address).map_err(fault)?;
            let bound = socket.local_addr().map_err(fault)?.as_socket();
            address = bound.unwrap_or(address);
            core.push(socket);
        }
        addresses.push(address);
    }
    Ok((addresses, cores))
}

/// What hub and cores share.
type Common = (Arc<Repeats>, Arc<Showcase>, Arc<Published>);

/// Starts the hub's thread.
fn start_hub(
    log: &Sink,
    (asks, mail): (Receiver<Ask>, Receiver<Mail>),
    ((repeats, showcase, published), pins): (Common, pins::Keeper),
    accounts: &mut Accounts,
) -> Result<JoinHandle<()>, StartFault> {
    let parts = hub::Parts {
        log: CoreLog::new(log.clone()),
        asks,
        mail,
        published,
        repeats,
        showcase,
        books: accounts.books().ok_or(StartFault::CoreLost)?,
        limits: accounts.limits.clone(),
        seal: SealingKey::generate().map_err(|fault| StartFault::Thread(io::Error::other(fault)))?,
        pins,
    };
    Ok(std::thread::Builder::new().name("hub".to_owned()).spawn(move || run_hub(parts))?)
}

/// The hub's thread.
fn run_hub(parts: hub::Parts) {
    if let Ok((runtime, _)) = Runtime::new(EngineChoice::Epoll) {
        runtime.block_on(hub::Hub::run(parts));
    }
}

/// What one thread is started with.
struct Core {
    choice: EngineChoice,
    sockets: Vec<Socket>,
    mail: Receiver<Mail>,
    parts: Parts,
    report: mpsc::Sender<Report>,
}

impl Core {
    fn run(self) {
        let Self { choice, sockets, mail, parts, report } = self;
        let (runtime, refused) = match Runtime::new(choice) {
            Ok(made) => made,
            // Whoever started us waits for the report; without a receiver it has given up already.
            Err(fault) => return drop(report.send(Err(fault))),
        };
        let engine = runtime.engine();
        runtime.block_on(async move {
            let listeners: io::Result<Vec<_>> =
                sockets.into_iter().map(|socket| Listener::new(socket, engine)).collect();
            let listeners = match listeners {
                Ok(listeners) => listeners,
                Err(fault) => return drop(report.send(Err(fault))),
            };
            drop(report.send(Ok((engine, refused))));
            drop(report);
            Worker::new(engine, parts).run(listeners, mail).await;
        });
    }
}
