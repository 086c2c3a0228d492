//! The scripted MCP server: modern, one thread, one epoll loop, and a count of what it was asked.
//!
//! The path says how many tools it has: one server stands for all.

use std::collections::HashMap;
use std::io::{Write, stderr};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tollgate::mcp::message;

use crate::list;
use crate::mcp::messages::{self, DISCOVERED, FEW};
use crate::peer::{Next, Peer};
use crate::sys::{Poll, Watch, pin, sharpen_timers};
use crate::upstream::{accept, body_length, header, listen};

const LISTENER: u64 = 0;

/// Bytes that one read takes.
const READ_BYTES: usize = 64 * 1024;

/// Bytes of one request.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What it was asked so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Requests for the list of few tools, and for that of many.
    few: AtomicU64,
    many: AtomicU64,
    /// How often a list has changed; the number stands in the names of its tools.
    pub(crate) changes: AtomicU64,
}

impl Counts {
    /// How often the list of so many tools was asked for.
    pub(crate) fn lists(&self, tools: usize) -> u64 {
        self.of(tools).load(Ordering::Relaxed)
    }

    fn of(&self, tools: usize) -> &AtomicU64 {
        if tools == FEW { &self.few } else { &self.many }
    }
}

/// Starts the server on its own thread of processor `cpu`; it lives as long as the process.
pub(crate) fn start(cpu: usize) -> Result<(SocketAddr, Arc<Counts>)> {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    let poll = Poll::new()?;
    poll.add(listener.as_raw_fd(), LISTENER, Watch::Level)?;
    let counts = Arc::new(Counts::default());
    let server = Server {
        listener,
        poll,
        conns: Vec::new(),
        free: Vec::new(),
        listeners: Vec::new(),
        lists: HashMap::new(),
        call_result: messages::call_result(),
        counts: Arc::clone(&counts),
    };
    let run = move || {
        let prepared = pin(cpu).and_then(|()| sharpen_timers()).context("cannot prepare its thread");
        if let Err(error) = prepared.and_then(|()| server.run()) {
            // Every run from here on fails with its own words; this says why.
            writeln!(stderr(), "the server ended: {error:#}").unwrap_or_default();
        }
    };
    std::thread::Builder::new().name("mcp-server".into()).spawn(run).context("cannot start the server")?;
    Ok((address, counts))
}

struct Server {
    listener: TcpListener,
    poll: Poll,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    listeners: Vec<Listener>,
    /// Lists that were made, by their number of tools.
    lists: HashMap<usize, Vec<u8>>,
    call_result: String,
    counts: Arc<Counts>,
}

/// A connection that listens for changes of the list of so many tools.
struct Listener {
    place: usize,
    tools: usize,
    /// The id of its request.
    id: String,
}

struct Conn {
    peer: Peer,
    request: Vec<u8>,
}

