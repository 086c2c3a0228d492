//! The real binary as a child process, with a config of its own and its log read along.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::eventually;

/// The key that the config of every test knows.
pub(crate) const KEY: &str = "tg_journey_0123456789abcdefghijklmnopqrstuvwxyzABCDEF";

/// A second key, of a team that may name `claude-allowed*` only.
pub(crate) const NARROW_KEY: &str = "tg_narrow_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

/// The credential that the gateway shows its upstream.
pub(crate) const UPSTREAM_KEY: &str = "upstream-secret-0123456789";

/// A start on a busy machine; a quiet one needs some milliseconds.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// What the gateway is told to do its I/O with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    IoUring,
    Epoll,
}

impl Engine {
    /// The word of the config and of the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::Epoll => "epoll",
        }
    }
}

/// Runs a test once for each engine that this machine has.
pub(crate) fn for_each_engine(test: impl Fn(Engine)) {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    let allowed = *ALLOWED.get_or_init(|| match io_uring::IoUring::new(8) {
        Ok(_) => true,
        Err(why) => {
            eprintln!("WARNING: this machine refuses io_uring ({why}): ONLY the epoll engine is tested");
            false
        }
    });
    if allowed {
        eprintln!("engine: io_uring");
        test(Engine::IoUring);
    }
    eprintln!("engine: epoll");
    test(Engine::Epoll);
}

/// A folder of one test, empty at first, removed at its end unless the test fails.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("journey-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("the build folder can be written");
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.join(name), text).expect("the build folder can be written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !thread::panicking() {
            // What is left over does no harm.
            drop(fs::remove_dir_all(&self.0));
        }
    }
}

/// A config with one provider `up` for all models, the two keys, and whatever lines `more` adds.
pub(crate) fn config(engine: Engine, upstream: &str, more: &str) -> String {
    format!(
        "listen: 127.0.0.1:0\n\
         data_dir: ./data\n\
         engine: {}\n\
         threads: 1\n\
         providers:\n  \
           up: {{ dialect: anthropic, base_url: \"{upstream}\", key: {UPSTREAM_KEY} }}\n\
         models:\n  \
           \"claude-renamed\": [{{ provider: up, model: claude-inner }}]\n  \
           \"claude-*\": [up]\n\
         keys:\n  \
           - {{ name: main, secret: {KEY} }}\n  \
           - {{ name: narrow, secret: {NARROW_KEY}, team: narrow }}\n\
         teams:\n  \
           narrow: {{ models: [\"claude-allowed*\"] }}\n\
         {more}\n",
        engine.name()
    )
}

/// The program, without anything of this process's environment.
pub(crate) fn tollgate(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.current_dir(folder).env_clear().env("HOME", folder).env("PATH", "/usr/bin:/bin");
    command
}

/// The port of a gateway that has no config, for one test at a time; nothing where another program has it.
pub(crate) fn usual_port() -> Option<MutexGuard<'static, ()>> {
    static ONE: Mutex<()> = Mutex::new(());
    // A test that failed with it has given the port back all the same.
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    match TcpListener::bind("127.0.0.1:4000") {
        Ok(_free) => Some(guard),
        Err(why) => {
            eprintln!("WARNING: port 4000 is taken ({why}); a start without a config is not tested");
            None
        }
    }
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    addr: SocketAddr,
    log: Log,
    stdout: Arc<Mutex<String>>,
    folder: Arc<Folder>,
}

impl Gateway {
    /// Starts with one provider, all defaults.
    #[track_caller]
    pub(crate) fn start(engine: Engine, upstream: &str) -> Self {
        Self::with(engine, upstream, "")
    }

    /// Starts with one provider and further lines of config.
    #[track_caller]
    pub(crate) fn with(engine: Engine, upstream: &str, more: &str) -> Self {
        let folder = Folder::new();
        folder.write("tollgate.yaml", &config(engine, upstream, more));
        let gateway = Self::run(&mut tollgate(folder.path()), folder);
        let started = gateway.log.find("listening").expect("it listens");
        assert_eq!(started["engine"], engine.name(), "{started}");
        gateway
    }

    /// Starts any command line that leads to a running gateway.
    #[track_caller]
    pub(crate) fn run(command: &mut Command, folder: Folder) -> Self {
        Self::run_in(command, Arc::new(folder))
    }

