//! How long a large config takes to come into force, and what calls feel of it: `cargo bench --bench reload`.
//!
//! 1,000 teams with rules of their own, 10,000 keys and a server of 2,000 tools. Each key asks once for what
//! every rule has a say in (the list of models), so that there is much to forget; then one team's rules are
//! changed while a caller asks without pause. What is told: the time until the new rules are in force, seen
//! from outside, and of the turns before the change and from it on the longest wait of the caller, which has
//! in it whatever else the machine does, and the longest time that the core was at work for two turns, which
//! has not: the kernel counts the nanoseconds that a thread runs (`/proc/PID/task/TID/schedstat`), and
//! between two turns a core rests. No single stop of the core can have been longer. `TOLLGATE_BENCH_PROGRAM`
//! names another program to compare with.

#![expect(clippy::print_stdout, reason = "a bench prints what it has measured")]
#![expect(clippy::disallowed_methods, reason = "its threads are callers: they measure time and may sleep")]

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tollgate::identity::token::KeyHash;

const TEAMS: usize = 1_000;
const KEYS: usize = 10_000;
const TOOLS: usize = 2_000;

/// How often the rules are changed.
const ROUNDS: usize = 5;

/// A calm time before each change, to compare with.
const CALM: Duration = Duration::from_secs(2);

/// How long the caller goes on once the new rules are in force: what was before has to go, too.
const AFTER: Duration = Duration::from_secs(1);

/// The longest that a start or a reload may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(120);

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
    let place = Place::new()?;
    let begun = Instant::now();
    let gateway = place.start()?;
    println!("start with {TEAMS} teams, {KEYS} keys, {TOOLS} tools: {:.0} ms", ms(begun.elapsed()));
    let core = gateway.core()?;
    let mut stops = Vec::new();
    for round in 0..ROUNDS {
        place.ask_as_everybody()?;
        let caller = Caller::start(place.address, core.clone())?;
        thread::sleep(CALM);
        let (begun, model) = (Instant::now(), format!("claude-round-{round}"));
        place.write_config(&model)?;
        let mut asker = Asker::connect(place.address, 1)?;
        while !asker.models()?.contains(&model) {
            ensure!(begun.elapsed() < PATIENCE, "the new rules did not come into force");
            thread::sleep(Duration::from_millis(2));
        }
        let took = begun.elapsed();
        thread::sleep(AFTER);
        let (before, since): (Turns, Turns) = caller.end()?.into_iter().partition(|turn| turn.at < begun);
        let longest_wait = |turns: &Turns| ms(turns.iter().map(|turn| turn.wait).max().unwrap_or_default());
        println!(
            "change {round}: in force after {:.0} ms; longest wait {:.2} ms before, {:.2} ms since; the core \
             at work for two turns at most {:.2} ms before, {:.2} ms since; {} turns",
            ms(took),
            longest_wait(&before),
            longest_wait(&since),
            longest_work(&before),
            longest_work(&since),
            before.len() + since.len()
        );
        stops.push(longest_work(&since));
    }
    stops.sort_by(f64::total_cmp);
    let middle = stops.get(ROUNDS / 2).copied().unwrap_or_default();
    println!(
        "the longest two turns of the core since a change: {middle:.2} ms in the middle of {ROUNDS} changes"
    );
    drop(gateway);
    Ok(())
}

