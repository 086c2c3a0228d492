//! Scripted servers, each named by how it behaves, on a port of their own and with a memory of what they saw.
//!
//! One thread a connection and blocking calls: a peer must be simpler than what it tests.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::program::read_some;

pub(crate) mod answers_before_it_reads;
pub(crate) mod answers_status;
pub(crate) mod breaks_dialects;
pub(crate) mod breaks_mcp;
pub(crate) mod closes_idle_connections;
pub(crate) mod closes_mid_stream;
pub(crate) mod connect_proxy;
pub(crate) mod hands_out_credentials;
pub(crate) mod keyed_relay;
pub(crate) mod meets_and_grows;
pub(crate) mod never_stops_sending;
pub(crate) mod offers_many_tools;
pub(crate) mod pauses_between_pieces;
pub(crate) mod recording_relay;
pub(crate) mod scripted_turns;
pub(crate) mod scripted_upstream;
pub(crate) mod sends_one_byte_at_a_time;
pub(crate) mod speaks_bedrock;
pub(crate) mod speaks_chat;
pub(crate) mod speaks_converse;
pub(crate) mod speaks_gemini;
pub(crate) mod speaks_lenient;
pub(crate) mod speaks_mcp;
pub(crate) mod speaks_responses;
pub(crate) mod speaks_tls;
pub(crate) mod speaks_vertex;
pub(crate) mod stalls_after_headers;

/// One request as a peer received it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which connection brought it, counted from 0.
    pub(crate) connection: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    /// In order, names as written.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// The headers whose name begins with `anthropic-`, in order.
    pub(crate) fn anthropic_headers(&self) -> Vec<(String, String)> {
        let named = |(name, value): &(String, String)| (name.to_ascii_lowercase(), value.clone());
        self.headers.iter().map(named).filter(|(name, _)| name.starts_with("anthropic-")).collect()
    }

    /// The path without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(&self.target)
    }

    /// SHA-256 of the body in hex.
    pub(crate) fn sha256(&self) -> String {
        let mut hex = String::new();
        for byte in Sha256::digest(&self.body) {
            write!(hex, "{byte:02x}").expect("a string takes everything");
        }
        hex
    }
}

/// What a script does after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    KeepOpen,
    Close,
    /// Closes so that the other side sees the connection reset.
    Reset,
}

/// The connection that a script answers on.
pub(crate) struct Exchange {
    stream: TcpStream,
    /// Each byte goes alone.
    drips: bool,
    /// The type that streams are given instead of their own.
    named: Option<&'static str>,
}

impl Exchange {
    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let size = if self.drips { 1 } else { bytes.len().max(1) };
        bytes.chunks(size).try_for_each(|piece| self.stream.write_all(piece))
    }

    /// From now on each byte goes alone.
    pub(crate) const fn drip(&mut self) {
        self.drips = true;
    }

    /// From now on streams are said to be of another type than they are.
    pub(crate) const fn name_streams(&mut self, media_type: &'static str) {
        self.named = Some(media_type);
    }

    /// The type of a stream whose own is `media_type`.
    pub(crate) fn stream_type<'a>(&self, media_type: &'a str) -> &'a str {
        self.named.unwrap_or(media_type)
    }

    /// Sends a whole reply with a length.
    pub(crate) fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut reply = head(status, headers);
        reply += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut bytes = reply.into_bytes();
        bytes.extend_from_slice(body);
        self.raw(&bytes)
    }

    /// Sends the head of an event stream.
    pub(crate) fn start_events(&mut self) -> io::Result<()> {
        let headers =
            [("Content-Type", self.stream_type("text/event-stream")), ("request-id", "req_upstream_1")];
        self.raw((head(200, &headers) + "Transfer-Encoding: chunked\r\n\r\n").as_bytes())
    }

    /// Sends one chunk.
    pub(crate) fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.raw(&framed)
    }

    /// Sends the last chunk.
    pub(crate) fn end_chunks(&mut self) -> io::Result<()> {
        self.raw(b"0\r\n\r\n")
    }

    /// Waits until the other side closes; how long that took from now.
    pub(crate) fn wait_for_close(&mut self, deadline: Duration) -> Option<Duration> {
        let started = Instant::now();
        let mut waste = [0; 1024];
        loop {
            let left = deadline.saturating_sub(started.elapsed());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return None;
            }
            match read_some(&mut self.stream, &mut waste) {
                Ok(0) => return Some(started.elapsed()),
                Ok(_) => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return None,
                Err(_) => return Some(started.elapsed()),
            }
        }
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> String {
    let mut text = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text
}

