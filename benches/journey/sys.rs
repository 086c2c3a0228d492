//! The few calls of the kernel that std has no safe form of: epoll, affinity, priority, signals.
#![expect(
    unsafe_code,
    reason = "epoll, affinity and the death signal exist only in libc; each call stands alone here"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Events that one wait may report; more stay in the kernel until the next.
const EVENTS_MAX: usize = 512;

/// How a file descriptor is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watch {
    /// Reported for as long as it can be read: listeners.
    Level,
    /// Reported once for each change, readable or writable: connections, which are then read until dry.
    Edge,
}

/// An epoll instance whose waits are exact to the nanosecond where the kernel can (Linux 5.11).
pub(crate) struct Poll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
    exact: bool,
}

impl Poll {
    /// Makes an empty instance.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel has just handed us this descriptor and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX], exact: true })
    }

    /// Watches `fd` and reports it as `token`. Closing the descriptor ends the watch.
    pub(crate) fn add(&self, fd: RawFd, token: u64, watch: Watch) -> io::Result<()> {
        let flags = match watch {
            Watch::Level => libc::EPOLLIN,
            Watch::Edge => libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET,
        };
        let mut event = libc::epoll_event { events: flags.cast_unsigned(), u64: token };
        // SAFETY: `event` lives across the call, which only reads it.
        let done = unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
        checked(done).map(drop)
    }

    /// Waits at most `timeout` and puts the tokens that are ready into `ready` (emptied first).
    pub(crate) fn wait(&mut self, timeout: Duration, ready: &mut Vec<u64>) -> io::Result<()> {
        ready.clear();
        let count = match self.wait_once(timeout) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) && self.exact => {
                self.exact = false;
                self.wait_once(timeout)?
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            other => other?,
        };
        ready.extend(self.events.iter().take(count).map(|event| event.u64));
        Ok(())
    }

    fn wait_once(&mut self, timeout: Duration) -> io::Result<usize> {
        let (fd, room) = (self.fd.as_raw_fd(), i32::try_from(self.events.len()).unwrap_or(i32::MAX));
        let events = self.events.as_mut_ptr();
        let count = if self.exact {
            let time = libc::timespec {
                tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: libc::c_long::from(timeout.subsec_nanos().cast_signed()),
            };
            let no_mask = std::ptr::null::<libc::sigset_t>();
            // SAFETY: `events` has room for `room` events and `time` lives across the call.
            unsafe { libc::syscall(libc::SYS_epoll_pwait2, fd, events, room, &raw const time, no_mask, 0) }
        } else {
            let ms = i32::try_from(timeout.as_millis() + 1).unwrap_or(i32::MAX);
            // SAFETY: `events` has room for `room` events.
            i64::from(unsafe { libc::epoll_wait(fd, events, room, ms) })
        };
        usize::try_from(count).map_err(|_negative| io::Error::last_os_error())
    }
}

/// Lists the processors that this process may run on.
pub(crate) fn processors() -> io::Result<Vec<usize>> {
    let mut set = empty_set();
    // SAFETY: `set` is as large as we say and lives across the call.
    checked(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })?;
    let limit = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: every index is below CPU_SETSIZE.
    Ok((0..limit).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// Keeps the calling thread, and what it starts from now on, on one processor.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut set = empty_set();
    // SAFETY: `cpu` comes from `processors`, so it is below CPU_SETSIZE.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is as large as we say and lives across the call.
    checked(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) }).map(drop)
}

/// Puts the calling thread, and what it starts from now on, before all ordinary work of the machine.
pub(crate) fn prefer() -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: `priority` lives across the call.
    checked(unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const priority) }).map(drop)
}

/// Takes a thread of another process out of what `prefer` gave it, back to ordinary work at its own priority.
pub(crate) fn release(thread: libc::pid_t) -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: `priority` lives across the call.
    checked(unsafe { libc::sched_setscheduler(thread, libc::SCHED_OTHER, &raw const priority) }).map(drop)
}

/// Puts the calling thread behind all other work of the machine: it runs where a processor would sleep.
pub(crate) fn defer() -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: `priority` lives across the call.
    checked(unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const priority) }).map(drop)
}

/// Keeps a processor from sleeping for as long as the process lives, without keeping it from anybody: how
/// long a virtual one takes to wake says nothing of a proxy.
pub(crate) fn keep_awake(cpu: usize) -> io::Result<()> {
    let (ready, prepared) = std::sync::mpsc::channel();
    let spin = move || {
        let result = pin(cpu).and_then(|()| defer());
        let fails = result.is_err();
        // The starter waits for it.
        ready.send(result).unwrap_or_default();
        if fails {
            return;
        }
        loop {
            std::hint::spin_loop();
        }
    };
    std::thread::Builder::new().name("awake".into()).spawn(spin)?;
    prepared.recv().map_err(io::Error::other)?
}

/// Lets timers of the calling thread fire on time instead of up to 50 us late.
pub(crate) fn sharpen_timers() -> io::Result<()> {
    // SAFETY: takes no pointer.
    checked(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) }).map(drop)
}

/// Raises the limit of open files to what the system allows us: 1,000 streams need 2,000 on our side alone.
pub(crate) fn raise_open_files() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` lives across the call, which fills it.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` lives across the call, which reads it.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map(drop)
}

/// Makes `command` run on `cpu` and end by SIGTERM when we end, however we end.
pub(crate) fn confine(command: &mut Command, cpu: usize) {
    let prepare = move || {
        pin(cpu)?;
        // SAFETY: takes no pointer.
        checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) }).map(drop)
    };
    // SAFETY: between fork and exec `prepare` only makes system calls; it neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Asks a process to end, as a service manager would.
pub(crate) fn terminate(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(|_large| io::ErrorKind::InvalidInput)?;
    // SAFETY: takes no pointer; the caller holds the unwaited child, so the id is still its own.
    checked(unsafe { libc::kill(pid, libc::SIGTERM) }).map(drop)
}

/// Says whether we run as root, where nginx would drop to a user that cannot write below `target/`.
pub(crate) fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn empty_set() -> libc::cpu_set_t {
    // SAFETY: a cpu_set_t is an array of integers, for which all zeroes is the empty set.
    unsafe { MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init() }
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
