//! A wall clock that jumps, ahead and back: budgets hold in each of their hours, and no record is lost.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client::{Reply, once, post};
use crate::gateway::{Engine, Folder, Gateway, KEY, config, for_each_engine, tollgate};
use crate::ledger::verified;
use crate::peer::scripted_upstream;
use crate::program;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

/// A call costs three cents, so that each hour has room for three.
const BOOKS: &str = "prices: { models: { \"claude-*\": { input: 0, output: 6000 } } }\n\
                     budgets: [{ name: dime, usd: 0.10, per: hour, mode: strict }]\n";

/// The wall clock of one gateway, which stands at half past an hour and can be turned.
struct Clock {
    file: fs::File,
    /// From the real clock to half past its hour.
    half_past: i64,
}

impl Clock {
    fn new(folder: &Folder) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/clock_jumps.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.join("clock.so")).arg(source).arg("-ldl");
        program::run(&mut cc, Duration::from_secs(60)).succeeded();
        let path = folder.join("offset");
        let file = fs::File::create(path).expect("the build folder can be written");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
        let now = i64::try_from(now).expect("it is not that late");
        let clock = Self { file, half_past: HOUR_S / 2 - now % HOUR_S };
        clock.turn(0);
        clock
    }

    /// Turns it to so many seconds after the first half hour.
    fn turn(&self, seconds: i64) {
        let offset = (self.half_past + seconds).to_ne_bytes();
        self.file.write_all_at(&offset, 0).expect("the build folder can be written");
    }

    /// The program with this clock.
    fn tollgate(folder: &Path) -> Command {
        let mut command = tollgate(folder);
        command.env("LD_PRELOAD", folder.join("clock.so")).env("CLOCK_OFFSET", folder.join("offset"));
        command
    }
}

fn ask(gateway: &Gateway) -> Reply {
    let body = r#"{"model":"claude-any","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    once(gateway.addr(), &post("/v1/messages", KEY, &[], body.as_bytes()))
}

/// Asks six times; the ids of what is answered, which comes before all that is refused.
#[track_caller]
fn ask_six(gateway: &Gateway) -> Vec<String> {
    let replies: Vec<Reply> = (0..6).map(|_| ask(gateway)).collect();
    let good = replies.iter().take_while(|reply| reply.head.status == 200).count();
    for refused in &replies[good..] {
        let told = refused.refusal(429, "billing_error");
        assert!(told.contains("`dime`"), "{told}");
        let wait: i64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("a number");
        assert!((1..=HOUR_S).contains(&wait), "{wait}");
    }
    let id = |reply: &Reply| reply.header("x-tollgate-request-id").expect("an id").to_owned();
    replies[..good].iter().map(id).collect()
}

fn scene(engine: Engine) -> (Clock, Gateway) {
    let upstream = Box::leak(Box::new(scripted_upstream::plain()));
    let folder = Folder::new();
    folder.write("tollgate.yaml", &config(engine, &upstream.url(), BOOKS));
    let clock = Clock::new(&folder);
    let mut command = Clock::tollgate(folder.path());
    (clock, Gateway::run(&mut command, folder))
}

#[test]
fn budgets_and_ledger_survive_a_clock_that_jumps() {
    for_each_engine(|engine| {
        let (clock, mut gateway) = scene(engine);
        let mut answered = ask_six(&gateway);
        assert_eq!(answered.len(), 3, "the first hour");
        for (turned, least) in [(HOUR_S, 3), (30 * DAY_S, 3), (-2 * HOUR_S, 0), (2 * HOUR_S, 0)] {
            clock.turn(turned);
            let more = ask_six(&gateway);
            // Ahead a new hour begins with all its room; back, nobody may spend what was spent already.
            assert!((least..=3).contains(&more.len()), "{} calls at {turned} s", more.len());
            answered.extend(more);
        }
        // Back in the first hour it is spent, now and after a restart, when what is recorded of later hours
        // counts to it as well.
        clock.turn(0);
        assert_eq!(ask_six(&gateway), [] as [String; 0], "the first hour again");
        gateway.signal("TERM");
        assert_eq!(gateway.wait(Duration::from_secs(20)).code(), Some(0), "{}", gateway.log().text());
        let path = gateway.folder().path().to_owned();
        let mut again = Gateway::run(&mut Clock::tollgate(&path), Folder::new());
        assert_eq!(ask_six(&again), [] as [String; 0], "the first hour after a restart");
        again.signal("TERM");
        assert_eq!(again.wait(Duration::from_secs(20)).code(), Some(0), "{}", again.log().text());

        let entries = verified(&gateway);
        let mut hours: BTreeMap<u64, u64> = BTreeMap::new();
        let mut kept = HashSet::new();
        for entry in entries.iter().filter(|entry| entry["status"] == 200) {
            let hour = entry["at_ms"].as_u64().expect("a time") / 3_600_000;
            *hours.entry(hour).or_default() += entry["cost_pico"].as_u64().expect("it costs");
            assert!(kept.insert(entry["id"].as_str().expect("an id").to_owned()), "{entry} stands twice");
        }
        assert_eq!(kept, answered.into_iter().collect(), "what was answered is what is recorded");
        for (hour, spent) in hours {
            assert!(spent <= 100_000_000_000, "{spent} pico-dollars in hour {hour}");
        }
    });
}
