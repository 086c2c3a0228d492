//! A small HTTP/1.1 client that sends exactly the bytes it is told to and keeps what comes back.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gateway::KEY;
use crate::program::read_some;

/// Longer than anything that a test waits for on purpose.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    framing: Framing,
}

/// How much body is still to come.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(usize),
    Chunked,
    ToTheEnd,
}

/// The head of a reply.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

/// A whole reply, chunks taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|why| panic!("{why} in {}", String::from_utf8_lossy(&self.body)))
    }

    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Asserts that this is a reply of the gateway itself in the Anthropic envelope, and gives its message.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16, kind: &str) -> String {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.head.status, status, "{:?} {body}", self.head);
        let json = self.json();
        assert_eq!(json["type"], "error", "{body}");
        assert_eq!(json["error"]["type"], kind, "{body}");
        let id = self.header("request-id").expect("our own replies carry a request-id");
        assert!(id.starts_with("req_"), "{id}");
        assert_eq!(json["request_id"], id, "{body}");
        json["error"]["message"].as_str().expect("an error has a message").to_owned()
    }
}

impl Client {
    /// Opens a connection.
    #[track_caller]
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::of(TcpStream::connect(addr).unwrap_or_else(|why| panic!("cannot connect to {addr}: {why}")))
    }

    /// Takes a connection that is open.
    #[track_caller]
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket has options");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has options");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket has options");
        Self { stream, buffer: Vec::new(), framing: Framing::Length(0) }
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the gateway reads what it is sent");
    }

    /// Sends bytes as they are, to somebody who may have closed.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request and reads the whole reply.
    #[track_caller]
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Reply {
        self.send(request);
        self.reply()
    }

    /// Reads a whole reply.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        let head = self.head();
        self.finish(head)
    }

    /// Reads the rest of a reply whose head has been read.
    #[track_caller]
    pub(crate) fn finish(&mut self, head: Head) -> Reply {
        let mut body = Vec::new();
        while let Some(part) = self.part().expect("a body arrives whole") {
            body.extend_from_slice(&part);
        }
        Reply { head, body }
    }

    /// Reads the head of a reply to anything but HEAD.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        self.try_head().expect("a reply begins with a head")
    }

    /// Reads the head of a reply, from somebody who may close instead.
    pub(crate) fn try_head(&mut self) -> io::Result<Head> {
        let head = self.head_only()?;
        let length = head.header("content-length").map(|text| text.parse::<usize>());
        self.framing = match (head.status, head.header("transfer-encoding"), length) {
            (100..200 | 204 | 304, _, _) => Framing::Length(0),
            (_, Some("chunked"), None) => Framing::Chunked,
            (_, None, Some(Ok(length))) => Framing::Length(length),
            (_, None, None) => Framing::ToTheEnd,
            _ => return Err(io::Error::other(format!("this framing cannot be: {head:?}"))),
        };
        Ok(head)
    }

    /// Reads a head and takes it that no body follows, as after HEAD.
    pub(crate) fn head_only(&mut self) -> io::Result<Head> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let text: Vec<u8> = self.buffer.drain(..end).collect();
        parse_head(&text)
            .ok_or_else(|| io::Error::other(format!("no head: {:?}", String::from_utf8_lossy(&text))))
    }

    /// Reads the next part of the body, a chunk where it is chunked; `None` at its proper end.
    pub(crate) fn part(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.framing {
            Framing::Length(0) => Ok(None),
            Framing::Length(left) => {
                if self.buffer.is_empty() {
                    self.fill()?;
                }
                let taken = left.min(self.buffer.len());
                self.framing = Framing::Length(left - taken);
                Ok(Some(self.buffer.drain(..taken).collect()))
            }
            Framing::Chunked => self.chunk(),
            Framing::ToTheEnd => {
                if self.buffer.is_empty()
                    && let Err(why) = self.fill()
                {
                    return if why.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(why) };
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
        }
    }

    fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                break self.buffer.drain(..at + 2).collect::<Vec<u8>>();
            }
            self.fill()?;
        };
        let text = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(text.trim(), 16).map_err(io::Error::other)?;
        while self.buffer.len() < size + 2 {
            self.fill()?;
        }
        let mut data: Vec<u8> = self.buffer.drain(..size + 2).collect();
        if data.split_off(size) != b"\r\n" {
            return Err(io::Error::other("a chunk does not end where it says"));
        }
        if size == 0 {
            self.framing = Framing::Length(0);
            return Ok(None);
        }
        Ok(Some(data))
    }

    /// Reads body until `wanted` has come by; gives all that was read.
    #[track_caller]
    pub(crate) fn read_until(&mut self, wanted: &str) -> Vec<u8> {
        let mut seen = Vec::new();
        while find(&seen, wanted.as_bytes()).is_none() {
            let part = self.part().unwrap_or_else(|why| {
                panic!("{why} while waiting for {wanted:?} after {:?}", String::from_utf8_lossy(&seen))
            });
            let Some(part) = part else {
                panic!("the body ended without {wanted:?}: {:?}", String::from_utf8_lossy(&seen));
            };
            seen.extend_from_slice(&part);
        }
        seen
    }

    /// Whether the other side closes within `deadline`; what it still sends is thrown away.
    pub(crate) fn closes_within(&mut self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        let mut waste = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.stream.set_read_timeout(Some(left)).expect("a socket has options");
            match read_some(&mut self.stream, &mut waste) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("an open socket can be shut");
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut room = [0; 16 * 1024];
        let count = read_some(&mut self.stream, &mut room)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend(room.iter().take(count));
        Ok(())
    }
}

/// Sends one request on a connection of its own and reads the whole reply.
#[track_caller]
pub(crate) fn once(addr: SocketAddr, request: &[u8]) -> Reply {
    Client::connect(addr).exchange(request)
}

/// A request with a length, as Claude Code writes it.
pub(crate) fn post(target: &str, key: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!(
        "POST {target} HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nanthropic-version: 2023-06-01\r\n"
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    let mut request = head.into_bytes();
    request.extend_from_slice(body);
    request
}

/// A message to `/mcp`, as a client on this machine writes it.
pub(crate) fn mcp(body: &Value, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![("Accept", "application/json, text/event-stream")];
    all.extend_from_slice(headers);
    let request = post("/mcp", KEY, &all, body.to_string().as_bytes());
    // A gateway on loopback lets in the names of loopback only.
    String::from_utf8_lossy(&request).replacen("Host: gate.test", "Host: localhost", 1).into_bytes()
}

/// A request to `/v1/messages?beta=true` for a model, streaming or not.
pub(crate) fn messages(key: &str, model: &str, stream: bool) -> Vec<u8> {
    post("/v1/messages?beta=true", key, &[], messages_body(model, stream).as_bytes())
}

/// The smallest sensible body.
pub(crate) fn messages_body(model: &str, stream: bool) -> String {
    let content = r#""messages":[{"role":"user","content":"hi"}]"#;
    format!(r#"{{"model":"{model}","max_tokens":32,"stream":{stream},{content}}}"#)
}

/// A GET (or any method without a body).
pub(crate) fn get(method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: gate.test\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

/// Where `wanted` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn parse_head(bytes: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.trim_end().split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    let headers = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
        .collect::<Option<_>>()?;
    Some(Head { status, headers })
}
