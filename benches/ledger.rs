//! What the ledger costs: a record on the core that appends it, and a stream of them to the disk.
#![expect(clippy::print_stderr, reason = "sizes are no times, and criterion has no place for them")]
#![expect(clippy::expect_used, reason = "a bench without its folder has nothing better to do")]
#![expect(clippy::indexing_slicing, reason = "there is one journal, and 64 entries")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tollgate::clock;
use tollgate::ids::CallId;
use tollgate::ledger::entry::{Action, Class, Entry, Kind, Tokens};
use tollgate::ledger::journal::{Full, Journal, Ticket};
use tollgate::ledger::live::{Ledger, Opened};
use tollgate::ledger::record::Open;
use tollgate::ledger::settings::Settings;

/// Records of one measurement: they fit into a half of a journal.
const ROUND: u64 = 4_000;

/// A folder on the disk that builds are on.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-{name}"));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).expect("the folder of the build can be written");
        Self(path)
    }

    fn open(&self) -> Opened {
        Ledger::open(Settings::new(&self.0, 1), 1_795_000_000_000).expect("a ledger can be opened")
    }

    /// Bytes of all segments.
    fn bytes(&self) -> u64 {
        let folder = std::fs::read_dir(self.0.join("ledger/segments")).expect("there are segments");
        folder.flatten().filter_map(|entry| entry.metadata().ok()).map(|facts| facts.len()).sum()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn random(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn id(number: u64) -> CallId {
    CallId(u128::from(random(number)) << 64 | u128::from(random(!number)))
}

/// The end of a call of a model, one of many of twenty people.
fn entry(number: u64) -> Entry {
    let dice = random(number);
    Entry {
        took_us: dice % 30_000_000,
        first_byte_us: dice % 900_000,
        key: format!("dev-{}", dice % 20),
        key_id: format!("{:012x}", random(dice % 20) >> 16),
        team: "platform".into(),
        client: "claude-cli/2.1.330 (external, sdk-cli)".into(),
        session: format!("0b7f6a52-7d8e-4c51-9a51-{:012x}", random(number / 60) >> 16),
        prompt: format!("6a1f9a0e-2b43-4a53-8c8c-{:012x}", random(number / 5) >> 16),
        upstream_id: format!("req_011{:016x}", random(dice)),
        model: "claude-sonnet-5".into(),
        served_model: "claude-sonnet-5-20260801".into(),
        provider: "anthropic".into(),
        tokens: Tokens {
            input: dice % 50,
            output: dice % 3_000,
            cache_read: dice % 180_000,
            ..Tokens::default()
        },
        cost_pico: dice % 900_000_000_000,
        priced: "2026-11-01".into(),
        budgets: vec!["team:platform".into(), format!("key:dev-{}", dice % 20)],
        decision: "allow: teams.platform.models[0]".into(),
        status: 200,
        outcome: "ok".into(),
        stop_reason: "tool_use".into(),
        request_bytes: dice % 900_000,
        answer_bytes: dice % 40_000,
        actions: vec![Action {
            id: format!("toolu_01{:016x}", random(dice ^ 1)),
            name: "Bash".into(),
            class: Class::Write,
            detail: format!("cargo test --lib module_{}", dice % 97),
        }],
        ..Entry::new(id(number), Kind::ModelCall, 1_795_000_000_000 + number * 20)
    }
}

fn open(entry: &Entry) -> Open {
    Open {
        key: entry.key.clone(),
        key_id: entry.key_id.clone(),
        team: entry.team.clone(),
        client: entry.client.clone(),
        session: entry.session.clone(),
        prompt: entry.prompt.clone(),
        model: entry.model.clone(),
        provider: entry.provider.clone(),
        decision: entry.decision.clone(),
        estimate_pico: entry.cost_pico,
        budgets: entry.budgets.clone(),
        request_bytes: entry.request_bytes,
        ..Open::new(entry.id, entry.kind, entry.at_ms)
    }
}

struct Wakes(Thread);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait(mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>) {
    let waker = Waker::from(Arc::new(Wakes(thread::current())));
    let mut context = Context::from_waker(&waker);
    while poll(&mut context).is_pending() {
        thread::park();
    }
}

/// Times so many appends, a round at a time; between rounds the writer catches up, untimed.
fn timed(
    journal: &mut Journal,
    many: u64,
    append: impl Fn(&mut Journal, u64) -> Result<Ticket, Full>,
) -> Duration {
    let (mut done, mut took) = (0, Duration::ZERO);
    while done < many {
        let round = ROUND.min(many - done);
        let begin: Instant = clock::now();
        let mut last = Ticket::default();
        for number in done..done + round {
            last = append(journal, number).expect("a round fits");
        }
        took += begin.elapsed();
        wait(|context| journal.poll_synced(last, context));
        done += round;
    }
    took
}

fn place(number: u64) -> usize {
    usize::try_from(number % 64).unwrap_or(0)
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    let folder = Folder::new("append");
    let Opened { ledger, mut journals, .. } = folder.open();
    let journal = &mut journals[0];
    let entries: Vec<_> = (0..64).map(entry).collect();
    let opens: Vec<_> = entries.iter().map(open).collect();
    group.bench_function("open", |bencher| {
        bencher.iter_custom(|many| {
            timed(journal, many, |journal, number| journal.append_open(&opens[place(number)]))
        });
    });
    group.bench_function("close", |bencher| {
        bencher.iter_custom(|many| {
            timed(journal, many, |journal, number| journal.append_close(&entries[place(number)]))
        });
    });
    group.finish();
    drop(ledger.stop());
}

/// From the first append until all is on the disk, with openings; the threads of the ledger included. Under
/// `taskset -c 0` this is what one core does.
fn sustained(criterion: &mut Criterion) {
    const CALLS: u64 = 50_000;
    let mut group = criterion.benchmark_group("sustained");
    group.sample_size(10).throughput(Throughput::Elements(CALLS));
    let folder = Folder::new("sustained");
    let entries: Vec<_> = (0..CALLS).map(entry).collect();
    let opens: Vec<_> = entries.iter().map(open).collect();
    let Opened { ledger, mut journals, .. } = folder.open();
    let journal = &mut journals[0];
    group.bench_function("50000_calls_synced", |bencher| {
        bencher.iter(|| {
            let mut last = Ticket::default();
            for (entry, open) in entries.iter().zip(&opens) {
                while journal.append_open(open) == Err(Full) {
                    wait(|context| journal.poll_room(context));
                }
                last = loop {
                    match journal.append_close(entry) {
                        Ok(ticket) => break ticket,
                        Err(Full) => wait(|context| journal.poll_room(context)),
                    }
                };
            }
            wait(|context| journal.poll_synced(last, context));
        });
    });
    group.finish();
    drop(ledger.stop());
}

/// Bytes an entry, as it is written and when its segment has been packed.
fn sizes(_criterion: &mut Criterion) {
    const CALLS: u64 = 200_000;
    let folder = Folder::new("sizes");
    let written = {
        let Opened { ledger, mut journals, .. } = folder.open();
        for number in 0..CALLS {
            while journals[0].append_event(&entry(number)) == Err(Full) {
                wait(|context| journals[0].poll_room(context));
            }
        }
        let mut record = Vec::new();
        tollgate::ledger::encode::encode(&tollgate::ledger::record::Record::Event(entry(CALLS)), &mut record);
        drop(ledger.stop());
        record.len() as u64
    };
    // The last segment is not packed.
    let last = std::fs::read_dir(folder.0.join("ledger/segments")).expect("there are segments");
    let last: u64 = last
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|form| form == "seg"))
        .filter_map(|entry| entry.metadata().ok())
        .map(|facts| facts.len())
        .sum();
    let unpacked = last / (written + 8);
    let packed = (folder.bytes() - last) / (CALLS - unpacked).max(1);
    eprintln!("bytes an entry: about {} written, {packed} packed", written + 8);
}

criterion_group!(benches, append, sustained, sizes);
criterion_main!(benches);
