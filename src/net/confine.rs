//! What a child process may have: whose rights, how much of the machine, and never more than it began with.
//!
//! For programs of others everything is set between fork and exec, so that no line of them runs without it,
//! and what they start has no more than they have themselves. This program confines itself.
#![expect(unsafe_code, reason = "between fork and exec, and by calls that rustix has no face for")]

use std::io;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread::available_parallelism;

use rustix::fs::Mode;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, geteuid, getpid, getppid, getrlimit, set_parent_process_death_signal,
    setrlimit, setsid, umask,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_no_new_privs};

use crate::limits;

/// What a child may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confines {
    /// Whose rights it has; ours where nobody is named.
    pub owner: Option<Owner>,
    /// How much of the machine.
    pub bounds: Bounds,
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Number.
    pub uid: u32,
    /// Number of its group; it has no other.
    pub gid: u32,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Its folder, where it has one.
    pub home: Option<PathBuf>,
}

/// How much of the machine each process of a server, or of a script, may have; `None` for what we have
/// ourselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of memory that it writes to (`RLIMIT_DATA`): address space that is only set aside, as V8 does by
    /// the gigabyte, does not count.
    pub memory_bytes: Option<u64>,
    /// Processes and threads of its user, wherever they come from (`RLIMIT_NPROC`). Root has no such bound.
    pub processes: Option<u64>,
    /// Open files; `limits::MCP_OPEN_FILES_DEFAULT` where nothing is said.
    pub open_files: Option<u64>,
    /// Seconds of processor time (`RLIMIT_CPU`), after which it is ended.
    pub cpu_s: Option<u64>,
    /// Bytes of a file that it writes.
    pub file_bytes: Option<u64>,
}

/// Whether we may give a child the rights of another user.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Makes `command` start confined: a session of its own, no rights beyond those at its start (`no_new_privs`,
/// so that set-user-id programs give it none), no dumps of its memory, no open files but its three pipes,
/// files that are nobody's else, and an end with us. Its session makes it the leader of a process group, too.
pub(in crate::net) fn confine(command: &mut Command, confines: &Confines) {
    if let Some(owner) = &confines.owner {
        // In this order: the group, no other groups, then the user; the standard library does so.
        command.uid(owner.uid).gid(owner.gid);
    }
    let limits = limits_of(&confines.bounds);
    let parent = getpid();
    // SAFETY: between fork and exec only what is safe after a fork of several threads may be done. `shut`
    // makes system calls through rustix and libc, which are plain wrappers: it takes no lock, allocates
    // nothing, and reads `limits`, whose memory was allocated before the fork. WHY: none of this can be set
    // for a child from outside, and a program of ours that sets it and then becomes the server would hide
    // from us why a server cannot be started.
    unsafe {
        command.pre_exec(move || shut(parent, &limits));
    }
}

/// The limits as the kernel takes them: never above what we have ourselves, which only root could raise.
fn limits_of(bounds: &Bounds) -> Vec<(Resource, Rlimit)> {
    let wanted = [
        (Resource::Core, Some(0)),
        (Resource::Nofile, Some(bounds.open_files.unwrap_or(limits::MCP_OPEN_FILES_DEFAULT))),
        (Resource::Data, bounds.memory_bytes),
        (Resource::Cpu, bounds.cpu_s),
        (Resource::Fsize, bounds.file_bytes),
        (Resource::Nproc, bounds.processes),
    ];
    let held = wanted.into_iter().filter_map(|(resource, wanted)| {
        let ours = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let most = Some(wanted?.min(ours));
        Some((resource, Rlimit { current: most, maximum: most }))
    });
    held.collect()
}

/// Runs in the child, as the user that it is to have.
fn shut(parent: Pid, limits: &[(Resource, Rlimit)]) -> io::Result<()> {
    setsid()?;
    umask(Mode::from_bits_truncate(limits::MCP_UMASK));
    close_the_rest(libc::CLOSE_RANGE_CLOEXEC);
    for (resource, limit) in limits {
        setrlimit(*resource, *limit)?;
    }
    set_no_new_privs(true)?;
    // After the change of user, which would have taken it back. It is about the thread that started the
    // child, and that is the hub's, which lives as long as its servers.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
}

