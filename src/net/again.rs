//! This program once more, as a process of its own: started by a thread that does nothing else.
//!
//! Whoever serves callers has no time for a start: it takes a fork, or the wait for another program to be in
//! its place. Nothing is done here between fork and exec, so the standard library uses `posix_spawn`, which
//! copies no tables of pages, and leaves no core with pages that are copied when it writes to them. What is
//! started is ours, and confines itself ([`crate::net::confine::renounce`]). The thread stands back behind
//! all others, and what it starts does so from its first instruction on.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use rustix::process::Pid;
use tokio::sync::oneshot;

use crate::net::child::{Child, Started, over};
use crate::net::confine::stand_back;

/// Has the allocator take memory when it is wanted, instead of a gigabyte at once, which would count against
/// the bound that a process sets itself.
const ALLOCATOR: (&str, &str) = ("MIMALLOC_ARENA_EAGER_COMMIT", "0");

/// Starts processes of this program. Its thread ends when it is dropped, and they end with the thread.
#[derive(Debug)]
pub struct Again {
    orders: SyncSender<oneshot::Sender<io::Result<Fresh>>>,
    /// Bytes of a line of what a process writes, and of its errors.
    line_bytes_max: [usize; 2],
}

impl Again {
    /// Starts the thread. Processes get `command` as their first argument and our number as their second.
    /// They have nothing of our environment, and the root of the file system as their folder. At most
    /// `waiting_max` wait for their start. Lines of their output and of their errors have at most
    /// `line_bytes_max`.
    ///
    /// # Errors
    /// The system's: no more threads.
    pub fn new(command: &'static str, waiting_max: usize, line_bytes_max: [usize; 2]) -> io::Result<Self> {
        let (orders, asked) = sync_channel(waiting_max);
        thread::Builder::new().name(command.to_owned()).spawn(move || serve(command, &asked))?;
        Ok(Self { orders, line_bytes_max })
    }

    /// Starts a process. To be called inside of a runtime. Given up while it waits, it leaves none behind.
    ///
    /// # Errors
    /// `WouldBlock` when too many wait already; else the system's: no more processes, no more files.
    pub async fn start(&self) -> io::Result<Started> {
        let (answer, started) = oneshot::channel();
        self.orders.try_send(answer).map_err(|refused| match refused {
            TrySendError::Full(_) => io::Error::from(io::ErrorKind::WouldBlock),
            TrySendError::Disconnected(_) => gone(),
        })?;
        let mut fresh = started.await.map_err(|_gone| gone())??;
        over(fresh.0.take().ok_or_else(gone)?, self.line_bytes_max)
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts processes has gone")
}

/// The thread: until nobody can order any more.
fn serve(command: &str, asked: &Receiver<oneshot::Sender<io::Result<Fresh>>>) {
    stand_back();
    while let Ok(answer) = asked.recv() {
        if answer.is_closed() {
            continue;
        }
        if let Err(Ok(unwanted)) = answer.send(spawn(command)) {
            unwanted.end();
        }
    }
}

fn spawn(command: &str) -> io::Result<Fresh> {
    // The program that runs, also when another lies in its place by now.
    let mut again = Command::new("/proc/self/exe");
    again.arg(command).arg(std::process::id().to_string()).current_dir("/");
    again.env_clear().env(ALLOCATOR.0, ALLOCATOR.1);
    again.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, to be killed as one. No session of its own: a kernel that gives each session its
    // share of the processors (`sched_autogroup`) would give it as much as all of us have.
    again.process_group(0).spawn().map(|child| Fresh(Some(child)))
}

/// A process that nobody has taken yet.
#[derive(Debug)]
struct Fresh(Option<std::process::Child>);

impl Fresh {
    /// Ends it, and waits for its end.
    fn end(mut self) {
        if let Some(mut child) = self.0.take() {
            // One that has ended by itself needs no signal.
            child.kill().unwrap_or_default();
            drop(child.wait());
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            drop(Child::of(Pid::from_child(&child)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::pin::pin;
    use std::sync::mpsc::sync_channel;
    use std::thread;
    use std::time::Duration;

    use rustix::process::Pid;
    use tokio::time::timeout;

    use super::{Again, Fresh, serve, spawn};
    use crate::net::engine::EngineChoice;
    use crate::net::runtime::Runtime;

    /// What the program of tests answers with many lines.
    const COMMAND: &str = "--help";

    fn on_epoll<F: Future<Output = ()>>(case: F) {
        let (runtime, _) = Runtime::new(EngineChoice::Epoll).unwrap();
        runtime.block_on(async { timeout(Duration::from_secs(60), case).await.expect("the case hangs") });
    }

    #[test]
    fn this_program_is_started_once_more() {
        on_epoll(async {
            let again = Again::new(COMMAND, 4, [64 * 1024, 1024]).unwrap();
            for _ in 0..2 {
                let mut started = again.start().await.unwrap();
                let first = started.output.next().await.unwrap().unwrap();
                assert!(first.bytes().starts_with(b"Usage: "), "{first:?}");
                while started.output.next().await.unwrap().is_some() {}
                assert_eq!(started.child.kill().await.unwrap().code(), Some(0));
            }
        });
    }

    #[test]
    fn so_many_wait_and_those_who_give_up_get_none() {
        on_epoll(async {
            let (orders, asked) = sync_channel(1);
            let again = Again { orders, line_bytes_max: [1, 1] };
            {
                let mut waits = pin!(again.start());
                assert!(timeout(Duration::ZERO, waits.as_mut()).await.is_err());
                assert_eq!(again.start().await.unwrap_err().kind(), ErrorKind::WouldBlock);
            }
            drop(again);
            thread::spawn(move || {
                serve(COMMAND, &asked);
                // A program that cannot be started would have been noticed: nothing was.
                assert!(asked.recv().is_err());
            })
            .join()
            .unwrap();
            let (orders, asked) = sync_channel(1);
            drop(asked);
            let again = Again { orders, line_bytes_max: [1, 1] };
            assert!(again.start().await.unwrap_err().to_string().contains("has gone"));
        });
    }

    /// Whether the kernel still has the process in its table.
    fn is_there(process: Pid) -> bool {
        std::path::Path::new(&format!("/proc/{process}")).exists()
    }

    #[test]
    fn what_nobody_takes_ends() {
        on_epoll(async {
            let of = |fresh: &Fresh| Pid::from_child(fresh.0.as_ref().unwrap());
            let fresh = spawn(COMMAND).unwrap();
            let process = of(&fresh);
            fresh.end();
            assert!(!is_there(process));
            let fresh = spawn(COMMAND).unwrap();
            let process = of(&fresh);
            drop(fresh);
            while is_there(process) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
}
