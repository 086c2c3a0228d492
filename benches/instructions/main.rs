//! Counts the instructions of what MCP does most: `cargo bench --bench instructions [-- --check | --write]`.
//!
//! Runs itself under valgrind's callgrind, each piece of work twice, once with a second share of it: the
//! difference is the work alone. Counts hardly depend on what else the machine does, so a change of 2 %
//! means something, which no time does. `expected.txt` has the counts of the last accepted state.

#[path = "../samples/call.rs"]
mod call;
#[path = "../samples/list.rs"]
mod list;
mod work;

use std::fmt::Write as _;
use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::work::Piece;

/// How far a count may be from the expected one, either way: a gain is to be noted down as well.
const DRIFT_MAX: f64 = 0.02;

/// Counts instructions, and compares them with what was noted.
#[derive(Parser, Debug)]
#[command(name = "instructions")]
struct Args {
    /// Fails when a count is off by more than 2 %.
    #[arg(long)]
    check: bool,
    /// Notes the counts down.
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// Does a piece of work so many times: what is run under valgrind.
    #[arg(long, hide = true, num_args = 2, value_names = ["PIECE", "TIMES"])]
    work: Vec<String>,
    /// What cargo passes to a bench; without it (`cargo test --all-targets`) nothing is counted.
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
    if let [piece, times] = args.work.as_slice() {
        return Piece::named(piece)?.run(times.parse()?);
    }
    if !args.bench {
        writeln!(stderr(), "counts only under `cargo bench --bench instructions` (or with --bench)")?;
        return Ok(());
    }
    let mut text = String::from(
        "# Instructions of one piece of work each, as callgrind counts them. Made by:\n\
         #   cargo bench --bench instructions -- --write\n\
         # and compared, within 2 %, by:\n\
         #   cargo bench --bench instructions -- --check\n",
    );
    writeln!(text, "# {}, {}", version("valgrind")?, version("rustc")?)?;
    let noted = std::fs::read_to_string(file()).unwrap_or_default();
    let mut drifted = Vec::new();
    for piece in Piece::ALL {
        let count = count(piece)?;
        let before = expected(&noted, piece.name());
        let share = before.map(|before| count as f64 / before as f64 - 1.0);
        let told = share.map_or_else(|| "new".to_owned(), |share| format!("{:+.2} %", share * 100.0));
        writeln!(stdout(), "{:<36}{count:>14}{told:>12}", piece.name())?;
        writeln!(text, "{:<36}{count:>14}", piece.name())?;
        if share.is_none_or(|share| share.abs() > DRIFT_MAX) {
            drifted.push(piece.name());
        }
    }
    if args.write {
        std::fs::write(file(), text)?;
    }
    let drifted = drifted.join(", ");
    ensure!(
        !args.check || drifted.is_empty(),
        "more than 2 % from benches/instructions/expected.txt: {drifted}; \
         find out why, or note it with --write"
    );
    Ok(())
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/expected.txt")
}

fn version(program: &str) -> Result<String> {
    let said = Command::new(program).arg("--version").output();
    let said = said.with_context(|| format!("{program} is not installed"))?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// The count that was noted for a piece.
fn expected(noted: &str, name: &str) -> Option<u64> {
    let line = noted.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line?.trim().parse().ok()
}

/// Instructions of doing a piece once: those of a second share, divided by it.
fn count(piece: Piece) -> Result<u64> {
    let times = piece.times();
    let (once, twice) = (total(piece, times)?, total(piece, 2 * times)?);
    Ok(twice.saturating_sub(once) / times)
}

/// Instructions of a whole run.
fn total(piece: Piece, times: u64) -> Result<u64> {
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--work", piece.name(), &times.to_string()])
        .output()
        .context("valgrind is not installed: apt-get install valgrind")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() {
        bail!("{} under valgrind: {said}", piece.name());
    }
    let line = said.lines().find_map(|line| line.split_once("Collected :")).context("callgrind is silent")?;
    Ok(line.1.trim().parse()?)
}
