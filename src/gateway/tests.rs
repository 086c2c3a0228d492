//! A core by hand: connections served on either engine, and what they hold of the memory for bodies.

use std::collections::HashSet;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use crate::call::{Endpoint, Outcome};
use crate::clock;
use crate::config::load;
use crate::config::snapshot::{LogFormat, Snapshot};
use crate::error::Code;
use crate::gateway::books::Books;
use crate::gateway::budget::Budget;
use crate::gateway::charge::Limits;
use crate::gateway::clerk::Clerk;
use crate::gateway::connection;
use crate::gateway::contents::Contents;
use crate::gateway::counting::Counter;
use crate::gateway::log::{CoreLog, Sink};
use crate::gateway::office::registrar::Registrar;
use crate::gateway::published::Published;
use crate::gateway::record::Record;
use crate::gateway::worker::{Parts, Worker};
use crate::ids::CallId;
use crate::ledger::entry::Kind;
use crate::ledger::follow::Follower;
use crate::ledger::journal::Journal;
use crate::ledger::live::{Ledger, Opened};
use crate::ledger::record::Record as Kept;
use crate::ledger::settings::{Durability, Settings};
use crate::ledger::tests::faults::Faults;
use crate::limits;
use crate::meter::budget::Budgets;
use crate::meter::rate::Rates;
use crate::net::buffer::Buffer;
use crate::net::connect::connect;
use crate::net::engine::EngineChoice;
use crate::net::listener::{Listener, bind};
use crate::net::outgoing::Outgoing;
use crate::net::runtime::Runtime;
use crate::net::stream::Stream;

const SOON: Duration = Duration::from_secs(10);

/// The memory for bodies.
const ALL: usize = 64 * 1024 * 1024;

const KEY: &str = "tg_core_0123456789abcdefghijklmnopqrstuvwxyz";

/// A core, and a connection to it.
struct Core {
    worker: Rc<Worker>,
    caller: Stream,
    served: JoinHandle<()>,
}

impl Core {
    async fn new(runtime: &Runtime, upstream: SocketAddr) -> Self {
        let (log, _thread) = Sink::start(LogFormat::Json).unwrap();
        let folder = temporary("ledger");
        let settings = Settings { journal_bytes: 0, ..Settings::new(&folder, 1) };
        let Opened { ledger, mut journals, .. } = Ledger::open(settings, 0).unwrap();
        // What is open stays until it is closed.
        std::fs::remove_dir_all(&folder).unwrap();
        let books = Books::new(journals.pop().unwrap(), Arc::new(ledger), false);
        Self::of(runtime, parts(upstream, &folder, books, log)).await
    }

    async fn of(runtime: &Runtime, parts: Parts) -> Self {
        let engine = runtime.engine();
        let worker = Worker::new(engine, parts);
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = [socket.local_addr().unwrap().as_socket().unwrap()];
        let listener = Listener::new(socket, engine).unwrap();
        let (caller, accepted) = tokio::join!(connect(engine, &address, SOON), listener.accept());
        let served = spawn_local(connection::serve(Rc::clone(&worker), accepted.unwrap()));
        Self { worker, caller: caller.unwrap(), served }
    }

    async fn send(&mut self, text: &str) {
        self.caller.send(Outgoing::one(Buffer::from(text.as_bytes()))).await.unwrap();
    }

    /// Reads until `wanted` has come.
    async fn reads(&mut self, wanted: &str) {
        while !String::from_utf8_lossy(self.caller.input()).contains(wanted) {
            let read = self.caller.fill(1).await.unwrap();
            assert!(read > 0, "no {wanted:?} in {:?}", String::from_utf8_lossy(self.caller.input()));
        }
    }