impl Server {
    fn run(mut self) -> Result<()> {
        let mut ready = Vec::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            self.poll.wait(Duration::from_secs(1), &mut ready)?;
            for token in &ready {
                match usize::try_from(*token)? {
                    0 => self.accept()?,
                    token => self.turn(token - 1, &mut buffer),
                }
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        while let Some(socket) = accept(&self.listener)? {
            let place = self.free.pop().unwrap_or(self.conns.len());
            self.poll.add(socket.as_raw_fd(), u64::try_from(place + 1)?, Watch::Edge)?;
            let conn = Some(Conn { peer: Peer::new(socket), request: Vec::new() });
            match self.conns.get_mut(place) {
                Some(slot) => *slot = conn,
                None => self.conns.push(conn),
            }
        }
        Ok(())
    }

    fn turn(&mut self, place: usize, buffer: &mut [u8]) {
        let Some(mut conn) = self.conns.get_mut(place).and_then(Option::take) else { return };
        let next = match conn.peer.flush() {
            Next::Wait => self.read(&mut conn, place, buffer),
            Next::Close => Next::Close,
        };
        if next == Next::Close {
            self.listeners.retain(|listener| listener.place != place);
            self.free.push(place);
        } else if let Some(slot) = self.conns.get_mut(place) {
            *slot = Some(conn);
        }
    }

    fn read(&mut self, conn: &mut Conn, place: usize, buffer: &mut [u8]) -> Next {
        loop {
            let count = match conn.peer.read(buffer) {
                Ok(Some(count)) => count,
                Ok(None) => return Next::Wait,
                Err(gone) => return gone,
            };
            conn.request.extend_from_slice(buffer.get(..count).unwrap_or_default());
            if self.take(conn, place).is_none() || conn.request.len() > REQUEST_BYTES_MAX {
                return Next::Close;
            }
            if count < buffer.len() {
                return Next::Wait;
            }
        }
    }

    /// Answers the request if it is whole; nothing when it is none.
    fn take(&mut self, conn: &mut Conn, place: usize) -> Option<()> {
        let Some(end) = memchr::memmem::find(&conn.request, b"\r\n\r\n").map(|at| at + 4) else {
            return Some(());
        };
        let (head, body) = conn.request.split_at_checked(end)?;
        if body.len() < body_length(head)? {
            return Some(());
        }
        let answer = self.answer(head, body, place)?;
        conn.request.clear();
        (conn.peer.send(&answer) == Next::Wait).then_some(())
    }

    fn answer(&mut self, head: &[u8], body: &[u8], place: usize) -> Option<Vec<u8>> {
        let method = header(head, "mcp-method").unwrap_or_default();
        if method == messages::CHANGE.as_bytes() {
            self.change(tools(head)?);
            return Some(whole(b"{}"));
        }
        let Some(id) = message::read(body).ok()?.id else {
            return Some(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_vec());
        };
        let id = body.get(id)?;
        match method {
            b"tools/call" => Some(whole(&messages::response(id, self.call_result.as_bytes()))),
            b"tools/list" => {
                let tools = tools(head)?;
                self.counts.of(tools).fetch_add(1, Ordering::Relaxed);
                let list = self.list(tools);
                Some(whole(&messages::response(id, list)))
            }
            b"subscriptions/listen" => {
                let id = str::from_utf8(id).ok()?.to_owned();
                let tools = tools(head)?;
                let opened = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n"
                    .as_slice();
                let promised = ",\"notifications\":{\"toolsListChanged\":true}";
                let first = messages::notification("notifications/subscriptions/acknowledged", &id, promised);
                self.listeners.push(Listener { place, tools, id });
                Some([opened, &first].concat())
            }
            _ => Some(whole(&messages::response(id, DISCOVERED.as_bytes()))),
        }
    }

    /// The list as it is since the last change.
    fn list(&mut self, tools: usize) -> &[u8] {
        let changes = self.counts.changes.load(Ordering::Relaxed);
        self.lists.entry(tools).or_insert_with(|| {
            let mut list = list::made(changes, tools);
            list.pop();
            list.extend_from_slice(
                b",\"resultType\":\"complete\",\"ttlMs\":3600000,\"cacheScope\":\"public\"}",
            );
            list
        })
    }

    fn change(&mut self, tools: usize) {
        self.counts.changes.fetch_add(1, Ordering::Relaxed);
        self.lists.remove(&tools);
        for Listener { place, id, .. } in self.listeners.iter().filter(|one| one.tools == tools) {
            let told = messages::notification("notifications/tools/list_changed", id, "");
            if let Some(conn) = self.conns.get_mut(*place).and_then(Option::as_mut) {
                // One that does not take it has gone, and its next turn finds out.
                let _gone = conn.peer.send(&told);
            }
        }
    }
}

/// How many tools the server of this path has.
fn tools(head: &[u8]) -> Option<usize> {
    let path = head.split(|byte| *byte == b' ').nth(1)?;
    str::from_utf8(path.rsplit(|byte| *byte == b'_').next()?).ok()?.parse().ok()
}

fn whole(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 12:00:00 GMT\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
