//! The gateway as a process of its own, as it is when nothing is said, and what the machine has to do.

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::wire::{Line, Way};

/// The key of those who call.
pub(crate) const NEIGHBOUR: &str = "tg_neighbour_0123456789abcdefghijklmnopqrstuvwxyz";

/// The keys of those who send scripts.
pub(crate) const HOSTILE: [&str; 2] = [
    "tg_hostile_one_0123456789abcdefghijklmnopqrstuvwx",
    "tg_hostile_two_0123456789abcdefghijklmnopqrstuvwx",
];

/// The longest that a start, or the end of all scripts, may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the machine is left alone after scripts.
const AFTER: Duration = Duration::from_millis(200);

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl Gateway {
    /// Starts it in front of `peer`, and waits until it serves.
    pub(crate) fn start(peer: SocketAddr) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("tollgate-neighbours-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let [one, two] = HOSTILE;
        let config = folder.join("tollgate.yaml");
        let text = format!(
            "listen: {address}\ndata_dir: {}\nproviders:\n  \
             fixed: {{ dialect: anthropic, base_url: \"http://{peer}\", key: none }}\n\
             models:\n  claude-fixed: [fixed]\nmcp_servers:\n  \
             shelf: {{ url: \"http://{peer}/mcp\", era: modern }}\nkeys:\n  \
             - {{ name: neighbour, secret: {NEIGHBOUR} }}\n  \
             - {{ name: one, secret: {one}, team: hostile }}\n  \
             - {{ name: two, secret: {two}, team: hostile }}\n\
             teams:\n  hostile: {{ tools: code, models: [] }}\n",
            folder.join("data").display()
        );
        fs::write(&config, text)?;
        let ours = || env!("CARGO_BIN_EXE_tollgate").into();
        let program: OsString = std::env::var_os("TOLLGATE_BENCH_PROGRAM").unwrap_or_else(ours);
        let said = folder.join("said");
        let child = Command::new(program)
            .args([Path::new("--config"), &config, Path::new("serve")])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said)?)
            .spawn()?;
        let gateway = Self { address, child, folder };
        let serves = |way| Line::open(address, way).and_then(|mut line| line.call());
        let begun = Instant::now();
        while let Err(why) = Way::ALL.into_iter().try_for_each(serves) {
            let said = || fs::read_to_string(&said).unwrap_or_default();
            ensure!(begun.elapsed() < PATIENCE, "the gateway does not serve: {why:#}: {}", said());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(gateway)
    }

    /// Waits until no script runs any more: what goes on in calm would flatter the ratio.
    pub(crate) fn calms_down(&self) -> Result<()> {
        let begun = Instant::now();
        while self.has_children()? {
            ensure!(begun.elapsed() < PATIENCE, "scripts go on without those who wait for them");
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(AFTER);
        Ok(())
    }

    fn has_children(&self) -> Result<bool> {
        let parent = self.child.id().to_string();
        for process in fs::read_dir("/proc")? {
            // What is no process has no such file, nor has one that has just gone.
            let Ok(stat) = fs::read_to_string(process?.path().join("stat")) else { continue };
            let behind = stat.rsplit(')').next().unwrap_or_default();
            if behind.split_whitespace().nth(1) == Some(&*parent) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already, and what is left in the folder for temporary files harms nobody.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// What the processors have done since the machine was started, in ticks.
pub(crate) struct Processors {
    idle: f64,
    all: f64,
}

pub(crate) fn processors() -> Result<Processors> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("the kernel counts nothing")?;
    let ticks: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let idle = ticks.iter().skip(3).take(2).sum();
    Ok(Processors { idle, all: ticks.iter().take(8).sum() })
}

impl Processors {
    /// The share of the time since then in which a processor had something to do.
    pub(crate) fn busy_since(&self, before: &Self) -> f64 {
        1.0 - (self.idle - before.idle) / (self.all - before.all).max(1.0)
    }
}