/// Has the calling thread, and what it starts from now on, run only where a processor would rest otherwise,
/// and on at most half of the processors where there are several: whoever wakes goes before it at once, and a
/// processor that is through with its work can take over what waits for another. To be called by a thread
/// that others do not wait for, but in the channels through which it is asked and answers.
pub(in crate::net) fn stand_back() {
    // The lowest priority counts where the system refuses the other; where it refuses both, it works as
    // before. So it does on all processors where it may not choose.
    rustix::process::setpriority_process(None, limits::CODE_NICE).unwrap_or_default();
    let no_priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads `no_priority`, which lives across the call. WHY: rustix has no face for it.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const no_priority);
    }
    // A group of processes may have the time of fewer than it may run on.
    let worth = available_parallelism().map_or(usize::MAX, NonZeroUsize::get);
    sched_getaffinity(None)
        .and_then(|processors| sched_setaffinity(None, &half_of(&processors, worth)))
        .unwrap_or_default();
}

/// Those with the highest numbers, half of them, or of as many as we have the time of: with tasks that are
/// always ready a processor is never idle, not even with those that only run where it would be, and only an
/// idle one looks for what waits elsewhere.
fn half_of(processors: &CpuSet, worth: usize) -> CpuSet {
    let count = usize::try_from(processors.count()).unwrap_or_default().min(worth);
    let numbers = (0..CpuSet::MAX_CPU).rev().filter(|number| processors.is_set(*number));
    let mut half = CpuSet::new();
    for number in numbers.take((count / 2).max(1)) {
        half.set(number);
    }
    half
}

