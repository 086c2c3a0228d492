//! What the index of the ledger costs: building it, its size on the disk, and searching it.
//!
//! `cargo bench --bench ledger_index -- --entries 10000000` for the size that it is made for; a small run
//! without it. With `--keep FOLDER` the index stays there, and the next run searches it without building it.

#![expect(clippy::expect_used, reason = "a bench that cannot run says so by panicking")]
#![expect(clippy::print_stdout, reason = "a bench may say what it measures")]
#![expect(clippy::indexing_slicing, reason = "a bench that cannot run says so by panicking")]
#![expect(clippy::disallowed_methods, reason = "a bench measures wall time")]

#[path = "samples/entries.rs"]
mod entries;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use entries::{Dice, FOLDERS, Org};
use jiff::tz::TimeZone;
use tollgate::ledger::encode::encode;
use tollgate::ledger::entry::Entry;
use tollgate::ledger::index::query::{Now, Query};
use tollgate::ledger::index::search::{Page, Reader};
use tollgate::ledger::index::spend::{By, Per, Whose, Wish};
use tollgate::ledger::index::store::Store;
use tollgate::ledger::record::Record;

/// 2026-09-01 00:00 UTC.
const BEGIN_MS: u64 = 1_788_220_800_000;
/// The days that the entries are of.
const DAYS: u64 = 60;
const DAY_MS: u64 = 86_400_000;
const BATCH: usize = 128 * 1024;

fn main() {
    let count = wanted("--entries").and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let kept = wanted("--keep").map(PathBuf::from);
    let own = std::env::temp_dir().join(format!("tollgate-bench-index-{}", std::process::id()));
    let folder = kept.as_ref().unwrap_or(&own);
    std::fs::create_dir_all(folder).expect("a folder for the index");
    let path = folder.join("index.sqlite");
    if !path.exists() {
        build(&path, count);
    }
    search(&path, count);
    if kept.is_none() {
        std::fs::remove_dir_all(folder).expect("the folder can be deleted");
    }
}

/// What stands behind an argument.
fn wanted(name: &str) -> Option<String> {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().position(|arg| arg == name)?;
    args.get(at + 1).cloned()
}

fn build(path: &Path, count: u64) {
    let mut org = Org::new(BEGIN_MS, (DAYS * DAY_MS / count.max(1)).max(1));
    let mut store = Store::open(path).expect("an index");
    store.begin_bulk().expect("bulk");
    let (mut took, mut worked, mut done) = (Duration::ZERO, Duration::ZERO, 0);
    while done < count {
        let size = u64::try_from(BATCH).unwrap_or(0).min(count - done);
        let batch: Vec<(u64, Entry)> = (done..done + size).map(|position| (position, org.entry())).collect();
        done += size;
        let (begin, busy_before) = (Instant::now(), busy());
        store.take(&batch, done).expect("a batch");
        took += begin.elapsed();
        worked += busy() - busy_before;
        if done % (8 * BATCH as u64) == 0 {
            println!("  {done} entries, {:.0} a second so far", done as f64 / took.as_secs_f64());
        }
    }
    let begin = Instant::now();
    store.end_bulk().expect("bulk");
    took += begin.elapsed();
    drop(store);
    let bytes = std::fs::metadata(path).expect("the index is a file").len();
    println!("entries {count}");
    segments(count.min(100_000));
    println!("rebuild {:.0} entries/s ({:.1} s)", count as f64 / took.as_secs_f64(), took.as_secs_f64());
    println!("        {:.0} entries/s of processor time", count as f64 / worked.as_secs_f64());
    println!("size    {:.1} bytes/entry ({} MiB)", bytes as f64 / count as f64, bytes >> 20);
    tables(path, count);
}

/// Processor time of this thread, which other programs on the machine do not lengthen.
fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// What the chain itself takes of each entry: encoded, framed, compressed 256 KiB at a time.
fn segments(count: u64) {
    let mut org = Org::new(BEGIN_MS, (DAYS * DAY_MS / count.max(1)).max(1));
    let (mut raw, mut packed, mut block) = (0, 0, Vec::new());
    for _ in 0..count {
        let before = block.len();
        encode(&Record::Close(org.entry()), &mut block);
        block.extend_from_slice(&[0; 8]);
        raw += block.len() - before;
        if block.len() >= 256 * 1024 {
            packed += zstd::bulk::compress(&block, 3).expect("zstd").len();
            block.clear();
        }
    }
    packed += zstd::bulk::compress(&block, 3).expect("zstd").len();
    println!(
        "segments {:.1} bytes/entry, {:.1} unpacked",
        packed as f64 / count as f64,
        raw as f64 / count as f64
    );
}

fn tables(path: &Path, count: u64) {
    let Ok(out) = std::process::Command::new("sqlite3")
        .arg(path)
        .arg("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 9")
        .output()
    else {
        return;
    };
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let Some((name, bytes)) = line.split_once('|') else { continue };
        let bytes: f64 = bytes.parse().unwrap_or(0.0);
        println!("        {:6.1} {name}", bytes / count as f64);
    }
}