/// Of two turns that follow each other: work that goes on when it is looked at is counted in the later one.
fn longest_work(turns: &Turns) -> f64 {
    let both = |pair: &[Turn]| pair.iter().map(|turn| turn.work).sum();
    ms(turns.windows(2).map(both).max().unwrap_or_default())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A folder with the config, and where the gateway listens.
struct Place {
    folder: PathBuf,
    address: SocketAddr,
}

impl Place {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("tollgate-reload-{}", std::process::id()));
        fs::create_dir_all(folder.join("data"))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let place = Self { folder, address };
        place.write_api()?;
        place.write_keys()?;
        place.write_config("claude-first")?;
        Ok(place)
    }

    /// An HTTP API of 2,000 operations: tools without a process that would disturb the measurement.
    fn write_api(&self) -> Result<()> {
        let mut paths = serde_json::Map::new();
        for tool in 0..TOOLS {
            let verb = ["get", "list", "create", "delete"].get(tool % 4).copied().unwrap_or("get");
            let operation = serde_json::json!({
                "operationId": format!("{verb}_thing_{tool}"),
                "summary": format!("Does {verb} to things of the kind {tool}."),
            });
            let method = if tool % 4 < 2 { "get" } else { "post" };
            paths.insert(format!("/things/{tool}"), serde_json::json!({ method: operation }));
        }
        let info = serde_json::json!({"title": "Things", "version": "1"});
        let document = serde_json::json!({
            "openapi": "3.1.0", "info": info, "servers": [{ "url": "http://127.0.0.1:9" }], "paths": paths,
        });
        Ok(fs::write(self.folder.join("things.json"), document.to_string())?)
    }

    fn write_keys(&self) -> Result<()> {
        let keys: Vec<serde_json::Value> = (0..KEYS)
            .map(|key| {
                let hash = KeyHash::of(secret(key).as_bytes());
                serde_json::json!({
                    "name": format!("key-{key}"), "id": hash.id(), "sha256": hash.to_hex(),
                    "team": format!("team-{}", key % TEAMS), "created": "2026-01-01T00:00:00Z",
                })
            })
            .collect();
        let file = serde_json::json!({"version": 1, "keys": keys});
        Ok(fs::write(self.folder.join("data/keys.json"), file.to_string())?)
    }

    /// Every team has rules; those of the second, to which all callers of the bench belong, name `model`.
    fn write_config(&self, model: &str) -> Result<()> {
        let mut text = format!(
            "listen: {}\ndata_dir: {}\nthreads: 1\nproviders:\n  demo: {{ dialect: demo }}\nmodels:\n  \
             {model}: [demo]\n  claude-fixed: [demo]\nmcp: {{ tools: native }}\n\
             mcp_servers:\n  things: {{ openapi: {} }}\nteams:\n",
            self.address,
            self.folder.join("data").display(),
            self.folder.join("things.json").display(),
        );
        for team in 0..TEAMS {
            writeln!(
                text,
                "  team-{team}: {{ models: [claude-fixed, {model}, 'claude-{team}-*'], servers: {{ things: \
                 ['get_*', 'list_thing_{team}*', '*_{team}'] }} }}"
            )?;
        }
        let new = self.folder.join("new.yaml");
        fs::write(&new, text)?;
        Ok(fs::rename(new, self.folder.join("tollgate.yaml"))?)
    }

    /// Everybody asks once.
    fn ask_as_everybody(&self) -> Result<()> {
        let mut asker = Asker::connect(self.address, 0)?;
        for key in 0..KEYS {
            asker.become_key(key);
            asker.models()?;
        }
        Ok(())
    }

    fn start(&self) -> Result<Gateway> {
        let config = self.folder.join("tollgate.yaml");
        let ours = || env!("CARGO_BIN_EXE_tollgate").into();
        let program: OsString = std::env::var_os("TOLLGATE_BENCH_PROGRAM").unwrap_or_else(ours);
        let child = Command::new(program)
            .args([Path::new("--config"), &config, Path::new("serve")])
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.join("said"))?)
            .spawn()?;
        let gateway = Gateway(child);
        let begun = Instant::now();
        while Asker::connect(self.address, 1).and_then(|mut asker| asker.models()).is_err() {
            let said = || fs::read_to_string(self.folder.join("said")).unwrap_or_default();
            ensure!(begun.elapsed() < PATIENCE, "the gateway did not start: {}", said());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(gateway)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left in the folder for temporary files harms nobody.
        drop(fs::remove_dir_all(&self.folder));
    }
}

struct Gateway(Child);

impl Gateway {
    /// Where the kernel counts what the one core does.
    fn core(&self) -> Result<PathBuf> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.0.id()))? {
            let thread = thread?.path();
            if fs::read_to_string(thread.join("comm"))?.trim() == "core-0" {
                return Ok(thread.join("schedstat"));
            }
        }
        bail!("the gateway has no core")
    }
}

/// How long the core has been at work since it began.
fn work(core: &Path) -> Result<Duration> {
    let text = fs::read_to_string(core)?;
    let ran = text.split(' ').next().context("the kernel counts nothing")?;
    Ok(Duration::from_nanos(ran.parse()?))
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn secret(key: usize) -> String {
    format!("tg_key_{key}_of_the_bench")
}

/// A kept connection.
struct Asker {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Asker {
    fn connect(address: SocketAddr, key: usize) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut asker = Self { stream, request: Vec::new(), answer: vec![0; 64 * 1024] };
        asker.become_key(key);
        Ok(asker)
    }

    fn become_key(&mut self, key: usize) {
        let key = secret(key);
        let request =
            format!("GET /v1/models HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n\r\n");
        self.request = request.into_bytes();
    }

    /// Asks for the models; the body of the answer.
    fn models(&mut self) -> Result<String> {
        self.stream.write_all(&self.request)?;
        let mut filled = 0;
        loop {
            let room = self.answer.get_mut(filled..).context("an answer without an end")?;
            match self.stream.read(room)? {
                0 => bail!("the connection was closed"),
                read => filled += read,
            }
            let text = String::from_utf8_lossy(self.answer.get(..filled).unwrap_or_default());
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.context("an answer without a length")? {
                ensure!(head.starts_with("HTTP/1.1 200"), "refused: {text}");
                return Ok(body.to_owned());
            }
        }
    }
}

/// One question and its answer.
struct Turn {
    /// When the answer came.
    at: Instant,
    wait: Duration,
    /// What the core has done since the turn before.
    work: Duration,
}

type Turns = Vec<Turn>;

/// A caller that asks without pause until it is told to end.
struct Caller {
    over: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result<Turns>>,
}

impl Caller {
    fn start(address: SocketAddr, core: PathBuf) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let (mut asker, told) = (Asker::connect(address, 1)?, Arc::clone(&over));
        let thread = thread::spawn(move || {
            let mut turns = Turns::new();
            let mut done = work(&core)?;
            while !told.load(Ordering::Relaxed) {
                let begun = Instant::now();
                asker.models()?;
                let (at, wait) = (Instant::now(), begun.elapsed());
                // The core comes to rest: what it does is counted then.
                thread::sleep(Duration::from_micros(200));
                let now = work(&core)?;
                turns.push(Turn { at, wait, work: now.saturating_sub(done) });
                done = now;
            }
            Ok(turns)
        });
        Ok(Self { over, thread })
    }

    fn end(self) -> Result<Turns> {
        self.over.store(true, Ordering::Relaxed);
        let Ok(turns) = self.thread.join() else { bail!("the caller panicked") };
        turns
    }
}
