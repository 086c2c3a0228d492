//! The proxies under test: their configs, their processes, and the certainty that none outlives the bench.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tollgate::clock;

use crate::load::{Question, ask};
use crate::procfs;
use crate::sys;
use crate::wire::KEY;

/// How long a proxy may take to answer its first question.
const READY_DEADLINE: Duration = Duration::from_secs(10);

/// How long a proxy may take to end when asked; then it is killed.
const END_DEADLINE: Duration = Duration::from_secs(2);

/// How often a starting or ending proxy is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Bytes of a proxy's log that are shown when it does not start.
const LOG_BYTES_SHOWN: usize = 1500;

/// One column of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Variant {
    /// No proxy: what load and provider can do by themselves.
    Direct,
    /// A program of ours that copies bytes and does nothing else: what a proxy costs at least.
    Relay,
    Nginx,
    Haproxy,
    #[value(name = "io_uring")]
    IoUring,
    Epoll,
}

impl Variant {
    /// Those that carry what models say.
    pub(crate) const ALL: [Self; 5] = [Self::Direct, Self::Nginx, Self::Haproxy, Self::IoUring, Self::Epoll];

    /// Those that carry what tool servers say.
    pub(crate) const MCP: [Self; 5] = [Self::Direct, Self::Relay, Self::Nginx, Self::IoUring, Self::Epoll];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::IoUring => "tollgate io_uring",
            Self::Epoll => "tollgate epoll",
        }
    }

    /// Whether it is ours.
    pub(crate) fn is_gateway(self) -> bool {
        matches!(self, Self::IoUring | Self::Epoll)
    }

    /// Says whether the machine has it; cargo has built ours.
    pub(crate) fn is_installed(self) -> bool {
        match self {
            Self::Direct | Self::Relay | Self::IoUring | Self::Epoll => true,
            Self::Nginx | Self::Haproxy => installed(self.name()).is_ok(),
        }
    }
}

/// Where proxies live while they are measured.
#[derive(Clone, Debug)]
pub(crate) struct Yard {
    /// Holds configs, logs and data, below `target/`.
    pub(crate) dir: PathBuf,
    /// The provider behind every proxy.
    pub(crate) upstream: SocketAddr,
    /// The processor they share; no two are loaded at once.
    pub(crate) cpu: usize,
    /// The gateway's program.
    pub(crate) gateway: PathBuf,
    /// What the gateway's config says of what is behind it and who may use it.
    pub(crate) config: String,
    /// What a proxy is asked until it answers.
    pub(crate) question: Question,
}

/// A running proxy; dropping it ends its process.
pub(crate) struct Proxy {
    child: Option<Child>,
    pids: Vec<u32>,
    /// Whether its threads have names that we know.
    has_roles: bool,
    /// Where questions with whole answers go.
    pub(crate) plain: SocketAddr,
    /// Where questions with streamed answers go: nginx has a server of its own without buffering for them.
    pub(crate) streams: SocketAddr,
}