/// What is searched for.
const TEXTS: &[&str] = &[
    "prod",
    "\"connection refused\"",
    "terraform plan",
    "kubectl pods prod",
    "invoice",
    "\"rm -rf\"",
    "expired",
    "budget web",
    "staging payments invoice",
    "nosuchword",
    "prod -kubectl",
    "orders permission",
    "\"prod data\"",
    "search_issue_17",
    "pay*",
    "error:overloaded",
    "tool:github.* class:write",
    "tool:*.delete_* since:7d prod",
];

fn search(path: &Path, count: u64) {
    let mut reader = Reader::open(path).expect("the index");
    let now = Now { ms: BEGIN_MS + DAYS * DAY_MS, zone: TimeZone::UTC };
    let mut dice = Dice::new(99);
    let mut user = || {
        let number = dice.below(2000);
        let team = number % 20;
        (number, FOLDERS[usize::try_from(team).unwrap_or(0)])
    };
    let each = usize::try_from(count / 50_000).unwrap_or(1).clamp(1, 10);
    let mut all = Vec::new();
    for text in TEXTS {
        let times: Vec<Times> = (0..each).map(|_| timed(&mut reader, text, &now).0).collect();
        let found = timed(&mut reader, text, &now).1;
        all.extend_from_slice(&times);
        tell(text, &times, &format!("{found} on the page"));
    }
    tell("text searches, all", &all, "");
    let mut times = Vec::new();
    for day in 1..DAYS {
        let (number, folder) = user();
        let day = when(day);
        let text = format!("user:{folder}{number}@example.com day:{day}");
        times.push(timed(&mut reader, &text, &now).0);
    }
    tell("user and day", &times, "");
    let times: Vec<Times> = [
        "status:>=400 cost:>0.10",
        "class:destructive",
        "-user:src0@example.com",
        "cost:>2",
        "team:team-07 model:gpt-6",
    ]
    .iter()
    .map(|text| timed(&mut reader, text, &now).0)
    .collect();
    tell("filters", &times, "");
    let begin = Instant::now();
    let facets = reader.facets(&Query::parse("prod", &now).expect("a search")).expect("facets");
    println!("{:30} {:?} ({} counted)", "facets of prod", begin.elapsed(), facets.counted);
    spend(&mut reader, &now);
}

fn spend(reader: &mut Reader, now: &Now) {
    let wish = |by: &[By], per, days| Wish {
        by: by.to_vec(),
        per,
        since_ms: now.ms - days * DAY_MS,
        until_ms: now.ms,
        zone: TimeZone::UTC,
        whose: Whose::default(),
    };
    for (name, wish) in [
        ("spend by team,model per day, 60d", wish(&[By::Team, By::Model], Some(Per::Day), DAYS)),
        ("spend by user per day, 7d", wish(&[By::User], Some(Per::Day), 7)),
        ("spend by team, 30d", wish(&[By::Team], None, 30)),
    ] {
        let begin = Instant::now();
        let report = reader.spend(&wish).expect("a report");
        println!(
            "{name:34} {:?} ({} rows, ${:.0})",
            begin.elapsed(),
            report.rows.len(),
            report.total.cost_pico as f64 / 1e12
        );
    }
    let begin = Instant::now();
    let keys = reader.spent(now.ms - 30 * DAY_MS - 1234, now.ms - 99, &Whose::default(), Some(By::Key));
    println!(
        "{:34} {:?} ({} keys)",
        "budgets of all keys, 30d rolling",
        begin.elapsed(),
        keys.expect("sums").len()
    );
    let begin = Instant::now();
    let sessions = reader.sessions(now.ms - 7 * DAY_MS, now.ms, 50).expect("sessions");
    println!("{:34} {:?} ({})", "sessions, 7d", begin.elapsed(), sessions.len());
}

/// A day as searches write it.
fn when(day: u64) -> String {
    let ms = i64::try_from(BEGIN_MS + day * DAY_MS).unwrap_or(0);
    jiff::Timestamp::from_millisecond(ms).expect("a time").strftime("%Y-%m-%d").to_string()
}

/// How long something took, and how much of that its thread was at work.
type Times = (Duration, Duration);

/// How long one page takes, and how many entries are on it.
fn timed(reader: &mut Reader, text: &str, now: &Now) -> (Times, usize) {
    let (begin, busy_before) = (Instant::now(), busy());
    let query = Query::parse(text, now).expect("a search");
    let found = reader.search(&query, Page { before: None, limit: 50 }).expect("a page");
    ((begin.elapsed(), busy() - busy_before), found.hits.len())
}

fn tell(name: &str, times: &[Times], more: &str) {
    let ranks = |of: fn(&Times) -> Duration| {
        let mut sorted: Vec<Duration> = times.iter().map(of).collect();
        sorted.sort();
        let at = |percent: usize| sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)];
        format!("p50 {:.2?} p95 {:.2?} max {:.2?}", at(50), at(95), at(100))
    };
    println!("{name:30} {}; of processor time {} {more}", ranks(|times| times.0), ranks(|times| times.1));
}
