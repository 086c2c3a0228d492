//! Child processes: started with little of ours, talked to over pipes, ended together with what they started.
//!
//! A child of another program leads a session and a process group of its own (this program once more only the
//! group), because what is started is often only a launcher
//! (`npx`, `uvx`, `sh -c`) and the program that matters is its child. Signals go to the group, and they go
//! before the child is reaped: until then its number, which is that of the group, cannot mean another
//! process.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::pin;
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpid};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::limits;
use crate::net::confine::{Confines, confine};
use crate::net::lines::Lines;
use crate::secret::Secret;

/// What of our own environment a child is given. Anything else of it may be a secret.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER"];

/// What to start and how.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The command, looked up in the `PATH` that the child gets.
    pub command: &'a str,
    /// Its arguments.
    pub args: &'a [String],
    /// Its environment beside a few variables of ours (`PATH`, `HOME`, `LANG`, `TZ`, `TMPDIR`, `USER`), which
    /// it may replace.
    pub env: &'a [(String, Secret)],
    /// Where it runs.
    pub cwd: &'a Path,
    /// What it may have.
    pub confines: &'a Confines,
    /// Bytes of a line of its standard output.
    pub output_line_bytes_max: usize,
    /// Bytes of a line of its standard error.
    pub errors_line_bytes_max: usize,
}

/// How long a child may take to end, step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graces {
    /// After its standard input was closed, before SIGTERM.
    pub close: Duration,
    /// After SIGTERM, before SIGKILL.
    pub term: Duration,
}

impl Default for Graces {
    fn default() -> Self {
        Self { close: limits::MCP_CLOSE_GRACE, term: limits::MCP_TERM_GRACE }
    }
}

/// A child and its pipes.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub child: Child,
    /// Its standard input. Dropping it closes it.
    pub input: Input,
    /// Its standard output.
    pub output: Lines,
    /// Its standard error. It has to be read, or the child stands still once the pipe is full.
    pub errors: Lines,
}

/// Starts a program. To be called inside of a runtime.
///
/// # Errors
/// The system's: no such command or folder, no permission, no more processes.
pub fn start(start: &Start<'_>) -> io::Result<Started> {
    let mut command = Command::new(start.command);
    command.args(start.args).current_dir(start.cwd);
    command.env_clear().envs(inherited());
    if let Some(owner) = &start.confines.owner {
        // What is ours is not that user's.
        command.env_remove("HOME").env_remove("USER").env_remove("TMPDIR");
        command.envs(owner.name.as_ref().map(|name| ("USER", name)));
        command.envs(owner.home.as_ref().map(|home| ("HOME", home)));
    }
    command.envs(start.env.iter().map(|(name, value)| (name, value.expose())));
    begin(command, start.confines, [start.output_line_bytes_max, start.errors_line_bytes_max])
}

fn begin(mut command: Command, confines: &Confines, line_bytes_max: [usize; 2]) -> io::Result<Started> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    confine(&mut command, confines);
    over(command.spawn()?, line_bytes_max)
}

/// A child that leads a group of its own and was started with three pipes. `line_bytes_max` as in [`Start`]:
/// of output and of errors.
pub(in crate::net) fn over(
    mut spawned: process::Child,
    [output_line_bytes_max, errors_line_bytes_max]: [usize; 2],
) -> io::Result<Started> {
    // From here on dropping the child kills it, also when one of the pipes is refused.
    let child = Child::of(Pid::from_child(&spawned));
    let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
    let input = spawned.stdin.take().ok_or_else(missing)?;
    let output = spawned.stdout.take().ok_or_else(missing)?;
    let errors = spawned.stderr.take().ok_or_else(missing)?;
    Ok(Started {
        input: Input { pipe: pipe::Sender::from_owned_fd(OwnedFd::from(input))? },
        output: lines(OwnedFd::from(output), output_line_bytes_max)?,
        errors: lines(OwnedFd::from(errors), errors_line_bytes_max)?,
        child,
    })
}

fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

