//! Measures the gateway side by side with nginx and haproxy: `cargo bench --bench journey [-- mcp]`.
//!
//! One run starts a fixed-response provider, the gateway on both engines with keys on, and the rivals as
//! plain reverse proxies. The proxies are on one processor, only one of them loaded at a time; load and
//! provider share another. The variants take turns, round by round. CPU is the run time of all threads of a
//! proxy over the answers (or events) that it carried.

mod answer;
#[path = "../samples/call.rs"]
mod call;
#[path = "../samples/list.rs"]
mod list;
mod load;
mod mcp;
mod peer;
mod plan;
mod procfs;
mod proxies;
mod relay;
mod report;
mod sys;
mod verdict;
mod wire;

mod upstream;

use std::io::{Write, stderr, stdout};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::mcp::Scene;
use crate::plan::Plan;
use crate::proxies::{Variant, Yard};

/// Measures the gateway side by side with nginx and haproxy, and prints one table.
#[derive(Parser, Debug)]
#[command(name = "journey")]
struct Args {
    #[command(subcommand)]
    side: Option<Side>,
    /// Rounds: in each, every variant has its turn once for every case.
    #[arg(long, global = true, default_value_t = 5)]
    rounds: u32,
    /// Seconds of one turn, without warming up.
    #[arg(long, global = true, default_value_t = 2.0)]
    seconds: f64,
    /// A smoke run of a few seconds: one short round, of the LLM side 32 connections only.
    #[arg(long, global = true)]
    quick: bool,
    /// Prints JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
    /// Only these variants.
    #[arg(long, global = true, value_delimiter = ',')]
    only: Vec<Variant>,
    /// Only the cases of the model side whose name holds this, such as `2 KiB, 32`.
    #[arg(long)]
    case: Option<String>,
    /// Streams send as fast as they are read instead of 250 events a second each.
    #[arg(long)]
    unpaced: bool,
    /// Runs proxies and load before all ordinary work of the machine (needs the right to do so).
    #[arg(long, global = true)]
    realtime: bool,
    /// Keeps the processors from sleeping: virtual ones take up to 50 us to wake, whoever wakes them.
    #[arg(long, global = true)]
    awake: bool,
    /// Another build of the gateway than the one that cargo has just made.
    #[arg(long, global = true)]
    gateway: Option<PathBuf>,
    /// What cargo passes to a bench; without it (`cargo test --all-targets`) nothing is measured.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

/// What is measured instead of the side of models.
#[derive(clap::Subcommand, Clone, Copy, Debug)]
enum Side {
    /// Measures calls and lists of tools, and streams of changes.
    Mcp,
    /// Is the null relay.
    #[command(hide = true)]
    Relay { address: SocketAddr, upstream: SocketAddr },
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
    if let Some(Side::Relay { address, upstream }) = args.side {
        sys::raise_open_files()?;
        return relay::run(address, upstream);
    }
    if !args.bench {
        writeln!(stderr(), "measures only under `cargo bench --bench journey` (or with --bench)")?;
        return Ok(());
    }
    ensure!(args.seconds > 0.0 && args.seconds <= 60.0, "--seconds must be within 60");
    ensure!((1..=100).contains(&args.rounds), "--rounds must be within 100");
    sys::raise_open_files().context("cannot raise the limit of open files")?;
    let processors = sys::processors()?;
    let cpu = processors.first().copied().context("no processor")?;
    let load_cpu = processors.get(1).copied().unwrap_or(cpu);
    if load_cpu == cpu {
        writeln!(stderr(), "WARNING: one processor only; proxies and load disturb each other")?;
    }
    if args.awake {
        sys::keep_awake(cpu).and_then(|()| sys::keep_awake(load_cpu)).context("--awake")?;
    }
    sys::pin(load_cpu)?;
    sys::sharpen_timers()?;
    if args.realtime {
        sys::prefer().context("--realtime is not permitted here")?;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench-journey");
    let gateway = match &args.gateway {
        Some(path) => path.canonicalize().with_context(|| format!("no {}", path.display()))?,
        None => env!("CARGO_BIN_EXE_tollgate").into(),
    };
    let is_mcp = args.side.is_some();
    let plan = plan(args, if is_mcp { &Variant::MCP } else { &Variant::ALL });
    let (measured, verdicts) = if is_mcp {
        Scene::new(dir, gateway, cpu, load_cpu)?.run(&plan)?
    } else {
        let upstream = upstream::start(load_cpu, plan.origin)?;
        let (config, question) = (proxies::llm_config(upstream), plan::READY.question());
        let measured = plan.run(&Yard { dir, upstream, cpu, gateway, config, question })?;
        let verdicts = verdict::all(&measured);
        (measured, verdicts)
    };
    let text = match (args.json, is_mcp) {
        (true, _) => report::json(&plan, &measured, &verdicts)?,
        (false, true) => report::mcp_text(&plan, &measured, &verdicts)?,
        (false, false) => report::text(&plan, &measured, &verdicts)?,
    };
    stdout().write_all(text.as_bytes())?;
    let broken = measured.left_out.iter().filter(|left_out| !left_out.absent).count();
    ensure!(broken == 0, "{broken} of the measurements broke; see LEFT OUT above");
    Ok(())
}

fn plan(args: &Args, variants: &[Variant]) -> Plan {
    let wanted = |variant: &Variant| args.only.is_empty() || args.only.contains(variant);
    Plan {
        rounds: if args.quick { 1 } else { args.rounds },
        turn: Duration::from_secs_f64(if args.quick { 0.25 } else { args.seconds }),
        quick: args.quick,
        case: args.case.clone().unwrap_or_default(),
        unpaced: args.unpaced,
        origin: tollgate::clock::now(),
        variants: variants.iter().copied().filter(wanted).collect(),
    }
}
