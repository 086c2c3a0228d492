//! Counts the allocations of relaying an SSE event: there must be none. `cargo bench --bench allocations`.
//!
//! The gateway runs in this process on each engine, with a counting allocator under it; caller and provider
//! are plain threads that allocate nothing while they stream. A short and a long stream are compared, so
//! that what a stream costs once cancels out. Also run by `cargo test`: it takes a second.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout};
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

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Events that the caller has read of the stream in hand: the provider sends the next one only then, so
/// that each passes the gateway by itself.
static SEEN: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed on unchanged to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
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

const KEY: &str = "tg_allocations_0123456789abcdefghijklmnopqrstuvwxyz";

const EVENT: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
    \"delta\":{\"type\":\"text_delta\",\"text\":\"some words of text\"}}\n\n";

const SHORT: u64 = 500;
const LONG: u64 = 2_500;

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
        stream(gateway, SHORT)?;
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
    }
    Ok(())
}

/// Reads a stream of `events` events and returns the allocations of the whole process meanwhile.
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
    let before = ALLOCATIONS.load(Ordering::Relaxed);
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
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    ensure!(received > events * EVENT.len() as u64, "events are missing");
    Ok(after - before)
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
    loop {
        let mut held = 0;
        let events = loop {
            let bytes = stream.read(room.get_mut(held..)?).ok().filter(|&bytes| bytes > 0)?;
            held += bytes;
            let text = str::from_utf8(room.get(..held)?).ok()?;
            let asked = text.split_once("claude-").and_then(|(_, rest)| rest.split_once('"'));
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
        stream.write_all(b"0\r\n\r\n").ok()?;
    }
}
