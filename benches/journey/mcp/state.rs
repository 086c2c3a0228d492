//! What a gateway holds for streams that wait, and what it asks when everybody lists at once.

use std::io::{Read, Write, stderr};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::load::{self, Load, ask};
use crate::mcp::messages::{self, FEW, OTHER_KEY};
use crate::mcp::server::Counts;
use crate::plan::Plan;
use crate::proxies::{Proxy, Variant, Yard};
use crate::wire::KEY;

/// Idle streams that are held.
pub(crate) const STREAMS: usize = 5000;

/// Callers who list at once when the list has changed: each connection asks again and again.
pub(crate) const STORM_CALLERS: u64 = 10_000;
const STORM_CONNECTIONS: usize = 500;

/// How long they do so: longer than any gap that a gateway may leave between two listings.
const STORM: Duration = Duration::from_secs(2);

/// How long a gateway may take over the acknowledgement of a stream.
const PATIENCE: Duration = Duration::from_secs(5);

/// After this, buffers that were ever to be given back have been.
const SETTLED: Duration = Duration::from_millis(1500);

/// What was seen of one gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// Resident memory of one idle stream.
    pub(crate) stream_kib: f64,
    /// Lists that the server was asked for after one change.
    pub(crate) lists_asked: u64,
    /// Callers who were answered meanwhile.
    pub(crate) callers: u64,
    /// How long the first `STORM_CALLERS` of them took together, at the rate of all.
    pub(crate) storm_ms: f64,
}

/// Measures one gateway that has done nothing else before.
pub(crate) fn measure(variant: Variant, yard: &Yard, counts: &Counts, plan: &Plan) -> Result<State> {
    writeln!(stderr(), "streams and lists of {}", variant.name())?;
    let proxy = Proxy::start(variant, yard)?;
    std::thread::park_timeout(SETTLED);
    let idle_kib = proxy.resident_kib()?;
    let streams: Vec<TcpStream> = (0..STREAMS)
        .map(|index| open(proxy.plain, if index.is_multiple_of(2) { KEY } else { OTHER_KEY }))
        .collect::<Result<_>>()?;
    std::thread::park_timeout(SETTLED);
    let held_kib = proxy.resident_kib()?;
    drop(streams);
    std::thread::park_timeout(SETTLED);
    let stream_kib = held_kib.saturating_sub(idle_kib) as f64 / STREAMS as f64;
    let before = counts.lists(FEW);
    let load = Load {
        target: proxy.plain,
        question: &messages::list(FEW),
        connections: STORM_CONNECTIONS,
        rate: None,
        streams: false,
        warm: Duration::ZERO,
        measured: STORM,
        origin: plan.origin,
    };
    let mut changed = false;
    let seen = load::drive(&load, &mut || {
        if !std::mem::replace(&mut changed, true) {
            ask(yard.upstream, &messages::change())?;
        }
        Ok(())
    })?;
    ensure!(seen.done >= STORM_CALLERS, "only {} callers were answered", seen.done);
    let lists_asked = counts.lists(FEW) - before;
    ensure!(lists_asked > 0, "the change was not noticed within {STORM:?}");
    let marker = format!("only_{}_0", counts.changes.load(Ordering::Relaxed));
    let list = ask(proxy.plain, &messages::list(FEW).request)?;
    let is_new = memchr::memmem::find(&list.bytes, marker.as_bytes()).is_some();
    ensure!(is_new, "callers are still given the list from before the change");
    let storm_ms = seen.elapsed.as_secs_f64() * 1e3 * STORM_CALLERS as f64 / seen.done as f64;
    Ok(State { stream_kib, lists_asked, callers: seen.done, storm_ms })
}

/// Opens a stream and waits for what it begins with.
fn open(target: SocketAddr, key: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&messages::listen(key))?;
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while memchr::memmem::find(&seen, b"subscriptions/acknowledged").is_none() {
        let count = stream.read(&mut buffer).context("a stream was not acknowledged")?;
        ensure!(count > 0, "a stream was closed: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    Ok(stream)
}
