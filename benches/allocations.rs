//! Counts the allocations of relaying an SSE event: there must be none; and those of a core for a whole call,
//! with what the ledger and the meter take of it. `cargo bench --bench allocations`.
//!
//! The gateway runs in this process on each engine, with a counting allocator under it; caller and provider
//! are plain threads that allocate nothing while they stream. A short and a long stream are compared, so
//! that what a stream costs once cancels out. Also run by `cargo test`: it takes a second.
#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait, and only the system knows the names of threads"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::io::{Read, Write, stdout};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tollgate::config::load;
use tollgate::gateway::start::start;

struct Counting;

/// Allocations of threads that carry requests: those of the ledger work at times of their own.
static OF_CORES: AtomicU64 = AtomicU64::new(0);

/// Events that the caller has read of the stream in hand: the provider sends the next one only then, so
/// that each passes the gateway by itself.
static SEEN: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed on unchanged to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_core() {
            OF_CORES.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: `place` came from `alloc` above, which is the same allocator's.
        unsafe { mimalloc::MiMalloc.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Whether this thread carries requests: what the writer and the index allocate meanwhile is theirs.
fn is_core() -> bool {
    thread_local! {
        /// How often the name has been looked at; `u8::MAX` when it was a core's.
        static LOOKED: Cell<u8> = const { Cell::new(0) };
    }
    // A thread may allocate before it has its name, and while it ends.
    let looked = LOOKED.try_with(Cell::get).unwrap_or(LOOKS_MAX);
    if looked == u8::MAX || looked >= LOOKS_MAX {
        return looked == u8::MAX;
    }
    let mut name = [0_u8; 16];
    // SAFETY: the system writes at most 16 bytes, which is what there is.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let core = name.starts_with(b"core-");
    LOOKED.try_with(|cell| cell.set(if core { u8::MAX } else { looked + 1 })).unwrap_or_default();
    core
}

/// After so many allocations under another name a thread is no core.
const LOOKS_MAX: u8 = 100;

const KEY: &str = "tg_allocations_0123456789abcdefghijklmnopqrstuvwxyz";

const EVENT: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
    \"delta\":{\"type\":\"text_delta\",\"text\":\"some words of text\"}}\n\n";

/// Without it a stream counts as cut.
const LAST_EVENT: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const SHORT: u64 = 500;
const LONG: u64 = 2_500;

/// Calls before those that are counted: buffers have grown and prices are known then.
const WARM_CALLS: u64 = 100;
const CALLS: u64 = 500;

/// The most allocations of a core for one call: 18 when this was written, on both engines.
const CALL_MAX: f64 = 22.0;

fn main() -> Result<()> {
    for engine in ["io_uring", "epoll"] {
        let provider = TcpListener::bind("127.0.0.1:0")?;
        let address = provider.local_addr()?;
        thread::spawn(move || provide(&provider));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("allocations-{engine}"));
        std::fs::create_dir_all(&folder)?;
        let config = folder.join("tollgate.yaml");
        std::fs::write(
            &config,
            format!(
                "listen: 127.0.0.1:0\nthreads: 1\nengine: {engine}\ndata_dir: data\n\
                 providers: {{ fixed: {{ dialect: anthropic, base_url: \"http://{address}\" }} }}\n\
                 keys: [{{ name: bench, secret: {KEY} }}]\n"
            ),
        )?;
        let loaded = load::load(Some(&config)).map_err(|faults| anyhow::anyhow!("{faults}"))?;
        let running = match start(loaded, Some(&config)) {
            Ok(running) => running,
            Err(fault) if engine == "io_uring" => {
                writeln!(stdout(), "io_uring: LEFT OUT, {fault}")?;
                continue;
            }
            Err(fault) => return Err(fault.into()),
        };
        let gateway = *running.addresses.first().context("no address")?;
        // Each length is a model of its own: the first call of one asks what its key may do with it.
        stream(gateway, SHORT)?;
        stream(gateway, LONG)?;
        let short = stream(gateway, SHORT)?;
        let long = stream(gateway, LONG)?;
        let events = LONG - SHORT;
        let per_event = long.saturating_sub(short) as f64 / events as f64;
        writeln!(
            stdout(),
            "{engine}: {short} allocations for {SHORT} events, {long} for {LONG}: {per_event:.4} per event"
        )?;
        // The log is handed over every now and then, which is no work per event.
        ensure!(per_event < 0.02, "{engine}: relaying an event allocates");
        let per_call = calls(gateway)?;
        writeln!(stdout(), "{engine}: {per_call:.1} allocations of a core for a call of one event")?;
        ensure!(per_call < CALL_MAX, "{engine}: more than {CALL_MAX} allocations for a call");
    }
    Ok(())
}

/// Reads a stream of `events` events and returns the allocations of the core meanwhile.
fn stream(gateway: std::net::SocketAddr, events: u64) -> Result<u64> {
    let mut caller = TcpStream::connect(gateway)?;
    caller.set_read_timeout(Some(Duration::from_secs(20)))?;
    let body = format!("{{\"model\":\"claude-{events}\",\"stream\":true,\"messages\":[]}}");
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: gate\r\nx-api-key: {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut room = vec![0; 64 * 1024];
    SEEN.store(0, Ordering::SeqCst);
    let before = OF_CORES.load(Ordering::Relaxed);
    caller.write_all(request.as_bytes())?;
    let mut tail = [0_u8; 5];
    let mut received = 0;
    while tail != *b"0\r\n\r\n" {
        let bytes = caller.read(&mut room)?;
        ensure!(bytes > 0, "the stream ended early");
        received += bytes as u64;
        let ends = room.get(..bytes).unwrap_or_default().windows(4).filter(|end| end == b"\n\n\r\n").count();
        SEEN.fetch_add(ends as u64, Ordering::SeqCst);
        for &byte in room.get(..bytes).unwrap_or_default().iter().rev().take(5).rev() {
            tail.rotate_left(1);
            tail[4] = byte;
        }
    }
    let after = OF_CORES.load(Ordering::Relaxed);
    ensure!(received > events * EVENT.len() as u64, "events are missing");
    Ok(after - before)
}

/// Makes calls of one event on one connection, and returns the allocations of the core for one.
fn calls(gateway: std::net::SocketAddr) -> Result<f64> {
    let mut caller = TcpStream::connect(gateway)?;
    caller.set_read_timeout(Some(Duration::from_secs(20)))?;
    let body = "{\"model\":\"claude-1\",\"stream\":true,\"messages\":[]}";
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: gate\r\nx-api-key: {KEY}\r\nuser-agent: cli/2.1 (external)\r\n\
         x-claude-code-session-id: 5e55-10n\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut room = vec![0; 64 * 1024];
    let mut before = 0;
    for call in 0..WARM_CALLS + CALLS {
        if call == WARM_CALLS {
            before = OF_CORES.load(Ordering::Relaxed);
        }
        SEEN.store(1, Ordering::SeqCst);
        caller.write_all(request.as_bytes())?;
        let mut held = 0;
        while !room.get(..held).unwrap_or_default().ends_with(b"\r\n0\r\n\r\n") {
            let bytes = caller.read(room.get_mut(held..).context("an answer is too long")?)?;
            ensure!(bytes > 0, "the connection ended early");
            held += bytes;
        }
    }
    Ok((OF_CORES.load(Ordering::Relaxed) - before) as f64 / CALLS as f64)
}

/// Answers every request with as many events as its model's name says, each in a packet of its own.
fn provide(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || serve(stream));
    }
}

fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut room = [0; 8 * 1024];
    let mut chunk = format!("{:x}\r\n", EVENT.len()).into_bytes();
    chunk.extend_from_slice(EVENT);
    chunk.extend_from_slice(b"\r\n");
    let mut end = format!("{:x}\r\n", LAST_EVENT.len()).into_bytes();
    end.extend_from_slice(LAST_EVENT);
    end.extend_from_slice(b"\r\n0\r\n\r\n");
    loop {
        let mut held = 0;
        let events = loop {
            let bytes = stream.read(room.get_mut(held..)?).ok().filter(|&bytes| bytes > 0)?;
            held += bytes;
            let text = str::from_utf8(room.get(..held)?).ok()?;
            let asked = text.split_once("\"claude-").and_then(|(_, rest)| rest.split_once('"'));
            if let Some((number, _)) = asked.filter(|_| text.ends_with('}')) {
                break number.parse::<u64>().ok()?;
            }
        };
        let head =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).ok()?;
        for sent in 1..=events {
            stream.write_all(&chunk).ok()?;
            while SEEN.load(Ordering::SeqCst) < sent {
                thread::yield_now();
            }
        }
        stream.write_all(&end).ok()?;
    }
}