    /// Waits until exactly `bytes` are taken.
    async fn holds(&self, bytes: usize) {
        let waited = timeout(SOON, async {
            while self.worker.budget.free() != ALL - bytes {
                sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(waited.await.is_ok(), "{} bytes are taken, not {bytes}", ALL - self.worker.budget.free());
    }
}

/// What a core is made of.
fn parts(upstream: SocketAddr, folder: &Path, books: Books, log: Sink) -> Parts {
    Parts {
        log: CoreLog::new(log.clone()),
        budget: Budget::new(ALL),
        mailboxes: Arc::from([]),
        published: Arc::new(Published::new(snapshot(upstream))),
        hub: tokio::sync::mpsc::channel(1).0,
        loopback: true,
        showcase: Arc::default(),
        repeats: Arc::default(),
        number: 0,
        books,
        clerk: Clerk::none(),
        counter: Counter::none(),
        registrar: Registrar::none(),
        heads: Arc::default(),
        contents: Contents::new(folder, 1, log),
        key_sets: Arc::default(),
        wallet: Arc::default(),
        limits: Limits { budgets: Budgets::new(&[]).unwrap(), rates: Rates::new(&[]).unwrap() },
    }
}

/// A path that nothing else has.
fn temporary(ending: &str) -> PathBuf {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let name = format!("tollgate-core-{:016x}.{ending}", u64::from_ne_bytes(random));
    std::env::temp_dir().join(name)
}

pub(super) fn snapshot(upstream: SocketAddr) -> Snapshot {
    let path = temporary("yaml");
    let text = format!(
        "providers:\n  up: {{ dialect: anthropic, base_url: \"http://{upstream}\" }}\n  \
         shut: {{ dialect: anthropic, base_url: \"http://127.0.0.1:1\" }}\n\
         models: {{ claude-any: [up], claude-shut: [shut], other: [up] }}\n\
         keys: [{{ name: a, secret: {KEY}, models: [\"claude-*\"] }}]\n\
         timeouts: {{ body_stall_ms: 300 }}\n"
    );
    std::fs::write(&path, text).unwrap();
    let loaded = load::read(Some(&path));
    std::fs::remove_file(path).unwrap();
    loaded.unwrap_or_else(|faults| panic!("{faults}")).snapshot
}

/// Runs a case on every engine that this machine has.
fn on_both<F: Future<Output = ()>>(case: impl Fn(Rc<Runtime>) -> F) {
    for choice in [EngineChoice::Epoll, EngineChoice::IoUring] {
        match Runtime::new(choice) {
            Ok((runtime, _)) => {
                let runtime = Rc::new(runtime);
                runtime.block_on(case(Rc::clone(&runtime)));
            }
            Err(fault) => eprintln!("SKIPPED on {choice:?}: {fault}"),
        }
    }
}

fn head(framing: &str) -> String {
    format!("POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\n{framing}\r\n\r\n")
}

fn body(model: &str) -> String {
    format!("{{\"model\":\"{model}\",\"stream\":true}}")
}

/// An upstream that tells when the request is there, and begins its answer when it is told to.
async fn upstream() -> (SocketAddr, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = oneshot::channel();
    let (begin, begun) = oneshot::channel();
    spawn_local(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"true}") {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
        }
        tell.send(()).unwrap();
        begun.await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n")
            .await
            .unwrap();
        // The answer does not end before the other side has had enough.
        drop(stream.read_buf(&mut seen).await);
    });
    (address, told, begin)
}

#[test]
fn a_refused_call_gives_its_memory_back() {
    on_both(|runtime| async move {
        let unused = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        for (sent, status) in [
            (body("claude-any").replace('}', "!"), 400),
            (body("other"), 403),
            (body("claude-nobody"), 404),
            (body("claude-shut"), 502),
        ] {
            let mut core = Core::new(&runtime, unused).await;
            // Two calls, so that the second meets what the first has left.
            for _ in 0..2 {
                let (first, second) = sent.split_at(3);
                core.send(&(head(&format!("Content-Length: {}", sent.len())) + first)).await;
                core.holds(sent.len()).await;
                core.send(second).await;
                core.reads(&format!("HTTP/1.1 {status} ")).await;
                core.holds(0).await;
                core.reads("request_id").await;
                core.caller.consume(core.caller.input().len());
            }
        }
        // Whatever is announced, only a first step is taken before more has arrived.
        let mut core = Core::new(&runtime, unused).await;
        core.send(&head("Content-Length: 33554432")).await;
        core.holds(limits::BODY_READ_BYTES).await;
        core.reads("HTTP/1.1 408 ").await;
        core.holds(0).await;
        let mut core = Core::new(&runtime, unused).await;
        core.send(&head("Transfer-Encoding: chunked")).await;
        core.holds(limits::STREAM_READ_BYTES).await;
        core.send("nonsense\r\n").await;
        core.reads("HTTP/1.1 400 ").await;
        core.holds(0).await;
        // And one that never comes.
        let mut core = Core::new(&runtime, unused).await;
        core.send(&head("Content-Length: 1000")).await;
        core.holds(1000).await;
        core.reads("HTTP/1.1 408 ").await;
        core.holds(0).await;
    });
}

#[test]
fn a_caller_that_hangs_up_gives_its_memory_back() {
    on_both(|runtime| async move {
        // Inside its body.
        for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
            let mut core = Core::new(&runtime, SocketAddr::from((Ipv4Addr::LOCALHOST, 1))).await;
            core.send(&(head(framing) + "5\r\n{\"a")).await;
            core.holds(if framing.starts_with('C') { 1000 } else { limits::STREAM_READ_BYTES }).await;
            let Core { worker, caller, served } = core;
            drop(caller);
            timeout(SOON, served).await.unwrap().unwrap();
            assert_eq!(worker.budget.free(), ALL, "{framing}");
        }
        // While the provider thinks.
        let (address, told, _begin) = upstream().await;
        let mut core = Core::new(&runtime, address).await;
        let sent = body("claude-any");
        core.send(&(head(&format!("Content-Length: {}", sent.len())) + &sent)).await;
        told.await.unwrap();
        core.holds(sent.len()).await;
        let Core { worker, caller, served } = core;
        drop(caller);
        timeout(SOON, served).await.unwrap().unwrap();
        assert_eq!(worker.budget.free(), ALL);
    });
}