    #[track_caller]
    fn in_folder(folder: Arc<Folder>) -> Self {
        Self::run_in(&mut tollgate(folder.path()), folder)
    }

    #[track_caller]
    fn run_in(command: &mut Command, folder: Arc<Folder>) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway can be started");
        let log = Log::read(child.stderr.take().expect("stderr is piped"));
        let stdout = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().expect("stdout is piped"), &stdout);
        let started = Instant::now();
        let addr = loop {
            if let Some(line) = log.find("listening") {
                let text = line["addr"].as_str().expect("the line has the address");
                break text.parse().expect("the address is one");
            }
            let ended = child.try_wait().expect("a child can be waited for");
            if ended.is_some() || started.elapsed() > START_DEADLINE {
                // It may have ended already.
                drop(child.kill());
                panic!("the gateway did not start ({ended:?}):\n{}", log.text());
            }
            thread::sleep(Duration::from_millis(5));
        };
        Self { child, addr, log, stdout, folder }
    }

    /// Kills it without a warning, and starts it again in the same folder.
    #[track_caller]
    pub(crate) fn killed_and_started(mut self) -> Self {
        // It may have been killed already.
        drop(self.child.kill());
        drop(self.child.wait());
        let folder = Arc::clone(&self.folder);
        drop(self);
        Self::in_folder(folder)
    }

    /// Where it listens.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL for clients.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Its folder, with `tollgate.yaml` and `data`.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log.
    pub(crate) const fn log(&self) -> &Log {
        &self.log
    }

    /// What it printed for people to keep, so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().expect("no holder panics").clone()
    }

    /// Waits until it has printed `text` and gives all that it printed: it listens before it prints.
    #[track_caller]
    pub(crate) fn printed(&self, text: &str) -> String {
        eventually("it prints", START_DEADLINE, || self.stdout().contains(text));
        self.stdout()
    }

    /// Sends a signal by its name.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name} failed");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let mut ended = None;
        eventually("the gateway ends", deadline, || {
            ended = self.child.try_wait().expect("a child can be waited for");
            ended.is_some()
        });
        ended.expect("it has ended")
    }

    /// The CPU time that all of its threads have used, to the clock tick of a hundredth of a second.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("the name stands in brackets");
        // The fields 14 and 15 of proc_pid_stat(5): user and system; the third is the first after the name.
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|field| field.parse::<u64>().expect("the kernel writes numbers")).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Memory of its own that is resident, in KiB: not the pages of its program and of mapped files, which
    /// the kernel keeps or drops as it likes.
    pub(crate) fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("it has memory");
        line.trim().trim_end_matches(" kB").parse().expect("the kernel writes numbers")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            let folder = self.folder.path().display();
            eprintln!("the gateway in {folder} had ended: {ended:?}; its log:\n{}", self.log.text());
        }
    }
}

/// The lines that the gateway wrote to stderr so far.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn read(from: impl Read + Send + 'static) -> Self {
        let log = Self::default();
        let lines = Arc::clone(&log.0);
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                lines.lock().expect("no holder panics").push(line);
            }
        });
        log
    }

    /// All lines that are JSON and whose `msg` is this.
    pub(crate) fn all(&self, msg: &str) -> Vec<Value> {
        let lines = self.0.lock().expect("no holder panics");
        let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.filter(|line| line["msg"] == msg).collect()
    }

    /// The first such line.
    pub(crate) fn find(&self, msg: &str) -> Option<Value> {
        self.all(msg).into_iter().next()
    }

    /// Waits for `count` lines about finished calls and gives them.
    #[track_caller]
    pub(crate) fn calls(&self, count: usize) -> Vec<Value> {
        eventually("a line for each call", Duration::from_secs(20), || self.all("call").len() >= count);
        self.all("call")
    }

    /// All of it, as written.
    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("no holder panics").join("\n")
    }
}

fn collect(mut from: impl Read + Send + 'static, into: &Arc<Mutex<String>>) {
    let into = Arc::clone(into);
    thread::spawn(move || {
        let mut room = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut room) {
            let text = room.get(..count).map(String::from_utf8_lossy).unwrap_or_default();
            into.lock().expect("no holder panics").push_str(&text);
        }
    });
}
