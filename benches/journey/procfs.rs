//! What the kernel knows of a process: the time it ran and the memory it holds.

use std::fs;

use anyhow::{Context, Result};

/// Lists the processes that do the work of `pid`: its children (nginx's worker), or itself where it has none.
pub(crate) fn workers(pid: u32) -> Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that ended since the listing is no worker.
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        // The name in parentheses may hold anything, so fields count from its end: state, parent, ...
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if parent.and_then(|parent| parent.parse().ok()) == Some(pid) {
            children.push(id);
        }
    }
    Ok(if children.is_empty() { vec![pid] } else { children })
}

/// What a thread of a proxy is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It carries requests; all threads of a rival do.
    Data,
    /// It writes the ledger.
    Writer,
    /// It keeps the ledger's index.
    Index,
    /// It packs, drops and keeps contents.
    Packer,
    /// The log, the hub, the main thread, the clerk.
    Other,
}

impl Role {
    pub(crate) const ALL: [Self; 5] = [Self::Data, Self::Writer, Self::Index, Self::Packer, Self::Other];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Writer => "writer",
            Self::Index => "index",
            Self::Packer => "packer",
            Self::Other => "other",
        }
    }

    /// The role of a thread of the gateway by its name.
    fn named(name: &str) -> Self {
        match name {
            "ledger-writer" => Self::Writer,
            "ledger-index" => Self::Index,
            "ledger-packer" | "retention" | "contents" => Self::Packer,
            // io_uring's own threads work for the core that asked them to.
            _ if name.starts_with("core-") || name.starts_with("iou-") => Self::Data,
            _ => Self::Other,
        }
    }
}

/// Nanoseconds of run time by role, in the order of `Role::ALL`.
pub(crate) type Ran = [u64; Role::ALL.len()];

/// Sums the run time of all threads by their role. Kernel work inside their system calls and the softirq work
/// of their loopback sends is part of it, as is the work of io_uring's own threads.
pub(crate) fn run_time_ns(pids: &[u32], has_roles: bool) -> Result<Ran> {
    let mut sums = Ran::default();
    for pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            // A thread may end between listing and reading; its last slice is lost, too short to matter.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let Ok(name) = fs::read_to_string(task.path().join("comm")) else { continue };
            let ran = text.split_whitespace().next().context("an empty schedstat")?.parse::<u64>()?;
            let role = if has_roles { Role::named(name.trim_end()) } else { Role::Data };
            for (sum, _) in sums.iter_mut().zip(Role::ALL).filter(|(_, one)| *one == role) {
                *sum += ran;
            }
        }
    }
    Ok(sums)
}

/// The threads of the gateway that stand back behind those that carry requests. Among threads with the
/// scheduling of real time, which `--realtime` gives to all of a proxy, no priority of their own means much.
pub(crate) fn standing_back(pids: &[u32]) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            let Ok(name) = fs::read_to_string(task.path().join("comm")) else { continue };
            if matches!(Role::named(name.trim_end()), Role::Index | Role::Packer) {
                found.extend(task.file_name().to_str().and_then(|id| id.parse::<i32>().ok()));
            }
        }
    }
    Ok(found)
}

/// Sums the resident memory, KiB.
pub(crate) fn resident_kib(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        sum += line.split_whitespace().next().context("an empty VmRSS")?.parse::<u64>()?;
    }
    Ok(sum)
}