fn lines(pipe: OwnedFd, bytes_max: usize) -> io::Result<Lines> {
    Ok(Lines::new(pipe::Receiver::from_owned_fd(pipe)?, bytes_max))
}

/// The standard input of a child.
#[derive(Debug)]
pub struct Input {
    pipe: pipe::Sender,
}

impl Input {
    /// Writes all of `bytes`; waits while the child does not read. Given up half way, the child has read a
    /// part.
    ///
    /// # Errors
    /// The system's; `BrokenPipe` when nobody can read it any more.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pipe.write_all(bytes).await
    }
}

/// A child process. Dropping it kills it and its group at once.
pub struct Child {
    /// Its own number and that of its group.
    group: Pid,
    status: Option<ExitStatus>,
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({})", self.id())
    }
}

impl Child {
    /// The process that leads this group.
    pub(in crate::net) const fn of(group: Pid) -> Self {
        Self { group, status: None }
    }

    /// Its process id, also that of its group.
    pub const fn id(&self) -> i32 {
        self.group.as_raw_pid()
    }

    /// Waits until it has ended. It is not reaped yet, so that its group can still be signalled.
    pub async fn ended(&self) {
        // Listened to before the first look, so that an end in between is not missed.
        let mut news = signal(SignalKind::child()).ok();
        while !self.has_ended() {
            let heard = match &mut news {
                Some(news) => news.recv().await,
                None => None,
            };
            if heard.is_none() {
                sleep(limits::MCP_REAP_POLL).await;
            }
        }
    }

    /// Ends it, once its standard input has been dropped: waits, asks by SIGTERM, waits, kills. It is over
    /// when the process has ended and `rest` too, which goes on being polled meanwhile: the reading of what
    /// it still writes, which ends when those that it started have let go of its output.
    ///
    /// How it ended, unless the kernel cannot end it within `limits::MCP_REAP_DEADLINE`.
    pub async fn stop(self, graces: Graces, rest: impl Future<Output = ()>) -> Option<ExitStatus> {
        {
            let over = async {
                tokio::join!(self.ended(), rest);
            };
            let mut over = pin!(over);
            if timeout(graces.close, over.as_mut()).await.is_err() {
                self.signal(Signal::TERM);
                // What is left after this is killed, so it makes no difference whether it was in time.
                timeout(graces.term, over.as_mut()).await.unwrap_or_default();
            }
        }
        self.kill().await
    }

    /// Kills it and its group at once, and says how it ended, as [`Child::stop`].
    pub async fn kill(mut self) -> Option<ExitStatus> {
        self.signal(Signal::KILL);
        timeout(limits::MCP_REAP_DEADLINE, self.ended()).await.ok()?;
        self.reap()
    }

    /// Sends a signal to the whole group. That nobody is left to receive it is no fault.
    fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            kill_process_group(self.group, signal).unwrap_or_default();
        }
    }

    /// Whether it has ended, without reaping it.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error means that there is nothing to wait for any more.
        self.status.is_some() || waitid(WaitId::Pid(self.group), options).map_or(true, |seen| seen.is_some())
    }

    /// Takes its status if it has ended; from then on it is not signalled any more.
    fn reap(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = reaped(self.group);
        }
        self.status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if self.reap().is_some() {
            return;
        }
        // A killed process takes a moment to end, and would stay in the table of processes for good.
        let group = self.group;
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move {
                while reaped(group).is_none() {
                    sleep(limits::MCP_REAP_POLL).await;
                }
            }));
        }
    }
}

