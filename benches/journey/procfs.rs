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

/// Sums the run time of all threads, nanoseconds. Kernel work inside their system calls and the softirq work
/// of their loopback sends is part of it, as is the work of io_uring's own threads.
pub(crate) fn run_time_ns(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            // A thread may end between listing and reading; its last slice is lost, too short to matter.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            let ran = text.split_whitespace().next().context("an empty schedstat")?;
            sum += ran.parse::<u64>()?;
        }
    }
    Ok(sum)
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
