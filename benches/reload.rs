//! How long a large config takes to come into force, and what calls feel of it: `cargo bench --bench reload`.
//!
//! 1,000 teams with rules of their own, 10,000 keys and a server of 2,000 tools. While callers ask without
//! pause for what every rule has a say in (the list of models), one team's rules are changed. What is told:
//! the time until the new rules are in force, seen from outside, and the longest any caller waited for an
//! answer before and meanwhile.

#![expect(clippy::print_stdout, reason = "a bench prints what it has measured")]
#![expect(clippy::disallowed_methods, reason = "its threads are callers: they measure time and may sleep")]

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

/// Connections that ask without pause.
const CALLERS: usize = 2;

/// How often the rules are changed.
const ROUNDS: usize = 5;

/// A calm time before each change, to compare with.
const CALM: Duration = Duration::from_secs(2);

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
    for round in 0..ROUNDS {
        let callers = Callers::start(place.address)?;
        thread::sleep(CALM);
        let (begun, model) = (Instant::now(), format!("claude-round-{round}"));
        place.write_config(&model)?;
        let mut asker = Asker::connect(place.address, 1)?;
        while !asker.models()?.contains(&model) {
            ensure!(begun.elapsed() < PATIENCE, "the new rules did not come into force");
            thread::sleep(Duration::from_millis(2));
        }
        let took = begun.elapsed();
        let answers = callers.end()?;
        let longest = |within: &dyn Fn(Instant) -> bool| {
            let of_them = answers.iter().filter(|(at, _)| within(*at)).map(|(_, wait)| *wait);
            ms(of_them.max().unwrap_or_default())
        };
        println!(
            "change {round}: in force after {:.0} ms; longest wait {:.2} ms before, {:.2} ms \
             meanwhile; {} answers",
            ms(took),
            longest(&|at| at < begun),
            longest(&|at| at >= begun),
            answers.len()
        );
    }
    drop(gateway);
    Ok(())
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
             {model}: [demo]\n  claude-fixed: [demo]\nmcp_servers:\n  things: {{ openapi: {} }}\nteams:\n",
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

    fn start(&self) -> Result<Gateway> {
        let config = self.folder.join("tollgate.yaml");
        let child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
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
        let request = format!(
            "GET /v1/models HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\n\r\n",
            secret(key)
        );
        Ok(Self { stream, request: request.into_bytes(), answer: vec![0; 64 * 1024] })
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

/// Callers that ask without pause until they are told to end.
struct Callers {
    over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<Result<Answers>>>,
}

/// When each answer came, and how long it took.
type Answers = Vec<(Instant, Duration)>;

impl Callers {
    fn start(address: SocketAddr) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for caller in 0..CALLERS {
            let (mut asker, over) = (Asker::connect(address, 1 + caller * TEAMS)?, Arc::clone(&over));
            threads.push(thread::spawn(move || {
                let mut answers = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    asker.models()?;
                    answers.push((Instant::now(), begun.elapsed()));
                    thread::sleep(Duration::from_micros(200));
                }
                Ok(answers)
            }));
        }
        Ok(Self { over, threads })
    }

    fn end(self) -> Result<Answers> {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for thread in self.threads {
            let Ok(answers) = thread.join() else { bail!("a caller panicked") };
            all.extend(answers?);
        }
        Ok(all)
    }
}
