//! Runs outside programs with a deadline, so that a hanging peer fails one test and not the whole run.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Outcome {
    /// Asserts that the program succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.status.success(), "{}\nstdout: {}\nstderr: {}", self.status, self.stdout, self.stderr);
        self
    }
}

/// Runs a command to its end; kills it and panics after `deadline`.
#[track_caller]
pub(crate) fn run(command: &mut Command, deadline: Duration) -> Outcome {
    run_with_input(command, b"", deadline)
}

/// The same with bytes on stdin.
#[track_caller]
pub(crate) fn run_with_input(command: &mut Command, input: &[u8], deadline: Duration) -> Outcome {
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("{:?} does not start: {why}", command.get_program()));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    let feeder = thread::spawn(move || stdin.write_all(&input));
    let stdout = collect(child.stdout.take().expect("stdout is piped"));
    let stderr = collect(child.stderr.take().expect("stderr is piped"));
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break Some(status);
        }
        if started.elapsed() > deadline {
            child.kill().expect("a child can be killed");
            child.wait().expect("a killed child ends");
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    // A program that does not read its input breaks the pipe; that is its good right.
    drop(feeder.join());
    let stdout = stdout.join().expect("the reader of stdout does not panic");
    let stderr = stderr.join().expect("the reader of stderr does not panic");
    let Some(status) = status else {
        panic!("{command:?} ran longer than {deadline:?}\nstdout: {stdout}\nstderr: {stderr}");
    };
    Outcome { status, stdout, stderr, took: started.elapsed() }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what there is to show.
        drop(from.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Reads some bytes. The kernel interrupts a read that has a timeout whenever it wants something else of the
/// thread, such as the end of a ring that the thread once had.
pub(crate) fn read_some(stream: &mut TcpStream, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(room) {
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Asks `question` until it says yes; panics with `what` after `deadline`.
#[track_caller]
pub(crate) fn eventually(what: &str, deadline: Duration, mut question: impl FnMut() -> bool) {
    let started = Instant::now();
    while !question() {
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