/// How the process ended, taken from the kernel's table; nothing while it runs.
fn reaped(process: Pid) -> Option<ExitStatus> {
    let seen = waitpid(Some(process), WaitOptions::NOHANG);
    match seen {
        Ok(seen) => seen.map(|(_, status)| ExitStatus::from_raw(status.as_raw())),
        // There is no such child: where our parent had us ignore SIGCHLD, the kernel reaps by itself.
        Err(_) => Some(ExitStatus::default()),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::path::Path;
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::{Graces, Start, Started, start};
    use crate::clock;
    use crate::net::confine::Confines;
    use crate::net::engine::EngineChoice;
    use crate::net::lines::{Line, Lines};
    use crate::net::runtime::Runtime;
    use crate::secret::Secret;

    const SOON: Duration = Duration::from_secs(20);
    const SHORT: Graces = Graces { close: Duration::from_millis(200), term: Duration::from_millis(200) };
    const LONG: Graces = Graces { close: Duration::from_secs(30), term: Duration::from_secs(30) };

    fn on_epoll<F: Future<Output = ()>>(case: F) {
        let (runtime, _) = Runtime::new(EngineChoice::Epoll).unwrap();
        runtime.block_on(async { timeout(SOON, case).await.expect("the case hangs") });
    }

    fn shell(script: &str) -> Started {
        let args = ["-c".to_owned(), script.to_owned()];
        let env = [("GIVEN".to_owned(), Secret::new("a b")), ("LANG".to_owned(), Secret::new("xx"))];
        let (output_line_bytes_max, errors_line_bytes_max) = (64 * 1024, 64);
        let cwd = Path::new("/");
        start(&Start {
            command: "sh",
            args: &args,
            env: &env,
            cwd,
            confines: &Confines::default(),
            output_line_bytes_max,
            errors_line_bytes_max,
        })
        .unwrap()
    }

    async fn read(lines: &mut Lines) -> Vec<String> {
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push(String::from_utf8(line.bytes().to_vec()).unwrap());
        }
        read
    }

    /// Whether the process runs; one that nobody has reaped does not.
    fn runs(process: &str) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        !matches!(
            status.rsplit(')').next().and_then(|rest| rest.trim().chars().next()),
            None | Some('Z' | 'X')
        )
    }

    async fn ends(process: &str) {
        while runs(process) {
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[test]
    fn bytes_go_in_and_lines_come_out() {
        on_epoll(async {
            let Started { child, mut input, mut output, mut errors } = shell("cat; echo done >&2; exit 3");
            input.write(b"one\ntwo\r\nthr").await.unwrap();
            assert_eq!(output.next().await.unwrap(), Some(Line::Whole(b"one".to_vec())));
            drop(input);
            assert_eq!(output.next().await.unwrap(), Some(Line::Whole(b"two".to_vec())));
            assert_eq!(output.next().await.unwrap(), Some(Line::Partial(b"thr".to_vec())));
            assert_eq!(output.next().await.unwrap(), None);
            assert_eq!(read(&mut errors).await, ["done"]);
            assert_eq!(child.stop(LONG, async {}).await.unwrap().code(), Some(3));
        });
    }

    #[test]
    fn the_environment_is_what_was_given_and_little_else() {
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "to be run by cargo");
        on_epoll(async {
            let mut started = shell("env; pwd");
            let lines = read(&mut started.output).await;
            assert!(lines.contains(&"GIVEN=a b".to_owned()), "{lines:?}");
            assert!(lines.contains(&"LANG=xx".to_owned()), "what is given wins: {lines:?}");
            assert!(lines.iter().any(|line| line.starts_with("PATH=")), "{lines:?}");
            assert!(lines.contains(&"/".to_owned()), "{lines:?}");
            // A shell sets some of its own.
            let shells = ["PWD", "OLDPWD", "SHLVL", "_", "GIVEN"];
            for line in lines.iter().filter(|line| line.contains('=')) {
                let name = line.split('=').next().unwrap();
                assert!(super::INHERITED.contains(&name) || shells.contains(&name), "{line} has leaked");
            }
        });
    }

    /// Descriptors that this process hands to every child, because its own parent did.
    fn handed_down() -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc/self/fdinfo").unwrap().flatten() {
            let info = std::fs::read_to_string(entry.path()).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("02000000");
            let closes = u32::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 != 0;
            if !closes {
                found.push(entry.file_name().into_string().unwrap());
            }
        }
        found
    }

    #[test]
    fn only_the_three_pipes_are_open() {
        let handed_down = handed_down();
        on_epoll(async {
            let _other = shell("cat");
            let mut started = shell("ls /proc/$$/fd");
            let seen = read(&mut started.output).await;
            for descriptor in ["0", "1", "2"] {
                assert!(seen.contains(&descriptor.to_owned()), "{seen:?}");
            }
            // The shell keeps what it works on at 10 and above by itself.
            let leaked = |open: &&String| !handed_down.contains(open) && *open != "10";
            assert_eq!(seen.iter().find(leaked), None, "{seen:?}, handed down {handed_down:?}");
        });
    }

    #[test]
    fn a_child_that_ends_by_itself_is_not_killed() {
        on_epoll(async {
            let Started { child, input, mut output, errors: _errors } =
                shell("cat; sleep 0.2; echo bye; exit 7");
            drop(input);
            let last = async {
                assert_eq!(read(&mut output).await, ["bye"]);
            };
            assert_eq!(child.stop(LONG, last).await.unwrap().code(), Some(7));
        });
    }

    #[test]
    fn term_and_kill_follow_when_it_stays() {
        on_epoll(async {
            use std::os::unix::process::ExitStatusExt;
            let Started { child, input: _input, mut output, errors: _errors } =
                shell("trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done");
            output.next().await.unwrap();
            let patient = Graces { term: LONG.term, ..SHORT };
            assert_eq!(child.stop(patient, async {}).await.unwrap().code(), Some(9), "TERM is enough");
            let Started { child, input: _input, mut output, errors: _errors } =
                shell("trap '' TERM; echo up; while :; do sleep 0.05; done");
            output.next().await.unwrap();
            let since = clock::now();
            assert_eq!(child.stop(SHORT, async {}).await.unwrap().signal(), Some(9), "KILL is needed");
            assert!(since.elapsed() >= SHORT.close + SHORT.term);
        });
    }

    #[test]
    fn those_that_it_started_end_with_it() {
        on_epoll(async {
            let script = "sleep 1000 & echo $!; wait";
            let Started { child, input: _input, mut output, errors: _errors } = shell(script);
            let line = output.next().await.unwrap().unwrap();
            let grandchild = std::str::from_utf8(line.bytes()).unwrap();
            assert!(runs(grandchild));
            child.stop(SHORT, async {}).await.unwrap();
            ends(grandchild).await;

            let mut started = shell(script);
            let line = started.output.next().await.unwrap().unwrap();
            let (leader, grandchild) =
                (started.child.id().to_string(), std::str::from_utf8(line.bytes()).unwrap());
            assert!(runs(&leader) && runs(grandchild));
            drop(started);
            ends(grandchild).await;
            // Reaped as well: nothing of it is left in the table.
            while Path::new(&format!("/proc/{leader}")).exists() {
                sleep(Duration::from_millis(10)).await;
            }
        });
    }

    #[test]
    fn the_group_is_killed_when_its_leader_has_gone_first() {
        on_epoll(async {
            let Started { child, input: _input, mut output, errors: _errors } = shell("sleep 1000 & echo $!");
            let line = output.next().await.unwrap().unwrap();
            child.ended().await;
            let grandchild = std::str::from_utf8(line.bytes()).unwrap();
            assert!(runs(grandchild));
            assert_eq!(child.kill().await.unwrap().code(), Some(0));
            ends(grandchild).await;
        });
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        on_epoll(async {
            let mut asked = Start {
                command: "surely-there-is-no-such-program",
                args: &[],
                env: &[],
                cwd: Path::new("/"),
                confines: &Confines::default(),
                output_line_bytes_max: 1,
                errors_line_bytes_max: 1,
            };
            assert_eq!(start(&asked).unwrap_err().kind(), std::io::ErrorKind::NotFound);
            asked = Start { command: "sh", cwd: Path::new("/surely/no/such/folder"), ..asked };
            assert_eq!(start(&asked).unwrap_err().kind(), std::io::ErrorKind::NotFound);
        });
    }
}