#[test]
fn memory_is_held_until_the_answer_begins_and_no_longer() {
    on_both(|runtime| async move {
        let (address, told, begin) = upstream().await;
        let mut core = Core::new(&runtime, address).await;
        let sent = body("claude-any");
        core.send(
            &(head("Transfer-Encoding: chunked") + &format!("{:x}\r\n{sent}\r\n0\r\n\r\n", sent.len())),
        )
        .await;
        told.await.unwrap();
        let held = ALL - core.worker.budget.free();
        assert!((sent.len()..64 * 1024).contains(&held), "{held} bytes are taken for {}", sent.len());
        begin.send(()).unwrap();
        core.reads("{\"a").await;
        assert_eq!(core.worker.budget.free(), ALL, "the answer is under way, nobody sends the body again");
        assert_eq!(core.worker.streams.get(), 1, "it is still under way");
    });
}

/// A ledger on a disk that can be made slow, where nothing counts as kept before it is synced.
struct Slow {
    folder: PathBuf,
    faults: Arc<Faults>,
    settings: Settings,
    ledger: Arc<Ledger>,
    journal: Journal,
}

impl Slow {
    fn new() -> Self {
        let folder = temporary("slow");
        let faults = Arc::new(Faults::default());
        let settings =
            Settings { journal_bytes: 0, durability: Durability::Synced, ..Settings::new(&folder, 1) };
        let now_ms = clock::unix_ms(clock::wall());
        let opened = Ledger::open_with(&faults, settings.clone(), now_ms).unwrap();
        let Opened { ledger, mut journals, .. } = opened;
        Self { folder, faults, settings, ledger: Arc::new(ledger), journal: journals.pop().unwrap() }
    }
}

