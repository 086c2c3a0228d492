//! What callers feel of scripts that want everything: `cargo bench --bench neighbours`.
//!
//! A gateway as its config leaves it, a server and a model of fixed answers, and three callers beside each
//! other, each with a short rest between its calls: one of a tool, one of a tool in a session (which the hub
//! carries), one of a model. For each kind of script, two keys send it in four lanes each, more than run at
//! once, one after the other without a rest, in turns with calm; what is told is the median and the 99th
//! percentile of the calls in calm and beside the scripts, over all turns, and by what the latter is larger.
//! All of it shares the machine's processors. `TOLLGATE_BENCH_PROGRAM` names another program to compare with,
//! `-- WORD` the kinds whose name has it in it.

#![expect(clippy::print_stdout, reason = "a bench prints what it has measured")]
#![expect(clippy::disallowed_methods, reason = "its threads are callers: they measure time and may sleep")]

mod gateway;
mod hostile;
mod peer;
mod wire;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::gateway::Gateway;
use crate::wire::{Line, Way};

/// Turns of calm and of scripts, for each kind of them.
const ROUNDS: usize = 5;

/// How long calls are measured in each.
const TURN: Duration = Duration::from_secs(1);

/// How long scripts run before that: their processes have to start.
const BEFORE: Duration = Duration::from_millis(300);

/// The rest of a caller between two calls.
const REST: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    // Cargo passes it to benches; under `cargo test --all-targets` nothing is measured.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let gateway = Gateway::start(peer::start()?)?;
    hostile::probe(gateway.address)?;
    println!("{:<22} {:>6} {:>8}  {:^23}  {:^23}  {:^6}", "", "", "", "calm, us", "with scripts, us", "p99");
    println!(
        "{:<22} {:>6} {:>8}  {:>11} {:>11}  {:>11} {:>11}  {:>6}",
        "scripts", "busy", "scripts", "p50", "p99", "p50", "p99", "ratio"
    );
    let mut worst: f64 = 0.0;
    for (name, sources) in hostile::kinds() {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            continue;
        }
        let measured = measure(&gateway, &sources).with_context(|| name.to_owned())?;
        for (way, [calm, beside]) in Way::ALL.into_iter().zip(measured.waits) {
            let ratio = beside.p99 / calm.p99;
            worst = worst.max(ratio);
            println!(
                "{:<22} {:>5.0}% {:>8}  {:>11.0} {:>11.0}  {:>11.0} {:>11.0}  {:>6.2}  {}",
                name,
                measured.busy * 100.0,
                measured.sent,
                calm.p50,
                calm.p99,
                beside.p50,
                beside.p99,
                ratio,
                way.name()
            );
        }
    }
    println!("the largest ratio: {worst:.2}");
    Ok(())
}

/// What came of one kind of scripts.
struct Measured {
    /// Of each way, in calm and beside scripts.
    waits: Vec<[Waits; 2]>,
    /// The share of the processors' time that was used beside scripts.
    busy: f64,
    /// Scripts that were sent, those refused among them.
    sent: usize,
}

fn measure(gateway: &Gateway, sources: &[&'static str]) -> Result<Measured> {
    let mut waits = vec![[Vec::new(), Vec::new()]; Way::ALL.len()];
    let (mut busy, mut sent) = (0.0, 0);
    for _ in 0..ROUNDS {
        gather(&mut waits, 0, gateway.address)?;
        let hostile = hostile::start(gateway.address, sources);
        thread::sleep(BEFORE);
        let before = gateway::processors()?;
        gather(&mut waits, 1, gateway.address)?;
        busy += gateway::processors()?.busy_since(&before) / ROUNDS as f64;
        sent += hostile.end()?;
        gateway.calms_down()?;
    }
    Ok(Measured { waits: waits.into_iter().map(|both| both.map(Waits::of)).collect(), busy, sent })
}

/// Lets all three callers call for one turn.
fn gather(waits: &mut [[Vec<Duration>; 2]], place: usize, gateway: SocketAddr) -> Result<()> {
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = Way::ALL
        .into_iter()
        .map(|way| {
            let over = Arc::clone(&over);
            thread::spawn(move || call(Line::open(gateway, way)?, &over))
        })
        .collect();
    thread::sleep(TURN);
    over.store(true, Ordering::Relaxed);
    for (caller, waits) in callers.into_iter().zip(waits) {
        let Ok(seen) = caller.join() else { bail!("a caller panicked") };
        waits.get_mut(place).context("there are two places")?.extend(seen?);
    }
    Ok(())
}

/// Calls until it is over; how long each answer took.
fn call(mut line: Line, over: &AtomicBool) -> Result<Vec<Duration>> {
    // The first opens what is kept open from then on.
    line.call()?;
    let mut waits = Vec::new();
    while !over.load(Ordering::Relaxed) {
        thread::sleep(REST);
        let begun = Instant::now();
        line.call()?;
        waits.push(begun.elapsed());
    }
    Ok(waits)
}

/// How long calls took, in microseconds.
#[derive(Clone, Copy)]
struct Waits {
    p50: f64,
    p99: f64,
}

impl Waits {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |percent: usize| {
            all.get(all.len() * percent / 100).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e6)
        };
        Self { p50: at(50), p99: at(99) }
    }
}
