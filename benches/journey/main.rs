//! Measures the gateway side by side with nginx and haproxy: `cargo bench --bench journey [-- --quick]`.
//!
//! One run starts a fixed-response provider, the gateway on both engines with keys on, and the rivals as
//! plain reverse proxies. The proxies are on one processor, only one of them loaded at a time; load and
//! provider share another. The variants take turns, round by round. CPU is the run time of all threads of a
//! proxy over the answers (or events) that it carried.

mod answer;
mod load;
mod plan;
mod procfs;
mod proxies;
mod report;
mod sys;
mod verdict;
mod wire;

mod upstream;

use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::proxies::Variant;

/// Measures the gateway side by side with nginx and haproxy, and prints one table.
#[derive(Parser, Debug)]
#[command(name = "journey")]
struct Args {
    /// Rounds: in each, every variant has its turn once for every case.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of one turn, without warming up.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// A smoke run of a few seconds: one short round, 32 connections only.
    #[arg(long)]
    quick: bool,
    /// Prints JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Only these variants.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Variant>,
    /// Streams send as fast as they are read instead of 250 events a second each.
    #[arg(long)]
    unpaced: bool,
    /// Runs proxies and load before all ordinary work of the machine (needs the right to do so).
    #[arg(long)]
    realtime: bool,
    /// What cargo passes to a bench; without it (`cargo test --all-targets`) nothing is measured.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone there is nobody left to tell.
            writeln!(stderr(), "error: {error:#}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if !args.bench {
        writeln!(stderr(), "measures only under `cargo bench --bench journey` (or with --bench)")?;
        return Ok(());
    }
    ensure!(args.seconds > 0.0 && args.seconds <= 60.0, "--seconds must be within 60");
    ensure!((1..=100).contains(&args.rounds), "--rounds must be within 100");
    sys::raise_open_files().context("cannot raise the limit of open files")?;
    let processors = sys::processors()?;
    let proxy_cpu = processors.first().copied().context("no processor")?;
    let load_cpu = processors.get(1).copied().unwrap_or(proxy_cpu);
    if load_cpu == proxy_cpu {
        writeln!(stderr(), "WARNING: one processor only; proxies and load disturb each other")?;
    }
    sys::pin(load_cpu)?;
    sys::sharpen_timers()?;
    if args.realtime {
        sys::prefer().context("--realtime is not permitted here")?;
    }
    let origin = tollgate::clock::now();
    let upstream = upstream::start(load_cpu, origin)?;
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench-journey");
    let yard = proxies::Yard { dir, upstream, cpu: proxy_cpu };
    let plan = plan::Plan {
        rounds: if args.quick { 1 } else { args.rounds },
        turn: Duration::from_secs_f64(if args.quick { 0.25 } else { args.seconds }),
        quick: args.quick,
        unpaced: args.unpaced,
        origin,
        variants: Variant::ALL
            .into_iter()
            .filter(|v| args.only.is_empty() || args.only.contains(v))
            .collect(),
    };
    let measured = plan.run(&yard)?;
    let verdicts = verdict::all(&measured);
    let text = if args.json {
        report::json(&plan, &measured, &verdicts)?
    } else {
        report::text(&plan, &measured, &verdicts)?
    };
    stdout().write_all(text.as_bytes())?;
    let broken = measured.left_out.iter().filter(|left_out| !left_out.absent).count();
    ensure!(broken == 0, "{broken} of the measurements broke; see LEFT OUT above");
    Ok(())
}