/// Gives up, for this process and for good, all that it does not need to compute and to use its pipes: no
/// file and no socket can be opened any more, no program started, no process signalled, and there is no more
/// of the machine than `bounds`. It ends with the thread of the process `parent` that has started it. To be
/// called while it has one thread.
///
/// # Errors
/// The system's, when it knows no such bounds: then nothing may be run that is not trusted. `BrokenPipe` when
/// `parent` has ended already.
pub fn renounce(bounds: &Bounds, parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    close_the_rest(0);
    for (resource, limit) in limits_of(bounds) {
        setrlimit(resource, limit)?;
    }
    set_no_new_privs(true)?;
    let mut program = filter()?;
    let length = u16::try_from(program.len()).map_err(|_long| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: the kernel reads `length` instructions behind the pointer, which are those of the vector, and
    // copies them before the call returns. WHY: rustix has no face for filters of system calls.
    let done =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, std::ptr::from_ref(&program)) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What a process may ask of the kernel that computes and uses its pipes: memory, time, reading, writing, its
/// end. Everything else is refused (`EPERM`), and a call of another architecture ends it.
fn filter() -> io::Result<Vec<libc::sock_filter>> {
    let allowed = [
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_gettimeofday,
        libc::SYS_getrandom,
        libc::SYS_sched_yield,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let instruction = |code: u32, to: usize, otherwise: u8, k: u32| -> io::Result<libc::sock_filter> {
        let odd = |_large| io::Error::from(io::ErrorKind::InvalidInput);
        let (code, jt) = (u16::try_from(code).map_err(odd)?, u8::try_from(to).map_err(odd)?);
        Ok(libc::sock_filter { code, jt, jf: otherwise, k })
    };
    let (load, equal, give) =
        (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JEQ, libc::BPF_RET);
    let refusal = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let mut program = vec![
        instruction(load, 0, 0, ARCHITECTURE_PLACE)?,
        instruction(equal, 1, 0, ARCHITECTURE)?,
        instruction(give, 0, 0, libc::SECCOMP_RET_KILL_PROCESS)?,
        instruction(load, 0, 0, 0)?,
    ];
    for (place, number) in allowed.iter().enumerate() {
        let number = u32::try_from(*number).map_err(|_odd| io::ErrorKind::InvalidInput)?;
        // Over those that follow, and over the refusal.
        program.push(instruction(equal, allowed.len() - place, 0, number)?);
    }
    program.push(instruction(give, 0, 0, refusal)?);
    program.push(instruction(give, 0, 0, libc::SECCOMP_RET_ALLOW)?);
    Ok(program)
}

/// Where the kernel shows a filter the architecture of a call; its number stands at 0.
const ARCHITECTURE_PLACE: u32 = 4;

/// What stands there for calls of ours (`AUDIT_ARCH_*` of `linux/audit.h`).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// Closes what our own parent left open, now or, with a flag, at exec: what we open ourselves closes by
/// itself. Kernels before 5.11 do not know how, and then it stays open.
fn close_the_rest(flags: libc::c_uint) {
    // SAFETY: the call closes descriptors from 3 on, or marks them; it touches no memory. Where they are
    // closed at once, nobody uses them: what has been opened until then is closed, too.
    // WHY: rustix has no face for it, and to look through /proc would allocate.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, flags);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::thread::available_parallelism;

    use rustix::thread::{CpuSet, sched_getaffinity};

    use super::{Bounds, Confines, Owner, confine, half_of, is_root, stand_back};
    use crate::limits;

    fn run(confines: &Confines, script: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::piped());
        confine(&mut command, confines);
        let out = command.output().unwrap();
        String::from_utf8(out.stdout).unwrap() + &String::from_utf8_lossy(&out.stderr)
    }

    #[test]
    fn a_child_begins_confined() {
        let out = run(
            &Confines::default(),
            "grep NoNewPrivs /proc/self/status; ulimit -n; ulimit -c; umask; \
             awk '{print ($1 == $5 && $1 == $6) ? \"leads\" : \"follows\"}' /proc/$$/stat",
        );
        let lines: Vec<&str> = out.lines().collect();
        let files = limits::MCP_OPEN_FILES_DEFAULT.to_string();
        let [privileges, open, core, mask, leads] = lines[..] else { panic!("{out}") };
        assert_eq!(privileges.split_whitespace().last(), Some("1"), "{out}");
        assert!(open.parse::<u64>().unwrap() <= limits::MCP_OPEN_FILES_DEFAULT, "{open} of {files}");
        assert_eq!((core, u32::from_str_radix(mask, 8).unwrap(), leads), ("0", limits::MCP_UMASK, "leads"));
    }

    #[test]
    fn who_stands_back_leaves_processors_to_others() {
        let set = |numbers: &[usize]| {
            let mut set = CpuSet::new();
            numbers.iter().for_each(|number| set.set(*number));
            set
        };
        for (all, half) in [
            (&[4][..], &[4][..]),
            (&[0, 1], &[1]),
            (&[0, 3, 7], &[7]),
            (&[0, 1, 2, 3, 8, 1023], &[3, 8, 1023]),
        ] {
            assert_eq!(half_of(&set(all), usize::MAX), set(half), "{all:?}");
        }
        assert_eq!(half_of(&set(&[0, 1, 2, 3, 4, 5, 6, 7]), 4), set(&[6, 7]));
        let ours = sched_getaffinity(None).unwrap();
        let of_thread = || {
            stand_back();
            (sched_getaffinity(None).unwrap(), std::fs::read_to_string("/proc/thread-self/stat").unwrap())
        };
        let (its, stat) = std::thread::spawn(of_thread).join().unwrap();
        assert_eq!(its, half_of(&ours, available_parallelism().unwrap().get()));
        // The policy is the 41st field, behind a name that may have blanks in it.
        let policy = stat.rsplit(')').next().unwrap().split_whitespace().nth(38).unwrap();
        assert_eq!(policy, libc::SCHED_IDLE.to_string());
        assert_eq!(sched_getaffinity(None).unwrap(), ours);
    }

    #[test]
    fn bounds_are_hard() {
        let bounds = Bounds {
            memory_bytes: Some(1 << 30),
            processes: Some(64),
            open_files: Some(32),
            cpu_s: Some(9),
            file_bytes: Some(1 << 20),
        };
        let confines = Confines { owner: None, bounds };
        let out = run(&confines, "cat /proc/self/limits; ulimit -Hn 33 && echo raised");
        let row = |name: &str| {
            let line = out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{out}"));
            let values = line.strip_prefix(name).unwrap().split_whitespace();
            values.take(2).map(str::to_owned).collect::<Vec<_>>()
        };
        for (name, wanted) in [
            ("Max data size", "1073741824"),
            ("Max processes", "64"),
            ("Max open files", "32"),
            ("Max cpu time", "9"),
            ("Max file size", "1048576"),
            ("Max core file size", "0"),
        ] {
            assert_eq!(row(name), [wanted, wanted], "{name}");
        }
        assert!(is_root() || !out.contains("raised"), "{out}");
    }

    #[test]
    fn another_user_has_nothing_of_ours() {
        if !is_root() {
            return;
        }
        let owner = Owner { uid: 65_534, gid: 65_534, name: None, home: None };
        let confines = Confines { owner: Some(owner), bounds: Bounds::default() };
        let out = run(&confines, "id -u; id -g; id -G; cat /etc/shadow; ulimit -Hn 99999999 && echo raised");
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[..3], ["65534", "65534", "65534"], "{out}");
        assert!(out.contains("ermission denied") && !out.contains("raised"), "{out}");
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let mut command = Command::new("surely-there-is-no-such-program");
        confine(&mut command, &Confines::default());
        assert_eq!(command.spawn().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