impl Proxy {
    /// Starts one and waits until it answers. Fails when it is missing, ends, or answers something else.
    pub(crate) fn start(variant: Variant, yard: &Yard) -> Result<Self> {
        let (plain, streams) = match variant {
            Variant::Direct => (yard.upstream, yard.upstream),
            Variant::Nginx => (free_address()?, free_address()?),
            Variant::Relay | Variant::Haproxy | Variant::IoUring | Variant::Epoll => {
                let address = free_address()?;
                (address, address)
            }
        };
        let has_roles = variant.is_gateway();
        let mut proxy = Self { child: None, pids: Vec::new(), has_roles, plain, streams };
        if variant != Variant::Direct {
            let dir = yard.dir.join(variant.name().replace(' ', "-"));
            if dir.exists() {
                fs::remove_dir_all(&dir).context("cannot remove what an earlier run left")?;
            }
            fs::create_dir_all(&dir)?;
            let log = dir.join("log");
            let mut command = proxy.command(variant, yard, &dir)?;
            let out = File::create(&log)?;
            command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out).current_dir(&dir);
            sys::confine(&mut command, yard.cpu);
            let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
            proxy.child = Some(child);
            if let Err(error) = proxy.wait_ready(&yard.question) {
                bail!("{error:#}{}", log_end(&log));
            }
        }
        Ok(proxy)
    }

    /// Reads the run time of its threads by role, nanoseconds.
    pub(crate) fn run_time_ns(&self) -> Result<procfs::Ran> {
        procfs::run_time_ns(&self.pids, self.has_roles)
    }

    /// Reads its resident memory, KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        procfs::resident_kib(&self.pids)
    }

    fn command(&self, variant: Variant, yard: &Yard, dir: &Path) -> Result<Command> {
        let config = dir.join("config");
        let mut command;
        match variant {
            Variant::Direct => bail!("nothing to start"),
            Variant::Relay => {
                command = Command::new(std::env::current_exe()?);
                command.arg("relay").arg(self.plain.to_string()).arg(yard.upstream.to_string());
            }
            Variant::Nginx => {
                fs::write(&config, self.nginx_config(yard, dir))?;
                command = Command::new(installed("nginx")?);
                command.arg("-p").arg(dir).arg("-c").arg(&config).arg("-e").arg(dir.join("errors"));
            }
            Variant::Haproxy => {
                fs::write(&config, self.haproxy_config(yard))?;
                command = Command::new(installed("haproxy")?);
                command.arg("-db").arg("-f").arg(&config);
            }
            Variant::IoUring | Variant::Epoll => {
                fs::write(&config, self.tollgate_config(variant, yard, dir))?;
                command = Command::new(&yard.gateway);
                command.arg("serve").arg("--config").arg(&config).env("BENCH_KEY", KEY);
            }
        }
        Ok(command)
    }

    /// One worker. A body of 60 KiB stays in memory: by default nginx would write it to a file first.
    fn nginx_config(&self, yard: &Yard, dir: &Path) -> String {
        let user = if sys::is_root() { "user root;" } else { "" };
        let (plain, streams, upstream, dir) = (self.plain, self.streams, yard.upstream, dir.display());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("  {what}_temp_path \"{dir}/{what}\";\n"))
            .concat();
        let server = |listen: SocketAddr, buffering: &str| {
            format!(
                "  server {{\n    listen {listen} backlog=4096;\n    location / {{\n      \
                 proxy_pass http://fixed;\n      proxy_http_version 1.1;\n      \
                 proxy_set_header Connection \"\";\n      proxy_buffering {buffering};\n    }}\n  }}\n"
            )
        };
        let (plain, streams) = (server(plain, "on"), server(streams, "off"));
        format!(
            "{user}\nworker_processes 1;\ndaemon off;\npid \"{dir}/pid\";\nworker_rlimit_nofile 16384;\n\
             events {{ worker_connections 8192; }}\nhttp {{\n  access_log off;\n  tcp_nodelay on;\n\
             {temporary}  client_max_body_size 64m;\n  client_body_buffer_size 128k;\n\
             \x20 keepalive_timeout 300s;\n  keepalive_requests 1000000000;\n\
             \x20 upstream fixed {{\n    server {upstream};\n    keepalive 1024;\n\
             \x20   keepalive_requests 1000000000;\n  }}\n{plain}{streams}}}\n"
        )
    }

    /// One thread. Without `http-no-delay` it would hold small events back for tens of milliseconds.
    fn haproxy_config(&self, yard: &Yard) -> String {
        let (listen, upstream) = (self.plain, yard.upstream);
        format!(
            "global\n  nbthread 1\n  maxconn 8192\ndefaults\n  mode http\n  option http-no-delay\n\
             \x20 option http-keep-alive\n  http-reuse always\n  timeout connect 5s\n  timeout client 300s\n\
             \x20 timeout server 300s\n  timeout http-keep-alive 300s\n\
             frontend callers\n  bind {listen} backlog 4096\n  default_backend fixed\n\
             backend fixed\n  server fixed {upstream}\n"
        )
    }

    fn tollgate_config(&self, variant: Variant, yard: &Yard, dir: &Path) -> String {
        let engine = if variant == Variant::Epoll { "epoll" } else { "io_uring" };
        let (listen, config, dir) = (self.plain, &yard.config, dir.display());
        format!("listen: {listen}\ndata_dir: \"{dir}/data\"\nthreads: 1\nengine: {engine}\n{config}")
    }

    fn wait_ready(&mut self, question: &Question) -> Result<()> {
        let deadline = clock::now() + READY_DEADLINE;
        let expected = question.answer_bytes.unwrap_or_default();
        let child = self.child.as_mut().context("no process")?;
        loop {
            if let Some(status) = child.try_wait()? {
                bail!("it ended at once ({status})");
            }
            match ask(self.plain, &question.request) {
                Ok(said) => {
                    let bytes = said.body_bytes;
                    ensure!(bytes == expected, "it answered {bytes} bytes instead of {expected}");
                    self.pids = procfs::workers(child.id())?;
                    if self.has_roles {
                        for thread in procfs::standing_back(&self.pids)? {
                            sys::release(thread)?;
                        }
                    }
                    return Ok(());
                }
                Err(error) if clock::now() > deadline => return Err(error.context("it did not answer")),
                Err(_early) => std::thread::park_timeout(LOOK),
            }
        }
    }
}

/// What the gateway's config says of the provider and of who may use it.
pub(crate) fn llm_config(upstream: SocketAddr) -> String {
    format!(
        "providers:\n  fixed: {{ dialect: anthropic, base_url: \"http://{upstream}\" }}\n\
         models:\n  \"claude-*\": [fixed]\n\
         keys:\n  - {{ name: bench, secret: \"${{env:BENCH_KEY}}\" }}\n"
    )
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let deadline = clock::now() + END_DEADLINE;
        let mut asked = sys::terminate(child.id()).is_ok();
        while let Ok(None) = child.try_wait() {
            if !asked || clock::now() > deadline {
                // Of a process that cannot be killed nothing more can be wanted here.
                child.kill().and_then(|()| child.wait()).map(drop).unwrap_or_default();
                return;
            }
            asked = true;
            std::thread::park_timeout(LOOK);
        }
    }
}

/// Finds an installed program; Debian keeps servers out of the path of ordinary users.
fn installed(name: &str) -> Result<PathBuf> {
    [PathBuf::from(name), Path::new("/usr/sbin").join(name)]
        .into_iter()
        .find(|path| {
            Command::new(path).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        })
        .with_context(|| format!("{name} is not installed: apt-get install nginx haproxy"))
}

/// Says which version of a rival is installed.
pub(crate) fn version(name: &str) -> Option<String> {
    let said = Command::new(installed(name).ok()?).arg("-v").output().ok()?;
    let text = [said.stdout, said.stderr].concat();
    let line = String::from_utf8_lossy(&text).lines().next()?.to_owned();
    line.split_whitespace().find(|word| word.contains(|c: char| c.is_ascii_digit())).map(str::to_owned)
}

/// Finds a free port of the loopback. It may be lost to someone else before its use; then the proxy says so.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

fn log_end(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let from = text.len().saturating_sub(LOG_BYTES_SHOWN);
    match String::from_utf8_lossy(text.get(from..).unwrap_or_default()).trim() {
        "" => ", and its log is empty".to_owned(),
        end => format!("; its log ends with: {end}"),
    }
}
