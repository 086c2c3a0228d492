//! A server on a thread that follows a script, and what a test needs to talk to it on either engine.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use tokio::time::timeout;

use crate::net::engine::EngineChoice;
use crate::net::reach::Reach;
use crate::net::runtime::Runtime;
use crate::secret::Secret;
use crate::upstream::mcp::server::Remote;
use crate::upstream::mcp::{Failure, Incoming, Messages};
use crate::upstream::pool::Pool;
use crate::upstream::site::{Origin, Site};

/// Longer than any case takes.
pub(super) const SOON: Duration = Duration::from_secs(20);

/// What a server does on one connection, step by step; after the last it closes.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Reads a request and notes it.
    Read,
    Send(Vec<u8>),
    /// Sends each byte by itself.
    Drip(Vec<u8>),
    Pause(Duration),
    /// Notes that it has come this far.
    Note,
    /// Waits until the other side closes and notes that.
    Hang,
}

/// What a server has seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A request, head and body.
    Request(String),
    /// A step `Note`.
    Note,
    /// The other side has closed a connection that hung.
    Closed,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) port: u16,
    seen: Receiver<Seen>,
}

impl Server {
    /// A server that takes as many connections as there are scripts, one after another.
    pub(super) fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (notes, seen) = mpsc::channel();
        std::thread::spawn(move || {
            for script in scripts {
                let Ok((stream, _)) = listener.accept() else { return };
                let notes = notes.clone();
                std::thread::spawn(move || follow(stream, script, &notes));
            }
        });
        Self { port, seen }
    }

    /// What it has seen next, if anything.
    pub(super) fn seen_already(&self) -> Option<Seen> {
        self.seen.try_recv().ok()
    }

    /// What it sees next; the tasks of this thread go on meanwhile.
    pub(super) async fn seen(&self) -> Seen {
        loop {
            if let Some(seen) = self.seen_already() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The next request that it has seen.
    pub(super) async fn request(&self) -> String {
        match self.seen().await {
            Seen::Request(text) => text,
            other => panic!("{other:?} is no request"),
        }
    }

    pub(super) fn remote(&self, path: &str) -> Remote {
        let origin = Origin { https: false, host: "127.0.0.1".to_owned(), port: self.port };
        let host = origin.host_header();
        let site =
            Site { name: "scripted".into(), origin, host, tls: None, proxy: None, reach: Reach::written() };
        let headers = vec![("authorization".to_owned(), Secret::new("Bearer of-config"))];
        Remote { site: site.into(), path: path.to_owned(), headers }
    }
}

fn follow(mut stream: TcpStream, script: Vec<Step>, notes: &Sender<Seen>) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    for step in script {
        let done = match step {
            Step::Read => read_request(&mut stream).map(|text| notes.send(Seen::Request(text)).is_ok()),
            Step::Send(bytes) => stream.write_all(&bytes).ok().map(|()| true),
            Step::Drip(bytes) => bytes.iter().all(|&byte| stream.write_all(&[byte]).is_ok()).then_some(true),
            Step::Note => Some(notes.send(Seen::Note).is_ok()),
            Step::Pause(pause) => {
                std::thread::park_timeout(pause);
                Some(true)
            }
            Step::Hang => {
                let ended = std::io::copy(&mut stream, &mut std::io::sink());
                // A reset is an end as well; running into the read timeout is none.
                let timed_out = ended.is_err_and(|fault| fault.kind() == std::io::ErrorKind::WouldBlock);
                (!timed_out).then(|| notes.send(Seen::Closed).is_ok())
            }
        };
        if done != Some(true) {
            return;
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut all = Vec::new();
    let mut byte = [0];
    while !all.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        all.push(byte[0]);
    }
    let head = String::from_utf8(all).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// An answer with a length.
pub(super) fn answer(status: u16, lines: &str, body: &str) -> Step {
    let length = body.len();
    Step::Send(format!("HTTP/1.1 {status} X\r\n{lines}content-length: {length}\r\n\r\n{body}").into_bytes())
}

/// The head of an event stream, chunked.
pub(super) const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                                 transfer-encoding: chunked\r\n\r\n";

/// What ends a chunked body.
pub(super) const LAST: &str = "0\r\n\r\n";

pub(super) fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// An event stream of these chunks, whole.
pub(super) fn stream(chunks: &[&str]) -> String {
    let chunks: String = chunks.iter().map(|text| chunk(text)).collect();
    format!("{EVENTS}{chunks}{LAST}")
}

pub(super) fn send(text: impl Into<String>) -> Step {
    Step::Send(text.into().into_bytes())
}

/// Runs a case on every engine that this machine has, each with a pool of its own.
pub(super) fn on_each(case: impl AsyncFn(Rc<Pool>)) {
    for choice in [EngineChoice::Epoll, EngineChoice::IoUring] {
        let Ok((runtime, _)) = Runtime::new(choice) else {
            eprintln!("SKIPPED on {choice:?}");
            continue;
        };
        let pool = Rc::new(Pool::new(runtime.engine()));
        runtime.block_on(async {
            timeout(SOON, case(pool)).await.unwrap_or_else(|_| panic!("{choice:?}: the case hangs"));
        });
    }
}

/// Everything that comes, in short words: `200 session`, a message, `id 7`, `retry 500`, `failed ...`.
pub(super) async fn all(mut messages: Messages) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(incoming) = messages.recv().await {
        found.push(short(incoming));
    }
    found
}

pub(super) fn short(incoming: Incoming) -> String {
    match incoming {
        Incoming::Head { status, session } => format!("{status} {}", session.unwrap_or_default()),
        Incoming::Message(message) => String::from_utf8(message).unwrap(),
        Incoming::EventId(id) => format!("id {id}"),
        Incoming::TooLarge(id) => format!("too large {id}"),
        Incoming::Retry(delay) => format!("retry {}", delay.as_millis()),
        Incoming::Failed(failure) => failed(&failure),
    }
}

pub(super) fn failed(failure: &Failure) -> String {
    match failure {
        Failure::Unreachable(_) => "failed: unreachable".to_owned(),
        Failure::Status { status, body, challenge } => format!("failed: {status} {body:?} {challenge:?}"),
        other => format!("failed: {other}"),
    }
}