#[derive(Default)]
struct Memory {
    seen: Mutex<Vec<Seen>>,
    open: Mutex<Vec<TcpStream>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
}

/// A running peer; stops when dropped.
pub(crate) struct Peer {
    addr: SocketAddr,
    memory: Arc<Memory>,
}

impl Peer {
    /// Starts a server on which `script` answers each request. An error in the script closes the connection.
    pub(crate) fn start<S>(script: S) -> Self
    where
        S: Fn(&Seen, &mut Exchange) -> io::Result<After> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let memory = Arc::new(Memory::default());
        let (script, theirs) = (Arc::new(script), Arc::clone(&memory));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if theirs.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let number = theirs.connections.fetch_add(1, Ordering::SeqCst);
                let (script, memory) = (Arc::clone(&script), Arc::clone(&theirs));
                if let Ok(copy) = stream.try_clone() {
                    memory.open.lock().expect("no holder panics").push(copy);
                }
                // An error means that the connection is over, which is what happens next anyway.
                thread::spawn(move || drop(serve(stream, number, &memory, &*script)));
            }
        });
        Self { addr, memory }
    }

    /// Where it listens.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same as a base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.memory.seen.lock().expect("no holder panics").clone()
    }

    /// The requests of one path.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path() == path).collect()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.memory.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.memory.stopped.store(true, Ordering::SeqCst);
        for stream in self.memory.open.lock().expect("no holder panics").drain(..) {
            // Most are closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.addr));
    }
}

fn serve<S>(stream: TcpStream, number: usize, memory: &Memory, script: &S) -> io::Result<()>
where
    S: Fn(&Seen, &mut Exchange) -> io::Result<After>,
{
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut exchange = Exchange { stream, drips: false, named: None };
    while let Some(seen) = read_request(&mut reader, number)? {
        memory.seen.lock().expect("no holder panics").push(seen.clone());
        match script(&seen, &mut exchange)? {
            After::KeepOpen => {}
            After::Close => break,
            After::Reset => return reset(&exchange, memory),
        }
    }
    exchange.stream.shutdown(Shutdown::Both)
}

/// Has the connection reset when its last owner is dropped, which is the caller of this.
fn reset(exchange: &Exchange, memory: &Memory) -> io::Result<()> {
    let other_side = exchange.stream.peer_addr()?;
    memory.open.lock().expect("no holder panics").retain(|open| open.peer_addr().ok() != Some(other_side));
    socket2::SockRef::from(&exchange.stream).set_linger(Some(Duration::ZERO))
}

/// Reads one request; `None` where the connection ends between two.
pub(crate) fn read_request(reader: &mut impl BufRead, connection: usize) -> io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::Error::other(format!("no request line: {line:?}")));
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == "\r\n" {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(io::Error::other(format!("no header: {line:?}")));
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen = Seen { connection, method, target, headers, body: Vec::new() };
    seen.body = read_body(reader, &seen)?;
    Ok(Some(seen))
}

fn read_body(reader: &mut impl BufRead, seen: &Seen) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = seen.header("content-length") {
        let length: u64 = length.parse().map_err(io::Error::other)?;
        reader.take(length).read_to_end(&mut body)?;
        return if u64::try_from(body.len()).ok() == Some(length) {
            Ok(body)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        };
    }
    while seen.header("transfer-encoding").is_some() {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        reader.take(size).read_to_end(&mut body)?;
        reader.read_line(&mut String::new())?;
        if size == 0 {
            break;
        }
    }
    Ok(body)
}