/// What a ledger says of calls, in its order.
fn records(folder: &Path) -> Vec<(&'static str, CallId)> {
    let mut found = Vec::new();
    let mut follower = Follower::offline(folder, 0);
    while let Some((_, record)) = follower.next(Duration::ZERO).unwrap() {
        match record {
            Kept::Open(open) => found.push(("open", open.id)),
            Kept::Close(entry) => found.push(("close", entry.id)),
            Kept::Event(entry) => found.push(("event", entry.id)),
            Kept::Head(_) | Kept::Gap(_) | Kept::Retention(_) => {}
        }
    }
    found
}

#[test]
fn a_slow_disk_slows_calls_and_loses_none() {
    on_both(|runtime| async move {
        let Slow { folder, faults, ledger, journal, .. } = Slow::new();
        let (log, _thread) = Sink::start(LogFormat::Json).unwrap();
        let (address, mut told, begin) = upstream().await;
        let books = Books::new(journal, Arc::clone(&ledger), false);
        let mut core = Core::of(&runtime, parts(address, &folder, books, log)).await;
        faults.slow(20);
        let sent = body("claude-shut");
        for _ in 0..10 {
            core.send(&(head(&format!("Content-Length: {}", sent.len())) + &sent)).await;
            core.reads("HTTP/1.1 502 ").await;
            core.reads("request_id").await;
            core.caller.consume(core.caller.input().len());
        }
        // What is not safe on the disk does not go out.
        faults.unsync(true);
        let sent = body("claude-any");
        core.send(&(head(&format!("Content-Length: {}", sent.len())) + &sent)).await;
        let early = timeout(Duration::from_millis(300), &mut told).await;
        assert!(early.is_err(), "the provider was asked before the ledger was sure of it");
        faults.unsync(false);
        timeout(SOON, told).await.unwrap().unwrap();
        begin.send(()).unwrap();
        core.reads("{\"a").await;
        let Core { caller, served, worker } = core;
        drop(caller);
        timeout(SOON, served).await.unwrap().unwrap();
        drop(worker);
        ledger.stop().unwrap();
        let records = records(&folder);
        let closed: Vec<CallId> =
            records.iter().filter(|(what, _)| *what == "close").map(|(_, id)| *id).collect();
        assert_eq!(closed.len(), 11, "{records:?}");
        assert_eq!(closed.iter().collect::<HashSet<_>>().len(), 11, "{records:?}");
        assert!(records.iter().all(|(what, _)| *what != "event"), "{records:?}");
        std::fs::remove_dir_all(&folder).unwrap();
    });
}

#[test]
fn an_opening_that_the_disk_does_not_confirm_is_closed_all_the_same() {
    let (runtime, _) = Runtime::new(EngineChoice::Epoll).unwrap();
    let Slow { folder, faults, settings, ledger, journal } = Slow::new();
    let (log, _thread) = Sink::start(LogFormat::Json).unwrap();
    let unused = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let id = runtime.block_on(async {
        let books = Books::new(journal, Arc::clone(&ledger), false);
        let worker = Worker::new(runtime.engine(), parts(unused, &folder, books, log));
        let mut record = Record::new(worker.next_id(), clock::now());
        record.endpoint = Endpoint::Messages;
        faults.unsync(true);
        // The writer has it, so that it stands in the chain; that it is safe is what nobody says.
        let told = worker.open(&mut record, 7).await.unwrap_err();
        assert_eq!(told.code(), Code::Unrecorded);
        assert_eq!(record.open.map(|open| open.kind), Some(Kind::ModelCall), "it has been opened");
        record.outcome = Outcome::Refused;
        faults.unsync(false);
        timeout(SOON, worker.book(&mut record)).await.unwrap();
        record.id
    });
    ledger.stop().unwrap();
    drop(ledger);
    let records = records(&folder);
    assert_eq!(records, [("open", id), ("close", id)]);
    let again = Ledger::open(settings, clock::unix_ms(clock::wall())).unwrap();
    assert_eq!(again.report.lost, [], "nobody has to close it for us");
    drop(again);
    std::fs::remove_dir_all(&folder).unwrap();
}
