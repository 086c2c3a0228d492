//! A relay that puts a key on every request of a client that cannot carry one, and touches nothing else.
//!
//! Each connection carries one request, so that the head of a request is always the first thing that comes.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::recording_relay::pump;

/// A running relay; stops when dropped.
pub(crate) struct KeyedRelay {
    addr: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl KeyedRelay {
    /// Starts a relay in front of `target` that adds `x-tollgate-key`.
    pub(crate) fn start(target: SocketAddr, key: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&stopped);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                // An error means that one side is gone, which the other side sees as well.
                thread::spawn(move || drop(pass(client, target, key)));
            }
        });
        Self { addr, stopped }
    }

    /// The base URL for a client.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for KeyedRelay {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.addr));
    }
}

fn pass(mut client: TcpStream, target: SocketAddr, key: &str) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client.try_clone()?);
    let Some(head) = head(&mut reader, key)? else { return Ok(()) };
    let mut server = TcpStream::connect(target)?;
    server.set_nodelay(true)?;
    server.write_all(&head)?;
    server.write_all(reader.buffer())?;
    let (from, to) = (server.try_clone()?, client.try_clone()?);
    let replies = thread::spawn(move || pump(from, to, |_| {}));
    // Such a client never half-closes: when it stops sending it has gone away, and the server must see that.
    drop(io::copy(&mut client, &mut server));
    drop(server.shutdown(Shutdown::Both));
    drop(replies.join());
    Ok(())
}

/// Reads a head and writes it anew, with the key and without a word about further requests. `None` for a
/// connection that brings no request.
fn head(reader: &mut impl BufRead, key: &str) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        if line == b"\r\n" {
            write!(head, "Connection: close\r\nx-tollgate-key: {key}\r\n\r\n")?;
            return Ok(Some(head));
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if !name.eq_ignore_ascii_case(b"connection") && !name.eq_ignore_ascii_case(b"keep-alive") {
            head.extend_from_slice(&line);
        }
    }
}

#[test]
fn the_key_is_added_and_the_rest_stays() {
    let sent = "POST /mcp HTTP/1.1\r\nHost: evil.example\r\nconnection: keep-alive\r\nOrigin: x\r\n\r\nbody";
    let head = head(&mut sent.as_bytes(), "k").expect("it is whole").expect("it is a request");
    let expected = "POST /mcp HTTP/1.1\r\nHost: evil.example\r\nOrigin: x\r\n\
                    Connection: close\r\nx-tollgate-key: k\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&head), expected);
}
